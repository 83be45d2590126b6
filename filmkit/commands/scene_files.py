"""Find a scene in a file of the user's own: ``render.py PATH.py[:Class]``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click

from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry

__all__ = ["find_scene", "names_a_file"]

STAGE = ("filmkit.core.stage", "Stage")
PATTERN = re.compile(r"(?P<path>.+\.py)(?::(?P<cls>\w*))?")


def names_a_file(name: str) -> bool:
    """Return whether a scene on the command line is given as a file."""
    return PATTERN.fullmatch(name) is not None


def find_scene(name: str) -> SceneEntry:
    """Find the scene that a file holds, without running it.

    Parameters
    ----------
    name
        A path that ends in ".py"; where the file holds several scenes, with ":" and the name of
        one of them.

    Raises
    ------
    click.BadParameter
        If there is no such file or scene.
    click.ClickException
        If the file is not valid Python.
    """
    # Reading code is not needed for the project's own scenes.
    from filmkit.render.code_index import CodeIndex

    match = PATTERN.fullmatch(name)
    assert match is not None
    file = Path(match["path"])
    if not file.is_file():
        raise click.BadParameter(f"there is no file {file}", param_hint="SCENE")
    module = f"scene_file_{file.stem}"
    index = CodeIndex(PROJECT)
    index.add(module, file)
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
        scenes = [cls for cls in index.classes(module) if STAGE in index.lineage((module, cls))[1:]]
    except (SyntaxError, ValueError) as error:
        where = f"{file} line {getattr(error, 'lineno', None) or 1}"
        raise click.ClickException(f"{where}: {getattr(error, 'msg', error)}") from error
    if not scenes:
        raise click.BadParameter(
            f"{file} holds no scene: a class built on filmkit.Stage, with methods marked @beat",
            param_hint="SCENE",
        )
    cls = scenes[0] if match["cls"] is None and len(scenes) == 1 else match["cls"]
    if cls not in scenes:
        choices = ", ".join(f"{file}:{other}" for other in scenes)
        raise click.BadParameter(f"name the scene in {file}: {choices}", param_hint="SCENE")
    slug = file.stem if len(scenes) == 1 else f"{file.stem}_{cls}"
    return SceneEntry(slug, _title(tree, cls), module, cls, file=file.resolve())


def _title(tree: ast.Module, cls: str) -> str:
    """Return the title that a class gives itself, or its name."""
    (node,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls)
    titles = (
        str(member.value.value)
        for member in node.body
        if isinstance(member, ast.Assign)
        and isinstance(member.value, ast.Constant)
        and [ast.unparse(target) for target in member.targets] == ["title"]
    )
    return next(titles, cls)
