"""Pages to explore for tests, with questions of stand-in scenes, and what a hand does on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extract.trace import Trace
from filmkit.core.language import use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.explore.page import write_explore
from tests.support.browsing import Open, opened, wait_until
from tests.support.checkout import SHIPPED
from tests.support.filming import render_request

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = [
    "ASKED",
    "ASKING",
    "STILL",
    "explore_page",
    "file",
    "open_page",
    "open_part",
    "open_parts",
    "opened_page",
    "page",
    "parts_of",
]

ASKED = {
    "softmax": "Which word is read most?",
    "sets": "How much attention moves: a tenth, a third or half?",
    "rank": "How much does a latent move?",
    "memory": "How many tokens fit?",
    "reading": "What do the best ones hold?",
}
"""Questions of the parts that have one."""


STILL: dict[str, Any] = {"reduced_motion": "reduce", "color_scheme": "dark"}
"""Options of a page on which nothing moves by itself."""


class Asks(Stage):
    """Says all that scenes say on the page; each of its entries stands in for one of them."""

    def prepare(self) -> None:
        self.facts |= {"tenth": "a tenth", "third": "a third", "half": "half"}

    @beat(ask=ASKED["softmax"])
    def queries_and_keys(self) -> None:
        """The answer of softmax."""
        self.hold(1)

    @beat
    def one_set_for_all(self) -> None:
        """The premise of sets."""
        self.hold(1)

    @beat(ask="How much attention moves: [{tenth}], [{third}] or [{half}]?", answer="third")
    def attention_moves(self) -> None:
        """The answer of sets."""
        self.hold(1)

    @beat
    def what_it_costs(self) -> None:
        """What it costs."""
        self.hold(1)

    @beat
    def the_same_budget(self) -> None:
        """The premise of rank."""
        self.hold(1)

    @beat(ask=ASKED["rank"])
    def all_heads_compared(self) -> None:
        """The answer of rank."""
        self.hold(1)

    @beat(ask=ASKED["memory"])
    def one_gpu(self) -> None:
        """The answer of memory."""
        self.hold(1)

    @beat(ask=ASKED["reading"])
    def each_head_chooses(self) -> None:
        """The answer of reading."""
        self.hold(1)

    @beat
    def the_answer(self) -> None:
        """Remember less."""
        self.hold(1)


ASKING = tuple(
    SceneEntry(slug, slug, __name__, Asks.__name__)
    for slug in (
        *("scene_attention", "scene_sharing", "scene_mla", "scene_cache_size", "scene_sparse"),
        "scene_answer",
    )
)
"""Scenes that stand in for those which ask: they are rehearsed in no time."""


def explore_page(trace: Trace | None, folder: Path, **options: Any) -> Path:
    """Write the page for a trace, None for the one that comes with the project; return its path."""
    file = SHIPPED
    if trace is not None:
        file = folder / "trace.safetensors"
        trace.save(file)
    request = render_request(ASKING, file, folder / "explore", **options)
    with use_language(request.settings.language):
        assert write_explore(request)
    return folder / "explore" / "index.html"


def parts_of(page: Page) -> list[str]:
    """Return the names of the parts of a page."""
    names: list[str] = page.evaluate(
        "[...document.querySelectorAll('.part')].map((part) => part.id)"
    )
    return names


def open_part(page: Page, name: str) -> None:
    """Scroll to a part, answer its question if it asks one, and wait until it is drawn.

    A part that waits for the answer of another one is shown without it.
    """
    page.evaluate(f"byId('{name}').scrollIntoView({{ behavior: 'instant' }})")
    page.evaluate(f"document.querySelector('#{name} .waiting:not([hidden]) button')?.click()")
    page.evaluate(f"document.querySelector('#{name} .asked button')?.click()")
    wait_until(page, f"['ready', 'failed'].includes(byId('{name}').dataset.state)")


def open_parts(page: Page) -> list[str]:
    """Open all parts of a page; return their names."""
    names = parts_of(page)
    for name in names:
        open_part(page, name)
    return names


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the project's trace."""
    return explore_page(None, tmp_path_factory.mktemp("explore"))


@pytest.fixture
def open_page(browser: Browser, file: Path) -> Iterator[Open]:
    """Function that opens it."""
    with opened(browser, file) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def opened_page(browser: Browser, file: Path) -> Iterator[Page]:
    """The page with all parts open, which has had no error in the end."""
    with opened(browser, file) as open_page:
        page = open_page(**STILL)
        open_parts(page)
        yield page


@pytest.fixture
def page(opened_page: Page) -> Page:
    """The page with all parts open, as it is at first."""
    opened_page.evaluate("choose({ query: 7, head: 3 })")
    return opened_page
