"""Options that several commands share, and the function that runs a command.

Nothing here loads Manim, so that ``--help`` answers at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NoReturn

import click
import cloup
from cloup.constraints import mutually_exclusive

from extract.support.assets import installing
from extract.support.files import sweep
from extract.support.printing import echo
from filmkit.commands.scene_files import find_scene, names_a_file
from filmkit.core.fonts import lacks_fonts
from filmkit.core.language import (
    DEFAULT_LANGUAGE,
    Language,
    catalogue_folder,
    known_languages,
    use_language,
)
from filmkit.core.project import NAME, page_of_docs
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.cache import FOLDER_VARIABLE
from filmkit.render.choice import choose
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, DRAFT, QUALITIES, quality_of
from scenes.registry import FORMER_NAMES, SCENES

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest
    from filmkit.voice.clips import Voice

__all__ = [
    "ALL_SCENES",
    "ASPECT",
    "BACKGROUND",
    "CONTEXT_SETTINGS",
    "DEFAULT_OUT",
    "FPS",
    "LOCAL_RESOURCES",
    "MASTER",
    "PRINTING",
    "PROGRAM",
    "RESOURCES",
    "VERBOSE",
    "VOICE",
    "WHAT_TO_SHOW",
    "Folder",
    "quality_option",
    "require_language",
    "require_scenes",
    "run",
    "scenes_named",
    "whole_story",
]


def whole_story(compare: Path | None) -> tuple[SceneEntry, ...]:
    """Return all scenes in the order of the story.

    Those that compare two traces are left out, with a note, if there is no second one.
    """
    scenes = SCENES
    if compare is None:
        scenes = tuple(entry for entry in SCENES if not entry.compares)
        for entry in SCENES:
            if entry not in scenes:
                echo(f"{entry.slug} is left out: it compares two traces (--compare FILE)", err=True)
    return scenes


def scenes_named(names: Iterable[str]) -> tuple[SceneEntry, ...]:
    """Return the scenes with these names, without repetitions.

    Parameters
    ----------
    names
        Names of the project's scenes, or files of others; see :func:`find_scene`. For a name that
        a scene once had, a line says which one shows it now.

    Raises
    ------
    click.BadParameter
        When a name is not that of a scene, or two of them would write the same files.
    """
    known = {entry.slug: entry for entry in SCENES}
    found: dict[str, SceneEntry] = {}
    for name in dict.fromkeys(names):
        if name in FORMER_NAMES:
            echo(f"{name}: {FORMER_NAMES[name]} shows it now", err=True)
        own = names_a_file(name)
        now = FORMER_NAMES.get(name, name)
        entry = find_scene(name) if own else known[choose(now, known, "scene", "SCENE")]
        if found.setdefault(entry.slug, entry) != entry:
            raise click.BadParameter(
                f"two of these scenes are called {entry.slug}; rename a file", param_hint="SCENE"
            )
    return tuple(found.values())


def require_scenes(scenes: Collection[str | SceneEntry], *, all_scenes: bool) -> None:
    """Check that either scenes are named or all are asked for."""
    if bool(scenes) == all_scenes:
        raise click.UsageError("name scenes or give --all" + (", not both" if all_scenes else ""))


class Folder(click.Path):
    """A folder on the command line; an empty name does not stand for the current one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("is empty; name a folder", param, ctx)
        return super().convert(value, param, ctx)


def written_as(pattern: str, what: str, form: str) -> Callable[..., str | None]:
    """Return the callback of an option whose text must match a pattern, and else says how."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise click.BadParameter(f"'{value}' is not {what}; write it as {form}")
        return value

    return check


def require_language(code: str, scenes: Iterable[SceneEntry]) -> None:
    """Check that some scenes, or the kit, are translated into a language that fonts here can show.

    Raises
    ------
    click.ClickException
        If they are not, or it needs fonts.
    """
    known = known_languages(*(catalogue_folder(entry.source_file) for entry in scenes))
    if code not in known or not _is_language(code):
        main_code = Language(code).main_code
        hint = f"did you mean {main_code}?"
        if main_code not in known:
            page = page_of_docs("translating.md")
            hint = f"there are {', '.join(known)}; {page} tells how to add one"
        raise click.BadParameter(f"there is no language '{code}'; {hint}", param_hint="--language")
    if lacks_fonts([Language(code).name] if code != DEFAULT_LANGUAGE else []):
        raise click.ClickException(f"--language {code} needs fonts: {installing('cjk')}")


def _is_language(code: str) -> bool:
    """Whether Babel knows a code; anything may be the name of a file."""
    from babel.core import UnknownLocaleError  # English alone does not need the time to load it

    try:
        return code == DEFAULT_LANGUAGE or bool(Language(code).locale)
    except (ValueError, UnknownLocaleError):
        return False


def _voice(ctx: click.Context, param: click.Parameter, value: str | None) -> Voice | None:
    if value is None:
        return None
    # Loaded here: it takes a moment, and few commands need it.
    from filmkit.voice.choice import chosen_voice
    from filmkit.voice.errors import VoiceError

    try:
        return chosen_voice(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    except VoiceError as error:
        raise click.ClickException(str(error)) from error


# What the user types: the command of an installed project, or the script of a checkout.
PROGRAM = NAME if Path(sys.argv[0]).stem == NAME else "python render.py"

DEFAULT_OUT = Path("videos")

CONTEXT_SETTINGS = cloup.Context.settings(
    help_option_names=["-h", "--help"],
    align_option_groups=True,
    formatter_settings=cloup.HelpFormatter.settings(width=88, max_width=88),
)
THEME_OPTIONS = (
    cloup.option(
        "--theme",
        type=click.Choice(THEMES),
        default=THEMES[0],
        show_default=True,
        help="Colours of text, lines and background.",
    ),
    cloup.option(
        "--palette",
        type=click.Choice(PALETTES),
        default=PALETTES[0],
        show_default=True,
        help="Colours of the heatmaps. roles: each tensor has the colour of its name, and zero "
        "that of the background; film: viridis for all; signed: maps that tell negative numbers "
        "from positive ones.",
    ),
)
WHAT_TO_SHOW = cloup.option_group(
    "What to show",
    cloup.option(
        "--trace",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Trace to draw: a file that python -m extract writes.  [default: your GPT-2 trace if "
        "you made one, else the trace that comes with the project]",
    ),
    cloup.option(
        "--compare",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Second trace, for scenes that compare two.",
    ),
    cloup.option(
        "--layer",
        type=click.IntRange(min=0),
        metavar="N",
        help="Layer to show, counted from 0, instead of the one that was chosen for the trace.",
    ),
    cloup.option(
        "--head",
        type=click.IntRange(min=0),
        metavar="N",
        help="Head to show, counted from 0, instead of the one that was chosen for the trace.",
    ),
    cloup.option(
        "--show-first-token",
        is_flag=True,
        help="Draw the beginning-of-sequence token too; by default it is hidden.",
    ),
    *THEME_OPTIONS,
    cloup.option(
        "--language",
        metavar="CODE",
        callback=lambda ctx, param, value: value.replace("-", "_"),
        default=DEFAULT_LANGUAGE,
        show_default=True,
        help=f"Language of words, narration and captions: {', '.join(known_languages())}; "
        f"{page_of_docs('translating.md')} shows how to add one.",
    ),
    cloup.option(
        "--no-questions",
        "questions",
        flag_value=False,
        default=True,
        help="Ask no questions: leave out the steps that wait for an answer.",
    ),
)
ALL_SCENES = cloup.option(
    "--all", "all_scenes", is_flag=True, help="All scenes, in the order of the story."
)
VERBOSE = cloup.option(
    "--verbose", is_flag=True, help="Print Manim's messages too, and a traceback of each error."
)
PRINTING = mutually_exclusive(
    cloup.option("--quiet", is_flag=True, help="Print nothing but errors."), VERBOSE
)


def quality_option(default: str) -> Any:
    """Return the option for size and frame rate, with a command's own default."""
    return cloup.option(
        "--quality",
        type=click.Choice(list(QUALITIES)),
        default=default,
        show_default=True,
        help="Size and frame rate: "
        + "; ".join(f"{name} is {quality}" for name, quality in QUALITIES.items())
        + ".",
    )


ASPECT = cloup.option(
    "--aspect",
    type=click.Choice(list(ASPECTS)),
    default=DEFAULT_ASPECT,
    show_default=True,
    help="Aspect ratio of the picture.",
)

MASTER = cloup.option(
    "--master",
    is_flag=True,
    help="Make mp4 films to be cut and encoded again: finer, and several times as large.",
)

BACKGROUND = cloup.option(
    "--background",
    metavar="#RRGGBB",
    callback=written_as("#[0-9a-fA-F]{6}", "a colour", "#RRGGBB"),
    help="Background colour, instead of the theme's.",
)

VOICE = cloup.option(
    "--voice",
    callback=_voice,
    metavar="WHAT",
    help="Who speaks the narration: a folder of recordings (NN_BEAT.wav); one recording with a cue "
    "sheet, which the command cue makes; piper or piper:VOICE.onnx, a program that speaks; or "
    "another such program, as 'program {text} {out}'. The film keeps pace with the voice.",
)

FPS = cloup.option(
    "--fps",
    type=click.IntRange(1, 240),
    metavar="N",
    help="Frames per second, instead of those of --quality.",
)

LOCAL_RESOURCES = (
    cloup.option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of processes that draw.  [default: one per core]",
    ),
    cloup.option(
        "--cache",
        type=Folder(),
        metavar="DIR",
        help="Cache folder for rendered beats, so that only what changed is rendered again.  "
        f"[default: ${FOLDER_VARIABLE} or the user's cache folder]",
    ),
    cloup.option(
        "--no-cache",
        "keep_cache",
        flag_value=False,
        default=True,
        help="Render everything again, and store nothing in the cache.",
    ),
)
RESOURCES = (
    *LOCAL_RESOURCES,
    cloup.option(
        "--cluster",
        metavar="tcp://HOST:PORT|tls://...",
        callback=written_as(
            r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d+",
            "the address of a scheduler",
            "tcp://HOST:PORT or tls://HOST:PORT",
        ),
        help="Address of a Dask scheduler whose workers draw, instead of this machine.",
    ),
)


def _require_language_of_voice(request: RenderRequest) -> None:
    """Refuse a voice that speaks another language than that of the request."""
    spoken, language = request.voice and request.voice.language, Language(request.settings.language)
    if spoken and spoken != language.main_code:
        raise click.BadParameter(
            f"it speaks {Language(spoken).english_name}, the film {language.english_name}: take "
            f"another voice, --voice piper:VOICE.onnx ({page_of_docs('voice.md')} names some)",
            param_hint="--voice",
        )


def run(
    action: Callable[[RenderRequest], bool],
    *,
    verbose: bool,
    scenes: Sequence[SceneEntry] = (),
    all_scenes: bool = False,
    runs_scenes: bool = False,
    quality: str = DRAFT,
    aspect: str = DEFAULT_ASPECT,
    fps: int | None = None,
    **options: Any,
) -> NoReturn:
    """Run a command's action and exit: with 0 if everything succeeded, else with 1.

    Parameters
    ----------
    action
        Takes the request and returns whether everything succeeded. It imports what it needs when
        it is called, so that ``--help`` and usage errors do not wait a second for Manim.
    scenes
        The scenes; those of :func:`whole_story` if all are asked for and none is given.
    all_scenes
        Whether the scenes are not named one by one: then those that cannot show the trace are left
        out, with a note.
    runs_scenes
        Whether the action itself runs scenes, which may end its process.
    quality, aspect, fps
        As for :func:`quality_of`.
    verbose, **options
        Further fields of the request and of its settings.

    Raises
    ------
    click.ClickException
        When the action fails; the message is one line for the user.
    """
    from filmkit.render.errors import explain
    from filmkit.render.forks import going_on_in_fork
    from filmkit.render.processes import say_why_threads_end
    from filmkit.render.request import RenderRequest

    say_why_threads_end(verbose=verbose)
    try:
        gettempdir()
    except OSError:
        raise click.ClickException(
            "there is no folder for temporary files: set TMPDIR to one that can be written"
        ) from None
    if all_scenes and not scenes:
        scenes = whole_story(options["compare"])
    size = quality_of(quality, aspect, fps)
    try:
        request = RenderRequest.chosen(
            scenes=tuple(scenes), quality=size, verbose=verbose, **options
        )
        require_language(request.settings.language, request.scenes)
        _require_language_of_voice(request)
        sweep(request.out)
        with use_language(request.settings.language):
            if all_scenes:
                from filmkit.render.rehearsals import with_fitting_scenes

                request = with_fitting_scenes(request)
            with going_on_in_fork() if runs_scenes else nullcontext():
                succeeded = action(request)
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        raise click.ClickException(explain(error, verbose=verbose)) from error
    raise click.exceptions.Exit(0 if succeeded else 1)
