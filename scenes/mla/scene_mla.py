"""Multi-head latent attention: one latent for all heads, the duel, and the absorbed form."""

from __future__ import annotations

from functools import partial

import numpy as np
from manim import Animation, Group, LaggedStart

from extract.conversion_report import at_equal_size, conversion_report
from extract.trace import Trace
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Recolour,
    Settle,
    Vanish,
    first_half,
    second_half,
)
from filmkit.core.camera import Shot
from filmkit.core.facts import told
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_decimal, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import beat
from filmkit.mobjects.latent_view import LatentView
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.world.headline import Headline
from filmkit.world.standing import stand
from filmkit.world.world import World
from scenes.mla.absorbed import (
    AtTop,
    BracketFormula,
    LightRoom,
    Outputs,
    RebuiltCount,
    RebuiltKeys,
    absorbed_parts,
    asked_row,
    matrices_below,
)

FORMULA = 2.0  # height of the formula, in scene units
WORD = 1.2  # room for the word of a token beside what is kept of it
GAP = 0.3  # between what stands side by side, in scene units
SMALLER = 0.55  # the formula above matrices, as a share of what it is alone
HOP, FALL = 0.6, 0.8  # seconds in which the bracket jumps, and towers fall
SCORES = """
    formula formula    formula
    asked   rope_query .
    latents rope       scored
"""
MIX = ". latents\nshares mix"
MIX_AND_VALUES = ". latents .\nshares mix z"
TALL_MIX_AND_VALUES = ". latents\nshares mix\n. z"
OUTPUTS = """
    rebuilt minus read equals gone
    said    said  said said   said
"""
TALL_OUTPUTS = "rebuilt\nminus\nread\nequals\ngone\nsaid"

DUEL = ("the_same_budget", "all_heads_compared", "every_layer", "what_it_says")
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
        self.world = World(self.layer, self.frame)
        self.words: Headline | None = None
        forms, meta = self.view.forms, self.trace.meta
        self.facts |= told(
            heads=meta.n_heads,
            layers=meta.n_layers,
            rank=forms.rank,
            sets=meta.n_kv_heads,
            cached=forms.n_cached,
        )
        if is_fitted(self.trace):
            self._prepare_losses()
        self.absorbed = absorbed_parts(self.view.head(self.head.head))

    def _prepare_losses(self) -> None:
        """Measure what a fitted latent loses, and add it to the facts."""
        latent_head, meta = self.view.head(self.head.head), self.trace.meta
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
        return "rotated" if self.view.forms.d_rope else "plain"

    def say(self, words: Headline) -> list[Animation]:
        """Return animations that put other words in the place of those over the room."""
        leaving = [Vanish(self.words, rate_func=first_half)] if self.words else []
        self.words = words
        return [*leaving, Appear(words, rate_func=second_half)]

    # One latent, expanded

    @beat
    def one_latent_for_all(self) -> None:
        """All heads' keys and values are made from one small latent: {rank} numbers a token."""
        self.camera.shot = self.world.shot("arc")
        self.play(self.world.arrive())
        line = _("multi-head latent attention: one <latent>latent</latent> for all heads")
        self.play(*self.say(Headline("MLA", line, self.frame)))

    # The absorbed form

    def _show_formula(self, *, moved: bool) -> BracketFormula:
        """Show the formula alone at the top of the stage, and its matrices below it."""
        stage = self.frame.stage
        formula = BracketFormula(stage.width, FORMULA, moved=moved)
        self.part("formula", AtTop(formula, stage.width, 0.96 * stage.height))
        self.show("formula")
        (shown,) = self.parts["formula"].pieces.values()
        assert isinstance(shown, BracketFormula)
        self.matrices = matrices_below(self.absorbed, shown)
        return shown

    @property
    def _lower_half(self) -> tuple[Box, Box]:
        """Two rooms below the formula and its matrices: for what is computed, and for a figure."""
        stage = self.frame.stage
        room = Box.of(
            stage.left, stage.right, stage.bottom, float(self.matrices.get_bottom()[1]) - GAP
        )
        if self.frame.upright:
            # What stands on the floor is below, since the floor mirrors it.
            figure, computed = room.split_rows(2, GAP)
            return computed, figure
        return room.split_columns(2, GAP)

    @beat
    def a_new_query(self) -> None:
        """But only the latent is kept. Must [every] key of every head be rebuilt for every new
        token?"""
        tempo = self.theme.tempo
        self._show_formula(moved=False)
        self.play(LaggedStart(*map(Appear, self.matrices), lag_ratio=0.4))
        self.keys = keys = RebuiltKeys(self.view)
        computed, figure = self._lower_half
        self.count = RebuiltCount(keys, figure)
        below = Box.of(computed.left, computed.right, computed.bottom, computed.top - 2 * GAP)
        # Nothing is seen of the room yet.
        self.camera.shot = keys.shot(self.frame, below)
        self.wait_for("every")
        self.keys_name = keys.title()
        self.play(
            AnimateWith(keys, lambda alpha: keys.sink(1 - alpha), introducer=True),
            Appear(self.count),
            Appear(self.keys_name),
            self.count.run_to(0, keys.numbers),
            run_time=2 * tempo.large,
        )

    @beat
    def move_the_bracket(self) -> None:
        """No: [move] the bracket. Apply the matrix to the one new query, and no key is ever
        built."""
        formula, keys = self.parts["formula"].whole[0], self.keys
        asked = asked_row(self.absorbed["asked"], self._lower_half[0])
        self.wait_for("move")
        self.play(formula.move_bracket(), run_time=HOP)
        self.play(
            AnimateWith(keys, keys.sink),
            Vanish(self.keys_name),
            self.count.run_to(keys.numbers, 0),
            Vanish(self.count.factors),
            run_time=FALL,
        )
        self.remove(keys)
        query = self.matrices[0][0].copy()
        self.play(Arrive(asked[0], asked[0].copy().replace(query, stretch=True)))
        self.play(Appear(asked[1:]))
        self.asked = asked

    @beat(
        plain="It meets the latents themselves, and the scores are the same.",
        rotated="It meets the latents themselves, and beside them the one rotated key.",
    )
    def the_latent_drops_in(self) -> None:
        self._add_parts()
        # Beside the words of the tokens it is less wide.
        width, height = SMALLER * self.frame.stage.width, SMALLER * FORMULA
        self.part("formula", partial(BracketFormula, width, height, moved=True))
        self.camera.shot = Shot()
        origins = {"asked": self.asked[0], "latents": self.matrices[2][0]}
        self.show(SCORES, later="scored", origins=origins)
        self.show(SCORES, reveal="scored")

    def _add_parts(self) -> None:
        """Add the matrices of the head in the absorbed form to those that mosaics can name."""
        for name, matrix in self.absorbed.items():
            self.part(name, matrix)

    @beat
    def the_pattern_mixes_latents(self) -> None:
        """The pattern mixes the latents themselves, so no [value] is built either."""
        self._add_parts()
        weights, row = self.absorbed["shares"].values[-1], self.layer.count - 1
        last = np.arange(self.layer.count)[:, None] == row
        lit = {"latents": weights[:, None] / weights.max()}
        marks = Mark("shares", row=row), Mark("mix", row=row)
        self.show(MIX, lit={"mix": 0.0})
        self.show(MIX, marks=marks[:1], lit={"mix": 0.0})
        self.show(MIX, marks=marks[:1], lit=lit | {"mix": 0.0})
        self._add_up()
        self.show(MIX, marks=marks, lit=lit | {"mix": last * 1.0})
        self.show(MIX, marks=marks)
        self.wait_for("value")
        show = partial(self.show, MIX_AND_VALUES, tall=TALL_MIX_AND_VALUES)
        show(marks=marks, reveal="z")
        show(marks=(*marks, Mark("z", row=row)))

    def _add_up(self) -> None:
        """Let all latents come together in the last row of the mix."""
        pairs = zip(self.parts["latents"].cells.blocks, self.parts["mix"].cells.blocks, strict=True)
        flights = [
            Settle(row, place.row(-1)) for block, place in pairs for row in block.split_rows()
        ]
        self.play(LaggedStart(*flights, lag_ratio=0.05), run_time=2.0)

    @beat
    def both_forms_agree(self) -> None:
        """Computed both ways, the output is the same. The difference goes [black]: nothing but
        rounding."""
        outputs = Outputs(self.view, self.frame.stage.width)
        for name, matrix in outputs.parts.items():
            self.part(name, matrix)
        show = partial(self.show, OUTPUTS, tall=TALL_OUTPUTS)
        show(later="gone said", lit={"gone": 0.0})
        self.wait_for("black")
        gone = self.parts["gone"].cells
        over = [
            (block.copy(), end)
            for name in ("rebuilt", "read")
            for block, end in zip(self.parts[name].cells.blocks, gone.blocks, strict=True)
        ]
        self.play(*(Settle(copy, end.box) for copy, end in over), run_time=1.5)
        self.play(
            *(Recolour(copy, values=end.values, norm=end.norm) for copy, end in over),
            run_time=1.5,
        )
        self.remove(*(copy for copy, _end in over))
        show()

    # In the room again

    @beat
    def every_head_reads_it(self) -> None:
        """All {heads} heads read one latent, and each has its own way of asking."""
        self.room = LightRoom(self.view, self.frame)
        self.words = Headline(
            counted_heads(self.trace.meta.n_heads),
            _("read one <latent>latent</latent>; no <key>keys</key>, no <value>values</value>"),
            self.frame,
        )
        stand(self, self.room.shot("arc"), self.room)
        self.play(self.room.rays(to_cards=True), Appear(self.words))

    @beat
    def the_cache(self) -> None:
        """This is all that is kept: {cached} numbers for each token."""
        words = Headline(
            _("{number} numbers", number=self.facts["cached"]),
            _(
                "of <latent>latent</latent>: all that is kept of a token, for {heads}",
                heads=counted_heads(self.trace.meta.n_heads),
            ),
            self.frame,
        )
        room = words.below(head=2 * GAP, foot=GAP, left=WORD)
        self.play(
            self.move_camera(self.room.close_up(self.frame, room)),
            Vanish(Group(*self.room.cards)),
            self.room.rays(False, to_cards=True),
            *self.say(words),
            run_time=self.theme.tempo.orbit,
        )
        self.play(Appear(self.room.last_token(printable(self.layer.words[-1]))))
