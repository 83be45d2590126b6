"""Which files scenes read besides code of the kit and libraries: to watch them, or to send them.

It is a hint: what libraries open by themselves, in C, is not seen. No key is made of it. Python
tells every ``open`` to audit hooks, which cannot be taken out again, so this happens in processes
that do nothing else than run scenes (:mod:`filmkit.render.clean_process`).
"""

# Paths are texts, as they are announced: as objects they would cost time at every event.

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from importlib.util import source_from_cache
from pathlib import Path
from tempfile import gettempdir
from types import FrameType
from typing import Any

from extract.support.temporary import PREFIX
from filmkit.core.project import PROJECT
from filmkit.render.digests import file_hash

__all__ = ["READS", "files_read", "note_reads"]

READS = "reads"
"""Kind of the message to another process that tells it the ``files`` of :func:`files_read`."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
OTHERS = (
    *(f"{PROJECT / name}{os.sep}" for name in ("extract", "filmkit")),
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib")),
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("purelib", "platlib")),
    *("/proc/", "/sys/", "/dev/", "<"),
)
"""Where what is not the scenes' lies; what Python itself runs has a name such as "<string>"."""

NOT_NOTED = (*OTHERS, os.path.join(gettempdir(), PREFIX))
"""Where files lie that are not noted: those, and what Manim writes of a text to read it again."""

_read: dict[str, str] = {}


@cache
def note_reads() -> None:
    """Begin to note which files this process reads, and let no scene fork it; once."""
    sys.addaudithook(_hear)


def files_read() -> dict[str, str]:
    """Return the hash that each file had when it was first read; "" if it was not there.

    What was there only for a moment, as files of the kit that hold a letter, is left out.
    """
    return {name: state for name, state in _read.items() if not state or os.path.exists(name)}


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("os.fork", "os.forkpty") and _is_asked_by_a_scene():
        raise RuntimeError("two processes would go on with the scene; start one with subprocess")
    if event == "open" and isinstance(arguments[0], str | os.PathLike):
        path, _mode, flags = arguments
        name = os.path.abspath(path)
        if name.endswith(".pyc"):
            name = source_from_cache(name)
        new = name not in _read and not flags & WRITING and not name.startswith(NOT_NOTED)
        if new and _is_asked_by_a_scene():
            _read[name] = ""  # to hash it is to read it
            _read[name] = file_hash(Path(name))


def _is_asked_by_a_scene() -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(OTHERS):
            return True
        frame = frame.f_back
    return False
