"""Every scene in every shape of picture: nothing leaves the frame and nothing collides."""

from __future__ import annotations

import pytest

from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, QUALITIES, frame_size, quality_of
from scenes.attention.scene_attention import Attention
from scenes.heads.scene_heads import Heads
from scenes.mla.scene_mla import LatentAttention
from scenes.registry import SCENES
from scenes.sharing.scene_sharing import GroupedQuery, MultiQuery
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

OTHERS = [name for name in ASPECTS if name != DEFAULT_ASPECT]


@pytest.fixture(scope="module")
def shipped() -> Trace:
    return Trace.load(SHIPPED)


@pytest.mark.parametrize("aspect", OTHERS)
@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_every_beat_keeps_the_margins_and_its_texts_apart(
    entry: SceneEntry, aspect: str, shipped: Trace
) -> None:
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    pictures = play(entry.load(), shipped, **size)
    assert [line for p in pictures for line in complaints(p, **size)] == []


LONGEST = ("internationally", " a", " naïve", " sphinx", " of", " wwwwwwwwwwwwwww")


EDGES = [(aspect, count) for aspect in ("1:1", "9:16") for count in (2, 24)]
LENGTHS = {
    Attention: [("16:9", 9), ("16:9", 16), ("16:9", 24), *EDGES],
    Heads: [("16:9", 9), ("16:9", 16), ("16:9", 24), *EDGES],
    MultiQuery: [("16:9", 2), ("16:9", 9), ("16:9", 24), *EDGES],
    GroupedQuery: [("16:9", 2), ("16:9", 9), ("16:9", 24), *EDGES],
    LatentAttention: [("16:9", 2), ("16:9", 9), ("16:9", 24), *EDGES],
}


@pytest.mark.parametrize(
    ("scene", "aspect", "count"),
    [
        pytest.param(scene, *case, id=f"{scene.__name__}-{case[0]}-{case[1]}")
        for scene, cases in LENGTHS.items()
        for case in cases
    ],
)
def test_prompts_of_any_length_with_words_of_any_length_fit(
    scene: type[Stage], aspect: str, count: int
) -> None:
    words = [LONGEST[i % len(LONGEST)] for i in range(count)]
    make = with_latent if scene is LatentAttention else make_trace
    trace = make(
        n_tokens=count,
        n_heads=9,
        n_kv_heads=3,
        d_head=64,
        positions="rotary",
        words=words,
        d_model=576,
    )
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    pictures = play(scene, trace, **size)
    assert [line for p in pictures for line in complaints(p, **size)] == []


@pytest.mark.parametrize("name", QUALITIES)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_picture_has_the_shape_and_even_sides(name: str, aspect: str) -> None:
    quality = quality_of(name, aspect)
    across, down = ASPECTS[aspect]
    assert quality.width % 2 == quality.height % 2 == 0
    assert quality.width / quality.height == pytest.approx(across / down, rel=0.005)
    width, height = frame_size(quality.width, quality.height)
    assert width / height == pytest.approx(quality.width / quality.height)
    assert min(width, height) >= 8


def test_another_frame_rate_leaves_the_size() -> None:
    assert quality_of("hd", "1:1", 60) == type(QUALITIES["hd"])(720, 720, 60)
