"""Pictures and pages of mobjects and animations."""

from __future__ import annotations

import numpy as np
import pytest
from manim import Group

from docs.draw_reference import ReferencePictures, add_scene
from filmkit.core.animations import Appear, Glide
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Highlight, Outline
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.traces import make_trace

WIDTH, HEIGHT = 640, 360  # so large that a thin line is a pixel wide


class Named(Group):
    """Group that has its part as an attribute only, not as a submobject."""

    def __init__(self, part: Outline) -> None:
        super().__init__()
        self.part = part


class Story(Stage):
    """A frame at the left appears, then one at the right moves down."""

    def prepare(self) -> None:
        left, right = (self.frame.free.moved(dx=dx).grown(-5, -2) for dx in (-3, 3))
        self.left, self.right = Highlight(left), Outline(right, colour=current_theme().ink)
        self.named = Named(self.right)

    @beat
    def first(self) -> None:
        """One."""
        self.play(Appear(self.left), run_time=1)

    @beat
    def second(self) -> None:
        """Two."""
        self.add(self.right)
        self.play(Glide(self.right, self.right.copy().shift([0, -1, 0])), run_time=1)


@pytest.fixture(scope="module")
def pictures() -> ReferencePictures:
    pictures = ReferencePictures({Highlight, Outline, Named, Label, Appear, Glide})
    with manim_config(Quality(WIDTH, HEIGHT, 5)):
        add_scene(pictures, SceneEntry("scene_story", "", __name__, "Story"), make_trace())
    return pictures


def light(picture: np.ndarray, side: str) -> int:
    """Return the brightest value in one half of a picture, below the notes at its top."""
    half = slice(0, WIDTH // 2) if side == "left" else slice(WIDTH // 2, None)
    return int(picture[HEIGHT // 4 :, half].max())


def test_each_class_has_a_picture_and_the_name_of_its_beat(pictures: ReferencePictures) -> None:
    assert pictures.incomplete == {Label}
    assert pictures.seen_in[Highlight] == pictures.seen_in[Appear] == "scene_story, beat first"
    assert pictures.seen_in[Outline] == pictures.seen_in[Glide] == "scene_story, beat second"


def test_a_mobject_stands_out_from_the_rest(pictures: ReferencePictures) -> None:
    for kind in (Outline, Named):
        assert light(pictures.taken[kind], "right") > 100, kind
        assert 20 < light(pictures.taken[kind], "left") < 80, kind


def test_an_animation_is_shown_at_three_moments(pictures: ReferencePictures) -> None:
    moments = np.hsplit(pictures.taken[Appear], 3)
    lights = [light(moment, "left") for moment in moments]
    assert lights[0] < 60 < lights[1] < 180 < lights[2]
