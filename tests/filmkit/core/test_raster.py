"""Drawing arrays of colours into a frame: what is cut off first, and how colours are laid over."""

from __future__ import annotations

import numpy as np
import pytest

from filmkit.core import raster as warp
from filmkit.core.raster import Texture, paste

FRAME = (90, 160)


def colours(rows: int, columns: int) -> np.ndarray:
    cells = np.random.default_rng(0).integers(0, 256, (rows, columns, 4), dtype=np.uint8)
    cells[..., 3] = 255
    return cells


def drawn(cells: np.ndarray, corners: list[list[float]], opacity: float = 1.0) -> np.ndarray:
    frame = np.zeros((*FRAME, 4), dtype=np.uint8)
    frame[..., 3] = 255
    paste(frame, Texture(cells), np.array(corners, dtype=float), opacity)
    return frame


LARGE = {
    "around": [[-900, -400], [1100, -400], [1100, 700], [-900, 700]],
    "to one side": [[20, 10], [2020, 10], [2020, 800], [20, 800]],
    "turned": [[-700, -900], [1200, -300], [700, 1200], [-1200, 500]],
    "in depth": [[-300, -300], [900, -60], [900, 160], [-300, 420]],
}


@pytest.mark.parametrize("corners", LARGE.values(), ids=LARGE.keys())
def test_only_what_the_frame_can_show_is_enlarged(
    corners: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = colours(30, 40)
    cut, _ = Texture(cells).cropped(np.array(corners, dtype=float), FRAME[1], FRAME[0])
    assert cut.cells.size < 0.5 * cells.size
    shown = drawn(cells, corners)
    monkeypatch.setattr(warp, "LARGE", np.inf)
    whole = drawn(cells, corners)
    # Positions inside of a cell may differ by rounding, which moves its edge by a hair.
    same = np.abs(shown.astype(int) - whole).max(axis=-1) <= 8
    assert same.mean() > 0.97


def test_what_is_not_far_larger_than_the_frame_is_left_whole() -> None:
    texture = Texture(colours(3, 4))
    corners = np.array([[-20, -10], [180, -10], [180, 100], [-20, 100]], dtype=float)
    assert texture.cropped(corners, FRAME[1], FRAME[0]) == (texture, corners)


def test_a_plane_seen_up_to_its_horizon_is_left_whole() -> None:
    texture = Texture(colours(30, 40))
    # Its sides meet within the frame, so the frame reaches beyond its vanishing point.
    corners = np.array([[70, 40], [90, 40], [3000, 900], [-3000, 900]], dtype=float)
    cut, _ = texture.cropped(corners, FRAME[1], FRAME[0])
    assert cut is texture


@pytest.mark.parametrize("opacity", [0.2, 0.5, 1.0])
def test_colours_are_laid_over_by_their_alpha(opacity: float) -> None:
    frame = np.full((*FRAME, 4), (10, 120, 250, 255), dtype=np.uint8)
    cells = np.array([[[200, 100, 0, 255]]], dtype=np.uint8)
    corners = np.array([[0, 0], [160, 0], [160, 90], [0, 90]], dtype=float)
    paste(frame, Texture(cells), corners, opacity)
    expected = opacity * np.array([200, 100, 0, 255]) + (1 - opacity) * np.array(
        [10, 120, 250, 255]
    )
    assert np.abs(frame[45, 80] - expected).max() <= 1


@pytest.mark.parametrize("shown", [255, 90], ids=["opaque", "transparent"])
def test_what_is_seen_exactly_from_its_side_is_not_drawn(shown: int) -> None:
    cells = colours(3, 4)
    cells[..., 3] = shown
    line = [[10.0, 10.0], [60.0, 35.0], [80.0, 45.0], [30.0, 20.0]]
    assert (drawn(cells, line) == drawn(cells, line, opacity=0.0)).all()


@pytest.mark.parametrize("shown", [255, 90], ids=["opaque", "transparent"])
def test_a_plane_up_to_its_horizon_is_drawn_without_warnings(shown: int) -> None:
    cells = np.full((3, 4, 4), shown, dtype=np.uint8)
    corners = [[70, 40], [90, 40], [400, 80], [-300, 80]]
    with np.errstate(all="raise"):
        picture = drawn(cells, [[float(x), float(y)] for x, y in corners])
    assert (picture[50:75, 70:90, :3] == shown).all()
    assert not picture[:38, :, :3].any()
