"""The scene about the size of the cache: bodies are to scale, and numbers are computed."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from extract.facts.architectures import architecture, kv_cache_bytes, kv_cache_elements
from extract.facts.gpus import H100_SXM, decoding_work
from extract.facts.v2_report import v2_cache_claim
from extract.trace import Trace
from filmkit.core.arrival import last_picture
from filmkit.core.geometry import Box, Frame
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import TextLine
from filmkit.world.block import Pose
from scenes.cache_size.parts import Gpu, Readers, Row, Shrinking, Token, filling
from scenes.cache_size.scene_cache_size import CacheSize
from tests.support.figures import unexplained
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

R1 = architecture("DeepSeek-V3/R1")
SHARE = kv_cache_elements(R1) / kv_cache_elements(R1, "mha")


def volume(pose: Pose) -> float:
    return float(np.prod(pose.size))


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(CacheSize, make_trace())}


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        ("one_token", ["4.0 MB", "70 kB"]),
        ("how_often_it_fits", ["Latents of 57 tokens fit"]),
        ("one_gpu", ["20,011 in 80 GB", "1,138,433 in 80 GB"]),
        ("one_number_for_all_heads", ["once", "242 times"]),
        ("the_published_saving", ["a latent:", "÷ 3.56", "93.3% less cache"]),
        ("a_latent_for_each_token", ["Latents of one token: 70 kB"]),
    ],
)
def test_the_numbers_of_the_story_are_there(
    pictures: dict[str, BeatPicture], beat: str, expected: list[str]
) -> None:
    texts = {item.text for item in pictures[beat].texts if item.presence == 1}
    assert set(expected) <= texts


def test_the_traced_model_is_not_named_as_the_source(pictures: dict[str, BeatPicture]) -> None:
    for picture in pictures.values():
        texts = " ".join(item.text for item in picture.texts)
        assert "not the traced model" in texts
        assert "made-up model" not in texts


# One token, and one GPU


@pytest.mark.parametrize("count", [19, 57])
def test_bodies_that_fill_a_solid_are_its_shares_and_do_not_overlap(count: int) -> None:
    whole = Pose((0.0, 0.0, 0.0), 0.0, 6.0, 3.0, 1.4)
    poses = filling(whole, count)
    assert [volume(pose) for pose in poses] == pytest.approx([volume(whole) / count] * count)
    corners = [pose.corners for pose in poses]
    around = np.concatenate(corners)
    np.testing.assert_allclose(around.min(axis=0), whole.corners.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(around.max(axis=0), whole.corners.max(axis=0), atol=1e-9)
    for one, two in combinations(corners, 2):
        common = np.minimum(one.max(axis=0), two.max(axis=0))
        common -= np.maximum(one.min(axis=0), two.min(axis=0))
        assert common.min() < 1e-9


def test_latents_of_a_token_are_to_scale() -> None:
    token = Token(R1)
    assert len(token.latents) == 57
    # As the last of them is not a whole one, they are a little thinner.
    assert volume(token.one.pose) / volume(token.pose) == pytest.approx(SHARE, rel=0.002)
    assert sum(volume(half.pose) for half in token.halves) == pytest.approx(volume(token.pose))
    ends = [latent.pose for latent in token.latents]
    laying = token.lay()
    laying.begin()
    laying.interpolate(1.0)
    for latent, end in zip(token.latents, ends, strict=True):
        np.testing.assert_allclose(latent.pose.corners, end.corners, atol=1e-9)


def test_where_one_token_was_as_many_latents_are_cut_as_have_room() -> None:
    gpu = Gpu(2.0, 20.0, 1 / SHARE)
    slabs = len(gpu.slabs) // 2
    assert gpu.counts[0] % slabs == 0
    assert np.prod(gpu.counts) == slabs * round(1 / SHARE)
    assert volume(gpu.latent) * np.prod(gpu.counts) == pytest.approx(volume(gpu.pose))
    np.testing.assert_allclose(gpu.latent.corner(1, 1, 0), gpu.pose.corner(1, 1, 0))
    cutting = gpu.cut()
    cutting.begin()
    cutting.interpolate(1.0)
    lines = gpu.cuts.points.reshape(-1, 4, 3)
    # Of the three sides that are seen, two have lines across each axis.
    assert len(lines) == 2 * sum(count - 1 for count in gpu.counts)
    for axis, count in zip((0, 1, 2), gpu.counts, strict=True):
        level = lines[np.ptp(lines[:, :, axis], axis=1) < 1e-9][:, 0, axis]
        inner = np.abs(level - gpu.pose.at[axis] - (0, gpu.pose.height / 2, 0)[axis])
        assert len(set(level[inner < gpu.pose.size[axis] / 2 - 1e-6].round(6))) == count - 1


# The work with a number


@pytest.mark.parametrize("n_groups", [None, 8])
def test_each_lamp_that_burns_is_a_multiply_add(n_groups: int | None) -> None:
    work = decoding_work(R1, "gqa" if n_groups else None, n_groups=n_groups).per_number
    card = Readers((0.0, 0.0), round(H100_SXM.ridge()), round(work), "latent")
    middles = np.array([lamp.mean(axis=0) for lamp in card.places])
    assert len(np.unique(middles.round(6), axis=0)) == round(H100_SXM.ridge())
    reading = card.read()
    reading.begin()
    reading.interpolate(1.0)
    assert len(card.lit.points) == 16 * round(work)  # four curves of four points each


# The published saving


@pytest.mark.parametrize("turn", [None, 0.0, 22.0])
def test_three_changes_make_the_published_saving(turn: float | None) -> None:
    body = Shrinking(architecture("DeepSeek 67B"), architecture("DeepSeek-V2"), turn=turn)
    assert np.prod(body.factors) == pytest.approx(1 / (1 - v2_cache_claim().saving))
    assert sum(volume(half.pose) for half in body.halves) == pytest.approx(volume(body.sizes[0]))
    for step, size in zip(body.steps, body.sizes[1:], strict=True):
        assert step.pose.size == size.size
    for before, after in pairwise(body.sizes):
        assert sum(a != b for a, b in zip(before.size, after.size, strict=True)) == 1
    for one, two in pairwise([body.halves, *body.steps]):
        near, far = (
            np.concatenate([b.corners for b in (g if g is body.halves else [g])])
            for g in (one, two)
        )
        apart = (
            near[:, 1].min() - far[:, 1].max()
            if turn is None
            else far[:, 0].min() - near[:, 0].max()
        )
        assert apart > 0
    assert kv_cache_bytes(architecture("DeepSeek 67B")) == 389_120


# The words that are handed on


@pytest.mark.parametrize("tokens", [2, 24])
def test_every_word_has_a_latent_and_all_are_handed_on(tokens: int) -> None:
    trace: Trace = make_trace(n_tokens=tokens, d_head=16)
    parts, _shot = last_picture(CacheSize, "a_latent_for_each_token", trace, StageSettings())
    words = {
        line.text for part in parts for line in part.get_family() if isinstance(line, TextLine)
    }
    named = CacheSize(trace).layer.words
    assert {word.strip() for word in named} <= {word.strip() for word in words}
    row = Row(named, Box(0, 0, 12, 5), Frame(8 * 16 / 9))
    middles = [latent.pose.at[0] for latent in row.latents]
    np.testing.assert_allclose(middles, [word.get_center()[0] for word in row.words])


def test_digits_are_found_and_names_are_not_numbers() -> None:
    texts = ["DeepSeek-V2-Lite: 70,272 bytes, 3.", "GQA-8", "R12 is not R1"]
    found = unexplained(texts, {"70,272"}, {"DeepSeek-V2", "DeepSeek-V2-Lite", "R1"})
    assert found == [
        "3 in 'DeepSeek-V2-Lite: 70,272 bytes, 3.'",
        "8 in 'GQA-8'",
        f"12 in {texts[2]!r}",
    ]
    assert unexplained(["2.5"], {"2", "5"}) == ["2.5 in '2.5'"]
