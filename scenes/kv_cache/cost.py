"""Plates of a layer, a token of a large model, and a GPU, for what a cache costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Square, VMobject

from extract.facts.architectures import Architecture, kv_cache_bytes
from extract.trace import TraceMeta
from filmkit.core.animations import AnimateWith
from filmkit.core.arrival import stand_for
from filmkit.core.camera import keep_upright
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import glow, mirrored
from filmkit.core.text import Label
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import LayerView
from filmkit.mobjects.cached_numbers import BITS
from filmkit.mobjects.ribbon import outline_points
from filmkit.pictures.tensors import head_tensor
from filmkit.world.block import SIDES, TURN, UPRIGHT_TURN, Pose, Solid
from filmkit.world.box import GlassBox, SketchBody, keys_and_values
from filmkit.world.lamps import LampCard
from filmkit.world.plan import Place
from filmkit.world.plates import SHINE, Plate

__all__ = [
    "Chip",
    "LargeToken",
    "Memory",
    "lighting_up",
    "plates_of_layer",
    "token_bytes",
]

WIDTH, ROW, HIGHEST = 1.5, 0.2, 2.7  # of a plate, of its rows, and its height at most
PAIR_GAP, GAP = 0.12, 0.5  # between keys and values, and from one head to the next
ROWS_APART = 0.7  # from one row of plates to the next, with room for words
RADIUS = 11.0  # of the arc on which the plates of a layer stand
WORDS = 1.8  # room for a headline
SIDE, BETWEEN = 3.0, 0.04  # width of a large model's keys or values, and their gap as a share of it
MARK, OVER = 0.14, 0.8  # size of the question mark, and how high over its box it is
ROLES = "key", "value"  # of slabs
SLABS, THICK, TALL = 9, 0.2, 2.2  # pairs of slabs in a memory; their thickness, and other sides
HIGH, SHAPE = 2.9, 1.25  # height of a chip, and its width as a share of it
APART = 5.2  # from the memory to the middle of the chip, in scene units
NUMBER = 0.24  # side of the number on its way, in scene units of the frame
PASSED = 0.8  # opacity of lamps that could have burnt
WAY = 0.82  # share of the time in which it is on its way


def lighting_up(cells: Heatmap) -> Animation:
    """Return an animation in which the cells of a plate, dark in a mosaic, begin to glow."""
    glow(cells, 0.0)

    def step(alpha: float) -> None:
        glow(cells, alpha * SHINE["plate"])

    return AnimateWith(cells, step)


def plates_of_layer(view: LayerView, frame: Frame) -> list[Group]:
    """Return the keys and values of all heads that a layer keeps, a pair for each, in the room.

    They stand on an arc, in rows if there are many, so that every face is seen.
    """
    heads, meta = view.trace.meta.n_kv_heads, view.trace.meta
    height = min(HIGHEST, ROW * view.count)
    across, down = 2 * WIDTH + PAIR_GAP + GAP, height + ROWS_APART

    def size(columns: int) -> float:
        rows = -(-heads // columns)
        room = frame.free.height - WORDS
        return min(frame.free.width / (columns * across), room / (rows * down))

    columns = max(range(1, heads + 1), key=size)
    rows, radius = -(-heads // columns), max(RADIUS, 0.8 * columns * across)
    pairs = []
    for head in range(heads):
        row, column = divmod(head, columns)
        alone = min(columns, heads - row * columns)
        angle = (column - (alone - 1) / 2) * across / radius
        foot = Place((radius * np.sin(angle), 0, radius * (1 - np.cos(angle))), angle, 0, 0)
        reader = view.head(head * meta.n_heads // heads)
        pair = Group()
        for side, name in ((-1, "k"), (1, "v")):
            up = (rows - 1 - row) * down + height / 2
            x, y, z = map(float, foot.point(side * (WIDTH + PAIR_GAP) / 2, up))
            pair.add(Plate(head_tensor(reader, name), Place((x, y, z), angle, WIDTH, height)))
        pairs.append(pair)
    return pairs


def token_bytes(meta: TraceMeta) -> int:
    """Return the bytes that a token takes in the cache of the traced model."""
    return (meta.d_qk + meta.d_v) * meta.n_kv_heads * meta.n_layers * BITS // 8


class LargeToken(Solid):
    """One token of a large model if every head kept its own keys and values: a sketch to scale.

    Up are the heads, back the layers, across the channels of a key and of a value.

    Attributes
    ----------
    pose
        Of both together.
    halves
        Keys and values.
    outline
        Their edges, when they are gone.
    unknown
        A closed box, to scale, for what the model keeps instead.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        theme = current_theme()
        number = SIDE / arch.d_head
        high, deep = number * arch.n_heads, number * arch.n_layers
        self.pose = Pose((0.0, 0.0, 0.0), 0.0, (2 + BETWEEN) * SIDE, high, deep)
        self.halves = Group()
        for side, colour in ((-1, theme.key), (1, theme.value)):
            at = (side * (1 + BETWEEN) * SIDE / 2, 0.0, 0.0)
            self.halves.add(SketchBody(Pose(at, 0.0, SIDE, high, deep), colour))
        share = (kv_cache_bytes(arch) / kv_cache_bytes(arch, "mha")) ** (1 / 3)
        kept = (share * length for length in (2 * SIDE, high, deep))
        self.unknown = SketchBody(Pose((0.0, 0.0, 0.0), 0.0, *kept), theme.glass)
        self.unknown.faces.set_fill(mixed(theme.background, theme.glass, 0.6))
        mark = Label("?", size=MARK, weight="semibold").move_to([0.0, OVER, 0.0])
        self.mark = keep_upright(mark, self.unknown.pose.corner(0.5, 1.0, 0.5))
        self.outline = GlassBox(self.pose, room=0.0)
        self.add(self.halves)

    def rise(self, *, start: float = 0.0, end: float = 1.0, **kwargs: Any) -> Animation:
        """Return an animation in which its height changes between shares, 0 to 1."""
        full = [half.pose for half in self.halves]

        def step(alpha: float) -> None:
            share = max(1e-3, (1 - alpha) * start + alpha * end)
            for half, pose in zip(self.halves, full, strict=True):
                half.stand(replace(pose, height=share * self.pose.height))

        return AnimateWith(self, step, **kwargs)


class Memory(Solid):
    """The memory of a GPU, a box of glass, with the cache of a large model in it: a sketch."""

    def __init__(self) -> None:
        super().__init__()
        inside = Pose((0.0, 0.0, 0.0), 0.0, 2 * SLABS * THICK, TALL, TALL)
        slabs = keys_and_values(inside, 2 * SLABS, thin=0.94)
        for number, slab in enumerate(slabs):
            # In the order in which a plate has its corners: it becomes one in the next scene.
            low, high, over, under, _low = (slab.pose.corner(*corner) for corner in SIDES[0])
            slab.faces[0].set_points_as_corners([over, high, low, under, over])
            stand_for(slab.faces[0], ROLES[number % 2])
        glass = GlassBox(inside)
        self.pose = glass.pose
        self.add(glass.back, slabs, glass.front)


class Chip(LampCard):
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
    number
        The number on its way. When it has arrived, one lamp burns.
    """

    def __init__(self, lamps: int, memory: Memory, frame: Frame) -> None:
        theme = current_theme()
        if frame.tall:
            at, turn = (0.0, memory.pose.height + 1.6, 0.0), 90.0 - UPRIGHT_TURN
            plug = (0.5, 1.0, 1.0)
        else:
            turn = 90.0 - (UPRIGHT_TURN if frame.upright else TURN)
            at = (memory.pose.thick / 2 + APART, 0.0, 0.0)
            plug = (1.0, 0.5, 1.0)
        self.start = start = memory.pose.corner(*plug)

        def way_to(lamp: npt.NDArray[np.float64]) -> float:
            return float(np.linalg.norm(lamp.mean(axis=0) - start))

        pose = Pose(at, turn, 0.02, HIGH, SHAPE * HIGH)
        super().__init__(pose, lamps, order=way_to, shine=3.0)
        self.end = self.places[0].mean(axis=0)
        # It ends beside the lamp, which is seen whole.
        side = float(np.linalg.norm(np.diff(self.places[0][:2], axis=0)))
        plugged = self.end - side * (self.end - start) / way_to(self.places[0])
        self.wire = glow(Line(start, plugged, stroke_color=theme.ink, stroke_width=2 * theme.bold))
        self.passed = VMobject(stroke_width=0.0, fill_color=theme.muted, fill_opacity=PASSED)
        self.number = glow(Square(NUMBER, stroke_width=0.0, fill_opacity=1.0), 2.0)
        keep_upright(self.number, lambda _shot: self.where)
        mirrored(self.add(self.passed))
        self.add(self.wire, self.number)
        self.wait_for(0.0, theme.key)

    def wait_for(self, alpha: float, colour: str) -> None:
        """Show the moment at a share, 0 to 1, of the time in which a number arrives."""
        way = min(1.0, alpha / WAY)
        self.where = (1 - way) * self.start + way * self.end
        self.number.set_fill(colour)
        self.number.set_opacity(float(way < 1))
        missed = int(way * len(self.places)) if way < 1 else 0
        self.passed.points = outline_points(self.places[:missed])
        self.burn(int(way >= 1))

    def read(self, colour: str, **kwargs: Any) -> Animation:
        """Return an animation in which a number of a colour crawls to the chip, which uses it."""
        return AnimateWith(self, lambda alpha: self.wait_for(alpha, colour), **kwargs)
