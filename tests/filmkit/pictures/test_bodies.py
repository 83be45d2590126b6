"""Slabs, reliefs, bars and panes: lengths are numbers, and what lies on a body goes along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from manim import PI, UP, FadeIn, FadeOut, Group, Mobject, Rotate, Square, Transform

from filmkit.core.animations import Appear, Glide, Presence, Vanish, at_once, presence
from filmkit.core.body import Body
from filmkit.core.contrast import contrast
from filmkit.core.errors import SceneCodeError
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.solids import in_depth
from filmkit.core.theme import use_theme
from filmkit.pictures.bodies import Bars, Pane, Relief, Rows, Slab, number_at
from filmkit.pictures.parts import Matrix

ROW = np.array([1.0, -2.0, 0.0, 0.5, -0.25])


def lengths(body: Body) -> Any:
    """Return the signed lengths of the bars of a body, from the zero line, in its own units."""
    assert body.values is not None
    bars = body.boxes[body.first : body.first + len(body.values), :, 1]
    assert (np.abs(bars).min(axis=1) == 0).all()
    return bars.sum(axis=1)


def played(animation: Any, alpha: float) -> None:
    animation.begin()
    animation.interpolate(alpha)


@pytest.mark.parametrize("count", [1, 2, 64, 576])
@pytest.mark.parametrize("unit", [None, 4.0])
def test_bars_of_a_relief_are_as_long_as_numbers_say(count: int, unit: float | None) -> None:
    values = np.random.default_rng(count).normal(size=count)
    relief = Relief(values, role="value", unit=unit)
    assert lengths(relief) * relief.unit == pytest.approx(values)
    assert len(relief.boxes) == count + 1
    assert np.ptp(relief.extent[:, 0]) == pytest.approx(6)
    assert relief.unit == (unit or pytest.approx(np.abs(values).max() / 0.8))


def test_bars_below_zero_are_darker_and_lie_under_the_line() -> None:
    relief = Relief(ROW, role="key")
    up, down = relief.colours[1], relief.colours[2]
    assert down**2 == pytest.approx(0.58 * up**2)
    assert relief.layers.tolist() == [0, 1, -1, 0, 1, -1]
    low, high = relief.boxes[1]
    assert (high - low)[0] == pytest.approx(0.74 * 6 / 5)


def test_bars_below_zero_are_paler_on_white() -> None:
    with use_theme("print"):
        relief = Relief(ROW, role="key")
    assert (relief.colours[2] > relief.colours[1]).all()
    assert (relief.colours[0] > relief.colours[2]).all()


def test_reliefs_on_one_scale_can_be_compared() -> None:
    unit = Relief.unit_of(ROW, 3 * ROW, height=1.5)
    small, large = Relief(ROW, unit=unit), Relief(3 * ROW, unit=unit)
    assert lengths(large) == pytest.approx(3 * lengths(small))
    assert np.abs(lengths(large)).max() == pytest.approx(1.5)
    assert Relief.unit_of(np.zeros(3)) == 1


def test_the_end_of_a_bar_is_found_wherever_the_relief_stands() -> None:
    relief = Relief(ROW, unit=2.0).put((1, 2, 3), turn=90)
    x, y, z = relief.bar(1)
    assert (x, y, z) == pytest.approx((1, 2 - 1, 3 + 1.2))
    assert relief.bar(-4) == pytest.approx(relief.bar(1))


def test_a_row_of_a_matrix_knows_where_it_comes_from() -> None:
    source = TensorSource("v.11", index=((1, 4), 2, (0, 5)))
    matrix = Matrix(np.stack([ROW, 2 * ROW, -ROW]), source=source, words=("a", " b", "c"), name="v")
    relief = Relief.of(matrix, -1)
    assert relief.source.index == ((3, 4), 2, (0, 5))
    assert (relief.told, relief.unit) == ("c: v", 2 / 0.8)
    assert Relief.of(Heatmap(matrix.values, source=source), 0).source.index[0] == (1, 2)


def test_rows_have_one_scale_and_stand_behind_each_other_above_the_floor() -> None:
    rows = Rows(np.stack([ROW, 4 * ROW, 0.1 * ROW]), words=("a", "b", "c"), role="value", gap=0.5)
    assert len({relief.unit for relief in rows}) == 1
    assert [relief.points[0, 2] for relief in rows] == [-1.0, -0.5, 0.0]
    assert 0 <= min(relief.corners[:, 1].min() for relief in rows) < 0.01
    assert [relief.told for relief in rows] == ["a", "b", "c"]
    words = [relief.submobjects[0] for relief in rows]
    assert all(0.2 < word.line_height < 0.5 for word in words)
    assert all(word.get_right()[0] < -3 for word in words)


def test_one_row_comes_forward_and_goes_back() -> None:
    rows = Rows(np.stack([ROW] * 4), words="abcd", gap=0.5)
    homes = [relief.points.copy() for relief in rows]
    word = rows[1].submobjects[0].points.copy()
    coming = rows.forward(1)
    assert (rows[1].points == homes[1]).all()
    at_once(coming)
    assert [relief.points[0, 2] for relief in rows] == pytest.approx([-2, 0.5, -1, -0.5])
    assert rows[1].submobjects[0].points - word == pytest.approx(
        np.tile([0, 0, 1.5], (len(word), 1))
    )
    at_once(rows.forward(2))
    at_once(rows.forward(None))
    assert np.array([relief.points for relief in rows]) == pytest.approx(np.array(homes))


@pytest.mark.parametrize("sign", [1, -1])
def test_bars_stand_on_what_they_belong_to(sign: int) -> None:
    slabs = [Slab(word).put((i, 0, i), turn=20) for i, word in enumerate(("a", "b"))]
    towers = Bars([1.0, sign * 0.5], slabs, height=2)
    for tower, slab, value in zip(towers, slabs, [1.0, sign * 0.5], strict=True):
        assert (tower.kind, tower.told, tower.values) == ("bars", slab.told, [value])
        assert lengths(tower) == pytest.approx(2 * value)
        assert tower.corners[:, 1].min() == pytest.approx(slab.top[1] + (sign < 0) * (value > 0))
        assert tower.axes == pytest.approx(slab.axes)
    assert towers.bar(0)[1] == pytest.approx(slabs[0].top[1] + 2 + (sign < 0))


def test_what_grows_begins_flat_and_ends_as_it_was() -> None:
    towers = Bars([1.0, 3.0, 2.0])
    ends = [tower.points.copy() for tower in towers]
    growing = towers.grow(rate_func=lambda t: t)
    played(growing, 0.5)
    assert towers[1].corners[:, 1].max() == pytest.approx(0.75, rel=0.01)
    growing.finish()
    assert np.array([tower.points for tower in towers]) == pytest.approx(np.array(ends))


def test_a_long_word_widens_a_slab_or_gets_smaller() -> None:
    short, long, longest = (
        Slab("internationalisation"[:n] * m) for n, m in ((1, 1), (20, 1), (20, 9))
    )
    wide = [float(np.ptp(slab.extent[:, 0])) for slab in (short, long, longest)]
    assert wide[0] < wide[1] < wide[2] == pytest.approx(3.5)
    narrow, least = (Slab("internationalisation", width=width) for width in (1.0, 0.05))
    for slab in (short, long, longest, narrow, least):
        assert slab.word is not None
        assert slab.word.width < np.ptp(slab.extent[:, 0])
    assert Slab("").word is None


@pytest.mark.parametrize("theme", ["dark", "light", "print"])
@pytest.mark.parametrize("role", ["", "query", "key", "value", "latent", "scores"])
def test_a_word_can_be_read_on_its_slab(theme: str, role: str) -> None:
    with use_theme(theme):
        slab = Slab("white", role=role)
        assert slab.word is not None
        assert contrast(slab.colours[0] / 255, slab.word.get_fill_color().to_rgb()) >= 4.5


@pytest.mark.parametrize("word", ["white", ""])
def test_numbers_are_engraved_within_the_face(word: str) -> None:
    slab = Slab(word, width=2.0).put((1, 0, 2), turn=30)
    row = slab.engrave(ROW, "query")
    assert row in slab.submobjects
    assert lengths(row) * row.unit == pytest.approx(ROW)
    own = (row.corners - slab.points[0]) @ np.linalg.inv(slab.axes)
    assert own[:, 2] == pytest.approx(0.1)
    low, high = slab.boxes[0]
    assert ((own[:, :2] > low[:2]) & (own[:, :2] < high[:2])).all()
    if slab.word:
        assert slab.word.get_bottom()[1] > row.corners[:, 1].max() - 0.05


def carried() -> list[Slab | Pane]:
    slab, pane = Slab("white"), Pane(np.eye(4), told="weights")
    slab.engrave(ROW)
    return [slab, pane]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "move",
    [
        lambda body: body.shift([1, 2, 3]),
        lambda body: body.put((1, 0, 2), turn=40, size=2),
        lambda body: body.rotate(PI / 3, UP),
        lambda body: body.scale(0.5),
    ],
)
def test_what_lies_on_a_body_goes_along(number: int, move: Callable[[Body], object]) -> None:
    body = carried()[number]

    def places() -> Any:
        points = np.concatenate([part.points for part in body.get_family()])
        return (points - body.points[0]) @ np.linalg.inv(body.axes)

    before, place = places(), body.points.copy()
    move(body)
    assert places() == pytest.approx(before)
    assert np.abs(body.points - place).max() > 0.1


def test_a_pane_is_filled_by_its_matrix_and_seen_from_both_sides() -> None:
    pane = Pane(Matrix(np.eye(2, 4)), height=1.0).put((1, 0, 0), turn=90)
    assert pane.cells.shape == (2, 4)
    assert np.ptp(pane.corners[:, 2]) == pytest.approx(2.06)
    assert pane.cells.get_center() == pytest.approx([1, 0.53, 0])
    for eye in ([9.0, 1, 0], [-9.0, 1, 0]):
        assert in_depth([pane, pane.cells], np.array(eye), lambda _part: False)[1] is pane.cells


def test_manim_measures_what_is_drawn() -> None:
    relief = Relief([1.0, -1.0], width=2.0, height=0.5).put((3, 1, 0))
    assert relief.get_center() == pytest.approx([3, 1, 0])
    assert (relief.width, relief.height) == pytest.approx((2, 1))
    Group(relief).scale(2)
    assert relief.get_center() == pytest.approx([3, 1, 0])
    assert relief.width == pytest.approx(4)


def test_numbers_turn_into_others_and_stay_true_on_the_way() -> None:
    one, other = Relief(ROW, unit=1.0), Relief(-3 * ROW, unit=2.0).put((0, 1, 0))
    changing = Transform(one, other, rate_func=lambda t: t)
    changing.begin()
    for alpha in (0.0, 0.2, 0.5, 0.8):
        changing.interpolate(alpha)
        assert lengths(one) * one.unit == pytest.approx(one.values)
    assert one.points[0, 1] == pytest.approx(0.8)
    changing.finish()
    assert one.values == pytest.approx(-3 * ROW)
    assert lengths(one) == pytest.approx(lengths(other))


def test_bodies_of_other_counts_change_in_the_middle() -> None:
    slab, relief = carried()[0], Relief(ROW)
    changing = Transform(slab, relief, rate_func=lambda t: t)
    played(changing, 0.4)
    assert len(slab.boxes) == 2
    changing.interpolate(0.6)
    assert len(slab.boxes) == 6
    with pytest.raises(SceneCodeError, match="not into Square"):
        Transform(Slab("a"), Square()).begin()


def test_bodies_fade_in_and_out() -> None:
    slab = Slab("white")
    fading = FadeIn(slab, shift=UP, rate_func=lambda t: t)
    played(fading, 0.25)
    assert presence(slab) == pytest.approx(0.25)
    fading.finish()
    assert presence(slab) == 1
    played(FadeOut(slab, rate_func=lambda t: t), 0.75)
    assert presence(slab) == pytest.approx(0.25)


@pytest.mark.parametrize("number", [0, 1])
def test_animations_of_the_kit_and_of_manim_work_on_bodies(number: int) -> None:
    body: Mobject = carried()[number]
    at_once(Appear(body))
    at_once(Presence(body, 0.4))
    assert {presence(part) for part in body.get_family()} == {0.4}
    at_once(Glide(body, body.copy().shift([1, 0, 0])))
    before = body.get_center()
    at_once(Rotate(body, PI / 2, axis=UP))
    assert body.get_center() == pytest.approx(before)
    at_once(body.animate.shift([0, 1, 0]).build())
    assert body.get_center() - before == pytest.approx([0, 1, 0])
    at_once(Vanish(body))


def test_a_blank_that_breaks_no_line_is_a_blank() -> None:
    assert number_at("9\u00a0Köpfe", (0, 0, 0)).text == "9 Köpfe"


def test_numbers_lie_on_the_floor_stand_and_float() -> None:
    flat = number_at("69 %", (1, 0, 2), "floor", size=0.8)
    assert np.ptp(flat.points[:, 1]) == 0
    assert flat.get_center() == pytest.approx([1, 0, 2], abs=0.02)
    assert flat.points[-8, 2] < flat.points[-12, 2]  # its top is farther away
    standing = number_at(3.891, (0, 0, 0), "stands", turn=90)
    assert standing.text == "3.89"
    assert standing.points[[-12, -8], 1] == pytest.approx([0, 0.5])
    assert np.ptp(standing.points[:, 0]) == pytest.approx(0)
    assert number_at("a", (1, 2, 3)).anchor.tolist() == [1, 2, 3]
    assert number_at("4,0\N{NO-BREAK SPACE}Mo", (0, 0, 0)).text == "4,0 Mo"


BAD: dict[str, Callable[[], object]] = {
    "not a number": lambda: Relief([1, np.nan]),
    "infinite": lambda: Relief([np.inf]),
    "empty": lambda: Relief([]),
    "two axes": lambda: Relief(np.eye(3)),
    "too many": lambda: Relief(np.zeros(10_000)),
    "words": lambda: Relief(["a"]),
    "ragged": lambda: Rows([[1], [1, 2]]),
    "negative width": lambda: Relief(ROW, width=-1),
    "width that is none": lambda: Relief(ROW, width="wide"),  # type: ignore[arg-type]
    "unit of zero": lambda: Relief(ROW, unit=0),
    "unit that is none": lambda: Relief(ROW, unit=float("nan")),
    "height of zero": lambda: Relief(ROW, height=0),
    "negative depth": lambda: Relief(ROW, depth=-1),
    "no role": lambda: Relief(ROW, role="qury"),
    "no attribute of a theme": lambda: Slab("a", role="name"),
    "no colour": lambda: Slab("a", role="#12"),
    "no bar": lambda: Relief(ROW).bar(5),
    "no row": lambda: Rows(np.eye(3)).forward(3),
    "many rows": lambda: Rows(np.zeros((49, 2))),
    "words of rows": lambda: Rows(np.eye(3), words=["a"]),
    "bars on too few": lambda: Bars([1, 2], [Slab("a")]),
    "bars on squares": lambda: Bars([1], [Square()]),
    "bars of no unit": lambda: Bars([-1], unit=0),
    "bar of no width": lambda: Bars([1], side=0),
    "slab of nothing": lambda: Slab(float("nan")),
    "slab of a list": lambda: Slab(["a"]),  # type: ignore[arg-type]
    "slab of no width": lambda: Slab("a", width=0),
    "thin slab": lambda: Slab("a", thickness=-1),
    "engraved too long": lambda: Slab("a").engrave(ROW, unit=1e-3),
    "engraved many": lambda: Slab("a").engrave(np.zeros(577)),
    "pane of a row": lambda: Pane(ROW),
    "pane of nan": lambda: Pane([[np.nan]]),
    "pane of no height": lambda: Pane(np.eye(2), height=0),
    "number nowhere": lambda: number_at("1", (0, 0)),
    "number at nan": lambda: number_at("1", (0, 0, np.nan)),
    "number that flies": lambda: number_at("1", (0, 0, 0), "flies"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_made_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(SceneCodeError) as refused:
        BAD[name]()
    assert "\n" not in str(refused.value)
