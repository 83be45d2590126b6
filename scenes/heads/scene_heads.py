"""All heads of a layer: in one room, and their outputs mixed into the output of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from manim import Animation, Group, LaggedStart, Mobject

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Glide,
    Presence,
    ShowCells,
    Vanish,
    set_presence,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import told
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import counted_heads, counted_patterns, format_count
from filmkit.core.printable import printable
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.view import best_match
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.sentence import Sentence
from filmkit.pictures.parts import TEXT
from filmkit.pictures.stage import Stage
from filmkit.pictures.texts import figure
from filmkit.world.headline import Headline
from filmkit.world.world import World
from scenes.heads.parts import WAY, Along, Through, WideRow

FAINT = 0.16  # opacity of cells that are not meant
SEAM = 0.07  # between the outputs of two heads, in scene units
TEXTS = 2.4  # height of all texts beside two rows

HEAD = """
    .  Kt      .        V
    Q  scores  pattern  z
"""
TALL_HEAD = """
    .        Kt
    Q        scores
    .        V
    pattern  z
"""


class Heads(Stage):
    """From one head on its card to all heads of its layer, and to what they make together."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")

    def prepare(self) -> None:
        layer, meta, stage = self.layer, self.trace.meta, self.frame.stage
        self.query = best_match(self.head)[0]
        self.facts |= told(
            layer=layer.layer,
            columns=meta.n_heads * meta.d_v,
            heads=meta.n_heads,
            groups=meta.n_kv_heads,
            query=printable(layer.words[self.query]),
        )
        self.world = World(layer, self.frame)
        self.words: Mobject = Group()
        for plate in (*self.world.keys, *self.world.values):
            # Before they slide together every head has its pair, as bright as the others.
            plate.cells.set_opacity(1.0)
        outputs, names = self._outputs()
        room = stage.height - TEXTS - WAY
        row = WideRow(outputs, stage.width, 0.58 * room, names, SEAM)
        self.part("sentence", self._sentence)
        self.part("count", self._count)
        self.part("outputs", row)
        self.part("W_O", Through(row, "W_O"))
        self.part("out", WideRow(self._output(), stage.width, 0.42 * room))
        self.part("made", lambda: Label(_("output of the layer"), size=1.2 * TEXT))

    def variant(self, beat: str) -> str:
        meta = self.trace.meta
        count = meta.n_kv_heads if beat == "some_share_keys_and_values" else meta.n_heads
        return "several" if count > 1 else "one"

    # Parts

    def _sentence(self) -> Mobject:
        """Return the tokens as one sentence, of which the followed one stands out."""
        theme, words, width = self.theme, self.layer.words, self.frame.stage.width
        colours = [theme.faint] * len(words)
        colours[self.query] = theme.ink
        box = Box(0.0, 0.0, width, 0.22 * self.frame.stage.height)
        return Sentence(words, box, size=1.4 * TEXT, colours=colours)

    def _count(self) -> Mobject:
        """Return how many numbers all heads give one token."""
        meta = self.trace.meta
        factors = f"{format_count(meta.n_heads)} × {format_count(meta.d_v)}"
        return figure(f"{factors} = {self.facts['columns']}")

    def _outputs(self) -> tuple[list[Heatmap], list[str]]:
        """Return the row of z of the followed token from each head, and the names of the heads."""
        box, width, heads = Box(0, 0, 1, 1), self.trace.meta.d_v, range(self.trace.meta.n_heads)
        outputs = [head_tensor(self.layer.head(h), "z").heatmap(box) for h in heads]
        names = [_("head {head}", head=head) for head in heads]
        return [z.part((self.query, self.query + 1), (0, width)) for z in outputs], names

    def _output(self) -> list[Heatmap]:
        """Return the row of the layer's output of the followed token, in as many blocks."""
        meta, rows = self.trace.meta, self.layer.rows("out")
        source = self.layer.source("out", (0, meta.d_model))
        whole = Heatmap(rows, self.layer.norm("out"), source=source)
        ends = np.linspace(0, meta.d_model, meta.n_heads + 1).astype(int).tolist()
        span = (self.query, self.query + 1)
        return [whole.part(span, columns) for columns in pairwise(ends)]

    def _lifted(self, patterns: Sequence[Heatmap]) -> Group:
        """Return the followed row of each pattern where the camera sees it, pinned to the frame."""
        rows = Group()
        for pattern in patterns:
            row = pattern.part((self.query, self.query + 1), (0, self.layer.count))
            row.points = self.camera.shot.project(row.points, self.frame.height) * [1, 1, 0]
            rows.add(pin_to_frame(row))
        return rows

    # The room

    def _enter(self, *, plates: bool = True) -> None:
        """Stand in the room as the beat before leaves it, where that was not played."""
        if self.world not in self.mobjects:
            self.add(self.world)
            set_presence(Group(*self.world.pairs), float(plates))
            self.camera.shot = self.world.shot("arc")

    def _hush(self) -> list[Animation]:
        """Return the animation in which the headline leaves, if there is one."""
        return [Vanish(self.words)] if self.words in self.mobjects else []

    def _say(self, number: str, line: str) -> list[Animation]:
        """Return animations in which a headline takes the place of the one before."""
        leaving, self.words = self._hush(), Headline(number, line, self.frame)
        return [*leaving, Appear(self.words)]

    @beat
    def one_head_on_a_card(self) -> None:
        """Stand this head up as a card: its pattern, and before it its [keys] and [values]."""
        head, world = self.head.head, self.world
        self.show(HEAD, tall=TALL_HEAD)
        self.show("pattern pattern\nK V")
        others = [Group(*both) for both in zip(world.cards, world.pairs, strict=True)]
        del others[head]
        self.play(
            *world.settle(self, head, world.shot("card", head)),
            AnimateWith(world, lambda _alpha: set_presence(Group(*others), 0.0)),
        )

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def all_heads_slide_in(self) -> None:
        """Layer {layer} has {heads} of them. All read the same words, at the same time."""
        self._enter()
        count, world = self.trace.meta.n_heads, self.world
        others = [head for head in range(count) if head != self.head.head]
        self.play(self.move_camera(world.shot("arc")), world.arrive(others))
        self.play(*self._say(counted_heads(count), _("multi-head attention (MHA)")))

    @beat(
        when=lambda trace: trace.meta.n_kv_heads < trace.meta.n_heads,
        several="In this model the {heads} heads form {groups} groups. In each group all [keys] "
        "and [values] are equal: one set does for all.",
        one="In this model all {heads} heads have equal [keys] and [values]: one set does for all.",
    )
    def some_share_keys_and_values(self) -> None:
        self._enter()
        world, sets = self.world, self.trace.meta.n_kv_heads
        for number in range(sets):
            pairs = [p for h, p in enumerate(world.pairs) if self.trace.kv_head(h) == number]
            self.play(*world.spotlight(*pairs), run_time=min(0.8, 2.4 / sets))
        self.play(world.slide_together(sets), run_time=2.0)
        name = _("grouped-query attention (GQA)") if sets > 1 else _("multi-query attention (MQA)")
        number = ngettext("{number} set", "{number} sets", sets)
        self.play(*self._say(number, name), *world.spotlight(world))

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def around_the_rack(self) -> None:
        """Every head asks with queries of its own, so it has a pattern of its own."""
        self._enter()
        world, count = self.world, self.trace.meta.n_heads
        # Along the first row of heads, where there are several.
        shots = [world.shot("card", head) for head in range(world.plan.rows[0])]
        self.play(*(Presence(pair, 0.0) for pair in world.pairs), *self._hush())
        self.play(self.move_camera(shots[0], run_time=2.0))
        self.play(Along(self.camera, shots, run_time=4.5))
        self.play(self.move_camera(world.shot("arc"), run_time=2.0))
        self.play(*self._say(counted_patterns(count), _("of the same words")))

    # The output

    @beat(
        several="On each card follow the row of [“{query}”]: side by side, all outputs are one "
        "row, {columns} numbers wide.",
        one="Follow the row of [“{query}”]: its output is {columns} numbers.",
    )
    def outputs_line_up(self) -> None:
        self._enter(plates=False)
        meant = np.arange(self.layer.count)[:, None] == self.query
        patterns = [card.pattern for card in self.world.cards]
        self.play(
            *(ShowCells(pattern, np.where(meant, 1.0, FAINT)) for pattern in patterns),
            *self._hush(),
        )
        rows = self._lifted(patterns)
        self.add(rows)
        self.play(Vanish(self.world))
        self.remove(rows)
        self.camera.shot = Shot()
        self.show("sentence\noutputs\ncount", later="sentence outputs count")
        pieces = self.parts["outputs"].pieces
        blocks = [piece for kind, piece in pieces.items() if kind != "names"]
        goals = [block.copy() for block in blocks]
        for block, row in zip(blocks, rows, strict=True):
            block.set_corners(row.corners)
        self.add(rows)
        self.play(*map(Appear, blocks))
        self.remove(rows)
        self.play(LaggedStart(*map(Glide, blocks, goals), lag_ratio=0.1, run_time=2.0))
        rest = pieces["names"], self.parts["sentence"].whole, self.parts["count"].whole
        self.play(*map(Appear, rest))

    @beat(
        several="A last matrix, W O, mixes them into the layer's output, as wide as the input.",
        one="A last matrix, W O, makes the layer's output of it, as wide as the input.",
    )
    def one_output(self) -> None:
        self.show("sentence\noutputs\nW_O\nout\nmade", later="W_O out made")
        way, out = self.parts["W_O"].pieces, self.parts["out"].pieces
        for piece in ("into", "whole", "out of"):
            self.play(Appear(way[piece]), run_time=self.theme.tempo.small)
        blocks = map(Appear, out.values())
        self.play(LaggedStart(*blocks, lag_ratio=0.3), Appear(self.parts["made"].whole))
