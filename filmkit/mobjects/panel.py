"""A named matrix: its heatmap, or the visible ends of a wide one, with its name and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Dot, Group, VGroup, VMobject

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme

__all__ = ["Header", "Panel", "Truncated"]


class Header(VGroup):
    """A matrix's name in words, its symbol and its shape, on one line.

    Parameters
    ----------
    name
        Words, such as "queries"; may be empty.
    symbol
        Typst mathematics, such as ``"Q"``; may be empty.
    shape
        Rows and columns to print; None prints none.
    colour
        Of name and symbol.
    """

    GAP = 0.14

    def __init__(
        self,
        name: str,
        symbol: str = "",
        shape: tuple[int, int] | None = None,
        *,
        colour: str | None = None,
        size: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        theme = current_theme()
        self.size = size = size or theme.name_size
        self.line = 0.0
        self.name = Label(name, size=size, colour=colour) if name else None
        self.symbol = Symbol(symbol, size=size, colour=colour) if symbol else None
        self.shape = (
            Label(f"{shape[0]} × {shape[1]}", size=theme.shape_size, colour=theme.muted)
            if shape
            else None
        )
        x = 0.0
        for part in (self.name, self.symbol, self.shape):
            if part is not None:
                part.on_line(x + part.width / 2, 0)
                x += part.width + self.GAP
                self.add(part)

    def stand_on(self, box: Box, *, buff: float = 0.12, align: str = "left") -> Header:
        """Place it just above a box: flush left, flush right or centered."""
        if not self.submobjects:
            return self
        x = {
            "left": box.left - self.get_left()[0],
            "right": box.right - self.get_right()[0],
            "center": box.x - self.get_x(),
        }[align]
        self.set_line(box.top + buff + self.size * FRAME_HEIGHT / 2)
        self.shift([x, 0, 0])
        return self

    def set_line(self, y: float) -> Header:
        """Move it up or down until the middle of its line is at y."""
        self.shift([0, y - self.line, 0])
        self.line = y
        return self


class Panel(Group):
    """A heatmap with its header.

    ``panel.cells`` is the :class:`~filmkit.core.heatmap.Heatmap`, ``panel.header`` the
    :class:`Header`, which may hold nothing.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        norm: Norm,
        box: Box,
        *,
        name: str = "",
        symbol: str = "",
        colour: str | None = None,
        align: str = "left",
        show_shape: bool = True,
        masked: npt.NDArray[np.bool_] | None = None,
        source: TensorSource | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cells = Heatmap(
            values, norm, width=box.width, height=box.height, masked=masked, source=source
        ).place(box)
        self.add(self.cells)
        shape = self.cells.shape if show_shape else None
        self.header = Header(name, symbol, shape, colour=colour).stand_on(box, align=align)
        self.add(self.header)


class Truncated(Group):
    """The first and last columns of a matrix too wide to draw; the header tells its true width.

    ``blocks`` are its one or two heatmaps, ``dots`` the ellipsis between them.

    Parameters
    ----------
    values
        (rows, columns), all of it.
    first, last
        How many columns of either end are drawn; a matrix no wider than both is drawn whole.
    box
        Of everything, ellipsis included.
    """

    GAP = 0.34

    def __init__(
        self,
        values: npt.ArrayLike,
        norm: Norm,
        box: Box,
        *,
        first: int,
        last: int,
        name: str = "",
        symbol: str = "",
        colour: str | None = None,
        source: TensorSource | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        matrix = np.asarray(values)
        columns = matrix.shape[1]
        spans = (
            [(0, columns)] if columns <= first + last else [(0, first), (columns - last, columns)]
        )
        gap = self.GAP if len(spans) > 1 else 0.0
        cell = (box.width - gap) / sum(stop - start for start, stop in spans)
        self.blocks: list[Heatmap] = []
        left = box.left
        for start, stop in spans:
            width = cell * (stop - start)
            block = Heatmap(
                matrix[:, start:stop],
                norm,
                width=width,
                height=box.height,
                source=source and source.part((0, matrix.shape[0]), (start, stop)),
            )
            block.place(Box.of(left, left + width, box.bottom, box.top))
            self.blocks.append(block)
            left += width + gap
        self.add(*self.blocks)
        self.dots: VMobject | None = None
        if gap:
            theme = current_theme()
            x = self.blocks[0].box.right + gap / 2
            self.dots = VGroup(
                *(
                    Dot([x + 0.085 * k, box.y, 0], radius=0.025, color=theme.muted)
                    for k in (-1, 0, 1)
                )
            )
            self.add(self.dots)
        shape = (matrix.shape[0], columns)
        self.header = Header(name, symbol, shape, colour=colour).stand_on(box)
        self.add(self.header)

    @property
    def box(self) -> Box:
        """Box of the cells and the ellipsis."""
        return Box.around(block.box for block in self.blocks)
