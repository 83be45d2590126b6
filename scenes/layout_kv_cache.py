"""Where things stand in the scene about the key/value cache: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scenes.cost import Cost
from scenes.layout import (
    FRAME_HEIGHT,
    HEADER,
    WORD_GAP,
    Box,
    Frame,
    HeadSlots,
    row_spots,
    sentence_spots,
    shot_box,
)
from scenes.layout_cache_size import ContextSlots

__all__ = [
    "GrowSlots",
    "KeptSlots",
    "LaneSlots",
    "LanesSlots",
    "NextWordSlots",
    "TokenSlots",
    "formula_spot",
    "growth_slots",
    "title_spot",
]

Spot = tuple[float, float]

NOTE = 0.024 * FRAME_HEIGHT  # a line of small words
CANDIDATE = 0.56  # from one candidate to the next
LANE_GAP = 0.9  # between the two ways of decoding
LANE_COLUMN_GAP = 0.55
LANE_HEADER = 0.4
LANE_FOOT = 1.3  # counters and what is said about them
LANE_ROW_MOST = 0.13
SMALL_ROOM = 3.2  # left of a large model's tiles
TILE_GAP = 0.05
FORMULA_ROOM = 1.55  # above them
NOTES_ROOM = 6.2  # beside queries, keys and values


@dataclass(frozen=True)
class NextWordSlots:
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

    sentence: tuple[Spot, ...]
    title: Spot
    words: tuple[Spot, ...]
    bars: tuple[Box, ...]

    @classmethod
    def of(cls, widths: tuple[float, ...], frame: Frame, *, candidates: int) -> NextWordSlots:
        """For words of the given widths."""
        stage = frame.stage
        spots = sentence_spots(widths, frame, gap=0.22, line=0.62)
        lines = 1 + round((spots[0][1] - spots[-1][1]) / 0.62)
        below = (candidates + 1) * CANDIDATE + 0.5
        room = stage.height - below
        middle = stage.top - max(room / 2, 0.31 * lines + 0.05)
        lift = middle - (spots[0][1] + spots[-1][1]) / 2
        left = stage.x - 0.15 * stage.width
        whole = Box.of(
            left, left + 0.46 * stage.width, stage.bottom, stage.bottom + candidates * CANDIDATE
        )
        rows = row_spots(whole.x, whole, candidates)
        return cls(
            sentence=tuple((x, y + lift) for x, y in spots),
            title=(stage.x, whole.top + 0.6 * CANDIDATE),
            words=tuple((left - 2 * WORD_GAP, y) for _, y in rows),
            bars=tuple(Box(x, y, whole.width, 0.56 * CANDIDATE) for x, y in rows),
        )


@dataclass(frozen=True)
class GrowSlots:
    """A close look at queries, transposed keys and scores, with lines of words at the right.

    ``zoom`` is how near the camera is: text sizes are the theme's times it.
    """

    seen: Box
    zoom: float
    masked: Spot
    known: Spot
    new: Spot

    @classmethod
    def of(cls, head: HeadSlots, *, count: int) -> GrowSlots:
        """For ``count`` rows, the last of which is new."""
        box, row = head.scores, head.scores.height / count
        wide = Box.of(
            head.q.left - 0.1,
            box.right + 1.9,
            head.k.bottom,
            head.k_t.top + HEADER + 0.05,
        )
        seen, zoom = shot_box(wide, head.frame)
        left, least = box.right + 0.16, 0.05 * FRAME_HEIGHT * zoom
        middle = box.bottom + max(box.height / 2, 1.1 * least + row / 2)
        return cls(
            seen=seen,
            zoom=zoom,
            masked=(left, max(box.top - row / 2, middle + least)),
            known=(left, middle),
            new=(left, box.bottom + row / 2),
        )


@dataclass(frozen=True)
class KeptSlots:
    """Queries, keys and values alone, and where a line beside each of them begins."""

    seen: Box
    q: Spot
    k: Spot
    v: Spot
    bracket: tuple[Spot, Spot]

    @classmethod
    def of(cls, head: HeadSlots) -> KeptSlots:
        right = head.q.right + NOTES_ROOM
        middle = (head.q.left + right) / 2 - head.frame.stage.x
        seen = Box(middle, 0.0, head.frame.width, head.frame.height)
        left = head.q.right + 0.3
        return cls(
            seen,
            (left, head.q.y),
            (left, head.k.y),
            (left, head.v.y),
            bracket=((right - 1.6, head.k.top), (right - 1.6, head.v.bottom)),
        )


@dataclass(frozen=True)
class LaneSlots:
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

    title: Spot
    q: Box
    k: Box
    v: Box
    scores: Box
    pattern: Box
    z: Box
    count: Spot
    bar: Box


@dataclass(frozen=True)
class LanesSlots:
    """Two ways of decoding beside each other, the words above, a remark below."""

    words: Box
    cached: LaneSlots
    naive: LaneSlots
    remark: Spot

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> LanesSlots:
        """For ``count`` token rows."""
        stage = frame.stage
        words = Box.of(stage.left, stage.right, stage.top - 0.5, stage.top - 0.1)
        width = (stage.width - LANE_GAP) / 2
        first, second = (
            _lane(Box.of(left, left + width, stage.bottom, words.bottom - 0.05), count)
            for left in (stage.left, stage.right - width)
        )
        return cls(words, first, second, remark=(stage.x, stage.bottom + 0.7 * NOTE))


def _lane(box: Box, count: int) -> LaneSlots:
    top, bottom = box.top - 0.44, box.bottom + LANE_FOOT
    slot = (top - bottom) / 3
    width = (box.width - LANE_COLUMN_GAP) / 2
    height = min(slot - LANE_HEADER - 0.1, LANE_ROW_MOST * count)

    def panel(column: int, line: int, across: float) -> Box:
        left = box.left + column * (width + LANE_COLUMN_GAP)
        under = top - slot * line - LANE_HEADER
        return Box.of(left, left + across, under - height, under)

    square = min(width, 1.6 * height)
    return LaneSlots(
        title=(box.left, box.top - 0.2),
        q=panel(0, 0, width),
        k=panel(0, 1, width),
        v=panel(0, 2, width),
        scores=panel(1, 0, square),
        pattern=panel(1, 1, square),
        z=panel(1, 2, width),
        count=(box.left, box.bottom + 0.95),
        bar=Box.of(box.left, box.right, box.bottom + 0.42, box.bottom + 0.62),
    )


@dataclass(frozen=True)
class TokenSlots:
    """One token of two models to the same scale: a small tile, and many tiles of a large model.

    Attributes
    ----------
    small
        The small model's keys and values, side by side: all its heads and layers.
    large
        One box for each layer of the large model.
    small_name, small_size, large_name, remark
        Centers of the lines above and below the small tile, and of those above and below the
        large model's.
    """

    small: tuple[Box, Box]
    large: tuple[Box, ...]
    small_name: Spot
    small_size: Spot
    large_name: Spot
    remark: Spot

    @classmethod
    def of(cls, frame: Frame, small: Cost, large: Cost) -> TokenSlots:
        stage = frame.stage
        room = Box.of(
            stage.left + SMALL_ROOM, stage.right, stage.bottom + 2 * NOTE, stage.top - FORMULA_ROOM
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
        key, value = (scale * part for part in small.width)
        left = middle - (key + value) / 2
        return cls(
            small=(
                Box.of(left, left + key, bottom, bottom + tall),
                Box.of(left + key, left + key + value, bottom, bottom + tall),
            ),
            large=tuple(tiles),
            small_name=(middle, bottom + tall + 0.3),
            small_size=(middle, bottom - 0.35),
            large_name=(whole.x, whole.top + 0.3),
            remark=(whole.x, stage.bottom + NOTE / 2),
        )


def growth_slots(frame: Frame) -> ContextSlots:
    """A chart of how a cache grows, with room at the right for one long name."""
    slots = ContextSlots.of(frame)
    return replace(slots, right=0.21 * slots.chart.width)


def title_spot(frame: Frame) -> Spot:
    """Where a title that stays in the frame begins."""
    return frame.stage.left, frame.stage.top - 0.3


def formula_spot(frame: Frame) -> Spot:
    """The middle of a formula that stays in the frame."""
    return frame.stage.x, frame.stage.top - 0.35
