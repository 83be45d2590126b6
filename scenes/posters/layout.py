"""Layouts of the posters and of the thumbnail: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box, Frame, Point
from filmkit.mobjects.head_stack_layout import LENS, HeadStackLayout, prism_corners, shot_on
from filmkit.mobjects.latent_layout import ROPE_GAP, HeadStackShots

__all__ = ["PosterLayout", "ThumbnailLayout"]


# Lengths are in scene units.
TITLE = 0.062 * FRAME_HEIGHT  # height of a line of the title
TITLE_STEP = 1.2  # distance from one line of the title to the next, in lines
TITLE_DROP = 0.07  # free height above the title, because large letters reach above their line
TEXT = 0.03 * FRAME_HEIGHT  # height of a line of text
TEXT_STEP = 1.5  # distance from one line of text to the next, in lines
TURN, TILT = 52.0, 18.0  # angles of the camera, in degrees
FOOT = 1.95  # height below the stack of heads, for the text
BESIDE = 3.9  # width that the stack leaves free at the left, for the title
NAMES = 1.35  # width that it leaves free at the right, for names of panels
NOTE = 0.4  # height of the line of notes at the foot of the frame


@dataclass(frozen=True)
class PosterLayout:
    """Layout around the stack of heads, the same on every poster.

    Attributes
    ----------
    frame
        The picture's edge.
    head_stack
        Where the cards stand.
    latent, depth
        Box and depth (z) of a latent beneath the cards.
    shot
        Shot of all posters.
    """

    frame: Frame
    head_stack: HeadStackLayout
    latent: Box
    depth: float
    shot: Shot

    @classmethod
    def of(
        cls, frame: Frame, head_stack: HeadStackLayout, latent_shots: HeadStackShots
    ) -> PosterLayout:
        """Lay out a poster, with room for shared panels beside the cards and beneath them."""
        k, _ = head_stack.shared(head_stack.head.k, range(head_stack.count))
        v, _ = head_stack.shared(head_stack.head.v, range(head_stack.count))
        latent, depth = latent_shots.latent, latent_shots.depth
        corners = [head_stack.outer_corners]
        for box in (k, v):
            for z in (head_stack.near, head_stack.far):
                corners.append(prism_corners(box.grown(0.0, HEADER / 2), z, z))
        corners.append(prism_corners(latent.grown(0.0, HEADER / 2), depth, depth))
        safe = frame.safe
        into = Box.of(safe.left + BESIDE, safe.right - NAMES, safe.bottom + FOOT, safe.top)
        shot = shot_on(
            np.concatenate(corners),
            frame,
            theta=-TURN,
            phi=TILT,
            focal=LENS,
            width=into.width / frame.width,
            height=into.height / frame.stage.height,
            into=into,
        )
        return cls(frame, head_stack, latent, depth, shot)

    def latent_parts(self, shares: tuple[int, int]) -> tuple[Box, Box | None]:
        """Split the latent's box between the latent and the shared rotated key, if there is one.

        ``shares`` are the columns of both; the second is 0 where there is no such key.
        """
        first, second = shares
        if not second:
            return self.latent, None
        box, width = self.latent, (self.latent.width - ROPE_GAP) * first / (first + second)
        left = Box.of(box.left, box.left + width, box.bottom, box.top)
        return left, Box.of(left.right + ROPE_GAP, box.right, box.bottom, box.top)

    def title(self, lines: int, below: int) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
        """Return the left ends of the lines of the title, and of the lines below them."""
        safe = self.frame.safe
        step = TITLE * TITLE_STEP
        top = safe.top - TITLE_DROP - TITLE / 2
        title = tuple((safe.left, top - step * line) for line in range(lines))
        first = title[-1][1] - TITLE / 2 - TEXT
        step = TEXT * TEXT_STEP
        return title, tuple((safe.left, first - step * line) for line in range(below))

    def text(self, lines: int) -> tuple[Point, ...]:
        """Return the right ends of the lines at the lower right, from the top."""
        safe = self.frame.safe
        step = TEXT * TEXT_STEP
        foot = safe.bottom + NOTE + TEXT / 2
        return tuple((safe.right, foot + step * (lines - 1 - line)) for line in range(lines))


@dataclass(frozen=True)
class ThumbnailLayout:
    """Layout of large words beside a stack of heads.

    Attributes
    ----------
    words
        Left ends of the lines of words.
    shot
        Shot of the stack of heads.
    """

    words: tuple[Point, ...]
    shot: Shot

    @classmethod
    def of(cls, poster: PosterLayout, *, size: float, lines: int) -> ThumbnailLayout:
        """Lay out a number of lines of words of a text size."""
        frame, step = poster.frame, 1.15 * size * FRAME_HEIGHT
        head_stack = poster.head_stack
        corners = np.concatenate(
            [
                head_stack.outer_corners,
                prism_corners(poster.latent.grown(0.1), poster.depth, poster.depth),
            ]
        )
        safe = frame.safe
        middle = Box.of(safe.right - 0.66 * safe.width, safe.right, safe.bottom, safe.top)
        shot = shot_on(
            corners, frame, theta=-34, phi=20, focal=LENS, width=0.63, height=1.04, into=middle
        )
        top = safe.top - step / 2
        words = tuple((safe.left, top - step * line) for line in range(lines))
        return cls(words, shot)
