"""The command ``render.py worksheet``.

Nothing here loads Manim, so that ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from filmkit.commands.options import (
    ALL_SCENES,
    CONTEXT_SETTINGS,
    PRINTING,
    WHAT_TO_SHOW,
    quality_option,
    run,
    scenes_named,
)
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import THEMES
from filmkit.decks import deck_name
from filmkit.render.choice import named_choices
from filmkit.render.quality import DEFAULT_ASPECT, DEFAULT_QUALITY

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["worksheet"]

PAPERS = {"a4": "a4", "letter": "us-letter"}  # with the names that Typst has for them
PRINT = "print"  # the theme, unless another one is chosen


@cloup.command(context_settings=CONTEXT_SETTINGS | {"default_map": {"theme": PRINT}})
@cloup.argument(
    "scenes", nargs=-1, metavar="[SCENE...]", callback=lambda ctx, param, names: scenes_named(names)
)
@cloup.option_group(
    "What to make",
    ALL_SCENES,
    cloup.option(
        "--paper",
        type=click.Choice(list(PAPERS)),
        default=next(iter(PAPERS)),
        show_default=True,
        help="Size of the paper.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File to write.  [default: worksheets/exercises.pdf, SCENE.pdf or all.pdf; a theme, "
        "language or paper that you choose is added]",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group("How to make it", quality_option(DEFAULT_QUALITY), PRINTING)
def worksheet(
    *,
    scenes: tuple[SceneEntry, ...],
    all_scenes: bool,
    paper: str,
    out: Path | None,
    **options: Any,
) -> None:
    """Make a worksheet for a lesson, a PDF to print.

    Without a scene: a dot product, a softmax and a weighted mix to do by hand, in small numbers of
    the trace, and their solutions. With scenes: their questions, with the pictures before
    each, and their answers. With --all: all of these. Solutions come last.
    """
    if scenes and all_scenes:
        raise click.UsageError("name scenes or give --all, not both")
    # What is so by default is not named: here that is another theme than in films.
    more = [options["theme"]] if options["theme"] != PRINT else []
    more += named_choices(THEMES[0], DEFAULT_ASPECT, options["language"])
    more += [paper] if paper != next(iter(PAPERS)) else []
    slugs = [entry.slug for entry in scenes] or ["all" if all_scenes else "exercises"]
    target = out or Path("worksheets") / f"{deck_name(slugs, more=more)}.pdf"
    if target.suffix != ".pdf":
        raise click.BadParameter("name a file that ends in .pdf", param_hint="--out")

    exercises = not scenes

    def action(request: RenderRequest) -> bool:
        from filmkit.decks.worksheet import make_worksheet

        return make_worksheet(request, target, PAPERS[paper], exercises=exercises)

    run(
        action,
        scenes=scenes,
        all_scenes=all_scenes,
        runs_scenes=True,
        out=target.parent,
        **options,
    )
