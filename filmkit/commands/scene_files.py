"""Find a scene in a file of the user's own: ``render.py PATH.py[:Class]``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click

from filmkit.core.scene_entry import SceneEntry

__all__ = ["find_scene", "names_a_file"]

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
    match = PATTERN.fullmatch(name)
    assert match is not None
    file = Path(match["path"])
    if not file.is_file():
        raise click.BadParameter(f"there is no file {file}", param_hint="SCENE")
    module = f"scene_file_{file.stem}"
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        where = f"{file} line {getattr(error, 'lineno', None) or 1}"
        raise click.ClickException(f"{where}: {getattr(error, 'msg', error)}") from error
    scenes = _scenes(tree)
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


def _scenes(tree: ast.Module) -> list[str]:
    """Return the names of classes that have beats, or are built on `Stage` or on one of these."""
    found: list[str] = []
    stages = {"Stage"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "Stage" and alias.asname
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            beats = [m for m in node.body if isinstance(m, ast.FunctionDef) and _is_beat(m)]
            if beats or bases & {*stages, *found}:
                found.append(node.name)
    return found


def _is_beat(method: ast.FunctionDef) -> bool:
    marks = (getattr(mark, "func", mark) for mark in method.decorator_list)
    return any(getattr(mark, "attr", getattr(mark, "id", "")) == "beat" for mark in marks)


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
