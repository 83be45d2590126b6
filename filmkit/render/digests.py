"""Hashes of texts, of files, and of the project."""

from __future__ import annotations

from hashlib import file_digest, sha256
from pathlib import Path

from filmkit.core.project import PROJECT

__all__ = ["USED", "digest", "file_hash", "project_digest"]

USED = "assets", "extract", "filmkit", "scenes"
"""Folders of the project with what its scenes may use."""


def digest(*parts: str) -> str:
    """Hash texts, in their order."""
    whole = sha256()
    for part in parts:
        whole.update(f"{len(part)}:".encode())
        whole.update(part.encode(errors="surrogatepass"))
    return whole.hexdigest()


def file_hash(path: Path) -> str:
    """Hash what a file holds; "" if that cannot be read, or is no file."""
    try:
        if not path.is_file():  # a pipe would keep its reader waiting
            return ""
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def project_digest() -> str:
    """Hash all that the project's scenes may use: its code, words and data."""
    files = sorted(
        path
        for folder in USED
        for path in (PROJECT / folder).rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    )
    names = (file.relative_to(PROJECT).as_posix() for file in files)
    return digest(*names, *map(file_hash, files))
