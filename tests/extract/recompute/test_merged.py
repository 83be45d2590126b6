"""The merged matrix of queries' and keys' weights, against plain loops."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from extract.recompute.merged import MergedMatrix
from extract.trace import Trace
from tests.support.traces import make_trace

LAYER = 1  # whose weights a made-up trace holds
SHAPE = {"n_heads": 4, "n_kv_heads": 2, "d_head": 8, "d_model": 12, "positions": "rotary"}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(**SHAPE)


def plain_matrix(trace: Trace, head: int, distance: int) -> np.ndarray:
    """Return W_Q R(distance) W_K^T, number by number: each pair of channels is turned."""
    W_Q, W_K = (trace[f"{name}.{LAYER}"].astype(np.float64) for name in ("W_Q", "W_K"))
    queries, keys, half = W_Q[:, head], W_K[:, head // 2], 4
    rotation = trace.rotation(LAYER)
    merged = np.zeros((len(queries), len(keys)))
    for row, query in enumerate(queries):
        for column, key in enumerate(keys):
            for pair in range(half):
                turned = complex(query[pair], query[pair + half]) * cmath.exp(
                    1j * distance * float(rotation.steps[pair])
                )
                merged[row, column] += turned.real * key[pair] + turned.imag * key[pair + half]
    return merged


@pytest.mark.parametrize("distance", [0, 1, 5])
@pytest.mark.parametrize("head", [0, 3])
def test_the_matrix_is_that_of_plain_loops(trace: Trace, head: int, distance: int) -> None:
    merged = MergedMatrix(trace, LAYER, head).matrix(distance)
    np.testing.assert_allclose(merged, plain_matrix(trace, head, distance), rtol=1e-9, atol=1e-12)


def test_a_change_is_relative_to_the_first_distance(trace: Trace) -> None:
    """It is the root of the squares of what changed, by that of the squares of what there was."""
    distances = (2, 0, 7)
    first, *others = (plain_matrix(trace, 1, distance) for distance in distances)
    whole = math.sqrt(sum(number**2 for number in first.ravel()))
    lost = [math.sqrt(sum(n**2 for n in (other - first).ravel())) for other in others]
    expected = [0.0, *(length / whole for length in lost)]
    changes = MergedMatrix(trace, LAYER, 1).changes(distances)
    np.testing.assert_allclose(changes, expected, rtol=1e-9)
    assert min(expected[1:]) > 0.1


def test_a_score_at_the_true_distance_is_the_models_own(trace: Trace) -> None:
    query, key = 4, 1
    scores = MergedMatrix(trace, LAYER, 2).scores(query, key, 6)
    queries, keys = (trace[f"{name}.{LAYER}"].astype(np.float64) for name in ("q_rot", "k_rot"))
    own = sum(a * b for a, b in zip(queries[query, 2], keys[key, 1], strict=True))
    assert len(scores) == 6
    assert scores[query - key] == pytest.approx(own * trace.meta.score_scale, rel=1e-5)
    assert np.ptp(scores) > 1e-3
