"""A box of glass: how it bends, where cracks run, and how what bursts out of it flies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from manim import Animation

from filmkit.core.animations import presence
from filmkit.core.body import Body
from filmkit.core.theme import use_theme
from filmkit.world.burst import STAYS, Flight, Glass

LOW, HIGH = (-3.0, 0.0, -1.0), (3.0, 2.0, 1.0)
EYE = np.array([4.0, 3.0, 12.0])


def box() -> Glass:
    with use_theme("dark"):
        return Glass(LOW, HIGH)


def cubes(places: Sequence[float]) -> list[Body]:
    return [Body([[(0, 0, 0), (1, 1, 1)]]).put((x, 0, 0)) for x in places]


def at_share(animation: Animation, share: float) -> None:
    animation.begin()
    animation.interpolate(share)


def burst(bodies: Sequence[Body], seconds: float) -> Glass:
    glass = box()
    glass.throw(bodies, EYE)
    at_share(glass.fly(0.0, seconds), 1.0)
    return glass


def test_shares_of_its_sides_are_places() -> None:
    glass = box()
    assert glass.at((0, 0, 0)) == pytest.approx(LOW)
    assert glass.at([(1, 1, 1), (0.5, 0.5, 0.5)]) == pytest.approx(np.array([HIGH, (0, 1, 0)]))


def test_it_bends_at_its_right_end_and_not_below() -> None:
    glass = box()
    at_share(glass.bend(0.4), 1.0)
    assert glass.at((1, 1, 1)) == pytest.approx(HIGH)
    assert glass.at((1, 0.5, 0.5))[0] == pytest.approx(3.0 + 0.4)
    assert glass.at((1, 0.5, 1))[0] == pytest.approx(3.0 + 0.2)
    assert glass.at((0, 0.5, 0.5)) == pytest.approx((-3, 1, 0))
    assert glass.at((1, 0, 0.5))[1] == 0.0


def test_pieces_fill_its_end_and_lie_in_its_panes() -> None:
    glass = box()
    ends = [shard for shard in glass.shards if shard.out[0]]
    fronts = [shard for shard in glass.shards if shard.out[2]]
    assert len(ends) + len(fronts) == len(glass.shards)
    for shards, axis, place in ((ends, 0, 3.0), (fronts, 2, 1.0)):
        for shard in shards:
            assert shard.points[:, axis] == pytest.approx(place)
    areas = []
    for shard in ends:
        _x, y, z = shard.points[::4].T
        areas.append(abs((y * np.roll(z, 1) - z * np.roll(y, 1)).sum()) / 2)
    assert sum(areas) == pytest.approx(2.0 * 2.0)


def test_cracks_run_away_from_where_it_is_hit() -> None:
    glass = box()
    cracking = glass.crack()
    seen = []
    for share in (0.0, 0.4, 1.0):
        at_share(cracking, share)
        seen.append([presence(shard) for shard in glass.shards])
    assert 0 == sum(seen[0]) < sum(seen[1]) < sum(seen[2]) == len(glass.shards)
    hit = np.array([3.0, 0.9, 0.0])
    far = [np.linalg.norm(shard.middle - hit) for shard in glass.shards if shard.out[0]]
    when = [shard.when for shard in glass.shards if shard.out[0]]
    assert np.corrcoef(far, when)[0, 1] > 0.7


def test_what_is_thrown_begins_where_it_stood_and_flies_out_the_last_the_farthest() -> None:
    places = [0.0, 1.0, 2.0]
    still, thrown = cubes(places), cubes(places)
    burst(still, 0.0)
    assert [body.middle[0] for body in still] == pytest.approx([0.5, 1.5, 2.5])
    burst(thrown, 0.5)
    flown = [body.middle[0] - place - 0.5 for body, place in zip(thrown, places, strict=True)]
    assert flown == sorted(flown)
    assert flown[0] > 0.5
    # Whatever it does, it stays a cube.
    for body in thrown:
        assert body.axes @ body.axes.T == pytest.approx(np.eye(3))


def test_it_always_bursts_in_the_same_way() -> None:
    one, other = (burst(cubes([1.0, 2.0]), 0.7) for _ in range(2))
    for a, b in zip(one.shards, other.shards, strict=True):
        assert np.array_equal(a.points, b.points)


def test_a_shard_passes_the_eye() -> None:
    behind = [
        max(shard.points[:, 2].max() for shard in burst([], seconds).shards) > EYE[2]
        for seconds in (0.3, 0.7)
    ]
    assert behind == [False, True]


def test_only_the_left_of_its_edges_stays() -> None:
    glass = burst([], 0.1)
    edges = [edge for edge, *_ends in glass.edges if presence(edge) > 0]
    right = max(edge.points[:, 0].max() for edge in edges)
    assert right == pytest.approx(-3.0 + STAYS * 6.0)


def test_a_flight_is_a_fall() -> None:
    (body,) = cubes([0.0])
    flight = Flight(body, np.array([2.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), 0.0)
    flight.fly(2.0)
    assert body.middle == pytest.approx((0.5 + 4.0, 0.5 + 2.0 - 3.0 * 2.0**2 / 2, 0.5))
