"""The web deck in a real browser: steps, last pictures, texts, and values under the pointer."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from extract.trace import Trace
from filmkit.core.camera import Shot
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.picture_map import picture_map
from filmkit.core.quantities import axes_of
from filmkit.decks.cells import MASKED, ArrayStore, panels_of
from filmkit.decks.make import make_deck
from filmkit.pictures.bodies import Relief
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import QUALITIES, Quality
from scenes.sparse.parts import attention_to_those_before
from tests.support.browsing import Open, browser, opened, record_problems, wait_until
from tests.support.deck_scene import CELLS, LENGTHS
from tests.support.decks import HOLDS, STILL, speaker_of, with_films_without_end
from tests.support.decoding import cell_centers, expected
from tests.support.filming import render_request
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

SMALL = Quality(640, 360, 10)
BEATS = ["queries", "scores_over_them", "from_the_side"]
TITLES = ["Queries", "Scores over them", "From the side"]
WORDS = ["The", " cat", " sat", "\n"]

# Record every mode: beats are short, and one may have ended before a test looks.
RECORD_MODES = """
window.modes = [];
new MutationObserver(() => modes.push(document.getElementById("stage")?.dataset.mode))
    .observe(document, { subtree: true, attributeFilter: ["data-mode"] });
"""
FAST = "players.forEach((player) => (player.defaultPlaybackRate = player.playbackRate = 4))"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(n_tokens=4, words=WORDS)


@pytest.fixture(scope="module")
def deck(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deck")
    file = folder / "trace.safetensors"
    trace.save(file)
    target = folder / "deck.html"
    assert make_deck(render_request((CELLS,), file, folder, quality=SMALL), "web", target)
    return target


@pytest.fixture
def open_deck(browser: Browser, deck: Path) -> Iterator[Open]:
    """Function that opens the deck, in which each beat plays once."""

    def open_to_play_once(*fragment: str, **options: Any) -> Page:
        page = open_page(*fragment, **options)
        # The last beat repeats itself after a second, in which a busy machine may not have looked.
        page.evaluate("talk.loop = false; slides.forEach((slide) => (slide.loop = false))")
        return page

    with opened(browser, deck, script=RECORD_MODES) as open_page:
        yield open_to_play_once


def index(page: Page) -> int:
    return int(page.get_attribute("#stage", "data-index") or -1)


def film(page: Page) -> dict[str, Any]:
    """Return time, length and state of the film on the stage."""
    state: dict[str, Any] = page.evaluate(
        "(({currentTime, duration, paused}) => ({currentTime, duration, paused}))"
        "(document.querySelector('video.front'))"
    )
    return state


def wait_for_hold(page: Page) -> None:
    """Wait until the deck holds the last picture of a beat."""
    page.wait_for_selector(HOLDS)
    wait_until(
        page,
        "(v => v && v.readyState >= 2 && v.currentTime === v.duration && !v.seeking)"
        "(document.querySelector('video.front'))",
    )


@pytest.mark.parametrize(
    "key",
    [
        "ArrowRight",
        *(pytest.param(key, marks=pytest.mark.slow) for key in (" ", "PageDown", "click")),
    ],
)
def test_a_step_plays_the_next_beat_which_then_holds(open_deck: Open, key: str) -> None:
    page = open_deck(held=True)
    wait_for_hold(page)
    page.evaluate(FAST)
    for i in (1, 2):
        if key == "click":
            page.mouse.click(640, 600)
            # It waits for a second one, which would zoom.
            page.clock.run_for(300)
        else:
            page.keyboard.press(key)
        assert index(page) == i
        wait_for_hold(page)
        assert page.evaluate("modes.splice(0)")[-2:] == ["plays", "holds"]
        played = film(page)
        assert played["paused"]
        assert played["currentTime"] == played["duration"] == pytest.approx(LENGTHS[i], abs=0.15)
        assert not page.is_visible("#still")
        assert page.text_content("#where b") == TITLES[i]
    page.keyboard.press("ArrowRight")
    assert index(page) == 2, "there is nothing after the last beat"


@pytest.mark.slow
def test_a_step_back_shows_the_held_picture_at_once(open_deck: Open) -> None:
    page = open_deck("#3")
    assert index(page) == 2
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#stage", "data-mode") == "holds"
    assert page.is_visible("#still")
    wait_for_hold(page)
    assert film(page)["paused"]
    assert index(page) == 1
    page.evaluate("modes.splice(0)")
    page.keyboard.press("r")
    wait_for_hold(page)
    assert page.evaluate("modes") == ["plays", "holds"]


FRONT_AND_STILL = """async () => {
    const still = new Image();
    still.src = slides[0].still;
    await still.decode();
    const pixels = (source) => {
        const canvas = new OffscreenCanvas(640, 360).getContext("2d");
        canvas.drawImage(source, 0, 0);
        return canvas.getImageData(0, 0, 640, 360).data;
    };
    const [a, b] = [pixels(still), pixels(document.querySelector("video.front"))];
    return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
}"""
"""Mean difference of the film that is shown and of the first slide's still, in levels of 255."""


def test_the_last_frame_of_the_film_is_the_still(open_deck: Open) -> None:
    page = open_deck()
    wait_for_hold(page)
    # On a busy machine a browser shows the last frame a little after the film has ended.
    wait_until(page, f"({FRONT_AND_STILL})().then((difference) => difference < 3)")


def test_pause_and_resume(open_deck: Open) -> None:
    page = with_films_without_end(open_deck(**STILL))
    page.keyboard.press("r")
    wait_until(page, "!document.querySelector('video.front').paused")
    page.wait_for_selector("#play[aria-label=Pause]")
    page.keyboard.press("p")
    page.wait_for_selector("#play[aria-label='Resume']")
    wait_until(page, "document.querySelector('video.front').paused")
    page.keyboard.press("p")
    page.wait_for_selector("#play[aria-label=Pause]")
    wait_until(page, "!document.querySelector('video.front').paused")


def test_captions_are_off_until_asked_for(open_deck: Open) -> None:
    page = open_deck()
    wait_for_hold(page)
    assert not page.is_visible("#caption")
    page.keyboard.press("c")
    caption = page.text_content("#caption") or ""
    assert caption.endswith("one row for each word.")
    assert page.get_attribute("#captions", "aria-pressed") == "true"
    page.click("#captions")
    assert not page.is_visible("#caption")


def test_notes_beside_and_in_a_window_of_their_own(open_deck: Open) -> None:
    page = open_deck("#2")
    page.keyboard.press("n")
    assert "A query cannot look ahead." in (page.text_content("#notes") or "")
    speaker = speaker_of(page)
    assert "A query cannot" in (speaker.text_content("#notes-text") or "")
    assert speaker.text_content("#next") == TITLES[2]
    assert re.fullmatch(r"\d\d:\d\d", speaker.text_content("#clock") or "")
    speaker.keyboard.press("ArrowRight")
    assert index(page) == 2
    assert speaker.text_content("#title") == TITLES[2]
    assert speaker.text_content("#next") == "The end"
    speaker.click("#back")
    assert index(page) == 1
    assert speaker.text_content("#title") == TITLES[1]


def test_reduced_motion_shows_last_pictures_only(open_deck: Open) -> None:
    page = open_deck(**STILL)
    for i in (0, 1):
        assert index(page) == i
        assert page.get_attribute("#stage", "data-mode") == "holds"
        assert page.is_visible("#still")
        page.keyboard.press("ArrowRight")
    assert page.evaluate("players.every((player) => player.paused)")


def point(page: Page, frame: list[int], at: tuple[float, float]) -> tuple[float, float]:
    """Return where a point of the picture, in its pixels, is on the screen."""
    box = page.locator("#stage").bounding_box()
    assert box
    return (
        box["x"] + at[0] * box["width"] / frame[0],
        box["y"] + at[1] * box["height"] / frame[1],
    )


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.mark.parametrize(
    "beat", [0, *(pytest.param(beat, marks=pytest.mark.slow) for beat in (1, 2))]
)
def test_values_under_the_pointer_come_from_the_trace(
    open_deck: Open, trace: Trace, beat: int
) -> None:
    page = open_deck(f"#{beat + 1}", **STILL)
    slide, featured = page.evaluate("slides[state.index]"), trace.meta.featured
    numbers = {
        "q": expected(next(p for p in slide["panels"] if p["tensor"]), trace),
        "scores": trace.scores(featured.layer, featured.head)[1:, 1:],
    }
    seen: dict[str, set[tuple[int, int]]] = {"q": set(), "scores": set()}
    top = slide["panels"][-1]
    for panel in slide["panels"]:
        name = "q" if panel["tensor"] else "scores"
        for (row, column), at in zip(
            np.ndindex(*panel["shape"]), cell_centers(panel).reshape(-1, 2), strict=True
        ):
            page.mouse.move(*point(page, slide["frame"], (float(at[0]), float(at[1]))))
            visible, shown, words = page.evaluate(
                "[!tip.hidden, tip.dataset.value, tip.querySelector('.words').textContent]"
            )
            if panel is not top and "query" in words:
                continue  # the scores lie over this cell
            assert visible
            if name == "scores" and column > row:
                assert shown == "masked"
                continue
            true = np.float32(numbers[name][row, column])
            assert number(shown) == float(f"{true:.4g}"), (panel["name"], row, column)
            word = WORDS[row].strip(" ").replace("\n", "↵")
            assert f"“{word}” ({row + 1})" in words
            seen[name].add((row, column))
    rows = len(WORDS)
    assert len(seen["scores"]) == (rows * (rows + 1) / 2 if beat else 0)
    assert 0 < len(seen["q"]) <= rows * 8
    assert (len(seen["q"]) < rows * 8) == (beat > 0), "the scores lie over a part of the queries"


def test_the_tip_gives_the_place_in_the_trace(open_deck: Open) -> None:
    page = open_deck(**STILL)
    slide = page.evaluate("slides[0]")
    (panel,) = slide["panels"]
    x, y = cell_centers(panel)[1, 3]
    page.mouse.move(*point(page, slide["frame"], (x, y)))
    head = panel["index"][1]
    assert (page.text_content("#tip .index") or "").endswith(f"{panel['tensor']}[2, {head}, 3]")
    page.mouse.move(*point(page, slide["frame"], (slide["frame"][0] - 5, 5)))
    assert not page.is_visible("#tip")


def test_what_stands_for_all_words_before_is_no_channel(open_deck: Open) -> None:
    trace = make_trace(n_tokens=14)
    given = (("query", 9), ("first", 7))
    place = (0, 1), (0, 1), 0
    source = TensorSource(quantity=attention_to_those_before.__name__, index=place, given=given)
    panel = {"name": "", "tensor": None, "transposed": False, "index": place}
    panel["axes"] = axes_of(trace, source)
    page = open_deck(**STILL)
    page.evaluate("tokens => { cells.tokens = tokens; }", trace.meta.tokens)
    cell = "panel => cells.describe({ panel, row: 0, column: 0, value: 1 })[1]"
    assert page.evaluate(cell, panel) == "all words before  ·  layer 0  ·  head 0"


def test_there_is_no_tip_while_a_beat_plays(open_deck: Open) -> None:
    page = with_films_without_end(open_deck(**STILL))
    page.keyboard.press("r")
    slide = page.evaluate("slides[0]")
    x, y = cell_centers(slide["panels"][0])[0, 0]
    page.mouse.move(*point(page, slide["frame"], (x, y)))
    assert not page.is_visible("#tip")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844), (360, 640), (844, 390)])
def test_everything_fits_the_screen(open_deck: Open, width: int, height: int) -> None:
    page = open_deck(viewport={"width": width, "height": height}, has_touch=width < 1000)
    page.wait_for_selector("#stage[data-index]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    stage = page.locator("#stage").bounding_box()
    assert stage
    assert stage["width"] / stage["height"] == pytest.approx(16 / 9, rel=0.01)
    assert stage["width"] * stage["height"] > 0.25 * width * height or stage["width"] == width
    boxes = [button.bounding_box() for button in page.locator(".tools button:visible").all()]
    assert len(boxes) >= 8
    for box in boxes:
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert stage["y"] + stage["height"] <= box["y"]
        assert box["y"] + box["height"] <= height
        assert min(box["width"], box["height"]) >= 36


def test_a_touch_shows_a_value_and_a_touch_beside_cells_steps(open_deck: Open) -> None:
    page = open_deck(viewport={"width": 390, "height": 844}, has_touch=True, **STILL)
    slide = page.evaluate("slides[0]")
    x, y = cell_centers(slide["panels"][0])[2, 5]
    page.touchscreen.tap(*point(page, slide["frame"], (x, y)))
    page.wait_for_selector("#tip")  # a tap becomes a click a moment later
    assert index(page) == 0
    page.touchscreen.tap(*point(page, slide["frame"], (600, 20)))
    wait_until(page, "state.index === 1")


def test_keys_open_the_overview_and_the_help(open_deck: Open) -> None:
    page = open_deck()
    page.keyboard.press("o")
    assert page.locator("#overview button").all_text_contents() == [
        f"{i}  {title}" for i, title in enumerate(TITLES, 1)
    ]
    page.click("#overview button:nth-of-type(3)")
    assert index(page) == 2
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")


def test_every_control_and_picture_has_a_name(open_deck: Open) -> None:
    page = open_deck()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button')].filter((b) => "
        "!(b.getAttribute('aria-label') || b.textContent.trim())).length"
    )
    assert unnamed == 0
    label = page.get_attribute("#stage", "aria-label") or ""
    assert label.startswith("Queries. ")
    assert "4 words by 8 columns" in label
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"


@pytest.mark.slow
def test_films_beside_the_page(browser: Browser, trace: Trace, tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    trace.save(file)
    target = tmp_path / "deck.html"
    request = render_request((CELLS,), file, tmp_path, quality=SMALL)
    assert make_deck(request, "web", target, films_beside=True)
    names = sorted(path.name for path in (tmp_path / "deck_films").iterdir())
    assert names == [f"scene_cells_{i:02}_{name}.mp4" for i, name in enumerate(BEATS, 1)]
    assert "video/mp4;base64" not in target.read_text()
    page = browser.new_page()
    problems = record_problems(page)
    page.goto(target.as_uri())
    wait_for_hold(page)
    assert problems == []
    page.close()


def test_words_of_the_prompt_cannot_end_the_script(tmp_path: Path) -> None:
    from filmkit.decks.web import as_json

    text = str(as_json({"token": "</script><b>"}))
    assert "</script>" not in text
    assert json.loads(text) == {"token": "</script><b>"}


def test_a_cell_that_is_not_drawn_is_not_called_masked(trace: Trace) -> None:
    panel = {
        "tensor": "pattern.0",
        "index": [0, [0, 2], [0, 2]],
        "transposed": False,
        "shape": [2, 2],
        "corners": [[0, 0], [2, 0], [2, 2], [0, 2]],
        "masked": [[0, 1], [1, 0]],
        "hidden": [[1, 0]],
        "values": [[1.0, 0.0], [None, 0.5]],
        "opacity": 1.0,
    }
    arrays = ArrayStore()
    panels_of({"panels": [panel]}, trace, arrays)
    (values,) = (np.frombuffer(b64decode(text), "<f4") for text in arrays.encoded())
    np.testing.assert_array_equal(values, [1.0, MASKED, np.nan, 0.5])


def test_a_row_of_bars_is_read_as_a_panel_of_one_row_under_all_panels(trace: Trace) -> None:
    with manim_config(QUALITIES["draft"]):
        camera = LitCamera()
        camera.shot = Shot.looking((0, 1.4, 6), (0, 1, 0), 1.2)
        source = TensorSource("pattern.0", index=(0, 2, (0, 3)))
        relief = Relief([0.5, -1.0, 0.25], source=source, told="row").put((0, 1, 0))
        cells = Heatmap([[1.0, 2.0]], Norm.unit(), width=1)
        arrays = ArrayStore()
        row, panel = panels_of(picture_map([relief, cells], camera, values=True), trace, arrays)
        fronts = relief.boxes[1:].mean(axis=1)
        fronts[:, 2] = 0.06
        pixels = camera.pixels(relief, relief.at(fronts))
    assert (row["shape"], row["tensor"], row["index"]) == ([1, 3], "pattern.0", [0, 2, [0, 3]])
    assert panel["shape"] == [1, 2]
    values = np.frombuffer(b64decode(arrays.encoded()[row["values"]]), "<f4")
    np.testing.assert_array_equal(values, [0.5, -1.0, 0.25])
    # Each bar is in its own third of the strip.
    across = np.array(row["corners"])[1] - row["corners"][0]
    places = (pixels - row["corners"][0]) @ across / (across @ across)
    np.testing.assert_array_equal(np.floor(3 * places), [0, 1, 2])
