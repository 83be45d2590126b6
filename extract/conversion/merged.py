"""Why rotation blocks absorption: the merged matrix of query and key changes with distance.

Without rotation a score is ``x_q (W_Q W_K^T) x_k`` with one fixed matrix, which can be computed
once.  With it, the matrix ``M(d) = W_Q R(d) W_K^T`` depends on the distance d.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from extract.conversion.fits import AttentionLayer, rotate
from extract.models.featured import strongest_pair
from extract.trace import Trace
from extract.trace.contents.conversion_report import MergedMatrices

__all__ = ["DISTANCES", "MergedTable", "median_changes", "merged_table"]

DISTANCES = 101
"""Distances 0, 1, 2 ... that are measured."""


class MergedTable(NamedTuple):
    """Change and score at every distance, and the report on them.

    Attributes
    ----------
    change : (distance,)
        ||M(d) - M(0)|| / ||M(0)|| of the featured head.
    score : (distance,)
        Scaled score of the report's pair if the words were d apart.
    report : MergedMatrices
    """

    change: Tensor
    score: Tensor
    report: MergedMatrices


class _Merged:
    """Products of the merged matrices of one head, without ever forming one."""

    def __init__(self, layer: AttentionLayer, head: int, distances: Sequence[int]) -> None:
        kv_head = head * layer.W_K.shape[1] // layer.W_Q.shape[1]
        W_Q, W_K = layer.W_Q[:, head].double(), layer.W_K[:, kv_head].double()
        # <M(a), M(b)> = trace(R(a)^T (W_Q^T W_Q) R(b) (W_K^T W_K))
        self._queries, self._keys = W_Q.T @ W_Q, W_K.T @ W_K
        self._rotations = _rotations(layer, distances)

    def product(self, a: int, b: int) -> float:
        """Return the sum over all entries of the product of M(a) and M(b)."""
        R_a, R_b = self._rotations[a], self._rotations[b]
        return float((R_a * (self._queries @ R_b @ self._keys)).sum())

    def change(self, a: int, b: int) -> float:
        """Return ||M(b) - M(a)|| / ||M(a)||."""
        size = self.product(a, a)
        lost = size - 2 * self.product(a, b) + self.product(b, b)
        return float((max(lost, 0.0) / size) ** 0.5)


def _rotations(layer: AttentionLayer, distances: Sequence[int]) -> dict[int, Tensor]:
    """Return R(d), (d_qk, d_qk), for row vectors: q R(d) k^T is the score at distance d."""
    width, frequencies = layer.W_Q.shape[2], layer.frequencies.double()
    basis = torch.eye(width, dtype=torch.float64)[:, None]
    return {d: rotate(basis, frequencies, torch.tensor([d]))[:, 0] for d in distances}


def median_changes(layers: Sequence[AttentionLayer]) -> tuple[float, float]:
    """Return the median change from distance 0 to 1, and to 5, of all heads of a model."""
    every = [_Merged(one, h, (0, 1, 5)) for one in layers for h in range(one.W_Q.shape[1])]
    one, five = (float(torch.tensor([m.change(0, d) for m in every]).median()) for d in (1, 5))
    return one, five


def merged_table(
    trace: Trace, layers: Sequence[AttentionLayer], medians: tuple[float, float]
) -> MergedTable:
    """Measure the merged matrices of a trace's featured head.

    Parameters
    ----------
    trace : Trace
    layers : sequence of AttentionLayer
        Of its model.
    medians : tuple of float
        See `median_changes`.
    """
    meta = trace.meta
    layer, head = meta.featured.layer, meta.featured.head
    merged = _Merged(layers[layer], head, range(DISTANCES))
    n = meta.n_prompt
    query, key = strongest_pair(
        trace.get("pattern", layer)[head, :n, :n], meta.tokens[:n], meta.has_bos
    )
    q = torch.tensor(trace.get("q", layer)[query, head], dtype=torch.float64)
    k = torch.tensor(trace.get("k", layer)[key, trace.kv_head(head)], dtype=torch.float64)
    near = range(9)
    # The best single matrix is the mean of them all.
    sizes = sum(merged.product(d, d) for d in near)
    mean = sum(merged.product(a, b) for a in near for b in near) / len(near)
    rotations = _rotations(layers[layer], range(DISTANCES))
    return MergedTable(
        change=torch.tensor([merged.change(0, d) for d in range(DISTANCES)]),
        score=torch.tensor([float(q @ R @ k) for R in rotations.values()]) * layers[layer].scale,
        report=MergedMatrices(
            query=query,
            key=key,
            change_1_to_5=merged.change(1, 5),
            best_single=(max(sizes - mean, 0.0) / sizes) ** 0.5,
            median_change_1=medians[0],
            median_change_5=medians[1],
        ),
    )
