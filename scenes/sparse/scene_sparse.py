"""Which tokens to read: what a few of them hold of the attention, and how newer models choose."""

from __future__ import annotations

import numpy as np
from manim import Group, LaggedStart

from extract.facts.architectures import architecture, kv_cache_elements
from extract.facts.newer_schemes import (
    V4_ARITHMETIC,
    V4_CACHE,
    V4_CONTEXT,
    V4_POOLING,
    V32_CONTEXT,
)
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.trace import Trace
from filmkit.core.animations import Appear, Arrive
from filmkit.core.camera import Shot
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_number, spoken_share, whole_percent
from filmkit.core.stage import Stage, beat
from filmkit.core.token_text import printable
from filmkit.world.published import LARGE, published_notes
from filmkit.world.standing import stand, stand_at_once
from scenes.sparse.parts import HeadsAtWords, Pooling, TokenFloor, by_word

SLOWLY = 3.0  # seconds in which words appear while much is said
MOST = 3  # tokens that are read, at most; half of all if these are fewer
FEWEST = 4  # tokens of which some can be read and others not
WRONG = 0.6, 0.9  # answers, as shares of the right one
BELOW, FOOT = 0.4, 0.2  # room below a headline, and below a picture
READ, CHOOSE = 2.0, 3.6  # seconds in which heads read, and in which each reads what it chose
POOL = 2.4  # seconds in which tokens become an entry
ACROSS, FEWER = 16, 8  # tokens side by side, and in frames that are no wider than high
V32, V4 = architecture("DeepSeek-V3.2"), "DeepSeek-V4-Pro"

WAYS = {"last": last, "sink": first_and_last, "best": best}
"""Ways to read few tokens, by the names of what they hold."""
SKETCHES = "an_indexer_chooses", "pooled_before"  # beats without numbers of the trace


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
        stored = kv_cache_elements(V32) / kv_cache_elements(LARGE)
        self.facts |= named_facts(n=self.n, top_k=self.chosen, stored=(stored, format_number))
        self.facts |= named_facts(group=V4_POOLING[0], block=V4_POOLING[1])
        self.facts |= named_facts(**{name: (share, spoken_share) for name, share in shares.items()})
        heads, word = fact("all", len(self.rows), counted_heads), printable(layer.words[-1])
        words = layer.words
        self.hidden = claim(layer.first == self.trace.meta.has_bos, _("‹start›"), "…")
        if layer.hides_first:
            words = (self.hidden, f" {words[0].strip()}", *words[1:])
        self.given = by_word(self.rows, layer.first)
        mean = self.given.mean(axis=0)
        most = words[mean.argmax()]
        self.mean = self.headline_of(
            _(
                "{share} goes to {word}",
                share=fact("most", float(mean.max()), whole_percent),
                word=fact("most read", most if most == self.hidden else printable(most)),
            ),
            _("attention from “{word}”, mean of {heads}", word=word, heads=heads),
        )
        n = self.n
        held = {name: fact(name, share, whole_percent) for name, share in self.held.items()}
        of = _("of the attention from “{word}”", word=word)
        texts = {
            "last": (_("Last {n} tokens: {share}", n=n, share=held["last"]), of),
            "sink": (
                _("First and last {n}: {share}", n=fact("others", n - 1), share=held["sink"]),
                of,
            ),
            "best": (
                _("Each head’s top {n}: {share}", n=n, share=held["best"]),
                _("of the attention from “{word}”; each head has its own {n}", word=word, n=n),
            ),
            "less": (
                _("Store less. Read less."),
                _(
                    "a <latent>latent</latent> for each token, and {n} of {count} read",
                    n=n,
                    count=fact("words read", len(words)),
                ),
            ),
        }
        self.said = {name: self.headline_of(*pair) for name, pair in texts.items()}
        lowest = min((self.mean, *self.said.values()), key=lambda words: words.get_bottom()[1])
        self.heads = HeadsAtWords(layer, words, lowest.below(head=BELOW, foot=FOOT))
        self.merged = self.headline_of(
            _("Merge before keeping"),
            _(
                "DeepSeek’s claim for {model} at {tokens} tokens: {cache} of the cache of {old}, "
                "{arithmetic} of its arithmetic",
                model=V4,
                old=V32.name,
                tokens=fact("claimed at", V4_CONTEXT),
                cache=fact("cache", V4_CACHE, whole_percent),
                arithmetic=fact("arithmetic", V4_ARITHMETIC, whole_percent),
            ),
        )
        floor = self.merged.below(head=BELOW, foot=FOOT)
        self.floor = TokenFloor(V32_CONTEXT, self.chosen, floor, self.frame)

    def variant(self, beat: str) -> str:
        return "rests" if self.held["sink"] > self.held["last"] else "plain"

    def provenance_notes(self) -> tuple[str, str]:
        if self.playing in SKETCHES:
            if self.playing == "an_indexer_chooses":
                return published_notes([V32.name])
            about, hidden = published_notes([V4])
            return f"{about}  ·  " + _("claims from copies of its model card"), hidden
        layer, hidden = self.layer, ""
        if layer.hides_first:
            hidden = _("{word}: {tokens}", word=self.hidden, tokens=layer.hidden_name)
        return super().provenance_notes()[0], hidden

    # What a few tokens hold

    @beat
    def all_that_is_kept(self) -> None:
        """So far, every new token reads all that is kept. Which tokens could it leave out?"""
        heads = self.heads
        self.play(Appear(heads.words), Appear(heads.legend))
        panels = zip(heads.panels, heads.frames, strict=True)
        shown = (Appear(Group(*pair)) for pair in panels)
        self.play(LaggedStart(*shown, lag_ratio=0.3), run_time=READ)
        self.play(*self.say(self.mean))

    @beat(when=has_choice)
    def the_last_ones(self) -> None:
        """Read only the last {n}? They hold {last} of the attention."""
        self._read("last")

    @beat(
        when=has_choice,
        rests="Trade one of them for the first, where heads rest: {sink}.",
        plain="Trade one of them for the first: {sink}.",
    )
    def the_first_one(self) -> None:
        self._read("sink")

    @beat(
        when=has_choice,
        ask="Let each head read only the {n} tokens that it attends to most. How much of the "
        "attention do these hold: [{best}], [{some}] or [{few}]?",
        answer="best",
    )
    def each_head_chooses(self) -> None:
        """{best}, if it looks at all tokens first. But a model has to choose before it reads."""
        self._read("best", run_time=CHOOSE)

    def _read(self, name: str, run_time: float = READ) -> None:
        """Let only what is read in some way stay bright, and say how much that is."""
        heads, kept = self.heads, by_word(self.kept[name], self.layer.first)
        if heads.words not in self.get_mobject_family_members():
            stand_at_once(self, heads, shot=Shot())
        before = heads.copy()
        heads.read(np.divide(kept, self.given, out=np.zeros_like(kept), where=self.given > 0))
        self.play(Arrive(heads, before), *self.say(self.said[name]), run_time=run_time)

    # Models that choose

    @beat
    def an_indexer_chooses(self) -> None:
        """In DeepSeek-V3.2, a small indexer [chooses] {top_k} tokens. The model reads [less], but
        stores [{stored}] times as much as DeepSeek-R1: all latents stay, and each gets a key for
        the indexer."""
        number = _(
            "{chosen} of {all} tokens",
            chosen=self.facts["top_k"],
            all=fact("context", V32_CONTEXT),
        )
        line = _(
            "all <latent>latents</latent> are kept; only the <ink>marked</ink> ones are read "
            "(a sketch: marked at random)"
        )
        floor = self.floor
        stand(self, floor.shot, floor.tokens)
        self.wait_for("chooses")
        self.play(Appear(floor.lights))
        self.wait_for("less")
        words = self.headline_of(number, line)
        self.play(*self.say(words.figure))
        self.wait_for("stored")
        self.headline = words
        self.play(Appear(words.line), run_time=SLOWLY)

    @beat
    def pooled_before(self) -> None:
        """DeepSeek-V4 gives up MLA, and merges tokens first: {group} into [one], or [even]
        {block}. At a million tokens, DeepSeek says of V4-Pro, that's {cache} of DeepSeek-V3.2's
        [cache], with {arithmetic} of the arithmetic."""
        # Numbers of layers are left out: we read them only in copies of its configuration.
        where = _("in some layers"), _("in other layers")
        texts = {
            count: (_("{count} tokens, one entry", count=count), layers)
            for count, layers in zip(V4_POOLING, where, strict=True)
        }
        across = FEWER if self.frame.upright else ACROSS
        poolings = Pooling.in_room(texts, across, self.merged.below(head=BELOW, foot=FOOT))
        stand(self, Shot(), *(pooling.tokens for pooling in poolings))
        for mark, pooling in zip(("one", "even"), poolings, strict=True):
            self.wait_for(mark)
            self.play(pooling.merge(), run_time=POOL)
            self.play(Appear(pooling.entry), Appear(pooling.result))
        self.wait_for("cache")
        self.play(*self.say(self.merged))

    @beat
    def less_to_read(self) -> None:
        """Store less, and read less. As long as the next word is right."""
        tiles = Group(self.heads.latents, self.heads.words)
        stand(self, Shot(), tiles, self.said["less"])
        before = tiles.copy()
        self.heads.read_latents(self.n)
        self.play(Arrive(tiles, before))
