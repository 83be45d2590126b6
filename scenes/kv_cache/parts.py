"""Parts of pictures that only this scene has: likely words, and the work of decoding."""

from __future__ import annotations

import numpy as np
from manim import DOWN, LEFT, UP, Animation, LaggedStart, Rectangle, VGroup

from extract.recompute.decoding import Decoding
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Arrive
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import _, current_language
from filmkit.core.numbers import format_decimal, format_number, format_percent
from filmkit.core.printable import printable
from filmkit.core.text import Label, Number, break_lines, fit_size, fit_word
from filmkit.core.theme import current_theme
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import own_colour

__all__ = ["NextWords", "WorkBars", "disagreement", "following_word"]

WORD_ROOM = 0.25  # for the words that may follow, as a share of the width
LARGE = 1.5 * TEXT  # size of these words, at most
BAR = 0.6  # height of a bar, as a share of its line
GAP = 0.18  # between a bar and what stands beside it
LINE = 0.9  # height of a counted bar, in scene units
COUNT = 0.07  # size of its number


def following_word(trace: Trace) -> tuple[str, int | None]:
    """Return the word after the prompt and its rank among the likeliest, from 0.

    The rank is None if it is not one of the likeliest words.
    """
    after = trace.meta.n_prompt
    ids = trace["top_ids"][after - 1].tolist()
    token = trace.meta.token_ids[after]
    return trace.meta.tokens[after], ids.index(token) if token in ids else None


def to_a_tenth(share: float) -> str:
    """Return a share as a percentage with one decimal.

    In the film two shares are 69 % otherwise: that of a word, and that of an attention.
    """
    return format_percent(share, 1)


class NextWords(VGroup):
    """The model's likeliest words after the prompt with bars, the likeliest first.

    Parameters
    ----------
    trace
        The whole trace.
    width, height
        Its size, in scene units.

    Attributes
    ----------
    heading
        The lines above the bars; the last one is the word that follows, if it is given or not one
        of the likeliest.
    words, bars, shares
        Word, bar and probability of each.
    origin
        Label of the word that follows.
    """

    def __init__(self, trace: Trace, width: float, height: float) -> None:
        super().__init__()
        theme, last = current_theme(), trace.meta.n_prompt - 1
        word, rank = following_word(trace)
        text = _("the model’s likeliest next words")
        if trace.meta.continued:
            text = _("the model’s likeliest next words; given here:")
        elif rank is None:
            text = _("the model’s likeliest next words; what follows here:")
        room = WORD_ROOM * width
        counted = Label(to_a_tenth(1.0), size=LARGE).width
        left = room + GAP - width / 2
        longest = width / 2 - left - counted - GAP
        broken = break_lines(text, longest, size=TEXT)
        lines = [Label(line, size=TEXT, colour=theme.muted) for line in broken]
        if trace.meta.continued or rank is None:
            lines.append(fit_word(printable(word), longest, size=LARGE, colour=own_colour(word)))
        self.heading = VGroup(*lines).arrange(DOWN, buff=GAP, aligned_edge=LEFT)
        self.heading.move_to([width / 2 - longest, height / 2, 0], UP + LEFT)
        self.words, self.bars, self.shares = VGroup(), VGroup(), VGroup()
        shares = trace["top_probs"][last].tolist()
        top = height / 2 - self.heading.height - 2 * GAP
        step = (top + height / 2) / len(shares)
        size = max(TEXT, min(LARGE, BAR * step / FRAME_HEIGHT))
        for index, (text, share) in enumerate(
            zip(trace.meta.top_tokens[last], shares, strict=True)
        ):
            y = top - (index + 0.5) * step
            colour = own_colour(text) if index == rank else theme.muted
            name = fit_word(printable(text), room, size=size, colour=colour)
            self.words.add(name.on_line(left - GAP - name.width / 2, y))
            told = fact("likely", share, to_a_tenth, beside=name.text, rank=index)
            number = Label(told, size=size, colour=theme.ink if index == rank else colour)
            self.shares.add(number.on_line(left + counted - number.width / 2, y))
            length = max(0.02, longest * share / max(shares))
            bar = Rectangle(width=length, height=BAR * step, stroke_width=0)
            bar.set_fill(colour, 1.0).move_to([left + counted + GAP, y, 0], LEFT)
            self.bars.add(bar)
        given = trace.meta.continued or rank is None
        self.origin: Label = (self.heading if given else self.words)[-1 if given else rank]
        self.add(self.heading, self.words, self.bars, self.shares)

    def grow(self) -> Animation:
        """Return an animation in which the bars grow from their left ends, the likeliest first."""
        starts = [bar.copy().stretch(1e-3, 0, about_edge=LEFT) for bar in self.bars]
        growing = (Arrive(bar, start) for bar, start in zip(self.bars, starts, strict=True))
        return LaggedStart(*growing, lag_ratio=0.15)


class WorkBars(VGroup):
    """Bars of the multiply-adds of decoding with a cache, and of decoding without one.

    Parameters
    ----------
    decoding
        The work of each step.
    width
        Its width, in scene units.
    done
        How many steps are done.
    """

    def __init__(self, decoding: Decoding, width: float, done: int) -> None:
        super().__init__()
        theme = current_theme()
        self.counts = np.array(decoding.cumulative_multiply_adds())
        most = int(self.counts[1, -1])
        self.unit, unit_name = current_language().counting_unit(most)
        self.digits = 1 if self.unit > 1 and most < 1000 * self.unit else 0
        names = [Label(text, size=TEXT) for text in (_("with a cache"), _("without a cache"))]
        self.indent = max(name.width for name in names) + GAP
        # Whatever the bars are, it takes the same room.
        self.room = Rectangle(width=width, height=2.8 * LINE, stroke_width=0, fill_opacity=0)
        left = self.indent - width / 2
        self.add(self.room)
        self.lines: list[tuple[Label, Rectangle, Number, Label]] = []
        for row, (name, colour) in enumerate(zip(names, (theme.ink, theme.flow), strict=True)):
            name.on_line(left - GAP - name.width / 2, (0.1 - row) * LINE)
            bar = Rectangle(width=1.0, height=BAR * LINE, stroke_width=0).set_fill(colour, 1.0)
            fact(
                "multiply-adds", int(self.counts[row, -1]), self._written, beside=name.text,
                cached=row == 0,
            )  # fmt: skip
            number = Number(most / self.unit, digits=self.digits, size=COUNT)
            unit = Label(unit_name, size=TEXT)
            self.longest = width - self.indent - 2 * GAP - number.width - unit.width
            self.lines.append((name, bar, number, unit))
            self.add(name, bar, number, unit)
        what = fit_size(
            _("multiply-adds in this layer so far"), width, size=TEXT, colour=theme.muted
        )
        start = min(left, width / 2 - what.width)
        self.add(what.move_to([start, 1.05 * LINE, 0], LEFT))
        self.done = done
        self.show(done)

    def _written(self, count: float) -> str:
        return format_decimal(count / self.unit, self.digits)

    def next_step(self) -> Animation:
        """Return an animation in which the work of the next step is counted."""
        return AnimateWith(self, lambda alpha: self.show(self.done + alpha))

    def show(self, done: float) -> None:
        """Show the work after a number of steps; between two of them it grows."""
        left = float(self.room.get_left()[0]) + self.indent
        for counts, (name, bar, number, unit) in zip(self.counts, self.lines, strict=True):
            count = float(np.interp(done, np.arange(len(counts)), counts))
            y = float(name.points[-12, 1] + name.points[-1, 1]) / 2
            bar.stretch_to_fit_width(self.longest * count / self.counts[1, -1])
            bar.move_to([left, y, 0], LEFT)
            number.set_value(count / self.unit)
            number.on_line(bar.get_right()[0] + GAP + number.width / 2, y)
            unit.on_line(number.get_right()[0] + GAP + unit.width / 2, y)


def disagreement(decoding: Decoding) -> str:
    """Return how much both ways of decoding differ, in words."""
    return _("patterns and outputs differ by {error}", error=format_number(decoding.error, 1))
