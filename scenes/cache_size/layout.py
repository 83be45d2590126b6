"""Layouts of the scene about the size of the cache: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, NARROW, Box, Frame, Point
from filmkit.mobjects.context_chart_layout import APART

__all__ = ["ClaimLayout", "ShippedLayout", "TokenBarsLayout"]


# Lengths are in scene units.
NOTE = 0.024 * FRAME_HEIGHT  # height of a line of small words
LINE = 0.03 * FRAME_HEIGHT  # height of such a line with its gap
ONE_BRACKET = 0.6  # height above the first bar of a row of tiles, a bracket and its ratio
TWO_BRACKETS = 2.2  # height of the same with two brackets, one above the other
INNER_BRACKET = 0.86  # height of the lower of the two brackets, with its ratio
TITLE_DROP = 0.66  # from the title down to the first bar, where the brackets appear later
COLUMNS = 1.9  # smallest width of two columns of words at the right of a dot plot
BRACKET_WIDTH = 1.5  # width of a bracket at the right of bars, with its words


@dataclass(frozen=True)
class TokenBarsLayout:
    """Layout of four bars of one token, with brackets at the first one.

    Attributes
    ----------
    title, source
        Top left corners of lines of words.
    bars
        Box of the bars.
    captioned
        Whether names stand below their bars and both brackets above the first bar, as in a frame
        that is higher than wide.
    outer_rise
        How much higher the outer bracket stands; 0 if the brackets are on either side of the bar.
    """

    title: Point
    bars: Box
    source: Point
    captioned: bool
    outer_rise: float

    @classmethod
    def of(cls, frame: Frame) -> TokenBarsLayout:
        """Lay out the bars in a frame."""
        stage, captioned = frame.stage, frame.height > frame.width
        above = TWO_BRACKETS if captioned else LINE + ONE_BRACKET / 2
        below = 2 * LINE if frame.width <= NARROW else LINE
        bars = Box.of(stage.left, stage.right, stage.bottom + below, stage.top - above)
        title = bars.top + TITLE_DROP if captioned else stage.top - APART
        return cls(
            title=(stage.left, title),
            bars=bars,
            source=(stage.left, stage.bottom + NOTE),
            captioned=captioned,
            outer_rise=INNER_BRACKET if captioned else 0.0,
        )

    def tiles(self, bar: Box) -> Box:
        """Return the box of the tiles above a bar, along which another bar is repeated."""
        height = 0.3 * bar.height
        return Box(bar.x, bar.top + 0.8 * height, bar.width, height)


@dataclass(frozen=True)
class ShippedLayout:
    """Layout of a dot plot with two columns of words at its right.

    Attributes
    ----------
    chart
        Box of the plot.
    right
        Width of the two columns; 0 if the words stand above the dots.
    schemes, factors
        x at which the first column begins, and at which the second one ends.
    remark
        Top left corner of the remark below.
    captioned
        Whether a model's words stand above its dots, as in a frame that is higher than wide.
    heading_rise
        How much higher the heading of the second column stands than those of the dots.
    """

    chart: Box
    right: float
    schemes: float
    factors: float
    remark: Point
    captioned: bool
    heading_rise: float

    @classmethod
    def of(cls, frame: Frame) -> ShippedLayout:
        """Lay out the dot plot in a frame."""
        stage, captioned = frame.stage, frame.height > frame.width
        narrow = frame.width <= NARROW
        right = max(0.17 * stage.width, COLUMNS)
        # In a narrow frame the remark and the last column's heading have lines of their own.
        below, heading_rise = (1.4 * LINE, 1.2 * LINE) if narrow else (0.0, 0.0)
        return cls(
            chart=Box.of(
                stage.left, stage.right, stage.bottom + below, stage.top - APART - heading_rise
            ),
            right=0.0 if captioned else right,
            schemes=stage.right - 0.8 * right,
            factors=stage.right,
            remark=(stage.left, stage.bottom + NOTE),
            captioned=captioned,
            heading_rise=heading_rise,
        )


@dataclass(frozen=True)
class ClaimLayout:
    """Layout of three bars with brackets at their right, and lines of words above and below.

    Attributes
    ----------
    title, consistent, throughput, measured
        Top left corners of lines of words.
    bars
        Box of the bars.
    steps, total
        x of the inner brackets and of the outer one.
    captioned
        Whether names stand below their bars, as in a narrow frame.
    """

    title: Point
    bars: Box
    steps: float
    total: float
    consistent: Point
    throughput: Point
    measured: Point
    captioned: bool

    @classmethod
    def of(cls, frame: Frame) -> ClaimLayout:
        """Lay out the bars in a frame."""
        stage, narrow = frame.stage, frame.width <= NARROW
        below = 5.2 * LINE
        width = stage.width - 2 * BRACKET_WIDTH - APART if narrow else 0.66 * stage.width
        above = (2.8 if narrow else 2.0) * LINE
        bottom = stage.bottom + below + (0.6 * LINE if narrow else 0.0)
        bars = Box.of(stage.left, stage.left + width, bottom, stage.top - above)
        return cls(
            title=(stage.left, stage.top - APART),
            bars=bars,
            steps=bars.right + APART,
            total=bars.right + (APART + BRACKET_WIDTH if narrow else 0.18 * stage.width),
            consistent=(stage.left, stage.bottom + below),
            throughput=(stage.left, stage.bottom + 2.3 * LINE),
            measured=(stage.left, stage.bottom + NOTE),
            captioned=narrow,
        )
