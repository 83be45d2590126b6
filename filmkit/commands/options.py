"""Options that several commands take, and how a command does its work.

It loads at once: nothing here needs Manim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import cloup

from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.cache import FOLDER_VARIABLE
from filmkit.render.choice import choose
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, QUALITIES
from scenes.registry import SCENES

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = [
    "ASPECT",
    "BACKGROUND",
    "DEFAULT_OUT",
    "EVERY",
    "FPS",
    "QUIET",
    "RESOURCES",
    "SETTINGS",
    "VERBOSE",
    "WHAT_TO_SHOW",
    "quality_option",
    "run",
    "scenes_named",
]


def scenes_named(names: Iterable[str]) -> tuple[SceneEntry, ...]:
    """The scenes of some names, each once.

    Raises
    ------
    click.BadParameter
        When there is no such scene.
    """
    entries = {entry.slug: entry for entry in SCENES}
    return tuple(entries[choose(name, entries, "scene", "SCENE")] for name in dict.fromkeys(names))


def _colour(ctx: click.Context, param: click.Parameter, said: str | None) -> str | None:
    if said is not None and not re.fullmatch("#[0-9a-fA-F]{6}", said):
        raise click.BadParameter(f"'{said}' is no colour; write it as #RRGGBB")
    return said


def _address(ctx: click.Context, param: click.Parameter, said: str | None) -> str | None:
    if said is not None and not re.fullmatch(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d+", said):
        raise click.BadParameter(f"'{said}' is no scheduler; write it as tcp://HOST:PORT")
    return said


DEFAULT_OUT = Path("videos")

SETTINGS = cloup.Context.settings(
    help_option_names=["-h", "--help"],
    align_option_groups=True,
    formatter_settings=cloup.HelpFormatter.settings(width=88, max_width=88),
)
LOOKS = (
    cloup.option(
        "--theme",
        type=click.Choice(THEMES),
        default=THEMES[0],
        show_default=True,
        help="Colours of words, lines and background.",
    ),
    cloup.option(
        "--palette",
        type=click.Choice(PALETTES),
        default=PALETTES[0],
        show_default=True,
        help="Colour maps of the heatmaps.",
    ),
)
WHAT_TO_SHOW = cloup.option_group(
    "What to show",
    cloup.option(
        "--trace",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The numbers to draw (see python -m extract); your GPT-2 trace or the one "
        "that comes with the project by default.",
    ),
    cloup.option(
        "--compare",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A second trace, for scenes that compare two.",
    ),
    cloup.option(
        "--layer", type=click.IntRange(min=0), metavar="N", help="Another layer than the featured."
    ),
    cloup.option(
        "--head", type=click.IntRange(min=0), metavar="N", help="Another head than the featured."
    ),
    cloup.option(
        "--show-first-token",
        is_flag=True,
        help="Draw the beginning-of-sequence token, which is hidden otherwise.",
    ),
    *LOOKS,
)
EVERY = cloup.option("--all", "every", is_flag=True, help="Every scene, in the order of the story.")
QUIET = cloup.option("--quiet", is_flag=True, help="Say nothing but errors.")
VERBOSE = cloup.option("--verbose", is_flag=True, help="Say more; show where errors come from.")


def quality_option(default: str) -> Any:
    """The option of size and frame rate, with the default that suits a command."""
    return cloup.option(
        "--quality",
        type=click.Choice(list(QUALITIES)),
        default=default,
        show_default=True,
        help="; ".join(f"{name} is {quality}" for name, quality in QUALITIES.items()) + ".",
    )


ASPECT = cloup.option(
    "--aspect",
    type=click.Choice(list(ASPECTS)),
    default=DEFAULT_ASPECT,
    show_default=True,
    help="Shape of the picture.",
)

BACKGROUND = cloup.option(
    "--background", metavar="#RRGGBB", callback=_colour, help="Colour of the background."
)

FPS = cloup.option(
    "--fps", type=click.IntRange(1, 240), metavar="N", help="Another number of frames a second."
)

RESOURCES = (
    cloup.option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processes that draw.  [default: one for each core]",
    ),
    cloup.option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        callback=_address,
        help="A Dask scheduler whose workers draw instead.",
    ),
    cloup.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder that keeps rendered beats, so that only what changed is rendered again.  "
        f"[default: ${FOLDER_VARIABLE} or the user's cache folder]",
    ),
    cloup.option(
        "--no-cache", "keep_cache", flag_value=False, default=True, help="Keep and use nothing."
    ),
)


def run(
    ctx: click.Context,
    work: Callable[[RenderRequest], bool],
    *,
    verbose: bool,
    **options: Any,
) -> NoReturn:
    """Do what a command asks for, and exit.

    Parameters
    ----------
    ctx
        Of the command.
    work
        Takes the request and says whether all went well. It imports what it needs itself: Manim
        takes a second to load, which ``--help`` and a wrong call need not wait for.
    verbose, **options
        What the request holds.
    """
    from filmkit.render.errors import explain
    from filmkit.render.request import RenderRequest

    try:
        all_well = work(RenderRequest(verbose=verbose, **options))
    except click.ClickException:
        raise
    except Exception as error:
        raise click.ClickException(explain(error, verbose=verbose)) from error
    ctx.exit(0 if all_well else 1)
