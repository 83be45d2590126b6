"""The command ``render.py new``: a new scene of two beats, to start from."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from string import Template

import click

from extract.support.files import write_text
from extract.support.plain_text import escaped
from extract.support.printing import echo
from filmkit.commands.options import PROGRAM
from filmkit.core.project import PROJECT
from scenes.registry import FORMER_NAMES, SCENES

__all__ = ["new"]

TEMPLATES = Path(__file__).with_name("templates")
REGISTRY = Path("scenes/registry.py")

# Longer ones would not fit into the lines of code that name them.
MAX_NAME = 24
MAX_TITLE = 60

NAME_PATTERN = rf"scene_[a-z][a-z0-9_]{{0,{MAX_NAME - 1}}}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="scene_NAME")
@click.option("--title", help="Title of the scene.  [default: made from the name]")
def new(name: str, title: str | None) -> None:
    """Write a new scene of two beats, its test, and its entry in scenes/registry.py.

    The scene can be rendered at once. Render it with --watch while you change it.
    """
    for path in write_scene(PROJECT, name, title):
        echo(path)
    echo(f"Next: {PROGRAM} {name} --watch", err=True)


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
        When the name is not valid or taken, or the title does not fit on one line.
    click.ClickException
        When the project is not a checkout.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise click.UsageError(
            f"'{name}' cannot be the name of a scene; write scene_ and up to {MAX_NAME} "
            "lower-case letters, such as scene_two_prompts"
        )
    folder = name.removeprefix("scene_")
    if keyword.iskeyword(folder):
        raise click.UsageError(
            f"Python cannot import a folder called {folder}; choose another name, such as "
            f"scene_the_{folder}"
        )
    taken = (Path(f"scenes/{folder}"), Path(f"scenes/{folder}.py"), Path(f"tests/scenes/{folder}"))
    if name in {entry.slug for entry in SCENES} | FORMER_NAMES.keys():
        raise click.UsageError(f"{name} already exists; choose another name")
    for path in taken:
        if (project / path).exists():
            raise click.UsageError(f"{path} already exists; choose another name")
    if not (project / "tests").is_dir():
        raise click.ClickException(
            f"{project} is an installed package; run this in a checkout of the project"
        )
    words = folder.split("_")
    files = _files(project, name, (title or "").strip() or " ".join(words).capitalize())
    written: list[Path] = []
    try:
        for path, text in files.items():
            written.append(project / path)
            write_text(project / path, text)
    except BaseException:
        _remove(path for path in written if path != project / REGISTRY)
        raise
    return list(files)


def _files(project: Path, name: str, title: str) -> dict[Path, str]:
    """Return the content of each file of a new scene; the registry, which makes it known, is last.

    Raises
    ------
    click.UsageError
        When the title does not fit on one line, or holds characters that cannot be seen.
    """
    if len(title) > MAX_TITLE or escaped(title) != title:
        raise click.UsageError(
            f"the title must be one line of at most {MAX_TITLE} letters, digits, signs and spaces"
        )
    folder = name.removeprefix("scene_")
    template = (TEMPLATES / "scene.py.txt").read_text(encoding="utf-8")
    cls = "".join(word.capitalize() for word in folder.split("_"))
    if cls in _names_in(template) or keyword.iskeyword(cls) or hasattr(builtins, cls):
        cls = f"{cls}Scene"
    # Docstrings may hold everything but backslashes and their own quotes.
    summary = title.replace("\\", "\\\\").replace('"', "'")
    substitutions = {
        "name": name,
        "folder": folder,
        "cls": cls,
        "title": literal(title),
        "summary": summary,
        "sentence": summary if summary[-1] in ".!?" else f"{summary}.",
    }
    test = (TEMPLATES / "test_scene.py.txt").read_text(encoding="utf-8")
    registry = (project / REGISTRY).read_text(encoding="utf-8")
    return {
        Path(f"scenes/{folder}/__init__.py"): "",
        Path(f"scenes/{folder}/{name}.py"): Template(template).substitute(substitutions),
        Path(f"tests/scenes/{folder}/test_{name}.py"): Template(test).substitute(substitutions),
        REGISTRY: with_entry(registry, name=name, title=title, cls=cls),
    }


def _names_in(template: str) -> set[str]:
    """Return the names that the code of a new scene uses; its class must not take one of them."""
    code = Template(template).substitute(cls="Scene", title="''", sentence="")
    nodes = list(ast.walk(ast.parse(code)))
    imported = {node.name for node in nodes if isinstance(node, ast.alias)}
    return imported | {node.id for node in nodes if isinstance(node, ast.Name)}


def _remove(paths: Iterable[Path]) -> None:
    """Remove files, and the folders that are empty then."""
    for path in paths:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def literal(text: str) -> str:
    """Return a string as Python code, with the quotes that a formatter chooses."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


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
    entry = ["    SceneEntry(\n", *(f"        {literal(a)},\n" for a in arguments), "    ),\n"]
    return "".join([*lines[:last], *entry, *lines[last:]])
