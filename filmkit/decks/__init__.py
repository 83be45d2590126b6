"""Decks for talks and a gallery, made from each beat's film, last picture and narration.

Nothing on screen depends on this package. The tables below stand here, so that ``--help`` can show
them without loading Manim.
"""

from __future__ import annotations

__all__ = ["DECK_KINDS", "DEFAULT_DECK_KIND", "SUFFIXES"]

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
