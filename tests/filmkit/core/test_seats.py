"""Seats: what is seen from each fills the frame, off the centre, and rows run along a diagonal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from manim import UR

from filmkit.core.body import Body
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.core.seats import FILLED, SEATS, Seat, default_seat, seat_shot
from filmkit.core.text import Label
from filmkit.render.quality import ASPECTS, frame_size

Array = npt.NDArray[np.float64]

FRAMES = {name: Frame(*frame_size(*(120 * side for side in ASPECTS[name]))) for name in ASPECTS}


def body(*size: float) -> Array:
    """Corners of a box on the floor, as wide, high and deep as asked for."""
    wide, high, deep = size
    return Body([[(-wide / 2, 0, -deep / 2), (wide / 2, high, deep / 2)]]).corners


THINGS = {
    "row": body(9, 0.8, 0.4),
    "wall": body(3, 6, 0.2),
    "corridor": body(2, 1, 30),
    "cube": body(2, 2, 2),
}


def seen(points: Array, shot: Shot, frame: Frame) -> Box:
    projected = shot.project(points, frame.height)
    assert not shot.is_past(projected).any()
    return Box.between(projected.min(axis=0), projected.max(axis=0))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("name", SEATS)
@pytest.mark.parametrize("thing", THINGS)
def test_what_is_seen_fills_its_part_of_the_frame(name: str, aspect: str, thing: str) -> None:
    frame = FRAMES[aspect]
    shot = seat_shot(name, THINGS[thing], frame)
    box = seen(THINGS[thing], shot, frame)
    assert frame.free.contains(box, slack=0.02)
    # Three quarters of the frame, across or up, as far as the notes leave room for it.
    full = [
        min(FILLED * frame.width, frame.free.width),
        min(FILLED * frame.height, frame.free.height),
    ]
    assert max(box.width / full[0], box.height / full[1]) == pytest.approx(1, abs=0.005)
    # Off the centre, where the seat says, if there is room for that; in tall frames only aside.
    up = 0.0 if frame.tall else SEATS[name].place[1]
    for way, middle, length, room in (
        (SEATS[name].place[0], box.x - frame.free.x, box.width, frame.free.width),
        (up, box.y - frame.free.y, box.height, frame.free.height),
    ):
        assert middle == pytest.approx(way * (room - length) / 2, abs=0.03)


@pytest.mark.parametrize("name", SEATS)
def test_the_eye_is_above_the_floor_and_every_seat_is_another(name: str) -> None:
    for frame in FRAMES.values():
        for points in THINGS.values():
            assert seat_shot(name, points, frame).eye()[1] > 0.2
    shots = {seat_shot(other, THINGS["row"], FRAMES["16:9"]) for other in SEATS}
    assert len(shots) == len(SEATS)


@pytest.mark.parametrize("name", SEATS)
def test_in_tall_frames_things_are_seen_more_from_above_and_less_aslant(name: str) -> None:
    tall, wide, square = (
        seat_shot(name, THINGS["row"], FRAMES[a]) for a in ("9:16", "16:9", "1:1")
    )
    assert tall.phi >= wide.phi + 15
    assert 0.5 * abs(wide.theta) < abs(tall.theta) < abs(wide.theta)
    assert (square.theta, square.phi) == (wide.theta, wide.phi)


def test_a_scene_may_have_a_seat_of_its_own() -> None:
    own, frame = Seat(36.0, 2.0, 0.8, (0.0, 0.0)), FRAMES["16:9"]
    shot = seat_shot(own, THINGS["row"], frame)
    assert (shot.theta, shot.phi, shot.focal) == (36.0, 2.0, 0.8)
    assert frame.free.contains(seen(THINGS["row"], shot, frame), slack=0.02)


def test_a_seat_is_chosen_by_what_is_seen() -> None:
    chosen = {thing: default_seat(points) for thing, points in THINGS.items()}
    assert chosen == {
        "row": "bench",
        "wall": "stalls",
        "corridor": "orchestra",
        "cube": "orchestra",
    }
    frame = FRAMES["16:9"]
    assert seat_shot("", THINGS["wall"], frame) == seat_shot("stalls", THINGS["wall"], frame)


def test_words_and_a_smaller_room_are_heeded() -> None:
    frame, room = FRAMES["16:9"], Box.of(-6, 2, -3, 2)
    word = keep_upright(Label("a word that is long", size=0.05).shift([2.0, 0, 0]), (4.5, 0.8, 0))
    shot = seat_shot("bench", THINGS["row"], frame, into=room, words=[word])
    at = shot.project(np.array([[4.5, 0.8, 0]]), frame.height)[0]
    box = seen(THINGS["row"], shot, frame)
    assert room.contains(box, slack=0.02)
    assert at[0] + word.get_corner(UR)[0] <= room.right + 0.02
    alone = seen(THINGS["row"], seat_shot("bench", THINGS["row"], frame, into=room), frame)
    assert alone.width > box.width + 1


def test_a_seat_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(SceneCodeError) as mistake:
        seat_shot("sofa", THINGS["row"], FRAMES["16:9"])
    assert str(mistake.value) == f"there is no seat 'sofa'; take of {', '.join(SEATS)}"
    with pytest.raises(SceneCodeError, match="from a seat nothing is seen; add bodies"):
        seat_shot("bench", [], FRAMES["16:9"])
