"""Compare what the camera draws with the panel that a ray through each pixel meets first."""

from __future__ import annotations

import numpy as np

from filmkit.core.camera import Shot, StageCamera
from filmkit.core.heatmap import Heatmap

COLUMNS, ROWS = 320, 180  # size of the picture in pixels


def picture(shot: Shot, *mobjects: object) -> np.ndarray:
    """Draw mobjects from a shot, (height, width, 4) uint8."""
    camera = StageCamera()
    camera.shot = shot
    camera.reset()
    camera.capture_mobjects(list(mobjects))
    return np.array(camera.pixel_array)


def rays(shot: Shot) -> np.ndarray:
    """Return the vectors (height, width, 3) from the eye through each pixel.

    They end in the plane through the shot's center.
    """
    row, column = np.mgrid[:ROWS, :COLUMNS]
    flat = np.stack([column + 0.5 - COLUMNS / 2, ROWS / 2 - row - 0.5, np.zeros(row.shape)], -1)
    return (flat * shot.height / ROWS) @ shot.rotation() + np.asarray(shot.center) - shot.eye()


def nearest(panels: list[Heatmap], shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Find the panel that the ray through each pixel meets first.

    Returns
    -------
    (height, width)
        Number of the panel; -1 if there is none, -2 at edges, where pixels may mix two colours.
    (height, width)
        Distance of the panel from the eye, in lengths of the ray.
    """
    eye, towards = shot.eye(), rays(shot)
    row = towards[..., 0]
    best, found = np.full(row.shape, np.inf), np.full(row.shape, -1)
    for number, panel in enumerate(panels):
        a, b, _, d = panel.corners
        normal = np.cross(b - a, d - a)
        t = (a - eye) @ normal / (towards @ normal)
        hit = eye + t[..., None] * towards - a
        u = hit @ (b - a) / ((b - a) @ (b - a))
        v = hit @ (d - a) / ((d - a) @ (d - a))
        meets = (t > 0) & (t < best) & (u > 0) & (u < 1) & (v > 0) & (v < 1)
        best[meets], found[meets] = t[meets], number
    return np.where(everywhere_the_same(found), found, -2), best


def everywhere_the_same(image: np.ndarray) -> np.ndarray:
    """Return where all pixels at most two away are equal, (height, width) of bool.

    It is False at the edge of the frame.
    """
    wide = np.pad(image, 2, constant_values=-9)
    near = [wide[i : i + ROWS, j : j + COLUMNS] for i in range(5) for j in range(5)]
    return np.min(near, axis=0) == np.max(near, axis=0)
