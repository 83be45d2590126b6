"""What stands at axes that are no tokens: what is counted there, and a few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from extract.trace import Trace
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import use_language
from filmkit.core.norm import TensorSource
from filmkit.core.quantities import QUANTITIES, Quantity, cells_of
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import AxisNumbers
from filmkit.pictures.parts import Around, Matrix, Place
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from tests.support.mosaics import Acting, perform
from tests.support.traces import make_trace

WALL = Matrix(np.arange(9.0 * 30).reshape(9, 30), rows="head", columns="layer")
BOX = Box(0.4, -0.3, 6.0, 3.0)
BOTH = Around(row_words="left", column_words=True)


def shown(mosaic: str, *marks: Mark, words: bool | str = True, **parts: Matrix) -> Acting:
    """Return a stage that shows a mosaic of some parts."""

    def act(stage: Stage) -> None:
        for name, part in parts.items():
            stage.part(name, part)
        stage.show(mosaic, marks=marks, words=words)

    return perform(act)


def texts(stage: Acting) -> Counter[str]:
    """Return how often each text is in the picture."""
    return Counter(text["text"] for text in stage.document["texts"] if text["part"])


@pytest.fixture
def quantities(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trace]:
    """Make numbers of all heads, and of a head's keys, quantities; return a trace."""

    def of_heads(trace: Trace) -> npt.NDArray[np.float64]:
        return np.arange(float(trace.meta.n_heads * trace.meta.n_layers)).reshape(4, 3)

    def of_keys(trace: Trace, layer: int) -> npt.NDArray[np.float64]:
        return trace.get("v", layer)[:, 0]

    for function, axes in ((of_heads, ("head", "layer")), (of_keys, ("key", "d_v"))):
        found = Quantity("mine", "", axes, function)
        monkeypatch.setitem(QUANTITIES, function.__name__, found)
    return make_trace(n_heads=4, n_layers=3)


def test_axes_are_named_by_the_source(quantities: Trace) -> None:
    layer = LayerView.of_prompt(quantities, 1, show_first_token=False)
    sources = [layer.computed(name) for name in ("of_heads", "of_keys")]
    heads, keys = (Matrix(cells_of(quantities, source), source=source) for source in sources)
    assert [(m.rows, m.columns) for m in (heads, keys)] == [("head", "layer"), ("token", "channel")]
    assert (heads.title_of(0), heads.title_of(1), keys.title_of(1)) == ("heads", "layers", "")
    part = heads.part((1, 4), (2, 3))
    assert (part.at_axis(0), part.at_axis(1)) == (("heads", "1", "2", "3"), ("layers", "2"))
    turned = part.transposed
    assert (turned.at_axis(0), turned.at_axis(1)) == (part.at_axis(1), part.at_axis(0))
    again = Matrix(turned.values, source=turned.source)
    assert (again.rows, again.columns) == ("layer", "head")
    with use_language("de"):
        assert heads.title_of(0) == "Köpfe"


def test_titles_are_chosen() -> None:
    plain = Matrix(WALL.values, rows="row", columns="step")
    assert plain.at_axis(0) == plain.at_axis(1) == ()
    named = replace(WALL, row_title="", column_title="distance")
    assert named.at_axis(0) == ()
    assert named.at_axis(1)[:2] == ("distance", "0")
    counted = Matrix(
        [[1.0, 2.0]], column_title="distance", source=TensorSource(index=((0, 1), (5, 7)))
    )
    assert counted.at_axis(1) == ("distance", "5", "6")
    # Words say themselves what they are.
    assert Matrix([[1.0, 2.0]], rows="x", words="ab", column_title="words").at_axis(1) == ("a", "b")


def test_ends_and_what_marks_pick_out_are_numbered() -> None:
    assert texts(shown("wall", wall=WALL)) == Counter(
        {"heads": 1, "layers": 1, "0": 2, "8": 1, "29": 1}
    )
    stage = shown("wall", Mark("wall", 4, -13), Mark("wall", row=0), wall=WALL)
    assert texts(stage) == Counter(
        {"heads": 1, "layers": 1, "0": 2, "4": 1, "8": 1, "17": 1, "29": 1}
    )
    assert "Framed: cell 4, 17 of drawing “wall” and row 0 of" in stage.alt
    # There is no room for both.
    long = replace(WALL, values=np.zeros((9, 60)))
    last = texts(shown("wall", Mark("wall", column=58), wall=long))
    assert (last["58"], last["59"]) == (1, 0)
    assert texts(shown("wall", words="rows", wall=WALL)) == Counter({"heads": 1, "0": 1, "8": 1})
    assert not texts(shown("wall", words=False, wall=WALL))


def test_what_is_the_same_stands_once_in_a_row_and_in_a_column() -> None:
    other = replace(WALL, values=WALL.values[:, :3])
    found = texts(shown("wall other\nbelow .", wall=WALL, other=other, below=WALL))
    assert found == Counter({"heads": 2, "layers": 2, "0": 4, "8": 2, "29": 1, "2": 1})


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", [(9, 30), (1, 2), (200, 3)])
def test_they_are_in_the_room_that_was_asked_for(shape: tuple[int, int], side: str) -> None:
    part = replace(WALL, values=np.zeros(shape), name="a wall")
    around = replace(BOTH, row_words=side, marked=((0,), (1,)))
    size, pieces = part.size(around).titled("above"), part.pieces(Place(BOX), around)
    box = Box.of(
        BOX.left,
        max(BOX.right, BOX.left + size.width),
        min(BOX.bottom, BOX.top - size.height),
        BOX.top,
    )
    room = Box.of(
        box.left - size.left, box.right + size.right, box.bottom - size.below, box.top + size.above
    )
    assert pieces.keys() >= {"row numbers", "row marks", "column numbers", "column marks"}
    for kind, piece in pieces.items():
        corners = [*piece.get_corner([-1, -1, 0])[:2], *piece.get_corner([1, 1, 0])[:2]]
        left, bottom, right, top = corners
        # The letters of a name may be higher than its line.
        slack = 0.04 if kind == "title" else 1e-6
        assert room.contains(Box.of(left, right, bottom, top), slack=slack), kind
        if "cells" not in kind:
            assert not min(BOX.overlap(Box.of(left, right, bottom, top))) > 1e-6, kind


def test_they_stand_at_any_heatmap() -> None:
    cells = Heatmap(WALL.values, height=5.0)
    places = {number: cells.row(number).y for number in (0, 8)}
    numbers = AxisNumbers(places, cells.box, "left", title="heads", marked=[8])
    first, title = numbers.ends
    (last,) = numbers.marked
    assert (first.text, title.text, last.text) == ("0", "heads", "8")
    assert (first.get_y(), last.get_y()) == pytest.approx((places[0], places[8]))
    assert title.get_right()[0] < first.get_left()[0] < first.get_right()[0] < cells.box.left
    assert first.get_right()[0] == pytest.approx(last.get_right()[0])
