"""Pictures beside the products of one head: where X comes in, two rows that meet, a mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from string import Formatter

import numpy as np
from manim import Group, Rectangle, VGroup, rgb_to_color

from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_number, format_percent, format_share
from filmkit.core.printable import printable
from filmkit.core.text import (
    Label,
    Number,
    Symbol,
    TextLine,
    Tick,
    break_lines,
    fit_size,
    fit_word,
)
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.panel import Header, Truncated
from filmkit.mobjects.product import ProductPicture
from scenes.attention.layout import (
    MeetingLayout,
    MixLayout,
    ProjectionLayout,
    spaced,
)

__all__ = [
    "Meeting",
    "MixedRows",
    "PairAtPlace",
    "Product",
    "Projection",
    "Shares",
    "WeightOutline",
    "column_of_lines",
    "figure_digits",
    "header_box",
    "in_formula",
    "input_panel",
    "scale_lines",
    "weight_formula",
]

GAP = 0.16  # between two lines of a column, in scene units
FIGURE = 0.07  # height of a figure that matters, as a fraction of the frame's shorter side


def figure_size(frame: Frame) -> float:
    """Return the text size of a figure that matters."""
    return FIGURE * frame.shorter_side / FRAME_HEIGHT


def figure_digits(value: float) -> int:
    """Return the digits after the decimal point that give a number three significant ones."""
    size = abs(value)
    return int(np.clip(2 - np.floor(np.log10(size)), 0, 6)) if size else 1


def column_of_lines(lines: Sequence[TextLine], box: Box, *, level: float | None = None) -> VGroup:
    """Place lines below each other in a box, flush left, none too wide.

    Parameters
    ----------
    lines, box
        The lines, from the top, and their room.
    level
        y of the middle of the first line, if there is room; by default all lines stand in the
        middle of the box's height. In a box that is too low for two lines they stand side by
        side.
    """
    for line in lines:
        line.shrink_to(box.width)
    if len(lines) == 2 and box.height < sum(line.line_height for line in lines):
        first, second = lines
        first.on_line(box.left + first.width / 2, box.y)
        second.shrink_to(max(0.1, box.right - first.get_right()[0] - GAP))
        second.on_line(float(first.get_right()[0]) + GAP + second.width / 2, box.y)
        return VGroup(*lines)
    # A formula may be higher than a line.
    heights = [max(line.line_height, float(line.height)) for line in lines]
    height = sum(heights) + GAP * (len(lines) - 1)
    y = box.y + height / 2 if level is None else level + heights[0] / 2
    y = min(box.top, max(y, box.bottom + height))
    for line, high in zip(lines, heights, strict=True):
        line.move_to([box.left + line.width / 2, y - high / 2, 0])
        y -= high + GAP
    return VGroup(*lines)


def input_panel(layer: LayerView, box: Box, columns: tuple[int, int], name: str = "") -> Truncated:
    """Return X with its ends drawn in a box, named in words if there is a name."""
    return Truncated(
        layer.rows("x"),
        layer.norm("x"),
        box,
        first=columns[0],
        last=columns[1],
        name=name,
        symbol="X",
        source=layer.source("x", (0, layer.trace.meta.d_model)),
    )


class WeightOutline(VGroup):
    """A weight matrix above what it makes, as an outline with its name: no numbers are drawn.

    Parameters
    ----------
    layer
        The layer.
    letter
        "Q", "K" or "V".
    box
        Its box.
    colour
        Colour of its role.
    """

    def __init__(self, layer: LayerView, letter: str, box: Box, colour: str) -> None:
        super().__init__()
        theme = current_theme()
        self.frame = Outline(box, colour=colour, radius=0.08)
        self.frame.set_stroke(width=theme.line)
        symbol = Symbol(weight_formula(layer, letter), size=theme.name_size, colour=colour)
        lines: list[TextLine] = [symbol]
        if notes := weight_notes(layer, letter):
            text = reduce(lambda first, then: _("{first}, {then}", first=first, then=then), notes)
            lines += _few_lines(text, box.width - 0.3)
        gap = 0.12
        height = sum(line.line_height for line in lines) + gap * (len(lines) - 1)
        if height > box.height - 0.1:
            lines = lines[:1]
            height = symbol.line_height
        y = box.y + height / 2
        for line in lines:
            line.shrink_to(box.width - 0.2)
            line.on_line(box.x, y - line.line_height / 2)
            y -= line.line_height + gap
        self.add(self.frame, *lines)


def _few_lines(text: str, room: float) -> list[TextLine]:
    """Return a note on one line, smaller if it must be, or on more if that is not enough."""
    theme = current_theme()
    label = fit_size(text, room, size=theme.note_size, colour=theme.muted)
    if label.width <= room:
        return [label]
    size = min(theme.note_size, theme.min_text_size)
    lines = break_lines(text, room, size=size)
    return [fit_word(line, room, size=size, colour=theme.muted) for line in lines]


def weight_formula(layer: LayerView, letter: str) -> str:
    """Return the weights on the way from X, as Typst mathematics."""
    if layer.trace.meta.attention != "mla":
        return f"W_{letter}"
    if letter == "Q":
        down = layer.trace.has("W_DQ", layer.layer)
        return 'W_"DQ" arrow.r W_"UQ"' if down else "W_Q"
    return f'W_"DKV" arrow.r W_"U{letter}"'


def weight_notes(layer: LayerView, letter: str) -> list[str]:
    """Return what else happens to X on the way."""
    trace, meta = layer.trace, layer.trace.meta
    notes = []
    if meta.attention == "mla" and "arrow" in weight_formula(layer, letter):
        notes.append(_("by way of a latent and its norm"))
    if trace.has(f"b_{letter}", layer.layer):
        notes.append(_("plus a bias"))
    if letter != "V":
        if meta.qk_norm is not None:
            notes.append(_("normalised"))
        if trace.rotates:
            partly = meta.rotary_dim < meta.d_qk
            notes.append(_("partly rotated") if partly else _("then rotated by position"))
    return notes


class Projection(Group):
    """Queries and keys beside X, each below the weight that makes them.

    Their channels are those of the product that follows, so each can move there.

    Parameters
    ----------
    view
        The head.
    layout
        Where they are.
    product
        The picture of queries times keys.

    Attributes
    ----------
    queries, keys : Truncated
        The panels.
    w_q, w_k : WeightOutline
        The outlines of the weights.
    """

    def __init__(self, view: HeadView, layout: ProjectionLayout, product: ProductPicture) -> None:
        super().__init__()
        theme = current_theme()
        panels = []
        for name, box, cut in zip(
            ("q", "k"), layout.panels, (product.left, product.top), strict=True
        ):
            tensor = head_tensor(view, name)
            blocks = cut.blocks
            axis = 1 if name == "q" else 0
            ends = [block.shape[axis] for block in blocks]
            panel = Truncated(
                tensor.values,
                tensor.norm,
                box,
                first=ends[0],
                last=ends[1] if len(ends) > 1 else 0,
                name=tensor.name,
                symbol=tensor.symbol,
                colour=tensor.colour,
                source=tensor.source,
            )
            panel.header.fit(box.width)
            panels.append(panel)
        self.queries, self.keys = panels
        self.w_q, self.w_k = (
            WeightOutline(view.layer, letter, box, colour)
            for letter, box, colour in zip(
                "QK", layout.weights, (theme.query, theme.key), strict=True
            )
        )
        self.add(self.queries, self.keys, self.w_q, self.w_k)


class Meeting(Group):
    """A query and a key that meet: two rows, their products as bars, and the sum.

    Parameters
    ----------
    view
        The head.
    match
        Query and key.
    picture
        Their product, from which the rows come.
    layout
        Where the rows are.

    Attributes
    ----------
    query, key : list of Heatmap
        The rows; of a long head both ends.
    bars : VGroup
        A bar for each channel that is drawn: up for a positive product.
    total : Number
        The sum so far; it is placed by the scene.
    """

    def __init__(
        self,
        view: HeadView,
        match: tuple[int, int],
        picture: ProductPicture,
        layout: MeetingLayout,
        *,
        size: float,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.match, self.layout = view, match, layout
        query, key = match
        self.row, self.column = view.q_used[query], view.k_used[key]
        self.in_query = [
            block.part((query, query + 1), (0, block.shape[1])) for block in picture.left.blocks
        ]
        self.in_key = [
            block.part((0, block.shape[0]), (key, key + 1)) for block in picture.top.blocks
        ]
        parts = _alongside(picture.left.box, [part.box for part in self.in_query], layout.query)
        self.query = [
            part.copy().place(box) for part, box in zip(self.in_query, parts, strict=True)
        ]
        below = [box.moved(0, layout.key.y - layout.query.y) for box in parts]
        self.spans = [_columns(part) for part in self.query]
        # Of a long head as many channels as of the query; above the scores there may be fewer.
        layer, tensor = view.layer, view.score_tensor("k")
        self.key = []
        for (start, stop), box in zip(self.spans, below, strict=True):
            source = layer.source(tensor, view.kv_head, (start, stop)).part(
                (key, key + 1), (0, stop - start)
            )
            cells = Heatmap(
                self.column[None, start:stop], self.in_key[0].norm, source=source, edged=False
            )
            self.key.append(cells.place(box))
        self.bars = VGroup()
        self.scale = (
            0.5 * layout.products.height / max(1e-12, float(np.abs(self.row * self.column).max()))
        )
        for part, (start, stop) in zip(self.query, self.spans, strict=True):
            for channel in range(stop - start):
                cell = part.cell(0, channel)
                bar = Rectangle(width=0.8 * cell.width, height=1.0, stroke_width=0, fill_opacity=1)
                self.bars.add(bar.move_to([cell.x, layout.products.y, 0]))
        self.zero = Rectangle(
            width=layout.products.width, height=0.012, stroke_width=0, fill_opacity=1,
            fill_color=theme.faint,
        ).move_to(layout.products.center)  # fmt: skip
        self.channels = [c for start, stop in self.spans for c in range(start, stop)]
        self._draw_bars(0)
        total = float(self.row @ self.column)
        self.total = Number(0.0, digits=figure_digits(total), size=size, colour=theme.highlight)

    def _draw_bars(self, drawn: int) -> None:
        """Set the bars of the first channels that are drawn to their products."""
        theme, products = current_theme(), self.row * self.column
        y = self.layout.products.y
        for number, (bar, channel) in enumerate(zip(self.bars, self.channels, strict=True)):
            value = float(products[channel]) if number < drawn else 0.0
            height = max(abs(value) * self.scale, 1e-4)
            bar.stretch_to_fit_height(height)
            bar.set_y(y + np.copysign(height / 2, value))
            bar.set_fill(theme.ink if value >= 0 else theme.flow, opacity=float(number < drawn))

    def add_up(self, alpha: float) -> None:
        """Show the products of the first channels, and their sum."""
        channels = self.view.q_used.shape[1]
        done = round(alpha * channels)
        self._draw_bars(sum(channel < done for channel in self.channels))
        self.total.set_value(float((self.row * self.column)[:done].sum()))

    def move_along(self, steps: float) -> None:
        """Rotate both rows as if their words stood some places further along."""
        layer, (query, key) = self.view.layer, self.match
        rotation = layer.trace.rotation(layer.layer)
        self.row = rotation.further(self.view.q_used[query], steps)
        self.column = rotation.further(self.view.k_used[key], steps)
        for parts, values, kind, number, position in (
            (self.query, self.row, "head", self.view.head, query),
            (self.key, self.column, "kv_head", self.view.kv_head, key),
        ):
            given = (
                ("layer", layer.layer),
                (kind, number),
                ("position", layer.first + position),
                ("steps", steps),
            )
            for part, span in zip(parts, self.spans, strict=True):
                part.set_values(values[None, slice(*span)])
                part.source = TensorSource(quantity="rotated_on", index=((0, 1), span), given=given)
        self._draw_bars(len(self.channels))
        self.total.set_value(float(self.row @ self.column))


def _columns(part: Heatmap) -> tuple[int, int]:
    """Return which channels a part of a row shows."""
    span = part.source.index[-1]
    assert isinstance(span, tuple)
    return span


def _alongside(whole: Box, parts: Sequence[Box], target: Box) -> list[Box]:
    """Return boxes that divide a target from left to right as parts divide a whole."""
    scale = target.width / whole.width
    return [
        Box(
            target.left + (part.x - whole.left) * scale, target.y, part.width * scale, target.height
        )
        for part in parts
    ]


class Product(VGroup):
    """What tells that a matrix is a product before it is there: "×", "?" and a formula.

    Parameters
    ----------
    picture
        The product.
    formula
        As Typst mathematics.
    size
        Text size of "?" and the formula.

    Attributes
    ----------
    formula
        The formula, to be placed and added by the scene.
    """

    def __init__(self, picture: ProductPicture, formula: str, size: float) -> None:
        super().__init__()
        theme, layout = current_theme(), picture.layout
        times = Symbol("times", size=theme.name_size)
        corner = layout.crossing
        header = header_box(picture.left.header)
        if header.bottom > layout.left.top:
            # The sign stands between the name of the left factor and the right factor.
            room = layout.top.left - header.right
            times.scale(min(1.5, 0.7 * room / times.width))
            corner = (header.right + room / 2, header.y)
        wanted = Label("?", size=size, colour=theme.muted)
        self.add(times.move_to([*corner, 0.0]), wanted.move_to(layout.product.center))
        self.formula = Symbol(formula, size=size)


class PairAtPlace(VGroup):
    """A query and a key at two places of a text, and their score there.

    The places are a row of cells, of which two are filled. Where there is no room for a row there
    are the numbers of both places only.

    Parameters
    ----------
    title
        Where in the text the pair is, in words.
    places
        The query's and the key's.
    score
        The number that is their score.
    box
        Room for two of these below each other.
    row
        Which of the two it is, from 0.
    reach
        How far the pair will be moved.

    Attributes
    ----------
    title
        The words above the row, empty where there is no room.
    pair
        Everything else.
    """

    ROW = 0.9  # least height of the room for one of them, in scene units
    WIDE = 3.0  # from this width on the score is large
    CELL = 0.24  # largest height of a cell
    APART = 0.06  # between the two numbers, at least

    def __init__(
        self,
        title: str,
        places: Sequence[int],
        score: Number,
        box: Box,
        *,
        row: int,
        reach: int,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.places, self.compact = places, box.height < 2 * self.ROW
        box = box.split_rows(2, 0.0)[row]
        colours = theme.query, theme.key
        size = theme.note_size if self.compact else theme.shape_size
        self.numbers = [
            Number(place, digits=0, size=size, colour=colour)
            for place, colour in zip(places, colours, strict=True)
        ]
        self.title, self.pair = VGroup(), VGroup(*self.numbers)
        self.add(self.title, self.pair)
        if self.compact:
            self._set_compact(box)
            return
        size = theme.name_size if box.width > self.WIDE else theme.shape_size
        self.score = Number(score.value, digits=score.digits, size=size)
        room = self.score.width + 0.3
        first = min(places)
        count = max(places) + reach - first + 1
        self.pitch = min(0.3, (box.width - room) / count)
        high = min(self.CELL, self.pitch)
        self.left = box.left + self.pitch * (0.5 - first)
        self.score.on_line(box.left + self.pitch * count + room / 2 + 0.1, box.y)
        self.cells, self.marks = VGroup(), VGroup()
        for place in range(first, first + count):
            self.cells.add(self._cell(place, box.y, high, theme.faint, filled=False))
        for place, colour in zip(places, colours, strict=True):
            self.marks.add(self._cell(place, box.y, high, colour, filled=True))
        label = Label(title, size=theme.shape_size, colour=theme.muted)
        y = box.y + high / 2 + 0.75 * label.line_height
        self.title.add(label.on_line(box.left + label.width / 2, y))
        self.line = box.y - high / 2 - 0.7 * label.line_height
        self.pair.add(self.cells, self.marks, self.score)
        self.move_along(0.0, score.value)

    def _cell(self, place: float, y: float, high: float, colour: str, *, filled: bool) -> Rectangle:
        """Return the cell of a place."""
        cell = Rectangle(
            width=0.86 * self.pitch,
            height=high,
            stroke_width=0.0 if filled else current_theme().thin,
            stroke_color=colour,
            fill_color=colour,
            fill_opacity=float(filled),
        )
        return cell.move_to([self.left + self.pitch * place, y, 0])

    def _set_compact(self, box: Box) -> None:
        """Place the two numbers in words."""
        theme, x = current_theme(), box.left
        size = theme.note_size
        widest = Label("00", size=size).width
        numbers = dict(zip(("query", "key"), self.numbers, strict=True))
        for words, name, *_rest in Formatter().parse(_("at {query} and {key}")):
            if words.strip():
                label = Label(words.strip(), size=size, colour=theme.muted)
                self.pair.add(label.on_line(x + label.width / 2, box.y))
                x += label.width + 0.06
            if name:
                x += widest
                numbers[name].on_line(x - numbers[name].width / 2, box.y)
                x += 0.1

    def move_along(self, steps: float, score: float) -> None:
        """Show the pair some places further along, with its score there."""
        for number, place in zip(self.numbers, self.places, strict=True):
            number.set_value(round(place + steps))
        if self.compact:
            return
        self.score.set_value(score)
        xs = [self.left + self.pitch * (place + steps) for place in self.places]
        for mark, x in zip(self.marks, xs, strict=True):
            mark.set_x(x)
        # Numbers of neighbours stand a little apart.
        query, key = self.numbers
        least = (query.width + key.width) / 2 + self.APART
        spread = max(0.0, least - (xs[0] - xs[1])) / 2
        query.on_line(xs[0] + spread, self.line)
        key.on_line(xs[1] - spread, self.line)


class Shares(VGroup):
    """Shares of attention of one query as bars that stand above the columns of the scores.

    Parameters
    ----------
    view
        The head.
    query
        Whose shares.
    box
        From the scores up to the height of a share of 1; as wide as all columns.
    most
        How many of the largest shares are written.

    Attributes
    ----------
    axis, bars, tags : VGroup
        Lines at a share of 0 and of 1, a bar for each key that the query may see, and the largest
        shares as text.
    """

    def __init__(self, view: HeadView, query: int, box: Box, most: int = 2) -> None:
        super().__init__()
        theme = current_theme()
        shares, norm = view.pattern[query], view.layer.norm("pattern")
        pitch = box.width / len(shares)
        self.bars, self.tags, self.axis = VGroup(), VGroup(), VGroup()
        for share, text in ((0.0, "0"), (1.0, format_percent(1.0, 0))):
            line = Rectangle(
                width=box.width,
                height=0.012,
                stroke_width=0,
                fill_opacity=1,
                fill_color=theme.faint,
            )
            line.move_to([box.x, box.bottom + share * box.height, 0])
            tick = Tick(text, size=theme.note_size, colour=theme.muted)
            tick.move_to([box.left - 0.25 - tick.width / 2, line.get_y() + 0.1 * (1 - share), 0])
            self.axis.add(line)
            if share or box.height > 2 * tick.line_height:
                self.axis.add(tick)
        places = [box.left + pitch * (i + 0.5) for i in range(len(shares))]
        for x, share in zip(places, shares[: query + 1], strict=False):
            height = max(float(share) * box.height, 0.02)
            bar = Rectangle(
                width=0.7 * pitch,
                height=height,
                stroke_color=theme.muted,
                stroke_width=theme.thin,
                fill_color=rgb_to_color(norm.colours([share])[0]),
                fill_opacity=1.0,
            )
            self.bars.add(bar.move_to([x, box.bottom + height / 2, 0]))
        order = [int(i) for i in np.argsort(-shares[: query + 1])[:most]]
        room = Label(format_percent(0.99, 0), size=theme.shape_size).width + 0.1
        for index in spaced(places, order, room):
            tag = Label(weight_of(view, query, index), size=theme.shape_size)
            tag.move_to([places[index], self.bars[index].get_top()[1] + 0.2, 0])
            self.tags.add(tag)
        self.add(self.axis, self.bars, self.tags)


def weight_of(view: HeadView, query: int, key: int | None) -> str:
    """Return the attention of a row to another one, or to all that is not drawn, as text."""
    share = view.hidden_attention[query] if key is None else view.pattern[query, key]
    position = None if key is None else view.layer.first + key
    word = view.layer.hidden_name if key is None else view.layer.words[key]
    return fact("weight", float(share), format_share, beside=printable(word), position=position)


class MixedRows(Group):
    """The values as one query mixes them: shares and words beside the rows.

    A token that is not drawn elsewhere has its row here, so that the rows add up to the sum.

    Attributes
    ----------
    shares, words : VGroup
        Text beside the rows; in a long list only beside those with the largest shares.
    hidden : list of Heatmap
        The row of a token that is not drawn elsewhere, and its weight, if there is one.
    """

    def __init__(
        self, view: HeadView, query: int, picture: ProductPicture, layout: MixLayout
    ) -> None:
        super().__init__()
        theme, size = current_theme(), picture.layout.letters
        shares = view.pattern[query]
        self.shares, self.words = VGroup(), VGroup()
        seen = np.where(view.causal_mask[query], -1.0, shares)
        order = [int(i) for i in np.argsort(-seen) if seen[i] >= 0]
        places = [y for _x, y in layout.shares]
        least = 1.05 * size * FRAME_HEIGHT
        if view.layer.hides_first:
            order = [i for i in order if layout.hidden.y - places[i] >= least]
        shown = sorted(spaced(places, order, least))
        rows: list[tuple[str, str, tuple[float, float], tuple[float, float], str]] = [
            (
                picture.words[i], weight_of(view, query, i), layout.shares[i], layout.words[i],
                theme.ink,
            )
            for i in shown
        ]  # fmt: skip
        self.hidden: list[Heatmap] = []
        if view.layer.hides_first:
            weight = weight_of(view, query, None)
            rows.insert(0, (view.layer.hidden_name, weight, *layout.hidden_points, theme.muted))
            self.hidden = self._hidden(view, query, picture, layout)
        room = layout.words[0][0] - picture.layout.corner.left
        for word, share, (x, y), (end, _y), colour in rows:
            text = Label(share, size=size, colour=colour)
            self.shares.add(text.on_line(x - text.width / 2, y))
            label = fit_word(printable(word), room, size=size, colour=colour)
            self.words.add(label.on_line(end - label.width / 2, y))
        self.add(*self.hidden, self.shares, self.words)

    @staticmethod
    def _hidden(
        view: HeadView, query: int, picture: ProductPicture, layout: MixLayout
    ) -> list[Heatmap]:
        """Return the row of values of the hidden beginning, and its weight."""
        layer = view.layer
        values = view.hidden_value(query)[0]
        weight = float(view.hidden_attention[query])
        hidden, parts = view.hidden_value_source(query), []
        boxes = [block.box for block in picture.top.blocks]
        targets = _alongside(picture.top.box, boxes, layout.hidden)
        for block, box in zip(picture.top.blocks, targets, strict=True):
            start, stop = _columns(block)
            source = replace(hidden, index=(*hidden.index[:-1], (start, stop)))
            part = Heatmap(values[None, start:stop], block.norm, source=source, edged=False)
            parts.append(part.place(box).set_shown(weight))
        cell = Heatmap(
            [[weight]],
            layer.norm("pattern"),
            source=view.hidden_attention_source(query),
            edged=False,
        ).place(layout.hidden_weight)
        return [*parts, cell]


def scale_lines(view: HeadView, size: float) -> tuple[TextLine, list[TextLine]]:
    """Return how a score is scaled, and notes on what else happens to it."""
    theme, layer = current_theme(), view.layer
    meta = layer.trace.meta
    factor = meta.score_scale
    standard = bool(np.isclose(factor, meta.d_qk**-0.5))
    scale = f"div sqrt({meta.d_qk})" if standard else f"times {in_formula(format_number(factor))}"
    notes = []
    if meta.positions == "alibi":
        notes.append(_("less a penalty for distance"))
    if meta.score_cap:
        low, high = format_number(-meta.score_cap), format_number(meta.score_cap)
        notes.append(_("capped at {low} and {high}", low=low, high=high))
    if 0 < layer.trace.window(layer.layer) < layer.count:
        notes.append(_("what is far back is masked too"))
    return Symbol(f"= q dot k {scale}", size=size), [
        Label(note, size=theme.note_size, colour=theme.muted) for note in notes
    ]


def in_formula(number: str) -> str:
    """Return a number as Typst mathematics: a comma in it separates nothing."""
    return number.replace(",", '","')


def header_box(header: Header) -> Box:
    """Return the box of a header's line, as wide as its letters."""
    size = header.size * FRAME_HEIGHT
    return Box.of(
        float(header.get_left()[0]),
        float(header.get_right()[0]),
        header.line - size / 2,
        header.line + size / 2,
    )
