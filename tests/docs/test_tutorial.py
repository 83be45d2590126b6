"""The tutorial, followed in a copy of the project: every command and every file of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT, copy_project, run_python

TUTORIAL = PROJECT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|python) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """Return language, note and text of each code block of the tutorial.

    The note is the rest of the line with the language: "skip", or the file that the text goes to.
    """
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.model
def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    copy_project(tmp_path)
    command_count = 0
    for language, note, text in blocks():
        if language == "python":
            (tmp_path / note).write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines() if note != "skip" else ():
            program, *arguments = shlex.split(line)
            assert program == "python", line
            done = run_python(tmp_path, *arguments)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            command_count += 1
    assert command_count == 4
    assert (tmp_path / "videos" / "two_prompts.mp4").is_file()
    assert len(list(tmp_path.glob("videos/two_prompts/*.png"))) == 3
    assert (tmp_path / "two_prompts.html").is_file()
    # The checkout is whole afterwards.
    assert run_python(tmp_path, "render.py", "--list").returncode == 0


def test_skipped_commands_only_install_or_keep_running() -> None:
    skipped = [line for _, note, text in blocks() if note == "skip" for line in text.splitlines()]
    assert skipped
    for line in skipped:
        assert re.match(r"make setup|source |pip install |python render.py .* --watch", line), line


def test_the_scene_of_the_tutorial_passes_the_style_checks(tmp_path: Path) -> None:
    for _, note, text in blocks():
        if note.endswith(".py"):
            (tmp_path / Path(note).name).write_text(text, encoding="utf-8")
    assert len(list(tmp_path.glob("*.py"))) > 0
    config = ("--config", str(PROJECT / "pyproject.toml"))
    for check in (("check",), ("format", "--check")):
        done = run_python(tmp_path, "-m", "ruff", *check, *config, str(tmp_path))
        assert done.returncode == 0, done.stdout
