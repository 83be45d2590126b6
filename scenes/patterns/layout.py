"""Where the patterns of a whole model and the close-ups of single ones stand: pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import NARROW, WORD_GAP, Box, Frame, column_points, row_points

__all__ = [
    "CloseupLayout",
    "EmptyWallLayout",
    "TwoWallsLayout",
    "WallLayout",
    "arc_shots",
    "closeup_layout",
    "empty_wall_layout",
    "frontal_shot",
    "gap_cells",
    "two_walls_layout",
    "wall_layout",
]

# Lengths are in scene units.
TITLE = 0.5  # height of the line above the wall that names it
TITLE_AIR = 0.3  # free height above that line in a narrow frame
COLUMNS_LINE = 0.34  # height of the line of numbers above the columns
ROWS_ROOM = 0.78  # width of the numbers beside the rows
BLOCK_GAP = 0.2  # between two blocks
MAX_PITCH = 1.5  # largest distance between neighbouring patterns, for a small model
FEW_BLOCKS = 0.95  # take the fewest blocks whose pitch is at least this part of the largest
ROW_NUMBER_STEP = 0.25  # smallest distance between two numbers below one another
COLUMN_NUMBER_STEP = 0.34  # smallest distance between two numbers side by side
WALLS_GAP = 0.7  # between the walls of two models that stand side by side
WALLS_AIR = 0.25  # between the words of two that stand one above the other
WALL_NOTE = 0.56  # height of the line below each of them
SMALLER = 0.55  # smallest pitch of the first wall, as a part of that of the second
BLOCKS_APART = 0.6  # between two blocks of the first wall then, in pitches
SIDE = 4.5  # largest side of a pattern in a close-up
MAX_WORD = 1.45  # length of the longest word beside it
WORD_FILL = 0.9  # largest height of letters, as a part of the distance between two words
MAX_STRIP = 0.5  # largest width of the column of a hidden first token
STRIP_GAP = 0.16  # between that column and the pattern
NOTE_WIDTH = 4.8  # largest width of the notes
MIN_NOTE = 2.9  # width that is left for the notes when they stand at the right
NOTE_HEIGHT = 3.2  # height that is left for the notes when they stand below
COLOUR_BAR = (3.0, 0.16)  # width and height of the colour bar
COLOUR_BAR_DROP = 2.4  # from the first line of notes below a pattern down to the colour bar
NOTE_GAP = 0.75  # between a pattern and its notes
TURN, TILT = 52.0, 14.0  # angles of the camera that moves along the wall, in degrees
ARC_INSET = 0.36  # from the wall's end to where the camera looks first, in widths of the wall
NEAREST = 0.58  # how far the wall may reach towards the eye; 1 is the eye


def gap_cells(count: int) -> int:
    """Return how many cells are left free between neighbouring patterns of ``count`` rows."""
    return max(1, round(count / 10))


@dataclass(frozen=True)
class WallLayout:
    """Layout of the wall: a grid with every head's pattern, in blocks of layers.

    A layer is a row with a column for each head; in a frame that is higher than wide it is a
    column with a row for each head. Lengths are in scene units.

    Attributes
    ----------
    layers, heads
        Number of layers, and of heads in each.
    count
        Number of rows of a pattern.
    layers_per_block
        Layers in each block but the last, which may have fewer.
    pitch
        Distance from one pattern to the next, across and down.
    corners
        (x, y) of the upper left corner of each block.
    upright
        Whether layers are columns.
    """

    layers: int
    heads: int
    count: int
    layers_per_block: int
    pitch: float
    corners: tuple[tuple[float, float], ...]
    upright: bool = False

    @property
    def side(self) -> float:
        """Side of a pattern, in scene units."""
        return self.pitch * self.count / (self.count + gap_cells(self.count))

    @property
    def axis_names(self) -> tuple[str, str]:
        """What a row and a column stand for: "layer" and "head", or the reverse."""
        return ("head", "layer") if self.upright else ("layer", "head")

    def grid_position(self, layer: int, head: int) -> tuple[int, int]:
        """Return row and column of a head's pattern in its block."""
        inside = layer % self.layers_per_block
        return (head, inside) if self.upright else (inside, head)

    def shape(self, block: int) -> tuple[int, int]:
        """Return the numbers of rows and columns of a block."""
        first, stop = self.span(block)
        return (self.heads, stop - first) if self.upright else (stop - first, self.heads)

    def tile(self, layer: int, head: int) -> Box:
        """Return the box of a head's pattern."""
        return self._tile_at(layer // self.layers_per_block, *self.grid_position(layer, head))

    def _tile_at(self, block: int, row: int, column: int) -> Box:
        left, top = self.corners[block]
        left, top = left + self.pitch * column, top - self.pitch * row
        return Box.of(left, left + self.side, top - self.side, top)

    def span(self, block: int) -> tuple[int, int]:
        """Return the first layer of a block, and one past its last."""
        return block * self.layers_per_block, min(self.layers, (block + 1) * self.layers_per_block)

    def block_box(self, block: int) -> Box:
        """Return the box around all patterns of a block."""
        return self.layers_box(*self.span(block))

    def layers_box(self, first: int, stop: int) -> Box:
        """Return the box around the layers [first, stop), which lie in one block."""
        return Box.around([self.tile(first, 0), self.tile(stop - 1, self.heads - 1)])

    @property
    def box(self) -> Box:
        """Box around all patterns."""
        return Box.around(self.block_box(i) for i in range(len(self.corners)))

    @property
    def title(self) -> tuple[float, float]:
        """(x, y) of the left end of the line that names the wall."""
        box = self.box
        return box.left, box.top + COLUMNS_LINE + TITLE / 2

    def row_numbers(self) -> Iterator[tuple[int, float, float]]:
        """Yield the layers or heads whose numbers fit beside their rows.

        Each comes as (number, x, y), with the point where the number ends.
        """
        every = math.ceil(ROW_NUMBER_STEP / self.pitch)
        for block in range(len(self.corners)):
            first = 0 if self.upright else self.span(block)[0]
            for row in range(0, self.shape(block)[0], every):
                tile = self._tile_at(block, row, 0)
                yield first + row, tile.left - WORD_GAP, tile.y

    def column_numbers(self, block: int) -> Iterator[tuple[int, float, float]]:
        """Yield the heads or layers whose numbers fit above a block.

        Each comes as (number, x, y), with the center of the number.
        """
        every = math.ceil(COLUMN_NUMBER_STEP / self.pitch)
        first = self.span(block)[0] if self.upright else 0
        for column in range(0, self.shape(block)[1], every):
            tile = self._tile_at(block, 0, column)
            yield first + column, tile.x, tile.top + COLUMNS_LINE / 2

    def stacked(self) -> WallLayout:
        """Return the layout with all layers in one block, from the same corner."""
        return replace(self, layers_per_block=self.layers, corners=self.corners[:1])


def wall_layout(frame: Frame, *, layers: int, heads: int, count: int) -> WallLayout:
    """Lay out a wall so that its patterns are about as large as the stage allows.

    Many layers of few heads would make a narrow tower, so they are set in blocks beside one
    another, like columns of a newspaper. In a frame that is higher than wide the layers go
    across, and the blocks stand below one another.

    Parameters
    ----------
    frame
        The picture's edge.
    layers, heads
        Number of layers, and of heads in each.
    count
        Number of rows of a pattern.
    """
    stage, upright = frame.stage, frame.height > frame.width

    def pitch(blocks: int) -> float:
        """Return the largest pitch that both the width and the height allow."""
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


@dataclass(frozen=True)
class TwoWallsLayout:
    """Layout of the walls of two models: beside one another, or one above the other.

    Each has a line above it and two below. Points are (x, y) of the left ends of these lines.

    Attributes
    ----------
    first, second
        The walls. The second one is as large as the frame allows, the first may be smaller.
    room
        How wide the lines of each of them may be.
    """

    first: WallLayout
    second: WallLayout
    room: tuple[float, float]

    @staticmethod
    def title(wall: WallLayout) -> tuple[float, float]:
        """Return the left end of the line that names a wall."""
        return wall.box.left, wall.box.top + TITLE / 2

    @staticmethod
    def note(wall: WallLayout) -> tuple[float, float]:
        """Return the left end of the first line below a wall."""
        return wall.box.left, wall.box.bottom - WALL_NOTE / 2

    @staticmethod
    def place(wall: WallLayout) -> tuple[float, float]:
        """Return the left end of the second line below a wall."""
        return wall.box.left, wall.box.bottom - WALL_NOTE - COLUMNS_LINE / 2


def two_walls_layout(
    frame: Frame, first: WallLayout, *, layers: int, heads: int, count: int
) -> TwoWallsLayout:
    """Lay out the wall of another model with one that is there already.

    They stand beside one another or one above the other, where the second can be larger.

    Parameters
    ----------
    frame
        The picture's edge.
    first
        The wall that is there; it keeps its blocks.
    layers, heads, count
        Of the other model: layers, heads in each, and rows of a pattern.
    """
    stage, upright = frame.stage, first.upright
    blocks = len(first.corners)
    in_block = first.shape(0)
    rows, columns = (
        number * times + BLOCKS_APART * (times - 1)
        for number, times in zip(in_block, (blocks, 1) if upright else (1, blocks), strict=True)
    )
    other_rows, other_columns = (heads, layers) if upright else (layers, heads)
    words = TITLE + WALL_NOTE + COLUMNS_LINE

    def pitches(stacked: bool) -> tuple[float, float]:
        """Return the pitch of the second wall and that of the first."""
        width, height = stage.width, stage.height - words
        if stacked:
            height -= words + WALLS_AIR
            pitch = min(width / other_columns, height / (other_rows + SMALLER * rows), MAX_PITCH)
            return pitch, min(pitch, width / columns, (height - pitch * other_rows) / rows)
        width -= WALLS_GAP
        pitch = min(height / other_rows, width / (other_columns + SMALLER * columns), MAX_PITCH)
        return pitch, min(pitch, height / rows, (width - pitch * other_columns) / columns)

    stacked = pitches(True) > pitches(False)
    pitch, step = pitches(stacked)
    sizes = (step * columns, step * rows), (pitch * other_columns, pitch * other_rows)
    (wide, high), (other_wide, other_high) = sizes
    if stacked:
        left = stage.x - max(wide, other_wide) / 2
        top = stage.y + (2 * words + WALLS_AIR + high + other_high) / 2 - TITLE
        other_left, other_top = left, top - high - words - WALLS_AIR
        room = (stage.right - left,) * 2
    else:
        left = stage.x - (wide + WALLS_GAP + other_wide) / 2
        top = stage.y + (words + max(high, other_high)) / 2 - TITLE
        other_left, other_top = left + wide + WALLS_GAP, top
        room = wide, stage.right - other_left
    # From one block of the first wall to the next.
    stride = step * (in_block[0 if upright else 1] + BLOCKS_APART)
    corners = tuple(
        (left, top - stride * i) if upright else (left + stride * i, top) for i in range(blocks)
    )
    return TwoWallsLayout(
        replace(first, pitch=step, corners=corners),
        WallLayout(layers, heads, count, layers, pitch, ((other_left, other_top),), upright),
        room,
    )


def frontal_shot(box: Box, target: Box, frame: Frame) -> Shot:
    """Return the shot from straight ahead that shows ``box`` where the frame has ``target``."""
    scale = box.width / target.width
    center = (box.x - target.x * scale, box.y - target.y * scale, 0.0)
    return Shot(center=center, height=frame.height * scale)


def arc_shots(wall: Box) -> tuple[Shot, Shot, Shot]:
    """Return three shots of a wall for a tour along it: from the left, ahead, and the right.

    They are so far away that no part of the wall comes near the eye.
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
class CloseupLayout:
    """Layout of a close-up: one pattern with its words on the left and above, and notes.

    The notes stand on the right; in a frame that is higher than wide, below. Lengths are in
    scene units, points are (x, y).

    Attributes
    ----------
    pattern
        Box of the pattern's cells.
    hidden
        Box of the column of a first token that is not drawn with the others.
    row_words, column_words
        Points where the words of the rows end and those of the columns begin.
    row_words_apart
        Points where the words of the rows end when the hidden column stands between.
    labelled
        Rows and columns that have a word: all of them, if the words can be read.
    word_size
        Height of the words' letters.
    hidden_word
        Point where the word of the hidden column begins.
    notes
        Left end of the first line of the notes.
    note_width
        Largest width of the lines of the notes.
    colour_bar
        Box of the colour bar.
    """

    pattern: Box
    hidden: Box
    row_words: tuple[tuple[float, float], ...]
    row_words_apart: tuple[tuple[float, float], ...]
    column_words: tuple[tuple[float, float], ...]
    labelled: tuple[int, ...]
    word_size: float
    hidden_word: tuple[float, float]
    notes: tuple[float, float]
    note_width: float
    colour_bar: Box


def closeup_layout(
    frame: Frame,
    *,
    count: int,
    word_width: float,
    hidden_word_width: float,
    sizes: tuple[float, float],
) -> CloseupLayout:
    """Lay out a close-up of a pattern.

    Parameters
    ----------
    frame
        The picture's edge.
    count
        Number of rows of the pattern.
    word_width
        Width of its longest word.
    hidden_word_width
        Width of the word above the hidden column; 0 if there is none.
    sizes
        Largest and smallest height of the words' letters; smaller ones cannot be read.
    """
    stage, below = frame.stage, frame.height > frame.width
    beside = word_width + WORD_GAP + STRIP_GAP  # left of the pattern, without the hidden column
    above = max(word_width, hidden_word_width) + WORD_GAP
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
        top = stage.bottom + (stage.height - side - word_width - WORD_GAP) / 2 + side
        top = min(top, stage.top - above)
        note_left, note_top = left + side + NOTE_GAP, top - 0.2
    pattern = Box.of(left, left + side, top - side, top)
    hidden = Box.of(left - STRIP_GAP - strip, left - STRIP_GAP, pattern.bottom, pattern.top)
    size, least = sizes
    every = math.ceil(least * count / (WORD_FILL * side) - 1e-9)
    bar_bottom = note_top - COLOUR_BAR_DROP if below else pattern.bottom + 0.3
    return CloseupLayout(
        pattern=pattern,
        hidden=hidden,
        row_words=row_points(pattern.left - WORD_GAP, pattern, count),
        row_words_apart=row_points(hidden.left - WORD_GAP, pattern, count),
        column_words=column_points(pattern.top + WORD_GAP, pattern, count),
        labelled=tuple(sorted(range(count - 1, -1, -every))),
        word_size=min(size, WORD_FILL * side / count * every),
        hidden_word=(hidden.x, hidden.top + WORD_GAP),
        notes=(note_left, note_top),
        note_width=width,
        colour_bar=Box.of(
            note_left, note_left + min(COLOUR_BAR[0], width), bar_bottom, bar_bottom + COLOUR_BAR[1]
        ),
    )


@dataclass(frozen=True)
class EmptyWallLayout:
    """Layout of the empty grid of a much larger model, around the wall in one block.

    Attributes
    ----------
    corner
        (x, y) of the upper left corner of the grid.
    pitch
        Side of a cell of the grid, in scene units.
    traced_shape, shape
        Rows and columns that the traced model fills, and of the whole grid.
    shot
        Shot that shows the whole grid in the frame.
    title
        Left end of each line that names the large model, in the frame.
    note
        Right end of the line that explains the grid, in the frame.
    """

    corner: tuple[float, float]
    pitch: float
    traced_shape: tuple[int, int]
    shape: tuple[int, int]
    shot: Shot
    title: tuple[tuple[float, float], ...]
    note: tuple[float, float]


def empty_wall_layout(
    wall: WallLayout, frame: Frame, *, layers: int, heads: int, title: Sequence[float], note: float
) -> EmptyWallLayout:
    """Lay out a grid of ``layers`` x ``heads`` cells whose first cells the traced model fills.

    Parameters
    ----------
    wall
        Layout of the traced model's patterns.
    frame
        The picture's edge.
    layers, heads
        Number of layers, and of heads in each, of the large model.
    title
        Widths of the lines that name the large model.
    note
        Width of the line that explains the grid. Where it does not fit beside the last line of
        the title, it stands on a line of its own.
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
    # In a narrow frame the free height is shared between above and below, and the words may be
    # wider than the grid.
    spare = room - height if frame.width <= NARROW else 0.0
    widest = max(width, note, *title) if frame.width <= NARROW else width
    start = stage.x - widest / 2
    seen = Box.of(start, start + width, stage.bottom + spare / 2, stage.bottom + spare / 2 + height)
    whole = Box.of(left, left + columns * wall.pitch, top - rows * wall.pitch, top)
    line = seen.top + above - TITLE / 2
    return EmptyWallLayout(
        corner=(left, top),
        pitch=wall.pitch,
        traced_shape=stacked.shape(0),
        shape=(rows, columns),
        shot=frontal_shot(whole, seen, frame),
        title=tuple((seen.left, line - TITLE * i) for i in range(len(title))),
        note=(start + note, seen.top + COLUMNS_LINE / 2)
        if own_line
        else (seen.right, seen.top + TITLE / 2),
    )
