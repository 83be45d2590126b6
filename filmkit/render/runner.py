"""Configure Manim, run scenes, and write their stills."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image

from extract.support.files import OutputError, atomic_write, write_text
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord, Rehearsal
from filmkit.core.picture_map import picture_map
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.formats import STILLS
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import shown_pixels
from filmkit.render.request import RenderRequest
from filmkit.render.vector import Page, draw_page, write_pages
from filmkit.words.alt import alt_text

__all__ = [
    "Picture",
    "manim_config",
    "rehearse",
    "render_picture",
    "render_stills",
    "take_stills",
    "write_picture",
    "write_png",
]


Picture = Image.Image | Page
STILL_NAME = re.compile(r"\d\d_\w+")  # number and name of a beat


def rehearse(entry: SceneEntry, trace: Trace, request: RenderRequest) -> Rehearsal:
    """Run a scene without drawing; return its beats and its duration.

    Raises
    ------
    Exception
        Any error of the scene's code.
    """
    return entry.load().rehearse(trace, request.settings, request.speech_of(entry))


def take_stills(
    entry: SceneEntry,
    *,
    trace: Trace,
    request: RenderRequest,
    beats: Collection[str],
    take: Callable[[str, Stage], None],
) -> None:
    """Run a scene and call a function at the end of the given beats.

    The scene ends after the last of them.

    Parameters
    ----------
    entry
        The scene.
    trace
        The trace.
    request
        How to render.
    beats
        Names of the beats.
    take
        Called with each beat's number and name, such as "03_flatten", and the stage.
    """
    remaining = set(beats)

    def stop(record: BeatRecord, stage: Stage) -> None:
        if record.name in remaining:
            take(f"{len(stage.beats):02}_{record.name}", stage)
            remaining.remove(record.name)
        if not remaining:
            raise EndSceneEarlyException

    request.stage(entry, trace, on_beat_end=stop).render()


def render_stills(
    entry: SceneEntry,
    *,
    trace: Trace,
    request: RenderRequest,
    beats: Collection[str],
    progress: Callable[[int], None],
) -> list[Path]:
    """Write the last frame of beats to ``out/SCENE/NN_BEAT.png``, each with a picture map.

    The picture map, ``NN_BEAT.json``, says what every panel shows and where, and holds an alt text;
    see :mod:`filmkit.core.picture_map`.

    Parameters
    ----------
    entry
        The scene.
    trace
        The trace.
    request
        How to render. The stills go to a folder in its output folder, named after the scene.
    beats
        Names of the beats.
    progress
        Called with 1 after each still.

    Returns
    -------
    list of Path
        The stills, in the order of the story.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    paths: list[Path] = []
    folder = request.out / request.file_name(entry.slug)

    def take(name: str, stage: Stage) -> None:
        path = folder / f"{name}.{request.still_format}"
        title = stage.beats[-1].title
        picture = _draw_picture(stage, request.still_format)
        write_picture(picture, path, title=f"{entry.shown_title}: {title}")
        document = picture_map(stage.with_notes(), stage.camera, stage.mosaic_on_screen())
        document["alt"] = alt_text(document, title)
        write_text(path.with_suffix(".json"), json.dumps(document, ensure_ascii=False))
        paths.append(path)
        progress(1)

    take_stills(entry, trace=trace, request=request, beats=beats, take=take)
    if set(beats) == set(request.beat_names(entry, trace)):
        _remove_former(folder, {path.stem for path in paths})
    return paths


def _remove_former(folder: Path, current: Collection[str]) -> None:
    """Remove stills, with their maps, of beats that the scene does not have any more.

    They are known by their names and by their maps; everything else in the folder stays.
    """
    for map_file in folder.glob("*.json"):
        if not STILL_NAME.fullmatch(map_file.stem) or map_file.stem in current:
            continue
        with suppress(OSError, ValueError):
            document = json.loads(map_file.read_text(encoding="utf-8"))
            if isinstance(document, dict) and "schema" in document:
                for path in (map_file, *(map_file.with_suffix(f".{name}") for name in STILLS)):
                    path.unlink(missing_ok=True)


def render_picture(entry: SceneEntry, *, trace: Trace, request: RenderRequest) -> Picture:
    """Draw the end of a scene; parameters as for :func:`render_stills`."""
    stage = request.stage(entry, trace)
    stage.render()
    return _draw_picture(stage, request.still_format)


def _draw_picture(stage: Stage, file_format: str) -> Picture:
    """Draw the picture of a stage as pixels or as a page, as a format needs it."""
    if file_format != "png":
        return draw_page(stage)
    pixels = stage.snapshot(notes=True)
    return Image.fromarray(shown_pixels(pixels, transparent=stage.settings.transparent))


def write_picture(picture: Picture, path: Path, *, title: str) -> Path:
    """Write a picture, atomically; return its path.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if isinstance(picture, Page):
        return write_pages([picture], path, title=title)
    write_png(picture, path)
    return path


def write_png(picture: Image.Image, path: Path, **options: Any) -> None:
    """Write a picture as a PNG file, atomically; ``options`` are those of Pillow's PNG writer.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_write(path) as part:
        try:
            picture.save(part, format="png", **options)
        except OSError as error:
            raise OutputError(path, error) from error
