"""Multi-head latent attention: keys and values from one latent, and the absorbed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import LEFT, RIGHT, AnimationGroup, Group, LaggedStart, Mobject

from extract.architectures import architecture, kv_cache_elements, latent_size
from extract.latent import latent_report
from extract.trace import Trace
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Glide,
    Presence,
    Recolour,
    Reveal,
    Settle,
    ShowCells,
    Transpose,
    Vanish,
    first_half,
    in_diagonals,
    in_rows,
    second_half,
    set_presence,
)
from filmkit.core.camera import Shot, clear_depth_plane, keep_upright, set_depth_plane
from filmkit.core.geometry import shot_box
from filmkit.core.numbers import format_count, format_share
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.chart import Paragraph
from filmkit.mobjects.flow import Draw, WeightBox
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.latent_layout import HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import NaiveFeed, show_naive_form
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Highlight
from scenes.mla.comparisons import (
    TRUE_GAP,
    CachedBars,
    ErrorChart,
    OutputComparison,
    PatternComparison,
    Reconstruction,
    TrainedPlot,
)
from scenes.mla.diagrams import AbsorbedHeadStack, AbsorbedPicture, Derivation, NaivePicture
from scenes.mla.layout import AbsorbedLayout, ReconstructionLayout

PUBLISHED, PUBLISHED_NAME = "DeepSeek-V3/R1", "DeepSeek-R1"


def is_fitted(trace: Trace) -> bool:
    """Return whether the latent was fitted to a model that was trained without one."""
    return trace.meta.attention != "mla"


class LatentAttention(Stage):
    """One latent for all heads: first the naive form, then the absorbed one."""

    title = "Multi-head latent attention"
    tensors = ("x", "q", "k", "v", "pattern", "W_O", "latent")

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        notes = [hidden.removeprefix("the beginning token ")] if hidden else []
        if self.trace.meta.attention == "mla":
            notes.insert(0, "the model’s own latent")
        elif self.trace.rotates:
            notes.insert(0, "content only: rotation left out")
        return source, "  ·  ".join(notes)

    def prepare(self) -> None:
        self.view = LatentView.of(self.layer)
        forms, meta = self.view.forms, self.trace.meta
        self.head_stack = HeadStack(self.layer, self.frame, featured=self.head.head)
        show_naive_form(self.head_stack, self.view)
        self.picture = self.head_stack.picture
        cached = (forms.rank, forms.d_rope)
        theme = self.theme
        layout = NaiveLayout.of(
            self.picture.layout,
            count=self.layer.count,
            cached=cached,
            sizes=(theme.shape_size, theme.min_text_size),
        )
        self.naive = NaivePicture(self.view, layout)
        self.absorbed = AbsorbedPicture(
            self.view, AbsorbedLayout.of(layout, cached=cached), self.naive, self.picture
        )
        self.final_copies = self.absorbed.move_to_naive_places()
        self.shots = HeadStackShots.beneath(self.head_stack.layout, layout.cached, layout.riser)
        self.feed = NaiveFeed(self.head_stack, layout, self.shots)
        self.latent = self.naive.latent
        arch = architecture(PUBLISHED)
        self.facts |= {
            "heads": str(meta.n_heads),
            "rank": str(forms.rank),
            "cached": format_count(forms.n_cached),
            "expanded": format_count(forms.n_expanded),
            "r1_before": format_count(kv_cache_elements(arch, "mha") / arch.n_layers),
            "r1_after": format_count(sum(latent_size(arch))),
        }
        if is_fitted(self.trace):
            self._prepare_losses()

    def _prepare_losses(self) -> None:
        """Measure what a fitted latent loses, and add it to the facts."""
        latent_head = self.view.head(self.head.head)
        self.report = latent_report(self.trace, self.layer.layer)
        self.facts |= {
            "lost_k": format_share(latent_head.comparison("k").error),
            "lost_v": format_share(latent_head.comparison("v").error),
            "moved": format_share(latent_head.pattern_distances().latent.mean),
        }

    # One latent, expanded

    @beat
    def one_latent_for_all(self) -> None:
        """Every head has its own keys and values again. But all of them are made from one small
        latent: one row of numbers for each word."""
        head_stack, tempo, latent = self.head_stack, self.theme.tempo, self.latent
        self.camera.shot = self.shots.shot
        self.latent_target = latent.copy()
        box = self.naive.layout.cached
        place = np.array([self.shots.latent.x, self.shots.latent.y, self.shots.depth])
        latent.scale(self.shots.latent.width / box.width, about_point=box.center)
        latent.shift(place - box.center)
        set_depth_plane(latent, latent.cells)
        small = (head_stack.labels.notes, latent.shape)
        for part in small:
            set_presence(part, 0.0)
        later_parts = ("k", "v", "k_t", "scores", "pattern", "z", "wires")
        self.play(Appear(head_stack.parts("plane", "body", "q")), run_time=tempo.normal)
        self.play(Appear(Group(*latent.panels, latent.names)), run_time=tempo.small)
        self.play(Appear(self.feed.handle), run_time=0.3)
        self.add(self.feed.fan_out.set_drawn(0))
        self.play(AnimateWith(self.feed.fan_out, self.feed.fan_out.set_drawn), run_time=tempo.large)
        growing = []
        for card, line in zip(head_stack.cards, self.feed.rising, strict=True):
            self.add(card.k.set_shown(0), card.v.set_shown(0))
            growing.append(
                AnimationGroup(
                    Appear(line),
                    *(Reveal(cells, in_diagonals(cells.shape)) for cells in (card.k, card.v)),
                )
            )
        self.play(LaggedStart(*growing, lag_ratio=0.15), run_time=2 * tempo.normal)
        rest = head_stack.parts(*later_parts[2:])
        self.play(Appear(rest), Appear(head_stack.labels.names), run_time=tempo.normal)

    @beat
    def flatten(self) -> None:
        """Look at one head from the front. The latent stands below the words it was made from."""
        head_stack, tempo, naive = self.head_stack, self.theme.tempo, self.naive
        others = Group(*head_stack.others)
        self.play(
            self.move_camera(Shot()),
            Glide(self.latent, self.latent_target),
            Vanish(self.feed, rate_func=first_half),
            Vanish(others, rate_func=first_half),
            Vanish(head_stack.featured.body, rate_func=second_half),
            run_time=4.0,
        )
        clear_depth_plane(Group(*self.visible_parts()))
        self.play(
            Appear(naive.input_without_latent),
            Appear(head_stack.labels.notes),
            Appear(self.latent.shape),
            run_time=tempo.normal,
        )

    @beat
    def down_to_the_latent(self) -> None:
        """Going down: a learned matrix makes {rank} numbers of each row of X.
        Only they are cached."""
        naive, tempo, latent = self.naive, self.theme.tempo, self.latent
        focus = Group(naive.x, naive.x_words, naive.w_dkv, naive.to_latent, latent)
        self.dimmed_parts = self._all_except(focus)
        self.play(
            *self.dim(self.dimmed_parts, to=0.12),
            *(ShowCells(panel, 0.0) for panel in latent.panels),
            run_time=tempo.normal,
        )
        frames = [Highlight(naive.x.blocks[0].row(0)), Highlight(latent.cells.row(0))]
        frames[0].stretch_to_fit_width(naive.x.box.width + 0.06)
        frames[1].stretch_to_fit_width(latent.box.width + 0.06)
        rows, x, y = self.layer.count, naive.x.box.x, latent.box.x

        def follow(alpha: float) -> None:
            row = min(int(alpha * rows), rows - 1)
            frames[0].move_to([x, naive.x.blocks[0].row(row).y, 0])
            frames[1].move_to([y, latent.cells.row(row).y, 0])

        self.play(*(Appear(frame) for frame in frames), run_time=0.3)
        self.play(
            *(Reveal(p, in_rows(p.shape), rate_func=lambda alpha: alpha) for p in latent.panels),
            AnimateWith(frames[0], follow, rate_func=lambda alpha: alpha),
            Presence(frames[1], 1.0),
            run_time=2.4 * tempo.normal,
        )
        self.play(*(Vanish(f) for f in frames), Appear(latent.frame), run_time=tempo.small)

    def _all_except(self, focus: Group) -> Group:
        """Return everything on screen that does not belong to ``focus``."""
        excluded = {id(member) for member in focus.get_family()}
        return Group(*(part for part in self.visible_parts() if id(part) not in excluded))

    @beat
    def up_to_keys_and_values(self) -> None:
        """Going up: two more expand them into this head's keys and values."""
        naive, picture, tempo = self.naive, self.picture, self.theme.tempo
        expanded = Group(naive.to_k, naive.to_v, naive.w_uk, naive.w_uv, picture.k, picture.v)
        self.play(
            ShowCells(picture.k.cells, 0.0),
            ShowCells(picture.v.cells, 0.0),
            *self.undim(expanded),
            run_time=tempo.small,
        )
        self.play(
            LaggedStart(
                *(Reveal(p.cells, in_diagonals(p.cells.shape)) for p in (picture.k, picture.v)),
                lag_ratio=0.4,
            ),
            run_time=1.4 * tempo.large,
        )

    @beat(when=is_fitted)
    def what_is_lost(self) -> None:
        """Of this head's true keys the latent loses {lost_k}, of its values {lost_v}."""
        naive, picture, tempo = self.naive, self.picture, self.theme.tempo
        layout = ReconstructionLayout.of(naive.layout, TRUE_GAP)
        self.reconstruction = reconstruction = Reconstruction(
            self.view.head(self.head.head), layout
        )
        shown = Group(picture.k, picture.v, naive.w_uk, naive.w_uv, naive.to_k[1], naive.to_v[1])
        self.hidden_parts = self._all_except(shown)
        self.play(
            Presence(self.hidden_parts, 0.0),
            self.move_camera(Shot.of_box(layout.camera_box)),
            *self._recolour_keys_and_values(reconstruction.rebuilt),
            run_time=tempo.normal,
        )
        self.play(
            *(Appear(panel) for panel in (reconstruction.k, reconstruction.v)),
            Appear(reconstruction.remark),
            run_time=tempo.normal,
        )
        self.play(Appear(reconstruction.errors), run_time=tempo.small)

    def _recolour_keys_and_values(self, values: dict[str, np.ndarray]) -> list[Recolour]:
        """Return animations that show other keys or values, by name ("k", "v").

        Only a layer with biases needs them: its keys and values are compared about their mean.
        """
        if not self.view.biased:
            return []
        return [
            Recolour(getattr(self.picture, name).cells, values=rows)
            for name, rows in values.items()
        ]

    @beat(when=is_fitted)
    def what_it_does_to_attention(self) -> None:
        """With keys from the latent, {moved} of this head's attention moves to other words."""
        picture, tempo = self.picture, self.theme.tempo
        latent_head = self.view.head(self.head.head)
        self.patterns = row = PatternComparison(
            latent_head, self.frame, self.picture.layout.word_width
        )
        self.everything = Group(*self.hidden_parts, *self._all_except(self.reconstruction))
        self.play(
            Vanish(self.reconstruction), Presence(self.hidden_parts, 1.0), self.move_camera(Shot())
        )
        last = row.patterns[-1].cells
        end = last.box
        last.place(picture.pattern.cells.box)
        self.play(
            Presence(self.everything, 0.0, run_time=tempo.small),
            *self._recolour_keys_and_values({"k": latent_head.k, "v": latent_head.v}),
            Settle(last, end, introducer=True),
            run_time=tempo.large,
        )
        self.play(Appear(row.patterns[-1].header), run_time=tempo.small)
        for index, step in reversed(list(enumerate(row.steps))):
            self.play(Appear(row.patterns[index]), run_time=tempo.small)
            self.play(Appear(step), run_time=tempo.small)
        self.play(Appear(row.words), Appear(row.caption), run_time=tempo.small)

    @beat(when=is_fitted)
    def error_against_rank(self) -> None:
        """The longer the latent, the less is lost, and less still when it is fitted to what the
        layer really receives."""
        tempo = self.theme.tempo
        self.chart = chart = ErrorChart(self.report, self.frame)
        ground = Group(chart.axes, chart.source)
        self.play(Vanish(self.patterns), Appear(ground), run_time=tempo.normal)
        for curve, name in zip((chart.plain, chart.fitted), chart.names, strict=True):
            self.play(Draw(curve), run_time=tempo.large)
            self.play(Appear(name), run_time=tempo.small)
        self.play(Appear(chart.mark), run_time=tempo.small)

    @beat
    def trained_instead(self) -> None:
        """DeepSeek trains with a latent from the start, and scores higher
        in {higher} tests of {tests}."""
        tempo = self.theme.tempo
        if not is_fitted(self.trace):
            self.everything = Group(*self.visible_parts())
        self.trained = plot = TrainedPlot(self.frame)
        self.facts |= {"higher": str(plot.higher), "tests": str(len(plot.plot.names))}
        leaving = [Vanish(self.chart)] if is_fitted(self.trace) else []
        heading = Group(plot.title, plot.source)
        self.play(*leaving, Presence(self.everything, 0.0), Appear(heading), run_time=tempo.normal)
        self.play(Appear(plot.plot), run_time=tempo.normal)

    @beat
    def what_is_cached(self) -> None:
        """Only the latent is cached: here {cached} numbers instead of {expanded},
        in DeepSeek-R1 {r1_after} instead of {r1_before}, one rotated key included."""
        tempo = self.theme.tempo
        self.bars = bars = CachedBars(
            self.view, architecture(PUBLISHED), PUBLISHED_NAME, self.frame
        )
        leaving = [Vanish(self.trained, run_time=tempo.small)]
        for title, pair in zip(bars.titles, (bars.own, bars.published), strict=True):
            self.play(*leaving, Appear(title), run_time=tempo.small)
            leaving = []
            for row in range(2):
                labels = Group(pair.names[row], pair.notes[row], pair.bars[row], pair.sizes[row])
                self.play(Appear(labels), run_time=tempo.small)
        self.play(Appear(bars.remark), run_time=tempo.small)

    # Absorbing it

    @beat
    def absorb_into_the_query(self) -> None:
        """The keys' matrix can act on the queries instead. Multiplied into theirs, once and for
        all, it makes one matrix: keys are never formed."""
        naive, picture, absorbed, tempo = self.naive, self.picture, self.absorbed, self.theme.tempo
        self.play(Vanish(self.bars), self._return_to_the_diagram(), run_time=tempo.normal)
        self.merge_weights(naive.w_q, naive.w_uk, absorbed.w_qk, leaving=(naive.to_q, naive.to_k))
        q, turning = absorbed.q, self.latent.cells.copy()
        self.add(q.cells.set_shown(0), turning)
        self.play(
            *(Vanish(part) for part in (picture.q, picture.k, picture.k_t, picture.k_to_k_t)),
            *(Draw(wire) for wire in (*naive.to_latent_q, naive.latent_to_scores)),
            Appear(Group(q.header, absorbed.q_shape)),
            Reveal(q.cells, in_diagonals(q.cells.shape)),
            Transpose(turning, absorbed.layout.head.k_t),
            run_time=1.3 * tempo.large,
        )
        self.remove(turning)
        self.add(absorbed.k_t.cells)
        steps = ("Q K^top", "= X W_Q (C W_(U K))^top", "= X (W_Q W_(U K)^top) C^top")
        self.key_formula = Derivation(
            steps, naive.layout.key_formula_point, naive.layout.key_formula_width
        )
        self.play(Appear(absorbed.k_t.header), Appear(self.key_formula), run_time=tempo.small)

    def _return_to_the_diagram(self) -> AnimationGroup:
        """Return an animation that brings back the whole diagram of the naive form."""
        small = () if self.picture.pattern_words_readable else (self.picture.pattern_words,)
        hidden = {id(member) for part in small for member in part.get_family()}
        parts = [part for part in self.everything if id(part) not in hidden]
        return AnimationGroup(Presence(Group(*parts), 1.0))

    def merge_weights(
        self, weight: WeightBox, other: WeightBox, merged: WeightBox, *, leaving: Sequence[Mobject]
    ) -> None:
        """Play how two weights become one matrix: their names leave their boxes for a third one.

        ``leaving`` are the lines that vanish meanwhile.
        """
        tempo = self.theme.tempo
        first, second = (w.symbol.copy() for w in (weight, other))
        pair = (first, second) if weight is self.naive.w_q else (second, first)
        shrunk = merged.symbol.line_height / weight.symbol.line_height
        for symbol, direction in zip(pair, (LEFT, RIGHT), strict=True):
            symbol.scale(shrunk)
            symbol.move_to(merged.symbol).align_to(merged.symbol, direction)
        self.add(other.symbol, weight.symbol)
        self.play(
            *(Vanish(part) for part in (other.frame, other.lines, weight.lines, *leaving)),
            Glide(weight.frame, merged.frame),
            run_time=tempo.small,
        )
        self.play(
            Glide(weight.symbol, first),
            Glide(other.symbol, second),
            run_time=1.2 * tempo.large,
        )
        self.play(
            *(Vanish(part) for part in (weight.frame, weight.symbol, other.symbol)),
            Appear(merged),
            run_time=tempo.small,
        )

    @beat
    def absorb_into_the_output(self) -> None:
        """The values' matrix goes the other way: across the pattern, into the output's.
        Values are never formed either."""
        naive, picture, absorbed, tempo = self.naive, self.picture, self.absorbed, self.theme.tempo
        camera_box, _ = shot_box(naive.layout.to_output, self.frame, pad=1.0)
        left_side = (naive.x, naive.x_words, self.latent, self.latent.frame, naive.w_dkv)
        self.faded_parts = Group(*left_side, naive.to_latent, naive.to_latent_q, absorbed.w_qk)
        lines = (picture.q_to_k_t, picture.k_t_to_scores, naive.latent_to_scores, self.key_formula)
        self.dimmed = Group(absorbed.q, absorbed.q_shape, absorbed.k_t, picture.scores, *lines)
        self.play(
            self.move_camera(Shot.of_box(camera_box)),
            Presence(self.faded_parts, 0.0),
            *self.dim(self.dimmed),
            run_time=tempo.large,
        )
        blocks = [block.set_shown(0) for block in naive.out.blocks]
        self.add(*blocks)
        named = Group(naive.w_o, naive.out.header, *([naive.out.dots] if naive.out.dots else []))
        self.play(
            *(Draw(wire) for wire in naive.to_out),
            Appear(named),
            *(Reveal(block, in_diagonals(block.shape)) for block in blocks),
            run_time=tempo.normal,
        )
        self.merge_weights(naive.w_o, naive.w_uv, absorbed.w_vo, leaving=(naive.to_v, naive.to_out))
        z = absorbed.z
        self.add(z.cells.set_shown(0))
        self.play(
            *(Vanish(part) for part in (picture.v, picture.v_to_z, picture.z)),
            *(Draw(wire) for wire in (naive.latent_to_mix, *naive.to_merged_out)),
            Appear(z.header),
            Reveal(z.cells, in_diagonals(z.cells.shape)),
            run_time=tempo.large,
        )
        steps = ("A (C W_(U V)) W_O", "= (A C) (W_(U V) W_O)")
        self.value_formula = Derivation(
            steps, naive.layout.value_formula_point, naive.layout.value_formula_width
        )
        self.play(Appear(self.value_formula), run_time=tempo.small)

    @beat
    def only_the_latent_is_read(self) -> None:
        """What is left: queries in the latent's space, scores against the latent,
        and a mix of latents."""
        naive, picture, absorbed, tempo = self.naive, self.picture, self.absorbed, self.theme.tempo
        self.remove(naive.out, picture.scores, picture.pattern, picture.q_to_k_t)
        self.add(absorbed.out, absorbed.scores, absorbed.pattern, absorbed.q_to_k_t)
        dimmed = Group(absorbed.q_to_k_t, absorbed.scores)
        set_presence(dimmed, self.theme.dim)
        leaving = (naive.to_latent, naive.to_latent_q, naive.to_merged_out, self.key_formula)
        crossing = (naive.latent_to_scores, naive.latent_to_mix, self.value_formula)
        replaced_lines = (picture.pattern_to_z, picture.product_dot, self.latent.frame)
        self.play(
            *(Vanish(part) for part in (*leaving, *crossing, *replaced_lines)), run_time=tempo.small
        )
        staying = Group(naive.x, naive.x_words, self.latent, naive.w_dkv, absorbed.w_qk)
        self.play(
            self.move_camera(Shot()),
            Presence(staying, 1.0),
            *self.undim(dimmed, absorbed.q, absorbed.q_shape, absorbed.k_t, picture.k_t_to_scores),
            Glide(self.latent, absorbed.latent),
            Glide(naive.w_dkv, absorbed.w_dkv),
            *(Glide(part, final_copy) for part, final_copy in self.final_copies),
            run_time=1.2 * tempo.large,
        )
        self.flow = Group(absorbed.to_latent, absorbed.to_q, absorbed.to_out)
        self.feeds = Group(absorbed.key_feed, absorbed.value_feed)
        lines = (absorbed.key_line, absorbed.value_line)
        self.play(
            *(Draw(wire) for group in self.flow for wire in group),
            *(Draw(wire) for wire in (*self.feeds, *lines, absorbed.pattern_to_z)),
            Appear(absorbed.product_dot),
            Appear(absorbed.note),
            run_time=tempo.normal,
        )

    @beat
    def both_forms_agree(self) -> None:
        """Both ways give the same output. The largest difference is rounding."""
        absorbed, tempo = self.absorbed, self.theme.tempo
        self.diagram = Group(*self.visible_parts())
        self.outputs = pair = OutputComparison(self.view, self.frame)
        origin = absorbed.out
        arriving = [
            Arrive(block, source)
            for panel in (pair.naive, pair.absorbed)
            for block, source in zip(panel.blocks, origin.blocks, strict=True)
        ]
        self.play(Presence(self.diagram, 0.0), *arriving, run_time=tempo.large)
        self.play(Appear(pair.names), Appear(pair.sign), run_time=tempo.small)
        self.play(Appear(pair.total), Appear(pair.notes), run_time=tempo.small)

    # In space again

    @beat
    def every_head_reads_it(self) -> None:
        """All {heads} heads read the same latent. It looks like multi-query attention, but every
        head has its own way of asking."""
        absorbed, tempo = self.absorbed, self.theme.tempo
        flat = self.head.head
        self.absorbed_stack = head_stack = AbsorbedHeadStack(self.view, flat, absorbed)
        shots = head_stack.shots
        staying = Group(self.latent, *head_stack.front_parts, absorbed.names)
        self.play(Vanish(self.outputs), Presence(self.diagram, 1.0), run_time=tempo.small)
        rest = self._all_except(staying)
        shift = np.array([shots.latent.x, shots.latent.y, shots.depth]) - self.latent.box.center
        place = self.latent.copy().shift(shift)
        set_depth_plane(self.latent, self.latent.cells)
        self.add(*head_stack.cards)
        clear_depth_plane(absorbed.names)
        self.play(
            self.move_camera(shots.shot),
            Vanish(rest, rate_func=first_half),
            Glide(self.latent, place),
            Presence(self.latent.shape, 0.0),
            Appear(head_stack.featured.body),
            *(Appear(card, rate_func=second_half) for card in head_stack.others),
            run_time=tempo.swing,
        )
        for fan_out in head_stack.fan_outs:
            self.add(fan_out.set_drawn(0))
        self.play(
            *(AnimateWith(fan_out, fan_out.set_drawn) for fan_out in head_stack.fan_outs),
            run_time=tempo.large,
        )

    @beat
    def the_cache(self) -> None:
        """And this is all that is kept: {cached} numbers for each word, whatever the number
        of heads."""
        shots, tempo, theme = self.absorbed_stack.shots, self.theme.tempo, self.theme
        lines = (f"{self.facts['cached']} numbers a token", f"for all {self.facts['heads']} heads")
        words = Paragraph(lines, (0.0, shots.words_top), size=theme.name_size, colour=theme.ink)
        keep_upright(words, at=shots.words_corner)
        heads = Group(*self.absorbed_stack.cards, self.absorbed.names)
        self.play(
            self.move_camera(shots.near),
            *self.dim(heads, to=2 * self.theme.dim, rate_func=second_half),
            Presence(self.latent.shape, 1.0, rate_func=second_half),
            run_time=6.0,
        )
        self.play(Appear(words), run_time=tempo.small)
