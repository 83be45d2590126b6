"""Test the parts of an extraction that need no model: the self-check and the choice of a head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extract.attention.arithmetic import Rotation
from extract.attention.self_check import (
    TOLERANCE,
    largest_errors,
    relative_error,
    require_small_errors,
)
from extract.errors import ExtractError
from extract.models.featured import CRITERION, choose_featured, structure_scores
from extract.trace import Featured, Trace
from extract.trace.proof.prove import layer_errors
from tests.support.checkout import SHIPPED
from tests.support.traces import make_trace, replaced

KINDS: dict[str, dict[str, Any]] = {
    "biases": {"biases": True},
    "grouped, rotary": {"n_kv_heads": 2, "positions": "rotary"},
    "alibi": {"positions": "alibi"},
    "mla": {"mla": True, "positions": "rotary"},
}


def errors_of(trace: Trace, layer: int, scale: float = 1.0) -> dict[str, float]:
    """Return the errors of a layer, with the scores of the trace itself times a factor."""
    return layer_errors(trace, layer, np.tril(trace.scores(layer)) * scale)


# The self-check


@pytest.mark.parametrize("kind", KINDS)
def test_a_correct_layer_passes(kind: str) -> None:
    errors = errors_of(make_trace(**KINDS[kind]), 1)
    assert max(errors.values()) < 2e-6
    assert {"q", "k", "v", "scores", "pattern", "z", "out"} <= set(errors)
    require_small_errors(errors, "made-up")


# Array that is changed, and the first stage that must fail.
PERTURBED = {
    "biases": {
        "W_Q": "q",
        "b_Q": "q",
        "W_K": "k",
        "b_K": "k",
        "W_V": "v",
        "b_V": "v",
        "q": "q",
        "k": "k",
        "v": "v",
        "scores": "scores",
        "z": "z",
        "W_O": "out",
        "b_O": "out",
        "out": "out",
    },
    "grouped, rotary": {"q_rot": "q_rot", "k_rot": "k_rot", "W_V": "v"},
    "alibi": {"alibi_slopes": "scores"},
    "mla": {
        "g_KV": "kv_latent",
        "kv_latent": "kv_latent",
        "W_UK": "k",
        "W_KR": "k",
        "W_UV": "v",
        "W_Q": "q",
        "k_rot": "k_rot",
    },
}


@pytest.mark.parametrize(
    ("kind", "name", "stage"),
    [(kind, name, stage) for kind, stages in PERTURBED.items() for name, stage in stages.items()],
)
def test_a_change_by_a_thousandth_fails(kind: str, name: str, stage: str) -> None:
    trace = make_trace(**KINDS[kind])
    tensor = name if name == "alibi_slopes" else f"{name}.1"
    scores = np.tril(trace.scores(1))
    perturbed = scores if name == "scores" else trace[tensor].copy()
    perturbed.reshape(-1)[np.abs(perturbed).argmax()] *= 1.001
    changed = trace if name == "scores" else replaced(trace, {tensor: perturbed})
    errors = layer_errors(changed, 1, scores)
    failing = [name for name, error in errors.items() if error > TOLERANCE]
    assert failing
    assert failing[0] == stage
    with pytest.raises(ExtractError, match=f"made-up cannot be traced truthfully: '{stage}'"):
        require_small_errors(errors, "made-up")


def test_a_wrong_scale_is_noticed() -> None:
    errors = errors_of(make_trace(), 1, scale=1 / 1.001)
    assert errors["scores"] == pytest.approx(1e-3, rel=0.1)


def test_without_scores_the_pattern_is_checked() -> None:
    trace = make_trace()
    errors = layer_errors(replaced(trace, score_scale=trace.meta.score_scale * 1.01), 1)
    assert "scores" not in errors
    assert errors["pattern"] > TOLERANCE


def test_an_error_that_is_no_number_does_not_pass() -> None:
    with pytest.raises(ExtractError, match="'z'"):
        require_small_errors({"q": 0.0, "z": float("nan")}, "made-up")


def test_the_largest_error_of_each_stage_is_taken() -> None:
    layers = [{"logits": 0.5}, {"q": 0.1, "z": 0.3}, {"q": 0.2}]
    assert largest_errors(layers) == {"logits": 0.5, "q": 0.2, "z": 0.3}


def test_errors_are_relative_to_the_largest_value() -> None:
    assert relative_error(np.array([1.0, -4.5]), np.array([1.0, -4.0])) == 0.125
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == 1


@pytest.mark.parametrize(("style", "pair"), [("half", (0, 2)), ("interleaved", (0, 1))])
@pytest.mark.parametrize("start", [0, 3])
def test_a_rotation_turns_pairs_of_channels(style: str, pair: tuple[int, int], start: int) -> None:
    heads = np.zeros((2, 1, 7))
    heads[:, 0, start + pair[0]] = 1
    angle = np.array([[0.0, 0.0], [np.pi / 2, 0.3]])
    rotated = Rotation(np.cos(angle), np.sin(angle), style, start).apply(heads)
    expected = heads.copy()
    expected[1, 0, start + pair[0]] = 0
    expected[1, 0, start + pair[1]] = 1
    np.testing.assert_allclose(rotated, expected, atol=1e-12)


# The choice of a head

WORDS = ("<s>", "The", " flag", ",", " is", " red", " and")


def pattern_of(*keys: int) -> np.ndarray:
    """Return a pattern in which every query gives most of its weight to one key."""
    pattern = np.zeros((len(keys), len(keys)), dtype=np.float32)
    for query, key in enumerate(keys):
        pattern[query, : query + 1] = 0.1 / (query + 1)
        pattern[query, key] += 0.9
    return pattern


HEADS = {
    "sink": pattern_of(0, 0, 0, 0, 0, 0, 0),
    "itself": pattern_of(0, 1, 2, 3, 4, 5, 6),
    "the token before": pattern_of(0, 0, 1, 2, 3, 4, 5),
    "the first word": pattern_of(0, 1, 1, 1, 1, 1, 1),
    "commas": pattern_of(0, 0, 0, 0, 3, 3, 3),
    "words": pattern_of(0, 1, 1, 2, 2, 4, 4),
}


def test_attention_to_words_scores_more_than_sinks() -> None:
    patterns = np.stack(list(HEADS.values()))
    scores = dict(zip(HEADS, structure_scores(patterns, WORDS, has_bos=True), strict=True))
    assert max(scores, key=lambda name: scores[name]) == "words"
    for name in ("sink", "itself", "the token before", "the first word", "commas"):
        assert scores[name] < scores["words"] / 5, name


def test_byte_tokens_score_nothing() -> None:
    patterns = np.stack([HEADS["words"]])
    assert structure_scores(patterns, ["<0xE7><0x8C>"] * len(WORDS), has_bos=True) == 0


def test_the_choice_is_the_best_head_of_all_layers() -> None:
    heads = list(HEADS.values())
    patterns = np.stack([np.stack(heads[:3]), np.stack([heads[5], *heads[3:5]])])
    assert choose_featured(patterns, WORDS, has_bos=True) == (Featured(1, 0), CRITERION)


def test_the_users_choice_is_used() -> None:
    heads = list(HEADS.values())
    patterns = np.stack([np.stack(heads[:3]), np.stack([heads[5], *heads[3:5]])])

    featured, criterion = choose_featured(patterns, WORDS, has_bos=True, layer=0)
    assert featured == Featured(0, 2)
    assert criterion == f"layer given by the user; {CRITERION}"

    featured, criterion = choose_featured(patterns, WORDS, has_bos=True, head=1)
    assert featured.head == 1
    assert criterion.startswith("head given by the user; ")

    featured, criterion = choose_featured(patterns, WORDS, has_bos=True, layer=0, head=0)
    assert (featured, criterion) == (Featured(0, 0), "layer and head given by the user")


def test_the_beginning_token_is_no_word() -> None:
    """Without a beginning-of-sequence token, the first word is the sink."""
    patterns = np.stack([HEADS["sink"], HEADS["words"]])
    with_bos = structure_scores(patterns, WORDS, has_bos=True)
    without = structure_scores(patterns[:, 1:, 1:], WORDS[1:], has_bos=False)
    assert with_bos.argmax() == without.argmax() == 1


@pytest.mark.parametrize("n_tokens", [1, 2, 3])
def test_a_head_is_chosen_for_short_prompts_too(n_tokens: int) -> None:
    uniform = np.tril(np.ones((n_tokens, n_tokens))) / np.arange(1, n_tokens + 1)[:, None]
    sink = np.zeros_like(uniform)
    sink[:, 0] = 1
    patterns = np.stack([sink, uniform])[None].astype(np.float32)
    featured, _ = choose_featured(patterns, WORDS[:n_tokens], has_bos=True)
    assert featured == Featured(0, int(n_tokens == 3))


# The shipped trace


def test_the_shipped_trace_is_the_default_prompt_of_the_packaged_model(shipped: Trace) -> None:
    meta = shipped.meta
    assert (meta.prompt, meta.source.name) == (
        "The American flag is red, white, and",
        "smollm2-packaged",
    )
    assert (meta.n_prompt, meta.has_bos, meta.tokens[0]) == (10, True, "<|im_start|>")
    assert (meta.attention, meta.n_heads, meta.n_kv_heads) == ("gqa", 9, 3)
    assert meta.top_tokens[9][0] == " blue"
    assert shipped["top_probs"][9, 0] == pytest.approx(0.69, abs=0.005)
    assert max(meta.self_check.values()) < 1e-5
    assert not meta.random_weights
    assert SHIPPED.stat().st_size < 16e6


def test_the_shipped_trace_passes_the_self_check(shipped: Trace) -> None:
    assert shipped.meta.featured.layer in shipped.layers_with_weights()
    for layer in shipped.layers_with_weights():
        assert max(errors_of(shipped, layer).values()) < 1e-5


def test_the_featured_head_of_the_shipped_trace_follows_the_criterion(shipped: Trace) -> None:
    meta, n = shipped.meta, shipped.meta.n_prompt
    patterns = np.stack([shipped.get("pattern", layer) for layer in range(meta.n_layers)])
    choice = choose_featured(patterns[..., :n, :n], meta.tokens[:n], meta.has_bos)
    assert choice == (meta.featured, meta.featured_criterion)
    # The head is worth showing: its largest weight is on a word further back.
    head = shipped.get("pattern", meta.featured.layer)[meta.featured.head, :n, :n]
    query, key = np.unravel_index(np.tril(head, k=-2).argmax(), head.shape)
    assert meta.tokens[key].strip().isalpha()
    assert head[query, key] > 0.5
