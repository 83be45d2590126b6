"""Close-ups of the steps of one head: a dot product, the scaling, a softmax, a weighted mix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import (
    Animation,
    AnimationGroup,
    Group,
    LaggedStart,
    VGroup,
    linear,
)

from filmkit.core.animations import AnimateWith, Appear, Presence, Recolour, Reveal, Rise
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import MINUS, format_number, format_share
from filmkit.core.text import Label, Number, Symbol
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.flow import Draw, Wire
from filmkit.mobjects.marks import Bars, ColourBar, Highlight, TokenLabels, fit_all, size_beside
from scenes.attention.layout import (
    ProductLayout,
    ScoreRemarksLayout,
    mix_layout,
    product_layout,
    softmax_layout,
)

__all__ = ["RowMix", "RowProduct", "RowSoftmax", "ScoreRemarks"]


class RowProduct(Group):
    """Products of one query row and one key row, channel by channel, and their sum.

    The two rows themselves belong to the scene.

    Parameters
    ----------
    query, key
        (d_qk,), the two rows as they enter the scores.
    frame
        The frame to fill.

    Attributes
    ----------
    layout
        Where everything stands, the two rows included.
    products
        (d_qk,), the products.
    strip
        Their heatmap, hidden at first.
    total
        The sum so far, as a number.
    cursor
        Frame around the channel that is multiplied.
    """

    def __init__(
        self, query: npt.NDArray[np.float64], key: npt.NDArray[np.float64], frame: Frame
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.layout: ProductLayout = product_layout(frame)
        self.products = query * key
        norm = Norm.symmetric(self.products)
        box = self.layout.product
        self.strip = Heatmap(
            self.products,
            norm,
            width=box.width,
            height=box.height,
            source=TensorSource(
                expression="query times key, channel by channel",
                index=((0, self.products.size),),
                axes=("d_qk",),
            ),
        ).place(box)
        self.strip.set_shown(0)
        size = theme.name_size * 1.25
        self.name = Label("products", colour=theme.muted)
        self.name.on_line(self.layout.word - self.name.width / 2, box.y)
        x, y = self.layout.total
        self.formula = Symbol("q dot k =", size=size)
        self.formula.on_line(x - self.formula.width / 2 - 0.12, y)
        self.total = Number(0.0, size=size).on_line(x + 0.75, y)
        self.colour_bar = ColourBar(norm, "products", self.layout.colour_bar)
        self.cursor = Highlight(self._column(0))
        self.add(self.strip, self.name, self.formula, self.colour_bar)

    def _column(self, column: int) -> Box:
        """Return the box of a channel, from the query down to the product."""
        cell = self.strip.column(column)
        return Box.of(cell.left, cell.right, cell.bottom, self.layout.query.top)

    def add_up(self, run_time: float) -> AnimationGroup:
        """Return an animation that multiplies channel after channel and counts up the sum."""
        sums = np.concatenate([[0.0], np.cumsum(self.products)])
        count = len(self.products)

        def step(alpha: float) -> None:
            done = round(alpha * count)
            self.total.set_value(sums[done])
            self.cursor.move_to(self._column(min(done, count - 1)).center)

        return AnimationGroup(
            Reveal(self.strip, np.arange(count) / count, spread=0.02, rate_func=linear),
            AnimateWith(self.total, step, rate_func=linear),
            Presence(self.cursor, 1.0),
            run_time=run_time,
        )


class ScoreRemarks(VGroup):
    """Remarks on what happens to the scores before the softmax.

    Parameters
    ----------
    view
        The head with the scores.
    match
        Query and key of the score that is followed.
    layout
        Where the remarks stand, and how near the camera is.

    Attributes
    ----------
    scaling
        Remarks on the scaling.
    masking
        Remark on the causal mask.
    """

    def __init__(self, view: HeadView, match: tuple[int, int], layout: ScoreRemarksLayout) -> None:
        super().__init__()
        theme, meta = current_theme(), view.layer.trace.meta
        size = theme.name_size * layout.zoom
        factor = meta.score_scale
        is_standard = bool(np.isclose(factor, meta.d_qk**-0.5))
        times = (
            f"times 1 \\/ sqrt({meta.d_qk})" if is_standard else f"times {format_number(factor)}"
        )
        before, after = view.dot_products[match], view.scores[match]
        self.scaling = VGroup(
            Symbol(times, size=size),
            Label(
                f"{format_number(before)} → {format_number(after)}",
                size=size,
                colour=theme.highlight,
            ),
        )
        if meta.positions == "alibi":
            self.scaling.insert(
                1, Label("less a penalty for distance", size=size, colour=theme.muted)
            )
        if meta.score_cap:
            cap = format_number(meta.score_cap)
            self.scaling.insert(
                -1, Label(f"then capped at {MINUS}{cap} and {cap}", size=size, colour=theme.muted)
            )
        hidden = "later and far" if view.layer.trace.window(view.layer.layer) else "later"
        self.masking = Label(f"masked: {hidden} words", size=size, colour=theme.muted)
        for line, (x, y) in zip((*self.scaling, self.masking), layout.lines, strict=False):
            line.on_line(x + line.width / 2, y)
        self.add(self.scaling, self.masking)


class RowSoftmax(Group):
    """Softmax of one row of scaled scores: the row, large, and its shares of attention as bars.

    The row's heatmap belongs to the scene; it comes from the scores and fills ``layout.row``.

    Parameters
    ----------
    view
        The head with the scores.
    query
        Index of the row.
    frame
        The frame to fill.
    """

    def __init__(self, view: HeadView, query: int, frame: Frame) -> None:
        super().__init__()
        theme, count = current_theme(), view.layer.count
        self.layout = layout = softmax_layout(frame, count=count)
        cell = layout.row.width / count
        self.words = _key_words(view.layer.words, layout.words, cell)
        self.words[query].set_fill(theme.query)
        self.title = Label("scaled scores of one query", colour=theme.muted)
        self.title.on_line(layout.row.x, self.words.get_top()[1] + 0.25)
        self.numbers = VGroup()
        for (x, _), score in zip(layout.words[: query + 1], view.scores[query], strict=False):
            number = Label(f"{score:.1f}".replace("-", MINUS))
            number.on_line(x, layout.row.y)
            # Dark text on light cells: every colour map here is lighter in its upper half.
            number.set_fill("#000000" if score > 0 else "#ffffff")
            self.numbers.add(number)
        fit_all(self.numbers, cell * 0.86)
        (x, start), (_, end) = layout.arrow
        self.arrow = Wire(layout.arrow)
        self.name = Label("softmax", size=theme.name_size)
        self.name.on_line(x - 0.3 - self.name.width / 2, (start + end) / 2)
        sinks = view.layer.trace.meta.sinks
        below = "(e^s + sum_i e^(s_i))" if sinks else "sum_i e^(s_i)"
        self.formula = Symbol(f"p_j = e^(s_j) \\/ {below}", size=theme.name_size)
        self.formula.on_line(x + 0.3 + self.formula.width / 2, (start + end) / 2)
        self.bars = Bars(view.pattern[query], view.layer.norm("pattern"), layout.bars, query + 1)
        self.add(self.title, self.words, self.numbers, self.arrow, self.name, self.formula)
        self.add(self.bars)
        self.remainder = VGroup()
        rest = []
        if view.layer.hides_first:
            share = format_share(float(view.hidden_attention[query]))
            rest.append(f"{share} goes to the {view.layer.hidden_name}, not drawn")
        if sinks:
            share = format_share(float(view.sink_attention[query]))
            rest.append(f"{share} to a sink s that is no word")
        if rest:
            text = f"the rest: {', '.join(rest)}"
            self.remainder.add(Label(text, size=theme.note_size, colour=theme.muted))
            self.remainder.move_to([layout.bars.x, layout.bars.bottom - 0.25, 0])
            self.add(self.remainder)

    def show_scores(self) -> list[Animation]:
        """Return animations that show the title, the words and the numbers of the row."""
        return [Appear(part) for part in (self.title, self.words, self.numbers)]

    def show_formula(self) -> list[Animation]:
        """Return animations that show the arrow and the formula of the softmax."""
        return [Draw(self.arrow), Appear(self.name), Appear(self.formula)]

    def grow_bars(self) -> list[Animation]:
        """Return animations in which the bars grow one after another."""
        return [
            LaggedStart(*(Rise(bar) for bar in self.bars.bars), lag_ratio=0.1),
            LaggedStart(*(Appear(tag) for tag in self.bars.tags), lag_ratio=0.1),
        ]


def _key_words(
    words: Sequence[str], points: Sequence[tuple[float, float]], cell: float
) -> TokenLabels:
    """Build the words above the cells of a row: horizontal if all fit, else vertical."""
    across = TokenLabels(words, points, width=10 * cell)
    if max(word.width for word in across) > cell * 0.95:
        return TokenLabels(words, points, width=1.02, vertical=True)
    for word, (x, y) in zip(across, points, strict=True):
        word.on_line(x, y + 0.12)
    return across


class RowMix(Group):
    """Value rows that a query reads, each with its share of attention, and their sum.

    A beginning-of-sequence token that is not drawn elsewhere has its row here, so that the rows
    add up to the sum exactly.

    Parameters
    ----------
    view
        The head with the values.
    values
        Heatmap of the drawn value rows, where the strips stand at first.
    query
        Index of the row of z that is computed.
    frame
        The frame to fill.

    Attributes
    ----------
    layout
        Where everything stands in the end.
    weights
        Share of attention of each strip.
    strips
        One heatmap for each value row.
    hidden
        The strip of a token that is not drawn elsewhere, if there is one.
    """

    def __init__(self, view: HeadView, values: Heatmap, query: int, frame: Frame) -> None:
        super().__init__()
        theme, n_keys, hidden = current_theme(), query + 1, view.layer.hides_first
        self.weights = [
            *([float(view.hidden_attention[query])] * hidden),
            *view.pattern[query, :n_keys],
        ]
        self.layout = layout = mix_layout(frame, count=len(self.weights))
        self.strips = values.split_rows()[:n_keys]
        self.hidden: list[Heatmap] = []
        if hidden:
            first = self.strips[0].copy().set_values(view.hidden_value(query))
            source = view.layer.hidden_source("v", view.kv_head, (0, values.shape[1]))
            if view.layer.first > 1:
                source = TensorSource(expression=f"mean of the values of {source.tensor}")
            first.source = source
            self.hidden = [first]
            self.strips.insert(0, first)
        names = [*([view.layer.hidden_name] * hidden), *view.layer.words[:n_keys]]
        size = size_beside(layout.pitch)
        self.words = TokenLabels(names, layout.words, width=layout.word_width, size=size)
        if hidden:
            self.words[0].set_fill(theme.muted)
        self.words[-1].set_fill(theme.query)
        shares = [format_share(w) for w in self.weights]
        self.shares = TokenLabels(shares, layout.weights, width=1.2, size=size)
        self.name = Label("their sum")
        self.name.on_line(layout.total.left - 0.12 - self.name.width / 2, layout.total.y)
        self.add(*self.strips, self.words, self.shares, self.name)

    def weigh(self) -> LaggedStart:
        """Return an animation that multiplies each row by its share of attention."""
        source = TensorSource(expression="share of attention times value")
        return LaggedStart(
            *(
                Recolour(strip, values=weight * strip.values, source=source)
                for strip, weight in zip(self.strips, self.weights, strict=True)
            ),
            lag_ratio=0.12,
        )
