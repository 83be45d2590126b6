"""What scenes are made of: pictures of tensors, a stage, and all that turns scenes into films."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["show"]

_PLACES = {"show": "filmkit.commands.notebook"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
