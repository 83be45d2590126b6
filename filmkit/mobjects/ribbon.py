"""Flat bands and arrow heads in a plane of the scene, many of them as one filled path.

A stroke has the same width on screen at any distance. A band gets thinner with distance, as things
in space do, and many bands in one path are drawn faster than many strokes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from manim import VMobject

__all__ = ["filled", "outline_points"]

Points = npt.NDArray[np.float64]


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
    return np.concatenate([np.zeros((0, 3)), *pieces])


def _area(corners: Points) -> float:
    """Return a signed area of a flat polygon (n, 3); its sign is the polygon's orientation.

    It is twice the area of the projection along the coordinate axis nearest to the normal.
    """
    normal = np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0)
    return float(normal[np.abs(normal).argmax()])
