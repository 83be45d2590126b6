"""All heads of a layer: in space, side by side, and mixed into the layer's output."""

from __future__ import annotations

from manim import Animation, Group, LaggedStart, rush_from

from filmkit.core.animations import Appear, Glide, Vanish
from filmkit.core.camera import Shot
from filmkit.core.facts import told
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.flow import Draw
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.head_stack_marks import GroupBrackets, HeadNumbers, PanelNames
from scenes.heads.merge import Merge


class Heads(Stage):
    """From one head on its card to all heads of its layer, and to what they make together."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")

    def prepare(self) -> None:
        meta, head = self.trace.meta, self.head.head
        self.stack = stack = HeadStack(self.layer, self.frame, featured=head)
        self.shots = stack.layout
        self.numbers = HeadNumbers(stack, self.shots.from_left)
        self.names = [PanelNames(stack, s) for s in (self.shots.from_left, self.shots.from_right)]
        self.unshared = stack.parts("q", "k_t", "scores", "pattern", "z", "wires")
        self.merge = Merge(self.layer, self.frame, featured=head)
        self.facts |= told(
            layer=self.layer.layer,
            columns=meta.n_heads * meta.d_v,
            heads=meta.n_heads,
            groups=meta.n_kv_heads,
        )

    def variant(self, beat: str) -> str:
        meta = self.trace.meta
        count = meta.n_kv_heads if beat == "some_share_keys_and_values" else meta.n_heads
        return "several" if count > 1 else "one"

    @beat
    def one_head_on_a_card(self) -> None:
        """Everything that one head computes fits on one card."""
        card, labels = self.stack.featured, self.stack.labels
        labels.keep_upright(at_pattern=self.frame.wide, shot=self.shots.beside_flat)
        self.play(Appear(card.body), Appear(labels.names))
        panels = LaggedStart(*map(Appear, (*card.panels, card.wires)), lag_ratio=0.5)
        self.play(panels, run_time=self.theme.tempo.large)
        self.play(self.move_camera(self.shots.beside_flat))

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def all_heads_slide_in(self) -> None:
        """Layer {layer} has {heads} of them. All read the same words, at the same time."""
        sliding = self.stack.slide_in(run_time=self.theme.tempo.swing)
        self.play(Vanish(self.stack.labels.names), self.move_camera(self.shots.from_left), sliding)
        numbers = LaggedStart(*map(Appear, self.numbers), lag_ratio=0.1)
        self.play(numbers, Appear(self.names[0]), self.stack.step_forward(self.head.head))

    @beat(
        when=lambda trace: trace.meta.n_kv_heads < trace.meta.n_heads,
        several="In this model the {heads} heads form {groups} groups, and each group shares one "
        "set of keys and values.",
        one="In this model all {heads} heads share one set of keys and values.",
    )
    def some_share_keys_and_values(self) -> None:
        self.brackets = brackets = GroupBrackets(self.stack)
        self.play(*self.dim(self.unshared), Appear(brackets.sentence))
        for group in brackets.groups:
            self.play(Appear(group))

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def around_the_rack(self) -> None:
        """Walk round to the other side, and every head shows a pattern of its own."""
        leaving: list[Animation] = [Vanish(self.names[0])]
        if self.trace.meta.n_kv_heads < self.trace.meta.n_heads:
            leaving += [Vanish(self.brackets), *self.undim(self.unshared)]
        self.play(*leaving, run_time=self.theme.tempo.small)
        inner = self.stack.parts("q", "k", "k_t", "v", "scores", "wires")
        orbit = self.stack.orbit(self.camera, self.shots.from_right)
        # From that side what leads to a pattern is not what to look at.
        self.play(orbit, *self.dim(inner, to=0.12, run_time=orbit.run_time))
        self.play(Appear(self.names[1]))

    @beat(
        several="Each output leaves its card: side by side, one matrix, {columns} numbers wide.",
        one="What the head has found leaves its card: {columns} numbers for each token.",
    )
    def outputs_line_up(self) -> None:
        stack, merge, swing = self.stack, self.merge, 0.8 * self.theme.tempo.swing
        rest = stack.parts_except("z")
        if self.trace.meta.n_heads > 1:
            leaving = Vanish(Group(self.numbers, self.names[1]))
            self.play(stack.step_back(self.head.head), leaving)
        else:
            rest.add(stack.labels.names)
        self.play(self.move_camera(self.shots.quarter), stack.pull_out(), run_time=swing)
        self.strips = [card.z for card in stack.cards]
        vanishing = Vanish(rest, run_time=swing, rate_func=rush_from)
        settling = merge.settle(self.strips, run_time=swing)
        self.play(self.move_camera(Shot(), run_time=swing), vanishing, settling)
        self.play(Appear(merge.names))
        self.play(*merge.move(self.strips, merge.layout.together))
        self.play(Appear(merge.description))

    @beat(
        several="A last matrix, W O, mixes them into the layer's output, as wide as the input.",
        one="A last matrix, W O, makes the layer's output of it, as wide as the input.",
    )
    def one_output(self) -> None:
        merge, joined = self.merge, self.merge.layout.joined
        self.play(
            *merge.move(self.strips, joined), Glide(merge.description, merge.describe(joined))
        )
        self.play(Draw(merge.bracket), run_time=self.theme.tempo.small)
        self.play(Draw(merge.into), Appear(merge.w_o))
        self.play(Draw(merge.out_of), Appear(merge.out_labels))
        self.add(merge.out.cells.set_shown(0), merge.pointer)
        self.play(*merge.fill(), run_time=0.8 * self.theme.tempo.swing)
        self.play(Vanish(merge.pointer), Appear(merge.out_scale))
