"""Run a Llama-like model with other attention layers, and gather what the fits need.

Needs torch and transformers.  The model's attention modules are replaced only inside
`attention_replaced`; its weights never change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.conversion.fits import (
    AttentionLayer,
    Layer,
    LayerStatistics,
    Projected,
    attend,
    scores,
)
from extract.conversion.pieces import keep, kept
from extract.errors import ExtractError, UnsupportedModelError
from extract.models.module_hooks import hidden_states
from extract.trace.contents.conversion_report import WINDOW

__all__ = [
    "LayerStream",
    "Replacement",
    "attention_layers",
    "attention_replaced",
    "gather_statistics",
    "layer_by_layer",
    "run",
]

_SAMPLED_QUERIES = 256
"""Largest number of queries of a window whose attention is counted for the statistics."""

_PLAIN_ROTATIONS = ("default", "linear", "llama3")
"""Kinds of rotary positions whose angles are the position times a fixed frequency."""

_UNKNOWN_PARTS = ("q_norm", "k_norm", "query_layernorm", "sinks", "attn_logit_softcapping")
"""Parts of an attention module that do something between projection and softmax."""


Watcher = Callable[[Tensor, Projected, Tensor], None]
"""Called with a layer's input (batch, position, d_model), its projections and its output."""


def attention_layers(model: Any) -> list[AttentionLayer]:
    """Return the attention layers of a Llama-like model, in its own type, sharing its weights.

    Raises
    ------
    UnsupportedModelError
        If the model's attention is not plain rotary attention.
    """
    name = type(model).__name__

    def refuse(why: str) -> UnsupportedModelError:
        return UnsupportedModelError(
            f"{name} cannot be converted into MLA: {why}; name a Llama-like model with --model, "
            "such as smollm2-packaged"
        )

    decoder: Any = getattr(model, "model", None)
    rotary = getattr(decoder, "rotary_emb", None)
    if rotary is None or not hasattr(decoder, "layers"):
        raise refuse("it has no rotary positions of one kind for all its layers")
    kind = getattr(rotary, "rope_type", "default")
    if kind not in _PLAIN_ROTATIONS or getattr(rotary, "attention_scaling", 1.0) != 1.0:
        raise refuse(f"its rotary positions are of the kind '{kind}'")
    frequencies = rotary.inv_freq.detach().float()
    layers = []
    for number, block in enumerate(decoder.layers):
        module = getattr(block, "self_attn", None)
        parts = [getattr(module, f"{letter}_proj", None) for letter in "qkvo"]
        if not all(isinstance(part, torch.nn.Linear) for part in parts):
            raise refuse(f"layer {number} has no attention with four projections")
        unknown = [part for part in _UNKNOWN_PARTS if getattr(module, part, None) is not None]
        if unknown:
            raise refuse(f"it has {unknown[0]} in its attention")
        if _sliding_window(model.config, number) < WINDOW:
            raise refuse("its attention looks only a window back")
        layers.append(_read(module, [part for part in parts if part is not None], frequencies))
    if 2 * len(frequencies) != layers[0].W_Q.shape[2]:
        raise refuse("it rotates only a part of each head")
    return layers


def _sliding_window(config: Any, layer: int) -> float:
    """Return how many tokens a layer looks back; infinity if it looks at all of them."""
    width = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    slides = (
        getattr(config, "use_sliding_window", True)
        if kinds is None
        else kinds[layer] != "full_attention"
    )
    return float(width) if width and slides else math.inf


def _read(module: Any, parts: Sequence[torch.nn.Linear], frequencies: Tensor) -> AttentionLayer:
    """Read the weights of one attention module."""
    width = int(module.head_dim)
    weights = [part.weight.detach() for part in parts]
    # Without a bias, zeros.
    biases = [
        torch.zeros(part.out_features) if part.bias is None else part.bias.detach()
        for part in parts
    ]
    W_Q, W_K, W_V = (w.T.view(w.shape[1], -1, width) for w in weights[:3])
    b_Q, b_K, b_V = (bias.reshape(-1, width) for bias in biases[:3])
    return AttentionLayer(
        W_Q=W_Q,
        W_K=W_K,
        W_V=W_V,
        W_O=weights[3].T.view(-1, width, len(weights[3])),
        b_Q=b_Q,
        b_K=b_K,
        b_V=b_V,
        b_O=biases[3],
        frequencies=frequencies,
        scale=float(module.scaling),
    )


class Replacement(torch.nn.Module):
    """Stands where a model's attention module was."""

    def __init__(self, layer: Layer, watch: Watcher = lambda *_: None) -> None:
        super().__init__()
        self._layer, self._watch = layer, watch

    def forward(self, hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        projected = self._layer.project(hidden_states)
        out = self._layer.output(attend(projected, self._layer.scale))
        self._watch(hidden_states, projected, out)
        return out, None


@contextmanager
def attention_replaced(model: Any, modules: Mapping[int, torch.nn.Module]) -> Iterator[None]:
    """Let a model run with other attention modules, by the number of the layer, in the block."""
    blocks = model.model.layers
    own = {number: blocks[number].self_attn for number in modules}
    try:
        for number, module in modules.items():
            blocks[number].self_attn = module
        yield
    finally:
        for number, module in own.items():
            blocks[number].self_attn = module


def run(model: Any, ids: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Return the logits (batch, position, vocabulary) of a model with these attention layers.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    ids : (batch, position) of int
    layers : sequence of Layer
        One for each layer of the model.
    """
    modules = {n: Replacement(layer) for n, layer in enumerate(layers)}
    with torch.inference_mode(), attention_replaced(model, modules):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits.float()


# --- One layer after the other --------------------------------------------------------------------


@dataclass
class LayerStream:
    """The residual stream of many windows, taken through the model one layer at a time.

    Only one layer's inputs are in memory, and a run that was stopped goes on at its layer.

    Attributes
    ----------
    model : transformers.PreTrainedModel
    layers : sequence of AttentionLayer
        The model's own.
    hidden : (window, position, d_model)
        The input of the next layer.
    number : int
        That layer.
    """

    model: Any
    layers: Sequence[AttentionLayer]
    hidden: Tensor
    number: int = 0

    @classmethod
    def start(cls, model: Any, layers: Sequence[AttentionLayer], windows: Tensor) -> LayerStream:
        """Embed the tokens of windows, (window, position)."""
        found: list[Tensor] = []

        def stop(module: Any, args: Any, kwargs: Any) -> None:
            found.append(hidden_states(args, kwargs))
            raise _FirstLayerError

        # The model's own way from tokens to the first layer, whatever it scales or norms there.
        hook = model.model.layers[0].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            with torch.inference_mode():
                for window in windows:
                    with suppress(_FirstLayerError):
                        model(input_ids=window[None], use_cache=False)
        finally:
            hook.remove()
        return cls(model, layers, torch.cat(found))

    @classmethod
    def restart(
        cls, model: Any, layers: Sequence[AttentionLayer], windows: Tensor, file: Path
    ) -> LayerStream:
        """Go on from a file of `keep`, or from the tokens if there is none."""
        piece = kept(file)
        return cls.start(model, layers, windows) if piece is None else cls(model, layers, **piece)

    def keep(self, file: Path) -> None:
        """Write the stream to a file."""
        keep({"hidden": self.hidden, "number": self.number}, file)

    def through(self, number: int, watch: Watcher = lambda *_: None) -> None:
        """Take the stream to a layer and through it, window by window, each a batch of one."""
        while self.number < number:
            self.through(self.number)
        block, rotary = self.model.model.layers[number], self.model.model.rotary_emb
        after = torch.empty_like(self.hidden)

        module = Replacement(self.layers[number], watch)
        with torch.inference_mode(), attention_replaced(self.model, {number: module}):
            positions = torch.arange(self.hidden.shape[1])[None]
            for i, hidden in enumerate(self.hidden):
                turned = rotary(hidden[None], positions)
                made = block(
                    hidden[None],
                    attention_mask=None,
                    position_ids=positions,
                    position_embeddings=turned,
                    use_cache=False,
                )
                after[i] = made[0] if isinstance(made, Tensor) else made[0][0]
        self.hidden, self.number = after, number + 1


def layer_by_layer(
    model: Any,
    layers: Sequence[AttentionLayer],
    windows: Tensor,
    folder: Path,
    make: Callable[[int, LayerStream], dict[str, Any]],
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict[str, Any]]:
    """Make a piece of each layer of a model that reads windows of text.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    layers : sequence of AttentionLayer
        The model's own.
    windows : (window, position) of int
        Tokens; each window is read by itself.
    folder : Path
        Finished pieces are kept there, so that a run that was stopped goes on.
    make : callable
        Takes the stream through the layer of this number, and returns its piece.
    progress : callable
        Called with the number of layers that are done.
    """
    made, stream, stream_file = [], None, folder / "stream.pt"
    for number in range(len(layers)):
        progress(number)
        file = folder / f"{number}.pt"
        piece = kept(file)
        if piece is None:
            stream = stream or LayerStream.restart(model, layers, windows, stream_file)
            piece = make(number, stream)
            keep(piece, file)
            stream.keep(stream_file)
        made.append(piece)
    stream_file.unlink(missing_ok=True)
    progress(len(layers))
    return made


class _FirstLayerError(Exception):
    """Ends a forward pass when the input of the first layer is known."""


class _Sums:
    """Sums over windows that make the statistics of one layer."""

    def __init__(self, layer: AttentionLayer, n_positions: int) -> None:
        self._layer = layer
        d_model, n_heads, width = layer.W_Q.shape
        zeros = [(d_model, d_model), (d_model,), (n_heads, width // 2), (n_positions,)]
        self._gram, self._total, self._energy, self._distances = (
            torch.zeros(shape, dtype=torch.float64) for shape in zeros
        )
        self._weight = 0.0
        self._queries = 0

    def add(self, x: Tensor, projected: Projected, out: Tensor) -> None:
        """Add one window; `x` is (1, position, d_model)."""
        (x,), (q, k, v) = x, projected
        n = len(x)
        # Every so many queries are enough to know where attention goes, and four times as fast.
        rows = torch.arange(n)[:: max(1, n // _SAMPLED_QUERIES)]
        sampled = scores(Projected(q[:, :, rows], k, v), self._layer.scale)[0]
        later = torch.arange(n) > rows[:, None]
        attention = sampled.masked_fill_(later, -torch.inf).softmax(dim=-1).mean(dim=0)
        received = attention.sum(dim=0)
        weight = 0.5 + 0.5 * received / received.mean()
        weighted = x * weight[:, None]
        self._gram += (x.T @ weighted).double()
        self._total += weighted.double().sum(dim=0)
        self._weight += float(weight.double().sum())
        squares = q[0].double().square().sum(dim=1)  # (head, width)
        self._energy += torch.stack(squares.chunk(2, dim=1)).sum(dim=0)
        self._queries += n
        distance = rows[:, None] - torch.arange(n)
        seen = distance >= 0
        self._distances.index_add_(0, distance[seen], attention[seen].double() / len(rows))

    def statistics(self, windows: int) -> LayerStatistics:
        """Return the statistics of all windows added."""
        n = len(self._distances)
        uniform = torch.arange(n, 0, -1).double()
        return LayerStatistics(
            gram=self._gram / self._weight,
            mean=self._total / self._weight,
            query_energy=self._energy / self._queries,
            distances=0.5 * self._distances / windows + 0.5 * uniform / uniform.sum(),
        )


def gather_statistics(
    model: Any,
    layers: Sequence[AttentionLayer],
    windows: Tensor,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> list[LayerStatistics]:
    """Return the statistics of every layer of a model that reads windows of text.

    The parameters are those of `layer_by_layer`.

    Raises
    ------
    ExtractError
        If the model computes numbers that are not finite.
    """

    def make(number: int, stream: LayerStream) -> dict[str, Any]:
        sums = _Sums(layers[number], windows.shape[1])
        stream.through(number, sums.add)
        if not stream.hidden.isfinite().all():
            raise ExtractError(f"layer {number} of the model gives numbers that are not finite")
        return vars(sums.statistics(len(windows)))

    pieces = layer_by_layer(model, layers, windows, folder, make, progress)
    return [LayerStatistics(**piece) for piece in pieces]
