"""One attention head, start to finish."""

from __future__ import annotations

import numpy as np
from manim import AnimationGroup, Group, LaggedStart, Succession, VGroup, linear

from scenes.animations import (
    Appear,
    Draw,
    Follow,
    Glide,
    Presence,
    Recolour,
    Reveal,
    Settle,
    Transpose,
    TurnRow,
    Vanish,
    in_diagonals,
    in_rows,
    set_presence,
)
from scenes.camera import Shot
from scenes.layout import (
    Box,
    meet_slots,
    mix_slots,
    row_slots,
    sentence_spots,
    shot_box,
    softmax_slots,
)
from scenes.mobjects.flow import Wire
from scenes.mobjects.head import HeadPicture
from scenes.mobjects.heatmap import Heatmap, Norm, Source
from scenes.mobjects.marks import Bars, ColourBar, Dial, Highlight, Outline, Words
from scenes.mobjects.text import (
    Label,
    Number,
    Symbol,
    format_number,
    format_share,
    printable,
)
from scenes.stage import Stage, beat, beat_when
from scenes.view import best_match, rotary_pairs


class Attention(Stage):
    """From words to the output of one head; every product is the one that the model takes."""

    title = "One attention head, start to finish"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    def prepare(self) -> None:
        self.picture = HeadPicture(self.head, self.frame)
        self.picture.show_rotated(not self.trace.rotates)
        self.query, self.key = best_match(self.head)
        self.words = [printable(word) for word in self.layer.words]
        self.rows = row_slots(
            self.frame, count=self.layer.count, word_width=self.picture.slots.word_width
        )
        self.facts |= {
            "count": str(self.layer.count),
            "query": self.words[self.query],
            "key": self.words[self.key],
            "dot": format_number(self.head.dots[self.query, self.key]),
            "share": format_share(self.head.pattern[self.query, self.key]),
        }

    # X, queries and keys

    @beat
    def words_become_rows(self) -> None:
        """A sentence enters as {count} tokens. Each is a row of numbers; together they are X."""
        picture, tempo = self.picture, self.theme.tempo
        words = picture.x_words
        homes = words.copy()
        for word in words:
            word.scale(self.theme.name_size / self.theme.shape_size)
        spots = sentence_spots([word.width for word in words], self.frame, gap=0.22, line=0.62)
        for word, (x, y) in zip(words, spots, strict=True):
            word.move_to([x, y, 0])
        self.play(LaggedStart(*(Appear(word) for word in words), lag_ratio=0.3), run_time=1.2)
        self.hold(words=len(words) // 3)
        for block in picture.x.blocks:
            block.set_shown(0)
        self.add(*picture.x.blocks)
        arriving = [Glide(word, home) for word, home in zip(words, homes, strict=True)]
        self.play(
            LaggedStart(*arriving, lag_ratio=0.08),
            *(Reveal(block, in_rows(block.shape)) for block in picture.x.blocks),
            run_time=tempo.large,
        )
        self.play(
            Appear(Group(*filter(None, (picture.x.header, picture.x.dots)))), run_time=tempo.small
        )
        self.hold(words=4)

    @beat
    def queries_and_keys(self) -> None:
        """Two learned matrices turn every row into a query, what the word looks for,
        and a key, what it offers."""
        picture, tempo = self.picture, self.theme.tempo
        made = []
        for way, weight, panel, when in (
            (picture.to_q, picture.w_q, picture.q, in_rows),
            (picture.to_k, picture.w_k, picture.k, in_diagonals),
        ):
            panel.cells.set_shown(0)
            self.add(panel.cells)
            made.append(
                Succession(
                    AnimationGroup(Draw(way[0]), Appear(weight), run_time=tempo.small),
                    AnimationGroup(Draw(way[1]), Appear(panel.header), run_time=tempo.small),
                    Reveal(panel.cells, when(panel.cells.shape), run_time=tempo.large),
                )
            )
        self.play(LaggedStart(*made, lag_ratio=0.45))
        self.scales = Group(
            *(
                ColourBar(panel.cells.norm, name, self._beside(panel.cells.box))
                for panel, name in ((picture.q, "queries"), (picture.k, "keys"))
            )
        )
        self.play(Appear(self.scales, run_time=tempo.small))
        self.hold(words=8)

    def _beside(self, box: Box) -> Box:
        """Where a colour bar stands to the right of a panel."""
        return Box(box.right + 1.35, box.y + 0.1, 1.9, 0.14)

    @beat
    def rows_with_words(self) -> None:
        """Row by row they belong to the words: one query and one key for each."""
        picture, rows, tempo = self.picture, self.rows, self.theme.tempo
        self.query_rows = picture.q.cells.split_rows()
        self.key_rows = picture.k.cells.split_rows()
        self.query_words = picture.x_words.copy()
        self.key_words = picture.x_words.copy()
        self.homes = picture.q.header.copy(), picture.k.header.copy()
        heads = [
            panel.header.copy().stand_on(box)
            for panel, box in ((picture.q, rows.query_head), (picture.k, rows.key_head))
        ]
        self.head_line = heads[0].line
        leaving = (
            picture.x,
            picture.w_q,
            picture.w_k,
            picture.to_q,
            picture.to_k,
            self.scales,
        )
        self.remove(picture.q.cells, picture.k.cells, picture.x_words)
        self.add(*self.query_rows, *self.key_rows, self.query_words, self.key_words)
        self.play(
            *(Vanish(Group(part), run_time=tempo.small) for part in leaving),
            LaggedStart(
                *(Settle(row, box) for row, box in zip(self.query_rows, rows.queries, strict=True)),
                lag_ratio=0.06,
                run_time=tempo.large,
            ),
            LaggedStart(
                *(Settle(row, box) for row, box in zip(self.key_rows, rows.keys, strict=True)),
                lag_ratio=0.06,
                run_time=tempo.large,
            ),
            *(
                Glide(words, self._row_words(spots), run_time=tempo.large)
                for words, spots in (
                    (self.query_words, rows.query_words),
                    (self.key_words, rows.key_words),
                )
            ),
            *(
                Glide(panel.header, header, run_time=tempo.large)
                for panel, header in zip((picture.q, picture.k), heads, strict=True)
            ),
        )
        self.hold(words=6)

    def _row_words(self, spots: tuple[tuple[float, float], ...]) -> Words:
        return Words(self.layer.words, spots, width=self.picture.slots.word_width)

    @beat_when(lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """This model writes word order into them: each row is rotated, further the later
        its word stands."""
        rows, tempo, looks = self.rows, self.theme.tempo, self.theme
        pairs = rotary_pairs(self.trace)
        turns: list[LaggedStart] = []
        self.dials = VGroup()
        for side, spots, after in (
            (self.query_rows, rows.query_words, self.head.q_used),
            (self.key_rows, rows.key_words, self.head.k_used),
        ):
            turning = []
            for row, (_, y), values in zip(side, spots, after, strict=True):
                dial = Dial(rows.dial).move_to([row.box.left - 0.12 - rows.dial, y, 0])
                self.dials.add(dial)
                turning.append(TurnRow(row, values, pairs, dial))
            turns.append(LaggedStart(*turning, lag_ratio=0.12, run_time=2 * tempo.large))
        notes = VGroup(
            *(
                Label(text, size=looks.note_size, colour=looks.muted)
                for text in ("rotated by position", "dial: the first two channels")
            )
        )
        for note, box in zip(notes, (rows.query_head, rows.key_head), strict=True):
            note.on_line(box.right - note.width / 2, self.head_line)
        self.turning = Group(self.dials, notes)
        self.play(Appear(self.dials), Appear(notes), run_time=tempo.small)
        self.play(*turns)
        self.hold(words=7)

    # One score

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of “{query}” meets the key of “{key}”: multiply channel by channel,
        add up, and one number says how well they match."""
        picture, looks, tempo = self.picture, self.theme, self.theme.tempo
        meet = meet_slots(self.frame)
        query, key = self.query_rows[self.query], self.key_rows[self.key]
        query_word, key_word = self.query_words[self.query], self.key_words[self.key]
        self.others = Group(
            *(row for row in self.query_rows if row is not query),
            *(row for row in self.key_rows if row is not key),
            *(word for word in self.query_words if word is not query_word),
            *(word for word in self.key_words if word is not key_word),
            picture.q.header,
            picture.k.header,
        )
        if self.trace.rotates:
            self.play(Vanish(self.turning), run_time=tempo.small)
        self.play(
            Presence(self.others, 0.0, run_time=tempo.small),
            Settle(query, meet.query),
            Settle(key, meet.key),
            Glide(query_word, self._said(query_word, meet.query_word, looks.query)),
            Glide(key_word, self._said(key_word, meet.key_word, looks.key)),
            run_time=tempo.large,
        )
        products = self.head.q_used[self.query] * self.head.k_used[self.key]
        norm = Norm.symmetric(products)
        strip = Heatmap(
            products,
            norm,
            width=meet.product.width,
            height=meet.product.height,
            source=Source(expression="query * key"),
        ).place(meet.product)
        strip.set_shown(0)
        name = Label("products", size=looks.shape_size, colour=looks.muted)
        name.move_to([meet.product_word[0] - name.width / 2, meet.product_word[1], 0])
        total = Number(0.0, size=looks.name_size * 1.25)
        formula = Symbol("q dot k =", size=looks.name_size * 1.25)
        formula.on_line(meet.total[0] - formula.width / 2 - 0.12, meet.total[1])
        total.move_to([meet.total[0] + 0.75, meet.total[1], 0])
        scale = ColourBar(
            norm, "products", Box(meet.product.right - 0.95, meet.total[1], 1.9, 0.14)
        )
        cursor = Highlight(self._column(query, strip, 0))
        self.add(strip)
        self.play(
            Appear(name), Appear(formula), Appear(total), Appear(cursor), run_time=tempo.small
        )
        sums = np.concatenate([[0.0], np.cumsum(products)])

        def add_up(alpha: float) -> None:
            done = round(alpha * len(products))
            total.set_value(sums[done])
            column = min(done, len(products) - 1)
            cursor.move_to(self._column(query, strip, column).center)

        self.play(
            Reveal(strip, np.arange(len(products)) / len(products), spread=0.02, rate_func=linear),
            Follow(total, add_up, rate_func=linear),
            Presence(cursor, 1.0),
            run_time=3 * tempo.normal,
        )
        self.play(Vanish(cursor), Appear(scale), run_time=tempo.small)
        self.hold(words=6)
        self.meeting = Group(strip, name, formula, scale, query_word, key_word)
        self.total = total

    def _said(self, word: Label, spot: tuple[float, float], colour: str) -> Label:
        said = word.copy().scale(self.theme.name_size / self.theme.shape_size)
        said.shrink_to(spot[0] - self.frame.stage.left)
        word.set_fill(colour)
        return said.move_to([spot[0] - said.width / 2, spot[1], 0])

    def _column(self, top: Heatmap, bottom: Heatmap, column: int) -> Box:
        """Box of one column from one strip down to another."""
        return Box.around([top.column(column), bottom.column(column)])

    @beat
    def one_cell(self) -> None:
        """That number is one cell of the scores: the row of the query, the column of the key."""
        picture, tempo = self.picture, self.theme.tempo
        picture.show_rotated(True)
        scores = picture.scores.cells
        scale = self.trace.meta.score_scale
        scores.set_values(self.head.dots).set_masked(0).set_shown(0)
        scores.norm = self.layer.scores_norm.scaled(1 / scale)
        self.place = Outline(scores.box)
        target = self.total.copy().scale_to_fit_height(scores.cell(0, 0).height)
        target.move_to(scores.cell(self.query, self.key).center)
        query, key = self.query_rows[self.query], self.key_rows[self.key]
        for panel, home in zip((picture.q, picture.k), self.homes, strict=True):
            panel.header.become(home)
            panel.header.line = home.line
        self.remove(*self.others)
        set_presence(self.others, 1.0)
        self.add(query, key, self.total)
        self.play(
            Vanish(self.meeting, run_time=tempo.small),
            Settle(query, picture.q.cells.row(self.query)),
            Settle(key, picture.k.cells.row(self.key)),
            Appear(picture.q),
            Appear(picture.k),
            Appear(self.place),
            run_time=tempo.large,
        )
        self.remove(query, key)
        self.bring_to_front(self.total)
        self.add(scores)
        when = np.full(scores.shape, np.nan)
        when[self.query, self.key] = 0.6
        self.play(Glide(self.total, target), Reveal(scores, when), run_time=tempo.large)
        pointer = Highlight(scores.cell(self.query, self.key))
        self.play(Vanish(self.total), Appear(pointer), run_time=tempo.small)
        self.pointer = pointer
        self.hold()

    # All scores

    @beat
    def transpose_the_keys(self) -> None:
        """To take all products at once, the keys are turned over: rows become columns."""
        picture, tempo = self.picture, self.theme.tempo
        sheet = picture.k.cells.copy()
        self.add(sheet)
        self.play(
            Vanish(self.pointer, run_time=tempo.small),
            Transpose(sheet, picture.slots.k_t, run_time=1.3 * tempo.large),
            Draw(picture.k_to_k_t, run_time=1.3 * tempo.large),
        )
        self.remove(sheet)
        self.add(picture.k_t.cells)
        self.play(Appear(picture.k_t.header), run_time=tempo.small)
        self.hold(words=4)

    @beat
    def all_scores(self) -> None:
        """Every query meets every key: all scores in one matrix product."""
        picture, tempo, looks = self.picture, self.theme.tempo, self.theme
        scores, queries = picture.scores.cells, picture.q.cells
        self.play(
            Draw(picture.q_to_k_t),
            Draw(picture.k_t_to_scores),
            Appear(picture.scores.header),
            run_time=tempo.normal,
        )
        frames = [
            (Highlight(matrix.row(0), colour=looks.query), matrix) for matrix in (queries, scores)
        ]

        def follow(frame: Highlight, matrix: Heatmap) -> Follow:
            rows = matrix.shape[0]

            def place(alpha: float) -> None:
                frame.move_to(matrix.row(min(int(alpha * rows), rows - 1)).center)

            return Follow(frame, place, rate_func=linear)

        self.play(*(Appear(frame) for frame, _ in frames), run_time=0.3)
        self.play(
            Reveal(scores, in_rows(scores.shape), rate_func=linear),
            *(follow(frame, matrix) for frame, matrix in frames),
            run_time=2.2 * tempo.normal,
        )
        self.play(*(Vanish(frame) for frame, _ in frames), run_time=0.3)
        self.remove(self.place)
        self.hold(words=4)

    @beat
    def scale_and_mask(self) -> None:
        """Two small steps: scale the scores down, and mask every word that is still to come."""
        picture, tempo, looks = self.picture, self.theme.tempo, self.theme
        slots, scores = picture.slots, picture.scores.cells
        box = scores.box
        seen, zoom = shot_box(
            Box.of(slots.k_t.left - 0.1, box.right + 1.75, box.bottom - 0.55, slots.k_t.top + 0.5),
            self.frame,
        )
        factor = self.trace.meta.score_scale
        bar = Box(box.x, box.bottom - 0.22, box.width, 0.05)
        before = ColourBar(scores.norm, "", bar, zoom=zoom)
        pointer = Highlight(scores.cell(self.query, self.key), zoom=zoom)
        left = box.right + 0.25
        step = looks.name_size * 8 * zoom * 1.7
        width = self.trace.meta.d_qk
        exact = np.isclose(factor, width**-0.5)
        lines = VGroup(
            Symbol(
                f"times 1 \\/ sqrt({width})" if exact else f"times {format_number(factor)}",
                size=looks.name_size * zoom,
            ),
            Label(
                f"{format_number(self.head.dots[self.query, self.key])} → "
                f"{format_number(self.head.scores[self.query, self.key])}",
                size=looks.name_size * zoom,
                colour=looks.highlight,
            ),
            Label("masked: later words", size=looks.name_size * zoom, colour=looks.muted),
        )
        for index, line in enumerate(lines):
            line.move_to([left + line.width / 2, box.top - 0.12 - step * index, 0])
        self.play(
            self.move_camera(Shot.of_box(seen)),
            *self.dim(picture.q, picture.k, picture.q_to_k_t, picture.k_to_k_t, to=0.0),
            run_time=tempo.large,
        )
        self.play(Appear(before), Appear(pointer), Appear(lines[0]), run_time=tempo.small)
        scores.norm = self.layer.scores_norm
        scores.set_values(self.head.scores)
        after = ColourBar(scores.norm, "", bar, zoom=zoom)
        self.play(Vanish(before), Appear(after), Appear(lines[1]), run_time=tempo.normal)
        self.hold(words=3)
        self.play(
            Appear(lines[2], run_time=tempo.small),
            Recolour(scores, masked=self.head.future, run_time=tempo.normal),
        )
        self.hold(words=4)
        self.remarks = Group(after, pointer, lines)

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns each row into shares of attention that add up to one.
        Here “{query}” gives {share} to “{key}”."""
        picture, tempo, looks = self.picture, self.theme.tempo, self.theme
        scores = picture.scores.cells
        slots = softmax_slots(self.frame, count=self.layer.count)
        row = scores.part((self.query, self.query + 1), (0, self.layer.count))
        self.backdrop = Group(
            picture.q,
            picture.k,
            picture.k_t,
            picture.scores,
            picture.k_to_k_t,
            picture.q_to_k_t,
            picture.k_t_to_scores,
        )
        self.add(row)
        self.play(
            Vanish(self.remarks, run_time=0.3),
            self.move_camera(Shot()),
            Presence(self.backdrop, 0.0),
            Settle(row, slots.row),
            run_time=tempo.large,
        )
        cell = slots.row.width / self.layer.count
        upright = max(Label(word).width for word in self.words) > cell * 0.95
        spots = slots.words
        words = Words(
            self.layer.words,
            spots if upright else [(x, y + 0.12) for x, y in spots],
            upright=upright,
            width=1.02 if upright else cell,
        )
        if not upright:
            for word, (x, _) in zip(words, spots, strict=True):
                word.set_x(x)
        words[self.query].set_fill(looks.query)
        seen = self.query + 1
        numbers = VGroup()
        for (x, _), score in zip(spots[:seen], self.head.scores[self.query], strict=False):
            tag = Label(f"{score:.1f}".replace("-", "\N{MINUS SIGN}"), size=looks.shape_size)
            tag.shrink_to(cell * 0.86).move_to([x, slots.row.y, 0])
            tag.set_fill("#000000" if score > 0 else "#ffffff")
            numbers.add(tag)
        name = Label("scaled scores of one query", size=looks.shape_size, colour=looks.muted)
        name.move_to([*slots.title, 0])
        self.play(Appear(name), Appear(words), Appear(numbers), run_time=tempo.small)
        arrow = Wire(slots.arrow)
        formula = Symbol("p_j = e^(s_j) \\/ sum_i e^(s_i)", size=looks.name_size)
        x, y = slots.arrow[0][0], (slots.arrow[0][1] + slots.arrow[1][1]) / 2
        formula.on_line(x + formula.width / 2 + 0.3, y)
        softmax = Label("softmax", size=looks.name_size)
        softmax.move_to([x - 0.3 - softmax.width / 2, y, 0])
        self.play(Draw(arrow), Appear(formula), Appear(softmax), run_time=tempo.normal)
        shares = self.head.pattern[self.query]
        bars = Bars(shares, picture.pattern.cells.norm, slots.bars)
        for masked in (*bars.bars[seen:], *bars.tags[seen:]):
            masked.set_opacity(0)
        flat = [
            bar.copy().stretch_to_fit_height(0.001).align_to(bar, [0, -1, 0]) for bar in bars.bars
        ]
        full = bars.bars.copy()
        bars.bars.become(VGroup(*flat))
        self.add(bars.bars)
        growing = [Glide(bar, end) for bar, end in zip(bars.bars, full, strict=True)]
        self.play(
            LaggedStart(*growing, lag_ratio=0.1),
            LaggedStart(*(Appear(tag) for tag in bars.tags), lag_ratio=0.1),
            run_time=tempo.large,
        )
        self.softmax = Group(words, numbers, name, arrow, formula, softmax, bars)
        if self.layer.hides_first:
            hidden = Label(
                f"the rest, {format_share(float(self.head.hidden[self.query]))}, goes to the "
                "beginning token, which is not drawn",
                size=looks.note_size,
                colour=looks.muted,
            )
            hidden.move_to([slots.bars.x, slots.bars.bottom - 0.25, 0])
            self.play(Appear(hidden), run_time=tempo.small)
            self.softmax.add(hidden)
        self.hold(words=8)
        self.row = row

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        picture, tempo = self.picture, self.theme.tempo
        pattern = picture.pattern.cells
        strip = pattern.part((self.query, self.query + 1), (0, self.layer.count))
        strip.place(self.row.box)
        self.add(strip)
        self.play(Vanish(self.softmax), Vanish(self.row), Appear(strip), run_time=tempo.small)
        self.play(
            Settle(strip, pattern.row(self.query)),
            Presence(self.backdrop, 1.0),
            run_time=tempo.large,
        )
        pattern.set_shown(0)
        self.add(pattern)
        self.bring_to_front(strip)
        self.play(
            Draw(picture.softmax),
            Appear(picture.softmax_name),
            Reveal(pattern, in_diagonals(pattern.shape)),
            run_time=tempo.large,
        )
        self.remove(strip)
        box = Box.around(
            [
                pattern.box,
                *(
                    Box.between(w.get_corner([-1, -1, 0]), w.get_corner([1, 1, 0]))
                    for w in (picture.pattern_rows, picture.pattern_columns, picture.pattern_title)
                ),
            ]
        )
        seen, zoom = shot_box(box, self.frame)
        pointer = Highlight(pattern.cell(self.query, self.key), zoom=zoom)
        self.play(
            Appear(picture.pattern_title, run_time=tempo.small),
            Appear(picture.pattern_columns, run_time=tempo.small),
            Appear(picture.pattern_rows, run_time=tempo.small),
            *self.dim(self.backdrop, picture.softmax, picture.softmax_name, to=0.0),
            self.move_camera(Shot.of_box(seen), run_time=tempo.large),
        )
        self.play(Appear(pointer), run_time=tempo.small)
        self.pointer = pointer
        self.hold(words=7)

    # Values and z

    @beat
    def values(self) -> None:
        """A third matrix makes the values: what each word passes on when it is attended to."""
        picture, tempo = self.picture, self.theme.tempo
        values = picture.v.cells.set_shown(0)
        self.add(values)
        inputs = Group(
            picture.x, picture.x_words, picture.w_q, picture.w_k, picture.to_q, picture.to_k
        )
        self.play(
            Vanish(self.pointer, run_time=tempo.small),
            self.move_camera(Shot(), run_time=tempo.large),
            *self.undim(self.backdrop, picture.softmax, picture.softmax_name),
            Presence(picture.far_words, float(picture.words_carry)),
            Appear(inputs, run_time=tempo.large),
        )
        self.play(AnimationGroup(Draw(picture.to_v[0]), Appear(picture.w_v)), run_time=tempo.small)
        self.scale = ColourBar(values.norm, "values", self._beside(values.box))
        self.play(
            Draw(picture.to_v[1], run_time=tempo.small),
            Appear(picture.v.header, run_time=tempo.small),
            Appear(self.scale, run_time=tempo.small),
            Reveal(values, in_diagonals(values.shape), run_time=tempo.large),
        )
        self.hold(words=4)

    @beat
    def a_weighted_mix(self) -> None:
        """For “{query}”, every value row is weighted by its share of attention;
        the sum is one row of z."""
        picture, tempo, looks = self.picture, self.theme.tempo, self.theme
        seen = self.query + 1
        hidden = self.layer.first
        weights = self.head.pattern[self.query, :seen]
        values = self.head.v[:seen]
        if hidden:
            weights = np.concatenate([self.head.hidden[self.query, None], weights])
            values = np.concatenate([self.head.hidden_value, values])
        slots = mix_slots(self.frame, count=len(weights))
        strips = picture.v.cells.split_rows()[:seen]
        if hidden:
            first = strips[0].copy()
            first.set_values(values[:1])
            first.source = Source(expression="value of the beginning token")
            strips.insert(0, first)
        self.remove(self.scale)
        self.everything = Group(*self.on_show())
        self.add(*strips)
        if hidden:
            set_presence(strips[0], 0.0)
        self.play(
            Presence(self.everything, 0.0, run_time=tempo.small),
            *(Settle(strip, box) for strip, box in zip(strips, slots.rows, strict=True)),
            *([Presence(strips[0], 1.0)] if hidden else []),
            run_time=tempo.large,
        )
        names = [*(["beginning token"] if hidden else []), *self.layer.words[:seen]]
        words = Words(names, slots.words, width=2.4)
        tags = Words([format_share(w) for w in weights], slots.weights, width=1.2)
        if hidden:
            words[0].set_fill(looks.muted)
        words[-1].set_fill(looks.query)
        self.play(Appear(words), Appear(tags), run_time=tempo.small)
        self.play(
            LaggedStart(
                *(
                    Recolour(strip, values=weight * strip.values)
                    for strip, weight in zip(strips, weights, strict=True)
                ),
                lag_ratio=0.12,
            ),
            run_time=tempo.large,
        )
        self.hold(words=2)
        total = picture.z.cells.part((self.query, self.query + 1), (0, values.shape[1]))
        total.place(slots.total)
        name = Label("their sum", size=looks.shape_size)
        name.move_to([slots.total.left - 0.12 - name.width / 2, slots.total.y, 0])
        falling = [strip.copy() for strip in strips]
        self.add(*falling)
        self.play(
            LaggedStart(*(Settle(strip, slots.total) for strip in falling), lag_ratio=0.08),
            run_time=tempo.large,
        )
        self.remove(*falling)
        self.add(total)
        self.play(Appear(name), run_time=tempo.small)
        self.hold(words=4)
        self.mix = Group(*strips, words, tags, name)
        self.total_row = total

    @beat
    def every_row(self) -> None:
        """The same for every row: the pattern times the values is z, what this head has to say."""
        picture, tempo = self.picture, self.theme.tempo
        z = picture.z.cells.set_shown(0)
        self.add(z)
        self.bring_to_front(self.total_row)
        self.play(
            Vanish(self.mix, run_time=tempo.small),
            Presence(self.everything, 1.0),
            Settle(self.total_row, z.row(self.query)),
            run_time=tempo.large,
        )
        self.play(
            Draw(picture.pattern_to_z),
            Draw(picture.v_to_z),
            Appear(picture.product_dot),
            run_time=tempo.small,
        )
        self.play(
            Appear(picture.z.header, run_time=tempo.small),
            Reveal(z, in_diagonals(z.shape), run_time=tempo.large),
        )
        self.remove(self.total_row)
        self.hold(words=6)

    @beat
    def one_head(self) -> None:
        """All of this is one attention head. The model runs many of them side by side."""
        picture, tempo, looks = self.picture, self.theme.tempo, self.theme
        meta, partners = self.trace.meta, self.head.partners
        above = [f"one of {meta.n_heads} heads", f"in each of {meta.n_layers} layers"]
        below = []
        if len(partners) > 1:
            below = ["keys and values shared", f"by heads {partners[0]} to {partners[-1]}"]
        spots = picture.slots.note_spots(len(above), len(below), line=0.27)
        note = VGroup(
            *(
                Label(text, size=looks.note_size, colour=looks.muted).move_to([x, y, 0])
                for text, (x, y) in zip((*above, *below), spots, strict=True)
            )
        )
        self.play(Appear(picture.border), run_time=tempo.normal)
        self.play(Appear(note), run_time=tempo.small)
        self.hold(words=11)
