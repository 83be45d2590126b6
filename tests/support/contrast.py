"""Contrast of what is really drawn with what is really behind it."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
from manim import Mobject, color_to_rgb

from filmkit.core.animations import presence
from filmkit.core.camera import StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.stage import Stage
from filmkit.core.text import TextLine
from filmkit.mobjects.head_stack import CardBody
from tests.support.staging import MIN_PRESENCE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of missing matplotlib, which is not needed here
    import colour

__all__ = ["GREY", "LINES", "TEXT", "contrast", "low_contrast"]

# Smallest contrast ratios of WCAG 2.2, success criteria 1.4.3 and 1.4.11.
TEXT, LINES = 4.5, 3.0
# Grey is relative luminance.
GREY = np.tile([0.2126, 0.7152, 0.0722], (3, 1))


def luminance(rgb: np.ndarray) -> float:
    """Return the relative luminance of RGB in [0, 1]."""
    return float(colour.models.eotf_sRGB(np.asarray(rgb, dtype=float)) @ GREY[0])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast ratio of two colours, RGB in [0, 1]."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def low_contrast(stage: Stage) -> list[str]:
    """Return texts and lines on a stage that stand out too little, one line each.

    The edge of a card says nothing: how dark it is tells how far away the card is.
    """
    background = np.array(color_to_rgb(stage.theme.background))
    camera = stage.camera
    shown = camera.drawing_order(stage.with_notes())
    edges = {
        member.edge
        for mobject in stage.mobjects
        for member in mobject.get_family()
        if isinstance(member, CardBody)
    }
    faults = []
    for i, mobject in enumerate(shown):
        if isinstance(mobject, Heatmap) or mobject in edges:
            continue
        text = isinstance(mobject, TextLine)
        inks = mobject.fill_rgbas if text else mobject.stroke_rgbas
        if not (len(mobject.ink) if text else mobject.stroke_width > 0):
            continue
        under = ground(mobject, shown[:i], background, camera) if text else background
        for *rgb, alpha in np.reshape(inks, (-1, 4)):
            strength = alpha * presence(mobject)
            if strength < MIN_PRESENCE:
                continue
            ratio = contrast(under + (np.array(rgb) - under) * strength, under)
            if ratio < (TEXT if text else LINES) - 0.01:
                what = mobject.text if text else f"{type(mobject).__name__} {rgb}"
                faults.append(f"{what}: contrast {ratio:.2f}")
    return faults


def ground(
    text: TextLine, below: list[Mobject], background: np.ndarray, camera: StageCamera
) -> np.ndarray:
    """Return the colour behind a text: of the topmost cell or filled shape at its middle."""
    middle = camera.pixels(text, text.ink).mean(axis=0)
    for thing in reversed(below):
        cells = isinstance(thing, Heatmap)
        # Of a shape the first colour counts: a rim of light is clear there, over an opaque card.
        strength = presence(thing) * (thing.opacity if cells else opacity_of(thing))
        if isinstance(thing, TextLine) or strength < MIN_PRESENCE:
            continue
        corners = camera.pixels(thing, thing.corners if cells else thing.points)
        if cv2.pointPolygonTest(cv2.convexHull(np.float32(corners)), middle.tolist(), False) < 0:
            continue
        rgb = cell_at(thing, corners, middle) if cells else thing.fill_rgbas[0, :3]
        return background + (rgb - background) * strength
    return background


def opacity_of(shape: Mobject) -> float:
    """Return the opacity of the first colour that fills a shape, 0 if nothing does."""
    return float(shape.fill_rgbas[0, 3]) if len(shape.fill_rgbas) else 0.0


def cell_at(panel: Heatmap, corners: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the RGB in [0, 1] of the cell at a point of the picture."""
    rows, columns = panel.shape
    unit = np.float32([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    warp = cv2.getPerspectiveTransform(np.float32(corners), unit)
    column, row = cv2.perspectiveTransform(np.float64(point)[None, None], warp)[0, 0].astype(int)
    return panel.texture().cells[min(row, rows - 1), min(column, columns - 1), :3] / 255
