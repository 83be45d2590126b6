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

import numpy as np
import numpy.typing as npt

from filmkit.core.language import _
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, best_match

__all__ = ["Exercises", "Mixed", "Pair", "Row", "Word", "digits", "exercises_of", "power"]

CHANNELS = 4
"""Channels of a query and a key that are multiplied by hand."""
VALUE_CHANNELS = 2
"""Channels of the values that are mixed by hand."""
MOST_WORDS = 6
"""Words in a row of the softmax; of a longer one, one fewer and the sum of the others."""

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int_]


def rounded(value: float | Decimal, places: int) -> Decimal:
    """Return a number with some digits after its point, rounded half up."""
    exact = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return exact or abs(exact)  # no minus before a zero


def digits(number: Decimal) -> int:
    """Return how many digits a number has after its point."""
    return -int(number.as_tuple().exponent)


def power(difference: Decimal) -> Decimal:
    """Return e to the power of a number, with two digits after its point."""
    return rounded(difference.exp(), 2)


def _rounded_alike(numbers: Array) -> tuple[Decimal, ...]:
    """Return numbers with one digit after their points; with more if the largest needs them."""
    largest = float(np.abs(numbers).max(initial=0.0))
    # Two digits that count: 0.0234 becomes 0.023.
    places = 1 if largest == 0 else max(1, 1 - int(np.floor(np.log10(largest))))
    return tuple(rounded(float(number), places) for number in numbers.flat)


@dataclass(frozen=True)
class Word:
    """A token of the prompt: its number, 1 for the first word, and its text."""

    number: int
    text: str


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
        What the model has for sum and score, before any cap.
    """

    word: Word
    key: tuple[Decimal, ...]
    products: tuple[Decimal, ...]
    rest: Decimal
    total: Decimal
    bias: Decimal | None
    score: Decimal
    model_total: float
    model_score: float


@dataclass(frozen=True)
class Summand:
    """What the softmax adds up.

    Attributes
    ----------
    power
        e to the power of a score less the largest one; of several words, the sum of theirs.
    share
        The power divided by the sum of the powers, with two digits after its point.
    model_share
        The model's own share.
    """

    power: Decimal
    share: Decimal
    model_share: float


@dataclass(frozen=True)
class Row(Summand):
    """A word in the row of the softmax, with its score, and that less the largest one."""

    word: Word
    score: Decimal
    difference: Decimal


@dataclass(frozen=True)
class Mixed:
    """What a word adds to the weighted sum.

    Attributes
    ----------
    word
        The word; None for all others together.
    share
        Its share as it was computed by hand.
    values
        Its values in the chosen channels; of all others together, the mean by their shares.
    products
        The values times the share, exact.
    """

    word: Word | None
    share: Decimal
    values: tuple[Decimal, ...]
    products: tuple[Decimal, ...]


@dataclass(frozen=True)
class Exercises:
    """The exercises for one query of a head.

    Attributes
    ----------
    word
        The query's word.
    channels, query
        The channels that are multiplied by hand, from 0, and the query's numbers in them.
    width
        Number of channels of queries and keys.
    divisor, is_root
        What the sum of products is divided by, with four digits, and whether it is the square root
        of the width.
    cap
        The model squeezes scores between minus and plus this number; 0 if it does not.
    pairs
        The query with its best key and, if there is one, with a worse one.
    rows
        The words of the softmax, in the order of the prompt.
    left_out, others
        All other words that the query may read, and what they are together; None without any.
    sink
        The sink of the softmax, which is no word; None without one.
    hidden
        The next words that the query may not read: the last before its window, the first after it.
    window
        How many words a query may read at most; 0 for all.
    total
        Sum of the powers.
    value_channels, value_width
        The channels that are mixed by hand, from 0, and how many there are.
    mixed
        What the rows, and all others together, add to the output.
    output, model_output
        The sum in each of these channels, exact, and what the model has.
    """

    word: Word
    channels: tuple[int, ...]
    query: tuple[Decimal, ...]
    width: int
    divisor: Decimal
    is_root: bool
    cap: float
    pairs: tuple[Pair, ...]
    rows: tuple[Row, ...]
    left_out: tuple[Word, ...]
    others: Summand | None
    sink: Summand | None
    hidden: tuple[Word, ...]
    window: int
    total: Decimal
    value_channels: tuple[int, ...]
    value_width: int
    mixed: tuple[Mixed, ...]
    output: tuple[Decimal, ...]
    model_output: tuple[float, ...]

    @property
    def summands(self) -> tuple[Summand, ...]:
        """All that has a share: rows, all others together, and the sink."""
        return (*self.rows, *filter(None, (self.others, self.sink)))


def exercises_of(view: HeadView) -> Exercises:
    """Return the exercises for the query of a head that shows best what a match is.

    They are chosen by rules. The words of the softmax are those with the largest shares. The query
    meets the key that it matches best, and of these the one with the lowest score: another word
    than the query's own, and no punctuation, if there is one. The channels that are multiplied are
    those whose products favour the best key most, so that they decide. The channels that are mixed
    are those in which the output is largest.
    """
    return _Sheet(view).exercises()


class _Sheet:
    """What the exercises of a head are made from; positions are those of the trace."""

    def __init__(self, view: HeadView) -> None:
        layer = view.layer
        row, best = best_match(view)
        self.view, self.trace, self.layer = view, layer.trace, layer.layer
        self.at, self.best = layer.first + row, layer.first + best
        self.window = self.trace.window(self.layer)
        self.read = range(max(0, self.at + 1 - self.window) if self.window else 0, self.at + 1)
        # 8 for a factor of 0.125, and 13.86 for 0.07217.
        self.divisor = Decimal(f"{1 / self.trace.meta.score_scale:.4g}")
        self.scores = self.trace.scores(self.layer, view.head)[self.at]
        self.shares = self._tensor("pattern")[view.head, self.at]
        count = len(self.read) if len(self.read) <= MOST_WORDS else MOST_WORDS - 1
        by_share = sorted(self.read, key=lambda key: -self.shares[key])
        self.shown, self.left_out = sorted(by_share[:count]), sorted(by_share[count:])

    def _tensor(self, name: str) -> Array:
        return self.trace.get(name, self.layer).astype(np.float64)

    def _word(self, position: int) -> Word:
        meta = self.trace.meta
        first = meta.has_bos and position == 0
        text = _("beginning token") if first else printable(meta.tokens[position])
        return Word(position + 1 - meta.has_bos, text)

    def exercises(self) -> Exercises:
        meta, view = self.trace.meta, self.view
        query = self._tensor(view.score_tensor("q"))[self.at, view.head]
        keys = self._tensor(view.score_tensor("k"))[:, view.kv_head]
        met = [self.best, *self._other_keys()[:1]]
        lead = keys[self.best] - keys[met[1]] if len(met) > 1 else keys[self.best]
        channels = _largest(query * lead, CHANNELS)
        numbers = _rounded_alike(query[channels])
        total, rows, others, sink = self._softmax()
        output = self._tensor("z")[self.at, view.head]
        value_channels = _largest(np.abs(output), VALUE_CHANNELS)
        mixed = self._mixed([each.share for each in (*rows, others) if each], value_channels)
        before, after = self.read.start - 1, self.at + 1
        return Exercises(
            word=self._word(self.at),
            channels=tuple(channels.tolist()),
            query=numbers,
            width=meta.d_qk,
            divisor=self.divisor,
            is_root=bool(np.isclose(meta.score_scale**2 * meta.d_qk, 1)),
            cap=meta.score_cap,
            pairs=tuple(self._pair(key, query, keys[key], numbers, channels) for key in met),
            rows=rows,
            left_out=tuple(map(self._word, self.left_out)),
            others=others,
            sink=sink,
            hidden=tuple(
                self._word(position)
                for position, there in ((before, before >= 0), (after, after < meta.n_prompt))
                if there
            ),
            window=self.window,
            total=total,
            value_channels=tuple(value_channels.tolist()),
            value_width=meta.d_v,
            mixed=mixed,
            output=tuple(map(_sum, zip(*(each.products for each in mixed), strict=True))),
            model_output=tuple(output[value_channels].tolist()),
        )

    def _other_keys(self) -> list[int]:
        """Return the positions of the keys that the best one may be compared with, in order."""

        def rank(key: int) -> tuple[bool, bool, float]:
            word = any(map(str.isalnum, self.trace.meta.tokens[key]))
            return key == self.at, not word, self.scores[key]

        first = self.view.layer.first
        return sorted((key for key in self.shown if key >= first and key != self.best), key=rank)

    def _pair(
        self,
        position: int,
        query: Array,
        key: Array,
        numbers: tuple[Decimal, ...],
        channels: Places,
    ) -> Pair:
        meta, rounded_key = self.trace.meta, _rounded_alike(key[channels])
        products = tuple(a * b for a, b in zip(numbers, rounded_key, strict=True))
        added = float(self.trace.position_bias(self.layer)[self.view.head, self.at, position])
        bias = rounded(added, 2) if meta.positions == "alibi" else None
        model_total = float((query * key).sum())
        model_score = model_total * meta.score_scale + added
        score, places = rounded(model_score, 1), max(map(digits, products))
        total = rounded(model_total, places)
        if rounded(total / self.divisor + (bias or 0), 1) != score:  # rounded twice
            total = rounded((score - (bias or 0)) * self.divisor, places)
        return Pair(
            word=self._word(position),
            key=rounded_key,
            products=products,
            rest=total - _sum(products),
            total=total,
            bias=bias,
            score=score,
            model_total=model_total,
            model_score=model_score,
        )

    def _softmax(self) -> tuple[Decimal, tuple[Row, ...], Summand | None, Summand | None]:
        """Return the sum of the powers, the rows, all others together, and the sink."""
        scores = [rounded(float(self.scores[key]), 1) for key in self.shown]
        largest = max(scores)
        powers = [power(score - largest) for score in scores]
        others = sink = None
        if self.left_out:
            exact = float(np.exp(self.scores[self.left_out] - float(largest)).sum())
            others = rounded(exact, 2), float(self.shares[self.left_out].sum())
        if self.trace.meta.sinks:
            exact = float(np.exp(self._tensor("sinks")[self.view.head] - float(largest)))
            sink = rounded(exact, 2), 1 - float(self.shares[: self.at + 1].sum())
        total = _sum((*powers, *(each[0] for each in (others, sink) if each)))

        def summand(e: Decimal, own: float) -> Summand:
            return Summand(e, rounded(e / total, 2), own)

        rows = tuple(
            Row(e, rounded(e / total, 2), self.shares[key], self._word(key), score, score - largest)
            for key, score, e in zip(self.shown, scores, powers, strict=True)
        )
        return total, rows, others and summand(*others), sink and summand(*sink)

    def _mixed(self, shares: list[Decimal], channels: Places) -> tuple[Mixed, ...]:
        """Return what the words, and all others together, add to the output."""
        values = self._tensor("v")[:, self.view.kv_head][:, channels]
        words: list[Word | None] = [self._word(key) for key in self.shown]
        numbers = [values[key] for key in self.shown]
        if self.left_out:
            own = self.shares[self.left_out]
            weights = own if own.any() else np.ones_like(own)  # shares of zero have no mean
            words.append(None)
            numbers.append(weights @ values[self.left_out] / weights.sum())
        printed = _rounded_alike(np.array(numbers))
        width = len(channels)
        return tuple(
            Mixed(word, share, some, tuple(share * value for value in some))
            for word, share, some in zip(
                words, shares, zip(*[iter(printed)] * width, strict=True), strict=True
            )
        )


def _largest(numbers: Array, count: int) -> Places:
    """Return the places of the largest numbers, in order."""
    return np.sort(np.argsort(-numbers, kind="stable")[:count])


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, start=Decimal(0))
