"""Live pictures of web decks: every number and colour in the browser is one of the trace."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from extract.attention.patterns import first_token_weight, previous_token_weight
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport, Row, conversion_report
from filmkit.core.norm import Norm
from filmkit.core.numbers import MINUS, format_share
from filmkit.core.theme import DARK
from filmkit.core.view import LayerView
from filmkit.decks.live import as_said
from filmkit.render.errors import RenderError
from scenes.registry import SCENES
from tests.support.browsing import Open, browser, opened
from tests.support.checkout import SHIPPED
from tests.support.decoding import cell_centers
from tests.support.live_scenes import live_page
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

WAYS = ("latent_then_rotate", "mla")
PIXELS = """(canvas) => [...canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height).data]"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def view(trace: Trace) -> LayerView:
    return LayerView.of_prompt(trace, None, show_first_token=False)


@pytest.fixture(scope="module")
def report(trace: Trace) -> ConversionReport:
    return conversion_report(trace)


@pytest.fixture(scope="module")
def deck(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_page(trace, tmp_path_factory.mktemp("live"), ("Rank", "Patterns", "Rows"))


@pytest.fixture
def open_deck(browser: Browser, deck: Path) -> Iterator[Open]:
    with opened(browser, deck) as open_page:
        yield open_page


def pixels(page: Page, selector: str) -> np.ndarray:
    """Return the colours of a canvas, (rows, columns, 3)."""
    canvas = page.locator(selector)
    shape = canvas.evaluate("(canvas) => [canvas.height, canvas.width, 4]")
    return np.array(canvas.evaluate(PIXELS), dtype=np.uint8).reshape(shape)[..., :3]


def with_mask(colours: np.ndarray) -> np.ndarray:
    """Return the colours of a pattern, with the theme's colour where the mask is."""
    hidden = np.triu(np.ones(colours.shape[:2], dtype=bool), k=1)
    colours[hidden] = list(bytes.fromhex(DARK.masked[1:]))
    return colours


def texts(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_text_contents()


def row_of(report: ConversionReport, way: str, size: int) -> Row:
    return next(row for row in report.ladder if (row.way, row.numbers) == (way, size))


@pytest.mark.parametrize("number", [1, 2], ids=["rank", "patterns"])
def test_the_key_that_opens_a_live_picture_closes_it(open_deck: Open, number: int) -> None:
    page = open_deck(f"#{number}")
    for count in (1, 0, 1):
        page.keyboard.press("x")
        assert page.locator("dialog.live[open]").count() == count


# The dial


def test_every_picture_and_number_of_the_dial_is_of_its_rung(
    open_deck: Open, trace: Trace, view: LayerView, report: ConversionReport
) -> None:
    page = open_deck()
    page.keyboard.press("x")
    page.keyboard.press("Home")
    drawn, head = slice(view.first, view.stop), trace.meta.featured.head
    kv_head, layer = trace.kv_head(head), view.layer
    sizes = sorted({row.numbers for row in report.ladder if row.way == "mla"})
    assert sizes == [16, 32, 48, 64, 96, 128, 160, 192]
    for size in sizes:
        own = {
            "k": trace.get("k", layer)[drawn, kv_head],
            "v": trace.get("v", layer)[drawn, kv_head],
            "pattern": trace.get("pattern", layer)[head][drawn, drawn],
        }
        rungs = [
            {
                name: trace[f"rung.{way}.{size}.{name}"][
                    (drawn, drawn) if name == "pattern" else drawn
                ]
                for name in own
            }
            for way in WAYS
        ]
        assert page.text_content("#rank-count") == f"{size} of {report.cached}"
        for number, tensors in enumerate([own, *rungs], 1):
            for name, values in tensors.items():
                where = f"#rank-sides figure:nth-child({number}) .{name} canvas"
                wanted = view.norm(name).colours(values)
                wanted = with_mask(wanted) if name == "pattern" else wanted
                np.testing.assert_array_equal(pixels(page, where), wanted, err_msg=where)
        rows = [report.ladder[0], *(row_of(report, way, size) for way in WAYS)]
        rows += [row for row in report.ladder if row.way in ("mqa", "mqa_fitted")]
        for column, wanted_texts in {
            3: [format_share(row.moved) for row in rows],
            4: [format_share(row.next_word_probability) for row in rows],
            5: [as_said(row.continuation) for row in rows],
        }.items():
            assert texts(page, f"#rank-rows td:nth-child({column})") == wanted_texts
        errors = [
            f"keys are off by {format_share(row.key_error or 0)}, "
            f"values by {format_share(row.value_error or 0)}"
            for row in rows[1:3]
        ]
        assert texts(page, "#rank-sides figure > p") == ["its own keys and values", *errors]
        rank, rotated = rows[2].rank, rows[2].rotated
        assert texts(page, "#rank-sides figcaption span") == [
            f"{report.cached} numbers",
            f"{size} numbers",
            f"{rank} + {rotated} numbers",
        ]
        same = page.locator("#rank-rows tr.same").count()
        assert same == 2 + 2 * (size == rows[3].numbers), "the shared sets have one size"
        page.keyboard.press("ArrowRight")


def test_lengths_of_bars_are_numbers(open_deck: Open, report: ConversionReport) -> None:
    page = open_deck()
    page.keyboard.press("x")
    widths = page.evaluate(
        "[...document.querySelectorAll('#rank-rows td:nth-child(2)')].map((cell) =>"
        "[...cell.children].reduce((sum, piece) => sum + parseFloat(piece.style.width), 0))"
    )
    sizes = [report.cached, 128, 128, 128, 128]
    assert widths == pytest.approx([100 * size / report.cached for size in sizes], rel=1e-4)


def test_the_cell_that_is_pointed_at_is_compared(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck()
    page.click("#live-button")
    page.locator("#rank-sides figure:nth-child(2) .v canvas").hover(position={"x": 3, "y": 3})
    read = page.text_content("#rank-read") or ""
    kv_head = trace.kv_head(trace.meta.featured.head)
    column = page.evaluate("rank.mark.column")
    values = [
        trace.get("v", view.layer)[view.first, kv_head, column],
        *(trace[f"rung.{way}.128.v"][view.first, column] for way in WAYS),
    ]
    for value in values:
        assert f"{np.float32(value):.4g}".replace("-", MINUS).rstrip("0") in read
    assert read.startswith(f"values of “The”, channel {column}: ")
    marks = page.locator("#rank-sides .picture i:visible")
    assert marks.count() == 3, "the same cell is framed on every side"


def test_keys_of_a_remote_work_while_the_dial_is_open(open_deck: Open) -> None:
    page = open_deck()
    page.keyboard.press("x")
    page.keyboard.press("b")
    assert page.evaluate("byId('black').open && byId('rank').open")
    page.keyboard.press("PageDown")
    assert not page.evaluate("byId('black').open"), "any key brings the picture back"
    assert page.evaluate("state.index") == 0
    page.keyboard.press("PageDown")
    assert page.evaluate("state.index") == 1
    assert not page.evaluate("byId('rank').open")


def test_live_pictures_are_small(deck: Path, open_deck: Open) -> None:
    page = open_deck()
    sizes = page.evaluate(
        """(() => {
        const rungs = [live.rank.model, ...live.rank.latents.flatMap((side) => side.rungs)];
        const dial = new Set(rungs.flatMap((rung) => [rung.k, rung.v, rung.pattern]));
        return [[...dial], [live.patterns.cells]].map(
            (numbers) => numbers.reduce((sum, i) => sum + data.arrays[i].length, 0));
        })()"""
    )
    assert max(sizes) < 200_000
    assert page.evaluate("JSON.stringify(data.live).length") < 20_000


def test_without_a_conversion_there_is_no_dial(browser: Browser, tmp_path: Path) -> None:
    page_file = live_page(make_trace(n_tokens=4), tmp_path, ("Rank",))
    with opened(browser, page_file) as open_page:
        page = open_page()
        assert not page.is_visible("#live-button")
        assert page.locator("#rank").count() == 0
        page.keyboard.press("x")
        assert page.text_content("#toast") == "This beat has no live picture."


def test_a_live_picture_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="no live picture 'dial'; there are rank, patterns, rows"):
        live_page(make_trace(n_tokens=4), tmp_path, ("Unknown",))


def test_scenes_of_the_story_name_their_live_pictures() -> None:
    named = {entry.slug: entry.load().live for entry in SCENES}
    assert {slug: name for slug, name in named.items() if name} == {
        "scene_attention": "rows",
        "scene_patterns": "patterns",
        "scene_mla": "rank",
        "scene_rotation": "rank",
    }


# Every pattern


def test_the_wall_shows_every_pattern_of_the_trace(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck("#2")
    page.click("#live-button")
    wall, count, meta = pixels(page, "#wall"), view.count, trace.meta
    assert wall.shape[:2] == (meta.n_heads * (count + 1) - 1, meta.n_layers * (count + 1) - 1)
    for layer in range(meta.n_layers):
        patterns = trace.get("pattern", layer)[:, view.first : view.stop, view.first : view.stop]
        for head, pattern in enumerate(patterns):
            top, left = head * (count + 1), layer * (count + 1)
            tile = wall[top : top + count, left : left + count]
            wanted = with_mask(Norm.unit().colours(pattern))
            np.testing.assert_array_equal(tile, wanted, err_msg=f"{layer}, {head}")


def check_open_pattern(page: Page, trace: Trace, view: LayerView, layer: int, head: int) -> None:
    """Check what is said and drawn about the pattern that is open."""
    drawn = slice(view.first, view.stop)
    pattern = trace.get("pattern", layer)[head]
    assert page.text_content("#pattern-place") == f"layer {layer}, head {head}"
    wanted = with_mask(Norm.unit().colours(pattern[drawn, drawn]))
    np.testing.assert_array_equal(pixels(page, "#pattern-cells"), wanted)
    whole = pattern[: trace.meta.n_prompt, : trace.meta.n_prompt]
    previous, first = (
        format_share(float(measure(whole)))
        for measure in (previous_token_weight, first_token_weight)
    )
    assert texts(page, "#pattern-habits li") == [
        f"{previous} of its attention goes to the token right before",
        f"{first} goes to the first token, which is not drawn",
    ]


def test_a_pattern_opens_large_with_its_words(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck("#2")
    page.keyboard.press("x")
    box = page.locator("#wall").bounding_box()
    assert box
    layer, head = 7, 2
    at = ((layer + 0.4) / trace.meta.n_layers, (head + 0.4) / trace.meta.n_heads)
    page.mouse.click(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
    check_open_pattern(page, trace, view, layer, head)
    assert texts(page, "#pattern-rows li") == [word.strip() for word in view.words]
    cells = page.locator("#pattern-cells").bounding_box()
    assert cells
    assert cells["height"] > 0.4 * page.evaluate("innerHeight")
    assert cells["y"] + cells["height"] < page.evaluate("innerHeight")
    row, column = 6, 4
    for right, at_column in ((True, column), (False, row + 1)):
        page.mouse.move(
            cells["x"] + (at_column + 0.5) / view.count * cells["width"],
            cells["y"] + (row + 0.5) / view.count * cells["height"],
        )
        value = trace.get("pattern", layer)[head][view.first + row, view.first + column]
        assert page.text_content("#pattern-read") == (
            f"“white” gives “red” {format_share(float(value))}"
            if right
            else "masked: the word comes later"
        )


def test_a_pattern_opens_large_on_a_telephone_on_its_side(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck("#2", viewport={"width": 844, "height": 390})
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    cells = page.locator("#pattern-cells").bounding_box()
    assert cells
    assert cells["height"] > 0.45 * 390
    assert cells["y"] + cells["height"] < 390
    page.keyboard.press("ArrowRight")
    check_open_pattern(page, trace, view, trace.meta.featured.layer + 1, trace.meta.featured.head)


def test_arrow_keys_move_between_patterns_and_escape_closes(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck("#2")
    page.keyboard.press("x")
    layer, head = trace.meta.featured.layer, trace.meta.featured.head
    page.keyboard.press("Enter")
    check_open_pattern(page, trace, view, layer, head)
    for key, (across, down) in {"ArrowRight": (1, 0), "ArrowUp": (0, -1)}.items():
        page.keyboard.press(key)
        layer, head = layer + across, head + down
        check_open_pattern(page, trace, view, layer, head)
    for _ in range(trace.meta.n_heads):
        page.keyboard.press("ArrowUp")
    assert page.text_content("#wall-place") == f"layer {layer}, head 0"
    page.keyboard.press("Escape")
    assert page.evaluate("byId('open-pattern').hidden && byId('patterns').open")
    page.keyboard.press("Escape")
    assert not page.evaluate("byId('patterns').open")
    assert page.evaluate("state.index") == 1, "arrow keys did not step"


# Following a token


def frames(page: Page) -> list[tuple[str, np.ndarray]]:
    """Return the panel of each frame, and its corners in pixels of the picture."""
    found: list[dict[str, Any]] = page.evaluate(
        "[...byId('rows').children].map((f) => ({ panel: f.dataset.panel,"
        "points: f.getAttribute('points'), kind: f.getAttribute('class') }))"
    )
    return [
        (
            f"{frame['panel']}, {frame['kind']}",
            np.array([list(map(float, pair.split(","))) for pair in frame["points"].split()]),
        )
        for frame in found
    ]


def cells_within(panel: dict[str, Any], corners: np.ndarray) -> set[tuple[int, int]]:
    """Return the cells of a panel whose centers are in a frame; nothing is turned here."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    inside = ((cell_centers(panel) > low) & (cell_centers(panel) < high)).all(axis=2)
    return set(map(tuple, np.argwhere(inside).tolist()))


def test_a_click_on_a_row_follows_its_token_through_all_panels(
    open_deck: Open, trace: Trace, view: LayerView
) -> None:
    page = open_deck("#3", held=True)
    slide = page.evaluate("slides[2]")
    panels = {panel["name"]: panel for panel in slide["panels"]}
    assert len(panels) == 3
    page.keyboard.press("x")
    queries = next(panel for name, panel in panels.items() if "queries" in name)
    x, y = cell_centers(queries)[4, 10]
    box = page.locator("#stage").bounding_box()
    assert box
    scale = box["width"] / slide["frame"][0]
    page.evaluate("window.steps = 0; go = () => steps++; null")
    page.mouse.click(box["x"] + scale * x, box["y"] + scale * y)
    for token in (view.first + 4, view.first + 3):
        place = token - view.first
        found = {}
        for name, corners in frames(page):
            panel = panels[name.rpartition(",")[0]]
            found[name] = cells_within(panel, corners)
            rows, columns = panel["shape"]
            in_rows = {(place, column) for column in range(columns)}
            in_columns = {(row, place) for row in range(rows)}
            turned = panel["transposed"] or name.endswith("column")
            assert found[name] == (in_columns if turned else in_rows), name
        assert len(found) == 4, "a row in each panel, and a column of the pattern"
        word = trace.meta.tokens[token].strip()
        assert f"“{word}” ({token})" in (page.text_content("#follow-words") or "")
        page.keyboard.press("ArrowUp")
    page.clock.run_for(400)
    assert page.evaluate("steps") == 0, "neither click nor arrow stepped"
    page.keyboard.press("Escape")
    assert frames(page) == []
    assert not page.is_visible("#follow")


def test_arrays_are_stored_once(open_deck: Open) -> None:
    page = open_deck()
    arrays = page.evaluate("data.arrays")
    assert len(set(arrays)) == len(arrays)
    assert all(len(b64decode(text)) % 4 == 0 for text in arrays)
