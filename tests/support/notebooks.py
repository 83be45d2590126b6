"""Live pictures in a page that stands in for a notebook, and what a hand does on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmkit.explore.widget import LiveWidget
from tests.support.browsing import opened, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

__all__ = ["cell", "choose", "click_cell", "framed", "shown", "value"]

# What a notebook does with a widget: its model, as anywidget gives it, and an element for its view.
HOST = """<!doctype html><meta charset="utf-8"><body style="margin: 0"><div id="cell"></div>
<script type="module">
%(esm)s
const state = %(state)s;
globalThis.hearers = new Set();
globalThis.saved = 0;
globalThis.model = {
  get: (name) => state[name],
  set(name, value) {
    state[name] = value;
    hearers.forEach((hear) => hear());
  },
  on: (_, hear) => hearers.add(hear),
  off: (_, hear) => hearers.delete(hear),
  save_changes: () => saved++,
};
globalThis.again = () => render({ model, el: document.getElementById("cell") });
globalThis.leave = again();
</script>"""


@contextmanager
def shown(browser: Browser, widget: LiveWidget, folder: Path, **options: Any) -> Iterator[Page]:
    """Show a widget; what is chosen is not sent back to it.

    Parameters
    ----------
    browser
        The browser.
    widget
        The widget.
    folder
        A folder for the page.
    **options
        Options of the browser's page.
    """
    state = json.dumps({name: getattr(widget, name) for name in ("_page", "_title", "value")})
    file = folder / "notebook.html"
    text = HOST % {"esm": widget._esm, "state": state.replace("<", "\\u003c")}
    file.write_text(text, encoding="utf-8")
    with opened(browser, file) as open_page:
        page = open_page(**options)
        wait_until(page, "saved > 0")
        yield page


def framed(page: Page, number: int = 0) -> Frame:
    """Return the picture of a page, or another one by its number."""
    return page.frames[1 + number]


def value(page: Page) -> dict[str, Any]:
    """Return the value of the widget, as its model has it."""
    told: dict[str, Any] = page.evaluate("model.get('value')")
    return told


def choose(page: Page, chosen: dict[str, Any]) -> None:
    """Set the value of the widget, as Python does."""
    page.evaluate("(chosen) => model.set('value', chosen)", chosen)


def cell(page: Page, row: int, column: int, picture: int = 0) -> None:
    """Click a cell of the matrix of a picture; all are counted from 0."""
    click_cell(framed(page, picture), row, column)


def click_cell(picture: Frame, row: int, column: int) -> None:
    """Click a cell of the matrix of a picture, counted from 0."""
    canvas = picture.locator("#dot-matrix canvas")
    box = canvas.bounding_box()
    assert box is not None
    side = box["width"] / int(canvas.get_attribute("width") or 0)
    canvas.click(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})
