"""Questions in large letters, over a picture that has stepped back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from manim import Animation, Dot, Mobject, VGroup, linear

from filmkit.core.animations import AnimateWith, Presence, set_presence
from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.line_breaks import sentences
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme

__all__ = ["Card", "faded", "lines_within"]

QUESTION_SIZE = 0.058  # of letters, as a fraction of the frame's shorter side
SMALLER = 0.92  # by which letters shrink until they fit
ROOM = 0.86  # part of the stage's width for the words
LINE = 1.35  # distance of two lines, in heights of a line

FAINT = 0.15  # share of its presence that is left of a picture behind words
DOT, DOT_GAP, DOT_RISE = 0.06, 0.28, 0.25  # radius, distance, height above the stage's lower edge
EXHALED = 0.2  # presence to which a dot sinks
BREATH = 2.0  # seconds in which all dots sink and come back


class Card(VGroup):
    """A question in the middle of the frame; under it, three dots that breathe while it waits.

    Parameters
    ----------
    text
        The question.
    frame
        The frame.
    """

    def __init__(self, text: str, frame: Frame) -> None:
        stage = frame.stage
        room = Box(stage.x, stage.y, ROOM * stage.width, stage.height - 4 * DOT_RISE)
        words = lines_within(room, text, QUESTION_SIZE * frame.shorter_side / FRAME_HEIGHT)
        y, colour = stage.bottom + DOT_RISE, current_theme().muted
        self.dots = VGroup(
            *(
                Dot([stage.x + place * DOT_GAP, y, 0.0], radius=DOT, color=colour)
                for place in (-1, 0, 1)
            )
        )
        super().__init__(words, self.dots)
        pin_to_frame(self)

    def breathe(self, seconds: float) -> Animation:
        """Return an animation in which the dots sink and come back, one after the other."""
        breaths = max(1, round(seconds / BREATH))

        def step(alpha: float) -> None:
            for place, dot in enumerate(self.dots):
                wave = float(np.sin(2 * np.pi * breaths * alpha - place * np.pi / 3))
                set_presence(dot, 1 - (1 - EXHALED) * max(0.0, wave))

        return AnimateWith(self.dots, step, rate_func=linear, run_time=seconds)


def lines_within(room: Box, text: str, size: float, weight: str = "normal") -> VGroup:
    """Return the lines of a text around the middle of a room, small enough for it.

    Parameters
    ----------
    room
        The room.
    text
        The text; each sentence begins a line.
    size
        Size of its letters, where they fit.
    weight
        As for :class:`filmkit.core.text.Label`.
    """
    said = [text[start:end] for start, end in sentences(text)]
    while True:
        broken = (line for one in said for line in break_lines(one, room.width, size=size))
        lines = VGroup(*(Label(line, size=size, weight=weight) for line in broken))
        for place, line in enumerate(lines):
            up = LINE * line.line_height * ((len(lines) - 1) / 2 - place)
            line.on_line(room.x, room.y + up)
        if lines.width <= room.width and lines.height <= room.height:
            return lines
        size *= SMALLER


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
