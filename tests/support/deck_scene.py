"""A scene with heatmaps that is quick to film, for tests of decks."""

from __future__ import annotations

from manim import RIGHT, Animation

from filmkit.core.animations import Appear
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat

__all__ = ["CELLS", "LENGTHS"]

SECONDS = 0.8  # of motion in each beat; the words take longer
LENGTHS = (2.6, 4.8, 1.8)
"""Lengths of the beats: 6, 11 and 4 words of 0.43 s, in steps of 0.2 s."""


class Cells(Stage):
    """Queries, a pattern over them, and both seen from the side, over and over."""

    title = "Cells"
    tensors = ("q", "pattern")

    def prepare(self) -> None:
        layer, head = self.layer, self.head
        q_source = layer.source("q", head.head, (0, head.q.shape[1]))
        self.q = Heatmap(head.q, layer.norm("q"), width=6, height=3, source=q_source)
        self.q.place(Box.of(-6, 0, -2, 2))
        self.scores = Heatmap(
            head.scores,
            layer.scores_norm,
            width=3,
            height=3,
            masked=head.causal_mask,
            source=layer.computed("scores", head=self.head.head),
        ).place(Box.of(-1, 2, -1.5, 1.5))

    @beat
    def queries(self) -> None:
        """Queries: one row for each word."""
        self.play(Appear(self.q), run_time=SECONDS)

    @beat
    def scores_over_them(self) -> None:
        """The scores lie over the queries. A query cannot look ahead."""
        self.add(self.scores)
        self.play(self._slide(), run_time=SECONDS)

    @beat(loop=True)
    def from_the_side(self) -> None:
        """Seen from the side."""
        self.play(self.move_camera(Shot(theta=35, phi=20)), run_time=SECONDS)

    def _slide(self) -> Animation:
        return self.scores.animate.shift(0.5 * RIGHT)


CELLS = SceneEntry("scene_cells", "Stand-in for decks", __name__, "Cells")
