"""Where the patterns of a whole model and the close-ups of single ones stand: pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import (
    FRAME_HEIGHT,
    NARROW,
    WORD_GAP,
    Box,
    Frame,
    column_points,
    row_points,
)

__all__ = [
    "DISPLAY",
    "CloseupLayout",
    "FieldLayout",
    "HabitsLayout",
    "WallLayout",
    "arc_shots",
    "closeup_layout",
    "field_layout",
    "frontal_shot",
    "gap_cells",
    "habits_layout",
    "wall_layout",
]

DISPLAY = 0.07  # size of the figure that matters, as a fraction of `FRAME_HEIGHT`

# Lengths are in scene units.
TITLE = 1.35 * DISPLAY * FRAME_HEIGHT  # height of the line with the figure above a wall
NOTES_GAP = 0.12  # between the notes at the top and the line above a much larger model
NUMBERS_LINE = 0.36  # height of the line of numbers above the columns
ROWS_ROOM = 0.8  # least width of the numbers beside the rows
DEPTH_ROOM = 0.5  # room for the arrow along the wall: from the first layer to the last
MAX_PITCH = 1.5  # largest distance between neighbouring patterns, for a small model
NUMBER_STEP = (0.7, 0.3)  # smallest distance between two numbers, across and down
STEPS = (1, 2, 5, 10, 20)  # every how manieth row or column has a number
SIDE = 5.3  # largest side of a pattern in a close-up
MAX_WORD = 1.45  # length of the longest word beside it
WORD_FILL = 0.9  # largest height of letters, as a part of the distance between two words
MAX_STRIP = 0.5  # largest width of the column of a hidden first token
STRIP_GAP = 0.16  # between that column and the pattern
NOTE_WIDTH = 5.2  # largest width of the notes
MIN_NOTE = 2.9  # width that is left for the notes when they stand at the right
NOTE_HEIGHT = 4.3  # height that is left for the notes when they stand below
COLOUR_BAR = (3.0, 0.16)  # width and height of the colour bar
COLOUR_BAR_DROP = 3.0  # from the first line of notes below a pattern down to the colour bar
NOTE_GAP = 0.75  # between a pattern and its notes
TURN, TILT = 52.0, 14.0  # angles of the camera that moves along the wall, in degrees
ARC_INSET = 0.36  # from the wall's end to where the camera looks first, in lengths of the wall
NEAREST = 0.58  # how far the wall may reach towards the eye; 1 is the eye
WALL_SHARE, WALL_SHARE_TALL = 0.54, 0.48  # part of the stage for the wall of another model
HABIT_GAP = 0.45  # between that wall and the patterns beside it, and between two of these
HABIT_NAME = 0.55  # height of the line that names a habit
HABIT_WORDS = 0.72  # height of the two lines below a pattern
NOTE_LINE = 0.25  # from one line of the note on places to the next
HABIT_COLUMNS = 1.17  # width of a pattern with the column of its first token, in sides
AWAY = 1.5  # from a wall to that of another model, in widths of the frame


def gap_cells(count: int) -> int:
    """Return how many cells are left free between neighbouring patterns of ``count`` rows."""
    return max(1, round(count / 10))


@dataclass(frozen=True)
class WallLayout:
    """Layout of the wall: one grid with every head's pattern, read as depth.

    Layers go across, from the left, and each is a column with a row for each head. In a frame
    that is higher than wide layers go down, each a row with a column for each head. Lengths are
    in scene units.

    Attributes
    ----------
    layers, heads
        Number of layers, and of heads in each.
    count
        Number of rows of a pattern.
    pitch
        Distance from one pattern to the next, across and down.
    corner
        (x, y) of the upper left corner of the first pattern.
    downward
        Whether layers go down.
    title
        (x, y) of the left end of the line that names the wall.
    """

    layers: int
    heads: int
    count: int
    pitch: float
    corner: tuple[float, float]
    downward: bool
    title: tuple[float, float]

    @property
    def side(self) -> float:
        """Side of a pattern, in scene units."""
        return self.pitch * self.count / (self.count + gap_cells(self.count))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return (self.layers, self.heads) if self.downward else (self.heads, self.layers)

    def grid_position(self, layer: int, head: int) -> tuple[int, int]:
        """Return row and column of a head's pattern."""
        return (layer, head) if self.downward else (head, layer)

    def tile(self, layer: int, head: int) -> Box:
        """Return the box of a head's pattern."""
        return self._tile_at(*self.grid_position(layer, head))

    def _tile_at(self, row: int, column: int) -> Box:
        left, top = self.corner
        left, top = left + self.pitch * column, top - self.pitch * row
        return Box.of(left, left + self.side, top - self.side, top)

    def layer_box(self, layer: int) -> Box:
        """Return the box around all patterns of a layer."""
        return Box.around([self.tile(layer, 0), self.tile(layer, self.heads - 1)])

    @property
    def box(self) -> Box:
        """Box around all patterns."""
        return Box.around([self.layer_box(0), self.layer_box(self.layers - 1)])

    @property
    def way(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ends (x, y) of the arrow along the wall, from the first layer to the last."""
        box, away = self.box, 0.55 * DEPTH_ROOM
        if self.downward:
            return (box.right + away, box.top), (box.right + away, box.bottom)
        return (box.left, box.bottom - away), (box.right, box.bottom - away)

    def row_numbers(self) -> Iterator[tuple[int, float, float]]:
        """Yield the layers or heads whose numbers fit beside their rows.

        Each comes as (number, x, y), with the point where the number ends.
        """
        for row in range(0, self.shape[0], self._every(NUMBER_STEP[1])):
            tile = self._tile_at(row, 0)
            yield row, tile.left - WORD_GAP, tile.y

    def column_numbers(self) -> Iterator[tuple[int, float, float]]:
        """Yield the heads or layers whose numbers fit above their columns.

        Each comes as (number, x, y), with the center of the number.
        """
        for column in range(0, self.shape[1], self._every(NUMBER_STEP[0])):
            tile = self._tile_at(0, column)
            yield column, tile.x, tile.top + NUMBERS_LINE / 2

    def _every(self, distance: float) -> int:
        """Return the step between numbered rows or columns that are at least a distance apart."""
        return next((s for s in STEPS if s * self.pitch >= distance), STEPS[-1])

    def moved(self, dx: float, dy: float) -> WallLayout:
        """Return the layout moved to the right and up."""
        (x, y), (left, line) = self.corner, self.title
        return replace(self, corner=(x + dx, y + dy), title=(left + dx, line + dy))


def wall_layout(
    frame: Frame,
    *,
    layers: int,
    heads: int,
    count: int,
    title: float = 0.0,
    names: float = 0.0,
    into: Box | None = None,
) -> WallLayout:
    """Lay out a wall so that its patterns are as large as the stage allows.

    Parameters
    ----------
    frame
        The picture's edge.
    layers, heads
        Number of layers, and of heads in each.
    count
        Number of rows of a pattern.
    title
        Width of the line that names the wall.
    names
        Largest width of what names the rows and the columns.
    into
        Room for the wall with all its words; the stage by default.
    """
    room, downward = into or frame.stage, frame.tall
    rows, columns = (layers, heads) if downward else (heads, layers)
    numbers = _rows_room(names)
    beside = numbers + (DEPTH_ROOM if downward else 0.0)
    above, below = TITLE + NUMBERS_LINE, 0.0 if downward else DEPTH_ROOM
    pitch = min(MAX_PITCH, (room.width - beside) / columns, (room.height - above - below) / rows)
    left = room.x - (beside + pitch * columns) / 2 + numbers
    top = room.y + (above + pitch * rows + below) / 2 - above
    start = max(room.left, min(left, room.right - title))
    line = top + NUMBERS_LINE + TITLE / 2
    return WallLayout(layers, heads, count, pitch, (left, top), downward, (start, line))


def _rows_room(names: float) -> float:
    """Return the width of the numbers beside the rows, where names of a width stand too."""
    return max(ROWS_ROOM, names + WORD_GAP)


def frontal_shot(box: Box, target: Box, frame: Frame) -> Shot:
    """Return the shot from straight ahead that shows ``box`` where the frame has ``target``."""
    scale = box.width / target.width
    center = (box.x - target.x * scale, box.y - target.y * scale, 0.0)
    return Shot(center=center, height=frame.height * scale)


def arc_shots(wall: Box, frame: Frame) -> tuple[Shot, Shot, Shot]:
    """Return three shots of a wall for a tour along it: of its start, its middle and its end.

    The tour goes to the right, or down if the wall is higher than wide. The shots are so far away
    that no part of the wall comes near the eye.
    """
    down = wall.height > wall.width
    length, across = (wall.height, wall.width) if down else (wall.width, wall.height)
    tilt = 0.0 if down else TILT
    inset = ARC_INSET * length
    turned, tilted = np.radians([TURN, tilt])
    towards = inset * np.sin(turned) * np.cos(tilted) + across / 2 * np.sin(tilted)
    seen = 0.9 * across * (frame.height / frame.width if down else 1.0)
    height = max(seen, float(towards) / (NEAREST * FOCAL))

    def shot(share: float) -> Shot:
        """Return the shot at -1, the start, to 1, the end."""
        x, y, _ = wall.center
        along = share * (length / 2 - inset)
        if down:
            return Shot((x, y - along, 0.0), height, 0.0, -TURN * share)
        return Shot((x + along, y, 0.0), height, TURN * share, tilt)

    return shot(-1), shot(0), shot(1)


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
        Left end of the top of the notes.
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
    stage, below = frame.stage, frame.tall
    beside = word_width + WORD_GAP + STRIP_GAP  # left of the pattern, without the hidden column
    above = max(word_width, hidden_word_width) + WORD_GAP
    if below:
        high = stage.height - above - NOTE_GAP - NOTE_HEIGHT
        wide = stage.width - beside
        side = min(high, wide - min(MAX_STRIP, wide / (count + 1)))
    else:
        wide = stage.width - beside - MAX_STRIP - NOTE_GAP - MIN_NOTE
        side = min(SIDE, stage.height - above, wide)
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
        top = stage.top - above - (stage.height - above - side) / 2
        note_left, note_top = left + side + NOTE_GAP, top
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
class HabitsLayout:
    """Layout of the wall of another model with patterns of two habits, one from each model.

    The patterns stand left of the wall; in a frame that is no wider than high, below.

    Attributes
    ----------
    wall
        The other model's wall.
    shot
        Shot that shows all this.
    patterns
        Box of each pattern with the column of its first token, by habit and by model.
    names
        (x, y) of the left end of the name of each habit.
    """

    wall: WallLayout
    shot: Shot
    patterns: tuple[tuple[Box, Box], ...]
    names: tuple[tuple[float, float], ...]


def habits_layout(
    frame: Frame,
    *,
    layers: int,
    heads: int,
    count: int,
    title: float,
    start: float,
    names: float = 0.0,
) -> HabitsLayout:
    """Lay out the wall of another model, and the patterns of two habits, left of another wall.

    Parameters
    ----------
    frame
        The picture's edge.
    layers, heads, count
        Of the other model: layers, heads in each, and rows of a pattern.
    title
        Width of the line that names its wall.
    start
        x that all this must not reach: it is far to the left.
    names
        Largest width of what names the wall's rows and columns.
    """
    stage = frame.stage

    def wall_in(room: Box) -> WallLayout:
        return wall_layout(
            frame, layers=layers, heads=heads, count=count, title=title, names=names, into=room
        )

    if frame.upright:
        share = WALL_SHARE_TALL if frame.tall else WALL_SHARE
        room = Box.of(stage.left, stage.right, stage.top - share * stage.height, stage.top)
        wall = wall_in(room)
        rest = Box.of(stage.left, stage.right, stage.bottom, room.bottom - HABIT_GAP)
    else:
        room = Box.of(stage.right - WALL_SHARE * stage.width, stage.right, stage.bottom, stage.top)
        wall = wall_in(room)
        wall = wall.moved(room.right - wall.box.right, 0.0)
        line, y = wall.title
        wall = replace(wall, title=(min(line, room.right - title), y))
        free = wall.corner[0] - _rows_room(names) - HABIT_GAP
        rest = Box.of(stage.left, free, stage.bottom, stage.top)
    in_a_row = frame.upright and not frame.tall
    halves = (rest.split_columns if in_a_row else rest.split_rows)(2, HABIT_GAP / 2)
    lines = HABIT_NAME + HABIT_WORDS
    away = start - AWAY * frame.width
    patterns, name_points = [], []
    for half in halves:
        side = min(half.height - lines, (half.width - HABIT_GAP) / 2 / HABIT_COLUMNS)
        top = half.y + (side + lines) / 2 - HABIT_NAME
        wide = side * HABIT_COLUMNS
        # What is left of the width is divided evenly around both.
        spare = (half.width - 2 * wide) / 3
        lefts = (half.left + spare, half.left + 2 * spare + wide)
        first, other = (Box.of(left + away, left + wide + away, top - side, top) for left in lefts)
        patterns.append((first, other))
        name_points.append((lefts[0] + away, top + HABIT_NAME / 2))
    shot = Shot(center=(away, 0.0, 0.0), height=frame.height)
    return HabitsLayout(wall.moved(away, 0.0), shot, tuple(patterns), tuple(name_points))


@dataclass(frozen=True)
class FieldLayout:
    """Layout of the places of a much larger model's patterns, around the wall of the traced one.

    Attributes
    ----------
    corner
        (x, y) of the upper left corner of the first place.
    pitch
        Distance from one place to the next, in scene units.
    places
        (row, column) of every place, by layer and head: (layers, heads, 2).
    shot
        Shot that shows all places in the frame.
    title
        (x, y) of the left end of the line that names the large model, in the frame.
    note
        Left end of the first line that explains the places, in the frame.
    """

    corner: tuple[float, float]
    pitch: float
    places: npt.NDArray[np.int_]
    shot: Shot
    title: tuple[float, float]
    note: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of the grid of places."""
        rows, columns = self.places.reshape(-1, 2).max(axis=0) + 1
        return int(rows), int(columns)


def field_layout(
    wall: WallLayout,
    frame: Frame,
    *,
    layers: int,
    heads: int,
    title: float,
    note: float,
    note_lines: int = 1,
) -> FieldLayout:
    """Lay out a place for each head of a large model, so that all fill the frame.

    A layer that is longer than fits is broken into several lanes beside one another.

    Parameters
    ----------
    wall
        Layout of the traced model's patterns, which stand in the first places.
    frame
        The picture's edge.
    layers, heads
        Number of layers, and of heads in each, of the large model.
    title, note
        Widths of the lines that name the large model and explain the places.
    note_lines
        Number of lines that explain the places.
    """
    stage, below = frame.stage, (1.8 if frame.width <= NARROW else 1.2) * NUMBERS_LINE
    below += NOTE_LINE * (note_lines - 1)
    room = Box.of(stage.left, stage.right, stage.bottom + below, stage.top - TITLE - NOTES_GAP)

    def shape(lanes: int) -> tuple[int, int]:
        """Return rows and columns if each layer has a number of lanes."""
        along, across = layers * lanes, math.ceil(heads / lanes)
        return (along, across) if wall.downward else (across, along)

    def size(lanes: int) -> float:
        rows, columns = shape(lanes)
        return min(room.width / columns, room.height / rows)

    lanes = max(range(1, heads + 1), key=size)
    rows, columns = shape(lanes)
    layer, head = np.mgrid[:layers, :heads]
    deep = math.ceil(heads / lanes)
    along, across = layer * lanes + head // deep, head % deep
    places = np.stack([along, across] if wall.downward else [across, along], axis=-1)
    gap = (wall.pitch - wall.side) / 2
    left, top = wall.corner[0] - gap, wall.corner[1] + gap
    step = size(lanes)
    seen = room.fit(step * columns, step * rows)
    whole = Box.of(left, left + columns * wall.pitch, top - rows * wall.pitch, top)
    start = max(stage.left, min(seen.left, stage.right - title))
    start_note = max(stage.left, min(seen.left, stage.right - note))
    return FieldLayout(
        corner=(left, top),
        pitch=wall.pitch,
        places=places,
        shot=frontal_shot(whole, seen, frame),
        title=(start, seen.top + TITLE / 2),
        note=(start_note, seen.bottom - 0.75 * NUMBERS_LINE),
    )
