"""Layout of keys and values that heads share, beside the stack of heads: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box, Point
from filmkit.mobjects.head_stack_layout import (
    LENS,
    TILT,
    TURN,
    HeadStackLayout,
    prism_corners,
    shot_on,
)

__all__ = ["SharedHeadStackLayout"]


Points = npt.NDArray[np.float64]


LINE = 0.045 * FRAME_HEIGHT  # from one line of text to the next


NAME_ROOM = 1.3  # left of shared panels, for the names of heads


NAME_OVER = 0.2  # the same where these names are below the panels


@dataclass(frozen=True)
class SharedHeadStackLayout:
    """Layout of the keys and values that cards share, and the shots of them.

    Attributes
    ----------
    head_stack
        Layout of the stack.
    groups
        Places in the stack of the cards of each group, from the front.
    """

    head_stack: HeadStackLayout
    groups: tuple[tuple[int, ...], ...]

    @property
    def below(self) -> bool:
        """Whether the names of heads are below the shared panels, for lack of width."""
        return self.head_stack.head.frame.tall

    def panel(self, name: str, group: int) -> tuple[Box, float]:
        """Return the box and z of a group's shared keys ("k") or values ("v")."""
        return self.head_stack.shared(getattr(self.head_stack.head, name), self.groups[group])

    @cached_property
    def _corners(self) -> Points:
        """Corners (n, 3) of the stack and of all shared panels."""
        corners = [self.head_stack.outer_corners]
        for group in range(len(self.groups)):
            for name in ("k", "v"):
                box, z = self.panel(name, group)
                corners.append(prism_corners(box.grown(0.0, HEADER), z, z))
        return np.concatenate(corners)

    @property
    def from_left(self) -> Shot:
        """Shot from the left and above, with all shared panels."""
        frame = self.head_stack.head.frame
        stage = frame.stage
        room = NAME_OVER if self.below else NAME_ROOM
        into = Box.of(stage.left + room, stage.right, stage.bottom, stage.top)
        width = into.width / frame.width
        return shot_on(
            self._corners,
            frame,
            theta=-TURN,
            phi=TILT,
            focal=LENS,
            width=width,
            height=1.0,
            into=into,
        )

    @property
    def from_right(self) -> Shot:
        """Shot from the right and above: patterns of every head, shared panels behind them."""
        return shot_on(
            self._corners,
            self.head_stack.head.frame,
            theta=TURN,
            phi=TILT,
            focal=LENS,
            width=0.9,
            height=1.0,
        )

    def sentences(self, count: int) -> tuple[Point, ...]:
        """Return the right ends of ``count`` lines of text beside the foot of the stack."""
        x, y = self.head_stack.sentence
        return tuple((x, y + LINE * (count - 1 - line)) for line in range(count))
