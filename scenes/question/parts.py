"""Parts of pictures that only this scene has: candidates for a word, and slabs of what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, RIGHT, Mobject, VGroup, rotation_matrix, rush_into, smooth, squish_rate_func

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.body import put
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import mirrored
from filmkit.core.norm import LINEAR_SHARE, Norm, TensorSource
from filmkit.core.quantities import QUANTITIES
from filmkit.core.text import Label, TextLine
from filmkit.core.theme import current_theme, mixed
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView
from filmkit.pictures.bodies import Slab

__all__ = ["WIDE", "Candidates", "Landing", "kept_of"]

Array = npt.NDArray[np.float64]

TURNS = 12  # candidates that pass before the word
STEP = 1.15  # from one to the next, in heights of a line
BELOW = (1.0, 0.75, 0.62, 0.48)  # how bright they are, at the word's place and below it
SMALLER = 0.82  # by how much a candidate shrinks in a step

ROLES = {"cached_keys": "key", "cached_values": "value"}
WIDE, HIGH, THICK = 0.8, 1.9, 0.15  # of a slab of keys or values, in scene units
BRIGHT = 0.72  # light of a slab's sides, as a share of its edge's
FAINT = 0.12  # share of the colour where a number is zero
LANDS, STANDS = squish_rate_func(rush_into, 0, 0.5), squish_rate_func(smooth, 0.5, 1)


class Candidates(VGroup):
    """The model's likeliest words as a drum: they pass the word's place and sink below it.

    Parameters
    ----------
    texts
        The likeliest first.
    word
        The word that follows; it is drawn elsewhere, and only its place is kept here.
    at
        The label of that word, in its place.
    width
        Room to the right of its left end, in scene units.
    """

    def __init__(self, texts: Sequence[str], word: str, at: TextLine, width: float) -> None:
        super().__init__()
        others = [printable(text) for text in texts if text.strip() != word.strip()]
        # Those that pass last are the likeliest, and stay to be read.
        passing = [others[::-1][number % len(others)] for number in range(-TURNS, 0)]
        self.left, self.line = float(at.get_left()[0]), at.line_height
        self.y = float(at.points[-12, 1] + at.points[-1, 1]) / 2
        for text in passing:
            self.add(Label(text, size=at.size).shrink_to(width))
        self._letters = [label.points - label.get_left() for label in self]
        self.turn(0.0)

    def turn(self, place: float) -> Candidates:
        """Let as many of them have passed the word's place; it may be a fraction."""
        for number, (label, letters) in enumerate(zip(self, self._letters, strict=True)):
            below = place - number
            share = float(np.interp(below, range(len(BELOW)), BELOW, left=0.0, right=0.0))
            set_presence(label, share if below >= 0 else max(0.0, 1 + 2 * below))
            size = SMALLER ** max(0.0, below)
            # Steps get smaller as the words do.
            down = min(below, (1 - size) / (1 - SMALLER))
            label.points = letters * size + [self.left, self.y - STEP * self.line * down, 0.0]
        return self

    def run(self, **kwargs: Any) -> Animation:
        """Return an animation in which they pass, ever slower, until the last is at the place."""

        def step(alpha: float) -> None:
            self.turn((TURNS - 1) * (1 - (1 - alpha) ** 2))

        return AnimateWith(self, step, **kwargs)

    def end(self, **kwargs: Any) -> Animation:
        """Return an animation in which the last of them makes room for the word."""
        return AnimateWith(self, lambda alpha: self.turn(TURNS - 1 + alpha), **kwargs)


def kept_of(view: LayerView) -> list[Slab]:
    """Return a slab of the keys and one of the values of each token, of all heads and layers.

    Their faces have a row for each head of each layer; the brighter, the larger a number.
    """
    meta, theme = view.trace.meta, current_theme()
    given = (("layers", (0, meta.n_layers - 1)), ("heads", (0, meta.n_heads - 1)))
    stored = {name: QUANTITIES[name].of(view.trace) for name in ROLES}
    slabs = []
    for position, word in enumerate(view.words, view.first):
        for name, role in ROLES.items():
            numbers, hue = stored[name][position], theme.role(role)
            colours = "/".join((hue, mixed(theme.background, hue, FAINT), hue))
            places = (position, *((0, count) for count in numbers.shape))
            cells = Heatmap(
                numbers,
                Norm(-1.0, 1.0, colours, LINEAR_SHARE),
                source=TensorSource(quantity=name, index=places, given=given),
                edged=False,
            )
            slab = Slab("", role=role, width=WIDE, height=HIGH, thickness=THICK)
            slab.told = f"{printable(word)}: {role}"
            slab.lay(cells.place(Box(0, 0, WIDE, HIGH)))
            put(cells.copy(), slab, (0, HIGH / 2, -THICK / 2), (-1, 0, 0), (0, 1, 0))
            slab.is_light, slab.colours[0] = True, BRIGHT * slab.colours[1]
            slabs.append(mirrored(slab))
    return slabs


class Landing(AnimateWith):
    """Let a word fall to the floor, and there stand up as the slab that has it on its face.

    Parameters
    ----------
    word
        The word, with as many points as that on the slab.
    slab
        The slab, where it will stand.
    """

    def __init__(self, word: Mobject, slab: Slab, **kwargs: Any) -> None:
        super().__init__(slab, self.put, introducer=True, **kwargs)
        self.word, self.foot = word, slab.points[0].copy()
        self.parts = [(member, member.points.copy()) for member in slab.get_family()]
        self.start = word.points.copy()

    def put(self, alpha: float) -> None:
        """Let a share of both be done."""
        fallen, stood = LANDS(alpha), STANDS(alpha)
        turn = rotation_matrix((stood - 1) * np.pi / 2, RIGHT)
        for member, points in self.parts:
            member.points = (points - self.foot) @ turn.T + self.foot
        set_presence(self.mobject, float(fallen >= 1))
        set_presence(self.word, float(fallen < 1))
        self.word.points = (1 - fallen) * self.start + fallen * self.mobject.word.points
