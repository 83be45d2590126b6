"""The scene of all patterns, run without drawing, and its pixels compared with the trace."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from extract.attention.patterns import first_token_weight, strongest_head
from extract.facts.published import PUBLISHED
from extract.trace import ModelSource, Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.norm import Norm
from filmkit.core.numbers import format_large_share
from filmkit.core.quantities import PanelCheck
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, StageError
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import changed_config
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, quality_of
from filmkit.world.published import LARGE
from scenes.patterns.parts import Field, Wall, Zoom, close_shot, from_the_side, prompt_patterns
from scenes.patterns.scene_patterns import DIM, Patterns
from scenes.registry import SCENES
from tests.support.figures import all_texts
from tests.support.staging import HEIGHT, WIDTH, BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

WIDE, TALL = Frame(128 / 9), Frame(8.0, 128 / 9)
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


def run(
    trace: Trace, look: Callable[[str, Patterns], None], settings: StageSettings | None = None
) -> None:
    """Run the scene without drawing, and call ``look`` after each beat."""

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, Patterns)
        look(record.name, stage)

    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    size = {"pixel_width": WIDTH, "pixel_height": HEIGHT, "frame_width": 8.0 * WIDTH / HEIGHT}
    with changed_config(quiet | size | {"frame_height": 8.0}):
        Patterns(trace, settings, on_beat_end=note).render()


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


@pytest.mark.parametrize("has_bos", [True, False], ids=["beginning token", "no beginning token"])
def test_the_head_that_looks_one_word_back_is_found_and_told_with_its_figure(has_bos: bool) -> None:
    trace = habits(make_trace(n_layers=3, n_heads=4, has_bos=has_bos), [(2, 1)])
    picture = play(Patterns, trace, until="one_word_back")[-1]
    assert any(text.startswith("90% of this head") for text in all_texts(picture))
    assert any("layer 0, head 2" in text for text in all_texts(picture))
    (panel,) = picture.panels
    drawn = slice(int(has_bos), trace.meta.n_prompt)
    np.testing.assert_allclose(panel.heatmap.values, trace["pattern.0"][2, drawn, drawn])


@pytest.mark.parametrize("first_token", [False, True], ids=["hidden", "shown"])
def test_the_heads_that_rest_on_the_first_token_are_lit_and_counted(first_token: bool) -> None:
    trace = habits(make_trace(n_layers=3, n_heads=4), [(2, 1), (1, 3), (1, 0)])
    rests = first_token_weight(prompt_patterns(trace)) > 0.5
    settings = StageSettings(show_first_token=first_token)
    seen = []

    def look(beat: str, stage: Patterns) -> None:
        if beat != "a_place_to_rest":
            return
        wall = stage.wall
        for (layer, head), lit in np.ndenumerate(rests):
            rows, columns = wall.cut(layer, head, whole=True)
            cells = np.s_[slice(*rows), slice(*columns)]
            there = wall.masked[cells] == 0
            assert (wall.shown[cells] == there * (1.0 if lit else DIM)).all()
            # The first column is that of the first token.
            first = trace.get("pattern", layer)[head, stage.layer.first : trace.meta.n_prompt, 0]
            np.testing.assert_allclose(wall.values[cells][:, 0], first)
        count = f"{rests.sum()} of 12"
        assert "".join(line.text for line in stage.resting.figure) == count
        # Its column is drawn here.
        assert stage.provenance_notes()[1] == ""
        seen.append(beat)

    run(trace, look, settings)
    assert seen
    hidden = play(Patterns, trace)[-1]
    assert any("is not drawn" in item.text for item in hidden.texts)


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
        assert shown(pictures, "a_place_to_rest").record.narration.startswith(f"{resting} give")


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
def test_each_habit_stands_there_from_both_models(first_token: bool) -> None:
    trace, gpt2 = make_trace(n_layers=3), Trace.load(PUBLISHED)
    settings = StageSettings(show_first_token=first_token)
    picture = play(Patterns, trace, settings, until="the_same_words")[-1]
    assert any("GPT-2 small, published values" in item.text for item in picture.texts)
    panels = {(p.heatmap.source.tensor, p.heatmap.label): p.heatmap for p in picture.panels}
    assert len(panels) == 4
    for of, model in ((trace, trace.meta.model.split("-")[0]), (gpt2, "GPT-2 small")):
        for habit in ("previous", "sink"):
            find = strongest_head(prompt_patterns(of), habit)
            panel = panels[of.tensor_name("pattern", find.layer), model]
            rows = slice(int(not first_token), of.meta.n_prompt)
            whole = of.get("pattern", find.layer)[find.head]
            np.testing.assert_allclose(panel.values, whole[rows, : of.meta.n_prompt])


def test_the_users_own_gpt2_replaces_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own = make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768)
    back = np.eye(10, k=-1, dtype=np.float32)
    back[0, 0] = 1
    pattern = own["pattern.6"].copy()
    pattern[2] = back
    own = replaced(own, {"pattern.6": pattern}, source=ModelSource("hub", "gpt2"))
    monkeypatch.setattr("scenes.patterns.scene_patterns.gpt2_trace", lambda: own)
    picture = play(Patterns, make_trace(), until="the_same_words")[-1]
    assert "pattern.6" in [panel.heatmap.source.tensor for panel in picture.panels]
    assert not any("published" in item.text for item in picture.texts)


def test_the_published_patterns_make_a_film_of_their_own() -> None:
    pictures = play(Patterns, Trace.load(PUBLISHED))
    assert [line for p in pictures for line in complaints(p)] == []
    assert "published values, within 0.0025" in " ".join(t.text for t in pictures[0].texts)
    back = shown(pictures, "one_word_back")
    assert any(item.text.startswith("100% of this head") for item in back.texts)


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


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0421, "4.2%"), (0.72, "72%"), (0.9949, "99%"), (0.9998, "over 99.9%"), (1.0, "100%")],
)
def test_a_share_is_not_rounded_up_to_all(share: float, text: str) -> None:
    assert format_large_share(share) == text


# The wall


def wall_of(trace: Trace, frame: Frame = WIDE) -> Wall:
    return Wall(Patterns(trace).layer, frame, frame.free)


@pytest.mark.parametrize("frame", [WIDE, TALL], ids=["wide", "tall"])
def test_a_wall_shows_each_pattern_in_its_place(frame: Frame) -> None:
    trace = make_trace(n_layers=7, n_heads=3, n_tokens=10)
    wall = wall_of(trace, frame)
    assert PanelCheck(trace).untrue(wall) == ""
    for layer, head in ((0, 0), (6, 2), (3, 1)):
        rows, columns = wall.cut(layer, head)
        cells = np.s_[slice(*rows), slice(*columns)]
        np.testing.assert_array_equal(
            wall.values[cells], trace[f"pattern.{layer}"][head, 1:11, 1:11]
        )
        assert (wall.masked[cells] == np.triu(np.ones((10, 10)), k=1)).all()
        assert (wall.shown[cells] == np.tri(10)).all()
        box = wall.tile(layer, head)
        assert box.width == pytest.approx(box.height)
    assert wall.shown.sum() == 7 * 3 * 55
    first, last = wall.tile(0, 0), wall.tile(6, 0)
    assert (last.y < first.y, last.x > first.x) == ((True, False) if frame.tall else (False, True))


def test_the_wave_starts_at_its_head() -> None:
    wall = wall_of(make_trace(n_layers=3, n_heads=4, n_tokens=10))
    near, far = wall.cut(0, 2), wall.cut(2, 0)
    wave = wall.wave_from(0, 2)
    wave.begin()
    assert wall.shown.max() == 0
    wave.step(0.3)
    assert wall.shown[slice(*near[0]), slice(*near[1])][np.tri(10) > 0].min() > 0
    assert wall.shown[slice(*far[0]), slice(*far[1])].max() == 0
    wave.finish()
    np.testing.assert_array_equal(wall.shown, wall.there)


def test_a_field_repeats_the_wall_around_one_pattern() -> None:
    trace = make_trace(n_layers=5, n_heads=4, n_tokens=10)
    wall = wall_of(trace)
    field = Field(wall, (LARGE.n_layers, LARGE.n_heads), (3, 1), (52, 64))
    assert field.shape == (61, 128)
    # No number is behind it.
    assert not field.shown.any()
    high, wide = wall.step
    cells = field.texture().cells
    assert cells.shape[:2] == (61 * high, 128 * wide)
    row, column = 52 * high, 64 * wide
    tile = cells[row : row + high, column : column + wide]
    for down, across in ((4, 0), (0, 5), (-4, 10)):
        other = cells[row + down * high :, column + across * wide :][:high, :wide]
        np.testing.assert_array_equal(other, tile)
    # Far away all are one light.
    assert (np.ptp(cells[:high], axis=(0, 1)) <= 1).all()
    # The one at home lies exactly over that of the wall.
    place = field.block((52, 53), (64, 65))
    assert (place.left, place.top) == pytest.approx(
        (wall.block(*wall.cut(3, 1, whole=True)).left, wall.tile(3, 1).top)
    )


def test_the_large_model_is_a_figure_and_a_field_without_numbers() -> None:
    trace = make_trace(n_layers=5)
    last = play(Patterns, trace)[-1]
    texts = " ".join(item.text for item in last.texts)
    assert "7,808 patterns" in texts
    assert "61 layers × 128 heads" in texts
    (panel,) = last.panels
    # The pattern that the scene began with.
    assert panel.heatmap.source.tensor == f"pattern.{trace.meta.featured.layer}"


# The camera


def test_a_zoom_keeps_what_both_shots_show_on_a_straight_way() -> None:
    box, target = Box(3.0, 1.0, 0.4, 0.4), Box(-2.0, -0.5, 5.0, 5.0)

    class Camera:
        shot = Shot(height=8.0)

    zoom = Zoom(Camera(), close_shot(box, target, WIDE))  # type: ignore[arg-type]
    zoom.begin()
    seen = []
    for alpha in (0.0, 0.3, 0.6, 1.0):
        zoom.step(alpha)
        seen.append(zoom.camera.shot.project(np.array([box.center]), 8.0)[0])
    np.testing.assert_allclose(seen[-1][:2], target.center[:2], atol=1e-6)
    ways = np.diff([point[:2] for point in seen], axis=0)
    directions = ways / np.linalg.norm(ways, axis=1)[:, None]
    np.testing.assert_allclose(directions, directions[[0]].repeat(3, axis=0), atol=1e-6)


@pytest.mark.parametrize("turned", [{"theta": 50.0, "phi": -8.0}, {"phi": -38.0}])
def test_what_is_seen_from_the_side_ends_below_the_words(turned: dict) -> None:
    wall = wall_of(make_trace(n_layers=30, n_heads=9, d_head=4))
    room = Box.of(-7.0, 7.0, -4.0, 2.0)
    shot = from_the_side(wall.corners, room, WIDE, away=0.75, **turned)
    seen = shot.project(wall.corners, 8.0)
    assert seen[:, 1].max() == pytest.approx(2.0, abs=0.02)
    assert np.ptp(seen[:, 0]) <= 14.01


# Pixels


def test_pixels_of_the_wall_are_the_trace() -> None:
    trace = make_trace(n_layers=7, n_heads=5, n_tokens=9, seed=4)
    colours = Norm.unit().colours(prompt_patterns(trace)[:, :, 1:, 1:])
    checked = []

    def look(beat: str, stage: Patterns) -> None:
        if beat != "one_of_many":
            return
        picture = stage.snapshot()
        places = np.random.default_rng(0).integers(0, [7, 5, 9, 9], (400, 4))
        for layer, head, query, key in places.tolist():
            if (layer, head) == stage.featured or key > query:
                continue
            rows, columns = stage.wall.cut(layer, head)
            point = stage.wall.at(rows[0] + query + 0.5, columns[0] + key + 0.5)
            x, y = stage.camera.pixels(stage.wall, point[None])[0]
            expected = colours[layer, head, query, key]
            np.testing.assert_allclose(picture[int(y), int(x), :3].astype(int), expected, atol=3)
            checked.append(expected)

    run(trace, look)
    assert len(checked) > 100
    assert np.ptp(checked) > 100
