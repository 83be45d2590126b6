"""The scene of one attention head, run without drawing."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from extract.attention.head_norm import HeadNorm
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.numbers import MINUS, format_decimal
from filmkit.core.picture_map import PanelItem, panels_on
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Symbol
from filmkit.core.view import LayerView, best_match
from filmkit.render.manim_config import changed_config
from scenes.attention.parts import WorkedSum, in_formula, rest_of, scaling_of, score_notes
from scenes.attention.scene_attention import DIM, GAMMA, Attention
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.staging import BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

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


def test_queries_are_shown_after_their_norm() -> None:
    case = UNUSUAL["normalised"]
    trace = make_trace(**case)
    layer, head = trace.meta.featured.layer, trace.meta.featured.head
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    np.testing.assert_array_equal(view.q, trace.get("q_norm", layer)[1:, head])
    np.testing.assert_array_equal(view.q_used, trace.get("q_rot", layer)[1:, head])
    np.testing.assert_array_equal(view.k, trace.get("k_norm", layer)[1:, trace.kv_head(head)])
    assert view.layer.norm("q") == Norm.stretched(trace.get("q_norm", layer)[1:], role="query")


def test_keys_before_a_window_are_masked() -> None:
    trace = make_trace(**UNUSUAL["window and cap"])
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    assert view.causal_mask[-1].tolist() == [True] * 5 + [False] * 4
    assert not view.pattern[view.causal_mask].any()
    assert np.abs(view.scores).max() < 2.0


@pytest.mark.parametrize(("window", "told"), [(0, False), (4, True), (8, True), (9, False)])
def test_a_window_is_told_only_where_it_masks_something(window: int, told: bool) -> None:
    trace = make_trace(d_head=32, positions="rotary", window=window)
    assert trace.window(trace.meta.featured.layer) == window
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    assert view.layer.count == 9
    assert ("what is far back is masked too" in score_notes(view)) is told


@pytest.mark.parametrize("show", [False, True], ids=["hidden", "shown"])
@pytest.mark.parametrize("sinks", [False, True])
def test_what_goes_to_nothing_is_told_only_where_there_is_a_sink(sinks: bool, show: bool) -> None:
    trace = make_trace(d_head=32, positions="rotary", sinks=sinks)
    view = LayerView.of_prompt(trace, None, show_first_token=show).head(None)
    # Without one some rows sum to a little less than 1, as those of any model do.
    assert (view.pattern_rows.sum(axis=1) < 1).any()
    told = [rest_of(view, query) for query in range(view.layer.count)]
    assert [any("to nothing" in line for line in lines) for lines in told] == [
        sinks
    ] * view.layer.count
    assert not [line for lines in told for line in lines if " 0.0%" in line]


def test_a_share_that_would_be_written_as_zero_is_not_told() -> None:
    whole = make_trace(d_head=32)
    for share, told in ((0.02, ["and 2.0% to the beginning token"]), (0.0004, [])):
        tensors = {}
        for layer in range(whole.meta.n_layers):
            pattern = whole.get("pattern", layer).astype(np.float64)
            rest = pattern[..., 1:, 1:]
            pattern[..., 1:, 1:] = (1 - share) * rest / rest.sum(axis=-1, keepdims=True)
            pattern[..., 1:, 0] = share
            tensors[f"pattern.{layer}"] = pattern
        trace = replaced(whole, tensors)
        view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
        assert rest_of(view, 3) == told


def test_the_rotation_is_told_only_where_there_is_one() -> None:
    assert "rotate_by_position" in Attention.beat_names(make_trace(positions="rotary"))
    assert "rotate_by_position" not in Attention.beat_names(make_trace(positions="learned"))


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
    for beat in ("a_query_meets_a_key", "one_cell", "rotate_by_position", "all_dot_products"):
        assert "dot product" in said[beat]
    assert "become moderate scores" in said["scale_and_mask"]


def test_the_last_picture_shows_every_tensor_of_the_head(pictures: list[BeatPicture]) -> None:
    sources = [panel.heatmap.source for panel in pictures[-1].panels]
    names = {source.tensor.split(".")[0] for source in sources if source.tensor}
    assert names == {"q_rot", "k_rot", "v", "pattern", "z"}


def test_the_first_token_is_hidden_unless_asked_for() -> None:
    trace = make_trace(has_bos=True)
    for show, first in ((False, 1), (True, 0)):
        pictures = play(Attention, trace, StageSettings(show_first_token=show))
        notes = {p.record.name: p.record.notes[1] for p in pictures}
        # Only the beat whose rows and columns are words says which word is left out.
        assert ("takes part but is not drawn" in notes["all_dot_products"]) is not show
        assert not notes["words_become_rows"] + notes["values"]
        pattern = next(
            p.heatmap
            for p in pictures[-1].panels
            if p.heatmap.source.tensor and p.heatmap.source.tensor.startswith("pattern")
        )
        assert pattern.shape[0] == trace.meta.n_prompt - first


@pytest.mark.parametrize("begins", [False, True])
def test_a_beginning_token_is_introduced_with_the_rows(begins: bool) -> None:
    said = play(Attention, make_trace(has_bos=begins), until=0)[0].record.narration
    assert ("so does a beginning token" in said) is begins


def panels_of(picture: BeatPicture, tensor: str) -> list[PanelItem]:
    named = [p for p in picture.panels if (p.heatmap.source.tensor or "").startswith(tensor)]
    return sorted(named, key=lambda panel: panel.box.left)


@cache
def drawn_at_the_end_of(
    trace: Trace, settings: StageSettings | None = None
) -> dict[str, list[Heatmap]]:
    """Return copies of all heatmaps on screen at the end of each beat."""
    drawn: dict[str, list[Heatmap]] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        panels = panels_on(stage.mobjects, stage.camera)
        drawn[record.name] = [panel.heatmap.copy() for panel in panels]

    with changed_config({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        Attention(trace, settings, on_beat_end=note).render()
    return drawn


def named(panels: list[Heatmap], tensor: str) -> list[Heatmap]:
    return [panel for panel in panels if (panel.source.tensor or "").startswith(tensor)]


@pytest.mark.parametrize("show", [True, False])
def test_the_mix_on_screen_adds_up_to_z(show: bool) -> None:
    trace = make_trace(positions="rotary", d_head=16)
    view = LayerView.of_prompt(trace, None, show_first_token=show).head(None)
    panels = drawn_at_the_end_of(trace, StageSettings(show_first_token=show))["a_weighted_mix"]
    values, weights, (z,) = (named(panels, f"{name}.") for name in ("v", "pattern", "z"))
    assert len(values) == len(weights) == 2 - show
    values, weights = (sorted(each, key=lambda panel: panel.shape[0]) for each in (values, weights))
    total = sum(w.values.T @ v.values for w, v in zip(weights, values, strict=True))
    np.testing.assert_allclose(total, z.values, atol=1e-5)
    np.testing.assert_array_equal(z.values, view.z[[best_match(view)[0]]])


def test_light_grows_with_the_weight_in_the_mix() -> None:
    trace = trace_of_kind(SHIPPED_KIND)
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    query, key = best_match(view)
    panels = named(drawn_at_the_end_of(trace)["a_weighted_mix"], "v.")
    hidden, values = sorted(panels, key=lambda panel: panel.shape[0])
    shares = np.broadcast_to(view.pattern[query][:, None], values.shape)
    weights = [((panel.shown - DIM) / (1 - DIM)) ** GAMMA for panel in (values, hidden)]
    np.testing.assert_allclose(weights[0], shares, atol=1e-9)
    assert weights[1] == pytest.approx(view.hidden_attention[query], abs=1e-9)
    assert shares[:, 0].argmax() == key


def test_all_is_at_full_strength_where_nothing_is_pointed_at() -> None:
    pointed = {"queries_and_keys", "a_query_meets_a_key", "one_cell", "a_weighted_mix"}
    for beat, panels in drawn_at_the_end_of(trace_of_kind(SHIPPED_KIND)).items():
        assert beat in pointed or all((panel.shown == 1).all() for panel in panels), beat


def test_what_is_not_meant_can_still_be_seen() -> None:
    empty = {"transpose_the_keys", "a_query_meets_a_key", "one_cell"}
    for beat, panels in drawn_at_the_end_of(trace_of_kind(SHIPPED_KIND)).items():
        if beat not in empty and panels:
            assert all((panel.shown >= DIM).all() for panel in panels), beat
            assert max(panel.shown.max() for panel in panels) == 1, beat


@pytest.mark.parametrize(
    "kind", ["16 words", pytest.param("24 long tokens", marks=pytest.mark.slow)]
)
def test_the_pattern_of_a_long_prompt_has_words_at_all_rows_and_columns(kind: str) -> None:
    trace = trace_of_kind(kind)
    picture = play(Attention, trace, until="the_pattern")[-1]
    count = LayerView.of_prompt(trace, None, show_first_token=False).count
    (pattern,) = panels_of(picture, "pattern.")
    beside = [t for t in picture.texts if t.presence >= DIM and t.box.right <= pattern.box.left]
    above = [
        t
        for t in picture.texts
        if t.presence >= DIM
        and pattern.box.left < t.box.x < pattern.box.right
        and t.box.top <= pattern.box.bottom
        and t.box.height > t.box.width / 3
    ]
    assert len(beside) >= count
    assert len(above) >= count


# One query meets one key


PAIRS = ["grouped heads, rotary", "24 long tokens", "true MLA", SHIPPED_KIND]


@pytest.mark.parametrize("kind", PAIRS)
def test_the_sum_by_hand_adds_up_as_it_is_printed(kind: str) -> None:
    view = LayerView.of_prompt(trace_of_kind(kind), None, show_first_token=False).head(None)
    match = best_match(view)
    worked = WorkedSum(view, *match)
    printed = [read(line[-1].text) for line in worked.lines]
    total = worked.total.text
    digits = len(total.partition(".")[2])
    assert sum(printed) == pytest.approx(read(total), abs=1e-9)
    assert total == format_decimal(view.dot_products[match], digits)


def read(number: str) -> float:
    return float(number.replace(MINUS, "-").replace(",", ""))


def test_a_scaled_score_has_an_equals_sign_only_where_the_printed_numbers_give_it() -> None:
    signs = set()
    for seed in range(12):
        trace = make_trace(positions="rotary", d_head=12, seed=seed)
        view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
        text = scaling_of(view, *best_match(view)).text
        before, width, sign, after = re.match(
            r"(\S+) / sqrt\((\d+)\) (=|approx) (\S+)", text
        ).groups()
        quotient = read(before) / int(width) ** 0.5
        digits = len(after.partition(".")[2])
        assert (format_decimal(quotient, digits) == after) is (sign == "=")
        signs.add(sign)
    assert signs == {"=", "approx"}


def test_no_figure_is_a_negative_zero() -> None:
    for picture in play(Attention, make_trace(d_head=16, positions="rotary")):
        texts = {item.text for item in picture.texts}
        assert not {f"{MINUS}0", f"{MINUS}0.0", f"{MINUS}0.00", "-0.0"} & texts


def test_a_comma_in_a_number_separates_nothing() -> None:
    assert in_formula("0.125") == "0.125"
    comma = Symbol(f"times {in_formula('0,125')}")
    assert comma.width == pytest.approx(Symbol("times 0.125").width, rel=0.05)


@pytest.mark.parametrize(
    "model", ["made-up model", pytest.param("m" * 255, marks=pytest.mark.slow)]
)
def test_random_weights_are_named(model: str) -> None:
    texts = play(Attention, replaced(make_trace(), model=model), until=0)[0].texts
    assert any("random weights" in item.text for item in texts)
