"""PDFs for print: a deck as handouts, one page per beat, and what else Typst sets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import typst
from PIL import Image

from extract.support.files import OutputError, atomic_write
from extract.support.temporary import temporary_folder
from filmkit.core.card import FILM_TITLE
from filmkit.core.fonts import east_asian_fonts, font_files
from filmkit.core.language import _, current_language
from filmkit.core.theme import Theme
from filmkit.decks.exercises import written
from filmkit.decks.page_words import script_words
from filmkit.decks.slides import Slide
from filmkit.decks.web import colours_of

__all__ = ["typeset", "write_pdf"]

# PDF/UA, the standard for accessible documents: tagged, with alt texts.
STANDARD: Final = "ua-1"

PAPER = "paper.typ"
UNKNOWN = re.compile(r'^PDF/UA-1 error: the text (?:contains the disallowed codepoint )?`"(.+?)"`')
"""What Typst says of letters that no font has, or that the standard does not allow."""
ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")


def write_pdf(
    target: Path,
    slides: Sequence[Slide],
    theme: Theme,
    *,
    title: str,
    author: str = "",
) -> str:
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

    Returns
    -------
    str
        The letters that no font has.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    slide_data = [
        {
            "file": f"{i}.png",
            "ratio": slide.picture.width / slide.picture.height,
            "title": slide.title,
            "scene": "" if slide.is_title else slide.entry.shown_title,
            "is_title": slide.is_title,
            "narration": slide.narration,
            "alt": slide.alt,
        }
        for i, slide in enumerate(slides)
    ]
    document = {"title": title, "author": author, "slides": slide_data}
    pictures = {f"{i}.png": slide.picture for i, slide in enumerate(slides)}
    return typeset(target, "deck.typ", theme, document, pictures)


def typeset(
    target: Path,
    template: str,
    theme: Theme,
    document: Mapping[str, Any],
    pictures: Mapping[str, Image.Image],
) -> str:
    """Write a PDF that Typst sets from a template; a failure leaves no partial file.

    What no font has is a box with its code.

    Parameters
    ----------
    target
        The file to write.
    template
        File name in the ``templates`` folder.
    theme
        Gives the colours of the text and of the pages.
    document
        What the template shows: its title, its author if it is not the project, and more. Decimals
        are written as the language in use does, and objects by their attributes.
    pictures
        The pictures, by the names of files that the document gives them.

    Returns
    -------
    str
        The letters that no font has.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    templates = files("filmkit.decks") / "templates"
    source = (templates / template).read_text(encoding="utf-8")
    whole = {
        **document,
        "author": document.get("author") or _(FILM_TITLE),
        "project": _(FILM_TITLE),
        "language": current_language().main_code,
        "space": current_language().space,
        "colours": colours_of(theme),
        "background": theme.background,
        "translated": script_words(source),
    }
    with temporary_folder() as root, atomic_write(target) as part:
        try:
            (root / template).write_text(source, encoding="utf-8")
            (root / PAPER).write_bytes((templates / PAPER).read_bytes())
            (root / "document.json").write_text(
                json.dumps(whole, default=_as_data), encoding="utf-8"
            )
            for name, picture in pictures.items():
                picture.save(root / name)
            pages, unknown = _compiled(root, template)
            part.write_bytes(pages)
        except OSError as error:
            raise OutputError(target, error) from error
    return unknown


def _compiled(root: Path, template: str) -> tuple[bytes, str]:
    """Return a PDF, and the letters in it that no font has: Typst names one after the other."""
    compiler = typst.Compiler(
        root / PAPER,
        root=root,
        font_paths=sorted({file.parent for file in (*font_files(), *east_asian_fonts())}),
        ignore_system_fonts=False,  # words of a prompt may be in any script
    )
    unknown: list[str] = []
    while True:
        inputs = {"document": "document.json", "template": template, "unknown": _pattern(unknown)}
        try:
            pages: Any = compiler.compile(sys_inputs=inputs, pdf_standards=[STANDARD])
        except typst.TypstError as error:
            found = UNKNOWN.match(error.message)
            letters = ESCAPE.sub(lambda code: chr(int(code[1], 16)), found[1]) if found else ""
            if not letters or letters in unknown:
                raise
            unknown.append(letters)
        else:
            return bytes(pages), "".join(unknown)


def _pattern(unknown: Sequence[str]) -> str:
    """Return the regular expression of texts, as Typst writes it."""
    # U+FFFF is no letter: an expression must match something.
    texts = ("".join(f"\\x{{{ord(letter):x}}}" for letter in text) for text in ("\uffff", *unknown))
    return "|".join(texts)


def _as_data(value: Any) -> Any:
    return written(value) if isinstance(value, Decimal) else vars(value)
