"""Which beat plays now, for those who watch the process that plays it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["beat_begins", "hearing_of_beats"]

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


@contextmanager
def hearing_of_beats(listener: Callable[[str], None]) -> Iterator[None]:
    """Call a function with the name of each beat that begins in the ``with`` block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def beat_begins(name: str) -> None:
    """Tell who listens that a beat begins."""
    if listener := _listener.get():
        listener(name)
