"""The matrices that every scene can name, for every kind of model."""

from __future__ import annotations

import pytest

from filmkit.core.errors import StageError
from filmkit.core.geometry import Box
from filmkit.core.quantities import PanelCheck
from filmkit.core.view import LayerView
from filmkit.pictures.parts import Cells, Matrix
from filmkit.pictures.tensors import TENSOR_NAMES, HeadParts
from tests.support.kinds import KINDS, trace_of_kind
from tests.support.traces import make_trace

FAST = ("shipped", "true MLA", "2 tokens")


def parts_of(kind: str) -> tuple[HeadParts, PanelCheck]:
    trace = trace_of_kind(kind)
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    return HeadParts(layer.head(0)), PanelCheck(trace)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in FAST else pytest.mark.slow) for kind in KINDS],
)
def test_every_matrix_shows_what_its_source_says_and_its_axes_are_as_long(kind: str) -> None:
    parts, check = parts_of(kind)
    counts: dict[str, set[int]] = {"token": {parts.head.layer.count}}
    for name in parts:
        matrix = parts[name]
        if matrix is None:
            continue
        cells = Cells(matrix, Box(0, 0, 6, 6))
        assert [check.untrue(block) for block in cells.blocks] == [""] * len(cells.blocks), name
        assert all(block.source.tensor or block.source.quantity for block in cells.blocks)
        assert matrix.symbol or matrix.name, name
        for axis, count in zip((matrix.rows, matrix.columns), matrix.values.shape, strict=True):
            counts.setdefault(axis, set()).add(count)
    # What is summed over in a product is equally long on both sides.
    assert {axis: len(found) for axis, found in counts.items() if axis in ("token", "model")} == {
        axis: 1 for axis in counts if axis in ("token", "model")
    }


def test_what_a_model_has_not_is_none() -> None:
    parts, _check = parts_of("true MLA")
    assert isinstance(parts["C"], Matrix)
    assert parts["W_K"] is None
    layer = LayerView.of_prompt(make_trace(), 0, show_first_token=False)
    assert HeadParts(layer.head(0))["C"] is None


def test_another_head_is_named_by_its_number() -> None:
    layer = LayerView.of_prompt(make_trace(), 0, show_first_token=False)
    parts = HeadParts(layer.head(0))
    for number in range(4):
        matrix, own = parts[f"pattern[{number}]"], HeadParts(layer.head(number))["pattern"]
        assert matrix is not None
        assert own is not None
        assert (matrix.values == own.values).all()
    with pytest.raises(StageError, match=r"has no head 4; its heads are 0 to 3"):
        _ = parts["pattern[4]"]


@pytest.mark.parametrize("name", ["entropy", "q", "pattern[]", "pattern[x]", "pattern[0", "Q K"])
def test_other_names_are_none_of_them(name: str) -> None:
    layer = LayerView.of_prompt(make_trace(), 0, show_first_token=False)
    parts = HeadParts(layer.head(0))
    assert name not in parts
    assert tuple(parts) == TENSOR_NAMES
    assert len(parts) == len(TENSOR_NAMES)
