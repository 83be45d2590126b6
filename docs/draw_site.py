"""The film on the website: its short form, a gallery, a page for each scene, and one to explore.

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

from extract.support.files import write_text
from extract.trace import Trace
from filmkit.core.beat_records import Rehearsal
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.core.theme import DARK
from filmkit.decks.gallery import captions_data, cover_of, scene_data
from filmkit.decks.slides import Slide, slides_of
from filmkit.decks.web import render_page
from filmkit.explore.page import write_explore
from filmkit.render.jobs import SHORT_FILM, make_films
from filmkit.render.posters import draw_picture, write_picture
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import manim_config, rehearse, render_picture, write_png
from filmkit.render.traces import SHIPPED
from scenes.registry import SCENES, SHORT, THUMBNAIL

__all__ = ["draw_site"]

SOCIAL = Quality(1200, 630, 30)  # the size that networks ask for
QUALITY = 85  # of the pictures in scripts, in percent, as WebP has it
DOORS = (
    ("scenes/index.html", "scene_heads", "Watch it", "scene by scene, with scripts and questions."),
    ("scenes/explore.html", "scene_attention", "Try it by hand", "on a page that computes."),
    ("tutorial.html", "scene_patterns", "Make your own", "with your prompt and your model."),
)
"""Where the front page leads: address, scene with the picture, title and words."""

LATIN = "".join(map(chr, range(0xA0, 0x180)))  # letters that pages may have, beside ASCII


def draw_site(
    pages: Path,
    files: Path,
    scenes: Sequence[SceneEntry] = SCENES,
    short: Sequence[tuple[str, tuple[str, ...]]] = SHORT,
    **choices: Any,
) -> None:
    """Render films and pictures, and write pages for Sphinx.

    Parameters
    ----------
    pages, files
        Folders for the pages, and for what they load.
    scenes
        The scenes, in the order of the story.
    short
        Names of scenes with the beats that the short film shows of them.
    **choices
        Fields of the :class:`~filmkit.render.request.RenderRequest`, such as the quality.

    Raises
    ------
    click.ClickException
        When a scene could not be drawn; what is wrong has been printed.
    """
    films = files / "films"
    request = RenderRequest.chosen(scenes=tuple(scenes), out=films, **choices)
    request, trace = request.with_trace()
    by_name = {entry.slug: entry for entry in SCENES}
    film = one_after_another([(by_name[name], beats) for name, beats in short])
    story = replace(request, scenes=tuple(film), joined=True, selection=film)
    plain = replace(story, settings=replace(story.settings, questions=False))
    if not (make_films(request) and make_films(plain)):
        raise click.ClickException("the website lacks a film")
    write_explore(replace(request, out=files / "try"))
    with manim_config(SOCIAL, verbosity=request.verbosity):
        social = render_picture(
            THUMBNAIL,
            trace=trace,
            request=replace(request, quality=SOCIAL),
            draw=lambda stage: draw_picture(stage, "png"),
        )
    write_picture(social, files / "social.png", title=THUMBNAIL.title)
    described = []
    with manim_config(request.quality, verbosity=request.verbosity):
        for entry in scenes:
            rehearsal = rehearse(entry, trace, request)
            slides = slides_of(entry, rehearsal, trace=trace, request=request)
            described.append(_describe(rehearsal, slides, films) | _tensors(entry, trace))
    film = {
        "slug": "short",
        "poster": "social.png",
        "film": f"films/{SHORT_FILM}.mp4",
        "alt": described[0]["alt"],
        **captions_data((films / f"{SHORT_FILM}.vtt").read_text(encoding="utf-8")),
    }
    values = {"model": trace.meta.model, "prompt": trace.meta.prompt.strip(), "sound": False}
    written = {
        f"{scene['slug']}.md": _page("scene.md", scene=scene, **values) for scene in described
    }
    written["front.txt"] = _page("front.md", scene=film, doors=DOORS, **values)
    written["index.md"] = _page("index.md", scenes=described, **values)
    written["explore.md"] = _page("explore.md", **values)
    size = request.quality
    written["static/site.css"] = _page(
        "site.css", ratio=f"{size.width} / {size.height}", told=LATIN
    )
    for name, text in written.items():
        write_text(pages / name, text)


def _page(template: str, **values: Any) -> str:
    return render_page(template, DARK, package="docs", **values)


def _describe(rehearsal: Rehearsal, slides: Sequence[Slide], films: Path) -> dict[str, Any]:
    """Write the pictures of a scene, and return what pages say of it."""
    entry = slides[0].entry
    cover = cover_of(entry, rehearsal)
    beats = []
    for record, slide in zip(rehearsal.beats, slides, strict=True):
        beat = {"anchor": f"{entry.slug}-{record.name}", "slide": slide, "asks": record.pause > 0}
        if not beat["asks"]:
            name = f"{entry.slug}/{slide.name}.webp"
            (films / name).parent.mkdir(parents=True, exist_ok=True)
            slide.picture.save(films / name, quality=QUALITY)
            beat["picture"] = f"../films/{name}"
        if record.name == cover:
            write_png(slide.picture, films / f"{entry.slug}.png")
            scene = scene_data(slide, f"../films/{entry.slug}", rehearsal)
        beats.append(beat)
    folder = entry.source_file.parent
    files = [entry.source_file, *sorted(set(folder.glob("*.py")) - {entry.source_file})]
    texts = {file.relative_to(PROJECT).as_posix(): file.read_text("utf-8") for file in files}
    return scene | {
        "about": (entry.load().__doc__ or "").split("\n\n")[0],
        "beats": [beat | chapter for beat, chapter in zip(beats, scene["chapters"], strict=True)],
        "more": f"{entry.slug}.html",
        "where": "Script, questions, tensors, code",
        "code": {file: text for file, text in texts.items() if text.strip()},
    }


def _tensors(entry: SceneEntry, trace: Trace) -> dict[str, Any]:
    """Return names, axes and shapes of the tensors of a scene, in the layer that is featured."""
    layer = trace.meta.featured.layer
    own = [
        name
        for tensor in entry.load().tensors
        for name in trace.tensors
        if name == f"{tensor}.{layer}" or name.startswith(f"{tensor}.{layer}.")
    ]
    shapes = [{"name": n, "axes": trace.axes(n), "shape": trace[n].shape} for n in own]
    return {"layer": layer, "arrays": shapes}


@click.command()
@click.option("--quality", type=click.Choice(list(QUALITIES)), default="hd", show_default=True)
def main(quality: str) -> None:
    """Draw what is on the website besides the documentation."""
    docs = PROJECT / "docs"
    draw_site(docs / "scenes", docs / "files", trace=SHIPPED, quality=QUALITIES[quality])


if __name__ == "__main__":
    main()
