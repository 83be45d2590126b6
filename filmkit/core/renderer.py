"""A renderer for Manim that passes every picture to a function instead of a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Mobject, Scene
from manim.renderer.cairo_renderer import CairoRenderer

from filmkit.core.beat_records import frames_before
from filmkit.core.camera import StageCamera
from filmkit.core.display import display_key
from filmkit.core.errors import SceneCodeError

__all__ = ["LONGEST_PIECE", "FilmRenderer", "FrameReceiver"]

LONGEST_PIECE = 3600.0
"""How long a piece may last, in seconds; a longer one is a mistake."""

Pixels = npt.NDArray[np.uint8]
FrameReceiver = Callable[[Pixels, int], None]
"""Called with a picture, (height, width, 4) uint8, and the number of frames that show it."""


def _require_finite_times(animations: Iterable[Animation]) -> None:
    """Refuse animations that take, or wait for, no finite time, also inside of others."""
    for animation in animations:
        for name in ("run_time", "lag_ratio"):
            if not math.isfinite(number := getattr(animation, name)):
                raise SceneCodeError(
                    f"{name} of {type(animation).__name__} is {number}; make it a finite number"
                )
        _require_finite_times(getattr(animation, "animations", ()))


class FilmRenderer(CairoRenderer):
    """A Cairo renderer that writes no files and keeps exact time.

    Manim rounds the length of every animation up to whole frames, so that a film gets longer with
    each of them, by an amount that depends on the frame rate. Here frame ``i`` of a piece (a beat,
    say) shows the scene ``i / frame_rate`` seconds after the start of the piece, and the time is
    the sum of the durations: the same at every quality, and without drawing.

    Parameters
    ----------
    camera_class
        Class of the camera.

    Attributes
    ----------
    receiver
        Called with each picture and the number of frames that it is shown for. Without one
        nothing is drawn. It may be replaced between animations.
    seen
        Takes a key of what is drawn in each frame, whether or not there is a receiver; see
        :mod:`filmkit.core.display`. Without both the scene runs as fast as it can.
    piece_time
        Seconds from the start of the piece.
    only
        Numbers of the frames to draw, counted from the start of the piece; None for all.
    """

    def __init__(self, camera_class: type[StageCamera]) -> None:
        super().__init__(camera_class=camera_class, skip_animations=True)
        self.receiver: FrameReceiver | None = None
        self.seen: blake2b | None = None
        self.piece_time: float = 0.0
        self._before: float = 0.0
        self.only: Container[int] | None = None

    @property
    def time(self) -> float:
        """Seconds from the start of the scene."""
        return self._before + self.piece_time

    @time.setter
    def time(self, seconds: float) -> None:
        self._before, self.piece_time = seconds, 0.0

    def begin_piece(self) -> None:
        """Let the next frame be the first one of a piece.

        Its clock starts at 0, so that its frames are the same, bit by bit, whatever came before.
        """
        self.time = self._before + self.piece_time

    def play(self, scene: Scene, *args: Any, **kwargs: Any) -> None:
        scene.compile_animation_data(*args, **kwargs)
        _require_finite_times(scene.animations)
        scene.begin_animations()
        start, rate = self.piece_time, self.camera.frame_rate
        # A scene may compute a duration with NumPy. Keys are made of how times are written, and a
        # time that was stored and read back is Python's.
        end = start + float(scene.duration)
        if not end <= LONGEST_PIECE:
            raise SceneCodeError(
                f"with this it lasts {end:,.0f} seconds; make it {LONGEST_PIECE:,.0f} at most"
            )
        frames = [
            i
            for i in range(frames_before(start, rate), frames_before(end, rate))
            if self.only is None or i in self.only
        ]
        if (self.receiver is None and self.seen is None) or (self.only is not None and not frames):
            scene.update_to_time(scene.duration)
        elif scene.is_current_animation_frozen_frame():
            if frames:
                self._show(scene.mobjects, len(frames))
        else:
            self._play_frames(scene, [i / rate - start for i in frames])
        for animation in scene.animations:
            animation.finish()
            animation.clean_up_from_scene(scene)
        scene.update_mobjects(0)
        self.piece_time = end
        self.num_plays += 1

    def _play_frames(self, scene: Scene, times: list[float]) -> None:
        # Mobjects that do not move are drawn once, as a background for the others.
        still = None
        if times and scene.static_mobjects:
            still = self._show(scene.static_mobjects)
        for time in times:
            scene.update_to_time(max(time, 0))
            self._show(scene.moving_mobjects, 1, still)

    def _show(
        self, mobjects: Iterable[Mobject], frames: int = 0, background: Pixels | None = None
    ) -> Pixels | None:
        """Draw a picture that some frames show, or note what would be drawn; return it if drawn."""
        parts = self.camera.drawing_order(mobjects)
        if self.seen is not None:
            self.seen.update(frames.to_bytes(4) + display_key(self.camera, parts))
        if self.receiver is None:
            return None
        picture: Pixels = self.camera.picture(parts, background)
        if frames:
            self.receiver(picture, frames)
        return picture
