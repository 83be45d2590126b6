"""Fan-outs: flat connectors from one panel to many cards of a stack of heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import RIGHT, Mobject, VGroup, VMobject

from filmkit.core.camera import set_depth_plane
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import filled, outline_points

__all__ = ["FanOut"]

Points = npt.NDArray[np.float64]


class FanOut(VGroup):
    """A flat connector from one point to many, in the shape of a comb.

    A handle leads from the start to the spine, the spine runs in depth, and a tooth with an arrow
    head leads from the spine to each end. All lie in one plane of the scene. The pieces between
    two teeth are separate mobjects, so that a card hides the pieces behind it and is hidden by
    those in front of it.

    Parameters
    ----------
    start : (3,)
        Where the handle begins.
    ends : (n, 3)
        Where the arrow heads point; each has the depth (z) of its card.
    spine
        Coordinate of the spine in the direction ``along``.
    along : (3,)
        Direction of the teeth, a unit vector without depth: RIGHT for a horizontal plane, UP for
        a vertical one below the cards.
    width
        Width of handle, spine and teeth, in scene units.
    colour
        "#RRGGBB"; the theme's ``ink`` by default.

    Attributes
    ----------
    handle, spine, teeth
        Its pieces; ``spine`` from back to front, ``teeth`` in the order of ``ends``.

    Raises
    ------
    ValueError
        If the start and the ends are not in one plane.

    Examples
    --------
    From a panel left of the stack to the keys of some heads::

        fan_out = FanOut(
            shared.side_center(RIGHT),
            [stack.cards[h].k.side_center(RIGHT) for h in heads],
            spine=stack.layout.spine,
        )
        self.add(fan_out.set_drawn(0))
        self.play(AnimateWith(fan_out, fan_out.set_drawn))
    """

    TIP = 2.2  # length and width of an arrow head, in widths of a tooth

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
        # The geometry is two-dimensional, along the teeth and in depth; the rest is constant.
        self.rest = self.start - self._place(self.start) @ self._axes
        if not np.allclose(self.ends - self._place(self.ends) @ self._axes, self.rest, atol=1e-6):
            raise ValueError("a fan-out is flat: its start and its ends must lie in one plane")
        self.levels = np.unique(np.round([self.start[2], *self.ends[:, 2]], 9))

        def piece(depth: float) -> VMobject:
            shape = filled([np.zeros((3, 3))], colour or theme.ink)
            return set_depth_plane(shape, _Depth(depth))

        # Half the width of a tooth is in front of its card: it is drawn just after the card.
        self.handle = piece(self.start[2] + width / 2)
        self.spine = VGroup(
            *(piece((a + b) / 2) for a, b in zip(self.levels, self.levels[1:], strict=False))
        )
        self.teeth = VGroup(*(piece(end[2] + width / 2) for end in self.ends))
        self.add(self.handle, self.spine, self.teeth)
        self.set_drawn(1.0)

    @property
    def _axes(self) -> Points:
        """The two directions of the plane, (2, 3): along the teeth and in depth."""
        return np.array([self.along, [0.0, 0.0, 1.0]])

    def _place(self, points: Points) -> Points:
        """Return points (..., 3) in the plane's coordinates (along, depth), (..., 2)."""
        return np.asarray(points @ self._axes.T)

    def set_drawn(self, alpha: float) -> FanOut:
        """Draw a share of it, 0 to 1, and return it: first the handle, then spine and teeth."""
        half, reach = self.width_of_band / 2, np.abs(self.levels - self.start[2]).max()
        out = float(np.clip(alpha / 0.25, 0, 1))
        spread = float(np.clip((alpha - 0.25) / 0.35, 0, 1)) * (reach + half)
        begin, level = self._place(self.start)
        self._fill(
            self.handle, [_bar(begin, begin + (self.turn + half - begin) * out, level, half)]
        )
        for shape, low, high in zip(self.spine, self.levels, self.levels[1:], strict=False):
            # Pieces overlap the teeth by half a width, which hides the seams between them.
            near, far = max(low - half, level - spread), min(high + half, level + spread)
            across = [[self.turn - half, near], [self.turn + half, near]]
            back = [[self.turn + half, far], [self.turn - half, far]]
            self._fill(shape, [np.array(across + back)] if spread > 0 and far > near else [])
        grown = float(np.clip((alpha - 0.5) / 0.5, 0, 1))
        for shape, (end, depth) in zip(self.teeth, self._place(self.ends), strict=True):
            self._fill(shape, self._tooth(end, depth, grown))
        return self

    def _tooth(self, end: float, depth: float, grown: float) -> list[Points]:
        """Return the polygons of the share ``grown`` of a tooth: arrow head, and bar if any."""
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
        """Let a shape fill polygons given in the plane's coordinates."""
        placed = [polygon @ self._axes + self.rest for polygon in polygons]
        shape.points = outline_points(placed) if placed else np.zeros((0, 3))


def _bar(start: float, end: float, depth: float, half: float) -> Points:
    """Return the corners (4, 2) of a bar along the teeth at a depth, by half its width."""
    low, high = depth - half, depth + half
    return np.array([[start, low], [end, low], [end, high], [start, high]])


class _Depth(Mobject):
    """An invisible plane of constant depth z, by which pieces are sorted."""

    def __init__(self, z: float) -> None:
        super().__init__()
        self.points = np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]], dtype=float)
