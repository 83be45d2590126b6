"""What pictures say in words and numbers: the figure that matters, and quiet lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manim import Mobject, Square, VGroup

from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme, mixed
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.mosaic import Size
from filmkit.pictures.parts import TEXT, Around, Free, Place

__all__ = [
    "SentencePart",
    "below_each_other",
    "figure",
    "legend",
    "own_colour",
    "quiet",
    "sign",
    "text_in",
]

DISPLAY = 0.09  # size of the figure that matters
SENTENCE = 0.075  # size of a sentence, at most
LINE_GAP = 0.25  # between lines of text, in scene units
SIGN = 0.07  # size of what stands between the factors of a product
SIGNS = "×=≠→↓Σ"
OWN_COLOURS = {"red": "#ff4d4d", "blue": "#5b9dff"}
"""Words that are the name of a colour; "white" has that of the ink."""


@dataclass(frozen=True)
class SentencePart:
    """The tokens as one sentence, whose words later stand at rows.

    Attributes
    ----------
    words
        Texts of the tokens.
    width, height
        Room, in scene units.
    colours
        A colour for each word; the theme's ``ink`` by default.
    """

    words: Sequence[str]
    width: float
    height: float
    colours: Sequence[str] | None = None

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.width, height=self.height)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return its words."""
        sentence = RunningText(self.words, place.box, size=SENTENCE, colours=self.colours)
        return {"row words": sentence.words}


def figure(text: str) -> Label:
    """Return the figure that matters in a picture."""
    return Label(text, size=DISPLAY, weight="semibold")


def text_in(text: str, width: float, *, size: float = TEXT, colour: str | None = None) -> VGroup:
    """Return a text on as many lines as it takes in a width, in scene units.

    Parameters
    ----------
    text, width
        The text, and the width of its lines at most; a single word may be wider.
    size, colour
        As for :class:`~filmkit.core.text.Label`.

    Examples
    --------
    ::

        self.part("note", text_in(_("what is read, and by whom"), 0.3 * self.frame.free.width))
        self.show("pattern note")
    """
    lines = break_lines(text, width, size=size)
    return below_each_other(*(Label(line, size=size, colour=colour) for line in lines))


def sign(name: str) -> Free | None:
    """Return the part for a sign between others, such as × or =; None if it is none.

    A number behind it tells it from the same sign elsewhere in a mosaic: "×" and "×2".
    """
    if name.rstrip("0123456789") not in [*SIGNS]:
        return None
    return Free(lambda: Label(name[0], size=SIGN))


def below_each_other(*lines: Mobject) -> VGroup:
    """Return lines of text, one below the other."""
    return VGroup(*lines).arrange([0, -1, 0], buff=LINE_GAP)


def legend(text: str, colour: str) -> VGroup:
    """Return a square of a colour, and what it means."""
    words = Label(text, size=TEXT)
    square = Square(1.4 * words.line_height, stroke_width=0, fill_color=colour, fill_opacity=1.0)
    return VGroup(square, words.next_to(square, [1, 0, 0], buff=0.15))


def own_colour(word: str) -> str:
    """Return the colour that a word is the name of, or that of the ink for all other words."""
    theme, colour = current_theme(), OWN_COLOURS.get(word.strip().lower())
    if colour is None:
        return theme.ink
    return colour if theme.name == "dark" else mixed(colour, theme.ink, 0.35)


def quiet(*lines: str) -> VGroup | None:
    """Return small grey lines, one below the other; None without any."""
    colour = current_theme().muted
    labels = [Label(text, size=TEXT, colour=colour) for text in lines]
    return below_each_other(*labels) if labels else None
