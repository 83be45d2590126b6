"""Where things stand in the scene about the size of the cache."""

from __future__ import annotations

from dataclasses import dataclass

from scenes.layout import FRAME_HEIGHT, Box, Frame

__all__ = ["ClaimSlots", "ContextSlots", "ShippedSlots", "TokenSlots"]

Spot = tuple[float, float]

NOTE = 0.024 * FRAME_HEIGHT  # a line of small words
LINE = 0.03 * FRAME_HEIGHT  # the same with a little air
APART = 0.1  # below the line that says where the numbers are from
BRACKETED = 0.6  # above the first bar: a row of tiles, a bracket and its ratio


@dataclass(frozen=True)
class TokenSlots:
    """Four bars of one token; ``title`` and ``source`` are top left corners of words."""

    title: Spot
    bars: Box
    source: Spot

    @classmethod
    def of(cls, frame: Frame) -> TokenSlots:
        stage = frame.stage
        bars = Box.of(
            stage.left, stage.right, stage.bottom + LINE, stage.top - LINE - BRACKETED / 2
        )
        return cls(
            title=(stage.left, stage.top - APART),
            bars=bars,
            source=(stage.left, stage.bottom + NOTE),
        )

    def tiles(self, bar: Box) -> Box:
        """The strip above a bar along which another bar is laid again and again."""
        height = 0.3 * bar.height
        return Box(bar.x, bar.top + 0.8 * height, bar.width, height)


@dataclass(frozen=True)
class ContextSlots:
    """A chart that fills the stage, and a remark whose top right corner is ``remark``."""

    chart: Box
    right: float
    remark: Spot

    @classmethod
    def of(cls, frame: Frame) -> ContextSlots:
        stage = frame.stage
        chart = Box.of(stage.left, stage.right, stage.bottom, stage.top - APART)
        return cls(chart=chart, right=0.16 * chart.width, remark=(chart.right, chart.top))


@dataclass(frozen=True)
class ShippedSlots:
    """A dot plot with two columns of words at its right: where they begin and where they end."""

    chart: Box
    right: float
    schemes: float
    factors: float
    remark: Spot

    @classmethod
    def of(cls, frame: Frame) -> ShippedSlots:
        stage = frame.stage
        right = 0.17 * stage.width
        return cls(
            chart=Box.of(stage.left, stage.right, stage.bottom, stage.top - APART),
            right=right,
            schemes=stage.right - 0.8 * right,
            factors=stage.right,
            remark=(stage.left, stage.bottom + NOTE),
        )


@dataclass(frozen=True)
class ClaimSlots:
    """Three bars with brackets at their right, and lines of words above and below them."""

    title: Spot
    bars: Box
    steps: float
    total: float
    consistent: Spot
    throughput: Spot
    measured: Spot

    @classmethod
    def of(cls, frame: Frame) -> ClaimSlots:
        stage = frame.stage
        below = 5.2 * LINE
        bars = Box.of(
            stage.left, stage.left + 0.66 * stage.width, stage.bottom + below, stage.top - 2 * LINE
        )
        return cls(
            title=(stage.left, stage.top - APART),
            bars=bars,
            steps=bars.right + APART,
            total=bars.right + 0.18 * stage.width,
            consistent=(stage.left, stage.bottom + below),
            throughput=(stage.left, stage.bottom + 2.3 * LINE),
            measured=(stage.left, stage.bottom + NOTE),
        )
