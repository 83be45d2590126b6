"""Run a scene without drawing, and check the picture at which each beat ends."""

from __future__ import annotations

from manim.utils.exceptions import EndSceneEarlyException

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import changed_config
from filmkit.render.quality import frame_size
from filmkit.tools.checks import HEIGHT, MIN_PRESENCE, WIDTH, BeatPicture, faults_of

__all__ = ["HEIGHT", "MIN_PRESENCE", "WIDTH", "BeatPicture", "complaints", "play"]


def play(
    scene: type[Stage],
    trace: Trace,
    settings: StageSettings | None = None,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    until: str | int | None = None,
) -> list[BeatPicture]:
    """Run a scene without drawing, and return what is on screen at the end of each beat.

    The last beat that is played may be given, by its name or its number from 0 on.
    """
    pictures: list[BeatPicture] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        pictures.append(BeatPicture.of(record, stage))
        if until in (record.name, len(pictures) - 1):
            raise EndSceneEarlyException

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    across, down = frame_size(width, height)
    size = {"pixel_width": width, "pixel_height": height}
    with changed_config(quiet | size | {"frame_width": across, "frame_height": down}):
        scene(trace, settings, on_beat_end=note).render()
    assert until is None or until in (pictures[-1].record.name, len(pictures) - 1)
    return pictures


def complaints(
    picture: BeatPicture,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    caption_strip: bool = False,
) -> list[str]:
    """Return the faults of a picture, each with the name of its beat."""
    faults = faults_of(picture, width, height, caption_strip=caption_strip)
    return [f"{picture.record.name}: {fault}" for fault in faults]
