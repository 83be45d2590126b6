"""Layout of the heads of a layer in space, and the shots of it: pure geometry, scene units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from manim import smooth

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
PULLED_GAP = 0.5  # between a card and the z that is pulled out of it
BRACKET_ROOM = 0.3  # between the cards and the brackets below their left edges
WORD_DROP = 0.35  # from a bracket to the foot of its words, at most
NUMBER_DROP, NUMBER_INSET = 0.3, 0.4  # from the edges of a card to the middle of its number
BESIDE = 2.2  # room beside the stack for the names of panels, at most
TURN, TILT = 54.0, 16.0  # angles of the shots from the side and from above, in degrees
# The same close to one card: so little that names fit between its panels, as in the flat picture.
BESIDE_TURN, BESIDE_TILT = 30.0, 4.0
NAMES_ROOM = 3.2  # from the transposed keys to the end of the pattern, for their names
QUARTER_TURN, QUARTER_TILT = 46.0, 14.0  # the same of the shot in which outputs are pulled out
TURN_ALONE, TILT_ALONE, SEVERAL = 28.0, 8.0, 4  # with less than several cards, angles fall to these
ORBIT_TILT = 26.0  # angle from above at the middle of an orbit, where cards stand in line
LENS = 3.6  # the lens of these shots: long, so that far cards are not much smaller
FILL = 0.8  # width of the stack in these shots, as a share of the frame's width: the least
DIMMEST, DIMMING = 0.55, 0.12  # light on the last card; most that a card has less than the next
STEP = 0.14  # how far a card steps out of the stack, as a share of its height


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
    def step(self) -> Points:
        """The way (3,) of a card that steps out of the stack: upwards, as a card from an index.

        To the side it would hide the next card; forwards it would meet the one before it.
        """
        return np.array([0.0, STEP * self.card.height, 0.0])

    @property
    def outer_corners(self) -> Points:
        """Corners (n, 3) of the whole stack; the flat card, if not alone, is a step forward."""
        stack = prism_corners(self.card, self.near, self.far)
        return np.concatenate([stack, prism_corners(self.card) + self.step * (self.count > 1)])

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

    # Named shots

    @property
    def _angles(self) -> tuple[float, float]:
        """Turn and tilt of the shots from the side: smaller for few cards, which look larger so."""
        share = min(1.0, (self.count - 1) / (SEVERAL - 1))
        return TURN_ALONE + (TURN - TURN_ALONE) * share, TILT_ALONE + (TILT - TILT_ALONE) * share

    @property
    def name_room(self) -> float:
        """Width of the room beside the stack for the names of panels, in scene units."""
        frame = self.head.frame
        return float(min(BESIDE, frame.stage.width - FILL * frame.width))

    def _from_side(self, theta: float, phi: float, points: Points, room: float = 0.0) -> Shot:
        """Return a shot that shows some points as large as possible.

        ``room`` is the width that stays free beside them: at the left in a shot from the left.
        """
        frame = self.head.frame
        stage = frame.stage
        left, right = (room, 0.0) if theta < 0 else (0.0, room)
        into = Box.of(stage.left + left, stage.right - right, stage.bottom, stage.top)
        width = into.width / frame.width
        return shot_on(
            points, frame, theta=theta, phi=phi, focal=LENS, width=width, height=1.0, into=into
        )

    @property
    def from_left(self) -> Shot:
        """Shot from the left and above: queries, keys and values of every head are visible.

        There is room for brackets below the cards.
        """
        turn, tilt = self._angles
        room = (BRACKET_ROOM, BRACKET_ROOM + WORD_DROP) if self.count > 1 else (0.0, 0.0)
        x, y = self.card.left - room[0], self.card.bottom - room[1]
        brackets = [[x, y, self.near], [x, y, self.far]]
        points = np.concatenate([self.outer_corners, brackets])
        return self._from_side(-turn, tilt, points, self.name_room)

    @property
    def from_right(self) -> Shot:
        """Shot from the right and above: patterns and z of every head are visible."""
        turn, tilt = self._angles
        return self._from_side(turn, tilt, self.outer_corners, self.name_room)

    @property
    def beside_flat(self) -> Shot:
        """Shot from the left and above, close to the flat card.

        Names keep their size, so the card turns less in a narrow frame, where it is narrow too,
        and where few tokens bring the names of keys and pattern close together.
        """
        corners, frame = prism_corners(self.card), self.head.frame
        close = self.head.pattern.right - self.head.k_t.left < NAMES_ROOM
        return shot_on(
            corners,
            frame,
            theta=-BESIDE_TURN * (0.5 if frame.upright or close else 1.0),
            phi=BESIDE_TILT,
            focal=LENS,
            width=0.9,
            height=1.0,
        )

    @property
    def quarter(self) -> Shot:
        """Shot from the right and above, less from the side, with room for z beside their cards."""
        pulled = prism_corners(self.head.z.moved(dx=self.pull_distance), self.near, self.far)
        points = np.concatenate([prism_corners(self.card, self.near, self.far), pulled])
        return self._from_side(QUARTER_TURN, QUARTER_TILT, points)

    def fits(self, shot: Shot) -> bool:
        """Return whether all cards are in the safe part of the frame in a shot."""
        frame = self.head.frame
        seen = shot.project(self.outer_corners, frame.height)[:, :2]
        room = [frame.safe.width / 2, frame.safe.height / 2]
        return bool((np.abs(seen) <= room).all())

    def on_the_way(self, start: Shot, end: Shot) -> Shot:
        """Return the shot in the middle of an orbit: all cards, seen from higher above."""
        theta = (start.theta + end.theta) / 2
        # Where the cards do not stand in line there is no need to rise.
        share = 1 - min(1.0, abs(theta) / TURN)
        phi = (start.phi + end.phi) / 2
        return self._from_side(theta, phi + (ORBIT_TILT - TILT) * share, self.outer_corners)

    @property
    def pull_distance(self) -> float:
        """Distance by which z is pulled out of a card to the right."""
        return self.card.right - self.head.z.left + PULLED_GAP

    @property
    def offscreen_distance(self) -> float:
        """Distance to the right at which a card is outside of the frame, seen from the left."""
        frame, shot, away = self.head.frame, self.from_left, self.card.width
        edge = frame.width / 2
        while (
            shot.project(self.outer_corners + np.array([away, 0, 0]), frame.height)[:, 0].min()
            < edge
        ):
            away *= 1.1
        return away

    # Marks

    @property
    def number_room(self) -> float:
        """Height of the free strip of a card below the middle of its number."""
        return self.card.top - NUMBER_DROP - max(self.head.q.top, self.head.k_t.top)

    def number_point(self, card: Points, shot: Shot) -> Points:
        """Return where the middle (3,) of a card's number is in a shot.

        It moves along the upper edge, from its left end, in shots from the left, to its right end.

        Parameters
        ----------
        card : (4, 3)
            The card's corners, clockwise from the upper left.
        """
        along = (card[1] - card[0]) / np.linalg.norm(card[1] - card[0])
        down = (card[3] - card[0]) / np.linalg.norm(card[3] - card[0])
        share = float(smooth(np.clip(0.5 + shot.theta / (2 * self._angles[0]), 0, 1)))
        first, last = card[0] + NUMBER_INSET * along, card[1] - NUMBER_INSET * along
        return np.asarray(first + (last - first) * share + NUMBER_DROP * down)

    @property
    def title(self) -> tuple[float, float]:
        """Middle of a card's largest free area, where a few words fit."""
        return self.head.free_point

    def bracket(self, first: int, last: int) -> Points:
        """Return a bracket (4, 3) along the lower left corners of the cards at some places.

        Parameters
        ----------
        first, last
            Places of the first and the last card.
        """
        x, y, end = self.card.left, self.card.bottom - BRACKET_ROOM, 0.22 * self.spacing
        near, far = self.depth_at(first) + end, self.depth_at(last) - end
        out = x - BRACKET_ROOM
        return np.array([[x, y, near], [out, y, near], [out, y, far], [x, y, far]])
