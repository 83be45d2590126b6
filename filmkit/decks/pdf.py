"""A deck as pages for print and hand-outs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Final

import font_source_sans_pro
import typst

from extract.files import OutputError, written_beside
from filmkit.core.theme import Theme
from filmkit.decks.slides import Slide, title_of
from filmkit.decks.web import colours_of

__all__ = ["write_pdf"]

TEMPLATE = files("filmkit.decks") / "templates" / "deck.typ"

# Tagged, with pictures in words: what the standard for accessible documents asks for.
STANDARD: Final = "ua-1"


def write_pdf(target: Path, slides: Sequence[Slide], theme: Theme, *, background: str) -> None:
    """Write a page for each beat, whole or not at all.

    Parameters
    ----------
    target
        The document.
    slides
        Films are not needed.
    looks
        Whose colours it takes.
    background
        Colour of the pages, "#RRGGBB".

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with (
        TemporaryDirectory(prefix="attention-film-") as scratch,
        as_file(TEMPLATE) as template,
        written_beside(target) as part,
    ):
        try:
            part.write_bytes(_pages(Path(scratch), template, slides, theme, background))
        except OSError as error:
            raise OutputError(target, error) from error


def _pages(
    root: Path, template: Path, slides: Sequence[Slide], theme: Theme, background: str
) -> bytes:
    """Set the document in a folder of its own."""
    copyfile(template, root / "deck.typ")
    told = []
    for i, slide in enumerate(slides):
        slide.picture.save(root / f"{i}.png")
        told.append(
            {
                "file": f"{i}.png",
                "ratio": slide.picture.width / slide.picture.height,
                "title": slide.title,
                "scene": slide.entry.title,
                "narration": slide.narration,
                "alt": slide.alt,
            }
        )
    document = {
        "title": title_of(slides),
        "colours": colours_of(theme),
        "background": background,
        "slides": told,
    }
    (root / "deck.json").write_text(json.dumps(document), encoding="utf-8")
    return bytes(
        typst.compile(
            root / "deck.typ",
            root=root,
            font_paths=[Path(font_source_sans_pro.__file__).parent / "files"],
            ignore_system_fonts=False,  # a word may be in any script
            sys_inputs={"document": "deck.json"},
            pdf_standards=[STANDARD],
        )
    )
