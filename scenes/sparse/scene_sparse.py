"""Which tokens to read: what a few of them hold of the attention, and how newer models choose."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from extract.facts.architectures import architecture
from extract.facts.newer_schemes import V4_ARITHMETIC, V4_CACHE, V4_POOLING, V32_CONTEXT
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Appear, Vanish
from filmkit.core.facts import fact, told
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_percent, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.pictures.parts import TEXT
from filmkit.world.headline import Headline
from filmkit.world.standing import stand, stand_at_once, words_at
from scenes.sparse.parts import TokenFloor, WordBars

Array = npt.NDArray[np.float64]

MOST = 3  # tokens that are read, at most; half of all if these are fewer
FEWEST = 4  # tokens of which some can be read and others not
WRONG = 0.8, 0.9  # answers, as shares of the right one
BELOW, FOOT = 0.45, 0.3  # room below a headline, and below the words
GROW, POOL = 2.4, 4.0  # seconds in which bars grow, and tokens become entries
LABELS = 1.15  # room for words before the floor
V32, V4 = architecture("DeepSeek-V3.2"), "DeepSeek-V4-Pro"

WAYS = {"last": last, "sink": first_and_last, "best": best}
"""Ways to read few tokens, by the names of what they hold."""
SKETCHES = "an_indexer_chooses", "pooled_before"  # beats without numbers of the trace

written = partial(format_percent, digits=0)


def has_choice(trace: Trace) -> bool:
    """Return whether some tokens can be read and others not."""
    return (trace.meta.rows or (0, trace.meta.n_prompt))[1] >= FEWEST


class Sparse(Stage):
    """What a window, the first token and the best tokens hold, and models that read few tokens."""

    title = "Which tokens to read?"
    tensors = ("pattern",)

    def prepare(self) -> None:
        layer, indexer = self.layer, V32.indexer
        assert indexer is not None
        self.chosen = indexer.top_k
        self.rows = rows_of_query(self.trace, layer.stop - 1)
        self.n = min(MOST, layer.stop // 2)
        self.kept = {name: way(self.rows, self.n) for name, way in WAYS.items()}
        # The heads' weights are what they hold of the attention.
        self.held = {name: float(kept.mean(axis=0).sum()) for name, kept in self.kept.items()}
        few, some = (share * self.held["best"] for share in WRONG)
        shares = {**self.held, "few": few, "some": some}
        shares |= {"cache": V4_CACHE, "arithmetic": V4_ARITHMETIC}
        self.facts |= told(n=self.n, others=self.n - 1, top_k=self.chosen)
        self.facts |= told(group=V4_POOLING[0], block=V4_POOLING[1])
        self.facts |= told(**{name: (share, spoken_share) for name, share in shares.items()})
        heads, word = fact("all", len(self.rows), counted_heads), printable(layer.words[-1])
        words = layer.words
        self.hidden = _("‹start›") if layer.first == self.trace.meta.has_bos else "…"
        if layer.hides_first:
            words = (self.hidden, f" {words[0].strip()}", *words[1:])
        rows = self._of_words(self.rows)
        mean = rows.mean(axis=0)
        share, most = fact("most", float(mean.max()), written), words[mean.argmax()]
        self.mean = Headline(
            f"{share} → {most if most == self.hidden else printable(most)}",
            _("attention from “{word}” to each token, mean of {heads}", word=word, heads=heads),
            self.frame,
        )
        room = self.mean.below(head=BELOW, foot=FOOT)
        self.bars = WordBars(words, rows, room, self.frame)
        self.merged = Headline(
            _("Merge before keeping"),
            _(
                "{newer}: {cache} of the cache of {older}",
                newer=V4,
                cache=fact("cache", V4_CACHE, written),
                older=V32.name,
            ),
            self.frame,
        )
        floor = self.merged.below(head=BELOW, foot=LABELS)
        self.floor = TokenFloor(V32_CONTEXT, self.chosen, floor, self.frame)

    def _of_words(self, rows: Array) -> Array:
        """Return rows (head, key) as (head, word): what is before the first drawn word as one."""
        starts = sorted({0, *range(self.layer.first, self.layer.stop)})
        return np.asarray(np.add.reduceat(rows, starts, axis=1))

    def variant(self, beat: str) -> str:
        return "rests" if self.held["sink"] > self.held["last"] else "plain"

    def provenance_notes(self) -> tuple[str, str]:
        if self.playing in SKETCHES:
            return _("a sketch with published numbers, not the traced model"), ""
        model, hidden = super().provenance_notes()
        if hidden:
            hidden = _("{word}: {tokens}", word=self.hidden, tokens=self.layer.hidden_name)
        return model, hidden

    # What a few tokens hold

    @beat
    def all_that_is_kept(self) -> None:
        """So far, every new token reads all that is kept. Which tokens could it leave out?"""
        self.camera.shot = self.bars.shot
        self.play(Appear(self.bars))
        self.play(*self.say(self.mean))
        self.play(self.bars.show_read(self._of_words(self.rows)), run_time=GROW)

    @beat(when=has_choice)
    def the_last_ones(self) -> None:
        """Read only the last {n}? They hold {last} of the attention."""
        self._read("last", _("of the attention is on the last {n} tokens; grey is lost", n=self.n))

    @beat(
        when=has_choice,
        rests="Trade one of them for the first, where heads rest: {sink}.",
        plain="Trade one of them for the first: {sink}.",
    )
    def the_first_one(self) -> None:
        line = _("of the attention is on the first token and the last {n}", n=self.n - 1)
        self._read("sink", line)

    @beat(
        when=has_choice,
        ask="And if each head chose its own {n} tokens? {best}, {some} or {few}?",
    )
    def each_head_chooses(self) -> None:
        """{best}, if it looks at all tokens first. But a model has to choose before it reads."""
        line = _(
            "of the attention is on each head’s own best {n}, chosen after looking; grey is lost",
            n=self.n,
        )
        self._read("best", line)

    def _read(self, name: str, line: str) -> None:
        """Let the bars show what is read in some way, and say how much that is."""
        if self.bars not in self.mobjects:
            stand_at_once(self, self.bars, shot=self.bars.shot)
        words = Headline(fact(name, self.held[name], written), line, self.frame)
        self.play(self.bars.show_read(self._of_words(self.kept[name])), *self.say(words))

    # Models that choose

    @beat
    def an_indexer_chooses(self) -> None:
        """In DeepSeek-V3.2, a small indexer chooses {top_k} tokens. The model reads less, but
        stores no less: all latents stay."""
        number = _(
            "{chosen} of {all}", chosen=self.facts["top_k"], all=fact("context", V32_CONTEXT)
        )
        line = _(
            "tokens are <ink>read</ink>, and every <latent>latent</latent> is kept: {model}",
            model=V32.name,
        )
        floor = self.floor
        stand(self, floor.shot, floor.tokens, floor.entries)
        self.play(Appear(floor.lights), *self.say(Headline(number, line, self.frame)))

    @beat
    def pooled_before(self) -> None:
        """DeepSeek-V4 gives up MLA, and merges tokens first: {group} into one, or even {block}.
        At a million tokens, that's {cache} of the cache, with {arithmetic} of the arithmetic."""
        floor, labels, half_way = self.floor, [], self.frame.stage.width / 2
        for half, count in enumerate(V4_POOLING):
            text = _("{count} tokens → one entry", count=count)
            anchor, size = floor.front(half), 1.2 * TEXT
            labels.append(words_at(text, anchor, away=(0.0, -0.35), width=half_way, size=size))
        if floor.tokens not in self.mobjects:
            stand_at_once(self, floor.tokens, floor.entries, shot=floor.shot)
        gone = [Vanish(floor.lights)] if floor.lights in self.mobjects else []
        self.play(*gone, *self.say(), AnimateWith(floor.entries, floor.pool, run_time=POOL))
        self.play(*map(Appear, (floor.groups, *labels)))
        self.play(*self.say(self.merged))

    @beat
    def less_to_read(self) -> None:
        """Store less, and read less. As long as the next word is right."""
        line = _("a <latent>latent</latent> of each token, and few of them read")
        words = Headline(_("Store less. Read less."), line, self.frame)
        self.bars.become_latents(self.n)
        stand(self, self.bars.shot, self.bars, words)
