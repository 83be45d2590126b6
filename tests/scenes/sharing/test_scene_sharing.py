"""The scenes about shared keys and values: they can be read, and all numbers are explained."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, pairwise

import numpy as np
import pytest
from manim import tempconfig

from extract.architectures import DENSE_7B, architecture, kv_cache_bytes
from extract.attention import total_variation
from extract.trace import Trace
from filmkit.core.heatmap import Heatmap
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage
from scenes.sharing.scene_sharing import GroupedQuery, MultiQuery, SharedHeads
from tests.extract.test_sharing import from_pooled_weights
from tests.support.figures import all_texts, spelled, unexplained
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

CASES = {
    "grouped": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "every head its own": {"n_heads": 12, "d_head": 64, "biases": True},
    "one for all": {"n_heads": 8, "n_kv_heads": 1, "d_head": 64, "positions": "rotary"},
    "no equal groups": {"n_heads": 7, "d_head": 16},
    "two heads": {"n_heads": 2, "n_tokens": 2, "d_head": 32, "has_bos": False},
    "four tokens": {"n_heads": 4, "n_tokens": 4, "d_head": 16, "positions": "rotary"},
}
VARIANTS = [MultiQuery, GroupedQuery]


@pytest.mark.parametrize("case", ["no equal groups", "two heads", "four tokens"])
@pytest.mark.parametrize("scene", VARIANTS)
def test_unusual_shapes_can_be_read(scene: type[SharedHeads], case: str) -> None:
    pictures = play(scene, make_trace(**CASES[case]))
    assert [line for p in pictures for line in complaints(p)] == []


def run(
    scene: type[SharedHeads], trace: Trace, look: Callable[[BeatRecord, SharedHeads], None]
) -> None:
    """Run a scene without drawing, and call ``look`` after each beat."""
    size = {"pixel_width": 1920, "pixel_height": 1080, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, SharedHeads)
        look(record, stage)

    with tempconfig(quiet | size | {"frame_height": 8.0}):
        scene(trace, on_beat_end=note).render()


def drawn(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return the prompt's rows without the beginning token."""
    return values[int(trace.meta.has_bos) : trace.meta.n_prompt]


def square(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return rows and columns of the prompt without the beginning token."""
    return drawn(trace, drawn(trace, values).T).T


@pytest.mark.parametrize(
    ("scene", "case", "n_groups"),
    [
        (MultiQuery, "grouped", 1),
        (MultiQuery, "every head its own", 1),
        (GroupedQuery, "every head its own", 4),
        (GroupedQuery, "four tokens", 2),
    ],
)
def test_pooled_panels_are_the_reference_arithmetic(
    scene: type[SharedHeads], case: str, n_groups: int
) -> None:
    trace = make_trace(**CASES[case])
    layer = from_pooled_weights(trace, n_groups)
    n_heads = trace.meta.n_heads
    seen = []

    def look(record: BeatRecord, stage: SharedHeads) -> None:
        if record.name == "every_head_reads_it":
            for head, card in enumerate(stage.head_stack.cards):
                keys = drawn(trace, layer.k_rot)[:, head * n_groups // n_heads]
                close(card.k_t, keys.T)
                close(card.scores, square(trace, layer.scores[head]))
                close(card.pattern, square(trace, layer.pattern[head]))
                close(card.z, drawn(trace, layer.z)[:, head])
                assert "shared" in card.pattern.source.expression
                seen.append(head)
            for panels, values in (
                (stage.shared_stack.keys, layer.k_rot),
                (stage.shared_stack.values, layer.v),
            ):
                for panel, heads in zip(panels, stage.shared_stack.groups, strict=True):
                    close(panel, drawn(trace, values)[:, heads[0] * n_groups // n_heads])
        if record.name == "patterns_side_by_side":
            own = trace.get("pattern", stage.layer.layer)
            for head in range(n_heads):
                close(stage.columns.upper[head], square(trace, own[head]))
                close(stage.head_stack.cards[head].pattern, square(trace, layer.pattern[head]))
                above, below = stage.columns.upper[head], stage.head_stack.cards[head].pattern
                assert above.norm == below.norm
                assert above.box.x == pytest.approx(below.box.x)
                assert below.opacity == 1
        if record.name == "the_cache_shrinks":
            blocks = stage.cache.shared.blocks
            for block, values in zip(blocks, (layer.k_rot, layer.v), strict=True):
                close(block.front, drawn(trace, values)[:, 0])
                assert block.visible_range.units == (0, n_groups)

    run(scene, trace, look)
    assert sorted(seen) == list(range(n_heads))


def close(panel: Heatmap, values: np.ndarray) -> None:
    np.testing.assert_allclose(panel.values, values, atol=2e-5)


@pytest.mark.parametrize(
    ("scene", "case"), [(GroupedQuery, "grouped"), (MultiQuery, "one for all")]
)
def test_a_model_that_shares_is_shown_as_it_is(scene: type[SharedHeads], case: str) -> None:
    trace = make_trace(**CASES[case])
    layer = trace.meta.featured.layer
    beats_seen = []

    def look(record: BeatRecord, stage: SharedHeads) -> None:
        beats_seen.append(record.name)
        for head, card in enumerate(stage.head_stack.cards):
            pattern = trace.get("pattern", layer)[head]
            np.testing.assert_array_equal(card.pattern.values, square(trace, pattern))
            assert card.pattern.source.tensor == f"pattern.{layer}"
            keys = drawn(trace, trace.keys(layer))[:, trace.kv_head(head)]
            np.testing.assert_array_equal(card.k_t.values, keys.T)
        for panel, heads in zip(stage.shared_stack.keys, stage.shared_stack.groups, strict=True):
            assert heads == sorted(heads)
            assert {trace.kv_head(head) for head in heads} == {trace.kv_head(heads[0])}
            close(panel, drawn(trace, trace.keys(layer))[:, trace.kv_head(heads[0])])
            assert panel.source.tensor == f"k_rot.{layer}"

    run(scene, trace, look)
    assert beats_seen == list(scene.beat_names(trace))


def test_fan_outs_lead_to_the_heads_that_read_a_panel() -> None:
    trace = make_trace(**CASES["grouped"])

    def look(record: BeatRecord, stage: SharedHeads) -> None:
        shared_stack, head_stack = stage.shared_stack, stage.head_stack
        assert shared_stack.groups[0][0] == 0
        for fan_outs, name in (
            (shared_stack.key_fan_outs, "k"),
            (shared_stack.value_fan_outs, "v"),
        ):
            box = getattr(head_stack.layout.head, name)
            for fan_out, heads in zip(fan_outs, shared_stack.groups, strict=True):
                ends = [
                    [box.right, box.y, head_stack.layout.depth_at(h)]
                    for h in heads
                ]
                np.testing.assert_allclose(fan_out.ends, ends)

    run(GroupedQuery, trace, look)


# Every number on screen and in the narration

R1 = architecture("DeepSeek-V3/R1")
NAMES = {
    "DeepSeek-R1",
    "GQA-8",
    "7B",
    "1.33T",
    "DeepSeek-V2",
    "table 8",
    "pp. 31-32",
    "layer 1",
}


def whole(*values: float) -> set[str]:
    return set(chain.from_iterable(spelled(value, "{:,.0f}") for value in values))


def ratio(value: float) -> set[str]:
    return spelled(value, "{:.0f}" if value == round(value) else "{:.2f}", "{:.1f}")


def explained(trace: Trace, n_groups: int) -> dict[str, set[str]]:
    """Return the numbers that each beat may show, computed here and not by the scene."""
    meta, layer = trace.meta, trace.meta.featured.layer
    heads, own, width = meta.n_heads, meta.n_kv_heads, meta.d_qk
    own_patterns = trace.get("pattern", layer)
    pooled = from_pooled_weights(trace, n_groups).pattern
    moves = 100 * total_variation(own_patterns, pooled)[:, 1 : meta.n_prompt]
    every = whole(*range(heads))
    shared_stack = every | whole(heads, own, n_groups, heads // n_groups, own // n_groups, 4)
    moved = every | whole(moves.mean(), moves.max(), *moves.mean(axis=1))
    cached = whole(2, heads, own, n_groups, width, *(2 * width * n for n in (heads, own, n_groups)))
    cached |= ratio(heads / own) | ratio(own / n_groups) | ratio(heads / n_groups) | whole(heads)
    scores = [value for c in DENSE_7B.columns for value in (c.bbh, c.mmlu, c.c_eval, c.cmmlu)]
    price = whole(2, 8, 61, 128, 30, 35, 40, 45, 50)
    price |= set(chain.from_iterable(spelled(value, "{:.1f}") for value in scores))
    price |= spelled(kv_cache_bytes(R1, "mha") / 1e6, "{:.1f}")
    price |= spelled(kv_cache_bytes(R1, "gqa", n_groups=8) / 1e3, "{:.0f}")
    price |= spelled(kv_cache_bytes(R1, "mqa") / 1e3, "{:.1f}")
    return {
        "a_set_for_every_head": every | whole(heads, own),
        "one_set_for_many": shared_stack,
        "every_head_reads_it": every | whole(heads),
        "patterns_side_by_side": moved | whole(heads),
        "the_cache_shrinks": cached,
        "what_it_costs": price | whole(heads),
    }


@pytest.mark.parametrize(
    "case", ["grouped", "every head its own", "one for all", "no equal groups"]
)
@pytest.mark.parametrize("scene", VARIANTS)
def test_every_number_is_explained(scene: type[SharedHeads], case: str) -> None:
    trace = make_trace(**CASES[case])
    allowed = explained(trace, scene.n_groups(trace))
    for picture in play(scene, trace):
        assert unexplained(all_texts(picture), allowed[picture.record.name], NAMES) == []


def test_the_sizes_at_deepseeks_shape_are_said() -> None:
    trace = make_trace(**CASES["grouped"])
    last = {scene: play(scene, trace)[-1] for scene in VARIANTS}
    assert "31.2 kilobytes" in last[MultiQuery].record.narration
    assert "250 kilobytes" in last[GroupedQuery].record.narration
    for picture in last.values():
        assert "4.0 megabytes" in picture.record.narration
        assert any(DENSE_7B.source in text for text in all_texts(picture))


def test_a_full_cache_is_called_hypothetical_only_where_it_is() -> None:
    for case, expected in (("grouped", True), ("every head its own", False)):
        picture = play(MultiQuery, make_trace(**CASES[case]))[4]
        assert any("hypothetical" in text for text in all_texts(picture)) == expected


@pytest.mark.parametrize("case", ["grouped", "every head its own"])
@pytest.mark.parametrize("scene", VARIANTS)
def test_every_picture_grows_out_of_the_one_before(scene: type[SharedHeads], case: str) -> None:
    trace = make_trace(**CASES[case])
    ink: list[float] = []
    ends: list[int] = []
    quiet = {"progress_bar": "none", "verbosity": "ERROR", "frame_rate": 5}
    size = {"pixel_width": 256, "pixel_height": 144, "frame_width": 8 * 16 / 9, "frame_height": 8.0}

    def draw(picture: np.ndarray, frames: int) -> None:
        ink.extend([float(picture[..., :3].mean())] * frames)

    def note(record: BeatRecord, stage: Stage) -> None:
        ends.append(len(ink))

    with tempconfig(quiet | size):
        scene(trace, on_beat_end=note, sink=draw).render()
    # The first beat comes out of the dark.
    for start, end in pairwise(ends):
        assert min(ink[start:end]) > min(ink[start - 1], ink[end - 1]) / 3
