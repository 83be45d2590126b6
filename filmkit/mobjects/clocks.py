"""Clocks whose hands are turned by position, as rotary embeddings turn pairs of channels."""

from __future__ import annotations

import numpy as np
from manim import Circle, Line, VGroup

from filmkit.core.theme import current_theme

__all__ = ["Clock"]

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
