"""Measure how long it takes from saving an edit to its picture: in the studio, and with --watch.

Both work on the same scene, one after the other and several times, because other programs may keep
the machine busy: what counts is how they compare in one run. Run it with
``python -m filmkit.tools.studio_bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table
from websockets.sync.client import connect
from websockets.typing import Origin

from filmkit.core.project import PROJECT

__all__ = ["StudioClient", "main", "studio_program"]

SCENE = '''
from manim import DOWN

from filmkit import Appear, HeadPanel, Stage, beat


class Bench(Stage):
    @beat
    def queries(self):
        """The queries stand below each other."""
        self.play(Appear(HeadPanel(self.head, "q")))

    @beat
    def pattern(self):
        """Then the pattern comes, lower than the queries."""
        self.clear()
        pattern = HeadPanel(self.head, "pattern")
        self.play(Appear(pattern))
        self.play(pattern.animate.shift(DOWN * {place}))
'''
TOUCHED = "pattern"  # the beat that the edits touch
TIMEOUT = 120.0


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


def edited(scene: Path) -> Iterator[float]:
    """Save an edit of a beat for each value taken; the value is when it was saved."""
    for number in range(1, 10_000):
        now = time.monotonic()
        scene.write_text(SCENE.format(place=number / 1000), encoding="utf-8")
        yield now


def measure_studio(scene: Path, runs: int) -> dict[str, list[float]]:
    """Return the seconds from edits to pictures of a page that shows the touched beat, or not."""
    edits = edited(scene)
    next(edits)
    times: dict[str, list[float]] = {"the frame on the page": [], "another beat": []}
    with (
        studio_program(scene.name, folder=scene.parent) as (address, _),
        StudioClient(address) as page,
    ):
        hello = page.wait_for("hello")
        page.tell("show", scene=hello["scene"], choices=hello["choices"])
        page.wait_for("done")
        for name, found in times.items():
            for _ in range(runs):
                start = next(edits)
                if name == "another beat":
                    # The page goes to the end of the touched beat.
                    page.wait_for("still", beat=TOUCHED)
                else:
                    page.wait_for("drawing")
                    page.tell("frame", beat=TOUCHED, frame=20, picture=True)
                    page.wait_for("frame", beat=TOUCHED)
                found.append(time.monotonic() - start)
                page.wait_for("done")
    return times


def measure_watch(scene: Path, runs: int) -> list[float]:
    """Return the seconds from edits to the sheet of pictures that --watch writes."""
    edits, times = edited(scene), []
    next(edits)
    with program(scene.name, "--watch", folder=scene.parent) as process:
        wait_for = _line_reader(process)
        wait_for(r"bench\.mp4 ")
        for _ in range(runs):
            start = next(edits)
            wait_for(r"bench\.preview\.png ")
            times.append(time.monotonic() - start)
            wait_for(r"/bench\.mp4 ")
    return times


def _line_reader(process: subprocess.Popen[str]) -> Callable[[str], str]:
    def wait_for(pattern: str) -> str:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(pattern, line):
                return line
        raise RuntimeError("the program has ended early")

    return wait_for


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything and print a table, then JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="number of edits each (default: 5)")
    runs = parser.parse_args(arguments).runs
    times: dict[str, list[float]] = {}
    for _ in range(2):  # one after the other, twice
        with TemporaryDirectory() as folder:
            scene = Path(folder) / "bench.py"
            for name, found in measure_studio(scene, runs).items():
                times.setdefault(f"studio, {name}", []).extend(found)
        with TemporaryDirectory() as folder:
            scene = Path(folder) / "bench.py"
            times.setdefault("--watch, the sheet", []).extend(measure_watch(scene, runs))
    table = Table("from the save to", "fastest", "median", "slowest")
    for name, found in times.items():
        values = (min(found), statistics.median(found), max(found))
        table.add_row(name, *(f"{value:.2f} s" for value in values))
    console = Console()
    console.print(table)
    console.out(json.dumps({name: [round(t, 3) for t in found] for name, found in times.items()}))


if __name__ == "__main__":
    main()
