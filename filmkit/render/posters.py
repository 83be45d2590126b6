"""The sheet that shows all posters side by side, for print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from filmkit.core.scene_entry import SceneEntry
from filmkit.render.quality import Quality
from filmkit.render.runner import Picture, write_png
from filmkit.render.vector import Page, write_pages

__all__ = ["SHEET", "THUMBNAIL_SIZE", "make_sheet"]

THUMBNAIL_SIZE = Quality(1280, 720, 30)

SHEET = "sheet"
TITLE = "Four ways to remember"
POINTS_PER_INCH = 72
COLUMNS = 2  # number of posters side by side
A2_INCHES = 594 / 25.4  # long side of A2 paper, on which the sheet is to be printed, in inches


def make_sheet(posters: Mapping[SceneEntry, Picture], path: Path) -> Path:
    """Write all posters onto one sheet as wide as A2 paper, atomically; return its path.

    Parameters
    ----------
    posters
        The picture of each poster, all of one size; pixels or pages as the path's suffix needs.
    path
        The file to write.

    Raises
    ------
    OutputError
        When the sheet cannot be written.
    """
    pages = [picture for picture in posters.values() if isinstance(picture, Page)]
    if pages:
        wide = A2_INCHES * POINTS_PER_INCH
        return write_pages(pages, path, title=TITLE, columns=COLUMNS, points_wide=wide)
    pictures = [picture for picture in posters.values() if isinstance(picture, Image.Image)]
    width, height = pictures[0].size
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * height))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        sheet.paste(picture, (column * width, row * height))
    dots = sheet.width / A2_INCHES
    write_png(sheet, path, dpi=(dots, dots))
    return path
