"""Flat bands and arrow heads in a plane of the scene, many of them as one filled path.

A stroke has the same width on screen at any distance. A band gets thinner with distance, as things
in space do, and many bands in one path are drawn faster than many strokes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from manim import VMobject

from filmkit.mobjects.flow import Wire

__all__ = ["band", "filled", "outline_of"]

Points = npt.NDArray[np.float64]

CURVE_STEPS = 4  # straight pieces that approximate a round corner


def band(path: npt.ArrayLike, width: float) -> Points:
    """Return the corners (2n, 2) of a band along a path (n, 2) of straight pieces.

    ``width`` is the width of the band in scene units.
    """
    points = np.asarray(path, dtype=float)
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([-along[:, 1], along[:, 0]], axis=1)
    first, second = np.vstack([side[:1], side]), np.vstack([side, side[-1:]])
    miter = first + second
    miter /= 1 + np.sum(first * second, axis=1, keepdims=True)
    half = miter * width / 2
    return np.concatenate([points + half, (points - half)[::-1]])


def outline_of(wire: Wire, width: float) -> list[Points]:
    """Return a wire as polygons (n, 2): a band of a width, and the arrow head if it has one."""
    points = wire.line.points
    path = [points[0, :2]]
    for curve in points.reshape(-1, 4, 3)[:, :, :2]:
        if np.linalg.norm(curve[3] - curve[0]) < 1e-9:
            continue
        (x, y), (u, v) = curve[1] - curve[0], curve[3] - curve[0]
        straight = abs(x * v - y * u) < 1e-9
        for t in [1.0] if straight else np.linspace(0, 1, CURVE_STEPS + 1)[1:]:
            path.append(
                (1 - t) ** 3 * curve[0]
                + 3 * t * (1 - t) ** 2 * curve[1]
                + 3 * t**2 * (1 - t) * curve[2]
                + t**3 * curve[3]
            )
    polygons = [band(path, width)]
    if wire.tip is not None:
        polygons.append(wire.tip.points[[0, 4, 8], :2])
    return polygons


def filled(polygons: list[Points], colour: str, opacity: float = 1.0) -> VMobject:
    """Return one mobject that fills polygons.

    Parameters
    ----------
    polygons
        Corners of each, (n, 2) in the plane z = 0 or (n, 3). They may overlap: all get the same
        orientation, so that none cuts a hole into another.
    colour
        "#RRGGBB".
    opacity
        0 to 1.
    """
    shape = VMobject(fill_color=colour, fill_opacity=opacity, stroke_width=0.0)
    shape.set_points(outline_points(polygons))
    return shape


def outline_points(polygons: list[Points]) -> Points:
    """Return the points (n, 3) of a path along polygons, all with the same orientation.

    Polygons are as for :func:`filled`; their edges become straight cubic curves.
    """
    pieces = []
    for polygon in polygons:
        corners = np.zeros((len(polygon), 3))
        corners[:, : polygon.shape[1]] = polygon
        if _area(corners) < 0:
            corners = corners[::-1]
        ends = np.roll(corners, -1, axis=0)
        thirds = (ends - corners) / 3
        curves = np.stack([corners, corners + thirds, ends - thirds, ends], axis=1)
        pieces.append(curves.reshape(-1, 3))
    return np.concatenate(pieces)


def _area(corners: Points) -> float:
    """Return a signed area of a flat polygon (n, 3); its sign is the polygon's orientation.

    It is twice the area of the projection along the coordinate axis nearest to the normal.
    """
    normal = np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0)
    return float(normal[np.abs(normal).argmax()])
