"""Each picture is drawn with exactly the same bytes on old and new processors.

They are drawn here as they always are, and in another process where OpenCV, NumPy and the C library
use none of the instructions that newer processors have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from manim import Square

from extract.trace import Trace
from filmkit.core.animations import set_presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body, Lamp, put
from filmkit.core.camera import Shot
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera, glow, mirrored
from filmkit.core.norm import Norm
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import Quality
from scenes.registry import SCENES
from tests.support.checkout import PROJECT, SHIPPED

SIZE = Quality(960, 540, 30)
TILTED = Shot(height=9, theta=33, phi=21)

Pixels = npt.NDArray[np.uint8]


def cells(rows: int, columns: int, height: float = 4.0) -> Heatmap:
    values = np.random.default_rng(0).random((rows, columns))
    return Heatmap(values, Norm(0.0, 1.0, "viridis"), width=6.0, height=height).shift([0, 2, 0])


def see_through(heatmap: Heatmap) -> Heatmap:
    return heatmap.set_shown(np.random.default_rng(1).random(heatmap.shape))


def drawn(heatmap: Heatmap, shot: Shot = TILTED) -> Pixels:
    with manim_config(SIZE):
        camera = LitCamera()
        camera.shot = shot
        word = Square(0.7, fill_opacity=0.8).rotate(0.3).shift([3, 0.5, 1])
        camera.capture_mobjects([heatmap, word])
        return camera.pixel_array


def still(slug: str, beat: str) -> Pixels:
    """Draw the last picture of a beat, from the trace that comes with the project."""
    pictures: list[Pixels] = []

    def take(record: BeatRecord, stage: Stage) -> None:
        if record.name == beat:
            pictures.append(stage.snapshot())
            raise Drawn

    with manim_config(SIZE):
        scene = {entry.slug: entry for entry in SCENES}[slug].load()
        with pytest.raises(Drawn):
            scene(Trace.load(SHIPPED), StageSettings(), on_beat_end=take).render()
    return pictures[0]


def room() -> Pixels:
    """Draw bodies, one of them faint, in the light of a lamp that hangs over one of them."""
    with manim_config(SIZE):
        camera = LitCamera()
        camera.shot = Shot.looking((-2.5, 3.3, 7.6), (0.2, 0.7, -1.0))
        values = np.random.default_rng(2).normal(size=40)
        boxes = [
            [(i * 0.1, min(0, v), -0.06), (i * 0.1 + 0.07, max(0, v), 0.06)]
            for i, v in enumerate(0.3 * values)
        ]
        rows = [
            mirrored(Body(boxes, "#f28b66", layers=np.sign(values)).put((-2, 1, -z), turn=7.0 * z))
            for z in range(3)
        ]
        slab = Body([[(-0.6, 0, -0.1), (0.6, 0.7, 0.1)]], "#8d8b92")
        put(Square(0.4, fill_opacity=1), slab, (0, 0.3, 0.1), (1, 0, 0), (0, 1, 0))
        slab.put((2, 0, 1), turn=-20).put((2.1, 0, 1.3), turn=-31, size=1.1)
        faint = set_presence(Body([[(0, 0, 0), (0.5, 2, 0.5)]]).put((1, 0, 2)), 0.4)
        parts = [*rows, glow(slab), faint, Lamp(rows[1])]
        camera.capture_mobjects(parts)
        return camera.pixel_array


def daylight() -> Pixels:
    """Draw a body with its shadow on white ground."""
    with manim_config(SIZE):
        camera = LitCamera(background_color="#ffffff")
        camera.lit = False
        camera.shot = Shot.looking((-2.5, 3.3, 7.6), (0.2, 0.7, -1.0))
        camera.capture_mobjects([Body([[(0, 0, 0), (0.5, 2, 0.5)]], "#8d8b92").put((1, 0, 2))])
        return camera.pixel_array


class Drawn(Exception):
    """Ends a scene early."""


PICTURES: dict[str, Callable[[], Pixels]] = {
    "flat": lambda: drawn(cells(7, 9), Shot(height=9.3)),
    "tilted": lambda: drawn(cells(7, 9)),
    "transparent": lambda: drawn(see_through(cells(7, 9))),
    "faint": lambda: drawn(cells(7, 9).set_opacity(0.4)),
    "small cells": lambda: drawn(cells(60, 70)),
    "cells smaller than a pixel": lambda: drawn(cells(700, 900), Shot(height=31)),
    "near": lambda: drawn(cells(40, 50), Shot((0.3, 2.1, 0), height=0.8, theta=33, phi=21)),
    "light": lambda: drawn(glow(see_through(cells(7, 9)))),
    "mirror": lambda: drawn(mirrored(cells(12, 17)), Shot(height=11, theta=33, phi=21)),
    "room": room,
    "daylight": daylight,
    "a flat beat": lambda: still("scene_attention", "one_head"),
    "a beat in space": lambda: still("scene_heads", "all_heads_slide_in"),
}


def digest(name: str) -> str:
    return sha256(np.ascontiguousarray(PICTURES[name]())).hexdigest()


def plain_processor() -> dict[str, str]:
    """Return variables that let a process use no instructions but those of the first processors."""
    extra = np._core._multiarray_umath  # type: ignore[attr-defined]
    numpys = [name for name in extra.__cpu_dispatch__ if extra.__cpu_features__[name]]
    opencvs = [name[1:] for name in cv2.getCPUFeaturesLine().split() if name.startswith("*")]
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(numpys),
        "OPENCV_CPU_DISABLE": ",".join(opencvs),
        "OPENCV_IPP": "disabled",
        "OPENBLAS_CORETYPE": "Prescott",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    }


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """Return the digest of each picture as a process draws it without these instructions."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        env=os.environ | plain_processor() | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_the_same_on_every_processor(name: str, plain: dict[str, str]) -> None:
    assert plain[name] == digest(name)


if __name__ == "__main__":
    json.dump({name: digest(name) for name in PICTURES}, sys.stdout)
