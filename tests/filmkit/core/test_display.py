"""The key of what a camera draws: other pictures have other keys, and the same have the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from manim import PI, RED, UP, Dot, Group, Mobject, Square, VGroup, config
from manim.utils.family import extract_mobject_family_members

from filmkit.core.body import Body, Lamp
from filmkit.core.camera import Shot, keep_upright, pin_to_frame
from filmkit.core.display import display_key
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera, glow, mirrored
from filmkit.core.norm import Norm
from filmkit.core.text import Label
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import Quality


class Picture:
    """A heatmap, an outline with a part, and a camera that sees them from the side."""

    def __init__(self) -> None:
        self.camera = LitCamera()
        self.camera.shot = Shot(theta=20, phi=10)
        self.cells = Heatmap([[0.0, 1.0], [2.0, 3.0]], Norm(0, 4, "viridis"), width=2).shift(2 * UP)
        self.square = Square(fill_opacity=0.5, stroke_width=6)
        self.dot = Dot(UP, radius=0.3)
        self.square.add(self.dot)
        self.mobjects: list[Mobject] = [self.cells, self.square]

    def key(self) -> bytes:
        return display_key(self.camera, self.camera.drawing_order(self.mobjects))

    def pixels(self) -> np.ndarray:
        self.camera.reset()
        self.camera.capture_mobjects(self.mobjects)
        return self.camera.pixel_array.copy()


@pytest.fixture
def picture() -> Iterator[Picture]:
    with manim_config(Quality(320, 180, 5)):
        yield Picture()


def with_shot(picture: Picture, shot: Shot) -> None:
    picture.camera.shot = shot


def stroke_behind(picture: Picture) -> None:
    picture.square.set_stroke(RED, width=20, opacity=1, background=True)


def swap(picture: Picture) -> None:
    picture.mobjects.reverse()


def unlit(picture: Picture) -> None:
    picture.camera.lit = False


def dark(picture: Picture) -> None:
    picture.camera.background_color = RED
    picture.camera.init_background()


CHANGES: dict[str, Callable[[Picture], object]] = {
    "place": lambda picture: picture.square.shift(0.1 * UP),
    "angle": lambda picture: picture.square.rotate(PI / 7),
    "fill": lambda picture: picture.square.set_fill(RED),
    "opacity": lambda picture: picture.square.set_fill(opacity=0.4),
    "colours": lambda picture: picture.square.set_fill([RED, "#00ff00"], opacity=1),
    "direction of colours": lambda picture: picture.square.set_color([RED, "#00ff00"]),
    "stroke": lambda picture: picture.square.set_stroke(RED),
    "width": lambda picture: picture.square.set_stroke(width=3),
    "stroke behind": stroke_behind,
    "corners": lambda picture: setattr(
        picture.square, "joint_type", type(picture.square.joint_type)(1)
    ),
    "presence": lambda picture: setattr(picture.square, "presence", 0.3),
    "pinned": lambda picture: pin_to_frame(picture.square),
    "upright": lambda picture: keep_upright(picture.square, (1, 1, 1)),
    "upright by a function": lambda picture: keep_upright(picture.square, lambda shot: (1, 1, 1)),
    "light": lambda picture: glow(picture.square),
    "more light": lambda picture: glow(picture.cells, 3.0),
    "mirrored": lambda picture: mirrored(picture.square),
    "without light": unlit,
    "background": dark,
    "order": swap,
    "z index": lambda picture: picture.square.set_z_index(-1),
    "a part": lambda picture: picture.square.remove(picture.dot),
    "another part": lambda picture: picture.mobjects.append(Dot()),
    "twice": lambda picture: picture.mobjects.append(picture.cells),
    "cells": lambda picture: picture.cells.set_values([[1.0, 0.0], [2.0, 3.0]]),
    "scale": lambda picture: picture.cells.set_values(picture.cells.values, Norm(0, 5, "viridis")),
    "shown": lambda picture: picture.cells.set_shown([[1, 0], [1, 1]]),
    "masked": lambda picture: picture.cells.set_masked([[1, 0], [0, 0]]),
    "opacity of cells": lambda picture: picture.cells.set_opacity(0.5),
    "size of cells": lambda picture: picture.cells.scale(1.1),
    "edge": lambda picture: setattr(picture.cells, "edged", False),
    "colour of the edge": lambda picture: setattr(
        picture.cells, "edge_colour", np.array([255.0, 0, 0])
    ),
    "turn": lambda picture: with_shot(picture, Shot(theta=21, phi=10)),
    "height": lambda picture: with_shot(picture, Shot(height=7, theta=20, phi=10)),
    "lens": lambda picture: with_shot(picture, Shot(theta=20, phi=10, focal=4)),
    "center": lambda picture: with_shot(picture, Shot((1, 0, 0), theta=20, phi=10)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_picture_has_another_key(picture: Picture, change: str) -> None:
    if change in ("order", "twice", "z index"):
        picture.square.move_to(picture.cells)  # what is behind can be seen then
    if change == "without light":
        glow(picture.square)
    key, pixels = picture.key(), picture.pixels()
    assert picture.key() == key
    CHANGES[change](picture)
    assert (picture.pixels() != pixels).any()
    assert picture.key() != key


class Room(Picture):
    """A body that glows and is mirrored, with a mark on it, another one, and a lamp."""

    def __init__(self) -> None:
        self.camera = LitCamera()
        self.camera.shot = Shot.looking((3, 3, 7), (0, 0.5, 0))
        self.body = Body([[(-1, 0, 0), (0, 1, 0.5)], [(-1, 1, 0), (0, 1.3, 0.5)]], "#f28b66")
        self.mark = Square(0.5, fill_opacity=1).move_to((-0.5, 0.5, 0.51))
        self.body.add(self.mark)
        self.other = Body(
            [[(0.5, 0, 1), (1.5, 1, 1.2)]],
            "#8d8b92",
            quads=[[(0.5, 0.01, 2), (1.5, 0.01, 2), (1.5, 0.01, 1.5), (0.5, 0.01, 1.5)]],
            quad_colours="#65c8d0",
        )
        self.lamp = Lamp(self.body)
        self.mobjects = [self.body, self.other, self.lamp]


def other_boxes(room: Room) -> None:
    room.body.set_boxes(room.body.boxes * 1.1, room.body.colours)


def other_layers(room: Room) -> None:
    """Turn the order of two boxes round that are seen through each other."""
    boxes = [[(0, 0, 0), (1, 1, 0.5)], [(0, 0.5, 0), (1, 1.5, 0.5)]]
    room.body.set_boxes(boxes, room.body.colours[::-1] * [[1.0], [0.5]], [1, 0])


CHANGES_OF_A_ROOM: dict[str, Callable[[Room], object]] = {
    "place": lambda room: room.body.shift(0.1 * UP),
    "turn": lambda room: room.other.put((0, 0, 0), turn=10),
    "boxes": other_boxes,
    "colours": lambda room: room.body.set_boxes(room.body.boxes, "#0000ff"),
    "layers": other_layers,
    "sheets": lambda room: room.other.set_quads(room.other.quads + 0.1, "#65c8d0"),
    "colours of sheets": lambda room: room.other.set_quads(room.other.quads, "#ff0000"),
    "shadow": lambda room: setattr(room.other, "shadow", False),
    "presence": lambda room: setattr(room.other, "presence", 0.5),
    "light of its own": lambda room: setattr(room.other, "is_light", True),
    "light": lambda room: glow(room.other),
    "mirrored": lambda room: mirrored(room.other),
    "mark": lambda room: room.mark.set_fill("#00ff00"),
    "a lamp's place": lambda room: room.lamp.shift(0.3 * UP),
    "a lamp's aim": lambda room: room.lamp.aim(room.other),
    "a lamp's reach": lambda room: setattr(room.lamp, "radius", 2.0),
    "a lamp's colour": lambda room: setattr(room.lamp, "rgb", np.array([255.0, 0, 0])),
    "a lamp's power": lambda room: setattr(room.lamp, "presence", 0.5),
    "no lamp": lambda room: room.mobjects.remove(room.lamp),
    "without light": unlit,
    "where a mark lies": lambda room: (room.body.remove(room.mark), room.other.add(room.mark)),
}


@pytest.mark.parametrize("change", CHANGES_OF_A_ROOM)
def test_another_room_has_another_key(change: str) -> None:
    with manim_config(Quality(320, 180, 5)):
        room = Room()
        key, pixels = room.key(), room.pixels()
        assert room.key() == key
        CHANGES_OF_A_ROOM[change](room)
        assert (room.pixels() != pixels).any()
        assert room.key() != key


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: setattr(picture.square, "name", "another"),
        lambda picture: setattr(picture.cells, "label", "another"),
        lambda picture: picture.square.add(VGroup(), Dot(fill_opacity=0, stroke_width=0)),
        lambda picture: picture.mobjects.append(Square().set_opacity(0)),
        lambda picture: picture.square.add_updater(lambda square: None),
        lambda picture: picture.mobjects.insert(0, picture.square),
        lambda picture: setattr(picture, "mobjects", [Group(*picture.mobjects)]),
    ],
    ids=["name", "label", "nothing", "invisible", "updater", "drawn where it is last", "group"],
)
def test_what_draws_nothing_is_no_part_of_it(
    picture: Picture, change: Callable[[Picture], object]
) -> None:
    key, pixels = picture.key(), picture.pixels()
    change(picture)
    assert (picture.pixels() == pixels).all()
    assert picture.key() == key


def test_parts_are_drawn_in_the_order_of_manim(picture: Picture) -> None:
    back = Square().set_z_index(-1)
    inner = VGroup(Square(), VGroup(Dot(), back), Label("word"))
    groups = [inner, Group(picture.cells, Dot().set_z_index(2)), Square(), back, inner[0]]
    expected = extract_mobject_family_members(groups, use_z_index=True, only_those_with_points=True)
    assert picture.camera.drawing_order(groups) == expected


def test_sizes_in_pixels_are_no_part_of_it() -> None:
    keys = []
    for quality in (Quality(320, 180, 5), Quality(640, 360, 5)):
        with manim_config(quality):
            assert config.pixel_width == quality.width
            keys.append(Picture().key())
    assert keys[0] == keys[1]
