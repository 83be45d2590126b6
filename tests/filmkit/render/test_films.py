"""Chapters of a film of many scenes, for players and for video sites."""

from __future__ import annotations

import pytest

from filmkit.render.films import Chapters, chapter_list, story_chapters

RATE = 10


@pytest.mark.parametrize(
    ("parts", "chapters"),
    [
        ((("A", 10), ("B", 30)), (("A", 10), ("B", 30))),
        ((("A", 20), ("A", 20), ("B", 12)), (("A", 40), ("B", 12))),
        ((("A", 20), ("B", 20), ("A", 20)), (("A", 20), ("B", 40))),
        ((("A", 20), ("B", 8), ("C", 9)), (("A", 37),)),
        ((("A", 8), ("B", 20), ("C", 20)), (("A", 28), ("C", 20))),
    ],
    ids=["long", "the same twice", "the same again", "short", "short at first"],
)
def test_chapters_are_long_enough_and_have_different_titles(
    parts: Chapters, chapters: Chapters
) -> None:
    in_frames = [(title, RATE * seconds) for title, seconds in parts]
    found = story_chapters(in_frames, RATE)
    assert list(found) == [(title, RATE * seconds) for title, seconds in chapters]


def test_the_list_says_when_each_begins() -> None:
    assert chapter_list((("A", 610), ("B", 300)), RATE) == "0:00 A\n1:01 B\n"
