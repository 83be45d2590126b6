"""Films are as small as those of a common encoder, and as exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from extract.trace import Trace
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.render.movie import MP4, MP4_MASTER, Encoding, Pixels, open_movie, to_bt709
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.checkout import SHIPPED

COMMON = replace(MP4, options={"preset": "veryfast", "crf": "20", "threads": "1"})
SIZE = Quality(640, 360, 30)
FRAMES = 60
NORM = Norm(-2.0, 2.0, "viridis")


def a_wall_of_patterns() -> list[Pixels]:
    """Return the frames of two seconds in which the camera goes round 270 patterns."""
    trace = Trace.load(SHIPPED)
    frames = []
    with manim_config(SIZE):
        panels = []
        for i in range(270):
            layer, head = divmod(i, trace.meta.n_heads)
            cells = trace.get("pattern", layer)[head, :12, :12]
            panel = Heatmap(cells, NORM, width=0.62, height=0.42, edged=False)
            panels.append(panel.move_to([0.7 * (i % 18 - 8.5), 0.48 * (7 - i // 18), 0.0]))
        camera = StageCamera()
        for alpha in np.linspace(0, 1, FRAMES):
            camera.shot = Shot(theta=30 * alpha, phi=20 * alpha, height=9.0)
            camera.reset()
            camera.capture_mobjects(panels)
            frames.append(np.array(camera.pixel_array))
    return frames


def encoded(path: Path, frames: list[Pixels], encoding: Encoding) -> tuple[int, float]:
    """Return bytes and peak signal-to-noise ratio of the luma, in dB, of encoded frames."""
    with open_movie(path, SIZE, encoding) as movie:
        for frame in frames:
            movie.write(frame)
    with av.open(path) as film:
        decoded = [frame.to_ndarray()[: SIZE.height] for frame in film.decode(video=0)]
    errors = [
        np.mean((luma - to_bt709(frame)[: SIZE.height].astype(float)) ** 2)
        for luma, frame in zip(decoded, frames, strict=True)
    ]
    return path.stat().st_size, float(20 * np.log10(255) - 10 * np.log10(np.mean(errors)))


def test_films_are_small_and_as_exact_as_common_ones(tmp_path: Path) -> None:
    frames = a_wall_of_patterns()
    film, master, common = (
        encoded(tmp_path / f"{number}{encoding.suffix}", frames, encoding)
        for number, encoding in enumerate((MP4, MP4_MASTER, COMMON))
    )
    assert film[0] < 0.45 * master[0]
    assert film[0] < common[0]
    assert film[1] > common[1] - 0.1
    assert master[1] > film[1] + 4
