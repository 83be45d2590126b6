"""The script of scenes, with its timings: ``render.py script SCENE...``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup.constraints import mutually_exclusive

from filmkit.commands.options import (
    EVERY,
    QUIET,
    SETTINGS,
    VERBOSE,
    WHAT_TO_SHOW,
    run,
    scenes_named,
)
from filmkit.render.quality import DRAFT, QUALITIES
from scenes.registry import SCENES

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["script"]


@cloup.command(no_args_is_help=True, context_settings=SETTINGS)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...")
@cloup.option_group(
    "What to write",
    EVERY,
    cloup.option("--json", "as_json", is_flag=True, help="With captions, for programs to read."),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A file instead of the terminal.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group("How to make it", QUIET, VERBOSE)
@cloup.constraint(mutually_exclusive, ["quiet", "verbose"])
@click.pass_context
def script(
    ctx: click.Context,
    /,
    *,
    scenes: tuple[str, ...],
    every: bool,
    as_json: bool,
    out: Path | None,
    **options: Any,
) -> None:
    """Write what is said in scenes, when, and how fast, as Markdown.

    Speeds are in words a minute, for those who speak, and in characters a second, for those who
    read captions: 17 is the most.
    """
    if bool(scenes) == every:
        raise click.UsageError("name scenes or say --all")

    def work(request: RenderRequest) -> bool:
        from filmkit.render.listing import write_script

        return write_script(request, out, as_json=as_json)

    run(
        ctx,
        work,
        scenes=SCENES if every else scenes_named(scenes),
        quality=QUALITIES[DRAFT],
        out=Path(),
        **options,
    )
