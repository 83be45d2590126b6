"""The likeliest next words and how likely each is."""

from __future__ import annotations

from manim import LEFT, LaggedStart, Rectangle, VGroup

from extract.trace import Trace
from filmkit.core.animations import Arrive
from filmkit.core.numbers import format_share
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import current_theme
from scenes.kv_cache.layout import NextWordLayout

__all__ = ["NextWords", "followed_by"]

MAX_WORD = 2.6


def followed_by(trace: Trace) -> tuple[str, int | None]:
    """The word after the prompt, and its place among the likeliest words, if it is one of them."""
    after = trace.meta.n_prompt
    ids = trace["top_ids"][after - 1].tolist()
    token = trace.meta.token_ids[after]
    return trace.meta.tokens[after], ids.index(token) if token in ids else None


class NextWords(VGroup):
    """The model's likeliest next words after the prompt, likeliest first, as bars.

    Attributes
    ----------
    heading
        What they are.
    words, bars, shares
        One of each for every candidate.
    aside
        The word that follows, in the heading's line, if it is given or none of the candidates.
    origin
        Where the word that follows stands before it joins the sentence.
    """

    def __init__(self, trace: Trace, layout: NextWordLayout) -> None:
        super().__init__()
        theme, last = current_theme(), trace.meta.n_prompt - 1
        word, place = followed_by(trace)
        shares = [float(share) for share in trace["top_probs"][last]]
        self.words, self.bars, self.shares = VGroup(), VGroup(), VGroup()
        for index, (text, share) in enumerate(
            zip(trace.meta.top_tokens[last], shares, strict=True)
        ):
            colour = theme.highlight if index == place else theme.muted
            box, (x, y) = layout.bars[index], layout.words[index]
            name = fit_word(printable(text), MAX_WORD, size=theme.name_size, colour=colour)
            self.words.add(name.on_line(x - name.width / 2, y))
            width = max(share * box.width, 0.02)
            bar = Rectangle(
                width=width,
                height=box.height,
                stroke_width=0.0,
                fill_color=theme.highlight if index == place else theme.flow,
                fill_opacity=1.0,
            )
            self.bars.add(bar.move_to([box.left + width / 2, y, 0]))
            said = Label(format_share(share), colour=colour)
            self.shares.add(said.on_line(box.left + width + 0.15 + said.width / 2, y))
        given = trace.meta.continued
        text = "the model’s likeliest next words"
        if given or place is None:
            text += f"; {'given' if given else 'what follows'} here:"
        title = Label(text, size=theme.note_size, colour=theme.muted)
        title.on_line(*layout.title)
        self.aside = VGroup()
        if given or place is None:
            said = Label(printable(word), size=theme.name_size, colour=theme.highlight)
            said.shrink_to(MAX_WORD)
            line = title.width + 0.2 + said.width
            x, y = layout.title
            title.shift([(title.width - line) / 2, 0, 0])
            self.aside.add(said.on_line(x + (line - said.width) / 2, y))
        self.origin: Label = self.aside[0] if self.aside else self.words[place]
        self.heading = VGroup(title, self.aside)
        self.add(self.heading, self.words, self.bars, self.shares)

    def grow(self) -> LaggedStart:
        """The bars grow from their left ends, the likeliest first."""
        starts = [bar.copy().stretch(1e-3, 0, about_edge=LEFT) for bar in self.bars]
        rising = (Arrive(bar, start) for bar, start in zip(self.bars, starts, strict=True))
        return LaggedStart(*rising, lag_ratio=0.15)
