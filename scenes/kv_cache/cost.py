"""What stands in the room while the cost of a cache is told: plates of a layer, a large model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from manim import Animation, Group

from extract.architectures import Architecture, kv_cache_bytes
from extract.trace import TraceMeta
from filmkit.core.animations import AnimateWith
from filmkit.core.camera import keep_upright
from filmkit.core.geometry import Frame
from filmkit.core.language import _
from filmkit.core.light import mirrored
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.cached_numbers import BITS
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.world.block import Pose, Solid
from filmkit.world.box import GlassBox, SketchBody
from filmkit.world.plan import Place
from filmkit.world.plates import Plate

__all__ = ["LargeToken", "factors", "plates_of_layer", "token_bytes"]

WIDTH, ROW, HIGHEST = 1.5, 0.2, 2.7  # of a plate, of its rows, and its height at most
PAIR_GAP, GAP = 0.12, 0.5  # between keys and values, and from one head to the next
RADIUS = 11.0  # of the arc on which the plates of a layer stand
WORDS = 1.8  # room for a headline
SIDE = 3.0  # width of the large model's keys or values, in scene units
BETWEEN = 0.04  # between them, as a share of that
MARK = 0.1  # size of the question mark


def plates_of_layer(view: LayerView, frame: Frame) -> list[Group]:
    """Return the keys and values of all heads that a layer keeps, a pair for each, in the room.

    They stand on an arc, in rows if there are many, so that every face is seen.
    """
    heads, meta = view.trace.meta.n_kv_heads, view.trace.meta
    height = min(HIGHEST, ROW * view.count)
    across, down = 2 * WIDTH + PAIR_GAP + GAP, height + GAP / 2

    def size(columns: int) -> float:
        rows = -(-heads // columns)
        room = frame.stage.height - WORDS
        return min(frame.stage.width / (columns * across), room / (rows * down))

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
        pairs.append(mirrored(pair))
    return pairs


def token_bytes(meta: TraceMeta) -> int:
    """Return the bytes that a token takes in the cache of the traced model."""
    return (meta.d_qk + meta.d_v) * meta.n_kv_heads * meta.n_layers * BITS // 8


def factors(meta: TraceMeta) -> str:
    """Return the same as a product, in words and numbers."""
    size = f"2 × {meta.d_qk}" if meta.d_qk == meta.d_v else f"({meta.d_qk} + {meta.d_v})"
    product = f"{size} × {meta.n_kv_heads} × {meta.n_layers}"
    return _(
        "<key>keys</key> and <value>values</value>: {product} numbers of {count} bytes",
        product=product,
        count=BITS // 8,
    )


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
        self.unknown = mirrored(SketchBody(Pose((0.0, 0.0, 0.0), 0.0, *kept), theme.glass))
        mark = Label("?", size=MARK, weight="semibold").move_to([0.0, 0.0, 0.0])
        self.mark = keep_upright(mark, self.unknown.pose.corner(0.5, 0.5, 0.0))
        self.outline = mirrored(GlassBox(self.pose, room=0.0))
        self.add(mirrored(self.halves))

    def rise(self, *, start: float = 0.0, end: float = 1.0, **kwargs: Any) -> Animation:
        """Return an animation in which its height changes between shares, 0 to 1."""
        full = [half.pose for half in self.halves]

        def step(alpha: float) -> None:
            share = max(1e-3, (1 - alpha) * start + alpha * end)
            for half, pose in zip(self.halves, full, strict=True):
                half.stand(replace(pose, height=share * self.pose.height))

        return AnimateWith(self, step, **kwargs)
