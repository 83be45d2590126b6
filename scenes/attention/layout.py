"""Where the steps of one head stand while they are looked at from close by: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import (
    FRAME_HEIGHT,
    HEADER,
    NARROW,
    WORD_GAP,
    Box,
    Frame,
    Point,
    column_points,
    row_points,
    shot_box,
)
from filmkit.mobjects.head_layout import SCORES_NAME, HeadLayout

__all__ = [
    "MeetLayout",
    "MixLayout",
    "RemarkLayout",
    "RowColumn",
    "RowLayout",
    "SoftmaxLayout",
    "meet_layout",
    "mix_layout",
    "remark_layout",
    "row_layout",
    "softmax_layout",
]

NOTE_ROOM = 0.36  # for a line of small words below some rows
LISTS_APART = 0.6  # down, between two lists of rows
NAME_LINE = 0.28  # from a panel up to the middle of the line of its name
TALL_AIR = 0.9  # above and below a picture that would be too high in a tall frame


@dataclass(frozen=True)
class RowColumn:
    """Rows that stand apart, each with a dial and a word on its left.

    Attributes
    ----------
    rows, words, dials
        Boxes of the rows, where the words end, and centers of the dials.
    whole
        All rows.
    note
        Where a line of small words about them ends.
    """

    rows: tuple[Box, ...]
    words: tuple[Point, ...]
    dials: tuple[Point, ...]
    whole: Box
    note: Point


@dataclass(frozen=True)
class RowLayout:
    """Queries on the left or above, and keys; ``dial`` is a dial's radius."""

    queries: RowColumn
    keys: RowColumn
    dial: float

    @property
    def pitch(self) -> float:
        """From one row to the next."""
        return self.queries.whole.height / len(self.queries.rows)


def row_layout(frame: Frame, *, count: int, word_width: float) -> RowLayout:
    """Lay out the rows of queries and keys: two lists side by side, in a tall frame stacked."""
    stage = frame.stage
    lists = 2 if frame.tall else 1
    # Where a list is not wide enough for words beside its name, they stand below it.
    below = 0.0 if frame.wide or frame.tall else NOTE_ROOM
    height = (stage.height - LISTS_APART * (lists - 1)) / lists - HEADER - below
    pitch = min(0.56, height / count)
    dial = min(0.16, pitch * 0.42)
    step = HEADER + pitch * count + LISTS_APART
    top = stage.y + (lists * step - LISTS_APART + below) / 2 - HEADER
    wide = stage.width if frame.tall else stage.width / 2 - 0.3

    def column(left: float, top: float) -> RowColumn:
        word_end = left + word_width
        start = word_end + 2 * dial + 2 * WORD_GAP
        whole = Box.of(start, left + wide, top - pitch * count, top)
        points = row_points(word_end, whole, count)
        return RowColumn(
            rows=tuple(Box(whole.x, y, whole.width, pitch * 0.62) for _, y in points),
            words=points,
            dials=tuple((start - WORD_GAP - dial, y) for _, y in points),
            whole=whole,
            note=(whole.right, whole.bottom - below / 2 if below else top + NAME_LINE),
        )

    keys = (stage.left, top - step) if frame.tall else (stage.right - wide, top)
    return RowLayout(column(stage.left, top), column(*keys), dial)


@dataclass(frozen=True)
class MeetLayout:
    """One query row above one key row, their products below, their sum beneath.

    ``word`` is where the words beside the rows end.
    """

    query: Box
    key: Box
    product: Box
    word: float
    total: Point
    scale: Box


def meet_layout(frame: Frame) -> MeetLayout:
    """Lay out two rows that meet in the middle of the frame."""
    stage, narrow = frame.stage, frame.width <= NARROW
    width, height = stage.width * 0.66, 0.9 if frame.tall else 0.5
    # In a narrow frame the words on the left need a larger part of the width.
    center = stage.x + stage.width * (0.15 if narrow else 0.07)
    stretch = 1.6 if frame.tall else 1.0

    def strip(y: float) -> Box:
        return Box(center, stage.y + stretch * y, width, height)

    query, key, product = strip(1.5), strip(0.8), strip(-0.35)
    total = (center, stage.y - stretch * 1.45)
    scale = Box(product.right - 0.95, total[1], 1.9, 0.14)
    if narrow:
        total = (stage.x, total[1])
        scale = Box(stage.x, total[1] - 0.85, 2.4, 0.14)
    return MeetLayout(
        query=query,
        key=key,
        product=product,
        word=query.left - 2 * WORD_GAP,
        total=total,
        scale=scale,
    )


@dataclass(frozen=True)
class RemarkLayout:
    """A close look at the scores, with lines of words beside or below, and a colour bar below."""

    seen: Box
    zoom: float
    lines: tuple[Point, ...]
    scale: Box


def remark_layout(layout: HeadLayout, *, count: int) -> RemarkLayout:
    """Lay out ``count`` lines beside the scores; sizes are for a camera as near as ``zoom``."""
    box, k_t = layout.scores, layout.k_t
    scale = Box(box.x, box.bottom - 0.22, box.width, 0.05)
    if layout.frame.tall:
        right = box.x + max(box.width, SCORES_NAME) / 2 + 0.1
        whole = Box.of(k_t.left - 0.1, right, box.bottom - 1.9, k_t.top + 0.5)
        start = (k_t.left, min(box.bottom - 0.7, k_t.bottom - 0.3))
    else:
        whole = Box.of(k_t.left - 0.1, box.right + 1.75, box.bottom - 0.55, k_t.top + 0.5)
        start = (box.right + 0.25, box.top - 0.12)
    seen, zoom = shot_box(whole, layout.frame)
    step = 0.068 * FRAME_HEIGHT * zoom
    return RemarkLayout(
        seen=seen,
        zoom=zoom,
        lines=tuple((start[0], start[1] - step * i) for i in range(count)),
        scale=scale,
    )


@dataclass(frozen=True)
class SoftmaxLayout:
    """One row of scores, large, and the bars that it becomes."""

    row: Box
    bars: Box
    words: tuple[Point, ...]
    arrow: tuple[Point, Point]


def softmax_layout(frame: Frame, *, count: int) -> SoftmaxLayout:
    """Lay out the softmax of one row over ``count`` keys."""
    stage = frame.stage
    cell = min(1.1, stage.width * (0.9 if frame.wide else 0.96) / count)
    width = cell * count
    level, foot = stage.top - 1.8, stage.bottom + 0.35
    if frame.tall:
        level, foot = level - TALL_AIR, foot + TALL_AIR
    row = Box(stage.x, level, width, 0.62)
    bars = Box.of(row.left, row.right, foot, row.bottom - (1.35 if frame.wide else 1.7))
    return SoftmaxLayout(
        row=row,
        bars=bars,
        words=column_points(row.top + WORD_GAP, row, count),
        arrow=((stage.x, row.bottom - 0.2), (stage.x, row.bottom - 0.75)),
    )


@dataclass(frozen=True)
class MixLayout:
    """Value rows, each with its weight, above the sum they make.

    Attributes
    ----------
    weights, words
        Where each weight and each word ends.
    rows, total
        Boxes.
    word_width
        The longest a word may be.
    pitch
        From one row to the next.
    """

    weights: tuple[Point, ...]
    words: tuple[Point, ...]
    rows: tuple[Box, ...]
    total: Box
    word_width: float
    pitch: float


def mix_layout(frame: Frame, *, count: int) -> MixLayout:
    """Lay out ``count`` weighted rows and their sum."""
    stage = frame.stage
    most, under = (0.7, 0.82) if frame.tall else (0.44, 0.62)
    pitch = min(most, (stage.height - 1.08 - under) / count)
    if frame.width > NARROW:
        width, share = stage.width * 0.56, 1.3
        left = stage.x - width * 0.36
        word_width = min(2.4, left - WORD_GAP - share - stage.left)
    else:
        word_width, share = 1.65, 0.9
        left = stage.left + word_width + share + WORD_GAP
        width = stage.right - left
    # The rows of a short prompt stand at the top, in a tall frame in the middle.
    spare = stage.height - HEADER - pitch * count - under - 0.21 if frame.tall else 0.0
    top = stage.top - HEADER - spare / 2
    whole = Box.of(left, left + width, top - pitch * count, top)
    points = row_points(whole.left - WORD_GAP, whole, count)
    rows = tuple(Box(whole.x, y, width, pitch * 0.7) for _, y in points)
    total = Box(whole.x, whole.bottom - under, width, 0.42)
    return MixLayout(
        weights=points,
        words=tuple((x - share, y) for x, y in points),
        rows=rows,
        total=total,
        word_width=word_width,
        pitch=pitch,
    )
