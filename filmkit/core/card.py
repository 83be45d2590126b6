"""Words in large letters, and pictures that step back behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manim import Animation, Mobject, VGroup

from filmkit.core.animations import Presence
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.language import N_
from filmkit.core.line_breaks import break_units, sentences
from filmkit.core.text import BOLD, Label, break_lines, text_width

__all__ = ["FILM_TITLE", "centred", "faded"]

FILM_TITLE = N_("Remember Less")
"""The film's title; translated where it is shown."""

SMALLER = 0.92  # by which letters shrink until they fit
LINE = 1.35  # distance of two lines, in heights of a line

FAINT = 0.15  # share of its presence that is left of a picture behind words


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
    width = room.width * (1.0 if weight == "normal" else BOLD)
    broken = (line for sentence in said for line in break_lines(sentence, width, size=size))
    lines = VGroup(*(Label(line, size=size, weight=weight) for line in broken))
    for place, line in enumerate(lines):
        line.on_line(room.x, room.y + LINE * line.line_height * ((len(lines) - 1) / 2 - place))
    if lines.width > room.width or lines.height > room.height:
        return centred(text, room, SMALLER * size, weight=weight)
    return lines


def faded(levels: Mapping[Mobject, float], share: float = FAINT, **kwargs: Any) -> list[Animation]:
    """Return animations that take each part of a picture to a share of its presence.

    Parameters
    ----------
    levels
        The presence of each part, before any of them stepped back.
    share
        1 for all of it.
    **kwargs
        For each animation, such as ``rate_func``.
    """
    return [Presence(part, share * level, alone=True, **kwargs) for part, level in levels.items()]
