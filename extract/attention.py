"""Attention as plain arithmetic: many heads, shared key and value heads, rotary positions, a cache.

Everything here is numpy in float64, small, and free of any model library, so that every picture
can be checked against it.  Conventions, the same as in a trace:

* rows are queries and columns are keys: ``scores`` and ``pattern`` are (n_heads, query, key);
* queries, keys and values are (position, head, width);
* query head ``h`` reads key and value head ``h // (n_heads // n_kv_heads)``, so multi-head
  attention has as many key and value heads as query heads, grouped-query attention fewer, and
  multi-query attention one;
* ``scores`` are scaled and finite everywhere; the mask acts when they become the ``pattern``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "Attended",
    "AttentionWeights",
    "DecodeStep",
    "LayerShape",
    "MultiHead",
    "MultiplyAdds",
    "RotaryStyle",
    "Rotation",
    "as_float64",
    "attend",
    "causal_mask",
    "decode_with_cache",
    "merge_heads",
    "multi_head",
    "multiply_adds",
    "pool_heads",
    "pool_kv_heads",
    "project",
    "rotary_angles",
    "rotate",
    "softmax",
    "total_variation",
]

Array = NDArray[np.float64]
RotaryStyle = Literal["half", "interleaved"]


def as_float64(values: ArrayLike) -> Array:
    """Return `values` as a float64 array, whatever they were stored as."""
    return np.asarray(values, dtype=np.float64)


# --- One head after another -----------------------------------------------------------------------


def softmax(scores: ArrayLike) -> Array:
    """Turn scores into weights that sum to one along the last axis.

    Parameters
    ----------
    scores : (..., key)
        May hold ``-inf`` (a masked cell, weight 0), but not in a whole row.

    Returns
    -------
    (..., key)
        Non-negative, each row summing to 1.
    """
    scores = as_float64(scores)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return weights


def causal_mask(n_queries: int, n_keys: int) -> NDArray[np.bool_]:
    """Say which keys each query may look at: its own position and those before it.

    Parameters
    ----------
    n_queries, n_keys : int
        The queries are the last `n_queries` of the `n_keys` positions, as they are when the
        earlier keys come out of a cache.

    Returns
    -------
    (n_queries, n_keys) of bool
        True where the query may look.

    Examples
    --------
    >>> causal_mask(2, 3).tolist()
    [[True, True, False], [True, True, True]]
    """
    if not 0 < n_queries <= n_keys:
        raise ValueError(
            f"{n_queries} queries cannot be the last of {n_keys} positions; "
            "need 0 < queries <= keys"
        )
    return np.tri(n_queries, n_keys, k=n_keys - n_queries, dtype=np.bool_)


class Attended(NamedTuple):
    """What attention makes of queries, keys and values.

    Attributes
    ----------
    scores : (n_heads, query, key)
        Scaled dot products, not masked.
    pattern : (n_heads, query, key)
        Softmax of the scores over the keys that the query may look at; 0 elsewhere.
    z : (query, n_heads, d_v)
        The values, mixed by the pattern.
    """

    scores: Array
    pattern: Array
    z: Array


def attend(
    q: ArrayLike, k: ArrayLike, v: ArrayLike, scale: float, score_bias: ArrayLike = 0.0
) -> Attended:
    """Causal attention of each query head to its key and value head.

    Parameters
    ----------
    q : (query, n_heads, d_qk)
    k : (key, n_kv_heads, d_qk)
    v : (key, n_kv_heads, d_v)
        The queries belong to the last positions of the keys.  `n_kv_heads` divides `n_heads`.
    scale : float
        Multiplies the dot products, usually ``1 / sqrt(d_qk)``.
    score_bias : broadcasts to (n_heads, query, key)
        Added after scaling; models with ALiBi positions have one.

    Raises
    ------
    ValueError
        If the key and value heads cannot be shared out evenly among the query heads.
    """
    q, k, v = as_float64(q), as_float64(k), as_float64(v)
    n_heads, n_kv_heads = q.shape[1], k.shape[1]
    if v.shape[:2] != k.shape[:2] or n_heads % n_kv_heads:
        raise ValueError(
            f"{n_heads} query heads cannot share keys {k.shape} and values {v.shape}: "
            "keys and values need equal positions and heads, and their heads must divide "
            "the query heads"
        )
    shared_by = n_heads // n_kv_heads
    k_of_head = np.repeat(k, shared_by, axis=1)  # (key, n_heads, d_qk)
    v_of_head = np.repeat(v, shared_by, axis=1)  # (key, n_heads, d_v)
    scores = scale * np.einsum("qhd,khd->hqk", q, k_of_head, optimize=True) + as_float64(score_bias)
    allowed = causal_mask(q.shape[0], k.shape[0])
    pattern = softmax(np.where(allowed, scores, -np.inf))
    z = np.einsum("hqk,khd->qhd", pattern, v_of_head, optimize=True)
    return Attended(scores, pattern, z)


def total_variation(pattern: ArrayLike, other: ArrayLike) -> Array:
    """How far each row of one pattern is from the same row of another.

    Parameters
    ----------
    pattern, other : (..., query, key)
        Rows that sum to 1.

    Returns
    -------
    (..., query)
        Half the sum of the absolute differences: 0 for equal rows, 1 for rows that share no key.
        It is the share of the attention that has moved to other keys.
    """
    moved: Array = 0.5 * np.abs(as_float64(pattern) - as_float64(other)).sum(axis=-1)
    return moved


# --- Rotary positions -----------------------------------------------------------------------------


def rotary_angles(positions: ArrayLike, dim: int, base: float = 10_000.0) -> Array:
    """Angles of the plain rotary position encoding (no frequency scaling).

    Parameters
    ----------
    positions : (position,)
        Counted from 0.
    dim : int
        Number of dimensions of each head that are rotated, an even number.
    base : float
        The model's ``rope_theta``.

    Returns
    -------
    (position, dim / 2)
        Radians: position times ``base ** (-2 i / dim)`` for pair ``i``.
    """
    if dim <= 0 or dim % 2:
        raise ValueError(f"rotation turns pairs of dimensions; {dim} is not a positive even number")
    frequencies = base ** (-np.arange(0, dim, 2) / dim)
    return np.outer(as_float64(positions), frequencies)


def rotate(
    heads: ArrayLike, cos: ArrayLike, sin: ArrayLike, style: RotaryStyle, start: int = 0
) -> Array:
    """Turn pairs of channels by their position's angles.

    Parameters
    ----------
    heads : (position, head, width)
    cos, sin : (position, n_pairs)
        Of one angle for each pair of channels; some models scale both.
    style : {"half", "interleaved"}
        "half" pairs channel i with i + n_pairs, "interleaved" 2i with 2i + 1.
    start : int
        The first channel that rotates.

    Returns
    -------
    (position, head, width)
        Channels outside the rotated ones are unchanged.
    """
    heads, cos, sin = as_float64(heads), as_float64(cos), as_float64(sin)
    n_pairs = cos.shape[-1]
    first = start + (np.arange(n_pairs) if style == "half" else 2 * np.arange(n_pairs))
    second = first + (n_pairs if style == "half" else 1)
    cos, sin = cos[:, None], sin[:, None]  # (position, 1, n_pairs)
    a, b = heads[..., first], heads[..., second]
    turned = heads.copy()
    turned[..., first] = a * cos - b * sin
    turned[..., second] = b * cos + a * sin
    return turned


@dataclass(frozen=True, eq=False)
class Rotation:
    """A rotation of pairs of dimensions, by an angle that depends on the position.

    The first ``2 * n_pairs`` dimensions of each head are rotated and the others pass through, which
    covers models that rotate only a part of each head.  A query and a key that are both rotated
    meet at the difference of their angles, so scores depend on the distance between positions only.

    Attributes
    ----------
    angles : (position, n_pairs)
        Radians.
    style : {"half", "interleaved"}
        Which two dimensions make pair ``i``: ``(i, i + n_pairs)`` for "half" (Llama, GPT-NeoX),
        ``(2 i, 2 i + 1)`` for "interleaved" (the original formulation, DeepSeek).
    """

    angles: Array
    style: RotaryStyle = "half"

    def apply(self, x: ArrayLike) -> Array:
        """Rotate every head of `x`, (position, head, width), by the angles of its position."""
        x = as_float64(x)
        n_pairs = self.angles.shape[1]
        if x.shape[0] != self.angles.shape[0] or x.shape[-1] < 2 * n_pairs:
            raise ValueError(
                f"angles {self.angles.shape} do not fit {x.shape}: need one row per position and "
                "at most half as many pairs as the head is wide"
            )
        return rotate(x, np.cos(self.angles), np.sin(self.angles), self.style)

    def at(self, positions: slice) -> Rotation:
        """Return the same rotation for a range of the positions."""
        return replace(self, angles=self.angles[positions])


# --- A whole layer --------------------------------------------------------------------------------


class LayerShape(NamedTuple):
    """The five numbers that fix an attention layer's arithmetic."""

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
        """The layer's dimensions, read from its weights."""
        d_model, n_heads, d_qk = self.W_Q.shape
        _, n_kv_heads, d_v = self.W_V.shape
        return LayerShape(d_model, n_heads, n_kv_heads, d_qk, d_v)


@dataclass(frozen=True, eq=False)
class MultiHead:
    """Everything one attention layer computes for a sequence.

    Attributes
    ----------
    q : (position, n_heads, d_qk)
    k : (position, n_kv_heads, d_qk)
        Before any rotation.
    v : (position, n_kv_heads, d_v)
    q_rot, k_rot
        As used in the scores; the same as `q` and `k` where nothing is rotated.
    scores, pattern : (n_heads, query, key)
        See `Attended`.
    z : (position, n_heads, d_v)
    out : (position, d_model)
        After W_O and b_O.
    """

    q: Array
    k: Array
    v: Array
    q_rot: Array
    k_rot: Array
    scores: Array
    pattern: Array
    z: Array
    out: Array


def project(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Map `x`, (position, d_model), to heads with `weight`, (d_model, head, width).

    Returns (position, head, width), with `bias`, (head, width), added if there is one.
    """
    heads = np.tensordot(as_float64(x), as_float64(weight), axes=1)
    return heads if bias is None else heads + as_float64(bias)


def merge_heads(z: ArrayLike, W_O: ArrayLike, b_O: ArrayLike | None = None) -> Array:
    """Add up the contributions of all heads to the layer's output.

    Parameters
    ----------
    z : (position, n_heads, width)
    W_O : (n_heads, width, d_model)
        Laying the heads side by side and multiplying once is the same sum.
    b_O : (d_model,), optional

    Returns
    -------
    (position, d_model)
    """
    merged = np.tensordot(as_float64(z), as_float64(W_O), axes=2)
    return merged if b_O is None else merged + as_float64(b_O)


def multi_head(
    x: ArrayLike, weights: AttentionWeights, scale: float, rotation: Rotation | None = None
) -> MultiHead:
    """Compute one causal attention layer, all positions at once.

    Parameters
    ----------
    x : (position, d_model)
        The normalised input of the layer.
    weights : AttentionWeights
    scale : float
        Multiplies the dot products, usually ``1 / sqrt(d_qk)``.
    rotation : Rotation, optional
        Applied to queries and keys, if the model has rotary positions.
    """
    q = project(x, weights.W_Q, weights.b_Q)
    k = project(x, weights.W_K, weights.b_K)
    v = project(x, weights.W_V, weights.b_V)
    q_rot = q if rotation is None else rotation.apply(q)
    k_rot = k if rotation is None else rotation.apply(k)
    scores, pattern, z = attend(q_rot, k_rot, v, scale)
    out = merge_heads(z, weights.W_O, weights.b_O)
    return MultiHead(q, k, v, q_rot, k_rot, scores, pattern, z, out)


# --- Fewer key and value heads --------------------------------------------------------------------


def pool_heads(heads: ArrayLike, n_groups: int) -> Array:
    """Average neighbouring heads into `n_groups` groups.

    Parameters
    ----------
    heads : (..., head, width)
        Activations, weights or biases; the second axis from the end counts heads.
    n_groups : int
        Must divide the number of heads.

    Returns
    -------
    (..., n_groups, width)
    """
    heads = as_float64(heads)
    *outer, n_heads, width = heads.shape
    if n_groups < 1 or n_heads % n_groups:
        raise ValueError(f"{n_heads} heads cannot be pooled into {n_groups} equal groups")
    pooled: Array = heads.reshape(*outer, n_groups, n_heads // n_groups, width).mean(axis=-2)
    return pooled


def pool_kv_heads(weights: AttentionWeights, n_groups: int) -> AttentionWeights:
    """Turn a layer into grouped-query (or, with one group, multi-query) attention.

    The key and value heads of each group are replaced by their mean, weights and biases alike, as
    in the GQA paper (Ainslie et al. 2023, arXiv 2305.13245, section 2.1).  That paper then trains
    on; without training the heads' patterns change, so recompute them with `multi_head`.

    Because projecting and rotating are linear and the same for every head, pooling the weights is
    the same as pooling the keys and values themselves, rotated or not.
    """
    return replace(
        weights,
        W_K=pool_heads(weights.W_K, n_groups),
        W_V=pool_heads(weights.W_V, n_groups),
        b_K=None if weights.b_K is None else pool_heads(weights.b_K, n_groups),
        b_V=None if weights.b_V is None else pool_heads(weights.b_V, n_groups),
    )


# --- One token at a time, with a cache ------------------------------------------------------------


class MultiplyAdds(NamedTuple):
    """Multiply-adds of one attention layer, stage by stage (biases and softmax not counted).

    Scores and mixing are counted for the keys that a query may look at only.
    """

    q: int
    k: int
    v: int
    scores: int
    z: int
    out: int

    @property
    def total(self) -> int:
        """All stages together."""
        return sum(self)


def multiply_adds(shape: LayerShape, n_new: int, n_cached: int = 0) -> MultiplyAdds:
    """Count the work of `n_new` tokens that follow `n_cached` tokens held in a cache.

    >>> multiply_adds(LayerShape(d_model=4, n_heads=1, n_kv_heads=1, d_qk=2, d_v=2), 1, 9).scores
    20
    """
    seen = n_new * n_cached + n_new * (n_new + 1) // 2  # query-key pairs on or below the diagonal
    return MultiplyAdds(
        q=n_new * shape.d_model * shape.n_heads * shape.d_qk,
        k=n_new * shape.d_model * shape.n_kv_heads * shape.d_qk,
        v=n_new * shape.d_model * shape.n_kv_heads * shape.d_v,
        scores=seen * shape.n_heads * shape.d_qk,
        z=seen * shape.n_heads * shape.d_v,
        out=n_new * shape.n_heads * shape.d_v * shape.d_model,
    )


@dataclass(frozen=True, eq=False)
class DecodeStep:
    """One step of decoding: what was computed, and what came out of the cache.

    Keys are cached as the scores use them, after rotation: a token's position never changes.
    Queries are not cached, because no later token looks at them.

    Attributes
    ----------
    k_reused : (n_cached, n_kv_heads, d_qk)
    v_reused : (n_cached, n_kv_heads, d_v)
        Read from the cache.
    q : (n_new, n_heads, d_qk)
    k : (n_new, n_kv_heads, d_qk)
    v : (n_new, n_kv_heads, d_v)
        Computed for the new tokens; `k` and `v` are then added to the cache.
    scores, pattern : (n_heads, n_new, n_cached + n_new)
        The new rows only.
    z : (n_new, n_heads, d_v)
    out : (n_new, d_model)
    work : MultiplyAdds
        Multiply-adds of this step.
    work_without_cache : MultiplyAdds
        Multiply-adds if all rows up to here were computed again, as a decoder without a cache must
        (the layers above need every row).
    """

    k_reused: Array
    v_reused: Array
    q: Array
    k: Array
    v: Array
    scores: Array
    pattern: Array
    z: Array
    out: Array
    work: MultiplyAdds
    work_without_cache: MultiplyAdds


def decode_with_cache(
    x: ArrayLike,
    weights: AttentionWeights,
    scale: float,
    *,
    n_prompt: int = 1,
    rotation: Rotation | None = None,
) -> list[DecodeStep]:
    """Compute one attention layer step by step, keeping keys and values in a cache.

    Parameters
    ----------
    x : (position, d_model)
        The inputs of all tokens, as they will have become known.
    weights, scale, rotation
        As for `multi_head`.
    n_prompt : int
        The first step takes this many tokens at once; each later step takes one.

    Returns
    -------
    list of DecodeStep
        Their rows, put together, equal those of `multi_head` on all of `x`.
    """
    x = as_float64(x)
    n_tokens = x.shape[0]
    if not 1 <= n_prompt <= n_tokens:
        raise ValueError(f"the prompt must hold 1 to {n_tokens} tokens, not {n_prompt}")
    shape = weights.shape
    k_cache = np.empty((0, shape.n_kv_heads, shape.d_qk))
    v_cache = np.empty((0, shape.n_kv_heads, shape.d_v))
    steps: list[DecodeStep] = []
    for start, stop in _step_bounds(n_prompt, n_tokens):
        new = x[start:stop]
        q = project(new, weights.W_Q, weights.b_Q)
        k = project(new, weights.W_K, weights.b_K)
        v = project(new, weights.W_V, weights.b_V)
        if rotation is not None:
            here = rotation.at(slice(start, stop))
            q, k = here.apply(q), here.apply(k)
        k_reused, v_reused = k_cache, v_cache
        k_cache, v_cache = np.concatenate([k_cache, k]), np.concatenate([v_cache, v])
        scores, pattern, z = attend(q, k_cache, v_cache, scale)
        steps.append(
            DecodeStep(
                k_reused=k_reused,
                v_reused=v_reused,
                q=q,
                k=k,
                v=v,
                scores=scores,
                pattern=pattern,
                z=z,
                out=merge_heads(z, weights.W_O, weights.b_O),
                work=multiply_adds(shape, stop - start, start),
                work_without_cache=multiply_adds(shape, stop),
            )
        )
    return steps


def _step_bounds(n_prompt: int, n_tokens: int) -> Sequence[tuple[int, int]]:
    """First and last-plus-one position of each decoding step."""
    return [(0, n_prompt), *((i, i + 1) for i in range(n_prompt, n_tokens))]
