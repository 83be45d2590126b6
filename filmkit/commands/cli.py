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

from extract.errors import ExtractError
from extract.support.kept import clear_kept, kept_sizes, models_folder
from extract.support.plain_text import error_line, escaped_json
from extract.support.printing import echo
from filmkit.commands import INTERRUPTED
from filmkit.commands.check import check
from filmkit.commands.cue import cue
from filmkit.commands.deck import deck, gallery
from filmkit.commands.doctor import doctor
from filmkit.commands.explore import explore
from filmkit.commands.new import new
from filmkit.commands.options import (
    ALL_SCENES,
    ASPECT,
    BACKGROUND,
    CONTEXT_SETTINGS,
    DEFAULT_OUT,
    FPS,
    MASTER,
    PRINTING,
    PROGRAM,
    RESOURCES,
    VOICE,
    WHAT_TO_SHOW,
    Folder,
    quality_option,
    run,
    scenes_named,
    whole_story,
)
from filmkit.commands.script import script
from filmkit.commands.studio import studio
from filmkit.commands.worksheet import worksheet
from filmkit.core.project import page_of_docs
from filmkit.core.scene_entry import SceneEntry, one_after_another
from filmkit.render.cache import Cache, cache_folder, default_folder, default_limit
from filmkit.render.formats import (
    CAPTIONS,
    DEFAULT_CAPTIONS,
    DEFAULT_FORMAT,
    DEFAULT_STILL,
    FILMS,
    FORMATS,
    STILLS,
    names_of,
)
from filmkit.render.quality import DEFAULT_QUALITY, DRAFT
from scenes.registry import POSTERS, SCENES, SHORT, THUMBNAIL

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["COMMANDS", "EXIT_CODES", "main"]

FILM = "film"

EXIT_CODES = {
    0: "success",
    1: "something failed; everything else that you asked for was made",
    2: "wrong usage; nothing was made",
    INTERRUPTED: "stopped by Ctrl-C or a signal; unfinished files were removed",
}
"""Exit codes of the program, with their meanings."""

EPILOG = "\n".join(
    [
        "\b",
        "Scenes:",
        *(f"  {entry.slug:20} {entry.title}" for entry in SCENES),
        "",
        "\b",
        "Commands, each with its own --help:",
        "  film        all scenes in one film, with chapters",
        "  deck        slides for a talk",
        "  script      the narration, with times",
        "  worksheet   a PDF for a lesson: exercises to do by hand, and questions",
        "  gallery     a web page of all scenes",
        "  explore     a web page on which readers try attention by hand",
        "  poster      four kinds of attention side by side, for print",
        "  cue         when each beat begins in your recording of a scene",
        "  new         a scene of your own, to start from",
        "  studio      a page that shows a scene while you edit it",
        "  check       whether a scene can be read: sizes, contrast, overlaps, speed",
        "  cache       what is kept of films and models, where, and how to remove it",
        "  doctor      whether this machine has what it needs",
        "",
        "\b",
        "Examples:",
        f"  {PROGRAM} scene_attention --quality draft",
        f"  {PROGRAM} scene_attention --trace mine.safetensors --layer 3 --head 1",
        f"  {PROGRAM} --all --still all --out pictures",
        f"  {PROGRAM} scene_mla --voice FOLDER   (with your recordings)",
        f"  {PROGRAM} film --short               (the story in a minute and a half)",
        f"  {PROGRAM} deck scene_mla",
        "",
        "\b",
        "Exit codes:",
        *(f"  {code:<5} {meaning}" for code, meaning in EXIT_CODES.items()),
        "",
        "\b",
        "More to read:",
        f"  {page_of_docs('index.md')}",
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
            raise click.UsageError(f"'{name}' is a command of its own: see {PROGRAM} {name} --help")
    return scenes_named(names)


def _beat_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("name a beat, or give all; --list shows the beats of each scene")
    return value


@cloup.command(
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings=CONTEXT_SETTINGS,
)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...", callback=_known_scenes)
@cloup.option_group(
    "What to make",
    ALL_SCENES,
    cloup.option(
        "--list",
        "list_only",
        is_flag=True,
        help="List scenes with title, length, size of the film, beats and tensors; render nothing.",
    ),
    cloup.option("--json", "as_json", is_flag=True, help="With --list: print it as JSON."),
    cloup.option(
        "--still",
        callback=_beat_name,
        metavar="BEAT|all",
        help="Write the last picture of one beat, or of all, instead of a film.",
    ),
    cloup.option(
        "--beat",
        callback=_beat_name,
        metavar="BEAT",
        default="all",
        help="Film only this beat.",
        show_default=True,
    ),
    cloup.option(
        "--short",
        is_flag=True,
        help=f"With {FILM}: the story in a minute and a half.",
    ),
    cloup.option(
        "--preview",
        is_flag=True,
        help="Write a contact sheet with the last picture of every beat, instead of a film. Draft "
        "quality by default.",
    ),
    cloup.option(
        "--watch",
        "watch_edits",
        is_flag=True,
        help="Keep the film and the contact sheet up to date while you edit code or trace; with "
        f"--preview, only the sheet. Ctrl-C ends it, with exit code {INTERRUPTED}. Draft quality "
        "by default.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option(DEFAULT_QUALITY),
    ASPECT,
    cloup.option(
        "--format",
        "file_format",
        type=click.Choice(list(FORMATS)),
        help="File format. "
        + "; ".join(f"{name}: {output.description}" for name, output in FORMATS.items())
        + f". --still takes {', '.join(STILLS)}.  [default: {DEFAULT_FORMAT}, or {DEFAULT_STILL} "
        "with --still]",
    ),
    cloup.option(
        "--captions",
        type=click.Choice(list(CAPTIONS)),
        default=DEFAULT_CAPTIONS,
        show_default=True,
        help="Captions of films. "
        + "; ".join(f"{name}: {where}" for name, where in CAPTIONS.items())
        + ".",
    ),
    MASTER,
    cloup.option("--transparent", is_flag=True, help="Leave out the background."),
    cloup.option(
        "--calm",
        is_flag=True,
        help="Let pictures stand still while they are talked about, instead of drifting slowly.",
    ),
    BACKGROUND,
    FPS,
    VOICE,
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=DEFAULT_OUT,
        show_default=True,
        help="Output folder, for DIR/SCENE.mp4, DIR/SCENE/NN_BEAT.png or DIR/SCENE.preview.png.",
    ),
    *RESOURCES,
    PRINTING,
)
@cloup.constraint(mutually_exclusive, ["jobs", "cluster"])
@cloup.constraint(mutually_exclusive, ["cluster", "still"])
@cloup.constraint(mutually_exclusive, ["cluster", "preview"])
@cloup.constraint(mutually_exclusive, ["cluster", "watch_edits"])
@cloup.constraint(mutually_exclusive, ["list_only", "still", "preview"])
@cloup.constraint(mutually_exclusive, ["master", "preview"])
@cloup.constraint(mutually_exclusive, ["transparent", "preview"])
@cloup.constraint(mutually_exclusive, ["transparent", "watch_edits"])
@cloup.constraint(mutually_exclusive, ["list_only", "still", "watch_edits"])
@cloup.constraint(mutually_exclusive, ["transparent", "background"])
@cloup.constraint(mutually_exclusive, ["voice", "still"])
@cloup.constraint(mutually_exclusive, ["voice", "preview"])
@cloup.constraint(mutually_exclusive, ["voice", "watch_edits"])
@cloup.constraint(If("as_json", then=require_all), ["list_only"])
@click.pass_context
def render(
    ctx: click.Context,
    /,
    *,
    scenes: tuple[SceneEntry, ...],
    all_scenes: bool,
    list_only: bool,
    as_json: bool,
    still: str | None,
    preview: bool,
    watch_edits: bool,
    short: bool,
    file_format: str | None,
    **options: Any,
) -> None:
    """Make a film of how attention works in a language model, scene by scene.

    A scene is a sequence of beats: short steps, each with its own narration. The numbers on screen
    come from a trace, a file that holds what a real language model computed for one prompt, or
    from published sources.
    """
    if scenes and all_scenes:
        raise click.UsageError("name scenes or give --all, not both")
    if preview and file_format not in (None, "png"):
        raise click.UsageError("a preview is a PNG: leave out --format")
    known, default = (STILLS, DEFAULT_STILL) if still else (FILMS, DEFAULT_FORMAT)
    file_format = file_format or default
    if file_format not in known:
        raise click.UsageError(
            f"--still writes pictures; choose from --format {', '.join(STILLS)}"
            if still
            else f"{file_format} is for pictures; add --still BEAT"
        )
    options["still_format" if still else "file_format"] = file_format
    if options["transparent"] and not FORMATS[file_format].transparent:
        raise click.UsageError(
            f"an {file_format} cannot be transparent; "
            f"choose from --format {', '.join(names_of('transparent'))}"
        )
    if options["master"] and not FORMATS[file_format].master_encoding:
        raise click.UsageError(
            f"--master is for {', '.join(names_of('master_encoding'))}: leave it out"
        )
    if options["captions"] == "mux" and not (still or FORMATS[file_format].caption_codec):
        raise click.UsageError(
            f"a {file_format} cannot hold a caption track; "
            f"choose from --format {', '.join(names_of('caption_codec'))}, or --captions burn"
        )
    if still and options["captions"] in ("mux", "burn"):
        raise click.UsageError(
            "stills have no captions: leave out --captions; the .json file beside each still "
            "has an alt text"
        )
    if not (scenes or all_scenes or list_only):
        raise click.UsageError("name a scene, or give --all or --list")

    def action(request: RenderRequest) -> bool:
        if list_only:
            from filmkit.render.listing import list_scenes

            return list_scenes(request, as_json=as_json)
        if watch_edits:
            from filmkit.render.watch import watch

            return watch(request, films=not preview)
        if preview:
            from filmkit.render.preview import make_previews

            return make_previews(request)
        from filmkit.render.forks import load_kit

        load_kit()
        from filmkit.render.jobs import make_films, make_stills

        return make_stills(request, still) if still else make_films(request)

    if ctx.meta[FILM] and (
        list_only or still or preview or watch_edits or options["beat"] != "all"
    ):
        raise click.UsageError(
            f"{FILM} joins whole scenes; to use this option, name a scene instead"
        )
    if preview and options["beat"] != "all":
        raise click.UsageError("a preview shows all beats; --still BEAT draws one")
    quality_given = ctx.get_parameter_source("quality") is ParameterSource.COMMANDLINE
    if (preview or watch_edits) and not quality_given:
        options["quality"] = DRAFT
    if short and not ctx.meta[FILM]:
        raise click.UsageError(
            f"--short belongs to the film of all scenes: {PROGRAM} {FILM} --short"
        )
    if ctx.meta[FILM]:
        by_name = {entry.slug: entry for entry in SCENES}
        story = whole_story(options["compare"])
        parts = (
            [(by_name[name], beats) for name, beats in SHORT]
            if short
            else [(entry, ()) for entry in story]
        )
        film = one_after_another(parts)
        options |= {"joined": True, "selection": film if short else {}}
        options["questions"] &= not short  # it shows answers alone
        scenes = tuple(film)
    run(
        action,
        scenes=scenes,
        all_scenes=ctx.meta[FILM] or not scenes,
        runs_scenes=bool(still),
        **options,
    )


@cloup.command(context_settings=CONTEXT_SETTINGS)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    quality_option("4k"),
    cloup.option(
        "--format",
        "still_format",
        type=click.Choice(list(STILLS)),
        default=DEFAULT_STILL,
        show_default=True,
        help="File format.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=Path("posters"),
        show_default=True,
        help="Folder for the pictures.",
    ),
    PRINTING,
)
def poster(**options: Any) -> None:
    """Draw posters for print: four kinds of attention, MHA, GQA, MQA and MLA, from one camera.

    They differ only in what is kept of each token: keys and values for every head, for groups of
    heads, for all heads together, or one latent. A sheet with all four, which can be printed as
    large as A2, and a thumbnail of 1280 x 720 are drawn too.
    """

    def action(request: RenderRequest) -> bool:
        from filmkit.render.jobs import make_posters

        return make_posters(request, THUMBNAIL)

    run(action, scenes=POSTERS, runs_scenes=True, **options)


@cloup.command(context_settings=CONTEXT_SETTINGS)
@cloup.option(
    "--cache",
    "folder",
    type=Folder(),
    metavar="DIR",
    help="Cache folder of rendered beats to look at, instead of the default ones.",
)
@cloup.option("--clear", is_flag=True, help="Remove all that is kept.")
@cloup.option(
    "--json", "as_json", is_flag=True, help="Print JSON for other programs, with sizes in bytes."
)
def cache(folder: Path | None, clear: bool, as_json: bool) -> None:
    """Show where rendered beats are kept and what extractions keep of models, and how large it is.

    The environment variables ATTENTION_FILM_CACHE and ATTENTION_FILM_CACHE_GB set the folder and
    its maximum size.
    """
    store = Cache(cache_folder(folder) if folder else default_folder(), default_limit())
    if clear:
        store.clear()
        if folder is None:
            try:
                clear_kept()
            except ExtractError as error:
                raise click.ClickException(str(error)) from None
    sizes, models = store.sizes().values(), {} if folder else kept_sizes()
    if as_json:
        report = {"folder": str(store.folder), "files": len(sizes), "bytes": sum(sizes)}
        report |= {"limit": store.limit}
        report["models"] = {str(path): size for path, size in models.items()}
        echo(escaped_json(json.dumps(report, indent=2, ensure_ascii=False)))
        return
    used, limit, kept = (size / 1e9 for size in (sum(sizes), store.limit, sum(models.values())))
    echo(f"{store.folder}: {len(sizes)} files, {used:.2f} of at most {limit:.2f} GB")
    if folder is None:
        echo(f"{models_folder()}: {kept:.2f} GB of models, which extractions made")


COMMANDS: dict[str, click.Command] = {
    "check": check,
    "cache": cache,
    "cue": cue,
    "deck": deck,
    "doctor": doctor,
    "explore": explore,
    "worksheet": worksheet,
    "gallery": gallery,
    "new": new,
    "poster": poster,
    "script": script,
    "studio": studio,
}
"""Commands by name: what the first argument may be instead of a scene."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see EXIT_CODES.

    Parameters
    ----------
    arguments
        Command line arguments; those of the program if None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _require_current_folder()
        if words and words[0] in COMMANDS:
            name, *words = words
            command, program = COMMANDS[name], f"{PROGRAM} {name}"
        else:
            command, program = render, PROGRAM
        sys.exit(_run(command, words, program))
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        echo(f"Error: {error_line(error.format_message())}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        echo("Interrupted: unfinished files were removed", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        # Only from what is not run by options.run: commands that need no trace, and --help.
        from filmkit.render.errors import explain

        echo(f"Error: {explain(error, verbose=None)}", err=True)
        sys.exit(1)


def _run(command: click.Command, words: Sequence[str], program: str) -> int:
    """Run a command, and return its exit code."""
    try:
        return int(command.main(words, prog_name=program, standalone_mode=False) or 0)
    except SystemExit:
        # Click ends so when nobody reads its help to the end, which is no fault.
        return 0


def _require_current_folder() -> None:
    try:
        Path.cwd()
    except OSError:
        raise click.ClickException(
            "the current folder does not exist any more: change to another one"
        ) from None
