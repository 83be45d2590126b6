"""Where things stand in the scene about the key/value cache: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace

from filmkit.core.geometry import (
    FRAME_HEIGHT,
    HEADER,
    NARROW,
    WORD_GAP,
    Box,
    Frame,
    Point,
    row_points,
    shot_box,
)
from filmkit.mobjects.context_chart_layout import ContextLayout
from filmkit.mobjects.head_layout import HeadLayout, sentence_points
from scenes.kv_cache.token_cost import TokenCost

__all__ = [
    "CachedHeadLayout",
    "DecoderLayout",
    "DecodingComparisonLayout",
    "GrowLayout",
    "NextWordLayout",
    "TokenCostLayout",
    "formula_point",
    "formula_room",
    "growth_layout",
    "measured_fill",
    "solid_fill",
    "title_point",
]


NOTE = 0.024 * FRAME_HEIGHT  # a line of small words
CANDIDATE = 0.56  # from one candidate to the next
LANE_GAP = 0.9  # between the two ways of decoding
LANE_COLUMN_GAP = 0.55
LANE_HEADER = 0.4
MARK_ROOM = 0.3  # right of a panel, for a small arrow head
CHECK_ROOM = 0.5  # beside a remark, for a check mark
LANE_FOOT = 1.3  # counters and what is said about them
MAX_DECODER_ROW = 0.13
SMALL_ROOM = 3.2  # left of a large model's tiles
TILE_GAP = 0.05
FORMULA_ROOM = 1.55  # above them
FORMULA_LINE = 1.0  # more, for a result that has a line of its own
NOTES_ROOM = 6.2  # beside queries, keys and values
SCORE_WORDS = 1.46  # the longest line of words below the scores
BRACKET_ROOM = 1.85  # of which a bracket and its name take so much in a narrow frame
SMALL_LINE = 1.9  # above a large model's tiles, for the small one's, in a narrow frame
LONG_END = 2.8  # a long name at the end of a line
FILL, FILL_NARROW = 0.84, 0.68  # of the frame's width that a solid takes


@dataclass(frozen=True)
class NextWordLayout:
    """A sentence above and the words that may follow it below.

    Attributes
    ----------
    sentence
        Centers of its words, the one that will join it included.
    title
        Center of the line that says what the candidates are.
    words
        Where each candidate's word ends.
    bars
        Where each candidate's bar stands; as wide as a share of 1.
    """

    sentence: tuple[Point, ...]
    title: Point
    words: tuple[Point, ...]
    bars: tuple[Box, ...]

    @classmethod
    def of(cls, widths: tuple[float, ...], frame: Frame, *, candidates: int) -> NextWordLayout:
        """For words of the given widths."""
        stage = frame.stage
        points = sentence_points(widths, frame, gap=0.22, line=0.62)
        lines = 1 + round((points[0][1] - points[-1][1]) / 0.62)
        below = (candidates + 1) * CANDIDATE + 0.5
        room = stage.height - below
        middle = stage.top - max(room / 2, 0.31 * lines + 0.05)
        lift = middle - (points[0][1] + points[-1][1]) / 2
        left = stage.x - 0.15 * stage.width
        whole = Box.of(
            left, left + 0.46 * stage.width, stage.bottom, stage.bottom + candidates * CANDIDATE
        )
        rows = row_points(whole.x, whole, candidates)
        return cls(
            sentence=tuple((x, y + lift) for x, y in points),
            title=(stage.x, whole.top + 0.6 * CANDIDATE),
            words=tuple((left - 2 * WORD_GAP, y) for _, y in rows),
            bars=tuple(Box(x, y, whole.width, 0.56 * CANDIDATE) for x, y in rows),
        )


@dataclass(frozen=True)
class GrowLayout:
    """A close look at queries, transposed keys and scores, with lines of words at the right.

    In a narrow frame the lines stand below the scores and are ``small``. ``zoom`` is how near
    the camera is: text sizes are the theme's times it.
    """

    seen: Box
    zoom: float
    small: bool
    masked: Point
    known: Point
    new: Point

    @classmethod
    def of(cls, head: HeadLayout, *, count: int) -> GrowLayout:
        """For ``count`` rows, the last of which is new."""
        box, row = head.scores, head.scores.height / count
        small = head.frame.width <= NARROW
        wide = Box.of(
            head.q.left - 0.1,
            box.right + (0.1 if small else 1.9),
            head.k.bottom,
            head.k_t.top + HEADER + 0.05,
        )
        seen, zoom = shot_box(wide, head.frame)
        left, least = box.right + 0.16, 0.05 * FRAME_HEIGHT * zoom
        if small:
            left, line = box.right - SCORE_WORDS * zoom, 0.045 * FRAME_HEIGHT * zoom
            top = box.bottom - 0.2 - line / 2
            points = tuple((left, top - line * i) for i in range(3))
            return cls(seen, zoom, small, *points)
        middle = box.bottom + max(box.height / 2, 1.1 * least + row / 2)
        return cls(
            seen=seen,
            zoom=zoom,
            small=small,
            masked=(left, max(box.top - row / 2, middle + least)),
            known=(left, middle),
            new=(left, box.bottom + row / 2),
        )


@dataclass(frozen=True)
class CachedHeadLayout:
    """Queries, keys and values alone, and where a line beside each of them begins.

    Such lines may be as wide as ``width``.
    """

    seen: Box
    width: float
    q: Point
    k: Point
    v: Point
    bracket: tuple[Point, Point]

    @classmethod
    def of(cls, head: HeadLayout) -> CachedHeadLayout:
        room = min(NOTES_ROOM, head.frame.stage.width - head.q.width)
        narrow = head.frame.width <= NARROW
        bracket = BRACKET_ROOM if narrow else 1.6
        right = head.q.right + room
        middle = (head.q.left + right) / 2 - head.frame.stage.x
        seen = Box(middle, 0.0, head.frame.width, head.frame.height)
        left = head.q.right + 0.3
        return cls(
            seen,
            room - bracket - 0.4 if narrow else room,
            (left, head.q.y),
            (left, head.k.y),
            (left, head.v.y),
            bracket=((right - bracket, head.k.top), (right - bracket, head.v.bottom)),
        )


@dataclass(frozen=True)
class DecoderLayout:
    """One way of decoding: what is computed, and how much that is.

    Attributes
    ----------
    title
        Where the line that names it begins.
    q, k, v, scores, pattern, z
        Boxes of the panels' cells.
    count
        Where the line with the counter begins.
    bar
        The bar that grows with the counter; as long as the larger of two in the end.
    """

    title: Point
    q: Box
    k: Box
    v: Box
    scores: Box
    pattern: Box
    z: Box
    count: Point
    bar: Box


@dataclass(frozen=True)
class DecodingComparisonLayout:
    """Two ways of decoding, the words above, a remark below.

    They stand beside each other; in a frame that is higher than wide, below each other.
    """

    words: Box
    cached: DecoderLayout
    naive: DecoderLayout
    remark: Point
    remark_width: float

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> DecodingComparisonLayout:
        """For ``count`` token rows."""
        stage = frame.stage
        words = Box.of(stage.left, stage.right, stage.top - 0.5, stage.top - 0.1)
        top, bottom = words.bottom - 0.05, stage.bottom
        if frame.height > frame.width:
            bottom += 3.4 * NOTE
            half = (top - bottom - LANE_GAP / 2) / 2
            boxes = [
                Box.of(stage.left, stage.right, low, low + half) for low in (top - half, bottom)
            ]
        else:
            width = (stage.width - LANE_GAP) / 2
            boxes = [
                Box.of(left, left + width, bottom, top)
                for left in (stage.left, stage.right - width)
            ]
        first, second = (
            _lane(box, count, columns=3 if frame.height > frame.width else 2) for box in boxes
        )
        remark = (stage.x, stage.bottom + 0.7 * NOTE)
        return cls(words, first, second, remark, stage.width - 2 * CHECK_ROOM)


def _lane(box: Box, count: int, *, columns: int) -> DecoderLayout:
    """Six panels in columns: what is kept or asked on the left or above, what comes of it."""
    top, bottom = box.top - 0.44, box.bottom + LANE_FOOT
    lines = 6 // columns
    slot = (top - bottom) / lines
    # Marks stand at the right of what is kept: of the last column, if there are three.
    across = box.width - LANE_COLUMN_GAP * (columns - 1) - (MARK_ROOM if columns > 2 else 0.0)
    width = across / columns
    height = min(slot - LANE_HEADER - 0.1, MAX_DECODER_ROW * count)

    def panel(index: int, across: float) -> Box:
        # The first three go down the first of two columns, or across the first of two lines.
        column, line = divmod(index, lines) if columns < lines else divmod(index, columns)[::-1]
        left = box.left + column * (width + LANE_COLUMN_GAP)
        under = top - slot * line - LANE_HEADER
        return Box.of(left, left + across, under - height, under)

    square = min(width, 1.6 * height)
    return DecoderLayout(
        title=(box.left, box.top - 0.2),
        q=panel(0, width),
        k=panel(1, width),
        v=panel(2, width),
        scores=panel(3, square),
        pattern=panel(4, square),
        z=panel(5, width),
        count=(box.left, box.bottom + 0.95),
        bar=Box.of(box.left, box.right, box.bottom + 0.42, box.bottom + 0.62),
    )


@dataclass(frozen=True)
class TokenCostLayout:
    """One token of two models to the same scale: a small tile, and many tiles of a large model.

    Attributes
    ----------
    small
        The small model's keys and values, side by side: all its heads and layers.
    large
        One box for each layer of the large model.
    small_name, small_size, large_name, remark
        Centers of the lines above and below the small tile (beside it in a narrow frame), and of
        those above and below the large model's.
    width
        How wide a line may be.
    """

    small: tuple[Box, Box]
    large: tuple[Box, ...]
    small_name: Point
    small_size: Point
    large_name: Point
    remark: Point
    width: float

    @classmethod
    def of(cls, frame: Frame, small: TokenCost, large: TokenCost) -> TokenCostLayout:
        stage, narrow = frame.stage, frame.width <= NARROW
        room = Box.of(
            stage.left + (0.0 if narrow else SMALL_ROOM),
            stage.right,
            stage.bottom + (3.5 if narrow else 2.0) * NOTE,
            stage.top - formula_room(frame) - (SMALL_LINE if narrow else 0.0),
        )
        width, height = sum(large.width), large.heads
        scale, columns = 0.0, 1
        for count in range(1, large.layers + 1):
            lines = -(-large.layers // count)
            fits = min(
                (room.width - TILE_GAP * (count - 1)) / (count * width),
                (room.height - TILE_GAP * (lines - 1)) / (lines * height),
            )
            if fits > scale:
                scale, columns = fits, count
        across, down = scale * width, scale * height
        tiles = []
        for index in range(large.layers):
            line, column = divmod(index, columns)
            left = room.left + column * (across + TILE_GAP)
            top = room.top - line * (down + TILE_GAP)
            tiles.append(Box.of(left, left + across, top - down, top))
        whole = Box.around(tiles)
        tall = scale * small.heads * small.layers
        middle, bottom = stage.left + SMALL_ROOM / 2 - 0.3, whole.y - tall / 2
        if narrow:
            # Above the large model's, and both in the middle of what is left.
            drop = (room.height - whole.height) / 2
            tiles = [tile.moved(dx=stage.x - whole.x, dy=-drop) for tile in tiles]
            whole = Box.around(tiles)
            middle, bottom = stage.x, whole.top + SMALL_LINE - 0.35 - tall
        key, value = (scale * part for part in small.width)
        left = middle - (key + value) / 2
        return cls(
            small=(
                Box.of(left, left + key, bottom, bottom + tall),
                Box.of(left + key, left + key + value, bottom, bottom + tall),
            ),
            large=tuple(tiles),
            small_name=(middle - 1.2, bottom + tall / 2)
            if narrow
            else (middle, bottom + tall + 0.3),
            small_size=(middle + 1.2, bottom + tall / 2) if narrow else (middle, bottom - 0.35),
            large_name=(whole.x, whole.top + 0.3),
            remark=(whole.x, stage.bottom + NOTE / 2),
            width=stage.width,
        )


def growth_layout(frame: Frame) -> ContextLayout:
    """A chart of how a cache grows, with room at the right for one long name."""
    layout = ContextLayout.of(frame)
    return replace(layout, right=max(0.21 * layout.chart.width, LONG_END))


def solid_fill(frame: Frame) -> float:
    """How much of the frame's width a solid takes, with room for words at its sides."""
    return FILL_NARROW if frame.width <= NARROW else FILL


def measured_fill(frame: Frame) -> tuple[float, float]:
    """How much of the width a solid takes that is measured along its edges, and how far to the
    right of the middle it stands."""
    return (0.5, 0.1) if frame.width <= NARROW else (0.58, 0.3)


def formula_room(frame: Frame) -> float:
    """From the top of the stage to below a formula that stays in the frame."""
    return FORMULA_ROOM + (FORMULA_LINE if frame.width <= NARROW else 0.0)


def title_point(frame: Frame) -> Point:
    """Where a title that stays in the frame begins."""
    return frame.stage.left, frame.stage.top - 0.3


def formula_point(frame: Frame) -> Point:
    """The middle of a formula that stays in the frame."""
    return frame.stage.x, frame.stage.top - 0.35
