"""A glass box that breaks: where its pieces begin, and what is seen of those that fly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from filmkit.core.animations import presence
from filmkit.core.camera import Shot
from filmkit.core.theme import current_theme, use_theme
from filmkit.world.block import Pose
from filmkit.world.box import GlassBox, SketchBody
from filmkit.world.burst import Burst

POSE = Pose((0.0, 0.0, 0.0), 0.0, 6.0, 2.0, 2.0)
SHOT = Shot((0.0, 1.0, 0.0), 8.0, 36.0, 13.0)


def broken() -> Burst:
    with use_theme("dark"):
        slabs = [
            SketchBody(replace(POSE, at=(x, 0.0, 0.0), thick=0.2), current_theme().key)
            for x in (2.2, 2.5, 2.8)
        ]
        return Burst(GlassBox(POSE), slabs, SHOT)


def flown(seconds: float) -> Burst:
    burst = broken()
    for part in burst.fly(0.0, seconds), burst.fly(seconds, seconds):
        part.begin()
        part.interpolate(1.0)
    return burst


def test_it_always_breaks_in_the_same_way() -> None:
    for one, two in zip(flown(0.7).get_family(), flown(0.7).get_family(), strict=True):
        assert np.array_equal(one.points, two.points)


def test_slabs_begin_where_they_stood_and_fly_out() -> None:
    burst = broken()
    for slab, x in zip(burst.slabs, (2.2, 2.5, 2.8), strict=True):
        seen = np.concatenate([side[0].points for side in slab if presence(side[0])])
        assert seen[:, 0].max() == pytest.approx(x + 0.1)
        assert seen[:, 1].max() == pytest.approx(2.0)
    places = sorted(float(slab.place[0]) for slab in flown(0.5).slabs)
    assert places[0] > 2.2 + 0.4
    assert places[-1] > 2.8 + 2.0


def test_of_a_slab_that_flies_the_sides_that_face_the_eye_are_seen() -> None:
    for seconds in (0.0, 0.3, 0.9):
        for slab in flown(seconds).slabs:
            out = [side[0].points.mean(axis=0) - slab.place for side in slab]
            near = [float(o @ (SHOT.eye() - slab.place - o)) > 0 for o in out]
            assert near == [presence(side[0]) > 0 for side in slab]
            assert 1 <= sum(near) <= 3


def test_nearer_slabs_are_drawn_later() -> None:
    places = [slab.place for slab in flown(0.8).slabs]
    away = [float(np.linalg.norm(SHOT.eye() - place)) for place in places]
    assert away == sorted(away, reverse=True)
