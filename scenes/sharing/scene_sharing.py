"""Heads that share keys and values: a set for every head, one for each group, one for all."""

from __future__ import annotations

from functools import partial

from manim import Group, smooth, squish_rate_func

from extract.attention.arithmetic import Array
from extract.recompute.sharing import groups_for
from extract.trace import Trace
from filmkit.core.animations import Appear, Presence, Recolour, Vanish
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import counted_heads, format_percent, format_rough, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.shared_view import SharedView, require_shareable
from filmkit.pictures.strips import GAP, Strip, Strips, keys_shown
from filmkit.world.headline import Headline
from filmkit.world.plates import HeadCard
from filmkit.world.world import World
from scenes.sharing.scores import SOURCE, Scores, written

Panel = tuple[Array, TensorSource]

# Seconds in which heads rise, plates slide, patterns change, and lines of scores go on.
RISE, SLIDE, COMPUTE, DRAW = 4.0, 2.6, 3.0, 2.6
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
        self.facts |= told(heads=meta.n_heads, best=(best, written), worst=(worst, written))
        if has_several(self.trace):
            self.shared = SharedView.of(self.layer, 1)
            share = self.shared.shared.pattern_distance.mean
            self.moved = fact("moved", share, partial(format_percent, digits=0))
            self.facts |= told(
                moved=(share, spoken_share),
                few=(10 * share, format_rough),
                some=(30 * share, format_rough),
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
        return super().provenance_notes()

    def share(self, sets: int) -> None:
        """Let plates slide together until so many sets are left, and compute all again."""
        self.play(self.world.slide_together(sets), run_time=SLIDE)
        view = SharedView.of(self.layer, sets)
        if view.shared.pooled:
            self.play(*(self.recolour(card, view.pattern(card.head)) for card in self.world.cards))

    def recolour(self, card: HeadCard, panel: Panel, norm: Norm | None = None) -> Recolour:
        """Return an animation in which a pattern becomes another panel, one head after another."""
        values, source = panel
        begin = LAG * card.head / (self.trace.meta.n_heads - 1)
        turn = squish_rate_func(smooth, begin, begin + 1 - LAG)
        return Recolour(
            card.pattern, values=values, norm=norm, source=source, rate_func=turn, run_time=COMPUTE
        )

    def moved_row(self, head: int, query: int, box: Box) -> Strips:
        """Return the row of a query in a head, before and with one set for all heads.

        Shares are written of the word that loses most and of the one that gains most.
        """
        layer, pattern = self.layer, self.layer.head(head)
        after, source = self.shared.pattern(head)
        change = after - pattern.pattern
        keys = keys_shown(query)
        lost, won = int(change[query, keys].argmin()), int(change[query, keys].argmax())
        strips = []
        for name, values, origin, sets in (
            (_("before"), pattern.pattern, pattern.pattern_source, 0),
            (_("one shared set"), after, source, 1),
        ):
            row = values[query, keys]
            numbers = {
                place: fact(
                    "moved weight",
                    row[place],
                    partial(format_percent, digits=0),
                    head=head,
                    pair=(query, keys.start + place),
                    sets=sets,
                )
                for place in (lost, won)
            }
            part = origin.part((query, query + 1), (keys.start, keys.stop))
            strips.append(Strip(name, row, Norm.unit(), part, numbers))
        return Strips(strips, layer.words[keys], box, down=self.frame.upright)

    @beat(
        own="Surely every head needs keys and values of its own: [multi-head] attention. This "
        "model was trained like that.",
        other="Surely every head needs keys and values of its own: [multi-head] attention. But "
        "here, dim plates only repeat others.",
    )
    def a_set_for_every_head(self) -> None:
        self.camera.shot = self.world.shot("arc")
        self.play(self.world.arrive(run_time=RISE))
        self.wait_for("multi-head")
        if self.trace.meta.n_kv_heads < self.trace.meta.n_heads:
            line = _(
                "multi-head attention: <key>keys</key> and <value>values</value> for every head; "
                "dim ones are copies"
            )
        else:
            line = _(
                "multi-head attention: <key>keys</key> and <value>values</value> for every head"
            )
        self.play(*self.say(Headline("MHA", line, self.frame)))

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
        self.play(*self.say(Headline("GQA", line, self.frame)))
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
        self.play(*self.say(Headline("MQA", line, self.frame)))
        self.share(1)

    @beat(
        when=has_several,
        ask="How much of the attention moves? {few}, {some} or {moved}?",
    )
    def attention_moves(self) -> None:
        """{moved} of the attention leaves its words and lands on others. Nobody trained the model
        for that."""
        most = int(self.shared.shared.row_distances.mean(axis=1).argmax())
        query = int(self.shared.change(most)[0].max(axis=1).argmax())
        line = _(
            "of the attention in {heads} moves to other words when they share one set; here, that "
            "of “{word}” in head {head}",
            heads=counted_heads(self.trace.meta.n_heads),
            word=printable(self.layer.words[query]),
            head=most,
        )
        words, world = Headline(self.moved, line, self.frame), self.world
        self.play(*self.say(words), *world.spotlight(world.cards[most]))
        moved = pin_to_frame(self.moved_row(most, query, words.below(head=GAP)))
        before, after = moved.rows
        room = (world.lines, *world.pairs, *world.cards)
        self.play(*(Presence(part, 0.0) for part in room))
        self.play(Appear(moved.words), Appear(before), run_time=COMPUTE)
        self.play(Appear(after), run_time=COMPUTE)

    @beat
    def what_it_costs(self) -> None:
        """And trained like that from the start? Of three models, alike in nearly everything else,
        the average of four tests falls from {best} to {worst} percent."""
        scores = self.scores
        self.play(Vanish(Group(*self.mobjects)))
        self.camera.shot = Shot()
        self.play(Appear(scores.ground), *scores.go_on(0))
        for stop in (1, 2):
            self.play(*scores.go_on(stop), run_time=DRAW)
        self.play(Appear(scores.names))

    @beat
    def what_else(self) -> None:
        """Fewer keys and values, worse answers. But must it be keys and values that all heads
        share?"""
        meta, world = self.trace.meta, World(self.layer, self.frame)
        world.share_at_once(1)
        line = _(
            "of one <key>key</key> and one <value>value</value> for each token, for {heads}",
            heads=counted_heads(meta.n_heads),
        )
        figure = _("{number} numbers", number=fact("budget", meta.d_qk + meta.d_v))
        self.play(Vanish(Group(*self.mobjects)))
        self.camera.shot = world.shot("arc")
        self.play(Appear(world))
        self.play(Appear(Headline(figure, line, self.frame)))
