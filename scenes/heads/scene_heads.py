"""All heads of a layer: on a ring around us, and what they make together."""

from __future__ import annotations

import numpy as np
from manim import Group

from filmkit import AnimateWith, Appear, Flow, Label, Matrix, Pane, Relief, Shot, Slab, Stage, Strip, Symbol, Vanish, beat, head_matrix, mirrored, number_at, printable, glow
from filmkit.core.body import put
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.facts import named_facts
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, counted_sets
from filmkit.core.view import best_match
from scenes.heads.parts import SIDE, Ring

LETTERS = 0.74  # height of words beside a row, as a share of its pitch
NAME = 0.4


class Heads(Stage):
    """From one head to all heads of its layer, and to what they make together."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")
    draws_start = True

    def prepare(self) -> None:
        layer, meta = self.layer, self.trace.meta
        self.query = best_match(self.head)[0]
        self.facts |= named_facts(
            layer=layer.layer,
            columns=meta.n_heads * meta.d_v,
            heads=(meta.n_heads, counted_heads),
            own=meta.d_v,
            sets=(meta.n_kv_heads, counted_sets),
            query=printable(layer.words[self.query]),
        )
        self.mine = self.head.head
        others = max(1, meta.n_heads - 1)
        self.round = min(35.0, 280.0 / others)
        self.open = min(18.0 if self.frame.upright else 12.0, 130.0 / others)
        self.ring = mirrored(Ring(layer, self.round))
        self.count = number_at(self.facts["heads"], (0, 0, 0.3), "floor", size=1.3)

    def _words(self) -> Group:
        """Lay the words of tokens beside the rows of the head's pattern, and names beside panes."""
        head, words = self.ring.heads[self.mine], self.layer.words
        right, up, pitch = (1, 0, 0), (0, 1, 0), SIDE / len(words)
        labels = []
        for number, word in enumerate(words):
            label = Label(printable(word), size=min(LETTERS * pitch, 0.24) / FRAME_HEIGHT)
            at = (-SIDE / 2 - pitch - label.width / 2, SIDE - (number + 0.5) * pitch, 0)
            labels.append(put(label, head.pattern, at, right, up))
        theme = self.theme
        for pane, name, colour in (
            (head.pattern, _("pattern"), theme.ink),
            (head.keys, _("keys"), theme.key),
            (head.values, _("values"), theme.value),
        ):
            label = Label(name, size=0.34 / FRAME_HEIGHT, colour=colour)
            low, high = pane.extent
            at = (high[0] + 0.2 + label.width / 2, min(high[1]/2, 0.3), 0)
            labels.append(put(label, pane, at, right, up))
        return Group(*labels)

    @beat(title="One head")
    def one_head_on_a_card(self) -> None:
        """This is one head: its pattern, and before it the [keys] and [values] it is made of."""
        self.ring.stand(self.round, spread=0, first=self.mine)
        head = self.ring.heads[self.mine]
        self.names = self._words()
        self.camera.shot = self.see_from("bench", head).shot
        self.play(Appear(head))
        self.play(self.light_up(head.pattern))

    @beat(when=lambda trace: trace.meta.n_heads > 1, title="Side by side")
    def all_heads_slide_in(self) -> None:
        """The layer runs {heads} side by side, all on the same words."""
        ring = self.ring
        for label in self.names:
            for pane in ring.heads[self.mine]:
                pane.remove(label)
        self.add(self.names)
        ring.stand(self.round)
        seat = self.see_from("stand", ring, run_time=3)
        ring.stand(self.round, spread=0, first=self.mine)
        self.add(ring)
        self.play(
            Vanish(self.names, run_time=.6),
            AnimateWith(ring, lambda share: ring.stand(self.round, spread=share, first=self.mine), run_time=3),
            seat,
        )
        self.play(Appear(self.count), self.light_up(self.count))

    @beat(when=lambda trace: trace.meta.n_heads > 1, title="{heads}")
    def along_the_heads(self) -> None:
        """Every head asks with queries of its own, so it has a pattern of its own."""
        s = self.ring.radius/4.63
        wide = 0.55 if self.frame.upright else .85
        def at(a,r,y): return np.array([r*np.sin(np.radians(a)),y,-r*np.cos(np.radians(a))])
        shots = [Shot.looking(np.array(e)*[s,1,s], at(a,self.ring.radius,y), wide) for e,a,y in (((0.5,1.9,2.2),-75,1.3),((0,1.3,0),-60,1.5),((-1,1.2,-1),0,1.5),((0,2.2,0),50,1.5),((2.4,1.5,2.0),10,1.7))]
        self.play(self.move_camera(shots[0]), Vanish(self.count), run_time=2)
        self.play(self.move_camera(shots[-1], past=shots[1:-1]), run_time=8)

    @beat(title="Output matrix")
    def one_output(self) -> None:
        """For [“{query}”], every head hands on {own} numbers. A last matrix, W_O, mixes all {columns} into one row."""
        ring, meta = self.ring, self.trace.meta
        unit = None
        zs = [head_matrix(self.layer.head(h), "z") for h in range(meta.n_heads)]
        unit = Relief.unit_of(*(z.values[self.query] for z in zs), height=1.2)
        ring.stand(self.open)
        colours = [self.theme.group_colour("value", self.trace.kv_head(h)) for h in range(meta.n_heads)]
        reliefs = []
        for z, head, c in zip(zs, ring.heads, colours, strict=True):
            relief = Relief.of(z, self.query, unit=unit, width=SIDE, depth=0.2, role=c)
            relief.points = head.values.points + [0, 0.5, 0]
            relief.is_light = True
            reliefs.append(relief)
        deep = 1.6 if self.frame.upright else 1.0
        near = 4.0 * deep
        strip = Strip(np.full(meta.n_heads, 1 / meta.n_heads), colours=colours, size=(7, 0.1, 0.6), told="t").put((0, 0, near))
        slab = Slab("", width=7.4, height=1.7, thickness=0.5).put((0, 0.0, near + 0.6))
        slab.lay(Symbol("W_O", size=1.0 / FRAME_HEIGHT))
        slab.is_light = True
        flow = Flow(reliefs, strip)
        out = Matrix(self.layer.rows("out"), self.layer.norm("out"), self.layer.source("out", (0, meta.d_model)), rows="token", words=self.layer.words)
        base = Strip([1.0], size=(16, 0.06, 0.5), told="t").put((0, 0, near + 5.0 * deep))
        made = Relief.of(out, self.query, width=16, height=1.5, depth=0.25)
        made.put((0, 1.0, near + 5.0 * deep))
        made.is_light = True
        leaves = Flow([slab], base)
        name = number_at(_("“{query}”"), (0, 0, near + 5 * deep + 1.5), "floor", size=1.2)
        shot = self.see_from("stand", *reliefs, ring, made, slab)
        for head in ring.heads: head.pattern.cells.set_shown(head.pattern.cells.shown*np.where(np.arange(self.layer.count)[:,None]==self.query,1,.3))
        ring.stand(self.round)
        self.play(AnimateWith(ring, lambda s: ring.stand(self.round + s*(self.open-self.round))), shot, run_time=2)
        self.play(*(Vanish(Group(h.keys, h.values)) for h in ring.heads), *(r.grow() for r in reliefs))
        self.play(flow.pour(), Appear(strip), run_time=1.5)
        self.play(Appear(slab))
        self.play(leaves.pour(), Appear(base))
        self.play(made.grow())
