"""The scene of one attention head, run without drawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from extract.attention.head_norm import HeadNorm
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body
from filmkit.core.norm import Norm
from filmkit.core.numbers import MINUS, format_decimal
from filmkit.core.picture_map import panels_on
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.view import HeadView, LayerView, best_match
from filmkit.pictures.bodies import Relief
from filmkit.pictures.flows import Arc, Strip
from filmkit.render.manim_config import changed_config
from scenes.attention.parts import (
    largest_product,
    looked_at,
    piled,
    scaling_of,
    score_notes,
)
from scenes.attention.scene_attention import Attention
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.staging import BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

B = TypeVar("B", bound=Body | Arc)

UNUSUAL = {
    "tiny head": {"n_tokens": 5, "d_head": 4},
    "normalised": {
        **{"n_heads": 4, "n_kv_heads": 2, "d_head": 32, "positions": "rotary"},
        **{"qk_norm": HeadNorm("rms", "head", 1e-6), "d_v": 16},
    },
    "normalised, not rotated": {"d_head": 32, "qk_norm": HeadNorm("layer", "token", 1e-6)},
    "sinks": {"d_head": 32, "positions": "rotary", "sinks": True},
    "window and cap": {"d_head": 32, "positions": "rotary", "window": 4, "score_cap": 2.0},
    "large head": {"n_tokens": 12, "n_heads": 2, "d_head": 256, "positions": "rotary"},
}


@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_heads_of_unusual_sizes_can_be_read(case: dict) -> None:
    pictures = play(Attention, make_trace(**case))
    assert [line for p in pictures for line in complaints(p)] == []


def head_of(trace: Trace, *, show: bool = True) -> HeadView:
    return LayerView.of_prompt(trace, None, show_first_token=show).head(None)


def test_queries_are_shown_after_their_norm() -> None:
    case = UNUSUAL["normalised"]
    trace = make_trace(**case)
    layer, head = trace.meta.featured.layer, trace.meta.featured.head
    view = head_of(trace, show=False)
    np.testing.assert_array_equal(view.q, trace.get("q_norm", layer)[1:, head])
    np.testing.assert_array_equal(view.q_used, trace.get("q_rot", layer)[1:, head])
    np.testing.assert_array_equal(view.k, trace.get("k_norm", layer)[1:, trace.kv_head(head)])
    assert view.layer.norm("q") == Norm.stretched(trace.get("q_norm", layer)[1:], role="query")


def test_keys_before_a_window_are_masked() -> None:
    view = head_of(make_trace(**UNUSUAL["window and cap"]), show=False)
    assert view.causal_mask[-1].tolist() == [True] * 5 + [False] * 4
    assert not view.pattern[view.causal_mask].any()
    assert np.abs(view.scores).max() < 2.0


@pytest.mark.parametrize(("window", "told"), [(0, False), (4, True), (8, True), (9, False)])
def test_a_window_is_told_only_where_it_masks_something(window: int, told: bool) -> None:
    trace = make_trace(d_head=32, positions="rotary", window=window)
    assert trace.window(trace.meta.featured.layer) == window
    view = head_of(trace, show=False)
    assert view.layer.count == 9
    assert ("what is far back is masked too" in score_notes(view)) is told


# The beginning token


@pytest.mark.parametrize("begins", [False, True])
def test_a_beginning_token_is_introduced_where_there_is_one(begins: bool) -> None:
    (first,) = play(Attention, make_trace(has_bos=begins), until=0)
    assert ("a token called “start”, which stands first" in first.record.narration) is begins
    assert ("start" in {item.text for item in first.texts}) is begins


def test_the_beginning_token_takes_part_in_all_pictures() -> None:
    trace = make_trace(has_bos=True, n_tokens=6)
    for show in (False, True):
        pictures = play(Attention, trace, StageSettings(show_first_token=show))
        assert not [p.record.name for p in pictures if "not drawn" in p.record.notes[1]]
        named = {p.record.name for p in pictures if "start" in {t.text for t in p.texts}}
        assert {"words_become_rows", "softmax_of_a_row", "the_pattern"} <= named


# What a query looks at


@pytest.mark.parametrize("show", [False, True], ids=["hidden", "shown"])
@pytest.mark.parametrize("sinks", [False, True])
def test_all_that_a_query_looks_at_adds_up_to_one(sinks: bool, show: bool) -> None:
    view = head_of(make_trace(d_head=32, positions="rotary", sinks=sinks), show=show)
    for query in range(view.layer.count):
        found = looked_at(view, query, 0)
        assert sum(each.share for each in found) == pytest.approx(1.0, abs=1e-6)
        seen = sorted(position for each in found for position in each.positions)
        assert seen == list(range(view.layer.first + query + 1))
        assert [each.word for each in found if not each.positions] == ["nothing"] * sinks
        assert (found[0].word == "before") is not show


def test_of_many_words_the_query_the_key_and_the_largest_shares_stand_alone() -> None:
    view = head_of(trace_of_kind("24 long tokens"))
    query, key = view.layer.count - 1, 1
    found = looked_at(view, query, key)
    alone = [each for each in found if isinstance(each.name, int)]
    together = next(each for each in found if not isinstance(each.name, int))
    assert {query, key} <= {each.name for each in alone}
    assert together.word == f"{len(together.positions)} others"
    others = [each.share for each in alone if each.name not in (query, key)]
    assert min(others) >= view.pattern_rows[query, list(together.positions)].max()


def bodies_after(
    beat: str, kind: type[B], which: Callable[[B], bool] = lambda body: True
) -> list[B]:
    """Return copies of the bodies of a kind on screen at the end of a beat."""
    found: list[B] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name == beat:
            found.extend(
                part.copy()
                for part in stage.visible_parts()
                if isinstance(part, kind) and which(part)
            )

    with changed_config({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        Attention(trace_of_kind(SHIPPED_KIND), on_beat_end=note).render()
    return found


def test_light_between_words_and_the_strip_are_the_row_of_the_pattern() -> None:
    view = head_of(trace_of_kind(SHIPPED_KIND))
    query, _key = best_match(view)
    (strip,) = bodies_after("softmax_of_a_row", Strip)
    np.testing.assert_allclose(strip.values, view.pattern[query, : query + 1], atol=1e-6)
    arcs = bodies_after("the_pattern", Arc)
    shares = [float(arc.values[0]) for arc in arcs]
    np.testing.assert_allclose(shares, view.pattern[query, :query], atol=1e-6)


def test_the_future_has_no_bars() -> None:
    view = head_of(trace_of_kind(SHIPPED_KIND))
    rows = bodies_after("scale_and_mask", Relief)
    assert [len(row.values) for row in rows] == list(range(1, view.layer.count + 1))
    for query, row in enumerate(rows):
        np.testing.assert_allclose(row.values, view.scores[query, : query + 1], atol=1e-6)
    # All of them begin at the same place, and are as wide as they have numbers.
    left = [row.at((row.extent[0, 0], 0, 0))[0] for row in rows]
    wide = [np.ptp(row.extent[:, 0]) for row in rows]
    np.testing.assert_allclose(left, left[0])
    np.testing.assert_allclose(wide, wide[0] * np.arange(1, len(rows) + 1))


def test_the_values_that_are_mixed_give_the_row_that_is_drawn() -> None:
    view = head_of(trace_of_kind(SHIPPED_KIND))
    query, _key = best_match(view)
    *values, mixed = bodies_after("a_weighted_mix", Relief)
    for share, row, own in zip(view.pattern[query], values, view.v, strict=False):
        np.testing.assert_allclose(row.values, share * own, atol=1e-5)
    np.testing.assert_allclose(sum(row.values for row in values), mixed.values, atol=1e-4)
    assert {row.unit for row in values} == {mixed.unit}


def test_the_last_picture_shows_every_tensor_of_the_head() -> None:
    sources = set()

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name == "complete_circuit":
            panels = panels_on(stage.mobjects, stage.camera)
            sources.update((p.heatmap.source.tensor or "").split(".")[0] for p in panels)

    with changed_config({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        Attention(trace_of_kind(SHIPPED_KIND), on_beat_end=note).render()
    assert sources == {"x", "W_Q", "W_K", "W_V", "q_rot", "k_rot", "v", "pattern", "z"}


# One query meets one key


PAIRS = ["grouped heads, rotary", "24 long tokens", "true MLA", SHIPPED_KIND]


@pytest.mark.parametrize("kind", PAIRS)
def test_a_product_is_that_of_its_factors_as_they_are_printed(kind: str) -> None:
    view = head_of(trace_of_kind(kind))
    query, key = best_match(view)
    q, k = view.q_used[query], view.k_used[key]
    channel = largest_product(view, query, key)
    factors = [read(format_decimal(row[channel], 2)) for row in (q, k)]
    printed = read(format_decimal(q[channel] * k[channel], 1))
    assert round(factors[0] * factors[1], 1) == pytest.approx(printed)
    assert printed > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_the_tower_is_as_high_as_what_it_stands_for(sign: int) -> None:
    products = Relief(sign * np.array([3.0, -1.0, 2.0, -0.5]), unit=2.0)
    whole, cut = (piled(products, cut=cut) for cut in (False, True))
    assert whole.extent[1, 1] == pytest.approx(2.5)
    assert cut.extent[1, 1] == pytest.approx(1.75)
    heights = np.ptp(whole.boxes[1:, :, 1], axis=1)
    np.testing.assert_allclose(heights, [1.5, 0, 1.0, 0])


def read(number: str) -> float:
    return float(number.replace(MINUS, "-").replace(",", ""))


def test_a_scaled_score_has_an_equals_sign_only_where_the_printed_numbers_give_it() -> None:
    signs = set()
    for seed in range(12):
        trace = make_trace(positions="rotary", d_head=12, seed=seed)
        view = head_of(trace, show=False)
        before, _by, width, sign, after = scaling_of(view, *best_match(view)).split()
        quotient = read(before) / int(width.removeprefix("√")) ** 0.5
        digits = len(after.partition(".")[2])
        assert (format_decimal(quotient, digits) == after) is (sign == "=")
        signs.add(sign)
    assert signs == {"=", "≈"}


@pytest.fixture(scope="module")
def pictures() -> list[BeatPicture]:
    """A head that rotates queries and keys."""
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", featured=(1, 5))
    return play(Attention, trace)


def test_a_dot_product_is_a_score_only_after_it_is_scaled(pictures: list[BeatPicture]) -> None:
    said = {
        picture.record.name: " ".join([picture.record.narration, *(t.text for t in picture.texts)])
        for picture in pictures
    }
    before = [*said][: [*said].index("scale_and_mask")]
    assert not [beat for beat in before if "score" in said[beat]]
    assert "these are the scores" in said["scale_and_mask"]


def test_a_model_that_rotates_says_so_once(pictures: list[BeatPicture]) -> None:
    told = [p.record.name for p in pictures if "word order" in " ".join(t.text for t in p.texts)]
    assert told == ["make_the_queries"]
    plain = play(Attention, make_trace(positions="learned", d_head=16))
    assert not [p for p in plain if "word order" in " ".join(t.text for t in p.texts)]


def test_no_figure_is_a_negative_zero(pictures: list[BeatPicture]) -> None:
    for picture in pictures:
        texts = {item.text for item in picture.texts}
        assert not {f"{MINUS}0", f"{MINUS}0.0", f"{MINUS}0.00", "-0.0"} & texts


@pytest.mark.parametrize(
    "model", ["made-up model", pytest.param("m" * 255, marks=pytest.mark.slow)]
)
def test_random_weights_are_named(model: str) -> None:
    texts = play(Attention, replaced(make_trace(), model=model), until=0)[0].texts
    assert any("random weights" in item.text for item in texts)
