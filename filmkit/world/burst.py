"""A box of glass that bursts: it bends and cracks, and what it held flies with its shards.

::

    glass = Glass((-4, 0, -1), (4, 2, 1))
    self.add(glass, *slabs)
    self.play(glass.bend(0.2))
    self.play(glass.crack())
    glass.throw(slabs[-6:], at=self.camera.shot.eye())
    self.play(glass.fly(0.0, 0.4), run_time=0.4)
    self.play(glass.fly(0.4, 0.6), run_time=2)  # at a tenth of the speed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    Animation,
    Group,
    LineJointType,
    Mobject,
    VGroup,
    VMobject,
    linear,
    rotation_matrix,
)

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.body import Body
from filmkit.core.light import glow, mirrored
from filmkit.core.solids import clipped
from filmkit.core.theme import current_theme

__all__ = ["Flight", "Glass"]

Array = npt.NDArray[np.float64]

GRAVITY = 3.0  # in scene units per second squared
STEPS = 13  # points of an edge, so that it can bend
PANE = 0.05  # opacity of a pane
SHARD = 0.16  # and of a shard
RAYS, RINGS = 9, 3  # of the web of cracks in a pane
REACH = 1.5  # of that web, in heights of the box; beyond, the pane stays whole
STAYS = 0.72  # share of the box's length that stays when its right end has burst
HIGH = 0.45  # where cracks begin, as a share of the box's height
SLOW, FAST = 1.5, 6.0  # speed of what is thrown, the first and the last of it
SPIN = 1.8  # largest turn of what is thrown, in radians per second; of shards three times as much
AIMED, PASSES = 3, 0.54  # shards that fly at the eye, and when the first passes it, in seconds

SEED = 3


@dataclass(frozen=True)
class Flight:
    """How something flies: from its place, turning about its middle.

    Attributes
    ----------
    mobject
        What flies, with all that belongs to it.
    velocity, axis : (3,)
        In scene units per second, and about which direction it turns.
    spin
        How fast, in radians per second.
    starts
        The points of each of its parts before it flies.
    middle : (3,)
        Its middle then.
    """

    mobject: Body | Shard
    velocity: Array
    axis: Array
    spin: float
    starts: tuple[Array, ...]
    middle: Array

    @classmethod
    def of(cls, mobject: Body | Shard, velocity: Array, axis: Array, spin: float) -> Flight:
        """Return the flight of something from where it is now."""
        starts = tuple(member.points.copy() for member in mobject.get_family())
        return cls(mobject, velocity, axis, spin, starts, np.array(mobject.middle))

    def fly(self, seconds: float) -> None:
        """Put it to where it is some seconds after it began."""
        middle = self.middle
        turn = rotation_matrix(self.spin * seconds, self.axis)
        way = self.velocity * seconds - [0.0, GRAVITY * seconds**2 / 2, 0.0]
        for member, points in zip(self.mobject.get_family(), self.starts, strict=True):
            member.points = middle + way + (points - middle) @ turn.T


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
        super().__init__(
            stroke_color=theme.glass,
            stroke_width=theme.line,
            fill_color=theme.glass,
            fill_opacity=SHARD,
            joint_type=LineJointType.ROUND,
        )
        self.out, self.when, self.middle = out, when, corners.mean(axis=0)
        self.set_points_as_corners([*corners, corners[0]])


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
    flights
        What flies, after :meth:`throw`.
    """

    def __init__(self, low: npt.ArrayLike, high: npt.ArrayLike) -> None:
        super().__init__()
        self.low, self.size = np.asarray(low, float), np.subtract(high, low).astype(float)
        self.random = np.random.default_rng(SEED)
        self.strain, self.length = 0.0, 1.0
        self.flights: list[Flight] = []
        theme = current_theme()
        self.edges, self.panes = VGroup(), VGroup()
        for axis, sides in product(range(3), product((0.0, 1.0), repeat=2)):
            ends = np.insert(np.tile(sides, (2, 1)), axis, (0.0, 1.0), axis=1)
            edge = VMobject(stroke_color=theme.glass, stroke_width=theme.bold)
            edge.ends = ends
            hidden = not ends[:, 0 if axis == 2 else 2].any()
            self.edges.add(edge.set_z_index(-1 if hidden else 1))
        for fixed in (2, 0):
            pane = VMobject(stroke_width=0.0, fill_color=theme.glass, fill_opacity=PANE)
            pane.corners = np.insert([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)], fixed, 1, axis=1)
            self.panes.add(pane.set_z_index(1))
        self.shards = VGroup(*self._pieces(np.array([1.0, HIGH, 1.0]), 2))
        self.shards.add(*self._pieces(np.array([1.0, HIGH, 0.5]), 0))
        mirrored(glow(self.edges)), mirrored(glow(self.shards, 0.6))
        self.add(self.edges, self.panes)
        self._draw()

    def at(self, places: npt.ArrayLike) -> Array:
        """Return where places (..., 3) of the box, 0 to 1 along each axis, are in the scene."""
        places = np.asarray(places, dtype=float)
        bow = 1 - (2 * places - 1) ** 2
        others = (bow.sum(axis=-1, keepdims=True) - bow) / 2
        out = self.strain * places[..., :1] ** 2 * (2 * places - 1) * others
        out[..., 1] *= places[..., 1] > 0  # the floor does not give way
        return np.asarray(self.low + places * self.size + out)

    def _draw(self) -> None:
        """Put edges and panes where they are."""
        share = np.linspace(0, 1, STEPS)[:, None]
        reach = [self.length, 1.0, 1.0]
        for edge in self.edges:
            start, end = edge.ends
            line = self.at((start + (end - start) * share) * reach)
            edge.set_points_as_corners(line)
            set_presence(edge, float(self.length == 1 or start[0] == 0))
        for pane in self.panes:
            sides = [a + (b - a) * share for a, b in pairwise(pane.corners)]
            pane.set_points_as_corners(self.at(np.concatenate(sides) * reach))
        set_presence(self.panes[1], float(self.length == 1))

    def _pieces(self, impact: Array, fixed: int) -> Iterator[Shard]:
        """Yield the pieces of a pane, across the axis ``fixed``, around the place of an impact."""
        axes = [axis for axis in range(3) if axis != fixed]
        size, middle = self.size[axes], (impact * self.size)[axes]
        angles = (np.arange(RAYS) + self.random.uniform(-0.3, 0.3, RAYS)) * (2 * np.pi / RAYS)
        steps = (np.arange(1, RINGS) + self.random.uniform(-0.2, 0.2, (RAYS, RINGS - 1))) / RINGS
        radii = np.pad(steps, ((0, 0), (1, 1)), constant_values=(0, 1)) * REACH * self.size[1]
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        out = np.eye(3)[fixed]
        for ray, ring in product(range(RAYS), range(RINGS)):
            beside = (ray + 1) % RAYS
            spots = [
                middle + ways[k] * radii[k, r]
                for k, r in ((ray, ring), (ray, ring + 1), (beside, ring + 1), (beside, ring))
            ]
            piece = np.array(spots[1:] if ring == 0 else spots)
            for axis in (0, 1):
                piece = clipped(piece, piece[:, axis], size[axis]) if len(piece) else piece
                piece = clipped(piece, -piece[:, axis], 0.0) if len(piece) else piece
            if len(piece) > 2:
                corners = np.insert(piece / size, fixed, 1.0, axis=1)
                yield Shard(self.at(corners), out, (ring + self.random.random()) / RINGS)

    def bend(self, strain: float, **kwargs: Any) -> Animation:
        """Return the animation in which its right end bends outwards, in scene units."""
        start = self.strain

        def step(alpha: float) -> None:
            self.strain = (1 - alpha) * start + alpha * strain
            self._draw()

        return AnimateWith(self, step, **kwargs)

    def crack(self, **kwargs: Any) -> Animation:
        """Return the animation in which cracks run from where it is hit."""

        def step(alpha: float) -> None:
            for shard in self.shards:
                set_presence(shard, float(shard.when <= alpha))

        return AnimateWith(self.shards, step, introducer=True, **({"rate_func": linear} | kwargs))

    def throw(self, things: Sequence[Body], *, at: npt.ArrayLike) -> None:
        """Let its right end burst: what is thrown then flies in :meth:`fly`.

        Parameters
        ----------
        things
            Bodies that fly too, the slowest first.
        at : (3,)
            The eye, which some shards pass.
        """
        draw, self.length, self.strain = self.random, STAYS, 0.0
        self._draw()
        for number, thing in enumerate(things):
            outer = number / max(1, len(things) - 1)
            speed = SLOW + (FAST - SLOW) * outer
            way = np.array([1.0, draw.uniform(0.1, 0.9), draw.uniform(-0.5, 0.7)])
            axis = draw.normal(size=3) * [0.5, 0.8, 1.0]
            turn = (0.3 + 0.7 * outer) * SPIN * draw.choice([-1, 1])
            self.flights.append(Flight.of(thing, speed * way, axis, turn))
        impact = self.at((1.0, HIGH, 0.5))
        for shard in self.shards:
            away = (shard.middle - impact) * [0.4, 0.4, 1.0] + 0.4 * shard.out
            velocity = draw.uniform(1.5, 4.5) * away + draw.uniform(0.5, 3.0) * shard.out
            self.flights.append(Flight.of(shard, velocity, draw.normal(size=3), 3 * SPIN))
        at_end = [flight for flight in self.flights[len(things) :] if flight.mobject.out[0]]
        aimed = sorted(at_end, key=lambda flight: -_area(flight.mobject))
        for number, flight in enumerate(aimed[:AIMED]):
            aside = draw.uniform(-0.5, 0.5, 3) * (1 + number)
            way = (np.asarray(at) + aside - flight.mobject.middle) / (PASSES * (1 + 0.35 * number))
            slower = Flight.of(flight.mobject, way, flight.axis, SPIN)
            self.flights[self.flights.index(flight)] = slower

    def fly(self, start: float, end: float, **kwargs: Any) -> Animation:
        """Return the animation in which everything flies from one moment to another, in seconds."""

        def step(alpha: float) -> None:
            for flight in self.flights:
                flight.fly((1 - alpha) * start + alpha * end)

        return AnimateWith(self, step, **({"rate_func": linear} | kwargs))


def _area(mobject: Mobject) -> float:
    """Return how large something is: the product of its two longest sides."""
    sides = np.sort(np.ptp(mobject.points, axis=0))
    return float(sides[1] * sides[2])
