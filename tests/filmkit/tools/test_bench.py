"""The benchmark: its workloads, and what it prints."""

from __future__ import annotations

import json

import pytest

from filmkit.core.heatmap import Heatmap
from filmkit.tools import bench


def test_the_workloads_have_the_documented_shapes() -> None:
    shapes = {name: [values.shape for values, *_ in bench.panels(name)] for name in bench.METHODS}
    assert len(shapes["stack"]) == 60
    assert shapes["sheets"] == [(9, 64)] * 3
    assert shapes["wall"] == [(12, 12)] * 270


@pytest.mark.parametrize("method", ["ours", "stock", "squares"])
def test_every_method_draws_a_panel_of_the_same_size(method: str) -> None:
    values, center, size = bench.panels("sheets")[0]
    draw_panel = {"ours": bench.ours, "stock": bench.stock, "squares": bench.squares}[method]
    panel = draw_panel(values, size).move_to(center)
    assert (panel.width, panel.height) == pytest.approx(size)
    if isinstance(panel, Heatmap):
        assert panel.shape == values.shape


def test_it_prints_medians_as_json_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"floor": 2.0, "ours": 3.0, "stock": 32.0, "squares": 42.0}
    monkeypatch.setattr(bench, "measure", lambda workload, method, runs: seconds[method])
    bench.main(["--runs", "1"])
    out = capsys.readouterr().out
    results = json.loads(out.splitlines()[-1])
    assert results["sheets"] == {"floor_s": 2.0, "stock_s": 32.0, "squares_s": 42.0, "ours_s": 3.0}
    assert set(results["wall"]) == {"floor_s", "stock_s", "ours_s"}
    # Stock takes 30 seconds beyond the floor and ours takes one.
    assert "30.0" in out
