"""Scales from values to colours: linear ones, and those that are stretched near zero."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.norm import LINEAR_SHARE, Norm

VALUES = np.random.default_rng(0).standard_cauchy(4000)
NORMS = {
    "linear": Norm(-2.0, 2.0, "viridis"),
    "from zero": Norm(0.0, 7.0, "viridis"),
    "stretched": Norm(-9.5, 9.5, "viridis", linear_width=0.95),
    "stretched on one side": Norm(-1.0, 30.0, "viridis", linear_width=0.2),
    "hardly stretched": Norm(-1.0, 1.0, "viridis", linear_width=50.0),
}
EACH = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())


def test_the_stretched_scale_ends_at_the_percentile_and_is_linear_near_zero() -> None:
    norm = Norm.stretched(VALUES)
    limit = np.percentile(np.abs(VALUES), 99)
    assert (norm.vmin, norm.vmax) == (-limit, limit)
    assert norm.linear_width == pytest.approx(0.05 * limit)
    assert LINEAR_SHARE == 0.05
    assert not norm.is_linear
    assert Norm.symmetric(VALUES).is_linear
    assert Norm.stretched([0.0, 0.0]).linear_width > 0


@EACH
def test_places_are_those_of_the_formula(norm: Norm) -> None:
    values = np.linspace(norm.vmin, norm.vmax, 101)
    if norm.is_linear:
        expected = (values - norm.vmin) / (norm.vmax - norm.vmin)
    else:
        # matplotlib's AsinhNorm: linear_width * asinh(value / linear_width), between the ends.
        width = norm.linear_width
        stretched = [width * math.asinh(value / width) for value in values]
        low, high = stretched[0], stretched[-1]
        expected = np.array([(value - low) / (high - low) for value in stretched])
    np.testing.assert_allclose(norm.places(values), expected, atol=1e-12)


# What Normalize and AsinhNorm of matplotlib 3.11 answer for five equal steps from vmin to
# vmax, rounded to nine digits.
MATPLOTLIB = {
    "linear": [0.0, 0.25, 0.5, 0.75, 1.0],
    "from zero": [0.0, 0.25, 0.5, 0.75, 1.0],
    "stretched": [0.0, 0.114365179, 0.5, 0.885634821, 1.0],
    "stretched on one side": [0.0, 0.813946678, 0.909307479, 0.962719855, 1.0],
    "hardly stretched": [0.0, 0.249987502, 0.5, 0.750012498, 1.0],
}


@pytest.mark.parametrize("name", NORMS)
def test_places_are_matplotlibs(name: str) -> None:
    norm = NORMS[name]
    values = np.linspace(norm.vmin, norm.vmax, 5)
    np.testing.assert_allclose(norm.places(values), MATPLOTLIB[name], atol=1e-9)


@EACH
def test_values_at_is_the_inverse_of_places(norm: Norm) -> None:
    places = np.linspace(0, 1, 256)
    values = norm.values_at(places)
    assert values[[0, -1]] == pytest.approx([norm.vmin, norm.vmax])
    np.testing.assert_allclose(norm.places(values), places, atol=1e-9)
    np.testing.assert_array_equal(norm.levels(values), np.arange(256))


@EACH
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_larger_values_never_get_an_earlier_colour(norm: Norm, values: list[float]) -> None:
    places = norm.places(sorted(values))
    assert (np.diff(places) >= 0).all()
    assert places.min() >= 0
    assert places.max() <= 1
    assert norm.places([-1e9, 1e9]).tolist() == [0, 1]


def test_a_stretched_scale_shows_what_a_linear_one_leaves_grey() -> None:
    """A tenth of the limit is 15 % away from the middle of the colours, not 5 %."""
    limit = 10.0
    stretched = Norm(-limit, limit, "viridis", linear_width=1.0)
    linear = Norm(-limit, limit, "viridis")
    for value in (0.1, 0.5, 1.0):
        assert stretched.places(value) - 0.5 > 2.9 * (linear.places(value) - 0.5)
    assert stretched.places(0.0) == linear.places(0.0) == 0.5
    # It is symmetric: a value is as far from the middle as its opposite.
    values = np.linspace(0, limit, 20)
    np.testing.assert_allclose(stretched.places(values) + stretched.places(-values), 1)


@EACH
def test_ticks_are_true_values_in_order(norm: Norm) -> None:
    ticks = norm.ticks()
    assert ticks == sorted(set(ticks))
    assert (ticks[0], ticks[-1]) == (norm.vmin, norm.vmax)
    assert (0.0 in ticks) is (norm.vmin <= 0 <= norm.vmax)


def test_a_stretched_scale_has_round_ticks_of_either_sign() -> None:
    assert NORMS["stretched"].ticks() == [-9.5, -3, -1, 0, 1, 3, 9.5]
    # At 1.0 a number would be written over that of the end.
    assert Norm(-1.2, 1.2, "viridis", linear_width=0.12).ticks() == pytest.approx(
        [-1.2, -0.3, 0, 0.3, 1.2]
    )
    assert NORMS["linear"].ticks() == [-2.0, 0.0, 2.0]


def test_a_scale_that_is_scaled_shows_scaled_values_alike() -> None:
    for norm in NORMS.values():
        values = np.linspace(norm.vmin, norm.vmax, 11)
        np.testing.assert_allclose(norm.scaled(3.0).places(3.0 * values), norm.places(values))


def test_between_two_scales_there_is_a_way_without_a_leap() -> None:
    start, end = NORMS["linear"], NORMS["stretched"]
    assert start.mix(end, 1.0) == end
    assert start.mix(end, 0.0).places(1.0) == pytest.approx(start.places(1.0))
    way = [float(start.mix(end, alpha).places(1.0)) for alpha in np.linspace(0, 1, 201)]
    assert max(abs(b - a) for a, b in pairwise(way)) < 0.02
    assert start.mix(start, 0.5) == start
