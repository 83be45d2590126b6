"""Read which numbers and which mosaic a frame of a scene shows, whichever frame it is."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image

from extract.trace import Trace
from filmkit.core.picture_map import picture_map
from filmkit.core.renderer import FrameReceiver, Pixels
from filmkit.core.stage import Stage, StageError
from filmkit.decks.cells import ArrayStore, panels_of
from filmkit.render.errors import explain
from filmkit.render.processes import stopping_with_parent
from filmkit.render.request import RenderRequest
from filmkit.render.runner import manim_config

__all__ = ["answer_questions", "read_frame"]

KEPT_FRAMES = 64  # answers that are kept, for as long as nothing is edited


def read_frame(
    stage: type[Stage],
    trace: Trace,
    request: RenderRequest,
    beat: str,
    frame: int,
    *,
    picture: bool = False,
) -> dict[str, Any]:
    """Run a scene up to one frame, and return what its heatmaps show.

    Parameters
    ----------
    stage
        The scene's class.
    trace, request
        What is drawn, and how.
    beat
        Name of the beat.
    frame
        Number of the frame in the beat, from 0.
    picture
        Whether the picture itself is wanted too.

    Returns
    -------
    dict
        ``panels`` and ``arrays`` as a web deck has them (:mod:`filmkit.decks.cells`); ``mosaic`` as
        in :mod:`filmkit.core.picture_map`; and ``picture``, the address of a PNG that holds its
        data, or None.

    Raises
    ------
    StageError
        When the scene has no such frame.
    Exception
        Any error of the scene's code.
    """
    found: dict[str, Any] = {}

    @contextmanager
    def receiver_of_beat(name: str, tail: bool) -> Iterator[FrameReceiver | None]:
        running.renderer.only = {frame}
        yield take if name == beat else None

    def take(pixels: Pixels, repeat: int) -> None:
        arrays = ArrayStore()
        document = picture_map(
            running.mobjects, running.camera, running.mosaic_on_screen(), values=True
        )
        found["panels"] = panels_of(document, trace, arrays)
        found["arrays"] = arrays.encoded()
        found["mosaic"] = document["mosaic"]
        found["picture"] = _data_uri(pixels) if picture else None
        raise EndSceneEarlyException

    running = stage(trace, request.settings, receiver_of_beat=receiver_of_beat)
    running.render()
    if not found:
        raise StageError(f"there is no frame {frame} in beat {beat}")
    return found


def _data_uri(pixels: Pixels) -> str:
    buffer = BytesIO()
    Image.fromarray(pixels[..., :3]).save(buffer, format="png", compress_level=1)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def answer_questions(request: RenderRequest, trace: Trace, connection: Connection) -> None:
    """Answer which numbers frames show, until the other end of a connection is closed.

    A question is JSON: {"beat": name, "frame": number, "picture": true or false}. The answer has
    the same beat and frame, and what :func:`read_frame` returns or, where that fails, the
    ``error`` in one line; and the ``milliseconds`` that it took.

    Parameters
    ----------
    request, trace
        The scene, and how it is drawn.
    connection
        Takes questions and answers.
    """
    (entry,) = request.scenes
    with (
        suppress(EOFError, KeyboardInterrupt),
        stopping_with_parent(),
        manim_config(request.quality, verbosity=request.verbosity),
    ):
        try:
            # Once, so that what is edited meanwhile does not mix with what is drawn.
            stage = entry.load()
        except Exception:  # an edit has broken it just now, which the next process will tell
            return
        read = lru_cache(KEPT_FRAMES)(partial(read_frame, stage, trace, request))
        while True:
            question = json.loads(connection.recv_bytes())
            asked = question["beat"], question["frame"]
            start = time.perf_counter()
            try:
                answer = read(*asked, picture=question["picture"])
            except Exception as error:
                answer = {"error": explain(error, verbose=None)}
            answer = answer | {"kind": "frame", "beat": asked[0], "frame": asked[1]}
            answer["milliseconds"] = round(1000 * (time.perf_counter() - start))
            connection.send_bytes(json.dumps(answer).encode())
