"""The benchmark: its workloads, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from manim import Camera, Mobject, ThreeDCamera, tempconfig

from filmkit.core.camera import StageCamera
from filmkit.render.quality import Quality
from filmkit.tools import bench
from tests.support.occlusion import COLUMNS, ROWS, everywhere_the_same

SIZE = {
    "pixel_width": COLUMNS,
    "pixel_height": ROWS,
    "frame_height": 8.0,
    "frame_width": 8.0 * COLUMNS / ROWS,
}


def test_the_workloads_have_the_documented_shapes() -> None:
    shapes = {name: [values.shape for values, *_ in bench.panels(name)] for name in bench.METHODS}
    assert len(shapes["stack"]) == 60
    assert shapes["sheets"] == [(9, 64)] * 3
    assert shapes["wall"] == [(12, 12)] * 270
    assert shapes["room"] == [(9, 9)] * 9 + [(9, 64)] * 18


def drawn(method: Callable[..., Mobject], camera: type[Camera]) -> np.ndarray:
    """Return the picture of a small panel as a method of the benchmark draws it."""
    values = np.linspace(-2, 2, 15).reshape(3, 5)
    with tempconfig(SIZE):
        eye = camera()
        eye.capture_mobjects([method(values, (8.0, 6.0)).move_to([1.0, 0.5, 0.0])])
        return eye.pixel_array[..., :3].astype(int)


@pytest.mark.parametrize("method", [bench.stock, bench.squares])
def test_every_way_draws_the_same_panel(method: Callable[..., Mobject]) -> None:
    ours, other = drawn(bench.ours, StageCamera), drawn(method, ThreeDCamera)
    # Only where two cells meet, and at the edge, may a pixel be a mixture.
    inside = everywhere_the_same(ours @ [1, 1000, 1000_000])
    assert inside.mean() > 0.7
    assert len(np.unique(ours[inside], axis=0)) == 16  # the cells and the background
    assert np.abs(ours - other)[inside].max() <= 2


@pytest.mark.parametrize("workload", ["stack", "wall"])
def test_films_are_small_and_as_exact_as_common_ones(workload: str) -> None:
    frames = bench.frames_of(workload, Quality(640, 360, 30))
    film, master, common = (
        bench.encode(frames, encoding, 30) for encoding in bench.ENCODERS.values()
    )
    assert len(frames) == bench.FRAMES
    assert film["megabytes_a_minute"] < 0.45 * master["megabytes_a_minute"]
    assert film["megabytes_a_minute"] < common["megabytes_a_minute"]
    assert film["luma_dB"] > common["luma_dB"] - 0.1
    assert master["luma_dB"] > film["luma_dB"] + 4


def test_it_prints_medians_as_json_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"floor": 2.0, "ours": 3.0, "stock": 32.0, "squares": 42.0, "lit": 4.0}
    monkeypatch.setattr(bench, "measure", lambda workload, method, runs: seconds[method])
    bench.main(["--runs", "1"])
    out = capsys.readouterr().out
    results = json.loads(out.splitlines()[-1])
    assert results["sheets"] == {"floor_s": 2.0, "stock_s": 32.0, "squares_s": 42.0, "ours_s": 3.0}
    assert set(results["wall"]) == {"floor_s", "stock_s", "ours_s"}
    assert results["room"]["lit_s"] == 4.0
    # Stock takes 30 seconds beyond the floor and ours takes one.
    assert "30.0" in out


def test_it_prints_what_a_second_of_film_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = iter(range(1, 13))

    def film(scene: str, frame_rate: int) -> dict[str, float]:
        return {"clock": next(made) / 10, "processors": 1.75}

    monkeypatch.setattr(bench, "make_film", film)
    bench.main(["--films", "--runs", "3"])
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert results[bench.FILMS[0]]["60"] == {"clock": 0.5, "processors": 1.75}
    assert results[bench.FILMS[1]]["30"]["clock"] == 0.8


@pytest.mark.slow
def test_a_film_takes_time_by_both_clocks() -> None:
    assert min(bench.make_film("scene_question", 1).values()) > 0
