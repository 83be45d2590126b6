"""Write a picture as PDF or SVG: lines and letters as paths, heatmaps as images inside."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cairo
import numpy as np
import numpy.typing as npt
from manim import color_to_rgb

from extract.support.files import OutputError, atomic_write
from filmkit.core.camera import StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.project import TITLE as PROJECT_TITLE
from filmkit.core.raster import outline, paste
from filmkit.core.stage import Stage

__all__ = ["Page", "draw_page", "write_pages"]

POINTS_HIGH = 540.0  # length of a page's shorter side in points of 1/72 inch: a slide is as high

SEAM = 0.5  # width of the line around the face of a body, in pixels
DETAIL = 2  # pixels of a heatmap's image for each pixel of the picture
# To cairo, manim gives colours as its pictures hold them: red and blue exchanged.
EXCHANGED = [2, 1, 0, 3]

Points = npt.NDArray[np.float64]


class VectorCamera(StageCamera):
    """Camera that draws on a page instead of into pixels.

    Parameters
    ----------
    context
        Draws on the page, whose unit is one pixel of the picture.
    """

    def __init__(self, context: cairo.Context[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context = context
        self.page = context.get_matrix()
        across, down = self.pixel_width / self.frame_width, self.pixel_height / self.frame_height
        middle = self.pixel_width / 2, self.pixel_height / 2
        self.scene = cairo.Matrix(across, 0, 0, -down, *middle) * self.page

    def get_cairo_context(self, pixel_array: object) -> cairo.Context[Any]:
        self.context.set_matrix(self.scene)
        return self.context

    def get_fill_rgbas(self, vmobject: Any) -> Points:
        return super().get_fill_rgbas(vmobject)[..., EXCHANGED]

    def get_stroke_rgbas(self, vmobject: Any, background: bool = False) -> Points:
        return super().get_stroke_rgbas(vmobject, background)[..., EXCHANGED]

    def paint(self, colour: str) -> None:
        """Fill the page with a colour."""
        self.context.set_source_rgb(*color_to_rgb(colour))
        self.context.paint()

    def _fill(self, faces: Sequence[Points], colours: Points, opacity: float) -> None:
        context = self.context
        context.save()
        context.set_matrix(self.page)
        context.push_group()
        for face, colour in zip(faces, (colours / 255).tolist(), strict=True):
            context.set_source_rgb(*colour)
            context.move_to(*face[-1])
            for corner in face:
                context.line_to(*corner)
            # With a thin line, so that nothing is seen between two faces.
            context.fill_preserve()
            context.set_line_width(SEAM)
            context.stroke()
        context.pop_group_to_source()
        context.paint_with_alpha(opacity)
        context.restore()

    def _paste(self, heatmap: Heatmap, corners: Points) -> None:
        low = np.clip(np.floor(corners.min(axis=0)) - 1, 0, None)
        high = np.minimum(np.ceil(corners.max(axis=0)) + 1, [self.pixel_width, self.pixel_height])
        width, height = ((high - low) * DETAIL).astype(int).tolist()
        if width <= 0 or height <= 0:
            return
        image = np.zeros((height, width, 4), np.uint8)
        places = (corners - low) * DETAIL
        opacity = self.drawn_opacity(heatmap)
        paste(image, heatmap.texture(), places, opacity)
        if heatmap.edged and heatmap.texture().opaque:
            outline(image, places, heatmap.edge_colour, opacity)
        pixels = np.ascontiguousarray(image[..., EXCHANGED])
        surface = cairo.ImageSurface.create_for_data(
            pixels.data, cairo.FORMAT_ARGB32, width, height
        )
        self.context.save()
        self.context.set_matrix(cairo.Matrix(1 / DETAIL, 0, 0, 1 / DETAIL, *low) * self.page)
        self.context.set_source_surface(surface)
        self.context.paint()
        self.context.restore()


@dataclass(frozen=True)
class Page:
    """A drawn picture.

    Attributes
    ----------
    drawing
        What was drawn; its unit is one pixel of the picture.
    width, height
        In pixels.
    """

    drawing: cairo.RecordingSurface
    width: int
    height: int


def draw_page(stage: Stage) -> Page:
    """Draw the picture of a scene as it is now, with its notes."""
    wide, high = stage.camera.pixel_width, stage.camera.pixel_height
    drawing = cairo.RecordingSurface(cairo.Content.COLOR_ALPHA, cairo.Rectangle(0, 0, wide, high))
    camera = VectorCamera(cairo.Context(drawing))
    camera.shot, camera.lit = stage.camera.shot, stage.camera.lit
    if not stage.settings.transparent:
        camera.paint(stage.camera.background_color)
    camera.capture_mobjects(stage.with_notes())
    return Page(drawing, wide, high)


def write_pages(
    pages: Sequence[Page],
    path: Path,
    *,
    title: str,
    columns: int = 1,
    points_wide: float | None = None,
) -> Path:
    """Write pictures of one size onto one sheet as PDF or SVG, atomically.

    Parameters
    ----------
    pages
        The pictures, from the top left.
    path
        The file to write; its suffix, ".pdf" or ".svg", says how.
    title
        Title of the document, which a PDF names in its properties, beside the project.
    columns
        Number of pictures side by side.
    points_wide
        Width of the sheet in points of 1/72 inch; by default one picture's shorter side is as long
        as a slide's.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    width, height = pages[0].width, pages[0].height
    rows = -(-len(pages) // columns)
    scale = POINTS_HIGH / min(width, height)
    if points_wide is not None:
        scale = points_wide / (columns * width)
    document = io.BytesIO()
    is_pdf = path.suffix == ".pdf"
    kind: Any = cairo.PDFSurface if is_pdf else cairo.SVGSurface
    with kind(document, columns * width * scale, rows * height * scale) as surface:
        if is_pdf:
            surface.set_metadata(cairo.PDFMetadata.TITLE, title)
            surface.set_metadata(cairo.PDFMetadata.CREATOR, PROJECT_TITLE)
            # No date: the same picture makes the same file.
            surface.set_metadata(cairo.PDFMetadata.CREATE_DATE, "")
        context = cairo.Context(surface)
        context.scale(scale, scale)
        for number, page in enumerate(pages):
            row, column = divmod(number, columns)
            context.set_source_surface(page.drawing, column * width, row * height)
            context.paint()
    with atomic_write(path) as part:
        try:
            part.write_bytes(document.getvalue())
        except OSError as error:
            raise OutputError(path, error) from error
    return path
