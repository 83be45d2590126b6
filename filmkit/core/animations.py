"""Animations that the film uses, each named after what is seen.

All of them take the keyword arguments of :class:`manim.Animation`, such as ``run_time`` (seconds)
and ``rate_func``. Without a ``run_time`` each takes as long as the theme's tempo gives to its kind.
Making one changes nothing; it reads where things are when it begins to play::

    self.play(Appear(panel.cells))
    self.play(Settle(strip, layout.row), Vanish(title, run_time=2))

``alpha`` is the share of an animation that has passed, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from manim import (
    DL,
    DOWN,
    UR,
    Animation,
    Group,
    Mobject,
    Scene,
    VMobject,
    linear,
    smooth,
    squish_rate_func,
)

from filmkit.core.body import Body, Lamp
from filmkit.core.camera import Shot, StageCamera, presence
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import change_light
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.theme import current_theme

__all__ = [
    "AnimateWith",
    "Appear",
    "Arrive",
    "Drift",
    "Glide",
    "MoveCamera",
    "MoveFromCopy",
    "MoveLamp",
    "Presence",
    "Recolour",
    "Reveal",
    "Rise",
    "Settle",
    "ShowCells",
    "Transpose",
    "TransposeFromCopy",
    "Unroll",
    "Vanish",
    "at_once",
    "first_half",
    "in_diagonals",
    "in_rows",
    "presence",
    "second_half",
    "set_presence",
    "visible_parts",
]

Array = npt.NDArray[np.float64]

Change: TypeAlias = tuple[Callable[[Any], object], Any, Any]
"""What sets a number or an array, and its values at the beginning and at the end."""


first_half = squish_rate_func(smooth, 0.0, 0.5)
"""Rate function with which all happens in the first half of the time."""

second_half = squish_rate_func(smooth, 0.5, 1.0)
"""Rate function with which all happens in the second half of the time."""


class InPlaceAnimation(Animation):
    """Base of animations that set their mobject's state from ``alpha``.

    Manim's own animations copy the whole mobject when they begin, which takes long for heatmaps.
    Subclasses say in :meth:`evenly` what goes evenly from one state to another; others save what
    they need in ``begin`` and implement :meth:`step`.

    Attributes
    ----------
    tempo : str
        Which of the theme's durations (:class:`filmkit.core.theme.Tempo`) it takes by default.
    """

    tempo: ClassVar[str] = "normal"

    def __init__(self, mobject: Mobject, *, run_time: float | None = None, **kwargs: Any) -> None:
        if isinstance(mobject, Box):
            raise SceneCodeError(
                f"{type(self).__name__} takes a mobject; a cell or a row is a place: write "
                f"{type(self).__name__}(Highlight(...))"
            )
        if run_time is None:
            run_time = getattr(current_theme().tempo, self.tempo)
        super().__init__(mobject, run_time=run_time, **kwargs)

    def begin(self) -> None:
        self._changes = list(self.evenly())
        super().begin()

    def create_starting_mobject(self) -> Mobject:
        return self.mobject

    def get_all_mobjects(self) -> Sequence[Mobject]:
        return (self.mobject,)

    def interpolate_mobject(self, alpha: float) -> None:
        self.step(self.rate_func(alpha))

    def step(self, alpha: float) -> None:
        """Set the state at ``alpha``, to which the rate function has been applied."""
        for change, start, end in self._changes:
            change((1 - alpha) * start + alpha * end)

    def evenly(self) -> Iterator[Change]:
        """Yield what changes evenly, as it is when the animation begins; nothing by default."""
        yield from ()


class Presence(InPlaceAnimation):
    """Fade a mobject and all its parts to another presence.

    Presence is a factor on the opacity with which a mobject is drawn: at 1 it has its own colours
    and opacities, at 0 it is invisible, and at the theme's ``dim`` it is background. Colours and
    opacities themselves stay as they are, so dimming and undimming lose nothing.

    Parameters
    ----------
    mobject
        What fades; it must be on the scene.
    to
        Presence at the end, 0 to 1.
    alone
        Whether its parts keep their own.
    """

    tempo = "small"

    def __init__(self, mobject: Mobject, to: float, *, alone: bool = False, **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        if not np.isfinite(to):
            raise SceneCodeError(f"a presence of {to} cannot be seen; give 0 to 1")
        self.to = to
        self.alone = alone

    def evenly(self) -> Iterator[Change]:
        for member in [self.mobject] if self.alone else self.mobject.get_family():
            yield partial(setattr, member, "presence"), presence(member), self.to


def at_once(animation: Animation) -> None:
    """Bring about the end of an animation without playing it."""
    animation.begin()
    animation.finish()


def set_presence(mobject: Mobject, value: float) -> Mobject:
    """Set the presence of a mobject and all its parts at once, and return the mobject."""
    for member in mobject.get_family():
        member.presence = value
    return mobject


def visible_parts(mobjects: Iterable[Mobject]) -> list[Mobject]:
    """Return every part of some mobjects with points and a presence above 0."""
    parts = (part for mobject in mobjects for part in mobject.family_members_with_points())
    return [part for part in parts if presence(part) > 0]


class Appear(Presence):
    """Add a mobject to the scene and fade it in, in place.

    Parameters
    ----------
    mobject
        What appears.
    to
        Its presence at the end, 0 to 1.
    """

    def __init__(self, mobject: Mobject, to: float = 1.0, **kwargs: Any) -> None:
        super().__init__(mobject, to, introducer=True, **kwargs)

    def begin(self) -> None:
        set_presence(self.mobject, 0.0)
        super().begin()


class Vanish(Presence):
    """Fade a mobject out, in place, and remove it from the scene.

    Afterwards its presence is 1 again, so that it can be added again.
    """

    def __init__(self, mobject: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, 0.0, remover=True, **kwargs)

    def clean_up_from_scene(self, scene: Scene) -> None:
        super().clean_up_from_scene(scene)
        set_presence(self.mobject, 1.0)


class MoveCamera(InPlaceAnimation):
    """Move the camera from its shot to another: everything not pinned to the frame moves.

    Parameters
    ----------
    camera
        The stage's camera.
    shot
        Where it ends. :meth:`filmkit.core.stage.Stage.move_camera` makes this animation.
    past
        Shots that draw its way towards them without being reached, as the inner points of a Bézier
        curve do: so it flies a curve and never stops on it. By default it goes straight.
    """

    tempo = "swing"

    def __init__(
        self, camera: StageCamera, shot: Shot, *, past: Sequence[Shot] = (), **kwargs: Any
    ) -> None:
        super().__init__(Mobject(), **kwargs)
        self.camera = camera
        self.shot = shot
        self.past = past

    def begin(self) -> None:
        self.origin = self.camera.shot
        super().begin()

    def step(self, alpha: float) -> None:
        shots = [self.origin, *self.past, self.shot] if alpha < 1 else [self.shot]
        while len(shots) > 1:
            shots = [start.mix(end, alpha) for start, end in pairwise(shots)]
        self.camera.shot = shots[0]


class MoveLamp(InPlaceAnimation):
    """Move a lamp over something else; one that is out goes on there.

    Parameters
    ----------
    lamp
        The lamp; it is added to the scene.
    over : Mobject or (3,) or None
        What it is aimed at when this begins; None to put it out.
        :meth:`filmkit.core.stage.Stage.light_up` makes this animation.
    """

    def __init__(self, lamp: Lamp, over: Mobject | npt.ArrayLike | None, **kwargs: Any) -> None:
        super().__init__(lamp, introducer=True, **kwargs)
        self.over = over

    def evenly(self) -> Iterator[Change]:
        lamp = self.mobject
        if self.over is not None:
            aimed = lamp.copy().aim(self.over).points
            start = lamp.points if presence(lamp) else aimed
            yield partial(setattr, lamp, "points"), start, aimed
        yield partial(setattr, lamp, "presence"), presence(lamp), float(self.over is not None)


class Drift(InPlaceAnimation):
    """Move the camera a little and back again, so slowly that a picture seems alive.

    It ends with the very shot that it began with. A flat picture comes closer; in space the eye
    goes round.

    Parameters
    ----------
    camera
        The stage's camera.
    closer
        How much closer a flat picture comes, as a share of its size.
    degrees
        How far the eye goes round in space.
    """

    def __init__(
        self, camera: StageCamera, *, closer: float = 0.02, degrees: float = 3.0, **kwargs: Any
    ) -> None:
        super().__init__(Mobject(), rate_func=linear, **kwargs)
        self.camera = camera
        self.closer, self.degrees = closer, degrees

    def begin(self) -> None:
        self.origin = self.camera.shot
        super().begin()

    def step(self, alpha: float) -> None:
        share = float(np.sin(np.pi * alpha) ** 2) if 0 < alpha < 1 else 0.0
        shot = self.origin
        if shot.theta == shot.phi == 0:
            self.camera.shot = replace(shot, height=shot.height * (1 - self.closer * share))
        else:
            self.camera.shot = replace(shot, theta=shot.theta + self.degrees * share)


class Glide(InPlaceAnimation):
    """Move a mobject straight to where a copy of it is, changing size and rotation on the way.

    Parameters
    ----------
    mobject
        What moves; it must be on the scene.
    target
        A copy of it in the final place, with as many parts and points.

    Examples
    --------
    ::

        self.play(Glide(word, word.copy().shift([2, 0, 0])))
    """

    def __init__(self, mobject: Mobject, target: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        self.target = target

    def evenly(self) -> Iterator[Change]:
        for member, target in _paired_parts(self.mobject, self.target):
            yield partial(setattr, member, "points"), member.points.copy(), target.points.copy()


def _paired_parts(mobject: Mobject, other: Mobject) -> list[tuple[Mobject, Mobject]]:
    """Return the parts of two mobjects of the same structure, each with its counterpart."""
    family, others = mobject.get_family(), other.get_family()
    if len(family) != len(others):
        raise SceneCodeError(
            f"{type(mobject).__name__} and {type(other).__name__} have {len(family)} and "
            f"{len(others)} parts; give two of the same structure, such as one and a copy of it"
        )
    return list(zip(family, others, strict=True))


class Arrive(InPlaceAnimation):
    """Add a mobject to the scene in the look of another one, and change it into its own.

    Places, numbers, scales, masks, opacities of cells, colours, light and presence change. It looks
    as if the mobject grew out of the other one, or as if that became the mobject.

    Parameters
    ----------
    mobject
        What is added; it ends as it is now.
    origin
        What it looks like at first: a copy of it, or something with as many parts and points.
    """

    def __init__(self, mobject: Mobject, origin: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, introducer=True, **kwargs)
        self.origin = origin

    def begin(self) -> None:
        ways = _paired_parts(self.mobject.copy(), self.origin.copy())
        self.changes = list(zip(self.mobject.get_family(), ways, strict=True))
        super().begin()

    def step(self, alpha: float) -> None:
        for part, (end, start) in self.changes:
            part.points = (1 - alpha) * start.points + alpha * end.points
            part.presence = (1 - alpha) * presence(start) + alpha * presence(end)
            change_light(part, start, end, alpha)
            if isinstance(part, Body | Heatmap | VMobject):
                part.interpolate_color(start, end, alpha)
            if isinstance(part, Heatmap):
                part.edged = (start if alpha < 0.5 else end).edged


class Settle(InPlaceAnimation):
    """Move a heatmap straight into a box of the flat picture, stretching it on the way.

    Parameters
    ----------
    heatmap
        What moves.
    box
        What it fills at the end, in scene units.
    """

    def __init__(self, heatmap: Heatmap, box: Box, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.box = box

    def evenly(self) -> Iterator[Change]:
        end = self.mobject.copy().place(self.box).points
        yield partial(setattr, self.mobject, "points"), self.mobject.points.copy(), end


class Transpose(InPlaceAnimation):
    """Move a heatmap into a box and flip it over its diagonal on the way: a true transpose.

    Seen are a quarter turn clockwise and half a turn about the vertical axis at the same time:
    rows become columns and the first cell stays the first. At the end the heatmap holds the
    transposed matrix, and its shape is (columns, rows).

    Parameters
    ----------
    heatmap
        What is transposed.
    box
        What it fills at the end, in scene units.
    """

    def __init__(self, heatmap: Heatmap, box: Box, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.box = box

    def begin(self) -> None:
        self.origin = self.mobject.box
        self.turned = self.mobject.transposed()
        super().begin()

    def step(self, alpha: float) -> None:
        if alpha >= 1:
            self.mobject.copy_cells_from(self.turned).place(self.box)
            return
        self.mobject.set_corners(_flipped_corners(self.origin, self.box, alpha))


def _flipped_corners(start: Box, end: Box, alpha: float) -> Array:
    """Return the corners (4, 3) of a heatmap on its way to its transpose; see `Transpose`."""
    width = (1 - alpha) * start.width + alpha * end.height
    height = (1 - alpha) * start.height + alpha * end.width
    quarter, half = -alpha * np.pi / 2, alpha * np.pi
    corners = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * [width / 2, height / 2]
    x = corners[:, 0] * np.cos(quarter) - corners[:, 1] * np.sin(quarter)
    y = corners[:, 0] * np.sin(quarter) + corners[:, 1] * np.cos(quarter)
    center = (1 - alpha) * np.array(start.center) + alpha * np.array(end.center)
    return np.asarray(center + np.stack([x * np.cos(half), y, x * np.sin(half)], axis=1))


class TransposeFromCopy(InPlaceAnimation):
    """Let a copy of a matrix leave it, flip over its diagonal, and become its transpose.

    Parameters
    ----------
    source
        A heatmap on the scene.
    target
        The heatmap of the transposed matrix, in its place; it is added to the scene.
    leaves
        Whether the source itself is what leaves, and is not seen from then on.

    Examples
    --------
    ::

        self.play(TransposeFromCopy(keys.cells, keys_transposed.cells))
    """

    def __init__(
        self, source: Heatmap, target: Heatmap, *, leaves: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(target, introducer=True, **kwargs)
        self.source, self.target, self.leaves = source, target, leaves

    def begin(self) -> None:
        self.origin, self.box = self.source.box, self.target.box
        self.presence = presence(self.target)
        super().begin()

    def step(self, alpha: float) -> None:
        self.target.presence = self.presence * (alpha > 0)
        if self.leaves:
            self.source.presence = float(alpha <= 0)
        if alpha >= 1:
            self.target.place(self.box)
        else:
            corners = _flipped_corners(self.origin, self.box, alpha)
            self.target.set_corners(corners[[0, 3, 2, 1]])


class MoveFromCopy(Arrive):
    """Let a copy of something leave it, move, and become something else of the same structure.

    Parameters
    ----------
    source
        What the copy leaves; it stays as it is.
    target
        What the copy becomes, in its place; it is added to the scene. A heatmap of the same shape
        changes from the source's numbers to its own on the way.

    Examples
    --------
    ::

        self.play(MoveFromCopy(scores.part((3, 4), (0, 9)), closeup.row))
    """

    def __init__(self, source: Mobject, target: Mobject, **kwargs: Any) -> None:
        super().__init__(target, source, **kwargs)


class Unroll(InPlaceAnimation):
    """Let a bar become the matrix that it measures: row after row leaves it for its place.

    In the bar the rows lie end to end, so its length is the number of cells. At the end the bar is
    gone and the matrix is there.

    Parameters
    ----------
    bar
        A bar on the scene, which is removed.
    heatmap
        The matrix, in its place; it is added to the scene.
    overlap
        Share of the time that one row takes.
    """

    tempo = "large"

    def __init__(
        self, bar: Mobject, heatmap: Heatmap, *, overlap: float = 0.5, **kwargs: Any
    ) -> None:
        self.bar, self.heatmap, self.overlap = bar, heatmap, overlap
        self.rows = heatmap.split_rows()
        super().__init__(Group(*self.rows), introducer=True, **kwargs)

    def begin(self) -> None:
        for row, now in zip(self.rows, self.heatmap.split_rows(), strict=True):
            row.copy_cells_from(now).set_corners(now.corners)
        box = Box.between(self.bar.get_corner(DL), self.bar.get_corner(UR))
        count = len(self.rows)
        parts = box.split_columns(count) if box.width >= box.height else box.split_rows(count)
        self.moves = [
            (row, row.copy().place(part).points, row.points.copy())
            for row, part in zip(self.rows, parts, strict=True)
        ]
        super().begin()

    def step(self, alpha: float) -> None:
        latest = (1 - self.overlap) / max(1, len(self.moves) - 1)
        for number, (row, start, end) in enumerate(self.moves):
            share = float(smooth(np.clip((alpha - latest * number) / self.overlap, 0, 1)))
            row.points = (1 - share) * start + share * end
        set_presence(self.bar, max(0.0, 1 - 4 * alpha))

    def clean_up_from_scene(self, scene: Scene) -> None:
        super().clean_up_from_scene(scene)
        scene.remove(self.mobject, self.bar)
        set_presence(self.bar, 1.0)
        scene.add(self.heatmap)


class Reveal(InPlaceAnimation):
    """Fade in the cells of a heatmap one after another.

    Parameters
    ----------
    heatmap
        A heatmap on the scene, whose cells are hidden: ``heatmap.set_shown(0)``.
    when : (rows, columns)
        The share of the time, 0 to 1, at which each cell begins to fade in; NaN for cells that
        stay as they are. :func:`in_rows` and :func:`in_diagonals` make such arrays.
    spread
        The share of the time that one cell takes to fade in.
    to : (rows, columns)
        Opacity of each cell at the end, 0 to 1: one number, or an array that broadcasts.

    Examples
    --------
    ::

        self.add(cells.set_shown(0))
        self.play(Reveal(cells, in_rows(cells.shape)))
    """

    tempo = "large"

    def __init__(
        self,
        heatmap: Heatmap,
        when: npt.ArrayLike,
        *,
        spread: float = 0.15,
        to: npt.ArrayLike = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(heatmap, **kwargs)
        self.to = np.asarray(to, dtype=float)
        self.when = np.broadcast_to(np.asarray(when, dtype=float), heatmap.shape)
        self.spread = spread

    def begin(self) -> None:
        self.start = self.mobject.shown.copy()
        super().begin()

    def step(self, alpha: float) -> None:
        grown = np.clip((alpha * (1 + self.spread) - self.when) / self.spread, 0.0, 1.0)
        changed = np.where(np.isnan(grown), self.start, np.maximum(self.start, grown * self.to))
        self.mobject.set_shown(changed)


class ShowCells(InPlaceAnimation):
    """Fade the cells of a heatmap to other opacities, all at the same time.

    Parameters
    ----------
    heatmap
        A heatmap on the scene.
    shown
        Opacity of the cells at the end, 0 to 1: one number, or an array that broadcasts to the
        heatmap's shape.
    """

    tempo = "small"

    def __init__(self, heatmap: Heatmap, shown: npt.ArrayLike, **kwargs: Any) -> None:
        super().__init__(heatmap, **kwargs)
        self.shown = np.broadcast_to(np.asarray(shown, dtype=float), heatmap.shape)

    def evenly(self) -> Iterator[Change]:
        yield self.mobject.set_shown, self.mobject.shown.copy(), self.shown


class Rise(Arrive):
    """Add a mobject, such as a bar, and let it grow upwards from its lower edge."""

    def __init__(self, mobject: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, mobject, **kwargs)

    def begin(self) -> None:
        self.origin = self.mobject.copy().stretch(0, 1, about_edge=DOWN)
        super().begin()


def in_rows(shape: tuple[int, int]) -> Array:
    """Return the times (rows, columns) for :class:`Reveal` that fill row after row.

    Each row is filled from the left; times are shares of the animation, from 0 to less than 1.
    """
    rows, columns = shape
    row, column = np.mgrid[:rows, :columns]
    return np.asarray((row + 0.7 * column / columns) / rows)


def in_diagonals(shape: tuple[int, int]) -> Array:
    """Return the times (rows, columns) for :class:`Reveal` of a diagonal wave.

    The wave starts at the first cell; times are shares of the animation, from 0 to less than 1.
    """
    rows, columns = shape
    row, column = np.mgrid[:rows, :columns]
    return np.asarray((row / rows + column / columns) / 2)


class Recolour(InPlaceAnimation):
    """Change numbers, norm or mask of a heatmap in place: its cells change colour.

    Parameters
    ----------
    heatmap
        A heatmap on the scene.
    values : (rows, columns)
        The new numbers, of the heatmap's shape; by default they stay.
    norm
        The new norm of these numbers; by default it stays.
    masked : (rows, columns)
        How far each cell is masked at the end, 0 to 1 (True and False work too); by default that
        stays.
    source
        Where the new numbers come from; by default the heatmap's source stays.
    """

    def __init__(
        self,
        heatmap: Heatmap,
        *,
        values: npt.ArrayLike | None = None,
        norm: Norm | None = None,
        masked: npt.ArrayLike | None = None,
        source: TensorSource | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(heatmap, **kwargs)
        self.values, self.norm, self.masked, self.source = values, norm, masked, source

    def begin(self) -> None:
        self.start, self.end = self.mobject.copy(), self.mobject.copy()
        self.end.set_values(self.start.values if self.values is None else self.values, self.norm)
        if self.masked is not None:
            self.end.set_masked(self.masked)
        self.mobject.source = self.source or self.mobject.source
        super().begin()

    def step(self, alpha: float) -> None:
        self.mobject.set_between(self.start, self.end, alpha)


class AnimateWith(InPlaceAnimation):
    """Animate a mobject by calling a function with ``alpha`` for every frame.

    Parameters
    ----------
    mobject
        What the function changes; it must be on the scene.
    function
        Called with ``alpha``, 0 to 1, to which the rate function has been applied.

    Examples
    --------
    ::

        self.add(fan_out.set_drawn(0))
        self.play(AnimateWith(fan_out, fan_out.set_drawn))
    """

    def __init__(
        self, mobject: Mobject, function: Callable[[float], object], **kwargs: Any
    ) -> None:
        super().__init__(mobject, **kwargs)
        self.function = function

    def step(self, alpha: float) -> None:
        self.function(alpha)
