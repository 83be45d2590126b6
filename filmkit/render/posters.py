"""The sheet that shows all posters side by side, for print."""

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
COLUMNS = 2  # number of posters side by side
A2_INCHES = 594 / 25.4  # long side of A2 paper, on which the sheet is to be printed, in inches


def make_sheet(posters: Mapping[SceneEntry, Path], path: Path) -> Path:
    """Write all posters onto one sheet, atomically; return its path.

    The file's resolution (dots per inch) is set so that the sheet is as wide as A2 paper.

    Parameters
    ----------
    posters
        Picture file of each poster; all of one size.
    path
        The file to write.

    Raises
    ------
    OutputError
        When the sheet cannot be written.
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
