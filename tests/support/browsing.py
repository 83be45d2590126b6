"""A browser for tests of web pages, and helpers for them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, Page

__all__ = [
    "NO_SPACE",
    "Open",
    "browser",
    "find_browser",
    "hold_clock",
    "open_browser",
    "opened",
    "record_problems",
    "wait_until",
]

Open = Callable[..., "Page"]

OFFLINE = ("file:", "data:", "blob:", "about:")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that can draw the pages, in order of preference."""

NO_SPACE = """const { getContext } = HTMLCanvasElement.prototype;
HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
  return kind === "webgl" ? null : getContext.call(this, kind, ...options);
};"""
"""A script in whose pages the browser does not draw in space."""

MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str | None:
    """Return the path of a browser: $BROWSER_PATH, else the first one installed, else None."""
    preferred = os.environ.get("BROWSER_PATH")
    paths = [
        preferred,
        *map(shutil.which, BROWSERS),
        str(MAC_BROWSER) if MAC_BROWSER.exists() else None,
    ]
    return next((path for path in paths if path), None)


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """Start a browser without a window; it is closed when the block is left."""
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox does not work for root, who is the user in many containers.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's browser. Without one the tests are skipped, or fail if $NEED_BROWSER is set."""
    path = find_browser()
    if path is None:
        reason = "there is no browser: install chromium (make test does where apt can)"
        if os.environ.get("NEED_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with open_browser(path) as browser:
        yield browser


class Window:
    """A context of a browser, for one page after another: to start one costs more than most pages.

    Its first page stays blank, and keeps the process in which the others are drawn.
    """

    MOST_PAGES = 8
    """So many share a process, which may keep something of those that are closed."""

    def __init__(self, browser: Browser, options: dict[str, Any]) -> None:
        self.options = options
        self.context: BrowserContext = browser.new_context(**options)
        self._blank = self.context.new_page()
        self._pages = 0

    def new_page(self) -> Page:
        self._pages += 1
        return self.context.new_page()

    def clear(self) -> bool:
        """Close all pages and forget what they stored; return whether it may open others."""
        for page in self.context.pages:
            if page is not self._blank:
                page.close()
        if self._pages >= self.MOST_PAGES:
            self.context.close()
            return False
        session = self.context.new_cdp_session(self._blank)
        session.send("Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "all"})
        session.detach()
        return True


_FREE: WeakKeyDictionary[Browser, list[Window]] = WeakKeyDictionary()
"""Windows of each browser in which nothing is open."""


@contextmanager
def opened(browser: Browser, file: Path, *, script: str = "") -> Iterator[Open]:
    """Yield a function that opens a page, at an address with a fragment and with other options.

    Pages know nothing of each other. With ``held`` the page's clock stands still: a click that
    waits for a second one, or a message that vanishes, waits for ``page.clock.run_for``, however
    late a test is. Films and style sheets do not know that clock. At the end no page may have had
    a request or an error.

    Parameters
    ----------
    browser
        The browser.
    file
        The page.
    script
        JavaScript that runs before the page's own.
    """
    free = _FREE.setdefault(browser, [])
    used, contexts, problems = [], [], []

    def open_page(fragment: str = "", *, held: bool = False, **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 720}} | options
        if held:
            contexts.append(browser.new_context(**options))
            hold_clock(contexts[-1])
            page = contexts[-1].new_page()
        else:
            window = next((window for window in free if window.options == options), None)
            if window:
                free.remove(window)
            else:
                window = Window(browser, options)
            used.append(window)
            page = window.new_page()
        problems.append(record_problems(page))
        page.add_init_script(script)
        page.goto(file.as_uri() + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    free += [window for window in used if window.clear()]
    assert problems == [[] for _ in problems]


def hold_clock(context: BrowserContext) -> None:
    """Let the clock of all pages of a context stand still, until a test says ``clock.run_for``."""
    context.clock.install(time=0)
    # The clock runs until this call arrives. Playwright refuses a time that has passed by then.
    context.clock.pause_at(24 * 3600)


def record_problems(page: Page) -> list[str]:
    """Return a list that receives every network request and every error of a page from now on."""
    problems: list[str] = []
    page.on(
        "request",
        lambda request: request.url.startswith(OFFLINE) or problems.append(request.url),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    return problems


def wait_until(page: Page | Frame, condition: str, timeout: float = 30.0) -> None:
    """Wait until a JavaScript expression is true in a page, for at most ``timeout`` seconds.

    Playwright's ``wait_for_function`` evaluates text within the page, which the security policy of
    these pages forbids.
    """
    end = time.monotonic() + timeout
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not true within {timeout} s: {condition}"
        page.wait_for_timeout(20)
