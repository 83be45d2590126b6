"""What is in the cache is what its key says, and what is not of the cache is never touched."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.render import jobs
from filmkit.render.cache import LIMIT_VARIABLE
from filmkit.render.jobs import make_films
from filmkit.render.preview import make_previews
from filmkit.render.request import RenderRequest
from filmkit.render.workers import LocalWorkerPool, RenderJob
from tests.support.checkout import PROJECT, run_python
from tests.support.filming import render_request, segments
from tests.support.stand_in import FEATURED, SHAPES
from tests.support.traces import make_trace

SCENE = """
from manim import Square
from filmkit import Stage, beat

class Mine(Stage):
    @beat
    def one(self):
        '''One.'''
        self.add(Square())
        self.wait(0.5)

    @beat
    def two(self):
        '''Two.'''
        from beside import SECONDS
        self.add(Square(side_length=SECONDS))
        self.wait(SECONDS)
"""


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    path = tmp_path / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene of the user's own, with a module beside it that is imported only while it runs."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "beside.py").write_text("SECONDS = 0.5\n")
    (folder / "mine.py").write_text(SCENE)
    return folder / "mine.py"


@pytest.fixture
def request_of_mine(scene: Path, trace_file: Path, tmp_path: Path) -> RenderRequest:
    entry = SceneEntry("mine", "Mine", "mine_of_the_user", "Mine", file=scene)
    return render_request((entry,), trace_file, tmp_path / "out", cache=tmp_path / "cache")


# An edit while a run goes on


def edit_before_the_pool(monkeypatch: pytest.MonkeyPatch, edit: Callable[[], object]) -> None:
    """Edit something after the cache keys were made, and before the processes load it."""

    def start(job: RenderJob, **options: bool) -> LocalWorkerPool:
        edit()
        return LocalWorkerPool(job, **options)

    monkeypatch.setattr(jobs, "LocalWorkerPool", start)


@pytest.mark.parametrize("edited", [pytest.param("mine.py", marks=pytest.mark.slow), "beside.py"])
def test_an_edit_before_the_processes_load_code_makes_no_film_of_both(
    edited: str,
    request_of_mine: RenderRequest,
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = scene.with_name(edited)
    edit_before_the_pool(
        monkeypatch, lambda: file.write_text(file.read_text().replace("0.5", "0.7"))
    )
    assert not make_films(request_of_mine)
    assert capfd.readouterr().err == (
        "Error: mine: the code or data of a scene was edited while this run started; run it again\n"
    )
    assert not (tmp_path / "out" / "mine.mp4").exists()
    # What it has stored nevertheless is what is drawn now.
    monkeypatch.undo()
    assert make_films(request_of_mine)
    assert make_films(replace(request_of_mine, cache=tmp_path / "other", out=tmp_path / "fresh"))
    films = [(tmp_path / name / "mine.mp4").read_bytes() for name in ("out", "fresh")]
    assert films[0] == films[1]


def test_a_trace_that_is_exchanged_before_the_processes_load_it(
    request_of_mine: RenderRequest,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    edit_before_the_pool(monkeypatch, lambda: make_trace(seed=1).save(trace_file))
    assert not make_films(replace(request_of_mine, scenes=(FEATURED,)))
    assert "the code or data of a scene was edited" in capfd.readouterr().err
    assert not segments(tmp_path)


@pytest.mark.slow
def test_an_edit_while_beats_are_drawn_changes_the_next_run_alone(
    request_of_mine: RenderRequest,
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert make_films(replace(request_of_mine, cache=tmp_path / "other", out=tmp_path / "before"))
    beside = scene.with_name("beside.py")

    class Editing(LocalWorkerPool):
        def wait(self, task, progress) -> None:  # type: ignore[no-untyped-def]
            super().wait(task, progress)
            beside.write_text("SECONDS = 0.9\n")

    monkeypatch.setattr(jobs, "LocalWorkerPool", Editing)
    assert make_films(request_of_mine)
    film = tmp_path / "out" / "mine.mp4"
    assert film.read_bytes() == (tmp_path / "before" / "mine.mp4").read_bytes()
    assert make_films(request_of_mine)
    after = film.read_bytes()
    assert make_films(replace(request_of_mine, keep_cache=False))
    assert film.read_bytes() == after


# Damage


def flip_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 2, len(content) // 2 + 4):
        content[position] ^= 0xFF
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def exchange(*paths: Path) -> None:
    first, second = (path.read_bytes() for path in paths[:2])
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)


FAST = {(flip_bytes, "mp4"), (replace_by_folder, "mp4"), (empty, "rehearsal.json")}
DAMAGES = [
    pytest.param(
        damage,
        kind,
        id=f"{damage.__name__} {kind}",
        marks=[] if (damage, kind) in FAST else [pytest.mark.slow],
    )
    for damage in (flip_bytes, cut_short, empty, replace_by_folder, exchange)
    for kind in ("master.mov", "mp4", "rehearsal.json")
    # A run of one scene has one rehearsal: there is none to exchange it with.
    if damage is not exchange or not kind.endswith(".json")
]


@pytest.mark.parametrize(("damage", "kind"), DAMAGES)
def test_damage_is_noticed_said_and_mended(
    damage: Callable[..., None],
    kind: str,
    trace_file: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    request = render_request((SHAPES,), trace_file, tmp_path / "out", cache=tmp_path / "cache")
    film_format = "mp4" if kind != "master.mov" else "gif"
    request = replace(request, quiet=False, file_format=film_format)
    assert make_films(request)
    film = tmp_path / "out" / f"scene_shapes.{film_format}"
    before = film.read_bytes()
    files = sorted((tmp_path / "cache").rglob(f"*.{kind}"))
    whole = [path.read_bytes() for path in files]
    if damage is exchange:
        exchange(*files)
    else:
        for path in files:
            damage(path)
    if kind == "master.mov":
        for path in (tmp_path / "cache").rglob("*qtrle*.mov"):
            path.unlink()
    film.unlink()
    capfd.readouterr()
    assert make_films(request)
    assert film.read_bytes() == before
    assert [path.read_bytes() for path in files] == whole
    assert capfd.readouterr().err.count("the cache holds damaged files; they are made again") == 1


def test_damaged_pictures_of_a_contact_sheet_are_drawn_again(
    trace_file: Path, tmp_path: Path
) -> None:
    request = render_request((SHAPES,), trace_file, tmp_path / "out", cache=tmp_path / "cache")
    assert make_previews(request)
    sheet = tmp_path / "out" / "scene_shapes.preview.png"
    before = sheet.read_bytes()
    for path in (tmp_path / "cache").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:100])
    assert make_previews(request)
    assert sheet.read_bytes() == before


# The user's own files


def run_in(folder: Path, *arguments: str, limit: str = "10") -> subprocess.CompletedProcess[str]:
    os.environ[LIMIT_VARIABLE] = limit
    try:
        return run_python(folder, str(PROJECT / "render.py"), *arguments)
    finally:
        del os.environ[LIMIT_VARIABLE]


def test_files_in_a_folder_that_is_named_as_the_cache_stay(
    request_of_mine: RenderRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "movies"
    folder.mkdir()
    holiday = folder / "holiday.mp4"
    holiday.write_bytes(bytes(10**6))
    os.utime(holiday, (0, 0))
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert make_films(replace(request_of_mine, cache=folder))
    assert holiday.exists()
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert run_in(tmp_path, "cache", "--cache", "movies", "--clear").returncode == 0
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["holiday.mp4"]


def test_a_folder_that_is_no_cache_is_not_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "movies" / "attention-film"
    folder.mkdir(parents=True)
    (folder / f"{'0' * 64}.mov").touch()
    done = run_in(tmp_path, "cache", "--cache", "movies", "--clear")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("nothing was removed: name another folder")
    assert [*folder.iterdir()]


@pytest.mark.parametrize("arguments", [("cache", "--clear"), ("scene_mla",)])
def test_the_current_folder_is_not_taken_for_no_folder(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = run_in(tmp_path, *arguments, "--cache", "")
    assert done.returncode == 2
    assert "is empty; name a folder" in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", "much", "1e400"])
def test_a_limit_that_is_no_number_is_one_line(limit: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "cache", limit=limit)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {LIMIT_VARIABLE} is '{limit}', which")


def test_the_limit_is_kept_during_a_run(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masters go first: once there is a segment, nothing of the run needs its master."""
    out, cache = tmp_path / "out", tmp_path / "cache"
    request = render_request((SHAPES,), trace_file, out, cache=cache, file_format="gif")
    assert make_films(request)
    sizes = {path: path.stat().st_size for path in cache.rglob("*.mov")}
    masters = {path: size for path, size in sizes.items() if ".master." in path.name}
    limit = sum(sizes.values()) - sum(masters.values()) + max(masters.values())
    monkeypatch.setenv(LIMIT_VARIABLE, str(limit / 1e9))
    most = 0
    keep_limit = jobs._keep_limit

    def measure(*run: Any) -> None:
        nonlocal most
        # What is drawn meanwhile is for the next time.
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGSTOP)
        keep_limit(*run)
        most = max(most, sum(run[0].sizes().values()))
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGCONT)

    monkeypatch.setattr(jobs, "_keep_limit", measure)
    # Another theme: all of its files are new, and those of the first film are in the way.
    assert make_films(replace(request, settings=replace(request.settings, theme="light")))
    assert 0 < most <= limit + 2 * max(masters.values()), "a part of this film has both"


# Two runs, and runs that were killed


@pytest.mark.slow
def test_what_a_killed_run_left_is_swept(scene: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own = scratch / "attention-film-notes"
    own.mkdir()
    arguments = [str(PROJECT / "render.py"), "mine/mine.py", "--quality", "4k", "--jobs", "1"]
    environment = os.environ | {"TMPDIR": str(scratch), "ATTENTION_FILM_CACHE": "kept"}

    def run(*more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments, *more],
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )

    def left() -> list[Path]:
        return [*scratch.glob("attention-film-*/.lock"), *tmp_path.rglob(".*.part")]

    # Frames that differ: it takes long enough to draw them that a file is seen before it is whole.
    moves = "self.play(self.mobjects[0].animate.shift([1, 0, 0]), run_time=30)"
    scene.write_text(SCENE.replace("self.wait(0.5)", moves))
    killed = run()
    while not any(tmp_path.rglob("*.mp4.*.part")):
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert left()
    scene.write_text(SCENE)
    assert run("--quality", "draft").wait() == 0
    assert not left()
    assert own.exists()
