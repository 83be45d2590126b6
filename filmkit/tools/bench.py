"""How fast heatmaps are drawn: ``python -m filmkit.tools.bench`` (``make bench``).

The same work is rendered several ways, each in a process of its own, and the whole process is
timed, start-up and encoding included:

``stack``
    12 heads of 5 panels each in space, with a moving camera.
``sheets``
    Three matrices of 9 x 64, moving in the plane.
``wall``
    270 patterns of 12 x 12, with a moving camera.

They are drawn as this project does (``ours``), as Manim's own ``ImageMobject`` (``stock``) and,
for the sheets, as one ``Square`` for each cell (``squares``). ``floor`` is an empty scene of the
same length with the same camera moves. All of them are 60 full-HD frames through the same
encoder, so that only the drawing differs. The values are those of the trace that comes with the
project; no film is kept.

The last line printed is JSON: the median of the runs in seconds, by work and by way.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
from filmkit.core.camera import Shot, StageCamera, on_card
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.renderer import FilmRenderer
from filmkit.render.movie import open_movie
from filmkit.render.quality import QUALITIES
from filmkit.render.runner import manim_config
from filmkit.render.traces import SHIPPED

Array = npt.NDArray[np.float64]

FRAMES = 60
WAYS = {
    "stack": ("floor", "stock", "ours"),
    "sheets": ("floor", "stock", "squares", "ours"),
    "wall": ("floor", "stock", "ours"),
}
NORM = Norm(-2.0, 2.0, "viridis")
SPACE = (30.0, 20.0)  # theta and phi in degrees at the end of a camera move


def panels(work: str) -> list[tuple[Array, tuple[float, float, float], tuple[float, float]]]:
    """Values, center and size of each panel of a piece of work."""
    trace = Trace.load(SHIPPED)
    heads = [divmod(i, trace.meta.n_heads) for i in range(270)]
    if work == "wall":
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

    if work == "sheets":
        places = ((0.0, y, 0.0) for y in (2.4, 0.0, -2.4))
        return [(m, at, (8.0, 1.6)) for m, at in zip(matrices(0, 0)[:3], places, strict=True)]
    points = ((-4.0, 2.2), (-4.0, 0.0), (-4.0, -2.2), (3.5, 1.5), (3.0, -2.2))
    return [
        (values, (x, y, -0.5 * depth), (1.6, 1.6) if values.shape == (9, 9) else (3.6, 1.5))
        for depth in reversed(range(12))
        for values, (x, y) in zip(matrices(*heads[depth]), points, strict=True)
    ]


def ours(values: Array, size: tuple[float, float]) -> Mobject:
    """A panel as this project draws it."""
    # Without the hairline, which Manim's images do not have either.
    heatmap = Heatmap(values, NORM, width=size[0], height=size[1], edged=False)
    return on_card(heatmap, heatmap)


def stock(values: Array, size: tuple[float, float]) -> Mobject:
    """A panel as an image of Manim's."""
    image = ImageMobject(NORM.colours(values))
    image.set_resampling_algorithm(0)
    image.shade_in_3d = True
    return image.stretch_to_fit_width(size[0]).stretch_to_fit_height(size[1])


def squares(values: Array, size: tuple[float, float]) -> Mobject:
    """A panel as one square for each cell."""
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
    """Move the camera, or the panels where the work is flat."""

    def __init__(self, camera: Camera, subject: Mobject, work: str, **kwargs: Any) -> None:
        super().__init__(subject, rate_func=linear, **kwargs)
        self.camera, self.work = camera, work

    def create_starting_mobject(self) -> Mobject:
        return self.mobject

    def begin(self) -> None:
        self.reached = 0.0
        super().begin()

    def interpolate_mobject(self, alpha: float) -> None:
        if self.work == "sheets":
            for panel in self.mobject.submobjects:
                panel.shift([2.0 * (alpha - self.reached), 0.0, 0.0])
            self.reached = alpha
            return
        theta, phi = (angle * alpha for angle in SPACE)
        if isinstance(self.camera, StageCamera):
            self.camera.shot = Shot(theta=theta, phi=phi, height=9.0)
        else:
            self.camera.set_theta(-PI / 2 + np.radians(theta))
            self.camera.set_phi(np.radians(phi))
            self.camera.set_zoom(8 / 9)


class BenchScene(Scene):
    """A piece of work, drawn one way."""

    def __init__(self, work: str, way: str, renderer: FilmRenderer) -> None:
        super().__init__(renderer=renderer)
        self.work, self.way = work, way

    def construct(self) -> None:
        subject = Mobject()
        if self.way != "floor":
            make = {"ours": ours, "stock": stock, "squares": squares}[self.way]
            for values, center, size in panels(self.work):
                subject.add(make(values, size).move_to(center))
        self.add(subject)
        self.play(Move(self.camera, subject, self.work), run_time=FRAMES / self.camera.frame_rate)

    def get_moving_mobjects(self, *animations: Animation) -> list[Mobject]:
        return list(self.mobjects)


def draw(work: str, way: str) -> None:
    """Render a piece of work to a film that is thrown away."""
    quality = QUALITIES["fullhd"]
    camera: type[Camera] = StageCamera if way in ("ours", "floor") else ThreeDCamera
    with TemporaryDirectory() as folder, manim_config(quality):
        path = Path(folder) / "film.mp4"
        with open_movie(path, quality.width, quality.height, quality.frame_rate) as movie:
            BenchScene(work, way, FilmRenderer(camera, movie.write)).render()


def measure(work: str, way: str, runs: int) -> float:
    """Median of the whole-process times of some runs, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", __spec__.name, "--draw", work, way], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything and print a table, then JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument(
        "--draw", nargs=2, metavar=("WORK", "WAY"), help="draw once, without timing"
    )
    options = parser.parse_args(arguments)
    if options.draw:
        draw(*options.draw)
        return
    console = Console()
    found: dict[str, dict[str, float]] = {}
    table = Table("work", "way", "seconds", "times ours, without the floor", "times the floor")
    for work, ways in WAYS.items():
        seconds = {way: measure(work, way, options.runs) for way in ways}
        found[work] = {f"{way}_s": round(value, 3) for way, value in seconds.items()}
        own = max(seconds["ours"] - seconds["floor"], 1e-3)
        for way, value in seconds.items():
            ratio = f"{(value - seconds['floor']) / own:.1f}" if way != "floor" else ""
            table.add_row(work, way, f"{value:.2f}", ratio, f"{value / seconds['floor']:.2f}")
    console.print(table)
    console.out(json.dumps(found))


if __name__ == "__main__":
    main()
