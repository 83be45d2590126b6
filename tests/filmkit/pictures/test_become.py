"""What can become something else, and how it looks on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from manim import Animation, Mobject, Square

from filmkit.core.animations import Arrive, presence
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import glow, mirrored
from filmkit.core.norm import Norm
from filmkit.pictures.become import alike, same


def cells(value: float, **options: Any) -> Heatmap:
    return Heatmap(np.full((2, 3), value), Norm(0.0, 1.0, "viridis"), **options)


def test_alike_are_mobjects_of_equal_parts() -> None:
    assert alike(cells(0.0), cells(1.0))
    assert alike(Square(), Square(2.0))
    assert not alike(cells(0.0), Square())
    assert not alike(cells(0.0), Heatmap(np.zeros((3, 2)), Norm(0.0, 1.0, "viridis")))
    assert not alike(Square(), Square().add(Square()))


def test_the_same_are_alike_in_all_that_is_seen() -> None:
    assert same(cells(0.5), cells(0.5))
    assert not same(cells(0.5), cells(0.6))
    assert not same(cells(0.5), cells(0.5).set_shown(0.5))
    assert not same(cells(0.5), cells(0.5).set_masked([[0, 0, 1], [0, 0, 0]]))
    assert not same(cells(0.5), cells(0.5).shift([1, 0, 0]))
    other = Heatmap(np.full((2, 3), 0.5), Norm(0.0, 2.0, "viridis"))
    assert not same(cells(0.5), other)


def at(animation: Animation, alpha: float) -> Mobject:
    animation.interpolate(alpha)
    return animation.mobject


def test_a_mobject_begins_as_the_other_one_and_ends_as_it_is() -> None:
    start = cells(0.2).place(Box(-2, 0, 3, 2)).set_shown(0.4)
    end = cells(0.8).place(Box(2, 1, 6, 4))
    start.presence = 0.3
    wanted = end.copy()
    animation = Arrive(end, start, rate_func=lambda t: t)
    animation.begin()
    assert np.allclose(at(animation, 0.0).points, start.points)
    assert np.allclose(end.values, 0.2)
    assert presence(end) == pytest.approx(0.3)
    half = at(animation, 0.5)
    assert np.allclose(half.points, (start.points + wanted.points) / 2)
    assert np.allclose(end.values, 0.5)
    assert same(at(animation, 1.0), wanted)


def test_light_and_edge_change_on_the_way_not_at_once() -> None:
    """What flies out of the room still shines, and is mirrored until it has arrived."""
    start, end = glow(mirrored(cells(0.2, edged=False))), cells(0.8)
    animation = Arrive(end, start, rate_func=lambda t: t)
    animation.begin()
    for alpha, strength, mirror in ((0.0, 1.0, True), (0.5, 0.5, True), (1.0, 0.0, False)):
        part: Any = at(animation, alpha)
        assert part.glow_strength == strength
        assert part.is_mirrored is mirror
        assert part.edged is (alpha >= 0.5)


def test_between_two_colour_maps_colours_mix() -> None:
    start = cells(0.2)
    end = Heatmap(np.full((2, 3), 0.8), Norm(0.0, 1.0, "magma"))
    wanted = end.colours().copy()
    animation = Arrive(end, start, rate_func=lambda t: t)
    animation.begin()
    assert np.allclose(at(animation, 0.0).colours()[..., :3], start.colours()[..., :3], atol=1)
    middle = at(animation, 0.5).colours()[..., :3].astype(float)
    mixed = (start.colours()[..., :3].astype(float) + wanted[..., :3]) / 2
    assert np.allclose(middle, mixed, atol=2)
    assert np.allclose(at(animation, 1.0).colours(), wanted)
