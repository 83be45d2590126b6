"""Where things stand in the pictures of multi-head latent attention: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

from filmkit.core.camera import Shot
from filmkit.mobjects.head_layout import (
    FRAME_HEIGHT,
    HEADER,
    MAX_ROW_X,
    MIN_SHEET,
    WEIGHT_BOX,
    WORD_GAP,
    Box,
    Frame,
    HeadLayout,
    row_points,
    shot_box,
)
from filmkit.mobjects.head_stack_layout import HeadStackLayout, prism_corners, shot_on

__all__ = [
    "AbsorbedLayout",
    "CachedLayout",
    "ChartLayout",
    "CompareLayout",
    "HeadStackShots",
    "NaiveLayout",
    "OutputLayout",
    "PatternLayout",
]

Point = tuple[float, float]
Path = tuple[Point, ...]

X_WIDTH = 1.5  # of an X beside the latent
TRUNK = 0.16  # from the trunk to the weights that it leads to, in a high frame
OUT_DOWN = 0.32  # from the mix down to a line that leads below it, and on to the output
MAX_OUT = 1.2  # height of an output that stands there
CAPTION = 0.9  # room for words below pictures that stand below each other
STEP_ROOM, STEP_WIDTH = 0.95, 2.0  # from a pattern to words about it, and how wide they are
GAP = 0.06  # between a panel's side and the end of a line
ARROW = 0.3  # the shortest piece of a line that ends in an arrow head
ROPE_GAP = 0.1  # between the latent and the shared rotated key beside it
OUT_WIDTH = 1.0
KEY_LEVEL, VALUE_LEVEL = 0.27, 0.2  # of a row's height: from its middle to the latent's lines
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
class AbsorbedLayout:
    """The absorbed layout: the same parts, and nothing between the latent and its readers.

    Attributes
    ----------
    naive
        What it comes from; X and its words stay.
    head
        The panels that a card of the rack has: ``q`` for the queries in the latent space, ``k_t``
        for the turned latent, ``z`` for the mix of latents, scores and pattern.
    latent, rope, w_dkv, w_qk, w_vo, out
        Boxes.
    key_line, value_line
        Heights at which the latent leads to the scores and to the mix.
    """

    naive: NaiveLayout
    head: HeadLayout
    latent: Box
    rope: Box | None
    w_dkv: Box
    w_qk: Box
    w_vo: Box
    out: Box
    key_line: float
    value_line: float

    @classmethod
    def _upright(cls, naive: NaiveLayout) -> AbsorbedLayout:
        """X and latent stay; the mix and the output have the place of the values."""
        old, out_width = naive.head, 1.2 * OUT_WIDTH
        stage, height = old.frame.stage, old.v.height
        level = max(old.v.y, stage.bottom + max(BELOW + height / 2, NOTES_BELOW))
        low, high = level - height / 2, level + height / 2
        out = Box.of(old.z.right - out_width, old.z.right, low, high)
        w_vo = Box.of(
            out.left - ARROW - MERGED,
            out.left - ARROW,
            level - WEIGHT_BOX[1] / 2,
            level + WEIGHT_BOX[1] / 2,
        )
        left = old.q.left + 0.75
        z = Box.of(left, min(w_vo.left - ARROW, left + old.q.width), low, high)
        return cls(
            naive=naive,
            head=replace(old, k=naive.latent, v=naive.latent, z=z),
            latent=naive.latent,
            rope=naive.rope,
            w_dkv=naive.w_dkv,
            w_qk=naive.w_qk,
            w_vo=w_vo,
            out=out,
            key_line=level + KEY_LEVEL * height,
            value_line=level - VALUE_LEVEL * height,
        )

    @classmethod
    def of(cls, naive: NaiveLayout, *, cached: tuple[int, int]) -> AbsorbedLayout:
        """From the naive layout; ``cached`` as there."""
        if naive.upright:
            return cls._upright(naive)
        old = naive.head
        stage, height = old.frame.stage, old.q.height
        level = stage.bottom + max(BELOW + height / 2, NOTES_BELOW)
        out = Box(old.pattern.right - OUT_WIDTH / 2, level, OUT_WIDTH, height)
        w_vo = Box.of(
            out.left - ARROW - MERGED, out.left - ARROW, naive.w_o.bottom, naive.w_o.top
        ).moved(dy=level - naive.w_o.y)
        w_qk = Box.of(
            naive.x.right + ARROW + 0.1,
            naive.x.right + ARROW + 0.1 + MERGED,
            old.w_q.bottom,
            old.w_q.top,
        )
        q_left = w_qk.right + ARROW + 0.1
        width = min(old.k_t.left - 0.36 - q_left, MIN_SHEET)
        q = Box.of(old.k_t.left - 0.36 - width, old.k_t.left - 0.36, old.q.bottom, old.q.top)
        z_right = w_vo.left - ARROW
        z = Box.of(z_right - width, z_right, level - height / 2, level + height / 2)
        left = naive.cached.left
        latent, rope = _halves(Box.of(left, left + width, z.bottom, z.top), cached)
        lines = (level + KEY_LEVEL * height, level - VALUE_LEVEL * height)
        return cls(
            naive=naive,
            head=replace(old, q=q, k=latent, v=latent, z=z),
            latent=latent,
            rope=rope,
            w_dkv=Box(naive.x.x, (naive.x.bottom + z.top) / 2, *WEIGHT_BOX),
            w_qk=w_qk,
            w_vo=w_vo,
            out=out,
            key_line=lines[0],
            value_line=lines[1],
        )

    @property
    def cached(self) -> Box:
        """All that is cached."""
        return self.latent if self.rope is None else Box.around([self.latent, self.rope])

    @property
    def level(self) -> float:
        """Height of the row in which the latents are mixed."""
        return self.head.z.y

    @property
    def joint(self) -> tuple[float, float]:
        """Where the pattern comes down upon the latents, on their way to the mix."""
        return (self.head.z.left - 0.34, self.value_line)

    def to_query(self) -> Path:
        """From X to the merged weight of the queries."""
        if self.naive.upright:
            return self.naive.to_query(self.w_qk)
        y = self.head.q.y
        return ((self.naive.x.right + GAP, y), (self.w_qk.left, y))

    @property
    def to_latent(self) -> tuple[Path, Path]:
        """From X through its weight to the latent."""
        if self.naive.upright:
            return self.naive.to_latent
        x = self.naive.x.x
        return (
            ((x, self.naive.x.bottom - GAP), (x, self.w_dkv.top)),
            ((x, self.w_dkv.bottom), (x, self.cached.top + GAP)),
        )

    def feed(self, level: float, edge: float) -> Path:
        """From the latent to the edge of a card, at one of its two heights."""
        if self.naive.upright:
            return self.naive.from_latent(level, (edge, level))
        return ((self.cached.right + GAP, level), (edge, level))

    @property
    def bend(self) -> float:
        """x at which the latent's line to the scores goes up."""
        return min(self.head.k_t.x, self.joint[0] - 0.24)


@dataclass(frozen=True)
class CompareLayout:
    """Keys and values beside the true ones, with the error between."""

    true_k: Box
    true_v: Box
    said_k: tuple[float, float]
    said_v: tuple[float, float]
    seen: Box
    line: float
    remark: tuple[float, float]

    @classmethod
    def of(cls, naive: NaiveLayout, room: float) -> CompareLayout:
        """To the right of keys and values, ``room`` apart."""
        head = naive.head
        shift = head.k.width + room
        k, v = head.k.moved(dx=shift), head.v.moved(dx=shift)
        middle = head.k.right + room / 2
        whole = Box.of(naive.w_uk.left - 0.3, k.right, v.bottom - 0.3, k.top + HEADER + 0.5)
        seen, _ = shot_box(whole, head.frame)
        return cls(
            true_k=k,
            true_v=v,
            said_k=(middle, k.y),
            said_v=(middle, v.y),
            seen=seen,
            line=0.2,
            remark=(k.x, k.top + HEADER + 0.26),
        )


def _step_points(x: float, y: float, lines: int) -> tuple[Point, ...]:
    """Where the name of a step and the small lines below it stand: above and below ``y``."""
    return ((x, y + 0.3), *((x, y - 0.26 - 0.25 * line) for line in range(lines)))


@dataclass(frozen=True)
class PatternLayout:
    """Patterns with room between them for what moved and why.

    Attributes
    ----------
    boxes
        Of their cells.
    words
        Where the words beside the first end.
    arrows
        Corners of the line from each to the next.
    steps
        For each line the spots of its name and of the small lines below.
    align
        Whether these are the middles ("center") or the left ends ("left") of lines of words.
    caption
        Center of what is said of all.
    """

    boxes: tuple[Box, ...]
    words: tuple[Point, ...]
    arrows: tuple[tuple[Point, ...], ...]
    steps: tuple[tuple[Point, ...], ...]
    align: str
    caption: Point

    @classmethod
    def of(
        cls,
        frame: Frame,
        *,
        patterns: int,
        count: int,
        word: float,
        name: float,
        lines: int,
    ) -> PatternLayout:
        """For a frame.

        Parameters
        ----------
        frame
            The picture's edge.
        patterns
            How many patterns ...
        count
            ... of how many rows.
        word
            Width of the longest word beside the first.
        name
            Width of the longest name above a pattern.
        lines
            How many small lines stand below the name of a step.
        """
        if frame.tall:
            return cls._down(frame, patterns, count, word, lines)
        if frame.wide:
            return cls._across(frame, patterns, count, word, lines)
        return cls._above(frame, patterns, count, word, name, lines)

    @classmethod
    def _down(
        cls, frame: Frame, patterns: int, count: int, word: float, lines: int
    ) -> PatternLayout:
        """One below the other; steps at their right, where the arrow turns."""
        stage = frame.stage
        pitch = (stage.height - CAPTION - 0.15) / patterns
        side = min(pitch - HEADER - 0.2, 0.5 * count + 0.6)
        side = min(side, stage.width - word - WORD_GAP - STEP_ROOM - STEP_WIDTH)
        pitch = min(pitch, side + HEADER + 0.9)
        width = word + WORD_GAP + side + STEP_ROOM + STEP_WIDTH
        left = stage.x - width / 2 + word + WORD_GAP
        top = stage.y + (pitch * patterns + CAPTION - 0.15) / 2 - HEADER
        boxes = tuple(
            Box.of(left, left + side, top - pitch * i - side, top - pitch * i)
            for i in range(patterns)
        )
        out = left + side + STEP_ROOM - 0.25
        arrows = tuple(
            ((a.right + 0.15, a.y), (out, a.y), (out, b.y), (b.right + 0.15, b.y))
            for a, b in pairwise(boxes)
        )
        return cls(
            boxes=boxes,
            words=row_points(left - WORD_GAP, boxes[0], count),
            arrows=arrows,
            steps=tuple(
                _step_points(out + 0.25, (a.y + b.y) / 2 + 0.1, lines) for a, b in pairwise(boxes)
            ),
            align="left",
            caption=(stage.x, boxes[-1].bottom - CAPTION / 2),
        )

    @classmethod
    def _above(
        cls, frame: Frame, patterns: int, count: int, word: float, name: float, lines: int
    ) -> PatternLayout:
        """Side by side; steps below, where the arrow turns."""
        stage = frame.stage
        gaps = patterns - 1
        most = (stage.width - word - WORD_GAP - 0.5 * gaps) / patterns
        below = 1.7 + 0.25 * lines  # arrow, step and caption
        side = min(most, stage.height - HEADER - below - 0.3, 0.5 * count + 0.6)
        pitch = max(side + 0.5, name + 0.25, 2.0)
        # The last name may stand out at the right.
        side = min(side, 2 * (stage.width - word - WORD_GAP - pitch * gaps) - name)
        # A name may stand out on either side of its pattern.
        beside = max(word + WORD_GAP, (name - side) / 2)
        width = beside + pitch * gaps + side + max(0.0, (name - side) / 2)
        left = stage.x - width / 2 + beside
        y = stage.y + (below - HEADER) / 2
        boxes = tuple(Box(left + side / 2 + pitch * i, y, side, side) for i in range(patterns))
        turn = y - side / 2 - 0.42
        arrows = []
        for index, (a, b) in enumerate(pairwise(boxes)):
            # Two arrows share the middle pattern: one arrives, one leaves.
            start, end = a.x + (0.2 if index else 0.0), b.x - (0.2 if index < gaps - 1 else 0.0)
            foot = y - side / 2 - 0.1
            arrows.append(((start, foot), (start, turn), (end, turn), (end, foot)))
        steps = tuple(_step_points((a.x + b.x) / 2, turn - 0.66, lines) for a, b in pairwise(boxes))
        return cls(
            boxes=boxes,
            words=row_points(boxes[0].left - WORD_GAP, boxes[0], count),
            arrows=tuple(arrows),
            steps=steps,
            align="center",
            caption=(stage.x, turn - 0.86 - 0.25 * lines - 0.26),
        )

    @classmethod
    def _across(
        cls, frame: Frame, patterns: int, count: int, word: float, lines: int
    ) -> PatternLayout:
        """Side by side, steps between them."""
        stage, room = frame.stage, 2.3
        gaps = patterns - 1
        side = (stage.width - word - WORD_GAP - room * gaps) / patterns
        side = min(side, stage.height - 2.4, 0.5 * count + 0.6)
        width = word + WORD_GAP + side * patterns + room * gaps
        left = stage.x - width / 2 + word + WORD_GAP
        y = stage.y + 0.1
        boxes = tuple(
            Box(left + side / 2 + (side + room) * i, y, side, side) for i in range(patterns)
        )
        arrows = tuple(((a.right + 0.25, y), (b.left - 0.25, y)) for a, b in pairwise(boxes))
        return cls(
            boxes=boxes,
            words=row_points(boxes[0].left - WORD_GAP, boxes[0], count),
            arrows=arrows,
            steps=tuple(_step_points((start[0] + end[0]) / 2, y, lines) for start, end in arrows),
            align="center",
            caption=(stage.x, boxes[0].bottom - 0.5),
        )


@dataclass(frozen=True)
class ChartLayout:
    """A chart between a heading and its source."""

    title: Point
    chart: Box
    source: Point

    @classmethod
    def of(cls, frame: Frame, *, width: float = 0.8, most: float = np.inf) -> ChartLayout:
        """As wide as that share of a wide frame, and no higher than ``most`` widths of it."""
        stage = frame.stage
        across = stage.width if frame.upright else stage.width * width
        down = min(stage.height - 1.25, most * across)
        bottom = stage.bottom + 0.5 + (stage.height - 1.25 - down) / 2
        chart = Box.of(stage.x - across / 2, stage.x + across / 2, bottom, bottom + down)
        return cls(
            title=(stage.x, chart.top + 0.5),
            chart=chart,
            source=(stage.x, chart.bottom - 0.36),
        )


@dataclass(frozen=True)
class CachedLayout:
    """Two pairs of bars, each with its own scale, under their headings.

    ``above`` says that names stand above what they name, for want of width: what is counted
    stands below its heading, ``under`` of its line.
    """

    titles: tuple[Point, Point]
    bars: tuple[Box, Box]
    remark: Point
    above: bool
    under: float

    @classmethod
    def of(cls, frame: Frame) -> CachedLayout:
        stage, above = frame.stage, frame.upright
        half, title = min(stage.height / 2, 5.4), 0.5
        under = 0.36 if above else 0.0
        tops = (stage.y + half - 0.12, stage.y)
        boxes = tuple(
            Box.of(stage.left, stage.right, top - half + 0.5, top - title - under) for top in tops
        )
        return cls(
            titles=((stage.left, tops[0] - title / 2), (stage.left, tops[1] - title / 2)),
            bars=(boxes[0], boxes[1]),
            remark=(stage.left, stage.y - half + 0.2),
            above=above,
            under=under,
        )


@dataclass(frozen=True)
class OutputLayout:
    """The outputs of both forms, large, and what is said between and below them."""

    naive: Box
    absorbed: Box
    sign: tuple[float, float]
    total: tuple[float, float]
    notes: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> OutputLayout:
        stage = frame.stage
        width, gap = stage.width * 0.3, stage.width * 0.14
        height = min(2.9, 0.5 * count)
        y = stage.y + 0.75
        first = Box(stage.x - gap / 2 - width / 2, y, width, height)
        second = Box(stage.x + gap / 2 + width / 2, y, width, height)
        sign = (stage.x, y)
        if frame.upright:
            # One above the other, the sign between them.
            width, gap = min(stage.width, 6.6), 0.7 + HEADER
            words = 1.7
            height = min(height, (stage.height - words - gap - HEADER) / 2)
            top = stage.y + (2 * height + gap + words - HEADER) / 2
            first = Box(stage.x, top - height / 2, width, height)
            second = first.moved(dy=-height - gap)
            sign = (stage.x, first.bottom - (gap - HEADER) / 2)
        under = second.bottom - 0.62
        return cls(
            naive=first,
            absorbed=second,
            sign=sign,
            total=(stage.x, under),
            notes=tuple((stage.x, under - 0.45 - 0.32 * i) for i in range(2)),
        )


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
