"""Posters for print: four pictures from one camera, a sheet of them, and a thumbnail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from filmkit.core.scene_entry import SceneEntry
from filmkit.render.quality import Quality
from filmkit.render.runner import write_png

__all__ = ["SHEET", "THUMBNAIL_SIZE", "make_sheet"]

THUMBNAIL_SIZE = Quality(1280, 720, 30)

SHEET = "sheet"
COLUMNS = 2
A2_INCHES = 594 / 25.4  # the long side of the paper that the sheet is meant for


def make_sheet(posters: Mapping[SceneEntry, Path], path: Path) -> Path:
    """Put the posters on one sheet, whole or not at all.

    The file says how many dots make an inch when the sheet is as wide as A2 paper.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    pictures = [Image.open(path) for path in posters.values()]
    width, height = pictures[0].size
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * height))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        sheet.paste(picture, (column * width, row * height))
    dots = sheet.width / A2_INCHES
    write_png(sheet, path, dpi=(dots, dots))
    return path
