"""Words of a picture in the room: a figure and a line below it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from manim import VGroup

from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import Frame
from filmkit.core.light import glow
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme

__all__ = ["Headline"]

DISPLAY, LINE = 0.09, 0.042  # sizes of the figure and of the line below it
SHINE = 0.5  # how much light the figure gives
GAP = 0.16  # between them, in scene units
WORD = re.compile(r"<(\w+)>(.*?)</\1>")


class Headline(VGroup):
    """The words of a picture, at the top of the stage: one figure, and one line below it.

    They are pinned to the frame. What is too wide is broken into several lines.

    Parameters
    ----------
    figure
        What is read first, in display size; "" for none.
    line
        The line below it. Words between tags have the colour of a role of the theme, as in
        "each with <key>keys</key> and <value>values</value>".
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
        theme, stage = current_theme(), frame.stage
        self.figure, self.line = VGroup(), VGroup()
        y = stage.top
        for text in break_lines(figure, 0.92 * stage.width, size=DISPLAY) if figure else ():
            label = Label(text, size=DISPLAY, colour=colour, weight="semibold")
            label.shrink_to(stage.width)
            y -= label.line_height / 2
            self.figure.add(label.on_line(stage.x, y))
            y -= label.line_height / 2 + GAP
        plain, roles = _without_tags(line)
        start = 0
        for text in break_lines(plain, stage.width, size=LINE) if plain else ():
            start = first = plain.index(text, start)
            whole = Label(text, size=LINE)
            y -= whole.line_height / 2
            whole.on_line(stage.x, y)
            for stop, role in _cuts(start, start + len(text), roles):
                word = plain[start:stop]
                before = Label(plain[first:stop], size=LINE)
                label = Label(word, size=LINE, colour=theme.role(role) if role else theme.muted)
                label.on_line(whole.get_left()[0] + before.width - label.width / 2, y)
                self.line.add(label)
                start = stop
            y -= whole.line_height / 2 + GAP / 2
        self.add(glow(self.figure, SHINE), self.line)
        pin_to_frame(self)


def _without_tags(line: str) -> tuple[str, list[tuple[int, int, str]]]:
    """Return a line without tags, and [start, stop) and role of each word that had some."""
    roles, plain, end = [], "", 0
    for found in WORD.finditer(line):
        plain += line[end : found.start()]
        roles.append((len(plain), len(plain) + len(found[2]), found[1]))
        plain += found[2]
        end = found.end()
    return plain + line[end:], roles


def _cuts(start: int, stop: int, roles: list[tuple[int, int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the end and the role of each piece of a line from start to stop; "" for no role."""
    for first, last, role in roles:
        if last <= start or first >= stop:
            continue
        if first > start:
            yield first, ""
        yield min(last, stop), role
        start = last
    if start < stop:
        yield stop, ""
