"""A deck as a PDF for print and handouts, one page per beat."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import typst

from extract.support.files import OutputError, atomic_write
from extract.support.temporary import temporary_folder
from filmkit.core.card import FILM_TITLE
from filmkit.core.fonts import east_asian_fonts, font_files
from filmkit.core.language import _, current_language
from filmkit.core.theme import Theme
from filmkit.decks.slides import Slide
from filmkit.decks.web import colours_of

__all__ = ["write_pdf"]

TEMPLATE = files("filmkit.decks") / "templates" / "deck.typ"

# PDF/UA, the standard for accessible documents: tagged, with alt texts.
STANDARD: Final = "ua-1"


def write_pdf(
    target: Path,
    slides: Sequence[Slide],
    theme: Theme,
    *,
    title: str,
    author: str = "",
) -> None:
    """Write a PDF with one page per beat; a failure leaves no partial file.

    Parameters
    ----------
    target
        The file to write.
    slides
        The pages, in order; their films are not needed.
    theme
        Gives the colours of the text and of the pages.
    title, author
        Of the document; the project is its author if there is no other, and always its subject.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with (
        temporary_folder() as scratch,
        as_file(TEMPLATE) as template,
        atomic_write(target) as part,
    ):
        document = {
            "title": title,
            "author": author or _(FILM_TITLE),
            "project": _(FILM_TITLE),
            "language": current_language().main_code,
            "colours": colours_of(theme),
            "background": theme.background,
        }
        try:
            part.write_bytes(_compile(scratch, template, slides, document))
        except OSError as error:
            raise OutputError(target, error) from error


def _compile(
    root: Path, template: Path, slides: Sequence[Slide], document: dict[str, Any]
) -> bytes:
    """Return the PDF, typeset by Typst in the empty folder ``root``."""
    copyfile(template, root / "deck.typ")
    slide_data = []
    for i, slide in enumerate(slides):
        slide.picture.save(root / f"{i}.png")
        slide_data.append(
            {
                "file": f"{i}.png",
                "ratio": slide.picture.width / slide.picture.height,
                "title": slide.title,
                "scene": "" if slide.is_title else slide.entry.shown_title,
                "is_title": slide.is_title,
                "narration": slide.narration,
                "alt": slide.alt,
            }
        )
    text = json.dumps(document | {"slides": slide_data})
    (root / "deck.json").write_text(text, encoding="utf-8")
    return bytes(
        typst.compile(
            root / "deck.typ",
            root=root,
            font_paths=sorted({file.parent for file in (*font_files(), *east_asian_fonts())}),
            ignore_system_fonts=False,  # words of a prompt may be in any script
            sys_inputs={"document": "deck.json"},
            pdf_standards=[STANDARD],
        )
    )
