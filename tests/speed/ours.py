"""Twelve heads of five panels in space, while the camera moves for two seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from filmkit import Heatmap, Shot, Stage, beat

HEADS = 12
PLACES = [(-4.0, 2.2), (-4.0, 0.0), (-4.0, -2.2), (3.5, 1.5), (3.0, -2.2)]
CELLS = [(9, 64), (9, 64), (9, 64), (9, 9), (9, 64)]
SIZES = [(3.6, 1.5), (3.6, 1.5), (3.6, 1.5), (1.6, 1.6), (3.6, 1.5)]


class Floor(Stage):
    def panels(self) -> Iterator[Heatmap]:
        yield from ()

    @beat
    def turn(self) -> None:
        self.add(*self.panels())
        self.play(self.move_camera(Shot(theta=30, phi=20, height=9.0)), run_time=2)


class Stack(Floor):
    heads = HEADS

    def panels(self) -> Iterator[Heatmap]:
        numbers = np.random.default_rng(0)
        for head in range(self.heads - 1, -1, -1):
            for (x, y), cells, (width, height) in zip(PLACES, CELLS, SIZES, strict=True):
                panel = Heatmap(numbers.normal(size=cells), width=width, height=height)
                yield panel.move_to([x, y, -0.5 * head])


class ManyHeads(Stack):
    heads = 128
