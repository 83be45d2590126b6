"""What is on screen: whole texts, panels and bodies, with their places in pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from manim import Mobject, Square, color_to_rgb

from filmkit.core.animations import presence
from filmkit.core.body import Body
from filmkit.core.geometry import Box
from filmkit.core.headline import Headline
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.picture_bodies import outline_of
from filmkit.core.picture_map import texts_on
from filmkit.core.stage import Stage
from filmkit.core.text import Symbol, TextLine, Tick
from filmkit.core.theme import mixed
from filmkit.world.block import Slab, Solid
from filmkit.world.box import LINES, SketchBody
from filmkit.world.lamps import LampCard
from tests.support.staging import MIN_PRESENCE

__all__ = [
    "Block",
    "Thing",
    "apart",
    "blocks_on",
    "bodies_on",
    "panels_on_screen",
    "role_of",
    "rows_on",
    "sources_on",
    "squares_on",
]

MOST_LINES = 6  # of a text
FAINT = 0.45  # presence of texts in the background that can be read, at least
MATTER = "key", "value", "latent"
"""Roles of bodies that are made of something; the others hold such bodies, or burn."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """A whole text on screen, of one or several lines.

    Attributes
    ----------
    text
        Its letters; a blank stands where a line ends.
    box
        Box around its letters, in pixels, y counted downwards.
    lines
        The mobjects.
    parent
        What its lines are members of; None where they stand alone.
    is_faint
        Whether it is in the background, but can be read.
    """

    text: str
    box: Box
    lines: tuple[TextLine, ...]
    parent: Mobject | None
    is_faint: bool


@dataclass(frozen=True)
class Thing:
    """A panel or a body on screen, or a square of a legend.

    Attributes
    ----------
    mobject
        The mobject itself.
    role
        Of a body or a square: "key", "value", "latent", "memory", "lamps", "masked"; "" of a panel.
    outline : (n, 2)
        The corners of the convex outline, in pixels.
    """

    mobject: Mobject
    role: str
    outline: npt.NDArray[np.float32]


def blocks_on(stage: Stage, is_known: Callable[[str], bool]) -> list[Block]:
    """Return the texts in a picture that are neither said over it, nor numbers at an axis.

    Parameters
    ----------
    stage
        The stage. Headlines, titles and questions on it are left out, and so are formulas.
    is_known
        Tells whether several lines together are one text.
    """
    members: dict[TextLine, Mobject | None] = {}
    groups: list[tuple[Mobject | None, list[TextLine]]] = []
    over = [each for each in (stage.headline, stage._question) if each is not None]
    said = {part for each in over for part in each.get_family()} | stage.title_parts

    def gather(parent: Mobject | None, mobjects: Iterable[Mobject]) -> None:
        lines = []
        for mobject in mobjects:
            if isinstance(mobject, Headline) or mobject in said:
                continue
            if isinstance(mobject, TextLine) and mobject not in members:
                members[mobject] = parent
                lines.append(mobject)
            gather(mobject, mobject.submobjects)
        groups.append((parent, lines))

    gather(None, stage.mobjects)
    shown = {
        item.mobject: item
        for item in texts_on(stage.mobjects, stage.camera)
        if item.presence >= FAINT and not isinstance(item.mobject, Tick | Symbol)
    }
    found = []
    for parent, lines in groups:
        rest = [line for line in lines if line in shown]
        while rest:
            counts = range(min(MOST_LINES, len(rest)), 1, -1)
            texts = {n: " ".join(line.text for line in rest[:n]) for n in counts}
            count = next((n for n, text in texts.items() if is_known(text)), 1)
            boxes = [shown[line].box for line in rest[:count]]
            text = texts.get(count, rest[0].text)
            faint = min(shown[line].presence for line in rest[:count]) < MIN_PRESENCE
            found.append(Block(text, Box.around(boxes), tuple(rest[:count]), parent, faint))
            rest = rest[count:]
    return found


def panels_on_screen(stage: Stage) -> list[Thing]:
    """Return the heatmaps that are not in the background, but for colour bars."""
    return [
        Thing(part, "", np.float32(stage.camera.pixels(part, part.corners)))
        for part in _family(stage)
        if isinstance(part, Heatmap)
        and part.shown.any()
        and presence(part) * part.opacity >= MIN_PRESENCE
        and not part.source.is_scale
    ]


def bodies_on(stage: Stage) -> list[Thing]:
    """Return the bodies that are not in the background, by their roles."""
    found = []
    for part in _family(stage):
        if isinstance(part, Body):
            seen = part.kind and presence(part) >= MIN_PRESENCE
            if role := role_of_body(stage, part) if seen else "":
                outline = cv2.convexHull(np.float32(stage.camera.pixels(part, part.corners)))
                found.append(Thing(part, role, outline[:, 0]))
            continue
        if not isinstance(part, Solid) or max(map(presence, part.get_family())) < MIN_PRESENCE:
            continue
        if role := role_of(stage, part):
            points = np.float32(stage.camera.pixels(part, part.pose.corners))
            found.append(Thing(part, role, cv2.convexHull(points)[:, 0]))
    return found


def role_of_body(stage: Stage, body: Body) -> str:
    """Return the role whose colour some boxes of a body of the room have; "" for none."""
    for role in (*MATTER, "query", "pattern", "scores"):
        colour = np.asarray(color_to_rgb(stage.theme.role(role))) * 255
        if len(body.colours) and np.abs(body.colours - colour).max(axis=1).min() < 1:
            return role
    return ""


def rows_on(stage: Stage) -> list[Thing]:
    """Return the bodies and lines that stand for numbers and are not in the background."""
    found = []
    for part in _family(stage):
        if isinstance(part, Heatmap) or not {"values", "source"} <= vars(part).keys():
            continue
        if presence(part) >= MIN_PRESENCE:
            points = part.corners if isinstance(part, Body) else part.points
            outline = cv2.convexHull(np.float32(stage.camera.pixels(part, points)))
            found.append(Thing(part, "", outline[:, 0]))
    return found


def sources_on(stage: Stage) -> list[TensorSource]:
    """Return where the numbers of panels and bodies come from that are in the frame.

    Those in the background are left out.
    """
    frame = Box.of(0.0, stage.camera.pixel_width, 0.0, stage.camera.pixel_height)
    things = (*panels_on_screen(stage), *rows_on(stage))
    return [
        thing.mobject.source  # type: ignore[attr-defined]
        for thing in things
        if min(outline_of(thing.mobject, stage.camera)[1].overlap(frame)) > 0
    ]


def role_of(stage: Stage, body: Solid) -> str:
    """Return the role of a body: "key", "value", "latent", "glass" or "lamps"; "" for others."""
    if isinstance(body, Slab):
        return body.role
    if isinstance(body, LampCard):
        return "lamps"
    if not isinstance(body, SketchBody):
        return ""
    theme, colour = stage.theme, body.hatching[0].get_stroke_color().to_hex().lower()
    for role in (*MATTER, "glass"):
        if mixed(theme.background, theme.role(role), LINES).lower() == colour:
            return role
    return ""


def squares_on(stage: Stage) -> list[Thing]:
    """Return the small squares of legends, by the roles whose colours they have."""
    roles = {stage.theme.role(role).lower(): role for role in (*MATTER, "masked", "query")}
    return [
        Thing(
            part,
            roles.get(part.get_fill_color().to_hex().lower(), ""),
            np.float32(stage.camera.pixels(part, part.get_vertices())),
        )
        for part in _family(stage)
        if isinstance(part, Square) and part.fill_opacity * presence(part) >= MIN_PRESENCE
    ]


def apart(box: Box, outline: npt.NDArray[np.float32]) -> float:
    """Return the distance of a box from an outline (n, 2), in pixels; 0 where they touch."""
    xs, ys = (np.linspace(*ends, 9) for ends in ((box.left, box.right), (box.bottom, box.top)))
    points = ((float(x), float(y)) for x in xs for y in ys)
    return max(0.0, -max(cv2.pointPolygonTest(outline, point, True) for point in points))


def _family(stage: Stage) -> Iterator[Mobject]:
    seen = set()
    for mobject in stage.mobjects:
        for part in mobject.get_family():
            if part not in seen:
                seen.add(part)
                yield part
