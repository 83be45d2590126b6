"""Draw the pictures of the README again: ``make readme``.

These are stills, a beat that moves, a deck and the gallery; the latter two need a browser.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from extract.support.temporary import temporary_folder
from filmkit.decks.gallery import page_name, write_gallery
from filmkit.decks.make import make_deck
from filmkit.render.jobs import make_films, make_stills
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.request import RenderRequest
from scenes.registry import SCENES
from tests.support.browsing import find_browser, open_browser
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.filming import render_request

FOLDER = PROJECT / "assets" / "readme"
STILLS = ("scene_question", "scene_attention")
SIZE = QUALITIES["hd"]
MOVING = ("scene_mla", "one_latent_for_all", "latent.gif")  # a scene, its beat, and the file
MOVING_SIZE = Quality(480, 270, 10)
DECK_SCENE = "scene_mla"
DECK_BEAT = 2  # number of its beat that is pictured
POSTERS_APPEAR = 1500  # milliseconds that the browser gets to draw the gallery's posters
# Where the pointer is on the deck's picture, from its top left, in shares of width and height:
# on a cell of the latent.
POINTER = (0.883, 0.794)


def draw_stills(request: RenderRequest) -> None:
    """Draw the last picture of the beat that stands for each scene."""
    for entry in request.scenes:
        if entry.slug in STILLS:
            assert make_stills(replace(request, scenes=(entry,)), entry.cover)
            (still,) = (request.out / entry.slug).glob("*.png")
            shutil.copyfile(still, FOLDER / f"{entry.slug}.png")


def draw_motion(request: RenderRequest) -> None:
    """Film the beat that moves on the page."""
    scene, beat, name = MOVING
    entries = tuple(entry for entry in request.scenes if entry.slug == scene)
    film = replace(request, scenes=entries, beat=beat, quality=MOVING_SIZE, file_format="gif")
    assert make_films(replace(film, captions="none"))
    (made,) = request.out.rglob("*.gif")
    shutil.copyfile(made, FOLDER / name)


def draw_pages(request: RenderRequest) -> None:
    """Picture a deck, with the value under the pointer and the notes, and the gallery."""
    path = find_browser()
    assert path, "the pictures of the deck and the gallery need a browser"
    deck, gallery = request.out / "deck.html", replace(request, out=request.out / "gallery")
    entries = tuple(entry for entry in request.scenes if entry.slug == DECK_SCENE)
    assert make_deck(replace(request, scenes=entries), "web", deck)
    # The gallery's films are not made: its picture shows only their posters.
    assert write_gallery(gallery, None)
    with open_browser(path) as browser:
        size = {"width": SIZE.width, "height": SIZE.height}
        page = browser.new_page(viewport=size, reduced_motion="reduce")
        page.goto(f"{deck.as_uri()}#{DECK_BEAT}")
        page.wait_for_selector("#stage[data-mode=holds] video.front")
        page.keyboard.press("n")
        box = page.locator("#stage").bounding_box()
        assert box
        x, y = POINTER
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=2)
        page.screenshot(path=FOLDER / "deck.png")
        page.goto((gallery.out / page_name(gallery)).as_uri(), wait_until="networkidle")
        page.wait_for_timeout(POSTERS_APPEAR)
        page.screenshot(path=FOLDER / "gallery.png")


def main() -> None:
    """Draw them all."""
    with temporary_folder() as scratch:
        request = render_request(SCENES, SHIPPED, Path(scratch), quality=SIZE)
        for draw in (draw_stills, draw_motion, draw_pages):
            draw(request)


if __name__ == "__main__":
    main()
