"""What the workers of a cluster do: draw parts of beats.

The asking machine's side is :mod:`filmkit.render.cluster`.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from traceback import format_exception
from typing import Any

import distributed

from extract.support.files import OutputError, write_bytes
from extract.trace import TraceError
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.errors import EditedError, RenderError, explain
from filmkit.render.keys import Keys
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import lossless
from filmkit.render.overlay import NOTHING
from filmkit.render.workers import RenderJob, SceneWorker

__all__ = ["draw_part", "portable_draw"]

OUTDATED = (
    "it would draw something else: bring the project, its libraries and fonts up to date there, "
    "and start it again"
)

# Held while a worker draws: Manim's settings are global to a process.
DRAWING_LOCK = Lock()


def portable_draw() -> Callable[..., tuple[str, bytes, str]]:
    """Return a function that workers can be sent which do not have this project, or an older one.

    Dask sends functions and objects by their names; a worker that does not know them dies. This
    one, as it has no name of its own, is sent with its code; what it takes is loaded there by hand.

    Returns
    -------
    Callable
        Takes a pickle of the first two arguments of :func:`draw_part`, and the others. It returns
        the address of the worker, and what :func:`draw_part` returns.
    """

    def draw(pickled: bytes, *traces: bytes) -> tuple[str, bytes, str]:
        address = distributed.get_worker().address
        try:
            from filmkit.render.cluster_worker import draw_part

            job, files = pickle.loads(pickled)
        except Exception as error:
            return address, b"", f"it cannot run this project ({type(error).__name__}: {error})"
        return address, *draw_part(job, files, *traces)

    return draw


def draw_part(job: RenderJob, files: dict[str, bytes], *traces: bytes) -> tuple[bytes, str]:
    """Draw a part of a beat on this worker.

    Parameters
    ----------
    job
        A job with one task. Its paths are those of the asking machine; only file names are used.
    files
        Content of the files of a scene that is not one of the project's, by relative paths.
    traces
        Content of the trace, and of the one that it is compared with if any.

    Returns
    -------
    drawn
        Content of a file of its frames, without overlay and without loss.
    refusal
        Why this worker cannot draw the film, as another one may; else "".

    Raises
    ------
    RenderError
        When the scene fails. The way to its error is a note.
    """
    folder = distributed.get_worker().local_directory
    try:
        with DRAWING_LOCK, TemporaryDirectory(dir=folder) as own:
            return _drawn(job, files, traces, Path(own)), ""
    except EditedError:
        return b"", OUTDATED
    except (OSError, OutputError, TraceError) as error:
        return b"", explain(error, verbose=False)
    except Exception as error:
        failure = RenderError(explain(error, verbose=False))
        failure.add_note("".join(format_exception(error)))
    # Here, so that no error of the scene hangs on it, which may have no meaning elsewhere.
    raise failure


def _drawn(job: RenderJob, files: dict[str, bytes], traces: Sequence[bytes], folder: Path) -> bytes:
    """Draw a part in a folder, and return the content of the file.

    Raises
    ------
    EditedError
        When it would not be what the part's key says: code, libraries or fonts differ here.
    Exception
        Any error of the scene's code.
    """
    (task,) = job.tasks
    if not task.segment.name.startswith(Keys(job.request).part_key(task.seen)):
        raise EditedError
    trace, *compared = (folder / f"trace-{i}.safetensors" for i in range(len(traces)))
    for path, content in zip([trace, *compared], traces, strict=True):
        write_bytes(path, content)
    kept: bool | None = None

    def tell(kind: str, **what: Any) -> None:
        nonlocal kept
        if kind == "drawn":
            kept = what["kept"]
        elif _is_cancelled():
            raise RenderError("nobody waits for it any more")

    with (
        _scene_files(task.entry, files, folder / "code") as entry,
        manim_config(job.request.quality, verbosity=job.request.verbosity),
    ):
        settings = replace(job.request.settings, compare=next(iter(compared), None))
        encoding = lossless(transparent=settings.transparent)
        path = folder / f"drawn{encoding.suffix}"
        local_task = replace(task, entry=entry, segment=path, master=None, overlay=NOTHING)
        local_job = replace(
            job,
            tasks=(local_task,),
            encoding=encoding,
            request=replace(job.request, trace=trace, settings=settings),
        )
        SceneWorker(local_job)(local_job.tasks, tell)
    if kept is None:  # there is no such beat here
        raise EditedError
    if not kept:
        raise RenderError("it draws something else each time that it runs: leave out --cluster")
    return path.read_bytes()


def _is_cancelled() -> bool:
    """Return whether the part that this thread draws is not wanted any more."""
    worker = distributed.get_worker()
    asked = worker.state.tasks.get(worker.get_current_task())
    return asked is None or asked.state == "cancelled"


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
