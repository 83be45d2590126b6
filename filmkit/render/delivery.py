"""Write films in every file format, from the segments of their parts."""

from __future__ import annotations

import errno
import re
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from extract.support.files import OutputError, atomic_write, followed
from extract.support.temporary import temporary_folder
from filmkit.render import movie
from filmkit.render.films import Chapters, join
from filmkit.render.formats import FORMATS
from filmkit.render.movie import Encoding, Pixels, lossless, read_master
from filmkit.voice.sounds import Samples
from filmkit.words.captions import Cue

__all__ = ["deliver", "encoding_of", "target_of"]

TRANSPARENT_INDEX = 255  # index of the palette entry of a GIF that stands for transparency
FRAME_NAME = re.compile(r"\d{5,}\.png")  # name of a frame in a folder of all frames
FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini")  # what they leave in folders
PALETTE_PICTURES = 24  # about how many pictures the palette of a GIF is chosen from


def encoding_of(file_format: str, *, transparent: bool, master: bool = False) -> Encoding:
    """Return the encoding of a format's segments; they are lossless if they are not joined.

    Parameters
    ----------
    file_format
        One of :data:`filmkit.render.formats.FILMS`.
    transparent
        Whether the background is transparent.
    master
        Whether the film has the quality of a master, where the format knows a smaller one too.
    """
    output = FORMATS[file_format]
    name = output.clear_encoding if transparent else output.encoding
    if master and output.master_encoding:
        name = output.master_encoding
    return getattr(movie, name) if name else lossless(transparent=transparent)


def target_of(path: Path, file_format: str) -> Path:
    """Return the file or folder of a film, given its path without a suffix and its format."""
    output = FORMATS.get(file_format)
    name = output.file_name(path.name) if output else f"{path.name}.{file_format}"
    return path.with_name(name)


def deliver(
    target: Path,
    files: Iterable[Path],
    file_format: str,
    *,
    frame_rate: int,
    transparent: bool,
    title: str = "",
    chapters: Chapters = (),
    cues: Sequence[Cue] = (),
    sound: Samples | None = None,
) -> Path:
    """Write a film atomically: the target is complete or unchanged.

    Parameters
    ----------
    target
        The file or the folder; see :func:`target_of`.
    files
        One segment for each part of the film, in order.
    file_format
        One of :data:`filmkit.render.formats.FILMS`.
    frame_rate
        Frames per second.
    transparent
        Whether the background is transparent.
    title, chapters, cues, sound
        As for :func:`filmkit.render.films.join`; formats that are not joined ignore them.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    OutputError
        When the film cannot be written.
    """
    if FORMATS[file_format].encoding:
        return join(
            target,
            files,
            frame_rate=frame_rate,
            encoding=encoding_of(file_format, transparent=transparent),
            title=title,
            chapters=chapters,
            cues=cues,
            sound=sound,
        )
    pictures = _pictures(files, frame_rate)
    if file_format == "png":
        return _write_last(target, pictures)
    if file_format == "gif":
        return _write_gif(target, list(files), frame_rate, transparent=transparent)
    return _write_sequence(target, pictures)


def _pictures(files: Iterable[Path], frame_rate: int) -> Iterator[tuple[Pixels, int]]:
    """Yield the pictures of lossless segments in order, each with its number of frames."""
    for file in files:
        yield from read_master(file, frame_rate)


def _write_last(target: Path, pictures: Iterable[tuple[Pixels, int]]) -> Path:
    """Write the last picture as a PNG file."""
    with atomic_write(target) as part:
        # Read one picture at a time: a whole film does not fit into memory.
        ((last, _),) = deque(pictures, maxlen=1)
        _save(last, part, target)
    return target


def _write_sequence(target: Path, pictures: Iterable[tuple[Pixels, int]]) -> Path:
    """Write the frames as 00001.png, 00002.png, ... into a folder, replacing older frames.

    A symbolic link to a folder is followed. A folder that holds other files is refused at once.
    """
    place = followed(target)
    _require_frames_only(target, place)
    with temporary_folder(_ensure_folder(place.parent)) as folder:
        new = folder / "new"
        new.mkdir()
        number = 0
        for picture, repeat in pictures:
            first = new / f"{number + 1:05}.png"
            _save(picture, first, target)
            for later in range(number + 2, number + repeat + 1):
                shutil.copyfile(first, new / f"{later:05}.png")
            number += repeat
        _require_frames_only(target, place)  # files may have come in the meantime
        try:
            _exchange(place, new, folder / "old")
        except OSError as error:
            raise OutputError(target, error) from error
    return target


def _require_frames_only(target: Path, place: Path) -> None:
    """Refuse a folder in which something else than older frames would be lost."""
    try:
        entries = sorted(place.iterdir()) if place.exists() else []
    except OSError as error:
        raise OutputError(target, error) from error
    for path in entries:
        frame = FRAME_NAME.fullmatch(path.name) and path.is_file()
        if not frame and path.name not in FILE_MANAGERS:
            raise OutputError(
                target, OSError(errno.ENOTEMPTY, f"it holds other files than frames: {path.name}")
            )


def _exchange(place: Path, new: Path, old: Path) -> None:
    """Put a folder of frames in the place of another one, which is moved away."""
    if not place.exists():
        new.rename(place)
        return
    place.rename(old)
    try:
        new.rename(place)
    except OSError:
        old.rename(place)
        raise


def _ensure_folder(folder: Path) -> Path:
    """Create a folder if it does not exist, and return it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, error) from error
    return folder


def _save(picture: Pixels, path: Path, target: Path) -> None:
    """Write a picture as a PNG file; an error names the target."""
    try:
        Image.fromarray(picture).save(path, format="png")
    except OSError as error:
        raise OutputError(target, error) from error


def _write_gif(target: Path, files: list[Path], frame_rate: int, *, transparent: bool) -> Path:
    """Write an animated GIF with one palette; a held picture is one image with a long duration."""
    holds = [repeat for _, repeat in _pictures(files, frame_rate)]
    palette = _palette(files, frame_rate, every=max(1, len(holds) // PALETTE_PICTURES))
    # A GIF counts in hundredths of a second. The start times are rounded, not the durations, so
    # that rounding errors do not add up.
    times = [round(100 * frames / frame_rate) for frames in accumulate(holds, initial=0)]
    images = (_reduced(picture, palette) for picture, _ in _pictures(files, frame_rate))
    # What an image leaves out is transparent (2), or what the image before it shows there (1).
    gaps: dict[str, int] = {"disposal": 1}
    if transparent:
        # Pillow compares palettes that it has optimised by their colours, and what is transparent
        # is black there: it would leave out black edges too.
        gaps = {"disposal": 2, "transparency": TRANSPARENT_INDEX, "optimize": False}
    with atomic_write(target) as part:
        try:
            next(images).save(
                part,
                format="gif",
                save_all=True,
                append_images=images,
                duration=[10 * (end - start) for start, end in pairwise(times)],
                loop=0,
                **gaps,
            )
        except OSError as error:
            raise OutputError(target, error) from error
    return target


def _palette(files: list[Path], frame_rate: int, *, every: int) -> Image.Image:
    """Return the palette that suits every ``every``-th picture best; its last entry is unused."""
    samples = [
        cv2.resize(picture[..., :3], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
        for i, (picture, _) in enumerate(_pictures(files, frame_rate))
        if i % every == 0
    ]
    return Image.fromarray(np.concatenate(samples)).quantize(TRANSPARENT_INDEX)


def _reduced(picture: Pixels, palette: Image.Image) -> Image.Image:
    """Map a picture to the palette; pixels with alpha below one half become transparent."""
    # No dithering: its dots would look like cells of a heatmap.
    image = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
    if picture.shape[2] == 4:
        reduced.paste(
            TRANSPARENT_INDEX, mask=Image.fromarray(np.uint8(255) * (picture[..., 3] < 128))
        )
    return reduced
