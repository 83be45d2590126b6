"""A scene that asks two questions, for tests of everything that knows them."""

from __future__ import annotations

__all__ = ["ASKING", "BEATS", "QUESTIONS", "SAID"]

ASKING = '''
from manim import RIGHT, UP, Square
from filmkit import Appear, Stage, beat


class Asking(Stage):
    title = "Asking"

    def prepare(self):
        self.facts |= {"sides": "4", "wrong": "5"}
        self.squares = [Square(fill_opacity=1).shift(place) for place in (2 * UP, 2 * UP + RIGHT)]

    def variant(self, beat):
        return "many"

    @beat
    def opening(self):
        """A square is here."""
        self.play(Appear(self.squares[0]), run_time=0.4)

    @beat(ask="How many sides does it have? [{wrong}] or [{sides}]?", answer="sides")
    def sides(self):
        """It has {sides}, as all of them have."""
        self.play(Appear(self.squares[1]), run_time=0.4)

    @beat(
        ask={"one": "Is there another one?", "many": "Are there others?"},
        one="There is no other.",
        many="There are others.",
    )
    def others(self):
        self.hold(0.4)
'''
"""The scene's file."""

BEATS = ("opening", "ask_sides", "sides", "ask_others", "others")
"""Its steps."""

SAID = (
    "A square is here.",
    "How many sides does it have? 5 or 4?",
    "It has 4, as all of them have.",
    "Are there others?",
    "There are others.",
)
"""The narration of each step."""

QUESTIONS = (SAID[1], SAID[3])
"""Its questions."""
