"""A stage whose beats name their pictures: what is played, and what is there afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from manim import Square, VGroup

from filmkit import Heatmap, Highlight, Label, Mark, Shot, Stage
from filmkit.core.animations import Reveal, presence
from filmkit.pictures.parts import Cells, Matrix
from tests.support.mosaics import SIZES, perform, shows

NOISE = 1  # levels of 255 by which two drawings of one picture may differ

# A picture does not depend on the one before

PICTURES = {
    "products": shows(". Kt\nQ scores"),
    "one row": shows("Q K V", bars="Q"),
    "marked": shows("Q K", marks=(Mark("Q", 2), Mark("K", None, 3)), focus="Q"),
    "lit": shows("Q pattern", lit={"Q": np.eye(9)[:, [4]], "pattern": 0.5}),
    "all": shows("Q Kt scores\nV pattern z", titles="V z", tall="Q Kt\nscores pattern\nV z"),
    "headed": shows("Q K", headline=Label("a headline").move_to([0, 2, 0])),
    "mine": shows("X mine\nnote note", words="rows"),
    "revealed": shows("z missing", reveal="z"),
}


@pytest.fixture(scope="module", params=SIZES)
def aspect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fresh(aspect: str) -> dict[str, np.ndarray]:
    return {name: perform(act, aspect=aspect).pictures[0] for name, act in PICTURES.items()}


def rounds() -> Iterator[list[str]]:
    """Yield orders of the pictures in which each comes after each other one."""
    names = [*PICTURES]
    for step in range(1, len(names)):
        yield [names[i * step % len(names)] for i in range(len(names) + 1)]


@pytest.mark.parametrize("order", [*rounds()], ids=lambda order: f"{order[0]} to {order[1]}")
def test_a_picture_is_the_same_whatever_was_there_before(
    order: list[str], aspect: str, fresh: dict[str, np.ndarray]
) -> None:
    stage = perform(*(PICTURES[name] for name in order), aspect=aspect)
    for name, picture in zip(order, stage.pictures, strict=True):
        assert np.abs(picture - fresh[name]).max() <= NOISE, name


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_played_if_the_picture_is_there(name: str) -> None:
    stage = perform(PICTURES[name], PICTURES[name])
    assert stage.played[0] > 0
    assert stage.played[1] == 0


def test_what_is_seen_of_a_part_stays_while_the_rest_is_filled() -> None:
    some, seen = np.eye(9), []

    def look(stage: Stage) -> None:
        play = stage.play

        def watched(*args: Any, **kwargs: Any) -> None:
            play(*args, **kwargs)
            seen.append(stage.parts["scores"].cells.whole.shown.copy())

        stage.play = watched  # type: ignore[method-assign]

    lit = {"scores": some}
    perform(shows("Q scores", lit=lit), look, shows("Q scores", reveal="scores"))
    np.testing.assert_array_equal(seen[0], some)
    np.testing.assert_array_equal(seen[-1], np.ones((9, 9)))


def test_rows_of_both_ends_are_filled_one_after_the_other() -> None:
    fills: list[Reveal] = []

    def look(stage: Stage) -> None:
        play = stage.play

        def watched(*args: Any, **kwargs: Any) -> None:
            fills.extend(each for each in args if isinstance(each, Reveal))
            play(*args, **kwargs)

        stage.play = watched  # type: ignore[method-assign]
        stage.part("long", Matrix(np.ones((200, 4)), rows="many", columns="few", kept=(3, 2)))

    perform(look, shows("long", reveal="long"))
    times = np.concatenate([fill.when[:, 0] for fill in fills])
    np.testing.assert_allclose(times, np.arange(5) / 5)


# What is there


def test_only_the_parts_of_the_picture_are_there() -> None:
    stage = perform(shows("Q K"), lambda stage: stage.add(Square()), shows("Q V"))
    assert set(stage.parts) == {"Q", "V"}
    pieces = {member for part in stage.parts.values() for member in part.whole.get_family()}
    assert set(stage.camera.drawing_order(stage.mobjects)) <= pieces
    assert isinstance(stage.parts["Q"].cells, Cells)
    assert stage.parts["Q"].cells.row(3).height == pytest.approx(stage.parts["V"].box.height / 9)


def test_marks_lie_over_cells_that_come_later() -> None:
    marks = (Mark("Q", 2),)
    stage = perform(shows("Q", marks=marks), shows("Q K", marks=marks), shows("K Q V", marks=marks))
    kinds = [type(mobject) for mobject in stage.camera.drawing_order(stage.mobjects)]
    assert kinds.index(Highlight) > len(kinds) - 1 - kinds[::-1].index(Heatmap)


def test_what_is_out_of_focus_is_background() -> None:
    stage = perform(shows("Q K", focus="K"))
    assert presence(stage.parts["Q"].cells.whole) == stage.theme.dim
    assert presence(stage.parts["K"].cells.whole) == 1


def test_cells_that_are_out_of_focus_are_background() -> None:
    line = np.eye(9, k=-2)
    stage = perform(shows("Q pattern", focus={"pattern": line}))
    shown = stage.parts["pattern"].cells.whole.shown
    np.testing.assert_array_equal(shown, np.where(line, 1, stage.theme.dim))
    assert presence(stage.parts["Q"].cells.whole) == stage.theme.dim
    assert presence(stage.parts["pattern"].cells.whole) == 1


def test_an_empty_picture_clears_the_stage() -> None:
    words = Label("a headline").move_to([0, 2, 0])
    stage = perform(
        shows("Q K"),
        shows("."),
        lambda stage: stage.add(Square()),
        shows("."),
        shows(".", headline=words),
        shows("."),
    )
    assert not stage.parts
    dark = stage.pictures[1]
    assert stage.played == [1, 1, 0, 1, 1, 1]
    for n in (3, 5):
        np.testing.assert_array_equal(stage.pictures[n], dark)
    assert (stage.pictures[4] != dark).any()


def test_what_is_shown_later_has_its_place_and_is_not_there() -> None:
    stage = perform(shows("Q note", later="note"))
    assert stage.parts["note"].box.left > stage.parts["Q"].box.right
    assert stage.parts["note"].whole[0] not in stage.mobjects


def test_what_was_brought_in_piece_by_piece_is_one_part_of_the_next_picture() -> None:
    def bring(stage: Stage) -> None:
        stage.part("pair", VGroup(VGroup(Square(), Square()).arrange(), Square()))
        stage.show("pair", later="pair")
        (one, other), _last = stage.parts["pair"].whole[0]
        stage.add(one, other)

    stage = perform(bring, shows("Q pair"), shows("Q"))
    assert not [mobject for mobject in stage.mobjects if isinstance(mobject, Square)]
    alone = perform(bring, shows("Q"), shows("Q pair"))
    assert np.abs(stage.pictures[1] - alone.pictures[2]).max() <= NOISE
    assert np.abs(stage.pictures[2] - alone.pictures[1]).max() <= NOISE


def test_a_headline_comes_when_the_first_part_does() -> None:
    words = Label("a headline").move_to([0, 2, 0])
    assert perform(shows("Q K", headline=words, later="Q K")).played == [0]
    stage = perform(shows("Q K", headline=words, later="K"))
    assert words in stage.mobjects


def test_a_beat_without_a_picture_has_no_parts() -> None:
    assert dict(perform(lambda stage: None).parts) == {}


def test_other_frames_may_have_another_mosaic() -> None:
    act = shows("Q K", tall="Q\nK")
    wide, tall = (perform(act, aspect=aspect).parts for aspect in SIZES)
    assert wide["K"].box.left > wide["Q"].box.right
    assert tall["K"].box.top < tall["Q"].box.bottom


def test_a_tall_mosaic_is_taken_only_if_its_cells_are_larger() -> None:
    tall = perform(shows("Q\nK", tall="Q K"), aspect="9:16").parts
    assert tall["K"].box.top < tall["Q"].box.bottom


@pytest.mark.parametrize("shot", [Shot(theta=30, phi=10, focal=2.0), Shot((0, 0, -3), height=5)])
def test_a_picture_is_shown_from_straight_ahead_after_a_place_in_space(shot: Shot) -> None:
    def go(stage: Stage) -> None:
        stage.camera.shot = shot

    stage = perform(shows("Q K"), go, shows("Q K"))
    assert stage.camera.shot == Shot()
    assert np.abs(stage.pictures[2] - stage.pictures[0]).max() <= NOISE
    assert stage.played[2] == 1


def test_origins_of_parts_that_are_not_shown_stay() -> None:
    cells = Heatmap(np.ones((9, 8)))
    stage = perform(shows("Q", origins={"Q": cells, "K": cells}))
    assert [*stage.parts] == ["Q"]
