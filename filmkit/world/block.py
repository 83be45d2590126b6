"""The cache of a model as a block of slabs: two for each token, one of keys and one of values.

A slab is a thin solid that stands on the floor. On its face are all numbers that a token adds to
the cache: down the heads of all layers, across the channels. Its other two sides that can be seen
show the first channel of all heads, and the first head of the first layer::

    block = CacheBlock(self.layer)
    self.add(block)
    self.play(self.move_camera(block.shot(self.frame)))
    self.play(block.grow(1))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Mobject, VMobject, linear, smooth

from filmkit.core.animations import AnimateWith, presence, set_presence
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import mirrored
from filmkit.core.norm import LINEAR_SHARE, Norm, TensorSource
from filmkit.core.quantities import QUANTITIES
from filmkit.core.seats import shot_of
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView

__all__ = [
    "DEPTH",
    "HEIGHT",
    "SIDES",
    "TILT",
    "TURN",
    "UPRIGHT_TILT",
    "UPRIGHT_TURN",
    "CacheBlock",
    "Pose",
    "Slab",
    "Solid",
]

Array = npt.NDArray[np.float64]
Point = tuple[float, float, float]

ROLES = {"cached_keys": "key", "cached_values": "value"}
"""Quantities of all that is kept, and whose colours they have."""

HEIGHT, DEPTH = 2.2, 2.4  # of a slab, in scene units
LONGEST, WIDEST = 4.6, 0.4  # of the block, and of the two slabs of a token
APART = 2.6  # pitch of tokens that are apart, in pitches of the block
AWAY = 2.2  # from where new slabs come, in scene units
TURN, TILT = 36.0, 13.0  # direction of the shots, in degrees
UPRIGHT_TURN, UPRIGHT_TILT = 50.0, 17.0  # the same in frames that are no wider than high
COMING = 3  # slabs that come at the same time
FRONT = ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 0))
FACE = ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1), (1, 0, 0))
TOP = ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0))
SIDES = FRONT, FACE, TOP
"""The three sides of a solid that are seen from the right and above, as corners: by shares of
its thickness, its height and its depth."""

EDGES = FRONT, TOP[:4], FACE[2:]


@dataclass(frozen=True)
class Pose:
    """Where a solid stands, and its size.

    Attributes
    ----------
    at : (3,)
        The middle of its foot.
    turn
        Where its face looks, in degrees: 0 to the right, 90 to the viewer.
    thick, height, depth
        Its size: from the back of the face to the face, up, and along the rows of the face.
    """

    at: Point
    turn: float
    thick: float
    height: float
    depth: float

    def mix(self, other: Pose, alpha: float) -> Pose:
        """Return the pose at ``alpha``, 0 to 1, of the way to another one."""
        one, two = ((*pose.at, pose.turn, *pose.size) for pose in (self, other))
        x, y, z, turn, *size = ((1 - alpha) * a + alpha * b for a, b in zip(one, two, strict=True))
        return Pose((x, y, z), turn, *size)

    @property
    def size(self) -> tuple[float, float, float]:
        """Thickness, height and depth."""
        return self.thick, self.height, self.depth

    def corner(self, out: float, up: float, along: float) -> Array:
        """Return a point (3,) by shares, 0 to 1: from back to face, up, and along the rows."""
        turn = np.radians(self.turn)
        normal = np.array([np.cos(turn), 0.0, np.sin(turn)])
        rows = np.array([np.sin(turn), 0.0, -np.cos(turn)])
        flat = (out - 0.5) * self.thick * normal + (along - 0.5) * self.depth * rows
        return np.asarray(np.array(self.at) + flat + [0.0, up * self.height, 0.0])

    @property
    def corners(self) -> Array:
        """Its eight corners, (8, 3)."""
        return np.array([self.corner(*p) for p in np.ndindex(2, 2, 2)])


class Solid(Group):
    """A body that stands in the room.

    Attributes
    ----------
    pose
        Where it stands, and its size.
    """

    pose: Pose

    @property
    def corners(self) -> Array:
        """Its corners in the scene, (n, 3)."""
        return self.pose.corners

    def stand(self, pose: Pose) -> Self:
        """Put it somewhere, with a size, and return it."""
        raise NotImplementedError

    def move(self, pose: Pose, **kwargs: Any) -> Animation:
        """Return an animation in which it goes to another place and size, and turns on its way."""
        start = self.pose
        return AnimateWith(self, lambda alpha: self.stand(start.mix(pose, alpha)), **kwargs)

    def shot(
        self,
        frame: Frame,
        *others: Solid,
        into: Box | None = None,
        words: Sequence[Mobject] = (),
    ) -> Shot:
        """Return the shot from the right and above that shows it as large as possible.

        Parameters
        ----------
        frame
            The frame.
        *others
            Solids that are to be seen too.
        into
            Box of the frame that is filled; its free part by default.
        words
            Words that are in it too, as for :func:`~filmkit.core.seats.shot_of`.
        """
        corners = [solid.corners for solid in (self, *others)]
        turn, tilt = (UPRIGHT_TURN, UPRIGHT_TILT) if frame.upright else (TURN, TILT)
        return shot_of(np.concatenate(corners), frame, into=into, turn=turn, tilt=tilt, words=words)


class Slab(Solid):
    """The keys or the values of one token, of all heads and layers.

    Parameters
    ----------
    values : (unit, channel)
        The numbers; a unit is a key/value head of a layer.
    source
        Where they come from.
    role
        "key" or "value".
    pose
        Where it stands.

    Attributes
    ----------
    body
        What its sides are painted on: in half light they have the background's colour behind them.
    face, front, top
        What is seen of it: all numbers, the first channel of each unit, and the first unit.
    edges
        Lines along the edges that are seen.
    lit
        All of these but the body.
    """

    def __init__(self, values: Array, source: TensorSource, role: str, pose: Pose) -> None:
        super().__init__()
        theme = current_theme()
        position, units, channels = source.index
        norm = Norm(-1.0, 1.0, theme.colour_map(role), LINEAR_SHARE)
        self.role = role
        self.face, self.front, self.top = (
            Heatmap(part, norm, source=replace(source, index=index), edged=False)
            for part, index in (
                (values, source.index),
                (values[:, :1], (position, units, (0, 1))),
                (values[:1], (position, (0, 1), channels)),
            )
        )
        self.edges = VMobject(
            stroke_color=theme.role(role), stroke_width=theme.thin, fill_opacity=0.0
        )
        self.body = VMobject(stroke_width=0.0, fill_color=theme.background, fill_opacity=1.0)
        self.lit = Group(self.top, self.front, self.face, self.edges)
        self.add(self.body, self.lit)
        # Seen from above, the floor mirrors no top.
        mirrored(Group(self.front, self.face, self.edges))
        self.stand(pose)

    def stand(self, pose: Pose) -> Self:
        self.pose = pose
        at = pose.corner
        self.face.set_corners([at(1, 1, 0), at(1, 1, 1), at(1, 0, 1), at(1, 0, 0)])
        self.front.set_corners([at(0, 1, 0), at(1, 1, 0), at(1, 0, 0), at(0, 0, 0)])
        self.top.set_corners([at(0, 1, 0), at(0, 1, 1), at(1, 1, 1), at(1, 1, 0)])
        for lines, paths in ((self.edges, EDGES), (self.body, SIDES)):
            lines.clear_points()
            for first, *others in paths:
                lines.start_new_path(at(*first))
                for point in others:
                    lines.add_line_to(at(*point))
        return self


class CacheBlock(Solid):
    """The keys and values that a model keeps of some tokens, in all layers.

    Parameters
    ----------
    view
        A layer of the model, which says which tokens.

    Attributes
    ----------
    tokens : list of (Slab, Slab)
        The keys and the values of each token, in order.
    """

    def __init__(self, view: LayerView) -> None:
        super().__init__()
        meta = view.trace.meta
        self.count = view.count
        self.pitch = min(WIDEST, LONGEST / self.count)
        self.pose = Pose((0.0, 0.0, 0.0), 0.0, self.count * self.pitch, HEIGHT, DEPTH)
        given = (("layers", (0, meta.n_layers - 1)), ("heads", (0, meta.n_heads - 1)))
        halves = []
        for half, (name, role) in enumerate(ROLES.items()):
            stored = QUANTITIES[name].of(view.trace)
            _positions, units, channels = stored.shape
            halves.append(
                [
                    Slab(
                        stored[position],
                        TensorSource(
                            quantity=name, index=(position, (0, units), (0, channels)), given=given
                        ),
                        role,
                        self.place(position - view.first, half),
                    )
                    for position in range(view.first, view.stop)
                ]
            )
        self.tokens: list[tuple[Slab, Slab]] = list(zip(*halves, strict=True))
        self.add(*self.slabs)
        self._cover()

    @property
    def slabs(self) -> list[Slab]:
        """All slabs, from left to right."""
        return [slab for pair in self.tokens for slab in pair]

    @property
    def corners(self) -> Array:
        return np.concatenate([slab.corners for slab in self.slabs])

    def place(self, token: int, half: int, *, apart: float = 0.0) -> Pose:
        """Return where the keys (``half`` 0) or the values (1) of a token stand.

        They stand in the block, or with ``apart`` up to 1 with air between all slabs.
        """
        thick = self.pitch / 2
        pitch = self.pitch * (1 + (APART - 1) * apart)
        beside = (1 - apart) * thick + apart * pitch / 2
        x = (token - (self.count - 1) / 2) * pitch + (half - 0.5) * beside
        return Pose((x, 0.0, 0.0), 0.0, thick, HEIGHT, DEPTH)

    def build(self, *, apart: float = 0.0) -> CacheBlock:
        """Put all slabs into the block, or ``apart`` up to 1, and return it."""
        for token, pair in enumerate(self.tokens):
            for half, slab in enumerate(pair):
                slab.stand(self.place(token, half, apart=apart))
        self._cover()
        return self

    def _cover(self) -> None:
        """Draw no face that the next slab hides."""
        for slab, following in pairwise(self.slabs):
            here, there = slab.pose, following.pose
            gap = there.corner(0, 0, 0) - here.corner(1, 0, 0)
            hidden = np.abs(gap).max() < 1e-6 and presence(following.face) > 0
            slab.face.set_opacity(float(not hidden))

    def grow(self, tokens: int, **kwargs: Any) -> Animation:
        """Return an animation in which the last tokens come from the right, slab by slab.

        Parameters
        ----------
        tokens
            How many.
        """
        first = self.count - tokens

        def step(alpha: float) -> None:
            for token in range(first, self.count):
                for half, slab in enumerate(self.tokens[token]):
                    turn = 2 * (token - first) + half
                    done = smooth(np.clip(alpha * (2 * tokens + COMING) - turn, 0, COMING) / COMING)
                    pose = self.place(token, half)
                    slab.stand(replace(pose, at=(pose.at[0] + AWAY * (1 - done), 0.0, 0.0)))
                    set_presence(slab, min(1.0, 2 * done))
            self._cover()

        return AnimateWith(self, step, rate_func=linear, **kwargs)
