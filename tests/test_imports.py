"""The rooms of the project and who may use whom, read from every import statement.

From the bottom up: `extract` makes traces; `filmkit` turns arrays into pictures and films; `scenes`
tell the story. What imports what is written down here once, for every module that there is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT

PACKAGES = ("extract", "filmkit", "scenes")

# Each room of extract may use those before it; errors and limits are open to all of them.
EXTRACT_ROOMS = (
    "support",
    "attention",
    "trace.contents",
    "trace.proof",
    "trace",
    "facts",
    "models",
    "recompute",
    "latent",
    "conversion",
    "commands",
)
OPEN_TO_ALL = ("extract.errors", "extract.limits")

# What users call or import, and nothing of ours does.
DOORS = (
    "extract",
    "extract.__main__",
    "extract.architectures",
    "extract.calibration",
    "extract.trace_meta",
)

# Each room of filmkit may use those before it.
ROOMS = (
    "core",
    "mobjects",
    "pictures",
    "world",
    "words",
    "voice",
    "render",
    "decks",
    "studio",
    "tools",
    "commands",
)


def module_name(path: Path) -> str:
    """Dotted name of a file of the project."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")
}


def imports(module: str) -> Iterator[str]:
    """The project's modules that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            # "from package import module" and "from module import name" look alike.
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inner]
        yield from (name for name in names if name.partition(".")[0] in PACKAGES)


def floor(module: str) -> int:
    """How high the room of a module of extract lies."""
    inside = module.removeprefix("extract.")
    rooms = [room for room in EXTRACT_ROOMS if f"{inside}.".startswith(f"{room}.")]
    return EXTRACT_ROOMS.index(max(rooms, key=len))


def may_import(module: str, other: str) -> bool:
    """Whether the rules let a module use another one."""
    package, *rest = module.split(".")
    their_package, *their_rest = other.split(".")
    if other in DOORS:
        return False
    if package == "extract":
        if their_package != "extract" or module in DOORS or other in OPEN_TO_ALL:
            return their_package == "extract"
        return floor(other) <= (0 if module in OPEN_TO_ALL else floor(module))
    if package == "filmkit":
        if their_package == "scenes":
            return rest[:1] == ["commands"] and other == "scenes.registry"
        if their_package == "filmkit" and rest and their_rest:
            return ROOMS.index(their_rest[0]) <= ROOMS.index(rest[0])
        return their_package == "extract" or not their_rest
    if their_package == "scenes":
        # A scene's own folder, and nobody else's.
        return rest[:1] == their_rest[:1]
    # The registry knows what an entry is; scenes draw.
    drawing = ("filmkit.core", "filmkit.mobjects", "filmkit.pictures", "filmkit.world")
    return their_package == "extract" or other.startswith(drawing)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_use_what_their_room_may_use(module: str) -> None:
    assert [other for other in imports(module) if not may_import(module, other)] == []


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("extract.trace", "filmkit.core.norm"),
        ("extract.trace.proof.prove", "extract.trace"),
        ("extract.trace.contents.latents", "extract.trace.proof.latents"),
        ("extract.support.files", "extract.attention.arithmetic"),
        ("extract.models.capture", "extract.latent.fit"),
        ("extract.errors", "extract.attention"),
        ("filmkit.core.stage", "extract.architectures"),
        ("filmkit.core.stage", "filmkit.mobjects.marks"),
        ("filmkit.mobjects.marks", "filmkit.pictures.parts"),
        ("filmkit.render.jobs", "filmkit.commands.cli"),
        ("filmkit.voice.speaking", "filmkit.render.cache"),
        ("filmkit.render.jobs", "scenes.registry"),
        ("filmkit.studio.server", "scenes.registry"),
        ("filmkit.commands.cli", "scenes.mla.scene_mla"),
        ("scenes.mla.scene_mla", "scenes.sharing.sets"),
        ("scenes.mla.scene_mla", "scenes.registry"),
        ("scenes.mla.scene_mla", "filmkit.render.jobs"),
    ],
)
def test_the_rules_refuse(module: str, other: str) -> None:
    assert not may_import(module, other)


def test_no_module_of_extract_leads_back_to_itself() -> None:
    """Imports inside functions, and those for types only, count as well."""
    modules = [module for module in MODULES if module.partition(".")[0] == "extract"]
    TopologicalSorter({module: imports(module) for module in modules}).prepare()


def test_every_room_has_its_place() -> None:
    folders = {path.parent.name for path in (PROJECT / "extract").glob("*/__init__.py")}
    assert folders == {room.partition(".")[0] for room in EXTRACT_ROOMS}
    rooms = {path.parent.name for path in (PROJECT / "filmkit").glob("*/__init__.py")}
    assert rooms == set(ROOMS)
    folders = {path.name for path in (PROJECT / "scenes").iterdir() if path.is_dir()}
    for folder in folders - {"__pycache__"}:
        assert list((PROJECT / "scenes" / folder).glob("scene_*.py")), folder
    assert {path.name for path in (PROJECT / "scenes").glob("*.py")} == {
        "__init__.py",
        "registry.py",
    }
