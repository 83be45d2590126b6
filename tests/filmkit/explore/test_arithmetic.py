"""What the page to explore computes in a browser is what numpy computes from the same trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest

from extract.attention.arithmetic import pool_heads, total_variation
from extract.attention.arithmetic import softmax as softmax_of
from extract.attention.patterns import PatternDistance
from extract.facts.architectures import ARCHITECTURES, Scheme, kv_cache_elements
from extract.latent.duel import duel
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.recompute.sharing import share_heads
from extract.trace import Trace
from extract.trace.contents.latents import fitted_latent
from filmkit.explore.parts import sets_of
from tests.support.browsing import browser, opened, wait_until
from tests.support.checkout import SHIPPED
from tests.support.exploring import explore_page
from tests.support.latents import with_latent
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

# Both compute in 64 bits; the order of their sums differs.
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
# The model has computed the trace's own patterns in 32 bits.
STORED: dict[str, Any] = {"rtol": 0, "atol": 1e-6}

SEED = 7


def _with_rows() -> Trace:
    trace = make_trace(n_tokens=14)
    return replace(trace, meta=replace(trace.meta, rows=(7, 12)))


TRACES: dict[str, Callable[[], Trace]] = {
    "shipped": lambda: Trace.load(SHIPPED),
    "biases of positions": lambda: make_trace(positions="alibi", biases=True),
    "capped scores": lambda: make_trace(score_cap=1.5, n_kv_heads=2, n_generated=2),
    "a window and sinks": lambda: make_trace(window=3, sinks=True, n_heads=6, positions="rotary"),
    "one set, other values": lambda: make_trace(n_heads=6, n_kv_heads=1, d_v=5, has_bos=False),
    "one head": lambda: make_trace(n_heads=1),
    "true MLA": lambda: make_trace(n_heads=3, positions="rotary", mla=True),
    "rows of a long prompt": _with_rows,
}

# All rows of all heads, at the model's own temperature and at another one; and what they mix.
COMPUTED = """(temperature) => {
  const heads = [...Array(data.heads).keys()];
  const queries = [...Array(layer.q.shape[0]).keys()];
  const rows = (at) => heads.map((head) => queries.map(
    (query) => attendRow(layer.q, layer.k, layer.scoring, head, query, at)));
  const own = rows(1);
  return {
    own,
    warm: rows(temperature),
    patterns: heads.map((head) => attend(layer.q, layer.k, layer.scoring, head)),
    z: heads.map((head) => own[head].map(({ weights }) => mix(weights, layer.v, setOf(head)))),
    tensors: Object.fromEntries(["q", "k", "v"].map(
      (name) => [name, [layer[name].shape, Array.from(layer[name].data)]])),
  };
}"""

SHARED = """(sets) => {
  const heads = [...Array(data.heads).keys()];
  const [k, v] = [layer.k, layer.v].map((tensor) => pool(tensor, sets));
  const own = heads.map((head) => attend(layer.q, layer.k, layer.scoring, head));
  const patterns = heads.map((head) => attend(layer.q, k, layer.scoring, head));
  return {
    k: [k.shape, Array.from(k.data)],
    v: [v.shape, Array.from(v.data)],
    patterns,
    rows: heads.map((head) => own[head].map((row, i) => moved(row, patterns[head][i]))),
    moved: heads.map((head) => movedInPattern(own[head], patterns[head])),
  };
}"""


@pytest.fixture(scope="module", params=TRACES)
def loaded(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, Trace]]:
    """A page that has loaded the layer of a trace, and that trace."""
    trace = TRACES[request.param]()
    file = explore_page(trace, tmp_path_factory.mktemp("explore"))
    with opened(browser, file) as open_page:
        page = open_page()
        wait_until(page, "layer !== null")
        yield page, trace


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page whose functions are called with other numbers than its own."""
    file = explore_page(make_trace(n_tokens=4), tmp_path_factory.mktemp("explore"))
    with opened(browser, file) as open_page:
        yield open_page()


def as_tensor(found: tuple[list[int], list[float]]) -> np.ndarray:
    shape, data = found
    return np.reshape(data, shape)


def ragged(rows: list[dict[str, list[float]]], name: str, count: int) -> np.ndarray:
    """Return rows of as many keys as they may read as (query, key); NaN for the others."""
    filled = np.full((len(rows), count), np.nan)
    for query, row in enumerate(rows):
        assert len(row[name]) == query + 1, "a query reads no key after its own"
        filled[query, : query + 1] = row[name]
    return filled


def test_attention_is_that_of_numpy(loaded: tuple[Page, Trace]) -> None:
    page, trace = loaded
    layer, count = trace.meta.featured.layer, trace.meta.n_prompt
    q, k, v = trace.queries(layer), trace.keys(layer), trace.get("v", layer)
    q, k, v = (tensor[:count].astype(np.float64) for tensor in (q, k, v))
    wanted = trace.attend(layer, q, k, v)
    temperature = 2.5
    found = page.evaluate(COMPUTED, temperature)
    for name, tensor in {"q": q, "k": k, "v": v}.items():
        np.testing.assert_array_equal(as_tensor(found["tensors"][name]), tensor)

    past = np.tri(count, dtype=bool)
    read = wanted.pattern > 0
    sinks = trace.get("sinks", layer).astype(np.float64) if trace.meta.sinks else None
    for head in range(trace.meta.n_heads):
        dots, scores, weights = (
            ragged(found["own"][head], name, count) for name in ("dots", "scores", "weights")
        )
        products = q[:, head] @ k[:, trace.kv_head(head)].T
        np.testing.assert_allclose(dots[past], products[past], **EXACT)
        np.testing.assert_allclose(scores[read[head]], wanted.scores[head][read[head]], **EXACT)
        assert np.isneginf(scores[past & ~read[head]]).all(), "a key beyond the window is not read"
        np.testing.assert_allclose(weights[past], wanted.pattern[head][past], **EXACT)
        warm = ragged(found["warm"][head], "weights", count)
        for query, row in enumerate(scores):
            seen = row[: query + 1]
            more = [] if sinks is None else [sinks[head]]
            shares = softmax_of(np.append(seen, more) / temperature)[: query + 1]
            np.testing.assert_allclose(warm[query, : query + 1], shares, **EXACT)
    np.testing.assert_allclose(found["patterns"], wanted.pattern, **EXACT)
    np.testing.assert_allclose(np.swapaxes(found["z"], 0, 1), wanted.z, **EXACT)
    own = trace.get("pattern", layer)[:, :count, :count]
    np.testing.assert_allclose(found["patterns"], own, **STORED)
    if trace.meta.windows:
        assert (past & ~read).any(), "the window hides something here"


def test_shared_keys_and_values_are_those_of_numpy(loaded: tuple[Page, Trace]) -> None:
    page, trace = loaded
    meta, layer = trace.meta, trace.meta.featured.layer
    for sets in (sets for sets in sets_of(trace) if sets <= meta.n_kv_heads):
        wanted = share_heads(trace, layer, sets)
        count = meta.n_prompt
        found = page.evaluate(SHARED, sets)
        np.testing.assert_allclose(as_tensor(found["k"]), wanted.k[:count], **EXACT)
        np.testing.assert_allclose(as_tensor(found["v"]), wanted.v[:count], **EXACT)
        np.testing.assert_allclose(found["patterns"], wanted.pattern[:, :count, :count], **EXACT)
        own = trace.attend(layer, trace.queries(layer), trace.keys(layer), trace.get("v", layer))
        distances = total_variation(own.pattern, wanted.pattern)[:, :count]
        np.testing.assert_allclose(found["rows"], distances, **EXACT)
        np.testing.assert_allclose(found["moved"], distances[:, 1:].mean(axis=1), **EXACT)
        mean = wanted.pattern_distance.mean
        np.testing.assert_allclose(np.mean(found["moved"]), mean, **STORED)
        assert (sets < meta.n_kv_heads) == (mean > 1e-3)


def test_the_softmax_with_a_temperature_is_that_of_numpy(page: Page) -> None:
    rng = np.random.default_rng(SEED)
    for temperature in (0.01, 0.3, 1.0, 16.0):
        scores = rng.normal(scale=300, size=9)
        scores[rng.integers(9)] = -np.inf
        found = page.evaluate("([scores, t]) => softmax(scores, t)", [scores.tolist(), temperature])
        np.testing.assert_allclose(found, softmax_of(scores / temperature), **EXACT)
        assert sum(found) == pytest.approx(1, rel=1e-12)
    assert page.evaluate("softmax([0, 0, 0, 0])") == [0.25] * 4
    sharp, own, flat = (
        page.evaluate(f"softmax([1, 2, 3], {temperature})") for temperature in (0.1, 1, 10)
    )
    assert sharp[2] > own[2] > flat[2] > flat[0] > own[0] > sharp[0]


def test_sums_grow_channel_by_channel(page: Page) -> None:
    a, b = np.random.default_rng(SEED).normal(size=(2, 64))
    found = page.evaluate(
        "([a, b]) => [products(a, b), runningSums(a, b), dot(a, b)]", [a.tolist(), b.tolist()]
    )
    np.testing.assert_allclose(found[0], a * b, **EXACT)
    np.testing.assert_allclose(found[1], np.cumsum(a * b), **EXACT)
    np.testing.assert_allclose(found[2], a @ b, **EXACT)


@pytest.mark.parametrize(("before", "sets"), [(12, 4), (12, 1), (6, 6), (3, 9), (1, 8)])
def test_sets_are_means_of_neighbours_or_copies(page: Page, before: int, sets: int) -> None:
    heads = np.random.default_rng(SEED).normal(size=(5, before, 4))
    found = page.evaluate(
        """([data, shape, sets]) => {
            const pooled = pool({ data: Float64Array.from(data), shape }, sets);
            return [pooled.shape, Array.from(pooled.data)];
        }""",
        [heads.ravel().tolist(), heads.shape, sets],
    )
    copies = np.repeat(heads, sets // before, axis=1)
    wanted = pool_heads(heads, sets) if sets < before else copies
    np.testing.assert_allclose(as_tensor(found), wanted, **EXACT)


def test_the_share_that_moves_is_the_total_variation(page: Page) -> None:
    pair = np.random.default_rng(SEED).dirichlet(np.ones(6), size=(2, 5))
    pattern, other = pair.tolist()
    distances = total_variation(*pair)
    found = page.evaluate(
        "([a, b]) => [a.map((row, i) => moved(row, b[i])), movedInPattern(a, b)]", [pattern, other]
    )
    np.testing.assert_allclose(found[0], distances, **EXACT)
    np.testing.assert_allclose(found[1], distances[1:].mean(), **EXACT)
    assert page.evaluate("moved([1, 0], [0, 1])") == 1
    assert page.evaluate("movedInPattern([[1]], [[1]])") == 0, "there is no row to compare"


def test_caches_have_the_sizes_of_the_table(page: Page) -> None:
    published = page.evaluate("numbersOf('published').then((file) => file.numbers())")
    assert [model["name"] for model in published["models"]] == [m.name for m in ARCHITECTURES]
    for model, shown in zip(ARCHITECTURES, published["models"], strict=True):
        for scheme in get_args(Scheme):
            found = page.evaluate(
                "([model, scheme]) => cacheNumbers(model, scheme)", [shown, scheme]
            )
            assert found == kv_cache_elements(model, scheme), (model.name, scheme)


@pytest.mark.parametrize("name", ["shipped", "rows of a long prompt"])
def test_keys_that_are_read_hold_what_numpy_says(page: Page, name: str) -> None:
    trace = TRACES[name]()
    rows = rows_of_query(trace, trace.meta.n_prompt - 1)
    ties = np.round(rows, 1)  # equal weights: the first of them is read
    ways = {"last": last, "first": first_and_last, "best": best}
    counts = (1, 3, rows.shape[1], rows.shape[1] + 2)
    for weights in (rows, ties):
        found = page.evaluate(
            """([rows, ways, counts]) => ways.map((way) => counts.map((n) => [
                chosenKeys(rows[0], way, n), shareHeld(rows, (row) => chosenKeys(row, way, n)),
            ]))""",
            [weights.tolist(), list(ways), counts],
        )
        for way, by_count in zip(ways.values(), found, strict=True):
            for n, (chosen, share) in zip(counts, by_count, strict=True):
                kept = way(weights, n)
                assert {key for key in chosen if weights[0, key]} == set(np.flatnonzero(kept[0]))
                np.testing.assert_allclose(share, kept.sum(axis=1).mean(), **EXACT)


LATENTS: dict[str, Callable[[], Trace]] = {
    "shipped": TRACES["shipped"],
    "biases": lambda: with_latent(n_heads=4, d_head=16, biases=True),
    "interleaved rotation": lambda: with_latent(
        n_heads=4, n_kv_heads=2, d_head=16, positions="rotary", rotary_style="interleaved"
    ),
    "rotation of half a head, biases": lambda: with_latent(
        n_heads=4, d_head=16, positions="rotary", rotary_dim=8, biases=True, n_generated=2
    ),
}

FROM_LATENT = """async () => {
  const file = await numbersOf("latent");
  const { latent, W_UK, cos, sin, k } = read(file);
  const { pairs, first } = file.numbers();
  const rank = latent.shape[1];
  const keys = keysOfLatent(latent, W_UK, rank,
    { rotation: cos && { cos, sin, pairs }, own: k, first });
  const heads = [...Array(data.heads).keys()];
  return {
    rank,
    plain: Array.from(expand(latent, W_UK, rank).data),
    fewer: Array.from(expand(latent, W_UK, 3).data),
    keys: [keys.shape, Array.from(keys.data)],
    patterns: heads.map((head) => attend(layer.q, keys, layer.scoring, head)),
    moved: heads.map((head) => movedInPattern(
      attend(layer.q, layer.k, layer.scoring, head), attend(layer.q, keys, layer.scoring, head))),
  };
}"""


def in_32_bits(values: np.ndarray) -> np.ndarray:
    """Return numbers as a file of the page holds them."""
    return values.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("made", LATENTS)
def test_keys_of_a_latent_are_those_of_numpy(browser: Browser, tmp_path: Path, made: str) -> None:
    trace = LATENTS[made]()
    layer, count = trace.meta.featured.layer, trace.meta.n_prompt
    with opened(browser, explore_page(trace, tmp_path)) as open_page:
        page = open_page()
        wait_until(page, "layer !== null")
        found = page.evaluate(FROM_LATENT)
    fitted = fitted_latent(trace, layer)
    latent = in_32_bits(fitted.kv_latent)
    keys, few = (
        np.einsum("pr,rhc->phc", latent[:, : len(matrix)], in_32_bits(matrix))
        for matrix in (fitted.layer.W_UK, fitted.layer.W_UK[:3])
    )
    for name, wanted in {"plain": keys, "fewer": few}.items():
        np.testing.assert_allclose(found[name], wanted[:count].ravel(), **EXACT)
    if trace.has("b_K", layer):
        lost = trace.get(trace.unrotated("k"), layer) - keys
        keys = keys + lost[int(trace.meta.has_bos) : count].mean(axis=0)
    if trace.rotates:
        keys = trace.rotation(layer).apply(keys)
    keys, values = keys[:count], trace.get("v", layer)[:count]  # no pattern depends on them
    np.testing.assert_allclose(as_tensor(found["keys"]), keys, **EXACT)
    pattern = trace.attend(layer, trace.queries(layer)[:count], keys, values).pattern
    np.testing.assert_allclose(found["patterns"], pattern, **EXACT)
    assert found["rank"] == fitted.kv_latent.shape[1]
    own = trace.get("pattern", layer)[:, :count, :count]
    moved = PatternDistance.between(own, pattern, count)
    np.testing.assert_allclose(np.mean(found["moved"]), moved.mean, rtol=0, atol=1e-5)
    if not trace.rotates:
        # The film computes with the latent's 64 bits.
        film = duel(trace, layer).latent
        np.testing.assert_allclose(pattern, film.pattern[:, :count, :count], rtol=0, atol=1e-5)
        np.testing.assert_allclose(moved.mean, film.distance.mean, rtol=0, atol=1e-5)
