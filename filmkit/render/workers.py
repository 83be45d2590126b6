"""Render beats in several processes.

Each process runs through a scene once. It claims and draws every beat that no other process has
claimed, and runs the others without drawing, which takes a fraction of the time. So the processes
share the beats of one scene as well as those of many, and a beat can rely on everything that the
beats before it have set up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import Empty
from typing import Any, Self

from manim.utils.exceptions import EndSceneEarlyException

from extract.files import OutputError
from extract.trace import Trace
from filmkit.core.renderer import FrameSink
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.burn import burn_captions
from filmkit.render.errors import RenderError, explain
from filmkit.render.interrupts import interrupt_on_sigterm
from filmkit.render.movie import Encoding, Movie, Pixels, open_movie, read_master, to_straight_alpha
from filmkit.render.request import RenderOptions
from filmkit.render.runner import manim_config
from filmkit.words.captions import Cue

__all__ = [
    "CLEANUP_SECONDS",
    "FORK",
    "SPAWN",
    "BeatTask",
    "LocalWorkerPool",
    "RenderJob",
    "SceneWorker",
    "WorkerPool",
    "children_ignore_ctrl_c",
    "core_count",
    "encode_segment",
    "stop_with_parent",
    "stopping_with_parent",
]

# Starts a new interpreter for each process: a fork would inherit the locks of this one's threads.
SPAWN: Any = multiprocessing.get_context("spawn")
# A fork starts at once. It is safe only in a process with a single active thread; on systems other
# than Linux the libraries may have started more.
FORK: Any = multiprocessing.get_context("fork") if sys.platform == "linux" else SPAWN
POLL_SECONDS = 0.5  # how often to check that the processes are alive
CLEANUP_SECONDS = 10.0  # how long a terminated process may take to remove unfinished files


@dataclass(frozen=True)
class BeatTask:
    """A beat to render, and its files.

    Attributes
    ----------
    entry, beat
        The scene, and the name of the beat.
    master
        The lossless file of the beat's frames; rendered if it does not exist.
    segment
        The beat encoded for the film, made from the master; None if the film is not joined from
        segments.
    cues
        Captions to draw into the segment, with times in seconds from its start.
    """

    entry: SceneEntry
    beat: str
    master: Path
    segment: Path | None
    cues: tuple[Cue, ...] = ()

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
    trace_file, options
        The trace to draw, and how to render it.
    master_encoding, segment_encoding
        How masters and segments are encoded; None if there are no segments.
    verbosity
        Manim's log level.
    verbose
        Whether to print tracebacks.
    """

    tasks: tuple[BeatTask, ...]
    trace_file: Path
    options: RenderOptions
    master_encoding: Encoding
    segment_encoding: Encoding | None
    verbosity: str
    verbose: bool


def core_count() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


class LocalWorkerPool(WorkerPool):
    """Pool of processes on this machine; they are terminated at the end of the ``with`` block.

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
        self._context = context
        self._messages: Any = context.Queue()
        # One flag for each task. Kept as an attribute: it must exist until all processes started.
        self._claimed = context.Array("b", len(job.tasks))
        self._processes: list[SpawnProcess] = [
            context.Process(
                target=_run_worker, args=(job, self._claimed, self._messages, i / size), daemon=True
            )
            for i in range(size)
        ]

    def __enter__(self) -> Self:
        with children_ignore_ctrl_c(), _sigterm_blocked(self._context):
            for process in self._processes:
                process.start()
        return self

    def __exit__(self, *failure: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(CLEANUP_SECONDS)
            process.kill()

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        try:
            kind, content = self._messages.get(timeout=POLL_SECONDS)
        except Empty:
            if not any(process.is_alive() for process in self._processes):
                codes = ", ".join(str(process.exitcode) for process in self._processes)
                raise RenderError(
                    f"in beat {task.beat}: the process that drew it ended early ({codes}); "
                    "if it ran out of memory, --jobs 1 needs the least"
                ) from None
            return
        if kind == "frames":
            progress(content)
        elif kind == "done":
            self._unfinished.discard(content)
        else:
            entry, message, unwritable = content
            self._failures.setdefault(entry, RenderError(message, unwritable=unwritable))


@contextmanager
def children_ignore_ctrl_c() -> Iterator[None]:
    """Make processes that start inside the ``with`` block ignore Ctrl-C.

    They inherit the setting. This process stops them with SIGTERM instead.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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


def _run_worker(job: RenderJob, claimed: Any, messages: Any, start: float) -> None:
    """Render all scenes of a job in this process, together with the other processes of the pool.

    Parameters
    ----------
    job
        The beats to render, and how.
    claimed
        One flag for each task, shared by all processes.
    messages
        Queue of messages to the parent process.
    start
        Which scene to start with, as a fraction of the list in [0, 1); after the last scene the
        first ones follow. Processes that start apart seldom run the same scene at the same time.
    """
    try:
        with stopping_with_parent():
            entries = list(dict.fromkeys(task.entry for task in job.tasks))
            first = int(start * len(entries))
            worker = SceneWorker(job, claimed, lambda *message: messages.put(message))
            with manim_config(job.options.quality, verbosity=job.verbosity):
                for entry in entries[first:] + entries[:first]:
                    try:
                        worker.render(entry)
                    except Exception as error:
                        message = explain(error, verbose=job.verbose)
                        messages.put(("failed", (entry, message, isinstance(error, OutputError))))
    except KeyboardInterrupt:
        # The parent reads no more messages: do not wait until the remaining ones are sent.
        messages.cancel_join_thread()


@contextmanager
def stopping_with_parent() -> Iterator[None]:
    """Call :func:`stop_with_parent`; restore the default SIGTERM at the end of the block.

    After the block there are no unfinished files, so the process may be killed at once.
    """
    try:
        stop_with_parent()
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stop_with_parent() -> None:
    """Make this process stop on SIGTERM or when its parent ends, and ignore Ctrl-C.

    SIGTERM raises KeyboardInterrupt, so that unfinished files are removed on the way out. Ctrl-C is
    handled by the parent alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt_on_sigterm()
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    """Wait until the parent process has ended, then send SIGTERM to this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _open(path: Path, options: RenderOptions, encoding: Encoding) -> AbstractContextManager[Movie]:
    quality = options.quality
    return open_movie(path, quality.width, quality.height, quality.frame_rate, encoding)


def encode_segment(job: RenderJob, task: BeatTask) -> None:
    """Encode a beat's segment from its master, if the task has a segment that does not exist."""
    if task.segment and job.segment_encoding and not task.segment.exists():
        with _open(task.segment, job.options, job.segment_encoding) as movie:
            frame_rate = job.options.quality.frame_rate
            pictures = read_master(task.master, frame_rate)
            if task.cues:
                pictures = burn_captions(
                    pictures, task.cues, frame_rate, job.options.settings.theme
                )
            for picture, repeat in pictures:
                movie.write(picture, repeat)


class SceneWorker:
    """Renders those beats of scenes that no other process has claimed.

    Parameters
    ----------
    job
        The beats to render, and how.
    claimed
        One flag for each task, shared by all processes that render the job: a
        ``multiprocessing.Array``.
    report
        Called with "frames" and the number of newly drawn frames, and with "done" and a finished
        task.
    """

    def __init__(self, job: RenderJob, claimed: Any, report: Callable[[str, Any], None]) -> None:
        self._job = job
        self._claimed = claimed
        self._report = report
        self._trace = Trace.load(job.trace_file)

    def render(self, entry: SceneEntry) -> None:
        """Render the beats of a scene that are not claimed yet."""
        tasks = {task.beat: task for task in self._job.tasks if task.entry == entry}
        for task in tasks.values():
            if task.master.exists() and self._claim(task):
                self._finish(task)
        if self._any_unclaimed(tasks.values()):
            self._run_scene(entry, tasks)

    def _run_scene(self, entry: SceneEntry, tasks: dict[str, BeatTask]) -> None:
        options = self._job.options
        transparent = options.settings.transparent

        @contextmanager
        def sink(beat: str) -> Iterator[FrameSink | None]:
            task = tasks.get(beat)
            if task is None or not self._claim(task):
                yield None
                return
            with _open(task.master, options, self._job.master_encoding) as movie:

                def write(picture: Pixels, repeat: int) -> None:
                    movie.write(to_straight_alpha(picture) if transparent else picture, repeat)
                    self._report("frames", repeat)

                yield write
            self._finish(task)

        def stop_when_all_is_claimed(*beat: object) -> None:
            if not self._any_unclaimed(tasks.values()):
                raise EndSceneEarlyException

        stage = entry.load()
        stage(
            self._trace, options.settings, beat_sink=sink, on_beat_end=stop_when_all_is_claimed
        ).render()

    def _finish(self, task: BeatTask) -> None:
        encode_segment(self._job, task)
        self._report("done", task)

    def _claim(self, task: BeatTask) -> bool:
        """Claim a beat for this process; return False if it was claimed before."""
        index = self._job.tasks.index(task)
        with self._claimed.get_lock():
            free = not self._claimed[index]
            self._claimed[index] = 1
        return free

    def _any_unclaimed(self, tasks: Iterable[BeatTask]) -> bool:
        return not all(self._claimed[self._job.tasks.index(task)] for task in tasks)
