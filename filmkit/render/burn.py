"""Draw captions into the frames of a film, in the strip that every scene leaves free for them.

Captions are drawn when a master (the lossless file of a beat) is encoded for a film, never into the
master itself. So a changed narration does not make any beat render again.
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
from filmkit.words.captions import MAX_LINE_LENGTH, MAX_LINES, Cue

__all__ = ["burn_captions", "caption_digest", "caption_size"]

LINE_GAP = 0.2  # gap between two lines of a caption, as a fraction of the line height
PLATE_OPACITY = 0.8  # opacity of the plate behind the words
PLATE_PAD = 0.06  # how far the plate reaches beyond the words, in scene units

# A line of the maximum length in ordinary letters, to measure how wide a full line is.
SAMPLE = "the query of the row meets a key of columns"[:MAX_LINE_LENGTH]


Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Stamp:
    """A rendered cue: a small picture and its place in the frame.

    Attributes
    ----------
    rows, columns
        The part of the frame that it covers, in pixels.
    colours : (rows, columns, 3)
        Premultiplied RGB, 0 to 255.
    opacity : (rows, columns, 1)
        0 to 1.
    """

    rows: slice
    columns: slice
    colours: Floats
    opacity: Floats

    def on(self, picture: Pixels) -> Pixels:
        """Return a copy of a picture, (height, width, 3 or 4), with the cue drawn on it.

        A picture with an alpha channel has straight alpha: its colours are not premultiplied.
        """
        stamped = picture.copy()
        below = picture[self.rows, self.columns].astype(np.float32)
        weight = 1 - self.opacity
        if picture.shape[2] == 4:
            weight = weight * below[..., 3:] / 255
            opacity = self.opacity + weight
            stamped[self.rows, self.columns, 3:] = np.rint(255 * opacity)
            mixed = (self.colours + weight * below[..., :3]) / np.maximum(opacity, 1e-6)
        else:
            mixed = self.colours + weight * below
        stamped[self.rows, self.columns, :3] = np.clip(np.rint(mixed), 0, 255)
        return stamped


def burn_captions(
    pictures: Iterable[tuple[Pixels, int]], cues: Sequence[Cue], frame_rate: int, theme: str
) -> Iterator[tuple[Pixels, int]]:
    """Draw captions onto the pictures of a film.

    Manim's settings must be those that the pictures were rendered with.

    Parameters
    ----------
    pictures
        Pictures and for how many frames each is shown, as from
        :func:`filmkit.render.movie.read_master`.
    cues
        Captions, with times in seconds from the first picture.
    frame_rate
        Frames per second.
    theme
        Name of the theme.

    Yields
    ------
    (picture, int)
        A picture and for how many frames it is shown. A picture during which the caption changes is
        yielded once for each caption.
    """
    spans = [
        (frames_before(cue.start, frame_rate), frames_before(cue.end, frame_rate), cue.lines)
        for cue in cues
    ]
    size = (int(config.pixel_width), int(config.pixel_height))
    frame = 0
    for picture, repeat in pictures:
        end = frame + repeat
        while frame < end:
            current = next((span for span in spans if span[0] <= frame < span[1]), None)
            changes = [edge for span in spans for edge in span[:2] if frame < edge < end]
            until = min([end, *changes])
            shown = _stamp(current[2], theme, size).on(picture) if current else picture
            yield shown, until - frame
            frame = until


def caption_digest(cues: Sequence[Cue], theme: str) -> str:
    """Return a hash of cues and of how they are drawn, for the names of files that hold them."""
    code = Path(__file__).read_bytes()
    return sha256(code + repr((tuple(cues), theme)).encode()).hexdigest()[:16]


def caption_size(frame: Frame) -> float:
    """Return the height of the words, as a fraction of the height of a 16:9 frame.

    It is the theme's size for names, or smaller where two lines would not fit into the strip for
    captions or a full line would be wider than the frame's safe area.
    """
    room = frame.captions * frame.height - frame.margin * frame.shorter_side - PLATE_PAD
    by_height = room / (MAX_LINES + (MAX_LINES - 1) * LINE_GAP) / FRAME_HEIGHT
    by_width = frame.safe.width / Label(SAMPLE, size=1.0).width
    return min(current_theme().name_size, by_height, by_width)


@lru_cache(maxsize=8)
def _stamp(lines: tuple[str, ...], theme: str, size: tuple[int, int]) -> _Stamp:
    """Render the lines of a cue for pictures of a size, (width, height) in pixels."""
    with use_theme(theme) as active_theme:
        frame = Frame(float(config.frame_width), float(config.frame_height))
        text_size = caption_size(frame)
        height = text_size * FRAME_HEIGHT
        labels = [
            Label(line, size=text_size, colour=active_theme.ink)
            .shrink_to(frame.safe.width)
            .on_line(0, frame.safe.bottom + height * ((1 + LINE_GAP) * i + 0.5))
            for i, line in enumerate(reversed(lines))
        ]
        box = Box.around(
            Box(0, label.get_center()[1], label.width, label.height) for label in labels
        ).grown(2 * PLATE_PAD, PLATE_PAD)
        plate = Rectangle(
            width=box.width,
            height=box.height,
            fill_color=active_theme.background,
            fill_opacity=PLATE_OPACITY,
            stroke_width=0,
        ).move_to(box.center)
        camera = StageCamera(pixel_width=size[0], pixel_height=size[1], background_opacity=0.0)
        camera.reset()
        camera.capture_mobjects([plate, *labels])
    drawn = camera.pixel_array.astype(np.float32)
    rows, columns = (np.flatnonzero(drawn[..., 3].any(axis=axis)) for axis in (1, 0))
    area = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _Stamp(*area, drawn[area][..., :3], drawn[area][..., 3:] / 255)
