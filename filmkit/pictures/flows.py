"""Light that is shared out: arcs between bodies, a strip of 100 %, and what flows into it.

A share is seen twice in each of them, always by the same rules: lengths and widths are in
proportion to it, and the brightness (:func:`brightness`) goes with its root, as levels of a picture
are roots of light. All of them are light themselves: no lamp has to reach them, and they throw no
shadow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from manim import CapStyleType, Create, VMobject, color_to_rgb

from filmkit.core.animations import AnimateWith
from filmkit.core.body import Body
from filmkit.core.errors import SceneCodeError
from filmkit.core.light import glow
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_share
from filmkit.core.theme import current_theme

__all__ = ["Arc", "Flow", "Strip", "Threads", "brightness"]

Array = npt.NDArray[np.float64]

LEAST = 0.001  # share below which neither an arc nor a ribbon is drawn
FAINTEST = 0.3  # brightness of the smallest share
WIDTH = 24.0  # of an arc that has all of the light, in points
RISE = 0.4, 0.15  # height of an arc over its ends: at least, and for each unit between them
CURVES = 8  # of which an arc is made

ROUNDING = 2e-3  # by which the sum of shares may differ from 1
GAP = 0.012  # that a part of a strip leaves free at both ends, in scene units
NAMED = 3  # parts of a strip that its words tell, the largest ones

FOOT = 0.6  # width of a ribbon where it begins, as a share of its body's
TUCKED = 0.05  # how far a ribbon reaches under what it leaves or reaches, as a share of its depth
FADED = 0.5, 0.8  # light of a ribbon where it begins and ends, as a share of its part's
SEAM = 0.25  # share of a piece of a ribbon that lies over the one before it
PIECES, FEWEST, MOST = 1024, 8, 32  # of all ribbons together, and of each


def brightness(share: npt.ArrayLike) -> Array:
    """Return the level of light, 0.3 to 1, that stands for shares (...), 0 to 1."""
    return np.asarray(FAINTEST + (1 - FAINTEST) * np.sqrt(share))


class Arc(VMobject):
    """An arc of light from one body to another, as strong as a share.

    It is a parabola in an upright plane. Its width is in proportion to the share, 24 points at
    100 % and never less than the theme's ``thin``; its opacity is the :func:`brightness` of the
    share. Below 0.1 % nothing is drawn. It glows: ``glow(arc, 0)`` puts that out.

    Parameters
    ----------
    start, end : Body or (3,)
        What it leads from and to: the middle of a body's upper side, or a point.
    share
        How strong it is, 0 to 1.
    told
        What it says, in words, without the share; by default what is told of both bodies, with
        an arrow between.
    colour
        "#RRGGBB"; the theme's ``lamp`` by default, as attention is light.
    rise
        How high it rises over its ends, in scene units; by default the higher the longer it is.
    source
        Where the share comes from.

    Attributes
    ----------
    kind, told, values, source
        What it is to the map of a picture, as those of :class:`~filmkit.core.body.Body`: "arc", the
        words with the share, the share (1,), and where it comes from.

    Raises
    ------
    SceneCodeError
        If the share is not one, or a point is not a finite place.

    Examples
    --------
    ::

        arc = Arc(white, red, pattern[7, 5], told="white looks at red")
        self.play(arc.grow())
    """

    kind: ClassVar[str] = "arc"

    def __init__(
        self,
        start: Body | npt.ArrayLike,
        end: Body | npt.ArrayLike,
        share: float,
        *,
        told: str = "",
        colour: str = "",
        rise: float | None = None,
        source: TensorSource | None = None,
    ) -> None:
        if not 0 <= share <= 1:
            raise SceneCodeError(f"an arc has a share from 0 to 1, not {share:g}")
        theme = current_theme()
        super().__init__(
            stroke_color=colour or theme.lamp,
            stroke_width=max(theme.thin, WIDTH * share) if share >= LEAST else 0.0,
            # Faint lines on white are as strong as they must be to be seen.
            stroke_opacity=float(brightness(share)) if theme.lit else (3 + brightness(share)) / 4,
            fill_opacity=0.0,
            cap_style=CapStyleType.ROUND,
        )
        words = told or " → ".join(each.told for each in (start, end) if isinstance(each, Body))
        self.told = ": ".join(filter(None, (words, format_share(share))))
        self.values = np.array([share], dtype=float)
        self.source = source or TensorSource()
        ends = [each.top if isinstance(each, Body) else each for each in (start, end)]
        if not all(np.shape(each) == (3,) and np.isfinite(each).all() for each in ends):
            raise SceneCodeError("an arc leads from and to a body or a finite point (x, y, z)")
        first, last = (np.array(each, dtype=float) for each in ends)
        if rise is None:
            rise = RISE[0] + RISE[1] * math.dist(first, last)
        way, up = last - first, np.array([0.0, 4 * rise, 0.0])
        # Of several curves, as one of them is not projected exactly.
        t = np.linspace(0, 1, CURVES + 1)[:, None]
        places, ahead = first + t * way + t * (1 - t) * up, (way + (1 - 2 * t) * up) / (3 * CURVES)
        curves = places[:-1], (places + ahead)[:-1], (places - ahead)[1:], places[1:]
        self.points = np.stack(curves, axis=1).reshape(-1, 3)
        glow(self)

    def grow(self, **kwargs: Any) -> Create:
        """Return the animation in which it is added and its light runs from its start to its end.

        Keyword arguments are those of :class:`manim.Animation`.
        """
        return Create(self, **{"run_time": current_theme().tempo.normal} | kwargs)


class Strip(Body):
    """A strip of 100 %: a low box for each share, as wide as that, in a row on the floor.

    However the shares are, the strip is equally long. Each part leaves a hairline free at both
    ends; its brightness is the :func:`brightness` of its share. Its origin is the middle of its
    lower side.

    Parameters
    ----------
    shares : (n,)
        Not negative, with the sum 1.
    words
        What each part stands for.
    colours
        "#RRGGBB" of all parts, or of each; the theme's ``lamp`` by default.
    size
        Its length, height and depth, in its own units.
    told
        What it says, in words; by default its largest parts.
    source
        Where the shares come from.

    Attributes
    ----------
    edges : (n + 1,)
        Where parts begin and end, from the left, in its own units.

    Raises
    ------
    SceneCodeError
        If the shares are none, their sum is not 1 within rounding, or words or colours are of
        another number.

    Examples
    --------
    ::

        strip = Strip(head.pattern[7, :8], words=words).put((0, 0, 2))
        low, high = strip.part(5)
        put(Label("69 %"), strip, (low + high) / 2 * [1, 2, 1], right=(1, 0, 0), up=(0, 0, -1))
    """

    kind: ClassVar[str] = "flow"
    is_light = True

    def __init__(
        self,
        shares: npt.ArrayLike,
        words: Sequence[str] = (),
        *,
        colours: str | Sequence[str] = "",
        size: tuple[float, float, float] = (8.0, 0.1, 0.6),
        told: str = "",
        source: TensorSource | None = None,
    ) -> None:
        values = np.array(shares, dtype=float)
        count, total = values.size, float(values.sum())
        if values.ndim != 1 or not (values >= 0).all() or not abs(total - 1) <= ROUNDING:
            raise SceneCodeError(f"a strip has shares from 0 on whose sum is 1, not {total:g}")
        paints = [colours or current_theme().lamp] if isinstance(colours, str) else [*colours]
        if len(words) not in (0, count) or len(paints) not in (1, count):
            raise SceneCodeError(f"a strip of {count} shares has {count} words and colours or none")
        length, height, depth = size
        if not (np.isfinite(size) & np.greater(size, 0)).all():
            raise SceneCodeError(f"a strip has a length, height and depth above 0, not {size}")
        ends = np.concatenate([[0.0], np.cumsum(values)]) / total
        self.edges = (ends - 0.5) * length
        gaps = np.minimum(GAP, np.diff(self.edges) / 4)
        boxes = np.empty((count, 2, 3))
        boxes[:, 0, 0], boxes[:, 1, 0] = self.edges[:-1] + gaps, self.edges[1:] - gaps
        boxes[:, 0, 1:], boxes[:, 1, 1:] = (0.0, -depth / 2), (height, depth / 2)
        rgb = np.array([color_to_rgb(paint) for paint in paints]) * 255
        super().__init__(boxes, _dimmed(rgb, brightness(values)), shadow=False)
        self.values = values
        largest = np.argsort(-values, kind="stable")[:NAMED] if len(words) else ()
        self.told = told or ", ".join(f"{words[i]} {format_share(values[i])}" for i in largest)
        self.source = source or TensorSource()
        glow(self)

    def part(self, number: int) -> Array:
        """Return the lowest and the highest corner (2, 3) of a part, in the strip's own units."""
        if not 0 <= number < len(self.boxes):
            raise SceneCodeError(f"a strip of {len(self.boxes)} parts has no part {number}")
        corners = self.boxes[number].copy()
        corners[:, 0] = self.edges[number : number + 2]
        return corners


class Flow(Body):
    """Light that flows over the floor: a ribbon from the foot of each body to its part of a strip.

    A ribbon begins at the side of its body that faces the strip and ends as wide as its share, in
    the colour of its part. Of shares below 0.1 % none is drawn; narrow ones lie over wide ones.

    Parameters
    ----------
    bodies
        One for each part, in the same order, on one side of the strip.
    strip
        The strip, in its place.
    told
        What flows, in words; that of the strip by default.

    Raises
    ------
    SceneCodeError
        If there are more or fewer bodies than parts.

    Examples
    --------
    ::

        flow = Flow(keys, strip)
        self.play(flow.pour(), Appear(strip))
    """

    kind: ClassVar[str] = "flow"
    is_light = True

    def __init__(self, bodies: Sequence[Body], strip: Strip, *, told: str = "") -> None:
        shares = np.asarray(strip.values)
        count = len(shares)
        if len(bodies) != count:
            raise SceneCodeError(f"a flow has a body for each of {count} shares, not {len(bodies)}")
        super().__init__(shadow=False)
        self.told = told or strip.told
        right = strip.axes[0] / math.hypot(*strip.axes[0])
        # The widest ribbon is painted first.
        order = [i for i in np.argsort(-shares, kind="stable") if shares[i] >= LEAST]
        feet = [_edge(bodies[i], bodies[i].extent, strip.middle, right, FOOT) for i in order]
        ends = [_edge(strip, strip.part(i), bodies[i].middle, right, 1.0) for i in order]
        self.feet = np.array(feet)[:, :, None]
        way = np.array(ends)[:, :, None] - self.feet
        self.across = (way * right).sum(axis=-1, keepdims=True) * right
        self.ahead = way - self.across
        self.paints = strip.colours[order]
        self.pieces = int(np.clip(PIECES // count, FEWEST, MOST))
        self.run_to(1.0)

    def pour(self, **kwargs: Any) -> AnimateWith:
        """Return the animation in which it is added and flows from the bodies to the strip.

        Keyword arguments are those of :class:`manim.Animation`.
        """
        return AnimateWith(self, self.run_to, introducer=True, **kwargs)

    def run_to(self, share: float) -> None:
        """Let the ribbons reach a share of their way, 0 to 1."""
        t = np.linspace(0.0, share, self.pieces + 1)[: None if share > 0 else 1]
        # Each piece begins a little before the last one ends, so that no seam is seen between them.
        starts = np.maximum(t[:-1] - share / self.pieces * SEAM, 0.0)
        first, last = self._sides(starts), self._sides(t[1:])
        quads = np.stack([first[:, 0], first[:, 1], last[:, 1], last[:, 0]], axis=2)
        paints = np.repeat(self.paints, len(starts), axis=0)
        levels = np.tile(np.interp(t[1:], (0, 1), FADED), len(self.paints))
        self.set_quads(quads.reshape(-1, 4, 3), _dimmed(paints, levels))

    def _sides(self, t: Array) -> Array:
        """Return both sides of each ribbon, (n, 2, m, 3), at shares (m,) of their way."""
        t = t[:, None]
        return np.asarray(self.feet + t * t * (3 - 2 * t) * self.across + t * self.ahead)


class Threads(VMobject):
    """Thin lines of light from each number of a row to the same number of another.

    Parameters
    ----------
    start, end
        Bodies with as many ``values``, each with a box; lines are on their zero lines.
    colour
        "#RRGGBB"; the theme's ``lamp`` by default.
    opacity
        Of the lines, 0 to 1.

    Raises
    ------
    SceneCodeError
        If they do not have as many numbers.

    Examples
    --------
    ::

        threads = Threads(values_of_red, mix, colour=theme.value)
    """

    def __init__(self, start: Body, end: Body, *, colour: str = "", opacity: float = 0.4) -> None:
        theme = current_theme()
        super().__init__(
            stroke_color=colour or theme.lamp, stroke_width=theme.thin, stroke_opacity=opacity
        )
        rows = [body.boxes[body.first :][: np.array(body.values).size] for body in (start, end)]
        if len(rows[0]) != len(rows[1]):
            raise SceneCodeError(f"threads join equal rows, not {len(rows[0])} and {len(rows[1])}")
        feet = [row.mean(axis=1) * [1.0, 0.0, 1.0] for row in rows]
        first, last = start.at(feet[0]), end.at(feet[1])
        lines = [first + (last - first) * (i / 3) for i in range(4)]
        self.points = np.stack(lines, axis=1).reshape(-1, 3)


def _dimmed(rgb: Array, levels: Array) -> Array:
    """Return colours (n, 3) or (1, 3) in less light, (n, 3), RGB, on the theme's background."""
    ground = np.asarray(color_to_rgb(current_theme().background)) * 255
    return np.asarray(ground + (rgb - ground) * levels[:, None])


def _edge(body: Body, extent: Array, towards: Array, right: Array, share: float) -> Array:
    """Return the ends (2, 3), on the floor, of the edge of a body that faces a point.

    They lie a little under the body, so that it is painted over what begins or ends there.

    Parameters
    ----------
    body, extent : (2, 3)
        The body, and the corners of the part of it that is meant, in its own units.
    towards : (3,)
        The point.
    right : (3,)
        A direction: the end that lies farther in it comes last.
    share
        How much of the edge, around its middle.
    """
    (left, low, far), (end, _high, near) = extent
    inside = TUCKED * (near - far)
    edges = body.at([[(left, low, z), (end, low, z)] for z in (far + inside, near - inside)])
    middles = edges.mean(axis=1, keepdims=True)
    nearest = int(((middles[:, 0] - towards) ** 2).sum(axis=1).argmin())
    edge = (middles + (edges - middles) * share)[nearest] * [1.0, 0.0, 1.0]
    return edge if ((edge[1] - edge[0]) * right).sum() >= 0 else edge[::-1]
