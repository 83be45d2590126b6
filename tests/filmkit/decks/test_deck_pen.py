"""The pen of a web deck: what it draws, where that stays, and what it leaves to other keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import ImageColor

from filmkit.core.theme import DARK, LIGHT, PRINT
from tests.support.browsing import Open, browser, opened, wait_until
from tests.support.checkout import PROJECT
from tests.support.contrast import LINE_CONTRAST, contrast
from tests.support.decks import STILL, speaker_of
from tests.support.live_scenes import live_page
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["browser"]

ENDS = [(0.3, 0.4), (0.5, 0.6)]
"""Where a stroke begins and ends: shares of the picture's width and height."""

DRAWN = """(() => { const picture = byId("still").getBoundingClientRect();
return [...byId("ink").lastElementChild.children].map((stroke) => {
  const { left, top, right, bottom } = stroke.getBoundingClientRect();
  return [[(left - picture.left) / picture.width, (top - picture.top) / picture.height],
    [(right - picture.left) / picture.width, (bottom - picture.top) / picture.height]];
}); })()"""
COUNT = "byId('ink').lastElementChild.children.length"


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deck of three pictures, the second of which has a live one that follows a token."""
    folder = tmp_path_factory.mktemp("pen")
    return live_page(make_trace(n_tokens=4), folder, ("Patterns", "Rows", "Rank"))


@pytest.fixture
def open_deck(browser: Any, deck: Path) -> Iterator[Open]:
    with opened(browser, deck) as open_page:
        yield open_page


NEAREST = """(places) => places.map(([x, y]) => {
  const all = [...byId("ink").querySelectorAll(".lines path")].flatMap((path) => {
    const matrix = path.getScreenCTM();
    const length = path.getTotalLength();
    const at = (i) => path.getPointAtLength((i / 1999) * length).matrixTransform(matrix);
    return Array.from({ length: 2000 }, (_, i) => at(i));
  });
  return Math.min(...all.map((point) => Math.hypot(point.x - x, point.y - y)));
})"""
"""Returns how far from the one line each of some places of the screen is, in pixels."""


def place(page: Page, x: float, y: float, picture: str = "#still") -> tuple[float, float]:
    """Return a place on a picture, given as shares of it, in pixels of the screen."""
    box = page.locator(picture).bounding_box()
    assert box
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page: Page, *places: tuple[float, float], picture: str = "#still") -> None:
    """Draw a line with the mouse through places of a picture."""
    page.mouse.move(*place(page, *places[0], picture))
    page.mouse.down()
    for each in places[1:]:
        page.mouse.move(*place(page, *each, picture), steps=8)
    page.mouse.up()


def check_ends(page: Page) -> None:
    """The one stroke on the deck goes from corner to corner of where it was drawn."""
    (found,) = page.evaluate(DRAWN)
    for corner, end in zip(found, ENDS, strict=True):
        assert corner == pytest.approx(end, abs=0.01)


def test_a_stroke_stays_in_its_place_and_no_step_is_made(open_deck: Open) -> None:
    page = open_deck(held=True, **STILL)
    page.keyboard.press("d")
    draw(page, *ENDS)
    page.clock.run_for(300)  # in which a click would step
    assert page.evaluate("[state.index, laser.hidden]") == [0, True]
    check_ends(page)
    page.set_viewport_size({"width": 640, "height": 480})
    check_ends(page)
    page.mouse.click(*place(page, 0.9, 0.9))
    page.clock.run_for(300)
    assert page.evaluate(COUNT) == 2, "a click is a dot"
    assert page.evaluate("state.index") == 0
    page.keyboard.press("Escape")
    page.mouse.click(*place(page, 0.5, 0.5))
    page.clock.run_for(300)
    assert page.evaluate("state.index") == 1


def test_a_fast_hand_draws_corners_and_a_click_a_dot(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("d")
    corners = [(0.2, 0.6), (0.23, 0.5), (0.26, 0.6), (0.29, 0.5), (0.32, 0.6)]
    points = [place(page, *each) for each in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y, steps=2)
    page.mouse.up()
    nearest = page.evaluate(NEAREST, [list(each) for each in points])
    assert max(nearest) < 1, "pixels from a corner to the line"
    page.mouse.click(*place(page, 0.8, 0.8))
    widths = (
        "[...ink.querySelectorAll('.lines path')].map((path) => +path.getAttribute('stroke-width'))"
    )
    line, *_, dot = page.evaluate(f"(() => {{ const ink = byId('ink'); return {widths}; }})()")
    assert dot >= 2.5 * line


def test_what_is_drawn_in_a_zoomed_picture_is_in_its_place(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("d")
    page.mouse.move(*place(page, 0.4, 0.5))
    page.keyboard.press("z")
    draw(page, *ENDS)
    check_ends(page)
    page.keyboard.press("Escape")
    assert page.evaluate("stage.classList.contains('zoomed')"), "first the pen is put away"
    page.keyboard.press("Escape")
    check_ends(page)


def test_strokes_belong_to_their_slide_and_outlive_a_reload(open_deck: Open) -> None:
    page = open_deck(held=True, **STILL)
    page.click("#pen-button")
    draw(page, *ENDS)
    page.keyboard.press("2")
    draw(page, (0.1, 0.1), (0.9, 0.1))
    page.click("#palette [data-pen='2']")
    page.keyboard.press(" ")
    assert page.evaluate("state.index") == 1, "space goes on: a click has not kept the keys"
    assert page.evaluate(COUNT) == 0
    draw(page, *ENDS)
    page.keyboard.press("PageUp")
    colours = "[...byId('ink').lastElementChild.children].map((stroke) => stroke.dataset.pen)"
    assert page.evaluate(colours) == ["0", "1"]
    draw(page, (0.1, 0.2), (0.9, 0.2))
    page.clock.run_for(300)  # after which it is kept
    page.reload()
    assert page.is_hidden("#palette")
    assert page.evaluate(colours) == ["0", "1", "2"]
    assert page.evaluate("state.index") == 0
    page.keyboard.press("ArrowRight")
    assert page.evaluate(colours) == ["2"]
    check_ends(page)


def test_a_browser_that_keeps_no_more_does_not_end_the_talk(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.evaluate(
        "history.replaceState = () => { throw new DOMException('', 'SecurityError'); }; null"
    )
    page.keyboard.press("d")
    draw(page, *ENDS)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[stage.ariaLabel.split('.')[0], slides[1].title]") == ["Panels", "Panels"]
    page.keyboard.press("ArrowLeft")
    check_ends(page)


def test_keys_undo_and_clear_and_choose_a_colour(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("d")
    for height in (0.2, 0.4, 0.6):
        draw(page, (0.1, height), (0.9, height))
    counts = []
    for key in ("u", "Delete", "Control+z", "Meta+z", "u", "u", "u"):
        page.keyboard.press(key)
        counts.append(page.evaluate(COUNT))
    assert counts == [2, 0, 2, 1, 0, 0, 0]
    assert page.is_disabled("#undo")
    # On a French keyboard digits need a shift.
    for key, code in (("é", "Digit2"), ("(", "Digit5")):
        event = {"bubbles": True, "key": key, "code": code}
        page.evaluate("(keys) => stage.dispatchEvent(new KeyboardEvent('keydown', keys))", event)
    assert page.locator("#palette [aria-pressed=true]").all_text_contents() == ["2"]
    page.keyboard.press("Alt+3")
    assert page.evaluate("pen.colour") == 1, "it is the browser's"
    # Without the pen these keys are the browser's.
    draw(page, (0.1, 0.2), (0.9, 0.2))
    page.keyboard.press("d")
    for key in ("u", "Delete", "Control+z"):
        page.keyboard.press(key)
    assert page.evaluate(COUNT) == 1


def test_the_speaker_draws_in_their_window_too(open_deck: Open) -> None:
    page = open_deck(**STILL)
    speaker = speaker_of(page)
    speaker.keyboard.press("d")
    assert speaker.is_visible("#palette")
    assert page.is_hidden("#palette"), "the audience does not see it"
    draw(speaker, *ENDS, picture="#now")
    check_ends(page)
    copy = "document.querySelector('#ink .lines').innerHTML"
    assert speaker.evaluate(copy) == page.evaluate(copy)
    # What is drawn on the deck is seen there, also while it is drawn.
    page.keyboard.press("d")
    assert speaker.is_hidden("#palette")
    page.mouse.move(*place(page, 0.1, 0.1))
    page.mouse.down()
    page.mouse.move(*place(page, 0.9, 0.1), steps=5)
    assert speaker.evaluate(copy) == page.evaluate(copy)
    speaker.keyboard.press("PageDown")
    page.mouse.move(*place(page, 0.9, 0.9))
    page.mouse.up()
    assert page.evaluate("[state.index, pen.drawn[0].length, pen.drawn[1].length]") == [1, 2, 0]
    speaker.keyboard.press("d")
    speaker.close()
    wait_until(page, "speaker.closed")
    page.keyboard.press("2")
    assert page.evaluate("pen.colour") == 0, "nobody has it in hand"


def test_a_stylus_draws_by_its_pressure_and_a_hand_beside_it_nothing(open_deck: Open) -> None:
    page = open_deck(has_touch=True, **STILL)
    page.keyboard.press("d")
    session = page.context.new_cdp_session(page)

    def stylus(kind: str, x: float, force: float) -> None:
        at = dict(zip("xy", place(page, x, 0.5), strict=True))
        more = {"button": "left", "buttons": 1, "force": force, "pointerType": "pen"}
        session.send("Input.dispatchMouseEvent", {"type": kind, "clickCount": 1, **at, **more})

    def finger(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", place(page, *each), strict=True)) for each in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", (0.8, 0.8))
    finger("touchMove", (0.2, 0.8))
    finger("touchEnd")
    assert page.evaluate("[state.index, pen.drawn[0].length]") == [0, 1], "a finger draws"
    # A hand, and then the stylus that it holds.
    finger("touchStart", (0.9, 0.9))
    stylus("mousePressed", 0.2, 0.1)
    for x, force in ((0.4, 0.1), (0.6, 1.0), (0.8, 1.0)):
        stylus("mouseMoved", x, force)
    stylus("mouseReleased", 0.8, 1.0)
    finger("touchEnd")
    finger("touchStart", (0.9, 0.9))
    finger("touchEnd")
    assert page.evaluate("pen.drawn[0].length") == 2
    widths = page.evaluate(
        "[...byId('ink').lastElementChild.lastElementChild.children]"
        ".map((path) => Number(path.getAttribute('stroke-width')))"
    )
    assert widths[0] < 3 < 5 < widths[-1]
    assert page.evaluate("state.index") == 0


def test_there_is_one_tool_at_a_time(open_deck: Open) -> None:
    page = open_deck("#2", **STILL)
    page.keyboard.press("l")
    page.mouse.move(*place(page, 0.5, 0.5))
    page.keyboard.press("d")
    page.mouse.move(*place(page, 0.5, 0.6))
    assert page.evaluate("[talk.laser, laser.hidden]") == [False, True]
    page.keyboard.press("b")
    page.keyboard.press("b")
    assert page.is_visible("#palette"), "the screen was black for a while"
    page.keyboard.press("l")
    assert page.is_hidden("#palette")
    assert page.evaluate("talk.laser")
    page.keyboard.press("l")
    page.keyboard.press("d")
    page.keyboard.press("x")
    assert page.is_hidden("#palette"), "clicks choose the token that is followed"
    assert page.evaluate("following.token !== null")


@pytest.mark.slow
def test_who_comes_to_a_stand_finds_clean_pictures(open_deck: Open) -> None:
    page = open_deck(held=True, **STILL)
    page.keyboard.press("a")
    page.keyboard.press("d")
    draw(page, *ENDS)
    page.clock.run_for(50_000)
    draw(page, *ENDS)
    page.clock.run_for(50_000)
    assert page.evaluate("state.index") == 0, "somebody draws"
    page.clock.run_for(11_000)
    assert page.evaluate("state.index") == 1
    assert page.is_hidden("#palette")
    page.evaluate("go(0, false)")
    assert page.evaluate(COUNT) == 0
    page.evaluate("undo()")
    assert page.evaluate(COUNT) == 2, "nothing is lost"


def test_help_and_manual_list_its_keys(open_deck: Open) -> None:
    page = open_deck(**STILL)
    keys = {*page.evaluate("Object.keys(PEN_KEYS)"), "1", page.evaluate("`${PENS}`")}
    names = {"u": "U", "Escape": "Esc"}
    wanted = {names.get(key, key) for key in keys}
    assert wanted <= set(page.locator("#help kbd").all_text_contents())
    table = (PROJECT / "docs" / "talks.md").read_text().partition("### Keys")[2].partition("###")[0]
    assert wanted <= set(re.findall(r"`(.+?)`", table))


@pytest.mark.parametrize("theme", [DARK, LIGHT, PRINT], ids=lambda theme: theme.name)
def test_colours_can_be_seen_in_every_theme(theme: Any) -> None:
    style = (PROJECT / "filmkit" / "decks" / "templates" / "windows.css").read_text()
    roles = re.findall(r'\[data-pen="\d"\] \{ --pen: var\(--(\w+)\)', style)
    assert len(set(roles)) == 4
    for role in roles:
        colours = [ImageColor.getrgb(name) for name in (theme.role(role), theme.background)]
        assert contrast(*(np.array(colours) / 255)) >= LINE_CONTRAST, role
