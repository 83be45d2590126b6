"""Whether this process may be forked for what runs scenes, instead of loading all anew.

A command is such a process: it has just loaded the project, and ends when its films are made. What
runs for long, such as a notebook or the studio, starts processes that load the code as it is then
(:mod:`filmkit.render.clean_process`).
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from pathlib import Path

from filmkit.render.digests import project_digest

__all__ = ["allow_forks", "can_fork", "load_kit"]

USED = "filmkit.render.manim_config", "filmkit.pictures.stage", "filmkit.core.card"
"""What runs any scene. It imports Manim and the kit, and draws nothing: Pango would keep a thread
for its fonts, and a fork would wait for that forever."""

_begun = ""


def allow_forks() -> None:
    """Allow forks of this process, which now begins to load the project."""
    global _begun
    _begun = project_digest()


def can_fork() -> bool:
    """Return whether this process may be forked.

    It is allowed, nothing of the project was edited since then, and no other thread runs, also none
    of a library: a fork has this thread alone, and would wait for the others. That is known on
    Linux only.
    """
    if not _begun or sys.platform != "linux":
        return False
    threads = [*Path("/proc/self/task").iterdir()]
    return len(threads) == 1 and project_digest() == _begun


def load_kit() -> None:
    """Load what runs scenes, once for this process and its forks.

    Nothing of it becomes garbage. To look for it meanwhile would take a tenth of the time; to do so
    later would copy this memory to each fork.
    """
    gc.disable()
    try:
        for name in USED:
            import_module(name)
        gc.freeze()
    finally:
        gc.enable()
