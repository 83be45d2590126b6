"""Web decks in a browser: without motion, with films that do not end, and a speaker's window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.browsing import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["HOLDS", "STILL", "speaker_of", "with_films", "with_films_without_end"]

STILL: dict[str, Any] = {"reduced_motion": "reduce"}
"""Options of a page that shows last pictures, and plays nothing of itself."""

HOLDS = "#stage[data-mode=holds]"
"""Selector of a deck that shows the last picture of a beat."""


def with_films(page: Page) -> Page:
    """Let a deck that was opened ``STILL`` play films from the next step on."""
    page.emulate_media(reduced_motion="no-preference")
    return page


def with_films_without_end(page: Page) -> Page:
    """Let it play films that begin again before they end, however late a test looks at them."""
    page.evaluate("players.forEach((player) => (player.loop = true))")
    return with_films(page)


def speaker_of(page: Page) -> Page:
    """Open a deck's window for its speaker; return it once its picture has a size."""
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    wait_until(speaker, "document.getElementById('now').complete")
    return speaker
