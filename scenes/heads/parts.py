"""Parts of pictures that only this scene has: one token's row, and the way through a matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from manim import Line, Mobject, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Highlight, Outline
from filmkit.pictures.mosaic import Size
from filmkit.pictures.parts import TEXT, Around, Place

__all__ = ["WAY", "WideRow", "way_through"]

LINE_GAP = 0.18  # between two lines, in scene units
LEAST = 0.018  # width of a cell with which a row stays on one line, in scene units
LINES = 4  # at most
NAMES = 1.5 * TEXT * FRAME_HEIGHT  # height of the names above a line
UPPER, GAP = 0.45, 0.15  # of a line's height for what is above its blocks, at most; and a gap
ARROW, LOWER = 0.7, 0.8  # room for an arrow down to a block, and its height in squares, at most
LEAST_LOWER = 0.4  # of that height where there are arrows
WAY, CROSSING = 1.4, 0.8  # height of the way through a matrix, and opacity of its lines


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
    above
        A square heatmap to stand above each block; none by default.
    row
        Which of its rows is framed, and so is each block that is made of it.
    word
        What the framed rows are, at their left.
    """

    blocks: Sequence[Heatmap]
    width: float
    height: float
    names: Sequence[Sequence[str]] = ()
    seam: float = 0.0
    above: Sequence[Heatmap] = ()
    row: int = 0
    word: str = ""

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.width, height=self.height)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the blocks, and what is above them, each by its number; frames, and names."""
        word = Label(self.word, size=TEXT, colour=current_theme().highlight)
        room, beside = place.box, (word.width + GAP) * bool(self.above)
        boxes, squares = self._boxes(Box.of(room.left + beside, room.right, room.bottom, room.top))
        found: dict[str, Mobject] = {
            f"block {number}": block.copy().place(box)
            for number, (block, box) in enumerate(zip(self.blocks, boxes, strict=True))
        }
        if self.above:
            upper = [u.copy().place(box) for u, box in zip(self.above, squares, strict=True)]
            found |= {f"above {number}": cells for number, cells in enumerate(upper)}
            framed = [*(cells.row(self.row) for cells in upper), *boxes]
            found["frames"] = VGroup(*map(Highlight, framed))
            found["arrows"] = VGroup(
                *(
                    Label("↓", size=1.6 * TEXT, colour=current_theme().highlight).on_line(
                        square.x, (square.bottom + box.top) / 2
                    )
                    for box, square in zip(boxes, squares, strict=True)
                    if square.bottom - box.top > GAP + 1e-6
                )
            )
            row = upper[0].row(self.row)
            found["word"] = word.on_line(row.left - GAP - word.width / 2, row.y)
        for names in self.names:
            labels = [Label(name, size=TEXT, colour=current_theme().muted) for name in names]
            every = math.ceil(1.1 * max(label.width for label in labels) / boxes[0].width)
            for label, box in zip(labels, squares, strict=True):
                label.on_line(box.x, box.top + NAMES / 2)
            found["names"] = VGroup(*labels[::every])
            if every == 1:
                break
        return found

    def _boxes(self, room: Box) -> tuple[list[Box], list[Box]]:
        """Return the box of each block, as many on each line as on the others where possible.

        And the squares above them, of which only the upper sides count where none are drawn.
        """
        count, columns = len(self.blocks), sum(block.shape[1] for block in self.blocks)
        least = min(LINES, count, math.ceil(columns * LEAST / self.width))
        across = math.ceil(count / next((n for n in range(least, 5) if count % n == 0), least))
        boxes: list[Box] = []
        squares: list[Box] = []
        for line in room.split_rows(math.ceil(count / across), LINE_GAP):
            for column in line.split_columns(across, self.seam):
                top, bottom = line.top - NAMES * bool(self.names), line.bottom
                side = min(column.width, UPPER * line.height) * bool(self.above)
                gap = GAP * bool(self.above)
                if self.above and top - bottom - side - ARROW > LEAST_LOWER * side:
                    # What squares leave free is above and below them.
                    gap, free = ARROW, max(0.0, top - bottom - (1 + LOWER) * side - ARROW) / 2
                    top, bottom = top - free, bottom + free
                squares.append(Box(column.x, top - side / 2, side, side))
                boxes.append(Box.of(column.left, column.right, bottom, top - side - gap))
        return boxes[:count], squares[:count]


def way_through(formula: str, text: str, width: float, count: int) -> VGroup:
    """Return a matrix, and lines on which each number of a row goes to all numbers below it.

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
