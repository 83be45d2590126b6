"""Posters for print: four pictures from one camera, a sheet of them, and a thumbnail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from filmkit.render.quality import Quality
from filmkit.render.runner import write_png
from scenes.registry import SceneEntry

__all__ = ["POSTERS", "SHEET", "THUMBNAIL", "THUMBNAIL_SIZE", "make_sheet"]

POSTERS = (
    SceneEntry("mha", "Multi-head attention", "scenes.posters.scene_posters", "EveryHead"),
    SceneEntry("gqa", "Grouped-query attention", "scenes.posters.scene_posters", "InGroups"),
    SceneEntry("mqa", "Multi-query attention", "scenes.posters.scene_posters", "OneForAll"),
    SceneEntry("mla", "Multi-head latent attention", "scenes.posters.scene_posters", "OneLatent"),
)
"""In the order of the sheet: the first two above the last two."""

THUMBNAIL = SceneEntry(
    "thumbnail", "One shared latent", "scenes.posters.scene_posters", "Thumbnail"
)
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
    pictures = [Image.open(posters[entry]) for entry in POSTERS]
    width, height = pictures[0].size
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * height))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        sheet.paste(picture, (column * width, row * height))
    dots = sheet.width / A2_INCHES
    write_png(sheet, path, dpi=(dots, dots))
    return path
