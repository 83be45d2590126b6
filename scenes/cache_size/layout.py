"""Layouts of the scene about the size of the cache: pure geometry, scene units."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point

__all__ = ["DISPLAY", "ChartLayout", "SavingLayout", "TokenLayout", "WorkLayout"]

DISPLAY = 0.07  # size of the figure that matters, as a fraction of `FRAME_HEIGHT`
DISPLAY_LINE = DISPLAY * FRAME_HEIGHT

TITLE = 0.5  # height of the line above a picture that says what it counts
NAME = 0.5  # height of the line above a bar with its name
SIZE = 1.5  # width at the end of the longest bar for its size
THICK = 0.8  # thickness of a bar, as a share of its row without the name
FIRST_ROW = 1.4  # height of the first row, in heights of another
RULER = 0.34  # height of a row of tiles, as a share of the bar that they measure
RULER_GAP = 0.1  # between the bar and the tiles
BELOW_NOTES = 0.15  # room between the notes at the top and the title of an axis
TIES = 0.5  # from the ends of lines to their names, and a little more
COLUMN = 0.44  # width of a column, as a share of its place
COLUMN_WORDS = 1.05  # height of the words below columns
PICTURE = 0.36  # width of the pictures of readers left of the bars, as a share of the stage


@dataclass(frozen=True)
class TokenLayout:
    """Layout of four bars of one token, with a ruler of tiles below the first one.

    Attributes
    ----------
    title
        Left end of the line above.
    rows
        Box of each bar, as long as the longest may be.
    names
        Left end of the name of each bar.
    ruler
        Box of the tiles.
    verdict
        Right end of the line with the ratio, below the tiles, and of the words below it.
    """

    title: Point
    rows: tuple[Box, ...]
    names: tuple[Point, ...]
    ruler: Box
    verdict: tuple[Point, Point]

    @classmethod
    def of(cls, frame: Frame) -> TokenLayout:
        """Lay out the bars in a frame."""
        stage = frame.stage
        room = Box.of(stage.left, stage.right, stage.bottom, stage.top - TITLE)
        rows, names = [], []
        for box in room.split_rows((FIRST_ROW, 1, 1, 1)):
            names.append((box.left, box.top - NAME / 2))
            height = THICK * (room.height / (FIRST_ROW + 3) - NAME)
            top = box.top - NAME
            rows.append(Box.of(box.left, box.right - SIZE, top - height, top))
        first = rows[0]
        drop = first.bottom - RULER_GAP
        ruler = Box.of(first.left, first.right, drop - RULER * first.height, drop)
        return cls(
            title=(stage.left, stage.top - TITLE / 2),
            rows=tuple(rows),
            names=tuple(names),
            ruler=ruler,
            verdict=((ruler.right, ruler.bottom - 0.5), (ruler.right, ruler.bottom - 1.1)),
        )


@dataclass(frozen=True)
class ChartLayout:
    """Layout of a chart of lines that fills the stage, with names at the ends of its lines.

    Attributes
    ----------
    chart
        Box of the chart with all its labels.
    ties
        Width at its right beside that of the names.
    """

    chart: Box
    ties: float

    @classmethod
    def of(cls, frame: Frame) -> ChartLayout:
        """Lay out the chart in a frame."""
        stage = frame.stage
        return cls(Box.of(stage.left, stage.right, stage.bottom, stage.top - BELOW_NOTES), TIES)


@dataclass(frozen=True)
class WorkLayout:
    """Layout of rows: who reads a number, and a bar of the work that is done with it.

    Attributes
    ----------
    title
        Left end of the line above.
    pictures
        Box of the picture of the readers, for each row.
    bars
        Box of each bar, as long as the longest may be.
    names
        Left end of the name of each row.
    """

    title: Point
    pictures: tuple[Box, ...]
    bars: tuple[Box, ...]
    names: tuple[Point, ...]

    @classmethod
    def of(cls, frame: Frame, rows: int) -> WorkLayout:
        """Lay out the rows in a frame."""
        stage = frame.stage
        room = Box.of(stage.left, stage.right, stage.bottom, stage.top - TITLE)
        pictures, bars, names = [], [], []
        for box in room.split_rows(rows, 0.25):
            below = Box.of(box.left, box.right, box.bottom, box.top - NAME)
            picture, bar = below.split_columns((PICTURE, 1 - PICTURE), 0.35)
            names.append((box.left, box.top - NAME / 2))
            pictures.append(picture)
            high = min(0.75 * bar.height, 1.0)
            bars.append(Box(bar.x, bar.y, bar.width, high))
        return cls(
            title=(stage.left, stage.top - TITLE / 2),
            pictures=tuple(pictures),
            bars=tuple(bars),
            names=tuple(names),
        )


@dataclass(frozen=True)
class SavingLayout:
    """Layout of columns, from a published saving down to what it consists of.

    Attributes
    ----------
    columns
        Box of each column, as high as the highest may be.
    words
        Middle of the first line of words below each column.
    verdicts
        Right ends of two large figures, from the top.
    """

    columns: tuple[Box, ...]
    words: tuple[Point, ...]
    verdicts: tuple[Point, Point]

    @classmethod
    def of(cls, frame: Frame, count: int) -> SavingLayout:
        """Lay out a number of columns in a frame."""
        stage = frame.stage
        top = stage.top - TITLE - BELOW_NOTES
        if frame.tall:
            top -= 4.4
        room = Box.of(stage.left, stage.right, stage.bottom + COLUMN_WORDS, top)
        places = room.split_columns(count)
        columns = tuple(Box(p.x, p.y, COLUMN * p.width, p.height) for p in places)
        line = stage.top - 0.7 * DISPLAY_LINE
        return cls(
            columns=columns,
            words=tuple((p.x, room.bottom - 0.25) for p in places),
            verdicts=((stage.right, line), (stage.right, line - 2.1)),
        )
