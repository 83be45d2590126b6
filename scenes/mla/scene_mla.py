"""Multi-head latent attention: one latent for all heads, the duel, and the absorbed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from extract.conversion_report import at_equal_size, conversion_report
from extract.duel import duel
from extract.trace import Trace
from filmkit.core.animations import Appear, Presence, Recolour
from filmkit.core.facts import told
from filmkit.core.language import _
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_decimal, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import beat
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.shared_view import SharedView
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.world.headline import Headline
from filmkit.world.plates import HeadCard
from filmkit.world.world import World
from scenes.mla.parts import latent_parts, loss_parts

Array = npt.NDArray[np.float64]

MELT, SHINE = 3.0, 2.6  # seconds in which plates melt, and in which light makes others

BEFORE = ". W_K W_V\nX K V"
CIRCUIT = """
    .  W_DKV  W_UK  W_UV
    X  C      K     V
    notes notes notes notes
"""
TALL_CIRCUIT = """
    .  W_DKV
    X  C
    W_UK W_UV
    K V
    notes notes
"""
LOSS = """
    made_K minus_K true_K equals_K lost_K share_K
    made_V minus_V true_V equals_V lost_V share_V
"""
TALL_LOSS = """
    made_K   made_V
    minus_K  minus_V
    true_K   true_V
    equals_K equals_V
    lost_K   lost_V
    share_K  share_V
"""

DUEL = (
    "one_latent_for_all",
    "the_same_budget",
    "all_heads_compared",
    "every_layer",
    "what_it_says",
)
"""Beats in which keys keep their rotation."""


def is_fitted(trace: Trace) -> bool:
    """Return whether the latent was fitted to a model that was trained without one."""
    return trace.meta.attention != "mla"


def can_duel(trace: Trace) -> bool:
    """Return whether there is a latent to compare with one shared set of several."""
    return is_fitted(trace) and trace.meta.n_kv_heads > 1


def has_contest(trace: Trace) -> bool:
    """Return whether the whole model was converted, so that the duel has all layers."""
    return can_duel(trace) and trace.meta.conversion is not None


def share_digits(share: float) -> int:
    """Return the number of decimals with which a share is said: one below 1 %, else none."""
    return 0 if share >= 0.01 else 1


def told_share(share: float) -> str:
    """Return a share for narration, such as "33 percent"; below 1 % with one decimal."""
    return spoken_share(share, share_digits(share))


def told_again(share: float) -> str:
    """Return the second of two shares in one sentence: in English without the word "percent"."""
    return _("{number}", number=format_decimal(100 * share, share_digits(share)))


class LatentAttention(Stage):
    """One latent for all heads: first the naive form, then the absorbed one."""

    title = "Multi-head latent attention"
    tensors = ("x", "q", "k", "v", "pattern", "W_O", "latent", "conversion")
    live = "rank"

    def provenance_notes(self) -> tuple[str, str]:
        source, _hidden = super().provenance_notes()
        what = ""
        if self.trace.meta.attention == "mla":
            what = _("the model’s own latent")
        elif self.playing in DUEL:
            what = _("nothing trained")
        elif self.trace.rotates:
            what = _("rotation left out")
        return source, "  ·  ".join(filter(None, (what, self.hidden_note(short=True))))

    def prepare(self) -> None:
        self.view = LatentView.of(self.layer)
        self.world = World(self.layer, self.frame, alone=True)
        forms, meta = self.view.forms, self.trace.meta
        self.facts |= told(
            heads=meta.n_heads,
            layers=meta.n_layers,
            rank=forms.rank,
            sets=meta.n_kv_heads,
            cached=forms.n_cached,
        )
        for name, part in latent_parts(self.view.head(self.head.head)).items():
            self.part(name, part)
        if is_fitted(self.trace):
            self._prepare_losses()

    def _prepare_losses(self) -> None:
        """Measure what a fitted latent loses, and add it to the facts."""
        latent_head, meta = self.view.head(self.head.head), self.trace.meta
        self.duel = duel(self.trace, self.layer.layer)
        self.facts |= told(
            lost_k=(latent_head.comparison("k").error, told_share),
            lost_v=(latent_head.comparison("v").error, told_again),
            own=meta.n_kv_heads * (meta.d_qk + meta.d_v),
            budget=meta.d_qk + meta.d_v,
        )
        contest = at_equal_size(self.trace)
        if contest is not None:
            self.facts |= told(
                mqa_moved=(contest.mean.moved, told_share),
                latent_moved=(contest.latent.moved, told_share),
                next=printable(conversion_report(self.trace).next_word),
            )

    def variant(self, beat: str) -> str:
        if not is_fitted(self.trace):
            return "own"
        return "equal" if self.facts["rank"] == self.facts["budget"] else "unequal"

    # One latent, expanded

    @beat(
        equal="Melt that pair into one latent: the same {rank} numbers for each token. [From] it, "
        "two matrices make all keys and values again.",
        unequal="Melt that pair into one latent: {rank} numbers for each token. [From] it, two "
        "matrices make all keys and values again.",
        own="For each token this model keeps one small latent: {rank} numbers. [From] it, it "
        "makes the keys and values of every head.",
    )
    def one_latent_for_all(self) -> None:
        world = self.world
        self.camera.shot = world.shot("arc")
        line = _(
            "multi-head latent attention: one <latent>latent</latent> makes all <key>keys</key> "
            "and <value>values</value>"
        )
        words = world.say(Headline("MLA", line, self.frame))
        if is_fitted(self.trace) and self.trace.meta.n_heads > 1:
            self._begin_with_one_pair()
            gone = [Presence(line, 0.0) for line in world.lines]
            self.play(*words, *gone, world.melt(run_time=MELT))
        else:
            self.play(world.arrive())
            self.play(*words, Appear(world.latent))
        self.wait_for("From")
        self.play(world.rays(), run_time=SHINE)
        made = [self.view.head(card.head).panels for card in world.cards]
        if not is_fitted(self.trace):
            made = [
                {name: (p.cells.values, p.cells.source) for name, p in zip("kv", pair, strict=True)}
                for pair in world.pairs
            ]
        self.play(
            world.rebuild(made, run_time=SHINE),
            *(self._recolour(card, *self._latent_pattern(card.head)) for card in world.cards),
        )

    @beat
    def down_to_the_latent(self) -> None:
        """[Before], each row of X became keys and values directly. Now it first becomes a short
        latent, and only that is kept."""
        origins = self.world.panels(self.head.head) | {"C": self.world.latent.cells}
        if is_fitted(self.trace):
            self.show(BEFORE, origins=origins)
        row = self.layer.count - 1
        dark = {"K": 0.0, "V": 0.0, "W_UK": 0.0, "W_UV": 0.0}
        later = "W_UK W_UV"
        marks = (Mark("X", row=row), Mark("C", row=row))
        self.show(". W_DKV\nX C", lit={"C": 0.0}, marks=marks[:1])
        self.show(". W_DKV\nX C", marks=marks)

    @beat
    def up_to_keys_and_values(self) -> None:
        """Two more matrices make this head's keys and values of it, whenever they are needed."""
        row = self.layer.count - 1
        marks = tuple(Mark(name, row=row) for name in ("X", "C", "K", "V"))
        self.show(CIRCUIT, tall=TALL_CIRCUIT, reveal="K V")
        self.show(CIRCUIT, tall=TALL_CIRCUIT, marks=marks)

    @beat(when=is_fitted)
    def what_is_lost(self) -> None:
        """How good is the copy? The difference is {lost_k} of the keys' size, and {lost_v} of the
        values'."""
        for name, part in loss_parts(self.view.head(self.head.head)).items():
            self.part(name, part)
        self.show(LOSS, tall=TALL_LOSS, words="rows")

    def _begin_with_one_pair(self) -> None:
        """Show at once what the scene before ended on: all heads share the mean of their sets."""
        slide = self.world.slide_together(1)
        slide.begin()
        slide.finish()
        shared = SharedView.of(self.layer, 1)
        for card in self.world.cards if shared.shared.pooled else ():
            values, card.pattern.source = shared.pattern(card.head)
            card.pattern.set_values(values)
        self.add(self.world)

    def _latent_pattern(self, head: int) -> tuple[Array, TensorSource]:
        """Return the pattern of a head with keys from the latent, and its source."""
        if not is_fitted(self.trace):
            return self.layer.head(head).pattern, self.layer.head(head).pattern_source
        drawn = slice(self.layer.first, self.layer.stop)
        values = self.duel.latent.pattern[head, drawn, drawn]
        return values, self.layer.computed("rotated_latent_pattern", head=head)

    def _recolour(self, card: HeadCard, values: Array, source: TensorSource) -> Recolour:
        return Recolour(card.pattern, values=values, source=source, run_time=SHINE)
