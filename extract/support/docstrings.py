"""Python can leave out docstrings, in which narration and help stand."""

from __future__ import annotations

import sys

__all__ = ["fault_of_python"]


def fault_of_python() -> str:
    """Return what to do so that this Python keeps docstrings; nothing if it does."""
    if sys.flags.optimize < 2:
        return ""
    return (
        "Python leaves out docstrings, in which narration and help stand: run it without -OO, and "
        "with PYTHONOPTIMIZE unset"
    )
