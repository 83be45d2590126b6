"""Layout of the scene about shared keys and values: pure geometry, in scene units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filmkit.core.camera import Shot
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import LENS, prism_corners, shot_on

__all__ = ["DISPLAY", "QualityLayout", "SharingLayout"]

DISPLAY = 0.07  # size of the figure that matters, as a fraction of `FRAME_HEIGHT`
FIGURE = DISPLAY * FRAME_HEIGHT
LINE = 0.3  # height of a line of labels
DIAL_HEIGHT, DIAL_NAME, DIAL_END = 1.15, 2.4, 0.9  # of the dial; room at its left and right
BELOW_NOTES = 0.2  # room between the notes at the top and the dial
BAR = 0.36  # height of the bar
APART = 0.25  # between two parts of the picture
SOLID, SOLID_TALL = 0.42, 0.42  # share of the solid: of the width, in tall frames of the height
MAX_PITCH, MAX_DEPTH = 0.8, 6.4  # from one set to the next in depth, and from the first to the last
THICKNESS = 0.62  # of a set, as a share of that pitch
TURN, TILT = 52.0, 18.0  # angles of the shot of the solid, in degrees
MARGIN = 0.16  # around a pattern, as a share of its side
NAMES = 0.5  # below the solid, for its names


@dataclass(frozen=True)
class SharingLayout:
    """A dial at the top; keys and values beside the patterns; a bar at the bottom.

    In a tall frame keys and values stand above the patterns.

    Attributes
    ----------
    dial, bar
        Boxes of the dial, and of the bar at its longest.
    figure
        Left end of the line of the figure above the bar.
    solid
        Where keys and values stand.
    patterns
        Where the patterns stand, and the line above them.
    """

    dial: Box
    bar: Box
    figure: Point
    solid: Box
    patterns: Box

    @classmethod
    def of(cls, frame: Frame) -> SharingLayout:
        """Lay out the parts of the picture."""
        stage = frame.stage
        left, right = stage.left + DIAL_NAME, stage.right - DIAL_END
        top = stage.top - BELOW_NOTES
        dial = Box.of(left, right, top - DIAL_HEIGHT, top)
        bar = Box.of(stage.left, stage.right, stage.bottom, stage.bottom + BAR)
        figure = (stage.left, bar.top + 0.12 + FIGURE / 2)
        top, bottom = dial.bottom - APART, bar.top + FIGURE + 0.12 + APART
        if frame.tall:
            middle = top - SOLID_TALL * (top - bottom)
            solid = Box.of(stage.left, stage.right, middle + APART, top)
            other = Box.of(stage.left, stage.right, bottom, middle)
        else:
            middle = stage.left + SOLID * stage.width
            solid = Box.of(stage.left, middle - APART, bottom, top)
            other = Box.of(middle + APART, stage.right, bottom, top)
        return cls(dial, bar, figure, solid, other)

    @property
    def whole(self) -> Box:
        """Room for keys and values while there are no patterns."""
        return Box.around((self.solid, self.patterns))

    def title(self, count: int) -> Point:
        """Return the left end of the line above the patterns of ``count`` heads."""
        first = self.cells(count)[0]
        return (first.left, first.top + LINE + 0.1 + FIGURE / 2)

    def cells(self, count: int) -> tuple[Box, ...]:
        """Return the boxes of the patterns of ``count`` heads: as large as they can be.

        They are squares in rows; each has room for a number above it.
        """
        room = self.patterns
        room = Box.of(room.left, room.right, room.bottom, room.top - FIGURE - 0.05)

        def side(columns: int) -> float:
            rows = -(-count // columns)
            return min(room.width / columns, room.height / rows - LINE) / (1 + MARGIN)

        columns = max(range(1, count + 1), key=side)
        size, rows = side(columns), -(-count // columns)
        across, down = size * (1 + MARGIN), size * (1 + MARGIN) + LINE
        left, top = room.x - across * columns / 2, room.y + down * rows / 2
        return tuple(
            Box(
                left + across * (place % columns + 0.5),
                top - down * (place // columns) - LINE - size * (1 + MARGIN) / 2,
                size,
                size,
            )
            for place in range(count)
        )


def volume_layout(*, rows: int, heads: int, d_qk: int, d_v: int) -> tuple[CacheVolumeLayout, float]:
    """Return the layout of one set of keys and values, and the pitch from one set to the next."""
    layout = CacheVolumeLayout.of(rows=rows, units=heads, heads=heads, d_qk=d_qk, d_v=d_v)
    pitch = min(MAX_PITCH, MAX_DEPTH / heads)
    return replace(layout, thickness=THICKNESS * pitch), pitch


def shot_of_sets(
    layout: CacheVolumeLayout, pitch: float, frame: Frame, room: Box, *, heads: int
) -> Shot:
    """Return the shot of the sets of all heads, from the right and above, as large as they fit."""
    low = layout.front.grown(0.0, NAMES).moved(dy=-NAMES)
    corners = prism_corners(low, 0.0, -(heads - 1) * pitch - layout.thickness)
    return shot_on(
        corners,
        frame,
        theta=TURN,
        phi=TILT,
        focal=LENS,
        width=room.width / frame.width,
        height=room.height / frame.stage.height,
        into=room,
    )


@dataclass(frozen=True)
class QualityLayout:
    """Lines of scores above a dial that is their axis.

    Attributes
    ----------
    plot
        Box of the lines; its sides are the first and the last stop of the dial.
    dial
        Box of the dial.
    figures
        y of the line of the figures, between the dial and the lines.
    title, source
        Top left corners of lines of words.
    """

    plot: Box
    dial: Box
    figures: float
    title: Point
    source: Point

    @classmethod
    def of(
        cls, frame: Frame, *, above: int, below: int, ticks: float, names: float
    ) -> QualityLayout:
        """Lay out the scores, with some lines of words below the title and for the source.

        ``ticks`` and ``names`` are the widths of what stands at the left and right of the lines,
        or reaches beyond them there.
        """
        stage = frame.stage
        left, right = stage.left + max(ticks, 1.0), stage.right - max(names, 1.0)
        source = stage.bottom + LINE * below
        foot = source + 0.15
        # Of the dial only the track, which is the zero line, and the names below it are used here.
        dial = Box.of(left, right, foot, foot + DIAL_HEIGHT)
        top = stage.top - BELOW_NOTES
        plot = Box.of(left, right, dial.y, top - 0.8 - LINE * above)
        figures = plot.bottom + plot.height / 4
        return cls(plot, dial, figures, (stage.left, top), (stage.left, source))


def stops(box: Box, count: int) -> Sequence[float]:
    """Return x of each of ``count`` stops of a dial, from its left side to its right side."""
    return [box.left + box.width * i / max(1, count - 1) for i in range(count)]
