"""What moves from the last picture of one scene to the first one of the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from manim import Circle, Square
from manim.utils.exceptions import EndSceneEarlyException

from filmkit.core.animations import Appear, presence
from filmkit.core.arrival import _matches, _stand_in_scene, arriving, stand_for
from filmkit.core.beat_records import ARRIVE
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.scene_entry import Arrival, SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.traces import make_trace

TILTED = Shot((0.0, 1.0, -2.0), height=6.0, phi=12.0)
CELLS = np.arange(6.0).reshape(2, 3)
TEXTS = ("red", ",", "white", "and")


def sentence(y: float) -> list[Label]:
    return [Label(text).on_line(x, y) for x, text in enumerate(TEXTS)]


class Before(Stage):
    """Ends with a matrix, and with words that are fixed in the frame."""

    @beat
    def ending(self) -> None:
        """One."""
        cells = Heatmap(CELLS).place(Box(-2, 0, 3, 2))
        self.play(Appear(cells), *(Appear(pin_to_frame(word)) for word in sentence(2.0)))


class AtOnce(Stage):
    """Begins with a picture that is there at once."""

    @beat
    def opening(self) -> None:
        """Two."""
        self.cells, self.other = Heatmap(CELLS).place(Box(2, 0, 3, 2)), Square()
        self.add(self.cells, self.other)
        self.play(Appear(Label("new")))


class InSpace(Stage):
    """Begins with words in space."""

    @beat
    def opening(self) -> None:
        """Two."""
        self.camera.shot = TILTED
        self.play(*map(Appear, sentence(0.5)))


def arrived(scene: type[Stage], until: str = ARRIVE) -> Any:
    """Return the stage of a scene after it has arrived from the other one, or later."""

    def end(record: Any, stage: Stage) -> None:
        if record.name == until:
            raise EndSceneEarlyException

    with manim_config(Quality(320, 180, 5)):
        stage = arriving(scene, Before, Arrival(SceneEntry("", "", "", ""), chapter=(2, 3)))(
            make_trace(n_tokens=4), StageSettings(), on_beat_end=end
        )
        stage.render()
    return stage


def of_kind(stage: Stage, kind: type[Any]) -> list[Any]:
    return [part for part in stage.visible_parts() if isinstance(part, kind)]


def test_a_picture_that_is_there_at_once_is_reached_whole() -> None:
    stage = arrived(AtOnce)
    places = [part.get_center()[0] for part in of_kind(stage, Heatmap)]
    assert places == pytest.approx([2.0] * len(places))
    (square,) = of_kind(stage, Square)
    assert presence(square) == 1.0
    # The scene's own picture takes its place, and nothing is there twice.
    stage = arrived(AtOnce, "opening")
    assert of_kind(stage, Heatmap) == [stage.cells]
    assert of_kind(stage, Square) == [stage.other]


def test_a_shape_goes_to_one_of_as_many_points_that_stands_for_the_same() -> None:
    before = [stand_for(Square(), "key"), Square(), stand_for(Circle(), "value")]
    targets = [stand_for(Square(), what).shift([3, 0, 0]) for what in ("value", "key")]
    assert _matches(before, targets, TILTED, TILTED) == [(before[0], targets[1])]


def test_words_of_the_frame_go_into_the_room_with_their_marks() -> None:
    stage = arrived(InSpace)
    assert stage.camera.shot == TILTED
    words = sorted(of_kind(stage, Label), key=lambda word: word.get_center()[0])
    assert [word.text for word in words] == list(TEXTS)
    for word, end in zip(words, sentence(0.5), strict=True):
        assert not word.pinned
        np.testing.assert_allclose(word.points, end.points, atol=1e-6)


def test_they_begin_where_they_were_seen() -> None:
    word = pin_to_frame(Label("white").on_line(1.5, -2.0))
    seen = word.points[:, :2].copy()
    _stand_in_scene(word, TILTED, 8.0)
    np.testing.assert_allclose(TILTED.project(word.points, 8.0)[:, :2], seen, atol=1e-6)
