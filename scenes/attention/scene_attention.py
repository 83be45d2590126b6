"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import RIGHT, LaggedStart, Mobject, VGroup, VMobject

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Glide,
    Settle,
)
from filmkit.core.facts import fact, told
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    format_number,
    format_share,
    format_short,
    separated,
    spoken_share,
)
from filmkit.core.printable import printable
from filmkit.core.stage import beat
from filmkit.core.text import Label, break_lines, fit_word
from filmkit.core.view import best_match
from filmkit.mobjects.clocks import Clocks
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import TEXT, WORD, Matrix
from filmkit.pictures.picture import WORDS, Mark, PlacedPart
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import CHANNEL, head_matrix, whole_head
from filmkit.pictures.texts import SentencePart, below_each_other, figure, quiet
from scenes.attention.parts import (
    Product,
    ShareBars,
    WorkedSum,
    rest_of,
    scaling_of,
    score_notes,
    way_notes,
)

DIALS, FASTEST = 4, 8  # pairs of channels whose rotation is shown, of so many that turn fastest
STEPS = 10  # how many positions the pair is moved along, to show that only its distance counts
DIM = 0.45  # opacity of cells and words that are not meant
GAMMA = 2.2  # of screens: how their light grows with the level

PRODUCT = "× Kt\nQ dots"
SHARES = """
    .       who      who
    column  softmax  shares
    rest    rest     rest
"""
TALL_SHARES = """
    who      who
    softmax  softmax
    column   shares
    rest     rest
"""
MIX = """
    w0       ×  v0
    weights  ×  V
    .        Σ  mix
"""


def spoken_weight(share: float) -> str:
    """Return a share of attention for narration, with a decimal if it is small."""
    return spoken_share(share, 0 if 100 * share >= 9.95 else 1)


def of_them(heads: int) -> str:
    """Return how many heads there are: "9 of them"."""
    return ngettext("one of them", "{number} of them", heads)


def of_layers(layers: int) -> str:
    """Return in which layers there are as many: "each of 30 layers"."""
    return ngettext("its one layer", "each of {number} layers", layers)


def scaling(factor: float) -> str:
    """Return what is done to the dot products that are multiplied by a factor, as it is said."""
    if factor == 1:
        return _("Keep them as they are")
    if factor < 1:
        # Rounded first: a factor of a whole number may be off by little.
        return _("Divide by {number}", number=format_short(float(f"{1 / factor:.3g}")))
    return _("Multiply by {number}", number=format_number(factor))


def light(share: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the level of a screen at which it gives a share of its light."""
    return np.asarray(share, dtype=np.float64) ** (1 / GAMMA)


class Attention(Stage):
    """One head from words to z; every number is one that the model computes."""

    title = "One attention head, start to finish"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    live = "rows"

    def prepare(self) -> None:
        layer, head, meta, stage = self.layer, self.head, self.trace.meta, self.frame.stage
        theme = self.theme
        self.query, self.key = self.match = query, key = best_match(head)
        self.share = float(head.pattern[self.match])
        self.words = [printable(word) for word in layer.words]
        self.facts |= told(
            width=meta.d_model,
            query=self.words[query],
            key=self.words[key],
            offered=separated([self.words[place] for place in self._offered()]),
            dot=(float(head.dot_products[self.match]), format_number),
            share=(self.share, spoken_weight),
            scaling=(meta.score_scale, scaling),
            products=meta.d_qk,
            heads=(meta.n_heads, of_them),
            layers=(meta.n_layers, of_layers),
        )
        self.part("sentence", SentencePart(layer.words, stage.width, stage.height))
        self.part("dots", Product.of(self._matrix("dots")))
        self.part("sum", lambda: WorkedSum(head, query, key))
        if self.trace.rotates:
            steps = self.trace.rotation(layer.layer).steps[:FASTEST]
            chosen = np.linspace(0, len(steps) - 1, DIALS).astype(int)
            self.places = layer.first + query, layer.first + key
            self.part("turning", lambda: self._lines(_("Position turns each pair of channels")))
            self.part("clocks", lambda: self._clocks(steps[np.unique(chosen)]))
            self.part("hands", self._hands)
        self.part("notes", quiet(*score_notes(head)))
        self.part("column", replace(self._column("scores"), name=self._matrix("scores").name))
        self.part("who", lambda: self._lines(_("{word} reads from:", word=self.words[query]), 0.6))
        self.part("softmax", self._softmax)
        self.part(
            "shares", ShareBars(head, query, (0.38 if self.frame.upright else 0.5) * stage.width)
        )
        self.part("rest", quiet(*rest_of(head, query)))
        self.part("weights", self._column("pattern"))
        self.part("w0", self._hidden(share=True))
        self.part("v0", self._hidden(share=False))
        self.part("mix", self._mix())
        self.part("asks", lambda: self._saying(self.query, _("“who goes with me?”"), theme.query))
        self.part("offers", lambda: self._saying(self.key, _("“I do”"), theme.key))
        self.part("reading", quiet(_("a loose reading")))
        self.part("way", quiet(*way_notes(layer, "Q")))
        if self.trace.has("W_V", layer.layer):
            self.part("W_V", replace(self._matrix("W_V"), name=_("learned")))
        self.part("bias", quiet(*way_notes(layer, "V")))

    def _offered(self) -> list[int]:
        """Return which tokens may matter most to the query: the key, and the last words before."""
        words = [place for place in range(self.query) if any(map(str.isalnum, self.words[place]))]
        others = [place for place in words if place != self.key] or [self.query]
        return sorted({self.key, *others[-2:]})

    def variant(self, beat: str) -> str:
        if beat == "scale_and_mask":
            return "kept" if self.trace.meta.score_scale == 1 else "scaled"
        return "latent" if self.trace.meta.attention == "mla" else "straight"

    # Parts

    def _matrix(self, name: str) -> Matrix:
        """Return a matrix that the model has."""
        matrix = head_matrix(self.head, name)
        assert matrix is not None
        return matrix

    def _column(self, name: str) -> Matrix:
        """Return the row of the query of the scores or the pattern, as a column."""
        matrix = self._matrix(name)
        rows = slice(self.query, self.query + 1)
        source = matrix.source.part((rows.start, rows.stop), (0, self.layer.count))
        masked = None if matrix.masked is None else matrix.masked[rows]
        row = replace(matrix, values=matrix.values[rows], source=source, masked=masked, symbol="")
        return replace(row.transposed, name="", columns="query")

    def _mix(self) -> Matrix:
        """Return the sum of all rows of the values, each times its share, in their colours."""
        z, v = self._matrix("z"), self._matrix("V")
        rows = self.query, self.query + 1
        return replace(
            v,
            values=z.values[slice(*rows)],
            source=z.source.part(rows, (0, z.values.shape[1])),
            rows="query",
            name=z.name,
            symbol="",
            words=(),
        )

    def _hidden(self, *, share: bool) -> Matrix | None:
        """Return the share of the beginning that is not drawn, or its values; None if all is."""
        head, query = self.head, self.query
        if not self.layer.hides_first:
            return None
        name, values, source = (
            ("pattern", head.hidden_attention[[query], None], head.hidden_attention_source(query))
            if share
            else ("v", head.hidden_value(query), head.hidden_value_source(query))
        )
        norm, words = self.layer.norm(name), [self.layer.hidden_name]
        return Matrix(values, norm, source, TOKEN, "query" if share else CHANNEL, words=words)

    def _saying(self, row: int, text: str, colour: str) -> Mobject:
        """Return what a token might say with its query or key."""
        words = Label(_("{word}:", word=self.words[row]), size=1.2 * TEXT, colour=colour)
        return VGroup(words, Label(text, size=1.2 * TEXT)).arrange([1, 0, 0], buff=0.2)

    def _lit(self, names: str) -> dict[str, npt.ArrayLike]:
        """Return for some parts, and for the words, what is lit: that of the query or the key.

        Values have the light of their shares.
        """
        query, key, both = (np.full(self.layer.count, DIM) for _turn in range(3))
        query[self.query] = key[self.key] = both[[*self.match]] = 1.0
        values = DIM + (1 - DIM) * light(self.head.pattern[self.query])
        lit = {"K": key[:, None], "Kt": key, "V": values[:, None], WORDS: both}
        return {name: lit.get(name, query[:, None]) for name in names.split()}

    def _word(self, row: int, colour: str | None = None) -> Label:
        """Return the word of a token, as a label that is no wider than words at an axis."""
        return fit_word(self.words[row], WORD, size=1.2 * TEXT, colour=colour)

    def _pair_marks(self, label: Mobject | None = None) -> tuple[Mark, ...]:
        """Return frames around the query, the key with its word, and the cell where they cross."""
        theme, key = self.theme, self._word(self.key, self.theme.key)
        return (
            Mark("Q", row=self.query, colour=theme.query),
            Mark("Kt", column=self.key, colour=theme.key, label=key),
            Mark("dots", *self.match, label=label),
        )

    def _lines(self, text: str, share: float = 1.0) -> Mobject:
        """Return a text on as many lines as it takes in a share of the frame's width."""
        size = 1.2 * TEXT
        lines = break_lines(text, share * self.frame.stage.width, size=size)
        return below_each_other(*(Label(line, size=size) for line in lines))

    def _clocks(self, steps: npt.NDArray[np.float64]) -> Mobject:
        """Return clocks of some pairs of channels, from one that turns fast to a slow one."""
        columns = min(len(steps), 2 if self.frame.upright else DIALS)
        stage, rows = self.frame.stage, -(-len(steps) // columns)
        share = 0.38 if self.frame.upright else 0.5
        pitch = min(stage.width / max(columns, 2.5), share * stage.height / rows)
        clocks = Clocks(steps, self.places, columns=columns, pitch=pitch)
        speeds = VGroup(
            Label(_("turns fast"), size=1.2 * TEXT).next_to(clocks[0], [0, 1, 0]),
            Label(_("turns slowly"), size=1.2 * TEXT).next_to(clocks[-1], [0, -1, 0]),
        )
        return VGroup(clocks, speeds)

    def _hands(self) -> Mobject:
        """Return whose hands the clocks have, and the score of both."""
        theme, size = self.theme, 1.2 * TEXT
        query, key = (self.words[i] for i in self.match)
        whose = (
            Label(_("query of {word}", word=query), size=size, colour=theme.query),
            Label(_("key of {word}", word=key), size=size, colour=theme.key),
        )
        stays = self._lines(_("wherever the pair stands, the same score:")), self._dot()
        if self.frame.upright:
            return below_each_other(*whose, *stays)
        rows = (VGroup(*row).arrange([1, 0, 0], buff=0.4) for row in (whose, stays))
        return below_each_other(*rows)

    def _dot(self) -> Label:
        """Return the dot product of the pair, as a figure."""
        dot = float(self.head.dot_products[self.match])
        return figure(fact("dot", dot, format_number), colour=self.theme.scores)

    def _softmax(self) -> Mobject:
        """Return the sign for the step from scores to shares, with its name."""
        return below_each_other(Label("softmax", size=1.2 * TEXT), Label("→", size=2 * TEXT))

    def _followed(self, part: PlacedPart) -> Heatmap:
        """Return the row of the query of a part."""
        return part.cells.whole.part((self.query, self.query + 1), (0, self.layer.count))

    def _add_up(self) -> None:
        """Let all rows of the values come together in their sum."""
        sums = self.parts["mix"].cells.blocks
        flights = [
            Settle(row, place.row(0))
            for name in ("v0", "V")
            if name in self.parts
            for block, place in zip(self.parts[name].cells.blocks, sums, strict=True)
            for row in block.split_rows()
        ]
        self.play(*flights, run_time=2.0)

    @property
    def _gives(self) -> str:
        """The sign before the output: all that makes it must be drawn for an equals sign."""
        return "→" if self.layer.hides_first else "="

    # X, queries and keys

    @beat
    def words_become_rows(self) -> None:
        """Inside the model, each token of the sentence becomes a row of {width} numbers."""
        self.show("sentence")
        self.show("X", reveal="X", bars="X", titles=False)
        width = fact("width", self.trace.meta.d_model)
        label = self._lines(_("one word = {number} numbers", number=width), 0.2)
        self.show("X", bars="X", titles=False, marks=(Mark("X", row=self.query, label=label),))

    @beat(
        ask="Which word matters most to “{query}”: {offered}?",
        straight="Two learned matrices make each row a query and a key. Read loosely, queries ask "
        "and keys answer.",
        latent="Learned matrices make each row a query and a key, here by way of a short latent. "
        "Read loosely, queries ask and keys answer.",
    )
    def queries_and_keys(self) -> None:
        self.show(". W_Q . W_K\nX Q C K\nway way way way", reveal="Q C K")
        theme = self.theme
        asked = (
            Mark("Q", row=self.query, colour=theme.query),
            Mark("K", row=self.key, colour=theme.key, label=self._word(self.key, theme.key)),
        )
        self.show(
            "Q K\nasks offers\nreading reading",
            tall="Q K\nasks asks\noffers offers\nreading reading",
            marks=asked,
            lit=self._lit("Q K words"),
        )

    @beat
    def transpose_the_keys(self) -> None:
        """Turn the keys, and each becomes a column."""
        self.show(PRODUCT, lit={"dots": 0.0}, titles="Q Kt", words="rows")
        open_ = Label("?", size=0.2).move_to(self.parts["dots"].box.center)
        self.play(Appear(open_))

    # One score

    def _show_sum(self, *, later: str = "") -> None:
        """Show the query, the key and the sum of their products, which fills no cell yet."""
        self.show(
            "× Kt sum\nQ dots sum",
            tall="× Kt\nQ dots\nsum sum",
            later=later,
            lit=self._lit("Q Kt words") | {"dots": 0.0},
            marks=self._pair_marks(),
            titles="Q Kt",
            words="rows",
        )

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of [“{query}”] meets the key of [“{key}”]:
        multiply channel by channel, and add it up."""
        self._show_sum(later="sum")
        done = self.parts["sum"].whole[0]
        self.play(LaggedStart(*(Appear(line) for line in done.lines), lag_ratio=0.5, run_time=2.4))
        way = self._way_to(done.total)
        self.play(Appear(done.rule), Appear(done.total), Appear(way))

    def _way_to(self, total: Mobject) -> Mobject:
        """Return a line from the cell where query and key meet to their sum, around its lines."""
        cell = self.parts["dots"].cells.cell(*self.match)
        start, end, side = [cell.right, cell.y, 0], total.get_left(), 0.15
        corners = [start, end - side * RIGHT]
        if self.frame.upright:
            end = total.get_right()
            right = max(self.parts["dots"].box.right, end[0]) + side
            corners = [start, [right, cell.y, 0], [right, end[1], 0], end + side * RIGHT]
        way = VMobject(stroke_color=self.theme.highlight, stroke_width=self.theme.line)
        return way.set_points_as_corners(corners)

    @beat
    def one_cell(self) -> None:
        """The sum fills the cell where they cross: {dot}."""
        self._show_sum()
        number = self.parts["sum"].whole[0].total
        cell = self.parts["dots"].cells.cell(*self.match)
        self.play(Glide(number, number.copy().scale(0.3).move_to(cell.center)))
        filled = np.zeros(self.head.scores.shape)
        filled[self.match] = 1.0
        self.show(
            PRODUCT,
            lit=self._lit("Q Kt words") | {"dots": filled},
            marks=self._pair_marks(self._dot()),
            titles="Q Kt",
            words="rows",
        )

    @beat(when=lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """Both are rotated by position, so only their distance counts:
        move the pair, and its score stays."""
        self.show("turning\nclocks\nhands")
        clocks = self.parts["clocks"].whole[0][0]
        query, key = self.places

        def move_along(alpha: float) -> None:
            clocks.turn_to(query + STEPS * alpha, key + STEPS * alpha)

        self.play(AnimateWith(clocks, move_along), run_time=3.0)

    @beat
    def all_scores(self) -> None:
        """Every query meets every key, in one matrix product."""
        self.show(PRODUCT, lit={"dots": 0.0}, words="rows")
        self.show(PRODUCT, reveal="dots", words="rows")
        pair = Label(f"{self.words[self.query]} · {self.words[self.key]} =", size=1.2 * TEXT)
        self.show(
            PRODUCT,
            marks=self._pair_marks(below_each_other(pair, self._dot())),
            lit=self._lit("words"),
            words="rows",
        )

    @beat(
        scaled="{scaling}, to keep sums of {products} products moderate. Then mask the future: "
        "it isn’t written yet.",
        kept="{scaling}. Then mask the future: it isn’t written yet.",
    )
    def scale_and_mask(self) -> None:
        scaled = scaling_of(self.head, *self.match)
        marks = (Mark("scaled", *self.match, label=scaled),)
        self.show("scaled", marks=marks, words="rows")
        self.show(
            "scores notes",
            tall="scores\nnotes",
            marks=(replace(*marks, part="scores"),),
            bars="scores",
            words="rows",
        )
        box = self.parts["scores"].box
        future = self._lines(_("masked: the future"), 0.42 * box.width / self.frame.stage.width)
        if max(future.width / box.width, future.height / box.height) < 0.5:
            corner = [box.x + 0.24 * box.width, box.y + 0.25 * box.height, 0]
            self.play(Appear(future.move_to(corner)))

    # The pattern

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns a row into shares that add up to one:
        “{query}” gives {share} to “{key}”."""
        self.show("scores", marks=(Mark("scores", row=self.query),), words="rows")
        self.show(
            TALL_SHARES if self.frame.upright else SHARES,
            later="shares",
            origins={"column": self._followed(self.parts["scores"])},
        )
        shares = self.parts["shares"]
        bars, tags = ([Appear(piece) for piece in shares.pieces[kind]] for kind in ("bars", "tags"))
        self.play(LaggedStart(*bars, *tags, lag_ratio=0.3, run_time=3.0))

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        only = np.where(np.arange(self.layer.count) == self.query, 1.0, 0.0)[:, None]
        self.show("pattern", lit={"pattern": only}, bars="pattern")
        self.show("pattern", bars="pattern")
        share = figure(fact("attention.share", self.share, format_share))
        words = Label(f"{self.words[self.query]} → {self.words[self.key]}", size=1.2 * TEXT)
        self.show(
            "pattern",
            marks=(Mark("pattern", *self.match, label=below_each_other(share, words)),),
            bars="pattern",
        )

    # Values and z

    @beat(
        straight="A third matrix makes values: what a token hands on when it is read.",
        latent="The latent makes values too: what a token hands on when it is read.",
    )
    def values(self) -> None:
        way = self._way_to_values()
        self.show(f"{way}\n" + " ".join(["bias"] * len(way.split())), reveal="V")
        marks = tuple(Mark(name, row=self.key) for name in ("X", "V"))
        self.show(f"{way}\n" + " ".join(["bias"] * len(way.split())), marks=marks)

    def _way_to_values(self) -> str:
        """Return the mosaic of what makes the values; an equals sign only if that is all."""
        has, layer = self.trace.has, self.layer.layer
        if has("W_V", layer):
            return f"X × W_V {'→' if has('b_V', layer) else '='} V"
        return "X → C →2 V" if self.trace.meta.attention == "mla" else "X → V"

    @beat
    def a_weighted_mix(self) -> None:
        """Scale each row of values by its share. The sum of them all is one row of z."""
        hidden = DIM + (1 - DIM) * light(self.head.hidden_attention[self.query])
        lit = self._lit("V") | {"v0": hidden}
        self.show("pattern V", marks=(Mark("pattern", row=self.query),), words="rows")
        text = Label(fact("attention.share", self.share, format_share), size=1.2 * TEXT)
        marks = (Mark("V", row=self.key, colour=self.theme.value, label=text),)
        show = partial(self.show, MIX, titles="V")
        turned = {"weights": self._followed(self.parts["pattern"])}
        show(lit={"mix": 0.0}, origins=turned, marks=marks)
        show(lit=lit | {"mix": 0.0}, marks=marks)
        self._add_up()
        output = self._lines(_("output for “{word}”", word=self.words[self.query]), 0.27)
        show(lit=lit, marks=(*marks, Mark("mix", row=0, label=output)))

    @beat
    def every_row(self) -> None:
        """Pattern times values: that is all this head has to say."""
        mosaic, sent = f"pattern × V {self._gives} z", {"mix": ("z", self.query)}
        known = sent if "mix" in self.parts else None
        only = np.where(np.arange(self.layer.count) == self.query, 1.0, 0.0)[:, None]
        self.show(mosaic, lit={"z": only}, into=known, words="rows")
        self.show(mosaic, reveal="z", words="rows")
        marks = (
            Mark("pattern", row=self.query),
            Mark("V", row=self.key),
            Mark("z", row=self.query),
        )
        self.show(mosaic, marks=marks, lit=self._lit("words"), words="rows")

    @beat
    def one_head(self) -> None:
        """This is one attention head. The model runs {heads} in {layers}."""
        mosaic, tall = whole_head(self.layer)
        show = partial(self.show, mosaic, tall=tall, words="rows")
        show()
        marks = (
            Mark("Q", row=self.query, colour=self.theme.query),
            Mark("Kt", column=self.key, colour=self.theme.key),
            Mark("pattern", row=self.query),
            Mark("V", row=self.key, colour=self.theme.value),
            Mark("z", row=self.query),
        )
        for mark in marks:
            show(marks=(mark,), run_time=1.0)
        show(marks=marks, lit=self._lit("words"))
