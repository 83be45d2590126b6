"""A whole layer of attention in plain numpy, at once and with a cache, to compare others with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.attention.arithmetic import (
    Array,
    Rotation,
    as_float64,
    attend,
    merge_heads,
    pool_heads,
    project,
)


def rotary_angles(positions: ArrayLike, dim: int, base: float = 10_000.0) -> Array:
    """Return the angles of the plain rotary encoding of `dim` channels, (position, dim / 2)."""
    frequencies = base ** (-np.arange(0, dim, 2) / dim)
    return np.outer(as_float64(positions), frequencies)


class LayerShape(NamedTuple):
    """Dimensions of an attention layer."""

    d_model: int
    n_heads: int
    n_kv_heads: int
    d_qk: int
    d_v: int


@dataclass(frozen=True, eq=False)
class AttentionWeights:
    """The weights of one attention layer; any bias may be missing.

    Attributes
    ----------
    W_Q : (d_model, n_heads, d_qk)
    W_K : (d_model, n_kv_heads, d_qk)
    W_V : (d_model, n_kv_heads, d_v)
    W_O : (n_heads, d_v, d_model)
    b_Q : (n_heads, d_qk)
    b_K : (n_kv_heads, d_qk)
    b_V : (n_kv_heads, d_v)
    b_O : (d_model,)
    """

    W_Q: NDArray[Any]
    W_K: NDArray[Any]
    W_V: NDArray[Any]
    W_O: NDArray[Any]
    b_Q: NDArray[Any] | None = None
    b_K: NDArray[Any] | None = None
    b_V: NDArray[Any] | None = None
    b_O: NDArray[Any] | None = None

    @property
    def shape(self) -> LayerShape:
        """Dimensions of the layer, read from its weights."""
        d_model, n_heads, d_qk = self.W_Q.shape
        _, n_kv_heads, d_v = self.W_V.shape
        return LayerShape(d_model, n_heads, n_kv_heads, d_qk, d_v)


@dataclass(frozen=True, eq=False)
class LayerActivations:
    """Activations of one attention layer for a sequence.

    Attributes
    ----------
    q : (position, n_heads, d_qk)
    k : (position, n_kv_heads, d_qk)
        As used in the scores: rotated if anything is.
    v : (position, n_kv_heads, d_v)
    scores, pattern : (n_heads, query, key)
    z : (position, n_heads, d_v)
    out : (position, d_model)
        After W_O and b_O.
    """

    q: Array
    k: Array
    v: Array
    scores: Array
    pattern: Array
    z: Array
    out: Array


def multi_head(
    x: ArrayLike, weights: AttentionWeights, scale: float, rotation: Rotation | None = None
) -> LayerActivations:
    """Compute one causal attention layer for all positions of `x`, (position, d_model), at once."""
    q = project(x, weights.W_Q, weights.b_Q)
    k = project(x, weights.W_K, weights.b_K)
    v = project(x, weights.W_V, weights.b_V)
    if rotation is not None:
        q, k = rotation.apply(q), rotation.apply(k)
    scores, pattern, z = attend(q, k, v, scale)
    return LayerActivations(q, k, v, scores, pattern, z, merge_heads(z, weights.W_O, weights.b_O))


def pool_kv_heads(weights: AttentionWeights, n_groups: int) -> AttentionWeights:
    """Replace the key and value heads of each group by their mean, weights and biases alike.

    So the GQA paper does before it trains further (Ainslie et al. 2023, arXiv 2305.13245, section
    2.1). Projection and rotation are linear and the rotation is the same for every head, so pooling
    the weights equals pooling the keys and values themselves, rotated or not.
    """
    return replace(
        weights,
        W_K=pool_heads(weights.W_K, n_groups),
        W_V=pool_heads(weights.W_V, n_groups),
        b_K=None if weights.b_K is None else pool_heads(weights.b_K, n_groups),
        b_V=None if weights.b_V is None else pool_heads(weights.b_V, n_groups),
    )


@dataclass(frozen=True, eq=False)
class DecodeStep(LayerActivations):
    """One step of decoding: activations of the new tokens, and what was read from the cache.

    Attributes
    ----------
    scores, pattern : (n_heads, n_new, n_cached + n_new)
        The new rows only.
    k_reused : (n_cached, n_kv_heads, d_qk)
    v_reused : (n_cached, n_kv_heads, d_v)
        Read from the cache, to which `k` and `v` are then added. Keys are cached after rotation.
    """

    k_reused: Array
    v_reused: Array


def decode_with_cache(
    x: ArrayLike,
    weights: AttentionWeights,
    scale: float,
    *,
    n_prompt: int = 1,
    rotation: Rotation | None = None,
) -> list[DecodeStep]:
    """Compute one attention layer step by step, with a cache of keys and values.

    The first step takes the tokens of the prompt, each later one a single token. The steps' rows,
    concatenated, equal those of `multi_head` for all of `x`.
    """
    x = as_float64(x)
    shape = weights.shape
    k_cache = np.empty((0, shape.n_kv_heads, shape.d_qk))
    v_cache = np.empty((0, shape.n_kv_heads, shape.d_v))
    steps: list[DecodeStep] = []
    bounds = [(0, n_prompt), *((i, i + 1) for i in range(n_prompt, len(x)))]
    for start, stop in bounds:
        new = x[start:stop]
        q = project(new, weights.W_Q, weights.b_Q)
        k = project(new, weights.W_K, weights.b_K)
        v = project(new, weights.W_V, weights.b_V)
        if rotation is not None:
            there = rotation.at(slice(start, stop))
            q, k = there.apply(q), there.apply(k)
        k_reused, v_reused = k_cache, v_cache
        k_cache, v_cache = np.concatenate([k_cache, k]), np.concatenate([v_cache, v])
        scores, pattern, z = attend(q, k_cache, v_cache, scale)
        steps.append(
            DecodeStep(
                q,
                k,
                v,
                scores,
                pattern,
                z,
                out=merge_heads(z, weights.W_O, weights.b_O),
                k_reused=k_reused,
                v_reused=v_reused,
            )
        )
    return steps
