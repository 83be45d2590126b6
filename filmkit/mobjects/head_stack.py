"""All heads of a layer in space: a rack of cards, one for each query head.

The first card is the flat picture of a head (:class:`~filmkit.mobjects.head.HeadPicture`), so a
scene can begin flat and turn into space without a jump; the cards behind it are the same picture
with few mobjects each. Every part has a name::

    rack = HeadStack(self.layer, self.frame)
    self.add(rack)
    self.play(self.move_camera(rack.slots.from_left))
    self.play(rack.slide_in())                       # the cards behind, one after another
    rack.heads[4].pattern                            # the heatmap of head 4's pattern
    rack.heads[4].scores.set_values(other)           # other numbers, same norm
    self.play(Vanish(rack.heads[4].wires.key))       # its line from K to K^T
    self.play(*(Presence(card.k, 0.0) for card in rack.cards))

A panel that leaves its card, for a place that heads share for instance, is freed first, so that
it is sorted by its own depth from then on::

    box, z = rack.slots.shared(rack.front.k.box, places=range(len(rack.cards)))
    self.play(*(Glide(free(card.k), standing(card.k, box, z)) for card in rack.cards))

:class:`~filmkit.mobjects.fan_out.FanOut` draws the connector from there to the heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from manim import Animation, Group, LaggedStart, Mobject, RoundedRectangle, VGroup, VMobject

from filmkit.core.animations import Arrive
from filmkit.core.camera import on_card
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
    "BACK",
    "STROKE",
    "Card",
    "HeadStack",
    "Plane",
    "Wires",
    "border_of",
    "featured_first",
    "free",
    "glass_of",
    "standing",
]

BACK = 0.85  # strength of the cards behind the first one
CLEAR = 0.1  # what shows of the last card through all the others, where they have no panel
MAX_GLASS = 0.3  # how much one of them hides
FRONT_GLASS = 0.85  # the front card's labels must be readable
CORNER = 0.22
STROKE = 0.01  # scene units for one point of line width, as Cairo draws it
PANELS = ("q", "k", "v", "k_t", "scores", "pattern", "z")
M = TypeVar("M", bound=Mobject)


class Plane(Mobject):
    """Three corners of a card and a fourth: where it is in depth, without any ink."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        left, right, bottom, top = box.left, box.right, box.bottom, box.top
        self.points = np.array(
            [[left, top, 0], [right, top, 0], [right, bottom, 0], [left, bottom, 0]], dtype=float
        )


def free(heatmap: Heatmap) -> Heatmap:
    """Sort a panel by its own depth, whatever card it stood on; it must stay upright."""
    return on_card(heatmap, heatmap)


def standing(heatmap: Heatmap, box: Box, z: float) -> Heatmap:
    """A copy of a panel that fills a box of the plane at depth ``z``: where to glide to."""
    copy = heatmap.copy().place(box)
    copy.shift([0.0, 0.0, z])
    return copy


def featured_first(view: LayerView, head: int) -> tuple[int, ...]:
    """All heads: the given one, those that share its keys and values, then the others in order."""
    partners = view.head(head).partners
    others = (h for h in range(view.trace.meta.n_heads) if h not in partners)
    return (head, *(h for h in partners if h != head), *others)


class Wires(VGroup):
    """The flow lines of a card: ``query`` (Q to K^T), ``key`` (K to K^T), ``value`` (V to z) and
    ``rest`` (K^T to scores to pattern to z)."""

    def __init__(self, query: Mobject, key: Mobject, value: Mobject, rest: Mobject) -> None:
        super().__init__(query, key, value, rest)
        self.query, self.key, self.value, self.rest = query, key, value, rest


class Card(Group):
    """One head in the rack.

    Attributes
    ----------
    head
        Which head it is.
    place
        Its place in the rack, 0 at the front.
    q, k, v, k_t, scores, pattern, z
        Its heatmaps.
    wires
        Its flow lines.
    border, glass
        Its outline, and the pane within, which dims what is behind where the card has no panel.
    plane
        What its parts are sorted by: they are drawn at the depth of this plane.
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
                panel.set_opacity(BACK)
        self.shift([0.0, 0.0, layout.z(place)])
        on_card(self, self.plane)

    @property
    def panels(self) -> tuple[Heatmap, ...]:
        """All its heatmaps, in reading order."""
        return tuple(getattr(self, name) for name in PANELS)


def _front_panels(picture: HeadPicture) -> dict[str, Heatmap]:
    return {name: getattr(picture, name).cells for name in PANELS}


def _panels(view: HeadView, layout: HeadStackLayout) -> dict[str, Heatmap]:
    return {name: head_cells(view, name, getattr(layout.head, name)) for name in PANELS}


def _front_wires(picture: HeadPicture) -> Wires:
    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z, picture.product_dot)
    return Wires(picture.q_to_k_t, picture.k_to_k_t, picture.v_to_z, VGroup(*rest))


def _wires(picture: HeadPicture) -> Wires:
    """The lines of a card behind the first: one filled path for each of the four."""
    theme = current_theme()
    width = theme.line * STROKE

    def path(*wires: Wire) -> VMobject:
        polygons = [polygon for wire in wires for polygon in outline_of(wire, width)]
        return filled(polygons, theme.flow, BACK)

    rest = (picture.k_t_to_scores, picture.softmax, picture.pattern_to_z)
    return Wires(path(picture.q_to_k_t), path(picture.k_to_k_t), path(picture.v_to_z), path(*rest))


def _outline(layout: HeadStackLayout, **kwargs: Any) -> RoundedRectangle:
    box = layout.card
    shape = RoundedRectangle(width=box.width, height=box.height, corner_radius=CORNER, **kwargs)
    return shape.move_to(box.center)


def glass_of(layout: HeadStackLayout, *, front: bool) -> RoundedRectangle:
    """The pane of a card, which dims what is behind it."""
    hides = FRONT_GLASS if front else min(MAX_GLASS, 1 - CLEAR ** (1 / layout.count))
    return _outline(
        layout, fill_color=current_theme().background, fill_opacity=hides, stroke_width=0.0
    )


def border_of(layout: HeadStackLayout, *, front: bool) -> RoundedRectangle:
    """The outline of a card."""
    theme = current_theme()
    return _outline(
        layout,
        stroke_color=theme.flow,
        stroke_width=theme.line if front else theme.thin,
        stroke_opacity=1.0 if front else BACK,
        fill_opacity=0.0,
    )


class HeadStack(Group):
    """A card for each query head of a layer, the first in front.

    Parameters
    ----------
    view
        Which layer.
    frame
        The frame whose head picture the cards are.
    order
        Heads from front to back; 0 to n - 1 by default.

    Attributes
    ----------
    picture
        The flat picture that the front card is made of, with its labels and what leads into it.
    slots
        Where cards stand, and the named shots.
    heads
        The card of each head, by head.
    cards
        The cards from front to back.
    labels
        The words of the front card.
    title
        Which head the front card is, in the middle of it; not there unless a scene adds it.
    """

    def __init__(
        self, view: LayerView, frame: Frame, *, order: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        heads = range(view.trace.meta.n_heads)
        self.order = tuple(heads if order is None else order)
        if sorted(self.order) != list(heads):
            raise ValueError(f"a rack of {len(heads)} heads cannot stand in the order {order}")
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
        on_card(Group(self.labels, self.title), self.front.plane)
        # From back to front, so that a rack that is drawn without sorting is right as well.
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
        """The named parts of all cards, such as ``parts("k", "v")``."""
        return Group(*(getattr(card, name) for card in self.cards for name in names))

    def parts_but(self, *names: str) -> Group:
        """All parts of all cards but the named ones."""
        kept = {id(part) for part in self.parts(*names)}
        return Group(*(part for card in self.cards for part in card if id(part) not in kept))

    def slide_in(self, *, lag_ratio: float = 0.35, **kwargs: Any) -> Animation:
        """The cards behind the first come in from the right, the nearest first, in one motion."""
        offset = [self.layout.outside, 0.0, 0.0]
        arriving = [Arrive(card, card.copy().shift(offset)) for card in self.back]
        return LaggedStart(*arriving, lag_ratio=lag_ratio, **kwargs)


class CardLabels(Group):
    """The words of the front card.

    Attributes
    ----------
    q, k, v, k_t, scores, pattern, z
        The headers of its panels.
    names
        Names and symbols, which can be read from every shot of the rack.
    notes
        Shapes, token words and remarks, which can be read from straight ahead only.
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
        if picture.words_carry:
            self.notes.add(picture.far_words)
        self.add(self.names, self.notes)
