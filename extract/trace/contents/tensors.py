"""Names and shapes of the tensors that a trace holds; `extract.trace` lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt

from extract.trace.contents.conversion_names import conversion_axes, conversion_sizes
from extract.trace.contents.meta import TOP_TOKENS, TraceMeta

__all__ = ["LAYER_TENSORS", "ROTATION", "axis_sizes", "optional_axes", "required_axes"]

Axes = tuple[str, ...]
Tensors = Mapping[str, npt.NDArray[Any]]

ROTATION = ("rope_cos", "rope_sin")
"""Tensors that are stored once where all layers have the same."""

_WEIGHT_AXES: Mapping[str, Axes] = {
    "W_Q": ("d_model", "n_heads", "d_qk"),
    "W_K": ("d_model", "n_kv_heads", "d_qk"),
    "W_V": ("d_model", "n_kv_heads", "d_v"),
    "W_O": ("n_heads", "d_v", "d_model"),
    "b_Q": ("n_heads", "d_qk"),
    "b_K": ("n_kv_heads", "d_qk"),
    "b_V": ("n_kv_heads", "d_v"),
    "b_O": ("d_model",),
    "W_DQ": ("d_model", "r_q"),
    "g_Q": ("r_q",),
    "W_UQ": ("r_q", "n_heads", "d_qk"),
    "W_DKV": ("d_model", "r"),
    "W_KR": ("d_model", "rotary_dim"),
    "g_KV": ("r",),
    "W_UK": ("r", "n_heads", "d_content"),
    "W_UV": ("r", "n_heads", "d_v"),
}
_AXES: Mapping[str, Axes] = {
    "x": ("pos", "d_model"),
    "q": ("pos", "n_heads", "d_qk"),
    "k": ("pos", "n_kv_heads", "d_qk"),
    "v": ("pos", "n_kv_heads", "d_v"),
    "q_norm": ("pos", "n_heads", "d_qk"),
    "k_norm": ("pos", "n_kv_heads", "d_qk"),
    "g_q_norm": ("n_heads", "d_qk"),
    "g_k_norm": ("n_kv_heads", "d_qk"),
    "b_q_norm": ("n_heads", "d_qk"),
    "b_k_norm": ("n_kv_heads", "d_qk"),
    "q_rot": ("pos", "n_heads", "d_qk"),
    "k_rot": ("pos", "n_kv_heads", "d_qk"),
    **dict.fromkeys(ROTATION, ("pos", "n_pairs")),
    "sinks": ("n_heads",),
    "pattern": ("n_heads", "pos", "pos"),
    "z": ("pos", "n_heads", "d_v"),
    "out": ("pos", "d_model"),
    "q_latent": ("pos", "r_q"),
    "kv_latent": ("pos", "r"),
    "k_rope": ("pos", "rotary_dim"),
    **_WEIGHT_AXES,
}

LAYER_TENSORS = tuple(_AXES)
"""Names, without the layer's number, of what a trace may hold of each layer."""


_WEIGHTS = ("W_Q", "W_K", "W_V", "W_O")
_MLA_WEIGHTS = ("W_DKV", "W_KR", "W_UK", "W_UV", "g_KV", "W_O")
_MLA_LATENT_QUERY = ("W_DQ", "g_Q", "W_UQ")


def axis_sizes(meta: TraceMeta, tensors: Tensors) -> dict[str, int]:
    """Return the length of every axis that `required_axes` and `optional_axes` name."""
    sizes = {
        "pos": len(meta.tokens),
        "d_model": meta.d_model,
        "n_heads": meta.n_heads,
        "n_kv_heads": meta.n_kv_heads,
        "d_qk": meta.d_qk,
        "d_v": meta.d_v,
        "top": TOP_TOKENS,
        "rotary_dim": meta.rotary_dim,
        "n_pairs": meta.rotary_dim // 2,
        "d_content": meta.d_qk - meta.rotary_dim,
    }
    # The metadata do not hold the ranks: take each from the first tensor that has it, so that
    # the others are compared with it.
    for layer in range(meta.n_layers):
        for axis, name in (
            ("r", f"kv_latent.{layer}"),
            ("r_q", f"q_latent.{layer}"),
            ("r_q", f"W_DQ.{layer}"),
            (f"r_{layer}", f"latent.{layer}.W_DKV"),
        ):
            if name in tensors and tensors[name].ndim:
                sizes.setdefault(axis, tensors[name].shape[-1])
    return sizes | conversion_sizes(tensors, meta.featured.layer)


def required_axes(meta: TraceMeta, tensors: Tensors) -> Iterator[tuple[str, Axes]]:
    """Yield the names of the required tensors, with the names of their axes."""
    if meta.published is not None:
        for layer in range(meta.n_layers):
            yield from _in_layer(layer, "pattern")
        return
    yield "top_ids", ("pos", "top")
    yield "top_probs", ("pos", "top")
    if meta.positions == "alibi":
        yield "alibi_slopes", ("n_heads",)
    if meta.positions == "rotary" and meta.schema > 1:
        # Each layer has its own, or there is one for all of them.
        layers = range(meta.n_layers)
        if not all(f"{name}.{layer}" in tensors for name in ROTATION for layer in layers):
            yield from ((name, _AXES[name]) for name in ROTATION)
    for layer in range(meta.n_layers):
        yield from _in_layer(layer, "x", "q", "k", "v", "pattern", "z", "out")
        if meta.qk_norm is not None:
            yield from _in_layer(layer, "q_norm", "k_norm", "g_q_norm", "g_k_norm")
        if meta.positions == "rotary":
            yield from _in_layer(layer, "q_rot", "k_rot")
        if meta.sinks:
            yield from _in_layer(layer, "sinks")
        if meta.attention == "mla":
            yield from _in_layer(layer, "kv_latent", "k_rope")
        stored = any(f"{name}.{layer}" in tensors for name in _WEIGHT_AXES)
        if stored or layer == meta.featured.layer:
            yield from _in_layer(layer, *_weight_names(meta, tensors, layer))
        if any(name.startswith(f"latent.{layer}.") for name in tensors):
            yield f"latent.{layer}.W_DKV", ("d_model", f"r_{layer}")
            yield f"latent.{layer}.W_UK", (f"r_{layer}", "n_kv_heads", "d_qk")
            yield f"latent.{layer}.W_UV", (f"r_{layer}", "n_kv_heads", "d_v")
    yield from conversion_axes(tensors, meta.n_layers, meta.featured.layer)[0].items()


def optional_axes(meta: TraceMeta, tensors: Tensors) -> Iterator[tuple[str, Axes]]:
    """Yield the names of the optional tensors, with the names of their axes."""
    if meta.published is not None:
        for layer in range(meta.n_layers if meta.source.kind == "imported" else 0):
            yield from _in_layer(layer, "q", "k", "v")
        return
    for layer in range(meta.n_layers):
        yield from _in_layer(layer, "b_Q", "b_K", "b_V", "b_O")
        yield f"latent.{layer}.b_O", ("d_model",)
        if not meta.rotary_dim:
            yield f"shared.{layer}.W_DK", ("d_model", "d_qk")
            yield f"shared.{layer}.W_UK", ("d_qk", "n_kv_heads", "d_qk")
        if meta.qk_norm is not None:
            yield from _in_layer(layer, "b_q_norm", "b_k_norm")
        if meta.attention == "mla":
            yield from _in_layer(layer, "q_latent")
        if meta.positions == "rotary":
            yield from _in_layer(layer, *ROTATION)
    yield from conversion_axes(tensors, meta.n_layers, meta.featured.layer)[1].items()


def _in_layer(layer: int, *names: str) -> Iterator[tuple[str, Axes]]:
    """Yield the names of a layer's tensors, with the names of their axes."""
    return ((f"{name}.{layer}", _AXES[name]) for name in names)


def _weight_names(meta: TraceMeta, tensors: Tensors, layer: int) -> tuple[str, ...]:
    """Return the weights that must be stored for a layer if any of its weights is."""
    if meta.attention != "mla":
        return _WEIGHTS
    query_weights = _MLA_LATENT_QUERY if f"W_DQ.{layer}" in tensors else ("W_Q",)
    return (*query_weights, *_MLA_WEIGHTS)
