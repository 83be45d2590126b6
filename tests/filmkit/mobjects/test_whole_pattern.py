"""A pattern of a long prompt is drawn whole, on a scale on which it can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from extract.trace import Trace
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.geometry import Box
from filmkit.mobjects.whole_pattern import WholePattern, whole_pattern_norm
from tests.support.traces import make_trace

ROOM = Box(0.5, -0.2, 12.0, 6.0)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(n_tokens=480)


@pytest.mark.parametrize("room", [ROOM, Box(0, 0, 4.0, 9.0)])
def test_it_shows_the_whole_pattern_inside_its_box(trace: Trace, room: Box) -> None:
    picture = WholePattern(trace, 1, 2, room)
    n = trace.meta.n_prompt
    assert picture.cells.shape == (n, n)
    np.testing.assert_array_equal(picture.cells.values, trace.get("pattern", 1)[2, :n, :n])
    assert picture.cells.source.tensor == "pattern.1"
    for part in (picture.cells, *picture.positions, picture.bar):
        assert room.left - 0.01 <= part.get_left()[0]
        assert part.get_right()[0] <= room.right + 0.01
        assert room.bottom - 0.01 <= part.get_bottom()[1]
        assert part.get_top()[1] <= room.top + 0.2  # half of a number stands above its row
    assert len(picture.positions) == 2 * 5  # 0, 100, 200, 300, 400


def test_an_even_pattern_is_not_dark_and_the_scale_says_its_largest_weight() -> None:
    n = 500
    pattern = np.tri(n, dtype=np.float32) / np.arange(1, n + 1, dtype=np.float32)[:, None]
    norm = whole_pattern_norm(pattern)
    assert norm.vmax == pytest.approx(1 / (n // 16 + 1), rel=1e-6)
    assert norm.places(pattern[-1, 5]) > 0.1
    pattern[:, 0] = 1.0  # every head has such a column; it does not count
    assert whole_pattern_norm(pattern) == norm
    assert norm.ticks()[-1] == norm.vmax


def test_what_cannot_be_drawn_is_refused(trace: Trace) -> None:
    with pytest.raises(StageError, match="513 tokens, and a whole pattern can be drawn of at most"):
        WholePattern(make_trace(n_tokens=513), 0, 0, ROOM)
    with pytest.raises(SceneCodeError, match="no layer 9 with a head 0"):
        WholePattern(trace, 9, 0, ROOM)
