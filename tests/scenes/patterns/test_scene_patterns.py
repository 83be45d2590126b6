"""The scene of all patterns, run without drawing, and its pixels compared with the trace."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from manim import tempconfig

from extract.patterns import first_token_weight, strongest_head
from extract.published import PUBLISHED
from extract.trace import ModelSource, Trace
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.numbers import format_large_share
from filmkit.core.quantities import PanelCheck
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, StageError
from filmkit.core.theme import DARK
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, quality_of
from scenes.patterns.layout import field_layout, wall_layout
from scenes.patterns.scene_patterns import LARGE, Patterns
from scenes.patterns.wall import (
    HeadCloseup,
    PatternPlaces,
    PatternWall,
    WallTitle,
    prompt_patterns,
)
from scenes.registry import SCENES
from tests.support.staging import HEIGHT, WIDTH, BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

TITLE = WallTitle("some patterns", room=8.0)
LONG = ["antidisestablis", " a"] * 12
UNUSUAL = {
    "one head in all": {"n_layers": 1, "n_heads": 1, "n_tokens": 2, "has_bos": False},
    "a tower": {"n_layers": 48, "n_heads": 1, "n_tokens": 4},
    "twenty tokens": {"n_layers": 6, "n_tokens": 20, "has_bos": False},
    "24 long tokens, all heads": {
        "n_layers": 48,
        "n_heads": 32,
        "n_tokens": 24,
        "d_head": 2,
        "words": LONG,
        "positions": "rotary",
    },
}


def shown(pictures: list[BeatPicture], name: str) -> BeatPicture:
    return next(p for p in pictures if p.record.name == name)


@pytest.mark.parametrize("first_token", [False, True], ids=["hidden", "shown"])
@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_shapes_can_be_read(case: dict, first_token: bool) -> None:
    pictures = play(Patterns, make_trace(**case), StageSettings(show_first_token=first_token))
    assert [line for p in pictures for line in complaints(p)] == []


@pytest.mark.parametrize(
    "aspect",
    [DEFAULT_ASPECT, *(pytest.param(a, marks=pytest.mark.slow) for a in ASPECTS if a != "16:9")],
)
def test_many_short_words_fit_pictures_of_every_shape(aspect: str) -> None:
    trace = make_trace(n_tokens=24, n_layers=5, words="abcdefghijklmnopqrstuvwx")
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    pictures = play(Patterns, trace, **size)
    assert [line for p in pictures for line in complaints(p, **size)] == []


def test_a_wall_whose_layers_go_down_shows_each_pattern_as_it_is() -> None:
    trace = make_trace(n_layers=7, n_heads=3, n_tokens=10)
    layout = wall_layout(Frame(8.0, 128 / 9), layers=7, heads=3, count=10)
    wall = PatternWall(Patterns(trace).layer, layout, TITLE)
    layer, head, step = 6, 2, 11
    assert layout.grid_position(layer, head) == (6, 2)
    cells = wall.cells.values[layer * step :, head * step :][:10, :10]
    np.testing.assert_array_equal(cells, wall.patterns[layer, head])


def with_patterns(trace: Trace, places: dict[tuple[int, int], np.ndarray]) -> Trace:
    """Return the trace with the patterns of some heads replaced."""
    tensors = {}
    for (layer, head), pattern in places.items():
        key = trace.tensor_name("pattern", layer)
        tensors.setdefault(key, trace[key].copy())[head] = pattern
    return replaced(trace, tensors)


def two_kinds(trace: Trace) -> dict[tuple[int, int], np.ndarray]:
    """Return patterns that look one back and at the first token, by (layer, head)."""
    count = len(trace.meta.tokens)
    itself, first = np.eye(count), np.eye(count)[:1]
    back = 0.9 * np.eye(count, k=-1) + 0.1 * itself
    back[0] = itself[0]
    rest = 0.9975 * first + 0.0025 * itself
    return {(0, 2): back, (2, 1): rest}


@pytest.mark.parametrize("has_bos", [True, False], ids=["beginning token", "no beginning token"])
def test_heads_with_a_habit_are_found_and_told_with_their_figures(has_bos: bool) -> None:
    trace = make_trace(n_layers=3, n_heads=4, has_bos=has_bos)
    trace = with_patterns(trace, two_kinds(trace))
    pictures = play(Patterns, trace)
    expected = {
        "one_word_back": ("layer 0, head 2", "90%"),
        "a_place_to_rest": ("layer 2, head 1", "over 99.7%"),
    }
    for name, (place, figure) in expected.items():
        picture = shown(pictures, name)
        texts = " ".join(item.text for item in picture.texts)
        assert place in texts
        assert figure in texts
    resting = int((first_token_weight(prompt_patterns(trace)) > 0.5).sum())
    assert f"{resting} of 12 heads" in shown(pictures, "a_place_to_rest").record.narration


def test_one_pattern_at_a_time_is_looked_at_with_its_own_words() -> None:
    trace = make_trace(n_layers=3, n_heads=4)
    pictures = play(Patterns, trace)
    patterns, words = prompt_patterns(trace), [token.strip() for token in trace.meta.tokens[1:]]
    for beat, kind in (
        ("one_word_back", "previous"),
        ("a_place_to_rest", "sink"),
    ):
        picture, find = shown(pictures, beat), strongest_head(patterns, kind)
        opaque = [p.heatmap for p in picture.panels if p.opacity > 0.5]
        near = [heatmap for heatmap in opaque if heatmap.source.tensor]
        pattern = next(h for h in near if h.shape[1] > 1)
        assert pattern.source.tensor == trace.tensor_name("pattern", find.layer)
        np.testing.assert_allclose(pattern.values, patterns[find.layer, find.head, 1:, 1:])
        assert len(near) == 1 + (kind == "sink")
        box = next(p.box for p in picture.panels if p.heatmap is pattern)
        beside = [
            item
            for item in picture.texts
            if item.box.right < box.left and box.bottom < item.box.y < box.top
        ]
        beside.sort(key=lambda item: item.box.y)
        assert [item.text for item in beside] == words
        for index, item in enumerate(beside):
            row = box.bottom + box.height * (index + 0.5) / len(words)  # y is counted downwards
            assert abs(item.box.y - row) < box.height / len(words) / 2


def test_the_sink_shows_how_much_goes_to_a_token_that_is_not_drawn() -> None:
    trace = make_trace(n_layers=3, n_heads=4)
    find = strongest_head(prompt_patterns(trace), "sink")
    for show, columns in ((False, 1), (True, 0)):
        pictures = play(Patterns, trace, StageSettings(show_first_token=show))
        picture = shown(pictures, "a_place_to_rest")
        strips = [p.heatmap for p in picture.panels if p.heatmap.shape[1] == 1]
        assert len(strips) == columns
        for strip in strips:
            whole = trace.get("pattern", find.layer)[find.head]
            np.testing.assert_allclose(strip.values, whole[1 : trace.meta.n_prompt, :1])
            pattern = next(
                p.heatmap for p in picture.panels if p.opacity > 0.5 and p.heatmap is not strip
            )
            rows = pattern.values.sum(axis=1) + strip.values[:, 0]
            np.testing.assert_allclose(rows, 1.0, atol=1e-5)
        texts = [item.text for item in picture.texts]
        assert trace.meta.tokens[0] in texts
        assert not any("is not drawn" in text for text in texts)
    # The line comes back with the next beat, where nothing of that token is drawn.
    hidden = play(Patterns, trace)[-1]
    assert any("is not drawn" in item.text for item in hidden.texts)


# GPT-2 beside the model


def test_gpt2_stands_beside_the_model_on_this_prompt_only() -> None:
    gpt2 = replaced(
        make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768),
        source=ModelSource("hub", "gpt2"),
    )
    assert "the_same_words" in Patterns.beat_names(make_trace())
    for other in (make_trace(n_tokens=8), gpt2, Trace.load(PUBLISHED)):
        assert "the_same_words" not in Patterns.beat_names(other)


@pytest.mark.parametrize("first_token", [False, True], ids=["hidden", "shown"])
def test_its_wall_is_the_published_patterns_and_its_claim_is_computed(first_token: bool) -> None:
    settings = StageSettings(show_first_token=first_token)
    picture = shown(play(Patterns, make_trace(n_layers=3), settings), "the_same_words")
    texts = " ".join(item.text for item in picture.texts)
    for part in ("144 patterns", "GPT-2 small: 100%", "layer 4, head 11", "published values"):
        assert part in texts
    for part in ("GPT-2 small", "144 patterns"):
        assert part in picture.record.narration
    (block,) = (p for p in picture.panels if p.heatmap.source.quantity == "wall_of_patterns")
    assert block.heatmap.source.model == "GPT-2 small"


def test_the_users_own_gpt2_replaces_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own = make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768)
    back = np.eye(10, k=-1, dtype=np.float32)
    back[0, 0] = 1
    pattern = own["pattern.6"].copy()
    pattern[2] = back
    own = replaced(own, {"pattern.6": pattern}, source=ModelSource("hub", "gpt2"))
    monkeypatch.setattr("scenes.patterns.scene_patterns.gpt2_trace", lambda: own)
    picture = shown(play(Patterns, make_trace()), "the_same_words")
    texts = [item.text for item in picture.texts]
    assert "layer 6, head 2" in texts
    assert not any("published" in text for text in texts)


def test_the_published_patterns_make_a_film_of_their_own() -> None:
    pictures = play(Patterns, Trace.load(PUBLISHED))
    assert [line for p in pictures for line in complaints(p)] == []
    assert "published values, within 0.0025" in " ".join(t.text for t in pictures[0].texts)
    back = shown(pictures, "one_word_back")
    assert "100%" in {item.text for item in back.texts}


@pytest.mark.parametrize(
    "entry", [e for e in SCENES if e.load().tensors], ids=lambda entry: entry.slug
)
def test_scenes_that_show_more_refuse_them_in_one_line(entry: SceneEntry) -> None:
    trace = Trace.load(PUBLISHED)
    if entry.slug == "scene_patterns":
        assert entry.load().beat_names(trace)
        return
    with pytest.raises(StageError) as error:
        entry.load()(trace)
    assert str(error.value).endswith(trace.command)
    assert "\n" not in str(error.value)


def test_the_large_model_is_figures_and_places_without_numbers() -> None:
    last = play(Patterns, make_trace(n_layers=5))[-1]
    texts = " ".join(item.text for item in last.texts)
    assert "7,808 patterns" in texts
    assert "DeepSeek-R1: 61 layers × 128 heads" in texts
    assert (LARGE.n_layers, LARGE.n_heads) == (61, 128)
    (panel,) = last.panels
    assert panel.heatmap.source.quantity == "wall_of_patterns"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0421, "4.2%"), (0.72, "72%"), (0.9949, "99%"), (0.9998, "over 99.9%"), (1.0, "100%")],
)
def test_a_share_is_not_rounded_up_to_all(share: float, text: str) -> None:
    assert format_large_share(share) == text


# The wall


def all_of(trace: Trace) -> PatternWall:
    stage = Patterns(trace)
    meta = trace.meta
    layout = wall_layout(
        Frame(128 / 9), layers=meta.n_layers, heads=meta.n_heads, count=stage.layer.count
    )
    return PatternWall(stage.layer, layout, TITLE)


def test_a_wall_is_one_image() -> None:
    wall = all_of(make_trace(n_layers=30, n_heads=9, d_head=4))
    assert [m for m in wall.get_family() if isinstance(m, Heatmap)] == [wall.cells]
    assert np.isfinite(wall.cells.values).all()
    assert PanelCheck(wall.view.trace).untrue(wall.cells) == ""


def test_asking_for_the_wave_changes_nothing_until_it_is_played() -> None:
    wall = all_of(make_trace(n_layers=3))
    before = wall.cells.shown.copy()
    wave = wall.wave_from(1, 2)
    np.testing.assert_array_equal(wall.cells.shown, before)
    wave.begin()
    assert wall.cells.shown.max() == 0
    wave.finish()
    np.testing.assert_array_equal(wall.cells.shown, before)


def test_the_wave_starts_at_its_head() -> None:
    wall = all_of(make_trace(n_layers=3, n_heads=4, n_tokens=10))
    wave = wall.wave_from(2, 0)
    wave.begin()
    wave.step(0.3)
    step = 11
    grown = wall.cells.shown
    assert grown[:10, 2 * step : 2 * step + 10].min() > 0
    assert grown[3 * step : 3 * step + 10, :10].max() == 0


def test_a_stop_lies_exactly_over_its_place() -> None:
    wall = all_of(make_trace(n_layers=4, n_heads=12))
    tile = HeadCloseup(wall, 3, 7, Frame(128 / 9)).tile
    rows, columns = (7 * 10, 7 * 10 + 9), (3 * 10, 3 * 10 + 9)  # one free cell between patterns
    place = wall.cells.block(rows, columns)
    assert place.contains(tile.box)
    assert tile.box.contains(place)
    cells = np.s_[slice(*rows), slice(*columns)]
    np.testing.assert_array_equal(wall.cells.values[cells], tile.values)
    np.testing.assert_array_equal(wall.cells.masked[cells], tile.masked)
    assert wall.cells.shown[cells].all()
    assert not wall.cells.shown[rows[0] - 1].any()


def test_places_of_the_large_model_come_from_the_wall_outwards() -> None:
    wall = all_of(make_trace(n_layers=30, n_heads=9, d_head=4))
    layout = field_layout(wall.layout, Frame(128 / 9), layers=61, heads=128, title=8.0, note=4.0)
    places = PatternPlaces(layout, wall.layout)
    assert places.grown.max() == 0
    near, far = places.grow(0.3).grown[9, 0], places.grown[-1, -2]
    assert near > far == 0
    grown = places.grow(1.0).grown
    assert (grown == 1).sum() == 61 * 128 - 30 * 9
    assert not grown[:9, :30].any()


# Pixels


def snapshots(trace: Trace, *names: str) -> Iterator[tuple[str, np.ndarray, Stage]]:
    """Yield name, drawn picture and stage at the end of some beats."""
    taken = []

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name in names:
            taken.append((record.name, stage.snapshot(), stage, stage.camera.shot))

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    size = {"pixel_width": WIDTH, "pixel_height": HEIGHT, "frame_width": 8.0 * WIDTH / HEIGHT}
    with tempconfig(quiet | size | {"frame_height": 8.0}):
        Patterns(trace, on_beat_end=note).render()
    for name, picture, stage, shot in taken:
        stage.camera.shot = shot
        yield name, picture, stage


def test_pixels_of_the_wall_are_the_trace() -> None:
    trace = make_trace(n_layers=7, n_heads=5, n_tokens=9, seed=4)
    patterns = prompt_patterns(trace)[:, :, 1:, 1:]
    colours = Norm.unit().colours(patterns)
    masked = np.array([int(DARK.masked[i : i + 2], 16) for i in (1, 3, 5)])
    ((_, picture, stage),) = snapshots(trace, "one_of_many")
    layout = stage.wall.layout
    checked = 0
    for layer, head, query, key in np.random.default_rng(0).integers(0, [7, 5, 9, 9], (400, 4)):
        tile = layout.tile(layer, head)
        cell = layout.side / 9
        point = [[tile.left + cell * (key + 0.5), tile.top - cell * (query + 0.5), 0.0]]
        x, y = stage.camera.pixels(stage.wall, np.array(point))[0]
        expected = colours[layer, head, query, key] if key <= query else masked
        np.testing.assert_allclose(picture[int(y), int(x), :3].astype(int), expected, atol=3)
        checked += key <= query
    assert checked > 100
    # Between two patterns nothing is drawn.
    between = layout.tile(2, 1)
    edge = [[between.right + (layout.pitch - layout.side) / 2, between.y, 0.0]]
    x, y = stage.camera.pixels(stage.wall, np.array(edge))[0]
    assert (picture[int(y), int(x), :3] == 0).all()


def test_pixels_of_a_pattern_looked_at_are_the_trace() -> None:
    trace = make_trace(n_layers=7, n_heads=5, n_tokens=9, seed=4)
    find = strongest_head(prompt_patterns(trace), "sink")
    whole = trace.get("pattern", find.layer)[find.head, : trace.meta.n_prompt]
    ((_, picture, stage),) = snapshots(trace, "a_place_to_rest")
    closeup = stage.closeups["sink"]
    strip = closeup.hidden[0]
    for query in range(9):
        for heatmap, column, share in (
            (strip, 0, whole[query + 1, 0]),
            *((closeup.tile, key, whole[query + 1, key + 1]) for key in range(query + 1)),
        ):
            x, y = stage.camera.pixels(heatmap, heatmap.at(query + 0.5, column + 0.5)[None])[0]
            np.testing.assert_allclose(
                picture[int(y), int(x), :3].astype(int), Norm.unit().colours([share])[0], atol=3
            )
