"""Bodies without cells: a GPU's memory as a box of glass, and sketches of what is not traced."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
from manim import Group, LineJointType, Polygon, VGroup, VMobject

from filmkit.core.light import glow, mirrored
from filmkit.core.theme import current_theme, mixed
from filmkit.world.block import SIDES, Pose, Solid

__all__ = ["GlassBox", "SketchBody", "hatched", "keys_and_values", "sketched", "slices"]

Array = npt.NDArray[np.float64]

ROOM = 0.16  # between a body and the glass around it, in scene units
PANE = 0.05  # opacity of the panes
HATCH = 0.17  # from one line of a hatching to the next, in scene units
LIGHTS = 0.2, 0.14, 0.26  # share of the colour in the front, the face and the top of a sketch
LINES = 0.85  # the same of its hatching
HIDDEN = (
    ((0, 0, 1), (0, 1, 1)),
    ((0, 0, 1), (1, 0, 1)),
    ((0, 0, 1), (0, 0, 0)),
)
"""The edges of a solid that are behind it, seen from the right and above."""


class GlassBox(Solid):
    """The memory of a GPU: a box of glass on the floor, with edges of light.

    Its edges behind a body are drawn before it, the others after it, if the body is added to the
    scene between :attr:`back` and the rest, or has no order of its own.

    Parameters
    ----------
    around
        Where a body stands that it is around.
    times
        How many times as much as the body would have room in it: it is so many times as long, and
        goes on to the right, or is shorter than the body with less than 1.
    room
        Between the body and the glass, in scene units.

    Attributes
    ----------
    back, front
        The edges that are behind what is in it, and the others with the panes.
    """

    def __init__(self, around: Pose, times: float = 1.0, room: float = ROOM) -> None:
        super().__init__()
        thick, height, depth = around.size
        turn, more = np.radians(around.turn), (times - 1) * thick / 2
        x, y, z = around.at
        self.pose = Pose(
            (x + more * float(np.cos(turn)), y, z + more * float(np.sin(turn))),
            around.turn,
            times * thick + 2 * room,
            height + room,
            depth + 2 * room,
        )
        theme, at = current_theme(), self.pose.corner
        look = {"stroke_color": theme.glass, "joint_type": LineJointType.ROUND}
        self.back = VMobject(stroke_width=theme.line, **look).set_z_index(-1)
        for first, last in HIDDEN:
            self.back.start_new_path(at(*first))
            self.back.add_line_to(at(*last))
        self.front = VGroup(
            *(
                Polygon(
                    *(at(*corner) for corner in pane[:4]),
                    stroke_width=theme.bold,
                    fill_color=theme.glass,
                    fill_opacity=PANE,
                    **look,
                )
                for pane in SIDES
            )
        ).set_z_index(1)
        self.add(mirrored(glow(self.back)), mirrored(glow(self.front)))


class SketchBody(Solid):
    """A solid to scale without numbers of the trace: its faces are hatched and have no cells.

    Parameters
    ----------
    pose
        Where it stands, and its size.
    colour
        "#RRGGBB", of its edges and of the hatching.

    Attributes
    ----------
    faces, hatching
        The three faces that are seen, and the lines on each.
    """

    def __init__(self, pose: Pose, colour: str) -> None:
        super().__init__()
        self.faces, self.hatching = VGroup(), VGroup()
        for light in LIGHTS:
            face, lines = sketched(colour, light)
            self.faces.add(face)
            self.hatching.add(lines)
            self.add(face, lines)
        self.stand(pose)
        mirrored(self)

    def stand(self, pose: Pose) -> Self:
        self.pose = pose
        for face, lines, corners in zip(self.faces, self.hatching, SIDES, strict=True):
            points = np.array([pose.corner(*corner) for corner in corners])
            face.set_points_as_corners(points)
            lines.points = hatched(points[:4])
        return self


def slices(whole: Pose, count: int, *, thin: float = 1.0) -> list[Pose]:
    """Return where slices stand, side by side, of a solid whose face looks to the right.

    Parameters
    ----------
    whole
        The solid.
    count
        How many they are.
    thin
        How thick each is, as a share of its place.
    """
    x, y, z = whole.at
    pitch = whole.thick / count
    left = x - (whole.thick - pitch) / 2
    return [replace(whole, at=(left + n * pitch, y, z), thick=thin * pitch) for n in range(count)]


def keys_and_values(whole: Pose, count: int = 2, *, thin: float = 1.0) -> Group:
    """Return sketches of keys and of values in turn, which fill a solid as :func:`slices` do."""
    colours, poses = (current_theme().key, current_theme().value), slices(whole, count, thin=thin)
    return Group(*(SketchBody(pose, colours[n % 2]) for n, pose in enumerate(poses)))


def sketched(colour: str, light: float) -> tuple[VMobject, VMobject]:
    """Return a face of a sketch, and the lines on it, which are to get their points.

    Parameters
    ----------
    colour
        "#RRGGBB", of its edges and of the lines.
    light
        Share of the colour in the face.
    """
    theme = current_theme()
    face = VMobject(
        stroke_color=colour,
        stroke_width=theme.line,
        fill_color=mixed(theme.background, colour, light),
        fill_opacity=1.0,
        joint_type=LineJointType.ROUND,
    )
    lines = VMobject(stroke_color=mixed(theme.background, colour, LINES), fill_opacity=0.0)
    return face, lines.set_stroke(width=theme.thin)


def hatched(corners: Array) -> Array:
    """Return the points of the slanting lines that fill a parallelogram (4, 3): four for each."""
    first, up, _opposite, across = corners
    height, width = (float(np.linalg.norm(side - first)) for side in (up, across))
    width, height = width or 1.0, height or 1.0
    along = np.arange(HATCH, width + height, HATCH)
    # From the upper or the right side to the lower or the left one.
    ends = (
        (np.minimum(along, width), np.maximum(0.0, along - width)),
        (np.maximum(0.0, along - height), np.minimum(along, height)),
    )
    start, stop = (
        first + np.outer(x / width, across - first) + np.outer(y / height, up - first)
        for x, y in ends
    )
    shares = np.linspace(0, 1, 4)[:, None]
    return np.asarray(start[:, None] + shares * (stop - start)[:, None]).reshape(-1, 3)
