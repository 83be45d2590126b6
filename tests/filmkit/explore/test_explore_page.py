"""The page to explore as a whole: sizes, themes, languages, what it loads and can do without."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.trace import Trace
from filmkit.core.language import QUESTION
from filmkit.core.view import LayerView
from filmkit.explore.page import CLOSING, LIBRARY
from filmkit.explore.parts import PARTS
from scenes.registry import SCENES
from tests.support.browsing import (
    NO_SPACE,
    Open,
    browser,
    opened,
    record_problems,
    wait_until,
)
from tests.support.checkout import SHIPPED
from tests.support.exploring import (
    ASKED,
    STILL,
    explore_page,
    file,
    open_page,
    open_part,
    open_parts,
    parts_of,
)
from tests.support.traces import make_trace, replaced

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "file", "open_page"]

SIZES = {"telephone": (390, 844), "desk": (1280, 720), "4K": (3840, 2160)}
MOST_BYTES = 6_000_000

COUNT_FRAMES = """window.frames_ = 0;
const { requestAnimationFrame: request } = window;
window.requestAnimationFrame = (step) => {
  window.frames_ += 1;
  return request(step);
};"""

# What is not in the window, and text that has no room: what is cut off is not read. Lists of a
# matrix lean over its edge, and words of the bar on top are scrolled.
CLIPPED = """[...document.querySelectorAll("body *")].filter((element) => {
  if (element.closest(".unseen, #query, noscript, script, legend")) return false;
  const isText = (node) => node.nodeType === 3 && node.data.trim();
  if (![...element.childNodes].some(isText)) return false;
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
  const range = document.createRange();
  range.selectNodeContents(element);
  const { left, right, width } = range.getBoundingClientRect();
  const hides = getComputedStyle(element).overflowX !== "visible";
  return width && (left < -0.5 || right > innerWidth + 0.5
    || (hides && (element.scrollWidth > element.clientWidth + 1
      || element.scrollHeight > element.clientHeight + 1)));
}).map((element) => `${element.closest("[id]").id}: ${element.textContent}`)"""

# The share of the pixels of each canvas that differ from its most frequent colour.
DRAWN = """[...document.querySelectorAll("canvas")].filter((each) => each.checkVisibility())
  .map((canvas) => {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    if (canvas.id === "arc") drawers.heads.render();
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    const pixels = new Uint32Array(
      context.getImageData(0, 0, copy.width, copy.height).data.buffer);
    const counts = new Map();
    for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
    return [canvas.id || canvas.className, 1 - Math.max(...counts.values()) / pixels.length];
  })"""


def check_room(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CLIPPED) == []


def check_canvases(page: Page) -> None:
    drawn = page.evaluate(DRAWN)
    assert len(drawn) > 30
    assert [name for name, share in drawn if share < 0.1 and name != "arc"] == []
    arc = dict(drawn)["arc"]
    assert arc > 0.05, "cards stand in space"


@pytest.mark.parametrize("size", SIZES)
def test_all_fits_and_is_drawn_in_both_themes(open_page: Open, size: str) -> None:
    width, height = SIZES[size]
    page = open_page(viewport={"width": width, "height": height}, **STILL)
    assert open_parts(page) == list(dict.fromkeys(part.name for part in PARTS))
    check_room(page, width)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    if size != "4K":  # the same canvases, and many more pixels of space
        check_canvases(page)
    page.click("#theme")
    assert page.evaluate(background) != dark
    check_room(page, width)
    if size != "4K":
        check_canvases(page)
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    wait_until(page, "themeName() === 'light'")


@pytest.mark.parametrize(("language", "tag"), [("fr", "fr"), ("zh_Hans", "zh-Hans")])
def test_longer_words_fit_too(browser: Browser, tmp_path: Path, language: str, tag: str) -> None:
    file = explore_page(None, tmp_path, language=language)
    with opened(browser, file) as open_page:
        page = open_page(viewport={"width": 390, "height": 844}, **STILL)
        open_parts(page)
        assert page.evaluate("document.documentElement.lang") == tag
        check_room(page, 390)
        page.set_viewport_size({"width": 1280, "height": 720})
        check_room(page, 1280)


def test_long_and_many_words_fit(browser: Browser, tmp_path: Path) -> None:
    words = [" internationally" if i % 2 else " a" for i in range(20)]
    trace = make_trace(n_tokens=20, words=words, n_heads=16, n_kv_heads=4, d_head=8)
    with opened(browser, explore_page(trace, tmp_path)) as open_page:
        page = open_page(viewport={"width": 390, "height": 844}, **STILL)
        open_parts(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.set_viewport_size({"width": 1280, "height": 720})
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


# What it loads


def test_nothing_is_loaded_before_it_is_near(browser: Browser, file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, **STILL)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    page.goto(file.as_uri())
    wait_until(page, "byId('dot').dataset.state === 'ready'")
    page.wait_for_timeout(300)
    scripts = [name for name in loaded if name.endswith(".js")]
    assert scripts == ["layer.js"], "the first part is near, others are not"
    later = {"heads": LIBRARY, "latent": "latent.js", "rank": "rank.js", "memory": "published.js"}
    later["reading"] = "patterns.js"
    names = parts_of(page)
    for number, name in enumerate(names):
        before = set(loaded)
        open_part(page, name)
        assert later.get(name, "layer.js") in loaded
        # Two parts that are not open yet may be near; nothing of those after them is loaded.
        far = {later[part] for part in names[number + 3 :] if part in later}
        assert not far & (set(loaded) - before)
    assert len(loaded) == len(set(loaded)), "each file is loaded once"
    page.close()


@pytest.mark.parametrize("name", ["reading", pytest.param("latent", marks=pytest.mark.slow)])
def test_the_contents_lead_to_each_part(open_page: Open, name: str) -> None:
    page = open_page(**STILL)
    links = page.locator(".contents a")
    titles = page.locator(".part h2").all_text_contents()
    assert links.all_text_contents() == titles
    assert [link.get_attribute("href") for link in links.all()] == [
        f"#{part}" for part in parts_of(page)
    ]
    links.nth(parts_of(page).index(name)).click()
    wait_until(page, f"byId('{name}').dataset.state === 'ready'")
    # Parts above it get their pictures, and it stays where it is.
    wait_until(page, "!document.querySelector('.part[data-state=loading]')")
    wait_until(page, f"Math.floor(byId('{name}').getBoundingClientRect().top / 100) === 0")


def test_the_page_is_small(file: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in file.parent.iterdir()}
    assert set(sizes) == {
        *("index.html", "layer.js", "latent.js", "patterns.js", "published.js", "rank.js"),
        *(LIBRARY, LIBRARY.replace(".js", ".txt")),
    }
    assert sum(sizes.values()) < MOST_BYTES


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as ``python -m http.server`` does; yield its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_works_on_any_server(browser: Browser, file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, **STILL)
    with served(file.parent) as address:
        problems = record_problems(page)
        page.goto(address)
        for name in open_parts(page):
            assert page.get_attribute(f"#{name}", "data-state") == "ready"
        names = {problem.removeprefix(address) for problem in problems}
        assert "patterns.js" in names
        # A browser asks every server for an icon, which decides about nothing.
        allowed = {"", *(path.name for path in file.parent.iterdir())}
        assert {name for name in names if "favicon" not in name} <= allowed
    page.close()


@pytest.mark.parametrize(("part", "missing"), [("dot", "layer.js"), ("heads", LIBRARY)])
def test_a_part_says_which_file_is_missing(
    browser: Browser, file: Path, tmp_path: Path, part: str, missing: str
) -> None:
    folder = tmp_path / "copy"
    copytree(file.parent, folder)
    (folder / missing).unlink()
    page = browser.new_page(**STILL)
    page.goto((folder / "index.html").as_uri())
    open_part(page, part)
    assert page.get_attribute(f"#{part}", "data-state") == "failed"
    said = page.locator(f"#{part} > :last-child")
    assert said.is_visible()
    assert said.text_content() == f"{missing} could not be loaded; is it beside this page?"
    # Parts that do not need it work.
    open_part(page, "memory")
    assert page.get_attribute("#memory", "data-state") == "ready"
    page.close()


def test_no_foreign_script_runs(browser: Browser, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    copytree(file.parent, folder)
    (folder / "foreign.js").write_text("window.foreign = 'a file'")
    text = (folder / "index.html").read_text(encoding="utf-8")
    foreign = (
        "<script>window.foreign = 'inline'</script><script src=foreign.js></script>"
        "<img src=nothing onerror=\"window.foreign = 'a handler'\">"
        "<link rel=stylesheet href=foreign.css>"
    )
    (folder / "index.html").write_text(text.replace("<main>", f"{foreign}<main>"), encoding="utf-8")
    page = browser.new_page(**STILL)
    problems = record_problems(page)
    page.goto((folder / "index.html").as_uri())
    open_part(page, "dot")
    assert page.evaluate("window.foreign") is None
    assert sum("Content Security Policy" in problem for problem in problems) >= 4
    page.close()


def test_words_of_the_prompt_are_no_code(browser: Browser, tmp_path: Path) -> None:
    words = ["</script><script>bad()</script>", " <img src=x onerror=bad()>", " &amp;", " “{x}”"]
    with opened(browser, explore_page(make_trace(n_tokens=4, words=words), tmp_path)) as open_page:
        page = open_page(**STILL)
        open_parts(page)
        for selector in (".prompt span", "#query label", "#dot-matrix .rows li"):
            shown = page.locator(selector).all_text_contents()
            assert shown == [word.strip() for word in words], selector
        assert page.locator("img").count() == 0


# What it does without


def test_with_less_motion_nothing_moves_by_itself(browser: Browser, file: Path) -> None:
    counts = {}
    for motion in ("reduce", "no-preference"):
        with opened(browser, file, script=COUNT_FRAMES) as open_page:
            page = open_page(reduced_motion=motion)
            open_part(page, "heads")
            wait_until(page, "drawers.heads.frame === null")
            before = page.evaluate("frames_")
            page.evaluate("choose({ head: 8 })")
            wait_until(page, "drawers.heads.frame === null")
            assert page.evaluate("drawers.heads.turn === drawers.heads.goal")
            counts[motion] = page.evaluate("frames_") - before
    assert counts["reduce"] == 1
    assert counts["no-preference"] > 10


def test_without_space_the_heads_stand_in_a_row(browser: Browser, file: Path) -> None:
    with opened(browser, file, script=NO_SPACE) as open_page:
        page = open_page(**STILL)
        open_part(page, "heads")
        assert not page.is_visible("#arc")
        assert page.is_visible("#no-space")
        heads = page.locator("#row-of-heads button")
        assert heads.count() == 9
        heads.nth(6).click()
        assert page.evaluate("chosen.head") == 6
        assert (page.text_content("#head-read") or "").startswith("Head 6:")
        assert page.locator("#row-of-heads [aria-pressed=true]").all_text_contents() == ["head 6"]
        drawn = dict(page.evaluate(DRAWN.replace('"canvas")]', '"#row-of-heads canvas")]')))
        assert min(drawn.values()) > 0.1
        heads.nth(2).focus()
        page.keyboard.press("Enter")
        assert page.evaluate("chosen.head") == 2
        page.set_viewport_size({"width": 390, "height": 844})
        check_room(page, 390)


# What it is made of


def test_questions_are_those_of_the_film() -> None:
    trace = Trace.load(SHIPPED)
    scenes = {entry.slug: entry.load() for entry in SCENES}
    beats = {slug: scene.beat_names(trace) for slug, scene in scenes.items()}
    view = LayerView.of_prompt(trace, None, show_first_token=False)
    asking = [part for part in PARTS if part.question and part.fits(view)]
    assert [part.name for part in asking] == list(ASKED)
    for part in asking:
        question = QUESTION + part.question
        assert {question, *part.premise} <= set(beats[part.scene]), part.name
        assert part.answer == scenes[part.scene].answering_beat(question, trace), "as on worksheets"
    assert "what_it_costs" in beats["scene_sharing"]
    assert {"into_the_latent", "the_answer", "the_word"} <= set(beats[CLOSING])


def test_rows_of_a_long_prompt_have_words_and_what_is_before_them(
    browser: Browser, tmp_path: Path
) -> None:
    trace = replaced(make_trace(n_tokens=14), rows=(7, 12))
    with opened(browser, explore_page(trace, tmp_path)) as open_page:
        page = open_page(**STILL)
        open_parts(page)
        words = [word.strip() for word in trace.meta.tokens[7:12]]
        assert page.locator("#query label").all_text_contents() == words
        page.locator("#query input").last.check(force=True)
        pattern = trace.get("pattern", trace.meta.featured.layer)[trace.meta.featured.head]
        first = page.locator("#softmax-bars em").first.text_content()
        assert first == f"{pattern[11, :7].sum():.0%}"
        assert page.locator("#softmax-bars span").first.text_content() == "7 tokens before"
        assert page.locator("#reading-words button:visible").count() == 6
        rows = np.concatenate([trace.get("pattern", i)[:, 11] for i in range(trace.meta.n_layers)])
        page.locator("#reading-ways input").nth(1).check(force=True)
        page.locator("#reading-count").fill("2")
        assert f"hold {rows[:, 10:12].sum(axis=1).mean():.0%} of" in (
            page.text_content("#reading-read") or ""
        )


def test_the_first_token_is_drawn_if_asked_for(browser: Browser, tmp_path: Path) -> None:
    trace = make_trace(n_tokens=4)
    with opened(browser, explore_page(trace, tmp_path, show_first_token=True)) as open_page:
        page = open_page(**STILL)
        open_parts(page)
        assert page.locator("#query label").count() == 5
        assert page.text_content("#mix-read") == ""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_begins_with_the_theme_that_is_asked_for(
    browser: Browser, tmp_path: Path, theme: str
) -> None:
    """In a browser whose system is dark."""
    file = explore_page(make_trace(n_tokens=4), tmp_path, theme=theme)
    with opened(browser, file) as open_page:
        assert open_page(**STILL).evaluate("themeName()") == theme
