"""Watching: the studio without its page. What changes is written into files, and printed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NoReturn

from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.render.cache import open_cache
from filmkit.render.choice import wanted_beats
from filmkit.render.edits import DRAWING, EditLoop
from filmkit.render.processes import DONE, ERROR
from filmkit.render.request import RenderRequest, for_each_scene, load_trace

__all__ = ["watch"]

ARTIST = "filmkit.render.outputs:update_outputs"


def watch(request: RenderRequest, *, films: bool) -> NoReturn:
    """Keep the contact sheets and films of a request up to date until Ctrl-C is pressed.

    Parameters
    ----------
    request
        The scenes, and how to render them.
    films
        Whether to make films, or contact sheets only.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, as every command that is stopped.
    """
    trace = load_trace(request)
    for_each_scene(
        request,
        request.scenes if request.beat != "all" else (),
        lambda entry: wanted_beats(entry, request.beat_names(entry, trace), request.beat, "--beat"),
    )
    written: list[str] = []

    def print_line(text: str) -> None:
        if not request.quiet:
            echo(text)

    def hear(message: dict[str, Any]) -> None:
        kind, seconds = message["kind"], f"({time.monotonic() - loop.started:.1f} s)"
        if kind == DRAWING:
            written.clear()
        elif kind == ERROR:
            scene = f"{message['scene']}: " if "scene" in message else ""
            for line in message["text"].splitlines():
                echo(f"Error: {scene}{line}", err=True)
        elif kind == DONE and not written:
            print_line(f"nothing has changed  {seconds}")
        elif kind == "written":
            written.append(message["path"])
            print_line(f"{message['path']}  {seconds}")

    with (
        temporary_folder() as folder,
        open_cache(request.cache, keep=request.keep_cache) as cache,
    ):
        # All processes share one cache, even if it is a temporary one.
        drawn = replace(request, cache=cache.folder, keep_cache=True, quiet=True)
        loop = EditLoop(drawn, ARTIST, (folder, films), hear)
        print_line("watching scenes, mobjects and the trace; Ctrl-C ends")
        loop.run()
    raise KeyboardInterrupt  # there is no other end
