"""Decks for talks and a gallery, made from each beat's film, last picture and narration.

Nothing on screen depends on this package. The tables below stand here, so that ``--help`` can show
them without loading Manim.
"""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["DECK_KINDS", "DEFAULT_DECK_KIND", "SUFFIXES", "file_name", "is_link"]

DECK_KINDS = {
    "web": "one HTML file for any browser, offline",
    "powerpoint": "slides whose films start by themselves",
    "keynote": "the same, in a file that Keynote opens without warnings",
    "gslides": "slides with pictures, and a folder of films to upload to Google Drive",
    "pdf": "one page per beat, for print and handouts",
}
"""Kinds of deck, each with a description for ``--help``."""

DEFAULT_DECK_KIND = "web"

SUFFIXES = {
    "web": ".html",
    "powerpoint": ".pptx",
    "keynote": ".pptx",
    "gslides": ".pptx",
    "pdf": ".pdf",
}
"""File name suffix of each kind of deck."""

LINKS = ("", "http", "https", "mailto")
"""Schemes of links that a page may have; a relative one has none."""


def file_name(name: str, kind: str) -> str:
    """Return the default file name of a deck.

    Where several kinds have the same suffix, it names the kind, so that no deck replaces another.

    Examples
    --------
    >>> file_name("scene_mla", "web"), file_name("scene_mla", "keynote")
    ('scene_mla.html', 'scene_mla.keynote.pptx')
    """
    suffix = SUFFIXES[kind]
    shared = list(SUFFIXES.values()).count(suffix) > 1
    return f"{name}.{kind}{suffix}" if shared else f"{name}{suffix}"


def is_link(address: str) -> bool:
    """Return whether an address is a page's, a mail's or relative: following it runs no code."""
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return False
    # Browsers leave out blanks and control characters, which could hide a scheme.
    return scheme in LINKS and bool(address) and address.isprintable() and " " not in address
