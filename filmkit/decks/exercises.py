"""Exercises to do by hand: a dot product, a softmax and a weighted sum in small numbers.

The numbers are those of one query of a head, rounded. They are decimals, as they are printed, and
the solutions are computed from them, not from what the model computed: a product and a sum are
exact, and what has to be rounded is rounded half up, as at school. What is left out stands in the
exercise as one number. That of a dot product makes up for all rounding, so that a score found by
hand is the model's own, rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from filmkit.core.language import _
from filmkit.core.numbers import format_count, format_decimal
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, best_match

__all__ = ["Exercises", "Pair", "Row", "Word", "power", "written"]

CHANNELS = 4
"""Channels of a query and a key that are multiplied by hand."""
VALUE_CHANNELS = 2
"""Channels of the values that are mixed by hand."""
MOST_WORDS = 6
"""Words in a row of the softmax; of a longer one, one fewer and the sum of the others."""

Array = npt.NDArray[np.float64]


def rounded(value: float | Decimal, places: int) -> Decimal:
    """Return a number with some digits after its point, rounded half up."""
    exact = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return exact or abs(exact)  # no minus before a zero


def digits(number: Decimal) -> int:
    """Return how many digits a number has after its point."""
    return -int(number.as_tuple().exponent)


def written(number: Decimal) -> str:
    """Return a number with all its digits, as the language in use writes it."""
    return format_decimal(float(number), digits(number))


def power(difference: Decimal) -> Decimal:
    """Return e to the power of a number, with two digits after its point."""
    return rounded(difference.exp(), 2)


def _rounded_alike(numbers: Array) -> list[Decimal]:
    """Return numbers with one digit after their points; with more if the largest needs them."""
    largest = float(np.abs(numbers).max(initial=0.0))
    # Two digits that count: 0.0234 becomes 0.023.
    places = 1 if largest == 0 else max(1, 1 - int(np.floor(np.log10(largest))))
    return [rounded(number, places) for number in numbers.flat]


@dataclass(frozen=True)
class Word:
    """A token of the prompt: its number, 1 for the first word, and its text."""

    number: int
    text: str

    @property
    def name(self) -> str:
        """The name of its row."""
        return f"{self.number}  {self.text}" if self.number else self.text


@dataclass(frozen=True)
class Pair:
    """The query meets a key.

    Attributes
    ----------
    word
        The key's word.
    key
        Its numbers in the chosen channels.
    products
        Those of query and key, exact.
    rest
        What the model's sum has besides: the products in all other channels, and what was lost by
        rounding; so that the score is the model's own, rounded.
    total
        The sum of all of these.
    bias
        What the model adds to the score for the distance of the two words; None in most models.
    score
        The sum divided, with this bias, with one digit after its point.
    model_total, model_score
        What the model has for sum and score, before any cap, with two digits after their points.
    """

    word: Word
    key: list[Decimal]
    products: list[Decimal]
    rest: Decimal
    total: Decimal
    bias: Decimal | None
    score: Decimal
    model_total: Decimal
    model_score: Decimal


@dataclass(frozen=True)
class Row:
    """What the softmax adds up, and the weighted sum: a word, all others together, or the sink.

    Attributes
    ----------
    name
        What it is called.
    score, difference
        The score of a word, and that less the largest one; None in other rows.
    power
        e to the power of that; of several words, the sum of theirs.
    share
        The power divided by the sum of the powers, with two digits after its point.
    model_share
        The model's own share, with three digits after its point.
    values
        The values in the chosen channels; of all others together, the mean by their shares. The
        sink has none.
    products
        The values times the share, exact.
    """

    name: str
    score: Decimal | None
    difference: Decimal | None
    power: Decimal
    share: Decimal
    model_share: Decimal
    values: tuple[Decimal, ...]
    products: list[Decimal]


class Exercises:
    """The exercises for the query of a head that shows best what a match is.

    They are chosen by rules. The words of the softmax are those with the largest shares. The query
    meets the key that it matches best, and of these the one with the lowest score: another word
    than the query's own, and no punctuation, if there is one. The channels that are multiplied are
    those whose products favour the best key most, so that they decide. The channels that are mixed
    are those in which the output is largest.

    Attributes
    ----------
    word
        The query's word.
    channels, query
        The channels that are multiplied by hand, from 0, and the query's numbers in them.
    divisor
        What the sum of products is divided by, with four digits.
    pairs
        The query with its best key and, if there is one, with a worse one.
    largest
        The largest score in the softmax.
    rows
        The words of the softmax, in the order of the prompt.
    more
        All other words that the query may read, together, and the sink; as far as there are any.
    left_out
        Those other words.
    before, after
        All words that the query may not read: before its window, and after itself.
    window
        How many words a query may read at most; 0 for all.
    total
        Sum of the powers.
    value_channels
        The channels that are mixed by hand, from 0.
    output, model_output
        The sum of products in each of these channels, exact, and what the model has.
    """

    def __init__(self, view: HeadView) -> None:
        layer, (row, best) = view.layer, best_match(view)
        self._view, self._trace, self._layer = view, layer.trace, layer.layer
        self._first, self._at = layer.first, layer.first + row
        meta = self._trace.meta
        # 8 for a factor of 0.125, and 13.86 for 0.07217.
        self.divisor = Decimal(f"{1 / meta.score_scale:.4g}")
        self.window = self._trace.window(self._layer)
        read = range(max(0, self._at + 1 - self.window) if self.window else 0, self._at + 1)
        self._scores = self._trace.scores(self._layer, view.head)[self._at]
        self._shares = self._tensor("pattern")[view.head, self._at]
        count = len(read) if len(read) <= MOST_WORDS else MOST_WORDS - 1
        by_share = sorted(read, key=lambda key: -self._shares[key])
        self._shown, self._others = sorted(by_share[:count]), sorted(by_share[count:])
        self.word, self.left_out = self._word(self._at), [*map(self._word, self._others)]
        self.before = [*map(self._word, range(read.start))]
        self.after = [*map(self._word, range(read.stop, meta.n_prompt))]

        query = self._tensor(view.score_tensor("q"))[self._at, view.head]
        keys = self._tensor(view.score_tensor("k"))[:, view.kv_head]
        best += layer.first
        met = [best, *self._other_keys(best)[:1]]
        lead = keys[best] - keys[met[1]] if len(met) > 1 else keys[best]
        self.channels = _largest(query * lead, CHANNELS)
        self.query = _rounded_alike(query[self.channels])
        self.pairs = [self._pair(key, query, keys[key]) for key in met]

        output = self._tensor("z")[self._at, view.head]
        self.value_channels = _largest(np.abs(output), VALUE_CHANNELS)
        self.model_output = output[self.value_channels].tolist()
        scores = [rounded(self._scores[key], 1) for key in self._shown]
        self.largest = max(scores)
        rows = self._rows(scores)
        self.rows, self.more = rows[:count], rows[count:]
        self.total = _sum(row.power for row in rows)
        products = (row.products for row in rows if row.products)
        self.output = [*map(_sum, zip(*products, strict=True))]

    def _tensor(self, name: str) -> Array:
        return self._trace.get(name, self._layer).astype(np.float64)

    def _word(self, position: int) -> Word:
        meta = self._trace.meta
        first = meta.has_bos and position == 0
        text = _("beginning token") if first else printable(meta.tokens[position])
        return Word(position + 1 - meta.has_bos, text)

    def _other_keys(self, best: int) -> list[int]:
        """Return the positions of the keys that the best one may be compared with, in order."""

        def rank(key: int) -> tuple[bool, bool, float]:
            word = any(map(str.isalnum, self._trace.meta.tokens[key]))
            return key == self._at, not word, self._scores[key]

        return sorted((key for key in self._shown if self._first <= key != best), key=rank)

    def _pair(self, position: int, query: Array, key: Array) -> Pair:
        meta, numbers = self._trace.meta, _rounded_alike(key[self.channels])
        products = [a * b for a, b in zip(self.query, numbers, strict=True)]
        added = float(self._trace.position_bias(self._layer)[self._view.head, self._at, position])
        bias = rounded(added, 2) if meta.positions == "alibi" else None
        model_total = float((query * key).sum())
        model_score = model_total * meta.score_scale + added
        score, places = rounded(model_score, 1), max(map(digits, products))
        total = rounded(model_total, places)
        if rounded(total / self.divisor + (bias or 0), 1) != score:  # rounded twice
            total = rounded((score - (bias or 0)) * self.divisor, places)
        return Pair(
            word=self._word(position),
            key=numbers,
            products=products,
            rest=total - _sum(products),
            total=total,
            bias=bias,
            score=score,
            model_total=rounded(model_total, 2),
            model_score=rounded(model_score, 2),
        )

    def _rows(self, scores: list[Decimal]) -> list[Row]:
        """Return the words with these scores, all others together, and the sink."""
        shown, others, head = self._shown, self._others, self._view.head
        values = self._tensor("v")[:, self._view.kv_head][:, self.value_channels]
        names = [self._word(key).name for key in shown]
        powers = [power(score - self.largest) for score in scores]
        shares, means = [*self._shares[shown]], [*values[shown]]
        if others:
            own = self._shares[others]
            weights = own if own.any() else np.ones_like(own)  # shares of zero have no mean
            names.append(_("all others ({number})", number=format_count(len(others))))
            powers.append(self._power(self._scores[others]))
            shares.append(own.sum())
            means.append(weights @ values[others] / weights.sum())
        if self._trace.meta.sinks:
            names.append(_("the sink"))
            powers.append(self._power(self._tensor("sinks")[head]))
            shares.append(1 - self._shares[: self._at + 1].sum())
        total, printed = _sum(powers), iter(_rounded_alike(np.array(means)))
        mixed = zip(*[printed] * len(self.value_channels), strict=True)
        rows = []
        # What is no word has no score, and the sink no values.
        for name, score, e, own, some in zip_longest(names, scores, powers, shares, mixed):
            share, some = rounded(e / total, 2), some or ()
            row = Row(
                name=name,
                score=score,
                difference=None if score is None else score - self.largest,
                power=e,
                share=share,
                model_share=rounded(own, 3),
                values=some,
                products=[share * value for value in some],
            )
            rows.append(row)
        return rows

    def _power(self, scores: Array) -> Decimal:
        """Return the sum of the powers of what the model has, without a table."""
        return rounded(np.exp(scores - float(self.largest)).sum(), 2)


def _largest(numbers: Array, count: int) -> list[int]:
    """Return the places of the largest numbers, in order."""
    return sorted(np.argsort(-numbers, kind="stable")[:count].tolist())


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, start=Decimal(0))
