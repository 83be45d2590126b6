"""Where things stand in the room, and the places from which they are seen: pure geometry.

Coordinates are those of the scene: x to the right, y up from the floor, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import cos, radians, sin

import numpy as np
import numpy.typing as npt

from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box, Frame

__all__ = ["SHOTS", "Place", "Plan"]

Points = npt.NDArray[np.float64]

RADIUS = 9.0  # of the arc
SPAN = radians(98)  # its largest angle
STEP = SPAN / 8  # angle from one of nine heads to the next
LARGEST = 1.6  # of fewer heads, in sizes of one of nine
CARD = 1.75  # size of a card
GAP = 0.02  # between keys and values
ACROSS, DOWN = 2.0, 2.95  # from one head of a grid to the next
WIDE = 9.0  # of a grid
SHARED = (1.3, 1.2)  # size of a plate that all heads share
SHARED_AT, SHARED_APART = -3.2, 0.66  # where it stands, and how far from the middle
SET, LOWER = 0.8, 0.14  # height of one of several sets in a grid, in plates; how much lower it is
RAYS_FROM = 0.46  # of the latent's width, to each side of its middle
SETS_AT = 5.4  # radius at which several sets stand
ROW = (-4.2, 2.4, 2.0), (0.0, 1.2, -8.0)  # eye of the shot along the row, and where it looks
ROW_LENS, ROW_SHARE = 1.05, 0.95  # its lens, and how much of the room it fills
EYE, AT = (0.0, 3.0, 5.6), (0.0, 0.85, -7.2)  # of the wide shot of an arc
WORDS_ABOVE, WORDS_BELOW = 1.95, 0.75  # room for a headline and a sentence
LINE_ABOVE = 0.25  # of it for another line in narrow frames
ROUNDS, DAMPING = 40, 0.6  # of fitting a shot, and how much of the way each of them goes
CLOSE = 1e-3  # what is not worth another round
MAX_ROWS = 8
EVEN = 0.3  # how much equal rows are worth, as a power
GOOD = 0.95  # the fewest rows are taken that are as good as this share of the best
LENS = 1.6  # of all shots but the wide one of an arc

SHOTS = ("arc", "card", "plate", "row", "shared")
"""Names of the places from which the room is seen."""


@dataclass(frozen=True)
class Place:
    """A rectangle that stands upright in the room.

    Attributes
    ----------
    center : (3,)
        Its middle.
    turn
        Its turn about the vertical axis in radians; 0 faces the viewer, positive ones face left.
    width, height
        Its size in scene units.
    """

    center: tuple[float, float, float]
    turn: float
    width: float
    height: float

    @property
    def axes(self) -> Points:
        """Its directions to the right, up, and to the front: three unit vectors, (3, 3)."""
        c, s = cos(self.turn), sin(self.turn)
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])

    def point(self, right: float, up: float, front: float = 0.0) -> Points:
        """Return the point (3,) at distances from its middle, in scene units."""
        return np.asarray(self.center + np.array([right, up, front]) @ self.axes)

    @property
    def corners(self) -> Points:
        """Its corners (4, 3), clockwise from the upper left."""
        w, h = self.width / 2, self.height / 2
        return np.array([self.point(x, y) for x, y in ((-w, h), (w, h), (w, -h), (-w, -h))])

    def stand(self, points: npt.ArrayLike) -> Points:
        """Return where points (n, 3) of the flat picture are when the picture stands here.

        Its origin is then the middle of the place.
        """
        return np.asarray(self.center + np.asarray(points) @ self.axes)


@dataclass(frozen=True)
class Form:
    """How a head stands: in sizes of one of nine heads.

    Attributes
    ----------
    plate
        Width and height of a plate.
    foot
        Height at which its card hangs.
    before
        How far its plates stand in front of the card.
    """

    plate: tuple[float, float]
    foot: float
    before: float


ARC, GRID = Form((0.8, 1.6), 1.87, 0.5), Form((0.86, 0.7), 0.8, 0.02)


class Plan:
    """Where the heads of a layer stand, and how they are seen.

    They stand on an arc around the viewer, or, where that is larger, in a grid that faces him.

    Parameters
    ----------
    heads
        How many there are.
    group
        How many of them share a set of keys and values; they stand in one row if they can.
    frame
        The frame that is filled.

    Attributes
    ----------
    rows
        How many heads stand in each row, from the top; there is one row on an arc.
    scale
        Size of cards and plates, in those of nine heads.
    """

    def __init__(self, heads: int, group: int, frame: Frame) -> None:
        self.heads, self.frame = heads, frame
        self.rows: tuple[int, ...] = ()
        self._unit = group if heads > group else 1
        tried = []
        for count in range(1, min(heads // self._unit, MAX_ROWS) + 1):
            self._stand_in(count)
            tried.append(self._wide[1] * (min(self.rows) / max(self.rows)) ** EVEN)
        best = max(tried)
        self._stand_in(1 + next(i for i, size in enumerate(tried) if size >= GOOD * best))

    def _stand_in(self, rows: int) -> None:
        """Place the heads in a number of rows."""
        parts = np.array_split(np.arange(self.heads // self._unit), rows)
        self.rows = tuple(self._unit * len(part) for part in parts)
        self._form = ARC if rows == 1 else GRID
        self._step = min(LARGEST * STEP, SPAN / max(self.rows[0] - 1, 1))
        wide = self._step / STEP if rows == 1 else WIDE / (ACROSS * max(self.rows))
        self.scale = min(LARGEST, wide)
        self._spots = [
            (row, i - (count - 1) / 2) for row, count in enumerate(self.rows) for i in range(count)
        ]
        self.__dict__.pop("_wide", None)

    def card(self, head: int) -> Place:
        """Return where the card of a head hangs."""
        return self._at_head(head, 0.0, self._form.foot + CARD / 2, 0.0, (CARD, CARD))

    def plate(self, head: int, side: int) -> Place:
        """Return where the keys (side 0) or the values (side 1) of a head stand."""
        width, height = self._form.plate
        right = (width + GAP) / 2 * (2 * side - 1)
        return self._at_head(head, right, height / 2, self._form.before, (width, height))

    def _at_head(
        self, head: int, right: float, up: float, front: float, size: tuple[float, float]
    ) -> Place:
        row, aside = self._spots[head]
        angle, floor = aside * self._step, 0.0
        x, z = RADIUS * sin(angle), -RADIUS * cos(angle)
        if self._form is GRID:
            angle, x, z = 0.0, aside * ACROSS * self.scale, -RADIUS
            # Above what all heads share.
            floor = 1.3 * SHARED[1] + (len(self.rows) - 1 - row) * DOWN * self.scale
        foot = Place((x, floor, z), angle, *(self.scale * side for side in size))
        x, y, z = (float(v) for v in foot.point(*(self.scale * v for v in (right, up, front))))
        return replace(foot, center=(x, y, z))

    def set_plate(self, number: int, sets: int, side: int) -> Place:
        """Return where the keys (side 0) or values (side 1) of one of several shared sets stand."""
        if sets == 1:
            x, y, z = (float(v) for v in self.latent.point(SHARED_APART * (2 * side - 1), 0.0))
            return Place((x, y, z), 0.0, *SHARED)
        if self._form is GRID:
            return self._set_below(number, sets, side)
        step = min(STEP * self.scale * self.heads / sets, STEP * 4)
        size = min(1.0, 1.3 * self.scale, SETS_AT * step / (2.4 * SHARED[0]))
        angle = step * (number - (sets - 1) / 2)
        foot = Place((SETS_AT * sin(angle), 0.0, -SETS_AT * cos(angle)), angle, 0, 0)
        right = size * SHARED_APART * (2 * side - 1)
        x, y, z = (float(v) for v in foot.point(right, size * SHARED[1] / 2))
        return Place((x, y, z), angle, size * SHARED[0], size * SHARED[1])

    def _set_below(self, number: int, sets: int, side: int) -> Place:
        """Return where a plate of a set stands in a grid: below the cards of its heads."""
        members = [head for head in range(self.heads) if head * sets // self.heads == number]
        rows = [self._spots[head][0] for head in members]
        # Below most of them, if they do not stand in one row.
        row = max(rows, key=rows.count)
        plates = [self.plate(h, 0) for h, own in zip(members, rows, strict=True) if own == row]
        (left, y, z), width = plates[0].center, plates[0].width
        middle = (left + plates[-1].center[0] + width) / 2
        height = SET * plates[0].height
        width = min(1.5, len(plates)) * width
        x = middle + width / 2 * (2 * side - 1)
        return Place((x, y - LOWER * self.scale, z), 0.0, width, height)

    def line(self, head: int, sets: int) -> Points:
        """Return the ends (2, 3) of a line from the keys and values that a head reads to its card.

        Parameters
        ----------
        head
            Number of the head.
        sets
            How many sets of keys and values there are; as many as heads for those of its own.
        """
        end = self.card(head).corners[2:].mean(axis=0)
        if sets == self.heads:
            return np.array([self.plate(head, 0).corners[1], end])
        pair = [self.set_plate(head * sets // self.heads, sets, side).corners for side in (0, 1)]
        return np.array([pair[0][1] / 2 + pair[1][0] / 2, end])

    @property
    def latent(self) -> Place:
        """Where the latent stands: at the place of a pair that all heads share."""
        width = 2 * SHARED_APART + SHARED[0]
        z = SHARED_AT if self._form is ARC else -RADIUS
        return Place((0.0, SHARED[1] / 2, z), 0.0, width, SHARED[1])

    def ray(
        self, head: int, side: int, width: float, grown: float, *, to_card: bool = False
    ) -> Points:
        """Return the corners (4, 3) of a ray from the latent to the keys or values of a head.

        Parameters
        ----------
        head, side
            As for :meth:`plate`.
        width
            Its width, as a share of the whole ray's.
        grown
            How much of its length there is, 0 to 1.
        to_card
            Whether it leads to the card instead.
        """
        plate, source = self.plate(head, side), self.latent
        # Rays do not cross each other.
        last = self.plate(int(np.argmax([aside for _row, aside in self._spots])), 1)
        middle = RAYS_FROM * source.width * plate.center[0] / last.center[0]
        half = width * RAYS_FROM * source.width / (2 * max(self.rows))
        end, aside, low, wide = plate, 0.0, -0.3 * plate.height, width * plate.width / 2
        if to_card:
            end = self.card(head)
            aside, low = (side - 0.5) * 0.45 * end.width, -end.height / 2
        start = np.array([source.point(x, 0.0, -0.05) for x in (middle - half, middle + half)])
        stop = np.array([end.point(aside + x, low, 0.05) for x in (-wide, wide)])
        stop = start + max(grown, 1e-3) * (stop - start)
        return np.array([start[0], start[1], stop[1], stop[0]])

    # Shots

    def shot(self, name: str, head: int) -> Shot:
        """Return a place of the camera by its name; see :meth:`World.shot`.

        Raises
        ------
        SceneCodeError
            If there is no such shot.
        """
        if name == "arc":
            return self._wide[0]
        if name == "card":
            return self._facing(self._one(head))
        if name == "plate":
            return self._facing([self.plate(head, 0), self.plate(head, 1)])
        if name == "shared":
            return self._facing([self.latent], 0.8)
        if name == "row":
            eye, at = map(np.array, ROW)
            return _fitted(self._heads, eye, at, self.room, self.frame, ROW_SHARE, ROW_LENS)[0]
        raise SceneCodeError(f"the room has no shot {name!r}; take one of {', '.join(SHOTS)}")

    def below(self, y: float) -> Shot:
        """Return the shot of all heads in which they are below a height of the frame."""
        room = self.room
        return self._all_in(Box.of(room.left, room.right, room.bottom, min(y, room.top)))[0]

    def facing(self, head: int, lens: float) -> Shot:
        """Return the shot of one head, face on, with a lens."""
        return self._facing(self._one(head), lens=lens)

    def _one(self, head: int) -> list[Place]:
        return [self.card(head), self.plate(head, 0), self.plate(head, 1)]

    def _facing(
        self,
        places: list[Place],
        share: float = 1.0,
        *,
        lens: float = LENS,
    ) -> Shot:
        """Return the shot in which places of about one direction fill a share of the room."""
        corners = np.concatenate([place.corners for place in places])
        middle = corners.min(axis=0) / 2 + corners.max(axis=0) / 2
        turn = places[0].turn
        front = np.array([sin(-turn), 0.12, cos(turn)])
        eye = middle + 6 * front
        return _fitted(corners, eye, middle, self.room, self.frame, share, lens=lens)[0]

    @property
    def room(self) -> Box:
        """The free part of the frame without room for a headline above and a sentence below."""
        free = self.frame.free
        # In narrow frames a headline has a line more.
        above = WORDS_ABOVE + LINE_ABOVE * self.frame.upright
        bottom, top = free.bottom + WORDS_BELOW, free.top - above
        return Box.of(free.left, free.right, bottom, top)

    @property
    def _heads(self) -> Points:
        """Corners of all cards and plates, (n, 3)."""
        heads = range(self.heads)
        plates = [self.plate(head, side) for head in heads for side in (0, 1)]
        return np.concatenate([place.corners for place in (*map(self.card, heads), *plates)])

    @cached_property
    def _wide(self) -> tuple[Shot, float]:
        """The shot of all heads, and the size of a card in it, in scene units of the frame."""
        return self._all_in(self.room)

    def _all_in(self, room: Box) -> tuple[Shot, float]:
        corners = np.concatenate([self._heads, self.latent.corners])
        if self._form is GRID:
            eye, at, lens = np.array([0.0, 3.0, RADIUS]), np.array([0.0, 3.0, -RADIUS]), LENS
        else:
            eye, at, lens = np.array(EYE), np.array(AT), None
        shot, scale = _fitted(corners, eye, at, room, self.frame, lens=lens)
        return shot, scale * self.scale


def _fitted(
    corners: Points,
    eye: Points,
    at: Points,
    room: Box,
    frame: Frame,
    share: float = 1.0,
    lens: float | None = None,
) -> tuple[Shot, float]:
    """Return the shot in which points (n, 3) fill a share of a room of the frame, and its size.

    The eye keeps its distance and has the lens that fits; or, with a lens, it comes as close as it
    can.
    """
    for _round in range(ROUNDS):
        shot = Shot.looking(eye, at, lens or 1.0)
        seen = shot.project(corners, frame.height)[:, :2]
        box = Box.between(seen.min(axis=0), seen.max(axis=0))
        zoom = share * min(room.width / box.width, room.height / box.height)
        # Points of the scene for one of the frame, where the camera looks.
        unit = shot.height / frame.height
        right, up, _near = shot.rotation()
        wanted = room.y / zoom
        move = (box.x * right + (box.y - wanted) * up) * unit
        eye, at = eye + move, at + move
        if np.abs(move).max() < CLOSE and (lens is None or abs(zoom - 1) < CLOSE):
            break
        if lens is not None:
            eye = at + (eye - at) / zoom**DAMPING
    shot = Shot.looking(eye, at, lens or zoom)
    return shot, frame.height / shot.height
