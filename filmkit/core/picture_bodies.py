"""What the map of a picture says of the bodies on screen: where they are, their light, their bars.

The end of a bar is found in a still by walking from its foot towards full scale, until the colour
of its front ends. The fields are documented in :mod:`filmkit.core.picture_map`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from manim import Mobject

from filmkit.core.animations import presence
from filmkit.core.body import Body
from filmkit.core.camera import Part, StageCamera
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.quantities import QUANTITIES, described
from filmkit.core.solids import hosts_of

__all__ = [
    "Bars",
    "BodyItem",
    "bodies_on",
    "body_entry",
    "drawn_later",
    "hull_of",
    "is_covered",
    "outline_of",
    "source_entry",
]

Array = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

BARS = "relief", "bars"
"""Kinds of bodies whose boxes are as high as their numbers."""

NARROWEST = 3.0  # width of a bar that can be read, in pixels
SOFT = 1.0  # pixels at the end of a bar that are not all its own
NEAR = 4.0  # pixels beside the zero line, part of which the line may take
BEYOND = 4.0  # pixels behind the end of a bar that are looked at
SHORT = 0.8  # length of a bar of which nothing need be seen, in pixels
LEAST = 4  # times that a bar's front is met by steps of half a pixel
SAME = 2.5  # levels by which a pixel of a front may be off
APART = 6.0  # levels by which what is behind the end of a bar differs from its front, at least
FARTHEST = 16000.0  # pixels from the picture's corner at which outlines are cut
TINY = 1e-9  # pixels; what is shorter has no direction


@dataclass(frozen=True)
class Bars:
    """The bars of a body on screen, n of them.

    Attributes
    ----------
    colours
        Each colour (3,) that the front of a bar above zero has, then each of those below; RGB.
    foot, plus, minus : (n, 2)
        Where the middle of its front meets the zero line, and where it would end at full scale of
        either sign; in pixels.
    end : (n, 2)
        Where it ends.
    width : (n,)
        Of its front at the zero line, in pixels.
    corners : (4, 2) or None
        Of the strip in which all bars stand: from the first one at the largest number along the
        row, then clockwise; None if it reaches past the eye.
    unread
        Numbers of the bars that cannot be read from the picture.
    """

    colours: tuple[Array, Array]
    foot: Array
    plus: Array
    minus: Array
    end: Array
    width: Array
    corners: Array | None
    unread: tuple[int, ...] = ()


@dataclass(frozen=True)
class BodyItem:
    """A body on screen, or something else that has a kind, such as an arc of light.

    Attributes
    ----------
    mobject
        The mobject itself.
    outline : (n, 2)
        Convex outline of the smallest box around it, in pixels.
    light
        The share of its light that it has, 0 to 1.
    cropped
        Whether it reaches beyond the frame.
    covered
        Whether anything that does not lie on it is drawn over that outline.
    bars
        Its bars, if its numbers are heights.
    """

    mobject: Mobject
    outline: Array
    light: float
    cropped: bool
    covered: bool = False
    bars: Bars | None = None

    @property
    def kind(self) -> str:
        """What it is, such as "slab"; "" for a body without a kind."""
        return str(getattr(self.mobject, "kind", ""))


def bodies_on(mobjects: Iterable[Mobject], camera: StageCamera) -> list[BodyItem]:
    """Return every body that is at least partly in the frame, in drawing order."""
    order = camera.drawing_order(mobjects)
    frame = Box.of(0.0, float(camera.pixel_width), 0.0, float(camera.pixel_height))
    camera.see_light(order)
    items: dict[Mobject, BodyItem] = {}
    for part in order:
        if isinstance(part, Body) or vars(type(part)).get("kind"):
            outline, box = outline_of(part, camera)
            if min(box.overlap(frame)) > 0:
                light, cropped = camera.light_of(part), not frame.contains(box)
                items[part] = BodyItem(part, outline, light, cropped, bars=_bars(part, camera))
    picture = camera.picture(order) if items else camera.background
    for part, later, others in drawn_later(order, camera) if items else ():
        if part in items:
            item = replace(items[part], covered=is_covered(items[part].outline, others))
            if item.bars is not None:
                seen = () if presence(part) < 1 else _seen(item.bars, picture, later)
                unread = sorted({*range(len(item.bars.foot))}.difference(seen))
                item = replace(item, bars=replace(item.bars, unread=(*unread,)))
            items[part] = item
    return [*items.values()]


def outline_of(part: Mobject, camera: StageCamera) -> tuple[Array, Box]:
    """Return the convex outline (n, 2) of a panel, or of the box around a body, and its box."""
    points = part.corners if isinstance(part, Body | Heatmap) else part.points
    outline = hull_of(camera.pixels(part, points))
    return outline, Box.between(outline.min(axis=0), outline.max(axis=0))


def hull_of(points: npt.ArrayLike) -> Array:
    """Return the convex outline (m, 2) of points (n, 2)."""
    return np.asarray(cv2.convexHull(np.asarray(points, dtype=np.float32))[:, 0], dtype=float)


def drawn_later(
    order: Sequence[Part], camera: StageCamera
) -> Iterator[tuple[Part, Booleans, Booleans]]:
    """Yield each part, the one drawn last first, with the pixels that are drawn over later.

    There are two pictures (height, width): with what lies on the same body, and without it.
    """
    hosts = hosts_of(order)
    host: Mobject | None = None
    with camera.scratch() as ink:
        for part in reversed(order):
            later = ink[..., 3] > 0
            if hosts.get(part, part) is not host:
                host, others = hosts.get(part, part), later
            yield part, later, others
            camera.draw_parts([part])
    camera.see_light(order)


def is_covered(outline: Array, later: Booleans) -> bool:
    """Return whether pixels (height, width) lie in a convex outline (n, 2)."""
    inside = np.zeros(later.shape, dtype=np.uint8)
    places = np.rint(np.clip(outline, -FARTHEST, FARTHEST)).astype(np.int32)
    cv2.fillConvexPoly(inside, places, 1)
    return bool((later & (inside > 0)).any())


def _bars(body: Mobject, camera: StageCamera) -> Bars | None:
    """Return the bars of a body if it has some; which of them are hidden is not known yet."""
    if not isinstance(body, Body) or body.kind not in BARS or body.values is None:
        return None
    span = slice(body.first, body.first + body.values.size)
    (left, bottom, back), (right, top, front) = body.boxes[span].transpose(1, 2, 0)
    eye = body.within(camera.shot.eye())
    below, middle = body.values.ravel() < 0, (left + right) / 2
    zero, end = np.where(below, [top, bottom], [bottom, top])
    full, near = full_scale(body) / body.unit, front if eye[2] > 0 else back
    foot, plus, minus, tip, start, stop = (
        camera.pixels(body, body.at(np.stack([x, y, near], axis=1)))
        for x, y in (
            *((middle, y) for y in (zero, zero + full, zero - full, end)),
            *((x, zero) for x in (left, right)),
        )
    )
    gap = (left[1:] - right[:-1]).mean() / 2 if len(left) > 1 else 0.0
    first, last = left[0] - gap, right[-1] + gap
    strip = [(first, top.max()), (last, top.max()), (last, bottom.min()), (first, bottom.min())]
    colours = camera.face_colours(body, body.colours[span])
    (x, y), (right_way, down) = (stop - start).T, _ahead(plus - minus).T
    return Bars(
        (np.unique(colours[~below], axis=0), np.unique(colours[below], axis=0)),
        *(foot, plus, minus, tip, np.abs(x * down - y * right_way)),
        camera.pixels(body, body.at([(x, y, near[0]) for x, y in strip])),
    )


def _seen(bars: Bars, picture: Pixels, later: Booleans) -> Iterator[int]:
    """Yield the numbers of the bars that can be read from a picture.

    All of its front is seen, but for pixels at the zero line, and what is behind its end differs.

    Parameters
    ----------
    bars
        The bars.
    picture : (height, width, 4)
        The picture.
    later : (height, width)
        Pixels of what is drawn later than their body.
    """
    size = np.array(picture.shape[1::-1])
    later = cv2.dilate(later.astype(np.uint8), np.ones((3, 3))) > 0
    colours = np.concatenate(bars.colours)
    along, up = bars.end - bars.foot, _ahead(bars.plus - bars.minus)
    lengths = np.linalg.norm(along, axis=1)
    ways = np.where((along * up).sum(axis=1, keepdims=True) < 0, -up, up)
    for i in np.flatnonzero(bars.width >= NARROWEST).tolist():
        steps = np.arange(-NEAR - SOFT, lengths[i] + BEYOND, 0.5)
        places = np.floor(bars.foot[i] + steps[:, None] * ways[i]).astype(int)
        if not ((places >= 0) & (places < size)).all():
            continue
        x, y = places.T
        off = np.abs(picture[y, x, None, :3] - colours).max(axis=2).min(axis=1)
        own = (steps > 0) & (steps < lengths[i])
        hidden = off[own & (steps > NEAR) & (steps < lengths[i] - SOFT)] > SAME
        # What is hardly a pixel long is read as 0; what is longer has two of its own.
        told = lengths[i] < SHORT or (off[own] <= SAME).sum() >= LEAST
        around = off[(steps < -2 * SOFT) | (steps > lengths[i] + 2 * SOFT)]
        if told and not (later[y, x].any() or hidden.any()) and around.min() >= APART:
            yield i


def _ahead(ways: Array) -> Array:
    """Return directions (n, 2) with a length of 1, where they have any."""
    return np.asarray(ways / np.maximum(np.linalg.norm(ways, axis=1), TINY)[:, None])


def full_scale(body: Body) -> float:
    """Return the magnitude of the largest number of a body, 1 if all are 0."""
    return float(np.abs(np.asarray(body.values)).max(initial=0.0)) or 1.0


def body_entry(item: BodyItem, *, values: bool = False) -> dict[str, Any]:
    """Return the entry of a body in the map; with its numbers, if they are wanted."""
    mobject, bars = item.mobject, item.bars
    numbers = getattr(mobject, "values", None)
    numbers = [] if numbers is None else np.ravel(numbers).tolist()
    entry = {
        "kind": getattr(mobject, "kind", ""),
        "words": getattr(mobject, "told", ""),
        **source_entry(getattr(mobject, "source", TensorSource())),
        "corners": item.outline.tolist(),
        "light": item.light,
        "presence": presence(mobject),
        "cropped": item.cropped,
        "covered": item.covered,
        "count": len(numbers),
        "largest": max(numbers, key=abs, default=None),
        "bars": None,
    }
    if bars is not None:
        plus, minus = (np.rint(colours).astype(int).tolist() for colours in bars.colours)
        places = ("foot", "plus", "minus", "width", "corners")
        entry["bars"] = {name: getattr(bars, name).tolist() for name in places} | {
            "scale": full_scale(mobject),
            "colours": {"plus": plus, "minus": minus},
            "unread": list(bars.unread),
        }
    return entry | ({"values": numbers} if values else {})


def source_entry(source: TensorSource) -> dict[str, Any]:
    """Return what the map says of where the numbers of a panel or a body come from."""
    # Positions of another model would be given the words of the film's own.
    known = None if source.model else QUANTITIES.get(source.quantity)
    return {
        "tensor": None if source.model else source.tensor,
        "expression": described(source),
        "quantity": source.quantity,
        # The parts of a block are sources themselves.
        "given": {name: value for name, value in source.given if name != "parts"},
        "model": source.model,
        "index": [list(axis) if isinstance(axis, tuple) else axis for axis in source.index],
        "axes": list(known.axes) if known else [],
        "transposed": source.transposed,
    }
