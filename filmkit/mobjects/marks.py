"""Small marks: frames that point, empty outlines, dials, colour bars, brackets of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    PI,
    Circle,
    Group,
    Line,
    Mobject,
    Rectangle,
    RoundedRectangle,
    VGroup,
    rgb_to_color,
)

from filmkit.core.animations import Array, InPlaceAnimation
from filmkit.core.geometry import FRAME_HEIGHT, Box, column_points
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_number, format_share
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import current_theme

__all__ = [
    "Bars",
    "ColourBar",
    "Dial",
    "Highlight",
    "Outline",
    "TokenLabels",
    "TurnRow",
    "fit_all",
    "size_beside",
]


FILL, TIGHT = 0.92, 0.94  # of a row's height, for the word beside it; the latter if it must


class Highlight(Rectangle):
    """A frame around a row, a column, a block or a cell; ``zoom`` as for a colour bar."""

    def __init__(self, box: Box, *, colour: str | None = None, zoom: float = 1.0) -> None:
        theme = current_theme()
        grown = box.grown(0.03 * zoom)
        super().__init__(
            width=grown.width,
            height=grown.height,
            stroke_color=colour or theme.highlight,
            stroke_width=theme.bold,
            fill_opacity=0.0,
        )
        self.move_to(grown.center)


class Outline(RoundedRectangle):
    """The visibly empty place of a matrix: schematic, no cells."""

    def __init__(self, box: Box, *, colour: str | None = None, radius: float = 0.0) -> None:
        theme = current_theme()
        super().__init__(
            width=box.width,
            height=box.height,
            corner_radius=radius,
            stroke_color=colour or theme.faint,
            stroke_width=theme.thin,
            fill_opacity=0.0,
        )
        self.move_to(box.center)


class Dial(VGroup):
    """A small clock: its hand has turned by ``angle`` (radians, clockwise from the top)."""

    def __init__(self, radius: float, angle: float = 0.0, *, colour: str | None = None) -> None:
        super().__init__()
        theme = current_theme()
        self.angle = 0.0
        self.face = Circle(
            radius=radius, stroke_color=theme.faint, stroke_width=theme.thin, fill_opacity=0.0
        )
        self.hand = Line(
            [0, 0, 0],
            [0, radius * 0.92, 0],
            stroke_color=colour or theme.ink,
            stroke_width=theme.line,
        )
        self.add(self.face, self.hand)
        self.set_angle(angle)

    def set_angle(self, angle: float) -> Dial:
        """Turn the hand to an angle."""
        self.hand.rotate(self.angle - angle, about_point=self.face.get_center())
        self.angle = angle
        return self


class ColourBar(Group):
    """A thin bar of the norm's colours with its two ends as numbers.

    Parameters
    ----------
    norm
        What it explains.
    name
        What the values are, such as "scores".
    box
        Where the bar itself stands; the numbers and the name stand below it.
    zoom
        Text size relative to the theme's, for a camera that is close.
    """

    STEPS = 128

    def __init__(self, norm: Norm, name: str, box: Box, *, zoom: float = 1.0) -> None:
        super().__init__()
        theme = current_theme()
        self.bar = Heatmap(
            np.linspace(norm.vmin, norm.vmax, self.STEPS)[None],
            norm,
            width=box.width,
            height=box.height,
            source=TensorSource(expression=f"colour scale of {name or 'the panel above'}"),
        ).place(box)
        size = theme.note_size * zoom
        low = Label(format_number(norm.vmin, 2), size=size, colour=theme.muted)
        high = Label(format_number(norm.vmax, 2), size=size, colour=theme.muted)
        title = Label(name, size=size, colour=theme.muted)
        self.labels = VGroup(
            low.move_to([box.left + low.width / 2, 0, 0]),
            high.move_to([box.right - high.width / 2, 0, 0]),
            title.move_to([box.x, 0, 0]),
        )
        for label in (low, high, title):
            label.set_y(box.bottom - label.line_height / 2 - 0.05 * zoom)
        self.add(self.bar, self.labels)


def size_beside(pitch: float, *, most: float | None = None) -> float:
    """Text size of words beside rows that are ``pitch`` apart: if they must, smaller than usual."""
    theme, row = current_theme(), pitch / FRAME_HEIGHT
    most = theme.shape_size if most is None else most
    return min(most, max(FILL * row, min(TIGHT * row, theme.least_size)))


def fit_all(labels: Iterable[Label], width: float) -> None:
    """Make each label no wider than ``width``; where that is too small to read, turn them all."""
    labels, least = list(labels), current_theme().least_size
    if any(label.size * width < least * label.width for label in labels):
        for label in labels:
            label.rotate(PI / 2)
        return
    for label in labels:
        label.shrink_to(width)


class Bars(VGroup):
    """A bar for each share of a whole, with its percentage on top.

    ``bars[i]`` and ``tags[i]`` are the bar and the percentage of share ``i``.

    Parameters
    ----------
    shares
        Numbers in [0, 1].
    norm
        Gives each bar the colour that its number has as a cell.
    box
        As high as a share of 1; the shares divide its width.
    count
        How many of them have a bar, from the first; all of them by default.
    """

    def __init__(
        self, shares: Sequence[float], norm: Norm, box: Box, count: int | None = None
    ) -> None:
        super().__init__()
        theme = current_theme()
        pitch = box.width / len(shares)
        self.bars, self.tags = VGroup(), VGroup()
        for (x, _), share in zip(
            column_points(0.0, box, len(shares)), shares[:count], strict=False
        ):
            height = max(share * box.height, 0.02)
            bar = Rectangle(
                width=pitch * 0.62,
                height=height,
                stroke_color=theme.muted,
                stroke_width=theme.thin,
                fill_color=rgb_to_color(norm.colours([share])[0]),
                fill_opacity=1.0,
            ).move_to([x, box.bottom + height / 2, 0])
            tag = Label(format_share(share), size=theme.note_size, colour=theme.ink)
            self.bars.add(bar)
            self.tags.add(tag.set_x(x))
        fit_all(self.tags, pitch * 0.94)
        for bar, tag in zip(self.bars, self.tags, strict=True):
            tag.set_y(bar.get_top()[1] + max(0.17, tag.height / 2 + 0.07))
        self.add(self.bars, self.tags)


class TokenLabels(VGroup):
    """Token words beside the rows or above the columns of a panel.

    Parameters
    ----------
    tokens
        As the tokenizer gives them.
    spots
        (x, y) where each word ends (rows) or begins (columns).
    upright
        False: words are read across and end at their spot. True: words stand on their side, read
        upwards, and begin at their spot.
    width
        The longest a word may be.
    size
        Text size; the theme's ``shape_size`` by default.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        points: Sequence[tuple[float, float]],
        *,
        upright: bool = False,
        width: float,
        size: float | None = None,
        colour: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        theme = current_theme()
        for token, (x, y) in zip(tokens, points, strict=True):
            label = fit_word(printable(token), width, size=size or theme.shape_size, colour=colour)
            if upright:
                half = label.width / 2
                label.rotate(PI / 2).move_to([x, y + half, 0])
            else:
                label.move_to([x - label.width / 2, y, 0])
            self.add(label)

    def beside(self, points: Sequence[tuple[float, float]], *, size: float) -> TokenLabels:
        """The same words, shortened where they are now, that end at other spots; none is larger
        than ``size``."""
        moved = self.copy()
        for label, (x, y) in zip(moved, points, strict=True):
            label.scale(min(1.0, size * FRAME_HEIGHT / label.line_height))
            label.move_to([x - label.width / 2, y, 0])
        return moved


class TurnRow(InPlaceAnimation):
    """Rotate one row of a query or key by its position, pair of channels by pair.

    Each pair turns along the shorter arc from its unrotated to its rotated value, so the first
    and the last picture are the model's own numbers.

    Parameters
    ----------
    heatmap
        One row.
    after
        The rotated row, (1, channels).
    pairs
        (pairs, 2) channels that turn together.
    dial
        Its hand turns by the first pair's angle.
    source
        Where the rotated row comes from.
    """

    def __init__(
        self,
        heatmap: Heatmap,
        after: npt.ArrayLike,
        pairs: npt.NDArray[np.int_],
        dial: Dial | None = None,
        *,
        source: TensorSource | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(heatmap, **kwargs)
        self.source = source or heatmap.source
        self.heatmap = heatmap
        self.after = np.asarray(after, dtype=float).reshape(heatmap.shape)
        self.pairs = pairs
        self.dial = dial

    def get_all_mobjects(self) -> Sequence[Mobject]:
        return (self.heatmap,) if self.dial is None else (self.heatmap, self.dial)

    def begin(self) -> None:
        self.before = self.heatmap.values.copy()
        start, end = self._planes(self.before), self._planes(self.after)
        self.start, self.arc = start, np.angle(end * np.conj(start))
        self.growth = np.abs(end) - np.abs(start)
        super().begin()

    def _planes(self, values: Array) -> npt.NDArray[np.complex128]:
        return np.asarray(values[0, self.pairs[:, 0]] + 1j * values[0, self.pairs[:, 1]])

    def step(self, alpha: float) -> None:
        if alpha >= 1:
            values = self.after
            self.heatmap.source = self.source
        else:
            values = self.before.copy()
            length = np.abs(self.start) + alpha * self.growth
            turned = length * np.exp(1j * (np.angle(self.start) + alpha * self.arc))
            values[0, self.pairs[:, 0]] = turned.real
            values[0, self.pairs[:, 1]] = turned.imag
        self.heatmap.set_values(values)
        if self.dial is not None:
            self.dial.set_angle(alpha * float(self.arc[0]))
