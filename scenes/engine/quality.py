"""Sizes and speeds that a film can be rendered in. Needs nothing, so that it loads at once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_QUALITY", "QUALITIES", "Quality"]


@dataclass(frozen=True)
class Quality:
    """Size of the picture in pixels, and pictures per second."""

    width: int
    height: int
    frame_rate: int

    def __str__(self) -> str:
        return f"{self.width} x {self.height} at {self.frame_rate} fps"


QUALITIES = {
    "draft": Quality(854, 480, 15),
    "hd": Quality(1280, 720, 30),
    "fullhd": Quality(1920, 1080, 30),
    "4k": Quality(3840, 2160, 30),
}

DEFAULT_QUALITY = "fullhd"
