"""The commands ``deck`` and ``gallery``; they load at once, as Manim does not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup.constraints import mutually_exclusive

from filmkit.commands.options import (
    ASPECT,
    BACKGROUND,
    EVERY,
    FPS,
    QUIET,
    RESOURCES,
    SETTINGS,
    VERBOSE,
    WHAT_TO_SHOW,
    quality_option,
    run,
    scenes_named,
)
from filmkit.core.scene_entry import SceneEntry
from filmkit.decks import DEFAULT_TARGET, SUFFIXES, TARGETS
from filmkit.render.quality import DEFAULT_QUALITY, quality_of
from scenes.registry import SCENES

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["deck", "gallery"]

_MISSING = "slides need python-pptx: pip install -e '.[decks]'"


@cloup.command(no_args_is_help=True, context_settings=SETTINGS)
@cloup.argument(
    "scenes", nargs=-1, metavar="SCENE...", callback=lambda ctx, param, said: scenes_named(said)
)
@cloup.option_group(
    "What to make",
    EVERY,
    cloup.option(
        "--for",
        "wanted",
        type=click.Choice(list(TARGETS)),
        default=DEFAULT_TARGET,
        show_default=True,
        help="; ".join(f"{name}: {what}" for name, what in TARGETS.items()) + ".",
    ),
    cloup.option(
        "--films-beside",
        "beside",
        is_flag=True,
        help="Keep the films of a web deck in a folder beside it, which suits long decks.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The deck.  [default: decks/SCENE.html, .pptx or .pdf]",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option(DEFAULT_QUALITY),
    ASPECT,
    BACKGROUND,
    FPS,
    *RESOURCES,
    QUIET,
    VERBOSE,
)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@click.pass_context
def deck(
    ctx: click.Context,
    /,
    *,
    scenes: tuple[SceneEntry, ...],
    every: bool,
    wanted: str,
    beside: bool,
    out: Path | None,
    quality: str,
    aspect: str,
    fps: int | None,
    **options: Any,
) -> None:
    """Make a deck for a talk: a beat for each step, which plays and holds its last picture.

    Beats that are already rendered in the same quality are used as they are. Slides come with
    notes for the speaker and with every picture in words.
    """
    if bool(scenes) == every:
        raise click.UsageError("name scenes or say --all" + (", not both" if every else ""))
    if beside and wanted != "web":
        raise click.UsageError("--films-beside is for web decks: leave it out, or say --for web")
    suffix = SUFFIXES[wanted]
    chosen = scenes or SCENES
    target = out or Path("decks") / f"{chosen[0].slug if len(chosen) == 1 else 'film'}{suffix}"
    if target.suffix != suffix:
        raise click.BadParameter(
            f"a deck for {wanted} is a file; name one that ends in {suffix}", param_hint="--out"
        )
    if suffix == ".pptx" and find_spec("pptx") is None:
        raise click.ClickException(_MISSING)

    def work(request: RenderRequest) -> bool:
        from filmkit.decks.make import make_deck

        return make_deck(request, wanted, target, beside=beside)

    size = quality_of(quality, aspect, fps)
    run(ctx, work, scenes=chosen, quality=size, out=target.parent, **options)


@cloup.command(context_settings=SETTINGS)
@cloup.option_group(
    "What to make",
    cloup.option(
        "--code",
        metavar="URL",
        help="Where the code is published, for links such as URL/scenes/scene_mla.py; to the files "
        "on this machine by default.",
    ),
    cloup.option(
        "--readme",
        is_flag=True,
        help="The pictures of the README instead, into assets/readme; those of a deck and of the "
        "gallery need a browser and Playwright.",
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
    BACKGROUND,
    *RESOURCES,
    QUIET,
    VERBOSE,
)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@click.pass_context
def gallery(
    ctx: click.Context,
    /,
    *,
    code: str | None,
    readme: bool,
    quality: str,
    aspect: str,
    **options: Any,
) -> None:
    """Make a page with every scene: film, poster, chapters, length, tensors and code.

    The folder can be opened from a disk or put on any server; nothing else is asked for.
    """

    def work(request: RenderRequest) -> bool:
        from filmkit.decks.gallery import make_gallery
        from filmkit.tools.readme import make_readme_pictures

        return make_readme_pictures(request) if readme else make_gallery(request, code)

    size = quality_of(quality, aspect)
    run(ctx, work, scenes=SCENES, quality=size, **options)
