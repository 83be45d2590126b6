"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import LaggedStart, Mobject, VGroup

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
from filmkit.core.text import Label, Symbol
from filmkit.core.view import best_match
from filmkit.mobjects.clocks import Clocks
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.picture import Mark, PlacedPart
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import CHANNEL
from filmkit.pictures.texts import SentencePart, below_each_other, figure, legend, quiet
from scenes.attention.parts import (
    ShareBars,
    WorkedSum,
    rest_of,
    scaling_of,
    score_notes,
    way_notes,
)

CLOCKS = 8  # pairs of channels whose rotation is shown
STEPS = 10  # how many positions the pair is moved along, to show that only its distance counts
FAINT = 0.16  # opacity of cells that are not meant
GAMMA = 2.2  # of screens: how their light grows with the level

PRODUCT = ". Kt\nQ dots"
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
        self.part("question", lambda: Symbol("Q K^top = ?", size=0.07))
        self.part("sum", lambda: WorkedSum(head, query, key))
        self.part("dot", self._dot)
        if self.trace.rotates:
            steps = self.trace.rotation(layer.layer).steps[:CLOCKS]
            self.places = layer.first + query, layer.first + key
            self.part("clocks", lambda: Clocks(steps, self.places))
            self.part("hands", self._hands)
        self.part("divided", lambda: scaling_of(head, query, key))
        self.part("row", self._row())
        self.part("shares", ShareBars(head, query, 0.34 * stage.height))
        self.part("weights", self._weights())
        self.part("w0", self._hidden(share=True))
        self.part("v0", self._hidden(share=False))
        self.part(
            "who", lambda: Label(f"{self.words[query]} →", size=1.2 * TEXT, colour=theme.query)
        )
        self.part("pair", self._pair)
        self.part("asks", lambda: self._saying(self.query, _("“who goes with me?”"), theme.query))
        self.part("offers", lambda: self._saying(self.key, _("“I do”"), theme.key))
        self.part("reading", quiet(_("a loose reading")))
        self.part("future", lambda: legend(_("masked: the future"), theme.masked))
        self.part("notes", quiet(*score_notes(head)))
        self.part("way", quiet(*way_notes(layer, "Q")))
        self.part("bias", quiet(*way_notes(layer, "V")))
        self.part("rest", quiet(*rest_of(head, query)))

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

    def _row(self) -> Matrix:
        """Return the row of the pattern of the query, as large as the frame."""
        span = (self.query, self.query + 1)
        source = self.head.pattern_source.part(span, (0, self.layer.count))
        return Matrix(
            self.head.pattern[slice(*span)],
            self.layer.norm("pattern"),
            source,
            "query",
            TOKEN,
            masked=self.head.causal_mask[slice(*span)],
            words=self.layer.words,
        )

    def _weights(self) -> Matrix:
        """Return the same row as a column, beside the values that it weights."""
        row = self._row()
        values = row.values.T.copy()
        source = replace(row.source, transposed=not row.source.transposed)
        return Matrix(values, row.norm, source, TOKEN, "query", words=self.layer.words)

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

    def _pair(self) -> Mobject:
        """Return the share of the pair that is followed, as a figure."""
        words = Label(f"{self.words[self.query]} → {self.words[self.key]}", size=1.2 * TEXT)
        return below_each_other(figure(fact("attention.share", self.share, format_share)), words)

    def _saying(self, row: int, text: str, colour: str) -> Mobject:
        """Return what a token might say with its query or key."""
        words = Label(_("{word}:", word=self.words[row]), size=1.2 * TEXT, colour=colour)
        return VGroup(words, Label(text, size=1.2 * TEXT)).arrange([1, 0, 0], buff=0.2)

    def _lit(self, *names: str) -> dict[str, npt.ArrayLike]:
        """Return for some parts what is lit: the query, the key, and the cell where they cross."""
        counted = np.arange(self.layer.count)
        row, column = (np.where(counted == i, 1.0, FAINT) for i in self.match)
        both = np.outer(counted == self.query, counted == self.key) * 1.0
        lit = {"Q": row[:, None], "K": column[:, None], "Kt": column[None], "dots": both}
        return {name: lit[name] for name in names}

    @property
    def _pair_marks(self) -> tuple[Mark, ...]:
        """Frames around the row of the query, the column of the key, and where they cross."""
        return (
            Mark("Q", row=self.query, colour=self.theme.query),
            Mark("Kt", column=self.key, colour=self.theme.key),
            Mark("dots", *self.match),
        )

    def _hands(self) -> Mobject:
        """Return whose hands the clocks have, and the score of both."""
        theme, size = self.theme, 1.2 * TEXT
        query, key = (self.words[i] for i in self.match)
        return below_each_other(
            Label(_("query of {word}", word=query), size=size, colour=theme.query),
            Label(_("key of {word}", word=key), size=size, colour=theme.key),
            self._dot(),
        )

    def _dot(self) -> Label:
        """Return the dot product of the pair, as a figure."""
        dot = float(self.head.dot_products[self.match])
        return figure(fact("dot", dot, format_number), colour=self.theme.scores)

    def _followed(self, part: PlacedPart) -> Heatmap:
        """Return the row of the query of a part."""
        return part.cells.whole.part((self.query, self.query + 1), (0, self.layer.count))

    def _add_up(self) -> None:
        """Let all rows of the values come together in one row of z."""
        sums = self.parts["z"].cells.blocks
        flights = [
            Settle(row, place.row(self.query))
            for name in ("v0", "V")
            if name in self.parts
            for block, place in zip(self.parts[name].cells.blocks, sums, strict=True)
            for row in block.split_rows()
        ]
        self.play(*flights, run_time=2.0)

    # X, queries and keys

    @beat
    def words_become_rows(self) -> None:
        """Inside the model, each token of the sentence becomes a row of {width} numbers."""
        self.show("sentence")
        self.show("X", reveal="X", bars="X")

    @beat(
        ask="Which word matters most to “{query}”: {offered}?",
        straight="Two learned matrices make each row a query and a key. Read loosely, queries ask "
        "and keys answer.",
        latent="Learned matrices make each row a query and a key, here by way of a short latent. "
        "Read loosely, queries ask and keys answer.",
    )
    def queries_and_keys(self) -> None:
        self.show(". W_Q . W_K\nX Q C K\nway way way way", reveal="Q C K")
        asked = (
            Mark("Q", row=self.query, colour=self.theme.query),
            Mark("K", row=self.key, colour=self.theme.key),
        )
        self.show(
            "Q K\nasks offers\nreading reading",
            tall="Q K\nasks asks\noffers offers\nreading reading",
            marks=asked,
            lit=self._lit("Q", "K"),
        )

    @beat
    def transpose_the_keys(self) -> None:
        """Turn the keys, and each becomes a column."""
        self.show(". Kt\nQ question")

    # One score

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of [“{query}”] meets the key of [“{key}”]:
        multiply channel by channel, and add it up."""
        nothing = self._lit("Q", "Kt") | {"dots": 0.0}
        self.show(PRODUCT, lit=nothing, marks=self._pair_marks, titles="Q Kt")
        self.show(
            ". Kt sum\nQ dots sum",
            tall=". Kt\nQ dots\nsum sum",
            later="sum",
            lit=nothing,
            marks=self._pair_marks,
            titles="Q Kt",
        )
        done = self.parts["sum"].whole[0]
        self.play(LaggedStart(*(Appear(line) for line in done.lines), lag_ratio=0.5, run_time=2.4))
        self.play(Appear(done.rule), Appear(done.total))

    @beat
    def one_cell(self) -> None:
        """The sum fills the cell where they cross: {dot}."""
        nothing = self._lit("Q", "Kt") | {"dots": 0.0}
        self.show(
            ". Kt dot\nQ dots dot",
            tall=". Kt\nQ dots\ndot dot",
            lit=nothing,
            marks=self._pair_marks,
            titles="Q Kt",
        )
        number = self.parts["dot"].whole.copy()
        cell = self.parts["dots"].cells.cell(*self.match)
        small = number.copy().scale(0.3).move_to(cell.center)
        self.play(Glide(number, small))
        self.show(
            ". Kt dot\nQ dots dot",
            tall=". Kt\nQ dots\ndot dot",
            lit=self._lit("Q", "Kt", "dots"),
            marks=self._pair_marks,
            titles="Q Kt",
        )

    @beat(when=lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """Both are rotated by position, so only their distance counts:
        move the pair, and its score stays."""
        self.show(
            "clocks hands",
        )
        clocks = self.parts["clocks"].whole[0]
        query, key = self.places

        def move_along(alpha: float) -> None:
            clocks.turn_to(query + STEPS * alpha, key + STEPS * alpha)

        self.play(AnimateWith(clocks, move_along), run_time=3.0)

    @beat
    def all_scores(self) -> None:
        """Every query meets every key, in one matrix product."""
        self.show(PRODUCT, lit={"dots": 0.0}, titles="Q Kt dots")
        self.show(PRODUCT, reveal="dots")
        self.show(PRODUCT, marks=(Mark("dots", *self.match),))

    @beat(
        scaled="{scaling}, to keep sums of {products} products moderate. Then mask the future: "
        "it isn’t written yet.",
        kept="{scaling}. Then mask the future: it isn’t written yet.",
    )
    def scale_and_mask(self) -> None:
        self.show("scaled divided", tall="scaled\ndivided", marks=(Mark("scaled", *self.match),))
        self.show("scores future\nscores notes", tall="scores\nfuture\nnotes")

    # The pattern

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns a row into shares that add up to one:
        “{query}” gives {share} to “{key}”."""
        self.show("scores", marks=(Mark("scores", row=self.query),))
        mosaic = ". shares\nwho row\nrest rest"
        self.show(mosaic, origins={"row": self._followed(self.parts["scores"])})

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        self.show(
            "pattern pair",
            tall="pattern\npair",
            marks=(Mark("pattern", *self.match),),
            bars="pattern",
            into={"row": ("pattern", self.query)} if "row" in self.parts else None,
        )

    # Values and z

    @beat(
        straight="A third matrix makes values: what a token hands on when it is read.",
        latent="The latent makes values too: what a token hands on when it is read.",
    )
    def values(self) -> None:
        self.show(". . W_V\nX C V\nbias bias bias", reveal="V")

    @beat
    def a_weighted_mix(self) -> None:
        """Scale each row of values by its share. The sum of them all is one row of z."""
        lit = {
            "V": light(self.head.pattern[self.query][:, None]),
            "v0": light(self.head.hidden_attention[self.query]),
        }
        row = (np.arange(self.layer.count) == self.query)[:, None]
        show = partial(
            self.show,
            ". w0 v0\n. weights V\npattern . z",
            marks=(Mark("pattern", row=self.query),),
            words="rows",
            titles="pattern V",
        )
        show(lit={"z": 0.0}, later="weights w0")
        turned = {"weights": self._followed(self.parts["pattern"])}
        show(lit={"z": 0.0}, origins=turned)
        show(lit=lit | {"z": 0.0})
        self._add_up()
        show(lit=lit | {"z": row * 1.0})

    @beat
    def every_row(self) -> None:
        """Pattern times values: that is all this head has to say."""
        self.show(". V\npattern z", lit={"z": 0.0})
        self.show(". V\npattern z", reveal="z")
        followed = (Mark("pattern", row=self.query), Mark("z", row=self.query))
        self.show(". V\npattern z", marks=followed)

    @beat
    def one_head(self) -> None:
        """This is one attention head. The model runs {heads} in {layers}."""
        self.show(HEAD, tall=TALL_HEAD)
        marks = tuple(Mark(name, row=self.query) for name in ("Q", "scores", "pattern", "z"))
        for mark in marks:
            self.show(HEAD, tall=TALL_HEAD, marks=(mark,), run_time=1.0)
        self.show(HEAD, tall=TALL_HEAD, marks=marks)
