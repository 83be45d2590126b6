"""A talk that is given from a telephone, in browsers: the screen, the speaker, and two who vote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from filmkit.decks import hall
from filmkit.decks.talk import Talk
from tests.support.browsing import browser, wait_until
from tests.support.talks import CHOICES, QUESTION, TITLES, served, talk_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from filmkit.decks.remote import TalkServer

__all__ = ["browser"]

SCREEN = {"width": 1366, "height": 768}
TELEPHONE = {"width": 390, "height": 844}
OPTIONS: dict[str, dict[str, Any]] = {
    "screen": {"viewport": SCREEN},
    "speaker": {"viewport": TELEPHONE, "has_touch": True},
    "vote": {"viewport": TELEPHONE, "has_touch": True},
}
STANDS_STILL = """(() => {
  const now = Date.now();
  Date.now = () => now;
  window.WebSocket = class extends WebSocket {
    constructor(address) {
      super(address);
      window.socket = this;
    }
  };
})()"""
"""Stops the clock of a page, to which no silence is long then, and names its newest connection."""

HELD_BACK = """(() => {
  const { onmessage } = socket;
  const sent = [], heard = [];
  socket.send = (text) => sent.push(text);
  socket.onmessage = (event) => heard.push(event);
  window.release = () => {
    delete socket.send;
    Object.assign(socket, { onmessage });
    heard.forEach(onmessage);
    sent.forEach((text) => socket.send(text));
    return sent.length;
  };
})()"""
"""Keeps what a page sends, and what it would hear, as a network that is gone does."""

POINTED = """(() => {
  const places = window.pointed = [];
  socket.addEventListener("message", ({ data }) => {
    if (JSON.parse(data).kind !== "laser") return;
    const [dot, box] = [laser, stage].map((element) => element.getBoundingClientRect());
    places.push(laser.hidden ? null : (dot.x + dot.width / 2 - box.x) / box.width);
  });
})()"""
"""Keeps where the pointer is on the screen after each word of it: a share of the width, or null."""

QUICK = """(() => {
  const { x, y, width } = now.getBoundingClientRect();
  for (const across of [0.5, 0.75]) {
    const place = { pointerId: 1, clientX: x + across * width, clientY: y + 1 };
    now.dispatchEvent(new PointerEvent("pointermove", place));
  }
})()"""
"""Moves the mouse over a telephone's picture so quickly that not every place is told at once."""

WORKS = "document.body.classList.contains('works')"
RESTED = "stepped.by = 0"  # a thumb that trembles is not what taps next

MINUTES = count(20)  # of the talk, others in each test

OpenPage = Callable[[str], "Page"]


def new_page(browser: Browser, role: str) -> Page:
    """Return a page for a role, which a machine that is busy for long does not change."""
    page = browser.new_context(**OPTIONS[role]).new_page()
    page.add_init_script(STANDS_STILL)
    return page


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    return talk_of(tmp_path_factory.mktemp("talk"))


@pytest.fixture(scope="module")
def server(talk: Talk) -> Iterator[TalkServer]:
    with served(talk) as server:
        yield server


@pytest.fixture(scope="module")
def open_page(browser: Browser, server: TalkServer) -> Iterator[OpenPage]:
    """Return a function that opens the page of a role; at the end none may have had an error."""
    contexts, problems = [], []
    hosts = {host for entrance in server.entrances.values() for host in entrance.hosts}

    def note(address: str) -> None:
        host = address.partition("://")[2].split("/")[0]
        if not address.startswith(("data:", "blob:")) and host not in hosts:
            problems.append(address)

    def open_page(role: str) -> Page:
        page = new_page(browser, role)
        contexts.append(page.context)
        page.on("request", lambda request: note(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        page.goto(server.entrances[role].address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="module")
def opened_screen(open_page: OpenPage) -> Page:
    page = open_page("screen")
    page.wait_for_selector("#remote-button[data-state=connected]")
    return page


@pytest.fixture(scope="module")
def opened_telephone(opened_screen: Page, open_page: OpenPage) -> Page:
    page = open_page("speaker")
    wait_until(page, WORKS)
    wait_until(opened_screen, "remote.telephones === 1")
    return page


@pytest.fixture
def screen(opened_screen: Page) -> Page:
    """The screen, at the first slide."""
    opened_screen.evaluate("go(0, false)")
    return opened_screen


@pytest.fixture
def telephone(screen: Page, opened_telephone: Page) -> Page:
    """The speaker's telephone, at the first slide: it has heard all that the screen said before."""
    minutes = next(MINUTES)
    screen.evaluate(f"timer.minutes = {minutes}; report()")
    wait_until(opened_telephone, f"here.minutes === {minutes} && {WORKS}")
    opened_telephone.evaluate(RESTED)
    return opened_telephone


def index(page: Page) -> int:
    return int(page.evaluate("state.index"))


def wait_for_slide(page: Page, number: int) -> None:
    """Wait until the screen, or a telephone, shows a slide."""
    wait_until(page, f"document.getElementById('where').textContent.startsWith('{number + 1} / 4')")


def wait_for_result(telephone: Page, words: str) -> None:
    """Wait until the telephone's button for the result of a vote is called something."""
    wait_until(telephone, f"document.getElementById('result').textContent === '{words}'")


def test_a_talk_is_given_from_a_telephone(
    screen: Page, telephone: Page, open_page: OpenPage
) -> None:
    # The secrets have left the addresses, and no script can read them.
    for page, role in ((screen, "screen"), (telephone, "speaker")):
        assert page.url.partition("#")[0].endswith(f"/{role}/")
        assert page.evaluate("document.cookie") == ""
    assert telephone.inner_text("#title") == TITLES[0]
    assert telephone.inner_text("#next") == TITLES[1]
    assert telephone.inner_text("#notes p").startswith(f"What to say about {TITLES[0]}")
    wait_until(telephone, "document.getElementById('now').naturalWidth === 640")
    assert screen.is_hidden("#vote")

    # The question: two vote, one of them twice; the screen counts and tells no more.
    telephone.tap("#forward")
    wait_for_slide(screen, QUESTION)
    wait_for_slide(telephone, QUESTION)
    one, other = open_page("vote"), open_page("vote")
    for page, choices in ((one, (1, 2)), (other, (2,))):
        page.wait_for_selector("#choices button:enabled")
        assert page.inner_text("#question") == "Which token does it look at?"
        assert page.locator("#choices button").all_inner_texts() == list(CHOICES)
        for choice in choices:
            page.locator("#choices button").nth(choice).tap()
            wait_until(
                page,
                f"document.querySelectorAll('#choices button')[{choice}].ariaPressed === 'true'",
            )
        assert page.locator("#choices [aria-pressed=true]").count() == 1
        assert CHOICES[2] in page.inner_text("#state")
    wait_until(screen, "document.getElementById('vote-count').textContent === 'Votes: 2'")
    assert screen.is_visible("#vote img")
    assert screen.is_hidden("#vote-bars")
    wait_until(telephone, "document.getElementById('votes-count').textContent === 'Votes: 2'")
    assert telephone.locator("#votes output").all_inner_texts() == ["0%", "0%", "100%"]
    stage, panel = (screen.locator(name).bounding_box() for name in ("#stage", "#vote"))
    assert stage
    assert panel
    assert stage["x"] + stage["width"] <= panel["x"], "it covers nothing of the picture"

    # The result, when the speaker wants it; the right one is marked with the answer only.
    telephone.tap("#result")
    screen.wait_for_selector("#vote-bars li")
    assert screen.locator("#vote output").all_inner_texts() == ["0%", "0%", "100%"]
    assert screen.locator("#vote .right").count() == 0
    wait_until(one, "[...document.querySelectorAll('#choices button')].every((b) => b.disabled)")
    wait_for_result(telephone, "Vote again")
    telephone.tap("#result")
    one.wait_for_selector("#choices button:enabled")
    screen.wait_for_selector("#vote-bars", state="hidden")
    assert screen.is_visible("#vote img")
    wait_for_result(telephone, "Result")
    telephone.evaluate(RESTED)
    telephone.tap("#forward")
    screen.wait_for_selector("#vote .right b", state="visible")
    assert screen.inner_text("#vote .right span") == f"✓ {CHOICES[1]}"
    assert screen.get_by_role("img", name="right").is_visible()
    told = f"You chose “{CHOICES[2]}”; “{CHOICES[1]}” is right."
    wait_until(one, f"document.getElementById('state').textContent === '{told}'")
    assert one.locator("#choices .right").all_inner_texts() == [CHOICES[1]]

    # The picture is large again when the speaker says so, and nobody is asked to vote.
    wait_for_result(telephone, "Hide")
    screen.keyboard.press("v")
    screen.wait_for_selector("#vote", state="hidden")
    assert screen.is_hidden("#join")
    wait_for_result(telephone, "Result")
    telephone.tap("#result")
    screen.wait_for_selector("#vote-bars li")
    wait_for_result(telephone, "Hide")

    # On, back to what was kept, and to a beat by its name.
    telephone.evaluate(RESTED)
    telephone.tap("#forward")
    wait_for_slide(telephone, 3)
    screen.wait_for_selector("#vote", state="hidden")
    wait_until(other, "document.getElementById('choices').hidden")
    telephone.tap("#goto-button")
    telephone.get_by_role("button", name=TITLES[1]).tap()
    wait_for_slide(screen, QUESTION)
    screen.wait_for_selector("#vote-bars li")
    assert screen.inner_text("#vote-count") == "Votes: 2"

    # A film of the answer is seen first; if it is played again, all know.
    right = screen.locator("#vote .right b")
    for mode, told in (("plays", False), ("holds", True), ("plays", True)):
        screen.evaluate(f"state.index = stage.dataset.index = {QUESTION + 1}; setMode('{mode}')")
        right.wait_for(state="attached")
        wait_until(screen, f"panel.classList.contains('told') === {str(told).lower()}")
        assert right.is_visible() == told


def point_at(telephone: Page, across: float) -> None:
    """Move the mouse over the telephone's picture, to a share of its width."""
    wait_until(telephone, "now.naturalWidth > 0")
    box = telephone.locator("#now").bounding_box()
    assert box
    telephone.mouse.move(box["x"] + across * box["width"], box["y"] + box["height"] / 2)


def test_black_and_pointer_come_from_the_telephone(screen: Page, telephone: Page) -> None:
    telephone.tap("#black")
    screen.wait_for_selector("#black[open]")
    telephone.wait_for_selector("#black[aria-pressed=true]")
    telephone.tap("#forward")
    screen.wait_for_selector("#black:not([open])", state="attached")
    telephone.wait_for_selector("#black[aria-pressed=false]")
    assert index(screen) == 0, "the picture comes back, and nothing else happens"
    screen.evaluate(POINTED)
    point_at(telephone, 0.25)
    telephone.mouse.down()
    wait_until(screen, "pointed.some(Boolean)")
    assert screen.evaluate("pointed.find(Boolean)") == pytest.approx(0.25, abs=0.02)
    telephone.evaluate(QUICK)
    wait_until(screen, "pointed.at(-1) > 0.7")
    assert screen.evaluate("pointed.at(-1)") == pytest.approx(0.75, abs=0.02)
    telephone.mouse.up()
    wait_until(screen, "pointed.at(-1) === null")


def test_steps_that_come_late_are_one(screen: Page, telephone: Page) -> None:
    """And who taps sees soon that the deck does not hear it."""
    telephone.evaluate(HELD_BACK)
    telephone.tap("#forward")
    telephone.evaluate("tell({ kind: 'step', by: 1, seen: 0 })")
    telephone.evaluate("tell({ kind: 'go', index: 3, seen: 0 })")
    telephone.evaluate("tell({ kind: 'black', on: false })")
    telephone.evaluate("tell({ kind: 'black', on: true })")
    wait_until(telephone, f"!{WORKS}")
    assert telephone.inner_text("#connection") == "Waiting for an answer…"
    assert telephone.is_disabled("#forward")
    assert telephone.evaluate("release()") == 5
    screen.wait_for_selector("#black[open]")  # all that was said before has come, too
    assert index(screen) == 1
    wait_until(telephone, WORKS)


def test_a_thumb_that_trembles_steps_once(screen: Page, telephone: Page) -> None:
    # On a busy machine the second tap would come late.
    telephone.evaluate("window.moment = performance.now(); performance.now = () => moment")
    telephone.tap("#forward")
    wait_for_slide(telephone, 1)
    telephone.tap("#forward")
    telephone.tap("#black")
    screen.wait_for_selector("#black[open]")
    assert index(screen) == 1
    telephone.wait_for_selector("#black[aria-pressed=true]")
    telephone.tap("#black")
    telephone.wait_for_selector("#black[aria-pressed=false]")
    telephone.evaluate("moment += TWICE")
    telephone.tap("#forward")
    wait_for_slide(telephone, 2)
    telephone.evaluate("delete performance.now")


def test_a_vote_that_is_late_says_so(browser: Browser, talk: Talk) -> None:
    with served(talk) as server:
        screen, voter = pages = [new_page(browser, role) for role in ("screen", "vote")]
        for page, role in zip(pages, ("screen", "vote"), strict=True):
            page.goto(server.entrances[role].address)
        screen.keyboard.press("ArrowRight")
        voter.wait_for_selector("#choices button:enabled")
        voter.evaluate(HELD_BACK)
        voter.locator("#choices button").first.tap()
        wait_until(voter, "byId('state').textContent.startsWith('Waiting')")
        assert voter.locator("#choices button").first.is_disabled()
        background = voter.evaluate("getComputedStyle(byId('state')).backgroundColor")
        assert background not in ("rgba(0, 0, 0, 0)", "rgb(0, 0, 0)"), "its letters are dark"
        voter.evaluate("release()")
        voter.wait_for_selector("#choices [aria-pressed=true]:enabled")
        assert voter.get_attribute("#state", "class") == ""
        for page in pages:
            page.context.close()


@pytest.mark.parametrize(
    ("role", "bound", "line", "works"),
    [
        ("speaker", "MAX_SPEAKERS", "connection", WORKS),
        ("vote", "MAX_AUDIENCE", "state", "byId('state').className === ''"),
    ],
)
def test_who_finds_no_place_is_told_and_joins_when_there_is_one(
    browser: Browser,
    talk: Talk,
    monkeypatch: pytest.MonkeyPatch,
    *,
    role: str,
    bound: str,
    line: str,
    works: str,
) -> None:
    most = getattr(hall, bound)
    with served(talk) as server:
        screen, late = pages = [new_page(browser, name) for name in ("screen", role)]
        screen.goto(server.entrances["screen"].address)
        screen.wait_for_selector("#remote-button[data-state=connected]")
        monkeypatch.setattr(hall, bound, 0)
        # Between two attempts nothing else is said.
        late.add_init_script(
            "addEventListener('DOMContentLoaded', () => new MutationObserver("
            f"() => (window.said ??= []).push(byId('{line}').textContent))"
            f".observe(byId('{line}'), {{ childList: true }}))"
        )
        late.goto(server.entrances[role].address)
        wait_until(late, "window.said?.length >= 2")
        assert all("0 telephones" in text for text in late.evaluate("said"))
        monkeypatch.setattr(hall, bound, most)
        wait_until(late, works)
        for page in pages:
            page.context.close()


def test_the_pointer_goes_when_its_telephone_is_silent(screen: Page, telephone: Page) -> None:
    screen.evaluate(POINTED)
    point_at(telephone, 0.25)
    telephone.mouse.down()
    wait_until(screen, "pointed.length >= 5")  # a finger may rest
    telephone.evaluate(HELD_BACK)
    wait_until(screen, "laser.hidden")
    telephone.mouse.up()
    telephone.evaluate("release()")
    wait_until(screen, "pointed.at(-1) === null")


def test_a_remote_goes_on_whatever_lies_over_the_deck(screen: Page) -> None:
    for number, (key, name) in enumerate([("v", "join"), ("t", "telephone"), ("?", "help")]):
        screen.evaluate("go(0, false)")
        screen.keyboard.press(key)
        assert screen.is_visible(f"#{name}")
        screen.keyboard.press("b")
        assert screen.is_visible("#black"), name
        screen.keyboard.press("b")
        screen.keyboard.press(("PageDown", "ArrowRight")[number % 2])
        assert index(screen) == 1
        assert screen.locator("dialog[open]").count() == 0
        screen.keyboard.press("PageUp")
    for key, name in (("v", "join"), ("o", "overview"), ("?", "help")):
        screen.keyboard.press(key)
        assert screen.is_visible(f"#{name}")
        assert screen.locator("dialog[open]").count() == 1
        screen.keyboard.press(key)
        assert screen.locator("dialog[open]").count() == 0, name
    screen.keyboard.press("g")
    screen.keyboard.press("PageDown")
    assert (index(screen), screen.is_visible("#goto")) == (1, False)


def test_the_code_of_the_telephone_is_shown_at_a_second_word(screen: Page) -> None:
    for second in ("t", "Enter"):
        screen.keyboard.press("t")
        assert screen.is_visible("#telephone-warning")
        assert screen.is_hidden("#telephone img")
        screen.keyboard.press(second)
        assert screen.is_visible("#telephone img")
        assert screen.is_hidden("#telephone-warning")
        screen.keyboard.press("t")
        assert screen.is_hidden("#telephone")


def test_a_deck_opened_twice_goes_on_there_and_comes_back_when_used(
    screen: Page, telephone: Page, open_page: OpenPage
) -> None:
    screen.keyboard.press("End")
    wait_for_slide(telephone, 3)
    other = open_page("screen")
    screen.wait_for_selector("#remote-button[data-state=alone]")
    wait_until(other, "state.index === 3")
    telephone.tap("#back")
    wait_for_slide(telephone, 2)
    assert index(other) == 2
    assert index(screen) == 3
    other.close()
    wait_until(telephone, f"!{WORKS}")
    screen.keyboard.press("ArrowLeft")
    wait_until(telephone, WORKS)
    screen.keyboard.press("ArrowLeft")
    wait_for_slide(telephone, 1)


def test_without_votes_there_is_no_result(browser: Browser, talk: Talk) -> None:
    """The speaker's window says how many votes there are, and whether people may vote."""
    with served(talk) as server:
        screen, telephone, voter = pages = [new_page(browser, role) for role in OPTIONS]
        for page, role in zip(pages, OPTIONS, strict=True):
            page.goto(server.entrances[role].address)
        screen.wait_for_selector("#remote-button[data-state=connected]")
        with screen.context.expect_page() as opened:
            screen.keyboard.press("s")
        speaker = opened.value
        screen.evaluate("go(1, false)")
        telephone.wait_for_selector("#result:disabled")
        screen.wait_for_selector("#vote-join img")
        speaker.keyboard.press("v")
        assert speaker.inner_text("#toast") == "Nobody has voted yet."
        speaker.wait_for_selector("#votes")
        assert speaker.inner_text("#votes p").split("V ") == ["Votes: 0 The vote is open. V"]
        # A word that comes while somebody presses a button takes nothing of that away.
        voter.wait_for_selector("#choices button:enabled")
        voter.evaluate("socket.addEventListener('message', () => (window.came = true))")
        voter.locator("#choices button").nth(1).hover()
        voter.mouse.down()
        screen.evaluate("remote.told = ''; report()")
        wait_until(voter, "window.came")
        voter.mouse.up()
        telephone.wait_for_selector("#result:enabled")
        wait_until(speaker, "document.getElementById('votes-count').textContent === 'Votes: 1'")
        speaker.keyboard.press("v")
        speaker.wait_for_selector("#votes-bars li")
        assert speaker.inner_text("#votes p") == "Votes: 1 The vote is closed. V"
        assert speaker.locator("#votes output").all_inner_texts() == ["0%", "100%", "0%"]
        for page in pages:
            page.context.close()


@pytest.mark.slow
def test_keys_work_on_the_telephone_and_on_the_screen(screen: Page, telephone: Page) -> None:
    telephone.keyboard.press("PageDown")
    wait_for_slide(screen, 1)
    wait_for_slide(telephone, 1)
    screen.keyboard.press("ArrowRight")
    wait_for_slide(telephone, 2)
    telephone.keyboard.press("ArrowLeft")
    wait_for_slide(telephone, 1)
    telephone.keyboard.press("b")
    screen.wait_for_selector("#black[open]")


@pytest.mark.slow
def test_codes_are_shown_when_a_key_asks(screen: Page, server: TalkServer) -> None:
    assert screen.is_hidden("#telephone")
    screen.keyboard.press("t")
    screen.keyboard.press("t")
    assert screen.inner_text("#telephone p.address") == server.entrances["speaker"].address
    wait_until(screen, "document.querySelector('#telephone img').naturalWidth > 0")
    screen.keyboard.press("Escape")
    screen.keyboard.press("v")
    assert screen.inner_text("#join p.address") == server.entrances["vote"].address


def test_the_code_of_the_speaker_goes_when_it_has_been_scanned(
    screen: Page, open_page: OpenPage
) -> None:
    screen.keyboard.press("t")
    screen.keyboard.press("t")
    assert screen.is_visible("#telephone")
    telephone = open_page("speaker")
    screen.wait_for_selector("#telephone", state="hidden")
    telephone.close()


def test_a_telephone_that_wakes_connects_again(screen: Page, open_page: OpenPage) -> None:
    """So does one that has heard nothing for long, though nobody has closed its connection."""
    telephone = open_page("speaker")
    wait_until(telephone, WORKS)
    wakes = "document.dispatchEvent(new Event('visibilitychange'))"
    for number, (slept, then) in enumerate([(5, wakes), (20, "")], start=1):
        with telephone.expect_websocket():
            # What is under way would be heard after the time has passed.
            telephone.evaluate(
                "socket.onmessage = null;"
                f"Date.now = ((now) => () => now)(Date.now() + {1000 * slept}); {then}"
            )
        screen.keyboard.press("ArrowRight")
        wait_for_slide(telephone, number)
        wait_until(telephone, WORKS)
    telephone.tap("#forward")
    wait_for_slide(screen, 3)
    telephone.close()


@pytest.mark.slow
def test_the_time_is_that_of_the_screen(screen: Page, telephone: Page) -> None:
    telephone.tap("#forward")
    wait_for_slide(telephone, 1)
    screen.evaluate("Object.assign(timer, { started: Date.now() - 605000, minutes: 10 })")
    wait_until(telephone, "document.getElementById('timer').textContent === '10:05'")
    assert telephone.inner_text("#rest").endswith("over")
    assert telephone.get_attribute("#rest", "data-state") == "over"


@pytest.mark.slow
def test_without_its_server_the_talk_goes_on(browser: Browser, talk: Talk) -> None:
    with served(talk) as server:
        pages = {}
        for role in ("screen", "speaker", "vote"):
            pages[role] = new_page(browser, role)
            pages[role].goto(server.entrances[role].address)
        wait_until(pages["speaker"], WORKS)
    screen, telephone, voter = pages.values()
    screen.wait_for_selector("#remote-button[data-state=alone]")
    for number in range(1, 4):
        screen.keyboard.press("ArrowRight")
        assert index(screen) == number
        wait_until(screen, "still.naturalWidth > 0")
    # Before that it may hear that the screen has gone.
    wait_until(telephone, "byId('connection').textContent.startsWith('No connection')")
    assert telephone.is_disabled("#forward")
    screen.keyboard.press("v")
    assert screen.is_hidden("#join"), "its address is dead"
    assert "server is gone" in screen.inner_text("#toast")
    wait_until(voter, "document.getElementById('state').textContent.startsWith('No connection')")
    for page in pages.values():
        page.context.close()


@pytest.mark.slow
def test_without_a_film_of_the_server_its_last_picture_is_shown(
    browser: Browser, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"no film")
    with served(talk_of(tmp_path, film)) as server:
        page = new_page(browser, "screen")
        page.goto(server.entrances["screen"].address)
        for number in range(3):
            page.wait_for_selector("#stage[data-mode=holds]")
            assert page.evaluate("still.hidden") is False
            assert page.evaluate("still.src === slides[state.index].still")
            assert index(page) == number
            page.keyboard.press("ArrowRight")
        page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390])
def test_buttons_are_large_and_in_sight(
    screen: Page, telephone: Page, open_page: OpenPage, width: int
) -> None:
    voter = open_page("vote")
    screen.keyboard.press("ArrowRight")
    wait_for_slide(telephone, QUESTION)
    telephone.wait_for_selector("#result")
    voter.wait_for_selector("#choices button")
    for page, names in ((telephone, "footer button"), (voter, "#choices button")):
        page.set_viewport_size({"width": width, "height": 640})
        wait_until(page, f"innerWidth === {width} && innerHeight === 640")
        for button in page.locator(names).all():
            box = button.bounding_box()
            assert box
            assert box["height"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= 640
    notes = telephone.locator("#notes p").first
    assert notes.evaluate("(p) => parseFloat(getComputedStyle(p).fontSize)") >= 22
