"""Heads that share keys and values: a set for every head, one for each group, one for all."""

from __future__ import annotations

from functools import partial

from manim import Animation, Group, VMobject

from extract.sharing import groups_for
from extract.trace import Trace
from filmkit.core.animations import Appear, Presence, Recolour, Vanish, first_half, second_half
from filmkit.core.camera import Shot, set_depth_plane
from filmkit.core.facts import fact, told
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.norm import Norm
from filmkit.core.numbers import format_percent, format_rough, spoken_share
from filmkit.core.stage import Stage, beat
from filmkit.core.theme import current_theme
from filmkit.mobjects.shared_view import SharedView, require_shareable
from filmkit.world.headline import Headline
from filmkit.world.world import World
from scenes.sharing.scores import Scores, written

INSET = 0.1  # of a frame from the edge of its cell, as a share of the cell
MOST = 0.3  # gain of a cell, as a share of a row's attention, from which on it is white


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


def looked_most(pattern: Heatmap) -> VMobject:
    """Return frames around the cells of a pattern that have the most attention of their rows."""
    theme = current_theme()
    frames = VMobject(stroke_color=theme.muted, stroke_width=theme.thin, fill_opacity=0.0)
    ends = (INSET, INSET), (INSET, 1 - INSET), (1 - INSET, 1 - INSET), (1 - INSET, INSET)
    for row, column in enumerate(pattern.values.argmax(axis=1)):
        corners = [pattern.at(row + down, column + across) for down, across in (*ends, ends[0])]
        frames.start_new_path(corners[0]).add_points_as_corners(corners[1:])
    return set_depth_plane(frames, pattern)


class Sharing(Stage):
    """Plates of keys and values slide together, and patterns are computed again with them."""

    title = "Keys and values that heads share"
    tensors = ("q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    def prepare(self) -> None:
        meta = self.trace.meta
        require_shareable(self.trace)
        self.world = world = World(self.layer, self.frame)
        self.before = Group(*(looked_most(card.pattern) for card in world.cards))
        self.words: Headline | None = None
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
            return _("published scores, not the traced model"), ""
        return super().provenance_notes()

    def say(self, figure: str, line: str) -> list[Animation]:
        """Return animations that put other words in the place of the headline."""
        leaving = [Vanish(self.words, rate_func=first_half)] if self.words else []
        self.words = Headline(figure, line, self.frame)
        return [*leaving, Appear(self.words, rate_func=second_half)]

    def share(self, sets: int) -> None:
        """Let plates slide together until so many sets are left, and compute all again."""
        view = SharedView.of(self.layer, sets)
        moves = [self.world.slide_together(sets)]
        patterns = []
        if view.shared.pooled:
            for head, card in enumerate(self.world.cards):
                group = view.shared.group(head)
                for name, plates in (("k", self.world.keys), ("v", self.world.values)):
                    values, source = view.panel(name, group)
                    moves.append(Recolour(plates[head].cells, values=values, source=source))
                values, source = view.pattern(head)
                patterns.append(Recolour(card.pattern, values=values, source=source))
        self.play(*moves, run_time=2.0)
        if patterns:
            self.play(*patterns, Appear(self.before), run_time=2.0)

    @beat(
        own="Here is a plausible idea: heads look in different ways, so each needs keys and values "
        "of its own. It is called multi-head attention, and this model was trained like that.",
        other="Here is a plausible idea: heads look in different ways, so each needs keys and "
        "values of its own. It is called multi-head attention; but in this model, plates are "
        "[copies] of their neighbours'.",
    )
    def a_set_for_every_head(self) -> None:
        self.camera.shot = self.world.shot("arc")
        self.play(self.world.arrive())
        line = _("multi-head attention: <key>keys</key> and <value>values</value> for every head")
        self.play(*self.say("MHA", line))

    @beat(
        when=has_groups,
        own="Push equal plates together, and nothing on the cards moves. That is grouped-query "
        "attention: groups of heads share a set, and this model was trained like that.",
        other="In grouped-query attention, groups of heads share a set: here the mean of what they "
        "had. Patterns are computed again; frames stay where each word looked most.",
    )
    def a_set_for_each_group(self) -> None:
        line = _(
            "grouped-query attention: {groups} sets for {heads} heads",
            groups=groups_of(self.trace),
            heads=self.trace.meta.n_heads,
        )
        self.play(*self.say("GQA", line))
        self.share(groups_of(self.trace))

    @beat(
        own="In multi-query attention, all heads share a single set. This model was trained like "
        "that, so nothing on the cards moves.",
        other="Push all of them into one, their mean: multi-query attention. Patterns are computed "
        "again; frames stay where each word looked most.",
    )
    def one_set_for_all(self) -> None:
        heads = self.trace.meta.n_heads
        self.play(
            *self.say("MQA", _("multi-query attention: one set for all {heads}", heads=heads))
        )
        self.share(1)

    @beat(
        when=has_several,
        ask="One set of keys and values for {heads} heads: how much of the attention moves? "
        "{few}, {some} or {moved}?",
    )
    def attention_moves(self) -> None:
        """{moved}: what glows has moved to other words. The model was never trained for this."""
        norm = Norm.unit().scaled(MOST)
        moved = []
        for head, card in enumerate(self.world.cards):
            values, source = self.shared.gain(head)
            glow(card.pattern)
            moved.append(Recolour(card.pattern, values=values, norm=norm, source=source))
        words = self.say(self.moved, _("of the attention lands on other words"))
        self.play(*moved, *words, run_time=2.0)

    @beat
    def what_it_costs(self) -> None:
        """And trained like that from the start? Of three models, alike in nearly everything else,
        the average of four tests falls from {best} to {worst} percent."""
        scores = self.scores
        self.play(*(Presence(part, 0.0) for part in self.visible_parts()))
        self.clear()
        self.camera.shot = Shot()
        self.play(Appear(scores.ground), *scores.go_on(0))
        for stop in (1, 2):
            self.play(*scores.go_on(stop), run_time=2.0)
        self.play(Appear(scores.names))
