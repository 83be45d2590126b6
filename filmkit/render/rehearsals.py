"""Rehearsals of scenes (their beats, durations and what they use), stored in the cache.

The duration of a scene is known only after it was run, without drawing; so is what it uses. A
stored rehearsal counts while all of that is as it was, so that listing all scenes takes no time.
Scenes are run in processes of their own, which load their code anew, and one of which may die.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from extract.support.files import OutputError, write_text
from extract.support.printing import echo, prints_as_messages
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord, Rehearsal, Speech, Use
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.render import recording
from filmkit.render.cache import Cache, open_cache, seal
from filmkit.render.errors import EditedError, RenderError
from filmkit.render.keys import BeatHasher, Drawn, read_ahead
from filmkit.render.processes import DONE, ERROR, run_apart, telling
from filmkit.render.recording import CODE, OWN_CODE
from filmkit.render.request import RenderRequest

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = ["Rehearsals", "record_apart", "with_fitting_scenes"]

APART = "filmkit.render.rehearsals:record_apart"


class Rehearsals:
    """Rehearsals of scenes for one request, and the keys of their beats.

    Parameters
    ----------
    request
        The trace, how to render, how many processes may run, and what is printed.
    cache
        The cache that holds rehearsals.

    Attributes
    ----------
    request
        The request; its trace is named, so that all processes take the same.
    cache
        As above.
    hasher
        Makes the keys.
    """

    # Without a cache: what the next part of the same command need not run again.
    _made: ClassVar[dict[str, Rehearsal]] = {}

    def __init__(self, request: RenderRequest, cache: Cache) -> None:
        self.request = replace(request, trace=request.trace_file)
        self.hasher = BeatHasher(self.request)
        self.cache = cache
        self._known: dict[SceneEntry, Rehearsal | RenderError] = {}

    def get(self, entry: SceneEntry) -> Rehearsal:
        """Return a scene's rehearsal, after running the scene if it is not known.

        Raises
        ------
        RenderError
            When the scene cannot be run.
        """
        self.prepare([entry])
        known = self._known[entry]
        if isinstance(known, RenderError):
            raise known
        return known

    def find(self, entry: SceneEntry) -> Rehearsal | None:
        """Return a scene's rehearsal if it is known, and all that it has used is as it was."""
        known = self._known.get(entry)
        if known is None:
            path = self._path(entry)
            if self.cache.holds(path):
                known = _rehearsal(json.loads(path.read_text(encoding="utf-8")))
            elif not self.request.keep_cache:
                known = self._made.get(path.name)
            if known is None or recording.changed(known.uses):
                return None
            self._known[entry] = known
        return known if isinstance(known, Rehearsal) else None

    def prepare(self, entries: Iterable[SceneEntry]) -> None:
        """Run those of some scenes that are not known, as many at a time as there are cores."""
        ahead = [e for e in dict.fromkeys(entries) if e not in self._known and not self.find(e)]
        read = self.request.with_trace() if ahead else ()
        read_ahead(ahead)
        calls = {entry: (entry, *read, self.cache) for entry in ahead}
        for entry, message in run_apart(APART, calls, self.request.jobs):
            if message["kind"] == ERROR:
                self._known[entry] = RenderError(message["text"], misfit=message.get("misfit", ""))
            elif recording.changed(self.hasher.traces):  # since the keys were begun
                self._known[entry] = EditedError()
            else:
                self._known[entry] = rehearsal = _rehearsal(message["rehearsal"])
                if not rehearsal.obstacle:
                    self._made[self._path(entry).name] = rehearsal

    def uses_of(self, entries: Iterable[SceneEntry]) -> tuple[Use, ...]:
        """Return all that rehearsed scenes use, and that must not change while they are drawn."""
        found = dict.fromkeys(self.hasher.traces)
        for entry in entries:
            rehearsal = self.get(entry)
            kinds = {CODE, OWN_CODE} if rehearsal.obstacle else {use[0] for use in rehearsal.uses}
            found |= dict.fromkeys(use for use in rehearsal.uses if use[0] in kinds)
        return tuple(found)

    def tell_obstacles(self, entries: Iterable[SceneEntry]) -> None:
        """Print which of some scenes cannot be kept in the cache, and why, unless it is quiet."""
        for entry in entries:
            if (obstacle := self.get(entry).obstacle) and not self.request.quiet:
                echo(f"{entry.slug} is drawn anew each time, because {obstacle}", err=True)

    def record_here(
        self,
        entry: SceneEntry,
        trace: Trace,
        on_beat_end: Callable[[BeatRecord, Stage, str], None] = lambda record, stage, code: None,
    ) -> Rehearsal:
        """Run a scene in this process, and note and store what it uses.

        The process is one that :func:`clean_process` has started, and that does nothing else.

        Parameters
        ----------
        entry, trace
            The scene, and the trace.
        on_beat_end
            Called at the end of each beat, with what its pictures depend on; see
            :attr:`BeatRecord.code`.

        Raises
        ------
        Exception
            Any error of the scene's code.
        EditedError
            When the scene was edited meanwhile.
        """
        # Imported here because it takes a second to load, and known rehearsals do not need it.
        from manim import config

        recording.set_aside(config.media_dir, *(name for _, name, _ in self.hasher.traces))
        drawn, beats = Drawn(entry, self.request.settings.language), list[BeatRecord]()

        def end(record: BeatRecord, stage: Stage) -> None:
            uses = recording.uses()
            beats.append(replace(record, code=drawn.after(uses)))
            self._require_unedited(drawn, uses)
            on_beat_end(record, stage, beats[-1].code)

        stage = self.request.stage(entry, trace, on_beat_end=end)
        stage.render()
        uses = recording.uses()
        self._require_unedited(drawn, uses)
        seen = [use for use in uses if use[0] != OWN_CODE]
        changes = [f"{name} changes while it runs" for name in recording.changed(seen)]
        rehearsal = Rehearsal(
            tuple(beats),
            stage.time,
            stage.tensors,
            (*drawn.uses, *seen),
            next(filter(None, [recording.obstacle(), *changes]), ""),
        )
        self._known[entry] = rehearsal
        if not rehearsal.obstacle:
            path = self._path(entry)
            # Without room or permission for it, it is found out anew the next time.
            with suppress(OutputError, OSError):
                self.cache.remove(path)
                write_text(path, json.dumps(asdict(rehearsal), ensure_ascii=False))
                seal(path)
        return rehearsal

    def _require_unedited(self, drawn: Drawn, uses: Iterable[Use]) -> None:
        """Raise an EditedError unless the code that was read is what ran, and traces are as then.

        Whatever is edited afterwards, a key is that of the pictures that are drawn.
        """
        ran = [(name, state) for kind, name, state in uses if kind in (CODE, OWN_CODE)]
        if any(drawn.code.get(name, state) != state for name, state in ran) or recording.changed(
            self.hasher.traces
        ):
            raise EditedError

    def _path(self, entry: SceneEntry) -> Path:
        return self.cache.path(self.hasher.rehearsal_key(entry), ".rehearsal.json")


def _rehearsal(stored: dict[str, Any]) -> Rehearsal:
    """Return a rehearsal from what JSON holds of it."""
    rehearsal = _with_tuples(stored)
    beats = []
    for beat in rehearsal["beats"]:
        speech = beat["speech"] and Speech(**beat["speech"])
        beats.append(BeatRecord(**beat | {"speech": speech}))
    return Rehearsal(**rehearsal | {"beats": tuple(beats)})


def _with_tuples(value: Any) -> Any:
    """Return what JSON holds with a tuple for each list, which it makes of tuples."""
    if isinstance(value, dict):
        return {name: _with_tuples(part) for name, part in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def record_apart(
    entry: SceneEntry, request: RenderRequest, trace: Trace, cache: Cache, messages: Connection
) -> None:
    """Rehearse a scene in a process of its own, whose last message holds the ``rehearsal``.

    See :func:`run_apart`.
    """
    from filmkit.render.manim_config import manim_config

    with (
        telling(messages, verbose=request.verbose) as tell,
        manim_config(request.quality),
        prints_as_messages(),
    ):
        tell(DONE, rehearsal=asdict(Rehearsals(request, cache).record_here(entry, trace)))


def with_fitting_scenes(request: RenderRequest) -> RenderRequest:
    """Leave out the scenes that cannot show the request's trace, and say which and why.

    In a film of several scenes each then arrives from the one before that is left. If no scene can
    show the trace, the request stays as it is.

    Raises
    ------
    TraceError
        When the trace cannot be read.
    """
    fitting: list[tuple[SceneEntry, Sequence[str]]] = []
    with open_cache(request.cache, keep=request.keep_cache, quiet=True) as cache:
        rehearsals = Rehearsals(replace(request, voice=None), cache)
        rehearsals.prepare(request.scenes)
        unfit: dict[str, str] = {}
        for scene in request.scenes:
            part = scene.alone, request.selection.get(scene, ())
            last = list(one_after_another([*fitting, part]))[-1] if request.joined else scene
            if scene.slug not in unfit and not (reason := _misfit(rehearsals, last)):
                fitting.append(part)
            else:
                unfit.setdefault(scene.slug, reason)
    if not fitting:
        return request
    for slug, reason in unfit.items():
        echo(f"{slug} is left out: {reason}", err=True)
    film = one_after_another(fitting) if request.joined else dict(fitting)
    return replace(request, scenes=tuple(film), selection=film if request.selection else {})


def _misfit(rehearsals: Rehearsals, entry: SceneEntry) -> str:
    """Return why a scene cannot show the trace; nothing if it can, or fails in another way."""
    try:
        rehearsals.get(entry)
    except RenderError as error:
        return error.misfit
    return ""
