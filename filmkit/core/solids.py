"""How bodies come into a picture: which part hides which, and the faces that are seen.

Parts are painted from far to near. A part can hide another only if no plane has it on the far side
of the other: such planes are looked for between their bounding boxes. So what is painted first
changes only between parts that do not overlap, and no picture of a moving camera flickers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from manim import Mobject

from filmkit.core.body import Body

__all__ = [
    "GLOW",
    "LIT_SHADES",
    "SHADES",
    "clipped",
    "faces_of",
    "far_first",
    "fill",
    "hosts_of",
    "in_depth",
]

P = TypeVar("P", bound=Mobject)
Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

SHADES = np.array([0.55, 0.75, 1.0])
"""Share of its light that a face has which looks along each axis of a body: right, up, near."""

LIT_SHADES = np.array([0.45, 0.72, 1.0])
"""The same where there are lamps."""

GLOW = np.array([0.65, 1.0, 0.8])
"""The same of a body that is light itself: it lies on the floor and is seen from above."""

SUBPIXELS = 16  # per pixel, in which corners of faces are placed
FARTHEST = 16000  # from the middle of the picture, in pixels, where faces are cut off
SAME = 1e-6  # in scene units; what is nearer lies in one plane


def in_depth(parts: Sequence[P], eye: Array, is_fixed: Any) -> list[P]:
    """Return parts of a picture in the order in which they are painted, if there are bodies.

    What lies on a body follows it. What has a place in the frame, not in the room, comes after all
    that has the same z index; where no body has that, the order stays as it is.

    Parameters
    ----------
    parts
        All of them, in the order of the scene, by z index.
    eye : (3,)
        Where they are seen from.
    is_fixed
        Called with a part: whether it has its place in the frame.
    """
    hosts = hosts_of(parts)
    # In the order of the body, however they came to the scene.
    lying: dict[Body, list[P]] = {body: [] for body in hosts.values()}
    number = {part: place for body in lying for place, part in enumerate(body.lying)}
    for part in sorted((p for p in parts if p in hosts), key=lambda p: (p.z_index, number[p])):
        if not _looks_away(part, hosts[part], eye):
            lying[hosts[part]].append(part)
    free = [part for part in parts if part not in hosts]
    painted: list[P] = []
    for _z, level in groupby(free, key=lambda part: part.z_index):
        group = [*level]
        if not any(isinstance(part, Body) for part in group):
            painted += group
            continue
        fixed = [part for part in group if is_fixed(part)]
        placed = [part for part in group if not is_fixed(part)]
        order = far_first(placed, eye) if placed else []
        for part in (*(placed[i] for i in order), *fixed):
            painted += [part, *lying.get(part, ())]
    return painted


def hosts_of(parts: Iterable[Mobject]) -> dict[Mobject, Body]:
    """Return the body that each part lies on; what lies on none is left out."""
    hosts: dict[Mobject, Body] = {}
    for part in parts:
        if isinstance(part, Body) and part not in hosts:
            hosts.update(dict.fromkeys(part.lying, part))
    return hosts


def _looks_away(part: Mobject, host: Body, eye: Array) -> bool:
    """Return whether a part lies on a side of a solid body that an eye (3,) does not see."""
    if host.is_folded:
        return False
    own = host.within(part.corners if isinstance(part, Body) else part.points)
    least, most, seen_from = own.min(axis=0), own.max(axis=0), host.within(eye)
    low, high = host.extent
    near_high = (least > high - SAME) & (most < high + SAME) & (seen_from < high)
    near_low = (least > low - SAME) & (most < low + SAME) & (seen_from > low)
    return bool(((near_high | near_low) & (high - low > SAME)).any())


def far_first(parts: Sequence[Mobject], eye: Array) -> list[int]:
    """Return the numbers of parts from far to near, as seen by an eye (3,)."""
    corners = [part.corners if isinstance(part, Body) else part.points for part in parts]
    low = np.array([each.min(axis=0) for each in corners])
    high = np.array([each.max(axis=0) for each in corners])
    # Of each pair: whether a plane has the first on the eye's side of it and the second beyond.
    before = (low[:, None] >= high - SAME) & (eye >= high - SAME)
    before |= (high[:, None] <= low + SAME) & (eye <= low + SAME)
    hides = ~before.any(axis=2).T  # of each pair: whether the first may hide the second
    # Where bounding boxes cross, bodies go by their distance; all else stays as it was added.
    apart = (((low + high) / 2 - eye) ** 2).sum(axis=1)
    number = np.arange(len(parts))
    bodies = np.array([isinstance(part, Body) for part in parts])
    nearer = apart[:, None] < apart
    later = number[:, None] > number
    hides &= ~hides.T | np.where(bodies[:, None] | bodies, nearer, later)
    np.fill_diagonal(hides, False)
    waits, left, order = hides.sum(axis=1), np.ones(len(parts), dtype=bool), []
    for _part in parts:
        # Of those that hide nothing that is left, the first; in a ring of them, the farthest.
        ready = np.flatnonzero(left & (waits == 0))
        next_one = int(ready[0]) if len(ready) else int(np.argmax(np.where(left, apart, -1.0)))
        order.append(next_one)
        left[next_one] = False
        waits = waits - hides[:, next_one]
    return order


def faces_of(body: Body, eye: Array, shades: Array) -> tuple[Array, Array]:
    """Return the faces of a body that an eye (3,) sees, from far to near.

    Parameters
    ----------
    body, eye
        The body, and where it is seen from.
    shades : (3,)
        Share of its light that a face has which looks along each axis of the body.

    Returns
    -------
    (n, 4, 3), (n, 3)
        Corners in the scene, and RGB, 0 to 255.
    """
    quads, colours = body.at(body.quads), body.quad_colours
    if not len(body.boxes):
        return quads, colours
    if body.is_folded:
        return np.zeros((0, 4, 3)), np.zeros((0, 3))
    own = body.within(eye)
    boxes = body.boxes
    apart = np.abs(boxes.mean(axis=1) - own)
    layers = body.layers if own[1] > 0 else -body.layers
    order = np.lexsort((-apart[:, 0], -apart[:, 2], layers))
    low, high = boxes[order, 0], boxes[order, 1]
    over, under = own > high, own < low
    seen = (over | under) & _has_area(high - low)
    faces = np.empty((len(boxes), 3, 4, 3))
    level = np.where(over, high, low)
    for axis, (u, v) in enumerate(((2, 1), (0, 2), (0, 1))):
        faces[:, axis, :, axis] = level[:, axis, None]
        faces[:, axis, :, u] = np.stack([low[:, u], high[:, u], high[:, u], low[:, u]], axis=1)
        faces[:, axis, :, v] = np.stack([low[:, v], low[:, v], high[:, v], high[:, v]], axis=1)
    shaded = body.colours[order, None] * np.sqrt(shades)[:, None]
    return (
        np.concatenate([body.at(faces[seen]), quads]),
        np.concatenate([shaded[seen], colours]),
    )


def _has_area(sizes: Array) -> npt.NDArray[np.bool_]:
    """Return which of the three faces of boxes of some sizes (n, 3) are more than a line."""
    some = sizes > SAME
    return np.stack(
        [some[:, 1] & some[:, 2], some[:, 0] & some[:, 2], some[:, 0] & some[:, 1]], axis=1
    )


def clipped(polygon: Array, depths: Array, limit: float) -> Array:
    """Return the part (m, k) of a polygon (n, k) where depths (n,) are at most a limit."""
    corners = []
    for (a, here), (b, there) in pairwise(
        zip([*polygon, polygon[0]], [*depths, depths[0]], strict=True)
    ):
        if here <= limit:
            corners.append(a)
        if (here <= limit) != (there <= limit):
            corners.append(a + (b - a) * ((limit - here) / (there - here)))
    return np.array(corners).reshape(-1, polygon.shape[1])


def fill(picture: Pixels, polygons: Sequence[Array], colours: Array, opacity: float = 1.0) -> None:
    """Draw polygons, in this order, over a picture.

    Parameters
    ----------
    picture : (height, width, 4)
        RGBA, uint8, premultiplied; changed in place.
    polygons : (n, 2) each
        Corners in pixels, from the top left.
    colours : (m, 3)
        RGB, 0 to 255.
    opacity
        Of all of them together, 0 to 1: nothing is seen through them of each other.
    """
    corners = np.concatenate([np.zeros((0, 2)), *polygons])
    middle = np.array(picture.shape[1::-1]) / 2
    if np.abs(corners - middle).max(initial=0.0) > FARTHEST:
        polygons = [_within(polygon - middle) + middle for polygon in polygons]
        corners = np.concatenate(polygons)
    # Of faces behind the eye, or far outside of the picture, no corner is left.
    if not len(corners):
        return
    # OpenCV has the centers of pixels at whole numbers.
    places = np.rint((corners - 0.5) * SUBPIXELS).astype(np.int32)
    ends = np.cumsum([0, *map(len, polygons)]).tolist()
    paints = np.rint(np.insert(colours, 3, 255.0, axis=1)).tolist()
    region = picture[:0]
    if opacity < 1:
        size = np.array(picture.shape[1::-1])
        left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, size).tolist()
        right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, 0, size).tolist()
        region = picture[top:bottom, left:right]
    before = region.copy()
    for (start, end), paint in zip(pairwise(ends), paints, strict=True):
        if end - start > 2:
            outline = places[start:end]
            cv2.fillConvexPoly(picture, outline, paint, cv2.LINE_AA, SUBPIXELS.bit_length() - 1)
    if region.size:
        cv2.addWeighted(region, opacity, before, 1 - opacity, 0, dst=region)


def _within(polygon: Array) -> Array:
    """Return a polygon (n, 2) without what lies farther off than OpenCV can draw."""
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        if len(polygon):
            polygon = clipped(polygon, sign * polygon[:, axis], FARTHEST)
    return polygon
