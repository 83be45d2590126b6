"""Render beats in several processes.

The unfinished parts of beats are dealt out in shares: a few parts of a scene that follow each
other. Who takes a share runs the scene up to them without drawing, which takes a fraction of the
time, and draws them. So the processes share the beats of one scene as well as those of many, and a
beat can rely on everything that the beats before it have set up.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from manim.utils.exceptions import EndSceneEarlyException

from extract.support.printing import echo
from filmkit.core.beat_records import BeatRecord
from filmkit.core.renderer import FrameReceiver
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.cache import is_sealed, seal
from filmkit.render.errors import EditedError, RenderError
from filmkit.render.keys import LOADED
from filmkit.render.movie import (
    Encoding,
    Pixels,
    lossless,
    open_movie,
    read_master,
    to_straight_alpha,
)
from filmkit.render.overlay import NOTHING, Overlay, OverlayPainter
from filmkit.render.pool import Pool
from filmkit.render.request import RenderRequest

__all__ = [
    "BeatTask",
    "LocalWorkerPool",
    "RenderJob",
    "SceneWorker",
    "WorkerPool",
    "encode_segment",
    "has_segment",
    "shares",
]

MAX_ATTEMPTS = 3  # how often a beat is tried before it is given up
DRAW = "filmkit.render.workers:SceneWorker"
SHARES = (
    4  # for each process: the more, the sooner all have ended; the fewer, the less is run twice
)


@dataclass(frozen=True)
class BeatTask:
    """A part of a beat to render, and its files.

    Attributes
    ----------
    entry, beat
        The scene, and the name of the beat.
    tail
        Whether this is the tail of the beat, or what comes before it.
    segment
        What the film is joined from: the frames with their overlay, encoded as the film is.
    master
        The same frames without overlay and without loss, from which segments in other formats can
        be made; None where none is kept.
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
    segment: Path
    master: Path | None
    frames: int
    overlay: Overlay = NOTHING
    seen: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of its files."""
        return (self.segment, self.master) if self.master else (self.segment,)


Share = tuple[BeatTask, ...]
"""Tasks of one scene, in the order of the story, that one process renders."""


@dataclass(frozen=True)
class RenderJob:
    """All beats that a worker pool renders, and how.

    Attributes
    ----------
    tasks
        The beats, in the order of the story.
    request
        The trace to draw, and how to render it.
    encoding
        How segments are encoded.
    drawing
        A hash of the code that draws, from which the tasks' cache keys were made.
    files
        Paths of files that each scene was seen to read.
    """

    tasks: tuple[BeatTask, ...]
    request: RenderRequest
    encoding: Encoding
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


class LocalWorkerPool(WorkerPool):
    """Pool of processes on this machine; they are terminated at the end of the ``with`` block.

    When a process dies, or says nothing for a while, what is left of its share is rendered by
    another one.

    Parameters
    ----------
    job
        The beats to render, and how.
    fork
        As for :class:`Pool`.
    """

    def __init__(self, job: RenderJob, *, fork: bool = False) -> None:
        super().__init__(job)
        self._shares = shares(job.tasks, job.request.processes)
        calls = {share: (share,) for share in self._shares}
        self._pool = Pool(DRAW, [job], calls, job.request, fork=fork)
        self._frames = dict.fromkeys(job.tasks, 0)
        self._attempts = dict.fromkeys(job.tasks, 0)
        self._passing: list[BeatTask] = []

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.__exit__(*failure)
        for task in self._passing:
            for file in task.files:
                file.unlink(missing_ok=True)

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        for share, message in self._pool.messages():
            match message:
                case {"kind": "frames", "number": number, "frames": frames}:
                    self._frames[share[number]] += frames
                    progress(frames)
                case {"kind": "drawn", "number": number, "kept": kept}:
                    self._unfinished.discard(share[number])
                    if not kept:
                        self._let_go(share[number])
                case {"kind": "error", "early": True, "text": text}:
                    self._draw_again(share, text, progress)
                case {"kind": "error", "text": text}:
                    unwritable = message.get("unwritable", False)
                    self._fail(share[0].entry, RenderError(text, unwritable=unwritable))
                case {"kind": "returned"} if not self._unfinished.isdisjoint(share):
                    self._fail(share[0].entry, EditedError())

    def _fail(self, entry: SceneEntry, error: RenderError) -> None:
        """Record that a scene has failed; what waits of it is not drawn."""
        self._failures.setdefault(entry, error)
        for share in self._shares:
            if share[0].entry == entry:
                self._pool.forget(share)

    def _draw_again(self, share: Share, why: str, progress: Callable[[int], None]) -> None:
        """Let another process draw what is left of a share, or give up the part that it was at."""
        left = tuple(task for task in share if task in self._unfinished)
        if not left or left[0].entry in self._failures:
            return
        self._attempts[left[0]] += 1
        if self._attempts[left[0]] == MAX_ATTEMPTS:
            self._fail(left[0].entry, RenderError(f"{why} (tried {MAX_ATTEMPTS} times)"))
            return
        for task in left:
            progress(-self._frames[task])
            self._frames[task] = 0
        self._shares.append(left)
        self._pool.call(left, left)

    def _let_go(self, task: BeatTask) -> None:
        """Use a task's files only until the end, and say so once for each scene."""
        if task.entry not in {other.entry for other in self._passing}:
            text = "draws something else each time that it runs, so it is drawn again each time"
            if not self._job.request.quiet:
                echo(f"{task.entry.slug} {text}", err=True)
        self._passing.append(task)


def shares(tasks: Iterable[BeatTask], processes: int) -> list[Share]:
    """Deal out tasks: some of a scene that follow each other, of about the same number of frames.

    A single process draws each scene in one go.
    """
    tasks = [*tasks]
    size = sum(task.frames for task in tasks) / (SHARES * processes)
    dealt: list[Share] = []
    for _entry, group in groupby(tasks, lambda task: task.entry):
        share: Share = ()
        for task in group:
            share += (task,)
            if processes > 1 and sum(task.frames for task in share) >= size:
                dealt.append(share)
                share = ()
        dealt += [share] if share else []
    return dealt


@contextmanager
def _open_segment(job: RenderJob, task: BeatTask) -> Iterator[FrameReceiver]:
    """Open the segment of a task, and yield what draws its overlay on pictures and appends them.

    Pictures are RGB, or RGBA with straight alpha; the alpha of one that is not to be transparent is
    ignored.
    """
    request = job.request
    painter = OverlayPainter(task.overlay, request.quality.frame_rate, request.settings)
    with open_movie(task.segment, request.quality, job.encoding) as movie:

        def write(picture: Pixels, repeat: int) -> None:
            for piece in painter.pieces(picture, repeat):
                movie.write(*piece)

        yield write


def encode_segment(job: RenderJob, task: BeatTask, master: Path) -> None:
    """Encode a part's segment from a file of its frames without loss, for the cache to keep."""
    with _open_segment(job, task) as write:
        for picture, repeat in read_master(master, job.request.quality.frame_rate):
            write(picture, repeat)
    seal(task.segment)


def has_segment(job: RenderJob, task: BeatTask) -> bool:
    """Return whether a part has its segment; make it first if there is a master of the part."""
    if is_sealed(task.segment):  # of this part, or of one that looks alike
        return True
    if task.master is None or not is_sealed(task.master):
        return False
    encode_segment(job, task, task.master)
    return True


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


class SceneWorker:
    """Renders shares of a job, one after another.

    Parameters
    ----------
    job
        The beats to render, and how.

    Raises
    ------
    EditedError
        When the code that draws is not that from which keys were made.
    """

    def __init__(self, job: RenderJob) -> None:
        self._job = job
        if job.drawing != LOADED:
            raise EditedError
        self._trace = job.request.with_trace()[1]
        self._scenes = _loaded(job)
        self._restless: set[SceneEntry] = set()

    def __call__(self, share: Share, tell: Callable[..., None]) -> None:
        """Render the parts of a share.

        Parameters
        ----------
        share
            The tasks.
        tell
            Called with "frames", the ``number`` of a task in the share and the number of newly
            drawn ``frames``, and with "drawn", the ``number`` of a finished task, and whether its
            files can be ``kept``.

        Raises
        ------
        EditedError
            When something else was drawn than was rehearsed.
        Exception
            Any error of the scene's code.
        """
        undrawn = {}
        for number, task in enumerate(share):
            if not self._is_there(task, number, tell):
                undrawn[task.beat, task.tail] = number, task
        if undrawn:
            self._run_scene(share[0].entry, undrawn, tell)

    def _is_there(self, task: BeatTask, number: int, tell: Callable[..., None]) -> bool:
        """Return whether a part has its segment without being drawn, after telling so."""
        if found := has_segment(self._job, task):
            tell("drawn", number=number, kept=True)
        return found

    def _run_scene(
        self,
        entry: SceneEntry,
        undrawn: dict[tuple[str, bool], tuple[int, BeatTask]],
        tell: Callable[..., None],
    ) -> None:
        """Run a scene up to the last of these tasks; they are known by beat, and whether tail."""
        request = self._job.request
        transparent = request.settings.transparent

        @contextmanager
        def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
            number, task = undrawn.pop((beat, tail), (-1, None))
            if task is None or self._is_there(task, number, tell):
                yield None
                return
            with (
                _open_segment(self._job, task) as write_segment,
                open_movie(task.master, request.quality, lossless(transparent=transparent))
                if task.master
                else nullcontext() as master,
            ):

                def write(picture: Pixels, repeat: int) -> None:
                    pixels = to_straight_alpha(picture) if transparent else picture
                    write_segment(pixels, repeat)
                    if master:
                        master.write(pixels, repeat)
                    tell("frames", number=number, frames=repeat)

                yield write
            try:
                kept = self._is_as_rehearsed(scene, task, stage.renderer.seen)
            except EditedError:
                for file in task.files:
                    file.unlink()
                raise
            for file in task.files if kept else ():
                seal(file)
            tell("drawn", number=number, kept=kept)

        def stop_when_all_is_drawn(*beat: object) -> None:
            if not undrawn:
                raise EndSceneEarlyException

        scene = self._scenes.get(entry) or entry.load()
        stage = self._stage(
            scene, entry, receiver_of_beat=receiver_of_beat, on_beat_end=stop_when_all_is_drawn
        )
        stage.render()

    def _stage(self, scene: type[Stage], entry: SceneEntry, **hooks: Any) -> Stage:
        request = self._job.request
        return scene(self._trace, request.settings, speech=request.speech_of(entry), **hooks)

    def _is_as_rehearsed(self, scene: type[Stage], task: BeatTask, seen: Any) -> bool:
        """Return whether a task's frames are those of the rehearsal, given what was drawn of them.

        If they are not, the scene may draw something else each time: then the same code does so
        when it is run once more. Else it was edited since it was rehearsed.
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
