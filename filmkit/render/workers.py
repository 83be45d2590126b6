"""Render beats in several processes.

Each process runs through a scene once. It claims and draws every beat that no other process has
claimed, and runs the others without drawing, which takes a fraction of the time. So the processes
share the beats of one scene as well as those of many, and a beat can rely on everything that the
beats before it have set up.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

from manim.utils.exceptions import EndSceneEarlyException

from extract.support.files import OutputError
from extract.support.printing import prints_as_messages
from extract.support.temporary import temporary_folder
from extract.trace import Trace
from filmkit.core.beat_records import Use
from filmkit.core.renderer import FrameReceiver
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.cache import is_sealed, seal
from filmkit.render.clean_process import end_silent, write_stacks_to
from filmkit.render.errors import EditedError, RenderError, explain
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import Encoding, Movie, Pixels, master_pixels, open_movie, read_master
from filmkit.render.overlay import NOTHING, Overlay, OverlayPainter
from filmkit.render.processes import (
    CLEANUP_SECONDS,
    POLL_SECONDS,
    SILENT_SECONDS,
    children_ignore_ctrl_c,
    exit_text,
    stopping_with_parent,
    where_it_was,
)
from filmkit.render.recording import CODE, OWN_CODE, changed
from filmkit.render.request import RenderRequest

__all__ = [
    "FORK",
    "SPAWN",
    "AllClaims",
    "BeatTask",
    "Claims",
    "LocalWorkerPool",
    "RenderJob",
    "SceneWorker",
    "WorkerPool",
    "encode_segment",
    "import_file",
    "load_all",
    "require_unchanged",
]

# Starts a new interpreter for each process: a fork would inherit the locks of this one's threads.
SPAWN: Any = multiprocessing.get_context("spawn")
# A fork starts at once. It is safe only in a process with a single active thread; on systems other
# than Linux the libraries may have started more.
FORK: Any = multiprocessing.get_context("fork") if sys.platform == "linux" else SPAWN
MAX_ATTEMPTS = 3  # how often a beat is tried before it is given up
STOP = "stop"


@dataclass(frozen=True)
class BeatTask:
    """A part of a beat to render, and its files.

    Attributes
    ----------
    entry, beat
        The scene, and the name of the beat.
    tail
        Whether this is the tail of the beat, or what comes before it.
    master
        The lossless file of the frames; rendered if it does not exist.
    segment
        The same encoded for the film, made from the master; None if the film is not joined from
        segments.
    frames
        Number of its frames.
    overlay
        What is drawn over the frames of the segment.
    """

    entry: SceneEntry
    beat: str
    tail: bool
    master: Path
    segment: Path | None
    frames: int
    overlay: Overlay = NOTHING

    @property
    def output(self) -> Path:
        """The file that the film is made from: the segment, else the master."""
        return self.segment or self.master


@dataclass(frozen=True)
class RenderJob:
    """All beats that a worker pool renders, and how.

    Attributes
    ----------
    tasks
        The beats, in the order of the story.
    request
        The trace to draw, and how to render it.
    master_encoding, segment_encoding
        How masters and segments are encoded; None if there are no segments.
    uses
        Code, traces and other things from which the cache keys of the tasks were made.
    """

    tasks: tuple[BeatTask, ...]
    request: RenderRequest
    master_encoding: Encoding
    segment_encoding: Encoding | None
    uses: tuple[Use, ...] = ()


class WorkerPool(ABC):
    """Pool of processes that render beats; a context manager.

    Rendering starts on entering the ``with`` block.

    Parameters
    ----------
    job
        The beats to render, and how.
    """

    def __init__(self, job: RenderJob) -> None:
        self._job = job
        self._unfinished = set(job.tasks)
        self._failures: dict[SceneEntry, RenderError] = {}

    @abstractmethod
    def __enter__(self) -> Self:
        """Start rendering."""

    @abstractmethod
    def __exit__(self, *failure: object) -> None:
        """Stop rendering and drop unfinished beats."""

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        """Wait until a beat's files exist.

        Parameters
        ----------
        task
            The beat.
        progress
            Called with the number of newly drawn frames of any beat; the number is negative when
            frames have to be drawn again.

        Raises
        ------
        RenderError
            When the beat's scene failed.
        """
        while task in self._unfinished:
            if failure := self._failures.get(task.entry):
                raise failure
            self._follow(task, progress)

    @abstractmethod
    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        """Process the next message from the workers, or return after a while without one."""


class Claims(ABC):
    """Who renders which beat: every beat is claimed by one process at a time."""

    @abstractmethod
    def claim(self, index: int) -> bool:
        """Claim the task with this index; return False if another process has it."""

    @abstractmethod
    def any_unclaimed(self, indexes: Iterable[int]) -> bool:
        """Return whether one of these tasks is not claimed yet."""


class AllClaims(Claims):
    """All tasks belong to the one process that renders the job."""

    def __init__(self) -> None:
        self._claimed: set[int] = set()

    def claim(self, index: int) -> bool:
        free = index not in self._claimed
        self._claimed.add(index)
        return free

    def any_unclaimed(self, indexes: Iterable[int]) -> bool:
        return not self._claimed.issuperset(indexes)


class _AskedClaims(Claims):
    """Claims that the parent process keeps; this process asks for each over its connection.

    No lock is shared between processes: one that is killed can leave none of them locked.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, index: int) -> bool:
        self._connection.send(("claim", index))
        return bool(self._connection.recv())

    def any_unclaimed(self, indexes: Iterable[int]) -> bool:
        self._connection.send(("unclaimed", list(indexes)))
        return bool(self._connection.recv())


@dataclass
class _Worker:
    """A process of the pool, as the parent sees it.

    Attributes
    ----------
    process, connection
        The process, and the parent's end of the connection to it.
    stacks
        The file into which it writes where it is when it ends.
    heard
        When the last message came from it, by :func:`time.monotonic`.
    is_silent
        Whether it was ended because nothing came from it.
    """

    process: SpawnProcess
    connection: Connection
    stacks: Path
    heard: float
    is_silent: bool = False


class LocalWorkerPool(WorkerPool):
    """Pool of processes on this machine; they are terminated at the end of the ``with`` block.

    A process that dies, or says nothing for a while, is replaced, and the beat that it was
    rendering is rendered again.

    Parameters
    ----------
    job
        The beats to render, and how.
    size
        Number of processes.
    context
        Start method of the processes: :data:`SPAWN` or :data:`FORK`.
    """

    def __init__(self, job: RenderJob, size: int, context: Any = SPAWN) -> None:
        super().__init__(job)
        self._size = size
        self._context = context
        self._workers: dict[int, _Worker] = {}
        # Guards the two lists, which the thread that answers the processes shares.
        self._lock = threading.Lock()
        self._owners: list[int | None] = [None] * len(job.tasks)
        self._frames = [0] * len(job.tasks)
        self._attempts = [0] * len(job.tasks)
        self._messages: SimpleQueue[tuple[int, str, Any]] = SimpleQueue()
        self._count = self._crashes = 0
        # Tells the thread that there is another process, or to stop.
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._temporary = ExitStack()

    def __enter__(self) -> Self:
        self._folder = self._temporary.enter_context(temporary_folder())
        with children_ignore_ctrl_c(), _sigterm_blocked(self._context):
            for i in range(self._size):
                self._start(self._context, i / self._size)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._waker.send(STOP)
        self._thread.join()
        workers = list(self._workers.values())
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(CLEANUP_SECONDS)
            worker.process.kill()
        self._temporary.close()

    def _start(self, context: Any, start: float) -> None:
        """Start another process."""
        ours, theirs = context.Pipe()
        stacks = self._folder / str(self._count)
        process = context.Process(
            target=_run_worker, args=(self._job, theirs, start, stacks), daemon=True
        )
        process.start()
        # Only the process holds its end now, so that its death ends the connection.
        theirs.close()
        with self._lock:
            self._workers[self._count] = _Worker(process, ours, stacks, time.monotonic())
        self._count += 1

    def _answer(self) -> None:
        """Answer the processes' requests and pass on their messages; runs in a thread."""
        while True:
            with self._lock:
                connections = {w.connection: number for number, w in self._workers.items()}
            for ready in wait_for([*connections, self._wake]):
                if ready is self._wake:
                    if self._wake.recv() == STOP:
                        return
                    continue
                assert isinstance(ready, Connection)
                number = connections[ready]
                try:
                    kind, content = ready.recv()
                    self._workers[number].heard = time.monotonic()
                    if kind == "claim":
                        ready.send(self._claim(content, number))
                    elif kind == "unclaimed":
                        with self._lock:
                            ready.send(any(self._owners[index] is None for index in content))
                    else:
                        self._messages.put((number, kind, content))
                except (EOFError, OSError):
                    with self._lock:
                        worker = self._workers.pop(number)
                    self._messages.put((number, "gone", worker))

    def _claim(self, index: int, number: int) -> bool:
        with self._lock:
            if self._owners[index] is not None:
                return False
            self._owners[index] = number
            return True

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        try:
            number, kind, content = self._messages.get(timeout=POLL_SECONDS)
        except Empty:
            self._end_silent_workers()
            return
        if kind == "frames":
            index, count = content
            self._frames[index] += count
            progress(count)
        elif kind == "done":
            self._unfinished.discard(self._job.tasks[content])
        elif kind == "failed":
            entry, message, unwritable = content
            self._failures.setdefault(entry, RenderError(message, unwritable=unwritable))
        elif kind == "gone":
            self._replace(number, content, progress)

    def _replace(self, number: int, gone: _Worker, progress: Callable[[int], None]) -> None:
        """Free the beat of a process that has ended, and start another one if there is work."""
        gone.process.join(CLEANUP_SECONDS)
        code = gone.process.exitcode
        with self._lock:
            owned = [
                index
                for index, owner in enumerate(self._owners)
                if owner == number and self._job.tasks[index] in self._unfinished
            ]
        if code != 0:
            self._crashes += not owned
        for index in owned:
            task = self._job.tasks[index]
            if task.entry in self._failures:
                continue
            self._attempts[index] += 1
            if self._attempts[index] == MAX_ATTEMPTS:
                where = where_it_was(gone.stacks, task.beat)
                self._failures[task.entry] = RenderError(
                    f"{where}no frame came for {SILENT_SECONDS:.0f} seconds, {MAX_ATTEMPTS} times"
                    if gone.is_silent
                    else f"{where}the process that drew it ended early {MAX_ATTEMPTS} times "
                    f"({exit_text(code)}); if it ran out of memory, --jobs 1 needs the least"
                )
                continue
            progress(-self._frames[index])
            self._frames[index] = 0
            with self._lock:
                self._owners[index] = None
        with self._lock:
            free = any(
                owner is None and task.entry not in self._failures
                for owner, task in zip(self._owners, self._job.tasks, strict=True)
            )
            if not free or (self._workers and not owned):
                return
        if self._crashes >= MAX_ATTEMPTS:
            raise RenderError(
                f"the processes that draw stop as soon as they start ({exit_text(code)})"
            )
        with children_ignore_ctrl_c():
            # Never a fork: this process has more than one thread by now.
            self._start(SPAWN, 0.0)
        self._waker.send(None)

    def _end_silent_workers(self) -> None:
        """Kill processes from which nothing has come for a while; they are replaced then."""
        with self._lock:
            silent = [
                worker
                for worker in self._workers.values()
                if time.monotonic() - worker.heard > SILENT_SECONDS
            ]
        for worker in silent:
            worker.is_silent = True
            end_silent(worker.process)


@contextmanager
def _sigterm_blocked(context: Any) -> Iterator[None]:
    """Block SIGTERM in processes that are forked inside the ``with`` block.

    They inherit the mask and unblock the signal once they can handle it (:func:`stop_with_parent`),
    so that none is killed with a traceback while it starts.
    """
    if context is SPAWN:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_worker(job: RenderJob, connection: Connection, start: float, stacks: Path) -> None:
    """Render all scenes of a job in this process, together with the other processes of the pool.

    Parameters
    ----------
    job
        The beats to render, and how.
    connection
        To the parent process, which keeps the claims and takes messages.
    start
        Which scene to start with, as a fraction of the list in [0, 1); after the last scene the
        first ones follow. Processes that start apart seldom run the same scene at the same time.
    stacks
        As for :func:`write_stacks_to`.
    """
    write_stacks_to(stacks)

    def failed(entry: SceneEntry, error: Exception) -> None:
        message = explain(error, verbose=job.request.verbose)
        connection.send(("failed", (entry, message, isinstance(error, OutputError))))

    entries = list(dict.fromkeys(task.entry for task in job.tasks))
    first = int(start * len(entries))
    try:
        with (
            stopping_with_parent(),
            manim_config(job.request.quality, verbosity=job.request.verbosity),
            prints_as_messages(),
        ):
            try:
                claims = _AskedClaims(connection)
                worker = SceneWorker(job, claims, lambda *message: connection.send(message))
            except Exception as error:
                for entry in entries:
                    failed(entry, error)
                return
            for entry in entries[first:] + entries[:first]:
                try:
                    worker.render(entry)
                except Exception as error:
                    failed(entry, error)
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the parent has stopped this process, or is gone


def _open(path: Path, request: RenderRequest, encoding: Encoding) -> AbstractContextManager[Movie]:
    quality = request.quality
    return open_movie(path, quality.width, quality.height, quality.frame_rate, encoding)


@contextmanager
def _open_segment(job: RenderJob, task: BeatTask) -> Iterator[FrameReceiver | None]:
    """Open the segment of a task, and yield what draws its overlay on pictures and appends them.

    It yields None if the task has no segment, or one that is finished.
    """
    if not (task.segment and job.segment_encoding) or is_sealed(task.segment):
        yield None
        return
    request = job.request
    painter = OverlayPainter(task.overlay, request.quality.frame_rate, request.settings)
    with _open(task.segment, request, job.segment_encoding) as movie:

        def write(picture: Pixels, repeat: int) -> None:
            for piece in painter.pieces(picture, repeat):
                movie.write(*piece)

        yield write


def encode_segment(job: RenderJob, task: BeatTask) -> None:
    """Encode a beat's segment from its master, if the task has a segment that does not exist."""
    with _open_segment(job, task) as write:
        if write is None:
            return
        for picture, repeat in read_master(task.master, job.request.quality.frame_rate):
            write(picture, repeat)
    if task.segment:
        seal(task.segment)


Tasks = dict[tuple[str, bool], tuple[int, BeatTask]]
"""Tasks of a scene with their indexes, by the names of beats and whether tails are meant."""


class SceneWorker:
    """Renders those beats of scenes that no other process has claimed.

    Parameters
    ----------
    job
        The beats to render, and how.
    claims
        Which beats this process renders.
    report
        Called with "frames" and the index of a task with the number of newly drawn frames, and
        with "done" and the index of a finished task.

    Raises
    ------
    EditedError
        When something that the job's cache keys were made from has changed.
    """

    def __init__(self, job: RenderJob, claims: Claims, report: Callable[[str, Any], None]) -> None:
        self._job = job
        self._claims = claims
        self._report = report
        self._trace = Trace.load(job.request.trace_file)
        entries = list(dict.fromkeys(task.entry for task in job.tasks))
        self._stages = load_all(entries, job.uses)
        require_unchanged(job.uses)
        # From here on, edits of what is in memory do not matter.
        loaded = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
        loaded.add(str(job.request.trace_file))
        self._unloaded = [use for use in job.uses if use[1] not in loaded]

    def render(self, entry: SceneEntry) -> None:
        """Render the beats of a scene that are not claimed yet."""
        tasks = {
            (task.beat, task.tail): (index, task)
            for index, task in enumerate(self._job.tasks)
            if task.entry == entry
        }
        for index, task in tasks.values():
            if is_sealed(task.master) and self._claims.claim(index):
                encode_segment(self._job, task)
                self._report("done", index)
        if self._any_unclaimed(tasks):
            self._run_scene(entry, tasks)

    def _run_scene(self, entry: SceneEntry, tasks: Tasks) -> None:
        request = self._job.request
        transparent = request.settings.transparent

        @contextmanager
        def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
            index, task = tasks.get((beat, tail), (-1, None))
            if task is None or not self._claims.claim(index):
                yield None
                return
            written = [task.master]
            encoding = self._job.segment_encoding
            # Where repeats are merged, a master does not tell how often each picture was given: the
            # segment is made of it, as it is on a cluster.
            merged = encoding is not None and encoding.merge_repeats
            with (
                _open(task.master, request, self._job.master_encoding) as movie,
                nullcontext() if merged else _open_segment(self._job, task) as write_segment,
            ):
                if write_segment and task.segment:
                    written.append(task.segment)

                def write(picture: Pixels, repeat: int) -> None:
                    pixels = master_pixels(picture, transparent=transparent)
                    movie.write(pixels, repeat)
                    if write_segment:
                        write_segment(pixels, repeat)
                    self._report("frames", (index, repeat))

                yield write
            require_unchanged(self._unloaded)
            for file in written:
                seal(file)
            encode_segment(self._job, task)
            self._report("done", index)

        def stop_when_all_is_claimed(*beat: object) -> None:
            if not self._any_unclaimed(tasks):
                raise EndSceneEarlyException

        # A file of the user's own is loaded anew if it was edited: here it is as it was.
        stage = self._stages.get(entry) or entry.load()
        stage(
            self._trace,
            request.settings,
            receiver_of_beat=receiver_of_beat,
            on_beat_end=stop_when_all_is_claimed,
            speech=request.speech_of(entry),
        ).render()

    def _any_unclaimed(self, tasks: Tasks) -> bool:
        return self._claims.any_unclaimed(index for index, _ in tasks.values())


def load_all(entries: Iterable[SceneEntry], uses: Iterable[Use]) -> dict[SceneEntry, type[Stage]]:
    """Import scenes and all code that they use, also what they import while they run.

    Returns
    -------
    dict
        The class of each scene that could be imported. The error of another one is reported when
        it is rendered.
    """
    stages = {}
    for entry in entries:
        with suppress(Exception):
            stages[entry] = entry.load()
    for kind, name, _ in uses:
        if kind in (CODE, OWN_CODE):
            with suppress(Exception):
                import_file(Path(name))
    return stages


def import_file(file: Path) -> None:
    """Import a file of code by the name that it has for Python, if it has one."""
    folders = [folder for folder in map(Path, sys.path) if folder in file.parents]
    if folders:
        nearest = max(folders, key=lambda folder: len(folder.parts))
        import_module(".".join(file.relative_to(nearest).with_suffix("").parts))


def require_unchanged(uses: Iterable[Use]) -> None:
    """Raise an EditedError unless everything is as it was when it was used."""
    if changed(uses):
        raise EditedError
