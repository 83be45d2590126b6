"""Scenes in files of the user's own: found, rendered with every option, and refused in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from filmkit.commands.options import scenes_named
from filmkit.commands.scene_files import find_scene, names_a_file
from tests.support.checkout import PROJECT
from tests.support.dask_cluster import dask_cluster
from tests.support.filming import segments

SCENE = """
import numpy as np

from filmkit import Appear, Heatmap, Stage, beat
from numbers_of_mine import SHAPE


class Mine(Stage):
    title = "My own numbers"

    @beat
    def my_numbers(self):
        '''These are my own numbers.'''
        self.play(Appear(Heatmap(np.random.default_rng(0).normal(size=SHAPE))))

    @beat
    def the_end(self):
        '''They stay.'''
        self.wait(0.2)
"""
TWO = "from filmkit.core.stage import Stage\n\nclass A(Stage):\n    pass\n\nclass B(A):\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a scene, the module beside it that it imports, and folders named as ours."""
    for name in ("scenes", "extract", "filmkit"):
        (tmp_path / name).mkdir()
    (tmp_path / "my_scene.py").write_text(SCENE)
    (tmp_path / "numbers_of_mine.py").write_text("SHAPE = 6, 9\n")
    (tmp_path / "two.py").write_text(TWO)
    return tmp_path


def render(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "render.py"), *arguments],
        cwd=folder,
        env=os.environ | {"ATTENTION_FILM_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_names_of_files_are_told_from_names_of_scenes() -> None:
    assert names_a_file("my_scene.py")
    assert names_a_file("folder/my_scene.py:Mine")
    assert not names_a_file("scene_mla")


def test_a_scene_is_found_without_running_its_file(folder: Path) -> None:
    (folder / "my_scene.py").write_text(SCENE + "\nraise RuntimeError('loaded')\n")
    entry = find_scene(str(folder / "my_scene.py"))
    assert (entry.slug, entry.title, entry.cls) == ("my_scene", "My own numbers", "Mine")
    assert entry.file == folder / "my_scene.py"


def test_one_of_several_scenes_is_named(folder: Path) -> None:
    entry = find_scene(f"{folder}/two.py:B")
    assert (entry.slug, entry.title, entry.cls) == ("two_B", "B", "B")
    both = scenes_named([f"{folder}/two.py:A", f"{folder}/two.py:B"])
    assert [entry.slug for entry in both] == ["two_A", "two_B"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py", "there is no file"),
        ("two.py", "name the scene in .*two.py:A, .*two.py:B"),
        ("two.py:", "name the scene in .*two.py:A, .*two.py:B"),
        ("my_scene.py:", "name the scene in .*my_scene.py: .*my_scene.py:Mine"),
        ("two.py:C", "name the scene in .*two.py:A, .*two.py:B"),
        ("numbers_of_mine.py", "holds no scene"),
    ],
)
def test_what_is_no_scene_is_a_wrong_call(folder: Path, name: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        find_scene(f"{folder}/{name}")


def test_files_of_one_name_are_refused_together(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "my_scene.py").write_text(SCENE)
    with pytest.raises(click.BadParameter, match="two of these scenes are called my_scene"):
        scenes_named([f"{folder}/my_scene.py", f"{other}/my_scene.py"])


def test_a_file_that_is_not_python_is_one_line(folder: Path) -> None:
    (folder / "my_scene.py").write_text("class Mine(:\n")
    done = render(folder, "my_scene.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: my_scene.py line 1: invalid syntax\n"


def test_a_mistake_in_it_names_file_and_line(folder: Path) -> None:
    (folder / "my_scene.py").write_text(SCENE.replace("SHAPE))", "SHAP))"))
    done = render(folder, "my_scene.py", "--quality", "draft", "--quiet")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "NameError: name 'SHAP' is not defined" in line
    assert "my_scene.py line 14" in line


@pytest.mark.slow
def test_it_is_rendered_from_anywhere_and_again_only_where_it_changed(folder: Path) -> None:
    options = ("--quality", "draft", "--quiet")
    assert render(folder, "my_scene.py", *options).stderr == ""
    assert (folder / "videos" / "my_scene.mp4").stat().st_size > 1000
    first = segments(folder)
    assert len(first) == 4, "of each beat its own animations and its tail"
    # One process less, called from elsewhere: the same segments.
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    assert (
        subprocess.run(
            [
                sys.executable,
                PROJECT / "render.py",
                folder / "my_scene.py",
                *options,
                "--jobs",
                "1",
            ],
            cwd=elsewhere,
            env=os.environ | {"ATTENTION_FILM_CACHE": str(folder / "cache")},
            check=False,
        ).returncode
        == 0
    )
    assert segments(folder) == first
    # The last beat alone.
    path = folder / "my_scene.py"
    path.write_text(path.read_text().replace("self.wait(0.2)", "self.wait(0.3)"))
    assert render(folder, "my_scene.py", *options).returncode == 0
    assert len(segments(folder).keys() - first) == 2
    # What it imports from beside it is part of both.
    (folder / "numbers_of_mine.py").write_text("SHAPE = 5, 9\n")
    before = segments(folder)
    assert render(folder, "my_scene.py", *options).returncode == 0
    assert len(segments(folder).keys() - before) == 4


@pytest.mark.slow
def test_every_other_command_takes_it_too(folder: Path) -> None:
    listed = json.loads(render(folder, "--list", "my_scene.py", "--json").stdout)
    assert [scene["name"] for scene in listed] == ["my_scene"]
    assert [beat["name"] for beat in listed[0]["beats"]] == ["my_numbers", "the_end"]
    assert "They stay." in render(folder, "script", "my_scene.py").stdout
    draft = ("--quality", "draft", "--quiet")
    assert render(folder, "my_scene.py", "--still", "all", *draft).returncode == 0
    assert render(folder, "my_scene.py", "--preview", "--quiet").returncode == 0
    assert render(folder, "deck", "my_scene.py", *draft).returncode == 0
    made = {str(path.relative_to(folder)) for path in folder.rglob("*my_scene*")}
    assert {"videos/my_scene", "videos/my_scene.preview.png", "decks/my_scene.html"} <= made


@pytest.mark.slow
def test_a_cluster_draws_it_and_what_it_imports(folder: Path) -> None:
    with dask_cluster(folder / "dask", workers=1) as scheduler:
        options = ("--quality", "draft", "--quiet", "--cluster", scheduler)
        for shape in ("6, 9", "5, 9"):
            # The worker forgets what it has loaded for the film before.
            (folder / "numbers_of_mine.py").write_text(f"SHAPE = {shape}\n")
            done = render(folder, "my_scene.py", *options)
            assert (done.returncode, done.stderr) == (0, "")
    drawn = {path.read_bytes() for path in segments(folder)}
    for path in (folder / "cache" / "attention-film").iterdir():
        path.unlink()
    assert render(folder, "my_scene.py", "--quality", "draft", "--quiet").returncode == 0
    local = {path.read_bytes() for path in segments(folder)}
    assert local < drawn, "the cluster draws what this machine draws"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
def test_what_it_asks_for_is_read_from_any_file(folder: Path) -> None:
    file = folder / "my_scene.py"
    entry = find_scene(str(file))
    assert (entry.compares, entry.uses_latents) == (False, False)
    file.write_bytes(b"# coding: latin-1, \xfc\nself.compared, self.theme.latent")
    assert (entry.compares, entry.uses_latents) == (True, False)
    file.write_bytes(b"# coding: latin-1, \xfc\nself.world.latent")
    assert (entry.compares, entry.uses_latents) == (False, True)
    file.unlink()
    assert (entry.compares, entry.uses_latents) == (False, False)
    os.mkfifo(file)
    assert (entry.compares, entry.uses_latents) == (False, False)
