"""Text on a stack of heads: their numbers, and which of them share keys and values."""

from __future__ import annotations

import math

import numpy as np
from manim import BackgroundRectangle, Group, VGroup, VMobject

from filmkit.core.camera import Shot, keep_upright, pin_to_frame
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.head_stack import HeadStack

__all__ = ["GroupBrackets", "HeadNumbers", "span_of"]

LIFT = 0.06  # between a card's corner and its number
WORD = 0.075  # between words of a sentence
NUMBER_GAP = 0.05
PLATE = 0.85  # opacity of the plate behind a number
PLATE_EDGE = 0.02  # width of the plate beyond the number
AWAY = 0.12  # between a bracket and its words


def span_of(heads: list[int]) -> str:
    """Return the numbers of some heads in words.

    >>> span_of([4]), span_of([0, 1]), span_of([5, 3, 4]), span_of([0, 2, 5])
    ('head 4', 'heads 0 and 1', 'heads 3 to 5', 'heads 0, 2, 5')
    """
    first, *others = sorted(heads)
    if not others:
        return f"head {first}"
    last = others[-1]
    if last - first == 1:
        return f"heads {first} and {last}"
    if last - first == len(others):
        return f"heads {first} to {last}"
    return f"heads {', '.join(map(str, sorted(heads)))}"


class HeadNumbers(VGroup):
    """The number of each head at the top left corner of its card, always facing the camera.

    If cards are too close together, only every second or third ... of them has a number.

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
        height = layout.head.frame.height
        corners = np.array([layout.corner(card.place) for card in head_stack.cards])
        projected = shot.project(corners, height)[:, :2]
        numbers = [Label(str(card.head), colour=theme.muted) for card in head_stack.cards]
        room = max(number.width for number in numbers) + NUMBER_GAP
        numbers[0].set_fill(theme.ink)
        every = 1
        if len(projected) > 1:
            pitch = float(np.abs(np.diff(projected[:, 0])).min())
            every = max(1, math.ceil(room / pitch))
        for place in range(0, len(numbers), every):
            number = numbers[place]
            number.on_line(number.width / 2, LIFT + number.line_height / 2)
            # Panels of cards farther back may be behind the number.
            plate = BackgroundRectangle(
                number, color=theme.background, fill_opacity=PLATE, buff=PLATE_EDGE
            )
            self.add(*(keep_upright(part, at=corners[place]) for part in (plate, number)))


class GroupBrackets(Group):
    """A bracket for each group of heads that share keys and values, with their numbers.

    They are made for shots from the left, where nothing is in front of them.

    Parameters
    ----------
    head_stack
        The stack.

    Attributes
    ----------
    lines, words
        The brackets, and the names of their heads, from the front.
    sentence
        A line of text, fixed in the frame, that says what a bracket means.
    """

    def __init__(self, head_stack: HeadStack) -> None:
        super().__init__()
        theme = current_theme()
        self.lines, self.words = VGroup(), VGroup()
        groups: dict[int, list[int]] = {}
        for card in head_stack.cards:
            groups.setdefault(head_stack.view.trace.kv_head(card.head), []).append(card.place)
        for places in groups.values():
            corners = head_stack.layout.bracket(min(places), max(places))
            line = VMobject(stroke_color=theme.ink, stroke_width=theme.line, fill_opacity=0.0)
            self.lines.add(line.set_points_as_corners(corners))
            word = Label(span_of([head_stack.order[place] for place in places]))
            word.on_line(-AWAY - word.width / 2, -AWAY)
            self.words.add(keep_upright(word, at=(corners[1] + corners[2]) / 2))
        self.sentence = pin_to_frame(_sentence())
        point = head_stack.layout.sentence
        self.sentence.shift([point[0] - self.sentence.get_right()[0], point[1], 0.0])
        self.add(self.lines, self.words, self.sentence)


def _sentence() -> VGroup:
    """Return the line of text that says what a bracket means, at y = 0."""
    theme = current_theme()
    line, x = VGroup(), 0.0
    for text, colour in (
        ("each bracket: one set of", theme.ink),
        ("keys", theme.key),
        ("and", theme.ink),
        ("values", theme.value),
    ):
        label = Label(text, colour=colour)
        line.add(label.on_line(x + label.width / 2, 0.0))
        x += label.width + WORD
    return line
