"""Picture sizes, aspect ratios and frame rates. Imports nothing heavy, so it loads fast."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = [
    "ASPECTS",
    "DEFAULT_ASPECT",
    "DEFAULT_QUALITY",
    "DRAFT",
    "QUALITIES",
    "Quality",
    "frame_size",
    "quality_of",
]


@dataclass(frozen=True)
class Quality:
    """Size of the picture in pixels, and frames per second."""

    width: int
    height: int
    frame_rate: int

    @property
    def aspect(self) -> str:
        """Name of the nearest aspect ratio, one of :data:`ASPECTS`."""
        ratio = self.width / self.height
        return min(ASPECTS, key=lambda name: abs(ASPECTS[name][0] / ASPECTS[name][1] - ratio))

    def __str__(self) -> str:
        return f"{self.width} x {self.height} at {self.frame_rate} fps"


QUALITIES = {
    "draft": Quality(854, 480, 15),
    "hd": Quality(1280, 720, 30),
    "fullhd": Quality(1920, 1080, 30),
    "4k": Quality(3840, 2160, 30),
}

DEFAULT_QUALITY = "fullhd"
DRAFT = "draft"

ASPECTS = {"16:9": (16, 9), "4:3": (4, 3), "1:1": (1, 1), "9:16": (9, 16)}
"""Aspect ratios, (width, height): for screens, older projectors, social feeds and phones."""

DEFAULT_ASPECT = "16:9"

# Length of the frame's short side in scene units. Text keeps its size in scene units, so a longer
# side makes it look smaller. 4:3 and 1:1 get a little more room than a cropped 16:9 would have; the
# smallest text is still 2 % of the short side.
_SHORT_SIDES = {"16:9": 8.0, "4:3": 9.0, "1:1": 9.6, "9:16": 8.0}


def quality_of(name: str, aspect: str = DEFAULT_ASPECT, frame_rate: int | None = None) -> Quality:
    """Return a quality in an aspect ratio; the short side has the same number of pixels in each.

    Parameters
    ----------
    name
        One of :data:`QUALITIES`.
    aspect
        One of :data:`ASPECTS`.
    frame_rate
        Frames per second; that of the quality if None.
    """
    base = QUALITIES[name]
    horizontal, vertical = ASPECTS[aspect]
    long = _even(base.height * max(horizontal, vertical) / min(horizontal, vertical))
    width, height = (long, base.height) if horizontal > vertical else (base.height, long)
    if aspect == DEFAULT_ASPECT:
        width, height = base.width, base.height
    return replace(base, width=width, height=height, frame_rate=frame_rate or base.frame_rate)


def _even(length: float) -> int:
    return 2 * round(length / 2)


def frame_size(width: int, height: int) -> tuple[float, float]:
    """Return width and height in scene units of a picture whose size is given in pixels."""
    unit = _SHORT_SIDES[Quality(width, height, 1).aspect] / min(width, height)
    return width * unit, height * unit
