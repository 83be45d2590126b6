"""How a flat picture stands in the room: on a pane of glass, or laid on the floor.

The picture is arranged as in any other frame, and then laid there as a whole: its sides keep their
ratios. What belongs to a part with cells lies on a sheet of its own, a body of the room, which
lamps light as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from manim import Mobject

from filmkit.core.body import Body
from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.core.seats import SEATS, shot_of
from filmkit.core.theme import current_theme

__all__ = ["FLOOR", "GLASS", "Standing", "seat_of"]

Array = npt.NDArray[np.float64]

GLASS, FLOOR = "glass", "floor"

SEATS_BY_DEFAULT = {GLASS: "bench", FLOOR: "bird"}
LONG = 2.4  # lens with which far words can be read
LESS = 0.6  # share of a seat's turn from which glass is seen


class Standing:
    """How the plane of a flat picture lies in the room.

    Parameters
    ----------
    how
        "glass": it stands upright, with its foot on the floor; "floor": it lies there, with its
        upper side away from the eye, and its middle in the middle of the room.
    pieces
        All mobjects of the picture that are laid there, flat as they were made.

    Raises
    ------
    SceneCodeError
        If it is something else.
    """

    def __init__(self, how: str, pieces: Iterable[Mobject]) -> None:
        if how not in (GLASS, FLOOR):
            raise SceneCodeError(
                f'stands={how!r}; choose {GLASS!r}, {FLOOR!r}, or "" for a flat picture'
            )
        self.how = how
        members = [member for piece in pieces for member in piece.get_family()]
        points = np.concatenate([member.points for member in members])
        self.plan = Box.between(points.min(axis=0), points.max(axis=0))
        for member in members:
            member.points = self.at(member.points)

    def at(self, points: Array) -> Array:
        """Return where points (n, 3) of the flat picture are in the room."""
        x, y, z = points.T
        if self.how == GLASS:
            return np.stack([x, y - self.plan.bottom, z], axis=1)
        return np.stack([x, z, self.plan.y - y], axis=1)

    def box(self, plan: Box) -> Box:
        """Return where a box of the flat picture is on glass; on the floor none is."""
        return plan.moved(dy=-self.plan.bottom) if self.how == GLASS else plan

    def corners(self, plan: Box) -> Array:
        """Return where the corners (4, 3) of a box are: at the lower left, right, upper, left."""
        left, right, bottom, top = plan.left, plan.right, plan.bottom, plan.top
        flat = [[left, bottom, 0], [right, bottom, 0], [right, top, 0], [left, top, 0]]
        return self.at(np.array(flat))

    def pane(self, plan: Box, carried: Iterable[Mobject]) -> Body:
        """Return the sheet under the cells of a part, which carries all that belongs to it.

        Parameters
        ----------
        plan
            The box of the cells in the flat picture.
        carried
            What lies on it.
        """
        origin, right, _opposite, up = self.corners(plan)
        near = self.at(np.array([[0.0, 0.0, 1.0]])) - self.at(np.zeros((1, 3)))
        sheet = [(0, 0, 0), (1, 1, 0)]
        pane = Body([sheet], current_theme().card, shadow=self.how == GLASS)
        pane.points = np.array([origin, right, up, origin + near[0]])
        pane.carried = tuple(carried)
        return pane


def seat_of(standing: Standing, frame: Frame, room: Box, seat: str) -> Shot:
    """Return the shot of a picture that stands, from a seat of the camera.

    Parameters
    ----------
    standing
        How it stands.
    frame, room
        The frame, and the part of it that the picture fills.
    seat
        The seat's name; "" for the one from which such pictures are seen by default.
    """
    if (name := seat or SEATS_BY_DEFAULT[standing.how]) not in SEATS:
        raise SceneCodeError(f"there is no seat {seat!r}; take of {', '.join(SEATS)}")
    one, points = SEATS[name], standing.corners(standing.plan)
    # It is arranged for the shape of the frame already. What stands is turned less, so that the
    # words at its far side are hardly smaller.
    turn = one.turn * (LESS if standing.how == GLASS else 1)
    return shot_of(points, frame, into=room, turn=turn, tilt=one.tilt, lens=LONG)
