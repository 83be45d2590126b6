"""A deck as one HTML page that any browser shows offline."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from shutil import copyfile
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from extract.support.files import OutputError, atomic_write, write_text
from extract.trace import Trace
from filmkit.core.language import _, current_language
from filmkit.core.theme import Theme
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView
from filmkit.decks import PAUSE, DeckOptions, is_link
from filmkit.decks.cells import ArrayStore, axis_names, cell_words, panels_of
from filmkit.decks.live import LivePictures
from filmkit.decks.page_fonts import font_faces
from filmkit.decks.page_words import script_words
from filmkit.decks.slides import Slide

__all__ = [
    "SCRIPTS",
    "SERVED_SCRIPTS",
    "WebDeck",
    "as_json",
    "colours_of",
    "data_uri",
    "render_page",
    "write_web",
]

SCRIPTS = (
    *("filled.js", "cells.js", "page.js", "paint.js", "rank.js", "times.js"),
    *("deck.js", "talk.js", "pen.js", "live.js", "begin.js"),
)
"""Templates of the page's script, in the order in which they run."""

SERVED_SCRIPTS = (*SCRIPTS, "session.js", "votes.js", "remote.js")
"""The same of a page that a server shows; see :mod:`filmkit.decks.remote`."""


@dataclass(frozen=True)
class WebDeck:
    """A web deck that was written.

    Attributes
    ----------
    paths
        The page, and the folder of the films if there is one.
    films
        The films beside the page, by their addresses in it.
    served
        Returns the same page for a server: telephones step it, and vote on its questions.
    """

    paths: list[Path]
    films: dict[str, Path]
    served: Callable[[], str]


FONTS = Markup("<fonts>")
"""Stands for the fonts of a page while it is written; no text of a page can have its signs."""


def write_web(
    target: Path,
    slides: Sequence[Slide],
    view: LayerView,
    theme: Theme,
    title: str,
    options: DeckOptions,
    *,
    films_beside: bool,
) -> WebDeck:
    """Write a deck for browsers.

    Parameters
    ----------
    target
        The page to write.
    slides
        The slides, in order, all but a title slide with their films.
    view
        The layer that the pictures show.
    theme
        The theme in which the pictures were drawn; the page takes its colours.
    title
        Title of the page.
    options
        Its author, and how it is shown.
    films_beside
        Whether the films are written to a folder beside the page, not into it.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    folder = target.with_name(f"{target.stem}_films")
    trace, arrays = view.trace, ArrayStore()
    live = LivePictures(view, arrays)
    slide_data = [_slide_data(slide, trace, arrays, live) for slide in slides]
    films, files_beside = {}, {}
    for number, (slide, data) in enumerate(zip(slides, slide_data, strict=True)):
        if slide.video is None:
            continue
        if films_beside:
            file = folder / f"{slide.entry.slug}_{slide.name}.mp4"
            copy_film(slide.video, file)
            data["film"] = quote(f"{folder.name}/{file.name}")
            files_beside[f"{folder.name}/{file.name}"] = file
        else:
            films[number] = b64encode(slide.video.read_bytes()).decode()
    live_pictures = live.document()
    document = {
        "title": title,
        "tokens": [printable(token) for token in trace.meta.tokens],
        "axes": axis_names(),
        "words": cell_words(),
        "arrays": arrays.encoded(),
        "sound": any(slide.sound for slide in slides),
        "auto": options.auto,
        "pause": PAUSE,
        "minutes": options.minutes,
        "live": live_pictures,
        "maps": live.maps,
        "slides": slide_data,
    }

    def page(*, served: bool = False) -> str:
        return render_page(
            "deck.html",
            theme,
            told="".join(choice for slide in slides for choice in slide.choices),
            title=title,
            author=options.author,
            scripts=SERVED_SCRIPTS if served else SCRIPTS,
            served=served,
            live=live_pictures,
            model=trace.meta.model,
            document=as_json(document),
            films=films,
            films_beside=films_beside,
            sound=document["sound"],
        )

    write_text(target, page())
    paths = [target, folder] if films_beside else [target]
    return WebDeck(paths, files_beside, partial(page, served=True))


def _slide_data(
    slide: Slide, trace: Trace, arrays: ArrayStore, live: LivePictures
) -> dict[str, Any]:
    panels = panels_of(slide.picture_map, trace, arrays)
    return {
        "scene": slide.entry.shown_title,
        "title": slide.title,
        "narration": slide.narration,
        "notes": slide.notes,
        "alt": slide.alt,
        "cues": [[round(c.start, 3), round(c.end, 3), c.text] for c in slide.cues],
        "seconds": round(slide.seconds, 3),
        "frame": slide.picture_map["frame"],
        "still": data_uri(slide.picture),
        "moves": slide.video is not None,
        "loop": slide.loop,
        "panels": panels,
        "live": live.of_slide(slide, panels),
    }


def render_page(
    template: str, theme: Theme, *, package: str = "filmkit.decks", told: str = "", **values: Any
) -> str:
    """Return a page as HTML, or its style sheet, made from a template.

    Parameters
    ----------
    template
        File name in the ``templates`` folder of a package.
    theme
        Gives the colours of the page.
    package
        The package; its pages may also use templates and scripts of this one.
    told
        Text that the page shows and does not hold: its fonts have the letters of both.
    **values
        The template's other variables.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("filmkit.decks")]),
        autoescape=True,
        undefined=StrictUndefined,
    )

    # A browser imports no module from disk, so that the scripts of a page are joined to one.
    def source(*names: str) -> Markup:
        loader = environment.loader
        texts = [loader.get_source(environment, name)[0] for name in names]  # type: ignore[union-attr]
        return Markup("".join(texts).replace("\r\n", "\n"))  # as a browser reads it

    environment.globals["source"] = source
    environment.globals["translated"] = lambda *names: as_json(script_words(source(*names)))
    environment.globals["source_hash"] = lambda *names: source_hash(source(*names))
    environment.filters["link"] = require_link
    environment.globals["_"] = _
    environment.globals["keys"] = _keys
    page = environment.get_template(template).render(
        language=current_language(),
        colours=colours_of(theme),
        scheme="dark" if theme.name == "dark" else "light",
        fonts=FONTS,
        **values,
    )
    return page.replace(FONTS, font_faces(page + told))


def _keys(*names: str) -> Markup:
    """Return the names of keys as a page shows them."""
    return Markup(" ").join(Markup("<kbd>{}</kbd>").format(name) for name in names)


def source_hash(script: str) -> Markup:
    """Return what a page's policy calls a script that is written in the page.

    A policy that names its scripts lets no other run, whatever gets into the page.
    """
    return Markup(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'")


def require_link(address: str) -> str:
    """Return an address that a page may link to.

    Raises
    ------
    ValueError
        When following it could run code.
    """
    if not is_link(address):
        raise ValueError(f"{address!r} is not a link to a page, a mail or a file")
    return address


def copy_film(film: Path, target: Path) -> None:
    """Copy a film; a failure leaves no partial file."""
    with atomic_write(target) as part:
        try:
            copyfile(film, part)
        except OSError as error:
            raise OutputError(target, error) from error


def as_json(document: Any) -> Markup:
    """Return JSON that is safe inside a script element: it cannot close the element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def colours_of(theme: Theme) -> dict[str, str]:
    """Return the colours of a theme by role, as "#RRGGBB"."""
    values = {field.name: getattr(theme, field.name) for field in fields(theme)}
    return {name: v for name, v in values.items() if isinstance(v, str) and v.startswith("#")}


def data_uri(picture: Image.Image) -> str:
    """Return a picture as a data URI, compressed without loss."""
    buffer = BytesIO()
    picture.save(buffer, format="webp", lossless=True, quality=50, method=3)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"
