"""Decoding with a cache beside decoding without one, each with a counter of its work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Rectangle, VGroup, VMobject, linear

from extract.decoding import Decoding
from filmkit.core.animations import Follow
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.numbers import format_number
from filmkit.core.printable import printable
from filmkit.core.text import Label, Number, broken, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head import head_cells
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
KEPT, SQUARE = ("k", "v"), ("scores", "pattern")


class CachedFrame(Outline):
    """The thin solid frame of what is cached, in its role's colour."""

    def __init__(self, box: Box, colour: str) -> None:
        super().__init__(box.grown(0.05), colour=colour)
        self.set_stroke(width=current_theme().line)


class RecomputedFrame(VMobject):
    """The dashed frame of what is computed again."""

    DASH = 0.09

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
            # A whole number of dashes with gaps between them; a corner is always inked.
            dashes = max(1, round((length / self.DASH + 1) / 2))
            step = along / (2 * dashes - 1)
            for index in range(dashes):
                self.start_new_path(start + 2 * index * step)
                self.add_line_to(start + (2 * index + 1) * step)


class CheckMark(VMobject):
    """A check mark, as high as a line of words of the given size."""

    def __init__(self, height: float, *, colour: str) -> None:
        super().__init__(stroke_color=colour, stroke_width=current_theme().bold, fill_opacity=0.0)
        corners = [[-0.45, 0.05, 0.0], [-0.12, -0.3, 0.0], [0.45, 0.4, 0.0]]
        self.set_points_as_corners(np.array(corners) * height)


class RowMark(VMobject):
    """A small arrow head that points at a row of a heatmap from the right."""

    SIZE = 0.13

    def __init__(self, cells: Heatmap, row: int) -> None:
        colour = current_theme().highlight
        super().__init__(fill_color=colour, fill_opacity=1.0, stroke_width=0.0)
        half = self.SIZE / 2
        corners = np.array([[0.0, 0.0, 0.0], [self.SIZE, half, 0.0], [self.SIZE, -half, 0.0]])
        self.set_points_as_corners([*corners, corners[0]])
        self.cells = cells
        self.point_at(row)

    def point_at(self, row: float) -> RowMark:
        """Point at another row, or between two."""
        box = self.cells.block((0, 1), (0, 1))
        x = self.cells.box.right + 0.2
        self.move_to([x, box.y - row * box.height, 0.0])
        return self


class RunningWords(VGroup):
    """The words so far on one line; those that come later have their places already.

    ``words[i]`` belongs to the drawn position ``first_shown + i``: words that find no room are
    left out at the front, and an ellipsis says so.
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
        """What shows of the words before a drawn position."""
        return VGroup(self.ellipsis, *self.words[: max(0, stop - self.first_shown)])

    def word(self, index: int) -> Label:
        """The word at a drawn position; one that found no room is the ellipsis."""
        place = index - self.first_shown
        found: Label = self.words[place] if place >= 0 else self.ellipsis[0]
        return found


class WorkCounter(VGroup):
    """Multiply-adds so far, as a number and as a bar to scale.

    Parameters
    ----------
    counts
        (steps + 1,), before the first step and after each.
    most
        The count that fills the bar's box.
    slots
        Where they stand.
    """

    def __init__(
        self, counts: Sequence[int], most: int, layout: DecoderLayout, colour: str
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.counts, self.most, self.box = counts, most, layout.bar
        self.unit, unit_name = next(
            (size, name)
            for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1, ""))
            if most >= size
        )
        self.number = Number(0, digits=1 if self.unit > 1 else 0, size=theme.name_size)
        self.number.set_fill(colour)
        said = " ".join(filter(None, (unit_name, "multiply-adds so far in this layer")))
        widest = Number(most / self.unit, digits=self.number.digits, size=theme.name_size).width
        x, y = layout.count
        self.number.on_line(x + widest - self.number.width / 2, y)
        left = x + widest + 0.16
        room = self.box.right - left
        self.said = VGroup(*stacked_lines(said, (left, y), room, colour=theme.muted))
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
        self.add(self.rail, self.bar, self.number, self.said)
        self.set_count(counts[0])

    def set_count(self, count: float) -> None:
        """Show a count."""
        self.number.set_value(count / self.unit)
        width = max(count / self.most * self.box.width, 0.01)
        self.bar.stretch_to_fit_width(width)
        self.bar.move_to([self.box.left + width / 2, self.box.y, 0])

    def count_up(self, step: int) -> Animation:
        """Count the work of a step, from 0."""
        start, end = self.counts[step], self.counts[step + 1]
        return Follow(
            VGroup(self.bar, self.number),
            lambda alpha: self.set_count((1 - alpha) * start + alpha * end),
            rate_func=linear,
        )


class Decoder(Group):
    """One way of decoding: six panels that show what is computed in a step, and a counter.

    Panels hold the rows of all words, the coming ones hidden. With a cache, keys and values stay
    and everything else is one row; without, all is computed again.

    Parameters
    ----------
    view
        Of all words that are decoded.
    old
        How many rows are the prompt's.
    decoding
        The rows that the cache's steps compute: these are drawn in the lane with a cache, and the
        model's own in the other.
    slots
        Where it stands.
    cached
        Which of the two ways.
    """

    NAMES = ("q", "k", "v", "scores", "pattern", "z")

    q: Heatmap
    k: Heatmap
    v: Heatmap
    scores: Heatmap
    pattern: Heatmap
    z: Heatmap

    def __init__(
        self, view: HeadView, old: int, decoding: Decoding, layout: DecoderLayout, *, cached: bool
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.old, self.layout, self.cached = view, old, layout, cached
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
            if cached and name in KEPT:
                self.frames.add(CachedFrame(box, colour))
            if not cached:
                self.frames.add(RecomputedFrame(box, colour))
        # Where the new row of what is kept is.
        self.marks = VGroup(*(RowMark(cells, old) for cells in (self.k, self.v) if cached))
        counts = decoding.counts()
        most = int(counts[1][-1])
        mine = [int(count) for count in counts[0 if cached else 1]]
        self.counter = WorkCounter(mine, most, layout, theme.ink)
        self.add(*self.panels, self.title, self.headers, self.frames, self.counter)
        for cells, shown in zip(self.panels, self._shown(None), strict=True):
            cells.set_shown(shown)

    @property
    def panels(self) -> tuple[Heatmap, ...]:
        """All six, in the order of ``NAMES``."""
        return tuple(getattr(self, name) for name in self.NAMES)

    @property
    def labels(self) -> tuple[VGroup, ...]:
        """All that is said about it."""
        return (self.title, self.headers, self.counter)

    def compute(self, step: int) -> Animation:
        """The rows of a step, from 0, show one after another as they are computed.

        Rows that are computed again, and those that are not kept, go first.
        """
        before = [cells.shown.copy() for cells in self.panels]
        after, row = self._shown(step), self.old + step
        number = np.arange(self.view.layer.count)
        # With a cache only the new row is computed, whatever is kept of the others.
        fresh = ((number == row) if self.cached else (number <= row))[:, None]
        due = np.clip(np.cumsum(fresh) - 1, 0, None)[:, None] / fresh.sum()

        def show(alpha: float) -> None:
            left, grown = 1 - min(1.0, 4 * alpha), np.clip(3 * alpha - 1 - due, 0.0, 1.0)
            for cells, start, end in zip(self.panels, before, after, strict=True):
                old = start * np.where(fresh | (end == 0), left, 1.0)
                cells.set_shown(np.maximum(old, np.where(fresh, grown * end, 0.0)))
            for mark in self.marks:
                mark.point_at(row - left * (step > 0))

        return Follow(Group(*self.panels, self.marks), show, rate_func=linear)

    def _shown(self, step: int | None) -> list[Array]:
        """How strongly each cell shows after a step, or before the first."""
        number = np.arange(self.view.layer.count)
        last = self.old - 1 if step is None else self.old + step
        there = number <= last
        # With a cache, all that is computed for one row is dropped before the next.
        alone = there & (number >= (self.old if step is None else last)) if self.cached else there
        found = []
        for name, cells in zip(self.NAMES, self.panels, strict=True):
            rows = there if name in KEPT else alone
            shown = np.tile(rows[:, None], (1, cells.shape[1]))
            if name in SQUARE:
                shown &= there[None]
            found.append(shown.astype(float))
        return found

    def _cells(self, name: str, decoding: Decoding) -> Heatmap:
        cells = head_cells(self.view, name, getattr(self.layout, name))
        if self.cached and name not in ("q", *KEPT):
            cells.set_values(self._with_cache(name, cells.values, decoding))
            said = f"{name} of head {self.view.head} with a cache"
            columns = ("key_pos",) if name in SQUARE else ("d_v", cells.shape[1])
            cells.source = self.view.layer.computed(said, *columns)
        return cells

    def _with_cache(self, name: str, values: Array, decoding: Decoding) -> Array:
        """The rows that the steps compute, in the place of the model's own."""
        mixed, first = values.copy(), self.view.layer.first
        for row, step in enumerate(decoding.steps, start=self.old):
            fresh = getattr(step, name)[self.view.head]
            if name in SQUARE:
                mixed[row, : row + 1] = fresh[first:]
            else:
                mixed[row] = fresh
        return mixed


def decoding_comparison(
    view: HeadView, old: int, decoding: Decoding, layout: DecodingComparisonLayout
) -> tuple[Decoder, Decoder, VGroup]:
    """Both ways of decoding, and the line that says whether they agree."""
    theme = current_theme()
    both = tuple(
        Decoder(view, old, decoding, each, cached=cached)
        for each, cached in ((layout.cached, True), (layout.naive, False))
    )
    digits = int(-np.log10(max(decoding.error, 1e-15)))
    text = f"rows computed with the cache equal those of the full pass to {digits} digits"
    if not decoding.agrees:
        text = f"rows computed with the cache differ by {format_number(decoding.error, 1)}"
    x, y = layout.remark
    lines = VGroup(*(Label(line, colour=theme.ink) for line in broken(text, layout.remark_width)))
    for above, line in enumerate(reversed(lines)):
        line.on_line(x, y + 1.3 * line.line_height * above)
    remark = VGroup(lines)
    if decoding.agrees:
        check = CheckMark(lines[0].line_height, colour=theme.highlight)
        remark.add(check.next_to(lines, [-1, 0, 0], buff=0.18))
    return both[0], both[1], remark
