"""Make a deck of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from extract.support.files import write_text
from extract.support.printing import echo
from filmkit.core.language import N_, _
from filmkit.core.text import unknown_letters
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.decks import DeckOptions
from filmkit.decks.pdf import write_pdf
from filmkit.decks.pptx import write_slides
from filmkit.decks.slides import Slide, chosen_beats, drawn_slides, filmed_slides, title_of
from filmkit.decks.talk import Talk
from filmkit.decks.title_slide import title_slide
from filmkit.decks.web import copy_film, write_web
from filmkit.render.request import RenderRequest, load_trace, report_files, report_unknown
from filmkit.render.runner import manim_config

__all__ = ["make_deck"]

# Bytes: Google Slides accepts no larger file, and PowerPoint becomes slow.
LARGE_DECK = 100e6

HINTS = {
    "powerpoint": "each film starts with its slide, then stays at its last picture until the next "
    "step",
    "keynote": "open it with Keynote; if a film waits for a click, switch off "
    "Format > Movie > Start movie on click",
    "gslides": "Google Slides drops films from imported slides: {folder}/HOWTO.txt says how to "
    "add them",
}

HOWTO = N_(
    """How to bring these films to Google Slides

1. Upload {deck} to Google Drive and open it with Google Slides. Every slide shows the
   last picture of its beat; the notes are included.
2. Upload this folder to Google Drive.
3. On each slide: Insert, Video, Google Drive, and choose the film with the slide's number.
   Stretch it over the slide.
4. Format options, Video playback: choose Play (automatically). It stops at its last picture.

{films}
"""
)


def make_deck(
    request: RenderRequest,
    kind: str,
    target: Path,
    options: DeckOptions | None = None,
    *,
    films_beside: bool = False,
    serve: Callable[[Talk], None] | None = None,
) -> bool:
    """Write a deck; return whether everything succeeded.

    Parameters
    ----------
    request
        What to render, and how.
    kind
        One of :data:`filmkit.decks.DECK_KINDS`.
    target
        File of the deck.
    options
        Which beats it has, its title slide, and how it is shown; as it is by default.
    films_beside
        Whether the films of a web deck are written to a folder beside it, not into the page.
    serve
        Called with the talk of a web deck, at the end.
    """
    trace, options = load_trace(request), options or DeckOptions()
    if options.beats:
        selection = chosen_beats(request, trace, options.beats)
        request = replace(request, scenes=tuple(selection), selection=selection)

    title = options.title or title_of(request.scenes)
    cover = []
    if options.title or options.author:
        with manim_config(request.quality, verbosity=request.verbosity):
            cover = [title_slide(request, trace, options, title)]
        report_unknown(request, unknown_letters(title + options.author), told=trace)
    shown = request.settings
    talk = None
    with use_theme(shown.theme, shown.palette, background=shown.background) as theme:
        paths = [target]
        if kind == "pdf":
            drawn = drawn_slides(request, trace)
            if not drawn:
                return False
            unknown = write_pdf(target, [*cover, *drawn], theme, title=title, author=options.author)
            report_unknown(request, unknown, told=trace)
        else:
            with filmed_slides(request, trace, target) as filmed:
                if not filmed:
                    return False
                slides = [*cover, *filmed]
                if kind == "web":
                    view = LayerView.of_prompt(
                        trace, shown.layer, show_first_token=shown.show_first_token
                    )
                    deck = write_web(
                        target, slides, view, theme, title, options, films_beside=films_beside
                    )
                    paths = deck.paths
                    if serve is not None:
                        talk = Talk.of(slides, deck, title, options)
                else:
                    write_slides(target, slides, theme, title, options, films=kind != "gslides")
                if kind == "gslides":
                    paths.append(_write_films_for_drive(target, slides))
    report_files(request, paths)
    if not request.quiet:
        if kind in HINTS:
            echo(HINTS[kind].format(folder=paths[-1]), err=True)
        if (size := target.stat().st_size) > LARGE_DECK:
            advice = "--films-beside or --quality hd" if kind == "web" else "--quality hd"
            echo(f"{target} is {size / 1e6:.0f} MB; {advice} makes it smaller", err=True)
    if talk is not None and serve is not None:
        serve(talk)
    return True


def _write_films_for_drive(target: Path, slides: list[Slide]) -> Path:
    folder = target.with_name(f"{target.stem}_films")
    names = {}
    for number, slide in enumerate(slides, 1):
        if slide.video is not None:
            names[number] = f"{number:02}_{slide.name.partition('_')[2]}.mp4"
            copy_film(slide.video, folder / names[number])
    film_list = "\n".join(
        _("slide {number}: {file}", number=number, file=name) for number, name in names.items()
    )
    write_text(folder / "HOWTO.txt", _(HOWTO, deck=target.name, films=film_list))
    return folder
