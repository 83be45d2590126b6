"""Layouts of the scenes about shared keys and values: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame, Point
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import prism_corners, shot_on
from filmkit.mobjects.shared_head_stack_layout import LINE

__all__ = ["HeadColumnsLayout", "SharedCacheLayout", "TradeOffLayout"]


# Lengths are in scene units.
NOTE = 0.024 * FRAME_HEIGHT  # height of a line of small words
TITLE = 0.62  # height of the title above a picture
ROW_GAP = 0.3  # between two rows of panels
COLUMN_GAP = 0.12  # between neighbouring heads, as a part of their pitch
MAX_PITCH = 2.4  # largest distance from one head to the next
NAME_WIDTH, NUMBER_WIDTH = 0.7, 1.1  # width at the left and right of a head's panels
MAX_SHEET = 2.6  # largest width of a panel that is wider than high
MAX_UNIT, MAX_DEPTH = 0.5, 4.6  # largest thickness of a head in the cache, and of all heads


@dataclass(frozen=True)
class HeadColumnsLayout:
    """Layout of the panels of all heads: a column for each head.

    In a frame that is much higher than wide each head has a row instead, with its panels side by
    side.

    Attributes
    ----------
    rows
        For each kind of panel a box for each head.
    names
        Centers of the heads' names, above.
    numbers
        Centers of the heads' numbers, below.
    titles
        Points where the titles of the kinds of panels end; their centers if ``heads_stacked``.
    name_title, number_title
        The same for the titles of names and of numbers.
    total
        Center of the first line below everything.
    room
        Largest width of the name or the number of a head.
    heads_stacked
        Whether heads stand one below the other.
    """

    rows: tuple[tuple[Box, ...], ...]
    names: tuple[Point, ...]
    numbers: tuple[Point, ...]
    titles: tuple[Point, ...]
    name_title: Point
    number_title: Point
    total: Point
    room: float
    heads_stacked: bool

    @classmethod
    def of(
        cls,
        frame: Frame,
        *,
        heads: int,
        title: float,
        aspects: Sequence[float],
        lines: int = 1,
        numbers: bool = True,
    ) -> HeadColumnsLayout:
        """Lay out the panels of some heads.

        Parameters
        ----------
        frame
            The picture's edge.
        heads
            Number of heads.
        title
            Width at the left for the titles.
        aspects
            Height of each kind of panel, in widths of the panel.
        lines
            Number of lines below everything.
        numbers
            Whether each head has a number.
        """
        if frame.tall:
            return cls._stacked(frame, heads, title, aspects, lines, numbers)
        stage = frame.stage
        left = stage.left + title + 2 * WORD_GAP
        gaps = ROW_GAP * (len(aspects) - 1)
        words = (2.4 + lines) * LINE
        room = stage.height - words - gaps
        pitch = min((stage.right - left) / heads, MAX_PITCH)
        side = min((1 - COLUMN_GAP) * pitch, room / sum(aspects))
        # Few heads stand in the middle.
        left += (stage.right - left - pitch * heads) / 2
        top = stage.y + (sum(aspects) * side + gaps + words) / 2
        xs = [left + pitch * (i + 0.5) for i in range(heads)]
        rows, y = [], top - LINE
        for aspect in aspects:
            rows.append(tuple(Box.of(x - side / 2, x + side / 2, y - aspect * side, y) for x in xs))
            y -= aspect * side + ROW_GAP
        foot = y + ROW_GAP
        return cls(
            rows=tuple(rows),
            names=tuple((x, top - LINE / 2) for x in xs),
            numbers=tuple((x, foot - 0.7 * LINE) for x in xs),
            titles=tuple((left - WORD_GAP, row[0].y) for row in rows),
            name_title=(left - WORD_GAP, top - LINE / 2),
            number_title=(left - WORD_GAP, foot - 0.7 * LINE),
            total=(stage.x, foot - 2.4 * LINE),
            room=0.9 * pitch,
            heads_stacked=False,
        )

    @classmethod
    def _stacked(
        cls,
        frame: Frame,
        heads: int,
        title: float,
        aspects: Sequence[float],
        lines: int,
        numbers: bool,
    ) -> HeadColumnsLayout:
        """Lay out a row for each head; panels that are wider than high share the free width."""
        stage = frame.stage
        above, below = 1.5 * LINE, LINE * (lines + 1)
        pitch = min((stage.height - above - below) / heads, MAX_PITCH)
        side = (1 - COLUMN_GAP) * pitch
        beside = NAME_WIDTH + (NUMBER_WIDTH if numbers else 0.0)
        # Squares are no wider than their rows are high, and their titles may be wider.
        gap = max(ROW_GAP, title + WORD_GAP - side) if min(aspects) == 1 else ROW_GAP
        gaps = gap * (len(aspects) - 1)
        sheets = sum(aspect < 1 for aspect in aspects)
        square = min(side, (stage.width - beside - gaps) / len(aspects))
        wide = min(
            (stage.width - beside - gaps - square * (len(aspects) - sheets)) / max(1, sheets),
            MAX_SHEET,
        )
        widths = [wide if aspect < 1 else square for aspect in aspects]
        x = stage.x - (sum(widths) + gaps + beside) / 2
        top = stage.y + (above + below + pitch * heads) / 2
        ys = [top - above - pitch * (i + 0.5) for i in range(heads)]
        rows, left = [], x + NAME_WIDTH
        for width in widths:
            height = side if width != square else square
            rows.append(tuple(Box(left + width / 2, y, width, height) for y in ys))
            left += width + gap
        # Where a title is wider than its squares, the names keep away from it.
        name_x = x + NAME_WIDTH / 2 - (gap - ROW_GAP + WORD_GAP if gap > ROW_GAP else 0.0)
        number_x = left - gap / 2 + NUMBER_WIDTH / 2
        line = top - LINE / 2
        return cls(
            rows=tuple(rows),
            names=tuple((name_x, y) for y in ys),
            numbers=tuple((number_x, y) for y in ys),
            titles=tuple((row[0].x, line) for row in rows),
            name_title=(name_x, line),
            number_title=(number_x, line),
            total=(stage.x, ys[-1] - pitch / 2 - 0.9 * LINE),
            room=NUMBER_WIDTH,
            heads_stacked=True,
        )

    def span(self, row: int, columns: Sequence[int]) -> Box:
        """Return the box that spans some columns of one row."""
        return Box.around([self.rows[row][column] for column in columns])


@dataclass(frozen=True)
class SharedCacheLayout:
    """Layout of a cache volume at the left, and bars of what is cached at the right.

    In a frame that is not wider than high the volume stands above the bars.

    Attributes
    ----------
    bars
        Box of the bars.
    title
        Left end of the title of the bars.
    volume_room
        Box that the volume may fill.
    captioned
        Whether the names of the bars stand below them, and not at their left.
    fill
        Parts of the frame's width and of the stage's height that the volume fills.
    """

    bars: Box
    title: Point
    volume_room: Box
    captioned: bool
    fill: tuple[float, float]

    @staticmethod
    def volume_layout(*, rows: int, heads: int, d_qk: int, d_v: int) -> CacheVolumeLayout:
        """Lay out the volume of one layer, with room for every head's keys and values."""
        layout = CacheVolumeLayout.of(rows=rows, units=heads, heads=heads, d_qk=d_qk, d_v=d_v)
        return replace(layout, thickness=min(MAX_UNIT, MAX_DEPTH / heads))

    def shot(self, layout: CacheVolumeLayout, frame: Frame, *, heads: int) -> Shot:
        """Return the shot of the volume from the right and above, with room for every head."""
        corners = prism_corners(layout.front, 0.0, -heads * layout.thickness)
        width, height = self.fill
        return shot_on(corners, frame, width=width, height=height, into=self.volume_room)

    @classmethod
    def of(cls, frame: Frame, *, rows: int) -> SharedCacheLayout:
        """Lay out a cache volume and a number of bars."""
        stage, captioned = frame.stage, not frame.wide
        if frame.upright:
            # In a square, three bars need more room and leave less of it to the volume.
            share = 0.32 if rows > 2 and not frame.tall else 0.4
            height = min((0.9 - share) * stage.height - TITLE, 1.6 * rows)
            volume_height = share * stage.height
            spare = (stage.height - TITLE - height - volume_height) / 3
            foot = stage.bottom + spare
            bars = Box.of(stage.left, stage.right, foot, foot + height)
            return cls(
                bars=bars,
                title=(bars.left, bars.top + 0.5),
                volume_room=Box.of(stage.left, stage.right, bars.top + 1.5 * TITLE, stage.top),
                captioned=captioned,
                fill=(0.7, share),
            )
        half = stage.left + 0.42 * stage.width
        height = min(stage.height - TITLE - 0.4, 1.35 * rows)
        bars = Box.of(
            half + 0.3, stage.right, stage.y - height / 2 - 0.2, stage.y + height / 2 - 0.2
        )
        return cls(
            bars=bars,
            title=(bars.left, bars.top + 0.5),
            volume_room=Box.of(stage.left, half, stage.bottom, stage.top),
            captioned=captioned,
            fill=(0.36, 0.8),
        )


@dataclass(frozen=True)
class TradeOffLayout:
    """Layout of what sharing saves, at the left, and of the lost quality, at the right or below.

    Attributes
    ----------
    saved_title, quality_title, source
        Top left corners of lines of words.
    bars
        Box of the bars of what is saved.
    plot
        Box of the plot of quality.
    captioned
        Whether the names of the bars stand below them, and not at their left.
    """

    saved_title: Point
    bars: Box
    quality_title: Point
    plot: Box
    source: Point
    captioned: bool

    @classmethod
    def of(cls, frame: Frame, *, rows: int, lines: int) -> TradeOffLayout:
        """Lay out a number of bars, and a number of lines for the source."""
        stage = frame.stage
        source = NOTE * (1 + 1.35 * (lines - 1))
        if frame.tall:
            bars = Box.of(
                stage.left,
                stage.right,
                stage.top - TITLE - 0.5 - 1.45 * rows,
                stage.top - TITLE - 0.5,
            )
            title = bars.bottom - 0.5
            return cls(
                saved_title=(stage.left, stage.top - 0.3),
                bars=bars,
                quality_title=(stage.left, title),
                plot=Box.of(stage.left, stage.right, stage.bottom + source + 2 * NOTE, title - 0.5),
                source=(stage.left, stage.bottom + source + 0.1),
                captioned=True,
            )
        middle = stage.left + 0.45 * stage.width
        top, bottom = stage.top - TITLE - 0.75, stage.bottom + source + NOTE
        return cls(
            saved_title=(stage.left, stage.top - 0.1),
            bars=Box.of(stage.left, middle - 0.4, bottom + 0.6, top),
            quality_title=(middle + 0.4, stage.top - 0.1),
            plot=Box.of(middle + 0.4, stage.right, bottom, top + 0.3),
            source=(stage.left, stage.bottom + source),
            captioned=not frame.wide,
        )
