"""A glass box that breaks: its end splinters, and slabs fly out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    Animation,
    Group,
    LineJointType,
    Polygon,
    VGroup,
    VMobject,
    linear,
    rotation_matrix,
)

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import Shot
from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme
from filmkit.world.block import SIDES
from filmkit.world.box import LIGHTS, PANE, GlassBox, SketchBody, hatched, sketched

__all__ = ["Burst"]

Array = npt.NDArray[np.float64]

GRAVITY = 3.0  # in scene units per second squared
BROKEN = 0.78, 0.05  # share of the box's length that stays, and how uneven its edge is
TEETH = 5  # of that edge, on each pane
SPLINTERS = 3  # of the end pane, along each side
SHARD_GAP = 0.3  # shards are smaller than their place by this share
SLOW, FAST = 1.2, 5.5  # speed of slabs, the innermost and the outermost
SPIN = 1.6  # largest turn of a slab in radians per second; shards turn five times as fast
SEED = 7


@dataclass(frozen=True)
class Flight:
    """How something flies: from its place, turning about its middle.

    Attributes
    ----------
    velocity, axis : (3,)
        In scene units per second, and about which direction it turns.
    spin
        How fast, in radians per second.
    """

    velocity: Array
    axis: Array
    spin: float

    def of(self, points: Array, middle: Array, seconds: float) -> Array:
        """Return where points (n, 3) are some seconds after they stood still."""
        turn = rotation_matrix(self.spin * seconds, self.axis)
        way = self.velocity * seconds - [0.0, GRAVITY * seconds**2 / 2, 0.0]
        return np.asarray(middle + way + (points - middle) @ turn.T)


class Splinter(VMobject):
    """A piece of a pane, in flight."""

    def __init__(self, corners: Array, flight: Flight) -> None:
        theme = current_theme()
        super().__init__(
            stroke_color=theme.glass,
            stroke_width=theme.line,
            fill_color=theme.glass,
            fill_opacity=3 * PANE,
            joint_type=LineJointType.ROUND,
        )
        self.flight, self.middle = flight, corners.mean(axis=0)
        shrunk = self.middle + (1 - SHARD_GAP) * (corners - self.middle)
        self.corners = np.concatenate([shrunk, shrunk[:1]])
        self.fly(0.0)

    def fly(self, seconds: float) -> None:
        """Go to where it is after some seconds."""
        self.set_points_as_corners(self.flight.of(self.corners, self.middle, seconds))


class FlyingSlab(VGroup):
    """A sketch of a slab, in flight: it has all six faces, of which those that are seen are drawn.

    Parameters
    ----------
    body
        The slab, as it stood.
    flight
        How it flies.
    shot
        From where it is seen.
    """

    def __init__(self, body: SketchBody, flight: Flight, shot: Shot) -> None:
        super().__init__()
        self.flight, self.eye = flight, shot.eye()
        colour = str(body.faces[0].get_stroke_color().to_hex())
        self.middle = body.corners.mean(axis=0)
        self.sides: list[tuple[Array, Array, VGroup]] = []
        for light, path in zip(LIGHTS, SIDES, strict=True):
            near = np.array([body.pose.corner(*corner) for corner in path[:4]])
            # The opposite side, by reflection in the middle.
            for corners in (near, 2 * self.middle - near):
                side = VGroup(*sketched(colour, light))
                self.sides.append((corners, hatched(corners), side))
                self.add(side)
        self.fly(0.0)

    def fly(self, seconds: float) -> None:
        """Go to where it is after some seconds."""
        for corners, ends, (face, lines) in self.sides:
            there = self.flight.of(corners, self.middle, seconds)
            face.set_points_as_corners([*there, there[0]])
            lines.points = self.flight.of(ends, self.middle, seconds)
        self.place = self.flight.of(self.middle[None], self.middle, seconds)[0]
        for _corners, _ends, side in self.sides:
            out = side[0].points.mean(axis=0) - self.place
            set_presence(side, float(out @ (self.eye - self.place - out) > 0))


class Burst(Group):
    """What is left of a glass box whose right end has broken, and what flies out of it.

    It always breaks in the same way.

    Parameters
    ----------
    glass
        The whole box; its :attr:`~GlassBox.front` is to leave the scene.
    slabs
        The slabs that fly, from left to right; these leave too.
    shot
        From where it is seen.

    Attributes
    ----------
    panes
        The panes that have not fallen, with their broken edges.
    shards, slabs
        What flies.
    """

    def __init__(self, glass: GlassBox, slabs: Sequence[SketchBody], shot: Shot) -> None:
        super().__init__()
        self.random = np.random.default_rng(SEED)
        share, uneven = BROKEN
        edge = share + uneven * self.random.uniform(-1, 1, (2, TEETH))
        edge[1, 0] = edge[0, -1]  # both panes end at the same place of the edge between them
        steps = np.linspace(0, 1, TEETH)
        at = glass.pose.corner
        front = [at(x, up, 0) for x, up in zip(edge[0], steps, strict=True)]
        top = [at(x, 1, along) for x, along in zip(edge[1], steps, strict=True)]
        self.panes = VGroup(
            Polygon(at(0, 0, 0), *front, at(0, 1, 0)), Polygon(at(0, 1, 0), *top, at(0, 1, 1))
        )
        for pane, whole in zip(self.panes, (glass.front[0], glass.front[2]), strict=True):
            pane.match_style(whole)
        places = self._strip(front, [at(1, up, 0) for up in steps])
        places += self._strip(top, [at(1, 1, along) for along in steps])
        rows = [[at(1, up, along) for along in self._uneven()] for up in self._uneven()]
        for low, high in pairwise(rows):
            places += self._strip(low, high)
        size = glass.pose.thick
        right = at(1, 0.5, 0.5)
        self.shards = VGroup(*(Splinter(place, self._shattered(place, right)) for place in places))
        outermost = max(len(slabs) - 1, 1)
        self.slabs = VGroup(
            *(
                FlyingSlab(slab, self._thrown(number / outermost, size), shot)
                for number, slab in enumerate(slabs)
            )
        )
        self.eye = shot.eye()
        mirrored(glow(self.panes)), mirrored(glow(self.shards)), mirrored(self.slabs)
        self.add(self.panes, self.slabs, self.shards)

    def _uneven(self) -> Array:
        """Return where a side of the end pane splits, as shares of it from 0 to 1."""
        steps = np.arange(SPLINTERS + 1) / SPLINTERS
        steps[1:-1] += 0.3 / SPLINTERS * self.random.uniform(-1, 1, SPLINTERS - 1)
        return np.asarray(steps)

    @staticmethod
    def _strip(low: Sequence[Array], high: Sequence[Array]) -> list[Array]:
        """Return the triangles (3, 3) between two lines of points."""
        triangles = []
        middle = [(one + two) / 2 for one, two in zip(low, high, strict=True)]
        for near, far in ((low, middle), (middle, high)):
            for (a, b), (c, d) in zip(pairwise(near), pairwise(far), strict=True):
                triangles += [np.array([a, b, c]), np.array([b, d, c])]
        return triangles

    def _shattered(self, place: Array, end: Array) -> Flight:
        """Return how a shard flies: away from the middle of the end pane."""
        away = (place.mean(axis=0) - end) * [0.4, 0.2, 1.0]
        speed = self.random.uniform(1.5, 4.5)
        out = [self.random.uniform(1.0, 6.0), self.random.uniform(-0.8, 0.7), 0.0]
        return Flight(speed * away + out, self.random.normal(size=3), 5 * SPIN)

    def _thrown(self, outer: float, size: float) -> Flight:
        """Return how a slab flies, by its place from the innermost, 0, to the outermost, 1."""
        speed = SLOW + (FAST - SLOW) * outer
        up, near = self.random.uniform(0.05, 0.35), self.random.uniform(-0.35, 0.5)
        velocity = np.array([speed, up * speed, near * speed])
        axis = self.random.normal(size=3) * [0.5, 0.7, 1.0]
        return Flight(velocity, axis, (0.3 + 0.7 * outer) * SPIN * self.random.choice([-1, 1]))

    def fly(self, start: float, end: float, **kwargs: Any) -> Animation:
        """Return an animation in which everything flies from one moment to another, in seconds."""

        def step(alpha: float) -> None:
            seconds = (1 - alpha) * start + alpha * end
            for piece in (*self.shards, *self.slabs):
                piece.fly(seconds)
            # Those that are nearer are drawn later.
            self.slabs.submobjects.sort(
                key=lambda slab: -float(np.linalg.norm(self.eye - slab.place))
            )

        return AnimateWith(self, step, **({"rate_func": linear} | kwargs))
