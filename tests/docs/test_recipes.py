"""The recipes, each drawn as it stands on the page, and what else the page says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from docs.draw_recipes import draw_recipe, recipes
from filmkit.commands.scene_files import find_scene
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import TENSOR_NAMES
from filmkit.render.quality import ASPECTS
from tests.support.checkout import PROJECT
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.pages import shows_something
from tests.support.staging import complaints, play

PAGE = (PROJECT / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = recipes(PROJECT / "docs" / "recipes.md")
STAGED = {
    name: code
    for page in ("README.md", "docs/recipes.md", "docs/room.md", "docs/for-manim-users.md")
    for name, code in recipes(PROJECT / page).items()
    if "(Stage)" in code
}
"""Scenes of all pages that need no second trace."""


def test_the_page_has_recipes_for_what_people_ask() -> None:
    assert len(RECIPES) >= 8
    assert all(f"](pictures/{name}.png)" in PAGE for name in RECIPES)


def test_the_page_names_all_that_a_mosaic_can_say() -> None:
    first_columns = " ".join(re.findall(r"^\| (.+?) \|", PAGE, re.MULTILINE))
    options = {name for name in inspect.signature(Stage.show).parameters if f"{name}=" in PAGE}
    assert {*inspect.signature(Stage.show).parameters} - options == {"self", "mosaic"}
    assert [name for name in TENSOR_NAMES if f"`{name}`" not in first_columns] == []


@pytest.mark.parametrize("aspect", ["16:9", pytest.param("9:16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STAGED)
def test_a_scene_of_a_page_has_no_fault(name: str, aspect: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(STAGED[name], encoding="utf-8")
    across, down = (360 * side // min(ASPECTS[aspect]) for side in ASPECTS[aspect])
    scene = find_scene(str(file)).load()
    pictures = play(scene, trace_of_kind(SHIPPED_KIND), width=across, height=down)
    faults = [complaints(picture, width=across, height=down) for picture in pictures]
    assert [line for lines in faults for line in lines] == []


def test_the_room_has_recipes_for_what_people_ask() -> None:
    page = PROJECT / "docs" / "room.md"
    assert recipes(page).keys() >= {"relief", "dot_product", "softmax", "arc_of_light"}
    assert all(f"](pictures/{name}.png)" in page.read_text("utf-8") for name in recipes(page))


def test_a_recipe_draws_something(tmp_path: Path) -> None:
    """One; all are drawn by `make docs`, in test_commands.py."""
    assert shows_something(draw_recipe("two_heads", RECIPES["two_heads"], tmp_path))
