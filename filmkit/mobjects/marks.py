"""Small marks: frames, outlines, colour bars, words on cells, and labels of tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    PI,
    Group,
    Rectangle,
    RoundedRectangle,
    VGroup,
    VMobject,
    color_to_rgb,
)

from filmkit.core.contrast import readable_on
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource, has_name
from filmkit.core.numbers import format_count, format_number, format_share, separated
from filmkit.core.text import Label, Tick, break_lines, fit_word, text_width
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable

__all__ = [
    "AxisNumbers",
    "CellLabels",
    "ColourBar",
    "Highlight",
    "Outline",
    "TokenLabels",
    "bracket",
    "size_beside",
]


# Size of a word beside a row, as a share of the row's height; the second one is used if the word
# would else be too small to read.
FILL, TIGHT = 0.92, 0.94


class Outline(Rectangle):
    """An outline without cells, for a matrix whose numbers are not shown.

    Parameters
    ----------
    box
        Box of the matrix.
    colour
        "#RRGGBB"; the theme's ``faint`` by default.
    radius
        Radius of its corners, in scene units.
    """

    def __init__(self, box: Box, *, colour: str | None = None, radius: float = 0.0) -> None:
        theme = current_theme()
        super().__init__(
            width=box.width,
            height=box.height,
            stroke_color=colour or theme.faint,
            stroke_width=theme.thin,
            fill_opacity=0.0,
        )
        if radius:
            self.points = _rounded(box.width, box.height, radius).copy()
        self.move_to(box.center)


class Highlight(Outline):
    """A frame around a row, a column, a block or a cell.

    Parameters
    ----------
    box
        What is framed, such as ``heatmap.row(3)``.
    colour
        "#RRGGBB"; the theme's ``highlight`` by default.
    """

    def __init__(self, box: Box, *, colour: str | None = None) -> None:
        theme = current_theme()
        super().__init__(box.grown(0.03), colour=colour or theme.highlight)
        self.set_stroke(width=theme.bold)


@lru_cache(maxsize=64)  # most outlines of a picture are those of equal cards
def _rounded(width: float, height: float, radius: float) -> npt.NDArray[np.float64]:
    """Return the points (n, 3) of a rectangle with round corners about the origin."""
    return RoundedRectangle(corner_radius=radius, width=width, height=height).points


def bracket(start: npt.ArrayLike, end: npt.ArrayLike, out: npt.ArrayLike) -> VMobject:
    """Return a bracket along an edge from one point (3,) to another, `out` (3,) away from it."""
    theme = current_theme()
    line = VMobject(stroke_color=theme.ink, stroke_width=theme.line)
    ends = (start, 0.4), (start, 1.0), (end, 1.0), (end, 0.4)
    return line.set_points_as_corners([np.add(at, np.multiply(out, far)) for at, far in ends])


class ColourBar(Group):
    """A thin bar with the colours of a norm, and true values below it.

    Parameters
    ----------
    norm
        The norm.
    name
        What the values are, such as "scores".
    box
        Box of the bar; the numbers and the name are below it.
    zoom
        Text size relative to the theme's, for a camera that is close.

    Attributes
    ----------
    bar : Heatmap
        The bar.
    labels : VGroup
        The numbers, and the name: between them if there is room, else on a line of its own. A bar
        that is stretched near zero says so, and so does one on which both signs grow stronger from
        the background, if it is wide enough. One without a name only says which end is negative,
        if there is room for that.
    """

    STEPS = 128  # number of cells of the bar
    GAP = 0.12  # smallest distance between two labels, in scene units

    def __init__(self, norm: Norm, name: str, box: Box, *, zoom: float = 1.0) -> None:
        super().__init__()
        theme = current_theme()
        self.bar = Heatmap(
            norm.values_at(np.linspace(0, 1, self.STEPS))[None],
            norm,
            width=box.width,
            height=box.height,
            source=TensorSource.of_scale(name),
        ).place(box)
        size, gap = theme.note_size * zoom, self.GAP * zoom
        least = min(1.0, theme.min_text_size * zoom / size)
        signs = [_("negative"), "0", _("positive")] if norm.vmin < 0 and not name else []
        if sum(text_width(sign, size=size) + gap for sign in signs) > box.width:
            signs = []
        for words in [""] if signs else self._titles(norm, name):
            title = Label(words, size=size, colour=theme.muted)
            if least * title.width <= box.width:
                break
        title.scale(max(least, min(1.0, box.width / max(title.width, 1e-9))))
        lines = [title]
        if title.width > box.width:
            parts = break_lines(words, box.width / least, size=size)
            lines = [Label(part, size=size, colour=theme.muted).scale(least) for part in parts]
            title = max(lines, key=lambda line: float(line.width))
        written = dict(zip([norm.vmin, 0.0, norm.vmax], signs, strict=False)) or {
            value: _written(norm, value) for value in norm.ticks()
        }
        numbers = self._numbers(norm, box, size, gap, written)
        line = box.bottom - numbers[0].line_height / 2 - 0.05 * zoom
        for number in numbers:
            number.set_y(line)
        middle = [n for n in numbers[1:-1] if abs(n.get_x() - box.x) < (title.width + n.width) / 2]
        room = numbers[-1].get_left()[0] - numbers[0].get_right()[0] - 2 * gap
        below = title.width > room or bool(middle) or len(lines) > 1
        for row, part in enumerate(lines, int(below)):
            part.move_to([box.x, line - 1.15 * row * part.line_height, 0])
        self.labels = VGroup(*numbers, *lines)
        self.add(self.bar, self.labels)

    @staticmethod
    def _titles(norm: Norm, name: str) -> Iterator[str]:
        """Yield what may stand below the bar, all words first."""
        words = [name] if name else []
        if not norm.is_linear:
            words.append(_("small numbers amplified"))
        if norm.vmin < 0 and not has_name(norm.cmap):
            yield separated([*words, _("stronger: larger")])
        yield separated(words) if words else ""

    @staticmethod
    def _numbers(
        norm: Norm, box: Box, size: float, gap: float, written: Mapping[float, str]
    ) -> list[Tick]:
        """Build the numbers that fit below the bar, those of the ends first and last."""
        theme = current_theme()

        def number(value: float) -> Tick:
            label = Tick(written[value], size=size, colour=theme.muted)
            x = box.left + box.width * float(norm.places(value))
            left, right = box.left + label.width / 2, box.right - label.width / 2
            return label.move_to([min(max(x, left), right), 0, 0])

        ticks = list(written)
        first, last = number(ticks[0]), number(ticks[-1])
        # From the middle outwards: 0 stays if anything does, and both signs alike.
        inner = sorted(ticks[1:-1], key=abs)
        kept = [first, last]
        for size_of in dict.fromkeys(map(abs, inner)):
            labels = [number(value) for value in inner if abs(value) == size_of]
            if all(
                abs(a.get_x() - b.get_x()) >= (a.width + b.width) / 2 + gap
                for a in labels
                for b in kept
                if a is not b
            ):
                kept += labels
        return sorted(kept, key=lambda label: float(label.get_x()))


def _written(norm: Norm, value: float) -> str:
    """Return a number at a scale: those of attention patterns as shares."""
    if not value:
        return "0"
    return format_share(value) if norm == Norm.unit() else format_number(value, 2)


def size_beside(pitch: float) -> float:
    """Return the text size of words beside rows that are a pitch, in scene units, apart."""
    theme, row = current_theme(), pitch / FRAME_HEIGHT
    return min(theme.shape_size, max(FILL * row, min(TIGHT * row, theme.min_text_size)))


class CellLabels(VGroup):
    """Numbers or words on the cells of a heatmap, each black or white: what can be read there.

    They have one size, in which all of them fit their cells, and the colours that the cells call
    for now; make them again if the cells change.

    Parameters
    ----------
    cells
        The heatmap.
    texts
        A text for each cell, as rows of columns, "" for none. By default the numbers of the cells
        that are drawn and not masked.
    size
        Largest text size; the theme's ``shape_size`` by default.
    write
        Function that formats a number.

    Raises
    ------
    SceneCodeError
        If there are not as many texts as cells.

    Examples
    --------
    ::

        panel = HeadPanel(self.head, "pattern", height=5)
        self.play(Appear(panel), Appear(CellLabels(panel.cells, write=format_share)))
    """

    def __init__(
        self,
        cells: Heatmap,
        texts: Sequence[Sequence[str]] | None = None,
        *,
        size: float | None = None,
        write: Callable[[float], str] = format_number,
    ) -> None:
        super().__init__()
        rows, columns = cells.shape
        if texts is None:
            drawn = (cells.shown > 0) & (cells.masked < 1)
            texts = [
                [write(cells.values[r, c]) if drawn[r, c] else "" for c in range(columns)]
                for r in range(rows)
            ]
        if [len(row) for row in texts] != [columns] * rows:
            raise SceneCodeError(
                f"a heatmap of {rows} x {columns} takes {rows} rows of {columns} texts"
            )
        background = np.array(color_to_rgb(current_theme().background))
        for r, row in enumerate(texts):
            for c, text in enumerate(row):
                if text:
                    rgb, shown = cells.cell_colour(r, c)
                    ink = readable_on(rgb + (1 - shown) * background)
                    self.add(Label(text, size=size, colour=ink).move_to(cells.at(r + 0.5, c + 0.5)))
        room = FILL * np.array([cells.width / columns, cells.height / rows])
        fits = [min(room / (label.width, label.line_height)) for label in self]
        for label in self:
            label.scale(min(1.0, *fits))


class AxisNumbers(VGroup):
    """Numbers of some rows or columns of a panel, and a title that says what they count.

    Parameters
    ----------
    places
        Where each number stands along its axis, x or y in scene units. A number that would touch
        one before it is left out.
    box
        Box of the cells.
    side
        Where they stand: "left" or "right" of rows, or "above" columns.
    title
        Such as "heads"; it stands along the axis, beyond the numbers. "" for none.
    marked
        Numbers that stand out.
    size
        Text size; the theme's ``shape_size`` by default.

    Attributes
    ----------
    ends, marked
        The title and the quiet numbers; and those that stand out.

    Examples
    --------
    ::

        cells = Heatmap(scores)  # nine heads
        places = {number: cells.row(number).y for number in (0, 8)}
        self.add(cells, AxisNumbers(places, cells.box, "left", title=_("heads")))
    """

    APART = 0.5  # least distance of numbers side by side, in heights of a line
    ASCENT = 0.06  # by which letters such as "h" are higher than a line, in heights of a line

    def __init__(
        self,
        places: Mapping[int, float],
        box: Box,
        side: str,
        *,
        title: str = "",
        marked: Collection[int] = (),
        size: float | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.ends, self.marked = VGroup(), VGroup()
        upright, kept = side != "above", list[tuple[float, float]]()
        low, high = (box.bottom, box.top) if upright else (box.left, box.right)

        def place(label: Label, at: float, away: float) -> None:
            across = {"left": box.left - away, "right": box.right + away, "above": box.top + away}
            label.move_to([across[side], at, 0] if upright else [at, across[side], 0])

        for number, at in places.items():
            colour = theme.ink if number in marked else theme.muted
            tick = Tick(format_count(number), size=size, colour=colour)
            half = (tick.line_height if upright else tick.width) / 2
            if high - low > 2 * half:
                # Those at the ends stay beside the cells where these are small.
                at = min(max(at, low + half), high - half)
            half += 0.0 if upright else self.APART / 2 * tick.line_height
            if all(abs(at - other) >= half + its for other, its in kept):
                kept.append((at, half))
                place(tick, at, WORD_GAP + (tick.width if upright else tick.line_height) / 2)
                (self.marked if number in marked else self.ends).add(tick)
        if title:
            label = Label(title, size=size, colour=theme.muted)
            half, reach = label.width / 2, self.reach(places, side, title=title, size=size)
            # Along the middle of the cells, and not before the first one if there are few.
            at = min(box.y, box.top - half) if upright else max(box.x, box.left + half)
            away = reach - (0.5 + self.ASCENT) * label.line_height
            place(label.rotate(PI / 2 * upright), at, away)
            self.ends.add(label)
        self.add(self.ends, self.marked)

    @classmethod
    def reach(
        cls, numbers: Iterable[int], side: str, *, title: str = "", size: float | None = None
    ) -> float:
        """Return how far they reach from the cells, in scene units; parameters as above."""
        line = (current_theme().shape_size if size is None else size) * FRAME_HEIGHT
        digits = max(len(format_count(number)) for number in numbers)
        depth = line if side == "above" else text_width("0" * digits, size=size)
        # Along a side, letters such as "p" reach towards the numbers.
        gap = WORD_GAP / 2 if side == "above" else WORD_GAP
        return WORD_GAP + depth + (gap + (1 + cls.ASCENT) * line) * bool(title)


class TokenLabels(VGroup):
    """Text of tokens beside the rows or above the columns of a panel.

    Parameters
    ----------
    tokens
        As the tokenizer gives them; :func:`~filmkit.core.token_text.printable` is applied.
    points
        (x, y) of each word: its right end, or its lower end if it is vertical.
    vertical
        Whether words are rotated to be read upwards, above columns.
    width
        Maximum length of a word, in scene units; longer ones are made smaller, then shortened.
    size
        Text size; the theme's ``shape_size`` by default.
    colour
        "#RRGGBB"; the theme's ``ink`` by default.

    Examples
    --------
    ::

        box, words = panel.cells.box, view.layer.words
        rows = row_points(box.left - WORD_GAP, box, len(words))
        columns = column_points(box.top + WORD_GAP, box, len(words))
        self.add(TokenLabels(words, rows, width=1.5))
        self.add(TokenLabels(words, columns, vertical=True, width=1.5))
    """

    def __init__(
        self,
        tokens: Sequence[str],
        points: Sequence[tuple[float, float]],
        *,
        vertical: bool = False,
        width: float,
        size: float | None = None,
        colour: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        theme = current_theme()
        for token, (x, y) in zip(tokens, points, strict=True):
            label = fit_word(printable(token), width, size=size or theme.shape_size, colour=colour)
            if vertical:
                half = label.width / 2
                label.rotate(PI / 2).move_to([x, y + half, 0])
            else:
                label.move_to([x - label.width / 2, y, 0])
            self.add(label)
