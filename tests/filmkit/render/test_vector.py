"""Pictures as PDF and SVG look like the same pictures in pixels."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pypdf import PdfReader

from docs.draw_recipes import recipes
from extract.trace import Trace
from filmkit.commands.cli import render
from filmkit.commands.scene_files import find_scene
from filmkit.core.project import TITLE
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.render.jobs import make_posters
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import manim_config, render_stills
from scenes.registry import POSTERS, SCENES, THUMBNAIL
from tests.support.browsing import browser
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.filming import render_request

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

SIZE = Quality(960, 540, 10)
HEADS = next(entry for entry in SCENES if entry.slug == "scene_heads")
BEAT = "all_heads_slide_in"
PANELS = 9 * 3  # a pattern, keys and values of each head


def still(entry: SceneEntry, folder: Path, file_format: str, beat: str = BEAT) -> Path:
    with manim_config(SIZE):
        (path,) = render_stills(
            entry,
            trace=Trace.load(SHIPPED),
            # Drawings have no light, as no picture of this theme has.
            request=RenderRequest(
                settings=StageSettings(theme="light"),
                quality=SIZE,
                out=folder,
                still_format=file_format,
            ),
            beats=[beat],
            progress=lambda count: None,
        )
    assert path.with_suffix(".json").exists()
    return path


def test_an_svg_shows_what_the_pixels_show(browser: Browser, tmp_path: Path) -> None:
    expected = Image.open(still(HEADS, tmp_path, "png")).convert("RGB")
    svg = still(HEADS, tmp_path, "svg").read_text()
    # Letters and lines are paths; every heatmap is an image.
    assert "<text" not in svg
    assert len(re.findall("<path", svg)) > PANELS
    assert len(re.findall("<image", svg)) >= PANELS
    page = browser.new_page(viewport={"width": SIZE.width, "height": SIZE.height})
    page.set_content(f"<style>body{{margin:0}}svg{{width:100vw;height:100vh}}</style>{svg}")
    drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    difference = np.abs(np.asarray(drawn, int) - np.asarray(expected, int)).max(axis=2)
    assert (difference > 60).mean() < 0.03, "edges only"
    assert difference.mean() < 6
    assert np.asarray(expected).std() > 10


def test_an_svg_of_the_room_shows_its_bodies(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "relief.py"
    file.write_text(recipes(PROJECT / "docs" / "room.md")["relief"], encoding="utf-8")
    entry = find_scene(str(file))
    expected = Image.open(still(entry, tmp_path, "png", "a_row")).convert("RGB")
    svg = still(entry, tmp_path, "svg", "a_row").read_text()
    page = browser.new_page(viewport={"width": SIZE.width, "height": SIZE.height})
    page.set_content(f"<style>body{{margin:0}}svg{{width:100vw;height:100vh}}</style>{svg}")
    drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    levels = (np.asarray(picture, dtype=float) for picture in (expected, drawn))
    # All but soft shadows on the floor, and the soft edges of faces.
    different = np.abs(np.subtract(*levels)).max(axis=-1) > 40
    assert (np.asarray(expected).min(axis=-1) < 200).mean() > 0.05
    assert different.mean() < 0.01


def test_a_pdf_is_a_slide_that_names_the_beat_and_the_project(tmp_path: Path) -> None:
    document = PdfReader(still(HEADS, tmp_path, "pdf"))
    (page,) = document.pages
    assert [float(side) for side in page.mediabox[2:]] == [960.0, 540.0]
    assert document.metadata is not None
    assert document.metadata.title == f"{HEADS.title}: All heads slide in"
    assert document.metadata.creator == TITLE
    assert document.metadata.creation_date is None, "the same picture makes the same file"
    # Every panel is an image of its own, so text stays sharp.
    assert len(page.images) >= PANELS


def test_posters_and_their_sheet_as_pdf(tmp_path: Path) -> None:
    request = render_request(
        POSTERS, SHIPPED, tmp_path, quality=Quality(640, 360, 10), still_format="pdf"
    )
    assert make_posters(request, THUMBNAIL)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mha.pdf", "gqa.pdf", "mqa.pdf", "mla.pdf", "sheet.pdf", "thumbnail.pdf"}
    (sheet,) = PdfReader(tmp_path / "sheet.pdf").pages
    width = float(sheet.mediabox.width)
    assert width == pytest.approx(594 / 25.4 * 72, rel=1e-3), "as wide as A2"
    single = PdfReader(tmp_path / "mha.pdf").pages[0]
    assert len(sheet.images) > 2 * len(single.images)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scene_heads", "--format", "pdf"], "pdf is for pictures; add --still BEAT"),
        (["scene_heads", "--still", "all", "--format", "mp4"], "--format png, pdf, svg"),
    ],
)
def test_a_film_is_no_page_and_a_page_no_film(words: list[str], message: str) -> None:
    result = CliRunner().invoke(render, words)
    assert result.exit_code == 2
    assert message in result.output
