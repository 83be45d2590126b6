"""Questions in large letters, over a picture that has stepped back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from manim import DL, UR, Animation, Dot, Mobject, RoundedRectangle, VGroup, linear

from filmkit.core.animations import AnimateWith, Presence, set_presence
from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import N_
from filmkit.core.line_breaks import break_units, sentences
from filmkit.core.text import Label, break_lines, text_width
from filmkit.core.theme import current_theme

__all__ = ["FILM_TITLE", "Card", "centred", "faded"]

FILM_TITLE = N_("Remember Less")
"""The film's title; translated where it is shown."""

QUESTION_SIZE = 0.058  # of letters, as a fraction of the frame's shorter side
SMALLER = 0.92  # by which letters shrink until they fit
ROOM = 0.86  # part of the free width for the words
LINE = 1.35  # distance of two lines, in heights of a line

FAINT = 0.15  # share of its presence that is left of a picture behind words
VEIL, SOFT, SHEETS = 0.97, 0.4, 12  # opacity of a veil; width of its soft edge, and of how many
DOT, DOT_GAP, DOT_RISE = 0.06, 0.28, 0.25  # radius, distance, height above the free part's foot
EXHALED = 0.2  # presence to which a dot sinks
BREATH = 2.0  # seconds in which all dots sink and come back


class Card(VGroup):
    """A question in the middle of the frame; under it, three dots that breathe while it waits.

    Both lie on veils, so that no line or cell of the picture behind runs through a letter.

    Parameters
    ----------
    text
        The question.
    frame
        The frame.
    """

    def __init__(self, text: str, frame: Frame) -> None:
        free = frame.free
        room = Box(free.x, free.y, ROOM * free.width, free.height - 4 * DOT_RISE)
        words = centred(text, room, QUESTION_SIZE * frame.shorter_side / FRAME_HEIGHT)
        y, colour = free.bottom + DOT_RISE, current_theme().muted
        self.dots = VGroup(
            *(
                Dot([free.x + place * DOT_GAP, y, 0.0], radius=DOT, color=colour)
                for place in (-1, 0, 1)
            )
        )
        super().__init__(_veil(words), _veil(self.dots), words, self.dots)
        pin_to_frame(self)

    def breathe(self, seconds: float) -> Animation:
        """Return an animation in which the dots sink and come back, one after the other."""
        breaths = max(1, round(seconds / BREATH))

        def step(alpha: float) -> None:
            for place, dot in enumerate(self.dots):
                wave = float(np.sin(2 * np.pi * breaths * alpha - place * np.pi / 3))
                set_presence(dot, 1 - (1 - EXHALED) * max(0.0, wave))

        return AnimateWith(self.dots, step, rate_func=linear, run_time=seconds)


def _veil(words: VGroup) -> VGroup:
    """Return what hides a picture behind words, and less and less of it around them."""
    colour, opacity = current_theme().background, 1 - (1 - VEIL) ** (1 / SHEETS)
    width, height = words.width + 2 * SOFT, words.height + 2 * SOFT
    widest = RoundedRectangle(corner_radius=SOFT, width=width, height=height).move_to(words)
    widest.set_fill(colour, opacity).set_stroke(width=0)
    # Manim takes three milliseconds to round the corners of each anew.
    inside = np.clip(widest.points, words.get_corner(DL), words.get_corner(UR))
    sheets = VGroup()
    for part in np.linspace(1, 1 / SHEETS, SHEETS):
        sheets.add(widest.copy().set_points(inside + part * (widest.points - inside)))
    return sheets


def centred(text: str, room: Box, size: float, *, weight: str = "normal") -> VGroup:
    """Return the lines of a text around the middle of a room; each sentence begins a line.

    Parameters
    ----------
    text, room
        The text, and where it stands.
    size
        Size of its letters, at most: they are smaller if the text would not fit.
    weight
        As for :class:`~filmkit.core.text.Label`.
    """
    # What does not fit for sure need not be broken into lines, which takes time.
    letters = sum(text_width(part, size=1.0) for part in break_units(text))
    while (letters * size / room.width - 1) * LINE * size * FRAME_HEIGHT > room.height:
        size *= SMALLER
    said = [text[start:end] for start, end in sentences(text)]
    broken = (line for sentence in said for line in break_lines(sentence, room.width, size=size))
    lines = VGroup(*(Label(line, size=size, weight=weight) for line in broken))
    for place, line in enumerate(lines):
        line.on_line(room.x, room.y + LINE * line.line_height * ((len(lines) - 1) / 2 - place))
    if lines.width > room.width or lines.height > room.height:
        return centred(text, room, SMALLER * size, weight=weight)
    return lines


def faded(levels: Mapping[Mobject, float], share: float = FAINT) -> list[Animation]:
    """Return animations that take each part of a picture to a share of its presence.

    Parameters
    ----------
    levels
        The presence of each part, before any of them stepped back.
    share
        1 for all of it.
    """
    return [Presence(part, share * level, alone=True) for part, level in levels.items()]
