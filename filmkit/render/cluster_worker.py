"""What the workers of a cluster do: render a beat, and send it back as bytes.

The functions run on the workers; the asking machine's side is :mod:`filmkit.render.cluster`.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import cv2
import distributed
import numpy as np
import numpy.typing as npt

from extract.support.files import write_bytes
from extract.support.plain_text import error_line, escaped
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.digests import project_digest
from filmkit.render.errors import RenderError, explain
from filmkit.render.keys import SHORT, surroundings
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import Pixels, read_master
from filmkit.render.workers import Claims, RenderJob, SceneWorker

__all__ = [
    "CODE",
    "Assignment",
    "Result",
    "Squares",
    "code_version",
    "describe_worker",
    "draw",
    "frames_of",
    "sha256_of",
    "squares",
    "store_trace",
    "versions",
]

REPORT_SECONDS = 0.3  # time between two progress messages of a beat

CODE = "the project's code"
"""Name of the project's code among the versions of what pictures depend on."""

# Pictures of two machines are compared in squares of this width.
SQUARE = 8

Squares = npt.NDArray[np.float32]
"""Mean colours of the squares of a picture, (rows, columns, 3 or 4)."""

# Held while a worker renders: two runs may share one worker process.
RENDER_LOCK = Lock()

# Hash of each file of the project that this process has loaded, by module, when first seen.
LOADED: dict[str, str] = {}


def code_version() -> str:
    """Return a short hash of the project, for people to compare."""
    return project_digest()[:SHORT]


def versions() -> dict[str, str]:
    """Return the version of everything that pictures depend on, by name."""
    return {CODE: code_version(), **surroundings()}


def sha256_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def frames_of(
    master: Path, job: RenderJob, most: int | None = None, places: Collection[int] = ()
) -> tuple[str, int, dict[int, Squares]]:
    """Return a hash of a master's frames, their number, and the pictures at some places.

    Parameters
    ----------
    master, job
        The file, and the job that it was rendered for.
    most
        No more frames than this are read; None for all.
    places
        Numbers of frames whose pictures are returned, in squares.

    Raises
    ------
    ValueError
        When they do not have the size that the job asks for, are in no order, or are more.
    """
    digest, count = sha256(), 0
    quality = job.request.quality
    pictures: dict[int, Squares] = {}
    for picture, repeat in read_master(master, quality.frame_rate):
        if repeat < 1:
            raise ValueError("its frames are in no order")
        if picture.shape[:2] != (quality.height, quality.width):
            raise ValueError("its frames have another size")
        digest.update(repeat.to_bytes(8))
        digest.update(picture.tobytes())
        pictures |= {n: squares(picture) for n in places if count <= n < count + repeat}
        count += repeat
        if most is not None and count > most:
            raise ValueError(f"it has more than {most} frames")
    return digest.hexdigest(), count, pictures


def squares(picture: Pixels) -> Squares:
    """Return the mean colours of the squares of a picture, in [0, 255]."""
    height, width = picture.shape[:2]
    size = (max(1, width // SQUARE), max(1, height // SQUARE))
    means = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


@dataclass(frozen=True)
class Assignment:
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
class Result:
    """The master of a beat from a worker, or why it could not be made.

    It travels as bytes, which are parsed and never unpickled: a line of JSON, then the master.

    Attributes
    ----------
    master
        Content of the master.
    digest
        Hash of the master's frames.
    failure, traceback
        A one-line message and the traceback if the beat failed, else "".
    """

    master: bytes = b""
    digest: str = ""
    failure: str = ""
    traceback: str = ""

    def to_bytes(self) -> bytes:
        """Return the result as bytes."""
        head = {name: value for name, value in asdict(self).items() if name != "master"}
        return json.dumps(head).encode() + b"\n" + self.master

    @classmethod
    def from_bytes(cls, content: object) -> Result:
        """Parse a result.

        Raises
        ------
        ValueError
            When it is not one.
        """
        if not isinstance(content, bytes | bytearray | memoryview):
            raise ValueError("its worker sent something that is not plain data")
        line, _, master = bytes(content).partition(b"\n")
        match json.loads(line):
            case {"digest": str(digest), "failure": str(failure), "traceback": str(trace)}:
                return cls(master, digest, error_line(escaped(failure)), trace)
        raise ValueError("its worker sent something that is not a result")


def _trace_file(worker: Any, digest: str) -> Path:
    """Return the path of a trace in a worker's folder."""
    return Path(worker.local_directory) / f"trace-{digest}.safetensors"


def describe_worker(
    traces: list[str], dask_worker: distributed.Worker
) -> tuple[dict[str, str], list[str], list[str]]:
    """Say what this worker would draw with.

    Returns
    -------
    versions
        See :func:`versions`.
    missing
        Hashes of those traces that the worker does not have.
    edited
        Modules that were edited after this process had loaded them: it would draw what their files
        said before.
    """
    import_module("filmkit.render.workers")
    missing = [trace for trace in traces if not _trace_file(dask_worker, trace).exists()]
    return versions(), missing, _edited_modules()


def _edited_modules() -> list[str]:
    """Name the project's modules whose files are not what this process has loaded."""
    edited = []
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("extract", "filmkit", "scenes")
    ]:
        file = Path(getattr(sys.modules[name], "__file__", None) or "")
        if file.is_file():
            now = sha256_of(file.read_bytes())
            if LOADED.setdefault(name, now) != now:
                edited.append(name)
    return sorted(edited)


def store_trace(trace: bytes, digest: str, dask_worker: distributed.Worker) -> None:
    """Write a trace to the worker's folder after checking its hash."""
    if sha256_of(trace) != digest:
        raise ValueError("the trace arrived damaged")
    write_bytes(_trace_file(dask_worker, digest), trace)


def draw(assignment: Assignment) -> bytes:
    """Render a beat on this worker; return a :class:`Result` as bytes."""
    worker = distributed.get_worker()
    job = assignment.job
    (task,) = job.tasks
    report = _Report(worker, assignment.topic, assignment.key)
    with (
        _render_lock(report),
        TemporaryDirectory(dir=worker.local_directory) as folder,
        _scene_files(task.entry, assignment.files, Path(folder) / "code") as entry,
    ):
        master = Path(folder) / task.master.name
        trace, *compared = (_trace_file(worker, digest) for digest in assignment.traces)
        settings = replace(job.request.settings, compare=next(iter(compared), None))
        local_job = replace(
            job,
            tasks=(replace(task, entry=entry, master=master),),
            segment_encoding=None,
            request=replace(job.request, trace=trace, settings=settings),
        )
        try:
            claims = Claims(Path(folder), "this")
            claims.offer([0])
            with manim_config(job.request.quality, verbosity=job.request.verbosity):
                SceneWorker(local_job, claims, report).render(entry)
            if not report.kept:
                raise RenderError(
                    "it draws something else each time that it runs: leave out --cluster"
                )
            digest, _, _ = frames_of(master, job)
            result = Result(master.read_bytes(), digest)
        except Exception as error:
            result = Result(
                failure=explain(error, verbose=False),
                traceback="".join(traceback.format_exception(error)),
            )
        return result.to_bytes()


@contextmanager
def _render_lock(report: _Report) -> Iterator[None]:
    """Hold the lock of this process's Manim; while it is waited for, that is reported."""
    while not RENDER_LOCK.acquire(timeout=REPORT_SECONDS):
        report.tell()
    try:
        yield
    finally:
        RENDER_LOCK.release()


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
        self.kept = True
        self._unreported = 0  # frames
        self._last_report = time.monotonic()

    def __call__(self, kind: str, *, index: int, frames: int = 0, kept: bool = True) -> None:
        self.kept = kept
        self._unreported += frames
        self.tell()

    def tell(self) -> None:
        """Send what was not sent yet, if the last message was some time ago."""
        dask_task = self._worker.state.tasks.get(self._key)
        if dask_task is None or dask_task.state == "cancelled":
            raise _Cancelled
        if time.monotonic() - self._last_report > REPORT_SECONDS:
            self._worker.log_event(self._topic, (self._key, self._unreported))
            self._unreported, self._last_report = 0, time.monotonic()
