"""The gallery: one page with every scene, its film beside it."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

from extract.files import write_text
from extract.trace import Trace
from filmkit.core.records import Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import use_theme
from filmkit.decks.slides import Slide, slides_of
from filmkit.decks.web import page
from filmkit.render.jobs import make_films
from filmkit.render.request import RenderRequest, each, load_trace, report_files
from filmkit.render.runner import manim_config, rehearse, write_png
from filmkit.words.captions import captions, vtt
from filmkit.words.script import chapter_title

__all__ = ["PAGE", "make_gallery", "write_gallery"]

PROJECT = Path(__file__).resolve().parents[2]
PAGE = "index.html"


def make_gallery(request: RenderRequest, code: str | None) -> bool:
    """Write films, posters and a page of them; say whether all went well.

    Parameters
    ----------
    order
        What to draw, and how; its folder becomes the gallery.
    code
        Address that the names of files are added to, instead of where they are on this machine.
    """
    return make_films(request) and write_gallery(request, code)


def write_gallery(request: RenderRequest, code: str | None) -> bool:
    """Write posters and the page, for films that are there already; say whether all went well."""
    trace = load_trace(request)

    def entry_of(entry: SceneEntry) -> dict[str, Any]:
        told = rehearse(entry, trace, request.options)
        beats = [record.name for record in told.beats]
        chosen = entry.cover if entry.cover in beats else beats[-1]
        (slide,) = slides_of(entry, told, trace=trace, request=request, beats=(chosen,))
        write_png(slide.picture, request.out / f"{entry.slug}.png")
        return _record(slide, told, request.out, code)

    with manim_config(request.quality, verbosity=request.verbosity):
        records = each(request, request.scenes, entry_of)
    if len(records) < len(request.scenes):
        return False
    write_text(request.out / PAGE, _page(request, trace, list(records.values())))
    report_files(request, [request.out / PAGE])
    return True


def _page(request: RenderRequest, trace: Trace, scenes: list[dict[str, Any]]) -> str:
    size = request.quality
    with use_theme(request.theme, request.palette) as theme:
        return page(
            "gallery.html",
            theme,
            scenes=scenes,
            model=trace.meta.model,
            prompt=trace.meta.prompt.strip(),
            ratio=f"{size.width} / {size.height}",
        )


def _record(slide: Slide, told: Rehearsal, out: Path, code: str | None) -> dict[str, Any]:
    entry = slide.entry
    file = "/".join(entry.module.split(".")) + ".py"
    where = f"{code.rstrip('/')}/{file}" if code else _relative(PROJECT / file, out)
    cues = b64encode(vtt(captions(told.beats)).encode()).decode()
    return {
        "slug": entry.slug,
        "title": entry.title,
        "poster": f"{entry.slug}.png",
        "film": f"{entry.slug}.mp4",
        # Within the page: a browser does not read captions from a file beside it.
        "captions": f"data:text/vtt;base64,{cues}",
        "alt": slide.alt,
        "length": _clock(told.duration),
        "opening": told.beats[0].narration,
        "file": file,
        "code": where,
        "tensors": entry.load().tensors,
        "chapters": [
            {
                "start": round(record.start, 3),
                "clock": _clock(record.start),
                "title": chapter_title(record.name),
            }
            for record in told.beats
        ],
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
