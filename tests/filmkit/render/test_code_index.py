"""Following code by reading it: what a definition refers to, and what counts as its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from filmkit.render.code_index import EVERYTHING, CodeIndex, digest

FILES = {
    "filmkit/__init__.py": "",
    "filmkit/paint.py": """
SHADES = 3

def shade(x):
    return x * SHADES

def unused():
    return shade(1)
""",
    "filmkit/shapes.py": """
import filmkit.paint
from filmkit import paint as colours
from .paint import shade as darker

class Square:
    def draw(self):
        return darker(1)

class Circle:
    def draw(self):
        return colours.SHADES

def star():
    from filmkit.late import late
    return late()

def dotted():
    return filmkit.paint.unused()

def whole():
    return colours
""",
    "filmkit/late.py": "def late():\n    return 1\n",
    "filmkit/loud.py": "print('loaded')\n\ndef quiet():\n    return 1\n",
    "filmkit/again.py": "from filmkit.paint import shade\n",
    "filmkit/all.py": "from filmkit.paint import *\n\ndef use():\n    return shade(2)\n",
    "filmkit/user.py": "from filmkit.again import shade\n\ndef use():\n    return shade(2)\n",
    "scenes/story.py": """
from filmkit.shapes import Square

class Base:
    size = 1

    def draw(self):
        return Square

class Story(Base):
    title = "A story"

    @beat
    def first(self):
        '''It begins.'''
        return self.draw()

    @beat(when=is_true, own="So it goes.")
    def second(self):
        return 2
""",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def reached(root: Path, module: str, name: str) -> set[str]:
    """What a definition reaches, as "module.name" without the package."""
    places = CodeIndex(root).reach([(module, name)])
    return {f"{module.partition('.')[2]}.{name}" for module, name in places}


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("filmkit.shapes", "Square", {"shapes.Square", "paint.shade", "paint.SHADES"}),
        ("filmkit.shapes", "Circle", {"shapes.Circle", "paint.SHADES"}),
        ("filmkit.shapes", "star", {"shapes.star", "late.late"}),
        (
            "filmkit.shapes",
            "dotted",
            {"shapes.dotted", "paint.unused", "paint.shade", "paint.SHADES"},
        ),
        (
            "filmkit.shapes",
            "whole",
            {"shapes.whole", "paint.unused", "paint.shade", "paint.SHADES"},
        ),
        ("filmkit.all", "use", {"all.use", "paint.shade", "paint.SHADES"}),
        ("filmkit.user", "use", {"user.use", "paint.shade", "paint.SHADES"}),
        ("filmkit.loud", "quiet", {"loud.quiet", "loud.<on import>"}),
        ("filmkit.paint", EVERYTHING, {"paint.unused", "paint.shade", "paint.SHADES"}),
    ],
)
def test_names_are_followed(root: Path, module: str, name: str, expected: set[str]) -> None:
    assert reached(root, module, name) == expected


def test_what_is_left_out_is_not_followed(root: Path) -> None:
    index = CodeIndex(root, without={"filmkit.paint"})
    assert {module for module, _ in index.reach([("filmkit.shapes", "Square")])} == {
        "filmkit.shapes"
    }


def test_a_class_is_built_on_the_project_s_classes(root: Path) -> None:
    index = CodeIndex(root)
    story, base = ("scenes.story", "Story"), ("scenes.story", "Base")
    assert index.lineage(story) == [story, base]
    assert set(index.members(story)) == {"", "title", "first", "second"}
    assert set(index.members(base)) == {"", "size", "draw"}


def test_modules_beside_a_scene_elsewhere_are_followed(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "elsewhere"
    own.mkdir()
    (own / "mine.py").write_text("import helper\n\ndef draw():\n    return helper.help()\n")
    (own / "helper.py").write_text("import numpy\n\ndef help():\n    return numpy.ones(1)\n")
    index = CodeIndex(root)
    index.add("mine", own / "mine.py")
    assert set(index.reach([("mine", "draw")])) == {("mine", "draw"), ("helper", "help")}


def code(root: Path, text: str) -> str:
    (root / "filmkit" / "late.py").write_text(text)
    (pieces,) = CodeIndex(root).reach([("filmkit.late", "late")]).values()
    return digest(piece.code for piece in pieces)


@pytest.mark.parametrize(
    "text",
    [
        "# A remark.\ndef late():\n\n    return  1\n",
        'def late():\n    """Says what it does."""\n    return 1\n',
        "def late() -> int:\n    return 1\n",
    ],
)
def test_what_does_not_run_is_no_code(root: Path, text: str) -> None:
    assert code(root, text) == code(root, FILES["filmkit/late.py"])


@pytest.mark.parametrize(
    "text",
    [
        "def late():\n    return 2\n",
        "def late(x=1):\n    return 1\n",
        "@twice\ndef late():\n    return 1\n",
        "def late():\n    return 1\n\nlate = late\n",
    ],
)
def test_what_runs_is_code(root: Path, text: str) -> None:
    assert code(root, text) != code(root, FILES["filmkit/late.py"])


def test_narration_is_told_and_no_code(root: Path) -> None:
    members = CodeIndex(root).members(("scenes.story", "Story"))
    (first,), (second,) = members["first"], members["second"]
    assert "It begins." in first.told
    assert "So it goes." in second.told
    assert "So it goes." not in second.code
    assert "is_true" in second.names


def test_every_file_is_part_of_the_tree(root: Path) -> None:
    before = CodeIndex(root).tree_digest()
    assert CodeIndex(root).tree_digest() == before
    (root / "filmkit" / "late.py").write_text("# Another remark.\n")
    assert CodeIndex(root).tree_digest() != before
