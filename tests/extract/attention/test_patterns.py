"""Test measures of attention heads on patterns whose values are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from extract.attention.patterns import (
    CRITERIA,
    PatternDistance,
    StrongestHead,
    first_token_weight,
    previous_token_weight,
    strongest_head,
)


def previous_token(count: int) -> np.ndarray:
    """Return a pattern in which every query attends to the token right before it."""
    pattern = np.eye(count, k=-1)
    pattern[0, 0] = 1
    return pattern


def uniform(count: int) -> np.ndarray:
    """Return a pattern in which every query attends equally to all allowed keys."""
    pattern = np.tril(np.ones((count, count)))
    return pattern / pattern.sum(axis=1, keepdims=True)


def first_token(count: int) -> np.ndarray:
    """Return a pattern in which every query attends to the first token."""
    pattern = np.zeros((count, count))
    pattern[:, 0] = 1
    return pattern


def itself(count: int) -> np.ndarray:
    """Return a pattern in which every query attends to itself."""
    return np.eye(count)


@pytest.mark.parametrize("count", [3, 9, 24])
@pytest.mark.parametrize(
    ("criterion", "make"),
    [("previous", previous_token), ("sink", first_token)],
)
def test_the_strongest_head_is_found(
    criterion: str, make: Callable[[int], np.ndarray], count: int
) -> None:
    first, second = (f(count) for f in (uniform, previous_token, first_token) if f is not make)
    patterns = np.stack([[itself(count), first], [second, make(count)]])
    strongest = strongest_head(patterns, criterion)
    assert (strongest.layer, strongest.head) == (1, 1)
    assert strongest.value == CRITERIA[criterion](make(count))


def test_two_tokens() -> None:
    patterns = np.stack([[itself(2), uniform(2), first_token(2)]])
    assert (
        strongest_head(patterns, "previous")
        == strongest_head(patterns, "sink")
        == StrongestHead(0, 2, 1.0)
    )


def test_the_previous_token_is_measured_without_the_first() -> None:
    # Rows: the first token, then all to the first, then 0.25 and 0.75 to the one before.
    pattern = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0.75, 0.25, 0, 0], [0.2, 0, 0.75, 0.05]])
    assert previous_token_weight(pattern) == pytest.approx(0.5)
    assert previous_token_weight(pattern[:2, :2]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("weights", "mean"), [((0.9,), 0.9), ((0.9, 0.3), 0.3), ((0.9, 0.3, 0.5), 0.4)]
)
def test_the_token_before_is_measured_without_the_first_one(
    weights: tuple[float, ...], mean: float
) -> None:
    """Unless no other query has a token before it."""
    assert previous_token_weight(np.diag(weights, k=-1)) == pytest.approx(mean)


def test_the_sink_is_measured_without_the_first_row() -> None:
    pattern = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.1, 0.1, 0.8]])
    assert first_token_weight(pattern) == pytest.approx(0.3)


def test_the_first_of_equal_heads_is_taken() -> None:
    patterns = np.stack([[itself(4), first_token(4)], [first_token(4), itself(4)]])
    assert strongest_head(patterns, "sink") == StrongestHead(0, 1, 1.0)


def test_measures_are_in_double_precision_whatever_the_patterns_are_in() -> None:
    patterns = np.full((2, 3, 7, 7), 1 / 7, dtype=np.float32)
    for measure in CRITERIA.values():
        values = measure(patterns)
        assert values.dtype == np.float64
        assert values.shape == (2, 3)


def test_a_distance_counts_every_row_but_the_first() -> None:
    """Heads that differ by a half in the second row, and by all in the third."""
    own, other = np.zeros((2, 1, 3, 3))
    own[0] = [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    other[0] = [[0, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert PatternDistance.between(own, other, 3) == PatternDistance(mean=0.75, worst=1.0)
    assert PatternDistance.between(own, other, 1) == PatternDistance(0.0, 0.0)


def test_an_unknown_measure_is_an_error() -> None:
    with pytest.raises(KeyError):
        strongest_head(np.stack([[itself(3)]]), "sideways")
