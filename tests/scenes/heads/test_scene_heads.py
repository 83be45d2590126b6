"""The scene of many heads, run without drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.attention import merge_heads
from extract.head_norm import HeadNorm
from scenes.heads.scene_heads import Heads
from tests.support.staging import complaints, play
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
HEAD_AXES = {"k_rot": "n_kv_heads", "v": "n_kv_heads"}


@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_shapes_can_be_read(case: dict[str, Any]) -> None:
    pictures = play(Heads, make_trace(**case))
    assert [line for p in pictures for line in complaints(p)] == []


def test_groups_are_shown_only_where_heads_share() -> None:
    assert "some_share_keys_and_values" in Heads.beat_names(make_trace(n_heads=4, n_kv_heads=2))
    assert "some_share_keys_and_values" not in Heads.beat_names(make_trace(n_heads=4))
    alone = Heads.beat_names(make_trace(n_heads=1))
    assert alone == ("one_head_on_a_card", "outputs_line_up", "one_output")


def test_a_bracket_names_each_group() -> None:
    trace = make_trace(n_heads=9, n_kv_heads=3, featured=(1, 4))
    shared = next(p for p in play(Heads, trace) if p.record.name == "some_share_keys_and_values")
    texts = [item.text for item in shared.texts]
    assert [t for t in texts if t.startswith("heads ")] == [
        "heads 0 to 2",
        "heads 3 to 5",
        "heads 6 to 8",
    ]


def test_every_head_shows_its_own_tensors() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", biases=True)
    head_stack = next(p for p in play(Heads, trace) if p.record.name == "around_the_rack")
    seen: dict[str, set[object]] = {}
    for source in (panel.heatmap.source for panel in head_stack.panels):
        if source.tensor:
            name = source.tensor.split(".")[0]
            head = source.index[trace.axes(source.tensor).index(HEAD_AXES.get(name, "n_heads"))]
            seen.setdefault(name, set()).add(head)
    assert seen["pattern"] == seen["z"] == seen["q_rot"] == set(range(6))
    assert seen["k_rot"] == seen["v"] == {0, 1}


@pytest.mark.parametrize("biases", [False, True])
def test_the_output_on_screen_is_made_of_the_z_on_screen(biases: bool) -> None:
    trace = make_trace(n_heads=6, d_head=16, biases=biases)
    last = play(Heads, trace)[-1]
    panels = {(p.heatmap.source.tensor or "").split(".")[0]: [] for p in last.panels}
    for panel in sorted(last.panels, key=lambda p: p.box.left):
        panels[(panel.heatmap.source.tensor or "").split(".")[0]].append(panel.heatmap.values)
    together = np.stack(panels["z"], axis=1)
    layer = trace.meta.featured.layer
    bias = trace.weights("b_O", layer) if biases else None
    output = merge_heads(together, trace.weights("W_O", layer), bias)
    np.testing.assert_allclose(panels["out"][0], output, atol=1e-4)
    assert any("bias" in item.text for item in last.texts) is biases


def test_z_stands_in_the_order_of_the_heads() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, featured=(1, 4))
    apart = next(p for p in play(Heads, trace) if p.record.name == "outputs_line_up")
    strips = [panel for panel in apart.panels if panel.heatmap.source.tensor]
    row = sorted(strips, key=lambda p: p.box.left)
    assert [panel.heatmap.source.index[1] for panel in row] == list(range(6))
    names = sorted((t for t in apart.texts if t.text.startswith("head ")), key=lambda t: t.box.left)
    assert [name.text for name in names] == [f"head {head}" for head in range(6)]
