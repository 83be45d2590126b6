"""Parts of pictures that only this scene has: likely words, and the work of decoding."""

from __future__ import annotations

import numpy as np
from manim import LEFT, UP, Animation, LaggedStart, Rectangle, VGroup

from extract.recompute.decoding import Decoding
from extract.trace import Trace
from filmkit.core.animations import AnimateWith
from filmkit.core.facts import claim, fact
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import _, current_language
from filmkit.core.numbers import format_decimal, format_number, format_percent
from filmkit.core.text import Label, Number, fit_size, fit_word
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable
from filmkit.mobjects.chart import grow_bar
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import own_colour

__all__ = ["NextWords", "WorkBar", "disagreement", "following_word"]

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
    words, bars, shares
        Word, bar and probability of each.
    origin
        Label of the word that follows: one of these words, or alone above the bars if it is given
        or not one of the likeliest.
    """

    def __init__(self, trace: Trace, width: float, height: float) -> None:
        super().__init__()
        theme, last = current_theme(), trace.meta.n_prompt - 1
        word, rank = following_word(trace)
        room = WORD_ROOM * width
        counted = Label(to_a_tenth(1.0), size=LARGE).width
        left = room + GAP - width / 2
        longest = width / 2 - left - counted - GAP
        top = height / 2
        alone = trace.meta.continued or rank is None
        if alone:
            text = printable(word)
            self.origin = fit_word(text, longest, size=LARGE, colour=own_colour(word))
            self.origin.move_to([width / 2 - longest, top, 0], UP + LEFT)
            top -= self.origin.height + 2 * GAP
        self.words, self.bars, self.shares = VGroup(), VGroup(), VGroup()
        shares = trace["top_probs"][last].tolist()
        step = (top + height / 2) / len(shares)
        size = max(TEXT, min(LARGE, BAR * step / FRAME_HEIGHT))
        for index, (text, share) in enumerate(
            zip(trace.meta.top_tokens[last], shares, strict=True)
        ):
            y = top - (index + 0.5) * step
            colour = own_colour(text) if index == rank else theme.muted
            name = fit_word(printable(text), room, size=size, colour=colour)
            self.words.add(name.on_line(left - GAP - name.width / 2, y))
            percent = fact("likely", share, to_a_tenth, beside=name.text, rank=index)
            number = Label(percent, size=size, colour=theme.ink if index == rank else colour)
            self.shares.add(number.on_line(left + counted - number.width / 2, y))
            length = max(0.02, longest * share / max(shares))
            bar = Rectangle(width=length, height=BAR * step, stroke_width=0)
            bar.set_fill(colour, 1.0).move_to([left + counted + GAP, y, 0], LEFT)
            self.bars.add(bar)
        if rank is not None and not alone:
            self.origin = self.words[rank]
        self.add(self.words, self.bars, self.shares, self.origin)

    def grow(self) -> Animation:
        """Return an animation in which the bars grow from their left ends, the likeliest first."""
        return LaggedStart(*map(grow_bar, self.bars), lag_ratio=0.15)


class WorkBar(VGroup):
    """The multiply-adds of decoding so far, with a cache or without one: a bar below its name.

    Parameters
    ----------
    decoding
        The work of each step.
    cached
        Whether it is with a cache.
    width
        Its width, in scene units: that of the longest bar with its number.
    done
        How many steps are done.
    """

    def __init__(self, decoding: Decoding, cached: bool, width: float, done: int) -> None:
        super().__init__()
        theme, both = current_theme(), (decoding.cached, decoding.naive)
        self.counts, self.done, self.most = both[0 if cached else 1], done, max(both[1])
        self.unit, unit_name = current_language().counting_unit(self.most)
        self.digits = 1 if self.unit > 1 and self.most < 1000 * self.unit else 0
        text = claim(
            cached,
            _("with a cache: one new row each step"),
            _("without a cache: all rows again each step"),
            cached=cached,
        )
        self.name = fit_size(text, width, size=TEXT)
        fact("multiply-adds", self.counts[-1], self._written, beside=self.name.text, cached=cached)
        # However long the bar is, it takes the same room.
        self.room = Rectangle(width=width, height=2 * LINE, stroke_width=0, fill_opacity=0)
        self.name.move_to([-width / 2, LINE / 2, 0], LEFT)
        self.bar = Rectangle(width=1.0, height=BAR * LINE, stroke_width=0)
        self.bar.set_fill(theme.ink if cached else theme.flow, 1.0)
        self.number = Number(self.most / self.unit, digits=self.digits, size=COUNT)
        self.unit_name = Label(unit_name, size=TEXT)
        self.longest = width - 2 * GAP - self.number.width - self.unit_name.width
        self.add(self.room, self.name, self.bar, self.number, self.unit_name)
        self.show(done)

    def _written(self, count: float) -> str:
        return format_decimal(count / self.unit, self.digits)

    def next_step(self) -> Animation:
        """Return an animation in which the work of the next step is counted."""
        return AnimateWith(self, lambda alpha: self.show(self.done + alpha))

    def show(self, done: float) -> None:
        """Show the work after a number of steps; between two of them it grows."""
        count = float(np.interp(done, np.arange(len(self.counts)), self.counts))
        left, (_x, y, _z) = float(self.room.get_left()[0]), self.room.get_center()
        y -= LINE / 2
        self.bar.stretch_to_fit_width(self.longest * count / self.most)
        self.bar.move_to([left, y, 0], LEFT)
        self.number.set_value(count / self.unit)
        self.number.on_line(left + self.bar.width + GAP + self.number.width / 2, y)
        right = float(self.number.get_right()[0])
        self.unit_name.on_line(right + GAP + self.unit_name.width / 2, y)


def disagreement(decoding: Decoding) -> str:
    """Return how much both ways of decoding differ, in words."""
    return _("patterns and outputs differ by {error}", error=format_number(decoding.error, 1))
