"""Where things stand in the room, and the places from which they are seen: pure geometry.

Coordinates are those of the scene: x to the right, y up from the floor, z towards the viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
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
CARD, FOOT = 1.75, 1.05  # size of a card, and the height at which it hangs
PLATE = (0.64, 0.80)  # width and height of a plate
APART, BEFORE = 0.36, 1.1  # of a plate from the middle of its card, and in front of it
RISE, BACK = 3.0, 1.3  # from one row of heads to the next
TIE, TIE_BEFORE = 0.035, 0.16  # width of a line on the floor, and how far before plates it runs
SHARED = (1.24, 1.05)  # size of a plate that all heads share
SHARED_AT, SHARED_APART = -2.3, 0.63  # where it stands, and how far from the middle
RAYS_FROM = 0.46  # of the latent's width, to each side of its middle
SETS_AT = 5.0  # radius at which several sets stand
ROW = (-4.2, 2.4, 2.0), (0.0, 1.2, -8.0)  # eye of the shot along the row, and where it looks
ROW_LENS, ROW_SHARE = 1.05, 0.95  # its lens, and how much of the room it fills
EYE, AT = (0.0, 4.3, 5.6), (0.0, 0.85, -7.2)  # of the wide shot
HIGH = 6.5  # height of all rows up to which the eye stays where it is, in scene units
WORDS_ABOVE, WORDS_BELOW = 1.5, 0.75  # room for a headline and a sentence
LINE_ABOVE = 0.45
ROUNDS, DAMPING = 40, 0.6  # of fitting a shot, and how much of the way each of them goes
CLOSE = 1e-3  # what is not worth another round
MAX_ROWS = 8
EVEN = 0.3  # how much equal rows are worth, as a power
GOOD = 0.85  # the fewest rows are taken that are as good as this share of the best
LENS = 1.6  # of all shots but the wide one

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


class Plan:
    """Where the heads of a layer stand, and how they are seen.

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
        How many heads stand in each row of the arc, from the back; the first heads are at the back.
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
        step = min(LARGEST * STEP, SPAN / max(max(self.rows) - 1, 1))
        self.scale = step / STEP
        self._angles = [
            (row, step * (i - (count - 1) / 2))
            for row, count in enumerate(self.rows)
            for i in range(count)
        ]
        self.__dict__.pop("_wide", None)

    def card(self, head: int) -> Place:
        """Return where the card of a head hangs."""
        return self._at_head(head, 0.0, FOOT + CARD / 2, 0.0, (CARD, CARD))

    def plate(self, head: int, side: int) -> Place:
        """Return where the keys (side 0) or the values (side 1) of a head stand."""
        return self._at_head(head, APART * (2 * side - 1), PLATE[1] / 2, BEFORE, PLATE)

    def _at_head(
        self, head: int, right: float, up: float, front: float, size: tuple[float, float]
    ) -> Place:
        row, angle = self._angles[head]
        level = len(self.rows) - 1 - row
        radius = RADIUS + level * BACK * self.scale
        foot = Place(
            (radius * sin(angle), level * RISE * self.scale, -radius * cos(angle)), angle, 0, 0
        )
        x, y, z = (float(v) for v in foot.point(*(self.scale * v for v in (right, up, front))))
        return replace(
            foot, center=(x, y, z), width=self.scale * size[0], height=self.scale * size[1]
        )

    def set_plate(self, number: int, sets: int, side: int) -> Place:
        """Return where the keys (side 0) or values (side 1) of one of several shared sets stand."""
        count = max(self.rows)
        step = min(STEP * self.scale * count / sets, STEP * 4)
        size = 1.0 if sets == 1 else min(1.0, 1.3 * self.scale, SETS_AT * step / (2.4 * SHARED[0]))
        angle = step * (number - (sets - 1) / 2)
        radius = -SHARED_AT if sets == 1 else SETS_AT
        foot = Place((radius * sin(angle), 0.0, -radius * cos(angle)), angle, 0, 0)
        right = size * SHARED_APART * (2 * side - 1)
        x, y, z = (float(v) for v in foot.point(right, size * SHARED[1] / 2))
        return Place((x, y, z), angle, size * SHARED[0], size * SHARED[1])

    def tie(self, heads: Sequence[int]) -> list[Points]:
        """Return the polygons (n, 3) of a line on the floor that joins the plates of heads."""
        polygons = []
        half = TIE * self.scale / 2
        for row in {self._angles[head][0]: None for head in heads}:
            members = [head for head in heads if self._angles[head][0] == row]
            feet = [self._at_head(head, 0.0, 0.0, BEFORE + TIE_BEFORE, (0, 0)) for head in members]
            sides = [(foot, side * half) for foot in feet for side in (-1, 1)]
            front, back = (
                [foot.point(side, 0.0, depth) for foot, side in sides] for depth in (0.0, 2 * half)
            )
            polygons.append(np.array(front + back[::-1]))
            reach = -TIE_BEFORE * self.scale
            spur = ((-half, 0.0), (half, 0.0), (half, reach), (-half, reach))
            polygons += [np.array([foot.point(x, 0.0, z) for x, z in spur]) for foot in feet]
        return polygons

    @property
    def latent(self) -> Place:
        """Where the latent stands: at the place of a pair that all heads share."""
        width = 2 * SHARED_APART + SHARED[0]
        return Place((0.0, SHARED[1] / 2, SHARED_AT), 0.0, width, SHARED[1])

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
        last = self.plate(int(np.argmax([angle for _row, angle in self._angles])), 1)
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
            return self.facing(head, LENS)
        if name == "plate":
            return self._facing([self.plate(head, 0), self.plate(head, 1)])
        if name == "shared":
            return self._facing([self.latent], 0.8)
        if name == "row":
            eye, at = map(np.array, ROW)
            return _fitted(self._heads, eye, at, self.room, self.frame, ROW_SHARE, ROW_LENS)[0]
        raise SceneCodeError(f"the room has no shot {name!r}; take one of {', '.join(SHOTS)}")

    def facing(self, head: int, lens: float) -> Shot:
        """Return the shot of one head, face on, with a lens."""
        return self._facing([self.card(head), self.plate(head, 0), self.plate(head, 1)], lens=lens)

    def _facing(self, places: list[Place], share: float = 1.0, lens: float = LENS) -> Shot:
        """Return the shot in which places of about one direction fill a share of the room."""
        corners = np.concatenate([place.corners for place in places])
        middle = corners.min(axis=0) / 2 + corners.max(axis=0) / 2
        turn = places[0].turn
        front = np.array([sin(-turn), 0.12, cos(turn)])
        eye = middle + 6 * front
        return _fitted(corners, eye, middle, self.room, self.frame, share, lens=lens)[0]

    @property
    def room(self) -> Box:
        """The stage without room for a headline above and a sentence below."""
        stage = self.frame.stage
        # In narrow frames a headline has a line more.
        above = WORDS_ABOVE + LINE_ABOVE * self.frame.upright
        bottom, top = stage.bottom + WORDS_BELOW, stage.top - above
        return Box.of(stage.left, stage.right, bottom, top)

    @property
    def _heads(self) -> Points:
        """Corners of all cards and plates, (n, 3)."""
        heads = range(self.heads)
        plates = [self.plate(head, side) for head in heads for side in (0, 1)]
        return np.concatenate([place.corners for place in (*map(self.card, heads), *plates)])

    @cached_property
    def _wide(self) -> tuple[Shot, float]:
        """The shot of all heads, and the size of a card in it, in scene units of the frame."""
        eye, at = map(np.array, (EYE, AT))
        # From farther away if they stand high, or plates hide the cards that are above the eye.
        height = self.scale * (len(self.rows) * RISE)
        eye = at + (eye - at) * max(1.0, height / HIGH)
        corners = np.concatenate([self._heads, self.latent.corners])
        shot, scale = _fitted(corners, eye, at, self.room, self.frame)
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
