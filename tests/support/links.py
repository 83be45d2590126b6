"""The links of a web page, and the places in it to which links may lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

__all__ = ["Links"]

ADDRESSES = ("href", "src", "poster")


@dataclass
class Links:
    """Addresses that a page links to or loads, and names of its places."""

    addresses: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path) -> Links:
        """Read a page."""
        links = cls()

        class Reader(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                for name, value in attrs:
                    if name == "id" and value:
                        links.names.add(value)
                    elif name in ADDRESSES and value:
                        links.addresses.add(value)

        Reader().feed(path.read_text(encoding="utf-8"))
        return links
