"""Pictures whose parts appear as words of the narration are said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from filmkit import Mark, Stage
from filmkit.core.errors import SceneCodeError
from filmkit.core.stage import beat
from tests.support.mosaics import Acting, perform, shows


class Telling(Acting):
    """A stage whose narration has marks."""

    @beat
    def only(self) -> None:
        """First the [keys], then all [the scores], and in the [end] a frame."""
        super().only()


def told(*acts: Any, **options: Any) -> Acting:
    return perform(*acts, base=Telling, **options)


def seen_in(stage: Stage) -> set[str]:
    """Return the names of the parts that are seen."""
    item = stage.mosaic_on_screen()
    return {part.name for part in item.parts} if item else set()


def watched(at: Any = None, /, **given: Any) -> tuple[list[tuple[float, set[str]]], Acting]:
    """Return when marks were waited for, and what was seen then; and the stage."""
    found: list[tuple[float, set[str]]] = []

    def act(stage: Stage) -> None:
        wait_for = stage.wait_for

        def noted(mark: str) -> None:
            wait_for(mark)
            found.append((mark, seen_in(stage)))

        stage.wait_for = noted  # type: ignore[method-assign]
        stage.steps("Q × Kt = scores", at, **given)

    return found, told(act)


def test_parts_appear_as_their_words_are_said() -> None:
    found, stage = watched({"the scores": "= scores"}, keys="× Kt")
    assert found == [("keys", {"Q"}), ("the scores", {"Q", "×", "Kt"})]
    assert seen_in(stage) == {"Q", "×", "Kt", "=", "scores"}


def test_the_order_is_that_of_the_narration() -> None:
    found, _stage = watched({"the scores": "= scores", "keys": "× Kt"})
    assert [mark for mark, _seen in found] == ["keys", "the scores"]


def test_it_ends_with_the_picture_of_show() -> None:
    marks = (Mark("scores", 2),)
    options = {"stands": "floor", "light": "Q"}
    _found, stage = watched(
        {"the scores": "= scores"}, end={"marks": marks}, keys="× Kt", reveal="Kt scores", **options
    )
    shown = told(shows("Q × Kt = scores", marks=marks, **options))
    assert np.abs(stage.pictures[-1] - shown.pictures[-1]).max() <= 1


def test_only_what_appears_is_filled() -> None:
    found, stage = watched({"the scores": "scores"}, keys="Kt", reveal="Q Kt")
    assert found == [("keys", {"Q", "×", "="}), ("the scores", {"Q", "×", "=", "Kt"})]
    assert stage.parts["Kt"].cells.whole.shown.all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"keys": "Kt2"}, "keys='Kt2' is no part of the mosaic .* do you mean Kt?"),
        ({"values": "Kt"}, r"no mark \[values\]; there are \[keys\], \[the scores\], \[end\]"),
        ({"keys": {"mark": ()}}, "mark"),
    ],
)
def test_wrong_names_are_said_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises((SceneCodeError, TypeError), match=message) as caught:
        watched(**given)
    assert "\n" not in str(caught.value)
