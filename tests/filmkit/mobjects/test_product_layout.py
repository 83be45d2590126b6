"""What is drawn of an axis of channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.mobjects.product_layout import MIN_CHANNEL, channel_axis


@given(count=st.integers(16, 256), room=st.floats(0.5, 6.0))
def test_channels_can_be_seen(count: int, room: float) -> None:
    axis = channel_axis(count, room, 8.0)
    assert axis.pitch >= MIN_CHANNEL * 8.0 - 1e-9
    assert axis.whole == (axis.first == axis.count)
    assert axis.first + axis.last <= axis.count
    assert axis.length <= room + 1e-9


def test_the_ends_of_a_long_axis() -> None:
    axis = channel_axis(256, 1.0, 8.0)
    assert not axis.whole
    assert axis.first - axis.last in (0, 1)
    assert axis.length == pytest.approx((axis.first + axis.last) * axis.pitch + 0.24)
