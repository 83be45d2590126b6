"""A GPU that waits for its memory: what its chip could compute while one number is on its way."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Polygon, Square, VMobject

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import keep_upright
from filmkit.core.geometry import Frame
from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import outline_points
from filmkit.world.block import SIDES, TURN, UPRIGHT_TURN, Pose, Solid
from filmkit.world.box import GlassBox, SketchBody

__all__ = ["Chip", "Memory", "lamp_places"]

Array = npt.NDArray[np.float64]

HIGH, SHAPE = 2.9, 1.25  # height of a chip, and its width as a share of it
APART = 4.4  # from the memory to the middle of the chip, in scene units
LAMP = 0.62  # side of a lamp, as a share of its pitch
NUMBER = 0.24  # side of the number on its way, in scene units of the frame
WAY = 0.82  # share of the time in which it is on its way


class Memory(Solid):
    """The memory of a GPU, a box of glass, with the cache of a large model: slabs to look at.

    Parameters
    ----------
    slabs
        How many pairs of slabs.
    """

    def __init__(self, slabs: int = 9, thick: float = 0.2) -> None:
        super().__init__()
        theme, colours = current_theme(), (current_theme().key, current_theme().value)
        self.slabs = Group()
        for number in range(2 * slabs):
            pose = Pose(((number - slabs) * thick, 0.0, 0.0), 0.0, 0.94 * thick, 2.2, 2.2)
            self.slabs.add(SketchBody(pose, colours[number % 2]))
        x = slabs * thick
        body = SketchBody(Pose((-thick / 2, 0.0, 0.0), 0.0, 2 * x, 2.2, 2.2), theme.glass)
        self.glass = GlassBox(body)
        self.pose = self.glass.pose
        self.add(self.glass.back, mirrored(self.slabs), self.glass.front)


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
            ends = (0.5, 1.0, 0.5), (1.0, 0.0, 0.5)
        else:
            turn = 90.0 - (UPRIGHT_TURN if frame.upright else TURN)
            at = (memory.pose.thick / 2 + APART, 0.0, 0.0)
            ends = (1.0, 0.0, 0.5), (1.0, 0.0, 0.0)
        self.pose = pose = Pose(at, turn, 0.02, HIGH, SHAPE * HIGH)
        self.start, self.end = memory.pose.corner(*ends[0]), pose.corner(*ends[1])
        self.places = lamp_places(pose, lamps)
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

    def wait_for(self, alpha: float, colour: str) -> None:
        """Put a number at a share of its time, 0 to 1, with all that happens meanwhile."""
        way = min(1.0, alpha / WAY)
        self.where = (1 - way) * self.start + way * self.end
        self.number.set_fill(colour)
        set_presence(self.number, float(way < 1))
        missed = int(way * len(self.places)) if way < 1 else 0
        set_presence(self.passed, float(missed > 0))
        self.passed.points = outline_points(self.places[: max(1, missed)])
        set_presence(self.lit, float(way >= 1))

    def read(self, colour: str, **kwargs: Any) -> Animation:
        """Return an animation in which a number of a colour crawls to the chip, and is used."""
        return AnimateWith(self, lambda alpha: self.wait_for(alpha, colour), **kwargs)


def lamp_places(pose: Pose, count: int) -> list[Array]:
    """Return the corners of equal squares, (4, 3) each, in rows on the face of a solid."""
    columns = max(1, round((count * pose.depth / pose.height) ** 0.5))
    rows = -(-count // columns)
    pitch = min(pose.depth / (columns + 1), pose.height / (rows + 1))
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        x, y = column - (columns - 1) / 2, (rows - 1) / 2 - row
        corners = [
            (x + a * LAMP / 2, y + b * LAMP / 2) for a, b in ((-1, 1), (1, 1), (1, -1), (-1, -1))
        ]
        places.append(
            np.array(
                [
                    pose.corner(
                        1.02, 0.5 + pitch * up / pose.height, 0.5 + pitch * along / pose.depth
                    )
                    for along, up in corners
                ]
            )
        )
    return places
