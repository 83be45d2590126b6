"""Panels: a heatmap with the name and shape of its matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Group, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme

__all__ = ["Header", "Panel"]


class Header(VGroup):
    """The name of a matrix in words, its symbol and its shape, on one line.

    Parameters
    ----------
    name
        Words, such as "queries"; may be empty.
    symbol
        Typst mathematics, such as ``"Q"``; may be empty.
    shape
        Numbers of rows and columns; None writes none.
    colour
        Colour of name and symbol; the theme's ``ink`` by default.

    Attributes
    ----------
    name, symbol, shape
        Its parts, each None if it is left out.
    line
        y of the middle of its line.
    """

    GAP = 0.14  # between its parts, in scene units

    def __init__(
        self,
        name: str,
        symbol: str = "",
        shape: tuple[int, int] | None = None,
        *,
        colour: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        theme = current_theme()
        self.size = size = theme.name_size
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
        """Move it to just above a box, and return it.

        Parameters
        ----------
        box
            Usually the box of the cells.
        buff
            Distance between both, in scene units.
        align
            "left", "right" or "center".
        """
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
        """Move it up or down until the middle of its line is at ``y``, and return it."""
        self.shift([0, y - self.line, 0])
        self.line = y
        return self


class Panel(Group):
    """A heatmap with a header above it.

    Parameters
    ----------
    values : (rows, columns)
        The numbers.
    norm
        How values become colours.
    box
        Box of the cells, in scene units; the header is above it.
    name, symbol, colour
        As for :class:`Header`; a panel may have neither name nor symbol.
    align
        Where the header is flush with the cells: "left", "right" or "center".
    show_shape
        Whether the header has the shape of the matrix.
    masked : (rows, columns)
        True where the causal mask removes the cell.
    source
        Where the numbers come from.

    Attributes
    ----------
    cells : Heatmap
        The heatmap.
    header : Header
        The header; it may be empty.

    Examples
    --------
    ::

        keys = Panel(
            view.k_used,
            layer.norm("k"),
            Box(0, 0, 3, 2),
            name="keys",
            symbol="K",
            colour=current_theme().key,
            source=layer.source(view.score_tensor("k"), view.kv_head, (0, meta.d_qk)),
        )
        self.play(Appear(keys))
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
        self.cells.label = name
        self.add(self.cells)
        shape = self.cells.shape if show_shape else None
        self.header = Header(name, symbol, shape, colour=colour).stand_on(box, align=align)
        self.add(self.header)
