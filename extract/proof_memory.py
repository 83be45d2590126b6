"""Which traces have been proved, so that each is proved once.

Contents are told apart by `Trace.digest`.  They are remembered in this process, and for other
processes in one small file in the user's cache folder.  The file may be removed or damaged: then a
trace is proved again.  The environment variable ``ATTENTION_FILM_PROVED`` names another file.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from extract.files import OutputError, atomic_write

__all__ = ["FILE_VARIABLE", "is_proved", "remember"]

FILE_VARIABLE = "ATTENTION_FILM_PROVED"

MOST_REMEMBERED = 1000
"""Number of traces in the file; those that were proved first are forgotten first."""

_RULES = ("attention", "latent", "proof", "self_check")
"""Modules that make the proof: what older ones have proved is proved again."""

_ENTRY = re.compile(r"[0-9a-f]{64}")

_in_this_process: set[str] = set()


def is_proved(digest: str) -> bool:
    """Return whether the trace with this `Trace.digest` has been proved by these rules."""
    entry = _entry(digest)
    if entry not in _in_this_process and entry in _entries(_file()):
        _in_this_process.add(entry)
    return entry in _in_this_process


def remember(digest: str) -> None:
    """Note that the trace with this `Trace.digest` has been proved."""
    entry = _entry(digest)
    _in_this_process.add(entry)
    file = _file()
    entries = [*(older for older in _entries(file) if older != entry), entry]
    # A folder that cannot be written to only means that other processes prove the trace again.
    with suppress(OSError, OutputError), atomic_write(file) as part:
        part.write_text("".join(f"{line}\n" for line in entries[-MOST_REMEMBERED:]))


def _file() -> Path:
    if file := os.environ.get(FILE_VARIABLE):
        return Path(file)
    return user_cache_path("attention-film", appauthor=False) / "proved-traces.txt"


def _entries(file: Path) -> list[str]:
    """Return what the file holds; nothing if there is none, or if it is not one of these."""
    try:
        if not file.is_file():
            return []
        with file.open("rb") as stream:
            content = stream.read(MOST_REMEMBERED * 65).decode("ascii", "replace")
    except OSError:
        return []
    return _ENTRY.findall(content)


def _entry(digest: str) -> str:
    """Return what the file holds for a trace: a hash of its content and of the rules."""
    return hashlib.sha256(f"{_rules()} {digest}".encode()).hexdigest()


@cache
def _rules() -> str:
    """Return a hash of the code that makes the proof."""
    code = hashlib.sha256()
    for module in _RULES:
        code.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return code.hexdigest()
