"""Values that hold inside a ``with`` block, such as the theme in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

__all__ = ["holding"]

T = TypeVar("T")


@contextmanager
def holding(variable: ContextVar[T], value: T) -> Iterator[T]:
    """Let a variable have a value inside the ``with`` block, and yield the value."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
