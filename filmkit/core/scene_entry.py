"""A scene as the command line knows it: its name, its title, and where its class is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = ["SceneEntry"]


@dataclass(frozen=True)
class SceneEntry:
    """One scene of the film.

    Attributes
    ----------
    slug
        What the command line calls it.
    title
        What people call it.
    module, cls
        Where its class is; imported only when asked for.
    cover
        The beat that shows best what it is about; the last one if empty.
    """

    slug: str
    title: str
    module: str
    cls: str
    cover: str = ""

    def load(self) -> type[Stage]:
        """Import the scene's class."""
        stage: type[Stage] = getattr(import_module(self.module), self.cls)
        return stage
