"""The names of panels beside a stack of heads."""

from __future__ import annotations

from manim import VGroup

from filmkit.core.camera import Shot, keep_upright
from filmkit.core.line_breaks import break_units
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.panel import Header

__all__ = ["PanelNames"]

BROKEN = 0.6  # length of the longer line of a name in two lines, as a share of the name
LINE = 1.2  # from one line of a name to the next, in heights of a line
NAME_GAP = 0.14  # between a stack and the names of its panels


class PanelNames(VGroup):
    """The names of panels beside a stack, at the card that is farthest back.

    They are made for one shot, and keep their size in others: names of queries, keys and values in
    a shot from the left, those of pattern and z in one from the right. Where they stand, nothing
    else does.

    Parameters
    ----------
    head_stack
        The stack.
    shot
        The shot in which they are read.
    """

    def __init__(self, head_stack: HeadStack, shot: Shot) -> None:
        super().__init__()
        theme, layout = current_theme(), head_stack.layout
        card, left = head_stack.cards[-1], shot.theta < 0
        names = ("q", "k", "v") if left else ("pattern", "z")
        room = layout.name_room - NAME_GAP
        flat = head_stack.view.head(layout.flat)
        tensors = [head_tensor(flat, name) for name in names]
        headers: list[VGroup] = [
            Header(tensor.name, tensor.symbol, colour=tensor.colour) for tensor in tensors
        ]
        for size in (theme.name_size, theme.shape_size):
            if max(header.width for header in headers) > room:
                headers = [_narrow(tensor.name, size, tensor.colour, room) for tensor in tensors]
        least = min(1.0, theme.min_text_size / theme.shape_size)
        for name, header in zip(names, headers, strict=True):
            if header.width > room:
                header.scale(max(least, room / header.width))
            half = header.width / 2 + NAME_GAP
            header.move_to([-half if left else half, 0.0, 0.0])
            y = getattr(layout.head, name).y
            x = layout.card.left if left else layout.card.right
            keep_upright(header, (x, y, layout.depth_at(card.head)))
            self.add(header)


def _narrow(name: str, size: float, colour: str, room: float) -> VGroup:
    """Return the words of a name in two lines, or in more if these would be wider than the room."""
    widest = max(Label(word, size=size).width for word in break_units(name))
    width = max(widest, min(room, BROKEN * Label(name, size=size).width))
    lines = break_lines(name, width, size=size)
    words = VGroup(*(Label(line, size=size, colour=colour) for line in lines))
    for line, word in enumerate(words):
        word.on_line(0.0, -LINE * line * word.line_height)
    return words
