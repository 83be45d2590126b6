"""Parts of pictures that only this scene has: candidates for a word, and slabs of what is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import (
    DOWN,
    ORIGIN,
    PI,
    RIGHT,
    UP,
    Animation,
    VGroup,
    color_to_rgb,
    rotation_matrix,
    rush_into,
    smooth,
    squish_rate_func,
)

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.body import put, turned
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
from filmkit.pictures.texts import own_colour

__all__ = ["HIGH", "LARGER", "WIDE", "Candidates", "Row", "kept_of", "landing", "on_floor"]

TURNS = 12  # candidates that pass before the word
STEP = 1.15  # from one to the next, in heights of a line
BELOW = (1.0, 0.75, 0.62, 0.48)  # how bright they are, at the word's place and below it
SMALLER = 0.82  # by how much a candidate shrinks in a step

ROLES = {"cached_keys": "key", "cached_values": "value"}
WIDE, HIGH, THICK = 0.78, 2.35, 0.14  # of a slab of keys or values, in scene units
FAINT, RIM = 0.12, 0.1  # share of its colour where a number is zero; beside its numbers
TALL, TALLEST = 0.95, 1.7  # height of a word's slab
FEW = 3, 4.5  # lines up to which it has the least height; upright
GAP, APART = 0.25, 3.7  # from word to word, and from line to line
LARGER, PITCH, LEANS = 1.2, 0.17, 6.0  # size, distance and turn of slabs in a memory
FEWEST, COME = (54, 34), 14  # slabs there, at least, wide and upright; and those that come
FALL, COMING = 3.6, 5  # how far they fall, and how many at a time
LYING = (-6, -3.4), (-3, -2), (0.6, -3.5), (4, -2.2), (7, -3.4)
"""Where slabs lie in the end, behind the words."""

LANDS, STANDS = squish_rate_func(rush_into, 0, 0.5), squish_rate_func(smooth, 0.5, 1)


class Candidates(VGroup):
    """Words that could stand at a place, as a drum: they pass it and sink below it.

    Parameters
    ----------
    texts
        The likeliest first; it comes last, and some that come before it stay to be read.
    at
        The label in whose place they pass, which is drawn elsewhere.
    width
        Room to the right of its left end, in scene units.
    """

    def __init__(self, texts: Sequence[str], at: TextLine, width: float) -> None:
        passing = ([*map(printable, texts)][::-1] * TURNS)[-TURNS:]
        super().__init__(*(Label(text, size=at.size).shrink_to(width) for text in passing))
        self.place, self.line = at.get_left(), at.line_height
        self.letters = [label.points - label.get_left() for label in self]
        self.turn(0.0)

    def turn(self, share: float) -> None:
        """Let a share of them have come to the place; above 1 the last one sinks too."""
        for number, (label, letters) in enumerate(zip(self, self.letters, strict=True)):
            below = share * (TURNS - 1) - number
            seen = np.interp(below, (-0.5, *range(len(BELOW))), (0, *BELOW), right=0.0)
            size = SMALLER ** max(0.0, below)
            # Steps get smaller as the words do.
            down = min(below, (1 - size) / (1 - SMALLER))
            set_presence(label, float(seen))
            label.points = letters * size + self.place + STEP * self.line * down * DOWN


class Kept(Slab):
    """A slab of all keys or values that a token adds to the cache.

    Both of its faces have a row for each head of each layer; the brighter, the larger a number.

    Parameters
    ----------
    cells
        The numbers, which are moved there.
    role, told
        "key" or "value", and what it is in words.
    """

    def __init__(self, cells: Heatmap, role: str, told: str) -> None:
        super().__init__("", role=role, width=WIDE, height=HIGH, thickness=THICK)
        self.told, self.is_light, self.colours[0] = told, True, self.colours[1]
        self.lay(cells.place(Box(0, 0, WIDE - RIM, HIGH - RIM)))
        put(cells.copy(), self, (0, HIGH / 2, -THICK / 2), (-1, 0, 0), (0, 1, 0))
        self.hue = current_theme().role(role)
        self.own = [member.points.copy() for member in mirrored(self).get_family()]

    def stand(self, at: npt.ArrayLike, turn: float = 0.0, size: float = 1.0) -> Kept:
        """Put it somewhere, as :meth:`put` does, with the same bits whatever it did before."""
        for member, points in zip(self.get_family(), self.own, strict=True):
            member.points = turned(points * size, turn) + np.asarray(at)
        return self


def kept_of(view: LayerView) -> list[Kept]:
    """Return two slabs for each token of a layer: its keys and its values, of all layers."""
    meta, theme = view.trace.meta, current_theme()
    given = (("layers", (0, meta.n_layers - 1)), ("heads", (0, meta.n_heads - 1)))
    stored = {name: QUANTITIES[name].of(view.trace) for name in ROLES}
    slabs = []
    for position, word in enumerate(view.words, view.first):
        for name, role in ROLES.items():
            numbers, hue = stored[name][position], theme.role(role)
            colours = "/".join((hue, mixed(theme.background, hue, FAINT), hue))
            units, channels = numbers.shape
            index = position, (0, units), (0, channels)
            source = TensorSource(quantity=name, index=index, given=given)
            norm = Norm(-1.0, 1.0, colours, LINEAR_SHARE)
            cells = Heatmap(numbers, norm, source=source, edged=False)
            slabs.append(Kept(cells, role, f"{printable(word)}: {role}"))
    return slabs


def on_floor(tokens: Sequence[str], words: Sequence[TextLine], *, upright: bool) -> list[Slab]:
    """Return a slab for each token, which stand on the floor in the lines that words have.

    Parameters
    ----------
    tokens, words
        Texts of the tokens, and their labels, as they are written.
    upright
        Whether the frame is no wider than high. In many lines words are larger.
    """
    at = [round(float(word.points[-1, 1]), 3) for word in words]
    lines: dict[float, list[Slab]] = {line: [] for line in at}
    tall = min(TALLEST, TALL * max(1.0, len(lines) / FEW[upright]))
    ground = 255 * np.array(color_to_rgb(current_theme().background))
    for line, token in zip(at, tokens, strict=True):
        slab = mirrored(Slab(token, height=tall, colour=own_colour(token)))
        if (label := slab.word) is not None:  # an empty token has none
            room = 0.94 * slab.width  # of the slab as it is made, before its word grows
            label.scale(1.4).shrink_to(room)
        # Nearer to the background, so that coloured words can be read.
        slab.colours[0] += 0.7 * (ground - slab.colours[0])
        slab.is_light = current_theme().lit
        lines[line].append(slab)
    for number, slabs in enumerate(lines.values()):
        ends = np.cumsum([max(np.ptp(slab.extent[:, 0]), 2 * WIDE) + GAP for slab in slabs])
        for slab, start, end in zip(slabs, (0.0, *ends), ends, strict=False):
            slab.put(((start + end - ends[-1]) / 2, 0, APART * number))
    return [slab for slabs in lines.values() for slab in slabs]


class Row:
    """Slabs in a memory, side by side: those of a sentence, and others like them.

    Parameters
    ----------
    kept
        Those of the sentence.
    upright
        Whether the frame is no wider than high, for which the row is shorter.

    Attributes
    ----------
    others, last
        Those that come later, from left to right, and one for which there is no place.
    half
        Half of its length, in scene units.
    """

    def __init__(self, kept: Sequence[Kept], *, upright: bool) -> None:
        count = max(FEWEST[upright], len(kept) + COME)
        self.kept, self.starts = kept, [slab.points[0].copy() for slab in kept]
        self.others = [kept[i % len(kept)].copy() for i in range(len(kept), count)]
        self.last, self.half = kept[1].copy(), count * PITCH / 2
        self.homes = [(i + 0.5) * PITCH * RIGHT - self.half * RIGHT for i in range(count)]

    def gather(self, alpha: float) -> None:
        """Let those of the sentence turn and go to the left end."""
        for slab, start, home in zip(self.kept, self.starts, self.homes, strict=False):
            up = np.sin(np.pi * alpha) * UP
            slab.stand(start + (home - start) * alpha + up, 90 * alpha, 1 + (LARGER - 1) * alpha)

    def fill(self, quick: float, slow: float) -> None:
        """Let a share of the others have fallen into their places, and of the last two of them."""
        come = quick * (len(self.others) - 3 + COMING) + 2 * slow
        homes = self.homes[len(self.kept) :]
        for number, (slab, home) in enumerate(zip(self.others, homes, strict=True)):
            done = float(np.clip((come - number) / COMING, 0, 1))
            slab.stand(home + FALL * (1 - done**2) * UP, 90, LARGER)
            set_presence(slab, min(1.0, 3 * done))

    def jam(self, alpha: float) -> None:
        """Let one more fall, for which there is no place."""
        way = PITCH * RIGHT + (0.5 + FALL * (1 - alpha)) * UP
        self.last.stand(self.homes[-1] + way, 90 - LEANS * alpha, LARGER)

    def lie(self) -> list[Kept]:
        """Let some of them lie on the floor, behind the words, and return these."""
        for number, (slab, (x, z)) in enumerate(zip(self.others, LYING, strict=False)):
            slab.stand((0, 0, 0), 0, LARGER).rotate(-PI / 2, RIGHT, about_point=ORIGIN)
            slab.rotate(2.4 * number, UP, about_point=ORIGIN)
            slab.shift((x, LARGER * THICK / 2, z))
        return self.others[: len(LYING)]


def landing(word: TextLine, slab: Slab) -> Animation:
    """Return the animation in which a word falls to the floor, and stands up on its slab.

    Parameters
    ----------
    word
        The word, with as many points as that on the slab.
    slab
        The slab, where it will stand.
    """
    foot, start = slab.points[0].copy(), word.points.copy()
    parts = [(member, member.points - foot) for member in slab.get_family()]
    label = word if slab.word is None else slab.word  # an empty token stands up without a word

    def step(alpha: float) -> None:
        fallen, stood = LANDS(alpha), STANDS(alpha)
        turn = rotation_matrix((stood - 1) * PI / 2, RIGHT)
        for member, points in parts:
            member.points = points @ turn.T + foot
        set_presence(slab, float(fallen >= 1))
        set_presence(word, float(fallen < 1))
        word.points = (1 - fallen) * start + fallen * label.points

    return AnimateWith(slab, step, introducer=True)
