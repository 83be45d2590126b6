"""All heads of a layer: in space, side by side, and combined into the layer's output."""

from __future__ import annotations

from collections.abc import Sequence

from manim import Animation, Group, LaggedStart, Mobject, linear, rush_from

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Glide,
    Presence,
    Reveal,
    Settle,
    Vanish,
    in_rows,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.flow import Draw
from filmkit.mobjects.head_stack import Card, HeadStack
from filmkit.mobjects.head_stack_marks import GroupBrackets, HeadNumbers, PanelNames
from filmkit.mobjects.marks import Highlight
from scenes.heads.merge import Merge


class Heads(Stage):
    """From the picture of one head to all heads of its layer, and to the layer's output."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")

    def prepare(self) -> None:
        meta, head = self.trace.meta, self.head.head
        self.head_stack = HeadStack(self.layer, self.frame, featured=head)
        self.merge = Merge(
            self.layer,
            self.frame,
            word_width=self.head_stack.picture.layout.word_width,
            featured=head,
        )
        self.facts |= {
            "one_of": f"one of {meta.n_heads}" if meta.n_heads > 1 else "the only one",
            "heads": str(meta.n_heads),
            "others": str(meta.n_heads - 1),
            "group": str(meta.n_heads // meta.n_kv_heads),
            "mixes": "mixes the heads" if meta.n_heads > 1 else "comes after it",
            "layer": str(self.layer.layer),
            "columns": f"{meta.n_heads * meta.d_v:,}",
        }

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        meta = self.trace.meta
        one_head = f"layer {self.layer.layer}, head {self.head.head}"
        all_heads = f"layer {self.layer.layer}, all {meta.n_heads} heads"
        return source.replace(one_head, all_heads if meta.n_heads > 1 else one_head), hidden

    # In space

    @beat
    def a_head_stands_up(self) -> None:
        """This head is {one_of} in layer {layer}. Let us look at it from the side."""
        head_stack, picture, tempo = self.head_stack, self.head_stack.picture, self.theme.tempo
        arriving, leaving = picture.to_v
        inputs = Group(
            picture.x, picture.x_words, picture.query_side, arriving, picture.w_v, leaving
        )
        body = set_presence(head_stack.featured.body, 0.0)
        self.add(head_stack.featured, head_stack.labels, inputs, picture.border)
        self.hold()
        self.play(
            Vanish(inputs, run_time=tempo.small),
            Glide(picture.border, head_stack.featured.body.edge, run_time=tempo.normal),
        )
        self.play(Presence(body, 1.0), Vanish(picture.border), run_time=tempo.small)
        head_stack.labels.keep_upright()
        self.play(
            Vanish(head_stack.labels.notes, run_time=tempo.small),
            self.move_camera(head_stack.layout.beside_flat, run_time=tempo.swing),
        )

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def all_heads_slide_in(self) -> None:
        """Beside it stand the other {others}. All of them read the same X, at the same time,
        each in its own way."""
        head_stack, tempo = self.head_stack, self.theme.tempo
        shot = head_stack.layout.from_left
        self.play(
            Vanish(head_stack.labels.names, run_time=tempo.small),
            self.move_camera(shot, run_time=2 * tempo.large),
            head_stack.slide_in(run_time=2 * tempo.swing - tempo.large),
        )
        self.head_numbers, self.panel_names = (
            HeadNumbers(head_stack, shot),
            PanelNames(head_stack, shot),
        )
        self.play(
            LaggedStart(*(Appear(number) for number in self.head_numbers), lag_ratio=0.1),
            Appear(self.panel_names),
            head_stack.step_forward(self.head.head),
            run_time=tempo.small,
        )

    @beat(when=lambda trace: trace.meta.n_kv_heads < trace.meta.n_heads)
    def some_share_keys_and_values(self) -> None:
        """In this model, {group} heads at a time share one set of keys and values."""
        head_stack, tempo = self.head_stack, self.theme.tempo
        self.brackets = GroupBrackets(head_stack)
        self.play(
            *self.dim(
                *(part for card in head_stack.cards for part in self._unshared_parts(card)), to=0.35
            ),
            run_time=tempo.small,
        )
        self.play(
            LaggedStart(*(Appear(bracket) for bracket in self.brackets.lines), lag_ratio=0.3),
            LaggedStart(*(Appear(labels) for labels in self.brackets.words), lag_ratio=0.3),
            Appear(self.brackets.sentence),
            run_time=tempo.normal,
        )

    def _unshared_parts(self, card: Card) -> tuple[Mobject, ...]:
        """Return the parts that a head does not share: all but its keys and values."""
        return (card.q, card.k_t, card.scores, card.pattern, card.z, card.wires)

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def around_the_rack(self) -> None:
        """They work at the same time; none waits for another. Each has its own pattern,
        and its own z."""
        head_stack, tempo = self.head_stack, self.theme.tempo
        leaving = [Vanish(self.panel_names)]
        if self.trace.meta.n_kv_heads < self.trace.meta.n_heads:
            unshared = [part for card in head_stack.cards for part in self._unshared_parts(card)]
            leaving += [Vanish(self.brackets), *self.undim(*unshared)]
        self.play(*leaving, run_time=tempo.small)
        self.play(head_stack.orbit(self.camera, head_stack.layout.from_right))
        self.panel_names = PanelNames(head_stack, head_stack.layout.from_right)
        self.play(Appear(self.panel_names), run_time=tempo.small)

    # Together

    @beat(when=lambda trace: trace.meta.n_heads == 1)
    def the_output_leaves(self) -> None:
        """What the head has to say is its z. It leaves the head."""
        self._pull_out()
        self._show_labels(self.merge.description, self.merge.names)

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def outputs_line_up(self) -> None:
        """What a head has to say is its z. Every z leaves its head, and they line up in order."""
        self._pull_out(
            Vanish(Group(self.head_numbers, self.panel_names)),
            self.head_stack.step_back(self.head.head),
        )
        self._show_labels(self.merge.title, self.merge.names)

    def _show_labels(self, *labels: Mobject) -> None:
        self.play(*(Appear(part) for part in labels), run_time=self.theme.tempo.small)

    def _pull_out(self, *meanwhile: Animation) -> None:
        """Take every z out of its card, and line them up in the order of the heads."""
        head_stack, merge, tempo = self.head_stack, self.merge, self.theme.tempo
        self.play(
            *meanwhile, self.move_camera(head_stack.layout.quarter), run_time=2 * tempo.normal
        )
        self.play(head_stack.pull_out(run_time=2 * tempo.normal))
        self.strips = [card.z for card in head_stack.cards]
        places = zip(self.strips, merge.layout.apart, strict=True)
        self.play(
            self.move_camera(Shot()),
            Vanish(
                Group(head_stack.parts_except("z"), head_stack.labels.names),
                rate_func=rush_from,
            ),
            LaggedStart(*(Settle(z, box) for z, box in places), lag_ratio=0.1),
            run_time=tempo.swing,
        )

    def _move(self, strips: Sequence[Box]) -> list[Animation]:
        """Return animations that move every z, with its name, to its box."""
        settling = [Settle(z, box) for z, box in zip(self.strips, strips, strict=True)]
        return [*settling, Glide(self.merge.names, self.merge.name_targets(strips))]

    @beat(when=lambda trace: trace.meta.n_heads > 1)
    def side_by_side(self) -> None:
        """Side by side they are one wide matrix: {columns} numbers for every word."""
        merge, tempo = self.merge, self.theme.tempo
        self.play(
            Vanish(merge.title, run_time=tempo.small),
            *self._move(merge.layout.together),
            run_time=tempo.normal,
        )
        self.play(Appear(merge.description), run_time=tempo.small)

    @beat
    def one_output(self) -> None:
        """One last learned matrix, W O, {mixes}. What comes out is the layer's output,
        again as wide as X."""
        merge, tempo = self.merge, self.theme.tempo
        joined = merge.layout.joined
        self.play(
            *self._move(joined),
            Glide(merge.description, merge.describe(joined)),
            run_time=tempo.normal,
        )
        self.play(Draw(merge.into), Appear(merge.w_o), run_time=tempo.small)
        self.play(
            Draw(merge.out_of),
            Appear(Group(merge.out.header, merge.out_words)),
            run_time=tempo.small,
        )
        rows = merge.layout.rows(joined, self.layer.count)
        pointer = Highlight(rows[0])
        cells = merge.out.cells.set_shown(0)
        self.add(cells, pointer)

        def sweep(alpha: float) -> None:
            pointer.move_to(rows[min(int(alpha * len(rows)), len(rows) - 1)].center)

        self.play(
            AnimateWith(pointer, sweep, rate_func=linear),
            Reveal(cells, in_rows(cells.shape), rate_func=linear),
            run_time=tempo.swing,
        )
        self.play(Vanish(pointer), Appear(merge.out_scale), run_time=tempo.small)
