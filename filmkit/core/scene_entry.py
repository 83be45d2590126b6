"""An entry of the list of scenes: a scene's name, its title, and where its class is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = ["SceneEntry"]


@dataclass(frozen=True)
class SceneEntry:
    """One scene of the film, not yet imported.

    Attributes
    ----------
    slug
        Its name on the command line, such as "scene_mla".
    title
        Its title, for people.
    module, cls
        Names of the module and of the class in it.
    cover
        Name of the beat whose last picture represents the scene; the last beat if empty.
    """

    slug: str
    title: str
    module: str
    cls: str
    cover: str = ""

    def load(self) -> type[Stage]:
        """Import the scene's class and return it."""
        stage: type[Stage] = getattr(import_module(self.module), self.cls)
        return stage
