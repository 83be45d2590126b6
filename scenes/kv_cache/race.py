"""Decoding with a cache beside decoding without one: keys, values and a counter of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import Animation, Group, VGroup, VMobject, linear

from extract.decoding import Decoding
from filmkit.core.animations import AnimateWith
from filmkit.core.facts import fact
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, current_language, ngettext
from filmkit.core.numbers import format_decimal, format_number
from filmkit.core.text import Label, Number, fit_size, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head_tensors import head_cells
from filmkit.mobjects.marks import Highlight, Outline
from filmkit.mobjects.panel import Header
from filmkit.mobjects.sentence import Sentence
from scenes.kv_cache.layout import DISPLAY, RaceLayout, SideLayout

__all__ = ["CachedFrame", "Decoder", "RunningWords", "agreement", "race"]

UNBROKEN = 1e4  # width in which any sentence is one line, in scene units


class CachedFrame(Outline):
    """Thin solid frame around a cached panel, in the panel's colour."""

    def __init__(self, box: Box, colour: str) -> None:
        super().__init__(box.grown(0.05), colour=colour)
        self.set_stroke(width=current_theme().line)


class RecomputedFrame(VMobject):
    """Dashed frame around a panel that is computed again."""

    DASH = 0.09  # length of a dash and of a gap, in scene units

    def __init__(self, box: Box, colour: str) -> None:
        super().__init__(stroke_color=colour, stroke_width=current_theme().line, fill_opacity=0.0)
        grown = box.grown(0.05)
        corners = [
            np.array([x, y, 0.0])
            for x, y in (
                (grown.left, grown.top),
                (grown.right, grown.top),
                (grown.right, grown.bottom),
                (grown.left, grown.bottom),
            )
        ]
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            along = end - start
            length = float(np.linalg.norm(along))
            # A whole number of dashes, so that every side begins and ends with one.
            dashes = max(1, round((length / self.DASH + 1) / 2))
            step = along / (2 * dashes - 1)
            for index in range(dashes):
                self.start_new_path(start + 2 * index * step)
                self.add_line_to(start + (2 * index + 1) * step)


class RunningWords(VGroup):
    """All words on one line, with room for those that are decoded later.

    Words that do not fit are left out at the front, and replaced by an ellipsis.

    Attributes
    ----------
    first_shown
        Drawn position of the first word that fits.
    words
        The words that fit; ``words[i]`` belongs to the drawn position ``first_shown + i``.
    ellipsis
        The ellipsis in front of them; empty if all words fit.
    """

    def __init__(self, tokens: Sequence[str], box: Box) -> None:
        super().__init__()
        theme = current_theme()
        unbroken = Box(box.x, box.y, UNBROKEN, box.height)
        line = Sentence(tokens, unbroken, size=theme.name_size).words
        dots = Label("…", size=theme.name_size, colour=theme.muted)
        right = line[-1].get_right()[0]

        def width(first: int) -> float:
            return float(right - line[first].get_left()[0]) + (dots.width if first else 0.0)

        fitting = (first for first in range(len(line)) if width(first) <= box.width)
        self.first_shown = next(fitting, len(line))
        self.words, self.ellipsis = VGroup(*line[self.first_shown :]), VGroup()
        if self.first_shown:
            left = self.words.get_left()[0] if len(self.words) else box.x
            self.ellipsis.add(dots.on_line(left - dots.width / 2, box.y))
        self.add(self.ellipsis, self.words)
        self.shift([box.x - self.get_x(), 0, 0])

    def word(self, index: int) -> Label:
        """Return the word at a drawn position, or the ellipsis if the word does not fit."""
        place = index - self.first_shown
        label: Label = self.words[place] if place >= 0 else self.ellipsis[0]
        return label


class WorkCounter(VGroup):
    """A large counter of multiply-adds with a line that says what it counts.

    Parameters
    ----------
    counts
        (steps + 1,) multiply-adds before the first step and after each.
    max_count
        Largest count of both ways of decoding, which have the same unit.
    layout
        Where it stands.
    """

    def __init__(self, counts: Sequence[int], max_count: int, layout: SideLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.counts = counts
        self.unit, unit_name = current_language().counting_unit(max_count)
        digits = 1 if self.unit > 1 and max_count < 1000 * self.unit else 0
        self.number = Number(0, digits=digits, size=DISPLAY)
        widest = Number(max_count / self.unit, digits=digits, size=DISPLAY).width
        x, y = layout.count
        self.number.on_line(x + widest - self.number.width / 2, y)
        name = fit_size(unit_name, layout.width - widest - 0.16, size=theme.name_size)
        # Its letters stand on the line of the number's.
        drop = (self.number.line_height - name.line_height) * 0.29
        self.unit_name = name.on_line(x + widest + 0.16 + name.width / 2, y - drop)
        self.caption = VGroup(
            *stacked_lines(
                _("multiply-adds in this layer so far"),
                layout.caption,
                layout.width,
                size=theme.note_size,
                colour=theme.muted,
            )
        )
        self.add(self.number, self.unit_name, self.caption)
        fact("multiply-adds", counts[-1], self._written, cached=counts[-1] < max_count)
        self.set_count(counts[0])

    def _written(self, count: float) -> str:
        return format_decimal(count / self.unit, self.number.digits)

    def set_count(self, count: float) -> None:
        """Show a count of multiply-adds."""
        self.number.set_value(count / self.unit)

    def count_up(self, step: int) -> Animation:
        """Return an animation that counts up during a step; steps are numbered from 0."""
        start, end = self.counts[step], self.counts[step + 1]
        return AnimateWith(
            self.number,
            lambda alpha: self.set_count((1 - alpha) * start + alpha * end),
            rate_func=linear,
        )


class Decoder(Group):
    """One way of decoding: keys and values with what a step computes, and a counter.

    Both hold the rows of all words, those of later steps hidden. With a cache a step writes one row
    of each; without one it writes all rows again.

    Parameters
    ----------
    view
        The head, with all words that are decoded.
    prompt_rows
        Number of rows that belong to the prompt.
    decoding
        The work of each step.
    layout
        Where everything stands.
    cached
        Whether this is decoding with a cache.
    """

    def __init__(
        self,
        view: HeadView,
        prompt_rows: int,
        decoding: Decoding,
        layout: SideLayout,
        *,
        cached: bool,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.prompt_rows, self.layout, self.cached = view, prompt_rows, layout, cached
        text = _("with a cache: one new row") if cached else _("without: every row again")
        self.title = fit_size(text, layout.v.right - layout.k.left, size=theme.name_size)
        x, y = layout.title
        self.title.on_line(x + self.title.width / 2, y)
        self.k, self.v = (head_cells(view, name, getattr(layout, name)) for name in "kv")
        self.headers, self.frames = VGroup(), VGroup()
        frame = CachedFrame if cached else RecomputedFrame
        for cells, word, symbol, colour in (
            (self.k, _("keys"), "K", theme.key),
            (self.v, _("values"), "V", theme.value),
        ):
            header = Header(word, symbol, colour=colour, size=theme.shape_size)
            self.headers.add(header.stand_on(cells.box, buff=0.12))
            self.frames.add(frame(cells.box, colour))
        counts = decoding.cumulative_multiply_adds()
        own = [int(count) for count in counts[0 if cached else 1]]
        self.counter = WorkCounter(own, int(counts[1][-1]), layout)
        for cells in self.panels:
            cells.edged = False
            cells.set_shown((np.arange(view.layer.count) < prompt_rows)[:, None])

    @property
    def panels(self) -> tuple[Heatmap, Heatmap]:
        """Keys and values."""
        return self.k, self.v

    def written(self, step: int) -> VGroup:
        """Return frames around what a step writes: a row, or all rows."""
        row, colour = self.prompt_rows + step, current_theme().highlight
        if self.cached:
            return VGroup(*(Highlight(cells.row(row)) for cells in self.panels))
        blocks = (cells.block((0, row + 1), (0, cells.shape[1])) for cells in self.panels)
        return VGroup(*(RecomputedFrame(block, colour) for block in blocks))

    @property
    def labels(self) -> tuple[VMobject, ...]:
        """Title, headers and counter."""
        return (self.title, self.headers, self.counter)

    def compute(self, step: int) -> Animation:
        """Return an animation in which the rows of a step, numbered from 0, are written.

        Without a cache, all rows go first.
        """
        number, row = np.arange(self.view.layer.count), self.prompt_rows + step
        written = (number == row) if self.cached else (number <= row)
        kept = (number < row) & ~written
        starts = np.where(written, np.cumsum(written) - 1, 0) / max(1, written.sum())
        soft = 0.2 if self.cached else 0.12

        def show(alpha: float) -> None:
            gone = 1 - min(1.0, 5 * alpha) if step or not self.cached else 0.0
            gone *= not self.cached
            written_by = np.clip((alpha * 1.25 - 0.25 - starts) / soft, 0.0, 1.0)
            if alpha >= 1:
                written_by = np.ones_like(starts)
            before = (number < row) * gone
            shown = np.where(written, np.maximum(before, written_by), kept)
            for cells in self.panels:
                cells.set_shown(shown[:, None])

        return AnimateWith(Group(*self.panels), show, rate_func=linear)


def race(
    view: HeadView, prompt_rows: int, decoding: Decoding, layout: RaceLayout
) -> tuple[Decoder, Decoder]:
    """Build decoding with a cache, and decoding without one."""
    cached, naive = (
        Decoder(view, prompt_rows, decoding, each, cached=cached)
        for each, cached in ((layout.cached, True), (layout.naive, False))
    )
    return cached, naive


def same_to(digits: int) -> str:
    """Return that both ways of decoding agree to so many digits."""
    return ngettext(
        "patterns and outputs are the same, to {number} digit",
        "patterns and outputs are the same, to {number} digits",
        digits,
    )


def agreement(decoding: Decoding, layout: RaceLayout, width: float) -> VGroup:
    """Return the line that says whether both ways of decoding find the same numbers."""
    theme = current_theme()
    digits = int(-np.log10(max(decoding.error, 1e-15)))
    if decoding.agrees:
        text: str = fact("agreement", digits, same_to)
    else:
        text = _("patterns and outputs differ by {error}", error=format_number(decoding.error, 1))
    line = fit_size(text, width, size=theme.shape_size, colour=theme.ink)
    return VGroup(line.on_line(*layout.remark))
