"""Draw notes and captions over the frames of a film, when these are encoded.

Notes say where the numbers come from. In a film they are shown for a while when they become true,
and again when they change; captions stand in a strip that scenes leave free for them. Neither is
part of what a scene draws: where they change, the same frames are encoded with other ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Mobject, Rectangle, config

from filmkit.core.beat_records import BeatRecord, frames_before
from filmkit.core.camera import StageCamera
from filmkit.core.display import display_key
from filmkit.core.geometry import CAPTION_STRIP, FRAME_HEIGHT, Box, Frame
from filmkit.core.language import current_language, use_language
from filmkit.core.stage import notes_at_top
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label
from filmkit.core.theme import current_theme, use_theme
from filmkit.render.movie import Pixels, to_rgb
from filmkit.render.quality import Quality
from filmkit.words.captions import MAX_LINES, Cue, captions, max_line_length, shifted

__all__ = [
    "NOTHING",
    "Note",
    "Overlay",
    "OverlayPainter",
    "caption_size",
    "film_overlays",
    "overlay_digest",
]

NOTE_SECONDS = 4.0  # how long a note is shown in a film
FADE_SECONDS = 0.4  # how long it takes to come and to go
LINE_GAP = 0.2  # gap between two lines of a caption, as a fraction of the line height
PLATE_OPACITY = 0.8  # opacity of the plate behind the words
PLATE_PAD = 0.06  # how far the plate reaches beyond the words, in scene units

# Ordinary letters, to measure how wide a full line is.
SAMPLE, EAST_ASIAN_SAMPLE = (
    "the query of the row meets a key of columns",
    "查询和键在这一行里相遇" * 2,
)


Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Stamp:
    """A rendered caption or note: a small picture and its place in the frame.

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

    def on(self, picture: Pixels, strength: float = 1.0) -> Pixels:
        """Return a copy of a picture, (height, width, 3 or 4), with this drawn on it.

        A picture with an alpha channel has straight alpha: its colours are not premultiplied.

        Parameters
        ----------
        picture
            The picture.
        strength
            Factor on the opacity of what is drawn, 0 to 1.
        """
        stamped = picture.copy()
        below = picture[self.rows, self.columns].astype(np.float32)
        colours, cover = self.colours * strength, self.opacity * strength
        weight = 1 - cover
        if picture.shape[2] == 4:
            weight = weight * below[..., 3:] / 255
            opacity = cover + weight
            stamped[self.rows, self.columns, 3:] = np.rint(255 * opacity)
            mixed = (colours + weight * below[..., :3]) / np.maximum(opacity, 1e-6)
        else:
            mixed = colours + weight * below
        stamped[self.rows, self.columns, :3] = np.clip(np.rint(mixed), 0, 255)
        return stamped


@dataclass(frozen=True)
class Note:
    """The two notes at the top of a picture, and when they are shown.

    Attributes
    ----------
    start, end
        In seconds from the start of the part that they are drawn over; they may be outside of it.
    texts
        The note on the left and the one on the right.
    """

    start: float
    end: float
    texts: tuple[str, str]

    def strength(self, time: float) -> float:
        """Return the opacity of the notes at a time, 0 to 1."""
        return min(1.0, max(0.0, min(time - self.start, self.end - time) / FADE_SECONDS))


@dataclass(frozen=True)
class Overlay:
    """What is drawn over the frames of a part of a beat.

    Attributes
    ----------
    cues
        Captions, with times in seconds from the start of the part.
    notes
        Notes, with times likewise.
    """

    cues: tuple[Cue, ...] = ()
    notes: tuple[Note, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cues or self.notes)


NOTHING = Overlay()


def film_overlays(
    records: Iterable[BeatRecord],
    quality: Quality,
    *,
    with_captions: bool,
    always: bool = False,
    shown: tuple[str, str] = ("", ""),
) -> dict[tuple[str, bool], Overlay]:
    """Return what is drawn over each part of a film.

    Parameters
    ----------
    records
        The beats of the film, in order.
    quality
        Its size and frame rate.
    with_captions
        Whether captions are drawn.
    always
        Whether notes stay, instead of being shown when they change.
    shown
        The notes of the beat before the first one.

    Returns
    -------
    dict
        Overlays by the names of beats and whether the tail is meant.
    """
    overlays = {}
    notes: list[Note] = []  # with times in seconds from the start of the film
    start = 0.0
    for record in records:
        if always:
            notes = [Note(-math.inf, math.inf, record.notes)]
        elif record.notes != shown:
            # What was true before goes when it is not true any more.
            notes = [Note(n.start, min(n.end, start), n.texts) for n in notes]
            notes.append(Note(start, start + NOTE_SECONDS, record.notes))
        shown = record.notes
        cues = captions([record]) if with_captions else ()
        own = record.part_frames(quality.frame_rate, tail=False) / quality.frame_rate
        length = record.end - record.start
        for tail, begin, end in ((False, 0.0, own), (True, own, length)):
            overlays[record.name, tail] = Overlay(
                tuple(
                    cue
                    for cue in shifted(cues, -record.start - begin)
                    if cue.start < end - begin and cue.end > 0
                ),
                tuple(
                    Note(note.start - start - begin, note.end - start - begin, note.texts)
                    for note in notes
                    if any(note.texts) and note.start < start + end and note.end > start + begin
                ),
            )
        start += length
    return overlays


State = tuple[tuple[str, ...], tuple[tuple[tuple[str, str], float], ...]]
"""The lines of the caption, and the notes with their opacities, at one frame."""


class OverlayPainter:
    """Draws notes and captions onto the pictures of a part of a beat, from the first one on.

    Manim's settings must be those that the pictures are rendered with.

    Parameters
    ----------
    overlay
        What is drawn.
    frame_rate
        Frames per second.
    settings
        Names of the theme and of the language.
    """

    def __init__(self, overlay: Overlay, frame_rate: int, settings: StageSettings) -> None:
        self._notes = overlay.notes
        self._spans = [
            (frames_before(cue.start, frame_rate), frames_before(cue.end, frame_rate), cue.lines)
            for cue in overlay.cues
        ]
        self._frame_rate = frame_rate
        self._size = (int(config.pixel_width), int(config.pixel_height))
        self._theme, self._language = settings.theme, settings.language
        # Nothing is drawn on what is there only for the encoder to ignore.
        self._drops_alpha = bool(overlay) and not settings.transparent
        self._frame = 0

    def pieces(self, picture: Pixels, repeat: int) -> Iterator[tuple[Pixels, int]]:
        """Yield the next picture with what is drawn on it, and for how many frames it is shown.

        One over which something changes is yielded several times.

        Parameters
        ----------
        picture
            The picture: RGB, or RGBA with straight alpha; the alpha of one that is not to be
            transparent is ignored.
        repeat
            Number of frames that it is shown for.
        """
        first, self._frame = self._frame, self._frame + repeat
        picture = to_rgb(picture) if self._drops_alpha else picture
        for state, frames in groupby(range(first, self._frame), self.state):
            yield self.on(picture, state), len(list(frames))

    def state(self, frame: int) -> State:
        """Return what is drawn at a frame."""
        lines = next((lines for start, end, lines in self._spans if start <= frame < end), ())
        time = frame / self._frame_rate
        notes = tuple((note.texts, note.strength(time)) for note in self._notes)
        return lines, tuple((texts, strength) for texts, strength in notes if strength > 0)

    def on(self, picture: Pixels, state: State) -> Pixels:
        """Return a picture with a state drawn on it."""
        lines, notes = state
        for texts, strength in notes:
            picture = _note_stamp(texts, self._theme, self._size).on(picture, strength)
        if lines:
            picture = _caption_stamp(lines, self._theme, self._language, self._size).on(picture)
        return picture


def overlay_digest(overlay: Overlay, settings: StageSettings) -> str:
    """Return a hash of an overlay and of how it is drawn, for the names of files that hold it."""
    frame = float(config.frame_width), float(config.frame_height)
    keys = [_note_key(note.texts, settings.theme, frame) for note in overlay.notes]
    keys += [
        _caption_key(cue.lines, settings.theme, settings.language, frame) for cue in overlay.cues
    ]
    code = Path(__file__).read_bytes()
    return sha256(code + repr((overlay, keys)).encode()).hexdigest()[:16]


def caption_size(frame: Frame) -> float:
    """Return the height of the words, as a fraction of the height of a 16:9 frame.

    It is the theme's size for names, or smaller where two lines would not fit into the strip for
    captions or a full line would be wider than the frame's safe area.
    """
    room = frame.captions * frame.height - frame.margin * frame.shorter_side - PLATE_PAD
    by_height = room / (MAX_LINES + (MAX_LINES - 1) * LINE_GAP) / FRAME_HEIGHT
    sample = EAST_ASIAN_SAMPLE if current_language().is_east_asian else SAMPLE
    by_width = frame.safe.width / Label(sample[: max_line_length()], size=1.0).width
    return min(current_theme().name_size, by_height, by_width)


@lru_cache(maxsize=8)
def _caption_stamp(
    lines: tuple[str, ...], theme: str, language: str, size: tuple[int, int]
) -> _Stamp:
    """Render the lines of a caption for pictures of a size, (width, height) in pixels."""
    return _stamp(_caption(lines, theme, language), size)


@lru_cache(maxsize=1024)
def _caption_key(
    lines: tuple[str, ...], theme: str, language: str, frame: tuple[float, float]
) -> bytes:
    """Return a key of what is drawn of a caption in a frame of this size, as Manim has it now."""
    return _key(_caption(lines, theme, language))


def _caption(lines: tuple[str, ...], theme: str, language: str) -> list[Mobject]:
    """Return the lines of a caption, on a plate."""
    with use_language(language), use_theme(theme) as active_theme:
        frame = Frame(float(config.frame_width), float(config.frame_height), captions=CAPTION_STRIP)
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
        return [plate, *labels]


@lru_cache(maxsize=8)
def _note_stamp(texts: tuple[str, str], theme: str, size: tuple[int, int]) -> _Stamp:
    """Render the two notes at the top for pictures of a size, (width, height) in pixels."""
    return _stamp([_note(texts, theme)], size)


@lru_cache(maxsize=1024)
def _note_key(texts: tuple[str, str], theme: str, frame: tuple[float, float]) -> bytes:
    """Return a key of what is drawn of notes in a frame of this size, as Manim has it now."""
    return _key([_note(texts, theme)])


def _key(mobjects: list[Mobject]) -> bytes:
    """Return a key of what a camera would draw of mobjects."""
    camera = StageCamera(pixel_width=1, pixel_height=1)
    return display_key(camera, camera.drawing_order(mobjects))


def _note(texts: tuple[str, str], theme: str) -> Mobject:
    """Return the two notes at the top."""
    frame = Frame(float(config.frame_width), float(config.frame_height))
    with use_theme(theme, min_text_size=frame.min_text_size):
        return notes_at_top(frame, *texts)


def _stamp(mobjects: Sequence[Mobject], size: tuple[int, int]) -> _Stamp:
    """Render mobjects for pictures of a size, (width, height) in pixels."""
    camera = StageCamera(pixel_width=size[0], pixel_height=size[1], background_opacity=0.0)
    camera.reset()
    camera.capture_mobjects(mobjects)
    drawn = camera.pixel_array.astype(np.float32)
    rows, columns = (np.flatnonzero(drawn[..., 3].any(axis=axis)) for axis in (1, 0))
    area = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _Stamp(*area, drawn[area][..., :3], drawn[area][..., 3:] / 255)
