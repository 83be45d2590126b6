"""Makes a deck of the kind that was asked for."""

from __future__ import annotations

from pathlib import Path

import click

from extract.files import write_text
from filmkit.core.theme import use_theme
from filmkit.decks.pdf import write_pdf
from filmkit.decks.pptx import write_slides
from filmkit.decks.slides import Slide, drawn_slides, filmed_slides
from filmkit.decks.web import copy_film, write_web
from filmkit.render.request import RenderRequest, load_trace, report_files

__all__ = ["make_deck"]

LARGE = 100e6  # bytes: Google Slides takes no more, and PowerPoint grows slow

HINTS = {
    "powerpoint": "films start with their slides; their ends stay until the next step",
    "keynote": "open it with Keynote; a film that waits for a click starts by itself once "
    "Format, Movie, Start movie on click is off",
    "gslides": "Google Slides drops films from imported slides: {folder}/HOWTO.txt says how to "
    "put them in",
}

HOWTO = """How to bring these films to Google Slides

1. Upload {deck} to Google Drive and open it with Google Slides. Every slide shows how its
   beat ends; the notes are there.
2. Upload this folder to Google Drive.
3. On each slide: Insert, Video, Google Drive, and choose the film that has the slide's number.
   Stretch it over the slide.
4. Format options, Video playback: choose Play (automatically). It stays at its last picture.

{films}
"""


def make_deck(request: RenderRequest, wanted: str, target: Path, *, beside: bool = False) -> bool:
    """Write a deck; say whether all went well.

    Parameters
    ----------
    order
        What to draw, and how.
    wanted
        One of :data:`filmkit.decks.TARGETS`.
    target
        The deck.
    beside
        Whether the films of a web deck stay files of their own.
    """
    trace = load_trace(request)
    with use_theme(request.theme, request.palette) as theme:
        background = request.background or theme.background
        made = [target]
        if wanted == "pdf":
            slides = drawn_slides(request, trace)
            if slides:
                write_pdf(target, slides, theme, background=background)
        else:
            with filmed_slides(request, trace, target) as slides:
                if not slides:
                    return False
                if wanted == "web":
                    made = write_web(target, slides, trace, theme, beside=beside)
                else:
                    films = wanted != "gslides"
                    write_slides(target, slides, theme, background=background, films=films)
                if wanted == "gslides":
                    made.append(_films_for_drive(target, slides))
    if not slides:
        return False
    report_files(request, made)
    if not request.quiet:
        if wanted in HINTS:
            click.echo(HINTS[wanted].format(folder=made[-1]), err=True)
        if (size := target.stat().st_size) > LARGE:
            advice = "--films-beside or --quality hd" if wanted == "web" else "--quality hd"
            click.echo(f"{target} has {size / 1e6:.0f} MB; {advice} makes it lighter", err=True)
    return True


def _films_for_drive(target: Path, slides: list[Slide]) -> Path:
    folder = target.with_name(f"{target.stem}_films")
    names = []
    for number, slide in enumerate(slides, 1):
        names.append(f"{number:02}_{slide.name.partition('_')[2]}.mp4")
        assert slide.video is not None
        copy_film(slide.video, folder / names[-1])
    listed = "\n".join(f"slide {i}: {name}" for i, name in enumerate(names, 1))
    write_text(folder / "HOWTO.txt", HOWTO.format(deck=target.name, films=listed))
    return folder
