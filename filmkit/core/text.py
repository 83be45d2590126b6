"""Text: labels, numbers that change, and formulas, each one line.

Sizes are the height of a line of letters, from the top of "H" to the bottom of "g", as a fraction
of `FRAME_HEIGHT`; ``Theme.name_size``, ``shape_size`` and ``note_size`` are such sizes.
"""

from __future__ import annotations

import errno
import os
import re
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import manimpango
import numpy as np
import numpy.typing as npt
from manim import VGroup, VMobject
from manim.mobject.text.text_mobject import TEXT2SVG_ADJUSTMENT_FACTOR
from manim.mobject.text.typst_mobject import MathTypst

from extract.support.temporary import temporary_folder
from filmkit.core.fonts import (
    FALLBACKS,
    FONT_RULES,
    east_asian_fonts,
    font_files,
)
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.line_breaks import break_units
from filmkit.core.numbers import MINUS, format_decimal
from filmkit.core.theme import current_theme

__all__ = [
    "NO_BREAK_SPACE",
    "Label",
    "LabelGroup",
    "Number",
    "Symbol",
    "TextLine",
    "Tick",
    "break_lines",
    "few_lines",
    "fit_size",
    "fit_word",
    "text_width",
    "unknown_letters",
]

# Pango hints glyphs to whole units at small sizes, which spoils the spacing of letters; a large
# size scaled down does not show it.
RENDER_SIZE = 144
UNBROKEN = 100_000  # width for Pango in pixels; no line is as long at the render size
BOLD = 0.92  # width of letters as a share of that of bold ones
FEW_LINES, SMALLER = 2, 0.94  # of a title, and by how much it shrinks until it has no more
FEW_UNITS = 16  # of a text's parts, that are measured first to break it
Points = npt.NDArray[np.float64]
RULE = 0.018  # thickness of lines in a formula, in manim's units at the size of `MathTypst`
COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")  # of an SVG path, with its numbers
STROKE = "stroke-width"  # of what is a line; letters are filled
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
"""Between words that :func:`break_lines` keeps on one line."""


@lru_cache(maxsize=1)
def _register_fonts() -> None:
    """Make the fonts of the dependencies known to Pango, once."""
    # Pango prefers the machine's colour emoji to the font it is given; they have no outlines.
    os.environ.setdefault("FONTCONFIG_FILE", str(FONT_RULES))
    for path in (*font_files(), *east_asian_fonts()):
        manimpango.register_font(str(path))


@lru_cache(maxsize=1024)
def _glyphs(text: str, weight: str, font: str) -> tuple[Points, ...]:
    """Return the outline of each letter of a line, without blanks.

    Each is a series of cubic curves, (n, 3), four points for each curve. A letter that no font has
    is a frame and the digits of its code.
    """
    picture = _drawing(text, weight, font)
    outlines = list(_outlines(picture))
    if any(map(_is_frame, picture.iter())):
        # Pango draws such letters before the others of their font, not as they stand in the line.
        outlines.sort(key=lambda points: _box(points)[0])
    return tuple(outlines)


def _drawing(text: str, weight: str, font: str) -> ElementTree.Element:
    """Return the SVG picture of a line of text, which defines its glyphs and uses them.

    Pango sets the line and cairo writes the outlines to an SVG file, which is read here. Manim's
    ``Text`` does the same with a general SVG library and makes a mobject for every letter; that
    would take most of the time of running a scene without drawing.

    Raises
    ------
    OSError
        If there was no room for the whole file, which cairo does not tell.
    """
    _register_fonts()
    with _scratch_file() as file:
        fonts = ", ".join((font, *FALLBACKS))
        setting = manimpango.TextSetting(
            0, len(text), fonts, "NORMAL", manimpango.Weight[weight.upper()].name, -1, "#FFFFFF"
        )
        size = RENDER_SIZE / TEXT2SVG_ADJUSTMENT_FACTOR
        # Cairo leaves out what is above the page: quotation marks, in a first line at its top.
        down, height = round(size), round(4 * size)
        manimpango.text2svg([setting], size, size, True, str(file), 0, down, UNBROKEN, height, text)
        try:
            return ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error


@contextmanager
def _scratch_file() -> Iterator[Path]:
    """Yield a file that is gone after the ``with`` block; on Linux it is in memory."""
    if not hasattr(os, "memfd_create"):
        with temporary_folder() as folder:
            yield folder / "line.svg"
        return
    # A folder on disk would take longer than setting the line.
    number = os.memfd_create("line.svg")
    try:
        yield Path(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


def _outlines(picture: ElementTree.Element) -> Iterator[Points]:
    """Yield the outlines of the letters in a picture of a line.

    It defines a path for each glyph and uses it once for each letter.
    """
    paths = {
        element.get("id"): "".join(path.get("d", "") for path in element.iter(f"{SVG}path"))
        for element in picture.iter()
        if element.get("id")
    }
    for element in picture.iter():
        points, at = np.zeros((0, 3)), [0.0, 0.0, 0.0]
        if element.tag == f"{SVG}use":
            points = _curves(paths[element.get(f"{XLINK}href", "")[1:]])
            at = [float(element.get("x", 0)), float(element.get("y", 0)), 0.0]
        elif _is_frame(element):
            points = _frame(_box(_curves(element.get("d", ""))), float(element.get(STROKE, 0)))
        if len(points):
            yield (points + at) * [1.0, -1.0, 1.0]


def _is_frame(element: ElementTree.Element) -> bool:
    """Return whether a part of a picture is the frame of a letter that no font has."""
    return element.get(STROKE) is not None


def _frame(box: tuple[float, float, float, float], thickness: float) -> Points:
    """Return the outline of a frame along a box: around it, and back inside of it."""
    left, right, bottom, top = box
    out, inner = thickness / 2, -thickness / 2
    sides = [
        [left - out, bottom - out, right + out, top + out],
        [right + inner, bottom - inner, left - inner, top + inner],
    ]
    return _curves("".join(f"M {a} {b} L {c} {b} L {c} {d} L {a} {d} Z" for a, b, c, d in sides))


def unknown_letters(text: str) -> str:
    """Return the letters of a text that no font has, each once, in the order of their codes."""
    font = current_theme().font
    return "".join(
        letter
        for letter in sorted(set(text))
        if any(map(_is_frame, _drawing(letter, "normal", font).iter()))
    )


@lru_cache(maxsize=1024)
def _curves(path: str) -> Points:
    """Return the cubic curves, (n, 3), of a closed SVG path with absolute coordinates.

    Raises
    ------
    ValueError
        If it has other commands than moves, lines, cubic curves and closing.
    """
    curves: list[list[complex]] = []
    here = start = 0j
    # Whatever comes behind an outline, or nothing, closes it.
    for command, numbers in (*COMMAND.findall(path), ("Z", "")):
        each = map(float, numbers.split())
        points = [complex(x, y) for x, y in zip(each, each, strict=True)]
        if command == "C":
            curves.append([here, *points])
        elif command in "MLZ":
            end = points[0] if command == "L" else start
            if end != here:
                curves.append([here, (2 * here + end) / 3, (here + 2 * end) / 3, end])
        else:
            raise ValueError(f"cairo wrote a path with {command!r}, which is not known here")
        here = points[-1] if points else start
        start = here if command == "M" else start
    flat = np.array(curves, dtype=complex).reshape(-1)
    return np.stack([flat.real, flat.imag, np.zeros(len(flat))], axis=1)


def _box(points: Points) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of the points where curves begin and end."""
    ends = points.reshape(-1, 4, 3)[:, [0, 3], :2].reshape(-1, 2)
    (left, bottom), (right, top) = ends.min(axis=0), ends.max(axis=0)
    return float(left), float(right), float(bottom), float(top)


@lru_cache(maxsize=8)
def _line_box(font: str) -> tuple[float, float]:
    """Return the heights of "Hg" and of "H" at the render size."""
    both = _glyphs("Hg", "normal", font)
    _, _, bottom, top = _box(np.concatenate(both))
    _, _, baseline, cap = _box(both[0])
    return top - bottom, cap - baseline


def _boxed(letters: Points, left: float, right: float, baseline: float, font: str) -> Points:
    """Return letters (n, 3) and the corners of their line's box, about its middle.

    They are at the render size; the line reaches from left to right.
    """
    line, cap = _line_box(font)
    bottom, top = baseline + cap - line, baseline + cap
    box = np.repeat([[left, bottom, 0.0], [left, top, 0.0], [right, top, 0.0]], 4, axis=0)
    middle = np.array([(left + right) / 2, (bottom + top) / 2, 0.0])
    return np.asarray(np.concatenate([letters, box]) - middle)


@lru_cache(maxsize=1024)
def _line(text: str, weight: str, font: str) -> Points:
    """Return the points of a line of text at the render size, about its middle."""
    # The "H" in front only marks the baseline; it is dropped.
    strut, *letters = _glyphs(f"H{text}", weight, font)
    points = np.concatenate(letters) if letters else np.zeros((0, 3))
    left = float(points[:, 0].min()) if len(points) else 0.0
    right = float(points[:, 0].max()) if len(points) else 0.0
    return _boxed(points, left, right, _box(strut)[2], font)


@lru_cache(maxsize=8192)
def _ends(text: str, font: str) -> tuple[float, float]:
    """Return the left and the right end of a line of text at the render size."""
    along = _line(text, "normal", font)[:, 0]
    return float(along.min()), float(along.max())


def _zoom(size: float, font: str) -> float:
    """Return the scale from the render size to a text size."""
    return size * FRAME_HEIGHT / _line_box(font)[0]


def text_width(text: str, *, size: float | None = None) -> float:
    """Return the width of a :class:`Label` in scene units, which is not made for that.

    Parameters
    ----------
    text, size
        As for :class:`Label`.
    """
    theme = current_theme()
    left, right = _ends(text, theme.font)
    zoom = _zoom(theme.shape_size if size is None else size, theme.font)
    return right * zoom - left * zoom


class TextLine(VMobject):
    """One line of letters as a single filled path; base of labels, numbers and symbols.

    It is as high as a line, whatever its letters are, so that lines side by side have a common
    baseline. One path, instead of one for each letter, is also drawn several times faster.

    Attributes
    ----------
    text : str
        Its letters.
    size : float
        Height of a line of letters as a fraction of `FRAME_HEIGHT`, before any scaling.
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

    def _set_points(self, boxed: Points) -> None:
        """Set the points from those at the render size."""
        self.points = boxed * _zoom(self.size, self.font)

    @property
    def ink(self) -> Points:
        """Points (n, 3) of the letters alone."""
        return np.asarray(self.points[: -self.CORNERS])

    @property
    def line_height(self) -> float:
        """Height of its line in scene units, after any scaling and rotation."""
        return float(np.linalg.norm(self.points[-8] - self.points[-12]))

    @property
    def rise(self) -> float:
        """Height of its highest letter above the middle of its line, in scene units."""
        return float(self.ink[:, 1].max() - (self.points[-12, 1] + self.points[-1, 1]) / 2)

    def on_line(self, x: float, y: float) -> TextLine:
        """Move the middle of its line to (x, y), whatever letters it has, and return it."""
        middle = (self.points[-12] + self.points[-1]) / 2
        return self.shift([x - middle[0], y - middle[1], 0.0])

    def shrink_to(self, width: float) -> TextLine:
        """Scale it down until it is no wider than ``width`` scene units, and return it."""
        if self.width > width:
            self.scale(width / self.width)
        return self


class Label(TextLine):
    """One line of text.

    Parameters
    ----------
    text
        Blanks at its ends are ignored.
    size
        Height of a line of letters as a fraction of `FRAME_HEIGHT`; the theme's ``shape_size`` by
        default.
    colour
        "#RRGGBB"; the theme's ``ink`` by default.
    weight
        "normal" or "semibold".

    Examples
    --------
    ::

        theme = current_theme()
        title = Label("queries", size=theme.name_size, colour=theme.query)
        title.on_line(box.x, box.top + 0.3)
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
        self._set_points(_line(text, weight, self.font))


class LabelGroup(VGroup):
    """Texts that are arranged as lines: side by side they stand on one, whatever letters they have.

    Manim's own groups arrange texts by their letters, so that "no" hangs lower than "yes".

    Examples
    --------
    ::

        LabelGroup(*map(Label, ("yes", "no"))).arrange(buff=0.3)
        LabelGroup(*map(Label, words)).arrange_in_grid(cols=4, buff=(0.3, 0.5))
    """

    def arrange(self, *args: Any, **kwargs: Any) -> LabelGroup:
        """Arrange the texts side by side or below each other, as Manim does; return the group."""
        return self._on_lines(lambda boxes: boxes.arrange(*args, **kwargs))

    def arrange_in_grid(self, *args: Any, **kwargs: Any) -> LabelGroup:
        """Arrange the texts in rows and columns, as Manim does; return the group."""
        return self._on_lines(lambda boxes: boxes.arrange_in_grid(*args, **kwargs))

    def _on_lines(self, arrange: Callable[[VGroup], VGroup]) -> LabelGroup:
        """Move each text to where what arranges them has put the box of its line."""
        boxes = VGroup(*(VMobject().set_points(text.points[-text.CORNERS :]) for text in self))
        for text, box in zip(self, arrange(boxes), strict=True):
            text.on_line(*box.get_center()[:2])
        return self


def break_lines(text: str, width: float, *, size: float | None = None) -> list[str]:
    """Break a text into as few lines as possible, of about the same length.

    Parameters
    ----------
    text
        It is broken where its script allows it (:func:`~filmkit.core.line_breaks.break_units`). A
        :data:`NO_BREAK_SPACE` becomes a blank that is not broken.
    width
        Maximum width of a line in scene units; a single word may be wider.
    size
        Text size, as for :class:`Label`.

    Returns
    -------
    list of str
        The lines, from the top.
    """
    lines = _filled(text, width, size)
    narrower = lines
    while len(narrower) == len(lines) > 1 and any(len(break_units(line)) > 1 for line in lines):
        lines, width = narrower, 0.95 * width
        narrower = _filled(text, width, size)
    return [line.replace(NO_BREAK_SPACE, " ") for line in lines]


def few_lines(text: str, width: float, *, size: float) -> tuple[list[str], float]:
    """Break a bold text into two lines at most, smaller if need be; return them and their size.

    Parameters are those of :func:`break_lines`.
    """
    while len(lines := break_lines(text, BOLD * width, size=size)) > FEW_LINES:
        size *= SMALLER
    return lines, size


def _filled(text: str, width: float, size: float | None) -> list[str]:
    """Break a text where a line would get wider than ``width``."""
    units, lines = break_units(text), list[str]()

    def begun(count: int) -> str:
        return "".join(units[:count]).rstrip(" ")

    def width_of(count: int) -> float:
        return text_width(begun(count), size=size)

    # Measuring takes time: most texts fit into one line, and the others are halved, not gone along.
    # Of a long one a line holds little: all of it would be measured anew for every line.
    while units:
        count = FEW_UNITS
        while count < len(units) and width_of(count) <= width:
            count *= 2
        count = min(count, len(units))
        if width_of(count) > width:
            count = 1 + bisect(range(2, count + 1), width, key=width_of)
        lines.append(begun(count))
        units = units[count:]
    return lines


def fit_size(text: str, width: float, *, size: float, colour: str | None = None) -> Label:
    """Return a label that is made smaller to fit a width, but no smaller than can be read."""
    if (length := text_width(text, size=size)) > width:
        size = max(min(size, current_theme().min_text_size), size * width / length)
    return Label(text, size=size, colour=colour)


class Tick(Label):
    """A number at an axis or a colour scale: it tells what stands at its place."""


class Number(TextLine):
    """A number that can change while it is shown; all digits have the same width.

    Parameters
    ----------
    value
        The number to begin with.
    digits
        Digits after the decimal point.
    size, colour
        As for :class:`Label`.

    Examples
    --------
    ::

        total = Number(0.0)
        self.play(AnimateWith(total, lambda alpha: total.set_value(12.5 * alpha)))
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
        """Show another number, with the right end where it was, and return the mobject."""
        right = self.points[-1].copy()
        self._draw(value)
        self.points += right - self.points[-1]
        return self

    def _draw(self, value: float) -> None:
        """Set text and letters to a number, centered at the origin."""
        self.value = value
        self.text = format_decimal(value, self.digits)
        # All digits get the width of a zero and some space at its sides.
        left, right, *_ = _box(_glyphs("H0", "normal", self.font)[1])
        digit_width = (right - left) * 1.12
        letters, x = [], 0.0
        for character in self.text:
            if character.isspace():
                x += digit_width / 3
                continue
            strut, letter = _glyphs(f"H{character}", "normal", self.font)
            left, right, *_ = _box(letter)
            is_digit = character.isdigit() or character == MINUS
            advance = digit_width if is_digit else (right - left) * 1.9
            middle = np.array([(left + right) / 2 - x - advance / 2, _box(strut)[2], 0.0])
            letters.append(letter - middle)
            x += advance
        self._set_points(_boxed(np.concatenate(letters), 0.0, x, 0.0, self.font))


class Symbol(TextLine):
    """A formula set by Typst, in its mathematical font.

    Parameters
    ----------
    formula
        Typst mathematics, such as ``"W_Q"`` or ``"K^top"``.
    size, colour
        As for :class:`Label`; its capitals are as high as those of a label of the same size.
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
        left, right = float(points[:, 0].min()), float(points[:, 0].max())
        self._set_points(_boxed(points, left, right, 0.0, self.font))


def _outline(piece: VMobject) -> Points:
    """Return the outline of a piece of a formula; a stroke becomes a thin filled box."""
    if piece.fill_opacity > 0:
        return np.asarray(piece.points)
    start, end = piece.points[0], piece.points[-1]
    half = np.array([0.0, RULE / 2, 0.0])
    corners = [start - half, start + half, end + half, end - half, start - half]
    box = VMobject().set_points_as_corners(corners)
    return np.asarray(box.points)


@lru_cache(maxsize=256)
def _formula(formula: str) -> MathTypst:
    return MathTypst(formula, use_svg_cache=False)  # which would be a copy of all pieces


def fit_word(text: str, width: float, *, size: float, colour: str | None = None) -> Label:
    """Return a label that fits a width: first it is made smaller, then it is shortened.

    Parameters
    ----------
    text
        Its text; if it is shortened it ends with "…".
    width
        Maximum width in scene units.
    size
        Preferred text size; it is not made smaller than the theme's ``min_text_size``.
    colour
        As for :class:`Label`.
    """
    label = fit_size(text, width, size=size, colour=colour)
    # Made just small enough, its width may be rounded up.
    room = width * (1 + 1e-9)
    if len(text) < 2 or text_width(text, size=label.size) <= room:
        return label

    def shortened(kept: int) -> str:
        return text[:kept].rstrip() + "…"

    counts = range(2, len(text))
    kept = bisect(counts, room, key=lambda n: text_width(shortened(n), size=label.size))
    return Label(shortened(1 + kept), size=label.size, colour=colour)
