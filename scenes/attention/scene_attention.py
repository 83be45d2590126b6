"""One attention head from start to finish: from words to its output z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, LaggedStart, Mobject, Transform

from filmkit.core.animations import Appear, Presence, Vanish
from filmkit.core.body import Body
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.language import _, ngettext
from filmkit.core.light import glow
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
from filmkit.pictures.bodies import Bars, Relief, Rows, Slab, number_at
from filmkit.pictures.flows import Arc, Flow, Strip, Threads
from filmkit.pictures.parts import Matrix
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.pictures.texts import quiet
from scenes.attention.parts import (
    largest_products,
    looked_at,
    piled,
    projection_notes,
    scaling_of,
    score_notes,
    sums_of,
)

Array = npt.NDArray[np.float64]

GAP = 0.25  # from slab to slab, in scene units
HIGH = 1.0  # of a word's slab


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
    live = "rows"

    def prepare(self) -> None:
        layer, head, meta = self.layer, self.head, self.trace.meta
        self.query, self.key = query, key = best_match(head)
        self.words = [printable(word) for word in layer.words]
        self.pair = {"query": self.words[query], "key": self.words[key]}
        self.share = float(head.pattern[query, key])
        self.looked = looked_at(head, query, key)
        self.facts |= named_facts(
            width=meta.d_model,
            **self.pair,
            sentence=printable("".join(layer.words[int(layer.draws_start) :])),
            offered=(tuple(self.words[place] for place in self._offered()), one_of),
            dot=(float(head.dot_products[query, key]), format_number),
            share=(self.share, spoken_weight),
            scaling=(meta.score_scale, scaling),
            heads=(meta.n_heads, of_them),
            layers=(meta.n_layers, of_layers),
        )

    def _offered(self) -> list[int]:
        """Return which tokens may matter most to the query: the key, and the last words before."""
        start = int(self.layer.draws_start)
        words = [p for p in range(start, self.query) if any(map(str.isalnum, self.words[p]))]
        others = [place for place in words if place != self.key] or [self.query]
        return sorted({self.key, *others[-2:]})

    def variant(self, beat: str) -> str:
        if beat == "words_become_rows":
            return "begun" if self.layer.draws_start else "plain"
        if beat == "scale_and_mask":
            return "kept" if self.trace.meta.score_scale == 1 else "scaled"
        return "latent" if self.trace.meta.attention == "mla" else "straight"

    # Things that several pictures have

    def _at(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Return a point of a picture; what goes to the right goes to the eye in upright frames."""
        return (z, y, x) if self.frame.upright else (x, y, z)

    def _matrix(self, name: str) -> Matrix:
        """Return a matrix that the model has."""
        matrix = head_matrix(self.head, name)
        assert matrix is not None
        return matrix

    def _row_of_slabs(self, z: float = 0.0, roles: dict[int, str] | None = None) -> list[Slab]:
        """Return a slab for all that the query looks at, side by side."""
        roles = roles or {}
        slabs = [Slab(each.word, role=roles.get(i, ""), height=HIGH) for i, each in enumerate(self.looked)]
        x = 0.0
        for slab in slabs:
            wide = float(np.ptp(slab.boxes[:, :, 0]))
            slab.put(self._at(x + wide / 2, 0, z))
            x += wide + GAP
        for slab in slabs:
            slab.put(slab.points[0] - self._at((x - GAP) / 2, 0, 0))
        return slabs

    def _place(self, key: int) -> int:
        """Return which of all that the query looks at is a word."""
        return next(i for i, each in enumerate(self.looked) if each.key == key)

    def _clear(self, *kept: Mobject) -> list[Animation]:
        """Return animations in which all but some things leave."""
        spared = {member for mobject in kept for member in mobject.get_family()}
        spared |= {*self.title_parts, *([self._lamp] if self._lamp else [])}
        return [Vanish(mobject) for mobject in self.mobjects if mobject not in spared]

    # Words, queries and keys

    @beat(
        title="A word is a row",
        begun="Inside the model, each word is a row of {width} numbers. Before the first word "
        "stands a [start] token, with a row of its own.",
        plain="Inside the model, each word is a row of {width} numbers.",
    )
    def words_become_rows(self) -> None:
        upright = self.frame.upright
        wide = 5.0 if upright else 11.0
        rows = Rows(self._matrix("X"), width=wide, height=1.7, gap=1.0, words=())
        slabs = [
            Slab(word, width=1.9, height=0.8).put((-wide / 2 - 1.2, row.points[0, 1] - 0.4, row.points[0, 2]))
            for word, row in zip(self.words, rows, strict=True)
        ]
        word, row = slabs[self.query], rows[self.query]
        for lit in (word, row, slabs[0]):
            lit.is_light = True
        number = _("{number} numbers", number=fact("width", self.trace.meta.d_model))
        told = number_at(number, (0.4, 0, 2.6), "floor", size=0.8 if upright else 1.3)
        ahead = np.array([0.0, 0.0, rows.gap * (len(rows) - self.query)])
        self.camera.shot = self.see_from("stand", *slabs, *rows, told).shot
        self.play(LaggedStart(*map(Appear, slabs), lag_ratio=0.3, run_time=2.0))
        self.play(LaggedStart(*(each.grow() for each in rows), lag_ratio=0.1, run_time=2.0))
        self.play(
            rows.forward(self.query),
            *(s.animate.shift(ahead if s is word else [0, 0, -rows.gap]) for s in slabs),
            Appear(told),
        )
        self.play(self.light_up(word))

    @beat(
        title="Queries ask, keys answer",
        ask="Which word does “{query}” look at: [{offered}]?",
        straight="Each row becomes a query and a key. Loosely read, the query [asks], “Who goes "
        "with me?”, and a key answers, “I do.”",
        latent="Each row becomes, by way of a short latent, a query and a key. Loosely read, the "
        "query [asks], “Who goes with me?”, and a key answers, “I do.”",
        answer="key",
    )
    def queries_and_keys(self) -> None:
        slabs = self._row_of_slabs()
        asks, answers = (slabs[self._place(place)] for place in (self.query, self.key))
        theme = self.theme
        front = {
            asks: Slab(self.pair["query"], role="query", height=1.5).put(asks.points[0] + [0.2, 0, 2.2]),
            answers: Slab(self.pair["key"], role="key", height=1.5).put(answers.points[0] + [-0.6, 0, 1.6]),
        }
        for slab in (*front, *front.values()):
            slab.is_light = True
        said = number_at(_("“Who goes with me?”"), front[asks].points[0] + [0, 0, 0.9], "floor", size=0.62, colour=theme.query)
        reply = number_at(_("“I do.”"), front[answers].points[0] + [0, 0, 0.9], "floor", size=0.62, colour=theme.key)
        there = self.leave()
        self.play(
            self.see_from("gallery", *slabs, *front.values(), said, reply), *there, *map(Appear, slabs)
        )
        self.play(Transform(asks, front[asks]), self.light_up(front[asks]))
        self.play(Appear(said))
        self.play(Transform(answers, front[answers]), self.light_up(front[answers]))
        self.play(Appear(reply))

    @beat(title="Input times weights")
    def make_the_queries(self) -> None:
        """Learned weights make them: one row times the matrix is one query. And so for [all]."""
        self.show("X × W_Q = Q", stands="glass", light="Q", reveal="Q")

    # One dot product, and all

    @beat(title="Dot product")
    def a_query_meets_a_key(self) -> None:
        """The query of “{query}” meets the key of “{key}”, number by number. Where both point the
        same way, the [product] stands up, else it hangs down. [Add] them all: {dot}."""
        q, k = self._matrix("Q"), self._matrix("K")
        query, key, head = self.query, self.key, self.head
        unit = Relief.unit_of(q.values[query], k.values[key], height=0.75)
        width = 8.0
        asks = Relief.of(q, query, unit=unit, width=width, depth=0.2)
        answers = Relief.of(k, key, unit=unit, width=width, depth=0.2)
        numbers = q.values[query] * k.values[key]
        (agree, others, total), digits = sums_of(head, query, key)
        unit = abs(agree) / 5.0
        products = Relief(numbers, role="pattern", unit=unit, width=width, depth=0.2, told=_("products"))
        slabs = [
            Slab(self.pair[of], role=of, height=0.9, width=2.0) for of in ("query", "key")
        ]
        heights = 4.7, 3.0, 0.95
        for body, y, gap in ((asks, heights[0], 0.5), (answers, heights[1], -0.7)):
            body.put((0, y + gap, 0))
        for slab, y in zip(slabs, heights, strict=False):
            slab.put((-width / 2 - 1.3, y - 0.45, 0))
        products.put((0, (heights[0] + heights[1]) / 2, 0))
        place = (width / 2 + 1.5, 0.0, 0.4)
        whole, stays = (piled(products, 1.4, cut=cut).put(place) for cut in (False, True))
        tower = Body(products.boxes, products.colours)
        for body in (asks, answers, products, *slabs, tower):
            body.is_light = True
        there = self.leave()
        seen = (*slabs, asks, answers, products, whole)
        self.play(self.see_from("stalls", *seen), *there, *map(Appear, slabs))
        self.play(asks.grow(), answers.grow())
        self.play(asks.animate.shift([0, -0.5, 0]), answers.animate.shift([0, 0.7, 0]))
        self.wait_for("product")
        self.play(products.grow())
        self.play(products.animate.shift([0, heights[2] - products.points[0, 1], 0]))
        labels = self._worked(asks, answers, products)
        self.play(*map(Appear, labels))
        self.wait_for("Add")
        tower.points = products.points.copy()
        self.add(tower)
        self.play(Transform(tower, whole), run_time=1.5)
        front = np.array([0.0, 0.0, 0.75])
        sum_ = number_at(format_decimal(agree, digits), whole.top + [0, 0.3, 0], "air", size=0.45)
        self.play(Appear(sum_))
        self.play(Transform(tower, stays), self.light_up(stays))
        out = number_at(format_decimal(others, digits), (whole.top + stays.top) / 2, "air", size=0.45, colour=self.theme.muted)
        number = number_at(format_decimal(total, digits), stays.middle + front, "stands", size=0.75, colour=self.theme.background)
        self.play(Appear(out), Appear(number))

    def _worked(self, asks: Relief, answers: Relief, products: Relief) -> list[Mobject]:
        labels = []
        for channel in largest_products(self.head, self.query, self.key):
            a, b = asks.values[channel], answers.values[channel]
            for body, value, colour, sign, deci in (
                (asks, a, self.theme.query, "", 2),
                (answers, b, self.theme.key, "× ", 2),
                (products, a * b, self.theme.ink, "= ", 1),
            ):
                at = body.bar(channel)
                label = number_at(sign + format_decimal(value, deci), at + [0.5, 0.15 * np.sign(value), 0.2], "air", size=0.36, colour=colour)
                labels.append(label)
        return labels

    @beat(title="All dot products")
    def all_dot_products(self) -> None:
        """Turn the keys, and every query meets every key, in one matrix product."""
        self.show("Q K", stands="glass")
        self.show(". Kt\nQ dots", stands="glass", light="dots", later="dots")
        self.show(". Kt\nQ dots", stands="glass", light="dots", reveal="dots")

    @beat(
        title="Scale and mask",
        scaled="{scaling}: these are the scores. Then [mask] the future: it isn’t written yet.",
        kept="{scaling}: these are the scores. Then [mask] the future: it isn’t written yet.",
    )
    def scale_and_mask(self) -> None:
        wide = 5.0 if self.frame.upright else 9.0
        rows = Rows(self._matrix("scores"), width=wide, height=1.4, gap=0.9, depth=0.5)
        there = self.leave()
        self.play(self.see_from("balcony", *rows), *there, *(r.grow() for r in rows))

    # The pattern

    @beat(title="Softmax")
    def softmax_of_a_row(self) -> None:
        """Softmax turns a row of scores into shares of a hundred percent. “{query}” gives {share}
        of its attention to “{key}”."""
        slabs = self._row_of_slabs(-1.3, {self._place(self.key): "key"})
        scores = [self.head.scores[self.query, each.key] for each in self.looked]
        shares = [each.share for each in self.looked]
        towers = Bars(scores, on=slabs, role="scores", height=2.2, side=0.6)
        count = len(slabs)
        strip = Strip(shares, [each.word for each in self.looked], size=(1.6 * count, 0.12, 0.9))
        strip.put(self._at(0, 0, 2.6), turn=-90 if self.frame.upright else 0)
        flow = Flow(slabs, strip)
        best = self._place(self.key)
        slabs[best].is_light = towers[best].is_light = True
        numbers = [
            number_at(format_decimal(score, 1), towers.bar(i) + [0, 0.25, 0], "air", size=0.4)
            for i, score in enumerate(scores)
        ]
        low, high = strip.part(best)
        at = strip.at((low + high) / 2) + [0, 0.07, 0]
        share = number_at(format_share(self.share), at, "floor", size=0.8, colour=self.theme.background)
        there = self.leave()
        self.play(self.see_from("stand", *slabs, towers, strip, *numbers), *there, *map(Appear, slabs))
        self.play(towers.grow(), *map(Appear, numbers))
        self.play(flow.pour(), Appear(strip), self.light_up(slabs[best]), run_time=2)
        self.play(Appear(share))

    @beat(title="Attention")
    def the_pattern(self) -> None:
        """That is attention: light from a word to the words before it."""
        angles = np.linspace(0.9 * np.pi, 0.1 * np.pi, len(self.looked))
        others = [each for each in self.looked if each.key != self.query]
        count = len(others)
        slabs = [
            Slab(each.word, height=1.0, width=1.9).put(
                (2.1 * (i - (count - 1) / 2), 0, -1.2 + 0.06 * (i - (count - 1) / 2) ** 2),
                turn=-4 * (i - (count - 1) / 2),
            )
            for i, each in enumerate(others)
        ]
        asks = Slab(self.pair["query"], role="query", height=1.2, width=2.6).put((1.5, 0, 2.4), turn=-8)
        asks.is_light = True
        arcs = [Arc(asks, slab, each.share) for slab, each in zip(slabs, others, strict=True)]
        best = max(range(count), key=lambda i: others[i].share)
        slabs[best].is_light = True
        number = number_at(format_share(self.share), slabs[best].points[0] + [-0.2, 0, 1.1], "floor", size=1.1)
        there = self.leave()
        self.play(self.see_from("gallery", asks, *slabs, *arcs), *there, *map(Appear, slabs), Appear(asks))
        self.play(*(arc.grow() for arc in arcs), self.light_up(slabs[best]))
        self.play(Appear(number))

    # Values and z

    @beat(title="Mix of values")
    def a_weighted_mix(self) -> None:
        """A third matrix makes values: what a word hands on. Each row is taken by its [share], and
        all are added: that’s the new row of “{query}”."""
        values = self._matrix("V")
        wide = 5.0 if self.frame.upright else 9.0
        rows = Rows(values, width=wide, height=1.0, gap=0.8)
        z = self._matrix("z")
        mixed = Relief.of(z, self.query, unit=rows[0].unit, width=wide, told=_("output"))
        mixed.put((0, rows[0].points[0, 1], 2.6))
        mixed.is_light = True
        glow(mixed, 0.5)
        row = rows[self.key]
        row.is_light = True
        there = self.leave()
        self.play(self.see_from("orchestra", *rows, mixed), *there, *(r.grow() for r in rows))
        self.play(rows.forward(self.key), self.light_up(row))
        threads = Threads(row, mixed)
        self.play(Appear(threads), mixed.grow())

    @beat(title="One head")
    def one_head(self) -> None:
        """This is one attention head. The model runs {heads} in {layers}."""
        slabs = self._row_of_slabs(0, {self._place(self.key): "key"})
        there = self.leave()
        self.play(self.see_from("balcony", *slabs), *there, *map(Appear, slabs))

    @beat(title="The whole head")
    def complete_circuit(self) -> None:
        """And as matrices, from the words to the output of the head."""
        self.show(". W_Q W_K W_V\nX Q K V", stands="glass", light="Q")
