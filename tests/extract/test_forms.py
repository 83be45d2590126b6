"""Test both forms of a layer with a latent, computed from a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.forms import both_forms, compare, pattern_distances
from extract.latent import latent_report
from extract.trace import TraceError
from tests.support.latents import with_latent
from tests.support.traces import make_trace

KINDS: dict[str, dict[str, Any]] = {
    "rotary, grouped": {"positions": "rotary", "n_kv_heads": 2},
    "learned, biased": {"biases": True},
    "linear position biases": {"positions": "alibi"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_latent_gives_equal_outputs(kind: str) -> None:
    forms = both_forms(with_latent(rank=5, **KINDS[kind]), 1)
    assert not forms.has_trained_latent
    assert (forms.rank, forms.d_rope, forms.n_cached) == (5, 0, 5)
    assert forms.largest_difference == np.abs(forms.naive.out - forms.absorbed.out).max()
    assert 0 <= forms.largest_difference < 1e-12 * forms.largest_output


def test_a_model_trained_with_a_latent_gives_its_own_numbers() -> None:
    trace = make_trace(mla=True, positions="rotary", d_head=8)
    forms = both_forms(trace, 1)
    assert forms.has_trained_latent
    assert (forms.rank, forms.d_rope, forms.n_cached) == (16, 4, 20)
    assert forms.n_expanded == 4 * (8 + 8)
    stored = {"rtol": 1e-4, "atol": 1e-5}
    for form in (forms.naive, forms.absorbed):
        np.testing.assert_allclose(form.pattern, trace["pattern.1"], **stored)
        np.testing.assert_allclose(form.out, trace["out.1"], **stored)
    np.testing.assert_allclose(forms.k, trace["k_rot.1"], **stored)
    np.testing.assert_allclose(forms.q, trace["q_rot.1"], **stored)
    np.testing.assert_allclose(forms.naive.v, trace["v.1"], **stored)


def test_keys_and_values_are_counted_as_they_are_shared() -> None:
    trace = with_latent(rank=5, n_heads=4, n_kv_heads=2, d_head=8)
    assert both_forms(trace, 1).n_expanded == 2 * 2 * 8 == latent_report(trace, 1).n_cached


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


def test_distances_over_all_heads_are_those_of_the_report() -> None:
    trace = with_latent(rank=5, positions="rotary", n_generated=2)
    forms, report = both_forms(trace, 1), latent_report(trace, 1)
    distances = pattern_distances(trace, 1, forms)
    assert distances.rotation.mean == pytest.approx(report.rotation_moves.mean, rel=1e-6)
    assert distances.latent.mean == pytest.approx(report.chosen.latent_moves_content.mean, rel=1e-5)
    per_head = [pattern_distances(trace, 1, forms, head) for head in range(4)]
    assert np.mean([d.latent.mean for d in per_head]) == pytest.approx(distances.latent.mean)
    assert max(d.rotation.worst for d in per_head) == distances.rotation.worst


def test_dropping_the_rotation_changes_nothing_without_rotation() -> None:
    trace = with_latent(rank=5, biases=True)
    assert pattern_distances(trace, 1, both_forms(trace, 1)).rotation.worst < 1e-6
