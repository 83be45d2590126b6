"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract.errors import NO_ROOM

__all__ = ["OutputError", "write_bytes", "write_text", "written_beside"]


class OutputError(Exception):
    """A file could not be written; the message is one line for the user.

    Parameters
    ----------
    target
        The file.
    cause
        What the system said.
    """

    def __init__(self, target: Path, cause: Exception) -> None:
        reason = getattr(cause, "strerror", None) or str(cause)
        full = getattr(cause, "errno", None) in NO_ROOM
        advice = "make room on that disk" if full else "choose another place"
        super().__init__(f"cannot write {target}: {reason}; {advice} and run again")


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Give a path beside the target to write to; it takes the target's place in the end.

    When the block is left by an exception (an interrupt too), nothing stays behind and an older
    file at the target is untouched. Missing folders are made.

    Raises
    ------
    OutputError
        When the folder cannot be made or the target cannot be replaced.
    """
    # The process id keeps two runs that write the same file out of each other's way.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(target, error) from error
    try:
        yield part
        try:
            part.replace(target)
        except OSError as error:
            raise OutputError(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    write_bytes(target, text.encode())


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with written_beside(target) as part:
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(target, error) from error
