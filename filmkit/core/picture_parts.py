"""What a picture says of the mosaic that it was made from, for its map, its alt text and checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from manim import Mobject

from filmkit.core.geometry import Box

__all__ = ["MosaicItem", "PartItem", "SideItem"]

Points = npt.NDArray[np.float64]


def _as_they_are(points: Points) -> Points:
    return points


@dataclass(frozen=True)
class SideItem:
    """What runs along a side of a part.

    Attributes
    ----------
    axis
        Its name.
    count, drawn
        How many cells there are, and how many of them are drawn.
    pitch
        Size of a cell, in scene units.
    words
        Texts of its tokens, or none.
    first
        Number of its first cell, where numbers stand there; None where there are none.
    """

    axis: str
    count: int
    drawn: int
    pitch: float
    words: tuple[str, ...]
    first: int | None = None


@dataclass(frozen=True)
class PartItem:
    """A part of a mosaic on screen.

    Attributes
    ----------
    name, words
        Its name in the mosaic, and what it is called in words.
    field
        The rows and the columns [start, stop) of fields that it covers.
    box
        Its cells, or the whole of a part without cells, in scene units.
    sides
        What runs down and across.
    members
        All mobjects of which it is made.
    """

    name: str
    words: str
    field: tuple[tuple[int, int], tuple[int, int]]
    box: Box
    sides: tuple[SideItem | None, SideItem | None]
    members: frozenset[Mobject]


@dataclass(frozen=True)
class MosaicItem:
    """The mosaic from which the picture on screen was made.

    Attributes
    ----------
    grid
        The name of each field, row by row; "." is an empty one, "|" a joint between two columns.
    fields
        Room of each field, row by row, in scene units.
    parts
        Those that are on screen.
    marks
        For each frame the name of the part, its row and its column; None for all.
    left_out
        The words for which there was no room, one line each.
    stands
        "glass" or "floor" if it stands in the room, else "".
    at
        Called with points (n, 3) of the flat picture: where they are in the scene.
    """

    grid: tuple[tuple[str, ...], ...]
    fields: tuple[tuple[Box, ...], ...]
    parts: tuple[PartItem, ...]
    marks: tuple[tuple[str, int | None, int | None], ...]
    left_out: tuple[str, ...]
    stands: str = ""
    at: Callable[[Points], Points] = _as_they_are

    def part_of(self, mobject: Mobject) -> PartItem | None:
        """Return the part that a mobject belongs to."""
        return next((part for part in self.parts if mobject in part.members), None)
