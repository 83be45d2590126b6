"""Layout of the outputs of all heads side by side, and of the layer's output: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from filmkit.core.geometry import HEADER, NARROW, WORD_GAP, Box, Frame, row_points
from filmkit.mobjects.head_layout import AWAY, WEIGHT_BOX

__all__ = ["MergeLayout", "merge_layout"]

# The z of all heads side by side. A strip is the z of one head.
STRIP_GAP = 0.14  # between two strips while they are apart
SEAM = 0.07  # the same while they are together
MAX_STRIP = 2.7  # width of a strip while they are apart
MAX_CELL = 0.2  # width of a cell
MAX_MERGE_ROW = 0.4  # height of a row above the output
MIN_BLOCK = 9.0  # width of all strips together, and of the output
LINE_GAP = 0.25  # between lines of strips in a tall frame
MAX_TALL_ROW, MAX_TALL = 0.62, 5.0  # height of a row and of a strip while there is no output
NAME_ROOM = 0.3  # below strips, for the names of their heads
# Width of a colour bar: the least, and as a share of the frame's; gap between it and the header.
SCALE_WIDTH, SCALE_SHARE, SCALE_ROOM = 1.9, 0.22, 0.4
ABOVE, SCALE_RISE = 0.75, 0.62  # room above a matrix; from it up to the middle of its colour bar
SCALE_BELOW = 0.8  # from a matrix down to the end of a colour bar below it
WAY = 0.28  # length of the line from the names to the weight, and of the one below it
ROW_FOR_WORDS = 0.235  # smallest height of a row that has a word beside it


@dataclass(frozen=True)
class MergeLayout:
    """Layout of the z of every head, side by side, and of the layer's output below.

    Attributes
    ----------
    apart
        A box for each head, from the left, with gaps, in the middle of the stage.
    together
        The same with narrow seams only.
    joined
        The same with narrow seams, at the top of the stage and less high.
    w_o
        Box of the output's weight.
    out
        Box of the output.
    into_out
        y of the end of the line to the output.
    words
        Whether rows are high enough to have words beside them.
    frame
        The frame for which it was made.
    """

    apart: tuple[Box, ...]
    together: tuple[Box, ...]
    joined: tuple[Box, ...]
    w_o: Box
    out: Box
    into_out: float
    words: bool
    frame: Frame

    def rows(self, strips: Sequence[Box], count: int) -> tuple[Box, ...]:
        """Return a box for each of ``count`` rows across all strips, from the top."""
        whole = Box.around(strips)
        height = whole.height / count
        return tuple(Box(x, y, whole.width, height) for x, y in row_points(whole.x, whole, count))

    def word_points(self, box: Box, count: int) -> tuple[tuple[float, float], ...]:
        """Return the right end of each of ``count`` words beside a box."""
        return row_points(box.left - WORD_GAP, box, count)

    def name_points(self, strips: Sequence[Box]) -> tuple[tuple[float, float], ...]:
        """Return the centers of the heads' names below their strips."""
        return tuple((strip.x, strip.bottom - NAME_ROOM / 2 - 0.02) for strip in strips)

    def scale(self, box: Box, header: float, least: float) -> Box:
        """Return the box of the colour bar of a matrix.

        It is to the right of the header, or below the matrix if there is no room.

        Parameters
        ----------
        box
            Box of the matrix.
        header
            x of the end of its header.
        least
            Width of the bar, at least.
        """
        width = max(SCALE_WIDTH, SCALE_SHARE * self.frame.width, least)
        half = width / 2
        x = max(box.right - half, header + SCALE_ROOM + half)
        if x + half > self.frame.stage.right + 1e-6:
            return Box(box.left + half, box.bottom - NAME_ROOM - 0.2, width, 0.12)
        return Box(x, box.top + SCALE_RISE, width, 0.12)


def _apart(frame: Frame, heads: int, max_height: float, *, alone: float) -> tuple[Box, ...]:
    """Return a box for each head: in one line, or in several in a tall frame.

    ``alone`` is the width of the box if there is only one head.
    """
    stage = frame.stage
    lines = max(1, round((heads / 1.3) ** 0.5)) if frame.tall else 1
    columns = -(-heads // lines)
    width = min(MAX_STRIP, (stage.width - STRIP_GAP * (columns - 1)) / columns)
    width = width if heads > 1 else alone
    room = (stage.height - ABOVE) / lines - NAME_ROOM
    height = min(max_height, MAX_TALL, room - LINE_GAP if lines > 1 else room)
    pitch = height + NAME_ROOM + LINE_GAP
    top = stage.y + (pitch * lines - LINE_GAP) / 2
    boxes = []
    for head in range(heads):
        line, column = divmod(head, columns)
        reach = width * columns + STRIP_GAP * (columns - 1)
        x = stage.x - reach / 2 + (width + STRIP_GAP) * column
        y = top - pitch * line
        boxes.append(Box.of(x, x + width, y - height, y))
    return tuple(boxes)


def merge_layout(
    frame: Frame, *, heads: int, d_v: int, d_model: int, count: int, word_width: float
) -> MergeLayout:
    """Return the layout of the z of all heads and of the layer's output.

    The output is as wide as all strips together, however many columns either has.

    Parameters
    ----------
    frame
        The frame to fill.
    heads, d_v
        Number of strips, and of columns of each.
    d_model
        Number of columns of the output.
    count
        Number of positions, which are rows.
    word_width
        Width of the longest word beside the rows.
    """
    stage = frame.stage
    between = NAME_ROOM + 2 * WAY + WEIGHT_BOX[1] + HEADER / 2  # from the strips to the output
    # In a narrow frame the line from the weight ends above the output's header, not beside it.
    name = HEADER if frame.width <= NARROW else 0.0
    between += 0.7 * name
    below = SCALE_BELOW if frame.tall else 0.0
    free = stage.height - ABOVE - between - below
    height, tall = min(free / 2, MAX_MERGE_ROW * count), min(MAX_TALL_ROW * count, MAX_TALL)
    words = height / count >= ROW_FOR_WORDS
    max_width = stage.width - (word_width + WORD_GAP if words else 0.0)
    wide = min(max_width, max(MIN_BLOCK, MAX_CELL * max(heads * d_v, d_model)))
    left = max(stage.x - wide / 2, stage.right - max_width)

    def strips(x: float, top: float, size: tuple[float, float]) -> tuple[Box, ...]:
        lefts = [x + size[0] * i for i in range(heads)]
        gap = SEAM if heads > 1 else 0.0
        return tuple(Box.of(a, a + size[0] - gap, top - size[1], top) for a in lefts)

    level = stage.y + (tall - ABOVE + NAME_ROOM) / 2
    top = stage.top - ABOVE - (free - 2 * height) / 2
    joined = strips(left, top, (wide / heads, height))
    w_o = Box(left + wide / 2, top - height - NAME_ROOM - WAY - WEIGHT_BOX[1] / 2, *WEIGHT_BOX)
    top = top - height - between
    return MergeLayout(
        apart=_apart(frame, heads, MAX_TALL_ROW * count, alone=wide),
        together=strips(left, level, (wide / heads, tall)),
        joined=joined,
        w_o=w_o,
        out=Box.of(left, left + wide, top - height, top),
        into_out=top + name + AWAY,
        words=words,
        frame=frame,
    )
