"""A browser for tests of pages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from filmkit.tools.readme import find_browser, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "until", "watched"]

OFFLINE = ("file:", "data:", "blob:", "about:")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's browser; without one the tests are skipped, unless $NEED_BROWSER is set."""
    path = find_browser()
    if path is None:
        reason = "there is no browser: install chromium (make test does where apt can)"
        if os.environ.get("NEED_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with open_browser(path) as opened:
        yield opened


def watched(page: Page) -> list[str]:
    """What a page asks of the network, and what goes wrong in it, from now on."""
    found: list[str] = []
    page.on("request", lambda asked: asked.url.startswith(OFFLINE) or found.append(asked.url))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda said: said.type == "error" and found.append(said.text))
    return found


def until(page: Page, truth: str, seconds: float = 30.0) -> None:
    """Wait until an expression is true in a page.

    Playwright's own way evaluates text within the page, which the pages' security policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < end, f"not true within {seconds} s: {truth}"
        page.wait_for_timeout(20)
