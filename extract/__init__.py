"""The numbers behind the film: run a model and record what its attention computes."""

from __future__ import annotations

from typing import Any

# The submodule `extract.trace` is imported before the function below takes the same name in this
# package: `from extract.trace import Trace` keeps working, and `extract.trace(...)` is the call.
from extract.trace import Trace, TraceError, TraceMeta

__all__ = ["Trace", "TraceError", "TraceMeta", "trace"]


def trace(model: Any, tokenizer: Any, prompt: str, **options: Any) -> Trace:
    """Trace a model that is already in memory.

    Loads torch only when called.  See `extract.capture.trace_model` for the options and the errors.
    """
    from extract.capture import trace_model

    return trace_model(model, tokenizer, prompt, **options)
