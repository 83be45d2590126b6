"""The heads of a layer as glass that stands in the room: patterns, keys and values."""

from __future__ import annotations

import math

import numpy as np
from manim import Group

from filmkit.core.light import glow
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import HeadView, LayerView
from filmkit.pictures.bodies import Pane
from filmkit.pictures.tensors import head_matrix

__all__ = ["SIDE", "GlassHead", "Ring"]

# Lengths are in scene units, angles in degrees.
SIDE = 2.4  # of a pattern
BAND = 0.35  # height of keys or values, at most, as a share of that
BEHIND, OVER = 0.55, 0.08  # from a pane to the one behind it: back, and up
EDGE = 0.35  # share of its light that the edge of a pane gives
SPACING = 1.16  # from head to head, in sides
STACKED = 0.02  # from head to head where all of them stand in one place


class GlassHead(Group):
    """One head: its pattern on glass, before it its keys, and before these its values.

    Parameters
    ----------
    view
        The head.

    Attributes
    ----------
    values, keys, pattern : Pane
        From the nearest to the farthest.
    """

    def __init__(self, view: HeadView) -> None:
        theme = current_theme()
        panes = []
        for name in ("V", "K", "pattern"):
            matrix = head_matrix(view, name)
            assert matrix is not None
            height = SIDE
            if name != "pattern":
                rows, columns = matrix.values.shape
                height = min(SIDE * rows / columns, BAND * SIDE)
            pane = Pane(matrix, height=height, told=matrix.name)
            pane.set_boxes(pane.boxes, mixed(theme.background, theme.glass, EDGE), pane.layers)
            pane.is_light = True
            panes.append(pane)
        super().__init__(*panes)
        self.values, self.keys, self.pattern = panes
        # What the mask removes is not there.
        self.pattern.cells.set_masked(0.0).set_shown(1.0 - view.causal_mask)
        glow(self, 0.5)
        self._at_first = [member.points.copy() for member in self.get_family()]

    def stand(self, angle: float, radius: float, middle: float = 0.0) -> None:
        """Stand on a ring and face its middle, which is so far before that of the room.

        At an angle of 0 that is its far end.
        """
        # Always from the same place, so that no rounding adds up on the way.
        for member, points in zip(self.get_family(), self._at_first, strict=True):
            member.points = points.copy()
        turn, foot = math.radians(angle), 0.0
        for number, pane in enumerate(self):
            far = radius - BEHIND * (len(self) - 1 - number)
            at = (far * math.sin(turn), foot, middle - far * math.cos(turn))
            pane.put(at, turn=-angle)
            foot += float(np.ptp(pane.extent[:, 1])) + OVER


class Ring(Group):
    """All heads of a layer, side by side on a ring around us that is open at its near end.

    Parameters
    ----------
    layer
        The layer.
    apart
        Angle from head to head.

    Attributes
    ----------
    heads : list of GlassHead
        The heads, from the left.
    radius
        Of the ring.
    """

    def __init__(self, layer: LayerView, apart: float) -> None:
        self.heads = [GlassHead(layer.head(head)) for head in range(layer.trace.meta.n_heads)]
        super().__init__(*self.heads)
        self.radius = self._radius(apart)

    def _radius(self, apart: float) -> float:
        return SPACING * SIDE / (2 * math.sin(math.radians(apart / 2)))

    def stand(self, apart: float, *, spread: float = 1.0, first: int = 0) -> None:
        """Let all heads stand so many degrees from each other; the farther end stays in its place.

        Parameters
        ----------
        apart
            Angle from head to head: the smaller it is, the straighter is their row.
        spread
            Share of that: at 0 they stand behind each other, as a deck of cards.
        first
            Number of the head that is the nearest one then.
        """
        radius = self._radius(apart)
        for number, head in enumerate(self.heads):
            angle = spread * apart * (number - (len(self.heads) - 1) / 2)
            hidden = STACKED * (1 - spread) * abs(number - first)
            head.stand(angle, radius + hidden, radius - self.radius)
