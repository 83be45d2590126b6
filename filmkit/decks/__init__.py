"""Decks for talks and a gallery, made from each beat's film, last picture and narration.

Nothing on screen depends on this package. The tables below stand here, so that ``--help`` can show
them without loading Manim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

__all__ = [
    "DECK_KINDS",
    "DEFAULT_DECK_KIND",
    "GOES_ON",
    "PAUSE",
    "SUFFIXES",
    "DeckOptions",
    "deck_name",
    "file_name",
    "is_link",
]

DECK_KINDS = {
    "web": "one HTML file for any browser, offline",
    "powerpoint": "slides whose films start by themselves",
    "keynote": "the same, in a file that Keynote opens without warnings",
    "gslides": "pictures for Google Slides, and a folder of films to upload to Google Drive",
    "pdf": "one page per beat, for print and handouts",
}
"""Kinds of deck, each with a description for ``--help``."""

DEFAULT_DECK_KIND = "web"

SUFFIXES = dict.fromkeys(DECK_KINDS, ".pptx") | {"web": ".html", "pdf": ".pdf"}
"""File name suffix of each kind of deck."""

GOES_ON = ("web", "powerpoint", "keynote")
"""Kinds of deck that can go on by themselves, for a stand."""

PAUSE = 2.0
"""Seconds for which a deck that goes on by itself holds a last picture after its film."""

LINKS = ("", "http", "https", "mailto")
"""Schemes of links that a page may have; a relative one has none."""

MAX_NAME = 100  # characters of a deck's name; a longer one ends with a digest of the whole


@dataclass(frozen=True)
class DeckOptions:
    """What a deck has besides its scenes.

    Attributes
    ----------
    beats
        Names of the beats that it shows, or beginnings of them; all beats if empty.
    title, author
        What the title slide says; without both there is none.
    auto
        Whether it goes on by itself, and begins again after its last slide.
    minutes
        Length of the talk, which the speaker's window counts down; None for no target.
    """

    beats: tuple[str, ...] = ()
    title: str = ""
    author: str = ""
    auto: bool = False
    minutes: float | None = None


def deck_name(scenes: Iterable[str], beats: Sequence[str] = (), more: Iterable[str] = ()) -> str:
    """Return the name of a deck, so that no two decks have the same.

    Parameters
    ----------
    scenes
        Names of its scenes.
    beats
        Names of its beats, if it does not show all.
    more
        What else is not as usual, such as "light".

    Examples
    --------
    >>> deck_name(["scene_mla", "scene_rotation"], more=["light"])
    'scene_mla+scene_rotation.light'
    >>> deck_name(["scene_mla"], ["flatten", "the_cache"])
    'scene_mla.flatten+the_cache'
    """
    parts = ["+".join(scenes), "+".join(beats), *more]
    name = ".".join(part for part in parts if part)
    if len(name) <= MAX_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"


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
