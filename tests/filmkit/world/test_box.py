"""Boxes of glass and sketches: where they stand, how large they are, and what is not on them."""

from __future__ import annotations

import numpy as np
import pytest
from manim import VMobject

from filmkit.core.heatmap import Heatmap
from filmkit.core.theme import current_theme
from filmkit.world.block import Pose
from filmkit.world.box import GlassBox, SketchBody

BODY = Pose((1.0, 0.0, -2.0), 30.0, 4.0, 2.0, 1.5)


@pytest.mark.parametrize("turn", [0.0, 30.0, 90.0])
def test_glass_stands_around_a_body_on_the_floor(turn: float) -> None:
    body = Pose((1.0, 0.0, -2.0), turn, 4.0, 2.0, 1.5)
    box = GlassBox(body).pose
    assert all(outer > inner for outer, inner in zip(box.size, body.size, strict=True))
    # Its middle, seen from above, is the body's.
    np.testing.assert_allclose(box.corners.mean(axis=0)[[0, 2]], body.corners.mean(axis=0)[[0, 2]])
    assert box.turn == turn
    assert box.corners[:, 1].min() == 0


def test_glass_is_to_scale() -> None:
    for times in (0.5, 1.0, 3.0):
        box = GlassBox(BODY, times, room=0.0).pose
        assert np.prod(box.size) == pytest.approx(times * np.prod(BODY.size))
        # It begins where the body begins, and goes on to the right.
        for up, along in np.ndindex(2, 2):
            np.testing.assert_allclose(box.corner(0, up, along), BODY.corner(0, up, along))


def test_what_is_behind_a_body_is_drawn_before_it() -> None:
    box = GlassBox(BODY)
    assert box.back.z_index < 0 < box.front.z_index


def test_a_sketch_has_lines_and_no_cells() -> None:
    body = SketchBody(BODY, current_theme().key)
    assert not any(isinstance(member, Heatmap) for member in body.get_family())
    assert np.prod(body.pose.size) == pytest.approx(12.0)
    for face, lines in zip(body.faces, body.hatching, strict=True):
        assert isinstance(lines, VMobject)
        low, high = face.points.min(axis=0) - 1e-6, face.points.max(axis=0) + 1e-6
        assert len(lines.points) >= 8
        assert (lines.points >= low).all()
        assert (lines.points <= high).all()


def test_a_sketch_grows() -> None:
    body = SketchBody(Pose((0, 0, 0), 0.0, 1.0, 0.001, 1.0), current_theme().value)
    growth = body.move(Pose((2, 0, 0), 90.0, 1.0, 3.0, 1.0))
    growth.interpolate(1.0)
    np.testing.assert_allclose(body.faces[0].get_top()[1], 3.0)
    np.testing.assert_allclose(body.corners.mean(axis=0), [2, 1.5, 0], atol=1e-9)
