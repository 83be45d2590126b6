"""Test pooled keys and values against the whole layer computed from pooled weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.attention.arithmetic import Rotation
from extract.attention.head_norm import HeadNorm
from extract.recompute.sharing import groups_for, share_heads
from extract.trace import Trace
from tests.support.plain_attention import (
    AttentionWeights,
    LayerActivations,
    multi_head,
    pool_kv_heads,
    rotary_angles,
)
from tests.support.traces import make_trace

CASES = {
    "rotary": {"n_heads": 9, "n_kv_heads": 3, "d_head": 16, "positions": "rotary"},
    "interleaved": {"n_heads": 4, "positions": "rotary", "rotary_style": "interleaved"},
    "half a head rotates": {"n_heads": 4, "positions": "rotary", "rotary_dim": 4},
    "learned with biases": {"n_heads": 12, "d_head": 8, "biases": True},
}


def from_pooled_weights(trace: Trace, n_groups: int) -> LayerActivations:
    """Return the layer computed with the mean weights of each group, rotated after pooling."""
    layer, meta = trace.meta.featured.layer, trace.meta
    names = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O")
    weights = AttentionWeights(
        **{name: trace.get(name, layer) for name in names if trace.has(name, layer)}
    )
    rotation = None
    if trace.rotates:
        angles = rotary_angles(np.arange(len(meta.tokens)), meta.rotary_dim)
        rotation = Rotation.by_angles(angles, meta.rotary_style)
    pooled = pool_kv_heads(weights, n_groups)
    return multi_head(trace.get("x", layer), pooled, meta.score_scale, rotation)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("n_groups", [1, None])
def test_pooling_keys_is_pooling_weights_before_the_rotation(
    case: dict, n_groups: int | None
) -> None:
    trace = make_trace(**case)
    n_groups = n_groups or groups_for(trace.meta.n_kv_heads)
    shared = share_heads(trace, trace.meta.featured.layer, n_groups)
    expected = from_pooled_weights(trace, n_groups)
    for name, values in (("k", expected.k), ("v", expected.v), ("pattern", expected.pattern)):
        np.testing.assert_allclose(getattr(shared, name), values, atol=2e-5, err_msg=name)
    assert shared.pooled


def test_the_models_own_groups_change_nothing() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, positions="rotary")
    layer = trace.meta.featured.layer
    shared = share_heads(trace, layer, 2)
    assert not shared.pooled
    np.testing.assert_allclose(shared.pattern, trace.get("pattern", layer), atol=1e-6)
    np.testing.assert_array_equal(shared.v, trace.get("v", layer))
    assert shared.pattern_distance.worst < 1e-6


@pytest.mark.parametrize(
    "step",
    [
        {"positions": "alibi"},
        {"positions": "rotary", "qk_norm": HeadNorm("layer", "head", 1e-6)},
        {"window": 3},
        {"score_cap": 1.0},
        {"sinks": True},
        {"d_v": 5},
    ],
    ids=["position biases", "norm", "window", "cap", "sinks", "narrow values"],
)
def test_the_steps_of_the_layer_stay(step: dict[str, Any]) -> None:
    trace = make_trace(n_heads=4, **step)
    layer = trace.meta.featured.layer
    own = share_heads(trace, layer, 4)
    np.testing.assert_allclose(own.pattern, trace.get("pattern", layer), atol=1e-6)
    np.testing.assert_array_equal(own.v, trace.get("v", layer))


def test_the_distance_is_half_the_sum_of_differences_without_the_first_row() -> None:
    trace = make_trace(n_tokens=5, n_heads=4, n_generated=3)
    layer = trace.meta.featured.layer
    shared = share_heads(trace, layer, 1)
    rows = np.abs(shared.pattern - trace.get("pattern", layer)).sum(axis=-1) / 2
    rows = rows[:, 1 : trace.meta.n_prompt]
    assert shared.pattern_distance.mean == pytest.approx(rows.mean())
    assert shared.pattern_distance.worst == pytest.approx(rows.max())
    assert rows.max() > 0.1


def test_heads_know_their_groups() -> None:
    shared = share_heads(make_trace(n_heads=6), 1, 2)
    assert [*map(list, map(shared.heads, (0, 1)))] == [[0, 1, 2], [3, 4, 5]]


def test_groups_divide_the_heads() -> None:
    assert [groups_for(n) for n in (2, 3, 4, 6, 7, 8, 9, 12, 14, 16, 32)] == (
        [1, 1, 2, 3, 1, 4, 3, 4, 2, 4, 4]
    )
