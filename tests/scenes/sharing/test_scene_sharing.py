"""The scene about shared keys and values: what the dial does; all numbers are explained."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from manim import tempconfig

from extract.architectures import DENSE_7B
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.heatmap import Heatmap
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage
from scenes.sharing.scene_sharing import Sharing
from tests.extract.test_sharing import from_pooled_weights
from tests.support.figures import all_texts
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

CASES = {
    "grouped": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "every head its own": {"n_heads": 12, "d_head": 64, "biases": True},
    "one for all": {"n_heads": 8, "n_kv_heads": 1, "d_head": 64, "positions": "rotary"},
    "no equal groups": {"n_heads": 7, "d_head": 16},
    "two heads": {"n_heads": 2, "n_tokens": 2, "d_head": 32, "has_bos": False},
    "four tokens": {"n_heads": 4, "n_tokens": 4, "d_head": 16, "positions": "rotary"},
}
STOPS = {
    "grouped": [9, 3, 1],
    "every head its own": [12, 4, 1],
    "one for all": [8, 1],
    "no equal groups": [7, 1],
    "two heads": [2, 1],
    "four tokens": [4, 2, 1],
}
SETTINGS = ("a_set_for_every_head", "a_set_for_each_group", "one_set_for_all")


@pytest.mark.parametrize("case", ["no equal groups", "two heads", "four tokens"])
def test_unusual_shapes_can_be_read(case: str) -> None:
    pictures = play(Sharing, make_trace(**CASES[case]))
    assert [line for p in pictures for line in complaints(p)] == []


def run(trace: Trace, look: Callable[[BeatRecord, Sharing], None]) -> None:
    """Run the scene without drawing, and call ``look`` after each beat."""
    size = {"pixel_width": 1920, "pixel_height": 1080, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, Sharing)
        look(record, stage)

    with tempconfig(quiet | size | {"frame_height": 8.0}):
        Sharing(trace, on_beat_end=note).render()


def drawn(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return the prompt's rows without the beginning token."""
    return values[int(trace.meta.has_bos) : trace.meta.n_prompt]


def square(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return rows and columns of the prompt without the beginning token."""
    return drawn(trace, drawn(trace, values).T).T


def close(panel: Heatmap, values: np.ndarray) -> None:
    np.testing.assert_allclose(panel.values, values, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_every_stop_shows_the_reference_arithmetic(case: str) -> None:
    trace = make_trace(**CASES[case])
    heads, own = trace.meta.n_heads, trace.meta.n_kv_heads
    seen = []

    def look(record: BeatRecord, stage: Sharing) -> None:
        if record.name not in SETTINGS:
            return
        count = stage.stops[stage.at].count
        seen.append(count)
        assert stage.bar.figure.text == f"{count * 2 * trace.meta.d_qk:,}"
        assert stage.bar.pieces.width == pytest.approx(
            stage.bar.full.width * count / heads, abs=0.01
        )
        shown = [pair["k"] for pair in stage.sets.blocks if presence(pair["k"].edges)]
        assert len(shown) == count
        filled = [block for block in shown if presence(block.front)]
        if count > own:
            assert filled == []
            assert not any(cells.shown.any() for cells in stage.patterns.cells)
            return
        assert len(filled) == count
        layer = from_pooled_weights(trace, count)
        for head, cells in enumerate(stage.patterns.cells):
            close(cells, square(trace, layer.pattern[head]))
            assert cells.shown.all()
            for name, values in (("k", layer.k), ("v", layer.v)):
                block = stage.sets.blocks[head][name]
                close(block.front, drawn(trace, values)[:, head * count // heads])
            assert (cells.source.tensor is None) is (count < own)

    run(trace, look)
    assert seen == STOPS[case]


@pytest.mark.parametrize("case", CASES)
def test_heads_that_share_stand_in_one_place_and_have_one_colour(case: str) -> None:
    trace = make_trace(**CASES[case])

    def look(record: BeatRecord, stage: Sharing) -> None:
        if record.name not in SETTINGS:
            return
        stop = stage.stops[stage.at]
        places: dict[int, set[object]] = {}
        for head, pair in enumerate(stage.sets.blocks):
            place = round(pair["k"].visible_range.shift[2], 6)
            assert place == round(pair["v"].visible_range.shift[2], 6)
            colour = stage.patterns.frames[head].get_stroke_color().to_hex()
            assert colour == pair["k"].edges.get_stroke_color().to_hex()
            places.setdefault(stop.set_of(head), set()).add((place, colour))
        assert all(len(place) == 1 for place in places.values())
        assert len({place for (place,) in places.values()}) == stop.count

    run(trace, look)


def test_dial_and_patterns_never_disagree() -> None:
    """After each animation the patterns are those of the stop at which the dial stands."""
    trace = make_trace(**CASES["grouped"])
    seen: list[int] = []

    class Watched(Sharing):
        def play(self, *animations: Any, **kwargs: Any) -> None:
            super().play(*animations, **kwargs)
            shown = [cells for cells in self.patterns.cells if cells.shown.any()]
            if self.dial not in self.mobjects or not shown or self.at == len(self.stops):
                return
            places = np.array(self.dial.places)
            stop = int(np.abs(places - self.dial.knob.get_center()).sum(axis=1).argmin())
            for head, cells in enumerate(self.patterns.cells):
                np.testing.assert_array_equal(cells.values, self.stops[stop].pattern(head)[0])
            seen.append(stop)

    Watched.rehearse(trace)
    assert [stop for stop, _same in groupby(seen)] == [1, 2, 1, 2]


def test_a_model_with_one_set_has_no_mean_to_compare_with() -> None:
    beats = Sharing.beat_names(make_trace(**CASES["one for all"]))
    assert beats == ("a_set_for_every_head", "one_set_for_all", "what_it_costs")
    assert "attention_moves" in Sharing.beat_names(make_trace(**CASES["grouped"]))


def test_the_scores_are_those_of_the_report_and_their_source_is_named() -> None:
    last: list[Sharing] = []
    trace = make_trace(**CASES["grouped"])
    run(trace, lambda record, stage: last.append(stage))
    quality = last[-1].quality
    np.testing.assert_allclose(quality.means, [42.15, 38.225, 33.925])
    heights = [dot.get_y() for dot in quality.average[-3:]]
    assert heights == sorted(heights, reverse=True)
    assert "published" in last[-1].provenance_notes()[0]
    assert any(DENSE_7B.source in text for text in all_texts(play(Sharing, trace)[-1]))
