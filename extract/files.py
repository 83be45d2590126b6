"""Write files atomically: the target holds either all of the new content or the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract.errors import DISK_FULL_ERRNOS

__all__ = ["OutputError", "atomic_write", "write_bytes", "write_text"]


class OutputError(Exception):
    """A file could not be written; the message is one line for the user.

    Parameters
    ----------
    target : Path
        The file that could not be written.
    cause : Exception
        The error of the operating system.
    """

    def __init__(self, target: Path, cause: Exception) -> None:
        reason = getattr(cause, "strerror", None) or str(cause)
        full = getattr(cause, "errno", None) in DISK_FULL_ERRNOS
        advice = "make room on that disk" if full else "choose another place"
        super().__init__(f"cannot write {target}: {reason}; {advice} and run again")


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder, and rename it to the target afterwards.

    When the block ends with an exception (also KeyboardInterrupt), the temporary file is removed
    and an older file at the target is untouched.  Missing folders are created.

    Raises
    ------
    OutputError
        When the folder cannot be created or the target cannot be replaced.
    """
    # The process id keeps two processes that write the same target apart.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(target, error) from error
    try:
        yield temporary
        try:
            temporary.replace(target)
        except OSError as error:
            raise OutputError(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


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
    with atomic_write(target) as temporary:
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(target, error) from error
