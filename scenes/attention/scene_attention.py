"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from manim import (
    DOWN,
    LEFT,
    OUT,
    RIGHT,
    UP,
    Animation,
    Create,
    CubicBezier,
    LaggedStart,
    Line,
    Mobject,
    ReplacementTransform,
    Transform,
    VMobject,
)

from filmkit.core.animations import Appear, Arrive, Vanish
from filmkit.core.body import Body, put
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import _, ngettext
from filmkit.core.light import glow
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import (
    format_decimal,
    format_number,
    format_share,
    format_short,
    separated,
    spoken_share,
)
from filmkit.core.stage import beat
from filmkit.core.text import Label, Symbol
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.pictures.bodies import Bars, Pane, Relief, Rows, Sentence, Slab, number_at
from filmkit.pictures.flows import Arc, Flow, Strip, Threads
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.picture import WORDS, Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.pictures.texts import quiet
from scenes.attention.parts import (
    largest_product,
    looked_at,
    piled,
    projection_notes,
    scaling_of,
    score_notes,
)

Array = npt.NDArray[np.float64]
Name = int | str  # of what a query looks at, as in `Looked`

BIG = 3.2, 1.9, 0.35  # width, height and thickness of the slab of a word that speaks
NEAR = 1.5  # from a mix to the row of which it has most, in scene units
FLAT = 1e-3  # height of bars that have been cut away, as a share of their own
WIDEST = 5.0  # width of such a slab with a long word
ROOM = 1.1  # length of a part of the strip that has a number, in scene units
ASKING = 0.25  # share as which the way from a query to a key is drawn
FARTHER = 1.15  # by how much a note is larger that stands far away
LABELS = 0.75  # height of a number above or below the zero line of its row
GAP, AHEAD = 2.35, 1.0  # between rows, and how far one of them steps forward, in scene units
DARK = 0.45  # light of rows of a matrix that are not meant
DIM = 0.45  # light of numbers that are not worked out
SHARE = 0.75  # size of the share that a key gets, in scene units
MANY = 6  # rows of which more than one have a share beside them
NAMED = 10  # rows that all have names
TOLD = 0.04  # least share that has a number beside its row
NAME = 0.27  # size of a name of a row of scores, in scene units

TALL = 0.83  # height of a pane in the plan of a head, as a share of its width
STEP, LANE = 3.7, 3.1  # from one to the next, along and across

PLAN = {
    "X": (0, 1.0, 2.8),
    "C": (1, 0.5, 2.2),
    "W_Q": (2, 2.0, 2.4),
    "W_K": (2, 1.0, 2.4),
    "W_V": (2, 0.0, 2.4),
    "Q": (3, 2.0, 2.4),
    "K": (3, 1.0, 2.4),
    "V": (3, 0.0, 2.4),
    "pattern": (4, 1.5, 2.4),
    "z": (5, 0.6, 3.4),
}
"""Step and lane of each matrix of a head, and how wide it is."""


def one_of(words: Sequence[str]) -> str:
    """Return words among which to choose, such as "“flag”, “is” or “red”"."""
    *others, last = (_("“{word}”", word=word) for word in words)
    if not others:
        return last
    return _("{some} or {last}", some=separated(others), last=last)


def spoken_weight(share: float) -> str:
    """Return a share of attention for narration, with a decimal if it is small."""
    return spoken_share(share, 0 if 100 * share >= 9.95 else 1)


def one_of_heads(heads: int) -> str:
    """Return what one head is: "one of 270 attention heads"."""
    return ngettext("the only attention head", "one of {number} attention heads", heads)


def scaling(factor: float) -> str:
    """Return what is done to the dot products that are multiplied by a factor, as it is said."""
    if kept := claim(factor == 1, _("Keep them as they are")):
        return kept
    if factor < 1:
        # Rounded first: a factor of a whole number may be off by little.
        return _("Divide by {number}", number=format_short(float(f"{1 / factor:.3g}")))
    return _("Multiply by {number}", number=format_number(factor))


class Attention(Stage):
    """One head from words to z; every number is one that the model computes."""

    title = "One attention head, start to finish"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    draws_start = True
    asker = "query"
    live = "rows"

    def prepare(self) -> None:
        layer, head, meta = self.layer, self.head, self.trace.meta
        self.query, self.key = query, key = best_match(head)
        self.words = [printable(word) for word in layer.words]
        self.pair = {"query": self.words[query], "key": self.words[key]}
        self.share = float(head.pattern[query, key])
        self.looked = looked_at(head, query, key)
        self.standing: dict[Name, Slab] = {}
        self.facts |= named_facts(
            width=meta.d_model,
            **self.pair,
            match=self.pair["key"],  # the same word, after it has been found
            offered=(tuple(self.words[place] for place in self._offered()), one_of),
            dot=(float(head.dot_products[query, key]), format_number),
            share=(self.share, spoken_weight),
            scaling=(meta.score_scale, scaling),
            all=(meta.n_layers * meta.n_heads, one_of_heads),
        )
        # Queries as the product gives them: before they are rotated.
        q, made = self._matrix("Q"), self.layer.rows("q")[:, head.head]
        source = layer.source("q", head.head, (0, made.shape[1]))
        self.part("made", replace(q, values=made, source=source))
        if (weights := head_matrix(head, "W_Q")) is not None:
            self.part("W_Q", replace(weights, name=_("weights")))
        way = quiet(*projection_notes(layer, "Q"))
        self.part("way", way and way.scale(FARTHER))

    def _offered(self) -> list[int]:
        """Return which tokens may matter most to the query: the key, and the last words before."""
        start = int(self.layer.draws_start)
        words = [p for p in range(start, self.query) if any(map(str.isalnum, self.words[p]))]
        others = [place for place in words if place != self.key] or [self.query]
        return sorted({self.key, *others[-2:]})

    def variant(self, beat: str) -> str:
        if beat == "words_become_rows":
            return "begun" if self.layer.draws_start else "plain"
        return "latent" if self.trace.meta.attention == "mla" else "straight"

    # Things that several pictures have

    def _matrix(self, name: str) -> Matrix:
        """Return a matrix that the model has."""
        matrix = head_matrix(self.head, name)
        assert matrix is not None
        return matrix

    def _sentence(
        self, height: float = 1.0, gap: float = 0.25, others: str = "", **roles: int
    ) -> dict[Name, Slab]:
        """Return a slab for all that the query looks at, side by side; roles are those of rows."""
        names = [each.name for each in self.looked]
        placed = dict.fromkeys(range(len(names)), others)
        placed |= {names.index(row): role for role, row in roles.items()}
        words = [each.word for each in self.looked]
        gap = 0.9 if self.frame.tall else gap
        row = Sentence(words, placed, near=self.frame.tall, gap=gap, height=height)
        return dict(zip(names, row, strict=True))

    def _field(self, name: str, height: float) -> tuple[dict[Name, Slab], dict[Name, Relief]]:
        """Return slabs of words that the query looks at, and beside each its row of a matrix."""
        matrix = self._matrix(name)
        drawn = [each.name for each in self.looked if isinstance(each.name, int)]
        unit = Relief.unit_of(matrix.values[drawn], height=height)
        wide, high, gap = (3.2, 2.1, 2.3) if self.frame.tall else (8.5, 1.4, GAP)
        wide = min(wide, 4.5) if self.frame.upright else wide
        own = max(Slab(self.words[row], height=high).extent[1, 0] for row in drawn)
        own = max(1.3, float(own))  # half of what the longest word needs
        slabs, rows = dict[Name, Slab](), dict[Name, Relief]()
        for i, row in enumerate(drawn):
            z = gap * (i + 1 - len(drawn))
            slab = Slab(self.words[row], width=2 * own, height=high)
            slabs[row] = slab.put((-wide / 2 - own - 0.2, 0, z))
            rows[row] = Relief.of(matrix, row, width=wide, unit=unit).put((0, 0.6, z))
        return slabs, rows

    def _large_slab(self, row: int, role: str) -> Slab:
        """Return a large slab with the word of a row."""
        width, height, thickness = BIG
        own = 2 * float(Slab(self.words[row], height=height).extent[1, 0])
        width = min(max(width, own), WIDEST)
        return Slab(self.words[row], role=role, width=width, height=height, thickness=thickness)

    def _speaker(self, row: int, role: str, at: npt.ArrayLike, turn: float = 0.0) -> Slab:
        """Return a large slab with the word of a row and its query, its key or its values."""
        slab = self._large_slab(row, role)
        matrix = self._matrix({"query": "Q", "key": "K", "value": "V"}[role])
        source = matrix.source.part((row, row + 1), (0, matrix.values.shape[1]))
        slab.engrave(matrix.values[row], role=role, source=source)
        slab.is_light = True
        return slab.put(at, turn=turn)

    def _bring(self, slabs: Mapping[Name, Slab]) -> list[Animation]:
        """Return animations in which words go to where they stand next, and all else leaves."""
        there = {name: slab for name, slab in self.standing.items() if slab in self.mobjects}
        kept = [there[name] for name in slabs if name in there]
        self.standing = dict(slabs)
        moves = [
            ReplacementTransform(there[name], slab) if name in there else Appear(slab)
            for name, slab in slabs.items()
        ]
        return [*self.leave(*kept), *moves]

    # Words, queries and keys

    @beat(
        title="A word is a row",
        begun="Inside the model, each word is a row of {width} numbers, and so is a token called "
        "“start”, which stands first.",
        plain="Inside the model, each word is a row of {width} numbers.",
    )
    def words_become_rows(self) -> None:
        tall = self.frame.tall
        slabs, rows = self._field("X", 1.7)
        self.standing = dict(slabs)
        word, row = slabs[self.query], rows[self.query]
        row.is_light = word.is_light = True
        values = self._matrix("X").values[self.query]
        channel = int(values.argmax())
        write = partial(format_decimal, digits=2)
        given = {"of": "input", "channel": channel}
        one = fact("channel", float(values[channel]), write, beside=self.pair["query"], **given)
        spike = number_at(one, row.bar(channel) + 0.5 * UP + AHEAD * OUT, size=0.5)
        number = _("{number} numbers", number=fact("width", self.trace.meta.d_model))
        told = number_at(number, (0, -0.1, 2.7), size=0.7 if tall else 0.9)
        arrive = LaggedStart(*map(Appear, slabs.values()), lag_ratio=0.2)
        seen = self.see_from("stand", *slabs.values(), *rows.values(), told, spike)
        self.play(seen, arrive, run_time=1.4)
        growing = LaggedStart(*(each.grow() for each in rows.values()), lag_ratio=0.1)
        self.play(growing, run_time=1.8)
        self.play(*(body.animate.shift([0, 0, AHEAD]) for body in (word, row)), Appear(told))
        self.play(self.light_up(word), Appear(spike))

    @beat(
        title="Queries ask, keys answer",
        ask="Which word does “{query}” look at: [{offered}]?",
        straight="Each row becomes a query and a key: loosely, one [asks], “Who goes with me?”, "
        "and that of “{key}” [answers], “I do”.",
        latent="By way of a short latent, each row becomes a query and a key: loosely, one [asks], "
        "“Who goes with me?”, and that of “{key}” [answers], “I do”.",
        answer="key",
    )
    def queries_and_keys(self) -> None:
        tall, theme = self.frame.tall, self.theme
        upright = self.frame.upright
        words = self._sentence(1.55 if upright else 1.1)
        for slab in words.values():
            slab.shift([-2.2, 0, -2.0] if tall else [-1.0, 0, -4.4])
        asks, answers = words[self.query], words[self.key]
        places = ((1.8, 0, 2.9), (1.8, 0, 7.0)) if tall else ((-2.2, 0, 1.2), (2.9, 0, 1.2))
        fronts = [
            self._speaker(row, role, at)
            for row, role, at in zip((self.query, self.key), ("query", "key"), places, strict=True)
        ]
        aside = -1.0 if tall else 0.3 if upright else 1.8
        labels = [
            number_at(text, front.top + 0.7 * UP + left * LEFT, size=0.5, colour=colour)
            for text, front, colour, left in (
                (_("“Who goes with me?”"), fronts[0], theme.query, aside),
                (_("“I do”"), fronts[1], theme.key, 0),
            )
        ]
        arc = Arc(fronts[0], fronts[1], ASKING, colour=theme.query)
        seen = self.see_from("stand", *[*words.values()][-6:], *fronts, arc, *labels)
        self.play(seen, *self._bring(words), run_time=2.0)
        asks.is_light = True
        self.play(Transform(asks, fronts[0]), run_time=1.6)
        self.wait_for("asks")
        self.play(Appear(labels[0]), self.light_up(fronts[0]), run_time=1.4)
        answers.is_light = True
        self.play(Transform(answers, fronts[1]), run_time=1.6)
        self.wait_for("answers")
        self.play(arc.grow(), Appear(labels[1]), self.light_up(fronts[1]))

    @beat(title="Input times weights")
    def make_the_queries(self) -> None:
        """Learned weights make them: one row in, one query out, [and] so for all rows."""
        has, layer = self.trace.has, self.layer.layer
        sign = "→" if has("b_Q", layer) else "="
        mosaic = f"X × W_Q {sign} made" if has("W_Q", layer) else "X → made"
        upright = "\n".join([*mosaic.split(), "way"])
        mosaic += "\n" + " ".join([*"." * (len(mosaic.split()) - 1), "way"])
        show = partial(self.show, mosaic, tall=upright, stands="glass", seat="stalls")
        marks = (
            Mark("X", row=self.query, colour=self.theme.ink),
            Mark("made", row=self.query, colour=self.theme.query),
        )
        show(later="made", run_time=1.6)
        show(later="made", marks=marks[:1], run_time=1.0)
        one = self._lit(self.query, 0.0)[:, None]
        show(lit={"made": one}, marks=marks, run_time=1.4)
        self.wait_for("and")
        show(reveal="made", marks=marks)
        rows = self._lit(self.query, DARK)
        lit = {"X": rows[:, None], "made": rows[:, None], WORDS: rows}
        show(lit=lit, marks=marks, run_time=1.4)

    def _lit(self, row: int, others: float = DIM) -> Array:
        """Return opacities of rows (row,) or columns of which one is lit."""
        return np.where(np.arange(self.layer.count) == row, 1.0, others)

    # One dot product, and all

    @beat(title="Dot product")
    def a_query_meets_a_key(self) -> None:
        """Does “{match}” fit, query and key, [number] by number? Where both point the same way, the
        product stands up; [add] them all: {dot}."""
        tall, query, key = self.frame.tall, self.query, self.key
        q, k = self._matrix("Q"), self._matrix("K")
        # Heights of the query, the key, the products and their tower.
        *heights, high = (12.4, 8.7, 5.2, 3.6) if tall else (6.1, 3.7, 1.2, 6.2)
        width = 6.5 if tall else 8.0
        look = {"width": width, "depth": 0.2}
        unit = Relief.unit_of(q.values[query], k.values[key], height=0.95)
        asks = Relief.of(q, query, unit=unit, **look)
        answers = Relief.of(k, key, unit=unit, **look)
        values = q.values[query] * k.values[key]
        total = values.sum()
        scale = np.abs(values[values * total > 0]).sum() / high
        source = TensorSource(expression="query times key, number by number")
        products = Relief(
            values, role="pattern", unit=scale, told=_("products"), source=source, **look
        )
        slabs: dict[Name, Slab] = {
            row: Slab(self.words[row], role=role, height=1.1, width=2.2)
            for row, role in ((query, "query"), (key, "key"))
        }
        for slab, y in zip(slabs.values(), heights, strict=False):
            slab.put((1.1 - width / 2, y + 1.2, 0) if tall else (-width / 2 - 1.4, y - 0.55, 0))
        asks.put((0, heights[0] + 0.5, 0))
        answers.put((0, heights[1] - 0.7, 0))
        products.put((0, (heights[0] + heights[1]) / 2, 0))
        at = (1.5, 0, 0.4) if tall else (width / 2 + 1.9, 0, 0.4)
        whole, stays = (piled(products, cut=cut).put(at) for cut in (False, True))
        tower = Body(products.boxes, products.colours)
        for body in (asks, answers, products, *slabs.values(), tower):
            body.is_light = True
        closed = ((asks, heights[0]), (answers, heights[1]), (products, heights[2]))
        dimmed, worked = self._work_out(*(row.copy().put((0, y, 0)) for row, y in closed))
        dot = fact("dot", total, format_number, beside=_("sum"))
        written = Label(dot, size=0.8 / FRAME_HEIGHT, colour=self.theme.background)
        _low, (_right, top, near) = stays.extent
        put(written, stays, (0, top / 2, near + 0.01), RIGHT, UP)
        line = number_at(_("sum"), stays.top + (0.8 if tall else 0.6) * UP, size=0.6)
        seen = self.see_from("stalls", *slabs.values(), asks, answers, whole, line, *worked)
        self.play(seen, *self._bring(slabs), asks.grow(), answers.grow(), run_time=1.6)
        self.play(*(row.animate.put((0, y, 0)) for row, y in closed[:2]), run_time=1.4)
        self.wait_for("number")
        self.play(products.grow(), run_time=1.2)
        self.play(products.animate.put((0, heights[2], 0)), run_time=1.2)
        rows = (asks, answers, products)
        self.play(*map(Transform, rows, dimmed), *map(Appear, worked), run_time=1.8)
        self.wait_for("add")
        tower.points = products.points.copy()
        self.add(tower)
        self.play(Transform(tower, whole), run_time=1.8)
        cut_off = Transform(tower, stays), self.light_up(stays)
        self.play(*cut_off, *map(Appear, (line, written)))

    def _work_out(self, *rows: Relief) -> tuple[list[Relief], list[Mobject]]:
        """Return a query, a key and their products, of which the largest product stands out.

        The second value is the numbers that make it.
        """
        theme, channel = self.theme, largest_product(self.head, self.query, self.key)
        way = Line(rows[0].bar(channel), rows[-1].bar(channel), color=theme.ink)
        written: list[Mobject] = [way.set_stroke(width=theme.line, opacity=DIM)]
        # Beside the line, where more room is.
        aside = 0.9 if 2 * channel < self.head.q_used.shape[1] else -0.9
        for row, of, sign, digits in zip(
            rows, ("query", "key", ""), ("", "× ", "= "), (2, 2, 1), strict=True
        ):
            row.colours[np.arange(len(row.colours)) != row.first + channel] *= DIM
            assert row.values is not None
            value = float(row.values[channel])
            given = {"of": of, "channel": channel} if of else {"channel": channel}
            write = partial(format_decimal, digits=digits)
            text = fact("channel" if of else "product of", value, write, **given)
            at = row.at((row.bar(channel)[0] + aside, LABELS * np.sign(value), 0.2))
            colour = theme.role(of) if of else theme.ink
            written.append(number_at(sign + text, at, size=0.45, colour=colour))
        return [*rows], written

    @beat(title="All dot products")
    def all_dot_products(self) -> None:
        """Turn the keys, and [every] query meets every key in one matrix product."""
        self.show("Q K", stands="glass", seat="stalls", run_time=1.0)
        match = self.query, self.key
        dot = float(self.head.dot_products[match])
        number = fact("dot", dot, format_number, beside=self.pair["key"])
        show = partial(self.show, ". Kt\nQ dots", stands="glass", seat="stalls", words="rows")
        show(later="dots", run_time=1.2)
        self.wait_for("every")
        show(reveal="dots")
        query, key = self._lit(self.query, DARK), self._lit(self.key, DARK)
        lit = {"Q": query[:, None], "Kt": key, WORDS: query}
        word = Label(self.pair["key"], size=TEXT)
        marks = (
            Mark("Q", row=self.query, colour=self.theme.query),
            Mark("Kt", column=self.key, colour=self.theme.key, label=word),
            Mark("dots", *match, colour=self.theme.ink, label=Label(number, size=2 * TEXT)),
        )
        show(lit=lit, marks=marks, run_time=0.8)
        theme, cells = self.theme, {name: self.parts[name].cells for name in ("Q", "Kt", "dots")}
        row, column = cells["Q"].row(self.query), cells["Kt"].column(self.key)
        cell = cells["dots"].cell(*match)
        beams = [
            Line((*start, 0.02), (*end, 0.02), color=colour, stroke_width=theme.bold)
            for start, end, colour in (
                ((row.right, row.y), (cell.left, cell.y), theme.query),
                ((column.x, column.bottom), (cell.x, cell.top), theme.key),
            )
        ]
        self.play(*map(Create, beams))

    @beat(title="Scores and mask")
    def scale_and_mask(self) -> None:
        """{scaling}: these are the scores. And the [future] is cut away: it isn’t written yet."""
        wide, count, theme = 6.0 if self.frame.tall else 9.0, self.layer.count, self.theme
        matrix = replace(self._matrix("scores"), masked=None)
        rows = Rows(matrix, width=wide, height=1.2, gap=wide / count, depth=0.5, words=())
        names = []
        for i, (word, row) in enumerate(zip(self.words, rows, strict=True)):
            if count <= NAMED or i == self.query:
                name = number_at(word, (-wide / 2, 0.25, row.points[0, 2]), size=NAME)
                name.anchor[0] -= 0.7 + name.width / 2
                names.append(name)
        best = rows[self.query].bar(self.key)
        scaled = scaling_of(self.head, self.query, self.key)
        number = number_at(scaled, (wide / 4, 1.6, best[2]), size=0.5)
        notes = [
            number_at(text, (wide / 4, 0, 1 + 0.7 * i), "floor", size=0.5, colour=theme.muted)
            for i, text in enumerate(score_notes(self.head))
        ]
        written = number_at(_("the future"), (0.3 * wide, 0.4, -0.75 * wide), size=0.1 * wide)
        seen = self.see_from("bird", *rows, *names, *notes, written)
        growing = (row.grow() for row in rows)
        self.play(seen, *self.leave(), *growing, *map(Appear, names), run_time=2.0)
        self.play(*map(Appear, (number, *notes)))
        self.wait_for("future")
        past, future = list[Relief](), list[Relief]()
        for row, masked in zip(rows, self.head.causal_mask, strict=True):
            start, last = np.flatnonzero(~masked)[[0, -1]].tolist()
            past.append(row.part(start, last + 1))
            cut = (0, start), (last + 1, count)
            future += [row.part(*span) for span in cut if span[0] < span[1]]
        past[self.query].is_light = True
        self.remove(*rows)
        self.add(*past, *future)
        sinking = (part.animate.stretch(FLAT, 1, about_point=part.points[0]) for part in future)
        self.play(*sinking, Vanish(number))
        self.remove(*future)
        self.play(self.light_up(best), Appear(written))

    # The pattern

    @beat(title="Softmax")
    def softmax_of_a_row(self) -> None:
        """Softmax turns scores into shares of a hundred percent. A little more score [takes] far
        more: “{match}” gets {share}."""
        tall, theme = self.frame.tall, self.theme
        high = 1.4 if self.frame.upright else 1.0
        slabs = self._sentence(high, gap=0.12, others=theme.stone, key=self.key)
        for slab in slabs.values():
            slab.shift([-2.6, 0, 0] if tall else [0, 0, -1.3])
        slabs[self.key].is_light = True
        # What is no single word has no score of its own.
        keys = [name for name in slabs if isinstance(name, int)]
        scores = self.head.scores[self.query, keys]
        high = 1.4 if tall else 1.6
        towers = Bars(scores, [slabs[key] for key in keys], role="scores", height=high, side=0.6)
        matrix = self._matrix("scaled")
        for tower, key in zip(towers, keys, strict=True):
            tower.source = matrix.source.part((self.query, self.query + 1), (key, key + 1))
            tower.is_light = True
        tower = glow(towers[keys.index(self.key)], 0.6)
        ends = [slab.points[0] for slab in slabs.values()]
        shares = [each.share for each in self.looked]
        size = math.dist(ends[0], ends[-1]) + 0.6, 0.12, 1.0
        source = self._matrix("pattern").source.part(
            (self.query, self.query + 1), (0, self.query + 1)
        )
        strip = Strip(shares, [each.word for each in self.looked], size=size, source=source)
        strip.put((2.2, 0, 0) if tall else (0, 0, 2.4), turn=-90 if tall else 0)
        flow = Flow([*slabs.values()], strip)
        beside = [-1.45, -0.2, 0] if tall else [0, 0.45, 0]
        numbers = []
        for i, (key, score) in enumerate(zip(keys, scores, strict=True)):
            write = partial(format_decimal, digits=1)
            text = fact("score of", float(score), write, beside=self.words[key], key=key)
            top = np.maximum(towers.bar(i), towers[i].points[0])
            numbers.append(number_at(text, top + beside, size=0.42))
        labels = []
        for i, each in enumerate(self.looked):
            if each.share * size[0] >= ROOM:
                at = strip.at(strip.part(i).mean(axis=0)) + 0.2 * UP
                where, word = each.positions, each.word
                text = fact("weight", each.share, format_share, beside=word, positions=where)
                high = 0.7 if each.name == self.key else 0.42
                labels.append(number_at(text, at, size=high, colour=theme.over(strip.colours[i])))
        start = strip.at((strip.extent[0, 0], 0, 0))
        square = self.frame.upright and not tall
        below = start + ([0, 1.2, 0] if tall else [1.8, 0, 1.9] if square else [0.9, 0, 1.3])
        labels.append(number_at(_("share"), below, size=0.5))
        above = numbers[keys.index(self.key)].anchor + (1.3 if square else 0.8) * UP
        above = ends[0] + [-1.3, 1.2, -1.8] if tall else above
        numbers.append(number_at(_("score"), above, size=0.42))
        seen = self.see_from("balcony", *slabs.values(), *towers, strip, *numbers, *labels)
        self.play(seen, *self._bring(slabs), run_time=2.0)
        self.play(towers.grow(), *map(Appear, numbers))
        self.play(flow.pour(), Appear(strip), self.light_up(tower), run_time=2)
        self.wait_for("takes")
        self.play(*map(Appear, labels))

    @beat(title="Attention")
    def the_pattern(self) -> None:
        """That is attention: “{query}” throws light on what stands before it, most on “{match}”."""
        tall = self.frame.tall
        others = [each for each in self.looked if each.name != self.query]
        slabs = self._sentence()
        asks = self._large_slab(self.query, "query")
        at = (1.6, 0, 0.7 * len(slabs) + 2) if tall else (4.2, 0, 2.2)
        asks.put(at, turn=-16, size=1.25 if tall else 1.0)
        # The words before it stand in an arc, in tall frames in a line.
        large = 1.9 if len(others) >= MANY else 2.4
        sizes = [large if each.name == self.key else 1.35 for each in others]
        widths = [
            s * np.ptp(slabs[o.name].extent[:, 0]) for s, o in zip(sizes, others, strict=True)
        ]
        ends = np.cumsum(widths) + 0.15 * np.arange(len(widths))
        for each, size, width, end in zip(others, sizes, widths, ends, strict=True):
            angle = np.pi * (0.95 - 0.66 * (end - width / 2) / ends[-1])
            slab, (x, z) = slabs[each.name], (np.cos(angle), -np.sin(angle))
            wide = max(4.0, ends[-1] / 1.9)
            arc = {"at": (wide * x + 1.8, 0, 4.2 * z), "turn": 22 * x}
            slab.put(size=size, **({"at": slab.points[0] - [2, 0, 0]} if tall else arc))
        slabs[self.query] = asks
        lit = slabs[self.key]
        lit.is_light = asks.is_light = True
        source = self._matrix("pattern").source
        arcs = [Arc(asks, slabs[each.name], each.share, source=source) for each in others]
        at = (lit.top + asks.top) / 2 + (1.4 if tall else 2.4) * UP + (1.6 if tall else 0.8) * RIGHT
        share = fact("attention.share", self.share, format_share, beside=self.pair["key"])
        number = number_at(share, at, size=1.0)
        seen = self.see_from("gallery", *[*slabs.values()][-5:], asks, number)
        self.play(seen, *self._bring(slabs), run_time=2.0)
        growing = (arc.grow() for arc in arcs)
        self.play(*growing, self.light_up(asks.top + 1.5 * (OUT + RIGHT)), run_time=1.4)
        self.play(Appear(number))

    # Values and z

    @beat(title="Mix of values")
    def a_weighted_mix(self) -> None:
        """Weights make values, too: what a word hands on. Taken by its [share], each is added to
        one new row."""
        slabs, rows = self._field("V", 1.1)
        row, slab = rows[self.key], slabs[self.key]
        slab.put(slab.points[0] + 0.2 * slab.extent[0] * RIGHT, size=1.2)
        front = slabs[self.query].points[0] + (GAP + NEAR) * OUT
        wide = float(np.ptp(row.extent[:, 0]))
        aside = 0.9 if self.frame.upright else 1.5
        name = number_at(_("mix"), (wide / 2 + aside, 0.3, front[2]), size=SHARE)
        look = {"width": wide, "role": "pattern", "unit": row.unit}
        mixed = Relief.of(self._matrix("z"), self.query, **look).put((0, 0.6, front[2]))
        for body in (row, slab, mixed):
            body.is_light = True
        glow(mixed, 0.5)
        ahead = front[2] - NEAR - row.points[0, 2]
        # Numbers of every second row, and none near the one that steps forward.
        told = {*[*rows][: max(0, len(rows) - 3) if len(rows) >= MANY else 0 : 2], self.key}
        numbers = []
        for each in self.looked:
            if each.name in told and each.share >= TOLD:
                where, word = each.positions, each.word
                text = fact("weight", each.share, format_share, beside=word, positions=where)
                is_key = each.name == self.key
                at = rows[each.name].at((wide / 2 + (1.6 if is_key else 0.9), 0.3, 0))
                at[2] += ahead * is_key
                numbers.append(number_at(text, at, size=SHARE if is_key else 0.5))
        seen = self.see_from("stand", *slabs.values(), *rows.values(), name, mixed, *numbers)
        growing = (each.grow() for each in rows.values())
        self.play(seen, *self._bring(slabs), run_time=2.0)
        self.play(LaggedStart(*growing, lag_ratio=0.3), run_time=3.0)
        self.wait_for("share")
        forward = (body.animate.shift([0, 0, ahead]) for body in (row, slab))
        lamp = self.light_up((wide / 2, 0.9, front[2] - 1.0))
        self.play(*forward, lamp)
        source = TensorSource(expression="values times their share")
        shares = []
        for each in self.looked:
            if isinstance(each.name, int):
                start, values = rows[each.name], each.share * self._matrix("V").values[each.name]
                share = Relief(
                    values,
                    role="value",
                    width=wide,
                    unit=row.unit,
                    told=_("values"),
                    source=source,
                )
                shares.append(Transform(start, share.put(start.points[0])))
        self.play(*shares, *map(Appear, numbers))
        threads = [
            Threads(rows[each.name], mixed, opacity=0.6 * each.share)
            for each in self.looked
            if each.name in rows
        ]
        self.play(*map(Appear, (*threads, name)), mixed.grow())

    @beat(title="One head")
    def one_head(self) -> None:
        """“{query}” asks, “{match}” [answers], and gives its [values]: that is {all}."""
        tall, theme, key, query = self.frame.tall, self.theme, self.key, self.query
        words = self._sentence(1.7 if tall else 1.5, key=key)
        del words[query]
        answers = words[key]
        if tall:  # what comes after it would stand before its words
            words = dict([*words.items()][: [*words].index(key) + 1])
        asks = self._speaker(query, "query", (1.8, 0, 6.5) if tall else (7.6, 0, 4.0), turn=-14)
        behind = [3.6, 0, -3.0] if tall else [2.6, 0, -3.0]
        gives = self._speaker(key, "value", answers.points[0] + behind)
        answers.is_light = True
        share = fact("attention.share", self.share, format_share, beside=self.pair["key"])
        arcs = [
            Arc(asks, answers, ASKING, colour=theme.query),
            Arc(gives, asks, self.share, colour=theme.value),
        ]
        above = gives.top + 1.6 * UP + 0.2 * LEFT
        beside = (gives.top + asks.top) / 2 + 1.0 * RIGHT + (1.4 if tall else 2.1) * UP
        below = answers.middle + 2.6 * LEFT if tall else answers.points[0] + 0.7 * DOWN + OUT
        said = [
            number_at(text, at, size=0.45 if tall else 0.7, colour=colour)
            for text, at, colour in (
                (_("asks"), asks.top + 0.5 * UP + (1.4 if tall else 2.6) * RIGHT, theme.query),
                (_("answers"), below, theme.key),
                (share, beside, theme.ink),
                (_("gives"), above, theme.value),
            )
        ]
        row = [*words.values()]
        place = row.index(answers)
        seen = self.see_from("gallery", *row[max(0, place - 1) :], asks, gives, *arcs, *said)
        self.play(seen, *self._bring(words), Appear(asks), run_time=1.6)
        self.play(arcs[0].grow(), Appear(said[0]))
        self.wait_for("answers")
        self.play(Appear(said[1]), self.light_up(asks))
        self.wait_for("values")
        # The values of the word come out of it.
        origin = gives.copy().put(answers.points[0]).fade(1)
        self.play(Arrive(gives, origin), Appear(said[3]))
        self.play(arcs[1].grow(), Appear(said[2]))

    @beat(title="The whole head")
    def complete_circuit(self) -> None:
        """The same as matrices: input times [weights], queries times keys, and their [pattern]
        times the values, all words at once."""
        panes = dict[str, Pane]()
        matrices = {name: head_matrix(self.head, name) for name in PLAN}
        steps = sorted({PLAN[name][0] for name, matrix in matrices.items() if matrix is not None})
        for name, matrix in matrices.items():
            if matrix is None:
                continue
            step, lane, width = PLAN[name]
            along, across = STEP * steps.index(step), LANE * lane
            at = (-across * 1.2, -along * 1.1, 0) if self.frame.tall else (along, across, 0)
            panes[name] = pane = Pane(matrix, height=TALL * width, width=width).put(at)
            pane.is_light = True
            colour = matrix.colour or self.theme.ink
            title = Label(matrix.name, colour=colour) if matrix.name else Symbol(matrix.symbol)
            title.set_color(colour).scale(min(0.68 / title.height, width / title.width))
            put(title, pane, (0, TALL * width + 0.5, 0), RIGHT, UP)
            if matrix.rows == TOKEN:
                pane.cells.set_shown(self._lit(self.key if name in "KV" else self.query)[:, None])

        def arrive(*names: str) -> list[Animation]:
            """Return animations in which matrices arrive, with the lines that lead to them."""
            there = [name for name in names if name in panes]
            ways = [self._way(panes[a], panes[b]) for a, b in _edges(panes) if b in there]
            return [*map(Create, ways), *(Appear(panes[name]) for name in there)]

        seen = self.see_from("circle", *panes.values())
        self.play(*self.leave(), seen, *arrive("X"), run_time=1.6)
        self.wait_for("weights")
        if weights := arrive("C", "W_Q", "W_K", "W_V"):
            self.play(*weights, run_time=1.4)
        self.play(*arrive("Q", "K", "V"), self.light_up(panes["pattern"]), run_time=1.6)
        self.wait_for("pattern")
        self.play(*arrive("pattern"), run_time=1.4)
        self.play(*arrive("z"), run_time=1.6)

    def _way(self, start: Pane, end: Pane) -> VMobject:
        """Return a line of light from one pane to another: to the right, in tall frames down."""
        ahead, aside = (DOWN, RIGHT) if self.frame.tall else (RIGHT, UP)
        (a, right, high), (b, left, _high) = (
            (pane.at((0, pane.extent[1, 1] / 2, 0)), *pane.extent[1, :2]) for pane in (start, end)
        )
        a = a + ahead * (high / 2 if self.frame.tall else right + 0.1)
        b = b - ahead * (high / 2 + 0.95 if self.frame.tall else left + 0.15)
        half = (b - a) * np.abs(ahead) / 2
        line = CubicBezier(a, a + half, b - half, b, stroke_color=self.theme.lamp)
        tip = [b - 0.3 * ahead + 0.2 * aside, b, b - 0.3 * ahead - 0.2 * aside]
        for first, last in pairwise(tip):
            line.start_new_path(first).add_line_to(last)
        return line.set_stroke(width=self.theme.bold)


def _edges(names: Collection[str]) -> list[tuple[str, str]]:
    """Return which of some matrices of a head make which others."""
    ends = [("Q", "pattern"), ("K", "pattern"), ("pattern", "z"), ("V", "z")]
    through = {"Q": ("W_Q",), "K": ("W_K", "C"), "V": ("W_V", "C")}
    for made, ways in through.items():
        ends += pairwise(("X", *(name for name in ways if name in names), made))
    return [*dict.fromkeys(ends)]
