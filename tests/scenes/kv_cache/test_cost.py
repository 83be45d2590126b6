"""What a cache costs: sizes that are to scale, lamps, and an answer that is not given."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from extract.facts.architectures import architecture, kv_cache_bytes, kv_cache_elements
from extract.facts.gpus import decoding_work
from extract.trace import Trace
from filmkit.core.geometry import Box, Frame
from filmkit.core.seats import shot_of
from filmkit.core.view import LayerView
from filmkit.world.block import Pose
from filmkit.world.lamps import lamp_places
from scenes.kv_cache.cost import LargeToken, plates_of_layer, token_bytes
from scenes.kv_cache.scene_kv_cache import KVCache
from tests.support.checkout import SHIPPED
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

R1 = architecture("DeepSeek-V3/R1")
FRAMES = [Frame(8 * 16 / 9), Frame(8.0, 128 / 9), Frame(9.6, 9.6), Frame(12.0, 9.0)]


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(KVCache, Trace.load(SHIPPED))}


def test_the_sizes_beside_a_token_make_its_bytes(pictures: dict[str, BeatPicture]) -> None:
    meta = Trace.load(SHIPPED).meta
    said = " ".join(text.text for text in pictures["bytes_of_a_token"].texts)

    def number(pattern: str) -> int:
        found = re.search(pattern, said)
        assert found
        return int(found[1])

    channels = number(r"keys: (\d+) numbers") + number(r"values: (\d+) numbers")
    units = number(r"(\d+) layers") * number(r"× (\d+) sets")
    assert channels * units * number(r"(\d+) bytes a number") == token_bytes(meta)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("sets", [1, 3, 12, 32])
def test_every_plate_of_a_layer_is_seen(sets: int, frame: Frame) -> None:
    trace = make_trace(n_heads=32 if sets == 32 else 12, n_kv_heads=sets, d_model=64)
    view = LayerView.of_prompt(trace, None, show_first_token=False)
    pairs = plates_of_layer(view, frame)
    shown = [plate.cells.source.index[1] for pair in pairs for plate in pair]
    assert shown == [head for head in range(sets) for _half in "kv"]
    corners = [plate.cells.corners for pair in pairs for plate in pair]
    assert np.concatenate(corners)[:, 1].min() >= 0
    shot = shot_of(np.concatenate(corners), frame, turn=0, tilt=9)
    seen = [shot.project(each, frame.height)[:, :2] for each in corners]
    boxes = [Box.between(each.min(axis=0), each.max(axis=0)) for each in seen]
    assert all(frame.free.contains(box, slack=0.02) for box in boxes)
    # A slanting plate is a little smaller than the box around it.
    for one, two in combinations(boxes, 2):
        assert min(one.overlap(two)) < 0.25 * min(one.height, one.width)


def test_the_large_token_is_to_scale() -> None:
    large = LargeToken(R1)
    number = large.halves[0].pose.thick / R1.d_head
    volume = sum(np.prod(half.pose.size) for half in large.halves) / number**3
    assert volume == pytest.approx(kv_cache_elements(R1, "mha"))
    kept = np.prod(large.unknown.pose.size) / number**3
    assert kept == pytest.approx(kv_cache_elements(R1))
    large.rise(start=1.0, end=0.0).interpolate(1.0)
    assert large.halves[0].corners[:, 1].max() < 0.01
    large.rise().interpolate(1.0)
    assert large.halves[1].corners[:, 1].max() == pytest.approx(number * R1.n_heads)


def test_the_box_stays_closed(pictures: dict[str, BeatPicture]) -> None:
    """What the large model keeps is the answer of the film: nothing here tells it."""
    told = kv_cache_bytes(R1)
    for picture in pictures.values():
        words = " ".join([picture.record.narration, *(item.text for item in picture.texts)])
        assert "latent" not in words
        assert f"{told / 1e3:.0f}" not in re.findall(r"\d+", words)
        assert "56.9" not in words
        assert "57.8" not in words
    assert "?" in [item.text for item in pictures["as_shipped"].texts]


def test_only_what_a_model_keeps_is_told(pictures: dict[str, BeatPicture]) -> None:
    assert "23 kB per token" in {item.text for item in pictures["bytes_of_a_token"].texts}
    assert "4.0 megabytes" in pictures["a_large_model"].record.narration
    assert "295 multiply-adds" in pictures["memory_is_time"].record.narration


def test_what_does_not_happen_is_work_and_no_part_of_a_chip(
    pictures: dict[str, BeatPicture],
) -> None:
    texts = " ".join(item.text for item in pictures["memory_is_time"].texts)
    assert "294 of 295 multiply-adds don’t happen" in texts
    assert "multiplier" not in texts


def test_a_chip_has_a_lamp_for_all_it_could_do() -> None:
    assert decoding_work(R1, "mha").per_number == 1
    for count, depth, height in ((295, 5, 4), (7, 2, 6)):
        chip = Pose((0.0, 0.0, 0.0), 90.0, 0.02, height, depth)
        places = lamp_places(chip, count)
        boxes = [Box.between(lamp[0], lamp[2]) for lamp in places]
        assert len(boxes) == count
        assert Box.of(-depth / 2, depth / 2, 0, height).contains(Box.around(boxes))
        assert all(one.overlap(two) == (0.0, 0.0) for one, two in combinations(boxes, 2))
        assert len({(round(box.width, 6), round(box.height, 6)) for box in boxes}) == 1
