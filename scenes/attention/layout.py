"""Layouts of the close-ups of the steps of one head: pure geometry."""

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
    "MixLayout",
    "ProductLayout",
    "RowList",
    "RowListsLayout",
    "ScoreRemarksLayout",
    "SoftmaxLayout",
    "mix_layout",
    "product_layout",
    "row_lists_layout",
    "score_remarks_layout",
    "softmax_layout",
]

# Lengths are in scene units.
NOTE_ROOM = 0.36  # height of a line of small words below some rows
LISTS_APART = 0.6  # height between two lists of rows
NAME_LINE = 0.28  # from a panel up to the middle of the line with its name
TALL_AIR = 0.9  # free height above and below a picture that would be too high in a tall frame


@dataclass(frozen=True)
class RowList:
    """Layout of a list of separate rows, each with a word and a dial on its left.

    Attributes
    ----------
    rows
        Boxes of the rows.
    words
        Points where the words end.
    dials
        Centers of the dials.
    box
        Box around all rows.
    note
        Point where a line of small words about the rows ends.
    """

    rows: tuple[Box, ...]
    words: tuple[Point, ...]
    dials: tuple[Point, ...]
    box: Box
    note: Point


@dataclass(frozen=True)
class RowListsLayout:
    """Layout of the rows of queries, on the left or above, and of the rows of keys.

    Attributes
    ----------
    queries, keys
        The two lists.
    dial
        Radius of a dial, in scene units.
    """

    queries: RowList
    keys: RowList
    dial: float

    @property
    def pitch(self) -> float:
        """Distance from one row to the next, in scene units."""
        return self.queries.box.height / len(self.queries.rows)


def row_lists_layout(frame: Frame, *, count: int, word_width: float) -> RowListsLayout:
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

    def column(left: float, top: float) -> RowList:
        word_end = left + word_width
        start = word_end + 2 * dial + 2 * WORD_GAP
        box = Box.of(start, left + wide, top - pitch * count, top)
        points = row_points(word_end, box, count)
        return RowList(
            rows=tuple(Box(box.x, y, box.width, pitch * 0.62) for _, y in points),
            words=points,
            dials=tuple((start - WORD_GAP - dial, y) for _, y in points),
            box=box,
            note=(box.right, box.bottom - below / 2 if below else top + NAME_LINE),
        )

    keys = (stage.left, top - step) if frame.tall else (stage.right - wide, top)
    return RowListsLayout(column(stage.left, top), column(*keys), dial)


@dataclass(frozen=True)
class ProductLayout:
    """Layout of a dot product: a query row, a key row, their products, and the sum below.

    Attributes
    ----------
    query, key, product
        Boxes of the rows.
    word
        x at which the words beside the rows end.
    total
        Point of the sum, between its formula and its number.
    colour_bar
        Box of the products' colour bar.
    """

    query: Box
    key: Box
    product: Box
    word: float
    total: Point
    colour_bar: Box


def product_layout(frame: Frame) -> ProductLayout:
    """Lay out the dot product of two rows in the middle of the frame."""
    stage, narrow = frame.stage, frame.width <= NARROW
    width, height = stage.width * 0.66, 0.9 if frame.tall else 0.5
    # In a narrow frame the words on the left need a larger part of the width.
    center = stage.x + stage.width * (0.15 if narrow else 0.07)
    stretch = 1.6 if frame.tall else 1.0

    def strip(y: float) -> Box:
        return Box(center, stage.y + stretch * y, width, height)

    query, key, product = strip(1.5), strip(0.8), strip(-0.35)
    total = (center, stage.y - stretch * 1.45)
    colour_bar = Box(product.right - 0.95, total[1], 1.9, 0.14)
    if narrow:
        total = (stage.x, total[1])
        colour_bar = Box(stage.x, total[1] - 0.85, 2.4, 0.14)
    return ProductLayout(
        query=query,
        key=key,
        product=product,
        word=query.left - 2 * WORD_GAP,
        total=total,
        colour_bar=colour_bar,
    )


@dataclass(frozen=True)
class ScoreRemarksLayout:
    """Layout of a close-up of the scores, with remarks beside or below them.

    Attributes
    ----------
    camera_box
        Box that the camera shows.
    zoom
        Height of that box relative to the frame's.
    lines
        Points where the remarks begin.
    colour_bar
        Box of the colour bar below the scores.
    """

    camera_box: Box
    zoom: float
    lines: tuple[Point, ...]
    colour_bar: Box


def score_remarks_layout(layout: HeadLayout, *, count: int) -> ScoreRemarksLayout:
    """Lay out ``count`` remarks beside the scores of a head."""
    box, k_t = layout.scores, layout.k_t
    colour_bar = Box(box.x, box.bottom - 0.22, box.width, 0.05)
    if layout.frame.tall:
        right = box.x + max(box.width, SCORES_NAME) / 2 + 0.1
        whole = Box.of(k_t.left - 0.1, right, box.bottom - 1.9, k_t.top + 0.5)
        start = (k_t.left, min(box.bottom - 0.7, k_t.bottom - 0.3))
    else:
        whole = Box.of(k_t.left - 0.1, box.right + 1.75, box.bottom - 0.55, k_t.top + 0.5)
        start = (box.right + 0.25, box.top - 0.12)
    camera_box, zoom = shot_box(whole, layout.frame)
    step = 0.068 * FRAME_HEIGHT * zoom
    return ScoreRemarksLayout(
        camera_box=camera_box,
        zoom=zoom,
        lines=tuple((start[0], start[1] - step * i) for i in range(count)),
        colour_bar=colour_bar,
    )


@dataclass(frozen=True)
class SoftmaxLayout:
    """Layout of one row of scores, large, and of the bars of its softmax.

    Attributes
    ----------
    row
        Box of the row.
    bars
        Box of the bars.
    words
        Points where the words above the row begin.
    arrow
        Start and end of the arrow from the row to the bars.
    """

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
    """Layout of value rows, each with its weight, and of their sum below.

    Attributes
    ----------
    weights, words
        Points where the weights and the words end.
    rows
        Boxes of the value rows.
    total
        Box of their sum.
    word_width
        Largest width of a word, in scene units.
    pitch
        Distance from one row to the next, in scene units.
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
    max_pitch, below = (0.7, 0.82) if frame.tall else (0.44, 0.62)
    pitch = min(max_pitch, (stage.height - 1.08 - below) / count)
    if frame.width > NARROW:
        width, share = stage.width * 0.56, 1.3
        left = stage.x - width * 0.36
        word_width = min(2.4, left - WORD_GAP - share - stage.left)
    else:
        word_width, share = 1.65, 0.9
        left = stage.left + word_width + share + WORD_GAP
        width = stage.right - left
    # The rows of a short prompt stand at the top, in a tall frame in the middle.
    spare = stage.height - HEADER - pitch * count - below - 0.21 if frame.tall else 0.0
    top = stage.top - HEADER - spare / 2
    box = Box.of(left, left + width, top - pitch * count, top)
    points = row_points(box.left - WORD_GAP, box, count)
    rows = tuple(Box(box.x, y, width, pitch * 0.7) for _, y in points)
    total = Box(box.x, box.bottom - below, width, 0.42)
    return MixLayout(
        weights=points,
        words=tuple((x - share, y) for x, y in points),
        rows=rows,
        total=total,
        word_width=word_width,
        pitch=pitch,
    )
