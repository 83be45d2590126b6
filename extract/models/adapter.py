"""Convert TransformerLens activations to the trace's names and axes.

`TransformerLensAdapter` reads activations and weights; no other code handles the library's axes.
It knows no model with MLA, which `extract.models.module_reader` reads.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from extract.attention.arithmetic import as_float64, attend
from extract.attention.self_check import relative_error
from extract.errors import UnsupportedModelError
from extract.models.reader import (
    AttentionReader,
    Floats,
    LayerReading,
    as_numpy,
    dot_products,
    linear,
    weights_of_projections,
    window_of,
)
from extract.trace.contents.meta import TraceMeta

__all__ = ["reader_of_bridge", "run_with_cache"]

Cache = Mapping[str, torch.Tensor]

# The output is read at W_O ("o.hook_out"): in some model families the library's own "hook_out"
# already includes the residual.
_REQUIRED_HOOKS = ("hook_in", "hook_q", "hook_k", "hook_v", "hook_pattern", "hook_z", "o.hook_out")
_HOOKS = (*_REQUIRED_HOOKS, "hook_cos", "hook_sin", "hook_attn_scores")


def run_with_cache(bridge: Any, ids: Sequence[int]) -> tuple[torch.Tensor, Cache]:
    """Return a wrapped model's logits, [pos, vocabulary], and the activations for a trace.

    Raises
    ------
    UnsupportedModelError
        If the library cannot run it, or does not show its attention.
    """
    layers = range(len(bridge.blocks))
    hooks = {f"blocks.{layer}.attn.{hook}" for layer in layers for hook in _HOOKS}
    with torch.inference_mode():
        tokens = torch.tensor([list(ids)], device=bridge.cfg.device)
        try:
            logits, cache = bridge.run_with_cache(tokens, names_filter=hooks.__contains__)
        except (AttributeError, TypeError) as error:  # a family that the library does not fit
            raise UnsupportedModelError("TransformerLens cannot run it") from error
    required = {f"blocks.{layer}.attn.{hook}" for layer in layers for hook in _REQUIRED_HOOKS}
    if not required <= cache.keys():
        raise UnsupportedModelError("it has a layer that TransformerLens does not know")
    return logits[0].float().cpu(), cache


def reader_of_bridge(bridge: Any, cache: Cache, several: Cache) -> AttentionReader:
    """Return a reader that rotates or biases as a wrapped model does.

    The rotation or the slopes are found by comparison with the model's own scores.

    Parameters
    ----------
    bridge : transformer_lens TransformerBridge
    cache : mapping
        Activations of `run_with_cache`.
    several : mapping
        The same of at least two positions: position 0 alone has rotation angle 0 and distance 0.

    Raises
    ------
    UnsupportedModelError
        If the scores depend on positions and the library does not show them, or how.
    """

    def weights(layer: int, meta: TraceMeta) -> dict[str, Floats]:
        parts = bridge.blocks[layer].attn.submodules
        projections = {name: linear(parts[name].original_component) for name in "qkvo"}
        return weights_of_projections(projections, meta)

    return AttentionReader.of(
        len(bridge.blocks),
        *(partial(_reading, bridge, cache), partial(_reading, bridge, several), weights),
        unrotated="learned" if hasattr(bridge, "pos_embed") else "none",
    )


def _reading(bridge: Any, cache: Cache, layer: int) -> LayerReading:
    """Return what the library shows of a layer."""
    arrays, scores = _layer_arrays(cache, layer)
    scale = _score_scale(bridge.blocks[layer].attn.original_component, arrays, cache)
    embedding = bridge.cfg.positional_embedding_type
    hooks = [f"blocks.{layer}.attn.hook_{table}" for table in ("cos", "sin")]
    tables = tuple(cache[hook][0] for hook in hooks if hook in cache)
    if embedding == "rotary" and not tables:
        raise UnsupportedModelError("TransformerLens does not show its rotation")
    products = bias = None
    if embedding == "alibi" or tables:
        if scores is None:
            raise UnsupportedModelError("TransformerLens does not show its scores")
        if embedding == "alibi":
            bias = scores - dot_products(arrays["q"], arrays["k"]) * scale
            # Model families measure the distance of the bias from different positions.  That adds
            # a constant to a row, which its softmax ignores.  Here the bias at the query itself is
            # 0.
            own_bias = np.diagonal(bias, axis1=-2, axis2=-1)
            scores = np.tril(scores - own_bias[..., None]).astype(np.float32)
        else:
            products = as_float64(scores) / scale
    return LayerReading(
        arrays=arrays,
        scores=scores,
        products=products,
        bias=bias,
        tables=tables,
        scale=scale,
        window=_window(arrays["pattern"]),
    )


def _layer_arrays(cache: Cache, layer: int) -> tuple[dict[str, Floats], Floats | None]:
    """Return a layer's activations before any rotation, and its scores if they are shown.

    Raises
    ------
    UnsupportedModelError
        If an array has unexpected axes or the pattern is not causal.
    """

    def hook(name: str) -> Floats:
        return as_numpy(cache[f"blocks.{layer}.attn.{name}"][0])

    arrays = {name: hook(f"hook_{name}") for name in ("q", "k", "v", "pattern", "z")}
    arrays |= {"x": hook("hook_in"), "out": hook("o.hook_out")}
    n_positions, n_heads = arrays["q"].shape[:2]
    arrays["z"] = arrays["z"].reshape(n_positions, n_heads, -1)
    expected = {
        "q": (n_positions, n_heads, None),
        "k": (n_positions, None, arrays["q"].shape[-1]),
        "v": (n_positions, arrays["k"].shape[1], None),
        "pattern": (n_heads, n_positions, n_positions),
        "z": (n_positions, n_heads, arrays["v"].shape[-1]),
        "out": arrays["x"].shape,
    }
    for name, axes in expected.items():
        shape = arrays[name].shape
        if len(shape) != len(axes) or any(
            want not in (None, have) for want, have in zip(axes, shape, strict=True)
        ):
            raise UnsupportedModelError(f"'{name}' of layer {layer} has shape {list(shape)}")
    if np.triu(arrays["pattern"], k=1).any():
        raise UnsupportedModelError(f"in layer {layer} queries see later keys (not causal)")
    if f"blocks.{layer}.attn.hook_attn_scores" not in cache:
        return arrays, None
    scores = hook("hook_attn_scores")
    # Where the library does not recompute attention itself, it gives the pattern again for scores.
    # Above the diagonal it stores the lowest float32 number.
    return arrays, None if np.array_equal(scores, arrays["pattern"]) else np.tril(scores)


def _window(pattern: Floats) -> int:
    """Return how many keys a query sees at most, or 0; others are those that no head weighs."""
    return window_of(np.asarray((pattern > 0).any(axis=0))) or 0


def _score_scale(module: Any, arrays: Mapping[str, Floats], cache: Cache) -> float:
    """Return the factor that a layer multiplies its dot products by."""
    for name in ("scaling", "softmax_scale"):
        if isinstance(scale := getattr(module, name, None), float):
            return scale
    queries, keys, pattern = arrays["q"], arrays["k"], arrays["pattern"]
    usual = float(queries.shape[-1] ** -0.5)
    if "blocks.0.attn.hook_cos" in cache or queries.shape != keys.shape:
        return usual
    # GPT-Neo does not scale its scores, and does not say so.
    window = _window(pattern)

    def error(scale: float) -> float:
        return relative_error(attend(queries, keys, keys, scale, window=window).pattern, pattern)

    return min((usual, 1.0), key=error)
