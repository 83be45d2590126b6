"""From one picture in the room to the next, and words beside what stands there."""

from __future__ import annotations

import numpy as np
import pytest
from manim import Square, VGroup

from filmkit.core.animations import presence
from filmkit.core.camera import Shot
from filmkit.core.stage import Stage, beat
from filmkit.world.standing import stand, words_at
from tests.support.traces import make_trace


class TwoPictures(Stage):
    @beat
    def first(self) -> None:
        """This stands in the room."""
        self.one, self.two = Square(), Square()
        stand(self, Shot((1, 0, 0), 5.0, 30, 10), self.two, self.one)

    @beat
    def second(self) -> None:
        """Now that does."""
        self.three = Square()
        self.shot = Shot((0, 0, 0), 4.0, 40, 10)
        stand(self, self.shot, self.three, self.one, moves=[self.one.animate.shift([1, 0, 0])])


def test_a_picture_has_what_it_names_and_nothing_else() -> None:
    scene = TwoPictures(make_trace())
    scene.render()
    assert scene.visible_parts() == [scene.three, scene.one]
    assert [presence(thing) for thing in scene.visible_parts()] == [1, 1]
    np.testing.assert_allclose(scene.one.get_center(), [1, 0, 0])
    assert scene.camera.shot == scene.shot


@pytest.mark.parametrize(
    ("away", "side"), [((0.5, 0.0), 1), ((-0.5, 0.0), -1)], ids=["right", "left"]
)
def test_words_begin_or_end_beside_a_point(away: tuple[float, float], side: int) -> None:
    words = words_at("one two three four five", [1, 2, 3], away=away, width=2.0)
    assert isinstance(words, VGroup)
    assert len(words) > 1
    near = [line.get_left()[0] if side > 0 else line.get_right()[0] for line in words]
    np.testing.assert_allclose(near, away[0], atol=0.06)
    assert abs(np.mean([line.get_center()[1] for line in words])) < 0.1


@pytest.mark.parametrize("up", [0.6, -0.6])
def test_words_stand_above_or_below_a_point(up: float) -> None:
    words = words_at("one two three four five", [0, 0, 0], away=(0, up), width=2.0)
    ys = [line.get_center()[1] for line in words]
    nearest = min(ys, key=abs)
    assert nearest == pytest.approx(up, abs=0.1)
    assert all(abs(y) >= abs(nearest) for y in ys)
    assert ys == sorted(ys, reverse=True)
