"""The command ``render.py new``: a new scene of three beats, to start from."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Template

import click

from filmkit.commands.options import PROGRAM
from filmkit.core.project import PROJECT
from scenes.registry import SCENES

__all__ = ["new"]

TEMPLATES = Path(__file__).with_name("templates")
REGISTRY = Path("scenes/registry.py")
NAME_PATTERN = r"scene_[a-z][a-z0-9_]*"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="scene_NAME")
@click.option("--title", help="Title of the scene.  [default: made from the name]")
def new(name: str, title: str | None) -> None:
    """Write a new scene of three beats, its test, and its entry in scenes/registry.py.

    The scene can be rendered at once. Render it with --watch while you change it.
    """
    for path in write_scene(PROJECT, name, title):
        click.echo(path)
    click.echo(f"Next: {PROGRAM} {name} --watch", err=True)


def write_scene(project: Path, name: str, title: str | None = None) -> list[Path]:
    """Write a new scene into a checkout.

    Parameters
    ----------
    project
        Folder of the checkout.
    name
        Name of the scene on the command line, such as "scene_two_prompts".
    title
        Title of the scene; made from the name if None.

    Returns
    -------
    list of Path
        The files that were written, relative to the project.

    Raises
    ------
    click.UsageError
        When the name is not valid, or is taken.
    click.ClickException
        When the project is not a checkout.
    """
    # Loaded here, so that --help does not wait for numpy.
    from extract.files import write_text

    if not re.fullmatch(NAME_PATTERN, name):
        raise click.UsageError(
            f"'{name}' cannot be the name of a scene; write scene_ and lower-case letters, "
            "such as scene_two_prompts"
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
    substitutions = {
        "name": name,
        "title": title.replace('"', "'"),
        "cls": "".join(word.capitalize() for word in words),
    }
    folders = {"folder": folder}
    for path, template in ((scene, "scene.py.txt"), (test, "test_scene.py.txt")):
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        write_text(project / path, Template(text).substitute(substitutions | folders))
    write_text(project / package, "")
    registry = (project / REGISTRY).read_text(encoding="utf-8")
    write_text(project / REGISTRY, with_entry(registry, **substitutions))
    return [package, scene, test, REGISTRY]


def with_entry(module: str, *, name: str, title: str, cls: str) -> str:
    """Return the code of the scene registry with one more entry at the end of ``SCENES``.

    Parameters
    ----------
    module
        Code of the registry.
    name, title, cls
        Name of the new scene, its title, and the name of its class.
    """
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
