"""Write files atomically: the target holds either all of the new content or the old one.

A symbolic link is followed. A device, a pipe or an open file such as /dev/stdout is never replaced:
the finished content is written into it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from extract.support.temporary import held, is_abandoned, sweep_folders, temporary_folder

__all__ = [
    "DISK_FULL_ERRNOS",
    "OutputError",
    "atomic_write",
    "folder_there",
    "followed",
    "is_stream",
    "read_text",
    "sweep",
    "write_bytes",
    "write_text",
]

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a used-up quota and a file too large for its file system."""

# Names of this process's open files. They are written through their number: opened by name, a file
# that the shell appends to would lose what it holds.
OPEN_FILES = re.compile(r"/dev/(?P<name>stdin|stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>\d+)")
NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}

PART = re.compile(r"\..+\.[0-9a-f]{12}\.part")  # name of a temporary file

# Folders in which this process has looked for what others left behind.
_swept: set[Path] = set()

MAX_LINKS = 40  # symbolic links in a row, as in Linux


class OutputError(Exception):
    """A file could not be written; the message is one line for the user.

    Parameters
    ----------
    target : Path or str
        The file that could not be written.
    cause : Exception
        The error of the operating system.
    """

    def __init__(self, target: Path | str, cause: Exception) -> None:
        reason = getattr(cause, "strerror", None) or str(cause)
        full = getattr(cause, "errno", None) in DISK_FULL_ERRNOS
        advice = "make room on that disk" if full else "choose another place"
        super().__init__(f"cannot write {target}: {reason}; {advice} and run again")


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder, and rename it to the target afterwards.

    When the block ends with an exception (also KeyboardInterrupt), the temporary file is removed
    and an older file at the target is untouched.  Missing folders are created.  The content is on
    the disk before the file is renamed.  What killed processes left there is
    removed (:func:`sweep`).

    If the target is a device, a pipe or an open file (:func:`is_stream`), the temporary file is
    elsewhere, and its content is written into the target afterwards.

    Raises
    ------
    OutputError
        When the folder cannot be created or the target cannot be written.
    """
    if is_stream(target):
        with temporary_folder() as folder:
            content = folder / target.name
            yield content
            _pour(content, target)
        return
    place = followed(target)
    with _output_errors(target):
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place.parent)
    # A process id would not keep two writers apart: in two containers it may be the same.
    temporary = place.with_name(f".{place.name}.{uuid4().hex[:12]}.part")
    with ExitStack() as stack:
        # Before it exists: Ctrl-C may come as soon as it does.
        stack.callback(_discard, temporary)
        with _output_errors(target):
            stack.enter_context(held(temporary))
        yield temporary
        with _output_errors(target):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(place)


@contextmanager
def folder_there(folder: Path) -> Iterator[None]:
    """Let a folder be there in the ``with`` block, and remove it afterwards if it is new and empty.

    Raises
    ------
    OutputError
        When the folder cannot be created.
    """
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    with _output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty
            for each in new:
                each.rmdir()


def _discard(path: Path) -> None:
    with suppress(OSError):  # a disk that is read-only refuses it also where there is nothing
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder and the folders in it, once for each folder."""
    if folder in _swept:
        return
    _swept.add(folder)
    sweep_folders(folder)
    with suppress(OSError):
        for path in (*folder.glob(".*.part"), *folder.glob("*/.*.part")):
            if PART.fullmatch(path.name) and is_abandoned(path):
                path.unlink(missing_ok=True)


@contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    """Turn errors of the system into an OutputError that names the target."""
    try:
        yield
    except OSError as error:
        raise OutputError(target, error) from error


def followed(target: Path) -> Path:
    """Return where a path leads when its symbolic links are followed; it need not exist.

    Raises
    ------
    OutputError
        When the links lead in a circle, or a folder cannot be read.
    """
    place = target
    with _output_errors(target):
        for _ in range(MAX_LINKS):
            if _open_file(place) is not None or not place.is_symlink():
                return place
            place = place.parent / place.readlink()
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def is_stream(target: Path) -> bool:
    """Return whether a path leads to a device, a pipe, a socket or an open file of this process.

    Raises
    ------
    OutputError
        As :func:`followed`.
    """
    if _open_file(followed(target)) is not None:
        return True
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _open_file(path: Path) -> int | None:
    """Return the number of this process's open file that a path is a name of, or None."""
    match = OPEN_FILES.fullmatch(str(path))
    return match and (NUMBERS[match["name"]] if match["name"] else int(match["number"]))


def _pour(content: Path, target: Path) -> None:
    """Write the content of a file into a stream."""
    with _output_errors(target):
        try:
            with content.open("rb") as source, _open_stream(target) as stream:
                shutil.copyfileobj(source, stream)
        except BrokenPipeError:
            pass  # the reader has what it wanted


def _open_stream(target: Path) -> BinaryIO:
    number = _open_file(followed(target))
    if number is not None:
        if number == NUMBERS["stdout"] and sys.stdout:
            sys.stdout.flush()  # what was printed before comes before
        return os.fdopen(os.dup(number), "wb")
    if target.is_block_device():
        # Its content would be a disk's.
        raise OSError(errno.EINVAL, "it is a disk")
    if target.is_fifo():
        try:
            number = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise OSError(error.errno, "it is a pipe that nobody reads") from error
        os.set_blocking(number, True)
        return os.fdopen(number, "wb")
    return target.open("wb")


def read_text(source: Path, most: int) -> str:
    """Return the text of a file or a pipe of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is larger, such as a device that never ends, or not text in UTF-8; the message says
        which.
    """
    with source.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8") from error


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    write_bytes(target, text.encode())


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_write(target) as temporary, _output_errors(target):
        temporary.write_bytes(content)
