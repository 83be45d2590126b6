"""Words that stand in the room in lines, and words that fall into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from manim import Square

from filmkit.core.geometry import Box, Frame
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.theme import use_theme
from filmkit.pictures.stage import Stage
from filmkit.world.words import RoomWords, fall
from tests.support.staging import play
from tests.support.traces import make_trace

ROOM = Box(1.0, 0.5, 8.0, 4.0)


@pytest.mark.parametrize(("tokens", "lines"), [(1, 1), (4, 1), (30, 2)])
def test_words_stand_in_lines_of_equal_height(tokens: int, lines: int) -> None:
    with use_theme("dark"):
        words = RoomWords([" word"] * tokens, ROOM, share=0.4)
    feet = sorted(set(words.places[:, 1]))
    assert len(words) == len(words.places) == tokens
    assert len(feet) >= lines
    np.testing.assert_allclose(feet, words.step * np.arange(len(feet)))
    assert words.step * len(feet) == pytest.approx(ROOM.height)
    assert (words.nearest == np.inf) is (tokens == 1)


def test_words_fill_their_room_in_the_shot() -> None:
    frame = Frame(128 / 9)
    with use_theme("dark"):
        words = RoomWords([" one", " other", " third"], ROOM, share=0.4)
        shot = words.shot(frame, tilt=0.0)
    ends = [(words.get_left()[0], 0, 0), (words.get_right()[0], ROOM.height, 0)]
    low, high = shot.project(np.array(ends), frame.height)[:, :2]
    seen = Box.between(low, high)
    assert ROOM.grown(0.02).contains(seen)
    assert max(seen.width / ROOM.width, seen.height / ROOM.height) == pytest.approx(1, abs=0.02)


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
