"""The cache as a block: what its faces show, how it grows, and which face hides which."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from manim import tempconfig

from filmkit.core.animations import set_presence
from filmkit.core.camera import Shot
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.raster import Texture
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume, Measure, VolumeFace
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import shot_on
from tests.support.occlusion import COLUMNS, ROWS, nearest, picture
from tests.support.traces import make_trace

FRAME = Frame(8 * 16 / 9)
LAYERS, HEADS = 3, 2
ANGLES = [(34, 20), (20, 12), (50, 35), (12, 40)]


@pytest.fixture(autouse=True)
def _small_frame() -> Iterator[None]:
    size = {"pixel_width": COLUMNS, "pixel_height": ROWS, "frame_width": 8 * 16 / 9}
    with tempconfig(size | {"frame_height": 8.0}):
        yield


TRACE = make_trace(
    n_heads=4, n_kv_heads=HEADS, d_head=8, n_layers=LAYERS, positions="rotary", n_generated=2
)
VIEW = LayerView.of_prompt(TRACE, 1, show_first_token=False).until(len(TRACE.meta.tokens))
TOKENS = len(TRACE.meta.tokens) - 1


def make_volume(base: int = 0, **visible_range: object) -> CacheVolume:
    layout = CacheVolumeLayout.of(rows=TOKENS, units=LAYERS * HEADS, heads=HEADS, d_qk=8, d_v=8)
    layers = range(LAYERS)
    stored = (CachedTensor.of(VIEW, name, layers) for name in ("k", "v"))
    return CacheVolume(*stored, layout, base=base).set_range(**visible_range)


@pytest.mark.parametrize("unit", range(LAYERS * HEADS))
def test_the_front_is_one_head_of_the_trace_in_its_layers_colours(unit: int) -> None:
    volume = make_volume(units=(unit, unit + 1))
    layer, head = divmod(unit, HEADS)
    here = LayerView.of_prompt(TRACE, layer, show_first_token=False)
    for block, name, tensor in ((volume.keys, "k", "k_rot"), (volume.values, "v", "v")):
        np.testing.assert_array_equal(block.front.values, TRACE.get(tensor, layer)[1:, head])
        assert block.front.norm == here.norm(name)
        assert block.front.source.tensor == f"{tensor}.{layer}"
        assert block.front.source.index == ((1, 1 + TOKENS), head, (0, 8))


def test_the_other_faces_are_the_first_token_and_the_last_channel() -> None:
    volume = make_volume(units=(1, 5), rows=7)
    expected = []
    for unit in range(1, 5):
        layer, head = divmod(unit, HEADS)
        limit = LayerView.of_prompt(TRACE, layer, show_first_token=False).norm("v").vmax
        expected.append(TRACE.get("v", layer)[1:8, head] / limit)
    whole = np.array(expected)  # (unit, token, channel)
    np.testing.assert_allclose(volume.values.top.values, whole[:, 0])
    np.testing.assert_allclose(volume.values.side.values, whole[:, :, -1].T)


def test_faces_meet_at_the_corners() -> None:
    block = make_volume(units=(0, 4)).keys
    np.testing.assert_allclose(block.front.corners[:2], block.top.corners[:2])
    np.testing.assert_allclose(block.front.corners[1:3], block.side.corners[[0, 3]])
    np.testing.assert_allclose(block.top.corners[2], block.side.corners[1])


def test_a_base_lies_in_the_flat_picture() -> None:
    volume = make_volume(base=3, units=(3, 4))
    for block, box in ((volume.keys, volume.layout.k), (volume.values, volume.layout.v)):
        expected = Heatmap([[0.0]], block.front.norm, width=1, height=1).place(box).corners
        np.testing.assert_allclose(block.front.corners, expected, atol=1e-12)


def test_a_token_that_is_half_there_shows_half() -> None:
    volume = make_volume(rows=4.5)
    front = volume.keys.front
    assert front.shape[0] == 5
    np.testing.assert_allclose(front.shown[:, 0], [1, 1, 1, 1, 0.5])
    # The edges reach as far as the visible rows.
    height = np.ptp(volume.keys.edges.points[:, 1])
    assert height == pytest.approx(4.5 * volume.layout.row)


def test_growing_ends_at_the_given_range_and_making_it_changes_nothing() -> None:
    volume = make_volume(units=(2, 4), rows=3)
    before = volume.keys.front.points.copy()
    motion = volume.change_range(units=(0, 6), rows=TOKENS, shift=(1.0, 0.0, -2.0))
    np.testing.assert_array_equal(volume.keys.front.points, before)
    motion.begin()
    for alpha in (0.3, 0.7):
        motion.interpolate(alpha)
        assert volume.keys.top.shape[0] >= 2
    motion.finish()
    expected = make_volume(units=(0, 6), rows=TOKENS, shift=(1.0, 0.0, -2.0))
    for found, wanted in zip(volume.get_family(), expected.get_family(), strict=True):
        np.testing.assert_allclose(found.points, wanted.points)
        if isinstance(found, Heatmap):
            np.testing.assert_array_equal(found.values, wanted.values)


def test_all_faces_have_one_scale() -> None:
    volume = make_volume()
    for block in volume.blocks:
        front, top = block.front, block.top
        assert not front.norm.is_linear
        whole = block.stored.norms[0].vmax * top.values
        np.testing.assert_array_equal(top.norm.colours(top.values), front.norm.colours(whole))


def test_a_darker_face_hides_as_much() -> None:
    norm = make_volume().keys.front.norm
    bright, dark = (
        VolumeFace(norm, light=light).fill(np.ones((2, 2)), TensorSource()) for light in (1.0, 0.5)
    )
    np.testing.assert_array_equal(dark.texture().cells[..., 3], bright.texture().cells[..., 3])
    np.testing.assert_allclose(
        dark.texture().cells[..., :3], bright.texture().cells[..., :3] * 0.5, atol=1
    )


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
@pytest.mark.parametrize("apart", [0.0, 0.8])
def test_the_nearer_face_wins(theta: float, phi: float, apart: float) -> None:
    volumes = [
        make_volume(units=(i * HEADS, (i + 1) * HEADS), shift=(apart * i, 0.0, -apart * i))
        for i in range(LAYERS)
    ]
    faces = [
        face for v in volumes for block in v.blocks for face in (block.front, block.top, block.side)
    ]
    for number, face in enumerate(faces):
        colour = [12 * number + 10, 250 - 9 * number, 40 + number, 255]
        face._texture, face.light = Texture(np.array([[colour]], dtype=np.uint8)), 1.0
    for volume in volumes:
        for block in volume.blocks:
            set_presence(block.edges, 0.0)
    corners = np.concatenate([volume.corners for volume in volumes])
    shot = shot_on(corners, FRAME, theta=theta, phi=phi)
    # Added nearest first: the order of drawing must follow from their depth.
    drawn, (found, _) = picture(shot, *volumes)[..., :3], nearest(faces, shot)
    colours = np.array([face.texture().cells[0, 0, :3] for face in faces] + [[0, 0, 0]])
    inside = found > -2
    np.testing.assert_array_equal(drawn[inside], colours[found[inside]])
    assert len(np.unique(found)) > 4


def test_a_measure_is_as_long_as_its_edge() -> None:
    volume = make_volume()
    start, end = volume.keys.corner(0, 1, 0), volume.values.corner(1, 1, 0)
    measure = Measure(start, end, away=[0.0, -0.3, 0.0], text="both")
    xs = measure.line.points[:, 0]
    assert (xs.min(), xs.max()) == pytest.approx((start[0], end[0]))
    np.testing.assert_allclose(measure.label.anchor, (start + end) / 2 + [0.0, -0.3, 0.0])


def test_a_flat_view_shows_the_fronts_as_panels() -> None:
    volume = make_volume(units=(0, 1))
    for block in volume.blocks:
        set_presence(block.edges, 0.0)
    fronts = [block.front.copy() for block in volume.blocks]
    found, _ = nearest(fronts, Shot())
    drawn, flat = picture(Shot(), volume), picture(Shot(), *fronts)
    # Between keys and values a little of the side of the keys shows.
    np.testing.assert_array_equal(drawn[found >= 0], flat[found >= 0])
    assert (found >= 0).sum() > 1000
