"""A chart of any numbers keeps to its scale and its size, and refuses what it cannot draw."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manim import DL, UR, Mobject

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.numbers import format_share
from filmkit.mobjects.plot import Chart
from filmkit.render.manim_config import changed_config


def box_of(mobject: Mobject) -> Box:
    return Box.between(mobject.get_corner(DL), mobject.get_corner(UR))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1, 1).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=1, max_size=12),
    st.sampled_from([1e-6, 0.03, 1.0, 70.0, 1e9]),
    st.booleans(),
)
def test_bars_are_to_scale_from_a_common_zero(
    shares: list[float], scale: float, named: bool
) -> None:
    values = np.array(shares) * scale
    names = [f"word {index}" for index in range(len(values))] if named else []
    chart = Chart(values, names=names, x="place", y="size")
    assert Box(0, 0, 11, 5.5).contains(box_of(chart), slack=0.05)
    zero = chart.axes.at(0, 0)[1]
    assert chart.axes.base.get_y() == pytest.approx(zero)
    unit = chart.axes.at(0, scale)[1] - zero
    for bar, share in zip(chart.bars, shares, strict=True):
        assert bar.height == pytest.approx(max(abs(share * unit), 0.02), abs=1e-6)
        edge = bar.get_bottom() if share >= 0 else bar.get_top()
        assert edge[1] == pytest.approx(zero)
    assert [label.text for label in chart.names] == names
    words = [box_of(label) for label in (*chart.names, *chart.numbers)]
    assert not any(min(one.overlap(other)) > 0 for one, other in combinations(words, 2))
    for bar, name in zip(chart.bars, chart.names, strict=False):
        assert name.get_x() == pytest.approx(bar.get_x(), abs=0.01)


def test_rules_end_before_the_number_of_a_bar() -> None:
    chart = Chart([0.97, 0.5], y_range=(0, 1), write=format_share)
    plot, rule, number = chart.axes.plot, chart.axes.rules[-1], box_of(chart.numbers[0])
    assert number.bottom < rule.get_y() < number.top
    pieces = [path[:, 0] for path in rule.get_subpaths()]
    assert len(pieces) == 2
    for xs in pieces:
        assert xs.max() < number.left - 0.1 or xs.min() > number.right + 0.1
    assert (rule.get_left()[0], rule.get_right()[0]) == (plot.left, plot.right)


def test_lines_go_through_their_points_and_have_their_names_at_the_end() -> None:
    xs, first, other = [1, 2, 10], [0.5, -1.5, 3.0], [0.0, 0.0, 2.9]
    chart = Chart(lines={"first": first, "other": other}, xs=xs, x="step", y="loss")
    for curve, ys in zip(chart.curves, (first, other), strict=True):
        anchors = [anchor[:2] for anchor in curve.line.get_anchors()]
        for x, y in zip(xs, ys, strict=True):
            assert any(np.allclose(anchor, chart.axes.at(x, y), atol=1e-6) for anchor in anchors)
    assert [label.text for label in chart.ends.labels] == ["first", "other"]
    assert Box(0, 0, 11, 5.5).contains(box_of(chart), slack=0.05)
    assert {"2", "4", "10"} <= {label.text for label in chart.axes.x_ticks}


def test_bars_and_lines_share_their_axes() -> None:
    chart = Chart([1, 2], lines={"mean": [1.5, 1.5]}, colour=["#ff0000", "#00ff00"])
    assert [bar.get_fill_color().to_hex() for bar in chart.bars] == ["#FF0000", "#00FF00"]
    left, right = chart.bars
    assert chart.curves[0].line.get_y() == pytest.approx(
        (left.get_top()[1] + right.get_top()[1]) / 2
    )


def test_names_stand_on_one_line() -> None:
    chart = Chart([1, 2, 3], names=["gypsy", "boat", "no"])
    feet = [name.points[-12][1] for name in chart.names]
    assert feet == pytest.approx([feet[0]] * 3)


def test_all_letters_have_the_size_that_is_chosen() -> None:
    chart = Chart([1, 2], names=["a", "b"], lines={"mean": [1, 2]}, x="x", y="y", size=0.05)
    axes = chart.axes
    texts = (axes.x_ticks, axes.y_ticks, axes.titles, chart.names, chart.numbers, chart.ends.labels)
    assert {label.size for group in texts for label in group} == {0.05}
    assert Box(0, 0, 11, 5.5).contains(box_of(chart), slack=0.05)
    top, title = box_of(axes.y_ticks[-1]).top, box_of(axes.titles[-1]).bottom
    assert title > top


def test_the_vertical_axis_has_the_ends_and_the_writing_that_are_chosen() -> None:
    chart = Chart([0.2, 0.1], y_range=(0, 1), write=format_share)
    assert (chart.axes.y.low, chart.axes.y.high) == (0, 1)
    unit = chart.axes.at(0, 1)[1] - chart.axes.at(0, 0)[1]
    assert unit == pytest.approx(chart.axes.plot.height)
    assert chart.bars[0].height == pytest.approx(0.2 * unit)
    assert [tick.text for tick in chart.axes.y_ticks] == ["0", "20%", "40%", "60%", "80%", "100%"]
    assert [number.text for number in chart.numbers] == ["20%", "10%"]
    assert Chart(lines={"level": [0.5, 0.5]}, y_range=(0.5, 1)).axes.y.low == 0.5


def test_a_chart_fills_its_place_with_letters_of_the_same_size() -> None:
    small = Chart([1, 2], names=["gypsy", "boat"], size=0.03, colour="#ff0000", y_range=(0, 4))
    place = Box(1.0, -2.0, 9.0, 4.0)
    chart = small.copy().filling(place)
    assert place.contains(box_of(chart), slack=0.05)
    assert chart.width > 0.95 * place.width
    assert {label.size for label in (*chart.names, *chart.axes.y_ticks)} == {0.03}
    assert chart.axes.y.high == 4
    assert chart.axes.at(1, 2) == pytest.approx(tuple(chart.bars[1].get_top()[:2]))
    assert chart.bars[0].get_fill_color().to_hex() == "#FF0000"
    assert small.filling(Box(0, 0, 4.0, 9.0)).height < 4.05  # no higher than wide


def test_bars_grow_from_zero() -> None:
    with changed_config({"dry_run": True}):
        chart = Chart([2.0, -1.0])
        ends = [box_of(bar) for bar in chart.bars]
        animation = chart.grow()
        animation.begin()
        zero = chart.axes.base.get_y()
        for bar in chart.bars:
            assert bar.height < 0.01
            assert bar.get_y() == pytest.approx(zero, abs=0.01)
        animation.interpolate(1.0)
        for bar, end in zip(chart.bars, ends, strict=True):
            assert box_of(bar).height == pytest.approx(end.height)


REFUSED: dict[str, tuple[Callable[[], Chart], str]] = {
    "nothing": (Chart, "shows nothing; give it numbers"),
    "not a number": (lambda: Chart([1, np.nan]), "bars of a chart must be one row of finite"),
    "words": (lambda: Chart(["a"]), "must be one row of finite numbers"),
    "a matrix": (lambda: Chart(np.ones((2, 2))), "must be one row of finite numbers"),
    "too few names": (
        lambda: Chart([1, 2], names=["a"]),
        "has 2 numbers of bars and 1 of names; make them as many",
    ),
    "a short line": (
        lambda: Chart(lines={"a": [1, 2], "b": [1]}),
        "2 numbers of line 'a' and 1 of line 'b'",
    ),
    "one point": (lambda: Chart(lines={"a": [1]}), "a line needs two points or more"),
    "back and forth": (lambda: Chart(lines={"a": [1, 2]}, xs=[1, 1]), "must grow from left"),
    "bars that do not begin at zero": (
        lambda: Chart([2, 3], y_range=(1, 4)),
        "is two numbers around all that it shows: bars from 0, lines, here 0 to 3",
    ),
    "too low an end": (lambda: Chart(lines={"a": [1, 2]}, y_range=(0, 1)), "here 1 to 2"),
    "no range": (lambda: Chart(lines={"a": [1, 1]}, y_range=(1, 1)), "y_range of a chart is two"),
    "three ends": (lambda: Chart([1], y_range=(0, 1, 2)), "y_range of a chart is two"),  # type: ignore[arg-type]
    "places of bars": (lambda: Chart([1, 2], xs=[1, 2]), "xs is for lines alone"),
    "no room": (lambda: Chart(lines={"a long name": [1, 2]}, width=1), "make it wider"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_drawn_is_refused_in_one_line(
    make: Callable[[], Chart], message: str
) -> None:
    with pytest.raises(SceneCodeError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
