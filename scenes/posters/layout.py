"""Where things stand on the posters: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, Box, Frame, Point
from filmkit.mobjects.head_stack_layout import HeadStackLayout, prism_corners, shot_on
from filmkit.mobjects.latent_layout import ROPE_GAP, HeadStackShots

__all__ = ["PosterLayout", "ThumbnailLayout"]


TITLE = 0.062 * FRAME_HEIGHT  # a line of the title
TITLE_STEP = 1.2  # from one line to the next, in lines
TITLE_DROP = 0.07  # letters of a large line reach above it
TEXT = 0.03 * FRAME_HEIGHT
TEXT_STEP = 1.5
TURN, TILT = 40.0, 19.0
RAISED = 0.2  # the rack above the middle of the frame


@dataclass(frozen=True)
class PosterLayout:
    """The frame around a rack, the same on every poster.

    Attributes
    ----------
    frame
        The picture's edge.
    rack
        Where the cards stand.
    latent
        Where a latent stands beneath them, at ``depth``.
    shot
        The camera of all posters.
    """

    frame: Frame
    head_stack: HeadStackLayout
    latent: Box
    depth: float
    shot: Shot

    @classmethod
    def of(cls, frame: Frame, head_stack: HeadStackLayout, beneath: HeadStackShots) -> PosterLayout:
        """With room for what all heads share, beside the cards or beneath them."""
        k, _ = head_stack.shared(head_stack.head.k, range(head_stack.count))
        v, _ = head_stack.shared(head_stack.head.v, range(head_stack.count))
        latent, depth = beneath.latent, beneath.depth
        corners = [head_stack.room]
        for box in (k, v):
            for z in (0.0, -head_stack.depth):
                corners.append(prism_corners(box.grown(0.0, HEADER / 2), z, z))
        corners.append(prism_corners(latent.grown(0.0, HEADER / 2), depth, depth))
        safe = frame.safe
        into = Box.of(safe.left, safe.right, safe.bottom + RAISED, safe.top)
        shot = shot_on(
            np.concatenate(corners), frame, theta=-TURN, phi=TILT, width=0.9, height=1.1, into=into
        )
        return cls(frame, head_stack, latent, depth, shot)

    def latent_parts(self, shares: tuple[int, int]) -> tuple[Box, Box | None]:
        """The latent and, if there is one, the key that all heads share; columns as shares."""
        first, second = shares
        if not second:
            return self.latent, None
        box, width = self.latent, (self.latent.width - ROPE_GAP) * first / (first + second)
        left = Box.of(box.left, box.left + width, box.bottom, box.top)
        return left, Box.of(left.right + ROPE_GAP, box.right, box.bottom, box.top)

    def title(self, lines: int, below: int) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
        """Left ends of the lines of the title, and of the lines below them."""
        safe = self.frame.safe
        step = TITLE * TITLE_STEP
        top = safe.top - TITLE_DROP - TITLE / 2
        title = tuple((safe.left, top - step * line) for line in range(lines))
        first = title[-1][1] - TITLE / 2 - TEXT
        step = TEXT * TEXT_STEP
        return title, tuple((safe.left, first - step * line) for line in range(below))

    def text(self, lines: int) -> tuple[Point, ...]:
        """Right ends of the lines at the lower right, from the top."""
        safe = self.frame.safe
        step = TEXT * TEXT_STEP
        foot = safe.bottom + 2.2 * TEXT
        return tuple((safe.right, foot + step * (lines - 1 - line)) for line in range(lines))


@dataclass(frozen=True)
class ThumbnailLayout:
    """Large words beside a rack."""

    words: tuple[Point, ...]
    shot: Shot

    @classmethod
    def of(cls, poster: PosterLayout, *, size: float, lines: int) -> ThumbnailLayout:
        """For lines of words of a size."""
        frame, step = poster.frame, 1.15 * size * FRAME_HEIGHT
        head_stack = poster.head_stack
        corners = np.concatenate(
            [head_stack.room, prism_corners(poster.latent.grown(0.1), poster.depth, poster.depth)]
        )
        safe = frame.safe
        middle = Box.of(safe.right - 0.66 * safe.width, safe.right, safe.bottom, safe.top)
        shot = shot_on(corners, frame, theta=-34, phi=20, width=0.63, height=1.12, into=middle)
        top = safe.top - step / 2
        words = tuple((safe.left, top - step * line) for line in range(lines))
        return cls(words, shot)
