"""What only this scene has: words with bars of attention, and a floor of cached tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, VGroup, VMobject

from extract.facts.newer_schemes import V4_POOLING
from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.light import glow
from filmkit.core.theme import current_theme, mixed
from filmkit.mobjects.ribbon import outline_points
from filmkit.world.words import RoomWords

__all__ = ["TokenFloor", "WordBars"]

Array = npt.NDArray[np.float64]

WORDS = 0.5  # share of the height that words may take
BAR, NEAREST = 0.6, 0.8  # width of a bar at most, and as a share of what is between two of them
FOOT, HEAD = 0.2, 0.3  # from a word to its bar, and from a bar to the line above, in scene units
LOST = 0.55  # opacity of what is not read
LATENT = 0.45  # height of a bar that stands for a latent, as a share of the highest bar
TILT = 0.0  # from how far above the words are seen, in degrees

COLUMNS, FEWER = 16, 8  # of tiles in each half, and in frames that are no wider than high
PITCH, TILE, LIT = 0.4, 0.3, 0.5  # from tile to tile, and side of one, and of a lit one
FRAMED = 256  # tokens of each half around whose groups there is a line
NEAR = 8192  # tiles that are drawn one by one; beyond, they are a surface
DARK = 0.3  # how much of their colour tiles have before they are pooled
LENS = 1.15


class WordBars(Group):
    """Words in lines, and over each a bar that is as high as the attention it gets.

    What is read of it is full of light, the rest is grey.

    Parameters
    ----------
    words
        Texts of the tokens.
    rows : (head, word)
        The attention that each head gives to each. The bars show their mean.
    room
        Room in the frame.
    frame
        The frame.

    Attributes
    ----------
    words
        The words; those of the last line stand on the floor.
    outlines, lights
        The whole bars, and what is read of them.
    shot
        From where they fill the room.
    """

    def __init__(self, words: Sequence[str], rows: Array, room: Box, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        self.words, self.rows = RoomWords(words, room, share=WORDS), rows
        high = self.words[0].line_height
        for word, (x, foot) in zip(self.words, self.words.places, strict=True):
            word.on_line(x, foot + high / 2)
        self._places = self.words.places + np.array([0.0, high + FOOT])
        self._width = min(BAR, NEAREST * self.words.nearest)
        self._unit = (self.words.step - high - FOOT - HEAD) / float(rows.mean(axis=0).max())
        bars = VGroup(*(VMobject() for _word in words))
        self.outlines = bars.copy().set_stroke(theme.muted, width=theme.line).set_fill(theme.muted)
        self.lights = bars.set_stroke(width=0.0).set_fill(theme.ink, opacity=1.0)
        self.add(self.outlines, glow(self.lights), self.words)
        self.shot = self.words.shot(frame, tilt=TILT)
        self.stand(np.zeros(len(words)), np.zeros(len(words)))

    def stand(self, whole: Array, read: Array) -> None:
        """Let bars have the height of shares (word,), of which some is read; dim other words."""
        self.heights, theme = np.array([whole, read]), current_theme()
        for bars, shares in ((self.outlines, whole), (self.lights, read)):
            for bar, (x, y), share in zip(bars, self._places, shares, strict=True):
                xs = x + self._width / 2 * np.array([-1, -1, 1, 1, -1])
                ys = y + self._unit * share * np.array([0, 1, 1, 0, 0])
                bar.set_points_as_corners(np.column_stack([xs, ys, np.zeros(5)]))
        for word, meant in zip(self.words, read > 0, strict=True):
            word.set_fill(theme.ink if meant or not whole.any() else theme.muted)
        self.outlines.set_stroke(opacity=float(whole.any())).set_fill(opacity=LOST)

    def show_read(self, kept: Array) -> Animation:
        """Return an animation in which what is read becomes the mean of other rows (head, word).

        Outlines that are not there yet grow to their height.
        """
        starts = self.heights
        ends = np.array([self.rows.mean(axis=0), kept.mean(axis=0)])
        return AnimateWith(self, lambda alpha: self.stand(*((1 - alpha) * starts + alpha * ends)))

    def become_latents(self, read: int) -> None:
        """Let all bars be as high, as latents are, and those of the words that get most be full."""
        shares, colour = self.rows.mean(axis=0), current_theme().latent
        most = shares >= np.sort(shares)[-read]
        equal = np.full(len(shares), LATENT * shares.max())
        self.stand(equal, equal * most)
        self.outlines.set_color(colour)
        self.lights.set_fill(colour)


class TokenFloor(Group):
    """A floor of tiles that runs to the horizon, one for each token in a cache: a sketch.

    The tokens of its halves can be pooled in different ways.

    Parameters
    ----------
    tokens
        How many tiles there are.
    chosen
        How many of them are lit: one at random of each so many.
    room
        What the floor fills of the frame, from its front to the horizon.
    frame
        The frame.

    Attributes
    ----------
    tokens, entries, lights, groups
        All tiles, those that are far away as a surface; what those of each half become; the lit
        ones; and lines around the nearest tiles that become one.
    shot
        From where it is seen.
    """

    def __init__(self, tokens: int, chosen: int, room: Box, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        self._columns = FEWER if frame.upright else COLUMNS
        across, share = len(V4_POOLING) * self._columns, tokens // chosen
        lit = share * np.arange(chosen) + np.random.default_rng(0).integers(share, size=chosen)
        dark = mixed(theme.background, theme.latent, DARK)
        near, far = _tiles(dark), _tiles(dark).set_fill(opacity=TILE / PITCH)
        near.points = _squares(self._middles(np.arange(NEAR)))
        ends = self._middles(np.array([NEAR, NEAR + across - 1, tokens - 1, tokens - across]))
        far.set_points_as_corners(ends[[0, 1, 2, 3, 0]])
        self.tokens, self.entries = (
            VGroup(far, near),
            VGroup(*(_tiles(dark) for _half in V4_POOLING)),
        )
        self.lights = glow(_tiles(theme.ink), 2.0)
        self.lights.points = _squares(self._middles(lit), LIT)
        groups = [self._groups(half, count) for half, count in enumerate(V4_POOLING)]
        self.groups = VMobject(stroke_color=theme.latent, stroke_width=theme.thin)
        self.groups.points = outline_points([corners for group in groups for corners in group])
        self.add(self.tokens, self.entries, self.lights)
        self.pool(0.0)
        self.shot = _to_the_horizon(across * PITCH, room, frame)

    def _middles(self, tokens: npt.NDArray[np.int_]) -> Array:
        """Return the middles (n, 3) of the tiles of some tokens, which are numbered row by row."""
        across = len(V4_POOLING) * self._columns
        rows, columns = np.divmod(tokens, across)
        x = PITCH * (columns - (across - 1) / 2)
        return np.stack([x, np.zeros(len(x)), -PITCH * rows], axis=1)

    def front(self, half: int) -> Array:
        """Return the middle (3,) of the front edge of a half."""
        x = PITCH * self._columns * (half - (len(V4_POOLING) - 1) / 2)
        return np.array([x, 0.0, PITCH / 2])

    def _in_groups(self, half: int, count: int) -> Array:
        """Return the middles (group, token, 3) of the near tiles of a half."""
        tokens = self._middles(np.arange(NEAR)).reshape(-1, len(V4_POOLING), self._columns, 3)
        return tokens[:, half].reshape(-1, count, 3)

    def _groups(self, half: int, count: int) -> list[Array]:
        """Return the corners (4, 3) of the room of each group of the nearest tiles of a half."""
        side = PITCH / 2
        out = np.array([(-side, 0, side), (side, 0, side), (side, 0, -side), (-side, 0, -side)])
        first, last = (self._in_groups(half, count)[: FRAMED // count, n] for n in (0, -1))
        ends = np.stack([first, last, last, first], axis=1)
        ends[..., 2] = np.stack([first, first, last, last], axis=1)[..., 2]
        return list(ends + out)

    def pool(self, alpha: float) -> None:
        """Let tokens go a share of their way, 0 to 1, to the entry that they become."""
        theme = current_theme()
        colour = mixed(theme.background, theme.latent, DARK + alpha * (1 - DARK))
        for half, (count, entries) in enumerate(zip(V4_POOLING, self.entries, strict=True)):
            starts = self._in_groups(half, count)
            ends = starts.mean(axis=1, keepdims=True)
            entries.points = _squares(((1 - alpha) * starts + alpha * ends).reshape(-1, 3))
            entries.set_fill(colour)


def _tiles(colour: str) -> VMobject:
    return VMobject(stroke_width=0.0, fill_color=colour, fill_opacity=1.0)


def _squares(centres: Array, side: float = TILE) -> Array:
    """Return the path (16 n, 3) along tiles on the floor around points (n, 3)."""
    half = side / 2
    corners = np.array([(-half, 0, half), (-half, 0, -half), (half, 0, -half), (half, 0, half)])
    starts = centres[:, None] + corners
    ends = np.roll(starts, -1, axis=1)
    curves = [(1 - share) * starts + share * ends for share in (0, 1 / 3, 2 / 3, 1)]
    return np.stack(curves, axis=2).reshape(-1, 3)


def _to_the_horizon(width: float, room: Box, frame: Frame) -> Shot:
    """Return the shot of a floor whose front edge, at z = 0, fills the foot of a room.

    The horizon is at its top.
    """
    unit = LENS * frame.height
    tilt = np.arctan(room.top / unit)
    below = np.arctan(-room.bottom / unit)
    away = unit * width / room.width / np.cos(below)
    eye = away * np.array([0.0, np.sin(tilt + below), np.cos(tilt + below)])
    return Shot.looking(eye, eye - [0.0, 10 * np.sin(tilt), 10 * np.cos(tilt)], LENS)
