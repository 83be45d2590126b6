"""Small charts: axes, lines, bars to scale, dots, brackets with a ratio, reference lines.

Everything is labelled where it stands, never in a legend. Each class takes a :class:`Box` and
keeps inside it, labels included; sizes follow the box and the theme.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
import numpy.typing as npt
from manim import Circle, Rectangle, VGroup, VMobject

from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.numbers import format_number
from filmkit.core.text import Label, broken
from filmkit.core.theme import current_theme
from filmkit.mobjects.flow import Wire

__all__ = [
    "BarRow",
    "Bracket",
    "ChartAxes",
    "ChartAxis",
    "Curve",
    "DotPlot",
    "DotSeries",
    "EndLabels",
    "Paragraph",
    "ReferenceLine",
    "ScaleBars",
    "Span",
    "scheme_colour",
    "spread",
]

GAP = 0.12  # between a mark and its label
DOT = 0.075  # radius of a dot
CAPTION_GAP = 0.26  # from a bar down to its name, with its note below it
NAME_GAP = 0.2  # the same for a name beside its note
CAPTIONED_DOTS = 0.72  # how far down in its row a dot stands below a name
CAPTION_RISE = 2.0  # from there to the name, in distances from the row's middle
BRACKET = 0.14  # how far a bracket stands off


def scheme_colour(scheme: str) -> str:
    """The colour of a cache scheme ("mha", "gqa", "mqa", "mla") where it has only one.

    The latent has its role's colour; the others, all of them keys and values, are greys.
    """
    theme = current_theme()
    return {"mha": theme.ink, "gqa": theme.muted, "mqa": theme.flow, "mla": theme.latent}[scheme]


def spread(
    wanted: Sequence[float], sizes: Sequence[float], low: float, high: float
) -> tuple[float, ...]:
    """Centers as near to the wanted ones as can be at which labels do not overlap.

    Parameters
    ----------
    wanted
        Where the centers would stand alone.
    sizes
        Room that each label takes, its gap included.
    low, high
        What they stay between, if they fit.

    Examples
    --------
    >>> spread([0.0, 0.0, 5.0], [1.0, 1.0, 1.0], -9.0, 9.0)
    (-0.5, 0.5, 5.0)
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    room = np.array([sizes[i] for i in order], dtype=float)
    # Without its predecessors' room every label may stand anywhere not below the one before: the
    # nearest such places are the means of pooled runs.
    offset = np.concatenate([[0.0], np.cumsum((room[1:] + room[:-1]) / 2)])
    runs: list[list[float]] = []
    for place in np.array([wanted[i] for i in order]) - offset:
        runs.append([float(place)])
        while len(runs) > 1 and np.mean(runs[-2]) > np.mean(runs[-1]):
            last = runs.pop()
            runs[-1] += last
    flat = np.concatenate([np.full(len(run), np.mean(run)) for run in runs]) if runs else offset[:0]
    if len(flat):
        flat = np.clip(flat, None, high - room[-1] / 2 - offset[-1])
        flat = np.clip(flat, low + room[0] / 2, None)
    found = [0.0] * len(order)
    for index, place in zip(order, flat + offset[: len(flat)], strict=True):
        found[index] = float(place)
    return tuple(found)


@dataclass(frozen=True)
class ChartAxis:
    """One direction of a chart.

    Attributes
    ----------
    low, high
        Its ends.
    ticks
        The few numbers that are written along it.
    title
        What it counts, with its unit.
    log
        Whether equal steps are equal ratios. A logarithmic axis always says so in its title.
    write
        How a tick is written.
    says_linear
        Whether a linear axis says that it is linear.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    title: str = ""
    log: bool = False
    write: Callable[[float], str] = format_number
    says_linear: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a number is: 0 at its low end, 1 at its high end."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = (float(np.log(v)) for v in (low, high, value))
        return (at - low) / (high - low)

    @property
    def said(self) -> str:
        """Its title with its scale."""
        scale = "log scale" if self.log else "linear scale" if self.says_linear else ""
        return ", ".join(part for part in (self.title, scale) if part)

    @property
    def tick_labels(self) -> tuple[str, ...]:
        return tuple(self.write(tick) for tick in self.ticks)


def _line_height(size: float) -> float:
    return size * FRAME_HEIGHT


def _hairline(start: Sequence[float], end: Sequence[float], colour: str, width: float) -> VMobject:
    line = VMobject(stroke_color=colour, stroke_width=width, fill_opacity=0.0)
    return line.set_points_as_corners([[*start, 0.0], [*end, 0.0]])


class ChartAxes(VGroup):
    """Two axes with few ticks: hairlines across, numbers at the left and below, titles.

    The title of the upright axis is read across and stands above it.

    Parameters
    ----------
    x, y
        What they count.
    box
        Holds the axes with all their labels.
    right
        Room kept free at the right for labels of lines.
    """

    def __init__(self, x: ChartAxis, y: ChartAxis, box: Box, *, right: float = 0.0) -> None:
        super().__init__()
        theme = current_theme()
        self.x, self.y = x, y
        line = _line_height(theme.note_size)
        self.x_ticks, self.y_ticks = self._labels(x), self._labels(y)
        widest = max((label.width for label in self.y_ticks), default=0.0)
        overhang = self.x_ticks[-1].width / 2 if len(self.x_ticks) else 0.0
        self.plot = Box.of(
            box.left + widest + GAP,
            box.right - max(right, overhang),
            box.bottom + (2 * line + 2 * GAP if x.said else line + GAP),
            box.top - (line + GAP if y.said else 0.0),
        )
        self.rules = VGroup(*(self._rule() for _ in y.ticks))
        self.base = _hairline(
            (self.plot.left, self.plot.bottom),
            (self.plot.right, self.plot.bottom),
            theme.flow,
            theme.line,
        )
        for label, tick in zip(self.x_ticks, x.ticks, strict=True):
            label.on_line(self.at(tick, y.low)[0], self.plot.bottom - GAP - line / 2)
        titles = []
        if x.said:
            title = Label(x.said, size=theme.note_size, colour=theme.muted)
            titles.append(title.on_line(self.plot.right - title.width / 2, box.bottom + line / 2))
        if y.said:
            title = Label(y.said, size=theme.note_size, colour=theme.muted)
            titles.append(title.on_line(box.left + title.width / 2, box.top - line / 2))
        self.titles = VGroup(*titles)
        self._place_y()
        self.add(self.rules, self.base, self.x_ticks, self.y_ticks, self.titles)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of data stands."""
        plot = self.plot
        return (
            plot.left + self.x.share(x) * plot.width,
            plot.bottom + self.y.share(y) * plot.height,
        )

    def set_y_high(self, high: float) -> ChartAxes:
        """Stretch the upright axis; ticks beyond its end leave the picture.

        Lines drawn on these axes follow when they are asked to ``redraw``.
        """
        self.y = replace(self.y, high=high)
        self._place_y()
        return self

    def _labels(self, axis: ChartAxis) -> VGroup:
        theme = current_theme()
        return VGroup(
            *(Label(t, size=theme.note_size, colour=theme.muted) for t in axis.tick_labels)
        )

    def _rule(self) -> VMobject:
        theme, plot = current_theme(), self.plot
        return _hairline((plot.left, 0.0), (plot.right, 0.0), theme.faint, theme.thin)

    def _place_y(self) -> None:
        for tick, rule, label in zip(self.y.ticks, self.rules, self.y_ticks, strict=True):
            y = self.at(self.x.low, tick)[1]
            rule.move_to([self.plot.x, y, 0.0])
            label.on_line(self.plot.left - GAP - label.width / 2, y)


class Curve(Wire):
    """A line through data, which can be drawn from its start to its end as a wire is.

    Parameters
    ----------
    axes
        On which it stands; what lies above them is cut off.
    xs, ys
        The data, from the left.
    colour
        A colour.
    """

    def __init__(
        self,
        axes: ChartAxes,
        xs: npt.ArrayLike,
        ys: npt.ArrayLike,
        *,
        colour: str,
        width: float | None = None,
    ) -> None:
        self.axes = axes
        self.xs, self.ys = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
        super().__init__(self._points(), colour=colour, arrow=False, width=width)

    def redraw(self) -> Curve:
        """Follow a change of the axes."""
        self._draw(np.array([[x, y, 0.0] for x, y in self._points()]))
        return self

    @property
    def end(self) -> tuple[float, float]:
        """Where the line ends."""
        return self._points()[-1]

    def _draw(self, corners: npt.NDArray[np.float64]) -> None:
        self.line.set_points_as_corners(corners)

    def _points(self) -> list[tuple[float, float]]:
        points = [self.axes.at(x, y) for x, y in zip(self.xs, self.ys, strict=True)]
        top = self.axes.plot.top
        inside = [*takewhile(lambda point: point[1] <= top, points)]
        if 0 < len(inside) < len(points):
            (x, y), (beyond_x, beyond_y) = inside[-1], points[len(inside)]
            inside.append((x + (top - y) / (beyond_y - y) * (beyond_x - x), top))
        return inside


class EndLabels(VGroup):
    """Names at the right of the ends of lines, moved apart where they would overlap.

    ``labels[i]`` and ``ties[i]`` belong to ``curves[i]``; a tie leads from the line's end to its
    label.

    Parameters
    ----------
    curves
        Lines on the same axes.
    texts
        What each is called.
    """

    def __init__(
        self, curves: Sequence[Curve], texts: Sequence[str], *, size: float | None = None
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.curves = tuple(curves)
        self.labels, self.ties = VGroup(), VGroup()
        for curve, text in zip(curves, texts, strict=True):
            colour = curve.line.get_stroke_color()
            self.labels.add(Label(text, size=size, colour=colour))
            self.ties.add(_hairline((0, 0), (1, 0), colour, theme.thin))
        self.add(self.ties, self.labels)
        self.redraw()

    def redraw(self) -> EndLabels:
        """Follow the ends of the lines."""
        ends = [curve.end for curve in self.curves]
        line = self.labels[0].line_height
        low = self.curves[0].axes.plot.bottom - line / 2
        ys = spread([y for _, y in ends], [1.05 * line] * len(ends), low, np.inf)
        for label, tie, (x, start), y in zip(self.labels, self.ties, ends, ys, strict=True):
            label.on_line(x + 3 * GAP + label.width / 2, y)
            tie.set_points_as_corners([[x + 0.4 * GAP, start, 0.0], [x + 2.6 * GAP, y, 0.0]])
        return self


class ReferenceLine(VGroup):
    """A dashed line across the axes at a number, with its name just above it at its end.

    Parameters
    ----------
    axes
        On which it stands.
    value
        At which number of the upright axis.
    text
        What is there.
    beside
        A line so near below that the two names would overlap: this name stands to the left of
        that one.
    """

    DASH = 0.09

    def __init__(
        self,
        axes: ChartAxes,
        value: float,
        text: str,
        *,
        colour: str | None = None,
        beside: ReferenceLine | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.axes, self.value = axes, value
        colour = colour or theme.accent
        self.line = VMobject(stroke_color=colour, stroke_width=theme.thin, fill_opacity=0.0)
        self.label = Label(text, size=theme.note_size, colour=colour)
        plot = axes.plot
        for x in np.arange(plot.left, plot.right - self.DASH, 2 * self.DASH):
            self.line.start_new_path(np.array([x, 0.0, 0.0]))
            self.line.add_line_to(np.array([x + self.DASH, 0.0, 0.0]))
        right = plot.right if beside is None else beside.label.get_left()[0] - GAP
        self.label.on_line(right - self.label.width / 2, 0.5 * GAP + self.label.height / 2)
        self.add(self.line, self.label)
        self.level = 0.0
        self.redraw()

    def redraw(self) -> ReferenceLine:
        """Follow a change of the axes."""
        level = self.axes.at(self.axes.x.low, self.value)[1]
        self.shift([0.0, level - self.level, 0.0])
        self.level = level
        return self


@dataclass(frozen=True)
class Span:
    """One piece of a bar: how long it is, in the chart's unit, and its colour."""

    value: float
    colour: str


@dataclass(frozen=True)
class BarRow:
    """One bar: its name, a quiet line beneath it, its pieces, and its size in words.

    ``colour`` is the name's; the theme's ``ink`` by default.
    """

    name: str
    note: str
    spans: tuple[Span, ...]
    said: str
    colour: str | None = None

    @property
    def total(self) -> float:
        return sum(span.value for span in self.spans)


class ScaleBars(VGroup):
    """Bars on one scale from zero, one below the other, names beside them, sizes at their ends.

    ``bars[i]``, ``names[i]``, ``notes[i]`` and ``sizes[i]`` belong to ``rows[i]``; a bar is a
    group of its pieces.

    Parameters
    ----------
    rows
        From the top.
    box
        Holds bars and labels.
    thickness
        Of a bar, as a share of its row.
    captioned
        Whether names stand below the bars, which then have all of the width, instead of at the
        left. Notes stand beside their names there, or below them for want of width.
    """

    def __init__(
        self,
        rows: Sequence[BarRow],
        box: Box,
        *,
        thickness: float = 0.42,
        captioned: bool = False,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.rows = tuple(rows)
        self.names, self.notes, self.sizes, self.bars = VGroup(), VGroup(), VGroup(), VGroup()
        for row in rows:
            self.names.add(Label(row.name, size=theme.name_size, colour=row.colour))
            self.notes.add(Label(row.note, size=theme.note_size, colour=theme.muted))
            self.sizes.add(Label(row.said, size=theme.shape_size))
        named = max(max(n.width, m.width) for n, m in zip(self.names, self.notes, strict=True))
        self.left = box.left + (0.0 if captioned else named + 2 * GAP)
        pitch = box.height / len(rows)
        widths = [n.width + 2 * GAP + m.width for n, m in zip(self.names, self.notes, strict=True)]
        self.in_line = captioned and max(widths) <= box.width
        apart = NAME_GAP if self.in_line else CAPTION_GAP
        words = apart + self.names[0].line_height
        words += 0.0 if self.in_line else self.notes[0].line_height
        height = pitch * thickness
        if captioned:
            height = min(height, pitch - words - 2 * GAP)
        self.unit = min(
            (box.right - self.left - GAP - size.width) / row.total
            for row, size in zip(rows, self.sizes, strict=True)
        )
        for index, row in enumerate(rows):
            y = box.top - (pitch * index + height / 2 if captioned else pitch * (index + 0.5))
            drop = height / 2 + apart + self.names[index].line_height if captioned else 0.0
            self._label(index, box.left, y - drop)
            end = self.left + row.total * self.unit
            self.sizes[index].on_line(end + GAP + self.sizes[index].width / 2, y)
            self.bars.add(self._bar(row, y, height))
        self.add(self.names, self.notes, self.bars, self.sizes)

    def bar_box(self, index: int) -> Box:
        """Where a bar stands."""
        bar = self.bars[index]
        return Box.between(bar.get_corner([-1, -1, 0]), bar.get_corner([1, 1, 0]))

    def _label(self, index: int, left: float, y: float) -> None:
        name, note = self.names[index], self.notes[index]
        if self.in_line:
            name.on_line(left + name.width / 2, y + name.line_height / 2)
            note.on_line(left + name.width + 2 * GAP + note.width / 2, y + name.line_height / 2)
            return
        apart = 0.15 * GAP
        drop = note.line_height / 2 + apart if self.rows[index].note else 0.0
        name.on_line(left + name.width / 2, y + drop)
        note.on_line(left + note.width / 2, y - name.line_height / 2 - apart)

    def _bar(self, row: BarRow, y: float, height: float) -> VGroup:
        bar, x = VGroup(), self.left
        for span in row.spans:
            width = span.value * self.unit
            piece = Rectangle(
                width=width,
                height=height,
                stroke_width=0.0,
                fill_color=span.colour,
                fill_opacity=1.0,
            )
            bar.add(piece.move_to([x + width / 2, y, 0.0]))
            x += width
        return bar


class Paragraph(VGroup):
    """Quiet lines of words below each other, each a label.

    Parameters
    ----------
    lines
        From the top.
    corner
        (x, y) of its top left corner.
    width
        Lines that are wider are broken; for each break the first line stands a line higher, so
        that the last one stays where it is.
    align
        "left", or "center" for lines whose middles stand below each other, at the corner's x.
    """

    def __init__(
        self,
        lines: Sequence[str],
        corner: tuple[float, float],
        *,
        width: float = np.inf,
        size: float | None = None,
        colour: str | None = None,
        align: str = "left",
    ) -> None:
        super().__init__()
        theme = current_theme()
        size = size or theme.note_size
        short = [part for line in lines for part in broken(line, width, size=size)]
        for index, line in enumerate(short):
            label = Label(line, size=size, colour=colour or theme.muted)
            step = label.line_height
            y = corner[1] - step / 2 - 1.35 * step * (index - len(short) + len(lines))
            reach = label.width / 2 if align == "left" else 0.0
            self.add(label.on_line(corner[0] + reach, y))


class Bracket(VGroup):
    """A bracket from one point to another with a label, such as a ratio, at its middle.

    Parameters
    ----------
    first, last
        What it embraces; on a line across or up.
    text
        Its label.
    towards
        The direction (x, y) in which it stands off, a unit vector.
    """

    def __init__(
        self,
        first: tuple[float, float],
        last: tuple[float, float],
        text: str,
        *,
        towards: tuple[float, float],
        size: float | None = None,
        colour: str | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        colour = colour or theme.ink
        away = np.array(towards, dtype=float)
        ends = [np.array(end, dtype=float) + 0.4 * BRACKET * away for end in (first, last)]
        tops = [end + BRACKET * away for end in ends]
        corners = [(float(p[0]), float(p[1])) for p in (ends[0], *tops, ends[1])]
        self.wire = Wire(corners, colour=colour, arrow=False)
        self.label = Label(text, size=size or theme.name_size, colour=colour)
        middle = (tops[0] + tops[1]) / 2
        half = np.array([self.label.width, self.label.line_height]) / 2
        self.label.on_line(*(middle + away * (half + GAP)))
        self.add(self.wire, self.label)


@dataclass(frozen=True)
class DotSeries:
    """The same quantity for every row of a dot plot.

    Attributes
    ----------
    name
        What it is called above the dot of the first row.
    values
        One number for each row.
    colours
        One colour, or one for each row.
    hollow
        Whether its dots are rings.
    written
        Whether its numbers are written, in a plot that writes numbers.
    """

    name: str
    values: tuple[float, ...]
    colours: str | tuple[str, ...]
    hollow: bool = False
    written: bool = True

    def colour(self, row: int) -> str:
        """Colour of a row's dot."""
        return self.colours if isinstance(self.colours, str) else self.colours[row]


class DotPlot(VGroup):
    """Rows of dots along one axis, the dots of a row joined by a hairline.

    ``dots[s][r]`` and, when they are written, ``numbers[s][r]`` belong to series ``s`` and row
    ``r``; ``names[r]`` and ``ties[r]`` to row ``r``; ``heads[s]`` names a series.

    Parameters
    ----------
    rows
        Names of the rows, from the top.
    series
        What is compared.
    axis
        Along which the dots stand.
    box
        Holds the plot with its labels.
    write
        How a dot's number is written above it; without it the numbers are left out.
    right
        Room kept free at the right.
    captioned
        Whether a row's name stands above its dots, which then have all of the width, instead of
        at the left.
    """

    def __init__(
        self,
        rows: Sequence[str],
        series: Sequence[DotSeries],
        axis: ChartAxis,
        box: Box,
        *,
        write: Callable[[float], str] | None = None,
        right: float = 0.0,
        captioned: bool = False,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.axis, self.series = axis, tuple(series)
        self.dots_at = CAPTIONED_DOTS if captioned else 0.5
        self.names = VGroup(*(Label(row, size=theme.shape_size) for row in rows))
        self.ticks = VGroup(
            *(Label(t, size=theme.note_size, colour=theme.muted) for t in axis.tick_labels)
        )
        line = _line_height(theme.note_size)
        overhang = self.ticks[-1].width / 2 if len(self.ticks) else 0.0
        self.plot = Box.of(
            box.left + (0.0 if captioned else max(n.width for n in self.names) + 3 * GAP),
            box.right - max(right, overhang),
            box.bottom + 2 * line + 2 * GAP,
            box.top - (line + 2 * GAP if any(s.name for s in series) else 0.0),
        )
        self.pitch = self.plot.height / len(rows)
        self.rules, self.ties = VGroup(), VGroup()
        for tick, label in zip(axis.ticks, self.ticks, strict=True):
            x = self.at(tick, 0)[0]
            label.on_line(x, self.plot.bottom - GAP - line / 2)
            self.rules.add(
                _hairline((x, self.plot.bottom), (x, self.plot.top), theme.faint, theme.thin)
            )
        for row, name in enumerate(self.names):
            end = self.plot.left + name.width if captioned else self.plot.left - 3 * GAP
            name.on_line(end - name.width / 2, self.name_line(row))
            xs = [self.at(s.values[row], row)[0] for s in self.series]
            inset = min(DOT, (max(xs) - min(xs)) / 2)
            y = self.at(axis.low, row)[1]
            ends = (min(xs) + inset, y), (max(xs) - inset, y)
            self.ties.add(_hairline(*ends, theme.flow, theme.line))
        self.title = Label(axis.said, size=theme.note_size, colour=theme.muted)
        self.title.on_line(self.plot.right - self.title.width / 2, box.bottom + line / 2)
        self.dots = VGroup(*(self._dots(s) for s in self.series))
        self.right = box.right
        self.heads = self._line_of_words([s.name for s in self.series], 0, box.top - line / 2)
        self.numbers = VGroup()
        if write is not None:
            self._write_numbers(write)
        self.add(self.rules, self.ticks, self.title, self.names, self.ties)
        self.add(self.dots, self.heads, self.numbers)

    def at(self, value: float, row: int) -> tuple[float, float]:
        """Where a number of a row stands."""
        return (
            self.plot.left + self.axis.share(value) * self.plot.width,
            self.plot.top - self.pitch * (row + self.dots_at),
        )

    def name_line(self, row: int) -> float:
        """y of the name of a row."""
        above = (self.dots_at - 0.5) * CAPTION_RISE * self.pitch
        return self.at(self.axis.low, row)[1] + above

    def _dots(self, series: DotSeries) -> VGroup:
        theme = current_theme()
        dots = VGroup()
        for row, value in enumerate(series.values):
            dot = Circle(
                radius=DOT,
                stroke_color=series.colour(row),
                stroke_width=theme.line,
                fill_color=theme.background if series.hollow else series.colour(row),
                fill_opacity=1.0,
            )
            dots.add(dot.move_to([*self.at(value, row), 0.0]))
        return dots

    def _line_of_words(self, texts: Sequence[str], row: int, y: float) -> VGroup:
        """One line of labels above the dots of a row, moved apart where they would overlap."""
        theme = current_theme()
        labels = VGroup(
            *(
                Label(text, size=theme.note_size, colour=s.colour(row))
                for text, s in zip(texts, self.series, strict=True)
            )
        )
        wanted = [self.at(s.values[row], row)[0] for s in self.series]
        room = [label.width + GAP for label in labels]
        xs = spread(wanted, room, -np.inf, self.right + GAP / 2)
        for label, x in zip(labels, xs, strict=True):
            label.on_line(x, y)
        return labels

    def _write_numbers(self, write: Callable[[float], str]) -> None:
        columns: list[list[Label]] = [[] for _ in self.series]
        line = _line_height(current_theme().note_size)
        for row in range(len(self.names)):
            y = self.at(self.axis.low, row)[1] + DOT + 0.4 * GAP + line / 2
            texts = [write(s.values[row]) if s.written else "" for s in self.series]
            for column, label in zip(columns, self._line_of_words(texts, row, y), strict=True):
                column.append(label)
        self.numbers.add(*(VGroup(*column) for column in columns))
