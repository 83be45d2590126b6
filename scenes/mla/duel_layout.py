"""Layouts of the duel between one shared set of keys and values and one latent: pure geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

from filmkit.core.geometry import Box, Frame, Point

__all__ = ["DuelLayout", "DuelSideLayout"]

# Lengths are in scene units.
NAME_LINE, BAR, BAR_GAP = 0.46, 0.24, 0.2  # the name above a bar, the bar, and what is below it
SIDE_GAP = 0.9  # between the two sides
PATTERN_GAP = 0.09  # between two patterns, as a share of a pattern's side
COUNTER_WIDTH, COUNTER_HEIGHT = 1.6, 1.0  # room for a counter with its words
PREFERRED = 1.1  # how much smaller patterns may be if the counter stands beside them
LAYER_WORDS = 0.3  # height of the words below the bars of all layers


@dataclass(frozen=True)
class DuelSideLayout:
    """Layout of one side of the duel.

    Attributes
    ----------
    name, numbers
        Left end of the name, and right end of the number of cached numbers.
    bar
        Box of as many numbers as the model itself caches.
    patterns
        Boxes of the patterns of all heads, in their order.
    counter
        Center of the counter.
    words
        Left end of the words about it, or the center of the first of two lines if ``centered``.
    state
        The same of the words about what the patterns are.
    word_room
        Width for a line of these words.
    centered
        Whether words are centered, in two lines.
    layers
        Box of the bars of all layers, in the place of the patterns.
    """

    name: Point
    numbers: Point
    bar: Box
    patterns: tuple[Box, ...]
    counter: Point
    words: Point
    state: Point
    word_room: float
    centered: bool
    layers: Box

    @classmethod
    def of(cls, room: Box, count: int) -> DuelSideLayout:
        """Lay out a side in its part of the frame.

        Parameters
        ----------
        room
            What it may fill.
        count
            Number of heads.
        """
        line = room.top - NAME_LINE / 2
        bar = Box.of(room.left, room.right, room.top - NAME_LINE - BAR, room.top - NAME_LINE)
        middle = Box.of(room.left, room.right, room.bottom, bar.bottom - BAR_GAP)
        beside = _grid(
            Box.of(middle.left, middle.right - COUNTER_WIDTH, middle.bottom, middle.top), count
        )
        above = _grid(
            Box.of(middle.left, middle.right, middle.bottom + COUNTER_HEIGHT, middle.top), count
        )
        centered = PREFERRED * beside[0].width >= above[0].width
        patterns = beside if centered else above
        grid = Box.around(patterns)
        if centered:
            x = (grid.right + middle.right) / 2 + 0.1
            counter, words, state = (x, grid.y + 0.2), (x, grid.y - 0.36), (x, grid.top - 0.2)
            word_room = 2 * (middle.right - x)
        else:
            y = grid.bottom - 0.08 - COUNTER_HEIGHT / 2
            counter = (grid.left + 0.75, y)
            words, state = (grid.left + 1.7, y + 0.4), (grid.left + 1.7, y + 0.1)
            word_room = room.right - words[0]
        return cls(
            name=(room.left, line),
            numbers=(room.right, line),
            bar=bar,
            patterns=patterns,
            counter=counter,
            words=words,
            state=state,
            word_room=word_room,
            centered=centered,
            layers=Box.of(grid.left, grid.right, grid.bottom + LAYER_WORDS, grid.top),
        )


def _grid(room: Box, count: int) -> tuple[Box, ...]:
    """Return equal squares, row by row, as large as fit; the rows begin at the left."""

    def side(columns: int) -> float:
        rows = math.ceil(count / columns)
        return min(
            room.width / (columns + PATTERN_GAP * (columns - 1)),
            room.height / (rows + PATTERN_GAP * (rows - 1)),
        )

    columns = max(range(1, count + 1), key=side)
    size, rows = side(columns), math.ceil(count / columns)
    pitch = size * (1 + PATTERN_GAP)
    top = room.y + (pitch * rows - size * PATTERN_GAP) / 2
    return tuple(
        Box(
            room.left + size / 2 + pitch * (number % columns),
            top - size / 2 - pitch * (number // columns),
            size,
            size,
        )
        for number in range(count)
    )


@dataclass(frozen=True)
class DuelLayout:
    """Layout of both sides of the duel: side by side, or one above the other in a tall frame."""

    shared: DuelSideLayout
    latent: DuelSideLayout

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> DuelLayout:
        """Lay out both sides; see `DuelSideLayout.of`."""
        split = frame.stage.split_rows if frame.tall else frame.stage.split_columns
        first, last = split(2, SIDE_GAP if not frame.tall else 0.6)
        return cls(*(DuelSideLayout.of(room, count) for room in (first, last)))
