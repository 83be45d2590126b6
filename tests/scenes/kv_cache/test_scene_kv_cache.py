"""The scene about the key/value cache, run without drawing."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from manim import tempconfig

from extract.architectures import architecture, kv_cache_bytes
from extract.decoding import decode
from extract.trace import Trace
from filmkit.core.animations import set_presence
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.picture_map import panels_on
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage, StageError
from filmkit.core.view import LayerView
from filmkit.mobjects.head import HeadPicture
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, quality_of
from scenes.kv_cache.cost_formula import CostFormula
from scenes.kv_cache.layout import DecodingComparisonLayout
from scenes.kv_cache.model_cache import ModelCache
from scenes.kv_cache.scene_kv_cache import KVCache
from scenes.kv_cache.token_cost import TokenCost
from tests.support.figures import all_texts, spelled, unexplained
from tests.support.occlusion import COLUMNS, ROWS, picture
from tests.support.staging import BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

UNUSUAL = {
    "four tokens": {"n_tokens": 4, "n_kv_heads": 1, "d_head": 64, "n_generated": 3},
    "20 tokens": {"n_tokens": 20, "d_head": 64, "positions": "rotary", "n_generated": 4},
}
FRAME = Frame(8 * 16 / 9)
R1 = architecture("DeepSeek-V3/R1")


@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_shapes_can_be_read(case: dict) -> None:
    pictures = play(KVCache, make_trace(**case))
    assert [line for p in pictures for line in complaints(p)] == []


@pytest.mark.parametrize(
    "aspect",
    [DEFAULT_ASPECT, *(pytest.param(a, marks=pytest.mark.slow) for a in ASPECTS if a != "16:9")],
)
def test_many_short_words_fit_pictures_of_every_shape(aspect: str) -> None:
    words = "abcdefghijklmnopqrstuvwxyz"
    trace = make_trace(n_tokens=24, n_kv_heads=2, d_head=16, words=words, n_generated=2)
    trace = replaced(trace, random_weights=False)  # their note is longer than a model's name
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    pictures = play(KVCache, trace, **size)
    assert [line for p in pictures for line in complaints(p, **size)] == []


@pytest.mark.parametrize("frame", [FRAME, Frame(8.0, 128 / 9), Frame(9.6, 9.6), Frame(12.0, 9.0)])
@pytest.mark.parametrize("count", [3, 12, 30])
def test_decoders_of_every_shape_stand_apart_on_the_stage(frame: Frame, count: int) -> None:
    layout = DecodingComparisonLayout.of(frame, count=count)
    for decoder in (layout.cached, layout.naive):
        panels = [getattr(decoder, name) for name in ("q", "k", "v", "scores", "pattern", "z")]
        assert frame.stage.contains(Box.around([*panels, decoder.bar]))
        for one, two in combinations([*panels, decoder.bar], 2):
            assert one.overlap(two) == (0.0, 0.0)
        assert decoder.q.height == pytest.approx(decoder.z.height)
        assert decoder.q.height > min(0.35, 0.1 * count)
    beside = layout.naive.q.left > layout.cached.z.right
    assert beside == (frame.width >= frame.height)
    assert beside or layout.naive.title[1] < layout.cached.bar.bottom


def test_a_formula_that_is_too_wide_has_its_result_on_a_line_of_its_own() -> None:
    cost = TokenCost.of_every_head(R1)
    wide, narrow = CostFormula(cost, (0.0, 0.0)), CostFormula(cost, (0.0, 0.0), width=7.36)
    assert wide.width > 8
    assert narrow.width <= 7.36
    assert wide.result.get_y() == pytest.approx(wide.factors[0][0].get_y(), abs=0.05)
    captions = [caption.get_bottom()[1] for _, caption in narrow.factors]
    assert narrow.result.get_top()[1] < min(captions)


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(KVCache, trace())}


@pytest.fixture(scope="module")
def panels() -> dict[str, list[Heatmap]]:
    """Return copies of the heatmaps at the end of each beat."""
    found: dict[str, list[Heatmap]] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        shown = panels_on(stage.mobjects, stage.camera)
        found[record.name] = [item.heatmap.copy() for item in shown]

    KVCache(trace(), on_beat_end=note).render()
    return found


def trace() -> Trace:
    return make_trace(
        n_heads=6, n_kv_heads=3, d_head=16, n_layers=5, positions="rotary", n_generated=4
    )


def test_a_trace_without_more_words_is_refused() -> None:
    with pytest.raises(StageError, match="no words after the prompt"):
        play(KVCache, make_trace())


# The next word


def first_texts(trace: Trace) -> list[str]:
    return [item.text for item in play(KVCache, trace)[0].texts]


def with_next_word(rank: int | None, **meta: object) -> Trace:
    """Return a trace whose next word has a rank among the likeliest, or none (None)."""
    made = make_trace(n_generated=2, d_head=8)
    after, ids = made.meta.n_prompt, made["top_ids"].copy()
    if rank is None:
        ids[after - 1] = np.arange(5) + 1000
    else:
        # The likeliest one was generated.
        ids[after - 1, [0, rank]] = ids[after - 1, [rank, 0]]
    return replaced(made, {"top_ids": ids}, **meta)


@pytest.mark.parametrize(
    ("rank", "continued", "expected"),
    [
        (0, False, "is taken"),
        (2, False, "follows"),
        (None, True, "is given"),
        (1, True, "is given"),
    ],
)
def test_how_the_next_word_was_found_is_told(
    rank: int | None, continued: bool, expected: str
) -> None:
    made = with_next_word(rank, continued=continued)
    beat = play(KVCache, made)[0]
    assert expected in beat.record.narration
    heading = next(item.text for item in beat.texts if "likeliest next words" in item.text)
    assert ("given" in heading) is continued


def test_five_bars_show_the_models_own_distribution() -> None:
    made = with_next_word(0)
    texts = first_texts(made)
    for share in made["top_probs"][made.meta.n_prompt - 1]:
        assert f"{100 * share:.0f} %" in texts or f"{100 * share:.1f} %" in texts


# One more row


def test_old_cells_keep_their_colours_when_the_row_arrives(
    panels: dict[str, list[Heatmap]],
) -> None:
    view = LayerView.of_prompt(trace(), None, show_first_token=False)
    before = HeadPicture(view.head(None), FRAME)
    for name in ("q_rot", "k_rot", "v", "z", "pattern"):
        old = getattr(before, name.removesuffix("_rot")).cells
        new = next(p for p in panels["one_row_of_each"] if p.source.tensor == f"{name}.4")
        rows, columns = old.shape
        assert new.shape[0] == rows + 1
        colours = new.texture().cells[:rows, :columns]
        np.testing.assert_array_equal(colours, old.texture().cells)


def test_the_scores_gain_a_row_and_a_masked_column(panels: dict[str, list[Heatmap]]) -> None:
    (scores,) = (p for p in panels["scores_grow"] if "scaled scores" in p.source.expression)
    assert scores.shape == (10, 10)
    assert (scores.shown == 1).all()
    assert (scores.masked[:9, 9] == 1).all()
    assert not scores.masked[9].any()
    (keys,) = (
        p for p in panels["scores_grow"] if p.source.tensor == "k_rot.4" and p.source.transposed
    )
    assert keys.shown.all()
    np.testing.assert_array_equal(keys.values, trace()["k_rot.4"][1:11, 2].T)


# Decoding


def test_the_decoders_show_one_row_and_all_rows(panels: dict[str, list[Heatmap]]) -> None:
    found = panels["token_by_token"]
    by_column = sorted(found, key=lambda p: p.box.x > 0)
    cached, naive = by_column[:6], by_column[6:]
    last = 12
    for decoder, one_row in ((cached, True), (naive, False)):
        q, k, v, scores, pattern, z = decoder
        for cells in (k, v):
            assert cells.shown.all()
        for cells in (q, scores, pattern, z):
            rows = cells.shown.any(axis=1)
            assert rows.tolist() == [not one_row or row == last for row in range(last + 1)]
    # What the cache's steps compute is what the full pass computes.
    for mine, model in zip(cached[3:], naive[3:], strict=True):
        np.testing.assert_allclose(mine.values[last], model.values[last], atol=1e-5)


def test_the_check_mark_is_a_test() -> None:
    made = trace()
    remark = "rows computed with the cache equal"
    assert any(remark in t.text for t in play(KVCache, made)[5].texts)
    z = made["z.4"].copy()
    z[-1] *= 1.5
    broken = replaced(made, {"z.4": z})
    assert not decode(broken, 4).agrees
    texts = [t.text for t in play(KVCache, broken)[5].texts]
    assert not any(remark in text for text in texts)
    assert any("differ" in text for text in texts)


def test_the_counters_are_counted_from_shapes(pictures: dict[str, BeatPicture]) -> None:
    # One layer of 96 channels, 6 heads on 3 key/value heads of 16; 10 tokens, then 4.
    def full(tokens: int) -> int:
        pairs = tokens * (tokens + 1) // 2
        return tokens * 96 * 16 * (6 + 3 + 3 + 6) + 2 * pairs * 6 * 16

    def step(seen: int) -> int:
        return 96 * 16 * (6 + 3 + 3 + 6) + 2 * seen * 6 * 16

    cached = full(10) + sum(step(seen) for seen in range(11, 15))
    naive = sum(full(tokens) for tokens in range(10, 15))
    texts = {item.text for item in pictures["token_by_token"].texts}
    assert {f"{cached / 1e6:.1f}", f"{naive / 1e6:.1f}"} <= texts


# The volume and its cost


def test_several_real_layers_stand_apart(panels: dict[str, list[Heatmap]]) -> None:
    fronts = [p for p in panels["every_layer"] if (p.source.tensor or "").startswith("k_rot")]
    assert len({front.source.tensor for front in fronts}) == 4
    for front in fronts:
        (start, stop), head, span = front.source.index
        expected = trace()[front.source.tensor][start:stop, head, slice(*span)]
        np.testing.assert_array_equal(front.values, expected)


def test_the_whole_cache_is_as_tall_as_there_are_words(panels: dict[str, list[Heatmap]]) -> None:
    tops = [p for p in panels["the_whole_cache"] if "layers 0 to 4" in p.source.expression]
    assert {cells.shape for cells in tops} >= {(15, 16), (13, 15)}  # tops and sides


@pytest.mark.parametrize("made", [make_trace(), make_trace(n_heads=6, n_kv_heads=2, n_layers=3)])
def test_the_factors_make_the_bytes(made: Trace) -> None:
    cost, meta = TokenCost.of_trace(made.meta), made.meta
    assert cost.bytes == 2 * meta.n_kv_heads * meta.d_qk * meta.n_layers * 2
    numbers = [int(text.replace(",", "")) for text, _ in cost.factors]
    assert np.prod(numbers) == cost.bytes


def test_the_large_model_costs_what_its_architecture_says() -> None:
    assert TokenCost.of_every_head(R1).bytes == kv_cache_bytes(R1, "mha")


def test_every_number_is_accounted_for(pictures: dict[str, BeatPicture]) -> None:
    token = 2 * 3 * 16 * 5 * 2
    large = kv_cache_bytes(R1, "mha")
    one = set(chain(spelled(token, "{:,.0f}"), {"2", "3", "16", "5"}))
    allowed = {
        "every_layer": {"4", "5", *"01234"},
        "cache_of_a_layer": {"3", "4", *"012"},
        "the_whole_cache": {"5", "3"},
        "bytes_of_a_word": one,
        "a_large_model": {
            *spelled(token, "{:,.0f}"),
            *spelled(large, "{:,.0f}"),
            *spelled(large / 1e6, "{:.1f}"),
            "2",
            "128",
            "61",
        },
        "many_words": {
            *spelled(large * 128 * 1024 / 1e9, "{:.0f}"),
            *spelled(80e9 // large, "{:,.0f}"),
            *("0", "160", "320", "480", "80", "8", "640", "32", "64", "96", "128"),
        },
    }
    for name, numbers in allowed.items():
        texts = all_texts(pictures[name])
        assert unexplained(texts, numbers, {"DeepSeek-R1"}) == [], name


@pytest.mark.parametrize("step", ["heads", "layers"])
def test_what_takes_over_from_parts_is_where_they_were(step: str) -> None:
    view = LayerView.of_prompt(trace(), None, show_first_token=False).head(None)
    size = {"pixel_width": COLUMNS, "pixel_height": ROWS, "frame_width": FRAME.width}
    with tempconfig(size | {"frame_height": FRAME.height}):
        cache = ModelCache(view, FRAME)
        parts = cache.heads if step == "heads" else cache.layers
        whole = cache.layer if step == "heads" else cache.whole
        for volume in (*parts, whole):
            for block in volume.blocks:
                set_presence(block.edges, 0.0)
        shot = cache.shot_of_heads
        before, after = (picture(shot, *shown).astype(int) for shown in (parts, [whole]))
    apart, drawn = np.abs(after - before).max(axis=-1), after[..., :3].any(axis=-1)
    # Only at the seams between the parts may a cell's edge be a little softer.
    assert drawn.sum() > 5000
    assert (apart > 40).sum() < 0.02 * drawn.sum()
