"""Render beats on the workers of a Dask scheduler.

Each beat is assigned to one worker process. A worker gets beats only if everything that pictures
depend on (the project's code, the libraries, the fonts) is the same there as on this machine. The
trace is sent to each worker once and identified by its hash. Rendered frames are checked before
they are stored in the cache. A worker renders one beat at a time, because Manim's settings are
global to a process.
"""

from __future__ import annotations

import sys
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

from extract.files import OutputError, atomic_write, write_bytes
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.errors import RenderError, explain
from filmkit.render.keys import drawing_digest, scene_code, surroundings
from filmkit.render.movie import read_master
from filmkit.render.runner import manim_config
from filmkit.render.workers import (
    POLL_SECONDS,
    SPAWN,
    BeatTask,
    RenderJob,
    SceneWorker,
    WorkerPool,
    encode_segment,
)

try:
    import distributed
except ModuleNotFoundError as error:
    raise RenderError("--cluster needs an extra: pip install -e '.[cluster]'") from error

__all__ = ["ClusterWorkerPool"]

MAX_ATTEMPTS = 3  # how often a beat is tried before the run gives up on it
CONNECT_SECONDS = 10.0  # how long to wait for the scheduler's answer
WORKERLESS_SECONDS = 30.0  # how long to wait while there is no worker at all
REPORT_SECONDS = 0.3  # time between two progress messages of a beat

CODE = "the project's code"

# Held while a worker renders: two runs may share one worker process.
RENDER_LOCK = Lock()


# Runs on this machine


@dataclass
class _Attempt:
    """A beat that a worker is rendering.

    Attributes
    ----------
    task
        The beat.
    worker
        Address of the worker.
    future
        Dask's future of the result.
    frames
        Number of frames that the worker has reported so far.
    """

    task: BeatTask
    worker: str
    future: Any
    frames: int = 0


class ClusterWorkerPool(WorkerPool):
    """Workers of a Dask scheduler that render beats; a context manager.

    Parameters
    ----------
    job
        The beats to render, and how.
    address
        Address of the scheduler, tcp://HOST:PORT.
    quiet
        Whether to print nothing about refused workers.

    Raises
    ------
    RenderError
        On entering the ``with`` block, when there is no scheduler or no worker can render.
    """

    def __init__(self, job: RenderJob, address: str, *, quiet: bool) -> None:
        super().__init__(job)
        self._address = address
        self._quiet = quiet
        # Where the master of a beat exists already, its segment is encoded on this machine.
        self._queue = deque(task for task in job.tasks if not task.master.exists())
        code = [scene_code(entry) for entry in dict.fromkeys(task.entry for task in job.tasks)]
        self._modules = sorted({module for modules, _ in code for module in modules})
        self._traces = {_digest(trace): trace for trace in map(Path.read_bytes, _traces_of(job))}
        self._own_versions = _versions(self._modules)
        self._client: Any = None
        self._topic = f"attention-film-{uuid4().hex}"
        self._inbox: SimpleQueue[tuple[str, int | None]] = SimpleQueue()
        self._accepted: set[str] = set()
        self._refused: dict[str, str] = {}
        self._running: dict[str, _Attempt] = {}
        self._tried: dict[BeatTask, list[str]] = {task: [] for task in job.tasks}
        self._given_up: dict[BeatTask, str] = {}
        self._last_poll = self._last_worker = time.monotonic()

    def __enter__(self) -> Self:
        try:
            with _no_warnings():
                connect: Any = distributed.Client
                self._client = connect(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RenderError(
                f"no Dask scheduler answers at {self._address}; start one with: dask scheduler"
            ) from error
        try:
            self._check_scheduler()
            self._client.subscribe_topic(self._topic, lambda event: self._inbox.put(event[1]))
            self._last_worker = time.monotonic()
            while self._queue and not self._accepted:
                self._poll_workers(lambda frames: None)
                time.sleep(0 if self._accepted else POLL_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        with _no_warnings():
            self._client.cancel([attempt.future for attempt in self._running.values()])
            self._client.close()

    def _check_scheduler(self) -> None:
        """Raise a RenderError unless the scheduler has the same version of the project.

        The scheduler only passes beats on, but Dask unpickles them there.
        """
        code, own = "", self._own_versions[CODE]
        try:
            code = self._client.run_on_scheduler(_code, self._modules)
            reason = f"{CODE} is {code} there and {own} here"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if code != own:
            raise RenderError(
                f"the scheduler at {self._address} needs this version of the project too "
                f"({reason}); install it there and start the scheduler again"
            )

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        if task in self._unfinished and task.master.exists():
            encode_segment(self._job, task)
            self._unfinished.discard(task)
        super().wait(task, progress)

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        try:
            key, frames = self._inbox.get(timeout=POLL_SECONDS)
        except Empty:
            key, frames = "", None
        if attempt := self._running.get(key):
            if frames is None:
                del self._running[key]
                self._end(attempt, progress)
            else:
                attempt.frames += frames
                progress(frames)
        if frames is None or time.monotonic() - self._last_poll > POLL_SECONDS:
            self._poll_workers(progress)

    def _poll_workers(self, progress: Callable[[int], None]) -> None:
        """Ask the scheduler for its workers, and submit beats to those that are free."""
        self._last_poll = time.monotonic()
        try:
            # The client's own scheduler_info() may be overwritten without workers at any time.
            identity = self._client.sync(self._client.scheduler.identity, n_workers=-1)
            present = set(identity["workers"])
        except (OSError, RuntimeError) as error:
            raise RenderError(
                f"the scheduler at {self._address} is gone; start it and run again"
            ) from error
        for key, attempt in list(self._running.items()):
            if attempt.worker not in present:
                del self._running[key]
                self._client.cancel([attempt.future])
                self._retry(attempt, f"in beat {attempt.task.beat}: its worker was lost", progress)
        self._accepted &= present
        self._check_workers(sorted(present - self._accepted - self._refused.keys()))
        if self._accepted:
            self._last_worker = self._last_poll
        elif present and present <= self._refused.keys():
            raise RenderError(
                f"no worker can draw: {'; '.join(self._refused.values())}; "
                "install the same versions there and start the workers again"
            )
        elif self._last_poll - self._last_worker > WORKERLESS_SECONDS:
            raise RenderError(
                f"there is no worker at {self._address}; start one with: "
                f"dask worker {self._address} --nthreads 1"
            )
        self._submit_tasks()

    def _check_workers(self, new: list[str]) -> None:
        """Accept new workers that would draw the same pictures as this machine; refuse others.

        An accepted worker is sent the traces that it does not have yet.
        """
        if not new:
            return
        answers = self._client.run(
            _describe_worker, self._modules, [*self._traces], workers=new, on_error="return"
        )
        for worker, answer in answers.items():
            if reason := _refusal(self._own_versions, answer) or self._send_traces(
                worker, answer[1]
            ):
                self._refused[worker] = f"worker {worker} is refused: {reason}"
                if not self._quiet:
                    click.echo(self._refused[worker], err=True)
            else:
                self._accepted.add(worker)

    def _send_traces(self, worker: str, missing: list[str]) -> str:
        """Send traces, given by their hashes, to a worker; return why that failed, or ""."""
        for digest in missing:
            (answer,) = self._client.run(
                _store_trace, self._traces[digest], digest, workers=[worker], on_error="return"
            ).values()
            if answer:
                return f"it cannot store the trace ({answer})"
        return ""

    def _submit_tasks(self) -> None:
        """Submit a beat to every free worker."""
        busy = {attempt.worker for attempt in self._running.values()}
        for worker in sorted(self._accepted - busy):
            if task := self._next_for(worker):
                self._queue.remove(task)
                self._submit(task, worker)

    def _next_for(self, worker: str) -> BeatTask | None:
        """Return the first beat for this worker: one that it has not tried yet.

        A beat that every accepted worker has tried may go to any of them again.
        """
        for task in self._queue:
            untried = self._accepted - set(self._tried[task])
            if worker in untried or not untried:
                return task
        return None

    def _submit(self, task: BeatTask, worker: str) -> None:
        key = f"{task.entry.slug}-{task.beat}-{uuid4().hex}"
        _, files = scene_code(task.entry) if task.entry.file else ([], {})
        job = replace(self._job, tasks=(task,))
        assignment = _Assignment(job, [*self._traces], files, self._topic, key)
        future: Any = self._client.submit(
            _draw, assignment, key=key, workers=[worker], retries=0, pure=False
        )
        self._running[key] = _Attempt(task, worker, future)
        self._tried[task].append(worker)
        future.add_done_callback(lambda done: self._inbox.put((done.key, None)))

    def _end(self, attempt: _Attempt, progress: Callable[[int], None]) -> None:
        """Store the result of an attempt that has ended, or try the beat again."""
        beat = attempt.task.beat
        try:
            result: _Result = attempt.future.result()
        except Exception as error:
            self._retry(attempt, f"in beat {beat}: {explain(error, verbose=False)}", progress)
            return
        attempt.future.release()
        if result.failure:
            if self._job.verbose:
                click.echo(result.traceback, err=True)
            self._retry(attempt, result.failure, progress)
            return
        try:
            self._store(attempt.task, result)
        except OutputError as error:
            # Nothing can be written here, on a full disk say: other attempts would fail as well.
            for entry in dict.fromkeys(task.entry for task in self._job.tasks):
                self._failures[entry] = RenderError(str(error), unwritable=True)
        except (OSError, ValueError):
            self._retry(attempt, f"in beat {beat}: its frames arrived damaged", progress)
        else:
            progress(result.frames - attempt.frames)
            self._unfinished.discard(attempt.task)
            self._check_scene(attempt.task)

    def _store(self, task: BeatTask, result: _Result) -> None:
        """Write the files from a worker to the cache, after comparing the hashes of their content.

        Raises
        ------
        ValueError
            When the files were damaged on the way.
        """
        with atomic_write(task.master) as received:
            write_bytes(received, result.master)
            digests = _frames_of(received, self._job)[0], _digest(result.segment)
            if digests != (result.digest, result.segment_digest):
                raise ValueError("other frames")
            if task.segment:
                write_bytes(task.segment, result.segment)

    def _retry(self, attempt: _Attempt, message: str, progress: Callable[[int], None]) -> None:
        """Queue a failed beat again, or give it up with a message after too many attempts."""
        progress(-attempt.frames)
        task = attempt.task
        if len(self._tried[task]) < MAX_ATTEMPTS:
            self._queue.appendleft(task)
        else:
            self._given_up[task] = f"{message} (tried {MAX_ATTEMPTS} times)"
            self._check_scene(task)

    def _check_scene(self, task: BeatTask) -> None:
        """Record the failure of a task's scene once only beats that were given up are left."""
        given_up = {t: text for t, text in self._given_up.items() if t.entry == task.entry}
        left = {t for t in self._unfinished if t.entry == task.entry and not t.master.exists()}
        if given_up and left <= given_up.keys():
            self._failures[task.entry] = RenderError("; ".join(given_up.values()))


def _traces_of(job: RenderJob) -> list[Path]:
    """Return the trace file, and the one that it is compared with if any."""
    compared = job.options.settings.compare
    return [job.trace_file, compared] if compared else [job.trace_file]


def _refusal(own: dict[str, str], answer: Any) -> str:
    """Return why a worker would not draw the same pictures as this machine, or "" if it would.

    Parameters
    ----------
    own
        Versions on this machine; see :func:`_versions`.
    answer
        What :func:`_describe_worker` returned on the worker, or the exception that it raised.
    """
    if isinstance(answer, Exception):
        return f"it cannot run this project ({type(answer).__name__}: {answer})"
    there, _ = answer
    return ", ".join(
        f"{name} is {there.get(name, 'missing')} there and {here} here"
        for name, here in own.items()
        if there.get(name) != here
    )


@contextmanager
def _no_warnings() -> Iterator[None]:
    # Dask warns of all differing versions; those that matter are checked and reported here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Runs on this machine and on workers


def _code(modules: Iterable[str]) -> str:
    """Return a hash of the code that renders the scenes of some modules."""
    return drawing_digest([*modules, __name__])


def _versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the version of everything that pictures of the modules' scenes depend on, by name."""
    return {CODE: _code(modules), **surroundings()}


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _frames_of(master: Path, job: RenderJob) -> tuple[str, int]:
    """Return a hash of a master's frames, and the number of frames."""
    digest, count = sha256(), 0
    for picture, repeat in read_master(master, job.options.quality.frame_rate):
        digest.update(repeat.to_bytes(8))
        digest.update(picture.tobytes())
        count += repeat
    return digest.hexdigest(), count


# Runs on a worker


@dataclass(frozen=True)
class _Assignment:
    """A beat that a worker is asked to render.

    Attributes
    ----------
    job
        A job with one task. Its paths are those of the asking machine; only file names are used.
    traces
        Hashes of the trace, and of the one that it is compared with if any. The worker's trace
        files are named by them.
    files
        Content of the files of a scene that is not one of the project's, by relative paths.
    topic, key
        Dask topic of progress messages, and key of the beat in them.
    """

    job: RenderJob
    traces: list[str]
    files: dict[str, bytes]
    topic: str
    key: str


@dataclass(frozen=True)
class _Result:
    """The files of a beat from a worker, or why they could not be made.

    Attributes
    ----------
    master, segment
        Content of the files; b"" if there is no segment.
    digest, frames
        Hash of the master's frames, and their number.
    segment_digest
        Hash of the segment's bytes.
    failure, traceback
        A one-line message and the traceback if the beat failed, else "".
    """

    master: bytes = b""
    segment: bytes = b""
    digest: str = ""
    frames: int = 0
    segment_digest: str = ""
    failure: str = ""
    traceback: str = ""


def _trace_file(worker: Any, digest: str) -> Path:
    """Return the path of a trace in a worker's folder."""
    return Path(worker.local_directory) / f"trace-{digest}.safetensors"


def _describe_worker(
    modules: list[str], traces: list[str], dask_worker: distributed.Worker
) -> tuple[dict[str, str], list[str]]:
    """Return the versions on this worker, and the hashes of those traces that it does not have."""
    return _versions(modules), [t for t in traces if not _trace_file(dask_worker, t).exists()]


def _store_trace(trace: bytes, digest: str, dask_worker: distributed.Worker) -> None:
    """Write a trace to the worker's folder after checking its hash."""
    if _digest(trace) != digest:
        raise ValueError("the trace arrived damaged")
    write_bytes(_trace_file(dask_worker, digest), trace)


def _draw(assignment: _Assignment) -> _Result:
    """Render a beat on this worker."""
    worker = distributed.get_worker()
    job = assignment.job
    (task,) = job.tasks
    with (
        RENDER_LOCK,
        TemporaryDirectory(dir=worker.local_directory) as folder,
        _scene_files(task.entry, assignment.files, Path(folder) / "code") as entry,
    ):
        master = Path(folder) / task.master.name
        segment = Path(folder) / task.segment.name if task.segment else None
        trace, *compared = (_trace_file(worker, digest) for digest in assignment.traces)
        settings = replace(job.options.settings, compare=next(iter(compared), None))
        local_job = replace(
            job,
            tasks=(replace(task, entry=entry, master=master, segment=segment),),
            trace_file=trace,
            options=replace(job.options, settings=settings),
        )
        report = _Report(worker, assignment.topic, assignment.key)
        try:
            with manim_config(job.options.quality, verbosity=job.verbosity):
                SceneWorker(local_job, SPAWN.Array("b", 1), report).render(entry)
            digest, frames = _frames_of(master, job)
            encoded = segment.read_bytes() if segment else b""
            return _Result(master.read_bytes(), encoded, digest, frames, _digest(encoded))
        except Exception as error:
            return _Result(
                failure=explain(error, verbose=False),
                traceback="".join(traceback.format_exception(error)),
            )


@contextmanager
def _scene_files(entry: SceneEntry, files: dict[str, bytes], folder: Path) -> Iterator[SceneEntry]:
    """Write the files of a scene that is not one of the project's; give an entry that finds them.

    What is loaded from them is forgotten afterwards: other files may come under the same names.
    """
    if entry.file is None:
        yield entry
        return
    for name, content in files.items():
        write_bytes(folder / name, content)
    try:
        yield replace(entry, file=folder / entry.file.name)
    finally:
        sys.path[:] = [path for path in sys.path if path != str(folder.resolve())]
        for name, module in [*sys.modules.items()]:
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder):
                del sys.modules[name]


class _Cancelled(Exception):
    """The run that asked for this beat has cancelled it."""


class _Report:
    """Callback that sends a beat's progress to the client, and raises once it was cancelled."""

    def __init__(self, worker: distributed.Worker, topic: str, key: str) -> None:
        self._worker = worker
        self._topic = topic
        self._key = key
        self._unreported = 0  # frames
        self._last_report = time.monotonic()

    def __call__(self, kind: str, content: Any) -> None:
        if kind != "frames":
            return
        dask_task = self._worker.state.tasks.get(self._key)
        if dask_task is None or dask_task.state == "cancelled":
            raise _Cancelled
        self._unreported += content
        if time.monotonic() - self._last_report > REPORT_SECONDS:
            self._worker.log_event(self._topic, (self._key, self._unreported))
            self._unreported, self._last_report = 0, time.monotonic()
