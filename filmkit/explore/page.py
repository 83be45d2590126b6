"""The page to explore: what it shows is computed in the browser, from numbers of the trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from extract.support.files import write_text
from extract.trace import Trace
from extract.trace.contents.conversion_report import conversion_report
from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import QUESTION
from filmkit.core.theme import DARK, LIGHT, use_theme
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView, best_match
from filmkit.decks.cells import ArrayStore
from filmkit.decks.live import LivePictures
from filmkit.decks.web import as_json, colours_of, render_page
from filmkit.explore.parts import NUMBERS, PARTS, Part, norms_of, sets_of
from filmkit.render.request import RenderRequest, load_trace, report_files
from filmkit.render.runner import manim_config, rehearse

__all__ = [
    "LIBRARY",
    "SCRIPTS",
    "STYLES",
    "document_of",
    "numbers_of",
    "page_of",
    "vendored",
    "write_explore",
]

SCRIPTS = (
    *("filled.js", "cells.js", "page.js", "paint.js", "rank.js", "arithmetic.js", "explore.js"),
    *("matrix.js", "rows.js", "heads.js", "sets.js", "memory.js", "reading.js", "begin_explore.js"),
)
"""Modules of the page, in the order in which they run."""

STYLES = ("live.css", "explore.css")
"""Styles of the page."""

LIBRARY = "twgl-full.min.js"
"""The library that draws in space; ``vendor/SOURCES.md`` says where it is from."""

CLOSING = "scene_answer"
"""The scene whose words end the page."""

THEMES = (DARK, LIGHT)
"""The themes between which a reader may switch."""


def write_explore(request: RenderRequest, home: tuple[str, str] | None = None) -> bool:
    """Write the page and the files that it loads to the request's folder; return True.

    Parameters
    ----------
    request
        The trace, and how to show it.
    home
        Address and title of the page to which this one leads back; None for none.

    Raises
    ------
    StageError
        If the trace has no such layer, or too few or too many tokens.
    OutputError
        If a file cannot be written.
    """
    trace, settings = load_trace(request), request.settings
    view = LayerView.of_prompt(trace, settings.layer, show_first_token=settings.show_first_token)
    head = view.head(settings.head).head
    parts = [part for part in PARTS if part.fits(view)]
    folder = request.out
    document = document_of(view, head, parts, settings.palette)
    document |= {
        "library": LIBRARY,
        # Else the page has the theme of the reader's system.
        "light": True if settings.theme != DARK.name else None,
        "files": {},
    }
    said = _said(request, trace, {"scene_sharing", CLOSING} | {part.scene for part in parts})
    # All is computed before the first file is written: what fails leaves no half of a page.
    numbers = {
        folder / f"{name}.js": f"receive({as_json(numbers)});\n"
        for name, numbers in numbers_of(view, parts, settings.palette).items()
    }
    told = "".join(numbers.values())
    page = page_of(view, parts, document, scripts=SCRIPTS, said=said, told=told, home=home)
    texts = {folder / "index.html": page, **numbers}
    if any(part.name == "heads" for part in parts):
        for name in (LIBRARY, "LICENSE.txt"):
            texts[folder / name.replace("LICENSE", LIBRARY.removesuffix(".js"))] = vendored(name)
    for path, text in texts.items():
        write_text(path, text)
    report_files(request, texts)
    return True


def vendored(name: str) -> str:
    """Return the text of a file of a library that others wrote."""
    return (files("filmkit.explore") / "vendor" / name).read_text(encoding="utf-8")


def numbers_of(view: LayerView, parts: Sequence[Part], palette: str) -> dict[str, Any]:
    """Return what the files that some parts need hold, by their names.

    Each holds its numbers for each theme, and the arrays that they name.
    """
    contents = {}
    for name in sorted({name for part in parts for name in part.needs}):
        arrays = ArrayStore()
        numbers = {}
        for theme in THEMES:
            with use_theme(theme.name, palette):
                numbers[theme.name] = NUMBERS[name](LivePictures(view, arrays))
        contents[name] = {"name": name, "numbers": numbers, "arrays": arrays.encoded()}
    return contents


def document_of(view: LayerView, head: int, parts: Sequence[Part], palette: str) -> dict[str, Any]:
    """Return what the scripts of a page need before any file of numbers."""
    trace, meta = view.trace, view.trace.meta
    norms: dict[str, dict[str, Any]] = {}
    maps: dict[str, str] = {}
    for theme in THEMES:
        live = LivePictures(view, ArrayStore(), maps)
        with use_theme(theme.name, palette):
            norms[theme.name] = norms_of(live)
            if any(part.name == "rank" for part in parts):
                live.rank()  # which collects its colour maps
    return {
        "tokens": [printable(token) for token in meta.tokens[: view.stop]],
        "first": view.first,
        "hidden": view.hidden_name if view.hides_first else "",
        "head": head,
        "query": view.first + best_match(view.head(head))[0],
        "heads": meta.n_heads,
        "sets": sets_of(trace),
        "trained": meta.n_kv_heads,
        "norms": norms,
        "maps": maps,
        "needs": {part.name: part.needs for part in parts},
    }


def page_of(
    view: LayerView,
    parts: Sequence[Part],
    document: Mapping[str, Any],
    *,
    said: Mapping[str, Mapping[str, BeatRecord]],
    template: str = "explore.html",
    styles: Sequence[str] = STYLES,
    **values: Any,
) -> str:
    """Return a page.

    Parameters
    ----------
    view
        The layer that it shows.
    parts
        Its parts.
    document
        What its scripts need; see :func:`document_of`.
    said
        The beats whose words it shows, by their names and those of their scenes.
    template, styles
        Files in the ``templates`` folder.
    **values
        Other arguments of :func:`~filmkit.decks.web.render_page`, and variables of the template.
    """
    meta = view.trace.meta
    ranks = any(part.name == "rank" for part in parts)
    asking = {p.name for p in parts if QUESTION + p.question in said.get(p.scene, {})}
    with use_theme("dark") as theme:
        return render_page(
            template,
            theme,
            package="filmkit.explore",
            light=colours_of(LIGHT),
            styles=styles,
            document=as_json(document),
            parts=[part.name for part in parts],
            said=said,
            asked={p.name: (p.scene, QUESTION + p.question, p.answer) for p in parts},
            premises={p.name: p.premise for p in parts},
            waiting={p.name: p.waits for p in parts if p.waits in asking},
            model=meta.model,
            featured=meta.featured,
            next_word=printable(conversion_report(view.trace).next_word) if ranks else "",
            next=printable(meta.top_tokens[view.stop - 1][0]) if meta.top_tokens else "",
            tokens=document["tokens"][view.first :],
            view=view,
            head=document["head"],
            **values,
        )


def _said(
    request: RenderRequest, trace: Trace, scenes: Iterable[str]
) -> dict[str, dict[str, BeatRecord]]:
    """Return the beats of scenes of the film, by their names and those of the scenes."""
    entries = [entry for entry in request.scenes if entry.slug in scenes]
    with manim_config(request.quality, verbosity=request.verbosity):
        return {
            entry.slug: {record.name: record for record in rehearse(entry, trace, request).beats}
            for entry in entries
        }
