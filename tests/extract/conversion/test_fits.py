"""A converted layer is the original one if nothing is dropped, and the best of its size if not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from extract.attention.arithmetic import Rotation  # noqa: E402
from extract.attention.mla import Decoupled, LatentLayer, mla_absorbed, mla_naive  # noqa: E402
from extract.conversion.fits import (  # noqa: E402
    LATENT,
    MQA,
    AttentionLayer,
    JointFit,
    LayerFit,
    LayerStatistics,
    MLALayer,
    absorbed,
    attend,
    components,
    mqa_mean,
    pattern,
)
from extract.errors import ExtractError  # noqa: E402
from tests.support.conversions import (  # noqa: E402
    D_MODEL,
    N_POSITIONS,
    SHAPES,
    WIDTH,
    random_inputs,
    random_layer,
    statistics_of,
)
from tests.support.plain_attention import AttentionWeights, multi_head  # noqa: E402


def output(layer: AttentionLayer | MLALayer, x: torch.Tensor) -> torch.Tensor:
    return layer.output(attend(layer.project(x), layer.scale))


def mla(layer: AttentionLayer, known: LayerStatistics, rotated: int, rank: int) -> MLALayer:
    return LayerFit.of(layer, known, {str(rotated): rank}).mla(layer, rotated, rank)


def mqa_fitted(layer: AttentionLayer, known: LayerStatistics) -> MLALayer:
    return LayerFit.of(layer, known, {MQA: WIDTH}).mqa(layer)


def error(layer: AttentionLayer | MLALayer, original: AttentionLayer, x: torch.Tensor) -> float:
    own = output(original, x)
    return float((output(layer, x) - own).norm() / own.norm())


def reference(layer: AttentionLayer, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Pattern and output by the numpy reference."""
    weights = AttentionWeights(
        *(
            getattr(layer, name).numpy()
            for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O")
        )
    )
    rotation = Rotation.by_angles(np.outer(np.arange(len(x)), layer.frequencies.numpy()))
    made = multi_head(x.numpy(), weights, layer.scale, rotation)
    return made.pattern, made.out


@pytest.mark.parametrize("heads", SHAPES)
def test_a_layer_computes_what_the_reference_does(heads: tuple[int, int]) -> None:
    layer, x = random_layer(*heads), random_inputs()
    for one, out in zip(x, output(layer, x), strict=True):
        weights, own = reference(layer, one)
        np.testing.assert_allclose(out, own, atol=1e-12)
        np.testing.assert_allclose(
            pattern(layer.project(one[None]), layer.scale)[0], weights, atol=1e-12
        )


# --- Nothing dropped ------------------------------------------------------------------------------


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("heads", SHAPES)
def test_nothing_dropped_is_the_layer_itself(heads: tuple[int, int], biased: bool) -> None:
    layer, x = random_layer(*heads, biased=biased), random_inputs()
    known = statistics_of(layer, x)
    columns = heads[1] * WIDTH
    size, rank = (columns, min(D_MODEL, columns)), min(D_MODEL, 2 * columns)
    fit = LayerFit.of(layer, known, {LATENT: rank, str(size[0]): size[1]})
    whole, latent = fit.mla(layer, *size), fit.latent(layer, rank)
    unseen = random_inputs(seed=7)
    assert error(whole, layer, unseen) < 1e-12
    assert error(latent, layer, unseen) < 1e-12
    keys, values = fit.rebuilt(whole, layer, unseen[0])
    own = [
        torch.einsum("pc,cgd->pgd", unseen[0], weight) + bias
        for weight, bias in ((layer.W_K, layer.b_K), (layer.W_V, layer.b_V))
    ]
    torch.testing.assert_close(keys, own[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(values, own[1], atol=1e-10, rtol=0)


def test_all_components_leave_nothing_of_the_keys() -> None:
    layer, x = random_layer(6, 3), random_inputs()
    known = statistics_of(layer, x)
    made, almost = (mla(layer, known, width, 9) for width in (3 * WIDTH, 3 * WIDTH - 2))
    assert float(made.W_UK.abs().max()) < 1e-12
    assert float(almost.W_UK.abs().max()) > 1e-3


def test_without_rotated_numbers_there_is_no_position() -> None:
    """With d_R = 0 and no other loss the layer is the original one without its rotation."""
    layer, x = random_layer(4, 2), random_inputs()
    made = mla(layer, statistics_of(layer, x), 0, 4 * WIDTH)
    still = replace(layer, frequencies=torch.zeros_like(layer.frequencies))
    assert made.rotated == 0
    assert error(made, still, x) < 1e-12
    assert error(made, layer, x) > 0.05


# --- Absorbed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["double", "single"]
)
@pytest.mark.parametrize("size", [(0, 12), (6, 10), (8, 1)])
@pytest.mark.parametrize("heads", SHAPES)
def test_absorbed_equals_naive(
    heads: tuple[int, int], size: tuple[int, int], dtype: torch.dtype, limit: float
) -> None:
    layer, x = random_layer(*heads), random_inputs()
    exact = mla(layer, statistics_of(layer, x), *size)
    made, x = exact.to(dtype), x.to(dtype)
    weights, out = absorbed(made, x)
    naive = output(made, x)
    assert out.dtype == dtype
    assert float((out - naive).abs().max() / naive.abs().max()) < limit
    assert float((weights - pattern(made.project(x), made.scale)).abs().max()) < limit


def test_both_forms_are_those_of_the_numpy_reference() -> None:
    layer, x = random_layer(6, 3), random_inputs(batch=1)
    made = mla(layer, statistics_of(layer, x), 6, 10)
    q = torch.einsum("pc,chd->phd", x[0], made.W_Q) + made.b_Q
    decoupled = Decoupled(
        made.rotated_query(x)[0].transpose(0, 1).numpy(), made.rotated_key(x)[0, 0].numpy()
    )
    latent = LatentLayer(
        made.W_UK.numpy(), made.W_UV.numpy(), made.W_O.numpy(), made.scale, made.b_O.numpy()
    )
    c = (x[0] @ made.W_DKV).numpy()
    for form in (mla_naive, mla_absorbed):
        other = form(q.numpy(), c, latent, decoupled)
        np.testing.assert_allclose(output(made, x)[0], other.out, atol=1e-12)
        np.testing.assert_allclose(
            pattern(made.project(x), made.scale)[0], other.pattern, atol=1e-12
        )


# --- The best of its size -------------------------------------------------------------------------


def test_components_are_orthogonal_for_the_inputs() -> None:
    layer, x = random_layer(6, 3), random_inputs()
    known = statistics_of(layer, x)
    parts = components(layer, known)
    k = torch.einsum("pc,cgd->pgd", x.flatten(0, 1), layer.W_K) + layer.b_K
    z = torch.complex(k[..., : WIDTH // 2], k[..., WIDTH // 2 :]) * parts.s
    for i in range(WIDTH // 2):
        kappa = z[:, :, i] @ parts.U[i].conj()
        gram = kappa.T @ kappa.conj() / len(kappa)
        torch.testing.assert_close(gram.diagonal().real, parts.size[i], rtol=1e-9, atol=1e-12)
        off = gram - torch.diag(gram.diagonal())
        assert float(off.abs().max()) < 1e-9 * float(gram.abs().max())


def test_the_components_that_turn_most_are_rotated() -> None:
    layer, x = random_layer(6, 3), random_inputs()
    parts = components(layer, statistics_of(layer, x))
    frequency, component = parts.best(8)
    chosen = parts.loss[frequency, component]
    # What the scores lose is the distance that a component would have turned.
    for i, theta in enumerate(layer.frequencies):
        turned = np.mean([abs(np.exp(1j * float(theta) * d) - 1) ** 2 for d in range(N_POSITIONS)])
        np.testing.assert_allclose(parts.loss[i], parts.size[i] * turned, rtol=1e-9)
    others = sorted(parts.loss.flatten().tolist(), reverse=True)[4:]
    assert float(chosen.min()) >= max(others)
    # Slow frequencies hardly turn over so few positions.
    assert parts.loss[-1].max() < parts.loss[0].max()


def test_a_larger_size_loses_less() -> None:
    layer, x = random_layer(6, 3), random_inputs()
    known = statistics_of(layer, x)
    fit = LayerFit.of(layer, known, {"8": 12, "16": 12, "24": 24, LATENT: 40})
    sizes = [(8, 4), (8, 12), (16, 12), (24, 24)]
    errors = [error(fit.mla(layer, *size), layer, x) for size in sizes]
    assert errors == sorted(errors, reverse=True)
    latents = [error(fit.latent(layer, rank), layer, x) for rank in (4, 12, 24, 40)]
    assert latents == sorted(latents, reverse=True)


def test_the_joint_fit_is_the_best_of_its_rank() -> None:
    layer, x = random_layer(4, 2), random_inputs()
    known = statistics_of(layer, x)
    fit = JointFit.of(layer, layer.W_K, known.root, 6)
    W_DKV, W_UK, W_UV = fit.factors(layer.W_K, layer.W_V, 6)
    W = torch.cat([layer.W_K.flatten(1), layer.W_V.flatten(1)], dim=1)
    centred = (x - x.mean(dim=(0, 1))).flatten(0, 1) / len(x.flatten(0, 1)) ** 0.5
    balanced = centred @ W * fit.balance
    up = torch.cat([W_UK.flatten(1), W_UV.flatten(1)], dim=1)
    lost = (centred @ (W - W_DKV @ up) * fit.balance).norm()
    tail = torch.linalg.svdvals(balanced)[6:].norm()
    torch.testing.assert_close(lost, tail, rtol=1e-9, atol=0)
    # Keys and values weigh the same, whatever their sizes.
    keys, values = (balanced[:, part].norm() for part in (slice(16), slice(16, None)))
    torch.testing.assert_close(keys, values, rtol=1e-9, atol=0)


def test_one_key_and_value_fitted_beat_their_mean() -> None:
    layer, x = random_layer(6, 3), random_inputs()
    mean, fitted = mqa_mean(layer), mqa_fitted(layer, statistics_of(layer, x))
    assert mean.cached == fitted.cached == 2 * WIDTH
    assert fitted.frequencies.tolist() == layer.frequencies.tolist()
    assert error(fitted, layer, x) < 0.9 * error(mean, layer, x)


def test_one_key_head_is_its_own_component() -> None:
    layer, x = random_layer(4, 1), random_inputs()
    fitted = mqa_fitted(layer, statistics_of(layer, x))
    assert error(fitted, layer, x) < 1e-12
    assert error(mqa_mean(layer), layer, x) < 1e-12


def test_a_rank_that_does_not_fit_is_refused() -> None:
    layer = random_layer(4, 2)
    with pytest.raises(ExtractError, match="a rank of 1 to 32, not 33"):
        mla(layer, statistics_of(layer, random_inputs()), 8, 33)


@pytest.mark.parametrize("way", ["own", "mla"])
def test_positions_go_on_where_the_prompt_ends(way: str) -> None:
    layer, x = random_layer(6, 3), random_inputs()
    made = layer if way == "own" else mla(layer, statistics_of(layer, x), 6, 10)
    whole, later = made.project(x), made.project(x[:, 5:], first=5)
    for one, other in zip(whole, later, strict=True):
        torch.testing.assert_close(one[:, :, 5:], other)
    last = attend(whole._replace(q=whole.q[:, :, -1:]), made.scale)
    torch.testing.assert_close(last, attend(whole, made.scale)[:, :, -1:])


def test_positions_count() -> None:
    """A test of the tests: a wrong rotation would be seen."""
    layer, x = random_layer(4, 2), random_inputs()
    turned = replace(layer, frequencies=layer.frequencies * 1.1)
    assert error(turned, layer, x) > 0.01
    assert N_POSITIONS > 2
