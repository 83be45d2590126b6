"""Rows of one word below each other: a strip of cells for each, with numbers in some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from manim import Group, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.printable import printable
from filmkit.core.text import fit_word, stacked_lines
from filmkit.mobjects.marks import CellLabels
from filmkit.pictures.parts import TEXT

__all__ = ["GAP", "LINE", "NUMBER", "WORDS", "Strip", "Strips", "keys_shown"]

MOST = 8  # keys that are shown, at most
WORDS, NUMBER = 1.2 * TEXT, 0.07  # sizes of words and of numbers
LINE = 1.5 * WORDS * FRAME_HEIGHT  # height of a line of words, in scene units
SIDE, GAP = 0.22, 0.3  # share of the width for what stands at the left; between strips
DIMMED = 0.6  # opacity of cells without a number


def keys_shown(query: int, key: int | None = None) -> slice:
    """Return the last keys that a query sees, as many as are shown; earlier ones if `key` is."""
    start = max(0, query + 1 - MOST)
    start = start if key is None else min(start, key)
    return slice(start, min(start + MOST, query + 1))


@dataclass(frozen=True)
class Strip:
    """The row of one query, or a part of it.

    Attributes
    ----------
    name
        What stands before it.
    values : (key,)
        The numbers.
    norm, source
        How they become colours, and where they come from: the source of (1, key) cells.
    numbers
        What is written in cells, by their places; these cells are lit.
    """

    name: str
    values: npt.NDArray[np.float64]
    norm: Norm
    source: TensorSource
    numbers: Mapping[int, str]


class Strips(Group):
    """Strips below each other with their keys' words above; or side by side in upright frames.

    Parameters
    ----------
    strips
        The strips, of the same keys.
    words
        The words of the keys.
    box
        Room for all of it.
    down
        Whether keys run down instead of across.
    colours
        Colours of some words, by their places; all others are ink.

    Attributes
    ----------
    words
        Their labels.
    rows
        For each strip its cells, its name and its numbers.
    """

    def __init__(
        self,
        strips: Sequence[Strip],
        words: Sequence[str],
        box: Box,
        *,
        down: bool,
        colours: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__()
        side, head = SIDE * box.width, (3 if down else 1) * LINE
        inner = Box.of(box.left + side, box.right, box.bottom, box.top - head)
        count, top = len(strips), box.top - head / 2
        places = inner.split_columns(count, GAP) if down else inner.split_rows(count, GAP)
        self.rows, self.words = Group(), VGroup()
        for strip, place in zip(strips, places, strict=True):
            shape = (len(words), 1) if down else (1, len(words))
            source = replace(strip.source, transposed=True) if down else strip.source
            cells = Heatmap(strip.values.reshape(shape), strip.norm, source=source).place(place)
            texts = np.array([strip.numbers.get(number, "") for number in range(len(words))])
            cells.set_shown(np.where(texts == "", DIMMED, 1.0).reshape(shape))
            point = (place.left, top) if down else (box.left, place.y)
            names = stacked_lines(
                strip.name, point, place.width if down else side - GAP, size=WORDS
            )
            numbers = CellLabels(cells, texts.reshape(shape).tolist(), size=NUMBER)
            self.rows.add(Group(cells, *names, numbers))
        for number, word in enumerate(words):
            cell = cells.cell(*((number, 0) if down else (0, number)))
            room = side - GAP / 2 if down else 0.95 * cell.width
            label = fit_word(printable(word), room, size=WORDS, colour=(colours or {}).get(number))
            left = inner.left - GAP / 2 - label.width / 2
            self.words.add(label.on_line(*((left, cell.y) if down else (cell.x, top))))
        self.add(self.words, self.rows)
