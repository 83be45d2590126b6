"""Parts of pictures: matrices with their titles and words, and whatever else a scene draws.

A part says what it needs (:meth:`Part.size`), and makes its mobjects for the place that
:mod:`filmkit.pictures.mosaic` finds for it (:meth:`Part.pieces`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from manim import Dot, Group, Mobject, VGroup

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, column_points, row_points
from filmkit.core.heatmap import Heatmap, shares
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import PLAIN_NAMES, POSITIONS, QUANTITIES
from filmkit.core.text import TextLine, text_width
from filmkit.core.theme import Theme, current_theme
from filmkit.mobjects.marks import AxisNumbers, ColourBar, TokenLabels
from filmkit.mobjects.panel import Header
from filmkit.pictures.mosaic import TOKEN, Axis, Size

__all__ = [
    "CHANNEL",
    "LATENT",
    "MODEL",
    "Around",
    "Filling",
    "Free",
    "Matrix",
    "Part",
    "Place",
]


TEXT, SMALL_TEXT = 1 / 30, 0.0241
"""Size of what is to be read, 36 of 1080 pixels; and of words at an axis of many tokens, 26."""

MANY = 12  # with more tokens than these, words at an axis are small
LINE = 1.05  # least pitch of rows with words, in heights of a line
INK = 1.06  # and in heights of the tallest word
LEAST = 0.022  # smallest cell that is drawn, in scene units: 3 of 1080 pixels
LONGEST = 128  # axes with more cells are cut
KEPT = (40, 8)  # first and last cells that are drawn of one that is cut, if a matrix says nothing
ELLIPSIS = 0.34  # room of the ellipsis, in scene units
WORD = 1.75  # largest width of a word of TEXT size, in scene units
BAR = 0.95  # room for a colour bar below a part
BAR_ZOOM = 1.39  # of its numbers, which are to be read
TITLE_GAP = 0.12
LEAST_FILLED = 0.5  # least size of what fills its place, as a share of its own size

CHANNEL, MODEL, LATENT = "channel", "model", "latent"
SIDES = {
    **{axis: name for name, axis in PLAIN_NAMES.items()},
    **dict.fromkeys(POSITIONS, TOKEN),
    **{"d_qk": CHANNEL, "d_v": CHANNEL, "d_model": MODEL, "r": LATENT},
}  # what the axes of quantities are called in pictures
COUNTED = {"head": N_("heads"), "kv_head": N_("key/value heads"), "layer": N_("layers")}


@dataclass(frozen=True)
class Around:
    """What stands around a part.

    Attributes
    ----------
    row_words
        Where the words or numbers of its rows stand: "left", "right", or "" for nowhere.
    column_words
        Whether those of its columns stand above.
    marked
        Rows and columns that marks pick out, whose numbers stand there too.
    title
        Whether it has a title.
    bar
        Whether it has a colour bar.
    small
        Whether its words are small, because there is little room.
    scale
        Size of a part without cells, as a share of its own.
    beside, over, under
        Room for the labels of marks, at its right, above its words and below its colour bar, in
        scene units.
    """

    row_words: str = ""
    column_words: bool = False
    marked: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    title: bool = True
    bar: bool = False
    small: bool = False
    scale: float = 1.0
    beside: float = 0.0
    over: float = 0.0
    under: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a part is.

    Attributes
    ----------
    box
        Its cells, or the whole of a part without cells.
    title
        Where its title is: "above", "left" or "right".
    """

    box: Box
    title: str = "above"


class Part(Protocol):
    """What a name in a mosaic stands for."""

    def size(self, around: Around) -> Size:
        """Return what the part needs, with what stands around it."""

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return its mobjects at a place, by what each is, such as "cells" or "title".

        In the next picture those of the same name and kind take their places.
        """


@runtime_checkable
class Filling(Protocol):
    """A mobject that can be made anew for any place, such as a chart."""

    def filling(self, box: Box) -> Mobject:
        """Return it anew, as large as a box allows, with letters of the same size."""


@dataclass(frozen=True)
class Free:
    """A part without cells: a text, a formula, a figure, anything that has a size.

    Where there is no room for it, it is made smaller, but no smaller than its words can be read. A
    mobject that is :class:`Filling` is as large as its place.

    Attributes
    ----------
    make
        Makes the mobject anew, at any place.
    """

    make: Callable[[], Mobject]

    def size(self, around: Around) -> Size:
        """Return its own size, or the least one of what fills its place."""
        mobject = self.make()
        fills = isinstance(mobject, Filling)
        scale = around.scale * LEAST_FILLED if fills else _scale(mobject, around)
        width, height = scale * float(mobject.width), scale * float(mobject.height)
        return Size(width=width, height=height, fills=fills)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return it in the middle of its place."""
        mobject = self.make()
        if isinstance(mobject, Filling):
            return {"whole": mobject.filling(place.box)}
        if (scale := _scale(mobject, around)) < 1:
            mobject.scale(scale)
        return {"whole": mobject.move_to(place.box.center)}


def _scale(mobject: Mobject, around: Around) -> float:
    """Return how large a mobject is drawn, as a share of its own size."""
    lines = [part.line_height for part in mobject.get_family() if isinstance(part, TextLine)]
    least = current_theme().min_text_size * FRAME_HEIGHT / min(lines, default=inf)
    return min(1.0, max(around.scale, least))


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix: cells, a title, the words of its tokens, a colour bar.

    Attributes
    ----------
    values : (rows, columns)
        The numbers.
    norm, source
        How they become colours, :meth:`Norm.of_values` by default; and where they come from.
    rows, columns
        What runs down and across: "token", "head", "layer", "kv_head", or a name of its own for
        each other axis. Equal names have equal pitch in a picture. By default they follow from the
        axes of the quantity that is the source, or are tokens.
    row_title, column_title
        What is counted down and across, such as _("distances"): it stands there with the numbers of
        the first and the last cell and of those that marks pick out, counted as the source does.
        By default "heads" and "layers" where rows or columns are these; "" for none.
    name, symbol
        In words, and as Typst mathematics.
    colour
        Colour of the title, "#RRGGBB"; that of the ink by default.
    masked : (rows, columns)
        True where the causal mask removes a cell.
    words
        Texts of the tokens along an axis.
    kept
        How many first and last cells are drawn of an axis that is too long to be drawn.
    least
        Smallest cell that is drawn, in scene units.

    Raises
    ------
    SceneCodeError
        If the numbers have no rows and columns; when it is shown, if there are not as many words
        as tokens.

    Examples
    --------
    ::

        self.part("own", Matrix(numbers, name="difference", words=self.layer.words))
        self.show("pattern own")
    """

    values: npt.NDArray[np.float64]
    norm: Norm | None = None
    source: TensorSource = field(default_factory=TensorSource)
    rows: str = ""
    columns: str = ""
    name: str = ""
    symbol: str = ""
    colour: str | None = None
    masked: npt.NDArray[np.bool_] | None = None
    words: Sequence[str] = ()
    kept: tuple[int, int] = KEPT
    least: float = LEAST
    row_title: str | None = None
    column_title: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        for side, axis in zip(("rows", "columns"), self._axes_of_source(), strict=True):
            object.__setattr__(self, side, getattr(self, side) or axis)
        if self.values.ndim != 2 or not self.values.size:
            raise SceneCodeError(
                f"a Matrix takes rows and columns of numbers, not an array of shape "
                f"{self.values.shape}"
            )
        if self.masked is not None:
            masked = shares(self.masked, self.values.shape, "masks", "cells").astype(bool)
            object.__setattr__(self, "masked", masked)

    def _axes_of_source(self) -> tuple[str, str]:
        """Return what the axes of the source are called in pictures; tokens if it names none."""
        known, index = QUANTITIES.get(self.source.quantity), self.source.index
        named = zip(known.axes if known else (), index, strict=False)
        axes = [SIDES.get(axis, axis) for axis, span in named if isinstance(span, tuple)]
        if self.source.transposed:
            axes.reverse()
        return (axes[0], axes[1]) if len(axes) == 2 else (TOKEN, TOKEN)

    @property
    def transposed(self) -> Matrix:
        """The matrix with rows as columns."""
        return replace(
            self,
            values=self.values.T,
            source=replace(self.source, transposed=not self.source.transposed),
            rows=self.columns,
            columns=self.rows,
            row_title=self.column_title,
            column_title=self.row_title,
            symbol=f"{self.symbol}^top" if self.symbol else "",
            masked=None if self.masked is None else self.masked.T,
        )

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> Matrix:
        """Return some of its rows and columns, [start, stop), with the scale of all."""
        cut = slice(*rows), slice(*columns)
        return replace(
            self,
            values=self.values[cut],
            norm=self.scale,
            source=self.source.part(rows, columns),
            masked=None if self.masked is None else self.masked[cut],
        )

    def heatmap(self, box: Box) -> Heatmap:
        """Return it as a heatmap that fills a box."""
        cells = Heatmap(
            self.values,
            self.scale,
            width=box.width,
            height=box.height,
            masked=self.masked,
            source=self.source,
        )
        cells.label = self.name
        return cells.place(box)

    def fill(self, cells: Heatmap) -> Heatmap:
        """Let a heatmap show these numbers instead of its own, and return it."""
        cells.source = self.source
        return cells.set_values(self.values)

    @property
    def scale(self) -> Norm:
        """How its numbers become colours."""
        return self.norm or Norm.of_values(self.values)

    def letters(self, around: Around) -> float:
        """Return the text size of the words at its axes."""
        return SMALL_TEXT if around.small or len(self.words) > MANY else TEXT

    def size(self, around: Around) -> Size:
        """Return what it needs: its axes, and room for words, title and colour bar."""
        for axis, count in zip((self.rows, self.columns), self.values.shape, strict=True):
            if axis == TOKEN and self.words and len(self.words) != count:
                raise SceneCodeError(
                    f"a Matrix has {count} tokens along an axis, and {len(self.words)} words; "
                    f'give the axis a name of its own, such as columns="head"'
                )
        letters, title = self.letters(around), self._title()
        _longest, tallest = _largest_word(tuple(self.words), letters, current_theme())
        # Signs of some scripts are taller than the size of their letters.
        line = max(LINE * letters * FRAME_HEIGHT, INK * tallest)
        labelled = bool(around.row_words), around.column_words
        beside, above = (self._reach(n, letters) * labelled[n] for n in (0, 1))
        down, across = (line * (labelled[n] and self._has_words(n)) for n in (0, 1))
        # What is counted stands along cells that may be shorter.
        height, width = (text_width(self.title_of(n), size=letters) * labelled[n] for n in (0, 1))
        return Size(
            rows=self._axis(0, down),
            columns=self._axis(1, across),
            width=width,
            height=height,
            left=beside * (around.row_words == "left"),
            right=beside * (around.row_words == "right"),
            beside=around.beside,
            above=above + around.over,
            below=BAR * around.bar + around.under,
            title=(float(title.width), title.size * FRAME_HEIGHT + TITLE_GAP)
            if around.title and title.submobjects
            else (0.0, 0.0),
        )

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return cells, title, words and colour bar."""
        box, cells = place.box, self._cells(place.box, self.name * around.title)
        pieces: dict[str, Mobject] = {"cells": cells}
        above = Box.of(box.left, box.right, box.bottom, box.top + around.over)
        beside = box
        if around.row_words and (found := self._labels(0, around.row_words, cells, around)):
            pieces |= found
            labels = Group(*found.values())
            beside = Box.of(
                min(box.left, labels.get_left()[0]),
                max(box.right, labels.get_right()[0]),
                box.bottom,
                box.top,
            )
        if around.column_words and (found := self._labels(1, "above", cells, around)):
            pieces |= found
            top = float(Group(*found.values()).get_top()[1]) + around.over
            above = Box.of(box.left, box.right, box.bottom, top)
        title = self._title()
        if around.title and title.submobjects:
            pieces["title"] = self._placed(title, place.title, beside, above)
        if around.bar:
            pieces["bar"] = ColourBar(
                self.scale, "", Box(box.x, box.bottom - 0.2, box.width, 0.12), zoom=BAR_ZOOM
            )
        return pieces

    # What stands at its rows (axis 0) and columns (axis 1)

    def title_of(self, axis: int) -> str:
        """Return what is counted along an axis; "" where nothing says so, or words stand there."""
        if self._has_words(axis):
            return ""
        given = (self.row_title, self.column_title)[axis]
        known = COUNTED.get((self.rows, self.columns)[axis], "")
        return given if given is not None else known and _(known)

    def at_axis(self, axis: int) -> tuple[str, ...]:
        """Return what can stand at an axis: words, or a title and its numbers; () for nothing."""
        if self._has_words(axis):
            return tuple(self.words)
        title = self.title_of(axis)
        return (title, *map(str, self.numbers(axis))) if title else ()

    def numbers(self, axis: int) -> range:
        """Return the numbers of its rows or columns, counted as the source does."""
        spans = [span for span in self.source.index if isinstance(span, tuple)]
        if self.source.transposed:
            spans.reverse()
        first = spans[axis][0] if len(spans) == 2 else 0
        return range(first, first + self.values.shape[axis])

    def _has_words(self, axis: int) -> bool:
        return (self.rows, self.columns)[axis] == TOKEN and bool(self.words)

    def _reach(self, axis: int, letters: float) -> float:
        """Return how far what stands at an axis reaches from the cells."""
        if self._has_words(axis):
            return _largest_word(tuple(self.words), letters, current_theme())[0] + WORD_GAP
        if title := self.title_of(axis):
            side = ("left", "above")[axis]
            return AxisNumbers.reach(self.numbers(axis)[-1:], side, title=title, size=letters)
        return 0.0

    def _labels(self, axis: int, side: str, cells: Cells, around: Around) -> dict[str, Mobject]:
        """Return what stands at an axis, by what each is."""
        what, letters, box = ("row", "column")[axis], self.letters(around), cells.box
        if self._has_words(axis):
            points = (
                column_points(box.top + WORD_GAP, box, len(self.words))
                if axis
                else row_points(box.left - WORD_GAP, box, len(self.words))
            )
            words = _labels(self.words, points, letters, vertical=bool(axis))
            if side == "right":
                for word in words:
                    word.shift([box.width + 2 * WORD_GAP + word.width, 0, 0])
            return {f"{what} words": words}
        if not (title := self.title_of(axis)):
            return {}
        numbers = self.numbers(axis)
        marked = [index % len(numbers) for index in around.marked[axis]]
        places = {
            numbers[index]: cells.column(index).x if axis else cells.row(index).y
            for index in (*marked, 0, len(numbers) - 1)
        }
        those = [numbers[index] for index in marked]
        labels = AxisNumbers(places, box, side, title=title, marked=those, size=letters)
        found = {f"{what} numbers": labels.ends, f"{what} marks": labels.marked}
        return {kind: group for kind, group in found.items() if group.submobjects}

    def _axis(self, axis: int, least: float) -> Axis:
        """Return its axis 0 (down) or 1 (across)."""
        count = self.values.shape[axis]
        name = (self.rows, self.columns)[axis]
        if len(_drawn(count, self.kept)) > 1:
            return Axis(name, sum(self.kept), ELLIPSIS, max(least, self.least))
        return Axis(name, count, least=max(least, self.least))

    def _title(self) -> Header:
        return Header(self.name, self.symbol, colour=self.colour)

    @staticmethod
    def _placed(title: Header, where: str, box: Box, above: Box) -> Header:
        if where == "above":
            return title.stand_on(above, buff=TITLE_GAP)
        half = float(title.width) / 2
        x = box.left - WORD_GAP - half if where == "left" else box.right + WORD_GAP + half
        title.move_to([x, 0, 0])
        return title.set_line(box.top - title.size * FRAME_HEIGHT / 2)

    def _cells(self, box: Box, label: str) -> Cells:
        cells = Cells(self, box)
        for block in cells.blocks:
            block.label = label
        return cells


class Cells(Group):
    """The cells of a matrix; of an axis that is too long to be drawn only its ends.

    Attributes
    ----------
    blocks : list of Heatmap
        Its heatmaps, row by row.
    cuts
        [start, stop) of the rows and of the columns that each of them shows.
    spans
        All [start, stop) of the rows, and of the columns, that are drawn.
    box
        Box around all of them.
    shape
        Rows and columns of the whole matrix.
    counts
        Rows and columns of heatmaps.
    dots
        The ellipses between them.
    """

    def __init__(self, matrix: Matrix, box: Box) -> None:
        super().__init__()
        self.box = box
        self.shape = matrix.values.shape
        self.spans = [_drawn(count, matrix.kept) for count in matrix.values.shape]
        heights, widths = ([stop - start for start, stop in each] for each in self.spans)
        downs = box.split_rows(heights, ELLIPSIS if len(heights) > 1 else 0.0)
        self.blocks: list[Heatmap] = []
        self.cuts: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for rows, strip in zip(self.spans[0], downs, strict=True):
            gap = ELLIPSIS if len(widths) > 1 else 0.0
            for columns, part in zip(self.spans[1], strip.split_columns(widths, gap), strict=True):
                self.blocks.append(matrix.part(rows, columns).heatmap(part))
                self.cuts.append((rows, columns))
        self.add(*self.blocks)
        self.counts = len(heights), len(widths)
        self.dots = [self._dots(axis) for axis in (0, 1) if self.counts[axis] > 1]
        self.add(*self.dots)

    def _dots(self, axis: int) -> VGroup:
        """Return the ellipsis between the first and the last cells of an axis."""
        theme, first, last = current_theme(), self.blocks[0].box, self.blocks[-1].box
        x = (first.right + last.left) / 2 if axis else self.box.x
        y = self.box.y if axis else (first.bottom + last.top) / 2
        return VGroup(
            *(
                Dot([x + step * axis, y + step * (1 - axis), 0], radius=0.025, color=theme.muted)
                for step in (-0.085, 0.0, 0.085)
            )
        )

    def light(self, shown: npt.ArrayLike) -> None:
        """Set the opacity of each cell of the whole matrix; what is given broadcasts to it.

        Raises
        ------
        SceneCodeError
            If it does not.
        """
        opacity = shares(shown, self.shape, "opacities", "cells")
        for block, (down, across) in zip(self.blocks, self.cuts, strict=True):
            block.set_shown(opacity[slice(*down), slice(*across)])

    @property
    def blocks_by_column(self) -> list[Heatmap]:
        """Its heatmaps, column by column: in the order of those of the transposed matrix."""
        return [
            block
            for start in range(self.counts[1])
            for block in self.blocks[start :: self.counts[1]]
        ]

    @property
    def whole(self) -> Heatmap:
        """The heatmap of a matrix that is drawn whole.

        Raises
        ------
        ValueError
            If only its ends are drawn; see ``blocks``.
        """
        (block,) = self.blocks
        return block

    def row(self, index: int) -> Box:
        """Return the box of a row, over all that is drawn of it; -1 is the last one.

        Raises
        ------
        SceneCodeError
            If there is no such row or it is not drawn, as in :meth:`column` and :meth:`cell` too.
        """
        return Box.around(block.row(place) for block, place in self.of_row(index).items())

    def column(self, index: int) -> Box:
        """Return the box of a column, over all that is drawn of it; -1 is the last one."""
        return Box.around(block.column(place) for block, place in self._having(1, index).items())

    def cell(self, row: int, column: int) -> Box:
        """Return the box of a cell; -1 is the last row or column."""
        rows, columns = self.of_row(row), self._having(1, column)
        (block,) = rows.keys() & columns.keys()
        return block.cell(rows[block], columns[block])

    def of_row(self, index: int) -> dict[Heatmap, int]:
        """Return the heatmaps that draw a row, from the left, and which of their rows it is."""
        return self._having(0, index)

    def _having(self, axis: int, index: int) -> dict[Heatmap, int]:
        """Return the heatmaps that draw a row (axis 0) or column (axis 1), and its place there."""
        number = index + self.shape[axis] if index < 0 else index
        found = {
            block: number - cut[axis][0]
            for block, cut in zip(self.blocks, self.cuts, strict=True)
            if number in range(*cut[axis])
        }
        if not found:
            rows, columns = self.shape
            drawn = [f"{start} to {stop - 1}" for start, stop in self.spans[axis]]
            raise SceneCodeError(
                f"a heatmap of {rows} x {columns} has no {('row', 'column')[axis]} {index}"
                f"{' that is drawn' * (len(drawn) > 1)}; "
                f"choose {', '.join(drawn)}, or -1 for the last one"
            )
        return found


def _labels(
    words: Sequence[str],
    points: Sequence[tuple[float, float]],
    size: float,
    *,
    vertical: bool = False,
) -> TokenLabels:
    """Return the words of tokens at an axis."""
    return TokenLabels(words, points, vertical=vertical, width=WORD * size / TEXT, size=size)


@lru_cache(maxsize=256)
def _largest_word(words: tuple[str, ...], size: float, theme: Theme) -> tuple[float, float]:
    """Return width and height of the largest of some words in the theme in use; 0 without any."""
    labels = _labels(words, [(0.0, 0.0)] * len(words), size)
    widths, heights = ([getattr(label, side) for label in labels] for side in ("width", "height"))
    return max(widths, default=0.0), max(heights, default=0.0)


def _drawn(count: int, kept: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the cells [start, stop) of an axis that are drawn."""
    first, last = kept
    whole = count <= max(LONGEST, first + last)
    return [(0, count)] if whole else [(0, first), (count - last, count)]
