"""The matrix into which the queries' and the keys' weights would merge, at any distance.

Without rotation a score is ``x_q (W_Q W_K^T) x_k^T``, with one product that could be computed once.
With it the rotation R stands in between, and the product ``M(d) = W_Q R(d) W_K^T`` depends on how
far apart the two tokens are.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from extract.attention import Array, as_float64
from extract.trace import Trace

__all__ = ["MergedMatrix"]


class MergedMatrix:
    """The merged matrix of one head at each distance.

    Parameters
    ----------
    trace : Trace
        Of a model that rotates the whole of its queries and keys.
    layer, head : int
    """

    def __init__(self, trace: Trace, layer: int, head: int) -> None:
        self.trace, self.layer, self.head = trace, layer, head
        self.kv_head = trace.kv_head(head)
        meta = trace.meta
        half = meta.rotary_dim // 2
        style = meta.rotary_style == "half"
        self._first = np.arange(half) if style else 2 * np.arange(half)
        self._second = self._first + (half if style else 1)

    @cached_property
    def _turns(self) -> Array:
        """The rotation of each position, (position, pairs), as complex factors.

        A trace does not hold them; they are those that fit the keys of all heads best.
        """
        trace = self.trace
        before, after = (
            self._pairs(as_float64(trace.get(name, self.layer)))
            for name in (trace.unrotated("k"), trace.used("k"))
        )
        factors = (before.conj() * after).sum(axis=1) / (np.abs(before) ** 2).sum(axis=1)
        return np.asarray(factors / np.abs(factors))

    def _pairs(self, heads: Array) -> Array:
        return np.asarray(heads[..., self._first] + 1j * heads[..., self._second])

    def rotated(self, queries: Array, distance: int) -> Array:
        """Return queries (..., d_qk) times R(d)."""
        turned = queries.copy()
        pairs = self._pairs(queries) * self._turns[distance] * self._turns[0].conj()
        turned[..., self._first], turned[..., self._second] = pairs.real, pairs.imag
        return turned

    def matrix(self, distance: int) -> Array:
        """Return M(d), (d_model, d_model); the distance is less than the trace's positions."""
        W_Q = as_float64(self.trace.weights("W_Q", self.layer))[:, self.head]
        W_K = as_float64(self.trace.weights("W_K", self.layer))[:, self.kv_head]
        return np.asarray(self.rotated(W_Q, distance) @ W_K.T)

    def change(self, distance: int) -> float:
        """Return how much M(d) differs from M(0), relative to it."""
        start = self.matrix(0)
        return float(np.linalg.norm(self.matrix(distance) - start) / np.linalg.norm(start))

    def scores(self, query: int, key: int, distances: int) -> Array:
        """Return the scaled scores of two positions if they were 0, 1, 2 ... apart."""
        trace = self.trace
        q = as_float64(trace.get(trace.unrotated("q"), self.layer))[query, self.head]
        k = as_float64(trace.get(trace.unrotated("k"), self.layer))[key, self.kv_head]
        scores = [self.rotated(q, d) @ k for d in range(distances)]
        return np.array(scores) * trace.meta.score_scale
