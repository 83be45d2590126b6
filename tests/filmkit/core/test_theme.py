"""Can every theme be read, and every colour map by every eye?"""

from __future__ import annotations

import warnings
from itertools import combinations

import cv2
import numpy as np
import pytest
from manim import Mobject, color_to_rgb, tempconfig

from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.camera import StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, colour_table
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.core.text import TextLine
from filmkit.core.theme import use_theme
from filmkit.core.theme_names import PALETTES, THEMES
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED
from tests.support.staging import MIN_PRESENCE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of missing matplotlib, which is not needed here
    import colour

# Smallest contrast ratios of WCAG 2.2, success criteria 1.4.3 and 1.4.11.
TEXT, LINES = 4.5, 3.0

DEFICIENCIES = ("Protanomaly", "Deuteranomaly", "Tritanomaly")
with warnings.catch_warnings():
    # The library warns each time that its model of tritanomaly is an approximation.
    warnings.simplefilter("ignore")
    COLOUR_VISIONS = {"usual": np.eye(3)} | {
        name: colour.blindness.matrix_cvd_Machado2009(name, 1.0) for name in DEFICIENCIES
    }
# Grey is relative luminance.
GREY = np.tile([0.2126, 0.7152, 0.0722], (3, 1))

STEPS = 9  # number of values that must be distinguishable in a heatmap
JUST_NOTICEABLE = 2.3  # difference in CIELAB that is just noticed between touching colours


def luminance(rgb: np.ndarray) -> float:
    """Return the relative luminance of RGB in [0, 1]."""
    return float(colour.models.eotf_sRGB(np.asarray(rgb, dtype=float)) @ GREY[0])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast ratio of two colours, RGB in [0, 1]."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def as_lab(rgb: np.ndarray, vision: np.ndarray) -> np.ndarray:
    """Return CIELAB of colours (..., 3), RGB in [0, 1], as seen with a colour vision."""
    light = np.clip(colour.models.eotf_sRGB(np.asarray(rgb, dtype=float)) @ vision.T, 0, 1)
    return np.asarray(colour.XYZ_to_Lab(colour.RGB_to_XYZ(light, "sRGB")))


def distances(lab: np.ndarray) -> list[float]:
    return [float(np.linalg.norm(a - b)) for a, b in combinations(lab, 2)]


# Colours that are really drawn


def ground(
    text: TextLine, below: list[Mobject], background: np.ndarray, camera: StageCamera
) -> np.ndarray:
    """Return the colour behind a text: of the topmost cell or filled shape at its middle."""
    middle = camera.pixels(text, text.ink).mean(axis=0)
    for thing in reversed(below):
        cells = isinstance(thing, Heatmap)
        strength = presence(thing) * (thing.opacity if cells else thing.fill_opacity)
        if isinstance(thing, TextLine) or strength < MIN_PRESENCE:
            continue
        corners = camera.pixels(thing, thing.corners if cells else thing.points)
        if cv2.pointPolygonTest(cv2.convexHull(np.float32(corners)), middle.tolist(), False) < 0:
            continue
        rgb = cell_at(thing, corners, middle) if cells else thing.fill_rgbas[0, :3]
        return background + (rgb - background) * strength
    return background


def cell_at(panel: Heatmap, corners: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the RGB in [0, 1] of the cell at a point of the picture."""
    rows, columns = panel.shape
    unit = np.float32([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    warp = cv2.getPerspectiveTransform(np.float32(corners), unit)
    column, row = cv2.perspectiveTransform(np.float64(point)[None, None], warp)[0, 0].astype(int)
    return panel.texture().cells[min(row, rows - 1), min(column, columns - 1), :3] / 255


def low_contrast(shown: list[Mobject], background: np.ndarray, camera: StageCamera) -> list[str]:
    """Return texts and lines with too little contrast to what is behind them, one line each."""
    faults = []
    for i, mobject in enumerate(shown):
        if isinstance(mobject, Heatmap):
            continue
        text = isinstance(mobject, TextLine)
        inks = mobject.fill_rgbas if text else mobject.stroke_rgbas
        if not (len(mobject.ink) if text else mobject.stroke_width > 0):
            continue
        under = ground(mobject, shown[:i], background, camera) if text else background
        for *rgb, alpha in np.reshape(inks, (-1, 4)):
            strength = alpha * presence(mobject)
            if strength < MIN_PRESENCE:
                continue
            ratio = contrast(under + (np.array(rgb) - under) * strength, under)
            if ratio < (TEXT if text else LINES) - 0.01:
                what = mobject.text if text else f"{type(mobject).__name__} {rgb}"
                faults.append(f"{what}: {ratio:.2f}")
    return faults


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_words_and_lines_stand_out_from_the_background(entry: SceneEntry, name: str) -> None:
    faults = []

    def look(record: BeatRecord, stage: Stage) -> None:
        background = np.array(color_to_rgb(stage.theme.background))
        camera = stage.camera
        shown = camera.drawing_order(stage.mobjects)
        faults.extend(f"{record.name}: {line}" for line in low_contrast(shown, background, camera))

    with tempconfig({"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}):
        entry.load()(Trace.load(SHIPPED), StageSettings(theme=name), on_beat_end=look).render()
    assert sorted(set(faults)) == []


@pytest.mark.parametrize("name", THEMES)
def test_every_role_can_be_read(name: str) -> None:
    with use_theme(name) as theme:
        background = np.array(color_to_rgb(theme.background))
        text = ("ink", "muted", "accent", "query", "key", "value", "scores", "pattern", "z")
        for role in (*text, "latent"):
            assert contrast(np.array(color_to_rgb(theme.role(role))), background) >= TEXT, role
        for role in ("faint", "flow", "highlight"):
            assert contrast(np.array(color_to_rgb(theme.role(role))), background) >= LINES, role


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("tilt", [0, 12])
def test_a_panel_as_dark_or_light_as_the_background_still_has_an_edge(
    name: str, tilt: float
) -> None:
    size = {"pixel_width": 320, "pixel_height": 180, "frame_width": 128 / 9, "frame_height": 8.0}
    with tempconfig(size), use_theme(name) as theme:
        background = np.array(color_to_rgb(theme.background))
        panel = Heatmap(
            np.ones((4, 4)), Norm(0, 1, "viridis"), width=6, height=4, masked=np.ones(4)
        )
        panel.masked_colour = background * 255
        panel.rotate(np.radians(tilt))
        camera = StageCamera(background_color=theme.background)
        camera.reset()
        camera.capture_mobjects([panel])
        picture = camera.pixel_array[..., :3] / 255
        for along in np.linspace(0.2, 3.8, 9):
            for row, column in ((0, along), (4, along), (along, 0), (along, 4)):
                x, y = camera.pixels(panel, panel.at(row, column)[None])[0]
                near = picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].reshape(-1, 3)
                # A line between two rows of pixels is divided between them.
                assert max(contrast(pixel, background) for pixel in near) >= LINES - 1.2


# Colour maps


@pytest.mark.parametrize("vision", COLOUR_VISIONS)
@pytest.mark.parametrize("palette", PALETTES)
def test_values_are_told_apart_with_every_colour_vision(palette: str, vision: str) -> None:
    with use_theme(palette=palette) as theme:
        for name in (theme.palette.signed, theme.palette.pattern):
            steps = colour_table(name)[np.linspace(0, 255, STEPS).round().astype(int)] / 255
            assert min(distances(as_lab(steps, COLOUR_VISIONS[vision]))) > 3 * JUST_NOTICEABLE, name


@pytest.mark.parametrize("vision", [*COLOUR_VISIONS.values(), GREY], ids=[*COLOUR_VISIONS, "grey"])
def test_the_film_s_maps_only_grow_lighter(vision: np.ndarray) -> None:
    with use_theme(palette="film") as theme:
        for name in (theme.palette.signed, theme.palette.pattern):
            steps = colour_table(name)[np.linspace(0, 255, STEPS).round().astype(int)] / 255
            assert np.diff(as_lab(steps, vision)[:, 0]).min() > 2 * JUST_NOTICEABLE, name


@pytest.mark.parametrize("palette", PALETTES)
def test_zero_is_the_middle_of_a_signed_map_and_a_pattern_s_first_colour(palette: str) -> None:
    with use_theme(palette=palette):
        signed = Norm.symmetric([-0.3, 2.0])
        assert signed.vmin == -signed.vmax
        assert abs(int(signed.levels(0.0)) - 127.5) <= 0.5
        assert (Norm.unit().vmin, Norm.unit().vmax) == (0, 1)


def test_a_dark_middle_means_zero_in_the_signed_palette() -> None:
    with use_theme(palette="signed") as theme:
        light = as_lab(colour_table(theme.palette.signed) / 255, np.eye(3))[:, 0]
    assert abs(int(light.argmin()) - 127.5) < 16
    assert light.min() < 10 < 60 < min(light[0], light[-1])


@pytest.mark.parametrize("vision", COLOUR_VISIONS)
@pytest.mark.parametrize("name", THEMES)
def test_roles_are_told_apart_with_every_colour_vision(name: str, vision: str) -> None:
    with use_theme(name) as theme:
        roles = [color_to_rgb(theme.role(r)) for r in ("query", "key", "value", "latent")]
    assert min(distances(as_lab(np.array(roles), COLOUR_VISIONS[vision]))) > 8 * JUST_NOTICEABLE
