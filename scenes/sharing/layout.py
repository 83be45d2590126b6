"""Where things stand in the scenes about shared keys and values: pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame, Point
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import prism_corners, shot_on
from filmkit.mobjects.shared_head_stack_layout import LINE

__all__ = ["CacheLayout", "HeadColumns", "PriceLayout"]


NOTE = 0.024 * FRAME_HEIGHT  # a line of small words
TITLE = 0.62  # above a picture, for its name
ROW_GAP = 0.3  # between two rows of panels
COLUMN_GAP = 0.12  # between neighbouring heads, as a share of their pitch
MAX_WIDE = 2.4  # from one head to the next
NAME_WIDTH, FIGURE_WIDTH = 0.7, 1.1  # left and right of a head's panels
MAX_SHEET = 2.6  # width of a panel that is wider than high
MAX_UNIT, MAX_DEPTH = 0.5, 4.6  # thickness of a head in the cache, and of all of them


@dataclass(frozen=True)
class HeadColumns:
    """A column for each head, its panels one below the other.

    In a frame that is much higher than wide each head has a row, its panels beside each other.

    Attributes
    ----------
    rows
        For each row of panels a box for each head.
    names
        Centers of the heads' numbers, above.
    figures
        Centers of a number below each head.
    titles
        Where the name of each row ends; its center, where heads have rows.
    name_title, figure_title
        The same for what names and figures are.
    total
        Center of the first line below everything.
    room
        How wide the name or the figure of a head may be.
    down
        Whether heads stand below each other.
    """

    rows: tuple[tuple[Box, ...], ...]
    names: tuple[Point, ...]
    figures: tuple[Point, ...]
    titles: tuple[Point, ...]
    name_title: Point
    figure_title: Point
    total: Point
    room: float
    down: bool

    @classmethod
    def of(
        cls,
        frame: Frame,
        *,
        heads: int,
        title: float,
        shares: Sequence[float],
        lines: int = 1,
        figures: bool = True,
    ) -> HeadColumns:
        """For some heads.

        Parameters
        ----------
        frame
            The picture's edge.
        heads
            How many columns.
        title
            Room at the left for the rows' names.
        shares
            Height of each row as a share of its panels' width.
        lines
            Of words below everything.
        figures
            Whether each head has a number.
        """
        if frame.tall:
            return cls._down(frame, heads, title, shares, lines, figures)
        stage = frame.stage
        left = stage.left + title + 2 * WORD_GAP
        gaps = ROW_GAP * (len(shares) - 1)
        words = (2.4 + lines) * LINE
        room = stage.height - words - gaps
        pitch = min((stage.right - left) / heads, MAX_WIDE)
        side = min((1 - COLUMN_GAP) * pitch, room / sum(shares))
        # Few heads stand in the middle.
        left += (stage.right - left - pitch * heads) / 2
        top = stage.y + (sum(shares) * side + gaps + words) / 2
        xs = [left + pitch * (i + 0.5) for i in range(heads)]
        rows, y = [], top - LINE
        for share in shares:
            rows.append(tuple(Box.of(x - side / 2, x + side / 2, y - share * side, y) for x in xs))
            y -= share * side + ROW_GAP
        foot = y + ROW_GAP
        return cls(
            rows=tuple(rows),
            names=tuple((x, top - LINE / 2) for x in xs),
            figures=tuple((x, foot - 0.7 * LINE) for x in xs),
            titles=tuple((left - WORD_GAP, row[0].y) for row in rows),
            name_title=(left - WORD_GAP, top - LINE / 2),
            figure_title=(left - WORD_GAP, foot - 0.7 * LINE),
            total=(stage.x, foot - 2.4 * LINE),
            room=0.9 * pitch,
            down=False,
        )

    @classmethod
    def _down(
        cls,
        frame: Frame,
        heads: int,
        title: float,
        shares: Sequence[float],
        lines: int,
        figures: bool,
    ) -> HeadColumns:
        """A row for each head; panels that are wider than high take what width is left."""
        stage = frame.stage
        above, below = 1.5 * LINE, LINE * (lines + 1)
        pitch = min((stage.height - above - below) / heads, MAX_WIDE)
        side = (1 - COLUMN_GAP) * pitch
        beside = NAME_WIDTH + (FIGURE_WIDTH if figures else 0.0)
        # Squares are no wider than their rows are high, and their titles may be wider.
        gap = max(ROW_GAP, title + WORD_GAP - side) if min(shares) == 1 else ROW_GAP
        gaps = gap * (len(shares) - 1)
        sheets = sum(share < 1 for share in shares)
        square = min(side, (stage.width - beside - gaps) / len(shares))
        wide = min(
            (stage.width - beside - gaps - square * (len(shares) - sheets)) / max(1, sheets),
            MAX_SHEET,
        )
        widths = [wide if share < 1 else square for share in shares]
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
        figure_x = left - gap / 2 + FIGURE_WIDTH / 2
        line = top - LINE / 2
        return cls(
            rows=tuple(rows),
            names=tuple((name_x, y) for y in ys),
            figures=tuple((figure_x, y) for y in ys),
            titles=tuple((row[0].x, line) for row in rows),
            name_title=(name_x, line),
            figure_title=(figure_x, line),
            total=(stage.x, ys[-1] - pitch / 2 - 0.9 * LINE),
            room=FIGURE_WIDTH,
            down=True,
        )

    def span(self, row: int, columns: Sequence[int]) -> Box:
        """A box in one row across some columns."""
        return Box.around([self.rows[row][column] for column in columns])


@dataclass(frozen=True)
class CacheLayout:
    """A solid of cached numbers at the left, bars of what is cached at the right.

    In an upright frame the solid stands above. ``above`` says that names stand above their bars,
    and ``fill`` how much of the frame's width and of the stage's height the solid fills.
    """

    bars: Box
    title: Point
    room: Box
    above: bool
    fill: tuple[float, float]

    @staticmethod
    def volume(*, rows: int, heads: int, d_qk: int, d_v: int) -> CacheVolumeLayout:
        """The solid of one layer that could hold every head's keys and values."""
        layout = CacheVolumeLayout.of(rows=rows, units=heads, heads=heads, d_qk=d_qk, d_v=d_v)
        return replace(layout, thickness=min(MAX_UNIT, MAX_DEPTH / heads))

    def shot(self, layout: CacheVolumeLayout, frame: Frame, *, heads: int) -> Shot:
        """From the right and above, with room for every head."""
        corners = prism_corners(layout.front, 0.0, -heads * layout.thickness)
        width, height = self.fill
        return shot_on(corners, frame, width=width, height=height, into=self.room)

    @classmethod
    def of(cls, frame: Frame, *, rows: int) -> CacheLayout:
        """With so many bars."""
        stage, above = frame.stage, not frame.wide
        if frame.upright:
            # Three bars need more of a square, and leave less of it to the solid.
            share = 0.32 if rows > 2 and not frame.tall else 0.4
            height = min((0.9 - share) * stage.height - TITLE, 1.6 * rows)
            most = share * stage.height
            spare = (stage.height - TITLE - height - most) / 3
            foot = stage.bottom + spare
            bars = Box.of(stage.left, stage.right, foot, foot + height)
            return cls(
                bars=bars,
                title=(bars.left, bars.top + 0.5),
                room=Box.of(stage.left, stage.right, bars.top + 1.5 * TITLE, stage.top),
                above=above,
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
            room=Box.of(stage.left, half, stage.bottom, stage.top),
            above=above,
            fill=(0.36, 0.8),
        )


@dataclass(frozen=True)
class PriceLayout:
    """What sharing saves at the left, and what it costs at the right or below.

    Top left corners of words are spots. ``above`` says that names stand above their bars.
    """

    saved_title: Point
    bars: Box
    cost_title: Point
    plot: Box
    source: Point
    above: bool

    @classmethod
    def of(cls, frame: Frame, *, rows: int, lines: int) -> PriceLayout:
        """With so many bars, and so many lines for the source."""
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
                cost_title=(stage.left, title),
                plot=Box.of(stage.left, stage.right, stage.bottom + source + 2 * NOTE, title - 0.5),
                source=(stage.left, stage.bottom + source + 0.1),
                above=True,
            )
        middle = stage.left + 0.45 * stage.width
        top, bottom = stage.top - TITLE - 0.75, stage.bottom + source + NOTE
        return cls(
            saved_title=(stage.left, stage.top - 0.1),
            bars=Box.of(stage.left, middle - 0.4, bottom + 0.6, top),
            cost_title=(middle + 0.4, stage.top - 0.1),
            plot=Box.of(middle + 0.4, stage.right, bottom, top + 0.3),
            source=(stage.left, stage.bottom + source),
            above=not frame.wide,
        )
