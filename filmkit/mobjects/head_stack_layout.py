"""Where the heads of a layer stand in space, and from where they are seen: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import Shot
from filmkit.core.geometry import HEADER, NARROW, WORD_GAP, Box, Frame, row_points
from filmkit.mobjects.head_layout import AWAY, WEIGHT_BOX, HeadLayout

__all__ = ["HeadStackLayout", "MergeLayout", "merge_layout", "prism_corners", "shot_on"]

Points = npt.NDArray[np.float64]
Point = tuple[float, float, float]

CARD_ROOM = 0.24  # between the queries and the left edge of a card
MAX_SPACING = 1.0  # between neighbouring cards
MAX_DEPTH = 9.6  # from the first card to the last
SHARED_ROOM = 1.1  # between the cards and a panel that they share
PULLED_GAP = 0.5  # between a card and the z that is pulled out of it
BRACKET_ROOM = 0.3  # between the cards and the brackets below their left edges
NUMBER_ROOM = 0.25  # above the cards
TURN, TILT = 34.0, 20.0  # degrees to the side of the rack and above it
FILL = 2 / 3  # of the frame's width
FILL_TALL = (0.679, 0.69)  # of a tall frame's, from the left, with room for words, and the right


def prism_corners(box: Box, near: float = 0.0, far: float = 0.0) -> Points:
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
        As for :class:`~filmkit.core.camera.Shot`, degrees.
    width
        How much of the frame's width the points fill ...
    height
        ... unless they would fill more than this of the stage's height.
    into
        Where in the frame to put their middle; the stage by default.
    """
    points = np.asarray(points, dtype=float)
    into = into or frame.stage
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    shot = Shot(center=_point(center), height=frame.height, theta=theta, phi=phi)
    right, up, _ = shot.rotation()
    # Size and place depend on each other through the perspective; a few rounds settle both.
    for _ in range(40):
        seen = shot.project(points, frame.height)[:, :2]
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
class HeadStackLayout:
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

    head: HeadLayout
    count: int
    spacing: float

    @classmethod
    def of(cls, head: HeadLayout, count: int) -> HeadStackLayout:
        """Evenly spaced; many cards stand closer."""
        return cls(head, count, min(MAX_SPACING, MAX_DEPTH / max(1, count - 1)))

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
        """Corners (8, 3) of the whole rack, with room for brackets and numbers around it."""
        card = self.card
        left, bottom = card.left - BRACKET_ROOM, card.bottom - BRACKET_ROOM
        return prism_corners(
            Box.of(left, card.right, bottom, card.top + NUMBER_ROOM), 0.0, -self.depth
        )

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
        width = FILL_TALL[0] if self.head.frame.tall else FILL
        return shot_on(self.room, self.head.frame, theta=-TURN, width=width)

    @property
    def from_right(self) -> Shot:
        """From the right and above: patterns and z of every head show."""
        width = FILL_TALL[1] if self.head.frame.tall else FILL
        return shot_on(self.room, self.head.frame, theta=TURN, width=width)

    @property
    def beside_front(self) -> Shot:
        """From the left and above, near the first card alone."""
        return shot_on(prism_corners(self.card), self.head.frame, theta=-TURN, width=0.6)

    @property
    def with_outputs(self) -> Shot:
        """From the right and above, with room for what is pulled out of the cards."""
        pulled = prism_corners(self.head.z.moved(dx=self.pulled), 0.0, -self.depth)
        return shot_on(np.concatenate([self.room, pulled]), self.head.frame, width=0.86)

    @property
    def pulled(self) -> float:
        """How far to the right z is pulled out of a card."""
        return self.card.right - self.head.z.left + PULLED_GAP

    @property
    def outside(self) -> float:
        """How far to the right a card must be to lie outside of the frame, seen from the left."""
        frame, shot, away = self.head.frame, self.from_left, self.card.width
        edge = frame.width / 2
        while shot.project(self.room + np.array([away, 0, 0]), frame.height)[:, 0].min() < edge:
            away *= 1.1
        return away

    # Marks

    def corner(self, place: int) -> Point:
        """Top left corner of a card."""
        return (self.card.left, self.card.top, self.z(place))

    @property
    def title(self) -> tuple[float, float]:
        """Where a few words fit on a card: between its keys and what is made of them."""
        return self.head.spare

    @property
    def sentence(self) -> tuple[float, float]:
        """Where a line of words ends, in the frame and right of the rack's foot."""
        stage = self.head.frame.stage
        return (stage.right, stage.bottom + 0.15)

    def bracket(self, first: int, last: int) -> Points:
        """A bracket (4, 3) along the lower left edge of the cards from one place to another."""
        x, y, end = self.card.left, self.card.bottom - BRACKET_ROOM, 0.22 * self.spacing
        near, far = self.z(first) + end, self.z(last) - end
        out = x - BRACKET_ROOM
        return np.array([[x, y, near], [out, y, near], [out, y, far], [x, y, far]])


# What the heads pass on, put side by side. Lengths are in scene units.
STRIP_GAP = 0.14  # between the z of two heads while they stand apart
MAX_STRIP = 2.7
MAX_CELL = 0.2
MAX_MERGE_ROW = 0.4
MIN_BLOCK = 9.0  # width of the strips together, and of the output
LINE_GAP = 0.25  # between lines of strips
MAX_TALL_ROW, MAX_TALL = 0.42, 3.4  # a row and a strip while nothing stands beneath
NAME_ROOM = 0.3  # below a row of strips, for the heads' names
SCALE_WIDTH, SCALE_ROOM = 1.9, 0.4  # of a colour bar, and between it and the header before it
SCALE_BELOW = 0.8  # from a matrix down to the end of a colour bar below it
WAY = 0.28  # from a strip's names to the weight, and as much beneath it
ROW_FOR_WORDS = 0.235  # rows that are lower have no words beside them


@dataclass(frozen=True)
class MergeLayout:
    """The z of every head apart and side by side, and the layer's output beneath.

    Attributes
    ----------
    apart
        A box for each head in the middle of the stage, from the left.
    together
        The same without gaps.
    joined
        The same at the top of the stage and less high.
    w_o
        Box of the weight's name.
    out
        Box of the output.
    into_out
        Height at which the line to the output ends.
    words
        Whether rows are high enough to have words beside them.
    frame
        The frame all this was made for.
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
        """A box for each row through all strips, from the top."""
        whole = Box.around(strips)
        height = whole.height / count
        return tuple(Box(x, y, whole.width, height) for x, y in row_points(whole.x, whole, count))

    def word_points(self, box: Box, count: int) -> tuple[tuple[float, float], ...]:
        """Where each word beside a box ends."""
        return row_points(box.left - WORD_GAP, box, count)

    def name_points(self, strips: Sequence[Box]) -> tuple[tuple[float, float], ...]:
        """Centers of the heads' names below their strips."""
        return tuple((strip.x, strip.bottom - NAME_ROOM / 2 - 0.02) for strip in strips)

    def scale(self, box: Box, header: float) -> Box:
        """Where the colour bar of a matrix stands.

        It is right of the header, which ends at x = ``header``, or below where there is no room.
        """
        half = SCALE_WIDTH / 2
        x = max(box.right - half, header + SCALE_ROOM + half)
        if x + half > self.frame.stage.right + 1e-6:
            return Box(box.left + half, box.bottom - NAME_ROOM - 0.2, SCALE_WIDTH, 0.12)
        return Box(x, box.top + 0.42, SCALE_WIDTH, 0.12)


def _apart(frame: Frame, heads: int, most: float, *, alone: float) -> tuple[Box, ...]:
    """A box for each head: in one line, in a tall frame in several."""
    stage = frame.stage
    lines = max(1, round((heads / 1.3) ** 0.5)) if frame.tall else 1
    columns = -(-heads // lines)
    width = min(MAX_STRIP, (stage.width - STRIP_GAP * (columns - 1)) / columns)
    width = width if heads > 1 else alone
    room = (stage.height - HEADER) / lines - NAME_ROOM
    height = min(most, MAX_TALL, room - LINE_GAP if lines > 1 else room)
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
    """Lay out ``heads`` strips of ``d_v`` columns and an output of ``d_model``, ``count`` rows.

    The output is as wide as the strips together, however many columns either has.
    """
    stage = frame.stage
    between = NAME_ROOM + 2 * WAY + WEIGHT_BOX[1] + HEADER / 2  # from the strips to the output
    # In a narrow frame the line from the weight ends above the output's name, not beside it.
    name = HEADER if frame.width <= NARROW else 0.0
    between += 0.7 * name
    below = SCALE_BELOW if frame.tall else 0.0
    free = stage.height - HEADER - between - below
    height, tall = min(free / 2, MAX_MERGE_ROW * count), min(MAX_TALL_ROW * count, MAX_TALL)
    words = height / count >= ROW_FOR_WORDS
    most = stage.width - (word_width + WORD_GAP if words else 0.0)
    wide = min(most, max(MIN_BLOCK, MAX_CELL * max(heads * d_v, d_model)))
    left = max(stage.x - wide / 2, stage.right - most)

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
