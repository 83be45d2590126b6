"""A sentence of tokens, set as running text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import takewhile

from manim import VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.text import Label, text_width
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable

__all__ = ["RunningText"]

LINE_STEP = 1.5  # from one line to the next, in heights of a line
SMALLER = 0.95  # factor on the size while the lines do not fit
NARROWER = 0.95  # factor on the width while the text needs no more lines


class RunningText(VGroup):
    """Tokens set as running text in the middle of a box, flush left.

    Parameters
    ----------
    tokens
        Text of the tokens as the tokenizer gives it; a blank before a word belongs to its token.
    box
        Room for the text.
    size
        Text size, at most; it is smaller if the text would not fit, down to what can be read.
    colours
        A colour for each token; the theme's ``ink`` by default.

    Attributes
    ----------
    words
        A label for each token.
    """

    def __init__(
        self, tokens: Sequence[str], box: Box, *, size: float, colours: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.size, places = size, _balanced(tokens, box.width, size)
        while self.size > theme.min_text_size and _height(places, self.size) > box.height:
            self.size = max(theme.min_text_size, self.size * SMALLER)
            places = _balanced(tokens, box.width, self.size)
        line = self.size * FRAME_HEIGHT
        colours = colours or [theme.ink] * len(tokens)
        self.words = VGroup()
        left = box.x - max(x + label.width for label, x, _ in places) / 2
        top = box.y + _height(places, self.size) / 2 - line / 2
        for (label, x, row), colour in zip(places, colours, strict=True):
            label.set_fill(colour)
            self.words.add(label.on_line(left + x + label.width / 2, top - row * LINE_STEP * line))
        self.lines = [top - row * LINE_STEP * line for _, _, row in places]
        self.add(self.words)


def _balanced(tokens: Sequence[str], width: float, size: float) -> list[tuple[Label, float, int]]:
    """Return the places of tokens in as few lines as possible, of about the same length."""
    places = _places(tokens, width, size)
    widest = max(label.width for label, _, _ in places)
    while places[-1][2] and (width := NARROWER * width) > widest:
        narrower = _places(tokens, width, size)
        if narrower[-1][2] > places[-1][2]:
            break
        places = narrower
    return places


def _places(tokens: Sequence[str], width: float, size: float) -> list[tuple[Label, float, int]]:
    """Return the label of each token, x of its left end, and its line from the top."""
    places: list[tuple[Label, float, int]] = []
    line, row = "", 0
    for number, token in enumerate(tokens):
        label = Label(printable(token), size=size)
        # Where a token ends in its line, blanks and spacing of letters are those of running text.
        longer = _joined(line, token)
        rest = takewhile(_is_mark, tokens[number + 1 :])
        with_marks = text_width(longer + "".join(map(printable, rest)), size=size)
        if line and with_marks > width and not _is_mark(token):
            longer, row = label.text, row + 1
        line = longer
        label.shrink_to(width)
        end = text_width(line, size=size)
        if not _is_mark(token):
            end = min(width, end)
        places.append((label, max(0.0, end - label.width), row))
    return places


def _joined(line: str, token: str) -> str:
    """Return a line of text with a token after it."""
    return f"{line}{' ' * bool(line and token.startswith(' '))}{printable(token)}"


def _is_mark(token: str) -> bool:
    """Return whether a token is a mark of punctuation, which no line begins with."""
    return len(token) == 1 and unicodedata.category(token) in ("Po", "Pe", "Pf")


def _height(places: Sequence[tuple[Label, float, int]], size: float) -> float:
    """Return the height of all lines."""
    return (1 + LINE_STEP * places[-1][2]) * size * FRAME_HEIGHT
