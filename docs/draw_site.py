"""What the website has besides the documentation: films, a page for each scene, and pages to try.

``python -m docs.draw_site`` renders films and pictures, and writes pages for Sphinx to
``docs/scenes``. What browsers load as it is goes to ``docs/files``, the root of the website.
``make docs`` does all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from markupsafe import Markup
from sphinx.highlighting import PygmentsBridge

from docs import repository
from extract.support.files import write_text
from extract.trace import Trace
from filmkit.core.beat_records import Rehearsal
from filmkit.core.project import PROJECT, TITLE
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.core.theme import DARK
from filmkit.decks.gallery import captions_data, cover_of, scene_data
from filmkit.decks.make import make_deck
from filmkit.decks.slides import Slide, slides_of
from filmkit.decks.web import render_page
from filmkit.decks.worksheet import make_worksheet
from filmkit.explore.page import write_explore
from filmkit.render.jobs import SHORT_FILM, make_films
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import (
    manim_config,
    rehearse,
    render_picture,
    write_picture,
    write_png,
)
from filmkit.render.traces import SHIPPED
from scenes.registry import SCENES, SHORT, THUMBNAIL

__all__ = ["draw_site"]

SOCIAL = Quality(1200, 630, 30)  # the size that networks ask for
WEBP = 85  # quality of the pictures in scripts, 0 to 100
SIGNS = "".join(map(chr, (*range(0xA0, 0x180), *range(0x2010, 0x2030), *range(0x2190, 0x2194))))
"""What pages may have beside ASCII: letters, dashes, quotation marks and arrows."""

DECK = "scene_attention"
"""The scene whose deck is there to be tried."""

DOORS = (
    ("scenes/index.html", "scene_heads", "Watch it", "scene by scene, with scripts and questions."),
    ("try/index.html", "scene_mla", "Try it by hand", "on a page that computes."),
    ("deck.html", DECK, "Show it", "in a talk: this scene as a deck, in one file."),
    ("tutorial.html", "scene_patterns", "Make your own", "of your prompt and your model."),
)
"""Where the front page leads: address, scene with the picture, title and words."""


def draw_site(request: RenderRequest, pages: Path, files: Path) -> None:
    """Render films and pictures, and write pages for Sphinx.

    Parameters
    ----------
    request
        The trace, and the quality of films and pictures.
    pages, files
        Folders for the pages, and for what they load.

    Raises
    ------
    click.ClickException
        When something could not be drawn; what is wrong has been printed.
    """
    films = files / "films"
    request, trace = replace(request, scenes=SCENES, out=films).with_trace()
    if not (make_films(request) and make_films(_short(request))):
        raise click.ClickException("the website lacks a film")
    by_name = {entry.slug: entry for entry in SCENES}
    if not make_deck(replace(request, scenes=(by_name[DECK],)), "web", files / "deck.html"):
        raise click.ClickException("the website lacks a deck")
    paper = replace(request, settings=replace(request.settings, theme="print"))
    if not make_worksheet(paper, files / "worksheet.pdf", "a4", exercises=True):
        raise click.ClickException("the website lacks its worksheet")
    write_explore(replace(request, out=files / "try"), home=("../index.html", TITLE))
    write_picture(_social(request, trace), files / "social.png", title=THUMBNAIL.title)
    with manim_config(request.quality, verbosity=request.verbosity):
        scenes = [_describe(entry, trace, request) for entry in SCENES]
    size = request.quality
    values = {
        "scenes": scenes,
        "titles_lead": True,
        "minutes": round(sum(scene["seconds"] for scene in scenes) / 60),
        "model": trace.meta.model,
        "prompt": trace.meta.prompt.strip(),
        "sound": False,
        "repository": repository(),
        "doors": DOORS,
        "ratio": f"{size.width} / {size.height}",
        "told": SIGNS,
    }
    names = {"front.md": "front.txt", "explore.md": "explore.txt", "site.css": "static/site.css"}
    film = _short_film(films, scenes[0]["opening"])
    for template in ("front.md", "explore.md", "index.md", "site.css"):
        text = render_page(template, DARK, package="docs", scene=film, **values)
        write_text(pages / names.get(template, template), text)
    for scene in scenes:
        text = render_page("scene.md", DARK, package="docs", scene=scene, **values)
        write_text(pages / f"{scene['slug']}.md", text)


def _short(request: RenderRequest) -> RenderRequest:
    """Return the request for the short film."""
    by_name = {entry.slug: entry for entry in request.scenes}
    film = one_after_another([(by_name[name], beats) for name, beats in SHORT])
    settings = replace(request.settings, questions=False)
    return replace(request, scenes=tuple(film), selection=film, joined=True, settings=settings)


def _short_film(films: Path, opening: str) -> dict[str, Any]:
    """Return what the front page says of the short film."""
    cues = (films / f"{SHORT_FILM}.vtt").read_text(encoding="utf-8")
    return {
        "slug": "short",
        "title": "The short film",
        "poster": "social.png",
        "film": f"films/{SHORT_FILM}.mp4",
        "opening": opening,
        **captions_data(cues),
    }


def _social(request: RenderRequest, trace: Trace) -> Any:
    """Draw the picture that networks show of a link to the website."""
    with manim_config(SOCIAL, verbosity=request.verbosity):
        small = replace(request, quality=SOCIAL)
        return render_picture(THUMBNAIL, trace=trace, request=small)


def _describe(entry: SceneEntry, trace: Trace, request: RenderRequest) -> dict[str, Any]:
    """Write the pictures of a scene to the folder of its film; return what pages say of it."""
    rehearsal = rehearse(entry, trace, request)
    slides = slides_of(entry, rehearsal, trace=trace, request=request)
    cover = slides[[record.name for record in rehearsal.beats].index(cover_of(entry, rehearsal))]
    write_png(cover.picture, request.out / f"{entry.slug}.png")
    scene = scene_data(cover, f"../films/{entry.slug}", rehearsal)
    beats = _beats(rehearsal, slides, request.out)
    layer = trace.meta.featured.layer
    arrays = [
        name
        for tensor in entry.load().tensors
        for name in trace.tensors
        if f"{name}.".startswith(f"{tensor}.{layer}.")
    ]
    return scene | {
        "about": (entry.load().__doc__ or "").split("\n\n")[0],
        "seconds": rehearsal.duration,
        "beats": [beat | chapter for beat, chapter in zip(beats, scene["chapters"], strict=True)],
        "more": f"{entry.slug}.html",
        "where": "Script, questions, tensors, code",
        "layer": layer,
        "arrays": [{"name": n, "axes": trace.axes(n), "shape": trace[n].shape} for n in arrays],
        "code": _code(entry.source_file),
    }


def _beats(rehearsal: Rehearsal, slides: Sequence[Slide], films: Path) -> list[dict[str, Any]]:
    """Write the last picture of each beat that asks nothing; return what a page says of beats."""
    beats = []
    for record, slide in zip(rehearsal.beats, slides, strict=True):
        slug = slide.entry.slug
        asks = record.pause > 0
        beats.append({"anchor": f"{slug}-{record.name}", "slide": slide, "asks": asks})
        if not asks:
            picture = films / slug / f"{slide.name}.webp"
            picture.parent.mkdir(parents=True, exist_ok=True)
            slide.picture.save(picture, quality=WEBP)
            beats[-1]["picture"] = f"../films/{slug}/{picture.name}"
    return beats


def _code(file: Path) -> dict[str, Markup]:
    """Return the code of a scene, coloured, by the path of each file; its own file comes first.

    As HTML it is no text of the page, so that whoever searches finds what is said.
    """
    files = [file, *sorted(set(file.parent.glob("[!_]*.py")) - {file})]
    texts = {each.relative_to(PROJECT).as_posix(): each.read_text("utf-8") for each in files}
    bridge = PygmentsBridge()
    return {name: Markup(bridge.highlight_block(text, "python")) for name, text in texts.items()}


@click.command()
@click.option("--quality", type=click.Choice(list(QUALITIES)), default="hd", show_default=True)
def main(quality: str) -> None:
    """Draw what is on the website besides the documentation."""
    docs = PROJECT / "docs"
    request = RenderRequest.chosen(trace=SHIPPED, quality=QUALITIES[quality])
    draw_site(request, docs / "scenes", docs / "files")


if __name__ == "__main__":
    main()
