"""Seats: named places of the camera from which things in the room are seen.

A seat says from where, with which lens, and where in the frame: rows run along a diagonal, and what
is seen fills three quarters of the frame, off its centre. A picture names its seat, or leaves that
to :func:`default_seat`::

    self.play(self.see_from("orchestra", row, relief))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from manim import DL, UR, Mobject

from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame

__all__ = ["SEATS", "Seat", "default_seat", "seat_shot", "shot_of"]

LENS = 2.4  # of a shot that is not taken from a seat
SIDES = np.arange(2)  # across, and up
ROUNDS = 40  # in which the place of the eye settles
LEAST = 0.1  # share of a box that is filled at least, and how near the eye is, in scene units
FILLED = 0.75**0.5  # of the frame's width and height: together three quarters of the frame
TALL_TURN, TALL_TILT = 0.8, 20.0  # share of a seat's turn, and by how much it is higher
STEEPEST = 75.0  # tilt of a seat, in degrees
DEEP = 0.5  # depth from which on things are deep, as a share of their width or height


@dataclass(frozen=True)
class Seat:
    """A direction from which the camera looks, its lens, and where in the frame things are seen.

    Attributes
    ----------
    turn, tilt
        From how far to the right and above, in degrees, as ``theta`` and ``phi`` of a
        :class:`~filmkit.core.camera.Shot`.
    lens
        Its lens, as ``focal`` of a shot: seats have short ones, with which near things are large.
    place
        Where what is seen is in the room that it leaves free: (-1, -1) is the lower left corner.
    """

    turn: float
    tilt: float
    lens: float
    place: tuple[float, float]

    def direction(self, *, tall: bool) -> tuple[float, float]:
        """Return its turn and its tilt; in tall frames it looks more from above."""
        if not tall:
            return self.turn, self.tilt
        return TALL_TURN * self.turn, min(STEEPEST, self.tilt + TALL_TILT)


SEATS = {
    "bench": Seat(-18, 12, 1.2, (0.5, -0.6)),
    "stand": Seat(-14, 34, 1.3, (0.5, -0.4)),
    "orchestra": Seat(-16, 17, 1.2, (0.3, -0.6)),
    "table": Seat(-22, 26, 1.3, (0.5, -0.5)),
    "balcony": Seat(16, 30, 1.3, (-0.3, -0.5)),
    "gallery": Seat(-27, 38, 1.2, (0.4, -0.4)),
    "bird": Seat(8, 56, 1.1, (0.3, -0.3)),
    "circle": Seat(-9, 4, 2.4, (0.3, -0.5)),
    "stalls": Seat(-14, 3, 1.1, (0.6, -0.7)),
    "shoulder": Seat(20, 8, 1.0, (-0.5, -0.6)),
}
"""All seats by their names, from a workbench that is almost level to the back of a word."""


def default_seat(points: npt.ArrayLike) -> str:
    """Return the name of the seat from which points (n, 3) of the room are well seen.

    Deep things are seen from before an orchestra, tall flat ones from the stalls, and low wide ones
    from a workbench.
    """
    wide, high, deep = np.ptp(np.asarray(points, dtype=float), axis=0).tolist()
    if deep > DEEP * max(wide, high):
        return "orchestra"
    return "stalls" if high > wide else "bench"


def seat_shot(
    name: str | Seat,
    points: npt.ArrayLike,
    frame: Frame,
    *,
    into: Box | None = None,
    words: Sequence[Mobject] = (),
) -> Shot:
    """Return the shot from a seat in which points of the room fill three quarters of the frame.

    Parameters
    ----------
    name
        Name of the seat, one of :data:`SEATS`; "" for that of :func:`default_seat`. Or a seat of
        your own.
    points : (n, 3)
        What is seen, such as the corners of bodies.
    frame
        The frame.
    into
        Its part that may be filled; all that is free by default.
    words
        Words that are in it too, as for :func:`shot_of`.

    Raises
    ------
    SceneCodeError
        If there is no such seat, or nothing to be seen.
    """
    if name and not isinstance(name, Seat) and name not in SEATS:
        raise SceneCodeError(f"there is no seat {name!r}; take of {', '.join(SEATS)}")
    if not np.size(points):
        raise SceneCodeError("from a seat nothing is seen; add bodies to the scene, or name some")
    seat = name if isinstance(name, Seat) else SEATS[name or default_seat(points)]
    room = into or frame.free
    # Half of what is left at the sides.
    dx = max(0.0, room.width - FILLED * frame.width) / 2
    dy = max(0.0, room.height - FILLED * frame.height) / 2
    # Tall frames are filled from side to side: what is left is as high above as below.
    place = (seat.place[0], 0.0) if frame.tall else seat.place
    filled = room.inset(dx, dy).moved(place[0] * dx, place[1] * dy)
    turn, tilt = seat.direction(tall=frame.tall)
    where = {"turn": turn, "tilt": tilt, "lens": seat.lens}
    return shot_of(points, frame, into=filled, place=place, words=words, **where)


def shot_of(
    points: npt.ArrayLike,
    frame: Frame,
    *,
    into: Box | None = None,
    turn: float,
    tilt: float,
    lens: float = LENS,
    place: tuple[float, float] = (0.0, 0.0),
    words: Sequence[Mobject] = (),
) -> Shot:
    """Return the shot in which points (n, 3) of the room fill a box of the frame.

    Parameters
    ----------
    points, frame
        The points, and the frame.
    into
        The box; the free part of the frame by default.
    turn, tilt
        From how far to the right and above, in degrees.
    lens
        Distance of the eye, in heights of the shot.
    place
        Where they are in the box if they do not fill it: (-1, -1) is its lower left corner, and
        (0, 0) its middle.
    words
        Words that stand upright at points of the room and are in the box too; see
        :func:`filmkit.core.camera.keep_upright`.
    """
    into, zoom = into or frame.free, lens * frame.height
    points = np.array([*np.asarray(points, dtype=float), *(word.anchor for word in words)])
    # How far each reaches in the frame from its point: words do, to the left and below and to the
    # right and above; what else is seen does not.
    before, beyond = np.zeros((2, len(points), 2))
    for row, word in enumerate(words, len(points) - len(words)):
        before[row], beyond[row] = word.get_corner(DL)[:2], word.get_corner(UR)[:2]
    # Between which slopes each may be seen.
    start = ([into.left, into.bottom] - before).T / zoom
    stop = ([into.right, into.top] - beyond).T / zoom
    axes = Shot(theta=turn, phi=tilt).rotation()
    x, y, z = points.T
    seen = np.array([a * x + b * y + c * z for a, b, c in axes.tolist()])
    flat, depth = seen[:2], seen[2]
    # From how far: each point is a line that the eye, which sees it there, may not cross. From too
    # near these lines overlap; each round goes to where the two meet that overlap most.
    away = depth.max() + LEAST
    for _ in range(ROUNDS):
        lows, highs = flat + stop * (depth - away), flat + start * (depth - away)
        apart = lows.max(axis=1) - highs.min(axis=1)
        width = stop[SIDES, lows.argmax(axis=1)] - start[SIDES, highs.argmin(axis=1)]
        away += max(0.0, (apart / np.maximum(width, LEAST * into.width / zoom)).max())
    # Whence: what is not filled is shared as the place says.
    low, high = lows.max(axis=1), highs.min(axis=1)
    shares = np.array(place)
    for _ in range(ROUNDS):
        eye = (low + high) / 2
        at = (flat - eye[:, None]) / (away - depth)
        free = (at - start).min(axis=1) * (1 - shares) > (stop - at).min(axis=1) * (1 + shares)
        low, high = np.where(free, eye, low), np.where(free, high, eye)
    middle = (depth.min() + depth.max()) / 2
    x, y, z = (eye[0] * axes[0] + eye[1] * axes[1] + middle * axes[2]).tolist()
    return Shot((x, y, z), float(away - middle) / lens, turn, tilt, lens)
