"""What pictures say in words and numbers: the figure that matters, and quiet lines."""

from __future__ import annotations

from manim import Mobject, VGroup

from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.pictures.parts import TEXT, Free

__all__ = ["below_each_other", "figure", "heading", "quiet"]

DISPLAY = 0.09  # size of the figure that matters
BOLD = 0.92  # width of letters as a share of that of bold ones
LINE_GAP = 0.25  # between lines of text, in scene units


def figure(text: str, *, colour: str | None = None) -> Label:
    """Return the figure that matters in a picture."""
    return Label(text, size=DISPLAY, colour=colour, weight="semibold")


def heading(text: str, width: float) -> VGroup:
    """Return words as large as a figure, on several lines if one would be wider than `width`."""
    # Letters that are bold are wider than those that are measured.
    return below_each_other(*map(figure, break_lines(text, BOLD * width, size=DISPLAY)))


def below_each_other(*lines: Mobject) -> VGroup:
    """Return lines of text, one below the other."""
    return VGroup(*lines).arrange([0, -1, 0], buff=LINE_GAP)


def quiet(*lines: str) -> Free | None:
    """Return a part of small grey lines, one below the other; None without any."""
    if not lines:
        return None

    def make() -> VGroup:
        colour = current_theme().muted
        return below_each_other(*(Label(text, size=TEXT, colour=colour) for text in lines))

    return Free(make)
