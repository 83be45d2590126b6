"""Bar chart of the likeliest next words."""

from __future__ import annotations

from manim import LEFT, LaggedStart, Rectangle, VGroup

from extract.trace import Trace
from filmkit.core.animations import Arrive
from filmkit.core.facts import fact
from filmkit.core.language import _
from filmkit.core.numbers import format_share
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import current_theme
from scenes.kv_cache.layout import NextWordLayout

__all__ = ["NextWords", "following_word"]

MAX_WORD = 2.6  # width of the word in the heading, in scene units


def following_word(trace: Trace) -> tuple[str, int | None]:
    """Return the word after the prompt and its rank among the likeliest, from 0.

    The rank is None if it is not one of the likeliest words.
    """
    after = trace.meta.n_prompt
    ids = trace["top_ids"][after - 1].tolist()
    token = trace.meta.token_ids[after]
    return trace.meta.tokens[after], ids.index(token) if token in ids else None


class NextWords(VGroup):
    """Bar chart of the model's likeliest words after the prompt, the likeliest first.

    Attributes
    ----------
    heading
        Line above the bars.
    words, bars, shares
        Word, bar and probability of every candidate.
    heading_word
        The word that follows, in the heading's line, if it is given or not a candidate.
    origin
        Label of the word that follows, before it joins the sentence.
    """

    def __init__(self, trace: Trace, layout: NextWordLayout) -> None:
        super().__init__()
        theme, last = current_theme(), trace.meta.n_prompt - 1
        word, rank = following_word(trace)
        shares = [float(share) for share in trace["top_probs"][last]]
        self.words, self.bars, self.shares = VGroup(), VGroup(), VGroup()
        for index, (text, share) in enumerate(
            zip(trace.meta.top_tokens[last], shares, strict=True)
        ):
            colour = theme.highlight if index == rank else theme.muted
            box, (x, y) = layout.bars[index], layout.words[index]
            name = fit_word(printable(text), layout.word_room, size=theme.name_size, colour=colour)
            self.words.add(name.on_line(x - name.width / 2, y))
            width = max(share * box.width, 0.02)
            bar = Rectangle(
                width=width,
                height=box.height,
                stroke_width=0.0,
                fill_color=theme.highlight if index == rank else theme.flow,
                fill_opacity=1.0,
            )
            self.bars.add(bar.move_to([box.left + width / 2, y, 0]))
            place = fact("likely", share, format_share, beside=self.words[-1].text, rank=index)
            label = Label(place, colour=colour)
            self.shares.add(label.on_line(box.left + width + 0.15 + label.width / 2, y))
        given = trace.meta.continued
        text = _("the model’s likeliest next words")
        if given:
            text = _("the model’s likeliest next words; given here:")
        elif rank is None:
            text = _("the model’s likeliest next words; what follows here:")
        title = Label(text, colour=theme.muted)
        title.on_line(*layout.title)
        self.heading_word = VGroup()
        if given or rank is None:
            label = Label(printable(word), size=theme.name_size, colour=theme.highlight)
            label.shrink_to(MAX_WORD)
            line = title.width + 0.2 + label.width
            x, y = layout.title
            title.shift([(title.width - line) / 2, 0, 0])
            self.heading_word.add(label.on_line(x + (line - label.width) / 2, y))
        self.origin: Label = self.heading_word[0] if self.heading_word else self.words[rank]
        self.heading = VGroup(title, self.heading_word)
        self.add(self.heading, self.words, self.bars, self.shares)

    def grow(self) -> LaggedStart:
        """Return an animation in which the bars grow from their left ends, the likeliest first."""
        starts = [bar.copy().stretch(1e-3, 0, about_edge=LEFT) for bar in self.bars]
        rising = (Arrive(bar, start) for bar, start in zip(self.bars, starts, strict=True))
        return LaggedStart(*rising, lag_ratio=0.15)
