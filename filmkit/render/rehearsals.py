"""Beats and lengths of scenes, remembered by the same keys as their pictures.

To know how long a scene is it has to be run, without drawing. What was found out stays in the
cache, so that a list of all scenes is there at once while nothing has changed.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from extract.files import write_text
from extract.trace import Trace
from filmkit.core.records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache
from filmkit.render.keys import BeatHasher
from filmkit.render.request import RenderOptions

__all__ = ["Rehearsals"]


class Rehearsals:
    """The rehearsals of scenes for one trace and one way of rendering.

    Parameters
    ----------
    trace
        The numbers.
    options
        How to render.
    hasher
        Finds the keys of scenes.
    cache
        Where rehearsals are kept.
    """

    def __init__(
        self, trace: Trace, options: RenderOptions, hasher: BeatHasher, cache: Cache
    ) -> None:
        self._trace = trace
        self._options = options
        self._hasher = hasher
        self._cache = cache
        # Keys of scenes while no code has changed: finding them anew takes most of a second.
        self._keys_file = cache.path(hasher.tree_key(), ".keys.json")
        self._keys = _read(self._keys_file) if cache.holds(self._keys_file) else {}

    def of(self, entry: SceneEntry) -> Rehearsal:
        """Look a scene's rehearsal up, or run the scene without drawing.

        Raises
        ------
        Exception
            Whatever the scene raises when it is run.
        """
        path = self._cache.path(self._key(entry), ".rehearsal.json")
        if self._cache.holds(path):
            known = _read(path)
            beats = tuple(BeatRecord(**record) for record in known["beats"])
            return Rehearsal(beats, known["duration"], tuple(known["tensors"]))
        # Manim takes a second to load, which remembered rehearsals need not wait for.
        from filmkit.render.runner import manim_config, rehearse

        with manim_config(self._options.quality):
            rehearsal = rehearse(entry, self._trace, self._options)
        write_text(path, json.dumps(asdict(rehearsal), ensure_ascii=False))
        return rehearsal

    def _key(self, entry: SceneEntry) -> str:
        name = f"{entry.module}:{entry.cls}"
        if name not in self._keys:
            self._keys[name] = self._hasher.scene_key(entry)
            write_text(self._keys_file, json.dumps(self._keys))
        return str(self._keys[name])


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
