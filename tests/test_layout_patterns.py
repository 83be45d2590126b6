"""Where the wall's patterns stand, and the camera's ways over it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.camera import Shot, StageCamera
from scenes.flight import Fly, Tour, flight
from scenes.layout import FRAME_HEIGHT, Box, Frame
from scenes.layout_patterns import (
    SIDE,
    WORD_MOST,
    WallSlots,
    arc,
    empty_slots,
    onto,
    stop_slots,
    stop_word_size,
    wall_slots,
)
from scenes.theme import DARK

FRAME = Frame(FRAME_HEIGHT * 16 / 9)
SHAPES = st.tuples(
    st.integers(min_value=1, max_value=48),
    st.integers(min_value=1, max_value=32),
    st.integers(min_value=2, max_value=25),
)


def wall(layers: int, heads: int, count: int = 9) -> WallSlots:
    return wall_slots(FRAME, layers=layers, heads=heads, count=count)


def seen(box: Box, shot: Shot) -> Box:
    """A flat box as it lies in the frame."""
    corners = np.array([[box.left, box.bottom, 0], [box.right, box.top, 0]], dtype=float)
    first, second = shot.project(corners, FRAME.height)
    return Box.between(first, second)


@given(SHAPES)
def test_every_pattern_has_a_place_of_its_own_on_the_stage(shape: tuple[int, int, int]) -> None:
    layers, heads, _ = shape
    slots = wall(*shape)
    tiles = {(i, j): slots.tile(i, j) for i in range(layers) for j in range(heads)}
    assert FRAME.stage.holds(slots.box)
    corners = {(round(t.left, 6), round(t.top, 6)) for t in tiles.values()}
    assert len(corners) == layers * heads
    assert slots.side < slots.pitch
    for layer in range(layers - 1):
        above, below = tiles[layer, 0], tiles[layer + 1, 0]
        assert below.top < above.bottom or below.left > tiles[layer, heads - 1].right


@given(SHAPES)
def test_blocks_hold_all_layers_once_and_in_order(shape: tuple[int, int, int]) -> None:
    slots = wall(*shape)
    spans = [slots.span(i) for i in range(len(slots.corners))]
    assert spans[0][0] == 0
    assert spans[-1][1] == shape[0]
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(start < stop for start, stop in spans)


@given(SHAPES)
def test_numbers_of_layers_and_heads_keep_apart(shape: tuple[int, int, int]) -> None:
    slots = wall(*shape)
    line = DARK.note_size * FRAME_HEIGHT
    layers = [(x, y) for _, x, y in slots.layer_marks()]
    heads = [(x, y) for _, x, y in slots.head_marks()]
    assert next(layer for layer, *_ in slots.layer_marks()) == 0
    for (x, y), (other_x, other_y) in pairwise(layers):
        assert x != other_x or y - other_y > line
    for (x, y), (other_x, other_y) in pairwise(heads):
        assert y != other_y or abs(other_x - x) > 0.3


def test_a_tower_of_layers_is_set_in_blocks() -> None:
    assert len(wall(30, 9).corners) == 3
    assert len(wall(4, 12).corners) == 1
    tower, blocks = wall(30, 9).stacked(), wall(30, 9)
    assert tower.box.height > FRAME.stage.height > blocks.box.height
    assert tower.tile(0, 0) == blocks.tile(0, 0)
    assert tower.tile(29, 8).top == pytest.approx(tower.tile(0, 8).top - 29 * tower.pitch)


@given(SHAPES)
def test_a_pattern_is_seen_in_its_slot(shape: tuple[int, int, int]) -> None:
    slots, stop = wall(*shape), stop_slots(FRAME, count=shape[2], word=WORD_MOST)
    tile = slots.tile(shape[0] - 1, shape[1] - 1)
    found = seen(tile, onto(tile, stop.pattern, FRAME))
    assert found.width == pytest.approx(SIDE)
    assert found.left == pytest.approx(stop.pattern.left)
    assert found.top == pytest.approx(stop.pattern.top)


@pytest.mark.parametrize("count", [2, 9, 24, 25])
def test_a_pattern_looked_at_has_room_for_words_that_can_be_read(count: int) -> None:
    stop = stop_slots(FRAME, count=count, word=WORD_MOST)
    stage = FRAME.stage
    assert stage.holds(Box.around([stop.pattern, stop.hidden, stop.scale]))
    assert stop.rows_apart[0][0] - WORD_MOST >= stage.left
    assert stop.columns[0][1] + WORD_MOST <= stage.top
    assert stop.hidden.overlap(stop.pattern) == (0.0, 0.0)
    size = stop_word_size(count, DARK.shape_size)
    assert DARK.least_size <= size <= DARK.shape_size
    assert size * FRAME_HEIGHT < SIDE / count


@given(SHAPES)
def test_no_part_of_the_wall_comes_near_the_eye(shape: tuple[int, int, int]) -> None:
    box = wall(*shape).box
    corners = np.array([[x, y, 0] for x in (box.left, box.right) for y in (box.bottom, box.top)])
    shots = [Shot(), *arc(box), Shot()]
    camera = StageCamera()
    tour = Tour(camera, shots[1:], [1.0, 1.1, 1.1, 0.8])
    camera.shot = shots[0]
    tour.begin()
    for alpha in np.linspace(0, 1, 41):
        tour.step(float(alpha))
        shot = camera.shot
        towards = (corners - shot.center) @ shot.rotation()[2]
        assert towards.max() < 0.75 * 1.6 * shot.height


def test_a_much_larger_model_fills_the_stage_and_the_wall_its_first_places() -> None:
    small = wall(30, 9)
    slots = empty_slots(small, FRAME, layers=61, heads=128)
    (left, top), step = slots.corner, slots.pitch
    whole = Box.of(left, left + 128 * step, top - 61 * step, top)
    assert FRAME.stage.holds(seen(whole, slots.shot))
    assert seen(whole, slots.shot).width > 0.85 * FRAME.stage.width
    for layer, head in ((0, 0), (29, 0), (29, 8)):
        place = Box.of(left + head * step, left + (head + 1) * step, top - (layer + 1) * step, top)
        tile = small.stacked().tile(layer, head)
        assert place.holds(tile)
        assert tile.x == pytest.approx(place.x)
        assert tile.y == pytest.approx(top - (layer + 0.5) * step)


# Ways of the camera

NEAR = Shot(center=(-5.0, 1.0, 0.0), height=0.5)
OTHER = Shot(center=(5.0, -1.0, 0.0), height=0.8)


def test_a_flight_begins_and_ends_where_it_should() -> None:
    assert flight(NEAR, OTHER, 0.0) == NEAR
    assert flight(NEAR, OTHER, 1.0) == OTHER
    almost = flight(NEAR, OTHER, 1 - 1e-9)
    np.testing.assert_allclose(almost.center, OTHER.center, atol=1e-6)
    assert almost.height == pytest.approx(OTHER.height, rel=1e-6)


def test_a_flight_rises_to_see_where_it_goes() -> None:
    heights = [flight(NEAR, OTHER, a).height for a in np.linspace(0, 1, 51)]
    top = int(np.argmax(heights))
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
    for alpha, stop in zip((0.25, 0.75, 1.0), stops, strict=True):
        tour.step(alpha)
        np.testing.assert_allclose(camera.shot.center, stop.center, atol=1e-9)
        assert camera.shot.height == pytest.approx(stop.height)
        assert (camera.shot.theta, camera.shot.phi) == pytest.approx((stop.theta, stop.phi))

    def theta(alpha: float) -> float:
        tour.step(alpha)
        return camera.shot.theta

    before, after = theta(0.75) - theta(0.749), theta(0.751) - theta(0.75)
    assert before == pytest.approx(after, rel=0.05)
    assert abs(before) > 0
