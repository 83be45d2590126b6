"""Layout of the heads of a layer in space, and shots of it: pure geometry, scene units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import Box, Frame
from filmkit.mobjects.head_layout import HeadLayout

__all__ = ["HeadStackLayout", "prism_corners", "shot_on"]

Points = npt.NDArray[np.float64]
Point = tuple[float, float, float]

CARD_ROOM = 0.24  # between the queries and the left edge of a card
# Spacing, relative to that at which from far away no card hides a pattern of the next one.
ROOMY, ROOMY_NARROW, ROOMY_TALL = 1.25, 1.05, 0.9
FEW, MAX_ROOMY = 9, 1.6  # with fewer cards the spacing grows, up to this factor
CROWDING = 0.55  # with more of them it shrinks: by the number of cards to this power
SHARED_ROOM = 1.1  # between the cards and a panel that they share
BESIDE = 2.2  # room beside the stack for the names of panels, at most
TURN, TILT = 54.0, 16.0  # angles of the shots from the side and from above, in degrees
LENS = 3.6  # the lens of these shots: long, so that far cards are not much smaller
FILL = 0.8  # width of the stack in these shots, as a share of the frame's width: the least
DIMMEST, DIMMING = 0.55, 0.12  # light on the last card; most that a card has less than the next
STEP = 0.14  # room above the flat card, as a share of its height


def prism_corners(box: Box, near: float = 0.0, far: float = 0.0) -> Points:
    """Return the corners (8, 3) of a box that reaches from z = ``near`` back to z = ``far``."""
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
    focal: float = FOCAL,
    width: float = 2 / 3,
    height: float = 0.96,
    into: Box | None = None,
) -> Shot:
    """Return the shot from a direction that shows some points of the scene as large as wanted.

    Parameters
    ----------
    points : (n, 3)
        Points that must be visible.
    frame
        The frame of the picture.
    theta, phi, focal
        Direction in degrees and lens, as for :class:`~filmkit.core.camera.Shot`.
    width
        Share of the frame's width that the points fill, if ``height`` allows it.
    height
        Maximum share of the stage's height that they fill.
    into
        Box of the frame in whose middle they are; the stage by default.
    """
    points = np.asarray(points, dtype=float)
    into = into or frame.stage
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    shot = Shot(_point(center), frame.height, theta, phi, focal)
    right, up, _ = shot.rotation()
    # Size and place depend on each other through the perspective; a few rounds settle both.
    for _ in range(40):
        projected = shot.project(points, frame.height)[:, :2]
        low, high = projected.min(axis=0), projected.max(axis=0)
        extent = high - low
        grow = max(extent[0] / (width * frame.width), extent[1] / (height * frame.stage.height))
        offset = ((low + high) / 2 - [into.x, into.y]) * shot.height / frame.height
        center = np.asarray(shot.center) + offset[0] * right + offset[1] * up
        shot = Shot(_point(center), shot.height * grow, theta, phi, focal)
    return shot


def _point(center: Points) -> Point:
    x, y, z = (float(c) for c in center)
    return (x, y, z)


@dataclass(frozen=True)
class HeadStackLayout:
    """Layout of a stack of equal cards, one behind the other, in the order of the heads.

    One of them, the *flat* one, lies in the plane z = 0, where the flat picture of its head is.

    Attributes
    ----------
    head
        Layout of one card.
    count
        Number of cards.
    flat
        Place of the flat card, counted from 0 at the front.
    """

    head: HeadLayout
    count: int
    flat: int = 0

    @property
    def card(self) -> Box:
        """Box of a card: the head's panels, without weights and X."""
        border = self.head.border
        return Box.of(self.head.q.left - CARD_ROOM, border.right, border.bottom, border.top)

    @cached_property
    def spacing(self) -> float:
        """Depth from one card to the next.

        It is so large that from the right a card hides nearly nothing of the next one's pattern,
        and smaller if there are many cards.
        """
        strip = (self.card.right - self.head.pattern.left) / np.tan(np.radians(TURN))
        crowd = (FEW - 1) / max(1, self.count - 1)
        room = min(MAX_ROOMY, crowd**0.5) if crowd > 1 else crowd**CROWDING
        frame = self.head.frame
        roomy = ROOMY if frame.wide else ROOMY_TALL if frame.tall else ROOMY_NARROW
        return float(roomy * strip * room)

    @property
    def near(self) -> float:
        """z of the first card."""
        return self.depth_at(0)

    @property
    def far(self) -> float:
        """z of the last card."""
        return self.depth_at(self.count - 1)

    def depth_at(self, place: float) -> float:
        """Return z of the card at a place, counted from 0 at the front."""
        return self.spacing * (self.flat - place)

    def light_at(self, place: float) -> float:
        """Return the brightness of the card at a place: 1 at the front, less at the back."""
        steps = max(1, self.count - 1)
        return 1 - min(1 - DIMMEST, DIMMING * steps) * place / steps

    @property
    def outer_corners(self) -> Points:
        """Corners (n, 3) of the whole stack, with some room above the flat card if not alone."""
        lift = np.array([0.0, STEP * self.card.height * (self.count > 1), 0.0])
        return np.concatenate(
            [prism_corners(self.card, self.near, self.far), prism_corners(self.card) + lift]
        )

    def shared(self, panel: Box, places: Sequence[int]) -> tuple[Box, float]:
        """Return the box and the depth of a panel that several cards share: to their left.

        Parameters
        ----------
        panel
            Box of the panel on a card.
        places
            Places of the cards in the stack.

        Returns
        -------
        Box, float
            The box, and z: the mean depth of these cards.
        """
        left = self.card.left - SHARED_ROOM - panel.width
        return panel.moved(dx=left - panel.left), self.depth_at(sum(places) / len(places))

    @property
    def spine(self) -> float:
        """x of the spine of a fan-out from a shared panel to the cards."""
        return self.card.left - SHARED_ROOM / 2

    @property
    def name_room(self) -> float:
        """Width of the room beside the stack for the names of panels, in scene units."""
        frame = self.head.frame
        return float(min(BESIDE, frame.stage.width - FILL * frame.width))
