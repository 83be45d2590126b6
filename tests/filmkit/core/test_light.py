"""Light: halos and the mirror lie under a picture, and are the same on every processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from manim import DOWN, Group, Mobject, Square

from filmkit.core import light
from filmkit.core.animations import set_presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import Shot, StageCamera, keep_upright, pin_to_frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera, glow, mirrored
from filmkit.core.norm import Norm
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage, beat
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import changed_config
from filmkit.render.vector import draw_page, write_pages
from tests.support.traces import make_trace

Picture = npt.NDArray[np.int_]

SIZE = {"pixel_width": 1920, "pixel_height": 1080, "frame_height": 8.0, "frame_width": 8 * 16 / 9}
SMALL = SIZE | {"pixel_width": 640, "pixel_height": 360}
QUIET = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
ROOM = Shot(center=(0, 0.5, 0), height=6, phi=15)
BLACK = 0.03 * 255


def plate(foot: float = 0.0) -> Heatmap:
    """Return an upright panel of red, green and blue rows, 2 wide and 1.5 high."""
    values = np.repeat([[0.0], [0.5], [1.0]], 4, axis=1)
    colours = Norm(0.0, 1.0, "#ff0000/#00ff00/#0000ff")
    panel = Heatmap(values, colours, width=2.0, height=1.5, edged=False)
    panel.shift([0.0, foot + 0.75, 0.0])
    return panel


def drawn(
    *mobjects: Mobject,
    shot: Shot = ROOM,
    camera: type[StageCamera] = LitCamera,
    size: dict[str, Any] = SMALL,
    **options: Any,
) -> Picture:
    with changed_config(size):
        eye = camera(background_color="#000000", **options)
        eye.shot = shot
        eye.capture_mobjects(mobjects)
        return eye.pixel_array[..., :3].astype(int)


def dark(*mobjects: Mobject, **options: Any) -> Picture:
    return drawn(*mobjects, camera=StageCamera, **options)


def square(colour: str = "#ffffff", side: float = 1.0) -> Square:
    return Square(side, fill_color=colour, fill_opacity=1.0, stroke_width=0.0)


def test_light_changes_nothing_that_is_drawn() -> None:
    panel = plate(0.6)
    word = square("#123456", 0.5).shift([2.2, 0.4, 0])
    without = dark(panel, word)
    lit = drawn(glow(mirrored(panel)), mirrored(word))
    inside = cv2.erode((without.max(axis=2) > 0).astype(np.uint8), np.ones((5, 5)))
    assert inside.sum() > 5000
    np.testing.assert_array_equal(lit[inside > 0], without[inside > 0])
    assert (lit >= without - 1).all(), "an edge is mixed with light, not with black"
    assert (lit > without).mean() > 0.2


def test_nothing_is_lit_where_nothing_is_marked() -> None:
    panel = plate()
    np.testing.assert_array_equal(drawn(panel), dark(panel))
    np.testing.assert_array_equal(drawn(glow(panel, 0.0)), dark(panel))


def test_light_that_is_put_out_leaves_no_trace() -> None:
    panel = glow(mirrored(plate()))
    with changed_config(SMALL):
        camera = LitCamera(background_color="#000000")
        camera.shot, camera.lit = ROOM, False
        camera.capture_mobjects([panel])
        np.testing.assert_array_equal(camera.pixel_array[..., :3], dark(panel))


def test_a_halo_has_the_colour_of_what_glows_and_ends_in_black() -> None:
    picture = drawn(glow(square("#ff8000")), shot=Shot())
    levels = picture[180, 320 + 22 + 4 :]
    assert (np.diff(levels[:, 0].astype(float))[::8] <= 1).all(), "it fades"
    assert levels[4, 0] > 40
    # Light is the square of a level: half the level is a quarter of the light.
    near = levels[:40].astype(float) ** 2
    assert np.mean(near[:, 1] / near[:, 0]) == pytest.approx(0.25, abs=0.03)
    assert picture[..., 2].max() == 0
    assert picture[:10].max() < BLACK
    assert picture[:, :60].max() < BLACK


def test_strength_multiplies_light() -> None:
    one, two, four = (drawn(glow(square(), strength), shot=Shot()) for strength in (1, 2, 4))
    around = (slice(150, 210), slice(350, 400), 0)
    mean = [float((picture[around].astype(float) ** 2).mean()) for picture in (one, two, four)]
    np.testing.assert_allclose(np.array(mean) / mean[0], [1, 2, 4], rtol=0.03)


@pytest.mark.parametrize("strength", [-0.1, 4.1])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 4"):
        glow(square(), strength)


def test_what_is_dimmed_gives_less_light() -> None:
    full, half = drawn(glow(square())), drawn(set_presence(glow(square()), 0.5))
    assert half[60, 320].max() < 0.7 * full[60, 320].max()


def test_the_floor_mirrors_upside_down_dimmed_and_softly() -> None:
    panel = mirrored(plate())
    with changed_config(SMALL):
        camera = LitCamera()
        camera.shot = ROOM

        def seen(y: float) -> npt.NDArray[np.float64]:
            x, row = camera.pixels(Mobject(), np.array([[0.0, y, 0.0]]))[0].astype(int)
            return np.asarray(drawn(panel)[row - 1 : row + 2, x - 20 : x + 20].mean(axis=(0, 1)))

        blue, green, red = seen(-0.25), seen(-0.75), seen(-1.25)
    assert blue.argmax() == 2
    assert green.argmax() == 1
    assert red.argmax() == 0
    # A quarter of its light at most is half of its level, and the higher part is darker.
    assert 60 < red.max() < green.max() < blue.max() < 128
    assert drawn(panel)[:150].max() == dark(panel)[:150].max()


def test_the_mirror_of_what_hangs_is_apart_from_it() -> None:
    added = drawn(mirrored(plate(0.5))) - dark(plate(0.5))
    with changed_config(SMALL):
        camera = StageCamera()
        camera.shot = ROOM
        points = np.array([[0.0, y, 0.0] for y in (0.4, -0.4, -0.6)])
        above, below, inside = camera.pixels(Mobject(), points).astype(int)[:, 1]
    assert added[above:below, 320].max() == 0
    assert added[inside, 320].max() > 40


@pytest.mark.parametrize(
    "shot",
    [Shot(), Shot(center=(0, 0.5, 0), height=6), replace(ROOM, center=(0, -3, 0))],
    ids=["flat", "face on", "from below"],
)
def test_without_a_view_of_the_floor_there_is_no_mirror(shot: Shot) -> None:
    panel = mirrored(plate())
    np.testing.assert_array_equal(drawn(panel, shot=shot), dark(panel, shot=shot))


@pytest.mark.parametrize(
    "fixed", [pin_to_frame, lambda mobject: keep_upright(mobject, (0.0, 1.0, 0.0))]
)
def test_what_has_no_place_in_space_is_not_mirrored(fixed: Callable[[Mobject], Mobject]) -> None:
    word = fixed(mirrored(square()))
    np.testing.assert_array_equal(drawn(word), dark(word))


def test_what_is_below_the_floor_is_not_seen_in_it() -> None:
    sunk = mirrored(plate(-2.0))
    np.testing.assert_array_equal(drawn(sunk), dark(sunk))


def test_a_background_of_its_own_keeps_its_colour_far_from_any_light() -> None:
    with changed_config(SMALL):
        camera = LitCamera(background_color="#102030")
        camera.capture_mobjects([glow(square(side=0.1))])
        np.testing.assert_array_equal(camera.pixel_array[5, 5], [16, 32, 48, 255])


def test_light_is_computed_again_only_if_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    enlarge, made = light._Ground.enlarge, []

    def noted(ground: light._Ground, levels: light.Light) -> npt.NDArray[np.uint8]:
        made.append(1)
        return enlarge(ground, levels)

    monkeypatch.setattr(light._Ground, "enlarge", noted)
    lamp, word = glow(mirrored(plate(0.6))), square("#123456", 0.5).shift([2.2, 0.4, 0])
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: word.shift([0.1, 0, 0]),
        lambda: lamp.shift([0.1, 0, 0]),
        lambda: glow(lamp, 2.0),
        lambda: glow(lamp, 0.0),
    ]
    counts = []
    with changed_config(SMALL):
        camera = LitCamera(background_color="#000000")
        camera.shot = ROOM
        for change in changes:
            change()
            counts.append(len(made))
            camera.capture_mobjects([lamp, word])
            picture = camera.pixel_array[..., :3].copy()
            np.testing.assert_array_equal(picture, drawn(lamp, word))
            camera.reset()
    # Each picture is drawn by another camera too.
    assert np.diff([*counts, len(made)]).tolist() == [2, 1, 2, 2, 2]


# The same on every processor


@contextmanager
def plainly() -> Iterator[None]:
    """Let OpenCV compute without what is special to a processor inside the ``with`` block."""
    optimized, vendor = cv2.useOptimized(), cv2.ipp.useIPP()
    cv2.setUseOptimized(False)
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.setUseOptimized(optimized)
        cv2.ipp.setUseIPP(vendor)


def some_light(height: int = 270, width: int = 480) -> light.Light:
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return light._soft(picture)


def enlarged(levels: light.Light, factor: int) -> Picture:
    height, width = levels.shape[:2]
    ground = light._Ground(height * factor, width * factor, factor)
    return ground.enlarge(levels.copy())[..., :3].astype(int)


@pytest.mark.parametrize("size", [(270, 480), (240, 427), (427, 240)])
def test_halos_are_the_same_bit_by_bit_however_opencv_computes(size: tuple[int, int]) -> None:
    fast = light._halos(some_light(*size))
    assert fast.shape == (*size, 3)
    with plainly():
        np.testing.assert_array_equal(light._halos(some_light(*size)), fast)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_enlarging_is_the_same_bit_by_bit_however_opencv_computes(factor: int) -> None:
    small = some_light(90, 160) / light.SOFT
    fast = enlarged(small, factor)
    with plainly():
        np.testing.assert_array_equal(enlarged(small, factor), fast)


@pytest.mark.parametrize(("side", "kind"), [(3, np.float32), (71, np.float64)])
def test_a_blur_is_a_sum_of_whole_numbers(side: int, kind: type[np.floating[Any]]) -> None:
    whole = np.random.default_rng(2).integers(255**2 - 9, 255**2 + 1, (80, 90, 1))
    expected = whole.astype(object)
    for axis in (0, 1, 0, 1):
        padded = np.pad(expected, [(side // 2,) * 2 if a == axis else (0, 0) for a in range(3)])
        sums = np.cumsum(np.insert(padded, 0, 0, axis), axis)
        count = whole.shape[axis]
        expected = sums.take(range(side, side + count), axis) - sums.take(range(count), axis)
    np.testing.assert_array_equal(light._summed(whole.astype(kind), side), expected[..., 0])


def test_enlarging_is_interpolation_in_whole_numbers() -> None:
    some = some_light(16, 32) / light.SOFT
    roots = np.floor(np.sqrt(some) * 256).astype(int)
    for axis in (0, 1):
        edge = np.concatenate([roots.take([0], axis), roots, roots.take([-1], axis)], axis)
        before, here, after = (
            edge.take(np.arange(i, i + roots.shape[axis]), axis) for i in range(3)
        )
        phases = [3 * before + 5 * here, before + 7 * here, 7 * here + after, 5 * here + 3 * after]
        roots = np.stack(phases, axis + 1).reshape(
            [4 * n if a == axis else n for a, n in enumerate(roots.shape)]
        )
    expected = np.rint(roots / 2**14 + light._dither(128)[:64])
    np.testing.assert_array_equal(enlarged(some, 4), expected)


def test_a_slow_gradient_has_no_bands() -> None:
    levels = np.linspace(3.0, 5.0, 480)
    gradient = np.tile((levels**2).astype(np.float32)[None, :, None], (64, 1, 3))
    picture = enlarged(gradient, 4).astype(float)
    # Averaged over a tile of the dither it is as smooth as before it was rounded.
    tiles = picture[..., 0].reshape(4, 64, 30, 64).mean(axis=(1, 3))
    np.testing.assert_allclose(
        tiles, np.tile(levels.reshape(30, 16).mean(axis=1), (4, 1)), atol=0.1
    )
    assert set(np.unique(picture)) == {3.0, 4.0, 5.0}


@pytest.mark.parametrize(
    ("width", "height", "factor"),
    [
        (1920, 1080, 4),
        (3840, 2160, 8),
        (1080, 1920, 4),
        (854, 480, 2),
        (1440, 1080, 4),
        (101, 99, 1),
    ],
)
def test_light_is_computed_at_about_the_same_size(width: int, height: int, factor: int) -> None:
    assert light._factor(width, height) == factor


def test_pictures_of_all_sizes_have_the_same_light() -> None:
    full, small = (
        drawn(glow(square()), mirrored(plate()), size=SIZE | {"pixel_width": w, "pixel_height": h})
        for w, h in ((1920, 1080), (640, 360))
    )
    shrunk = cv2.resize(full.astype(np.uint8), (640, 360), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 1.5


# On the stage


class Lit(Stage):
    title = "Lit"

    def prepare(self) -> None:
        self.panel, self.word = plate(), square("#336699", 0.4).shift([2, 1, 0])
        self.camera.shot = ROOM

    @beat
    def only(self) -> None:
        """A word comes near."""
        self.add(self.panel, self.word)
        self.play(self.word.animate.shift(DOWN), run_time=0.3)


class LitPanel(Lit):
    def prepare(self) -> None:
        super().prepare()
        glow(mirrored(self.panel))


class LitWord(Lit):
    def prepare(self) -> None:
        super().prepare()
        glow(mirrored(self.word))


def frames(scene: type[Stage], settings: StageSettings) -> Picture:
    """Return the pictures of the beat of a scene."""
    taken: list[npt.NDArray[np.uint8]] = []

    def receiver_of_beat(beat: str, tail: bool) -> AbstractContextManager[FrameReceiver]:
        return nullcontext(lambda picture, repeat: taken.append(picture))

    with changed_config(QUIET | SMALL | {"frame_rate": 10}):
        scene(make_trace(), settings, receiver_of_beat=receiver_of_beat).render()
    return np.stack(taken).astype(int)


@pytest.mark.parametrize("scene", [LitPanel, LitWord])
def test_what_stands_still_and_what_moves_have_one_light(scene: type[Stage]) -> None:
    class Whole(scene):  # type: ignore[misc, valid-type]
        def get_moving_mobjects(self, *animations: Any) -> list[Mobject]:
            return list(self.mobjects)

    settings = StageSettings(calm=True)
    pictures = frames(scene, settings)
    np.testing.assert_array_equal(pictures, frames(Whole, settings))
    assert (pictures != frames(Lit, settings)).any()


@pytest.mark.parametrize(
    "settings",
    [
        StageSettings(theme="light"),
        StageSettings(theme="print"),
        StageSettings(transparent=True),
    ],
    ids=["light", "print", "transparent"],
)
def test_the_quiet_form_has_no_light(settings: StageSettings) -> None:
    settings = replace(settings, calm=True)
    np.testing.assert_array_equal(frames(LitPanel, settings), frames(Lit, settings))


def test_pages_have_no_light(tmp_path: Any) -> None:
    def page(scene: type[Stage]) -> bytes:
        pages = []

        def take(record: BeatRecord, stage: Stage) -> None:
            pages.append(draw_page(stage))

        with changed_config(QUIET | SMALL):
            scene(make_trace(), on_beat_end=take).render()
        return write_pages(pages, tmp_path / "page.pdf", title="Page").read_bytes()

    assert page(LitPanel) == page(Lit)


def test_marks_reach_all_parts_and_copies() -> None:
    group = glow(mirrored(Group(plate(), square())), 2.0)
    assert all(light.gives_light(member) for member in group.copy().get_family())
    assert not light.gives_light(Group(plate(), square()))
