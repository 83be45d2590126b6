"""Boxes and points of the flat picture, and the frame around it: pure geometry.

Everything is in scene units; a frame of 16:9 is 8 high, the others are as large as
:func:`filmkit.render.quality.frame_size` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "FRAME_HEIGHT",
    "HEADER",
    "WORD_GAP",
    "Box",
    "Frame",
    "Path",
    "Point",
    "across",
    "column_points",
    "row_points",
    "shot_box",
]
FRAME_HEIGHT = 8.0  # of a 16:9 frame, of which sizes of words are fractions
NOTE_LINE = 0.44  # a line of small words at the top of the frame
MIN_TEXT = 0.02  # of the shorter side
WIDE = 1.5  # a frame whose width is more than this many heights is wide
NARROW = 11.0  # a frame that is no wider has two of them


@dataclass(frozen=True)
class Box:
    """A rectangle of the flat picture: center, width and height."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, left: float, right: float, bottom: float, top: float) -> Box:
        """From its four sides."""
        return cls((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)

    @classmethod
    def between(cls, first: npt.ArrayLike, second: npt.ArrayLike) -> Box:
        """From two opposite corners."""
        a, b = np.asarray(first), np.asarray(second)
        return cls.of(
            float(min(a[0], b[0])),
            float(max(a[0], b[0])),
            float(min(a[1], b[1])),
            float(max(a[1], b[1])),
        )

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box that holds all of them."""
        every = list(boxes)
        return cls.of(
            min(b.left for b in every),
            max(b.right for b in every),
            min(b.bottom for b in every),
            max(b.top for b in every),
        )

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2

    @property
    def center(self) -> tuple[float, float, float]:
        return (self.x, self.y, 0.0)

    def grown(self, across: float, down: float | None = None) -> Box:
        """Larger by ``across`` on the left and right and ``down`` above and below."""
        down = across if down is None else down
        return Box(self.x, self.y, self.width + 2 * across, self.height + 2 * down)

    def moved(self, dx: float = 0.0, dy: float = 0.0) -> Box:
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def holds(self, other: Box, slack: float = 1e-6) -> bool:
        """Whether another box lies inside."""
        return (
            other.left >= self.left - slack
            and other.right <= self.right + slack
            and other.bottom >= self.bottom - slack
            and other.top <= self.top + slack
        )

    def overlap(self, other: Box) -> tuple[float, float]:
        """How far two boxes reach into each other, across and down; (0, 0) if they do not."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.top, other.top) - max(self.bottom, other.bottom)
        return (across, down) if across > 0 and down > 0 else (0.0, 0.0)


@dataclass(frozen=True)
class Frame:
    """The picture's edge, its safe inside and what is kept free.

    Attributes
    ----------
    width, height
        In scene units.
    margin
        What may be cut off on every side, as a fraction of the shorter side.
    captions
        What is kept free below, as a fraction of the height.
    """

    width: float
    height: float = FRAME_HEIGHT
    margin: float = 0.04
    captions: float = 0.11

    @property
    def short(self) -> float:
        """The shorter of its sides."""
        return min(self.width, self.height)

    @property
    def wide(self) -> bool:
        """Whether there is far more room across than down."""
        return self.width > WIDE * self.height

    @property
    def tall(self) -> bool:
        """Whether there is more room down than across."""
        return self.width < self.height

    @property
    def upright(self) -> bool:
        """Whether it is no wider than high: what stands side by side elsewhere is stacked."""
        return self.width <= self.height

    @property
    def least_text(self) -> float:
        """The least size of words that can be read: 2 % of the shorter side, as text sizes are."""
        return MIN_TEXT * self.short / FRAME_HEIGHT

    @property
    def safe(self) -> Box:
        """What lies inside is never cut off."""
        edge = 2 * self.margin * self.short
        return Box(0, 0, self.width - edge, self.height - edge)

    @property
    def note_lines(self) -> tuple[float, ...]:
        """y of the lines of small words at the top: one, or two in a narrow frame."""
        count = 1 if self.width > NARROW else 2
        return tuple(self.safe.top - NOTE_LINE * (i + 0.5) for i in range(count))

    @property
    def stage(self) -> Box:
        """The safe inside without the strips for captions (below) and provenance (above)."""
        safe = self.safe
        bottom = -self.height / 2 + self.captions * self.height
        top = safe.top - NOTE_LINE * len(self.note_lines)
        return Box.of(safe.left, safe.right, bottom, top)


Point = tuple[float, float]
Path = tuple[Point, ...]
# One head. Lengths are in scene units; a wide frame is 8 high, so 0.08 is 1 % of it.
HEADER = 0.46  # a panel's header line with its gap
WORD_GAP = 0.12  # between a word and its row


def across(start: Point, end: Point, *, bend: float) -> Path:
    """Corners of a line from ``start`` across to x = ``bend``, up or down, and on to ``end``."""
    if abs(start[1] - end[1]) < 1e-6:
        return (start, end)
    return (start, (bend, start[1]), (bend, end[1]), end)


def row_points(x: float, box: Box, count: int) -> tuple[tuple[float, float], ...]:
    """(x, y) of ``count`` equal rows of a box, from the top."""
    pitch = box.height / count
    return tuple((x, box.top - pitch * (i + 0.5)) for i in range(count))


def column_points(y: float, box: Box, count: int) -> tuple[tuple[float, float], ...]:
    """(x, y) of ``count`` equal columns of a box, from the left."""
    pitch = box.width / count
    return tuple((box.left + pitch * (i + 0.5), y) for i in range(count))


def shot_box(box: Box, frame: Frame, *, pad: float = 1.02, least: float = 0.0) -> tuple[Box, float]:
    """What the camera must see so that a box fills the stage: the frame as a box, and its zoom.

    The strips for captions and provenance stay free, as in the full picture. ``least`` keeps
    the camera from going nearer than that fraction of the full picture.
    """
    stage = frame.stage
    filled = max(box.width / stage.width, box.height / stage.height)
    # Padding takes the camera no further away than the full picture, where words have their size.
    zoom = max(least, filled, min(1.0, pad * filled))
    seen = Box(
        box.x - stage.x * zoom, box.y - stage.y * zoom, frame.width * zoom, frame.height * zoom
    )
    return seen, zoom
