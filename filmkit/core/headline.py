"""Headlines: a few words or a number in display size, and a quiet line below them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from manim import RIGHT, VGroup, VMobject

from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import Box, Frame
from filmkit.core.language import NO_TAG
from filmkit.core.light import glow
from filmkit.core.text import NO_BREAK_SPACE, Label, break_lines, few_lines
from filmkit.core.theme import current_theme

__all__ = ["Headline"]

DISPLAY, LINE = 0.09, 0.042  # sizes of the figure, at most, and of the line below it
SHINE = 0.5  # how much light the figure gives
ABOVE, GAP = 0.18, 0.16  # over them, and between them, in scene units
BLANKS = " ", NO_BREAK_SPACE
WORD = re.compile(r"<(\w+)>(.*?)</\1>")


class Headline(VGroup):
    """A headline at the top of the frame: a few large words or a number, and a line below them.

    They are pinned to the frame. What is too wide is broken into several lines, the figure into two
    at most.

    Parameters
    ----------
    figure
        What is read first, in display size; "" for none.
    line
        The line below it. Words between tags have the colour of a role of the theme, as in
        "each with <key>keys</key> and <value>values</value>". What :func:`_` fills in, such as a
        word of a prompt, is no tag.
    frame
        The frame.
    colour
        Colour of the figure, "#RRGGBB"; the theme's ink by default.

    Attributes
    ----------
    figure, line
        Their labels.

    Examples
    --------
    ::

        words = Headline(heads, _("heads, each with <key>keys</key>"), self.frame)
        self.play(Appear(words))
    """

    def __init__(self, figure: str, line: str, frame: Frame, *, colour: str | None = None) -> None:
        super().__init__()
        self.frame, free = frame, frame.free
        self.figure, self.line = VGroup(), VGroup()
        y = free.top - ABOVE
        lines, size = few_lines(figure, free.width, size=DISPLAY)
        for text in lines:
            label = Label(text, size=size, colour=colour, weight="semibold")
            label.shrink_to(free.width)
            y -= max(label.rise, label.line_height / 2)
            self.figure.add(label.on_line(free.x, y))
            y -= label.line_height / 2 + GAP
        plain, roles = _without_tags(line)
        # Where a line is broken, and where there are several, blanks are left out.
        inked = (role for letter, role in zip(plain, roles, strict=True) if letter not in BLANKS)
        for text in break_lines(plain, free.width, size=LINE) if plain else ():
            words = _coloured(text, [*_of_letters(text, inked)])
            y -= words.line_height / 2
            self.line.add(words.on_line(free.x, y))
            y -= words.line_height / 2 + GAP / 2
        self.add(glow(self.figure, SHINE), self.line)
        pin_to_frame(self)

    def below(
        self, *, head: float = 0.2, foot: float = 0.0, left: float = 0.0, right: float = 0.0
    ) -> Box:
        """Return the free room below it, without strips for other words.

        Parameters
        ----------
        head, foot, left, right
            What is left empty below it, and at the foot and the sides of the room, in scene units.
        """
        top = float(self.get_bottom()[1]) - head
        free = self.frame.free
        return Box.of(free.left + left, free.right - right, free.bottom + foot, top)


def _of_letters(text: str, roles: Iterator[str]) -> Iterator[str]:
    """Yield the role of each letter of a line; a blank has that of the letter before it."""
    role = ""
    for letter in text:
        role = role if letter in BLANKS else next(roles)
        yield role


def _coloured(text: str, roles: Sequence[str]) -> Label:
    """Return a line of which each letter has the colour of its role, muted where it has none."""
    theme, until = current_theme(), ""
    main = "" if "" in roles else roles[0]
    line = Label(text, size=LINE, colour=theme.role(main or "muted"))
    left, own = line.get_left(), []
    for role, letters in groupby(zip(roles, text, strict=True), lambda one: one[0]):
        word = "".join(letter for _role, letter in letters)
        until += word
        piece = Label(word, size=LINE, colour=theme.role(role or "muted"))
        piece.shift((left[0] + Label(until, size=LINE).width - piece.get_right()[0]) * RIGHT)
        if role == main:
            own.append(piece.ink)
        else:
            # A part of this line, not another one.
            colours = {"fill_color": piece.get_fill_color(), "fill_opacity": 1.0}
            line.add(VMobject(stroke_width=0.0, **colours).set_points(piece.ink))
    line.points = np.concatenate([*own, line.points[-line.CORNERS :]])
    return line


def _without_tags(line: str) -> tuple[str, list[str]]:
    """Return a line without tags, and the role of each of its letters; "" for none."""
    pieces = [*WORD.split(line), "", ""]  # a text, then a role with its words, another text, ...
    plain, roles = "", []
    for text, role, words in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        for part, colour in (text, ""), (words, role):
            shown = part.replace(NO_TAG, "")
            plain += shown
            roles += [colour] * len(shown)
    return plain, roles
