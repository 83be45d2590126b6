"""Rows of what models say: a name and its note never run into what is said."""

from __future__ import annotations

import pytest

from filmkit.core.geometry import Frame
from filmkit.mobjects.sayings import Saying, Sayings

FRAME = Frame(8 * 16 / 9, 8.0)
NOTE, SHORT = "perplexity + 23%, 192 numbers", "perplexity + 23%"


def row_of(name: str, note: str, short: str = "") -> Sayings:
    row = Saying(name, note, (("#FFFFFF", 10.0),), "blue", "#FFFFFF", short_note=short)
    return Sayings("The flag is", [row], FRAME)


@pytest.mark.parametrize(
    ("name", "expected", "beside"),
    [
        ("converted only", NOTE, True),
        ("converted, but not trained", SHORT, True),
        ("converted, but not trained any more", NOTE, False),
    ],
)
def test_a_note_is_shortened_and_then_stands_below_the_bar(
    name: str, expected: str, beside: bool
) -> None:
    rows = row_of(name, NOTE, SHORT)
    _name, note = rows.names[0]
    assert note.text == expected
    assert (note.get_y() > rows.bars[0].get_top()[1]) == beside
    assert (note.get_y() < rows.bars[0].get_bottom()[1]) != beside
    assert note.get_right()[0] < rows.sayings[0].get_left()[0]


def test_a_note_without_a_short_form_is_never_cut() -> None:
    _name, note = row_of("converted, but not trained any more", NOTE).names[0]
    assert note.text == NOTE
