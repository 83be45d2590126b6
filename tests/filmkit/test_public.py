"""The public face of the kit: every name is there, documented, and loaded when it is used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import filmkit
from tests.support.checkout import PROJECT

NAMES = sorted(dir(filmkit))


def test_there_are_public_names() -> None:
    assert {"Appear", "Heatmap", "HeadPanel", "Label", "Norm", "Panel", "Stage", "beat"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_imported_and_says_what_it_is(name: str) -> None:
    item = getattr(filmkit, name)
    assert item.__name__ == name
    first = (inspect.getdoc(item) or "").partition("\n")[0]
    assert first.endswith((".", ":")), f"{name}: {first!r}"


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        filmkit.NoSuchName  # noqa: B018


def test_importing_it_loads_no_manim_until_a_name_is_used() -> None:
    program = (
        "import sys, filmkit\n"
        "print('manim' in sys.modules, len(dir(filmkit)) > 40)\n"
        "filmkit.Heatmap\n"
        "print('manim' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False True\nTrue\n"
