"""Benchmark of drawing heatmaps: ``python -m filmkit.tools.bench`` (``make bench``).

Each workload is rendered with several methods. Every measurement runs in a process of its own, and
the whole process is timed, start-up and encoding included. The workloads:

``stack``
    12 heads of 5 panels each in space, with a moving camera.
``sheets``
    Three matrices of 9 x 64, moving in the plane.
``wall``
    270 patterns of 12 x 12, with a moving camera.
``room``
    9 patterns above 18 matrices that stand on the floor, with a moving camera.

The methods: as this project draws (``ours``), as Manim's own ``ImageMobject`` (``stock``), for the
sheets as one ``Square`` for each cell (``squares``), and for the room as we draw with halos and a
mirror (``lit``). ``floor`` is an empty scene of the same
length with the same camera moves: what a film costs without drawing. All of them are 60 full-HD
frames through the same encoder, so that only the drawing differs. The values come from the trace
that comes with the project; the films are deleted.

With ``--encoders`` the same frames go through other encoders instead: that of films, that of
``--master``, and x264 as many programs set it. For each it prints megabytes a minute, the error of
the luma as a peak signal-to-noise ratio, and how long a frame takes.

With ``--films`` whole films are made instead: a scene of flat pictures and one in space, in full HD
with two processes and an empty cache, at 30 and at 60 frames a second. For each it prints what a
second of film takes, start-up, rehearsal and encoding included: seconds by the clock, and of the
processors, the latter without the rehearsal. Where other programs run meanwhile, only they say
something.

The last line printed is JSON: the median of the runs in seconds, by workload and method; or these
three numbers, by workload and encoder; or these two, by scene and frame rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from manim import (
    PI,
    Animation,
    Camera,
    ImageMobject,
    Mobject,
    Scene,
    Square,
    ThreeDCamera,
    VGroup,
    linear,
    rgb_to_color,
)
from rich.console import Console
from rich.table import Table

from extract.trace import Trace
from filmkit.core.camera import Shot, StageCamera, set_depth_plane
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera, glow, mirrored
from filmkit.core.norm import Norm
from filmkit.core.project import PROJECT
from filmkit.core.renderer import FilmRenderer
from filmkit.render.movie import MP4, MP4_MASTER, Encoding, Pixels, open_movie, to_bt709
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.runner import manim_config
from filmkit.render.traces import SHIPPED

Array = npt.NDArray[np.float64]

FRAMES = 60
METHODS = {
    "stack": ("floor", "stock", "ours"),
    "sheets": ("floor", "stock", "squares", "ours"),
    "wall": ("floor", "stock", "ours"),
    "room": ("floor", "stock", "ours", "lit"),
}
COMMON = "x264 veryfast, crf 20"
ENCODERS = {
    "films": MP4,
    "--master": MP4_MASTER,
    COMMON: replace(MP4, options={"preset": "veryfast", "crf": "20", "threads": "1"}),
}
FILMS = ("scene_patterns", "scene_sharing")  # one of flat pictures, and one in space
FRAME_RATES = (30, 60)
NORM = Norm(-2.0, 2.0, "viridis")
END_ANGLES = (30.0, 20.0)  # theta and phi of the camera at the end of its move, in degrees


def panels(workload: str) -> list[tuple[Array, tuple[float, float, float], tuple[float, float]]]:
    """Return the values, center and size of each panel of a workload; lengths in scene units."""
    trace = Trace.load(SHIPPED)
    heads = [divmod(i, trace.meta.n_heads) for i in range(270)]
    if workload == "wall":
        return [
            (
                trace.get("pattern", layer)[head, :12, :12],
                (0.7 * (i % 18 - 8.5), 0.48 * (7 - i // 18), 0.0),
                (0.62, 0.42),
            )
            for i, (layer, head) in enumerate(heads)
        ]

    def matrices(layer: int, head: int) -> list[Array]:
        shared = trace.kv_head(head)
        return [
            trace.get("q", layer)[1:10, head],
            trace.get("k", layer)[1:10, shared],
            trace.get("v", layer)[1:10, shared],
            trace.scores(layer, head)[1:10, 1:10],
            trace.get("z", layer)[1:10, head],
        ]

    if workload == "sheets":
        centers = ((0.0, y, 0.0) for y in (2.4, 0.0, -2.4))
        return [
            (values, center, (8.0, 1.6))
            for values, center in zip(matrices(0, 0)[:3], centers, strict=True)
        ]
    if workload == "room":
        patterns, plates = [], []
        for head in range(9):
            _q, k, v, _scores, _z = matrices(0, head)
            across = 1.4 * (head - 4)
            pattern = trace.get("pattern", 0)[head, 1:10, 1:10]
            patterns.append((pattern, (across, 1.9, 0.0), (1.3, 1.3)))
            for values, side in ((k, -0.33), (v, 0.33)):
                plates.append((values, (across + side, 0.4, 0.8), (0.6, 0.8)))
        return patterns + plates
    points = ((-4.0, 2.2), (-4.0, 0.0), (-4.0, -2.2), (3.5, 1.5), (3.0, -2.2))
    return [
        (values, (x, y, -0.5 * depth), (1.6, 1.6) if values.shape == (9, 9) else (3.6, 1.5))
        for depth in reversed(range(12))
        for values, (x, y) in zip(matrices(*heads[depth]), points, strict=True)
    ]


def ours(values: Array, size: tuple[float, float]) -> Mobject:
    """Return a panel as this project draws it."""
    # Without its thin edge line: Manim's images do not have one either.
    heatmap = Heatmap(values, NORM, width=size[0], height=size[1], edged=False)
    return set_depth_plane(heatmap, heatmap)


def lit(values: Array, size: tuple[float, float]) -> Mobject:
    """Return a panel as this project draws it, which glows and is mirrored."""
    return glow(mirrored(ours(values, size)))


def stock(values: Array, size: tuple[float, float]) -> Mobject:
    """Return a panel as an image of Manim."""
    image = ImageMobject(NORM.colours(values))
    image.set_resampling_algorithm(0)
    image.shade_in_3d = True
    return image.stretch_to_fit_width(size[0]).stretch_to_fit_height(size[1])


def squares(values: Array, size: tuple[float, float]) -> Mobject:
    """Return a panel as one square for each cell."""
    rows, columns = values.shape
    width, height = size[0] / columns, size[1] / rows
    cells = VGroup()
    for (row, column), colour in zip(
        np.ndindex(rows, columns), NORM.colours(values).reshape(-1, 3), strict=True
    ):
        cell = Square(
            fill_color=rgb_to_color(colour.astype(int)), fill_opacity=1.0, stroke_width=0.0
        )
        cell.stretch_to_fit_width(width).stretch_to_fit_height(height)
        cells.add(cell.move_to([width * column, -height * row, 0.0]))
    return cells.center()


class Move(Animation):
    """Animation that turns the camera; in the flat workload it moves the panels instead."""

    def __init__(self, camera: Camera, subject: Mobject, workload: str, **kwargs: Any) -> None:
        super().__init__(subject, rate_func=linear, **kwargs)
        self.camera, self.workload = camera, workload

    def create_starting_mobject(self) -> Mobject:
        return self.mobject

    def begin(self) -> None:
        self.last_alpha = 0.0
        super().begin()

    def interpolate_mobject(self, alpha: float) -> None:
        if self.workload == "sheets":
            for panel in self.mobject.submobjects:
                panel.shift([2.0 * (alpha - self.last_alpha), 0.0, 0.0])
            self.last_alpha = alpha
            return
        theta, phi = (angle * alpha for angle in END_ANGLES)
        if isinstance(self.camera, StageCamera):
            self.camera.shot = Shot(theta=theta, phi=phi, height=9.0)
        else:
            self.camera.set_theta(-PI / 2 + np.radians(theta))
            self.camera.set_phi(np.radians(phi))
            self.camera.set_zoom(8 / 9)


class BenchScene(Scene):
    """Scene that draws one workload with one method."""

    def __init__(self, workload: str, method: str, renderer: FilmRenderer) -> None:
        super().__init__(renderer=renderer)
        self.workload, self.method = workload, method

    def construct(self) -> None:
        subject = Mobject()
        if self.method != "floor":
            draw_panel = {"ours": ours, "stock": stock, "squares": squares, "lit": lit}[self.method]
            for values, center, size in panels(self.workload):
                subject.add(draw_panel(values, size).move_to(center))
        self.add(subject)
        self.play(
            Move(self.camera, subject, self.workload), run_time=FRAMES / self.camera.frame_rate
        )

    def get_moving_mobjects(self, *animations: Animation) -> list[Mobject]:
        return list(self.mobjects)


def draw(workload: str, method: str) -> None:
    """Render a workload with a method, to a film that is deleted."""
    quality = QUALITIES["fullhd"]
    camera: type[Camera] = ThreeDCamera if method in ("stock", "squares") else LitCamera
    with TemporaryDirectory() as folder, manim_config(quality):
        path = Path(folder) / "film.mp4"
        with open_movie(path, quality.width, quality.height, quality.frame_rate, MP4) as movie:
            BenchScene(workload, method, FilmRenderer(camera, movie.write)).render()


def frames_of(workload: str, quality: Quality) -> list[Pixels]:
    """Return the frames of a workload as this project draws it."""
    frames: list[Pixels] = []
    with manim_config(quality):
        renderer = FilmRenderer(StageCamera, lambda picture, repeat: frames.append(picture))
        BenchScene(workload, "ours", renderer).render()
    return frames


def encode(frames: Sequence[Pixels], encoding: Encoding, frame_rate: int) -> dict[str, float]:
    """Encode frames; return megabytes a minute, the luma's error in dB, milliseconds a frame."""
    height, width = frames[0].shape[:2]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"film{encoding.suffix}"
        start = time.perf_counter()
        with open_movie(path, width, height, frame_rate, encoding) as movie:
            for frame in frames:
                movie.write(frame)
        seconds = time.perf_counter() - start
        with av.open(path) as film:
            decoded = [frame.to_ndarray()[:height] for frame in film.decode(video=0)]
        size = path.stat().st_size
    errors = [
        np.mean((luma - to_bt709(frame)[:height].astype(float)) ** 2)
        for luma, frame in zip(decoded, frames, strict=True)
    ]
    return {
        "megabytes_a_minute": size / 1e6 * 60 * frame_rate / len(frames),
        "luma_dB": float(20 * np.log10(255) - 10 * np.log10(np.mean(errors))),
        "milliseconds_a_frame": 1000 * seconds / len(frames),
    }


def compare_encoders(console: Console) -> None:
    """Encode every workload with every encoder, and print a table, then JSON."""
    quality = QUALITIES["fullhd"]
    results = {}
    table = Table("workload", "encoder", "MB a minute", "luma, dB", "ms a frame")
    for workload in METHODS:
        frames = frames_of(workload, quality)
        results[workload] = {
            name: encode(frames, encoding, quality.frame_rate)
            for name, encoding in ENCODERS.items()
        }
        for name, numbers in results[workload].items():
            table.add_row(workload, name, *(f"{number:.1f}" for number in numbers.values()))
    console.print(table)
    console.out(json.dumps(results))


def measure(workload: str, method: str, runs: int) -> float:
    """Return the median time of several runs, in seconds, each of a whole process."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", __spec__.name, "--draw", workload, method], check=True
        )
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def make_film(scene: str, frame_rate: int) -> dict[str, float]:
    """Make the film of a scene; return what a second of it takes, in seconds, by two clocks."""
    with TemporaryDirectory() as folder:
        options = ["--fps", str(frame_rate), "--jobs", "2", "--captions", "none", "--quiet"]
        places = ["--cache", folder, "--out", folder]
        before = os.times()
        subprocess.run(
            [sys.executable, str(PROJECT / "render.py"), scene, *options, *places], check=True
        )
        after = os.times()
        with av.open(Path(folder) / f"{scene}.mp4") as film:
            length = (film.duration or 0) / av.time_base
    processors = sum(after[2:4]) - sum(before[2:4])  # those of processes that were waited for
    return {"clock": (after.elapsed - before.elapsed) / length, "processors": processors / length}


def measure_films(console: Console, runs: int) -> None:
    """Make films of two scenes at two frame rates, and print a table, then JSON."""
    results: dict[str, dict[int, dict[str, float]]] = {}
    table = Table("scene", "frames a second", "seconds by the clock", "of the processors")
    for scene in FILMS:
        results[scene] = {}
        for frame_rate in FRAME_RATES:
            taken = [make_film(scene, frame_rate) for _ in range(runs)]
            numbers = {
                name: round(statistics.median(one[name] for one in taken), 3) for name in taken[0]
            }
            results[scene][frame_rate] = numbers
            table.add_row(scene, str(frame_rate), *(f"{number:.2f}" for number in numbers.values()))
    console.print(table)
    console.out(json.dumps(results))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure drawing, encoding or whole films, and print a table, then JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs", type=int, default=3, help="number of runs for each median (default: 3)"
    )
    parser.add_argument(
        "--draw", nargs=2, metavar=("WORKLOAD", "METHOD"), help="draw once, without timing"
    )
    parser.add_argument("--encoders", action="store_true", help="compare encoders instead")
    parser.add_argument("--films", action="store_true", help="make whole films instead")
    options = parser.parse_args(arguments)
    if options.draw:
        draw(*options.draw)
        return
    console = Console()
    if options.encoders:
        compare_encoders(console)
        return
    if options.films:
        measure_films(console, options.runs)
        return
    results: dict[str, dict[str, float]] = {}
    table = Table(
        "workload", "method", "seconds", "times ours, without the floor", "times the floor"
    )
    for workload, methods in METHODS.items():
        seconds = {method: measure(workload, method, options.runs) for method in methods}
        results[workload] = {f"{method}_s": round(value, 3) for method, value in seconds.items()}
        own = max(seconds["ours"] - seconds["floor"], 1e-3)
        for method, value in seconds.items():
            ratio = f"{(value - seconds['floor']) / own:.1f}" if method != "floor" else ""
            table.add_row(
                workload, method, f"{value:.2f}", ratio, f"{value / seconds['floor']:.2f}"
            )
    console.print(table)
    console.out(json.dumps(results))


if __name__ == "__main__":
    main()
