"""Solids that stand in the room, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Mobject

from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.seats import shot_of

__all__ = ["SIDES", "TILT", "TURN", "UPRIGHT_TILT", "UPRIGHT_TURN", "Pose", "Solid"]

Array = npt.NDArray[np.float64]
Point = tuple[float, float, float]

TURN, TILT = 36.0, 13.0  # direction of the shots, in degrees
UPRIGHT_TURN, UPRIGHT_TILT = 50.0, 17.0  # the same in frames that are no wider than high
FRONT = ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 0))
FACE = ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1), (1, 0, 0))
TOP = ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0))
SIDES = FRONT, FACE, TOP
"""The three sides of a solid that are seen from the right and above, as corners: by shares of
its thickness, its height and its depth."""


@dataclass(frozen=True)
class Pose:
    """Where a solid stands, and its size.

    Attributes
    ----------
    at : (3,)
        The middle of its foot.
    turn
        Where its face looks, in degrees: 0 to the right, 90 to the viewer.
    thick, height, depth
        Its size: from the back of the face to the face, up, and along the rows of the face.
    """

    at: Point
    turn: float
    thick: float
    height: float
    depth: float

    def mix(self, other: Pose, alpha: float) -> Pose:
        """Return the pose at ``alpha``, 0 to 1, of the way to another one."""
        one, two = ((*pose.at, pose.turn, *pose.size) for pose in (self, other))
        x, y, z, turn, *size = ((1 - alpha) * a + alpha * b for a, b in zip(one, two, strict=True))
        return Pose((x, y, z), turn, *size)

    @property
    def size(self) -> tuple[float, float, float]:
        """Thickness, height and depth."""
        return self.thick, self.height, self.depth

    def corner(self, out: float, up: float, along: float) -> Array:
        """Return a point (3,) by shares, 0 to 1: from back to face, up, and along the rows."""
        turn = np.radians(self.turn)
        normal = np.array([np.cos(turn), 0.0, np.sin(turn)])
        rows = np.array([np.sin(turn), 0.0, -np.cos(turn)])
        flat = (out - 0.5) * self.thick * normal + (along - 0.5) * self.depth * rows
        return np.asarray(np.array(self.at) + flat + [0.0, up * self.height, 0.0])

    @property
    def corners(self) -> Array:
        """Its eight corners, (8, 3)."""
        return np.array([self.corner(*p) for p in np.ndindex(2, 2, 2)])


class Solid(Group):
    """A body that stands in the room.

    Attributes
    ----------
    pose
        Where it stands, and its size.
    """

    pose: Pose

    @property
    def corners(self) -> Array:
        """Its corners in the scene, (n, 3)."""
        return self.pose.corners

    def stand(self, pose: Pose) -> Self:
        """Put it somewhere, with a size, and return it."""
        raise NotImplementedError

    def move(self, pose: Pose, **kwargs: Any) -> Animation:
        """Return an animation in which it goes to another place and size, and turns on its way."""
        start = self.pose
        return AnimateWith(self, lambda alpha: self.stand(start.mix(pose, alpha)), **kwargs)

    def shot(
        self,
        frame: Frame,
        *others: Solid,
        into: Box | None = None,
        words: Sequence[Mobject] = (),
    ) -> Shot:
        """Return the shot from the right and above that shows it as large as possible.

        Parameters
        ----------
        frame
            The frame.
        *others
            Solids that are to be seen too.
        into
            Box of the frame that is filled; its free part by default.
        words
            Words that are in it too, as for :func:`~filmkit.core.seats.shot_of`.
        """
        corners = [solid.corners for solid in (self, *others)]
        turn, tilt = (UPRIGHT_TURN, UPRIGHT_TILT) if frame.upright else (TURN, TILT)
        return shot_of(np.concatenate(corners), frame, into=into, turn=turn, tilt=tilt, words=words)
