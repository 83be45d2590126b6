"""Where things stand in the pictures of multi-head latent attention: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from filmkit.core.geometry import HEADER, WORD_GAP, Box, Frame, Path, Point, row_points, shot_box
from filmkit.mobjects.head_layout import MIN_SHEET, WEIGHT_BOX, HeadLayout
from filmkit.mobjects.latent_layout import (
    ARROW,
    BELOW,
    GAP,
    MERGED,
    NOTES_BELOW,
    OUT_WIDTH,
    NaiveLayout,
    _halves,
)

__all__ = [
    "AbsorbedLayout",
    "CachedLayout",
    "ChartLayout",
    "CompareLayout",
    "OutputLayout",
    "PatternLayout",
]


CAPTION = 0.9  # room for words below pictures that stand below each other
STEP_ROOM, STEP_WIDTH = 0.95, 2.0  # from a pattern to words about it, and how wide they are
KEY_LEVEL, VALUE_LEVEL = 0.27, 0.2  # of a row's height: from its middle to the latent's lines


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
