"""What only this scene has: words with bars of attention, and a floor of cached tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Polygon, VGroup, VMobject

from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme, mixed
from filmkit.mobjects.sentence import Sentence
from filmkit.world.block import shot_of

__all__ = ["TokenFloor", "WordBars"]

Array = npt.NDArray[np.float64]

SIZE = 0.075  # of the words, at most
WORDS = 0.5  # share of the height that words may take
BAR, NEAREST = 0.6, 0.8  # width of a bar at most, and as a share of what is between two of them
FOOT, HEAD = 0.12, 0.3  # from a word to its bar, and from a bar to the line above, in scene units
LATENT = 0.25  # height of a bar that stands for a latent, as a share of the attention
QUIET = 0.55  # how much of the ink words have that are not read
TILT = 2.0  # from how far above the words are seen, in degrees

COLUMNS, GROUPS = 16, (4, 128)  # tokens side by side in each half of the floor; pooled in it
PITCH, TILE, APART = 0.4, 0.3, 1.6  # from tile to tile, side of one, and between parted halves
NEAR = 120  # rows whose tiles are drawn one by one; beyond, they are a surface
DARK, LIT = 0.3, 1.0  # how much of their colour tiles have, before and after they are pooled
LENS = 1.15


class WordBars(Group):
    """Words in lines, and over each a bar that is as high as the attention it gets.

    What is read of it is full of light, the rest an outline.

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
        sentence = Sentence(words, Box(0, 0, room.width, WORDS * room.height), size=SIZE)
        self.words, self.rows = sentence.words, rows
        high, step = self.words[0].line_height, room.height / len(set(sentence.lines))
        tops = sorted(set(sentence.lines))
        middles = [float((word.points[-12] + word.points[-1])[1] / 2) for word in self.words]
        places = []
        for word, y in zip(self.words, middles, strict=True):
            foot = step * int(np.argmin(np.abs(np.subtract(tops, y))))
            word.on_line(word.get_center()[0], foot + high / 2)
            places.append((float(word.get_center()[0]), foot + high + FOOT))
        self._places = np.array(places)
        beside = np.diff(self._places, axis=0)
        gaps = beside[beside[:, 1] == 0][:, 0]
        self._width = min(BAR, NEAREST * float(gaps.min(initial=BAR / NEAREST)))
        self._unit = (step - high - FOOT - HEAD) / float(rows.mean(axis=0).max())
        outline = {"stroke_color": theme.muted, "stroke_width": theme.line}
        light = {"stroke_width": 0.0, "fill_color": theme.ink, "fill_opacity": 1.0}
        self.outlines, self.lights = (
            VGroup(*(Polygon(*np.zeros((4, 3)), **look) for _word in words))
            for look in (outline, light)
        )
        self.add(mirrored(Group(self.outlines, glow(self.lights), self.words)))
        left, right = self.words.get_left()[0], self.words.get_right()[0]
        corners = [(left, 0, 0), (right, 0, 0), (left, step * len(tops), 0)]
        self.shot = shot_of(corners, frame, into=room, turn=0.0, tilt=TILT)
        self.stand(np.zeros(len(words)), np.zeros(len(words)))

    def stand(self, whole: Array, read: Array) -> None:
        """Let bars have the height of shares (word,), of which some is read; dim other words."""
        self.read, theme = read, current_theme()
        quiet = mixed(theme.background, theme.ink, QUIET)
        for bars, shares in ((self.outlines, whole), (self.lights, read)):
            for bar, (x, y), share in zip(bars, self._places, shares, strict=True):
                left, right, top = x - self._width / 2, x + self._width / 2, y + self._unit * share
                bar.set_points_as_corners(
                    [(left, y, 0), (left, top, 0), (right, top, 0), (right, y, 0), (left, y, 0)]
                )
        for word, meant in zip(self.words, read > 0, strict=True):
            word.set_fill(theme.ink if meant or not whole.any() else quiet)
        self.outlines.set_stroke(opacity=float(whole.any()))

    def count_up(self, kept: Array, *, first: bool = False) -> Animation:
        """Return an animation in which the heads fill the bars one after another.

        Parameters
        ----------
        kept : (head, word)
            What each of them reads.
        first
            Whether the outlines grow with it.
        """
        whole, heads = self.rows.mean(axis=0), len(kept)
        sums = np.cumsum(np.vstack([np.zeros(kept.shape[1]), kept]), axis=0) / heads

        def step(alpha: float) -> None:
            read = sums[round(alpha * heads)]
            self.stand(read if first else whole, read)

        return AnimateWith(self, step)

    def show_read(self, kept: Array) -> Animation:
        """Return an animation in which what is read of the bars becomes the mean of other rows."""
        before, whole, after = self.read, self.rows.mean(axis=0), kept.mean(axis=0)

        def step(alpha: float) -> None:
            self.stand(whole, (1 - alpha) * before + alpha * after)

        return AnimateWith(self, step)

    def become_latents(self, chosen: int) -> None:
        """Let all bars be as high, as latents are, and be full over the words that get most."""
        shares = self.rows.mean(axis=0)
        most = np.argsort(-shares, kind="stable")[:chosen]
        whole = np.full(len(shares), LATENT)
        self.stand(whole, np.where(np.isin(np.arange(len(shares)), most), whole, 0.0))
        self.outlines.set_stroke(current_theme().latent)
        self.lights.set_fill(current_theme().latent)


class TokenFloor(Group):
    """A floor of tiles that runs to the horizon, one for each token in a cache: a sketch.

    Its halves can part, and their tokens be pooled in different ways.

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
    tokens, entries, lights
        All tiles, those that are far away as a surface; what they become, and the lit ones.
    shot
        From where it is seen.
    """

    def __init__(self, tokens: int, chosen: int, room: Box, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        dark = mixed(theme.background, theme.latent, DARK)
        across, share = len(GROUPS) * COLUMNS, tokens // chosen
        self._end = -PITCH * tokens / across
        self.tokens, self.entries = VGroup(), VGroup()
        for _half in GROUPS:
            far = _tiles(dark).set_fill(opacity=(TILE / PITCH) ** 2)
            self.tokens.add(VGroup(far, _tiles(dark)))
            self.entries.add(_tiles(theme.latent))
        lit = share * np.arange(chosen) + np.random.default_rng(0).integers(share, size=chosen)
        rows, columns = np.divmod(lit, across)
        self.lights = glow(_tiles(theme.ink), 2.0)
        self.lights.points = _squares(_middles(columns // COLUMNS, rows, columns % COLUMNS))
        self.add(self.tokens, self.entries, self.lights)
        self.pool(0.0)
        width = across * PITCH + APART
        self.shot = _to_the_horizon(width, room, frame)

    def front(self, half: int) -> Array:
        """Return the middle (3,) of the front edge of a half, when they have parted."""
        return _middles(half, -0.5, (COLUMNS - 1) / 2, APART)

    def pool(self, alpha: float) -> None:
        """Let the halves part, and tokens go a share of their way, 0 to 1, to what they become."""
        theme, gap = current_theme(), alpha * APART
        rows, columns = np.divmod(np.arange(NEAR * COLUMNS), COLUMNS)
        for half, count in enumerate(GROUPS):
            (far, near), entries = self.tokens[half], self.entries[half]
            at = _middles(half, rows, columns, gap)
            ends = at.reshape(-1, count, 3).mean(axis=1).repeat(count, axis=0)
            near.points = _squares(at)
            entries.points = _squares((1 - alpha) * at + alpha * ends)
            entries.set_fill(mixed(theme.background, theme.latent, DARK + alpha * (LIT - DARK)))
            corners = [_middles(half, NEAR - 0.5, x, gap) for x in (-0.5, COLUMNS - 0.5)]
            corners += [corner * [1, 1, 0] + [0, 0, self._end] for corner in corners[::-1]]
            far.set_points_as_corners([*corners, corners[0]])


def _middles(
    half: npt.ArrayLike, row: npt.ArrayLike, column: npt.ArrayLike, gap: float = 0.0
) -> Array:
    """Return the middles (..., 3) of tiles in a half of the floor."""
    middle = (np.asarray(half) - (len(GROUPS) - 1) / 2) * (COLUMNS * PITCH + gap)
    x = middle + (np.asarray(column) - (COLUMNS - 1) / 2) * PITCH
    z = -PITCH * np.asarray(row)
    return np.stack(np.broadcast_arrays(x, np.zeros_like(z), z), axis=-1)


def _tiles(colour: str) -> VMobject:
    return VMobject(stroke_width=0.0, fill_color=colour, fill_opacity=1.0)


def _squares(centres: Array) -> Array:
    """Return the path (16 n, 3) along tiles on the floor around points (n, 3)."""
    half = TILE / 2
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
