"""Find out early which beat an edit has touched, before the processes that draw are ready."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from filmkit.render.keys import BeatHasher
from filmkit.render.request import RenderRequest
from filmkit.render.traces import find_trace

__all__ = ["TouchedBeats"]


class TouchedBeats:
    """Compares the keys of a scene's beats from one edit to the next.

    The process that draws does the same with the code as it is after the edit; this is quicker, and
    wrong if the edit has changed how keys are made. So it may say what to show first, and nothing
    else.

    Parameters
    ----------
    request
        The scene, and how it is drawn.
    """

    def __init__(self, request: RenderRequest) -> None:
        self._request = request
        self._lock = threading.Lock()
        self._keys: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether there is something to compare with."""
        return bool(self._keys)

    def first(self, beats: Sequence[str]) -> str | None:
        """Return the first beat whose pictures have changed since the last call.

        Parameters
        ----------
        beats
            Names of the beats that were played before the edit, in order.

        Returns
        -------
        str or None
            None if there is none, in the first call, and if the code cannot be read.
        """
        (entry,) = self._request.scenes
        with self._lock:
            before = self._keys
            try:
                hasher = BeatHasher(find_trace(self._request.trace), self._request.options)
                self._keys = hasher.beat_keys(entry, beats, notes=True)
            except Exception:  # whatever is wrong with the code, the process that draws tells it
                return None
            changed = (beat for beat in beats if before.get(beat) != self._keys[beat])
            return next(changed, None) if before else None
