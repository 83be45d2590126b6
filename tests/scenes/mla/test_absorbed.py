"""The second half of the scene of the latent: no key is built, and all of its numbers are true."""

from __future__ import annotations

import numpy as np
import pytest

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.geometry import Box
from filmkit.core.stage import Stage
from filmkit.core.view import LayerView
from filmkit.pictures.latent_view import LatentView
from filmkit.render.manim_config import changed_config
from scenes.mla.absorbed import RebuiltKeys
from scenes.mla.scene_mla import LatentAttention
from tests.support.latents import with_latent
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

CASES = {
    "rotary": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "own latent": {"n_heads": 6, "d_head": 32, "positions": "rotary", "mla": True},
}

OUTPUTS = "with keys", "without keys", "difference"


def make(**options: object) -> Trace:
    return make_trace(**options) if options.get("mla") else with_latent(**options)


@pytest.fixture(scope="module", params=CASES)
def trace(request: pytest.FixtureRequest) -> Trace:
    return make(**CASES[request.param])


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(LatentAttention, trace)}


def test_the_bracket_leaves_no_key(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    def keys(beat: str) -> list[np.ndarray]:
        panels = (p.heatmap for p in pictures[beat].panels if p.opacity)
        return [cells.values for cells in panels if cells.source.quantity == "latent_keys"]

    meta = trace.meta
    content = meta.d_qk - (meta.rotary_dim if meta.attention == "mla" else 0)
    whole = [values for values in keys("a_new_query") if values.shape == (meta.n_prompt, content)]
    # The beginning token is not drawn elsewhere, but its keys too would have to be rebuilt.
    assert len(whole) == meta.n_kv_heads
    assert not keys("move_the_bracket")
    count = meta.n_kv_heads * meta.n_prompt * content
    said = {item.text for item in pictures["a_new_query"].texts}
    assert f"{count:,} numbers rebuilt" in said
    assert any(
        item.text.startswith("0 keys rebuilt") for item in pictures["move_the_bracket"].texts
    )


def test_the_query_is_compared_with_latents(pictures: dict[str, BeatPicture]) -> None:
    panels = [p.heatmap for p in pictures["the_latent_drops_in"].panels]
    of = {p.source.quantity or p.source.tensor: p.values for p in panels}
    asked, scores = of["latent_queries"], of["latent_scores"]
    latents = of["latents"] if "latents" in of else of["kv_latent.1"]
    assert asked.shape == (1, latents.shape[1])
    assert scores.shape == (len(latents), 1)


def test_the_difference_of_both_outputs_is_nothing_but_rounding(
    pictures: dict[str, BeatPicture],
) -> None:
    panels = [p.heatmap for p in pictures["both_forms_agree"].panels]
    rebuilt, read, gone = ([p.values for p in panels if p.label == name] for name in OUTPUTS)
    for one, other, difference in zip(rebuilt, read, gone, strict=True):
        np.testing.assert_array_equal(difference, np.abs(one - other))
        assert difference.max() < 1e-9 * np.abs(one).max()


def test_it_ends_on_all_that_is_kept_of_a_token(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    picture = pictures["the_cache"]
    kept = [p.heatmap for p in picture.panels if p.opacity]
    numbers = sum(cells.shape[1] for cells in kept)
    assert {len(cells.values) for cells in kept} == {trace.meta.n_prompt - 1}
    assert f"{numbers} numbers" in {item.text for item in picture.texts}


def test_the_bracket_ends_around_the_query_and_results_stand_below_their_factors() -> None:
    mosaics = []

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name in ("a_new_query", "move_the_bracket"):
            assert isinstance(stage, LatentAttention)
            mosaics.append({name: part.box for name, part in stage.parts.items()})

    with changed_config({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        LatentAttention(make(**CASES["rotary"]), on_beat_end=note).render()
    before, after = mosaics
    assert before["query"].x < before["open"].x < before["weights"].x
    assert before["latents"].x < before["close"].x
    assert after["open"].x < after["query"].x
    assert after["weights"].x < after["close"].x < after["latents"].x
    for result, factor in ("asked", "weights"), ("row", "latents"):
        np.testing.assert_allclose(
            (after[result].left, after[result].right), (after[factor].left, after[factor].right)
        )


def test_one_row_of_attention_mixes_the_latents(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    panels = [p.heatmap for p in pictures["the_pattern_mixes_latents"].panels]
    (shares,) = (p.values for p in panels if p.source.quantity == "latent_pattern")
    view = LatentView.of(LayerView.of_prompt(trace, None, show_first_token=False))
    # What is not drawn is the share of the beginning token.
    hidden = (1 - shares.sum()) * view.mla.kv_latent[:1]
    mix = shares.T @ view.latent.values + hidden
    drawn = [p for p in panels if p.source.quantity == "mixed_latents"]
    assert drawn
    for cells in drawn:
        np.testing.assert_allclose(cells.values, mix[:, slice(*cells.source.index[1])], atol=1e-6)


def test_towers_sink_into_the_floor(trace: Trace) -> None:
    view = LatentView.of(LayerView.of_prompt(trace, None, show_first_token=False))
    keys, floor = RebuiltKeys(view, Box(0.0, 0.0, 6.0, 2.0)), -1.0
    _top, side, front, edges = keys.towers[0]
    assert keys.get_top()[1] == pytest.approx(1.0)
    assert (keys.get_left()[0], keys.get_right()[0]) == pytest.approx((-3.0, 3.0))
    height = front.box.top - floor
    keys.sink(0.5)
    np.testing.assert_allclose(front.box.top - floor, height / 2)
    assert edges.get_bottom()[1] == pytest.approx(floor)
    seen = front.shown[:, 0]
    np.testing.assert_allclose(seen[: len(seen) // 2], 1)
    np.testing.assert_allclose(seen[(len(seen) + 1) // 2 :], 0, atol=1e-9)
    np.testing.assert_array_equal(side.shown[:, 0], seen)
