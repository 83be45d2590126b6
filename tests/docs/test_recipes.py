"""The recipes, each drawn as it stands on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from filmkit.tools.recipes import draw_recipe, recipes
from tests.support.checkout import PROJECT

RECIPES = recipes(PROJECT / "docs" / "recipes.md")
FAST = "two_heads"


def test_the_page_has_recipes_for_what_people_ask() -> None:
    assert len(RECIPES) >= 8
    page = (PROJECT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert all(f"](pictures/{name}.png)" in page for name in RECIPES)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == FAST else [pytest.mark.slow]) for n in RECIPES],
)
def test_a_recipe_draws_something(name: str, tmp_path: Path) -> None:
    picture = np.asarray(Image.open(draw_recipe(name, RECIPES[name], tmp_path)).convert("RGB"))
    assert (picture.max(axis=-1) > 60).mean() > 0.01
