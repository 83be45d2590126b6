"""Layout of the scene that asks the question: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame, Point

__all__ = ["DEPTH", "QuestionLayout"]

# Lengths are in scene units.
DEPTH = (0.9, 0.42)  # how far the back of a slab is to the right of its front, and above it
MAX_SLAB = 0.5  # height of a slab, at most
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
    limit
        Middle of the words above the memory.
    remark
        Middle of the first line of the remark, and its width.
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
    def of(cls, frame: Frame, *, words: float) -> QuestionLayout:
        """Lay the scene out in a frame.

        Parameters
        ----------
        frame
            The frame.
        words
            Width of the words beside the slabs of a few.
        """
        stage, tall = frame.stage, frame.upright
        first = Box(stage.x, frame.safe.y, stage.width - 1.0, 0.5 * stage.height)
        high = 0.3 * stage.height
        above = Box(stage.x, stage.top - high / 2, first.width, high)
        right, up = DEPTH
        if tall:
            # Figures above the memory.
            width = min(MAX_WIDTH, 0.6 * stage.width)
            left = stage.x - (width + right) / 2
            figures = Box.of(stage.left, stage.right, stage.top - 0.25 * stage.height, stage.top)
            top = figures.bottom - up - 5 * GAP
            remark = 0.14 * stage.height
            bottom = stage.bottom + remark + 2 * GAP
            note, room = (stage.x, stage.bottom + remark), stage.width
        else:
            width = min(MAX_WIDTH, 0.36 * stage.width)
            left = stage.right - width - right - 2 * GAP
            figures = Box.of(stage.left, left - 2 * GAP, stage.y, stage.y + 1.2)
            bottom, top = stage.bottom + GAP, stage.top - up - FRAME_HEIGHT * 0.04 - 3 * GAP
            note, room = (figures.x, figures.bottom - 1.2), 0.85 * figures.width
        full = Box.of(left, left + width, bottom, top)
        words += WORD_GAP
        few_width = min(width, stage.width - words - right)
        few_left = stage.x - (few_width + right - words) / 2
        few_bottom = stage.bottom + GAP
        return cls(
            first=first,
            above=above,
            foot=Box.of(few_left, few_left + few_width, few_bottom, few_bottom),
            few=above.bottom - GAP - up - few_bottom,
            full=full,
            count=(figures.x, figures.y + 0.45),
            unit=(figures.x, figures.y - 0.45),
            limit=(full.x + right / 2, full.top + up + 2.6 * GAP + FRAME_HEIGHT * 0.02),
            remark=(note, room),
            question=Box(stage.x, stage.y + 0.6, stage.width - 1.0, 0.5 * stage.height),
            title=(stage.x, stage.y - 0.2 * stage.height),
        )

    def slab(self, tokens: int) -> float:
        """Return the height of one slab of a sentence."""
        return min(MAX_SLAB, self.few / tokens)

    def slabs(self, tokens: int) -> tuple[Box, ...]:
        """Return the front of each slab of a sentence, from the lowest."""
        foot, high = self.foot, self.slab(tokens)
        bottoms = (foot.bottom + row * high for row in range(tokens))
        return tuple(Box.of(foot.left, foot.right, low, low + high) for low in bottoms)
