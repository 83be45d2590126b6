"""What only this scene has: one token's row, the way through a matrix, a walk along the arc."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from manim import Mobject, Polygon, VGroup

from filmkit.core.animations import MoveCamera
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.pictures.mosaic import GAP, Size
from filmkit.pictures.parts import TEXT, Around, Place

__all__ = ["WAY", "Along", "Through", "WideRow"]

LINE_GAP = 0.18  # between two lines, in scene units
LEAST = 0.02  # width of a cell with which a row stays on one line, in scene units
LINES = 4  # at most
NAMES = 1.5 * TEXT * FRAME_HEIGHT  # height of the names above a line
WAY, BEAM = 1.9, 0.14  # height of the way through a matrix, and opacity of what goes there


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
        What stands above each block; as many as have room. None by default.
    seam
        Between two blocks, in scene units.
    """

    blocks: Sequence[Heatmap]
    width: float
    height: float
    names: Sequence[str] = ()
    seam: float = 0.0

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.width, height=self.height)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the blocks, each by its number, and their names."""
        boxes = self._boxes(place.box)
        found: dict[str, Mobject] = {
            f"block {i}": block.copy().place(box)
            for i, (block, box) in enumerate(zip(self.blocks, boxes, strict=True))
        }
        if self.names:
            labels = [Label(name, size=TEXT, colour=current_theme().muted) for name in self.names]
            every = math.ceil(1.1 * max(label.width for label in labels) / boxes[0].width)
            for label, box in zip(labels, boxes, strict=True):
                label.on_line(box.x, box.top + NAMES / 2)
            found["names"] = VGroup(*labels[::every])
        return found

    @property
    def across(self) -> int:
        """Number of blocks on a line: as many on each, where that is possible."""
        count, columns = len(self.blocks), sum(block.shape[1] for block in self.blocks)
        least = min(LINES, count, math.ceil(columns * LEAST / self.width))
        lines = next((n for n in range(least, LINES + 1) if count % n == 0), least)
        return math.ceil(count / lines)

    def _boxes(self, room: Box) -> list[Box]:
        """Return the box of each block."""
        boxes: list[Box] = []
        for line in room.split_rows(math.ceil(len(self.blocks) / self.across), LINE_GAP):
            top = line.top - NAMES * bool(self.names)
            cells = Box.of(line.left, line.right, line.bottom, top)
            boxes += cells.split_columns(self.across, self.seam)
        return boxes[: len(self.blocks)]


@dataclass(frozen=True)
class Through:
    """The way from a row through a matrix to the row below: all blocks run together in it.

    Attributes
    ----------
    row
        The row above.
    symbol
        The matrix as Typst mathematics.
    """

    row: WideRow
    symbol: str

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.row.width, height=WAY)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the matrix, what runs into it, and what comes out."""
        symbol = Symbol(self.symbol, size=0.08).move_to(place.box.center)
        neck = Box(place.box.x, place.box.y, 1.5 * symbol.width, 1.4 * symbol.height)
        # Up to the rows above and below.
        ends = place.box.grown(0.0, 0.8 * GAP)
        starts = ends.split_columns(self.row.across, self.row.seam)
        into = (
            _beam(start.left, start.right, ends.top, neck.left, neck.right, neck.top)
            for start, neck in zip(starts, neck.split_columns(len(starts)), strict=True)
        )
        out = _beam(neck.left, neck.right, neck.bottom, ends.left, ends.right, ends.bottom)
        return {"into": VGroup(*into), "whole": symbol, "out of": out}


def _beam(
    left: float, right: float, y: float, next_left: float, next_right: float, next_y: float
) -> Polygon:
    """Return a beam of light from one level to another."""
    corners = [left, y, 0], [right, y, 0], [next_right, next_y, 0], [next_left, next_y, 0]
    colour = current_theme().ink
    return Polygon(*corners, stroke_width=0, fill_color=colour, fill_opacity=BEAM)


class Along(MoveCamera):
    """Move the camera through several shots to the last, without stopping.

    Parameters
    ----------
    camera
        The stage's camera.
    shots
        Where it passes, in order; it begins at the first.
    """

    def __init__(self, camera: StageCamera, shots: Sequence[Shot], **kwargs: Any) -> None:
        super().__init__(camera, shots[-1], **kwargs)
        self.shots = shots

    def step(self, alpha: float) -> None:
        place = alpha * (len(self.shots) - 1)
        before = min(int(place), len(self.shots) - 2)
        self.camera.shot = self.shots[before].mix(self.shots[before + 1], place - before)
