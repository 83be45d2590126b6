"""Multi-head latent attention: one latent for all heads, the duel, and the absorbed form."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from manim import ORIGIN, RIGHT, Group, LaggedStart, Line, VGroup, linear

from extract.attention.patterns import PatternDistance
from extract.errors import TraceError
from extract.latent.duel import duel
from extract.trace import Trace
from extract.trace.contents.conversion_report import at_equal_size, conversion_report
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Presence,
    Recolour,
    Settle,
    Vanish,
    first_half,
    second_half,
)
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.headline import Headline
from filmkit.core.language import QUESTION, _
from filmkit.core.numbers import (
    counted_heads,
    counted_minutes,
    format_decimal,
    format_share,
    spoken_share,
    whole_percent,
)
from filmkit.core.stage import StageError, beat
from filmkit.core.text import Label, Symbol
from filmkit.core.token_text import printable
from filmkit.mobjects.marks import bracket
from filmkit.pictures.latent_view import LatentView, is_converted
from filmkit.pictures.parts import LONGEST, TEXT
from filmkit.pictures.picture import Mark
from filmkit.pictures.shared_view import counted_rows
from filmkit.pictures.stage import Stage
from filmkit.world.standing import stand
from filmkit.world.world import World
from scenes.mla.absorbed import (
    LightRoom,
    RebuiltKeys,
    Towers,
    absorbed_parts,
    formula_parts,
    output_parts,
)
from scenes.mla.duel import (
    SIDE_GAP,
    Continuations,
    DuelSide,
    Model,
    change_scale,
    grid_of,
    own_cards,
)
from scenes.mla.parts import (
    at_one_pitch,
    latent_matrices,
    latent_notes,
    loss_parts,
    named_arrow,
)

Array = npt.NDArray[np.float64]

MELT, SHINE = 11.5, 2.6  # seconds in which plates part and melt, and in which light makes others
PART = 2.5  # seconds of these in which one set becomes all sets of the model
GLOW, COUNT, RISE = 3.7, 2.5, 6.0
LAY_OVER = 1.5  # seconds in which matrices go over each other, and become a difference
PUSH_IN = 5.0  # seconds in which the camera comes close to what is kept
HOP, FALL = 1.4, 1.4  # how high the bracket jumps, in radians; seconds in which towers fall
SMALLEST = 0.006  # cell of the formula's matrices, in scene units
BRACKET, FREE = 0.16, 0.4  # size of brackets, and room where one may come, in scene units
TOWERS = 0.45, 0.2  # width and height of the keys that are rebuilt, as shares of the frame's
WORD = 1.2  # room for the word of a token beside what is kept of it
DUEL_HEAD = 0.3  # between a headline and the duel, in scene units
SIGN = 0.07  # size of a sign between matrices
NOTHING = 0.075  # and of what is left of a difference
GAP = 0.3  # between what stands side by side, in scene units
BEFORE = ". W_K W_V\nX K V"
TO_LATENT, TALL_TO_LATENT = "X to C", "X X\nto to\nC C"
CIRCUIT, TALL_CIRCUIT = "K to_keys C to_values V", "C C\nto_keys to_values\nK V"
LOSS, TALL_LOSS = "rebuilt minus true = lost", ". rebuilt\nminus true\n= lost"
REBUILT = """
    free1 query open weights free2 latents close
    .     .     .    named   named named   .
    .     .     .    keys    keys  keys    .
"""
MOVED = """
    open query free1 weights close latents free2
    .    .     =     asked   →     row     .
"""
TALL_REBUILT = """
    free1 query   .     .       .
    open  weights free2 latents close
    .     named   named named   .
    .     keys    keys  keys    .
"""
TALL_MOVED = """
    open query   close .       free1
    open weights close latents free2
    =    asked   .     .       .
    →    row     .     .       .
"""
SCORES = """
    . asked rope_query × .
    . C     rope       = scored
"""
TALL_SCORES = """
    asked      × .
    C          = scored
    rope_query . .
    rope       . .
"""
MIX = """
    shares × C
    .      = mix
"""
OUTPUTS, TALL_OUTPUTS = "built minus read = gone", ". built\nminus read\n= gone"

DUEL = (
    "the_same_budget",
    "all_heads_compared",
    "every_layer",
    "what_it_says",
    "and_on_a_latent",
)
"""Beats of the duel, in which nothing is trained."""


def is_fitted(trace: Trace) -> bool:
    """Return whether the latent was fitted to a model that was trained without one."""
    return trace.meta.attention != "mla"


def is_alone(trace: Trace) -> bool:
    """Return whether the latent was fitted to one layer, the rest of the model as it is."""
    return is_fitted(trace) and not is_converted(trace)


def can_duel(trace: Trace) -> bool:
    """Return whether a latent and one shared set of several can be compared in one setting.

    Keys that rotate and are rebuilt from a latent could not be absorbed: a model that rotates must
    be converted for it.
    """
    several = is_fitted(trace) and trace.meta.n_kv_heads > 1
    return several and (is_converted(trace) or not trace.rotates)


def has_contest(trace: Trace) -> bool:
    """Return whether the whole model was converted, so that the duel has all layers."""
    return can_duel(trace) and is_converted(trace)


def share_digits(share: float) -> int:
    """Return the number of decimals with which a share is said: one below 1 %, else none."""
    return 0 if share >= 0.01 else 1


def in_percent(share: float) -> str:
    """Return a share for narration, such as "33 percent"; below 1 % with one decimal."""
    return spoken_share(share, share_digits(share))


def without_percent(share: float) -> str:
    """Return a share for a sentence that has said "percent" before: in English the number alone."""
    return _("{number}", number=format_decimal(100 * share, share_digits(share)))


class LatentAttention(Stage):
    """One latent for all heads: first the naive form, then the absorbed one."""

    title = "Multi-head latent attention"
    tensors = ("x", "q", "k", "v", "pattern", "W_O", "latent", "conversion")
    live = "rank"

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        what = self.view.origin_note()
        if self.playing.removeprefix(QUESTION) in DUEL:
            what = self._setting()
        return source, "  ·  ".join(filter(None, (what, hidden and self.hidden_note(short=True))))

    def _setting(self) -> str:
        """Return in what setting the duel is, and once what training would change."""
        converted = is_converted(self.trace)
        setting = claim(
            converted,
            _("every layer converted, nothing trained"),
            _("this layer alone, nothing trained"),
        )
        report = conversion_report(self.trace) if converted else None
        if self.playing != "every_layer" or report is None or report.shared_set is None:
            return setting
        if report.healed is None:
            return setting
        best, latent = (
            fact("moved when trained", row.moved, whole_percent, way=way)
            for way, row in (("best", report.shared_set.final), ("latent", report.final))
        )
        minutes = counted_minutes(report.heal_minutes)
        trained = _(
            "trained {minutes}: {best} and {latent}", minutes=minutes, best=best, latent=latent
        )
        return f"{setting}; {trained}"

    def prepare(self) -> None:
        if is_converted(self.trace) and self.layer.layer != self.trace.meta.featured.layer:
            raise StageError(
                f"the conversion of {self.trace.meta.model} is stored for layer "
                f"{self.trace.meta.featured.layer}; leave out --layer"
            )
        self.view = LatentView.of(self.layer)
        self.world = World(self.layer, self.frame)
        mla, meta = self.view.mla, self.trace.meta
        self.facts |= named_facts(
            heads=meta.n_heads,
            layers=meta.n_layers,
            rank=mla.rank,
            rope=mla.d_rope,
            cached=mla.n_cached,
            sets=meta.n_kv_heads,
            budget=meta.one_set,
        )
        head = self.view.head(self.head.head)
        self.made = latent_matrices(head)
        for name, part in self.made.items():
            self.part(name, part)
        down = "arrow.b" if self.frame.upright else "arrow.r.long"
        self.part("to", partial(Symbol, down, size=SIGN))
        self.part("minus", partial(Label, "−", size=SIGN))
        right, left = ("b",) * 2 if self.frame.tall else ("r.long", "l.long")
        for name, side, matrix in ("to_keys", left, "W_UK"), ("to_values", right, "W_UV"):
            self.part(name, partial(named_arrow, side, self.made[matrix]))
        self.absorbed = absorbed_parts(self.view.head(self.head.head))
        if is_fitted(self.trace):
            self.facts |= named_facts(all_moved=(self._all_moved(), in_percent))
        if is_alone(self.trace):
            compared = self.view.head(self.head.head).comparison
            self.facts |= named_facts(
                lost_k=(compared("k").error, in_percent),
                lost_v=(compared("v").error, without_percent),
            )
        if can_duel(self.trace):
            self._prepare_duel()

    def _all_moved(self) -> float:
        """Return how much attention moves in this layer if its heads read the latent."""
        own, made = self.trace.get("pattern", self.layer.layer), self.view.mla.absorbed.pattern
        return PatternDistance.between(own, made, self.trace.meta.n_prompt).mean

    def _prepare_duel(self) -> None:
        """Compute all sides of the duel, and add how much attention they move to the facts."""
        try:
            numbers, contest = duel(self.trace, self.layer.layer), at_equal_size(self.trace)
        except TraceError as error:
            raise StageError(str(error)) from error
        self.models = Model.all(self.layer, numbers, contest)
        mean, best, latent = (model.moved for model in self.models)
        self.facts |= named_facts(
            mean_layer=(mean, in_percent),
            best_layer=(best, in_percent),
            latent_layer=(latent, in_percent),
            best_again=(best, without_percent),
            between=((best + latent) / 2, without_percent),
            latent_again=(latent, without_percent),
        )
        if contest is not None:
            self.rows = contest.rows[1:]
            mean, best, latent = (row.moved for row in self.rows)
            self.facts |= named_facts(
                mean_moved=(mean, in_percent),
                best_moved=(best, in_percent),
                latent_moved=(latent, in_percent),
                next=printable(self.next_word),
            )

    @property
    def next_word(self) -> str:
        """The model's own next word."""
        return conversion_report(self.trace).next_word

    def variant(self, beat: str) -> str:
        if beat == "the_latent_drops_in":
            return "rotated" if self.view.mla.d_rope else "plain"
        if beat == "and_on_a_latent":
            says = [row.continuation.startswith(self.next_word) for row in self.rows]
            return "kept" if says == [False, False, True] else "lost"
        if not is_fitted(self.trace):
            return "own"
        if beat == "down_to_the_latent":
            return "beside" if self.view.mla.d_rope else "before"
        if beat == "every_head_reads_it":
            return "fitted"
        equal = "equal" if self.facts["cached"] == self.facts["budget"] else "unequal"
        if beat == "one_latent_for_all":
            return ("beside_" if self.view.mla.d_rope else "") + equal
        return "equal" if self._duel_is_equal else "unequal"

    @property
    def _duel_is_equal(self) -> bool:
        """Whether all sides of the duel keep as many numbers."""
        return len({model.side.numbers for model in self.models}) == 1

    def _ask(self) -> None:
        super()._ask()
        # The answer has a headline of its own: the one that is there does not come back.
        gone = set(self.headline.get_family()) if self.headline is not None else set()
        self._behind = {part: seen for part, seen in self._behind.items() if part not in gone}

    # One latent, expanded

    @beat(
        beside_equal="Instead of {sets} sets, keep one latent for each token, fitted to all of "
        "them: {rank} numbers, and {rope} for its place, as many as one set has. [From] it come "
        "the keys and values of all heads.",
        beside_unequal="Instead of {sets} sets, keep one latent for each token, fitted to all of "
        "them: {rank} numbers, and {rope} for its place. [From] it come the keys and values of "
        "all heads.",
        equal="Instead of {sets} sets, keep one latent for each token, fitted to all of them: "
        "{rank} numbers, as many as one set has. [From] it come the keys and values of all heads.",
        unequal="Instead of {sets} sets, keep one latent for each token, fitted to all of them: "
        "{rank} numbers. [From] it come the keys and values of all heads.",
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
        words = self.say(self.headline_of("MLA", line))
        if is_fitted(self.trace) and self.trace.meta.n_heads > 1:
            # The one set that the scene before ends on comes apart: all sets of the model go in, as
            # no mean of them could make every head's keys again.
            own = [card.pattern.copy() for card in world.cards]
            world.share_at_once(1)
            self.add(world)
            patterns = [
                Recolour(card.pattern, values=before.values, source=before.source)
                for card, before in zip(world.cards, own, strict=True)
            ]
            parted = world.slide_together(self.trace.meta.n_kv_heads)
            self.play(*words, parted, *patterns, run_time=PART)
            gone = [Presence(line, 0.0) for line in world.lines]
            self.play(*gone, world.melt(run_time=MELT - PART))
        else:
            self.play(world.arrive())
            self.play(*words, Appear(world.latent))
        self.wait_for("From")
        self.play(world.rays(), run_time=SHINE)
        if is_fitted(self.trace):
            heads = [self.view.head(card.head) for card in world.cards]
            patterns = [
                Recolour(card.pattern, values=made.values, source=made.source, run_time=SHINE)
                for card, made in zip(
                    world.cards, (head.absorbed["pattern"] for head in heads), strict=True
                )
            ]
            made = [head.naive for head in heads]
            self.play(world.rebuild(made, run_time=SHINE), *patterns)

    @beat(
        before="Before, each row of X became keys and values directly. [Now] it first becomes a "
        "latent, and only that is kept.",
        beside="Before, each row of X became keys and values directly. [Now] it first becomes a "
        "latent, and that is kept, beside one rotated key.",
        own="One matrix turns each row of X into a latent. Only that is kept, with one rotated "
        "key.",
    )
    def down_to_the_latent(self) -> None:
        if is_fitted(self.trace):
            head = self.head.head
            origins = self.world.panels(head)
            # First their edges leave: cells that come to the front would cut them.
            plates = self.world.keys[head], self.world.values[head]
            gone = (Presence(plate.body, 0.0) for plate in plates)
            self.play(*self.say(), *gone, run_time=0.4)
            self.show(BEFORE, origins=origins, run_time=self.theme.tempo.swing)
            self.wait_for("Now")
        words = self.headline_of(
            _(
                "{width} → {rank} numbers",
                width=fact("width", self.trace.meta.d_model),
                rank=self.facts["rank"],
            ),
            claim(
                bool(self.view.mla.d_rope),
                _("a token’s row becomes a <latent>latent</latent>; a rotated key is kept too"),
                _("a token’s row becomes a <latent>latent</latent>, and only that is kept"),
            ),
        )
        latent = self.view.head(self.head.head)
        for name, part in zip("XC", at_one_pitch(latent, self.made["C"], self.frame), strict=True):
            self.part(name, part)
        mosaic = TALL_TO_LATENT if self.frame.upright else TO_LATENT
        show = partial(self.show, mosaic, headline=words, marks=self._last_rows("X", "C"))
        show(lit={"C": self._last_row})
        show()

    @beat
    def up_to_keys_and_values(self) -> None:
        """Two more matrices make this head's keys and values from it."""
        self.part("C", self.made["C"])
        line = _("one matrix makes <key>keys</key>, another <value>values</value>")
        words = self.headline_of(
            _("Rebuilt from the latent"), "; ".join([line, *latent_notes(self.view)])
        )
        mosaic = TALL_CIRCUIT if self.frame.tall else CIRCUIT
        show = partial(self.show, mosaic, headline=words)
        marks = self._last_rows("C", "K", "V")
        show(lit=dict.fromkeys("KV", self._last_row), marks=marks)
        show()

    @property
    def _last_row(self) -> Array:
        """Opacities of rows of which only the last is seen, (rows, 1)."""
        return np.eye(self.layer.count)[:, -1:]

    def _last_rows(self, *names: str) -> tuple[Mark, ...]:
        """Return frames around the last rows of parts."""
        return tuple(Mark(name, row=self.layer.count - 1) for name in names)

    @beat(when=is_alone)
    def what_is_lost(self) -> None:
        """How good is the copy in this head? The [difference] is {lost_k} of the keys' size, and
        {lost_v} of the values'."""
        head = self.view.head(self.head.head)
        for name, part in loss_parts(head).items():
            self.part(name, part)
        error = fact("relative error", head.comparison("k").error, format_share, of="k")
        line = _("off by <key>{share} of the keys’ size</key>", share=error)
        about = claim(self.view.biased, _("without their mean row"))
        line = "; ".join(filter(None, (line, about)))
        words = self.headline_of(_("Close, but not exact"), line)
        show = partial(self.show, TALL_LOSS if self.frame.tall else LOSS, headline=words)
        show(later="lost", lit={"lost": 0.0})
        self.wait_for("difference")
        self._subtract("rebuilt", "true", "lost")
        show()

    # The duel

    def _duel_words(self) -> tuple[Headline, ...]:
        """Return the headlines of the duel: the budget, this layer, and the mean of all layers."""
        given = {name: self.facts[name] for name in ("cached", "budget")}
        equal = self._duel_is_equal
        mean, best, latent = (model.moved for model in self.models)
        said = [
            (
                claim(equal, _("The same budget"), _("Three ways to keep less")),
                claim(
                    equal,
                    _("{budget} numbers for each token: which keeps the patterns?", **given),
                    _(
                        "{budget} numbers, or {cached} with a latent: which keeps the patterns?",
                        **given,
                    ),
                ),
            ),
            (
                claim(
                    latent < min(mean, best),
                    _("A latent shifts attention less"),
                    _("How much moves"),
                ),
                _(
                    "<highlight>coloured</highlight>: attention that moved to another word, mean "
                    "of {rows}",
                    rows=counted_rows(self.trace),
                ),
            ),
        ]
        if is_converted(self.trace):
            *sets, latent = (row.moved for row in self.rows)
            said.append(
                (
                    claim(latent < min(sets), _("The latent keeps most"), _("How much it moves")),
                    _("attention that moved to another word, layer by layer and on average"),
                )
            )
        return tuple(self.headline_of(*one) for one in said)

    @beat(
        when=can_duel,
        equal="Now a duel of three. Each keeps {budget} numbers for each token: the mean of the "
        "sets, the best shared set that can be fitted, and the latent.",
        unequal="Now a duel of three: one shared set, {budget} numbers for each token, as a mean "
        "or as the best that can be fitted; and the latent, with {cached}.",
    )
    def the_same_budget(self) -> None:
        words = self._duel_words()
        own_words = self.headline_of("", _("the model’s own patterns"))
        self.arena = room = min((one.below(head=DUEL_HEAD) for one in words), key=attrgetter("top"))
        rows = zip((None, *self.models), room.split_rows(4, SIDE_GAP), strict=True)
        original, *self.sides = sides = [
            DuelSide(model, self.layer, row, tall=self.frame.tall) for model, row in rows
        ]
        self.original = Group(original.name, *original.cards)
        own = own_cards(self.layer, grid_of(room, self.trace.meta.n_heads))
        self.play(Vanish(Group(*self.visible_parts())))
        self.play(LaggedStart(*map(Appear, own), lag_ratio=0.1), *self.say(own_words))
        splitting = chain(*(side.split_from(own) for side in sides))
        self.play(*self.say(words[0]), *splitting)
        self.remove(*own)
        self.play(*(Appear(part) for side in sides for part in (side.name, side.kept)))
        for side, model in zip(self.sides, self.models, strict=True):
            self.play(*side.recolour(model.patterns), run_time=SHINE)

    @beat(
        when=can_duel,
        ask={
            "equal": "The best shared set for all heads moves {best_layer} of the attention to "
            "other words. How much does one latent of the same size move: "
            "[{best_again}], [{between}] or [{latent_again}] percent?",
            "unequal": "The best shared set for all heads moves {best_layer} of the attention to "
            "other words. How much does one latent move: "
            "[{best_again}], [{between}] or [{latent_again}] percent?",
        },
        answer="latent_again",
        choice="{choice} percent",
    )
    def all_heads_compared(self) -> None:
        """What glows is attention that lands on other words: {mean_layer} with the [mean],
        {best_layer} with the [best] set, {latent_layer} with the [latent]."""
        sides, norm = self.sides, change_scale(self.models)
        changes = (
            side.recolour(model.differences, norm)
            for side, model in zip(sides, self.models, strict=True)
        )
        self.play(*self.say(self._duel_words()[1]), *chain(*changes), run_time=GLOW)
        self.play(*(Vanish(side.kept) for side in sides))
        for side, mark in zip(sides, ("mean", "best", "latent"), strict=True):
            self.wait_for(mark)
            self.play(side.count(), run_time=COUNT)

    @beat(when=has_contest)
    def every_layer(self) -> None:
        """Over all {layers} layers, {mean_moved} moves with the mean, {best_moved} with the best
        set, and {latent_moved} with the latent."""
        split = self.arena.split_rows if self.frame.tall else self.arena.split_columns
        sides = [*zip(self.sides, split(3, 2 * GAP), strict=True)]
        self.play(
            *chain(*(side.stand_layers(room) for side, room in sides)),
            Vanish(self.original, rate_func=first_half),
            *self.say(self._duel_words()[2]),
        )
        self.play(*(side.rise() for side in self.sides), run_time=RISE, rate_func=linear)

    @beat(when=has_contest)
    def what_it_says(self) -> None:
        """How does the whole model go on? With [one] shared set, the mean, like [this]; with the
        [best] fit, like [that]."""
        first, stop = int(self.trace.meta.has_bos), self.trace.meta.n_prompt
        prompt = printable("".join(self.trace.meta.tokens[first:stop]).strip())
        line = _("{budget} numbers for each token, in each layer", budget=self.facts["budget"])
        words = self.headline_of(_("Same prompt, same budget"), line)
        room, upright = words.below(head=GAP), self.frame.upright
        said = Continuations(self.models, prompt, room, upright=upright)
        self.continuations = said
        there = Group(*self.visible_parts())
        self.headline = None  # it leaves with all else
        self.play(Vanish(there), *self.say(words))
        self.play(Appear(said.prompt))
        for mark, shown in (
            ("one", said.names[0]),
            ("this", said.quotes[0]),
            ("best", said.names[1]),
            ("that", VGroup(said.quotes[1], said.names[2], said.question_mark)),
        ):
            self.wait_for(mark)
            self.play(Appear(shown, run_time=COUNT))

    @beat(
        when=has_contest,
        kept="With one latent: {next}.",
        lost="And with one latent, like this.",
    )
    def and_on_a_latent(self) -> None:
        said = self.continuations
        self.play(
            Vanish(said.question_mark, rate_func=first_half),
            Appear(said.quotes[2], rate_func=second_half),
        )

    # The absorbed form

    @beat
    def a_new_query(self) -> None:
        """But only the latent is kept. Must [every] key of every head be rebuilt for every new
        token?"""
        self._make_formula()
        keys = RebuiltKeys(self.view, self.frame.free)
        words = self.headline_of(
            _("{number} numbers rebuilt", number=fact("rebuilt numbers", keys.numbers)),
            "; ".join(
                filter(
                    None,
                    (
                        _("for one new token: {product}", product=keys.product()),
                        claim(self.trace.meta.has_bos, _("the beginning token is one of them")),
                    ),
                )
            ),
        )
        self.show(REBUILT, tall=TALL_REBUILT, headline=words, later="named keys")
        towers, left, right = self.parts["keys"].whole[0], self.parts["open"], self.parts["close"]
        y = self.parts["named"].box.top + GAP
        below = bracket([left.box.x, y, 0], [right.box.x, y, 0], [0, -GAP / 2, 0])
        self.wait_for("every")
        self.play(Appear(below.set_stroke(self.theme.key)), Appear(self.parts["named"].whole))
        self.play(
            AnimateWith(towers, lambda alpha: towers.sink(1 - alpha), introducer=True),
            run_time=2 * self.theme.tempo.large,
        )

    def _make_formula(self) -> None:
        """Make the parts of the formula whose bracket moves: q (W C) becomes (q W) C."""
        for name, part in (self.absorbed | formula_parts(self.view.head(self.head.head))).items():
            # In a narrow frame there is no room for symbols.
            symbol = "" if self.frame.upright else part.symbol
            self.part(name, replace(part, symbol=symbol, least=SMALLEST))
        for name, sign in ("open", "("), ("close", ")"):
            self.part(name, partial(Symbol, sign, size=BRACKET))
        for name in ("free1", "free2"):
            self.part(name, partial(Line, ORIGIN, FREE * RIGHT, stroke_width=0.0))
        self.part("named", Label(_("all keys, rebuilt"), size=TEXT, colour=self.theme.key))
        (across, high), free = TOWERS, self.frame.free
        self.part("keys", Towers(self.view, across * free.width, high * free.height))

    @beat
    def move_the_bracket(self) -> None:
        """No: [move] the bracket. Then [no] key is ever built: the matrix is [applied] to the one
        new query."""
        self._make_formula()
        words = self.headline_of(
            _("Change the query, not the keys"),
            _(
                "{number} keys rebuilt: the weights are applied to the one query",
                number=fact("rebuilt keys", 0),
            ),
        )
        self.show(REBUILT, tall=TALL_REBUILT, headline=words)
        self.wait_for("move")
        self.play(
            *(
                self.parts[half]
                .pieces["whole"]
                .animate(path_arc=HOP)
                .move_to(self.parts[free].box.center)
                for half, free in (("open", "free1"), ("close", "free2"))
            )
        )
        self.wait_for("no")
        towers = self.parts["keys"].whole[0]
        self.play(AnimateWith(towers, towers.sink), run_time=FALL)
        show = partial(self.show, MOVED, tall=TALL_MOVED, headline=words)
        show(later="= asked → row")
        self.wait_for("applied")
        show(later="→ row")
        show(reveal="row")

    @beat(
        plain="It meets the latents themselves, and the scores are the same.",
        rotated="It meets the latents themselves, and beside them the one rotated key.",
    )
    def the_latent_drops_in(self) -> None:
        for name in ("asked", "scored", "rope", "rope_query"):
            self.part(name, self.absorbed.get(name))
        best = int(self.absorbed["scored"].values.argmax())
        marks = Mark("C", row=best), Mark("scored", row=best, label=Label(_("highest"), size=TEXT))
        words = self.headline_of(
            _("The query reads the latent"), _("each row gives a score; no key is built")
        )
        show = partial(self.show, SCORES, tall=TALL_SCORES, headline=words)
        show(later="scored")
        show(reveal="scored")
        show(marks=marks, run_time=self.theme.tempo.normal)

    @beat
    def the_pattern_mixes_latents(self) -> None:
        """The pattern mixes the [latents] themselves, so no value is built either."""
        for name in ("shares", "mix"):
            self.part(name, self.absorbed[name])
        best = int(self.absorbed["shares"].values.argmax())
        marks = Mark("C", row=best), Mark("shares", row=best)
        words = self.headline_of(
            _("No value is built either"),
            _(
                "attention of “{word}” mixes the <latent>latents</latent> themselves",
                word=printable(self.layer.words[-1]),
            ),
        )
        show = partial(
            self.show, MIX, headline=words, titles="shares C mix", words="rows", marks=marks
        )
        show(later="= mix")
        self.wait_for("latents")
        self._add_up()
        show()

    def _add_up(self) -> None:
        """Let all latents come together in the one row of the mix."""
        pairs = zip(self.parts["C"].cells.blocks, self.parts["mix"].cells.blocks, strict=True)
        flights = [Settle(row, mix.box) for block, mix in pairs for row in block.split_rows()]
        self.play(LaggedStart(*flights, lag_ratio=0.05), run_time=2.0)

    @beat
    def both_forms_agree(self) -> None:
        """Computed [both] ways, the output is the same. Subtract them: [nothing] is left but
        rounding."""
        for name, matrix in output_parts(self.view).items():
            self.part(name, matrix)
        width = self.trace.meta.d_model
        line = _("only rounding differs")
        if width > LONGEST:
            line = _(
                "only rounding differs (first {drawn} of {width} numbers)",
                drawn=fact("drawn width", LONGEST),
                width=fact("width", width),
            )
        words = self.headline_of(_("The same output"), line)
        largest = fact("rounding", self.view.mla.largest_difference, format_decimal)
        nothing = Label(_("≈ {number}", number=largest), size=NOTHING, weight="semibold")
        show = partial(self.show, OUTPUTS, tall=TALL_OUTPUTS, headline=words)
        show(later="gone", lit={"gone": 0.0})
        self.wait_for("both")
        self._subtract("built", "read", "gone", mark="nothing")
        show()
        box = self.parts["gone"].box
        self.play(Appear(nothing.on_line(box.x, box.y)))

    def _subtract(self, first: str, second: str, difference: str, *, mark: str = "") -> None:
        """Lay a copy of one part over that of another, where at a mark both become what is left."""
        left = self.parts[difference].cells.blocks
        over = [
            (block.copy(), end)
            for name in (first, second)
            for block, end in zip(self.parts[name].cells.blocks, left, strict=True)
        ]
        for copy, _end in over:
            copy.label = ""
        self.play(*(Settle(copy, end.box) for copy, end in over), run_time=LAY_OVER)
        if mark:
            self.wait_for(mark)
        self.play(
            *(
                Recolour(copy, values=end.values, norm=end.norm, source=end.source)
                for copy, end in over
            ),
            run_time=LAY_OVER,
        )
        self.remove(*(copy for copy, _end in over))

    # In the room again

    @beat(
        own="All heads read the same latent, and each asks in its own way.",
        fitted="Every head reads the same latent, and each asks in its own way. Against the "
        "model's own patterns, {all_moved} of the attention has [moved].",
    )
    def every_head_reads_it(self) -> None:
        self.room = LightRoom(self.view, self.frame)
        line = claim(
            bool(self.view.mla.d_rope),
            _("read one <latent>latent</latent> and one <key>rotated key</key>"),
            _("read one <latent>latent</latent>; no <key>keys</key>, no <value>values</value>"),
        )
        count = counted_heads(self.trace.meta.n_heads)
        stand(self, self.room.shot("arc"), self.room)
        if fitted := is_fitted(self.trace):
            moved = fact("all moved", self._all_moved(), whole_percent)
            line = "; ".join([line, _("{share} of the attention moved", share=moved)])
        words = self.headline_of(count, line)
        self.play(*self.say(words.figure if fitted else words))
        self.play(self.room.rays(to_cards=True, run_time=MELT / 2))
        if fitted:
            self.wait_for("moved")
            self.headline = words
            self.play(Appear(words.line))

    @beat
    def the_cache(self) -> None:
        """This is all that is kept: {cached} numbers for each token."""
        count = counted_heads(self.trace.meta.n_heads)
        line = claim(
            bool(self.view.mla.d_rope),
            _(
                "all that this layer keeps of a token: a <latent>latent</latent> and a "
                "<key>rotated key</key>, for {heads}",
                heads=count,
            ),
            _(
                "all that this layer keeps of a token: one <latent>latent</latent> for {heads}",
                heads=count,
            ),
        )
        words = self.headline_of(_("{number} numbers", number=self.facts["cached"]), line)
        middle = 0.0 if self.frame.upright else WORD
        room = words.below(head=2 * GAP, foot=GAP, left=WORD, right=middle)
        self.play(
            self.move_camera(self.room.close_up(self.frame, room)),
            *(Presence(card, 0.0) for card in self.room.cards),
            self.room.rays(False, to_cards=True),
            *self.say(words),
            run_time=PUSH_IN,
        )
        self.play(
            Appear(self.room.last_token(printable(self.layer.words[-1]))),
            self.room.point_to_last(),
        )
