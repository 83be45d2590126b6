"""Rehearsals of scenes: runs without drawing, after which beats, times and keys are known.

Those of the project's scenes are stored in the cache, as long as nothing in the project changes.
Scenes are run in processes of their own, which load their code anew, and one of which may die.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from extract.support.files import OutputError, write_text
from extract.support.printing import echo
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord, Rehearsal, Speech
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.render.cache import Cache, open_cache, seal
from filmkit.render.digests import project_digest
from filmkit.render.errors import RenderError
from filmkit.render.keys import Keys
from filmkit.render.pool import Pool
from filmkit.render.reads import files_read
from filmkit.render.request import RenderRequest

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = ["Rehearsals", "recorder", "with_fitting_scenes"]

RECORD = "filmkit.render.rehearsals:recorder"


class Rehearsals:
    """Rehearsals of scenes for one request, and the keys of their beats.

    Parameters
    ----------
    request
        The trace, how to render, how many processes may run, and what is printed.
    cache
        The cache that holds rehearsals.
    hashed
        Whether what is drawn in each frame is hashed, for the keys of films; it takes a tenth of
        the time of drawing, at most. Times, words and the keys of last pictures need it not.

    Attributes
    ----------
    request
        The request; its trace is named, so that all processes take the same.
    cache
        As above.
    keys
        Makes the keys.
    """

    # Without a cache: what the next part of the same command need not run again.
    _made: ClassVar[dict[str, Rehearsal]] = {}

    def __init__(self, request: RenderRequest, cache: Cache, *, hashed: bool = False) -> None:
        self.request = replace(request, trace=request.trace_file)
        self.keys = Keys(self.request)
        self.cache = cache
        self._hashed = hashed
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
        """Return a scene's rehearsal if it is known.

        That of a file of the user's own is known only once it was run here: it may use anything.
        """
        if entry not in self._known and entry.file is None:
            for path in self._paths(entry):
                if self.cache.holds(path):
                    self._known[entry] = _rehearsal(json.loads(path.read_text(encoding="utf-8")))
                elif not self.request.keep_cache and path.name in self._made:
                    self._known[entry] = self._made[path.name]
        known = self._known.get(entry)
        return known if isinstance(known, Rehearsal) else None

    def prepare(self, entries: Iterable[SceneEntry]) -> None:
        """Run those of some scenes that are not known, as many at a time as there are cores."""
        ahead = [e for e in dict.fromkeys(entries) if e not in self._known and not self.find(e)]
        if not ahead:
            return
        request, trace = self.request.with_trace()
        shared = request, trace, self.cache, self._hashed
        with Pool(RECORD, shared, {entry: (entry,) for entry in ahead}, request) as pool:
            for entry, message in pool.results():
                match message:
                    case {"kind": "error", "text": text}:
                        self._known[entry] = RenderError(text, misfit=message.get("misfit", ""))
                    case {"rehearsal": stored}:
                        self._known[entry] = rehearsal = _rehearsal(stored)
                        self._made[self._paths(entry)[0].name] = rehearsal

    def record_here(
        self,
        entry: SceneEntry,
        trace: Trace,
        on_beat_end: Callable[[BeatRecord, Stage], None] = lambda record, stage: None,
    ) -> Rehearsal:
        """Run a scene in this process, which has loaded the project since the request was made.

        What was found out is stored, for a scene of the project that was not edited meanwhile.

        Raises
        ------
        Exception
            Any error of the scene's code.
        """
        stage = self.request.stage(entry, trace, on_beat_end=on_beat_end, hashed=self._hashed)
        stage.render()
        # What scenes of the project use is there on every machine.
        files = tuple(files_read()) if entry.file else ()
        self._known[entry] = rehearsal = Rehearsal(
            tuple(stage.beats), stage.time, stage.tensors, files
        )
        if entry.file is None and project_digest() == self.request.code:
            path = self._paths(entry)[0]
            # Without room or permission for it, it is found out anew the next time.
            with suppress(OutputError, OSError):
                write_text(path, json.dumps(asdict(rehearsal), ensure_ascii=False))
                seal(path)
        return rehearsal

    def _paths(self, entry: SceneEntry) -> list[Path]:
        """Return where a rehearsal is stored, and where one is that knows more."""
        return [
            self.cache.path(self.keys.rehearsal_key(entry, hashed=hashed), ".rehearsal.json")
            for hashed in sorted({self._hashed, True})
        ]


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


def recorder(
    request: RenderRequest, trace: Trace, cache: Cache, hashed: bool
) -> Callable[[SceneEntry, Callable[..., None]], None]:
    """Return what rehearses a scene, and tells the ``rehearsal``; see :class:`Pool`."""
    rehearsals = Rehearsals(request, cache, hashed=hashed)

    def record(entry: SceneEntry, tell: Callable[..., None]) -> None:
        tell("rehearsal", rehearsal=asdict(rehearsals.record_here(entry, trace)))

    return record


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
