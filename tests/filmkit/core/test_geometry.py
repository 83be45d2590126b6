"""Boxes that cut and fit others, and the frame around them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.geometry import CAPTION_STRIP, Box, Frame

BOX = Box(1.0, -2.0, 6.0, 4.0)
SIZE = st.floats(0.1, 20)
WEIGHTS = st.lists(st.floats(0.1, 5), min_size=1, max_size=8)


def sides(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.right, box.bottom, box.top


def test_a_margin_is_taken_off_every_side() -> None:
    assert sides(BOX.inset(0.5)) == pytest.approx((-1.5, 3.5, -3.5, -0.5))
    assert sides(BOX.inset(0.5, 1.0)) == pytest.approx((-1.5, 3.5, -3.0, -1.0))
    assert BOX.inset(0.25).grown(0.25) == BOX
    empty = BOX.inset(9.0)
    assert (empty.width, empty.height, empty.center) == (0, 0, BOX.center)


def test_rows_are_cut_from_the_top_and_columns_from_the_left() -> None:
    first, second = BOX.split_rows([1, 3], gap=0.4)
    assert sides(first) == pytest.approx((-2, 4, -0.9, 0))
    assert sides(second) == pytest.approx((-2, 4, -4, -1.3))
    left, middle, right = BOX.split_columns(3)
    assert [left.width, middle.width, right.width] == pytest.approx([2, 2, 2])
    assert (left.left, middle.left, right.left) == pytest.approx((-2, 0, 2))
    assert left.height == BOX.height


@given(SIZE, SIZE, WEIGHTS, st.floats(0, 0.01))
def test_parts_fill_the_box_with_the_gaps_between_them(
    width: float, height: float, weights: list[float], gap: float
) -> None:
    box = Box(0.3, -0.7, width, height)
    for parts, start, stop, length in (
        (box.split_columns(weights, gap), "left", "right", "width"),
        (box.split_rows(weights, gap)[::-1], "bottom", "top", "height"),
    ):
        assert len(parts) == len(weights)
        assert getattr(parts[0], start) == pytest.approx(getattr(box, start))
        assert getattr(parts[-1], stop) == pytest.approx(getattr(box, stop))
        for one, other in pairwise(parts):
            assert getattr(other, start) - getattr(one, stop) == pytest.approx(gap, abs=1e-9)
        sizes = [getattr(part, length) for part in parts]
        order = weights if length == "width" else weights[::-1]
        unit = sum(sizes) / sum(weights)
        assert sizes == pytest.approx([unit * weight for weight in order])


@given(SIZE, SIZE)
def test_the_largest_box_of_a_shape_touches_two_sides(width: float, height: float) -> None:
    fitted = BOX.fit(width, height)
    assert BOX.contains(fitted)
    assert fitted.center == BOX.center
    assert fitted.width / fitted.height == pytest.approx(width / height)
    assert max(fitted.width / BOX.width, fitted.height / BOX.height) == pytest.approx(1)


@pytest.mark.parametrize("width", [8 * 16 / 9, 8.0, 4.5])
def test_the_strip_for_captions_is_kept_free_only_where_it_is_asked_for(width: float) -> None:
    plain, kept = Frame(width), Frame(width, captions=CAPTION_STRIP)
    assert plain.free.bottom == pytest.approx(plain.safe.bottom)
    assert kept.free.bottom == pytest.approx(max(plain.safe.bottom, -4 + 8 * CAPTION_STRIP))
    assert kept.free.top == pytest.approx(plain.free.top)
    assert kept.safe == plain.safe
    assert kept.stage == kept.free, "its name in scenes that were written before"
