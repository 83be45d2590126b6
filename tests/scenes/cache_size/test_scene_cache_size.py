"""The scene about the size of the cache: it can be read, and all numbers are explained."""

from __future__ import annotations

import pytest
from manim import Circle

from extract.architectures import (
    architecture,
)
from filmkit.core.geometry import Frame
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.render.quality import frame_size
from scenes.cache_size.charts import MemoryLines, TokenBars
from scenes.cache_size.layout import ChartLayout, TokenLayout
from scenes.cache_size.scene_cache_size import CacheSize
from tests.support.figures import all_texts, unexplained
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

R1 = architecture("DeepSeek-V3/R1")


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(CacheSize, make_trace())}


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        ("one_token", ["4.0 MB", "250 kB", "31 kB", "70 kB"]),
        ("how_often_it_fits", ["56.9", "×", "24.9 × in the largest such model that was trained"]),
        ("every_token_adds_a_box", ["every head its own  524 GB", "one latent  9.21 GB"]),
        ("one_gpu", ["20,011", "1,138,433"]),
        (
            "one_number_for_all_heads",
            ["1", "16", "242", "8 groups of 16 heads", "one latent for 128 heads"],
        ),
        ("the_published_saving", ["÷ 3.56", "÷ 1.58", "÷ 2.67", "93.3% less"]),
        ("throughput_too", ["5.76 × throughput"]),
    ],
)
def test_the_numbers_of_the_story_are_there(
    pictures: dict[str, BeatPicture], beat: str, expected: list[str]
) -> None:
    texts = {item.text for item in pictures[beat].texts if item.presence == 1}
    assert set(expected) <= texts


def test_every_row_of_readers_is_about_the_same_heads() -> None:
    stage = CacheSize(make_trace())
    stage.render()
    readers = stage.readers
    dots = [sum(isinstance(part, Circle) for part in heads) for heads in readers.heads]
    assert dots == [R1.n_heads // sets for sets in (R1.n_heads, 8, 1)]


def test_both_full_gpus_are_told_alike(pictures: dict[str, BeatPicture]) -> None:
    heights = {item.text: item.height for item in pictures["one_gpu"].texts}
    assert heights["20,011"] == pytest.approx(heights["1,138,433"])
    assert heights["20,011"] == pytest.approx(0.07 * 1080, rel=0.01)


def test_the_claim_is_not_called_more_than_consistent_and_its_causes_are_named(
    pictures: dict[str, BeatPicture],
) -> None:
    texts = " ".join(all_texts(pictures["throughput_too"]))
    assert "the published figure" in texts
    assert "of the same two models, the new one with weights of 8 bits" in texts
    assert "the paper says" not in texts


@pytest.mark.parametrize("shape", [(1920, 1080), (1080, 1920), (1080, 1080)])
def test_all_bars_have_one_scale_and_tiles_measure_the_first(shape: tuple[int, int]) -> None:
    layout = TokenLayout.of(Frame(*frame_size(*shape)))
    arch = R1
    caches = [
        CachedPerToken(arch, "mha"),
        CachedPerToken(arch, "gqa", 8),
        CachedPerToken(arch, "mqa"),
        CachedPerToken(arch, "mla"),
    ]
    token = TokenBars(caches, layout)
    widths = [bar.width / cache.size() for bar, cache in zip(token.bars, caches, strict=True)]
    assert widths == pytest.approx([widths[0]] * 4)
    assert len(token.tiles) == 57
    step = token.tiles[1].get_left()[0] - token.tiles[0].get_left()[0]
    assert step == pytest.approx(token.bars[-1].width)
    assert token.tiles.get_right()[0] == pytest.approx(token.bars[0].get_right()[0], abs=step)


def test_boxes_of_equal_size_stack_up_to_each_line() -> None:
    arch = R1
    caches = [CachedPerToken(arch, "mha"), CachedPerToken(arch, "mla")]
    memory = MemoryLines(caches, ChartLayout.of(Frame(128 / 9)))
    for boxes, curve in zip(memory.boxes, memory.curves, strict=True):
        heights = [box.height for box in boxes]
        assert heights == pytest.approx([heights[0]] * MemoryLines.BOXES)
        (x, y), corner = curve.end, boxes[-1].get_corner([1, 1, 0])
        assert (corner[0], corner[1]) == pytest.approx((x, y))


def test_the_traced_model_is_not_named_as_the_source(pictures: dict[str, BeatPicture]) -> None:
    for picture in pictures.values():
        texts = " ".join(item.text for item in picture.texts)
        assert "not the traced model" in texts
        assert "made-up model" not in texts


def test_digits_are_found_and_names_are_not_numbers() -> None:
    texts = ["DeepSeek-V2-Lite: 70,272 bytes, 3.", "GQA-8", "R12 is not R1"]
    found = unexplained(texts, {"70,272"}, {"DeepSeek-V2", "DeepSeek-V2-Lite", "R1"})
    assert found == [
        "3 in 'DeepSeek-V2-Lite: 70,272 bytes, 3.'",
        "8 in 'GQA-8'",
        f"12 in {texts[2]!r}",
    ]
    assert unexplained(["2.5"], {"2", "5"}) == ["2.5 in '2.5'"]
