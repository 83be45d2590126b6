"""What the map of a picture says of the mosaic that it was made from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from filmkit import Appear, HeadPanel, Mark, Stage
from tests.support.mosaics import SIZES, Act, perform, shows
from tests.support.performance import uneven_axes
from tests.support.traces import make_trace

SCORES = ". Kt\nQ scores"


def map_after(*acts: Act, **options: Any) -> dict[str, Any]:
    """Return the map of what a stage shows at last; it must be JSON."""
    document = perform(*acts, **options).document
    assert json.loads(json.dumps(document)) == document
    return document


def parts_of(document: dict[str, Any]) -> dict[str, Any]:
    return {part["name"]: part for part in document["mosaic"]["parts"]}


def test_panels_have_the_name_of_their_part_its_axes_and_its_field() -> None:
    panels = {each["part"]: each for each in map_after(shows(SCORES))["panels"]}
    assert {name: panel["sides"] for name, panel in panels.items()} == {
        "Q": ["token", "channel"],
        "Kt": ["channel", "token"],
        "scores": ["token", "token"],
    }
    assert panels["scores"]["field"] == [[1, 2], [1, 2]]
    assert panels["Kt"]["field"] == [[0, 1], [1, 2]]


def test_both_panels_of_a_cut_matrix_belong_to_one_part() -> None:
    document = map_after(shows("X W_Q"), trace=make_trace(d_model=160, weights_of=(0,)), layer=0)
    assert [panel["part"] for panel in document["panels"]] == ["X", "X", "W_Q", "W_Q"]
    (across,) = {
        side["drawn"] for side in parts_of(document)["X"]["sides"] if side["axis"] == "model"
    }
    assert (across, parts_of(document)["X"]["sides"][1]["count"]) == (48, 160)
    assert [*uneven_axes(document)] == []


def test_parts_stand_where_their_cells_are() -> None:
    document = map_after(shows(SCORES))
    for panel in document["panels"]:
        corners = np.array(panel["corners"])
        part = parts_of(document)[panel["part"]]
        assert [*corners.min(axis=0), *corners.max(axis=0)] == pytest.approx(part["box"])
        down, across = part["sides"]
        size = corners.max(axis=0) - corners.min(axis=0)
        assert size == pytest.approx(
            [across["pitch"] * across["count"], down["pitch"] * down["count"]]
        )
        (rows, columns), fields = part["field"], document["mosaic"]["fields"]
        left, top, right, bottom = fields[rows[0]][columns[0]]
        assert left - 1 <= part["box"][0] < part["box"][2] <= right + 1
        assert top - 1 <= part["box"][1] < part["box"][3] <= bottom + 1


def test_texts_belong_to_their_part() -> None:
    texts = {text["text"]: text["part"] for text in map_after(shows("Q note"))["texts"]}
    assert texts["queries"] == "Q"
    assert texts["American"] == "Q"
    assert texts["a note"] == "note"


def test_the_mosaic_is_as_it_was_arranged() -> None:
    mosaics = {
        aspect: map_after(shows("Q missing K", tall="Q\nK\nmissing"), aspect=aspect)["mosaic"]
        for aspect in SIZES
    }
    assert mosaics["16:9"]["grid"] == [["Q", "K"]]
    assert mosaics["9:16"]["grid"] == [["Q"], ["K"]]
    assert [len(row) for row in mosaics["9:16"]["fields"]] == [1, 1]


def test_background_marks_and_words_without_room_are_told() -> None:
    marks = (Mark("Q", 2), Mark("K", None, 3), Mark("Q"))
    document = map_after(shows("Q K", focus="K", marks=marks))
    strengths = {name: part["strength"] for name, part in parts_of(document).items()}
    assert strengths == {"Q": 0.2, "K": 1.0}
    assert document["mosaic"]["marks"] == [
        {"part": "Q", "row": 2, "column": None},
        {"part": "K", "row": None, "column": 3},
        {"part": "Q", "row": None, "column": None},
    ]
    assert document["mosaic"]["left_out"] == []
    crowded = map_after(shows("Q Kt scores\nV pattern z"))
    assert "the words above Kt" in crowded["mosaic"]["left_out"]


def test_a_part_that_is_not_on_screen_yet_is_not_told() -> None:
    assert list(parts_of(map_after(shows("Q note", later="note")))) == ["Q"]


def by_hand(stage: Stage) -> None:
    stage.clear()
    stage.play(Appear(HeadPanel(stage.head, "q")))


@pytest.mark.parametrize("acts", [(by_hand,), (shows("Q"), by_hand)])
def test_a_picture_by_hand_has_no_mosaic(acts: tuple[Act, ...]) -> None:
    document = map_after(*acts)
    assert document["mosaic"] is None
    (panel,) = document["panels"]
    assert (panel["part"], panel["sides"], panel["field"]) == ("", [], [])
    assert {text["part"] for text in document["texts"]} <= {""}


@pytest.mark.parametrize("aspect", SIZES)
@pytest.mark.parametrize("mosaic", [SCORES, "Q Kt scores\nV pattern z", "X C mine", "mine\nX"])
def test_equal_axes_have_equal_pitch(mosaic: str, aspect: str) -> None:
    assert [*uneven_axes(map_after(shows(mosaic), aspect=aspect))] == []


def test_unequal_pitch_is_found() -> None:
    def stretch(stage: Stage) -> None:
        stage.parts["Q"].cells.whole.stretch(1.1, 0)

    (line,) = uneven_axes(map_after(shows(SCORES), stretch))
    assert line.startswith("cells of channel are ")
