"""Words, numbers and symbols.

Every size here is the height of a line of letters, from the top of "H" to the bottom of "g", as
a fraction of the height of the frame (``Theme.name_size`` and its like).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import manimpango
import numpy as np
import numpy.typing as npt
from manim import (
    VMobject,
)
from manim.mobject.text.text_mobject import TEXT2SVG_ADJUSTMENT_FACTOR
from manim.mobject.text.typst_mobject import MathTypst

from filmkit.core.fonts import FALLBACKS, FONT_RULES, font_files
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.numbers import MINUS
from filmkit.core.theme import current_theme

__all__ = [
    "UNBROKEN_SPACE",
    "Label",
    "Number",
    "Symbol",
    "TextLine",
    "broken",
    "fit_size",
    "fit_word",
    "stacked_lines",
]

# Pango hints glyphs to whole units at small sizes, which spoils the spacing of letters; a large
# size scaled down does not show it.
RENDER_SIZE = 144
UNBROKEN = 100_000  # pixels; no line is as long at the render size
Points = npt.NDArray[np.float64]
RULE = 0.018  # thickness of a formula's ruled lines, at the size at which Typst sets it
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
UNBROKEN_SPACE = "\N{NO-BREAK SPACE}"  # holds words of a line together


@lru_cache(maxsize=1)
def _register_fonts() -> None:
    # Pango prefers the machine's colour emoji to any font it is asked for; they have no outlines.
    os.environ.setdefault("FONTCONFIG_FILE", str(FONT_RULES))
    for path in font_files():
        manimpango.register_font(str(path))


@lru_cache(maxsize=1024)
def _glyphs(text: str, weight: str, font: str) -> tuple[Points, ...]:
    """Outlines of the letters of a line as cubic curves, four points (n, 3) each; no blanks.

    Pango sets the line and cairo writes its outlines to a picture of paths, which is read here:
    Manim's ``Text`` reads it by way of a library for all of SVG and makes a mobject for every
    letter, which takes most of the time that a scene needs to run undrawn.
    """
    _register_fonts()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "line.svg"
        fonts = ", ".join((font, *FALLBACKS))
        setting = manimpango.TextSetting(
            0, len(text), fonts, "NORMAL", manimpango.Weight[weight.upper()].name, -1, "#FFFFFF"
        )
        size = RENDER_SIZE / TEXT2SVG_ADJUSTMENT_FACTOR
        manimpango.text2svg(
            [setting], size, size, True, str(file), 0, 0, UNBROKEN, round(4 * size), text
        )
        return tuple(_outlines(file))


def _outlines(file: Path) -> Iterator[Points]:
    """The letters in a picture that cairo wrote: each is a path that is used at a place."""
    picture = ElementTree.parse(file).getroot()
    paths = {
        element.get("id"): "".join(path.get("d", "") for path in element.iter(f"{SVG}path"))
        for element in picture.iter()
        if element.get("id")
    }
    for use in picture.iter(f"{SVG}use"):
        points = _curves(paths[use.get(f"{XLINK}href", "")[1:]])
        if len(points):
            at = [float(use.get("x", 0)), float(use.get("y", 0)), 0.0]
            yield (points + at) * [1.0, -1.0, 1.0]


@lru_cache(maxsize=1024)
def _curves(path: str) -> Points:
    """The cubic curves of a closed path of moves, lines and curves to absolute places."""
    curves: list[list[complex]] = []
    here = start = 0j
    words = iter(path.split())

    def place() -> complex:
        return complex(float(next(words)), float(next(words)))

    def line_to(end: complex) -> None:
        if end != here:
            curves.append([here, (2 * here + end) / 3, (here + 2 * end) / 3, end])

    for command in words:
        if command == "M":
            line_to(start)
            here = start = place()
        elif command == "L":
            end = place()
            line_to(end)
            here = end
        elif command == "C":
            curves.append([here, place(), place(), end := place()])
            here = end
        elif command == "Z":
            line_to(start)
            here = start
        else:
            raise ValueError(f"cairo wrote a path with {command!r}, which is not known here")
    line_to(start)
    flat = np.array(curves, dtype=complex).reshape(-1)
    return np.stack([flat.real, flat.imag, np.zeros(len(flat))], axis=1)


def _box(points: Points) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of where curves begin and end."""
    ends = points.reshape(-1, 4, 3)[:, [0, 3], :2].reshape(-1, 2)
    (left, bottom), (right, top) = ends.min(axis=0), ends.max(axis=0)
    return float(left), float(right), float(bottom), float(top)


@lru_cache(maxsize=8)
def _line_box(font: str) -> tuple[float, float]:
    """Height of "Hg" and of "H" at the render size."""
    both = _glyphs("Hg", "normal", font)
    _, _, bottom, top = _box(np.concatenate(both))
    _, _, baseline, cap = _box(both[0])
    return top - bottom, cap - baseline


class TextLine(VMobject):
    """One line of letters as a single filled path; what labels and numbers have in common.

    It is as tall as a line, whatever its letters are, so lines that are placed side by side share
    their baseline. One path instead of one per letter also draws several times faster.
    """

    # The path ends in three empty curves at corners of the line's box: bottom left, top left and
    # top right. They draw nothing and give the line its height and width.
    CORNERS = 12

    def __init__(self, *, size: float | None, colour: str | None, **kwargs: Any) -> None:
        theme = current_theme()
        super().__init__(
            fill_color=colour or theme.ink, fill_opacity=1.0, stroke_width=0.0, **kwargs
        )
        self.size = theme.shape_size if size is None else size
        self.font = theme.font

    def _set_letters(self, letters: Points, left: float, right: float, baseline: float) -> None:
        line, cap = _line_box(self.font)
        bottom, top = baseline + cap - line, baseline + cap
        box = np.repeat([[left, bottom, 0.0], [left, top, 0.0], [right, top, 0.0]], 4, axis=0)
        middle = np.array([(left + right) / 2, (bottom + top) / 2, 0.0])
        self.points = (np.concatenate([letters, box]) - middle) * (self.size * FRAME_HEIGHT / line)

    @property
    def ink(self) -> Points:
        """Points (n, 3) of the letters themselves."""
        return np.asarray(self.points[: -self.CORNERS])

    @property
    def line_height(self) -> float:
        """Height of its line in scene units, as it stands now, turned or not."""
        return float(np.linalg.norm(self.points[-8] - self.points[-12]))

    def on_line(self, x: float, y: float) -> TextLine:
        """Put the middle of its line at (x, y), whatever its letters reach above or below."""
        middle = (self.points[-12] + self.points[-1]) / 2
        return self.shift([x - middle[0], y - middle[1], 0.0])

    def shrink_to(self, width: float) -> TextLine:
        """Make it no wider than ``width`` by scaling it down."""
        if self.width > width:
            self.scale(width / self.width)
        return self


class Label(TextLine):
    """One line of words.

    Parameters
    ----------
    text
        Blanks at its ends count for nothing.
    size
        Line height as a fraction of the frame's height; the theme's ``shape_size`` by default.
    colour
        A colour; the theme's ``ink`` by default.
    weight
        "normal" or "semibold".
    """

    def __init__(
        self,
        text: str,
        *,
        size: float | None = None,
        colour: str | None = None,
        weight: str = "normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(size=size, colour=colour, **kwargs)
        self.text = text
        # The "H" in front only marks the baseline; it is dropped.
        strut, *letters = _glyphs(f"H{text}", weight, self.font)
        points = np.concatenate(letters) if letters else np.zeros((0, 3))
        left = float(points[:, 0].min()) if len(points) else 0.0
        right = float(points[:, 0].max()) if len(points) else 0.0
        self._set_letters(points, left, right, baseline=_box(strut)[2])


def broken(text: str, width: float, *, size: float | None = None) -> list[str]:
    """The words of a text as few lines no wider than ``width``, of about the same length.

    A line is broken at blanks only, not at an :data:`UNBROKEN_SPACE`, which becomes a blank; a
    word that is wider by itself stays whole.
    """
    lines = _filled(text, width, size)
    narrower = lines
    while len(narrower) == len(lines) > 1 and any(" " in line for line in lines):
        lines, width = narrower, 0.95 * width
        narrower = _filled(text, width, size)
    return [line.replace(UNBROKEN_SPACE, " ") for line in lines]


def stacked_lines(
    text: str,
    point: tuple[float, float],
    width: float,
    *,
    size: float | None = None,
    colour: str | None = None,
) -> list[Label]:
    """A text's lines of no more than ``width``, from a left end and around a middle (x, y)."""
    x, y = point
    labels = [Label(line, size=size, colour=colour) for line in broken(text, width, size=size)]
    for index, label in enumerate(labels):
        rise = 1.3 * label.line_height * ((len(labels) - 1) / 2 - index)
        label.on_line(x + label.width / 2, y + rise)
    return labels


def _filled(text: str, width: float, size: float | None) -> list[str]:
    """A text broken where a line would grow wider than ``width``."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and Label(longer, size=size).width <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fit_size(
    text: str, width: float, *, size: float | None = None, colour: str | None = None
) -> Label:
    """A label as large as fits a width, but not smaller than can be read."""
    label = Label(text, size=size, colour=colour)
    if label.width <= width:
        return label
    least = min(label.size, current_theme().least_size)
    return Label(text, size=max(least, label.size * width / label.width), colour=colour)


class Number(TextLine):
    """A number that can change while it is shown: its digits keep their places.

    Parameters
    ----------
    value
        What it shows first.
    digits
        Places after the decimal point.
    size, colour
        As for :class:`Label`.
    """

    def __init__(
        self,
        value: float,
        *,
        digits: int = 1,
        size: float | None = None,
        colour: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(size=size, colour=colour, **kwargs)
        self.digits = digits
        self._draw(value)

    def set_value(self, value: float) -> Number:
        """Show another number; its right end stays where it was."""
        right = self.points[-1].copy()
        self._draw(value)
        self.points += right - self.points[-1]
        return self

    def _draw(self, value: float) -> None:
        self.value = value
        self.text = f"{abs(value):.{self.digits}f}"
        if value < 0 and float(self.text) != 0:
            self.text = MINUS + self.text
        # All digits take the width of a zero with its side bearings.
        left, right, *_ = _box(_glyphs("H0", "normal", self.font)[1])
        wide = (right - left) * 1.12
        letters, x = [], 0.0
        for character in self.text:
            strut, letter = _glyphs(f"H{character}", "normal", self.font)
            left, right, *_ = _box(letter)
            advance = wide if character.isdigit() or character == MINUS else (right - left) * 1.9
            middle = np.array([(left + right) / 2 - x - advance / 2, _box(strut)[2], 0.0])
            letters.append(letter - middle)
            x += advance
        self._set_letters(np.concatenate(letters), 0.0, x, 0.0)


class Symbol(TextLine):
    """A formula set by Typst, in its mathematical font.

    Parameters
    ----------
    formula
        Typst mathematics, such as ``"W_Q"`` or ``"K^top"``.
    size, colour
        As for :class:`Label`: the formula stands beside a label of the same size.
    """

    def __init__(
        self, formula: str, *, size: float | None = None, colour: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(size=size, colour=colour, **kwargs)
        self.text = formula
        # As for labels, a leading "H" marks baseline and height and is dropped.
        strut, *pieces = _formula(f"upright(H) {formula}").family_members_with_points()
        _, cap = _line_box(self.font)
        scale, baseline = cap / strut.height, float(strut.get_bottom()[1])
        points = np.concatenate([_outline(piece) for piece in pieces]) - [0.0, baseline, 0.0]
        points *= scale
        self._set_letters(points, float(points[:, 0].min()), float(points[:, 0].max()), 0.0)


def _outline(piece: VMobject) -> Points:
    """Points of a filled piece of a formula; a ruled line becomes a thin filled box."""
    if piece.fill_opacity > 0:
        return np.asarray(piece.points)
    start, end = piece.points[0], piece.points[-1]
    half = np.array([0.0, RULE / 2, 0.0])
    corners = [start - half, start + half, end + half, end - half, start - half]
    box = VMobject().set_points_as_corners(corners)
    return np.asarray(box.points)


@lru_cache(maxsize=256)
def _formula(formula: str) -> MathTypst:
    return MathTypst(formula)


def fit_word(
    text: str,
    width: float,
    *,
    size: float,
    colour: str | None = None,
) -> Label:
    """A label no wider than ``width``: set smaller as far as it can be read, then shortened."""
    label = Label(text, size=size, colour=colour)
    if label.width <= width:
        return label
    size = min(size, max(current_theme().least_size, size * width / label.width))
    label = Label(text, size=size, colour=colour)
    kept = len(text)
    while label.width > width and kept > 1:
        kept -= 1
        label = Label(text[:kept].rstrip() + "…", size=size, colour=colour)
    return label
