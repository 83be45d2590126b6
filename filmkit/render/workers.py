"""Renders beats in several processes.

A process walks through a scene once: a beat that nobody has taken yet it takes and draws, the
others it runs without drawing, which takes a fraction of the time. So the processes share the
beats of one scene as well as those of many, and no beat has to know what the one before left.
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
from filmkit.render.burn import burned
from filmkit.render.errors import WorkError, explain
from filmkit.render.interrupts import be_stoppable
from filmkit.render.movie import Encoding, Movie, Pixels, open_movie, read_master, straight
from filmkit.render.request import RenderOptions
from filmkit.render.runner import manim_config
from filmkit.words.captions import Cue

__all__ = [
    "FORK",
    "LAST_WORDS",
    "SPAWN",
    "BeatTask",
    "LocalWorkerPool",
    "RenderJob",
    "SceneWorker",
    "WorkerPool",
    "cores",
    "ctrl_c_is_for_us",
    "encode_part",
    "obey_parent",
    "obeying_parent",
]

# A new interpreter for each process: a copy of this one would share its threads' locks.
SPAWN: Any = multiprocessing.get_context("spawn")
# A copy starts at once, and is safe where a process has but one thread that does anything; on
# other systems than Linux, libraries may have more.
FORK: Any = multiprocessing.get_context("fork") if sys.platform == "linux" else SPAWN
PATIENCE = 0.5  # seconds between looks at whether the processes are alive
LAST_WORDS = 10.0  # seconds that a process has to remove what is unfinished


@dataclass(frozen=True)
class BeatTask:
    """A beat to be rendered.

    Attributes
    ----------
    entry, beat
        Which.
    master
        The lossless file of its pictures; it is drawn if it is not there.
    part
        The piece of the film that is made from the master, if any.
    cues
        Captions that are drawn into the piece, in seconds from its start.
    """

    entry: SceneEntry
    beat: str
    master: Path
    part: Path | None
    cues: tuple[Cue, ...] = ()

    @property
    def last(self) -> Path:
        """The file that is made last."""
        return self.part or self.master


@dataclass(frozen=True)
class RenderJob:
    """What the processes do.

    Attributes
    ----------
    tasks
        In the order of the story.
    trace_file, options
        What to draw, and how.
    master, part
        How masters and pieces of the film are coded.
    verbosity, verbose
        Which of Manim's messages are shown; whether tracebacks are.
    """

    tasks: tuple[BeatTask, ...]
    trace_file: Path
    options: RenderOptions
    master: Encoding
    part: Encoding | None
    verbosity: str
    verbose: bool


def cores() -> int:
    """How many processes can run at once on this machine."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool(ABC):
    """Whoever makes the beats; at work from the start of its ``with`` block to the end.

    Parameters
    ----------
    work
        What is to be done.
    """

    def __init__(self, work: RenderJob) -> None:
        self._work = work
        self._unfinished = set(work.tasks)
        self._failures: dict[SceneEntry, WorkError] = {}

    @abstractmethod
    def __enter__(self) -> Self:
        """Begin."""

    @abstractmethod
    def __exit__(self, *failure: object) -> None:
        """Let go of what is not finished."""

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        """Wait until a beat's files are there.

        Parameters
        ----------
        task
            The beat.
        progress
            Called with the number of frames that were drawn meanwhile, of any beat; with a
            negative one when some have to be drawn again.

        Raises
        ------
        WorkError
            When its scene failed.
        """
        while task in self._unfinished:
            if failure := self._failures.get(task.entry):
                raise failure
            self._follow(task, progress)

    @abstractmethod
    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        """Note what happens next, or that nothing did for a while."""


class LocalWorkerPool(WorkerPool):
    """Processes of this machine; they are gone when the ``with`` block is left.

    Parameters
    ----------
    work
        What they do.
    size
        How many there are.
    context
        How they start: :data:`SPAWN` or :data:`FORK`.
    """

    def __init__(self, work: RenderJob, size: int, context: Any = SPAWN) -> None:
        super().__init__(work)
        self._context = context
        self._messages: Any = context.Queue()
        # Kept here too: it must last until the last process has started.
        self._taken = context.Array("b", len(work.tasks))
        self._processes: list[SpawnProcess] = [
            context.Process(
                target=_serve, args=(work, self._taken, self._messages, i / size), daemon=True
            )
            for i in range(size)
        ]

    def __enter__(self) -> Self:
        with ctrl_c_is_for_us(), _told_once_they_listen(self._context):
            for process in self._processes:
                process.start()
        return self

    def __exit__(self, *failure: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(LAST_WORDS)
            process.kill()

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        try:
            kind, what = self._messages.get(timeout=PATIENCE)
        except Empty:
            if not any(process.is_alive() for process in self._processes):
                codes = ", ".join(str(process.exitcode) for process in self._processes)
                raise WorkError(
                    f"in beat {task.beat}: the process that drew it ended early ({codes}); "
                    "if it ran out of memory, --jobs 1 needs the least"
                ) from None
            return
        if kind == "frames":
            progress(what)
        elif kind == "done":
            self._unfinished.discard(what)
        else:
            entry, said, unwritable = what
            self._failures.setdefault(entry, WorkError(said, unwritable=unwritable))


@contextmanager
def ctrl_c_is_for_us() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C: they are told to stop instead."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _told_once_they_listen(context: Any) -> Iterator[None]:
    """Copies that start meanwhile are not told to stop before they can do so without a word."""
    if context is SPAWN:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: RenderJob, taken: Any, messages: Any, share: float) -> None:
    """What a process does: begin a share of the way into the scenes and go round once."""
    try:
        with obeying_parent():
            entries = list(dict.fromkeys(task.entry for task in work.tasks))
            first = int(share * len(entries))
            worker = SceneWorker(work, taken, lambda *message: messages.put(message))
            with manim_config(work.options.quality, verbosity=work.verbosity):
                for entry in entries[first:] + entries[:first]:
                    try:
                        worker.render(entry)
                    except Exception as error:
                        said = explain(error, verbose=work.verbose)
                        messages.put(("failed", (entry, said, isinstance(error, OutputError))))
    except KeyboardInterrupt:
        # Nobody reads what has not been said by now.
        messages.cancel_join_thread()


@contextmanager
def obeying_parent() -> Iterator[None]:
    """Meanwhile this process ends as its parent says, or with it, by an interrupt.

    Afterwards there is nothing unfinished any more, so it may be ended without one.
    """
    try:
        obey_parent()
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def obey_parent() -> None:
    """Let this process end as its parent says, or with it; Ctrl-C is for the parent alone.

    Being told to stop is like Ctrl-C for it: what is unfinished is removed on the way out.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_stoppable()
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _open(path: Path, options: RenderOptions, encoding: Encoding) -> AbstractContextManager[Movie]:
    quality = options.quality
    return open_movie(path, quality.width, quality.height, quality.frame_rate, encoding)


def encode_part(work: RenderJob, task: BeatTask) -> None:
    """Make a beat's piece of the film from its master, if there is to be one and is none."""
    if task.part and work.part and not task.part.exists():
        with _open(task.part, work.options, work.part) as movie:
            frame_rate = work.options.quality.frame_rate
            pictures = read_master(task.master, frame_rate)
            if task.cues:
                pictures = burned(pictures, task.cues, frame_rate, work.options.settings.theme)
            for picture, repeat in pictures:
                movie.write(picture, repeat)


class SceneWorker:
    """One process's part in the work.

    Parameters
    ----------
    work
        What is to be done.
    taken
        One flag for each task, shared with whoever takes tasks too.
    say
        Called with "frames" and how many were drawn, and with "done" and a finished task.
    """

    def __init__(self, work: RenderJob, taken: Any, say: Callable[[str, Any], None]) -> None:
        self._work = work
        self._taken = taken
        self._say = say
        self._trace = Trace.load(work.trace_file)

    def render(self, entry: SceneEntry) -> None:
        """Take what is left of a scene."""
        tasks = {task.beat: task for task in self._work.tasks if task.entry == entry}
        for task in tasks.values():
            if task.master.exists() and self._take(task):
                self._finish(task)
        if self._left(tasks.values()):
            self._walk(entry, tasks)

    def _walk(self, entry: SceneEntry, tasks: dict[str, BeatTask]) -> None:
        options = self._work.options
        transparent = options.settings.transparent

        @contextmanager
        def sink(beat: str) -> Iterator[FrameSink | None]:
            task = tasks.get(beat)
            if task is None or not self._take(task):
                yield None
                return
            with _open(task.master, options, self._work.master) as movie:

                def take(picture: Pixels, repeat: int) -> None:
                    movie.write(straight(picture) if transparent else picture, repeat)
                    self._say("frames", repeat)

                yield take
            self._finish(task)

        def stop_when_all_is_taken(*beat: object) -> None:
            if not self._left(tasks.values()):
                raise EndSceneEarlyException

        stage = entry.load()
        stage(
            self._trace, options.settings, beat_sink=sink, on_beat_end=stop_when_all_is_taken
        ).render()

    def _finish(self, task: BeatTask) -> None:
        encode_part(self._work, task)
        self._say("done", task)

    def _take(self, task: BeatTask) -> bool:
        """Take a beat, if nobody has."""
        place = self._work.tasks.index(task)
        with self._taken.get_lock():
            free = not self._taken[place]
            self._taken[place] = 1
        return free

    def _left(self, tasks: Iterable[BeatTask]) -> bool:
        return not all(self._taken[self._work.tasks.index(task)] for task in tasks)
