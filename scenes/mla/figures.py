"""What a latent costs and saves, in figures: errors, moved patterns, trained models, the cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import Dot, Group, VGroup

from extract.architectures import MOE, Architecture, kv_cache_elements, latent_of
from extract.latent import LatentReport, Moved
from filmkit.core.geometry import Box, Frame
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_number, format_share
from filmkit.core.text import Label, Symbol, broken, fit_size
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
from scenes.mla.layout import CachedLayout, ChartLayout, CompareLayout, OutputLayout, PatternLayout
from scenes.mla.pictures import output_of

__all__ = [
    "CachedBars",
    "ErrorChart",
    "OutputsBeside",
    "PatternRow",
    "TrainedPlot",
    "TrueBeside",
    "power_of_ten",
    "whole",
]

BETWEEN = 2.0  # between a rebuilt panel and the true one


def whole(count: float) -> str:
    """A count in full.

    >>> whole(32768)
    '32,768'
    """
    return f"{count:,.0f}"


class TrueBeside(Group):
    """The model's own keys and values beside those from the latent, with what is lost.

    Attributes
    ----------
    k, v
        Panels of the true ones.
    lost
        For keys and for values, the error and what it is.
    remark
        What is compared, where the layer has biases.
    """

    def __init__(self, seen: LatentHead, layout: CompareLayout) -> None:
        super().__init__()
        theme, view = current_theme(), seen.view
        self.layout = layout
        self.lost = VGroup()
        self.rebuilt: dict[str, np.ndarray] = {}
        for name, words, box, point, colour in (
            ("k", "true keys", layout.true_k, layout.said_k, theme.key),
            ("v", "true values", layout.true_v, layout.said_v, theme.value),
        ):
            compared = seen.compared(name)
            self.rebuilt[name] = compared.rebuilt
            width = compared.true.shape[1]
            source = view.layer.source(name, seen.kv_head, (0, width))
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
            self.lost.add(
                VGroup(share.on_line(x, y + layout.line), note.on_line(x, y - layout.line * 0.8))
            )
        self.remark = VGroup()
        if view.biased:
            text = "both about their mean row"
            self.remark.add(Label(text, size=theme.note_size, colour=theme.muted))
            self.remark.move_to([*layout.remark, 0])
        self.add(self.k, self.v, self.lost, self.remark)

    k: Panel
    v: Panel


class PatternRow(Group):
    """The pattern that the model has, the one without rotation, and the one from the latent.

    A model that does not rotate has no second.

    Attributes
    ----------
    patterns
        Panels, from the left.
    words
        Beside the first.
    steps
        Between two: an arrow, how much attention moves, and why.
    caption
        What is counted.
    """

    def __init__(self, seen: LatentHead, frame: Frame, word: float) -> None:
        super().__init__()
        theme, layer = current_theme(), seen.view.layer
        trace, head = layer.trace, layer.head(seen.head)
        moves, every = seen.moves(), seen.view.moves

        def of_all(moved: Moved) -> str:
            return f"(all {trace.meta.n_heads} heads: {format_share(moved.mean)})"

        span = (layer.first, layer.stop)
        own = TensorSource(trace.key("pattern", layer.layer), index=(seen.head, span, span))
        shown = [("the model’s own", head.pattern, own)]
        steps = []
        if trace.rotates:
            shown.append(
                (
                    "without rotation",
                    seen.content,
                    layer.computed("pattern without rotation", "key_pos"),
                )
            )
            steps.append(
                (moves.rotation.mean, ("leaving out", "the rotation", of_all(every.rotation)))
            )
        shown.append(
            ("from the latent", seen.pattern, layer.computed("pattern from the latent", "key_pos"))
        )
        steps.append((moves.latent.mean, ("taking keys from", "the latent", of_all(every.latent))))
        self.layout = layout = PatternLayout.of(
            frame,
            patterns=len(shown),
            count=layer.count,
            word=word,
            name=max(Label(name, size=theme.name_size).width for name, *_ in shown),
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
                    masked=head.future,
                    source=source,
                )
                for (name, values, source), box in zip(shown, layout.boxes, strict=True)
            )
        )
        pitch = layout.boxes[0].height / layer.count
        size = min(theme.shape_size, 0.94 * pitch / frame.height)
        words = layer.words if size >= theme.least_size else ()
        points = layout.words if words else ()
        self.words = TokenLabels(words, points, width=word, size=size)
        self.steps = VGroup(
            *(
                self._step(share, why, arrow, points)
                for (share, why), arrow, points in zip(
                    steps, layout.arrows, layout.steps, strict=True
                )
            )
        )
        said = "share of the attention that goes to other words, mean over the rows"
        if not trace.rotates:
            said += "  ·  this model has no rotation to leave out"
        lines = broken(said, frame.stage.width, size=theme.note_size)
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
    """What a latent of each rank loses on text that it was not fitted to.

    Attributes
    ----------
    axes, fitted, plain, names
        The chart: fitted to what the layer receives, and from the weights alone.
    mark
        The rank that is stored.
    """

    def __init__(self, report: LatentReport, frame: Frame) -> None:
        super().__init__()
        theme, layout = current_theme(), ChartLayout.of(frame, most=1.1)
        self.layout = layout
        ranks = [0, *(rung.rank for rung in report.ladder)]
        fitted = [1.0, *(rung.fit.held_out.balanced for rung in report.ladder)]
        plain = [1.0, *(rung.weight_svd.held_out.balanced for rung in report.ladder)]
        high = max(1.0, *plain)
        ticks = (0, *sorted({report.rank, report.full_rank}))
        self.axes = ChartAxes(
            ChartAxis(0, report.full_rank, ticks, "rank: numbers in the latent", write=whole),
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
            f"measured on {whole(held_out)} tokens of text that it was not fitted to",
            size=theme.note_size,
            colour=theme.muted,
        )
        self.source.move_to([*layout.source, 0])
        self.add(self.axes, self.fitted, self.plain, self.names, self.mark, self.source)

    def _mark(self, report: LatentReport) -> VGroup:
        """The stored rank, with the error of either fit."""
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
        """Beside the upper line, where it is a fifth of the way down."""
        theme = current_theme()
        label = Label("from the weights alone (SVD)", colour=theme.muted)
        level = 0.8
        at = float(np.interp(-level, -np.array(errors), np.array(ranks, dtype=float)))
        x, y = self.axes.at(at, level)
        return label.on_line(x + 0.2 + label.width / 2, y + 0.12)

    def _name_fitted(self, report: LatentReport) -> VGroup:
        """Below the lower line, between the axis and the chosen rank."""
        theme, plot = current_theme(), self.axes.plot
        x, level = self.axes.at(report.rank, report.chosen.fit.held_out.balanced)
        # Where the number at the chosen rank is high enough, words may stand below it.
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
    """Models that were trained with all keys and values, and with a latent (V2 report, table 9).

    Attributes
    ----------
    plot, title, source
        The dots, what they are and where they were printed.
    higher
        In how many of its rows the latent scores higher.
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
            ChartAxis(35, 65, (40, 50, 60), "score, per cent", write=whole),
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
    """How many numbers are cached for a token of a layer, before and with a latent.

    Attributes
    ----------
    own, published
        Bars of the traced model and of a published one, each to a scale of its own.
    titles
        Above them.
    """

    def __init__(self, view: LatentView, arch: Architecture, name: str, frame: Frame) -> None:
        super().__init__()
        theme, meta = current_theme(), view.layer.trace.meta
        self.layout = layout = CachedLayout.of(frame)
        forms = view.forms
        width = f"{meta.d_qk}" if meta.d_qk == meta.d_v else f"({meta.d_qk} + {meta.d_v})"
        twice = "2 × " if meta.d_qk == meta.d_v else ""
        self.own = _pair(
            layout.bars[0],
            before=(forms.n_expanded, f"{twice}{_heads(meta.n_kv_heads)} × {width}"),
            shares=(meta.d_qk, meta.d_v),
            cached=(forms.rank, forms.d_rope),
            above=layout.above,
        )
        latent = latent_of(arch)
        expanded = kv_cache_elements(arch, "mha") // arch.n_layers
        self.published = _pair(
            layout.bars[1],
            before=(expanded, f"2 × {_heads(arch.n_heads)} × {arch.d_head}, if cached"),
            shares=(1, 1),
            cached=(latent.kv_rank, latent.rope_dim),
            above=layout.above,
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
            left = x if layout.under else title.get_right()[0] + 0.2
            note.on_line(left + note.width / 2, y - layout.under)
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


def _pair(
    box: Box,
    *,
    before: tuple[int, str],
    shares: tuple[int, int],
    cached: tuple[int, int],
    above: bool,
) -> ScaleBars:
    """Bars of the keys and values and of what is cached instead."""
    theme = current_theme()
    total, said = before
    key = total * shares[0] / sum(shares)
    latent, rope = cached
    arithmetic = f"{latent} + {rope}" if rope else ""
    spans = [Span(latent, theme.latent), *([Span(rope, theme.key)] if rope else [])]
    rows = (
        BarRow(
            "keys and values",
            said,
            (Span(key, theme.key), Span(total - key, theme.value)),
            whole(total),
        ),
        BarRow(
            "latent", arithmetic if rope else "", tuple(spans), whole(latent + rope), theme.latent
        ),
    )
    return ScaleBars(rows, box, captioned=above)


class OutputsBeside(Group):
    """The outputs of both forms, large, and the largest difference between their numbers.

    Attributes
    ----------
    naive, absorbed
        Their visible ends.
    sign, total, notes
        What is said of them.
    """

    def __init__(self, view: LatentView, frame: Frame) -> None:
        super().__init__()
        theme, forms = current_theme(), view.forms
        self.layout = layout = OutputLayout.of(frame, count=view.layer.count)
        self.naive = output_of(view, "naive", layout.naive, name="keys and values formed")
        self.absorbed = output_of(view, "absorbed", layout.absorbed, name="only the latent read")
        panels = (self.naive, self.absorbed)
        self.names = Group(
            *(part for panel in panels for part in (panel.header, panel.dots) if part is not None)
        )
        self.sign = Symbol("=", size=theme.name_size * 1.6).move_to([*layout.sign, 0])
        size = theme.name_size
        words = Label("largest difference", size=size, weight="semibold")
        number = Symbol(power_of_ten(forms.largest_difference), size=size)
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


def power_of_ten(value: float) -> str:
    """A small number in powers of ten, as Typst mathematics.

    >>> power_of_ten(0.00032)
    '3 times 10^(-4)'
    """
    if value == 0:
        return "0"
    exponent = int(np.floor(np.log10(value)))
    digit = round(value / 10.0**exponent)
    if digit == 10:
        digit, exponent = 1, exponent + 1
    return f"{digit} times 10^({exponent})"
