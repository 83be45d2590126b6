"""Light on the floor, the plane y = 0: cast by lamps, and kept off by bodies.

It is computed for each point of the floor that is seen, with products, quotients and roots only,
whose bits are the same on every processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from filmkit.core.body import Body, Lamp
from filmkit.core.camera import NEAREST, Shot, presence
from filmkit.core.solids import clipped, fill

__all__ = ["cast_light", "contact_shadows"]

Reals = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

REFLECTANCE = 0.32  # share of a lamp's light that the floor gives back
DEEP = 0.82  # share of a lamp's light that a shadow takes
CONTACT = 0.3  # the same of daylight, under a body that stands on the floor
WIDER = 0.08  # by which such a shadow is wider than its body, in scene units
LIFTED = 0.6  # height at which a body throws no such shadow any more
LOWEST = 0.05  # place of a lamp's light above the floor, in scene units
LONGEST = 12.0  # of a shadow, in heights of its lamp
WHOLE = 255.0**2  # light of the highest level


def cast_light(
    shot: Shot, lamps: Sequence[Lamp], bodies: Sequence[Body], size: tuple[int, int], height: float
) -> Reals:
    """Return the light on the floor, (rows, columns, 3), where a level of 255 has 255².

    Parameters
    ----------
    shot
        What the camera sees.
    lamps, bodies
        What casts light, and what throws shadows.
    size
        Rows and columns of the picture.
    height
        Of the frame, in scene units.
    """
    x, z, seen = _floor_seen(shot, size)
    total = np.zeros((*size, 3), dtype=np.float32)
    for lamp in lamps:
        at_x, at_y, at_z = lamp.points[0].astype(np.float32)
        at_y = np.maximum(at_y, np.float32(LOWEST))
        square = (x - at_x) ** 2 + (z - at_z) ** 2 + at_y * at_y
        fall = 1 + square * np.float32(1 / lamp.radius**2)
        root = np.sqrt(fall)
        power = at_y / np.sqrt(square) / (fall * root * np.sqrt(root)) * seen
        power *= 1 - np.float32(DEEP / 255) * _shadows(shot, lamp, bodies, size, height)
        for channel, level in enumerate((lamp.rgb / 255).astype(np.float32) ** 2):
            strength = np.float32(REFLECTANCE * WHOLE * presence(lamp)) * level
            total[..., channel] += power * strength
    return np.rint(total)


def contact_shadows(
    shot: Shot, bodies: Sequence[Body], size: tuple[int, int], height: float
) -> Reals:
    """Return which share of daylight is left on the floor under bodies, (rows, columns)."""
    mask = np.zeros((*size, 4), dtype=np.uint8)
    for body in bodies:
        corners = body.corners
        near = presence(body) * max(0.0, 1 - max(0.0, float(corners[:, 1].min())) / LIFTED)
        out = np.sign(corners - corners.mean(axis=0)) * WIDER
        _shade(mask, shot, (corners + out) * [1.0, 0.0, 1.0], near, height)
    return 1 - np.float32(CONTACT / 255) * _softened(mask)


def _floor_seen(shot: Shot, size: tuple[int, int]) -> tuple[Reals, Reals, Reals]:
    """Return the places x and z of the floor that pixels show, and where they show it, as 1."""
    rows, columns = size
    unit = np.float32(shot.height / rows)
    across = (np.arange(columns, dtype=np.float32) + np.float32((1 - columns) / 2)) * unit
    above = (np.float32((rows - 1) / 2) - np.arange(rows, dtype=np.float32)[:, None]) * unit
    right, up, near = shot.rotation().astype(np.float32)
    ahead = np.float32(-shot.focal * shot.height)
    eye = shot.eye().astype(np.float32)
    x, y, z = (across * right[k] + above * up[k] + ahead * near[k] for k in range(3))
    seen = (y < 0) if eye[1] > 0 else np.zeros_like(y, dtype=bool)
    length = np.where(seen, -eye[1] / np.where(seen, y, -1), 0)
    return eye[0] + x * length, eye[2] + z * length, seen.astype(np.float32)


def _shadows(
    shot: Shot, lamp: Lamp, bodies: Sequence[Body], size: tuple[int, int], height: float
) -> Reals:
    """Return how much of a lamp's light bodies keep off the floor, 0 to 255."""
    mask = np.zeros((*size, 4), dtype=np.uint8)
    at = lamp.points[0]
    for body in sorted(bodies, key=presence):
        corners = body.corners
        below = np.maximum(at[1] - corners[:, 1], at[1] / LONGEST)[:, None]
        _shade(mask, shot, at + (corners - at) * (at[1] / below), presence(body), height)
    return _softened(mask)


def _shade(mask: Pixels, shot: Shot, spots: Array, strength: float, height: float) -> None:
    """Draw the hull of spots (n, 3) on the floor, as it is seen, in the first plane of a mask."""
    hull = cv2.convexHull(spots[:, [0, 2]].astype(np.float32))[:, 0].astype(np.float64)
    outline = np.stack([hull[:, 0], np.zeros(len(hull)), hull[:, 1]], axis=1)
    depth = shot.project(outline, height)[:, 2]
    outline = clipped(outline, depth, (1 - 2 * NEAREST) * shot.focal * shot.height)
    if len(outline) < 3:
        return
    rows, columns = mask.shape[:2]
    x, y, _near = shot.project(outline, height).T * (rows / height)
    places = np.stack([columns / 2 + x, rows / 2 - y], axis=1)
    fill(mask, [places], np.full((1, 3), 255 * strength))


def _softened(mask: Pixels) -> Reals:
    """Return the first plane of a mask, blurred, 0 to 255."""
    soft = cv2.extractChannel(mask, 0).astype(np.float32)
    side = max(3, mask.shape[0] // 90 * 2 + 1)
    for _ in range(2):
        soft = np.asarray(
            cv2.boxFilter(soft, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        )
    return soft * np.float32(1 / side**4)
