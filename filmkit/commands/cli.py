"""The command line of ``render.py``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import cloup
from click.core import ParameterSource
from cloup.constraints import If, mutually_exclusive, require_all

from filmkit.commands.catalogue import catalogue
from filmkit.commands.deck import deck, gallery
from filmkit.commands.doctor import doctor
from filmkit.commands.new import new
from filmkit.commands.options import (
    ASPECT,
    BACKGROUND,
    DEFAULT_OUT,
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
from filmkit.commands.script import script
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache, default_folder, default_limit
from filmkit.render.formats import (
    CAPTION_TRACK_FORMATS,
    CAPTIONS,
    DEFAULT_CAPTIONS,
    DEFAULT_FORMAT,
    FORMATS,
    TRANSPARENT_FORMATS,
)
from filmkit.render.interrupts import be_stoppable
from filmkit.render.quality import DEFAULT_QUALITY, DRAFT, QUALITIES, quality_of
from scenes.registry import POSTERS, SCENES, THUMBNAIL

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["COMMANDS", "EXIT_CODES", "main"]

FILM = "film"

# What a shell reports of a program that was stopped by Ctrl-C.
INTERRUPTED = 130

EXIT_CODES = {
    0: "all is well",
    1: "something failed; what else was asked for is made",
    2: "a wrong call; nothing is made",
    INTERRUPTED: "stopped by Ctrl-C or a signal; what was unfinished is removed",
}
"""What the program ends with."""

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
        "  python render.py --all --preview         (a sheet of beats for each scene)",
        "  python render.py poster                  (see poster --help)",
        "  python render.py film                    (all scenes in one, with chapters)",
        "  python render.py deck scene_mla          (for a talk; see deck --help)",
        "  python render.py script --all            (what is said, and when)",
        "  python render.py cache --clear           (see cache --help)",
        "  python render.py doctor                  (what is wrong on this machine)",
        "",
        "\b",
        "Exit codes:",
        *(f"  {code:<5} {meaning}" for code, meaning in EXIT_CODES.items()),
    ]
)


def _known_scenes(
    ctx: click.Context, param: click.Parameter, names: tuple[str, ...]
) -> tuple[SceneEntry, ...]:
    ctx.meta[FILM] = names == (FILM,)
    if ctx.meta[FILM]:
        return SCENES
    for name in names:
        if name == FILM or name in COMMANDS:
            raise click.UsageError(f"'{name}' is a command of its own: render.py {name} --help")
    return scenes_named(names)


@cloup.command(
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings=SETTINGS,
)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...", callback=_known_scenes)
@cloup.option_group(
    "What to make",
    EVERY,
    cloup.option("--list", "listing", is_flag=True, help="Describe the scenes and make nothing."),
    cloup.option("--json", "as_json", is_flag=True, help="The list as JSON."),
    cloup.option(
        "--still",
        metavar="BEAT|all",
        help="Pictures of how a beat ends, or all of them, instead of a film.",
    ),
    cloup.option(
        "--beat", metavar="BEAT", default="all", help="Film this beat alone.", show_default=True
    ),
    cloup.option(
        "--preview",
        is_flag=True,
        help="One sheet of how all beats end, instead of a film; draft quality by default.",
    ),
    cloup.option(
        "--watch",
        "watching",
        is_flag=True,
        help="Keep film and sheet current, at draft quality by default, while code or trace are "
        "edited, until Ctrl-C; with --preview the sheet alone.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option(DEFAULT_QUALITY),
    ASPECT,
    cloup.option(
        "--format",
        "form",
        type=click.Choice(list(FORMATS)),
        default=DEFAULT_FORMAT,
        show_default=True,
        help="; ".join(f"{name}: {what}" for name, what in FORMATS.items()) + ".",
    ),
    cloup.option(
        "--captions",
        type=click.Choice(list(CAPTIONS)),
        default=DEFAULT_CAPTIONS,
        show_default=True,
        help="Of films; " + "; ".join(f"{name}: {where}" for name, where in CAPTIONS.items()) + ".",
    ),
    cloup.option("--transparent", is_flag=True, help="Leave the background out."),
    BACKGROUND,
    FPS,
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=DEFAULT_OUT,
        show_default=True,
        help="Folder for DIR/SCENE.mp4, DIR/SCENE/NN_BEAT.png or DIR/SCENE.preview.png.",
    ),
    *RESOURCES,
    QUIET,
    VERBOSE,
)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@cloup.constraint(mutually_exclusive, ["jobs", "cluster"])
@cloup.constraint(mutually_exclusive, ["listing", "still", "preview"])
@cloup.constraint(mutually_exclusive, ["transparent", "preview"])
@cloup.constraint(mutually_exclusive, ["transparent", "watching"])
@cloup.constraint(mutually_exclusive, ["listing", "still", "watching"])
@cloup.constraint(mutually_exclusive, ["transparent", "background"])
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
    preview: bool,
    watching: bool,
    quality: str,
    aspect: str,
    fps: int | None,
    **options: Any,
) -> None:
    """Render scenes of the film to videos.

    Every number on screen comes from a trace: what a real language model computed for one
    prompt.
    """
    if scenes and every:
        raise click.UsageError("name scenes or say --all, not both")
    if options["transparent"] and not still and options["form"] not in TRANSPARENT_FORMATS:
        raise click.UsageError(
            f"an {options['form']} cannot be transparent; "
            f"--format {', '.join(TRANSPARENT_FORMATS)} can"
        )
    if options["captions"] == "mux" and options["form"] not in CAPTION_TRACK_FORMATS:
        raise click.UsageError(
            f"a {options['form']} has no room for a track of captions; "
            f"--format {', '.join(CAPTION_TRACK_FORMATS)} has, and --captions burn needs none"
        )
    if still and options["captions"] in ("mux", "burn"):
        raise click.UsageError(
            "stills have no captions: leave --captions out; their maps hold an alt text"
        )
    if not (scenes or every or listing):
        raise click.UsageError("name a scene, or say --all or --list")

    def work(request: RenderRequest) -> bool:
        if listing:
            from filmkit.render.listing import list_scenes

            return list_scenes(request, as_json=as_json)
        if watching:
            from filmkit.render.watch import watch

            return watch(request, films=not preview)
        if preview:
            from filmkit.render.preview import make_previews

            return make_previews(request)
        from filmkit.render.jobs import make_films, make_stills

        return make_stills(request, still) if still else make_films(request)

    if ctx.meta[FILM] and (listing or still or preview or watching or options["beat"] != "all"):
        raise click.UsageError(f"{FILM} joins whole scenes; name a scene instead")
    if preview and options["beat"] != "all":
        raise click.UsageError("a preview shows all beats; --still BEAT draws one")
    said = ctx.get_parameter_source("quality") is ParameterSource.COMMANDLINE
    if (preview or watching) and not said:
        quality = DRAFT
    size = quality_of(quality, aspect, fps)
    run(ctx, work, scenes=scenes or SCENES, quality=size, joined=ctx.meta[FILM], **options)


@cloup.command(context_settings=SETTINGS)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option("4k"),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=Path("posters"),
        show_default=True,
        help="Folder for the pictures.",
    ),
    QUIET,
    VERBOSE,
)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@click.pass_context
def poster(ctx: click.Context, /, *, quality: str, **options: Any) -> None:
    """Make posters for print: MHA, GQA, MQA and MLA, seen by one camera.

    They are alike but for where keys and values live. The four also stand on one sheet, to be
    printed as large as A2. The thumbnail is always 1280 x 720.
    """
    size = QUALITIES[quality]

    def work(request: RenderRequest) -> bool:
        from filmkit.render.jobs import make_posters

        return make_posters(request, THUMBNAIL)

    run(ctx, work, scenes=POSTERS, quality=size, **options)


@cloup.command()
@cloup.option(
    "--cache",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Another folder than the default one.",
)
@cloup.option("--clear", is_flag=True, help="Remove all that is kept.")
@cloup.option("--json", "as_json", is_flag=True, help="For programs to read, in bytes.")
def cache(folder: Path | None, clear: bool, as_json: bool) -> None:
    """Show how much rendered material is kept, and where.

    The environment variables ATTENTION_FILM_CACHE and ATTENTION_FILM_CACHE_GB set the folder and
    its limit.
    """
    kept = Cache(folder or default_folder(), default_limit())
    if clear:
        kept.clear()
    sizes = kept.sizes().values()
    if as_json:
        told = {"folder": str(kept.folder), "files": len(sizes), "bytes": sum(sizes)}
        click.echo(json.dumps(told | {"limit": kept.limit}, indent=2, ensure_ascii=False))
        return
    used, limit = (size / 1e9 for size in (sum(sizes), kept.limit))
    click.echo(f"{kept.folder}: {len(sizes)} files, {used:.2f} of at most {limit:.2f} GB")


COMMANDS: dict[str, click.Command] = {
    "cache": cache,
    "catalogue": catalogue,
    "deck": deck,
    "doctor": doctor,
    "gallery": gallery,
    "new": new,
    "poster": poster,
    "script": script,
}
"""What the first word of a call may be instead of a scene."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see EXIT_CODES.

    Parameters
    ----------
    arguments
        Instead of the program's own.
    """
    be_stoppable()
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        if given and given[0] in COMMANDS:
            name, *given = given
            command, program = COMMANDS[name], f"render.py {name}"
        else:
            command, program = render, "render.py"
        sys.exit(command.main(given, prog_name=program, standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted: what was unfinished is removed", err=True)
        sys.exit(INTERRUPTED)
