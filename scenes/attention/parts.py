"""A dot product by hand, a clock of two hands, bars of shares, and light through a whole head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
import numpy.typing as npt
from manim import Line, Mobject, Rectangle, Sector, VGroup, VMobject

from filmkit.core.facts import claim, fact
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.numbers import format_decimal, format_number, format_share
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.clocks import Clock
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.panel import Header
from filmkit.pictures.mosaic import TOKEN, Axis, Size
from filmkit.pictures.parts import TEXT, Around, Matrix, Place
from filmkit.pictures.picture import PlacedPart

__all__ = [
    "DistanceClock",
    "Product",
    "ShareBars",
    "WorkedSum",
    "path_of_light",
    "projection_notes",
    "rest_of",
    "scaling_of",
    "score_notes",
    "way_between",
]

Array = npt.NDArray[np.float64]

CHANNELS = 4  # of a sum that is done by hand
TOTAL = 0.06  # size of the sum
LEAST, LEAST_ROW = 0.01, 0.4  # share that has a number in rows that are lower than that
TAG = 1.0  # room for the number of a share, in scene units
FACE = 0.85  # diameter of a clock, as a share of its room
FILLED, BETWEEN = 0.4, 0.5  # opacity between the hands of a clock, and radius by that of the face
ASIDE, APART = 0.3, 0.2  # of lines from boxes, in scene units, and from their middle, as a share
SHINE, BROAD = 4.0, 1.5  # how much light the path gives, and its width in that of bold lines


class WorkedSum(VGroup):
    """A dot product by hand: products that make most of the sum, all others as one, and the sum.

    As many digits are written as the sum needs to be right as it is printed.

    Parameters
    ----------
    view
        The head.
    query, key
        Numbers of the drawn rows.

    Attributes
    ----------
    lines
        The products, and the others, one below the other.
    meaning, total
        The sum, and before it what it is.
    """

    def __init__(self, view: HeadView, query: int, key: int) -> None:
        super().__init__()
        theme = current_theme()
        factors = view.q_used[query], view.k_used[key]
        products = factors[0] * factors[1]
        channels, digits = _channels(products)
        rows: list[list[tuple[str, str]]] = []
        for channel in channels:
            written = _written(digits)(products[channel])
            a, b = (
                fact(
                    "channel",
                    float(row[channel]),
                    _written(digits + 1),
                    beside=written,
                    of=of,
                    channel=channel,
                )
                for of, row in zip(("query", "key"), factors, strict=True)
            )
            product = fact(
                "product of", float(products[channel]), _written(digits), beside=a, channel=channel
            )
            texts = [(a, theme.query), ("×", theme.muted), (b, theme.key), ("=", theme.muted)]
            rows.append([*texts, (product, theme.ink)])
        rest = float(np.delete(products, list(channels)).sum())
        if len(products) > len(channels):
            more = _(
                "{number} more",
                number=fact("more", len(products) - len(channels), channels=channels),
            )
            other = fact("others", rest, _written(digits), beside=more, channels=channels)
            blank = ("", theme.muted)
            rows.append([(more, theme.muted), blank, blank, blank, (other, theme.muted)])
        self.lines = VGroup(
            *(VGroup(*(Label(t, size=1.25 * TEXT, colour=c) for t, c in row)) for row in rows)
        )
        _align(self.lines)
        meaning = _("dot product")
        text = fact("dot", float(products.sum()), _written(max(1, digits)), beside=meaning)
        self.rule = Line(
            [self.lines.get_left()[0], 0, 0],
            [self.lines.get_right()[0], 0, 0],
            stroke_color=theme.muted,
            stroke_width=theme.line,
        ).next_to(self.lines, [0, -1, 0], buff=0.16)
        self.total = Label(text, size=TOTAL, colour=theme.scores, weight="semibold")
        self.total.next_to(self.rule, [0, -1, 0], buff=0.16)
        self.total.shift([self.rule.get_right()[0] - self.total.get_right()[0], 0, 0])
        self.meaning = Label(meaning, size=1.25 * TEXT, colour=theme.scores)
        self.meaning.on_line(
            float(self.total.get_left()[0]) - 0.3 - self.meaning.width / 2, self.total.get_y()
        )
        # Words of some languages are longer than a line of the sum.
        start, end = self.rule.get_start_and_end()
        start[0] = min(start[0], self.meaning.get_left()[0])
        self.rule.put_start_and_end_on(start, end)
        self.add(self.lines, self.rule, self.meaning, self.total)


def _written(digits: int) -> Callable[[float], str]:
    """Return a function that writes a number with as many decimals."""
    return lambda value: format_decimal(value, digits)


def _channels(products: Array) -> tuple[tuple[int, ...], int]:
    """Return channels whose products make most of the sum, and the decimals to write them with.

    The printed products and the printed rest must add up to the printed sum.
    """
    towards = products * np.sign(products.sum())
    largest = [int(channel) for channel in np.argsort(-towards)[: 2 * CHANNELS]]
    count = min(CHANNELS, len(largest))
    for digits in range(1, 4):
        for channels in combinations(largest, count):
            parts = [*products[list(channels)], np.delete(products, list(channels)).sum()]
            if round(sum(round(p, digits) for p in parts) - round(sum(parts), digits), digits) == 0:
                return channels, digits
    return tuple(largest[:count]), 3


def _align(lines: VGroup) -> None:
    """Place the labels of each column flush right, line under line."""
    columns = [*zip(*lines, strict=True)]
    pitch, gap, right = 1.6 * 1.25 * TEXT * FRAME_HEIGHT, 0.22, 0.0
    widths = [max(label.width for label in column) for column in columns]
    first = columns[0]
    # The words "60 more" may be wider than a number, and reach over empty columns.
    widths[0] = max(label.width for label in first[:CHANNELS])
    for column, width in zip(columns, widths, strict=True):
        right += width + gap
        for row, label in enumerate(column):
            label.on_line(right - label.width / 2, -row * pitch)
    for label in first[CHANNELS:]:
        label.on_line(widths[0] + gap + label.width / 2 + 0.2, label.get_y())
    lines.move_to([0, 0, 0])


class DistanceClock(VGroup):
    """A clock in which the angle between both hands is filled: it stays while both turn alike.

    Parameters
    ----------
    step
        By how much the hands turn from one position to the next, in radians.
    positions
        Of the query and of the key.
    pitch
        Side of its room, in scene units.

    Attributes
    ----------
    angle
        From the query's hand to the key's, in radians, at most half a turn; the other way round if
        it is negative.
    """

    def __init__(self, step: float, positions: tuple[int, int], pitch: float) -> None:
        theme, self.step, self.angle = current_theme(), step, 0.0
        # The key's hand lies on top: the query's is the one that is seen to leave it.
        self.clock = Clock(FACE * pitch, theme.query, theme.key)
        self.between = VMobject(stroke_width=0.0, fill_color=theme.ink, fill_opacity=FILLED)
        super().__init__(self.between, self.clock)
        self.turn_to(*positions)

    def turn_to(self, query: float, key: float) -> None:
        """Turn the hands to these positions of the query and of the key."""
        self.clock.turn(self.step * query, self.step * key)
        # Hands turn clockwise, angles are counted the other way.
        self.angle = (self.step * (query - key) + np.pi) % (2 * np.pi) - np.pi
        sector = Sector(self._at(BETWEEN), start_angle=self._asks, angle=self.angle)
        self.between.set_points(sector.shift(self.clock.get_center()).points)

    @property
    def beyond(self) -> Array:
        """The middle (3,) between what is filled and the edge."""
        angle = self._asks + self.angle / 2
        away = self._at((1 + BETWEEN) / 2) * np.array([np.cos(angle), np.sin(angle), 0.0])
        return np.asarray(self.clock.get_center() + away)

    @property
    def _asks(self) -> float:
        """Angle of the query's hand."""
        return float(self.clock[1].get_angle())

    def _at(self, share: float) -> float:
        """Return a share of the face's radius."""
        return share * float(self.clock[0].width) / 2


@dataclass(frozen=True)
class ShareBars:
    """Bars beside the cells of a column: how large the share of each token is.

    Attributes
    ----------
    view
        The head.
    query
        Number of the row of the pattern that has the shares.
    length
        Of the longest bar, in scene units.
    """

    view: HeadView
    query: int
    length: float

    @property
    def shares(self) -> Array:
        """Shares of the row, (key,)."""
        return self.view.pattern[self.query]

    def size(self, around: Around) -> Size:
        """Return its room, as high as the column."""
        return Size(rows=Axis(TOKEN, len(self.shares)), width=self.length, right=TAG)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the bars of all shares, with their numbers."""
        theme, box = current_theme(), place.box
        bars, tags = VGroup(), VGroup()
        rows = box.split_rows(len(self.shares))
        for row, share in zip(rows, self.shares, strict=True):
            width = max(1e-3, self.length * float(share / self.shares.max()))
            bar = Rectangle(
                width=width,
                height=0.62 * row.height,
                stroke_width=0,
                fill_color=theme.ink,
                fill_opacity=1.0,
            )
            bars.add(bar.move_to([box.left + width / 2, row.y, 0]))
        for index in np.argsort(-self.shares[: self.query + 1]):
            if self.shares[index] < LEAST and rows[index].height < LEAST_ROW:
                continue
            tag = Label(weight_of(self.view, self.query, int(index)), size=1.15 * TEXT)
            tag.move_to([bars[index].get_right()[0] + 0.15 + tag.width / 2, rows[index].y, 0])
            if all(abs(tag.get_y() - other.get_y()) > tag.line_height for other in tags):
                tags.add(tag)
        return {"bars": bars, "tags": tags}


@dataclass(frozen=True, eq=False)
class Product(Matrix):
    """A matrix on a grid, so that cells can be seen that are not filled yet."""

    @classmethod
    def of(cls, matrix: Matrix) -> Product:
        """Return another matrix as a product."""
        return cls(**{each.name: getattr(matrix, each.name) for each in fields(matrix)})

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the grid, and what a matrix has."""
        theme, box, (rows, columns) = current_theme(), place.box, self.values.shape
        grid = Rectangle(
            width=box.width,
            height=box.height,
            grid_xstep=box.width / columns,
            grid_ystep=box.height / rows,
        )
        grid.set_stroke(theme.faint, theme.thin).move_to(box.center)
        return {"grid": grid, **super().pieces(place, around)}

    def _title(self) -> Header:
        return Header(f"= {self.name}", colour=self.colour)


def path_of_light(parts: Mapping[str, PlacedPart], query: int, key: int) -> list[Wire]:
    """Return the way from the query and the key of a pair to the output, as lines that glow.

    Parameters
    ----------
    parts
        Of a picture of the whole head.
    query, key
        Numbers of the rows.
    """
    theme = current_theme()
    cells = {name: parts[name].cells for name in ("Q", "Kt", "pattern", "V", "z")}
    asks, share, says = (cells[name].row(query) for name in ("Q", "pattern", "z"))
    offers, cell = cells["Kt"].column(key), cells["pattern"].cell(query, key)
    values = cells["V"].row(key)
    shares = way_between(share, values)
    ways = (
        ([(asks.right, asks.y), (share.left, share.y)], theme.query),
        ([(offers.x, offers.bottom), (cell.x, cells["pattern"].box.top)], theme.key),
        ([(cell.right, shares[0][1]), *shares[1:]], theme.ink),
        (way_between(values, says), theme.value),
    )
    return [glow(Wire(way, colour=colour, width=BROAD * theme.bold), SHINE) for way, colour in ways]


def way_between(start: Box, end: Box) -> list[tuple[float, float]]:
    """Return the corners of a line from the right side of a box to another box.

    To a box at the right it comes from the left, straight if it can. To any other it goes around
    the right side: it begins below the middle of one and ends above that of the other, so that a
    line that comes to a box does not meet one that leaves it.
    """
    if end.left > start.right:
        if end.bottom <= start.y <= end.top:
            return [(start.right, start.y), (end.left, start.y)]
        aside, side, apart = end.left - ASIDE, end.left, 0.0
    else:
        aside, side = max(start.right, end.right) + ASIDE, end.right
        apart = APART * min(start.height, end.height)
    up, down = start.y - apart, end.y + apart
    return [(start.right, up), (aside, up), (aside, down), (side, down)]


def weight_of(view: HeadView, query: int, key: int | None) -> str:
    """Return as text the attention of a token to another, or (None) to all that are not drawn."""
    share = view.hidden_attention[query] if key is None else view.pattern[query, key]
    position = None if key is None else view.layer.first + key
    word = view.layer.hidden_name if key is None else view.layer.words[key]
    return fact("weight", float(share), format_share, beside=printable(word), position=position)


def scaling_of(view: HeadView, query: int, key: int) -> Symbol:
    """Return how the dot product of a pair is scaled, with both numbers.

    There is an equals sign only where the printed numbers give the printed result.
    """
    meta, dot = view.layer.trace.meta, float(view.dot_products[query, key])
    factor = meta.score_scale
    before, after = fact("dot", dot, format_number), fact("scaled", dot * factor, format_number)
    if np.isclose(factor, meta.d_qk**-0.5):
        scale = f"/ sqrt({meta.d_qk})"
        printed = rounded(dot) / meta.d_qk**0.5
    else:
        scale = f"times {in_formula(format_number(factor))}"
        printed = rounded(dot) * rounded(factor)
    sign = "=" if format_number(printed) == after else "approx"
    return Symbol(f"{in_formula(before)} {scale} {sign} {in_formula(after)}", size=0.06)


def rounded(number: float) -> float:
    """Return a number as it is printed."""
    return float(f"{number:.3g}")


def in_formula(number: str) -> str:
    """Return a number as Typst mathematics: a comma in it separates nothing."""
    return number.replace(",", '","')


def projection_notes(layer: LayerView, letter: str) -> list[str]:
    """Return what else happens to queries and keys, or to values, after the product with X.

    Parameters
    ----------
    layer
        The layer.
    letter
        "Q" or "V".
    """
    trace, meta = layer.trace, layer.trace.meta
    notes = [claim(trace.has(f"b_{letter}", layer.layer), _("plus a bias"), letter=letter)]
    if letter == "Q":
        notes.append(claim(meta.qk_norm is not None, _("normalised")))
        if trace.rotates:
            partly = meta.rotary_dim < meta.d_qk
            notes.append(claim(partly, _("partly rotated"), _("then rotated by position")))
    return [*filter(None, notes)]


def score_notes(view: HeadView) -> list[str]:
    """Return what else happens to scores than that they are scaled and the future is masked."""
    layer, meta = view.layer, view.layer.trace.meta
    notes = [claim(meta.positions == "alibi", _("less a penalty for distance"))]
    if meta.score_cap:
        low, high = format_number(-meta.score_cap), format_number(meta.score_cap)
        notes.append(_("capped at {low} and {high}", low=low, high=high))
    far = 0 < layer.trace.window(layer.layer) < layer.count
    notes.append(claim(far, _("what is far back is masked too")))
    return [*filter(None, notes)]


def rest_of(view: HeadView, query: int) -> list[str]:
    """Return lines that say how much attention of a token goes where no column shows it.

    A share that would be written as zero is left out.
    """
    rest, nothing = [], format_share(0.0)
    if format_share(float(view.hidden_attention[query])) != nothing:
        share = weight_of(view, query, None)
        rest.append(_("and {share} to the {name}", share=share, name=view.layer.hidden_name))
    if format_share(sink := float(view.sink_attention[query])) != nothing:
        rest.append(_("and {share} to nothing", share=fact("sink", sink, format_share)))
    return rest
