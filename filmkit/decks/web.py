"""A deck as one page for a browser, which asks nothing of the network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from shutil import copyfile
from typing import Any

import font_source_sans_pro
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from extract.files import OutputError, write_text, written_beside
from extract.trace import Trace
from filmkit.core.printable import printable
from filmkit.core.theme import Theme
from filmkit.decks.cells import Shelf, cells_of, words_of_axes
from filmkit.decks.slides import Slide, title_of

__all__ = ["colours_of", "data_uri", "fonts", "page", "write_web"]

WEIGHTS = {400: "Regular", 600: "Semibold"}


def write_web(
    target: Path, slides: Sequence[Slide], trace: Trace, theme: Theme, *, beside: bool
) -> list[Path]:
    """Write a deck for browsers.

    Parameters
    ----------
    target
        The page.
    slides
        With their films.
    trace
        The numbers that the pictures show.
    looks
        The theme that the pictures were drawn in.
    beside
        Whether the films stay files of their own, in a folder beside the page.

    Returns
    -------
    list of Path
        The page, and the folder of the films if there is one.

    Raises
    ------
    OutputError
        When something cannot be written.
    """
    folder = target.with_name(f"{target.stem}_films")
    shelf = Shelf()
    told = [_told(slide, trace, shelf) for slide in slides]
    films = []
    for slide, record in zip(slides, told, strict=True):
        assert slide.video is not None
        if beside:
            file = folder / f"{slide.entry.slug}_{slide.name}.mp4"
            copy_film(slide.video, file)
            record["film"] = f"{folder.name}/{file.name}"
        else:
            films.append(b64encode(slide.video.read_bytes()).decode())
    title = title_of(slides)
    document = {
        "title": title,
        "tokens": [printable(token) for token in trace.meta.tokens],
        "axes": words_of_axes(),
        "arrays": shelf.texts(),
        "slides": told,
    }
    text = page(
        "deck.html",
        theme,
        title=title,
        model=trace.meta.model,
        document=as_json(document),
        films=films,
        beside=beside,
    )
    write_text(target, text)
    return [target, folder] if beside else [target]


def _told(slide: Slide, trace: Trace, shelf: Shelf) -> dict[str, Any]:
    return {
        "scene": slide.entry.title,
        "title": slide.title,
        "narration": slide.narration,
        "notes": slide.notes,
        "alt": slide.alt,
        "cues": [[round(c.start, 3), round(c.end, 3), c.text] for c in slide.cues],
        "seconds": round(slide.seconds, 3),
        "frame": slide.document["frame"],
        "still": data_uri(slide.picture),
        "panels": cells_of(slide.document, trace, shelf),
    }


def page(template: str, theme: Theme, **values: Any) -> str:
    """Fill one of this package's pages.

    Parameters
    ----------
    template
        Its name in the folder of templates.
    looks
        Whose colours it takes.
    values
        What it asks for besides.
    """
    environment = Environment(
        loader=PackageLoader("filmkit.decks"), autoescape=True, undefined=StrictUndefined
    )
    environment.globals["source"] = lambda name: Markup(
        environment.loader.get_source(environment, name)[0]  # type: ignore[union-attr]
    )
    return environment.get_template(template).render(
        colours=colours_of(theme),
        scheme="dark" if theme.name == "dark" else "light",
        fonts=fonts(),
        **values,
    )


def copy_film(film: Path, target: Path) -> None:
    """Copy a film, whole or not at all."""
    with written_beside(target) as part:
        try:
            copyfile(film, part)
        except OSError as error:
            raise OutputError(target, error) from error


def as_json(document: Any) -> Markup:
    """JSON that can stand in a script element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def colours_of(theme: Theme) -> dict[str, str]:
    """The colours of a theme by role."""
    values = {field.name: getattr(theme, field.name) for field in fields(theme)}
    return {name: v for name, v in values.items() if isinstance(v, str) and v.startswith("#")}


def fonts() -> dict[int, str]:
    """The film's font by weight, as data URIs."""
    folder = Path(font_source_sans_pro.__file__).parent / "files"
    return {
        weight: f"data:font/otf;base64,{_base64(folder / f'SourceSansPro-{name}.otf')}"
        for weight, name in WEIGHTS.items()
    }


def data_uri(picture: Image.Image) -> str:
    """A picture within a page, without loss."""
    buffer = BytesIO()
    picture.save(buffer, format="webp", lossless=True, quality=50, method=3)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"


def _base64(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()
