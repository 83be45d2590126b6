"""Transparent pictures, laid over any background, look as if they had been drawn on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme_names import THEMES
from filmkit.render.jobs import make_films, make_stills
from filmkit.render.movie import MOV_ALPHA, WEBM_ALPHA, Encoding, open_movie, to_straight_alpha
from filmkit.render.quality import DRAFT, QUALITIES, Quality
from tests.filmkit.render.test_delivery import decoded
from tests.support.filming import render_request
from tests.support.stand_in import SOFT_EDGES
from tests.support.traces import make_trace

BACKGROUNDS = ("#ffffff", "#000000", "#2060c0")

# By how many of 256 levels a channel may differ: two roundings, of colour and of alpha, for each of
# the layers that lie over each other.
ROUNDING = 4

# What an encoder may add, at the pixel that is worst and on average: ProRes keeps every edge; VP9
# halves the resolution of colour, in an opaque film just as much.
ENCODERS = {".mov": (MOV_ALPHA, 4, 0.3), ".webm": (WEBM_ALPHA, 65, 0.5)}

Floats = npt.NDArray[np.float64]


def drawn(**settings: object) -> npt.NDArray[np.uint8]:
    """Draw the scene of soft edges at draft quality; return its premultiplied picture."""
    stage = SOFT_EDGES.load()(make_trace(), StageSettings(**settings))
    stage.render()
    return stage.snapshot()


def over(background: str, picture: npt.NDArray[np.uint8]) -> Floats:
    """Lay a picture of straight alpha, (height, width, 4), over a colour, as programs do."""
    alpha = picture[..., 3:] / 255
    return picture[..., :3] * alpha + np.array([*bytes.fromhex(background[1:])]) * (1 - alpha)


def error(theme: str, background: str, picture: npt.NDArray[np.uint8]) -> Floats:
    """Return how far a transparent picture over a background is from one drawn on it."""
    direct = drawn(theme=theme, background=background)[..., :3]
    return np.abs(over(background, picture) - direct).max(axis=2)


@pytest.fixture(scope="module", params=THEMES)
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_picture_over_a_background(theme: str, background: str) -> None:
    picture = to_straight_alpha(drawn(theme=theme, transparent=True))
    soft = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    assert soft.mean() > 0.05, "there is something to see here"
    assert error(theme, background, picture).max() <= ROUNDING


@pytest.mark.parametrize("suffix", ENCODERS)
def test_a_film_over_a_background(theme: str, suffix: str, tmp_path: Path) -> None:
    encoding, worst, mean = ENCODERS[suffix]
    picture = to_straight_alpha(drawn(theme=theme, transparent=True))
    film = decoded(encoded(picture, tmp_path / f"film{suffix}", encoding))[0][0]
    for background in BACKGROUNDS:
        off = error(theme, background, film)
        assert off.max() <= ROUNDING + worst, background
        assert off.mean() <= mean, background


def encoded(picture: npt.NDArray[np.uint8], path: Path, encoding: Encoding, count: int = 2) -> Path:
    """Write a film that shows a picture ``count`` times; return its path."""
    height, width = picture.shape[:2]
    with open_movie(path, Quality(width, height, 10), encoding) as movie:
        for _ in range(count):
            movie.write(picture)
    return path


@pytest.mark.parametrize("suffix", ENCODERS)
def test_an_empty_film_is_empty_everywhere(suffix: str, tmp_path: Path) -> None:
    # Several threads that converted one picture sometimes wrote over each other at this width.
    size = QUALITIES[DRAFT]
    assert size.width % 16
    empty = np.zeros((size.height, size.width, 4), np.uint8)
    film = encoded(empty, tmp_path / f"film{suffix}", ENCODERS[suffix][0], count=20)
    assert {int(frame[..., 3].max()) for frame in decoded(film)[0]} == {0}


def test_what_the_command_line_makes(tmp_path: Path) -> None:
    trace = tmp_path / "trace.safetensors"
    make_trace().save(trace)
    size = QUALITIES[DRAFT]
    request = render_request(
        (SOFT_EDGES,),
        trace,
        tmp_path,
        quality=Quality(size.width, size.height, 10),
        theme="light",
        transparent=True,
        file_format="png",
    )
    assert make_stills(request, "all")
    assert make_films(request)
    for path in ("scene_soft_edges.light/01_shown.png", "scene_soft_edges.light.png"):
        with Image.open(tmp_path / path) as image:
            picture = np.asarray(image)
        for background in BACKGROUNDS:
            assert error("light", background, picture).max() <= ROUNDING
