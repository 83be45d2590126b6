"""Test the duel: one shared set of keys and values as a mean and at its best, and a latent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from extract.attention.arithmetic import softmax
from extract.latent.duel import Duel, Side, duel
from extract.trace import Trace, TraceError
from extract.trace.contents.conversion_report import at_equal_size
from tests.support.latents import with_latent
from tests.support.traces import make_trace

WAYS = {"mean": "mqa", "best": "mqa_fitted", "latent": "mla"}


def moved(trace: Trace, pattern: np.ndarray) -> np.ndarray:
    """Return how much attention moves in each head and row of the prompt but the first."""
    layer, stop = trace.meta.featured.layer, trace.meta.n_prompt
    own = trace.get("pattern", layer).astype(np.float64)
    rows = [
        [sum(abs(pattern[head][row] - own[head][row])) / 2 for row in range(1, stop)]
        for head in range(trace.meta.n_heads)
    ]
    return np.array(rows)


def sides(found: Duel) -> dict[str, Side]:
    return {way: getattr(found, way) for way in WAYS}


def test_a_converted_model_has_the_patterns_of_its_ladder(shipped: Trace) -> None:
    layer, contest = shipped.meta.featured.layer, at_equal_size(shipped)
    assert contest is not None
    found = duel(shipped, layer)
    np.testing.assert_array_equal(found.own, shipped.get("pattern", layer))
    for way, side in sides(found).items():
        np.testing.assert_array_equal(side.pattern, shipped[f"duel.{WAYS[way]}.pattern"])
        row = getattr(contest, way)
        assert side.numbers == row.numbers == 128
        assert side.distance.mean == pytest.approx(row.moved_by_layer[layer], abs=1e-6)
        assert side.distance.mean == pytest.approx(moved(shipped, side.pattern).mean())
        assert side.distance.worst == pytest.approx(moved(shipped, side.pattern).max())
    assert found.latent.distance.mean < found.best.distance.mean < found.mean.distance.mean


@pytest.mark.parametrize("options", [{}, {"biases": True}, {"positions": "alibi"}])
def test_a_layer_that_does_not_rotate_is_computed_alone(options: dict[str, object]) -> None:
    """Of every head by plain products: the mean key, the best shared key, keys of the latent."""
    trace = with_latent(n_heads=6, n_kv_heads=3, d_head=8, **options)
    layer = trace.meta.featured.layer
    found = sides(duel(trace, layer))
    x, q, k = (trace.get(name, layer).astype(np.float64) for name in ("x", "q", "k"))
    later = np.triu(np.full((len(x), len(x)), -np.inf), 1)
    for head in range(6):
        made = {
            "mean": k.mean(axis=1),
            "best": x @ trace[f"shared.{layer}.W_DK"] @ trace[f"shared.{layer}.W_UK"][:, head // 2],
            "latent": x
            @ trace[f"latent.{layer}.W_DKV"]
            @ trace[f"latent.{layer}.W_UK"][:, head // 2],
        }
        for way, keys in made.items():
            scores = trace.meta.score_scale * q[:, head] @ keys.T
            pattern = softmax(scores + trace.position_bias(layer)[head] + later)
            np.testing.assert_allclose(found[way].pattern[head], pattern, atol=1e-6)
    assert [side.numbers for side in found.values()] == [16, 16, 16]
    smaller = with_latent(rank=5, n_heads=6, n_kv_heads=3, d_head=8, **options)
    assert [side.numbers for side in sides(duel(smaller, layer)).values()] == [16, 16, 5]


def test_what_is_lacking_is_said_in_one_line(shipped: Trace) -> None:
    rotary = with_latent(positions="rotary", n_kv_heads=2)
    plain = with_latent(n_kv_heads=2)
    without = {n: a for n, a in plain.tensors.items() if not n.startswith("shared.")}
    before = {n: a for n, a in shipped.tensors.items() if not n.startswith("duel.")}
    for trace, layer, what in (
        (rotary, 1, "holds no conversion of layer 1"),
        (shipped, 3, "holds no conversion of layer 3"),
        (Trace(shipped.meta, before), 11, "make it again with: python -m extract convert"),
        (Trace(plain.meta, without), 1, "fit it again with: python -m extract latent FILE"),
        (make_trace(n_kv_heads=2), 1, "holds no latent of layer 1"),
        (Trace(replace(shipped.meta, conversion=None), before), 11, "holds no conversion of"),
    ):
        with pytest.raises(TraceError, match=what) as found:
            duel(trace, layer)
        assert "\n" not in str(found.value)
