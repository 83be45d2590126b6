"""The scene of one attention head, run without drawing."""

from __future__ import annotations

import numpy as np
import pytest
from manim import tempconfig

from extract.head_norm import HeadNorm
from extract.trace import Trace
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.numbers import MINUS, format_number
from filmkit.core.picture_map import PanelItem, panels_on
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.stage import Stage
from filmkit.core.text import Symbol
from filmkit.core.view import LayerView, best_match
from filmkit.mobjects.product import head_product
from scenes.attention.closeups import Meeting, figure_digits, in_formula, scale_lines
from scenes.attention.layout import meeting_layout, scores_room
from scenes.attention.scene_attention import Attention
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
    assert view.layer.norm("q") == Norm.stretched(trace.get("q_norm", layer)[1:])


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
    _formula, notes = scale_lines(view, 0.04)
    assert ("what is far back is masked too" in {note.text for note in notes}) is told


def test_the_rotation_is_told_only_where_there_is_one() -> None:
    assert "rotate_by_position" in Attention.beat_names(make_trace(positions="rotary"))
    assert "rotate_by_position" not in Attention.beat_names(make_trace(positions="learned"))


def test_the_last_picture_shows_every_tensor_of_the_head() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", featured=(1, 5))
    sources = [panel.heatmap.source for panel in play(Attention, trace)[-1].panels]
    names = {source.tensor.split(".")[0] for source in sources if source.tensor}
    assert names == {"x", "q_rot", "k_rot", "v", "pattern", "z"}


def test_the_first_token_is_hidden_unless_asked_for() -> None:
    trace = make_trace(has_bos=True)
    for show, first in ((False, 1), (True, 0)):
        pictures = play(Attention, trace, StageSettings(show_first_token=show))
        texts = {item.text for item in pictures[0].texts}
        assert any("takes part but is not drawn" in text for text in texts) is not show
        pattern = next(
            p.heatmap
            for p in pictures[-1].panels
            if p.heatmap.source.tensor and p.heatmap.source.tensor.startswith("pattern")
        )
        assert pattern.shape[0] == trace.meta.n_prompt - first


def beat_of(pictures: list[BeatPicture], name: str) -> BeatPicture:
    return next(picture for picture in pictures if picture.record.name == name)


def panels_of(picture: BeatPicture, tensor: str) -> list[PanelItem]:
    named = [p for p in picture.panels if (p.heatmap.source.tensor or "").startswith(tensor)]
    return sorted(named, key=lambda panel: panel.box.left)


def drawn_at_the_end_of(
    trace: Trace, settings: StageSettings | None = None
) -> dict[str, list[Heatmap]]:
    """Return copies of all heatmaps on screen at the end of each beat."""
    drawn: dict[str, list[Heatmap]] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        panels = panels_on(stage.mobjects, stage.camera)
        drawn[record.name] = [panel.heatmap.copy() for panel in panels]

    with tempconfig({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        Attention(trace, settings, on_beat_end=note).render()
    return drawn


def named(panels: list[Heatmap], tensor: str) -> list[Heatmap]:
    return [panel for panel in panels if (panel.source.tensor or "").startswith(tensor)]


@pytest.mark.parametrize("show", [True, False])
def test_the_mix_on_screen_adds_up_to_z(show: bool) -> None:
    trace = make_trace(positions="rotary", d_head=16)
    panels = drawn_at_the_end_of(trace, StageSettings(show_first_token=show))["a_weighted_mix"]
    values, (z,) = named(panels, "v."), named(panels, "z.")
    assert len(values) == 2 - show
    total = sum((rows.values * rows.shown).sum(axis=0) for rows in values)
    np.testing.assert_allclose(total, z.values[0], atol=1e-5)


def test_brightness_is_the_weight_in_the_mix_and_nowhere_else() -> None:
    trace = trace_of_kind(SHIPPED_KIND)
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    query, key = best_match(view)
    for beat, panels in drawn_at_the_end_of(trace).items():
        for values in named(panels, "v."):
            if len(values.values) == 1:
                assert values.shown == pytest.approx(view.hidden_attention[query])
            elif beat == "a_weighted_mix":
                shares = np.broadcast_to(view.pattern[query][:, None], values.shape)
                np.testing.assert_array_equal(values.shown, shares)
                assert shares[:, 0].argmax() == key
                assert shares.min() < 0.005
            else:
                assert (values.shown == 1).all()
        if beat not in ("one_cell", "rotate_by_position", "a_weighted_mix"):
            assert all((panel.shown == 1).all() for panel in panels), beat


def test_scores_become_the_pattern_in_place() -> None:
    pictures = play(Attention, make_trace(positions="rotary", d_head=16))
    softmax = beat_of(pictures, "softmax_of_a_row")
    (row,) = panels_of(softmax, "pattern.")
    scores = next(p for p in softmax.panels if p.heatmap.source.quantity == "scores")
    count = scores.heatmap.shape[0]
    assert row.heatmap.shape == (1, count)
    assert (row.box.left, row.box.right) == pytest.approx((scores.box.left, scores.box.right))
    below = (row.box.y - scores.box.bottom) / scores.box.height * count
    query = row.heatmap.source.index[1]
    assert isinstance(query, tuple)
    assert below == pytest.approx(query[0] - 1 + 0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["16 words", "24 long tokens"])
def test_the_pattern_of_a_long_prompt_has_words_at_all_rows_and_columns(kind: str) -> None:
    trace = trace_of_kind(kind)
    picture = beat_of(play(Attention, trace), "the_pattern")
    count = LayerView.of_prompt(trace, None, show_first_token=False).count
    (pattern,) = panels_of(picture, "pattern.")
    beside = [t for t in picture.texts if t.presence == 1 and t.box.right <= pattern.box.left]
    above = [
        t
        for t in picture.texts
        if t.presence == 1
        and pattern.box.left < t.box.x < pattern.box.right
        and t.box.top <= pattern.box.bottom
        and t.box.height > t.box.width / 3
    ]
    assert len(beside) >= count
    assert len(above) >= count


# One query meets one key


@pytest.fixture(params=["grouped heads, rotary", "24 long tokens", "true MLA"])
def meeting(request: pytest.FixtureRequest) -> Meeting:
    view = LayerView.of_prompt(trace_of_kind(request.param), None, show_first_token=False)
    head, frame = view.head(None), Frame(8 * 16 / 9)
    picture = head_product(head, frame, "scores", room=scores_room(frame))
    layout = meeting_layout(frame, picture.layout)
    return Meeting(head, best_match(head), picture, layout, size=0.07)


def test_products_add_up_to_the_score(meeting: Meeting) -> None:
    meeting.add_up(1.0)
    dot = meeting.view.dot_products[meeting.match]
    assert meeting.total.value == pytest.approx(dot)
    assert meeting.total.text == format_number(dot)


def test_a_pair_that_moves_along_keeps_its_score(meeting: Meeting) -> None:
    before = [part.values.copy() for part in meeting.query]
    for steps in (0.5, 3.0, 10.0):
        meeting.move_along(steps)
        assert meeting.total.value == pytest.approx(meeting.view.dot_products[meeting.match])
    assert any(
        not np.allclose(part.values, old) for part, old in zip(meeting.query, before, strict=True)
    )
    assert all(part.source.tensor is None for part in (*meeting.query, *meeting.key))


@pytest.mark.parametrize(
    ("value", "digits"), [(47.8, 1), (5.98, 2), (-0.0123, 4), (123.4, 0), (0.0, 1), (1e-12, 6)]
)
def test_small_figures_are_written_with_their_digits(value: float, digits: int) -> None:
    assert figure_digits(value) == digits


def test_no_figure_is_a_negative_zero() -> None:
    for picture in play(Attention, make_trace(d_head=16, positions="rotary")):
        texts = {item.text for item in picture.texts}
        assert not {f"{MINUS}0", f"{MINUS}0.0", f"{MINUS}0.00", "-0.0"} & texts


@pytest.mark.parametrize(("language", "words"), [("en", ["at", "and"]), ("fr", ["en", "et"])])
def test_where_there_is_no_room_the_places_of_a_pair_are_told_in_words(
    language: str, words: list[str]
) -> None:
    settings = StageSettings(language=language)
    pictures = play(Attention, trace_of_kind(SHIPPED_KIND), settings, width=1080, height=1080)
    texts = beat_of(pictures, "rotate_by_position").texts
    first = next(t for t in texts if t.text == words[0])
    line = [t for t in texts if t.presence == 1 and abs(t.box.y - first.box.y) < t.height]
    told = [t.text for t in sorted(line, key=lambda text: text.box.left)]
    start = told.index(words[0])
    assert told[start : start + 4] == [words[0], "7", words[1], "5"]


def test_a_comma_in_a_number_separates_nothing() -> None:
    assert in_formula("0.125") == "0.125"
    comma = Symbol(f"times {in_formula('0,125')}")
    assert comma.width == pytest.approx(Symbol("times 0.125").width, rel=0.05)


@pytest.mark.parametrize(
    "model", ["made-up model", pytest.param("m" * 255, marks=pytest.mark.slow)]
)
def test_random_weights_are_named(model: str) -> None:
    texts = play(Attention, replaced(make_trace(), model=model))[0].texts
    assert any("random weights" in item.text for item in texts)
