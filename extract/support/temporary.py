"""Temporary files and folders that the next run removes if this one is killed.

Whoever makes one holds a lock on it. A lock ends with its process, however that ends; so what is
not locked any more was left behind. Process ids would not tell: in two containers that share a
disk, two processes may have the same one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:
    LOCKS = False  # on Windows
else:
    LOCKS = True

__all__ = ["PREFIX", "held", "is_abandoned", "is_plain", "sweep_folders", "temporary_folder"]

PREFIX = "attention-film-"
LOCK = ".lock"

# Where there are no locks, what is older than this was left behind.
ABANDONED_SECONDS = 24 * 3600.0

# Folders in which this process has looked for what others left behind.
_swept: set[Path] = set()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Create a file and hold a lock on it inside the ``with`` block.

    The file may be written to by name, and renamed or removed, in the meantime.

    Raises
    ------
    OSError
        When the file cannot be created.
    """
    if not LOCKS:
        # An open file could not be renamed.
        path.touch()
        yield
        return
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have found it without a lock, and removed it.
            if _is_same(file, path):
                yield
                return


def is_plain(path: Path) -> bool:
    """Return whether a path is a file itself: no link, folder, pipe or device."""
    return path.is_file() and not path.is_symlink()


def is_abandoned(path: Path) -> bool:
    """Return whether the process that held a file with :func:`held` has ended."""
    if not is_plain(path):
        return False
    with suppress(OSError), path.open("rb") as file:
        if not LOCKS:
            return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _is_same(file: BinaryIO, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def sweep_folders(where: Path) -> None:
    """Remove the temporary folders that killed processes left in a folder, once for each folder."""
    if where in _swept:
        return
    _swept.add(where)
    with suppress(OSError):
        for lock in where.glob(f"*{PREFIX}*/{LOCK}"):
            if lock.parent.name.startswith((PREFIX, f".{PREFIX}")) and is_abandoned(lock):
                shutil.rmtree(lock.parent, ignore_errors=True)


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for the duration of a ``with`` block, and remove it with all that is in it.

    Folders that killed processes left in the same place are removed too.

    Parameters
    ----------
    parent
        Where to make it; the system's folder for temporary files if None. Elsewhere its name is
        hidden.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    where = parent or Path(tempfile.gettempdir())
    prefix = f".{PREFIX}" if parent else PREFIX
    sweep_folders(where)
    with ExitStack() as held_until_the_end:
        locked = False
        while not locked:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
            held_until_the_end.callback(shutil.rmtree, folder, ignore_errors=True)
            # Another process may have found the lock before it was held, and removed the folder.
            with suppress(FileNotFoundError):
                held_until_the_end.enter_context(held(folder / LOCK))
                locked = True
        yield folder
