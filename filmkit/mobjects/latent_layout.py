"""Layout of a latent beside one head and beside the stack of heads: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, WORD_GAP, Box, Path, Point, row_points
from filmkit.mobjects.head_layout import MAX_ROW_X, WEIGHT_BOX, HeadLayout
from filmkit.mobjects.head_stack_layout import LENS, HeadStackLayout, prism_corners, shot_on

__all__ = ["HeadStackShots", "NaiveLayout"]


X_WIDTH = 1.5  # maximum width of an X beside the latent


TRUNK = 0.16  # from the trunk to the weights that it leads to, in a tall frame


GAP = 0.06  # between a panel's side and the end of a line


ARROW = 0.3  # the shortest piece of a line that ends in an arrow head


ROPE_GAP = 0.1  # between the latent and the shared rotated key beside it


UNDER = 0.12  # between a panel and the header below it


BELOW = 0.44  # height of a header below a panel, with its gap


NOTES_BELOW = 1.04  # from the middle of a weight's box down to the end of its three lines


SPINE_ROOM = 0.45  # between the cards and the spine of the fan-out below them


FEED_ROOM = 1.5  # from the latent to the riser


LIFT = 0.35  # height of the latent's middle above the spine, as a share of the latent's height


ENLARGED = 1.2  # size of the latent in space, relative to the flat picture


SMALLEST = 0.83  # smallest relative size in a tall frame, so that its header can be read


MAX_HIGH = 1.8  # preferred maximum height of the latent in a tall frame


NAME_BELOW = 1.0  # below a latent in space, for its name


RISER = 0.2  # from the line that rises on a card to its keys and values


def _halves(box: Box, shares: tuple[int, int]) -> tuple[Box, Box | None]:
    """Divide a box into two side by side, whose widths are as the shares.

    If the second share is 0, return the whole box and None.
    """
    first, second = shares
    if not second:
        return box, None
    width = (box.width - ROPE_GAP) * first / (first + second)
    left = Box.of(box.left, box.left + width, box.bottom, box.top)
    return left, Box.of(left.right + ROPE_GAP, box.right, box.bottom, box.top)


@dataclass(frozen=True)
class NaiveLayout:
    """Layout of the naive form: a latent that is expanded into keys and values of one head.

    Attributes
    ----------
    head
        Layout of the head: queries, keys, values, scores, pattern and z.
    x
        Box of X's cells.
    x_words
        Right end of each word beside X.
    word_size
        Text size of these words; 0 if rows are too low for words.
    latent, rope
        Boxes of the latent and of the shared rotated key; ``rope`` may be None.
    w_dkv, w_q, w_uk, w_uv
        Boxes of the weights.
    """

    head: HeadLayout
    x: Box
    x_words: tuple[tuple[float, float], ...]
    word_size: float
    latent: Box
    rope: Box | None
    w_dkv: Box
    w_q: Box
    w_uk: Box
    w_uv: Box

    upright: ClassVar[bool] = False
    """Whether it is for a tall frame: the latent beside X, and the output below the picture."""

    @staticmethod
    def of(
        head: HeadLayout, *, count: int, cached: tuple[int, int], sizes: Sequence[float]
    ) -> NaiveLayout:
        """Return the layout around that of a head.

        Parameters
        ----------
        head
            Layout of the head.
        count
            Number of positions, which are rows.
        cached
            Numbers of columns of the latent and of the shared rotated key.
        sizes
            Preferred and smallest text size of words.
        """
        kind = UprightNaiveLayout if head.x.bottom > head.border.top else NaiveLayout
        return kind._around(head, count, cached, sizes)

    @classmethod
    def _around(
        cls, head: HeadLayout, count: int, cached: tuple[int, int], sizes: Sequence[float]
    ) -> NaiveLayout:
        stage = head.frame.stage
        level = (head.k.y + head.v.y) / 2
        whole = Box.of(stage.left, head.x.right, level - head.q.height / 2, 0)
        whole = Box.of(whole.left, whole.right, whole.bottom, level + head.q.height / 2)
        latent, rope = _halves(whole, cached)
        # X is at the height of the queries and as high as fits above the latent.
        top = stage.top - 0.02 - HEADER
        foot = whole.top + WEIGHT_BOX[1] + 2 * ARROW
        height = min(MAX_ROW_X * count, top - foot)
        y = float(np.clip(head.q.y, foot + height / 2, top - height / 2))
        x = Box(head.x.x, y, head.x.width, height)
        preferred, minimum = sizes
        size = min(preferred, 0.88 * height / count / FRAME_HEIGHT)
        return cls(
            head=head,
            x=x,
            x_words=row_points(x.left - WORD_GAP, x, count),
            word_size=size if size >= minimum else 0.0,
            latent=latent,
            rope=rope,
            w_dkv=Box(x.x, (x.bottom + whole.top) / 2, *WEIGHT_BOX),
            w_q=head.w_q,
            w_uk=head.w_k,
            w_uv=head.w_v,
        )

    @property
    def cached(self) -> Box:
        """Box around everything that is cached."""
        return self.latent if self.rope is None else Box.around([self.latent, self.rope])

    @property
    def trunk(self) -> float:
        """x of the vertical line that leads from the latent to W_UK and W_UV."""
        return (self.cached.right + self.w_uk.left) / 2

    @property
    def riser(self) -> float:
        """x of the line that rises on each card of a stack and leads to keys and values."""
        return self.head.q.left - RISER

    # Paths of lines

    @property
    def to_latent(self) -> tuple[Path, Path]:
        """Paths from X to W_DKV, and from there to the latent."""
        x = self.x.x
        return (
            ((x, self.x.bottom - GAP), (x, self.w_dkv.top)),
            ((x, self.w_dkv.bottom), (x, self.cached.top + GAP)),
        )

    def to_query(self, weight: Box) -> Path:
        """Return the path from X to the weight of the queries."""
        y = self.head.q.y
        return ((self.x.right + GAP, y), (weight.left, y))

    def from_latent(self, y: float, *rest: Point) -> Path:
        """Return the path from the latent along the trunk to a height ``y``, and on to ``rest``."""
        start = (self.cached.right + GAP, self.cached.y)
        return (start, (self.trunk, start[1]), (self.trunk, y), *rest)


@dataclass(frozen=True)
class UprightNaiveLayout(NaiveLayout):
    """Layout of the naive form in a tall frame.

    The latent is beside X, at the same height, and the output is below the picture.
    """

    upright: ClassVar[bool] = True

    @classmethod
    def _around(
        cls, head: HeadLayout, count: int, cached: tuple[int, int], sizes: Sequence[float]
    ) -> NaiveLayout:
        left, right = head.x.left, head.x.right
        apart = 2 * ARROW + WEIGHT_BOX[0] + 2 * GAP
        width = min(X_WIDTH, (right - left - apart) / 2)
        x = Box.of(left, left + width, head.x.bottom, head.x.top)
        whole = Box.of(x.right + apart, right, x.bottom, x.top)
        latent, rope = _halves(whole, cached)
        preferred, minimum = sizes
        size = min(preferred, 0.94 * x.height / count / FRAME_HEIGHT)
        return cls(
            head=head,
            x=x,
            x_words=row_points(x.left - WORD_GAP, x, count),
            word_size=size if size >= minimum else 0.0,
            latent=latent,
            rope=rope,
            w_dkv=Box((x.right + whole.left) / 2, x.y, *WEIGHT_BOX),
            w_q=head.w_q,
            w_uk=head.w_k,
            w_uv=head.w_v,
        )

    @property
    def trunk(self) -> float:
        return self.head.w_k.left - TRUNK

    @property
    def to_latent(self) -> tuple[Path, Path]:
        y = self.x.y
        return (
            ((self.x.right + GAP, y), (self.w_dkv.left, y)),
            ((self.w_dkv.right, y), (self.cached.left - GAP, y)),
        )

    def to_query(self, weight: Box) -> Path:
        x, turn = self.x.left + 0.3, self.x.bottom - 0.18
        end = (self.w_q.x, weight.top)
        return ((x, self.x.bottom - GAP), (x, turn), (self.w_q.x, turn), end)

    def from_latent(self, y: float, *rest: Point) -> Path:
        x, turn = self.cached.x, self.x.bottom - 0.38
        start = (x, self.cached.bottom - GAP)
        return (start, (x, turn), (self.trunk, turn), (self.trunk, y), *rest)


@dataclass(frozen=True)
class HeadStackShots:
    """Layout of the latent in space beside a stack of heads, and shots of both.

    Attributes
    ----------
    head_stack
        Layout of the stack.
    latent
        Box of what is cached.
    depth
        Its z.
    shot
        The shot that shows the latent and all heads.
    """

    head_stack: HeadStackLayout
    latent: Box
    depth: float
    shot: Shot

    @classmethod
    def beneath(cls, head_stack: HeadStackLayout, latent: Box, riser: float) -> HeadStackShots:
        """Return the layout with the latent below the left edge of the cards (naive form).

        Parameters
        ----------
        head_stack
            Layout of the stack.
        latent
            Box of what is cached in the flat picture.
        riser
            x of the line that rises on each card to its keys and values.
        """
        frame = head_stack.head.frame
        # In a tall frame it is as high as X in the flat picture, which would hide the cards.
        grown = min(ENLARGED, max(SMALLEST, MAX_HIGH / latent.height)) if frame.tall else ENLARGED
        width, height = grown * latent.width, grown * latent.height
        y = head_stack.card.bottom - SPINE_ROOM + LIFT * height
        box = Box(riser - FEED_ROOM - width / 2, y, width, height)
        depth = head_stack.depth_at(0)
        room = box.grown(0.0, NAME_BELOW)
        points = np.concatenate([head_stack.outer_corners, prism_corners(room, depth, depth)])
        turn, tilt = (44, 12) if frame.wide else (33, 17)
        stage, room_left = frame.stage, head_stack.name_room if frame.wide else 0.0
        into = Box.of(stage.left + room_left, stage.right, stage.bottom, stage.top)
        width = into.width / frame.width
        shot = shot_on(
            points, frame, theta=-turn, phi=tilt, focal=LENS, width=width, height=1.0, into=into
        )
        return cls(head_stack, box, depth, shot)

    @classmethod
    def beside(cls, head_stack: HeadStackLayout, latent: Box, level: float) -> HeadStackShots:
        """Return the layout with the latent to the left of the cards (absorbed form).

        It is at half their depth.

        Parameters
        ----------
        head_stack
            Layout of the stack.
        latent
            Box of what is cached in the flat picture.
        level
            y of its middle.
        """
        box, depth = head_stack.shared(latent.moved(dy=level - latent.y), range(head_stack.count))
        room = box.grown(0.0, NAME_BELOW)
        points = np.concatenate([head_stack.outer_corners, prism_corners(room, depth, depth)])
        frame = head_stack.head.frame
        turn, tilt = (44, 14) if frame.wide else (34, 20)
        shot = shot_on(points, frame, theta=-turn, phi=tilt, focal=LENS, width=0.9, height=1.0)
        return cls(head_stack, box, depth, shot)

    @property
    def spine(self) -> float:
        """y of the spine of the vertical fan-out below the cards."""
        return self.head_stack.card.bottom - SPINE_ROOM

    @property
    def near(self) -> Shot:
        """Shot so close to the latent that it fills 60 % of the frame, with the heads behind it."""
        points = prism_corners(self.latent, self.depth, self.depth)
        frame = self.head_stack.head.frame
        into = frame.stage.moved(dy=0.09 * frame.stage.height)
        return shot_on(
            points, frame, theta=-20, phi=12, focal=LENS, width=0.6, height=0.68, into=into
        )

    @property
    def words_corner(self) -> tuple[float, float, float]:
        """Corner (3,) of the latent below which its name and the text about it are."""
        return (self.latent.left, self.latent.bottom, self.depth)
