"""Views of a trace: which rows are drawn, and which match shows best what a match is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from filmkit.core.view import LayerView, best_match
from tests.support.traces import make_trace

WORDS = ("The", " flag", " is", ",", " red", " and", " blue")


@dataclass
class MadeUpHead:
    """Stands in for a head: each query attends to one key, the rest is spread evenly.

    ``matches`` has the key and its share of the attention for each query.
    """

    matches: dict[int, tuple[int, float]]
    words: tuple[str, ...] = WORDS
    pattern: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.words)
        self.causal_mask = np.triu(np.ones((count, count), dtype=bool), k=1)
        self.layer = SimpleNamespace(count=count, words=self.words, draws_start=False)
        self.pattern = np.zeros((count, count))
        for query in range(count):
            key, share = self.matches.get(query, (query, 1.0))
            self.pattern[query, : query + 1] = (1 - share) / max(query, 1)
            self.pattern[query, key] = share

    @property
    def scores(self) -> np.ndarray:
        """Logarithms of the pattern; later words would match best of all."""
        scores = np.log(np.maximum(self.pattern, 1e-9))
        return np.where(self.causal_mask, 9.0, scores)


def test_a_match_is_clear_but_not_everything() -> None:
    matches = {2: (1, 0.95), 4: (1, 0.6), 5: (4, 0.85), 6: (4, 0.45)}
    assert best_match(MadeUpHead(matches)) == (5, 4)
    # Without those two, the largest share wins, clear or not.
    del matches[4], matches[5]
    assert best_match(MadeUpHead(matches)) == (2, 1)


@pytest.mark.parametrize("edge", [0.5, 0.9])
def test_both_ends_of_what_is_clear_belong_to_it(edge: float) -> None:
    outside = 0.49 if edge == 0.5 else 0.91
    assert best_match(MadeUpHead({4: (1, edge), 6: (4, outside)})) == (4, 1)


@pytest.mark.parametrize(
    "worse",
    [
        pytest.param((6, 6), id="itself"),
        pytest.param((6, 0), id="the first word"),
        pytest.param((6, 3), id="punctuation"),
        pytest.param((3, 1), id="of punctuation"),
    ],
)
def test_a_match_is_of_one_word_with_another(worse: tuple[int, int]) -> None:
    query, key = worse
    assert best_match(MadeUpHead({4: (1, 0.55), query: (key, 0.9)})) == (4, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_match_is_the_largest_score_that_the_mask_allows(seed: int) -> None:
    trace = make_trace(n_tokens=12, n_heads=4, d_head=16, seed=seed)
    view = LayerView.of_prompt(trace, None, show_first_token=False).head(None)
    query, key = best_match(view)
    assert key <= query
    assert view.scores[query, : query + 1].argmax() == key


@pytest.mark.parametrize("show", [False, True], ids=["hidden", "shown"])
def test_the_drawn_rows_are_those_of_the_prompt(show: bool) -> None:
    trace = make_trace(n_tokens=5, n_generated=2, n_heads=4, n_kv_heads=2, d_head=8)
    view = LayerView.of_prompt(trace, 1, show_first_token=show)
    first = 0 if show else 1
    assert (view.first, view.stop, view.hides_first) == (first, 6, not show)
    assert view.words == (*("start",) * show, *trace.meta.tokens[1:6])
    head = view.head(3)
    assert head.kv_head == 1
    drawn = slice(first, 6)
    np.testing.assert_array_equal(head.q, trace["q.1"][drawn, 3])
    np.testing.assert_array_equal(head.k, trace["k.1"][drawn, 1])
    np.testing.assert_array_equal(head.v, trace["v.1"][drawn, 1])
    np.testing.assert_array_equal(head.z, trace["z.1"][drawn, 3])
    np.testing.assert_array_equal(head.pattern, trace["pattern.1"][3, drawn, drawn])
    np.testing.assert_allclose(head.pattern_rows.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(
        head.scores, head.dot_products * trace.meta.score_scale, rtol=1e-5, atol=1e-6
    )


def test_a_norm_leaves_out_the_beginning_token_and_takes_in_what_follows() -> None:
    trace = make_trace(n_tokens=4, n_generated=2)
    for name in ("x", "q", "k", "v", "z", "out"):
        view = LayerView.of_prompt(trace, 1, show_first_token=True)
        largest = np.percentile(np.abs(trace.get(name, 1)[1:]), 99)
        norm = view.norm(name)
        assert (norm.vmin, norm.vmax) == pytest.approx((-largest, largest))
    scores = trace.scores(1)
    seen = [scores[:, query, key] for query in range(7) for key in range(1, query + 1)]
    assert view.scores_norm.vmax == pytest.approx(np.percentile(np.abs(seen), 99))


@pytest.mark.parametrize("sinks", [False, True])
@pytest.mark.parametrize("show", [False, True], ids=["hidden", "shown"])
def test_whole_rows_of_a_pattern_sum_to_one_and_give_the_models_entropies(
    show: bool, sinks: bool
) -> None:
    trace = make_trace(d_head=16, positions="rotary", sinks=sinks)
    head = LayerView.of_prompt(trace, None, show_first_token=show).head(1)
    rows = head.pattern_rows
    np.testing.assert_allclose(rows.sum(axis=1) + head.sink_attention, 1.0, atol=1e-6)
    # What rounding to 32 bits leaves is no sink's.
    told = head.sink_attention > (1e-3 if sinks else 0)
    assert told.tolist() == [sinks] * len(rows)
    np.testing.assert_array_equal(rows[:, head.layer.first :], head.pattern)

    def bits(shares: np.ndarray) -> np.ndarray:
        return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)

    model = trace.get("pattern", trace.meta.featured.layer)[1].astype(float)
    expected = bits(model[head.layer.first : trace.meta.n_prompt])
    np.testing.assert_allclose(bits(rows), expected)
    # Cut to the drawn words, they would be wrong.
    assert np.allclose(bits(head.pattern), expected) == show
