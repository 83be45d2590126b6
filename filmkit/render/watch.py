"""Render films and contact sheets again whenever the code, the trace or other data is edited.

The main process only watches for edits. For each edit it starts a new process that imports the
current code and draws; that process is stopped at the next edit.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from extract.support.files import write_text
from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from extract.trace import Trace
from filmkit.core.language import catalogue_folder
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import open_cache
from filmkit.render.choice import wanted_beats
from filmkit.render.delivery import target_of
from filmkit.render.digests import file_hash
from filmkit.render.errors import explain
from filmkit.render.films import Plan, beat_film
from filmkit.render.jobs import beat_chapters, film_cues, write_film
from filmkit.render.preview import draw_pictures, save_sheet
from filmkit.render.processes import DONE, ERROR, Apart, stop, telling
from filmkit.render.reads import files_read
from filmkit.render.request import RenderRequest, for_each_scene, load_trace
from filmkit.render.update import SceneUpdate
from filmkit.words.captions import vtt

__all__ = ["EditWatcher", "read_once", "syntax_errors", "update_outputs", "watch"]

CODE = ("filmkit", "scenes", "extract")  # folders of the project that hold code
READ = (".py", ".po")  # how files of code and of translations end
GONE = ("", sha256().hexdigest())  # what is known of a missing and of an empty file
UNKNOWN = "unknown"
READS = "reads"
SETTLE_SECONDS = 0.05  # a save is complete after this time without another event
SAVE_SECONDS = 0.5  # how long a file may be missing or empty while an editor saves it
# Types of events that can change a file. Reading a file causes events too.
WRITE_EVENTS = ("created", "modified", "moved", "deleted", "closed")


class EditWatcher(FileSystemEventHandler):
    """Watches code, translations, traces and whatever else scenes use; a context manager.

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
        self._ended = True
        self._changed.set()
        self._observer.stop()
        self._observer.join()

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

    def code(self) -> list[Path]:
        """Return all files of code and of translations."""
        return [path for path in self._contents if path not in self._single]

    def wait(self) -> list[Path]:
        """Wait for an edit, and return the files whose content has changed, sorted.

        There are none if the ``with`` block is left meanwhile, by another thread.
        """
        while True:
            self._changed.wait()
            if self._ended:
                return []
            while self._changed.is_set():
                self._changed.clear()
                time.sleep(SETTLE_SECONDS)
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


def watch(request: RenderRequest, *, films: bool) -> NoReturn:
    """Keep the contact sheets and films of a request up to date until Ctrl-C is pressed.

    Parameters
    ----------
    request
        The scenes, and how to render them.
    films
        Whether to make films, or contact sheets only.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, as every command that is stopped.
    """
    trace = load_trace(request)
    for_each_scene(
        request,
        request.scenes if request.beat != "all" else (),
        lambda entry: wanted_beats(entry, request.beat_names(entry, trace), request.beat, "--beat"),
    )
    scene_files = [entry.file for entry in request.scenes if entry.file]
    with (
        temporary_folder() as scratch,
        open_cache(request.cache, keep=request.keep_cache) as cache,
        EditWatcher(PROJECT, request.trace_files, scene_files) as watcher,
    ):
        shown = scratch / "shown.json"
        # All processes share one cache, even if it is a temporary one.
        with_cache = replace(request, cache=cache.folder, keep_cache=True)
        print_line(request, "watching scenes, mobjects and the trace; Ctrl-C ends")
        since, broken = time.time(), _report_broken(watcher.code())
        while True:
            with ExitStack() as stack:
                if not broken:
                    stack.enter_context(_updating(with_cache, shown, films, since, watcher))
                edited = watcher.wait()
                since = time.time()
                # While edited files have syntax errors there is nothing new to draw, so the
                # process goes on.
                while broken := _report_broken({*broken, *edited}):
                    edited = watcher.wait()
                    since = time.time()


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


def _report_broken(files: Iterable[Path]) -> set[Path]:
    """Return the files that are not valid Python, after printing one line for each."""
    broken = syntax_errors(files)
    for line in broken.values():
        echo(f"Error: {line}; the last good pictures stay", err=True)
    return set(broken)


@contextmanager
def _updating(
    request: RenderRequest, shown: Path, films: bool, since: float, watcher: EditWatcher
) -> Iterator[None]:
    """Run :func:`update_outputs` in a new process, which is stopped when the block is left."""
    stopped = threading.Event()

    def hear() -> None:
        while message := update.receive():
            if message["kind"] == READS:
                watcher.follow(message["files"])
            elif message["kind"] == ERROR and not stopped.is_set():
                echo(f"Error: {message['text']}", err=True)

    function = f"{__name__}:{update_outputs.__name__}"
    with temporary_folder() as folder:
        try:
            read = read_once(request)
        except Exception as error:
            echo(f"Error: {explain(error, verbose=request.verbose)}", err=True)
            yield
            return
        update = Apart(function, (*read, shown, films, since), folder / "stacks")
        try:
            threading.Thread(target=hear, daemon=True).start()
            yield
        finally:
            stopped.set()
            stop(update)


def read_once(request: RenderRequest) -> tuple[RenderRequest, Trace]:
    """Read trace and code of a request for the process that draws it; what stays is read once.

    Raises
    ------
    Exception
        As for :func:`load_trace`.
    """
    load_trace(replace(request, quiet=True))
    return request.with_trace()


def print_line(request: RenderRequest, text: str) -> None:
    """Print a line, unless the request is quiet."""
    if not request.quiet:
        echo(text)


def update_outputs(
    request: RenderRequest,
    trace: Trace,
    shown: Path,
    films: bool,
    since: float,
    messages: Connection,
) -> None:
    """Bring the contact sheets and films of a request up to date.

    Within a scene, the last frame of the first changed beat is drawn first, and the contact sheet
    is written at once. Then follow the other pictures, the film of that beat, and the scenes'
    films.

    Parameters
    ----------
    request
        What to render. It must keep its cache, so that only changed beats are drawn.
    trace
        Its trace, which the watching process reads once as long as it stays as it is.
    shown
        A JSON file that stores, from one call to the next, which pictures the contact sheets and
        films show.
    films
        As for :func:`watch`.
    since
        When the edit was saved, as :func:`time.time` returns it.
    messages
        Takes the ``files`` that scenes have read, in a message of the kind :data:`READS`; see
        :func:`filmkit.render.processes.telling`.
    """
    with telling(messages, verbose=request.verbose) as tell:
        with _Update.of(request, trace) as update:
            update.go_on_from(shown, since)
            drawn: dict[SceneEntry, None] = {}
            try:
                drawn = for_each_scene(request, request.scenes, update.sheet)
            finally:
                tell(READS, files=files_read())
            plans = update.plan(drawn) if films else {}
            for_each_scene(request, plans, lambda entry: update.film_of_first(plans[entry]))
            for_each_scene(request, drawn, update.save_sheet)
            filmed = for_each_scene(request, plans, lambda entry: update.film(plans[entry]))
            if len(filmed if films else drawn) == len(request.scenes):
                update.tell_if_nothing()
        tell(DONE)


class _Update(SceneUpdate):
    """One update of all outputs; see :func:`update_outputs`."""

    def go_on_from(self, shown: Path, since: float) -> None:
        """Begin with what the outputs show; parameters as for :func:`update_outputs`."""
        self._shown_file = shown
        self._shown: dict[str, dict[str, str]] = (
            json.loads(shown.read_text(encoding="utf-8")) if shown.exists() else {}
        )
        self._since = since
        self._told = False
        self._pictures: dict[SceneEntry, dict[str, Path]] = {}

    def sheet(self, entry: SceneEntry) -> None:
        """Draw the missing pictures of a contact sheet, and write it when the first one is drawn.

        A beat that cannot be drawn keeps the picture that the sheet showed before.
        """
        beats = self._beats(entry)
        before = {beat: Path(path) for beat, path in self._shown.get(entry.slug, {}).items()}
        pictures = {beat: before[beat] for beat in beats if beat in before}
        self._pictures[entry] = pictures = {b: p for b, p in pictures.items() if p.is_file()}
        waiting = True

        def on_picture(beat: str, path: Path, is_new: bool) -> None:
            nonlocal waiting
            pictures[beat] = path
            if is_new and waiting:
                waiting = False
                self.save_sheet(entry)

        try:
            draw_pictures(entry, self.trace, self.rehearsals, on_picture)
        except Exception:
            self.save_sheet(entry)
            raise

    def _beats(self, entry: SceneEntry) -> tuple[str, ...]:
        return self.request.beat_names(entry, self.trace)

    def save_sheet(self, entry: SceneEntry) -> None:
        """Write a contact sheet, unless it shows the same already."""
        pictures, now = self._pictures[entry], entry.titled_anew
        shown = {"": now.shown_title} | {beat: str(path) for beat, path in pictures.items()}
        beats = self._beats(entry)
        self._update(entry.slug, shown, lambda: save_sheet(self.request, now, beats, pictures))

    def film_of_first(self, plan: Plan) -> None:
        """Write the film of the first changed beat alone, unless all beats have changed."""
        before = self._shown.get(f"{plan.entry.slug} film", {}).values()
        changed = [task for task in plan.tasks if str(task.segment) not in before]
        if changed and len({task.beat for task in changed}) < len(plan.beats):
            self._print_path(self._deliver(beat_film(plan, changed[0].beat)))

    def film(self, plan: Plan) -> None:
        """Write a scene's film, if it differs from the one that was written before.

        Other words are another film too, even where its pictures stay the same.
        """
        key = f"{plan.entry.slug} film"
        keys = {str(number): str(task.segment) for number, task in enumerate(plan.tasks)}
        if self.request.captions in ("files", "mux"):
            keys["captions"] = vtt(film_cues(self.records(plan), self.request.quality))
        self._update(key, keys, lambda: self._deliver(plan))

    def _update(self, key: str, shown: dict[str, str], write: Callable[[], Path]) -> None:
        """Write a file, unless it shows the same already, and report it.

        What it shows is stored before it is reported: an edit may follow.
        """
        if self._shown.get(key) != shown:
            path = write()
            self._shown[key] = shown
            write_text(self._shown_file, json.dumps(self._shown))
            self._print_path(path)

    def _deliver(self, plan: Plan) -> Path:
        """Write a film; return its path."""
        request, records = self.request, self.records(plan)
        target = target_of(request.out / plan.name, request.file_format)
        files = self.files(plan, target)
        chapters, title = beat_chapters(records, request.quality), plan.entry.shown_title
        return write_film(request, plan.name, files, records, chapters, title=title)

    def _print_path(self, path: Path) -> None:
        """Print the path of a written file, and the seconds since the edit."""
        self._told = True
        print_line(self.request, f"{path}  ({time.time() - self._since:.1f} s)")

    def tell_if_nothing(self) -> None:
        """Say that an edit has changed nothing that is shown, unless something was written."""
        if not self._told:
            print_line(self.request, f"nothing has changed  ({time.time() - self._since:.1f} s)")
