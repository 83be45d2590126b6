"""Charts keep to their box, their scale and their data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manim import Mobject

from filmkit.core.geometry import Box
from filmkit.mobjects.chart import (
    BarRow,
    Bracket,
    ChartAxes,
    ChartAxis,
    Curve,
    DotPlot,
    DotSeries,
    EndLabels,
    Paragraph,
    ReferenceLine,
    ScaleBars,
    Span,
    spread,
)

BOX = Box(0.3, -0.2, 11.0, 5.5)
PLAIN = ChartAxis(0, 100, (0, 50, 100), "tokens")
RANKS = ChartAxis(8, 512, (8, 64, 512), "rank", log=True)


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


def test_equal_ratios_are_equal_steps_on_a_log_axis_which_says_so() -> None:
    assert RANKS.share(64) == pytest.approx(0.5)
    assert PLAIN.share(50) == pytest.approx(0.5)
    assert RANKS.full_title == "rank, log scale"
    assert PLAIN.full_title == "tokens"


def test_a_curve_goes_through_its_data_and_ends_at_the_top_of_its_axes() -> None:
    axes = ChartAxes(RANKS, PLAIN, BOX)
    curve = Curve(axes, [8, 64, 512], [0, 50, 100], colour="#ffffff")
    anchors = np.array(curve.line.get_anchors())
    np.testing.assert_allclose(anchors[0, :2], axes.at(8, 0))
    np.testing.assert_allclose(anchors[-1, :2], axes.at(512, 100))
    assert any(np.allclose(anchor[:2], axes.at(64, 50)) for anchor in anchors)
    axes.set_y_high(75)
    curve.redraw()
    before, after = axes.at(64, 50), axes.at(512, 100)
    assert curve.end == pytest.approx(((before[0] + after[0]) / 2, axes.plot.top))


def test_axes_with_everything_on_them_stay_in_their_box() -> None:
    axes = ChartAxes(PLAIN, ChartAxis(0, 9, (0, 3, 9), "GB"), BOX, right=2.0)
    curves = [Curve(axes, [0, 100], [0, end], colour="#ffffff") for end in (0.1, 0.2, 8)]
    labels = EndLabels(curves, ["one", "two", "three"])
    low = ReferenceLine(axes, 3.0, "a limit")
    high = ReferenceLine(axes, 3.2, "another", beside=low)
    for part in (axes, *curves, labels, low, high):
        assert BOX.contains(box_of(part), slack=0.01)
    texts = [box_of(label) for label in (*labels.labels, low.label, high.label)]
    for index, one in enumerate(texts):
        assert not any(min(one.overlap(two)) > 0 for two in texts[index + 1 :])


def test_reference_lines_follow_their_number() -> None:
    axes = ChartAxes(PLAIN, ChartAxis(0, 9, (0, 9), "GB"), BOX)
    line = ReferenceLine(axes, 3.0, "a limit")
    for high in (9, 4.5):
        axes.set_y_high(high)
        assert line.redraw().line.get_y() == pytest.approx(axes.at(0, 3.0)[1])


def test_bars_are_to_scale_and_in_their_box() -> None:
    rows = [
        BarRow("all", "every head", (Span(60, "#ffffff"), Span(40, "#888888")), "100 bytes"),
        BarRow("few", "", (Span(1, "#ffffff"),), "one byte, said at greater length"),
    ]
    bars = ScaleBars(rows, BOX)
    assert BOX.contains(box_of(bars))
    long, short = bars.bar_box(0), bars.bar_box(1)
    assert long.width / short.width == pytest.approx(100)
    assert long.left == pytest.approx(short.left)
    assert bars.bars[0][0].width / bars.bars[0][1].width == pytest.approx(1.5)


def test_bars_with_captions_are_as_wide_as_their_box_and_names_stand_below() -> None:
    rows = [
        BarRow("a name as long as the box", "a long note", (Span(60, "#ffffff"),), "100 bytes"),
        BarRow("few", "note", (Span(1, "#ffffff"),), "one byte"),
    ]
    box = Box(0.3, -0.2, 5.0, 5.0)
    bars = ScaleBars(rows, box, captioned=True)
    assert box.contains(box_of(bars))
    assert bars.bar_box(0).left == pytest.approx(box.left)
    for row in range(2):
        name, note, bar = (
            box_of(part) for part in (bars.names[row], bars.notes[row], bars.bars[row])
        )
        assert note.top < name.bottom < name.top < bar.bottom
    assert bars.bar_box(1).top < box_of(bars.notes[0]).bottom


def test_notes_stand_beside_names_below_bars_where_there_is_room() -> None:
    rows = [
        BarRow("many", "2 × 3", (Span(60, "#ffffff"),), "60"),
        BarRow("few", "2", (Span(1, "#ffffff"),), "1"),
    ]
    bars = ScaleBars(rows, Box(0.3, -0.2, 5.0, 3.0), captioned=True)
    for row in range(2):
        name, note, bar = (
            box_of(part) for part in (bars.names[row], bars.notes[row], bars.bars[row])
        )
        assert name.right < note.left
        assert name.y == pytest.approx(note.y, abs=0.05)
        assert name.top < bar.bottom
        # A name is nearer to its own bar than to the next one.
        if row == 0:
            assert bar.bottom - name.top < name.bottom - bars.bar_box(1).top


def test_a_paragraph_that_is_broken_ends_where_it_would_end_unbroken() -> None:
    text = "as many words as do not fit in a line of this width, and some more"
    whole, lines = Paragraph([text], (1.0, 2.0)), Paragraph([text], (1.0, 2.0), width=2.5)
    assert len(whole) == 1
    assert len(lines) > 2
    assert max(line.width for line in lines) <= 2.5
    assert lines[-1].get_y() == pytest.approx(whole.get_y(), abs=0.01)
    assert lines[0].get_y() > whole.get_y()


@pytest.mark.parametrize("towards", [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)])
def test_a_bracket_stands_off_on_its_side(towards: tuple[float, float]) -> None:
    first, last = ((0.0, 0.0), (3.0, 0.0)) if towards[1] else ((0.0, 0.0), (0.0, 3.0))
    bracket = Bracket(first, last, "57 ×", towards=towards)
    away = np.array([*towards, 0.0])
    assert all(point @ away > 0 for point in bracket.wire.line.points)
    assert (bracket.label.get_center() - bracket.wire.get_center()) @ away > 0
    assert min(box_of(bracket.label).overlap(box_of(bracket.wire))) == 0


def test_dots_stand_at_their_numbers_and_their_labels_apart() -> None:
    series = [
        DotSeries("a long name", (10, 20), "#ffffff"),
        DotSeries("and another", (12, 90), ("#ffffff", "#888888"), hollow=True),
    ]
    plot = DotPlot(["first", "second"], series, PLAIN, BOX, write=lambda v: f"{v:.0f} %")
    assert BOX.contains(box_of(plot), slack=0.02)
    above = DotPlot(["first", "second"], series, PLAIN, BOX, captioned=True)
    assert above.plot.width > plot.plot.width
    for row in range(2):
        assert above.names[row].get_left()[0] == pytest.approx(BOX.left)
        assert box_of(above.names[row]).bottom > box_of(above.dots[0][row]).top
        assert BOX.top > above.names[row].get_y() > above.plot.top - (row + 1) * above.pitch
    for dots, one in zip(plot.dots, series, strict=True):
        for row, value in enumerate(one.values):
            np.testing.assert_allclose(dots[row].get_center()[:2], plot.at(value, row))
    for line in (plot.series_names, [column[0] for column in plot.numbers]):
        left, right = (box_of(label) for label in line)
        assert min(left.overlap(right)) == 0
