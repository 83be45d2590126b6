"""The page for people who know Manim: what it names is there, and what it says is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import cast

import manim
import pytest
from manim import UP, Animation, Circumscribe, FadeOut, Indicate, Rotate, Write

import filmkit
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.stage import beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label
from filmkit.pictures.parts import Cells
from filmkit.pictures.stage import Stage
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.checkout import PROJECT
from tests.support.traces import make_trace

PAGE = (PROJECT / "docs" / "for-manim-users.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", PAGE, re.MULTILINE)[1:]
SPAN = re.compile(r"`([^`]+)`")
NAME = re.compile(r"\b(?<!-pql file\.py )[A-Z][a-z]+\w*")
STRING = re.compile(r'"[^"]*"')


class OneScore(Stage):
    """A picture, something of Manim's own with it, and the next picture."""

    animation: Callable[[Stage], Animation]

    @beat
    def by_hand(self) -> None:
        """Words."""
        self.show(". Kt\nQ scores")
        self.play(type(self).animation(self))

    @beat
    def next_picture(self) -> None:
        """Words."""
        self.show("scores")
        seen = {*self.get_mobject_family_members()}
        self.strangers = seen - {*self.parts["scores"].whole.get_family()}
        self.cells = self.parts["scores"].cells


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


def cells(stage: Stage) -> Cells:
    return stage.parts["scores"].cells


def played(animation: Callable[[Stage], Animation], trace: Trace) -> OneScore:
    """Play an animation of Manim in a picture, and then show another picture."""
    scene = cast(type[OneScore], type("Scene", (OneScore,), {"animation": staticmethod(animation)}))
    with manim_config(Quality(160, 90, 5)):
        stage = scene(
            trace,
            StageSettings(calm=True),
            receiver_of_beat=lambda beat, tail: nullcontext(lambda picture, count: None),
        )
        stage.render()
    return stage


def test_its_names_are_there() -> None:
    assert len(ROWS) >= 15
    theirs, ours = (
        {
            name
            for row in ROWS
            for span in SPAN.findall(row[column])
            for name in NAME.findall(STRING.sub("", span))
        }
        for column in (0, 1)
    )
    assert {"Transform", "MathTex"} <= theirs
    assert {"Appear", "Mark", "Shot"} <= ours
    assert [name for name in theirs if not hasattr(manim, name)] == []
    assert ours <= {*dir(filmkit)}


@pytest.mark.parametrize(
    "animation",
    [
        lambda stage: cells(stage).animate.shift(UP),
        lambda stage: Rotate(cells(stage), 0.4),
        lambda stage: Circumscribe(cells(stage)),
        lambda stage: FadeOut(cells(stage)),
        lambda stage: Write(Label("words")),
        lambda stage: Indicate(stage.parts["scores"].pieces["title"]),
    ],
    ids=["animate", "Rotate", "Circumscribe", "FadeOut", "Write", "Indicate"],
)
def test_animations_of_manim_work_and_the_next_picture_takes_over(
    animation: Callable[[Stage], Animation], trace: Trace
) -> None:
    stage = played(animation, trace)
    assert stage.strangers == set()
    assert presence(stage.cells) == 1
    assert stage.cells.get_center() == pytest.approx(stage.cells.box.center, abs=1e-6)


def test_what_changes_the_colour_of_a_path_does_not_work_on_cells(trace: Trace) -> None:
    with pytest.raises(NotImplementedError):
        played(lambda stage: Indicate(cells(stage)), trace)


def test_a_stage_has_no_camera_frame(trace: Trace) -> None:
    with pytest.raises(AttributeError, match="frame"):
        played(lambda stage: stage.camera.frame.animate.scale(0.5), trace)
