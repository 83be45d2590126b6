"""The scene of many heads, run without drawing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from manim.utils.exceptions import EndSceneEarlyException

from extract.attention.arithmetic import merge_heads
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.heatmap import Heatmap
from filmkit.core.stage import Stage
from filmkit.pictures.bodies import Relief
from filmkit.pictures.flows import Flow
from filmkit.render.manim_config import changed_config
from scenes.heads.parts import SIDE, Ring
from scenes.heads.scene_heads import Heads
from tests.support.traces import make_trace


@contextmanager
def at_end_of(beat: str, trace: Trace) -> Iterator[Stage]:
    """Yield the stage at the end of a beat, while its theme is in use."""
    seen: list[Stage] = []

    def stop(record: BeatRecord, stage: Stage) -> None:
        if record.name == beat:
            seen.append(stage)
            raise EndSceneEarlyException

    with changed_config({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        Heads(trace, on_beat_end=stop).render()
        yield seen[0]


def on(stage: Stage, kind: type) -> list:
    """Return what is on a stage of a kind."""
    return [part for part in stage.visible_parts() if isinstance(part, kind)]


def panels(stage: Stage, tensor: str) -> list[Heatmap]:
    """Return the panels of a tensor, from the left."""
    names = [(part, (part.source.tensor or "").split(".")[0]) for part in on(stage, Heatmap)]
    return sorted((p for p, name in names if name == tensor), key=lambda p: p.points[:, 0].mean())


def test_one_head_is_not_put_beside_others() -> None:
    assert Heads.beat_names(make_trace(n_heads=1)) == ("one_head_on_a_card", "one_output")


def test_every_head_of_the_row_has_its_own_pattern_and_output() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", biases=True)
    with at_end_of("one_output", trace) as stage:
        assert [panel.source.index[0] for panel in panels(stage, "pattern")] == list(range(6))
        # The future is not there.
        for panel in panels(stage, "pattern"):
            assert not panel.shown[np.triu_indices(panel.shape[0], k=1)].any()
            assert not panel.masked.any()
        rows = [part for part in on(stage, Relief) if (part.source.tensor or "").startswith("z")]
        rows.sort(key=lambda relief: relief.points[0, 0])
        assert [row.source.index[1] for row in rows] == list(range(6))


@pytest.mark.parametrize("biases", [False, True])
def test_the_output_on_screen_is_made_of_the_outputs_of_heads_on_screen(biases: bool) -> None:
    trace = make_trace(n_heads=6, d_head=16, biases=biases)
    with at_end_of("one_output", trace) as stage:
        reliefs = on(stage, Relief)
        rows = [part for part in reliefs if (part.source.tensor or "").startswith("z.")]
        (out,) = [part for part in reliefs if (part.source.tensor or "").startswith("out.")]
    rows.sort(key=lambda relief: relief.source.index[1])
    # All heights of what goes in are on one scale.
    assert len({row.unit for row in rows}) == 1
    layer = trace.meta.featured.layer
    bias = trace.weights("b_O", layer) if biases else None
    z = np.stack([row.values for row in rows])[None]
    np.testing.assert_allclose(
        out.values, merge_heads(z, trace.weights("W_O", layer), bias)[0], atol=1e-4
    )


@pytest.mark.parametrize("n_heads", [2, 9, 32])
def test_a_ribbon_of_equal_width_comes_from_every_head(n_heads: int) -> None:
    with at_end_of("one_output", make_trace(n_heads=n_heads, d_head=8)) as stage:
        enters, leaves = sorted(on(stage, Flow), key=lambda flow: -len(flow.feet))
    assert (len(enters.feet), len(leaves.feet)) == (n_heads, 1)


@pytest.mark.parametrize("n_heads", [2, 9, 40])
def test_heads_stand_side_by_side_on_a_ring_and_face_its_middle(n_heads: int) -> None:
    layer = Heads(make_trace(n_heads=n_heads, d_head=4)).layer
    apart = min(35.0, 280.0 / (n_heads - 1))
    ring = Ring(layer, apart)
    ring.stand(apart)
    places = np.array([head.pattern.points[0] for head in ring.heads])
    np.testing.assert_allclose(np.linalg.norm(places[:, [0, 2]], axis=1), ring.radius)
    assert (np.linalg.norm(np.diff(places, axis=0), axis=1) > SIDE).all()
    for head, place in zip(ring.heads, places, strict=True):
        near = head.pattern.axes[2]
        np.testing.assert_allclose(near[[0, 2]], -place[[0, 2]] / ring.radius, atol=1e-9)
    # Values stand before keys, and keys before the pattern.
    for head in ring.heads:
        apart_from_middle = [np.hypot(*pane.points[0, [0, 2]]) for pane in head]
        assert apart_from_middle == sorted(apart_from_middle)


def test_the_way_to_a_place_on_the_ring_does_not_matter() -> None:
    layer = Heads(make_trace(n_heads=5, d_head=4)).layer
    straight, round_about = Ring(layer, 30.0), Ring(layer, 30.0)
    straight.stand(30.0)
    for share in np.linspace(0, 1, 7):
        round_about.stand(30.0, spread=float(share), first=2)
    for one, other in zip(straight.get_family(), round_about.get_family(), strict=True):
        np.testing.assert_array_equal(one.points, other.points)
