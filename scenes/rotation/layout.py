"""Layouts of the scene about rotation and the latent: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import HEADER, WORD_GAP, Box, Frame, Path, Point

__all__ = ["MatricesLayout", "PartsLayout", "SlideLayout"]

# Lengths are in scene units.
FORMULA_LINE = 1.5  # room for a formula at the top
NUMBER_LINE = 1.25  # room for a figure with its words below a panel
ASIDE = 3.0  # the same beside a panel in a tall frame
SIGN = 0.5  # room for a sign between two panels
JOINT = 0.2  # between the latent and the rotated key, which are kept side by side
TOTAL_LINE = 1.9  # room below what is cached for what both are, and for their sum
ABOVE = 0.12  # free above the titles at the top
DOWN = 0.5  # from what is cached down to the titles of the panels, for arrows


@dataclass(frozen=True)
class MatricesLayout:
    """Layout of a formula and of one matrix at several distances below it.

    Attributes
    ----------
    formula
        Center of the formula when it stands alone, and at the top.
    matrices
        Boxes of the matrices.
    numbers
        Centers of the figures below them.
    number_room
        Largest width of the words below a figure.
    """

    formula: tuple[Point, Point]
    matrices: tuple[Box, ...]
    numbers: tuple[Point, ...]
    number_room: float

    @classmethod
    def of(cls, frame: Frame, *, count: int) -> MatricesLayout:
        """Lay out ``count`` matrices side by side, or one below the other in a tall frame."""
        stage = frame.stage
        room = Box.of(stage.left, stage.right, stage.bottom, stage.top - FORMULA_LINE)
        if frame.tall:
            number_room = ASIDE
            parts = room.split_rows(count, 0.3)
            boxes = tuple(
                Box.of(part.left, part.right - ASIDE, part.bottom, part.top - HEADER).fit(1, 1)
                for part in parts
            )
            numbers = tuple(
                (part.right - ASIDE / 2, box.y) for part, box in zip(parts, boxes, strict=True)
            )
        else:
            parts = room.split_columns(count, 0.5)
            number_room = parts[0].width
            boxes = tuple(
                Box.of(part.left, part.right, part.bottom + NUMBER_LINE, part.top - HEADER).fit(
                    1, 1
                )
                for part in parts
            )
            numbers = tuple((box.x, box.bottom - 0.55) for box in boxes)
        return cls(
            formula=((stage.x, stage.y - 0.5), (stage.x, stage.top - FORMULA_LINE / 2)),
            matrices=boxes,
            numbers=numbers,
            number_room=number_room,
        )


@dataclass(frozen=True)
class SlideLayout:
    """Layout of two words whose distance slides, above the chart of their score.

    Attributes
    ----------
    words
        y of the word of the key, and below it of the query, which may pass under it.
    chart
        Box of the chart.
    """

    words: tuple[float, float]
    chart: Box

    @classmethod
    def of(cls, frame: Frame) -> SlideLayout:
        """Lay out the words at the top, and the chart below them."""
        stage = frame.stage
        top = stage.top - 1.6
        bottom = stage.bottom if frame.wide else max(stage.bottom, top - 0.9 * stage.width)
        return cls(
            words=(stage.top - 0.4, stage.top - 0.95),
            chart=Box.of(stage.left, stage.right, bottom, top),
        )


@dataclass(frozen=True)
class PartsLayout:
    """Layout of what is cached, alone and above the parts of the scores.

    Attributes
    ----------
    latent, rope
        Boxes of the latent and of the rotated key when they stand alone.
    latent_above, rope_above
        The same above the scores.
    words_right
        x at which the words of the rows end.
    notes
        Left ends of the notes on both, below them, when they stand alone.
    total
        Left end of their sum, below.
    panels
        Boxes of the part that is not rotated, the rotated part, the scores and the pattern.
    signs
        Centers of the plus sign, the equals sign and the arrow between them.
    arrows
        Lines from what is cached down to the parts of the scores that it makes.
    """

    latent: Box
    rope: Box
    latent_above: Box
    rope_above: Box
    words_right: float
    notes: tuple[Point, Point]
    total: Point
    panels: tuple[Box, ...]
    signs: tuple[Point, ...]
    arrows: tuple[Path, ...]

    @classmethod
    def of(
        cls, frame: Frame, *, count: int, sizes: tuple[int, int], word_width: float
    ) -> PartsLayout:
        """Lay out the parts.

        Parameters
        ----------
        frame
            The frame.
        count
            Number of positions.
        sizes
            Numbers of the latent and of the rotated key.
        word_width
            Largest width of a word beside a row.
        """
        stage = frame.stage
        left = stage.left + word_width + WORD_GAP
        highest = (1.1 if frame.tall else 0.62) * (stage.right - left)
        room_below = stage.height - HEADER - ABOVE - TOTAL_LINE
        height = min(room_below, 0.5 * count, highest)
        top = stage.top - HEADER - ABOVE - (room_below - height) / 2
        latent, rope = _beside(Box.of(left, stage.right, top - height, top), sizes)
        above = min(0.25 * stage.height, 0.3 * count)
        small_top = stage.top - HEADER - ABOVE
        scale = 1.0 if frame.upright else 0.72
        width = (stage.right - left) * scale
        middle = (left + stage.right) / 2
        latent_above, rope_above = _beside(
            Box.of(middle - width / 2, middle + width / 2, small_top - above, small_top), sizes
        )
        # A second row begins with a sign.
        begin = max(left, stage.left + SIGN) if frame.upright else left
        room = Box.of(begin, stage.right, stage.bottom, latent_above.bottom - DOWN)
        rows, columns = (2, 2) if frame.upright else (1, 4)
        side = min(
            (room.width - SIGN * columns) / columns,
            room.height / rows - HEADER - 0.05,
        )
        pitch_x, pitch_y = side + SIGN, side + HEADER + 0.1
        start_x = room.x - (pitch_x * columns - SIGN) / 2 + side / 2
        start_y = room.y + (pitch_y * rows - HEADER) / 2 - side / 2 - HEADER / 2
        panels = tuple(
            Box(
                start_x + pitch_x * (number % columns),
                start_y - pitch_y * (number // columns),
                side,
                side,
            )
            for number in range(4)
        )
        signs = tuple((panel.right + SIGN / 2, panel.y) for panel in panels[:3])
        if frame.upright:
            signs = (signs[0], (panels[2].left - SIGN / 2, panels[2].y), signs[2])
        note = latent.bottom - 0.42
        arrows = tuple(
            _down(cached, panel)
            for cached, panel in zip((latent_above, rope_above), panels[:2], strict=True)
        )
        return cls(
            latent=latent,
            rope=rope,
            latent_above=latent_above,
            rope_above=rope_above,
            words_right=left - WORD_GAP,
            notes=((latent.left, note), (rope.left, note)),
            total=(latent.left, note - 0.8),
            panels=panels,
            signs=signs,
            arrows=arrows,
        )


def _beside(box: Box, sizes: tuple[int, int]) -> tuple[Box, Box]:
    """Return the boxes of the latent and of the rotated key: a channel is as wide in both."""
    latent, rope = box.split_columns(sizes, JOINT)
    return latent, rope


def _down(cached: Box, panel: Box) -> Path:
    """Return the line from what is cached down to the right of the title of a panel."""
    x, turn = panel.right - 0.3, cached.bottom - 0.2
    start = min(max(x, cached.left + 0.2), cached.right - 0.2)
    end = (x, panel.top + 0.08)
    if abs(start - x) < 1e-6:
        return ((x, cached.bottom - 0.06), end)
    return ((start, cached.bottom - 0.06), (start, turn), (x, turn), end)
