"""Render beats in several processes.

Each process runs through a scene once. It claims and draws every beat that no other process has
claimed, and runs the others without drawing, which takes a fraction of the time. So the processes
share the beats of one scene as well as those of many, and a beat can rely on everything that the
beats before it have set up.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, Self

from manim.utils.exceptions import EndSceneEarlyException

from extract.support.files import OutputError
from extract.support.printing import echo, prints_as_messages
from extract.support.temporary import temporary_folder
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.renderer import FrameReceiver
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.cache import is_sealed, seal
from filmkit.render.errors import EditedError, RenderError, explain
from filmkit.render.keys import LOADED
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import Encoding, Pixels, master_pixels, open_movie, read_master
from filmkit.render.overlay import NOTHING, Overlay, OverlayPainter
from filmkit.render.processes import DONE, POLL_SECONDS, Apart, stop, telling
from filmkit.render.request import RenderRequest

__all__ = [
    "BeatTask",
    "Claims",
    "LocalWorkerPool",
    "RenderJob",
    "SceneWorker",
    "WorkerPool",
    "encode_segment",
    "render_claimed",
]

MAX_ATTEMPTS = 3  # how often a beat is tried before it is given up
RENDER = "filmkit.render.workers:render_claimed"


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
        What the film is made from: the same with its overlay, encoded anew from the master.
    frames
        Number of its frames.
    overlay
        What is drawn over the frames of the segment.
    seen
        The rehearsal's key of what is drawn; see :mod:`filmkit.core.display`.
    """

    entry: SceneEntry
    beat: str
    tail: bool
    master: Path
    segment: Path
    frames: int
    overlay: Overlay = NOTHING
    seen: str = ""


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
        How masters and segments are encoded; None if no segments are made.
    drawing
        A hash of the code that draws, from which the tasks' cache keys were made.
    files
        Paths of files that each scene was seen to read.
    """

    tasks: tuple[BeatTask, ...]
    request: RenderRequest
    master_encoding: Encoding
    segment_encoding: Encoding | None
    drawing: str
    files: Mapping[SceneEntry, tuple[str, ...]]


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


class Claims:
    """Who renders which task: for each there is a file, which who renders it has renamed.

    So every task is claimed by one process at a time, and no lock is shared between them: one that
    is killed can leave none of them locked.

    Parameters
    ----------
    folder
        The folder of these files, which begins empty.
    owner
        By which name the process claims tasks.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._owner = owner

    def offer(self, indexes: Iterable[int]) -> None:
        """Let tasks be claimed, by their indexes."""
        for index in indexes:
            self._free(index).touch()

    def claim(self, index: int) -> bool:
        """Claim a task; return False if another process has it."""
        try:
            self._free(index).rename(self._own(index))
        except FileNotFoundError:
            return False
        return True

    def has(self, index: int) -> bool:
        """Return whether the process has claimed a task."""
        return self._own(index).exists()

    def release(self, index: int) -> None:
        """Let a task be claimed by others, after the process has ended."""
        self._own(index).rename(self._free(index))

    def any_unclaimed(self, indexes: Iterable[int]) -> bool:
        """Return whether one of these tasks is not claimed yet."""
        return any(self._free(index).exists() for index in indexes)

    def _free(self, index: int) -> Path:
        return self._folder / str(index)

    def _own(self, index: int) -> Path:
        return self._folder / f"{index} of {self._owner}"


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
    fork
        As for :class:`Apart`; processes that replace others are no forks.
    """

    def __init__(self, job: RenderJob, size: int, *, fork: bool = False) -> None:
        super().__init__(job)
        self._size = size
        self._fork = fork
        self._workers: dict[str, Apart] = {}
        self._frames = [0] * len(job.tasks)
        self._attempts = [0] * len(job.tasks)
        self._passing: list[BeatTask] = []
        self._started = self._crashes = 0
        self._temporary = ExitStack()

    def __enter__(self) -> Self:
        self._folder = self._temporary.enter_context(temporary_folder())
        Claims(self._folder, "the pool").offer(range(len(self._job.tasks)))
        for i in range(self._size):
            self._start(i / self._size, fork=self._fork)
        return self

    def __exit__(self, *failure: object) -> None:
        stop(*self._workers.values())
        self._temporary.close()
        for task in self._passing:
            for file in (task.master, task.segment):
                file.unlink(missing_ok=True)

    def _let_go(self, task: BeatTask) -> None:
        """Use a task's files only until the end, and say so once for each scene."""
        if task.entry not in {other.entry for other in self._passing}:
            text = "draws something else each time that it runs, so it is drawn again each time"
            if not self._job.request.quiet:
                echo(f"{task.entry.slug} {text}", err=True)
        self._passing.append(task)

    def _start(self, first: float = 0.0, *, fork: bool = False) -> None:
        """Start another process; see :func:`render_claimed`."""
        name = f"process {self._started}"
        arguments = self._job, self._folder, name, first
        self._workers[name] = Apart(RENDER, arguments, self._folder / name, fork=fork)
        self._started += 1

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        ready = wait_for([worker.connection for worker in self._workers.values()], POLL_SECONDS)
        for name, worker in [*self._workers.items()]:
            is_ready = worker.connection in ready
            message = worker.receive() if is_ready else worker.ended_silent()
            match message:
                case {"kind": "frames", "index": index, "frames": frames}:
                    self._frames[index] += frames
                    progress(frames)
                case {"kind": "drawn", "index": index, "kept": kept}:
                    self._unfinished.discard(self._job.tasks[index])
                    if not kept:
                        self._let_go(self._job.tasks[index])
                case {"kind": "failed", "index": index, "text": text, "unwritable": unwritable}:
                    self._fail(index, text, unwritable=unwritable)
                case {"kind": "error", "early": True, "text": text}:
                    self._replace(name, text, progress)
                case {"kind": "error", "text": text}:
                    self._fail_all(text)
                case None if is_ready:
                    self._replace(name, "", progress)

    def _fail(self, index: int, text: str, *, unwritable: bool = False) -> None:
        """Record that the scene of a task has failed."""
        error = RenderError(text, unwritable=unwritable)
        self._failures.setdefault(self._job.tasks[index].entry, error)

    def _fail_all(self, text: str) -> None:
        for index in range(len(self._job.tasks)):
            self._fail(index, text)

    def _replace(self, name: str, why: str, progress: Callable[[int], None]) -> None:
        """Free the beat of a process that has ended, and start another one if there is work."""
        stop(self._workers.pop(name))
        wanted = [
            index
            for index, task in enumerate(self._job.tasks)
            if task in self._unfinished and task.entry not in self._failures
        ]
        claims = Claims(self._folder, name)
        owned = [index for index in wanted if claims.has(index)]
        self._crashes += bool(why) and not owned
        for index in owned:
            self._attempts[index] += 1
            if self._attempts[index] == MAX_ATTEMPTS:
                self._fail(index, f"{why} (tried {MAX_ATTEMPTS} times)")
                continue
            progress(-self._frames[index])
            self._frames[index] = 0
            claims.release(index)
        if not claims.any_unclaimed(wanted) or (self._workers and not owned):
            return
        if self._crashes < MAX_ATTEMPTS:
            self._start()
        else:
            self._fail_all(f"the processes that draw stop as soon as they start: {why}")


def render_claimed(
    job: RenderJob, folder: Path, name: str, first: float, messages: Connection
) -> None:
    """Render all scenes of a job in this process, together with the other processes of the pool.

    Parameters
    ----------
    job
        The beats to render, and how.
    folder, name
        Where tasks are claimed, and by which name; see :class:`Claims`.
    first
        Which scene to start with, as a fraction of the list in [0, 1); after the last scene the
        first ones follow. Processes that start apart seldom run the same scene at the same time.
    messages
        Takes what :class:`SceneWorker` reports, and a message "failed" for a scene that has: the
        ``index`` of one of its tasks, the ``text``, and whether a file was ``unwritable``; see
        :func:`telling`.
    """
    with (
        telling(messages, verbose=job.request.verbose) as tell,
        manim_config(job.request.quality, verbosity=job.request.verbosity),
        prints_as_messages(),
    ):
        worker = SceneWorker(job, Claims(folder, name), tell)
        indexes = {task.entry: index for index, task in enumerate(job.tasks)}
        start = int(first * len(indexes))
        for entry in [*indexes][start:] + [*indexes][:start]:
            try:
                worker.render(entry)
            except Exception as error:
                text = explain(error, verbose=job.request.verbose)
                unwritable = isinstance(error, OutputError)
                tell("failed", index=indexes[entry], text=text, unwritable=unwritable)
        tell(DONE)


@contextmanager
def _open_segment(job: RenderJob, task: BeatTask) -> Iterator[FrameReceiver | None]:
    """Open the segment of a task, and yield what draws its overlay on pictures and appends them.

    It yields None if no segments are made, or the task's is finished.
    """
    if job.segment_encoding is None or is_sealed(task.segment):
        yield None
        return
    request = job.request
    painter = OverlayPainter(task.overlay, request.quality.frame_rate, request.settings)
    with open_movie(task.segment, request.quality, job.segment_encoding) as movie:

        def write(picture: Pixels, repeat: int) -> None:
            for piece in painter.pieces(picture, repeat):
                movie.write(*piece)

        yield write


def encode_segment(job: RenderJob, task: BeatTask, *, keep: bool = True) -> None:
    """Encode a beat's segment from its master, unless it is finished or none are made.

    It is one of the cache's files only if it is to be kept.
    """
    with _open_segment(job, task) as write:
        if write is None:
            return
        for picture, repeat in read_master(task.master, job.request.quality.frame_rate):
            write(picture, repeat)
    if keep:
        seal(task.segment)


def _loaded(job: RenderJob) -> dict[SceneEntry, type[Stage]]:
    """Load all scenes of a job, and code that they were seen to open: later edits do not matter.

    The error of a scene that cannot be loaded is told when it is rendered.
    """
    scenes = {}
    for entry in dict.fromkeys(task.entry for task in job.tasks):
        with suppress(Exception):
            scenes[entry] = entry.load()
        for file in map(Path, job.files.get(entry, ())):
            with suppress(Exception):
                if file.suffix == ".py":
                    import_module(".".join(_place_on_path(file).with_suffix("").parts))
    return scenes


def _place_on_path(file: Path) -> Path:
    """Return where a file of code is, as seen from the nearest folder that Python imports from."""
    folders = [folder for folder in map(Path, sys.path) if folder in file.parents]
    return file.relative_to(max(folders, key=lambda folder: len(folder.parts)))


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
        Called with "frames", the ``index`` of a task and the number of newly drawn ``frames``, and
        with "drawn", the ``index`` of a finished task, and whether its files can be ``kept``.

    Raises
    ------
    EditedError
        When the code that draws is not that from which keys were made, or draws something else
        than was rehearsed.
    """

    def __init__(self, job: RenderJob, claims: Claims, report: Callable[..., None]) -> None:
        self._job = job
        self._claims = claims
        self._report = report
        if job.drawing != LOADED:
            raise EditedError
        self._trace = Trace.load(job.request.trace_file)
        self._scenes = _loaded(job)
        self._restless: set[SceneEntry] = set()

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
                self._report("drawn", index=index, kept=True)
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
            if is_sealed(task.master):  # another part that looks alike was drawn meanwhile
                encode_segment(self._job, task)
                self._report("drawn", index=index, kept=True)
                yield None
                return
            files = [task.master]
            encoding = self._job.segment_encoding
            # Where repeats are merged, a master does not tell how often each picture was given: the
            # segment is made of it, as it is on a cluster.
            merged = encoding is not None and encoding.merge_repeats
            with (
                open_movie(task.master, request.quality, self._job.master_encoding) as movie,
                nullcontext() if merged else _open_segment(self._job, task) as write_segment,
            ):
                files += [task.segment] if write_segment else []

                def write(picture: Pixels, repeat: int) -> None:
                    pixels = master_pixels(picture, transparent=transparent)
                    movie.write(pixels, repeat)
                    if write_segment:
                        write_segment(pixels, repeat)
                    self._report("frames", index=index, frames=repeat)

                yield write
            try:
                kept = self._is_as_rehearsed(scene, task, stage.renderer.seen)
            except EditedError:
                for file in files:
                    file.unlink()
                raise
            for file in files if kept else ():
                seal(file)
            if merged:
                encode_segment(self._job, task, keep=kept)
            self._report("drawn", index=index, kept=kept)

        def stop_when_all_is_claimed(*beat: object) -> None:
            if not self._any_unclaimed(tasks):
                raise EndSceneEarlyException

        scene = self._scenes.get(entry) or entry.load()
        stage = self._stage(
            scene, entry, receiver_of_beat=receiver_of_beat, on_beat_end=stop_when_all_is_claimed
        )
        stage.render()

    def _stage(self, scene: type[Stage], entry: SceneEntry, **hooks: Any) -> Stage:
        request = self._job.request
        return scene(self._trace, request.settings, speech=request.speech_of(entry), **hooks)

    def _is_as_rehearsed(self, scene: type[Stage], task: BeatTask, seen: Any) -> bool:
        """Return whether what was drawn of a task, of which this is the key, is what its name says.

        If it is not, the scene may draw something else each time: then the same code does so when
        it is run once more. Else it was edited since it was rehearsed.
        """
        key, entry = seen.hexdigest(), task.entry
        if key == task.seen:
            return True

        def stop(record: BeatRecord, stage: Stage) -> None:
            if record.name == task.beat:
                raise EndSceneEarlyException

        if entry not in self._restless:
            again = self._stage(scene, entry, on_beat_end=stop, hashed=True)
            again.render()
            if again.beats[-1].seen[task.tail] == key:
                raise EditedError
            self._restless.add(entry)
        return False

    def _any_unclaimed(self, tasks: Tasks) -> bool:
        return self._claims.any_unclaimed(index for index, _ in tasks.values())
