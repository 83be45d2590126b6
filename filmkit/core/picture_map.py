"""The map of a picture: every text and heatmap that is on screen, with its place in pixels.

Tests read it to check that nothing leaves the frame, overlaps or is too small to read. It is
written beside each still as a JSON document, from which the picture can be decoded back into
numbers:

``schema``
    Version of this layout, `MAP_SCHEMA`.
``frame``
    [width, height] in pixels.
``colour_maps``
    The 256 colours, "#RRGGBB", of each colour map that a panel has, by its name. A value whose
    place between the first colour, 0, and the last one, 1, is p has the colour number
    round(255 p), before opacity.
``panels``
    One entry for each heatmap, in drawing order; two for a matrix of which only both ends are
    drawn.

    ``tensor``
        Its name in the trace file, or null.
    ``expression``
        What was computed, in words, where ``tensor`` is null.
    ``quantity``
        Its name in :mod:`filmkit.core.quantities`, "scale" for a colour bar, or "".
    ``given``
        What it was computed from, such as {"layer": 3, "head": 5}.
    ``model``
        The model whose trace it is, if that is not the film's own, or "".
    ``index``
        One integer or [start, stop] for each axis of the tensor or quantity.
    ``axes``
        Names of the axes of a quantity, such as "pos", if they are known; those of a tensor are
        defined by the trace.
    ``transposed``
        Whether rows and columns are exchanged.
    ``shape``
        [rows, columns] of cells.
    ``corners``
        Four [x, y]: outer corner of the first cell, then along its row, then clockwise.
    ``cmap``, ``vmin``, ``vmax``
        Name of the colour map, and the values that get its first and last colour.
    ``norm``
        How values become colours in between: "linear", or "asinh" as matplotlib's ``AsinhNorm``.
    ``linear_width``
        Of an "asinh" norm, in the units of the values; null for a linear one.
    ``masked``
        [row, column] of each cell whose number cannot be read from its colour: those that the
        causal mask removes, and the hidden ones.
    ``hidden``
        [row, column] of each cell that is not drawn, or not at full strength.
    ``opacity``
        Opacity of the whole heatmap, 0 to 1. In the room its cells are mixed with the theme's
        ``card`` colour, that of the opaque body under it.
    ``covered``
        Whether a panel, text, frame or line lies over its cells.
    ``part``
        Name of the part of the mosaic whose cells these are, or "".
    ``sides``
        What runs down and what runs across, as the mosaic calls it: "token", "channel", ...;
        empty without a part. In one picture sides of one name have cells of one size.
    ``field``
        The fields [start, stop) of the mosaic that the part covers: [rows, columns]; empty without
        a part.
    ``values``
        Only if requested: the numbers of its cells, [rows][columns], null where a cell is not
        drawn at all.
``bodies``
    One entry for each body in the frame, in drawing order, and for all else that has a kind.

    ``kind``
        "slab", "relief", "bars", "arc", "flow", ...; "" for a body that is nothing in particular.
    ``words``
        What it says, such as the token of a slab, or "".
    ``tensor``, ``expression``, ``quantity``, ``given``, ``model``, ``index``, ``axes``
        Where its numbers come from, as for ``panels``; and ``transposed``.
    ``corners``
        Convex outline of the smallest box around it, [x, y] each.
    ``light``
        The share of its light that it has, 0 to 1. All of its colours are darker by the root of
        this one share, and so are those of what lies on it.
    ``presence``
        Opacity of the whole body, 0 to 1.
    ``cropped``
        Whether its box reaches beyond the frame.
    ``covered``
        Whether anything that does not lie on it is drawn over its outline.
    ``count``, ``largest``
        How many numbers it carries, and the one with the largest magnitude; 0 and null if it
        carries none.
    ``bars``
        Of reliefs and bars, whose numbers are heights on a linear scale; else null. A bar ends
        where, on the way from its foot to full scale, the colour of its front ends. Zero and full
        scale of either sign are three points of a line, by which places on it become numbers.

        ``scale``
            The number that full scale is.
        ``colours``
            RGB of the fronts as they are drawn: of those of ``plus``, and of those of ``minus``.
        ``foot``, ``plus``, ``minus``
            [x, y] for each bar: where the middle of its front meets the zero line, and where it
            would end at full scale above zero and below.
        ``width``
            Of each front, in pixels.
        ``corners``
            Four [x, y], as of a panel of one row: the strip in which the fronts are.
        ``unread``
            Numbers of the bars that cannot be read: they are less than 3 pixels wide, partly
            hidden, transparent or out of the frame, or what is behind their end is as they are.
    ``values``
        Only if requested: its numbers.
``texts``
    One entry for each line of letters: ``text``, ``box`` [left, top, right, bottom] of its
    letters, ``height`` of its line, and ``part``, the name of the part of the mosaic to which it
    belongs, or "".
``mosaic``
    The mosaic that the picture was made from, or null.

    ``stands``
        "glass" if the picture stands upright in the room, "floor" if it lies there: boxes are then
        those around what is seen, and pitches those in its middle. Else "".
    ``grid``
        The name of each field, row by row; "." is an empty one, "|" a joint.
    ``fields``
        [left, top, right, bottom] of each of them, row by row.
    ``parts``
        One entry for each part that is on screen: its ``name``; what it is called in ``words``,
        with symbols in Typst notation, or ""; its ``field`` as above; the ``box`` of its cells;
        ``strength``, the largest presence in it, 0 to 1; and ``sides``, of which each is null or
        has the ``axis``, the ``count`` of its cells, how many are ``drawn``, the ``pitch`` of a
        cell in pixels, the ``words`` of tokens, and the number of the ``first`` cell, null where no
        numbers stand.
    ``marks``
        One entry for each frame: ``part``, ``row`` and ``column``, which are null for all.
    ``left_out``
        The words for which there was no room, one line each.
``alt``
    Only in the file beside a still: what the picture shows, in plain sentences for those who
    cannot see it (:func:`filmkit.words.alt.alt_text`).

A version may gain fields; existing ones keep their meaning. Positions are continuous pixels from
the top left of the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Mobject

from filmkit.core.animations import presence
from filmkit.core.camera import StageCamera, is_fixed
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import colour_table
from filmkit.core.picture_bodies import (
    bodies_on,
    body_entry,
    drawn_later,
    hull_of,
    is_covered,
    outline_of,
    source_entry,
)
from filmkit.core.picture_parts import MosaicItem, PartItem
from filmkit.core.solids import hosts_of
from filmkit.core.text import TextLine

__all__ = [
    "MAP_SCHEMA",
    "PanelItem",
    "TextItem",
    "panels_on",
    "picture_map",
    "texts_on",
]

MAP_SCHEMA = 3
"""Version of the layout of the JSON document."""

Points = npt.NDArray[np.float64]

EDGE = 2  # pixels along a panel's edge that do not count as its cells


@dataclass(frozen=True)
class TextItem:
    """A line of letters on screen.

    Attributes
    ----------
    text
        Its letters; of a formula the Typst notation.
    box
        Box around its letters, in pixels, y counted downwards.
    height
        Height of its line, in pixels.
    presence
        Opacity, 0 to 1: 1 if it is meant to be read, the theme's ``dim`` in the background. On a
        body with less light it is lower, too.
    mobject
        The mobject itself; two items are equal without it.
    outline : (n, 2)
        The box; of slanted letters, in space, their convex outline.
    cropped
        Whether it lies on a body that reaches beyond the frame.
    """

    text: str
    box: Box
    height: float
    presence: float
    mobject: Mobject = field(compare=False)
    outline: Points = field(compare=False)
    cropped: bool = False


@dataclass(frozen=True)
class PanelItem:
    """A heatmap on screen.

    Attributes
    ----------
    heatmap
        The mobject itself: its values, norm and source.
    corners : (4, 2)
        In pixels: outer corner of the first cell, then along its row, then clockwise.
    opacity
        Opacity of the whole heatmap, 0 to 1, its presence included.
    covered
        Whether anything that is drawn later lies over its cells.
    """

    heatmap: Heatmap
    corners: Points
    opacity: float
    covered: bool

    @property
    def box(self) -> Box:
        """Box around its corners, in pixels."""
        return Box.between(self.corners.min(axis=0), self.corners.max(axis=0))


def texts_on(mobjects: Iterable[Mobject], camera: StageCamera) -> list[TextItem]:
    """Return every line of letters that is not empty, in drawing order."""
    items = []
    order = camera.drawing_order(mobjects)
    hosts, is_turned = hosts_of(order), camera.shot.theta or camera.shot.phi
    frame = Box.of(0.0, float(camera.pixel_width), 0.0, float(camera.pixel_height))
    camera.see_light(order)
    for mobject in order:
        if not isinstance(mobject, TextLine) or not len(mobject.ink):
            continue
        ink = camera.pixels(mobject, mobject.ink)
        foot, head = camera.pixels(mobject, mobject.points[[-12, -8]])
        box = Box.between(ink.min(axis=0), ink.max(axis=0))
        sides = [(x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)]
        slanted, host = is_turned and not is_fixed(mobject), hosts.get(mobject)
        items.append(
            TextItem(
                text=mobject.text,
                box=box,
                height=float(np.linalg.norm(head - foot)),
                presence=presence(mobject)
                * camera.light_of(mobject) ** 0.5
                * float(mobject.fill_opacity),
                mobject=mobject,
                outline=hull_of(ink if slanted else sides),
                cropped=host is not None and not frame.contains(outline_of(host, camera)[1]),
            )
        )
    return items


def panels_on(mobjects: Iterable[Mobject], camera: StageCamera) -> list[PanelItem]:
    """Return every heatmap of which at least one cell is drawn, in drawing order."""
    items: list[PanelItem] = []
    for mobject, later, _others in drawn_later(camera.drawing_order(mobjects), camera):
        if not isinstance(mobject, Heatmap) or not mobject.shown.any():
            continue
        corners = camera.pixels(mobject, mobject.corners)
        # Without its edges: a frame around a panel does not cover its cells.
        inner = corners + np.sign(corners.mean(axis=0) - corners) * EDGE
        items.append(PanelItem(mobject, corners, 0.0, is_covered(inner, later)))
    # The light of the picture is known when all of it has been seen.
    return [replace(item, opacity=camera.drawn_opacity(item.heatmap)) for item in reversed(items)]


def picture_map(
    mobjects: Iterable[Mobject],
    camera: StageCamera,
    mosaic: MosaicItem | None = None,
    *,
    values: bool = False,
    panels: Sequence[PanelItem] | None = None,
) -> dict[str, Any]:
    """Return the map of a picture, as documented at the top of this module, without ``alt``.

    Parameters
    ----------
    mobjects
        What is on screen.
    camera
        The camera that draws it.
    mosaic
        What it was made from.
    values
        Whether the numbers of the cells are included.
    panels
        What :func:`panels_on` returns of it, where that is known: finding out draws the picture.
    """
    shown = list(mobjects)
    panels = panels_on(shown, camera) if panels is None else panels

    def part_of(mobject: Mobject) -> PartItem | None:
        return mosaic.part_of(mobject) if mosaic else None

    return {
        "schema": MAP_SCHEMA,
        "frame": [camera.pixel_width, camera.pixel_height],
        "colour_maps": {
            name: [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colour_table(name)]
            for name in dict.fromkeys(item.heatmap.norm.cmap for item in panels)
        },
        "panels": [
            _panel_entry(item, part_of(item.heatmap)) | (_values_of(item) if values else {})
            for item in panels
        ],
        "bodies": [body_entry(item, values=values) for item in bodies_on(shown, camera)],
        "texts": [
            {
                "text": item.text,
                "box": [item.box.left, item.box.bottom, item.box.right, item.box.top],
                "height": item.height,
                "part": part.name if (part := part_of(item.mobject)) else "",
            }
            for item in texts_on(shown, camera)
        ],
        "mosaic": _mosaic_entry(mosaic, camera) if mosaic else None,
    }


def _mosaic_entry(mosaic: MosaicItem, camera: StageCamera) -> dict[str, Any]:
    """Return the field ``mosaic`` of the map."""

    def pixels(box: Box) -> list[float]:
        sides = np.ix_([box.left, box.right], [box.top, box.bottom], [0.0])
        corners = np.stack(np.broadcast_arrays(*sides), axis=-1).reshape(-1, 3)
        seen = camera.pixels(Mobject(), mosaic.at(corners))
        return [*map(float, (*seen.min(axis=0), *seen.max(axis=0)))]

    left, _top, right, _bottom = pixels(Box(0.0, 0.0, 1.0, 1.0))
    return {
        "stands": mosaic.stands,
        "grid": [list(row) for row in mosaic.grid],
        "fields": [[pixels(field) for field in row] for row in mosaic.fields],
        "parts": [
            {
                "name": part.name,
                "words": part.words,
                "field": _field(part),
                "box": pixels(part.box),
                "strength": max(map(presence, part.members), default=0.0),
                "sides": [
                    side
                    and asdict(side)
                    | {"pitch": side.pitch * (right - left), "words": list(side.words)}
                    for side in part.sides
                ],
            }
            for part in mosaic.parts
        ],
        "marks": [
            {"part": part, "row": row, "column": column} for part, row, column in mosaic.marks
        ],
        "left_out": list(mosaic.left_out),
    }


def _field(part: PartItem) -> list[list[int]]:
    return [list(span) for span in part.field]


def _panel_entry(item: PanelItem, part: PartItem | None) -> dict[str, Any]:
    """Return the entry of a heatmap in the map, without its values."""
    # A colour bar belongs to a part, but has no cells of it.
    part = None if item.heatmap.source.is_scale else part
    heatmap = item.heatmap
    return {
        **source_entry(heatmap.source),
        "shape": list(heatmap.shape),
        "corners": item.corners.tolist(),
        "cmap": heatmap.norm.cmap,
        "vmin": float(heatmap.norm.vmin),
        "vmax": float(heatmap.norm.vmax),
        "norm": "linear" if heatmap.norm.is_linear else "asinh",
        "linear_width": None if heatmap.norm.is_linear else heatmap.norm.linear_width,
        "masked": np.argwhere((heatmap.masked > 0) | (heatmap.shown < 1)).tolist(),
        "hidden": np.argwhere(heatmap.shown < 1).tolist(),
        "opacity": item.opacity,
        "covered": item.covered,
        "part": part.name if part else "",
        "sides": [side.axis if side else "" for side in part.sides] if part else [],
        "field": _field(part) if part else [],
    }


def _values_of(item: PanelItem) -> dict[str, Any]:
    """Return the field ``values`` of the entry of a heatmap."""
    cells = item.heatmap.values.astype(object)
    cells[item.heatmap.shown <= 0] = None
    return {"values": cells.tolist()}
