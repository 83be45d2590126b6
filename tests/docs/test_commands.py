"""Every command of README and documentation runs as it is written, or is marked as not run.

They run in a copy of the project in which every quality is tiny, with one cache for all pages: what
is run is what a reader types. Only installing is left out, and marked; the tests of the set-up do
that. What is marked is still parsed, if it is a command of the project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from docs.draw_recipes import recipes
from docs.draw_reference import documented_objects
from tests.support import pages
from tests.support.checkout import PROJECT, copy_project, run_python
from tests.support.pages import (
    PAGES,
    blocks_of,
    code_spans,
    parse,
    parse_option,
    shows_something,
)
from tests.support.voices import speech_like, tone, write_sound

LANGUAGES = {"sh", "python", "{eval-rst}", "{toctree}"}
DATA = {"csv", "json", "po", "text"}
COMMAND = re.compile(r"^(?:\$ |python |make |pip )", re.MULTILINE)
RECIPES = "docs/recipes.md"  # its Python files are drawn by test_recipes.py
RECIPE_NAMES = recipes(PROJECT / RECIPES).keys()
TINY = "\nQUALITIES.update(dict.fromkeys(QUALITIES, Quality(160, 90, 2)))\n"
COPIED = ("Makefile", "README.md", "CONTRIBUTING.md")
MADE = {
    "README.md": [
        "videos/film.mp4",
        "videos/my_scene.mp4",
        "posters/sheet.pdf",
        "mine.safetensors",
    ],
    "docs/tutorial.md": [
        "videos/two_prompts.mp4",
        *(f"videos/two_prompts/{name}.png" for name in ("01_one_prompt", "02_the_other_prompt")),
        "two_prompts.html",
    ],
}
"""Files that must be there after the commands of a page; more are named in its comments."""

FILE = re.compile(r"\b[\w-]+/[\w./-]+\.\w+\b")
MAKE = re.compile(r"make ([\w-]+)")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_one_that_is_run_or_marked(page: str) -> None:
    """A command in a block of another language would be passed over."""
    for block in blocks_of(page):
        assert block.language in LANGUAGES | DATA
        assert block.language in LANGUAGES or not COMMAND.search(block.text), block.text


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_the_program_takes(page: str) -> None:
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    lines = [
        command.line
        for block in blocks_of(page)
        if block.language == "sh"
        for command in block.commands()
    ]
    for line in (*lines, *code_spans(page)):
        if line.startswith("--"):
            assert parse_option(line), f"{page}: no command takes {line}"
        elif made := MAKE.match(line):
            assert made[1] in targets or made[1].startswith("scene_"), f"{page}: {line}"
        else:
            parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "python render.py scene_mla --qualty draft",
        "python render.py scene_mla --quality worst",
        "python render.py deck scene_mla --for paper",
        "python render.py scene_milk",
        "python -m extract --promt x",
        "python -m extract latent FILE --ranks 3",
        "render.py cache --clean",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(pages.click.UsageError):
        parse(line)


def test_a_command_without_its_mark_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PROJECT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: `make`, too long -->\n```sh\nmake a  # x\nfalse\n```\n")
    first, second = blocks_of("page.md")[0].commands()
    assert (first.line, first.comment, first.not_run) == ("make a", "x", "too long")
    assert (second.line, second.not_run) == ("false", "")
    for text in ("<!-- not run: x -->\nWords.\n", "<!-- not run: `b`, x -->\n```sh\na\n```\n"):
        page.write_text(text)
        with pytest.raises(ValueError, match="mark"):
            blocks_of("page.md")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """A copy of the project in which every quality is tiny, with an environment in .venv.

    Its cache holds what is kept of the packaged model, which takes minutes to make.
    """
    folder = copy_project(tmp_path_factory.mktemp("project"))
    (folder / "cache").symlink_to(kept)
    for name in COPIED:
        shutil.copy(PROJECT / name, folder)
    made = shutil.ignore_patterns("_build", "pictures", "reference")
    for name in ("docs", "scripts"):
        shutil.copytree(PROJECT / name, folder / name, ignore=made)
    with (folder / "filmkit" / "render" / "quality.py").open("a") as module:
        module.write(TINY)
    environment = folder / ".venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in ("render", "docs", "tests"):
        (environment / f".ready-{stamp}").touch()
    # What a reader of the page on voices brings.
    write_sound(folder / "recordings" / "01_one_latent_for_all.wav", tone(1.0))
    write_sound(folder / "take.wav", speech_like([(3.0, 1.0)] * 17))
    return folder


def run(project: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in the copy, with its cache, and with the Python that runs the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=project,
        env=os.environ | {"PATH": path, "ATTENTION_FILM_CACHE": str(project / "cache")},
        capture_output=True,
        text=True,
        timeout=900,  # one that runs until Ctrl-C has to be marked
        check=False,
    )


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """The commands that were run in the copy: one that several pages have is run once."""
    return set()


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, project: Path, ran: set[str]) -> None:
    made = list(MADE.get(page, ()))
    for block in blocks_of(page):
        if block.language == "python" and block.note:
            (project / block.note).write_text(block.text, encoding="utf-8")
        elif block.language == "python" and not block.marks:
            done = run(project, [sys.executable, "-c", block.text])
            assert done.returncode == 0, f"{block.text}\n{done.stderr}"
        for command in block.commands() if block.language == "sh" else ():
            if command.not_run:
                continue
            made += FILE.findall(command.comment)
            if command.line not in ran:
                done = run(project, ["bash", "-c", command.line])
                assert done.returncode == 0, f"{command.line}\n{done.stdout}\n{done.stderr}"
                ran.add(command.line)
    assert [name for name in made if not (project / name).is_file()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != RECIPES])
def test_python_files_of_a_page_are_run_by_its_commands(page: str) -> None:
    blocks = blocks_of(page)
    lines = [c.line for b in blocks if b.language == "sh" for c in b.commands() if not c.not_run]
    for block in blocks:
        if block.language == "python" and block.note:
            assert any(block.note in line.split() for line in lines), block.note


def test_python_files_have_no_mistakes_of_style(tmp_path: Path) -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    for block in blocks:
        if block.note:
            (tmp_path / block.note).write_text(block.text, encoding="utf-8")
    assert len(list(tmp_path.glob("*.py"))) > 10
    # The project's own rules, which tell filmkit from the libraries that are imported beside it.
    config = ("--config", str(PROJECT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = run_python(tmp_path, "-m", "ruff", *check, *config, str(tmp_path))
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_make_docs_makes_the_pages_and_their_pictures_without_a_warning(project: Path) -> None:
    done = run(project, ["make", "docs"])
    assert done.returncode == 0, done.stderr
    site = project / "docs" / "_build"
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "the attention-film authors" in index.partition("<footer")[2]
    assert 'id="filmkit.show"' in (site / "api.html").read_text(encoding="utf-8")
    for kind in documented_objects():
        page = (site / "reference" / f"{kind.__name__}.html").read_text(encoding="utf-8")
        assert f'id="{kind.__module__}.{kind.__name__}"' in page
    stage = (site / "reference" / "Stage.html").read_text(encoding="utf-8")
    assert all(
        f'Stage.{name}"' in stage for name in ("show", "part", "prepare", "wait_for", "hold")
    )
    assert (site / "_images" / "Appear.png").is_file()
    drawn = {name: project / "docs" / "pictures" / f"{name}.png" for name in RECIPE_NAMES}
    assert [name for name, picture in drawn.items() if not shows_something(picture)] == []
