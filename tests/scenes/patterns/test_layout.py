"""Layouts of the wall of patterns, and the camera's movements over it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.theme import DARK
from scenes.patterns.camera_paths import Fly, Tour, flight
from scenes.patterns.layout import (
    MAX_WORD,
    CloseupLayout,
    WallLayout,
    arc_shots,
    closeup_layout,
    field_layout,
    frontal_shot,
    habits_layout,
    wall_layout,
)

FRAME = Frame(FRAME_HEIGHT * 16 / 9)
PORTRAIT = Frame(FRAME_HEIGHT, FRAME_HEIGHT * 16 / 9)
FRAMES = [FRAME, PORTRAIT, Frame(9.6, 9.6), Frame(12.0, 9.0)]
in_every_frame = pytest.mark.parametrize(
    "frame", FRAMES, ids=lambda frame: f"{frame.width:.1f} x {frame.height:.1f}"
)
SHAPES = st.tuples(
    st.integers(min_value=1, max_value=48),
    st.integers(min_value=1, max_value=32),
    st.integers(min_value=2, max_value=25),
)


def wall(layers: int, heads: int, count: int = 9, frame: Frame = FRAME) -> WallLayout:
    return wall_layout(frame, layers=layers, heads=heads, count=count)


def closeup(count: int, frame: Frame = FRAME) -> CloseupLayout:
    """Lay out a close-up with room for the longest words."""
    least, most = (FRAME_HEIGHT * size for size in (frame.min_text_size, DARK.shape_size))
    return closeup_layout(
        frame, count=count, word_width=MAX_WORD, hidden_word_width=MAX_WORD, sizes=(most, least)
    )


def seen(box: Box, shot: Shot, frame: Frame = FRAME) -> Box:
    """Return the box of the frame in which a shot shows a flat box."""
    corners = np.array([[box.left, box.bottom, 0], [box.right, box.top, 0]], dtype=float)
    first, second = shot.project(corners, frame.height)
    return Box.between(first, second)


@in_every_frame
@given(SHAPES)
def test_every_pattern_has_a_place_of_its_own_on_the_stage(
    frame: Frame, shape: tuple[int, int, int]
) -> None:
    layers, heads, _ = shape
    layout = wall(*shape, frame=frame)
    tiles = {(i, j): layout.tile(i, j) for i in range(layers) for j in range(heads)}
    assert frame.stage.contains(layout.box)
    assert layout.title[1] < frame.stage.top
    corners = {(round(t.left, 6), round(t.top, 6)) for t in tiles.values()}
    assert len(corners) == layers * heads
    assert layout.side < layout.pitch
    for layer in range(layers - 1):
        here, following = tiles[layer, 0], tiles[layer + 1, 0]
        if frame.tall:
            assert following.top < here.bottom
        else:
            assert following.left > here.right


@in_every_frame
@pytest.mark.parametrize("count", [9, 10])
def test_the_wall_of_another_model_and_two_habits_keep_apart(frame: Frame, count: int) -> None:
    start = -7.0
    layout = habits_layout(frame, layers=12, heads=12, count=count, title=4.0, start=start)
    away = layout.shot.center[0]
    stage = frame.stage.moved(dx=away)
    assert stage.right < start
    boxes = [layout.wall.box, *(box for pair in layout.patterns for box in pair)]
    for box in boxes:
        assert stage.contains(box)
        assert all(box.overlap(other) == (0.0, 0.0) for other in boxes if other is not box)
    for (left, line), (first, second) in zip(layout.names, layout.patterns, strict=True):
        assert left == pytest.approx(first.left)
        assert line > first.top == second.top


@in_every_frame
@given(SHAPES)
def test_numbers_of_layers_and_heads_keep_apart(frame: Frame, shape: tuple[int, int, int]) -> None:
    layout = wall(*shape, frame=frame)
    line = DARK.note_size * FRAME_HEIGHT
    rows, columns = list(layout.row_numbers()), list(layout.column_numbers())
    assert rows[0][0] == columns[0][0] == 0
    for (_, _, y), (_, _, other_y) in pairwise(rows):
        assert y - other_y > line
    for (_, x, _), (_, other_x, _) in pairwise(columns):
        assert other_x - x > 0.3


def test_the_wall_is_one_grid_read_as_depth() -> None:
    assert wall(30, 9).shape == (9, 30)
    assert not wall(30, 9).downward
    assert wall(30, 9, frame=PORTRAIT).shape == (30, 9)
    assert wall(30, 9, frame=PORTRAIT).downward
    # Cells of about 58 pixels in full HD.
    assert 55 < wall(30, 9).pitch * 1080 / FRAME_HEIGHT < 60


@given(SHAPES)
def test_a_pattern_is_seen_in_its_slot(shape: tuple[int, int, int]) -> None:
    for frame in FRAMES:
        layout, place = wall(*shape, frame=frame), closeup(shape[2], frame).pattern
        tile = layout.tile(shape[0] - 1, shape[1] - 1)
        found = seen(tile, frontal_shot(tile, place, frame), frame)
        assert found.width == pytest.approx(place.width)
        assert found.left == pytest.approx(place.left)
        assert found.top == pytest.approx(place.top)


@in_every_frame
@pytest.mark.parametrize("count", [2, 9, 24, 25])
def test_a_pattern_looked_at_has_room_for_words_that_can_be_read(count: int, frame: Frame) -> None:
    layout, stage = closeup(count, frame), frame.stage
    assert stage.contains(Box.around([layout.pattern, layout.hidden, layout.colour_bar]))
    assert layout.row_words_apart[0][0] - MAX_WORD >= stage.left - 1e-9
    assert layout.column_words[0][1] + MAX_WORD <= stage.top + 1e-9
    assert layout.notes[0] + layout.note_width <= stage.right + 1e-9
    assert layout.hidden.overlap(layout.pattern) == (0.0, 0.0)
    assert frame.min_text_size <= layout.word_size / FRAME_HEIGHT <= DARK.shape_size
    # Where rows are too low for words, some have none; the last one always has its own.
    assert layout.labelled[-1] == count - 1
    between = layout.pattern.height / count * (layout.labelled[1] - layout.labelled[0])
    assert layout.word_size < between
    assert len(layout.labelled) == count or frame is not FRAME


@in_every_frame
@given(SHAPES)
def test_no_part_of_the_wall_comes_near_the_eye(frame: Frame, shape: tuple[int, int, int]) -> None:
    box = wall(*shape, frame=frame).box
    corners = np.array([[x, y, 0] for x in (box.left, box.right) for y in (box.bottom, box.top)])
    home = Shot(height=frame.height)
    shots = [home, *arc_shots(box, frame), home]
    camera = StageCamera()
    tour = Tour(camera, shots[1:], [1.0, 1.1, 1.1, 0.8])
    camera.shot = shots[0]
    tour.begin()
    for alpha in np.linspace(0, 1, 21):
        tour.step(float(alpha))
        shot = camera.shot
        towards = (corners - shot.center) @ shot.rotation()[2]
        assert towards.max() < 0.75 * 1.6 * shot.height


@in_every_frame
def test_a_much_larger_model_fills_the_stage_and_the_wall_its_first_places(frame: Frame) -> None:
    small = wall(30, 9, frame=frame)
    layout = field_layout(small, frame, layers=61, heads=128, title=5.0, note=3.0)
    places = {tuple(place) for place in layout.places.reshape(-1, 2)}
    assert len(places) == 61 * 128
    (left, top), step, (rows, columns) = layout.corner, layout.pitch, layout.shape
    whole = seen(Box.of(left, left + columns * step, top - rows * step, top), layout.shot, frame)
    assert frame.stage.contains(whole)
    share = whole.width * whole.height / (frame.stage.width * frame.stage.height)
    assert share > 0.55
    assert whole.top < layout.title[1] < frame.stage.top
    assert frame.stage.bottom < layout.note[1] < whole.bottom
    for layer, head in ((0, 0), (29, 0), (29, 8)):
        row, column = small.grid_position(layer, head)
        assert (row, column) in places
        tile = small.tile(layer, head)
        assert tile.x == pytest.approx(left + (column + 0.5) * step)
        assert tile.y == pytest.approx(top - (row + 0.5) * step)


# Camera movements

NEAR = Shot(center=(-5.0, 1.0, 0.0), height=0.5)
OTHER = Shot(center=(5.0, -1.0, 0.0), height=0.8)


def test_a_flight_begins_and_ends_where_it_should() -> None:
    assert flight(NEAR, OTHER, 0.0) == NEAR
    assert flight(NEAR, OTHER, 1.0) == OTHER
    before_end = flight(NEAR, OTHER, 1 - 1e-9)
    np.testing.assert_allclose(before_end.center, OTHER.center, atol=1e-6)
    assert before_end.height == pytest.approx(OTHER.height, rel=1e-6)


def test_a_flight_rises_to_see_where_it_goes() -> None:
    heights = [flight(NEAR, OTHER, a).height for a in np.linspace(0, 1, 51)]
    top = int(np.argmax(heights))
    assert 0 < top < 50
    assert heights[top] > 5
    assert all(a < b for a, b in pairwise(heights[: top + 1]))
    assert all(a > b for a, b in pairwise(heights[top:]))


def test_what_passes_in_the_frame_passes_at_one_pace() -> None:
    alphas = np.linspace(0, 1, 201)
    shots = [flight(NEAR, OTHER, a) for a in alphas]
    widths = np.log([s.height for s in shots])
    centers = np.array([s.center[:2] for s in shots])
    moved = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    middle = np.exp((widths[1:] + widths[:-1]) / 2)
    pace = np.hypot(np.diff(widths), 1.4**2 * moved / middle)
    assert pace.max() < 1.02 * pace.min()


def test_a_flight_straight_down_changes_the_height_evenly() -> None:
    above = Shot(center=NEAR.center, height=8.0)
    heights = [flight(NEAR, above, a).height for a in (0.0, 0.25, 0.5, 0.75, 1.0)]
    np.testing.assert_allclose(np.diff(np.log(heights)), np.log(16) / 4)


def test_flying_takes_the_camera_along() -> None:
    camera = StageCamera()
    camera.shot = NEAR
    fly = Fly(camera, OTHER)
    fly.begin()
    fly.step(0.3)
    assert camera.shot == flight(NEAR, OTHER, 0.3)
    fly.step(1.0)
    assert camera.shot == OTHER


def test_a_tour_passes_every_shot_in_its_time_without_a_stop() -> None:
    camera = StageCamera()
    camera.shot = Shot()
    stops = [Shot((-2, 0, 0), 4, -50, 10), Shot((0, 0, 0), 4, 0, 10), Shot((3, 1, 0), 5, 40, 0)]
    tour = Tour(camera, stops, [1.0, 2.0, 1.0])
    tour.begin()
    for alpha, shot in zip((0.25, 0.75, 1.0), stops, strict=True):
        tour.step(alpha)
        np.testing.assert_allclose(camera.shot.center, shot.center, atol=1e-9)
        assert camera.shot.height == pytest.approx(shot.height)
        assert (camera.shot.theta, camera.shot.phi) == pytest.approx((shot.theta, shot.phi))

    def theta(alpha: float) -> float:
        tour.step(alpha)
        return camera.shot.theta

    before, after = theta(0.75) - theta(0.749), theta(0.751) - theta(0.75)
    assert before == pytest.approx(after, rel=0.05)
    assert abs(before) > 0
