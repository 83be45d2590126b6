"""What the page to explore says is what the trace holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from extract.attention.arithmetic import AttentionResult, total_variation
from extract.attention.arithmetic import softmax as softmax_of
from extract.facts.architectures import ARCHITECTURES, Architecture, Scheme, kv_cache_bytes
from extract.facts.gpus import GPUS, H100_SXM, Chip
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.recompute.sharing import share_heads
from extract.trace import Trace
from extract.trace.contents.latents import fitted_latent
from filmkit.core.numbers import MINUS, format_share, whole_percent
from filmkit.core.view import LayerView
from tests.support.browsing import browser, opened
from tests.support.checkout import SHIPPED
from tests.support.exploring import STILL, explore_page, file, open_parts, opened_page, page
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "file", "opened_page", "page"]

BYTES = 2  # of a number of 16 bits


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def view(trace: Trace) -> LayerView:
    return LayerView.of_prompt(trace, None, show_first_token=False)


@pytest.fixture(scope="module")
def attention(trace: Trace, view: LayerView) -> AttentionResult:
    """What numpy computes of the layer that is shown."""
    q, k, v = trace.queries(view.layer), trace.keys(view.layer), trace.get("v", view.layer)
    return trace.attend(view.layer, *(tensor[: view.stop] for tensor in (q, k, v)))


def choose(page: Page, query: int, head: int) -> None:
    page.evaluate(f"choose({{ query: {query}, head: {head} }})")


def slide(page: Page, selector: str, value: int) -> None:
    """Bring a slider to a value, as a hand does."""
    page.locator(selector).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )


def read(page: Page, selector: str) -> str:
    return page.locator(selector).text_content() or ""


def reads(page: Page, selector: str) -> list[str]:
    return page.locator(f"{selector}:visible").all_text_contents()


def written(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def words_of(trace: Trace) -> list[str]:
    return [token.strip() for token in trace.meta.tokens]


def test_a_score_is_the_sum_of_its_channels(
    page: Page, trace: Trace, view: LayerView, attention: AttentionResult
) -> None:
    words, count = words_of(trace), view.count
    box = page.locator("#dot-matrix canvas").bounding_box()
    assert box
    for head, query, key in ((3, 7, 5), (0, 9, 1), (8, 4, 4)):
        choose(page, query, head)
        page.locator("#dot-matrix canvas").click(
            position={
                "x": (key - view.first + 0.5) / count * box["width"],
                "y": (query - view.first + 0.5) / count * box["height"],
            }
        )
        met = f"The query of “{words[query]}” meets the key of “{words[key]}”"
        assert read(page, "#dot-read") == met
        q = trace.queries(view.layer)[query, head].astype(float)
        k = trace.keys(view.layer)[key, trace.kv_head(head)].astype(float)
        score = attention.scores[head, query, key]
        assert read(page, "#dot-total") == (
            f"The sum is {written(q @ k)}; times {trace.meta.score_scale:.4f}, "
            f"the score is {written(score)}."
        )
        slide(page, "#dot-count", 10)
        assert read(page, "#dot-total") == (
            f"10 of {len(q)} channels: {written(q[:10] @ k[:10])}. "
            f"The last one adds {written(q[9])} × {written(k[9])} = {written(q[9] * k[9])}."
        )
        sizes = page.evaluate(
            "[...document.querySelectorAll('.bars-of-channels i')].map((bar) =>"
            "Number(bar.style.getPropertyValue('--size')) * (bar.matches('.below') ? -1 : 1))"
        )
        np.testing.assert_allclose(sizes, q * k / np.abs(q * k).max(), rtol=1e-6)
        assert page.locator(".bars-of-channels .waits").count() == len(q) - 10
        slide(page, "#dot-count", len(q))


@pytest.mark.parametrize("step", [0, 7, -14])
def test_shares_are_the_softmax_at_the_temperature(
    page: Page, trace: Trace, view: LayerView, attention: AttentionResult, step: int
) -> None:
    slide(page, "#temperature", step)
    temperature = 2 ** (step / 5)
    assert read(page, "#temperature-read") == written(temperature)
    for query, head in ((7, 3), (3, 5)):
        choose(page, query, head)
        scores = attention.scores[head, query, : query + 1]
        shares = softmax_of(scores / temperature)
        names = ["beginning token", *words_of(trace)[view.first : query + 1]]
        assert reads(page, "#softmax-bars span") == names
        assert reads(page, "#softmax-bars b") == list(map(written, scores))
        assert reads(page, "#softmax-bars em") == list(map(format_share, shares))
        lengths = page.evaluate(
            "[...document.querySelectorAll('#softmax-bars > div:not(.later)')]"
            ".map((bar) => bar.style.getPropertyValue('--share'))"
        )
        np.testing.assert_allclose(np.array(lengths, dtype=float), shares, rtol=1e-6)
        passed = reads(page, "#mix-rows > div:not(:last-child) em")
        assert passed == list(map(format_share, shares[1:])), "what is passed on follows"
        told = f"At temperature {written(temperature)}, not the model’s own of 1."
        assert (told in read(page, "#mix-read")) == (step != 0)
    slide(page, "#temperature", 0)


def test_the_mix_says_what_is_missing(
    page: Page, trace: Trace, view: LayerView, attention: AttentionResult
) -> None:
    query, head, off = 7, 3, (5, 4)
    shares = attention.pattern[head, query, : query + 1]
    hidden = format_share(shares[0])
    assert reads(page, "#mix-rows > div:not(:last-child) em") == list(map(format_share, shares[1:]))
    not_drawn = f"Not drawn, but part of the sum: beginning token, {hidden}."
    assert read(page, "#mix-read") == not_drawn
    kept = shares.copy()
    values = trace.get("v", view.layer)[: query + 1, trace.kv_head(head)].astype(float)
    whole = shares @ values
    for position in off:
        page.locator("#mix-rows button").nth(position - view.first).click()
        kept[position] = 0
        missing = np.linalg.norm(whole - kept @ values) / np.linalg.norm(whole)
        assert read(page, "#mix-read") == (
            f"Without them, the sum is off by {format_share(float(missing))}. "
            "This is not just their share: values differ in size, too."
        )
        assert read(page, "#mix-rows .sum-of-rows em") == format_share(kept.sum())
    drawn = page.evaluate(
        "mix(rowOf().weights.map((w, i) => drawers.mix.off.has(i) ? 0 : w), layer.v, setOf(3))"
    )
    np.testing.assert_allclose(drawn, kept @ values, rtol=1e-6, atol=1e-9)
    for position in off:
        page.locator("#mix-rows button").nth(position - view.first).click()


def test_a_head_says_where_it_looks(
    page: Page, trace: Trace, view: LayerView, attention: AttentionResult
) -> None:
    words = words_of(trace)
    page.evaluate("drawers.heads.key = null")
    for head in range(trace.meta.n_heads):
        page.evaluate("drawers.heads.key = null")
        choose(page, 9, head)
        row = attention.pattern[head, 9, : view.stop]
        key = view.first + int(row[view.first :].argmax())
        share = format_share(row[key])
        said = f"Head {head}: “{words[9]}” gives “{words[key]}” {share}."
        assert read(page, "#head-read") == said


def check_sets(page: Page, trace: Trace, layer: int, sets: int) -> None:
    meta = trace.meta
    page.locator(f"#sets-choice input[value='{sets}']").check(force=True)
    text = read(page, "#sets-read")
    count = sets * (meta.d_qk + meta.d_v)
    numbers = f"{count:,} numbers kept for each word and layer"
    if sets >= meta.n_kv_heads:
        moved, of_heads = "no attention moves", [""] * meta.n_heads
    else:
        distances = share_heads(trace, layer, sets).row_distances
        moved = f"{format_share(distances.mean())} of the attention moves to other words"
        of_heads = list(map(format_share, distances.mean(axis=1)))
    assert numbers in text
    assert moved in text
    assert page.locator("#sets-patterns b").all_text_contents() == of_heads
    assert ("This is how the model was trained." in text) == (
        sets == meta.n_kv_heads < meta.n_heads
    )
    assert page.locator("#sets-plates > div").count() == sets


def test_sets_say_what_moves(page: Page, trace: Trace, view: LayerView) -> None:
    for sets in (1, 3, 9):
        check_sets(page, trace, view.layer, sets)
    page.locator("#sets-choice input[value='1']").check(force=True)
    assert "33%" in read(page, "#sets-read"), "the film says so too"
    page.locator("#sets-choice input[value='9']").check(force=True)


def test_groups_of_a_model_with_own_keys_move_attention(browser: Browser, tmp_path: Path) -> None:
    trace = make_trace(n_heads=12, n_tokens=5)
    with opened(browser, explore_page(trace, tmp_path)) as open_page:
        page = open_page(**STILL)
        open_parts(page)
        for sets in (1, 4, 12):
            check_sets(page, trace, trace.meta.featured.layer, sets)


def test_a_latent_says_what_moves(page: Page, trace: Trace, view: LayerView) -> None:
    layer, count = view.layer, trace.meta.n_prompt
    fitted = fitted_latent(trace, layer)
    q, v = trace.queries(layer), trace.get("v", layer)
    own = trace.attend(layer, q, trace.keys(layer), v).pattern[:, :count]
    full = fitted.kv_latent.shape[1]
    for rank in (2, full // 2, full):
        slide(page, "#latent-rank", rank)
        keys = np.einsum("pr,rhc->phc", fitted.kv_latent[:, :rank], fitted.layer.W_UK[:rank])
        pattern = trace.attend(layer, q, trace.rotation(layer).apply(keys), v).pattern[:, :count]
        distances = total_variation(own, pattern)[:, 1:]
        of_heads = list(map(format_share, distances.mean(axis=1)))
        assert page.locator("#latent-patterns b").all_text_contents() == of_heads
        text = read(page, "#latent-read")
        assert f"{rank:,} numbers kept for each word and layer" in text
        assert f"{format_share(distances.mean())} of the attention moves to other words" in text
        assert read(page, "#latent-count") == f"{rank:,}"


def fill(page: Page, model: Architecture, gpu: Chip, step: int) -> float:
    """Choose what fills the box; return the number of tokens."""
    page.select_option("#memory-model", label=model.name)
    page.select_option("#memory-gpu", label=gpu.name)
    slide(page, "#memory-tokens", step)
    return round(1000 * 10 ** (step / 20))


def as_counted(value: float) -> str:
    """Return a number as the page writes it: in tenths, or with two digits that are not 0."""
    return f"{value:.2g}" if 1e-4 < value < 0.995 else f"{value:,.1f}".removesuffix(".0")


def test_no_number_is_written_as_nothing_that_is_something(page: Page) -> None:
    numbers = [0, 0.00012, 0.0468, 0.5, 0.96, 1, 1.25, 12.04, 70_272, 1_138_433.4]
    written = [read_number(page.evaluate(f"counted({number})")) for number in numbers]
    for number, text in zip(numbers, written, strict=True):
        assert text == pytest.approx(number, rel=0.05), "as it is rounded"


def read_number(text: str) -> float:
    return float(text.replace(",", ""))


def test_a_gpu_holds_what_the_table_says(page: Page) -> None:
    schemes = {
        "keys and values for each head (MHA)": "mha",
        "a latent and a rotated key (MLA)": "mla",
        "shared by groups of heads (GQA)": "gqa",
        "one set for all heads (MQA)": "mqa",
    }
    assert set(schemes.values()) == set(get_args(Scheme))
    assert page.evaluate(
        "['model', 'gpu'].map((name) => byId(`memory-${name}`).selectedOptions[0].textContent)"
    ) == ["DeepSeek-V3/R1", H100_SXM.name]
    for number, model in enumerate(ARCHITECTURES):
        gpu, step = GPUS[number % len(GPUS)], (0, 40, 60)[number % 3]
        tokens = fill(page, model, gpu, step)
        assert read(page, "#memory-count") == f"{tokens:,}"
        shared = 1 < model.n_kv_heads < model.n_heads
        shown = [name for name in schemes if shared or schemes[name] != "gqa"]
        assert reads(page, "#memory-boxes b") == shown
        wanted = []
        for name in shown:
            each = kv_cache_bytes(model, schemes[name], 8 * BYTES)
            taken = each * tokens
            needed = int(np.ceil(taken / gpu.memory_bytes))
            enough = "{gigabytes} GB" if needed < 2 else "{gigabytes} GB: {gpus} GPUs"
            wanted.append(enough.format(gigabytes=as_counted(taken / 1e9), gpus=f"{needed:,}"))
            time = as_counted(1000 * taken / gpu.bytes_per_second)
            wanted.append(
                f"An empty GPU is full after {int(gpu.memory_bytes // each):,} tokens. "
                f"Reading this cache takes {time} ms for each new token."
            )
        assert reads(page, "#memory-boxes :is(p, small)") == wanted, model.name
        own = page.locator("#memory-boxes .own b").text_content() or ""
        assert schemes[own] == model.scheme
        source = read(page, "#memory-source")
        assert f"Sizes: {model.source}. Memory: {gpu.source}." in source
        links = page.locator("#memory-source a")
        cited = {each.source: each.address for each in (model, gpu) if each.address}
        leads = links.evaluate_all("(all) => all.map((link) => [link.textContent, link.href])")
        assert dict(leads) == cited
        hypothetical = (
            "This model has no latent: the one shown here is hypothetical, "
            "in DeepSeek’s proportions."
        )
        assert (hypothetical in source) == (model.latent is None)


def check_held(page: Page, share: float, count: int, heads: int) -> None:
    numbers = {"number": 3, "count": count, "heads": heads}
    assert "{number} of {count} words hold {share} of the attention of {heads} heads.".format(
        share=format_share(share), **numbers
    ) in read(page, "#reading-read")


def test_words_that_are_read_hold_the_shares_of_the_film(
    page: Page, trace: Trace, view: LayerView
) -> None:
    choose(page, view.stop - 1, 3)
    rows = rows_of_query(trace, view.stop - 1)
    slide(page, "#reading-count", 3)
    held = {}
    for number, way in enumerate((last, first_and_last, best), 1):
        page.locator("#reading-ways input").nth(number).check(force=True)
        share = way(rows, 3).sum(axis=1).mean()
        held[way.__name__] = whole_percent(share)
        check_held(page, share, view.stop, len(rows))
    assert list(held.values()) == ["22%", "66%", "87%"], "what the film says"
    given = list(map(format_share, rows.mean(axis=0)))
    assert reads(page, "#reading-words em") == given
    page.locator("#reading-ways input").first.check(force=True)
    page.evaluate("document.querySelector('#reading-words [aria-pressed=true]').click()")
    chosen = [view.stop - 1, 0, 4]
    for word in chosen:
        page.locator("#reading-words button").nth(word).click()
    share = rows[:, chosen].sum(axis=1).mean()
    check_held(page, share, view.stop, len(rows))


def test_the_opening_names_model_words_and_what_comes_next(page: Page, trace: Trace) -> None:
    meta = trace.meta
    assert reads(page, ".prompt span") == words_of(trace)[1 : meta.n_prompt]
    assert read(page, ".prompt b") == "blue"
    assert meta.model in read(page, ".opening")
    assert f"layer {meta.featured.layer}" in read(page, "footer")
    assert "beginning token" in read(page, "footer")
