"""Mosaics: how they are read, the messages of mistakes, and how they fill a frame."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame
from filmkit.pictures.mosaic import GAP, MAX_PITCH, Arrangement, Axis, Mosaic, Size, arrange
from filmkit.render.quality import ASPECTS, frame_size

SLACK = 1e-6
FRAMES = {
    name: Frame(*frame_size(120 * across, 120 * down)) for name, (across, down) in ASPECTS.items()
}
SCORES = Mosaic.parse(". Kt\nQ scores")


def token(count: int) -> Axis:
    return Axis("token", count, least=0.05)


def channel(count: int) -> Axis:
    return Axis("channel", count, least=0.02)


def sizes_of_scores(count: int = 9, d_head: int = 64) -> dict[str, Size]:
    return {
        "Kt": Size(channel(d_head), token(count), above=1.2, title=(1.5, 0.4)),
        "Q": Size(token(count), channel(d_head), left=1.2, title=(1.5, 0.4)),
        "scores": Size(token(count), token(count)),
    }


# Reading


def test_names_stand_where_they_are_written() -> None:
    mosaic = Mosaic.parse(
        """
        .    Kt     sum
        Q    scores sum
        note note   note
        """
    )
    assert mosaic.names == ("Kt", "sum", "Q", "scores", "note")
    assert (mosaic.spans["sum"].rows, mosaic.spans["sum"].columns) == ((0, 2), (2, 3))
    assert (mosaic.spans["note"].rows, mosaic.spans["note"].columns) == ((2, 3), (0, 3))
    assert str(mosaic) == "mosaic . Kt sum / Q scores sum / note note note"
    assert mosaic == Mosaic.parse(". Kt sum\nQ scores sum\n\nnote note note")


def test_rows_become_columns() -> None:
    assert Mosaic.parse("Q . K").transposed == Mosaic.parse("Q\n.\nK")
    assert SCORES.transposed.transposed == SCORES


@pytest.mark.parametrize(
    ("absent", "left"),
    [
        ("", ". Kt\nQ scores"),
        ("Kt", "Q scores"),
        ("Q", "Kt\nscores"),
        ("Q Kt", "scores"),
        ("scores", ". Kt\nQ ."),
    ],
)
def test_rows_and_columns_go_with_their_last_part(absent: str, left: str) -> None:
    assert SCORES.without(absent.split()) == Mosaic.parse(left)


def test_rows_that_were_left_empty_stay() -> None:
    assert Mosaic.parse("Q x\n. .\nK y").without({"x", "y"}) == Mosaic.parse("Q\n.\nK")


def test_fields_before_a_part_are_empty_or_not() -> None:
    assert SCORES.is_empty_before("Kt", across=True)
    assert not SCORES.is_empty_before("Kt", across=False)  # there are none
    assert SCORES.is_empty_before("Q", across=False)
    assert not SCORES.is_empty_before("scores", across=True)
    assert not Mosaic.parse(". x\nQ x").is_empty_before("x", across=True)


# Mistakes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n ", "mosaic is empty; name at least one part, or write . for nothing"),
        (
            ". Kt\nQ scores z",
            "mosaic . Kt / >Q< >scores< >z<: rows differ in length, 3 here and 2 in the first; "
            "write . for an empty field",
        ),
        ("Q K\nK Q", "mosaic >Q< K / K >Q<: the fields of 'Q' are no rectangle"),
        ("Q Q\nQ z", "mosaic >Q< >Q< / >Q< z: the fields of 'Q' are no rectangle"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_marked(text: str, message: str) -> None:
    with pytest.raises(SceneCodeError) as mistake:
        Mosaic.parse(text)
    assert str(mistake.value) == message


def test_an_unknown_name_is_marked_and_near_ones_are_named() -> None:
    known = ("Q", "K", "Kt", "scores", "scaled")
    assert str(SCORES.unknown("scores", ["score"])) == (
        "mosaic . Kt / Q >scores<: there is no part 'scores'; do you mean score?"
    )
    mosaic = Mosaic.parse("Q sores")
    message = str(mosaic.unknown("sores", known))
    assert message.endswith("there is no part 'sores'; do you mean scores?")
    message = str(Mosaic.parse("Q entropy").unknown("entropy", known))
    assert message.endswith("there is no part 'entropy'; add it with self.part(...)")


def test_names_that_are_given_for_something_are_parts() -> None:
    assert SCORES.listed("reveal", " Q scores ") == ("Q", "scores")
    with pytest.raises(SceneCodeError) as mistake:
        SCORES.listed("reveal", "Q scors")
    assert str(mistake.value) == (
        "reveal='scors' is no part of the mosaic . Kt / Q scores; do you mean scores?"
    )


@pytest.mark.parametrize(
    ("tall", "message"),
    [
        ("Q\nKt\nK", "mosaic Q / Kt / >K<: 'K' is no part of the mosaic . Kt / Q scores"),
        ("Kt", "mosaic Kt: it lacks Q and scores of the mosaic . Kt / Q scores"),
    ],
)
def test_a_mosaic_for_other_frames_has_the_same_parts(tall: str, message: str) -> None:
    assert SCORES.same_parts(SCORES.transposed) == SCORES.transposed
    with pytest.raises(SceneCodeError) as mistake:
        SCORES.same_parts(Mosaic.parse(tall))
    assert str(mistake.value) == message


# Arranging


def test_equal_axes_have_equal_pitch_and_lie_in_one_line() -> None:
    arranged = arrange(SCORES, sizes_of_scores(), FRAMES["16:9"].free)
    q, kt, scores = (arranged.boxes[name] for name in ("Q", "Kt", "scores"))
    assert (q.bottom, q.top) == pytest.approx((scores.bottom, scores.top))
    assert (kt.left, kt.right) == pytest.approx((scores.left, scores.right))
    assert q.width == pytest.approx(kt.height)
    assert scores.width == pytest.approx(scores.height)


def test_one_of_its_directions_is_full() -> None:
    free = FRAMES["16:9"].free
    fields = Box.around(arrange(SCORES, sizes_of_scores(), free).fields.values())
    assert (fields.x, fields.y) == pytest.approx((free.x, free.y))
    assert fields.height == pytest.approx(free.height, abs=1e-4)


def test_few_cells_are_no_larger_than_the_largest() -> None:
    arranged = arrange(
        Mosaic.parse("scores"), {"scores": Size(token(2), token(2))}, FRAMES["16:9"].free
    )
    assert arranged.pitches == {"token": MAX_PITCH}


def test_a_title_beside_saves_height_where_there_is_width() -> None:
    sizes = {"scores": Size(token(9), token(9), title=(1.5, 0.4))}
    one = Mosaic.parse("scores")
    assert arrange(one, sizes, FRAMES["16:9"].free).titles == {"scores": "right"}
    assert arrange(one, sizes, FRAMES["9:16"].free).titles == {"scores": "above"}
    titles = arrange(SCORES, sizes_of_scores(), FRAMES["16:9"].free).titles
    assert titles["Kt"] == "left"  # where the field is empty


def test_a_title_reaches_into_an_empty_field() -> None:
    """There is room for words at the left of Q, below it."""
    sizes = sizes_of_scores()
    arranged = arrange(SCORES, sizes, FRAMES["16:9"].free)
    sizes["Kt"] = replace(sizes["Kt"], title=(0.4, 0.4))
    assert arrange(SCORES, sizes, FRAMES["16:9"].free) == arranged


def test_words_in_an_empty_corner_leave_no_room_for_what_is_below() -> None:
    sizes = sizes_of_scores()
    arranged = arrange(SCORES, sizes, FRAMES["16:9"].free)
    sizes["Kt"] = replace(sizes["Kt"], left=0.5)
    lower = arrange(SCORES, sizes, FRAMES["16:9"].free)
    assert lower.boxes["Kt"].bottom - lower.boxes["Q"].top > sizes["Q"].title[1]
    assert arranged.boxes["Kt"].bottom - arranged.boxes["Q"].top == pytest.approx(GAP)


def test_a_title_is_not_beyond_the_words_beside_its_part() -> None:
    sizes = {"K": Size(token(9), channel(8), left=1.2, title=(1.5, 0.4))}
    beside = {"K": replace(sizes["K"], left=0.0)}
    room = FRAMES["9:16"].free
    assert arrange(Mosaic.parse(". K"), beside, room).titles == {"K": "left"}
    assert arrange(Mosaic.parse(". K"), sizes, room).titles == {"K": "above"}


def test_what_is_as_wide_as_the_room_reaches_below_words_in_an_empty_field() -> None:
    room = FRAMES["16:9"].free
    sizes = {
        "K": Size(token(9), channel(8), left=1.2),
        "note": Size(width=room.width, height=0.4),
    }
    boxes = arrange(Mosaic.parse(". K\nnote note"), sizes, room).boxes
    assert (boxes["note"].left, boxes["note"].right) == pytest.approx((room.left, room.right))
    assert boxes["K"].left >= room.left + 1.2 - SLACK


def test_a_wide_title_does_not_stretch_the_cells_below_it() -> None:
    sizes = {
        "V": Size(token(9), channel(2), title=(3.0, 0.4)),
        "z": Size(token(9), channel(2), title=(0.5, 0.4)),
    }
    boxes = arrange(Mosaic.parse("V z"), sizes, FRAMES["4:3"].free).boxes
    assert boxes["V"].width == pytest.approx(boxes["z"].width)
    assert boxes["z"].left - boxes["V"].left >= 3.0


def test_a_part_without_cells_is_in_the_middle_of_its_fields() -> None:
    sizes = {"Q": Size(token(9), channel(8)), "note": Size(width=1.0, height=0.4)}
    arranged = arrange(Mosaic.parse("Q note\nQ ."), sizes, FRAMES["16:9"].free)
    note, field = arranged.boxes["note"], arranged.fields[0, 1]
    assert note.center == pytest.approx(field.center)
    assert (note.width, note.height) == pytest.approx((1.0, 0.4))


CHART = Size(width=2.0, height=1.0, fills=True)


def test_what_fills_its_place_takes_the_room_that_is_left_beside_cells() -> None:
    free = FRAMES["16:9"].free
    sizes = {"Q": Size(token(9), channel(8), left=1.2, above=0.5), "chart": CHART}
    boxes = arrange(Mosaic.parse("Q chart"), sizes, free).boxes
    assert boxes["chart"].right == pytest.approx(free.right)
    assert boxes["chart"].left - boxes["Q"].right == pytest.approx(GAP)
    assert (boxes["chart"].bottom, boxes["chart"].top) == (boxes["Q"].bottom, boxes["Q"].top)
    alone = arrange(Mosaic.parse("Q"), sizes, free).boxes["Q"]
    assert boxes["Q"].height == pytest.approx(alone.height)


def test_what_fills_its_place_is_as_wide_as_the_cells_below_it() -> None:
    free = FRAMES["16:9"].free
    sizes = {"Q": Size(token(9), channel(8)), "chart": CHART}
    boxes = arrange(Mosaic.parse("chart\nQ"), sizes, free).boxes
    assert (boxes["chart"].left, boxes["chart"].right) == (boxes["Q"].left, boxes["Q"].right)
    assert boxes["chart"].height >= CHART.height - SLACK


def test_what_fills_its_place_shares_the_room_over_words() -> None:
    free, word = FRAMES["16:9"].free, Size(width=1.0, height=0.4)
    sizes = {"chart": CHART, "other": CHART, "a": word, "b": word}
    boxes = arrange(Mosaic.parse("chart chart\na b"), sizes, free).boxes
    assert (boxes["chart"].width, boxes["chart"].top) == pytest.approx((free.width, free.top))
    assert boxes["a"].width == word.width
    boxes = arrange(Mosaic.parse("chart other"), sizes, free).boxes
    assert boxes["chart"].width == pytest.approx((free.width - GAP) / 2)


def test_an_empty_picture_has_no_parts() -> None:
    nothing = Mosaic.parse(". .")
    assert not nothing.names
    assert not arrange(nothing, {}, FRAMES["16:9"].free).boxes
    with pytest.raises(SceneCodeError, match=r"^marks='Q' is no part of the mosaic \. \.$"):
        nothing.listed("marks", "Q")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"Q": Size(width=30.0, height=1.0), "K": Size(width=2.0, height=1.0)},
            "mosaic >Q< K: words, titles and the smallest cells are 32.3 units wide, and there "
            "are 13.6; 'Q' needs most: take fewer parts, or shorter words",
        ),
        (
            {"Q": Size(width=1.0, height=1.0), "K": Size(Axis("token", 9, least=2.0), above=1.0)},
            "mosaic Q >K<: words, titles and the smallest cells are 19.0 units high",
        ),
    ],
)
def test_what_cannot_fit_is_named(sizes: dict[str, Size], message: str) -> None:
    with pytest.raises(SceneCodeError) as mistake:
        arrange(Mosaic.parse("Q K"), sizes, FRAMES["16:9"].free)
    assert str(mistake.value).startswith(message)


# Any mosaic

COUNTS = (2, 9, 24)
NUMBERS = st.floats(0, 1.5)
TITLES = st.one_of(st.just((0.0, 0.0)), st.tuples(st.floats(0.3, 2.5), st.just(0.4)))


@st.composite
def mosaics(draw: st.DrawFn, count: int) -> tuple[Mosaic, dict[str, Size]]:
    """A mosaic of up to three rows, some fields of which are empty or joined, and its sizes."""
    n_rows, n_columns = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    grid = [[f"{r}{c}" for c in range(n_columns)] for r in range(n_rows)]
    for r in range(n_rows):
        for c in range(n_columns):
            grid[r][c] = draw(st.sampled_from([grid[r][c], grid[r][c], "."]))
    if draw(st.booleans()):
        grid[-1] = ["wide"] * n_columns
    elif draw(st.booleans()):
        for row in grid:
            row[-1] = "high"
    if all(name == "." for row in grid for name in row):
        grid[0][0] = "00"
    mosaic = Mosaic.parse("\n".join(" ".join(row) for row in grid))
    axes = st.sampled_from([token(count), channel(64), Axis("other", 3), None])
    sizes = {
        name: Size(
            draw(axes), draw(axes),
            width=draw(NUMBERS), height=draw(NUMBERS),
            left=draw(NUMBERS), right=draw(NUMBERS), above=draw(NUMBERS), below=draw(NUMBERS),
            title=draw(TITLES),
        )
        for name in mosaic.names
    }  # fmt: skip
    return mosaic, sizes


def occupied(name: str, sizes: dict[str, Size], arranged: Arrangement) -> list[Box]:
    """Return the boxes of the cells of a part and of what stands around them."""
    size, box, (width, height) = sizes[name], arranged.boxes[name], sizes[name].title
    left, right = box.left - size.left, box.right + size.right
    bottom, top = box.bottom - size.below, box.top + size.above
    title = {
        "above": Box.of(box.left, box.left + width, top, top + height),
        "left": Box.of(left - width, left, box.top - height, box.top),
        "right": Box.of(right, right + width, box.top - height, box.top),
    }[arranged.titles[name]]
    around = [
        Box.of(left, right, box.bottom, box.top),
        Box.of(box.left, box.right, bottom, top),
    ]
    return [*around, title] if width else around


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("count", COUNTS)
@given(data=st.data())
def test_any_mosaic_is_inside_the_frame_with_equal_pitches(
    aspect: str, count: int, data: st.DataObject
) -> None:
    mosaic, sizes = data.draw(mosaics(count))
    room = FRAMES[aspect].free
    try:
        arranged = arrange(mosaic, sizes, room)
    except SceneCodeError as mistake:
        crowded = str(mistake)
    else:
        crowded = ""
    if crowded:
        assert any(f"{name!r} needs most" in crowded for name in mosaic.names)
        return
    for name, size in sizes.items():
        box = arranged.boxes[name]
        for around in occupied(name, sizes, arranged):
            assert room.contains(around, slack=SLACK)
        for axis, length in ((size.rows, box.height), (size.columns, box.width)):
            if axis is not None:
                assert length == pytest.approx(axis.count * arranged.pitches[axis.name])
    for one, other in combinations(mosaic.names, 2):
        boxes = product(*(occupied(name, sizes, arranged) for name in (one, other)))
        assert not any(crosses(*pair) for pair in boxes), (str(mosaic), one, other)
    for name, span in mosaic.spans.items():
        fields = [arranged.fields[r, c] for r in range(*span.rows) for c in range(*span.columns)]
        assert Box.around(fields).contains(arranged.boxes[name], slack=SLACK)


def crosses(one: Box, other: Box) -> bool:
    return min(one.overlap(other)) > SLACK


@given(data=st.data(), count=st.sampled_from(COUNTS), more=st.floats(0.1, 4))
def test_a_larger_room_has_no_smaller_cells(data: st.DataObject, count: int, more: float) -> None:
    mosaic, sizes = data.draw(mosaics(count))
    room = FRAMES["16:9"].free
    try:
        small = arrange(mosaic, sizes, room)
    except SceneCodeError:
        return
    large = arrange(mosaic, sizes, room.grown(more))
    unit = "token" if "token" in small.pitches else next(iter(small.pitches), "")
    assert large.pitches.get(unit, 0.0) >= small.pitches.get(unit, 0.0) - SLACK
