"""The same panels as Manim's own images, with the same move of its camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from manim import DEGREES, RESAMPLING_ALGORITHMS, ImageMobject, ThreeDScene

from tests.speed.ours import CELLS, HEADS, PLACES, SIZES

COLOURS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])


def image(numbers: npt.NDArray[np.float64], width: float, height: float) -> ImageMobject:
    places = (numbers - numbers.min()) / np.ptp(numbers) * 4
    first = np.clip(places.astype(int), 0, 3)
    share = (places - first)[..., None]
    found = ImageMobject(
        (COLOURS[first] * (1 - share) + COLOURS[first + 1] * share).astype(np.uint8)
    )
    found.set_resampling_algorithm(RESAMPLING_ALGORITHMS["nearest"])
    found.shade_in_3d = True
    return found.stretch_to_fit_width(width).stretch_to_fit_height(height)


class Floor(ThreeDScene):
    def panels(self) -> Iterator[ImageMobject]:
        yield from ()

    def construct(self) -> None:
        self.set_camera_orientation(phi=0, theta=-90 * DEGREES, zoom=8 / 9)
        self.add(*self.panels())
        self.move_camera(phi=20 * DEGREES, theta=-60 * DEGREES, run_time=2)


class Stack(Floor):
    def panels(self) -> Iterator[ImageMobject]:
        numbers = np.random.default_rng(0)
        for head in range(HEADS - 1, -1, -1):
            for (x, y), cells, (width, height) in zip(PLACES, CELLS, SIZES, strict=True):
                yield image(numbers.normal(size=cells), width, height).move_to([x, y, -0.5 * head])
