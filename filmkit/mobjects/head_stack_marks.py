"""Text on a stack of heads: their numbers, and which of them share keys and values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from manim import Group, VGroup, VMobject

from filmkit.core.camera import Shot, keep_upright, pin_to_frame, set_depth_plane
from filmkit.core.language import _
from filmkit.core.line_breaks import break_units
from filmkit.core.numbers import separated
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.head_stack import Card, HeadStack
from filmkit.mobjects.head_stack_layout import WORD_DROP, HeadStackLayout
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.panel import Header

__all__ = ["GroupBrackets", "HeadNumbers", "PanelNames", "span_of"]

Points = npt.NDArray[np.float64]

WORD = 0.075  # between words of a sentence
LETTER = 0.02  # and between words of two colours, where the script has no blanks
BROKEN = 0.6  # length of the longer line of a name in two lines, as a share of the name
NUMBER_GAP = 0.05
NUMBER_SIZE = 0.034  # of the numbers of heads if all fit, as a fraction of `FRAME_HEIGHT`
NUMBER_SHARE = 0.6  # from the middle of a number down to a panel, as a share of its line
LINE = 1.2  # from one line of a name to the next, in heights of a line
NAME_GAP = 0.14  # between a stack and the names of its panels


def span_of(heads: list[int]) -> str:
    """Return the numbers of some heads in words.

    >>> span_of([4]), span_of([0, 1]), span_of([5, 3, 4]), span_of([0, 2, 5])
    ('head 4', 'heads 0 and 1', 'heads 3 to 5', 'heads 0, 2, 5')
    """
    first, *others = sorted(heads)
    if not others:
        return _("head {head}", head=first)
    last = others[-1]
    if last - first == 1:
        return _("heads {first} and {last}", first=first, last=last)
    if last - first == len(others):
        return _("heads {first} to {last}", first=first, last=last)
    return _("heads {numbers}", numbers=separated([str(head) for head in sorted(heads)]))


def _every(places: Points, room: tuple[float, float]) -> int:
    """Return every how manieth of some labels in a line is apart from its neighbours.

    Two are apart if they are so in one direction, across or down.
    """
    pitch = np.abs(np.diff(places, axis=0)) / room
    return math.ceil(1 / pitch.max(axis=1).min()) if len(places) > 1 else 1


class HeadNumbers(VGroup):
    """The number of each head on the upper edge of its card, always facing the camera.

    Numbers follow their cards. When the camera goes round, they move along the edges, to the side
    where the cards can be seen. If cards are too close together, only every second or third ...
    of them has a number.

    Parameters
    ----------
    head_stack
        The stack.
    shot
        The shot in which the numbers must not overlap.
    """

    def __init__(self, head_stack: HeadStack, shot: Shot) -> None:
        super().__init__()
        theme, layout = current_theme(), head_stack.layout
        cards = head_stack.cards
        points = np.array([layout.number_point(card.plane.points, shot) for card in cards])
        projected = shot.project(points, layout.head.frame.height)[:, :2]
        for size in (NUMBER_SIZE, theme.shape_size):
            numbers = [Label(str(card.head), size=size, colour=theme.muted) for card in cards]
            room = (max(n.width for n in numbers) + NUMBER_GAP, numbers[0].line_height)
            every = _every(projected, room)
            if every == 1:
                break
        numbers[layout.flat].set_fill(theme.ink)
        # Where cards look small, numbers stand higher, so that they do not cover a panel.
        scale = layout.head.frame.height / shot.height
        lift = max(0.0, NUMBER_SHARE * numbers[0].line_height - scale * layout.number_room)
        for card in cards[::every]:
            number = numbers[card.head].on_line(0.0, lift)
            keep_upright(number, self._place(layout, card))
            self.add(set_depth_plane(number, card.plane))

    @staticmethod
    def _place(layout: HeadStackLayout, card: Card) -> Callable[[Shot], Points]:
        """Return the function that gives the place of a card's number."""
        return lambda shot: layout.number_point(card.plane.points, shot)


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


class GroupBrackets(Group):
    """A bracket for each group of heads that share keys and values, with their numbers.

    They are made for shots from the left, where nothing is in front of them. If groups are too
    close together, only every second or third ... of them has its words.

    Parameters
    ----------
    head_stack
        The stack.

    Attributes
    ----------
    groups
        Each bracket with the names of its heads, from the front.
    sentence
        A line of text, fixed in the frame, that says what a bracket means.
    """

    def __init__(self, head_stack: HeadStack) -> None:
        super().__init__()
        theme, layout = current_theme(), head_stack.layout
        frame, shot = layout.head.frame, layout.from_left
        self.groups, middles = Group(), []
        sharing: dict[int, list[int]] = {}
        for card in head_stack.cards:
            sharing.setdefault(head_stack.view.trace.kv_head(card.head), []).append(card.head)
        for group, heads in sharing.items():
            corners = layout.bracket(min(heads), max(heads))
            colour = theme.group_colour("key", group)
            line = VMobject(stroke_color=colour, stroke_width=theme.bold, fill_opacity=0.0)
            self.groups.add(Group(line.set_points_as_corners(corners)))
            middles.append((corners[1] + corners[2]) / 2)
        places = shot.project(np.array(middles), frame.height)[:, :2]
        words = [Label(span_of(heads)) for heads in sharing.values()]
        widest = max(word.width for word in words)
        every = _every(places, (widest, words[0].line_height))
        for part, word, middle in list(zip(self.groups, words, middles, strict=True))[::every]:
            word.on_line(-word.width / 4, word.line_height / 2 - WORD_DROP)
            part.add(keep_upright(word, at=middle))
        self.sentence = pin_to_frame(_sentence())
        # Beside the lowest words there is nothing, seen from the left; in a high frame below them.
        lowest = places[places[:, 1].argmin()]
        end = float(lowest[0]) - widest - 2 * NAME_GAP
        if end - self.sentence.width >= frame.stage.left:
            x, y = end - self.sentence.width, float(lowest[1]) + words[0].line_height / 2
            y -= WORD_DROP
        else:
            x, y = frame.stage.left, frame.stage.bottom + self.sentence.height / 2
            y = max(y, float(lowest[1]) - 3 * WORD_DROP)
        self.sentence.shift([x - self.sentence.get_left()[0], y, 0.0])
        self.add(self.groups, self.sentence)


def _sentence() -> VGroup:
    """Return the line of text that says what a bracket means, at y = 0."""
    theme = current_theme()
    colours = {"keys": theme.key, "values": theme.value}
    line, x = VGroup(), 0.0
    # The coloured words are marked as in narration; see filmkit.core.narration.
    phrase = _("each bracket: one set of [keys] and [values]")
    for part in filter(None, re.split(r"(\[.*?\])", phrase)):
        name, _bar, words = part.strip("[]").partition("|")
        text = words or name
        x += WORD * text.startswith(" ")
        label = Label(text.strip(" "), colour=colours.get(name, theme.ink))
        line.add(label.on_line(x + label.width / 2, 0.0))
        x += label.width + (WORD if text.endswith(" ") else LETTER)
    return line
