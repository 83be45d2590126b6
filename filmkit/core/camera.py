"""One camera for flat and spatial pictures, and the shots it takes.

A :class:`Shot` says what is in the frame and from where it is seen. A flat picture is the shot
from straight ahead: there the plane z = 0 is drawn without any distortion, so a scene can start
flat and turn into space without a jump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import cairo
import numpy as np
import numpy.typing as npt
from manim import Camera, Mobject, VMobject, config
from manim.utils.family import extract_mobject_family_members

from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.raster import outline, paste

__all__ = [
    "Shot",
    "StageCamera",
    "keep_upright",
    "off_card",
    "on_card",
    "pin_to_frame",
]

Points = npt.NDArray[np.float64]
M = TypeVar("M", bound=Mobject)

# Distance of the eye in frame heights. Larger is flatter; 1.6 keeps the far cards of a rack of
# heads readable and still looks like space.
FOCAL = 1.6


@dataclass(frozen=True)
class Shot:
    """What the camera sees.

    Attributes
    ----------
    center
        Point of the scene in the middle of the frame.
    height
        Height of the frame at the center's distance, in scene units; by default the frame's own,
        which shows the flat picture at its size.
    theta, phi
        Where the eye stands, in degrees: ``phi`` is the tilt away from looking straight at the
        plane z = 0, ``theta`` the turn about the vertical axis of the picture (positive: the
        eye moves to the right).
    """

    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    height: float = field(default_factory=lambda: float(config.frame_height))
    theta: float = 0.0
    phi: float = 0.0

    @classmethod
    def of_box(cls, box: Box) -> Shot:
        """From straight ahead, with a box as the frame."""
        return cls(center=box.center, height=box.height)

    def rotation(self) -> Points:
        """Rotation (3, 3) from scene axes to the eye's axes (right, up, towards the eye)."""
        return self._rotation

    @cached_property
    def _rotation(self) -> Points:
        turn, tilt = np.radians(self.theta), np.radians(self.phi)
        about_y = np.array(
            [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
        )
        about_x = np.array(
            [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
        )
        return np.asarray(about_x @ about_y)

    def eye(self) -> Points:
        """Position (3,) of the eye in the scene."""
        return np.asarray(self.center) + self._rotation.T @ [0.0, 0.0, FOCAL * self.height]

    def project(self, points: Points, frame_height: float) -> Points:
        """Points (n, 3) of the scene as points (n, 3) of the frame; the third is the depth."""
        seen = (points - np.asarray(self.center)) @ self._rotation.T
        eye = FOCAL * self.height
        # Points at or behind the eye are held just in front of it: they lie far outside of the
        # frame and must not wrap round to its other side.
        ahead = np.maximum(eye - seen[:, 2], 1e-3 * eye)
        scale = (eye / ahead) * (frame_height / self.height)
        seen[:, 0] *= scale
        seen[:, 1] *= scale
        return np.asarray(seen)

    def mix(self, other: Shot, alpha: float) -> Shot:
        """The shot ``alpha`` of the way to another; heights mix as ratios, so a zoom is even."""

        def line(a: float, b: float) -> float:
            return (1 - alpha) * a + alpha * b

        x, y, z = (line(a, b) for a, b in zip(self.center, other.center, strict=True))
        return Shot(
            center=(x, y, z),
            height=float(self.height ** (1 - alpha) * other.height**alpha),
            theta=line(self.theta, other.theta),
            phi=line(self.phi, other.phi),
        )


def pin_to_frame(mobject: M) -> M:
    """Keep a mobject at its place in the frame whatever the camera does."""
    for member in mobject.get_family():
        member.pinned = True
    return mobject


def on_card(mobject: M, card: Mobject) -> M:
    """Draw a mobject at the depth of ``card``, a mobject whose points lie in the card's plane."""
    for member in mobject.get_family():
        member.card = card
    return mobject


def off_card(mobject: M) -> M:
    """Draw a mobject where it stands in the scene's order again, not by depth."""
    for member in mobject.get_family():
        member.__dict__.pop("card", None)
    return mobject


def keep_upright(mobject: M, at: npt.ArrayLike) -> M:
    """Keep a mobject flat in the frame and at its size, where a point of the scene is seen.

    Its own points then say where it stands relative to that place.
    """
    for member in mobject.get_family():
        member.anchor = np.array(at, dtype=float)
    return mobject


def _kept(mobject: Mobject, name: str, otherwise: Any) -> Any:
    """What was noted on a mobject. ``getattr`` would ask manim first, which takes a while."""
    return vars(mobject).get(name, otherwise)


def _stays(mobject: Mobject) -> bool:
    """Whether a mobject keeps its place or its size in the frame whatever the shot is."""
    return bool(_kept(mobject, "pinned", False)) or _kept(mobject, "anchor", None) is not None


def _seen(mobject: Mobject, points: Points, shot: Shot, frame_height: float) -> Points:
    """Points (n, 3) of a mobject where they lie in the frame."""
    if _kept(mobject, "pinned", False):
        return points
    anchor = _kept(mobject, "anchor", None)
    if anchor is None:
        return shot.project(points, frame_height)
    return points + shot.project(anchor[None], frame_height) * [1.0, 1.0, 0.0]


class StageCamera(Camera):
    """Draws heatmaps by warping them and everything else with Cairo, through one :class:`Shot`."""

    pixel_array: npt.NDArray[np.uint8]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shot = Shot()
        # Outlines as they were drawn last: their points in the frame, and cairo's path of them.
        self._paths: WeakKeyDictionary[VMobject, tuple[Points, cairo.Path | None]] = (
            WeakKeyDictionary()
        )

    def pixels(self, mobject: Mobject, points: Points) -> Points:
        """Scene points (n, 3) as continuous pixel positions (n, 2) from the top left."""
        seen = self.transform_points_pre_display(mobject, points)
        scale = self.pixel_height / self.frame_height
        middle = np.array([self.pixel_width / 2, self.pixel_height / 2])
        return np.asarray(seen[:, :2] * [scale, -scale] + middle)

    def transform_points_pre_display(self, mobject: Mobject, points: Points) -> Points:
        if len(points) == 0:
            return points
        return _seen(mobject, points, self.shot, self.frame_height)

    def capture_mobjects(self, mobjects: Iterable[Mobject], **kwargs: Any) -> None:
        parts = self.drawing_order(mobjects)
        corners = iter(self._corners([part for part in parts if isinstance(part, Heatmap)]))
        for part in parts:
            if isinstance(part, Heatmap):
                self._paste(part, next(corners))
            else:
                self.draw(part)

    def draw(self, part: Heatmap | VMobject) -> None:
        """Draw one part, without what it is made of, over what is there."""
        if isinstance(part, Heatmap):
            self._paste(part, self.pixels(part, part.points[:4]))
        else:
            self.display_vectorized(part, self.get_cairo_context(self.pixel_array))

    def _paste(self, heatmap: Heatmap, corners: Points) -> None:
        opacity = heatmap.opacity * _presence(heatmap)
        paste(self.pixel_array, heatmap.texture(), corners, opacity)
        if heatmap.edged and heatmap.texture().opaque:
            outline(self.pixel_array, corners, heatmap.edge_colour, opacity)

    def _corners(self, heatmaps: list[Heatmap]) -> Points:
        """Where their corners are seen, (n, 4, 2) pixel positions; one call for most of them."""
        if not heatmaps:
            return np.empty((0, 4, 2))
        points = np.array([heatmap.points[:4] for heatmap in heatmaps])
        corners = self.pixels(Mobject(), points.reshape(-1, 3)).reshape(-1, 4, 2)
        for i, heatmap in enumerate(heatmaps):
            if _stays(heatmap):
                corners[i] = self.pixels(heatmap, points[i])
        return corners

    @contextmanager
    def scratch(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Draw on an empty, transparent picture inside the ``with`` block."""
        kept = self.pixel_array
        self.pixel_array = np.zeros_like(kept)
        try:
            yield self.pixel_array
        finally:
            self.pixel_array_to_cairo_context.pop(id(self.pixel_array), None)
            self.pixel_array = kept

    def drawing_order(self, mobjects: Iterable[Mobject]) -> list[Heatmap | VMobject]:
        """Every part that has something to draw, in the order in which it is drawn."""
        family = extract_mobject_family_members(
            list(mobjects), use_z_index=True, only_those_with_points=True
        )
        return [part for part in self._far_to_near(family) if _shows(part)]

    def set_cairo_context_path(self, ctx: cairo.Context[Any], vmobject: VMobject) -> Self:
        """Hand an outline to cairo; one that has not moved as a whole, not curve by curve."""
        points = self.transform_points_pre_display(vmobject, vmobject.points)
        before, path = self._paths.get(vmobject, (None, None))
        stands = before is not None and np.array_equal(before, points)
        if stands and path is not None:
            ctx.new_path()
            ctx.append_path(path)
            return self
        super().set_cairo_context_path(ctx, vmobject)
        # What moves is not worth a copy.
        self._paths[vmobject] = points.copy(), ctx.copy_path() if stands else None
        return self

    def get_fill_rgbas(self, vmobject: VMobject) -> npt.NDArray[np.float64]:
        return _fainter(vmobject.get_fill_rgbas(), _presence(vmobject))

    def get_stroke_rgbas(
        self, vmobject: VMobject, background: bool = False
    ) -> npt.NDArray[np.float64]:
        return _fainter(vmobject.get_stroke_rgbas(background), _presence(vmobject))

    def _far_to_near(self, family: list[Mobject]) -> list[Mobject]:
        """Cards first, by the distance of their plane from the eye; the rest in scene order.

        Cards of a rack are parallel planes: the one whose plane is farther from the eye can
        never hide the other, wherever the cards stand in their planes, which the distance of
        their centers would get wrong.
        """
        cards = {id(card): card for card in map(_card, family) if card is not None}
        if not cards:
            return family
        corners = np.array([card.points[:4] for card in cards.values()])
        first = corners[:, 0]
        normals = np.cross(corners[:, 1] - first, corners[:, 3] - first)
        away = np.abs(((self.shot.eye() - first) * normals).sum(axis=1))
        depths = dict(zip(cards, away / np.linalg.norm(normals, axis=1), strict=True))
        return sorted(family, key=lambda mobject: -depths.get(id(_card(mobject)), 0.0))


def _card(mobject: Mobject) -> Mobject | None:
    """What a mobject is sorted by, if it is sorted at all."""
    return None if _kept(mobject, "pinned", False) else _kept(mobject, "card", None)


def _presence(mobject: Mobject) -> float:
    return float(_kept(mobject, "presence", 1.0))


def _fainter(rgbas: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.float64]:
    return rgbas if factor == 1 else rgbas * [1.0, 1.0, 1.0, factor]


def _shows(mobject: Mobject) -> bool:
    """Whether any ink of a mobject would reach the frame."""
    if _presence(mobject) <= 0:
        return False
    if isinstance(mobject, Heatmap):
        return mobject.opacity > 0
    if not isinstance(mobject, VMobject):
        return False
    filled = mobject.fill_rgbas.size and mobject.fill_rgbas[:, 3].max() > 0
    stroked = (
        mobject.stroke_width > 0
        and mobject.stroke_rgbas.size
        and mobject.stroke_rgbas[:, 3].max() > 0
    )
    return bool(filled or stroked)
