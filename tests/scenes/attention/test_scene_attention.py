"""The scene of one attention head, run without drawing."""

from __future__ import annotations

import numpy as np
import pytest

from extract.head_norm import HeadNorm
from filmkit.core.norm import Norm
from filmkit.core.records import StageSettings
from filmkit.core.view import LayerView
from scenes.attention.scene_attention import Attention
from tests.support.staging import complaints, play
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
    assert view.layer.norm("q") == Norm.symmetric(trace.get("q_norm", layer)[1:])


def test_keys_before_a_window_are_masked() -> None:
    trace = make_trace(**UNUSUAL["window and cap"])
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    assert view.causal_mask[-1].tolist() == [True] * 5 + [False] * 4
    assert not view.pattern[view.causal_mask].any()
    assert np.abs(view.scores).max() < 2.0


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


def test_the_mix_on_screen_adds_up_to_z() -> None:
    trace = make_trace(positions="rotary", d_head=16)
    mix = next(p for p in play(Attention, trace) if p.record.name == "a_weighted_mix")
    *rows, total = [p.heatmap.values for p in mix.panels]
    np.testing.assert_allclose(np.sum(rows, axis=0), total, atol=1e-5)


@pytest.mark.parametrize("model", ["made-up model", "m" * 255])
def test_random_weights_are_named(model: str) -> None:
    texts = play(Attention, replaced(make_trace(), model=model))[0].texts
    assert any("random weights" in item.text for item in texts)
