"""The z of all heads side by side, and the layer's output that is computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from manim import Animation, Group, LaggedStart, VGroup, linear

from filmkit.core.animations import AnimateWith, Glide, Reveal, Settle, in_rows
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.printable import printable
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.marks import ColourBar, Highlight, TokenLabels
from filmkit.mobjects.panel import Header, Panel
from scenes.heads.layout import MergeLayout, merge_layout

__all__ = ["Merge"]

NAME_RISE = 0.13  # from the middle of the line of names up to their letters, in scene units
TICK = 0.1  # height of the ends of the bracket below all strips, in scene units
LINE = 1.25  # smallest distance of words below each other, in heights of a line
WORD_SHARE = 0.13  # maximum width of a word beside a row, as a share of the frame's width


class Merge(Group):
    """Everything around the strips of z, from their headers to the layer's output.

    The strips, one for each head, are not part of it: they belong to the cards of the stack of
    heads, where they come from.

    Parameters
    ----------
    view
        The layer.
    frame
        The frame to fill.
    featured
        Head whose name stands out.

    Attributes
    ----------
    layout
        Where the strips stand: apart, together, and together at the top.
    names, every
        Names of the heads, in their order, below the strips that stand apart, and every how
        manieth head has one.
    description
        Header, colour bar and words of the strips when they stand together.
    bracket
        The line below all strips, which the weight reads together.
    w_o, into, out_of
        The output weight, and the lines to and from it.
    out, out_scale, out_labels
        The layer's output, its colour bar, and its header and words.
    pointer
        Frames around a row of all strips and the same row of the output.
    """

    def __init__(self, view: LayerView, frame: Frame, *, featured: int) -> None:
        super().__init__()
        theme, meta = current_theme(), view.trace.meta
        heads, d_v, d_model = meta.n_heads, meta.d_v, meta.d_model
        longest = max(Label(printable(word)).width for word in view.words)
        word_width = min(longest, WORD_SHARE * frame.width)
        self.layout: MergeLayout = merge_layout(
            frame,
            heads=heads,
            d_v=d_v,
            d_model=d_model,
            count=view.count,
            word_width=word_width,
        )
        self.view, self.word_width = view, word_width
        layout = self.layout
        self.names, self.every = _names(layout, heads, featured)
        self.description = self.describe(layout.together)
        notes = (_("+ bias"),) if _has_output_bias(view) else ()
        self.w_o = WeightBox("W_O", (heads * d_v, d_model), layout.w_o, colour=theme.z, notes=notes)
        for index, line in enumerate(self.w_o.lines):
            y = layout.w_o.y + 0.24 * ((len(self.w_o.lines) - 1) / 2 - index)
            line.on_line(layout.w_o.right + 0.14 + line.width / 2, y)
        x, top, bottom = layout.w_o.x, layout.w_o.top, layout.w_o.bottom
        names = layout.name_points(layout.joined)[0][1]
        whole, level = Box.around(layout.joined), names - 0.2
        ends = [(whole.left, level), (whole.right, level)]
        ticks = [(edge, level + TICK) for edge in (whole.left, whole.right)]
        self.bracket = Wire([ticks[0], *ends, ticks[1]], arrow=False)
        self.into = Wire([(x, level), (x, top)])
        self.out_of = Wire([(x, bottom), (x, layout.into_out)])
        self.out = Panel(
            view.rows("out"),
            view.norm("out"),
            layout.out,
            name=_("output of the layer"),
            source=view.source("out", (0, d_model)),
        )
        self.out_scale = self._scale("out", layout.out, self.out.header)
        self.out_labels = Group(self.out.header, self._words(layout.out))
        self.rows = [layout.rows(boxes, view.count) for boxes in (layout.joined, (layout.out,))]
        self.pointer = Group(*(Highlight(rows[0]) for rows in self.rows))

    def point(self, alpha: float) -> None:
        """Point at the row at ``alpha``, 0 to 1, of the way from the first to the last."""
        for frame, rows in zip(self.pointer, self.rows, strict=True):
            frame.move_to(rows[min(int(alpha * len(rows)), len(rows) - 1)].center)

    def describe(self, strips: Sequence[Box]) -> Group:
        """Build header, colour bar and words of strips that stand together."""
        meta, whole = self.view.trace.meta, Box.around(strips)
        alone = meta.n_heads == 1
        shape = (self.view.count, meta.n_heads * meta.d_v)
        name = _("head output") if alone else _("outputs of all heads")
        header = Header(name, "Z", shape)
        header.stand_on(whole)
        scale = self._scale("z", whole, header)
        return Group(header, scale, self._words(whole))

    def _scale(self, name: str, box: Box, header: Header) -> ColourBar:
        """Build the colour bar of a tensor, beside its header or below its box."""
        norm = self.view.norm(name)
        least = ColourBar.least_width(norm, "")
        return ColourBar(norm, "", self.layout.scale(box, float(header.get_right()[0]), least))

    def _words(self, box: Box) -> TokenLabels:
        """Build the token words beside a box, if its rows are high enough."""
        words = self.view.words if self.layout.words else ()
        points = self.layout.word_points(box, self.view.count)[: len(words)]
        size, pitch = current_theme().shape_size, box.height / self.view.count
        # Some letters, as emoji, are higher than a line.
        highest = max((Label(printable(word), size=size).height for word in words), default=pitch)
        highest = max(highest, LINE * size * FRAME_HEIGHT)
        return TokenLabels(
            words, points, width=self.word_width, size=size * min(1.0, pitch / highest)
        )

    def settle(self, strips: Sequence[Heatmap], *, run_time: float) -> LaggedStart:
        """Return an animation in which one strip after the other goes to its place, apart."""
        settling = map(Settle, strips, self.layout.apart)
        return LaggedStart(*settling, lag_ratio=0.1, run_time=run_time)

    def fill(self) -> list[Animation]:
        """Return animations that fill the output row by row, and point at the row."""
        cells = self.out.cells
        return [
            AnimateWith(self.pointer, self.point, rate_func=linear),
            Reveal(cells, in_rows(cells.shape), rate_func=linear),
        ]

    def move(self, strips: Sequence[Heatmap], boxes: Sequence[Box]) -> list[Animation]:
        """Return animations that move every strip, with its name, to its box."""
        names = self.names.copy()
        points = self.layout.name_points(boxes)[:: self.every]
        drop = _drop(names)
        for name, (x, y) in zip(names, points, strict=True):
            name.on_line(x, y - drop)
        settling = [Settle(strip, box) for strip, box in zip(strips, boxes, strict=True)]
        return [*settling, Glide(self.names, names)]


def _names(layout: MergeLayout, heads: int, featured: int) -> tuple[VGroup, int]:
    """Return the names of heads below their strips, and every how manieth head has one."""
    theme = current_theme()
    pitch = min(layout.apart[0].width, layout.joined[0].width) - 0.06
    numbers = range(heads)
    for names in ([_("head {head}", head=head) for head in numbers], map(str, numbers)):
        labels = [Label(name, colour=theme.muted) for name in names]
        widest = max(label.width for label in labels)
        if widest < pitch:
            break
    labels[featured].set_fill(theme.ink)
    every = max(1, math.ceil(widest / pitch))
    shown, drop = VGroup(*labels[::every]), _drop(labels)
    for label, (x, y) in zip(shown, layout.name_points(layout.apart)[::every], strict=True):
        label.on_line(x, y - drop)
    return shown, every


def _drop(names: Iterable[Label]) -> float:
    """Return how much lower names stand because some of their letters are higher than others."""
    return max(0.0, max(name.rise for name in names) - NAME_RISE)


def _has_output_bias(view: LayerView) -> bool:
    """Return whether the output has a bias, from any layer whose weights are in the trace."""
    return any(view.trace.has("b_O", layer) for layer in view.trace.layers_with_weights())
