"""Layouts of the posters and of the thumbnail: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point
from filmkit.mobjects.head_stack_layout import LENS, HeadStackLayout, prism_corners, shot_on
from filmkit.mobjects.latent_layout import ROPE_GAP, HeadStackShots

__all__ = ["NOTE_SHARE", "TEXT", "TITLE", "TITLE_GAP", "PosterLayout", "ThumbnailLayout"]


# Lengths are in scene units.
TITLE = 0.07 * FRAME_HEIGHT  # height of the title
TITLE_DROP = 0.07  # free height above the title, because large letters reach above their line
TITLE_GAP = 0.4  # between the title and the words beside it
TEXT = 0.03 * FRAME_HEIGHT  # height of a line of text
TEXT_STEP = 1.5  # distance from one line of text to the next, in lines
TURN, TILT = 52.0, 7.0  # angles of the camera, in degrees
HEAD = 1.0  # height above the stack of heads, for the title and names of panels
BESIDE = 0.8  # width that it leaves free at the left, for names of panels
FEW, LOW = 3, 1.0  # number of cards and height of a latent below which a stack is narrow
TEXT_ROOM = 1.6  # height below such a stack, for the text
NOTE_SHARE = 0.43  # greatest width of a remark at the lower left, as a share of the frame's
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
        # Panels that some heads share are no farther than those of the last two.
        far = head_stack.depth_at(max(0.0, head_stack.count - 1.5))
        latent, depth = latent_shots.latent, latent_shots.depth
        corners = [prism_corners(head_stack.card, head_stack.near, head_stack.far)]
        for panel in (head_stack.head.k, head_stack.head.v):
            box, _ = head_stack.shared(panel, range(head_stack.count))
            corners.append(prism_corners(box, head_stack.near, far))
        corners.append(prism_corners(latent, depth, depth))
        safe = frame.safe
        # A few cards, or low ones, are not wide enough for the text to stand beside what is lowest.
        narrow = head_stack.count < FEW or latent.height < LOW
        foot = safe.bottom + NOTE + (TEXT_ROOM if narrow else 0.0)
        into = Box.of(safe.left + BESIDE, safe.right, foot, safe.top - HEAD)
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

    @property
    def title(self) -> Point:
        """Left end of the title."""
        return (self.frame.safe.left, self.frame.safe.top - TITLE_DROP - TITLE / 2)

    def text(self, lines: int) -> tuple[Point, ...]:
        """Return the left ends of the lines at the lower left, from the top."""
        safe = self.frame.safe
        step = TEXT * TEXT_STEP
        foot = safe.bottom + NOTE + TEXT / 2
        return tuple((safe.left, foot + step * (lines - 1 - line)) for line in range(lines))


@dataclass(frozen=True)
class ThumbnailLayout:
    """Layout of large words below a stack of heads.

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
                prism_corners(head_stack.card, head_stack.near, head_stack.far),
                prism_corners(poster.latent.grown(0.1), poster.depth, poster.depth),
            ]
        )
        safe = frame.safe
        into = Box.of(safe.left + 0.2 * safe.width, safe.right, safe.bottom, safe.top)
        shot = shot_on(
            corners, frame, theta=-36, phi=19, focal=LENS, width=0.76, height=1.06, into=into
        )
        foot = safe.bottom + step / 2
        words = tuple((safe.left, foot + step * (lines - 1 - line)) for line in range(lines))
        return cls(words, shot)
