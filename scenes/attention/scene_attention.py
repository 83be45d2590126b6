"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import LEFT, UP, Animation, AnimationGroup, Group, LaggedStart, Mobject, VGroup, linear

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Glide,
    MoveFromCopy,
    Presence,
    Recolour,
    Reveal,
    Rise,
    Settle,
    ShowCells,
    Transpose,
    TransposeFromCopy,
    Vanish,
    in_diagonals,
    in_rows,
    set_presence,
)
from filmkit.core.facts import fact, told
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    format_number,
    format_share,
    format_short,
    spoken_share,
)
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import (
    Label,
    Symbol,
    TextLine,
    break_lines,
    fit_size,
    fit_word,
    stacked_lines,
)
from filmkit.core.view import best_match
from filmkit.mobjects.flow import Draw, WeightBox, Wire
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.marks import ColourBar, Highlight, Outline, TokenLabels
from filmkit.mobjects.panel import Header, Truncated
from filmkit.mobjects.product import head_product
from filmkit.mobjects.sentence import Sentence
from scenes.attention.closeups import (
    GAP,
    Meeting,
    MixedRows,
    PairAtPlace,
    Product,
    Projection,
    Shares,
    column_of_lines,
    figure_digits,
    figure_size,
    header_box,
    input_panel,
    scale_lines,
    weight_formula,
    weight_of,
)
from scenes.attention.layout import (
    aside,
    is_square,
    meeting_layout,
    mix_layout,
    pattern_layout,
    projection_layout,
    scores_bar,
    scores_room,
    source_layout,
)

NARROW_BAR = 2.6  # a colour bar of this width, in scene units, has no room for a name
STEPS = 10  # how many places the pair is moved along, to show that only its distance counts
ABOVE_SHARES = 0.45  # from the bar of a share of 1 to the words, with its figure between
HIDDEN_ROW = 0.4  # room for the values of a token that is not drawn elsewhere
SHARES = 0.2  # largest height of the bar of a share of 1, as a fraction of the shorter side
SENTENCE = 0.07  # text size of the sentence, as a fraction of the frame's shorter side


def spoken_weight(share: float) -> str:
    """Return a share of attention for narration, with a decimal if it is small."""
    return spoken_share(share, 0 if 100 * share >= 9.95 else 1)


def of_them(heads: int) -> str:
    """Return how many heads there are: "9 of them"."""
    return ngettext("one of them", "{number} of them", heads)


def of_layers(layers: int) -> str:
    """Return in which layers there are as many: "each of 30 layers"."""
    return ngettext("its one layer", "each of {number} layers", layers)


def places_on(steps: int) -> str:
    """Return how far something is moved: "10 positions later"."""
    return ngettext("{number} position later", "{number} positions later", steps)


def scaling(factor: float) -> str:
    """Return what is done to the dot products that are multiplied by a factor, as it is said."""
    if factor == 1:
        return _("Keep them as they are")
    if factor < 1:
        # Rounded first: a factor of a whole number may be off by little.
        return _("Divide by {number}", number=format_short(float(f"{1 / factor:.3g}")))
    return _("Multiply by {number}", number=format_number(factor))


class Attention(Stage):
    """One head from words to z; every number is one that the model computes."""

    title = "One attention head, start to finish"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    live = "rows"

    def prepare(self) -> None:
        layer, head, meta = self.layer, self.head, self.trace.meta
        self.scores = head_product(
            head,
            self.frame,
            "scores",
            room=scores_room(self.frame),
            below=0.72 if is_square(self.frame) else 0.5,
        )
        self.mix = head_product(
            head,
            self.frame,
            "z",
            below=1.1 if is_square(self.frame) else 0.76,
            above=HIDDEN_ROW if layer.hides_first else 0.0,
        )
        self.whole = HeadPicture(head, self.frame)
        layout = self.scores.layout
        self.letters, self.word_width = layout.letters, layout.word_width
        self.rows = projection_layout(
            self.frame, count=layer.count, d_model=meta.d_model, word_width=self.word_width
        )
        self.words = TokenLabels(
            layer.words,
            self.rows.words_alone,
            width=self.word_width - 0.012 * self.frame.shorter_side,
            size=self.letters,
        )
        under = header_box(self.scores.top.header).bottom - 0.1
        self.aside = aside(self.frame, layout, under)
        self.query, self.key = self.match = best_match(head)
        dot, share = head.dot_products[self.match], float(head.pattern[self.match])
        self.facts |= told(
            width=meta.d_model,
            query=printable(layer.words[self.query]),
            key=printable(layer.words[self.key]),
            dot=(dot, format_number),
            share=(share, spoken_weight),
            scaling=(meta.score_scale, scaling),
            products=meta.d_qk,
            heads=(meta.n_heads, of_them),
            layers=(meta.n_layers, of_layers),
        )

    def variant(self, beat: str) -> str:
        if beat == "scale_and_mask":
            return "kept" if self.trace.meta.score_scale == 1 else "scaled"
        return "latent" if self.trace.meta.attention == "mla" else "straight"

    # X, queries and keys

    @beat
    def words_become_rows(self) -> None:
        """Inside the model, each token of the sentence becomes a row of {width} numbers."""
        rows, words = self.rows, self.words
        shape = (self.layer.count, self.trace.meta.d_model)
        name = _("input")
        self.x_name = name if Header(name, "X", shape).width <= rows.x.width else ""
        self.x = input_panel(self.layer, rows.x_alone, rows.x_columns, self.x_name)
        self.bar = ColourBar(self.x.blocks[0].norm, "X", rows.bar_alone)
        targets = words.copy()
        self._lay_out_sentence(words)
        self.play(LaggedStart(*(Appear(word) for word in words), lag_ratio=0.3, run_time=1.4))
        self.add(words, *(block.set_shown(0) for block in self.x.blocks))
        self.play(
            LaggedStart(
                *(Glide(word, target) for word, target in zip(words, targets, strict=True)),
                lag_ratio=0.08,
                run_time=self.theme.tempo.large,
            )
        )
        self.play(
            *(Reveal(block, in_rows(block.shape), run_time=2.4) for block in self.x.blocks),
            Appear(Group(*filter(None, (self.x.header, self.x.dots)))),
        )
        self.play(Appear(self.bar))

    def _lay_out_sentence(self, words: TokenLabels) -> None:
        """Scale words up, and place them as a sentence in the middle of the frame."""
        size = SENTENCE * self.frame.shorter_side / FRAME_HEIGHT
        sentence = Sentence(self.layer.words, self.frame.stage, size=size)
        for word, place in zip(words, sentence.words, strict=True):
            word.scale(place.width / word.width).move_to(place)

    @beat(
        straight="Two learned matrices make each row a query and a key. Read loosely, queries ask "
        "and keys answer.",
        latent="Learned matrices make each row a query and a key, here by way of a short latent. "
        "Read loosely, queries ask and keys answer.",
    )
    def queries_and_keys(self) -> None:
        rows, tempo = self.rows, self.theme.tempo
        self.projection = made = Projection(self.head, rows, self.scores)
        beside = input_panel(self.layer, rows.x, rows.x_columns, self.x_name)
        self.play(
            Vanish(self.bar),
            Glide(self.x, beside, run_time=tempo.large),
            Glide(
                self.words,
                self.words.beside(rows.words, size=self.letters),
                run_time=tempo.large,
            ),
        )
        count = self.layer.count
        self.colour_bars = Group()
        for panel, weight, box, name in (
            (made.queries, made.w_q, rows.bars[0], _("queries")),
            (made.keys, made.w_k, rows.bars[1], _("keys")),
        ):
            for block in panel.blocks:
                self.add(block.set_shown(0))
            beam = Highlight(self._row_across(panel, 0), colour=weight.frame.get_stroke_color())
            bar = ColourBar(panel.blocks[0].norm, name if box.width > NARROW_BAR else "", box)
            self.colour_bars.add(bar)
            self.play(
                Appear(weight),
                Appear(Group(*filter(None, (panel.header, panel.dots)))),
                Appear(beam),
            )
            self.play(
                *(Reveal(b, in_rows(b.shape), rate_func=linear) for b in panel.blocks),
                self._down_the_rows(beam, [self._row_across(panel, i) for i in range(count)]),
                run_time=1.8,
            )
            self.play(Vanish(beam), Appear(bar))

    def _row_across(self, panel: Truncated, index: int) -> Box:
        """Return the box of a row from X to the end of a panel."""
        row = panel.blocks[0].row(index)
        return Box.of(self.rows.x.left, panel.box.right, row.bottom, row.top)

    @staticmethod
    def _down_the_rows(beam: Mobject, rows: Sequence[Box]) -> AnimateWith:
        """Return an animation in which a beam jumps from row to row."""

        def step(alpha: float) -> None:
            beam.move_to(rows[min(int(alpha * len(rows)), len(rows) - 1)].center)

        return AnimateWith(beam, step, rate_func=linear)

    # One score

    @beat
    def transpose_the_keys(self) -> None:
        """Turn the keys, and each becomes a column."""
        picture, made, tempo = self.scores, self.projection, self.theme.tempo
        queries, keys = made.queries, made.keys
        leaving = [self.x, made.w_q, made.w_k, self.colour_bars, keys.header, keys.dots]
        self.play(
            *(Vanish(part) for part in leaving if part is not None),
            *self._become(queries, picture.left),
            Glide(
                self.words,
                self.words.beside(picture.layout.row_words, size=self.letters),
                run_time=tempo.large,
            ),
            *(
                Transpose(block, target.box, run_time=1.5 * tempo.large)
                for block, target in zip(keys.blocks, picture.top.blocks, strict=True)
            ),
        )
        self.remove(queries, keys)
        self.add(picture.left, *picture.top.blocks)
        self.outline = Outline(picture.product.box)
        self.play(
            Appear(Group(*filter(None, (picture.top.header, picture.top.dots)))),
            LaggedStart(*(Appear(word) for word in picture.column_words), lag_ratio=0.1)
            if len(picture.column_words)
            else Appear(self.outline),
            Appear(self.outline),
            Appear(picture.product.header),
            run_time=tempo.normal,
        )
        self.add(picture.column_words)
        self.wanted = Product(picture, "Q times K^top = med ?", figure_size(self.frame))
        if not is_square(self.frame):
            column_of_lines([self.wanted.formula], self.aside, level=self._level)
            self.wanted.add(self.wanted.formula)
        self.play(Appear(self.wanted))

    @staticmethod
    def _become(panel: Truncated, other: Truncated) -> list[Animation]:
        """Return animations that move a panel to the place of another one of the same cells."""
        moves: list[Animation] = [
            Settle(block, target.box)
            for block, target in zip(panel.blocks, other.blocks, strict=True)
        ]
        if panel.dots is not None and other.dots is not None:
            moves.append(Glide(panel.dots, other.dots))
        if len(panel.header.get_family()) == len(other.header.get_family()):
            moves.append(Glide(panel.header, other.header))
        else:
            moves += [Vanish(panel.header), Appear(other.header)]
        return [AnimationGroup(move, run_time=1.6) for move in moves]

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of [“{query}”] meets the key of [“{key}”]:
        multiply channel by channel, and add it up."""
        picture, theme, tempo = self.scores, self.theme, self.theme.tempo
        layout = meeting_layout(self.frame, picture.layout)
        self.meeting = meeting = Meeting(
            self.head, self.match, picture, layout, size=figure_size(self.frame)
        )
        self.row_beam = picture.row_beam(self.query)
        self.column_beam = picture.column_beam(self.key)
        self.query_word = self.words[self.query].copy()
        self.key_word = picture.column_word(self.key).copy()
        self.query_word.set_fill(theme.query)
        self.key_word.set_fill(theme.key)
        self.others: list[Mobject] = [
            self.words, picture.column_words, *picture.left.blocks, *picture.top.blocks,
            *filter(None, (picture.left.dots, picture.top.dots)),
        ]  # fmt: skip
        level = 0.0 if layout.alone else theme.dim
        self.play(
            *(Presence(part, level) for part in self.others),
            *(Presence(factor.header, 0.0) for factor in (picture.left, picture.top)),
            *(Appear(part) for part in (*meeting.in_query, *meeting.in_key)),
            Vanish(self.wanted),
            Appear(self.query_word),
            *_grow(self.row_beam, 0, LEFT),
            run_time=tempo.normal,
        )
        self.play(
            Appear(self.key_word),
            *_grow(self.column_beam, 1, UP),
            run_time=tempo.normal,
        )
        self.pointer = Highlight(picture.layout.cell(*self.match))
        self.play(Appear(self.pointer))
        names = [
            fit_word(
                printable(self.layer.words[index]),
                self._name_room,
                size=self.letters,
                colour=colour,
            )
            for index, colour in ((self.query, theme.query), (self.key, theme.key))
        ]
        self.names = VGroup()
        for name, box in zip(names, (layout.query, layout.key), strict=True):
            self.names.add(name.on_line(layout.word - name.width / 2, box.y))
        products = Label(_("products"), size=theme.note_size, colour=theme.muted)
        if products.width <= layout.word - self.frame.stage.left:
            x = layout.word - products.width / 2
            self.names.add(products.on_line(x, layout.products.y))
        self._place_total()
        self.play(
            *(
                MoveFromCopy(there, here)
                for there, here in zip(meeting.in_query, meeting.query, strict=True)
            ),
            *(
                TransposeFromCopy(meeting.in_key[min(i, len(meeting.in_key) - 1)], here)
                for i, here in enumerate(meeting.key)
            ),
            Appear(self.names),
            *self._show_product(not layout.alone),
            run_time=tempo.large,
        )
        self.play(Appear(meeting.zero), Appear(self.formula))
        counted = Group(meeting.bars, meeting.total)
        self.add(counted)
        self.play(
            AnimateWith(counted, meeting.add_up, rate_func=linear),
            AnimateWith(
                meeting.total,
                lambda alpha: set_presence(meeting.total, min(1.0, 8 * alpha)),
            ),
            run_time=3.0,
        )

    @property
    def _name_room(self) -> float:
        """Room for a word beside a row that meets another."""
        return min(self.meeting.layout.word - self.frame.stage.left, 2 * self.word_width)

    def _show_product(self, shown: bool) -> list[Animation]:
        """Return animations that show or hide the product while a query and a key meet alone."""
        meeting = self.meeting
        if not meeting.layout.alone:
            return []
        beams = (
            *meeting.in_query, *meeting.in_key, self.query_word, self.key_word, self.outline,
            self.row_beam, self.column_beam, self.pointer, self.scores.product.header,
        )  # fmt: skip
        return [
            *(Presence(part, float(shown)) for part in beams),
            *(Presence(part, self.theme.dim if shown else 0.0) for part in self.others),
        ]

    def _show_meeting(self, shown: bool) -> list[Animation]:
        """Return animations that show or hide a meeting that has the frame for itself."""
        meeting = self.meeting
        if not meeting.layout.alone:
            return []
        parts = (
            *meeting.query, *meeting.key, meeting.bars, meeting.zero, self.names, self.formula,
            meeting.total,
        )  # fmt: skip
        return [Presence(part, float(shown)) for part in parts]

    def _place_total(self) -> None:
        """Place the sum in line with its row, and below it what it is the sum of."""
        total, theme, room = self.meeting.total, self.theme, self.aside
        if self.meeting.layout.alone:
            products = self.meeting.layout.products
            room = Box.of(products.left, products.right, self.frame.stage.bottom, products.bottom)
        elif is_square(self.frame):
            left, products = self.scores.layout.left, self.meeting.layout.products
            room = Box.of(left.left, left.right, left.top + HEADER + 0.1, products.bottom)
        lines: list[TextLine] = [Symbol("= q dot k", size=theme.name_size)]
        if room is self.aside:
            text = ngettext(
                "sum of {number} product", "sum of {number} products", self.trace.meta.d_qk
            )
            lines.append(Label(text, size=theme.note_size, colour=theme.muted))
        total.set_value(float(self.head.dot_products[self.match]))
        column_of_lines([total, *lines], room, level=self._level)
        total.set_value(0.0)
        self.formula = VGroup(*lines)

    @property
    def _level(self) -> float | None:
        """y of the row of the query that is followed, if what is aside is beside it."""
        return None if self.frame.upright else self.scores.layout.row(self.query).y

    @beat
    def one_cell(self) -> None:
        """The sum fills the cell where they cross: {dot}."""
        picture, tempo = self.scores, self.theme.tempo
        scores = picture.product.cells.set_masked(0).set_shown(0)
        scale = self.trace.meta.score_scale
        scores.set_values(self.head.dot_products, self.layer.scores_norm.scaled(1 / scale))
        scores.source = self.layer.computed("dot_products", head=self.head.head)
        cell = scores.cell(*self.match)
        flying = self.meeting.total.copy()
        target = flying.copy().move_to(cell.center)
        target.scale(min(1.0, 0.8 * cell.width / target.width, 0.8 * cell.height / target.height))
        self.add(scores, set_presence(flying, 0.0))
        when = np.full(scores.shape, np.nan)
        when[self.match] = 0.75
        self.bring_to_front(self.pointer)
        if self.meeting.layout.alone:
            self.play(*self._show_meeting(False), *self._show_product(True), run_time=tempo.small)
        self.play(
            Glide(flying, target),
            # It melts into the cell, on which it could not be read.
            AnimateWith(
                flying,
                lambda alpha: set_presence(flying, min(1.0, 8 * alpha, 8 * (1 - alpha))),
            ),
            Reveal(scores, when),
            run_time=tempo.large,
        )
        self.remove(flying)

    @beat(when=lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """Both are rotated by position, so only their distance counts: move the pair, and its
        score stays."""
        meeting, tempo = self.meeting, self.theme.tempo
        if meeting.layout.alone:
            self.play(
                *self._show_product(False),
                Presence(self.scores.product.cells, 0.0),
                *self._show_meeting(True),
                run_time=tempo.small,
            )
        places = [self.layer.first + index for index in self.match]
        for of, position in zip(("query", "key"), places, strict=True):
            for steps in (0, STEPS):
                fact("place", position + steps, of=of, steps=steps)
        total = meeting.total
        here, moved = (
            PairAtPlace(name, places, total, self._places_room, row=row, reach=STEPS)
            for row, name in enumerate(
                (
                    _("in the sentence"),
                    fact("steps", STEPS, places_on),
                )
            )
        )
        if here.compact:
            self.play(Vanish(self.formula))
            self.formula = VGroup()
        self.play(Appear(here))
        self.play(Appear(moved.title), MoveFromCopy(here.pair, moved.pair), run_time=tempo.normal)

        def step(alpha: float) -> None:
            meeting.move_along(STEPS * alpha)
            moved.move_along(STEPS * alpha, total.value)

        together = Group(*meeting.query, *meeting.key, meeting.bars, total, moved)
        self.play(AnimateWith(together, step, run_time=4.5))
        self.places = Group(here, moved)

    @property
    def _places_room(self) -> Box:
        """Room for the places of a pair: beside its sum, or above it where that is narrow."""
        total, scores, stage = self.meeting.total, self.scores.layout, self.frame.stage
        beside = float(Group(total, self.formula).get_right()[0]) + 0.5
        if self.meeting.layout.alone:
            products = self.meeting.layout.products
            return Box.of(beside, products.right, stage.bottom, products.bottom)
        if self.frame.tall:
            return Box.of(beside, stage.right, self.aside.bottom, self.aside.top)
        if is_square(self.frame):
            left = float(total.get_right()[0]) + 0.2
            return Box.of(
                left, scores.left.right, float(total.get_bottom()[1]), float(total.get_top()[1])
            )
        return Box.of(
            self.aside.left, self.aside.right, float(total.get_top()[1]) + 0.4, scores.top.top
        )

    # All scores

    @beat
    def all_scores(self) -> None:
        """Every query meets every key, in one matrix product."""
        picture, meeting, tempo = self.scores, self.meeting, self.theme.tempo
        scores = picture.product.cells
        leaving = [
            *meeting.query, *meeting.key, meeting.bars, meeting.zero, self.names, self.formula,
            meeting.total, self.column_beam, self.query_word, self.key_word,
        ]  # fmt: skip
        if self.trace.rotates:
            leaving.append(self.places)
        self.play(
            *(Vanish(part) for part in leaving),
            *(Presence(part, 1.0) for part in (*self.others, scores, picture.top.header)),
            *(Presence(part, 1.0) for part in (self.outline, self.row_beam, picture.left.header)),
            *(Presence(part, 1.0) for part in (self.pointer, picture.product.header)),
            Glide(self.row_beam, picture.row_beam(0)),
            run_time=tempo.normal,
        )
        self.remove(*meeting.in_query, *meeting.in_key)
        rows = [picture.layout.row(index) for index in range(self.layer.count)]
        self.play(
            Reveal(scores, in_rows(scores.shape), rate_func=linear),
            self._down_the_rows(self.row_beam, rows),
            run_time=2.4,
        )
        self.remove(self.outline)
        self.colour_bar = self._scores_bar()
        self.play(
            Vanish(self.row_beam),
            Appear(self.colour_bar),
        )

    def _scores_bar(self) -> ColourBar:
        """Return the colour bar of the scores as they are now."""
        layout, header = self.scores.layout, header_box(self.scores.product.header)
        box = scores_bar(self.frame, layout, self.aside, header)
        name = "" if is_square(self.frame) else _("scores")
        return ColourBar(self.scores.product.cells.norm, name, box)

    @beat(
        scaled="{scaling}, to keep sums of {products} products moderate. [Then] mask the future: "
        "it isn't written yet.",
        kept="This model takes the sums as they are. [Then] it masks the future, which isn't "
        "written yet.",
    )
    def scale_and_mask(self) -> None:
        scores, tempo = self.scores.product.cells, self.theme.tempo
        theme = self.theme
        formula, notes = scale_lines(self.head, theme.name_size)
        before, after = self.head.dot_products[self.match], self.head.scores[self.match]
        fact("score", after, format_number)
        figure = self.meeting.total.copy()
        figure.digits = figure_digits(before)
        figure.set_value(before)
        room = self.aside
        foot = room.bottom
        if not is_square(self.frame):
            foot = float(self.colour_bar.get_top()[1]) + 0.22
        free = Box.of(room.left, room.right, foot, room.top)
        column_of_lines([figure, formula, *notes], free, level=self._level)
        left = float(figure.points[-12][0])
        self.play(Appear(figure))
        self.play(Appear(VGroup(formula, *notes)))
        norm = self.layer.scores_norm
        start = norm.scaled(1 / self.trace.meta.score_scale)
        dots, scaled, old = self.head.dot_products, self.head.scores, self.colour_bar
        dots_source, scaled_source = (
            self.layer.computed(name, head=self.head.head) for name in ("dot_products", "scores")
        )

        def scale(alpha: float) -> None:
            scores.set_values((1 - alpha) * dots + alpha * scaled, start.mix(norm, alpha))
            scores.source = scaled_source if alpha >= 1 else dots_source
            figure.digits = figure_digits(after if alpha >= 1 else before)
            figure.set_value((1 - alpha) * before + alpha * after)
            figure.shift([left - figure.points[-12][0], 0, 0])

        scale(0.0)
        changing = Group(scores, self.pointer, figure)
        self.play(AnimateWith(changing, scale), run_time=tempo.large)
        self.colour_bar = self._scores_bar()
        self.play(Vanish(old), Appear(self.colour_bar))
        self.wait_for("Then")
        self.remarks: list[Mobject] = [formula, *notes, figure, self.pointer]
        masking = Recolour(scores, masked=self.head.causal_mask)
        future = Label(_("masked: the future"), size=theme.note_size, colour=theme.muted)
        y = self.scores.layout.row(0).y
        if not self.frame.upright and figure.get_top()[1] < y - 2 * future.line_height:
            self.remarks.append(future.on_line(room.left + future.width / 2, y))
            self.play(Appear(future))
        self.play(masking, run_time=tempo.large)

    # The pattern

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns a row into shares that add up to one:
        “{query}” gives {share} to “{key}”."""
        picture, theme, tempo = self.scores, self.theme, self.theme.tempo
        scores = picture.product.cells
        top = picture.top
        sinks = self.trace.meta.sinks
        below = "(e^s + sum_i e^(s_i))" if sinks else "sum_i e^(s_i)"
        formula = Symbol(f"e^(s_j) \\/ {below}", size=theme.name_size)
        lines: list[TextLine] = [Label(_("softmax"), size=theme.name_size), formula]
        room = aside(self.frame, picture.layout)
        for text in self._remainder():
            lines += stacked_lines(
                text, (room.left, 0.0), room.width, size=theme.note_size, colour=theme.muted
            )
        while sum(max(line.height, line.line_height) + GAP for line in lines) > room.height + GAP:
            lines.pop(0)
        column_of_lines(lines, room, level=self._level)
        self.row_beam = picture.beam(scores.row(self.query), theme.query)
        self.play(
            *(Vanish(part) for part in (*self.remarks, self.colour_bar, *top.blocks, top.header)),
            *(Vanish(part) for part in (top.dots,) if part is not None),
            *self.dim(*picture.left.blocks, *filter(None, (picture.left.dots,))),
            Vanish(picture.left.header),
            Appear(self.row_beam),
            run_time=tempo.normal,
        )
        box, foot = picture.layout.top, scores.box.top + 0.06
        high = min(SHARES * self.frame.shorter_side, box.top - ABOVE_SHARES - foot)
        box = Box.of(box.left, scores.box.right, foot, foot + high)
        self.shares = Shares(self.head, self.query, box)
        words, lowered = picture.column_words, picture.column_words.copy()
        lowered.shift([0.0, box.top + ABOVE_SHARES - picture.layout.top.top, 0.0])
        self.play(
            Appear(VGroup(*lines)),
            Appear(self.shares.axis),
            *([Glide(words, lowered)] if len(words) else []),
            run_time=tempo.small,
        )
        self.play(
            LaggedStart(*(Rise(bar) for bar in self.shares.bars), lag_ratio=0.1),
            run_time=tempo.large,
        )
        self.pattern = self.mix.left.cells.place(scores.box)
        strip = self.pattern.part((self.query, self.query + 1), (0, self.layer.count))
        self.add(strip, self.row_beam)
        self.play(Appear(self.shares.tags), Appear(strip), run_time=tempo.normal)
        self.strip, self.softmax = strip, VGroup(*lines)

    def _remainder(self) -> list[str]:
        """Return where the shares go that have no bar."""
        rest = []
        if self.layer.hides_first:
            share = weight_of(self.head, self.query, None)
            name = self.layer.hidden_name
            rest.append(_("{share} to the {name}, not drawn", share=share, name=name))
        if self.trace.meta.sinks:
            share = fact("sink", float(self.head.sink_attention[self.query]), format_share)
            rest.append(_("{share} to a sink s that is no word", share=share))
        return rest

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        picture, theme, tempo = self.scores, self.theme, self.theme.tempo
        scores, pattern = picture.product.cells, self.pattern
        self.add(pattern.set_shown(0))
        self.play(
            *(Vanish(part) for part in (self.shares, self.row_beam, self.softmax)),
        )
        self.play(Reveal(pattern, in_diagonals(pattern.shape)))
        self.remove(scores, self.strip)
        layout = pattern_layout(self.frame, count=self.layer.count, word_width=self.word_width)
        columns = TokenLabels(
            self.layer.words,
            layout.columns,
            vertical=True,
            width=self.word_width - 0.012 * self.frame.shorter_side,
            size=self.letters,
        )
        # Words that stand at the scores by now go to the pattern; else they appear there.
        moving = (
            Glide(picture.column_words, columns) if len(picture.column_words) else Appear(columns)
        )
        leaving = (*picture.left.blocks, picture.left.dots, picture.product.header)
        self.play(
            *(Vanish(part) for part in leaving if part is not None),
            Settle(pattern, layout.cells),
            Glide(self.words, self.words.beside(layout.rows, size=self.letters)),
            moving,
            run_time=tempo.large,
        )
        self.columns = picture.column_words if len(picture.column_words) else columns
        self.title_of_pattern = Header(
            _("pattern"), "A", self.head.pattern.shape, colour=theme.pattern
        )
        above = Box.of(
            layout.cells.left, layout.cells.right, layout.cells.bottom,
            float(columns.get_top()[1]),
        )  # fmt: skip
        self.title_of_pattern.stand_on(above)
        room = layout.aside
        lines = self._pair(room) if room.width > 0.2 * self.frame.shorter_side else []
        self.pointer = Highlight(pattern.cell(*self.match))
        width = min(room.width, 0.34 * self.frame.shorter_side)
        if lines:
            box = Box(room.left + width / 2, room.bottom + 0.5, width, 0.14)
            self.colour_bar = ColourBar(pattern.norm, _("share"), box)
        self.remarks = [*lines]
        self.play(
            *(Appear(part) for part in (self.title_of_pattern, self.pointer, *self.remarks)),
            *([Appear(self.colour_bar)] if lines else []),
            run_time=tempo.small,
        )

    def _pair(self, room: Box) -> list[TextLine]:
        """Return the share of the pair that is followed, as a figure in a room."""
        theme, words = self.theme, self.layer.words
        share = format_share(float(self.head.pattern[self.match]))
        lines: list[TextLine] = [
            Label(share, size=figure_size(self.frame), colour=theme.highlight),
            Label(
                f"{printable(words[self.query])} → {printable(words[self.key])}",
                size=theme.shape_size,
            ),
        ]
        column_of_lines(lines, Box.of(room.left, room.right, room.bottom + 0.7, room.top))
        return lines

    # Values and z

    @beat(
        straight="A third matrix makes values: what a token hands on when it is read.",
        latent="The latent makes values too: what a token hands on when it is read.",
    )
    def values(self) -> None:
        picture, theme, tempo = self.mix, self.theme, self.theme.tempo
        layout = picture.layout
        leaving: list[Mobject] = [self.title_of_pattern, self.pointer, self.columns, *self.remarks]
        if self.remarks:
            leaving.append(self.colour_bar)
        kept = layout.names_rows
        self.play(
            *(Vanish(part) for part in leaving),
            *([] if kept else [Vanish(self.words)]),
            Settle(self.pattern, layout.left, run_time=tempo.large),
            *(
                [
                    Glide(
                        self.words,
                        self.words.beside(layout.row_words, size=self.letters),
                        run_time=tempo.large,
                    )
                ]
                if kept
                else []
            ),
        )
        self.outline = Outline(picture.product.box)
        self.wanted = Product(picture, "A times V = z", figure_size(self.frame))
        self.play(Appear(picture.left.header), Appear(self.outline))
        name = weight_formula(self.layer, "V")
        source = source_layout(
            self.frame,
            layout,
            d_model=self.trace.meta.d_model,
            formula=Symbol(name, size=theme.name_size).width,
        )
        x = input_panel(self.layer, source.x, source.x_columns)
        gap = 0.05
        weight = WeightBox(
            name, (self.trace.meta.d_model, self.trace.meta.d_v), source.weight, colour=theme.value
        )
        weight.remove(weight.lines)
        before = Wire(
            [(source.x.right + gap, source.x.y), (source.weight.left, source.x.y)], arrow=False
        )
        after = Wire([(source.weight.right, source.x.y), (layout.top.left - gap, source.x.y)])
        x_words = TokenLabels(
            self.layer.words if source.names else (),
            source.words if source.names else (),
            width=self.word_width - 0.012 * self.frame.shorter_side,
            size=self.letters,
        )
        self.play(Appear(Group(x, x_words)))
        for block in picture.top.blocks:
            self.add(block.set_shown(0))
        self.play(Draw(before), Appear(weight), run_time=tempo.small)
        bar = ColourBar(picture.top.blocks[0].norm, _("values"), self._values_bar())
        self.play(
            Draw(after, run_time=tempo.small),
            Appear(Group(*filter(None, (picture.top.header, picture.top.dots)))),
            Appear(bar),
            *(Reveal(block, in_diagonals(block.shape)) for block in picture.top.blocks),
        )
        self.play(Appear(self.wanted))
        self.source = Group(x, before, weight, after, self.wanted)
        self.x_words, self.colour_bar = x_words, bar

    def _values_bar(self) -> Box:
        """Return the box of the colour bar of the values, below the place of z."""
        product, stage, unit = self.mix.layout.product, self.frame.stage, self.frame.shorter_side
        width = max(0.3 * unit, min(product.width, 0.5 * unit))
        right = min(stage.right, max(product.right, product.left + width))
        return Box.of(right - width, right, product.bottom - 0.24, product.bottom - 0.1)

    @beat
    def a_weighted_mix(self) -> None:
        """Scale each row of values by its share. The sum of them all is one row of z."""
        picture, tempo = self.mix, self.theme.tempo
        layout, query = picture.layout, self.query
        shares = self.head.pattern[query]
        size = layout.letters
        width = max(Label(format_share(s), size=size).width for s in (*shares, 0.99))
        place = mix_layout(self.frame, layout, share_width=width)
        rows = MixedRows(self.head, query, picture, place)
        self.row_beam, row_word = picture.row_beam(query), picture.row_word(query)
        # What it may not read has no weight.
        turned = self.pattern.part((query, query + 1), (0, query + 1))
        weights = turned.transposed().place(place.weights_of(query + 1))
        header = picture.top.header
        self.named = header.copy()
        raised = header.copy().shift([0.0, place.hidden.top - layout.top.top, 0.0])
        self.play(
            *(Vanish(part) for part in (self.source, self.colour_bar, self.x_words)),
            Appear(self.row_beam),
            *([] if layout.names_rows else [Appear(row_word)]),
            run_time=tempo.small,
        )
        self.play(
            TransposeFromCopy(turned, weights),
            *([Glide(header, raised)] if rows.hidden else []),
            run_time=tempo.large,
        )
        self.play(
            *(Appear(part) for part in (rows.shares, rows.words, *rows.hidden)),
        )
        self.play(
            *(ShowCells(block, shares[:, None]) for block in picture.top.blocks),
            run_time=tempo.large,
        )
        self._fall_into_z(rows)
        self.rows_mixed: list[Mobject] = [*rows.hidden, rows.shares, rows.words, weights]
        if not layout.names_rows:
            self.rows_mixed.append(row_word)

    def _fall_into_z(self, rows: MixedRows) -> None:
        """Let copies of all scaled rows fall into the row of z that is their sum."""
        picture, query = self.mix, self.query
        falling: list[Animation] = []
        copies: list[Heatmap] = []
        self.z_row: list[Heatmap] = []
        for index, (block, z) in enumerate(
            zip(picture.top.blocks, picture.product.blocks, strict=True)
        ):
            target = z.row(query)
            parts = [*rows.hidden[index : index + 1] * bool(rows.hidden), *block.split_rows()]
            copies += (moving := [part.copy() for part in parts])
            falling.append(
                LaggedStart(*(Settle(m, target) for m in moving), lag_ratio=0.06, run_time=2.0)
            )
            self.z_row.append(z.part((query, query + 1), (0, z.shape[1])))
        self.add(*copies)
        self.play(*falling)
        self.play(
            *(Appear(row) for row in self.z_row),
            *(Vanish(copy) for copy in copies),
            Appear(picture.product.header),
        )

    @beat
    def every_row(self) -> None:
        """Pattern times values: that is all this head has to say."""
        picture, tempo = self.mix, self.theme.tempo
        formula, corner = self.wanted.formula, picture.layout.corner
        room = corner.right - corner.left - picture.layout.word_width * picture.layout.names_rows
        formula.shrink_to(room - 0.4).move_to([corner.left + room / 2, picture.top.box.y, 0])
        self.play(
            *(Vanish(part) for part in self.rows_mixed),
            *(ShowCells(block, 1.0) for block in picture.top.blocks),
            *([Glide(picture.top.header, self.named)] if self.layer.hides_first else []),
            Appear(formula),
            Appear(picture.top_words) if len(picture.top_words) else Vanish(self.outline),
            Glide(self.row_beam, picture.row_beam(0)),
            run_time=tempo.normal,
        )
        for block in picture.product.blocks:
            self.add(block.set_shown(0))
        self.add(*self.z_row, self.row_beam)
        rows = [picture.layout.row(index) for index in range(self.layer.count)]
        self.play(
            *(Reveal(b, in_rows(b.shape), rate_func=linear) for b in picture.product.blocks),
            self._down_the_rows(self.row_beam, rows),
            run_time=2.4,
        )
        self.remove(*self.z_row, self.outline)
        if picture.product.dots is not None:
            self.add(picture.product.dots)
        self.play(Vanish(self.row_beam))

    @beat
    def one_head(self) -> None:
        """This is one attention head. The model runs {heads} in {layers}."""
        picture, whole, tempo, theme = self.mix, self.whole, self.theme.tempo, self.theme
        meta, partners = self.trace.meta, self.head.partners
        homes = (
            (picture.left, whole.pattern), (picture.top, whole.v), (picture.product, whole.z),
        )  # fmt: skip
        leaving: list[Mobject] = [self.wanted.formula]
        if picture.layout.names_rows:
            leaving += [picture.top_words, self.words]
        moves: list[Animation] = []
        for factor, panel in homes:
            leaving += filter(None, (factor.header, factor.dots))
            for block in factor.blocks:
                start, stop = _columns_in(block, panel.cells)
                target = panel.cells.block((0, block.shape[0]), (start, stop))
                moves.append(Settle(block, target))
        self.play(
            *(Vanish(part) for part in leaving),
            *moves,
            run_time=tempo.large,
        )
        self.remove(*(block for factor, _panel in homes for block in factor.blocks))
        panels = Group(*(panel for _factor, panel in homes))
        self.add(panels)
        arriving, leaving_weight = whole.to_v
        # In the order in which the next scene draws them.
        rest = Group(
            whole.score_side, whole.softmax, whole.v_to_z, whole.pattern_to_z, whole.product_dot,
            whole.softmax_name, whole.pattern_title,
        )  # fmt: skip
        if whole.pattern_words_readable:
            rest.add(whole.pattern_words)
        rest.add(whole.x, whole.x_words, whole.query_side, arriving, whole.w_v, leaving_weight)
        self.play(Appear(rest), run_time=tempo.large)
        above = [
            ngettext("the only head", "one of {number} heads", meta.n_heads),
            ngettext("in the only layer", "in each of {number} layers", meta.n_layers),
        ]
        below = []
        if len(partners) > 1:
            shared = _(
                "keys and values shared by heads {first} to {last}",
                first=partners[0],
                last=partners[-1],
            )
            below = break_lines(shared, self._note_room, size=theme.note_size)
        note = VGroup()
        points = whole.layout.note_points(len(above), len(below), line=0.27)
        for text, (x, y) in zip((*above, *below), points, strict=True):
            label = fit_size(text, self._note_room, size=theme.note_size, colour=theme.muted)
            note.add(label.on_line(x, y))
        self.play(Appear(whole.border), Appear(note), run_time=tempo.normal)

    @property
    def _note_room(self) -> float:
        """Width of the room for the words between values and z, or below the keys."""
        layout = self.whole.layout
        (x, _y), *_others = layout.note_points(1, 0, line=0.0)
        return 2 * (x - layout.v.right - GAP) if x > layout.v.right else layout.v.width


def _grow(beam: Mobject, axis: int, edge: npt.NDArray[np.float64]) -> list[Animation]:
    """Return animations in which a beam grows from one of its edges along an axis."""
    start = beam.copy().stretch(0.001, axis, about_edge=edge)
    return [
        Arrive(beam, start),
        AnimateWith(beam, lambda alpha: set_presence(beam, min(1.0, 8 * alpha))),
    ]


def _columns_in(block: Heatmap, whole: Heatmap) -> tuple[int, int]:
    """Return which columns of a whole matrix a part of it shows."""
    part, all_columns = block.source.index[-1], whole.source.index[-1]
    assert isinstance(part, tuple)
    assert isinstance(all_columns, tuple)
    return part[0] - all_columns[0], part[1] - all_columns[0]
