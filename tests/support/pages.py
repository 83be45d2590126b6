"""Read the commands, the Python code and the marks of a Markdown page.

A command that no test can run carries a mark: a comment in the line above its block, which readers
do not see. It gives the reason, and is about the whole block, or about the commands that begin with
what it quotes::

    <!-- not run: needs a network -->
    <!-- not run: `make test`, which would run itself -->
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from extract.__main__ import main as extract_command
from filmkit.commands.cli import COMMANDS, render
from scenes.registry import SCENES
from tests.support.checkout import PROJECT

__all__ = [
    "PAGES",
    "Block",
    "Command",
    "blocks_of",
    "code_spans",
    "parse",
    "parse_option",
    "shows_something",
]

PAGES = tuple(
    str(path.relative_to(PROJECT))
    for path in (
        PROJECT / "README.md",
        PROJECT / "CONTRIBUTING.md",
        *sorted((PROJECT / "docs").glob("*.md")),
    )
)
"""All pages that tell how to use the project, by their paths in it."""

MARK = re.compile(r"<!-- not run: (?:`([^`]+)`, )?(.+) -->")
FENCE = re.compile(r"```(\S*) ?(.*)")
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")

RENDER = ("python render.py ", "render.py ", "attention-film ")
EXTRACT = ("python -m extract",)


@dataclass(frozen=True)
class Command:
    """A line of a block of commands.

    Attributes
    ----------
    line
        As it is written, without what follows "#".
    comment
        What follows it.
    not_run
        The reason for which no test runs it; empty if one does.
    """

    line: str
    comment: str
    not_run: str


@dataclass(frozen=True)
class Block:
    """A block of code between fences.

    Attributes
    ----------
    language, note
        The first word after the fence, and the rest of that line.
    text
        What is inside.
    marks
        Beginnings of commands that are not run, with the reasons; "" is the beginning of each.
    """

    language: str
    note: str
    text: str
    marks: tuple[tuple[str, str], ...]

    def commands(self) -> list[Command]:
        """Return the lines of a block of commands."""
        found = []
        for text in self.text.splitlines():
            line, _, comment = text.partition(" #")
            reasons = [reason for start, reason in self.marks if line.startswith(start)]
            found.append(Command(line.strip(), comment.strip(), "".join(reasons[:1])))
        return found


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of code of a page.

    Raises
    ------
    ValueError
        If a mark is not right above a block, or is about no command in it.
    """
    blocks, marks = [], []
    lines = iter((PROJECT / page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if mark := MARK.fullmatch(line):
            marks.append((mark[1] or "", mark[2]))
        elif fence := FENCE.fullmatch(line):
            text = "".join(f"{inside}\n" for inside in iter(lambda: next(lines), "```"))
            block = Block(fence[1], fence[2], text, tuple(marks))
            for start, _ in marks:
                if not re.search(f"^{re.escape(start)}", text, re.MULTILINE):
                    raise ValueError(f"{page}: the mark about '{start}' is about no command")
            blocks.append(block)
            marks = []
        elif marks and line:
            raise ValueError(f"{page}: a mark is not right above a block: {line}")
        elif line.startswith("<!--"):
            raise ValueError(f"{page}: this is no mark that is known: {line}")
    return blocks


def code_spans(page: str) -> Iterator[str]:
    """Yield what a page has in backquotes, outside of its blocks."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in SPAN.findall(text):
        yield " ".join(span.split())


def parse(line: str) -> bool:
    """Parse a command of the project as the program does, without running it.

    Options must exist, and have values that are among their choices or in their range. Names of
    scenes must be those of scenes; words in capitals stand for what the reader has.

    Returns
    -------
    bool
        False if it is not a command of the project.

    Raises
    ------
    click.UsageError
        If the program would refuse it.
    """
    program = next((start for start in (*RENDER, *EXTRACT) if line.startswith(start)), None)
    if program is None:
        return False
    words = shlex.split(line.removeprefix(program), comments=True)
    command: click.Command = render
    if program in EXTRACT:
        command = extract_command
        words = _parse_words(command, words)
    commands = extract_command.commands if program in EXTRACT else COMMANDS
    if words and words[0] in commands:
        command, words = commands[words[0]], words[1:]
    if words:
        _parse_words(command, words)
    return True


def parse_option(text: str) -> bool:
    """Return whether a command of the project has an option, and takes what follows it."""
    name, *values = shlex.split(text)
    for command in (
        render,
        *COMMANDS.values(),
        extract_command,
        *extract_command.commands.values(),
    ):
        if any(name in (*option.opts, *option.secondary_opts) for option in command.params):
            with suppress(click.UsageError):
                _parse_words(command, [name, *values] if values else [])
                return True
    return False


def _parse_words(command: click.Command, words: list[str]) -> list[str]:
    """Parse options of a command; return what follows them."""
    # Values are not looked at but for those below: files that a page names need not be here.
    # Click keeps the help option of the first context, for every later call of the command.
    settings: Any = {"help_option_names": ["-h", "--help"]}
    context = command.make_context(command.name, [], resilient_parsing=True, **settings)
    context.resilient_parsing = False
    values, rest, order = command.make_parser(context).parse_args(list(words))
    for option in order:
        if isinstance(option.type, click.Choice | click.IntRange):
            given = values[option.name or ""]
            for value in given if option.multiple else [given]:
                if not value.isupper():
                    option.type.convert(value, option, context)
    known = {entry.slug for entry in SCENES}
    scenes = values.get("scenes")
    for name in scenes if isinstance(scenes, tuple) else ():
        if name.startswith("scene_") and name not in known and not name.endswith("NAME"):
            raise click.UsageError(f"there is no scene {name}")
    return list(rest)


def shows_something(picture: Path) -> bool:
    """Whether more of a picture than a speck is bright."""
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    return bool((pixels.max(axis=-1) > 60).mean() > 0.01)
