"""Can every theme be read, and every colour map by every eye?"""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from manim import color_to_rgb

from filmkit.core.camera import StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, colour_table
from filmkit.core.theme import use_theme
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.core.view import LayerView
from filmkit.pictures.latent_view import LatentView
from filmkit.render.manim_config import changed_config
from tests.support.contrast import LINE_CONTRAST, LUMINANCE, TEXT_CONTRAST, contrast
from tests.support.latents import with_latent

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of missing matplotlib, which is not needed here
    import colour

DEFICIENCIES = ("Protanomaly", "Deuteranomaly", "Tritanomaly")
with warnings.catch_warnings():
    # The library warns each time that its model of tritanomaly is an approximation.
    warnings.simplefilter("ignore")
    COLOUR_VISIONS = {"usual": np.eye(3)} | {
        name: colour.blindness.matrix_cvd_Machado2009(name, 1.0) for name in DEFICIENCIES
    }

SIGNED_ROLES = ("query", "key", "value", "latent", "scores", "")
STEPS = 9  # number of values that must be distinguishable in a heatmap
JUST_NOTICEABLE = 2.3  # difference in CIELAB that is just noticed between touching colours


def as_lab(rgb: np.ndarray, vision: np.ndarray) -> np.ndarray:
    """Return CIELAB of colours (..., 3), RGB in [0, 1], as seen with a colour vision."""
    light = np.clip(colour.models.eotf_sRGB(np.asarray(rgb, dtype=float)) @ vision.T, 0, 1)
    return np.asarray(colour.XYZ_to_Lab(colour.RGB_to_XYZ(light, "sRGB")))


def distances(lab: np.ndarray) -> list[float]:
    return [float(np.linalg.norm(a - b)) for a, b in combinations(lab, 2)]


# What is drawn of a theme; the contract of the scenes (tests/scenes/) looks at their pictures


@pytest.mark.parametrize("name", THEMES)
def test_every_role_can_be_read(name: str) -> None:
    with use_theme(name) as theme:
        background = np.array(color_to_rgb(theme.background))
        text = ("ink", "muted", "accent", "query", "key", "value", "scores", "pattern", "z")
        for role in (*text, "latent"):
            assert (
                contrast(np.array(color_to_rgb(theme.role(role))), background) >= TEXT_CONTRAST
            ), role
        for role in ("faint", "flow", "highlight"):
            assert (
                contrast(np.array(color_to_rgb(theme.role(role))), background) >= LINE_CONTRAST
            ), role


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("tilt", [0, 12])
def test_a_panel_as_dark_or_light_as_the_background_still_has_an_edge(
    name: str, tilt: float
) -> None:
    size = {"pixel_width": 320, "pixel_height": 180, "frame_width": 128 / 9, "frame_height": 8.0}
    with changed_config(size), use_theme(name) as theme:
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
                assert max(contrast(pixel, background) for pixel in near) >= LINE_CONTRAST - 1.2


# Colour maps


@pytest.mark.parametrize("vision", COLOUR_VISIONS)
@pytest.mark.parametrize("palette", ["film", "signed"])
def test_values_are_told_apart_with_every_colour_vision(palette: str, vision: str) -> None:
    with use_theme(palette=palette) as theme:
        for name in (theme.palette.signed, theme.palette.pattern):
            steps = colour_table(name)[np.linspace(0, 255, STEPS).round().astype(int)] / 255
            assert min(distances(as_lab(steps, COLOUR_VISIONS[vision]))) > 3 * JUST_NOTICEABLE, name


@pytest.mark.parametrize(
    "vision", [*COLOUR_VISIONS.values(), np.tile(LUMINANCE, (3, 1))], ids=[*COLOUR_VISIONS, "grey"]
)
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


@pytest.mark.parametrize("vision", COLOUR_VISIONS)
@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("role", SIGNED_ROLES)
def test_both_signs_are_told_apart_at_half_strength(role: str, name: str, vision: str) -> None:
    with use_theme(name, "roles") as theme:
        norm = Norm(-1.0, 1.0, theme.colour_map(role))
    one, other = as_lab(norm.colours([-0.5, 0.5]) / 255, COLOUR_VISIONS[vision])
    assert colour.delta_E(one, other, method="CIE 2000") >= 10


@pytest.mark.parametrize(
    "vision", [*COLOUR_VISIONS.values(), np.tile(LUMINANCE, (3, 1))], ids=[*COLOUR_VISIONS, "grey"]
)
@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("role", [*SIGNED_ROLES, "pattern"])
def test_what_is_larger_stands_out_more_from_the_background(
    role: str, name: str, vision: np.ndarray
) -> None:
    with use_theme(name, "roles") as theme:
        strengths = np.linspace(0, 1, 1 + STEPS // 2)
        background = np.array(color_to_rgb(theme.background))
        signs, lowest = ((1,), 0.0) if role == "pattern" else ((-1, 1), -1.0)
        for sign in signs:
            colours = Norm(lowest, 1.0, theme.colour_map(role)).colours(sign * strengths) / 255
            assert np.abs(colours[0] - background).max() < 0.01  # zero
            away = np.abs(as_lab(colours, vision)[:, 0] - as_lab(background, vision)[0])
            assert np.diff(away).min() > 2 * JUST_NOTICEABLE, (role, sign)


def test_zero_has_the_colour_of_a_background_of_one_s_own() -> None:
    with use_theme("dark", "roles", background="#102030"):
        for norm, zero in ((Norm.symmetric([1.0], role="key"), 0.0), (Norm.unit(), 0.0)):
            np.testing.assert_allclose(norm.colours(zero), [0x10, 0x20, 0x30], atol=1)


@pytest.mark.parametrize("name", THEMES)
def test_a_tensor_s_largest_number_has_the_colour_of_its_name(name: str) -> None:
    layer = LayerView.of_prompt(with_latent(n_layers=2), 1, show_first_token=False)
    with use_theme(name, "roles") as theme:
        norms = {tensor: layer.norm(tensor) for tensor in ("x", "q", "k", "v", "pattern", "z")}
        norms |= {"scores": layer.scores_norm, "out": layer.norm("out")}
        norms["latent"] = LatentView.of(layer).latent.norm
        drawn = {tensor: norm.colours(norm.vmax) / 255 for tensor, norm in norms.items()}
        named = {"x": "ink", "q": "query", "k": "key", "v": "value", "out": "z"}
        for tensor, colours in drawn.items():
            expected = color_to_rgb(theme.role(named.get(tensor, tensor)))
            np.testing.assert_allclose(colours, expected, atol=1e-6, err_msg=tensor)


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
