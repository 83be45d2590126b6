"""Parts of charts: axes, lines and their names, reference lines.

Everything is labelled in place, never in a legend. Charts fill a :class:`Box` and stay inside it,
labels included; sizes follow from the box and the theme. Lengths are in scene units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt
from manim import DL, LEFT, UR, Line, Mobject, VGroup

from filmkit.core.animations import Arrive
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.numbers import format_decimal, format_number
from filmkit.core.text import Label, Tick
from filmkit.core.theme import current_theme
from filmkit.mobjects.flow import Wire

__all__ = [
    "ChartAxes",
    "ChartAxis",
    "Curve",
    "EndLabels",
    "grow_bar",
    "spread",
]

GAP = 0.12  # between a mark and its label


def spread(
    wanted: Sequence[float], sizes: Sequence[float], low: float, high: float
) -> tuple[float, ...]:
    """Move labels apart along a line until they do not overlap, and as little as possible.

    Parameters
    ----------
    wanted
        Preferred center of each label.
    sizes
        Length of each label, its gap included.
    low, high
        Ends of the line; labels stay between them if they fit.

    Returns
    -------
    tuple of float
        Center of each label, in the order of ``wanted``.

    Examples
    --------
    >>> spread([0.0, 0.0, 5.0], [1.0, 1.0, 1.0], -9.0, 9.0)
    (-0.5, 0.5, 5.0)
    """
    from scipy.optimize import isotonic_regression  # takes long to import, and few charts need it

    order = np.argsort(wanted, kind="stable")
    room = np.array(sizes, dtype=float)[order]
    # Subtract from each place the room of the labels before it: then labels only must not change
    # their order. The nearest such places are an isotonic regression.
    offset = np.concatenate([[0.0], np.cumsum((room[1:] + room[:-1]) / 2)])[: len(room)]
    flat = isotonic_regression(np.array(wanted, dtype=float)[order] - offset).x
    flat = np.minimum(flat, high - (room / 2 + offset)[-1:])
    centers = np.empty(len(room))
    centers[order] = np.maximum(flat, low + room[:1] / 2) + offset
    return tuple(centers.tolist())


@dataclass(frozen=True)
class ChartAxis:
    """One axis of a chart: its range, ticks and title.

    Attributes
    ----------
    low, high
        Numbers at its ends.
    ticks
        The few numbers that are written along it.
    title
        What it counts, with its unit.
    write
        Function that formats a tick.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    title: str = ""
    write: Callable[[float], str] = format_number

    @classmethod
    def covering(cls, values: npt.ArrayLike, title: str = "", *, whole: bool = False) -> ChartAxis:
        """Return a linear axis over some numbers, with two to six round ticks.

        Parameters
        ----------
        values
            Finite numbers of any shape, at least one.
        title
            As for the class.
        whole
            Whether the axis ends at ticks, instead of at the smallest and the largest number.
        """
        low, high = float(np.min(values)), float(np.max(values))
        # Below a normal number's size, steps cannot be round.
        if high - low < 10 * np.finfo(float).tiny:
            low, high = (low - 0.5, high + 0.5) if low else (0.0, 1.0)
        power = float(np.floor(np.log10((high - low) / 5)))
        step = next(
            digit * 10.0**power for digit in (1, 2, 5, 10) if 5 * digit * 10.0**power >= high - low
        )
        # A tick that differs from an end by rounding alone belongs to the axis.
        first, last = low / step + 1e-9, high / step - 1e-9
        if whole:
            first, last = np.floor(first), np.ceil(last)
            low, high = first * step, last * step
        ticks = np.arange(np.ceil(first - 2e-9), np.floor(last + 2e-9) + 1) * step
        places = max(0, -int(np.floor(np.log10(step) + 1e-9)))
        return cls(
            low, high, tuple(map(float, ticks)), title, write=partial(format_decimal, digits=places)
        )

    def share(self, value: float) -> float:
        """Return how far along the axis a number is: 0 at its low end, 1 at its high end."""
        return (value - self.low) / (self.high - self.low)

    @property
    def tick_labels(self) -> tuple[str, ...]:
        """Text of each tick."""
        return tuple(self.write(tick) for tick in self.ticks)


class ChartAxes(VGroup):
    """Two axes with few ticks: horizontal hairlines, numbers at the left and below, titles.

    The title of the vertical axis is horizontal and above it.

    Parameters
    ----------
    x, y
        The horizontal and the vertical axis.
    box
        Room for the axes with all their labels.
    left
        Width of what hangs over at the left, in which the numbers of the vertical axis are too.
    right
        Width that is kept free at the right, for the labels of lines.
    below
        Height that is kept free below the plot, above the title; that of a line of ticks by
        default.
    size
        Text size; the theme's ``note_size`` by default.

    Attributes
    ----------
    plot : Box
        Box of the data.
    rules, base, x_ticks, y_ticks, titles
        Hairlines, the horizontal axis, and labels.

    Examples
    --------
    ::

        axes = ChartAxes(ChartAxis(0, 100, (0, 50, 100), "tokens"), ChartAxis(0, 9, (0, 9)), box)
        line = Curve(axes, [0, 100], [0, 9], colour=theme.key)
        self.play(Appear(axes), Draw(line))
    """

    def __init__(
        self,
        x: ChartAxis,
        y: ChartAxis,
        box: Box,
        *,
        left: float = 0.0,
        right: float = 0.0,
        below: float | None = None,
        size: float | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.x, self.y = x, y
        size = size or theme.note_size
        line = size * FRAME_HEIGHT
        self.x_ticks, self.y_ticks = (
            VGroup(*(Tick(text, size=size, colour=theme.muted) for text in axis.tick_labels))
            for axis in (x, y)
        )
        widest = max((label.width for label in self.y_ticks), default=0.0)
        overhang = self.x_ticks[-1].width / 2 if len(self.x_ticks) else 0.0
        self.plot = Box.of(
            box.left + max(left, widest + GAP),
            box.right - max(right, overhang),
            box.bottom
            + (line if below is None else below)
            + GAP
            + (line + GAP if x.title else 0.0),
            box.top - (line + max(GAP, 0.6 * line) if y.title else 0.0),
        )
        self.rules = VGroup()
        ends = [[x, self.plot.bottom, 0.0] for x in (self.plot.left, self.plot.right)]
        self.base = Line(*ends, stroke_color=theme.flow, stroke_width=theme.line)
        for label, tick in zip(self.x_ticks, x.ticks, strict=True):
            label.on_line(self.at(tick, y.low)[0], self.plot.bottom - GAP - line / 2)
        titles = []
        if x.title:
            title = Label(x.title, size=size, colour=theme.muted)
            titles.append(title.on_line(self.plot.right - title.width / 2, box.bottom + line / 2))
        if y.title:
            title = Label(y.title, size=size, colour=theme.muted)
            titles.append(title.on_line(box.left + title.width / 2, box.top - line / 2))
        self.titles = VGroup(*titles)
        for label, tick in zip(self.y_ticks, y.ticks, strict=True):
            _x, level = self.at(x.low, tick)
            ends = [[side, level, 0.0] for side in (self.plot.left, self.plot.right)]
            self.rules.add(Line(*ends, stroke_color=theme.faint, stroke_width=theme.thin))
            label.on_line(self.plot.left - GAP - label.width / 2, level)
        self.add(self.rules, self.base, self.x_ticks, self.y_ticks, self.titles)

    def make_way(self, labels: Iterable[Mobject]) -> None:
        """Interrupt the hairlines around labels that stand on them, which are beside each other."""
        boxes = [Box.between(label.get_corner(DL), label.get_corner(UR)) for label in labels]
        for rule in self.rules:
            y = rule.get_y()
            stand = sorted((b.left, b.right) for b in boxes if b.bottom < y < b.top)
            around = [(left - GAP, right + GAP) for left, right in stand]
            ends = [self.plot.left, *chain(*around), self.plot.right]
            rule.clear_points()
            for start, end in zip(ends[::2], ends[1::2], strict=True):
                if start < end:
                    rule.start_new_path(np.array([start, y, 0.0]))
                    rule.add_line_to(np.array([end, y, 0.0]))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the (x, y) in scene units of a point of data."""
        plot = self.plot
        return (
            plot.left + self.x.share(x) * plot.width,
            plot.bottom + self.y.share(y) * plot.height,
        )


class Curve(Wire):
    """A line through data; :class:`~filmkit.mobjects.flow.Draw` draws it from the left.

    Parameters
    ----------
    axes
        Axes that cover the data.
    xs, ys
        The data, from the left.
    colour
        "#RRGGBB".
    width
        Line width in points; the theme's ``line`` by default.

    Attributes
    ----------
    end
        (x, y) of its end, in scene units.
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
        data = zip(np.asarray(xs, dtype=float), np.asarray(ys, dtype=float), strict=True)
        points = [axes.at(x, y) for x, y in data]
        self.end = points[-1]
        super().__init__(points, colour=colour, arrow=False, width=width)

    def _draw(self, corners: npt.NDArray[np.float64]) -> None:
        self.line.set_points_as_corners(corners)


class EndLabels(VGroup):
    """Names to the right of the ends of lines, moved apart where they would overlap.

    Parameters
    ----------
    curves
        Lines on the same axes.
    texts
        Name of each line.
    size
        Text size; the theme's ``shape_size`` by default.

    Attributes
    ----------
    labels, ties
        For each curve its name, and a hairline from the line's end to the name.
    """

    def __init__(
        self, curves: Sequence[Curve], texts: Sequence[str], *, size: float | None = None
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.labels, self.ties = VGroup(), VGroup()
        for curve, text in zip(curves, texts, strict=True):
            colour = curve.line.get_stroke_color()
            self.labels.add(Label(text, size=size, colour=colour))
            self.ties.add(Line(stroke_color=colour, stroke_width=theme.thin))
        ends = [curve.end for curve in curves]
        line = self.labels[0].line_height
        low = curves[0].axes.plot.bottom - line / 2
        ys = spread([y for _, y in ends], [1.25 * line] * len(ends), low, np.inf)
        for label, tie, (x, start), y in zip(self.labels, self.ties, ends, ys, strict=True):
            label.on_line(x + 3 * GAP + label.width / 2, y)
            tie.set_points_as_corners([[x + 0.4 * GAP, start, 0.0], [x + 2.6 * GAP, y, 0.0]])
        self.add(self.ties, self.labels)


def grow_bar(bar: Mobject) -> Arrive:
    """Return an animation in which a bar grows from its left end."""
    return Arrive(bar, bar.copy().stretch(1e-3, 0, about_edge=LEFT))
