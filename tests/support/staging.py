"""Running a scene without drawing and looking at how each beat ends."""

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
SAFE = 0.04  # of the frame's shorter side, on every side
CAPTIONS = 0.11  # of the frame's height, at the bottom
MIN_TEXT = 0.02  # of the frame's shorter side
READ = 0.5  # what is fainter is background and not meant to be read


@dataclass(frozen=True)
class BeatPicture:
    """How a beat ends."""

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
    """Run a scene without drawing; one picture for the end of each beat."""
    pictures: list[BeatPicture] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        shown = list(stage.mobjects)
        pictures.append(
            BeatPicture(record, texts_on(shown, stage.camera), panels_on(shown, stage.camera))
        )

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    across, down = frame_size(width, height)
    size = {"pixel_width": width, "pixel_height": height}
    with tempconfig(quiet | size | {"frame_width": across, "frame_height": down}):
        scene(trace, settings, on_beat_end=note).render()
    return pictures


def complaints(picture: BeatPicture, *, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """What a viewer would object to at the end of a beat, one line each."""
    short = min(width, height)
    margin = SAFE * short
    safe = Box.of(margin, width - margin, margin, height - margin)
    free = Box.of(0, width, (1 - CAPTIONS) * height, height)
    read = [item for item in picture.texts if item.presence >= READ]
    found = []
    for item in read:
        if not safe.holds(item.box, slack=0.5):
            found.append(f"text {item.text!r} leaves the safe margin: {item.box}")
        if item.height < MIN_TEXT * short - 0.05:
            found.append(f"text {item.text!r} is {item.height:.1f} pixels high")
    for panel in picture.panels:
        if panel.opacity >= READ and not safe.holds(panel.box, slack=0.5):
            found.append(f"panel {panel.heatmap.source} leaves the safe margin: {panel.box}")
    for item in [*read, *(p for p in picture.panels if p.opacity >= READ)]:
        if free.overlap(item.box)[1] > 0.5:
            found.append(f"{item} stands where captions go")
    for first, second in combinations(read, 2):
        across, down = first.box.overlap(second.box)
        if min(across, down) > 0.5:
            found.append(f"texts {first.text!r} and {second.text!r} overlap by {across, down}")
    return [f"{picture.record.name}: {line}" for line in found]
