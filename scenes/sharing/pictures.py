"""Keys and values that heads share: in the rack, side by side, in the cache, and their price."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import Group, VGroup, VMobject

from extract.architectures import (
    COMPARED_GROUPS,
    DENSE_7B,
    Scheme,
    architecture,
)
from filmkit.core.camera import keep_upright, on_card
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_number, kilobytes, times, whole
from filmkit.core.text import Label, Symbol, TextLine, broken
from filmkit.core.theme import current_theme
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken
from filmkit.mobjects.chart import BarRow, ChartAxis, DotPlot, DotSeries, Paragraph, ScaleBars, Span
from filmkit.mobjects.head_stack import standing
from filmkit.mobjects.shared_head_stack import SharedHeadStack, in_groups
from filmkit.mobjects.shared_view import SharedView
from scenes.sharing.layout import CacheLayout, HeadColumns, PriceLayout

__all__ = ["PatternColumns", "Price", "SharedCache"]

NAME = 0.3  # from the foot of a solid down to its name
MAX_COLUMNS = 16  # heads side by side
SHAPE = "DeepSeek-V3/R1"
SHEET = 0.7  # height of queries above their patterns, as a share of their width


class PatternColumns(Group):
    """What all heads make of shared keys, one column for each head, flat.

    For a model that is shown as it is: queries, the keys of each group, patterns. For pooled
    heads: the model's own patterns above those from the pooled keys.

    Parameters
    ----------
    view
        What is shared.
    frame
        The frame to fill.

    Attributes
    ----------
    heads
        Which heads have a column: all of them, unless there are very many.
    slots
        Where everything stands.
    lower
        Where each head's pattern stands; by head.
    upper
        Above the patterns: own patterns, or queries; by head.
    titles, names, figures, total
        Names of rows and heads, how far each head's pattern moved, and all of them.
    """

    def __init__(self, view: SharedView, frame: Frame, featured: int) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.heads = view, _some_heads(view, featured)
        if view.shared.pooled:
            said = [("its own keys", theme.ink), ("shared keys", theme.accent)]
            shares = [1.0, 1.0]
        else:
            said = [("queries", theme.query), ("keys", theme.key), ("patterns", theme.pattern)]
            shares = [SHEET, SHEET, 1.0]
        labels = [Label(text, colour=colour) for text, colour in said]
        lines = broken(self._total(), frame.stage.width, size=theme.name_size)
        self.layout = layout = HeadColumns.of(
            frame,
            heads=len(self.heads),
            title=max(label.width for label in labels),
            shares=shares,
            lines=len(lines),
            figures=view.shared.pooled,
        )
        self.titles = VGroup()
        for label, point in zip(labels, layout.titles, strict=True):
            self.titles.add(self._titled(label, point))
        self.names = self._line(
            [f"{head}" for head in self.heads], layout.names, theme.muted, featured
        )
        if len(self.names):
            self.names.add(self._titled(Label("head", colour=theme.muted), layout.name_title))
        self.lower = dict(zip(self.heads, layout.rows[-1], strict=True))
        self.upper = {
            head: self._upper(head, box)
            for head, box in zip(self.heads, layout.rows[0], strict=True)
        }
        self.figures = VGroup()
        if view.shared.pooled:
            moved = [f"{100 * view.moved(head):.0f} %" for head in self.heads]
            self.figures = self._line(moved, layout.figures, theme.ink)
            if len(self.figures):
                title = Label("moved", colour=theme.ink)
                self.figures.add(self._titled(title, layout.figure_title))
        x, y = layout.total
        self.total = Paragraph(
            lines,
            (x, y + theme.name_size * FRAME_HEIGHT / 2),
            size=theme.name_size,
            colour=theme.ink,
            align="center",
        )

    def _titled(self, label: Label, point: tuple[float, float]) -> TextLine:
        """Put the name of a row or column where it belongs."""
        x, y = point
        return label.on_line(x if self.layout.down else x - label.width / 2, y)

    def _line(
        self,
        texts: Sequence[str],
        points: Sequence[tuple[float, float]],
        colour: str,
        featured: int | None = None,
    ) -> VGroup:
        """A word for each head, or none at all where they do not fit."""
        theme = current_theme()
        labels = [Label(text, colour=colour) for text in texts]
        if max(label.width for label in labels) > self.layout.room:
            return VGroup()
        if featured is not None:
            labels[self.heads.index(featured)].set_fill(theme.ink)
        return VGroup(*(label.on_line(x, y) for label, (x, y) in zip(labels, points, strict=True)))

    def _upper(self, head: int, box: Box) -> Heatmap:
        layer = self.view.layer
        own = layer.head(head)
        span = (layer.first, layer.stop)
        if self.view.shared.pooled:
            source = TensorSource(layer.trace.key("pattern", layer.layer), index=(head, span, span))
            norm, values, masked = layer.norm("pattern"), own.pattern, own.future
        else:
            width = (0, layer.trace.meta.d_qk)
            source = layer.source(own.used("q"), head, width)
            norm, values, masked = layer.norm("q"), own.q_used, None
        cells = Heatmap(values, norm, width=1, height=1, masked=masked, source=source)
        return cells.place(box)

    def keys_of(self, sharing: SharedHeadStack) -> list[tuple[Heatmap, Box, list[int]]]:
        """The shared keys of a rack, each with the box across the heads that read it, and them."""
        places = {head: place for place, head in enumerate(self.heads)}
        return [
            (cells, self.layout.span(1, [places[head] for head in heads]), heads)
            for cells, heads in zip(sharing.keys, sharing.groups, strict=True)
            if heads[0] in places
        ]

    def _total(self) -> str:
        shared, every = self.view.shared, self.view.layer.trace.meta.n_heads
        part = (
            "" if len(self.heads) == every else f" ({len(self.heads)} of {every} heads are drawn)"
        )
        if not shared.pooled:
            return f"the same keys, other queries: every head has its own pattern{part}"
        mean, worst = (f"{100 * share:.0f} %" for share in (shared.moved.mean, shared.moved.worst))
        said = f"of a row’s attention, {mean} moved to other words on average, {worst} at most"
        return said + part


def _some_heads(view: SharedView, featured: int) -> tuple[int, ...]:
    """Heads that stand side by side, in order: whole groups, that of the given head first."""
    heads: list[int] = []
    for head in in_groups(view, featured):
        group = view.shared.heads(view.shared.group(head))
        if head not in heads and (not heads or len(heads) + len(group) <= MAX_COLUMNS):
            heads += group
    if len(heads) > MAX_COLUMNS:
        heads = [featured, *(h for h in heads if h != featured)][:MAX_COLUMNS]
    return tuple(sorted(heads))


class SharedCache(Group):
    """The cache of one layer as a solid, with room for the keys and values of every head.

    Attributes
    ----------
    own, shared
        The model's own cache, and the one that is left; the same thing where nothing is pooled.
    full
        Outline of a cache of every head.
    names
        K and V, below them.
    bars, title
        What each of them keeps of a token.
    shot
        From where the solid is seen.
    """

    def __init__(self, view: SharedView, frame: Frame) -> None:
        super().__init__()
        self.view = view
        theme, meta = current_theme(), view.layer.trace.meta
        heads = meta.n_heads
        self.solid_layout = CacheLayout.volume(
            rows=view.layer.count, heads=heads, d_qk=meta.d_qk, d_v=meta.d_v
        )
        layer = [view.layer.layer]
        keys, values = (CachedTensor.of(view.layer, name, layer) for name in ("k", "v"))
        self.own = CacheVolume(keys, values, self.solid_layout)
        self.shared = self.own
        if view.shared.pooled:
            self.shared = CacheVolume(view.stored("k"), view.stored("v"), self.solid_layout)
        rows = self._rows(view)
        self.layout = CacheLayout.of(frame, rows=len(rows))
        self.shot = self.layout.shot(self.solid_layout, frame, heads=heads)
        boxes = (self.solid_layout.k, self.solid_layout.v)
        self.full = VGroup(*(self._full(box, heads) for box in boxes))
        self.names = VGroup()
        for box, symbol, colour in zip(boxes, "KV", (theme.key, theme.value), strict=True):
            name = Symbol(symbol, size=theme.name_size, colour=colour).on_line(0.0, -NAME)
            self.names.add(keep_upright(name, at=(box.x, box.bottom, 0.0)))
        on_card(self.full, self.own.keys.front)
        self.bars = ScaleBars(rows, self.layout.bars, captioned=self.layout.above)
        (self.title,) = Paragraph(
            ["numbers kept of a token, in this layer"], self.layout.title, size=theme.shape_size
        )
        if meta.n_kv_heads < heads:
            self.bars.bars[0].set_opacity(theme.dim)

    @staticmethod
    def _rows(view: SharedView) -> list[BarRow]:
        theme, meta, shared = current_theme(), view.layer.trace.meta, view.shared
        width = meta.d_qk + meta.d_v
        full, own, left = (n * width for n in (meta.n_heads, meta.n_kv_heads, shared.n_groups))

        def row(name: str, n_heads: int, note: str, said: str) -> BarRow:
            spans = (
                Span(n_heads * meta.d_qk, theme.key),
                Span(n_heads * meta.d_v, theme.value),
            )
            return BarRow(name, note, spans, said)

        def product(n_heads: int) -> str:
            count = f"{n_heads} × " if n_heads > 1 else ""
            if meta.d_qk == meta.d_v:
                return f"2 × {count}{meta.d_qk}"
            return f"{count}({meta.d_qk} + {meta.d_v})"

        grouped = meta.n_kv_heads < meta.n_heads
        rows = []
        if grouped:
            note = f"{product(meta.n_heads)}, hypothetical here"
            rows.append(row("all heads", meta.n_heads, note, whole(full)))
        said = f"{whole(own)}  ·  {times(full / own)} fewer" if grouped else whole(own)
        rows.append(row("this model", meta.n_kv_heads, product(meta.n_kv_heads), said))
        if shared.pooled:
            name = "one set" if shared.n_groups == 1 else f"{shared.n_groups} sets"
            said = f"{whole(left)}  ·  {times(own / left)} fewer"
            if grouped:
                said += f", {times(full / left)} than all heads"
            rows.append(row(name, shared.n_groups, product(shared.n_groups), said))
        return rows

    def kept_at(self, name: str, head: int, cells: Heatmap) -> Heatmap:
        """A copy of a panel where the model keeps a head's keys ("k") or values ("v")."""
        layout, unit = self.solid_layout, self.view.layer.trace.kv_head(head)
        return standing(cells, getattr(layout, name), -unit * layout.thickness)

    def _full(self, box: Box, heads: int) -> VMobject:
        """The edges of a solid of every head, with a line between neighbouring ones."""
        theme = current_theme()
        lines = VMobject(stroke_color=theme.faint, stroke_width=theme.thin, fill_opacity=0.0)
        for head in range(heads + 1):
            z = -head * self.solid_layout.thickness
            path = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom)]
            _add_path(lines, [(*point, z) for point in path])
        back = -heads * self.solid_layout.thickness
        for x, y in ((box.left, box.top), (box.right, box.top), (box.right, box.bottom)):
            _add_path(lines, [(x, y, 0.0), (x, y, back)])
        return lines


def _add_path(lines: VMobject, path: Sequence[tuple[float, float, float]]) -> None:
    lines.start_new_path(np.array(path[0]))
    for point in path[1:]:
        lines.add_line_to(np.array(point))


class Price(Group):
    """What sharing saves at the size of DeepSeek-R1, and what it cost models trained alike.

    Parameters
    ----------
    scheme
        The one that is being told; the others are drawn quieter.
    frame
        The frame to fill.

    Attributes
    ----------
    saved, saved_title
        Bars of one token's bytes.
    quality, quality_title
        Scores of the models.
    source
        Where they are from.
    """

    def __init__(self, scheme: Scheme, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        arch = architecture(SHAPE)
        kept = [
            CachedPerToken(arch, "mha"),
            CachedPerToken(arch, "gqa", COMPARED_GROUPS),
            CachedPerToken(arch, "mqa"),
        ]
        # Grouped attention is told after the one extreme and before the other's price is known.
        shown = [one for one in kept if scheme == "gqa" or one.scheme != "gqa"]
        source = broken(
            f"{DENSE_7B.title}  ·  {DENSE_7B.source}", frame.stage.width, size=theme.note_size
        )
        layout = PriceLayout.of(frame, rows=len(shown), lines=len(source))
        factors = f"{arch.n_layers} layers, {BITS // 8} bytes a number"
        self.saved_title = Paragraph(
            ["One token at DeepSeek-R1's size", factors], layout.saved_title, size=theme.shape_size
        )
        self.saved_title[0].set_fill(theme.ink)
        rows = [BarRow(one.name, one.numbers, one.spans(), _weight(one.size())) for one in shown]
        self.saved = ScaleBars(rows, layout.bars, captioned=layout.above)
        self.kept = {one.scheme: one for one in kept}
        self.quality_title = Paragraph(
            ["Quality of models trained alike"],
            layout.cost_title,
            size=theme.shape_size,
        )
        self.quality_title.set_fill(theme.ink)
        self.quality = self._plot(scheme, layout.plot)
        self.source = Paragraph(source, layout.source)

    def _plot(self, scheme: Scheme, box: Box) -> DotPlot:
        theme = current_theme()
        found = {column.attention.split(",")[0].lower(): column for column in DENSE_7B.columns}
        series = []
        for name, column in (("mqa", found["mqa"]), ("gqa", found["gqa"]), ("mha", found["mha"])):
            told = name == scheme
            series.append(
                DotSeries(
                    name=column.attention.replace(", 8 groups", "-8"),
                    values=(column.bbh, column.mmlu, column.c_eval, column.cmmlu),
                    colours=theme.accent if told else theme.ink if name == "mha" else theme.muted,
                    hollow=not told and name != "mha",
                    written=True,
                )
            )
        every = [value for one in series for value in one.values]
        low, high = 5 * np.floor(min(every) / 5), 5 * np.ceil(max(every) / 5)
        axis = ChartAxis(
            float(low),
            float(high),
            tuple(np.arange(low, high + 1, 5)),
            "score in %, higher is better",
            write=lambda value: f"{value:.0f}",
        )
        return DotPlot(
            ["BBH", "MMLU", "C-Eval", "CMMLU"], series, axis, box, write=lambda v: f"{v:.1f}"
        )


def _weight(count: float) -> str:
    """Bytes in thousands or millions."""
    return f"{format_number(count / 1e6, 2)} MB" if count >= 1e6 else kilobytes(count)
