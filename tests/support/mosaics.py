"""A stage that shows pictures made from mosaics, one after another, and keeps what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from extract.trace import Trace
from filmkit import Label, Matrix, Norm, Stage, beat
from filmkit.core.norm import TensorSource
from filmkit.core.picture_map import picture_map
from filmkit.core.stage_settings import StageSettings
from filmkit.render.manim_config import changed_config
from filmkit.render.quality import frame_size
from filmkit.words.alt import alt_text
from tests.support.traces import make_trace

__all__ = ["SIZES", "Act", "Acting", "perform", "shows"]

SIZES = {"16:9": (320, 180), "9:16": (180, 320)}
"""Width and height of pictures, in pixels."""

Act = Callable[[Stage], None]


class Acting(Stage):
    """A stage that does one thing after another.

    Attributes
    ----------
    acts
        What it does.
    played
        How often something was played by each act.
    pictures
        What there was to see after each of them.
    document, alt
        The map of the last picture, and what is said of it.
    """

    acts: tuple[Act, ...] = ()

    def prepare(self) -> None:
        self.part("note", lambda: Label("a note"))
        self.part("missing", None)
        values = np.linspace(0, 1, 9)[:, None]
        mine = Matrix(values, Norm(0, 1, "viridis"), TensorSource(), "token", "share", name="mine")
        self.part("mine", mine)
        self.calls = 0
        self.played: list[int] = []
        self.pictures: list[np.ndarray] = []

    def play(self, *animations: Any, **options: Any) -> None:
        self.calls += 1
        super().play(*animations, **options)

    @beat
    def only(self) -> None:
        """It plays."""
        for act in self.acts:
            before = self.calls
            act(self)
            self.played.append(self.calls - before)
            self.pictures.append(self.snapshot()[..., :3].astype(int))
        self.document = picture_map(self.mobjects, self.camera, self.mosaic_on_screen())
        self.alt = alt_text(self.document)
        self.wait(0.1)


def perform(
    *acts: Act,
    aspect: str = "16:9",
    trace: Trace | None = None,
    base: type[Acting] = Acting,
    **settings: Any,
) -> Acting:
    """Return a stage after it has done something.

    Parameters
    ----------
    *acts
        What it does.
    aspect
        Shape of its frame, of :data:`SIZES`.
    trace
        What it shows; a small one by default.
    base
        The class of the stage.
    **settings
        Fields of :class:`~filmkit.core.stage_settings.StageSettings`.
    """
    width, height = SIZES[aspect]
    across, down = frame_size(width, height)
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    size = {"pixel_width": width, "pixel_height": height}
    with changed_config(quiet | size | {"frame_width": across, "frame_height": down}):
        chosen = StageSettings(calm=True, **settings)
        stage = type("Made", (base,), {"acts": acts})(trace or make_trace(), chosen)
        stage.render()
    return stage


def shows(mosaic: str, **options: Any) -> Act:
    """Return what shows a picture."""
    return lambda stage: stage.show(mosaic, **options)
