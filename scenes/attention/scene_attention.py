"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import DOWN, RIGHT, UP, LaggedStart, Mobject, Rectangle, Square, VGroup, linear

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Glide,
    Reveal,
    Settle,
    in_rows,
)
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import WORD_GAP, Box
from filmkit.core.headline import Headline
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    format_decimal,
    format_number,
    format_share,
    format_short,
    separated,
    spoken_share,
)
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.mobjects.flow import Draw, Wire
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import MANY, TEXT, Matrix
from filmkit.pictures.picture import COLUMN_WORDS, WORDS, Mark, PlacedPart
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.pictures.texts import SentencePart, below_each_other, legend, quiet, text_in
from scenes.attention.parts import (
    DistanceClock,
    Product,
    ShareBars,
    WorkedSum,
    path_of_light,
    projection_notes,
    rest_of,
    scaling_of,
    score_notes,
    way_between,
)

STEPS = 10  # how many positions the pair is moved along, to show that only its distance counts
ARROW, ONWARD = 0.07, 1.0  # size of the arrow from clock to clock, and room for it between lines
AROUND = 0.85  # around a clock and its words, above and below, in scene units
FREE = 0.2  # side of the room for light between two matrices, in scene units
DIM = 0.6  # opacity of cells and words that are not meant
GAMMA = 2.2  # of screens: how their light grows with the level

PRODUCT = ". Kt\nQ dots"
SHARES = """
    column  softmax  shares
    rest    rest     rest
"""
TALL_SHARES = "column shares\nrest rest"
MIX = """
    w0       ×  v0
    weights  ×  V
    .        =  mix
"""
LIT = """
    .  .  Kt       .     .  .     .
    Q  .  pattern  gap1  V  gap2  z
"""
TALL_LIT = """
    .  .  Kt       .
    Q  .  pattern  gap1
    .  .  V        .
    .  .  z        .
"""


def one_of(words: Sequence[str]) -> str:
    """Return words among which to choose, such as "“flag”, “is” or “red”"."""
    *others, last = (_("“{word}”", word=word) for word in words)
    if not others:
        return last
    return _("{some} or {last}", some=separated(others), last=last)


def spoken_weight(share: float) -> str:
    """Return a share of attention for narration, with a decimal if it is small."""
    return spoken_share(share, 0 if 100 * share >= 9.95 else 1)


def of_them(heads: int) -> str:
    """Return how many heads there are: "9 of them"."""
    return ngettext("one of them", "{number} of them", heads)


def of_layers(layers: int) -> str:
    """Return in which layers there are as many: "each of 30 layers"."""
    return ngettext("its one layer", "each of {number} layers", layers)


def in_degrees(angle: float) -> str:
    """Return an angle in whole degrees."""
    return f"{format_decimal(angle)}°"


def scaling(factor: float) -> str:
    """Return what is done to the dot products that are multiplied by a factor, as it is said."""
    if kept := claim(factor == 1, _("Keep them as they are")):
        return kept
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
        layer, head, meta, free = self.layer, self.head, self.trace.meta, self.frame.free
        theme = self.theme
        self.query, self.key = self.match = query, key = best_match(head)
        self.share = float(head.pattern[self.match])
        self.words = [printable(word) for word in layer.words]
        self.pair = {"query": self.words[query], "key": self.words[key]}
        self.facts |= named_facts(
            width=meta.d_model,
            **self.pair,
            # Without the beginning token, if that is drawn.
            sentence=printable("".join(layer.words[max(0, meta.has_bos - layer.first) :])),
            offered=(tuple(self.words[place] for place in self._offered()), one_of),
            dot=(float(head.dot_products[self.match]), format_number),
            share=(self.share, spoken_weight),
            scaling=(meta.score_scale, scaling),
            products=meta.d_qk,
            heads=(meta.n_heads, of_them),
            layers=(meta.n_layers, of_layers),
        )
        self.part("sentence", SentencePart(layer.words, free.width, free.height))
        self.part("dots", Product.of(self._matrix("dots")))
        self.part("sum", lambda: WorkedSum(head, query, key))
        if self.trace.rotates:
            self.places = layer.first + query, layer.first + key
            self.apart = self.headline_of(
                _("Of places, only the distance counts"),
                _(
                    "the turn by place alone of <query>query</query> and <key>key</key>: "
                    "still {number} apart, same angle",
                    number=fact("true", query - key),
                ),
            )
            self.part("here", lambda: self._clock(_("here"), 0))
            later = _("{number} positions later", number=fact("steps", STEPS))
            self.part("moved", lambda: self._clock(later, STEPS))
            self.part("onward", self._onward)
        self.part("notes", quiet(*score_notes(head)))
        self.part("column", replace(self._column("scores"), name=self._matrix("scores").name))
        self.part("softmax", self._softmax)
        self.part(
            "shares", ShareBars(head, query, (0.38 if self.frame.upright else 0.5) * free.width)
        )
        self.part("rest", self._rest())
        self.part("weights", replace(self._column("pattern"), name=_("share")))
        self.part("w0", self._hidden(share=True))
        self.part("v0", self._hidden(share=False))
        self.part("mix", self._mix())
        self.part("asks", lambda: self._saying(self.query, _("“who goes with me?”"), theme.query))
        self.part("offers", lambda: self._saying(self.key, _("“I do”"), theme.key))
        for number in (1, 2):
            self.part(f"gap{number}", Square(FREE, stroke_width=0.0))
        self.part("way", quiet(*projection_notes(layer, "Q")))
        if self.trace.has("W_V", layer.layer):
            self.part("W_V", replace(self._matrix("W_V"), name=_("learned")))
        self.part("bias", quiet(*projection_notes(layer, "V")))

    def _offered(self) -> list[int]:
        """Return which tokens may matter most to the query: the key, and the last words before."""
        words = [place for place in range(self.query) if any(map(str.isalnum, self.words[place]))]
        others = [place for place in words if place != self.key] or [self.query]
        return sorted({self.key, *others[-2:]})

    def variant(self, beat: str) -> str:
        if beat == "words_become_rows":
            return "begun" if self.trace.meta.has_bos else "plain"
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
        row = self._matrix(name).part((self.query, self.query + 1), (0, self.layer.count))
        return replace(row.transposed, name="", symbol="", columns="query")

    def _mix(self) -> Matrix:
        """Return the sum of all rows of the values, each times its share, in their colours."""
        z, v = self._matrix("z"), self._matrix("V")
        mix = z.part((self.query, self.query + 1), (0, z.values.shape[1]))
        return replace(mix, norm=v.norm, rows="query", symbol="", colour=v.colour, words=())

    def _hidden(self, *, share: bool) -> Matrix | None:
        """Return the share of the beginning that is not drawn, or its values; None if all is."""
        head, query = self.head, self.query
        if not self.layer.hides_first:
            return None
        if share:
            values, source = (
                head.hidden_attention[[query], None],
                head.hidden_attention_source(query),
            )
            norm = self.layer.norm("pattern")
            name, words = _("share"), (_("‹start›"),)
            return Matrix(values, norm, source, TOKEN, "query", name=name, words=words)
        values, source = head.hidden_value(query), head.hidden_value_source(query)
        return replace(self._matrix("V"), values=values, source=source, words=())

    def _saying(self, row: int, text: str, colour: str) -> Mobject:
        """Return what a token might say with its query or key."""
        words = Label(_("{word}:", word=self.words[row]), size=1.2 * TEXT, colour=colour)
        return VGroup(words, Label(text, size=1.2 * TEXT)).arrange([1, 0, 0], buff=0.2)

    def _lit(self, names: str) -> dict[str, npt.ArrayLike]:
        """Return for some parts, and for the words, what is lit: that of the query or the key.

        Values have the light of their shares.
        """
        query, key = self._rows(self.query), self._rows(self.key)
        values = DIM + (1 - DIM) * light(self.head.pattern[self.query])
        lit = {"K": key[:, None], "Kt": key, "V": values[:, None], WORDS: self._rows([*self.match])}
        return {name: lit.get(name, query[:, None]) for name in names.split()}

    def _rows(self, rows: int | list[int], others: float = DIM) -> npt.NDArray[np.float64]:
        """Return opacities of tokens of which some are lit, (token,)."""
        shown = np.full(self.layer.count, others)
        shown[rows] = 1.0
        return shown

    @property
    def _pair_marks(self) -> tuple[Mark, ...]:
        """Frames around the query, the key with its word, and the cell where they cross."""
        key = Label(self.pair["key"], size=TEXT, colour=self.theme.key)
        return (
            Mark("Q", row=self.query, colour=self.theme.query),
            Mark("Kt", column=self.key, colour=self.theme.key, label=key),
            Mark("dots", *self.match),
        )

    def _lines(self, text: str, share: float = 1.0, *, colour: str | None = None) -> Mobject:
        """Return a text on as many lines as it takes in a share of the frame's width."""
        return text_in(text, share * self.frame.free.width, size=1.2 * TEXT, colour=colour)

    def _clock(self, title: str, moved: int) -> Mobject:
        """Return a clock of one pair of channels where both tokens are, or moved by positions."""
        tall, (query, key) = self.frame.tall, self.places
        # The hands of this pair stand well apart, and are turned far when they are moved.
        steps = self.trace.rotation(self.layer.layer).steps
        seen = np.abs(np.sin(steps * (query - key))) * (1 - np.cos(steps * STEPS))
        where = below_each_other(
            *(
                self._lines(
                    _(
                        "“{word}” at position {number}",
                        word=self.pair[of],
                        number=fact("place", place + moved, beside=title, of=of, steps=moved),
                    ),
                    0.45,
                    colour=colour,
                )
                for of, place, colour in (
                    ("key", key, self.theme.key),
                    ("query", query, self.theme.query),
                )
            )
        )
        title_lines = self._lines(title, 0.45)
        room = self.apart.below(head=AROUND)
        high = (room.height - ONWARD) / 2 if tall else room.height - where.height
        pitch = min(room.width / 2, high - title_lines.height)
        pair = int(seen.argmax())
        clock = DistanceClock(float(steps[pair]), (query + moved, key + moved), pitch)
        angle = abs(float(np.degrees(clock.angle)))
        turned = fact("angle", angle, in_degrees, beside=title, pair=pair)
        written = Label(turned, size=1.2 * TEXT).move_to(clock.beyond)
        where.next_to(clock, RIGHT if tall else DOWN)
        return VGroup(clock, where, title_lines.next_to(clock, UP), written)

    def _onward(self) -> Mobject:
        """Return the arrow from clock to clock, level with these, not with the words around."""
        here = self._clock(_("here"), 0)
        aside = here[0].get_center() - here.get_center()
        arrow = Label("↓" if self.frame.tall else "→", size=ARROW).shift(aside)
        width, height, _depth = 2 * np.abs(aside)
        room = Rectangle(width=width, height=height, stroke_width=0.0)
        return VGroup(room, arrow)

    def _rest(self) -> Callable[[], Mobject] | None:
        """Return what the mask has removed, and the attention that no bar shows; None for none."""
        lines = rest_of(self.head, self.query)
        masked = self.query + 1 < self.layer.count
        if not masked and not lines:
            return None

        def make() -> Mobject:
            muted = self.theme.muted
            said = [Label(text, size=TEXT, colour=muted) for text in lines]
            if masked:
                future = legend(_("masked: the future"), self.theme.masked)
                future[1].set_fill(muted)
                said.insert(0, future)
            beside = VGroup(*said).arrange(RIGHT, buff=1.0)
            fits = not self.frame.upright and beside.width < 0.8 * self.frame.free.width
            return beside if fits else below_each_other(*said)

        return make

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

    # X, queries and keys

    @beat(
        begun="Inside the model, each token of the sentence becomes a row of {width} numbers, and "
        "so does a beginning token before them.",
        plain="Inside the model, each token of the sentence becomes a row of {width} numbers.",
    )
    def words_become_rows(self) -> None:
        self.show("sentence")
        width = fact("width", self.trace.meta.d_model)
        words = self.headline_of(
            _("One word = {number} numbers", number=width),
            _("each row is a word, each cell a number"),
        )
        show = partial(self.show, "X", bars="X", titles=False, headline=words)
        show(reveal="X")
        show(marks=(Mark("X", row=self.query),), lit={WORDS: self._rows(self.query)})

    @beat(
        ask="In “{sentence}”, which word matters most to “{query}”: [{offered}]?",
        straight="Two learned matrices make each row a query and a key. Read loosely, queries ask "
        "and keys answer.",
        latent="Learned matrices make each row a query and a key, here by way of a short latent. "
        "Read loosely, queries ask and keys answer.",
        answer="key",
    )
    def queries_and_keys(self) -> None:
        self.show(". W_Q . W_K\nX Q C K\nway way way way", reveal="Q C K")
        theme = self.theme
        asked = (
            Mark("Q", row=self.query, colour=theme.query),
            Mark("K", row=self.key, colour=theme.key),
        )
        self.show(
            "Q K\nasks offers",
            tall="Q K\nasks asks\noffers offers",
            headline=self.headline_of(
                _("Queries ask, keys answer"),
                _("a loose reading of one <query>query</query> and one <key>key</key>"),
            ),
            marks=asked,
            lit=self._lit("Q K words"),
        )

    @beat
    def transpose_the_keys(self) -> None:
        """Turn the keys, and each becomes a column."""
        words = self.headline_of(
            _("How well do they match?"),
            _("each <query>query</query> is a row, each <key>key</key> a column"),
        )
        marks = self._pair_marks[:2]
        self._show_product(words, lit={"dots": 0.0}, titles="Q Kt", marks=marks)
        open_ = Label("?", size=0.2).move_to(self.parts["dots"].box.center)
        self.play(Appear(open_))

    def _show_product(self, words: Headline, mosaic: str = PRODUCT, **kwargs: Any) -> None:
        """Show queries as rows, keys as columns, and what comes of them where they cross."""
        self.show(mosaic, headline=words, words="rows", **kwargs)

    # One dot product

    def _show_sum(self, words: Headline, *, later: str = "") -> None:
        """Show the query, the key and the sum of their products, which fills no cell yet."""
        self._show_product(
            words,
            ". Kt sum\nQ dots sum",
            tall=". Kt\nQ dots\nsum sum",
            later=later,
            lit=self._lit("Q Kt") | {"dots": 0.0, WORDS: self._rows(self.query)},
            marks=self._pair_marks,
            titles="Q Kt",
        )

    @beat
    def a_query_meets_a_key(self) -> None:
        """The query of [“{query}”] meets the key of [“{key}”]:
        multiply number by number, and add it up."""
        line = _(
            "<query>query of “{query}”</query> and <key>key of “{key}”</key>, number by number",
            **self.pair,
        )
        self._show_sum(self.headline_of(_("Multiply, then add"), line), later="sum")
        done = self.parts["sum"].whole[0]
        self.play(LaggedStart(*(Appear(line) for line in done.lines), lag_ratio=0.5, run_time=2.4))
        cell = self.parts["dots"].cells.cell(*self.match)
        total = Box.of(
            float(done.meaning.get_left()[0]) - WORD_GAP,
            float(done.total.get_right()[0]),
            float(done.total.get_bottom()[1]),
            float(done.total.get_top()[1]),
        )
        way = Wire(way_between(cell, total), colour=self.theme.highlight, arrow=False)
        self.play(*map(Appear, (done.rule, done.meaning, done.total)), Draw(way))
        self.add(done)

    @beat
    def one_cell(self) -> None:
        """Their dot product fills the cell where they cross: {dot}."""
        words = self.headline_of(
            _("One dot product: {number}", number=self._dot()),
            _(
                "how well <key>“{key}”</key> answers what <query>“{query}”</query> asks",
                **self.pair,
            ),
            colour=self.theme.scores,
        )
        self._show_sum(words)
        number = self.parts["sum"].whole[0].total
        cell = self.parts["dots"].cells.cell(*self.match)
        self.play(Glide(number, number.copy().scale(0.45).move_to(cell.center)))
        filled = np.zeros(self.head.scores.shape)
        filled[self.match] = 1.0
        lit = self._lit("Q Kt") | {"dots": filled, WORDS: self._rows(self.query)}
        self._show_product(words, lit=lit, marks=self._pair_marks, titles="Q Kt")

    def _dot(self) -> str:
        """Return the dot product of the pair."""
        return fact("dot", float(self.head.dot_products[self.match]), format_number)

    @beat(when=lambda trace: trace.rotates)
    def rotate_by_position(self) -> None:
        """Both are rotated by position. Of their places, only the distance counts:
        move the pair, and its dot product stays."""
        query, key = self.places
        mosaic = "here\nonward\nmoved" if self.frame.tall else "here onward moved"
        self.show(mosaic, headline=self.apart, later="moved")
        here, (clock, *texts) = (self.parts[name].whole[0] for name in ("here", "moved"))
        start, way = here[0].get_center(), clock.get_center() - here[0].get_center()

        def move_along(alpha: float) -> None:
            clock.move_to(start + alpha * way)
            clock.turn_to(query + STEPS * alpha, key + STEPS * alpha)

        self.play(AnimateWith(clock, move_along), run_time=3.0)
        self.play(*map(Appear, texts))

    @beat
    def all_dot_products(self) -> None:
        """Every query meets every key, in one matrix product."""
        words = self.headline_of(
            _("All dot products at once"),
            _(
                "each query meets each key, as <query>“{query}”</query> meets <key>“{key}”</key>",
                **self.pair,
            ),
        )
        self._show_product(words, reveal="dots")
        self._show_product(words, marks=self._pair_marks)

    @beat(
        scaled="{scaling}, and sums of {products} products become moderate scores. Then [mask] the "
        "future: it isn’t written yet.",
        kept="{scaling}: these are the scores. Then [mask] the future: it isn’t written yet.",
    )
    def scale_and_mask(self) -> None:
        scaled = scaling_of(self.head, *self.match)
        for label in (None, scaled):
            mark = Mark("scaled", *self.match, label=label)
            self.show("scaled", marks=(mark,), words="rows")
        self.wait_for("mask")
        words = self.headline_of(
            _("No word sees the future"), _("each reads only itself and what came before")
        )
        self.show("scores notes", tall="scores\nnotes", headline=words)
        self._name_future("scores")

    def _name_future(self, name: str) -> None:
        """Say in the corner of a part that is masked what is masked there, if there is room."""
        box = self.parts[name].box
        future = self._lines(_("masked: the future"), 0.42 * box.width / self.frame.free.width)
        if max(future.width / box.width, future.height / box.height) < 0.5:
            corner = [box.x + 0.24 * box.width, box.y + 0.25 * box.height, 0]
            self.play(Appear(future.move_to(corner)))

    # The pattern

    @beat
    def softmax_of_a_row(self) -> None:
        """Softmax turns a row into shares that add up to one:
        “{query}” gives {share} to “{key}”."""
        words = self.headline_of(
            _("Scores become shares"),
            _("softmax: how “{query}” shares out its attention", **self.pair),
        )
        marks = (Mark("scores", row=self.query),)
        self.show("scores", headline=words, marks=marks, words="rows")
        self.show(
            TALL_SHARES if self.frame.upright else SHARES,
            headline=words,
            later="shares",
            origins={"column": self._followed(self.parts["scores"])},
        )
        shares = self.parts["shares"]
        bars, tags = ([Appear(piece) for piece in shares.pieces[kind]] for kind in ("bars", "tags"))
        self.play(LaggedStart(*bars, *tags, lag_ratio=0.3, run_time=3.0))

    @beat
    def the_pattern(self) -> None:
        """All rows together are the attention pattern: who reads from whom."""
        only = self._rows(self.query, 0.0)[:, None]
        share = fact("attention.share", self.share, format_share)
        line = _("“{query}” gives {share} of its attention to “{key}”", share=share, **self.pair)
        # The words above the columns of a long prompt leave no room for it.
        long = self.layer.count > MANY
        words = None if long else self.headline_of(_("Attention pattern"), line)
        show = partial(self.show, "pattern", titles=long, headline=words)
        show(lit={"pattern": only})
        show()
        lit = {WORDS: self._rows(self.query), COLUMN_WORDS: self._rows(self.key)}
        show(marks=(Mark("pattern", *self.match),), lit=lit)
        self._name_future("pattern")

    # Values and z

    @beat(
        straight="A third matrix makes values: what a token hands on when it is read.",
        latent="The latent makes values too: what a token hands on when it is read.",
    )
    def values(self) -> None:
        words = self.headline_of(
            _("Values"), _("what a word hands on when it is read"), colour=self.theme.value
        )
        way = self._way_to_values()
        mosaic = f"{way}\n" + " ".join(["bias"] * len(way.split()))
        self.show(mosaic, headline=words, reveal="V")
        self.show(
            mosaic, headline=words, marks=tuple(Mark(name, row=self.key) for name in ("X", "V"))
        )

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
        words = self.headline_of(
            _("A mix of values"), _("each row is weighted by its share, then all are added")
        )
        mark = Mark("pattern", row=self.query)
        self.show("pattern V", headline=words, marks=(mark,), words="rows")
        share = fact("attention.share", self.share, format_share, beside=self.pair["key"])
        text = Label(share, size=1.2 * TEXT)
        tall = self.frame.tall  # where there is no room beside the shares
        marks = (
            Mark("V", row=self.key, colour=self.theme.value, label=text if tall else None),
            Mark("weights", row=self.key, colour=self.theme.ink, label=None if tall else text),
        )
        top = "w0 v0" if self.layer.hides_first else "weights V"
        show = partial(self.show, MIX, headline=words, titles=top)
        turned = {"weights": self._followed(self.parts["pattern"])}
        show(lit={"mix": 0.0}, origins=turned, marks=marks)
        show(lit=lit | {"mix": 0.0}, marks=marks)
        self._add_up()
        output = self._lines(_("output for “{word}”", word=self.words[self.query]), 0.27)
        show(lit=lit, marks=(*marks, Mark("mix", row=0, label=output)))

    @beat
    def every_row(self) -> None:
        """Pattern times values: that is all this head has to say."""
        words = self.headline_of(
            _("Every word at once"),
            _("each row of the pattern makes one mix of <value>values</value>"),
        )
        sent = {"mix": ("z", self.query)}
        known = sent if "mix" in self.parts else None
        only = self._rows(self.query, 0.0)[:, None]
        show = partial(self.show, "pattern × V = z", headline=words, words="rows")
        show(lit={"z": only}, into=known)
        rows = [
            Reveal(block, np.where(block.shown > 0, np.nan, in_rows(block.shape)))
            for block in self.parts["z"].cells.blocks
        ]
        self.play(*rows, rate_func=linear, run_time=1.5 * self.theme.tempo.large)
        self._name_future("pattern")

    @beat
    def one_head(self) -> None:
        """This is one attention head. The model runs {heads} in {layers}."""
        theme = self.theme
        words = self.headline_of(
            _("One attention head"),
            _(
                "<query>“{query}” asks</query>, <key>“{key}” answers</key>, "
                "and <value>its values</value> flow on",
                **self.pair,
            ),
        )
        mosaic = LIT
        if self.frame.upright:
            # Where they stand alone in their rows, their words are those of the pattern.
            mosaic = TALL_LIT
            for name in "Vz":
                self.part(name, replace(self._matrix(name), words=()))
        show = partial(self.show, mosaic, headline=words, words="rows")
        show()
        marks = (
            *self._pair_marks[:2],
            Mark("pattern", row=self.query, colour=theme.query),
            Mark("pattern", column=self.key, colour=theme.key),
            Mark("pattern", *self.match),
            Mark("V", row=self.key, colour=theme.value),
            Mark("z", row=self.query, colour=theme.ink),
        )
        show(marks=marks, lit=self._lit("words"))
        ways = path_of_light(self.parts, *self.match)
        self.play(LaggedStart(*map(Draw, ways), lag_ratio=0.5, run_time=3.0))
