"""Parts of pictures that only this scene has: one token's row, and the way through a matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manim import Mobject, Polygon, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.pictures.mosaic import Size
from filmkit.pictures.parts import TEXT, Around, Place

__all__ = ["WAY", "WideRow", "way_through"]

LINE_GAP = 0.18  # between two lines, in scene units
LEAST = 0.018  # width of a cell with which a row stays on one line, in scene units
LINES = 4  # at most
NAMES = 1.5 * TEXT * FRAME_HEIGHT  # height of the names above a line
WAY, BEAM = 1.6, 0.14  # height of the way through a matrix, and opacity of its beams


@dataclass(frozen=True)
class WideRow:
    """A row of numbers in blocks; where it is too long for the picture, it goes on below.

    Attributes
    ----------
    blocks
        Heatmaps of one row each, from the left.
    width, height
        Room, in scene units.
    names
        Ways to name the blocks, the longest names first: the first one with room for all of them is
        taken, or as many names of the last. None by default.
    seam
        Between two blocks, in scene units.
    """

    blocks: Sequence[Heatmap]
    width: float
    height: float
    names: Sequence[Sequence[str]] = ()
    seam: float = 0.0

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.width, height=self.height)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the blocks, each by its number, and their names."""
        boxes = self._boxes(place.box)
        found: dict[str, Mobject] = {
            f"block {number}": block.copy().place(box)
            for number, (block, box) in enumerate(zip(self.blocks, boxes, strict=True))
        }
        for names in self.names:
            labels = [Label(name, size=TEXT, colour=current_theme().muted) for name in names]
            every = math.ceil(1.1 * max(label.width for label in labels) / boxes[0].width)
            for label, box in zip(labels, boxes, strict=True):
                label.on_line(box.x, box.top + NAMES / 2)
            found["names"] = VGroup(*labels[::every])
            if every == 1:
                break
        return found

    def _boxes(self, room: Box) -> list[Box]:
        """Return the box of each block: as many on each line, where that is possible."""
        count, columns = len(self.blocks), sum(block.shape[1] for block in self.blocks)
        least = min(LINES, count, math.ceil(columns * LEAST / self.width))
        across = math.ceil(count / next((n for n in range(least, 5) if count % n == 0), least))
        boxes: list[Box] = []
        for line in room.split_rows(math.ceil(count / across), LINE_GAP):
            top = line.top - NAMES * bool(self.names)
            cells = Box.of(line.left, line.right, line.bottom, top)
            boxes += cells.split_columns(across, self.seam)
        return boxes[:count]


def way_through(formula: str, width: float) -> VGroup:
    """Return the way of a row through a matrix: what runs in, its symbol, and what comes out.

    Parameters
    ----------
    formula
        The matrix as Typst mathematics.
    width
        Width of the row, in scene units.
    """
    symbol, parts = Symbol(formula, size=0.08), []
    for end in (WAY / 2, -WAY / 2):
        near, half = math.copysign(0.7 * symbol.height, end), 0.75 * symbol.width
        corners = [-width / 2, end, 0], [width / 2, end, 0], [half, near, 0], [-half, near, 0]
        colour = current_theme().ink
        parts.append(Polygon(*corners, stroke_width=0, fill_color=colour, fill_opacity=BEAM))
    return VGroup(parts[0], symbol.move_to([0, 0, 0]), parts[1])
