"""Keeps films and sheets of scenes current while somebody edits them.

The program itself only looks for edits. Whatever is drawn is drawn by a process of its own for
each edit, which loads the code as it is then, and ends when the next edit comes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import click
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from extract.files import write_text
from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache, open_cache
from filmkit.render.clean_process import PROJECT, clean_process
from filmkit.render.delivery import deliver, encoding_of, target_of
from filmkit.render.films import Plan, beat_film, finished_parts, missing, plan_scene
from filmkit.render.jobs import wanted_beats
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import MASTER
from filmkit.render.preview import ContactSheet, open_contact_sheet, save_sheet
from filmkit.render.request import RenderRequest, each, load_trace
from filmkit.render.runner import manim_config
from filmkit.render.traces import find_trace
from filmkit.render.workers import (
    FORK,
    LAST_WORDS,
    BeatTask,
    LocalWorkerPool,
    RenderJob,
    WorkerPool,
    cores,
    ctrl_c_is_for_us,
    obeying_parent,
)

__all__ = ["Edits", "keep_current", "watch"]

CODE = ("filmkit", "scenes", "extract")  # folders of the project
QUIET = 0.05  # seconds without an event after which an editor has done with saving
AWAY = 0.5  # seconds that a file may be away or empty while an editor saves it
TOUCHING = ("created", "modified", "moved", "deleted", "closed")


class Edits(FileSystemEventHandler):
    """Notices when code or a trace has become another one, however an editor saves it.

    What counts is what the files hold, not what happened to them: a file that is renamed away and
    written again, or written again as it was, has not been edited.

    Parameters
    ----------
    project
        The folder of the project.
    trace_file
        The numbers.
    """

    def __init__(self, project: Path, trace_file: Path) -> None:
        self._folders = [project / name for name in CODE]
        self._trace_file = trace_file.resolve()
        self._noticed = threading.Event()
        self._observer = Observer()
        for folder in self._folders:
            self._observer.schedule(self, str(folder), recursive=True)
        self._observer.schedule(self, str(self._trace_file.parent))
        self._known: dict[Path, bytes] = {}

    def __enter__(self) -> Self:
        self._observer.start()
        self._known = self._look()
        return self

    def __exit__(self, *failure: object) -> None:
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Reading makes events too.
        paths = (str(event.src_path), str(event.dest_path))
        ours = any(path.endswith(".py") or path == str(self._trace_file) for path in paths)
        if ours and event.event_type in TOUCHING:
            self._noticed.set()

    def code(self) -> list[Path]:
        """Every file of code."""
        return [path for path in self._known if path != self._trace_file]

    def wait(self) -> list[Path]:
        """Wait for an edit, and return the files that hold something else than before."""
        while True:
            self._noticed.wait()
            while self._noticed.is_set():
                self._noticed.clear()
                time.sleep(QUIET)
            now, deadline = self._look(), time.monotonic() + AWAY
            while time.monotonic() < deadline and any(
                before and not now.get(path) for path, before in self._known.items()
            ):
                time.sleep(QUIET)
                now = self._look()
            changed = [
                path for path in {**self._known, **now} if self._known.get(path) != now.get(path)
            ]
            self._known = now
            if changed:
                return sorted(changed)

    def _look(self) -> dict[Path, bytes]:
        found = {}
        files = [path for folder in self._folders for path in folder.rglob("*.py")]
        for path in (*files, self._trace_file):
            try:
                found[path] = path.read_bytes()
            except OSError:
                continue  # it is just being saved
        return found


def watch(request: RenderRequest, *, films: bool) -> bool:
    """Keep what an order asks for current until Ctrl-C is pressed.

    Parameters
    ----------
    order
        The scenes, and how they are made.
    films
        Whether there are films, or sheets alone.
    """
    trace = load_trace(request)
    if request.beat != "all":
        each(
            request,
            request.scenes,
            lambda entry: wanted_beats(entry, trace, request.beat, "--beat"),
        )
    with (
        TemporaryDirectory(prefix="attention-film-") as scratch,
        open_cache(request.cache, keep=request.keep_cache) as cache,
        Edits(PROJECT, find_trace(request.trace)) as edits,
    ):
        shown = Path(scratch) / "shown.json"
        lasting = replace(request, cache=cache.folder, keep_cache=True)
        say(request, "watching scenes, mobjects and the trace; Ctrl-C ends")
        try:
            since, broken = time.time(), _broken(edits.code())
            while True:
                with ExitStack() as running:
                    if not broken:
                        running.enter_context(_running(lasting, shown, films, since))
                    changed = edits.wait()
                    since = time.time()
                    # What is being drawn goes on until there is something else to draw.
                    while broken := _broken({*broken, *changed}):
                        changed = edits.wait()
                        since = time.time()
        except KeyboardInterrupt:
            say(request, "watching ended")
    return True


def _broken(files: Iterable[Path]) -> set[Path]:
    """Which files are no Python; of each, a line says where."""
    broken = set()
    for path in files:
        if path.suffix == ".py" and path.exists():
            try:
                compile(path.read_bytes(), path, "exec")
            except (SyntaxError, ValueError) as error:
                broken.add(path)
                where = f"{path.relative_to(PROJECT)} line {getattr(error, 'lineno', 1)}"
                said = getattr(error, "msg", error)
                click.echo(f"Error: {where}: {said}; the last good pictures stay", err=True)
    return broken


@contextmanager
def _running(request: RenderRequest, shown: Path, films: bool, since: float) -> Iterator[None]:
    """A process that brings everything up to date; it ends when the ``with`` block is left."""
    function = f"{__name__}:{keep_current.__name__}"
    process = clean_process(function, request, shown, films, since)
    with ctrl_c_is_for_us():
        process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(LAST_WORDS)
        process.kill()


def say(request: RenderRequest, text: str) -> None:
    """Tell the user something, unless nothing is to be said."""
    if not request.quiet:
        click.echo(text)


def keep_current(request: RenderRequest, shown: Path, films: bool, since: float) -> None:
    """Bring the sheets and films of an order up to date.

    The end of the first beat that was touched is drawn first, and shown on the sheet of its scene
    as soon as it is there; then the other pictures and the films.

    Parameters
    ----------
    order
        Keeps a cache, so that only what was touched is drawn.
    shown
        A file that remembers from one call to the next which pictures the sheets show.
    films
        As for :func:`watch`.
    since
        When the edit was saved, as :func:`time.time` tells it.
    """
    with (
        obeying_parent(),
        manim_config(request.quality, verbosity=request.verbosity),
        open_cache(request.cache, keep=True) as cache,
        ExitStack() as crews,
    ):
        trace = load_trace(replace(request, quiet=True))
        update = _Update(request, trace, cache, shown, since, crews)
        albums = each(request, request.scenes, update.open_contact_sheet)
        plans = each(request, albums, update.plan) if films else {}
        update.prepare_pool(plans.values())
        each(request, albums, lambda entry: update.sheet(albums[entry], plans.get(entry)))
        each(request, plans, lambda entry: update.film(plans[entry]))


class _Update:
    """One round of bringing everything up to date."""

    def __init__(
        self,
        request: RenderRequest,
        trace: Trace,
        cache: Cache,
        shown: Path,
        since: float,
        crews: ExitStack,
    ) -> None:
        self._order = request
        self._trace = trace
        self._cache = cache
        self._keyring = BeatHasher(find_trace(request.trace), request.options)
        self._shown_file = shown
        self._shown: dict[str, dict[str, str]] = (
            json.loads(shown.read_text(encoding="utf-8")) if shown.exists() else {}
        )
        self._since = since
        self._crews = crews
        self._work: RenderJob | None = None
        self._worker_pool: WorkerPool | None = None

    def open_contact_sheet(self, entry: SceneEntry) -> ContactSheet:
        return open_contact_sheet(entry, trace=self._trace, hasher=self._keyring, cache=self._cache)

    def plan(self, entry: SceneEntry) -> Plan:
        return plan_scene(
            entry,
            wanted_beats(entry, self._trace, self._order.beat, "--beat"),
            trace=self._trace,
            hasher=self._keyring,
            cache=self._cache,
            part=encoding_of(self._order.form, transparent=False),
        )

    def prepare_pool(self, plans: Iterable[Plan]) -> None:
        tasks = tuple(task for plan in plans for task in missing(plan, self._cache))
        if tasks:
            request = self._order
            self._work = RenderJob(
                tasks,
                find_trace(request.trace),
                request.options,
                MASTER,
                encoding_of(request.form, transparent=False),
                request.verbosity,
                request.verbose,
            )

    def _call_crew(self) -> WorkerPool | None:
        """The processes that draw what films miss; they start when they are first asked for."""
        if self._work and not self._worker_pool:
            size = min(self._order.jobs or cores(), len(self._work.tasks))
            # Copies of this process: they have loaded everything and set the words already.
            self._worker_pool = self._crews.enter_context(LocalWorkerPool(self._work, size, FORK))
        return self._worker_pool

    def sheet(self, album: ContactSheet, plan: Plan | None) -> None:
        """Draw what a sheet misses; it keeps the last good picture of what cannot be drawn."""
        slug = album.entry.slug
        before = self._shown.get(slug, {})
        now = {
            beat: path if path.exists() else Path(before[beat])
            for beat, path in album.pictures.items()
            if path.exists() or Path(before.get(beat, "")).is_file()
        }

        def save() -> None:
            said = {beat: str(path) for beat, path in now.items()}
            if said != self._shown.get(slug):
                self._made(save_sheet(self._order, album, now))
                self._shown[slug] = said
                write_text(self._shown_file, json.dumps(self._shown))

        first = True

        def taken(beat: str) -> None:
            nonlocal first
            now[beat] = album.pictures[beat]
            if first:
                first = False
                save()
                # Nothing else is drawn meanwhile, so that this film comes soon.
                self._film_of_first(plan)

        try:
            album.draw(self._trace, self._order.options, taken)
        finally:
            save()

    def _touched(self, plan: Plan) -> list[BeatTask]:
        """The beats whose pictures the film does not show yet."""
        before = self._shown.get(f"{plan.entry.slug} film", {})
        return [task for task in plan.tasks if before.get(task.beat) != str(task.master)]

    def _film_of_first(self, plan: Plan | None) -> None:
        """Write the film of the first beat that was touched, if others were not."""
        touched = self._touched(plan) if plan else []
        if plan and touched and len(touched) < len(plan.tasks):
            self._deliver(beat_film(plan, touched[0]))

    def film(self, plan: Plan) -> None:
        """Write a scene's film, if it is not as it was."""
        key = f"{plan.entry.slug} film"
        keys = {task.beat: str(task.master) for task in plan.tasks}
        if self._touched(plan) or len(self._shown.get(key, {})) != len(keys):
            self._deliver(plan)
            self._shown[key] = keys
            write_text(self._shown_file, json.dumps(self._shown))

    def _deliver(self, plan: Plan) -> None:
        request = self._order
        target = target_of(request.out / plan.name, request.form)
        pool = self._call_crew()
        files = (
            finished_parts(plan, target, pool, lambda frames: None)
            if pool
            else (task.last for task in plan.tasks)
        )
        deliver(
            target, files, request.form, frame_rate=request.quality.frame_rate, transparent=False
        )
        self._made(target)

    def _made(self, path: Path) -> None:
        say(self._order, f"{path}  ({time.time() - self._since:.1f} s)")
