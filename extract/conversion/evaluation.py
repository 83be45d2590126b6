"""How well a converted model still does what the model itself does, on text that no fit has seen.

Perplexity, how often both find the same next token likeliest, and the Kullback-Leibler divergence
of their predictions.  What it does with a prompt is in `extract.conversion.prompt`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from extract.conversion.fits import AttentionLayer, Layer
from extract.conversion.model import run
from extract.trace.contents.conversion_report import TextResult

__all__ = [
    "LADDER",
    "Judge",
    "Size",
    "compare_on_windows",
    "ladder_sizes",
]

LADDER = (
    (1 / 24, 1 / 96),
    (1 / 12, 1 / 48),
    (1 / 8, 1 / 24),
    (1 / 6, 1 / 24),
    (1 / 4, 1 / 12),
    (1 / 3, 1 / 12),
    (5 / 12, 1 / 12),
    (1 / 2, 1 / 6),
)
"""Cached numbers and, for MLA, the rotated ones among them, as fractions of what the model caches.

For the packaged model, which caches 384: 4 of 16, 8 of 32, 16 of 48 and 64, 32 of 96, 128 and 160,
64 of 192; these splits lost least where several were measured."""

_QUICK_LADDER = LADDER[1::2]

_BATCH, _POSITIONS = 4, 64
"""Passages that the model reads at a time, and positions that are compared at a time."""


@dataclass(frozen=True)
class Size:
    """Numbers that a conversion caches for each token and layer: `rotated` and the latent's."""

    rotated: int
    rank: int

    @classmethod
    def of_one_set(cls, numbers: int) -> Size:
        """Return the size of one shared set of keys and values, a quarter of it for position.

        A rotation turns pairs of numbers, so these are even.

        Examples
        --------
        >>> Size.of_one_set(128)
        Size(rotated=32, rank=96)
        """
        rotated = 2 * round(numbers / 8)
        return cls(rotated, numbers - rotated)

    @property
    def numbers(self) -> int:
        """Cached numbers in all."""
        return self.rotated + self.rank


def ladder_sizes(cached: int, n_sets: int, *, quick: bool = False) -> tuple[Size, ...]:
    """Return the sizes of the ladder for a model that caches so many numbers, smallest first.

    Parameters
    ----------
    cached : int
    n_sets : int
        Sets of keys and values that these are; the size of one is always a size of the ladder.
    quick : bool
        Return half of the other sizes.

    Examples
    --------
    >>> [(size.rotated, size.rank) for size in ladder_sizes(384, 3)][-2:]
    [(32, 128), (64, 128)]
    """
    one_set = Size.of_one_set(cached // n_sets)
    sizes = {one_set.numbers: one_set}
    for whole, part in _QUICK_LADDER if quick else LADDER:
        total, rotated = round(whole * cached), 2 * round(part * cached / 2)
        if total > rotated:
            sizes.setdefault(total, Size(rotated, total - rotated))
    return tuple(sizes[total] for total in sorted(sizes))


class _Sums:
    """Sums over positions that make a `TextResult`."""

    def __init__(self) -> None:
        self._count, self._loss, self._agreed, self._kl = 0, 0.0, 0.0, 0.0

    def add(self, logits: Tensor, own: Tensor, ids: Tensor, first: int = 0) -> None:
        """Add passages: logits (batch, position, vocabulary), `own` the model's log-probabilities.

        Positions before `first` are left out, as is the last one, whose next token is not known.
        """
        last = ids.shape[1] - 1
        # A few positions at a time: vocabularies are long.
        for start in range(first, last, _POSITIONS):
            part = slice(start, min(start + _POSITIONS, last))
            log_probs, known = logits[:, part].log_softmax(dim=-1), own[:, part]
            target = ids[:, part.start + 1 : part.stop + 1, None]
            self._count += target.numel()
            self._loss -= float(log_probs.gather(-1, target).sum(dtype=torch.float64))
            self._agreed += float((log_probs.argmax(-1) == known.argmax(-1)).sum())
            self._kl += float((known.exp() * (known - log_probs)).sum(dtype=torch.float64))

    @property
    def result(self) -> TextResult:
        return TextResult(
            perplexity=math.exp(min(self._loss / self._count, 700.0)),
            agreement=self._agreed / self._count,
            kl=max(0.0, self._kl / self._count),
        )


class Judge:
    """Measures converted models against the model, on passages of one text.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    layers : sequence of AttentionLayer
        The model's own.
    text : (passage, position) of int
    """

    def __init__(self, model: Any, layers: Sequence[AttentionLayer], text: Tensor) -> None:
        self._model, self._layers, self._batches = model, layers, _batches(text)

    @cached_property
    def _own(self) -> list[Tensor]:
        """The model's own log-probabilities of each batch."""
        return [run(self._model, ids, self._layers).log_softmax(dim=-1) for ids in self._batches]

    def result(self, layers: Sequence[Layer]) -> TextResult:
        """Return what a model with these layers does."""
        sums = _Sums()
        for ids, log_probs in zip(self._batches, self._own, strict=True):
            sums.add(run(self._model, ids, layers), log_probs, ids)
        return sums.result


def _batches(text: Tensor, size: int = _BATCH) -> list[Tensor]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def compare_on_windows(
    model: Any,
    own: Sequence[AttentionLayer],
    others: Sequence[Sequence[Layer]],
    windows: Tensor,
    first: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[TextResult]:
    """Return the results of the model itself and of converted ones on long windows.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    own : sequence of AttentionLayer
    others : sequence
        Converted models, each a list of layers.
    windows : (window, position) of int
    first : int
        Positions before it are left out.
    progress : callable
        Called with the number of windows that are done.
    """
    sums = [_Sums() for _ in range(1 + len(others))]
    for done, ids in enumerate(_batches(windows, 1)):
        progress(done)
        logits = run(model, ids, own)
        log_probs = logits.log_softmax(dim=-1)
        sums[0].add(logits, log_probs, ids, first)
        del logits
        for total, layers in zip(sums[1:], others, strict=True):
            total.add(run(model, ids, layers), log_probs, ids, first)
    progress(len(windows))
    return [total.result for total in sums]
