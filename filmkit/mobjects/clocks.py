"""Clocks whose hands are turned by position, as rotary embeddings turn pairs of channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Circle, Line, VGroup

from filmkit.core.theme import current_theme

__all__ = ["Clock", "Clocks"]

FACE = 0.85  # diameter of a face, as a share of the distance to the next
HAND = 0.88  # length of a hand, as a share of the face's radius


class Clock(VGroup):
    """A clock: a face, and hands that show angles; all point up at first.

    Parameters
    ----------
    diameter
        Of the face, in scene units.
    *colours
        Of the hands.
    """

    def __init__(self, diameter: float, *colours: str) -> None:
        super().__init__()
        theme = current_theme()
        bold = theme.bold if diameter < 1.0 else 1.6 * theme.bold
        self.add(Circle(diameter / 2, stroke_color=theme.faint, stroke_width=theme.line))
        self.add(*(Line(stroke_color=colour, stroke_width=bold) for colour in colours))
        self.turn(*(0.0 for _colour in colours))

    def turn(self, *angles: float) -> None:
        """Let each hand show an angle, from above to the right, in radians."""
        face, *hands = self
        center, length = face.get_center(), HAND * face.width / 2
        for hand, angle in zip(hands, angles, strict=True):
            tip = center + length * np.array([np.sin(angle), np.cos(angle), 0.0])
            hand.put_start_and_end_on(center, tip)


class Clocks(VGroup):
    """Clocks of pairs of channels: one hand for the query, one for the key, both turned.

    Parameters
    ----------
    steps : (pair,)
        By how much each pair turns from one position to the next, in radians.
    positions
        Of the query and of the key.
    columns
        How many stand in a row.
    pitch
        From one clock to the next, in scene units.
    """

    def __init__(
        self,
        steps: npt.NDArray[np.float64],
        positions: Sequence[float],
        *,
        columns: int = 4,
        pitch: float = 1.7,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.steps = steps
        for number in range(len(steps)):
            row, column = divmod(number, columns)
            # The key's hand lies on top: the query's is the one that is seen to leave it.
            clock = Clock(FACE * pitch, theme.query, theme.key)
            self.add(clock.move_to([pitch * column, -pitch * row, 0]))
        self.turn_to(*positions)
        self.move_to([0, 0, 0])

    def turn_to(self, query: float, key: float) -> None:
        """Turn the hands to these positions of the query and of the key."""
        for step, clock in zip(self.steps, self, strict=True):
            clock.turn(step * query, step * key)
