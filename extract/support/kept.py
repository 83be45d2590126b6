"""What is kept of models from one extraction to the next, in a cache that users can see and clear.

A GGUF file as a folder that loads quickly, calibrations, conversions: all of it depends on a model
and on texts, and on no prompt.  Each piece is in a folder whose name is a hash of everything that
it depends on, so what is kept is never out of date, and all of it may be removed at any time.
``python render.py cache`` shows and clears it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from extract.errors import ExtractError
from extract.support.temporary import held, is_abandoned, temporary_folder

__all__ = ["FOLDER_VARIABLE", "clear_kept", "kept_folder", "kept_sizes", "models_folder"]

FOLDER_VARIABLE = "ATTENTION_FILM_CACHE"
"""Environment variable that names a folder for all caches of the project."""

_RULES = 1
"""Changes whenever a piece would be computed otherwise from the same things."""

_LOCK = ".lock"
_OWN_NAME = re.compile(r"(?:gguf|calibration|conversion)-[0-9a-f]{16}")


def models_folder() -> Path:
    """Return the folder of everything that is kept of models; it need not exist.

    Raises
    ------
    RuntimeError
        If neither the environment variable nor a home says where it is.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder) / "attention-film-models"
    # Loaded here: the doctor of the renderer says in one line which library is missing.
    from platformdirs import user_cache_path

    return user_cache_path("attention-film", appauthor=False) / "models"


@contextmanager
def kept_folder(
    kind: str, key: object, progress: Callable[[str, int, int], None]
) -> Iterator[Path]:
    """Yield the folder of one piece, held against other processes.

    Parameters
    ----------
    kind : str
        "gguf", "calibration" or "conversion".
    key
        All that the piece depends on, as JSON can write it.
    progress : callable
        Progress callback (task, done, total), told of waiting for another process that holds the
        folder.

    Yields
    ------
    Path
        A temporary folder if nothing can be written to the cache: then nothing is kept.
    """
    text = json.dumps([_RULES, key])
    name = f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    with ExitStack() as stack:
        try:
            folder = models_folder() / name
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _LOCK).exists() and not is_abandoned(folder / _LOCK):
                progress("waiting for another run", 0, 1)
            stack.enter_context(held(folder / _LOCK))
        except (OSError, RuntimeError):
            folder = stack.enter_context(temporary_folder())
        yield folder


def kept_sizes() -> dict[Path, int]:
    """Return the size of every piece in bytes, by its folder; a piece may vanish meanwhile."""
    sizes = {}
    with suppress(OSError, RuntimeError):
        for folder in models_folder().iterdir():
            if _OWN_NAME.fullmatch(folder.name) and not folder.is_symlink():
                sizes[folder] = 0
                for path in folder.rglob("*"):
                    with suppress(OSError):
                        sizes[folder] += path.lstat().st_size
    return sizes


def clear_kept() -> None:
    """Remove everything that is kept of models.

    Raises
    ------
    ExtractError
        If a process is using some of it.
    """
    folders = kept_sizes()
    for folder in folders:
        if (folder / _LOCK).exists() and not is_abandoned(folder / _LOCK):
            raise ExtractError(f"a model is being traced with {folder}; clear it afterwards")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
