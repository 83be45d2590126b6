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


class Refused(Exception):
    """Stands for an object that was not loaded; it takes any arguments and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__("something that is not plain data")

    def __setstate__(self, state: object) -> None:
        pass


def _exception(kind: Any, arguments: Any, *context: object) -> Exception:
    """Make the exception that was raised elsewhere, without what else it held."""
    if not isinstance(kind, type):
        return Refused()
    error: Exception = Exception.__new__(kind)
    error.args = tuple(arguments["args"] if isinstance(arguments, dict) else arguments)
    return error


# What a pickle calls to make an exception or a traceback in Dask, and what is called here.
INSTEAD = {
    "unpickle_exception": _exception,
    "unpickle_exception_with_attrs": _exception,
    "unpickle_traceback": lambda *frame: None,
}


class _Unpickler(pickle.Unpickler):
    """Loads plain data and exceptions of Python itself; Dask sends ``bytes`` with their class."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "tblib.pickling_support":
            return INSTEAD.get(name, Refused)
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
