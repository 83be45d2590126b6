"""Bodies of this scene: a token, two GPUs, cards of lamps, what a saving consists of, and a row.

All are sketches to scale, as none of these models was traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import DL, DR, OUT, UL, UR, Animation, Group, VMobject, smooth

from extract.facts.architectures import Architecture, kv_cache_elements, latent_size
from extract.facts.v2_report import v2_cache_claim
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.geometry import Box, Frame
from filmkit.core.light import glow, mirrored
from filmkit.core.seats import shot_of
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import filled
from filmkit.world.block import Pose, Solid
from filmkit.world.box import GlassBox, SketchBody, keys_and_values, slices
from filmkit.world.lamps import LampCard
from filmkit.world.words import words_in_columns

__all__ = ["CARD", "Gpu", "Readers", "Row", "Shrinking", "Token", "filling", "opening"]

Array = npt.NDArray[np.float64]

KEY = 3.0  # width of a large model's keys, in scene units
COLUMNS = 19  # latents side by side in the room of a token
ASIDE = 1.1  # from a token to the latent beside it
FLIGHT, HOP = 0.25, 0.7  # share of the time that a latent is in flight, and how high it flies
CUBE, PAIRS = 2.0, 9  # side of a GPU's memory, and how many tokens are drawn in it
CARD = 3.4, 1.632  # size of a card of lamps
FOOT, BEFORE = 0.55, 0.6  # how high a card hangs, and how far the number is in front of it
NUMBER, BEAM = (0.36, 0.36, 0.36), 0.3  # size of a number, and opacity of its light
TURNED = 30.0  # how far it is turned, in degrees: so its right side is seen from anywhere
UNSAVED = 4.4, 2.4, 2.6  # a token that is not yet saved: numbers of a layer, their bits, layers
BETWEEN = 1.5  # from one body to the next
WIDE, DEEP = 0.8, 0.01  # width of a latent as a share of the room of a word, and its depth
LOW = 0.45  # height of a latent as a share of the room over its word
TILT = 4.0  # from how far above a row is seen, in degrees
OVER, LARGER = 0.1, 1.02  # from a latent to its word, and a factor on the size of that
LIT, DIM = 1.4, 0.7  # how much light latents give, and keys and values


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


def opening(halves: Group) -> Animation:
    """Return an animation in which only the edges around keys and values stay."""

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
        self.halves = glow(keys_and_values(self.pose), DIM)
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
    """The memory of a GPU, and what it is full of: keys and values of tokens, or latents.

    Parameters
    ----------
    aside
        How far to the right it stands, as it is seen.
    turn
        From where it is seen, in degrees to the right.
    times
        How many latents have room in that of one token's keys and values.

    Attributes
    ----------
    glass
        The memory.
    slabs
        The keys and values of some tokens.
    latents, cuts
        A body of latents in their place, and the lines between these.
    """

    def __init__(self, aside: float, turn: float, times: float) -> None:
        super().__init__()
        theme, turn = current_theme(), np.radians(turn)
        x, z = float(aside * np.cos(turn)), float(-aside * np.sin(turn))
        self.pose = Pose((x, 0.0, z), 0.0, CUBE, CUBE, CUBE)
        self.counts = PAIRS * (round(times) // COLUMNS), COLUMNS, 1
        self.glass = GlassBox(self.pose)
        self.slabs = glow(keys_and_values(self.pose, 2 * PAIRS), DIM)
        self.latents = glow(SketchBody(self.pose, theme.latent), LIT)
        self.cuts = VMobject(stroke_color=theme.latent, stroke_width=theme.thin)
        mirrored(self.cuts)

    @property
    def latent(self) -> Pose:
        """Where the latent at the right, front and top is."""
        sizes = [size / count for size, count in zip(self.pose.size, self.counts, strict=True)]
        x, y, z = self.pose.corner(1, 1, 0) - np.array([sizes[0], 2 * sizes[1], sizes[2]]) / 2
        return Pose((float(x), float(y), float(z)), 0.0, *sizes)

    def cut(self, **kwargs: Any) -> Animation:
        """Return an animation in which the body is cut into latents: each axis of a side."""
        sides = (0, 1), (2, 1), (0, 2)  # axes of the front, of the face, and of the top
        ends = []
        for (first, second), fixed in zip(sides, ((2, 0), (0, 1), (1, 1)), strict=True):
            for axis, along in ((first, second), (second, first)):
                for number in range(1, self.counts[axis]):
                    start = np.zeros(3)
                    start[fixed[0]] = fixed[1]
                    start[axis] = number / self.counts[axis]
                    stop = start.copy()
                    stop[along] = 1
                    ends.append((self.pose.corner(*start), self.pose.corner(*stop)))

        def step(alpha: float) -> None:
            self.cuts.clear_points()
            for start, stop in ends:
                self.cuts.start_new_path(start).add_line_to(start + alpha * (stop - start))
            self.latents.hatching.set_stroke(opacity=1 - alpha)

        return AnimateWith(Group(self.latents, self.cuts), step, **kwargs)


class Readers(LampCard):
    """A card of lamps, and a number before it: those burn that the number keeps busy.

    Each lamp is a multiply-add that a chip could make while it reads the number.

    Parameters
    ----------
    at
        Where the card stands: to the right, and up.
    lamps
        How many there are.
    busy
        How many of them burn in the end, from the top left on.
    role
        Whose colour the number has, as :meth:`filmkit.core.theme.Theme.role` names it.

    Attributes
    ----------
    number
        The number.
    """

    def __init__(self, at: tuple[float, float], lamps: int, busy: int, role: str) -> None:
        (x, y), (width, height) = at, CARD
        super().__init__(Pose((x, y + FOOT, 0.0), 90.0, 0.02, height, width), lamps)
        colour, self.busy = current_theme().role(role), busy
        self.number = glow(SketchBody(Pose((x, y, BEFORE), TURNED, *NUMBER), colour), DIM)
        corner = self.pose.corner
        ends = corner(1, 0, 0), corner(1, 0, 1), self.number.pose.corner(0.5, 1, 0.5)
        self.add(glow(filled([np.array(ends)], colour, BEAM)))

    @property
    def corners(self) -> Array:
        return np.concatenate([self.pose.corners, self.number.corners])

    def read(self, **kwargs: Any) -> Animation:
        """Return an animation in which the lamps that the number keeps busy begin to burn."""
        return AnimateWith(self.lit, lambda alpha: self.burn(round(alpha * self.busy)), **kwargs)


class Shrinking(Group):
    """A token of one model that becomes one of another: a latent, fewer layers, fewer bits.

    Each step is a body of its own beside the one before. Across are the numbers of a layer, back
    the layers, up the bits of a number.

    Parameters
    ----------
    old, new
        The models.
    turn
        From where they are seen side by side, in degrees to the right, and all equally far away;
        one below the other if None.

    Attributes
    ----------
    halves
        The keys and values that all begins with.
    steps
        What is left after each of the changes.
    """

    def __init__(self, old: Architecture, new: Architecture, *, turn: float | None) -> None:
        super().__init__()
        first = Pose((0.0, 0.0, 0.0), 0.0, *UNSAVED)
        thick, height, depth = UNSAVED
        thick *= sum(latent_size(new)) / (2 * old.n_kv_heads * old.d_head)
        latent = replace(first, thick=thick)
        layers = replace(latent, depth=depth * new.n_layers / old.n_layers)
        bits = replace(layers, height=height / v2_cache_claim().times_fewer_bits)
        self.sizes = [first, latent, layers, bits]
        poses = [first]
        for pose in self.sizes[1:]:
            x, foot, z = poses[-1].at
            if turn is None:
                at = (thick - UNSAVED[0]) / 2, foot - height - BETWEEN, 0.0
            else:
                away = (poses[-1].thick + thick) / 2 + BETWEEN
                aside, back = np.cos(np.radians(turn)), np.sin(np.radians(turn))
                at = x + away * float(aside), 0.0, z - away * float(back)
            poses.append(replace(pose, at=at))
        self.halves, colour = glow(keys_and_values(first), DIM), current_theme().latent
        self.steps = Group(*(glow(SketchBody(pose, colour), LIT) for pose in poses[1:]))
        self.corners = np.concatenate([pose.corners for pose in poses])

    @property
    def factors(self) -> list[float]:
        """How many times smaller each change makes it."""
        volumes = [float(np.prod(pose.size)) for pose in self.sizes]
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
        self.words, places = words_in_columns(
            words, Box(0, room.height / 2, room.width, room.height)
        )
        self.latents, line = Group(), self.words[0].line_height
        for word, place in zip(self.words, places, strict=True):
            foot = word.get_center()[1] - line / 2
            height = LOW * place.height
            pose = Pose((place.x, foot, 0.0), 0.0, WIDE * place.width, height, DEEP)
            self.latents.add(SketchBody(pose, current_theme().latent))
            # A little farther than the frame, the smallest words would be too small to be read.
            word.scale(LARGER).on_line(place.x, foot + height + OVER + line / 2)
            word.shift(DEEP / 2 * OUT)
        self.add(self.latents, self.words)
        sides = [word.get_corner(corner) for word in self.words for corner in (UL, UR, DR, DL)]
        corners = np.concatenate([sides, *(latent.pose.corners for latent in self.latents)])
        self.shot = shot_of(corners, frame, into=room, turn=0.0, tilt=TILT)

    def light(self, **kwargs: Any) -> Animation:
        """Return an animation in which one latent after another begins to glow."""

        def step(alpha: float) -> None:
            for number, latent in enumerate(self.latents):
                share = float(np.clip(alpha * len(self.latents) - number, 0, 1))
                glow(latent.hatching, LIT * share)

        return AnimateWith(self.latents, step, **kwargs)
