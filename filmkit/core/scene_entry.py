"""An entry of the list of scenes: a scene's name, its title, and where its class is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Never

from filmkit.core.errors import SceneCodeError, running_scene_code
from filmkit.core.language import (
    Language,
    _,
    catalogue_folder,
    current_language,
    title_of_beat,
    use_language,
)

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = ["Arrival", "SceneEntry", "one_after_another"]


@dataclass(frozen=True)
class SceneEntry:
    """One scene of the film, not yet imported.

    Attributes
    ----------
    slug
        Its name on the command line, such as "scene_mla".
    title
        Its title, in English.
    module, cls
        Names of the module and of the class in it.
    cover
        Name of the beat whose last picture represents the scene; the last beat if empty.
    file
        File of a scene that is not one of the project's; ``module`` is then what it is loaded as.
    arrival
        What the scene arrives from in a film of several scenes; None if it is shown by itself.
    former_beats
        For names that its beats had, what shows now what they showed, as in "scene_mla/flatten".
    """

    slug: str
    title: str
    module: str
    cls: str
    cover: str = ""
    file: Path | None = None
    arrival: Arrival | None = None
    former_beats: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def alone(self) -> SceneEntry:
        """The same scene, shown by itself."""
        return replace(self, arrival=None)

    @property
    def source_file(self) -> Path:
        """The file that its class is in."""
        spec = None if self.file else find_spec(self.module)
        return self.file or Path((spec and spec.origin) or "")

    @property
    def compares(self) -> bool:
        """Whether its code asks for a second trace; see :attr:`Stage.compared`."""
        file = self.source_file
        return file.is_file() and bool(re.search(rb"\bself\.compared\b", file.read_bytes()))

    @property
    def uses_latents(self) -> bool:
        """Whether its code asks for a latent or a conversion, which traces get last."""
        file = self.source_file
        asked = rb"\bconversion|\bLatentView\b|(?<!theme)\.latent\b"
        return file.is_file() and bool(re.search(asked, file.read_bytes()))

    @property
    def titled_anew(self) -> SceneEntry:
        """The same scene, with the title that its class has now."""
        return replace(self, title=self.load().title or self.title)

    @property
    def shown_title(self) -> str:
        """Its title in the language in use."""
        with self._in_use():
            return _(self.title)

    def title_of_beat(self, name: str) -> str:
        """Return the title of one of its beats in the language in use."""
        with self._in_use():
            return title_of_beat(name)

    def _in_use(self) -> AbstractContextManager[Language]:
        """Let its own catalogue come first, in the language in use."""
        return use_language(current_language().code, catalogue_folder(self.source_file))

    def load(self) -> type[Stage]:
        """Import the scene's class and return it.

        Raises
        ------
        SceneCodeError
            If the class is not there any more.
        """
        with running_scene_code():
            module = _load_file(self.module, self.file) if self.file else import_module(self.module)
        from filmkit.core.stage import Stage

        stage = getattr(module, self.cls, None)
        if not (isinstance(stage, type) and issubclass(stage, Stage)):
            now = f"no class {self.cls} any more" if stage is None else f"no Stage in {self.cls}"
            raise SceneCodeError(
                f"there is {now}; write class {self.cls}(Stage), or start again with another name",
                Path(module.__file__ or self.module).name,
            )
        if self.arrival is None:
            return stage
        from filmkit.core.arrival import arriving

        return arriving(stage, self.arrival.origin.load(), self.arrival)


@dataclass(frozen=True)
class Arrival:
    """Where a scene of a film comes from; see :mod:`filmkit.core.arrival`.

    Attributes
    ----------
    origin
        The scene before.
    last
        Its beat with whose last picture it ends; its last one if empty.
    first
        The beat before which the scene arrives; its first one if empty.
    chapter
        Its number in the film, from 1, and how many scenes the film has.
    """

    origin: SceneEntry
    last: str = ""
    first: str = ""
    chapter: tuple[int, int] = (2, 2)


def one_after_another(
    parts: Iterable[tuple[SceneEntry, Sequence[str]]],
) -> dict[SceneEntry, Sequence[str]]:
    """Let each scene of a film arrive from the one before.

    Parameters
    ----------
    parts
        The scenes in order, each with the beats that the film shows, which follow each other; all
        beats if there are none. A scene may come several times.

    Returns
    -------
    dict
        The beats of each scene, as it is shown in the film.
    """
    parts = list(parts)
    film: dict[SceneEntry, Sequence[str]] = {}
    before: tuple[SceneEntry, str] | None = None
    for number, (entry, beats) in enumerate(parts, 1):
        first, chapter = beats[0] if beats else "", (number, len(parts))
        arrival = Arrival(*before, first, chapter) if before else None
        film[replace(entry, arrival=arrival)] = beats
        before = entry, beats[-1] if beats else ""
    return film


class _Compiler(SourceFileLoader):
    """Compiles a file each time.

    Python's bytecode of it may be that of what stood there before an edit of the same length within
    the same second.
    """

    def path_stats(self, path: str) -> Never:
        raise FileNotFoundError(path)  # without a time and a size there is no bytecode


_compiled: set[Path] = set()


def _compiling_finder(folder: Path, path: str) -> FileFinder:
    """Find modules in a folder, or in one below it, and compile them each time, too.

    Raises
    ------
    ImportError
        For other places, and for libraries: these are found as always.
    """
    place = Path(path).resolve()
    is_near = place.is_relative_to(folder) and "site-packages" not in place.parts
    if not is_near or not place.is_dir():
        raise ImportError
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Compiler, SOURCE_SUFFIXES))


def _load_file(name: str, file: Path) -> ModuleType:
    """Load a module from a file, again if the file has changed; it may import its neighbours."""
    digest = sha256(file.read_bytes()).hexdigest()
    loaded = sys.modules.get(name)
    # What lies beside it may differ, even if it is the same.
    if loaded is not None and (loaded.__file__, vars(loaded).get("__digest__")) == (
        str(file),
        digest,
    ):
        return loaded
    folder = file.resolve().parent
    if folder not in _compiled:
        _compiled.add(folder)
        sys.path_hooks.insert(0, partial(_compiling_finder, folder))
        sys.path_importer_cache.clear()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = spec_from_file_location(name, file, loader=_Compiler(name, str(file)))
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
