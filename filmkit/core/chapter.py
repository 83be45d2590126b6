"""The card with which a chapter of a film begins: its title, and a row that shows how far it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from manim import Group, VMobject

from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.card import centred
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import glow
from filmkit.core.norm import Norm
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView

__all__ = ["ChapterCard"]

Points = npt.NDArray[np.float64]

TITLE_SIZE, NUMBER_SIZE = 0.11, 0.06  # of letters, as fractions of the frame's shorter side
TITLE = 0.92  # part of the free width for the title
# The row stands on an arc like the heads in their room: its radius and the angle from one card to
# the next; size of a card, height of its foot; where the eye is, and where it looks.
RADIUS, STEP = 9.0, np.radians(12)
CARD, FOOT = 1.6, 0.1
EYE, AT = (0.0, 1.1, 7.0), (0.0, 0.9, -9.0)
FULL = 0.6  # attention with which a cell on these small cards is as bright as can be
INSET = 0.07  # of a pattern, as a share of its card
WIDE, HIGH = 0.94, 0.3  # what the row fills of the free width and height, at most
FOOT_OF_ROW = 0.14  # height of its feet above the lower edge of the free part, as a share of it
DONE, AHEAD = 0.45, 0.05  # opacities of the patterns of chapters before and after
REFLECTED = 0.14  # opacity of the floor's image of a card
SHINE = 1.2  # how much light the present chapter gives


class ChapterCard(Group):
    """Number and title of a chapter, and a row of small cards, one for each chapter of the film.

    On each card is a pattern of the model. Those of the chapters before glimmer, and that of the
    present one is lit.

    Parameters
    ----------
    title
        The title.
    number, count
        Number of the chapter, from 1, and how many there are.
    view
        The layer that is shown.
    frame
        The frame.
    """

    def __init__(self, title: str, number: int, count: int, view: LayerView, frame: Frame) -> None:
        free, theme = frame.free, current_theme()
        corners = _standing(count, frame)
        top = corners[..., 1].max()
        unit = frame.shorter_side / FRAME_HEIGHT
        label = Label(str(number), size=NUMBER_SIZE * unit, colour=theme.muted)
        room = Box.of(free.left, free.right, top, free.top - 2 * label.line_height)
        room = Box(room.x, room.y, TITLE * room.width, room.height)
        words = centred(title, room, TITLE_SIZE * unit, weight="semibold")
        label.on_line(room.x, words.get_top()[1] + label.line_height)
        super().__init__(label, glow(words, SHINE / 2))
        for chapter, shown in enumerate(_patterns(view, count), 1):
            mirror, card = corners[chapter - 1]
            opacity = 1.0 if chapter == number else DONE if chapter < number else AHEAD
            colour = theme.ink if chapter == number else theme.faint
            if theme.lit:
                self.add(_cells(shown, mirror, REFLECTED * opacity))
            outline = VMobject(stroke_color=colour, stroke_width=theme.thin)
            outline.set_fill(theme.background, opacity=1.0)
            outline.set_points_as_corners(np.array([*card, card[0]]))
            cells = _cells(shown, card, opacity)
            if chapter <= number:
                glow(cells, SHINE * opacity)
            self.add(outline, cells)
        pin_to_frame(self)


def _patterns(view: LayerView, count: int) -> list[Heatmap]:
    """Return patterns from the first layer to the last, as many as asked for.

    Each is the one of its part of the model in which most is seen.
    """
    meta = view.trace.meta
    every = [view.at(layer).head(h) for layer in range(meta.n_layers) for h in range(meta.n_heads)]
    ends = np.linspace(0, len(every), count + 1).astype(int).tolist()
    heads = [
        max(every[start : max(stop, start + 1)], key=lambda head: np.sqrt(head.pattern).sum())
        for start, stop in pairwise(ends)
    ]
    return [
        Heatmap(
            head.pattern, Norm.unit().scaled(FULL), source=head.pattern_source, edged=False
        ).set_shown(1.0 - head.causal_mask)
        for head in heads
    ]


def _cells(shown: Heatmap, corners: Points, opacity: float) -> Heatmap:
    """Return a pattern on a card with these corners, (4, 3)."""
    inner = corners + INSET * (corners[[2, 3, 0, 1]] - corners)
    return shown.copy().set_corners(inner).set_opacity(opacity)


def _standing(count: int, frame: Frame) -> Points:
    """Return where the corners of all cards are seen in the frame, and below of their mirror image.

    The shape is (card, mirror image or card, corner, 3); corners go clockwise from the upper left.
    """
    angles = STEP * (np.arange(count) - (count - 1) / 2)
    across = np.stack([np.cos(angles), np.zeros(count), np.sin(angles)], axis=-1)
    feet = RADIUS * np.stack([np.sin(angles), np.zeros(count), -np.cos(angles)], axis=-1)
    sides = np.array([-1, 1, 1, -1]) * CARD / 2
    heights = np.array([CARD, CARD, 0, 0]) + FOOT
    flat = feet[:, None] + sides[:, None] * across[:, None]
    up = np.array([0.0, 1.0, 0.0])
    points = np.stack([flat - heights[:, None] * up, flat + heights[:, None] * up], axis=1)
    shot = Shot.looking(EYE, AT)
    seen = shot.project(points.reshape(-1, 3), frame.height).reshape(points.shape)
    seen[..., 2] = 0.0
    free = frame.free
    cards = seen[:, 1]
    size = np.ptp(cards.reshape(-1, 3), axis=0)
    zoom = min(WIDE * free.width / size[0], HIGH * free.height / size[1])
    lowest = free.bottom + FOOT_OF_ROW * free.height
    return zoom * seen + [free.x, lowest - zoom * cards[..., 1].min(), 0.0]
