"""All heads of a layer in space: a stack of cards, one behind the other, one for each query head.

Cards stand in the order of the heads, 0 at the front. They are opaque, and lit from above: each has
a rim of light along its upper edge, and what is farther back is darker. The head that is meant, the
*featured* one, is the flat picture of a head (:class:`~filmkit.mobjects.head.HeadPicture`) and lies
in the plane z = 0, so a scene can begin flat and turn into space without a jump; the other cards
are the same picture with few mobjects each. Every part has a name::

    stack = HeadStack(self.layer, self.frame, featured=self.head.head)
    self.add(stack)
    stack.cards[4].pattern                           # the heatmap of head 4's pattern
    stack.cards[4].scores.set_values(other)          # other numbers, same norm
    self.play(Vanish(stack.cards[4].wires.key))      # its line from K to K^T
    self.play(*(Presence(card.k, 0.0) for card in stack.cards))

A card is dimmed by the presence of its panels, lines and text, never of its body: what stands
behind would shine through.

A panel that leaves its card, for instance for a place that heads share, must first be sorted by
its own depth instead of the card's::

    box, z = stack.layout.shared(stack.featured.k.box, places=range(len(stack.cards)))
    self.play(
        *(Glide(free_from_card(card.k), copy_at_depth(card.k, box, z)) for card in stack.cards)
    )

:class:`~filmkit.mobjects.fan_out.FanOut` draws the connector from there to the heads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from manim import (
    UP,
    Group,
    Mobject,
    RoundedRectangle,
    VGroup,
    VMobject,
    color_to_rgb,
)

from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack_layout import HeadStackLayout
from filmkit.mobjects.head_tensors import HEAD_TENSORS, head_cells
from filmkit.mobjects.ribbon import band, filled, outline_of

__all__ = [
    "UNITS_PER_POINT",
    "Card",
    "CardBody",
    "HeadStack",
    "Plane",
    "Wires",
    "copy_at_depth",
    "free_from_card",
]

CORNER = 0.22  # radius of a card's corners, in scene units
CORNER_STEPS = 6  # straight pieces that approximate a corner
RIM = 0.03  # width of the rim of light, in scene units
RIM_REACH = 0.5  # how far it reaches down the sides, as a share of the height
SHEEN = 0.06  # how much nearer to the ink's colour a face is at its upper edge
EDGE = 0.4  # strength of the line around a card
UNITS_PER_POINT = 0.01
"""Scene units for one point of line width, as Cairo draws it."""

Points = npt.NDArray[np.float64]


class Plane(Mobject):
    """An invisible plane with the corners of a box: the depth plane of a card."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        left, right, bottom, top = box.left, box.right, box.bottom, box.top
        self.points = np.array(
            [[left, top, 0], [right, top, 0], [right, bottom, 0], [left, bottom, 0]], dtype=float
        )


def free_from_card(heatmap: Heatmap) -> Heatmap:
    """Sort a panel by its own depth instead of its card's, and return it.

    It must then stay parallel to the cards.
    """
    return set_depth_plane(heatmap, heatmap)


def copy_at_depth(heatmap: Heatmap, box: Box, z: float) -> Heatmap:
    """Return a copy of a panel that fills a box in the plane at depth ``z``.

    It is the target of :class:`~filmkit.core.animations.Glide`.
    """
    copy = heatmap.copy().place(box)
    copy.shift([0.0, 0.0, z])
    return copy


class Wires(VGroup):
    """The lines between the panels of a card.

    Attributes
    ----------
    query, key, value
        From queries to K transposed, from keys to K transposed, and from values to z.
    rest
        From K transposed to scores, pattern and z.
    """

    def __init__(self, query: Mobject, key: Mobject, value: Mobject, rest: Mobject) -> None:
        super().__init__(query, key, value, rest)
        self.query, self.key, self.value, self.rest = query, key, value, rest


class CardBody(VGroup):
    """A card without anything on it: an opaque face, its edge, and a rim of light.

    Parameters
    ----------
    box
        Box of the card.

    Attributes
    ----------
    face, edge, rim
        Its parts.
    """

    def __init__(self, box: Box) -> None:
        super().__init__()
        self.theme = theme = current_theme()
        self.face, self.edge = (
            RoundedRectangle(width=box.width, height=box.height, corner_radius=CORNER)
            .move_to(box.center)
            .set_stroke(width=width)
            for width in (0.0, theme.thin)
        )
        self.edge.set_fill(opacity=0.0)
        self.rim = filled([band(_upper_edge(box), RIM)], theme.rim)
        for part in (self.face, self.rim):
            part.set_sheen_direction(UP)
        self.add(self.face, self.edge, self.rim)
        self.set_light(1.0)

    def set_light(self, light: float) -> CardBody:
        """Set its brightness, 0 to 1, and return it."""
        theme = self.theme
        card, dark = theme.card, theme.background
        lower, upper = card, mixed(card, theme.ink, SHEEN)
        self.face.fill_rgbas = np.array(
            [[*color_to_rgb(mixed(dark, colour, light)), 1.0] for colour in (lower, upper)]
        )
        self.edge.set_stroke(mixed(dark, theme.flow, EDGE * light))
        rim = color_to_rgb(theme.rim)
        self.rim.fill_rgbas = np.array([[*rim, 0.0], [*rim, light]])
        return self


def _upper_edge(box: Box) -> Points:
    """Return a line (n, 2) along the upper edge of a card and some way down its sides."""
    angles = np.linspace(np.pi, np.pi / 2, CORNER_STEPS + 1)
    left = np.array([box.left, box.top]) + CORNER * np.stack(
        [1 + np.cos(angles), np.sin(angles) - 1], axis=1
    )
    half = np.vstack([[box.left, box.top - RIM_REACH * box.height], left])
    other = half[::-1] * [-1.0, 1.0] + [2 * box.x, 0.0]
    return np.asarray(np.vstack([half, other]))


class Card(Group):
    """One head in the stack.

    Attributes
    ----------
    head
        Number of the head, which is also the card's place, counted from 0 at the front.
    q, k, v, k_t, scores, pattern, z
        Its heatmaps; ``k_t`` is K transposed.
    wires
        The lines between them.
    body
        The card itself, which hides what is behind it.
    plane
        The depth plane of all its parts.
    """

    q: Heatmap
    k: Heatmap
    v: Heatmap
    k_t: Heatmap
    scores: Heatmap
    pattern: Heatmap
    z: Heatmap

    def __init__(self, view: HeadView, layout: HeadStackLayout, picture: HeadPicture) -> None:
        super().__init__()
        self.head = view.head
        self.plane = Plane(layout.card)
        flat = self.head == layout.flat
        for name, cells in (_flat_panels(picture) if flat else _panels(view, layout)).items():
            setattr(self, name, cells)
        self.wires = _flat_wires(picture) if flat else _wires(picture)
        self.body = CardBody(layout.card)
        self.add(self.plane, self.body, self.wires, *self.panels)
        # The flat picture has its full brightness: it becomes a card without a change.
        if not flat:
            self.set_light(layout.light_at(self.head))
        self.shift([0.0, 0.0, layout.depth_at(self.head)])
        set_depth_plane(self, self.plane)

    @property
    def panels(self) -> tuple[Heatmap, ...]:
        """Its heatmaps in reading order."""
        return tuple(getattr(self, name) for name in HEAD_TENSORS)

    def set_light(self, light: float) -> Card:
        """Set its brightness, 0 to 1, and return it."""
        self.body.set_light(light)
        theme = self.body.theme
        self.wires.set_color(mixed(theme.card, theme.flow, light))
        for panel in self.panels:
            panel.set_opacity(light)
        return self


def _flat_panels(picture: HeadPicture) -> dict[str, Heatmap]:
    return {name: getattr(picture, name).cells for name in HEAD_TENSORS}


def _panels(view: HeadView, layout: HeadStackLayout) -> dict[str, Heatmap]:
    return {name: head_cells(view, name, getattr(layout.head, name)) for name in HEAD_TENSORS}


def _flat_wires(picture: HeadPicture) -> Wires:
    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z, picture.product_dot)
    return Wires(picture.q_to_k_t, picture.k_to_k_t, picture.v_to_z, VGroup(*rest))


def _wires(picture: HeadPicture) -> Wires:
    """Return the lines of another card: a filled path for each of the four."""
    theme = current_theme()
    width = theme.line * UNITS_PER_POINT

    def path(*wires: Wire) -> VMobject:
        polygons = [polygon for wire in wires for polygon in outline_of(wire, width)]
        return filled(polygons, theme.flow)

    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z)
    return Wires(path(picture.q_to_k_t), path(picture.k_to_k_t), path(picture.v_to_z), path(*rest))


class HeadStack(Group):
    """A stack of cards, one for each query head of a layer, in their order.

    See the top of this module for an example.

    Parameters
    ----------
    view
        The layer.
    frame
        The frame for which the flat picture is made.
    featured
        Number of the head whose card is the flat picture; the trace's own choice by default.

    Attributes
    ----------
    picture : HeadPicture
        The flat picture from which its card is made; it also has what leads into the head.
    layout : HeadStackLayout
        Where cards are, and the named shots.
    cards : list of Card
        The cards from front to back: ``cards[4]`` is that of head 4.
    labels : CardLabels
        The text of the flat picture's card.
    """

    def __init__(self, view: LayerView, frame: Frame, *, featured: int | None = None) -> None:
        super().__init__()
        meta = view.trace.meta
        flat = meta.featured.head if featured is None else featured
        self.view = view
        self.picture = HeadPicture(view.head(flat), frame)
        self.layout = HeadStackLayout(self.picture.layout, meta.n_heads, flat)
        self.cards = [
            Card(view.head(head), self.layout, self.picture) for head in range(meta.n_heads)
        ]
        self.labels = set_depth_plane(CardLabels(self.picture), self.featured.plane)
        # From back to front, so that a stack is also drawn right without sorting by depth.
        self.add(*reversed(self.cards), self.labels)

    @property
    def featured(self) -> Card:
        """The card of the flat picture."""
        return self.cards[self.layout.flat]

    @property
    def others(self) -> list[Card]:
        """All other cards, from front to back."""
        return [card for card in self.cards if card is not self.featured]

    def parts(self, *names: str) -> Group:
        """Return the named parts of all cards, such as ``parts("k", "v")``."""
        return Group(*(getattr(card, name) for card in self.cards for name in names))


class CardLabels(Group):
    """The text of the flat picture's card.

    Attributes
    ----------
    names
        Names and symbols of the panels.
    notes
        Shapes, tokens and remarks, which can be read from straight ahead only.
    """

    def __init__(self, picture: HeadPicture) -> None:
        super().__init__()
        headers = {name: getattr(picture, name).header for name in HEAD_TENSORS}
        headers["pattern"] = picture.pattern_title
        self.names, self.notes = Group(), Group(picture.softmax_name)
        for header in headers.values():
            self.names.add(*(part for part in (header.name, header.symbol) if part is not None))
            self.notes.add(*(part for part in (header.shape,) if part is not None))
        if picture.pattern_words_readable:
            self.notes.add(picture.pattern_words)
        self.add(self.names, self.notes)
