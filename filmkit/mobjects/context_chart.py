"""A chart of cache size against context length."""

from __future__ import annotations

import numpy as np
from manim import Animation, AnimationGroup, Dot, VGroup

from extract.architectures import (
    CONTEXT_TOKENS,
    GPU_BYTES,
    GPUS_PER_NODE,
)
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_count, format_gigabytes
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


HEADROOM = 1.1  # end of the vertical axis, as a multiple of the highest reference line


class ContextChart(VGroup):
    """Cache size of one conversation over its length, with the memory of one GPU and of a node.

    A node is a machine with several GPUs. The vertical axis first reaches to the memory of the
    node; :meth:`zoom` changes it to that of one GPU.

    Parameters
    ----------
    schemes
        What is cached per token, a line for each; the first one is marked where it fills a GPU.
    layout
        Where the chart is.

    Attributes
    ----------
    grid
        Axes with the ticks for the scale of the node.
    near
        Ticks for the scale of one GPU.
    curves, ends
        The lines, and their names.
    gpu_line, node_line
        The memory of one GPU and of the node.
    full_dot, full_note
        Where the first scheme fills a GPU, and how many tokens that is.
    latent_note
        The same number of tokens for the last scheme.
    remark
        What is not counted.
    """

    NEAR = (0.25, 0.5, 0.75)  # ticks for the scale of one GPU, in memories of a GPU
    FAR = (2.0, 4.0, 6.0)  # ticks for the scale of the node, in memories of a GPU

    def __init__(self, schemes: tuple[CachedPerToken, ...], layout: ContextLayout) -> None:
        super().__init__()
        theme = current_theme()
        node = GPUS_PER_NODE * GPU_BYTES
        lengths = tuple(CONTEXT_TOKENS * quarter / 4 for quarter in range(1, 5))
        self.axes = ChartAxes(
            ChartAxis(
                0,
                CONTEXT_TOKENS,
                lengths,
                _("context length in tokens"),
                write=lambda tokens: _("{number}K", number=format_count(tokens / 1024)),
                says_linear=True,
            ),
            ChartAxis(
                0,
                HEADROOM * node,
                (0.0, *(GPU_BYTES * share for share in (*self.NEAR, *self.FAR))),
                _("cache of one conversation, GB"),
                write=lambda size: format_count(size / 1e9),
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
                    ends * cached.size(),
                    colour=cached.colour,
                    width=theme.bold if cached.scheme == "mla" else theme.line,
                )
                for cached in schemes
            )
        )
        self.ends = EndLabels(
            self.curves,
            [f"{c.name}  {format_gigabytes(c.size(CONTEXT_TOKENS))}" for c in schemes],
        )
        self.gpu_line = ReferenceLine(
            self.axes, GPU_BYTES, _("one GPU of {size}", size=format_gigabytes(GPU_BYTES))
        )
        self.node_line = ReferenceLine(
            self.axes,
            node,
            ngettext(
                "{number} GPU, {size}",
                "{number} GPUs, {size}",
                GPUS_PER_NODE,
                size=format_gigabytes(node),
            ),
        )
        self.full_at = GPU_BYTES / schemes[0].size()
        self.full_dot = Dot(radius=0.09, color=theme.accent)
        self.full_note, self.latent_note = (
            Label(
                _(
                    "{name}: full after {count} tokens",
                    name=cached.name,
                    count=format_count(GPU_BYTES // cached.size()),
                ),
                size=theme.note_size,
                colour=cached.colour,
            )
            for cached in (schemes[0], schemes[-1])
        )
        (self.remark,) = Paragraph([_("memory for weights not counted")], layout.remark)
        self.remark.shift([-self.remark.width, 0.0, 0.0])
        ticks = list(zip(self.axes.rules, self.axes.y_ticks, strict=True))
        near = len(self.NEAR)
        self.near = VGroup(*(VGroup(*pair) for pair in ticks[1 : near + 1]))
        self.far = VGroup(*(VGroup(*pair) for pair in (*ticks[:1], *ticks[near + 1 :])))
        self.grid = VGroup(self.far, self.axes.base, self.axes.x_ticks, self.axes.titles)
        self.add(self.grid, self.near, self.gpu_line, self.node_line, self.curves, self.ends)
        self.add(self.full_dot, self.full_note, self.latent_note, self.remark)
        self._mark_full()

    def draw(self) -> Animation:
        """Return an animation that draws all lines from the left at the same speed."""
        return AnimationGroup(*(Draw(curve) for curve in self.curves))

    def zoom(self, **kwargs: float) -> Animation:
        """Return an animation that stretches the vertical axis to the memory of one GPU.

        Lines and ticks move up, and fade out at the top; the whole chart must be on the scene.
        """
        node, gpu = self.axes.y.high, HEADROOM * GPU_BYTES

        def step(alpha: float) -> None:
            self.axes.set_y_high(node ** (1 - alpha) * gpu**alpha)
            for part in (*self.curves, self.ends, self.gpu_line, self.node_line):
                part.redraw()
            self._mark_full()
            set_presence(self.near, alpha)
            set_presence(self.latent_note, alpha)
            # The first line leaves through the top, and with it its name; the note stays.
            set_presence(VGroup(self.ends.labels[0], self.ends.ties[0]), max(0.0, 1 - 5 * alpha))
            for group in (*self.far, self.node_line):
                set_presence(group, self._inside(group[0].get_y()))

        return AnimateWith(self, step, **kwargs)

    def _mark_full(self) -> None:
        """Move the dot and both notes to where the first scheme fills a GPU."""
        x, y = self.axes.at(self.full_at, GPU_BYTES)
        self.full_dot.move_to([x, y, 0.0])
        line = self.full_note.line_height
        below, left = y - 1.2 * line, x + 0.25
        self.full_note.on_line(left + self.full_note.width / 2, below)
        # If both notes do not fit side by side, the second is below the first.
        right = self.axes.plot.right
        if left + self.full_note.width + line > right - self.latent_note.width:
            below -= 1.5 * line
        self.latent_note.on_line(right - self.latent_note.width / 2, below)

    def _inside(self, y: float) -> float:
        """Return the presence at a height: 1 inside the axes, 0 near the top and above."""
        plot = self.axes.plot
        below = (plot.top - y) / plot.height
        return float(np.clip((below - 0.04) / 0.04, 0.0, 1.0))
