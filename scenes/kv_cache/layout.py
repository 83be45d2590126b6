"""Layouts of the scene about the key/value cache: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.camera import Shot
from filmkit.core.geometry import (
    FRAME_HEIGHT,
    NARROW,
    WORD_GAP,
    Box,
    Frame,
    Point,
    row_points,
)
from filmkit.mobjects.head_stack_layout import TILT, TURN

__all__ = [
    "ChipLayout",
    "GrowthNotesLayout",
    "KeptLayout",
    "NextWordLayout",
    "RaceLayout",
    "SideLayout",
    "growth_middle",
    "growth_room",
    "heads_fill",
    "measured_volume_fill",
    "notes_layout",
    "output_room",
    "shot_of_front",
    "title_point",
    "view_angles",
    "volume_fill",
]


# Lengths are in scene units.
NOTE = 0.024 * FRAME_HEIGHT  # height of a line of small words
SHAPE = 0.028 * FRAME_HEIGHT  # of words
NAME = 0.04 * FRAME_HEIGHT  # and of a name
DISPLAY = 0.07  # size of the one figure that matters
SENTENCE_LINE = 0.5  # height of a line of the sentence
CANDIDATE = 0.13  # distance from one candidate to the next, as a share of the stage's height
NOTES_ROOM = 3.5  # width beside the scores for notes
KEPT_GAP = 0.4  # between queries, keys and values
BRACKET_ROOM = 0.85  # width beside keys and values for a bracket and its name on end
KEPT_ROW = 0.46  # largest height of their rows
RACE_GAP = 0.9  # between the two ways of decoding
PANEL_GAP = 0.3  # between keys and values
HEAD = 0.5  # height of a panel's name
COUNTER = 1.25  # height of a counter and the line below it
TITLE = 0.55  # height of the line that names a way of decoding
FLAT_LENS = 60.0  # lens of a shot in which a solid looks flat
CHIP_GAP = 1.9  # from the cache to the chip
SLOT_GAP = 0.22  # between two slots of the chip, relative to a slot


@dataclass(frozen=True)
class NextWordLayout:
    """Layout of a sentence and, below it, a bar chart of the words that may follow.

    Attributes
    ----------
    sentence
        y of the middle of the sentence.
    title
        Center of the line above the bar chart.
    words
        Points where the words of the candidates end.
    word_room
        Largest width of these words.
    bars
        Boxes of the candidates' bars, as wide as a probability of 1.
    """

    sentence: float
    title: Point
    words: tuple[Point, ...]
    word_room: float
    bars: tuple[Box, ...]

    @classmethod
    def of(cls, frame: Frame, *, lines: int, candidates: int) -> NextWordLayout:
        """Lay out a sentence of some lines, and a number of candidates."""
        stage, sentence = frame.stage, SENTENCE_LINE * lines
        room = stage.height - sentence - 0.4
        step = min(CANDIDATE * stage.height, 0.9, room / (candidates + 1))
        chart = (candidates + 1) * step
        gap = max(0.1, (stage.height - chart - sentence) / 3)
        left = stage.left + 0.24 * stage.width
        bottom = max(stage.bottom, stage.bottom + gap / 2)
        whole = Box.of(left, stage.right - 1.1, bottom, bottom + candidates * step)
        rows = row_points(whole.x, whole, candidates)
        return cls(
            sentence=stage.top - gap - sentence / 2,
            title=(stage.x, whole.top + 0.5 * step),
            words=tuple((left - 2 * WORD_GAP, y) for _, y in rows),
            word_room=left - 2 * WORD_GAP - stage.left,
            bars=tuple(Box(x, y, whole.width, 0.6 * step) for x, y in rows),
        )


def growth_room(frame: Frame) -> Box:
    """Return the room for queries, keys and scores; in a wide frame beside their notes."""
    stage = frame.stage
    right = stage.right - (0.0 if frame.width <= NARROW else NOTES_ROOM)
    return Box.of(stage.left + WORD_GAP, right, stage.bottom, stage.top)


def growth_middle(frame: Frame, bounds: Box) -> float:
    """Return x of the middle of the frame while queries, keys and scores have no notes yet."""
    return 0.0 if frame.width <= NARROW else bounds.x


def output_room(frame: Frame) -> Box:
    """Return the room for a pattern, its values and the output."""
    stage = frame.stage
    return Box.of(stage.left + WORD_GAP, stage.right, stage.bottom, stage.top)


@dataclass(frozen=True)
class GrowthNotesLayout:
    """Where the notes on masked, known and new scores begin.

    Attributes
    ----------
    points
        Left ends of the notes, at half their height.
    width
        Largest width of a line.
    size
        Text size.
    """

    points: tuple[Point, Point, Point]
    width: float
    size: float


def notes_layout(
    frame: Frame, product: Box, corner: Box, pitch: float, name: Box
) -> GrowthNotesLayout:
    """Lay out the notes beside the scores; in a narrow frame in the free corner.

    Parameters
    ----------
    product
        Box of the scores with the new row, which is the last and ``pitch`` high.
    corner
        The free room above the queries, left of the keys.
    name
        Box of the name of the keys, which stands in that corner.
    """
    stage = frame.stage
    if frame.width <= NARROW:
        step, left = 1.2 * SHAPE, stage.left
        top = stage.top - SHAPE
        if name.top > top - 3 * step:
            top = name.bottom - 0.55 * SHAPE
        first, second, third = ((left, top - step * index) for index in range(3))
        width = corner.right - left
        return GrowthNotesLayout((first, second, third), width, SHAPE / FRAME_HEIGHT)
    left = product.right + 0.3
    new = product.bottom + pitch / 2
    middle = max(product.y + pitch / 2, new + 1.5 * NAME)
    top = max(product.top - pitch, middle + 2.2 * NAME)
    width = stage.right - left
    return GrowthNotesLayout(((left, top), (left, middle), (left, new)), width, NAME / FRAME_HEIGHT)


@dataclass(frozen=True)
class KeptLayout:
    """Layout of queries, keys and values in one line; one below the other in an upright frame.

    Attributes
    ----------
    q, k, v
        Boxes of the cells.
    words
        Point at which the word of each row ends, beside the queries.
    """

    q: Box
    k: Box
    v: Box
    words: tuple[Point, ...]

    @classmethod
    def of(cls, frame: Frame, *, rows: int, word_width: float) -> KeptLayout:
        """Lay out panels of a number of rows, with words of a largest width."""
        stage = frame.stage
        beside = max(word_width, BRACKET_ROOM if frame.upright else 0.0) + WORD_GAP + 0.02
        room = Box.of(stage.left + beside, stage.right, stage.bottom, stage.top)
        note = 2.9 * NOTE + 0.3
        if frame.upright:
            parts = room.split_rows(3, gap=0.15)
            boxes = [
                Box.of(part.left, part.right, part.bottom + 0.65 * note, part.top - HEAD)
                for part in parts
            ]
            height = min(boxes[0].height, KEPT_ROW * rows)
        else:
            room = Box.of(room.left, room.right, room.bottom + note + 0.7, room.top - HEAD)
            height = min(room.height, KEPT_ROW * rows)
            boxes = list(room.split_columns(3, gap=KEPT_GAP))
        q, k, v = (Box(box.x, box.y, box.width, height) for box in boxes)
        return cls(q, k, v, row_points(q.left - WORD_GAP, q, rows))


@dataclass(frozen=True)
class SideLayout:
    """Layout of one way of decoding: keys beside values, and a counter below.

    Where there is little height the counter stands at their right.

    Attributes
    ----------
    title
        Point where the line that names it begins.
    k, v
        Boxes of the cells.
    count
        Point where the number of the counter begins.
    caption
        Point where the line below it begins.
    width
        Largest width of that line.
    """

    title: Point
    k: Box
    v: Box
    count: Point
    caption: Point
    width: float


@dataclass(frozen=True)
class RaceLayout:
    """Layout of two ways of decoding, with the words above and a remark below.

    They stand side by side; in an upright frame one below the other.

    Attributes
    ----------
    words
        Box of the line of words.
    cached, naive
        Decoding with a cache and without one.
    remark
        Center of the remark's line.
    """

    words: Box
    cached: SideLayout
    naive: SideLayout
    remark: Point

    @classmethod
    def of(cls, frame: Frame) -> RaceLayout:
        """Lay out two ways of decoding."""
        stage = frame.stage
        words = Box.of(stage.left, stage.right, stage.top - 0.5, stage.top - 0.1)
        room = Box.of(stage.left, stage.right, stage.bottom + 2.2 * NOTE, words.bottom - 0.15)
        if frame.upright:
            first, second = room.split_rows(2, gap=0.35)
        else:
            first, second = room.split_columns(2, gap=RACE_GAP)
        return cls(words, _side(first), _side(second), (stage.x, stage.bottom + 0.6 * NOTE))


def _side(box: Box) -> SideLayout:
    panels = Box.of(box.left, box.right, box.bottom + 0.15, box.top - TITLE - HEAD)
    if box.width > 2 * box.height:
        panels, counter = panels.split_columns((0.62, 0.38), gap=0.4)
        foot = counter.y - COUNTER / 2
    else:
        counter, foot = box, box.bottom
        panels = Box.of(box.left, box.right, box.bottom + COUNTER, panels.top)
    k, v = panels.split_columns(2, gap=PANEL_GAP)
    return SideLayout(
        title=(box.left, box.top - 0.25),
        k=k,
        v=v,
        count=(counter.left, foot + 0.8),
        caption=(counter.left, foot + 0.2),
        width=counter.width,
    )


@dataclass(frozen=True)
class ChipLayout:
    """Layout of a cache and the chip that reads it, in the frame.

    Attributes
    ----------
    cache
        Box of the front of the cache.
    chip
        Box of the chip's slots.
    wire
        Ends of the line from the cache to the chip.
    cache_name, chip_name
        Centers of the lines that name them.
    figure
        Center of the figure.
    caption
        Left end of the lines below it, at half their height.
    width
        Width of these lines.
    remark
        Center of the last line.
    """

    cache: Box
    chip: Box
    wire: tuple[Point, Point]
    cache_name: Point
    chip_name: Point
    figure: Point
    caption: Point
    width: float
    remark: Point

    @classmethod
    def of(cls, frame: Frame, *, shape: tuple[float, float]) -> ChipLayout:
        """Lay out a cache whose front has a shape, width to height."""
        stage, width = frame.stage, frame.stage.width
        foot = stage.bottom + 2.0 * NOTE
        room = Box.of(stage.left, stage.right, foot, stage.top - 1.4 * NAME)
        if frame.tall:
            words = 1.2 + 2.6 * NOTE
            room = Box.of(room.left, room.right, foot + words, room.top)
            upper, lower = room.split_rows((0.4, 0.6), gap=1.5)
            cache, chip = upper.fit(*shape), lower.fit(1.25, 1.0)
            wire = ((cache.x, cache.bottom - 0.15), (chip.x, chip.top + 0.8))
            figure = (stage.x, foot + words - 0.8)
        elif frame.upright:
            upper, lower = room.split_rows((0.36, 0.64), gap=1.0)
            left, right = upper.split_columns(2, gap=0.4)
            width = right.width
            cache, chip = left.fit(*shape), lower.fit(2.2, 1.0)
            wire = ((cache.x, cache.bottom - 0.15), (cache.x, chip.top + 0.15))
            figure = (right.x, right.y + 0.4)
        else:
            left, right = room.split_columns((0.44, 0.56), gap=CHIP_GAP)
            top = left.top - 0.25
            cache, chip = (
                box.moved(dy=top - box.top) for box in (left.fit(*shape), right.fit(1.2, 1.0))
            )
            width = left.width
            wire = ((cache.right + 0.2, cache.y), (chip.left - 0.3, cache.y))
            figure = (cache.x, (cache.bottom + foot) / 2)
        x, y = figure
        return cls(
            cache=cache,
            chip=chip,
            wire=wire,
            cache_name=(cache.x, cache.top + 0.85 * NAME),
            chip_name=(chip.x, chip.top + 0.85 * NAME),
            figure=(x, y),
            caption=(x - width / 2, y - 0.8),
            width=width,
            remark=(stage.x, stage.bottom + 0.6 * NOTE),
        )


def shot_of_front(front: Box, into: Box, frame: Frame) -> Shot:
    """Return the shot from straight ahead in which a box of the scene fills a box of the frame."""
    scale = into.width / front.width
    center = (front.x - into.x / scale, front.y - into.y / scale, 0.0)
    # So long a lens that only the front is seen.
    return Shot(center, frame.height / scale, focal=FLAT_LENS)


def view_angles(frame: Frame) -> tuple[float, float]:
    """Return the turn and the tilt from which a volume is seen, in degrees.

    In a tall frame it is seen from higher up, so that it fills more of the frame.
    """
    return (46.0, 36.0) if frame.tall else (TURN, TILT)


def heads_fill(frame: Frame) -> tuple[float, float]:
    """Return the part of the frame's width that numbered heads fill, and their shift.

    The shift is how far they stand to the right of the center, in scene units.
    """
    return (0.68 if frame.width <= NARROW else 0.84), 0.0


def volume_fill(frame: Frame) -> tuple[float, float]:
    """Return the same for a volume with words at its left."""
    return (0.76, 0.25) if frame.width <= NARROW else (0.84, 0.0)


def measured_volume_fill(frame: Frame) -> tuple[float, float]:
    """Return the same for a volume with measured edges."""
    return (0.5, -0.1) if frame.width <= NARROW else (0.62, 0.0)


def title_point(frame: Frame) -> Point:
    """Return the point where a title that stays in the frame begins."""
    return frame.stage.left, frame.stage.top - 0.3
