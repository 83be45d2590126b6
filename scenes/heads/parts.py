"""Parts of pictures that only this scene has: one token's row, and the way through a matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from manim import Line, Mobject, VGroup, VMobject

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Outline
from filmkit.pictures.mosaic import Size
from filmkit.pictures.parts import TEXT, Around, Place

__all__ = ["WAY", "WideRow", "way_through"]

LINE_GAP = 0.18  # between two lines, in scene units
LEAST = 0.018  # width of a cell with which a row stays on one line, in scene units
LINES = 4  # at most
NAMES = 1.5 * TEXT * FRAME_HEIGHT  # height of the names above a line
BRACKET = 0.75  # room for a bracket below the lines, in scene units
DIM = 0.6  # opacity of the other blocks
WAY, CROSSING = 1.9, 0.6  # height of the way through a matrix, and opacity of its lines


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
    count
        What is written at a bracket below one of the blocks, which is brighter than the others; ""
        for none.
    bright
        Number of that block; the last one takes its place if there are other blocks below it.
    """

    blocks: Sequence[Heatmap]
    width: float
    height: float
    names: Sequence[Sequence[str]] = ()
    seam: float = 0.0
    count: str = ""
    bright: int = 0

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
        if self.count:
            below = boxes[self.bright].bottom <= boxes[-1].bottom
            bright = self.bright if below else len(boxes) - 1
            for number in range(len(boxes)):
                found[f"block {number}"].set_opacity(1.0 if number == bright else DIM)
            found["count"] = bracket_below(boxes[bright], self.count, place.box)
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
        room = Box.of(room.left, room.right, room.bottom + BRACKET * bool(self.count), room.top)
        for line in room.split_rows(math.ceil(count / across), LINE_GAP):
            top = line.top - NAMES * bool(self.names)
            cells = Box.of(line.left, line.right, line.bottom, top)
            boxes += cells.split_columns(across, self.seam)
        return boxes[:count]


def way_through(formula: str, text: str, width: float, count: int) -> VGroup:
    """Return the way of a row through a matrix: lines from all to all, and the matrix.

    Parameters
    ----------
    formula
        The matrix as Typst mathematics.
    text
        What it does, beside it.
    width
        Width of the row, in scene units.
    count
        How many blocks a line of the row has, before the matrix and behind it.
    """
    theme, lines = current_theme(), VGroup()
    words = VGroup(Symbol(formula, size=0.07), Label(text, size=1.2 * TEXT))
    words.arrange([1, 0, 0], buff=0.25).move_to([0, 0, 0])
    ends = [box.x for box in Box(0, 0, width, WAY).split_columns(count)]
    for start, stop in product(ends, repeat=2):
        line = Line([start, WAY / 2, 0], [stop, -WAY / 2, 0], stroke_width=theme.thin)
        lines.add(line.set_stroke(theme.ink, opacity=CROSSING))
    room = Box(0, 0, words.width, words.height).grown(0.3, 0.2)
    block = Outline(room, colour=theme.ink, radius=0.1).set_fill(theme.card, opacity=1.0)
    return VGroup(lines, VGroup(block, words))


def bracket_below(box: Box, text: str, room: Box) -> VGroup:
    """Return a bracket below a box, and words below it that stay in a room."""
    theme, words = current_theme(), Label(text, size=TEXT)
    bracket = VMobject(stroke_color=theme.ink, stroke_width=theme.line)
    top, low = (box.bottom - share * BRACKET for share in (0.12, 0.3))
    ends = (box.left, top), (box.left, low), (box.right, low), (box.right, top)
    half = words.width / 2
    words.on_line(min(max(box.x, room.left + half), room.right - half), box.bottom - 0.7 * BRACKET)
    return VGroup(bracket.set_points_as_corners([[*end, 0] for end in ends]), words)
