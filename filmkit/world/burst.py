"""A box of glass that bursts: it bends and cracks, and what it held flies with its shards.

::

    glass = Glass((-4, 0, -1), (4, 2, 1))
    self.add(glass, *slabs)
    self.play(glass.bend(0.2))
    self.play(glass.crack())
    glass.throw(slabs[-6:], self.camera.shot.eye())
    self.play(glass.fly(0.0, 0.4), run_time=0.4)
    self.play(glass.fly(0.4, 0.6), run_time=2)  # at a tenth of the speed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, LineJointType, VGroup, VMobject, linear, rotation_matrix

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.body import Body
from filmkit.core.light import glow, mirrored
from filmkit.core.solids import clipped
from filmkit.core.theme import current_theme

__all__ = ["Flight", "Glass", "Shard"]

Array = npt.NDArray[np.float64]

GRAVITY = np.array([0.0, -3.0, 0.0])  # in scene units per second squared
STEPS = 13  # points of an edge, so that it can bend
SLIVER = 0.05  # width up to which no shard is made of a piece, in scene units
OPACITY, SHINE = 0.16, 0.6  # of shards
RAYS, RINGS, REACH = 9, 3, 1.5  # of the web of cracks in a pane; how far, in heights of the box
HIT = np.array([1.0, 0.45, 0.5])  # where the box is hit, as shares of its sides
STAYS = 0.72  # share of the box's length of which edges stay
SLOW, FAST, SPIN = 1.5, 6.0, 1.8  # speed of what flies, first and last, and its largest turn
AIMED, PASSES = (5, 15, 19), 0.47  # shards that fly at the eye; when the first passes it
AHEAD = np.array([1.0, 0.2, 0.3])  # where most of it flies
SEED = 10


class Shard(VMobject):
    """A piece of a pane; before it flies, its outline is cracks.

    Parameters
    ----------
    corners : (n, 3)
        Its corners.
    out : (3,)
        Where its pane looks.
    when
        When cracks reach it, as a share of the time in which they run.
    """

    def __init__(self, corners: Array, out: Array, when: float) -> None:
        theme = current_theme()
        look = {"stroke_color": theme.glass, "stroke_width": theme.line, "fill_color": theme.glass}
        super().__init__(fill_opacity=OPACITY, joint_type=LineJointType.ROUND, **look)
        self.out, self.when, self.middle = out, when, corners.mean(axis=0)
        self.set_points_as_corners([*corners, corners[0]])
        mirrored(glow(self, SHINE))


class Flight:
    """How something flies: from where it is now, turning about its middle.

    Parameters
    ----------
    mobject
        What flies, with all that belongs to it.
    velocity, axis : (3,)
        In scene units per second, and about which direction it turns.
    spin
        How fast, in radians per second.
    """

    def __init__(self, mobject: Body | Shard, velocity: Array, axis: Array, spin: float) -> None:
        self.velocity, self.axis, self.spin = velocity, axis, spin
        self.middle = np.array(mobject.middle)
        self.parts = [(member, member.points - self.middle) for member in mobject.get_family()]

    def fly(self, seconds: float) -> None:
        """Put it to where it is some seconds after it began."""
        turn = rotation_matrix(self.spin * seconds, self.axis)
        place = self.middle + self.velocity * seconds + GRAVITY * seconds**2 / 2
        for member, points in self.parts:
            member.points = points @ turn.T + place


class Glass(Group):
    """A box of glass on the floor, open above, of which the right end can burst.

    It always bursts in the same way.

    Parameters
    ----------
    low, high : (3,)
        Its lowest and its highest corner.

    Attributes
    ----------
    shards
        The pieces of its front and its right end, which join the scene as cracks run.
    """

    def __init__(self, low: npt.ArrayLike, high: npt.ArrayLike) -> None:
        super().__init__()
        self.low, self.size = np.array(low, dtype=float), np.subtract(high, low)
        self.random, self.strain, self.length = np.random.default_rng(SEED), 0.0, 1.0
        self.flights: list[Flight] = []
        self.edges: list[tuple[VMobject, Array, Array]] = []
        theme = current_theme()
        for axis, sides in product(range(3), product((0.0, 1.0), repeat=2)):
            ends = np.insert(np.tile(sides, (2, 1)), axis, (0.0, 1.0), axis=1)
            edge = VMobject(stroke_color=theme.glass, stroke_width=theme.bold)
            # The others are behind what it holds, as seen from the right.
            edge.set_z_index(1 if ends[:, 0 if axis == 2 else 2].any() else -1)
            self.add(mirrored(glow(edge)))
            self.edges.append((edge, *ends))
        self._bend(0.0)
        self.shards = VGroup(*self._pieces(2), *self._pieces(0))

    def at(self, places: npt.ArrayLike) -> Array:
        """Return where places (..., 3) of the box, 0 to 1 along each axis, are in the scene."""
        places = np.asarray(places, dtype=float)
        bow = 1 - (2 * places - 1) ** 2
        others = (bow.sum(axis=-1, keepdims=True) - bow) / 2
        out = self.strain * places[..., :1] ** 2 * (2 * places - 1) * others
        out[..., 1] *= places[..., 1] > 0  # the floor does not give way
        return np.asarray(self.low + places * self.size + out)

    def _bend(self, strain: float) -> None:
        self.strain = strain
        for edge, start, end in self.edges:
            line = start + (end - start) * np.linspace(0, 1, STEPS)[:, None]
            edge.set_points_as_corners(self.at(line * [self.length, 1, 1]))

    def _pieces(self, fixed: int) -> Iterator[Shard]:
        """Yield the pieces of a pane at the end of an axis, around where it is hit."""
        axes = [axis for axis in range(3) if axis != fixed]
        size, middle = self.size[axes], (HIT * self.size)[axes]
        uneven = self.random.uniform(-0.3, 0.3, (RAYS, RINGS + 1))
        angles = (np.arange(RAYS) + uneven[:, 0]) * (2 * np.pi / RAYS)
        uneven[:, [0, -1]] = 0
        radii = (np.arange(RINGS + 1) + uneven) / RINGS * REACH * self.size[1]
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        spots = middle + radii[..., None] * ways[:, None]
        for ray, ring in product(range(RAYS), range(RINGS)):
            here, beside = spots[ray], spots[(ray + 1) % RAYS]
            piece = np.array([here[ring], here[ring + 1], beside[ring + 1], beside[ring]])
            for axis, sign, limit in ((0, 1, size[0]), (0, -1, 0), (1, 1, size[1]), (1, -1, 0)):
                piece = clipped(piece, sign * piece[:, axis], limit) if len(piece) else piece
            if len(piece) > 2 and np.ptp(piece, axis=0).min() > SLIVER:
                corners = self.at(np.insert(piece / size, fixed, 1.0, axis=1))
                yield Shard(corners, np.eye(3)[fixed], (ring + self.random.random()) / RINGS)

    def bend(self, strain: float, **kwargs: Any) -> Animation:
        """Return the animation in which its right end bends outwards, in scene units."""
        start = self.strain
        return AnimateWith(
            self, lambda alpha: self._bend((1 - alpha) * start + alpha * strain), **kwargs
        )

    def crack(self, **kwargs: Any) -> Animation:
        """Return the animation in which cracks run from where it is hit."""

        def step(alpha: float) -> None:
            for shard in self.shards:
                set_presence(shard, float(shard.when <= alpha))

        return AnimateWith(self.shards, step, introducer=True, **({"rate_func": linear} | kwargs))

    def throw(self, bodies: Sequence[Body], eye: Array) -> None:
        """Let its right end burst: bodies and shards then fly in :meth:`fly`.

        Parameters
        ----------
        bodies
            What flies too, the slowest first.
        eye : (3,)
            The eye, which some shards pass.
        """
        draw, self.length = self.random, STAYS
        self._bend(0.0)
        for edge, start, _end in self.edges:
            set_presence(edge, float(start[0] == 0))
        for outer, body in zip(np.linspace(0, 1, len(bodies)), bodies, strict=True):
            way = np.array([1.0, draw.uniform(0.1, 0.9), draw.uniform(-0.5, 0.7)])
            spin = draw.choice([-1, 1]) * (0.3 + 0.7 * outer) * SPIN
            axis = draw.normal(size=3) * [0.5, 0.8, 1.0]
            self.flights.append(Flight(body, (SLOW + (FAST - SLOW) * outer) * way, axis, spin))
        for number, shard in enumerate(self.shards):
            # None flies back along the box, where words may stand.
            away = abs(shard.middle - self.at(HIT)) * [0.6, 0.5, 1.0]
            velocity = draw.uniform(1.5, 4.5) * away + draw.uniform(0.5, 4.0) * AHEAD
            if number in AIMED:
                aside = draw.uniform((0.5, -1, -1), (1.5, 0, 1))
                velocity = (eye + aside - shard.middle) / (PASSES + 0.2 * AIMED.index(number))
            self.flights.append(Flight(shard, velocity, draw.normal(size=3), 2 * SPIN))

    def fly(self, start: float, end: float, **kwargs: Any) -> Animation:
        """Return the animation in which everything flies from one moment to another, in seconds."""

        def step(alpha: float) -> None:
            for flight in self.flights:
                flight.fly((1 - alpha) * start + alpha * end)

        return AnimateWith(self, step, **({"rate_func": linear} | kwargs))
