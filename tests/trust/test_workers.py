"""Processes and machines that draw: killed, hung, lying or out of date, they spoil no film."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import dask
import pytest
from distributed import Client, Worker, get_worker
from manim import Circle, Square

from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.render import clean_process, cluster, cluster_worker, processes, workers
from filmkit.render.errors import RenderError
from filmkit.render.jobs import make_films
from filmkit.render.movie import MASTER, open_movie, read_master
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.render.workers import RenderJob
from tests.support.dask_cluster import dask_cluster
from tests.support.filming import render_request, segments
from tests.support.stand_in import SHAPES
from tests.support.traces import make_trace


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture
def shapes(trace_file: Path, tmp_path: Path) -> RenderRequest:
    return render_request((SHAPES,), trace_file, tmp_path / "out", cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def film(trace_file: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The film that everyone should make."""
    folder = tmp_path_factory.mktemp("film")
    assert make_films(render_request((SHAPES,), trace_file, folder))
    return (folder / "scene_shapes.mp4").read_bytes()


def film_of(request: RenderRequest) -> bytes:
    return (request.out / "scene_shapes.mp4").read_bytes()


# Processes on this machine


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "jobs"), [(signal.SIGKILL, 2), (signal.SIGSTOP, 1)])
def test_a_process_that_ends_or_hangs_is_replaced(
    stop: signal.Signals,
    jobs: int,
    shapes: RenderRequest,
    film: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped: list[processes.Apart] = []
    receive, ended_silent = processes.Apart.receive, processes.Apart.ended_silent

    def receive_and_stop(apart: processes.Apart) -> dict[str, Any] | None:
        message = receive(apart)
        if not stopped and message and message["kind"] == "frames":
            assert apart.process.pid
            os.kill(apart.process.pid, stop)
            stopped.append(apart)
        return message

    def ended_at_once(apart: processes.Apart) -> dict[str, Any] | None:
        with pytest.MonkeyPatch.context() as patch:
            if apart in stopped:
                patch.setattr(processes, "SILENT_SECONDS", 0.0)
            return ended_silent(apart)

    monkeypatch.setattr(processes.Apart, "receive", receive_and_stop)
    monkeypatch.setattr(processes.Apart, "ended_silent", ended_at_once)
    monkeypatch.setattr(clean_process, "STACK_SECONDS", 0.1)  # what is stopped cannot write
    assert make_films(replace(shapes, jobs=jobs))
    assert stopped
    assert film_of(shapes) == film


class Deadly(Stage):
    """Ends its process when its second beat is drawn."""

    @beat
    def one(self) -> None:
        self.add(Square())
        self.wait(0.2)

    @beat
    def two(self) -> None:
        if self.renderer.receiver:
            os.kill(os.getpid(), signal.SIGKILL)
        self.add(Circle())  # what looks like the beat before would not be drawn again
        self.wait(0.2)


@pytest.mark.slow
def test_a_beat_that_always_kills_its_process_is_given_up(
    shapes: RenderRequest, trace_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    deadly = SceneEntry("scene_deadly", "Deadly", __name__, "Deadly")
    request = replace(shapes, scenes=(deadly, SHAPES))
    assert not make_films(request)
    assert capfd.readouterr().err == (
        "Error: scene_deadly: in beat two: its process ended early (signal SIGKILL); if it ran out "
        "of memory, --jobs 1 needs the least (tried 3 times)\n"
    )
    assert [path.name for path in (tmp_path / "out").glob("*.mp4")] == ["scene_shapes.mp4"]
    assert not [*tmp_path.rglob("*.part")]


class DeadlyThere(Deadly):
    """Ends its process when its second beat is drawn by a worker of a cluster."""

    @beat
    def two(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            os.kill(os.getpid(), signal.SIGKILL)
        self.add(Circle())
        self.wait(0.2)


STANDS_CTRL_C = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('still there')"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no masks")
def test_ctrl_c_while_processes_start_is_for_the_program_alone() -> None:
    """It reaches the program once they have started, and is not lost."""
    child = None

    def start() -> None:
        nonlocal child
        with processes.children_ignore_ctrl_c():
            words = [sys.executable, "-c", STANDS_CTRL_C]
            child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert child is not None
    assert child.communicate(timeout=60)[0] == "still there\n"


class Unstarted(multiprocessing.Process):
    """A process that is interrupted before it has started."""

    def start(self) -> NoReturn:
        raise KeyboardInterrupt


@pytest.mark.parametrize("made", [Unstarted, Unstarted.start], ids=["started", "made"])
def test_what_is_interrupted_before_it_has_started_is_not_stopped(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[Any], object]
) -> None:
    monkeypatch.setattr(processes, "clean_process", lambda *_, **__: made(None))
    with pytest.raises(KeyboardInterrupt):
        processes.Apart("module:function", ())


class Silent(multiprocessing.Process):
    """A process of which nothing ever comes."""

    def start(self) -> None:
        pass

    def kill(self) -> None:
        pass


def test_silence_while_the_program_itself_is_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-Z stops its processes too; they go on when it does."""
    clock = chain([0.0, 10_000.0, 20_000.0], count(20_000.0, processes.POLL_SECONDS))
    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(processes, "clean_process", lambda *_, **__: Silent())
    apart = processes.Apart("module:function", ())
    looks = next(looks for looks in count() if apart.ended_silent())
    assert looks * processes.POLL_SECONDS == pytest.approx(processes.SILENT_SECONDS, abs=5)


# Machines of a cluster


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a scheduler with two workers."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as address:
        yield address


@pytest.fixture
def client(scheduler: str) -> Iterator[Client]:
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


def replace_function(name: str, behaviour: str, *arguments: Any) -> None:
    """Let a function of this worker behave in another way; "" brings it back."""
    originals = cluster_worker.__dict__.setdefault("_originals", {})
    original = originals.setdefault(name, getattr(cluster_worker, name))
    setattr(
        cluster_worker, name, BEHAVIOURS[behaviour](original, *arguments) if behaviour else original
    )


def of_another_beat(original: Callable[..., bytes], beat: str) -> Callable[..., bytes]:
    """Draw the frames of another beat than the one that is asked for."""

    def draw(job: RenderJob, *inputs: Any) -> bytes:
        (task,) = job.tasks
        return original(replace(job, tasks=(replace(task, beat=beat),)), *inputs)

    return draw


def of_its_own(original: Callable[..., bytes], change: str) -> Callable[..., bytes]:
    """Change the frames that were drawn."""

    def draw(job: RenderJob, *inputs: Any) -> bytes:
        quality = job.request.quality
        size = (quality.width, quality.height)
        path = Path(get_worker().local_directory) / "changed.mov"
        path.write_bytes(original(job, *inputs))
        pictures = [(picture, repeat) for picture, repeat in read_master(path, quality.frame_rate)]
        if change == "more frames":
            pictures += pictures[-1:] * 3
        elif change == "fewer frames":
            del pictures[-1:]
        elif change == "other size":
            size = (size[0] // 2, size[1])
            pictures = [(picture[:, ::2].copy(), repeat) for picture, repeat in pictures]
        elif change == "another picture":
            pictures[-1] = (255 - pictures[-1][0], pictures[-1][1])
        elif change == "others before the last":
            pictures[:-1] = [(255 - picture, repeat) for picture, repeat in pictures[:-1]]
        with open_movie(path, Quality(*size, quality.frame_rate), MASTER) as movie:
            for picture, repeat in pictures:
                movie.write(picture, repeat)
        return path.read_bytes()

    return draw


def garbage(original: Callable[..., bytes]) -> Callable[..., bytes]:
    return lambda *inputs: b"no film"


def without_room(original: Callable[..., bytes]) -> Callable[..., bytes]:
    def draw(*inputs: Any) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    return draw


def hanging(original: Callable[..., bytes]) -> Callable[..., bytes]:
    def draw(*inputs: Any) -> bytes:
        time.sleep(3600)
        raise AssertionError

    return draw


BEHAVIOURS: dict[str, Callable[..., Callable[..., bytes]]] = {
    "another beat": of_another_beat,
    "own frames": of_its_own,
    "garbage": garbage,
    "no room": without_room,
    "hanging": hanging,
}


@pytest.fixture
def behave(client: Client) -> Iterator[Callable[..., None]]:
    """Function that lets workers draw in another way until the end of the test."""

    def change(behaviour: str, *arguments: Any, workers: Any = None) -> None:
        client.run(replace_function, "_drawn", behaviour, *arguments, workers=workers)

    yield change
    client.run(replace_function, "_drawn", "")


@pytest.mark.parametrize(
    ("behaviour", "arguments", "said"),
    [
        ("another beat", ["appear"], "it would draw something else"),  # so its worker says itself
        ("another beat", ["no_beat"], "it would draw something else"),
        ("own frames", ["more frames"], "it has more than"),
        ("own frames", ["fewer frames"], "frames instead of"),
        pytest.param(
            *("own frames", ["other size"], "its frames have another size"), marks=pytest.mark.slow
        ),
        ("own frames", ["another picture"], "another picture is its frame"),
        ("own frames", ["others before the last"], "another picture is its frame"),
        ("garbage", [], "what it sends is not scene_shapes, beat travel"),
        ("no room", [], "No space left on device"),
    ],
)
def test_what_is_not_the_beat_is_not_believed(
    behaviour: str,
    arguments: list[Any],
    said: str,
    shapes: RenderRequest,
    scheduler: str,
    behave: Callable[..., None],
    tmp_path: Path,
) -> None:
    behave(behaviour, *arguments)
    with pytest.raises(RenderError, match=f"^no worker can draw: worker .*{said}"):
        make_films(replace(shapes, cluster=scheduler, beat="travel"))
    assert not segments(tmp_path)


def test_an_honest_worker_makes_up_for_a_lying_one(
    shapes: RenderRequest,
    film: bytes,
    client: Client,
    scheduler: str,
    behave: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, _ = client.nthreads()
    behave("own frames", "another picture", workers=[first])
    request = replace(shapes, cluster=scheduler, quiet=False)
    assert make_films(request)
    assert film_of(request) == film
    (said,) = re.findall(r"worker .* is refused.*", capfd.readouterr().err)
    assert said.startswith(f"worker {first} is refused: what it sends is not scene_shapes, beat ")


def forget_project(forget: bool) -> None:
    """Let this process not find the project, or find it again."""
    name, kept = "filmkit.render.cluster_worker", "kept_cluster_worker"
    if forget:
        sys.modules[kept] = sys.modules[name]
        sys.modules[name] = None  # type: ignore[assignment]
    else:
        sys.modules[name] = sys.modules.pop(kept)


def test_a_worker_without_the_project_is_refused_and_the_others_go_on(
    shapes: RenderRequest,
    film: bytes,
    client: Client,
    scheduler: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A scheduler needs it not."""
    first, _ = client.nthreads()
    client.run(forget_project, True, workers=[first])
    client.run_on_scheduler(forget_project, True)
    try:
        request = replace(shapes, cluster=scheduler, quiet=False)
        assert make_films(request)
    finally:
        client.run(forget_project, False, workers=[first])
        client.run_on_scheduler(forget_project, False)
    assert film_of(request) == film
    (said,) = re.findall(r"worker .* is refused.*", capfd.readouterr().err)
    assert said.startswith(f"worker {first} is refused: it cannot run this project (Module")


def process_id(dask_worker: Worker) -> int:
    return os.getpid()


@pytest.mark.slow
class TestLostWorkers:
    """Each test has a cluster of its own: Dask does not always bring a lost worker back."""

    @pytest.fixture
    def scheduler(self, tmp_path: Path) -> Iterator[str]:
        with dask_cluster(tmp_path / "dask") as address:
            yield address

    @pytest.mark.parametrize("how", ["hanging", "stopped", "busy"])
    def test_parts_at_a_worker_from_which_nothing_comes_are_drawn_by_others(
        self,
        how: str,
        shapes: RenderRequest,
        film: bytes,
        client: Client,
        scheduler: str,
        behave: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(cluster, "SILENT_SECONDS", 10.0)
        first, pid = next(iter(client.run(process_id).items()))
        begun = client.submit(time.sleep, 3600 if how == "busy" else 0, workers=[first])
        if how == "hanging":
            behave(how, workers=[first])
        elif how == "stopped":
            begun.result()
            os.kill(pid, signal.SIGSTOP)
        try:
            request = replace(shapes, cluster=scheduler)
            assert make_films(request)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert film_of(request) == film

    def test_workers_that_all_hang_are_given_up(
        self,
        shapes: RenderRequest,
        scheduler: str,
        behave: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(cluster, "SILENT_SECONDS", 0.1)
        behave("hanging")
        with pytest.raises(RenderError, match="nothing has come from the workers at"):
            make_films(replace(shapes, cluster=scheduler))

    @pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGSTOP])
    def test_a_scheduler_that_is_gone_is_one_line(
        self,
        stop: signal.Signals,
        shapes: RenderRequest,
        scheduler: str,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with Client(scheduler, set_as_default=False) as client:
            client.wait_for_workers(2)
            client.run(replace_function, "_drawn", "hanging")
            pid: Any = client.run_on_scheduler(os.getpid)
        look, looks = cluster.ClusterWorkerPool._look, count()

        def stop_and_look(pool: cluster.ClusterWorkerPool) -> None:
            if next(looks) == 1:
                os.kill(pid, stop)
            look(pool)

        monkeypatch.setattr(cluster.ClusterWorkerPool, "_look", stop_and_look)
        monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2.0)
        try:
            with pytest.raises(RenderError, match=f"the scheduler at {scheduler} is gone"):
                make_films(replace(shapes, cluster=scheduler))
            assert not capfd.readouterr().err
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_beat_that_always_kills_its_worker_is_given_up(
    shapes: RenderRequest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    deadly = SceneEntry("scene_deadly", "Deadly", __name__, "DeadlyThere")
    # Dask does not always bring a lost worker back: one is enough.
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_cluster(tmp_path / "dask", environment=settings) as scheduler:
        assert not make_films(replace(shapes, scenes=(deadly,), beat="two", cluster=scheduler))
    (line,) = re.findall(r"Error: .*", capfd.readouterr().err)
    assert line.startswith("Error: scene_deadly: in beat two: its worker died; ")
    assert line.endswith(" (tried 1 times)")


def exchange_older() -> None:
    """Let this worker have loaded older code of what draws; again, it is as it was."""
    workers.LOADED = workers.LOADED[::-1]


@pytest.mark.slow
def test_a_worker_that_loaded_older_code_of_what_draws_is_refused(
    shapes: RenderRequest, client: Client, scheduler: str
) -> None:
    client.run(exchange_older)
    try:
        with pytest.raises(RenderError, match=r"no worker can draw: .* would draw something else"):
            make_films(replace(shapes, cluster=scheduler))
    finally:
        client.run(exchange_older)


# Encrypted connections


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Dask's settings for a certificate that is its own authority."""
    folder = tmp_path_factory.mktemp("certificates")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=attention-film", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    roles = {
        f"distributed.comm.tls.{role}.{part}": str(file)
        for role in ("scheduler", "worker", "client")
        for part, file in (("key", key), ("cert", certificate))
    }
    return {
        "distributed.comm.tls.ca-file": str(certificate),
        "distributed.comm.require-encryption": "true",
        **roles,
    }


@pytest.fixture(scope="module")
def secure_scheduler(
    certificates: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    environment = {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value
        for name, value in certificates.items()
    }
    with dask_cluster(tmp_path_factory.mktemp("tls"), 1, environment) as address:
        yield address


@pytest.mark.slow
def test_certificates_encrypt_the_connections(
    shapes: RenderRequest,
    film: bytes,
    secure_scheduler: str,
    certificates: dict[str, str],
) -> None:
    assert secure_scheduler.startswith("tls://")
    with dask.config.set(certificates):
        assert make_films(replace(shapes, cluster=secure_scheduler))
    assert film_of(shapes) == film


@pytest.mark.slow
def test_without_certificates_it_says_how_to_name_them(
    shapes: RenderRequest, secure_scheduler: str
) -> None:
    with pytest.raises(RenderError, match="needs certificates: set DASK_DISTRIBUTED__COMM__TLS"):
        make_films(replace(shapes, cluster=secure_scheduler))


@pytest.mark.slow
def test_a_plain_connection_to_an_encrypted_cluster_is_one_line(
    shapes: RenderRequest, secure_scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2.0)
    address = secure_scheduler.replace("tls:", "tcp:")
    with pytest.raises(RenderError, match=f"no Dask scheduler answers at {address}"):
        make_films(replace(shapes, cluster=address))
