"""The camera: its shots, exact colours, and agreement with stock Manim."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from manim import (
    OUT,
    Camera,
    Circle,
    Difference,
    Group,
    ImageMobject,
    Mobject,
    Square,
    ThreeDCamera,
    VMobject,
)

from filmkit.core.animations import set_presence
from filmkit.core.camera import (
    FOCAL,
    Shot,
    StageCamera,
    keep_upright,
    pin_to_frame,
)
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.raster import Texture, paste
from filmkit.render.manim_config import changed_config

SIZE = {"pixel_width": 640, "pixel_height": 360, "frame_height": 8.0, "frame_width": 8 * 16 / 9}
NORM = Norm(-1.0, 1.0, "viridis")
SHOTS = {
    "ahead": Shot(),
    "near": Shot(center=(0.5, -0.3, 0.0), height=4.0),
    "right above": Shot(theta=35, phi=25, height=9),
    "left above": Shot(theta=-40, phi=20, height=9),
    "long lens": Shot(theta=-40, phi=20, height=9, focal=4.0),
}


def picture(shot: Shot, *mobjects: Mobject) -> npt.NDArray[np.uint8]:
    with changed_config(SIZE):
        camera = StageCamera()
        camera.shot = shot
        camera.capture_mobjects(mobjects)
        return camera.pixel_array.copy()


def heatmap(rows: int = 4, columns: int = 6, seed: int = 0) -> Heatmap:
    values = np.random.default_rng(seed).uniform(-1, 1, (rows, columns))
    return Heatmap(values, NORM, width=6.0, height=4.0)


def test_outlines_do_not_depend_on_what_was_drawn_before() -> None:
    flat, leaning = Circle(0.7, fill_opacity=0.5), Square().rotate(0.4, axis=[1, 1, 0])
    deep, pinned = Square().shift(2 * OUT), pin_to_frame(Square().shift([3, 2, 0]))
    mobjects = flat, leaning, deep, pinned, keep_upright(Square(0.3), at=[1, -1, 1])
    with changed_config(SIZE):
        camera, sketch = StageCamera(), StageCamera(pixel_width=160, pixel_height=90)
        sketch.share_paths(camera)
        for move in (0.0, 0.3):
            for shot in (*SHOTS.values(), SHOTS["near"]):
                flat.shift([move, 0, 0])
                leaning.rotate(move)
                for eye in (sketch, camera):
                    eye.reset()
                    eye.shot = shot
                    eye.capture_mobjects(mobjects)
                np.testing.assert_array_equal(camera.pixel_array, picture(shot, *mobjects))


def test_a_plane_nearer_to_the_eye_is_as_large_as_each_of_its_points_says() -> None:
    near = Square(2.0, fill_opacity=1.0, stroke_width=0.0).shift(2 * OUT)
    pixels = picture(SHOTS["near"], near)[..., 0] > 0
    with changed_config(SIZE):
        camera = StageCamera()
        camera.shot = SHOTS["near"]
        (left, top), (right, bottom) = np.sort(camera.pixels(near, near.get_vertices()), 0)[[0, -1]]
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    expected = np.clip([left, top, right, bottom], 0, [640, 360, 640, 360])
    np.testing.assert_allclose(seen, expected, atol=1)


def in_space(mobject: Mobject, *places: tuple[float, float, float]) -> Mobject:
    """A line through places, in white."""
    mobject.set_points_as_corners(np.array(places))
    return mobject


@pytest.mark.parametrize("shot", [Shot(), Shot(phi=30, height=4.0)], ids=["ahead", "above"])
def test_what_goes_past_the_eye_is_seen_up_to_there(shot: Shot) -> None:
    """Half of a floor, or of a line along it, lies behind the eye: only the other half is seen."""

    def floor(near: float) -> Mobject:
        corners = [(-2.0, -1.0, z) for z in (-9.0, near)] + [(1.0, -1.0, z) for z in (near, -9.0)]
        return in_space(VMobject(fill_opacity=1, stroke_width=0), *corners, corners[0])

    def rail(near: float) -> Mobject:
        return in_space(VMobject(stroke_width=4), (1.5, -1.0, -9.0), (1.5, -1.0, near))

    eye = float(shot.eye()[2])
    for thing in (floor, rail):
        before, past = (picture(shot, thing(near)) for near in (0.9 * eye, 5 * eye))
        assert 0.001 < (before[..., 0] > 128).mean() < 0.6
        assert ((before != past).any(axis=2)).mean() < 0.002
        behind = thing(2 * eye).shift([0, 0, 12 * eye])
        assert not picture(shot, behind)[..., :3].any()


def test_an_outline_that_has_only_begun_does_no_harm_past_the_eye() -> None:
    begun = VMobject(stroke_width=4)
    begun.points = np.array([[0.0, 0.0, 5 * FOCAL * 8]])
    assert not picture(SHOTS["right above"], begun)[..., :3].any()


def test_a_hole_in_what_goes_past_the_eye_stays_a_hole() -> None:
    ring = Difference(Square(4), Square(2), fill_opacity=1, stroke_width=0)
    ring.rotate(np.pi / 2, axis=[1, 0, 0]).shift([0, -1.0, 12.0])
    pixels = picture(Shot(), ring)[..., 0]
    assert not pixels.any(), "it is not ahead yet"
    ring.shift([0, 0, -1.0])
    assert 0 < (picture(Shot(), ring)[..., 0] > 128).mean() < 0.3


def test_a_heatmap_that_goes_past_the_eye_is_left_out() -> None:
    beside = heatmap()
    for past, seen in ((0.0, True), (13.0, False), (30.0, False)):
        beside.set_corners([(0.5, y, z + past) for y, z in ((1, -2), (1, 2), (-1, 2), (-1, -2))])
        shown = picture(Shot(), beside)
        assert shown[..., :3].any() == seen


@pytest.mark.parametrize("shot", SHOTS.values(), ids=SHOTS.keys())
def test_cell_centers_have_exactly_their_colours(shot: Shot) -> None:
    panel = heatmap()
    pixels = picture(shot, panel)
    with changed_config(SIZE):
        camera = StageCamera()
        camera.shot = shot
        for row in range(4):
            for column in range(6):
                x, y = camera.pixels(panel, panel.at(row + 0.5, column + 0.5)[None])[0]
                seen = pixels[int(y), int(x), :3]
                np.testing.assert_array_equal(seen, NORM.colours(panel.values[row, column]))


def test_flat_pictures_are_stock_manims_but_for_edges() -> None:
    panel = heatmap()
    ours = picture(Shot(), panel).astype(int)
    with changed_config(SIZE):
        image = ImageMobject(np.repeat(np.repeat(NORM.colours(panel.values), 40, 0), 40, 1))
        image.set_resampling_algorithm(0)
        image.stretch_to_fit_width(6.0).stretch_to_fit_height(4.0)
        camera = ThreeDCamera()
        camera.capture_mobjects([image])
        stock = camera.pixel_array.astype(int)
    different = np.abs(ours - stock).max(axis=-1) > 2
    # Cell edges are one pixel soft here and hard there: at most two pixels a line.
    edges = np.zeros_like(different)
    scale = 360 / 8
    for x in np.linspace(-3, 3, 7):
        edges[:, int(320 + x * scale) - 2 : int(320 + x * scale) + 3] = True
    for y in np.linspace(-2, 2, 5):
        edges[int(180 + y * scale) - 2 : int(180 + y * scale) + 3] = True
    assert not (different & ~edges).any()


@pytest.mark.parametrize("shot", [SHOTS["right above"], SHOTS["left above"]], ids=["right", "left"])
def test_pictures_in_space_are_stock_manims_but_for_edges(shot: Shot) -> None:
    # A translucent picture in front of two opaque ones, which lie at different depths.
    panels = [heatmap(4, 6), heatmap(5, 3, seed=1), heatmap(3, 4, seed=2)]
    for panel, place in zip(panels, ([-1.5, -1, -2], [1.5, 0.5, -1], [0, 0, 0]), strict=True):
        panel.shift(place)
    panels[2].set_opacity(0.5)
    ours = picture(shot, *panels).astype(int)
    edges = np.zeros(ours.shape[:2], dtype=np.uint8)
    with changed_config(SIZE):
        eye, stock = StageCamera(), Camera()
        eye.shot = shot
        for panel in panels:
            image = ImageMobject(np.repeat(np.repeat(NORM.colours(panel.values), 40, 0), 40, 1))
            image.set_resampling_algorithm(0).set_opacity(panel.opacity)
            # Stock Manim's eye stands elsewhere: its camera gets the corners as ours sees them.
            image.points = shot.project(panel.points, 8.0) * [1, 1, 0]
            stock.capture_mobjects([image])
            rows, columns = panel.shape
            ends = [(panel.at(i, 0), panel.at(i, columns)) for i in range(rows + 1)]
            ends += [(panel.at(0, i), panel.at(rows, i)) for i in range(columns + 1)]
            for line in ends:
                start, end = np.rint(eye.pixels(panel, np.array(line)) - 0.5).astype(int)
                cv2.line(edges, start.tolist(), end.tolist(), 1, thickness=5)
        expected = stock.pixel_array.astype(int)
    inside = edges == 0
    assert inside.mean() > 0.6
    assert np.ptp(expected[inside][:, :3], axis=0).min() > 100  # the pictures are there
    assert np.abs(ours - expected).max(axis=-1)[inside].max() <= 2


def test_straight_ahead_the_plane_is_undistorted() -> None:
    points = np.array([[1.0, 2.0, 0.0], [-7.0, -4.0, 0.0]])
    np.testing.assert_allclose(Shot().project(points, 8.0)[:, :2], points[:, :2], atol=1e-12)


def test_the_eye_goes_where_the_angles_say() -> None:
    right = Shot(theta=30).eye()
    above = Shot(phi=30).eye()
    assert right[0] > 0
    assert right[2] > 0
    assert right[1] == pytest.approx(0)
    assert above[1] > 0
    assert above[2] > 0
    assert above[0] == pytest.approx(0)
    assert np.linalg.norm(Shot(height=5).eye()) == pytest.approx(FOCAL * 5)
    assert np.linalg.norm(Shot(height=5, focal=3).eye()) == pytest.approx(15)


def test_a_longer_lens_is_flatter_and_leaves_the_plane_of_the_center() -> None:
    points = np.array([[0.0, 2.0, 0.0], [0.0, 2.0, -6.0]])
    near, far = (Shot(focal=focal).project(points, 8.0)[:, 1] for focal in (1.6, 4.0))
    assert near[0] == far[0] == pytest.approx(2.0)
    assert near[1] < far[1] < 2.0
    assert far[1] == pytest.approx(2.0 * 32 / 38)


def test_a_mix_of_shots_starts_and_ends_at_them() -> None:
    first, second = SHOTS["near"], SHOTS["left above"]
    for alpha, shot in ((0.0, first), (1.0, second)):
        mixed = first.mix(second, alpha)
        assert mixed.center == pytest.approx(shot.center)
        assert (mixed.height, mixed.theta, mixed.phi) == pytest.approx(
            (shot.height, shot.theta, shot.phi)
        )
    middle = Shot(height=4, focal=1.6).mix(Shot(height=9, focal=2.5), 0.5)
    assert (middle.height, middle.focal) == pytest.approx((6.0, 2.0))


def test_an_upright_mobject_can_follow_what_moves() -> None:
    places = {"here": [0.0, 0.0, 0.0]}
    square = Square(side_length=0.5, fill_opacity=1.0, stroke_width=0.0)
    keep_upright(square, lambda shot: [*places["here"][:2], shot.theta])
    with changed_config(SIZE):
        camera = StageCamera()
        for place, theta in (([0, 0, 0], 0.0), ([1, 2, 0], 0.0), ([1, 2, 0], -3.0)):
            places["here"], camera.shot = place, Shot(theta=theta)
            point = np.array([[*place[:2], theta]], dtype=float)
            middle = camera.pixels(square, square.points).mean(axis=0)
            np.testing.assert_allclose(middle, camera.pixels(Mobject(), point)[0])


def test_what_is_pinned_stays_when_the_camera_moves() -> None:
    square = pin_to_frame(Square(side_length=1.0, fill_opacity=1.0).move_to([5, 3, 0]))
    np.testing.assert_array_equal(picture(Shot(), square), picture(SHOTS["near"], square))


@pytest.mark.parametrize(
    "mobject", [heatmap(), Square(fill_opacity=1.0, stroke_width=0)], ids=["cells", "path"]
)
def test_presence_scales_what_is_drawn(mobject: Mobject) -> None:
    def light() -> float:
        return float(picture(Shot(), Group(mobject))[..., :3].sum())

    full = light()
    set_presence(mobject, 0.5)
    assert light() == pytest.approx(full / 2, rel=0.02)
    set_presence(mobject, 0.0)
    assert light() == 0
    set_presence(mobject, 1.0)
    assert light() == full


def test_translucent_pictures_blend_only_where_they_lie() -> None:
    frame = np.full((20, 30, 4), 255, dtype=np.uint8)
    cells = np.zeros((1, 1, 4), dtype=np.uint8)
    cells[..., 3] = 255
    corners = np.array([[5.0, 5], [25, 5], [25, 15], [5, 15]])
    paste(frame, Texture(cells), corners, 0.5)
    assert set(np.unique(frame[7:13, 7:23, 0])) <= {127, 128}
    outside = np.ones((20, 30), dtype=bool)
    outside[4:16, 4:26] = False
    assert (frame[outside] == 255).all()
    assert (frame[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("corners", "inside"),
    [
        ([[-50, -50], [-10, -50], [-10, -10], [-50, -10]], np.s_[:0, :0]),
        ([[5, 5], [5.1, 5], [5.1, 15], [5, 15]], np.s_[5:15, 5:6]),
        ([[-1e5, -1e5], [1e5, -1e5], [1e5, 1e5], [-1e5, 1e5]], np.s_[:, :]),
    ],
    ids=["outside", "on edge", "enormous"],
)
def test_degenerate_places_do_no_harm(
    corners: list[list[float]], inside: tuple[slice, slice]
) -> None:
    frame = np.full((20, 30, 4), 7, dtype=np.uint8)
    cells = np.full((3, 3, 4), 255, dtype=np.uint8)
    paste(frame, Texture(cells), np.array(corners, dtype=float))
    outside = np.ones((20, 30), dtype=bool)
    outside[inside] = False
    assert (frame[outside] == 7).all()
    if not outside.any():
        assert (frame == 255).all()


def test_hidden_cells_show_what_is_behind() -> None:
    panel = heatmap(2, 2)
    panel.set_shown([[1, 0], [1, 1]])
    pixels = picture(Shot(), panel)
    with changed_config(SIZE):
        (x, y), *_ = StageCamera().pixels(panel, panel.at(0.5, 1.5)[None])
    assert (pixels[int(y), int(x), :3] == 0).all()


@pytest.mark.parametrize("eye", [(0, 4.3, 5.6), (-3, 1, 2), (4, -2, -1)])
def test_a_shot_looks_from_one_point_to_another(eye: tuple[float, float, float]) -> None:
    at = (0.5, 0.85, -7.2)
    shot = Shot.looking(eye, at, 1.25)
    np.testing.assert_allclose(shot.eye(), eye, atol=1e-9)
    np.testing.assert_allclose(shot.project(np.array([at]), 8.0)[0, :2], 0, atol=1e-9)
    above = shot.project(np.array([np.add(at, (0, 1, 0))]), 8.0)[0]
    assert above[0] == pytest.approx(0)
    assert above[1] > 0
    assert shot.height == pytest.approx(np.linalg.norm(np.subtract(eye, at)) / 1.25)
