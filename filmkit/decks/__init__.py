"""Decks for talks and a gallery, made from the beats' films, their stills and what is said.

Nothing that is drawn depends on this package. The names are here, so that they load at once.
"""

from __future__ import annotations

__all__ = ["DEFAULT_TARGET", "SUFFIXES", "TARGETS"]

TARGETS = {
    "web": "one HTML file for any browser, offline",
    "powerpoint": "slides with films that start by themselves",
    "keynote": "the same, in what Keynote opens without a complaint",
    "gslides": "slides with pictures, and a folder of films for Google Drive",
    "pdf": "a page for each beat, for print and hand-outs",
}
"""What a deck can be for."""

DEFAULT_TARGET = "web"

SUFFIXES = {
    "web": ".html",
    "powerpoint": ".pptx",
    "keynote": ".pptx",
    "gslides": ".pptx",
    "pdf": ".pdf",
}
"""How the file of each target ends."""
