"""Test the trace of GPT-2 small's published patterns, and what is refused in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from extract.__main__ import main
from extract.attention.patterns import previous_token_weight, strongest_head
from extract.errors import ExtractError
from extract.facts import published
from extract.facts.published import (
    PUBLISHED,
    figures,
    gpt2_trace,
    has_figures,
    has_published_twin,
    is_gpt2_small,
    published_trace,
)
from extract.facts.published_check import check
from extract.trace import ModelSource, Published, Trace, TraceError
from tests.support.traces import make_trace, replaced

COMMAND = "python -m extract --model gpt2 --prompt 'The American flag is red, white, and'"


@pytest.fixture(scope="module")
def shipped() -> Trace:
    return Trace.load(PUBLISHED)


def patterns_of(trace: Trace) -> np.ndarray:
    """Return the patterns of all heads, [layer, head, query_pos, key_pos]."""
    return np.stack([trace.get("pattern", layer) for layer in range(trace.meta.n_layers)])


def test_the_shipped_trace_is_what_the_command_makes(shipped: Trace, tmp_path: Path) -> None:
    out = tmp_path / "again.safetensors"
    result = CliRunner().invoke(main, ["published", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert Trace.load(out).digest == shipped.digest == published_trace().digest
    assert "published patterns only" in result.stdout


def test_it_holds_the_patterns_of_all_heads_and_nothing_else(shipped: Trace) -> None:
    assert set(shipped.tensors) == {f"pattern.{layer}" for layer in range(12)}
    assert patterns_of(shipped).shape == (12, 12, 10, 10)
    for layer, heads in enumerate(figures()["all_patterns"]["layers"]):
        for head, rows in enumerate(heads):
            for query, row in enumerate(rows):
                stored = shipped.get("pattern", layer)[head, query]
                np.testing.assert_allclose(stored[: query + 1] * 200, row, atol=1e-4)
                assert not stored[query + 1 :].any()


def test_it_says_that_it_was_published_by_whom_and_how_precise(shipped: Trace) -> None:
    meta = shipped.meta
    assert meta.published is not None
    assert meta.published.precision == 1 / 400
    origin, commit = meta.published.by.split()[0], meta.published.by.split()[2].rstrip(",")
    note = figures()["all_patterns"]["note"]
    assert origin in note
    assert commit in note
    assert (meta.source.kind, meta.self_check, meta.top_tokens) == ("published", {}, ())
    text = CliRunner().invoke(main, ["info", str(PUBLISHED)]).stdout
    assert "not extracted here" in text


def test_it_agrees_with_the_two_other_sources(shipped: Trace) -> None:
    first, tenth = figures()["layer0_head0_pattern"], figures()["layer10_patterns"]
    for query, row in enumerate(first["rows"]):
        stored = shipped["pattern.0"][0, query, : query + 1]
        np.testing.assert_allclose(stored, row, atol=1 / 400 + first["precision"])
    for head, rows in enumerate(tenth["heads"]):
        for query, row in enumerate(rows[:10]):
            stored = shipped["pattern.10"][head, query, : query + 1]
            # That source is low by up to 1/256.
            np.testing.assert_allclose(stored, row, atol=1 / 400 + 1 / 256 + tenth["precision"] / 2)


def test_layer_4_head_11_looks_one_word_back_with_all_its_attention(shipped: Trace) -> None:
    find = strongest_head(patterns_of(shipped), "previous")
    assert (find.layer, find.head, find.value) == (4, 11, 1.0)
    assert previous_token_weight(shipped["pattern.4"][11]) == 1.0
    featured = shipped.meta.featured
    assert (featured.layer, featured.head) == (4, 11)


# Rules on loading


def changed(query: int, key: int, by: float) -> Callable[[np.ndarray], None]:
    def change(pattern: np.ndarray) -> None:
        pattern[3, query, key] += by

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(0, 0, -1.5 / 400), "do not sum to 1"),
        (changed(9, 0, 20.5 / 400), "do not sum to 1"),
        (changed(2, 5, 1 / 200), "lets a query see a later key"),
        (changed(2, 1, -1.0), "negative"),
    ],
    ids=["a short row", "a long row", "the future", "negative"],
)
def test_rows_and_causality_are_checked(
    shipped: Trace, tmp_path: Path, change: Callable[[np.ndarray], None], message: str
) -> None:
    pattern = shipped["pattern.5"].copy()
    change(pattern)
    with pytest.raises(TraceError, match=message):
        replaced(shipped, {"pattern.5": pattern}).save(tmp_path / "trace.safetensors")


def test_a_row_of_n_entries_may_be_off_by_n_times_the_precision(shipped: Trace) -> None:
    pattern = np.zeros((12, 10, 10), dtype=np.float32)
    for query in range(10):
        pattern[:, query, : query + 1] = 1 / (query + 1) + 0.99 / 400
    replaced(shipped, {"pattern.0": pattern}).validate()
    with pytest.raises(TraceError, match="do not sum to 1"):
        replaced(shipped, {"pattern.0": pattern * 1.03}).validate()


@pytest.mark.parametrize(
    ("meta", "tensors", "message"),
    [
        ({}, {"q.4": np.zeros((10, 12, 64), np.float32)}, "'q.4' is not part of a trace"),
        ({}, {"pattern.11": None}, "'pattern.11' is missing"),
        ({"published": None}, {}, "contradict one another"),
        ({"source": ModelSource("hub", "gpt2")}, {}, "contradict one another"),
        ({"published": Published("someone", 0.2)}, {}, "precision"),
        ({"published": Published(" ", 0.0025)}, {}, "by whom"),
        ({"self_check": {"q": 0.0}}, {}, "nothing was computed"),
    ],
    ids=["q", "missing", "unsaid", "hub", "coarse", "nobody", "self-check"],
)
def test_what_is_not_a_trace_of_published_patterns_is_refused(
    shipped: Trace, meta: dict[str, Any], tensors: dict[str, Any], message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        replaced(shipped, tensors, **meta).validate()


def test_an_extracted_trace_cannot_claim_to_be_published() -> None:
    with pytest.raises(TraceError, match="contradict"):
        replaced(make_trace(), published=Published("someone", 0.0025)).validate()


@pytest.mark.parametrize("ask", [lambda t: t["q.4"], lambda t: t.weights("W_Q", 4)])
def test_what_it_has_not_names_the_command_that_extracts_it(
    shipped: Trace, ask: Callable[[Trace], object]
) -> None:
    with pytest.raises(TraceError) as error:
        ask(shipped)
    assert str(error.value).endswith(COMMAND)


def test_the_commands_refuse_it_in_one_line(shipped: Trace) -> None:
    assert not has_figures(shipped)
    with pytest.raises(ExtractError, match="these are the published patterns themselves"):
        check(shipped)
    for command in ("check", "latent"):
        result = CliRunner().invoke(main, [command, str(PUBLISHED)])
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert COMMAND in line


# Beside another trace


def test_it_stands_beside_traces_of_other_models_on_its_prompt(shipped: Trace) -> None:
    other = make_trace()
    assert other.meta.prompt == shipped.meta.prompt
    assert has_published_twin(other)
    assert not has_published_twin(make_trace(n_tokens=8))
    assert not has_published_twin(shipped)
    gpt2 = own_gpt2()
    assert is_gpt2_small(gpt2.meta)
    assert not has_published_twin(gpt2)


def own_gpt2(**options: Any) -> Trace:
    """Return a made-up trace that has the sizes and the name of GPT-2."""
    trace = make_trace(n_layers=12, n_heads=12, d_head=4, d_model=768, **options)
    return replaced(trace, source=ModelSource("hub", "openai-community/gpt2"))


def test_the_users_own_trace_replaces_it(
    shipped: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gpt2.safetensors"
    monkeypatch.setattr(published, "EXTRACTED_GPT2", file)
    assert gpt2_trace().digest == shipped.digest
    own_gpt2(n_tokens=5).save(file)
    assert gpt2_trace().digest == shipped.digest, "another prompt"
    make_trace().save(file)
    assert gpt2_trace().digest == shipped.digest, "another model"
    file.write_bytes(b"damaged")
    assert gpt2_trace().digest == shipped.digest
    own = own_gpt2()
    own.save(file)
    assert gpt2_trace().digest == own.digest


def test_an_extraction_of_gpt2_says_once_that_it_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformer_lens")
    from extract import __main__ as command
    from extract.models import LoadedModel, capture

    loaded = LoadedModel(None, None, "gpt2", ModelSource("hub", "gpt2"))
    monkeypatch.setattr(command, "load_model", lambda name, **options: loaded)
    own = replaced(own_gpt2(), self_check={"q": 1e-7})
    monkeypatch.setattr(capture, "trace_model", lambda *args, **options: own)
    file = tmp_path / "gpt2.safetensors"
    monkeypatch.setattr(command, "EXTRACTED_GPT2", file)
    told = "also in place of GPT-2's published patterns"
    for out, times in ((file, 1), (tmp_path / "other.safetensors", 0)):
        result = CliRunner().invoke(main, ["--no-latent", "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert result.stdout.count(told) == times
