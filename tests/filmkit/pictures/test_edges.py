"""Parts that touch, parts of which only the ends are drawn, and parts that come later."""

from __future__ import annotations

import numpy as np
import pytest
from manim import Mobject

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.core.norm import Norm, TensorSource
from filmkit.pictures.mosaic import GAP, Axis, Mosaic, Size, arrange
from filmkit.pictures.parts import Around, Cells, Matrix
from filmkit.pictures.picture import Picture
from filmkit.pictures.transition import Transition

ROOM = Box(0, 0, 10, 5)


def token_matrix(name: str) -> Matrix:
    values, source = np.ones((3, 3)), TensorSource(expression="ones")
    words = ("one", "two", "three")
    return Matrix(values, Norm.unit(), source, "token", "token", name=name, words=words)


def gap_between(mosaic: str) -> float:
    sizes = {name: Size(Axis("token", 3), Axis("token", 3)) for name in ("a", "b")}
    boxes = arrange(Mosaic.parse(mosaic), sizes, ROOM).boxes
    return boxes["b"].left - boxes["a"].right


def test_a_joint_leaves_no_gap_between_the_columns_beside_it() -> None:
    assert gap_between("a | b") == pytest.approx(0.0)
    assert gap_between("a b") == pytest.approx(GAP)


def test_a_joint_runs_through_all_rows() -> None:
    with pytest.raises(SceneCodeError, match=r"a >\|< b / c >\.< d: write \| in every row"):
        Mosaic.parse("a | b\nc . d")


@pytest.mark.parametrize(("kept", "columns"), [((40, 8), 48), ((5, 2), 7)])
def test_of_a_long_axis_as_many_cells_are_drawn_as_its_matrix_says(
    kept: tuple[int, int], columns: int
) -> None:
    values, source = np.ones((2, 200)), TensorSource(expression="ones")
    matrix = Matrix(values, Norm.unit(), source, "few", "many", kept=kept)
    axis = matrix.size(Around()).columns
    assert axis is not None
    assert axis.count == columns
    cells = Cells(matrix, ROOM)
    assert [block.shape for block in cells.blocks] == [(2, kept[0]), (2, kept[1])]


def arriving(way: Transition) -> list[Mobject]:
    return [animation.mobject for animation in way.arrivals]


def test_words_come_with_the_part_beside_which_they_stand() -> None:
    parts = {name: token_matrix(name) for name in ("a", "b")}
    picture = Picture([Mosaic.parse("a\nb")], parts, Frame(14.2), words="rows")
    assert {"row words"} <= picture.parts["b"].pieces.keys()
    now = arriving(Transition({}, picture, later=("b",)))
    assert now == [*picture.parts["a"].pieces.values()]
    before = {key: piece for key, piece in picture.pieces.items() if piece in now}
    then = arriving(Transition(before, picture))
    assert then == [*picture.parts["b"].pieces.values()]
