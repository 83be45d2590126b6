"""What whole programs take of the processors: films, stills, lists and Manim's own films.

Where other programs run meanwhile, time of the processors still says something; by the clock
nothing does. Times of all processes that a program leaves behind are counted, which works on Linux
alone.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import av

from extract.support.temporary import temporary_folder

__all__ = ["Film", "film", "peers", "starts"]

ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: processes that lose their parent become children
OURS, STOCK = (Path(__file__).with_name(name) for name in ("ours.py", "stock.py"))

EMPTY = """
from filmkit import Stage, beat


class Empty(Stage):
    @beat
    def nothing(self):
        self.wait(2)
"""
EMPTY_STOCK = """
from manim import Scene


class Empty(Scene):
    def construct(self):
        self.wait(2)
"""


def processor_seconds(*command: object, folder: Path) -> float:
    """Run a program in a folder until all of its processes have ended; return what they took."""
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
    before = os.times()
    subprocess.run([*map(str, command)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    # Processes that draw are those of a server, which ends after the program.
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return sum(os.times()[2:4]) - sum(before[2:4])  # of processes that were waited for


class Film(NamedTuple):
    """What a film took: processor time, its length, and how much of it is kept.

    Attributes
    ----------
    seconds
        Time of the processors, start-up included.
    frames
        Number of them.
    length
        In seconds.
    size, kept
        Bytes of the film, and of what the cache keeps of it.
    """

    seconds: float
    frames: int
    length: float
    size: int
    kept: int


def film(project: Path, scene: str, *options: str) -> Film:
    """Make the film of a scene with the program of a checkout, with an empty cache."""
    with temporary_folder() as folder:
        cache, out = folder / "cache", folder / "out"
        places = ["--cache", cache, "--out", out]
        render = [sys.executable, project / "render.py", scene, "--jobs", "2", "--quiet"]
        seconds = processor_seconds(*render, *places, *options, folder=project)
        (path,) = out.glob("*.mp4")
        with av.open(path) as found:
            (stream,) = found.streams.video
            length = float((found.duration or 0) / av.time_base)
            return Film(
                seconds,
                stream.frames,
                length,
                path.stat().st_size,
                sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()),
            )


def starts(project: Path) -> dict[str, float]:
    """Return the seconds that a checkout takes for a list, for a still and for an empty film."""
    with temporary_folder() as folder:
        (folder / "empty.py").write_text(EMPTY)
        render = sys.executable, project / "render.py"
        places = "--cache", folder / "cache", "--out", folder / "out", "--quiet"

        def taken(*options: object) -> float:
            return processor_seconds(*render, *options, *places, folder=folder)

        return {
            "a list without a cache": taken("--list"),
            "a still": taken("scene_attention", "--still", "a_query_meets_a_key"),
            "an empty film": taken("empty.py", "--captions", "none"),
        }


def peers(project: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return what films of panels in space and empty ones take, here and in Manim alone."""
    with temporary_folder() as folder:
        (folder / "empty.py").write_text(EMPTY)
        (folder / "stock_empty.py").write_text(EMPTY_STOCK)

        def made(file: Path, scene: str) -> float:
            command: Sequence[object] = (sys.executable, "-m", "manim", "render", "-qh")
            options = (
                "--fps",
                30,
                "--disable_caching",
                "--progress_bar",
                "none",
                "--media_dir",
                folder / "media",
            )
            return processor_seconds(*command, *options, file, scene, folder=folder)

        def ours(file: Path, scene: str) -> float:
            places = "--cache", folder / scene, "--out", folder / scene, "--captions", "none"
            program = f"{file}:{scene}"
            return processor_seconds(
                sys.executable, project / "render.py", program, "--quiet", *places, folder=folder
            )

        return (
            {
                "empty": ours(folder / "empty.py", "Empty"),
                "panels": ours(OURS, "Stack") - ours(OURS, "Floor"),
            },
            {
                "empty": made(folder / "stock_empty.py", "Empty"),
                "panels": made(STOCK, "Stack") - made(STOCK, "Floor"),
            },
        )
