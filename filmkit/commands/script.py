"""The command ``render.py script``: the narration of scenes with its times and speeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup.constraints import mutually_exclusive

from filmkit.commands.options import (
    ALL_SCENES,
    CONTEXT_SETTINGS,
    PRINTING,
    VOICE,
    WHAT_TO_SHOW,
    require_scenes,
    run,
    scenes_named,
)

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["script"]

TABLES = {"csv": ",", "tsv": "\t"}  # kinds of table, and what separates their columns


@cloup.command(no_args_is_help=True, context_settings=CONTEXT_SETTINGS)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...")
@cloup.option_group(
    "What to write",
    ALL_SCENES,
    cloup.option(
        "--json", "as_json", is_flag=True, help="Write JSON for other programs, with the captions."
    ),
    cloup.option(
        "--table",
        "table",
        type=click.Choice(list(TABLES)),
        help="Write a table for a translator, with a column for the other language, separated by "
        "commas or tabs; --language fills it with what is translated already.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="File to write, instead of the terminal.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group("How to make it", VOICE, PRINTING)
@cloup.constraint(mutually_exclusive, ["as_json", "table"])
def script(
    *,
    scenes: tuple[str, ...],
    all_scenes: bool,
    as_json: bool,
    table: str | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Write the narration of scenes, with the times and speed of each beat, as Markdown.

    Speeds are in words per minute, for speakers, and in characters per second, for readers of
    captions; a caption should have at most 17. With --voice, times and speeds are those of the
    voice.
    """
    require_scenes(scenes, all_scenes=all_scenes)

    def action(request: RenderRequest) -> bool:
        from filmkit.render.listing import write_script

        return write_script(request, out, as_json=as_json, separator=TABLES.get(table or ""))

    run(action, scenes=scenes_named(scenes), all_scenes=all_scenes, **options)
