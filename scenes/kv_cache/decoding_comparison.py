"""Decoding with a cache beside decoding without one, each with a counter of multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Rectangle, VGroup, VMobject, linear

from extract.decoding import Decoding
from filmkit.core.animations import AnimateWith
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.numbers import format_number
from filmkit.core.printable import printable
from filmkit.core.text import Label, Number, break_lines, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head_tensors import head_cells
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.panel import Header
from scenes.kv_cache.layout import DecoderLayout, DecodingComparisonLayout

__all__ = [
    "CachedFrame",
    "CheckMark",
    "Decoder",
    "RecomputedFrame",
    "RowMark",
    "RunningWords",
    "WorkCounter",
    "decoding_comparison",
]

Array = npt.NDArray[np.float64]
CACHED = ("k", "v")  # panels whose rows are kept in the cache
SQUARE = ("scores", "pattern")  # panels with a column for each word


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


class CheckMark(VMobject):
    """Check mark, as high as a line of words of the given height."""

    def __init__(self, height: float, *, colour: str) -> None:
        super().__init__(stroke_color=colour, stroke_width=current_theme().bold, fill_opacity=0.0)
        corners = [[-0.45, 0.05, 0.0], [-0.12, -0.3, 0.0], [0.45, 0.4, 0.0]]
        self.set_points_as_corners(np.array(corners) * height)


class RowMark(VMobject):
    """Small arrow head that points at a row of a heatmap from the right."""

    SIZE = 0.13  # width and height, in scene units

    def __init__(self, cells: Heatmap, row: int) -> None:
        colour = current_theme().highlight
        super().__init__(fill_color=colour, fill_opacity=1.0, stroke_width=0.0)
        half = self.SIZE / 2
        corners = np.array([[0.0, 0.0, 0.0], [self.SIZE, half, 0.0], [self.SIZE, -half, 0.0]])
        self.set_points_as_corners([*corners, corners[0]])
        self.cells = cells
        self.point_at(row)

    def point_at(self, row: float) -> RowMark:
        """Point at a row, or between two for a fraction; return this mark."""
        box = self.cells.block((0, 1), (0, 1))
        x = self.cells.box.right + 0.2
        self.move_to([x, box.y - row * box.height, 0.0])
        return self


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
        labels = [Label(printable(token), size=theme.name_size) for token in tokens]
        gap, room = 0.2, box.width
        self.first_shown = len(labels)
        for label in reversed(labels):
            if room < label.width + gap + 0.5 * (self.first_shown > 1):
                break
            room -= label.width + gap
            self.first_shown -= 1
        self.words = VGroup(*labels[self.first_shown :])
        self.ellipsis = VGroup()
        if self.first_shown:
            self.ellipsis.add(Label("…", size=theme.name_size, colour=theme.muted))
        line = [*self.ellipsis, *self.words]
        x = box.x - (sum(label.width for label in line) + gap * (len(line) - 1)) / 2
        for label in line:
            label.on_line(x + label.width / 2, box.y)
            x += label.width + gap
        self.add(self.ellipsis, self.words)

    def until(self, stop: int) -> VGroup:
        """Return the ellipsis and the words before a drawn position."""
        return VGroup(self.ellipsis, *self.words[: max(0, stop - self.first_shown)])

    def word(self, index: int) -> Label:
        """Return the word at a drawn position, or the ellipsis if the word does not fit."""
        place = index - self.first_shown
        label: Label = self.words[place] if place >= 0 else self.ellipsis[0]
        return label


class WorkCounter(VGroup):
    """Counter of multiply-adds, as a number and as a bar to scale.

    Parameters
    ----------
    counts
        (steps + 1,) multiply-adds before the first step and after each.
    max_count
        Count at which the bar fills its box.
    layout
        Where number and bar stand.
    colour
        Colour of both.
    """

    def __init__(
        self, counts: Sequence[int], max_count: int, layout: DecoderLayout, colour: str
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.counts, self.max_count, self.box = counts, max_count, layout.bar
        self.unit, unit_name = next(
            (size, name)
            for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1, ""))
            if max_count >= size
        )
        self.number = Number(0, digits=1 if self.unit > 1 else 0, size=theme.name_size)
        self.number.set_fill(colour)
        text = " ".join(filter(None, (unit_name, "multiply-adds so far in this layer")))
        widest = Number(
            max_count / self.unit, digits=self.number.digits, size=theme.name_size
        ).width
        x, y = layout.count
        self.number.on_line(x + widest - self.number.width / 2, y)
        left = x + widest + 0.16
        room = self.box.right - left
        self.caption = VGroup(*stacked_lines(text, (left, y), room, colour=theme.muted))
        self.rail = Rectangle(
            width=self.box.width,
            height=self.box.height,
            stroke_width=0.0,
            fill_color=theme.faint,
            fill_opacity=0.35,
        ).move_to(self.box.center)
        self.bar = Rectangle(
            width=1.0, height=self.box.height, stroke_width=0.0, fill_color=colour, fill_opacity=1.0
        )
        self.add(self.rail, self.bar, self.number, self.caption)
        self.set_count(counts[0])

    def set_count(self, count: float) -> None:
        """Show a count of multiply-adds."""
        self.number.set_value(count / self.unit)
        width = max(count / self.max_count * self.box.width, 0.01)
        self.bar.stretch_to_fit_width(width)
        self.bar.move_to([self.box.left + width / 2, self.box.y, 0])

    def count_up(self, step: int) -> Animation:
        """Return an animation that counts up during a step; steps are numbered from 0."""
        start, end = self.counts[step], self.counts[step + 1]
        return AnimateWith(
            VGroup(self.bar, self.number),
            lambda alpha: self.set_count((1 - alpha) * start + alpha * end),
            rate_func=linear,
        )


class Decoder(Group):
    """One way of decoding: six panels with what a step computes, and a counter.

    Panels hold the rows of all words, those of later steps hidden. With a cache, keys and values
    stay and everything else is one row; without a cache, everything is computed again.

    Parameters
    ----------
    view
        The head, with all words that are decoded.
    prompt_rows
        Number of rows that belong to the prompt.
    decoding
        Rows that are computed step by step with a cache. They are drawn if ``cached``; otherwise
        the rows of the trace are.
    layout
        Where everything stands.
    cached
        Whether this is decoding with a cache.
    """

    NAMES = ("q", "k", "v", "scores", "pattern", "z")

    q: Heatmap
    k: Heatmap
    v: Heatmap
    scores: Heatmap
    pattern: Heatmap
    z: Heatmap

    def __init__(
        self,
        view: HeadView,
        prompt_rows: int,
        decoding: Decoding,
        layout: DecoderLayout,
        *,
        cached: bool,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.prompt_rows, self.layout, self.cached = view, prompt_rows, layout, cached
        text = "with a cache: one row a step" if cached else "without: every row again"
        self.title = Label(text, size=theme.name_size)
        x, y = layout.title
        self.title.on_line(x + self.title.width / 2, y)
        for name in self.NAMES:
            setattr(self, name, self._cells(name, decoding))
        roles = (theme.query, theme.key, theme.value, theme.scores, theme.pattern, theme.z)
        names = ("queries", "keys", "values", "scores", "pattern", "mix")
        symbols = ("Q", "K", "V", "", "A", "Z")
        self.headers, self.frames = VGroup(), VGroup()
        for name, word, symbol, colour in zip(self.NAMES, names, symbols, roles, strict=True):
            box = getattr(layout, name)
            header = Header(word, symbol, colour=colour, size=theme.shape_size)
            self.headers.add(header.stand_on(box, buff=0.1))
            if cached and name in CACHED:
                self.frames.add(CachedFrame(box, colour))
            if not cached:
                self.frames.add(RecomputedFrame(box, colour))
        # They point at the new row of the cached panels.
        self.row_marks = VGroup(
            *(RowMark(cells, prompt_rows) for cells in (self.k, self.v) if cached)
        )
        counts = decoding.cumulative_multiply_adds()
        max_count = int(counts[1][-1])
        own_counts = [int(count) for count in counts[0 if cached else 1]]
        self.counter = WorkCounter(own_counts, max_count, layout, theme.ink)
        self.add(*self.panels, self.title, self.headers, self.frames, self.counter)
        for cells, shown in zip(self.panels, self._visibility(None), strict=True):
            cells.set_shown(shown)

    @property
    def panels(self) -> tuple[Heatmap, ...]:
        """The six panels, in the order of ``NAMES``."""
        return tuple(getattr(self, name) for name in self.NAMES)

    @property
    def labels(self) -> tuple[VGroup, ...]:
        """Title, headers and counter."""
        return (self.title, self.headers, self.counter)

    def compute(self, step: int) -> Animation:
        """Return an animation in which the rows of a step appear as they are computed.

        Before that, rows that are computed again and rows that are not cached disappear. Steps
        are numbered from 0.
        """
        before = [cells.shown.copy() for cells in self.panels]
        after, row = self._visibility(step), self.prompt_rows + step
        number = np.arange(self.view.layer.count)
        # With a cache only the new row is computed.
        computed = ((number == row) if self.cached else (number <= row))[:, None]
        appear_at = np.clip(np.cumsum(computed) - 1, 0, None)[:, None] / computed.sum()

        def show(alpha: float) -> None:
            left, grown = 1 - min(1.0, 4 * alpha), np.clip(3 * alpha - 1 - appear_at, 0.0, 1.0)
            for cells, start, end in zip(self.panels, before, after, strict=True):
                fading = start * np.where(computed | (end == 0), left, 1.0)
                cells.set_shown(np.maximum(fading, np.where(computed, grown * end, 0.0)))
            for mark in self.row_marks:
                mark.point_at(row - left * (step > 0))

        return AnimateWith(Group(*self.panels, self.row_marks), show, rate_func=linear)

    def _visibility(self, step: int | None) -> list[Array]:
        """Return the opacities of each panel's cells after a step, or before the first (None)."""
        number = np.arange(self.view.layer.count)
        last = self.prompt_rows - 1 if step is None else self.prompt_rows + step
        present = number <= last
        # With a cache, everything but keys and values is dropped before the next step.
        single_row = (
            present & (number >= (self.prompt_rows if step is None else last))
            if self.cached
            else present
        )
        opacities = []
        for name, cells in zip(self.NAMES, self.panels, strict=True):
            rows = present if name in CACHED else single_row
            shown = np.tile(rows[:, None], (1, cells.shape[1]))
            if name in SQUARE:
                shown &= present[None]
            opacities.append(shown.astype(float))
        return opacities

    def _cells(self, name: str, decoding: Decoding) -> Heatmap:
        cells = head_cells(self.view, name, getattr(self.layout, name))
        if self.cached and name not in ("q", *CACHED):
            cells.set_values(self._with_cache(name, cells.values, decoding))
            text = f"{name} of head {self.view.head} with a cache"
            columns = ("key_pos",) if name in SQUARE else ("d_v", cells.shape[1])
            cells.source = self.view.layer.computed(text, *columns)
        return cells

    def _with_cache(self, name: str, values: Array, decoding: Decoding) -> Array:
        """Return the model's rows, with those of the steps replaced by what the steps compute."""
        rows, first = values.copy(), self.view.layer.first
        for row, step in enumerate(decoding.steps, start=self.prompt_rows):
            computed = getattr(step, name)[self.view.head]
            if name in SQUARE:
                rows[row, : row + 1] = computed[first:]
            else:
                rows[row] = computed
        return rows


def decoding_comparison(
    view: HeadView, prompt_rows: int, decoding: Decoding, layout: DecodingComparisonLayout
) -> tuple[Decoder, Decoder, VGroup]:
    """Build both ways of decoding, and the remark whether their numbers agree."""
    theme = current_theme()
    both = tuple(
        Decoder(view, prompt_rows, decoding, each, cached=cached)
        for each, cached in ((layout.cached, True), (layout.naive, False))
    )
    digits = int(-np.log10(max(decoding.error, 1e-15)))
    text = f"rows computed with the cache equal those of the full pass to {digits} digits"
    if not decoding.agrees:
        text = f"rows computed with the cache differ by {format_number(decoding.error, 1)}"
    x, y = layout.remark
    lines = VGroup(
        *(Label(line, colour=theme.ink) for line in break_lines(text, layout.remark_width))
    )
    for above, line in enumerate(reversed(lines)):
        line.on_line(x, y + 1.3 * line.line_height * above)
    remark = VGroup(lines)
    if decoding.agrees:
        check = CheckMark(lines[0].line_height, colour=theme.highlight)
        remark.add(check.next_to(lines, [-1, 0, 0], buff=0.18))
    return both[0], both[1], remark
