"""Words that stand in columns, and words that fall."""

from __future__ import annotations

from typing import Any

import pytest
from manim import Square

from filmkit.core.geometry import Box
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.theme import use_theme
from filmkit.pictures.stage import Stage
from filmkit.world.words import fall, words_in_columns
from tests.support.staging import play
from tests.support.traces import make_trace

ROOM = Box(1.0, 0.5, 8.0, 4.0)


@pytest.mark.parametrize(("tokens", "lines"), [(1, 1), (4, 1), (6, 1), (30, 5)])
def test_words_stand_in_columns_of_equal_size_under_equal_rooms(tokens: int, lines: int) -> None:
    with use_theme("dark"):
        words, rooms = words_in_columns([" word"] * tokens, ROOM)
    assert len(words) == len(rooms) == tokens
    assert len({round(room.bottom, 6) for room in rooms}) == lines
    assert len({(round(room.width, 6), round(room.height, 6)) for room in rooms}) == 1
    assert len({round(word.size, 6) for word in words}) == 1
    for word, room in zip(words, rooms, strict=True):
        assert word.width <= room.width
        assert word.get_center()[0] == pytest.approx(room.x)
        assert ROOM.contains(room)
        assert ROOM.bottom <= word.get_center()[1] < room.bottom


def test_words_that_have_fallen_have_become_something() -> None:
    done: dict[str, float] = {}

    class Falling(Stage):
        @beat
        def only(self) -> None:
            """Two words fall."""
            words = [Label(text) for text in ("one", "other")]
            landed = [word.copy().shift([0, -2, 0]) for word in words]
            target: Any = Square()
            steps = [lambda alpha, name=word.text: done.update({name: alpha}) for word in words]
            self.add(target, *words)
            self.play(fall(words, landed, target, steps, run_time=2))
            assert set(words).isdisjoint(self.mobjects)
            self.hold(1)

    play(Falling, make_trace())
    assert done == {"one": 1.0, "other": 1.0}
