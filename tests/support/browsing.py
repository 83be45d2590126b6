"""A browser for tests of web pages, and helpers for them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

__all__ = [
    "NO_SPACE",
    "Open",
    "browser",
    "find_browser",
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


@contextmanager
def opened(browser: Browser, file: Path, *, script: str = "") -> Iterator[Open]:
    """Yield a function that opens a page, at an address with a fragment and with other options.

    At the end no page may have had a request or an error.

    Parameters
    ----------
    browser
        The browser.
    file
        The page.
    script
        JavaScript that runs before the page's own.
    """
    contexts, problems = [], []

    def open_page(fragment: str = "", **options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 720}} | options))
        contexts.append(context)
        page = context.new_page()
        problems.append(record_problems(page))
        page.add_init_script(script)
        page.goto(file.as_uri() + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == [[] for _ in problems]


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
