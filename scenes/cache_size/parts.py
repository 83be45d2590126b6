"""Bodies of this scene: a token, two GPUs, heads that read a number, and what a saving consists of.

All are sketches to scale, as none of these models was traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import OUT, RIGHT, UP, Animation, Group, Line, Polygon, VGroup, VMobject, smooth

from extract.facts.architectures import Architecture, kv_cache_elements, latent_size
from extract.facts.v2_report import v2_cache_claim
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.geometry import Box, Frame
from filmkit.core.light import glow
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import filled, outline_points
from filmkit.world.block import SIDES, Pose, Solid
from filmkit.world.box import GlassBox, SketchBody
from filmkit.world.words import RoomWords

__all__ = ["CARD", "Gpu", "Readers", "Row", "Shrinking", "Token", "filling", "opening"]

Array = npt.NDArray[np.float64]

KEY = 3.0  # width of a large model's keys, in scene units
COLUMNS = 19  # latents side by side in the room of a token
ASIDE = 1.1  # from a token to the latent beside it
FLIGHT, HOP = 0.25, 0.7  # share of the time that a latent is in flight, and how high it flies
CUBE, PAIRS = 2.0, 9  # side of a GPU's memory, and how many tokens are drawn in it
TICK, WIDE = 0.3, 0.09  # how far a mark on the floor goes beyond the latents, and its width
CARD, ACROSS = (3.4, 1.632), 25  # size of a card of lamps, and how many are side by side
FOOT, BEFORE = 0.55, 0.6  # how high a card hangs, and how far the number is in front of it
LAMP, OFF = 0.6, 0.25  # side of a lamp as a share of its room, and how bright it is without light
NUMBER, BEAM = (0.36, 0.36, 0.36), 0.3  # size of a number, and opacity of its light
TURNED = 30.0  # how far it is turned, in degrees: so its right side is seen from anywhere
UNSAVED = 4.4, 2.4, 2.6  # a token that is not yet saved: numbers of a layer, their bits, layers
FAR, END = 0.22, 0.1  # from a solid to the line that says how long it is, and half of its ends
WORDS = 0.3  # share of the height that words of a row may take
BODY, NEAREST, DEEP = 0.9, 0.8, 0.12  # width of a latent at most, in the room of a word, and depth
TILT = 4.0  # from how far above a row is seen, in degrees
OVER, HEAD = 0.1, 0.3  # from a latent to its word, and from that to the line above
LIT, DIM = 1.4, 0.7  # how much light latents give, and keys and values


def slices(whole: Pose, count: int) -> list[Pose]:
    """Return where equal slices stand, side by side, of a solid whose face looks to the right."""
    x, y, z = whole.at
    thick = whole.thick / count
    left = x - (whole.thick - thick) / 2
    return [replace(whole, at=(left + n * thick, y, z), thick=thick) for n in range(count)]


def filling(whole: Pose, count: int) -> list[Pose]:
    """Return where equal bodies stand that fill a solid from its foot, in rows.

    Parameters
    ----------
    whole
        The solid.
    count
        How many they are, a multiple of :data:`COLUMNS`.
    """
    rows = count // COLUMNS
    height = whole.height / rows
    feet = [replace(whole, at=(0.0, row * height, 0.0), height=height) for row in range(rows)]
    return [pose for foot in feet for pose in slices(foot, COLUMNS)]


def keys_and_values(whole: Pose, tokens: int = 1) -> Group:
    """Return sketches of the keys and values of tokens, which fill a solid side by side."""
    colours = current_theme().key, current_theme().value
    poses = slices(whole, 2 * tokens)
    return glow(Group(*(SketchBody(pose, colours[n % 2]) for n, pose in enumerate(poses))), DIM)


def opening(halves: Group) -> Animation:
    """Return an animation in which keys and values vanish but for the edges around both."""

    def step(alpha: float) -> None:
        set_presence(halves[0].faces[1], 1 - alpha)
        for half in halves:
            half.faces.set_fill(opacity=1 - alpha)
            set_presence(half.hatching, 1 - alpha)

    return AnimateWith(halves, step)


class Token(Solid):
    """What a large model keeps of a token in two ways: up are heads, back layers.

    Attributes
    ----------
    halves
        Keys and values of every head.
    one
        A latent beside them.
    latents
        As many as have room in their place; see :meth:`lay`.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        number, latent = KEY / arch.d_head, current_theme().latent
        size = 2 * KEY, number * arch.n_heads, number * arch.n_layers
        self.pose = Pose((0.0, 0.0, 0.0), 0.0, *size)
        self.halves = keys_and_values(self.pose)
        times = kv_cache_elements(arch, "mha") / kv_cache_elements(arch)
        poses = filling(self.pose, round(times))
        self.latents = glow(Group(*(SketchBody(pose, latent) for pose in poses)), LIT)
        x = KEY + ASIDE + poses[0].thick / 2
        self.one = glow(SketchBody(replace(poses[0], at=(x, 0.0, 0.0)), latent), LIT)

    @property
    def corners(self) -> Array:
        return np.concatenate([self.pose.corners, self.one.corners])

    def lay(self, **kwargs: Any) -> Animation:
        """Return an animation in which copies of the latent fly into the room, one by one."""
        start, ends = self.one.pose, [latent.pose for latent in self.latents]
        begun = np.linspace(0, 1 - FLIGHT, len(ends))

        def step(alpha: float) -> None:
            for latent, end, begin in zip(self.latents, ends, begun, strict=True):
                share = smooth(float(np.clip((alpha - begin) / FLIGHT, 0, 1)))
                pose = start.mix(end, share)
                x, y, z = pose.at
                latent.stand(replace(pose, at=(x, y + HOP * np.sin(np.pi * share), z)))
                set_presence(latent, float(share > 0))

        return AnimateWith(self.latents, step, **kwargs)


class Gpu(Solid):
    """The memory of a GPU, and what it is full of.

    Parameters
    ----------
    x
        Where it stands.
    times
        How many times as many latents as keys and values have room in it.

    Attributes
    ----------
    glass
        The memory.
    slabs
        The keys and values of some tokens.
    latents
        Latents instead, a body of the same volume.
    ticks
        Marks on the floor beside them, one for each length of the memory.
    """

    def __init__(self, x: float, times: float = 1.0) -> None:
        super().__init__()
        theme, self.times = current_theme(), times
        self.pose = Pose((x, 0.0, 0.0), 0.0, CUBE, CUBE, CUBE)
        self.glass, self.slabs = GlassBox(self.pose), keys_and_values(self.pose, PAIRS)
        self.latents = glow(SketchBody(self._drawn(0.0), theme.latent), LIT)
        self.ticks = VMobject(stroke_width=0.0, fill_color=theme.muted, fill_opacity=1.0)

    def _drawn(self, alpha: float) -> Pose:
        """Return where the latents are, drawn out to a share of their length, 0 to 1."""
        length, side = CUBE * self.times**alpha, CUBE * self.times ** (-alpha / 2)
        return Pose((self.pose.at[0], 0.0, (CUBE - length) / 2), 90.0, length, side, side)

    @property
    def near(self) -> Pose:
        """Where the near end of the latents is: a cube."""
        pose = self.latents.pose
        x, y, z = pose.corner(1, 0, 0.5)
        return replace(pose, at=(x, y, z - pose.height / 2), thick=pose.height)

    def draw_out(self, **kwargs: Any) -> Animation:
        """Return an animation in which the latents become as long as they are many."""
        edges = np.array([(0, -TICK, 0), (1, TICK, 0), (1, TICK, WIDE), (0, -TICK, WIDE)])

        def step(alpha: float) -> None:
            pose = self._drawn(alpha)
            self.latents.stand(pose)
            foot = [pose.corner(1, 0, u) + np.array([out, 0, -far]) for u, out, far in edges]
            marks = CUBE * np.arange(int(pose.thick / CUBE))
            self.ticks.points = outline_points([np.array(foot) - [0, 0, back] for back in marks])

        return AnimateWith(Group(self.latents, self.ticks), step, **kwargs)


class Readers(Solid):
    """A card of lamps, and a number before it: those burn that the number keeps busy.

    Each lamp is a multiply-add that a chip could make while it reads the number.

    Parameters
    ----------
    at
        Where the card stands: to the right, and up.
    lamps
        How many there are.
    burning
        How many of them burn, from the top left on.
    role
        Whose colour the number has, as :meth:`filmkit.core.theme.Theme.role` names it.

    Attributes
    ----------
    number
        The number.
    lamps
        The corners of all lamps, (4, 3) each.
    lit
        The lamps that burn.
    """

    def __init__(self, at: tuple[float, float], lamps: int, burning: int, role: str) -> None:
        super().__init__()
        theme, (x, y), (width, height) = current_theme(), at, CARD
        colour, self.burning = theme.role(role), burning
        self.pose = Pose((x, y + FOOT, 0.0), 90.0, 0.02, height, width)
        corner = self.pose.corner
        card = Polygon(*(corner(*place) for place in SIDES[1][:4]))
        card.set_fill(theme.card, opacity=1.0).set_stroke(theme.faint, width=theme.line)
        self.lamps = [self._lamp(place, -(-lamps // ACROSS)) for place in range(lamps)]
        off = VMobject(stroke_width=0.0, fill_color=theme.ink, fill_opacity=OFF)
        off.points = outline_points(self.lamps)
        self.lit = glow(VMobject(stroke_width=0.0, fill_color=theme.ink, fill_opacity=1.0))
        self.number = glow(SketchBody(Pose((x, y, BEFORE), TURNED, *NUMBER), colour), DIM)
        ends = corner(1, 0, 0), corner(1, 0, 1), self.number.pose.corner(0.5, 1, 0.5)
        self.add(card, off, self.lit, glow(filled([np.array(ends)], colour, BEAM)))

    def _lamp(self, place: int, rows: int) -> Array:
        """Return the corners (4, 3) of a lamp."""
        row, column = divmod(place, ACROSS)
        signs = (-1, 1), (1, 1), (1, -1), (-1, -1)
        return np.array(
            [
                self.pose.corner(
                    1.02,
                    1 - (row + (1 - b * LAMP) / 2) / rows,
                    (column + (1 + a * LAMP) / 2) / ACROSS,
                )
                for a, b in signs
            ]
        )

    def read(self, **kwargs: Any) -> Animation:
        """Return an animation in which the lamps that the number keeps busy begin to burn."""

        def step(alpha: float) -> None:
            burning = self.lamps[: max(1, round(alpha * self.burning))]
            self.lit.points = outline_points(burning)

        return AnimateWith(self.lit, step, **kwargs)


class Shrinking(Solid):
    """A token of one model that becomes one of another: a latent, fewer layers, fewer bits.

    Across are the numbers of a layer, back the layers, up the bits of a number.

    Attributes
    ----------
    halves
        Its keys and values.
    latent
        What is left of them.
    poses
        The room that is taken: before, and after each of the changes.
    lengths
        For each change a line along the edge that it makes shorter, and on it what is left.
    """

    def __init__(self, old: Architecture, new: Architecture) -> None:
        super().__init__()
        self.pose = Pose((0.0, 0.0, 0.0), 0.0, *UNSAVED)
        thick, height, depth = UNSAVED
        thick *= sum(latent_size(new)) / (2 * old.n_kv_heads * old.d_head)
        latent = replace(self.pose, thick=thick)
        layers = replace(latent, depth=depth * new.n_layers / old.n_layers)
        bits = replace(layers, height=height / v2_cache_claim().times_fewer_bits)
        self.poses = [self.pose, latent, layers, bits]
        self.halves = keys_and_values(self.pose)
        self.latent = glow(SketchBody(self.pose, current_theme().latent), LIT)
        edges = ((0, 1, 1), (1, 1, 1)), ((0, 1, 0), (0, 1, 1)), ((0, 0, 0), (0, 1, 0))
        away = np.array([(0, FAR, 0), (-FAR, FAR / 2, 0), (-FAR, 0, 0)])
        left = [(1 / self.factors[n] * np.array([-1, 1]) + 1) / 2 for n in (0, 1)]
        left.append(np.array([0, 1 / self.factors[2]]))
        self.lengths = [
            self._length(np.array([self.pose.corner(*end) for end in edge]) + out, shares)
            for edge, out, shares in zip(edges, away, left, strict=True)
        ]

    @staticmethod
    def _length(ends: Array, shares: Array) -> VGroup:
        """Return a line between two points with ends, and what is between two shares of it."""
        theme, (start, end) = current_theme(), ends
        line = VMobject(stroke_color=theme.muted, stroke_width=theme.line)
        across = END * (UP if end[1] == start[1] else RIGHT)
        for one, other in ((start, end), *((at - across, at + across) for at in ends)):
            line.start_new_path(one).add_line_to(other)
        kept = (start + share * (end - start) for share in shares)
        return VGroup(line, glow(Line(*kept, color=theme.latent, stroke_width=2 * theme.bold)))

    @property
    def factors(self) -> list[float]:
        """How many times smaller each change makes it."""
        volumes = [float(np.prod(pose.size)) for pose in self.poses]
        return [before / after for before, after in pairwise(volumes)]


class Row(Group):
    """The latents of some tokens, side by side, and over each its word.

    Parameters
    ----------
    words
        Texts of the tokens.
    room
        Room in the frame.
    frame
        The frame.

    Attributes
    ----------
    words, latents
        The words, and what is kept of each.
    shot
        From where they fill the room.
    """

    def __init__(self, words: Sequence[str], room: Box, frame: Frame) -> None:
        super().__init__()
        self.words = RoomWords(words, room, share=WORDS)
        line, thick = self.words[0].line_height, min(BODY, NEAREST * self.words.nearest)
        tall = self.words.step - line - OVER - HEAD
        self.latents = Group()
        for word, (x, foot) in zip(self.words, self.words.places, strict=True):
            pose = Pose((x, foot, 0.0), 0.0, thick, tall, DEEP)
            self.latents.add(SketchBody(pose, current_theme().latent))
            word.on_line(x, foot + tall + OVER + line / 2).shift(DEEP / 2 * OUT)
        self.add(self.latents, self.words)
        self.shot = self.words.shot(frame, tilt=TILT, near=DEEP / 2)

    def light(self, **kwargs: Any) -> Animation:
        """Return an animation in which one latent after another begins to glow."""

        def step(alpha: float) -> None:
            for number, latent in enumerate(self.latents):
                share = float(np.clip(alpha * len(self.latents) - number, 0, 1))
                glow(latent.hatching, LIT * share)

        return AnimateWith(self.latents, step, **kwargs)
