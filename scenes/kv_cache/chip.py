"""A GPU that waits for its memory: what its chip could compute while one number is on its way."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Polygon, Square, VMobject

from filmkit.core.animations import AnimateWith
from filmkit.core.camera import keep_upright
from filmkit.core.geometry import Frame
from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import outline_points
from filmkit.world.block import SIDES, TURN, UPRIGHT_TURN, Pose, Solid
from filmkit.world.box import GlassBox, SketchBody

__all__ = ["Chip", "Memory", "lamp_places"]

Array = npt.NDArray[np.float64]

SLABS, THICK, SIDE = 9, 0.2, 2.2  # pairs of slabs in a memory; their thickness, and other sides
HIGH, SHAPE = 2.9, 1.25  # height of a chip, and its width as a share of it
APART = 4.4  # from the memory to the middle of the chip, in scene units
SQUARE = ((-0.31, 0.31), (0.31, 0.31), (0.31, -0.31), (-0.31, -0.31))  # a lamp, in pitches
NUMBER = 0.24  # side of the number on its way, in scene units of the frame
WAY = 0.82  # share of the time in which it is on its way


class Memory(Solid):
    """The memory of a GPU, a box of glass, with the cache of a large model in it: a sketch."""

    def __init__(self) -> None:
        super().__init__()
        colours = current_theme().key, current_theme().value
        slabs = Group()
        for number in range(2 * SLABS):
            at = ((number + 0.5 - SLABS) * THICK, 0.0, 0.0)
            slabs.add(SketchBody(Pose(at, 0.0, 0.94 * THICK, SIDE, SIDE), colours[number % 2]))
        glass = GlassBox(Pose((0.0, 0.0, 0.0), 0.0, 2 * SLABS * THICK, SIDE, SIDE))
        self.pose = glass.pose
        self.add(glass.back, slabs, glass.front)


class Chip(Solid):
    """A chip with a lamp for each multiply-add that it could make while one number arrives.

    Parameters
    ----------
    lamps
        How many.
    memory
        The memory, beside which it stands, or above it in a tall frame.
    frame
        The frame.

    Attributes
    ----------
    passed
        The lamps that could have burnt since the number left: they glimmer.
    lit
        The one that burns when it has arrived.
    number
        The number on its way.
    """

    def __init__(self, lamps: int, memory: Memory, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        if frame.tall:
            at, turn = (0.0, memory.pose.height + 1.6, 0.0), 90.0 - UPRIGHT_TURN
            plug = (0.5, 1.0, 1.0)
        else:
            turn = 90.0 - (UPRIGHT_TURN if frame.upright else TURN)
            at = (memory.pose.thick / 2 + APART, 0.0, 0.0)
            plug = (1.0, 0.5, 0.5)
        self.pose = pose = Pose(at, turn, 0.02, HIGH, SHAPE * HIGH)
        self.start = memory.pose.corner(*plug)
        self.places = sorted(lamp_places(pose, lamps), key=self._way_to)
        self.end = self.places[0].mean(axis=0)
        card = Polygon(*(pose.corner(*corner) for corner in SIDES[1][:4]))
        card.set_fill(theme.card, opacity=1.0).set_stroke(theme.faint, width=theme.line)
        self.wire = Line(self.start, self.end, stroke_color=theme.flow, stroke_width=2 * theme.bold)
        dark = VMobject(stroke_color=theme.flow, stroke_width=theme.thin, fill_opacity=0.0)
        dark.points = outline_points(self.places)
        self.passed = VMobject(stroke_width=0.0, fill_color=theme.muted, fill_opacity=0.5)
        self.lit = glow(VMobject(stroke_width=0.0, fill_color=theme.ink, fill_opacity=1.0), 2.0)
        self.lit.points = outline_points(self.places[:1])
        self.number = glow(Square(NUMBER, stroke_width=0.0, fill_opacity=1.0), 2.0)
        keep_upright(self.number, lambda _shot: self.where)
        self.add(mirrored(Group(card, dark, self.passed, self.lit)), self.wire, self.number)
        self.wait_for(0.0, theme.key)

    def _way_to(self, lamp: Array) -> float:
        """Return how far a lamp, (4, 3), is from where numbers leave the memory."""
        return float(np.linalg.norm(lamp.mean(axis=0) - self.start))

    def wait_for(self, alpha: float, colour: str) -> None:
        """Put a number at a share of its time, 0 to 1, with all that happens meanwhile."""
        way = min(1.0, alpha / WAY)
        self.where = (1 - way) * self.start + way * self.end
        self.number.set_fill(colour)
        self.number.set_opacity(float(way < 1))
        missed = int(way * len(self.places)) if way < 1 else 0
        self.passed.set_fill(opacity=0.5 * (missed > 0))
        self.passed.points = outline_points(self.places[: max(1, missed)])
        self.lit.set_fill(opacity=float(way >= 1))

    def read(self, colour: str, **kwargs: Any) -> Animation:
        """Return an animation in which a number of a colour crawls to the chip, and is used."""
        return AnimateWith(self, lambda alpha: self.wait_for(alpha, colour), **kwargs)


def lamp_places(pose: Pose, count: int) -> list[Array]:
    """Return the corners of equal squares, (4, 3) each, in rows on the face of a solid."""
    columns = max(1, round((count * pose.depth / pose.height) ** 0.5))
    rows = -(-count // columns)
    pitch = min(pose.depth / (columns + 1), pose.height / (rows + 1))
    across, up = pitch / pose.depth, pitch / pose.height
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        x, y = column - (columns - 1) / 2, (rows - 1) / 2 - row
        corners = [(x + a, y + b) for a, b in SQUARE]
        places.append([pose.corner(1.02, 0.5 + b * up, 0.5 + a * across) for a, b in corners])
    return [np.array(place) for place in places]
