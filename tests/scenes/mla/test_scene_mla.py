"""The scene of the latent: it can be read, matches the trace, has no jump, no stray number."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from manim import Group, tempconfig

from extract.architectures import MOE
from extract.attention import total_variation
from extract.forms import both_forms
from extract.latent import content_pattern, latent_report
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import Frame
from filmkit.core.numbers import format_power_of_ten
from filmkit.core.picture_map import PanelItem
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage, StageError
from filmkit.core.view import LayerView
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.latent_layout import NaiveLayout
from filmkit.mobjects.latent_panel import show_naive_form
from filmkit.mobjects.latent_view import LatentView
from scenes.mla.diagrams import NaivePicture
from scenes.mla.scene_mla import LatentAttention
from tests.support.figures import all_texts, spelled, unexplained
from tests.support.latents import with_latent
from tests.support.staging import BeatPicture, complaints, play
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


@pytest.mark.parametrize("case", ["four tokens", "20 tokens"])
def test_unusual_shapes_can_be_read(case: str) -> None:
    pictures = play(LatentAttention, make(**CASES[case]))
    assert [line for p in pictures for line in complaints(p)] == []


def test_it_takes_as_long_as_one_listens(pictures: dict[str, BeatPicture]) -> None:
    assert 85 <= pictures["the_cache"].record.end <= 115


def test_a_missing_latent_names_the_command() -> None:
    with pytest.raises(StageError, match=r"python -m extract latent FILE --layer 1"):
        play(LatentAttention, make_trace())


def test_losses_are_told_only_where_a_latent_was_fitted() -> None:
    names = LatentAttention.beat_names(make_trace(mla=True, positions="rotary"))
    fitted = {"what_is_lost", "what_it_does_to_attention", "error_against_rank"}
    assert not fitted & set(names)
    assert fitted <= set(LatentAttention.beat_names(make_trace()))


# --- What is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"positions": "rotary"}, "content only: rotation left out"),
        ({"positions": "rotary", "mla": True}, "the model’s own latent"),
        ({"positions": "learned"}, None),
    ],
)
def test_it_says_what_is_left_out(options: dict, expected: str | None) -> None:
    for picture in play(LatentAttention, make(**options)):
        texts = " ".join(item.text for item in picture.texts)
        assert expected is None or expected in texts
        assert ("rotation left out" in texts) is (expected is not None and "content" in expected)


def test_biases_are_said_to_be_dropped_and_moved() -> None:
    beats = {p.record.name: p for p in play(LatentAttention, with_latent(biases=True))}
    texts = {item.text for item in beats["flatten"].texts}
    assert {"bias dropped", "bias: to output", "+ bias"} <= texts
    assert any("mean row" in item.text for item in beats["what_is_lost"].texts)


# --- The numbers on screen ------------------------------------------------------------------------


def share(value: float) -> set[str]:
    """Return how a share is written as a percentage: 20, 8.5."""
    return spelled(100 * value, "{:.0f}" if 100 * value >= 9.95 else "{:.1f}")


def whole(*values: float) -> set[str]:
    return set(chain.from_iterable(spelled(value, "{:,.0f}") for value in values))


def explained(trace: Trace) -> set[str]:
    """Return every number that the scene may show or say, computed here and not by the scene."""
    meta, layer, head = trace.meta, trace.meta.featured.layer, trace.meta.featured.head
    report, forms = latent_report(trace, layer), both_forms(trace, layer)
    kv_head = head // (meta.n_heads // meta.n_kv_heads)
    rows = slice(int(meta.has_bos), meta.n_prompt)
    rebuilding_errors = []
    for name, rebuilt in (("k", forms.naive.k), ("v", forms.naive.v)):
        true = trace.get(name, layer)[rows, kv_head].astype(float)
        rest = np.linalg.norm(true - rebuilt[rows, kv_head])
        rebuilding_errors.append(rest / np.linalg.norm(true))
    content = content_pattern(trace, layer, trace.get("k", layer))
    own = trace.get("pattern", layer)
    by_rotation, by_latent = (
        total_variation(a, b)[:, 1 : meta.n_prompt]
        for a, b in ((own, content), (content, forms.naive.pattern))
    )
    moved = [m for part in (by_rotation, by_latent) for m in (part.mean(), part[head].mean())]
    chosen = report.chosen
    errors = [chosen.fit.held_out.balanced, chosen.weight_svd.held_out.balanced]
    scores = [
        value
        for column in MOE.columns
        for value in (column.bbh, column.mmlu, column.c_eval, column.cmmlu)
    ]
    pairs = zip(scores[:4] + scores[8:12], scores[4:8] + scores[12:], strict=True)
    higher = sum(latent > full for full, latent in pairs)
    difference = np.abs(forms.naive.out - forms.absorbed.out).max()
    exponent = int(np.floor(np.log10(difference)))
    largest = float(np.abs(forms.naive.out).max())
    return set(
        chain(
            whole(layer, head, meta.n_heads, meta.n_kv_heads, meta.d_qk, meta.d_v, meta.d_model),
            whole(meta.n_prompt - meta.has_bos, report.rank, report.full_rank, 0, 2),
            whole(2 * meta.n_kv_heads * meta.d_qk, report.calibration.n_held_out),
            whole(2 * 128 * 128, 128, 512 + 64, 512, 64),
            whole(50, 100, 40, 60),  # along the axes
            *(share(value) for value in (*rebuilding_errors, *moved, *errors)),
            *(spelled(value, "{:.1f}") for value in scores),
            whole(higher, len(scores) / 2),
            whole(round(difference / 10.0**exponent), 10, -exponent),
            spelled(largest, "{:.2f}" if largest < 10 else "{:.1f}"),
        )
    )


def test_every_number_is_accounted_for(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    allowed = explained(trace)
    names = {MOE.source, "DeepSeek-R1"}
    for name, picture in pictures.items():
        assert unexplained(all_texts(picture), allowed, names) == [], name


def test_the_numbers_of_the_story_are_there(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    report = latent_report(trace, 1)

    def texts(beat: str) -> list[str]:
        return [item.text for item in pictures[beat].texts if item.presence == 1]

    assert {"384", "32,768", "576", "512 + 64", str(report.rank)} <= set(texts("what_is_cached"))
    assert any("one rotated key, shared by all heads" in t for t in texts("what_is_cached"))
    steps = " ".join(texts("what_it_does_to_attention"))
    assert "leaving out the rotation" in steps
    assert "taking keys from the latent" in steps
    assert f"576 × {report.rank}" in texts("absorb_into_the_query")
    assert f"{report.rank} × 576" in texts("absorb_into_the_output")


@pytest.mark.parametrize(
    ("value", "formula"),
    [(0.0, "0"), (3.2e-15, "3 times 10^(-15)"), (9.7e-15, "1 times 10^(-14)")],
)
def test_small_numbers_are_powers_of_ten(value: float, formula: str) -> None:
    assert format_power_of_ten(value) == formula


# --- The panels -----------------------------------------------------------------------------------


def panel(picture: BeatPicture, source: str) -> np.ndarray:
    """Return the numbers of the one panel with this source."""
    (found,) = [p for p in picture.panels if p.heatmap.source.expression == source]
    return found.heatmap.values


def strong(picture: BeatPicture) -> list[PanelItem]:
    return [p for p in picture.panels if p.opacity == 1]


def test_the_expanded_form_is_the_reference(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    forms, picture = both_forms(trace, 1), pictures["flatten"]
    rows, head = slice(1, 10), trace.meta.featured.head
    for source, expected in (
        ("x times the fitted W_DKV", forms.kv_latent[rows]),
        ("keys from the latent", forms.naive.k[rows, head // 3]),
        ("values from the latent", forms.naive.v[rows, head // 3]),
        ("keys from the latent, transposed", forms.naive.k[rows, head // 3].T),
        ("scaled scores with keys from the latent", forms.naive.scores[head, rows, rows]),
        ("pattern with keys from the latent", forms.naive.pattern[head, rows, rows]),
        ("pattern times values from the latent", forms.naive.z[rows, head]),
    ):
        np.testing.assert_array_equal(panel(picture, source), expected)
    queries = next(p for p in picture.panels if p.heatmap.source.tensor == "q.1")
    np.testing.assert_array_equal(queries.heatmap.values, trace["q.1"][rows, head])


def test_the_absorbed_form_is_the_reference(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    forms, picture = both_forms(trace, 1), pictures["only_the_latent_is_read"]
    rows, head = slice(1, 10), trace.meta.featured.head
    for source, expected in (
        ("queries times W_UK, transposed", forms.absorbed.q_latent[rows, head]),
        ("scaled scores against the latent", forms.absorbed.scores[head, rows, rows]),
        ("pattern from scores against the latent", forms.absorbed.pattern[head, rows, rows]),
        ("pattern times the latent", forms.absorbed.z_latent[rows, head]),
    ):
        np.testing.assert_array_equal(panel(picture, source), expected)
    expressions = {p.heatmap.source.expression for p in strong(picture)}
    assert not any("keys from" in source or "values from" in source for source in expressions)


def test_each_head_of_the_stacks_shows_its_own_numbers(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    forms, rows = both_forms(trace, 1), slice(1, 10)
    for beat, source, expected in (
        ("one_latent_for_all", "pattern with keys from the latent", forms.naive.pattern),
        (
            "every_head_reads_it",
            "pattern from scores against the latent",
            forms.absorbed.pattern,
        ),
    ):
        shown = [
            p.heatmap.values for p in pictures[beat].panels if p.heatmap.source.expression == source
        ]
        back_to_front = [expected[head, rows, rows] for head in reversed(range(9))]
        assert len(shown) == len(back_to_front) == 9
        for found, wanted in zip(shown, back_to_front, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_the_true_panels_stand_beside_under_the_same_norm(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    by_tensor = {p.heatmap.source.tensor: p.heatmap for p in pictures["what_is_lost"].panels}
    for name, source in (("k", "keys from the latent"), ("v", "values from the latent")):
        true = by_tensor[f"{name}.1"]
        np.testing.assert_array_equal(true.values, trace[f"{name}.1"][1:10, 2])
        (rebuilt,) = [
            p.heatmap
            for p in pictures["what_is_lost"].panels
            if p.heatmap.source.expression == source and p.opacity == 1
        ]
        assert rebuilt.norm == true.norm


def test_a_trained_latent_shows_its_own_cache() -> None:
    trace = make(**CASES["own latent"])
    beats = {p.record.name: p for p in play(LatentAttention, trace)}
    found = {p.heatmap.source.tensor: p.heatmap for p in beats["flatten"].panels}
    np.testing.assert_array_equal(found["kv_latent.1"].values, trace["kv_latent.1"][1:10])
    np.testing.assert_array_equal(found["k_rope.1"].values, trace["k_rope.1"][1:10])
    pattern = panel(beats["flatten"], "pattern with keys from the latent")
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
