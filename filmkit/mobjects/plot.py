"""Charts of any numbers: bars and lines on axes with round ticks, without LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle

import numpy as np
import numpy.typing as npt
from manim import DOWN, PI, UP, Animation, AnimationGroup, LaggedStart, Rectangle, VGroup

from filmkit.core.animations import Appear, Arrive, second_half
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.numbers import format_short
from filmkit.core.text import Label, fit_word, text_width
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import ChartAxes, ChartAxis, Curve, EndLabels

__all__ = ["Chart"]

Array = npt.NDArray[np.float64]

GAP = 0.12  # between a mark and its words, in scene units
BAR = 0.62  # width of a bar, as a share of the distance from one to the next
LEAST = 0.02  # height of the bar of zero, in scene units
NAMES = 0.3  # most of the chart's height that names below it take


class Chart(VGroup):
    """A chart of one's own numbers: bars, also negative ones, lines, or both on the same axes.

    Manim's ``BarChart`` and ``Axes`` write their numbers with LaTeX, which need not be installed;
    this chart does not use it.

    Parameters
    ----------
    bars
        A number for each bar.
    names
        What stands below each bar, or below each point of the lines.
    lines
        The numbers of each line, by its name, which stands at its end.
    xs
        Where the points of lines without names are, from left to right; 0, 1, 2, ... by default.
    x, y
        Titles of the axes.
    y_range
        The numbers at both ends of the vertical axis; round ones around all numbers by default.
    width, height
        Size with all labels, in scene units. As a part of a mosaic, the chart fills its place,
        which is at least half as large.
    size
        Text size, such as 0.034, which the last row of a hall can read; by default the theme's
        ``note_size``, and its ``shape_size`` at the ends of lines.
    colour
        "#RRGGBB": of all bars, or one for each; the theme's ``accent`` by default.
    line_colours
        "#RRGGBB" of each line; colours of the theme by default.
    write
        Function that formats the numbers of bars and of the vertical axis.

    Attributes
    ----------
    axes, names
        The axes with their ticks and titles, and the names below them. In a picture,
        ``axes.at(x, y)`` is where a number of the data is, for marks of one's own.
    bars, numbers
        Each bar, and the number at its end; there are no numbers where they would be too small.
    curves, ends
        Each line, and the names at their ends.

    Raises
    ------
    SceneCodeError
        If there is nothing to draw, numbers are missing, not finite or beyond ``y_range``, or
        lengths differ.

    Examples
    --------
    ::

        chart = Chart([0.4, -0.2, 0.1], names=["one", "two", "three"], y="change")
        self.play(Appear(chart.axes), Appear(chart.names), chart.grow())

        chart = Chart(lines={"layer 0": first, "layer 11": last}, x="token", y="entropy, bits")
        self.play(Appear(chart.axes), *(Draw(curve) for curve in chart.curves), Appear(chart.ends))
    """

    def __init__(
        self,
        bars: npt.ArrayLike = (),
        *,
        names: Sequence[str] = (),
        lines: Mapping[str, npt.ArrayLike] | None = None,
        xs: npt.ArrayLike | None = None,
        x: str = "",
        y: str = "",
        y_range: tuple[float, float] | None = None,
        width: float = 11.0,
        height: float = 5.5,
        size: float | None = None,
        colour: str | Sequence[str] | None = None,
        line_colours: Sequence[str] = (),
        write: Callable[[float], str] | None = None,
    ) -> None:
        super().__init__()
        # What it is made of, for `filling`.
        self._given = {n: value for n, value in locals().items() if n not in ("self", "__class__")}
        theme = current_theme()
        letters = size or theme.note_size
        heights = _finite("bars", bars)
        series = {name: _finite(f"line {name!r}", ys) for name, ys in (lines or {}).items()}
        places = _places(heights, series, names, xs)
        # Bars and names have a place each, of which half is free at both ends.
        placed = bool(len(heights) or names)
        from_zero = [0.0] * bool(len(heights))
        y_axis = _y_axis([*heights, *chain(*series.values()), *from_zero], y, y_range, write)
        x_axis = ChartAxis.covering(places, x)
        if placed:
            x_axis = ChartAxis(-0.5, len(places) - 0.5, (), x)
        line = letters * FRAME_HEIGHT + GAP
        # Above the highest bar there is room for its number, and below one that hangs down.
        foot = line * bool(len(heights) and heights.min() < 0)
        top = height / 2 - line * bool(len(heights))
        box = Box.of(-width / 2, width / 2, -height / 2, top)
        right = max((text_width(name, size=size) + 4 * GAP for name in series), default=0.0)
        ticks = max(text_width(text, size=letters) for text in y_axis.tick_labels)
        pitch = (width - ticks - GAP - right) / (x_axis.high - x_axis.low)
        if pitch <= 0:
            raise SceneCodeError(f"a chart {width:g} wide has no room for its words; make it wider")
        self.names = _names(names, 0.94 * pitch, NAMES * height, letters)
        below = foot + self.names.height if placed else None
        self.axes = ChartAxes(x_axis, y_axis, box, right=right, below=below, size=size)
        level = self.axes.at(x_axis.low, min(max(0.0, y_axis.low), y_axis.high))[1]
        self.axes.base.set_y(level)
        for name, place in zip(self.names, places, strict=False):
            top = self.axes.plot.bottom - foot - GAP
            name.shift([self.axes.at(place, 0.0)[0], top, 0.0])
        fill = [colour or theme.accent] if colour is None or isinstance(colour, str) else colour
        self.bars, self.numbers = VGroup(), VGroup()
        for place, value, one in zip(places, heights, cycle(fill), strict=False):
            number = Label((write or format_short)(float(value)), size=letters)
            self._add_bar(place, float(value), one, BAR * pitch, number)
        if any(number.width > 0.94 * pitch for number in self.numbers):
            self.numbers = VGroup()
        self.axes.make_way(self.numbers)
        own = (theme.accent, theme.latent, theme.query, theme.value, theme.ink)
        strokes = chain(line_colours, cycle(own[bool(len(heights)) :]))
        self.curves = VGroup(
            *(
                Curve(self.axes, places, ys, colour=stroke)
                for ys, stroke in zip(series.values(), strokes, strict=False)
            )
        )
        self.ends = EndLabels(list(self.curves), list(series), size=size) if series else VGroup()
        self.add(self.axes, self.names, self.bars, self.numbers, self.curves, self.ends)

    def _add_bar(
        self, place: float, value: float, colour: str, width: float, number: Label
    ) -> None:
        """Add the bar of a number, from zero, and the number at its end."""
        x, end = self.axes.at(place, value)
        zero = self.axes.at(place, 0.0)[1]
        bar = Rectangle(
            width=width,
            height=max(abs(end - zero), LEAST),
            stroke_width=0.0,
            fill_color=colour,
            fill_opacity=1.0,
        )
        side = 1 if value >= 0 else -1
        self.bars.add(bar.move_to([x, zero + side * bar.height / 2, 0.0]))
        away = bar.height + GAP / 2 + number.line_height / 2
        self.numbers.add(number.on_line(x, zero + side * away))

    def grow(self, **kwargs: float) -> Animation:
        """Return an animation in which the bars grow from zero, one after another."""
        growing = [Arrive(bar, low) for bar, low in zip(self.bars, self.flat.bars, strict=True)]
        numbers = [Appear(self.numbers, rate_func=second_half)] if len(self.numbers) else []
        return AnimationGroup(LaggedStart(*growing, lag_ratio=0.15), *numbers, **kwargs)

    @property
    def flat(self) -> Chart:
        """A copy of the chart whose bars have no height yet."""
        flat, zero = self.copy(), self.axes.base.get_y()
        for bar in flat.bars:
            bar.stretch(1e-3, 1, about_edge=DOWN if bar.get_y() >= zero else UP)
        return flat

    def filling(self, box: Box) -> Chart:
        """Return the chart anew, as large as a box, but no higher than wide.

        Its words and letters are the same. What was changed by hand since it was made is lost.
        """
        height = min(box.height, box.width)
        given = self._given | {"width": box.width, "height": height}
        chart = Chart(**given).shift(box.center)
        chart.axes.plot = chart.axes.plot.moved(box.x, box.y)
        return chart


def _finite(what: str, values: npt.ArrayLike) -> Array:
    """Return numbers of a chart as an array, or refuse what cannot be drawn."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise SceneCodeError(f"{what} of a chart must be one row of finite numbers")
    return array


def _places(
    bars: Array, lines: Mapping[str, Array], names: Sequence[str], xs: npt.ArrayLike | None
) -> Array:
    """Return where bars and points stand along the axis, or refuse lengths that differ."""
    lengths = {f"line {name!r}": len(ys) for name, ys in lines.items()}
    lengths |= {"bars": len(bars)} if len(bars) else {}
    if not lengths:
        raise SceneCodeError("a chart without bars and lines shows nothing; give it numbers")
    if xs is not None and (names or len(bars)):
        raise SceneCodeError("xs is for lines alone; bars and names stand at equal distances")
    count = next(iter(lengths.values()))
    places = np.arange(float(count)) if xs is None else _finite("xs", xs)
    lengths |= {"names": len(names)} if names else {}
    for what, length in {**lengths, "xs": len(places)}.items():
        if length != count:
            first = next(iter(lengths))
            raise SceneCodeError(
                f"a chart has {count} numbers of {first} and {length} of {what}; make them as many"
            )
    if count < 2 and lines:
        raise SceneCodeError("a line needs two points or more; show one number as a bar")
    if (np.diff(places) <= 0).any():
        raise SceneCodeError("xs must grow from left to right; sort the points")
    return places


def _y_axis(
    values: Sequence[float],
    title: str,
    ends: tuple[float, float] | None,
    write: Callable[[float], str] | None,
) -> ChartAxis:
    """Return the vertical axis for numbers, or refuse ends between which they are not."""
    if ends is None:
        axis = ChartAxis.covering(values, title, whole=True)
    else:
        both = _finite("y_range", ends)
        if len(both) != 2 or not (both[0] <= min(values) and max(values) <= both[1] > both[0]):
            raise SceneCodeError(
                f"y_range of a chart is two numbers around all that it shows: bars from 0, lines, "
                f"here {min(values):g} to {max(values):g}"
            )
        axis = ChartAxis.covering(both, title)
    if (own := write) is None:
        return axis
    return replace(axis, write=lambda tick: own(tick) if tick else "0")


def _names(names: Sequence[str], width: float, height: float, size: float) -> VGroup:
    """Return labels of names as wide as there is room, or all of them on end.

    They hang from the origin.
    """
    least = current_theme().min_text_size
    widest = max((text_width(name, size=size) for name in names), default=0.0)
    if widest * least <= width * size:
        size = min(size, size * width / max(widest, 1e-9))
        labels = [Label(name, size=size) for name in names]
        return VGroup(*(label.on_line(0, -label.line_height / 2) for label in labels))
    labels = [fit_word(name, height, size=size).rotate(PI / 2) for name in names]
    return VGroup(*(label.on_line(0, -label.height / 2) for label in labels))
