"""Test the comparison of a trace with published figures, and of GPT-2 itself if available."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from extract.__main__ import main
from extract.errors import ExtractError
from extract.facts.published import FIGURES, has_figures
from extract.facts.published_check import check
from extract.trace import TOP_TOKENS, ModelSource, Trace
from tests.support.checkout import REFERENCE
from tests.support.traces import make_trace, replaced, with_pattern


@pytest.fixture(scope="module")
def figures() -> Any:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def rows_to_pattern(rows: list[list[float]], n: int) -> np.ndarray:
    """Return a pattern [query_pos, key_pos] from published rows, adjusted so that rows sum to 1."""
    pattern = np.zeros((n, n), dtype=np.float32)
    for query, row in enumerate(rows[:n]):
        pattern[query, : len(row)] = row
    # Published figures are rounded: spread what is missing over the row, or take what is too much
    # from those that are not zero.
    missing = 1 - pattern.sum(axis=-1, keepdims=True)
    allowed = np.tril(np.ones((n, n), dtype=np.float32))
    allowed = np.where(missing < 0, pattern > 0, allowed)
    return pattern + allowed * missing / allowed.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def agreeing(figures: Any) -> Trace:
    """Return a synthetic trace with GPT-2's dimensions that contains the published figures."""
    words = figures["layer10_patterns"]["tokens"]
    trace = make_trace(
        n_tokens=9,
        n_generated=1,
        n_heads=12,
        n_layers=12,
        d_head=12,
        d_model=768,
        words=words[1:],
        featured=(0, 0),
    )
    n = len(words)
    for layer, heads in enumerate(figures["all_patterns"]["layers"]):
        pattern = trace.get("pattern", layer).copy()
        if layer == 10:  # the only one with figures for the row after the prompt
            pattern = np.stack(
                [rows_to_pattern(head, n) for head in figures["layer10_patterns"]["heads"]]
            )
        for head, rows in enumerate(heads):
            rows = [[step / 200 for step in row] for row in rows]
            if (layer, head) == (0, 0):
                rows = figures["layer0_head0_pattern"]["rows"]
            pattern[head, :10, :10] = rows_to_pattern(rows, 10)
        trace = with_pattern(trace, layer, pattern)
    others = [f" other{i}" for i in range(TOP_TOKENS - 1)]
    top_tokens = [[word, *others] for word in (*figures["next_token_argmax"]["predicted"], ",")]
    likeliest = figures["next_token_probabilities"]["with_beginning_token"]["top"]
    top_tokens[9] = [word for word, _ in likeliest]
    top_probs = trace["top_probs"].copy()
    top_probs[9] = [value + 0.0004 for _, value in likeliest]
    vocabulary = sorted({*words, *(word for row in top_tokens for word in row)})
    top_ids = [[vocabulary.index(word) for word in row] for row in top_tokens]
    trace = replaced(
        trace,
        {"top_ids": np.array(top_ids, dtype=np.int32), "top_probs": top_probs},
        source=ModelSource("hub", "openai-community/gpt2"),
        self_check={"q": 1e-7},
        token_ids=tuple(vocabulary.index(word) for word in words),
        top_tokens=tuple(map(tuple, top_tokens)),
    )
    trace.prove()
    trace.validate()
    return trace


def perturbed(trace: Trace, layer: int, by: float) -> Trace:
    """Return a trace in which the weight `by` of one pattern row moves from one key to another."""
    pattern = trace.get("pattern", layer).copy()
    pattern[0, 5, 0] += by
    pattern[0, 5, 3] -= by
    return with_pattern(trace, layer, pattern)


def test_the_figures_name_their_origin(figures: Any) -> None:
    assert REFERENCE.resolve() == FIGURES
    assert "notebooks of the film's author" in figures["about"]


def test_a_trace_that_agrees(agreeing: Trace) -> None:
    report = check(agreeing)
    assert report.agrees
    assert [comparison.compared for comparison in report.comparisons] == [
        55,
        12 * 66,
        10,
        144 * 55,
        5,
    ]
    assert all(comparison.agrees for comparison in report.comparisons)
    document = report.as_json()
    assert document["agrees"] is True
    assert json.loads(json.dumps(document)) == json.loads(json.dumps(document, allow_nan=False))


DISAGREEMENTS: dict[str, tuple[Callable[[Trace], Trace], set[int]]] = {
    "layer 0": (lambda trace: perturbed(trace, 0, 3e-4), {0}),
    "layer 10": (lambda trace: perturbed(trace, 10, 0.03), {1, 3}),
    "layer 5": (lambda trace: perturbed(trace, 5, 0.006), {3}),
    "next token": (
        lambda trace: replaced(
            trace, top_tokens=(trace.meta.top_tokens[-1], *trace.meta.top_tokens[1:])
        ),
        {2},
    ),
    "probability": (lambda trace: with_probabilities(trace, {0: 0.0012}), {4}),
    "a word that is missing": (
        lambda trace: with_probabilities(replaced(trace, top_tokens=without_green(trace)), {}),
        {4},
    ),
}


def with_probabilities(trace: Trace, more: dict[int, float]) -> Trace:
    """Return a trace in which some of the likeliest words after the prompt are likelier."""
    probs = trace["top_probs"].copy()
    for rank, by in more.items():
        probs[9, rank] += by
    return replaced(trace, {"top_probs": probs})


def without_green(trace: Trace) -> tuple[tuple[str, ...], ...]:
    """Return the likeliest words, with another one in place of " green" after the prompt."""
    rows = list(trace.meta.top_tokens)
    rows[9] = tuple(" pink" if word == " green" else word for word in rows[9])
    return tuple(rows)


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_a_trace_that_disagrees(name: str, agreeing: Trace) -> None:
    change, wrong = DISAGREEMENTS[name]
    report = check(change(agreeing))
    assert not report.agrees
    assert [comparison.agrees for comparison in report.comparisons] == [
        position not in wrong for position in range(5)
    ]


def test_it_counts_the_heads_that_agree(agreeing: Trace) -> None:
    heads = check(agreeing).comparisons[3]
    assert (heads.parts_agreeing, heads.parts) == (144, 144)
    assert heads.limit == 1 / 400 + 1e-4
    heads = check(perturbed(agreeing, 5, 0.006)).comparisons[3]
    assert (heads.parts_agreeing, heads.parts) == (143, 144)


def test_differences_within_the_figures_precision_agree(agreeing: Trace) -> None:
    assert check(perturbed(agreeing, 0, 3e-5)).agrees
    assert check(with_probabilities(agreeing, {0: 0.0001})).agrees
    rest = without_green(agreeing)
    rare = tuple(" pink" if word == " black" else word for word in agreeing.meta.top_tokens[9])
    # The rarest word may be missing: another one may be as likely.
    assert check(replaced(agreeing, top_tokens=(*rest[:9], rare, *rest[10:]))).agrees


def test_other_words_after_the_prompt_are_not_compared(agreeing: Trace) -> None:
    tokens = (*agreeing.meta.tokens[:-1], " green")
    report = check(replaced(agreeing, tokens=tokens))
    assert report.agrees
    assert report.comparisons[1].compared == 12 * 55


@pytest.mark.parametrize(
    "change",
    [
        {"source": ModelSource("hub", "someone/gpt2-poems")},
        {"tokens": ("<|endoftext|>", *"abcdefghij")},
        {"n_prompt": 9},
        {"n_layers": 24},
    ],
    ids=["model", "words", "shorter prompt", "larger"],
)
def test_other_models_and_prompts_are_refused(agreeing: Trace, change: dict[str, Any]) -> None:
    other = replaced(agreeing, **change)
    assert has_figures(agreeing)
    assert not has_figures(other)
    with pytest.raises(ExtractError, match="the published figures are of gpt2 on the prompt"):
        check(other)


# The command


def test_the_command_exits_with_0_or_1(agreeing: Trace, tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    agreeing.save(file)
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["agrees"] * 5
    assert "all 144 heads: 144 of 144 agree" in result.stdout

    perturbed(agreeing, 10, 0.03).save(file)
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "agrees",
        "DIFFERS",
        "agrees",
        "DIFFERS",
        "agrees",
    ]
    assert "143 of 144 agree" in result.stdout
    as_json = CliRunner().invoke(main, ["check", str(file), "--json"])
    assert as_json.exit_code == 1
    document = json.loads(as_json.stdout)
    assert document["agrees"] is False
    assert [entry["agrees"] for entry in document["comparisons"]] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert (
        result.stderr == f"Error: {file}: it differs from the published figures; extract it again\n"
    )

    make_trace().save(file)
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("agrees", [True, False])
def test_an_extraction_runs_the_check_and_stores_its_result(
    agreeing: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    pytest.importorskip("transformer_lens")
    from extract import __main__ as command
    from extract.models import LoadedModel, capture

    traced = agreeing if agrees else perturbed(agreeing, 10, 0.03)
    loaded = LoadedModel(None, None, "gpt2", ModelSource("hub", "gpt2"))
    monkeypatch.setattr(command, "load_model", lambda name, **options: loaded)
    monkeypatch.setattr(capture, "trace_model", lambda *args, **options: traced)
    file = tmp_path / "trace.safetensors"
    result = CliRunner().invoke(main, ["--no-latent", "--out", str(file)])
    assert result.exit_code == 0, result.output
    assert ("agrees with" in result.stdout) == agrees
    assert ("DIFFERS from" in result.stdout) == (not agrees)
    stored = Trace.load(file).meta.check
    assert stored is not None
    assert stored["agrees"] is agrees
    facts = CliRunner().invoke(main, ["info", str(file)]).stdout
    assert ("it agrees" in facts) == agrees


@pytest.mark.model
def test_gpt2_itself(tmp_path: Path) -> None:
    """Compare GPT-2 itself, if it is in the local cache or may be downloaded."""
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("transformer_lens")
    is_cached = isinstance(hub.try_to_load_from_cache("gpt2", "model.safetensors"), str)
    if not is_cached and not os.environ.get("DOWNLOAD_GPT2"):
        pytest.skip("gpt2 is not on this machine; set DOWNLOAD_GPT2=1 to fetch 500 MB")
    file = tmp_path / "gpt2.safetensors"
    result = CliRunner().invoke(main, ["--out", str(file)])
    assert result.exit_code == 0, result.output
    assert check(Trace.load(file)).agrees
    assert Trace.load(file).meta.check == check(Trace.load(file)).as_json()
