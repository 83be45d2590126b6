"""What a beat's pictures depend on, as one short key.

Two runs whose keys are equal draw the same pictures. A key covers the code that the beat runs,
the trace, the settings, size and frame rate, the fonts and the libraries' versions. Of code, all
of ``extract`` and ``scenes`` counts but for other scenes; of its own scene all but the beats that
are played later.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import cairo
import font_source_sans_pro
import manimpango

from scenes import SceneEntry
from scenes.engine.runner import RenderOptions

__all__ = ["Keyring"]

PROJECT = Path(__file__).resolve().parents[2]
SCENE_FILES = "scene_*.py"
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


class Keyring:
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
        for part in _surroundings():
            common.update(part)
        for path in (*_shared_code(), trace_file, *_fonts()):
            common.update(sha256(path.read_bytes()).digest())
        self._common = common

    def keys(self, entry: SceneEntry, beats: Sequence[str]) -> dict[str, str]:
        """Key of each beat.

        Parameters
        ----------
        entry
            The scene.
        beats
            Those that are played, in order.
        """
        own = [_parsed(entry.module)]
        # A scene may build on another one.
        own += [_parsed(name) for name in sorted(_scenes_used(own[0]))]
        return {
            name: self._key(entry, name, own, set(beats[i + 1 :])) for i, name in enumerate(beats)
        }

    def _key(self, entry: SceneEntry, beat: str, own: list[ast.Module], later: set[str]) -> str:
        key = self._common.copy()
        key.update(f"{entry.module} {entry.cls} {beat}".encode())
        for module in own:
            key.update(_code_without(module, later).encode())
        return key.hexdigest()


def _surroundings() -> Iterator[bytes]:
    yield f"{platform.python_version()} {platform.machine()} {platform.system()}".encode()
    yield f"{cairo.cairo_version_string()} {manimpango.pango_version()}".encode()
    yield from (f"{name} {version(name)}".encode() for name in LIBRARIES)


def _shared_code() -> list[Path]:
    files = [*(PROJECT / "scenes").rglob("*.py"), *(PROJECT / "extract").rglob("*.py")]
    return sorted(path for path in files if not path.match(SCENE_FILES))


def _fonts() -> list[Path]:
    return sorted(Path(font_source_sans_pro.__file__).parent.rglob("*.otf"))


def _parsed(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return ast.parse(Path(spec.origin).read_bytes())


def _scenes_used(module: ast.Module) -> set[str]:
    return {
        node.module
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.rpartition(".")[2].startswith("scene_")
    }


def _code_without(module: ast.Module, later: set[str]) -> str:
    """Code of a module without the beats that are played later, comments and blanks."""
    named = {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    dropped = later - named
    code = []
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            body = [
                ast.dump(member)
                for member in node.body
                if not (isinstance(member, ast.FunctionDef) and member.name in dropped)
            ]
            bases = [ast.dump(base) for base in (*node.bases, *node.decorator_list)]
            code += [node.name, *bases, *body]
        else:
            code.append(ast.dump(node))
    return "\n".join(code)
