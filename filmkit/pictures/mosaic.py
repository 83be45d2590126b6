"""Mosaics: a picture as named fields, arranged so that its cells are as large as they can be.

A mosaic is written as it looks, a name for each field::

    .  Kt
    Q  scores

Names over several fields are one part that spans them, and ``.`` is left empty. A column of ``|``
joins the columns beside it: there is no gap between them; a name at both sides spans it too. What
runs along the sides of the parts, their axes, decides all sizes: in one picture equal axes have
equal pitch, so that a row of Q runs straight into the row of the scores, and a column of K^T drops
into its column. A side of a part is cells times a pitch, and fixed room around them for words, a
header or a colour bar. Along the tracks of the mosaic these add up; the largest pitch with which
everything fits is found by bisection.

This is pure geometry, in scene units; :mod:`filmkit.pictures.parts` makes the mobjects.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from math import inf

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box

__all__ = ["Arrangement", "Axis", "Mosaic", "Size", "arrange"]

EMPTY, JOINT = ".", "|"
STEPS = 40  # of the bisection: far below a thousandth of a pixel
SHORT = 0.55  # least length of an axis of channels, as a share of the longest axis of tokens
LONG = 1.3  # its largest length, where there is room
GAP = 0.3  # between two tracks, in scene units
TITLE_GAP = 0.2  # between a title and the cells beside it
MAX_PITCH = 0.95  # of a cell, in scene units: larger ones say no more
TOLERANCE = 1e-9  # of sums, in scene units
TOKEN = "token"


@dataclass(frozen=True)
class Span:
    """Fields of a mosaic that one part covers: [start, stop) of rows and of columns."""

    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Mosaic:
    """A picture as a grid of names.

    Attributes
    ----------
    grid
        The name of each field, row by row; ``.`` is an empty one, ``|`` a joint.
    spans
        The fields of each name, in order of appearance.

    Examples
    --------
    >>> Mosaic.parse('''
    ...     .  Kt
    ...     Q  scores
    ... ''').names
    ('Kt', 'Q', 'scores')
    """

    grid: tuple[tuple[str, ...], ...]
    spans: Mapping[str, Span] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Mosaic:
        """Read a mosaic, a row in each line and names apart by blanks.

        Raises
        ------
        SceneCodeError
            If it has no field, rows differ in length, the fields of a name are no rectangle, or a
            joint does not run through all rows; the message shows the mosaic with the place marked.
        """
        grid = tuple(tuple(line.split()) for line in text.splitlines() if line.strip())
        if not grid:
            raise SceneCodeError("mosaic is empty; name at least one part, or write . for nothing")
        for index, row in enumerate(grid):
            if len(row) != len(grid[0]):
                raise SceneCodeError(
                    f"{_shown(grid, {(index, c) for c in range(len(row))})}: rows differ in "
                    f"length, {len(row)} here and {len(grid[0])} in the first; write . for an "
                    "empty field"
                )
        for index, column in enumerate(zip(*grid, strict=True)):
            if JOINT in column and {*column} != {JOINT}:
                places = {(row, index) for row in range(len(grid))}
                raise SceneCodeError(
                    f"{_shown(grid, places)}: write | in every row between columns that touch"
                )
        return cls(grid, _spans(grid))

    def __str__(self) -> str:
        return _shown(self.grid, ())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parts, in order of appearance."""
        return tuple(self.spans)

    @property
    def transposed(self) -> Mosaic:
        """The mosaic with rows as columns."""
        grid = tuple(zip(*self.grid, strict=True))
        return Mosaic(grid, _spans(grid))

    def listed(self, what: str, names: str) -> tuple[str, ...]:
        """Return names that are written apart by blanks; `what` is what they are given for.

        Raises
        ------
        SceneCodeError
            If one of them is no part of the mosaic.
        """
        for name in names.split():
            if name not in self.spans:
                near = get_close_matches(name, self.names, n=1, cutoff=0.0)
                advice = "".join(f"; do you mean {other}?" for other in near)
                raise SceneCodeError(f"{what}={name!r} is no part of the {self}{advice}")
        return tuple(names.split())

    def without(self, absent: Container[str]) -> Mosaic:
        """Return the mosaic without some parts, and without rows and columns that are empty then.

        Rows and columns that were empty before stay.
        """
        grid = tuple(tuple(EMPTY if name in absent else name for name in row) for row in self.grid)
        rows, columns = (
            [i for i, line in enumerate(lines) if {*line} != {EMPTY} or {*whole[i]} == {EMPTY}]
            for lines, whole in (
                (grid, self.grid),
                ([*zip(*grid, strict=True)], [*zip(*self.grid, strict=True)]),
            )
        )
        kept = tuple(tuple(grid[r][c] for c in columns) for r in rows)
        return Mosaic(kept, _spans(kept))

    def is_empty_before(self, name: str, *, across: bool) -> bool:
        """Return whether all fields to the left of a part, or all above it, are empty.

        False if there are none.
        """
        span = self.spans[name]
        start = (span.columns if across else span.rows)[0]
        if start == 0:
            return False
        rows, columns = range(*span.rows), range(*span.columns)
        if across:
            return all(self.grid[r][start - 1] == EMPTY for r in rows)
        return all(self.grid[start - 1][c] == EMPTY for c in columns)

    def same_parts(self, other: Mosaic) -> Mosaic:
        """Return another mosaic of the same parts.

        Raises
        ------
        SceneCodeError
            If it has others; the message shows it with one of them marked, or names what it lacks.
        """
        if more := [name for name in other.names if name not in self.spans]:
            shown = _shown(other.grid, _fields(other.grid, more[0]))
            raise SceneCodeError(f"{shown}: {more[0]!r} is no part of the {self}")
        if lacks := [name for name in self.names if name not in other.spans]:
            raise SceneCodeError(f"{other}: it lacks {' and '.join(lacks)} of the {self}")
        return other

    def unknown(self, name: str, known: Iterable[str]) -> SceneCodeError:
        """Return the error for a name that is no part, with the nearest known ones."""
        near = get_close_matches(name, known, n=3, cutoff=0.4)
        advice = f"do you mean {' or '.join(near)}?" if near else "add it with self.part(...)"
        return SceneCodeError(
            f"{_shown(self.grid, _fields(self.grid, name))}: there is no part {name!r}; {advice}"
        )


def _fields(grid: Sequence[Sequence[str]], name: str) -> set[tuple[int, int]]:
    """Return row and column of each field with a name."""
    return {(r, c) for r, row in enumerate(grid) for c, one in enumerate(row) if one == name}


def _shown(grid: Sequence[Sequence[str]], marked: Container[tuple[int, int]]) -> str:
    """Return a mosaic on one line, with some of its fields marked."""
    rows = [
        " ".join(f">{name}<" if (r, c) in marked else name for c, name in enumerate(row))
        for r, row in enumerate(grid)
    ]
    return f"mosaic {' / '.join(rows)}".strip()


def _spans(grid: Sequence[Sequence[str]]) -> dict[str, Span]:
    """Return the fields of each name."""
    fields: dict[str, list[tuple[int, int]]] = {}
    for r, row in enumerate(grid):
        for c, name in enumerate(row):
            if name == JOINT and row[c - 1 : c] == row[c + 1 : c + 2]:
                name = row[c - 1]  # a part over the columns that it joins
            if name not in (EMPTY, JOINT):
                fields.setdefault(name, []).append((r, c))
    spans = {}
    for name, places in fields.items():
        rows, columns = zip(*places, strict=True)
        span = Span((min(rows), max(rows) + 1), (min(columns), max(columns) + 1))
        size = (span.rows[1] - span.rows[0]) * (span.columns[1] - span.columns[0])
        if size != len(places):
            raise SceneCodeError(
                f"{_shown(grid, set(places))}: the fields of {name!r} are no rectangle"
            )
        spans[name] = span
    return spans


@dataclass(frozen=True)
class Axis:
    """What runs along a side of a part.

    Attributes
    ----------
    name
        "token", or what else is counted along it: axes of equal name have equal pitch.
    count
        Number of cells that are drawn.
    fixed
        Room that is no cell, such as the ellipsis of an axis that is cut, in scene units.
    least
        Smallest pitch, in scene units, such as the height of the words beside it.
    """

    name: str
    count: int
    fixed: float = 0.0
    least: float = 0.0

    def with_least(self, other: Axis) -> Axis:
        """Return this axis with the larger count and the larger least pitch of two."""
        return replace(self, count=max(self.count, other.count), least=max(self.least, other.least))


@dataclass(frozen=True)
class Size:
    """What a part needs.

    Attributes
    ----------
    rows, columns
        Its axes; None for a side without cells, which is as long as ``height`` or ``width``.
    width, height
        Least size without the room around, in scene units.
    fills
        Whether a part without cells is as large as its place, which takes the room that is left.
    left, right, above, below
        Fixed room around the cells, for words or a colour bar.
    beside
        More of it at the right, where a title may stand too.
    title
        Width and height of its title; (0, 0) without one.
    """

    rows: Axis | None = None
    columns: Axis | None = None
    width: float = 0.0
    height: float = 0.0
    fills: bool = False
    left: float = 0.0
    right: float = 0.0
    above: float = 0.0
    below: float = 0.0
    beside: float = 0.0
    title: tuple[float, float] = (0.0, 0.0)

    def titled(self, place: str) -> Size:
        """Return the size with room for its title at a place: "above", "left" or "right".

        Its title is then what that takes along the part: width above it, or height beside it.
        """
        width, height = self.title
        right = self.right + self.beside
        if not width:
            return replace(self, right=right)
        if place == "above":
            return replace(self, right=right, above=self.above + height, title=(width, 0.0))
        if place == "right":
            right = max(right, self.right + width + TITLE_GAP)
            return replace(self, right=right, title=(0.0, height))
        left = self.left + width + TITLE_GAP
        return replace(self, left=left, right=right, title=(0.0, height))


@dataclass(frozen=True)
class Arrangement:
    """Where the parts of a mosaic are.

    Attributes
    ----------
    boxes
        The cells of each part, or the whole of a part without cells.
    fields
        Room of each field by its row and column, without the gaps between them.
    titles
        Where the title of a part is: "above" its words, or to the "left" or "right" of it.
    pitches
        Size of a cell along each axis, by its name, in scene units.
    """

    boxes: Mapping[str, Box]
    fields: Mapping[tuple[int, int], Box]
    titles: Mapping[str, str]
    pitches: Mapping[str, float]


def arrange(mosaic: Mosaic, sizes: Mapping[str, Size], room: Box) -> Arrangement:
    """Arrange the parts of a mosaic in a room, with cells as large as they can be.

    What stands around a part may reach into empty fields beside it.  A title goes to an empty
    field at the left, unless words stand there; else it is above, or, if cells become larger so,
    at the right of a part in the last column.

    Parameters
    ----------
    mosaic
        Its names.
    sizes
        What each part needs.
    room
        What may be filled; the picture is in its middle.

    Raises
    ------
    SceneCodeError
        If the fixed parts alone do not fit; the message names the largest of them.
    """
    last = len(mosaic.grid[0])
    places = [
        {
            name: "left"
            if mosaic.is_empty_before(name, across=True) and not sizes[name].left
            else beside
            if span.columns[1] == last
            else "above"
            for name, span in mosaic.spans.items()
        }
        for beside in ("above", "right")
    ]
    tried = [_Layout(mosaic, sizes, titles, room) for titles in places]
    best = max(tried, key=lambda layout: layout.units)
    if best.units < (0.0, 0.0):
        raise SceneCodeError(tried[0].crowded())
    return best.arrangement()


class _Layout:
    """A mosaic with titles at chosen places, and the largest cells with which it fits.

    Attributes
    ----------
    units
        Pitch of tokens, and length of other axes as a share of that of the tokens; both -1 if the
        fixed parts alone do not fit.
    """

    def __init__(
        self, mosaic: Mosaic, sizes: Mapping[str, Size], titles: Mapping[str, str], room: Box
    ) -> None:
        self.mosaic, self.titles, self.room = mosaic, titles, room
        placed = {name: sizes[name].titled(titles[name]) for name in mosaic.names}
        self.axes: dict[str, Axis] = {}
        for size in placed.values():
            for axis in (size.rows, size.columns):
                if axis is not None:
                    known = self.axes.setdefault(axis.name, axis)
                    self.axes[axis.name] = known.with_least(axis)
        beside = _beside(mosaic, sizes, titles)
        self.across = _Tracks(mosaic, placed, across=True, beside={})
        self.down = _Tracks(mosaic, placed, across=False, beside=beside)
        counts = [axis.count for axis in self.axes.values() if axis.name == TOKEN]
        self.tokens = max(counts, default=0)
        self.units = (-1.0, -1.0)
        if self._fits(0.0, SHORT):
            unit = _largest(lambda unit: self._fits(unit, SHORT), 0.0, MAX_PITCH)
            self.units = unit, _largest(lambda length: self._fits(unit, length), SHORT, LONG)

    def _fits(self, unit: float, length: float) -> bool:
        pitch = self._pitches(unit, length)
        return (
            self.across.total(pitch) <= self.room.width + TOLERANCE
            and self.down.total(pitch) <= self.room.height + TOLERANCE
        )

    def _pitches(self, unit: float, length: float) -> Mapping[str, float]:
        """Return the pitch of each axis: of tokens ``unit``, of others such that they fit beside.

        An axis of channels is at least ``length`` as long as the tokens, but no cell is longer
        than a token's.
        """
        pitches = {}
        for name, axis in self.axes.items():
            alone = name == TOKEN or not self.tokens
            scale = 1.0 if alone else min(1.0, length * self.tokens / axis.count)
            pitches[name] = max(axis.least, unit * scale)
        return pitches

    def arrangement(self) -> Arrangement:
        """Return where everything is."""
        pitch = self._pitches(*self.units)
        self.across.stretch(pitch, self.room.width)
        self.down.stretch(pitch, self.room.height)
        left = self.room.x - self.across.total(pitch) / 2
        top = self.room.y + self.down.total(pitch) / 2

        def box(across: tuple[float, float], down: tuple[float, float]) -> Box:
            return Box.of(left + across[0], left + across[1], top - down[1], top - down[0])

        columns, rows = self.across.places(pitch), self.down.places(pitch)
        return Arrangement(
            {name: box(columns[name], rows[name]) for name in self.mosaic.names},
            {
                (r, c): box(column, row)
                for r, row in enumerate(self.down.rooms(pitch))
                for c, column in enumerate(self.across.rooms(pitch))
            },
            self.titles,
            pitch,
        )

    def crowded(self) -> str:
        """Return the message for a mosaic whose fixed parts alone do not fit."""
        pitch = self._pitches(0.0, SHORT)
        lengths = self.room.width, self.room.height
        for tracks, most, what in zip(
            (self.across, self.down), lengths, ("wide", "high"), strict=True
        ):
            if (needed := tracks.total(pitch)) > most:
                largest = tracks.largest(pitch)
                grid = self.mosaic.grid
                return (
                    f"{_shown(grid, _fields(grid, largest))}: words, titles and the "
                    f"smallest cells are {needed:.1f} units {what}, and there are {most:.1f}; "
                    f"{largest!r} needs most: take fewer parts, or shorter words"
                )
        raise AssertionError("it fits")


def _beside(
    mosaic: Mosaic, sizes: Mapping[str, Size], titles: Mapping[str, str]
) -> dict[str, float]:
    """Return how high what reaches from the right into the empty fields above a part is there.

    A title is one line, words are as high as the field: infinite.
    """
    heights = dict.fromkeys(mosaic.names, 0.0)
    for name, span in mosaic.spans.items():
        for other, its in mosaic.spans.items():
            meets = span.rows[0] - 1 in range(*its.rows)
            meets = meets and its.columns[0] - 1 in range(*span.columns)
            if meets and mosaic.is_empty_before(other, across=True):
                title = sizes[other].title[1] if titles[other] == "left" else 0.0
                heights[name] = max(heights[name], inf if sizes[other].left else title)
    return heights


def _largest(fits: Callable[[float], bool], low: float, high: float) -> float:
    """Return the largest number from `low`, which fits, to `high` that does."""
    if fits(high):
        return high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True)
class _Side:
    """One side of a part: cells or a least length, and fixed room before and after.

    Attributes
    ----------
    axis, least
        What runs along it, and its least length without the room around.
    title
        Length of a title along it.
    before, after
        Room around.
    start, stop
        The tracks that it covers: [start, stop).
    reaches
        Whether the room before it may reach into the track before, which is empty there.
    beside
        Room that something else takes at the beginning of that track.
    fills
        Whether it is as long as the tracks.
    """

    axis: Axis | None
    least: float
    title: float
    before: float
    after: float
    start: int
    stop: int
    reaches: bool
    beside: float
    fills: bool

    def cells(self, pitch: Mapping[str, float]) -> float:
        """Return the length of its cells, or of a part without cells."""
        if self.axis is None:
            return self.least
        return self.axis.count * pitch[self.axis.name] + self.axis.fixed

    def length(self, pitch: Mapping[str, float]) -> float:
        """Return its length without the room around; a title may be longer than the cells."""
        return max(self.least, self.title, self.cells(pitch))


class _Tracks:
    """The columns of a mosaic, or its rows: what each needs, and where its parts are.

    Parameters
    ----------
    mosaic, sizes
        As for :func:`arrange`.
    across
        Whether these are its columns.
    beside
        For parts, the room that something else takes where they might reach into the track before;
        infinite if they must not.
    """

    def __init__(
        self,
        mosaic: Mosaic,
        sizes: Mapping[str, Size],
        *,
        across: bool,
        beside: Mapping[str, float],
    ) -> None:
        lines = [*zip(*mosaic.grid, strict=True)] if across else mosaic.grid
        self.count = len(lines)
        joints = {t for t, line in enumerate(lines) if {*line} == {JOINT}}
        self.gaps = [0.0 if {t, t + 1} & joints else GAP for t in range(self.count)]
        self.sides: dict[str, _Side] = {}
        for name, span in mosaic.spans.items():
            size = sizes[name]
            parts = (
                (size.columns, size.width, size.title[0], size.left, size.right, *span.columns)
                if across
                else (size.rows, size.height, size.title[1], size.above, size.below, *span.rows)
            )
            taken = beside.get(name, 0.0)
            reaches = mosaic.is_empty_before(name, across=across) and taken < inf
            self.sides[name] = _Side(*parts, reaches, taken, size.fills)
        sides = self.sides.values()
        self._by_span = sorted(sides, key=lambda side: side.stop - side.start)
        self.margins = [
            (
                max((s.before for s in sides if s.start == t and not s.reaches), default=0.0),
                max((s.after for s in sides if s.stop == t + 1), default=0.0),
            )
            for t in range(self.count)
        ]
        self.more = [0.0] * self.count

    def stretch(self, pitch: Mapping[str, float], length: float) -> None:
        """Share what is left of a length among the tracks of what fills its place.

        Those with cells keep their length, as cells begin where their tracks do.
        """
        sides, left = self.sides.values(), max(0.0, length - self.total(pitch))
        tracks = {t for side in sides if side.fills for t in range(side.start, side.stop)}
        tracks -= {t for side in sides if side.axis for t in range(side.start, side.stop)}
        for track in tracks:
            self.more[track] = left / len(tracks)

    def total(self, pitch: Mapping[str, float]) -> float:
        """Return the length of all tracks, gaps included."""
        return self._starts(pitch)[-1] - self.gaps[-1]

    def largest(self, pitch: Mapping[str, float]) -> str:
        """Return the part that needs most room."""
        return max(
            self.sides,
            key=lambda name: (
                self.sides[name].before + self.sides[name].length(pitch) + self.sides[name].after
            ),
        )

    def _starts(self, pitch: Mapping[str, float]) -> list[float]:
        """Return where each track begins, and where one after the last would."""
        margins, gaps, middles = self.margins, self.gaps, [0.0] * self.count
        for side in self._by_span:
            if side.stop - side.start == 1:
                middles[side.start] = max(middles[side.start], side.length(pitch))
        for side in self._by_span:
            if side.reaches:
                track = side.start - 1
                lack = side.before + side.beside - gaps[track] - margins[side.start][0]
                lack -= margins[track][1] + margins[track][0] * (side.beside == 0)
                middles[track] = max(middles[track], lack)
        # What spans several tracks takes what is left.
        for side in self._by_span:
            inner = sum(
                margins[a][1] + gaps[a] + margins[b][0]
                for a, b in pairwise(range(side.start, side.stop))
            )
            lack = side.length(pitch) - inner - sum(middles[side.start : side.stop])
            middles[side.stop - 1] += max(0.0, lack)
        starts = [0.0]
        for (before, after), middle, more, gap in zip(
            margins, middles, self.more, gaps, strict=True
        ):
            starts.append(starts[-1] + before + (middle + more) + after + gap)
        return starts

    def rooms(self, pitch: Mapping[str, float]) -> list[tuple[float, float]]:
        """Return start and end of each track, from the start of the first one."""
        starts = pairwise(self._starts(pitch))
        return [(start, stop - gap) for (start, stop), gap in zip(starts, self.gaps, strict=True)]

    def places(self, pitch: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Return start and end of the cells of each part, from the start of the first track.

        Cells begin where those of all parts in the track begin; a part without cells is in the
        middle of its tracks, or fills them.
        """
        starts, places = self._starts(pitch), {}
        for name, side in self.sides.items():
            start = starts[side.start] + self.margins[side.start][0]
            length = side.cells(pitch)
            if side.axis is None:
                end = starts[side.stop] - self.gaps[side.stop - 1] - self.margins[side.stop - 1][1]
                if side.fills:
                    length = end - start
                start += (end - start - max(length, side.title)) / 2
            places[name] = start, start + length
        return places
