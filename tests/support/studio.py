"""A scene of a user's own for the studio, and the studio at work on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.request import urlopen

from websockets.sync.client import connect
from websockets.typing import Origin

from tests.support.browsing import wait_until
from tests.support.checkout import PROJECT
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = [
    "SCENE",
    "TIMEOUT",
    "Studio",
    "StudioClient",
    "open_studio",
    "program",
    "save",
    "studio_program",
    "wait_for_all",
]

TIMEOUT = 180.0  # seconds; far more than anything here takes on a busy machine

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
        save(self.scene, text.replace(old, new))

    def drawing_processes(self) -> int:
        """Return the number of processes that draw, or wait to draw; Linux only.

        The server that forks them, and multiprocessing's own helper, are not counted.
        """
        below = _children(self.process.pid)
        return sum(len(_all_below(child)) for child in below)

    def wait_until_idle(self) -> None:
        """Wait until no process draws or waits to draw."""
        deadline = time.monotonic() + TIMEOUT
        while self.drawing_processes():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def save(scene: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a scene at once, so that nobody reads half of it, however long this process takes."""
    whole = scene.with_name(f"{scene.name}~")
    whole.write_text(text, encoding)
    whole.replace(scene)


def wait_for_all(page: Page) -> None:
    """Wait until a page has all films of its scene, and the numbers of the frame that it shows.

    After that it hears and asks nothing more by itself. An edit must be on the page before.
    """
    wait_until(
        page,
        "byId('status').textContent.startsWith('all drawn') && state.beats.every(film)"
        " && Boolean(frames.known)",
        TIMEOUT,
    )


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


class StudioClient:
    """What a page of the studio is to its server; a context manager.

    Parameters
    ----------
    address
        What the studio printed, token included.
    """

    def __init__(self, address: str) -> None:
        base = address.partition("/?")[0]
        with urlopen(address, timeout=TIMEOUT) as page:
            cookie = SimpleCookie(page.headers["Set-Cookie"])
        headers = {"Cookie": "; ".join(f"{k}={v.value}" for k, v in cookie.items())}
        self._connection = connect(
            f"{base.replace('http', 'ws', 1)}/session",
            origin=Origin(base),
            additional_headers=headers,
            max_size=None,
            open_timeout=TIMEOUT,
            ping_timeout=TIMEOUT,
        )

    def __enter__(self) -> Self:
        self._socket = self._connection.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._connection.__exit__(*failure)

    def tell(self, kind: str, **content: Any) -> None:
        """Send a message."""
        self._socket.send(json.dumps({"kind": kind, **content}))

    def next_message(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Return the next message, within so many seconds.

        Raises
        ------
        TimeoutError
            When none comes.
        """
        return dict(json.loads(self._socket.recv(timeout=timeout)))

    def wait_for(self, kind: str, **content: Any) -> dict[str, Any]:
        """Return the next message of a kind that has this content; others are dropped.

        Raises
        ------
        TimeoutError
            When none comes.
        """
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.next_message(deadline - time.monotonic())
            if message["kind"] == kind and content.items() <= message.items():
                return message


@contextmanager
def program(*arguments: object, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run render.py in a folder until the ``with`` block is left."""
    command = [sys.executable, str(PROJECT / "render.py"), *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"ATTENTION_FILM_CACHE": str(folder / "cache"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        if process.stdout:
            process.stdout.close()


@contextmanager
def studio_program(*arguments: object, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the studio in a folder; yield its address, and the process."""
    with program("studio", "--no-browser", *arguments, folder=folder) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                yield line.strip(), process
                return
        raise RuntimeError("the studio has ended without an address")


@contextmanager
def open_studio(folder: Path, *arguments: str) -> Iterator[Studio]:
    """Run the studio on a scene in a folder; it is stopped when the block is left."""
    (folder / "mine.py").write_text(SCENE)
    make_trace().save(folder / "trace.safetensors")
    words = ("mine.py", "--trace", "trace.safetensors", "--fps", "5", "--no-cache")
    with studio_program(*words, *arguments, folder=folder) as (address, process):
        yield Studio(folder, address, process)
