"""What is said during a beat: facts, marks, and how long it takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.language import ALPHABETIC
from filmkit.core.narration import Narration, NarrationError

FACTS = {"row": "white", "count": "3", "prompt": "[CLS] {red}"}
PACE = 0.43


def test_facts_are_filled_in_and_brackets_are_not_shown() -> None:
    said = Narration.of("The query of [{row}] meets\n    the key of [red].", FACTS)
    assert said.text == "The query of white meets the key of red."
    assert said.marks == {"row": 13, "red": 36}
    assert said.words == {"row": "white", "red": "red"}
    assert said.text[13:].startswith("white")
    assert said.text[36:].startswith("red")


@pytest.mark.parametrize(
    ("written", "text", "marks"),
    [
        ("It’s one.", "It’s one.", {}),
        ("It's one.", "It’s one.", {}),
        ("[All of it.]", "All of it.", {"All of it.": 0}),
        ("the [{count} {row} words] end", "the 3 white words end", {"count row words": 4}),
        ("[{row}]", "white", {"row": 0}),
        ("Braces: {{here}}.", "Braces: {here}.", {}),
        # What stands in brackets in a fact is no mark: it is shown.
        ("It begins “{prompt}”.", "It begins “[CLS] {red}”.", {}),
        ("", "", {}),
    ],
)
def test_what_is_written_becomes_what_is_said(
    written: str, text: str, marks: dict[str, int]
) -> None:
    said = Narration.of(written, FACTS)
    assert (said.text, said.marks) == (text, marks)
    assert said.words.keys() == marks.keys()
    assert all(text[marks[name] :].startswith(words) for name, words in said.words.items())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{rows} of them", "there is no fact {rows}; there are count, prompt, row"),
        ("[{rows}] of them", "there is no fact {rows}"),
        ("{row.upper}", "there is no fact {row.upper}"),
        ("{} of them", "there is no fact {}"),
        ("[red] and [red]", "two marks are called [red]; mark other words"),
        ("[{row}] and [row]", "two marks are called [row]"),
        ("a { alone", "to show a brace, write it twice: {{ }}"),
        ("alone } too", "to show a brace, write it twice"),
        ("a [ alone", "the bracket [ stands alone"),
        ("alone ] too", "the bracket ] stands alone"),
        ("[one [inside] another]", "the bracket [ stands alone; a mark is [words]"),
        ("nothing [] here", "a mark has no words"),
        ("nothing [ ] here", "a mark has no words"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_mend(written: str, message: str) -> None:
    with pytest.raises(NarrationError, match=re.escape(message)) as raised:
        Narration.of(written, FACTS)
    assert "\n" not in str(raised.value)


def test_words_take_their_time_and_long_ones_more() -> None:
    assert Narration.of("one two three four", {}).seconds(PACE) == pytest.approx(4 * PACE)
    assert Narration.of("", {}).seconds(PACE) == 0
    letters = "x" * 85
    assert Narration.of(letters, {}).seconds(PACE) == pytest.approx(85 / ALPHABETIC)


def test_a_mark_is_said_when_what_is_before_it_has_been_said() -> None:
    said = Narration.of("[one] two three [four]", {})
    assert said.mark_seconds("one", PACE) == 0
    assert said.mark_seconds("four", PACE) == pytest.approx(4 * PACE * 14 / 18)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[one] and [two]", "the narration has no mark [red]; there are [one], [two]"),
        ("red", "the narration has no mark [red]; put the words in brackets: [red]"),
        ("", "the narration has no mark [red]; put the words in brackets: [red]"),
    ],
)
def test_a_mark_that_is_not_there_is_named_with_those_that_are(written: str, message: str) -> None:
    with pytest.raises(NarrationError, match=f"^{re.escape(message)}$"):
        Narration.of(written, {}).mark_seconds("red", PACE)


WORD = st.text("abcdefgh", min_size=1, max_size=9)


@given(st.lists(st.tuples(WORD, st.booleans()), min_size=1, max_size=12, unique_by=lambda w: w[0]))
def test_marks_come_in_the_order_of_their_words(words: list[tuple[str, bool]]) -> None:
    said = Narration.of(" ".join(f"[{w}]" if marked else w for w, marked in words), {})
    assert said.text == " ".join(word for word, _ in words)
    assert list(said.marks) == [word for word, marked in words if marked]
    assert all(said.text[place:].startswith(word) for word, place in said.marks.items())
    times = [said.mark_seconds(mark, PACE) for mark in said.marks]
    assert times == sorted(times)
    assert all(0 <= time < said.seconds(PACE) for time in times)
