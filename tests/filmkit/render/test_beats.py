"""Beats rendered alone, from the cache, or by several processes always give the same pictures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from extract.trace import Trace
from filmkit.core.renderer import FrameReceiver
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import beat
from filmkit.core.stage_settings import StageSettings
from filmkit.render.cache import is_sealed
from filmkit.render.errors import RenderError
from filmkit.render.jobs import make_films
from filmkit.render.movie import MASTER, Pixels, open_movie, read_master
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import manim_config
from filmkit.render.traces import SHIPPED
from scenes.registry import SCENES
from tests.support.calling import RENDER, call
from tests.support.filming import render_request, segments
from tests.support.performance import noting_time_updaters
from tests.support.stand_in import BROKEN, OTHER, SHAPES, Shapes
from tests.support.traces import make_trace

TINY = Quality(160, 90, 2)


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


def drawn(scene: SceneEntry, trace: Trace, remainder: int, step: int) -> dict[str, list[str]]:
    """Draw every ``step``-th beat and run the others without drawing; return hashes of frames."""
    names = scene.load().beat_names(trace)
    frames: dict[str, list[str]] = {name: [] for name in names[remainder::step]}

    @contextmanager
    def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
        def take(picture: Pixels, repeat: int) -> None:
            frames[beat] += [sha256(picture.tobytes()).hexdigest()] * repeat

        yield take if beat in frames else None

    # Without the drift of tails, which takes most of the time to draw.
    scene.load()(trace, StageSettings(calm=True), receiver_of_beat=receiver_of_beat).render()
    return frames


@pytest.mark.parametrize(
    ("scene", "frame_rate"),
    [
        pytest.param(SHAPES, 6, id=SHAPES.slug),  # it is short
        *(pytest.param(scene, 2, id=scene.slug, marks=pytest.mark.slow) for scene in SCENES),
    ],
)
def test_beats_do_not_depend_on_whether_others_are_drawn(
    scene: SceneEntry, frame_rate: int
) -> None:
    trace = Trace.load(SHIPPED)
    with manim_config(replace(TINY, frame_rate=frame_rate)):
        whole = drawn(scene, trace, 0, 1)
        parts = drawn(scene, trace, 0, 2) | drawn(scene, trace, 1, 2)
    assert sum(map(len, whole.values())) > 30
    assert [name for name in whole if whole[name] != parts[name]] == []


class Ticking(Shapes):
    """Rotates its square by the clock, which no scene may do."""

    @beat
    def travel(self) -> None:
        self.square.add_updater(lambda square, dt: square.rotate(dt))
        self.hold(0.2)


def test_time_based_updaters_are_found() -> None:
    with noting_time_updaters() as owners:
        Ticking.rehearse(make_trace())
    assert "Square" in owners


def test_master_returns_every_frame_unchanged(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 108, 192, 4), np.uint8)
    holds = [1, 7, 1, 2, 4]
    path = tmp_path / "master.mov"
    with open_movie(path, Quality(192, 108, 30), MASTER) as movie:
        for picture, repeat in zip(noise, holds, strict=True):
            movie.write(picture, repeat)
    decoded = [picture for picture, repeat in read_master(path, 30) for _ in range(repeat)]
    assert np.array_equal(decoded, np.repeat(noise[..., :3], holds, axis=0))


def test_a_master_does_not_tell_how_its_pictures_were_given(tmp_path: Path) -> None:
    first, second = np.random.default_rng(0).integers(0, 256, (2, 108, 192, 3), np.uint8)
    files = tmp_path / "held.mov", tmp_path / "single.mov"
    held = [(first, 3), (second, 1), (first, 2)]
    single = [(picture, 1) for picture, repeat in held for _ in range(repeat)]
    for path, pieces in zip(files, (held, single), strict=True):
        with open_movie(path, Quality(192, 108, 30), MASTER) as movie:
            for picture, repeat in pieces:
                movie.write(picture.copy(), repeat)
    assert files[0].read_bytes() == files[1].read_bytes()
    read = [(picture.tolist(), repeat) for picture, repeat in read_master(files[0], 30)]
    assert read == [(picture.tolist(), repeat) for picture, repeat in held]


def test_frames_are_kept_without_loss_for_other_formats_alone(
    trace_file: Path, tmp_path: Path
) -> None:
    def made(file_format: str, cache: Path) -> tuple[bytes, dict[Path, int]]:
        out = cache / file_format
        request = render_request((SHAPES,), trace_file, out, cache=cache, file_format=file_format)
        assert make_films(request)
        (film,) = out.glob(f"*.{file_format}")
        return film.read_bytes(), {p: p.stat().st_ino for p in cache.rglob("*.master.mov")}

    cache = tmp_path / "cache"
    assert made("mp4", cache)[1] == {}
    assert len(segments(cache)) == 6
    masters = made("webm", cache)[1]
    assert len(masters) == 6
    gif, after = made("gif", cache)
    assert after == masters, "it is made of what is there"
    assert gif == made("gif", tmp_path / "other")[0], "as if it had been drawn"


@pytest.mark.parametrize(
    "scenes",
    [
        pytest.param(SCENES[:1], id=SCENES[0].slug),
        # By one request: starting processes takes longer than drawing so small.
        pytest.param(SCENES[1:], id="the others", marks=pytest.mark.slow),
    ],
)
def test_films_from_the_cache_are_the_same_and_draw_nothing(
    scenes: tuple[SceneEntry, ...], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    films = []
    for out in (tmp_path / "cold", tmp_path / "warm"):
        cached = {path: path.stat().st_ino for path in cache.rglob("*.*")}
        request = render_request(scenes, SHIPPED, out, cache=cache, quality=TINY, calm=True)
        assert make_films(request)
        films.append([(out / f"{scene.slug}.mp4").read_bytes() for scene in scenes])
    trace = Trace.load(SHIPPED)
    n_beats = sum(len(scene.load().beat_names(trace)) for scene in scenes)
    assert len(segments(cache)) == 2 * n_beats, "its own animations, and its tail"
    assert {path: path.stat().st_ino for path in cache.rglob("*.*")} == cached
    assert films[0] == films[1]


def test_films_do_not_depend_on_the_number_of_processes(trace_file: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        assert make_films(render_request((SHAPES, OTHER), trace_file, out, jobs=jobs))
    for slug in ("scene_shapes", "scene_other"):
        one, two = (tmp_path / jobs / f"{slug}.mp4" for jobs in ("1", "2"))
        assert one.read_bytes() == two.read_bytes()


def test_each_core_has_a_process(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(
        function: str, shared: object, calls: Sized, request: RenderRequest, *, fork: bool
    ) -> NoReturn:
        raise RenderError(f"{request.processes} processes")

    monkeypatch.setattr("filmkit.render.workers.Pool", start)
    monkeypatch.setattr("filmkit.render.request.core_count", lambda: 4)
    with pytest.raises(RenderError, match="4 processes"):
        make_films(render_request((SHAPES,), trace_file, tmp_path, jobs=None))


def test_beat_alone_is_its_part_of_the_film(trace_file: Path, tmp_path: Path) -> None:
    request = render_request((SHAPES,), trace_file, tmp_path, file_format="png-sequence")
    assert make_films(request)
    assert make_films(replace(request, beat="travel"))
    whole, alone = (
        np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
        for folder in (tmp_path / "scene_shapes_frames", tmp_path / "scene_shapes/02_travel_frames")
    )
    # At 10 frames a second it is on screen from 2.2 s to 3.8 s. In the film the notes at the top
    # are shown for the first four seconds, here they come in again.
    assert np.array_equal(alone[:, 20:], whole[22:38, 20:])
    assert not np.array_equal(alone[0, :20], whole[22, :20])


def test_mistake_while_drawing_names_scene_beat_and_line(
    trace_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not make_films(render_request((BROKEN, SHAPES), trace_file, tmp_path, jobs=2))
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(
        r"Error: scene_broken: stand_in\.py line \d+, in beat travel: "
        r"RuntimeError: only when drawn; mend it there \(--verbose shows the way\)",
        line,
    )
    films = [f"scene_shapes.{suffix}" for suffix in ("mp4", "srt", "vtt")]
    assert sorted(path.name for path in tmp_path.iterdir()) == films


UNFINISHED = """
import os
import time

from manim import Circle, Square

from filmkit import Stage, beat


class Mine(Stage):
    @beat
    def one(self):
        self.add(Square())
        self.wait(0.2)

    @beat
    def two(self):
        self.add(Circle())
        self.wait(0.2)
        # A run in another session never comes to an end.
        while self.renderer.receiver and os.getsid(0) != {session}:
            time.sleep(0.05)
"""


@pytest.mark.slow
def test_killed_run_leaves_only_complete_files(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(UNFINISHED.format(session=os.getsid(0)))
    arguments = ("mine.py", "--quality", "draft", "--jobs", "1", "--quiet")
    cache = tmp_path / "cache"

    def finished() -> dict[Path, int]:
        return {path: inode for path, inode in segments(cache).items() if is_sealed(path)}

    def wait_until(reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 300
        while not reached():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    killed = subprocess.Popen(
        [*RENDER, *arguments],
        cwd=tmp_path,
        env=os.environ | {"ATTENTION_FILM_CACHE": str(cache)},
        start_new_session=True,
    )
    # Of each beat its own animations and its tail.
    wait_until(lambda: len(finished()) == 2 and any(cache.rglob(".*.part")))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    # The worker process notices that its parent is gone, and removes the unfinished file.
    wait_until(lambda: not any(cache.rglob(".*.part")))
    complete = finished()
    assert len(complete) == 2
    films = []
    for options in ((), ("--no-cache",)):
        assert call(*arguments, *options, folder=tmp_path).returncode == 0
        films.append((tmp_path / "videos" / "mine.mp4").read_bytes())
        assert complete.items() <= finished().items()
        assert len(finished()) == 4
    assert films[0] == films[1]
