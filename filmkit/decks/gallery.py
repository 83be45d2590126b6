"""The gallery: a folder with a web page of all scenes, their films and their posters."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extract.support.files import write_text
from extract.trace import Trace
from filmkit.core.beat_records import Rehearsal
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import use_theme
from filmkit.decks.slides import Slide, slides_of
from filmkit.decks.web import render_page
from filmkit.render.jobs import make_films
from filmkit.render.request import RenderRequest, for_each_scene, load_trace, report_files
from filmkit.render.runner import manim_config, rehearse, write_png
from filmkit.render.voices import timed
from filmkit.words.captions import captions, vtt

__all__ = [
    "captions_data",
    "cover_of",
    "make_gallery",
    "page_name",
    "scene_data",
    "write_gallery",
]


def page_name(request: RenderRequest) -> str:
    """Return the name of a gallery's page."""
    return f"{request.file_name('index')}.html"


def make_gallery(request: RenderRequest, code_url: str | None) -> bool:
    """Render films and posters, and write the page; return whether everything succeeded.

    Parameters
    ----------
    request
        What to render, and how; the gallery is written to its ``out`` folder.
    code_url
        Address where the code is published; the page links to ``code_url/scenes/...``. If None,
        the links lead to the files on this machine.
    """
    return make_films(request) and write_gallery(request, code_url)


def write_gallery(request: RenderRequest, code_url: str | None) -> bool:
    """Write posters and the page for films that exist already; return whether all succeeded."""
    trace = load_trace(request)
    spoken = timed(request)

    def describe(entry: SceneEntry) -> dict[str, Any]:
        rehearsal = rehearse(entry, trace, spoken)
        cover = cover_of(entry, rehearsal)
        (slide,) = slides_of(entry, rehearsal, trace=trace, request=spoken, beats=(cover,))
        name = request.file_name(entry.slug)
        write_png(slide.picture, request.out / f"{name}.png")
        file = "/".join(entry.module.split(".")) + ".py"
        here = quote(_relative(PROJECT / file, request.out))
        link = f"{code_url.rstrip('/')}/{file}" if code_url else here
        return scene_data(slide, name, rehearsal) | {"more": link, "where": file}

    with manim_config(request.quality, verbosity=request.verbosity):
        drawn = for_each_scene(request, spoken.scenes, describe)
    if len(drawn) < len(request.scenes):
        return False
    write_text(request.out / page_name(request), _page(request, trace, list(drawn.values())))
    report_files(request, [request.out / page_name(request)])
    return True


def cover_of(entry: SceneEntry, rehearsal: Rehearsal) -> str:
    """Return the name of the beat whose last picture stands for a scene."""
    beats = [record.name for record in rehearsal.beats]
    return entry.cover if entry.cover in beats else beats[-1]


def _page(request: RenderRequest, trace: Trace, scenes: list[dict[str, Any]]) -> str:
    size = request.quality
    with use_theme(request.settings.theme, request.settings.palette) as theme:
        return render_page(
            "gallery.html",
            theme,
            told="".join(scene["cues"] for scene in scenes),
            scenes=scenes,
            titles_lead=False,
            model=trace.meta.model,
            prompt=trace.meta.prompt.strip(),
            ratio=f"{size.width} / {size.height}",
            sound=request.voice is not None,
        )


def scene_data(slide: Slide, name: str, rehearsal: Rehearsal) -> dict[str, Any]:
    """Return what a page says of a scene, apart from where there is more.

    Parameters
    ----------
    slide
        Its cover.
    name
        What its film and its poster are called, without a suffix.
    rehearsal
        Its rehearsal.
    """
    entry = slide.entry
    return {
        "slug": entry.slug,
        "title": entry.shown_title,
        "poster": f"{name}.png",
        "film": f"{name}.mp4",
        **captions_data(vtt(captions(rehearsal.beats))),
        "length": _clock(round(rehearsal.duration)),
        "opening": rehearsal.beats[0].narration,
        "tensors": entry.load().tensors,
        "chapters": [
            {
                "start": round(record.start, 3),
                "clock": _clock(record.start),
                "title": record.title,
            }
            for record in rehearsal.beats
        ],
    }


def captions_data(cues: str) -> dict[str, str]:
    """Return captions in WebVTT as they are, and as an address.

    From disk a browser refuses to read a file beside the page: the address is the captions.
    """
    address = f"data:text/vtt;base64,{b64encode(cues.encode()).decode()}"
    return {"captions": address, "cues": cues}


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
