"""Where keys and values that several heads share stand beside the stack of heads: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box, Point
from filmkit.mobjects.head_stack_layout import TURN, HeadStackLayout, prism_corners, shot_on

__all__ = ["SharedPlaces"]


Points = npt.NDArray[np.float64]


LINE = 0.045 * FRAME_HEIGHT  # from one line of words to the next


RIGHT_TURN = 24.0


GROUP_TURN = 45.0  # degrees to the side, where several groups have panels


NAME_ROOM = 1.3  # left of what is shared, for the heads that read it, where a frame is not wide


NAME_OVER = 0.2  # how far such a name stands out where it is below


@dataclass(frozen=True)
class SharedPlaces:
    """Where the keys and values that cards share stand, and from where they are seen.

    Attributes
    ----------
    rack
        The rack.
    groups
        The places of each group's cards, from the front.
    """

    head_stack: HeadStackLayout
    groups: tuple[tuple[int, ...], ...]

    @property
    def below(self) -> bool:
        """Whether the heads that read something are named below it, for want of width."""
        return self.head_stack.head.frame.tall

    def panel(self, name: str, group: int) -> tuple[Box, float]:
        """Box and depth of a group's keys ("k") or values ("v")."""
        return self.head_stack.shared(getattr(self.head_stack.head, name), self.groups[group])

    @cached_property
    def _corners(self) -> Points:
        """Of the rack and all that is shared, (n, 3)."""
        corners = [self.head_stack.room]
        for group in range(len(self.groups)):
            for name in ("k", "v"):
                box, z = self.panel(name, group)
                corners.append(prism_corners(box.grown(0.0, HEADER), z, z))
        return np.concatenate(corners)

    @property
    def from_left(self) -> Shot:
        """From the left and above, with all that is shared."""
        # Panels of several groups must not hide each other, which takes a larger turn.
        frame = self.head_stack.head.frame
        turn = TURN if len(self.groups) == 1 else GROUP_TURN
        if frame.wide:
            return shot_on(self._corners, frame, theta=-turn, width=0.8, height=1.0)
        stage = frame.stage
        room = NAME_OVER if frame.tall else NAME_ROOM
        into = Box.of(stage.left + room, stage.right, stage.bottom, stage.top)
        width = into.width / frame.width
        return shot_on(self._corners, frame, theta=-turn, width=width, height=1.0, into=into)

    @property
    def from_right(self) -> Shot:
        """From the right and above: patterns of every head, and what is shared behind them."""
        return shot_on(self._corners, self.head_stack.head.frame, theta=RIGHT_TURN, width=0.8)

    def sentences(self, count: int) -> tuple[Point, ...]:
        """Right ends of lines of words beside the foot of the rack, from the top."""
        x, y = self.head_stack.sentence
        return tuple((x, y + LINE * (count - 1 - line)) for line in range(count))
