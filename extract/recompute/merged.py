"""The matrix into which the queries' and the keys' weights would merge, at any distance.

Without rotation a score is ``x_q (W_Q W_K^T) x_k^T``, with one product that could be computed once.
With it the rotation R stands in between, and the product ``M(d) = W_Q R(d) W_K^T`` depends on how
far apart the two tokens are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from extract.attention.arithmetic import Array, as_float64
from extract.trace import Trace

__all__ = ["MergedMatrix"]


class MergedMatrix:
    """The merged matrix of one traced head, and what it makes of two tokens.

    Parameters
    ----------
    trace : Trace
        Of a model that rotates queries and keys, with the weights of the layer.
    layer, head : int
    """

    def __init__(self, trace: Trace, layer: int, head: int) -> None:
        self.trace, self.layer, self.head = trace, layer, head
        self.kv_head, self.rotation = trace.kv_head(head), trace.rotation(layer)

    def matrix(self, distance: int) -> Array:
        """Return M(d), (d_model, d_model)."""
        W_Q, W_K = (as_float64(self.trace.weights(name, self.layer)) for name in ("W_Q", "W_K"))
        queries = self.rotation.further(W_Q[:, self.head], distance)
        return np.asarray(queries @ W_K[:, self.kv_head].T)

    def changes(self, distances: Sequence[int]) -> Array:
        """Return how much M(d) differs from the M(d) of the first distance, relative to it."""
        first = self.matrix(distances[0])
        lost = [float(np.linalg.norm(self.matrix(distance) - first)) for distance in distances]
        return as_float64(lost) / float(np.linalg.norm(first))

    def scores(self, query: int, key: int, distances: int) -> Array:
        """Return the scaled scores of two positions if they were 0, 1, 2 ... apart."""
        trace = self.trace
        q = as_float64(trace.get(trace.unrotated("q"), self.layer))[query, self.head]
        k = as_float64(trace.get(trace.unrotated("k"), self.layer))[key, self.kv_head]
        scores = [self.rotation.further(q, distance) @ k for distance in range(distances)]
        return np.array(scores) * trace.meta.score_scale
