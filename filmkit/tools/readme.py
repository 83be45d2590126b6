"""The pictures of the README: stills of scenes, a deck and the gallery in a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from filmkit.decks.gallery import PAGE, PROJECT, write_gallery
from filmkit.decks.make import make_deck
from filmkit.decks.slides import slides_of
from filmkit.render.errors import WorkError
from filmkit.render.quality import QUALITIES
from filmkit.render.request import RenderRequest, load_trace, report_files
from filmkit.render.runner import manim_config, rehearse, write_png

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["BROWSERS", "find_browser", "make_readme_pictures", "open_browser"]

FOLDER = PROJECT / "assets" / "readme"
SHOWN = ("scene_attention", "scene_kv_cache", "scene_mla")
SIZE = QUALITIES["hd"]
DECK = "scene_mla"
POSTERS_APPEAR = 1500  # milliseconds
BEAT = 1  # of the deck's scene, counted from 0
CELL = (0.919, 0.558)  # of the picture, from its top left: in the pattern

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that draw pages, in order of preference."""

MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str | None:
    """A browser of this machine: that of $BROWSER_PATH, else the first that is found."""
    named = os.environ.get("BROWSER_PATH")
    found = [named, *map(shutil.which, BROWSERS), str(MAC) if MAC.exists() else None]
    return next((path for path in found if path), None)


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """Start a browser without a window."""
    from playwright.sync_api import sync_playwright

    # Chromium has no sandbox for root, as in a container.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def make_readme_pictures(request: RenderRequest) -> bool:
    """Draw every picture of the README again; say whether all went well.

    Parameters
    ----------
    order
        How to draw; size and folder are the README's own.
    """
    trace = load_trace(request)
    small = replace(request, quality=SIZE, quiet=True)
    made = []
    with manim_config(SIZE, verbosity=request.verbosity):
        for entry in request.scenes:
            if entry.slug in SHOWN:
                told = rehearse(entry, trace, small.options)
                beats = (entry.cover,)
                (slide,) = slides_of(entry, told, trace=trace, request=small, beats=beats)
                made.append(FOLDER / f"{entry.slug}.png")
                write_png(slide.picture, made[-1])
    browser = find_browser()
    if browser and find_spec("playwright"):
        made += _pages(small, browser)
    elif not request.quiet:
        click.echo("those of deck and gallery need a browser and playwright", err=True)
    report_files(request, made)
    return True


def _pages(request: RenderRequest, browser: str) -> list[Path]:
    with TemporaryDirectory(prefix="attention-film-") as scratch, open_browser(browser) as opened:
        folder = Path(scratch)
        entry = next(entry for entry in request.scenes if entry.slug == DECK)
        deck = folder / "deck.html"
        gallery = replace(request, out=folder / "gallery")
        # The gallery's films are not seen.
        if not (
            make_deck(replace(request, scenes=(entry,)), "web", deck)
            and write_gallery(gallery, None)
        ):
            raise WorkError("the pages could not be made")
        page = opened.new_page(
            viewport={"width": SIZE.width, "height": SIZE.height}, reduced_motion="reduce"
        )
        page.goto(f"{deck.as_uri()}#{BEAT + 1}")
        page.wait_for_selector("#stage[data-mode=holds] video.front")
        page.keyboard.press("n")
        box = page.locator("#stage").bounding_box()
        assert box is not None
        page.mouse.move(
            box["x"] + CELL[0] * box["width"], box["y"] + CELL[1] * box["height"], steps=2
        )
        page.screenshot(path=FOLDER / "deck.png")
        page.goto((folder / "gallery" / PAGE).as_uri(), wait_until="networkidle")
        page.wait_for_timeout(POSTERS_APPEAR)
        page.screenshot(path=FOLDER / "gallery.png")
    return [FOLDER / "deck.png", FOLDER / "gallery.png"]
