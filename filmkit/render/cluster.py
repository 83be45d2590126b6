"""Render beats on the workers of a Dask scheduler.

Each beat is assigned to one worker process. A worker gets beats only if everything that pictures
depend on (the project's code, the libraries, the fonts) is the same there as on this machine. The
trace is sent to each worker once and identified by its hash. A worker renders one beat at a time,
because Manim's settings are global to a process.

What comes from a worker is parsed and never unpickled (:mod:`filmkit.render.plain_data`). Before a
beat is stored in the cache, the number of its frames, their size, its last picture and a few at
random are compared with what this machine makes of the scene itself.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from random import SystemRandom
from typing import Any, Self
from uuid import uuid4

import av
import numpy as np

from extract.support.assets import installing
from extract.support.files import OutputError, atomic_write, write_bytes
from extract.support.plain_text import error_line, escaped
from extract.support.printing import echo
from filmkit.core.language import catalogue_folder
from filmkit.core.renderer import FrameReceiver, Pixels
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import is_sealed, seal
from filmkit.render.errors import RenderError, explain
from filmkit.render.movie import master_pixels
from filmkit.render.processes import POLL_SECONDS, SILENT_SECONDS
from filmkit.render.runner import rehearse
from filmkit.render.workers import (
    MAX_ATTEMPTS,
    BeatTask,
    RenderJob,
    WorkerPool,
    encode_segment,
)

try:
    import distributed
except ModuleNotFoundError as error:
    raise RenderError(f"--cluster needs an extra: {installing('cluster')}") from error

# These import Dask too.
from filmkit.render.cluster_worker import (
    CODE,
    Assignment,
    Result,
    Squares,
    code_version,
    describe_worker,
    draw,
    frames_of,
    sha256_of,
    squares,
    store_trace,
    versions,
)
from filmkit.render.plain_data import Refused, plain_data_only

__all__ = ["ClusterWorkerPool", "inputs_of"]

CONNECT_SECONDS = 10.0  # how long to wait for the scheduler's answer
WORKERLESS_SECONDS = 30.0  # how long to wait while there is no worker at all
ANSWER_SECONDS = 60.0  # how long to wait for a worker's answer; at first it has to load Manim
SAMPLES = 3  # pictures of each part of a beat that are compared, besides the last one
TOLERANCE = 4.0  # of 255, between two mean colours: two processors may round them differently


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
    heard
        When the worker reported last, by :func:`time.monotonic`.
    """

    task: BeatTask
    worker: str
    future: Any
    frames: int = 0
    heard: float = field(default_factory=time.monotonic)


class ClusterWorkerPool(WorkerPool):
    """Workers of a Dask scheduler that render beats; a context manager.

    Parameters
    ----------
    job
        The beats to render, and how.
    address
        Address of the scheduler, tcp://HOST:PORT or tls://HOST:PORT.
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
        self._queue = deque(task for task in job.tasks if not is_sealed(task.master))
        self._traces = {
            sha256_of(trace): trace for trace in map(Path.read_bytes, job.request.trace_files)
        }
        self._own_versions = versions()
        entries = dict.fromkeys(task.entry for task in job.tasks)
        self._inputs = {entry: inputs_of(entry, job.files[entry]) for entry in entries}
        self._client: Any = None
        self._topic = f"attention-film-{uuid4().hex}"
        self._inbox: SimpleQueue[tuple[str, int | None]] = SimpleQueue()
        self._accepted: set[str] = set()
        self._refused: dict[str, str] = {}
        self._running: dict[str, _Attempt] = {}
        self._tried: dict[BeatTask, list[str]] = {task: [] for task in job.tasks}
        self._given_up: dict[BeatTask, str] = {}
        self._samples: dict[SceneEntry, dict[tuple[str, bool], dict[int, Squares]]] = {}
        self._last_poll = self._last_worker = time.monotonic()
        self._protection = ExitStack()

    def __enter__(self) -> Self:
        self._protection.enter_context(plain_data_only())
        try:
            self._connect()
            self._check_scheduler()
            self._client.subscribe_topic(self._topic, self._hear)
            self._last_worker = time.monotonic()
            while self._queue and not self._accepted:
                self._poll_workers(lambda frames: None)
                time.sleep(0 if self._accepted else POLL_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        with self._protection, _no_warnings():
            if self._client:
                self._client.cancel([attempt.future for attempt in self._running.values()])
                self._client.close()

    def _connect(self) -> None:
        """Connect to the scheduler; raise a RenderError that says what to do if that fails."""
        new_security: Any = distributed.Security
        security = new_security()
        if self._address.startswith("tls:"):
            names = [
                f"DASK_DISTRIBUTED__COMM__TLS__{name}"
                for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
            ]
            if not (security.tls_ca_file and security.tls_client_cert and security.tls_client_key):
                raise RenderError(
                    f"--cluster tls:// needs certificates: set {', '.join(names)} "
                    "to their files, as Dask's security options"
                )
        try:
            with _no_warnings():
                connect: Any = distributed.Client
                self._client = connect(
                    self._address,
                    timeout=CONNECT_SECONDS,
                    set_as_default=False,
                    security=security,
                )
                # Workers could otherwise write anything to this terminal.
                for topic in ("print", "warn"):
                    self._client.unsubscribe_topic(topic)
        except ssl.SSLError as error:
            raise RenderError(
                f"the certificates for {self._address} do not fit: {error}"
            ) from error
        except FileNotFoundError as error:
            raise RenderError(f"a certificate for {self._address} is missing: {error}") from error
        except (OSError, ValueError) as error:
            raise RenderError(
                f"no Dask scheduler answers at {self._address}; start one with: dask scheduler"
            ) from error

    def _check_scheduler(self) -> None:
        """Raise a RenderError unless the scheduler has the same version of the project.

        The scheduler only passes beats on, but Dask unpickles them there.
        """
        code, own = "", self._own_versions[CODE]
        try:
            code = self._client.run_on_scheduler(code_version)
            reason = f"{CODE} is {_text(code)} there and {own} here"
        except Exception as error:
            reason = _text(error)
        if code != own:
            raise RenderError(
                f"the scheduler at {self._address} needs this version of the project too "
                f"({reason}); install it there and start the scheduler again"
            )

    def _hear(self, event: Any) -> None:
        """Take a progress message, if it is one."""
        _, message = event
        match message:
            case [str(key), int(frames)] if frames >= 0:
                self._inbox.put((key, frames))

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        if task in self._unfinished and is_sealed(task.master):
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
            elif attempt.frames + frames > attempt.task.frames:
                self._abandon(key, progress, "it reports more frames than there are")
            else:
                attempt.frames += frames
                attempt.heard = time.monotonic()
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
            if self._last_poll - attempt.heard > SILENT_SECONDS:
                self._abandon(key, progress, "it says nothing any more")
            elif attempt.worker not in present:
                self._abandon(key, progress)
        self._accepted &= present
        self._check_workers(sorted(present - self._accepted - self._refused.keys()))
        if self._accepted:
            self._last_worker = self._last_poll
        elif present and present <= self._refused.keys():
            raise RenderError(
                f"no worker can draw: {'; '.join(self._refused.values())}; "
                "bring them up to date and start them again"
            )
        elif self._last_poll - self._last_worker > WORKERLESS_SECONDS:
            raise RenderError(
                f"there is no worker at {self._address}; start one with: "
                f"dask worker {self._address} --nthreads 1"
            )
        self._submit_tasks()

    def _abandon(self, key: str, progress: Callable[[int], None], refusal: str = "") -> None:
        """Try a beat again elsewhere; if there is a reason, its worker gets no more beats."""
        attempt = self._running.pop(key)
        self._client.cancel([attempt.future], force=True)
        if refusal:
            self._refuse(attempt.worker, refusal)
        self._retry(attempt, f"in beat {attempt.task.beat}: its worker was lost", progress)

    def _check_workers(self, new: list[str]) -> None:
        """Accept new workers that would draw the same pictures as this machine; refuse others.

        An accepted worker is sent the traces that it does not have yet.
        """
        if not new:
            return
        answers = self._client.sync(self._ask_all, describe_worker, new, [*self._traces])
        for worker, answer in zip(new, answers, strict=True):
            if reason := _refusal(self._own_versions, answer) or self._send_traces(
                worker, answer[1]
            ):
                self._refuse(worker, reason)
            else:
                self._accepted.add(worker)

    def _refuse(self, worker: str, reason: str) -> None:
        """Give a worker no more beats, and say why."""
        self._accepted.discard(worker)
        self._refused[worker] = error_line(f"worker {worker} is refused: {reason}")
        if not self._quiet:
            echo(self._refused[worker], err=True)

    def _send_traces(self, worker: str, missing: list[str]) -> str:
        """Send traces, given by their hashes, to a worker; return why that failed, or ""."""
        for digest in missing:
            if digest not in self._traces:
                return "it asks for a trace that is not part of this run"
            (answer,) = self._client.sync(
                self._ask_all, store_trace, [worker], self._traces[digest], digest
            )
            if answer is not None:
                return f"it cannot store the trace ({_text(answer)})"
        return ""

    async def _ask_all(self, function: Callable[..., Any], workers: list[str], *args: Any) -> Any:
        """Run a function on workers; return each answer, or the error that came instead.

        The client's own ``run`` waits for ever for a worker that has stopped.
        """

        async def ask(worker: str) -> Any:
            run: Coroutine[Any, Any, Any] = self._client.run(
                function, *args, workers=[worker], on_error="return"
            )
            return (await asyncio.wait_for(run, ANSWER_SECONDS))[worker]

        return await asyncio.gather(*map(ask, workers), return_exceptions=True)

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
        job = replace(self._job, tasks=(task,), files={})
        assignment = Assignment(job, [*self._traces], self._inputs[task.entry], self._topic, key)
        future: Any = self._client.submit(
            draw, assignment, key=key, workers=[worker], retries=0, pure=False
        )
        self._running[key] = _Attempt(task, worker, future)
        self._tried[task].append(worker)
        future.add_done_callback(lambda done: self._inbox.put((done.key, None)))

    def _end(self, attempt: _Attempt, progress: Callable[[int], None]) -> None:
        """Store the result of an attempt that has ended, or try the beat again."""
        task = attempt.task
        try:
            result = Result.from_bytes(attempt.future.result())
        except Exception as error:
            self._retry(attempt, f"in beat {task.beat}: {_text(error)}", progress)
            return
        attempt.future.release()
        if result.failure:
            if self._job.request.verbose:
                echo(result.traceback, err=True)
            self._retry(attempt, result.failure, progress)
            return
        try:
            self._store(task, result)
        except OutputError as error:
            # Nothing can be written here, on a full disk say: other attempts would fail as well.
            for entry in dict.fromkeys(task.entry for task in self._job.tasks):
                self._failures[entry] = RenderError(str(error), unwritable=True)
        except (OSError, ValueError, av.FFmpegError) as error:
            self._retry(attempt, f"in beat {task.beat}: what arrived is not it: {error}", progress)
        except Exception as error:
            self._failures[task.entry] = RenderError(
                explain(error, verbose=self._job.request.verbose)
            )
        else:
            progress(task.frames - attempt.frames)
            self._unfinished.discard(task)
            self._check_scene(task)

    def _store(self, task: BeatTask, result: Result) -> None:
        """Write a master from a worker to the cache.

        Raises
        ------
        ValueError
            When it was damaged on the way, or is not that of this beat.
        """
        samples = self._samples_of(task)
        with atomic_write(task.master) as received:
            write_bytes(received, result.master)
            digest, frames, pictures = frames_of(received, self._job, task.frames, samples)
            if digest != result.digest:
                raise ValueError("it was damaged on the way")
            if frames != task.frames:
                raise ValueError(f"it has {frames} frames instead of {task.frames}")
            for number, sample in samples.items():
                if np.abs(pictures[number] - sample).max() > TOLERANCE:
                    raise ValueError(f"another picture is its frame {number + 1} of {frames}")
        seal(task.master)
        # A segment is made from the master here, because what is in it could not be checked.
        encode_segment(self._job, task)

    def _samples_of(self, task: BeatTask) -> dict[int, Squares]:
        """Return a few pictures of a beat; for that, a few of each beat of its scene are drawn.

        Raises
        ------
        Exception
            Any error of the scene's code.
        """
        known = self._samples.setdefault(task.entry, {})
        if (task.beat, task.tail) not in known:
            parts = {(t.beat, t.tail) for t in self._job.tasks if t.entry == task.entry}
            try:
                known |= _samples(self._job, task.entry, parts)
            except Exception:
                # Perhaps another beat fails: what is checked beat by beat is found out so.
                known |= _samples(self._job, task.entry, {(task.beat, task.tail)})
        return known[task.beat, task.tail]

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
        left = {t for t in self._unfinished if t.entry == task.entry and not is_sealed(t.master)}
        if given_up and left <= given_up.keys():
            self._failures[task.entry] = RenderError("; ".join(given_up.values()))


def _samples(
    job: RenderJob, entry: SceneEntry, parts: set[tuple[str, bool]]
) -> dict[tuple[str, bool], dict[int, Squares]]:
    """Run a scene, and draw the last frame of parts of its beats and a few that nobody can foresee.

    Returns
    -------
    dict
        For each part its pictures, by the numbers of their frames in it.
    """
    request = job.request
    _, trace = request.with_trace()
    rehearsal = rehearse(entry, trace, request)
    samples: dict[tuple[str, bool], dict[int, Squares]] = {}

    @contextmanager
    def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
        if (beat, tail) not in parts:
            yield None
            return
        record, pictures = rehearsal.beat(beat), list[Squares]()
        rate = request.quality.frame_rate
        own, whole = record.part_frames(rate, tail=False), record.frames(rate)
        frames = range(own, whole) if tail else range(own)
        drawn = {frames[-1], *SystemRandom().sample(frames, min(SAMPLES, len(frames)))}
        stage.renderer.only = drawn

        def take(picture: Pixels, repeat: int) -> None:
            seen = squares(master_pixels(picture, transparent=request.settings.transparent))
            pictures.extend([seen] * repeat)

        yield take
        numbers = (number - frames[0] for number in sorted(drawn))
        samples[beat, tail] = dict(zip(numbers, pictures, strict=True))

    stage = request.stage(entry, trace, receiver_of_beat=receiver_of_beat)
    stage.render()
    return samples


def inputs_of(entry: SceneEntry, read: Iterable[str]) -> dict[str, bytes]:
    """Return what a scene that is none of the project's needs elsewhere.

    Parameters
    ----------
    entry, read
        The scene, and the files that it was seen to read.

    Returns
    -------
    dict
        Content of these files, of its own and of its translations, by paths relative to its folder.
        What lies in another folder has to be on each machine.
    """
    if entry.file is None:
        return {}
    folder = entry.file.resolve().parent
    files = [folder / entry.file.name, *catalogue_folder(entry.file).resolve().glob("*.po")]
    files += map(Path, read)
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file.is_relative_to(folder) and file.is_file()
    }


def _refusal(own: dict[str, str], answer: Any) -> str:
    """Return why a worker would not draw the same pictures as this machine, or "" if it would.

    Parameters
    ----------
    own
        Versions on this machine; see :func:`versions`.
    answer
        What :func:`describe_worker` returned on the worker, or the exception that it raised.
    """
    match answer:
        case TimeoutError():
            return f"it has not answered for {ANSWER_SECONDS:.0f} seconds"
        case Exception():
            return f"it cannot run this project ({_text(answer)})"
        case [_, _, [str(edited), *_]]:
            return f"{escaped(edited)} was edited since it started; start it again"
        case [dict(there), list(missing), []] if all(isinstance(trace, str) for trace in missing):
            pass
        case _:
            return "its answer is not understood"
    return ", ".join(
        f"{name} is {escaped(str(there.get(name, 'missing')))} there and {here} here"
        for name, here in own.items()
        if there.get(name) != here
    )


def _text(error: object) -> str:
    """Say in one line what went wrong on a worker, which may have sent anything."""
    if isinstance(error, Refused):
        return "it sent something that is not plain data"
    kind = f"{type(error).__name__}: " if isinstance(error, Exception) else ""
    return error_line(escaped(" ".join(f"{kind}{error}".split())))


@contextmanager
def _no_warnings() -> Iterator[None]:
    # Dask warns of all differing versions; those that matter are checked and reported here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
