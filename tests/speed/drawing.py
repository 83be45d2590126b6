"""What each part of making a frame takes: drawing, by part, conversion of colours, and x264.

A few of the frames are drawn, ten seconds apart for one second each, in this process alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import Any
from unittest.mock import patch

import av
from manim import Scene

from extract.trace import Trace
from filmkit.core import renderer
from filmkit.core.camera import StageCamera
from filmkit.core.light import LitCamera
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import manim_config
from filmkit.render.movie import MP4, Pixels
from filmkit.render.quality import Quality
from tests.support.checkout import SHIPPED

__all__ = ["frame_times"]

EVERY = 10  # seconds

MEASURED = {
    "light": (LitCamera, "ground"),
    "outlines and text": (StageCamera, "_draw_outline"),
    "bodies": (StageCamera, "_draw_body"),
    "heatmaps": (StageCamera, "_paste"),
    "rest of drawing": (StageCamera, "picture"),
    "keys of pictures": (renderer, "display_key"),
    "animations": (Scene, "update_to_time"),
}
CONVERSION, ENCODER = "conversion of colours", "x264"


def frame_times(scene: type[Stage], quality: Quality) -> dict[str, float]:
    """Draw a sample of a scene's frames; return the milliseconds that one takes, by part."""
    clock = _Clock()
    encoder = av.CodecContext.create(MP4.codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = quality.width, quality.height, MP4.pixel_format
    encoder.time_base = Fraction(1, quality.frame_rate)
    encoder.options = MP4.options
    drawn = 0

    def receive(picture: Pixels, repeat: int) -> None:
        nonlocal drawn
        with clock.of(CONVERSION):
            frame = MP4.to_frame(picture)
        for _ in range(min(repeat, quality.frame_rate)):
            frame.pts, drawn = drawn, drawn + 1
            with clock.of(ENCODER):
                encoder.encode(frame)

    @contextmanager
    def receiver_of_beat(_beat: str, _tail: bool) -> Generator[FrameReceiver]:
        yield receive

    with ExitStack() as stack:
        for part, (owner, name) in MEASURED.items():
            stack.enter_context(patch.object(owner, name, clock.timed(getattr(owner, name), part)))
        stack.enter_context(manim_config(quality))
        stage = scene(Trace.load(SHIPPED), StageSettings(), receiver_of_beat=receiver_of_beat)
        stage.renderer.only = _Sample(quality.frame_rate)
        stage.render()
    return {part: 1000 * seconds / drawn for part, seconds in sorted(clock.seconds.items())}


class _Sample:
    """Numbers of the frames of a piece that are drawn: those of its first second, and so on."""

    def __init__(self, frame_rate: int) -> None:
        self._frame_rate = frame_rate

    def __contains__(self, frame: int) -> bool:
        return frame // self._frame_rate % EVERY == 0


class _Clock:
    """The time of this thread, by what it is spent on; what light draws is light's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def of(self, part: str) -> Generator[None]:
        if "light" in self._open:
            yield
            return
        self._switch()
        self._open.append(part)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def _switch(self) -> None:
        """Give the time since the last switch to what is being done now."""
        now = time.thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def measured(*arguments: Any, **options: Any) -> Any:
            with self.of(part):
                return function(*arguments, **options)

        return measured
