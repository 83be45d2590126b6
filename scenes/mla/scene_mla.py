"""Multi-head latent attention: one latent for all heads, the duel, and the absorbed form."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt
from manim import DOWN, Group, LaggedStart, linear

from extract.latent.duel import duel
from extract.trace import Trace
from extract.trace.contents.conversion_report import at_equal_size, conversion_report
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Presence,
    Recolour,
    Reveal,
    Settle,
    ShowCells,
    Vanish,
    first_half,
    in_diagonals,
    second_half,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import QUESTION, _
from filmkit.core.light import glow
from filmkit.core.numbers import counted_heads, format_decimal, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.mobjects.latent_view import LatentView
from filmkit.pictures.parts import LONGEST, TEXT
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.texts import heading, quiet
from filmkit.world.headline import Headline
from filmkit.world.standing import stand
from filmkit.world.world import World
from scenes.mla.absorbed import (
    BracketFormula,
    LightRoom,
    Outputs,
    RebuiltCount,
    RebuiltKeys,
    absorbed_parts,
    asked_row,
    matrices_below,
)
from scenes.mla.duel import Model, Sayings, change_scale, duel_sides, grid_of, own_cards
from scenes.mla.parts import (
    figure_and_words,
    latent_matrices,
    latent_notes,
    loss_parts,
    ways_parts,
)

Array = npt.NDArray[np.float64]

MELT, SHINE = 5.5, 2.6  # seconds in which plates melt, and in which light makes others
COUNT, RISE, FILL, SILENCE = 2.0, 4.0, 2.0, 2.0
SUNK = 0.6  # presence of the numbers whose answer failed
HOP, FALL = 0.6, 0.8  # seconds in which the bracket jumps, and towers fall
FORMULA = 2.0  # height of the formula, in scene units
WORD = 1.2  # room for the word of a token beside what is kept of it
DUEL_HEAD = 0.2  # between a headline and the duel, in scene units
QUIET = 0.7  # opacity of rows of which one is lit
FAINT = 0.5  # presence of a latent of which next to nothing is read
GAP = 0.3  # between what stands side by side, in scene units
SCORES = """
    . asked rope_query . .
    × C     rope       = scored
"""
TALL_SCORES = """
    asked rope_query . .
    ×     .          . .
    C     rope       = scored
"""
MIX = """
    shares × C   . W_UV
    .      = mix → z
"""
TALL_MIX = """
    shares × C
    .      = mix
    .      . W_UV
    .      → z
"""
OUTPUTS = """
    rebuilt minus read equals gone
    .       .     .    .      said
"""
TALL_OUTPUTS = "rebuilt\nminus\nread\nequals\ngone\nsaid"

BEFORE = ". W_K W_V\nX K V"
TO_LATENT, TALL_TO_LATENT = "X down C kept", "X\ndown\nC\nkept"
CIRCUIT, TALL_CIRCUIT = "C up K V\nnotes notes notes notes", "C\nup\nK\nV\nnotes"
LOSS = """
    K      minus_K true_K equals_K lost_K share_K
    V      minus_V true_V equals_V lost_V share_V
    about  about   about  about    about  about
"""
TALL_LOSS = """
    K        V
    minus_K  minus_V
    true_K   true_V
    equals_K equals_V
    lost_K   lost_V
    share_K  share_V
    about    about
"""

DUEL = (
    "one_latent_for_all",
    "the_same_budget",
    "all_heads_compared",
    "every_layer",
    "what_it_says",
    "and_on_a_latent",
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
        elif self.playing.removeprefix(QUESTION) in DUEL:
            what = _("nothing trained")
        elif self.trace.rotates:
            what = _("rotation left out")
        # Keys of all tokens are rebuilt, and drawn.
        every = self.playing in ("a_new_query", "move_the_bracket")
        hidden = "" if every else self.hidden_note(short=True)
        return source, "  ·  ".join(filter(None, (what, hidden)))

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
        head = self.view.head(self.head.head)
        self.made = latent_matrices(head)
        ways = ways_parts(head, upright=self.frame.upright)
        for name, part in (*self.made.items(), *ways.items()):
            self.part(name, part)
        self.part("notes", quiet(*latent_notes(self.view)))
        rank, words = self.facts["rank"], _("numbers for each token")
        self.part("kept", partial(figure_and_words, rank, words, colour=self.theme.latent))
        self.absorbed = absorbed_parts(self.view.head(self.head.head))
        if is_fitted(self.trace):
            self._prepare_losses()

    def _prepare_losses(self) -> None:
        """Measure what a fitted latent loses, and add it to the facts."""
        latent_head, meta = self.view.head(self.head.head), self.trace.meta
        numbers, contest = duel(self.trace, self.layer.layer), at_equal_size(self.trace)
        self.models = Model.both(self.view, numbers, contest)
        self.facts |= told(
            lost_k=(latent_head.comparison("k").error, told_share),
            lost_v=(latent_head.comparison("v").error, told_again),
            budget=meta.d_qk + meta.d_v,
        )
        if can_duel(self.trace):
            shared, latent = (model.moved for model in self.models)
            self.facts |= told(
                shared_layer=(shared, told_share),
                latent_layer=(latent, told_again),
                shared_again=(shared, told_again),
                between=((shared + latent) / 2, told_again),
            )
        if contest is not None:
            self.facts |= told(
                mqa_moved=(contest.mean.moved, told_share),
                latent_moved=(contest.latent.moved, told_share),
                next=printable(self.next_word),
            )

    @property
    def next_word(self) -> str:
        """The model's own next word."""
        return conversion_report(self.trace).next_word

    def variant(self, beat: str) -> str:
        if beat == "the_latent_drops_in":
            return "rotated" if self.view.forms.d_rope else "plain"
        if beat == "and_on_a_latent":
            contest = at_equal_size(self.trace)
            assert contest is not None
            says = [row.continuation.startswith(self.next_word) for row in contest.rows[1:]]
            return "kept" if says == [False, False, True] else "lost"
        if not is_fitted(self.trace):
            return "own"
        if beat == "down_to_the_latent":
            return "before"
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
        words = self.say(Headline("MLA", line, self.frame))
        if is_fitted(self.trace) and self.trace.meta.n_heads > 1:
            # What the scene before ended on: all heads share the mean of their sets.
            world.share_at_once(1)
            self.add(world)
            gone = [Presence(line, 0.0) for line in world.lines]
            self.play(*words, *gone, world.melt(run_time=MELT))
        else:
            self.play(world.arrive())
            self.play(*words, Appear(world.latent))
        self.wait_for("From")
        self.play(world.rays(), run_time=SHINE)
        if is_fitted(self.trace):
            made = [self.view.head(card.head).panels for card in world.cards]
            _shared, latent = self.models
            patterns = [
                Recolour(card.pattern, values=values, source=source, run_time=SHINE)
                for card, (values, source) in zip(world.cards, latent.patterns, strict=True)
            ]
            self.play(world.rebuild(made, run_time=SHINE), *patterns)

    @beat(
        before="Before, each row of X became keys and values directly. [Now] it first becomes a "
        "latent, and only that is kept.",
        own="One matrix makes a latent of each row of X. Only that is kept, with one rotated key.",
    )
    def down_to_the_latent(self) -> None:
        if is_fitted(self.trace):
            head = self.head.head
            origins = self.world.panels(head)
            # First their edges leave: cells that come to the front would cut them.
            plates = self.world.keys[head], self.world.values[head]
            self.play(*(Presence(plate.body, 0.0) for plate in plates), run_time=0.4)
            self.show(BEFORE, origins=origins, run_time=self.theme.tempo.swing)
            self.wait_for("Now")
        mosaic = TALL_TO_LATENT if self.frame.upright else TO_LATENT
        show = partial(self.show, mosaic, marks=self._last_rows("X", "C"))
        show(lit={"X": self._quiet_rows, "C": self._last_row}, later="kept")
        show(lit=dict.fromkeys("XC", self._quiet_rows))

    @beat
    def up_to_keys_and_values(self) -> None:
        """Two more matrices make this head's keys and values of it."""
        mosaic = TALL_CIRCUIT if self.frame.upright else CIRCUIT
        marks = self._last_rows("C", "K", "V")
        show = partial(self.show, mosaic, marks=marks)
        show(lit={"C": self._quiet_rows} | dict.fromkeys("KV", self._last_row))
        show(lit=dict.fromkeys("CKV", self._quiet_rows))

    @property
    def _last_row(self) -> Array:
        """Opacities of rows of which only the last is seen, (rows, 1)."""
        return np.eye(self.layer.count)[:, -1:]

    @property
    def _quiet_rows(self) -> Array:
        """Opacities of rows of which the last is lit, (rows, 1)."""
        return np.maximum(self._last_row, QUIET)

    def _last_rows(self, *names: str) -> tuple[Mark, ...]:
        """Return frames around the last rows of parts."""
        return tuple(Mark(name, row=self.layer.count - 1) for name in names)

    @beat(when=is_fitted)
    def what_is_lost(self) -> None:
        """How good is the copy? The [difference] is {lost_k} of the keys' size, and {lost_v} of the
        values'."""
        for name, part in loss_parts(self.view.head(self.head.head)).items():
            self.part(name, part)
        show = partial(self.show, LOSS, tall=TALL_LOSS, words="rows")
        shares = "share_K share_V"
        show(later=f"equals_K equals_V lost_K lost_V {shares}")
        show(later=shares)
        self.wait_for("difference")
        show()

    # The duel

    @beat(
        when=can_duel,
        equal="Now a duel. Both sides keep the same {budget} numbers for each token, and all "
        "patterns are computed again.",
        unequal="Now a duel. One shared set keeps {budget} numbers for each token, one latent "
        "{rank}, and all patterns are computed again.",
    )
    def the_same_budget(self) -> None:
        equal = self.facts["rank"] == self.facts["budget"]
        budget = _("the same budget, spent in two ways") if equal else _("two ways to keep less")
        own_words = Headline("", _("the model’s own patterns"), self.frame)
        words = Headline("", budget, self.frame)
        room = words.below(head=DUEL_HEAD)
        self.sides = sides = duel_sides(self.models, self.layer, room, tall=self.frame.tall)
        own = own_cards(self.layer, grid_of(room, self.trace.meta.n_heads))
        self.play(Vanish(Group(*self.visible_parts())))
        self.play(LaggedStart(*map(Appear, own), lag_ratio=0.1), *self.say(own_words))
        splitting = chain(*(side.split_from(own) for side in sides))
        self.play(*self.say(words), *splitting)
        self.remove(*own)
        self.play(*(Appear(side.name) for side in sides), *(Appear(side.kept) for side in sides))
        self.play(*chain(*(side.recolour(side.model.patterns) for side in sides)))

    @beat(
        when=can_duel,
        ask="One shared set moves {shared_layer} of the attention. And one latent: {shared_again}, "
        "{between} or {latent_layer} percent?",
    )
    def all_heads_compared(self) -> None:
        """What [glows] is attention that lands on other words: {shared_layer} with one shared set,
        {latent_layer} with one latent."""
        sides, norm = self.sides, change_scale(self.models)
        changes = (side.recolour(side.model.differences, norm) for side in sides)
        line = Headline("", _("bright is what moved: less is better"), self.frame)
        self.play(
            *(Vanish(side.kept) for side in sides),
            *self.say(line),
            *chain(*changes),
        )
        said = (Appear(side.said) for side in sides)
        self.play(*said, *(side.count() for side in sides), run_time=COUNT)

    @beat(when=has_contest)
    def every_layer(self) -> None:
        """Do that in all {layers} layers, and {mqa_moved} moves with one shared set, {latent_moved}
        with one latent."""
        sides, layers = self.sides, self.facts["layers"]
        line = _("mean of all {layers} layers: less is better", layers=layers)
        self.play(
            *chain(*(side.collapse() for side in sides)),
            *(Appear(side.layers, rate_func=second_half) for side in sides),
            *self.say(Headline("", line, self.frame)),
        )
        self.add(*(side.bars for side in sides))
        self.play(*(side.rise() for side in sides), run_time=RISE, rate_func=linear)

    @beat(when=has_contest)
    def what_it_says(self) -> None:
        """And how does the whole model go on? With one shared set, the mean, like [this]; with the
        one that fits best, like [that]."""
        contest = at_equal_size(self.trace)
        assert contest is not None
        tokens = self.trace.meta.tokens[int(self.trace.meta.has_bos) : self.trace.meta.n_prompt]
        self.sayings = sayings = Sayings(tokens, self.models, contest, self.frame)
        self.play(Vanish(Group(*self.visible_parts())))
        self.play(Appear(sayings.prompt))
        bars = [Reveal(cells, in_diagonals(cells.shape)) for cells in sayings.bars]
        self.play(Appear(sayings.ways), *bars, run_time=2 * FILL)
        self.wait_for("this")
        self.play(Appear(sayings.shared))
        self.wait_for("that")
        self.play(
            Vanish(sayings.shared, rate_func=first_half),
            Appear(sayings.fitted, rate_func=second_half),
        )
        # A silence, in which the light of what failed sinks.
        self.play(Presence(sayings.bars[0], SUNK), run_time=SILENCE)

    @beat(
        when=has_contest,
        kept="With one latent: {next}.",
        lost="And with one latent, like this.",
    )
    def and_on_a_latent(self) -> None:
        self.play(Appear(self.sayings.latent))

    # The absorbed form

    def _show_formula(self) -> None:
        """Show the formula alone at the top of the stage, and its matrices below it."""
        stage = self.frame.stage
        upper, _lower = stage.split_rows((FORMULA, stage.height - FORMULA))
        self.formula = formula = BracketFormula(upper)
        made, forms, stop = self.made, self.view.forms, self.layer.stop
        # Keys of all tokens would be rebuilt, also of one that is not drawn elsewhere.
        every = replace(made["C"].source, index=((0, stop), (0, forms.rank)))
        latents = replace(made["C"], values=forms.kv_latent[:stop], source=every)
        factors = self.absorbed["query"], made["W_UK"].transposed, latents.transposed
        self.matrices = matrices_below(factors, formula)
        self.play(Vanish(Group(*self.visible_parts())))
        self.play(Appear(formula))
        self.play(LaggedStart(*map(Appear, self.matrices), lag_ratio=0.4))

    @property
    def _lower_half(self) -> tuple[Box, Box]:
        """Two rooms below the formula and its matrices: for what is computed, and for a figure."""
        stage = self.frame.stage
        room = Box.of(
            stage.left, stage.right, stage.bottom, float(self.matrices.get_bottom()[1]) - GAP
        )
        if self.frame.upright:
            # What stands on the floor is below, since the floor mirrors it.
            said, computed = room.split_rows(2, GAP)
        else:
            computed, said = room.split_columns(2, GAP)
        return computed, said

    @beat
    def a_new_query(self) -> None:
        """But only the latent is kept. Must [every] key of every head be rebuilt for every new
        token?"""
        tempo = self.theme.tempo
        self._show_formula()
        self.keys = keys = RebuiltKeys(self.view)
        computed, said = self._lower_half
        self.count = RebuiltCount(keys, said)
        below = Box.of(computed.left, computed.right, computed.bottom, computed.top - 2 * GAP)
        # Nothing is seen of the room yet.
        self.camera.shot = keys.shot(self.frame, below)
        self.wait_for("every")
        self.keys_name = keys.title(self.trace.meta.n_heads)
        self.play(
            AnimateWith(keys, lambda alpha: keys.sink(1 - alpha), introducer=True),
            Appear(self.count),
            Appear(self.keys_name),
            self.count.run_to(0, keys.numbers),
            run_time=2 * tempo.large,
        )

    @beat
    def move_the_bracket(self) -> None:
        """No: [move] the bracket. Then [no] key is ever built: the matrix is [applied] to the one
        new query."""
        keys, bottom = self.keys, float(self.matrices.get_bottom()[1])
        asked = asked_row(self.absorbed["asked"], self.formula, bottom - GAP)
        self.wait_for("move")
        self.play(self.formula.move_bracket(), run_time=HOP)
        self.wait_for("no")
        self.play(
            AnimateWith(keys, keys.sink),
            Vanish(self.keys_name),
            self.count.run_to(keys.numbers, 0),
            Vanish(self.count.factors),
            run_time=FALL,
        )
        self.remove(keys)
        none = fact("rebuilt keys", 0)
        words = heading(_("{number} keys rebuilt", number=none), self.frame.stage.width)
        words.next_to(asked, DOWN, buff=2 * GAP).set_x(self.frame.stage.x)
        self.play(Vanish(self.count), Appear(pin_to_frame(glow(words))))
        self.wait_for("applied")
        query = self.matrices[0][0].copy()
        self.play(Arrive(asked[0], asked[0].copy().replace(query, stretch=True)))
        self.play(Appear(asked[1:]))
        self.asked = asked

    @beat(
        plain="It meets the latents themselves, and the scores are the same.",
        rotated="It meets the latents themselves, and beside them the one rotated key.",
    )
    def the_latent_drops_in(self) -> None:
        for name in ("asked", "scored", "rope", "rope_query"):
            self.part(name, self.absorbed.get(name))
        self.camera.shot = Shot()
        # What is drawn whole there can move.
        whole = self.view.forms.rank <= LONGEST
        origins = {"asked": self.asked[0]} if whole else {}
        best = int(self.absorbed["scored"].values.argmax())
        marks = Mark("C", row=best), Mark("scored", row=best, label=Label(_("highest"), size=TEXT))
        show = partial(self.show, SCORES, tall=TALL_SCORES)
        show(later="scored", origins=origins)
        show(reveal="scored")
        show(marks=marks)

    @beat
    def the_pattern_mixes_latents(self) -> None:
        """The pattern mixes the latents themselves, so no [value] is built either."""
        for name in ("shares", "mix", "W_UV", "z"):
            self.part(name, self.absorbed[name])
        shares = self.absorbed["shares"].values
        lit = {"C": FAINT + (1 - FAINT) * shares / shares.max()}
        show = partial(self.show, MIX, tall=TALL_MIX, words="rows", lit=lit)
        show(later="= mix → W_UV z")
        self._add_up()
        show(later="→ W_UV z")
        self.wait_for("value")
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
        stage = self.frame.stage
        # Words about the difference stand below it, in a column as wide as it.
        outputs = Outputs(self.view, stage.width / (1.5 if self.frame.upright else 4))
        for name, matrix in outputs.parts.items():
            self.part(name, matrix)
        show = partial(self.show, OUTPUTS, tall=TALL_OUTPUTS)
        show(later="gone said", lit={"gone": 0.0})
        self.wait_for("both")
        gone = self.parts["gone"].cells
        over = [
            (block.copy(), end)
            for name in ("rebuilt", "read")
            for block, end in zip(self.parts[name].cells.blocks, gone.blocks, strict=True)
        ]
        for copy, _end in over:
            copy.label = ""
        self.play(*(Settle(copy, end.box) for copy, end in over), run_time=1.5)
        self.wait_for("nothing")
        self.play(
            *(
                Recolour(copy, values=end.values, norm=end.norm, source=end.source)
                for copy, end in over
            ),
            run_time=1.5,
        )
        self.remove(*(copy for copy, _end in over))
        show()

    # In the room again

    @beat
    def every_head_reads_it(self) -> None:
        """Every head reads the same latent, and each asks in its own way."""
        self.room = LightRoom(self.view, self.frame)
        words = Headline(
            counted_heads(self.trace.meta.n_heads),
            _("read one <latent>latent</latent>; no <key>keys</key>, no <value>values</value>"),
            self.frame,
        )
        stand(self, self.room.shot("arc"), self.room)
        self.play(self.room.rays(to_cards=True), *self.say(words))

    @beat
    def the_cache(self) -> None:
        """This is all that is kept: {cached} numbers for each token."""
        count = counted_heads(self.trace.meta.n_heads)
        line = (
            _(
                "all that this layer keeps of a token: a <latent>latent</latent> and a "
                "<key>rotated key</key>, for {heads}",
                heads=count,
            )
            if self.view.forms.d_rope
            else _(
                "all that this layer keeps of a token: one <latent>latent</latent> for {heads}",
                heads=count,
            )
        )
        words = Headline(_("{number} numbers", number=self.facts["cached"]), line, self.frame)
        room = words.below(head=2 * GAP, foot=GAP, left=WORD)
        if not self.frame.upright:
            # In the middle.
            room = Box.of(room.left, room.right - WORD, room.bottom, room.top)
        self.play(
            self.move_camera(self.room.close_up(self.frame, room)),
            *(Presence(card, 0.0) for card in self.room.cards),
            self.room.rays(False, to_cards=True),
            *self.say(words),
            run_time=self.theme.tempo.orbit,
        )
        one = np.maximum(self._last_row, FAINT)
        self.play(
            Appear(self.room.last_token(printable(self.layer.words[-1]))),
            *(ShowCells(plate.cells, one) for plate in self.room.kept),
        )
