"""Comparisons with and without a latent: errors, patterns, trained models, cache, outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import Dot, Group, VGroup

from extract.architectures import MOE, Architecture, kv_cache_elements, latent_size
from extract.latent import LatentReport, PatternDistance
from filmkit.core.geometry import Box, Frame
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_count, format_number, format_power_of_ten, format_share
from filmkit.core.text import Label, Symbol, break_lines, fit_size
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import (
    BarRow,
    ChartAxes,
    ChartAxis,
    Curve,
    DotPlot,
    DotSeries,
    Paragraph,
    ScaleBars,
    Span,
)
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.mobjects.marks import TokenLabels
from filmkit.mobjects.panel import Panel
from scenes.mla.diagrams import output_panel
from scenes.mla.layout import (
    CachedBarsLayout,
    ChartLayout,
    OutputComparisonLayout,
    PatternComparisonLayout,
    ReconstructionLayout,
)

__all__ = [
    "TRUE_GAP",
    "CachedBars",
    "ErrorChart",
    "OutputComparison",
    "PatternComparison",
    "Reconstruction",
    "TrainedPlot",
]

TRUE_GAP = 2.0  # between a rebuilt panel and the true one, in scene units


class Reconstruction(Group):
    """The model's own keys and values beside those rebuilt from the latent, with the errors.

    Parameters
    ----------
    latent_head
        The head, with its latent.
    layout
        Where everything stands.

    Attributes
    ----------
    k, v
        Panels of the true keys and values.
    errors
        For keys and for values, the relative error with its name.
    rebuilt
        Rebuilt keys and values that are compared, by name ("k", "v").
    remark
        Remark on what is compared, where the layer has biases.
    """

    def __init__(self, latent_head: LatentHead, layout: ReconstructionLayout) -> None:
        super().__init__()
        theme, view = current_theme(), latent_head.view
        self.layout = layout
        self.errors = VGroup()
        self.rebuilt: dict[str, np.ndarray] = {}
        for name, words, box, point, colour in (
            ("k", "true keys", layout.true_k, layout.error_k, theme.key),
            ("v", "true values", layout.true_v, layout.error_v, theme.value),
        ):
            compared = latent_head.comparison(name)
            self.rebuilt[name] = compared.rebuilt
            width = compared.true.shape[1]
            source = view.layer.source(name, latent_head.kv_head, (0, width))
            if view.biased:
                source = view.layer.computed(
                    f"{words} about their mean row", f"d_{'qk' if name == 'k' else 'v'}", width
                )
            panel = Panel(
                compared.true,
                view.layer.norm(name),
                box,
                name=words,
                colour=colour,
                show_shape=False,
                source=source,
            )
            setattr(self, name, panel)
            share = Label(format_share(compared.error), size=theme.name_size, weight="semibold")
            note = Label("relative error", size=theme.note_size, colour=theme.muted)
            x, y = point
            self.errors.add(
                VGroup(share.on_line(x, y + layout.line), note.on_line(x, y - layout.line * 0.8))
            )
        self.remark = VGroup()
        if view.biased:
            text = "both about their mean row"
            self.remark.add(Label(text, size=theme.note_size, colour=theme.muted))
            self.remark.move_to([*layout.remark, 0])
        self.add(self.k, self.v, self.errors, self.remark)

    k: Panel
    v: Panel


class PatternComparison(Group):
    """The model's own pattern, the one without rotation, and the one with keys from the latent.

    For a model that does not rotate queries and keys there is no second pattern.

    Parameters
    ----------
    latent_head
        The head, with its latent.
    frame
        The frame to fill.
    word_width
        Largest width of a word beside a row, in scene units.

    Attributes
    ----------
    patterns
        Panels, from the left.
    words
        Words beside the first pattern.
    steps
        Between two patterns: an arrow, how much attention moves, and why.
    caption
        Line that explains the numbers.
    """

    def __init__(self, latent_head: LatentHead, frame: Frame, word_width: float) -> None:
        super().__init__()
        theme, layer = current_theme(), latent_head.view.layer
        trace, head = layer.trace, layer.head(latent_head.head)
        moves, every = latent_head.pattern_distances(), latent_head.view.pattern_distances

        def all_heads_line(moved: PatternDistance) -> str:
            return f"(all {trace.meta.n_heads} heads: {format_share(moved.mean)})"

        span = (layer.first, layer.stop)
        own = TensorSource(
            trace.tensor_name("pattern", layer.layer), index=(latent_head.head, span, span)
        )
        shown = [("the model’s own", head.pattern, own)]
        steps = []
        if trace.rotates:
            shown.append(
                (
                    "without rotation",
                    latent_head.content,
                    layer.computed("pattern without rotation", "key_pos"),
                )
            )
            steps.append(
                (
                    moves.rotation.mean,
                    ("leaving out", "the rotation", all_heads_line(every.rotation)),
                )
            )
        shown.append(
            (
                "from the latent",
                latent_head.pattern,
                layer.computed("pattern from the latent", "key_pos"),
            )
        )
        steps.append(
            (moves.latent.mean, ("taking keys from", "the latent", all_heads_line(every.latent)))
        )
        self.layout = layout = PatternComparisonLayout.of(
            frame,
            patterns=len(shown),
            count=layer.count,
            word_width=word_width,
            name_width=max(Label(name, size=theme.name_size).width for name, *_ in shown),
            lines=max(len(why) for _, why in steps),
        )
        self.patterns = Group(
            *(
                Panel(
                    values,
                    layer.norm("pattern"),
                    box,
                    name=name,
                    align="center",
                    show_shape=False,
                    masked=head.causal_mask,
                    source=source,
                )
                for (name, values, source), box in zip(shown, layout.boxes, strict=True)
            )
        )
        pitch = layout.boxes[0].height / layer.count
        size = min(theme.shape_size, 0.94 * pitch / frame.height)
        words = layer.words if size >= theme.min_text_size else ()
        points = layout.words if words else ()
        self.words = TokenLabels(words, points, width=word_width, size=size)
        self.steps = VGroup(
            *(
                self._step(share, why, arrow, points)
                for (share, why), arrow, points in zip(
                    steps, layout.arrows, layout.steps, strict=True
                )
            )
        )
        text = "share of the attention that goes to other words, mean over the rows"
        if not trace.rotates:
            text += "  ·  this model has no rotation to leave out"
        lines = break_lines(text, frame.stage.width, size=theme.note_size)
        self.caption = Paragraph(lines, (0.0, 0.0), align="center")
        self.caption.move_to([*layout.caption, 0])
        self.add(self.patterns, self.words, self.steps, self.caption)

    def _step(
        self,
        share: float,
        why: tuple[str, ...],
        arrow: Sequence[tuple[float, float]],
        points: Sequence[tuple[float, float]],
    ) -> VGroup:
        theme = current_theme()
        moved = Label(
            f"{format_share(share)} moves",
            size=theme.name_size,
            weight="semibold",
            colour=theme.accent,
        )
        lines = [moved, *(Label(line, size=theme.note_size, colour=theme.muted) for line in why)]
        for line, (x, y) in zip(lines, points, strict=False):
            line.on_line(x + (line.width / 2 if self.layout.align == "left" else 0.0), y)
        return VGroup(Wire(arrow), *lines)


class ErrorChart(Group):
    """Chart of the error of a latent against its rank, on text that it was not fitted to.

    Attributes
    ----------
    axes
        Axes of the chart.
    fitted, plain
        Curves of the latent fitted to the layer's inputs, and of the one from the weights alone.
    names
        Names of the two curves, the plain one first.
    mark
        Mark at the rank that is stored in the trace.
    source
        Line that says what the errors were measured on.
    """

    def __init__(self, report: LatentReport, frame: Frame) -> None:
        super().__init__()
        theme, layout = current_theme(), ChartLayout.of(frame, max_ratio=1.1)
        self.layout = layout
        ranks = [0, *(rung.rank for rung in report.ladder)]
        fitted = [1.0, *(rung.fit.held_out.balanced for rung in report.ladder)]
        plain = [1.0, *(rung.weight_svd.held_out.balanced for rung in report.ladder)]
        high = max(1.0, *plain)
        ticks = (0, *sorted({report.rank, report.full_rank}))
        self.axes = ChartAxes(
            ChartAxis(
                0, report.full_rank, ticks, "rank: numbers in the latent", write=format_count
            ),
            ChartAxis(0, high, (0, 0.5, 1), "relative error of keys and values", write=_percent),
            layout.chart,
            right=0.4,
        )
        self.fitted = Curve(self.axes, ranks, fitted, colour=theme.latent, width=theme.bold)
        self.plain = Curve(self.axes, ranks, plain, colour=theme.muted)
        self.names = VGroup(self._name_plain(ranks, plain), self._name_fitted(report))
        self.mark = self._mark(report)
        held_out = report.calibration.n_held_out
        self.source = Label(
            f"measured on {format_count(held_out)} tokens of text that it was not fitted to",
            size=theme.note_size,
            colour=theme.muted,
        )
        self.source.move_to([*layout.source, 0])
        self.add(self.axes, self.fitted, self.plain, self.names, self.mark, self.source)

    def _mark(self, report: LatentReport) -> VGroup:
        """Build the mark at the stored rank, with the errors of both fits."""
        theme, chosen = current_theme(), report.chosen
        errors = (chosen.fit.held_out.balanced, chosen.weight_svd.held_out.balanced)
        (x, low), (_, high) = (self.axes.at(report.rank, error) for error in errors)
        line = Wire(
            [(x, self.axes.plot.bottom), (x, high)],
            arrow=False,
            colour=theme.muted,
            width=theme.thin,
        )
        dots = VGroup(
            Dot([x, high, 0], radius=0.07, color=theme.muted),
            Dot([x, low, 0], radius=0.09, color=theme.latent),
        )
        plain = Label(format_share(errors[1]), size=theme.name_size, colour=theme.muted)
        plain.on_line(x + 0.16 + plain.width / 2, high + 0.2)
        fitted = Label(
            format_share(errors[0]), size=theme.name_size, weight="semibold", colour=theme.latent
        )
        fitted.on_line(x - 0.14 - fitted.width / 2, low - 0.22)
        return VGroup(line, dots, plain, fitted)

    def _name_plain(self, ranks: list[int], errors: list[float]) -> Label:
        """Build the name of the plain curve, at its right where the error is 0.8."""
        theme = current_theme()
        label = Label("from the weights alone (SVD)", colour=theme.muted)
        level = 0.8
        at = float(np.interp(-level, -np.array(errors), np.array(ranks, dtype=float)))
        x, y = self.axes.at(at, level)
        return label.on_line(x + 0.2 + label.width / 2, y + 0.12)

    def _name_fitted(self, report: LatentReport) -> VGroup:
        """Build the name of the fitted curve, below it and left of the stored rank."""
        theme, plot = current_theme(), self.axes.plot
        x, level = self.axes.at(report.rank, report.chosen.fit.held_out.balanced)
        # Where the number at the stored rank is high enough, the name may stand below it.
        free = level - 0.42 - plot.bottom
        room, top = x - plot.left - 0.35, min(0.62, free - 0.14)
        if free < 0.62:
            room, top = x - plot.left - 1.3, 0.62
        lines = [
            fit_size(text, max(room, 1.5), colour=theme.latent)
            for text in ("fitted to what", "the layer receives")
        ]
        for index, line in enumerate(lines):
            line.on_line(plot.left + 0.2 + line.width / 2, plot.bottom + top - 0.3 * index)
        return VGroup(*lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


class TrainedPlot(Group):
    """Dot plot of models trained with MHA and with a latent (DeepSeek-V2 report, table 9).

    Attributes
    ----------
    plot, title, source
        The dots, the heading, and where the numbers were published.
    higher
        Number of rows in which the latent scores higher.
    """

    ROWS = (("BBH", "bbh"), ("MMLU", "mmlu"), ("C-Eval", "c_eval"), ("CMMLU", "cmmlu"))

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        theme, layout = current_theme(), ChartLayout.of(frame, width=0.84)
        names: list[str] = []
        scores: dict[str, list[float]] = {"MHA": [], "MLA": []}
        for size in ("small", "large"):
            for name, field in self.ROWS:
                names.append(f"{size} model, {name}")
                for column in MOE.columns:
                    if column.size == size:
                        scores[column.attention].append(getattr(column, field))
        self.higher = sum(m > h for h, m in zip(scores["MHA"], scores["MLA"], strict=True))
        self.plot = DotPlot(
            names,
            (
                DotSeries("MHA", tuple(scores["MHA"]), theme.ink, hollow=True),
                DotSeries("MLA", tuple(scores["MLA"]), theme.latent),
            ),
            ChartAxis(35, 65, (40, 50, 60), "score, per cent", write=format_count),
            layout.chart,
            write=lambda value: f"{value:.1f}",
        )
        self.title = Label(
            "trained from the start: every head’s keys and values, or one latent",
            size=theme.shape_size,
        )
        self.title.move_to([*layout.title, 0])
        self.source = Label(MOE.source, size=theme.note_size, colour=theme.muted)
        self.source.move_to([*layout.source, 0])
        self.add(self.plot, self.title, self.source)


class CachedBars(Group):
    """Bars of how many numbers a layer caches for a token, without and with a latent.

    Parameters
    ----------
    view
        A layer of the traced model, with its latent.
    arch
        A published model.
    name
        Name of the published model.
    frame
        The frame to fill.

    Attributes
    ----------
    own, published
        Bars of the traced model and of the published one, each to a scale of its own.
    titles
        Headings of the two.
    remark
        Remark on the shared rotated key.
    """

    def __init__(self, view: LatentView, arch: Architecture, name: str, frame: Frame) -> None:
        super().__init__()
        theme, meta = current_theme(), view.layer.trace.meta
        self.layout = layout = CachedBarsLayout.of(frame)
        forms = view.forms
        width = f"{meta.d_qk}" if meta.d_qk == meta.d_v else f"({meta.d_qk} + {meta.d_v})"
        twice = "2 × " if meta.d_qk == meta.d_v else ""
        self.own = _bar_pair(
            layout.bars[0],
            before=(forms.n_expanded, f"{twice}{_heads(meta.n_kv_heads)} × {width}"),
            shares=(meta.d_qk, meta.d_v),
            cached=(forms.rank, forms.d_rope),
            captioned=layout.captioned,
        )
        latent = latent_size(arch)
        expanded = kv_cache_elements(arch, "mha") // arch.n_layers
        self.published = _bar_pair(
            layout.bars[1],
            before=(expanded, f"2 × {_heads(arch.n_heads)} × {arch.d_head}, if cached"),
            shares=(1, 1),
            cached=(latent.kv_rank, latent.rope_dim),
            captioned=layout.captioned,
        )
        self.titles = VGroup()
        for text, (x, y) in zip((meta.model, name), layout.titles, strict=True):
            title = Label(text, size=theme.name_size, weight="semibold")
            title.on_line(x + title.width / 2, y)
            note = Label(
                "numbers cached for one token of one layer",
                size=theme.note_size,
                colour=theme.muted,
            )
            left = x if layout.note_drop else title.get_right()[0] + 0.2
            note.on_line(left + note.width / 2, y - layout.note_drop)
            self.titles.add(VGroup(title, note))
        self.remark = Label(
            f"the {latent.rope_dim} are one rotated key, shared by all heads: it carries position",
            size=theme.note_size,
            colour=theme.key,
        )
        self.remark.on_line(layout.remark[0] + self.remark.width / 2, layout.remark[1])
        self.add(self.own, self.published, self.titles, self.remark)


def _heads(count: int) -> str:
    return f"{count} head{'s' if count > 1 else ''}"


def _bar_pair(
    box: Box,
    *,
    before: tuple[int, str],
    shares: tuple[int, int],
    cached: tuple[int, int],
    captioned: bool,
) -> ScaleBars:
    """Build the bars of keys and values, and of the latent that is cached instead."""
    theme = current_theme()
    total, text = before
    key = total * shares[0] / sum(shares)
    latent, rope = cached
    arithmetic = f"{latent} + {rope}" if rope else ""
    spans = [Span(latent, theme.latent), *([Span(rope, theme.key)] if rope else [])]
    rows = (
        BarRow(
            "keys and values",
            text,
            (Span(key, theme.key), Span(total - key, theme.value)),
            format_count(total),
        ),
        BarRow(
            "latent",
            arithmetic if rope else "",
            tuple(spans),
            format_count(latent + rope),
            theme.latent,
        ),
    )
    return ScaleBars(rows, box, captioned=captioned)


class OutputComparison(Group):
    """The outputs of both forms, large, and the largest difference between their numbers.

    Attributes
    ----------
    naive, absorbed
        Panels of the outputs, with the middle columns left out.
    names
        Headers of the panels.
    sign
        The equals sign between them.
    total
        The largest difference.
    notes
        Small lines that explain it.
    """

    def __init__(self, view: LatentView, frame: Frame) -> None:
        super().__init__()
        theme, forms = current_theme(), view.forms
        self.layout = layout = OutputComparisonLayout.of(frame, count=view.layer.count)
        self.naive = output_panel(view, "naive", layout.naive, name="keys and values formed")
        self.absorbed = output_panel(view, "absorbed", layout.absorbed, name="only the latent read")
        panels = (self.naive, self.absorbed)
        self.names = Group(
            *(part for panel in panels for part in (panel.header, panel.dots) if part is not None)
        )
        self.sign = Symbol("=", size=theme.name_size * 1.6).move_to([*layout.sign, 0])
        size = theme.name_size
        words = Label("largest difference", size=size, weight="semibold")
        number = Symbol(format_power_of_ten(forms.largest_difference), size=size)
        width = words.width + 0.2 + number.width
        x, y = layout.total
        words.on_line(x - width / 2 + words.width / 2, y)
        number.on_line(x + width / 2 - number.width / 2, y)
        self.total = VGroup(words, number)
        lines = (
            f"between numbers of up to {format_number(forms.largest_output)}",
            "all heads, all columns: nothing but rounding",
        )
        self.notes = VGroup(
            *(
                Label(line, size=theme.note_size, colour=theme.muted).move_to([*point, 0])
                for line, point in zip(lines, layout.notes, strict=True)
            )
        )
        self.add(self.naive, self.absorbed, self.sign, self.total, self.notes)
