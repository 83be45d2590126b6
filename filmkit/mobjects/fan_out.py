"""Combs: one panel feeds many heads of a rack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import RIGHT, Mobject, VGroup, VMobject

from filmkit.core.camera import on_card
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import filled, outline_points

__all__ = ["FanOut"]

Points = npt.NDArray[np.float64]


class FanOut(VGroup):
    """A flat comb from one place to many, all in one plane of the scene.

    A handle leads from the start to the spine, the spine runs in depth, and a tooth with an
    arrow head leads to each end. It is cut between the depths of its teeth, so that cards are in
    front of the pieces behind them and behind the pieces in front of them.

    Examples
    --------
    From a panel that stands left of the rack to the line that leads from each head's keys::

        comb = FanOut(
            shared.corners_towards(RIGHT),
            [rack.heads[h].k.corners_towards(RIGHT) for h in heads],
            spine=rack.slots.card.left - 0.3,
        )
        self.add(comb.set_drawn(0))
        self.play(Follow(comb, comb.set_drawn))

    Parameters
    ----------
    start
        (3,), where the handle begins.
    ends
        (n, 3), where the arrow heads point; each at the depth (z) of its card.
    spine
        Where the spine runs: its coordinate along ``along``.
    along
        Direction of the teeth, (3,), upright to the depth: RIGHT for a comb that lies flat, UP for
        one that stands below its heads.
    width
        Of handle, spine and teeth, in scene units.
    colour
        The theme's ``ink`` by default.

    Attributes
    ----------
    handle, teeth, spine
        Its pieces; ``teeth`` in the order of ``ends``.
    """

    TIP = 2.2  # length and width of an arrow head, in widths

    def __init__(
        self,
        start: npt.ArrayLike,
        ends: Sequence[npt.ArrayLike],
        *,
        spine: float,
        along: npt.ArrayLike = RIGHT,
        width: float = 0.12,
        colour: str | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.along = np.asarray(along, dtype=float)
        self.width_of_band = width
        self.start, self.ends = np.asarray(start, dtype=float), np.asarray(ends, dtype=float)
        self.turn = spine
        # Everything is measured along the teeth and in depth; the third direction is constant.
        self.rest = self.start - self._place(self.start) @ self._axes
        if not np.allclose(self.ends - self._place(self.ends) @ self._axes, self.rest, atol=1e-6):
            raise ValueError("a comb is flat: its start and its ends must lie in one plane")
        self.levels = np.unique(np.round([self.start[2], *self.ends[:, 2]], 9))

        def piece(depth: float) -> VMobject:
            shape = filled([np.zeros((3, 3))], colour or theme.ink)
            return on_card(shape, _Depth(depth))

        # A tooth lies half in front of its card: it is drawn just after it.
        self.handle = piece(self.start[2] + width / 2)
        self.spine = VGroup(
            *(piece((a + b) / 2) for a, b in zip(self.levels, self.levels[1:], strict=False))
        )
        self.teeth = VGroup(*(piece(end[2] + width / 2) for end in self.ends))
        self.add(self.handle, self.spine, self.teeth)
        self.set_drawn(1.0)

    @property
    def _axes(self) -> Points:
        return np.array([self.along, [0.0, 0.0, 1.0]])

    def _place(self, points: Points) -> Points:
        """Points (..., 3) as (along, depth), (..., 2)."""
        return np.asarray(points @ self._axes.T)

    def set_drawn(self, alpha: float) -> FanOut:
        """Draw a fraction of it: the handle first, then the spine, then the teeth."""
        half, reach = self.width_of_band / 2, np.abs(self.levels - self.start[2]).max()
        out = float(np.clip(alpha / 0.25, 0, 1))
        spread = float(np.clip((alpha - 0.25) / 0.35, 0, 1)) * (reach + half)
        begin, level = self._place(self.start)
        self._fill(
            self.handle, [_bar(begin, begin + (self.turn + half - begin) * out, level, half)]
        )
        for shape, low, high in zip(self.spine, self.levels, self.levels[1:], strict=False):
            # Overlapping the teeth by half a width hides the seams between the pieces.
            near, far = max(low - half, level - spread), min(high + half, level + spread)
            across = [[self.turn - half, near], [self.turn + half, near]]
            back = [[self.turn + half, far], [self.turn - half, far]]
            self._fill(shape, [np.array(across + back)] if spread > 0 and far > near else [])
        grown = float(np.clip((alpha - 0.5) / 0.5, 0, 1))
        for shape, (end, depth) in zip(self.teeth, self._place(self.ends), strict=True):
            self._fill(shape, self._tooth(end, depth, grown))
        return self

    def _tooth(self, end: float, depth: float, grown: float) -> list[Points]:
        if grown <= 0:
            return []
        half, tip = self.width_of_band / 2, self.width_of_band * self.TIP
        sign = np.sign(end - self.turn) or 1.0
        head = self.turn + (end - self.turn) * grown
        neck = head - sign * tip
        arrow = np.array([[head, depth], [neck, depth + tip / 2], [neck, depth - tip / 2]])
        start = self.turn - sign * half
        return [arrow] if sign * (neck - start) <= 0 else [arrow, _bar(start, neck, depth, half)]

    def _fill(self, shape: Mobject, polygons: list[Points]) -> None:
        placed = [polygon @ self._axes + self.rest for polygon in polygons]
        shape.points = outline_points(placed) if placed else np.zeros((0, 3))


def _bar(start: float, end: float, depth: float, half: float) -> Points:
    low, high = depth - half, depth + half
    return np.array([[start, low], [end, low], [end, high], [start, high]])


class _Depth(Mobject):
    """A plane across the depth, without any ink, to sort by."""

    def __init__(self, z: float) -> None:
        super().__init__()
        self.points = np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]], dtype=float)
