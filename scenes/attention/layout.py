"""Where everything of the scene of one head stands, beside its products: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import HEADER, Box, Frame, Point, row_points
from filmkit.mobjects.product_layout import LINE, WORD_GAP, ProductLayout

__all__ = [
    "MeetingLayout",
    "MixLayout",
    "PatternLayout",
    "ProjectionLayout",
    "SourceLayout",
    "aside",
    "is_square",
    "meeting_layout",
    "mix_layout",
    "pattern_layout",
    "projection_layout",
    "scores_bar",
    "scores_room",
    "source_layout",
]

# Fractions of the frame's shorter side.
ROW, ROW_UPRIGHT = 0.066, 0.1  # largest height of a row where X becomes queries and keys
WEIGHT, MIN_WEIGHT = 0.26, 0.09  # height of the outline of a weight matrix
BAR_ROOM = 0.075  # below a panel, for its colour bar
GAP = 0.03  # between two panels
X_CELL = 0.011  # width of a number of X
ASIDE = 0.3  # beside or below a product, for a figure and what is said of it
STRIP = 0.05  # height of a row that is taken out of its matrix
SMALL_STRIP = 0.018  # rows that would be smaller have a picture of their own

NOTES_GAP = 0.25  # between the notes at the top and a header, in scene units
BAR = 0.14  # height of a colour bar, in scene units
X_SHARE = 0.26  # of the width that X has beside queries and keys
FIGURE_LINE = 0.08  # height of a line with a figure, as a fraction of the shorter side
ALONE = 0.1  # height of a row in a picture of its own, as a fraction of the shorter side


@dataclass(frozen=True)
class ProjectionLayout:
    """X, and what weights make of it: rows of one token have one height in all of them.

    Attributes
    ----------
    x_alone, x
        Box of X while it stands alone, and beside queries and keys.
    panels, weights
        Boxes of queries and keys, and of the outlines of the weights above them.
    words_alone, words
        Where the words end in both pictures.
    bar_alone, bars
        Boxes of the colour bars of X, of queries and of keys.
    x_columns
        How many of the first and of the last columns of X are drawn.
    """

    x_alone: Box
    x: Box
    panels: tuple[Box, Box]
    weights: tuple[Box, Box]
    words_alone: tuple[Point, ...]
    words: tuple[Point, ...]
    bar_alone: Box
    bars: tuple[Box, Box]
    x_columns: tuple[int, int]


def projection_layout(
    frame: Frame, *, count: int, d_model: int, word_width: float
) -> ProjectionLayout:
    """Lay out X, queries and keys.

    Parameters
    ----------
    frame
        The frame to fill.
    count
        Number of tokens.
    d_model
        Number of columns of X.
    word_width
        Room for the words and the gap beside them, in scene units.
    """
    stage, unit = frame.stage, frame.shorter_side
    gap, largest = GAP * unit, (ROW_UPRIGHT if frame.upright else ROW) * unit
    bar_room = max(BAR_ROOM * unit, 0.76)
    across = stage.width - word_width - 2 * gap
    left = stage.left + word_width
    x_width = X_SHARE * across
    x_columns = x_ends(d_model, x_width, unit)

    around = HEADER + bar_room + 0.1
    pitch = min(largest, (stage.height - around - MIN_WEIGHT * unit) / count)
    weight = min(WEIGHT * unit, stage.height - around - pitch * count)
    height = weight + around + pitch * count
    top = stage.y + height / 2 - weight - 0.1 - HEADER
    bottom = top - pitch * count
    x = Box.of(left, left + x_width, bottom, top)
    width = (across - x_width) / 2
    panels, weights, bars = [], [], []
    for index in (0, 1):
        start = x.right + gap + index * (width + gap)
        box = Box.of(start, start + width, bottom, top)
        panels.append(box)
        weights.append(
            Box.of(start, start + width, top + HEADER + 0.1, top + HEADER + 0.1 + weight)
        )
        bars.append(Box(box.x, bottom - 0.12 - BAR / 2, width, BAR))
    above = HEADER + NOTES_GAP
    alone = min(1.4 * largest, (stage.height - above - bar_room) / count)
    middle = stage.y + (bar_room - above) / 2
    x_alone = Box.of(left, stage.right, middle - alone * count / 2, middle + alone * count / 2)
    bar_alone = Box(x_alone.x, x_alone.bottom - 0.2, min(x_alone.width, 0.6 * unit), BAR)
    return ProjectionLayout(
        x_alone=x_alone,
        x=x,
        panels=(panels[0], panels[1]),
        weights=(weights[0], weights[1]),
        words_alone=row_points(left - WORD_GAP * unit, x_alone, count),
        words=row_points(left - WORD_GAP * unit, x, count),
        bar_alone=bar_alone,
        bars=(bars[0], bars[1]),
        x_columns=x_columns,
    )


def scores_room(frame: Frame) -> Box:
    """Return the room of queries, keys and scores: beside it, or below, a figure has its place.

    In a square frame there is none: there the figure stands in the corner of the product.
    """
    stage, unit = frame.stage, frame.shorter_side
    if frame.tall:
        return Box.of(stage.left, stage.right, stage.bottom + ASIDE * unit, stage.top)
    if frame.upright:
        return stage
    return Box.of(stage.left, stage.right - ASIDE * unit, stage.bottom, stage.top)


def is_square(frame: Frame) -> bool:
    """Whether a frame has room for a figure neither beside a product nor below it."""
    return frame.upright and not frame.tall


def aside(frame: Frame, layout: ProductLayout, top: float | None = None) -> Box:
    """Return the places of a figure and of the words that explain it.

    Parameters
    ----------
    frame
        The frame.
    layout
        The product in :func:`scores_room`.
    top
        y up to which the corner above the left factor is free, for a square frame.
    """
    stage, gap = frame.stage, GAP * frame.shorter_side
    product = layout.product
    if frame.tall:
        return Box.of(stage.left, stage.right, stage.bottom, product.bottom - 2 * HEADER)
    if is_square(frame):
        top = layout.corner.top - 0.1 if top is None else top
        bottom = layout.left.top + HEADER + 0.1
        return Box.of(layout.corner.left, layout.left.right, bottom, max(top, bottom + 0.4))
    # Beside a small product it reaches higher, where nothing is.
    high = min(stage.top, max(product.top, product.bottom + 0.32 * frame.shorter_side))
    return Box.of(product.right + gap, stage.right, product.bottom, high)


def scores_bar(frame: Frame, layout: ProductLayout, room: Box, header: Box) -> Box:
    """Return the box of the colour bar of the scores.

    It is at the foot of the room aside, in a square frame beside the name of the scores.
    """
    if is_square(frame):
        left = header.right + 0.2
        right = min(frame.stage.right, max(layout.product.right, left + 0.22 * frame.width))
        return Box.of(left, right, header.y - 0.02, header.y + BAR - 0.02)
    width = min(room.width, 0.34 * frame.shorter_side)
    # Below a product beside it there is room for the numbers.
    rise = 0.62 if frame.tall else 0.4
    return Box(room.left + width / 2, room.bottom + rise, width, BAR)


@dataclass(frozen=True)
class MeetingLayout:
    """A row of the queries and a column of the keys, side by side in the corner of their product.

    Attributes
    ----------
    query, key
        Boxes of the two rows.
    products
        Box of the products, channel by channel; zero is in its middle.
    word
        x at which the words beside the rows end.
    alone
        Whether there is no room in the corner, so that the rows fill the frame by themselves.
    """

    query: Box
    key: Box
    products: Box
    word: float
    alone: bool


def meeting_layout(frame: Frame, layout: ProductLayout) -> MeetingLayout:
    """Lay out the meeting of a query and a key in the corner of their product.

    The name of the keys, which is there too, must make way.
    """
    unit, left = frame.shorter_side, layout.left
    room = Box.of(left.left, left.right, left.top + HEADER + 0.1, layout.corner.top - 0.25)
    if is_square(frame):
        # The sum stands below its products.
        room = Box.of(room.left, room.right, room.bottom + FIGURE_LINE * unit, room.top)
    height = min(STRIP * unit, room.height / 4.6)
    alone = height < SMALL_STRIP * unit
    if alone:
        stage = frame.stage
        height = ALONE * unit
        width = stage.width - layout.word_width - 0.12 * unit
        room = Box(stage.right - width / 2, stage.y + height, width, 5.4 * height)
    bars = min(room.height - 2.6 * height, 4 * height)
    top = room.y + (2.6 * height + bars) / 2
    query = Box(room.x, top - height / 2, room.width, height)
    key = query.moved(0, -1.2 * height)
    products = Box.of(
        room.left, room.right, key.bottom - 0.3 * height - bars, key.bottom - 0.3 * height
    )
    return MeetingLayout(query, key, products, room.left - WORD_GAP * unit, alone)


@dataclass(frozen=True)
class PatternLayout:
    """A pattern as large as the frame allows, with words at all rows and columns.

    Attributes
    ----------
    cells
        Box of the cells.
    rows, columns
        Where the words begin or end.
    aside
        Room beside or below it.
    """

    cells: Box
    rows: tuple[Point, ...]
    columns: tuple[Point, ...]
    aside: Box


def pattern_layout(frame: Frame, *, count: int, word_width: float) -> PatternLayout:
    """Lay out a pattern of ``count`` tokens."""
    stage, unit = frame.stage, frame.shorter_side
    gap = GAP * unit
    across, down = word_width, word_width + HEADER
    rest = 0.0 if frame.upright else ASIDE * unit
    side = min(stage.width - across - rest, stage.height - down, 0.16 * unit * count)
    if frame.tall:
        side = min(side, stage.height - down - ASIDE * unit)
    whole = across + side + rest
    left = stage.x - whole / 2 + across
    below = ASIDE * unit if frame.tall else 0.0
    top = stage.y + (side + down + below) / 2 - down
    cells = Box.of(left, left + side, top - side, top)
    columns = tuple(
        (x, cells.top + WORD_GAP * unit)
        for x, _ in ((cells.left + side * (i + 0.5) / count, 0.0) for i in range(count))
    )
    if frame.tall:
        room = Box.of(stage.left, stage.right, stage.bottom, cells.bottom - gap)
    elif frame.upright:
        room = Box.of(cells.right, stage.right, cells.bottom, cells.top)
    else:
        room = Box.of(cells.right + gap, stage.right, cells.bottom, cells.top)
    return PatternLayout(
        cells, row_points(cells.left - WORD_GAP * unit, cells, count), columns, room
    )


@dataclass(frozen=True)
class SourceLayout:
    """X in the corner of a product, beside the values that are made of it.

    Attributes
    ----------
    x
        Box of X; its rows run into those of the values.
    weight
        Box of the weight's name, on the way.
    x_columns
        How many of the first and of the last columns of X are drawn.
    words
        Where the words beside X end.
    names
        Whether there is room for words.
    """

    x: Box
    weight: Box
    x_columns: tuple[int, int]
    words: tuple[Point, ...]
    names: bool


def source_layout(
    frame: Frame, layout: ProductLayout, *, d_model: int, formula: float
) -> SourceLayout:
    """Lay out X and the weight of the values.

    Parameters
    ----------
    frame, layout
        The frame, and the product of pattern and values.
    d_model
        Number of columns of X.
    formula
        Width of the weight's name, in scene units.
    """
    unit, values = frame.shorter_side, layout.top
    room = values.left - layout.corner.left
    names = layout.names_rows and room > layout.word_width + 0.3 * unit
    rest = room - (layout.word_width if names else 0.0)
    box, way = formula + 0.3, 0.045 * unit
    width = max(0.04 * unit, min(0.3 * unit, rest - box - 2 * way))
    weight = Box(values.left - way - box / 2, values.y, box, 0.065 * unit)
    x = Box.of(weight.left - way - width, weight.left - way, values.bottom, values.top)
    words = row_points(x.left - WORD_GAP * unit, x, len(layout.inner_words))
    return SourceLayout(x, weight, x_ends(d_model, width, unit), words, names)


@dataclass(frozen=True)
class MixLayout:
    """A row of the pattern that has turned to stand beside the values that it scales.

    Attributes
    ----------
    weights
        Box of the turned row.
    shares, words
        Where the share and the word of each row end.
    hidden
        Box of the values of a token that is not drawn elsewhere, above all others.
    hidden_weight
        Box of its weight.
    """

    weights: Box
    shares: tuple[Point, ...]
    words: tuple[Point, ...]
    hidden: Box
    hidden_weight: Box

    def weights_of(self, count: int) -> Box:
        """Return the box of the weights of the first ``count`` rows."""
        box = self.weights
        return Box.of(box.left, box.right, box.top - box.height * count / len(self.shares), box.top)

    @property
    def hidden_points(self) -> tuple[Point, Point]:
        """Where the share and the word of the token end that is not drawn elsewhere."""
        y = self.hidden.y
        return (self.shares[0][0], y), (self.words[0][0], y)


def mix_layout(frame: Frame, layout: ProductLayout, *, share_width: float) -> MixLayout:
    """Lay out the turned row of weights of a product of a pattern and values.

    Parameters
    ----------
    frame, layout
        The frame, and the product.
    share_width
        Width of the widest share, in scene units.
    """
    values, pitch, unit = layout.top, layout.pitch, frame.shorter_side
    count = len(layout.inner_words)
    right = values.left - WORD_GAP * unit
    weights = Box.of(right - pitch, right, values.bottom, values.top)
    shares = row_points(weights.left - WORD_GAP * unit, weights, count)
    words = tuple((x - share_width - WORD_GAP * unit, y) for x, y in shares)
    hidden = Box.of(values.left, values.right, values.top + 0.08, values.top + 0.08 + pitch)
    return MixLayout(
        weights, shares, words, hidden, Box.of(weights.left, right, hidden.bottom, hidden.top)
    )


def x_ends(d_model: int, width: float, unit: float) -> tuple[int, int]:
    """Return how many of the first and of the last columns of X are drawn in a width."""
    cells = max(3, int((width - 0.34) / (X_CELL * unit)))
    return (d_model, 0) if d_model <= cells else (cells - cells // 3, cells // 3)


def spaced(values: list[float], order: list[int], least: float) -> list[int]:
    """Return those of ``order`` that are at least ``least`` apart, the first ones first."""
    kept: list[int] = []
    for index in order:
        if all(abs(values[index] - values[other]) >= least for other in kept):
            kept.append(index)
    return kept


def line_of(letters: float) -> float:
    """Return the smallest distance of lines of words of a height, in the same units."""
    return LINE * letters
