"""Pictures: which mosaic is taken, where words stand, and what is left out for lack of room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from manim import DL, UR, Rectangle

from filmkit.core.animations import presence
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.text import Label
from filmkit.pictures.mosaic import Mosaic
from filmkit.pictures.parts import Around, Free, Matrix
from filmkit.pictures.picture import Mark, Picture
from filmkit.pictures.texts import sign

WIDE, TALL = Frame(128 / 9), Frame(8.0, 128 / 9)
SCORES = ". Kt\nQ scores"


def matrix(rows: str, columns: str, tokens: int) -> Matrix:
    counts = {"token": tokens, "channel": 64}
    return Matrix(
        np.zeros((counts[rows], counts[columns])),
        Norm(0.0, 1.0, "viridis"),
        TensorSource(),
        rows,
        columns,
        name="name",
        words=tuple(f"word{number}" for number in range(tokens)),
    )


def parts(tokens: int = 9) -> dict[str, Any]:
    token, channel = "token", "channel"
    axes = {
        "Q": (token, channel), "Kt": (channel, token), "scores": (token, token),
        "V": (token, channel), "z": (token, channel), "pattern": (token, token),
    }  # fmt: skip
    return {name: matrix(*sides, tokens) for name, sides in axes.items()} | {"missing": None}


def picture(
    text: str, *others: str, frame: Frame = WIDE, tokens: int = 9, **options: Any
) -> Picture:
    return Picture(
        [Mosaic.parse(each) for each in (text, *others)], parts(tokens), frame, **options
    )


def words_of(made: Picture) -> dict[str, tuple[str, bool]]:
    """Return where each part has words, beside it and above; only of those that have some."""
    dressing = {name: (one.row_words, one.column_words) for name, one in made.dressing.items()}
    return {name: where for name, where in dressing.items() if any(where)}


def test_words_stand_beside_the_leftmost_and_above_the_topmost_part() -> None:
    assert words_of(picture(SCORES)) == {"Kt": ("", True), "Q": ("left", False)}
    assert words_of(picture("Q V\nz pattern", tokens=2)) == {
        "Q": ("left", False), "z": ("left", False), "pattern": ("", True),
    }  # fmt: skip


def test_words_stand_at_the_right_where_they_would_meet_those_of_columns() -> None:
    assert words_of(picture(". z\nV pattern", tokens=2))["z"] == ("right", False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (True, {"Kt": ("", True), "Q": ("left", False)}),
        ("rows", {"Q": ("left", False)}),
        (False, {}),
    ],
)
def test_words_may_be_left_away(words: bool | str, expected: dict[str, Any]) -> None:
    made = picture(SCORES, words=words)
    assert words_of(made) == expected
    assert made.left_out == ()


def test_words_of_rows_and_columns_that_are_framed_stand_out() -> None:
    marks = Mark("scores", -1, 2), Mark("Q", 0)
    made = picture(SCORES, words="marked", marks=marks)
    assert words_of(made) == words_of(picture(SCORES))
    for words, bright in (("row words 0", {0, 8}), ("column words 0", {2})):
        levels = [presence(word) for word in made.pieces["words", words]]
        assert {n for n, level in enumerate(levels) if level == 1.0} == bright
        assert sum(0.0 < level < 0.5 for level in levels) == 9 - len(bright)


def test_words_are_left_out_where_there_is_no_room_and_that_is_told() -> None:
    made = picture("Q Kt scores\nV pattern z", tokens=24)
    assert {*made.left_out} >= {"the words above Kt", "the words beside Q"}
    assert words_of(made) == {}
    assert picture(SCORES).left_out == ()


def test_colour_bars_go_before_words() -> None:
    around = {"scores": Around(bar=True)}
    assert "bar" in picture("scores", around=around).parts["scores"].pieces
    crowded = picture("Q\nscores\nV", around=around, words="rows", tokens=24)
    assert "bar" not in crowded.parts["scores"].pieces


def test_the_mosaic_with_the_largest_cells_is_taken() -> None:
    assert picture("Q V", "Q\nV").mosaic == Mosaic.parse("Q V")
    assert picture("Q V", "Q\nV", frame=TALL).mosaic == Mosaic.parse("Q\nV")


def test_a_row_becomes_a_column_only_in_upright_frames() -> None:
    assert picture("Q V z", frame=TALL).mosaic == Mosaic.parse("Q\nV\nz")
    assert picture("Q\nV\nz").mosaic == Mosaic.parse("Q\nV\nz")


def test_what_a_model_has_not_is_left_out_with_its_row() -> None:
    made = picture("Q scores\nmissing missing")
    assert made.mosaic == Mosaic.parse("Q scores")
    assert set(made.parts) == {"Q", "scores"}


def test_a_row_of_a_product_reaches_over_what_it_is_made_from() -> None:
    made = picture(SCORES)
    rows = made.row_of("scores")
    assert len(rows) == 9
    assert {row.left for row in rows} == {made.parts["Q"].box.left}
    assert rows[3].right == pytest.approx(made.parts["scores"].box.right)
    assert rows[3].y == pytest.approx(made.parts["scores"].cells.row(3).y)


def test_words_belong_to_rows_of_the_picture_and_not_to_a_part() -> None:
    keys = set(picture("Q\nV").pieces)
    assert {("words", "row words 0"), ("words", "row words 1"), ("Q", "cells")} <= keys


def test_words_are_lit_at_rows_and_columns() -> None:
    lit = {"words": [1.0] * 8 + [0.25]}
    made = picture(SCORES, lit=lit).pieces
    for kind in ("row words 0", "column words 0"):
        levels = [presence(word) for word in made["words", kind]]
        assert levels == lit["words"]


def test_if_no_mosaic_fits_that_of_the_first_is_told() -> None:
    row, column = Mosaic.parse("Q V z"), Mosaic.parse("Q\nV\nz")
    long = {name: replace(matrix("token", "channel", 110), words=()) for name in row.names}
    message = r"^mosaic >Q< V z: words, titles and the smallest cells are \d\.\d units high, and"
    with pytest.raises(SceneCodeError, match=message):
        Picture([row, column], long, Frame(8.0, 2.5))


# What is too large


def test_what_is_too_large_is_made_smaller_and_all_words_stay() -> None:
    own = parts() | {"wide": Free(lambda: Rectangle(width=30.0, height=1.0))}
    made = Picture([Mosaic.parse("Q wide")], own, WIDE)
    rectangle = made.parts["wide"].pieces["whole"]
    room = made.parts["wide"].box
    assert WIDE.free.contains(room)
    assert (rectangle.width, rectangle.height) == pytest.approx((room.width, room.width / 30))
    assert room.right > WIDE.free.right - 0.1
    assert room.width > 8
    assert words_of(made) == words_of(picture("Q V"))


def test_a_row_becomes_a_column_before_anything_is_made_smaller() -> None:
    own = {name: Free(lambda: Rectangle(width=6.0, height=1.0)) for name in ("one", "other")}
    made = Picture([Mosaic.parse("one other")], own, TALL)
    assert made.mosaic == Mosaic.parse("one\nother")
    assert made.parts["one"].box.width == 6.0


# Labels of marks


@pytest.mark.parametrize(
    ("frame", "mark", "side"),
    [
        (WIDE, {"row": 3}, "right"),
        (TALL, {"row": 3}, "right"),
        (WIDE, {"column": 3}, "above"),
        (WIDE, {"row": 3, "column": 4}, "right"),
        (WIDE, {"row": 0, "column": 8}, "right"),
        (TALL, {"row": 3, "column": 4}, "below"),
    ],
)
def test_a_label_stands_beside_its_part_in_the_frame(
    frame: Frame, mark: dict[str, int], side: str
) -> None:
    made = picture(
        SCORES, frame=frame, marks=(Mark("scores", **mark, label=Label("47.8", size=0.09)),)
    )
    part, label = made.parts["scores"], made.labels[0]
    # A cell's label comes last, after the line to it.
    text = label if isinstance(label, Label) else label[-1]
    box = Box.between(text.get_corner(DL), text.get_corner(UR))
    assert isinstance(label, Label) is (len(mark) == 1)
    assert frame.free.contains(box)
    outside = {
        "right": box.left > part.box.right,
        "above": box.bottom > part.box.top,
        "below": box.top < part.box.bottom,
    }
    assert outside[side]
    title = part.pieces["title"]
    assert min(box.overlap(Box.between(title.get_corner(DL), title.get_corner(UR)))) <= 0


def test_the_line_from_a_cell_begins_at_its_frame() -> None:
    marks = (Mark("scores", 3, 4, label=Label("47.8")),)
    made = picture(SCORES, marks=marks)
    np.testing.assert_allclose(made.labels[0][0].get_start(), made.marks[0].get_right())


def test_rows_begin_after_a_sign() -> None:
    known = parts() | {"×": sign("×")}
    made = Picture([Mosaic.parse("Q × scores z")], known, WIDE)
    assert made.row_of("z")[0].left == pytest.approx(made.parts["scores"].box.left)


@pytest.mark.parametrize(("name", "text"), [("×", "×"), ("→2", "→"), ("Q", None), ("2", None)])
def test_signs_are_parts_by_their_own_names(name: str, text: str | None) -> None:
    part = sign(name)
    assert (None if part is None else part.make().text) == text


@pytest.mark.parametrize("frame", [WIDE, TALL])
def test_a_mosaic_stands_below_a_headline(frame: Frame) -> None:
    words = Label("scores", size=0.09).move_to([0, frame.free.top - 0.5, 0])
    made = picture(SCORES, frame=frame, headline=words)
    others = [piece for key, piece in made.pieces.items() if key != ("headline", "whole")]
    assert max(piece.get_top()[1] for piece in others) < words.get_bottom()[1]
    assert made.pieces["headline", "whole"] is made.headline is words
