"""Bodies that pictures are made of: slabs with words, numbers as reliefs and bars, panes of glass.

Each of them has its origin in the middle of its foot, or of its zero line, and faces the eye. Where
it stands is said by :meth:`~filmkit.core.body.Body.put`. Numbers are lengths on a linear scale, of
which nothing is cut off: ``unit`` is how much one scene unit stands for, and bodies that are to be
compared have the same one (:meth:`Relief.unit_of`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, color_to_rgb

from filmkit.core.animations import Arrive, Change, InPlaceAnimation
from filmkit.core.body import Body, put, turned
from filmkit.core.camera import keep_upright
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_short
from filmkit.core.text import NO_BREAK_SPACE, Label
from filmkit.core.theme import current_theme, mixed
from filmkit.core.token_text import printable
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import Matrix

__all__ = ["Bars", "Pane", "Relief", "Rows", "Sentence", "Slab", "number_at"]

Array = npt.NDArray[np.float64]

NUMBER = int, float, np.integer, np.floating

MOST = 576  # numbers of a relief
MOST_ROWS = 48  # reliefs behind each other
BAR = 0.74  # width of a bar, as a share of its pitch
MINUS = 0.58  # light of a bar below zero, as a share of one above
RAIL = 0.36  # light of the line at zero
LINE = 0.006  # half of its thickness where it lies on a face, in scene units
UP_OF_LETTERS = {"floor": ((0.0, 0.0, -1.0), 0.0), "stands": ((0.0, 1.0, 0.0), 0.5)}
"""Where the letters of a number point that lies so, and how high its middle is over its place."""

WIDTH, HEIGHT, DEPTH = 6.0, 0.8, 0.12  # of a relief: its length, longest bar and depth
FLAT = 1e-3  # height of what begins to grow, as a share of its own

FACE = 0.55  # by how much a slab's face is nearer to the card's colour than its edge
EDGE = 0.06  # height of a slab's edge, in scene units
LETTERS = 0.4  # height of a line of letters, as a share of the slab's height
MARGIN = 0.3  # beside a word, as a share of the slab's height
LETTERS_OF_ROW = 0.55  # the same beside a row, as a share of the distance to the next one
WIDEST = 5.0  # width up to which a word widens a slab, as a multiple of its height
WORD_BAND, ROW_BAND = (0.48, 1.0), (0.06, 0.48)  # of a face that holds both, from its foot
RIM = 0.05  # at the sides of a face, at most, in scene units
FRAME = 0.03  # thickness of a pane's edges, in scene units


def _positive(what: str, *lengths: Any) -> None:
    """Refuse lengths of something that are no finite numbers above 0."""
    for length in lengths:
        if not isinstance(length, NUMBER) or not 0 < length < math.inf:
            raise SceneCodeError(f"{what} takes sizes above 0, not {length!r}")


def _numbers(given: Any, what: str, *most: float) -> Array:
    """Return an array of finite numbers, (n,) or (n, m), with at most so many along each axis."""
    try:
        numbers = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise SceneCodeError(f"{what} takes numbers, all rows of the same length") from None
    if not numbers.size or numbers.ndim != len(most) or np.any(np.array(numbers.shape) > most):
        limits = " x ".join(f"1 to {limit}" for limit in most)
        raise SceneCodeError(
            f"{what} takes {limits} numbers, not an array of shape {numbers.shape}; give a part"
        )
    if not np.isfinite(numbers).all():
        raise SceneCodeError(f"{what} holds what is infinite or not a number; give finite numbers")
    return numbers


def _numbered(index: int, count: int, what: str) -> int:
    """Return an index counted from 0; -1 means the last thing."""
    if not -count <= index < count:
        raise SceneCodeError(f"there is no {what} {index}; choose 0 to {count - 1}, or -1")
    return index % count


def _light(role: str, otherwise: str, nearer_card: float = 0.0) -> Array:
    """Return RGB (3,) of a role or "#RRGGBB", 0 to 255, some way to the card's colour."""
    theme = current_theme()
    try:
        hue = role if role.startswith("#") else theme.role(role or otherwise)
        return np.asarray(color_to_rgb(mixed(hue, theme.card, nearer_card))) * 255
    except ValueError:
        raise SceneCodeError(
            f"there is no role {role!r}; give one such as query, key, value, latent or scores"
        ) from None


class Relief(Body):
    """A row of numbers as bars up and down from a zero line.

    Parameters
    ----------
    values : (n,)
        1 to 576 numbers.
    role
        Whose colour it has, such as "query"; or a colour, "#RRGGBB".
    width
        How long it is, in scene units.
    height
        Length of the longest bar, if there is no unit.
    depth
        From front to back; 0 for a drawing on a face.
    unit
        How much one scene unit stands for: equal for all that is compared, see :meth:`unit_of`.
    source
        Where the numbers come from.
    told
        What it is, in words.

    Attributes
    ----------
    kind, values, first, unit, source, told
        As of every :class:`~filmkit.core.body.Body`: bars are boxes ``first`` to ``first + n``.

    Raises
    ------
    SceneCodeError
        If it is no row of so many finite numbers, a length is not above 0, or there is no role.

    Examples
    --------
    ::

        unit = Relief.unit_of(q, k)
        query = Relief(q, role="query", unit=unit, told="query of white").put((0, 2.4, 0))
        key = Relief(k, role="key", unit=unit, told="key of red").put((0, 1.2, 0))
    """

    kind: ClassVar[str] = "relief"

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        role: str = "",
        width: float = WIDTH,
        height: float = HEIGHT,
        depth: float = DEPTH,
        unit: float | None = None,
        source: TensorSource | None = None,
        told: str = "",
    ) -> None:
        row = _numbers(values, "a relief", MOST)
        unit = self.unit_of(row, height=height) if unit is None else unit
        _positive("a relief", width, unit, depth or 1)
        count = len(row)
        pitch, near = width / count, np.full(count, depth / 2)
        middles, ends = (np.arange(count) + 0.5) * pitch - width / 2, row / unit
        low = np.stack([middles - BAR / 2 * pitch, np.minimum(ends, 0), -near], axis=1)
        high = np.stack([middles + BAR / 2 * pitch, np.maximum(ends, 0), near], axis=1)
        # From the front, a sheet in the plane of zero cannot be seen.
        end = np.array([width / 2, 0.0 if depth else LINE, depth / 2])
        boxes = np.concatenate([[[-end, end]], np.stack([low, high], axis=1)])
        # Less light is less colour where the ground is white.
        level = np.sqrt([RAIL, *np.where(row < 0, MINUS, 1.0)])[:, None]
        ground = np.asarray(color_to_rgb(current_theme().background)) * 255
        colours = ground + (_light(role, "ink") - ground) * level
        super().__init__(boxes, colours, layers=[0, *np.sign(row).astype(int)])
        self.values, self.first, self.unit, self.told = row, 1, unit, told
        self.source = source or TensorSource()

    @staticmethod
    def unit_of(*rows: npt.ArrayLike, height: float = HEIGHT) -> float:
        """Return the unit with which the largest of all numbers is as long as ``height``."""
        _positive("a relief", height)
        largest = max((float(np.abs(row).max(initial=0.0)) for row in rows), default=0.0)
        return largest / height or 1.0

    @classmethod
    def of(cls, matrix: Matrix | Heatmap, row: int, **kwargs: Any) -> Self:
        """Return a row of a matrix, which knows where its numbers come from.

        Parameters
        ----------
        matrix
            Such as ``head_matrix(self.head, "V")``, or a heatmap.
        row
            Its number; -1 is the last one.
        **kwargs
            As for the class; colour and words are the matrix's own by default.

        Raises
        ------
        SceneCodeError
            If there is no such row.
        """
        rows, columns = matrix.values.shape
        row = _numbered(row, rows, "row")
        source = matrix.source.part((row, row + 1), (0, columns))
        if isinstance(matrix, Matrix):
            kwargs.setdefault("role", matrix.colour or "")
            word = matrix.words[row : row + 1] if matrix.rows == TOKEN else ()
            kwargs.setdefault("told", ": ".join(filter(None, (*map(printable, word), matrix.name))))
        return cls(matrix.values[row], source=source, **kwargs)

    def bar(self, index: int) -> Array:
        """Return the middle (3,) of the end of a bar in the scene; -1 is the last one."""
        assert self.values is not None
        number = _numbered(index, len(self.values), "bar")
        x, _y, z = self.boxes[self.first + number].mean(axis=0)
        return self.at((x, self.values[number] / self.unit, z))

    def part(self, start: int, stop: int) -> Relief:
        """Return some of its numbers as a relief of their own, which stands where they stand."""
        assert self.values is not None
        part = self.copy()
        part.submobjects = []
        chosen = np.arange(len(self.values))[start:stop] + self.first
        kept = [0, *chosen.tolist()]
        part.boxes, part.colours, part.layers = (
            each[kept] for each in (self.boxes, self.colours, self.layers)
        )
        pitch = np.ptp(self.boxes[0, :, 0]) / len(self.values)
        part.boxes[0, :, 0] = self.boxes[0, 0, 0] + pitch * (chosen[[0, -1]] - self.first + [0, 1])
        part.values = self.values[start:stop]
        part.source = self.source.part((0, 1), (start, stop))
        return part

    def grow(self, **kwargs: Any) -> Arrive:
        """Return the animation in which it appears and its bars grow from the zero line."""
        flat = self.copy().stretch(FLAT, 1, about_point=self.points[0]).fade(1)
        return Arrive(self, flat, **kwargs)


class Rows(Group):
    """A matrix as reliefs one behind the other, on one scale, the last row nearest to the eye.

    Parameters
    ----------
    matrix : (rows, columns) or Matrix
        Up to 48 rows of 576 numbers.
    gap
        Distance from row to row, in scene units.
    words
        What stands at the left of each row; those of a matrix's tokens by default.
    unit, **look
        As for :class:`Relief`: role, width, height and depth of all rows.

    Attributes
    ----------
    offsets : (rows,)
        How far each row stands before its own place.

    Raises
    ------
    SceneCodeError
        If there are more numbers, one is not finite, or there are not as many words as rows.

    Examples
    --------
    ::

        values = Rows(head_matrix(self.head, "V"))
        self.play(Appear(values))
        self.play(values.forward(5))
    """

    def __init__(
        self,
        matrix: npt.ArrayLike | Matrix,
        *,
        gap: float = 0.7,
        words: Sequence[str] | None = None,
        unit: float | None = None,
        **look: Any,
    ) -> None:
        _positive("the gap between rows", gap)
        if not isinstance(matrix, Matrix):
            matrix = Matrix(_numbers(matrix, "a matrix of rows", MOST_ROWS, MOST), rows="row")
        values = _numbers(matrix.values, "a matrix of rows", MOST_ROWS, MOST)
        if words is None:
            words = matrix.words if matrix.rows == TOKEN else ()
        if len(words) not in (0, len(values)):
            raise SceneCodeError(f"{len(values)} rows have {len(words)} words; give one for each")
        height = look.pop("height", HEIGHT)
        unit = Relief.unit_of(values, height=height) if unit is None else unit
        super().__init__(*(Relief.of(matrix, i, unit=unit, **look) for i in range(len(values))))
        # The longest bar below zero ends on the floor.
        above = max(0.0, -float(values.min())) / unit + LINE
        for number, relief in enumerate(self):
            relief.put((0.0, above, gap * (number + 1 - len(values))))
        for relief, word in zip(self, words, strict=False):
            letters = LETTERS_OF_ROW * gap
            label = Label(printable(word), size=letters / FRAME_HEIGHT)
            left = relief.boxes[0, 0, 0] - (label.width + letters) / 2
            put(label, relief, (left, 0.0, 0.0), (1, 0, 0), (0, 1, 0))
            relief.told = ": ".join(filter(None, (label.text, matrix.name)))
        self.gap, self.offsets = gap, np.zeros(len(values))

    def forward(self, row: int | None, **kwargs: Any) -> InPlaceAnimation:
        """Return the animation in which a row comes to the front and all others step back.

        Parameters
        ----------
        row
            Its number, -1 for the last one; None for all of them to go to their own places.
        **kwargs
            As for :class:`manim.Animation`.

        Raises
        ------
        SceneCodeError
            If there is no such row.
        """
        offsets = np.full(len(self), 0.0 if row is None else -self.gap)
        if row is not None:
            row = _numbered(row, len(self), "row")
            offsets[row] = self.gap * (len(self) - row)
        return _Stepping(self, offsets, **kwargs)


class _Stepping(InPlaceAnimation):
    """Move rows to some distances (rows,) before their own places."""

    def __init__(self, rows: Rows, offsets: Array, **kwargs: Any) -> None:
        super().__init__(rows, **kwargs)
        self.offsets = offsets

    def evenly(self) -> Iterator[Change]:
        rows = self.mobject
        yield partial(setattr, rows, "offsets"), rows.offsets, self.offsets
        for relief, step in zip(rows, self.offsets - rows.offsets, strict=True):
            for member in relief.get_family():
                end = member.points + step * relief.axes[2]
                yield partial(setattr, member, "points"), member.points, end


class _Bar(Relief):
    """One number as a tower; parameters are those of a relief."""

    kind: ClassVar[str] = "bars"


class Bars(Group):
    """Numbers as towers, side by side or on what they belong to.

    Where there is a number below zero, all zero lines are so high that its bar has room.

    Parameters
    ----------
    values : (n,)
        1 to 576 numbers.
    on
        A body for each of them, on the top of which it stands; none to stand on the floor.
    side
        Width and depth of a tower, in scene units.
    gap
        From middle to middle on the floor.
    height
        Of the largest one, if there is no unit.
    unit, source, **look
        As for :class:`Relief`; the source is that of all of them together.

    Attributes
    ----------
    values : (n,)
        The numbers. Each tower knows its own, and is told as its body is.

    Raises
    ------
    SceneCodeError
        If it is no row of finite numbers, or there are not as many bodies.

    Examples
    --------
    ::

        towers = Bars(scores, on=slabs, role="scores")
        self.play(towers.grow())
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        on: Sequence[Body] = (),
        *,
        side: float = 0.4,
        gap: float = 0.8,
        height: float = 1.5,
        unit: float | None = None,
        source: TensorSource | None = None,
        **look: Any,
    ) -> None:
        self.values = _numbers(values, "bars", MOST)
        count, whole = len(self.values), source or TensorSource()
        if len(on) not in (0, count) or not all(isinstance(body, Body) for body in on):
            raise SceneCodeError(f"{count} bars stand on {count} bodies; give one for each")
        unit = Relief.unit_of(self.values, height=height) if unit is None else unit
        _positive("bars", side, gap, unit)
        look |= {"width": side / BAR, "depth": side, "unit": unit}
        super().__init__()
        above = max(0.0, -float(self.values.min())) / unit
        for i, value in enumerate(self.values):
            tower = _Bar([value], source=whole.part((0, 1), (i, i + 1)), **look)
            tower.put((gap * (i - (count - 1) / 2), above, 0.0))
            if on:
                frame = on[i].axes / np.linalg.norm(on[i].axes, axis=1)[:, None]
                tower.points = on[i].top + above * frame[1] + np.array([np.zeros(3), *frame])
                tower.told = on[i].told
            self.add(tower)

    def bar(self, index: int) -> Array:
        """Return the middle (3,) of the end of a bar in the scene; -1 is the last one."""
        end: Array = self[_numbered(index, len(self), "bar")].bar(0)
        return end

    def grow(self, **kwargs: Any) -> Arrive:
        """Return the animation in which they are added and grow from zero."""
        return Arrive(self, Group(*(tower.grow().origin for tower in self)), **kwargs)


class Slab(Body):
    """A standing stone with a word on its face and an edge that catches light.

    Parameters
    ----------
    word : str or number
        What stands on it; "" for nothing. A long word widens it, or gets smaller where it cannot.
    role
        Whose colour its edge and, darker, its faces have: such as "key", or "#RRGGBB".
    width, height, thickness
        Size in scene units; it is as wide as its word needs by default.
    colour
        Colour of the word, "#RRGGBB"; the theme's ``ink`` by default.

    Attributes
    ----------
    kind, told
        "slab", and the word.
    word : Label or None
        The word that lies on it.

    Raises
    ------
    SceneCodeError
        If the number is not finite, a length is not above 0, or there is no role.

    Examples
    --------
    ::

        slab = Slab("white", role="query").put((-3, 0, 1), turn=20)
        slab.engrave(q, role="query")
        self.add(slab)
    """

    kind: ClassVar[str] = "slab"

    def __init__(
        self,
        word: str | float,
        *,
        role: str = "",
        width: float | None = None,
        height: float = 0.7,
        thickness: float = 0.2,
        colour: str | None = None,
    ) -> None:
        _positive("a slab", height, thickness, 1 if width is None else width)
        text = _text(word)
        label = Label(text, size=LETTERS * height / FRAME_HEIGHT, colour=colour)
        margin = MARGIN * height
        if width is None:
            width = min(max(label.width + 2 * margin, height), WIDEST * height)
        low, high = np.array([[-width / 2, 0, -thickness / 2], [width / 2, height, thickness / 2]])
        edge = np.array([0.0, min(EDGE, height / 5), 0.0])
        boxes = [[low, high - edge], [[low[0], (high - edge)[1], low[2]], high]]
        colours = [_light(role, "stone", FACE), _light(role, "lamp")]
        super().__init__(boxes, colours, layers=[0, 1])
        self.told, self.word = text, label if text else None
        if self.word is not None:
            self.lay(self.word.shrink_to(max(width - 2 * margin, LINE)))

    def lay(self, mobject: Mobject, band: tuple[float, float] = (0.0, 1.0)) -> Self:
        """Lay something flat onto its face, smaller if it has no room, and return the slab.

        Parameters
        ----------
        mobject
            A label, a heatmap, a drawing.
        band
            Which part of the face it has, from the foot, 0, to the edge, 1.
        """
        low, high = self._face(band)
        sizes = zip(high - low, (mobject.width, mobject.height), strict=False)
        mobject.scale(min(1.0, *(room / size for room, size in sizes if size)))
        put(mobject, self, (low + high) / 2, (1, 0, 0), (0, 1, 0))
        return self

    def engrave(
        self,
        values: npt.ArrayLike,
        role: str = "",
        unit: float | None = None,
        *,
        source: TensorSource | None = None,
    ) -> Relief:
        """Draw a row of numbers on its face, under its word, and return that relief.

        Parameters
        ----------
        values : (n,)
            1 to 576 numbers.
        role, unit, source
            As for :class:`Relief`; without a unit the largest number fills the height.

        Raises
        ------
        SceneCodeError
            If it is no such row, or its bars are too long for the face.
        """
        low, high = self._face(ROW_BAND if self.word else (0.0, 1.0))
        width, height, _depth = high - low
        least = Relief.unit_of(_numbers(values, "a relief", MOST), height=height / 2)
        unit = least if unit is None else unit
        row = Relief(
            values, role=role, width=width, depth=0, unit=unit, source=source, told=self.told
        )
        if np.abs(row.extent[:, 1]).max() > height / 2 + LINE:
            raise SceneCodeError(
                f"bars are longer than the slab has room for; give a unit of {least:.4g} or more"
            )
        if self.word is not None:
            bottom, top = self._face(WORD_BAND)
            self.word.move_to(self.at((bottom + top) / 2))
        row.shadow = False
        row.points = self.at(row.points + (low + high) / 2)
        self.add(row)
        return row

    def _face(self, band: tuple[float, float]) -> tuple[Array, Array]:
        """Return the lowest and the highest corner (3,) of a band of its face."""
        low, high = self.boxes[0]
        foot, top = low[1] + np.array(band) * (high - low)[1]
        rim = min(RIM, (high - low)[0] / 10)
        return np.array([low[0] + rim, foot, high[2]]), np.array([high[0] - rim, top, high[2]])


class Sentence(Group):
    """Words as slabs, one after the other on the floor, all with letters of the same size.

    Parameters
    ----------
    words
        What stands on each of them.
    roles
        The roles of some, by their numbers: ``{5: "key"}``.
    near
        Whether they come nearer, one before the other, as upright frames need it; by default they
        go to the right.
    gap
        From slab to slab, in scene units.
    **look
        As for :class:`Slab`: height, width and thickness of all of them.

    Examples
    --------
    ::

        words = Sentence(self.layer.words, {5: "key"}, near=self.frame.upright)
        self.play(Appear(words))
    """

    def __init__(
        self,
        words: Sequence[str],
        roles: Mapping[int, str] | None = None,
        *,
        near: bool = False,
        gap: float = 0.25,
        **look: Any,
    ) -> None:
        _positive("a sentence", gap)
        roles = roles or {}
        slabs = [Slab(word, role=roles.get(i, ""), **look) for i, word in enumerate(words)]
        axis = 2 if near else 0
        lengths = [gap + (1.0 if near else np.ptp(slab.extent[:, 0])) for slab in slabs]
        ends = np.cumsum(lengths)
        for slab, end, length in zip(slabs, ends, lengths, strict=True):
            slab.put((end - (length + ends[-1]) / 2) * np.eye(3)[axis])
        super().__init__(*slabs)


class Pane(Body):
    """A matrix on glass, in thin edges, that stands in the room and can be carried.

    It is seen from both sides.

    Parameters
    ----------
    matrix : Matrix, Heatmap or (rows, columns)
        What lies on it; a heatmap is moved there.
    height, width
        Of the matrix, in scene units; without a width its cells are square.
    told
        What it is, in words.

    Attributes
    ----------
    cells : Heatmap
        The matrix.

    Raises
    ------
    SceneCodeError
        If it is no matrix of finite numbers, or a length is not above 0.

    Examples
    --------
    ::

        pane = Pane(weights, height=2.4).put((-2, 0, 0), turn=30)
        self.play(pane.animate.shift([4, 0, 0]))
    """

    def __init__(
        self,
        matrix: Matrix | Heatmap | npt.ArrayLike,
        *,
        height: float = 2.0,
        width: float | None = None,
        told: str = "",
    ) -> None:
        _positive("a pane", height, 1 if width is None else width)
        if isinstance(matrix, Matrix):
            matrix = matrix.heatmap(Box(0.0, 0.0, 1.0, 1.0))
        if not isinstance(matrix, Heatmap):
            matrix = Heatmap(_numbers(matrix, "a pane", math.inf, math.inf))
        rows, columns = matrix.shape
        right, thin = (height * columns / rows if width is None else width) / 2, FRAME / 2
        side, upper, top = right + FRAME, FRAME + height, 2 * FRAME + height
        boxes = [
            [(-side, 0, -thin), (-right, top, thin)],
            [(right, 0, -thin), (side, top, thin)],
            [(-right, 0, -thin), (right, FRAME, thin)],
            [(-right, upper, -thin), (right, top, thin)],
        ]
        super().__init__(boxes, current_theme().glass, layers=[0, 0, -1, 1])
        self.cells, self.told = matrix, told
        matrix.place(Box(0.0, 0.0, 2 * right, height))
        put(matrix, self, (0.0, FRAME + height / 2, 0.0), (1, 0, 0), (0, 1, 0))


def number_at(
    text: str | float,
    at: npt.ArrayLike,
    lies: str = "air",
    *,
    size: float = 0.5,
    colour: str | None = None,
    turn: float = 0.0,
) -> Label:
    """Return a number, or a word, at a point of the room.

    On a slab's face it is laid by :meth:`Slab.lay`.

    Parameters
    ----------
    text
        A number is written with three digits.
    at : (3,)
        Where its middle is; where it stands, its foot.
    lies
        "floor": it lies flat, read from the eye; "stands": upright; "air": it always faces the eye,
        at the same size.
    size
        Height of its line in scene units.
    colour
        "#RRGGBB"; the theme's ``ink`` by default.
    turn
        How far it is turned about the vertical, in degrees, if it is not in the air.

    Raises
    ------
    SceneCodeError
        If it is no number, the point no place, or there is no such way to lie.

    Examples
    --------
    ::

        self.add(number_at("69 %", (0, 0, 1.2), "floor", size=0.8))
        self.add(number_at(3.89, query.bar(30), "air"))
    """
    _positive("a number", size)
    place = _numbers(at, "the place of a number", 3)
    if len(place) != 3:
        raise SceneCodeError(f"the place of a number is (x, y, z), not {len(place)} numbers")
    # Of a figure, unlike a token, a blank that must not break is one that need not be seen.
    words = text.replace(NO_BREAK_SPACE, " ") if isinstance(text, str) else text
    label = Label(_text(words), size=size / FRAME_HEIGHT, colour=colour)
    if lies == "air":
        return keep_upright(label, place)
    if lies not in UP_OF_LETTERS:
        raise SceneCodeError(f"a number lies on the floor, stands or is in the air, not {lies!r}")
    up, foot = UP_OF_LETTERS[lies]
    x, y, _z = label.points.T
    flat = np.outer(x, [1.0, 0.0, 0.0]) + np.outer(y + foot * size, up)
    label.points = turned(flat, turn) + place
    return label


def _text(given: Any) -> str:
    """Return a word as it is printed, and a number with three digits."""
    if isinstance(given, str):
        return printable(given) if given else ""
    if not isinstance(given, NUMBER) or not math.isfinite(given):
        raise SceneCodeError(f"{given!r} is neither a word nor a finite number; give one")
    return format_short(float(given))
