"""Which tokens to read: what a few of them hold of the attention, and how newer models choose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import Animation, Group

from extract.architectures import architecture
from extract.newer_schemes import V4_ARITHMETIC, V4_CACHE, V32_CONTEXT
from extract.reading import best, first_and_last, last, rows_of_query
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Appear, Vanish, first_half, second_half
from filmkit.core.facts import fact, told
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_percent, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.pictures.parts import TEXT
from filmkit.world.headline import Headline
from filmkit.world.standing import stand, words_at
from scenes.sparse.parts import GROUPS, TokenFloor, WordBars

Array = npt.NDArray[np.float64]
Way = Callable[[Array, int], Array]

MOST = 3  # tokens that are read, at most; half of all if these are fewer
FEWEST = 4  # tokens of which some can be read and others not
WRONG = 0.8, 0.9  # answers, as shares of the right one
BELOW, REFLECTION = 0.3, 0.8  # room below a headline, and for the mirror image of the words
LABELS = 0.8  # room for words before the floor
V32, V4 = architecture("DeepSeek-V3.2"), "DeepSeek-V4-Pro"

written = partial(format_percent, digits=0)


def has_choice(trace: Trace) -> bool:
    """Return whether some tokens can be read and others not."""
    return (trace.meta.rows or (0, trace.meta.n_prompt))[1] >= FEWEST


class Sparse(Stage):
    """What a window, the first token and the best tokens hold, and models that read few tokens."""

    title = "Which tokens to read?"
    tensors = ("pattern",)
    published: tuple[str, ...] = ()  # models whose published numbers are shown, not the trace's

    def prepare(self) -> None:
        layer, meta = self.layer, self.trace.meta
        self.rows = rows_of_query(self.trace, layer.stop - 1)
        self.n = min(MOST, layer.stop // 2)
        self.told: Headline | None = None
        held = {way: self._held(way) for way in (last, first_and_last, best)}
        self.first_holds_more = held[first_and_last] > held[last]
        self.facts |= told(
            n=self.n,
            others=self.n - 1,
            last=(held[last], spoken_share),
            sink=(held[first_and_last], spoken_share),
            best=(held[best], spoken_share),
            few=(WRONG[0] * held[best], spoken_share),
            some=(WRONG[1] * held[best], spoken_share),
            top_k=V32.indexer.top_k,
            context=V32_CONTEXT,
            group=GROUPS[0],
            block=GROUPS[1],
            arithmetic=(V4_ARITHMETIC, spoken_share),
            cache=(V4_CACHE, spoken_share),
        )
        mean = _(
            "attention of “{word}” to each word, the mean of {heads}",
            word=printable(layer.words[-1]),
            heads=counted_heads(len(self.rows)),
        )
        self.question = Headline(_("Which tokens to read?"), mean, self.frame)
        words = layer.words
        if layer.hides_first:
            hidden = _("start") if layer.first == meta.has_bos else "…"
            words = (hidden, f" {words[0].strip()}", *words[1:])
        room = self.question.below(head=BELOW, foot=REFLECTION)
        self.bars = WordBars(words, self._of_words(self.rows), room, self.frame)
        self.saving = Headline(
            _("{cache} of the cache", cache=fact("cache", V4_CACHE, written)),
            _(
                "{newer}, with {arithmetic} of the arithmetic: against {older}, "
                "at a million tokens",
                newer=V4,
                arithmetic=fact("arithmetic", V4_ARITHMETIC, written),
                older=V32.name,
            ),
            self.frame,
        )
        floor = self.saving.below(head=BELOW, foot=LABELS)
        self.floor = TokenFloor(V32_CONTEXT, V32.indexer.top_k, floor, self.frame)

    def _of_words(self, rows: Array) -> Array:
        """Return rows (head, key) as (head, word): what is before the first drawn word as one."""
        starts = sorted({0, *range(self.layer.first, self.layer.stop)})
        return np.asarray(np.add.reduceat(rows, starts, axis=1))

    def _held(self, way: Way) -> float:
        """Return what the keys that are read in some way hold of the attention."""
        return float(way(self.rows, self.n).mean(axis=0).sum())

    def variant(self, beat: str) -> str:
        return "rests" if self.first_holds_more else "plain"

    def provenance_notes(self) -> tuple[str, str]:
        if self.published:
            return _("a sketch with published numbers, not the traced model"), ""
        model, _hidden = super().provenance_notes()
        layer = self.layer
        if not layer.hides_first:
            return model, ""
        if layer.first > self.trace.meta.has_bos:
            return model, f"…: {layer.hidden_name}"
        token = printable(self.trace.meta.tokens[0])
        return model, _("start: the beginning token {token}", token=token)

    def say(self, words: Headline) -> list[Animation]:
        """Return animations that put other words in the place of those over the picture."""
        leaving = [Vanish(self.told, rate_func=first_half)] if self.told in self.mobjects else []
        self.told = words
        return [*leaving, Appear(words, rate_func=second_half)]

    # What a few tokens hold

    @beat
    def all_that_is_kept(self) -> None:
        """So far, every new token reads all that is kept. Newer models read less. But which tokens
        can they leave out?"""
        self.camera.shot = self.bars.shot
        self.play(Appear(self.bars))
        count = self.bars.count_up(self._of_words(self.rows), first=True)
        self.play(*self.say(self.question))
        self.play(count, run_time=4.0)

    @beat(when=has_choice)
    def the_last_ones(self) -> None:
        """Keep a window of the last {n} tokens. They hold {last} of the attention."""
        line = _("of the attention is on the last {n} tokens", n=self.facts["n"])
        self._read(last, "last share", line)

    @beat(
        when=has_choice,
        rests="Where nothing fits, heads rest on the first token. Keep it, with the last {others}: "
        "{sink}.",
        plain="Keep the first token, and the last {others}: {sink}.",
    )
    def the_first_one(self) -> None:
        line = _("of the attention is on the first token and the last {n}", n=self.facts["others"])
        self._read(first_and_last, "sink share", line)

    @beat(
        when=has_choice,
        ask="And if each head could choose its own {n} tokens? {best}, {some} or {few}?",
    )
    def each_head_chooses(self) -> None:
        """{best}. But these were chosen by someone who knew the attention. A model has to choose
        before it reads."""
        line = _(
            "of the attention is on each head’s best {n} tokens, chosen with hindsight",
            n=self.facts["n"],
        )
        self._read(best, "best share", line)

    def _read(self, way: Way, name: str, line: str) -> None:
        """Let the bars show what is read in some way, and say how much that is."""
        share = fact(name, self._held(way), written)
        kept = self._of_words(way(self.rows, self.n))
        self.play(self.bars.show_read(kept), *self.say(Headline(share, line, self.frame)))

    # Models that choose

    @beat
    def an_indexer_chooses(self) -> None:
        """DeepSeek V3.2 trains a small indexer to choose: {top_k} tokens, of up to {context}. It
        reads fewer tokens. It stores no less: every latent stays."""
        self.published = (V32.name,)
        floor = self.floor
        chosen = fact("top_k", V32.indexer.top_k)
        words = Headline(
            _("{chosen} of {all}", chosen=chosen, all=fact("context", V32_CONTEXT)),
            _(
                "tokens are <ink>read</ink>, and every <latent>latent</latent> is kept: {model}",
                model=V32.name,
            ),
            self.frame,
        )
        stand(self, floor.shot, floor.tokens, floor.entries)
        self.play(Appear(floor.lights), *self.say(words))

    @beat
    def pooled_before(self) -> None:
        """DeepSeek V4 gives up MLA, and stores less again: it pools {group} tokens into one entry,
        or even {block}. At a million tokens it needs {cache} of the cache, and {arithmetic} of the
        arithmetic."""
        self.published = (V4, V32.name)
        floor, width = self.floor, self.frame.stage.width
        labels = [
            words_at(
                _("{count} tokens: one entry", count=fact("pooled", count, half=half)),
                floor.front(half),
                away=(0.0, -0.4),
                width=width / 2,
                size=1.2 * TEXT,
            )
            for half, count in enumerate(GROUPS)
        ]
        stand(self, floor.shot, floor.tokens, floor.entries)
        self.play(AnimateWith(Group(floor.tokens, floor.entries), floor.pool), run_time=4.0)
        self.play(*map(Appear, labels))
        self.play(*self.say(self.saving))

    @beat
    def less_to_read(self) -> None:
        """Keep less of each token. Read fewer of them. And the next word must still be right."""
        line = _("a <latent>latent</latent> of each token, and few of them read")
        words = Headline(_("Store less. Read less."), line, self.frame)
        self.bars.become_latents(self.n)
        stand(self, self.bars.shot, self.bars, words)
