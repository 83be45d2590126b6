"""Light on the floor: brightest under its lamp, kept off by bodies, on the floor alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from manim import Mobject

from filmkit.core.animations import set_presence
from filmkit.core.body import REST, Body, Lamp, light_on
from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.floor import cast_light, contact_shadows
from filmkit.core.light import LitCamera
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import Quality

SIZE = 90, 160
ABOVE = Shot.looking((0, 6, 6), (0, 0, 0))
BOX = [[(-0.3, 0, -0.3), (0.3, 0.4, 0.3)]]


def pixel(shot: Shot, point: tuple[float, float, float]) -> tuple[int, int]:
    """Return the row and the column in which a point is seen."""
    x, y, _near = (shot.project(np.array([point], dtype=float), 8.0) * (SIZE[0] / 8.0))[0]
    return int(SIZE[0] / 2 - y), int(SIZE[1] / 2 + x)


def light(
    *lamps: Lamp, bodies: tuple[Body, ...] = (), shot: Shot = ABOVE
) -> npt.NDArray[np.float32]:
    return cast_light(shot, lamps, bodies, SIZE, 8.0)


def test_light_is_brightest_under_the_lamp_and_falls_off() -> None:
    cast = light(Lamp((1.0, 0.0, 0.0)))[..., 0]
    down, across = np.unravel_index(cast.argmax(), cast.shape)
    expected = pixel(ABOVE, (1.0, 0.0, 0.0))
    assert abs(int(down) - expected[0]) <= 1
    assert abs(int(across) - expected[1]) <= 1
    places = [(1.0 - far, 0.0, 0.0) for far in (0.0, 0.5, 1.0, 2.0)]
    levels = [cast[pixel(ABOVE, place)] for place in places]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < levels[0] / 10


def test_a_body_throws_its_shadow_away_from_the_lamp() -> None:
    lamp = Lamp((-0.8, 0.6, 0.0))
    body = Body(BOX)
    bare, shaded = light(lamp)[..., 0], light(lamp, bodies=(body,))[..., 0]
    behind, before = pixel(ABOVE, (0.6, 0.0, 0.0)), pixel(ABOVE, (-1.6, 0.0, 0.0))
    assert shaded[behind] < 0.4 * bare[behind]
    assert shaded[before] == bare[before]


def test_a_shadow_fades_with_its_body() -> None:
    lamp, body = Lamp((-0.8, 0.6, 0.0)), Body(BOX)
    place = pixel(ABOVE, (0.6, 0.0, 0.0))
    levels = [
        float(light(lamp, bodies=(set_presence(body, share),))[place][0])  # type: ignore[arg-type]
        for share in (0.0, 0.5, 1.0)
    ]
    assert levels[0] > levels[1] > levels[2]
    assert levels[0] - levels[1] == pytest.approx(levels[1] - levels[2], rel=0.05)


def test_there_is_no_light_above_the_horizon_nor_under_the_floor() -> None:
    level = Shot.looking((0, 1, 8), (0, 1, 0))
    cast = light(Lamp((0.0, 0.5, 0.0)), shot=level)
    assert not cast[: SIZE[0] // 2].any()
    assert cast[SIZE[0] // 2 :].any()
    assert not light(Lamp((0.0, 0.5, 0.0)), shot=Shot.looking((0, -1, 8), (0, 1, 0))).any()


def test_two_lamps_add_up() -> None:
    one, two = Lamp((-1.0, 0.0, 0.0)), Lamp((1.0, 0.0, 0.5))
    assert np.abs(light(one, two) - light(one) - light(two)).max() <= 1


def test_daylight_is_shaded_under_what_stands_on_the_floor() -> None:
    body, floating = Body(BOX), Body(BOX).put((0, 2, 0))
    under = pixel(ABOVE, (0.0, 0.0, 0.36))
    shade = contact_shadows(ABOVE, [body], SIZE, 8.0)
    assert shade[under] < 0.85
    assert shade.max() == 1
    assert (contact_shadows(ABOVE, [floating], SIZE, 8.0) == 1).all()


def test_what_a_lamp_is_aimed_at_has_all_of_its_light() -> None:
    aimed, beside, far = (Body(BOX).put((x, 0, 0)) for x in (0, 1.2, 30))
    lamp = Lamp(aimed)
    assert light_on(aimed, [lamp]) == 1
    assert REST < light_on(beside, [lamp]) < 0.8
    assert light_on(far, [lamp]) == pytest.approx(REST, abs=1e-3)
    assert light_on(far, []) == 1


def test_light_comes_as_a_lamp_appears() -> None:
    far = Body(BOX).put((30, 0, 0))
    lamp = Lamp((0, 0, 0))
    levels = [light_on(far, [set_presence(lamp, share)]) for share in (0, 0.5, 1)]  # type: ignore[list-item]
    assert levels[0] == 1
    assert levels == sorted(levels, reverse=True)


def test_a_lamp_dims_a_body_as_a_whole_with_all_that_lies_on_it() -> None:
    far = Body(BOX, "#808080").put((3, 0, 0))
    mark = Mobject()
    far.add(mark)
    with manim_config(Quality(320, 180, 5)):
        camera = LitCamera()
        camera.shot = ABOVE
        shares = camera.light_shares(camera.drawing_order([far, Lamp((0, 0, 0))]))
        assert shares[mark] == shares[far] < 1
        camera.lit = False
        assert not camera.light_shares([far, Lamp((0, 0, 0))])


def test_heights_that_carry_numbers_have_one_colour_under_any_lamp() -> None:
    """Of two equal boxes of one body the nearer to the lamp is no brighter."""
    body = Body([[(-2, 0, 0), (-1.5, 1, 0.2)], [(1.5, 0, 0), (2, 1, 0.2)]], "#ff8040")
    with manim_config(Quality(320, 180, 5)):
        camera = LitCamera()
        camera.shot = Shot.looking((0, 0.5, 8), (0, 0.5, 0))
        picture = camera.picture(camera.drawing_order([body, Lamp((-1.7, 1, 0.2))]))
        left, right = (
            picture[
                tuple(
                    np.rint(camera.pixels(Mobject(), np.array([[x, 0.5, 0.2]])))[0, ::-1].astype(
                        int
                    )
                )
            ]
            for x in (-1.75, 1.75)
        )
        assert left.tolist() == right.tolist()


def test_a_lamp_without_light_is_refused() -> None:
    with pytest.raises(SceneCodeError, match="radius above 0"):
        Lamp((0, 0, 0), radius=0)
