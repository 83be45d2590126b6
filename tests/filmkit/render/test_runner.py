"""The render engine: exact timing, films and stills, and no other files."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from manim import Scene, Square, UpdateFromAlphaFunc, config, linear
from manim.mobject.opengl.opengl_compatibility import ConvertToOpenGL
from PIL import Image

from extract.trace import Trace
from filmkit.core.camera import StageCamera
from filmkit.core.renderer import FilmRenderer
from filmkit.render.manim_config import changed_config
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import manim_config, rehearse, render_stills
from tests.support.filming import film, pictures
from tests.support.stand_in import INTERRUPTED, LENGTHS, OWN_LENGTHS, SHAPES
from tests.support.traces import make_trace

DRAFT = RenderRequest(quality=QUALITIES["draft"])
SECONDS = sum(LENGTHS)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


@pytest.mark.parametrize(
    "frame_rate", [*(pytest.param(rate, marks=pytest.mark.slow) for rate in (15, 30)), 7]
)
def test_film_is_as_long_as_its_rehearsal(trace: Trace, tmp_path: Path, frame_rate: int) -> None:
    quality = Quality(854, 480, frame_rate)
    path = film(SHAPES, trace, tmp_path, quality)
    rehearsal = rehearse(SHAPES, trace, RenderRequest(quality=quality))
    assert rehearsal.duration == pytest.approx(SECONDS)
    frames = len(pictures(path))
    assert frames == sum(record.frames(quality.frame_rate) for record in rehearsal.beats)
    # A beat is a whole number of frames, at frame rates that 5 divides: no longer than it says.
    late = frames / frame_rate - SECONDS
    assert 0 <= late + 1e-9 < (1e-6 if frame_rate % 5 == 0 else 3 / frame_rate)


def test_beats_start_where_the_previous_one_ends(trace: Trace) -> None:
    beats = rehearse(SHAPES, trace, DRAFT).beats
    assert [record.name for record in beats] == ["appear", "travel", "rest"]
    assert [record.end for record in beats] == pytest.approx(list(accumulate(LENGTHS)))
    assert [record.tail - record.start for record in beats] == pytest.approx(OWN_LENGTHS)
    assert [record.start for record in beats[1:]] == [record.end for record in beats[:-1]]
    assert beats[0].narration == f"A square for {trace.meta.model}."


@pytest.mark.slow
def test_every_frame_shows_its_own_time(trace: Trace, tmp_path: Path) -> None:
    """At twice the frame rate, every second frame is the same picture."""
    slow = pictures(film(SHAPES, trace, tmp_path / "slow", Quality(854, 480, 15)))
    fast = pictures(film(SHAPES, trace, tmp_path / "fast", Quality(854, 480, 30)))
    difference = np.abs(slow - fast[::2][: len(slow)]).mean(axis=(1, 2, 3))
    shift = np.abs(slow - fast[1::2][: len(slow)]).mean(axis=(1, 2, 3))
    assert difference.max() < 1
    assert shift.max() > 2


class Moments(Scene):
    """Records the progress of two animations at each frame, then moves a square."""

    def construct(self) -> None:
        self.square = Square()
        self.alphas: list[float] = []
        for run_time in (0.25, 0.5):
            note = UpdateFromAlphaFunc(self.square, self.note, rate_func=linear)
            self.play(note, run_time=run_time)
        self.play(self.square.animate.move_to([2, 0, 0]), run_time=0.25)

    def note(self, square: Square, alpha: float) -> None:
        self.alphas.append(alpha)


def test_animations_are_sampled_on_the_films_clock() -> None:
    pictures: list[int] = []
    with changed_config({"frame_rate": 10}):
        scene = Moments(renderer=FilmRenderer(StageCamera))
        scene.renderer.receiver = lambda picture, n: pictures.append(n)
        scene.render()
    # The first animation has frames at 0, 0.1 and 0.2 s. The second one starts at 0.25 s and has
    # frames at 0.3 ... 0.7 s. Each is also evaluated at its start and at its end.
    first, second = [0, 0, 0.4, 0.8, 1], [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]
    assert scene.alphas == pytest.approx(first + second)
    assert sum(pictures) == 10
    assert scene.time == pytest.approx(1.0)
    assert scene.square.get_center() == pytest.approx([2, 0, 0])


def test_still_is_the_last_frame_of_the_beat(trace: Trace, tmp_path: Path) -> None:
    with manim_config(DRAFT.quality):
        stills = render_stills(
            SHAPES,
            trace=trace,
            request=replace(DRAFT, out=tmp_path),
            beats=["rest", "appear"],
            progress=lambda count: None,
        )
    assert stills == [
        tmp_path / "scene_shapes" / "01_appear.png",
        tmp_path / "scene_shapes" / "03_rest.png",
    ]
    whole = pictures(film(SHAPES, trace, tmp_path, DRAFT.quality))
    end = np.asarray(Image.open(stills[1]), dtype=int)
    assert end.shape == (480, 854, 3)
    assert np.abs(end - whole[-1]).mean() < 1
    assert np.abs(end - whole[0]).mean() > 5


def test_stills_of_former_beats_are_removed_and_nothing_else(trace: Trace, tmp_path: Path) -> None:
    folder = tmp_path / "scene_shapes"
    folder.mkdir()
    former = {"02_former.png": "", "02_former.svg": "", "02_former.json": '{"schema": 2}'}
    own = {"notes.png": "", "03_mine.png": "", "04_mine.json": "[]", "notes.json": '{"schema": 2}'}
    for name, text in (former | own).items():
        (folder / name).write_text(text)

    def make(*beats: str) -> set[str]:
        with manim_config(DRAFT.quality):
            render_stills(
                SHAPES,
                trace=trace,
                request=replace(DRAFT, out=tmp_path),
                beats=beats,
                progress=lambda count: None,
            )
        return {path.name for path in folder.iterdir()}

    # One still says nothing of the others.
    assert former.keys() | own.keys() < make("appear")
    names = make(*SHAPES.load().beat_names(trace))
    assert own.keys() < names
    assert not former.keys() & names


def test_run_ends_with_the_last_wanted_still(trace: Trace, tmp_path: Path) -> None:
    with manim_config(DRAFT.quality):
        stills = render_stills(
            INTERRUPTED,
            trace=trace,
            request=replace(DRAFT, out=tmp_path),
            beats=["appear"],
            progress=lambda count: None,
        )
    assert len(stills) == 1


def test_only_the_film_is_written(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = film(SHAPES, trace, Path("here"), DRAFT.quality)
    beside = {path.with_suffix(suffix) for suffix in (".srt", ".vtt")}
    assert {file for file in Path().rglob("*") if file.is_file()} == {path, *beside}


def test_scenes_in_one_run_do_not_disturb_each_other(trace: Trace, tmp_path: Path) -> None:
    first = film(SHAPES, trace, tmp_path / "first", DRAFT.quality)
    second = film(SHAPES, trace, tmp_path / "second", DRAFT.quality)
    assert first.read_bytes() == second.read_bytes()


def test_manim_config_is_restored() -> None:
    before = dict(config)
    with manim_config(QUALITIES["4k"]):
        assert config.pixel_width == 3840
        assert config.frame_width == pytest.approx(8 * 16 / 9)
        scratch = Path(config.media_dir)
        assert scratch.is_dir()
        config.background_color = "#ff0000"
        config.dry_run = True
    assert dict(config) == before
    assert not scratch.exists()


def test_to_change_settings_leaves_mobject_classes_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each would lose what Python has looked up in it, and looking it up again takes time."""
    with manim_config(DRAFT.quality):
        pass  # reads Manim's own settings, once
    monkeypatch.setattr(ConvertToOpenGL, "_converted_classes", None)
    with manim_config(DRAFT.quality), changed_config({"frame_rate": 10}):
        assert config.frame_rate == 10


def test_qualities_have_the_documented_sizes() -> None:
    assert {name: (q.width, q.height, q.frame_rate) for name, q in QUALITIES.items()} == {
        "draft": (854, 480, 15),
        "hd": (1280, 720, 30),
        "fullhd": (1920, 1080, 30),
        "4k": (3840, 2160, 30),
    }
