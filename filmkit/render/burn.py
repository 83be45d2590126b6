"""Draws captions into the pictures of a film, in the strip that every scene keeps free.

Masters stay as they are: captions are drawn when the pieces of a film are made from them, so that
another narration renders no beat again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Rectangle, config

from filmkit.core.camera import StageCamera
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.renderer import frames_before
from filmkit.core.text import Label
from filmkit.core.theme import current_theme, use_theme
from filmkit.render.movie import Pixels
from filmkit.words.captions import LINE, LINES, Cue

__all__ = ["burned", "caption_digest", "caption_size"]

GAP = 0.2  # between lines, in lines
PLATE = 0.8  # opacity of what lies behind the words
PAD = 0.06  # by which it is larger, in scene units

# As wide as a full line of narration.
SAMPLE = "the query of the row meets a key of columns"[:LINE]


Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Stamp:
    """A cue as it is drawn: premultiplied colours and opacity in [0, 1], and where."""

    rows: slice
    columns: slice
    colours: Floats
    opacity: Floats

    def on(self, picture: Pixels) -> Pixels:
        """A copy of a picture, (height, width, 3 or 4), with the cue on it.

        Colours of a picture with transparency are straight, not premultiplied.
        """
        stamped = picture.copy()
        under = picture[self.rows, self.columns].astype(np.float32)
        shines = 1 - self.opacity
        if picture.shape[2] == 4:
            shines = shines * under[..., 3:] / 255
            opacity = self.opacity + shines
            stamped[self.rows, self.columns, 3:] = np.rint(255 * opacity)
            mixed = (self.colours + shines * under[..., :3]) / np.maximum(opacity, 1e-6)
        else:
            mixed = self.colours + shines * under
        stamped[self.rows, self.columns, :3] = np.clip(np.rint(mixed), 0, 255)
        return stamped


def burned(
    pictures: Iterable[tuple[Pixels, int]], cues: Sequence[Cue], frame_rate: int, theme: str
) -> Iterator[tuple[Pixels, int]]:
    """Pictures, each with the number of frames that it is shown for, with captions on them.

    Parameters
    ----------
    pictures
        As :func:`filmkit.render.movie.read_master` gives them.
    cues
        In seconds from the first picture.
    frame_rate
        Frames per second.
    looks
        Name of the theme.
    """
    spans = [
        (frames_before(cue.start, frame_rate), frames_before(cue.end, frame_rate), cue.lines)
        for cue in cues
    ]
    size = (int(config.pixel_width), int(config.pixel_height))
    at = 0
    for picture, repeat in pictures:
        end = at + repeat
        while at < end:
            now = next((span for span in spans if span[0] <= at < span[1]), None)
            changes = [edge for span in spans for edge in span[:2] if at < edge < end]
            until = min([end, *changes])
            yield (_stamp(now[2], theme, size).on(picture) if now else picture), until - at
            at = until


def caption_digest(cues: Sequence[Cue], theme: str) -> str:
    """A short name of how some cues look, for files that hold them."""
    code = Path(__file__).read_bytes()
    return sha256(code + repr((tuple(cues), theme)).encode()).hexdigest()[:16]


def caption_size(frame: Frame) -> float:
    """Size of the words, as a fraction of the height of a 16:9 frame.

    As large as names are, if two lines fit into the strip that is kept free, and a full line is
    no wider than the safe inside of the frame.
    """
    room = frame.captions * frame.height - frame.margin * frame.short - PAD
    high = room / (LINES + (LINES - 1) * GAP) / FRAME_HEIGHT
    wide = frame.safe.width / Label(SAMPLE, size=1.0).width
    return min(current_theme().name_size, high, wide)


@lru_cache(maxsize=8)
def _stamp(lines: tuple[str, ...], theme: str, size: tuple[int, int]) -> _Stamp:
    """Draw a cue for pictures of a size in pixels, which is that of Manim's settings."""
    with use_theme(theme) as theme_now:
        frame = Frame(float(config.frame_width), float(config.frame_height))
        words = caption_size(frame)
        height = words * FRAME_HEIGHT
        labels = [
            Label(line, size=words, colour=theme_now.ink)
            .shrink_to(frame.safe.width)
            .on_line(0, frame.safe.bottom + height * ((1 + GAP) * i + 0.5))
            for i, line in enumerate(reversed(lines))
        ]
        around = Box.around(
            Box(0, label.get_center()[1], label.width, label.height) for label in labels
        ).grown(2 * PAD, PAD)
        plate = Rectangle(
            width=around.width,
            height=around.height,
            fill_color=theme_now.background,
            fill_opacity=PLATE,
            stroke_width=0,
        ).move_to(around.center)
        camera = StageCamera(pixel_width=size[0], pixel_height=size[1], background_opacity=0.0)
        camera.reset()
        camera.capture_mobjects([plate, *labels])
    drawn = camera.pixel_array.astype(np.float32)
    rows, columns = (np.flatnonzero(drawn[..., 3].any(axis=axis)) for axis in (1, 0))
    place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _Stamp(*place, drawn[place][..., :3], drawn[place][..., 3:] / 255)
