"""Test that decoding with a cache gives the rows of the full pass, and count its multiply-adds."""

from __future__ import annotations

import numpy as np
import pytest

from extract.attention.head_norm import HeadNorm
from extract.recompute.decoding import decode
from tests.support.plain_attention import AttentionWeights, decode_with_cache
from tests.support.traces import make_trace, replaced

KINDS = {
    "shared heads, rotary": {"n_kv_heads": 2, "positions": "rotary"},
    "biases": {"biases": True},
    "alibi": {"positions": "alibi"},
    "norm": {"positions": "rotary", "n_kv_heads": 2, "qk_norm": HeadNorm("rms", "token", 1e-6)},
    "window": {"window": 3},
    "cap": {"score_cap": 1.0},
    "sinks": {"sinks": True},
    "narrow values": {"d_v": 5, "n_kv_heads": 2},
    "no beginning token": {"has_bos": False, "n_tokens": 2},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_rows_with_a_cache_are_those_of_the_full_pass(kind: dict) -> None:
    trace = make_trace(**{"n_tokens": 6, "n_generated": 3, **kind})
    decoding, first = decode(trace, 1), trace.meta.n_prompt
    assert [step.position for step in decoding.steps] == [first, first + 1, first + 2]
    for step in decoding.steps:
        n_keys = step.position + 1
        pattern = trace.get("pattern", 1)[:, step.position]
        np.testing.assert_allclose(step.pattern, pattern[:, :n_keys], atol=1e-5)
        np.testing.assert_allclose(step.z, trace.get("z", 1)[step.position], atol=1e-5)
        np.testing.assert_allclose(
            step.scores, trace.scores(1)[:, step.position, :n_keys], atol=1e-5
        )
    assert decoding.agrees
    assert 0 < decoding.error < 1e-5


@pytest.mark.parametrize("tensor", ["z.1", "pattern.1"])
def test_a_full_pass_that_differs_is_noticed(tensor: str) -> None:
    trace = make_trace(n_generated=1)
    wrong = trace[tensor].copy()
    wrong[..., -1, -1] += 0.1
    assert not decode(replaced(trace, {tensor: wrong}), 1).agrees


def test_steps_equal_those_of_decode_with_cache_on_the_inputs() -> None:
    trace = make_trace(n_tokens=5, n_generated=3, biases=True, d_head=8)
    names = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O")
    weights = AttentionWeights(**{name: trace.weights(name, 1) for name in names})
    first, *expected = decode_with_cache(
        trace.get("x", 1), weights, trace.meta.score_scale, n_prompt=trace.meta.n_prompt
    )
    decoding = decode(trace, 1)
    assert decoding.prompt_work == first.work
    for step, other in zip(decoding.steps, expected, strict=True):
        np.testing.assert_allclose(step.z, other.z[0], atol=1e-5)
        np.testing.assert_allclose(step.pattern, other.pattern[:, 0], atol=1e-5)
        assert step.work == other.work
        assert step.work_without_cache == other.work_without_cache


def test_multiply_adds_are_cumulative_from_the_prompt_on() -> None:
    trace = make_trace(n_generated=3)
    decoding = decode(trace, 0, max_tokens=2)
    cached, naive = decoding.cumulative_multiply_adds()
    assert len(cached) == len(naive) == 3
    assert cached[0] == naive[0] == decoding.prompt_work.total
    saved = np.diff(naive) - np.diff(cached)
    assert saved.shape == (2,)
    assert saved.min() > 0


def test_a_latent_is_refused() -> None:
    with pytest.raises(ValueError, match="caches a latent"):
        decode(make_trace(mla=True, positions="rotary", d_head=16, n_generated=1), 0)
