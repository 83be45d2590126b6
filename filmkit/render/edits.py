"""Draw scenes again whenever the code, the trace or other data is edited.

For each edit a new process imports the current code and draws; it is stopped at the next edit.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from extract.support.plain_text import error_line
from extract.support.temporary import temporary_folder
from filmkit.core.language import catalogue_folder
from filmkit.core.project import PROJECT
from filmkit.render.asked import AskedProcess
from filmkit.render.digests import file_hash
from filmkit.render.errors import explain
from filmkit.render.processes import BEAT, DONE, ERROR
from filmkit.render.reads import READS
from filmkit.render.request import RenderRequest, load_trace

__all__ = ["DRAWING", "EditLoop", "EditWatcher", "syntax_errors"]

DRAWING = "drawing"
"""Kind of the message that a new process draws."""

CODE = ("filmkit", "scenes", "extract")  # folders of the project that hold code
READ = (".py", ".po")  # how files of code and of translations end
GONE = ("", sha256().hexdigest())  # what is known of a missing and of an empty file
UNKNOWN = "unknown"
SETTLE_SECONDS = 0.05  # a save is complete after this time without another event
SAVE_SECONDS = 0.5  # how long a file may be missing or empty while an editor saves it
# Types of events that can change a file. Reading a file causes events too.
WRITE_EVENTS = ("created", "modified", "moved", "deleted", "closed")


class EditWatcher(FileSystemEventHandler):
    """Waits for edits of code, translations, traces and files that scenes read; a context manager.

    It does not matter how an editor saves. Contents of files are compared, not events: a file that
    is renamed and written again with the same content has not been edited.

    Parameters
    ----------
    project
        The folder of the project.
    trace_files
        The trace, and the one that it is compared with. One whose folder is not there is ignored.
    scene_files
        Files of scenes that are not the project's; other code beside them is watched too, and
        their translations.

    Attributes
    ----------
    last_event
        When something was last written, by :func:`time.monotonic`, whether it changed or not.
    """

    def __init__(
        self, project: Path, trace_files: Iterable[Path], scene_files: Collection[Path] = ()
    ) -> None:
        self._folders = [project / name for name in CODE]
        self._beside = {path.resolve().parent for path in scene_files}
        self._words = {catalogue_folder(path) for path in scene_files}
        self._single = {path.resolve() for path in trace_files}
        self._changed = threading.Event()
        self._observer = Observer()
        for folder in self._folders:
            self._observer.schedule(self, str(folder), recursive=True)
        self._observe({*self._beside, *self._words, *(path.parent for path in self._single)})
        self._contents: dict[Path, str] = {}
        self._lock = threading.Lock()  # guards the contents
        self.last_event = 0.0
        self._ended = False

    def _observe(self, folders: Iterable[Path]) -> None:
        # Only the folders themselves: one of them may be the user's home.
        for folder in filter(Path.is_dir, folders):
            self._observer.schedule(self, str(folder))

    def __enter__(self) -> Self:
        self._observer.start()
        self._contents = self._read_files()
        return self

    def __exit__(self, *failure: object) -> None:
        self.end()
        self._observer.stop()
        self._observer.join()

    def end(self) -> None:
        """Let :meth:`wait` report nothing any more."""
        self._ended = True
        self._changed.set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Let :meth:`wait` look for edits if an event can be one."""
        paths = (str(event.src_path), str(event.dest_path))
        watched = any(
            path.endswith(READ) or not self._single.isdisjoint((Path(path), Path(path).parent))
            for path in paths
        )
        if watched and event.event_type in WRITE_EVENTS:
            self.last_event = time.monotonic()
            self._changed.set()

    def follow(self, files: Mapping[str, str]) -> None:
        """Watch other files too, which a scene has read when they had these hashes."""
        states = {Path(name): state for name, state in files.items()}
        with self._lock:
            new = states.keys() - self._contents.keys()
            self._single |= new
            self._observe({path.parent for path in new})
            self._contents |= {path: states[path] for path in new}
        self._changed.set()  # one may have been edited since

    def draw_again(self) -> None:
        """Report an edit once nothing is being saved, even if nothing has changed then."""
        with self._lock:
            self._contents |= dict.fromkeys(self._single, UNKNOWN)
        self._changed.set()

    def wait(self) -> list[Path]:
        """Wait for an edit, and return the files whose content has changed, sorted.

        There are none once another thread has called :meth:`end`.
        """
        while True:
            self._changed.wait()
            while self._changed.is_set():
                self._changed.clear()
                time.sleep(SETTLE_SECONDS)
            if self._ended:
                return []
            with self._lock:
                before, deadline = self._contents, time.monotonic() + SAVE_SECONDS
                after = self._read_files()
                while time.monotonic() < deadline and any(
                    content not in GONE and after.get(path, "") in GONE
                    for path, content in before.items()
                ):
                    time.sleep(SETTLE_SECONDS)
                    after = self._read_files()
                self._contents = after
            edited = [p for p in {**before, **after} if before.get(p, "") != after.get(p, "")]
            if edited:
                return sorted(edited)

    def _read_files(self) -> dict[Path, str]:
        """Return what is known of the content of every watched file."""
        # Unlike rglob, walk passes over a folder that goes meanwhile.
        walks = [walk for folder in self._folders for walk in os.walk(folder)]
        files = [Path(at, name) for at, _, names in walks for name in names if name.endswith(READ)]
        files += [path for folder in self._beside for path in folder.glob("*.py")]
        files += [path for folder in self._words for path in folder.glob("*.po")]
        return {path: file_hash(path) for path in (*files, *self._single)}


class EditLoop:
    """Draws scenes, and draws them again whenever something is edited that they use.

    While edited files are not valid Python there is nothing new to draw, so what is being drawn
    goes on.

    Parameters
    ----------
    request
        The scenes, and how they are drawn. It must keep its cache.
    function
        The function that draws with the code as it is now, as for :class:`AskedProcess`. It takes
        the request, its trace, the other ``arguments`` and two connections: for messages, and one
        that brings requests.
    arguments
        As above.
    hear
        Takes its messages, one at a time and in threads of this object. Before them comes one of
        the kind :data:`DRAWING`, which says whether something was ``edited``; instead of them may
        come an error, with one line for each file that is no valid Python. The kinds :data:`BEAT`
        and :data:`READS` are left out; so is :data:`DONE` where there were errors.
    passes_over
        Whether nothing that is shown can have changed by an edit of some files, unless there was an
        error.

    Attributes
    ----------
    started
        When it last began to draw, by :func:`time.monotonic`.
    """

    def __init__(
        self,
        request: RenderRequest,
        function: str,
        arguments: Collection[object],
        hear: Callable[[dict[str, Any]], None],
        passes_over: Callable[[list[Path]], bool] = lambda files: False,
    ) -> None:
        self._request = request
        self._function, self._arguments = function, arguments
        self._hear, self._passes_over = hear, passes_over
        self._scene_files = [entry.file for entry in request.scenes if entry.file]
        self._watcher = EditWatcher(PROJECT, request.trace_files, self._scene_files)
        self._lock = threading.RLock()  # held while a message is heard, or the artist changes
        self._artist: AskedProcess | None = None
        self._broken: set[Path] = set()
        self._failed = False
        self.started = 0.0

    def run(self) -> None:
        """Draw after every edit, until another thread calls :meth:`end`."""
        with self._watcher, temporary_folder() as folder:
            try:
                self._draw(self._scene_files, folder, edited=False)
                while edited := self._watcher.wait():
                    if self._failed or not self._passes_over(edited):
                        self._draw(edited, folder, edited=True)
            finally:
                if stopping := self._stop():
                    stopping.join()

    def end(self) -> None:
        """Let :meth:`run` end soon; what it still draws is to be ignored."""
        self._watcher.end()

    def ask(self, **request: Any) -> None:
        """Send a request to the process that draws, if there is one."""
        if artist := self._artist:
            artist.ask(**request)

    def _draw(self, files: Iterable[Path], folder: Path, *, edited: bool) -> None:
        """Draw what is missing, unless one of these files is no valid Python."""
        broken = syntax_errors({*self._broken, *files})
        self._broken = set(broken)
        if broken:
            lines = [f"{error_line(line)}; the last good pictures stay" for line in broken.values()]
            with self._lock:
                self._hear({"kind": ERROR, "text": "\n".join(lines)})
            return
        with self._lock:
            self._stop()
            self._failed, self.started = False, time.monotonic()
            try:
                load_trace(replace(self._request, quiet=True))
                arguments = (*self._request.with_trace(), *self._arguments)
                stacks = folder / f"{self.started}"
                self._artist = AskedProcess(self._function, arguments, self._heard, stacks=stacks)
            except Exception as error:
                self._fail({"kind": ERROR, "text": explain(error, verbose=self._request.verbose)})
            else:
                self._hear({"kind": DRAWING, "edited": edited})

    def _stop(self) -> threading.Thread | None:
        """Stop what is being drawn; return the thread that waits for that."""
        with self._lock:
            artist, self._artist = self._artist, None
        return artist.stop() if artist else None

    def _heard(self, artist: AskedProcess, message: dict[str, Any]) -> None:
        with self._lock:
            kind = message["kind"]
            if artist is not self._artist:
                return  # of before the last edit
            if kind == READS:
                self._watcher.follow(message["files"])
            elif kind == ERROR:
                self._fail(message)
            elif kind != BEAT and not (kind == DONE and self._failed):
                self._hear(message)

    def _fail(self, message: dict[str, Any]) -> None:
        """Hand on an error, unless a file was written since this was begun."""
        self._failed = True
        if self._watcher.last_event > self.started:
            # It was renamed and put back, say: what is drawn now tells what is so.
            self._watcher.draw_again()
        else:
            self._hear(message)


def syntax_errors(files: Iterable[Path]) -> dict[Path, str]:
    """Return the files that are not valid Python, each with one line: its name, where and why."""
    broken = {}
    for path in files:
        if path.suffix == ".py" and path.exists():
            shown = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
            if not path.is_file():  # a pipe would keep its reader waiting
                broken[path] = f"{shown} is not a file"
                continue
            try:
                compile(path.read_bytes(), path, "exec")
            except OSError:
                continue  # gone by now, which is an edit of its own
            except (SyntaxError, ValueError) as error:
                where = f"{shown} line {getattr(error, 'lineno', None) or 1}"
                broken[path] = f"{where}: {getattr(error, 'msg', error)}"
    return broken
