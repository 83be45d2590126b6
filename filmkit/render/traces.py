"""Find the trace that pictures are made from."""

from __future__ import annotations

from pathlib import Path

from extract.facts.published import EXTRACTED_GPT2
from extract.support.assets import asset
from extract.trace import Trace

__all__ = ["EXTRACTED", "SHIPPED", "find_trace", "provenance"]

# GPT-2, which the film's story is about; it exists only if the user has extracted it.
EXTRACTED = EXTRACTED_GPT2
# The trace that comes with the project.
SHIPPED = asset("traces/smollm2-135m.safetensors")


def find_trace(requested: Path | None) -> Path:
    """Return the requested trace file, else the user's own trace of GPT-2, else the shipped one."""
    if requested is not None:
        return requested
    return EXTRACTED if EXTRACTED.exists() else SHIPPED


def provenance(trace: Trace, path: Path) -> str:
    """Return one line that says which model the pictures come from."""
    model = trace.meta.model + ", random weights" * trace.meta.random_weights
    if path == SHIPPED:
        return f"pictures from {model}, the trace that comes with the project"
    return f"pictures from {model} ({path})"
