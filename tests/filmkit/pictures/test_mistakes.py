"""What is wrong in a mosaic is one line: where it is in the scene, and where in the mosaic."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.calling import Calling, assert_one_line, calling
from tests.support.traces import make_trace

__all__ = ["calling"]  # the fixture

SCENE = """
import numpy as np

from filmkit import Label, Mark, Stage, beat


class Mine(Stage):
    def prepare(self):
        self.part("note", lambda: Label("hear, hear"))
        self.part("speech", lambda: Label("hear, hear " * 20))
        self.part("nothing", None)

    @beat
    def right(self):
        '''A picture.'''
        self.show("Q K")

    @beat
    def wrong(self):
        '''Another picture.'''
        {call}  # HERE
"""

MISTAKES = {
    'self.show("")': "mosaic is empty; name at least one part",
    'self.show("nothing")': "mosaic nothing: this model has none of its parts",
    'self.show(". Kt\\nQ scores z")': (
        "mosaic . Kt / >Q< >scores< >z<: rows differ in length, 3 here and 2 in the first; "
        "write . for an empty field"
    ),
    'self.show("Q K\\nK Q")': "mosaic >Q< K / K >Q<: the fields of 'Q' are no rectangle",
    'self.show("Q Kts")': "mosaic Q >Kts<: there is no part 'Kts'; do you mean Kt or dots or K?",
    'self.show("Q entropy")': (
        "mosaic Q >entropy<: there is no part 'entropy'; add it with self.part(...)"
    ),
    'self.show("Q pattern[99]")': "made-up model has no head 99; its heads are 0 to 3",
    'self.show("Q speech")': "mosaic Q >speech<: words, titles and the smallest cells are 23",
    'self.show("Q K", tall="Q V")': "mosaic Q >V<: 'V' is no part of the mosaic Q K",
    **{
        f'self.show("Q scores", {what}={given})': (
            f"{what}='score' is no part of the mosaic Q scores; do you mean scores?"
        )
        for what, given in {
            "reveal": '"score"',
            "later": '"score"',
            "focus": '"Q score"',
            "titles": '"score Q"',
            "bars": '"score"',
            "marks": '(Mark("score", 1),)',
            "lit": '{"score": 0.5}',
            "origins": '{"score": None}',
            "into": '{"K": ("score", 1)}',
        }.items()
    },
    'self.show("Q V", into={"Kt": ("V", 1)})': (
        "into='Kt' is no part with cells that leaves for the mosaic Q V"
    ),
    'self.show("Q V", into={"K": ("V", 9)})': "a heatmap of 9 x 8 has no row 9; choose 0 to 8",
    'self.show("Q", marks=(Mark("Q", 9),))': "a heatmap of 9 x 8 has no row 9; choose 0 to 8",
    'self.show("Q", lit={"Q": np.ones(5)})': (
        "opacities of shape (5,) do not broadcast to 9 x 8 cells"
    ),
    'self.show("Q", lit={"words": np.ones(5)})': (
        "opacities of shape (5,) do not broadcast to 9 words"
    ),
    'self.show("Q", focus={"Q": np.ones(5)})': (
        "opacities of shape (5,) do not broadcast to 9 x 8 cells"
    ),
    'self.show("Q note", reveal="note")': "the part 'note' has no cells",
    'self.show("note", lit={"note": 0.5})': "the part 'note' has no cells",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the project, with a trace."""
    folder = tmp_path_factory.mktemp("mine")
    make_trace().save(folder / "trace.safetensors")
    return folder


@pytest.mark.parametrize(("code", "message"), MISTAKES.items(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_with_both_places(
    code: str, message: str, calling: Calling, folder: Path
) -> None:
    text = SCENE.replace("{call}", code)
    (folder / "mine.py").write_text(text)
    (number,) = (n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# HERE"))
    options = ("--trace", "trace.safetensors", "--quiet", "--still", "wrong")
    done = calling("mine.py", *options, folder=folder)
    assert_one_line(done, 1, f"Error: mine: mine.py line {number}, in beat wrong: {message}")
    assert not any(folder.rglob("*.png"))
