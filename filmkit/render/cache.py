"""Keeps what has been rendered: masters of beats, films made from them, lengths of scenes.

Everything is found by a key that says what it was made from, so nothing here is ever out of date
and all of it may be deleted at any time. What was not used for longest goes first when the folder
grows beyond its limit.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

__all__ = [
    "FOLDER_VARIABLE",
    "LIMIT_VARIABLE",
    "Cache",
    "default_folder",
    "default_limit",
    "open_cache",
]

FOLDER_VARIABLE = "ATTENTION_FILM_CACHE"
LIMIT_VARIABLE = "ATTENTION_FILM_CACHE_GB"
DEFAULT_LIMIT_GB = 10.0

# What a killed run left half written is removed when it is that old; younger files may be in use.
ABANDONED_SECONDS = 24 * 3600.0


def default_folder() -> Path:
    """Where the environment says, else in the user's folder for caches."""
    if asked_for := os.environ.get(FOLDER_VARIABLE):
        return Path(asked_for)
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "attention-film"


def default_limit() -> int:
    """Most bytes that the folder keeps."""
    said = os.environ.get(LIMIT_VARIABLE, "")
    try:
        gigabytes = float(said or DEFAULT_LIMIT_GB)
    except ValueError:
        raise click.UsageError(
            f"{LIMIT_VARIABLE} is '{said}', which is no number; say how many gigabytes, such as 10"
        ) from None
    return round(gigabytes * 1e9)


class Cache:
    """A folder of finished files.

    Parameters
    ----------
    folder
        Where; it need not exist.
    limit
        Most bytes that :meth:`shrink` leaves.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit

    def path(self, key: str, suffix: str) -> Path:
        """Where a file is or belongs."""
        return self.folder / f"{key}{suffix}"

    def holds(self, path: Path) -> bool:
        """Whether a file is there; if so, it counts as used now."""
        try:
            os.utime(path)
        except OSError:
            return False
        return True

    def sizes(self) -> dict[Path, int]:
        """Every file with its bytes; what was not used for longest comes first."""
        found = []
        for path in self.folder.glob("*"):
            # Another run may remove a file between the listing and the look.
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, path, status.st_size))
        return {path: size for _, path, size in sorted(found)}

    def shrink(self) -> None:
        """Remove what was not used for longest until the limit is kept."""
        sizes = self.sizes()
        excess = sum(sizes.values()) - self.limit
        for path, size in sizes.items():
            with suppress(FileNotFoundError):
                half_written = path.suffix == ".part"
                if half_written and time.time() - path.stat().st_mtime < ABANDONED_SECONDS:
                    continue
                if excess > 0 or half_written:
                    path.unlink()
                    excess -= size

    def clear(self) -> None:
        """Remove every file."""
        for path in self.sizes():
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def open_cache(folder: Path | None, *, keep: bool) -> Iterator[Cache]:
    """A cache for one run; it is within its limit afterwards.

    Parameters
    ----------
    folder
        Where; the default folder if None.
    keep
        Without it, files live in a folder of their own that is removed in the end.
    """
    if keep:
        cache = Cache(folder or default_folder(), default_limit())
        try:
            yield cache
        finally:
            cache.shrink()
    else:
        with TemporaryDirectory(prefix="attention-film-") as scratch:
            yield Cache(Path(scratch), 0)
