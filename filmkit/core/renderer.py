"""Plays a scene's animations and hands every picture to whoever wants it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Camera, Mobject, Scene
from manim.renderer.cairo_renderer import CairoRenderer

__all__ = ["FilmRenderer", "FrameSink", "frames_before"]

Pixels = npt.NDArray[np.uint8]
FrameSink = Callable[[Pixels, int], None]


def frames_before(time: float, frame_rate: float) -> int:
    """How many frames are shown before a time."""
    # A frame that falls on a boundary belongs to what begins there; sums of durations miss it by
    # rounding errors that stay far below this.
    return math.ceil(time * frame_rate - 1e-6)


class FilmRenderer(CairoRenderer):
    """A Cairo renderer without files, whose clock is exact.

    Manim rounds every animation up to whole frames, so that a film grows longer with each of
    them, by an amount that depends on the frame rate. Here frame ``i`` shows the scene at time
    ``i / frame_rate``, and the clock is the sum of the durations: the same at every quality and
    without drawing.

    Parameters
    ----------
    camera_class
        Makes the camera.
    sink
        Called with each picture, (height, width, 4), and for how many frames it stands still.
        Without one nothing is drawn and the scene runs through in no time. It may be exchanged
        between animations.
    """

    def __init__(self, camera_class: type[Camera], sink: FrameSink | None = None) -> None:
        super().__init__(camera_class=camera_class, skip_animations=sink is None)
        self.sink = sink
        self.time: float = 0.0

    def play(self, scene: Scene, *args: Any, **kwargs: Any) -> None:
        scene.compile_animation_data(*args, **kwargs)
        scene.begin_animations()
        start, end = self.time, self.time + scene.duration
        rate = self.camera.frame_rate
        frames = range(frames_before(start, rate), frames_before(end, rate))
        if self.sink is None:
            scene.update_to_time(scene.duration)
        elif scene.is_current_animation_frozen_frame():
            if frames:
                self.sink(self._draw(scene.mobjects), len(frames))
        else:
            self._play_frames(scene, self.sink, [i / rate - start for i in frames])
        for animation in scene.animations:
            animation.finish()
            animation.clean_up_from_scene(scene)
        scene.update_mobjects(0)
        self.time = end
        self.num_plays += 1

    def _play_frames(self, scene: Scene, sink: FrameSink, times: list[float]) -> None:
        # What stands still is drawn once and kept as a picture below the rest.
        still = self._draw(scene.static_mobjects) if scene.static_mobjects else None
        for time in times:
            scene.update_to_time(max(time, 0))
            sink(self._draw(scene.moving_mobjects, still), 1)

    def _draw(self, mobjects: Iterable[Mobject], background: Pixels | None = None) -> Pixels:
        if background is None:
            self.camera.reset()
        else:
            self.camera.set_frame_to_background(background)
        self.camera.capture_mobjects(mobjects)
        picture: Pixels = self.camera.pixel_array.copy()
        return picture
