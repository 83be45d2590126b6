"""What a speaker does with a web deck besides stepping: pointer, zoom, go to, time, a stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extract.trace import Trace
from filmkit.core.language import use_language
from filmkit.decks import DeckOptions
from filmkit.decks.make import make_deck
from filmkit.decks.slides import chosen_beats
from filmkit.render.quality import Quality
from scenes.registry import SCENES
from tests.support.browsing import Open, browser, opened, wait_until
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.deck_scene import CELLS
from tests.support.decks import HOLDS, STILL, speaker_of, with_films, with_films_without_end
from tests.support.filming import render_request
from tests.support.live_scenes import LIVE
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

SMALL = Quality(320, 180, 10)
TITLES = ["Attention", "Queries", "Scores over them", "From the side", "Panels"]
OPTIONS = DeckOptions(title="Attention", author="Ada Example", minutes=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with decks of two scenes, for a talk and for a stand, and a French one."""
    folder = tmp_path_factory.mktemp("talk")
    file = folder / "trace.safetensors"
    make_trace(n_tokens=4).save(file)
    request = render_request(
        (CELLS, LIVE["Rows"]), file, folder, quality=SMALL, cache=folder / "cache"
    )
    assert make_deck(request, "web", folder / "deck.html", OPTIONS)
    assert make_deck(request, "web", folder / "stand.html", DeckOptions(auto=True))
    french = replace(request, scenes=(CELLS,), settings=replace(request.settings, language="fr"))
    with use_language("fr"):
        assert make_deck(french, "web", folder / "french.html", DeckOptions())
    return folder


@pytest.fixture
def open_deck(browser: Browser, folder: Path) -> Iterator[Open]:
    with opened(browser, folder / "deck.html") as open_page:
        yield open_page


@pytest.fixture
def open_stand(browser: Browser, folder: Path) -> Iterator[Open]:
    with opened(browser, folder / "stand.html") as open_page:
        yield open_page


def index(page: Page) -> int:
    return int(page.evaluate("state.index"))


def middle(page: Page, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
    """Return a place on the stage, in pixels of the screen."""
    box = page.locator("#view").bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


# The title slide


def test_a_deck_begins_with_its_title_slide(open_deck: Open) -> None:
    page = with_films_without_end(open_deck())
    assert page.evaluate("slides.map((slide) => slide.title)") == TITLES
    label = page.get_attribute("#stage", "aria-label") or ""
    assert label.startswith("Attention. Attention, Ada Example. Heatmap")
    assert page.title() == "Attention"
    assert page.get_attribute("meta[name=author]", "content") == "Ada Example"
    assert page.is_visible("#still"), "it has no film"
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#stage[data-mode=plays]")
    page.keyboard.press("ArrowLeft")
    assert index(page) == 0
    assert page.is_visible("#still")


def test_without_title_and_author_there_is_no_title_slide(open_stand: Open) -> None:
    page = open_stand(**STILL)
    assert page.evaluate("slides.map((slide) => slide.title)") == TITLES[1:]
    assert page.locator("meta[name=author]").count() == 0


# Steps and pauses that come quickly


def test_a_step_that_interrupts_another_plays_its_film(open_deck: Open) -> None:
    page = with_films_without_end(open_deck(**STILL))
    # What a browser says of a film that is paused before it has begun.
    page.evaluate(
        "(() => { const play = HTMLMediaElement.prototype.play;"
        "HTMLMediaElement.prototype.play = function () {"
        "play.call(this); return Promise.reject(new DOMException('', 'AbortError')); }; })()"
    )
    page.keyboard.press("ArrowRight")
    wait_until(page, "still.hidden")
    assert page.get_attribute("#stage", "data-mode") == "plays"


def test_a_film_that_was_paused_before_it_was_there_plays_then(open_deck: Open) -> None:
    page = with_films_without_end(open_deck("#2", **STILL))
    wait_until(page, "players.every((player) => player.readyState >= 2)")
    ready = "players.forEach((p) => Object.defineProperty(p, 'readyState', { value: 0 }))"
    page.evaluate(ready.replace("value: 0", "value: 0, configurable: true"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    assert page.get_attribute("#stage", "data-mode") == "paused"
    page.evaluate("players.forEach((p) => delete p.readyState)")
    page.keyboard.press("p")
    wait_until(page, "!players[front].paused")
    assert page.evaluate("players[front].dataset.index") == "2", "not the beat before"


def test_a_key_that_is_held_counts_once(open_deck: Open) -> None:
    page = open_deck(**STILL)
    for _ in range(4):
        page.keyboard.down("b")
    assert page.is_visible("#black"), "it does not flicker"
    page.keyboard.up("b")
    page.keyboard.press("b")
    for _ in range(4):
        page.keyboard.down("ArrowRight")
    assert index(page) == 1


def test_a_token_is_followed_on_the_last_picture_only(open_deck: Open) -> None:
    page = with_films_without_end(open_deck("#5", **STILL))
    page.keyboard.press("r")
    page.wait_for_selector("#stage[data-mode=plays]")
    page.keyboard.press("p")
    page.keyboard.press("x")
    assert page.get_attribute("#stage", "data-mode") == "holds"
    assert page.locator("#rows *").count()
    page.keyboard.press("r")
    assert page.locator("#rows *").count() == 0, "no frames stand on a film that moves"


# Black, pointer, zoom


def test_black_until_the_next_key_which_does_nothing_else(open_deck: Open) -> None:
    page = open_deck("#2", held=True, **STILL)
    with_dot = [(".", back) for back in (".", "ArrowRight", "Escape", "click")]
    for key, back in [*with_dot, ("b", "b")]:
        page.keyboard.press(key)
        page.wait_for_selector("#black[open]")
        box = page.locator("#black").bounding_box()
        assert box == {"x": 0, "y": 0, "width": 1280, "height": 720}
        assert page.locator("#black").evaluate("(b) => getComputedStyle(b).backgroundColor") == (
            "rgb(0, 0, 0)"
        )
        if back == "click":
            page.mouse.click(*middle(page))
        else:
            page.keyboard.press(back)
        assert not page.is_visible("#black"), back
        page.clock.run_for(350)
        assert index(page) == 1


def test_a_film_pauses_while_the_screen_is_black(open_deck: Open) -> None:
    page = with_films_without_end(open_deck("#3", **STILL))
    page.keyboard.press("r")
    page.wait_for_selector("#stage[data-mode=plays]")
    page.keyboard.press("b")
    page.wait_for_selector("#stage[data-mode=paused]")
    page.keyboard.press("b")
    page.wait_for_selector("#stage[data-mode=plays]")


def test_the_pointer_follows_the_mouse_and_no_value_is_shown(open_deck: Open) -> None:
    page = open_deck("#2", **STILL)
    at = middle(page, 0.3, 0.5)
    page.mouse.move(*at)
    assert page.is_visible("#tip")
    assert not page.is_visible("#laser")
    page.keyboard.press("l")
    page.mouse.move(at[0] + 1, at[1])
    assert not page.is_visible("#tip")
    box = page.locator("#laser").bounding_box()
    assert box
    assert box["x"] + box["width"] / 2 == pytest.approx(at[0] + 1, abs=1)
    assert box["y"] + box["height"] / 2 == pytest.approx(at[1], abs=1)
    page.keyboard.press("l")
    assert not page.is_visible("#laser")


def test_a_held_mouse_points_and_does_not_step(open_deck: Open) -> None:
    page = open_deck("#2", held=True, **STILL)
    page.mouse.move(*middle(page))
    page.mouse.down()
    page.clock.run_for(350)
    assert page.is_visible("#laser")
    page.mouse.move(*middle(page, 0.6))
    assert page.is_visible("#laser")
    page.mouse.up()
    assert not page.is_visible("#laser")
    page.clock.run_for(350)
    assert index(page) == 1


def test_a_double_click_zooms_and_escape_zooms_out(open_deck: Open) -> None:
    page = open_deck("#2", held=True, **STILL)
    before = page.locator("#stage").bounding_box()
    at = middle(page, 0.25, 0.4)
    page.mouse.dblclick(*at)
    page.clock.run_for(350)
    after = page.locator("#stage").bounding_box()
    assert before
    assert after
    assert after["width"] == pytest.approx(2.5 * before["width"], rel=0.01)
    # What was under the pointer stays there.
    for place, axis, size in zip(at, "xy", ("width", "height"), strict=True):
        share = (place - before[axis]) / before[size]
        assert after[axis] + share * after[size] == pytest.approx(place, abs=2)
    assert index(page) == 1, "neither click stepped"
    page.keyboard.press("Escape")
    assert page.locator("#stage").bounding_box() == before
    page.keyboard.press("z")
    assert "zoomed" in (page.get_attribute("#stage", "class") or "")
    page.keyboard.press("ArrowRight")
    assert "zoomed" not in (page.get_attribute("#stage", "class") or ""), "a step shows all again"


# Going to a beat


@pytest.mark.parametrize(
    ("typed", "reached"),
    [
        ("3", 2),
        ("from", 3),
        pytest.param("Over THEM", 2, marks=pytest.mark.slow),
        pytest.param("scores_over", 2, marks=pytest.mark.slow),
    ],
)
def test_go_to_a_number_or_a_name(open_deck: Open, typed: str, reached: int) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("g")
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    assert index(page) == reached
    assert not page.is_visible("#goto")


def test_go_to_lists_what_fits_and_says_when_nothing_does(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("g")
    every = page.locator("#goto-list button").all_text_contents()
    assert every == [f"{i}  {title}" for i, title in enumerate(TITLES, 1)]
    page.keyboard.type("99")
    assert page.text_content("#goto-none") == "No beat has this number or name."
    page.keyboard.press("Enter")
    assert page.is_visible("#goto")
    page.fill("#goto-name", "s")
    page.click("#goto-list button:nth-child(2)")
    assert index(page) == 1, "Queries has an s inside, Scores begins with one"


def test_letters_typed_there_are_no_keys(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("g")
    page.keyboard.type("black")
    assert page.input_value("#goto-name") == "black"
    assert not page.is_visible("#black")


# Help


def test_help_lists_every_key(open_deck: Open) -> None:
    page = open_deck(**STILL)
    page.keyboard.press("?")
    listed = {text.strip() for text in page.locator("#help kbd").all_text_contents()}
    names = {"ArrowRight": "→", "ArrowLeft": "←", " ": "space", "Escape": "Esc"}
    # These do what others do, and help is what is open.
    alike = {"ArrowDown", "ArrowUp", "PageDown", "PageUp", "Backspace", "m", "?"}
    for key in page.evaluate("Object.keys(KEYS)"):
        if key not in alike:
            assert names.get(key, key if len(key) > 1 else key.upper()) in listed, key


def test_the_manual_lists_every_key(open_deck: Open) -> None:
    table = (PROJECT / "docs" / "talks.md").read_text().partition("### Keys")[2].partition("###")[0]
    listed = set(re.findall(r"`(.+?)`", table))
    names = {"ArrowRight": "→", "ArrowLeft": "←", "Escape": "Esc"}
    # In words there, or alike.
    other = {" ", "PageDown", "PageUp", "ArrowDown", "ArrowUp", "Backspace"}
    keys = open_deck(**STILL).evaluate("Object.keys(KEYS)")
    for key in set(keys) - other:
        assert names.get(key, key if len(key) > 1 else key.upper()) in listed, key


def test_the_deck_of_the_manual_has_the_beats_that_it_names(folder: Path) -> None:
    page = (PROJECT / "docs" / "talks.md").read_text()
    (beats,) = re.findall(r"deck scene_mla scene_rotation --beats (\S+)", page)
    scenes = tuple(entry for entry in SCENES if entry.slug in ("scene_mla", "scene_rotation"))
    found = chosen_beats(
        render_request(scenes, SHIPPED, folder), Trace.load(SHIPPED), beats.split(",")
    )
    assert {entry.slug: names for entry, names in found.items()} == {
        "scene_mla": ("one_latent_for_all", "the_same_budget", "what_it_says", "and_on_a_latent"),
        "scene_rotation": ("what_it_says",),
    }


# A beat over and over, and a deck at a stand


COUNT_PLAYS = """window.plays = 0;
window.silences = [];
players.forEach((p) => {
  p.defaultPlaybackRate = p.playbackRate = 8;
  p.addEventListener("play", () => (plays++, silences.push(p.muted)));
});"""
"""Counts from now on, notes which time is silent, and films are fast."""


AGAIN = 1000  # milliseconds after which a beat that is repeated plays again


@pytest.mark.slow
def test_a_beat_plays_over_and_over_until_e_is_pressed(open_deck: Open) -> None:
    page = with_films(open_deck("#3", held=True, **STILL))
    page.evaluate(COUNT_PLAYS)
    page.keyboard.press("e")
    for count in (1, 2):
        page.wait_for_selector(HOLDS)
        assert page.evaluate("[plays, state.index]") == [count, 2]
        page.clock.run_for(AGAIN)
    page.keyboard.press("e")
    page.wait_for_selector(HOLDS)
    page.clock.run_for(2 * AGAIN)
    assert page.evaluate("[plays, state.mode]") == [3, "holds"]


def test_a_step_ends_the_repetition(open_deck: Open) -> None:
    page = open_deck("#2")
    page.keyboard.press("e")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("talk.loop") is False


def test_a_beat_that_asks_for_it_plays_over_and_over_by_itself(open_deck: Open) -> None:
    page = with_films(open_deck("#3", held=True, **STILL))
    page.evaluate(f"data.sound = true; {COUNT_PLAYS}")
    assert page.evaluate("talk.loop") is False
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(HOLDS)
    page.clock.run_for(AGAIN)
    page.wait_for_selector(HOLDS)
    assert page.evaluate("[state.index, talk.loop]") == [3, True]
    assert page.evaluate("silences") == [False, True], "its words are said once"
    page.keyboard.press("e")
    assert page.text_content("#toast") == "Each beat plays once."
    page.clock.run_for(AGAIN)
    assert page.evaluate("plays") == 2
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("talk.loop"), "when it is shown again"
    page.keyboard.press("a")
    page.wait_for_selector(HOLDS)
    page.clock.run_for(1000 * page.evaluate("data.pause"))
    assert index(page) == 4


def test_such_a_beat_plays_once_at_a_stand(open_stand: Open) -> None:
    page = with_films(open_stand("#2", held=True, **STILL))
    page.evaluate(f"{COUNT_PLAYS}; go(2, true)")
    page.wait_for_selector(HOLDS)
    assert page.evaluate("plays") == 1
    page.clock.run_for(1000 * page.evaluate("data.pause"))
    assert index(page) == 3


def test_such_a_beat_is_a_picture_where_motion_is_reduced(open_deck: Open) -> None:
    page = open_deck("#4", held=True, **STILL)
    page.clock.run_for(2 * AGAIN)
    assert page.evaluate("[state.mode, talk.loop]") == ["holds", False]


def test_a_black_screen_does_not_end_the_repetition(open_deck: Open) -> None:
    page = with_films(open_deck("#2", held=True, **STILL))
    page.evaluate(
        f"{COUNT_PLAYS}; window.back = false;"
        "byId('black').addEventListener('close', () => (back = true))"
    )
    page.keyboard.press("e")
    page.wait_for_selector(HOLDS)
    page.keyboard.press("b")
    page.clock.run_for(2 * AGAIN)
    assert page.evaluate("plays") == 1
    page.keyboard.press("b")
    wait_until(page, "back")
    page.clock.run_for(AGAIN)
    wait_until(page, "plays === 2")


SHORTLY = "data.pause = 0.05; slides.forEach((slide) => (slide.seconds = 0.05)); go(0, true);"
"""Begins again, with beats that are over a tenth of a second after they begin."""


def test_a_stand_goes_on_and_begins_again(open_stand: Open) -> None:
    page = open_stand(held=True, **STILL)
    page.evaluate(
        "window.seen = []; const step = go; go = (...a) => (seen.push(a[0]), step(...a));" + SHORTLY
    )
    page.clock.run_for(550)
    assert page.evaluate("seen") == [0, 1, 2, 3, 0, 1]


def test_any_key_pauses_a_stand_and_a_lets_it_go_on(open_stand: Open) -> None:
    page = open_stand(held=True, **STILL)
    page.evaluate(SHORTLY)
    page.clock.run_for(250)
    page.keyboard.press("n")
    assert "Paused" in (page.text_content("#toast") or "")
    page.clock.run_for(500)
    assert index(page) == 2
    page.keyboard.press("a")
    page.clock.run_for(100)
    assert index(page) == 3


def test_a_stand_goes_on_when_nobody_has_been_there_for_a_minute(open_stand: Open) -> None:
    page = open_stand(held=True, **STILL)
    page.keyboard.press("o")
    assert page.is_visible("#overview")
    page.clock.run_for(59_000)
    assert index(page) == 0
    page.clock.run_for(1_500)
    assert index(page) == 1
    assert not page.is_visible("#overview")


def test_a_deck_waits_unless_it_is_for_a_stand(open_deck: Open) -> None:
    page = open_deck(held=True, **STILL)
    page.evaluate(SHORTLY)
    page.clock.run_for(500)
    assert index(page) == 0


# The speaker's window


def test_the_time_runs_from_the_first_step_and_counts_down_to_the_target(open_deck: Open) -> None:
    page = open_deck(**STILL)
    speaker = speaker_of(page)
    assert speaker.text_content("#timer") == "0:00"
    assert speaker.input_value("#minutes") == "20"
    assert speaker.evaluate("document.fonts.size") == page.evaluate("document.fonts.size") > 0
    assert speaker.text_content("#rest") == "20:00 left"
    page.keyboard.press("ArrowRight")
    for minutes, elapsed, rest, state in (
        (5.5, "5:30", "14:30 left", ""),
        (19, "19:00", "1:00 left", "soon"),
        (20.5, "20:30", "0:30 over", "over"),
    ):
        assert times_after(page, minutes) == [elapsed, rest, state]
    colour = speaker.locator("#rest").evaluate("(rest) => getComputedStyle(rest).backgroundColor")
    assert colour == "rgb(179, 38, 30)"
    speaker.fill("#minutes", "30")
    assert times_after(page, 20.5) == ["20:30", "9:30 left", ""]
    speaker.click("#again")
    assert page.evaluate("Date.now() - timer.started") < 60_000


def times_after(page: Page, minutes: float) -> list[str]:
    """Return what the speaker's window shows after some minutes: time, rest and its state."""
    texts: list[str] = page.evaluate(
        f"""(() => {{
        timer.started = Date.now() - {minutes} * 60000;
        updateClock();
        const [time, rest] = ["timer", "rest"].map((id) => speaker.document.getElementById(id));
        return [time.textContent, rest.textContent, rest.dataset.state];
        }})()"""
    )
    return texts


def test_without_a_target_the_window_shows_none(open_stand: Open) -> None:
    speaker = speaker_of(open_stand(**STILL))
    assert speaker.is_visible("#timer")
    assert not speaker.is_visible("#rest")


def test_a_deck_and_its_speakers_window_say_their_language(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "french.html") as open_page:
        page = open_page(**STILL)
        for window in (page, speaker_of(page)):
            assert window.get_attribute("html", "lang") == "fr"
        assert page.evaluate('say("{some}; {more}", { some: 1, more: 2 })') == "1\u202f; 2"
        assert {"Début", "Fin", "Échap"} <= set(page.locator("kbd").all_text_contents())


def test_keys_of_the_speakers_window_work_on_the_deck(open_deck: Open) -> None:
    page = open_deck(held=True, **STILL)
    speaker = speaker_of(page)
    speaker.keyboard.press("g")
    assert speaker.is_visible("#goto")
    assert not page.is_visible("#goto"), "the audience does not see it"
    speaker.keyboard.type("side")
    speaker.keyboard.press("Enter")
    assert index(page) == 3
    speaker.keyboard.press("b")
    assert page.is_visible("#black")
    speaker.keyboard.press("b")
    assert not page.is_visible("#black")
    speaker.keyboard.press("l")
    assert speaker.is_visible("#toast")
    assert not page.is_visible("#toast"), "the audience does not see it"
    speaker.fill("#minutes", "5")
    assert index(page) == 3, "numbers typed there are no keys"


def test_the_speaker_points_from_their_own_window(open_deck: Open) -> None:
    page = open_deck("#2", **STILL)
    speaker = speaker_of(page)
    speaker.locator("#stage, body").first.press("l")
    picture, stage = speaker.locator("#now").bounding_box(), page.locator("#stage").bounding_box()
    assert picture
    assert stage
    speaker.mouse.move(
        picture["x"] + 0.25 * picture["width"], picture["y"] + 0.75 * picture["height"]
    )
    laser = page.locator("#laser").bounding_box()
    assert laser
    assert laser["x"] + 11 == pytest.approx(stage["x"] + 0.25 * stage["width"], abs=2)
    assert laser["y"] + 11 == pytest.approx(stage["y"] + 0.75 * stage["height"], abs=2)


def test_the_speaker_points_with_a_mouse_that_is_held_still(open_deck: Open) -> None:
    page = open_deck("#2", **STILL)
    speaker = speaker_of(page)
    speaker.hover("#now")
    speaker.mouse.down()
    assert page.is_visible("#laser")
    speaker.mouse.up()
    assert not page.is_visible("#laser")


def test_a_step_from_the_speakers_window_shows_the_beat(open_deck: Open) -> None:
    page = open_deck(**STILL)
    speaker = speaker_of(page)
    for key in ("?", "o"):
        page.keyboard.press(key)
        speaker.keyboard.press("ArrowRight")
        assert page.locator("dialog[open]").count() == 0, "nothing lies over it"
    page.keyboard.press("b")
    speaker.click("#forward")
    assert not page.is_visible("#black")
    assert index(page) == 3
    page.keyboard.press("?")
    speaker.keyboard.press("Escape")
    assert not page.is_visible("#help")


def test_a_remote_steps_while_the_minutes_are_typed(open_deck: Open) -> None:
    page = open_deck(**STILL)
    speaker = speaker_of(page)
    speaker.fill("#minutes", "15")
    speaker.keyboard.press("PageDown")
    assert index(page) == 1
    speaker.keyboard.press("Enter")
    speaker.keyboard.press("ArrowRight")
    assert index(page) == 2, "Enter gives the keys back to the deck"
    assert speaker.input_value("#minutes") == "15"


def test_beat_and_time_outlive_a_reload(open_deck: Open) -> None:
    page = open_deck(**STILL)
    speaker = speaker_of(page)
    page.keyboard.press("ArrowRight")
    speaker.fill("#minutes", "15")
    started = page.evaluate("timer.started")
    with speaker.expect_event("close"):  # the page could not reach it any more
        page.reload()
    assert index(page) == 1
    assert page.evaluate("timer") == {"started": started, "minutes": 15}
    again = speaker_of(page)
    again.keyboard.press("ArrowRight")
    assert index(page) == 2
    assert (again.text_content("#where") or "").startswith("3 / 5")


def test_a_large_screen_shows_everything_larger(open_deck: Open) -> None:
    shares = []
    for scale in (1, 2):
        page = open_deck("#5", viewport={"width": 1280 * scale, "height": 720 * scale}, **STILL)
        boxes = [page.locator(name).bounding_box() for name in (".bar", "#live-button")]
        page.keyboard.press("?")
        boxes.append(page.locator("#help").bounding_box())
        shares.append([box["height"] / scale for box in boxes if box])
    assert shares[1] == pytest.approx(shares[0], rel=0.02)


def test_captions_on_a_telephone_can_be_read(open_deck: Open) -> None:
    page = open_deck("#5", viewport={"width": 390, "height": 844}, **STILL)
    page.keyboard.press("c")
    caption, button, view = (
        page.locator(name).bounding_box() for name in ("#caption", "#live-button", "#view")
    )
    assert caption
    assert button
    assert view
    assert caption["y"] + caption["height"] <= button["y"]
    assert button["y"] + button["height"] <= view["y"] + view["height"]


def test_dialogs_fit_the_screen(open_deck: Open) -> None:
    page = open_deck(**STILL)
    for (width, height), (key, name) in product(
        [(1440, 900), (1024, 768), (390, 844)],
        [("?", "help"), ("g", "goto"), ("o", "overview")],
    ):
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press(key)
        box = page.locator(f"#{name}").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        page.keyboard.press("Escape")


def test_every_word_that_the_script_shows_is_translated() -> None:
    folder = PROJECT / "filmkit" / "decks" / "templates"
    for name in ("deck.js", "talk.js", "pen.js", "live.js", "begin.js"):
        code = re.sub(r'//.*|\bsay\(\s*"[^"]*"', "", (folder / name).read_text())
        for text in re.findall(r"\"([^\"]*)\"|`([^`]*)`", code):
            words = re.sub(r"\$\{[^}]*\}", "", "".join(text))
            assert not re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", words) or "<" in words, words
