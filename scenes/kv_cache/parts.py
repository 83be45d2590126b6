"""Parts of pictures that only this scene has: likely words, sets that are made, and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from manim import RIGHT, UP, Animation, Group, VMobject

from extract.trace import Trace, TraceMeta
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.body import Body, turned
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import LINEAR_SHARE, Norm, TensorSource
from filmkit.core.numbers import format_percent
from filmkit.core.quantities import QUANTITIES
from filmkit.core.theme import current_theme
from filmkit.mobjects.cached_numbers import BITS
from filmkit.pictures.bodies import Slab

__all__ = [
    "ROLES",
    "Drum",
    "flat",
    "following_word",
    "kept",
    "key_and_value",
    "outline",
    "plates",
    "to_a_tenth",
    "token_bytes",
    "token_tower",
]

ROLES = "key", "value"
STORED = {"key": "cached_keys", "value": "cached_values"}
"""Names of quantities: all that is kept of each role."""

FLAT = 1e-3  # height of what begins to grow, as a share of its own
ROUND = 360.0  # degrees
SEAM = 0.1  # between two plates, as a share of each
TURNS = 2.0  # of the drum, before the word is in front


def following_word(trace: Trace) -> tuple[str, int | None]:
    """Return the word after the prompt and its rank among the likeliest, from 0.

    The rank is None if it is not one of the likeliest words.
    """
    after = trace.meta.n_prompt
    ids = trace["top_ids"][after - 1].tolist()
    token = trace.meta.token_ids[after]
    return trace.meta.tokens[after], ids.index(token) if token in ids else None


def to_a_tenth(share: float) -> str:
    """Return a share as a percentage with one decimal.

    In the film two shares are 69 % otherwise: that of a word, and that of an attention.
    """
    return format_percent(share, 1)


def token_bytes(meta: TraceMeta) -> int:
    """Return the bytes that a token takes in the cache of the traced model."""
    return (meta.d_qk + meta.d_v) * meta.n_kv_heads * meta.n_layers * BITS // 8


class Drum(Group):
    """Words that may follow, as slabs on a wheel that stands on the floor and turns.

    Parameters
    ----------
    slabs
        The slabs; the first one comes to the front.
    at : (3,)
        Where the wheel stands.
    radius
        Its radius, in scene units.
    turn
        Where it faces, in degrees.
    """

    def __init__(
        self, slabs: Sequence[Slab], at: npt.ArrayLike, radius: float, turn: float
    ) -> None:
        super().__init__(*slabs)
        self.slots = [(number, slab, slab.copy()) for number, slab in enumerate(slabs)]
        self.step = ROUND / len(slabs)
        self.facing = turn
        ahead, self.right = turned(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), turn)
        half = slabs[0].extent[1, 1] / 2 * UP
        self.middle = np.asarray(at, dtype=float) + radius * UP + half
        self.front = self.middle + radius * ahead - half
        self.turn(0.0)

    def turn(self, degrees: float) -> None:
        """Let the first slab be so far from the front, upwards."""
        for slot, slab, made in self.slots:
            angle = np.radians(degrees + slot * self.step)
            # From how it was made, so that it has the same bits on whichever way it came there.
            there = made.copy().put(self.front, turn=self.facing)
            there.rotate(-angle, axis=self.right, about_point=self.middle)
            for member, other in zip(slab.get_family(), there.get_family(), strict=True):
                member.points = other.points

    def run(self, **kwargs: Any) -> Animation:
        """Return an animation in which it turns, ever slower, until its first slab is in front."""
        return AnimateWith(
            self, lambda alpha: self.turn(TURNS * ROUND * (1 - alpha) ** 2), **kwargs
        )

    def let_go(self) -> Self:
        """Leave its first slab where it is, and return the wheel with the others."""
        _slot, slab, _made = self.slots.pop(0)
        self.remove(slab)
        return self

    def go_on(self, **kwargs: Any) -> Animation:
        """Return an animation in which the next slab comes to the front."""
        return AnimateWith(self, lambda alpha: self.turn(-alpha * self.step), **kwargs)


def flat(body: Body, presence: float = 1.0) -> Body:
    """Return what a body on the floor grows from: itself without height, with some presence."""
    low = body.copy().stretch(FLAT, 1, about_point=body.points[0] * [1, 0, 1])
    set_presence(low, presence)
    return low


def outline(corners: npt.ArrayLike, role: str) -> VMobject:
    """Return the edges of a box in which nothing stands, in the colour of a role.

    Parameters
    ----------
    corners : (8, 3)
        Its corners, the numbers of which differ by 4 along the first axis, by 2 and by 1.
    role
        The role.
    """
    theme = current_theme()
    edges = VMobject(stroke_color=theme.role(role), stroke_width=theme.bold)
    places = np.asarray(corners, dtype=float)
    for number, step in product(range(8), (1, 2, 4)):
        if not number & step:
            edges.start_new_path(places[number])
            edges.add_line_to(places[number + step])
    return edges


def plates(size: npt.ArrayLike, colour: str, count: int = 1) -> Body:
    """Return a solid on the floor of plates on each other, such as one for each layer.

    Parameters
    ----------
    size : (3,)
        Its width, height and depth, in scene units.
    colour
        "#RRGGBB".
    count
        How many plates.
    """
    boxes = np.tile(np.array([[-0.5, 0.0, -0.5], [0.5, 1.0, 0.5]]) * size, (count, 1, 1))
    ends = boxes[0, 1, 1] * np.arange(count + 1) / count
    seam = SEAM * ends[1] if count > 1 else 0.0
    boxes[:, 0, 1], boxes[:, 1, 1] = ends[:-1] + seam, ends[1:] - seam
    return Body(boxes, colour, layers=np.arange(count))


def key_and_value(size: npt.ArrayLike, layers: int = 1) -> list[Body]:
    """Return the key and the value of a word as solids of one plate for each layer."""
    return [plates(size, current_theme().role(role), layers) for role in ROLES]


def token_tower(channels: Sequence[int], layers: int, size: Sequence[float]) -> list[Body]:
    """Return all keys and all values of a token as solids that stand side by side.

    Where all stand on the same ground, they are as high as there are numbers.

    Parameters
    ----------
    channels
        How wide a key is, and a value.
    layers
        How many layers keep them, one above the other.
    size
        Width, height and depth of both together, in scene units.
    """
    width, height, depth = size
    bodies, left = [], -width / 2
    for role, share in zip(ROLES, np.array(channels) / sum(channels), strict=True):
        own = share * width
        body = plates((own, height, depth), current_theme().role(role), layers)
        bodies.append(body.shift((left + own / 2) * RIGHT))
        left += own
    return bodies


def kept(trace: Trace, token: int, role: str) -> Heatmap:
    """Return what the model keeps of a token, (layer and set, channel): keys or values."""
    name = STORED[role]
    stored = QUANTITIES[name].of(trace)[token]
    meta = trace.meta
    source = TensorSource(
        quantity=name,
        index=(token, *((0, n) for n in stored.shape)),
        given=(("layers", (0, meta.n_layers - 1)), ("heads", (0, meta.n_heads - 1))),
    )
    norm = Norm(-1.0, 1.0, current_theme().colour_map(role), LINEAR_SHARE)
    return Heatmap(stored, norm, source=source, edged=False)
