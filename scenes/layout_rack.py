"""Where the heads of a layer stand in space, and from where they are seen: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenes.camera import Shot
from scenes.layout import BORDER, Box, Frame, HeadSlots

__all__ = ["RackSlots", "shot_on", "solid"]

Points = npt.NDArray[np.float64]
Point = tuple[float, float, float]

CARD_ROOM = 0.24  # between the queries and the left edge of a card
SPACING_MOST = 1.0  # between neighbouring cards
DEPTH_MOST = 9.6  # from the first card to the last
SHARED_ROOM = 1.1  # between the cards and a panel that they share
TURN, TILT = 34.0, 20.0  # degrees to the side of the rack and above it
FILL = 2 / 3  # of the frame's width


def solid(box: Box, near: float = 0.0, far: float = 0.0) -> Points:
    """The corners (8, 3) of a box that reaches from z = ``near`` back to z = ``far``."""
    return np.array(
        [
            [x, y, z]
            for x in (box.left, box.right)
            for y in (box.bottom, box.top)
            for z in (near, far)
        ]
    )


def shot_on(
    points: npt.ArrayLike,
    frame: Frame,
    *,
    theta: float = TURN,
    phi: float = TILT,
    width: float = FILL,
    height: float = 0.96,
    into: Box | None = None,
) -> Shot:
    """The shot from ``theta`` and ``phi`` that shows some points of the scene in the middle.

    Parameters
    ----------
    points
        (n, 3), all of which are to be seen.
    frame
        The picture's edge.
    theta, phi
        As for :class:`~scenes.camera.Shot`, degrees.
    width
        How much of the frame's width the points fill ...
    height
        ... unless they would fill more than this of the stage's height.
    into
        Where in the frame to put their middle; the stage by default.
    """
    spots = np.asarray(points, dtype=float)
    into = into or frame.stage
    center = (spots.min(axis=0) + spots.max(axis=0)) / 2
    shot = Shot(center=_point(center), height=frame.height, theta=theta, phi=phi)
    right, up, _ = shot.rotation()
    # Size and place depend on each other through the perspective; a few rounds settle both.
    for _ in range(40):
        seen = shot.project(spots, frame.height)[:, :2]
        low, high = seen.min(axis=0), seen.max(axis=0)
        extent = high - low
        grow = max(extent[0] / (width * frame.width), extent[1] / (height * frame.stage.height))
        offset = ((low + high) / 2 - [into.x, into.y]) * shot.height / frame.height
        center = np.asarray(shot.center) + offset[0] * right + offset[1] * up
        shot = Shot(center=_point(center), height=shot.height * grow, theta=theta, phi=phi)
    return shot


def _point(center: Points) -> Point:
    x, y, z = (float(c) for c in center)
    return (x, y, z)


@dataclass(frozen=True)
class RackSlots:
    """A rack of ``count`` equal cards, the first in the plane z = 0 and the others behind it.

    Attributes
    ----------
    head
        Where the panels of one card stand.
    count
        How many cards.
    spacing
        From one card to the next.
    """

    head: HeadSlots
    count: int
    spacing: float

    @classmethod
    def of(cls, head: HeadSlots, count: int) -> RackSlots:
        """Evenly spaced; many cards stand closer."""
        return cls(head, count, min(SPACING_MOST, DEPTH_MOST / max(1, count - 1)))

    @property
    def card(self) -> Box:
        """Outline of a card: the head's panels without what leads into them."""
        border = self.head.border
        return Box.of(self.head.q.left - CARD_ROOM, border.right, border.bottom, border.top)

    @property
    def depth(self) -> float:
        """From the first card to the last."""
        return self.spacing * (self.count - 1)

    def z(self, place: float) -> float:
        """Depth coordinate of the card at a place, counted from 0 at the front."""
        return -self.spacing * place

    @property
    def room(self) -> Points:
        """Corners (8, 3) of the whole rack."""
        return solid(self.card.grown(BORDER / 2), 0.0, -self.depth)

    def shared(self, panel: Box, places: Sequence[int]) -> tuple[Box, float]:
        """Where a panel that several cards share stands: left of them, and at which depth.

        ``panel`` is the box it has on a card, ``places`` are those of the cards.
        """
        left = self.card.left - SHARED_ROOM - panel.width
        return panel.moved(dx=left - panel.left), self.z(sum(places) / len(places))

    @property
    def spine(self) -> float:
        """x of the spine of a comb from a shared panel to the cards."""
        return self.card.left - SHARED_ROOM / 2

    # Named shots

    @property
    def from_left(self) -> Shot:
        """From the left and above: queries, keys and values of every head show."""
        return shot_on(self.room, self.head.frame, theta=-TURN)

    @property
    def from_right(self) -> Shot:
        """From the right and above: patterns and z of every head show."""
        return shot_on(self.room, self.head.frame, theta=TURN)
