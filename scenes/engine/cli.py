"""The command line of ``render.py``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import cloup
from cloup.constraints import If, mutually_exclusive, require_all

from scenes import SCENES, SceneEntry
from scenes.engine.choice import choose
from scenes.engine.quality import DEFAULT_QUALITY, QUALITIES

__all__ = ["RESERVED", "main"]

RESERVED = ("film", "poster", "deck", "cache", "script", "new", "gallery", "doctor")
"""Names of commands to come; no scene may be called so."""

# What a shell reports of a program that was stopped by Ctrl-C.
INTERRUPTED = 130

EPILOG = "\n".join(
    [
        "\b",
        "Scenes:",
        *(f"  {entry.slug:20} {entry.title}" for entry in SCENES),
        "",
        "\b",
        "Examples:",
        "  python render.py scene_attention --quality draft",
        "  python render.py scene_attention --trace mine.safetensors --layer 3 --head 1",
        "  python render.py --all --still all --out pictures",
    ]
)


def _known_scenes(
    ctx: click.Context, param: click.Parameter, names: tuple[str, ...]
) -> tuple[SceneEntry, ...]:
    entries = {entry.slug: entry for entry in SCENES}
    for name in names:
        if name in RESERVED:
            raise click.UsageError(f"'{name}' is reserved for a command that does not exist yet")
    return tuple(entries[choose(name, entries, "scene", "SCENE")] for name in dict.fromkeys(names))


@cloup.command(
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings=cloup.Context.settings(
        help_option_names=["-h", "--help"],
        align_option_groups=True,
        formatter_settings=cloup.HelpFormatter.settings(width=88, max_width=88),
    ),
)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...", callback=_known_scenes)
@cloup.option_group(
    "What to make",
    cloup.option("--all", "every", is_flag=True, help="Every scene, in the order of the story."),
    cloup.option("--list", "listing", is_flag=True, help="Describe the scenes and make nothing."),
    cloup.option("--json", "as_json", is_flag=True, help="The list as JSON."),
    cloup.option(
        "--still",
        metavar="BEAT|all",
        help="Pictures of how a beat ends, or all of them, instead of a film.",
    ),
)
@cloup.option_group(
    "What to show",
    cloup.option(
        "--trace",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The numbers to draw (see python -m extract); your GPT-2 trace or the one "
        "that comes with the project by default.",
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
)
@cloup.option_group(
    "How to make it",
    cloup.option(
        "--quality",
        type=click.Choice(list(QUALITIES)),
        default=DEFAULT_QUALITY,
        show_default=True,
        help="; ".join(f"{name} is {quality}" for name, quality in QUALITIES.items()) + ".",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=Path("videos"),
        show_default=True,
        help="Folder for DIR/SCENE.mp4 or DIR/SCENE/NN_BEAT.png.",
    ),
    cloup.option("--quiet", is_flag=True, help="Say nothing but errors."),
    cloup.option("--verbose", is_flag=True, help="Say more; show where errors come from."),
)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@cloup.constraint(mutually_exclusive, ["listing", "still"])
@cloup.constraint(If("as_json", then=require_all), ["listing"])
@click.pass_context
def render(
    ctx: click.Context,
    /,
    *,
    scenes: tuple[SceneEntry, ...],
    every: bool,
    listing: bool,
    as_json: bool,
    still: str | None,
    quality: str,
    verbose: bool,
    **options: Any,
) -> None:
    """Render scenes of the film to videos.

    Every number on screen comes from a trace: what a real language model computed for one
    prompt.
    """
    if scenes and every:
        raise click.UsageError("name scenes or say --all, not both")
    if not (scenes or every or listing):
        raise click.UsageError("name a scene, or say --all or --list")

    # Manim takes a second to load, which --help and a wrong call need not wait for.
    from scenes.engine import jobs

    order = jobs.Order(
        scenes=scenes or SCENES, quality=QUALITIES[quality], verbose=verbose, **options
    )
    try:
        if listing:
            all_well = jobs.list_scenes(order, as_json=as_json)
        elif still:
            all_well = jobs.make_stills(order, still)
        else:
            all_well = jobs.make_films(order)
    except click.ClickException:
        raise
    except Exception as error:
        raise click.ClickException(jobs.explain(error, verbose=verbose)) from error
    ctx.exit(0 if all_well else 1)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when all is well, 1 for a failed job, 2 for a wrong call.

    Parameters
    ----------
    arguments
        Instead of the program's own.
    """
    # Being told to stop is like Ctrl-C: what is half written is removed on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(render.main(arguments, prog_name="render.py", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted: what was unfinished is removed", err=True)
        sys.exit(INTERRUPTED)
