"""Titles: the short name of a picture, at a constant, quiet place."""

from __future__ import annotations

from manim import VGroup

from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.text import Label, few_lines
from filmkit.core.theme import current_theme, mixed

__all__ = ["COMES", "LONGEST_TITLE", "Title", "title_corner"]

SIZE = 0.051  # of its letters, as a fraction of the frame's shorter side: 64 px of 1080 an em
AT = 53 / 1080, 15 / 1080  # its upper left corner in the free part, as shares of the same
QUIET = 0.8**0.5  # share of the ink's level that gives 80 % of its light
GAP = 0.035  # below it, as a share of the frame's shorter side

LONGEST_TITLE = 80
"""Letters of the longest title, before facts are filled in: more would be too small to read."""

COMES = 0.5, 1.0
"""When it begins to come, after a picture is complete, and when it is there, in seconds."""


class Title(VGroup):
    """The name of a picture at the upper left of the frame, in one or two lines.

    It is pinned to the frame, and gives no light.

    Parameters
    ----------
    text
        The name: a short term.
    frame
        The frame.

    Attributes
    ----------
    text
        As above.
    below : Box
        The free part of the frame below it.
    """

    def __init__(self, text: str, frame: Frame) -> None:
        super().__init__()
        theme, free, side = current_theme(), frame.free, frame.shorter_side
        x, y = title_corner(frame)
        width = free.right - x
        self.text = text
        lines, size = few_lines(text, width, size=SIZE * side / FRAME_HEIGHT)
        colour = mixed(theme.background, theme.ink, QUIET)
        for line in lines:
            label = Label(line, size=size, colour=colour, weight="semibold").shrink_to(width)
            label.on_line(x + label.width / 2, y - label.line_height / 2)
            y -= 1.2 * label.line_height
            self.add(label)
        bottom = float(self.get_bottom()[1]) - GAP * side
        self.below = Box.of(free.left, free.right, free.bottom, bottom)
        pin_to_frame(self)


def title_corner(frame: Frame) -> tuple[float, float]:
    """Return the upper left corner of titles in a frame."""
    side = frame.shorter_side
    return frame.free.left + AT[0] * side, frame.free.top - AT[1] * side
