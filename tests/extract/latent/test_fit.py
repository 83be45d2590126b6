"""Test that a fitted latent is the best of its rank, and that its report in the trace is right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from extract.attention.arithmetic import (
    Array,
    attend,
    merge_heads,
    project,
    softmax,
    total_variation,
)
from extract.attention.low_rank import (
    Basis,
    KeyValueWeights,
    Moments,
    activation_basis,
    balance_of,
    weight_basis,
)
from extract.attention.mla import mla_absorbed, mla_naive
from extract.attention.patterns import PatternDistance
from extract.commands.latent_table import latent_table
from extract.errors import ExtractError
from extract.latent.fit import Calibration, add_latent, ladder_ranks
from extract.trace import Trace, TraceError
from extract.trace.contents.latents import (
    CalibrationText,
    content_pattern,
    fitted_latent,
    latent_report,
)
from tests.support.checkout import SHIPPED
from tests.support.traces import make_trace, replaced

EXACT = {"rtol": 1e-8, "atol": 1e-8}
STORED = {"rtol": 1e-4, "atol": 1e-5}  # traces hold float32


# --- The fit --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Weights of a layer, inputs whose directions differ strongly in size, and a rank."""

    weights: KeyValueWeights
    x: Array
    rank: int

    @property
    def gram(self) -> Array:
        return self.x.T @ self.x

    @property
    def balance(self) -> Array:
        return balance_of(self.weights, self.gram)


def random_inputs(rng: np.random.Generator, count: int, d_model: int) -> Array:
    """Return correlated inputs of uneven size with a nonzero mean, (count, d_model)."""
    mixing = rng.normal(size=(d_model, d_model)) * np.geomspace(3, 0.1, d_model)
    return rng.normal(size=(count, d_model)) @ mixing + rng.normal(size=d_model)


def random_case(
    seed: int = 0,
    d_model: int = 12,
    heads: tuple[int, int, int] = (2, 3, 2),
    count: int = 60,
    rank: int = 4,
) -> Case:
    rng = np.random.default_rng(seed)
    n_kv_heads, d_qk, d_v = heads
    weights = KeyValueWeights(
        rng.normal(size=(d_model, n_kv_heads, d_qk)), rng.normal(size=(d_model, n_kv_heads, d_v))
    )
    return Case(weights, random_inputs(rng, count, d_model), rank)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Strategy for layers wider or narrower than their keys and values, with few or many inputs."""
    d_model = draw(st.integers(1, 8))
    heads = draw(st.tuples(*[st.integers(1, 3)] * 3))
    case = random_case(
        seed=draw(st.integers(0, 2**32 - 1)),
        d_model=d_model,
        heads=heads,
        count=draw(st.integers(1, 20)),
    )
    return Case(case.weights, case.x, draw(st.integers(1, case.weights.full_rank)))


def approximation(basis: Basis, rank: int) -> Array:
    """Return M = W_DKV [W_UK W_UV], (d_model, columns)."""
    factors = basis.factors(rank)
    up: Array = KeyValueWeights(factors.W_UK, factors.W_UV).joint
    return factors.W_DKV @ up


def test_moments_of_chunks_are_those_of_the_whole() -> None:
    x = random_inputs(np.random.default_rng(0), 50, 4)
    moments = Moments.of(x[:7]) + Moments.of(x[7:8]) + Moments.of(x[8:])
    assert moments.count == 50
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), **EXACT)
    np.testing.assert_allclose(moments.gram, x.T @ x, **EXACT)
    np.testing.assert_allclose(moments.about(x.mean(axis=0)) / 49, np.cov(x.T), **EXACT)
    centre = np.arange(4.0)
    np.testing.assert_allclose(moments.about(centre), (x - centre).T @ (x - centre), **EXACT)


def test_moments_are_summed_in_double_precision() -> None:
    """A million and one thousandth: a float32 sum would lose the small part."""
    x = np.array([[1000.0], [0.03125]], dtype=np.float32)
    assert Moments.of(x).gram[0, 0] == 1e6 + 0.03125**2


def test_split_is_the_inverse_of_joint() -> None:
    weights = random_case().weights
    keys, values = weights.split(weights.joint)
    np.testing.assert_array_equal(keys, weights.W_K)
    np.testing.assert_array_equal(values, weights.W_V)
    assert weights.joint.shape == (12, 2 * 3 + 2 * 2)


@given(cases())
def test_balanced_keys_and_values_are_equally_large(case: Case) -> None:
    keys, values = case.weights.split(case.x @ case.weights.joint * case.balance)
    np.testing.assert_allclose([(keys**2).sum(), (values**2).sum()], 1.0, **EXACT)


@given(cases())
def test_the_error_is_the_tail_of_the_singular_values(case: Case) -> None:
    """The balanced keys and values together have a squared size of 2."""
    basis = activation_basis(case.weights, case.gram, case.balance)
    error = basis.errors(case.rank, case.gram).balanced
    tail = np.linalg.norm(basis.singular_values[case.rank :])
    np.testing.assert_allclose(error * 2**0.5, tail, rtol=1e-6, atol=1e-6)


@given(cases())
def test_errors_are_those_of_the_keys_and_values_themselves(case: Case) -> None:
    basis = activation_basis(case.weights, case.gram, case.balance)
    errors = basis.errors(case.rank, case.gram)
    true_k, true_v = case.weights.split(case.x @ case.weights.joint)
    k, v = case.weights.split(case.x @ approximation(basis, case.rank))
    for error, rebuilt, true in ((errors.k, k, true_k), (errors.v, v, true_v)):
        # Keys may be the small difference of large terms.
        terms = np.linalg.norm(case.x) * np.linalg.norm(case.weights.joint)
        np.testing.assert_allclose(
            error * np.linalg.norm(true),
            np.linalg.norm(rebuilt - true),
            rtol=1e-5,
            atol=1e-7 * terms,
        )


@given(cases())
def test_the_fit_is_never_worse_than_weight_svd_on_its_inputs(case: Case) -> None:
    fit = activation_basis(case.weights, case.gram, case.balance)
    plain = weight_basis(case.weights, case.balance)
    fitted = fit.errors(case.rank, case.gram).balanced
    assert fitted <= plain.errors(case.rank, case.gram).balanced + 1e-6


def test_the_fit_is_clearly_better_than_weight_svd_for_uneven_inputs() -> None:
    case = random_case(rank=4)
    fit = activation_basis(case.weights, case.gram, case.balance)
    plain = weight_basis(case.weights, case.balance)
    fitted = fit.errors(4, case.gram).balanced
    assert fitted < 0.7 * plain.errors(4, case.gram).balanced


@given(cases())
def test_the_fit_equals_weight_svd_if_all_directions_are_equal(case: Case) -> None:
    gram = 7.0 * np.eye(len(case.weights.joint))
    balance = balance_of(case.weights, gram)
    fit = activation_basis(case.weights, gram, balance).errors(case.rank, gram)
    plain = weight_basis(case.weights, balance).errors(case.rank, gram)
    np.testing.assert_allclose(fit.balanced, plain.balanced, rtol=1e-6, atol=1e-6)


def test_the_same_fit_as_by_whitening() -> None:
    """Whitening multiplies by an inverse instead: S^-1 U_r Sigma_r V_r^T D^-1, S from Cholesky."""
    case = random_case(rank=5)
    S = np.linalg.cholesky(case.gram).T
    U, sigma, Vt = np.linalg.svd(S @ (case.weights.joint * case.balance), full_matrices=False)
    whitened = np.linalg.solve(S, U[:, :5] * sigma[:5]) @ Vt[:5] / case.balance
    basis = activation_basis(case.weights, case.gram, case.balance)
    np.testing.assert_allclose(approximation(basis, 5), whitened, rtol=1e-6, atol=1e-6)


def test_no_other_latent_of_the_rank_does_better() -> None:
    case = random_case(rank=3)
    basis = activation_basis(case.weights, case.gram, case.balance)
    best = basis.errors(3, case.gram).balanced
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        tilted = basis.directions[:, :3] + size * rng.normal(size=(basis.directions.shape[0], 3))
        V, _ = np.linalg.qr(tilted)
        other = (case.weights.joint * case.balance) @ V @ V.T
        lost = case.x @ (case.weights.joint * case.balance - other)
        assert np.linalg.norm(lost) / 2**0.5 > best


@pytest.mark.parametrize("heads", [(2, 3, 2), (3, 4, 4)], ids=["wider", "narrower"])
def test_nothing_is_lost_at_full_rank(heads: tuple[int, int, int]) -> None:
    case = random_case(heads=heads)
    full_rank = case.weights.full_rank
    assert full_rank == min(12, heads[0] * (heads[1] + heads[2]))
    basis = activation_basis(case.weights, case.gram, case.balance)
    np.testing.assert_allclose(approximation(basis, full_rank), case.weights.joint, **EXACT)


def test_inputs_that_do_not_fill_the_space_can_be_fitted() -> None:
    """Three inputs span three directions: a latent of rank 3 loses nothing on them."""
    case = random_case(count=3)
    basis = activation_basis(case.weights, case.gram, case.balance)
    assert basis.errors(3, case.gram).balanced < 1e-6
    assert basis.errors(2, case.gram).balanced > 1e-2


def test_directions_do_not_flip_between_machines() -> None:
    """The singular value decomposition does not determine the sign of each direction."""
    case = random_case()
    basis = activation_basis(case.weights, case.gram, case.balance)
    largest = np.abs(basis.directions).argmax(axis=0)
    assert (basis.directions[largest, np.arange(10)] > 0).all()


def test_large_values_do_not_worsen_the_keys() -> None:
    case = random_case(rank=4)
    large_values = Case(KeyValueWeights(case.weights.W_K, 30 * case.weights.W_V), case.x, 4)
    errors = [
        activation_basis(c.weights, c.gram, c.balance).errors(4, c.gram)
        for c in (case, large_values)
    ]
    np.testing.assert_allclose(errors[1].k, errors[0].k, **EXACT)
    unbalanced = activation_basis(large_values.weights, large_values.gram, np.ones(10)).errors(
        4, large_values.gram
    )
    assert unbalanced.k > 2 * errors[1].k


def test_inputs_about_their_mean_never_lose_more() -> None:
    case = random_case()
    moments = Moments.of(case.x)
    centred = activation_basis(case.weights, moments.about(moments.mean), case.balance)
    as_they_are = activation_basis(case.weights, case.gram, case.balance)
    for rank in range(case.weights.full_rank):
        mine, other = (basis.singular_values[rank:] for basis in (centred, as_they_are))
        assert np.linalg.norm(mine) <= np.linalg.norm(other) + 1e-9


# --- In a trace -----------------------------------------------------------------------------------


def calibrated(trace: Trace, layer: int, seed: int = 5) -> Calibration:
    """Return a calibration with random inputs for a layer of a synthetic trace."""
    rng = np.random.default_rng(seed)
    x = random_inputs(rng, 400, trace.meta.d_model)
    text = CalibrationText("made-up.txt", "0" * 64, 300, 100, 32)
    return Calibration(text, Moments.of(x[:300]), Moments.of(x[300:]))


def with_latent(rank: int | None = None, **options: Any) -> tuple[Trace, Trace, Calibration]:
    """Return a synthetic trace before and after a latent is fitted, and the calibration."""
    trace = make_trace(**options)
    calibration = calibrated(trace, trace.meta.featured.layer)
    return trace, add_latent(trace, trace.meta.featured.layer, calibration, rank), calibration


KINDS: dict[str, dict[str, Any]] = {
    "multi-head": {},
    "grouped": {"n_kv_heads": 2},
    "multi-query": {"n_kv_heads": 1},
    "biased": {"biases": True},
    "grouped and biased": {"n_kv_heads": 2, "biases": True},
    "grouped, biased, narrow values": {"n_kv_heads": 2, "biases": True, "d_v": 5},
    "linear position biases": {"positions": "alibi"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_latent_of_full_rank_is_the_layer_itself(kind: str) -> None:
    before = make_trace(**KINDS[kind])
    layer, meta = before.meta.featured.layer, before.meta
    full_rank = min(meta.d_model, meta.n_kv_heads * (meta.d_qk + meta.d_v))
    after = add_latent(before, layer, calibrated(before, layer), full_rank)
    assert latent_report(after, layer).full_rank == full_rank
    latent = fitted_latent(after, layer)
    for form in (mla_naive, mla_absorbed):
        attention = form(after.get("q", layer), latent.kv_latent, latent.layer)
        np.testing.assert_allclose(attention.pattern, before.get("pattern", layer), **STORED)
        np.testing.assert_allclose(attention.out, before.get("out", layer), **STORED)
    assert latent_report(after, layer).error_balanced < 1e-6


def test_with_rotation_a_latent_of_full_rank_gives_the_content_only_pattern() -> None:
    """Dropping the key bias does not change the pattern, as it is the same for every key."""
    _, after, _ = with_latent(rank=32, positions="rotary", biases=True)
    latent = fitted_latent(after, 1)
    absorbed = mla_absorbed(after.get("q", 1), latent.kv_latent, latent.layer)
    content = content_pattern(after, 1, after.get("k", 1))
    np.testing.assert_allclose(absorbed.pattern, content, **STORED)


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_agree_at_any_rank(kind: str) -> None:
    _, after, _ = with_latent(rank=5, **KINDS[kind])
    layer = after.meta.featured.layer
    latent = fitted_latent(after, layer)
    naive = mla_naive(after.get("q", layer), latent.kv_latent, latent.layer)
    absorbed = mla_absorbed(after.get("q", layer), latent.kv_latent, latent.layer)
    np.testing.assert_allclose(absorbed.out, naive.out, rtol=1e-10, atol=1e-10)


def test_biases_keep_the_mean_value() -> None:
    """With biases the latent replaces deviations from the mean; the output bias has the mean."""
    before, after, calibration = with_latent(rank=3, biases=True, n_kv_heads=2)
    layer = before.meta.featured.layer
    mean = calibration.fitted.mean
    W_K, W_V, b_V, b_O = (before.get(n, layer) for n in ("W_K", "W_V", "b_V", "b_O"))
    latent = fitted_latent(after, layer)
    deviation = (before.get("x", layer) - mean) @ latent.W_DKV
    v = project(deviation, latent.layer.W_UV) + project(mean[None], W_V, b_V)
    k = project(deviation, latent.layer.W_UK) + project(mean[None], W_K)
    expected = attend(before.get("q", layer), k, v, before.meta.score_scale)
    naive = mla_naive(after.get("q", layer), latent.kv_latent, latent.layer)
    np.testing.assert_allclose(naive.pattern, expected.pattern, **STORED)
    np.testing.assert_allclose(
        naive.out, merge_heads(expected.z, before.get("W_O", layer), b_O), **STORED
    )


@pytest.mark.parametrize("biases", [False, True])
def test_the_trace_with_a_latent_is_valid_and_can_be_read_back(
    tmp_path: Path, biases: bool
) -> None:
    before, after, _ = with_latent(rank=6, biases=biases)
    layer = before.meta.featured.layer
    after.validate()
    path = tmp_path / "trace.safetensors"
    after.save(path)
    loaded = Trace.load(path)
    new = set(loaded.tensors) - set(before.tensors)
    names = {"W_DKV", "W_UK", "W_UV", "b_O"} if biases else {"W_DKV", "W_UK", "W_UV"}
    shared = {f"shared.{layer}.{name}" for name in ("W_DK", "W_UK")}
    assert new == {f"latent.{layer}.{name}" for name in names} | shared
    assert loaded[f"latent.{layer}.W_DKV"].shape == (before.meta.d_model, 6)
    assert latent_report(loaded, layer) == latent_report(after, layer)
    np.testing.assert_array_equal(
        fitted_latent(loaded, layer).kv_latent, fitted_latent(after, layer).kv_latent
    )


@pytest.mark.parametrize(
    ("options", "rank"),
    [
        ({"n_heads": 8, "n_kv_heads": 4, "d_head": 8}, 16),
        # One set is all that the layer has: as many numbers as lose nothing.
        ({"n_heads": 4, "n_kv_heads": 1, "d_head": 8}, 16),
        ({"n_heads": 1, "d_head": 8}, 8),
    ],
)
def test_the_default_rank_is_the_size_of_one_set(options: dict[str, int], rank: int) -> None:
    _, after, _ = with_latent(**options)
    report = latent_report(after, after.meta.featured.layer)
    assert report.rank == rank
    assert after[f"latent.{after.meta.featured.layer}.W_DKV"].shape[1] == rank


@pytest.mark.parametrize("biases", [False, True])
def test_the_best_shared_key_is_better_than_any_other_tried(biases: bool) -> None:
    """Against the mean of the keys and against random keys, all with maps that fit best."""
    before, after, calibration = with_latent(n_heads=6, n_kv_heads=3, d_head=4, biases=biases)
    layer = before.meta.featured.layer
    gram = calibration.fitted.about(
        calibration.fitted.mean if biases else np.zeros(before.meta.d_model)
    )
    W_K = before.get("W_K", layer).astype(np.float64)

    def lost(down: np.ndarray) -> float:
        """Squared loss of all keys if they come from x times a matrix, (d_model, 4)."""
        flat = W_K.reshape(len(W_K), -1)
        up = np.linalg.lstsq(down.T @ gram @ down, down.T @ gram @ flat, rcond=None)[0]
        rest = flat - down @ up
        return float(np.einsum("cd,ce,ed->", rest, gram, rest))

    best = after[f"shared.{layer}.W_DK"].astype(np.float64)
    assert best.shape == (before.meta.d_model, 4)
    rest = W_K - np.einsum("cr,rgd->cgd", best, after[f"shared.{layer}.W_UK"])
    flat = rest.reshape(len(rest), -1)
    stored = float(np.einsum("cd,ce,ed->", flat, gram, flat))
    assert stored == pytest.approx(lost(best), rel=1e-4)
    rng = np.random.default_rng(0)
    others = [W_K.mean(axis=1), *rng.normal(size=(20, *best.shape))]
    assert stored < 0.98 * min(map(lost, others))


def test_a_layer_that_rotates_has_no_shared_key_of_its_own() -> None:
    _, after, _ = with_latent(positions="rotary")
    assert not [name for name in after.tensors if name.startswith("shared.")]


def test_a_given_rank_is_stored_and_measured() -> None:
    _, after, _ = with_latent(rank=7)
    report = latent_report(after, after.meta.featured.layer)
    assert report.rank == 7
    assert report.chosen.rank == 7
    assert [entry.rank for entry in report.ladder] == sorted({*ladder_ranks(32), 7})


def test_the_ladder_of_the_packaged_model() -> None:
    assert ladder_ranks(384) == (16, 32, 48, 64, 96, 128, 192, 288, 384)
    assert ladder_ranks(1) == (1,)


def test_errors_are_measured_on_the_three_sets_of_inputs() -> None:
    """The errors on the prompt use the prompt's rows only, not those of the tokens after it."""
    before, after, calibration = with_latent(rank=5, n_generated=4)
    layer = before.meta.featured.layer
    report = latent_report(after, layer)
    weights = KeyValueWeights(
        before.get("W_K", layer).astype(np.float64), before.get("W_V", layer).astype(np.float64)
    )
    gram = calibration.fitted.gram
    balance = balance_of(weights, gram)
    prompt = before.get("x", layer)[: before.meta.n_prompt].astype(np.float64)
    sets = {
        "calibration": gram,
        "held_out": calibration.held_out.gram,
        "prompt": prompt.T @ prompt,
    }
    for name, basis in {
        "fit": activation_basis(weights, gram, balance),
        "weight_svd": weight_basis(weights, balance),
    }.items():
        measured = getattr(report.chosen, name)
        for which, inputs in sets.items():
            expected = asdict(basis.errors(5, inputs))
            assert asdict(getattr(measured, which)) == pytest.approx(expected, rel=1e-6)
    on_prompt = report.chosen.fit.prompt
    assert (report.error_balanced, report.error_k, report.error_v) == (
        on_prompt.balanced,
        on_prompt.k,
        on_prompt.v,
    )
    assert report.n_cached == 2 * 4 * 8


def test_a_fit_tells_of_every_rank_and_can_be_ended_there() -> None:
    trace = make_trace()
    layer = trace.meta.featured.layer
    calibration, told = calibrated(trace, layer), list[tuple[int, int]]()

    def progress(task: str, done: int, total: int) -> None:
        assert task == "fitting a latent"
        told.append((done, total))

    after = add_latent(trace, layer, calibration, progress=progress)
    steps = 2 + len(latent_report(after, layer).ladder)
    assert told == [(done, steps) for done in range(steps + 1)]

    def end(task: str, done: int, total: int) -> None:
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        add_latent(trace, layer, calibration, progress=end)


def test_a_model_without_rotation_has_content_only_patterns() -> None:
    _, after, _ = with_latent(rank=5)
    layer = after.meta.featured.layer
    report = latent_report(after, layer)
    content = content_pattern(after, layer, after.get("k", layer))
    np.testing.assert_allclose(content, after.get("pattern", layer), **STORED)
    assert report.rotation_moves.worst < 1e-5
    assert report.chosen.both_move.mean == pytest.approx(
        report.chosen.latent_moves_content.mean, abs=1e-5
    )
    assert report.chosen.latent_moves_content.mean > 0.01


def test_distances_due_to_rotation_and_latent_and_both() -> None:
    _, after, _ = with_latent(rank=5, positions="rotary", n_kv_heads=2, n_generated=3)
    layer, n_prompt = after.meta.featured.layer, after.meta.n_prompt
    report = latent_report(after, layer)
    q, k = after.get("q", layer).astype(np.float64), after.get("k", layer).astype(np.float64)
    scores = np.einsum("qhd,khd->hqk", q, np.repeat(k, 2, axis=1)) * after.meta.score_scale
    scores[:, np.triu(np.ones(scores.shape[1:], dtype=bool), 1)] = -np.inf
    content = softmax(scores)
    np.testing.assert_allclose(content_pattern(after, layer, k), content, **EXACT)

    latent = fitted_latent(after, layer)
    from_latent = mla_absorbed(q, latent.kv_latent, latent.layer).pattern
    pairs = {
        "rotation": (report.rotation_moves, content, after.get("pattern", layer)),
        "latent": (report.chosen.latent_moves_content, from_latent, content),
        "both": (report.chosen.both_move, from_latent, after.get("pattern", layer)),
    }
    for distance, pattern, other in pairs.values():
        rows = total_variation(pattern, other)[:, 1:n_prompt]
        assert distance.mean == pytest.approx(rows.mean(), abs=1e-5)
        assert distance.worst == pytest.approx(rows.max(), abs=1e-5)
        assert distance.mean > 0.01


def test_the_first_row_is_not_counted_in_distances() -> None:
    distance = PatternDistance.between([[[1.0, 0.0], [0.5, 0.5]]], [[[1.0, 0.0], [0.0, 1.0]]], 2)
    assert distance == PatternDistance(mean=0.5, worst=0.5)


def test_the_distance_of_a_single_token_is_zero() -> None:
    ones = np.ones((2, 1, 1))
    assert PatternDistance.between(ones, ones, 1) == PatternDistance(0.0, 0.0)


def test_layers_have_latents_side_by_side() -> None:
    trace = make_trace(weights_of=(0, 1))
    both = trace
    for layer, rank in ((0, 3), (1, 4)):
        both = add_latent(both, layer, calibrated(trace, layer), rank)
    both.validate()
    assert latent_report(both, 0).rank == 3
    assert fitted_latent(both, 1).W_DKV.shape == (trace.meta.d_model, 4)


def test_a_new_latent_replaces_the_old_one() -> None:
    trace = make_trace()
    layer = trace.meta.featured.layer
    again = add_latent(
        add_latent(trace, layer, calibrated(trace, layer), 3), layer, calibrated(trace, layer), 8
    )
    again.validate()
    assert latent_report(again, layer).rank == 8


def test_a_model_trained_with_a_latent_is_refused() -> None:
    trace = make_trace(positions="rotary", mla=True)
    with pytest.raises(ExtractError, match="has latents of its own"):
        add_latent(trace, 1, calibrated(trace, 1))


@pytest.mark.parametrize("rank", [0, 33])
def test_impossible_ranks_are_refused(rank: int) -> None:
    with pytest.raises(ExtractError, match=rf"1 to 32, not {rank}"):
        with_latent(rank=rank)


def test_a_layer_that_is_not_there_is_refused() -> None:
    trace = make_trace()
    with pytest.raises(ExtractError, match="there is no layer 2; this model has 0 to 1"):
        add_latent(trace, 2, calibrated(trace, 1))


def test_a_layer_without_weights_is_refused() -> None:
    trace = make_trace()
    with pytest.raises(TraceError, match=r"does not hold the weights of layer 0; add them with"):
        add_latent(trace, 0, calibrated(trace, 0))


def test_a_missing_latent_names_the_command() -> None:
    for read in (fitted_latent, latent_report):
        with pytest.raises(TraceError, match=r"python -m extract latent FILE --layer 1"):
            read(make_trace(), 1)


@pytest.mark.parametrize("damage", ["missing field", "no report", "not an object"])
def test_a_damaged_report_is_refused(damage: str) -> None:
    _, after, _ = with_latent(rank=3)
    assert after.meta.latent is not None
    report = dict(after.meta.latent["1"])
    del report["rotation_moves"]
    reports: dict[str, Any] = {
        "missing field": {"1": report},
        "no report": {},
        "not an object": {"1": 3},
    }
    with pytest.raises(TraceError, match="report on the latent of layer 1 is damaged"):
        latent_report(replaced(after, latent=reports[damage]), 1)


@pytest.mark.parametrize("field", ["rank", "ladder"])
def test_a_report_on_another_latent_is_refused(field: str) -> None:
    _, after, _ = with_latent(rank=3)
    assert after.meta.latent is not None
    report = after.meta.latent["1"] | {"rank": {"rank": 4}, "ladder": {"ladder": []}}[field]
    with pytest.raises(TraceError, match="is not about rank 3; fit it again"):
        latent_report(replaced(after, latent={"1": report}), 1)


# --- The shipped trace ----------------------------------------------------------------------------


def test_the_shipped_latent_is_what_its_report_says() -> None:
    """Recompute errors and pattern distances on the prompt from the stored tensors."""
    trace = Trace.load(SHIPPED)
    layer, n_prompt = trace.meta.featured.layer, trace.meta.n_prompt
    report, latent = latent_report(trace, layer), fitted_latent(trace, layer)
    q = trace.get("q", layer)
    naive = mla_naive(q, latent.kv_latent, latent.layer)
    absorbed = mla_absorbed(q, latent.kv_latent, latent.layer)
    np.testing.assert_allclose(absorbed.out, naive.out, rtol=1e-10, atol=1e-10)
    for name, rebuilt, error in (("k", naive.k, report.error_k), ("v", naive.v, report.error_v)):
        true = trace.get(name, layer)[:n_prompt].astype(np.float64)
        lost = np.linalg.norm(rebuilt[:n_prompt] - true) / np.linalg.norm(true)
        assert lost == pytest.approx(error, rel=1e-4)
    own, content = trace.get("pattern", layer), content_pattern(trace, layer, trace.get("k", layer))
    for distance, pattern, other in (
        (report.rotation_moves, content, own),
        (report.chosen.latent_moves_content, absorbed.pattern, content),
        (report.chosen.both_move, absorbed.pattern, own),
    ):
        rows = total_variation(pattern, other)[:, 1:n_prompt]
        assert (distance.mean, distance.worst) == pytest.approx((rows.mean(), rows.max()), rel=1e-3)


# --- The printed table ---------------------------------------------------------------------------


def printed(**options: Any) -> str:
    """Return the table of a synthetic trace as printed on a terminal of 80 characters."""
    _, after, _ = with_latent(**options)
    console = Console(width=80)
    with console.capture() as capture:
        console.print(latent_table(after, after.meta.featured.layer))
    return capture.get()


def test_all_ranks_are_printed_with_the_stored_rank_marked() -> None:
    text = printed(rank=6)
    marked = [line for line in text.splitlines() if "> 6" in line]
    assert len(marked) == 1
    assert "> 8" not in text
    assert all(f" {rank} " in text for rank in ladder_ranks(32))
    words = " ".join(text.split())
    assert "Rank 6 is stored: 6 numbers cached for each token instead of 64" in words


def test_the_printed_errors_are_the_reports() -> None:
    _, after, _ = with_latent(rank=6)
    chosen = latent_report(after, 1).chosen
    fit, plain = chosen.fit, chosen.weight_svd
    expected = [fit.calibration.balanced]
    for errors in (fit.held_out, fit.prompt):
        expected += [errors.balanced, errors.k, errors.v]
    expected += [plain.held_out.balanced, plain.prompt.balanced]
    expected += [chosen.latent_moves_content.mean, chosen.latent_moves_content.worst]
    line = next(line for line in printed(rank=6).splitlines() if "> 6" in line)
    assert line.split()[2:] == [f"{number:.3f}" for number in expected]


def test_content_only_patterns_are_named_where_the_model_rotates() -> None:
    assert "Dropping the rotation alone" in " ".join(printed(positions="rotary").split())
    assert "rotation" not in printed()


def test_the_printed_table_fits_80_characters() -> None:
    text = printed(positions="rotary", d_head=64)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
