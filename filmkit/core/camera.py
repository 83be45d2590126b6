"""One camera for flat and spatial pictures, and the shots it takes.

A :class:`Shot` says what is in the frame and from where it is seen. A flat picture is the shot
from straight ahead: there the plane z = 0 is drawn without any distortion, so a scene can start
flat and turn into space without a jump.

Mobjects are drawn in the order in which they were added to the scene, in space too, until there
is a :class:`~filmkit.core.body.Body`: then from far to near (:mod:`filmkit.core.solids`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import cairo
import numpy as np
import numpy.typing as npt
from manim import Camera, Mobject, VMobject, color_to_int_rgba, config

from filmkit.core.body import Body, Lamp, light_on
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.heatmap import CLOCKWISE, Heatmap
from filmkit.core.raster import outline, paste
from filmkit.core.solids import (
    GLOW,
    LIT_SHADES,
    SHADES,
    clipped,
    faces_of,
    fill,
    hosts_of,
    in_depth,
)

__all__ = [
    "Part",
    "Shot",
    "StageCamera",
    "is_fixed",
    "keep_upright",
    "opacity_of",
    "pin_to_frame",
    "presence",
]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Place: TypeAlias = tuple[float, float, float]  # by how much a path is scaled, and its shift
Part: TypeAlias = Heatmap | VMobject | Body | Lamp
"""What a camera draws, or by which it sees."""

M = TypeVar("M", bound=Mobject)

SAME_POINT = 1e-5  # in scene units; what is nearer is one point of an outline

AS_IT_IS: Place = 1.0, 0.0, 0.0

STEPS = 2**18  # in which places of a path are kept, per scene unit
FARTHEST = 2**22 * 256 / STEPS  # in scene units; cairo holds no path beyond twice as far

NEAREST = 1e-3  # how far from the eye something is seen, as a share of the center's distance

THINNEST = 0.5  # width and height of a face that is drawn, in pixels

LINES = 8  # of which a curve that reaches past the eye is drawn

DIGITS = 12  # of sines and cosines, after the point

FOCAL = 1.6
"""Distance of the eye from the center of a shot without another lens, in heights of the shot."""


@dataclass(frozen=True)
class Shot:
    """What the camera sees: a place, a size and a direction.

    Attributes
    ----------
    center : (3,)
        Point of the scene in the middle of the frame.
    height
        Height of the frame at the center's distance, in scene units. The default is the frame's
        own height, which shows the flat picture at its size; a smaller one is closer.
    theta, phi
        Where the eye is, in degrees: ``theta`` is the turn about the vertical axis of the picture
        (positive: the eye moves to the right), ``phi`` the tilt (positive: it moves up). At
        (0, 0) it looks straight at the plane z = 0.
    focal
        The lens: distance of the eye from the center, in heights of the shot. A longer lens is
        flatter: with 1.6 far things are much smaller than near ones, with 4 nearly as large. The
        plane through the center that faces the eye has the same size with every lens.

    Raises
    ------
    SceneCodeError
        If one of these is infinite or not a number.

    Examples
    --------
    From the right and above, twice as close as the flat picture, with a long lens::

        self.play(self.move_camera(Shot((1, 0, 0), height=4, theta=34, phi=20, focal=4)))
    """

    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    height: float = field(default_factory=lambda: float(config.frame_height))
    theta: float = 0.0
    phi: float = 0.0
    focal: float = FOCAL

    def __post_init__(self) -> None:
        if not np.isfinite([*self.center, self.height, self.theta, self.phi, self.focal]).all():
            raise SceneCodeError(f"{self} has what is infinite or not a number")

    @classmethod
    def of_box(cls, box: Box) -> Shot:
        """Return the shot from straight ahead whose frame is as high as a box, at its center."""
        return cls(center=box.center, height=box.height)

    @classmethod
    def looking(cls, eye: npt.ArrayLike, at: npt.ArrayLike, lens: float = FOCAL) -> Shot:
        """Return the shot from one point of the scene to another.

        Parameters
        ----------
        eye : (3,)
            Where it is taken from.
        at : (3,)
            What is in the middle of the frame; another point than the eye.
        lens
            Distance of the eye from there, in heights of the shot: smaller ones see more.
        """
        right, up, near = (float(length) for length in np.subtract(eye, at))
        distance = math.hypot(right, up, near)
        x, y, z = (float(length) for length in np.asarray(at))
        return cls(
            (x, y, z),
            height=distance / lens,
            theta=math.degrees(math.atan2(right, near)),
            phi=math.degrees(math.asin(up / distance)),
            focal=lens,
        )

    def rotation(self) -> Points:
        """Return the rotation (3, 3) from scene axes to eye axes (right, up, towards the eye)."""
        return self._rotation

    @cached_property
    def _rotation(self) -> Points:
        turn, tilt = math.radians(self.theta), math.radians(self.phi)
        # Of processors' sines the last digit may differ: so it is left out.
        sin_turn, cos_turn = round(math.sin(turn), DIGITS), round(math.cos(turn), DIGITS)
        sin_tilt, cos_tilt = round(math.sin(tilt), DIGITS), round(math.cos(tilt), DIGITS)
        right = [cos_turn, 0.0, -sin_turn]
        up = [-sin_tilt * sin_turn, cos_tilt, -sin_tilt * cos_turn]
        return np.array([right, up, [cos_tilt * sin_turn, sin_tilt, cos_tilt * cos_turn]])

    def eye(self) -> Points:
        """Return the position (3,) of the eye in the scene."""
        return np.asarray(self.center) + self._rotation[2] * (self.focal * self.height)

    def project(self, points: Points, frame_height: float) -> Points:
        """Project points (n, 3) of the scene into the frame.

        Parameters
        ----------
        points : (n, 3)
            In scene units.
        frame_height
            Height of the frame in which the result is measured, in scene units.

        Returns
        -------
        (n, 3)
            x and y in the frame, from its middle; the third coordinate is the distance from the
            center's plane towards the eye, unscaled.
        """
        x, y, z = (points - np.asarray(self.center)).T
        # Each product and sum by itself: a processor may round those of a matrix otherwise.
        right, up, near = (a * x + b * y + c * z for a, b, c in self._rotation.tolist())
        eye = self.focal * self.height
        # Points at or behind the eye are held just in front of it: they lie far outside of the
        # frame and must not wrap round to its other side.
        scale = eye / np.maximum(eye - near, NEAREST * eye) * (frame_height / self.height)
        return np.stack([right * scale, up * scale, near], axis=1)

    def is_past(self, seen: Points) -> Booleans:
        """Return which of projected points (n, 3) are at or behind the eye, as (n,)."""
        past: Booleans = seen[:, 2] > (1 - NEAREST) * self.focal * self.height
        return past

    def mix(self, other: Shot, alpha: float) -> Shot:
        """Return the shot at ``alpha``, 0 to 1, of the way to another one.

        Heights and lenses are interpolated as ratios, so that a zoom has an even speed.
        """

        def line(a: float, b: float) -> float:
            return (1 - alpha) * a + alpha * b

        def ratio(a: float, b: float) -> float:
            return float(a ** (1 - alpha) * b**alpha)

        x, y, z = (line(a, b) for a, b in zip(self.center, other.center, strict=True))
        return Shot(
            center=(x, y, z),
            height=ratio(self.height, other.height),
            theta=line(self.theta, other.theta),
            phi=line(self.phi, other.phi),
            focal=ratio(self.focal, other.focal),
        )


def pin_to_frame(mobject: M) -> M:
    """Keep a mobject at its place in the frame when the camera moves, and return it.

    Its points are then points of the frame, not of the scene: for titles and notes.
    """
    for member in mobject.get_family():
        member.pinned = True
    return mobject


def keep_upright(mobject: M, at: npt.ArrayLike | Callable[[Shot], npt.ArrayLike]) -> M:
    """Keep a mobject facing the camera, at a constant size, beside a point of the scene.

    For labels in space: they follow the point as it is seen, but are neither tilted nor scaled.

    Parameters
    ----------
    mobject
        What is drawn; its own points then say where it is relative to the point.
    at : (3,)
        The point of the scene; or a function that returns it, called with the shot of every
        picture, for a label that follows something that moves.

    Returns
    -------
    Mobject
        The mobject itself.
    """
    for member in mobject.get_family():
        member.anchor = at if callable(at) else np.array(at, dtype=float)
    return mobject


def _require_finite(mobject: Mobject, points: Points) -> None:
    """Refuse places (..., 3) that are infinite or not a number."""
    if not np.isfinite(points).all():
        raise SceneCodeError(
            f"a {type(mobject).__name__} lies at a place that is infinite or not a number"
        )


def _attribute(mobject: Mobject, name: str, default: Any) -> Any:
    """Return a mobject's own attribute, without manim's slow ``__getattr__``."""
    return vars(mobject).get(name, default)


def is_fixed(mobject: Mobject) -> bool:
    """Whether a mobject is pinned to the frame or kept upright, so it is not simply projected."""
    pinned = bool(_attribute(mobject, "pinned", False))
    return pinned or _attribute(mobject, "anchor", None) is not None


def _in_frame(mobject: Mobject, points: Points, shot: Shot, frame_height: float) -> Points:
    """Return where points (n, 3) of a mobject lie in the frame."""
    if _attribute(mobject, "pinned", False):
        return points
    anchor = _attribute(mobject, "anchor", None)
    if anchor is None:
        return shot.project(points, frame_height)
    place = np.array(anchor(shot) if callable(anchor) else anchor, dtype=float)
    return points + shot.project(place[None], frame_height) * [1.0, 1.0, 0.0]


class StageCamera(Camera):
    """Camera that warps heatmaps with OpenCV and draws everything else with Cairo.

    Attributes
    ----------
    shot : Shot
        What it sees; set it to jump, or play :class:`filmkit.core.animations.MoveCamera`.
    lit : bool
        Whether there is light: halos, a mirroring floor and lamps; else all bodies are seen alike.
    pixel_array : (height, width, 4)
        The picture, RGBA, uint8.
    """

    pixel_array: Pixels

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shot = Shot()
        self._outlines: WeakKeyDictionary[VMobject, _Outline] = WeakKeyDictionary()
        self.lit = True
        self._light: dict[Mobject, float] = {}

    def init_background(self) -> None:
        """Fill the background with its colour, 40 times as fast as Manim, which also has images."""
        rgba = color_to_int_rgba(self.background_color, self.background_opacity)
        pixel = np.array(rgba, dtype=np.uint8).view(np.uint32)
        size = self.pixel_height, self.pixel_width
        self.background = np.full(size, pixel).view(np.uint8).reshape(*size, 4)

    def share_paths(self, other: StageCamera) -> None:
        """Use another camera's paths of outlines, so that each is traced once for both.

        Their frames have the same size in scene units; their pictures need not.
        """
        self._outlines = other._outlines

    def pixels(self, mobject: Mobject, points: Points) -> Points:
        """Return where points (n, 3) of a mobject are drawn.

        Returns
        -------
        (n, 2)
            Continuous pixel positions from the top left of the picture.
        """
        return self._in_pixels(self.transform_points_pre_display(mobject, points))

    def _in_pixels(self, projected: Points) -> Points:
        """Return where projected points (n, 3) lie in the picture, (n, 2)."""
        scale = self.pixel_height / self.frame_height
        middle = np.array([self.pixel_width / 2, self.pixel_height / 2])
        return np.asarray(projected[:, :2] * [scale, -scale] + middle)

    def transform_points_pre_display(self, mobject: Mobject, points: Points) -> Points:
        if len(points) == 0:
            return points
        return _in_frame(mobject, points, self.shot, self.frame_height)

    def capture_mobjects(self, mobjects: Iterable[Mobject], **kwargs: Any) -> None:
        parts = self.drawing_order(mobjects)
        ground = self.ground(parts)
        if ground is not self.background:
            np.copyto(self.pixel_array, ground)
        self.draw_parts(parts)

    def picture(self, parts: Sequence[Part], ground: Pixels | None = None) -> Pixels:
        """Return a new picture of parts in this order, by default over their own :meth:`ground`."""
        picture = (self.ground(parts) if ground is None else ground).copy()
        with self._drawing_on(picture):
            self.draw_parts(parts)
        return picture

    def ground(self, parts: Sequence[Part]) -> Pixels:
        """Return what parts are drawn over, (height, width, 4), which must not be written to."""
        return self.background

    def draw_parts(self, parts: Sequence[Part]) -> None:
        """Draw mobjects over the picture, in this order, without their submobjects."""
        self.see_light(parts)
        corners = iter(self._corners([part for part in parts if isinstance(part, Heatmap)]))
        paths = iter(self._paths([part for part in parts if isinstance(part, VMobject)]))
        context = self.get_cairo_context(self.pixel_array)
        for part in parts:
            if isinstance(part, Heatmap):
                self._paste(part, next(corners))
            elif isinstance(part, VMobject):
                self._draw_outline(context, part, *next(paths))
            elif isinstance(part, Body):
                self._draw_body(part)

    def light_shares(self, parts: Sequence[Part]) -> dict[Mobject, float]:
        """Return the share of its light that each body has, and all that lies on it, 0 to 1.

        It is that of the lamps among the parts; what is not named has all of its light.
        """
        lamps = [part for part in parts if self.lit and isinstance(part, Lamp)]
        if not lamps:
            return {}
        hosts = hosts_of(parts)
        bodies = (part for part in parts if isinstance(part, Body) and part not in hosts)
        shares: dict[Mobject, float] = {body: light_on(body, lamps) for body in bodies}
        return shares | {part: shares[body] for part, body in hosts.items()}

    def see_light(self, parts: Sequence[Part]) -> None:
        """Take the light of a picture: what is drawn then, or asked about, is in that light."""
        self._light = self.light_shares(parts)

    def light_of(self, mobject: Mobject) -> float:
        """Return the share of its light that a mobject has in the picture drawn last, 0 to 1."""
        return self._light.get(mobject, 1.0)

    def drawn_opacity(self, heatmap: Heatmap) -> float:
        """Return the opacity with which a heatmap is drawn: less of it where a body has less light.

        It is that of the picture drawn last.
        """
        return opacity_of(heatmap) * math.sqrt(self.light_of(heatmap))

    def face_colours(self, body: Body, colours: Points) -> Points:
        """Return colours (n, 3) of a body's faces as they are drawn in its light."""
        return colours * math.sqrt(self.light_of(body))

    def _draw_body(self, body: Body) -> None:
        """Draw the faces of a body that are seen."""
        _require_finite(body, body.points)
        self._fill(*self.faces(body), presence(body))

    def faces(self, body: Body) -> tuple[list[Points], Points]:
        """Return the faces of a body that are seen, from far to near.

        Returns
        -------
        (n, 2) each, (m, 3)
            Corners in pixels, and RGB in its light, 0 to 255.
        """
        shades = GLOW if body.is_light else LIT_SHADES if self.lit else SHADES
        faces, colours = faces_of(body, self.shot.eye(), shades)
        colours = self.face_colours(body, colours)
        seen = self.shot.project(faces.reshape(-1, 3), self.frame_height)
        past = self.shot.is_past(seen).reshape(-1, 4).any(axis=1)
        outlines = self._in_pixels(seen).reshape(-1, 4, 2)
        if past.any():
            # What lies behind the eye is cut off.
            limit = (1 - 2 * NEAREST) * self.shot.focal * self.shot.height
            pieces = [*outlines]
            for i in np.flatnonzero(past).tolist():
                part = clipped(faces[i], seen.reshape(-1, 4, 3)[i, :, 2], limit)
                pieces[i] = self._in_pixels(self.shot.project(part, self.frame_height))
            return pieces, colours
        low, high = outlines.min(axis=1), outlines.max(axis=1)
        size = self.pixel_width, self.pixel_height
        # Thinner ones would be drawn too wide.
        drawn = ((high > 0) & (low < size) & (high - low > THINNEST)).all(axis=1)
        return [*outlines[drawn]], colours[drawn]

    def _fill(self, faces: Sequence[Points], colours: Points, opacity: float) -> None:
        """Draw the faces of a body, (n, 2) each in pixels, in their colours (m, 3)."""
        fill(self.pixel_array, faces, colours, opacity)

    def _paths(self, parts: Sequence[VMobject]) -> Iterator[tuple[cairo.Path, Place]]:
        """Yield the path of each outline, and how it comes into the frame: scaled, then shifted.

        Of what faces the eye it is one of its own points, good for every shot. Other outlines are
        projected, all of them at once.
        """
        places = []
        new: dict[Shot | None, list[_Outline]] = {}
        for part in parts:
            kept = self._outlines.get(part)
            if kept is None or not np.array_equal(kept.points, part.points):
                _require_finite(part, part.points)
                kept = self._outlines[part] = _Outline(part.points.copy())
            place = self._place(part, kept)
            shot = self.shot if place is None else None
            if kept.path is None or kept.shot != shot:
                new.setdefault(shot, []).append(kept)
            places.append((kept, place or AS_IT_IS))
        for shot, outlines in new.items():
            pieces = [kept.points for kept in outlines]
            if shot is not None:
                pieces = _seen(pieces, shot, self.frame_height)
            _trace(outlines, shot, pieces)
        for kept, place in places:
            assert kept.path is not None
            yield kept.path, place

    def _place(self, part: VMobject, kept: _Outline) -> Place | None:
        """Return how an outline comes into the frame, if it is only scaled and shifted."""
        if _attribute(part, "pinned", False):
            return AS_IT_IS
        if _attribute(part, "anchor", None) is not None:
            x, y, _ = _in_frame(part, np.zeros((1, 3)), self.shot, self.frame_height)[0].tolist()
            return 1.0, x, y
        if self.shot.theta or self.shot.phi or kept.z is None:
            return None
        x, y, _ = self.shot.center
        ends = self.shot.project(
            np.array([[0.0, 0.0, kept.z], [1.0, 0.0, kept.z]]), self.frame_height
        )
        return float(ends[1, 0] - ends[0, 0]), float(ends[0, 0]), float(ends[0, 1])

    def _draw_outline(
        self,
        context: cairo.Context[Any],
        part: VMobject,
        path: cairo.Path,
        place: Place,
    ) -> None:
        """Draw an outline as Manim does, but nothing for a fill or stroke that it does not have."""
        scale, x, y = place
        context.new_path()
        context.save()
        context.translate(x, y)
        context.scale(scale, scale)
        context.append_path(path)
        context.restore()
        if _attribute(part, "background_stroke_width", 0):
            self.apply_stroke(context, part, background=True)
        rgbas = self.get_fill_rgbas(part)
        if len(rgbas) > 1:
            self.apply_fill(context, part)
        else:
            red, green, blue, alpha = rgbas[0].tolist()
            if alpha > 0:
                context.set_source_rgba(blue, green, red, alpha)  # as cairo has its bytes
                context.fill_preserve()
        if _attribute(part, "stroke_width", 0):
            self.apply_stroke(context, part)

    def _paste(self, heatmap: Heatmap, corners: Points) -> None:
        """Draw a heatmap with its corners at pixel positions (4, 2)."""
        opacity = self.drawn_opacity(heatmap)
        paste(self.pixel_array, heatmap.texture(), corners, opacity)
        if heatmap.edged and heatmap.texture().opaque:
            outline(self.pixel_array, corners, heatmap.edge_colour, opacity)

    def _corners(self, heatmaps: list[Heatmap]) -> Points:
        """Return the corners of heatmaps as pixel positions (n, 4, 2).

        One projection serves all heatmaps that are neither pinned nor upright. One that reaches
        past the eye is not drawn: all of its corners are at one place.
        """
        if not heatmaps:
            return np.empty((0, 4, 2))
        points = np.array([heatmap.points for heatmap in heatmaps])[:, CLOCKWISE]
        _require_finite(heatmaps[0], points)
        seen = self.shot.project(points.reshape(-1, 3), self.frame_height)
        corners = self._in_pixels(seen).reshape(-1, 4, 2)
        corners[self.shot.is_past(seen).reshape(-1, 4).any(axis=1)] = 0.0
        for i, heatmap in enumerate(heatmaps):
            if is_fixed(heatmap):
                corners[i] = self.pixels(heatmap, points[i])
        return corners

    @contextmanager
    def scratch(self) -> Iterator[Pixels]:
        """Draw on an empty, transparent picture inside the ``with`` block, and yield it."""
        with self._drawing_on(np.zeros_like(self.pixel_array)) as picture:
            yield picture

    @contextmanager
    def _drawing_on(self, picture: Pixels) -> Iterator[Pixels]:
        """Draw on a picture inside the ``with`` block, and yield it."""
        own, self.pixel_array = self.pixel_array, picture
        try:
            yield picture
        finally:
            self.pixel_array_to_cairo_context.pop(id(picture), None)
            self.pixel_array = own

    def drawing_order(self, mobjects: Iterable[Mobject]) -> list[Part]:
        """Return every part that has something to draw, in the order in which it is drawn.

        It is that of Manim: families one after the other, sorted by their z index; what is there
        twice is drawn where it is last. Manim's own function takes three times as long. Where there
        are bodies, what has the same z index is drawn from far to near.
        """
        ahead, family = [*mobjects][::-1], []
        while ahead:
            part = ahead.pop()
            ahead += part.submobjects[::-1]
            if _is_visible(part):
                family.append(part)
        once = [*dict.fromkeys(family[::-1])][::-1]
        return self.in_depth(sorted(once, key=lambda part: part.z_index))

    def in_depth(self, parts: Sequence[Part]) -> list[Part]:
        """Return parts, sorted by their z index, from far to near where there are bodies."""
        return in_depth(parts, self.shot.eye(), is_fixed)

    def get_fill_rgbas(self, vmobject: VMobject) -> npt.NDArray[np.float64]:
        return self._seen_as(vmobject, vmobject.get_fill_rgbas())

    def get_stroke_rgbas(
        self, vmobject: VMobject, background: bool = False
    ) -> npt.NDArray[np.float64]:
        return self._seen_as(vmobject, vmobject.get_stroke_rgbas(background))

    def _seen_as(
        self, vmobject: VMobject, rgbas: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return colours (..., 4) of an outline as they are drawn, faint or dim."""
        light = math.sqrt(self.light_of(vmobject))
        factors = [light, light, light, presence(vmobject)]
        return rgbas if factors == [1.0] * 4 else rgbas * factors


@dataclass
class _Outline:
    """An outline as it was last drawn.

    Attributes
    ----------
    points : (n, 3)
        Its points.
    shot
        The shot in which they are seen; None if the path is one of the points themselves.
    path
        Cairo's path of them.
    """

    points: Points
    shot: Shot | None = None
    path: cairo.Path | None = None

    @cached_property
    def z(self) -> float | None:
        """The plane that all points lie in; None if none that faces the eye of a flat picture."""
        z = float(self.points[0, 2])
        return z if (self.points[:, 2] == z).all() else None


def _seen(pieces: Sequence[Points], shot: Shot, frame_height: float) -> list[Points]:
    """Return the projected points of outlines, (n, 3) each, without what lies behind the eye."""
    seen = shot.project(np.concatenate(pieces), frame_height)
    past = shot.is_past(seen)
    ends = np.cumsum([len(piece) for piece in pieces])[:-1]
    projected = np.split(seen, ends)
    if past.any():
        for i, of_piece in enumerate(np.split(past, ends)):
            if of_piece.any():
                projected[i] = shot.project(_cut(pieces[i], shot), frame_height)
    return projected


def _cut(points: Points, shot: Shot) -> Points:
    """Return the part of an outline (n, 3) that lies before the eye, as straight curves (m, 3).

    Where it goes past the eye and comes back, the two places are joined, far outside of the frame.
    """
    depth = (1 - 2 * NEAREST) * shot.focal * shot.height
    lines = []
    for ring in _rings(points):
        depths = shot.project(ring, 1.0)[:, 2].tolist()
        part = []
        for (a, here), (b, there) in pairwise(zip(ring, depths, strict=True)):
            if here <= depth:
                part.append(a)
            if (here <= depth) != (there <= depth):
                part.append(a + (b - a) * (depth - here) / (there - here))
        is_closed = np.abs(ring[0] - ring[-1]).max() <= SAME_POINT
        part += part[:1] if is_closed else ring[-1:] if there <= depth else []
        lines += [*pairwise(part)]
    thirds = np.arange(4)[:, None] / 3
    return np.array([a + (b - a) * thirds for a, b in lines]).reshape(-1, 3)


def _rings(points: Points) -> Iterator[Points]:
    """Yield each connected line of cubic curves (n, 3) as a polyline (m, 3)."""
    curves = points[: len(points) // 4 * 4].reshape(-1, 4, 3)
    apart = np.abs(curves[1:, 0] - curves[:-1, 3]).max(axis=1) > SAME_POINT
    t = np.arange(1, LINES + 1)[:, None] / LINES
    u = 1 - t
    for ring in np.split(curves, np.flatnonzero(apart) + 1) if len(curves) else ():
        a, b, c, d = ring.swapaxes(0, 1)[:, :, None]
        places = u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d
        yield np.concatenate([ring[0, :1], places.reshape(-1, 3)])


def _trace(outlines: Sequence[_Outline], shot: Shot | None, pieces: Sequence[Points]) -> None:
    """Give outlines their paths: cubic curves between points, (n, 3) of each of them.

    Each path is recorded in steps that do not depend on the size of the picture or on what was
    drawn before. Curves that meet are one line.
    """
    recorder = _recorder()
    places = np.clip(np.concatenate(pieces)[:, :2], -FARTHEST, FARTHEST)
    for kept, piece in zip(outlines, pieces, strict=True):
        count = len(piece)
        curves, places = places[: count // 4 * 4].reshape(-1, 8), places[count:]
        apart = np.abs(curves[1:, :2] - curves[:-1, 6:]) > SAME_POINT
        starts = {0, *(np.flatnonzero(apart.any(axis=1)) + 1).tolist(), len(curves)}
        numbers = curves.tolist()
        recorder.new_path()
        for first, end in pairwise(sorted(starts)):
            x, y, *_ = numbers[first]
            recorder.move_to(x, y)
            for curve in numbers[first:end]:
                recorder.curve_to(*curve[2:])
            last_x, last_y = numbers[end - 1][6:]
            if max(abs(last_x - x), abs(last_y - y)) <= SAME_POINT:
                recorder.close_path()
        kept.shot, kept.path = shot, recorder.copy_path()


@cache
def _recorder() -> cairo.Context[Any]:
    """Return a context that paths are recorded in, and nothing is drawn in."""
    context = cairo.Context(cairo.ImageSurface(cairo.FORMAT_A8, 1, 1))
    context.scale(STEPS / 256, STEPS / 256)
    return context


def opacity_of(heatmap: Heatmap) -> float:
    """Return the opacity with which a heatmap is drawn, 0 to 1."""
    return heatmap.opacity * presence(heatmap)


def presence(mobject: Mobject) -> float:
    """Return a mobject's presence, 0 (invisible) to 1 (its own colours and opacities)."""
    return float(_attribute(mobject, "presence", 1.0))


def _is_visible(mobject: Mobject) -> bool:
    """Whether a mobject has any fill, stroke or cells that are not fully transparent."""
    if not len(mobject.points) or presence(mobject) <= 0:
        return False
    if isinstance(mobject, Body):
        return bool(len(mobject.boxes) or len(mobject.quads))
    if isinstance(mobject, Lamp):
        return True
    if isinstance(mobject, Heatmap):
        return mobject.opacity > 0
    if not isinstance(mobject, VMobject):
        return False
    filled = mobject.fill_rgbas[:, 3].tolist()
    stroked = mobject.stroke_rgbas[:, 3].tolist() if mobject.stroke_width > 0 else ()
    # In Python, as there are few colours: NumPy takes longer to begin.
    return max((*filled, *stroked), default=0.0) > 0
