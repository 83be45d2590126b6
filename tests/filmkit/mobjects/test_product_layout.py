"""The layout of a product, for all shapes of frames, numbers of tokens and sizes of heads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.mobjects.product_layout import (
    LINE,
    MANY_COLUMNS,
    MIN_CHANNEL,
    STRETCH,
    ChannelAxis,
    ProductLayout,
    TokenAxis,
    channel_axis,
    product_layout,
)
from filmkit.render.quality import ASPECTS, frame_size

FRAMES = {
    name: Frame(*frame_size(120 * across, 120 * down)) for name, (across, down) in ASPECTS.items()
}
COUNTS = st.integers(2, 24)
HEADS = st.integers(16, 256)
WORDS = st.floats(5, 90)


def scores(frame: Frame, count: int, d_head: int, words: float) -> ProductLayout:
    return product_layout(
        frame,
        rows=count,
        inner=ChannelAxis(d_head),
        columns=TokenAxis(count),
        word_length=words,
    )


def mix(frame: Frame, count: int, d_head: int, words: float) -> ProductLayout:
    return product_layout(
        frame,
        rows=count,
        inner=TokenAxis(count),
        columns=ChannelAxis(d_head),
        word_length=words,
    )


@pytest.mark.parametrize("kind", [scores, mix])
@pytest.mark.parametrize("aspect", ASPECTS)
@given(count=COUNTS, d_head=HEADS, words=WORDS)
def test_it_is_a_product_inside_the_frame(
    aspect: str, kind, count: int, d_head: int, words: float
) -> None:
    frame = FRAMES[aspect]
    layout = kind(frame, count, d_head, words)
    assert frame.stage.contains(layout.bounds, slack=1e-9)
    left, top, product = layout.left, layout.top, layout.product
    # Rows run on, columns drop down, and the inner axis is the same for both factors.
    assert (left.top, left.bottom) == pytest.approx((product.top, product.bottom))
    assert (top.left, top.right) == pytest.approx((product.left, product.right))
    assert 1 / STRETCH - 1e-9 <= left.width / top.height <= STRETCH + 1e-9
    if isinstance(layout.inner, TokenAxis):
        assert left.width == pytest.approx(top.height)
    assert left.right < product.left
    assert top.bottom > product.top
    assert product.height == pytest.approx(layout.pitch * count)
    for axis, box in ((layout.inner, left), (layout.columns, top)):
        if isinstance(axis, TokenAxis):
            assert box.width == pytest.approx(layout.pitch * axis.count)
    assert not layout.corner.overlap(left)[0]
    assert not layout.corner.overlap(top)[0]


@pytest.mark.parametrize("kind", [scores, mix])
@pytest.mark.parametrize("aspect", ASPECTS)
@given(count=COUNTS, d_head=HEADS, words=WORDS)
def test_words_and_channels_can_be_seen(
    aspect: str, kind, count: int, d_head: int, words: float
) -> None:
    frame = FRAMES[aspect]
    layout = kind(frame, count, d_head, words)
    unit = frame.shorter_side
    assert layout.letters * FRAME_HEIGHT >= 0.024 * unit - 1e-9
    if layout.names_rows:
        assert layout.pitch >= LINE * layout.letters * FRAME_HEIGHT - 1e-9
    assert layout.names_columns <= (count < MANY_COLUMNS)
    for axis in (layout.inner, layout.columns):
        if isinstance(axis, ChannelAxis):
            assert axis.pitch >= MIN_CHANNEL * unit - 1e-9
            assert axis.whole == (axis.first == axis.count)
            assert axis.first + axis.last <= axis.count


@pytest.mark.parametrize("aspect", ASPECTS)
@given(count=COUNTS, d_head=HEADS, words=WORDS)
def test_every_row_of_scores_is_named(aspect: str, count: int, d_head: int, words: float) -> None:
    assert scores(FRAMES[aspect], count, d_head, words).names_rows


def test_nine_tokens_and_64_channels_at_full_hd() -> None:
    layout = scores(FRAMES["16:9"], 9, 64, 40)
    pixel = FRAME_HEIGHT / 1080
    assert isinstance(layout.inner, ChannelAxis)
    assert isinstance(layout.inner_above, ChannelAxis)
    assert layout.inner.whole
    assert layout.inner_above.whole
    # About 6: a little more across the queries, where there is more room, than down the keys.
    pitches = layout.inner_above.pitch / pixel, layout.inner.pitch / pixel
    assert sum(pitches) / 2 == pytest.approx(6, abs=0.5)
    assert 4.5 <= pitches[0] < pitches[1] <= 7.5
    assert layout.pitch / pixel == pytest.approx(48, abs=1)


def test_room_below_stays_free() -> None:
    frame = FRAMES["16:9"]
    layout = product_layout(
        frame, rows=9, inner=ChannelAxis(64), columns=TokenAxis(9), word_length=30, below=1.0
    )
    assert layout.product.bottom >= frame.stage.bottom + 1.0 - 1e-9
    row = layout.row(2)
    assert row.height == pytest.approx(layout.pitch)
    assert Box.around([layout.left, layout.product]).contains(row)


def test_the_ends_of_a_long_axis() -> None:
    axis = channel_axis(256, 1.0, 8.0)
    assert not axis.whole
    assert axis.first - axis.last in (0, 1)
    assert axis.length <= 1.0 + 1e-9


@pytest.mark.parametrize("aspect", ASPECTS)
@given(count=COUNTS, d_head=HEADS, words=WORDS)
def test_rows_of_values_have_their_words_in_the_corner(
    aspect: str, count: int, d_head: int, words: float
) -> None:
    layout = mix(FRAMES[aspect], count, d_head, words)
    assert len(layout.inner_words) == count
    for index, (x, y) in enumerate(layout.inner_words):
        assert x < layout.top.left
        assert y == pytest.approx(layout.top.top - (index + 0.5) * layout.pitch)
    assert not scores(FRAMES[aspect], count, d_head, words).inner_words


def test_room_above_stays_free() -> None:
    frame = FRAMES["16:9"]
    layout = product_layout(
        frame, rows=9, inner=TokenAxis(9), columns=ChannelAxis(64), word_length=30, above=1.0
    )
    assert layout.top.top <= frame.stage.top - 1.0 + 1e-9
