"""The scene of all patterns, run without drawing, and its pixels compared with the trace."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from extract.attention.patterns import first_token_weight
from extract.facts.published import PUBLISHED
from extract.trace import ModelSource, Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.norm import Norm
from filmkit.core.quantities import PanelCheck
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, StageError
from filmkit.render.manim_config import changed_config
from filmkit.world.published import LARGE
from scenes.patterns.parts import STEP, Plain, Wall, prompt_patterns
from scenes.patterns.scene_patterns import DIM, Patterns
from scenes.registry import SCENES
from tests.support.figures import all_texts
from tests.support.staging import HEIGHT, WIDTH, BeatPicture, play
from tests.support.traces import make_trace, replaced


def shown(pictures: list[BeatPicture], name: str) -> BeatPicture:
    return next(p for p in pictures if p.record.name == name)


def run(trace: Trace, look: Callable[[str, Patterns], None]) -> None:
    """Run the scene without drawing, and call ``look`` after each beat."""

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, Patterns)
        look(record.name, stage)

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    size = {"pixel_width": WIDTH, "pixel_height": HEIGHT, "frame_width": 8.0 * WIDTH / HEIGHT}
    with changed_config(quiet | size | {"frame_height": 8.0}):
        Patterns(trace, on_beat_end=note).render()


# Heads with a habit


def with_patterns(trace: Trace, places: dict[tuple[int, int], np.ndarray]) -> Trace:
    """Return the trace with the patterns of some heads replaced."""
    tensors = {}
    for (layer, head), pattern in places.items():
        key = trace.tensor_name("pattern", layer)
        tensors.setdefault(key, trace[key].copy())[head] = pattern
    return replaced(trace, tensors)


def habits(trace: Trace, resting: list[tuple[int, int]]) -> Trace:
    """Return a trace in which one head looks one word back, and some rest on the first token."""
    count = len(trace.meta.tokens)
    itself, first = np.eye(count), np.eye(count)[:1]
    back = 0.9 * np.eye(count, k=-1) + 0.1 * itself
    back[0] = itself[0]
    rest = 0.9975 * first + 0.0025 * itself
    return with_patterns(trace, {(0, 2): back} | dict.fromkeys(resting, rest))


def test_the_heads_that_rest_on_the_first_token_are_lit_and_counted() -> None:
    trace = habits(make_trace(n_layers=3, n_heads=4), [(2, 1), (1, 3), (1, 0)])
    rests = first_token_weight(prompt_patterns(trace)) > 0.5
    seen = []

    def look(beat: str, stage: Patterns) -> None:
        if beat != "a_place_to_rest":
            return
        count = stage.layer.count
        for (layer, head), lit in np.ndenumerate(rests):
            pane, top = stage.wall[layer], round(head * STEP / stage.wall.cell)
            cells = pane.cells.shown[top : top + count, :count]
            np.testing.assert_allclose(cells, np.tri(count) * (1.0 if lit else DIM))
        seen.append(beat)

    run(trace, look)
    assert seen
    picture = play(Patterns, trace, until="a_place_to_rest")[-1]
    assert f"{rests.sum()} of 12" in all_texts(picture)
    assert not any("not drawn" in item.text for item in picture.texts)


def test_the_question_has_wrong_answers_where_there_are_many_resting_heads() -> None:
    few = habits(make_trace(n_layers=3, n_heads=4), [(2, 1)])
    everywhere = [
        (layer, head) for layer in range(3) for head in range(4) if (layer, head) != (0, 2)
    ]
    for trace, several in ((few, False), (habits(few, everywhere), True)):
        pictures = play(Patterns, trace)
        resting = int((first_token_weight(prompt_patterns(trace)) > 0.5).sum())
        said = shown(pictures, "ask_a_place_to_rest").record.narration
        assert said.endswith(f"{resting // 8}, {resting // 2} or {resting}?") is several
        assert shown(pictures, "a_place_to_rest").record.narration.endswith(f"{resting} of 12.")


# GPT-2 beside the model


def test_gpt2_stands_beside_the_model_on_this_prompt_only() -> None:
    gpt2 = replaced(
        make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768),
        source=ModelSource("hub", "gpt2"),
    )
    assert "the_same_words" in Patterns.beat_names(make_trace())
    for other in (make_trace(n_tokens=8), gpt2, Trace.load(PUBLISHED)):
        assert "the_same_words" not in Patterns.beat_names(other)


def test_both_walls_stand_there_and_say_of_which_model_they_are() -> None:
    trace = make_trace(n_layers=3)
    picture = play(Patterns, trace, until="the_same_words")[-1]
    assert any("GPT-2 small, published values" in item.text for item in picture.texts)
    models = [panel.heatmap.source.model for panel in picture.panels]
    assert (models.count(""), models.count("GPT-2 small")) == (3, 12)
    resting = (first_token_weight(prompt_patterns(Trace.load(PUBLISHED))) > 0.5).sum()
    assert f"{resting} of 144" in all_texts(picture)


def test_the_users_own_gpt2_replaces_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own = make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768)
    own = replaced(own, {}, source=ModelSource("hub", "gpt2"))
    monkeypatch.setattr("scenes.patterns.scene_patterns.gpt2_trace", lambda: own)
    picture = play(Patterns, make_trace(), until="the_same_words")[-1]
    resting = (first_token_weight(prompt_patterns(own)) > 0.5).sum()
    assert f"{resting} of 144" in all_texts(picture)
    assert not any("published" in item.text for item in picture.texts)


@pytest.mark.parametrize(
    "entry", [e for e in SCENES if e.load().tensors], ids=lambda entry: entry.slug
)
def test_scenes_that_show_more_refuse_them_in_one_line(entry: SceneEntry) -> None:
    trace = Trace.load(PUBLISHED)
    if entry.load().tensors == ("pattern",):
        assert entry.load().beat_names(trace)
        return
    with pytest.raises(StageError) as error:
        entry.load()(trace)
    assert str(error.value).endswith(trace.command)
    assert "\n" not in str(error.value)


# The wall, and the plain


@pytest.mark.parametrize("upright", [False, True], ids=["wide", "tall"])
def test_a_wall_shows_each_pattern_in_its_place(upright: bool) -> None:
    trace = make_trace(n_layers=7, n_heads=3, n_tokens=10)
    wall = Wall(Patterns(trace).layer, upright=upright)
    count = 11  # with the beginning token
    check = PanelCheck(trace)
    assert [check.untrue(pane.cells) for pane in wall] == [""] * 7
    for layer, head in ((0, 0), (6, 2), (3, 1)):
        cells, start = wall[layer].cells, round(head * STEP / wall.cell)
        part = (slice(0, count), slice(start, start + count))
        part = part if upright else part[::-1]
        np.testing.assert_array_equal(
            cells.values[part], trace[f"pattern.{layer}"][head, :count, :count]
        )
        assert (cells.shown[part] == np.tri(count)).all()
    # The future and the gaps are not there.
    assert sum(pane.cells.shown.sum() for pane in wall) == 7 * 3 * 66
    first, last = (wall.tile(layer, 0).mean(axis=0) for layer in (0, 6))
    assert (last - first)[1 if upright else 0] == pytest.approx(6 * STEP)
    side = np.linalg.norm(np.diff(wall.tile(2, 1), axis=0), axis=1)
    np.testing.assert_allclose(side, side[0])


def test_a_plain_has_as_many_patterns_as_the_large_model() -> None:
    trace = make_trace(n_layers=5, n_heads=4, n_tokens=10)
    layer = Patterns(trace).layer
    plain = Plain(layer, (LARGE.n_layers, LARGE.n_heads), near=0.0)
    check = PanelCheck(trace)
    assert {check.untrue(strip) for strip in plain} == {""}
    rows = [dict(strip.source.given)["rows"] for strip in plain]
    assert sum(stop - start for start, stop in rows) == LARGE.n_layers
    assert [stop for _start, stop in rows[:-1]] == [start for start, _stop in rows[1:]]
    # The patterns of all heads in turn, and then again.
    first = plain[0].values
    step = first.shape[1] // LARGE.n_heads
    flat = prompt_patterns(trace).reshape(20, 11, 11)
    for number in (0, 7, 19, 20, 127):
        tile = first[:11, number * step : number * step + 11]
        np.testing.assert_array_equal(tile, flat[number % 20])


def test_the_large_model_is_a_figure_and_says_whose_patterns_are_drawn() -> None:
    trace = make_trace(n_layers=5)
    last = play(Patterns, trace)[-1]
    assert "7,808 patterns" in all_texts(last)
    assert any("its 20 patterns, repeated" in item.text for item in last.texts)
    # The pattern that the scene began with stands upright.
    tensors = [panel.heatmap.source.tensor for panel in last.panels]
    assert f"pattern.{trace.meta.featured.layer}" in tensors


# Pixels


def test_pixels_of_the_wall_are_the_trace() -> None:
    trace = make_trace(n_layers=7, n_heads=5, n_tokens=9, seed=4)
    colours = Norm.unit().colours(prompt_patterns(trace))
    checked = []

    def look(beat: str, stage: Patterns) -> None:
        if beat != "one_of_many":
            return
        picture = stage.snapshot()
        height, width = picture.shape[:2]
        places = np.random.default_rng(0).integers(0, [7, 5, 10, 10], (400, 4))
        for layer, head, query, key in places.tolist():
            if key > query:
                continue
            cells = stage.wall[layer].cells
            down = round(head * STEP / stage.wall.cell) + query + 0.5
            x, y = stage.camera.pixels(cells, cells.at(down, key + 0.5)[None])[0]
            if not (0 < x < width and 0 < y < height):
                continue
            expected = colours[layer, head, query, key]
            np.testing.assert_allclose(picture[int(y), int(x), :3].astype(int), expected, atol=3)
            checked.append(expected)

    run(trace, look)
    assert len(checked) > 50
    assert np.ptp(checked) > 100
