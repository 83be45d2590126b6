"""The command ``render.py explore``.

Nothing here loads Manim, so that ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from filmkit.commands.options import (
    CONTEXT_SETTINGS,
    PRINTING,
    WHAT_TO_SHOW,
    run,
)

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["explore"]


@cloup.command(context_settings=CONTEXT_SETTINGS)
@cloup.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("explore"),
    show_default=True,
    help="Folder for index.html and what it loads.",
)
@WHAT_TO_SHOW
@PRINTING
def explore(**options: Any) -> None:
    """Make a web page that tells the story with pictures to try by hand.

    The browser computes what they show from the numbers of the trace. The folder works from disk
    and on any web server, offline; docs/explore.md says more.
    """

    def action(request: RenderRequest) -> bool:
        from filmkit.explore.page import write_explore

        return write_explore(request)

    run(action, all_scenes=True, **options)
