"""Where a latent stands beside a head and beside the stack of all heads: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, HEADER, WORD_GAP, Box, Path, Point, row_points
from filmkit.mobjects.head_layout import MAX_ROW_X, WEIGHT_BOX, HeadLayout
from filmkit.mobjects.head_stack_layout import HeadStackLayout, prism_corners, shot_on

__all__ = ["HeadStackShots", "NaiveLayout"]


X_WIDTH = 1.5  # of an X beside the latent


TRUNK = 0.16  # from the trunk to the weights that it leads to, in a high frame


OUT_DOWN = 0.32  # from the mix down to a line that leads below it, and on to the output


MAX_OUT = 1.2  # height of an output that stands there


GAP = 0.06  # between a panel's side and the end of a line


ARROW = 0.3  # the shortest piece of a line that ends in an arrow head


ROPE_GAP = 0.1  # between the latent and the shared rotated key beside it


OUT_WIDTH = 1.0


MERGED = 1.2  # width of the box of two weights that have become one


UNDER = 0.12  # between a panel and the header beneath it


BELOW = 0.44  # room for such a header


NOTES_BELOW = 1.04  # from the middle of a weight's box to the end of its three lines


SPINE_ROOM = 0.45  # between the cards and the spine of the comb beneath them


FEED_ROOM = 1.5  # from the latent to that spine


WORDS_ABOVE = 1.3  # from a corner of the latent to the top of words about it


WORDS_BELOW = 1.05  # to the top of words below it and its name


NAME_ABOVE = 0.75  # and more where its name is there


LIFT = 0.35  # of the latent's height: how far its middle stands above the spine


ENLARGED = 1.2  # the latent in space, relative to the flat picture


SMALLEST = 0.83  # ... at the least, so that its name can be read


MAX_HIGH = 1.8  # and how high it may be in a frame that is not wide


RISER = 0.2  # from the line that rises on a card to its keys and values


def _halves(box: Box, shares: tuple[int, int]) -> tuple[Box, Box | None]:
    """A box cut in two parts beside each other, widths as shares; one part if one share is 0."""
    first, second = shares
    if not second:
        return box, None
    width = (box.width - ROPE_GAP) * first / (first + second)
    left = Box.of(box.left, box.left + width, box.bottom, box.top)
    return left, Box.of(left.right + ROPE_GAP, box.right, box.bottom, box.top)


@dataclass(frozen=True)
class NaiveLayout:
    """A latent that is expanded into the keys and values of one head.

    Attributes
    ----------
    head
        Queries, keys, values and what comes of them.
    x
        Box of X's cells.
    x_words
        Where each word beside X ends.
    word_size
        Text size of the words; 0 where rows are too low for words.
    latent, rope
        Boxes of the latent and of the shared rotated key, if there is one.
    w_dkv, w_q, w_uk, w_uv, w_o
        Boxes of the weights' names.
    out
        Box of the layer's output, to the right of the picture.
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
    w_o: Box
    out: Box

    upright: ClassVar[bool] = False
    """Whether the latent stands beside X and the output below the picture."""

    @staticmethod
    def of(
        head: HeadLayout, *, count: int, cached: tuple[int, int], sizes: Sequence[float]
    ) -> NaiveLayout:
        """Around the slots of a head.

        Parameters
        ----------
        head
            Where its panels stand.
        count
            Token rows.
        cached
            Columns of the latent and of the shared rotated key.
        sizes
            Text sizes that words may have: the wanted and the least.
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
        # X stands at the height of the queries and is as tall as fits above the latent.
        top = stage.top - 0.02 - HEADER
        foot = whole.top + WEIGHT_BOX[1] + 2 * ARROW
        height = min(MAX_ROW_X * count, top - foot)
        y = float(np.clip(head.q.y, foot + height / 2, top - height / 2))
        x = Box(head.x.x, y, head.x.width, height)
        wanted, least = sizes
        size = min(wanted, 0.88 * height / count / FRAME_HEIGHT)
        w_o = Box(head.z.right + ARROW + MERGED / 2, head.z.y, *WEIGHT_BOX)
        out_left = w_o.x + MERGED / 2 + ARROW
        return cls(
            head=head,
            x=x,
            x_words=row_points(x.left - WORD_GAP, x, count),
            word_size=size if size >= least else 0.0,
            latent=latent,
            rope=rope,
            w_dkv=Box(x.x, (x.bottom + whole.top) / 2, *WEIGHT_BOX),
            w_q=head.w_q,
            w_uk=head.w_k,
            w_uv=head.w_v,
            w_o=w_o,
            out=Box.of(out_left, out_left + OUT_WIDTH, head.z.bottom, head.z.top),
        )

    @property
    def cached(self) -> Box:
        """All that is cached."""
        return self.latent if self.rope is None else Box.around([self.latent, self.rope])

    @property
    def trunk(self) -> float:
        """x of the line that carries the latent up and down to the two expansions."""
        return (self.cached.right + self.w_uk.left) / 2

    @property
    def riser(self) -> float:
        """x of the line that comes up in a card of the rack and leads to keys and values."""
        return self.head.q.left - RISER

    # Lines, as their corners

    @property
    def to_latent(self) -> tuple[Path, Path]:
        """From X to the weight that makes the latent, and from there to the latent."""
        x = self.x.x
        return (
            ((x, self.x.bottom - GAP), (x, self.w_dkv.top)),
            ((x, self.w_dkv.bottom), (x, self.cached.top + GAP)),
        )

    def to_query(self, weight: Box) -> Path:
        """From X to the query's weight."""
        y = self.head.q.y
        return ((self.x.right + GAP, y), (weight.left, y))

    def from_latent(self, y: float, *rest: Point) -> Path:
        """From the latent along the trunk to a height, and on."""
        start = (self.cached.right + GAP, self.cached.y)
        return (start, (self.trunk, start[1]), (self.trunk, y), *rest)

    def to_output_weight(self, weight: Box) -> Path:
        """From the mix to the output's weight."""
        return ((self.head.z.right + GAP, weight.y), (weight.left, weight.y))

    @property
    def w_qk(self) -> Box:
        """Where the query's weight is merged with the keys' expansion."""
        right = self.head.q.left - ARROW
        return Box.of(right - MERGED, right, self.w_q.bottom, self.w_q.top)

    @property
    def w_vo(self) -> Box:
        """Where the output's weight is merged with the values' expansion."""
        return Box(self.w_o.x, self.w_o.y, MERGED, self.w_o.height)

    @property
    def freed_k(self) -> tuple[float, float]:
        """Where a formula begins when there are no keys any more, under the latent's line."""
        return (self.head.k.left, self.head.k.y - 0.45)

    @property
    def room_k(self) -> float:
        """How wide it may be: up to the words beside the pattern."""
        words = self.head.pattern.left - 2 * WORD_GAP - self.head.pattern_word
        return words - 0.1 - self.head.k.left

    @property
    def freed_v(self) -> tuple[float, float]:
        """Where a formula begins when there are no values any more: beside the latent's line."""
        v, frame = self.head.v, self.head.frame
        return (v.left, v.y - 0.45 if frame.wide else v.y + 0.72)

    @property
    def room_v(self) -> float:
        """How wide it may be: up to where the pattern comes down."""
        return self.head.joint[0] - 0.15 - self.head.v.left

    @property
    def to_output(self) -> Box:
        """From the values to the output, which stands to the right of the picture."""
        left, right = self.w_uv.left - 2 * WORD_GAP, self.out.right
        stage = self.head.frame.stage
        # No wider than the stage, so that words keep their size.
        frame = self.head.frame
        if not frame.wide:
            left = max(left, right - stage.width)
        return Box.of(left, right, stage.bottom, stage.top)


@dataclass(frozen=True)
class UprightNaiveLayout(NaiveLayout):
    """The same in a frame that is higher than wide.

    The latent stands beside X, at the same height, and the output below the picture.
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
        wanted, least = sizes
        size = min(wanted, 0.94 * x.height / count / FRAME_HEIGHT)
        height = min(head.v.height, MAX_OUT)
        top = head.z.bottom - 2 * OUT_DOWN
        out = Box.of(right - 2 * OUT_WIDTH, right, top - height, top)
        return cls(
            head=head,
            x=x,
            x_words=row_points(x.left - WORD_GAP, x, count),
            word_size=size if size >= least else 0.0,
            latent=latent,
            rope=rope,
            w_dkv=Box((x.right + whole.left) / 2, x.y, *WEIGHT_BOX),
            w_q=head.w_q,
            w_uk=head.w_k,
            w_uv=head.w_v,
            w_o=Box(out.left - ARROW - MERGED / 2, out.y, *WEIGHT_BOX),
            out=out,
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

    def to_output_weight(self, weight: Box) -> Path:
        z, turn = self.head.z, self.head.z.bottom - OUT_DOWN
        left = self.w_o.x - MERGED / 2 - ARROW
        start = (z.x, z.bottom - GAP)
        return (start, (z.x, turn), (left, turn), (left, weight.y), (weight.left, weight.y))

    @property
    def w_qk(self) -> Box:
        return Box.of(self.w_q.left - 0.1, self.head.q.left - 0.2, self.w_q.bottom, self.w_q.top)

    @property
    def to_output(self) -> Box:
        """A stage further down, so that the output is seen too."""
        stage = self.head.frame.stage
        foot = min(self.out.y - NOTES_BELOW, self.out.bottom - BELOW) - 0.1
        return stage.moved(dy=min(0.0, foot - stage.bottom))


@dataclass(frozen=True)
class HeadStackShots:
    """Where the shared latent stands in space, and the shots of both racks."""

    head_stack: HeadStackLayout
    latent: Box
    depth: float
    seen: Shot

    @classmethod
    def beneath(cls, head_stack: HeadStackLayout, latent: Box, riser: float) -> HeadStackShots:
        """The latent below the cards' left edge, beside the lines that rise to keys and values."""
        frame = head_stack.head.frame
        # One that is as high as X would hide the cards.
        grown = min(ENLARGED, max(SMALLEST, MAX_HIGH / latent.height)) if frame.tall else ENLARGED
        width, height = grown * latent.width, grown * latent.height
        y = head_stack.card.bottom - SPINE_ROOM + LIFT * height
        place = Box(riser - FEED_ROOM - width / 2, y, width, height)
        depth = head_stack.z(0)
        room = place.grown(0.0, ENLARGED * (UNDER + HEADER))
        points = np.concatenate([head_stack.room, prism_corners(room, depth, depth)])
        turn = 38 if frame.wide else 33
        seen = shot_on(points, frame, theta=-turn, phi=17, width=0.9, height=1.0)
        return cls(head_stack, place, depth, seen)

    @classmethod
    def beside(cls, head_stack: HeadStackLayout, latent: Box, level: float) -> HeadStackShots:
        """The latent to the left of the cards, at a height and at half their depth."""
        place, depth = head_stack.shared(latent.moved(dy=level - latent.y), range(head_stack.count))
        points = np.concatenate([head_stack.room, prism_corners(place, depth, depth)])
        seen = shot_on(points, head_stack.head.frame, theta=-34, phi=20, width=0.9)
        return cls(head_stack, place, depth, seen)

    @property
    def spine(self) -> float:
        """Height of the spine of the upright comb beneath the cards."""
        return self.head_stack.card.bottom - SPINE_ROOM

    @property
    def near(self) -> Shot:
        """Close to the latent, with the heads behind it."""
        points = prism_corners(self.latent.grown(0.2), self.depth, self.depth)
        frame = self.head_stack.head.frame
        stage = frame.stage
        if frame.tall:
            into = stage.moved(-0.16 * stage.width, 0.1 * stage.height)
            return shot_on(points, frame, theta=-28, phi=18, width=0.5, height=0.5, into=into)
        into = stage.moved(-0.22 * stage.width)
        return shot_on(points, frame, theta=-28, phi=18, width=0.34, height=0.5, into=into)

    @property
    def _words_below(self) -> bool:
        """Whether they stand below, for want of room between the latent and the heads."""
        frame = self.head_stack.head.frame
        return not (frame.wide or frame.tall)

    @property
    def words_top(self) -> float:
        """From there to the top of the words, in units of the frame."""
        if self._words_below:
            return -WORDS_BELOW
        return WORDS_ABOVE + (NAME_ABOVE if self.head_stack.head.frame.tall else 0.0)

    @property
    def said(self) -> tuple[float, float, float]:
        """The corner of the latent at which words about it stand."""
        y = self.latent.bottom if self._words_below else self.latent.top
        return (self.latent.left, y, self.depth)
