"""Which trace the pictures are made from."""

from __future__ import annotations

from pathlib import Path

from extract.trace import Trace

__all__ = ["EXTRACTED", "SHIPPED", "find_trace", "provenance"]

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "traces"

# The film's own model, when the user has extracted it; and what comes with the project.
EXTRACTED = FOLDER / "gpt2.safetensors"
SHIPPED = FOLDER / "smollm2-135m.safetensors"


def find_trace(asked_for: Path | None) -> Path:
    """The trace that was asked for, else the user's own GPT-2, else the shipped one."""
    if asked_for is not None:
        return asked_for
    return EXTRACTED if EXTRACTED.exists() else SHIPPED


def provenance(trace: Trace, path: Path) -> str:
    """One line that says which model the pictures come from."""
    if path == SHIPPED:
        return f"pictures from {trace.meta.model}, the trace that comes with the project"
    return f"pictures from {trace.meta.model} ({path})"
