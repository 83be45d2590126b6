"""What a few keys hold of the attention, against plain loops and cases made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from extract.facts.published import gpt2_trace
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.trace import Trace
from tests.support.traces import make_trace

ROWS = np.array([[0.5, 0.1, 0.2, 0.2], [0.1, 0.6, 0.3, 0.0]])
KEPT = {
    (last, 1): [[0, 0, 0, 0.2], [0, 0, 0, 0]],
    (last, 3): [[0, 0.1, 0.2, 0.2], [0, 0.6, 0.3, 0]],
    (first_and_last, 1): [[0.5, 0, 0, 0], [0.1, 0, 0, 0]],
    (first_and_last, 3): [[0.5, 0, 0.2, 0.2], [0.1, 0, 0.3, 0]],
    (best, 1): [[0.5, 0, 0, 0], [0, 0.6, 0, 0]],
    # Of the two equal weights the first.
    (best, 2): [[0.5, 0, 0.2, 0], [0, 0.6, 0.3, 0]],
}
WAYS = last, first_and_last, best


@pytest.mark.parametrize(("way", "n"), KEPT)
def test_keys_are_kept_as_a_hand_would(way: Callable[..., np.ndarray], n: int) -> None:
    before = ROWS.copy()
    np.testing.assert_array_equal(way(ROWS, n), KEPT[way, n])
    np.testing.assert_array_equal(ROWS, before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [4, 5, 100])
def test_with_as_many_keys_as_there_are_all_is_read(way: Callable[..., np.ndarray], n: int) -> None:
    np.testing.assert_array_equal(way(ROWS, n), ROWS)


TRACES = {
    "hidden first token": {"n_layers": 3, "n_heads": 4},
    "no beginning token": {"n_layers": 2, "n_heads": 2, "has_bos": False},
    "one layer, one head": {"n_layers": 1, "n_heads": 1},
    "two tokens": {"n_tokens": 2, "has_bos": False, "n_heads": 2},
}


def plain(trace: Trace, query: int, n: int) -> dict[str, float]:
    """Return the mean share over all heads, head by head and key by key."""
    shares: dict[str, list[float]] = {"last": [], "first_and_last": [], "best": []}
    for layer in range(trace.meta.n_layers):
        for head in range(trace.meta.n_heads):
            row = [float(w) for w in trace.get("pattern", layer)[head, query]][: query + 1]
            ends = {0, *range(max(0, query + 2 - n), query + 1)}
            shares["last"].append(sum(row[-n:]))
            shares["first_and_last"].append(sum(row[key] for key in ends))
            shares["best"].append(sum(sorted(row)[-n:]))
    return {way: sum(held) / len(held) for way, held in shares.items()}


@pytest.mark.parametrize("case", TRACES)
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_shares_are_those_of_a_plain_loop(case: str, n: int) -> None:
    trace = make_trace(**TRACES[case])
    query = trace.meta.n_prompt - 1
    rows = rows_of_query(trace, query)
    assert rows.shape == (trace.meta.n_layers * trace.meta.n_heads, query + 1)
    expected = plain(trace, query, n)
    for way in WAYS:
        held = way(rows, n).mean(axis=0).sum()
        assert held == pytest.approx(expected[way.__name__], abs=1e-6)
        assert held <= best(rows, n).mean(axis=0).sum() + 1e-12


def test_in_gpt2_most_rests_on_the_first_token() -> None:
    trace = gpt2_trace()
    rows = rows_of_query(trace, trace.meta.n_prompt - 1)
    held = [round(100 * way(rows, 3).mean(axis=0).sum()) for way in WAYS]
    assert held == [23, 68, 84]
