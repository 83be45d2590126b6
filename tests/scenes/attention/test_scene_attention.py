"""The scene of one attention head, run without drawing."""

from __future__ import annotations

import numpy as np
import pytest

from filmkit.core.records import StageSettings
from filmkit.core.stage import StageError
from filmkit.core.view import LayerView, best_match
from scenes.attention.scene_attention import Attention
from tests.support.staging import complaints, play
from tests.support.traces import make_trace, replaced

LONG = ["antidisestablis", " a"] * 12
CASES = {
    "rotary": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "interleaved": {"d_head": 16, "positions": "rotary", "rotary_style": "interleaved"},
    "learned": {"n_heads": 12, "d_head": 64, "biases": True},
    "two tokens": {"n_tokens": 2, "d_head": 32, "has_bos": False},
    "24 long tokens": {"n_tokens": 24, "d_head": 64, "words": LONG, "positions": "rotary"},
    "tiny head": {"n_tokens": 5, "d_head": 4},
    "large head": {"n_tokens": 12, "n_heads": 2, "d_head": 256, "positions": "rotary"},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_beat_can_be_read(case: dict) -> None:
    trace = make_trace(**case)
    pictures = play(Attention, trace)
    assert [p.record.name for p in pictures] == list(Attention.beat_names(trace))
    assert [line for p in pictures for line in complaints(p)] == []


def test_the_rotation_is_told_only_where_there_is_one() -> None:
    assert "rotate_by_position" in Attention.beat_names(make_trace(positions="rotary"))
    assert "rotate_by_position" not in Attention.beat_names(make_trace(positions="learned"))


@pytest.mark.parametrize("count", [1, 25])
def test_prompts_that_do_not_fit_are_refused(count: int) -> None:
    with pytest.raises(StageError, match=rf"{count} tokens; the pictures hold 2 to 24"):
        play(Attention, make_trace(n_tokens=count, words=["x"] * count))


@pytest.mark.parametrize(
    ("settings", "message"),
    [(StageSettings(layer=9), "has no layer 9"), (StageSettings(head=-1), "has no head -1")],
)
def test_layers_and_heads_that_do_not_exist_are_refused(
    settings: StageSettings, message: str
) -> None:
    with pytest.raises(StageError, match=message):
        play(Attention, make_trace(), settings)


def test_panels_show_the_trace() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", featured=(1, 5))
    last = play(Attention, trace)[-1]
    compared = set()
    for panel in last.panels:
        source = panel.heatmap.source
        if source.tensor is None:
            continue
        index = tuple(slice(*axis) if isinstance(axis, tuple) else axis for axis in source.index)
        expected = trace[source.tensor][index]
        if source.transposed:
            expected = expected.T
        np.testing.assert_allclose(panel.heatmap.values, expected, rtol=1e-6)
        compared.add(source.tensor.split(".")[0])
    assert compared == {"x", "q_rot", "k_rot", "v", "pattern", "z"}


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


def test_the_mix_on_screen_adds_up_to_z() -> None:
    trace = make_trace(positions="rotary", d_head=16)
    mix = next(p for p in play(Attention, trace) if p.record.name == "a_weighted_mix")
    *rows, total = [p.heatmap.values for p in mix.panels]
    np.testing.assert_allclose(np.sum(rows, axis=0), total, atol=1e-5)


def test_a_match_is_clear_but_not_everything() -> None:
    trace = make_trace(n_tokens=12, n_heads=4, d_head=16, seed=3)
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    query, key = best_match(view)
    assert key <= query
    allowed = view.scores[query, : query + 1]
    assert allowed.argmax() == key


@pytest.mark.parametrize("model", ["made-up model", "m" * 255])
def test_random_weights_are_named(model: str) -> None:
    texts = play(Attention, replaced(make_trace(), model=model))[0].texts
    assert any("random weights" in item.text for item in texts)
