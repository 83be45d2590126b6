"""Test that decoding with a cache gives the rows of the full pass, and count its multiply-adds."""

from __future__ import annotations

import pytest

from extract.attention.head_norm import HeadNorm
from extract.facts.published import published_trace
from extract.recompute.decoding import decode, multiply_adds
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
    decoding = decode(trace, 1)
    assert len(decoding.cached) == len(decoding.naive) == 1 + 3
    assert decoding.agrees
    assert 0 < decoding.error < 1e-5


@pytest.mark.parametrize("tensor", ["z.1", "pattern.1"])
def test_a_full_pass_that_differs_is_noticed(tensor: str) -> None:
    trace = make_trace(n_generated=1)
    wrong = trace[tensor].copy()
    wrong[..., -1, -1] += 0.1
    assert not decode(replaced(trace, {tensor: wrong}), 1).agrees


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_multiply_adds_are_those_of_each_row(kind: dict) -> None:
    """Of a row: each weight once, and for each key a product with the query and a part of z."""
    trace = make_trace(**{"n_tokens": 6, "n_generated": 3, **kind})
    layer, first = trace.meta.featured.layer, trace.meta.n_prompt
    weights = sum(trace.weights(f"W_{letter}", layer).size for letter in "QKVO")
    of_a_key = trace.get("q", layer)[0].size + trace.get("z", layer)[0].size
    rows = [weights + (position + 1) * of_a_key for position in range(first + 3)]
    decoding = decode(trace, layer, max_tokens=2)
    assert decoding.cached.tolist() == [sum(rows[: first + done]) for done in (0, 1, 2)]
    again = [sum(rows[: first + done]) for done in (0, 1, 2)]
    assert decoding.naive.tolist() == [sum(again[:1]), sum(again[:2]), sum(again)]


def test_the_work_of_one_gpt2_token_is_known() -> None:
    """GPT-2 small: 768 x 768 for each of 4 projections, and 2 x 768 for each of 10 keys."""
    gpt2 = published_trace().meta
    assert multiply_adds(gpt2, 10) - multiply_adds(gpt2, 9) == 4 * 589_824 + 2 * 7_680


def test_a_latent_is_refused() -> None:
    with pytest.raises(ValueError, match="caches a latent"):
        decode(make_trace(mla=True, positions="rotary", d_head=16, n_generated=1), 0)
