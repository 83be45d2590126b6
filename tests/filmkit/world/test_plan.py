"""Where heads stand in the room: seen whole, apart from each other, for every number of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from filmkit.core.animations import Drift
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.core.headline import Headline
from filmkit.render.quality import ASPECTS, frame_size
from filmkit.world.plan import SHOTS, Place, Plan

HEADS = [(1, 1), (2, 1), (4, 2), (6, 1), (9, 3), (12, 1), (14, 7), (16, 16), (25, 5), (32, 4),
         (64, 8), (64, 1)]  # fmt: skip
FRAMES = {name: Frame(*frame_size(*(120 * side for side in ASPECTS[name]))) for name in ASPECTS}


@cache
def plan_of(heads: int, group: int, frame: Frame) -> Plan:
    return Plan(heads, group, frame)


def seen(place: Place, shot: Shot, frame: Frame) -> np.ndarray:
    """Return the corners (4, 2) of a place as they are seen in the frame."""
    return np.asarray(shot.project(place.corners, frame.height)[:, :2])


def apart(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether a side of one of two quadrangles lies between them."""
    for quad in (first, second):
        for a, b in zip(quad, np.roll(quad, -1, axis=0), strict=True):
            across = np.array([a[1] - b[1], b[0] - a[0]])
            mine, other = first @ across, second @ across
            if mine.max() <= other.min() + 1e-9 or other.max() <= mine.min() + 1e-9:
                return True
    return False


def within(corners: np.ndarray, room: Box) -> bool:
    return room.contains(Box.between(corners.min(axis=0), corners.max(axis=0)), slack=0.02)


@pytest.fixture(params=ASPECTS)
def frame(request: pytest.FixtureRequest) -> Frame:
    return FRAMES[request.param]


@pytest.mark.parametrize(("heads", "group"), HEADS)
def test_all_is_seen_in_the_wide_shot_and_nothing_hides_anything(
    frame: Frame, heads: int, group: int
) -> None:
    plan = plan_of(heads, group, frame)
    shot = plan.shot("arc", 0)
    places = [
        place for h in range(heads) for place in (plan.card(h), plan.plate(h, 0), plan.plate(h, 1))
    ]
    quads = [seen(place, shot, frame) for place in places]
    assert all(within(quad, plan.room) for quad in (*quads, seen(plan.latent, shot, frame)))
    boxes = [Box.between(quad.min(axis=0), quad.max(axis=0)) for quad in quads]
    for (a, one), (b, other) in combinations(zip(quads, boxes, strict=True), 2):
        assert one.overlap(other) == (0.0, 0.0) or apart(a, b)


@pytest.mark.parametrize(("heads", "group"), HEADS)
def test_each_shot_shows_what_it_is_named_after(frame: Frame, heads: int, group: int) -> None:
    plan, head = plan_of(heads, group, frame), heads - 1
    pair = [plan.plate(head, side) for side in (0, 1)]
    everyone = [plan.card(0), plan.plate(0, 0), plan.card(head), plan.plate(head, 1)]
    subjects = {
        "arc": everyone,
        "card": [plan.card(head), *pair],
        "plate": pair,
        "shared": [plan.latent],
        "row": everyone,
    }
    assert {*subjects} == {*SHOTS}
    for name, places in subjects.items():
        shot = plan.shot(name, head)
        corners = np.concatenate([seen(place, shot, frame) for place in places])
        room = plan.room
        if name == "card":
            room = Box.of(room.left, room.right, frame.free.bottom, room.top)
        assert within(corners, room), name
        # While a picture drifts, the eye goes round a little.
        drifted = replace(shot, theta=shot.theta + Drift(StageCamera()).degrees)
        corners = np.concatenate([seen(place, drifted, frame) for place in places])
        assert within(corners, Box(0, 0, frame.width, frame.height)), name


@pytest.mark.parametrize(
    ("heads", "group", "sets"),
    [(*case, sets) for case in HEADS for sets in (1, 3, 8) if sets <= case[0]],
)
def test_shared_plates_are_seen_and_stand_on_the_floor_or_below_their_cards(
    frame: Frame, heads: int, group: int, sets: int
) -> None:
    plan = plan_of(heads, group, frame)
    shot = plan.shot("arc", 0)
    places = [plan.set_plate(number, sets, side) for number in range(sets) for side in (0, 1)]
    on_floor = sets == 1 or len(plan.rows) == 1
    for place in places:
        assert (place.corners[:, 1].min() == pytest.approx(0)) == on_floor
        assert within(seen(place, shot, frame), plan.room)
    quads = [seen(place, shot, frame) for place in places]
    assert all(apart(a, b) for a, b in combinations(quads, 2))
    cards = [seen(plan.card(head), shot, frame) for head in range(heads)]
    if not on_floor:
        assert all(apart(quad, card) for quad in quads for card in cards)


@pytest.mark.parametrize(("heads", "group"), HEADS)
@pytest.mark.parametrize("line", ["grouped-query attention", f"{80 * 'word '}"[:60]])
def test_words_above_the_room_stand_between_notes_and_cards(
    frame: Frame, heads: int, group: int, line: str
) -> None:
    plan, words = plan_of(heads, group, frame), Headline("9 heads", line, frame)
    assert len(words.line) <= 2
    cards = [seen(plan.card(head), plan.shot("arc", 0), frame) for head in range(heads)]
    assert max(card[:, 1].max() for card in cards) < words.get_bottom()[1] - 0.1
    assert words.get_top()[1] < frame.free.top - 0.1


@pytest.mark.parametrize(("heads", "group"), [(9, 3), (32, 4), (64, 8)])
def test_lines_lead_from_each_set_to_the_cards_that_read_it(
    frame: Frame, heads: int, group: int
) -> None:
    plan, sets = plan_of(heads, group, frame), heads // group
    for head in range(heads):
        start, end = plan.line(head, sets)
        keys, values = (plan.set_plate(head // group, sets, side) for side in (0, 1))
        assert keys.center[0] < start[0] < values.center[0]
        assert start[1] == pytest.approx(keys.corners[:, 1].max())
        np.testing.assert_allclose(end, plan.card(head).corners[2:].mean(axis=0))


def test_nine_heads_stand_on_an_arc_in_wide_frames_and_in_a_grid_in_tall_ones() -> None:
    assert Plan(9, 3, FRAMES["16:9"]).rows == (9,)
    tall = Plan(9, 3, FRAMES["9:16"])
    assert tall.rows == (3, 3, 3)
    shot = tall.shot("arc", 0)
    columns = [
        [seen(tall.card(h), shot, tall.frame)[0, 0] for h in (h0, h0 + 3, h0 + 6)]
        for h0 in range(3)
    ]
    np.testing.assert_allclose(columns, np.repeat([[c[0]] for c in columns], 3, axis=1))
    assert Plan(9, 3, FRAMES["16:9"]).scale == pytest.approx(1)


@pytest.mark.parametrize(("heads", "group"), [(32, 4), (64, 8), (9, 3)])
def test_heads_that_share_a_set_stand_in_one_row(frame: Frame, heads: int, group: int) -> None:
    assert all(count % group == 0 for count in plan_of(heads, group, frame).rows)


def test_a_shared_pair_and_the_latent_have_one_footprint() -> None:
    plan = Plan(9, 3, FRAMES["16:9"])
    pair = np.concatenate([plan.set_plate(0, 1, side).corners for side in (0, 1)])
    np.testing.assert_allclose(pair.min(axis=0), plan.latent.corners.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(pair.max(axis=0), plan.latent.corners.max(axis=0), atol=1e-9)


def test_rays_lead_from_the_latent_to_the_plates_without_crossing() -> None:
    plan = Plan(9, 3, FRAMES["9:16"])
    for side in (0, 1):
        ray = plan.ray(4, side, 1.0, 1.0)
        assert np.abs(ray[:2, 0]).max() <= plan.latent.width / 2
        foot, plate = ray[2:].mean(axis=0), plan.plate(4, side)
        assert np.abs(foot[:2] - plate.center[:2]).max() < plate.height / 2
        card = plan.card(4)
        end = plan.ray(4, side, 1.0, 1.0, to_card=True)[2:].mean(axis=0)
        assert end[1] == pytest.approx(card.center[1] - card.height / 2)
    starts = [plan.ray(head, 0, 1.0, 1.0)[:2, 0].mean() for head in (0, 1, 2)]
    assert starts == sorted(starts)
    np.testing.assert_allclose(plan.ray(4, 0, 1.0, 0.5)[:2], plan.ray(4, 0, 1.0, 1.0)[:2])


def test_a_shot_that_is_not_there_is_refused() -> None:
    with pytest.raises(SceneCodeError, match="no shot 'ark'; take one of arc, card"):
        Plan(2, 1, FRAMES["16:9"]).shot("ark", 0)
