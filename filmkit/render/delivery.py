"""Writes what a film is delivered as, from its masters or from pieces made of them."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from extract.files import OutputError, written_beside
from filmkit.render.films import Chapters, join
from filmkit.render.movie import (
    MOV,
    MOV_ALPHA,
    MP4,
    WEBM,
    WEBM_ALPHA,
    Encoding,
    Pixels,
    read_master,
)
from filmkit.words.captions import Cue

__all__ = ["deliver", "encoding_of", "target_of"]

ENCODINGS = {
    ("mp4", False): MP4,
    ("webm", False): WEBM,
    ("webm", True): WEBM_ALPHA,
    ("mov", False): MOV,
    ("mov", True): MOV_ALPHA,
}

CLEAR = 255  # the colour of a GIF that is not drawn
PALETTE_PICTURES = 24  # from which its colours are chosen


def encoding_of(form: str, *, transparent: bool) -> Encoding | None:
    """How pieces of a film in some format are coded; None if it is not joined from pieces."""
    return ENCODINGS.get((form, transparent))


def target_of(path: Path, form: str) -> Path:
    """The file, or the folder, that a film of that path and format is written to."""
    return path.with_name(path.name + ("_frames" if form == "png-sequence" else f".{form}"))


def deliver(
    target: Path,
    files: Iterable[Path],
    form: str,
    *,
    frame_rate: int,
    transparent: bool,
    chapters: Chapters = (),
    cues: Sequence[Cue] = (),
) -> Path:
    """Write a film, whole or not at all.

    Parameters
    ----------
    target
        The file or the folder; see :func:`target_of`.
    files
        Of each beat in order: its piece, or its master if the format is not joined from pieces.
    form
        One of :data:`filmkit.render.formats.FORMATS`.
    frame_rate
        Frames per second.
    transparent
        Whether the background is left out.
    chapters, cues
        As for :func:`filmkit.render.films.join`; what is not joined has none.

    Raises
    ------
    OutputError
        When the film cannot be written.
    """
    if encoding := encoding_of(form, transparent=transparent):
        return join(
            target, files, frame_rate=frame_rate, encoding=encoding, chapters=chapters, cues=cues
        )
    pictures = _pictures(files, frame_rate)
    if form == "png":
        return _write_last(target, pictures)
    if form == "gif":
        return _write_gif(target, list(files), frame_rate)
    return _write_sequence(target, pictures)


def _pictures(masters: Iterable[Path], frame_rate: int) -> Iterator[tuple[Pixels, int]]:
    for master in masters:
        yield from read_master(master, frame_rate)


def _write_last(target: Path, pictures: Iterable[tuple[Pixels, int]]) -> Path:
    with written_beside(target) as part:
        # One after the other: a film of them does not fit into memory.
        ((last, _),) = deque(pictures, maxlen=1)
        _save(last, part, target)
    return target


def _write_sequence(target: Path, pictures: Iterable[tuple[Pixels, int]]) -> Path:
    """Pictures 00001.png and so on in a folder that replaces an older one in the end."""
    with TemporaryDirectory(dir=_made(target.parent), prefix=f".{target.name}.") as folder:
        beside = Path(folder) / target.name
        beside.mkdir()
        number = 0
        for picture, repeat in pictures:
            first = beside / f"{number + 1:05}.png"
            _save(picture, first, target)
            for further in range(number + 2, number + repeat + 1):
                shutil.copyfile(first, beside / f"{further:05}.png")
            number += repeat
        try:
            if target.exists():
                target.rename(Path(folder) / "old")
            beside.rename(target)
        except OSError as error:
            raise OutputError(target, error) from error
    return target


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, error) from error
    return folder


def _save(picture: Pixels, path: Path, target: Path) -> None:
    try:
        Image.fromarray(picture).save(path, format="png")
    except OSError as error:
        raise OutputError(target, error) from error


def _write_gif(target: Path, masters: list[Path], frame_rate: int) -> Path:
    """Pictures that share one palette; a hold is one picture that is shown for longer."""
    holds = [repeat for _, repeat in _pictures(masters, frame_rate)]
    palette = _palette(masters, frame_rate, every=max(1, len(holds) // PALETTE_PICTURES))
    # A GIF counts hundredths of a second: rounding the moments keeps the length right.
    moments = [round(100 * frames / frame_rate) for frames in accumulate(holds, initial=0)]
    images = (_reduced(picture, palette) for picture, _ in _pictures(masters, frame_rate))
    with written_beside(target) as part:
        try:
            next(images).save(
                part,
                format="gif",
                save_all=True,
                append_images=images,
                duration=[10 * (end - start) for start, end in pairwise(moments)],
                loop=0,
                transparency=CLEAR,
                disposal=2,
            )
        except OSError as error:
            raise OutputError(target, error) from error
    return target


def _palette(masters: list[Path], frame_rate: int, *, every: int) -> Image.Image:
    """The colours that serve every so-many-th picture best; the last one is left free."""
    chosen = [
        cv2.resize(picture[..., :3], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
        for i, (picture, _) in enumerate(_pictures(masters, frame_rate))
        if i % every == 0
    ]
    return Image.fromarray(np.concatenate(chosen)).quantize(CLEAR)


def _reduced(picture: Pixels, palette: Image.Image) -> Image.Image:
    # Without dithering: dots between two colours would pass for cells.
    image = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
    if picture.shape[2] == 4:
        reduced.paste(CLEAR, mask=Image.fromarray(np.uint8(255) * (picture[..., 3] < 128)))
    return reduced
