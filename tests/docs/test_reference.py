"""Pictures and pages of mobjects and animations."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from manim import Group
from PIL import Image

from docs.draw_recipes import recipes
from docs.draw_reference import ReferencePictures, add_scene, documented_objects, write_pages
from filmkit.core.animations import Appear, Glide
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Highlight, Outline
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.checkout import PROJECT
from tests.support.traces import make_trace

DOCS = PROJECT / "docs"
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


@pytest.mark.slow
def test_every_mobject_and_animation_has_a_page_without_a_warning(
    pictures: ReferencePictures, tmp_path: Path
) -> None:
    # As in the project: pages may show what lies beside their folder.
    docs, site = tmp_path / "docs", tmp_path / "site"
    (docs / "pictures").mkdir(parents=True)
    (tmp_path / "assets").symlink_to(PROJECT / "assets")
    for path in (DOCS / "conf.py", *DOCS.glob("*.md"), *DOCS.glob("*.ipynb")):
        shutil.copy(path, docs)
    for name in recipes(DOCS / "recipes.md"):
        Image.new("RGB", (16, 9)).save(docs / "pictures" / f"{name}.png")
    write_pages(pictures, documented_objects(), docs / "reference")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(docs), str(site)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(DOCS.parent), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    for kind in documented_objects():
        page = (site / "reference" / f"{kind.__name__}.html").read_text()
        assert f'id="{kind.__module__}.{kind.__name__}"' in page
    stage = (site / "reference" / "Stage.html").read_text()
    assert all(
        f'Stage.{name}"' in stage for name in ("show", "part", "prepare", "wait_for", "hold")
    )
    pictured = site / "_images" / "Highlight.png"
    assert Image.open(pictured).size == (WIDTH, HEIGHT)
