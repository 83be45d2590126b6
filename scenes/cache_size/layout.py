"""Where things stand in the scene about the size of the cache."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, NARROW, Box, Frame, Point
from filmkit.mobjects.context_chart_layout import APART

__all__ = ["ClaimLayout", "ShippedLayout", "TokenBarsLayout"]


NOTE = 0.024 * FRAME_HEIGHT  # a line of small words
LINE = 0.03 * FRAME_HEIGHT  # the same with a little air
BRACKETED = 0.6  # above the first bar: a row of tiles, a bracket and its ratio
NESTED = 2.2  # the same with two brackets, one above the other
INNER = 0.86  # the lower one of them, with its ratio
TITLE_DROP = 0.66  # from the title down to the first bar, where brackets come between later
COLUMNS = 1.9  # two columns of words at the right of a dot plot
STEP = 1.5  # a bracket at the right of bars, with its words


@dataclass(frozen=True)
class TokenBarsLayout:
    """Four bars of one token; ``title`` and ``source`` are top left corners of lines of words.

    In a frame that is higher than wide, ``captioned``, names stand below the bars, and both
    brackets above the first one, the outer one higher by ``raised``.
    """

    title: Point
    bars: Box
    source: Point
    captioned: bool
    raised: float

    @classmethod
    def of(cls, frame: Frame) -> TokenBarsLayout:
        stage, captioned = frame.stage, frame.height > frame.width
        above = NESTED if captioned else LINE + BRACKETED / 2
        below = 2 * LINE if frame.width <= NARROW else LINE
        bars = Box.of(stage.left, stage.right, stage.bottom + below, stage.top - above)
        title = bars.top + TITLE_DROP if captioned else stage.top - APART
        return cls(
            title=(stage.left, title),
            bars=bars,
            source=(stage.left, stage.bottom + NOTE),
            captioned=captioned,
            raised=INNER if captioned else 0.0,
        )

    def tiles(self, bar: Box) -> Box:
        """The strip above a bar along which another bar is laid again and again."""
        height = 0.3 * bar.height
        return Box(bar.x, bar.top + 0.8 * height, bar.width, height)


@dataclass(frozen=True)
class ShippedLayout:
    """A dot plot with two columns of words at its right: where they begin and where they end.

    In a frame that is higher than wide, ``captioned``, a model's words stand above its dots, and
    the dots have all of the width. ``head`` is by how much the name of the last column stands
    higher than those of the dots.
    """

    chart: Box
    right: float
    schemes: float
    factors: float
    remark: Point
    captioned: bool
    head: float

    @classmethod
    def of(cls, frame: Frame) -> ShippedLayout:
        stage, captioned = frame.stage, frame.height > frame.width
        narrow = frame.width <= NARROW
        right = max(0.17 * stage.width, COLUMNS)
        # In a narrow frame the remark and the last column's name have lines of their own.
        below, head = (1.4 * LINE, 1.2 * LINE) if narrow else (0.0, 0.0)
        return cls(
            chart=Box.of(stage.left, stage.right, stage.bottom + below, stage.top - APART - head),
            right=0.0 if captioned else right,
            schemes=stage.right - 0.8 * right,
            factors=stage.right,
            remark=(stage.left, stage.bottom + NOTE),
            captioned=captioned,
            head=head,
        )


@dataclass(frozen=True)
class ClaimLayout:
    """Three bars with brackets at their right, and lines of words above and below them.

    In a narrow frame, ``captioned``, names stand below the bars.
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
        stage, narrow = frame.stage, frame.width <= NARROW
        below = 5.2 * LINE
        width = stage.width - 2 * STEP - APART if narrow else 0.66 * stage.width
        above = (2.8 if narrow else 2.0) * LINE
        bottom = stage.bottom + below + (0.6 * LINE if narrow else 0.0)
        bars = Box.of(stage.left, stage.left + width, bottom, stage.top - above)
        return cls(
            title=(stage.left, stage.top - APART),
            bars=bars,
            steps=bars.right + APART,
            total=bars.right + (APART + STEP if narrow else 0.18 * stage.width),
            consistent=(stage.left, stage.bottom + below),
            throughput=(stage.left, stage.bottom + 2.3 * LINE),
            measured=(stage.left, stage.bottom + NOTE),
            captioned=narrow,
        )
