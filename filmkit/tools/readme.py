"""Draw the pictures of the README: stills, a beat that moves, a deck and the gallery."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from extract.support.assets import asset
from extract.support.files import atomic_write
from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.decks.gallery import page_name, write_gallery
from filmkit.decks.make import make_deck
from filmkit.decks.slides import slides_of
from filmkit.render.errors import RenderError
from filmkit.render.jobs import make_films
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.request import RenderRequest, load_trace, report_files
from filmkit.render.runner import manim_config, rehearse, write_png

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["BROWSERS", "find_browser", "make_readme_pictures", "open_browser"]

FOLDER = asset("readme")
SCENES = ("scene_question", "scene_attention")
SIZE = QUALITIES["hd"]
# A scene, its beat, and the file.
ANIMATED = ("scene_mla", "one_latent_for_all", "latent.gif")
ANIMATED_SIZE = Quality(480, 270, 10)
DECK_SCENE = "scene_mla"
DECK_BEAT = 1  # the beat of DECK_SCENE that is pictured, counted from 0
POSTERS_APPEAR = 1500  # milliseconds that the browser gets to draw the gallery's posters
# Where the pointer is on the deck's picture, from its top left, in shares of width and height:
# on a cell of the latent.
POINTER = (0.883, 0.794)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that can draw the pages, in order of preference."""

MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str | None:
    """Return the path of a browser: $BROWSER_PATH, else the first one installed, else None."""
    preferred = os.environ.get("BROWSER_PATH")
    paths = [
        preferred,
        *map(shutil.which, BROWSERS),
        str(MAC_BROWSER) if MAC_BROWSER.exists() else None,
    ]
    return next((path for path in paths if path), None)


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """Start a browser without a window; it is closed when the block is left."""
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox does not work for root, who is the user in many containers.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def make_readme_pictures(request: RenderRequest) -> bool:
    """Draw every picture of the README again; return whether everything succeeded.

    Without a browser or Playwright the pictures of the deck and the gallery are left as they are.

    Parameters
    ----------
    request
        What to draw, and how; its size and folder are not used.
    """
    trace = load_trace(request)
    own_request = replace(request, quality=SIZE, quiet=True)
    paths = []
    with manim_config(SIZE, verbosity=request.verbosity):
        for entry in request.scenes:
            if entry.slug in SCENES:
                rehearsal = rehearse(entry, trace, own_request)
                beats = (entry.cover,)
                (slide,) = slides_of(
                    entry, rehearsal, trace=trace, request=own_request, beats=beats
                )
                paths.append(FOLDER / f"{entry.slug}.png")
                write_png(slide.picture, paths[-1])
    paths.append(_animate(own_request))
    browser = find_browser()
    if browser and find_spec("playwright"):
        paths += _picture_pages(own_request, browser)
    elif not request.quiet:
        echo("the pictures of the deck and the gallery need a browser and Playwright", err=True)
    report_files(request, paths)
    return True


def _animate(request: RenderRequest) -> Path:
    """Film the beat that moves on the page."""
    scene, beat, name = ANIMATED
    with temporary_folder() as scratch:
        film = replace(
            request,
            scenes=tuple(entry for entry in request.scenes if entry.slug == scene),
            beat=beat,
            quality=ANIMATED_SIZE,
            file_format="gif",
            captions="none",
            out=scratch,
        )
        if not make_films(film):
            raise RenderError(f"{scene} could not be filmed")
        (made,) = scratch.rglob("*.gif")
        with atomic_write(FOLDER / name) as part:
            shutil.copyfile(made, part)
    return FOLDER / name


def _picture_pages(request: RenderRequest, browser_path: str) -> list[Path]:
    with (
        temporary_folder() as scratch,
        open_browser(browser_path) as browser,
    ):
        folder = scratch
        entry = next(entry for entry in request.scenes if entry.slug == DECK_SCENE)
        deck = folder / "deck.html"
        gallery = replace(request, out=folder / "gallery")
        # The gallery's films are not made: its picture shows only their posters.
        if not (
            make_deck(replace(request, scenes=(entry,)), "web", deck)
            and write_gallery(gallery, None)
        ):
            raise RenderError("the pages could not be made")
        page = browser.new_page(
            viewport={"width": SIZE.width, "height": SIZE.height}, reduced_motion="reduce"
        )
        page.goto(f"{deck.as_uri()}#{DECK_BEAT + 1}")
        page.wait_for_selector("#stage[data-mode=holds] video.front")
        page.keyboard.press("n")
        box = page.locator("#stage").bounding_box()
        assert box is not None
        page.mouse.move(
            box["x"] + POINTER[0] * box["width"], box["y"] + POINTER[1] * box["height"], steps=2
        )
        page.screenshot(path=FOLDER / "deck.png")
        page.goto((folder / "gallery" / page_name(gallery)).as_uri(), wait_until="networkidle")
        page.wait_for_timeout(POSTERS_APPEAR)
        page.screenshot(path=FOLDER / "gallery.png")
    return [FOLDER / "deck.png", FOLDER / "gallery.png"]
