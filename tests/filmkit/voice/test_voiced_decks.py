"""Decks and the gallery play the voice; the page of a deck can be muted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import av
import pytest

from filmkit.decks.gallery import make_gallery
from filmkit.decks.make import make_deck
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.voice.choice import chosen_voice
from filmkit.voice.sounds import read_sound, spoken_span
from tests.support.browsing import browser, opened, wait_until
from tests.support.deck_scene import CELLS, LENGTHS
from tests.support.decks import STILL, with_films_without_end
from tests.support.filming import render_request
from tests.support.traces import make_trace
from tests.support.voices import tone, write_sound

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

SPOKEN = 2.0
"""Seconds of speech in the first beat and in the last; the second is not spoken."""

VOICED = (2.4, LENGTHS[1], 2.4)


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> RenderRequest:
    folder = tmp_path_factory.mktemp("decks")
    file = folder / "trace.safetensors"
    make_trace(n_tokens=4).save(file)
    for name in ("01_queries", "03_from_the_side"):
        write_sound(folder / "takes" / f"{name}.wav", tone(SPOKEN))
    return render_request(
        (CELLS,),
        file,
        folder / "out",
        quality=Quality(320, 180, 10),
        cache=folder / "cache",
        voice=chosen_voice(str(folder / "takes")),
    )


@pytest.fixture(scope="module")
def deck(request_: RenderRequest) -> Path:
    target = request_.out / "deck.html"
    assert make_deck(request_, "web", target, films_beside=True)
    return target


def speech(film: Path) -> tuple[float, float] | None:
    """Return when somebody speaks in a film; None if it is silent."""
    with av.open(film) as container:
        assert len(container.streams.audio) == 1
        loud = any(abs(frame.to_ndarray()).max() > 0.01 for frame in container.decode(audio=0))
    return spoken_span(read_sound(film)) if loud else None


def assert_spoken(films: list[Path]) -> None:
    first, second, third = map(speech, films)
    assert first == pytest.approx((0, SPOKEN), abs=0.03)
    assert second is None
    assert third == pytest.approx((0, SPOKEN), abs=0.03)


def test_each_step_has_the_sound_of_its_beat(deck: Path) -> None:
    assert_spoken(sorted((deck.parent / "deck_films").glob("*.mp4")))
    document = re.search(r'id="data">(.*?)</script>', deck.read_text(), re.DOTALL)
    assert document
    data = json.loads(document[1])
    assert data["sound"] is True
    assert [slide["seconds"] for slide in data["slides"]] == pytest.approx(VOICED, abs=1e-3)
    # Captions end with the voice, not with the beat.
    assert data["slides"][0]["cues"][-1][1] == pytest.approx(2.0, abs=0.03)


def test_slides_have_it_inside_their_films(request_: RenderRequest, tmp_path: Path) -> None:
    target = tmp_path / "deck.pptx"
    assert make_deck(request_, "powerpoint", target)
    films = []
    with ZipFile(target) as archive:
        for number, name in enumerate(sorted(n for n in archive.namelist() if n.endswith(".mp4"))):
            films.append(tmp_path / f"{number}.mp4")
            films[-1].write_bytes(archive.read(name))
        slides = [archive.read(name) for name in archive.namelist() if "slides/slide" in name]
    assert len(films) == 3
    assert sum(speech(film) is not None for film in films) == 2
    assert b'mute="1"' not in b"".join(slides)


@pytest.mark.slow
def test_the_gallery_is_not_muted(request_: RenderRequest) -> None:
    assert make_gallery(request_, None)
    page = (request_.out / "index.html").read_text()
    assert "<video" in page
    assert "playsinline muted" not in page
    assert ">0:10</span>" in page, "9.6 s"
    ends = spoken_span(read_sound(request_.out / "scene_cells.mp4"))[1]
    assert ends == pytest.approx(VOICED[0] + VOICED[1] + SPOKEN, abs=0.05)


# In a browser


def test_the_page_can_be_muted(browser: Browser, deck: Path) -> None:
    with opened(browser, deck) as open_page:
        page = with_films_without_end(open_page(**STILL))
        button = page.locator("#mute")
        assert button.get_attribute("aria-label") == "Mute"
        page.keyboard.press("ArrowRight")
        wait_until(page, "!players[front].paused && players[front].dataset.index === '1'")
        assert page.evaluate("!players[front].muted")
        assert button.get_attribute("aria-pressed") == "false"
        page.keyboard.press("m")
        assert button.get_attribute("aria-pressed") == "true"
        assert page.evaluate("players.every((player) => player.muted)")
        page.keyboard.press("ArrowRight")
        wait_until(page, "!players[front].paused && players[front].dataset.index === '2'")
        assert page.evaluate("players.every((player) => player.muted)")
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert page.evaluate("players.every((player) => !player.muted)")


# What a browser does before the first key on a page; this one may not. Whether the voice was heard
# is noted, as its film may have ended on a busy machine before a test looks.
PLAYS_SILENTLY_FIRST = """(() => {
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        if (this.muted) return play.call(this);
        HTMLMediaElement.prototype.play = play;
        return Promise.reject(new DOMException("", "NotAllowedError"));
    };
    window.heard = false;
    document.addEventListener("playing", (event) => (window.heard ||= !event.target.muted), true);
})();"""


def test_the_page_asks_for_a_key_only_until_the_voice_is_heard(
    browser: Browser, deck: Path
) -> None:
    asked = "!document.getElementById('toast').hidden"
    with opened(browser, deck, script=PLAYS_SILENTLY_FIRST) as open_page:
        page = open_page(held=True)  # the message stays until it is withdrawn
        wait_until(page, asked)
        assert "Press M" in page.inner_text("#toast")
        assert page.evaluate("!window.heard")
        page.keyboard.press("ArrowRight")
        wait_until(page, f"!({asked})")
        assert page.evaluate("window.heard")


def test_a_deck_without_a_voice_has_no_such_button(request_: RenderRequest, tmp_path: Path) -> None:
    target = tmp_path / "deck.html"
    assert make_deck(replace(request_, voice=None), "web", target)
    text = target.read_text()
    assert 'id="mute"' not in text
    assert '"sound":false' in text
