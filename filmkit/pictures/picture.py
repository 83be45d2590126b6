"""A picture that is made from a mosaic, and the animations from one picture to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter, index

import numpy as np
import numpy.typing as npt
from manim import LEFT, UP, Group, Line, Mobject, VGroup

from filmkit.core.animations import set_presence
from filmkit.core.body import RADIUS, Body, Lamp
from filmkit.core.camera import pin_to_frame
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import WORD_GAP, Box, Frame
from filmkit.core.heatmap import shares
from filmkit.core.light import mirrored
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Highlight
from filmkit.pictures.mosaic import TOKEN, Arrangement, Mosaic, Size, arrange
from filmkit.pictures.parts import BAR, Around, Cells, Matrix, Part, Place
from filmkit.pictures.standing import GLASS, Standing
from filmkit.pictures.texts import sign

__all__ = ["COLUMN_WORDS", "LAMP", "WORDS", "Mark", "Picture", "PlacedPart"]

WORDS, COLUMN_WORDS, ROWS, MARKED = "words", "column words", "rows", "marked"
UNMARKED = 0.4  # presence of words that no mark picks out, where others stand out
LABEL_GAP = 0.35  # between a part and the labels of its marks, in scene units
BELOW_NOTES = 0.15  # room between the notes at the top and a picture, in scene units
BELOW_HEADLINE = 0.2  # and between a headline and a picture
HALVINGS = 7  # in which the largest size of parts that are made smaller is found

Key = tuple[str, str]
"""Name of a part, and which of its pieces."""

LAMP: Key = "light", "lamp"

Arranged = tuple[Mosaic, Mapping[str, Around], Arrangement]
"""A mosaic, what stands around its parts, and where they are."""


@dataclass(frozen=True)
class Mark:
    """A frame around a cell, a row or a column of a part.

    Attributes
    ----------
    part
        Name of the part.
    row, column
        Their numbers; None for all.
    colour
        "#RRGGBB"; the theme's highlight by default.
    label
        What it is about, such as a word or a number, of which a copy stands beside the part: at the
        right of a row, above a column, and with a line to a cell at the right, or below in a frame
        that is no wider than high.
    """

    part: str
    row: int | None = None
    column: int | None = None
    colour: str | None = None
    label: Mobject | None = None

    def __post_init__(self) -> None:
        # NumPy's numbers, such as those of argmax, cannot be written to picture maps.
        for name in ("row", "column"):
            if (number := getattr(self, name)) is not None:
                object.__setattr__(self, name, index(number))

    def place(self, *, upright: bool) -> str:
        """Return where its label is: "beside", "over" or "under" the part."""
        if self.row is None:
            return "over"
        return "under" if upright and self.column is not None else "beside"

    def box(self, cells: Cells) -> Box:
        """Return what it frames."""
        if self.row is None:
            return cells.box if self.column is None else cells.column(self.column)
        if self.column is None:
            return cells.row(self.row)
        return cells.cell(self.row, self.column)


@dataclass(frozen=True)
class PlacedPart:
    """A part as it is drawn in a picture.

    Attributes
    ----------
    name
        Its name.
    box
        Its cells, or the whole of a part without cells.
    pieces
        Its mobjects by what each is: "cells", "title", "row words", "column words", "bar", or
        "whole" of a part without cells; and in the room the "pane" under its cells.
    part
        What it was made from.
    """

    name: str
    box: Box
    pieces: Mapping[str, Mobject]
    part: Part

    @property
    def colour(self) -> str | None:
        """Of its title, if it has one of its own."""
        return getattr(self.part, "colour", None)

    @property
    def cells(self) -> Cells:
        """Its cells.

        Raises
        ------
        SceneCodeError
            If it has none.
        """
        cells = self.pieces.get("cells")
        if not isinstance(cells, Cells):
            raise SceneCodeError(f"the part {self.name!r} has no cells")
        return cells

    @property
    def whole(self) -> Mobject:
        """All of it, as one mobject."""
        return Group(*self.pieces.values())


class Picture:
    """The mobjects of a mosaic, each with a key.

    Parameters
    ----------
    mosaics
        The mosaic, and others of the same parts; the one with the largest cells is taken. In a
        frame that is no wider than high a single row may become a column.
    parts
        All parts that there are, by name. None for what this model does not have: it is left out,
        with rows and columns that are empty without it.
    frame
        The frame that is filled.
    around
        What stands around parts; which of them have words follows from the mosaic.
    words
        Whether parts have the words of their tokens; "rows" for those of rows alone, and "marked"
        for all, of which those stand out whose rows and columns marks pick out.
    marks
        Frames around cells, rows and columns; in the next picture each goes to the place of the one
        of the same number.
    lit
        Opacity of the cells of some parts, 0 to 1: arrays that broadcast to (rows, columns). Under
        the name "words" that of the words of each token, and under "column words" that of those
        above columns if it is another.
    headline
        Words that stand over it; the mosaic fills what is left below.
    into
        The part of the frame that is filled; all that is free by default.
    stands, light
        How it stands in the room, "glass" or "floor", and the name of the part over which a lamp
        hangs there; "" for neither.

    Attributes
    ----------
    mosaic
        The mosaic as it was arranged: a single row may have become a column.
    parts
        The parts as they are drawn.
    dressing, arrangement
        What stands around each part, and where all of them are.
    left_out
        The words for which there was no room, one line each.
    marked, marks, labels
        The marks of parts that there are, their frames, and their labels by the number of the mark.
    headline
        The words over it, or None.
    room
        What the mosaic fills.
    standing
        How it stands in the room, or None.
    lamp
        The lamp over one of its parts, or None.
    """

    def __init__(
        self,
        mosaics: Sequence[Mosaic],
        parts: Mapping[str, Part | None],
        frame: Frame,
        *,
        around: Mapping[str, Around] | None = None,
        words: bool | str = True,
        marks: tuple[Mark, ...] = (),
        lit: Mapping[str, npt.ArrayLike] | None = None,
        headline: Mobject | None = None,
        into: Box | None = None,
        stands: str = "",
        light: str = "",
    ) -> None:
        if words not in (True, False, ROWS, MARKED):
            raise SceneCodeError(f"words={words!r}; choose True, False, {ROWS!r} or {MARKED!r}")
        self.headline, self.lamp, room = headline, None, into or frame.free
        if headline is not None:
            top = float(headline.get_bottom()[1]) - BELOW_HEADLINE
            room = Box.of(room.left, room.right, room.bottom, top)
        self.room = room
        around = {
            name: _with_marks((around or {}).get(name, Around()), own, upright=frame.upright)
            for name in mosaics[0].names
            for own in [[mark for mark in marks if mark.part == name]]
        }
        chosen: dict[str, Part] = {}
        absent = set()
        for name in mosaics[0].names:
            if name not in parts:
                raise mosaics[0].unknown(name, parts)
            if (part := parts[name]) is None:
                absent.add(name)
            else:
                chosen[name] = part
        if absent and not chosen:
            raise SceneCodeError(f"{mosaics[0]}: this model has none of its parts")
        variants = [mosaic.without(absent) for mosaic in mosaics]
        mosaic = variants[0]
        if frame.upright and 1 in (len(mosaic.grid), len(mosaic.grid[0])):
            variants.append(mosaic.transposed)
        # Each part is measured once for all that is tried.
        size = cache(lambda name, own: chosen[name].size(own))
        tried, errors = [], []
        for variant in variants:
            try:
                dressed = dict(_dressed(variant, chosen, around, words))
                tried.append(_arranged(variant, dressed, size, room))
            except SceneCodeError as error:
                errors.append(error)
        if not tried:
            raise errors[0]
        self.mosaic, self.dressing, self.arrangement = max(tried, key=_largeness)
        self.pitches = self.arrangement.pitches
        wanted = dict(_dressed(self.mosaic, chosen, around, words))
        self.left_out = tuple(_left_out(wanted, self.dressing))
        self.parts: dict[str, PlacedPart] = {}
        for name, part in chosen.items():
            place = Place(self.arrangement.boxes[name], self.arrangement.titles[name])
            pieces = part.pieces(place, self.dressing[name])
            self.parts[name] = PlacedPart(name, place.box, pieces, part)
        lit = lit or {}
        for name, shown in lit.items():
            if name in self.parts:
                self.parts[name].cells.light(shown)
        self.marked = [mark for mark in marks if mark.part in self.parts]
        self.marks = [
            # Over cells that come later too.
            Highlight(mark.box(self.parts[mark.part].cells), colour=mark.colour).set_z_index(1)
            for mark in self.marked
        ]
        self.labels = {
            number: _label(mark, box, self.parts[mark.part], upright=frame.upright)
            for number, (mark, box) in enumerate(zip(self.marked, self.marks, strict=True))
            if mark.label is not None
        }
        if words == MARKED:
            self._dim_unmarked()
        for (name, kind), piece in self.pieces.items() if WORDS in lit else ():
            if name == WORDS:
                given = lit.get(COLUMN_WORDS, lit[WORDS]) if COLUMN_WORDS in kind else lit[WORDS]
                levels = shares(given, (len(piece.submobjects),), "opacities", WORDS)
                for word, level in zip(piece.submobjects, levels, strict=True):
                    set_presence(word, float(level))
        self.standing = self._stand(stands) if stands else None
        self.lamp = self._lamp(light) if light in self.parts else None

    def _stand(self, how: str) -> Standing:
        """Stand up in the room, with a pane under each part that has cells."""
        standing = Standing(how, (p for p in self.pieces.values() if p is not self.headline))
        for name, part in self.parts.items():
            pieces = dict(part.pieces)
            if isinstance(cells := pieces.get("cells"), Cells):
                pieces["pane"] = standing.pane(part.box, part.pieces.values())
                cells.box = standing.box(cells.box)
            self.parts[name] = replace(part, box=standing.box(part.box), pieces=pieces)
        if self.headline is not None:
            pin_to_frame(self.headline)
        if how == GLASS:
            mirrored(Group(*self.pieces.values()))
        return standing

    def _lamp(self, name: str) -> Lamp:
        """Return a lamp over a part, whose light reaches as far from there as the part does."""
        part = self.parts[name]
        pane = part.pieces.get("pane")
        over = pane.middle if isinstance(pane, Body) else part.whole
        return Lamp(over, radius=max(RADIUS, part.box.width / 2))

    def _dim_unmarked(self) -> None:
        """Dim the words of rows and columns that no mark frames, in any part beside or below."""
        spans = self.mosaic.spans
        for name, part in self.parts.items():
            for side in ("row", "column"):
                along = attrgetter(f"{side}s")
                words = part.pieces.get(f"{side} words", Group()).submobjects
                marks = (m for m in self.marked if along(spans[m.part]) == along(spans[name]))
                framed = {n for mark in marks if (n := getattr(mark, side)) is not None}
                for place, word in enumerate(words):
                    bright = not framed.isdisjoint({place, place - len(words)})
                    set_presence(word, 1.0 if bright else UNMARKED)

    def row_of(self, name: str) -> list[Box]:
        """Return for each drawn row of a part the box of it and of what stands left in its row.

        Parts that have other rows are left out, and those before a sign.
        """
        spans, span, cells = self.mosaic.spans, self.mosaic.spans[name], self.parts[name].cells
        signs = [its for other, its in spans.items() if sign(other) and its.rows == span.rows]
        stops = (its.columns[1] for its in signs)
        start = max((stop for stop in stops if stop <= span.columns[0]), default=0)
        left = min(
            part.box.left
            for other, part in self.parts.items()
            if spans[other].rows == span.rows
            and start <= spans[other].columns[0]
            and spans[other].columns <= span.columns
            and np.isclose(part.box.height, cells.box.height)
        )
        rows = (cells.row(index) for span in cells.spans[0] for index in range(*span))
        return [Box.of(left, row.right, row.bottom, row.top) for row in rows]

    @property
    def pieces(self) -> dict[Key, Mobject]:
        """All mobjects, by the name of the part and what each is; words by their order."""
        found: dict[Key, Mobject] = {}
        counts = {"row words": 0, "column words": 0}
        for name, part in self.parts.items():
            for kind, piece in part.pieces.items():
                if kind in counts:
                    # Words belong to rows of the picture, whatever stands beside them.
                    found[WORDS, f"{kind} {counts[kind]}"] = piece
                    counts[kind] += 1
                else:
                    found[name, kind] = piece
        found |= {("mark", str(number)): mark for number, mark in enumerate(self.marks)}
        found |= {("label", str(number)): label for number, label in self.labels.items()}
        if self.lamp is not None:
            found[LAMP] = self.lamp
        return found if self.headline is None else found | {("headline", "whole"): self.headline}


def _largeness(arranged: Arranged) -> tuple[float, ...]:
    """Return how large what a mosaic shows is: first what has no cells, then the cells."""
    _mosaic, dressing, arrangement = arranged
    scale = min((one.scale for one in dressing.values()), default=1.0)
    return scale, arrangement.pitches.get(TOKEN, 0.0), *arrangement.pitches.values()


def _arranged(
    mosaic: Mosaic, dressing: Mapping[str, Around], size: Callable[[str, Around], Size], room: Box
) -> Arranged:
    """Return a mosaic, what stands around its parts, and where they are.

    Where there is no room, it is not kept away from the notes; then colour bars are left out, then
    only the rows at the left have words, then these are small, then there are none. Where that does
    not help, all words stay, and parts without cells are made smaller.
    """
    lower = Box.of(room.left, room.right, room.bottom, room.top - BELOW_NOTES)
    bare = {name: replace(one, bar=False) for name, one in dressing.items()}
    fewer = {
        name: replace(one, column_words=False, row_words=one.row_words.replace("right", ""))
        for name, one in bare.items()
    }
    small = {name: replace(one, small=True) for name, one in fewer.items()}
    none = {name: replace(one, row_words="") for name, one in small.items()}

    def tried(one: Mapping[str, Around], free: Box) -> Arranged:
        sizes = {name: size(name, around) for name, around in one.items()}
        return mosaic, one, arrange(mosaic, sizes, free)

    errors = []
    for one, free in (
        (dressing, lower),
        *((o, room) for o in (dressing, bare, fewer, small, none)),
    ):
        try:
            return tried(one, free)
        except SceneCodeError as error:
            errors.append(error)
    found, low, high = None, 0.0, 1.0
    for _ in range(HALVINGS):
        scale = (low + high) / 2
        try:
            found = tried({n: replace(one, scale=scale) for n, one in dressing.items()}, room)
            low = scale
        except SceneCodeError:
            high = scale
    if found is None:
        raise errors[-1]
    return found


def _with_marks(around: Around, marks: Sequence[Mark], *, upright: bool) -> Around:
    """Return what stands around a part, with what its marks pick out, and room for their labels."""
    room = {"beside": 0.0, "over": 0.0, "under": 0.0}
    for mark in marks:
        if mark.label is not None:
            where = mark.place(upright=upright)
            length = mark.label.width if where == "beside" else mark.label.height
            gap = WORD_GAP if where == "over" else LABEL_GAP
            room[where] = max(room[where], float(length) + gap)
    rows, columns = (
        tuple(number for mark in marks if (number := getattr(mark, axis)) is not None)
        for axis in ("row", "column")
    )
    around = replace(around, marked=(rows, columns))
    return replace(around, beside=room["beside"], over=room["over"], under=room["under"])


def _label(mark: Mark, frame: Highlight, part: PlacedPart, *, upright: bool) -> Mobject:
    """Return the label of a mark in its place, with a line from a cell to it."""
    assert mark.label is not None
    label, pieces, box = mark.label.copy(), part.pieces, part.box
    cells, half = pieces["cells"], (label.width / 2, label.height / 2)
    if (where := mark.place(upright=upright)) == "over":
        top = float(pieces.get("column words", pieces.get("column numbers", cells)).get_top()[1])
        return label.move_to([frame.get_x(), top + WORD_GAP + half[1], 0])
    if where == "under":
        y = box.bottom - BAR * ("bar" in pieces) - LABEL_GAP - half[1]
        label.move_to([max(box.left + half[0], min(box.right - half[0], frame.get_x())), y, 0])
        ends = frame.get_bottom(), label.get_top() + WORD_GAP * UP
    else:
        title = pieces.get("title", cells)
        left = float(pieces.get("row words", pieces.get("row numbers", cells)).get_right()[0])
        above = title.get_left()[0] < box.right
        top = box.top if above else float(title.get_bottom()[1]) - WORD_GAP
        y = max(box.bottom + half[1], min(top - half[1], frame.get_y()))
        label.move_to([max(box.right, left) + LABEL_GAP + half[0], y, 0])
        ends = frame.get_right(), label.get_left() + WORD_GAP * LEFT
    if mark.column is None:
        return label
    line = Line(*ends, stroke_color=frame.get_stroke_color(), stroke_width=current_theme().line)
    return VGroup(line.set_z_index(1), label)


def _left_out(wanted: Mapping[str, Around], given: Mapping[str, Around]) -> Iterator[str]:
    """Yield which words parts should have, and have not."""
    for name, one in wanted.items():
        if one.row_words and not given[name].row_words:
            yield f"the words beside {name}"
        if one.column_words and not given[name].column_words:
            yield f"the words above {name}"


def _dressed(
    mosaic: Mosaic, parts: Mapping[str, Part], around: Mapping[str, Around], words: bool | str
) -> Iterator[tuple[str, Around]]:
    """Yield what stands around each part.

    Words and numbers stand beside the leftmost part of each row of panels, and above the topmost of
    each column; others in the same row or column, such as words of another prompt, at their part.
    """

    def first(axis: str, across: str) -> set[str]:
        """Return the first part with something of its own at each row, or column, of the mosaic."""
        found: dict[tuple[int, tuple[str, ...]], str] = {}
        for name in sorted(mosaic.names, key=lambda name: getattr(mosaic.spans[name], across)):
            part, track = parts[name], getattr(mosaic.spans[name], axis)[0]
            if isinstance(part, Matrix) and (label := part.at_axis(axis == "columns")):
                found.setdefault((track, label), name)
        return set(found.values())

    beside, above = first("rows", "columns"), first("columns", "rows")
    for name in mosaic.names:
        own = around.get(name, Around())
        where = ""
        if words and name in beside:
            # On the left they would meet what stands there, or the words of columns below.
            start, stop = mosaic.spans[name].columns
            where = "right" if start > 0 and stop == len(mosaic.grid[0]) else "left"
        over = words in (True, MARKED) and name in above
        yield name, replace(own, row_words=where, column_words=over)
