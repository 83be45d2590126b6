"""Layouts of the scene about the key/value cache: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.camera import Shot
from filmkit.core.geometry import (
    FRAME_HEIGHT,
    NARROW,
    Box,
    Frame,
    Point,
)
from filmkit.mobjects.head_stack_layout import TILT, TURN

__all__ = [
    "ChipLayout",
    "heads_fill",
    "measured_volume_fill",
    "shot_of_front",
    "title_point",
    "view_angles",
    "volume_fill",
]


# Lengths are in scene units.
NOTE = 0.024 * FRAME_HEIGHT  # height of a line of small words
NAME = 0.04 * FRAME_HEIGHT  # and of a name
DISPLAY = 0.07  # size of the one figure that matters
FLAT_LENS = 60.0  # lens of a shot in which a solid looks flat
CHIP_GAP = 1.9  # from the cache to the chip
SLOT_GAP = 0.22  # between two slots of the chip, relative to a slot


@dataclass(frozen=True)
class ChipLayout:
    """Layout of a cache and the chip that reads it, in the frame.

    Attributes
    ----------
    cache
        Box of the front of the cache.
    chip
        Box of the chip's slots.
    wire
        Ends of the line from the cache to the chip.
    cache_name, chip_name
        Centers of the lines that name them.
    figure
        Center of the figure.
    caption
        Left end of the lines below it, at half their height.
    width
        Width of these lines.
    remark
        Center of the last line.
    """

    cache: Box
    chip: Box
    wire: tuple[Point, Point]
    cache_name: Point
    chip_name: Point
    figure: Point
    caption: Point
    width: float
    remark: Point

    @classmethod
    def of(cls, frame: Frame, *, shape: tuple[float, float]) -> ChipLayout:
        """Lay out a cache whose front has a shape, width to height."""
        stage, width = frame.stage, frame.stage.width
        foot = stage.bottom + 2.0 * NOTE
        room = Box.of(stage.left, stage.right, foot, stage.top - 1.4 * NAME)
        if frame.tall:
            words = 1.2 + 2.6 * NOTE
            room = Box.of(room.left, room.right, foot + words, room.top)
            upper, lower = room.split_rows((0.4, 0.6), gap=1.5)
            cache, chip = upper.fit(*shape), lower.fit(1.25, 1.0)
            wire = ((cache.x, cache.bottom - 0.15), (chip.x, chip.top + 0.8))
            figure = (stage.x, foot + words - 0.8)
        elif frame.upright:
            upper, lower = room.split_rows((0.36, 0.64), gap=1.0)
            left, right = upper.split_columns(2, gap=0.4)
            width = right.width
            cache, chip = left.fit(*shape), lower.fit(2.2, 1.0)
            wire = ((cache.x, cache.bottom - 0.15), (cache.x, chip.top + 0.15))
            figure = (right.x, right.y + 0.4)
        else:
            left, right = room.split_columns((0.44, 0.56), gap=CHIP_GAP)
            top = left.top - 0.25
            cache, chip = (
                box.moved(dy=top - box.top) for box in (left.fit(*shape), right.fit(1.2, 1.0))
            )
            width = left.width
            wire = ((cache.right + 0.2, cache.y), (chip.left - 0.3, cache.y))
            figure = (cache.x, (cache.bottom + foot) / 2)
        x, y = figure
        return cls(
            cache=cache,
            chip=chip,
            wire=wire,
            cache_name=(cache.x, cache.top + 0.85 * NAME),
            chip_name=(chip.x, chip.top + 0.85 * NAME),
            figure=(x, y),
            caption=(x - width / 2, y - 0.8),
            width=width,
            remark=(stage.x, stage.bottom + 0.6 * NOTE),
        )


def shot_of_front(front: Box, into: Box, frame: Frame) -> Shot:
    """Return the shot from straight ahead in which a box of the scene fills a box of the frame."""
    scale = into.width / front.width
    center = (front.x - into.x / scale, front.y - into.y / scale, 0.0)
    # So long a lens that only the front is seen.
    return Shot(center, frame.height / scale, focal=FLAT_LENS)


def view_angles(frame: Frame) -> tuple[float, float]:
    """Return the turn and the tilt from which a volume is seen, in degrees.

    In a tall frame it is seen from higher up, so that it fills more of the frame.
    """
    return (46.0, 36.0) if frame.tall else (TURN, TILT)


def heads_fill(frame: Frame) -> tuple[float, float]:
    """Return the part of the frame's width that numbered heads fill, and their shift.

    The shift is how far they stand to the right of the center, in scene units.
    """
    return (0.68 if frame.width <= NARROW else 0.84), 0.0


def volume_fill(frame: Frame) -> tuple[float, float]:
    """Return the same for a volume with words at its left."""
    return (0.76, 0.25) if frame.width <= NARROW else (0.84, 0.0)


def measured_volume_fill(frame: Frame) -> tuple[float, float]:
    """Return the same for a volume with measured edges."""
    return (0.5, -0.1) if frame.width <= NARROW else (0.62, 0.0)


def title_point(frame: Frame) -> Point:
    """Return the point where a title that stays in the frame begins."""
    return frame.stage.left, frame.stage.top - 0.3
