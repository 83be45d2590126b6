"""Decks and the gallery: no link runs code, and a page runs no script but its own."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from filmkit.core.theme import DARK
from filmkit.decks import is_link
from filmkit.decks.talk import TELEPHONE_SCRIPTS, VOTING_SCRIPTS
from filmkit.decks.web import SCRIPTS, SERVED_SCRIPTS, render_page, require_link
from tests.support.calling import SCENE, Calling, assert_one_line, calling

__all__ = ["calling"]

REFUSED = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:x",
    "http://[",
    "",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_no_link(address: str) -> None:
    assert not is_link(address)
    with pytest.raises(ValueError, match="is not a link"):
        require_link(address)


@pytest.mark.parametrize(
    "address",
    ["https://host/path?a=b#c", "HTTP://host", "mailto:me@host", "../scenes/a.py", "//host/a"],
)
def test_an_address_that_is_one(address: str) -> None:
    assert require_link(address) == address


@pytest.mark.parametrize("address", [*REFUSED, "nope", "mailto:me@host", "https:///x"])
def test_the_gallery_refuses_it(tmp_path: Path, calling: Calling, address: str) -> None:
    (tmp_path / "mine.py").write_text(SCENE)
    done = calling("gallery", "mine.py", "--code", address, folder=tmp_path)
    assert_one_line(done, 2, "--code", "is not a link; write it as https://HOST/PATH")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]


class Page(HTMLParser):
    """The scripts, the policy and the attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.policy: dict[str, list[str]] = {}
        self.attributes: set[str] = set()
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.attributes |= set(values)
        self._in_script = tag == "script" and "type" not in values
        assert tag != "script" or "src" not in values
        if values.get("http-equiv") == "Content-Security-Policy":
            rules = (rule.split() for rule in (values["content"] or "").split(";"))
            self.policy = {name: sources for name, *sources in rules}

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
            self._in_script = False


DECK = {
    "title": "Title",
    "author": "Author",
    "scripts": SCRIPTS,
    "served": False,
    "films_beside": False,
    "document": "{}",
    "films": {0: "film"},
    "live": {"rank": {"layer": 0, "head": 0, "next": "next"}, "patterns": {"layers": 1}},
    "sound": True,
}
PHONE = {"title": "Title", "document": "{}"}
PAGES = [
    ("deck.html", DECK),
    ("deck.html", DECK | {"scripts": SERVED_SCRIPTS, "served": True}),
    ("telephone.html", PHONE | {"scripts": TELEPHONE_SCRIPTS}),
    ("vote.html", PHONE | {"scripts": VOTING_SCRIPTS}),
    ("gallery.html", {"scenes": [], "prompt": "prompt", "ratio": "16 / 9"}),
]


@pytest.mark.parametrize(("template", "values"), PAGES)
def test_a_page_runs_its_own_script_alone(template: str, values: dict[str, Any]) -> None:
    text = render_page(template, DARK, model="model", **values)
    page = Page(text)
    (script,) = page.scripts
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert page.policy["script-src"] == [f"'sha256-{digest}'"]
    assert page.policy["default-src"] == ["'none'"]
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not re.search("javascript:", text, re.IGNORECASE)
