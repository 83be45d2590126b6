"""Run the project's programs as a user does: in a folder, in a pipe, on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filmkit.commands import cli
from tests.support.checkout import PROJECT

__all__ = [
    "RENDER",
    "SCENE",
    "Calling",
    "assert_one_line",
    "call",
    "calling",
    "on_terminal",
    "shell",
]

RENDER = (sys.executable, str(PROJECT / "render.py"))

# A scene that needs no trace and draws at once.
SCENE = '''
from manim import Square

from filmkit import Stage, beat


class Mine(Stage):
    @beat
    def only(self):
        """A square."""
        self.add(Square())
        self.wait(0.2)
'''


def _environment(folder: Path, changes: dict[str, str | None]) -> dict[str, str]:
    plain = {"PYTHONPATH": str(PROJECT), "ATTENTION_FILM_CACHE": str(folder / "cache")}
    merged = os.environ | plain | changes
    return {name: value for name, value in merged.items() if value is not None}


def call(
    *arguments: object, folder: Path, module: str = "", **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run render.py, or a module, in a folder, with a cache in it.

    Parameters
    ----------
    *arguments
        Arguments of the program.
    folder
        The current folder.
    module
        A module to run instead.
    **changes
        Environment variables to set; None removes one.
    """
    program = (sys.executable, "-m", module) if module else RENDER
    return subprocess.run(
        [*program, *map(os.fsencode, map(str, arguments))],
        cwd=folder,
        env=_environment(folder, changes),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


Calling = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def calling(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Calling:
    """Function that does what :func:`call` does with render.py, in this process: it is quicker."""

    def run(*arguments: object, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        for name, value in _environment(folder, dict(changes)).items():
            monkeypatch.setenv(name, value)
        before = threading.excepthook
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as end:
                cli.main([str(argument) for argument in arguments])
        finally:
            threading.excepthook = before
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out, err)

    return run


def shell(command: str, *, folder: Path, **changes: str | None) -> tuple[list[int], str, str]:
    """Run a line of Bash, where ``$RENDER`` is the program; return its exit codes, stdout, stderr.

    There is an exit code for each command of its pipe.
    """
    line = f"{command}; echo ${{PIPESTATUS[@]}} > codes"
    program = {"RENDER": " ".join(RENDER), "EXTRACT": f"{sys.executable} -m extract"}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=_environment(folder, changes | program),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    codes = [int(code) for code in (folder / "codes").read_text().split()]
    return codes, done.stdout, done.stderr


def on_terminal(*command: object, folder: Path) -> tuple[int, bytes]:
    """Run a program on a terminal; return its exit code, and all that it printed."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [os.fsencode(str(word)) for word in command],
        cwd=folder,
        env=_environment(folder, {}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:  # the program has closed its end
            break
        if not block:
            break
        printed += block
    os.close(ours)
    return program.wait(), printed


def assert_one_line(done: subprocess.CompletedProcess[Any], code: int, *words: str) -> None:
    """Check that a program failed with an exit code, and with one line that has these words."""
    assert done.returncode == code, done
    lines = [line for line in done.stderr.splitlines() if not line.startswith("pictures from ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: "), done.stderr
    assert "a mistake in the program" not in lines[0]
    for word in words:
        assert word in lines[0], lines[0]
