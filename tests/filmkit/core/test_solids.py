"""Bodies hide each other as rays say, from everywhere, and are painted in an order that is calm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from manim import RIGHT, UP, Group, Mobject, Square

from filmkit.core.animations import set_presence
from filmkit.core.body import Body, put
from filmkit.core.camera import Shot, StageCamera, keep_upright, pin_to_frame
from filmkit.core.solids import clipped, faces_of, fill
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import Quality

Array = npt.NDArray[np.float64]

SIZE = Quality(480, 270, 5)
BOX = [[(0, 0, 0), (1, 1, 1)]]
SEATS = {
    "level": Shot.looking((0.9, 3.2, 9.6), (0, 1, 0)),
    "above": Shot.looking((-3.6, 6.7, 7.9), (0, 0.5, 0)),
    "bird": Shot.looking((0.9, 9.4, 3.6), (0, 0, 0)),
    "left": Shot.looking((-8, 1.2, 1), (0, 0.5, 0)),
    "among them": Shot.looking((0.55, 1.0, 0.6), (0.2, 0.8, -3), lens=0.8),
    "below": Shot.looking((2, -2, 7), (0, 1, 0)),
}


def colour_of(number: int) -> tuple[int, int, int]:
    """Return a colour that no other number below 512 has, in no shade of it either."""
    return 255, 20 + 25 * (number % 8), 20 + 25 * (number // 8 % 8)


def room() -> list[Body]:
    """Return slabs, reliefs and towers that hide each other, none of which cross."""
    random = np.random.default_rng(4)
    bodies = []
    for row in range(3):
        values = random.normal(size=12)
        boxes = [
            [(i * 0.4, min(0, v), -0.1), (i * 0.4 + 0.3, max(0, v), 0.1)]
            for i, v in enumerate(values)
        ]
        bodies.append(
            Body(boxes, colour_of(row), layers=np.sign(values)).put((-2.4, 1.5, -2.0 + row))
        )
    for number in range(3, 8):
        height = 0.3 + random.random()
        boxes = [[(-0.4, 0, -0.1), (0.4, height, 0.1)], [(-0.4, height, -0.1), (0.4, 1.4, 0.1)]]
        place = (number - 5) * 1.1, 0, 1.5 - 0.4 * (number % 2)
        bodies.append(Body(boxes, colour_of(number), layers=[0, 1]).put(place))
    return bodies


def drawn(*mobjects: Mobject, shot: Shot) -> npt.NDArray[np.uint8]:
    with manim_config(SIZE):
        camera = StageCamera()
        camera.shot = shot
        camera.capture_mobjects(mobjects)
        return camera.pixel_array.copy()


def rays(shot: Shot) -> Array:
    """Return the direction (rows, columns, 3) in which each pixel looks."""
    rows, columns = SIZE.height, SIZE.width
    across = (np.arange(columns) + 0.5 - columns / 2) / rows * shot.height
    above = (rows / 2 - np.arange(rows) - 0.5) / rows * shot.height
    right, up, near = shot.rotation()
    ahead = -shot.focal * shot.height * near
    return across[None, :, None] * right + above[:, None, None] * up + ahead


def hit(bodies: list[Body], shot: Shot) -> npt.NDArray[np.int_]:
    """Return the number of the body that each pixel shows, -1 for none."""
    eye, ways = shot.eye(), rays(shot)
    nearest = np.full(ways.shape[:2], np.inf)
    found = np.full(ways.shape[:2], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        for number, body in enumerate(bodies):
            own_eye = np.linalg.solve(body.axes.T, eye - body.points[0])
            own = np.linalg.solve(body.axes.T, ways.reshape(-1, 3).T).T.reshape(ways.shape)
            for low, high in body.boxes:
                one, two = (low - own_eye) / own, (high - own_eye) / own
                enters = np.fmin(one, two).max(axis=-1)
                leaves = np.fmax(one, two).min(axis=-1)
                sees = (enters < leaves) & (enters > 0) & (enters < nearest)
                nearest[sees], found[sees] = enters[sees], number
    return found


def shown(picture: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int_]:
    """Return the number of the body whose colour each pixel has, in whichever shade."""
    ratios = picture[..., 1:3] / np.maximum(picture[..., :1].astype(float), 1)
    wanted = np.array([colour_of(number)[1:] for number in range(count)]) / 255
    apart = np.abs(ratios[:, :, None] - wanted).max(axis=-1)
    return np.where(picture[..., 0] > 60, apart.argmin(axis=-1), -1)


def inside(found: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    """Return which pixels have no other body within two pixels."""
    same = np.ones(found.shape, dtype=bool)
    for down in range(-2, 3):
        for across in range(-2, 3):
            same &= np.roll(found, (down, across), (0, 1)) == found
    return same


@pytest.mark.parametrize("turn", [0.0, 25.0])
@pytest.mark.parametrize("seat", SEATS)
def test_what_is_seen_is_what_rays_meet(seat: str, turn: float) -> None:
    bodies = room()
    if turn:  # the first body is turned where nothing else stands
        bodies[0].put((-2.4, 1.5, -3.5), turn=turn)
    found = hit(bodies, SEATS[seat])
    picture = shown(drawn(*bodies, shot=SEATS[seat]), len(bodies))
    calm = inside(found)
    assert (found >= 0).mean() > 0.02
    assert (picture == found)[calm].all()


def test_the_order_changes_only_where_nothing_is_seen_of_it() -> None:
    """A camera moves for ten seconds; each picture is painted in its neighbour's order too."""
    bodies, changes = room(), 0
    start, end = SEATS["level"], SEATS["above"]
    with manim_config(SIZE):
        camera = StageCamera()
        before = None
        for frame in range(150):
            camera.shot = start.mix(end, frame / 149)
            order = camera.drawing_order(bodies)
            if before is not None and [*map(id, before)] != [*map(id, order)]:
                changes += 1
                assert np.array_equal(camera.picture(order), camera.picture(before))
            before = order
    assert changes


def test_the_order_in_which_bodies_are_added_does_not_matter() -> None:
    bodies = room()
    pictures = [drawn(*some, shot=SEATS["above"]) for some in (bodies, bodies[::-1])]
    assert np.array_equal(*pictures)


def test_what_lies_on_a_body_is_hidden_with_it() -> None:
    far = Body(BOX, "#ff0000").put((-0.5, 0, -2))
    mark = Square(0.5, fill_opacity=1, fill_color="#00ff00", stroke_width=0).move_to(
        (0, 0.5, -0.99)
    )
    far.add(mark)
    near = Body(BOX, "#0000ff").put((-0.5, 0, 1))
    shot = Shot.looking((0, 0.5, 6), (0, 0.5, 0))
    alone, hidden = drawn(far, shot=shot), drawn(near, far, shot=shot)
    assert (alone[..., 1] > 200).any()
    assert not (hidden[..., 1] > 200).any()


def test_titles_and_labels_come_after_bodies() -> None:
    body = Body(BOX, "#ff0000").put((-0.5, 0, 0))
    title = pin_to_frame(Square(0.5, fill_opacity=1, fill_color="#00ff00", stroke_width=0))
    label = keep_upright(
        Square(0.2, fill_opacity=1, fill_color="#0000ff", stroke_width=0), (0, 1, 0)
    )
    with manim_config(SIZE):
        camera = StageCamera()
        assert camera.drawing_order([title, label, body]) == [body, title, label]


def test_flat_pictures_keep_their_order() -> None:
    flat = [Square(fill_opacity=1).shift(i * 0.1 * RIGHT) for i in range(5)]
    with manim_config(SIZE):
        assert StageCamera().drawing_order(flat) == flat


def test_a_body_behind_the_eye_is_not_seen_and_one_that_reaches_past_it_is_cut() -> None:
    shot = Shot.looking((0, 1, 4), (0, 1, 0))
    assert not drawn(Body(BOX).put((-0.5, 0, 6)), shot=shot)[..., 0].any()
    assert not drawn(set_presence(Body(BOX).put((-0.5, 0, 6)), 0.5), shot=shot)[..., 0].any()
    floor = Body([[(-20, 0, -20), (20, 0, 20)]], "#ff0000")
    lower = drawn(floor, shot=shot)
    half = SIZE.height // 2
    assert (lower[half + 30 :, :, 0] > 200).all()
    assert not lower[: half - 2, :, 0].any()


def test_a_faint_body_shows_what_is_behind_it_but_not_its_own_faces() -> None:
    body = Body([*BOX, [(0.2, 0.2, -3), (0.8, 0.8, -2)]], "#ff0000").put((-0.5, 0, 0))
    shot = Shot.looking((0, 0.5, 8), (0, 0.5, 0))
    whole = drawn(body, shot=shot)
    half = drawn(set_presence(body, 0.5), shot=shot)
    assert np.abs(half[..., 0].astype(int) - whole[..., 0] // 2).max() <= 1


def test_a_body_that_is_folded_flat_has_no_faces() -> None:
    body = Body(BOX)
    body.points[2] = body.points[0]
    faces, colours = faces_of(body, np.array([3.0, 3.0, 3.0]), np.ones(3))
    assert len(faces) == len(colours) == 0


def test_a_picture_of_many_rows_is_drawn() -> None:
    """128 heads of 48 numbers each."""
    rows = [
        Body([[(i * 0.1, 0, 0), (i * 0.1 + 0.07, 0.1 + i % 3 * 0.1, 0.03)] for i in range(48)]).put(
            (-2.4, 0, -0.05 * row)
        )
        for row in range(128)
    ]
    assert drawn(Group(*rows), shot=SEATS["above"])[..., 0].any()


def test_clipping_keeps_what_is_near_enough() -> None:
    square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
    part = clipped(square, square[:, 0], 1.0)
    assert sorted(map(tuple, part.tolist())) == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert len(clipped(square, square[:, 0] + 5, 1.0)) == 0


def test_polygons_far_outside_are_drawn_where_they_are_seen() -> None:
    picture = np.zeros((40, 40, 4), np.uint8)
    huge = np.array([(-1e7, 20.0), (1e7, 20.0), (1e7, 1e7), (-1e7, 1e7)])
    fill(picture, [huge], np.array([[255.0, 0, 0]]))
    assert (picture[22:, :, 0] == 255).all()
    assert not picture[:18].any()


def test_bodies_move_with_manim() -> None:
    body = Body(BOX)
    body.shift(2 * UP).scale(2, about_point=np.array([0.0, 2.0, 0.0]))
    assert np.allclose(body.at((1, 1, 1)), (2, 4, 2))


@pytest.mark.parametrize("turn", [0, 60, 120, 180, 300])
def test_what_lies_on_a_face_is_hidden_where_the_face_is(turn: float) -> None:
    body = Body([[(-1, 0, -0.2), (1, 2, 0.2)]], colour_of(1)).put((0, 0, 0), turn=turn)
    sign = Square(fill_opacity=1, stroke_width=0, color="#0000ff", side_length=0.8)
    put(sign, body, (0, 1, 0.2), (1, 0, 0), (0, 1, 0))
    picture = drawn(body, shot=Shot.looking((0, 1.5, 6), (0, 1, 0)))
    blue = (picture[..., 2] > 200) & (picture[..., 0] < 50)
    assert blue.any() == (turn in (0, 60, 300))
