"""The command ``render.py studio``.

Nothing here loads Manim, so that ``--help`` answers at once.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
import cloup

from extract.support.assets import installing
from filmkit.commands.options import (
    ASPECT,
    BACKGROUND,
    CONTEXT_SETTINGS,
    FPS,
    LOCAL_RESOURCES,
    VERBOSE,
    WHAT_TO_SHOW,
    run,
    scenes_named,
)
from filmkit.core.scene_entry import SceneEntry
from scenes.registry import SCENES

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["studio"]

LIBRARIES = ("starlette", "uvicorn", "websockets")


def _scene(ctx: click.Context, param: click.Parameter, name: str | None) -> tuple[SceneEntry, ...]:
    return scenes_named([name] if name is not None else [])


@cloup.command(context_settings=CONTEXT_SETTINGS)
@cloup.argument("scenes", required=False, metavar="[SCENE|PATH.py]", callback=_scene)
@cloup.option_group(
    "The page",
    cloup.option(
        "--no-browser",
        "browser",
        flag_value=False,
        default=True,
        help="Print the address of the page, and open no browser.",
    ),
)
@WHAT_TO_SHOW
@cloup.option_group(
    "How to make it",
    ASPECT,
    BACKGROUND,
    FPS,
    *LOCAL_RESOURCES,
    VERBOSE,
)
def studio(*, browser: bool, aspect: str, **options: Any) -> None:
    """Open a page that shows a scene while you edit it, until Ctrl-C.

    The page has the beats, the film at draft quality with a slider to any frame, the narration,
    and the value of the cell under the pointer. When you save code or the trace, what the edit
    touches is drawn again; a mistake is shown with its file and line. Without a SCENE, you choose
    one on the page. Only your own browser can open it: the address holds a secret.
    """
    if any(find_spec(library) is None for library in LIBRARIES):
        raise click.ClickException(
            f"the studio needs Starlette and uvicorn: {installing('studio')}"
        )

    def action(request: RenderRequest) -> bool:
        from filmkit.studio.server import serve

        return serve(request, SCENES, aspect=aspect, browser=browser)

    run(action, aspect=aspect, **options)
