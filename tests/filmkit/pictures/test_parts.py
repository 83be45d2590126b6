"""Parts of pictures: the room that they ask for, what they draw in it, and long axes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from manim import Mobject, Square, VGroup

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.pictures.mosaic import Axis
from filmkit.pictures.parts import (
    ELLIPSIS,
    KEPT,
    LEAST,
    LONGEST,
    MANY,
    Around,
    Cells,
    Free,
    Matrix,
    Place,
)

WORDS = ("The", "American", "flag", "is", "red", "white", "and", "blue", "too")
BOX = Box(0.4, -0.3, 4.0, 3.0)
SLACK = 1e-6
ALONE = Around(title=False)


def matrix(height: int = 9, width: int = 9, /, **options: Any) -> Matrix:
    """Return a matrix of different numbers, by default with tokens down and across.

    There are words by default where all tokens have one.
    """
    values = np.arange(height * width, dtype=float).reshape(height, width)
    source = TensorSource("x.0", index=((0, height), (0, width)))
    axes = {"rows": "token", "columns": "token"} | options
    counts = zip((axes["rows"], axes["columns"]), (height, width), strict=True)
    named = all(count == len(WORDS) for axis, count in counts if axis == "token")
    defaults = axes | {"words": options.get("words", WORDS if named else ())}
    return Matrix(values, Norm(0.0, values.max(), "viridis"), source, **defaults)


def box_of(mobject: Any) -> Box:
    """Return the box around a mobject."""
    (left, bottom, _), (right, top, _) = (
        mobject.get_corner([-1, -1, 0]),
        mobject.get_corner([1, 1, 0]),
    )
    return Box.of(left, right, bottom, top)


# Room


def test_axes_have_names_counts_and_a_least_size() -> None:
    size = matrix(9, 64, columns="channel").size(ALONE)
    assert size.rows == Axis("token", 9, least=LEAST)
    assert size.columns == Axis("channel", 64, least=LEAST)
    assert (size.left, size.right, size.above, size.below) == (0, 0, 0, 0)


def test_rows_are_as_high_as_the_words_beside_them() -> None:
    size = matrix().size(replace(ALONE, row_words="left"))
    assert size.rows is not None
    assert size.rows.least > LEAST
    assert size.left > 0
    right = matrix().size(replace(ALONE, row_words="right"))
    assert (right.left, right.right) == (0, size.left)
    above = matrix().size(replace(ALONE, column_words=True))
    assert above.columns is not None
    assert (above.columns.least, above.above) == (size.rows.least, size.left)


@pytest.mark.parametrize("small", [True, False])
def test_words_are_small_if_there_are_many_or_little_room(small: bool) -> None:
    beside = replace(ALONE, row_words="left", small=small)
    few, many = matrix(), matrix(24, 24, words=(*WORDS, *WORDS, *WORDS[:6]))
    assert len(many.words) > MANY >= len(few.words)
    assert (many.size(beside).left < few.size(beside).left) is not small


def test_signs_of_tall_scripts_have_higher_rows() -> None:
    def least(*words: str) -> float:
        size = matrix(2, 2, words=words).size(replace(ALONE, row_words="left"))
        assert size.rows is not None
        return size.rows.least

    assert least("The", "flag") < least("The", "ท้ั้ง")


def test_nothing_is_asked_for_without_words_and_name() -> None:
    around = Around(row_words="left", column_words=True, bar=True)
    assert matrix(words=()).size(around).left == pytest.approx(matrix().size(ALONE).left, abs=0.2)
    assert matrix().size(Around()).title == (0.0, 0.0)
    assert matrix(name="queries").size(Around()).title > (0.5, 0.2)


PLACES = [
    (Around(row_words=rows, column_words=columns, title=True, bar=bar, small=small), place)
    for rows, columns, bar, small, place in product(
        ("", "left", "right"),
        (True, False),
        (True, False),
        (True, False),
        ("above", "left", "right"),
    )
]


@pytest.mark.parametrize("words", [WORDS, ("a very long token", *WORDS[1:])])
def test_what_a_part_draws_is_in_the_room_that_it_asked_for(words: tuple[str, ...]) -> None:
    part = matrix(words=words, name="attention pattern", symbol="A")
    for around, place in PLACES:
        size, pieces = part.size(around).titled(place), part.pieces(Place(BOX, place), around)
        room = Box.of(
            BOX.left - size.left,
            max(BOX.right + size.right, BOX.left + size.title[0]),
            BOX.bottom - size.below,
            BOX.top + size.above,
        )
        for kind, piece in pieces.items():
            assert room.contains(box_of(piece), slack=0.04), (around, place, kind)
        assert ("bar" in pieces, "title" in pieces) == (around.bar, True)


def test_words_stand_at_the_middle_of_their_rows_and_columns() -> None:
    around = Around(row_words="left", column_words=True)
    pieces = matrix().pieces(Place(BOX), around)
    cells = pieces["cells"]
    assert isinstance(cells, Cells)
    for index, (beside, above) in enumerate(
        zip(pieces["row words"], pieces["column words"], strict=True)
    ):
        assert abs(box_of(beside).y - cells.row(index).y) < cells.row(index).height / 2
        assert box_of(beside).right < BOX.left
        assert abs(box_of(above).x - cells.column(index).x) < cells.column(index).width / 2
        assert box_of(above).bottom > BOX.top
    right = matrix().pieces(Place(BOX), Around(row_words="right"))["row words"]
    assert all(box_of(word).left > BOX.right for word in right)


# Long axes


def test_a_long_axis_is_cut_to_its_ends() -> None:
    part = matrix(9, 576, columns="model")
    assert part.size(ALONE).columns == Axis("model", sum(KEPT), ELLIPSIS, LEAST)
    cells = part.pieces(Place(BOX), ALONE)["cells"]
    assert isinstance(cells, Cells)
    first, last = cells.blocks
    assert (first.shape, last.shape) == ((9, 40), (9, 8))
    assert np.array_equal(first.values, part.values[:, :40])
    assert np.array_equal(last.values, part.values[:, -8:])
    assert [block.source.index for block in cells.blocks] == [
        ((0, 9), (0, 40)),
        ((0, 9), (568, 576)),
    ]
    # All cells have one size, and the dots are between both ends.
    assert first.box.width / 40 == pytest.approx(last.box.width / 8)
    assert last.box.left - first.box.right == pytest.approx(ELLIPSIS)
    assert (first.box.left, last.box.right) == pytest.approx((BOX.left, BOX.right))
    (dots,) = cells.dots
    assert first.box.right < box_of(dots).left < box_of(dots).right < last.box.left
    assert len(dots) == 3


def test_an_axis_that_is_not_too_long_is_drawn_whole() -> None:
    cells = Cells(matrix(9, LONGEST), BOX)
    assert cells.counts == (1, 1)
    assert cells.dots == []
    assert cells.whole.shape == (9, LONGEST)
    with pytest.raises(ValueError, match="too many values"):
        _ = Cells(matrix(9, LONGEST + 1), BOX).whole


def test_both_axes_may_be_cut_and_turn_block_by_block() -> None:
    weights = matrix(200, 300)
    cells = Cells(weights, BOX)
    turned = Cells(replace(weights, values=weights.values.T), BOX)
    assert (cells.counts, cells.shape, len(cells.dots)) == ((2, 2), (200, 300), 2)
    for block, other in zip(cells.blocks_by_column, turned.blocks, strict=True):
        assert np.array_equal(block.values.T, other.values)


def test_rows_and_columns_go_over_all_that_is_drawn() -> None:
    cells = Cells(matrix(200, 300), BOX)
    top, bottom = cells.row(0), cells.row(7)
    assert (top.left, top.right, top.top) == pytest.approx((BOX.left, BOX.right, BOX.top))
    assert bottom.top < top.bottom
    left = cells.column(0)
    assert (left.bottom, left.top, left.left) == pytest.approx((BOX.bottom, BOX.top, BOX.left))


def test_rows_columns_and_cells_are_counted_over_the_whole_matrix() -> None:
    cells = Cells(matrix(200, 300), BOX)
    first, _right, _below, last = cells.blocks
    for number in (199, -1):
        assert cells.row(number).bottom == pytest.approx(BOX.bottom)
        assert cells.row(number).width == pytest.approx(BOX.width)
    for number in (299, -1):
        assert cells.column(number).right == pytest.approx(BOX.right)
        assert cells.column(number).height == pytest.approx(BOX.height)
    assert cells.row(192).top == pytest.approx(last.box.top)
    assert (cells.cell(39, 2), cells.cell(-161, -298)) == (first.cell(39, 2),) * 2
    assert (cells.cell(193, 295), cells.cell(-7, -5)) == (last.cell(1, 3),) * 2


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda cells: cells.row(40),
            "row 40 that is drawn; choose 0 to 39, 192 to 199, or -1 for",
        ),
        (lambda cells: cells.row(200), "row 200 that is drawn; choose 0 to 39, 192 to 199, or -1"),
        (
            lambda cells: cells.row(-9),
            "row -9 that is drawn; choose 0 to 39, 192 to 199, or -1 for",
        ),
        (lambda cells: cells.row(-201), "row -201 that is drawn; choose 0 to 39, 192 to 199, or"),
        (lambda cells: cells.column(100), "column 100; choose 0 to 99, or -1 for the last one"),
        (lambda cells: cells.cell(0, -101), "column -101; choose 0 to 99, or -1 for the last one"),
    ],
)
def test_what_is_not_drawn_of_a_matrix_is_refused(ask: Any, message: str) -> None:
    with pytest.raises(SceneCodeError, match=f"^a heatmap of 200 x 100 has no {message}"):
        ask(Cells(matrix(200, 100), BOX))


def test_light_reaches_all_blocks() -> None:
    cells = Cells(matrix(9, 300), BOX)
    shown = np.linspace(0, 1, 9)[:, None]
    cells.light(shown)
    for block in cells.blocks:
        assert np.allclose(block.shown, np.broadcast_to(shown, block.shape))
    with pytest.raises(SceneCodeError, match=r"opacities of shape \(5,\) do not .* 9 x 300 cells"):
        cells.light(np.ones(5))


def test_a_mask_is_cut_as_the_numbers_are() -> None:
    masked = np.zeros((9, 300), dtype=bool)
    masked[2, 299] = True
    first, last = Cells(matrix(9, 300, masked=masked), BOX).blocks
    assert not first.masked.any()
    assert np.argwhere(last.masked).tolist() == [[2, 7]]


# Whatever else


def test_a_part_without_cells_is_made_anew_in_the_middle_of_its_place() -> None:
    part = Free(lambda: Square(2.0))
    size = part.size(Around())
    assert (size.width, size.height, size.rows, size.columns) == (2.0, 2.0, None, None)
    one, other = (part.pieces(Place(BOX), Around())["whole"] for _ in range(2))
    assert one is not other
    assert box_of(one).center == pytest.approx(BOX.center, abs=SLACK)


def test_a_part_without_cells_is_made_smaller_while_its_words_can_be_read() -> None:
    least = current_theme().min_text_size
    part = Free(lambda: VGroup(Square(2.0), Label("word", size=2 * least)))
    for scale, drawn in {1.0: 1.0, 0.7: 0.7, 0.1: 0.5}.items():
        around = Around(scale=scale)
        square, word = part.pieces(Place(BOX), around)["whole"]
        assert square.width == pytest.approx(2 * drawn)
        assert word.line_height == pytest.approx(2 * drawn * least * FRAME_HEIGHT)
        assert part.size(around).width == pytest.approx(2 * drawn)


class Elastic(Square):
    """A square that can be made anew for any place."""

    def filling(self, box: Box) -> Mobject:
        """Return it as large as a box."""
        return Square().stretch_to_fit_width(box.width).stretch_to_fit_height(box.height)


def test_what_can_fill_its_place_is_made_for_it() -> None:
    part = Free(lambda: Elastic(2.0))
    size = part.size(Around())
    assert (size.width, size.height, size.fills) == (1.0, 1.0, True)
    whole = part.pieces(Place(BOX), Around())["whole"]
    assert (whole.width, whole.height) == pytest.approx((BOX.width, BOX.height))
