"""The command new: the scene that it writes renders, passes its test and is listed."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from filmkit.commands.new import with_entry, write_scene
from tests.support.checkout import copy_project, run_python


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def written(checkout: Path) -> Path:
    done = run_python(checkout, "render.py", "new", "scene_one_head", "--title", "One head alone")
    assert (done.returncode, done.stdout.split()) == (
        0,
        [
            "scenes/one_head/__init__.py",
            "scenes/one_head/scene_one_head.py",
            "tests/scenes/one_head/test_scene_one_head.py",
            "scenes/registry.py",
        ],
    )
    return checkout


def test_it_is_in_the_list(written: Path) -> None:
    done = run_python(written, "render.py", "--list", "scene_one_head")
    assert "scene_one_head  One head alone" in done.stdout
    assert "the_pattern, the_last_word\n" in done.stdout


def test_it_renders_at_once(written: Path) -> None:
    arguments = ("render.py", "scene_one_head", "--quality", "draft", "--no-cache", "--quiet")
    done = run_python(written, *arguments, "--jobs", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert (written / "videos" / "scene_one_head.mp4").stat().st_size > 10_000


def test_its_own_test_and_the_style_checks_pass(written: Path) -> None:
    done = run_python(written, "-m", "pytest", "-q", "tests/scenes/one_head")
    assert done.returncode == 0, done.stdout
    paths = ("scenes", "tests/scenes/one_head")
    for check in (("check",), ("format", "--check")):
        done = run_python(written, "-m", "ruff", *check, *paths)
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(written: Path) -> None:
    before = (written / "scenes" / "one_head" / "scene_one_head.py").read_bytes()
    done = run_python(written, "render.py", "new", "scene_one_head")
    message = "Error: scene_one_head already exists; choose another name\n"
    assert (done.returncode, done.stderr) == (2, message)
    assert (written / "scenes" / "one_head" / "scene_one_head.py").read_bytes() == before


@pytest.mark.parametrize("name", ["one_head", "scene_", "scene_Head", "scene_a-b", "scene_1"])
def test_an_invalid_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="cannot be the name of a scene; write scene_"):
        write_scene(tmp_path, name)


def test_an_installed_package_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="run this in a checkout"):
        write_scene(tmp_path, "scene_one_head")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_goes_to_the_end_of_the_list() -> None:
    before = 'SCENES: tuple[int, ...] = (\n    a(),\n)\n"""Words."""\n'
    after = with_entry(before, name="scene_b", title="B", cls="B")
    assert after.startswith("SCENES: tuple[int, ...] = (\n    a(),\n    SceneEntry(\n")
    assert after.endswith('    ),\n)\n"""Words."""\n')
