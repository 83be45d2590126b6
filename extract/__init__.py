"""The numbers behind the film: run a model and record what its attention computes."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.trace import Trace, TraceError, TraceMeta

__all__ = ["Trace", "TraceError", "TraceMeta", "trace"]


def __getattr__(name: str) -> Any:
    """Load a class when it is first used: programs that only print must not wait for numpy."""
    if name in __all__:
        return getattr(import_module("extract.trace"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def trace(model: Any, tokenizer: Any, prompt: str, **options: Any) -> Trace:
    """Trace a model that is already in memory.

    Loads torch only when called.  See `extract.capture.trace_model` for the options and the errors.
    """
    from extract.capture import trace_model

    return trace_model(model, tokenizer, prompt, **options)


class _Package(ModuleType):
    """A package whose function `trace` keeps its name when the submodule `trace` is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "trace" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
