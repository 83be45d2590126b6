"""Multi-head latent attention: one latent for all heads, the duel, and the absorbed form."""

from __future__ import annotations

from functools import partial

import numpy as np
from manim import Animation, AnimationGroup, Group, LaggedStart, Mobject, linear

from extract.conversion_report import at_equal_size, conversion_report
from extract.duel import Side
from extract.trace import Trace
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Glide,
    MoveFromCopy,
    Presence,
    Recolour,
    Reveal,
    Settle,
    ShowCells,
    TransposeFromCopy,
    Unroll,
    Vanish,
    first_half,
    in_diagonals,
    in_rows,
    second_half,
    set_presence,
)
from filmkit.core.camera import Shot, clear_depth_plane, keep_upright, set_depth_plane
from filmkit.core.facts import told
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, format_decimal, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Number
from filmkit.mobjects.chart import Paragraph
from filmkit.mobjects.flow import Draw
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.head_stack_marks import PanelNames
from filmkit.mobjects.latent_layout import HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import NaiveFeed, show_naive_form
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Highlight
from filmkit.mobjects.panel import Header
from scenes.mla.absorption import Absorption
from scenes.mla.comparisons import Loss, OutputComparison
from scenes.mla.diagrams import AbsorbedHeadStack, AbsorbedPicture, NaivePicture, feed_words
from scenes.mla.duel import DuelPicture, sayings_of
from scenes.mla.layout import AbsorbedLayout

DUEL = ("the_same_budget", "all_heads_compared", "every_layer", "what_it_says")
"""Beats in which keys keep their rotation."""

WORDS_BELOW = 0.75  # from the latent in space down to the text about it, in scene units


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


def emerge(part: Mobject, origin: Mobject) -> AnimationGroup:
    """Return the animation in which a part appears at a copy's place and moves to its own."""
    return AnimationGroup(Arrive(part, origin), Appear(part, rate_func=first_half))


def count_down(number: Number, start: int, side: Side, alpha: float) -> None:
    """Show a number on its way from ``start`` to what a side caches."""
    number.set_value(start + (side.numbers - start) * alpha)


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
        forms, meta = self.view.forms, self.trace.meta
        self.head_stack = HeadStack(self.layer, self.frame, featured=self.head.head)
        show_naive_form(self.head_stack, self.view)
        self.picture = self.head_stack.picture
        header = self.picture.z.header
        if header.get_right()[0] > self.frame.stage.right:
            # Values have the same shape.
            header.remove(header.shape)
            self.head_stack.labels.notes.remove(header.shape)
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
            self.view, AbsorbedLayout.of(layout, cached=cached), self.picture
        )
        self.shots = HeadStackShots.beneath(self.head_stack.layout, layout.cached, layout.riser)
        self.feed = NaiveFeed(self.head_stack, layout, self.shots)
        self.latent = self.naive.latent
        self.absorption = Absorption(self.view, self.head.head, self.frame)
        self.facts |= told(
            heads=meta.n_heads,
            layers=meta.n_layers,
            rank=forms.rank,
            sets=meta.n_kv_heads,
            cached=forms.n_cached,
        )
        if is_fitted(self.trace):
            self._prepare_losses()

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
                next=printable(self._next_word),
            )

    @property
    def _next_word(self) -> str:
        """The model's own next word."""
        return conversion_report(self.trace).next_word

    def variant(self, beat: str) -> str:
        if beat == "one_latent_for_all":
            return "own" if self.trace.meta.n_kv_heads == self.trace.meta.n_heads else "grouped"
        if beat == "the_latent_drops_in":
            return "rotated" if self.view.forms.d_rope else "plain"
        if beat == "the_same_budget":
            return "equal" if self.facts["rank"] == self.facts["budget"] else "unequal"
        contest = at_equal_size(self.trace)
        assert contest is not None
        says = [row.continuation.startswith(self._next_word) for row in contest.rows[1:]]
        return "kept" if says == [False, False, True] else "lost"

    # One latent, expanded

    @beat(
        own="In MLA every head has its own keys and values, but all are made from one small "
        "latent: {rank} numbers for each token.",
        grouped="In MLA every head has its own keys and values, all made from one small latent. "
        "This model has {sets} sets.",
    )
    def one_latent_for_all(self) -> None:
        head_stack, tempo, latent = self.head_stack, self.theme.tempo, self.latent
        self.camera.shot = self.shots.shot
        self.latent_target = latent.copy()
        box = self.naive.layout.cached
        place = np.array([self.shots.latent.x, self.shots.latent.y, self.shots.depth])
        latent.scale(self.shots.latent.width / box.width, about_point=box.center)
        latent.shift(place - box.center)
        set_depth_plane(latent, latent.cells)
        for part in (head_stack.labels, latent.header):
            set_presence(part, 0.0)
        self.tag = self._upright_name(self.shots)
        self.panel_names = Group()
        if self.frame.wide:
            shot = self.shots.shot
            self.panel_names.add(
                PanelNames(head_stack, shot), feed_words(self.feed, shot, self.frame)
            )
        later_parts = ("k", "v", "k_t", "scores", "pattern", "z", "wires")
        self.play(Appear(head_stack.parts("plane", "body", "q")), run_time=tempo.normal)
        self.play(Appear(Group(*latent.panels)), Appear(self.tag))
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
        self.play(Appear(rest), Appear(self.panel_names), run_time=tempo.normal)

    def _upright_name(self, shots: HeadStackShots) -> Header:
        """Return the name of the latent in space, always facing the camera.

        It is below the latent's left end, or at its left where a line leads up from the latent.
        """
        header = Header(_("latent"), "C", colour=self.theme.latent)
        if shots is self.shots and self.frame.wide:
            header.shift([-header.get_right()[0] - 0.2, 0.3, 0])
        else:
            header.shift([-header.get_left()[0], -0.3, 0])
        return keep_upright(header, shots.words_corner)

    @beat
    def flatten(self) -> None:
        """Look at one head from the front."""
        head_stack, tempo, naive = self.head_stack, self.theme.tempo, self.naive
        self.play(
            self.move_camera(Shot()),
            Glide(self.latent, self.latent_target),
            *(Vanish(part, rate_func=first_half) for part in self._all_around_the_head()),
            Vanish(head_stack.featured.body, rate_func=second_half),
            run_time=tempo.swing,
        )
        clear_depth_plane(Group(*self.visible_parts()))
        self.play(
            Appear(naive.input_without_latent),
            Appear(head_stack.labels),
            Appear(self.latent.header),
            run_time=tempo.normal,
        )

    def _all_around_the_head(self) -> list[Mobject]:
        """Return what is on screen around one card: other cards, lines and names, in parts.

        A whole card would be drawn anew, over the lines that rise on it.
        """
        feed = self.feed
        cards = [part for card in self.head_stack.others for part in card]
        return [*cards, feed.handle, feed.fan_out, *feed.rising, self.tag, self.panel_names]

    @beat
    def down_to_the_latent(self) -> None:
        """Down: one matrix makes {rank} numbers from each row of X. Only they are cached."""
        naive, tempo, latent = self.naive, self.theme.tempo, self.latent
        focus = Group(naive.x, naive.x_words, naive.w_dkv, naive.to_latent, latent)
        self.dimmed_parts = self._all_except(focus)
        self.play(
            *self.dim(self.dimmed_parts, to=0.06),
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
        self.play(*(Vanish(f) for f in frames), Appear(latent.frame))

    def _all_except(self, focus: Group) -> Group:
        """Return everything on screen that does not belong to ``focus``."""
        excluded = {id(member) for member in focus.get_family()}
        return Group(*(part for part in self.visible_parts() if id(part) not in excluded))

    @beat
    def up_to_keys_and_values(self) -> None:
        """Up: two more make this head's keys and values from it."""
        naive, picture, tempo = self.naive, self.picture, self.theme.tempo
        expanded = Group(naive.to_k, naive.to_v, naive.w_uk, naive.w_uv, picture.k, picture.v)
        self.play(
            ShowCells(picture.k.cells, 0.0),
            ShowCells(picture.v.cells, 0.0),
            *self.undim(expanded),
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
        """How good is the copy? The keys come back with a {lost_k} error, the values with
        {lost_v}."""
        picture, tempo = self.picture, self.theme.tempo
        self.loss = loss = Loss(self.view.head(self.head.head), self.frame)
        rebuilt = [panel.cells for panel in loss.rebuilt]
        leaving = self._all_except(Group(picture.k.cells, picture.v.cells))
        self.play(
            Vanish(leaving),
            *(
                Settle(panel.cells, target.box)
                for panel, target in zip((picture.k, picture.v), rebuilt, strict=True)
            ),
            *(
                Recolour(panel.cells, values=target.values, source=target.source)
                for panel, target in zip((picture.k, picture.v), rebuilt, strict=True)
                if self.view.biased
            ),
        )
        self.remove(picture.k.cells, picture.v.cells)
        self.add(*rebuilt)
        self.play(
            *(Appear(panel.header) for panel in loss.rebuilt),
            Appear(loss.true),
            Appear(loss.remark),
        )
        self.play(
            Appear(loss.signs),
            *(
                MoveFromCopy(true.cells, difference.cells)
                for true, difference in zip(loss.true, loss.difference, strict=True)
            ),
            run_time=tempo.large,
        )
        self.play(
            *(Appear(panel.header) for panel in loss.difference),
            LaggedStart(*(Appear(error) for error in loss.errors), lag_ratio=0.5),
        )

    # The duel

    @beat(
        when=can_duel,
        equal="A fair fight: both sides [keep] {budget} numbers for each token and layer, instead "
        "of the model's {own}.",
        unequal="One shared set may [keep] {budget} numbers for each token and layer, one latent "
        "{rank}, instead of the model's {own}.",
    )
    def the_same_budget(self) -> None:
        tempo = self.theme.tempo
        self.duel = duel = DuelPicture(self.layer, self.frame)
        self.facts |= told(
            shared_layer=(duel.numbers.shared.distance.mean, told_share),
            latent_layer=(duel.numbers.latent.distance.mean, told_share),
        )
        self.play(Vanish(Group(*self.visible_parts())))
        for side in duel.sides:
            self.add(*side.sets, side.numbers, side.unit_word)
        self.play(
            *(Appear(Group(side.name, side.sets)) for side in duel.sides),
            *(Appear(Group(side.numbers, side.unit_word)) for side in duel.sides),
        )
        self.wait_for("keep")
        squeezed = []
        for side in duel.sides:
            first = side.bar.get_left()[0]
            for index, piece in enumerate(side.sets):
                target = piece.copy()
                if side is duel.shared:
                    target.move_to(side.sets[index % 2])
                else:
                    target.stretch_to_fit_width(side.bar.width / len(side.sets))
                    target.move_to(
                        [first + side.bar.width * (index + 0.5) / len(side.sets), piece.get_y(), 0]
                    )
                squeezed.append(Glide(piece, target))
        numbers = [
            AnimateWith(side.numbers, partial(count_down, side.numbers, side.own.n_own, side.side))
            for side in duel.sides
        ]
        self.play(*squeezed, *numbers, run_time=tempo.large)
        bars = (Appear(Group(side.bar, side.kinds)) for side in duel.sides)
        self.play(*bars, run_time=tempo.small)
        self.remove(*(side.sets for side in duel.sides))
        pairs = zip(*(side.patterns for side in duel.sides), strict=True)
        self.play(
            LaggedStart(*(Appear(Group(*pair)) for pair in pairs), lag_ratio=0.2),
            *(Appear(side.states[0], rate_func=second_half) for side in duel.sides),
            run_time=2 * tempo.normal,
        )

    @beat(when=can_duel)
    def all_heads_compared(self) -> None:
        """Left, one shared set, the mean; right, one latent. What [glows] is attention that lands
        on other words: {shared_layer}, and {latent_layer}."""
        duel, tempo = self.duel, self.theme.tempo
        self._change_states(0, 1, *(side.compute_again() for side in duel.sides))
        self.wait_for("glows")
        self._change_states(
            1, 2, *(side.show_difference(duel.difference_norm) for side in duel.sides)
        )
        self.play(
            *(Appear(Group(side.counter, side.percent, side.words)) for side in duel.sides),
            *(side.count_to(side.side.distance.mean) for side in duel.sides),
            run_time=2 * tempo.normal,
        )

    def _change_states(self, old: int, new: int, *changes: Animation) -> None:
        """Play how the patterns of both sides change, and the words that say what they are."""
        tempo, sides = self.theme.tempo, self.duel.sides
        self.play(*(Vanish(side.states[old]) for side in sides), run_time=0.3)
        self.play(*changes, *(Appear(side.states[new]) for side in sides), run_time=tempo.large)

    @beat(when=has_contest)
    def every_layer(self) -> None:
        """In all {layers} layers errors add up: on the left, {mqa_moved} of attention lands on
        other words, on the right {latent_moved}."""
        duel, tempo = self.duel, self.theme.tempo
        self.play(
            *(Appear(side.layer_words, rate_func=second_half) for side in duel.sides),
            *(Vanish(side.states[2], rate_func=first_half) for side in duel.sides),
            *(side.collapse() for side in duel.sides),
        )
        rising = [side.rise() for side in duel.sides]
        self.add(*(side.layers for side in duel.sides))
        self.play(*rising, run_time=3.4 * tempo.normal, rate_func=linear)

    @beat(
        when=has_contest,
        kept="Nothing was trained. On one latent the model still says {next}; on one shared set, "
        "averaged or even fitted, it does not.",
        lost="Nothing was trained. This is how the whole model goes on in each of the ways.",
    )
    def what_it_says(self) -> None:
        duel, tempo = self.duel, self.theme.tempo
        assert duel.contest is not None
        self.sayings = sayings = sayings_of(self.trace, duel.contest, self.frame)
        bars = {1: duel.shared.bar, 3: duel.latent.bar}
        staying = Group(*bars.values())
        self.play(
            Vanish(self._all_except(staying)),
            *(Glide(bar, sayings.bars[index]) for index, bar in bars.items()),
            Appear(sayings.prompt, rate_func=second_half),
            run_time=tempo.large,
        )
        self.play(Appear(sayings.row(0)), Appear(sayings.bars[0]), Appear(sayings.sayings[0]))
        for index in (3, 1, 2):
            extra = [Appear(sayings.bars[index])] if index not in bars else []
            self.play(Appear(sayings.row(index)), *extra, run_time=tempo.small)
            self.play(Appear(sayings.sayings[index]))

    # Absorbing the keys' matrix

    @beat
    def a_new_query(self) -> None:
        """But only the latent is kept. Must [every] key of every head be rebuilt for every new
        token?"""
        tempo, a = self.theme.tempo, self.absorption
        self._keep_only_the_latent()
        a.only_last_row(a.query)
        a.only_last_row(a.scores)
        self.word = a.words[-1].copy() if a.words else Group()
        self.word.shift([a.layout.query.left - a.layout.far_query.left, 0, 0])
        self.play(Appear(a.query), Appear(a.query_name), Appear(self.word))
        self.play(
            *(
                TransposeFromCopy(block, turned)
                for block, turned in zip(a.latent.blocks, a.turned.blocks, strict=True)
            ),
            Draw(a.link),
            Appear(a.turned_name, rate_func=second_half),
            run_time=tempo.large,
        )
        self.wait_for("every")
        dots = [Appear(m.dots) for m in (a.turned, a.keys) if m.dots is not None]
        self.play(
            Appear(a.weight),
            *dots,
            *self._inflate(),
            *(Draw(arrow) for arrow in a.chain[:2]),
            Appear(a.keys_name),
            Appear(Group(a.number, a.number_words)),
            a.count(0, a.rebuilt),
            run_time=1.6 * tempo.large,
        )
        self.play(
            Draw(a.chain[2]),
            Appear(Group(a.scores, a.scores_name), rate_func=second_half),
            Appear(a.formula),
            run_time=tempo.normal,
        )

    def _keep_only_the_latent(self) -> None:
        """Play how all but the latent goes, and the latent takes its place in the new picture."""
        a = self.absorption
        parts = [*a.latent.blocks, *([] if a.rope is None else [a.rope])]
        named = Group(a.latent_name, a.rope_name, a.frame_of_cache)
        if a.latent.dots is not None:
            named.add(a.latent.dots)
        naming = Appear(named, rate_func=second_half)
        if hasattr(self, "sayings"):
            bar = self.duel.latent.bar
            self.play(Vanish(self._all_except(Group(bar))))
            self.play(*(Unroll(bar, block) for block in parts), naming)
        else:
            self.play(Vanish(Group(*self.visible_parts())))
            origins = [self.latent.cells] * len(a.latent.blocks)
            origins += [] if self.latent.rope is None else [self.latent.rope]
            self.play(
                *(
                    Arrive(part, part.copy().place(origin.box))
                    for part, origin in zip(parts, origins, strict=True)
                ),
                naming,
            )

    def _inflate(self) -> list[Animation]:
        """Return the animations in which the keys of all sets grow out of the matrix."""
        a = self.absorption
        blocks = [block for keys in reversed((a.keys, *a.others)) for block in keys.blocks]
        return [Arrive(block, block.copy().place(a.layout.weight.inset(0.1))) for block in blocks]

    @beat
    def move_the_bracket(self) -> None:
        """No: [move] the bracket. Apply the matrix to the one new query, and no key is ever
        built."""
        tempo, a = self.theme.tempo, self.absorption
        s = a.layout
        self.wait_for("move")
        gone = [
            Settle(block, Box(s.turned.x, s.turned.bottom, s.turned.width, 0.01), remover=True)
            for keys in (a.keys, *a.others)
            for block in keys.blocks
        ]
        dots = [Vanish(m.dots) for m in (a.keys, *a.others) if m.dots is not None]
        dx = s.far_query.left - s.query.left
        far = a.query.copy().shift([dx, 0, 0])
        self.play(a.formula.move_bracket(), run_time=tempo.large)
        self.play(
            *gone,
            *dots,
            Vanish(Group(a.keys_name, a.number_words[-1])),
            *(Vanish(arrow, rate_func=first_half) for arrow in a.chain),
            a.count(a.rebuilt, 0),
            Glide(
                a.weight, a.weight.copy().shift(np.subtract(s.far_weight.center, s.weight.center))
            ),
            Glide(a.query, far),
            Glide(a.query_name, a.queries_name_at(dx)),
            Glide(self.word, self.word.copy().shift([dx, 0, 0])),
            Draw(a.drop, rate_func=second_half),
            run_time=1.4 * tempo.large,
        )
        a.only_last_row(a.latent_query)
        parts = Group(a.latent_query, a.new_query_name)
        if a.rope_query is not None:
            a.only_last_row(a.rope_query)
            parts.add(a.rope_query)
        self.play(Appear(parts), *(Draw(arrow) for arrow in a.across))

    @beat(
        plain="The turned latent drops into the scores, where the keys were.",
        rotated="The turned latent drops into the scores, where the keys were, and with it the one "
        "rotated key.",
    )
    def the_latent_drops_in(self) -> None:
        tempo, a = self.theme.tempo, self.absorption
        s = a.layout
        drop = [0.0, s.dropped.y - s.turned.y, 0.0]
        moving = Group(a.turned, a.turned_name)
        self.play(
            Glide(moving, moving.copy().shift(drop)),
            Glide(a.link, a.link_dropped),
            Vanish(Group(a.number, a.number_words[:-1], a.drop), rate_func=first_half),
            run_time=tempo.large,
        )
        if a.rope is not None and a.turned_rope is not None:
            self.play(TransposeFromCopy(a.rope, a.turned_rope))
        between = Group(a.weight, a.across)
        self.play(
            # The word of the new token is there.
            *(Appear(word) for word in a.words[:-1]),
            Vanish(Group(a.query_name, a.new_query_name)),
            Appear(Group(a.queries_name, a.latent_query_name)),
            Glide(between, between.copy().shift([0, s.scores.y - s.row, 0])),
            *a.formula.ask_all(a.formula_of_all),
            run_time=tempo.small,
        )
        self.remove(self.word)
        self.add(a.words)
        matrices = [*a.query.blocks, *a.latent_query.blocks]
        matrices += [] if a.rope_query is None else [a.rope_query]
        self.play(
            LaggedStart(
                *(Reveal(cells, in_rows(cells.shape)) for cells in matrices), lag_ratio=0.1
            ),
            *a.center_dots(),
        )
        self.play(Reveal(a.scores, in_rows(a.scores.shape)))

    @beat
    def the_pattern_mixes_latents(self) -> None:
        """The pattern mixes the latents themselves, so no value is built either."""
        tempo, a = self.theme.tempo, self.absorption
        self.play(
            Vanish(Group(a.scores, a.scores_name), rate_func=second_half),
            Appear(a.pattern, rate_func=first_half),
            Appear(a.pattern_name, rate_func=second_half),
        )
        weights = a.pattern.values[-1][:, None]
        frame = Highlight(a.pattern.row(-1))
        self.play(Appear(frame), Appear(a.times))
        self.play(*(ShowCells(block, weights) for block in a.latent.blocks))
        rows = [row for block in a.latent.blocks for row in block.split_rows()]
        ends = [block for block in a.mix.blocks for _ in range(self.layer.count)]
        self.add(*rows)
        self.play(
            *(Settle(row, end.box) for row, end in zip(rows, ends, strict=True)),
            run_time=tempo.large,
        )
        self.remove(*rows)
        self.add(*a.mix.blocks)
        self.play(
            Appear(Group(a.equals, a.mix_name, a.formula_of_mix)),
            *([] if a.mix.dots is None else [Appear(a.mix.dots)]),
            run_time=tempo.small,
        )

    @beat
    def both_forms_agree(self) -> None:
        """Both ways give the same output."""
        tempo, a = self.theme.tempo, self.absorption
        self.outputs = pair = OutputComparison(self.view, self.frame)
        arriving = [
            emerge(block, block.copy().place(a.layout.mix))
            for panel in (pair.naive, pair.absorbed)
            for block in panel.blocks
        ]
        self.play(*(Vanish(part) for part in self.mobjects), *arriving, run_time=tempo.large)
        self.play(Appear(pair.names), Appear(pair.sign))
        self.play(Appear(pair.total), Appear(pair.notes))

    # In space again

    @beat
    def every_head_reads_it(self) -> None:
        """All {heads} heads read one latent, and each has its own way of asking."""
        tempo, absorbed = self.theme.tempo, self.absorbed
        self.absorbed_stack = head_stack = AbsorbedHeadStack(self.view, self.head.head, absorbed)
        shots, s = head_stack.shots, self.absorption.layout
        boxes = {"q": s.latent_query, "k_t": s.dropped, "pattern": s.scores, "z": s.mix}
        front = {name: absorbed.panels[name] for name in boxes}
        rest = Group(*(part for part in head_stack.front_parts if part not in front.values()))
        self.play(
            *(Vanish(part, rate_func=first_half) for part in self.mobjects),
            *(emerge(cells, cells.copy().place(boxes[name])) for name, cells in front.items()),
            Appear(Group(rest, *absorbed.latent.panels), rate_func=second_half),
            run_time=tempo.large,
        )
        latent, center = Group(*absorbed.latent.panels), absorbed.latent.box.center
        place = latent.copy()
        place.scale(shots.latent.width / absorbed.latent.box.width, about_point=center)
        place.shift(np.array([shots.latent.x, shots.latent.y, shots.depth]) - center)
        set_depth_plane(latent, absorbed.latent.cells)
        self.add(*head_stack.cards)
        self.play(
            self.move_camera(shots.shot),
            Glide(latent, place),
            Appear(head_stack.featured.body),
            *(Appear(card, rate_func=second_half) for card in head_stack.others),
            run_time=tempo.swing,
        )
        for fan_out in head_stack.fan_outs:
            self.add(fan_out.set_drawn(0))
        self.play(
            Appear(self._upright_name(shots)),
            *(AnimateWith(fan_out, fan_out.set_drawn) for fan_out in head_stack.fan_outs),
            run_time=tempo.large,
        )
        self.line_names = head_stack.line_names()
        self.play(Appear(self.line_names))

    @beat
    def the_cache(self) -> None:
        """This is all that is kept: {cached} numbers for each token."""
        shots, tempo, theme = self.absorbed_stack.shots, self.theme.tempo, self.theme
        lines = (
            _("all that is kept of a token:"),
            _(
                "{number} numbers for all {heads}",
                number=self.facts["cached"],
                heads=counted_heads(self.trace.meta.n_heads),
            ),
        )
        words = Paragraph(lines, (0.0, -WORDS_BELOW), size=theme.name_size, colour=theme.ink)
        keep_upright(words, at=shots.words_corner)
        stack = self.absorbed_stack
        # What stands in front of the latent would stand in the way.
        front = [c for c in stack.cards if stack.layout.depth_at(c.place) > shots.depth - 1e-6]
        behind = [card for card in stack.cards if card not in front]
        self.play(
            self.move_camera(shots.near),
            Vanish(self.line_names, rate_func=first_half),
            *self.dim(*front, to=0.0, rate_func=first_half),
            *self.dim(*behind, to=2 * theme.dim, rate_func=second_half),
            Appear(words, rate_func=second_half),
            run_time=tempo.orbit,
        )
        self.hold(1.0)
        self.play(
            self.move_camera(shots.shot),
            Vanish(words),
            *self.undim(*front, rate_func=second_half),
            *self.undim(*behind),
            Appear(self.line_names, rate_func=second_half),
            run_time=tempo.swing,
        )
