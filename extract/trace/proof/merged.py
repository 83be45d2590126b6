"""The matrix into which the queries' and the keys' weights would merge, at any distance.

Without rotation a score is ``x_q (W_Q W_K^T) x_k^T``, with one product that could be computed once.
With it the rotation R stands in between, and the product ``M(d) = W_Q R(d) W_K^T`` depends on how
far apart the two tokens are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from extract.attention.arithmetic import Array, Rotation, as_float64
from extract.trace.contents.activations import Activations

__all__ = ["MergedMatrix", "MergedWeights"]


class MergedWeights:
    """The merged matrix of one head's weights at each distance.

    Parameters
    ----------
    W_Q, W_K : (d_model, d_qk)
    rotation : Rotation
    """

    def __init__(self, W_Q: Array, W_K: Array, rotation: Rotation) -> None:
        self._W_Q, self._W_K, self._rotation = W_Q, W_K, rotation

    @cached_property
    def _grams(self) -> tuple[Array, Array]:
        """The products of W_Q and of W_K with themselves, each (d_qk, d_qk)."""
        return self._W_Q.T @ self._W_Q, self._W_K.T @ self._W_K

    def rotated(self, queries: Array, distance: int) -> Array:
        """Return queries (..., d_qk) times R(d)."""
        return self._rotation.further(queries, distance)

    def matrix(self, distance: int) -> Array:
        """Return M(d), (d_model, d_model)."""
        return np.asarray(self.rotated(self._W_Q, distance) @ self._W_K.T)

    def changes(self, distances: Sequence[int]) -> Array:
        """Return how much M(d) differs from the M(d) of the first distance, relative to it."""
        products = self._products(distances)
        lost = products[0, 0] - 2 * products[0] + products.diagonal()
        return np.asarray(np.sqrt(np.maximum(lost, 0.0) / products[0, 0]))

    def best_single(self, distances: Sequence[int]) -> float:
        """Return what the best single matrix for some distances, their mean, misses of them."""
        products = self._products(distances)
        lost = products.trace() - products.sum() / len(products)
        return float(np.sqrt(max(lost, 0.0) / products.trace()))

    def _products(self, distances: Sequence[int]) -> Array:
        """Return the sum over all entries of M(a) times M(b), without forming either.

        Returns
        -------
        (distance, distance)
        """
        queries, keys = self._grams
        R = np.stack([self.rotated(np.eye(len(queries)), d) for d in distances])
        return np.asarray(np.tensordot(R, queries @ R @ keys, axes=((1, 2), (1, 2))))


class MergedMatrix(MergedWeights):
    """The merged matrix of one traced head, and what it makes of two tokens.

    Parameters
    ----------
    trace : Activations
        Of a model that rotates queries and keys, with the weights of the layer.
    layer, head : int
    """

    def __init__(self, trace: Activations, layer: int, head: int) -> None:
        self.trace, self.layer, self.head = trace, layer, head
        self.kv_head = trace.kv_head(head)
        W_Q, W_K = (as_float64(trace.weights(name, layer)) for name in ("W_Q", "W_K"))
        super().__init__(W_Q[:, head], W_K[:, self.kv_head], trace.rotation(layer))

    def scores(self, query: int, key: int, distances: int) -> Array:
        """Return the scaled scores of two positions if they were 0, 1, 2 ... apart."""
        trace = self.trace
        q = as_float64(trace.get(trace.unrotated("q"), self.layer))[query, self.head]
        k = as_float64(trace.get(trace.unrotated("k"), self.layer))[key, self.kv_head]
        scores = [self.rotated(q, d) @ k for d in range(distances)]
        return np.array(scores) * trace.meta.score_scale
