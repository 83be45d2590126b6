"""Which beat plays now, for those who watch the process that plays it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

from filmkit.core.holding import holding

__all__ = ["beat_begins", "hearing_of_beats"]

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def hearing_of_beats(listener: Callable[[str], None]) -> AbstractContextManager[object]:
    """Call a function with the name of each beat that begins in the ``with`` block."""
    return holding(_listener, listener)


def beat_begins(name: str) -> None:
    """Tell who listens that a beat begins."""
    if listener := _listener.get():
        listener(name)
