"""The way from one picture to the next: what stays, becomes, turns, appears and leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from manim import Animation, Group, Square

from extract.trace import Trace
from filmkit.core.animations import Appear, Arrive, Settle, TransposeFromCopy, Vanish, presence
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.view import LayerView
from filmkit.mobjects.plot import Chart
from filmkit.pictures.mosaic import Mosaic
from filmkit.pictures.parts import Cells, Free, Matrix
from filmkit.pictures.picture import Mark, Picture
from filmkit.pictures.tensors import HeadParts
from filmkit.pictures.transition import Transition
from tests.support.traces import make_trace

FRAME = Frame(128 / 9)


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return parts_of(make_trace())


def parts_of(trace: Trace) -> dict[str, Any]:
    layer = LayerView.of_prompt(trace, 0, show_first_token=False)
    return {**HeadParts(layer.head(0)), "note": Free(lambda: Square(1.0)), "none": None}


def picture(text: str, parts: dict[str, Any], **options: Any) -> Picture:
    return Picture([Mosaic.parse(text)], parts, FRAME, **options)


def way(before: str, after: str, parts: dict[str, Any], **options: Any) -> Transition:
    return Transition(picture(before, parts).pieces, picture(after, parts), **options)


def animated(animations: list[Animation], kind: type[Animation], of: Picture) -> set[str]:
    """Return the names of the parts of a picture, or "words", that animations of a kind move."""
    names = {id(piece): key for key, piece in of.pieces.items()}
    for key, piece in of.pieces.items():
        if isinstance(piece, Cells):
            names |= {id(member): key for member in piece.get_family()}
    moved = [animation.mobject for animation in animations if isinstance(animation, kind)]
    return {" ".join(names[id(mobject)]) for mobject in moved}


# What happens to a part


def test_what_has_the_same_name_moves_and_what_has_not_leaves(parts: dict[str, Any]) -> None:
    before = picture("Q K", parts)
    going = Transition(before.pieces, picture("V Q", parts))
    assert {"Q cells", "Q title"} <= animated(going.moves, Arrive, going.after)
    assert animated(going.arrivals, Appear, going.after) == {"V cells", "V title"}
    left = {id(animation.mobject) for animation in going.leaving}
    assert {id(before.pieces["K", kind]) for kind in ("cells", "title")} == left
    assert all(isinstance(animation, Vanish) for animation in going.leaving)


def test_what_stays_where_it_is_is_not_animated(parts: dict[str, Any]) -> None:
    before = picture("Q K", parts)
    going = Transition(before.pieces, picture("Q V", parts))
    assert animated(going.moves, Arrive, going.after) == set()
    assert before.pieces["Q", "cells"] in [old for old, _ in going.replaced]


def test_words_stay_whatever_stands_beside_them(parts: dict[str, Any]) -> None:
    going = way("Q", "z", parts)
    assert "words row words 0" in animated(going.moves, Arrive, going.after)
    assert animated(going.arrivals, Appear, going.after) == {"z cells", "z title"}


def test_scores_become_the_pattern_in_place(parts: dict[str, Any]) -> None:
    for steps in (
        ("dots", "scaled"),
        ("scaled", "scores"),
        ("dots", "scores"),
        ("scores", "pattern"),
    ):
        going = way(steps[0], steps[1], parts)
        assert f"{steps[1]} cells" in animated(going.moves, Arrive, going.after)
        assert not any(isinstance(each.mobject, Cells) for each in going.leaving)


@pytest.mark.parametrize("names", [("K", "Kt"), ("Kt", "K")])
def test_keys_turn(names: tuple[str, str], parts: dict[str, Any]) -> None:
    before = picture(names[0], parts)
    going = Transition(before.pieces, picture(names[1], parts))
    assert animated(going.moves, TransposeFromCopy, going.after) == {f"{names[1]} cells"}
    (turn,) = (each for each in going.moves if isinstance(each, TransposeFromCopy))
    assert turn.leaves
    assert going.finished == [before.parts[names[0]].cells]


def test_keys_that_stay_leave_a_copy_that_turns(parts: dict[str, Any]) -> None:
    going = way("K", "K Kt", parts)
    (turn,) = (each for each in going.moves if isinstance(each, TransposeFromCopy))
    assert not turn.leaves
    assert going.finished == []
    assert "K cells" in animated(going.moves, Arrive, going.after)


def test_a_cut_matrix_turns_block_by_block() -> None:
    parts = parts_of(make_trace(d_head=256))
    going = way("K", "Kt", parts)
    turns = [each for each in going.moves if isinstance(each, TransposeFromCopy)]
    assert [(t.source.shape[::-1] == t.target.shape) for t in turns] == [True, True]
    dots = [
        each.mobject for each in going.arrivals if each.mobject in going.after.parts["Kt"].cells
    ]
    assert dots == going.after.parts["Kt"].cells.dots


def test_a_matrix_of_another_size_leaves_and_comes_anew(parts: dict[str, Any]) -> None:
    other = parts | {"Q": parts_of(make_trace(n_tokens=4))["Q"]}
    going = Transition(picture("Q", parts).pieces, picture("Q", other))
    assert "Q cells" in animated(going.arrivals, Appear, going.after)


def test_what_is_revealed_or_shown_later_does_not_appear(parts: dict[str, Any]) -> None:
    going = way("Q", "Q scores note", parts, reveal=("scores",), later=("note",))
    assert animated(going.arrivals, Appear, going.after) == {
        "scores title", "words column words 0"
    }  # fmt: skip


def test_the_bars_of_a_new_chart_grow(parts: dict[str, Any]) -> None:
    going = way("Q", "chart", parts | {"chart": Free(Chart([0.5, -0.2]).copy)})
    bars = going.after.parts["chart"].whole[0].bars
    heights = [bar.height for bar in bars]
    (arrival,) = going.arrivals
    arrival.begin()
    for share in (0.0, 0.5, 1.0):
        arrival.interpolate(share)
        assert [bar.height for bar in bars] == pytest.approx(np.multiply(share, heights), abs=0.3)


def test_copies_of_what_a_scene_names_become_new_parts(parts: dict[str, Any]) -> None:
    before = picture("Q", parts)
    queries = before.parts["Q"].cells.whole
    turned = Heatmap(queries.values.T, queries.norm)
    for origin, kind in ((queries, Arrive), (turned, TransposeFromCopy)):
        after = picture("Q z", parts)
        going = Transition(before.pieces, after, origins={"z": origin})
        assert "z cells" in animated(going.moves, kind, after)
        assert "z cells" not in animated(going.arrivals, Appear, after)


def test_copies_become_the_ends_of_cells_that_are_cut(parts: dict[str, Any]) -> None:
    after = picture("W_Q", parts_of(make_trace(n_layers=1, d_model=192)))
    cells = after.parts["W_Q"].cells
    assert len(cells.blocks) == 2
    matrix = after.parts["W_Q"].part
    origin = Heatmap(matrix.values, source=matrix.source)
    going = Transition({}, after, origins={"W_Q": origin})
    starts = [each.origin for each in going.moves if isinstance(each, Arrive)]
    assert [start.source for start in starts] == [block.source for block in cells.blocks]
    for start, block in zip(starts, cells.blocks, strict=True):
        np.testing.assert_array_equal(start.values, block.values)


def test_what_strangers_give_leaves_its_place_at_once(parts: dict[str, Any]) -> None:
    origin = picture("Q", parts).parts["Q"].cells.whole
    Transition({}, picture("z", parts), strangers=(Group(origin, Square()),), origins={"z": origin})
    assert presence(origin) == 0


def test_what_strangers_give_is_seen_until_it_turns(parts: dict[str, Any]) -> None:
    origin = picture("Q", parts).parts["Q"].cells.whole
    after = picture("Kt", parts)
    going = Transition({}, after, strangers=(Group(origin),), origins={"Kt": origin})
    (turning,) = going.moves
    turning.begin()
    assert (presence(origin), presence(after.parts["Kt"].cells.whole)) == (1, 0)
    turning.interpolate(0.5)
    assert (presence(origin), presence(after.parts["Kt"].cells.whole)) == (0, 1)


def test_what_leaves_may_go_into_a_row(parts: dict[str, Any]) -> None:
    before = picture("K", parts)
    going = Transition(before.pieces, picture("Q", parts), into={"K": ("Q", 2)})
    (settle,) = (each for each in going.moves if isinstance(each, Settle))
    assert settle.mobject is before.parts["K"].cells.whole
    assert settle.box == going.after.parts["Q"].cells.row(2)
    assert going.finished == [before.parts["K"].cells]
    assert not any(isinstance(each.mobject, Cells) for each in going.leaving)


def test_what_leaves_may_go_into_a_row_of_the_last_part(parts: dict[str, Any]) -> None:
    one, many = (Matrix(np.ones((n, 300)), rows=f"{n}", columns="many") for n in (1, 200))
    long = parts | {"one": one, "many": many}
    going = Transition(
        picture("one", long).pieces, picture("many", long), into={"one": ("many", -1)}
    )
    _left, _right, *below = going.after.parts["many"].cells.blocks
    settled = [each.box for each in going.moves if isinstance(each, Settle)]
    assert settled == [block.row(7) for block in below]


@pytest.mark.parametrize("name", ["V", "Q", "note"])
def test_only_cells_that_leave_can_go_into_a_row(name: str, parts: dict[str, Any]) -> None:
    with pytest.raises(SceneCodeError, match=f"^into='{name}' is no part with cells that leaves"):
        way("K Q note", "Q", parts, into={name: ("Q", 2)})


def test_what_goes_to_what_this_model_has_not_leaves(parts: dict[str, Any]) -> None:
    going = way("K", "Q none", parts, into={"K": ("none", 2)})
    assert going.finished == []
    assert any(isinstance(each.mobject, Cells) for each in going.leaving)


def test_strangers_leave(parts: dict[str, Any]) -> None:
    stranger = Square()
    going = way("Q", "Q", parts, strangers=(stranger,))
    assert [each.mobject for each in going.leaving] == [stranger]


def test_a_mark_goes_to_the_next_one_of_its_number(parts: dict[str, Any]) -> None:
    before = picture("Q K", parts, marks=(Mark("Q", 1), Mark("K", 2)))
    going = Transition(before.pieces, picture("Q K", parts, marks=(Mark("K", 3),)))
    assert "mark 0" in animated(going.moves, Arrive, going.after)
    assert [each.mobject for each in going.leaving] == [before.marks[1]]


def test_marks_lie_over_all_cells(parts: dict[str, Any]) -> None:
    after = picture("Q K", parts, marks=(Mark("Q", 1), Mark("K", None, 2)))
    kinds = [name for name, _kind in after.pieces]
    assert kinds[-2:] == ["mark", "mark"]
    going = Transition({}, after)
    assert [each.mobject for each in going.arrivals][-2:] == after.marks


@pytest.mark.parametrize(
    ("mark", "box"),
    [
        (Mark("Q"), lambda cells: cells.box),
        (Mark("Q", 2), lambda cells: cells.row(2)),
        (Mark("Q", None, 3), lambda cells: cells.column(3)),
        (Mark("Q", 2, 3), lambda cells: cells.cell(2, 3)),
    ],
)
def test_a_mark_is_around_a_row_a_column_a_cell_or_all(
    mark: Mark, box: Any, parts: dict[str, Any]
) -> None:
    made = picture("Q K", parts, marks=(mark,))
    wanted = box(made.parts["Q"].cells)
    assert mark.box(made.parts["Q"].cells) == wanted
    assert made.marks[0].get_center()[:2] == pytest.approx(wanted.center[:2])


# Tokens join


def grown(trace: Trace, text: str, **options: Any) -> tuple[Picture, Transition]:
    """Return a picture of the first eight tokens of nine, and the way to that of all of them."""
    layer = LayerView.of_prompt(trace, 0, show_first_token=False)
    fewer = picture(text, dict(HeadParts(layer.until(layer.stop - 1).head(0))))
    after = picture(text, dict(HeadParts(layer.head(0))), **options)
    return fewer, Transition(fewer.pieces, after)


def test_a_matrix_grows_by_the_rows_of_more_tokens() -> None:
    before, going = grown(make_trace(), "K V")
    assert {"K cells", "V cells", "words row words 0"} <= animated(going.moves, Arrive, going.after)
    assert going.arrivals == going.leaving == []
    for move in going.moves:
        move.begin()
        move.interpolate(0)
    for name in ("K", "V"):
        old, new = before.parts[name].cells.whole, going.after.parts[name].cells.whole
        assert new.shape == (old.shape[0] + 1, old.shape[1])
        for row in range(old.shape[0]):
            assert new.row(row).center == pytest.approx(old.row(row).center)
        assert new.shown[:-1].min() == 1
        assert not new.shown[-1].any()
    words, new_words = (p.pieces["words", "row words 0"] for p in (before, going.after))
    assert [presence(word) for word in new_words] == [1.0] * len(words) + [0.0]
    for move in going.moves:
        move.interpolate(1)
    assert going.after.parts["K"].cells.whole.shown.all()
    assert {presence(word) for word in new_words} == {1.0}


def test_a_matrix_of_other_numbers_does_not_grow() -> None:
    layer = LayerView.of_prompt(make_trace(), 0, show_first_token=False)
    fewer = picture("K", dict(HeadParts(layer.until(layer.stop - 1).head(1))))
    going = Transition(fewer.pieces, picture("K", dict(HeadParts(layer.head(0)))))
    assert "K cells" in animated(going.arrivals, Appear, going.after)


def test_words_that_are_not_there_yet_do_not_appear_with_the_others() -> None:
    layer = LayerView.of_prompt(make_trace(), 0, show_first_token=False)
    lit = {"words": np.arange(layer.count) < 5}
    going = Transition({}, picture("K", dict(HeadParts(layer.head(0))), lit=lit))
    for move in going.arrivals:
        move.begin()
        move.interpolate(1)
    words = going.after.pieces["words", "row words 0"]
    assert [presence(word) for word in words] == [1.0] * 5 + [0.0] * (layer.count - 5)


# Nothing happens


def test_nothing_happens_if_the_picture_is_there(parts: dict[str, Any]) -> None:
    lit = {"Q": np.eye(9, 8)}
    for options in ({}, {"lit": lit}, {"marks": (Mark("Q", 1),)}):
        before = picture("Q K", parts, **options)
        assert Transition(before.pieces, picture("Q K", parts, **options)).is_none
    shown = picture("Q K", parts).pieces
    for other in (
        picture("K Q", parts),
        picture("Q", parts),
        picture("Q K", parts, lit=lit),
        picture("Q K", parts, words=False),
        picture("Q K", parts, marks=(Mark("Q", 1),)),
    ):
        assert not Transition(shown, other).is_none
