"""Reading numbers back from a picture through its map."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from scenes.mobjects.heatmap import Norm, colour_table

Pixels = npt.NDArray[np.uint8]


def cell_centers(panel: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Pixel positions (rows, columns, 2) of the cells' centers, through the perspective."""
    rows, columns = panel["shape"]
    unit = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float32)
    warp = cv2.getPerspectiveTransform(unit, np.array(panel["corners"], dtype=np.float32))
    down, across = np.mgrid[:rows, :columns] + 0.5
    flat = np.stack([across.ravel(), down.ravel()], axis=1)[None]
    return cv2.perspectiveTransform(flat, warp)[0].reshape(rows, columns, 2)


def cell_size(panel: dict[str, Any]) -> float:
    """The smaller side of a cell, in pixels."""
    a, b, c, d = np.array(panel["corners"])
    rows, columns = panel["shape"]
    across = min(np.linalg.norm(b - a), np.linalg.norm(c - d)) / columns
    down = min(np.linalg.norm(d - a), np.linalg.norm(c - b)) / rows
    return float(min(across, down))


def expected(panel: dict[str, Any], trace: Trace) -> npt.NDArray[np.float64]:
    """The numbers that a panel of a tensor shows, [rows, columns]."""
    index = tuple(slice(*axis) if isinstance(axis, list) else axis for axis in panel["index"])
    values = np.atleast_2d(trace[panel["tensor"]][index].astype(np.float64))
    return values.T if panel["transposed"] else values


def wrong_cells(
    panel: dict[str, Any], trace: Trace, picture: Pixels, *, levels: int = 1
) -> tuple[int, int]:
    """How many visible cells differ by more than some colour levels, and how many were read."""
    values = expected(panel, trace)
    assert list(values.shape) == panel["shape"], panel
    norm = Norm(panel["vmin"], panel["vmax"], panel["cmap"])
    table = colour_table(norm.cmap).astype(int)
    skip = {tuple(cell) for cell in (*panel["masked"], *panel["hidden"])}
    height, width = picture.shape[:2]
    centers = np.floor(cell_centers(panel)).astype(int)
    wrong = read = 0
    for (row, column), level in np.ndenumerate(norm.levels(values)):
        x, y = centers[row, column]
        if (row, column) in skip or not (0 <= x < width and 0 <= y < height):
            continue
        seen = picture[y, x, :3].astype(int)
        near = table[max(0, int(level) - levels) : int(level) + levels + 1]
        # One more step of each channel for the rounding of premultiplied colours.
        wrong += bool(np.abs(near - seen).max(axis=1).min() > 1)
        read += 1
    return wrong, read
