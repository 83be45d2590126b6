"""Heads that share keys and values: a set for every head, one for each group, one for all."""

from __future__ import annotations

import numpy as np
from manim import (
    DOWN,
    RIGHT,
    UP,
    DashedVMobject,
    Group,
    LaggedStart,
    Rectangle,
    VGroup,
    smooth,
    squish_rate_func,
)

from extract.recompute.sharing import groups_for
from extract.trace import Trace
from filmkit.core.animations import Appear, Presence, Recolour, Vanish, first_half
from filmkit.core.arrival import stand_for
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import _
from filmkit.core.norm import Norm
from filmkit.core.numbers import (
    counted_heads,
    format_decimal,
    format_rough,
    spoken_share,
    whole_percent,
)
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.shared_view import SharedView, counted_rows, require_shareable
from filmkit.world.plates import HeadCard
from filmkit.world.world import World
from scenes.sharing.scores import SOURCE, Scores, written

# Seconds in which heads rise, plates slide, patterns change, and lines of scores go on.
RISE, SLIDE, COMPUTE, DRAW = 4.0, 3.0, 3.0, 3.0
SHARE, INSET = 0.17, 0.05  # size of a share on a card, and how far below its top, in cards
BELOW_WORDS = 0.25  # from a headline to the cards, in scene units
BELOW_SHARE = 0.1  # from a share to the name of its head, in scene units
AROUND, DASHES, MARK = 0.15, 48, 0.12  # the frame around a set: room, dashes, and its "?"
LAG = 0.6  # share of the time in which patterns begin to change


def groups_of(trace: Trace) -> int:
    """Return the number of groups of heads: the model's own, or else as many as divide them."""
    meta = trace.meta
    return meta.n_kv_heads if meta.n_kv_heads < meta.n_heads else groups_for(meta.n_heads)


def has_groups(trace: Trace) -> bool:
    """Return whether there are groups between a set for every head and one for all."""
    return 1 < groups_of(trace) < trace.meta.n_heads


def has_several(trace: Trace) -> bool:
    """Return whether the model has more than one set, so that one for all changes its patterns."""
    return trace.meta.n_kv_heads > 1


def has_copies(trace: Trace) -> bool:
    """Return whether some heads of the model have the same keys and values."""
    return trace.meta.n_kv_heads < trace.meta.n_heads


class Sharing(Stage):
    """Plates of keys and values slide together, and patterns are computed again with them."""

    title = "Keys and values that heads share"
    tensors = ("q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    def prepare(self) -> None:
        meta = self.trace.meta
        require_shareable(self.trace)
        self.world = World(self.layer, self.frame)
        self.scores = Scores(self.frame)
        best, *_between, worst = self.scores.means
        self.facts |= named_facts(heads=meta.n_heads, best=(best, written), worst=(worst, written))
        if has_several(self.trace):
            self.shared = SharedView.of(self.layer, 1)
            share = self.shared.shared.pattern_distance.mean
            self.moved = fact("moved", share, whole_percent)
            self.facts |= named_facts(
                moved=(share, spoken_share),
                few=(10 * share, format_rough),
                some=(20 * share, format_rough),
                percent=(100 * share, format_decimal),
            )

    def variant(self, beat: str) -> str:
        meta = self.trace.meta
        own = meta.n_heads
        if beat != "a_set_for_every_head":
            own = 1 if beat == "one_set_for_all" else groups_of(self.trace)
        return "own" if meta.n_kv_heads == own else "other"

    def provenance_notes(self) -> tuple[str, str]:
        if self.playing == "what_it_costs":
            return _("published scores, not the traced model"), _(SOURCE)
        model, hidden = super().provenance_notes()
        if self.playing == "a_set_for_every_head" and has_copies(self.trace):
            model += "  ·  " + _("some keys and values are equal here")
        return model, hidden

    def share(self, sets: int) -> None:
        """Let plates slide together until so many sets are left, and compute all again."""
        self.play(self.world.slide_together(sets), run_time=SLIDE)
        view = SharedView.of(self.layer, sets)
        if view.shared.pooled:
            self.play(*(self.recolour(card, view.pattern(card.head)) for card in self.world.cards))

    def recolour(self, card: HeadCard, matrix: Matrix, norm: Norm | None = None) -> Recolour:
        """Return an animation in which a pattern becomes another matrix, one head after another."""
        begin = LAG * card.head / (self.trace.meta.n_heads - 1)
        turn = squish_rate_func(smooth, begin, begin + 1 - LAG)
        return Recolour(
            card.pattern,
            values=matrix.values,
            norm=norm,
            source=matrix.source,
            rate_func=turn,
            run_time=COMPUTE,
        )

    @beat(
        own="Surely every head needs keys and values of its own: [multi-head] attention. This "
        "model was trained like that.",
        other="Surely every head needs keys and values of its own: [multi-head] attention. But "
        "here, some neighbours have the same ones.",
    )
    def a_set_for_every_head(self) -> None:
        self.camera.shot = self.world.shot("arc")
        for pair in self.world.pairs:
            for plate, role in zip(pair, ("key", "value"), strict=True):
                plate.cells.set_opacity(1.0)  # copies too: they are to be compared
                stand_for(plate.body, role)  # a slab of the scene before
        self.play(self.world.arrive(run_time=RISE))
        self.wait_for("multi-head")
        line = claim(
            has_copies(self.trace),
            _(
                "multi-head attention, if every head had its own <key>keys</key> and "
                "<value>values</value>"
            ),
            _("multi-head attention: <key>keys</key> and <value>values</value> for every head"),
        )
        self.play(*self.say(self.headline_of("MHA", line)))

    @beat(
        when=has_groups,
        own="Push copies together, and nothing on the cards moves: grouped-query attention. This "
        "model was trained like that.",
        other="Let groups of heads share the mean of what they had: grouped-query attention. All "
        "patterns are computed again.",
    )
    def a_set_for_each_group(self) -> None:
        line = _(
            "grouped-query attention: {groups} sets of <key>keys</key> and "
            "<value>values</value> for {heads} heads",
            groups=groups_of(self.trace),
            heads=self.trace.meta.n_heads,
        )
        self.play(*self.say(self.headline_of("GQA", line)))
        self.share(groups_of(self.trace))

    @beat(
        own="One set for all heads: multi-query attention. This model was trained like that, so "
        "nothing on the cards moves.",
        other="One set for all heads, the mean: multi-query attention. All patterns are computed "
        "again.",
    )
    def one_set_for_all(self) -> None:
        line = _(
            "multi-query attention: one set of <key>keys</key> and <value>values</value> for "
            "all {heads} heads",
            heads=self.trace.meta.n_heads,
        )
        self.play(*self.say(self.headline_of("MQA", line)))
        self.share(1)

    @beat(
        when=has_several,
        ask="If all heads of a layer use the mean of their keys and values, how much of the "
        "attention moves to other words: [{few}], [{some}] or [{percent}] percent?",
        answer="percent",
        choice="{choice} percent",
    )
    def attention_moves(self) -> None:
        """{moved} of the attention leaves its words and lands on others. Nobody trained the model
        for that."""
        line = _(
            "mean of {heads} and {rows}; the <highlight>stronger</highlight>, the more attention "
            "moved",
            heads=counted_heads(self.trace.meta.n_heads),
            rows=counted_rows(self.trace),
        )
        figure = _("Sharing moves {share} of the attention", share=self.moved)
        words, world = self.headline_of(figure, line), self.world
        names = [card.name for card in world.cards if card.name is not None]
        rest = (world.lines, *world.pairs, *names)
        self.play(
            *self.say(words),
            *(Presence(part, 0.0, rate_func=first_half) for part in rest),
            world.hang_up(words.below(head=BELOW_WORDS)),
            self.move_camera(world.shot("wall")),
            run_time=self.theme.tempo.swing,
        )
        norm = self.shared.difference_norm
        moved = ((card, self.shared.difference(card.head)) for card in world.cards)
        for card in world.cards:
            card.pattern.label = _("moved attention")
        self.play(*(self.recolour(card, panel, norm) for card, panel in moved))
        shares = [self.moved_in(card) for card in world.cards if card.name is not None]
        if shares:  # on small cards there is no room for them
            self.play(LaggedStart(*map(Appear, shares), lag_ratio=0.2), run_time=COMPUTE / 2)

    def moved_in(self, card: HeadCard) -> VGroup:
        """Return the share of a head's attention that moves and its name, for where the mask is."""
        share = fact(
            "moved in a head",
            self.shared.shared.row_distances[card.head].mean(),
            whole_percent,
            head=card.head,
        )
        rows, columns = card.pattern.shape
        size = max(TEXT, SHARE * float(card.pattern.width) / FRAME_HEIGHT)
        label = Label(share, size=size).move_to(card.pattern.at(INSET * rows, columns), UP + RIGHT)
        words = VGroup(label)
        for text in (_("head {head}", head=card.head), str(card.head)):
            name = Label(text, size=TEXT, colour=self.theme.muted)
            name.next_to(label, DOWN, buff=BELOW_SHARE, aligned_edge=RIGHT)
            # Cells stand below the diagonal.
            below = float(card.pattern.get_top()[1] - name.get_bottom()[1])
            if name.width + below <= (1 - 1 / columns) * card.pattern.width:
                return words.add(name)
        return words

    @beat
    def what_it_costs(self) -> None:
        """And trained like that from the start? Across three models, alike in nearly everything
        else, the average of four tests falls from {best} to {worst} percent."""
        scores = self.scores
        self.play(Vanish(Group(*self.mobjects)))
        self.camera.shot = Shot()
        self.play(Appear(scores.ground), *scores.go_on(0))
        for stop in (1, 2):
            self.play(*scores.go_on(stop), run_time=DRAW)

    @beat
    def what_else(self) -> None:
        """Fewer keys and values, worse answers. But must it be keys and values that all heads
        share?"""
        meta, world = self.trace.meta, World(self.layer, self.frame)
        world.share_at_once(1)
        line = _(
            "<latent>something else</latent>, no larger than one <key>key</key> and one "
            "<value>value</value>: {number} numbers",
            number=fact("budget", meta.d_qk + meta.d_v),
        )
        self.play(Vanish(Group(*self.mobjects)))
        words = self.headline_of(_("Share something better?"), line)
        self.camera.shot = world.plan.below(words.below().top)
        self.play(world.arrive(run_time=SLIDE))
        self.play(*self.say(words), Appear(self.replaced()))

    def replaced(self) -> VGroup:
        """Return a dashed frame around the set of all heads, and a question mark beside it."""
        first, last = (self.world.plan.set_plate(0, 1, side) for side in (0, 1))
        width = last.center[0] - first.center[0] + first.width
        middle = (np.array(first.center) + last.center) / 2
        around = Rectangle(width=width + 2 * AROUND, height=first.height + 2 * AROUND)
        around.move_to(middle).set_stroke(self.theme.latent, width=self.theme.bold)
        mark = Label("?", size=MARK, colour=self.theme.latent, weight="semibold")
        at = around.get_right()
        mark.on_line(mark.width / 2 + AROUND, 0.0)
        return VGroup(DashedVMobject(around, num_dashes=DASHES), keep_upright(mark, at))
