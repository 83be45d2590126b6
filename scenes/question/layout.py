"""Layout of the scene that asks the question: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point

__all__ = ["DEPTH", "QuestionLayout"]

# Lengths are in scene units.
DEPTH = (0.9, 0.42)  # how far the back of a slab is to the right of its front, and above it
MAX_SLAB = 0.34  # height of a slab, at most
MAX_WIDTH = 4.6  # width of a slab, at most
DISPLAY = 0.07  # size of the figure that matters, as a fraction of the frame's height
GAP = 0.3  # between things


@dataclass(frozen=True)
class QuestionLayout:
    """Where sentence, memory and figures stand.

    Attributes
    ----------
    first, above
        Room for the sentence alone, and above the memory.
    foot
        Front of the lowest slab of a few, without height: its left, right and y.
    few
        Height of the pile of the sentence's own slabs, at most.
    full
        Front of the memory when it is full.
    count, unit
        Middle of the counter, and of the words below it.
    remark
        Left end of the first line of the remark, and its width.
    question, title
        Room for the question, and the middle of the title.
    """

    first: Box
    above: Box
    foot: Box
    few: float
    full: Box
    count: Point
    unit: Point
    limit: Point
    remark: tuple[Point, float]
    question: Box
    title: Point

    @classmethod
    def of(cls, frame: Frame) -> QuestionLayout:
        """Lay the scene out in a frame."""
        stage, tall = frame.stage, frame.upright
        above = Box.of(stage.left, stage.right, stage.top - 0.3 * stage.height, stage.top)
        right, up = DEPTH
        if tall:
            # Figures above the memory.
            width = min(MAX_WIDTH, 0.6 * stage.width)
            left = stage.x - (width + right) / 2
            figures = Box.of(stage.left, stage.right, stage.top - 0.25 * stage.height, stage.top)
            top = figures.bottom - up - 3 * GAP
            remark = 0.14 * stage.height
            bottom = stage.bottom + remark + GAP
            corner, room = (stage.left, stage.bottom + remark), stage.width
        else:
            width = min(MAX_WIDTH, 0.36 * stage.width)
            left = stage.right - width - right - 2 * GAP
            figures = Box.of(stage.left, left - 2 * GAP, stage.y - 0.5, stage.top - 0.5)
            bottom, top = stage.bottom + GAP, stage.top - up - FRAME_HEIGHT * 0.04 - 3 * GAP
            corner, room = (stage.left, stage.bottom + 1.7), figures.width
        full = Box.of(left, left + width, bottom, top)
        few_left = stage.x - (width + right) / 2
        few_bottom = stage.bottom + GAP
        return cls(
            first=Box(stage.x, frame.safe.y, stage.width - 1.0, 0.5 * stage.height),
            above=Box.of(above.left, above.right - 0.5, above.bottom, above.top),
            foot=Box.of(few_left, few_left + width, few_bottom, few_bottom),
            few=above.bottom - GAP - up - few_bottom,
            full=full,
            count=(figures.x, figures.y + 0.45),
            unit=(figures.x, figures.y - 0.45),
            limit=(full.x + right / 2, full.top + up + 2.6 * GAP + FRAME_HEIGHT * 0.02),
            remark=(corner, room),
            question=Box(stage.x, stage.y + 0.6, stage.width - 1.0, 0.5 * stage.height),
            title=(stage.x, stage.y - 0.2 * stage.height),
        )

    def slab(self, tokens: int) -> float:
        """Return the height of one slab of a sentence."""
        return min(MAX_SLAB, self.few / tokens)
