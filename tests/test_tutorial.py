"""The tutorial, carried out in a copy of the project: every command and every file of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TUTORIAL = PROJECT / "docs" / "tutorial.md"
PARTS = ("scenes", "extract", "tests", "assets", "render.py", "pyproject.toml")
BLOCK = re.compile(r"^```(sh|python) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """Language, what follows it, and text of each block of the tutorial."""
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


@pytest.mark.model
def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    for name in PARTS:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, tmp_path)
    surroundings = os.environ | {"ATTENTION_FILM_CACHE": str(tmp_path / "cache")}
    carried_out = 0
    for language, note, text in blocks():
        if language == "python":
            (tmp_path / note).write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines() if note != "skip" else ():
            program, *arguments = shlex.split(line)
            assert program == "python", line
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=tmp_path,
                env=surroundings,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            carried_out += 1
    assert carried_out > 5
    assert (tmp_path / "videos" / "scene_two_prompts.mp4").is_file()
    assert len(list(tmp_path.glob("tall/scene_two_prompts/*.png"))) == 3
    assert (tmp_path / "two_prompts.html").is_file()


def test_what_is_left_out_only_installs_or_stays_open() -> None:
    left_out = [line for _, note, text in blocks() if note == "skip" for line in text.splitlines()]
    for line in left_out:
        assert re.match(r"make setup|source |pip install |python render.py .* --watch", line), line


def test_the_scene_of_the_tutorial_is_well_kept(tmp_path: Path) -> None:
    for _, note, text in blocks():
        if note.endswith(".py"):
            (tmp_path / Path(note).name).write_text(text, encoding="utf-8")
    config = ("--config", str(PROJECT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, *config, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
