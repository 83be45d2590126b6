"""A pile of slabs, one for each token that is remembered, and the outline of what can be held.

Both are sketches: their front is to scale upwards, where tokens are counted, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import VGroup, VMobject

from filmkit.core.geometry import Box
from filmkit.core.theme import current_theme, mixed
from scenes.question.layout import DEPTH

__all__ = ["ROOM", "Limit", "Pile"]

SEAM = 0.45  # opacity of the line between two slabs
CLOSE, APART = 0.05, 0.16  # distances of seams at which they begin to be seen, and are whole
TOP_LIGHT, SIDE_LIGHT = 0.25, 0.45  # how much darker the top and the side are
ROOM = 0.12  # between the pile and the outline around it, in scene units
LID = 0.1  # by how much the upper side of the outline turns when it bursts, in radians


def _face(colour: str) -> VMobject:
    return VMobject(stroke_width=0.0, fill_color=colour, fill_opacity=1.0)


class Pile(VGroup):
    """Slabs on each other, seen a little from the right and from above.

    The left half has the colour of keys, the right half that of values.

    Parameters
    ----------
    foot
        Front of the lowest slab: its left, its right and its lower edge.
    count
        Number of slabs; it may be a fraction while the pile grows.
    unit
        Height of one, in scene units.
    """

    def __init__(self, foot: Box, count: float, unit: float) -> None:
        super().__init__()
        theme = current_theme()
        halves = theme.key, theme.value
        self.fronts = VGroup(*(_face(colour) for colour in halves))
        self.tops = VGroup(*(_face(mixed(c, theme.background, TOP_LIGHT)) for c in halves))
        self.side = _face(mixed(theme.value, theme.background, SIDE_LIGHT))
        self.seams = VGroup(*(self._seam() for _ in range(2)))
        self.add(self.side, self.tops, self.fronts, self.seams)
        self.set_size(foot, count, unit)

    @staticmethod
    def _seam() -> VMobject:
        theme = current_theme()
        return VMobject(stroke_color=theme.background, stroke_width=theme.thin, fill_opacity=0.0)

    def set_size(self, foot: Box, count: float, unit: float) -> Pile:
        """Change place, number and height of the slabs, and return the pile."""
        self.foot, self.count, self.unit = foot, count, unit
        left, middle, right, low = foot.left, foot.x, foot.right, foot.bottom
        high, (across, up) = low + count * unit, DEPTH
        for front, top, (start, stop) in zip(
            self.fronts, self.tops, ((left, middle), (middle, right)), strict=True
        ):
            _corners(front, [(start, low), (stop, low), (stop, high), (start, high)])
            back = [(stop + across, high + up), (start + across, high + up)]
            _corners(top, [(start, high), (stop, high), *back])
        back = [(right + across, high + up), (right + across, low + up)]
        _corners(self.side, [(right, low), (right, high), *back])
        self._set_seams()
        return self

    def _set_seams(self) -> None:
        """Draw seams that are not too close: fine ones that fade, and every tenth of them."""
        step = 1
        while step * self.unit < CLOSE:
            step *= 10
        strength = float(np.clip((step * self.unit - CLOSE) / (APART - CLOSE), 0, 1))
        for seam, every, opacity in zip(
            self.seams, (step, 10 * step), (SEAM * strength, SEAM), strict=True
        ):
            seam.clear_points()
            for number in range(0, int(np.ceil(self.count - 1e-9)), every):
                if every == step and number % (10 * step) == 0:
                    continue
                y = self.foot.bottom + number * self.unit
                seam.start_new_path(np.array([self.foot.left, y, 0.0]))
                seam.add_line_to(np.array([self.foot.right, y, 0.0]))
                seam.add_line_to(np.array([self.foot.right + DEPTH[0], y + DEPTH[1], 0.0]))
            seam.set_stroke(opacity=opacity)


def _corners(face: VMobject, corners: Sequence[tuple[float, float]]) -> None:
    points = [np.array([x, y, 0.0]) for x, y in corners]
    face.set_points_as_corners([*points, points[0]])


class Limit(VGroup):
    """The outline of what a memory can hold, as four sides that can burst apart."""

    def __init__(self, foot: Box, height: float) -> None:
        super().__init__()
        theme = current_theme()
        self.sides = VGroup(
            *(
                VMobject(stroke_color=theme.ink, stroke_width=theme.bold, fill_opacity=0.0)
                for _ in range(4)
            )
        )
        self.add(self.sides)
        self.set_height(foot, height)

    def set_height(self, foot: Box, height: float) -> Limit:
        """Make it as high as wanted on the foot of a pile, and return it."""
        across, up = DEPTH
        box = Box.of(foot.left, foot.right + across, foot.bottom, foot.bottom + height + up)
        self.box = box = box.grown(ROOM)
        corners = [
            (box.left, box.bottom),
            (box.left, box.top),
            (box.right, box.top),
            (box.right, box.bottom),
        ]
        for side, start, stop in zip(self.sides, corners, [*corners[1:], corners[0]], strict=True):
            side.set_points_as_corners([[*start, 0.0], [*stop, 0.0]])
        return self

    def burst(self) -> Limit:
        """Return a copy whose upper side has been pushed up, like a lid."""
        copy = self.copy()
        lid = copy.sides[1]
        lid.rotate(LID, about_point=lid.get_start())
        return copy
