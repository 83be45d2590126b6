"""Where the chart of cache size against context length stands: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import Box, Frame, Point

__all__ = ["ContextLayout"]


APART = 0.1  # below the line that says where the numbers are from


ENDS = 2.0  # names and sizes at the ends of lines


@dataclass(frozen=True)
class ContextLayout:
    """A chart that fills the stage, and a remark whose top right corner is ``remark``."""

    chart: Box
    right: float
    remark: Point

    @classmethod
    def of(cls, frame: Frame) -> ContextLayout:
        stage = frame.stage
        chart = Box.of(stage.left, stage.right, stage.bottom, stage.top - APART)
        right = max(0.16 * chart.width, ENDS)
        return cls(chart=chart, right=right, remark=(chart.right, chart.top))
