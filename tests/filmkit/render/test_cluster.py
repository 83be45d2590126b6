"""Beats drawn by the workers of a Dask scheduler: the same pictures, whatever goes wrong."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Worker

from filmkit.commands import cli
from filmkit.render import cluster, cluster_worker, keys
from filmkit.render.jobs import make_films
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.traces import SHIPPED
from filmkit.render.workers import BeatTask
from scenes.registry import SCENES
from tests.support.dask_cluster import dask_cluster
from tests.support.filming import render_request
from tests.support.stand_in import BROKEN_THERE, NOISY, OTHER, SHAPES
from tests.support.traces import make_trace

SMALL = Quality(320, 180, 6)
RACK = tuple(entry for entry in SCENES if entry.slug == "scene_heads")


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two worker processes that can import the stand-in scenes."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as address:
        yield address


@pytest.fixture
def client(scheduler: str) -> Iterator[Client]:
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder, by relative path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# The pictures are the same


@pytest.mark.parametrize(
    ("jobs", "scenes", "options"),
    [
        pytest.param((1, 2), (SHAPES, OTHER), {}, marks=pytest.mark.slow),
        pytest.param(
            (1,),
            (SHAPES,),
            {"file_format": "png-sequence", "transparent": True},
            marks=pytest.mark.slow,
        ),
        ((1,), (SHAPES, OTHER), {"joined": True, "captions": "burn"}),
        pytest.param(
            (1,),
            RACK,
            {"trace_file": SHIPPED, "quality": SMALL, "beat": "along_the_heads"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["scenes", "pictures", "captioned film", "beat"],
)
def test_cluster_draws_what_processes_draw(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    jobs: tuple[int, ...],
    scenes: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    pools: list[dict[str, Any]] = [*({"jobs": count} for count in jobs), {"cluster": scheduler}]
    files = []
    for i, pool in enumerate(pools):
        folder = tmp_path / str(i)
        choices = {"cache": folder / "cache", "trace_file": trace_file, **options, **pool}
        assert make_films(render_request(scenes, out=folder / "out", **choices))
        files.append(contents(folder))
    assert any(name.startswith("out") for name in files[0])
    assert all(others == files[0] for others in files)


def test_cached_beats_are_not_drawn_again(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    request = render_request((SHAPES,), trace_file, out, cache=cache, file_format="gif")
    assert make_films(request)
    before = contents(tmp_path)
    segments = {*cache.rglob("*.mov")} - {*cache.rglob("*.master.mov")}
    assert len(segments) == 6
    for segment in segments:
        segment.unlink()
    monkeypatch.setattr(cluster, "portable_draw", None)
    assert make_films(replace(request, cluster=scheduler))
    assert contents(tmp_path) == before


# Failures


def process_and_folder(dask_worker: Worker) -> tuple[int, str]:
    """Return the process id and the folder of a worker."""
    return os.getpid(), dask_worker.local_directory


def die_while_drawing(mark: str) -> None:
    """Let this worker be killed when it has drawn a frame, and leave a mark."""

    def die() -> None:
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(cluster_worker, "_is_cancelled", die)  # noqa: B010


@pytest.mark.slow
def test_beat_of_a_killed_worker_is_drawn_by_another(trace_file: Path, tmp_path: Path) -> None:
    """In a cluster of its own: Dask does not always bring a lost worker back."""
    mark = tmp_path / "killed"
    with dask_cluster(tmp_path / "dask") as scheduler:
        with Client(scheduler, set_as_default=False) as client:
            client.wait_for_workers(2)
            first, _ = client.nthreads()
            client.run(die_while_drawing, str(mark), workers=[first])
        request = render_request((SHAPES,), trace_file, tmp_path / "one", cluster=scheduler)
        assert make_films(request)
        assert mark.exists()
        assert make_films(replace(request, out=tmp_path / "two"))
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def pretend(numpy: str | None) -> None:
    """Let this process have another version of NumPy; the real one if None."""
    keys.version = lambda name: numpy if numpy and name == "numpy" else version(name)


@pytest.fixture
def old_numpy(client: Client) -> Iterator[Callable[[list[str]], None]]:
    """Function that lets some workers have another version of NumPy until the test ends."""
    yield lambda workers: client.run(pretend, "0.1", workers=workers)
    client.run(pretend, None)


def test_worker_of_another_version_is_refused_and_the_others_go_on(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    old_numpy: Callable[[list[str]], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second = client.nthreads()
    old_numpy([first])
    request = render_request((SHAPES,), trace_file, tmp_path, cluster=scheduler, quiet=False)
    assert make_films(request)
    lines = [line for line in capfd.readouterr().err.splitlines() if "refused" in line]
    (line,) = lines
    assert line.startswith(f"worker {first} is refused: it would draw something else: bring ")
    old_numpy([second])
    with pytest.raises(cluster.RenderError, match=rf"no worker can draw: .*{second}"):
        make_films(replace(request, scenes=(SHAPES, OTHER)))


def test_part_that_fails_three_times_is_reported_and_the_other_films_are_made(
    client: Client, scheduler: str, trace_file: Path, tmp_path: Path, capfd: Any
) -> None:
    request = render_request((BROKEN_THERE, SHAPES), trace_file, tmp_path, cluster=scheduler)
    assert not make_films(replace(request, verbose=True))
    said = capfd.readouterr().err
    (line,) = [line for line in said.splitlines() if line.startswith("Error")]
    assert re.match(
        r"Error: scene_broken_there: stand_in\.py line \d+, in beat travel: "
        r"RuntimeError: only when drawn by Dask; mend it there .* \(tried 3 times\)$",
        line,
    )
    assert "Traceback" in said
    assert [name for name in contents(tmp_path) if name.endswith(".mp4")] == ["scene_shapes.mp4"]


def test_full_disk_here_is_one_line(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    full_disk: None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    request = render_request((NOISY,), trace_file, tmp_path / "out", cache=tmp_path / "cache")
    assert not make_films(replace(request, quality=QUALITIES["hd"], cluster=scheduler))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"Error: scene_noisy: cannot write {tmp_path}/out/scene_noisy.mp4: ")
    assert not [name for name in contents(tmp_path) if name.endswith((".mov", ".mp4", ".part"))]


@pytest.mark.parametrize("listens", [False, True])
def test_no_scheduler_is_one_line(
    listens: bool, trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody takes connections, and never answers."""
    assert cluster.CONNECT_SECONDS < 20
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with socket.socket() as deaf:
        # Nobody else can listen there.
        deaf.bind(("127.0.0.1", 0))
        if listens:
            deaf.listen()
        address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(cluster.RenderError, match=f"no Dask scheduler answers at {address}"):
            make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=address))
        assert time.monotonic() - start < 10


def test_no_worker_is_one_line(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WORKERLESS_SECONDS", 0.5)
    with (
        dask_cluster(tmp_path, workers=0) as empty,
        pytest.raises(cluster.RenderError, match=r"there is no worker at .* dask worker"),
    ):
        make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=empty))


def test_missing_extra_is_named(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for module in ("cluster", "cluster_worker"):
        monkeypatch.delitem(sys.modules, f"filmkit.render.{module}")
    with pytest.raises(cluster.RenderError, match=r"pip install -e '\.\[cluster\]'"):
        make_films(render_request((SHAPES,), trace_file, tmp_path, cluster="tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "tcp://host", "http://host:1", "tcp://:1"])
def test_malformed_address_is_a_usage_error(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["scene_heads", "--cluster", address])
    assert stop.value.code == 2
    assert "write it as tcp://HOST:PORT" in capfd.readouterr().err


@pytest.mark.slow
def test_interrupt_cancels_unfinished_beats(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = [Path(folder) for _, folder in client.run(process_and_folder).values()]
    follow = cluster.ClusterWorkerPool._follow

    def press_ctrl_c(frames: int) -> None:
        signal.raise_signal(signal.SIGINT)

    def follow_until_frames_are_drawn(
        pool: cluster.ClusterWorkerPool, task: BeatTask, progress: object
    ) -> None:
        follow(pool, task, press_ctrl_c)

    monkeypatch.setattr(cluster.ClusterWorkerPool, "_follow", follow_until_frames_are_drawn)
    request = render_request(
        (SHAPES, OTHER), trace_file, tmp_path / "out", cache=tmp_path / "cache"
    )
    with pytest.raises(KeyboardInterrupt):
        make_films(replace(request, quality=QUALITIES["4k"], cluster=scheduler))
    deadline = time.monotonic() + 300
    while any(file for folder in folders for file in folder.rglob(".*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not contents(tmp_path / "out")
    assert not [name for name in contents(tmp_path) if name.endswith(".part")]
