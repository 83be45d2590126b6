"""Small pictures, one of each kind, that must not change by accident.

They are drawn from the trace that comes with the project, or from made-up numbers, and compared
with those in ``control/``. After a change that is wanted, the option ``--draw-control-frames``
draws them again: look at each before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from manim import Camera, Group, Scene
from PIL import Image

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import StageCamera
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label, Number, Symbol
from filmkit.core.theme import use_theme
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.marks import ColourBar, Highlight
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from scenes.registry import POSTERS, SCENES
from tests.support.checkout import PROJECT, SHIPPED

CONTROL = Path(__file__).parent / "control"
PINS = PROJECT / "filmkit" / "constraints.txt"
WIDE, TALL, SMALL = Quality(480, 270, 30), Quality(270, 480, 30), Quality(384, 216, 30)

# Two pictures are the same if at most one pixel of a thousand differs by more than 8 levels.
LEVELS, SHARE = 8, 0.001
MOST_BYTES = 650_000  # of all pictures together

Pixels = npt.NDArray[np.uint8]

ENTRIES = {entry.slug: entry for entry in (*SCENES, *POSTERS)}


def still(slug: str, beat: str, *, quality: Quality = WIDE, theme: str = "dark") -> Pixels:
    """Draw the last picture of a beat, from the trace that comes with the project."""
    pictures: list[Pixels] = []

    def take(record: BeatRecord, stage: Stage) -> None:
        if record.name == beat:
            pictures.append(stage.snapshot(notes=True))
            raise Drawn

    with manim_config(quality):
        stage = ENTRIES[slug].load()(
            Trace.load(SHIPPED), StageSettings(theme=theme), on_beat_end=take
        )
        with pytest.raises(Drawn):
            stage.render()
    return pictures[0][..., :3]


class Drawn(Exception):
    """Ends a scene early."""


def drawn(camera: StageCamera, *mobjects: object) -> Pixels:
    """Draw mobjects over the camera's background."""
    camera.reset()
    camera.capture_mobjects(list(mobjects))
    return np.array(camera.pixel_array[..., :3])


def made_up(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return numbers from -1 to 1 that are the same on every machine."""
    row, column = np.mgrid[:rows, :columns]
    return np.sin(1.7 * row + 0.6 * column) * np.cos(0.9 * column - 0.4 * row)


def masked_and_hidden_cells() -> Pixels:
    """Flat, with a mask, hidden and half hidden cells; and in space, one before the other."""
    with manim_config(WIDE):
        norm = Norm.symmetric([2.0])
        scores = Heatmap(2 * made_up(8, 8), norm, masked=np.triu(np.ones((8, 8)), k=1))
        shown = np.ones((8, 8))
        shown[5:, 2:5], shown[1, 0] = 0.0, 0.5
        scores.set_shown(shown).place(Box(-4.4, 0.6, 4.4, 4.4))
        strip = Heatmap(made_up(3, 12), Norm(0, 1, "magma"), edged=False)
        strip.place(Box(-4.4, -2.8, 4.4, 1.0)).set_opacity(0.6)
        frame = Highlight(scores.cell(3, 3))
        scale = ColourBar(norm, "scores", Box(0.2, 3.0, 3, 0.2))
        sheets = [Heatmap(made_up(6, 9) * sign, norm, width=4.5, height=3) for sign in (1, -1)]
        for sheet, place in zip(sheets, ([3.6, -1.2, 0.0], [4.6, 0.4, -1.5]), strict=True):
            sheet.rotate(0.5, axis=[0, 1, 0]).shift(place)
        return drawn(StageCamera(), *reversed(sheets), scores, strip, frame, scale)


def letters_and_formulas() -> Pixels:
    """Text in two weights and several scripts, numbers, formulas set by Typst, and a line."""
    with manim_config(WIDE), use_theme() as theme:
        camera = StageCamera()
        lines = [
            Label("The quick brown fox: 3,997,696 bytes", size=0.06),
            Label("naïve · внимание · προσοχή · 🙂", size=0.06, weight="semibold"),
            Symbol("p_j = e^(s_j) \\/ sum_i e^(s_i)", size=0.07, colour=theme.query),
            Symbol("Q K^top = X (W_Q W_(U K)^top) C^top", size=0.06, colour=theme.key),
            Group(Number(-12.345, digits=2, size=0.06), Number(7, size=0.06).shift([3, 0, 0])),
        ]
        for row, line in enumerate(lines):
            line.move_to([0, 3 - 1.3 * row, 0])
        wire = Wire(((-5.0, -3.2), (0.0, -3.2), (0.0, -3.6), (5.0, -3.6)))
        return drawn(camera, *lines, wire)


def plain_scene() -> Pixels:
    """A scene of Manim itself, with Manim's own camera."""

    class Plain(Scene):
        def construct(self) -> None:
            cells = Heatmap(made_up(4, 7), width=9, height=5)
            cells.set_shown(np.where(made_up(4, 7) < -0.9, 0.0, 1.0))
            self.add(cells.rotate(0.2), Label("plain", size=0.08).shift([-5, 3, 0]))

    with manim_config(WIDE):
        scene = Plain(camera_class=Camera)
        scene.construct()
        scene.renderer.camera.capture_mobjects(scene.mobjects)
        return np.array(scene.renderer.camera.pixel_array[..., :3])


PICTURES: dict[str, Callable[[], Pixels]] = {
    "head": lambda: still("scene_attention", "one_head"),
    "stack": lambda: still("scene_heads", "all_heads_slide_in", quality=SMALL),
    # Smaller: so many bright cells take much room.
    "wall": lambda: still("scene_patterns", "one_of_many", quality=SMALL),
    "close-up": lambda: still("scene_heads", "one_head_on_a_card", quality=SMALL),
    "volume": lambda: still("scene_kv_cache", "the_whole_cache", theme="light", quality=SMALL),
    "latent": lambda: still("scene_mla", "every_head_reads_it"),
    "light": lambda: still("scene_sharing", "one_set_for_all", theme="light"),
    "print": lambda: still("mqa", "poster", theme="print"),
    "tall": lambda: still("scene_sharing", "what_it_costs", quality=TALL),
    "cells": masked_and_hidden_cells,
    "letters": letters_and_formulas,
    "plain": plain_scene,
}


def differing_share(one: Pixels, other: Pixels) -> float:
    """Return the share of pixels that differ by more than `LEVELS`."""
    assert one.shape == other.shape
    return float((np.abs(one.astype(int) - other).max(axis=-1) > LEVELS).mean())


def other_versions() -> list[str]:
    """Return what is installed in another version than it is pinned to, one entry each."""
    pins = (line for line in PINS.read_text().splitlines() if "==" in line and line[0] != "#")
    return [
        f"{name} {found}"
        for name, pin in (p.split("==") for p in pins)
        if (found := installed(name)) != pin
    ]


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def control(name: str) -> Pixels:
    return np.asarray(Image.open(CONTROL / f"{name}.png").convert("RGB"))


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_the_one_that_is_kept(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if others := other_versions():
        pytest.skip(
            f"filmkit/constraints.txt pins other versions of {', '.join(others[:3])}: "
            "install with -c filmkit/constraints.txt to compare pictures"
        )
    picture = PICTURES[name]()
    if request.config.getoption("draw_control_frames"):
        CONTROL.mkdir(exist_ok=True)
        Image.fromarray(picture).save(CONTROL / f"{name}.png", optimize=True)
    Image.fromarray(picture).save(tmp_path / f"{name}.png")
    share = differing_share(control(name), picture)
    assert share <= SHARE, f"{100 * share:.2f} % of the pixels differ: see {tmp_path}/{name}.png"


# Would a change be noticed?


@pytest.mark.parametrize("axis", [0, 1], ids=["down", "across"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_moved_by_two_pixels_is_another(name: str, axis: int) -> None:
    kept = control(name)
    assert differing_share(kept, np.roll(kept, 2, axis=axis)) > 3 * SHARE


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_with_another_colour_is_another(name: str) -> None:
    """The most frequent colour but the background's, a little redder or less red."""
    kept = control(name)
    colours, counts = np.unique(kept.reshape(-1, 3), axis=0, return_counts=True)
    colour = colours[counts.argsort()[-2]]
    changed = kept.copy()
    there = (kept == colour).all(axis=-1)
    changed[there, 0] = colour[0] - 12 if colour[0] > 127 else colour[0] + 12
    assert differing_share(kept, changed) > SHARE


def test_the_pictures_are_all_there_and_small() -> None:
    files = sorted(CONTROL.iterdir())
    assert [file.stem for file in files] == sorted(PICTURES)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_another_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "numpy 0.0" not in other_versions()
    monkeypatch.setitem(globals(), "version", lambda name: "0.0" if name == "numpy" else "9.9")
    assert "numpy 0.0" in other_versions()
