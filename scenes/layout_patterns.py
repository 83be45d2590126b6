"""Where the patterns of a whole model stand, and how one is looked at: pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scenes.camera import FOCAL, Shot
from scenes.layout import FRAME_HEIGHT, WORD_GAP, Box, Frame, column_spots, row_spots

__all__ = [
    "EmptySlots",
    "StopSlots",
    "WallSlots",
    "arc",
    "empty_slots",
    "gap_cells",
    "onto",
    "stop_slots",
    "stop_word_size",
    "wall_slots",
]

TITLE = 0.5  # the line above a wall that names it
HEADS_LINE = 0.34  # the numbers of the heads
LAYER_ROOM = 0.78  # the numbers of the layers
BLOCK_GAP = 0.2
PITCH_MOST = 1.5  # patterns of a small model grow no larger
FEW_BLOCKS = 0.95  # fewer blocks are taken if patterns stay larger than this part of the best
ROW_MARK = 0.25  # least distance of two numbers below one another
COLUMN_MARK = 0.34  # and beside one another
SIDE = 4.5  # of a pattern looked at
WORD_MOST = 1.45  # its words are no longer
STRIP_MOST = 0.5  # width of the column for a token that is not drawn elsewhere
NOTE_WIDTH = 4.8  # of what is said about it
SCALE = (3.0, 0.16)  # a colour bar
NOTE_GAP = 0.75  # between it and what is said about it
TURN, TILT = 52.0, 14.0  # of the camera that goes along the wall
ARC_INSET = 0.36  # where it looks first and last, as a part of the wall's width from its end
NEAREST = 0.58  # how far towards the eye the wall may reach, 1 being the eye


def gap_cells(count: int) -> int:
    """Cells left free between neighbouring patterns of ``count`` rows."""
    return max(1, round(count / 10))


@dataclass(frozen=True)
class WallSlots:
    """Every head's pattern in its place: layers down, heads across, in blocks of layers.

    Attributes
    ----------
    layers, heads
        How many.
    count
        Rows of a pattern.
    rows
        Layers in each block but the last, which may have fewer.
    pitch
        From one pattern to the next, across and down.
    corners
        Upper left corner of each block.
    """

    layers: int
    heads: int
    count: int
    rows: int
    pitch: float
    corners: tuple[tuple[float, float], ...]

    @property
    def side(self) -> float:
        """Of a pattern."""
        return self.pitch * self.count / (self.count + gap_cells(self.count))

    def tile(self, layer: int, head: int) -> Box:
        """Where a head's pattern is."""
        block, row = divmod(layer, self.rows)
        left, top = self.corners[block]
        left, top = left + self.pitch * head, top - self.pitch * row
        return Box.of(left, left + self.side, top - self.side, top)

    def span(self, block: int) -> tuple[int, int]:
        """First layer of a block, and one past its last."""
        return block * self.rows, min(self.layers, (block + 1) * self.rows)

    def block(self, block: int) -> Box:
        """Around all patterns of a block."""
        return self.part(*self.span(block))

    def part(self, first: int, stop: int) -> Box:
        """Around all patterns of the layers [first, stop), which lie in one block."""
        return Box.around([self.tile(first, 0), self.tile(stop - 1, self.heads - 1)])

    @property
    def box(self) -> Box:
        """Around all patterns."""
        return Box.around(self.block(i) for i in range(len(self.corners)))

    @property
    def title(self) -> tuple[float, float]:
        """Left end and middle of the line that names the wall."""
        box = self.box
        return box.left, box.top + HEADS_LINE + TITLE / 2

    def layer_marks(self) -> Iterator[tuple[int, float, float]]:
        """Layers whose numbers fit, with the point where the number ends."""
        every = math.ceil(ROW_MARK / self.pitch)
        for layer in range(self.layers):
            if layer % self.rows % every == 0:
                tile = self.tile(layer, 0)
                yield layer, tile.left - WORD_GAP, tile.y

    def head_marks(self) -> Iterator[tuple[int, float, float]]:
        """Heads whose numbers fit, above each block, with the middle of the number."""
        every = math.ceil(COLUMN_MARK / self.pitch)
        for block in range(len(self.corners)):
            for head in range(0, self.heads, every):
                tile = self.tile(block * self.rows, head)
                yield head, tile.x, tile.top + HEADS_LINE / 2

    def stacked(self) -> WallSlots:
        """The same patterns with all layers below one another, from the same corner."""
        return WallSlots(
            self.layers, self.heads, self.count, self.layers, self.pitch, self.corners[:1]
        )


def wall_slots(frame: Frame, *, layers: int, heads: int, count: int) -> WallSlots:
    """Lay out a wall so that its patterns are about as large as the stage allows.

    Many layers of few heads would make a narrow tower, so they are set in blocks beside one
    another, like columns of a newspaper.
    """
    stage = frame.stage
    room = stage.height - TITLE - HEADS_LINE

    def pitch(blocks: int) -> float:
        width = stage.width - blocks * LAYER_ROOM - (blocks - 1) * BLOCK_GAP
        return min(PITCH_MOST, width / (blocks * heads), room / math.ceil(layers / blocks))

    best = max(pitch(blocks) for blocks in range(1, layers + 1))
    blocks = next(b for b in range(1, layers + 1) if pitch(b) >= FEW_BLOCKS * best)
    rows, step = math.ceil(layers / blocks), pitch(blocks)
    blocks = math.ceil(layers / rows)
    wide = LAYER_ROOM + step * heads
    left = stage.x - (blocks * wide + (blocks - 1) * BLOCK_GAP) / 2
    top = stage.y + (step * rows - TITLE - HEADS_LINE) / 2
    corners = tuple((left + LAYER_ROOM + i * (wide + BLOCK_GAP), top) for i in range(blocks))
    return WallSlots(layers, heads, count, rows, step, corners)


def onto(box: Box, slot: Box, frame: Frame) -> Shot:
    """The shot from straight ahead that shows a box of the scene in a slot of the frame."""
    scale = box.width / slot.width
    center = (box.x - slot.x * scale, box.y - slot.y * scale, 0.0)
    return Shot(center=center, height=frame.height * scale)


def arc(wall: Box) -> tuple[Shot, Shot, Shot]:
    """The camera's way along a wall: seen from the left, from ahead, and from the right.

    It stays so far away that no part of the wall comes near the eye.
    """
    inset = ARC_INSET * wall.width
    turn, tilt = np.radians([TURN, TILT])
    towards = inset * np.sin(turn) * np.cos(tilt) + wall.height / 2 * np.sin(tilt)
    height = max(0.9 * wall.height, float(towards) / (NEAREST * FOCAL))
    return (
        Shot((wall.left + inset, wall.y, 0.0), height, -TURN, TILT),
        Shot(wall.center, height, 0.0, TILT),
        Shot((wall.right - inset, wall.y, 0.0), height, TURN, TILT),
    )


@dataclass(frozen=True)
class StopSlots:
    """One pattern looked at, in the frame: its words on the left and above, notes on the right.

    Attributes
    ----------
    pattern
        Its cells.
    hidden
        A column for the token that is not drawn with the others.
    rows, columns
        Where the words of the rows end and those of the columns begin.
    rows_apart
        Where the words of the rows end when the hidden column stands between.
    notes
        Left end and middle of the first line of what is said.
    scale
        A colour bar.
    hidden_word
        Where the word of the hidden column begins.
    """

    pattern: Box
    hidden: Box
    rows: tuple[tuple[float, float], ...]
    rows_apart: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, float], ...]
    hidden_word: tuple[float, float]
    notes: tuple[float, float]
    scale: Box


def stop_slots(frame: Frame, *, count: int, word: float) -> StopSlots:
    """Lay out a pattern of ``count`` rows whose longest word has the length ``word``."""
    stage = frame.stage
    strip, apart = min(SIDE / count, STRIP_MOST), 0.16
    before = word + WORD_GAP + strip + apart
    left = stage.x - (before + SIDE + NOTE_GAP + NOTE_WIDTH) / 2 + before
    bottom = stage.bottom + (stage.height - SIDE - word - WORD_GAP) / 2
    pattern = Box.of(left, left + SIDE, bottom, bottom + SIDE)
    notes = pattern.right + NOTE_GAP
    hidden = Box.of(left - apart - strip, left - apart, pattern.bottom, pattern.top)
    return StopSlots(
        pattern=pattern,
        hidden=hidden,
        rows=row_spots(pattern.left - WORD_GAP, pattern, count),
        rows_apart=row_spots(hidden.left - WORD_GAP, pattern, count),
        columns=column_spots(pattern.top + WORD_GAP, pattern, count),
        hidden_word=(hidden.x, hidden.top + WORD_GAP),
        notes=(notes, pattern.top - 0.2),
        scale=Box.of(
            notes, notes + SCALE[0], pattern.bottom + 0.3, pattern.bottom + 0.3 + SCALE[1]
        ),
    )


def stop_word_size(count: int, most: float) -> float:
    """Text size of the words at a pattern of ``count`` rows: as the rows allow, or ``most``."""
    return min(most, 0.9 * SIDE / count / FRAME_HEIGHT)


@dataclass(frozen=True)
class EmptySlots:
    """The places of a much larger model's patterns, around a stacked wall's.

    Attributes
    ----------
    corner
        Upper left corner of the first place.
    pitch
        Side of a place.
    shot
        Shows all of them in the frame.
    title
        Left end and middle of the line that names them, in the frame.
    note
        Right end and middle of the line that says what they are.
    """

    corner: tuple[float, float]
    pitch: float
    shot: Shot
    title: tuple[float, float]
    note: tuple[float, float]


def empty_slots(wall: WallSlots, frame: Frame, *, layers: int, heads: int) -> EmptySlots:
    """Lay out ``layers`` x ``heads`` places of which the stacked wall fills the first ones."""
    stage = frame.stage
    gap = (wall.pitch - wall.side) / 2
    first = wall.stacked().tile(0, 0)
    left, top = first.left - gap, first.top + gap
    step = min(stage.width / heads, (stage.height - TITLE) / layers)
    seen = Box(stage.x, stage.bottom + layers * step / 2, heads * step, layers * step)
    whole = Box.of(left, left + heads * wall.pitch, top - layers * wall.pitch, top)
    line = seen.top + TITLE / 2
    return EmptySlots(
        corner=(left, top),
        pitch=wall.pitch,
        shot=onto(whole, seen, frame),
        title=(seen.left, line),
        note=(seen.right, line),
    )
