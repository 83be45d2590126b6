"""Scenes for tests of the render engine: one that renders fast, and some that fail."""

from __future__ import annotations

from threading import current_thread, main_thread

import numpy as np
from manim import BLUE, DL, UR, Circle, FadeIn, Line, Square

from filmkit.core.camera import Shot
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.text import Label


def entry(slug: str, cls: str) -> SceneEntry:
    """Return the registry entry of a scene in this module."""
    return SceneEntry(slug, f"Stand-in {slug}", __name__, cls)


class Shapes(Stage):
    """Has beats whose own animations are not a whole number of frames long at any quality."""

    title = "Shapes"
    tensors = ("x", "q")

    def prepare(self) -> None:
        self.square = Square(color=BLUE, fill_opacity=1)

    @beat
    def appear(self) -> None:
        """A square for {model}."""
        self.play(FadeIn(self.square), run_time=0.27)

    @beat
    def travel(self) -> None:
        """It moves."""
        self.play(self.square.animate.shift([3, 0, 0]), run_time=0.31)
        self.play(self.square.animate.shift([-1, 1, 0]), run_time=0.31)

    @beat
    def rest(self) -> None:
        """It stands still."""
        self.wait(0.44)


class Other(Shapes):
    """Is another scene, with files of its own, that looks the same."""


class Noisy(Stage):
    """Shows noise, which does not compress."""

    @beat
    def flicker(self) -> None:
        """Noise."""
        noise = np.random.default_rng(0).random((240, 427))
        self.add(Heatmap(noise, Norm(0, 1, "viridis"), width=12, height=6))
        self.wait(0.1)


class SoftEdges(Stage):
    """Shows what has soft edges: letters, thin lines, a pale disc, and a faint tilted heatmap."""

    @beat
    def shown(self) -> None:
        """Soft edges."""
        self.camera.shot = Shot(theta=30, phi=20)
        theme = self.theme
        cells = Heatmap(np.arange(12).reshape(3, 4), Norm(0, 11, "viridis"), width=4)
        cells.opacity = 0.5
        self.add(Circle(2, color=theme.query, fill_opacity=0.4).shift([-4, 0, 0]))
        self.add(cells, Line(4 * DL, 3 * UR, color=theme.flow, stroke_width=theme.thin))
        self.add(Label("soft edges", size=0.15, colour=theme.ink).shift([3, 2, 0]))
        self.wait(0.2)


class Interrupted(Shapes):
    """Is interrupted by Ctrl-C in its last beat."""

    @beat
    def rest(self) -> None:
        raise KeyboardInterrupt


class Mistaken(Shapes):
    """Raises an error in its last beat."""

    @beat
    def rest(self) -> None:
        raise RuntimeError("a mistake\nof two lines")


class Broken(Shapes):
    """Raises an error in its second beat, but only when frames of it are drawn."""

    @beat
    def travel(self) -> None:
        if self.renderer.receiver:
            raise RuntimeError("only when drawn")
        self.hold(0.2)


class BrokenThere(Shapes):
    """Raises an error in its second beat, but only where a worker of a cluster draws it."""

    @beat
    def travel(self) -> None:
        if current_thread() is not main_thread():
            raise RuntimeError("only when drawn by Dask")
        self.hold(0.2)


class Unshowable(Stage):
    """Refuses every trace."""

    @beat
    def refuse(self) -> None:
        raise StageError("this trace cannot be shown; make another")


class Featured(Stage):
    """Shows the pattern of the layer and the head that are asked for."""

    title = "Featured"

    @beat
    def appear(self) -> None:
        """A pattern."""
        source = self.head.pattern_source
        self.add(Heatmap(self.head.pattern, Norm(0, 1, "viridis"), width=4, source=source))
        self.hold(1)


FEATURED = entry("scene_featured", "Featured")
SHAPES = entry("scene_shapes", "Shapes")
OWN_LENGTHS = (0.27, 0.62, 0.44)
"""How long the animations of each beat of :class:`Shapes` take, in seconds."""
LENGTHS = (2.2, 1.6, 1.4)
"""Lengths of its beats with their tails, at the made-up model.

Five words of 0.43 s; 0.62 s and 0.8 s more; three words; in steps of 0.2 s.
"""
OTHER = entry("scene_other", "Other")
NOISY = entry("scene_noisy", "Noisy")
SOFT_EDGES = entry("scene_soft_edges", "SoftEdges")
INTERRUPTED = entry("scene_interrupted", "Interrupted")
MISTAKEN = entry("scene_mistaken", "Mistaken")
BROKEN = entry("scene_broken", "Broken")
BROKEN_THERE = entry("scene_broken_there", "BrokenThere")
UNSHOWABLE = entry("scene_unshowable", "Unshowable")
