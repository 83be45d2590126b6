"""Rehearsals of scenes (their beats and durations), stored in the cache.

The duration of a scene is known only after it was run, without drawing. The result is cached, so
that listing all scenes takes no time while nothing has changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from extract.files import OutputError, write_text
from extract.printing import echo
from extract.trace import Trace
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.records import BeatRecord, Rehearsal, Speech
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.render.cache import Cache, open_cache, seal
from filmkit.render.code_index import digest
from filmkit.render.keys import BeatHasher
from filmkit.render.request import RenderOptions, RenderRequest
from filmkit.render.traces import find_trace

__all__ = ["Rehearsals", "with_fitting_scenes"]


class Rehearsals:
    """Rehearsals of scenes for one trace and one set of options.

    Parameters
    ----------
    trace
        The trace.
    options
        How to render.
    hasher
        Computes the cache keys of scenes.
    cache
        The cache that holds rehearsals.
    """

    def __init__(
        self, trace: Trace, options: RenderOptions, hasher: BeatHasher, cache: Cache
    ) -> None:
        self._trace = trace
        self._options = options
        self._hasher = hasher
        self._cache = cache
        # The keys of scenes are cached too, by a key of all code: computing them takes most of a
        # second.
        self._keys_file = cache.path(hasher.tree_key(), ".keys.json")
        self._keys = _read(self._keys_file) if cache.holds(self._keys_file) else {}

    def get(self, entry: SceneEntry) -> Rehearsal:
        """Return a scene's rehearsal from the cache, or run the scene without drawing.

        Raises
        ------
        Exception
            Any error of the scene's code.
        """
        key, speech = self._key(entry), self._options.speech_of(entry)
        if speech:
            key = digest([key, repr(sorted(speech.items()))])
        path = self._cache.path(key, ".rehearsal.json")
        if self._cache.holds(path):
            stored = _read(path)
            beats = tuple(map(_record, stored["beats"]))
            return Rehearsal(beats, stored["duration"], tuple(stored["tensors"]))
        # Imported here because Manim takes a second to load, and cached rehearsals do not need it.
        from filmkit.render.runner import manim_config, rehearse

        with manim_config(self._options.quality):
            rehearsal = rehearse(entry, self._trace, self._options)
        self._store(path, asdict(rehearsal))
        return rehearsal

    def _key(self, entry: SceneEntry) -> str:
        """Return the cache key of a scene."""
        if entry.file:
            # A file of the user's own is not part of the key of all code.
            return self._hasher.scene_key(entry)
        name = f"{entry.module}:{entry.cls}"
        if entry.arrival is not None:
            name += f" {entry.arrival!r}"
        if name not in self._keys:
            self._keys[name] = self._hasher.scene_key(entry)
            self._store(self._keys_file, self._keys)
        return str(self._keys[name])

    def _store(self, path: Path, document: dict[str, Any]) -> None:
        # Without room or permission for it, it is found out anew the next time.
        with suppress(OutputError, OSError):
            write_text(path, json.dumps(document, ensure_ascii=False))
            seal(path)


def with_fitting_scenes(request: RenderRequest) -> RenderRequest:
    """Leave out the scenes that cannot show the request's trace, and say which and why.

    In a film of several scenes each then arrives from the one before that is left. If no scene can
    show the trace, the request stays as it is.

    Raises
    ------
    TraceError
        When the trace cannot be read.
    """
    path = find_trace(request.trace)
    written = replace(request.options, speech={})
    fitting: list[tuple[SceneEntry, Sequence[str]]] = []
    with open_cache(request.cache, keep=request.keep_cache, quiet=True) as cache:
        rehearsals = Rehearsals(Trace.load(path), written, BeatHasher(path, written), cache)
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
    except SceneCodeError:
        return ""
    except StageError as error:
        return str(error)
    except Exception:  # the code of a scene can fail in any way, which is said when it is rendered
        return ""
    return ""


def _record(stored: dict[str, Any]) -> BeatRecord:
    marks, marked = _pairs(stored.pop("marks")), _pairs(stored.pop("marked"))
    model, hidden = stored.pop("notes")
    speech = stored.pop("speech")
    return BeatRecord(
        **stored,
        marks=marks,
        notes=(model, hidden),
        marked=marked,
        speech=speech and Speech(**speech | {"places": _pairs(speech["places"])}),
    )


def _pairs(stored: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in stored)


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
