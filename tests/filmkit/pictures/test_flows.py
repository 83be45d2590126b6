"""Arcs, strips, flows and threads: as wide as their shares, and where they belong."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from manim import Mobject

from filmkit.core.animations import at_once
from filmkit.core.body import Body, Lamp, light_on
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.errors import SceneCodeError
from filmkit.core.light import LitCamera
from filmkit.core.theme import current_theme
from filmkit.pictures.flows import LEAST, WIDTH, Arc, Flow, Strip, Threads
from filmkit.render.manim_config import changed_config

SHARES = [0.06, 0.004, 0.006, 0.14, 0.69, 0.05, 0.05]
SIZE = {"pixel_width": 640, "pixel_height": 360, "frame_height": 8.0, "frame_width": 8 * 16 / 9}
ABOVE = Shot.looking((-3.0, 5.0, 8.0), (0.0, 0.4, 0.4), 1.3)


def slab(x: float = 0.0, told: str = "", z: float = -1.5) -> Body:
    body = Body([[(-0.4, 0.0, -0.3), (0.4, 1.0, 0.3)]]).put((x, 0.0, z))
    body.told = told
    return body


def slabs(count: int) -> list[Body]:
    return [slab(x) for x in np.linspace(-4.0, 4.0, count)]


def drawn(*mobjects: Mobject, shot: Shot = ABOVE) -> npt.NDArray[np.int_]:
    with changed_config(SIZE):
        eye = LitCamera(background_color="#000000")
        eye.shot = shot
        eye.capture_mobjects(mobjects)
        return eye.pixel_array[..., :3].astype(int)


def ends_of(flow: Flow) -> npt.NDArray[np.float64]:
    """Return the last two corners (n, 2, 3) of each ribbon, in the order of painting."""
    return flow.quads.reshape(-1, flow.pieces, 4, 3)[:, -1, [3, 2]]


def test_an_arc_starts_and_ends_on_top_of_bodies_and_stands_upright() -> None:
    white, red = slab(2.0, "white"), slab(-1.0, "red", z=0.5)
    arc = Arc(white, red, 0.69)
    np.testing.assert_allclose(arc.get_start(), white.top)
    np.testing.assert_allclose(arc.get_end(), red.top)
    middle = (white.top + red.top) / 2
    rises = arc.point_from_proportion(0.5) - middle
    np.testing.assert_allclose(rises[[0, 2]], 0.0, atol=1e-6)
    assert rises[1] > 0.4
    assert Arc((0, 1, 0), (2, 1, 0), 0.5, rise=2.0).point_from_proportion(0.5)[1] == pytest.approx(
        3
    )


def test_the_width_of_an_arc_is_linear_in_its_share_down_to_a_hairline() -> None:
    def width(share: float) -> float:
        return float(Arc((0, 0, 0), (1, 0, 0), share).stroke_width)

    assert width(1.0) == WIDTH
    assert width(0.6) == pytest.approx(2 * width(0.3))
    assert width(LEAST) == current_theme().thin
    assert width(LEAST / 2) == width(0.0) == 0.0


def test_a_strong_arc_is_seen_brighter_than_a_weak_one_and_none_is_not_seen() -> None:
    def light(share: float) -> int:
        return int(drawn(slab(9.0, z=-30.0), Arc(slab(-2.0), slab(2.0), share)).sum())

    nothing = light(0.0)
    assert nothing < light(0.02) < light(0.2) < light(0.8)


def test_an_arc_says_what_it_stands_for() -> None:
    arc = Arc(slab(told="white"), slab(told="red"), 0.69)
    assert (arc.kind, arc.told, arc.values.tolist()) == ("arc", "white → red: 69%", [0.69])
    assert Arc(slab(), slab(), 0.5, told="white looks at red").told == "white looks at red: 50%"
    assert Arc((0, 0, 0), (1, 0, 0), 0.5).told == "50%"


def test_the_light_of_an_arc_runs_from_its_start_to_its_end() -> None:
    arc = Arc(slab(2.0), slab(-1.0), 0.69)
    whole = arc.points.copy()
    growing = arc.grow()
    growing.begin()
    growing.interpolate(0.5)
    np.testing.assert_allclose(arc.points[0], whole[0])
    assert -1.0 < arc.points[-1, 0] < 2.0
    growing.finish()
    np.testing.assert_array_equal(arc.points, whole)


def test_parts_of_a_strip_fill_it_and_are_as_wide_as_their_shares() -> None:
    for shares in (SHARES, [1.0], [0.5, 0.0, 0.5], [1 / 128] * 128):
        strip = Strip(shares, size=(6.0, 0.1, 0.5)).put((1.0, 0.0, 2.0))
        parts = np.array([strip.part(i) for i in range(len(shares))])
        np.testing.assert_allclose(parts[:, 1, 0] - parts[:, 0, 0], 6.0 * np.array(shares))
        np.testing.assert_allclose(parts[1:, 0, 0], parts[:-1, 1, 0])
        np.testing.assert_allclose([parts[0, 0, 0], parts[-1, 1, 0]], [-3.0, 3.0])
        inside = strip.boxes[:, 1, 0] - strip.boxes[:, 0, 0]
        assert (inside <= 6.0 * np.array(shares) + 1e-9).all()
        assert strip.kind == "flow"
        assert strip.values is not None
        np.testing.assert_array_equal(strip.values, shares)
        drawn(strip)


def test_a_strip_tells_its_largest_parts() -> None:
    words = ["The", "American", "flag", "is", "red", ",", "white"]
    assert Strip(SHARES, words).told == "red 69%, is 14%, The 6.0%"
    assert Strip(SHARES).told == ""


def test_shares_of_a_few_digits_still_fill_the_whole_strip() -> None:
    strip = Strip([0.333, 0.333, 0.333])
    np.testing.assert_allclose(strip.edges[[0, -1]], [-4.0, 4.0])


@pytest.mark.parametrize("turn", [0.0, 40.0])
@pytest.mark.parametrize("side", [-1.5, 6.0])
def test_ribbons_begin_at_their_bodies_and_end_where_parts_are(turn: float, side: float) -> None:
    strip = Strip(SHARES).put((0.0, 0.0, 2.0), turn=turn)
    bodies = [slab(x, z=side) for x in np.linspace(-4, 4, len(SHARES))]
    flow = Flow(bodies, strip)
    facing = (
        -0.27 if side < 0 else 0.27
    )  # the strip's side that its bodies are at, a little under it
    order = np.argsort(-np.array(SHARES), kind="stable")
    for i, (left, right) in zip(order, ends_of(flow), strict=True):
        low, high = strip.part(i)
        np.testing.assert_allclose(left, strip.at((low[0], 0, facing)), atol=1e-9)
        np.testing.assert_allclose(right, strip.at((high[0], 0, facing)), atol=1e-9)
    starts = flow.quads.reshape(-1, flow.pieces, 4, 3)[:, 0, :2]
    for i, start in zip(order, starts, strict=True):
        edge = bodies[i].at((0, 0, -facing))
        np.testing.assert_allclose(start.mean(axis=0), edge, atol=1e-9)
    assert (flow.quads[..., 1] == 0).all()


def test_bodies_and_strip_are_painted_over_the_ends_of_ribbons() -> None:
    bodies, strip = slabs(len(SHARES)), Strip(SHARES).put((0.0, 0.0, 2.0))
    camera = StageCamera()
    camera.shot = ABOVE
    flow = Flow(bodies, strip)
    assert camera.drawing_order([*bodies, strip, flow])[0] is flow


def test_no_ribbon_has_a_seam() -> None:
    bodies, strip = slabs(1), Strip([1.0]).put((0.0, 0.0, 3.0))
    flow = Flow(bodies, strip)
    flow.set_quads(flow.quads, "#ffffff")
    for x in (-3.0, -1.0, 0.5):
        shot = Shot.looking((x, 6.0, 9.0), (0.0, 0.0, 1.5), 1.3)
        lit = (drawn(flow, shot=shot).min(axis=2) > 250).astype(np.uint8)
        around = np.ones((9, 9), dtype=np.uint8)
        inside = cv2.erode(cv2.morphologyEx(lit, cv2.MORPH_CLOSE, around), around) > 0
        assert inside.sum() > 5000
        assert lit[inside].all()


def test_light_pours_from_the_bodies_into_the_strip() -> None:
    flow = Flow(slabs(len(SHARES)), Strip(SHARES).put((0.0, 0.0, 2.0)))
    whole = flow.quads.copy()
    pouring = flow.pour()
    pouring.begin()
    assert len(flow.quads) == 0
    pouring.interpolate(0.5)
    assert len(flow.quads) == len(whole)
    start, end = whole[..., 2].min(), whole[..., 2].max()
    assert flow.quads[..., 2].min() == start
    assert flow.quads[..., 2].max() == pytest.approx((start + end) / 2)
    at_once(flow.pour())
    np.testing.assert_array_equal(flow.quads, whole)


def test_shares_of_nothing_get_no_ribbon_and_many_get_coarser_ones() -> None:
    few = Flow(slabs(3), Strip([0.5, 0.0, 0.5]).put((0, 0, 2)))
    assert len(few.quads) == 2 * few.pieces
    many = Flow(slabs(128), Strip([1 / 128] * 128).put((0, 0, 2)))
    assert len(many.quads) <= 1024 < 128 * few.pieces
    assert drawn(many).sum() > 0


def test_light_needs_no_lamp() -> None:
    strip = Strip(SHARES).put((0, 0, 2))
    far = [Lamp((0, 40, 0))]
    assert light_on(strip, far) == light_on(Flow(slabs(7), strip), far) == 1.0
    assert light_on(slab(), far) < 0.5
    assert (drawn(strip, *far) == drawn(strip)).mean() > 0.99


def test_threads_join_each_bar_with_the_same_bar() -> None:
    rows = []
    for z in (0.0, 2.0):
        boxes = [[(i, min(0, i - 1), -0.1), (i + 0.5, max(0, i - 1), 0.1)] for i in range(4)]
        row = Body(boxes).put((0, 1, z))
        row.first, row.values = 1, np.arange(3.0)
        rows.append(row)
    threads = Threads(*rows)
    lines = threads.points.reshape(-1, 4, 3)
    np.testing.assert_allclose(lines[:, 0], [(i + 0.25, 1, 0) for i in (1, 2, 3)])
    np.testing.assert_allclose(lines[:, 3], [(i + 0.25, 1, 2) for i in (1, 2, 3)])
    rows[1].values = np.arange(2.0)
    with pytest.raises(SceneCodeError, match="not 3 and 2"):
        Threads(*rows)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (Arc, ((0, 0, 0), (1, 0, 0), NAN), "from 0 to 1, not nan"),
        (Arc, ((0, 0, 0), (1, 0, 0), -0.1), "from 0 to 1, not -0.1"),
        (Arc, ((0, 0, 0), (1, 0, 0), 69), "from 0 to 1, not 69"),
        (Arc, ((0, 0), (1, 0, 0), 0.5), r"point \(x, y, z\)"),
        (Arc, ((0, 0, 0), (1, INF, 0), 0.5), "a finite point"),
        (Strip, ([],), "sum is 1, not 0"),
        (Strip, ([0.5, 0.4],), "not 0.9"),
        (Strip, ([1.5, -0.5],), "from 0 on"),
        (Strip, ([NAN, 1.0],), "not nan"),
        (Strip, ([[0.5, 0.5]],), "a strip has"),
        (Strip, ([0.5, 0.5], ["a"]), "2 words"),
        (Flow, (slabs(2), Strip(SHARES)), "7 shares, not 2"),
    ],
)
def test_what_is_no_share_ends_in_one_line(make: Any, given: Any, message: str) -> None:
    with pytest.raises(SceneCodeError, match=message) as error:
        make(*given)
    assert "\n" not in str(error.value)


def test_odd_sizes_colours_and_parts_end_in_one_line() -> None:
    with pytest.raises(SceneCodeError, match="above 0"):
        Strip([1.0], size=(NAN, 1, 1))
    with pytest.raises(SceneCodeError, match="colours"):
        Strip([0.5, 0.5], colours=["#ffffff"] * 3)
    with pytest.raises(SceneCodeError, match="no part 2"):
        Strip([0.5, 0.5]).part(2)


def test_an_arc_to_itself_draws() -> None:
    assert drawn(slab(), Arc(slab(), slab(), 0.5)).sum() > drawn(slab()).sum()
