"""Layout of the chart of cache size against context length: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import Box, Frame, Point

__all__ = ["ContextLayout"]


APART = 0.1  # between the notes at the top of the frame and the chart


ENDS = 2.0  # smallest width for names and sizes at the ends of lines


@dataclass(frozen=True)
class ContextLayout:
    """A chart that fills the stage.

    Attributes
    ----------
    chart
        Box of the chart with all its labels.
    right
        Width for the labels at the ends of lines.
    remark
        Top right corner of a remark.
    """

    chart: Box
    right: float
    remark: Point

    @classmethod
    def of(cls, frame: Frame) -> ContextLayout:
        """Return the layout for a frame."""
        stage = frame.stage
        chart = Box.of(stage.left, stage.right, stage.bottom, stage.top - APART)
        right = max(0.16 * chart.width, ENDS)
        return cls(chart=chart, right=right, remark=(chart.right, chart.top))
