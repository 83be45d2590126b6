"""All heads of a layer in space: a stack of cards, one behind the other, one for each query head.

The first card is the flat picture of a head (:class:`~filmkit.mobjects.head.HeadPicture`), so a
scene can begin flat and turn into space without a jump; the cards behind it are the same picture
with few mobjects each. Every part has a name::

    stack = HeadStack(self.layer, self.frame)
    self.add(stack.front, stack.labels)
    self.play(self.move_camera(stack.layout.from_left))
    self.play(stack.slide_in())                      # the cards behind, one after another
    stack.heads[4].pattern                           # the heatmap of head 4's pattern
    stack.heads[4].scores.set_values(other)          # other numbers, same norm
    self.play(Vanish(stack.heads[4].wires.key))      # its line from K to K^T
    self.play(*(Presence(card.k, 0.0) for card in stack.cards))

A panel that leaves its card, for instance for a place that heads share, must first be sorted by
its own depth instead of the card's::

    box, z = stack.layout.shared(stack.front.k.box, places=range(len(stack.cards)))
    self.play(
        *(Glide(free_from_card(card.k), copy_at_depth(card.k, box, z)) for card in stack.cards)
    )

:class:`~filmkit.mobjects.fan_out.FanOut` draws the connector from there to the heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from manim import Animation, Group, LaggedStart, Mobject, RoundedRectangle, VGroup, VMobject

from filmkit.core.animations import Arrive
from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.head import HeadPicture, head_cells
from filmkit.mobjects.head_stack_layout import HeadStackLayout
from filmkit.mobjects.ribbon import filled, outline_of

__all__ = [
    "BACK_OPACITY",
    "UNITS_PER_POINT",
    "Card",
    "HeadStack",
    "Plane",
    "Wires",
    "border_of",
    "copy_at_depth",
    "featured_first",
    "free_from_card",
    "glass_of",
]

BACK_OPACITY = 0.85
"""Opacity of panels, lines and borders of the cards behind the first one."""

CLEAR = 0.1  # share of the light from the last card that passes the panes of all others
MAX_GLASS = 0.3  # opacity of the pane of one card
FRONT_GLASS = 0.85  # opacity of the front card's pane: its labels must be readable
CORNER = 0.22  # radius of a card's corners, in scene units
UNITS_PER_POINT = 0.01
"""Scene units for one point of line width, as Cairo draws it."""

PANELS = ("q", "k", "v", "k_t", "scores", "pattern", "z")
M = TypeVar("M", bound=Mobject)


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


def featured_first(view: LayerView, head: int) -> tuple[int, ...]:
    """Return the numbers of all heads in the order for a stack that begins with one head.

    The heads that share its keys and values come next, then the others, each in order.
    """
    partners = view.head(head).partners
    others = (h for h in range(view.trace.meta.n_heads) if h not in partners)
    return (head, *(h for h in partners if h != head), *others)


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


class Card(Group):
    """One head in the stack.

    Attributes
    ----------
    head
        Number of the head.
    place
        Its place in the stack, 0 at the front.
    q, k, v, k_t, scores, pattern, z
        Its heatmaps; ``k_t`` is K transposed.
    wires
        The lines between them.
    border, glass
        Its outline, and the pane inside it: a shape in the colour of the background, which dims
        what is behind the card between its panels.
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

    def __init__(
        self, view: HeadView, place: int, layout: HeadStackLayout, picture: HeadPicture
    ) -> None:
        super().__init__()
        self.head, self.place = view.head, place
        self.plane = Plane(layout.card)
        front = place == 0
        for name, cells in (_front_panels(picture) if front else _panels(view, layout)).items():
            setattr(self, name, cells)
        self.wires = _front_wires(picture) if front else _wires(picture)
        self.glass, self.border = glass_of(layout, front=front), border_of(layout, front=front)
        self.add(self.plane, self.glass, self.border, self.wires, *self.panels)
        if not front:
            for panel in self.panels:
                panel.set_opacity(BACK_OPACITY)
        self.shift([0.0, 0.0, layout.depth_at(place)])
        set_depth_plane(self, self.plane)

    @property
    def panels(self) -> tuple[Heatmap, ...]:
        """Its heatmaps in reading order."""
        return tuple(getattr(self, name) for name in PANELS)


def _front_panels(picture: HeadPicture) -> dict[str, Heatmap]:
    return {name: getattr(picture, name).cells for name in PANELS}


def _panels(view: HeadView, layout: HeadStackLayout) -> dict[str, Heatmap]:
    return {name: head_cells(view, name, getattr(layout.head, name)) for name in PANELS}


def _front_wires(picture: HeadPicture) -> Wires:
    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z, picture.product_dot)
    return Wires(picture.q_to_k_t, picture.k_to_k_t, picture.v_to_z, VGroup(*rest))


def _wires(picture: HeadPicture) -> Wires:
    """Return the lines of a card behind the first one: a filled path for each of the four."""
    theme = current_theme()
    width = theme.line * UNITS_PER_POINT

    def path(*wires: Wire) -> VMobject:
        polygons = [polygon for wire in wires for polygon in outline_of(wire, width)]
        return filled(polygons, theme.flow, BACK_OPACITY)

    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z)
    return Wires(path(picture.q_to_k_t), path(picture.k_to_k_t), path(picture.v_to_z), path(*rest))


def _outline(layout: HeadStackLayout, **kwargs: Any) -> RoundedRectangle:
    box = layout.card
    shape = RoundedRectangle(width=box.width, height=box.height, corner_radius=CORNER, **kwargs)
    return shape.move_to(box.center)


def glass_of(layout: HeadStackLayout, *, front: bool) -> RoundedRectangle:
    """Return the pane of a card, which dims what is behind it."""
    hides = FRONT_GLASS if front else min(MAX_GLASS, 1 - CLEAR ** (1 / layout.count))
    return _outline(
        layout, fill_color=current_theme().background, fill_opacity=hides, stroke_width=0.0
    )


def border_of(layout: HeadStackLayout, *, front: bool) -> RoundedRectangle:
    """Return the outline of a card."""
    theme = current_theme()
    return _outline(
        layout,
        stroke_color=theme.flow,
        stroke_width=theme.line if front else theme.thin,
        stroke_opacity=1.0 if front else BACK_OPACITY,
        fill_opacity=0.0,
    )


class HeadStack(Group):
    """A stack of cards, one for each query head of a layer.

    See the top of this module for an example.

    Parameters
    ----------
    view
        The layer.
    frame
        The frame for which the flat picture of the first card is made.
    order
        Numbers of the heads from front to back; 0 to n - 1 by default.

    Attributes
    ----------
    picture : HeadPicture
        The flat picture from which the front card is made; it also has what leads into the head.
    layout : HeadStackLayout
        Where cards are, and the named shots.
    heads : dict of Card
        Card of each head, by the head's number.
    cards : list of Card
        The cards from front to back.
    labels : CardLabels
        The text of the front card.
    title
        "head n" in the middle of the front card; not part of the group, a scene can add it.

    Raises
    ------
    ValueError
        If ``order`` does not have every head once.
    """

    def __init__(
        self, view: LayerView, frame: Frame, *, order: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        heads = range(view.trace.meta.n_heads)
        self.order = tuple(heads if order is None else order)
        if sorted(self.order) != list(heads):
            raise ValueError(f"a stack of {len(heads)} heads cannot have the order {order}")
        self.view = view
        self.picture = HeadPicture(view.head(self.order[0]), frame)
        self.layout = HeadStackLayout.of(self.picture.layout, len(self.order))
        self.cards = [
            Card(view.head(head), place, self.layout, self.picture)
            for place, head in enumerate(self.order)
        ]
        self.heads = {card.head: card for card in self.cards}
        self.labels = CardLabels(self.picture)
        self.title = Label(f"head {self.order[0]}", size=current_theme().name_size)
        self.title.on_line(*self.layout.title)
        set_depth_plane(Group(self.labels, self.title), self.front.plane)
        # From back to front, so that a stack is also drawn right without sorting by depth.
        self.add(*reversed(self.cards), self.labels)

    @property
    def front(self) -> Card:
        """The first card."""
        return self.cards[0]

    @property
    def back(self) -> list[Card]:
        """All cards but the first, from front to back."""
        return self.cards[1:]

    def parts(self, *names: str) -> Group:
        """Return the named parts of all cards, such as ``parts("k", "v")``."""
        return Group(*(getattr(card, name) for card in self.cards for name in names))

    def parts_except(self, *names: str) -> Group:
        """Return all parts of all cards except the named ones."""
        excluded = {id(part) for part in self.parts(*names)}
        return Group(*(part for card in self.cards for part in card if id(part) not in excluded))

    def slide_in(self, *, lag_ratio: float = 0.35, **kwargs: Any) -> Animation:
        """Return an animation that adds the cards behind the first one.

        They slide in from outside of the frame at the right, the nearest first.

        Parameters
        ----------
        lag_ratio
            Delay from one card to the next, as a share of the time that one card takes.
        """
        offset = [self.layout.offscreen_distance, 0.0, 0.0]
        arriving = [Arrive(card, card.copy().shift(offset)) for card in self.back]
        return LaggedStart(*arriving, lag_ratio=lag_ratio, **kwargs)


class CardLabels(Group):
    """The text of the front card.

    Attributes
    ----------
    q, k, v, k_t, scores, pattern, z
        Headers of the panels.
    names
        Names and symbols, which can be read in every shot of the stack.
    notes
        Shapes, tokens and remarks, which can be read from straight ahead only.
    """

    def __init__(self, picture: HeadPicture) -> None:
        super().__init__()
        headers = {name: getattr(picture, name).header for name in PANELS}
        headers["pattern"] = picture.pattern_title
        self.q, self.k, self.v = headers["q"], headers["k"], headers["v"]
        self.k_t, self.scores = headers["k_t"], headers["scores"]
        self.pattern, self.z = headers["pattern"], headers["z"]
        self.names, self.notes = Group(), Group(picture.softmax_name)
        for header in headers.values():
            self.names.add(*(part for part in (header.name, header.symbol) if part is not None))
            self.notes.add(*(part for part in (header.shape,) if part is not None))
        if picture.pattern_words_readable:
            self.notes.add(picture.pattern_words)
        self.add(self.names, self.notes)
