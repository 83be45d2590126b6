"""Comparisons with and without shared keys and values: patterns, cache, size and quality."""

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
from filmkit.core.camera import keep_upright, set_depth_plane
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_count, format_kilobytes, format_number, format_ratio
from filmkit.core.text import Label, Symbol, TextLine, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken
from filmkit.mobjects.chart import BarRow, ChartAxis, DotPlot, DotSeries, Paragraph, ScaleBars, Span
from filmkit.mobjects.head_stack import copy_at_depth
from filmkit.mobjects.shared_head_stack import SharedHeadStack
from filmkit.mobjects.shared_view import SharedView
from scenes.sharing.layout import HeadColumnsLayout, SharedCacheLayout, TradeOffLayout

__all__ = ["PatternColumns", "SharedCache", "TradeOff"]

NAME_DROP = 0.3  # from the foot of a cache volume down to its name, in scene units
MAX_COLUMNS = 16  # largest number of heads side by side
SHAPE = "DeepSeek-V3/R1"
QUERY_ASPECT = 0.7  # height of a panel of queries or keys, in widths of the panel


class PatternColumns(Group):
    """Patterns of all heads with shared keys, in a column for each head.

    For a model that is shown as it was trained: queries, the keys of each group, patterns. For
    pooled heads: the model's own patterns above those from the pooled keys.

    Parameters
    ----------
    view
        The layer with shared keys and values.
    frame
        The frame to fill.
    featured
        Head whose name stands out.

    Attributes
    ----------
    heads
        Heads that have a column: all of them, unless there are very many.
    layout
        Where everything stands.
    lower
        Box of each head's pattern, by head.
    upper
        Panel above each pattern, by head: its own pattern, or its queries.
    titles, names
        Titles of the kinds of panels, and names of the heads.
    numbers
        How much attention moved in each head, in per cent; empty where nothing is pooled.
    total
        Line below that sums up all heads.
    """

    def __init__(self, view: SharedView, frame: Frame, featured: int) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.heads = view, _shown_heads(view, featured)
        if view.shared.pooled:
            row_titles = [("its own keys", theme.ink), ("shared keys", theme.accent)]
            aspects = [1.0, 1.0]
        else:
            row_titles = [
                ("queries", theme.query),
                ("keys", theme.key),
                ("patterns", theme.pattern),
            ]
            aspects = [QUERY_ASPECT, QUERY_ASPECT, 1.0]
        labels = [Label(text, colour=colour) for text, colour in row_titles]
        lines = break_lines(self._total_text(), frame.stage.width, size=theme.name_size)
        self.layout = layout = HeadColumnsLayout.of(
            frame,
            heads=len(self.heads),
            title=max(label.width for label in labels),
            aspects=aspects,
            lines=len(lines),
            numbers=view.shared.pooled,
        )
        self.titles = VGroup()
        for label, point in zip(labels, layout.titles, strict=True):
            self.titles.add(self._place_title(label, point))
        self.names = self._head_labels(
            [f"{head}" for head in self.heads], layout.names, theme.muted, featured
        )
        if len(self.names):
            self.names.add(self._place_title(Label("head", colour=theme.muted), layout.name_title))
        self.lower = dict(zip(self.heads, layout.rows[-1], strict=True))
        self.upper = {
            head: self._upper_panel(head, box)
            for head, box in zip(self.heads, layout.rows[0], strict=True)
        }
        self.numbers = VGroup()
        if view.shared.pooled:
            moved = [f"{100 * view.pattern_distance(head):.0f} %" for head in self.heads]
            self.numbers = self._head_labels(moved, layout.numbers, theme.ink)
            if len(self.numbers):
                title = Label("moved", colour=theme.ink)
                self.numbers.add(self._place_title(title, layout.number_title))
        x, y = layout.total
        self.total = Paragraph(
            lines,
            (x, y + theme.name_size * FRAME_HEIGHT / 2),
            size=theme.name_size,
            colour=theme.ink,
            align="center",
        )

    def _place_title(self, label: Label, point: tuple[float, float]) -> TextLine:
        """Place the title of a row or column at its point."""
        x, y = point
        return label.on_line(x if self.layout.heads_stacked else x - label.width / 2, y)

    def _head_labels(
        self,
        texts: Sequence[str],
        points: Sequence[tuple[float, float]],
        colour: str,
        featured: int | None = None,
    ) -> VGroup:
        """Build a label for each head, or none at all where they do not fit."""
        theme = current_theme()
        labels = [Label(text, colour=colour) for text in texts]
        if max(label.width for label in labels) > self.layout.room:
            return VGroup()
        if featured is not None:
            labels[self.heads.index(featured)].set_fill(theme.ink)
        return VGroup(*(label.on_line(x, y) for label, (x, y) in zip(labels, points, strict=True)))

    def _upper_panel(self, head: int, box: Box) -> Heatmap:
        layer = self.view.layer
        own = layer.head(head)
        span = (layer.first, layer.stop)
        if self.view.shared.pooled:
            source = TensorSource(
                layer.trace.tensor_name("pattern", layer.layer), index=(head, span, span)
            )
            norm, values, masked = layer.norm("pattern"), own.pattern, own.causal_mask
        else:
            width = (0, layer.trace.meta.d_qk)
            source = layer.source(own.score_tensor("q"), head, width)
            norm, values, masked = layer.norm("q"), own.q_used, None
        cells = Heatmap(values, norm, width=1, height=1, masked=masked, source=source)
        return cells.place(box)

    def key_boxes(self, shared_stack: SharedHeadStack) -> list[tuple[Heatmap, Box, list[int]]]:
        """Return the shared keys of a stack of heads that are drawn here.

        Each comes with the box across the heads that read it, and with these heads.
        """
        places = {head: place for place, head in enumerate(self.heads)}
        return [
            (cells, self.layout.span(1, [places[head] for head in heads]), heads)
            for cells, heads in zip(shared_stack.keys, shared_stack.groups, strict=True)
            if heads[0] in places
        ]

    def _total_text(self) -> str:
        shared, every = self.view.shared, self.view.layer.trace.meta.n_heads
        part = (
            "" if len(self.heads) == every else f" ({len(self.heads)} of {every} heads are drawn)"
        )
        if not shared.pooled:
            return f"the same keys, other queries: every head has its own pattern{part}"
        mean, worst = (
            f"{100 * share:.0f} %"
            for share in (shared.pattern_distance.mean, shared.pattern_distance.worst)
        )
        text = f"of a row’s attention, {mean} moved to other words on average, {worst} at most"
        return text + part


def _shown_heads(view: SharedView, featured: int) -> tuple[int, ...]:
    """Return the heads that have a column, in order.

    Groups are complete, and that of the featured head is always there; only where this
    group alone has too many heads, a part of it is shown.
    """
    own = view.shared.group(featured)
    heads = list(view.shared.heads(own))
    for number in range(view.shared.n_groups):
        group = view.shared.heads(number)
        if number != own and len(heads) + len(group) <= MAX_COLUMNS:
            heads += group
    if len(heads) > MAX_COLUMNS:
        heads = [featured, *(h for h in heads if h != featured)][:MAX_COLUMNS]
    return tuple(sorted(heads))


class SharedCache(Group):
    """Cache of one layer as a volume, with room for the keys and values of every head.

    Attributes
    ----------
    own, shared
        The model's own cache, and the one after pooling; the same volume where nothing is pooled.
    full
        Outline of a cache with keys and values of every head.
    names
        "K" and "V", below the volumes.
    bars, title
        Bars of how many numbers each of these caches holds for a token, and their title.
    volume_layout, layout
        Where the volume stands in space, and where everything stands in the frame.
    shot
        Shot of the volume.
    """

    def __init__(self, view: SharedView, frame: Frame) -> None:
        super().__init__()
        self.view = view
        theme, meta = current_theme(), view.layer.trace.meta
        heads = meta.n_heads
        self.volume_layout = SharedCacheLayout.volume_layout(
            rows=view.layer.count, heads=heads, d_qk=meta.d_qk, d_v=meta.d_v
        )
        layer = [view.layer.layer]
        keys, values = (CachedTensor.of(view.layer, name, layer) for name in ("k", "v"))
        self.own = CacheVolume(keys, values, self.volume_layout)
        self.shared = self.own
        if view.shared.pooled:
            self.shared = CacheVolume(view.stored("k"), view.stored("v"), self.volume_layout)
        rows = self._rows(view)
        self.layout = SharedCacheLayout.of(frame, rows=len(rows))
        self.shot = self.layout.shot(self.volume_layout, frame, heads=heads)
        boxes = (self.volume_layout.k, self.volume_layout.v)
        self.full = VGroup(*(self._full_outline(box, heads) for box in boxes))
        self.names = VGroup()
        for box, symbol, colour in zip(boxes, "KV", (theme.key, theme.value), strict=True):
            name = Symbol(symbol, size=theme.name_size, colour=colour).on_line(0.0, -NAME_DROP)
            self.names.add(keep_upright(name, at=(box.x, box.bottom, 0.0)))
        set_depth_plane(self.full, self.own.keys.front)
        self.bars = ScaleBars(rows, self.layout.bars, captioned=self.layout.captioned)
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

        def row(name: str, n_heads: int, note: str, size_label: str) -> BarRow:
            spans = (
                Span(n_heads * meta.d_qk, theme.key),
                Span(n_heads * meta.d_v, theme.value),
            )
            return BarRow(name, note, spans, size_label)

        def product(n_heads: int) -> str:
            count = f"{n_heads} × " if n_heads > 1 else ""
            if meta.d_qk == meta.d_v:
                return f"2 × {count}{meta.d_qk}"
            return f"{count}({meta.d_qk} + {meta.d_v})"

        grouped = meta.n_kv_heads < meta.n_heads
        rows = []
        if grouped:
            note = f"{product(meta.n_heads)}, hypothetical here"
            rows.append(row("all heads", meta.n_heads, note, format_count(full)))
        size_label = (
            f"{format_count(own)}  ·  {format_ratio(full / own)} fewer"
            if grouped
            else format_count(own)
        )
        rows.append(row("this model", meta.n_kv_heads, product(meta.n_kv_heads), size_label))
        if shared.pooled:
            name = "one set" if shared.n_groups == 1 else f"{shared.n_groups} sets"
            size_label = f"{format_count(left)}  ·  {format_ratio(own / left)} fewer"
            if grouped:
                size_label += f", {format_ratio(full / left)} than all heads"
            rows.append(row(name, shared.n_groups, product(shared.n_groups), size_label))
        return rows

    def copy_in_cache(self, name: str, head: int, cells: Heatmap) -> Heatmap:
        """Return a copy of a panel where the cache has a head's keys ("k") or values ("v")."""
        layout, unit = self.volume_layout, self.view.layer.trace.kv_head(head)
        return copy_at_depth(cells, getattr(layout, name), -unit * layout.thickness)

    def _full_outline(self, box: Box, heads: int) -> VMobject:
        """Build the edges of a volume of every head, with a line between neighbouring heads."""
        theme = current_theme()
        lines = VMobject(stroke_color=theme.faint, stroke_width=theme.thin, fill_opacity=0.0)
        for head in range(heads + 1):
            z = -head * self.volume_layout.thickness
            path = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom)]
            _add_path(lines, [(*point, z) for point in path])
        back = -heads * self.volume_layout.thickness
        for x, y in ((box.left, box.top), (box.right, box.top), (box.right, box.bottom)):
            _add_path(lines, [(x, y, 0.0), (x, y, back)])
        return lines


def _add_path(lines: VMobject, path: Sequence[tuple[float, float, float]]) -> None:
    lines.start_new_path(np.array(path[0]))
    for point in path[1:]:
        lines.add_line_to(np.array(point))


class TradeOff(Group):
    """What sharing saves at the size of DeepSeek-R1, and what it cost models trained alike.

    Parameters
    ----------
    scheme
        The scheme of the scene; the others are drawn in muted colours.
    frame
        The frame to fill.

    Attributes
    ----------
    caches
        What a token takes under each scheme, by scheme.
    saved, saved_title
        Bars of one token's bytes, and their title.
    quality, quality_title
        Plot of the models' scores, and its title.
    source
        Lines that say where the scores were published.
    """

    def __init__(self, scheme: Scheme, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        arch = architecture(SHAPE)
        caches = [
            CachedPerToken(arch, "mha"),
            CachedPerToken(arch, "gqa", COMPARED_GROUPS),
            CachedPerToken(arch, "mqa"),
        ]
        # In the scene about MQA, GQA has not been explained yet.
        shown = [cache for cache in caches if scheme == "gqa" or cache.scheme != "gqa"]
        source = break_lines(
            f"{DENSE_7B.title}  ·  {DENSE_7B.source}", frame.stage.width, size=theme.note_size
        )
        layout = TradeOffLayout.of(frame, rows=len(shown), lines=len(source))
        factors = f"{arch.n_layers} layers, {BITS // 8} bytes a number"
        self.saved_title = Paragraph(
            ["One token at DeepSeek-R1's size", factors], layout.saved_title, size=theme.shape_size
        )
        self.saved_title[0].set_fill(theme.ink)
        rows = [
            BarRow(cache.name, cache.numbers, cache.spans(), _format_bytes(cache.size()))
            for cache in shown
        ]
        self.saved = ScaleBars(rows, layout.bars, captioned=layout.captioned)
        self.caches = {cache.scheme: cache for cache in caches}
        self.quality_title = Paragraph(
            ["Quality of models trained alike"],
            layout.quality_title,
            size=theme.shape_size,
        )
        self.quality_title.set_fill(theme.ink)
        self.quality = self._plot(scheme, layout.plot)
        self.source = Paragraph(source, layout.source)

    def _plot(self, scheme: Scheme, box: Box) -> DotPlot:
        theme = current_theme()
        columns = {column.attention.split(",")[0].lower(): column for column in DENSE_7B.columns}
        series = []
        for name, column in (
            ("mqa", columns["mqa"]),
            ("gqa", columns["gqa"]),
            ("mha", columns["mha"]),
        ):
            featured = name == scheme
            series.append(
                DotSeries(
                    name=column.attention.replace(", 8 groups", "-8"),
                    values=(column.bbh, column.mmlu, column.c_eval, column.cmmlu),
                    colours=theme.accent
                    if featured
                    else theme.ink
                    if name == "mha"
                    else theme.muted,
                    hollow=not featured and name != "mha",
                    written=True,
                )
            )
        every = [value for cache in series for value in cache.values]
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


def _format_bytes(count: float) -> str:
    """Return a number of bytes in kilobytes or megabytes."""
    return f"{format_number(count / 1e6, 2)} MB" if count >= 1e6 else format_kilobytes(count)
