"""The panel of a cached latent, and the lines from it to the heads that read it."""

from __future__ import annotations

import numpy as np
from manim import UP, Group, RoundedRectangle, VGroup

from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.head_stack import UNITS_PER_POINT, HeadStack
from filmkit.mobjects.latent_layout import GAP, UNDER, HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.panel import Header
from filmkit.mobjects.ribbon import filled, outline_of

__all__ = ["LatentPanel", "place_below", "show_naive_form"]


def place_below(header: Header, box: Box) -> Header:
    """Move a header to just below a box, and return it."""
    return header.set_line(box.bottom - UNDER - header.size * 4)


class LatentPanel(Group):
    """The latent and, beside it, the rotated key that all heads share, if there is one.

    Parameters
    ----------
    view
        The layer and its latent.
    latent, rope
        Boxes of both; ``rope`` is None if there is no such key.
    below
        Whether the header is below the cells, not above them.

    Attributes
    ----------
    cells, rope
        Heatmaps of both; ``rope`` may be None.
    header
        Header of both; ``names`` are its words and symbol, ``shape`` is its shape.
    frame
        Outline around what is cached; not part of the group, a scene can add it.
    """

    def __init__(
        self, view: LatentView, latent: Box, rope: Box | None, *, below: bool = True
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.cells = Heatmap(
            view.latent,
            view.latent_norm,
            width=latent.width,
            height=latent.height,
            source=view.latent_source,
        ).place(latent)
        self.rope: Heatmap | None = None
        self.add(self.cells)
        if rope is not None:
            norm = view.layer.norm("k_rope")
            self.rope = Heatmap(
                view.rope, norm, width=rope.width, height=rope.height, source=view.rope_source
            ).place(rope)
            self.add(self.rope)
        self.header = Header(_("latent"), "C", colour=theme.latent)
        shape = f"{len(view.latent)} × {view.forms.n_cached}"
        if rope is not None:
            shape = _("and key  {shape}", shape=shape)
        self.names = VGroup(*self.header)
        self.shape = Label(shape, size=theme.shape_size, colour=theme.muted)
        self.shape.on_line(self.header.get_right()[0] + Header.GAP + self.shape.width / 2, 0)
        self.header.add(self.shape)
        self.header.stand_on(self.box)
        if below:
            place_below(self.header, self.box)
            if self.header.width > self.box.width:
                # On a line of its own, clear of the lines beside the latent.
                y = self.shape.get_y() - 1.2 * self.shape.line_height
                self.shape.on_line(self.box.left + self.shape.width / 2, y)
        elif self.header.width > self.box.width:
            self.header.stand_on(self.box, align="right")
        self.add(self.header)
        self.frame = RoundedRectangle(
            width=self.box.width + 0.1,
            height=self.box.height + 0.1,
            corner_radius=0.06,
            stroke_color=theme.latent,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(self.box.center)

    @property
    def panels(self) -> list[Heatmap]:
        """Its one or two heatmaps."""
        return [self.cells] if self.rope is None else [self.cells, self.rope]

    @property
    def box(self) -> Box:
        """Box around all cells."""
        return Box.around(panel.box for panel in self.panels)


def show_naive_form(head_stack: HeadStack, view: LatentView) -> None:
    """Change the numbers of a stack of heads to those of the naive form.

    Keys and values are then computed from the latent, and so are scores, patterns and z. The
    panels keep their places and norms.

    Parameters
    ----------
    head_stack
        The stack; its heatmaps are changed.
    view
        The same layer and its latent.
    """
    for card in head_stack.cards:
        for name, (values, source) in view.head(card.head).panels.items():
            cells = getattr(card, name)
            cells.set_values(values)
            cells.source = source


class _RisingLines(VGroup):
    """On each card, a line that rises from its lower edge to keys and values."""

    def __init__(self, head_stack: HeadStack, layout: NaiveLayout) -> None:
        super().__init__()
        theme, head = current_theme(), layout.head
        x, foot = layout.riser, head_stack.layout.card.bottom
        wires = [
            Wire([(x, foot), (x, panel.y), (panel.left - 0.02, panel.y)])
            for panel in (head.k, head.v)
        ]
        for card in head_stack.cards:
            polygons = [
                p for wire in wires for p in outline_of(wire, 1.6 * theme.line * UNITS_PER_POINT)
            ]
            line = filled(polygons, theme.latent)
            line.shift([0.0, 0.0, head_stack.layout.depth_at(card.head)])
            self.add(set_depth_plane(line, card.plane))


class NaiveFeed(Group):
    """The lines from a latent below a stack of heads to the keys and values of every head.

    Parameters
    ----------
    head_stack
        The stack.
    layout
        Layout of the naive form of one head.
    shots
        Where the latent is in space.

    Attributes
    ----------
    handle
        The line from the latent to the fan-out.
    fan_out
        The connector along the lower edges of all cards.
    rising
        The lines on the cards, from front to back.
    corner : (3,)
        Where handle and fan-out meet.
    """

    WIDTH = 0.1  # width of handle and fan-out, in scene units

    def __init__(self, head_stack: HeadStack, layout: NaiveLayout, shots: HeadStackShots) -> None:
        super().__init__()
        theme = current_theme()
        card, x = head_stack.layout.card, layout.riser
        ends = [(x, card.bottom, head_stack.layout.depth_at(c.head)) for c in head_stack.cards]
        half, y = self.WIDTH / 2, shots.spine
        bar = [(shots.latent.right + GAP, y - half), (x, y - half)]
        bar += [(x, y + half), (shots.latent.right + GAP, y + half)]
        self.corner = (x, y, shots.depth)
        self.handle = filled([np.array(bar)], theme.latent)
        self.handle.shift([0.0, 0.0, shots.depth])
        self.fan_out = FanOut(
            (x, y, shots.depth),
            ends,
            spine=y,
            along=UP,
            width=self.WIDTH,
            colour=theme.latent,
        )
        self.rising = _RisingLines(head_stack, layout)
        set_depth_plane(self.handle, self.fan_out.handle.depth_plane)
        self.add(self.handle, self.fan_out, self.rising)
