"""Layouts of the scene of one head, for all shapes of frames and numbers of tokens."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.geometry import HEADER, Box, Frame
from filmkit.mobjects.product_layout import ChannelAxis, ProductLayout, TokenAxis, product_layout
from filmkit.render.quality import ASPECTS, frame_size
from scenes.attention.layout import (
    aside,
    meeting_layout,
    mix_layout,
    pattern_layout,
    projection_layout,
    scores_room,
    source_layout,
    spaced,
)

FRAMES = {
    name: Frame(*frame_size(120 * across, 120 * down)) for name, (across, down) in ASPECTS.items()
}
FRAME = st.sampled_from(list(FRAMES.values()))
COUNTS = st.integers(2, 24)
WORDS = st.floats(5, 90)


def scores_of(frame: Frame, count: int, words: float) -> ProductLayout:
    return product_layout(
        frame,
        scores_room(frame),
        rows=count,
        inner=ChannelAxis(64),
        columns=TokenAxis(count),
        word_length=words,
        below=0.72,
    )


def mix_of(frame: Frame, count: int, words: float) -> ProductLayout:
    return product_layout(
        frame,
        rows=count,
        inner=TokenAxis(count),
        columns=ChannelAxis(64),
        word_length=words,
        below=0.5,
        above=0.42,
    )


@given(FRAME, COUNTS, st.sampled_from([8, 64, 576, 7168]), st.floats(0.2, 1.0))
def test_rows_of_a_token_have_one_height_on_the_way_from_x(
    frame: Frame, count: int, d_model: int, words: float
) -> None:
    layout = projection_layout(frame, count=count, d_model=d_model, word_width=words)
    boxes = [layout.x, *layout.panels]
    assert {(round(b.top, 6), round(b.bottom, 6)) for b in boxes} == {
        (round(layout.x.top, 6), round(layout.x.bottom, 6))
    }
    for weight, panel in zip(layout.weights, layout.panels, strict=True):
        assert (weight.left, weight.right) == pytest.approx((panel.left, panel.right))
        assert weight.bottom >= panel.top + HEADER
    parts = [*boxes, *layout.weights, *layout.bars]
    assert all(frame.stage.contains(box) for box in (*parts, layout.x_alone, layout.bar_alone))
    assert all(a.overlap(b) == (0.0, 0.0) for a, b in combinations(parts, 2))
    assert sum(layout.x_columns) <= d_model


@given(FRAME, COUNTS, WORDS)
def test_a_figure_has_its_place_outside_of_the_product(
    frame: Frame, count: int, words: float
) -> None:
    layout = scores_of(frame, count, words)
    room = aside(frame, layout)
    assert frame.stage.contains(room, slack=0.4)
    for box in (layout.left, layout.top, layout.product):
        assert min(room.overlap(box)) == 0.0


@given(FRAME, COUNTS, WORDS)
def test_two_rows_meet_in_the_corner_or_alone(frame: Frame, count: int, words: float) -> None:
    layout = scores_of(frame, count, words)
    meeting = meeting_layout(frame, layout)
    parts = (meeting.query, meeting.key, meeting.products)
    assert all(frame.stage.contains(box) for box in parts)
    assert all(a.overlap(b) == (0.0, 0.0) for a, b in combinations(parts, 2))
    if not meeting.alone:
        # A query rises straight up, so its channels stay where they are.
        assert (meeting.query.left, meeting.query.right) == pytest.approx(
            (layout.left.left, layout.left.right)
        )
        for box in parts:
            assert min(box.overlap(layout.left)) == min(box.overlap(layout.top)) == 0.0


@given(FRAME, COUNTS, st.floats(0.2, 1.4))
def test_a_pattern_and_its_words_are_inside(frame: Frame, count: int, words: float) -> None:
    layout = pattern_layout(frame, count=count, word_width=words)
    cells = layout.cells
    assert cells.width == pytest.approx(cells.height)
    whole = Box.of(cells.left - words, cells.right, cells.bottom, cells.top + words)
    assert frame.stage.contains(whole)
    assert len(layout.rows) == len(layout.columns) == count


@given(FRAME, COUNTS, WORDS)
def test_weights_stand_beside_the_rows_that_they_scale(
    frame: Frame, count: int, words: float
) -> None:
    layout = mix_of(frame, count, words)
    mix = mix_layout(frame, layout, share_width=0.4)
    assert (mix.weights.top, mix.weights.bottom) == pytest.approx(
        (layout.top.top, layout.top.bottom)
    )
    assert mix.weights.right < layout.top.left
    assert mix.weights.width == pytest.approx(layout.pitch)
    assert mix.hidden.bottom > layout.top.top
    assert mix.words[0][0] < mix.shares[0][0] < mix.weights.left
    source = source_layout(frame, layout, d_model=576, formula=0.5)
    assert (source.x.top, source.x.bottom) == pytest.approx((layout.top.top, layout.top.bottom))
    assert source.x.right < source.weight.left < source.weight.right < layout.top.left


def test_of_lines_that_would_touch_the_first_ones_stay() -> None:
    assert spaced([0.0, 0.1, 0.5, 0.55], [2, 1, 0, 3], 0.2) == [2, 1]
