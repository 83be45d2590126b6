"""What is kept: found by what it was made from, and within its limit."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import StageSettings
from filmkit.render import keys
from filmkit.render.cache import Cache, default_folder, open_cache
from filmkit.render.keys import BeatHasher
from filmkit.render.quality import QUALITIES
from filmkit.render.runner import RenderOptions

BEATS = ("first", "second", "third")
SCENE = """
class {name}:
    size = 1

    def first(self): pass

    def second(self): self.helper()

    def third(self): pass

    def helper(self): pass
"""


class Project:
    """A project of two scenes: each has a mobject of its own, and one more is drawn by both.

    They reach that through a package, the second one inside a function.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trace = self.write("trace.safetensors", "value = 1")
        self.engine = self.write("filmkit/render/workers.py", "from filmkit.core import renderer")
        self.renderer = self.write("filmkit/core/renderer.py", "value = 1")
        self.layout = self.write("filmkit/mobjects/head_layout.py", "value = 1")
        self.package = self.write("filmkit/mobjects/__init__.py", "value = 1")
        self.shared = self.write(
            "filmkit/mobjects/shared.py", "from filmkit.mobjects.head_layout import value"
        )
        self.aside = self.write("filmkit/mobjects/aside.py", "value = 1")
        self.mobjects = [self.write(f"filmkit/mobjects/{name}.py", "value = 1") for name in "ab"]
        uses = (
            "from filmkit.mobjects import (\n    a as own,\n    shared,\n)\n",
            "def late():\n    import filmkit.mobjects.shared, filmkit.mobjects.b\n",
        )
        self.scenes = [
            self.write(f"scenes/scene_{name}.py", use + SCENE.format(name="Scene"))
            for name, use in zip(("key_one", "key_two"), uses, strict=True)
        ]

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        return path

    def keys(self, options: RenderOptions = RenderOptions()) -> list[str]:  # noqa: B008
        """Keys of the beats of the one scene, then of the other."""
        ring = BeatHasher(self.trace, options)
        entries = [
            SceneEntry(path.stem, "", f"scenes.{path.stem}", "Scene") for path in self.scenes
        ]
        return [key for entry in entries for key in ring.keys(entry, BEATS).values()]

    def touched(self, path: Path, old: str, new: str) -> list[int]:
        """Which keys an edit changes."""
        before = self.keys()
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return [
            i for i, pair in enumerate(zip(before, self.keys(), strict=True)) if len(set(pair)) > 1
        ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(keys, "PROJECT", tmp_path)
    return Project(tmp_path)


def test_every_beat_has_a_key_of_its_own(project: Project) -> None:
    assert len(set(project.keys())) == 6
    assert project.keys() == project.keys()


def test_edit_of_a_scene_touches_that_scene(project: Project) -> None:
    assert project.touched(project.scenes[0], "size = 1", "size = 2") == [0, 1, 2]
    assert project.touched(project.scenes[1], "helper(self): pass", "helper(self): 1") == [3, 4, 5]


def test_edit_of_a_beat_touches_it_and_what_follows(project: Project) -> None:
    edited = project.scenes[0]
    assert project.touched(edited, "third(self): pass", "third(self): 1") == [2]
    assert project.touched(edited, "self.helper()", "self.helper(), 1") == [1, 2]


def test_beat_that_an_earlier_one_calls_counts_from_there(project: Project) -> None:
    edited = project.scenes[0]
    project.touched(edited, "first(self): pass", "first(self): self.third()")
    assert project.touched(edited, "third(self): pass", "third(self): 1") == [0, 1, 2]


def test_comments_and_blanks_touch_nothing(project: Project) -> None:
    assert project.touched(project.scenes[0], "size = 1", "size  =  1  # one\n") == []


def test_what_is_said_is_no_part_of_the_picture(project: Project) -> None:
    path = project.scenes[0]
    entry = SceneEntry(path.stem, "", f"scenes.{path.stem}", "Scene")
    before = BeatHasher(project.trace, RenderOptions()).story(entry, BEATS)
    third = "third(self): pass", 'third(self):\n        """It ends."""'
    assert project.touched(path, *third) == []
    assert BeatHasher(project.trace, RenderOptions()).story(entry, BEATS) != before


def test_what_all_scenes_use_touches_all(project: Project) -> None:
    everything = [0, 1, 2, 3, 4, 5]
    for path in (project.trace, project.renderer, project.layout, project.package):
        assert project.touched(path, "value = 1", "value = 2") == everything


def test_what_a_scene_does_not_use_does_not_touch_it(project: Project) -> None:
    own, other = project.mobjects
    assert project.touched(own, "value = 1", "value = 2") == [0, 1, 2]
    assert project.touched(other, "value = 1", "value = 2") == [3, 4, 5]
    assert project.touched(project.aside, "value = 1", "value = 2") == []


def test_new_import_is_followed(project: Project) -> None:
    code = project.mobjects[0].read_text()
    project.touched(project.mobjects[0], code, "from . import aside\n")
    assert project.touched(project.aside, "value = 1", "value = 2") == [0, 1, 2]


def test_scene_that_builds_on_another_follows_it(project: Project) -> None:
    base, heir = project.scenes
    heir.write_text("from scenes.scene_key_one import Scene as Base\n" + heir.read_text())
    assert project.touched(base, "size = 1", "size = 2") == [0, 1, 2, 3, 4, 5]


def test_every_module_that_a_scene_loads_is_part_of_its_key() -> None:
    """What Python really imports for a scene and the drawing of it, against what is followed."""
    script = """
import sys
from importlib import import_module
import_module("filmkit.render.workers")
import_module("scenes.mla.scene_mla")
print(*(name for name in sys.modules if name.partition(".")[0] in ("scenes", "extract")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=keys.PROJECT, capture_output=True, text=True, check=True
    )
    followed = keys.reached("scenes.mla.scene_mla", keys.DRAWING)
    assert set(ran.stdout.split()) <= set(followed)
    assert "scenes.attention.scene_attention" not in followed


@pytest.mark.parametrize(
    "options",
    [
        RenderOptions(quality=QUALITIES["4k"]),
        RenderOptions(quality=replace(QUALITIES["fullhd"], frame_rate=60)),
        RenderOptions(settings=StageSettings(layer=1)),
        RenderOptions(settings=StageSettings(theme="light")),
        RenderOptions(settings=StageSettings(background="#102030")),
        RenderOptions(settings=StageSettings(transparent=True)),
    ],
    ids=str,
)
def test_settings_are_part_of_the_key(project: Project, options: RenderOptions) -> None:
    assert not set(project.keys(options)) & set(project.keys())


def test_other_library_is_another_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = project.keys()
    monkeypatch.setattr(keys, "version", lambda name: "99")
    assert not set(project.keys()) & set(before)


def fill(cache: Cache, *names: str) -> list[Path]:
    """Files of 100 bytes, each used an hour after the one before."""
    cache.folder.mkdir(exist_ok=True)
    paths = [cache.path(name, ".mov") for name in names]
    for hours, path in enumerate(paths):
        path.write_bytes(bytes(100))
        os.utime(path, (hours * 3600, hours * 3600))
    return paths


def test_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=250)
    first, second, third, fourth = fill(cache, "a", "b", "c", "d")
    assert cache.holds(first)
    cache.shrink()
    assert set(cache.sizes()) == {fourth, first}
    assert not cache.holds(second)
    assert not cache.holds(third)


def test_what_was_left_half_written_goes_after_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6)
    (old,) = fill(cache, "a")
    old = old.rename(tmp_path / ".a.mov.1.part")
    young = tmp_path / ".b.mov.2.part"
    young.touch()
    cache.shrink()
    assert list(cache.sizes()) == [young]


def test_clear_removes_everything(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10**6)
    fill(cache, "a", "b")
    cache.clear()
    assert cache.sizes() == {}


def test_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none", limit=0)
    cache.shrink()
    assert cache.sizes() == {}


def test_unkept_files_are_gone_afterwards() -> None:
    with open_cache(None, keep=False) as cache:
        (path,) = fill(cache, "a")
    assert not path.exists()


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_FILM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("ATTENTION_FILM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_folder() == tmp_path / "user" / "attention-film"


def test_the_second_trace_counts(project: Project) -> None:
    compared = project.write("second.safetensors", "value = 1")
    options = RenderOptions(settings=StageSettings(compare=compared))
    before = project.keys(options)
    assert project.keys(options) == before
    compared.write_text("value = 2")
    assert not set(project.keys(options)) & set(before)
