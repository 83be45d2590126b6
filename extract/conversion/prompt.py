"""What converted models do with one prompt, all of them read together.

Converted models differ only in their attention, so each is one row of a batch: everything else runs
once for all.  Keys and values of the prompt are kept while they continue it.

Needs torch and transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from extract.attention.patterns import PatternDistance
from extract.conversion.fits import Layer, Projected, attend, pattern
from extract.conversion.model import attention_replaced
from extract.models.token_sequence import ProgressCallback
from extract.trace.contents.conversion_report import CONTINUATION, PromptResult

__all__ = ["RowWatcher", "read_prompt"]

_TOKENS = 4096
"""Tokens that are read at a time, of all models together: it bounds the memory."""

RowWatcher = Callable[[int, int, Tensor, Projected, Tensor, Tensor], None]
"""Called with the number of a model and of a layer, and with the layer's input (1, position,
d_model), projections, pattern (1, head, query, key) and output."""


class _Rows(torch.nn.Module):
    """Stands where a model's attention module was: every row of the batch has a layer of its own.

    The first call reads a prompt, the others one more token each.
    """

    def __init__(self, number: int, layers: Mapping[int, Layer], n_prompt: int, watch: RowWatcher):
        super().__init__()
        self._number, self._layers, self._n_prompt = number, layers, n_prompt
        self._watch = watch
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        each = self._go_on if self._known else self._begin
        rows = zip(self._layers.items(), hidden_states[:, None], strict=True)
        return torch.cat([each(row, layer, x) for (row, layer), x in rows]), None

    def _begin(self, row: int, layer: Layer, x: Tensor) -> Tensor:
        projected = layer.project(x)
        out = layer.output(attend(projected, layer.scale))
        self._watch(row, self._number, x, projected, pattern(projected, layer.scale), out)
        _, k, v = (part[:, :, : self._n_prompt] for part in projected)
        self._known[row] = k, v
        return out

    def _go_on(self, row: int, layer: Layer, x: Tensor) -> Tensor:
        k, v = self._known[row]
        new = layer.project(x, first=k.shape[2])
        self._known[row] = k, v = torch.cat([k, new.k], dim=2), torch.cat([v, new.v], dim=2)
        return layer.output(attend(Projected(new.q, k, v), layer.scale))


def read_prompt(
    model: Any,
    tokenizer: Any,
    ids: Sequence[int],
    n_prompt: int,
    models: Sequence[Sequence[Layer]],
    watch: RowWatcher = lambda *_: None,
    progress: ProgressCallback = lambda task, done, total: None,
) -> list[PromptResult]:
    """Return what models with other attention layers do with a prompt.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    ids : sequence of int
        The prompt and the tokens after it, which all models read and nobody counts.
    n_prompt : int
    models : sequence of sequence of Layer
        For each of them its layers; the first is the model that the others are compared with.
    watch : callable, optional
        See `RowWatcher`.
    progress : callable
        Progress callback (task, done, total).
    """
    own: list[npt.NDArray[np.float32]] = []
    moved: list[list[float]] = [[] for _ in models]
    tokens, chances = [], []
    size = max(1, _TOKENS // len(ids))
    steps = CONTINUATION * -(-len(models) // size)

    def see(
        row: int, number: int, x: Tensor, projected: Projected, weights: Tensor, out: Tensor
    ) -> None:
        pattern = weights[0].numpy()
        if row == 0:
            own.append(pattern)
        moved[row].append(PatternDistance.between(own[number], pattern, n_prompt).mean)
        watch(row, number, x, projected, weights, out)

    for start in range(0, len(models), size):
        part = range(len(models))[start : start + size]
        modules = {
            number: _Rows(number, {row: models[row][number] for row in part}, n_prompt, see)
            for number in range(len(models[0]))
        }
        with torch.inference_mode(), attention_replaced(model, modules):
            read = torch.tensor([list(ids)] * len(part))
            last = torch.tensor([n_prompt - 1])
            logits = model(input_ids=read, use_cache=False, logits_to_keep=last).logits
            chances += list(logits[:, -1].float().softmax(dim=-1))
            said = [logits[:, -1].argmax(dim=-1)]
            for position in range(n_prompt, n_prompt + CONTINUATION - 1):
                done = CONTINUATION * start // size + len(said)
                progress("converting", done, steps)
                read = said[-1][:, None]
                places = torch.full_like(read, position)
                logits = model(input_ids=read, position_ids=places, use_cache=False).logits
                said.append(logits[:, -1].argmax(dim=-1))
        tokens += torch.stack(said, dim=1).tolist()
    progress("converting", steps, steps)
    likeliest = int(chances[0].argmax())
    return [
        PromptResult(
            next_word_probability=float(chance[likeliest]),
            continuation=tokenizer.decode(continuation, clean_up_tokenization_spaces=False),
            moved=sum(shares) / len(shares),
            moved_by_layer=tuple(shares),
        )
        for chance, continuation, shares in zip(chances, tokens, moved, strict=True)
    ]
