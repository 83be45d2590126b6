"""Writes a scene of three beats to begin with: ``render.py new scene_NAME``."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Template

import click

from scenes.registry import SCENES

__all__ = ["new"]

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = Path(__file__).with_name("templates")
LIST = Path("scenes/registry.py")
NAME = r"scene_[a-z][a-z0-9_]*"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="scene_NAME")
@click.option("--title", help="What people call it; made from the name by default.")
def new(name: str, title: str | None) -> None:
    """Write a scene of three beats, its test, and its line in the list of scenes.

    It renders at once: change it beat by beat with --watch beside you.
    """
    made = write_scene(PROJECT, name, title)
    for path in made:
        click.echo(path)
    click.echo(f"Next: python render.py {name} --watch", err=True)


def write_scene(project: Path, name: str, title: str | None = None) -> list[Path]:
    """Write a scene into a checkout.

    Parameters
    ----------
    project
        Folder of the checkout.
    name
        Of the scene, as the command line calls it.
    title
        What people call it; made from the name by default.

    Returns
    -------
    list of Path
        What was written, relative to the project.

    Raises
    ------
    click.UsageError
        When the name cannot be one, or is taken.
    click.ClickException
        When the project is no checkout.
    """
    # Its package loads numpy, which --help need not wait for.
    from extract.files import write_text

    if not re.fullmatch(NAME, name):
        raise click.UsageError(
            f"'{name}' cannot be a scene; write scene_ and small letters, such as scene_two_prompts"
        )
    folder = name.removeprefix("scene_")
    package = Path(f"scenes/{folder}/__init__.py")
    scene = package.with_name(f"{name}.py")
    test = Path(f"tests/scenes/{folder}/test_{name}.py")
    if name in {entry.slug for entry in SCENES} or any(
        (project / p).exists() for p in (package, scene, test)
    ):
        raise click.UsageError(f"there is a {name} already; choose another name")
    if not (project / "tests").is_dir():
        raise click.ClickException(
            f"{project} is an installed package; run this in a checkout of the project"
        )
    words = folder.split("_")
    title = title or " ".join(words).capitalize()
    meant = {
        "name": name,
        "title": title.replace('"', "'"),
        "cls": "".join(word.capitalize() for word in words),
    }
    folders = {"folder": folder}
    for path, template in ((scene, "scene.py.txt"), (test, "test_scene.py.txt")):
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        write_text(project / path, Template(text).substitute(meant | folders))
    write_text(project / package, "")
    listed = (project / LIST).read_text(encoding="utf-8")
    write_text(project / LIST, with_entry(listed, **meant))
    return [package, scene, test, LIST]


def with_entry(module: str, *, name: str, title: str, cls: str) -> str:
    """The code that lists all scenes, with one more at the end of the list."""
    assignment = next(
        node
        for node in ast.parse(module).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "SCENES"
    )
    lines = module.splitlines(keepends=True)
    last = (assignment.end_lineno or len(lines)) - 1
    arguments = (name, title, f"scenes.{name.removeprefix('scene_')}.{name}", cls)
    entry = ["    SceneEntry(\n", *(f'        "{text}",\n' for text in arguments), "    ),\n"]
    return "".join([*lines[:last], *entry, *lines[last:]])
