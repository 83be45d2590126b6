"""The scene of many heads, run without drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.attention.arithmetic import merge_heads
from extract.attention.head_norm import HeadNorm
from extract.trace import Trace
from filmkit.core.picture_map import PanelItem
from scenes.heads.scene_heads import Heads
from tests.support.staging import BeatPicture, complaints, play
from tests.support.traces import make_trace

UNUSUAL = {
    "two heads": {"n_heads": 2, "d_head": 64},
    "32 heads with keys of their own": {"n_heads": 32, "d_head": 64, "d_model": 512},
    "4 tokens": {"n_tokens": 4, "n_heads": 9, "n_kv_heads": 3, "d_head": 64},
    "20 tokens": {"n_tokens": 20, "n_heads": 9, "n_kv_heads": 3, "d_head": 64},
    "wide model": {"n_heads": 4, "d_head": 16, "d_model": 200},
    "normalised": {
        **{"n_heads": 4, "n_kv_heads": 2, "d_head": 16, "positions": "rotary"},
        **{"qk_norm": HeadNorm("rms", "head", 1e-6), "d_v": 12},
    },
    "sinks": {"d_head": 32, "positions": "rotary", "sinks": True},
    "window and cap": {"d_head": 32, "positions": "rotary", "window": 4, "score_cap": 2.0},
    "latent": {"n_heads": 4, "d_head": 16, "positions": "rotary", "mla": True},
}


@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_shapes_can_be_read(case: dict[str, Any]) -> None:
    pictures = play(Heads, make_trace(**case))
    assert [line for p in pictures for line in complaints(p)] == []


def test_groups_are_shown_only_where_heads_share() -> None:
    assert "some_share_keys_and_values" in Heads.beat_names(make_trace(n_heads=4, n_kv_heads=2))
    assert "some_share_keys_and_values" not in Heads.beat_names(make_trace(n_heads=4))
    alone = Heads.beat_names(make_trace(n_heads=1))
    assert alone == ("one_head_on_a_card", "outputs_line_up", "one_output")


def seen(picture: BeatPicture, tensor: str) -> list[PanelItem]:
    """Return the panels of a tensor that are lit, from the left."""
    names = [(panel, (panel.heatmap.source.tensor or "").split(".")[0]) for panel in picture.panels]
    lit = [panel for panel, name in names if name == tensor and panel.opacity > 0.5]
    return sorted(lit, key=lambda panel: panel.box.left)


def picture_of(trace: Trace, beat: str) -> BeatPicture:
    return play(Heads, trace, until=beat)[-1]


def test_plates_of_a_group_become_one_pair_and_the_cards_stay() -> None:
    trace = make_trace(n_heads=9, n_kv_heads=3, featured=(1, 4))
    before, after = (
        picture_of(trace, beat) for beat in ("all_heads_slide_in", "some_share_keys_and_values")
    )
    for name in ("k", "v"):
        assert [p.heatmap.source.index[1] for p in seen(before, name)] == [
            0,
            0,
            0,
            1,
            1,
            1,
            2,
            2,
            2,
        ]
        assert [p.heatmap.source.index[1] for p in seen(after, name)] == [0, 1, 2]
    boxes = [[panel.box for panel in seen(picture, "pattern")] for picture in (before, after)]
    assert boxes[0] == boxes[1]
    assert len(boxes[0]) == 9


KINDS_THAT_SHARE = ("grouped-query", "GQA"), ("multi-query", "MQA")


def test_the_kind_of_attention_has_its_name() -> None:
    def names(**sizes: Any) -> set[str]:
        pictures = play(Heads, make_trace(n_heads=4, **sizes))
        texts = {item.text for picture in pictures for item in picture.texts}
        return {text for text in texts if text.endswith("A)")}

    own, sets = "keys and values: multi-head attention (MHA)", "of keys and values: {} attention"
    assert names() == {f"each with its {own}"}
    assert names(mla=True, positions="rotary", d_head=16) == set()
    # Heads that share have no right to the name.
    of_groups, of_one = (f"{sets.format(kind)} ({short})" for kind, short in KINDS_THAT_SHARE)
    assert names(n_kv_heads=2) == {f"if each had its own {own}", of_groups}
    assert names(n_kv_heads=1) == {f"if each had its own {own}", of_one}


def test_every_head_shows_its_own_pattern_and_output() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", biases=True)
    patterns = seen(picture_of(trace, "along_the_heads"), "pattern")
    patterns.sort(key=lambda panel: (round(panel.box.top, 1), panel.box.left))
    assert [panel.heatmap.source.index[0] for panel in patterns] == list(range(6))
    apart = picture_of(trace, "outputs_line_up")
    assert [panel.heatmap.source.index[1] for panel in seen(apart, "z")] == list(range(6))
    names = sorted((t for t in apart.texts if t.text.startswith("head ")), key=lambda t: t.box.left)
    assert [name.text for name in names] == [f"head {head}" for head in range(6)]


@pytest.mark.parametrize("biases", [False, True])
def test_the_output_on_screen_is_made_of_the_outputs_of_heads_on_screen(biases: bool) -> None:
    trace = make_trace(n_heads=6, d_head=16, biases=biases)
    last = play(Heads, trace)[-1]
    z, out = ([panel.heatmap.values for panel in seen(last, name)] for name in ("z", "out"))
    layer = trace.meta.featured.layer
    bias = trace.weights("b_O", layer) if biases else None
    output = merge_heads(np.stack(z, axis=1), trace.weights("W_O", layer), bias)
    np.testing.assert_allclose(np.concatenate(out, axis=1), output, atol=1e-4)
    assert any("bias" in item.text for item in last.texts) is biases
