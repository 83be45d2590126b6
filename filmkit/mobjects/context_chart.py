"""A chart of cache size against context length."""

from __future__ import annotations

import numpy as np
from manim import Animation, AnimationGroup, Dot, VGroup

from extract.architectures import (
    CONTEXT_TOKENS,
    GPU_BYTES,
    GPUS_OF_A_NODE,
)
from filmkit.core.animations import Follow, set_presence
from filmkit.core.numbers import gigabytes, whole
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.chart import (
    ChartAxes,
    ChartAxis,
    Curve,
    EndLabels,
    Paragraph,
    ReferenceLine,
)
from filmkit.mobjects.context_chart_layout import ContextLayout
from filmkit.mobjects.flow import Draw

__all__ = ["ContextChart"]


HEADROOM = 1.1  # above the highest reference line of a chart


class ContextChart(VGroup):
    """The cache of one conversation over its length, with the memory of one GPU and of a node.

    It opens on the node's scale; :meth:`zoom` takes it to that of one GPU.

    Parameters
    ----------
    kept
        The schemes; the first is the one that fills a GPU.
    slots
        Where it stands.
    """

    NEAR = (0.25, 0.5, 0.75)  # ticks, in memories of one GPU
    FAR = (2.0, 4.0, 6.0)

    def __init__(self, kept: tuple[CachedPerToken, ...], layout: ContextLayout) -> None:
        super().__init__()
        theme = current_theme()
        node = GPUS_OF_A_NODE * GPU_BYTES
        lengths = tuple(CONTEXT_TOKENS * quarter / 4 for quarter in range(1, 5))
        self.axes = ChartAxes(
            ChartAxis(
                0,
                CONTEXT_TOKENS,
                lengths,
                "context length in tokens",
                write=lambda tokens: f"{tokens / 1024:.0f}K",
                says_linear=True,
            ),
            ChartAxis(
                0,
                HEADROOM * node,
                (0.0, *(GPU_BYTES * share for share in (*self.NEAR, *self.FAR))),
                "cache of one conversation, GB",
                write=lambda size: f"{size / 1e9:.0f}",
                says_linear=True,
            ),
            layout.chart,
            right=layout.right,
        )
        ends = np.array([0, CONTEXT_TOKENS])
        self.curves = VGroup(
            *(
                Curve(
                    self.axes,
                    ends,
                    ends * one.size(),
                    colour=one.colour,
                    width=theme.bold if one.scheme == "mla" else theme.line,
                )
                for one in kept
            )
        )
        self.ends = EndLabels(
            self.curves, [f"{one.name}  {gigabytes(one.size(CONTEXT_TOKENS))}" for one in kept]
        )
        self.one = ReferenceLine(self.axes, GPU_BYTES, f"one GPU of {gigabytes(GPU_BYTES)}")
        self.node = ReferenceLine(self.axes, node, f"{GPUS_OF_A_NODE} GPUs, {gigabytes(node)}")
        self.full_at = GPU_BYTES / kept[0].size()
        self.full = Dot(radius=0.09, color=theme.accent)
        self.full_note, self.latent_note = (
            Label(
                f"{one.name}: full after {whole(GPU_BYTES // one.size())} tokens",
                size=theme.note_size,
                colour=one.colour,
            )
            for one in (kept[0], kept[-1])
        )
        (self.remark,) = Paragraph(["memory for weights not counted"], layout.remark)
        self.remark.shift([-self.remark.width, 0.0, 0.0])
        ticks = list(zip(self.axes.rules, self.axes.y_ticks, strict=True))
        near = len(self.NEAR)
        self.near = VGroup(*(VGroup(*pair) for pair in ticks[1 : near + 1]))
        self.far = VGroup(*(VGroup(*pair) for pair in (*ticks[:1], *ticks[near + 1 :])))
        self.grid = VGroup(self.far, self.axes.base, self.axes.x_ticks, self.axes.titles)
        self.add(self.grid, self.near, self.one, self.node, self.curves, self.ends)
        self.add(self.full, self.full_note, self.latent_note, self.remark)
        self._mark_full()

    def draw(self) -> Animation:
        """The lines draw themselves, all at the same pace."""
        return AnimationGroup(*(Draw(curve) for curve in self.curves))

    def zoom(self, **kwargs: float) -> Animation:
        """From the scale of the node to that of one GPU; all of the chart must be on show."""
        node, one = self.axes.y.high, HEADROOM * GPU_BYTES

        def step(alpha: float) -> None:
            self.axes.set_y_high(node ** (1 - alpha) * one**alpha)
            for part in (*self.curves, self.ends, self.one, self.node):
                part.redraw()
            self._mark_full()
            set_presence(self.near, alpha)
            set_presence(self.latent_note, alpha)
            # The first line leaves through the top; its note stays.
            set_presence(VGroup(self.ends.labels[0], self.ends.ties[0]), max(0.0, 1 - 5 * alpha))
            for group in (*self.far, self.node):
                set_presence(group, self._inside(group[0].get_y()))

        return Follow(self, step, **kwargs)

    def _mark_full(self) -> None:
        x, y = self.axes.at(self.full_at, GPU_BYTES)
        self.full.move_to([x, y, 0.0])
        line = self.full_note.line_height
        below, left = y - 1.2 * line, x + 0.25
        self.full_note.on_line(left + self.full_note.width / 2, below)
        # Where both do not fit beside one another the second stands below the first.
        right = self.axes.plot.right
        if left + self.full_note.width + line > right - self.latent_note.width:
            below -= 1.5 * line
        self.latent_note.on_line(right - self.latent_note.width / 2, below)

    def _inside(self, y: float) -> float:
        """1 inside the axes, 0 near their top and above, and a short way between."""
        plot = self.axes.plot
        below = (plot.top - y) / plot.height
        return float(np.clip((below - 0.04) / 0.04, 0.0, 1.0))
