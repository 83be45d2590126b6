"""Processes and machines that draw: killed, hung, hostile or out of date, they spoil no film."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import dask
import pytest
from distributed import Client, Worker, get_worker
from distributed.protocol import ToPickle
from manim import Circle, Square

from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.render import clean_process, cluster, cluster_worker, processes
from filmkit.render.errors import RenderError
from filmkit.render.jobs import make_films
from filmkit.render.movie import MASTER, open_movie, read_master
from filmkit.render.plain_data import Refused, plain_data_only
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.render.workers import BeatTask
from tests.support.dask_cluster import dask_cluster
from tests.support.filming import render_request
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


def masters(folder: Path) -> list[Path]:
    return [*folder.rglob("*.master.mov")]


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
        self.add(Circle())
        if self.renderer.receiver:
            os.kill(os.getpid(), signal.SIGKILL)
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


# Nothing that a cluster sends runs here


def leave_mark(folder: str) -> None:
    """Leave a file that names this process."""
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / str(os.getpid())).touch()


def has_run_here(folder: Path) -> bool:
    """Return whether :func:`leave_mark` was called in this process."""
    return (folder / str(os.getpid())).exists()


class Evil:
    """An object that runs code where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return leave_mark, (self.folder,)


def test_pickles_load_plain_data_alone(tmp_path: Path) -> None:
    from distributed.protocol.pickle import loads

    plain = {"a": [1, 2.5, "three", b"four", None, True, (5,), {6}]}
    with plain_data_only():
        assert loads(pickle.dumps(plain)) == plain
        assert isinstance(loads(pickle.dumps(Evil(tmp_path / "ran"))), Refused)
        error = loads(pickle.dumps(ValueError("x", Evil(tmp_path / "ran"))))
        assert type(error) is ValueError
        assert error.args[0] == "x"
        assert isinstance(loads(pickle.dumps(os.system)), type)
    assert not has_run_here(tmp_path / "ran")
    loads(pickle.dumps(Evil(tmp_path / "ran")))
    assert has_run_here(tmp_path / "ran"), "outside of the block Dask is as it was"


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


def replace_function(module_function: str, behaviour: str, *arguments: Any) -> None:
    """Let a function of this worker behave in another way; "" brings it back."""
    originals = cluster_worker.__dict__.setdefault("_originals", {})
    original = originals.setdefault(module_function, getattr(cluster_worker, module_function))
    new = BEHAVIOURS[behaviour](original, *arguments) if behaviour else original
    setattr(cluster_worker, module_function, new)


def returning_evil(original: Callable[..., Any], target: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: Evil(Path(target))


def raising_evil(original: Callable[..., Any], target: str) -> Callable[..., Any]:
    def draw(*args: Any, **kwargs: Any) -> None:
        error = ValueError("an error")
        error.evil = Evil(Path(target))  # type: ignore[attr-defined]
        raise error

    return draw


def warning_evil(original: Callable[..., Any], target: str) -> Callable[..., Any]:
    """Log an event that makes Dask's client unpickle something, and go on."""

    def draw(*args: Any, **kwargs: Any) -> Any:
        get_worker().log_event("warn", {"message": pickle.dumps(Evil(Path(target)))})
        # The scheduler itself loads this one.
        get_worker().log_event(args[0].topic, ToPickle(Evil(Path(target))))
        return original(*args, **kwargs)

    return draw


def of_another_beat(original: Callable[..., Any], beat: str) -> Callable[..., Any]:
    """Draw the frames of another beat than the one that is asked for."""

    def draw(assignment: Any) -> Any:
        (task,) = assignment.job.tasks
        tasks = (replace(task, beat=beat),)
        return original(replace(assignment, job=replace(assignment.job, tasks=tasks)))

    return draw


def of_its_own(original: Callable[..., Any], change: str) -> Callable[..., Any]:
    """Change the master that was drawn, and say that it is right."""

    def draw(assignment: Any) -> bytes:
        result = cluster_worker.Result.from_bytes(original(assignment))
        job = assignment.job
        quality = job.request.quality
        size = (quality.width, quality.height)
        path = Path(get_worker().local_directory) / "changed.mov"
        path.write_bytes(result.master)
        pictures = [(picture, repeat) for picture, repeat in read_master(path, quality.frame_rate)]
        if change == "more frames":
            pictures += pictures[-1:] * 3
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
        job = replace(
            job,
            request=replace(job.request, quality=replace(quality, width=size[0], height=size[1])),
        )
        digest, _, _ = cluster_worker.frames_of(path, job)
        content = path.read_bytes()
        return cluster_worker.Result(content, digest).to_bytes()

    return draw


def failing(original: Callable[..., Any], words: int) -> Callable[..., Any]:
    failure = "in beat travel: " + "many words " * words
    return lambda assignment: cluster_worker.Result(failure=failure).to_bytes()


def reporting_for_ever(original: Callable[..., Any]) -> Callable[..., Any]:
    """Say that more and more frames are drawn, and draw none."""

    def draw(assignment: Any) -> None:
        while True:
            get_worker().log_event(assignment.topic, (assignment.key, 5))
            time.sleep(0.1)

    return draw


def garbage(original: Callable[..., Any], content: bytes) -> Callable[..., Any]:
    return lambda *args, **kwargs: content


def hanging(original: Callable[..., Any]) -> Callable[..., Any]:
    def draw(*args: Any, **kwargs: Any) -> None:
        time.sleep(3600)

    return draw


BEHAVIOURS: dict[str, Callable[..., Callable[..., Any]]] = {
    "another beat": of_another_beat,
    "evil result": returning_evil,
    "evil error": raising_evil,
    "evil warning": warning_evil,
    "own frames": of_its_own,
    "failing": failing,
    "garbage": garbage,
    "hanging": hanging,
    "reporting": reporting_for_ever,
}


@pytest.fixture
def behave(client: Client) -> Iterator[Callable[..., None]]:
    """Function that gives the workers another behaviour until the end of the test."""
    changed: set[str] = set()

    def change(function: str, behaviour: str, *arguments: Any, workers: Any = None) -> None:
        changed.add(function)
        client.run(replace_function, function, behaviour, *arguments, workers=workers)

    yield change
    for function in changed:
        client.run(replace_function, function, "")


@pytest.mark.parametrize(
    ("function", "behaviour", "said"),
    [
        ("draw", "evil result", "its worker sent something that is not plain data"),
        ("draw", "evil error", "ValueError: an error"),
        ("describe_worker", "evil result", "it sent something that is not plain data"),
        ("describe_worker", "evil error", "it cannot run this project"),
        ("store_trace", "evil result", "it sent something that is not plain data"),
    ],
)
def test_a_hostile_worker_runs_nothing_here(
    function: str,
    behaviour: str,
    said: str,
    shapes: RenderRequest,
    scheduler: str,
    behave: Callable[..., None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Another trace each time, so that it has to be sent.
    trace_file = tmp_path / "new.safetensors"
    make_trace(seed=len(function + behaviour)).save(trace_file)
    behave(function, behaviour, str(tmp_path / "ran"))
    request = replace(shapes, trace=trace_file, cluster=scheduler)
    if function == "draw":
        assert not make_films(request)
        assert said in capfd.readouterr().err
    else:
        with pytest.raises(RenderError, match=said):
            make_films(request)
    assert not has_run_here(tmp_path / "ran")
    assert not masters(tmp_path)


@pytest.mark.slow
def test_events_of_a_hostile_worker_run_nothing_here(
    shapes: RenderRequest,
    film: bytes,
    scheduler: str,
    behave: Callable[..., None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    behave("draw", "evil warning", str(tmp_path / "ran"))
    with warnings.catch_warnings(record=True) as said:
        assert make_films(replace(shapes, cluster=scheduler))
    assert not [warning for warning in said if "evil" in str(warning.message).lower()]
    assert film_of(shapes) == film
    assert not has_run_here(tmp_path / "ran")


@pytest.mark.parametrize(
    ("behaviour", "argument", "said"),
    [
        ("another beat", "appear", "was edited"),  # so its worker says itself
        ("own frames", "more frames", "it has more than"),
        pytest.param(
            *("own frames", "other size", "its frames have another size"), marks=pytest.mark.slow
        ),
        ("own frames", "another picture", "another picture is its frame"),
        ("own frames", "others before the last", "another picture is its frame"),
        ("failing", 100_000, "many words many"),
        ("garbage", b"", "Expecting value"),
        ("garbage", b"[]\n", "is not a result"),
        ("garbage", b'{"digest": "", "failure": "", "traceback": ""}\nno film', "what arrived"),
    ],
)
def test_what_is_not_the_beat_is_not_believed(
    behaviour: str,
    argument: Any,
    said: str,
    shapes: RenderRequest,
    scheduler: str,
    behave: Callable[..., None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    behave("draw", behaviour, argument)
    assert not make_films(replace(shapes, cluster=scheduler, beat="travel"))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Error: scene_shapes: ")
    assert said in line
    assert line.endswith("(tried 3 times)")
    assert len(line) < 600
    assert not masters(tmp_path)


def test_an_honest_worker_makes_up_for_a_lying_one(
    shapes: RenderRequest,
    film: bytes,
    client: Client,
    scheduler: str,
    behave: Callable[..., None],
) -> None:
    first, _ = client.nthreads()
    behave("draw", "own frames", "another picture", workers=[first])
    request = replace(shapes, cluster=scheduler)
    assert make_films(request)
    assert film_of(request) == film


def process_id(dask_worker: Worker) -> int:
    return os.getpid()


class TestLostWorkers:
    """Each test has a cluster of its own: Dask does not always bring a lost worker back."""

    @pytest.fixture
    def scheduler(self, tmp_path: Path) -> Iterator[str]:
        with dask_cluster(tmp_path / "dask") as address:
            yield address

    @pytest.mark.slow
    def test_a_worker_that_reports_more_than_there_is_gets_no_more_beats(
        self,
        shapes: RenderRequest,
        film: bytes,
        client: Client,
        scheduler: str,
        behave: Callable[..., None],
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        first, _ = client.nthreads()
        behave("draw", "reporting", workers=[first])
        request = replace(shapes, cluster=scheduler, quiet=False)
        assert make_films(request)
        assert film_of(request) == film
        said = capfd.readouterr().err
        assert f"worker {first} is refused: it reports more frames than there are\n" in said
        assert max(map(int, re.findall(r"(\d+) %", said))) == 100

    @pytest.mark.slow
    def test_a_worker_that_hangs_gets_no_more_beats(
        self,
        shapes: RenderRequest,
        film: bytes,
        client: Client,
        scheduler: str,
        behave: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        first, _ = client.nthreads()
        behave("draw", "hanging", workers=[first])
        attempt = cluster._Attempt

        def begun(task: BeatTask, worker: str, future: object) -> object:
            """What hangs was heard last when time began: nobody need wait for that."""
            heard = -math.inf if worker == first else time.monotonic()
            return attempt(task, worker, future, heard=heard)

        monkeypatch.setattr(cluster, "_Attempt", begun)
        request = replace(shapes, cluster=scheduler, quiet=False)
        assert make_films(request)
        assert film_of(request) == film
        assert f"worker {first} is refused: it says nothing any more\n" in capfd.readouterr().err

    @pytest.mark.slow
    def test_a_stopped_worker_is_not_waited_for(
        self,
        shapes: RenderRequest,
        film: bytes,
        client: Client,
        scheduler: str,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        first, pid = next(iter(client.run(process_id).items()))
        run = Client.run

        def run_impatiently(
            client: Client, *call: Any, workers: list[str], **options: Any
        ) -> Coroutine[Any, Any, Any]:
            """Wait for what is stopped for a second, and for the other as long as it takes."""
            seconds = 1.0 if workers == [first] else 300.0
            monkeypatch.setattr(cluster, "ANSWER_SECONDS", seconds)
            answers: Coroutine[Any, Any, Any] = run(client, *call, workers=workers, **options)
            return answers

        monkeypatch.setattr(Client, "run", run_impatiently)
        os.kill(pid, signal.SIGSTOP)
        try:
            request = replace(shapes, cluster=scheduler, quiet=False)
            assert make_films(request)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert film_of(request) == film
        said = capfd.readouterr().err
        assert f"worker {first} is refused: it has not answered for " in said


def loaded_otherwise(module: str, digest: str) -> None:
    """Let this worker have loaded another version of a module than the file is now."""
    if digest:
        cluster_worker.LOADED[module] = digest
    else:
        del cluster_worker.LOADED[module]


@pytest.mark.slow
def test_a_worker_that_loaded_older_code_is_refused(
    shapes: RenderRequest, client: Client, scheduler: str
) -> None:
    module = "filmkit.core.heatmap"
    client.run(loaded_otherwise, module, "older")
    try:
        with pytest.raises(RenderError, match=f"{module} was edited since it started"):
            make_films(replace(shapes, cluster=scheduler))
    finally:
        client.run(loaded_otherwise, module, "")


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
