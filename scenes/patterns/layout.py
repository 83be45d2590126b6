"""Where the patterns of a whole model stand, and how one is looked at: pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import NARROW, WORD_GAP, Box, Frame, column_points, row_points

__all__ = [
    "EmptyLayout",
    "StopLayout",
    "WallLayout",
    "arc",
    "empty_layout",
    "gap_cells",
    "onto",
    "stop_layout",
    "wall_layout",
]

TITLE = 0.5  # a line above a wall that names it
TITLE_AIR = 0.3  # above such a line in a narrow frame
COLUMNS_LINE = 0.34  # the numbers above the columns
ROWS_ROOM = 0.78  # the numbers beside the rows
BLOCK_GAP = 0.2
MAX_PITCH = 1.5  # patterns of a small model grow no larger
FEW_BLOCKS = 0.95  # fewer blocks are taken if patterns stay larger than this part of the best
ROW_MARK = 0.25  # least distance of two numbers below one another
COLUMN_MARK = 0.34  # and beside one another
SIDE = 4.5  # of a pattern looked at
MAX_WORD = 1.45  # its words are no longer
WORD_FILL = 0.9  # of the distance of two words, the height of their letters
MAX_STRIP = 0.5  # width of the column for a token that is not drawn elsewhere
STRIP_GAP = 0.16
NOTE_WIDTH = 4.8  # of what is said about it
MIN_NOTE = 2.9
NOTE_HEIGHT = 3.2  # of the same where it is wide and stands below
SCALE = (3.0, 0.16)  # a colour bar
SCALE_DROP = 2.4  # from the first line of what is said below a pattern
NOTE_GAP = 0.75  # between it and what is said about it
TURN, TILT = 52.0, 14.0  # of the camera that goes along the wall
ARC_INSET = 0.36  # where it looks first and last, as a part of the wall's width from its end
NEAREST = 0.58  # how far towards the eye the wall may reach, 1 being the eye


def gap_cells(count: int) -> int:
    """Cells left free between neighbouring patterns of ``count`` rows."""
    return max(1, round(count / 10))


@dataclass(frozen=True)
class WallLayout:
    """Every head's pattern in its place, in blocks of layers.

    A layer is a row with a column for each head; in a frame that is higher than wide it is a
    column with a row for each head.

    Attributes
    ----------
    layers, heads
        How many.
    count
        Rows of a pattern.
    span_most
        Layers in each block but the last, which may have fewer.
    pitch
        From one pattern to the next, across and down.
    corners
        Upper left corner of each block.
    upright
        Whether layers are columns.
    """

    layers: int
    heads: int
    count: int
    span_most: int
    pitch: float
    corners: tuple[tuple[float, float], ...]
    upright: bool = False

    @property
    def side(self) -> float:
        """Of a pattern."""
        return self.pitch * self.count / (self.count + gap_cells(self.count))

    @property
    def names(self) -> tuple[str, str]:
        """What a row and a column are called."""
        return ("head", "layer") if self.upright else ("layer", "head")

    def place(self, layer: int, head: int) -> tuple[int, int]:
        """Row and column of a head's pattern in its block."""
        inside = layer % self.span_most
        return (head, inside) if self.upright else (inside, head)

    def shape(self, block: int) -> tuple[int, int]:
        """Rows and columns of a block."""
        first, stop = self.span(block)
        return (self.heads, stop - first) if self.upright else (stop - first, self.heads)

    def tile(self, layer: int, head: int) -> Box:
        """Where a head's pattern is."""
        return self._at(layer // self.span_most, *self.place(layer, head))

    def _at(self, block: int, row: int, column: int) -> Box:
        left, top = self.corners[block]
        left, top = left + self.pitch * column, top - self.pitch * row
        return Box.of(left, left + self.side, top - self.side, top)

    def span(self, block: int) -> tuple[int, int]:
        """First layer of a block, and one past its last."""
        return block * self.span_most, min(self.layers, (block + 1) * self.span_most)

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
        return box.left, box.top + COLUMNS_LINE + TITLE / 2

    def row_marks(self) -> Iterator[tuple[int, float, float]]:
        """Layers or heads whose numbers fit beside their row, with the point where they end."""
        every = math.ceil(ROW_MARK / self.pitch)
        for block in range(len(self.corners)):
            first = 0 if self.upright else self.span(block)[0]
            for row in range(0, self.shape(block)[0], every):
                tile = self._at(block, row, 0)
                yield first + row, tile.left - WORD_GAP, tile.y

    def column_marks(self, block: int) -> Iterator[tuple[int, float, float]]:
        """Heads or layers whose numbers fit above a block, with the middle of the number."""
        every = math.ceil(COLUMN_MARK / self.pitch)
        first = self.span(block)[0] if self.upright else 0
        for column in range(0, self.shape(block)[1], every):
            tile = self._at(block, 0, column)
            yield first + column, tile.x, tile.top + COLUMNS_LINE / 2

    def stacked(self) -> WallLayout:
        """The same patterns with all layers in one block, from the same corner."""
        return replace(self, span_most=self.layers, corners=self.corners[:1])


def wall_layout(frame: Frame, *, layers: int, heads: int, count: int) -> WallLayout:
    """Lay out a wall so that its patterns are about as large as the stage allows.

    Many layers of few heads would make a narrow tower, so they are set in blocks beside one
    another, like columns of a newspaper. In a frame that is higher than wide the wall lies on
    its side: layers go across, and the blocks stand below one another.
    """
    stage, upright = frame.stage, frame.height > frame.width

    def pitch(blocks: int) -> float:
        """As large as both the width and the height allow."""
        each = math.ceil(layers / blocks)
        rows, columns = (blocks * heads, each) if upright else (each, blocks * heads)
        across, down = (1, blocks) if upright else (blocks, 1)
        width = stage.width - across * ROWS_ROOM - (across - 1) * BLOCK_GAP
        height = stage.height - TITLE - down * COLUMNS_LINE - (down - 1) * BLOCK_GAP
        return min(MAX_PITCH, width / columns, height / rows)

    best = max(pitch(blocks) for blocks in range(1, layers + 1))
    blocks = next(b for b in range(1, layers + 1) if pitch(b) >= FEW_BLOCKS * best)
    each, step = math.ceil(layers / blocks), pitch(blocks)
    blocks = math.ceil(layers / each)
    if upright:
        wide, high = ROWS_ROOM + step * each, COLUMNS_LINE + step * heads
        left = stage.x - wide / 2 + ROWS_ROOM
        top = stage.y + (blocks * high + (blocks - 1) * BLOCK_GAP - TITLE) / 2 - COLUMNS_LINE
        corners = tuple((left, top - i * (high + BLOCK_GAP)) for i in range(blocks))
    else:
        wide = ROWS_ROOM + step * heads
        left = stage.x - (blocks * wide + (blocks - 1) * BLOCK_GAP) / 2 + ROWS_ROOM
        top = stage.y + (step * each - TITLE - COLUMNS_LINE) / 2
        corners = tuple((left + i * (wide + BLOCK_GAP), top) for i in range(blocks))
    return WallLayout(layers, heads, count, each, step, corners, upright)


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
class StopLayout:
    """One pattern looked at, in the frame: its words on the left and above, and notes.

    The notes stand on the right; in a frame that is higher than wide, below.

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
    named
        The rows and columns that have a word: all of them, if the words can be read.
    word_size
        Height of their letters, in scene units.
    hidden_word
        Where the word of the hidden column begins.
    notes
        Left end and middle of the first line of what is said.
    note_width
        How wide its lines may be.
    scale
        A colour bar.
    """

    pattern: Box
    hidden: Box
    rows: tuple[tuple[float, float], ...]
    rows_apart: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, float], ...]
    named: tuple[int, ...]
    word_size: float
    hidden_word: tuple[float, float]
    notes: tuple[float, float]
    note_width: float
    scale: Box


def stop_layout(
    frame: Frame, *, count: int, word: float, hidden_word: float, sizes: tuple[float, float]
) -> StopLayout:
    """Lay out a pattern of ``count`` rows.

    Parameters
    ----------
    frame
        The picture's edge.
    count
        Rows of the pattern.
    word
        Length of its longest word.
    hidden_word
        Length of the word above the hidden column; 0 if there is none.
    sizes
        Height of the letters of its words where there is room, and the least at which they can
        be read.
    """
    stage, below = frame.stage, frame.height > frame.width
    beside = word + WORD_GAP + STRIP_GAP  # left of the pattern, without the hidden column
    above = max(word, hidden_word) + WORD_GAP
    if below:
        high = stage.height - above - NOTE_GAP - NOTE_HEIGHT
        wide = stage.width - beside
        side = min(high, wide - min(MAX_STRIP, wide / (count + 1)))
    else:
        side = min(SIDE, stage.width - beside - MAX_STRIP - NOTE_GAP - MIN_NOTE)
    strip = min(side / count, MAX_STRIP)
    before = beside + strip
    if below:
        left = stage.x - (before + side) / 2 + before
        spare = stage.height - above - side - NOTE_GAP - NOTE_HEIGHT
        top = stage.top - above - spare / 3
        note_left, note_top, width = left, top - side - NOTE_GAP, side
    else:
        width = min(NOTE_WIDTH, stage.width - before - side - NOTE_GAP)
        left = stage.x - (before + side + NOTE_GAP + width) / 2 + before
        top = stage.bottom + (stage.height - side - word - WORD_GAP) / 2 + side
        top = min(top, stage.top - above)
        note_left, note_top = left + side + NOTE_GAP, top - 0.2
    pattern = Box.of(left, left + side, top - side, top)
    hidden = Box.of(left - STRIP_GAP - strip, left - STRIP_GAP, pattern.bottom, pattern.top)
    size, least = sizes
    every = math.ceil(least * count / (WORD_FILL * side) - 1e-9)
    scale_bottom = note_top - SCALE_DROP if below else pattern.bottom + 0.3
    return StopLayout(
        pattern=pattern,
        hidden=hidden,
        rows=row_points(pattern.left - WORD_GAP, pattern, count),
        rows_apart=row_points(hidden.left - WORD_GAP, pattern, count),
        columns=column_points(pattern.top + WORD_GAP, pattern, count),
        named=tuple(sorted(range(count - 1, -1, -every))),
        word_size=min(size, WORD_FILL * side / count * every),
        hidden_word=(hidden.x, hidden.top + WORD_GAP),
        notes=(note_left, note_top),
        note_width=width,
        scale=Box.of(
            note_left, note_left + min(SCALE[0], width), scale_bottom, scale_bottom + SCALE[1]
        ),
    )


@dataclass(frozen=True)
class EmptyLayout:
    """The places of a much larger model's patterns, around a stacked wall's.

    Attributes
    ----------
    corner
        Upper left corner of the first place.
    pitch
        Side of a place.
    first, whole
        Rows and columns of the places that are filled, and of all.
    shot
        Shows all of them in the frame.
    title
        Left end and middle of each line that names them, in the frame.
    note
        Right end and middle of the line that says what they are.
    """

    corner: tuple[float, float]
    pitch: float
    first: tuple[int, int]
    whole: tuple[int, int]
    shot: Shot
    title: tuple[tuple[float, float], ...]
    note: tuple[float, float]


def empty_layout(
    wall: WallLayout, frame: Frame, *, layers: int, heads: int, title: Sequence[float], note: float
) -> EmptyLayout:
    """Lay out ``layers`` x ``heads`` places of which the stacked wall fills the first ones.

    Parameters
    ----------
    wall
        The small model's.
    frame
        The picture's edge.
    layers, heads
        Of the large model.
    title
        Widths of the lines that name it.
    note
        Width of the line that says what the places are; where it does not fit beside the last of
        the title's, it has one of its own.
    """
    stage = frame.stage
    gap = (wall.pitch - wall.side) / 2
    stacked = wall.stacked()
    corner = stacked.tile(0, 0)
    left, top = corner.left - gap, corner.top + gap
    rows, columns = (heads, layers) if wall.upright else (layers, heads)
    own_line = title[-1] + NOTE_GAP + note > stage.width
    above = TITLE * len(title) + (COLUMNS_LINE if own_line else 0.0)
    room = stage.height - above - (TITLE_AIR if frame.width <= NARROW else 0.0)
    step = min(stage.width / columns, room / rows)
    width, height = columns * step, rows * step
    # In a frame that is not wide what is left free is shared between above and below, and the
    # words may be wider than the places.
    spare = room - height if frame.width <= NARROW else 0.0
    widest = max(width, note, *title) if frame.width <= NARROW else width
    start = stage.x - widest / 2
    seen = Box.of(start, start + width, stage.bottom + spare / 2, stage.bottom + spare / 2 + height)
    whole = Box.of(left, left + columns * wall.pitch, top - rows * wall.pitch, top)
    line = seen.top + above - TITLE / 2
    return EmptyLayout(
        corner=(left, top),
        pitch=wall.pitch,
        first=stacked.shape(0),
        whole=(rows, columns),
        shot=onto(whole, seen, frame),
        title=tuple((seen.left, line - TITLE * i) for i in range(len(title))),
        note=(start + note, seen.top + COLUMNS_LINE / 2)
        if own_line
        else (seen.right, seen.top + TITLE / 2),
    )
