"""Why rotation blocks absorption: the merged matrix of query and key changes with distance.

Without rotation a score is ``x_q (W_Q W_K^T) x_k`` with one fixed matrix, which can be computed
once.  With it, the matrix ``M(d) = W_Q R(d) W_K^T`` depends on the distance d.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import Rotation, as_float64
from extract.conversion.fits import AttentionLayer
from extract.models.featured import strongest_pair
from extract.trace import Trace
from extract.trace.contents.conversion_report import MergedMatrices
from extract.trace.proof.merged import MergedMatrix, MergedWeights

__all__ = ["DISTANCES", "median_changes", "merged_matrices"]

DISTANCES = 101
"""Distances 0, 1, 2 ... that are measured."""


def median_changes(layers: Sequence[AttentionLayer]) -> tuple[float, float]:
    """Return the median change from distance 0 to 1, and to 5, of all heads of a model."""
    changes = []
    for layer in layers:
        W_Q, W_K = as_float64(layer.W_Q), as_float64(layer.W_K)
        rotation = Rotation.by_angles(np.outer(np.arange(2), layer.frequencies))
        group = W_Q.shape[1] // W_K.shape[1]
        for head in range(W_Q.shape[1]):
            merged = MergedWeights(W_Q[:, head], W_K[:, head // group], rotation)
            changes.append(merged.changes((0, 1, 5))[1:])
    one, five = np.quantile(changes, 0.5, axis=0, method="lower")
    return float(one), float(five)


def merged_matrices(
    trace: Trace, medians: tuple[float, float]
) -> tuple[MergedMatrices, dict[str, npt.NDArray[np.float32]]]:
    """Measure the merged matrices of a trace's featured head.

    Parameters
    ----------
    trace : Trace
    medians : tuple of float
        From `median_changes`.

    Returns
    -------
    report : MergedMatrices
    tensors : dict of str to array
        By their names in the trace: the change ||M(d) - M(0)|| / ||M(0)|| at every distance, and
        the scaled score of the report's pair if the words were d apart, both (distance,).
    """
    meta, n = trace.meta, trace.meta.n_prompt
    layer, head = meta.featured.layer, meta.featured.head
    merged = MergedMatrix(trace, layer, head)
    query, key = strongest_pair(
        trace.get("pattern", layer)[head, :n, :n], meta.tokens[:n], meta.has_bos
    )
    report = MergedMatrices(
        query=query,
        key=key,
        change_1_to_5=float(merged.changes((1, 5))[1]),
        best_single=merged.best_single(range(9)),
        median_change_1=medians[0],
        median_change_5=medians[1],
    )
    tensors = {
        "merged.change": merged.changes(range(DISTANCES)).astype(np.float32),
        "merged.score": merged.scores(query, key, DISTANCES).astype(np.float32),
    }
    return report, tensors
