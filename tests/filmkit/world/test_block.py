"""The cache as a block of slabs: what they show, where they stand, how they are seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from manim import DL, UR

from extract.trace import Trace
from filmkit.core.animations import presence, set_presence
from filmkit.core.geometry import Box, Frame
from filmkit.core.quantities import PanelCheck
from filmkit.core.raster import Texture
from filmkit.core.seats import shot_of
from filmkit.core.view import LayerView
from filmkit.render.manim_config import changed_config
from filmkit.world.block import CacheBlock
from filmkit.world.standing import words_at
from tests.support.occlusion import COLUMNS, ROWS, nearest, picture
from tests.support.traces import make_trace

FRAMES = [Frame(8 * 16 / 9), Frame(8.0, 128 / 9), Frame(9.6, 9.6), Frame(12.0, 9.0)]
TRACES = {
    "groups": {"n_heads": 6, "n_kv_heads": 3, "n_layers": 4, "positions": "rotary"},
    "one head": {"n_heads": 1, "d_head": 32},
    "24 tokens": {"n_tokens": 24, "n_heads": 4, "n_layers": 3},
}


@pytest.fixture(scope="module", params=TRACES.values(), ids=TRACES.keys())
def trace(request: pytest.FixtureRequest) -> Trace:
    return make_trace(**request.param)


@pytest.fixture
def view(trace: Trace) -> LayerView:
    return LayerView.of_prompt(trace, None, show_first_token=False)


@pytest.fixture
def block(view: LayerView) -> CacheBlock:
    return CacheBlock(view)


def test_every_side_shows_what_its_source_says(trace: Trace, block: CacheBlock) -> None:
    check = PanelCheck(trace)
    for slab in block.slabs:
        for side in (slab.face, slab.front, slab.top):
            assert check.untrue(side) == ""


def test_a_face_has_the_numbers_that_a_token_adds(view: LayerView, block: CacheBlock) -> None:
    meta = view.trace.meta
    for pair, name in zip(zip(*block.tokens, strict=True), ("k", "v"), strict=True):
        tensor = view.head(0).score_tensor("k") if name == "k" else name
        for token, slab in enumerate(pair):
            for layer in range(meta.n_layers):
                stored = view.trace.get(tensor, layer)[view.first + token]
                units = slice(layer * meta.n_kv_heads, (layer + 1) * meta.n_kv_heads)
                shown = slab.face.values[units] * view.at(layer).norm(name).vmax
                np.testing.assert_allclose(shown, stored, rtol=1e-5, atol=1e-6)


def test_the_sides_of_a_slab_meet_at_the_same_numbers(block: CacheBlock) -> None:
    for slab in (block.tokens[0][0], block.tokens[-1][1]):
        face, front, top = slab.face, slab.front, slab.top
        for unit in range(face.shape[0]):
            np.testing.assert_allclose(face.at(unit, 0), front.at(unit, 1), atol=1e-9)
            assert face.values[unit, 0] == front.values[unit, 0]
        for channel in range(face.shape[1]):
            np.testing.assert_allclose(face.at(0, channel), top.at(1, channel), atol=1e-9)
            assert face.values[0, channel] == top.values[0, channel]


def test_slabs_stand_on_the_floor_one_after_another(block: CacheBlock) -> None:
    spans = [(slab.corners[:, 0].min(), slab.corners[:, 0].max()) for slab in block.slabs]
    assert all(one[1] <= two[0] + 1e-9 for one, two in pairwise(spans))
    assert [slab.role for slab in block.slabs[:4]] == ["key", "value"] * 2
    assert block.corners[:, 1].min() == 0
    assert all((slab.corners[:, 1].min() == 0) for slab in block.slabs)


def test_apart_there_is_air_between_all_slabs(block: CacheBlock) -> None:
    block.build(apart=1.0)
    spans = [(slab.corners[:, 0].min(), slab.corners[:, 0].max()) for slab in block.slabs]
    assert all(one[1] + 0.1 * (one[1] - one[0]) < two[0] for one, two in pairwise(spans))


@pytest.mark.parametrize("frame", FRAMES)
def test_a_shot_shows_all_of_it_from_the_right_and_above(block: CacheBlock, frame: Frame) -> None:
    free = frame.free
    room = Box.of(free.left + 1, free.right, free.bottom + 0.5, free.top - 1.5)
    for apart in (0.0, 1.0):
        block.build(apart=apart)
        shot = block.shot(frame, into=room)
        assert shot.theta > 0
        assert shot.phi > 0
        seen = shot.project(block.corners, frame.height)[:, :2]
        assert room.contains(Box.between(seen.min(axis=0), seen.max(axis=0)), slack=0.02)
        # From there the slabs farther to the right are in front, as they are drawn.
        assert shot.eye()[0] > block.corners[:, 0].max()


@pytest.mark.parametrize("frame", FRAMES)
def test_a_shot_has_room_for_words_beside_it(block: CacheBlock, frame: Frame) -> None:
    free = frame.free
    room = Box.of(free.left + 1, free.right, free.bottom + 0.5, free.top - 1.5)
    at = block.build().pose.corner
    words = [
        words_at("keysandvaluesofallheads", at(0, 0.5, 0), away=(-0.3, 0.0)),
        words_at("one token", at(1, 0.5, 1), away=(0.2, 0.0)),
        words_at("over it", at(0.5, 1, 0.5), away=(0.0, 0.6)),
    ]
    shot = block.shot(frame, into=room, words=words)
    seen = shot.project(block.corners, frame.height)
    boxes = [Box.between(seen.min(axis=0), seen.max(axis=0))]
    for word in words:
        (point,) = shot.project(word.anchor[None], frame.height)
        boxes.append(Box.between(point + word.get_corner(DL), point + word.get_corner(UR)))
    around = Box.around(boxes)
    assert room.contains(around, slack=0.02)
    # No larger picture has room for them.
    assert around.width > room.width - 0.02 or around.height > room.height - 0.02


@pytest.mark.parametrize(("turn", "tilt"), [(36, 13), (50, 17), (20, 30)])
@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_the_nearest_side_is_seen(apart: float, turn: float, tilt: float) -> None:
    view = LayerView.of_prompt(make_trace(n_tokens=5), None, show_first_token=False)
    block = CacheBlock(view).build(apart=apart)
    sides = [side for slab in block.slabs for side in (slab.face, slab.front, slab.top)]
    for number, side in enumerate(sides):
        colour = [number % 200 + 20, 250 - number // 2, 40 + number % 7, 255]
        side._texture = Texture(np.array([[colour]], dtype=np.uint8))
    for slab in block.slabs:
        set_presence(slab.edges, 0.0)
    shot = shot_of(block.corners, FRAMES[0], turn=turn, tilt=tilt)
    with changed_config(
        {
            "pixel_width": COLUMNS,
            "pixel_height": ROWS,
            "frame_width": FRAMES[0].width,
            "frame_height": 8.0,
        }
    ):
        drawn = picture(shot, block)[..., :3]
    found, _distance = nearest(sides, shot)
    colours = np.array([side.texture().cells[0, 0, :3] for side in sides] + [[0, 0, 0]])
    inside = found > -2
    np.testing.assert_array_equal(drawn[inside], colours[found[inside]])
    assert len(np.unique(found)) > 4


def test_it_grows_into_what_was_built(block: CacheBlock) -> None:
    built = [slab.face.corners.copy() for slab in block.slabs]
    growth = block.grow(1)
    growth.interpolate(0.0)
    assert presence(block.tokens[-1][1].face) == 0
    assert not np.allclose(block.slabs[-1].face.corners, built[-1])
    growth.interpolate(1.0)
    for slab, corners in zip(block.slabs, built, strict=True):
        np.testing.assert_allclose(slab.face.corners, corners, atol=1e-9)
        assert presence(slab.face) == 1


def test_only_faces_that_can_be_seen_are_drawn(block: CacheBlock) -> None:
    def drawn() -> list[int]:
        return [number for number, slab in enumerate(block.slabs) if slab.face.opacity > 0]

    last = len(block.slabs) - 1
    assert drawn() == [last]
    growth = block.grow(1)
    growth.interpolate(0.5)
    assert drawn() == [last - 2, last - 1, last]
    growth.interpolate(1.0)
    assert drawn() == [last]
    assert len(block.build(apart=0.5).slabs) == len(drawn())
