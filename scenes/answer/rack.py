"""A rack: the pattern of every head on a card, and below it what is kept for these heads."""

from __future__ import annotations

from manim import UP, Group, Mobject, VGroup

from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head_stack import CardBody, Plane
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Outline
from scenes.answer.layout import RackLayout
from scenes.answer.ways import Way

__all__ = ["Rack"]

UNKNOWN = 0.45  # opacity of keys and values that the model never had
DIMMEST = 0.6  # light on the last card
LINE = 0.07  # width of the lines from what is kept to the heads, in units of the rack
FRAME = 0.014  # between what is kept and the frame around it, in units of the rack


class Rack(Group):
    """The heads of a layer, and what is kept for them, under one way to remember.

    At first the cards show the model's own patterns.

    Parameters
    ----------
    layer, latent
        The layer, and the same with its latent.
    way
        The way to remember.
    layout
        Where it stands.

    Attributes
    ----------
    patterns
        The heatmaps on the cards, by head.
    kept
        Heatmaps of what is kept; none where only outlines are drawn.
    frames
        Outlines around what is kept.
    cards, lines
        The cards, and the lines from what is kept to those that share it.
    """

    def __init__(self, layer: LayerView, latent: LatentView, way: Way, layout: RackLayout) -> None:
        super().__init__()
        self.way, self.layout = way, layout
        self.cards = Group()
        self.patterns: list[Heatmap] = []
        for head in range(layout.heads):
            self._add_card(layer, head)
        self.kept, self.frames, self.lines = Group(), VGroup(), VGroup()
        for number, heads in enumerate(way.groups):
            depth = layout.depth_at(sum(heads) / len(heads))
            if way.scheme == "mla":
                self._add_latent(latent, depth)
            else:
                self._add_set(number, depth)
            if len(heads) > 1:
                self._add_lines(heads, depth)
        self.add(*reversed(self.cards), self.lines, self.kept, self.frames)

    def _add_card(self, layer: LayerView, head: int) -> None:
        layout, view = self.layout, layer.head(head)
        z, plane = layout.depth_at(head), Plane(layout.card)
        body = CardBody(layout.card)
        light = 1 - (1 - DIMMEST) * head / max(1, layout.heads - 1)
        pattern = Heatmap(
            view.pattern,
            layer.norm("pattern"),
            width=1,
            height=1,
            masked=view.causal_mask,
            source=view.pattern_source,
        ).place(layout.pattern)
        pattern.set_opacity(light)
        body.set_light(light)
        # At this size its edge is a smear; the rim of light is enough.
        body.edge.set_stroke(width=0.0)
        card = Group(plane, body, pattern).shift([0.0, 0.0, z])
        self.cards.add(set_depth_plane(card, plane))
        self.patterns.append(pattern)

    def _add_set(self, number: int, depth: float) -> None:
        """Add a set of keys and values side by side, or its outlines."""
        theme, way = current_theme(), self.way
        halves = self.layout.kept.split_columns(2, gap=0.04 * self.layout.unit)
        for name, role, box in zip(("k", "v"), ("key", "value"), halves, strict=True):
            plane: Mobject = Plane(box).shift([0.0, 0.0, depth])
            if way.view is not None:
                values, source = way.view.panel(name, number)
                self._add_cells(values, way.view.norms[name], source, box, depth)
                plane = self.kept[-1]
            self._add_frame(box, theme.role(role), depth, plane)
            if way.view is None:
                # Its numbers are not known, but it is as large as the others.
                self.frames[-1].set_fill(theme.role(role), UNKNOWN)

    def _add_latent(self, latent: LatentView, depth: float) -> None:
        box = self.layout.kept
        self._add_cells(latent.latent, latent.latent_norm, latent.latent_source, box, depth)
        self._add_frame(box, current_theme().latent, depth, self.kept[-1])

    def _add_cells(self, values: object, norm: object, source: object, box: Box, z: float) -> None:
        cells = Heatmap(values, norm, width=1, height=1, source=source, edged=False)  # type: ignore[arg-type]
        self.kept.add(set_depth_plane(cells.place(box).shift([0.0, 0.0, z]), cells))

    def _add_frame(self, box: Box, colour: str, depth: float, plane: Mobject) -> None:
        frame = Outline(box.grown(FRAME * self.layout.unit), colour=colour)
        frame.set_stroke(width=current_theme().line).shift([0.0, 0.0, depth])
        self.frames.add(set_depth_plane(frame, plane))

    def _add_lines(self, heads: tuple[int, ...], depth: float) -> None:
        layout = self.layout
        x, foot = layout.card.x, layout.card.bottom
        ends = [(x, foot, layout.depth_at(head)) for head in heads]
        start = (x, layout.kept.top + FRAME * layout.unit, depth)
        width = LINE * layout.unit
        self.lines.add(FanOut(start, ends, spine=layout.spine, along=UP, width=width))
