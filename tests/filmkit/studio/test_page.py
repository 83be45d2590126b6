"""The studio in a real browser: beats, frames, values under the pointer, edits and mistakes."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extract.trace import Trace
from tests.support.browsing import browser
from tests.support.browsing import wait_until as wait_until_within
from tests.support.decoding import expected
from tests.support.studio import TIMEOUT, Studio, open_studio, studio_program, wait_for_all

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

BEATS = ["Queries", "Pattern moves", "The end"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def page(browser: Browser, studio: Studio) -> Iterator[Page]:
    """The page, with everything drawn; at the end it has had no error, and asked nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    problems: list[str] = []
    home = studio.address.partition("?")[0]
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and problems.append(m.text))
    page.on(
        "request",
        lambda request: request.url.startswith((home, "data:")) or problems.append(request.url),
    )
    page.goto(studio.address)
    wait_for_all(page)
    yield page
    context.close()
    assert problems == []


def wait_until(page: Page, condition: str) -> None:
    wait_until_within(page, condition, TIMEOUT)


FRAME_IS_SHOWN = """(({ dataset, seeking, currentTime, wanted }) =>
  stage.dataset.shows === "film" && dataset.film === film(current()) &&
  !seeking && Math.abs(currentTime - wanted) < 0.5 / state.rate + 1e-3
)(players[front])"""
"""Whether the film shows the frame on which the page stands; until then another stays in front."""

NUMBERS_ARE_READ = (
    "stage.dataset.numbers === `${state.name} ${Math.min(state.at, last(current()))}`"
)


def wait_for_frame(page: Page) -> None:
    """Wait for the picture and the numbers of the frame on which the page stands."""
    wait_until(page, f"{FRAME_IS_SHOWN} && {NUMBERS_ARE_READ}")


def stand_on(page: Page, frame: int) -> None:
    """Pull the scrubber to a frame of the scene, and wait for its picture and its numbers."""
    page.locator("#scrubber").fill(str(frame))
    wait_for_frame(page)


def picture(page: Page) -> str:
    """Return a hash of the frame that the film shows; a screenshot may still have another one."""
    pixels = page.evaluate(
        """(({ videoWidth: width, videoHeight: height }) => {
          const canvas = Object.assign(document.createElement("canvas"), { width, height });
          canvas.getContext("2d").drawImage(players[front], 0, 0);
          return canvas.toDataURL();
        })(players[front])"""
    )
    return sha256(pixels.encode()).hexdigest()


def test_the_token_does_not_stay_in_the_address(page: Page, studio: Studio) -> None:
    assert "token" in studio.address
    assert "token" not in page.url
    assert page.evaluate("document.cookie") == ""


def test_beats_have_thumbnails_titles_and_lengths(page: Page) -> None:
    assert page.locator("#beats .title").all_inner_texts() == BEATS
    wait_until(page, "[...document.querySelectorAll('#beats img')].every((i) => i.naturalWidth)")
    lengths = page.locator("#beats .seconds").all_inner_texts()
    assert all(re.fullmatch(r"\d\.\d s", length) for length in lengths)
    assert len(page.locator("#track > div").all()) == 3


def test_narration_has_its_marks_and_their_times(page: Page) -> None:
    page.locator("#beats button").nth(0).click()
    mark = page.locator("#narration button")
    # "here" begins after 18 of 34 letters, and 6 words of 0.43 s take 2.58 s.
    assert mark.inner_text().split() == ["here", "1.4", "s"]
    assert page.inner_text("#narration").startswith("Queries come, and here")
    facts = page.inner_text("#facts")
    assert facts.startswith("beat 1 of 3")
    seconds = page.evaluate("state.beats[0].seconds")
    assert facts.endswith(f"{round(60 * 6 / seconds)} words a minute")
    mark.click()
    assert page.evaluate("[state.name, state.at]") == ["queries", 7]  # 1.37 s at 5 fps


def test_the_scrubber_and_keys_lead_to_frames(page: Page) -> None:
    starts = page.evaluate("state.beats.map(({ start }) => start)")
    stand_on(page, starts[1] + 2)
    assert page.locator("#beats [aria-current]").inner_text().split("\n")[1] == "Pattern moves"
    time = page.evaluate("players[front].currentTime")
    assert 2 / 5 < time < 3 / 5
    page.locator("#play").focus()
    for key, frame in ((".", 3), ("ArrowRight", 4), (",", 3), ("ArrowLeft", 2), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate("[state.name, state.at]") == ["pattern_moves", frame]
    page.keyboard.press(",")
    assert page.evaluate("state.name") == "queries"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("state.name") == "the_end"


def test_the_last_frame_of_a_film_is_found_again_at_once(page: Page) -> None:
    """The browser says of it that the film is at its end, where it is not looked for forever."""
    start, end = page.evaluate("[state.beats[1].start, Number(byId('scrubber').max)]")
    stand_on(page, end)
    stand_on(page, start)
    page.evaluate(
        "window.seeks = 0; players.forEach((p) => p.addEventListener('seeking', () => seeks++))"
    )
    stand_on(page, end)
    assert page.evaluate("seeks") <= 2


def test_the_value_under_the_pointer_is_that_of_the_trace_in_any_frame(
    page: Page, studio: Studio
) -> None:
    trace = Trace.load(studio.folder / "trace.safetensors")
    start = page.evaluate("state.beats[1].start")
    places = set()
    for frame in (0, 3):
        stand_on(page, start + frame)
        panel = page.evaluate("frames.known.panels[0]")
        assert panel["tensor"].startswith("pattern")
        (left, top), (right, _), (_, bottom), _ = panel["corners"]
        row, column = 5, 2
        rows, columns = panel["shape"]
        box = page.locator("#stage").bounding_box()
        assert box is not None
        scale = box["width"] / 854
        x = left + (right - left) * (column + 0.5) / columns
        y = top + (bottom - top) * (row + 0.5) / rows
        places.add(round(x))
        page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        value = float(expected(panel, trace)[row, column])
        shown = float(page.inner_text("#value").replace("−", "-"))
        assert shown == pytest.approx(value, rel=1e-3)
        first = panel["index"][1][0]
        layer = panel["tensor"].partition(".")[2]
        index = f"pattern.{layer}[{panel['index'][0]}, {first + row}, {first + column}]"
        assert page.inner_text("#index").endswith(index)
    assert len(places) == 2  # the panel has moved


def test_tensors_of_a_frame_can_be_read_with_the_keyboard(page: Page, studio: Studio) -> None:
    trace = Trace.load(studio.folder / "trace.safetensors")
    stand_on(page, page.evaluate("state.beats[1].start"))
    page.mouse.move(0, 0)
    entry = page.locator("#panels button").first
    rows, columns = page.evaluate("frames.known.panels[0].shape")
    assert entry.inner_text().split("\n")[-1] == f"{rows} × {columns}"
    entry.press("Enter")
    entry.press("ArrowDown")
    panel = page.evaluate("frames.known.panels[0]")
    value = float(expected(panel, trace)[1, 0])
    assert float(page.inner_text("#value").replace("−", "-")) == pytest.approx(value, rel=1e-3)
    assert page.get_attribute("#outline polygon", "points")


def test_the_fields_of_the_mosaic_are_drawn_over_any_frame_made_from_one(page: Page) -> None:
    ends = page.evaluate("state.beats.map(({ start, frames }) => start + frames - 1)")
    stand_on(page, ends[2])
    page.locator("#play").focus()
    page.keyboard.press("m")
    assert page.locator("#fields .part > .name").all_inner_texts() == ["Kt", "Q", "scores"]
    assert page.locator("#fields .empty").count() == 1
    assert page.inner_text("#rows").split() == [".", "Kt", "Q", "scores"]
    panels = page.evaluate("frames.known.panels.map(({ corners }) => corners)")
    cells = page.locator("#fields .cells").all()
    # Where a cell's size has no room in the picture, it stands beside it alone.
    told = [label.split(" × ") for label in page.locator("#fields .cells span").all_text_contents()]
    assert [axis for axis, _size in told] == [
        "token 9", "channel 8", "channel 8", "token 9", "token 9", "token 9"
    ]  # fmt: skip
    assert len({tuple(label) for label in told}) == 2  # equal axes have cells of one size
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    scale = stage["width"] / 854
    boxes = {
        tuple(round(c - o) for c, o in zip((b["x"], b["y"]), (stage["x"], stage["y"]), strict=True))
        for b in (cell.bounding_box() for cell in cells)
        if b is not None
    }
    corners = {tuple(round(scale * each) for each in corners[0]) for corners in panels}
    assert {min(abs(x - a) + abs(y - b) for a, b in corners) <= 3 for x, y in boxes} == {True}
    assert "a cell of token is" in page.inner_text("#axes")
    stand_on(page, ends[1])
    assert page.locator("#fields > *").count() == 0
    assert page.inner_text("#axes") == "This picture is not made from a mosaic."
    page.keyboard.press("m")
    assert page.locator("#grid").is_hidden()


def test_it_plays_from_beat_to_beat_and_loops_one(page: Page) -> None:
    stand_on(page, page.evaluate("state.beats[1].start"))
    page.locator("#play").focus()
    page.keyboard.press("s")
    assert page.input_value("#speed") == "2"
    page.keyboard.press("l")
    page.evaluate(
        "window.starts = 0; players.forEach((p) => p.addEventListener('play', () => starts++))"
    )
    page.locator("#play").click()
    wait_until(page, "starts >= 3")
    assert page.evaluate("state.name") == "pattern_moves"
    page.locator("#loop").click()
    wait_until(page, "state.name === 'the_end'")
    wait_until(page, "!state.playing")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    page.locator("#speed").select_option("1")


def test_an_edit_is_shown_and_what_it_does_not_touch_stays(page: Page, studio: Studio) -> None:
    page.locator("#beats button").nth(0).click()
    films = page.evaluate("state.beats.map(({ film }) => film)")
    stills = page.evaluate("state.beats.map(({ still }) => still)")
    studio.edit("1.0 * RIGHT", "-2.0 * RIGHT")
    # The page goes to the beat that the edit has touched.
    wait_until(
        page, f"state.name === 'pattern_moves' && beatNamed(state.name).still !== '{stills[1]}'"
    )
    wait_for_all(page)
    now = page.evaluate("state.beats.map(({ film }) => film)")
    assert now[0] == films[0]
    assert now[1] != films[1]
    # While the page stands on a frame of that beat, this frame is drawn again.
    stand_on(page, page.evaluate("state.beats[1].start") + 3)
    before = picture(page)
    studio.edit("-2.0 * RIGHT", "2.0 * RIGHT")
    # As a picture, or at once as a film: so short a beat may be filmed as fast.
    wait_until(page, f"stage.dataset.shows === 'picture' || state.beats[1].film !== '{now[1]}'")
    assert page.evaluate("[state.name, state.at]") == ["pattern_moves", 3]
    wait_until(page, f"state.beats[1].film !== '{now[1]}'")
    wait_for_all(page)
    wait_for_frame(page)
    assert picture(page) != before


def test_other_words_draw_no_picture(page: Page, studio: Studio) -> None:
    page.locator("#beats button").nth(0).click()
    stills = page.evaluate("state.beats.map(({ still }) => still)")
    studio.edit("A pattern moves.", "Thus a pattern moves to and fro.")
    wait_until(page, "state.beats[1].narration.startsWith('Thus')")
    assert page.evaluate("state.name") == "pattern_moves"  # the page follows edits of words too
    wait_for_all(page)
    assert page.evaluate("state.beats.map(({ still }) => still)") == stills


def test_the_list_of_scenes_has_a_new_title(page: Page, studio: Studio) -> None:
    studio.edit("My scene", "Your scene")
    wait_until(page, "document.title === 'Your scene · Studio'")
    assert page.inner_text("#scene option:checked") == "Your scene"
    wait_for_all(page)
    page.reload()
    wait_until(page, "document.title === 'Your scene · Studio'")
    wait_for_all(page)
    studio.edit("Your scene", "My scene")
    wait_until(page, "document.title === 'My scene · Studio'")
    wait_for_all(page)


RIGHT_LINE = 'self.wait_for("here")'


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('self.wait_for("here"', ["mine.py line {line}", "was never closed"]),
        ("self.wait_fro()", ["mine.py line {line}", "in beat queries", "AttributeError"]),
        ('self.show("Q sores")', ["mine.py line {line}, in beat queries: mosaic Q >sores<"]),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ('self.wait_for("there")', ["mine.py line {line}", "no mark [there]", "[here]"]),
                ("raise SystemExit(3)", ["mine.py line {line}", "in beat queries", "would end"]),
            )
        ),
    ],
)
def test_a_mistake_stands_over_the_picture_until_it_is_mended(
    page: Page, studio: Studio, wrong: str, words: list[str]
) -> None:
    stand_on(page, 3)
    before = picture(page)
    line = studio.scene.read_text().splitlines().index(f"        {RIGHT_LINE}") + 1
    studio.edit(RIGHT_LINE, wrong)
    for word in words:
        text = word.format(line=line)
        page.wait_for_selector(f"#error:has-text('{text}')")
    assert page.get_attribute("#error", "role") == "alert"
    assert page.is_visible("#stage video.front") or page.is_visible("#picture")
    studio.edit(wrong, RIGHT_LINE)
    page.wait_for_selector("#error", state="hidden")
    wait_for_all(page)
    stand_on(page, 3)
    assert picture(page) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "word"),
    [("import RIGHT", "import RIHGT", "RIHGT"), ("@beat", "# none", "no beat to play")],
)
def test_the_last_good_films_stay_while_a_scene_cannot_be_drawn(
    page: Page, studio: Studio, right: str, wrong: str, word: str
) -> None:
    page.locator("#beats button").nth(0).click()
    studio.edit(right, wrong)
    page.wait_for_selector(f"#error:has-text('{word}')")
    assert page.locator("#beats .title").all_inner_texts() == BEATS
    assert page.inner_text("#hint") == ""  # nobody reads numbers
    start = page.evaluate("state.beats[1].start")
    page.locator("#scrubber").fill(str(start + 2))
    wait_until(page, FRAME_IS_SHOWN)
    page.locator("#play").click()
    wait_until(page, "state.name === 'the_end'")
    studio.edit(wrong, right)
    page.wait_for_selector("#error", state="hidden")
    wait_until(page, "!state.playing")
    wait_for_all(page)


def test_a_film_of_other_pictures_is_not_shown(page: Page) -> None:
    """As when one choice follows another, and the pictures of the second are known already."""
    wait_for_all(page)
    told = """HANDLERS.beats({
      beats: state.beats.map(({ name, title, still }, i) => ({
        name, title, still: i === 1 ? state.beats[0].still : still
      })),
      frame: state.frame, frame_rate: state.rate, touched: null
    })"""
    page.evaluate(told)
    assert page.evaluate("state.beats.map((b) => Boolean(film(b)))") == [True, False, True]
    page.evaluate(told)  # another edit, before the film has come
    assert page.evaluate("state.beats.map((b) => Boolean(film(b)))") == [True, False, True]
    page.evaluate("HANDLERS.plan({ beats: state.beats.map((b) => ({ ...b })) })")
    wait_for_all(page)
    page.reload()
    wait_for_all(page)


def test_controls_draw_the_scene_again(page: Page) -> None:
    assert page.locator("#controls label").all_inner_texts() == [
        "Layer", "Head", "Trace", "Theme", "Palette", "Aspect", "Language"
    ]  # fmt: skip
    stand_on(page, page.evaluate("state.beats[1].start"))
    page.select_option("#control-layer", "0")
    page.focus("#control-head")
    page.select_option("#control-head", "2")
    wait_until(page, "frames.known?.panels[0].index[0] === 2")
    wait_for_all(page)
    assert page.evaluate("frames.known.panels[0].tensor") == "pattern.0"
    # The page stays where it is: nothing was edited.
    assert page.evaluate("[state.name, state.at]") == ["pattern_moves", 0]
    assert page.evaluate("document.activeElement.id") == "control-head"


@pytest.mark.slow
def test_choices_are_kept_and_a_trace_may_be_typed(page: Page) -> None:
    page.select_option("#control-theme", "light")
    page.select_option("#control-language", "fr")
    wait_until(page, "state.axes.pos === 'mot'")
    page.select_option("#control-aspect", "1:1")
    wait_until(page, "state.frame[0] === state.frame[1]")
    page.reload()
    wait_for_all(page)
    assert page.input_value("#control-theme") == "light"
    page.select_option("#control-trace", "\0")
    page.fill("#controls input[type=text]", "nowhere.safetensors")
    page.keyboard.press("Enter")
    page.wait_for_selector("#error:has-text('nowhere.safetensors')")
    page.select_option("#control-trace", "")
    page.wait_for_selector("#error", state="hidden")
    page.select_option("#control-aspect", "16:9")  # the tests below see a wide film
    wait_until(page, "state.frame[0] > state.frame[1]")
    wait_for_all(page)


def test_the_steps_of_a_sentence_are_shown_and_its_trace_is_chosen(page: Page) -> None:
    """The test sends the messages of an extraction itself, so that no model is loaded.

    Meanwhile the clock of the page stands still.
    """
    wait_for_all(page)
    page.evaluate(
        """window.sent = []; window.realSend = send; send = (message) => sent.push(message);
        window.realChoose = choose; choose = (...choice) => sent.push(choice);
        const now = performance.now(); performance.now = () => now;
        own.showModels(["Org/one", "made-up"], ""); own.source = "Org/one";
        own.showTrace("made-up", "The American flag")"""
    )
    number = page.evaluate("own.number") + 1

    def tell(kind: str, number: int = number, **content: object) -> None:
        page.evaluate(
            "(told) => HANDLERS[told.kind](told)", {"kind": kind, "number": number, **content}
        )

    field = page.locator("#sentence")
    assert field.get_attribute("placeholder") == "The American flag"
    assert page.input_value("#sentence-model") == "made-up"  # that of the trace that is shown
    field.type("A cat m")  # a key of the page, which is none here
    assert page.get_attribute("#mosaic", "aria-pressed") == "false"
    field.press("Enter")
    assert page.evaluate("sent") == [
        {"kind": "prepare", "model": "made-up"},
        {
            "kind": "trace",
            "number": number,
            "prompt": "A cat m",
            "model": "made-up",
            "control": "trace",
        },
    ]
    field.fill("")
    page.keyboard.insert_text("word " * 500)  # as when it is pasted: refused, not cut
    assert len(page.input_value("#sentence")) == 2500
    field.fill("A cat m")
    tell("step", task="reading weights", done=0, total=1)
    tell("step", task="checking", done=3, total=30)
    tell("step", number - 1, task="of a sentence before", done=0, total=1)
    steps = page.locator("#steps li")
    assert [text.split("\n")[0] for text in steps.all_inner_texts()] == [
        "starting", "reading weights", "checking"
    ]  # fmt: skip
    assert steps.nth(2).inner_text().endswith("3 of 30")
    assert steps.nth(1).inner_text().split() == ["reading", "weights", "0.0", "s"]
    tell("refused", text="the prompt is too short")
    assert page.inner_text("#own-error") == "the prompt is too short"
    assert (steps.count(), page.is_visible("#stop-it")) == (0, False)
    assert page.is_hidden("#error")  # the picture stays as it is

    field.press("Enter")
    file = "/there/a-cat.safetensors"
    tell("traced", number + 1, file=file, notes=["One thing."], more=True)
    assert page.inner_text("#own-told") == "Traced after 0.0 s\nOne thing."
    assert page.is_visible("#stop-it")
    tell("traced", number + 1, file=file, notes=[], more=False)  # by then another may be shown
    assert page.is_hidden("#stop-it")
    assert page.evaluate("sent.filter(Array.isArray)") == [["trace", file]]

    field.press("Enter")
    page.click("#stop-it")
    assert page.evaluate("sent.at(-1)") == {"kind": "give_up", "model": "made-up"}
    tell("traced", number + 2, file=file, notes=[], more=False)  # on its way by then
    assert page.inner_text("#own-told") == ""
    field.press("Enter")
    page.evaluate("own.lost()")  # as when the studio ends
    assert (steps.count(), page.inner_text("#own-told")) == (0, "")

    # As when the page was loaded again: the server tells what it had, and what has come since.
    asked = {"prompt": "A dog", "model": "Org/one", "control": "compare"}
    tell("asked", 0, **asked, ago=12.0, again=True)
    tell("step", 0, task="checking", done=3, total=30, ago=2.0, again=True)
    assert (page.input_value("#sentence"), page.input_value("#sentence-model")) == (
        "A dog",
        "Org/one",
    )
    assert steps.nth(0).inner_text().split() == ["starting", "10.0", "s"]
    assert steps.nth(1).inner_text().endswith("3 of 30")
    tell("traced", 0, file=file, notes=[], more=True, ago=1.0, again=True)
    assert page.inner_text("#own-told") == "Traced after 11.0 s"
    assert page.evaluate("sent.filter(Array.isArray)") == [["trace", file]]
    page.click("#stop-it")
    tell("asked", 0, **asked, ago=1.0)
    tell(
        "traced", 0, file=file, notes=["Wait."], more=True, waits=True
    )  # the scene cannot be drawn
    assert page.inner_text("#own-told") == "Wait."
    assert page.evaluate("sent.filter(Array.isArray).length") == 1
    tell("traced", 0, file=file, notes=[], more=False, ago=0.5)  # which the page has not heard of
    assert page.evaluate("sent.at(-1)") == ["compare", file]
    page.evaluate("[send, choose] = [realSend, realChoose]")
    page.reload()
    wait_for_all(page)


def test_a_trace_that_is_gone_can_be_left(browser: Browser, studio: Studio) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    page.goto(f"{studio.address}#scene=mine&trace=/nowhere.safetensors&layer=7")
    page.wait_for_selector("#error:has-text('/nowhere.safetensors')")
    assert page.locator("#control-layer option").all_inner_texts() == ["default", "7"]
    page.select_option("#control-trace", str(studio.folder / "trace.safetensors"))
    page.wait_for_selector("#beats button")
    assert page.locator("#control-layer option").all_inner_texts()[0].endswith("(default)")
    context.close()


@pytest.mark.parametrize("size", [(700, 600), (1280, 720)])
def test_the_value_is_in_sight_of_who_points_at_a_cell(page: Page, size: tuple[int, int]) -> None:
    width, height = size
    wait_for_all(page)
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("stand('the_end', 0)")
    page.evaluate("stand('pattern_moves', 0)")
    wait_for_frame(page)
    assert page.evaluate("scrollY") == 0  # the film stays in sight as well
    page.mouse.move(0, 0)
    play = page.locator("#play").bounding_box()
    assert play is not None
    middle = [play["x"] + play["width"] / 2, play["y"] + play["height"] / 2]
    assert page.evaluate(
        "([x, y]) => byId('play').contains(document.elementFromPoint(x, y))", middle
    )
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_until(page, "byId('value').textContent !== ''")
    value = page.locator("#cell").bounding_box()
    assert value is not None
    assert value["y"] + value["height"] <= height
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


def test_on_a_telephone_the_sentence_follows_the_film_and_the_top_is_low(page: Page) -> None:
    wait_for_all(page)
    page.evaluate("own.showModels(['made-up'], '')")
    page.set_viewport_size({"width": 390, "height": 844})

    def side(selector: str, name: str) -> float:
        return float(
            page.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().{name}")
        )

    assert (
        side(".film", "bottom")
        <= side("#own", "top")
        < side("#own", "bottom")
        <= side("#beats", "top")
    )
    # The keys stand beside the scene, and what is going on below both.
    assert side("#help-button", "top") < side("#scene", "bottom") <= side("#status", "top")
    page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_a_closed_page_costs_nothing(browser: Browser, page: Page, studio: Studio) -> None:
    page.goto("about:blank")
    studio.wait_until_idle()
    studio.edit("2.0 * RIGHT", "0.5 * RIGHT")
    page.wait_for_timeout(500)
    assert studio.drawing_processes() == 0
    page.goto(studio.address)
    wait_for_all(page)
    assert studio.drawing_processes() > 0


def test_nothing_is_written_beside_the_scene(page: Page, studio: Studio) -> None:
    names = {path.name for path in studio.folder.iterdir() if path.name != "__pycache__"}
    assert names == {"mine.py", "trace.safetensors"}


@pytest.mark.slow
def test_without_a_scene_there_is_a_list(browser: Browser, tmp_path: Path) -> None:
    with studio_program("--no-cache", folder=tmp_path) as (address, _):
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(1000 * TIMEOUT)
        page.goto(address)
        choice = page.locator("#scenes button", has_text="scene_question")
        choice.click()
        page.wait_for_selector("#beats button")
        assert page.is_hidden("#welcome")
        assert page.title() == "Can a model remember less? · Studio"
        context.close()


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_ctrl_c_ends_it_while_it_draws(browser: Browser, tmp_path: Path, name: str) -> None:
    with open_studio(tmp_path) as studio:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(1000 * TIMEOUT)
        page.goto(studio.address)
        page.wait_for_selector("#beats button")
        studio.process.send_signal(getattr(signal, name))
        assert studio.process.wait(TIMEOUT) == 130
        assert studio.process.stdout is not None
        output = studio.process.stdout.read()
        assert output.splitlines()[-1] == "Interrupted: unfinished files were removed"
        assert "Traceback" not in output
        context.close()
