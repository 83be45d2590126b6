"""All heads of a layer in space: a stack of cards, one behind the other, one for each query head.

Cards stand in the order of the heads, 0 at the front. They are opaque, and lit from above: each has
a rim of light along its upper edge, and what is farther back is darker. The head that is meant, the
*featured* one, is the flat picture of a head (:class:`~filmkit.mobjects.head.HeadPicture`) and lies
in the plane z = 0, so a scene can begin flat and turn into space without a jump; the other cards
are the same picture with few mobjects each. Every part has a name::

    stack = HeadStack(self.layer, self.frame, featured=self.head.head)
    self.add(stack.featured, stack.labels.keep_upright())
    self.play(self.move_camera(stack.layout.beside_flat))
    self.play(self.move_camera(stack.layout.from_left), stack.slide_in())
    self.play(stack.step_forward(4))                 # the card of head 4 rises, and is lit
    self.play(stack.orbit(self.camera, stack.layout.from_right))
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

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    UP,
    Animation,
    AnimationGroup,
    Group,
    LaggedStart,
    Mobject,
    RoundedRectangle,
    VGroup,
    VMobject,
    color_to_rgb,
)

from filmkit.core.animations import Arrive, Brighten, Glide, InPlaceAnimation, MoveCamera
from filmkit.core.camera import Shot, StageCamera, keep_upright, set_depth_plane
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.text import Label
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack_layout import HeadStackLayout
from filmkit.mobjects.head_tensors import HEAD_TENSORS, head_cells
from filmkit.mobjects.panel import Header
from filmkit.mobjects.ribbon import band, filled, outline_of

__all__ = [
    "UNITS_PER_POINT",
    "Card",
    "CardBody",
    "HeadStack",
    "Orbit",
    "Plane",
    "Step",
    "Wires",
    "copy_at_depth",
    "free_from_card",
]

CORNER = 0.22  # radius of a card's corners, in scene units
CORNER_STEPS = 6  # straight pieces that approximate a corner
RIM = 0.03  # width of the rim of light, in scene units
RIM_REACH = 0.5  # how far it reaches down the sides, as a share of the height
SHEEN = 0.06  # how much nearer to the ink's colour a face is at its upper edge
NAME_ROOM = 0.1  # between a name and the right edge of its card
EDGE = 0.4  # strength of the line around a card
PLACES = np.linspace(0.1, 0.9, 9)  # shares of an orbit at which it is made sure that all fits
MAX_ROUNDS, MORE_ROOM = 20, 0.02  # and how often, and how much more room it gets, as a logarithm
EASE = 0.15  # share of an orbit in which it gets going, and in which it slows down
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
    light
        Brightness, 0 to 1: the opacity of its panels.
    stepped
        How far it has stepped out of the stack: 0 in its place, 1 a step forward.
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
        self.light, self.stepped = 1.0, 0.0
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
        self.light = light
        self.body.set_light(light)
        theme = self.body.theme
        self.wires.set_color(mixed(theme.card, theme.flow, light))
        for panel in self.panels:
            panel.set_opacity(light)
        return self


class Step(InPlaceAnimation):
    """Let a card step out of the stack, or back into it, and change its brightness.

    :meth:`HeadStack.step_forward` and :meth:`HeadStack.step_back` make this animation.

    Parameters
    ----------
    card
        The card; panels that have left it stay where they are.
    along : (3,)
        From its place to the place a step forward.
    to
        How far it has stepped at the end: 0 in its place, 1 a step forward.
    light
        Its brightness at the end.
    others
        What moves with it, such as its labels.
    """

    def __init__(
        self,
        card: Card,
        along: npt.ArrayLike,
        *,
        to: float,
        light: float,
        others: Sequence[Mobject] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(card, **kwargs)
        self.card, self.along, self.others = card, np.asarray(along, dtype=float), others
        self.to, self.light = to, light

    def begin(self) -> None:
        self.start = self.card.stepped, self.card.light
        family = Group(self.card, *self.others).get_family()
        # What is kept upright follows the card's plane by itself.
        self.moves = [
            (member, member.points.copy())
            for member in family
            if vars(member).get("anchor") is None
            and (vars(member).get("depth_plane") is self.card.plane or member is self.card.plane)
        ]
        super().begin()

    def step(self, alpha: float) -> None:
        stepped, light = self.start
        self.card.stepped = (1 - alpha) * stepped + alpha * self.to
        for member, points in self.moves:
            member.points = points + (self.card.stepped - stepped) * self.along
        self.card.set_light((1 - alpha) * light + alpha * self.light)


class Orbit(MoveCamera):
    """Move the camera round a stack of heads, from its shot to another.

    All of the way the stack has about the size that it has in a named shot.
    :meth:`HeadStack.orbit` makes this animation.

    Parameters
    ----------
    camera
        The stage's camera.
    layout
        Where the cards are.
    shot
        Where it ends.
    """

    tempo = "orbit"

    def __init__(
        self, camera: StageCamera, layout: HeadStackLayout, shot: Shot, **kwargs: Any
    ) -> None:
        super().__init__(camera, shot, **({"rate_func": steady} | kwargs))
        self.layout = layout

    def begin(self) -> None:
        super().begin()
        self.ends = (_of(self.origin), _of(self.shot))
        self.middle = _of(self.layout.on_the_way(self.origin, self.shot))
        # The stack fits into the frame at both ends and in the middle; in between it may need a
        # little more room.
        for _round in range(MAX_ROUNDS):
            if all(self.layout.fits(self._between(share)) for share in PLACES):
                break
            self.middle[3] += MORE_ROOM

    def step(self, alpha: float) -> None:
        if 0 < alpha < 1:
            self.camera.shot = self._between(alpha)
        else:
            super().step(alpha)

    def _between(self, alpha: float) -> Shot:
        """Return the shot on the parabola that passes the middle half-way."""
        first, last = self.ends
        bent = 4 * alpha * (1 - alpha) * (self.middle - (first + last) / 2)
        x, y, z, height, theta, phi, focal = (1 - alpha) * first + alpha * last + bent
        return Shot((x, y, z), float(np.exp(height)), theta, phi, float(np.exp(focal)))


def _of(shot: Shot) -> Points:
    """Return a shot as seven numbers that can be interpolated."""
    center, height, theta, phi, focal = astuple(shot)
    return np.array([*center, np.log(height), theta, phi, np.log(focal)])


def steady(alpha: float) -> float:
    """Rate function of an orbit: even, with a smooth start and a smooth end."""
    if alpha > 0.5:
        return 1 - steady(1 - alpha)
    speed = 1 / (1 - EASE)
    return speed * (alpha**2 / (2 * EASE) if alpha < EASE else alpha - EASE / 2)


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
    title
        "head n" in the middle of that card; not part of the group, a scene can add it.
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
        self.labels = CardLabels(self.picture, self.featured.plane)
        self.title = Label(_("head {head}", head=flat), size=current_theme().name_size)
        self.title.on_line(*self.layout.title)
        set_depth_plane(Group(self.labels, self.title), self.featured.plane)
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

    def parts_except(self, *names: str) -> Group:
        """Return all parts of all cards except the named ones."""
        excluded = {id(part) for part in self.parts(*names)}
        return Group(*(part for card in self.cards for part in card if id(part) not in excluded))

    def slide_in(self, *, lag_ratio: float = 0.35, **kwargs: Any) -> Animation:
        """Return an animation that adds all cards but the one of the flat picture.

        They slide in from outside of the frame at the right: first those behind it, then those
        in front of it, each time the nearest first.

        Parameters
        ----------
        lag_ratio
            Delay from one card to the next, as a share of the time that one card takes.
        """
        flat, offset = self.layout.flat, [self.layout.offscreen_distance, 0.0, 0.0]
        cards = [*self.cards[flat + 1 :], *reversed(self.cards[:flat])]
        arriving = [Arrive(card, card.copy().shift(offset)) for card in cards]
        return LaggedStart(*arriving, lag_ratio=lag_ratio, **kwargs)

    def step_forward(self, head: int, **kwargs: Any) -> Step:
        """Return an animation in which the card of a head steps out of the stack, fully lit."""
        return self._step(head, 1.0, 1.0, **kwargs)

    def step_back(self, head: int, **kwargs: Any) -> Step:
        """Return an animation in which the card of a head steps back, lit like its neighbours."""
        return self._step(head, 0.0, self.layout.light_at(head), **kwargs)

    def _step(self, head: int, to: float, light: float, **kwargs: Any) -> Step:
        card = self.cards[head]
        others = (self.labels, self.title) if card is self.featured else ()
        return Step(card, self.layout.step, to=to, light=light, others=others, **kwargs)

    def pull_out(self, *, lag_ratio: float = 0.15, **kwargs: Any) -> Animation:
        """Return an animation that pulls z out of every card, to the right, from the first on.

        Outside it is fully lit, for there is no card behind it.

        Parameters
        ----------
        lag_ratio
            Delay from one card to the next, as a share of the time that one card takes.
        """
        shift = [self.layout.pull_distance, 0.0, 0.0]
        pulled = [
            AnimationGroup(Glide(free_from_card(z), z.copy().shift(shift)), Brighten(z, run_time=1))
            for z in (card.z for card in self.cards)
        ]
        return LaggedStart(*pulled, lag_ratio=lag_ratio, **kwargs)

    def orbit(self, camera: StageCamera, shot: Shot, **kwargs: Any) -> Orbit:
        """Return an animation that moves the camera round the stack to a named shot of it.

        It takes the theme's ``orbit``, 8 s, by default.
        """
        return Orbit(camera, self.layout, shot, **kwargs)


class CardLabels(Group):
    """The text of the flat picture's card.

    Attributes
    ----------
    q, k, v, k_t, scores, pattern, z
        Headers of the panels.
    names
        Names and symbols.
    notes
        Shapes, tokens and remarks, which can be read from straight ahead only.
    """

    def __init__(self, picture: HeadPicture, plane: Plane) -> None:
        super().__init__()
        self.picture, self.plane = picture, plane
        headers = {name: getattr(picture, name).header for name in HEAD_TENSORS}
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

    def keep_upright(self, *, at_pattern: bool = False, shot: Shot | None = None) -> CardLabels:
        """Let names face the camera and keep their size when it moves, and return all labels.

        With ``at_pattern`` the name of the pattern stands at the pattern itself if there is room
        below the name of the scores: so where its words are not drawn. The name of z is made
        smaller if it would reach beyond the card in ``shot``.

        Straight ahead this changes nothing. In shots of the card alone they can be read well; in
        those of a stack they are larger than the gaps between its panels, and other cards hide
        them: there the names beside it are for reading
        (:class:`~filmkit.mobjects.head_stack_marks.PanelNames`).
        """
        if at_pattern:
            box = self.picture.pattern.cells.box
            named = self.pattern.copy().stand_on(box, align="right")
            if named.get_top()[1] < self.scores.get_bottom()[1]:
                self.pattern.stand_on(box, align="right")
        for name in HEAD_TENSORS:
            header: Header = getattr(self, name)
            if not header.submobjects:
                continue
            # It stays flush with its panel where it is now.
            sides = [header.get_left()[0], header.get_x(), header.get_right()[0]]
            box = getattr(self.picture, name).cells.box
            gaps = np.abs(np.subtract(sides, [box.left, box.x, box.right]))
            foot = np.array([sides[int(gaps.argmin())], header.get_bottom()[1], 0.0])
            header.shift(-foot)
            if name == "z" and shot is not None:
                # Its shape, which comes last, is not shown from the side.
                named = Group(*filter(None, (header.name, header.symbol)))
                room = self._room_at(foot, shot) / named.get_right()[0]
                header.scale(min(1.0, room), about_point=np.zeros(3))
            keep_upright(header, self._follow(foot))
        return self

    def _room_at(self, foot: Points, shot: Shot) -> float:
        """Return the room for a name, as it is seen, from a point of the card to its right edge."""
        layout = self.picture.layout
        edge = np.array([layout.border.right, foot[1], foot[2]])
        ends = np.stack([self._follow(point)(shot) for point in (foot, edge)])
        start, stop = shot.project(ends, layout.frame.height)[:, 0]
        return float(stop - start) - NAME_ROOM

    def _follow(self, point: Points) -> Callable[[Shot], Points]:
        """Return a function that gives the place of a point of the card when the card moves."""
        offset = point - self.plane.points[0]
        return lambda shot: self.plane.points[0] + offset
