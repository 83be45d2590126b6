"""Keep what takes long to make as files of tensors and plain values, whole or not at all.

Needs torch.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from extract.support.files import atomic_write

__all__ = ["keep", "kept"]

_DAMAGE = (OSError, RuntimeError, EOFError, LookupError, ValueError, UnpicklingError)
"""What reading a piece may raise that is missing or damaged."""


def kept(file: Path) -> Any:
    """Return what a file holds; None if it is missing or damaged, and to be made again."""
    try:
        # Tensors, numbers, texts, lists and dicts; code in a file is never run.
        return torch.load(file, weights_only=True)
    except _DAMAGE:
        return None


def keep(piece: Any, file: Path) -> None:
    """Write tensors, numbers and texts, in lists and dicts, to a file."""
    with atomic_write(file) as temporary, temporary.open("wb") as stream:
        torch.save(piece, stream)
