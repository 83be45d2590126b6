"""Bodies that pictures are made of: slabs with words, numbers as reliefs and bars, panes of glass.

Each of them has its origin in the middle of its foot, or of its zero line, and faces the eye. Where
it stands is said by :meth:`~filmkit.core.body.Body.put`. Numbers are lengths on a linear scale, of
which nothing is cut off: ``unit`` is how much one scene unit stands for, and bodies that are to be
compared have the same one (:meth:`Relief.unit_of`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
from filmkit.core.text import Label
from filmkit.core.theme import current_theme, mixed
from filmkit.core.token_text import printable
from filmkit.pictures.parts import Matrix

__all__ = ["Bars", "Pane", "Relief", "Rows", "Slab", "number_at"]

Array = npt.NDArray[np.float64]

MOST = 576  # numbers of a relief
MOST_ROWS = 48  # reliefs behind each other
BAR = 0.74  # width of a bar, as a share of its pitch
MINUS = 0.58  # light of a bar below zero, as a share of one above
RAIL = 0.36  # light of the line at zero
LINE = 0.006  # half of its thickness where it lies on a face, in scene units
WIDTH, HEIGHT, DEPTH = 6.0, 0.8, 0.12  # of a relief: its length, longest bar and depth
FLAT = 1e-3  # height of what begins to grow, as a share of its own

FACE = 0.55  # by how much a slab's face is nearer to the card's colour than its edge
EDGE = 0.06  # height of a slab's edge, in scene units
LETTERS = 0.45  # height of a line of letters, as a share of the slab's height
MARGIN = 0.3  # beside a word, as a share of the slab's height
WIDEST = 5.0  # width up to which a word widens a slab, as a multiple of its height
WORD_BAND, ROW_BAND = (0.5, 0.94), (0.06, 0.46)  # of a face that holds both, from its foot
FRAME = 0.03  # thickness of a pane's edges, in scene units


def _positive(what: str, **lengths: float | None) -> None:
    """Refuse lengths that are no finite numbers above 0; None is not given."""
    for name, length in lengths.items():
        if length is not None and not (isinstance(length, (int, float, np.number)) and 0 < length < math.inf):
            raise SceneCodeError(f"{what} has a {name} above 0, not {length!r}")


def _numbers(given: Any, what: str, most: tuple[int, ...]) -> Array:
    """Return finite numbers with as many axes as ``most`` has, none longer than that."""
    try:
        numbers = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise SceneCodeError(f"{what} takes numbers, all rows of the same length") from None
    fits = numbers.ndim == len(most) and all(
        0 < count <= limit for count, limit in zip(numbers.shape, most, strict=True)
    )
    if not fits:
        limits = " x ".join(f"1 to {limit}" for limit in most)
        raise SceneCodeError(
            f"{what} takes {limits} numbers, not an array of shape {numbers.shape}; give a part"
        )
    if not np.isfinite(numbers).all():
        raise SceneCodeError(f"{what} holds what is infinite or not a number; give finite numbers")
    return numbers


def _hue(role: str, otherwise: str) -> str:
    """Return the colour of a role, or "#RRGGBB" as it is."""
    if role.startswith("#"):
        return role
    try:
        return current_theme().role(role) if role else otherwise
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
    width, pitch
        How long it is, in scene units, or the distance from bar to bar.
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
        width: float | None = None,
        pitch: float | None = None,
        height: float = HEIGHT,
        depth: float = DEPTH,
        unit: float | None = None,
        source: TensorSource | None = None,
        told: str = "",
        shadow: bool = True,
    ) -> None:
        row = _numbers(values, "a relief", (MOST,))
        _positive("a relief", width=width, pitch=pitch, height=height, unit=unit)
        if not 0 <= depth < math.inf:
            raise SceneCodeError(f"a relief has a depth of 0 or more, not {depth!r}")
        if width is not None and pitch is not None:
            raise SceneCodeError("a relief takes a width or a pitch, not both; leave one out")
        count = len(row)
        length = (width or WIDTH) if pitch is None else pitch * count
        unit = self.unit_of(row, height=height) if unit is None else float(unit)
        half, across = depth / 2, length / count
        middles = (np.arange(count) + 0.5) * across - length / 2
        ends = row / unit
        low = np.stack([middles - BAR / 2 * across, np.minimum(ends, 0), np.full(count, -half)], 1)
        high = np.stack([middles + BAR / 2 * across, np.maximum(ends, 0), np.full(count, half)], 1)
        thick = 0.0 if depth else LINE  # from the side, a sheet is nothing
        rail = [[-length / 2, -thick, -half], [length / 2, thick, half]]
        rgb = np.asarray(color_to_rgb(_hue(role, current_theme().ink))) * 255
        light = np.concatenate([[RAIL], np.where(row < 0, MINUS, 1.0)])
        super().__init__(
            np.concatenate([[rail], np.stack([low, high], axis=1)]),
            rgb * np.sqrt(light)[:, None],
            layers=[0, *np.sign(row).astype(int)],
            shadow=shadow,
        )
        self.values, self.first, self.unit = row, 1, unit
        self.source, self.told = source or TensorSource(), told

    @staticmethod
    def unit_of(*rows: npt.ArrayLike, height: float = HEIGHT) -> float:
        """Return the unit with which the largest of all numbers is as long as ``height``."""
        _positive("a relief", height=height)
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
        if not -rows <= row < rows:
            raise SceneCodeError(f"there is no row {row}; choose 0 to {rows - 1}, or -1")
        row %= rows
        source = matrix.source.part((row, row + 1), (0, columns))
        if isinstance(matrix, Matrix):
            kwargs.setdefault("role", matrix.colour or "")
            word = matrix.words[row : row + 1] if matrix.rows == "token" else ()
            kwargs.setdefault("told", ": ".join(filter(None, (*map(printable, word), matrix.name))))
        return cls(matrix.values[row], source=source, **kwargs)

    def bar(self, index: int) -> Array:
        """Return the middle (3,) of the end of a bar in the scene; -1 is the last one."""
        assert self.values is not None
        count = len(self.values)
        if not -count <= index < count:
            raise SceneCodeError(f"there is no bar {index}; choose 0 to {count - 1}, or -1")
        low, high = self.boxes[self.first + index % count]
        x, _y, z = (low + high) / 2
        return self.at((x, self.values[index] / self.unit, z))

    def grow(self, **kwargs: Any) -> Arrive:
        """Return the animation in which it is added and its bars grow from the zero line."""
        flat = self.copy()
        for member in flat.get_family():
            own = member.points - self.points[0]
            share = own @ np.linalg.inv(self.axes)[:, 1]
            member.points = member.points - (1 - FLAT) * share[:, None] * self.axes[1]
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
    role, width, height, depth, unit
        As for :class:`Relief`.

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
        role: str = "",
        gap: float = 0.5,
        width: float = WIDTH,
        height: float = HEIGHT,
        depth: float = DEPTH,
        unit: float | None = None,
        words: Sequence[str] | None = None,
    ) -> None:
        whole = matrix if isinstance(matrix, Matrix) else None
        values = _numbers(whole.values if whole else matrix, "a matrix of rows", (MOST_ROWS, MOST))
        _positive("a matrix of rows", gap=gap, width=width)
        if words is None:
            words = whole.words if whole and whole.rows == "token" else ()
        if len(words) not in (0, len(values)):
            raise SceneCodeError(f"{len(values)} rows have {len(words)} words; give one for each")
        if unit is None:
            unit = Relief.unit_of(values, height=height)
        look = {"width": width, "height": height, "depth": depth, "unit": unit}
        role = role or (whole.colour or "" if whole else "")
        source = whole or Matrix(values)
        super().__init__(*(Relief.of(source, i, role=role, **look) for i in range(len(values))))
        # The longest bar below zero ends on the floor.
        above = max(0.0, -float(values.min())) / unit + LINE
        for number, relief in enumerate(self):
            relief.put((0.0, above, gap * (number + 1 - len(values))))
        for relief, word in zip(self, words, strict=False):
            size = min(gap, height) / FRAME_HEIGHT
            label = Label(printable(word), size=size)
            place = (-width / 2 - label.width / 2 - size * FRAME_HEIGHT / 2, 0.0, 0.0)
            put(label, relief, place, (1, 0, 0), (0, 1, 0))
            relief.told = relief.told or printable(word)
        self.gap, self.offsets = float(gap), np.zeros(len(values))

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
        count = len(self)
        if row is not None and not -count <= row < count:
            raise SceneCodeError(f"there is no row {row}; choose 0 to {count - 1}, or -1")
        offsets = np.full(count, 0.0 if row is None else -self.gap)
        if row is not None:
            offsets[row] = self.gap * (count - row % count)
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
    role, height, unit, source
        As for :class:`Relief`; a row of cells is the source of all of them together.

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
        role: str = "",
        side: float = 0.4,
        gap: float = 0.8,
        height: float = 1.5,
        unit: float | None = None,
        source: TensorSource | None = None,
    ) -> None:
        self.values = _numbers(values, "bars", (MOST,))
        _positive("a bar", side=side, gap=gap, height=height, unit=unit)
        count = len(self.values)
        if len(on) not in (0, count) or not all(isinstance(body, Body) for body in on):
            raise SceneCodeError(f"{count} bars stand on {count} bodies; give one for each")
        self.unit = Relief.unit_of(self.values, height=height) if unit is None else float(unit)
        look = {"role": role, "pitch": side / BAR, "depth": side, "unit": self.unit}
        whole = source or TensorSource()
        super().__init__(
            *(
                _Bar([value], source=whole.part((0, 1), (i, i + 1)), **look)
                for i, value in enumerate(self.values)
            )
        )
        above = max(0.0, -float(self.values.min())) / self.unit
        for i, tower in enumerate(self):
            if on:
                right, up, near = on[i].axes
                lengths = np.linalg.norm(on[i].axes, axis=1)
                frame = np.array([right, up, near]) / lengths[:, None]
                origin = on[i].top + above * frame[1]
                tower.points = np.array([origin, *(origin + frame)])
                tower.told = on[i].told
            else:
                tower.put((gap * (i - (count - 1) / 2), above, 0.0))

    def bar(self, index: int) -> Array:
        """Return the middle (3,) of the end of a bar in the scene; -1 is the last one."""
        if not -len(self) <= index < len(self):
            raise SceneCodeError(f"there is no bar {index}; choose 0 to {len(self) - 1}, or -1")
        end: Array = self[index].bar(0)
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
        shadow: bool = True,
    ) -> None:
        _positive("a slab", width=width, height=height, thickness=thickness)
        text = _text(word)
        theme = current_theme()
        label = Label(text, size=LETTERS * height / FRAME_HEIGHT, colour=colour)
        margin = MARGIN * height
        if width is None:
            width = min(max(label.width + 2 * margin, height), WIDEST * height)
        right, near = width / 2, thickness / 2
        edge = min(EDGE, height / 5)
        face = [(-right, 0, -near), (right, height - edge, near)]
        strip = [(-right, height - edge, -near), (right, height, near)]
        colours = mixed(_hue(role, theme.stone), theme.card, FACE), _hue(role, theme.lamp)
        super().__init__(
            [face, strip],
            [np.asarray(color_to_rgb(each)) * 255 for each in colours],
            layers=[0, 1],
            shadow=shadow,
        )
        self.told, self.word = text, label if text else None
        if self.word is not None:
            self.lay(self.word, margin=margin)

    def lay(
        self, mobject: Mobject, band: tuple[float, float] = (0.0, 1.0), *, margin: float = 0.05
    ) -> Self:
        """Lay something flat onto its face, smaller if it has no room, and return the slab.

        Parameters
        ----------
        mobject
            A label, a heatmap, a drawing.
        band
            Which part of the face it has, from the foot, 0, to the edge, 1.
        margin
            What stays free beside it, in scene units.
        """
        left, right, foot, top, near = self._face(band, margin)
        size = mobject.width, mobject.height
        room = max(right - left, LINE), top - foot
        shares = [free / long for free, long in zip(room, size, strict=True) if long]
        mobject.scale(min(1.0, *shares))
        put(mobject, self, (0.0, (foot + top) / 2, near), (1, 0, 0), (0, 1, 0))
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
        band = (0.0, 1.0) if self.word is None else ROW_BAND
        left, right, foot, top, near = self._face(band, 0.05)
        height = (top - foot) / 2
        least = Relief.unit_of(_numbers(values, "a relief", (MOST,)), height=height)
        if unit is not None and unit < least * (1 - 1e-9) and np.any(values):
            raise SceneCodeError(
                f"bars are longer than the slab has room for; give a unit of {least:.4g} or more, "
                "or make it higher"
            )
        row = Relief(
            values,
            role=role,
            width=right - left,
            depth=0.0,
            unit=least if unit is None else unit,
            source=source,
            told=self.told,
            shadow=False,
        )
        if self.word is not None:
            self.remove(self.word)
            flat = Label(self.word.text, size=self.word.size, colour=self.word.get_fill_color())
            self.word = flat.scale(self.word.width / flat.width)
            self.lay(flat, WORD_BAND)
        row.points = self.at(row.points + [0.0, (foot + top) / 2, near])
        self.add(row)
        return row

    def _face(self, band: tuple[float, float], margin: float) -> tuple[float, ...]:
        """Return left, right, bottom and top of a band of its face, and how near that is."""
        low, high = self.boxes[0]
        foot, top = (low[1] + share * (high[1] - low[1]) for share in band)
        return low[0] + margin, high[0] - margin, foot, top, high[2] + FLAT


class Pane(Body):
    """A matrix on glass, in thin edges, that stands in the room and can be carried.

    Parameters
    ----------
    matrix : Matrix, Heatmap or (rows, columns)
        What lies on it.
    height, width
        Size in scene units; cells are square if there is no width.
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
        _positive("a pane", height=height, width=width)
        unit_box = Box(0.0, 0.0, 1.0, 1.0)
        if isinstance(matrix, Heatmap):
            cells = matrix
        elif isinstance(matrix, Matrix):
            cells = matrix.heatmap(unit_box)
        else:
            most = (np.iinfo(np.int64).max,) * 2
            cells = Heatmap(_numbers(matrix, "a pane", most))
        rows, columns = cells.shape
        right = (height * columns / rows if width is None else width) / 2
        thin, top = FRAME / 2, height + 2 * FRAME
        outer = right + FRAME
        super().__init__(
            [
                [(-outer, 0, -thin), (outer, FRAME, thin)],
                [(-outer, FRAME, -thin), (-right, top - FRAME, thin)],
                [(right, FRAME, -thin), (outer, top - FRAME, thin)],
                [(-outer, top - FRAME, -thin), (outer, top, thin)],
            ],
            current_theme().glass,
            layers=[-1, 0, 0, 1],
        )
        self.cells, self.told = cells, told
        cells.place(Box.of(-right, right, FRAME, FRAME + height))
        put(cells, self, (0.0, FRAME + height / 2, thin), (1, 0, 0), (0, 1, 0))


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
    _positive("a number", size=size)
    place = _numbers(at, "the place of a number", (3,))
    if len(place) != 3:
        raise SceneCodeError(f"the place of a number is (x, y, z), not {len(place)} numbers")
    label = Label(_text(text), size=size / FRAME_HEIGHT, colour=colour)
    if lies == "air":
        return keep_upright(label, place)
    x, y, _z = label.points.T
    none = np.zeros(len(x))
    match lies:
        case "floor":
            flat = np.stack([x, none, -y], axis=1)
        case "stands":
            flat = np.stack([x, y + size / 2, none], axis=1)
        case _:
            raise SceneCodeError(f"a number lies in the air, stands or floor, not {lies!r}")
    label.points = turned(flat, turn) + place
    return label


def _text(given: str | float) -> str:
    """Return a word as it is printed, and a number with three digits."""
    if isinstance(given, str):
        return printable(given) if given else ""
    if not isinstance(given, (int, float, np.number)) or not math.isfinite(given):
        raise SceneCodeError(f"{given!r} is neither a word nor a finite number; give one")
    return format_short(float(given))
