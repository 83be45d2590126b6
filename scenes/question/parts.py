"""Parts of pictures that only this scene has: candidates for a word, and a row of slabs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from manim import Animation, Group, VGroup, smooth

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.seats import shot_of
from filmkit.core.text import Label, TextLine
from filmkit.core.token_text import printable
from filmkit.world.block import (
    DEPTH,
    HEIGHT,
    TILT,
    TURN,
    UPRIGHT_TILT,
    UPRIGHT_TURN,
    CacheBlock,
    Pose,
)
from filmkit.world.box import keys_and_values

__all__ = ["Candidates", "Row"]

TURNS = 12  # candidates that pass before the word
STEP = 1.15  # from one to the next, in heights of a line
BELOW = (1.0, 0.75, 0.62, 0.48)  # how bright they are, at the word's place and below it
SMALLER = 0.82  # by how much a candidate shrinks in a step

PITCH = 0.34  # of a pair of slabs, in scene units
OWN = 0.5  # of the row for the pairs of the sentence, at most
THIN = 0.94  # thickness of a sketch, as a share of its place
LENGTH, UPRIGHT_LENGTH = 9.0, 5.6  # of all of it, in scene units
FREE = 0.5  # room at its right for what bursts out, as a share of its length
FROM = 3.0  # from how far to the right slabs come, in scene units
COMING = 4  # slabs that come at the same time


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


class Row(Group):
    """A row of slabs that fills a length: a sketch, of keys and values in turn.

    Those of a sentence stand first where the real ones do; the others come until all are there.

    Parameters
    ----------
    block
        The slabs of the sentence.
    frame
        The frame, on which the length that is filled depends.

    Attributes
    ----------
    pose
        Where all of it stands.
    bodies, own
        The slabs, from left to right, and those of them that are the sentence's.
    """

    def __init__(self, block: CacheBlock, frame: Frame) -> None:
        super().__init__()
        length = UPRIGHT_LENGTH if frame.upright else LENGTH
        self.pose = Pose((0.0, 0.0, 0.0), 0.0, length, HEIGHT, DEPTH)
        count = 2 * round(length / min(PITCH, OWN * length / block.count))
        self.bodies = keys_and_values(self.pose, count, thin=THIN)
        self.homes = [body.pose for body in self.bodies]
        self.starts = [slab.pose for slab in block.slabs]
        set_presence(self.bodies, 0.0)
        self.own = Group(*self.bodies[: len(self.starts)])
        for body, start in zip(self.own, self.starts, strict=True):
            body.stand(start)
        self.add(self.bodies)

    def gather(self, **kwargs: Any) -> Animation:
        """Return an animation in which the slabs of the sentence go to the left end."""

        def step(alpha: float) -> None:
            for body, start, home in zip(self.own, self.starts, self.homes, strict=False):
                body.stand(start.mix(home, alpha))

        return AnimateWith(self, step, **kwargs)

    def grow(self, alpha: float) -> None:
        """Let a share of the other slabs have come from the right, ever faster."""
        own = len(self.starts)
        come = alpha**2 * (len(self.homes) - own + COMING)
        for number, home in enumerate(self.homes[own:]):
            done = smooth(float(np.clip((come - number) / COMING, 0, 1)))
            x, y, z = home.at
            body = self.bodies[own + number].stand(replace(home, at=(x + FROM * (1 - done), y, z)))
            set_presence(body, min(1.0, 2 * done))

    def shot_with_room(self, frame: Frame, into: Box) -> Shot:
        """Return the shot in which it fills a box of the frame, with room at its right."""
        longer = replace(
            self.pose,
            at=(FREE * self.pose.thick / 2, 0.0, 0.0),
            thick=(1 + FREE) * self.pose.thick,
        )
        turn, tilt = (UPRIGHT_TURN, UPRIGHT_TILT) if frame.upright else (TURN, TILT)
        return shot_of(longer.corners, frame, into=into, turn=turn, tilt=tilt)
