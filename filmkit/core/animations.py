"""Motions that the film uses, named after what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Mobject, Scene, linear, smooth

from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource

__all__ = [
    "Appear",
    "Arrive",
    "Brighten",
    "Follow",
    "Glide",
    "MoveCamera",
    "Presence",
    "Recolour",
    "Reveal",
    "Rise",
    "Settle",
    "ShowCells",
    "SweepRows",
    "Transpose",
    "Vanish",
    "early",
    "in_diagonals",
    "in_rows",
    "late",
    "presence",
    "set_presence",
]

Array = npt.NDArray[np.float64]


def early(alpha: float) -> float:
    """Smooth, in the first half of the time."""
    return float(smooth(min(1.0, 2 * alpha)))


def late(alpha: float) -> float:
    """Smooth, in the second half of the time."""
    return float(smooth(max(0.0, 2 * alpha - 1)))


class InPlaceAnimation(Animation):
    """An animation that sets its mobject's state from ``alpha`` and needs no copies of it."""

    def create_starting_mobject(self) -> Mobject:
        return self.mobject

    def get_all_mobjects(self) -> Sequence[Mobject]:
        return (self.mobject,)

    def interpolate_mobject(self, alpha: float) -> None:
        self.step(self.rate_func(alpha))

    def step(self, alpha: float) -> None:
        """Set the state at ``alpha``, already eased."""
        raise NotImplementedError


class Presence(InPlaceAnimation):
    """Change how strongly something is there, whatever its own colours and opacities are.

    Presence multiplies what a mobject draws: 1 is its own look, 0 is invisible, the theme's
    ``dim`` is the background to what is being talked about. Only mobjects on the scene change
    it, so dimming and undimming never lose a colour.
    """

    def __init__(self, mobject: Mobject, to: float, **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        self.to = to

    def begin(self) -> None:
        self.start = [presence(member) for member in self.mobject.get_family()]
        super().begin()

    def step(self, alpha: float) -> None:
        for member, start in zip(self.mobject.get_family(), self.start, strict=True):
            member.presence = (1 - alpha) * start + alpha * self.to


def presence(mobject: Mobject) -> float:
    """How strongly a mobject is there, 0 to 1."""
    return float(getattr(mobject, "presence", 1.0))


def set_presence(mobject: Mobject, value: float) -> Mobject:
    """Set at once what :class:`Presence` changes over time."""
    for member in mobject.get_family():
        member.presence = value
    return mobject


class Appear(Presence):
    """Come onto the scene."""

    def __init__(self, mobject: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, 1.0, introducer=True, **kwargs)

    def begin(self) -> None:
        set_presence(self.mobject, 0.0)
        super().begin()


class Vanish(Presence):
    """Leave the scene."""

    def __init__(self, mobject: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, 0.0, remover=True, **kwargs)

    def clean_up_from_scene(self, scene: Scene) -> None:
        super().clean_up_from_scene(scene)
        set_presence(self.mobject, 1.0)


class MoveCamera(InPlaceAnimation):
    """Take the camera from its shot to another."""

    def __init__(self, camera: StageCamera, shot: Shot, **kwargs: Any) -> None:
        super().__init__(Mobject(), **kwargs)
        self.camera = camera
        self.shot = shot

    def begin(self) -> None:
        self.origin = self.camera.shot
        super().begin()

    def step(self, alpha: float) -> None:
        self.camera.shot = self.origin.mix(self.shot, alpha) if alpha < 1 else self.shot


class Glide(InPlaceAnimation):
    """Take a mobject to where a copy of it stands, size and turn included."""

    def __init__(self, mobject: Mobject, target: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        self.target = target

    def begin(self) -> None:
        family = self.mobject.get_family()
        self.ways = [
            (member, member.points.copy(), target.points.copy())
            for member, target in zip(family, self.target.get_family(), strict=True)
        ]
        super().begin()

    def step(self, alpha: float) -> None:
        for member, start, end in self.ways:
            member.points = (1 - alpha) * start + alpha * end


class Arrive(Glide):
    """Come onto the scene from where a copy stands, size included: what grows out of a thing."""

    def __init__(self, mobject: Mobject, origin: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, mobject, introducer=True, **kwargs)
        self.origin = origin

    def begin(self) -> None:
        self.target = self.mobject.copy()
        family = zip(self.mobject.get_family(), self.origin.get_family(), strict=True)
        for member, start in family:
            member.points = start.points.copy()
        super().begin()


class Settle(InPlaceAnimation):
    """Take a heatmap to a box, reshaping it on the way."""

    def __init__(self, heatmap: Heatmap, box: Box, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap
        self.box = box

    def begin(self) -> None:
        self.start = self.heatmap.points.copy()
        self.end = self.heatmap.copy().place(self.box).points
        super().begin()

    def step(self, alpha: float) -> None:
        self.heatmap.points = (1 - alpha) * self.start + alpha * self.end


class Transpose(InPlaceAnimation):
    """Take a heatmap to a box and turn it over its diagonal on the way: a true transpose.

    A quarter turn clockwise and half a turn about the upright axis, done together: rows become
    columns and the first cell stays the first. When it has landed, the heatmap holds the
    transposed matrix.
    """

    def __init__(self, heatmap: Heatmap, box: Box, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap
        self.box = box

    def begin(self) -> None:
        self.origin = self.heatmap.box
        self.turned = self.heatmap.transposed()
        super().begin()

    def step(self, alpha: float) -> None:
        if alpha >= 1:
            self.heatmap.take(self.turned).place(self.box)
            return
        start, end = self.origin, self.box
        width = (1 - alpha) * start.width + alpha * end.height
        height = (1 - alpha) * start.height + alpha * end.width
        quarter, half = -alpha * np.pi / 2, alpha * np.pi
        corners = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * [width / 2, height / 2]
        x = corners[:, 0] * np.cos(quarter) - corners[:, 1] * np.sin(quarter)
        y = corners[:, 0] * np.sin(quarter) + corners[:, 1] * np.cos(quarter)
        center = (1 - alpha) * np.array(start.center) + alpha * np.array(end.center)
        self.heatmap.points = center + np.stack([x * np.cos(half), y, x * np.sin(half)], axis=1)


class Reveal(InPlaceAnimation):
    """Show the cells of a heatmap one after another.

    Parameters
    ----------
    heatmap
        Whose cells are shown.
    when
        (rows, columns), at which fraction of the time, 0 to 1, each cell begins to show; NaN for
        cells that do not change.
    spread
        The fraction of the time that a cell takes.
    """

    def __init__(
        self, heatmap: Heatmap, when: npt.ArrayLike, *, spread: float = 0.15, **kwargs: Any
    ) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap
        self.when = np.broadcast_to(np.asarray(when, dtype=float), heatmap.shape)
        self.spread = spread

    def begin(self) -> None:
        self.start = self.heatmap.shown.copy()
        super().begin()

    def step(self, alpha: float) -> None:
        grown = np.clip((alpha * (1 + self.spread) - self.when) / self.spread, 0.0, 1.0)
        changed = np.where(np.isnan(grown), self.start, np.maximum(self.start, grown))
        self.heatmap.set_shown(changed)


class ShowCells(InPlaceAnimation):
    """Change how strongly the cells of a heatmap show, all together, up or down.

    ``shown`` is one number, or an array that broadcasts to the heatmap's shape.
    """

    def __init__(self, heatmap: Heatmap, shown: npt.ArrayLike, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap
        self.shown = np.broadcast_to(np.asarray(shown, dtype=float), heatmap.shape)

    def begin(self) -> None:
        self.start = self.heatmap.shown.copy()
        super().begin()

    def step(self, alpha: float) -> None:
        self.heatmap.set_shown((1 - alpha) * self.start + alpha * self.shown)


class Brighten(InPlaceAnimation):
    """Bring a heatmap to full opacity."""

    def __init__(self, heatmap: Heatmap, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap

    def begin(self) -> None:
        self.start = self.heatmap.opacity
        super().begin()

    def step(self, alpha: float) -> None:
        self.heatmap.set_opacity((1 - alpha) * self.start + alpha)


class Rise(InPlaceAnimation):
    """Grow from its lower edge to its full height."""

    def __init__(self, mobject: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, introducer=True, **kwargs)

    def begin(self) -> None:
        self.full = self.mobject.points.copy()
        super().begin()

    def step(self, alpha: float) -> None:
        foot = self.full[:, 1].min()
        self.mobject.points = self.full.copy()
        self.mobject.points[:, 1] = foot + alpha * (self.full[:, 1] - foot)


class SweepRows(InPlaceAnimation):
    """Move a frame down the rows of a heatmap, at an even pace and from row to row."""

    def __init__(self, frame: Mobject, heatmap: Heatmap, **kwargs: Any) -> None:
        super().__init__(frame, rate_func=linear, **kwargs)
        self.heatmap = heatmap

    def step(self, alpha: float) -> None:
        rows = self.heatmap.shape[0]
        self.mobject.move_to(self.heatmap.row(min(int(alpha * rows), rows - 1)).center)


def in_rows(shape: tuple[int, int]) -> Array:
    """When each cell shows if rows are filled one after the other, from the left."""
    rows, columns = shape
    row, column = np.mgrid[:rows, :columns]
    return np.asarray((row + 0.7 * column / columns) / rows)


def in_diagonals(shape: tuple[int, int]) -> Array:
    """When each cell shows if all are filled at once, in a wave from the first."""
    rows, columns = shape
    row, column = np.mgrid[:rows, :columns]
    return np.asarray((row / rows + column / columns) / 2)


class Recolour(InPlaceAnimation):
    """Change the numbers, the mask, or both, of a heatmap where it stands.

    ``source`` says where the new numbers come from.
    """

    def __init__(
        self,
        heatmap: Heatmap,
        *,
        values: npt.ArrayLike | None = None,
        masked: npt.ArrayLike | None = None,
        source: TensorSource | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(heatmap, **kwargs)
        self.heatmap = heatmap
        self.source = source
        self.values = None if values is None else np.asarray(values, dtype=float)
        self.masked = None if masked is None else np.asarray(masked, dtype=float)

    def begin(self) -> None:
        self.start = self.heatmap.values.copy(), self.heatmap.masked.copy()
        self.heatmap.source = self.source or self.heatmap.source
        super().begin()

    def step(self, alpha: float) -> None:
        if self.values is not None:
            self.heatmap.set_values((1 - alpha) * self.start[0] + alpha * self.values)
        if self.masked is not None:
            self.heatmap.set_masked((1 - alpha) * self.start[1] + alpha * self.masked)


class Follow(InPlaceAnimation):
    """Call a function with the eased time: for marks that follow something else that moves."""

    def __init__(self, mobject: Mobject, place: Callable[[float], object], **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        self.place = place

    def step(self, alpha: float) -> None:
        self.place(alpha)
