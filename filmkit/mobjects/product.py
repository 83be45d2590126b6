"""The picture of a matrix product of one head: queries times keys, or a pattern times values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manim import Group, Rectangle

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point
from filmkit.core.heatmap import Heatmap
from filmkit.core.printable import printable
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head_tensors import HeadTensor, head_tensor
from filmkit.mobjects.marks import TokenLabels
from filmkit.mobjects.panel import Header, Truncated
from filmkit.mobjects.product_layout import (
    Axis,
    ChannelAxis,
    ProductLayout,
    TokenAxis,
    product_layout,
)

__all__ = ["Factor", "ProductPicture", "head_product"]

# In scene units.
HEADER_GAP = 0.1  # between a header and its cells
CORNER_GAP = 0.2  # between a header in the corner and the cells at its right


class Factor(Truncated):
    """A factor of a product, or the product: its cells, of which the middle may be left out."""

    @property
    def cells(self) -> Heatmap:
        """The cells, if the matrix is drawn whole.

        Raises
        ------
        ValueError
            If only its ends are drawn; see ``blocks``.
        """
        (cells,) = self.blocks
        return cells


class ProductPicture(Group):
    """A product of two matrices of a head, laid out as a product.

    The left factor stands left of the product, the right one above it, with one pitch along the
    axes of tokens: see :mod:`filmkit.mobjects.product_layout`.

    Parameters
    ----------
    layout
        Where everything is.
    words
        The words of the tokens that are there by now.
    left, top, product
        The matrices.

    Attributes
    ----------
    left, top, product : Factor
        The matrices; ``cells`` is the heatmap of one that is drawn whole.
    row_words, column_words, top_words : TokenLabels
        The words of rows and columns, and of the rows of the right factor where these are tokens;
        none where there is no room for all.
    layout : ProductLayout
        Where everything is.

    Examples
    --------
    ::

        self.picture = head_product(self.head, self.frame, "scores")
        self.play(Appear(self.picture.left), Appear(self.picture.row_words))
        self.play(TransposeFromCopy(keys.cells, self.picture.top.cells))
        self.play(Reveal(self.picture.product.cells, in_rows(self.picture.product.cells.shape)))
    """

    def __init__(
        self,
        layout: ProductLayout,
        words: Sequence[str],
        *,
        left: HeadTensor,
        top: HeadTensor,
        product: HeadTensor,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.words = tuple(words)
        boxes = layout.of_first(len(words))
        gap = layout.ellipsis
        self.left = self._factor(left, boxes[0], layout.inner, 1, gap)
        # Channels run down the right factor of queries and keys, and across values.
        down = isinstance(layout.inner_above, ChannelAxis)
        self.top = self._factor(
            top, boxes[1], layout.inner_above if down else layout.columns, 0 if down else 1, gap
        )
        self.product = self._factor(product, boxes[2], layout.columns, 1, gap)
        if isinstance(layout.inner, ChannelAxis):
            self.left.header.fit(boxes[0].right - layout.corner.left)
            self.left.header.stand_on(boxes[0], buff=HEADER_GAP)
            over = self.left.header.get_right()[0] - boxes[0].right
            self.left.header.shift([-max(0.0, over), 0, 0])
        else:
            # The corner above a pattern belongs to the words of the values.
            self._name_below(self.left.header, boxes[0], layout.left.right)
        self._name_top(boxes[1])
        # The product's name is below it, where nothing runs into it.
        self._name_below(self.product.header, boxes[2], layout.room_right)
        self.row_words = self._words(layout.row_words, layout.names_rows)
        self.column_words = self._words(layout.column_words, layout.names_columns, vertical=True)
        self.top_words = self._words(
            layout.inner_words, layout.names_rows and bool(layout.inner_words)
        )
        self.add(self.left, self.top, self.product)
        self.add(self.row_words, self.column_words, self.top_words)

    def _words(
        self, points: Sequence[Point], named: bool, *, vertical: bool = False
    ) -> TokenLabels:
        """Return the words of the tokens at their points, or none."""
        words = self.words if named else ()
        return TokenLabels(
            words,
            points[: len(words)],
            vertical=vertical,
            width=self.layout.word_room,
            size=self.layout.letters,
        )

    @staticmethod
    def _name_below(header: Header, box: Box, right: float) -> None:
        """Place a name below a matrix, flush left, or as far left as it must be."""
        shift = box.left - header.get_left()[0]
        over = header.get_right()[0] + shift - right
        header.shift([shift - max(0.0, over), 0, 0])
        header.set_line(box.bottom - HEADER_GAP - header.size * FRAME_HEIGHT / 2)

    def _name_top(self, box: Box) -> None:
        """Place the name of what stands above: over values, in the free corner beside keys."""
        header, layout = self.top.header, self.layout
        if isinstance(layout.columns, ChannelAxis):
            header.stand_on(box, buff=HEADER_GAP)
            over = header.get_right()[0] - layout.room_right
            header.shift([-max(0.0, over), 0, 0])
            return
        header.fit(box.left - CORNER_GAP - layout.corner.left)
        x = box.left - CORNER_GAP - header.get_right()[0]
        size = header.size * FRAME_HEIGHT
        y = min(box.top + HEADER_GAP + size / 2, layout.corner.top - size / 2)
        header.set_line(y).shift([x, 0, 0])

    @staticmethod
    def _factor(tensor: HeadTensor, box: Box, axis: Axis, cut: int, gap: float) -> Factor:
        drawn: dict[str, Any] = {"first": max(tensor.values.shape), "last": 0}
        if isinstance(axis, ChannelAxis) and not axis.whole:
            drawn = {"first": axis.first, "last": axis.last}
        factor = Factor(
            tensor.values,
            tensor.norm,
            box,
            axis=cut,
            gap=gap,
            name=tensor.name,
            symbol=tensor.symbol,
            colour=tensor.colour,
            show_shape=not (tensor.token_rows and tensor.token_columns),
            source=tensor.source,
            **drawn,
        )
        if tensor.masked is not None:
            for block in factor.blocks:
                block.set_masked(tensor.masked)
        return factor

    def beam(self, box: Box, colour: str) -> Rectangle:
        """Return a thin frame around a row or a column of the whole product."""
        theme = current_theme()
        return Rectangle(
            width=box.width,
            height=box.height,
            stroke_color=colour,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(box.center)

    def row_beam(self, index: int) -> Rectangle:
        """Return the frame of a row, -1 for the last, from the left factor through the product."""
        box = self.layout.row(index % len(self.words))
        right = self.product.box.right
        return self.beam(Box.of(box.left, right, box.bottom, box.top), current_theme().query)

    def column_beam(self, index: int) -> Rectangle:
        """Return the frame of a column, -1 for the last, from the right factor down."""
        box = self.layout.column(index % len(self.words))
        bottom = self.product.box.bottom
        return self.beam(Box.of(box.left, box.right, bottom, box.top), current_theme().key)


PRODUCTS = {
    "scores": ("q", "k_t"),
    "z": ("pattern", "v"),
}
"""The factors of each product of a head."""


def head_product(
    view: HeadView,
    frame: Frame,
    name: str,
    *,
    room: Box | None = None,
    to_come: int = 0,
    below: float = 0.5,
    above: float = 0.0,
) -> ProductPicture:
    """Return the picture of a product of a head.

    Parameters
    ----------
    view
        The head.
    frame
        The frame.
    name
        "scores" (queries times keys) or "z" (pattern times values).
    room
        What it may fill; the frame's stage by default.
    to_come
        Number of tokens that will be added later: they have their room from the start.
    below
        Room below the product for its name, in scene units.
    above
        Room above the name of the right factor.
    """
    left, top = PRODUCTS[name]
    count, meta = view.layer.count + to_come, view.layer.trace.meta
    words = view.layer.words
    longest = max(Label(printable(word), size=1.0).width for word in words)
    d_head = meta.d_qk if name == "scores" else meta.d_v
    tokens, channels = TokenAxis(count), ChannelAxis(d_head)
    # Over the columns of keys are words, over those of values their name.
    if name != "scores":
        above += current_theme().name_size * FRAME_HEIGHT + HEADER_GAP
    layout = product_layout(
        frame,
        room,
        rows=count,
        inner=channels if name == "scores" else tokens,
        columns=tokens if name == "scores" else channels,
        word_length=longest,
        below=below,
        above=above,
    )
    return ProductPicture(
        layout,
        words,
        left=head_tensor(view, left),
        top=head_tensor(view, top),
        product=head_tensor(view, name),
    )
