"""A sentence of tokens is set as the font sets running text."""

from __future__ import annotations

import pytest

from filmkit.core.geometry import Box
from filmkit.core.text import Label
from filmkit.mobjects.running_text import RunningText

SIZE = 0.06
TEXTS = {
    "words": ["Can", " a", " model", " remember", " less", ",", " and", " think"],
    "pieces of words": ["un", "believ", "able", " things"],
    "no blanks": ["你", "好", "吗"],
}


@pytest.mark.parametrize("tokens", TEXTS.values(), ids=TEXTS.keys())
def test_distances_are_those_of_the_font(tokens: list[str]) -> None:
    sentence = RunningText(tokens, Box(0, 0, 13, 6), size=SIZE)
    whole = Label("".join(tokens), size=SIZE)
    left = sentence.words[0].get_left()[0]
    assert sentence.words[-1].get_right()[0] - left == pytest.approx(whole.width, abs=1e-6)
    for number in range(1, len(tokens)):
        before = Label("".join(tokens[:number]), size=SIZE)
        end = sentence.words[number - 1].get_right()[0]
        assert end - left == pytest.approx(before.width, abs=1e-6)


def test_a_long_text_goes_on_below() -> None:
    sentence = RunningText(["one", " two", " three", " four", " five"], Box(0, 0, 3, 6), size=SIZE)
    rows = {round(float(word.get_center()[1]), 3) for word in sentence.words}
    assert 1 < len(set(sentence.lines)) == len({round(y, 3) for y in sentence.lines})
    assert len(rows) > 1
    assert all(word.get_right()[0] <= 1.5 + 1e-6 for word in sentence.words)


@pytest.mark.parametrize("width", [2.2, 2.5, 2.8, 3.2, 4.0])
def test_no_line_begins_with_a_mark(width: float) -> None:
    sentence = RunningText(
        ["It", " is", " red", ",", " white", ",", " blue"], Box(0, 0, width, 6), size=SIZE
    )
    for mark in (3, 5):
        assert sentence.lines[mark] == sentence.lines[mark - 1]
        assert sentence.words[mark].get_left()[0] >= sentence.words[mark - 1].get_right()[0]
