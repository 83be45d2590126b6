"""An entry of the list of scenes: a scene's name, its title, and where its class is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
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
    file
        File of a scene that is not one of the project's; ``module`` is then what it is loaded as.
    """

    slug: str
    title: str
    module: str
    cls: str
    cover: str = ""
    file: Path | None = None

    def load(self) -> type[Stage]:
        """Import the scene's class and return it."""
        module = _load_file(self.module, self.file) if self.file else import_module(self.module)
        stage: type[Stage] = getattr(module, self.cls)
        return stage


def _load_file(name: str, file: Path) -> ModuleType:
    """Load a module from a file, again if the file has changed; it may import its neighbours."""
    digest = sha256(file.read_bytes()).hexdigest()
    loaded = sys.modules.get(name)
    if loaded is not None and vars(loaded).get("__digest__") == digest:
        return loaded
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = spec_from_file_location(name, file)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = module_from_spec(spec)
    vars(module)["__digest__"] = digest
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
