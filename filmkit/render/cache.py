"""The cache of rendered files: segments of films, masters, pictures, rehearsals.

The name of each file starts with a cache key: a hash of all that the file depends on. So a cached
file is never out of date, and every file may be deleted at any time. When the folder grows beyond
its limit, the least recently used files are removed first.

While a run uses the cache, it holds a lock on a file there. What it has used or made since it began
is not removed by other runs.

A file counts only with its seal beside it: an empty file whose name holds a hash of the cached
file's name and content. A file that was damaged, exchanged or not finished has no such seal; it is
removed and made again, as is what is no file: a link, a folder, or a pipe, which keeps its readers
waiting.
Two runs may write the same file at the same time: each leaves the seal of what it wrote, and the
one that belongs to the file that is there counts.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import click

from extract.support.files import OutputError, sweep, write_text
from extract.support.kept import FOLDER_VARIABLE
from extract.support.temporary import held, is_abandoned, is_plain, temporary_folder
from filmkit.core.project import NAME

__all__ = [
    "FOLDER_VARIABLE",
    "LIMIT_VARIABLE",
    "Cache",
    "cache_folder",
    "default_folder",
    "default_limit",
    "is_sealed",
    "open_cache",
    "seal",
]

LIMIT_VARIABLE = "ATTENTION_FILM_CACHE_GB"
DEFAULT_LIMIT_GB = 10.0

# Marks a folder as a cache, for backup programs too: https://bford.info/cachedir/
TAG = "CACHEDIR.TAG"
TAG_TEXT = f"""\
Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of {NAME}: all of it can be made again.
"""

SEAL = ".sealed"
RUN = ".run"
OWN_NAME = re.compile(r"[0-9a-f]{64}\..+")


def default_folder() -> Path:
    """Return the cache folder: from the environment variable, else in the user's cache folder.

    Raises
    ------
    click.UsageError
        When neither the variable nor a home says where that is.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        return cache_folder(Path(folder))
    # Loaded here: doctor imports this module, and says in one line which library is missing.
    from platformdirs import user_cache_path

    try:
        return user_cache_path(NAME, appauthor=False) / "renders"
    except RuntimeError:
        raise click.UsageError(
            f"there is no home folder: set HOME, or {FOLDER_VARIABLE} to a folder for the cache"
        ) from None


def cache_folder(folder: Path) -> Path:
    """Return where the cache is in a folder that the user names.

    It has a folder of its own there, so that it never touches other files; a folder that is a cache
    already is used as it is.
    """
    return folder if _is_cache(folder) else folder / NAME


def _is_cache(folder: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return is_plain(folder / TAG) and (folder / TAG).read_text(encoding="utf-8") == TAG_TEXT
    return False


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


def seal(path: Path) -> None:
    """Mark a file of a cache as finished and whole.

    Raises
    ------
    OSError
        When the file cannot be read or the seal cannot be written.
    """
    _seal_of(path).touch()


def is_sealed(path: Path) -> bool:
    """Return whether a file of a cache is there, finished and whole."""
    try:
        return _seal_of(path).exists()
    except OSError:
        return False


def _seal_of(path: Path) -> Path:
    # The name counts too: a file that took the place of another one is as wrong as a damaged one.
    if not is_plain(path):
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        whole = hashlib.file_digest(file, lambda: hashlib.sha256(path.name.encode()))
    return path.with_name(f"{path.name}.{whole.hexdigest()[:32]}{SEAL}")


class Cache:
    """A folder of finished files, found by cache key.

    Parameters
    ----------
    folder
        The folder, which need not exist.
    limit
        Maximum size after :meth:`shrink`, in bytes.
    quiet
        Whether to print nothing about damaged files.

    Attributes
    ----------
    folder, limit
        As above.
    """

    def __init__(self, folder: Path, limit: int, *, quiet: bool = False) -> None:
        self.folder = folder
        self.limit = limit
        self._quiet = quiet
        self._run: Path | None = None

    def path(self, key: str, suffix: str) -> Path:
        """Return the path of the file with this key and suffix, whether or not it exists."""
        return self.folder / f"{key}{suffix}"

    def holds(self, path: Path) -> bool:
        """Return whether a file exists and is whole, and if so mark it as used now.

        What is not is removed; if it was finished once, one line says so.
        """
        if is_sealed(path):
            self.mark_used(path)
            return True
        if os.path.lexists(path):
            if any(self._seals(path)) and not self._quiet:
                click.echo("the cache holds damaged files; they are made again", err=True)
                self._quiet = True  # one line is enough
            # What cannot be removed cannot be written to either, which then says more.
            with suppress(OSError):
                self.remove(path)
        return False

    def mark_used(self, path: Path) -> None:
        """Mark a file as used now, if it exists, without reading it."""
        with suppress(OSError):
            os.utime(path)

    def sizes(self) -> dict[Path, int]:
        """Return the size of every cached file in bytes, the least recently used file first."""
        files = []
        for path in self.folder.glob("*"):
            # Another run may remove a file after it was listed.
            with suppress(FileNotFoundError):
                status = path.lstat()
                if OWN_NAME.fullmatch(path.name) and path.suffix != SEAL:
                    files.append((status.st_mtime, path, status.st_size))
        return {path: size for _, path, size in sorted(files)}

    def shrink(self, needed: Collection[Path] = ()) -> None:
        """Remove the least recently used files until the limit is met.

        Parameters
        ----------
        needed
            Files that stay, because a run still needs them.
        """
        sizes = self.sizes()
        excess = sum(sizes.values()) - self.limit
        in_use_since = min(self._other_runs().values(), default=math.inf)
        for path, size in sizes.items():
            with suppress(FileNotFoundError):
                if excess > 0 and path not in needed and path.lstat().st_mtime < in_use_since:
                    self.remove(path)
                    excess -= size

    def clear(self) -> None:
        """Remove every cached file.

        Raises
        ------
        click.UsageError
            When the folder is not a cache and holds something.
        click.ClickException
            When another run is using the cache.
        """
        if not _is_cache(self.folder) and self.folder.exists() and any(self.folder.iterdir()):
            raise click.UsageError(
                f"{self.folder} is not a cache of {NAME}; nothing was removed: name another folder"
            )
        sweep(self.folder)
        if self._other_runs():
            raise click.ClickException(
                f"a film is being rendered with the cache {self.folder}; clear it afterwards"
            )
        for path in self.sizes():
            self.remove(path)
        for path in self.folder.glob(f"*{SEAL}"):
            path.unlink(missing_ok=True)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Create the folder, marked as a cache, and keep other runs from removing what is used.

        Raises
        ------
        OSError
            When that cannot be written.
        """

        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / TAG).exists():
            write_text(self.folder / TAG, TAG_TEXT)
        self._run = self.folder / f"{uuid4().hex}{RUN}"
        try:
            with held(self._run):
                yield
        finally:
            self._run.unlink(missing_ok=True)

    def _other_runs(self) -> dict[Path, float]:
        """Return when each other run began that uses this cache, by its file."""

        runs = {}
        for path in self.folder.glob(f"*{RUN}"):
            with suppress(OSError):
                if not is_plain(path) or is_abandoned(path):
                    path.unlink()
                elif path != self._run:
                    runs[path] = path.stat().st_mtime
        return runs

    def _seals(self, path: Path) -> Iterator[Path]:
        return self.folder.glob(f"{path.name}.*{SEAL}")

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder in its place, and its seals, if they are there."""
        for each in (path, *self._seals(path)):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)


@contextmanager
def open_cache(folder: Path | None, *, keep: bool, quiet: bool = False) -> Iterator[Cache]:
    """Open the cache for one run, and shrink it to its limit afterwards.

    Parameters
    ----------
    folder
        The folder that the user names; :func:`default_folder` if None.
    keep
        False: use a temporary folder instead, which is removed in the end.
    quiet
        Whether to print nothing about damaged files.
    """

    if keep:
        where = cache_folder(folder) if folder else default_folder()
        limit = default_limit()
        with ExitStack() as stack:
            cache = Cache(where, limit, quiet=quiet)
            # What cannot be created cannot be written to either, which then says more.
            with suppress(OSError, OutputError):
                stack.enter_context(cache.in_use())
            try:
                yield cache
            finally:
                cache.shrink()
    else:
        with temporary_folder() as scratch:
            yield Cache(scratch, 0)
