"""Beats drawn by the workers of a Dask scheduler: the same pictures, whatever happens to them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, Worker

from filmkit.commands import cli
from filmkit.render import cluster, keys
from filmkit.render.jobs import make_films
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.traces import SHIPPED
from scenes.registry import SCENES
from tests.support.checkout import PROJECT
from tests.support.filming import render_request
from tests.support.stand_in import BROKEN, NOISY, SHAPES, entry
from tests.support.traces import make_trace

OTHER = entry("scene_other", "Shapes")
SMALL = Quality(320, 180, 6)


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two worker processes, which know the stand-in scenes."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(PROJECT))
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=":0",
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as local:
            yield local.scheduler_address


@pytest.fixture
def client(scheduler: str) -> Iterator[Client]:
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# The same pictures


@pytest.mark.parametrize(
    ("jobs", "scenes", "options"),
    [
        ((1, 2), (SHAPES, OTHER), {}),
        ((1,), (SHAPES,), {"form": "png-sequence", "transparent": True}),
        ((1,), (SHAPES, OTHER), {"joined": True, "captions": "burn"}),
        ((1,), SCENES[1:2], {"trace": SHIPPED, "quality": SMALL, "beat": "side_by_side"}),
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
    ways: list[dict[str, Any]] = [*({"jobs": count} for count in jobs), {"cluster": scheduler}]
    made = []
    for i, way in enumerate(ways):
        here = tmp_path / str(i)
        wanted = render_request(scenes, trace_file, here / "out", cache=here / "kept")
        assert make_films(replace(wanted, **options, **way))
        made.append(contents(here))
    assert any(name.startswith("out") for name in made[0])
    assert all(found == made[0] for found in made)


def test_trace_goes_to_each_worker_once(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=scheduler))
    monkeypatch.setattr(cluster, "_keep_trace", None)
    assert make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=scheduler))


def test_what_is_at_hand_is_not_drawn_again(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = render_request((SHAPES,), trace_file, tmp_path / "out", cache=tmp_path / "kept")
    assert make_films(wanted)
    before = contents(tmp_path)
    for piece in (tmp_path / "kept").glob("*.mp4"):
        piece.unlink()
    monkeypatch.setattr(cluster, "_draw", None)
    assert make_films(replace(wanted, cluster=scheduler))
    assert contents(tmp_path) == before


# What goes wrong


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def place(dask_worker: Worker) -> tuple[int, str]:
    return os.getpid(), dask_worker.local_directory


def test_beat_of_a_killed_worker_is_drawn_by_another(
    client: Client, scheduler: str, trace_file: Path, tmp_path: Path
) -> None:
    wanted = render_request(
        (SHAPES,), trace_file, tmp_path / "one", quality=QUALITIES["hd"], cluster=scheduler
    )
    pid, folder = next(iter(client.run(place).values()))
    killed = threading.Event()

    def kill_in_the_middle() -> None:
        while not any(Path(folder).rglob(".*.part")):
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        killed.set()

    threading.Thread(target=kill_in_the_middle, daemon=True).start()
    assert make_films(wanted)
    assert killed.is_set()
    assert make_films(replace(wanted, out=tmp_path / "two"))
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def pretend(numpy: str | None) -> None:
    """Let this process believe that it has another version of NumPy, or what it has."""
    keys.version = lambda name: numpy if numpy and name == "numpy" else version(name)


@pytest.fixture
def old_numpy(client: Client) -> Iterator[Callable[[list[str]], None]]:
    """Gives some workers another version, until the test ends."""
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
    first, second = client.scheduler_info()["workers"]
    old_numpy([first])
    wanted = render_request((SHAPES,), trace_file, tmp_path, cluster=scheduler, quiet=False)
    assert make_films(wanted)
    lines = [line for line in capfd.readouterr().err.splitlines() if "refused" in line]
    (line,) = lines
    assert line.startswith(f"worker {first} is refused: numpy is 0.1 there and ")
    old_numpy([second])
    with pytest.raises(cluster.WorkError, match=rf"no worker can draw: .*{second}"):
        make_films(wanted)


def test_beat_that_fails_three_times_is_reported_and_the_rest_finishes(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wanted = render_request((BROKEN, SHAPES), trace_file, tmp_path / "out", cache=tmp_path / "kept")
    assert not make_films(replace(wanted, cluster=scheduler))
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Error")]
    assert line.startswith("Error: scene_broken: RuntimeError: only when drawn (in beat travel, ")
    assert "stand_in.py line " in line
    assert "tried 3 times" in line
    films = [name for name in contents(tmp_path / "out") if name.endswith(".mp4")]
    assert films == ["scene_shapes.mp4"]
    # All beats but the one that fails are kept.
    assert len([*(tmp_path / "kept").glob("*.master.mov")]) == 5


def test_damaged_frames_are_not_kept(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cluster, "_frames_of", lambda *file: ("other", 0))
    wanted = render_request((SHAPES,), trace_file, tmp_path / "out", cache=tmp_path / "kept")
    assert not make_films(replace(wanted, cluster=scheduler))
    assert "its frames arrived damaged (tried 3 times)" in capfd.readouterr().err
    assert not [*(tmp_path / "kept").rglob("*.mov")]
    assert not [*(tmp_path / "kept").rglob(".*")]


def test_full_disk_here_is_one_line(
    client: Client,
    scheduler: str,
    trace_file: Path,
    tmp_path: Path,
    full_disk: None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wanted = render_request((NOISY,), trace_file, tmp_path / "out", cache=tmp_path / "kept")
    assert not make_films(replace(wanted, quality=QUALITIES["hd"], cluster=scheduler))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"Error: scene_noisy: cannot write {tmp_path}/out/scene_noisy.mp4: ")
    assert [name for name in contents(tmp_path) if not name.endswith(".json")] == []


def test_no_scheduler_is_one_line(trace_file: Path, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "CONNECT_SECONDS", 0.5)
        with pytest.raises(cluster.WorkError, match=f"no Dask scheduler answers at {address}"):
            make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=address))


def test_no_worker_is_one_line(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WORKERLESS_SECONDS", 0.5)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0") as empty,
        pytest.raises(cluster.WorkError, match=r"there is no worker at .* dask worker"),
    ):
        make_films(render_request((SHAPES,), trace_file, tmp_path, cluster=empty.scheduler_address))


def test_extra_that_is_missing_is_named(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "filmkit.render.cluster")
    with pytest.raises(cluster.WorkError, match=r"pip install -e '\.\[cluster\]'"):
        make_films(render_request((SHAPES,), trace_file, tmp_path, cluster="tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "tcp://host", "http://host:1", "tcp://:1"])
def test_address_of_another_form_is_a_wrong_call(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["scene_heads", "--cluster", address])
    assert stop.value.code == 2
    assert "write it as tcp://HOST:PORT" in capfd.readouterr().err


def test_interrupt_cancels_what_is_not_done(
    client: Client, scheduler: str, trace_file: Path, tmp_path: Path
) -> None:
    folders = [Path(folder) for _, folder in client.run(place).values()]

    def drawing() -> bool:
        return any(file for folder in folders for file in folder.rglob(".*.part"))

    def press_ctrl_c() -> None:
        while not drawing():
            time.sleep(0.002)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press_ctrl_c, daemon=True).start()
    wanted = render_request((SHAPES, OTHER), trace_file, tmp_path / "out", cache=tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        make_films(replace(wanted, quality=QUALITIES["4k"], cluster=scheduler))
    deadline = time.monotonic() + 20
    while drawing():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not contents(tmp_path / "out")
    assert not [name for name in contents(tmp_path) if name.endswith(".part")]
