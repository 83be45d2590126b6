"""Bodies of the room: boxes and sheets with colours of their own, and the lamp that lights them.

A :class:`Body` has a frame of its own, four points of the scene: its origin, and the ends of its
three axes. Manim moves, turns, scales and blends these points like those of any mobject, and all
boxes go along. What is a submobject of a body lies on it: it is drawn right after it, with the same
light.

Light does not change what a body says: :func:`light_on` is one share for the whole of a body, so
heights and colours can be compared within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from manim import Mobject, color_to_rgb

from filmkit.core.errors import SceneCodeError
from filmkit.core.norm import TensorSource
from filmkit.core.theme import current_theme

__all__ = ["Body", "Lamp", "light_on", "put", "turned"]

Array = npt.NDArray[np.float64]

FOLDED = 1e-18  # volume of a body's axes that has no inside, in cubic scene units
UNIT = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
REST = 0.45  # share of the light on a body that no lamp reaches
RADIUS = 1.3  # of a lamp's light, in scene units
HANGS = 0.5  # how far a lamp hangs over what it is aimed at

BLENDED = "boxes", "colours", "quads", "quad_colours"
"""What changes evenly from one body to another, if it is of the same shape."""

CHANGED = "layers", "values", "first", "unit", "told", "source"
"""What changes in the middle."""


class Body(Mobject):
    """Boxes and sheets that stand in the room together.

    Parameters
    ----------
    boxes : (n, 2, 3)
        The lowest and the highest corner of each box, along the axes of the body (right, up, near).
        A box without thickness is a sheet.
    colours : (n, 3) or (n, m)
        RGB of each box, 0 to 255; or "#RRGGBB" for all of them.
    layers : (n,)
        Order of boxes that lie on each other: a plane across the second axis is between two layers,
        the higher one above it. All are in one by default, side by side along the first axis.
    quads : (m, 4, 3)
        More sheets, of any four corners, in the order in which they are painted, after the boxes.
    quad_colours : (m, 3)
        Their RGB, 0 to 255.
    shadow
        Whether it throws one.

    Attributes
    ----------
    kind : str
        What it is in the map of a picture and for those who cannot see it: "slab", "relief",
        "bars", "arc", "flow" or "".
    told : str
        What stands there, in words: the token of a slab, the name of a row.
    values : (n,) or None
        Numbers that it carries, of boxes ``first`` to ``first + n``.
    unit : float
        How much a length of 1 along the second axis stands for.
    source
        Where the numbers come from.
    carried
        What else lies on it, and is drawn right after it with its light, but moves by itself.
    is_light : bool
        Whether it is light itself, which needs no lamp to be seen.

    Raises
    ------
    SceneCodeError
        If boxes or quads have no such shape, or a place is not a finite number.

    Examples
    --------
    A cube on the floor, in the colour of queries::

        self.add(Body([[(0, 0, 0), (1, 1, 1)]], theme.query))
    """

    kind: ClassVar[str] = ""
    is_light: bool = False

    def __init__(
        self,
        boxes: npt.ArrayLike = (),
        colours: npt.ArrayLike | str = "#ffffff",
        *,
        layers: npt.ArrayLike = 0,
        quads: npt.ArrayLike = (),
        quad_colours: npt.ArrayLike | str = "#ffffff",
        shadow: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.points = UNIT.copy()
        self.told = ""
        self.values: Array | None = None
        self.first = 0
        self.unit = 1.0
        self.source = TensorSource()
        self.carried: Sequence[Mobject] = ()
        self.shadow = shadow
        self.set_boxes(boxes, colours, layers)
        self.set_quads(quads, quad_colours)

    def set_boxes(
        self, boxes: npt.ArrayLike, colours: npt.ArrayLike | str, layers: npt.ArrayLike = 0
    ) -> Self:
        """Give it other boxes; parameters are those of the class."""
        self.boxes = _places(boxes, 2)
        self.colours = _colours(colours, len(self.boxes))
        self.layers = np.broadcast_to(np.asarray(layers, dtype=int), len(self.boxes))
        return self

    def set_quads(self, quads: npt.ArrayLike, colours: npt.ArrayLike | str) -> Self:
        """Give it other sheets; parameters are those of the class."""
        self.quads = _places(quads, 4)
        self.quad_colours = _colours(colours, len(self.quads))
        return self

    @property
    def lying(self) -> list[Mobject]:
        """All that lies on it: its submobjects, and what it carries."""
        carried = (member for each in self.carried for member in each.get_family())
        return [*self.get_family()[1:], *carried]

    @property
    def axes(self) -> Array:
        """Its axes (3, 3), in scene units."""
        return np.asarray(self.points[1:] - self.points[0])

    def at(self, *places: npt.ArrayLike) -> Array:
        """Return where places of the body, (..., 3) in its own units, are in the scene."""
        return _placed(self.points, np.asarray(places[0] if len(places) == 1 else places, float))

    def within(self, points: Array) -> Array:
        """Return where points (..., 3) of the scene are in the body, in its own units."""
        return _within(self.points, points)

    @property
    def is_folded(self) -> bool:
        """Whether its three axes lie in one plane, so that it has no inside."""
        return abs(_volume(self.axes)) < FOLDED

    @property
    def extent(self) -> Array:
        """Its lowest and its highest corner (2, 3), in its own units."""
        corners = np.concatenate([self.boxes.reshape(-1, 3), self.quads.reshape(-1, 3)])
        if not len(corners):
            return np.zeros((2, 3))
        return np.array([corners.min(axis=0), corners.max(axis=0)])

    @property
    def corners(self) -> Array:
        """The eight corners (8, 3) of the smallest box around it, in the scene."""
        extent = self.extent
        return self.at([[extent[i][k] for k, i in enumerate(c)] for c in np.ndindex(2, 2, 2)])

    @property
    def middle(self) -> Array:
        """Its middle (3,) in the scene."""
        return self.at(self.extent.mean(axis=0))

    @property
    def top(self) -> Array:
        """The middle (3,) of its upper side, in the scene."""
        low, high = self.extent
        x, _y, z = (low + high) / 2
        return self.at((x, high[1], z))

    def put(self, at: npt.ArrayLike, *, turn: float = 0.0, size: float = 1.0) -> Self:
        """Move it, with all that lies on it, so that its origin is at a point, and return it.

        Parameters
        ----------
        at : (3,)
            The point.
        turn
            How far it is turned about the vertical, in degrees, to the left as seen from above.
        size
            By how much it is larger than in its own units.
        """
        frame = turned(UNIT * size, turn) + np.asarray(at, dtype=float)
        for member in self.get_family():
            if member is not self:
                member.points = _carried(member.points, self.points, frame)
        self.points = frame
        return self

    # Methods that manim calls

    def get_merged_array(self, array_attr: str) -> Array:
        """Return the corners of all that is drawn, not the frame, where manim asks for points."""
        if array_attr != "points":
            return np.asarray(super().get_merged_array(array_attr))
        return np.concatenate([self.corners, *(part.get_all_points() for part in self.submobjects)])

    def reduce_across_dimension(self, reduce_func: Any, dim: int) -> float:
        """Return the least or the largest coordinate of all that is drawn."""
        return float(reduce_func(self.get_all_points()[:, dim]))

    def align_submobjects(self, mobject: Mobject) -> Self:
        """Give what lies on only one of two bodies an invisible counterpart on the other."""
        if not isinstance(mobject, Body):
            raise SceneCodeError(
                f"a body turns into another body, not into {type(mobject).__name__}; "
                "let one vanish and the other appear"
            )
        for one, other in ((self, mobject), (mobject, self)):
            for part in other.submobjects[len(one.submobjects) :]:
                unseen = part.copy().fade(1)
                for member in unseen.get_family():
                    member.points = _carried(member.points, other.points, one.points)
                one.add(unseen)
        return self

    def fade(self, darkness: float = 0.5, family: bool = True) -> Self:
        """Reduce its presence by the share ``darkness``, as manim fades in and out."""
        super().fade(darkness, family)
        self.presence = _presence(self) * (1 - darkness)
        return self

    def interpolate_color(self, mobject1: Body, mobject2: Body, alpha: float) -> Self:
        """Take boxes, sheets, colours and numbers on the way between two bodies.

        Where these are not as many, it changes from one to the other in the middle. What bars stand
        for is true all the way.
        """
        start, end = vars(mobject1), vars(mobject2)
        look = {name: (end if alpha >= 0.5 else start)[name] for name in (*BLENDED, *CHANGED)}
        if 0 < alpha < 1:
            for name in BLENDED:
                if start[name].shape == end[name].shape:
                    look[name] = _between(start[name], end[name], alpha)
            # Without numbers, shapes are ().
            counts = np.shape(start["values"]), np.shape(end["values"])
            if counts[0] == counts[1] != () and start["boxes"].shape == end["boxes"].shape:
                one, other = (each["values"] / each["unit"] for each in (start, end))
                lengths = _between(one, other, alpha)
                look["unit"] = _between(start["unit"], end["unit"], alpha)
                look["values"] = look["unit"] * lengths
                # A bar that turns over shrinks to nothing on its way.
                turns = np.flatnonzero(one * other < 0)
                ends = np.stack([np.minimum(lengths, 0), np.maximum(lengths, 0)], axis=1)
                look["boxes"][look["first"] + turns, :, 1] = ends[turns]
        self.__dict__.update(look)
        self.presence = _between(_presence(mobject1), _presence(mobject2), alpha)
        return self


class Lamp(Mobject):
    """The light of a picture: it hangs over what matters, and lights what is near.

    Its presence is its power. Where there is none, all bodies are seen in full light, and there is
    no light on the floor.

    Parameters
    ----------
    over : Mobject or (3,)
        What it is aimed at: a body's upper side, the middle of something else, or a point.
    radius
        How far its light reaches, in scene units.
    hangs
        How far above that it hangs.

    Attributes
    ----------
    points : (2, 3)
        Where it hangs, and what it is aimed at.
    """

    def __init__(
        self,
        over: Mobject | npt.ArrayLike,
        *,
        radius: float = RADIUS,
        hangs: float = HANGS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not radius > 0:
            raise SceneCodeError(f"a lamp has a radius above 0, not {radius:g}")
        self.radius, self.hangs = float(radius), float(hangs)
        self.rgb = np.asarray(color_to_rgb(current_theme().lamp)) * 255
        self.aim(over)

    def aim(self, over: Mobject | npt.ArrayLike) -> Self:
        """Hang it over something else, and return it; ``lamp.animate.aim(body)`` moves it."""
        if isinstance(over, Body):
            aim = over.top
        elif isinstance(over, Mobject):
            aim = over.get_center()
        else:
            aim = np.asarray(over, dtype=float)
        x, y, z = aim.tolist()
        self.points = np.array([[x, y + self.hangs, z], [x, y, z]])
        return self


def light_on(body: Body, lamps: Iterable[Lamp]) -> float:
    """Return the share of its light that a body has under lamps, 0 to 1.

    What a lamp is aimed at has all of it. It falls off with the distance from there, as
    (1 + (distance / radius)²) to the power of -1.75, which only takes roots: these are the same on
    every processor. A body that is light itself always has all of it.
    """
    if body.is_light:
        return 1.0
    low, high = body.corners.min(axis=0), body.corners.max(axis=0)
    power = reached = 0.0
    for lamp in lamps:
        apart = lamp.points[1] - np.clip(lamp.points[1], low, high)
        x = 1 + float(sum((apart / lamp.radius).tolist()[k] ** 2 for k in range(3)))
        strength = _presence(lamp)
        power = max(power, strength)
        reached += strength / (x * x**0.5 * (x**0.5) ** 0.5)
    return 1 - (1 - REST) * max(0.0, power - min(1.0, reached))


def turned(points: Array, degrees: float) -> Array:
    """Return points (n, 3) turned about the vertical through the origin."""
    angle = np.radians(degrees)
    cos, sin = round(float(np.cos(angle)), 12), round(float(np.sin(angle)), 12)
    x, y, z = points.T
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=1)


def put(
    mobject: Mobject, onto: Body, at: npt.ArrayLike, right: npt.ArrayLike, up: npt.ArrayLike
) -> Mobject:
    """Lay a flat mobject onto a body, add it to the body, and return it.

    Parameters
    ----------
    mobject
        Flat: its middle is laid at ``at``.
    onto
        The body.
    at : (3,)
        A place of the body, in its own units.
    right, up : (3,)
        Directions of the body into which the mobject's own go.
    """
    middle = mobject.get_center()
    origin = onto.at(at)
    right, up = (onto.at(way) - onto.points[0] for way in (right, up))
    for member in mobject.get_family():
        flat = member.points - middle
        member.points = origin + flat[:, :1] * right + flat[:, 1:2] * up
    onto.add(mobject)
    return mobject


def _presence(mobject: Mobject) -> float:
    return float(vars(mobject).get("presence", 1.0))


def _between(start: Any, end: Any, alpha: float) -> Any:
    """Return numbers on the way between two others; what is the same at both ends stays so."""
    return start + (end - start) * alpha


def _carried(points: Array, before: Array, after: Array) -> Array:
    """Return points (n, 3) that keep their place in a frame that moves from (4, 3) to (4, 3)."""
    return _placed(after, _within(before, points))


def _placed(frame: Array, own: Array) -> Array:
    """Return where places (..., 3) in the units of a frame (4, 3) are in the scene.

    Each product is computed by itself, here and below: a processor may round those of a matrix
    otherwise.
    """
    right, up, near = frame[1:] - frame[0]
    return np.asarray(frame[0] + own[..., :1] * right + own[..., 1:2] * up + own[..., 2:] * near)


def _within(frame: Array, points: Array) -> Array:
    """Return where points (..., 3) of the scene are in the units of a frame (4, 3)."""
    axes = frame[1:] - frame[0]
    right, up, near = axes
    across = np.array([np.cross(up, near), np.cross(near, right), np.cross(right, up)])
    x, y, z = np.moveaxis(points - frame[0], -1, 0)
    own = [(x * a + y * b + z * c) / _volume(axes) for a, b, c in across.tolist()]
    return np.stack(own, axis=-1)


def _volume(axes: Array) -> float:
    """Return the volume that three axes (3, 3) span; it is negative if they are left-handed."""
    right, up, near = axes
    x, y, z = (right * np.cross(up, near)).tolist()
    return float(x + y + z)


def _places(given: npt.ArrayLike, corners: int) -> Array:
    """Return places as an array (n, corners, 3); refuse others."""
    places = np.array(given, dtype=float)
    if not places.size:
        return np.zeros((0, corners, 3))
    if places.ndim != 3 or places.shape[1:] != (corners, 3):
        raise SceneCodeError(
            f"{corners} corners of 3 numbers each make a box or a sheet, not an array of shape "
            f"{places.shape}"
        )
    if not np.isfinite(places).all():
        raise SceneCodeError("a body has a corner that is infinite or not a number")
    return places


def _colours(given: npt.ArrayLike | str | Sequence[str], count: int) -> Array:
    """Return colours as RGB (count, 3), 0 to 255."""
    if isinstance(given, str):
        given = np.asarray(color_to_rgb(given)) * 255
    return np.broadcast_to(np.asarray(given, dtype=float), (count, 3)).copy()
