"""The commands ``render.py deck`` and ``render.py gallery``.

Nothing here loads Manim, so that ``--help`` answers at once.
"""

from __future__ import annotations

import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from extract.support.assets import installing
from extract.support.plain_text import escaped
from extract.support.printing import echo
from filmkit.commands.options import (
    ALL_SCENES,
    ASPECT,
    BACKGROUND,
    CONTEXT_SETTINGS,
    FPS,
    MASTER,
    PRINTING,
    RESOURCES,
    VOICE,
    WHAT_TO_SHOW,
    quality_option,
    require_scenes,
    run,
    scenes_named,
)
from filmkit.core.scene_entry import SceneEntry
from filmkit.decks import (
    DECK_KINDS,
    DEFAULT_DECK_KIND,
    GOES_ON,
    SUFFIXES,
    DeckOptions,
    deck_name,
    file_name,
    is_link,
)
from filmkit.render.choice import named_choices
from filmkit.render.quality import DEFAULT_QUALITY
from filmkit.serving.addresses import network_addresses

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["deck", "gallery"]


def _link(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (is_link(value) and re.match("https?://[^/]", value, re.I)):
        raise click.BadParameter(f"'{value}' is not a link; write it as https://HOST/PATH")
    return value


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise click.BadParameter("write names of beats with commas between them, such as a,b,c")
    return names


def _line(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """Return a text on one line; one that is empty or has what cannot be seen is refused."""
    text = " ".join((value or "").split())
    if value is not None and not (text and escaped(text) == text):
        raise click.BadParameter(
            "write a line of text, without control characters and marks of direction"
        )
    return text


def _minutes(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= MOST_MINUTES:
        raise click.BadParameter(
            f"write how many minutes the talk may take, such as 20; at most {MOST_MINUTES}, a day"
        )
    return value


MOST_MINUTES = 24 * 60

_CODE_HERE = (
    "links to the code lead to the files on this machine; before you publish the gallery, say with "
    "--code URL where the code is"
)

_PPTX_MISSING = f"slides need python-pptx: {installing('decks')}"


_SERVER_LIBRARIES = ("segno", "starlette", "uvicorn", "websockets")


def _addresses(network: bool) -> list[str]:
    """Return the addresses at which a talk is served besides those of this machine alone.

    Raises
    ------
    click.ClickException
        If it cannot be served, before anything is drawn.
    """
    if any(find_spec(library) is None for library in _SERVER_LIBRARIES):
        raise click.ClickException(f"--remote needs a server: {installing('studio')}")
    found = network_addresses() if network else []
    if network and not found:
        raise click.ClickException(
            "this machine is in no network: connect it to one, or leave out --network"
        )
    return found


@cloup.command(no_args_is_help=True, context_settings=CONTEXT_SETTINGS)
@cloup.argument(
    "scenes", nargs=-1, metavar="SCENE...", callback=lambda ctx, param, names: scenes_named(names)
)
@cloup.option_group(
    "What to make",
    ALL_SCENES,
    cloup.option(
        "--for",
        "kind",
        type=click.Choice(list(DECK_KINDS)),
        default=DEFAULT_DECK_KIND,
        show_default=True,
        help="Kind of deck. "
        + "; ".join(f"{name}: {what}" for name, what in DECK_KINDS.items())
        + ".",
    ),
    cloup.option(
        "--beats",
        callback=_names,
        metavar="A,B,C",
        help="Only these beats, in the order of the story; the beginning of a name is enough. "
        "--list shows the names.",
    ),
    cloup.option(
        "--title", callback=_line, metavar="TEXT", help="Begin with a title slide that says this."
    ),
    cloup.option(
        "--author",
        callback=_line,
        metavar="TEXT",
        help="Who speaks: on the title slide, and in the file's properties.",
    ),
    cloup.option(
        "--auto",
        is_flag=True,
        help="Go on after each beat, and begin again after the last: for a stand. Not for gslides "
        "and pdf.",
    ),
    cloup.option(
        "--minutes",
        type=float,
        callback=_minutes,
        metavar="N",
        help="Length of the talk, which the speaker's window of a web deck counts down.",
    ),
    cloup.option(
        "--films-beside",
        is_flag=True,
        help="Write the films of a web deck to a folder beside it; better for long decks.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File to write.  [default: decks/SCENE.html, SCENE.pdf or SCENE.KIND.pptx; the names "
        "of several scenes, of chosen beats, and of a theme or aspect that you choose, are added]",
    ),
)
@cloup.option_group(
    "A talk",
    cloup.option(
        "--remote",
        is_flag=True,
        help="Then serve the web deck until Ctrl-C: your telephone goes from step to step and "
        "shows your notes, and the audience votes on questions. Without --network, only this "
        "machine can reach it.",
    ),
    cloup.option(
        "--network",
        is_flag=True,
        help="With --remote: let telephones of the same network in. Only in a network that you "
        "trust: nothing is encrypted (plain http).",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option(DEFAULT_QUALITY),
    ASPECT,
    MASTER,
    BACKGROUND,
    FPS,
    VOICE,
    *RESOURCES,
    PRINTING,
)
def deck(
    *,
    scenes: tuple[SceneEntry, ...],
    all_scenes: bool,
    kind: str,
    beats: tuple[str, ...],
    title: str,
    author: str,
    auto: bool,
    minutes: float | None,
    films_beside: bool,
    remote: bool,
    network: bool,
    out: Path | None,
    **options: Any,
) -> None:
    """Make a deck for a talk: each step plays one beat and stops at its last picture.

    Beats that were already rendered in the same quality are reused. Slides have speaker
    notes, and every picture has an alt text.
    """
    require_scenes(scenes, all_scenes=all_scenes)
    if films_beside and kind != "web":
        raise click.UsageError("--films-beside is for web decks: leave it out, or use --for web")
    if options["master"] and kind == "pdf":
        raise click.UsageError("a pdf deck has no films: leave out --master")
    if auto and kind not in GOES_ON:
        raise click.UsageError(
            f"a {kind} deck cannot go on by itself: leave out --auto, or use "
            f"--for {' or '.join(GOES_ON)}"
        )
    if minutes is not None and kind != "web":
        raise click.UsageError(
            "--minutes is for web decks, which have a speaker's window: leave it out, or use "
            "--for web"
        )
    if network and not remote:
        raise click.UsageError("--network is for a deck that is served: add --remote")
    if remote and kind != "web":
        raise click.UsageError("--remote is for web decks: leave it out, or use --for web")
    suffix = SUFFIXES[kind]
    more = named_choices(options["theme"], options["aspect"], options["language"])
    name = deck_name(["film"] if all_scenes else [entry.slug for entry in scenes], beats, more)
    target = out or Path("decks") / file_name(name, kind)
    if target.suffix != suffix:
        raise click.BadParameter(
            f"name a file for the {kind} deck that ends in {suffix}", param_hint="--out"
        )
    if suffix == ".pptx" and find_spec("pptx") is None:
        raise click.ClickException(_PPTX_MISSING)
    addresses = _addresses(network) if remote else []

    def action(request: RenderRequest) -> bool:
        from filmkit.decks.make import make_deck

        serve = None
        if remote:
            from filmkit.decks.remote import serve_talk

            serve = partial(serve_talk, addresses=addresses, quiet=request.quiet)
        plan = DeckOptions(beats, title, author, auto, minutes)
        return make_deck(request, kind, target, plan, films_beside=films_beside, serve=serve)

    run(
        action,
        scenes=scenes,
        all_scenes=all_scenes,
        runs_scenes=not remote,
        out=target.parent,
        **options,
    )


@cloup.command(context_settings=CONTEXT_SETTINGS)
@cloup.option_group(
    "What to make",
    cloup.option(
        "--code",
        "code_url",
        metavar="URL",
        callback=_link,
        help="Address where the code is published, for links such as "
        "URL/scenes/mla/scene_mla.py.  [default: the files on this machine]",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=Path("gallery"),
        show_default=True,
        help="Folder for index.html, the films and their posters.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option(DEFAULT_QUALITY),
    ASPECT,
    MASTER,
    BACKGROUND,
    VOICE,
    *RESOURCES,
    PRINTING,
)
def gallery(*, code_url: str | None, **options: Any) -> None:
    """Make a web page of all scenes: film, poster, chapters, length, tensors and code.

    The folder works from disk and on any web server.
    """

    def action(request: RenderRequest) -> bool:
        from filmkit.decks.gallery import make_gallery

        if code_url is None and not request.quiet:
            echo(_CODE_HERE, err=True)
        return make_gallery(request, code_url)

    run(action, all_scenes=True, **options)
