"""Contact sheets: one picture of the last frames of all beats of a scene."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from filmkit.core.theme import use_theme
from filmkit.render.jobs import make_stills
from filmkit.render.preview import draw_sheet, make_previews
from filmkit.render.quality import quality_of
from tests.support.filming import render_request
from tests.support.stand_in import BROKEN, MISTAKEN, OTHER, SHAPES
from tests.support.traces import make_trace

CELL = (240, 135)  # size on the sheet of a picture of 320 x 180 pixels


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "made-up.safetensors"
    make_trace().save(path)
    return path


def sheet_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def places(sheet: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """Return the places (x, y) on a sheet where a picture occurs exactly."""
    height, width = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (height, width))
    rows, columns = np.nonzero((windows[..., ::9, ::9] == picture[::9, ::9, 0]).all(axis=(2, 3)))
    return [
        (int(x), int(y))
        for y, x in zip(rows, columns, strict=True)
        if np.array_equal(sheet[y : y + height, x : x + width], picture)
    ]


def test_sheet_shows_how_every_beat_ends(trace_file: Path, tmp_path: Path) -> None:
    request = render_request((SHAPES,), trace_file, tmp_path, jobs=1)
    assert make_previews(request)
    assert [path.name for path in tmp_path.iterdir()] == ["scene_shapes.preview.png"]
    sheet = sheet_of(tmp_path / "scene_shapes.preview.png")
    assert make_stills(request, "all")
    smalls = [
        np.asarray(Image.open(still).resize(CELL, Image.Resampling.LANCZOS, reducing_gap=2.0))
        for still in sorted((tmp_path / "scene_shapes").glob("*.png"))
    ]
    # Nothing moves in the last beat, so its last frame equals that of the beat before.
    first, second, third = smalls
    assert np.array_equal(second, third)
    (left,), rest = places(sheet, first), places(sheet, second)
    assert len(rest) == 2
    in_order = sorted([left, *rest], key=lambda place: (place[1], place[0]))
    assert in_order[0] == left


@pytest.mark.slow
def test_several_scenes_in_several_processes_give_the_same_sheets(
    trace_file: Path, tmp_path: Path
) -> None:
    for jobs in (1, 2):
        assert make_previews(
            render_request((SHAPES, OTHER), trace_file, tmp_path / str(jobs), jobs=jobs)
        )
    for slug in ("scene_shapes", "scene_other"):
        one, two = (tmp_path / jobs / f"{slug}.preview.png" for jobs in ("1", "2"))
        assert one.read_bytes() == two.read_bytes()


def test_error_is_reported_and_the_other_sheets_are_made(
    trace_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for jobs in (1, 2):
        assert not make_previews(
            render_request((MISTAKEN, SHAPES, OTHER), trace_file, tmp_path, jobs=jobs)
        )
        (line,) = capfd.readouterr().err.splitlines()
        assert re.match(
            r"Error: scene_mistaken: stand_in\.py line \d+, in beat rest: "
            r"RuntimeError: a mistake of two lines; mend it there",
            line,
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "scene_other.preview.png",
            "scene_shapes.preview.png",
        ]


def test_cached_pictures_are_not_drawn_again(trace_file: Path, tmp_path: Path) -> None:
    request = render_request((SHAPES,), trace_file, tmp_path, cache=tmp_path / "cache")
    assert make_previews(request)
    cached = {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.png")}
    assert len(cached) == 2, "two of its three beats end with the same picture"
    assert make_previews(request)
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.png")} == cached
    # Another theme gives other pictures.
    assert make_previews(replace(request, settings=replace(request.settings, theme="light")))
    assert len([*(tmp_path / "cache").rglob("*.png")]) == 4


def test_frames_within_a_beat_are_not_drawn(trace_file: Path, tmp_path: Path) -> None:
    """The scene raises an error when frames of its second beat are drawn."""
    assert make_previews(render_request((BROKEN,), trace_file, tmp_path))


@pytest.mark.parametrize("aspect", ["16:9", "9:16", "1:1"])
@pytest.mark.parametrize("name", ["dark", "light"])
@pytest.mark.parametrize("count", [1, 5, 15])
def test_sheet_fits_its_pictures(aspect: str, name: str, count: int) -> None:
    quality = quality_of("draft", aspect)
    beats = [f"a_rather_long_name_of_a_beat_{i}" for i in range(count)]
    with use_theme(name) as theme:
        sheet = draw_sheet(SHAPES, beats, {}, (quality.width, quality.height), theme)
    pixels = np.asarray(sheet, dtype=int)
    paper = np.array([int(theme.background[i : i + 2], 16) for i in (1, 3, 5)])
    inked = np.abs(pixels - paper).max(axis=2) > 8
    edge = 8
    for side in (inked[:edge], inked[-edge:], inked[:, :edge], inked[:, -edge:]):
        assert not side.any()
    # The outlines of empty pictures: two long lines for each beat.
    faint = np.array([int(theme.faint[i : i + 2], 16) for i in (1, 3, 5)])
    rows = (pixels == faint).all(axis=2).sum(axis=1)
    width = round(quality.width * 0.75)
    assert round(rows[rows > width * 0.9].sum() / width) == 2 * count
    if count > 1:
        assert 0.7 < sheet.width / sheet.height < 3
