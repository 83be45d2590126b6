"""Take nothing but plain data from a Dask scheduler and its workers.

Dask sends objects as pickles, and to load a pickle is to run whatever code it names. Whoever is on
the other end could so run code on this machine. While a film is rendered on a cluster, this process
therefore loads pickles with an unpickler that knows plain data and Python's own exceptions alone;
anything else becomes a :class:`Refused`, and nothing of it runs.

Scheduler and workers still have to run what this machine sends them: that is what they are for.
"""

from __future__ import annotations

import builtins
import io
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import distributed.client
import distributed.protocol.pickle

__all__ = ["Refused", "plain_data_only"]

# The modules of Dask that load pickles in a client, under the name of Python's module.
LOADING: tuple[Any, ...] = (distributed.client, distributed.protocol.pickle)


class Refused:
    """Stands for an object that was not loaded; it takes any arguments and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Loads plain data and exceptions of Python itself; Dask sends ``bytes`` with their class."""

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(builtins, name, None) if module == "builtins" else None
        if isinstance(found, type) and issubclass(found, (Exception, bytes)):
            return found
        return Refused


def _loads(data: Any, *, buffers: Iterable[Any] = ()) -> Any:
    return _Unpickler(io.BytesIO(data), buffers=buffers).load()


@contextmanager
def plain_data_only() -> Iterator[None]:
    """Load nothing but plain data from Dask's connections inside the ``with`` block."""
    for module in LOADING:
        module.pickle = SimpleNamespace(**vars(pickle) | {"loads": _loads})
    try:
        yield
    finally:
        for module in LOADING:
            module.pickle = pickle
