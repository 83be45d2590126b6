"""The cache of rendered files: masters of beats, their encoded segments, pictures, rehearsals.

The name of each file starts with a cache key: a hash of all that the file depends on. So a cached
file is never out of date, and every file may be deleted at any time. When the folder grows beyond
its limit, the least recently used files are removed first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from filmkit.core.project import NAME

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

# A killed run leaves unfinished .part files behind. They are removed once they are older than this;
# a younger one may still be in use by another run.
ABANDONED_SECONDS = 24 * 3600.0


def default_folder() -> Path:
    """Return the cache folder: from the environment variable, else in the user's cache folder.

    Raises
    ------
    click.UsageError
        When neither the variable nor a home says where that is.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder)
    # Loaded here: doctor imports this module, and says in one line which library is missing.
    from platformdirs import user_cache_path

    try:
        return user_cache_path(NAME, appauthor=False)
    except RuntimeError:
        raise click.UsageError(
            f"there is no home folder: set HOME, or {FOLDER_VARIABLE} to a folder for the cache"
        ) from None


def default_limit() -> int:
    """Return the maximum size of the cache in bytes.

    Raises
    ------
    click.UsageError
        When the environment variable is not a number of gigabytes.
    """
    value = os.environ.get(LIMIT_VARIABLE, "")
    try:
        gigabytes = float(value or DEFAULT_LIMIT_GB)
        if not 0 <= gigabytes < 1e9:
            raise ValueError
    except ValueError:
        raise click.UsageError(
            f"{LIMIT_VARIABLE} is '{value}', which is not a number of gigabytes; "
            "give one, such as 10"
        ) from None
    return round(gigabytes * 1e9)


class Cache:
    """A folder of finished files, found by cache key.

    Parameters
    ----------
    folder
        The folder; it need not exist yet.
    limit
        Maximum size after :meth:`shrink`, in bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit

    def path(self, key: str, suffix: str) -> Path:
        """Return the path of the file with this key and suffix, whether or not it exists."""
        return self.folder / f"{key}{suffix}"

    def holds(self, path: Path) -> bool:
        """Return whether a file exists, and if so mark it as used now."""
        try:
            os.utime(path)
        except OSError:
            return False
        return True

    def sizes(self) -> dict[Path, int]:
        """Return the size of every file in bytes, the least recently used file first."""
        files = []
        for path in self.folder.glob("*"):
            # Another run may remove a file after it was listed.
            with suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime, path, status.st_size))
        return {path: size for _, path, size in sorted(files)}

    def shrink(self) -> None:
        """Remove the least recently used files until the limit is met."""
        sizes = self.sizes()
        excess = sum(sizes.values()) - self.limit
        for path, size in sizes.items():
            with suppress(FileNotFoundError):
                unfinished = path.suffix == ".part"
                if unfinished and time.time() - path.stat().st_mtime < ABANDONED_SECONDS:
                    continue
                if excess > 0 or unfinished:
                    path.unlink()
                    excess -= size

    def clear(self) -> None:
        """Remove every file."""
        for path in self.sizes():
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def open_cache(folder: Path | None, *, keep: bool) -> Iterator[Cache]:
    """Open the cache for one run, and shrink it to its limit afterwards.

    Parameters
    ----------
    folder
        The cache folder; :func:`default_folder` if None.
    keep
        False: use a temporary folder instead, which is removed in the end.
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
