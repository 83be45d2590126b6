"""Strips of one word: which keys they show, and where numbers and words stand."""

from __future__ import annotations

import numpy as np
import pytest

from filmkit.core.geometry import Box
from filmkit.core.norm import Norm, TensorSource
from filmkit.pictures.strips import Strip, Strips, keys_shown


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [(3, None, (0, 4)), (11, None, (4, 12)), (11, 2, (2, 10)), (11, 6, (4, 12)), (0, 0, (0, 1))],
)
def test_a_few_keys_are_shown_among_them_the_one_that_is_meant(
    query: int, key: int | None, expected: tuple[int, int]
) -> None:
    keys = keys_shown(query, key)
    assert (keys.start, keys.stop) == expected


@pytest.mark.parametrize("down", [False, True])
def test_numbers_stand_in_their_cells_and_words_beside_them(down: bool) -> None:
    box, source = Box(0, 0, 10, 6), TensorSource(index=((0, 1), (0, 3)))
    values = np.array([0.1, 0.2, 0.9])
    both = [Strip(name, values, Norm.unit(), source, {2: "90%"}) for name in ("one", "two")]
    strips = Strips(both, ["a", "b", "c"], box, down=down, colours={2: "#ff0000"})
    assert str(strips.words[2].get_fill_color()).lower() == "#ff0000"
    for cells, _name, numbers in strips.rows:
        (number,) = numbers
        cell = cells.cell(2, 0) if down else cells.cell(0, 2)
        np.testing.assert_allclose(number.get_center()[:2], cell.center[:2], atol=0.1)
        assert (cells.shown == 1).sum() == 1
        assert cells.source.transposed is down
        word = strips.words[2]
        assert abs((word.get_y() - cell.y) if down else (word.get_x() - cell.x)) < 0.1
