"""Layout of the heads of a layer in space, and the shots of it: pure geometry, scene units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from manim import smooth

from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import HEADER, NARROW, WORD_GAP, Box, Frame, row_points
from filmkit.mobjects.head_layout import AWAY, WEIGHT_BOX, HeadLayout

__all__ = ["HeadStackLayout", "MergeLayout", "merge_layout", "prism_corners", "shot_on"]

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
        """Shot from the left and above, close to the flat card."""
        corners = prism_corners(self.card)
        return shot_on(
            corners,
            self.head.frame,
            theta=-BESIDE_TURN,
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

    @property
    def sentence(self) -> tuple[float, float]:
        """Right end of a line of text in the frame, to the right of the foot of the stack."""
        stage = self.head.frame.stage
        return (stage.right, stage.bottom + 0.15)

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


# The z of all heads side by side. A strip is the z of one head.
STRIP_GAP = 0.14  # between two strips while they are apart
MAX_STRIP = 2.7  # width of a strip while they are apart
MAX_CELL = 0.2  # width of a cell
MAX_MERGE_ROW = 0.4  # height of a row above the output
MIN_BLOCK = 9.0  # width of all strips together, and of the output
LINE_GAP = 0.25  # between lines of strips in a tall frame
MAX_TALL_ROW, MAX_TALL = 0.42, 3.4  # height of a row and of a strip while there is no output
NAME_ROOM = 0.3  # below strips, for the names of their heads
SCALE_WIDTH, SCALE_ROOM = 1.9, 0.4  # width of a colour bar; gap between it and the header
SCALE_BELOW = 0.8  # from a matrix down to the end of a colour bar below it
WAY = 0.28  # length of the line from the names to the weight, and of the one below it
ROW_FOR_WORDS = 0.235  # smallest height of a row that has a word beside it


@dataclass(frozen=True)
class MergeLayout:
    """Layout of the z of every head, side by side, and of the layer's output below.

    Attributes
    ----------
    apart
        A box for each head, from the left, with gaps, in the middle of the stage.
    together
        The same without gaps.
    joined
        The same without gaps, at the top of the stage and less high.
    w_o
        Box of the output's weight.
    out
        Box of the output.
    into_out
        y of the end of the line to the output.
    words
        Whether rows are high enough to have words beside them.
    frame
        The frame for which it was made.
    """

    apart: tuple[Box, ...]
    together: tuple[Box, ...]
    joined: tuple[Box, ...]
    w_o: Box
    out: Box
    into_out: float
    words: bool
    frame: Frame

    def rows(self, strips: Sequence[Box], count: int) -> tuple[Box, ...]:
        """Return a box for each of ``count`` rows across all strips, from the top."""
        whole = Box.around(strips)
        height = whole.height / count
        return tuple(Box(x, y, whole.width, height) for x, y in row_points(whole.x, whole, count))

    def word_points(self, box: Box, count: int) -> tuple[tuple[float, float], ...]:
        """Return the right end of each of ``count`` words beside a box."""
        return row_points(box.left - WORD_GAP, box, count)

    def name_points(self, strips: Sequence[Box]) -> tuple[tuple[float, float], ...]:
        """Return the centers of the heads' names below their strips."""
        return tuple((strip.x, strip.bottom - NAME_ROOM / 2 - 0.02) for strip in strips)

    def scale(self, box: Box, header: float) -> Box:
        """Return the box of the colour bar of a matrix.

        It is to the right of the header, or below the matrix if there is no room.

        Parameters
        ----------
        box
            Box of the matrix.
        header
            x of the end of its header.
        """
        half = SCALE_WIDTH / 2
        x = max(box.right - half, header + SCALE_ROOM + half)
        if x + half > self.frame.stage.right + 1e-6:
            return Box(box.left + half, box.bottom - NAME_ROOM - 0.2, SCALE_WIDTH, 0.12)
        return Box(x, box.top + 0.42, SCALE_WIDTH, 0.12)


def _apart(frame: Frame, heads: int, max_height: float, *, alone: float) -> tuple[Box, ...]:
    """Return a box for each head: in one line, or in several in a tall frame.

    ``alone`` is the width of the box if there is only one head.
    """
    stage = frame.stage
    lines = max(1, round((heads / 1.3) ** 0.5)) if frame.tall else 1
    columns = -(-heads // lines)
    width = min(MAX_STRIP, (stage.width - STRIP_GAP * (columns - 1)) / columns)
    width = width if heads > 1 else alone
    room = (stage.height - HEADER) / lines - NAME_ROOM
    height = min(max_height, MAX_TALL, room - LINE_GAP if lines > 1 else room)
    pitch = height + NAME_ROOM + LINE_GAP
    top = stage.y + (pitch * lines - LINE_GAP - HEADER) / 2
    boxes = []
    for head in range(heads):
        line, column = divmod(head, columns)
        reach = width * columns + STRIP_GAP * (columns - 1)
        x = stage.x - reach / 2 + (width + STRIP_GAP) * column
        y = top - pitch * line
        boxes.append(Box.of(x, x + width, y - height, y))
    return tuple(boxes)


def merge_layout(
    frame: Frame, *, heads: int, d_v: int, d_model: int, count: int, word_width: float
) -> MergeLayout:
    """Return the layout of the z of all heads and of the layer's output.

    The output is as wide as all strips together, however many columns either has.

    Parameters
    ----------
    frame
        The frame to fill.
    heads, d_v
        Number of strips, and of columns of each.
    d_model
        Number of columns of the output.
    count
        Number of positions, which are rows.
    word_width
        Width of the longest word beside the rows.
    """
    stage = frame.stage
    between = NAME_ROOM + 2 * WAY + WEIGHT_BOX[1] + HEADER / 2  # from the strips to the output
    # In a narrow frame the line from the weight ends above the output's header, not beside it.
    name = HEADER if frame.width <= NARROW else 0.0
    between += 0.7 * name
    below = SCALE_BELOW if frame.tall else 0.0
    free = stage.height - HEADER - between - below
    height, tall = min(free / 2, MAX_MERGE_ROW * count), min(MAX_TALL_ROW * count, MAX_TALL)
    words = height / count >= ROW_FOR_WORDS
    max_width = stage.width - (word_width + WORD_GAP if words else 0.0)
    wide = min(max_width, max(MIN_BLOCK, MAX_CELL * max(heads * d_v, d_model)))
    left = max(stage.x - wide / 2, stage.right - max_width)

    def strips(x: float, top: float, size: tuple[float, float]) -> tuple[Box, ...]:
        lefts = [x + size[0] * i for i in range(heads)]
        return tuple(Box.of(a, a + size[0], top - size[1], top) for a in lefts)

    level = stage.y + (tall - HEADER + NAME_ROOM) / 2
    top = stage.top - HEADER - (free - 2 * height) / 2
    joined = strips(left, top, (wide / heads, height))
    w_o = Box(left + wide / 2, top - height - NAME_ROOM - WAY - WEIGHT_BOX[1] / 2, *WEIGHT_BOX)
    top = top - height - between
    return MergeLayout(
        apart=_apart(frame, heads, MAX_TALL_ROW * count, alone=wide),
        together=strips(left, level, (wide / heads, tall)),
        joined=joined,
        w_o=w_o,
        out=Box.of(left, left + wide, top - height, top),
        into_out=top + name + AWAY,
        words=words,
        frame=frame,
    )
