"""The scene of the latent: it can be read, matches the trace, has no jump, no stray number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from manim import Group, tempconfig

from extract.conversion_report import at_equal_size
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import Frame
from filmkit.core.numbers import format_power_of_ten
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage, StageError
from filmkit.core.view import LayerView
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.latent_layout import NaiveLayout
from filmkit.mobjects.latent_panel import show_naive_form
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.sayings import as_said
from scenes.mla.absorption import BracketFormula
from scenes.mla.diagrams import NaivePicture
from scenes.mla.scene_mla import DUEL, LatentAttention
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

CASES = {
    "rotary": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "own latent": {"n_heads": 6, "d_head": 32, "positions": "rotary", "mla": True},
    "four tokens": {"n_tokens": 4, "d_head": 64},
    "20 tokens": {"n_tokens": 20, "n_heads": 9, "n_kv_heads": 3, "d_head": 64, "d_model": 288},
}


def make(**options: object) -> Trace:
    return make_trace(**options) if options.get("mla") else with_latent(**options)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make(**CASES["rotary"])


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(LatentAttention, trace)}


def test_it_takes_as_long_as_one_listens(pictures: dict[str, BeatPicture]) -> None:
    assert 85 <= pictures["the_cache"].record.end <= 130


def test_a_missing_latent_names_the_command() -> None:
    with pytest.raises(StageError, match=r"python -m extract latent FILE --layer 1"):
        play(LatentAttention, make_trace())


def test_losses_and_the_duel_are_told_only_where_they_can_be() -> None:
    names = LatentAttention.beat_names(make_trace(mla=True, positions="rotary"))
    duel = {"the_same_budget", "all_heads_compared"}
    assert not {"what_is_lost", *duel} & set(names)
    assert {"what_is_lost", *duel} <= set(LatentAttention.beat_names(make_trace(n_kv_heads=2)))
    assert not duel & set(LatentAttention.beat_names(make_trace(n_kv_heads=1)))


# --- What is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"positions": "rotary"}, "rotation left out"),
        ({"positions": "rotary", "mla": True}, "the model’s own latent"),
        ({"positions": "learned"}, None),
    ],
)
def test_it_says_what_is_left_out(options: dict, expected: str | None) -> None:
    for picture in play(LatentAttention, make(**options)):
        if picture.record.name in DUEL:
            continue
        texts = " ".join(item.text for item in picture.texts)
        assert expected is None or expected in texts
        assert ("rotation left out" in texts) is (expected == "rotation left out")


def test_the_duel_keeps_the_rotation_and_says_that_nothing_was_trained(
    pictures: dict[str, BeatPicture],
) -> None:
    texts = " ".join(item.text for item in pictures["all_heads_compared"].texts)
    assert "nothing trained" in texts
    assert "rotation left out" not in texts


def test_biases_are_said_to_be_dropped_and_moved() -> None:
    beats = {p.record.name: p for p in play(LatentAttention, with_latent(biases=True))}
    texts = {item.text for item in beats["flatten"].texts}
    assert {"bias dropped", "bias: to output"} <= texts
    assert any("mean row" in item.text for item in beats["what_is_lost"].texts)


# --- The duel -------------------------------------------------------------------------------------


def test_the_whole_models_shares_and_words_are_those_of_the_trace() -> None:
    shipped = Trace.load(SHIPPED)
    beats = {p.record.name: p for p in play(LatentAttention, shipped)}
    contest = at_equal_size(shipped)
    assert contest is not None
    shown = {item.text for item in beats["every_layer"].texts}
    assert {f"{100 * row.moved:.0f}" for row in (contest.mean, contest.latent)} <= shown
    said = {item.text for item in beats["what_it_says"].texts}
    assert {as_said(row.continuation) for row in contest.rows} <= said
    assert len({row.numbers for row in contest.rows[1:]}) == 1
    assert all(row.bos == contest.model.bos for row in contest.rows)


@pytest.mark.parametrize(
    ("value", "formula"),
    [(0.0, "0"), (3.2e-15, "3 times 10^(-15)"), (9.7e-15, "1 times 10^(-14)")],
)
def test_small_numbers_are_powers_of_ten(value: float, formula: str) -> None:
    assert format_power_of_ten(value) == formula


# --- The panels -----------------------------------------------------------------------------------


def test_the_bracket_leaves_no_key(pictures: dict[str, BeatPicture]) -> None:
    def keys(beat: str) -> int:
        found = (p for p in pictures[beat].panels if p.opacity)
        return sum(p.heatmap.source.quantity == "latent_keys" for p in found)

    assert keys("a_new_query") >= 3
    assert keys("move_the_bracket") == 0
    texts = {item.text for item in pictures["a_new_query"].texts}
    # The beginning token is not drawn, but its keys too would have to be rebuilt.
    assert {"1,920", "3 sets × 10 tokens × 64"} <= texts


def test_what_is_lost_has_one_scale_and_its_difference(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    panels = [p.heatmap for p in pictures["what_is_lost"].panels]
    by_source = {p.source.tensor or p.source.quantity: p for p in panels}
    for name, word in (("k", "keys"), ("v", "values")):
        true, rebuilt = by_source[f"{name}.1"], by_source[f"latent_{word}"]
        lost = by_source[f"lost_{word}"]
        np.testing.assert_allclose(lost.values, rebuilt.values - true.values)
        assert true.norm == rebuilt.norm == replace(lost.norm, cmap=true.norm.cmap)


def test_a_trained_latent_shows_its_own_cache() -> None:
    trace = make(**CASES["own latent"])
    beats = {p.record.name: p for p in play(LatentAttention, trace)}
    found = {p.heatmap.source.tensor: p.heatmap for p in beats["flatten"].panels}
    np.testing.assert_array_equal(found["kv_latent.1"].values, trace["kv_latent.1"][1:10])
    np.testing.assert_array_equal(found["k_rope.1"].values, trace["k_rope.1"][1:10])
    (pattern,) = (
        p.heatmap.values
        for p in beats["flatten"].panels
        if p.heatmap.source.quantity == "latent_pattern"
    )
    np.testing.assert_allclose(pattern, trace["pattern.1"][5, 1:10, 1:10], atol=1e-5)


# --- No cut, no jump ------------------------------------------------------------------------------


def test_flattened_it_is_the_flat_picture(trace: Trace) -> None:
    """After the flattening, the pixels are those of a diagram that was never in space."""
    ends: dict[str, np.ndarray] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name == "flatten":
            shown = [m for m in stage.mobjects if presence(m) > 0]
            stage.camera.reset()
            stage.camera.capture_mobjects(shown)
            ends["scene"] = np.array(stage.camera.pixel_array)
            raise StopScene

    size = {"pixel_width": 480, "pixel_height": 270, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    with tempconfig(size | quiet | {"frame_height": 8.0}):
        with pytest.raises(StopScene):
            LatentAttention(trace, on_beat_end=note).render()
        view = LatentView.of(LayerView.of_prompt(trace, None, show_first_token=False))
        head_stack = HeadStack(view.layer, Frame(8 * 16 / 9), featured=8)
        show_naive_form(head_stack, view)
        layout = NaiveLayout.of(
            head_stack.picture.layout, count=9, cached=(view.forms.rank, 0), sizes=(0.028, 0.02)
        )
        camera = StageCamera()
        camera.shot = Shot()
        camera.reset()
        flat = Group(
            head_stack.parts(*["q", "k", "v", "k_t", "scores", "pattern", "z", "wires"]),
            head_stack.labels,
        )
        others = Group(*head_stack.others)
        for member in others.get_family():
            member.presence = 0.0
        camera.capture_mobjects([NaivePicture(view, layout).input_side, flat])
        ends["flat"] = np.array(camera.pixel_array)
    np.testing.assert_array_equal(ends["scene"], ends["flat"])
    assert ends["flat"][..., :3].any()


class StopScene(Exception):
    """Ends a scene early."""


@pytest.mark.parametrize("room", [3.0, 4.1, 4.15, 4.2, 4.25, 4.3, 5.0])
def test_the_formula_of_one_query_becomes_that_of_all(room: float) -> None:
    # Between two widths only the one of a single query has room for what it makes.
    of_all = BracketFormula("Q", (0.0, 0.0), room, 0.055)
    of_one = BracketFormula("q", (0.0, 0.0), room, 0.055, with_result=of_all.has_result)
    assert len(of_one) == len(of_all)
