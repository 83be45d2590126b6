"""How well a converted model still does what the model itself does.

On text that nothing was fitted to: perplexity, how often both find the same next token likeliest,
and the Kullback-Leibler divergence of their predictions.  On the prompt: the probability of the
model's own next word, what the converted model says, and how much attention moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from extract.conversion_model import Layer, run
from extract.conversion_report import CONTINUATION, PromptResult, Row, TextResult
from extract.mla_conversion import (
    AttentionLayer,
    LayerStatistics,
    MLALayer,
    Projected,
    absorbed,
    latent_then_rotate,
    mla,
    pattern,
)

__all__ = [
    "LADDER",
    "Judge",
    "Size",
    "absorbed_error",
    "compare_on_windows",
    "exactness",
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

_BATCH, _POSITIONS = 4, 64
"""Passages that the model reads at a time, and positions that are compared at a time."""


@dataclass(frozen=True)
class Size:
    """Numbers that a conversion caches for each token and layer: `rotated` and the latent's."""

    rotated: int
    rank: int

    @property
    def numbers(self) -> int:
        """Cached numbers in all."""
        return self.rotated + self.rank


def ladder_sizes(cached: int) -> tuple[Size, ...]:
    """Return the sizes of the ladder for a model that caches so many numbers, smallest first.

    Examples
    --------
    >>> [(size.rotated, size.rank) for size in ladder_sizes(384)][-2:]
    [(32, 128), (64, 128)]
    """
    sizes = {}
    for whole, part in LADDER:
        total, rotated = round(whole * cached), 2 * round(part * cached / 2)
        if total > rotated:
            sizes[total] = Size(rotated, total - rotated)
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
    """Measures converted models against the model, in one setting.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    layers : sequence of AttentionLayer
        The model's own.
    held_out : (passage, position) of int
    second : (passage, position) of int, optional
    prompt : sequence of int
        The prompt and the tokens after it.
    n_prompt : int
    bos : bool
        Whether all of them begin with the beginning token.
    fitted_window : int
        Length of the windows that the converted models were fitted to; for the rows.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        layers: Sequence[AttentionLayer],
        held_out: Tensor,
        second: Tensor | None,
        prompt: Sequence[int],
        n_prompt: int,
        bos: bool,
        fitted_window: int,
    ) -> None:
        self.fitted_window = fitted_window
        self._model, self._tokenizer, self._bos = model, tokenizer, bos
        self._texts = [text for text in (held_out, second) if text is not None]
        self._own = [
            [self._log_probs(layers, ids) for ids in _batches(text)] for text in self._texts
        ]
        self._prompt, self._n_prompt = torch.tensor([list(prompt)]), n_prompt
        logits, self._patterns = self._read_prompt(layers)
        self.next_token = int(logits[n_prompt - 1].argmax())

    def _log_probs(self, layers: Sequence[Layer], ids: Tensor) -> Tensor:
        return run(self._model, ids, layers).log_softmax(dim=-1)

    def _read_prompt(self, layers: Sequence[Layer]) -> tuple[Tensor, list[Tensor]]:
        """Return logits (position, vocabulary) and every layer's pattern (head, query, key)."""
        patterns: list[Tensor] = []

        def watch(number: int, x: Tensor, projected: Projected, out: Tensor) -> None:
            patterns.append(pattern(projected, layers[number].scale)[0])

        return run(self._model, self._prompt, layers, watch)[0], patterns

    def texts(self, layers: Sequence[Layer]) -> list[TextResult]:
        """Return the results on the held-out text and, if there is one, on the second text."""
        results = []
        for text, own in zip(self._texts, self._own, strict=True):
            sums = _Sums()
            for ids, log_probs in zip(_batches(text), own, strict=True):
                sums.add(run(self._model, ids, layers), log_probs, ids)
            results.append(sums.result)
        return results

    def prompt(self, layers: Sequence[Layer]) -> PromptResult:
        """Return the results on the prompt."""
        logits, patterns = self._read_prompt(layers)
        n = self._n_prompt
        moved = [
            float(0.5 * (new - own)[:, 1:n].abs().sum(-1).mean()) if n > 1 else 0.0
            for new, own in zip(patterns, self._patterns, strict=True)
        ]
        return PromptResult(
            next_word_probability=float(logits[n - 1].softmax(-1)[self.next_token]),
            continuation=self._continue(layers, int(logits[n - 1].argmax())),
            moved=sum(moved) / len(moved),
            moved_by_layer=tuple(moved),
        )

    def _continue(self, layers: Sequence[Layer], first: int) -> str:
        """Return the likeliest tokens after the prompt, of which the first one is known."""
        ids = [*self._prompt[0, : self._n_prompt].tolist(), first]
        while len(ids) < self._n_prompt + CONTINUATION:
            ids.append(int(run(self._model, torch.tensor([ids]), layers)[0, -1].argmax()))
        text: str = self._tokenizer.decode(
            ids[self._n_prompt :], clean_up_tokenization_spaces=False
        )
        return text

    def row(
        self,
        way: str,
        layers: Sequence[Layer],
        numbers: int,
        rotated: int | None = None,
        rank: int | None = None,
    ) -> Row:
        """Measure one converted model."""
        held_out, *second = self.texts(layers)
        return Row(
            way=way,
            numbers=numbers,
            rotated=rotated,
            rank=rank,
            bos=self._bos,
            fitted_window=self.fitted_window,
            second_text=second[0] if second else None,
            **asdict(held_out),
            **asdict(self.prompt(layers)),
        )


def _batches(text: Tensor, size: int = _BATCH) -> list[Tensor]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def compare_on_windows(
    model: Any,
    own: Sequence[AttentionLayer],
    others: Sequence[Sequence[Layer]],
    windows: Tensor,
    first: int,
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
    """
    sums = [_Sums() for _ in range(1 + len(others))]
    for ids in _batches(windows, 1):
        logits = run(model, ids, own)
        log_probs = logits.log_softmax(dim=-1)
        sums[0].add(logits, log_probs, ids, first)
        del logits
        for total, layers in zip(sums[1:], others, strict=True):
            total.add(run(model, ids, layers), log_probs, ids, first)
    return [total.result for total in sums]


def exactness(
    model: Any,
    layers: Sequence[AttentionLayer],
    statistics: Sequence[LayerStatistics],
    ids: Sequence[int],
) -> float:
    """Return the largest difference of logits with nothing dropped, relative to their size.

    Both ways are measured on one sequence of tokens.
    """
    heads, width, d_model = layers[0].W_K.shape[1], layers[0].W_K.shape[2], len(layers[0].W_K)
    keys, values = heads * width, layers[0].W_V[0].numel()
    tokens = torch.tensor([list(ids)])
    own = run(model, tokens, layers)
    made: list[list[Layer]] = [[], []]
    for layer, known in zip(layers, statistics, strict=True):
        exact = layer.to(torch.float64)
        (whole,) = latent_then_rotate(exact, known, [min(d_model, keys + values)])
        made[0].append(whole.to(torch.float32))
        (parts,) = mla(exact, known, [(keys, min(d_model, values))])
        made[1].append(parts.to(torch.float32))
    errors = [(run(model, tokens, converted) - own).abs().max() for converted in made]
    return float(max(errors) / own.abs().max())


def absorbed_error(model: Any, layers: Sequence[MLALayer], ids: Sequence[int]) -> float:
    """Return the largest relative error of the absorbed form against the naive one, all layers.

    Of patterns and outputs, each in units of the largest absolute value.
    """
    errors: list[float] = []

    def watch(number: int, x: Tensor, projected: Projected, out: Tensor) -> None:
        layer = layers[number]
        weights, absorbed_out = absorbed(layer, x)
        naive = pattern(projected, layer.scale)
        errors.extend(
            float((a - b).abs().max() / b.abs().max())
            for a, b in ((weights, naive), (absorbed_out, out))
        )

    run(model, torch.tensor([list(ids)]), layers, watch)
    return max(errors)
