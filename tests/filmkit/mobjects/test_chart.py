"""Charts keep to their box, their scale and their data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from manim import Mobject

from filmkit.core.geometry import Box
from filmkit.mobjects.chart import (
    ChartAxes,
    ChartAxis,
    Curve,
    EndLabels,
    spread,
)

BOX = Box(0.3, -0.2, 11.0, 5.5)
PLAIN = ChartAxis(0, 100, (0, 50, 100), "tokens")
RANKS = ChartAxis(8, 512, (8, 64, 512), "rank")


def box_of(mobject: Mobject) -> Box:
    return Box.between(mobject.get_corner([-1, -1, 0]), mobject.get_corner([1, 1, 0]))


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 1.5)), max_size=6))
def test_labels_are_moved_apart_and_keep_their_order(labels: list[tuple[float, float]]) -> None:
    wanted, sizes = [w for w, _ in labels], [s for _, s in labels]
    found = spread(wanted, sizes, -20, 20)
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], found[i]))
    for one, two in pairwise(order):
        assert found[two] - found[one] >= (sizes[one] + sizes[two]) / 2 - 1e-9
    for place, size in zip(found, sizes, strict=True):
        assert place - size / 2 >= -20 - 1e-9
        assert place + size / 2 <= 20 + 1e-9


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([3.0, 1.0, 2.0], [0.5, 0.5, 0.5], 0, 5) == (3.0, 1.0, 2.0)
    assert spread([0.0, 0.1], [1.0, 1.0], 0, 5) == pytest.approx((0.5, 1.5))


def test_equal_differences_are_equal_steps_on_an_axis() -> None:
    assert RANKS.share(260) == pytest.approx(0.5)
    assert PLAIN.share(50) == pytest.approx(0.5)


def test_a_curve_goes_through_its_data() -> None:
    axes = ChartAxes(RANKS, PLAIN, BOX)
    curve = Curve(axes, [8, 64, 512], [0, 50, 100], colour="#ffffff")
    anchors = np.array(curve.line.get_anchors())
    np.testing.assert_allclose(anchors[0, :2], axes.at(8, 0))
    np.testing.assert_allclose(anchors[-1, :2], axes.at(512, 100))
    assert any(np.allclose(anchor[:2], axes.at(64, 50)) for anchor in anchors)
    assert curve.end == pytest.approx(axes.at(512, 100))


def test_axes_with_everything_on_them_stay_in_their_box() -> None:
    axes = ChartAxes(PLAIN, ChartAxis(0, 9, (0, 3, 9), "GB"), BOX, right=2.0)
    curves = [Curve(axes, [0, 100], [0, end], colour="#ffffff") for end in (0.1, 0.2, 8)]
    labels = EndLabels(curves, ["one", "two", "three"])
    for part in (axes, *curves, labels):
        assert BOX.contains(box_of(part), slack=0.01)
    texts = [box_of(label) for label in labels.labels]
    for index, one in enumerate(texts):
        assert not any(min(one.overlap(two)) > 0 for two in texts[index + 1 :])


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    st.floats(1e-6, 1e9),
    st.booleans(),
)
@example(shares=[0.0, 1.0], scale=5e-321, whole=False)
def test_an_axis_covers_its_numbers_with_a_few_round_ticks(
    shares: list[float], scale: float, whole: bool
) -> None:
    values = np.array(shares) * scale
    axis = ChartAxis.covering(values, whole=whole)
    slack = 1e-6 * (axis.high - axis.low)
    assert axis.low - slack <= values.min() <= values.max() <= axis.high + slack
    assert 2 <= len(axis.ticks) <= 8
    steps = np.diff(axis.ticks)
    assert steps == pytest.approx(steps[0])
    assert f"{steps[0]:.3e}"[0] in "125"
    assert f"{steps[0]:.3e}"[1:5] == ".000"
    assert len({*axis.tick_labels}) == len(axis.ticks)
    for tick in axis.ticks:
        assert axis.low - slack <= tick <= axis.high + slack
    if whole:
        assert (axis.ticks[0], axis.ticks[-1]) == pytest.approx((axis.low, axis.high))
