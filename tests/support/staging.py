"""Run a scene without drawing, and check the picture at which each beat ends."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from manim import tempconfig

from extract.trace import Trace
from filmkit.core.geometry import Box
from filmkit.core.picture_map import PanelItem, TextItem, panels_on, texts_on
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.stage import Stage
from filmkit.render.quality import frame_size

WIDTH, HEIGHT = 1920, 1080
SAFE = 0.04  # margin on every side, as a fraction of the frame's shorter side
CAPTIONS = 0.11  # strip for captions at the bottom, as a fraction of the frame's height
MIN_TEXT = 0.02  # smallest text, as a fraction of the frame's shorter side
SLACK = 0.5  # how far a line of letters may reach over a border, in pixels of full HD
MIN_PRESENCE = 0.5  # anything with a lower presence is background and not meant to be read


@dataclass(frozen=True)
class BeatPicture:
    """What is on screen at the end of a beat.

    Attributes
    ----------
    record
        Name, narration and times of the beat.
    texts, panels
        Lines of text and heatmaps on screen.
    """

    record: BeatRecord
    texts: list[TextItem]
    panels: list[PanelItem]


def play(
    scene: type[Stage],
    trace: Trace,
    settings: StageSettings | None = None,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> list[BeatPicture]:
    """Run a scene without drawing, and return what is on screen at the end of each beat.

    Parameters
    ----------
    scene
        Class of the scene.
    trace, settings
        As for :class:`~filmkit.core.stage.Stage`.
    width, height
        Size of the picture in pixels.
    """
    pictures: list[BeatPicture] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        shown = stage.with_notes()
        pictures.append(
            BeatPicture(record, texts_on(shown, stage.camera), panels_on(shown, stage.camera))
        )

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    across, down = frame_size(width, height)
    size = {"pixel_width": width, "pixel_height": height}
    with tempconfig(quiet | size | {"frame_width": across, "frame_height": down}):
        scene(trace, settings, on_beat_end=note).render()
    return pictures


def complaints(
    picture: BeatPicture,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    caption_strip: bool = False,
) -> list[str]:
    """Return the faults of a picture, one line each; no lines if there are none.

    Faults are text or panels outside of the safe margin, text that is too small to read, texts
    that overlap, and with ``caption_strip`` whatever stands where captions are drawn into films.
    They are the same at every size of a picture.
    """
    short = min(width, height)
    slack = SLACK * short / HEIGHT
    margin = SAFE * short
    safe = Box.of(margin, width - margin, margin, height - margin)
    free = Box.of(0, width, (1 - CAPTIONS) * height, height)
    readable = [item for item in picture.texts if item.presence >= MIN_PRESENCE]
    faults = []
    for item in readable:
        if not safe.contains(item.box, slack=slack):
            faults.append(f"text {item.text!r} leaves the safe margin: {item.box}")
        if item.height < MIN_TEXT * short - slack / 10:
            faults.append(f"text {item.text!r} is {item.height:.1f} pixels high")
    for panel in picture.panels:
        if panel.opacity >= MIN_PRESENCE and not safe.contains(panel.box, slack=slack):
            faults.append(f"panel {panel.heatmap.source} leaves the safe margin: {panel.box}")
    for item in [*readable, *(p for p in picture.panels if p.opacity >= MIN_PRESENCE)]:
        if caption_strip and free.overlap(item.box)[1] > slack:
            faults.append(f"{item} stands where captions go")
    for first, second in combinations(readable, 2):
        across, down = first.box.overlap(second.box)
        if min(across, down) > slack:
            faults.append(f"texts {first.text!r} and {second.text!r} overlap by {across, down}")
    return [f"{picture.record.name}: {line}" for line in faults]
