"""Read numbers back from a picture with the help of its map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from filmkit.core.norm import Norm, has_name

Pixels = npt.NDArray[np.uint8]
ColourMaps = dict[str, list[str]]

# In a colour map with the background in the middle, both signs begin with the same colours there:
# so many levels from zero, a cell's sign may be lost when a picture is compressed.
SIGNLESS = 16

# Of bars, in pixels: how finely they are looked at, where a front begins at the latest, how wide
# the soft edge at its end is, and by how much it is drawn too long.
STEP, FIRST, EDGE, GROWN = 0.125, 4.0, 1.25, 0.55
OFF = 2.5  # levels by which a front may be off


def cell_centers(panel: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Return the pixel positions (rows, columns, 2) of the cells' centers, in perspective."""
    rows, columns = panel["shape"]
    unit = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float32)
    warp = cv2.getPerspectiveTransform(unit, np.array(panel["corners"], dtype=np.float32))
    down, across = np.mgrid[:rows, :columns] + 0.5
    flat = np.stack([across.ravel(), down.ravel()], axis=1)[None]
    return cv2.perspectiveTransform(flat, warp)[0].reshape(rows, columns, 2)


def cell_size(panel: dict[str, Any]) -> float:
    """Return the smaller side of a cell, in pixels."""
    a, b, c, d = np.array(panel["corners"])
    rows, columns = panel["shape"]
    across = min(np.linalg.norm(b - a), np.linalg.norm(c - d)) / columns
    down = min(np.linalg.norm(d - a), np.linalg.norm(c - b)) / rows
    return float(min(across, down))


def expected(panel: dict[str, Any], trace: Trace) -> npt.NDArray[np.float64]:
    """Return the numbers of the trace that a panel shows, (rows, columns)."""
    index = tuple(slice(*axis) if isinstance(axis, list) else axis for axis in panel["index"])
    values = np.atleast_2d(trace[panel["tensor"]][index].astype(np.float64))
    return values.T if panel["transposed"] else values


def visible_cells(
    panel: dict[str, Any], trace: Trace, picture: Pixels
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the cells of a panel that are visible in a picture.

    Returns
    -------
    (n,)
        Colour level of each visible cell's number in the trace.
    (n, 3)
        Colour of the cell in the picture, RGB.
    """
    values = expected(panel, trace)
    assert list(values.shape) == panel["shape"], panel
    skip = {tuple(cell) for cell in panel["masked"]}
    height, width = picture.shape[:2]
    centers = np.floor(cell_centers(panel)).astype(int)
    levels, colours = [], []
    for (row, column), level in np.ndenumerate(_norm(panel).levels(values)):
        x, y = centers[row, column]
        if (row, column) not in skip and 0 <= x < width and 0 <= y < height:
            levels.append(level)
            colours.append(picture[y, x, :3])
    return np.array(levels, dtype=int), np.array(colours, dtype=int).reshape(-1, 3)


def wrong_cells(
    panel: dict[str, Any],
    maps: ColourMaps,
    trace: Trace,
    picture: Pixels,
    *,
    backing: str = "#000000",
) -> tuple[int, int]:
    """Return the number of visible cells off by more than a colour level, and of all visible.

    ``maps`` are the colour maps of the picture map, as in :func:`level_errors`; ``backing`` is the
    colour on which a panel lies that is not opaque.
    """
    levels, colours = visible_cells(panel, trace, picture)
    under = [int(backing[i : i + 2], 16) for i in (1, 3, 5)]
    opacity = panel["opacity"]
    table = np.rint(_table(panel, maps) * opacity + np.multiply(under, 1 - opacity))
    near = table[np.clip(levels[:, None] + [-1, 0, 1], 0, len(table) - 1)]
    # One more step of each channel for the rounding of premultiplied colours.
    off = np.abs(near - colours[:, None]).max(axis=2).min(axis=1) > 1
    return int(off.sum()), len(levels)


def level_errors(
    panel: dict[str, Any], maps: ColourMaps, trace: Trace, picture: Pixels
) -> npt.NDArray[np.intp]:
    """Return by how many colour levels each visible cell is off, (n,).

    The level of a cell is that of the nearest colour of the colour map; next to a zero that is the
    background, of either sign.
    """
    levels, colours = visible_cells(panel, trace, picture)
    distances = np.square(_table(panel, maps) - colours[:, None]).sum(axis=2)
    read = distances.argmin(axis=1)
    errors = np.abs(read - levels)
    if has_name(panel["cmap"]) or panel["vmin"] >= 0:
        return errors
    last = distances.shape[1] - 1
    near = np.abs(2 * levels - last) < 2 * SIGNLESS
    return np.where(near, np.minimum(errors, np.abs(last - read - levels)), errors)


def heights_of(picture: Pixels, body: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Return the numbers (n,) of the bars of a body, from a still and its entry in the map alone.

    Those that the map calls unread may be anything. The front of a bar is found by its colour, on
    the way from its foot to full scale, above zero and below.
    """
    bars = body["bars"]
    colours = np.array([*bars["colours"]["plus"], *bars["colours"]["minus"]], dtype=float)
    found = []
    for foot, plus, minus in zip(
        *(np.array(bars[end]) for end in ("foot", "plus", "minus")), strict=True
    ):
        above, below = np.linalg.norm([plus - foot, minus - foot], axis=1)
        up = _length(picture, foot, (plus - foot) / above, above, colours)
        down = _length(picture, foot, (minus - foot) / below, below, colours)
        length = up if up >= down else -down
        # Zero and both full scales lie on a line that is seen in perspective.
        bend, stretch = (below - above) / (above + below), 2 * above * below / (above + below)
        found.append(length / (stretch - bend * length))
    return np.array(found) * bars["scale"]


def _length(
    picture: Pixels,
    foot: npt.NDArray[np.float64],
    way: npt.NDArray[np.float64],
    longest: float,
    colours: npt.NDArray[np.float64],
) -> float:
    """Return the length of the front that begins at a foot, in pixels; 0 where there is none.

    Parameters
    ----------
    picture
        The still.
    foot, way : (2,)
        Where the front begins, and its direction.
    longest
        Where it ends at full scale.
    colours : (m, 3)
        Those that it may have.
    """
    steps = np.arange(0.0, longest + FIRST, STEP)
    x, y = (foot + steps[:, None] * way - 0.5).astype(np.float32).T[..., None]
    levels = cv2.remap(picture, x, y, cv2.INTER_LINEAR)[:, 0, :3].astype(float)
    longest_front = 0.0
    for colour in colours:
        is_front = np.abs(levels - colour).max(axis=1) <= OFF
        begin = int(is_front[steps <= FIRST].argmax())
        count = int(is_front[begin:].argmin()) or is_front[begin] * len(steps)
        if count * STEP < 1:
            continue
        # It ends where the picture is half way to what is behind it.
        edge = levels[begin + count : begin + count + round(EDGE / STEP)]
        way_off = edge[-1] - colour if len(edge) else colour
        half = ((edge - colour) @ way_off >= way_off @ way_off / 2).argmax() if len(edge) else 0
        longest_front = max(longest_front, (begin + count + half) * STEP - GROWN)
    return longest_front


def _norm(panel: dict[str, Any]) -> Norm:
    """Return the norm of a panel, from the fields of its map alone."""
    norm = Norm(panel["vmin"], panel["vmax"], panel["cmap"])
    if panel["norm"] == "asinh":
        return replace(norm, linear_width=panel["linear_width"])
    assert (panel["norm"], panel["linear_width"]) == ("linear", None), panel
    return norm


def _table(panel: dict[str, Any], maps: ColourMaps) -> npt.NDArray[np.intp]:
    """Return the colours of a panel, (256, 3), from the map alone: whatever its name means."""
    colours = maps[panel["cmap"]]
    return np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
