"""Lets the workers of a Dask scheduler draw the beats.

Every beat is a job for one worker process. A worker gets jobs only if what pictures depend on (the
project's code, the libraries, the fonts) is the same there as here; the trace goes to each worker
once, and is known by its hash. What comes back is checked before it is kept. A worker draws one
beat at a time, because Manim's settings belong to the whole process.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Self
from uuid import uuid4

import click

from extract.files import OutputError, write_bytes, written_beside
from filmkit.render.errors import WorkError, explain
from filmkit.render.keys import drawing_digest, surroundings
from filmkit.render.movie import read_master
from filmkit.render.runner import manim_config
from filmkit.render.workers import (
    PATIENCE,
    SPAWN,
    BeatTask,
    RenderJob,
    SceneWorker,
    WorkerPool,
    encode_part,
)

try:
    import distributed
except ModuleNotFoundError as error:
    raise WorkError("--cluster needs an extra: pip install -e '.[cluster]'") from error

__all__ = ["ClusterWorkerPool"]

ATTEMPTS = 3  # after which a beat is given up
CONNECT_SECONDS = 10.0  # in which a scheduler has to answer
WORKERLESS_SECONDS = 30.0  # without any worker, after which the run is given up
REPORT_SECONDS = 0.3  # between two messages of one beat's progress

CODE = "the project's code"

# Two runs may share a worker.
ONE_AT_A_TIME = Lock()


# What runs here


@dataclass
class _Attempt:
    """A beat in the hands of a worker."""

    task: BeatTask
    worker: str
    future: Any
    frames: int = 0


class ClusterWorkerPool(WorkerPool):
    """The workers of a Dask scheduler.

    Parameters
    ----------
    work
        What they do.
    address
        Of the scheduler, tcp://HOST:PORT.
    quiet
        Whether nothing is said of workers that are refused.

    Raises
    ------
    WorkError
        On entering the ``with`` block, when there is no scheduler or no worker that can draw.
    """

    def __init__(self, work: RenderJob, address: str, *, quiet: bool) -> None:
        super().__init__(work)
        self._address = address
        self._quiet = quiet
        # A piece of a film whose master is at hand is made here.
        self._queue = deque(task for task in work.tasks if not task.master.exists())
        self._modules = sorted({task.entry.module for task in work.tasks})
        self._traces = {_digest(trace): trace for trace in map(Path.read_bytes, _traces_of(work))}
        self._own = _versions(self._modules)
        self._client: Any = None
        self._topic = f"attention-film-{uuid4().hex}"
        self._inbox: SimpleQueue[tuple[str, int | None]] = SimpleQueue()
        self._accepted: set[str] = set()
        self._refused: dict[str, str] = {}
        self._running: dict[str, _Attempt] = {}
        self._tried: dict[BeatTask, list[str]] = {task: [] for task in work.tasks}
        self._given_up: dict[BeatTask, str] = {}
        self._looked = self._seen_worker = time.monotonic()

    def __enter__(self) -> Self:
        try:
            with _no_warnings():
                connect: Any = distributed.Client
                self._client = connect(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WorkError(
                f"no Dask scheduler answers at {self._address}; start one with: dask scheduler"
            ) from error
        try:
            self._check_scheduler()
            self._client.subscribe_topic(self._topic, lambda event: self._inbox.put(event[1]))
            self._seen_worker = time.monotonic()
            while self._queue and not self._accepted:
                self._look_round(lambda frames: None)
                time.sleep(0 if self._accepted else PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        with _no_warnings():
            self._client.cancel([attempt.future for attempt in self._running.values()])
            self._client.close()

    def _check_scheduler(self) -> None:
        # It only passes jobs on, but Dask lets it unpack them.
        code, own = "", self._own[CODE]
        try:
            code = self._client.run_on_scheduler(_code, self._modules)
            reason = f"{CODE} is {code} there and {own} here"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if code != own:
            raise WorkError(
                f"the scheduler at {self._address} needs this version of the project too "
                f"({reason}); install it there and start the scheduler again"
            )

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        if task in self._unfinished and task.master.exists():
            encode_part(self._work, task)
            self._unfinished.discard(task)
        super().wait(task, progress)

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        try:
            key, frames = self._inbox.get(timeout=PATIENCE)
        except Empty:
            key, frames = "", None
        if attempt := self._running.get(key):
            if frames is None:
                del self._running[key]
                self._end(attempt, progress)
            else:
                attempt.frames += frames
                progress(frames)
        if frames is None or time.monotonic() - self._looked > PATIENCE:
            self._look_round(progress)

    def _look_round(self, progress: Callable[[int], None]) -> None:
        """Find out which workers there are, and give them what is to be done."""
        self._looked = time.monotonic()
        try:
            # The client's own scheduler_info() may be overwritten without workers meanwhile.
            asked = self._client.sync(self._client.scheduler.identity, n_workers=-1)
            present = set(asked["workers"])
        except (OSError, RuntimeError) as error:
            raise WorkError(
                f"the scheduler at {self._address} is gone; start it and run again"
            ) from error
        for key, attempt in list(self._running.items()):
            if attempt.worker not in present:
                del self._running[key]
                self._client.cancel([attempt.future])
                self._retry(attempt, f"in beat {attempt.task.beat}: its worker was lost", progress)
        self._accepted &= present
        self._meet(sorted(present - self._accepted - self._refused.keys()))
        if self._accepted:
            self._seen_worker = self._looked
        elif present and present <= self._refused.keys():
            raise WorkError(
                f"no worker can draw: {'; '.join(self._refused.values())}; "
                "install there what is here and start them again"
            )
        elif self._looked - self._seen_worker > WORKERLESS_SECONDS:
            raise WorkError(
                f"there is no worker at {self._address}; start one with: "
                f"dask worker {self._address} --nthreads 1"
            )
        self._hand_out()

    def _meet(self, strangers: list[str]) -> None:
        """Take workers that draw as this machine would, and give them the trace."""
        if not strangers:
            return
        answers = self._client.run(
            _introduce, self._modules, [*self._traces], workers=strangers, on_error="return"
        )
        for worker, said in answers.items():
            if reason := _reason(self._own, said) or self._give_traces(worker, said[1]):
                self._refused[worker] = f"worker {worker} is refused: {reason}"
                if not self._quiet:
                    click.echo(self._refused[worker], err=True)
            else:
                self._accepted.add(worker)

    def _give_traces(self, worker: str, lacking: list[str]) -> str:
        """Send a worker what it lacks; why that failed, if it did."""
        for digest in lacking:
            (answer,) = self._client.run(
                _keep_trace, self._traces[digest], digest, workers=[worker], on_error="return"
            ).values()
            if answer:
                return f"it cannot keep the trace ({answer})"
        return ""

    def _hand_out(self) -> None:
        busy = {attempt.worker for attempt in self._running.values()}
        for worker in sorted(self._accepted - busy):
            if task := self._next_for(worker):
                self._queue.remove(task)
                self._submit(task, worker)

    def _next_for(self, worker: str) -> BeatTask | None:
        """The first beat that this worker has not tried, or that no other one could try."""
        for task in self._queue:
            fresh = self._accepted - set(self._tried[task])
            if worker in fresh or not fresh:
                return task
        return None

    def _submit(self, task: BeatTask, worker: str) -> None:
        key = f"{task.entry.slug}-{task.beat}-{uuid4().hex}"
        job = _Job(replace(self._work, tasks=(task,)), [*self._traces], self._topic, key)
        future: Any = self._client.submit(
            _draw, job, key=key, workers=[worker], retries=0, pure=False
        )
        self._running[key] = _Attempt(task, worker, future)
        self._tried[task].append(worker)
        future.add_done_callback(lambda done: self._inbox.put((done.key, None)))

    def _end(self, attempt: _Attempt, progress: Callable[[int], None]) -> None:
        beat = attempt.task.beat
        try:
            drawn: _Drawn = attempt.future.result()
        except Exception as error:
            self._retry(attempt, f"in beat {beat}: {explain(error, verbose=False)}", progress)
            return
        attempt.future.release()
        if drawn.failure:
            if self._work.verbose:
                click.echo(drawn.traceback, err=True)
            self._retry(attempt, drawn.failure, progress)
            return
        try:
            self._keep(attempt.task, drawn)
        except OutputError as error:
            # Neither another attempt nor another scene would fare better.
            for entry in dict.fromkeys(task.entry for task in self._work.tasks):
                self._failures[entry] = WorkError(str(error), unwritable=True)
        except (OSError, ValueError):
            self._retry(attempt, f"in beat {beat}: its frames arrived damaged", progress)
        else:
            progress(drawn.frames - attempt.frames)
            self._unfinished.discard(attempt.task)
            self._settle(attempt.task)

    def _keep(self, task: BeatTask, drawn: _Drawn) -> None:
        """Write what a worker made, if its frames are those that the worker saw."""
        with written_beside(task.master) as arrived:
            write_bytes(arrived, drawn.master)
            digests = _frames_of(arrived, self._work)[0], _digest(drawn.part)
            if digests != (drawn.digest, drawn.part_digest):
                raise ValueError("other frames")
            if task.part:
                write_bytes(task.part, drawn.part)

    def _retry(self, attempt: _Attempt, said: str, progress: Callable[[int], None]) -> None:
        progress(-attempt.frames)
        task = attempt.task
        if len(self._tried[task]) < ATTEMPTS:
            self._queue.appendleft(task)
        else:
            self._given_up[task] = f"{said} (tried {ATTEMPTS} times)"
            self._settle(task)

    def _settle(self, task: BeatTask) -> None:
        """Say that a scene failed, once nothing of it is left to be done."""
        given_up = {t: said for t, said in self._given_up.items() if t.entry == task.entry}
        left = {t for t in self._unfinished if t.entry == task.entry and not t.master.exists()}
        if given_up and left <= given_up.keys():
            self._failures[task.entry] = WorkError("; ".join(given_up.values()))


def _traces_of(work: RenderJob) -> list[Path]:
    compared = work.options.settings.compare
    return [work.trace_file, compared] if compared else [work.trace_file]


def _reason(own: dict[str, str], said: Any) -> str:
    """Why a worker cannot draw what this machine would; nothing if it can."""
    if isinstance(said, Exception):
        return f"it cannot run this project ({type(said).__name__}: {said})"
    there, _ = said
    return ", ".join(
        f"{name} is {there.get(name, 'missing')} there and {here} here"
        for name, here in own.items()
        if there.get(name) != here
    )


@contextmanager
def _no_warnings() -> Iterator[None]:
    # What matters of other versions is found out and said here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# What runs on both sides


def _code(modules: Iterable[str]) -> str:
    return drawing_digest([*modules, __name__])


def _versions(modules: Iterable[str]) -> dict[str, str]:
    return {CODE: _code(modules), **surroundings()}


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _frames_of(master: Path, work: RenderJob) -> tuple[str, int]:
    """A hash of a master's frames, and how many there are."""
    digest, count = sha256(), 0
    for picture, repeat in read_master(master, work.options.quality.frame_rate):
        digest.update(repeat.to_bytes(8))
        digest.update(picture.tobytes())
        count += repeat
    return digest.hexdigest(), count


# What runs on a worker


@dataclass(frozen=True)
class _Job:
    """A beat to be drawn by a worker.

    Attributes
    ----------
    work
        With one task. Paths in it are those of the machine that asks; only their names count.
    traces
        Hashes of the trace, and of the one it is compared with if any; by them a worker finds it.
    topic, key
        Under which progress is told, and by what name.
    """

    work: RenderJob
    traces: list[str]
    topic: str
    key: str


@dataclass(frozen=True)
class _Drawn:
    """What a worker made of a beat.

    Attributes
    ----------
    master, part
        The files' bytes; no part is b"".
    digest, frames
        Hash of the master's frames, and how many there are.
    part_digest
        Hash of the part's bytes.
    failure, traceback
        What went wrong instead: one line, and where it happened.
    """

    master: bytes = b""
    part: bytes = b""
    digest: str = ""
    frames: int = 0
    part_digest: str = ""
    failure: str = ""
    traceback: str = ""


def _trace_file(worker: Any, digest: str) -> Path:
    return Path(worker.local_directory) / f"trace-{digest}.safetensors"


def _introduce(
    modules: list[str], traces: list[str], dask_worker: distributed.Worker
) -> tuple[dict[str, str], list[str]]:
    """What pictures drawn here depend on, and which of some traces are not here."""
    return _versions(modules), [t for t in traces if not _trace_file(dask_worker, t).exists()]


def _keep_trace(trace: bytes, digest: str, dask_worker: distributed.Worker) -> None:
    if _digest(trace) != digest:
        raise ValueError("the trace arrived damaged")
    write_bytes(_trace_file(dask_worker, digest), trace)


def _draw(job: _Job) -> _Drawn:
    worker = distributed.get_worker()
    work = job.work
    (task,) = work.tasks
    with ONE_AT_A_TIME, TemporaryDirectory(dir=worker.local_directory) as folder:
        master = Path(folder) / task.master.name
        part = Path(folder) / task.part.name if task.part else None
        trace, *compared = (_trace_file(worker, digest) for digest in job.traces)
        settings = replace(work.options.settings, compare=next(iter(compared), None))
        here = replace(
            work,
            tasks=(replace(task, master=master, part=part),),
            trace_file=trace,
            options=replace(work.options, settings=settings),
        )
        report = _Report(worker, job.topic, job.key)
        try:
            with manim_config(work.options.quality, verbosity=work.verbosity):
                SceneWorker(here, SPAWN.Array("b", 1), report).render(task.entry)
            digest, frames = _frames_of(master, work)
            coded = part.read_bytes() if part else b""
            return _Drawn(master.read_bytes(), coded, digest, frames, _digest(coded))
        except Exception as error:
            return _Drawn(
                failure=explain(error, verbose=False),
                traceback="".join(traceback.format_exception(error)),
            )


class _Cancelled(Exception):
    """Nobody waits for this beat any more."""


class _Report:
    """Tells how many frames of a beat are drawn, and stops when nobody waits for them."""

    def __init__(self, worker: distributed.Worker, topic: str, key: str) -> None:
        self._worker = worker
        self._topic = topic
        self._key = key
        self._unsaid = 0
        self._said = time.monotonic()

    def __call__(self, kind: str, what: Any) -> None:
        if kind != "frames":
            return
        job = self._worker.state.tasks.get(self._key)
        if job is None or job.state == "cancelled":
            raise _Cancelled
        self._unsaid += what
        if time.monotonic() - self._said > REPORT_SECONDS:
            self._worker.log_event(self._topic, (self._key, self._unsaid))
            self._unsaid, self._said = 0, time.monotonic()
