"""Runs scenes of the film and writes their pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
from manim import config, tempconfig
from manim._config.utils import ManimConfig, config_file_paths
from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image

from extract.files import OutputError, write_text, written_beside
from extract.trace import Trace
from filmkit.core.picture_map import picture_map
from filmkit.core.records import BeatRecord, Rehearsal
from filmkit.core.renderer import frames_before
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.movie import straight
from filmkit.render.quality import Quality, frame_size
from filmkit.render.request import RenderOptions
from filmkit.words.alt import alt_text
from filmkit.words.script import chapter_title

__all__ = [
    "frame_count",
    "manim_config",
    "rehearse",
    "render_picture",
    "render_stills",
    "take_stills",
    "write_png",
]


@contextmanager
def manim_config(quality: Quality, *, verbosity: str = "ERROR") -> Iterator[None]:
    """Set Manim up for one kind of render, and put everything back afterwards.

    Manim's settings come from here alone: a ``manim.cfg`` in the current folder or in the user's
    home must not change the film. What Manim writes on the way (outlines of text) goes to a
    folder that is removed in the end.

    Parameters
    ----------
    quality
        Size and frame rate.
    verbosity
        Which of Manim's own messages are shown.
    """
    # Every picture is many small ones: sharing them out among threads costs more than it saves.
    cv2.setNumThreads(1)
    width, height = frame_size(quality.width, quality.height)
    library_file = config_file_paths()[0]
    defaults = ConfigParser()
    defaults.read(library_file)
    with TemporaryDirectory(prefix="attention-film-") as scratch, tempconfig({}):
        config.update(ManimConfig().digest_parser(defaults))
        config.update(
            {
                "pixel_width": quality.width,
                "pixel_height": quality.height,
                "frame_rate": quality.frame_rate,
                "frame_width": width,
                "frame_height": height,
                "media_dir": scratch,
                "format": "none",
                "verbosity": verbosity,
                "notify_outdated_version": False,
            }
        )
        yield


def rehearse(entry: SceneEntry, trace: Trace, options: RenderOptions) -> Rehearsal:
    """Run a scene without drawing: its beats and its length."""
    return entry.load().rehearse(trace, options.settings)


def frame_count(record: BeatRecord, quality: Quality) -> int:
    """How many frames fall into a beat."""
    start, end = (frames_before(time, quality.frame_rate) for time in (record.start, record.end))
    return end - start


def take_stills(
    entry: SceneEntry,
    *,
    trace: Trace,
    options: RenderOptions,
    beats: Collection[str],
    take: Callable[[str, Stage], None],
) -> None:
    """Stop at the end of beats, for whoever wants a picture of it.

    Parameters
    ----------
    entry
        Which scene.
    trace
        The numbers.
    options
        How to render.
    beats
        Names of the wanted beats.
    take
        Called with the name of each beat, numbered ("03_flatten"), and the stage as it ends.
    """
    left = set(beats)

    def stop(record: BeatRecord, stage: Stage) -> None:
        if record.name in left:
            take(f"{len(stage.beats):02}_{record.name}", stage)
            left.remove(record.name)
        if not left:
            raise EndSceneEarlyException

    entry.load()(trace, options.settings, on_beat_end=stop).render()


def render_stills(
    entry: SceneEntry,
    *,
    trace: Trace,
    options: RenderOptions,
    out: Path,
    beats: Collection[str],
    progress: Callable[[int], None],
) -> list[Path]:
    """Write how beats end to ``out/SLUG/NN_BEAT.png``, and a map of each picture beside it.

    The map, ``NN_BEAT.json``, says what every panel shows and where, and holds an alt text; see
    :mod:`filmkit.core.picture_map`.

    Parameters
    ----------
    entry
        Which scene.
    trace
        The numbers.
    options
        How to render.
    out
        The folder for the scene's folder.
    beats
        Names of the wanted beats.
    progress
        Called with 1 after each still.

    Returns
    -------
    list of Path
        The stills in the order of the story.
    """
    paths: list[Path] = []

    def take(name: str, stage: Stage) -> None:
        path = out / entry.slug / f"{name}.png"
        picture = stage.snapshot()
        shown = straight(picture) if options.settings.transparent else picture[..., :3]
        write_png(Image.fromarray(shown), path)
        document = picture_map(stage.mobjects, stage.camera)
        document["alt"] = alt_text(document, chapter_title(stage.beats[-1].name))
        write_text(path.with_suffix(".json"), json.dumps(document, ensure_ascii=False))
        paths.append(path)
        progress(1)

    take_stills(entry, trace=trace, options=options, beats=beats, take=take)
    return paths


def render_picture(entry: SceneEntry, *, trace: Trace, options: RenderOptions, path: Path) -> Path:
    """Write how a scene of one beat looks, whole or not at all.

    Parameters
    ----------
    entry, trace, options
        As in :func:`render_stills`.
    path
        The picture.
    """

    def take(record: BeatRecord, stage: Stage) -> None:
        write_png(Image.fromarray(stage.snapshot()[..., :3]), path)

    entry.load()(trace, options.settings, on_beat_end=take).render()
    return path


def write_png(picture: Image.Image, path: Path, **how: Any) -> None:
    """Write a picture, whole or not at all; ``how`` is what Pillow's PNG writer takes.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with written_beside(path) as part:
        try:
            picture.save(part, format="png", **how)
        except OSError as error:
            raise OutputError(path, error) from error
