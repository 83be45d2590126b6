"""Boxes and points of the flat picture, and the frame around it: pure geometry.

Everything is in scene units, with the origin in the middle of the frame, x to the right and y up.
A frame of 16:9 is 8 units high; :func:`filmkit.render.quality.frame_size` gives the size of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "CAPTION_STRIP",
    "FRAME_HEIGHT",
    "WORD_GAP",
    "Box",
    "Frame",
    "column_points",
    "row_points",
    "shot_box",
]
FRAME_HEIGHT = 8.0
"""Height of a 16:9 frame in scene units; text sizes are fractions of it in every frame."""

CAPTION_STRIP = 0.11
"""Height of the strip at the bottom that captions need, as a fraction of the frame's height."""

NOTE_LINE = 0.44  # height of a line of notes at the top of the frame, in scene units
MIN_TEXT = 0.02  # smallest text, as a fraction of the frame's shorter side
AIR = 1.03  # factor on the size of what the camera comes close to, for some air around it
WIDE = 1.5  # a frame with a larger ratio of width to height is wide
NARROW = 11.0  # a frame up to this width, in scene units, has two lines of notes, not one


@dataclass(frozen=True)
class Box:
    """A rectangle of the flat picture, in scene units.

    Attributes
    ----------
    x, y
        Its center.
    width, height
        Its size.
    """

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, left: float, right: float, bottom: float, top: float) -> Box:
        """Return the box with the given sides."""
        return cls((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)

    @classmethod
    def between(cls, first: npt.ArrayLike, second: npt.ArrayLike) -> Box:
        """Return the box with two opposite corners, (2,) or (3,); z is ignored."""
        a, b = np.asarray(first), np.asarray(second)
        return cls.of(
            float(min(a[0], b[0])),
            float(max(a[0], b[0])),
            float(min(a[1], b[1])),
            float(max(a[1], b[1])),
        )

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """Return the smallest box that contains all boxes, of which there is at least one."""
        boxes = list(boxes)
        return cls.of(
            min(b.left for b in boxes),
            max(b.right for b in boxes),
            min(b.bottom for b in boxes),
            max(b.top for b in boxes),
        )

    @property
    def left(self) -> float:
        """x of the left side."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """x of the right side."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """y of the upper side."""
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        """y of the lower side."""
        return self.y - self.height / 2

    @property
    def center(self) -> tuple[float, float, float]:
        """The center as a point of the scene, with z = 0."""
        return (self.x, self.y, 0.0)

    def grown(self, across: float, down: float | None = None) -> Box:
        """Return the box with ``across`` more on the left and right, ``down`` above and below.

        ``down`` is as much as ``across`` by default. Too large negative ones leave an empty box.
        """
        down = across if down is None else down
        width, height = self.width + 2 * across, self.height + 2 * down
        return Box(self.x, self.y, max(0.0, width), max(0.0, height))

    def moved(self, dx: float = 0.0, dy: float = 0.0) -> Box:
        """Return the box moved to the right and up."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def inset(self, across: float, down: float | None = None) -> Box:
        """Return the box without a margin: ``across`` at the left and right, ``down`` elsewhere.

        ``down`` is as much as ``across`` by default. Too large a margin leaves an empty box.
        """
        return self.grown(-across, None if down is None else -down)

    def split_rows(self, weights: Sequence[float] | int, gap: float = 0.0) -> tuple[Box, ...]:
        """Cut the box into rows, from the top.

        Parameters
        ----------
        weights
            Heights of the rows relative to each other; or the number of equal rows.
        gap
            Distance between two rows, in scene units.
        """
        return tuple(
            Box.of(self.left, self.right, self.top - stop, self.top - start)
            for start, stop in _shares(self.height, weights, gap)
        )

    def split_columns(self, weights: Sequence[float] | int, gap: float = 0.0) -> tuple[Box, ...]:
        """Cut the box into columns, from the left; arguments as for :meth:`split_rows`."""
        return tuple(
            Box.of(self.left + start, self.left + stop, self.bottom, self.top)
            for start, stop in _shares(self.width, weights, gap)
        )

    def fit(self, width: float, height: float) -> Box:
        """Return the largest box of a shape, ``width`` to ``height``, in the middle of this one."""
        scale = min(self.width / width, self.height / height)
        return Box(self.x, self.y, scale * width, scale * height)

    def contains(self, other: Box, slack: float = 1e-6) -> bool:
        """Return whether another box lies inside, up to ``slack`` scene units beyond a side."""
        return (
            other.left >= self.left - slack
            and other.right <= self.right + slack
            and other.bottom >= self.bottom - slack
            and other.top <= self.top + slack
        )

    def overlap(self, other: Box) -> tuple[float, float]:
        """Return the width and height that two boxes have in common; (0, 0) if they are apart."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.top, other.top) - max(self.bottom, other.bottom)
        return (across, down) if across > 0 and down > 0 else (0.0, 0.0)


def _shares(
    length: float, weights: Sequence[float] | int, gap: float
) -> Iterator[tuple[float, float]]:
    """Yield start and stop of each part of a length."""
    weights = [1.0] * weights if isinstance(weights, int) else weights
    unit = (length - gap * (len(weights) - 1)) / sum(weights)
    start = 0.0
    for weight in weights:
        yield start, start + unit * weight
        start += unit * weight + gap


@dataclass(frozen=True)
class Frame:
    """The edge of the picture, and the parts of it that are kept free.

    Attributes
    ----------
    width, height
        Size in scene units.
    margin
        Width of the strip at every side that screens may cut off, as a fraction of the shorter
        side.
    captions
        Height of the strip at the bottom that is kept free for captions, as a fraction of the
        frame's height; 0 if none are drawn into the picture.
    """

    width: float
    height: float = FRAME_HEIGHT
    margin: float = 0.04
    captions: float = 0.0

    @property
    def shorter_side(self) -> float:
        """Length of the shorter side."""
        return min(self.width, self.height)

    @property
    def wide(self) -> bool:
        """Whether the frame is much wider than high, such as 16:9."""
        return self.width > WIDE * self.height

    @property
    def tall(self) -> bool:
        """Whether the frame is higher than wide, such as 9:16."""
        return self.width < self.height

    @property
    def upright(self) -> bool:
        """Whether the frame is no wider than high: a tall one or a square one.

        Pictures that are side by side in other frames are one above the other in these.
        """
        return self.width <= self.height

    @property
    def min_text_size(self) -> float:
        """Size of the smallest text that can be read, as a fraction of `FRAME_HEIGHT`.

        It is 2 % of the shorter side.
        """
        return MIN_TEXT * self.shorter_side / FRAME_HEIGHT

    @property
    def safe(self) -> Box:
        """The frame without its margin: what is inside is never cut off."""
        edge = 2 * self.margin * self.shorter_side
        return Box(0, 0, self.width - edge, self.height - edge)

    @property
    def note_lines(self) -> tuple[float, ...]:
        """y of the lines of notes at the top, from above: one, or two in a narrow frame."""
        count = 1 if self.width > NARROW else 2
        return tuple(self.safe.top - NOTE_LINE * (i + 0.5) for i in range(count))

    @property
    def free(self) -> Box:
        """Room for a scene's pictures: the safe part without captions and notes.

        Captions are at the bottom, notes on where the numbers come from at the top.
        """
        safe = self.safe
        bottom = max(safe.bottom, -self.height / 2 + self.captions * self.height)
        top = safe.top - NOTE_LINE * len(self.note_lines)
        return Box.of(safe.left, safe.right, bottom, top)

    @property
    def stage(self) -> Box:
        """The name that :attr:`free` had before; scenes of users may still have it."""
        return self.free


WORD_GAP = 0.12
"""Distance between a word and its row or column, in scene units."""


def row_points(x: float, box: Box, count: int) -> tuple[tuple[float, float], ...]:
    """Return a point for each of ``count`` equal rows of a box, from the top.

    Each is (``x``, y of the row's middle).
    """
    pitch = box.height / count
    return tuple((x, box.top - pitch * (i + 0.5)) for i in range(count))


def column_points(y: float, box: Box, count: int) -> tuple[tuple[float, float], ...]:
    """Return a point for each of ``count`` equal columns of a box, from the left.

    Each is (x of the column's middle, ``y``).
    """
    pitch = box.width / count
    return tuple((box.left + pitch * (i + 0.5), y) for i in range(count))


def shot_box(box: Box, frame: Frame, *, min_zoom: float = 0.0) -> Box:
    """Return what the camera must see so that a box fills the free part of the frame.

    The strips for captions and notes stay free, as in the full picture.

    Parameters
    ----------
    box
        What is to be seen.
    frame
        The full picture.
    min_zoom
        The camera goes no closer than to see this fraction of the full picture's width.
    """
    free = frame.free
    filled = max(box.width / free.width, box.height / free.height)
    # Some air takes the camera no farther away than the full picture: there text has its size.
    zoom = max(min_zoom, filled, min(1.0, AIR * filled))
    return Box(
        box.x - free.x * zoom, box.y - free.y * zoom, frame.width * zoom, frame.height * zoom
    )
