"""All heads of a layer: in one room, and their outputs mixed into the output of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from manim import Animation, Group, LaggedStart, Succession, VGroup, linear

from filmkit.core.animations import (
    Appear,
    Glide,
    Presence,
    ShowCells,
    Vanish,
    at_once,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.facts import claim, named_facts
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, counted_patterns, counted_sets
from filmkit.core.seats import shot_of
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.pictures.parts import TEXT
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_tensor, whole_head
from filmkit.world.standing import words_at
from filmkit.world.world import World
from scenes.heads.parts import WAY, WideRow, way_through

FAINT = 0.16  # opacity of cells that are not meant
NAME, NAME_GAP = 1.4 * TEXT, 0.3  # size of names beside a head, and how far away they are
BELOW = 0.25  # between words and cards, in scene units
MOST_LINES = 9  # ends of lines before a matrix
LOWER = 0.8  # height of rows below patterns, as a share of what is left
SEAM = 0.07  # between the outputs of two heads, in scene units
GAPS = 1.8  # height of gaps and the last line beside two rows
WALK, PASSED = 4.5, 12  # seconds of the walk along the heads, and how many it passes at most


class Heads(Stage):
    """From one head on its card to all heads of its layer, and to what they make together."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")

    def prepare(self) -> None:
        layer, meta, free = self.layer, self.trace.meta, self.frame.free
        self.query = best_match(self.head)[0]
        self.span = self.query, self.query + 1
        self.facts |= named_facts(
            layer=layer.layer,
            columns=meta.n_heads * meta.d_v,
            heads=meta.n_heads,
            sets=(meta.n_kv_heads, counted_sets),
            query=printable(layer.words[self.query]),
        )
        self.world = World(layer, self.frame)
        self.names = VGroup()
        self.same = self.headline_of(
            counted_patterns(meta.n_heads),
            _("of the same words: “{words}”", words=printable("".join(layer.words)).strip()),
        )
        self.plates = [*self.world.pairs, self.world.lines]
        for plate in (*self.world.keys, *self.world.values):
            # Before they slide together every head has its pair, as bright as the others.
            plate.cells.set_opacity(1.0)
        self.wide = self.headline_of(
            _(
                "{columns} numbers for “{query}”",
                columns=self.facts["columns"],
                query=self.facts["query"],
            ),
            _(
                "{own} from each of {heads}, for the framed row",
                heads=counted_heads(meta.n_heads),
                own=meta.d_v,
            ),
        )
        self.one = self.headline_of(
            _("One output for “{query}”", query=self.facts["query"]),
            _("the output matrix mixes the numbers of all heads"),
        )
        self.room = self.one.below().height - GAPS - WAY
        self.part(
            "W_O",
            way_through("W_O", _("output matrix"), free.width, min(meta.n_heads, MOST_LINES)),
        )
        self.part("out", WideRow(self._output(), free.width, 0.42 * self.room))
        biased = any(self.trace.has("b_O", number) for number in self.trace.layers_with_weights())
        made = claim(
            biased,
            _("plus a bias: attention output of this layer"),
            _("attention output of this layer"),
        )
        self.part("made", Label(made, size=1.2 * TEXT))

    # Parts

    def _outputs(self, height: float, above: Sequence[Heatmap] = ()) -> WideRow:
        """Return the row of z of the followed token, from all heads, side by side."""
        heads = range(self.trace.meta.n_heads)
        rows = [head_tensor(self.layer.head(h), "z").heatmap(Box(0, 0, 1, 1)) for h in heads]
        blocks = [row.part(self.span, (0, self.trace.meta.d_v)) for row in rows]
        names = [[_("head {head}", head=head) for head in heads], [*map(str, heads)]]
        if self.frame.upright and not above:
            names = []  # rows on several lines would be thinner than what names them
        width = self.frame.free.width
        word = printable(self.layer.words[self.query])
        return WideRow(blocks, width, height, names, SEAM, above, self.query, word)

    def _output(self) -> list[Heatmap]:
        """Return the row of the layer's output of the followed token, in as many blocks."""
        meta = self.trace.meta
        source = self.layer.source("out", (0, meta.d_model))
        whole = Heatmap(self.layer.rows("out"), self.layer.norm("out"), source=source)
        ends = np.linspace(0, meta.d_model, meta.n_heads + 1).astype(int).tolist()
        return [whole.part(self.span, columns) for columns in pairwise(ends)]

    # The room

    def _enter(self, *, wall: bool = False) -> None:
        """Stand in the room as the beat before leaves it, where that was not played."""
        if self.world not in self.mobjects:
            self.add(self.world)
            self.camera.shot = self.world.shot("wall" if wall else "arc")
            if wall:
                set_presence(Group(*self.plates), 0.0)
                at_once(self._hang_up())

    def _hang_up(self) -> Animation:
        """Return the animation in which the cards fill the frame below the words."""
        return self.world.hang_up(self.same.below(head=BELOW, foot=BELOW), run_time=2.4)

    def _names(self, head: int) -> VGroup:
        """Return the names of what stands on the card of a head and before it, beside each."""
        plan, theme, names = self.world.plan, self.theme, VGroup()
        width = 0.28 * self.frame.free.width
        for text, meaning, colour, place, side in (
            (_("pattern"), _("pattern: who reads whom"), theme.ink, plan.card(head), 1),
            (_("keys"), _("keys: how a word is found"), theme.key, plan.plate(head, 0), -1),
            (_("values"), _("values: what it hands on"), theme.value, plan.plate(head, 1), 1),
        ):
            at, away = place.point(side * place.width / 2, 0.0), (side * NAME_GAP, 0.0)
            text = text if self.frame.upright else meaning
            names.add(words_at(text, at, away=away, width=width, size=NAME, colour=colour))
        return names

    def _close(self, head: int) -> Shot:
        """Return the shot of a card alone, which fills most of the frame's height or width."""
        card = self.world.plan.card(head)
        height = card.height * max(1.7, 1.2 * self.frame.height / self.frame.width)
        return replace(self.world.shot("card", head), center=card.center, height=height)

    @beat
    def one_head_on_a_card(self) -> None:
        """Stand this head up as a card: its pattern, and before it its [keys] and [values]."""
        head, world = self.head.head, self.world
        mosaic, tall = whole_head(self.layer)
        self.show(mosaic, tall=tall, words="rows")
        self.show("pattern pattern\nK V")
        self.names = self._names(head)
        line = _("head {head} of layer {layer}", head=head, layer=self.facts["layer"])
        words = self.headline_of(_("One head"), line)
        plan, ahead = world.plan, world.shot("card", head)
        places = plan.card(head), plan.plate(head, 0), plan.plate(head, 1)
        shot = shot_of(
            np.concatenate([place.corners for place in places]),
            self.frame,
            into=words.below(),
            turn=ahead.theta,
            tilt=ahead.phi,
            words=self.names.submobjects,
        )
        self.play(*world.settle(self, head, shot, alone=True))
        self.play(*self.say(words), Appear(self.names))

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def all_heads_slide_in(self) -> None:
        """Layer {layer} has {heads} of them. All read the same words, at the same time."""
        self._enter()
        count = self.trace.meta.n_heads
        others = [head for head in range(count) if head != self.head.head]
        coming = self.move_camera(self.world.shot("arc")), self.world.arrive(others)
        self.play(
            *coming,
            *self.say(),
            *([Vanish(self.names)] if self.names in self.mobjects else []),
        )
        meta = self.trace.meta
        name = claim(
            meta.attention == "mla", _("each with its <key>keys</key> and <value>values</value>")
        ) or claim(
            meta.n_kv_heads == count,
            _(
                "each with its <key>keys</key> and <value>values</value>: "
                "multi-head attention (MHA)"
            ),
            _(
                "if each had its own <key>keys</key> and <value>values</value>: "
                "multi-head attention (MHA)"
            ),
        )
        self.play(*self.say(self.headline_of(counted_heads(count), name)))

    @beat(when=lambda trace: trace.meta.n_kv_heads < trace.meta.n_heads)
    def some_share_keys_and_values(self) -> None:
        """In this model, heads next to each other have equal [keys] and [values]:
        all they need is {sets}."""
        self._enter()
        world, sets = self.world, self.trace.meta.n_kv_heads
        for number in range(sets):
            pairs = [p for h, p in enumerate(world.pairs) if self.trace.kv_head(h) == number]
            self.play(*self.say(), *world.spotlight(*pairs), run_time=min(0.8, 2.4 / sets))
        self.play(*world.spotlight(*world.pairs))
        self.play(world.slide_together(sets), run_time=2.0)
        sets_of = claim(
            sets > 1,
            _("of <key>keys</key> and <value>values</value>: grouped-query attention (GQA)"),
            _("of <key>keys</key> and <value>values</value>: multi-query attention (MQA)"),
        )
        words = self.headline_of(self.facts["sets"], sets_of)
        self.play(*self.say(words), *world.spotlight(world))

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def along_the_heads(self) -> None:
        """Every head asks with queries of its own, so it has a pattern of its own."""
        self._enter()
        # Along one row of the arc, and back along the next; of many heads the first ones will do.
        rows = np.split(np.arange(self.trace.meta.n_heads), np.cumsum(self.world.plan.rows)[:-1])
        order = np.concatenate([row[:: (-1) ** number] for number, row in enumerate(rows)])
        shots = [self._close(head) for head in order[:PASSED].tolist()]
        pace = {"run_time": WALK / len(shots), "rate_func": linear}
        self.play(*(Presence(part, 0.0) for part in self.plates), *self.say())
        self.play(self.move_camera(shots[0], run_time=2.0))
        self.play(Succession(*(self.move_camera(shot, **pace) for shot in shots)))
        self.play(self.move_camera(self.world.shot("wall"), run_time=2.4), self._hang_up())
        self.play(*self.say(self.same))

    # The output

    @beat
    def outputs_line_up(self) -> None:
        """Follow the row of [“{query}”] through all heads: their outputs, side by side, are one
        row of {columns} numbers."""
        self._enter(wall=True)
        meant = np.arange(self.layer.count)[:, None] == self.query
        patterns = [card.pattern for card in self.world.cards]
        dimmed = [ShowCells(p, p.shown * np.where(meant, 1.0, FAINT)) for p in patterns]
        self.play(*dimmed, *self.say())
        # Nothing is played: it is known then where everything will be.
        shot, self.camera.shot = self.camera.shot, Shot()
        self.remove(self.world)
        above = [
            head_tensor(self.layer.head(head), "pattern").heatmap(Box(0, 0, 1, 1)).set_masked(0.0)
            for head in range(len(patterns))
        ]
        height = self.wide.below(head=BELOW).height * (1.0 if self.frame.upright else LOWER)
        self.part("outputs", self._outputs(height, above))
        self.show("outputs", headline=self.wide, later="outputs")
        self.add(self.world)
        self.camera.shot = shot
        pieces = dict(self.parts["outputs"].pieces)
        rest = [pieces.pop(name) for name in ("names", "frames", "arrows", "word")]
        places = {name: piece.copy() for name, piece in pieces.items()}
        for number, pattern in enumerate(patterns):
            pieces[f"above {number}"].points = pattern.points.copy()
            pieces[f"block {number}"].points = pattern.part(self.span, (0, self.layer.count)).points
        self.play(*map(Appear, pieces.values()), Vanish(self.world), run_time=1.0)
        self.play(
            *(Glide(piece, places[name]) for name, piece in pieces.items()),
            self.move_camera(Shot()),
            run_time=2.4,
        )
        self.play(*map(Appear, (self.wide, *rest)))

    @beat
    def one_output(self) -> None:
        """A last matrix, W O, mixes all these numbers into the layer's attention output, as wide
        as the input."""
        self.part("outputs", self._outputs(0.58 * self.room))
        self.show("outputs\nW_O\nout\nmade", headline=self.one, later="W_O out made")
        way, blocks = self.parts["W_O"].whole[0], self.parts["out"].pieces.values()
        # From row to row, over the gaps of the mosaic.
        top, bottom = self.parts["outputs"].box.bottom, self.parts["out"].box.top
        way[0].stretch_to_fit_height(top - bottom).set_y((top + bottom) / 2)
        self.play(LaggedStart(*map(Appear, way), lag_ratio=0.8, run_time=1.6))
        self.play(LaggedStart(*map(Appear, blocks), lag_ratio=0.3))
        self.play(Appear(self.parts["made"].whole))
