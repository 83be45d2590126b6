"""Layouts of the scene about multi-head latent attention: pure geometry."""

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
    "CachedBarsLayout",
    "ChartLayout",
    "OutputComparisonLayout",
    "PatternComparisonLayout",
    "ReconstructionLayout",
]


# Lengths are in scene units unless a comment says otherwise.
CAPTION = 0.9  # height of the words below patterns that stand one below the other
STEP_ROOM, STEP_WIDTH = 0.95, 2.0  # from a pattern to the words beside it, and their width
# From the middle of the row of latents up and down to the latent's lines to the scores and to the
# mix, as parts of the row's height.
KEY_LEVEL, VALUE_LEVEL = 0.27, 0.2


@dataclass(frozen=True)
class AbsorbedLayout:
    """Layout of the absorbed form, in which a head reads the latent directly.

    Attributes
    ----------
    naive
        Layout of the naive form; X and its words stay where they are there.
    head
        Panels that a card of the stack of heads has: ``q`` for the queries in the latent space,
        ``k_t`` for the transposed latent, ``z`` for the mix of latents, scores and pattern.
    latent, rope
        Boxes of the latent and of the shared rotated key, if there is one.
    w_dkv, w_qk, w_vo
        Boxes of the weights' names.
    out
        Box of the layer's output.
    key_line, value_line
        y of the lines from the latent to the scores and to the mix.
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
        """Lay out a high frame: X and latent stay, mix and output stand where the values were."""
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
        """Lay out the absorbed form, starting from the naive one.

        ``cached`` are the columns of the latent and of the shared rotated key.
        """
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
        """Box around everything that is cached."""
        return self.latent if self.rope is None else Box.around([self.latent, self.rope])

    @property
    def level(self) -> float:
        """y of the row in which the latents are mixed."""
        return self.head.z.y

    @property
    def joint(self) -> tuple[float, float]:
        """Point where the line from the pattern meets the latent's line to the mix."""
        return (self.head.z.left - 0.34, self.value_line)

    def to_query(self) -> Path:
        """Return the line from X to the merged weight of the queries."""
        if self.naive.upright:
            return self.naive.to_query(self.w_qk)
        y = self.head.q.y
        return ((self.naive.x.right + GAP, y), (self.w_qk.left, y))

    @property
    def to_latent(self) -> tuple[Path, Path]:
        """Lines from X to the weight of the latent, and from there to the latent."""
        if self.naive.upright:
            return self.naive.to_latent
        x = self.naive.x.x
        return (
            ((x, self.naive.x.bottom - GAP), (x, self.w_dkv.top)),
            ((x, self.w_dkv.bottom), (x, self.cached.top + GAP)),
        )

    def feed(self, level: float, edge: float) -> Path:
        """Return the line from the latent to x = ``edge`` of a card, at y = ``level``."""
        if self.naive.upright:
            return self.naive.from_latent(level, (edge, level))
        return ((self.cached.right + GAP, level), (edge, level))

    @property
    def bend(self) -> float:
        """x at which the latent's line to the scores turns upwards."""
        return min(self.head.k_t.x, self.joint[0] - 0.24)


@dataclass(frozen=True)
class ReconstructionLayout:
    """Layout of rebuilt keys and values beside the true ones, with the errors in between.

    Attributes
    ----------
    true_k, true_v
        Boxes of the true keys and values.
    error_k, error_v
        Centers of their errors.
    camera_box
        Box that the camera shows.
    line
        Distance from such a center to the line of the number above it.
    remark
        Center of the remark above.
    """

    true_k: Box
    true_v: Box
    error_k: tuple[float, float]
    error_v: tuple[float, float]
    camera_box: Box
    line: float
    remark: tuple[float, float]

    @classmethod
    def of(cls, naive: NaiveLayout, room: float) -> ReconstructionLayout:
        """Lay out the true panels to the right of the naive form's, at a distance of ``room``."""
        head = naive.head
        shift = head.k.width + room
        k, v = head.k.moved(dx=shift), head.v.moved(dx=shift)
        middle = head.k.right + room / 2
        whole = Box.of(naive.w_uk.left - 0.3, k.right, v.bottom - 0.3, k.top + HEADER + 0.5)
        camera_box, _ = shot_box(whole, head.frame)
        return cls(
            true_k=k,
            true_v=v,
            error_k=(middle, k.y),
            error_v=(middle, v.y),
            camera_box=camera_box,
            line=0.2,
            remark=(k.x, k.top + HEADER + 0.26),
        )


def _step_points(x: float, y: float, lines: int) -> tuple[Point, ...]:
    """Return the points of a step's name and of the small lines below it, around (x, y)."""
    return ((x, y + 0.3), *((x, y - 0.26 - 0.25 * line) for line in range(lines)))


@dataclass(frozen=True)
class PatternComparisonLayout:
    """Layout of two or three patterns, with a step between each and the next.

    A step is an arrow with words: how much attention moves, and why.

    Attributes
    ----------
    boxes
        Boxes of the patterns' cells.
    words
        Points where the words beside the first pattern end.
    arrows
        Corners of the arrow of each step.
    steps
        For each step the points of its name and of the small lines below.
    align
        Whether these points are the centers ("center") or the left ends ("left") of the lines.
    caption
        Center of the caption of all patterns.
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
        word_width: float,
        name_width: float,
        lines: int,
    ) -> PatternComparisonLayout:
        """Lay out the patterns: one below the other in a high frame, else side by side.

        Parameters
        ----------
        frame
            The picture's edge.
        patterns
            Number of patterns.
        count
            Number of rows of a pattern.
        word_width
            Width of the longest word beside the first pattern.
        name_width
            Width of the longest name above a pattern.
        lines
            Largest number of small lines below the name of a step.
        """
        if frame.tall:
            return cls._stacked(frame, patterns, count, word_width, lines)
        if frame.wide:
            return cls._steps_between(frame, patterns, count, word_width, lines)
        return cls._steps_below(frame, patterns, count, word_width, name_width, lines)

    @classmethod
    def _stacked(
        cls, frame: Frame, patterns: int, count: int, word_width: float, lines: int
    ) -> PatternComparisonLayout:
        """Lay out patterns one below the other, with steps at the right of the arrows."""
        stage = frame.stage
        pitch = (stage.height - CAPTION - 0.15) / patterns
        side = min(pitch - HEADER - 0.2, 0.5 * count + 0.6)
        side = min(side, stage.width - word_width - WORD_GAP - STEP_ROOM - STEP_WIDTH)
        pitch = min(pitch, side + HEADER + 0.9)
        width = word_width + WORD_GAP + side + STEP_ROOM + STEP_WIDTH
        left = stage.x - width / 2 + word_width + WORD_GAP
        top = stage.y + (pitch * patterns + CAPTION - 0.15) / 2 - HEADER
        boxes = tuple(
            Box.of(left, left + side, top - pitch * i - side, top - pitch * i)
            for i in range(patterns)
        )
        turn = left + side + STEP_ROOM - 0.25
        arrows = tuple(
            ((a.right + 0.15, a.y), (turn, a.y), (turn, b.y), (b.right + 0.15, b.y))
            for a, b in pairwise(boxes)
        )
        return cls(
            boxes=boxes,
            words=row_points(left - WORD_GAP, boxes[0], count),
            arrows=arrows,
            steps=tuple(
                _step_points(turn + 0.25, (a.y + b.y) / 2 + 0.1, lines) for a, b in pairwise(boxes)
            ),
            align="left",
            caption=(stage.x, boxes[-1].bottom - CAPTION / 2),
        )

    @classmethod
    def _steps_below(
        cls,
        frame: Frame,
        patterns: int,
        count: int,
        word_width: float,
        name_width: float,
        lines: int,
    ) -> PatternComparisonLayout:
        """Lay out patterns side by side, with steps below the arrows."""
        stage = frame.stage
        gaps = patterns - 1
        max_side = (stage.width - word_width - WORD_GAP - 0.5 * gaps) / patterns
        below = 1.7 + 0.25 * lines  # arrow, step and caption
        side = min(max_side, stage.height - HEADER - below - 0.3, 0.5 * count + 0.6)
        pitch = max(side + 0.5, name_width + 0.25, 2.0)
        # The last name may be wider than its pattern and reach beyond it at the right.
        side = min(side, 2 * (stage.width - word_width - WORD_GAP - pitch * gaps) - name_width)
        # A name may reach beyond its pattern on both sides.
        beside = max(word_width + WORD_GAP, (name_width - side) / 2)
        width = beside + pitch * gaps + side + max(0.0, (name_width - side) / 2)
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
    def _steps_between(
        cls, frame: Frame, patterns: int, count: int, word_width: float, lines: int
    ) -> PatternComparisonLayout:
        """Lay out patterns side by side, with steps between them."""
        stage, room = frame.stage, 2.3
        gaps = patterns - 1
        side = (stage.width - word_width - WORD_GAP - room * gaps) / patterns
        side = min(side, stage.height - 2.4, 0.5 * count + 0.6)
        width = word_width + WORD_GAP + side * patterns + room * gaps
        left = stage.x - width / 2 + word_width + WORD_GAP
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
    """Layout of a chart with a heading above and its source below.

    Attributes
    ----------
    title, source
        Centers of the heading and of the source.
    chart
        Box of the chart.
    """

    title: Point
    chart: Box
    source: Point

    @classmethod
    def of(cls, frame: Frame, *, width: float = 0.8, max_ratio: float = np.inf) -> ChartLayout:
        """Lay out a chart.

        Parameters
        ----------
        frame
            The picture's edge.
        width
            Width of the chart, as a part of the stage's; a high frame is filled.
        max_ratio
            Largest height of the chart, in widths of the chart.
        """
        stage = frame.stage
        across = stage.width if frame.upright else stage.width * width
        down = min(stage.height - 1.25, max_ratio * across)
        bottom = stage.bottom + 0.5 + (stage.height - 1.25 - down) / 2
        chart = Box.of(stage.x - across / 2, stage.x + across / 2, bottom, bottom + down)
        return cls(
            title=(stage.x, chart.top + 0.5),
            chart=chart,
            source=(stage.x, chart.bottom - 0.36),
        )


@dataclass(frozen=True)
class CachedBarsLayout:
    """Layout of two pairs of bars, each with a heading and a scale of its own.

    Attributes
    ----------
    titles
        Left ends of the headings.
    bars
        Boxes of the pairs of bars.
    remark
        Left end of the remark below.
    captioned
        Whether the names of the bars stand below them, because the frame is no wider than high.
    note_drop
        From a heading's line down to its note; 0 if the note stands beside it.
    """

    titles: tuple[Point, Point]
    bars: tuple[Box, Box]
    remark: Point
    captioned: bool
    note_drop: float

    @classmethod
    def of(cls, frame: Frame) -> CachedBarsLayout:
        stage, captioned = frame.stage, frame.upright
        half, title = min(stage.height / 2, 5.4), 0.5
        note_drop = 0.36 if captioned else 0.0
        tops = (stage.y + half - 0.12, stage.y)
        boxes = tuple(
            Box.of(stage.left, stage.right, top - half + 0.5, top - title - note_drop)
            for top in tops
        )
        return cls(
            titles=((stage.left, tops[0] - title / 2), (stage.left, tops[1] - title / 2)),
            bars=(boxes[0], boxes[1]),
            remark=(stage.left, stage.y - half + 0.2),
            captioned=captioned,
            note_drop=note_drop,
        )


@dataclass(frozen=True)
class OutputComparisonLayout:
    """Layout of the outputs of both forms, large, with notes between and below them.

    Attributes
    ----------
    naive, absorbed
        Boxes of the outputs.
    sign
        Center of the equals sign between them.
    total
        Center of the line with the largest difference.
    notes
        Centers of the small lines below.
    """

    naive: Box
    absorbed: Box
    sign: tuple[float, float]
    total: tuple[float, float]
    notes: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> OutputComparisonLayout:
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
        below = second.bottom - 0.62
        return cls(
            naive=first,
            absorbed=second,
            sign=sign,
            total=(stage.x, below),
            notes=tuple((stage.x, below - 0.45 - 0.32 * i) for i in range(2)),
        )
