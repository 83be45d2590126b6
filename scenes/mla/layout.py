"""Layouts of the scene about multi-head latent attention: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from filmkit.core.geometry import HEADER, Box, Frame, Point
from filmkit.mobjects.head_layout import MIN_SHEET, HeadLayout
from filmkit.mobjects.latent_layout import (
    BELOW,
    NOTES_BELOW,
    NaiveLayout,
    _halves,
)

__all__ = [
    "AbsorbedLayout",
    "LossLayout",
    "OutputComparisonLayout",
]


# Lengths are in scene units unless a comment says otherwise.
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
    key_line, value_line
        y of the lines from the latent to the scores and to the mix.
    """

    naive: NaiveLayout
    head: HeadLayout
    latent: Box
    rope: Box | None
    key_line: float
    value_line: float

    @classmethod
    def _upright(cls, naive: NaiveLayout) -> AbsorbedLayout:
        """Lay out a high frame: X and latent stay, the mix stands where the values were."""
        old = naive.head
        stage, height = old.frame.stage, old.v.height
        level = max(old.v.y, stage.bottom + max(BELOW + height / 2, NOTES_BELOW))
        left = old.q.left + 0.75
        z = Box.of(left, left + old.q.width, level - height / 2, level + height / 2)
        return cls(
            naive=naive,
            head=replace(old, k=naive.latent, v=naive.latent, z=z),
            latent=naive.latent,
            rope=naive.rope,
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
        width = min(old.k_t.left - 0.36 - old.q.left, MIN_SHEET)
        q = Box.of(old.k_t.left - 0.36 - width, old.k_t.left - 0.36, old.q.bottom, old.q.top)
        right = old.pattern.right
        z = Box.of(right - width, right, level - height / 2, level + height / 2)
        left = naive.cached.left
        latent, rope = _halves(Box.of(left, left + width, z.bottom, z.top), cached)
        lines = (level + KEY_LEVEL * height, level - VALUE_LEVEL * height)
        return cls(
            naive=naive,
            head=replace(old, q=q, k=latent, v=latent, z=z),
            latent=latent,
            rope=rope,
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

    @property
    def bend(self) -> float:
        """x at which the latent's line to the scores turns upwards."""
        return min(self.head.k_t.x, self.joint[0] - 0.24)


REMARK = 0.36  # height of the remark below what is lost, in scene units


@dataclass(frozen=True)
class LossLayout:
    """Layout of rebuilt keys and values, the true ones, and what differs.

    Attributes
    ----------
    keys, values
        Boxes of the rebuilt panel, the true one and the difference.
    signs
        Centers of the minus and the equals sign between the panels of each row.
    errors
        Center of each row's relative error; its word is below it.
    error_room
        Largest width of that word.
    remark
        Center of the remark above.
    """

    keys: tuple[Box, ...]
    values: tuple[Box, ...]
    signs: tuple[Point, ...]
    errors: tuple[Point, Point]
    error_room: float
    remark: Point

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> LossLayout:
        """Lay out two rows of three panels, with the errors beside them or below."""
        stage = frame.stage
        beside = 0.0 if frame.upright else 1.9
        gap = 0.5
        width = (stage.width - beside - 2 * gap) / 3
        below = 1.1 if frame.upright else 0.0
        pitch = (stage.height - REMARK) / 2
        height = min(pitch - HEADER - 0.3 - below, 0.33 * count, 1.2 * width)
        rows = []
        for row in range(2):
            y = stage.top - pitch * (row + 0.5) - (HEADER - below) / 2
            lefts = (stage.left + (width + gap) * column for column in range(3))
            rows.append(tuple(Box(left + width / 2, y, width, height) for left in lefts))
        signs = tuple(((a.right + b.left) / 2, a.y) for boxes in rows for a, b in pairwise(boxes))
        errors = [
            (boxes[2].x, boxes[2].bottom - 0.5)
            if frame.upright
            else (stage.right - beside / 2 + 0.15, boxes[2].y + 0.15)
            for boxes in rows
        ]
        return cls(
            keys=rows[0],
            values=rows[1],
            signs=signs,
            errors=(errors[0], errors[1]),
            error_room=2 * (stage.right - errors[0][0]),
            remark=(stage.x, stage.bottom + 0.14),
        )


@dataclass(frozen=True)
class OutputComparisonLayout:
    """Layout of the outputs of both forms, large, with notes between and below them.

    Attributes
    ----------
    naive, absorbed
        Boxes of the outputs.
    name_rooms
        Largest width of the name of each.
    sign
        Center of the equals sign between them.
    total
        Center of the line with the largest difference.
    notes
        Centers of the small lines below.
    """

    naive: Box
    absorbed: Box
    name_rooms: tuple[float, float]
    sign: tuple[float, float]
    total: tuple[float, float]
    notes: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> OutputComparisonLayout:
        stage = frame.stage
        width, gap = stage.width * 0.43, stage.width * 0.14
        height = min(4.2, 0.5 * count)
        y = stage.y + 0.6
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
        end = stage.right if frame.upright else second.left - 0.2
        return cls(
            naive=first,
            absorbed=second,
            name_rooms=(end - first.left, stage.right - second.left),
            sign=sign,
            total=(stage.x, below),
            notes=tuple((stage.x, below - 0.45 - 0.32 * i) for i in range(2)),
        )
