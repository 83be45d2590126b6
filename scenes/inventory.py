"""What is on screen: every text and every heatmap of a picture, with its place in pixels.

Tests read it to see that nothing leaves the frame, overlaps or is too small to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from manim import Mobject

from scenes.animations import presence
from scenes.camera import StageCamera
from scenes.layout import Box
from scenes.mobjects.heatmap import Heatmap
from scenes.mobjects.text import Line

__all__ = ["PanelItem", "TextItem", "panels_on", "texts_on"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextItem:
    """A line of letters.

    Attributes
    ----------
    text
        What it says; a formula in Typst's notation.
    box
        Around its letters, in pixels, y counted downwards.
    height
        Of its line, in pixels.
    presence
        How strongly it is there: 1 to be read, the theme's ``dim`` in the background.
    """

    text: str
    box: Box
    height: float
    presence: float


@dataclass(frozen=True)
class PanelItem:
    """A heatmap.

    Attributes
    ----------
    heatmap
        The mobject itself: its values, norm and source.
    corners
        (4, 2) pixels: outer corner of the first cell, then along its row, then clockwise.
    opacity
        Of the whole picture.
    """

    heatmap: Heatmap
    corners: Points
    opacity: float

    @property
    def box(self) -> Box:
        """Around its corners, in pixels."""
        return Box.between(self.corners.min(axis=0), self.corners.max(axis=0))


def _family(mobjects: Iterable[Mobject]) -> list[Mobject]:
    members = {id(m): m for mobject in mobjects for m in mobject.get_family()}
    return [m for m in members.values() if presence(m) > 0]


def texts_on(mobjects: Iterable[Mobject], camera: StageCamera) -> list[TextItem]:
    """Every line of letters that has some ink, in drawing order."""
    items = []
    for mobject in _family(mobjects):
        if not isinstance(mobject, Line) or not len(mobject.ink) or mobject.fill_opacity <= 0:
            continue
        ink = camera.pixels(mobject, mobject.ink)
        foot, head = camera.pixels(mobject, mobject.points[[-12, -8]])
        items.append(
            TextItem(
                text=mobject.text,
                box=Box.between(ink.min(axis=0), ink.max(axis=0)),
                height=float(np.linalg.norm(head - foot)),
                presence=presence(mobject) * float(mobject.fill_opacity),
            )
        )
    return items


def panels_on(mobjects: Iterable[Mobject], camera: StageCamera) -> list[PanelItem]:
    """Every heatmap that shows at least one cell, in drawing order."""
    return [
        PanelItem(
            mobject, camera.pixels(mobject, mobject.points), mobject.opacity * presence(mobject)
        )
        for mobject in _family(mobjects)
        if isinstance(mobject, Heatmap) and mobject.opacity > 0 and mobject.shown.any()
    ]
