"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from manim import AnimationGroup, Group, LaggedStart, Succession, VGroup

from filmkit.core.animations import (
    Appear,
    Glide,
    Presence,
    Recolour,
    Reveal,
    Settle,
    SweepRows,
    Transpose,
    Vanish,
    in_diagonals,
    in_rows,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box
from filmkit.core.numbers import format_number, format_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label
from filmkit.core.view import best_match, rotary_pairs
from filmkit.mobjects.flow import Draw
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_layout import sentence_points
from filmkit.mobjects.marks import ColourBar, Dial, Highlight, Outline, RotateRow, size_beside
from scenes.attention.closeups import RowMix, RowProduct, RowSoftmax, ScoreRemarks
from scenes.attention.layout import row_lists_layout, score_remarks_layout


class Attention(Stage):
    """One head from words to z; every number is one that the model computes."""

    title = "One attention head, start to finish"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    def prepare(self) -> None:
        self.picture = HeadPicture(self.head, self.frame)
        self.picture.show_rotated(not self.trace.rotates)
        self.query, self.key = self.match = best_match(self.head)
        self.row_lists = row_lists_layout(
            self.frame, count=self.layer.count, word_width=self.picture.layout.word_width
        )
        self.facts |= {
            "count": str(self.layer.count),
            "query": printable(self.layer.words[self.query]),
            "key": printable(self.layer.words[self.key]),
            "dot": format_number(self.head.dot_products[self.match]),
            "share": format_share(self.head.pattern[self.match]),
        }

    # X, queries and keys

    @beat
    def words_become_rows(self) -> None:
        """A sentence enters as {count} tokens. Each is a row of numbers; together they are X."""
        picture, tempo = self.picture, self.theme.tempo
        words, targets = picture.x_words, picture.x_words.copy()
        for word in words:
            word.scale(self.theme.name_size / self.theme.shape_size)
        points = sentence_points([word.width for word in words], self.frame, gap=0.22, line=0.62)
        for word, (x, y) in zip(words, points, strict=True):
            word.on_line(x, y)
        self.play(LaggedStart(*(Appear(word) for word in words), lag_ratio=0.3), run_time=1.2)
        self.hold()
        for block in picture.x.blocks:
            self.add(block.set_shown(0))
        self.play(
            LaggedStart(
                *(Glide(word, target) for word, target in zip(words, targets, strict=True)),
                lag_ratio=0.08,
            ),
            *(Reveal(block, in_rows(block.shape)) for block in picture.x.blocks),
            self.look_at(picture.x, *targets, min_zoom=0.62),
            run_time=tempo.large,
        )
        self.play(
            Appear(Group(*filter(None, (picture.x.header, picture.x.dots)))), run_time=tempo.small
        )

    @beat
    def queries_and_keys(self) -> None:
        """Two learned matrices turn every row into a query, what the word looks for,
        and a key, what it offers."""
        picture, tempo = self.picture, self.theme.tempo
        picture.rotations.set_opacity(0)
        steps = []
        for wires, weight, panel, when in (
            (picture.to_q, picture.w_q, picture.q, in_rows),
            (picture.to_k, picture.w_k, picture.k, in_diagonals),
        ):
            self.add(panel.cells.set_shown(0))
            steps.append(
                Succession(
                    AnimationGroup(Draw(wires[0]), Appear(weight), run_time=tempo.small),
                    AnimationGroup(Draw(wires[1]), Appear(panel.header), run_time=tempo.small),
                    Reveal(panel.cells, when(panel.cells.shape), run_time=tempo.large),
                )
            )
        self.colour_bars = Group(
            *(
                ColourBar(panel.cells.norm, name, self._colour_bar_box(panel.cells.box))
                for panel, name in ((picture.q, "queries"), (picture.k, "keys"))
            )
        )
        self.play(
            self.look_at(
                *(picture.x_words, picture.x, picture.query_side),
                *(picture.q, picture.k, self.colour_bars),
            ),
            LaggedStart(*steps, lag_ratio=0.45),
        )
        self.play(Appear(self.colour_bars), run_time=tempo.small)

    def _colour_bar_box(self, box: Box) -> Box:
        """Return the box of a colour bar at the right of a panel."""
        return Box(box.right + 1.35, box.y + 0.1, 1.9, 0.14)

    @beat
    def rows_with_words(self) -> None:
        """Each word now has one query and one key."""
        picture, rows, tempo = self.picture, self.row_lists, self.theme.tempo
        self.header_targets = picture.q.header.copy(), picture.k.header.copy()
        self.query_rows, self.key_rows = (p.cells.split_rows() for p in (picture.q, picture.k))
        self.query_words, self.key_words = picture.x_words.copy(), picture.x_words.copy()
        self.remove(picture.q.cells, picture.k.cells, picture.x_words)
        self.add(*self.query_rows, *self.key_rows, self.query_words, self.key_words)
        leaving = (picture.x, picture.query_side, self.colour_bars)
        sides = (
            (picture.q, self.query_rows, self.query_words, rows.queries),
            (picture.k, self.key_rows, self.key_words, rows.keys),
        )
        motions: list[AnimationGroup] = []
        for panel, strips, words, layout in sides:
            header = panel.header.copy().stand_on(layout.box)
            settling = [Settle(row, box) for row, box in zip(strips, layout.rows, strict=True)]
            target = words.beside(layout.words, size=size_beside(rows.pitch))
            motions += [
                LaggedStart(*settling, lag_ratio=0.06, run_time=tempo.large),
                Glide(words, target, run_time=tempo.large),
                Glide(panel.header, header, run_time=tempo.large),
            ]
        self.play(
            self.move_camera(Shot(), run_time=tempo.large),
            *(Vanish(part, run_time=tempo.small) for part in leaving),
            *motions,
        )

    @beat(when=lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """This model writes word order into them by rotating each row: the later its word,
        the further."""
        rows, tempo, theme = self.row_lists, self.theme.tempo, self.theme
        pairs = rotary_pairs(self.trace)
        turns, dials, notes = [], VGroup(), VGroup()
        for name, strips, layout, after, text in (
            ("q", self.query_rows, rows.queries, self.head.q_used, "rotated by position"),
            ("k", self.key_rows, rows.keys, self.head.k_used, "dial: the first two channels"),
        ):
            tensor = self.trace.tensor_name(self.head.score_tensor(name), self.layer.layer)
            turning = []
            for strip, (x, y), values in zip(strips, layout.dials, after, strict=True):
                dial = Dial(rows.dial).move_to([x, y, 0])
                dials.add(dial)
                source = replace(strip.source, tensor=tensor)
                turning.append(RotateRow(strip, values, pairs, dial, source=source))
            turns.append(LaggedStart(*turning, lag_ratio=0.12, run_time=2 * tempo.large))
            note = Label(text, size=theme.note_size, colour=theme.muted)
            right, y = layout.note
            notes.add(note.on_line(right - note.width / 2, y))
        self.play(Appear(dials), Appear(notes), run_time=tempo.small)
        self.play(*turns)
        self.dials_and_notes = Group(dials, notes)

    # One score

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of “{query}” meets the key of “{key}”: multiply channel by channel,
        add up, and one number says how well they match."""
        picture, theme, tempo = self.picture, self.theme, self.theme.tempo
        product = RowProduct(self.head.q_used[self.query], self.head.k_used[self.key], self.frame)
        query, key = self.query_rows[self.query], self.key_rows[self.key]
        query_word, key_word = self.query_words[self.query], self.key_words[self.key]
        chosen = {query, key, query_word, key_word}
        every = (*self.query_rows, *self.key_rows, *self.query_words, *self.key_words)
        self.others = Group(
            *(part for part in every if part not in chosen), picture.q.header, picture.k.header
        )
        if self.trace.rotates:
            self.play(Vanish(self.dials_and_notes), run_time=tempo.small)
        self.play(
            Presence(self.others, 0.0, run_time=tempo.small),
            Settle(query, product.layout.query),
            Settle(key, product.layout.key),
            self._move_word(query_word, product.layout.query, theme.query),
            self._move_word(key_word, product.layout.key, theme.key),
            run_time=tempo.large,
        )
        self.add(product.strip)
        parts = (product.name, product.formula, product.total, product.cursor)
        self.play(*(Appear(part) for part in parts), run_time=tempo.small)
        self.play(product.add_up(3 * tempo.normal))
        self.play(Vanish(product.cursor), Appear(product.colour_bar), run_time=tempo.small)
        self.hold()
        self.product = product
        self.meeting = Group(product, query_word, key_word)

    def _move_word(self, word: Label, row: Box, colour: str) -> Glide:
        """Return an animation that moves a word to the left of a row, larger and in a colour."""
        end = row.left - 0.24
        target = word.copy().scale(self.theme.name_size / self.theme.shape_size)
        target.shrink_to(end - self.frame.stage.left)
        word.set_fill(colour)
        return Glide(word, target.on_line(end - target.width / 2, row.y))

    @beat
    def one_cell(self) -> None:
        """It fills one cell of the scores: the query's row, the key's column."""
        picture, tempo = self.picture, self.theme.tempo
        picture.show_rotated(True)
        picture.rotations.set_opacity(1)
        scores = picture.scores.cells.set_masked(0).set_shown(0)
        scores.set_values(
            self.head.dot_products, self.layer.scores_norm.scaled(1 / self.trace.meta.score_scale)
        )
        total, query, key = self.product.total, self.query_rows[self.query], self.key_rows[self.key]
        target = total.copy().scale_to_fit_height(scores.cell(0, 0).height)
        target.move_to(scores.cell(*self.match).center)
        for panel, header in zip((picture.q, picture.k), self.header_targets, strict=True):
            panel.header.become(header)
        self.remove(self.others)
        set_presence(self.others, 1.0)
        self.scores_outline = Outline(scores.box)
        self.play(
            Vanish(self.meeting, run_time=tempo.small),
            Settle(query, picture.q.cells.row(self.query)),
            Settle(key, picture.k.cells.row(self.key)),
            *(Appear(part) for part in (picture.q, picture.k, self.scores_outline)),
            self.look_at(picture.q, picture.k, picture.k_t, picture.scores),
            run_time=tempo.large,
        )
        self.remove(query, key)
        self.add(scores, total)
        when = np.full(scores.shape, np.nan)
        when[self.match] = 0.6
        self.play(Glide(total, target), Reveal(scores, when), run_time=tempo.large)
        self.pointer = Highlight(scores.cell(*self.match))
        self.play(Vanish(total), Appear(self.pointer), run_time=tempo.small)
        self.hold()

    # All scores

    @beat
    def transpose_the_keys(self) -> None:
        """To take all products at once, rows of keys become columns."""
        picture, tempo = self.picture, self.theme.tempo
        sheet = picture.k.cells.copy()
        self.add(sheet)
        self.play(
            Vanish(self.pointer, run_time=tempo.small),
            Transpose(sheet, picture.layout.k_t, run_time=1.3 * tempo.large),
            Draw(picture.k_to_k_t, run_time=1.3 * tempo.large),
        )
        self.remove(sheet)
        self.add(picture.k_t.cells)
        self.play(Appear(picture.k_t.header), run_time=tempo.small)

    @beat
    def all_scores(self) -> None:
        """Every query meets every key: all scores in one matrix product."""
        picture, tempo, theme = self.picture, self.theme.tempo, self.theme
        scores, queries = picture.scores.cells, picture.q.cells
        self.play(
            Draw(picture.q_to_k_t),
            Draw(picture.k_t_to_scores),
            Appear(picture.scores.header),
            run_time=tempo.normal,
        )
        frames = [Highlight(matrix.row(0), colour=theme.query) for matrix in (queries, scores)]
        self.play(*(Appear(frame) for frame in frames), run_time=0.3)
        self.play(
            Reveal(scores, in_rows(scores.shape), rate_func=lambda alpha: alpha),
            SweepRows(frames[0], queries),
            SweepRows(frames[1], scores),
            run_time=2.2 * tempo.normal,
        )
        self.play(*(Vanish(frame) for frame in frames), run_time=0.3)
        self.remove(self.scores_outline)

    @beat
    def scale_and_mask(self) -> None:
        """Two small steps: scale the scores down, and mask every word that is still to come."""
        picture, tempo = self.picture, self.theme.tempo
        scores = picture.scores.cells
        layout = score_remarks_layout(picture.layout, count=5)
        remarks = ScoreRemarks(self.head, self.match, layout)
        norm = self.layer.scores_norm
        before, after = (
            ColourBar(each, "", layout.colour_bar, zoom=layout.zoom) for each in (scores.norm, norm)
        )
        pointer = Highlight(scores.cell(*self.match), zoom=layout.zoom)
        self.play(
            self.move_camera(Shot.of_box(layout.camera_box)),
            *self.dim(picture.q, picture.k, picture.q_to_k_t, picture.k_to_k_t, to=0.0),
            run_time=tempo.large,
        )
        self.play(
            *(Appear(part) for part in (before, pointer, remarks.scaling[0])),
            run_time=tempo.small,
        )
        # Scores and norm shrink by the same factor: no cell changes its colour.
        scores.set_values(self.head.scores, norm)
        self.play(
            Vanish(before),
            *(Appear(part) for part in (after, *remarks.scaling[1:])),
            run_time=tempo.normal,
        )
        self.hold()
        self.play(
            Appear(remarks.masking, run_time=tempo.small),
            Recolour(scores, masked=self.head.causal_mask, run_time=tempo.normal),
        )
        self.hold()
        self.remarks = Group(after, pointer, remarks)

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns each row into shares of attention that add up to one.
        Here “{query}” gives {share} to “{key}”."""
        picture, tempo = self.picture, self.theme.tempo
        self.softmax = softmax = RowSoftmax(self.head, self.query, self.frame)
        self.row = picture.scores.cells.part((self.query, self.query + 1), (0, self.layer.count))
        self.add(self.row)
        self.play(
            Vanish(self.remarks, run_time=0.3),
            self.move_camera(Shot()),
            Presence(picture.score_side, 0.0),
            Settle(self.row, softmax.layout.row),
            run_time=tempo.large,
        )
        self.play(*softmax.show_scores(), run_time=tempo.small)
        self.play(*softmax.show_formula(), run_time=tempo.normal)
        self.play(*softmax.grow_bars(), run_time=tempo.large)
        if softmax.remainder:
            self.play(Appear(softmax.remainder), run_time=tempo.small)

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        picture, tempo = self.picture, self.theme.tempo
        pattern = picture.pattern.cells
        strip = pattern.part((self.query, self.query + 1), (0, self.layer.count))
        strip.place(self.row.box)
        self.play(Vanish(self.softmax), Vanish(self.row), Appear(strip), run_time=tempo.small)
        self.play(
            Settle(strip, pattern.row(self.query)),
            Presence(picture.score_side, 1.0),
            run_time=tempo.large,
        )
        self.add(pattern.set_shown(0), strip)
        self.play(
            Draw(picture.softmax),
            Appear(picture.softmax_name),
            Reveal(pattern, in_diagonals(pattern.shape)),
            run_time=tempo.large,
        )
        self.remove(strip)
        labels = Group(picture.pattern_title, picture.pattern_words)
        self.play(
            Appear(labels, run_time=tempo.small),
            *self.dim(picture.score_side, picture.softmax, picture.softmax_name, to=0.0),
            self.look_at(pattern, labels, min_zoom=0.0),
            run_time=tempo.large,
        )
        zoom = self.camera.shot.height / self.frame.height
        self.pointer = Highlight(pattern.cell(*self.match), zoom=zoom)
        self.play(Appear(self.pointer), run_time=tempo.small)

    # Values and z

    @beat
    def values(self) -> None:
        """A third matrix makes the values: what each word passes on when it is attended to."""
        picture, tempo = self.picture, self.theme.tempo
        values = picture.v.cells.set_shown(0)
        self.add(values)
        self.play(
            Vanish(self.pointer, run_time=tempo.small),
            self.move_camera(Shot()),
            *self.undim(picture.score_side, picture.softmax, picture.softmax_name),
            Presence(picture.pattern_words, float(picture.pattern_words_readable)),
            Appear(Group(picture.x, picture.x_words, picture.query_side)),
            run_time=tempo.large,
        )
        self.play(Draw(picture.to_v[0]), Appear(picture.w_v), run_time=tempo.small)
        self.colour_bar = ColourBar(values.norm, "values", self._colour_bar_box(values.box))
        self.play(
            Draw(picture.to_v[1], run_time=tempo.small),
            Appear(picture.v.header, run_time=tempo.small),
            Appear(self.colour_bar, run_time=tempo.small),
            Reveal(values, in_diagonals(values.shape), run_time=tempo.large),
        )

    @beat
    def a_weighted_mix(self) -> None:
        """For “{query}”, every value row is weighted by its share of attention;
        the sum is one row of z."""
        picture, tempo = self.picture, self.theme.tempo
        self.mix = mix = RowMix(self.head, picture.v.cells, self.query, self.frame)
        self.remove(self.colour_bar)
        self.everything = Group(*self.visible_parts())
        self.add(*mix.strips)
        self.play(
            Presence(self.everything, 0.0, run_time=tempo.small),
            *(Settle(s, box) for s, box in zip(mix.strips, mix.layout.rows, strict=True)),
            *(Appear(strip) for strip in mix.hidden),
            run_time=tempo.large,
        )
        self.play(Appear(mix.words), Appear(mix.shares), run_time=tempo.small)
        self.play(mix.weigh(), run_time=tempo.large)
        self.hold()
        falling = [strip.copy() for strip in mix.strips]
        self.add(*falling)
        self.play(
            LaggedStart(*(Settle(s, mix.layout.total) for s in falling), lag_ratio=0.08),
            run_time=tempo.large,
        )
        self.remove(*falling)
        z = picture.z.cells
        self.total = z.part((self.query, self.query + 1), (0, z.shape[1])).place(mix.layout.total)
        self.add(self.total)
        self.play(Appear(mix.name), run_time=tempo.small)

    @beat
    def every_row(self) -> None:
        """The same for every row: the pattern times the values is z, what this head has to say."""
        picture, tempo = self.picture, self.theme.tempo
        z = picture.z.cells.set_shown(0)
        self.add(z, self.total)
        self.play(
            Vanish(self.mix, run_time=tempo.small),
            Presence(self.everything, 1.0),
            Settle(self.total, z.row(self.query)),
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
        self.remove(self.total)

    @beat
    def one_head(self) -> None:
        """All of this is one attention head. The model runs many of them side by side."""
        tempo, theme = self.theme.tempo, self.theme
        meta, partners = self.trace.meta, self.head.partners
        above = [f"one of {meta.n_heads} heads", f"in each of {meta.n_layers} layers"]
        below = []
        if len(partners) > 1:
            below = ["keys and values shared", f"by heads {partners[0]} to {partners[-1]}"]
        note = VGroup()
        points = self.picture.layout.note_points(len(above), len(below), line=0.27)
        for text, (x, y) in zip((*above, *below), points, strict=True):
            note.add(Label(text, size=theme.note_size, colour=theme.muted).on_line(x, y))
        self.play(Appear(self.picture.border), run_time=tempo.normal)
        self.play(Appear(note), run_time=tempo.small)
