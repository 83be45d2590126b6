"""Attention in numpy: many heads, shared key/value heads, rotary positions.

Everything here is computed in float64 without any model library, so that every picture can be
checked against it.  Conventions, the same as in a trace:

* rows are queries and columns are keys: ``scores`` and ``pattern`` are (n_heads, query, key);
* queries, keys and values are (position, head, width);
* query head ``h`` uses key and value head ``h // (n_heads // n_kv_heads)``, so multi-head
  attention has as many key and value heads as query heads, grouped-query attention fewer, and
  multi-query attention one;
* ``scores`` are scaled and finite everywhere; the causal mask is applied when the ``pattern`` is
  computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "AttentionResult",
    "Rotation",
    "as_float64",
    "attend",
    "capped",
    "causal_mask",
    "for_each_head",
    "merge_heads",
    "pool_heads",
    "project",
    "rotated_pairs",
    "softmax",
    "total_variation",
]

Array = NDArray[np.float64]


def as_float64(values: ArrayLike) -> Array:
    """Return `values` as a float64 array."""
    return np.asarray(values, dtype=np.float64)


# --- Scores, pattern and z ------------------------------------------------------------------------


def softmax(scores: ArrayLike) -> Array:
    """Return the softmax of scores along the last axis.

    Parameters
    ----------
    scores : (..., key)
        May contain ``-inf`` for masked keys, which get weight 0; not for all keys of a row.

    Returns
    -------
    (..., key)
        Non-negative, each row summing to 1.
    """
    scores = as_float64(scores)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return weights


def causal_mask(n_queries: int, n_keys: int, window: int = 0) -> NDArray[np.bool_]:
    """Return which keys each query attends to: its own position and those before it.

    Parameters
    ----------
    n_queries, n_keys : int
        The queries are the last `n_queries` of the `n_keys` positions, as in decoding, where the
        earlier keys come from a cache.
    window : int
        Number of keys that a query attends to at most, its own and those right before it, as in
        sliding-window attention; 0 for all.

    Returns
    -------
    (n_queries, n_keys) of bool
        True where the query may attend to the key.

    Examples
    --------
    >>> causal_mask(2, 3).tolist()
    [[True, True, False], [True, True, True]]
    >>> causal_mask(2, 3, window=2).tolist()
    [[True, True, False], [False, True, True]]
    """
    if not 0 < n_queries <= n_keys:
        raise ValueError(
            f"{n_queries} queries cannot be the last of {n_keys} positions; "
            "need 0 < queries <= keys"
        )
    own = n_keys - n_queries  # the first query's own key
    allowed = np.tri(n_queries, n_keys, k=own, dtype=np.bool_)
    if window:
        allowed &= ~np.tri(n_queries, n_keys, k=own - window, dtype=np.bool_)
    return allowed


class AttentionResult(NamedTuple):
    """Scores, pattern and z computed from queries, keys and values.

    Attributes
    ----------
    scores : (n_heads, query, key)
        Scaled dot products with their bias and cap, not masked.
    pattern : (n_heads, query, key)
        Softmax of the scores over the keys that the causal mask allows; 0 elsewhere.
    z : (query, n_heads, d_v)
        Sum of the values, weighted by the pattern.
    """

    scores: Array
    pattern: Array
    z: Array


def capped(scores: ArrayLike, cap: float) -> Array:
    """Return scores squeezed between -cap and cap by a tanh, as in Gemma 2; unchanged if cap is 0.

    Small scores hardly change, and no score is beyond the cap.
    """
    scores = as_float64(scores)
    return np.asarray(cap * np.tanh(scores / cap)) if cap else scores


def attend(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    scale: float,
    score_bias: ArrayLike = 0.0,
    *,
    window: int = 0,
    cap: float = 0.0,
    sinks: ArrayLike | None = None,
) -> AttentionResult:
    """Compute causal attention of each query head to its key and value head.

    Parameters
    ----------
    q : (query, n_heads, d_qk)
    k : (key, n_kv_heads, d_qk)
    v : (key, n_kv_heads, d_v)
        The queries are those of the last key positions.  `n_kv_heads` divides `n_heads`.
    scale : float
        Multiplies the dot products, usually ``1 / sqrt(d_qk)``.
    score_bias : broadcasts to (n_heads, query, key)
        Added after scaling; models with ALiBi positions have one.
    window : int
        See `causal_mask`.
    cap : float
        The scores are then squeezed between -cap and cap; see `capped`.
    sinks : (n_heads,), optional
        Scores of a key that is no token and has no value: the softmax counts it in each row, so
        that the rest of the row sums to less than 1, as in GPT-OSS.

    Raises
    ------
    ValueError
        If the number of query heads is not a multiple of the number of key and value heads, or if
        keys and values differ in positions or heads.

    Examples
    --------
    Two queries, each of one head; every key is the same, so each row is shared out evenly:

    >>> import numpy as np
    >>> from extract.attention import attend
    >>> q, k, v = np.ones((3, 2, 1, 4))
    >>> attend(q, k, v, scale=0.5).pattern.tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """
    q, k, v = as_float64(q), as_float64(k), as_float64(v)
    n_heads, n_kv_heads = q.shape[1], k.shape[1]
    if v.shape[:2] != k.shape[:2] or n_heads % n_kv_heads:
        raise ValueError(
            f"{n_heads} query heads cannot share keys {k.shape} and values {v.shape}: "
            "keys and values need equal positions and heads, and their heads must divide "
            "the query heads"
        )
    k, v = for_each_head(k, n_heads), for_each_head(v, n_heads)
    scores = scale * np.einsum("qhd,khd->hqk", q, k, optimize=True) + as_float64(score_bias)
    scores = capped(scores, cap)
    allowed = causal_mask(q.shape[0], k.shape[0], window)
    masked = np.where(allowed, scores, -np.inf)
    if sinks is not None:
        sink_scores = np.broadcast_to(as_float64(sinks)[:, None, None], (*scores.shape[:2], 1))
        masked = np.concatenate([masked, sink_scores], axis=-1)
    pattern = softmax(masked)[..., : k.shape[0]]
    z = np.einsum("hqk,khd->qhd", pattern, v, optimize=True)
    return AttentionResult(scores, pattern, z)


def for_each_head(shared: ArrayLike, n_heads: int) -> Array:
    """Repeat keys, values or their weights, (..., n_kv_heads, width), for each query head."""
    shared = as_float64(shared)
    return np.repeat(shared, n_heads // shared.shape[-2], axis=-2)


def total_variation(pattern: ArrayLike, other: ArrayLike) -> Array:
    """Return the total variation distance between the rows of two patterns.

    Parameters
    ----------
    pattern, other : (..., query, key)
        Rows that sum to 1.

    Returns
    -------
    (..., query)
        Half the sum of the absolute differences: 0 for equal rows, 1 for rows that share no key.
        It is the fraction of the attention that goes to other keys.
    """
    distance: Array = 0.5 * np.abs(as_float64(pattern) - as_float64(other)).sum(axis=-1)
    return distance


# --- Rotary positions -----------------------------------------------------------------------------


def rotated_pairs(n_pairs: int, style: str, start: int = 0) -> NDArray[np.int_]:
    """Return the two channels of each pair that a `Rotation` turns together, (n_pairs, 2)."""
    index = np.arange(n_pairs)
    first, apart = (index, n_pairs) if style == "half" else (2 * index, 1)
    return start + np.stack([first, first + apart], axis=1)


@dataclass(frozen=True, eq=False)
class Rotation:
    """Rotation of pairs of channels by angles that depend on the position.

    ``2 * n_pairs`` neighbouring channels of each head rotate and the others are unchanged, which
    includes models that rotate only a part of each head.  The dot product of a rotated query and a
    rotated key depends on the difference of their angles, so only on the distance between their
    positions.

    Attributes
    ----------
    cos, sin : (position, n_pairs)
        Cosine and sine of one angle for each pair of channels; some models scale both.
    style : {"half", "interleaved"}
        Which two channels make pair ``i``: ``(i, i + n_pairs)`` for "half" (Llama, GPT-NeoX),
        ``(2 i, 2 i + 1)`` for "interleaved" (the original formulation, DeepSeek).
    start : int
        The first channel that rotates.
    """

    cos: NDArray[Any]
    sin: NDArray[Any]
    style: str = "half"
    start: int = 0

    @classmethod
    def by_angles(cls, angles: ArrayLike, style: str = "half") -> Rotation:
        """Return the rotation by these angles, (position, n_pairs), in radians."""
        angles = as_float64(angles)
        return cls(np.cos(angles), np.sin(angles), style)

    @property
    def pairs(self) -> NDArray[np.int_]:
        """The two channels of each pair, (n_pairs, 2)."""
        return rotated_pairs(self.cos.shape[-1], self.style, self.start)

    @property
    def steps(self) -> Array:
        """The angle of each pair from one position to the next, (n_pairs,), in radians.

        It needs two positions.
        """
        factors = self._factors
        return np.asarray(np.angle(factors[1] * factors[0].conj()))

    def apply(self, x: ArrayLike) -> Array:
        """Rotate every head of `x`, (position, head, width), by the angles of its position."""
        x = as_float64(x)
        if x.shape[0] != len(self.cos) or x.shape[-1] <= self.pairs.max():
            raise ValueError(
                f"angles {self.cos.shape} do not fit {x.shape}: need one row per position and "
                "channels for every pair"
            )
        return self._multiplied(x, self._factors[:, None])

    def further(self, x: ArrayLike, positions: float) -> Array:
        """Rotate queries or keys, (..., width), as if they stood some positions further along.

        A fraction rotates by a part of the angle from one position to the next.
        """
        return self._multiplied(as_float64(x), np.exp(1j * positions * self.steps))

    def at(self, positions: slice) -> Rotation:
        """Return the rotation of a range of positions."""
        return replace(self, cos=self.cos[positions], sin=self.sin[positions])

    @property
    def _factors(self) -> NDArray[np.complex128]:
        """The rotations as complex numbers, (position, n_pairs)."""
        return np.asarray(as_float64(self.cos) + 1j * as_float64(self.sin))

    def _multiplied(self, x: Array, factors: NDArray[np.complex128]) -> Array:
        """Return `x` with its pairs of channels, as complex numbers, times factors."""
        first, second = self.pairs.T
        rotated = x.copy()
        turned = (x[..., first] + 1j * x[..., second]) * factors
        rotated[..., first], rotated[..., second] = turned.real, turned.imag
        return rotated


# --- A whole layer --------------------------------------------------------------------------------


def project(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Project inputs to queries, keys or values.

    Parameters
    ----------
    x : (position, d_model)
    weight : (d_model, head, width)
    bias : (head, width), optional

    Returns
    -------
    (position, head, width)
    """
    heads = np.tensordot(as_float64(x), as_float64(weight), axes=1)
    return heads if bias is None else heads + as_float64(bias)


def merge_heads(z: ArrayLike, W_O: ArrayLike, b_O: ArrayLike | None = None) -> Array:
    """Return the layer's output: the sum of all heads' contributions (TransformerLens: `result`).

    Parameters
    ----------
    z : (position, n_heads, width)
    W_O : (n_heads, width, d_model)
        Concatenating the heads and multiplying once, as most implementations do, is the same sum.
    b_O : (d_model,), optional

    Returns
    -------
    (position, d_model)
    """
    merged = np.tensordot(as_float64(z), as_float64(W_O), axes=2)
    return merged if b_O is None else merged + as_float64(b_O)


# --- Fewer key and value heads --------------------------------------------------------------------


def pool_heads(heads: ArrayLike, n_groups: int) -> Array:
    """Replace each group of neighbouring heads by its mean.

    Parameters
    ----------
    heads : (..., head, width)
        Activations, weights or biases; the last axis but one is the head.
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
