"""Parts of pictures that only this scene has: lamps for published tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import Animation, Circle, Group, LaggedStart, VGroup

from extract.architectures import MOE
from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.language import N_, _
from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme
from filmkit.world.block import shot_of
from filmkit.world.standing import words_at

__all__ = ["Lamps", "won"]

TESTS = {"BBH": "bbh", "MMLU": "mmlu", "C-Eval": "c_eval", "CMMLU": "cmmlu"}
MODELS = {"large": N_("large models"), "small": N_("small models")}
PITCH, RADIUS, FLOOR = 1.7, 0.36, 0.2  # from one lamp to the next, of a lamp, below them
SHINE = 1.5  # how much light a lamp gives
TILT = 4.0  # from how far above they are seen, in degrees
BESIDE, ABOVE = 0.35, 0.3  # from the lamps to words, in scene units of the frame
Point = tuple[float, float, float]
SIDE, FOOT = 0.2, 0.5  # room at the right of lamps and below them, in scene units of the frame
WIDE, HIGH = 2.5, 0.7  # room for words beside lamps, and above them


def won() -> dict[tuple[str, str], bool]:
    """Return for each size of models and each test whether the one with a latent did better.

    The other one of the pair has keys and values for every head.
    """
    columns = {(column.size, column.attention): column for column in MOE.columns}
    return {
        (size, name): getattr(columns[size, "MLA"], test) > getattr(columns[size, "MHA"], test)
        for size in MODELS
        for name, test in TESTS.items()
    }


class Lamps(Group):
    """A lamp for each published test of each pair of models, which can be lit.

    Parameters
    ----------
    frame
        The frame; where it is higher than wide, there is a row for each test, not a column.

    Attributes
    ----------
    by_test
        The lamp of each size of models and each test.
    names
        What rows and columns are.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        theme, self.frame = current_theme(), frame
        rows, columns = [_(name) for name in MODELS.values()], list(TESTS)
        keys = np.array([[(size, test) for test in TESTS] for size in MODELS], dtype=object)
        if frame.tall:
            rows, columns, keys = columns, rows, keys.transpose(1, 0, 2)
        results = won()
        self.by_test = {}
        for row, across in enumerate(keys):
            for column, key in enumerate(across):
                lamp = Circle(RADIUS, stroke_color=theme.muted, stroke_width=theme.bold)
                lamp.set_fill(theme.ink, opacity=0.0)
                lamp.move_to(self._at(row, column, len(keys)))
                self.by_test[tuple(key)] = lamp
        self.names = VGroup()
        for row, text in enumerate(rows):
            self.names.add(
                words_at(
                    text,
                    self._at(row, 0, len(keys), right=-RADIUS),
                    away=(-BESIDE, 0.0),
                    width=WIDE - BESIDE,
                )
            )
        for column, text in enumerate(columns):
            self.names.add(
                words_at(
                    text,
                    self._at(0, column, len(keys), up=RADIUS),
                    away=(0.0, ABOVE),
                    width=WIDE,
                )
            )
        self.add(mirrored(VGroup(*self.by_test.values())), self.names)
        # Those that stay dark come last.
        self._order = sorted(self.by_test, key=lambda key: not results[key])
        self._results = results

    @staticmethod
    def _at(row: int, column: int, rows: int, *, right: float = 0.0, up: float = 0.0) -> Point:
        """Return a point beside the middle of a lamp."""
        return (column * PITCH + right, up + FLOOR + (rows - row - 0.5) * PITCH, 0.0)

    def shot(self, room: Box) -> Shot:
        """Return the shot in which lamps and names fill a room of the frame."""
        room = Box.of(room.left + WIDE, room.right - SIDE, room.bottom + FOOT, room.top - HIGH)
        corners = np.concatenate([lamp.points for lamp in self.by_test.values()])
        return shot_of(corners, self.frame, into=room, turn=0.0, tilt=TILT)

    def light(self, **kwargs: Any) -> Animation:
        """Return an animation in which those that won are lit, one after the other."""
        return LaggedStart(
            *(self._lit(self.by_test[key]) for key in self._order if self._results[key]),
            lag_ratio=0.6,
            **kwargs,
        )

    @staticmethod
    def _lit(lamp: Circle) -> Animation:
        ink = current_theme().ink

        def step(alpha: float) -> None:
            glow(lamp.set_fill(ink, opacity=alpha).set_stroke(ink), SHINE * alpha)

        return AnimateWith(lamp, step)
