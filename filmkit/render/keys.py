"""What a beat's pictures depend on, as one short key.

Two runs whose keys are equal draw the same pictures. A key covers the code that the beat runs,
the trace, the settings, size and frame rate, the fonts and the libraries' versions. Of code, every
module counts that the scene or the engine imports, directly or through others; of the scenes' own
modules all but the beats that are played later. Comments, blanks and docstrings count for
nothing: what is said is no part of a picture.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cairo
import manimpango

from filmkit.core.fonts import FONT_RULES, font_files
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.runner import RenderOptions

__all__ = ["BeatHasher", "project_code", "reached", "surroundings"]

PROJECT = Path(__file__).resolve().parents[2]
SCENE = "scene_"  # how the names of their modules begin
SHORT = 12  # digits of a hash that people see
DRAWING = "filmkit.render.workers"  # with what it imports: all of the engine that makes pictures
LIBRARIES = (
    "av",
    "cmap",
    "isosurfaces",
    "manim",
    "manimpango",
    "mapbox-earcut",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pycairo",
    "scipy",
    "skia-pathops",
    "svgelements",
    "typst",
)


class BeatHasher:
    """Makes the keys for one trace and one way of rendering.

    Parameters
    ----------
    trace_file
        The numbers.
    options
        How to render.
    """

    def __init__(self, trace_file: Path, options: RenderOptions) -> None:
        common = sha256(repr(options).encode())
        common.update(repr(surroundings()).encode())
        compared = options.settings.compare
        for path in (trace_file, compared) if compared else (trace_file,):
            common.update(sha256(path.read_bytes()).digest())
        self._common = common

    def story(self, entry: SceneEntry, beats: Sequence[str]) -> str:
        """Key of all that the scene shows and says.

        Parameters
        ----------
        entry, beats
            As for :meth:`keys`.
        """
        story = sha256(self.keys(entry, beats)[beats[-1]].encode())
        for module, path in sorted(reached(entry.module).items()):
            if module.rpartition(".")[2].startswith(SCENE):
                story.update(path.read_bytes())
        return story.hexdigest()

    def keys(self, entry: SceneEntry, beats: Sequence[str]) -> dict[str, str]:
        """Key of each beat.

        Parameters
        ----------
        entry
            The scene.
        beats
            Those that are played, in order.
        """
        scene = self._common.copy()
        scene.update(f"{entry.module} {entry.cls}".encode())
        own = []
        for module, path in sorted(reached(entry.module, DRAWING).items()):
            code = path.read_bytes()
            if module.rpartition(".")[2].startswith(SCENE):
                own.append(_pieces(code))
            else:
                scene.update(f"{module} {_digest(code)}".encode())
        return {name: _key(scene, name, own, set(beats[i + 1 :])) for i, name in enumerate(beats)}


def _key(scene: Any, beat: str, own: Sequence[_Pieces], later: set[str]) -> str:
    key = scene.copy()
    key.update(beat.encode())
    for pieces in own:
        dropped = later - pieces.named
        key.update("\n".join(code for name, code in pieces.code if name not in dropped).encode())
    return str(key.hexdigest())


def surroundings() -> dict[str, str]:
    """What pictures depend on besides the project and the trace, with its version."""
    fonts = sha256()
    for path in (*font_files(), FONT_RULES):
        fonts.update(sha256(path.read_bytes()).digest())
    return {
        "Python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "cairo": cairo.cairo_version_string(),
        "pango": manimpango.pango_version(),
        **{name: version(name) for name in LIBRARIES},
        "the fonts": fonts.hexdigest()[:SHORT],
    }


def project_code(modules: Iterable[str]) -> str:
    """A short hash of the code that some modules run."""
    code = sha256()
    for module, path in sorted(reached(*modules, DRAWING).items()):
        code.update(f"{module} {_digest(path.read_bytes())}".encode())
    return code.hexdigest()[:SHORT]


def reached(*modules: str) -> dict[str, Path]:
    """The project's modules that some modules import, directly or through others, and they."""
    found: dict[str, Path] = {}
    to_see = [*modules]
    while to_see:
        module = to_see.pop()
        if module not in found and (path := _file_of(module, named=module in modules)):
            found[module] = path
            # Whoever imports a module runs its packages too.
            package = module.rpartition(".")[0]
            to_see += [package, *_imports(path.read_bytes(), package)]
    return found


def _file_of(module: str, *, named: bool) -> Path | None:
    path = PROJECT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if module and file.is_file():
            return file
    # A scene itself may live elsewhere.
    spec = find_spec(module) if named else None
    return Path(spec.origin) if spec and spec.origin else None


@lru_cache(maxsize=1024)
def _imports(code: bytes, package: str) -> tuple[str, ...]:
    """What a module imports, wherever it does so; some names may be no modules."""
    found = []
    for node in _statements(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*above, *filter(None, [node.module])])
            found += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return tuple(found)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    # Ten times faster than ast.walk, which goes through expressions too.
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, block, ()):
            if isinstance(inner, ast.stmt):
                yield inner
            yield from _statements(inner)


@lru_cache(maxsize=1024)
def _digest(code: bytes) -> str:
    return sha256(ast.dump(_silent(code)).encode()).hexdigest()


def _silent(code: bytes) -> ast.Module:
    """Code without docstrings."""
    module = ast.parse(code)
    for node in (module, *_statements(module)):
        body = getattr(node, "body", ())
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = body[1:] or [ast.Pass()]
    return module


@dataclass(frozen=True)
class _Pieces:
    """Code of a scene's module without comments and blanks.

    Attributes
    ----------
    code
        Its pieces, each with the name of the method that it is, or none.
    named
        All that is asked of any object in it, so every beat that another one calls.
    """

    code: tuple[tuple[str, str], ...]
    named: frozenset[str]


@lru_cache(maxsize=64)
def _pieces(code: bytes) -> _Pieces:
    module = _silent(code)
    named = {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    pieces = []
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.dump(base) for base in (*node.bases, *node.decorator_list)]
            pieces += [("", text) for text in (node.name, *bases)]
            pieces += [
                (member.name if isinstance(member, ast.FunctionDef) else "", ast.dump(member))
                for member in node.body
            ]
        else:
            pieces.append(("", ast.dump(node)))
    return _Pieces(tuple(pieces), frozenset(named))
