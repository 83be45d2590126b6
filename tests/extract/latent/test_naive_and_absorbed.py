"""Test both forms of a layer with a latent, computed from a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.attention.patterns import PatternDistance
from extract.latent.naive_and_absorbed import both_forms, compare
from extract.trace import Trace, TraceError
from extract.trace.contents.latents import content_pattern, latent_report
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.traces import make_trace

KINDS: dict[str, dict[str, Any]] = {
    "rotary, grouped": {"positions": "rotary", "n_kv_heads": 2},
    "learned, biased": {"biases": True},
    "linear position biases": {"positions": "alibi"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_latent_gives_equal_outputs(kind: str) -> None:
    mla = both_forms(with_latent(rank=5, **KINDS[kind]), 1)
    assert mla.origin == "fitted"
    assert (mla.rank, mla.d_rope, mla.n_cached) == (5, 0, 5)
    assert mla.largest_difference == np.abs(mla.naive.out - mla.absorbed.out).max()
    assert 0 <= mla.largest_difference < 1e-12 * mla.largest_output


def test_a_model_trained_with_a_latent_gives_its_own_numbers() -> None:
    trace = make_trace(mla=True, positions="rotary", d_head=8)
    mla = both_forms(trace, 1)
    assert mla.origin == "trained"
    assert (mla.rank, mla.d_rope, mla.n_cached) == (16, 4, 20)
    stored = {"rtol": 1e-4, "atol": 1e-5}
    for form in (mla.naive, mla.absorbed):
        np.testing.assert_allclose(form.pattern, trace["pattern.1"], **stored)
        np.testing.assert_allclose(form.out, trace["out.1"], **stored)
    np.testing.assert_allclose(mla.k, trace["k_rot.1"], **stored)
    np.testing.assert_allclose(mla.q, trace["q_rot.1"], **stored)
    np.testing.assert_allclose(mla.naive.v, trace["v.1"], **stored)


def test_a_converted_layer_gives_the_numbers_of_its_conversion() -> None:
    trace = Trace.load(SHIPPED)
    layer = trace.meta.featured.layer
    mla, one_set = both_forms(trace, layer), trace.meta.d_qk + trace.meta.d_v
    assert mla.origin == "converted"
    assert mla.n_cached == one_set == mla.rank + mla.d_rope
    for form in (mla.naive, mla.absorbed):
        for name in ("pattern", "out"):
            stored = trace[f"mla.{layer}.{name}"]
            np.testing.assert_allclose(getattr(form, name), stored, rtol=1e-3, atol=2e-4)
    assert mla.largest_difference < 1e-12 * mla.largest_output
    # Of a layer whose conversion is stored as patterns alone, there is no latent.
    with pytest.raises(TraceError, match=r"holds no latent of layer 3"):
        both_forms(trace, 3)


def test_a_missing_latent_names_the_command() -> None:
    with pytest.raises(TraceError, match=r"python -m extract latent FILE --layer 1"):
        both_forms(make_trace(), 1)


def test_errors_are_relative() -> None:
    comparison = compare([[3.0, 0.0], [0.0, 4.0]], [[3.0, 0.0], [0.0, 3.0]])
    assert comparison.error == pytest.approx(0.2)


def test_a_row_added_to_all_rows_is_ignored_about_the_mean() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3))
    shifted = rows + np.array([1.0, -2.0, 0.5])
    assert compare(rows, shifted).error > 0.5
    assert compare(rows, shifted, about_mean=True).error < 1e-12


def test_the_error_of_zeros_is_zero() -> None:
    assert compare(np.zeros((2, 3)), np.zeros((2, 3))).error == 0


def test_the_pattern_from_the_latent_is_as_far_from_that_of_the_true_keys_as_reported() -> None:
    trace = with_latent(rank=5, positions="rotary", n_generated=2)
    naive, content = both_forms(trace, 1).naive.pattern, content_pattern(trace, 1, trace["k.1"])
    moved = PatternDistance.between(content, naive, trace.meta.n_prompt)
    report = latent_report(trace, 1)
    assert moved.mean == pytest.approx(report.chosen.latent_moves_content.mean, rel=1e-5)


def test_dropping_the_rotation_changes_nothing_without_rotation() -> None:
    trace = with_latent(rank=5, biases=True)
    assert latent_report(trace, 1).rotation_moves.worst < 1e-6
