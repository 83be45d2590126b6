"""A scene of a user's own for the studio, and the studio at work on it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filmkit.tools.studio_bench import studio_program
from tests.support.traces import make_trace

__all__ = ["SCENE", "Studio", "open_studio"]

SCENE = '''
from manim import RIGHT

from filmkit import Appear, HeadPanel, Stage, beat


class Mine(Stage):
    title = "My scene"

    @beat
    def queries(self):
        """Queries come, and [here] they stand."""
        self.panel = HeadPanel(self.head, "q")
        self.play(Appear(self.panel))
        self.wait_for("here")

    @beat
    def pattern_moves(self):
        """A pattern moves."""
        self.clear()
        self.pattern = HeadPanel(self.head, "pattern", height=2)
        self.add(self.pattern)
        self.play(self.pattern.animate.shift(1.0 * RIGHT))

    @beat
    def the_end(self):
        """The end."""
        self.show(". Kt\\nQ scores")
'''


class Studio:
    """The studio at work on a scene in a folder of its own.

    Attributes
    ----------
    folder, scene
        The folder, and the file of the scene.
    address
        What the studio printed.
    process
        The server.
    """

    def __init__(self, folder: Path, address: str, process: subprocess.Popen[str]) -> None:
        self.folder, self.scene = folder, folder / "mine.py"
        self.address, self.process = address, process

    def edit(self, old: str, new: str) -> None:
        """Save the scene with another text in it."""
        text = self.scene.read_text()
        assert old in text
        self.scene.write_text(text.replace(old, new))

    def drawing_processes(self) -> int:
        """Return the number of processes that draw, or wait to draw; Linux only.

        The server that forks them, and multiprocessing's own helper, are not counted.
        """
        below = _children(self.process.pid)
        return sum(len(_all_below(child)) for child in below)

    def wait_until_idle(self, seconds: float = 30.0) -> None:
        """Wait until no process draws or waits to draw."""
        deadline = time.monotonic() + seconds
        while self.drawing_processes():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    found = []
    for task in tasks.iterdir() if tasks.is_dir() else ():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has ended
    return found


def _all_below(pid: int) -> list[int]:
    below = _children(pid)
    return below + [lower for child in below for lower in _all_below(child)]


@contextmanager
def open_studio(folder: Path, *arguments: str) -> Iterator[Studio]:
    """Run the studio on a scene in a folder; it is stopped when the block is left."""
    (folder / "mine.py").write_text(SCENE)
    make_trace().save(folder / "trace.safetensors")
    words = ("mine.py", "--trace", "trace.safetensors", "--fps", "5", "--no-cache")
    with studio_program(*words, *arguments, folder=folder) as (address, process):
        yield Studio(folder, address, process)
