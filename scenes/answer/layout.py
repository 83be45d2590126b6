"""Layout of the scene that gives the answer: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box, Frame, Point
from filmkit.mobjects.head_stack_layout import prism_corners

__all__ = ["AnswerLayout", "CellLayout", "RackLayout"]

Points = npt.NDArray[np.float64]

# Angles and lens of the one camera, in degrees and in heights of the shot.
TURN, TILT, LENS = 50.0, 9.0, 6.0
# Lengths of a rack, in widths of a pattern.
CARD = 1.14  # side of a card
DEEPEST = 8.8  # from the first card to the last, at most
APART = 1.6  # from one card to the next, at most
DROP = 0.3  # from the cards down to what is kept
KEPT, KEPT_UPRIGHT = 0.4, 0.7  # height of what is kept
# Lengths of the flat picture, in scene units.
GAP = 0.1
NAME, WORDS, NOTE = (size * FRAME_HEIGHT for size in (0.04, 0.028, 0.024))
BAR = 0.17
TITLE = 0.4  # height of the title with its gap
ROUNDS = 12  # of placing a rack where the camera sees it in the middle of its cell
LATENT, LATENT_SQUARE = 0.68, 0.5  # width of the latent at the end, as a share of the frame's
SENTENCE = 0.07  # text size of the sentence at the end, as a fraction of the frame's height


@dataclass(frozen=True)
class RackLayout:
    """Where the cards of a rack and what they keep stand in space.

    Attributes
    ----------
    heads
        Number of cards.
    unit
        Width of a pattern, in scene units.
    origin : (3,)
        Middle of the rack's cards.
    kept_height
        Height of what is kept, in units.
    """

    heads: int
    unit: float
    origin: tuple[float, float, float]
    kept_height: float

    @property
    def spacing(self) -> float:
        """Depth from one card to the next."""
        return self.unit * min(APART, DEEPEST / max(1, self.heads - 1))

    @property
    def card(self) -> Box:
        """Box of every card."""
        return Box(self.origin[0], self.origin[1], CARD * self.unit, CARD * self.unit)

    @property
    def pattern(self) -> Box:
        """Box of every pattern."""
        return Box(self.origin[0], self.origin[1], self.unit, self.unit)

    @property
    def kept(self) -> Box:
        """Box of what is kept: a set of keys and values, or the latent."""
        height = self.kept_height * self.unit
        y = self.card.bottom - DROP * self.unit - height / 2
        return Box(self.origin[0], y, CARD * self.unit, height)

    @property
    def spine(self) -> float:
        """y of the spine of the lines from what is kept up to the cards."""
        return self.card.bottom - 0.5 * DROP * self.unit

    def depth_at(self, place: float) -> float:
        """Return z of a card, by its place from the front."""
        return self.origin[2] + self.spacing * ((self.heads - 1) / 2 - place)

    @property
    def corners(self) -> Points:
        """Corners (n, 3) of all of it."""
        near, far = self.depth_at(0), self.depth_at(self.heads - 1)
        return np.concatenate(
            [prism_corners(box, near, far) for box in (self.card, self.kept.grown(0.04))]
        )


@dataclass(frozen=True)
class CellLayout:
    """One of the four parts of the frame: a rack, its bar and its words.

    Attributes
    ----------
    rack
        Room for the rack, as it is seen.
    name, size
        Left end and right end of the line with its name and its size.
    bar
        The longest bar.
    cost
        Left end of the line below the bar.
    """

    rack: Box
    name: Point
    size: Point
    bar: Box
    cost: Point

    @classmethod
    def of(cls, cell: Box) -> CellLayout:
        """Lay out a part of the frame."""
        cost = cell.bottom + WORDS / 2
        bar = Box.of(cell.left, cell.right, cost + WORDS / 2 + GAP, cost + WORDS / 2 + GAP + BAR)
        name = bar.top + GAP + NAME / 2
        rack = Box.of(cell.left, cell.right, name + NAME / 2 + GAP, cell.top)
        return cls(rack, (cell.left, name), (cell.right, name), bar, (cell.left, cost))


@dataclass(frozen=True)
class AnswerLayout:
    """Where everything stands, and the shots.

    Attributes
    ----------
    frame
        The frame.
    heads
        Number of heads of the layer.
    """

    frame: Frame
    heads: int

    @cached_property
    def shot(self) -> Shot:
        """Shot of all four racks."""
        return Shot((0.0, 0.0, 0.0), self.frame.height, -TURN, TILT, LENS)

    @cached_property
    def title(self) -> Point:
        """Left end of the title."""
        stage = self.frame.stage
        return (stage.left, stage.top - WORDS / 2)

    @cached_property
    def cells(self) -> tuple[CellLayout, ...]:
        """The parts of the frame of the four ways."""
        stage = self.frame.stage
        room = Box.of(stage.left, stage.right, stage.bottom, stage.top - TITLE)
        if self.frame.tall:
            return tuple(CellLayout.of(row) for row in room.split_rows(4, gap=3 * GAP))
        rows = room.split_rows(2, gap=3 * GAP)
        return tuple(
            CellLayout.of(cell) for row in rows for cell in row.split_columns(2, gap=5 * GAP)
        )

    @cached_property
    def racks(self) -> tuple[RackLayout, ...]:
        """The four racks, all of one size."""
        kept = KEPT_UPRIGHT if self.frame.upright else KEPT
        one = RackLayout(self.heads, 1.0, (0.0, 0.0, 0.0), kept)
        seen = self._seen(one)
        room = self.cells[0].rack
        unit = min(room.width / seen.width, room.height / seen.height)
        # Perspective makes a near rack a little larger than a far one.
        return tuple(self._placed(0.98 * unit, kept, cell.rack) for cell in self.cells)

    def _seen(self, rack: RackLayout) -> Box:
        seen = self.shot.project(rack.corners, self.frame.height)[:, :2]
        return Box.between(seen.min(axis=0), seen.max(axis=0))

    def _placed(self, unit: float, kept: float, room: Box) -> RackLayout:
        """Return a rack that is seen in the middle of a part of the frame."""
        right, up, _ = self.shot.rotation()
        origin = np.zeros(3)
        rack = RackLayout(self.heads, unit, (0.0, 0.0, 0.0), kept)
        for _ in range(ROUNDS):
            seen = self._seen(rack)
            origin = origin + (room.x - seen.x) * right + (room.y - seen.y) * up
            x, y, z = (float(c) for c in origin)
            rack = RackLayout(self.heads, unit, (x, y, z), kept)
        return rack

    # The end

    @cached_property
    def latent(self) -> Box:
        """Box of the latent at the end, in the frame."""
        frame, kept = self.frame, self.racks[-1].kept
        square = frame.upright and not frame.tall
        width = (LATENT_SQUARE if square else LATENT) * frame.width
        height = width * kept.height / kept.width
        top = self.question[1] - NAME / 2 - 3 * GAP - HEADER
        x = frame.stage.right - width / 2 if frame.tall else frame.stage.x + 0.04 * frame.width
        return Box(x, top - height / 2, width, height)

    @cached_property
    def question(self) -> Point:
        """Middle of the question, at the top."""
        stage = self.frame.stage
        return (stage.x, stage.top - NAME / 2 - GAP)

    @property
    def front(self) -> Shot:
        """Shot of the latent from straight ahead, in its place of the end."""
        rack, box, frame = self.racks[-1], self.latent, self.frame
        scale = rack.kept.width / box.width
        z = rack.depth_at((rack.heads - 1) / 2)
        center = (rack.kept.x - scale * box.x, rack.kept.y - scale * box.y, z)
        # A lens so long that the eye stays in front of all cards.
        return Shot(center, scale * frame.height, 0.0, 0.0, LENS)

    def sentence(self, credits: int) -> Box:
        """Return the room for the sentence, above some lines of credits."""
        stage = self.frame.stage
        foot = self.credit(0, credits)[1] + NOTE / 2 + 2 * GAP
        return Box.of(stage.left, stage.right - 0.5, foot, self.latent.bottom - 2 * GAP)

    def credit(self, line: int, lines: int) -> Point:
        """Return the left end of a line of credits, at the foot of the frame."""
        stage = self.frame.stage
        return (stage.left, stage.bottom + NOTE / 2 + 1.4 * NOTE * (lines - 1 - line))
