"""Keep Manim's configuration files out of this program.

While it is imported, Manim reads a ``manim.cfg`` in the current folder and one in the user's home.
Films take nothing from them (:func:`filmkit.render.runner.manim_config`), but a setting that Manim
does not understand would stop every command. A scene that ``manim`` itself renders keeps them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

__all__ = ["ignore_manim_settings"]

READER = "manim._config.utils"  # Manim's module that finds its configuration files


class _Loader(SourceFileLoader):
    """Loads that module, and makes it find the library's own file alone."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        own, none = Path(self.path).with_name("default.cfg"), Path(os.devnull)
        vars(module)["config_file_paths"] = lambda: [own, none, none]


class _Finder(MetaPathFinder):
    """Finds that module for :class:`_Loader`, and leaves all others to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == READER else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def ignore_manim_settings() -> None:
    """Make Manim ignore its configuration files in this process, if it is not imported yet."""
    sys.meta_path.insert(0, _Finder())
