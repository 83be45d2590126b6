"""Layouts of the scene about the key/value cache: pure geometry."""

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
    "NextWordLayout",
    "ScoreGrowthLayout",
    "TokenCostLayout",
    "cache_growth_layout",
    "formula_point",
    "formula_room",
    "measured_volume_fill",
    "title_point",
    "volume_fill",
]


# Lengths are in scene units.
NOTE = 0.024 * FRAME_HEIGHT  # height of a line of small words
CANDIDATE = 0.56  # distance from one candidate to the next
DECODER_GAP = 0.9  # between the two ways of decoding
PANEL_GAP = 0.55  # between two columns of panels
PANEL_HEADER = 0.4  # height of a panel's header
MARK_ROOM = 0.3  # width at the right of a panel for a small arrow head
CHECK_ROOM = 0.5  # width beside a remark for a check mark
COUNTER_ROOM = 1.3  # height of a counter, its bar and their labels
MAX_DECODER_ROW = 0.13  # largest height of a row of a panel
SMALL_ROOM = 3.2  # width at the left of a large model's tiles for the small model's tile
TILE_GAP = 0.05  # between two tiles
FORMULA_ROOM = 1.55  # height above the tiles for a formula
FORMULA_LINE = 1.0  # extra height for a result on a line of its own
NOTES_ROOM = 6.2  # width beside queries, keys and values for notes and a bracket
SCORE_WORDS = 1.46  # width of the longest note below the scores
BRACKET_ROOM = 1.85  # part of NOTES_ROOM for the bracket and its name, in a narrow frame
SMALL_HEIGHT = 1.9  # height above a large model's tiles for the small one, in a narrow frame
LONG_END = 2.8  # width of a long name at the end of a curve
FILL, FILL_NARROW = 0.84, 0.68  # part of the frame's width that a cache volume fills


@dataclass(frozen=True)
class NextWordLayout:
    """Layout of a sentence and, below it, a bar chart of the words that may follow.

    Attributes
    ----------
    sentence
        Centers of the sentence's words, including the one that will join it.
    title
        Center of the line above the bar chart.
    words
        Points where the words of the candidates end.
    bars
        Boxes of the candidates' bars, as wide as a probability of 1.
    """

    sentence: tuple[Point, ...]
    title: Point
    words: tuple[Point, ...]
    bars: tuple[Box, ...]

    @classmethod
    def of(cls, widths: tuple[float, ...], frame: Frame, *, candidates: int) -> NextWordLayout:
        """Lay out a sentence whose words have the given widths, and a number of candidates."""
        stage = frame.stage
        points = sentence_points(widths, frame, gap=0.22, line=0.62)
        lines = 1 + round((points[0][1] - points[-1][1]) / 0.62)
        below = (candidates + 1) * CANDIDATE + 0.5
        room = stage.height - below
        middle = stage.top - max(room / 2, 0.31 * lines + 0.05)
        dy = middle - (points[0][1] + points[-1][1]) / 2
        left = stage.x - 0.15 * stage.width
        whole = Box.of(
            left, left + 0.46 * stage.width, stage.bottom, stage.bottom + candidates * CANDIDATE
        )
        rows = row_points(whole.x, whole, candidates)
        return cls(
            sentence=tuple((x, y + dy) for x, y in points),
            title=(stage.x, whole.top + 0.6 * CANDIDATE),
            words=tuple((left - 2 * WORD_GAP, y) for _, y in rows),
            bars=tuple(Box(x, y, whole.width, 0.56 * CANDIDATE) for x, y in rows),
        )


@dataclass(frozen=True)
class ScoreGrowthLayout:
    """Layout of a close-up of queries, transposed keys and scores, with notes at the right.

    In a narrow frame the notes stand below the scores.

    Attributes
    ----------
    camera_box
        Box that the camera shows.
    zoom
        Height of that box relative to the frame's; text sizes are the theme's times it.
    small
        Whether the notes are set in a smaller size.
    masked, old, new
        Points where the notes on masked, old and new scores begin.
    """

    camera_box: Box
    zoom: float
    small: bool
    masked: Point
    old: Point
    new: Point

    @classmethod
    def of(cls, head: HeadLayout, *, count: int) -> ScoreGrowthLayout:
        """Lay out a close-up of a head with ``count`` rows, the last of which is new."""
        box, row = head.scores, head.scores.height / count
        small = head.frame.width <= NARROW
        wide = Box.of(
            head.q.left - 0.1,
            box.right + (0.1 if small else 1.9),
            head.k.bottom,
            head.k_t.top + HEADER + 0.05,
        )
        camera_box, zoom = shot_box(wide, head.frame)
        left, min_step = box.right + 0.16, 0.05 * FRAME_HEIGHT * zoom
        if small:
            left, line = box.right - SCORE_WORDS * zoom, 0.045 * FRAME_HEIGHT * zoom
            top = box.bottom - 0.2 - line / 2
            points = tuple((left, top - line * i) for i in range(3))
            return cls(camera_box, zoom, small, *points)
        middle = box.bottom + max(box.height / 2, 1.1 * min_step + row / 2)
        return cls(
            camera_box=camera_box,
            zoom=zoom,
            small=small,
            masked=(left, max(box.top - row / 2, middle + min_step)),
            old=(left, middle),
            new=(left, box.bottom + row / 2),
        )


@dataclass(frozen=True)
class CachedHeadLayout:
    """Layout of queries, keys and values alone, with a note beside each of them.

    Attributes
    ----------
    camera_box
        Box that the camera shows.
    width
        Largest width of a note.
    q, k, v
        Points where the notes begin.
    bracket
        Upper and lower end of the bracket beside keys and values.
    """

    camera_box: Box
    width: float
    q: Point
    k: Point
    v: Point
    bracket: tuple[Point, Point]

    @classmethod
    def of(cls, head: HeadLayout) -> CachedHeadLayout:
        """Lay out the notes around the panels of a head."""
        room = min(NOTES_ROOM, head.frame.stage.width - head.q.width)
        narrow = head.frame.width <= NARROW
        bracket = BRACKET_ROOM if narrow else 1.6
        right = head.q.right + room
        middle = (head.q.left + right) / 2 - head.frame.stage.x
        camera_box = Box(middle, 0.0, head.frame.width, head.frame.height)
        left = head.q.right + 0.3
        return cls(
            camera_box,
            room - bracket - 0.4 if narrow else room,
            (left, head.q.y),
            (left, head.k.y),
            (left, head.v.y),
            bracket=((right - bracket, head.k.top), (right - bracket, head.v.bottom)),
        )


@dataclass(frozen=True)
class DecoderLayout:
    """Layout of one way of decoding: six panels and a counter.

    Attributes
    ----------
    title
        Point where the line that names it begins.
    q, k, v, scores, pattern, z
        Boxes of the panels' cells.
    count
        Point where the line with the counter begins.
    bar
        Box of the counter's bar at its largest.
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
    """Layout of two ways of decoding, with the words above and a remark below.

    They stand side by side; in a frame that is higher than wide, one below the other.

    Attributes
    ----------
    words
        Box of the line of words.
    cached, naive
        Layouts of decoding with a cache and without one.
    remark
        Center of the last line of the remark.
    remark_width
        Largest width of its lines.
    """

    words: Box
    cached: DecoderLayout
    naive: DecoderLayout
    remark: Point
    remark_width: float

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> DecodingComparisonLayout:
        """Lay out two ways of decoding ``count`` tokens."""
        stage = frame.stage
        words = Box.of(stage.left, stage.right, stage.top - 0.5, stage.top - 0.1)
        top, bottom = words.bottom - 0.05, stage.bottom
        if frame.height > frame.width:
            bottom += 3.4 * NOTE
            half = (top - bottom - DECODER_GAP / 2) / 2
            boxes = [
                Box.of(stage.left, stage.right, low, low + half) for low in (top - half, bottom)
            ]
        else:
            width = (stage.width - DECODER_GAP) / 2
            boxes = [
                Box.of(left, left + width, bottom, top)
                for left in (stage.left, stage.right - width)
            ]
        first, second = (
            _decoder_layout(box, count, columns=3 if frame.height > frame.width else 2)
            for box in boxes
        )
        remark = (stage.x, stage.bottom + 0.7 * NOTE)
        return cls(words, first, second, remark, stage.width - 2 * CHECK_ROOM)


def _decoder_layout(box: Box, count: int, *, columns: int) -> DecoderLayout:
    """Lay out six panels in columns: q, k, v on the left or above, then what they produce."""
    top, bottom = box.top - 0.44, box.bottom + COUNTER_ROOM
    lines = 6 // columns
    line_height = (top - bottom) / lines
    # Marks stand at the right of keys and values: of the last column, if there are three.
    across = box.width - PANEL_GAP * (columns - 1) - (MARK_ROOM if columns > 2 else 0.0)
    width = across / columns
    height = min(line_height - PANEL_HEADER - 0.1, MAX_DECODER_ROW * count)

    def panel(index: int, across: float) -> Box:
        # The first three go down the first of two columns, or across the first of two lines.
        column, line = divmod(index, lines) if columns < lines else divmod(index, columns)[::-1]
        left = box.left + column * (width + PANEL_GAP)
        under = top - line_height * line - PANEL_HEADER
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
    """Layout of one token of two models to scale: a small tile, and many tiles of a large model.

    Attributes
    ----------
    small
        Boxes of the small model's keys and values, side by side: all its heads and layers.
    large
        One box for each layer of the large model.
    small_name, small_size
        Centers of the lines above and below the small tile; beside it in a narrow frame.
    large_name, remark
        Centers of the lines above and below the large model's tiles.
    width
        Largest width of a line.
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
        """Lay out the tiles as large as the frame allows."""
        stage, narrow = frame.stage, frame.width <= NARROW
        room = Box.of(
            stage.left + (0.0 if narrow else SMALL_ROOM),
            stage.right,
            stage.bottom + (3.5 if narrow else 2.0) * NOTE,
            stage.top - formula_room(frame) - (SMALL_HEIGHT if narrow else 0.0),
        )
        width, height = sum(large.head_sizes), large.heads
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
            # The small tile stands above the large model's, and both in the middle of the room.
            drop = (room.height - whole.height) / 2
            tiles = [tile.moved(dx=stage.x - whole.x, dy=-drop) for tile in tiles]
            whole = Box.around(tiles)
            middle, bottom = stage.x, whole.top + SMALL_HEIGHT - 0.35 - tall
        key, value = (scale * part for part in small.head_sizes)
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


def cache_growth_layout(frame: Frame) -> ContextLayout:
    """Lay out a chart of a growing cache, with room at the right for one long name."""
    layout = ContextLayout.of(frame)
    return replace(layout, right=max(0.21 * layout.chart.width, LONG_END))


def volume_fill(frame: Frame) -> float:
    """Return the part of the frame's width that a volume fills, beside words at its sides."""
    return FILL_NARROW if frame.width <= NARROW else FILL


def measured_volume_fill(frame: Frame) -> tuple[float, float]:
    """Return the part of the width that a volume with measured edges fills, and its shift.

    The shift is how far it stands to the right of the center, in scene units.
    """
    return (0.5, 0.1) if frame.width <= NARROW else (0.58, 0.3)


def formula_room(frame: Frame) -> float:
    """Return the height from the top of the stage to below a formula that stays in the frame."""
    return FORMULA_ROOM + (FORMULA_LINE if frame.width <= NARROW else 0.0)


def title_point(frame: Frame) -> Point:
    """Return the point where a title that stays in the frame begins."""
    return frame.stage.left, frame.stage.top - 0.3


def formula_point(frame: Frame) -> Point:
    """Return the center of a formula that stays in the frame."""
    return frame.stage.x, frame.stage.top - 0.35
