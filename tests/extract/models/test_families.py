"""Test extraction from many families of models against the models themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import extract
from extract.errors import ExtractError, UnsupportedModelError
from extract.latent.fit import require_fittable
from extract.trace import ProofError, Trace, TraceError
from tests.support.needed import skip_without
from tests.support.traces import replaced

torch = pytest.importorskip("torch")
skip_without("transformer_lens")

from tests.support.extract_models import KINDS, PROMPT, TOKENIZER, tiny_model  # noqa: E402
from tests.support.model_families import FAMILIES as OTHERS  # noqa: E402
from tests.support.model_families import UNTRACED, Family  # noqa: E402

FAMILIES = {name: Family(make, *kind) for name, (make, kind) in KINDS.items()} | OTHERS

QUICK = (
    *KINDS,
    "deepseek-v2",
    "deepseek-v2-lite",
    "qwen3",
    "olmo2",
    "gemma3",
    "gemma2",
    "gpt-j",
    "gpt-neo",
    "gpt-oss",
)
"""Families of the default tier: all kinds of attention, and one of each step."""


def quick_first(names: Any) -> list[Any]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def traced() -> dict[str, tuple[Any, Trace]]:
    """Models and their traces by name, filled by `pair`."""
    return {}


def pair(traced: dict[str, tuple[Any, Trace]], name: str) -> tuple[Any, Trace]:
    if name not in traced:
        model = tiny_model(FAMILIES[name].make)
        traced[name] = model, extract.trace(model, TOKENIZER, PROMPT, random_weights=True)
    return traced[name]


@pytest.mark.parametrize("name", quick_first(FAMILIES))
def test_a_family_is_traced_as_it_computes(
    name: str, traced: dict[str, tuple[Any, Trace]], tmp_path: Path
) -> None:
    """Patterns and next tokens are those of the model with eager attention, and all is proved."""
    model, trace = pair(traced, name)
    family, meta = FAMILIES[name], trace.meta
    assert (meta.attention, meta.positions) == (family.attention, family.positions)
    assert (meta.rotary_dim, meta.rotary_style) == (family.rotary_dim, family.rotary_style)
    assert (meta.qk_norm, meta.windows) == (family.qk_norm, family.windows)
    assert (meta.score_cap, meta.sinks) == (family.score_cap, family.sinks)
    assert max(meta.self_check.values()) < 1e-5

    implementation = model.config._attn_implementation
    eager = name != "falcon"  # in Hugging Face that of Falcon omits the causal mask
    if eager:
        model.set_attn_implementation("eager")
    with torch.inference_mode():
        own = model(torch.tensor([meta.token_ids]), use_cache=False, output_attentions=eager)
    model.set_attn_implementation(implementation)
    probabilities = torch.softmax(own.logits[0], dim=-1).numpy()
    stored = np.take_along_axis(probabilities, trace["top_ids"].astype(int), axis=-1)
    np.testing.assert_allclose(trace["top_probs"], stored, atol=1e-5)
    assert len(own.attentions or ()) == meta.n_layers * eager
    for layer, pattern in enumerate(own.attentions or ()):
        np.testing.assert_allclose(trace.get("pattern", layer), pattern[0], atol=1e-5)

    file = tmp_path / "trace.safetensors"
    trace.save(file)
    loaded = Trace.load(file)
    assert max(loaded.prove().values()) < 1e-5
    assert loaded.meta == meta
    for layer in range(meta.n_layers):
        pattern = np.exp(loaded.scores(layer, masked=True).filled(-np.inf))
        sinks = np.exp(loaded.get("sinks", layer)) if meta.sinks else np.zeros(meta.n_heads)
        pattern /= pattern.sum(axis=-1, keepdims=True) + sinks[:, None, None]
        np.testing.assert_allclose(loaded.get("pattern", layer), pattern, atol=1e-5)


@pytest.mark.parametrize("name", quick_first(FAMILIES))
def test_one_word_of_a_family(name: str) -> None:
    """Position 0 alone does not show how a model rotates, and hides no key."""
    family = FAMILIES[name]
    meta = extract.trace(tiny_model(family.make), TOKENIZER, ",", generate=0, bos=False).meta
    assert (meta.rotary_dim, meta.rotary_style) == (family.rotary_dim, family.rotary_style)
    assert (meta.qk_norm, meta.windows) == (family.qk_norm, ())


@pytest.mark.parametrize("name", UNTRACED)
def test_other_families_are_refused_by_name(name: str) -> None:
    make, message = UNTRACED[name]
    with pytest.raises(UnsupportedModelError) as refused:
        extract.trace(tiny_model(make), TOKENIZER, PROMPT)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_norm_is_a_step_between_projection_and_rotation(
    traced: dict[str, tuple[Any, Trace]],
) -> None:
    """What is stored is what the model's own norm makes of the projection."""
    model, trace = pair(traced, "qwen3")
    attention = model.model.layers[0].self_attn
    for letter in ("q", "k"):
        projected = torch.from_numpy(trace.get(letter, 0).copy())
        with torch.inference_mode():
            expected = getattr(attention, f"{letter}_norm")(projected).numpy()
        np.testing.assert_allclose(trace.get(f"{letter}_norm", 0), expected, atol=1e-5)
        np.testing.assert_allclose(
            trace.get(f"{letter}_rot", 0)[0], trace.get(f"{letter}_norm", 0)[0], atol=1e-6
        )
        assert np.abs(trace.get(letter, 0) - expected).max() > 0.1
    assert (trace.unrotated("q"), trace.used("k")) == ("q_norm", "k_rot")


def test_an_mla_trace_holds_what_the_model_would_cache(
    traced: dict[str, tuple[Any, Trace]],
) -> None:
    """In transformers the cache of DeepSeek-V2 holds the latent and the shared rotated key."""
    model, trace = pair(traced, "deepseek-v2")
    with torch.inference_mode():
        cache = model(torch.tensor([trace.meta.token_ids]), use_cache=True).cache
    for layer in range(trace.meta.n_layers):
        latent, k_rope = cache.layers[layer].keys[0, 0], cache.layers[layer].values[0, 0]
        np.testing.assert_allclose(trace.get("kv_latent", layer), latent, atol=1e-5)
        np.testing.assert_allclose(trace.get("k_rope", layer), k_rope, atol=1e-5)


def test_compressed_queries_are_traced_where_there_are_any(
    traced: dict[str, tuple[Any, Trace]],
) -> None:
    _, compressed = pair(traced, "deepseek-v2")
    _, plain = pair(traced, "deepseek-v2-lite")
    layer = compressed.meta.featured.layer
    queries = np.einsum(
        "pr,rhd->phd", compressed.get("q_latent", layer), compressed.weights("W_UQ", layer)
    )
    np.testing.assert_allclose(compressed.get("q", layer), queries, atol=1e-5)
    assert compressed.meta.self_check["q_latent"] < 1e-5
    assert not plain.has("q_latent", layer)


@pytest.mark.parametrize(
    ("name", "stage"), [("qwen3", "k_norm"), ("olmo2", "q_norm"), ("deepseek-v2", "q_latent")]
)
def test_a_damaged_step_is_found_when_a_trace_is_loaded(
    name: str, stage: str, traced: dict[str, tuple[Any, Trace]]
) -> None:
    _, trace = pair(traced, name)
    tensor = trace.tensor_name(stage, trace.meta.featured.layer)
    with pytest.raises(ProofError, match=f"'{stage}' of layer"):
        replaced(trace, {tensor: trace[tensor] * np.float32(1.01)}).prove()


def test_another_cap_or_window_is_found_when_a_trace_is_loaded(
    traced: dict[str, tuple[Any, Trace]],
) -> None:
    _, trace = pair(traced, "gemma2")
    with pytest.raises(ProofError, match="'pattern' of layer"):
        replaced(trace, score_cap=1.0).prove()
    with pytest.raises(ProofError, match="'pattern' of layer 0"):
        replaced(trace, windows=(5, 0)).prove()
    with pytest.raises(TraceError, match="see a key before its window of 3"):
        replaced(trace, windows=(3, 0)).validate()
    for wrong in ((4,), (0, 0), (-1, 0), (99, 0)):
        with pytest.raises(TraceError, match="'windows' should be"):
            replaced(trace, windows=wrong).validate()
    with pytest.raises(TraceError, match="'score_cap' is -1"):
        replaced(trace, score_cap=-1.0).validate()


def test_other_sinks_are_found(traced: dict[str, tuple[Any, Trace]]) -> None:
    _, trace = pair(traced, "gpt-oss")
    assert trace.get("pattern", 0).sum(axis=-1).min() < 0.9
    with pytest.raises(ProofError, match="'pattern' of layer 1"):
        replaced(trace, {"sinks.1": trace["sinks.1"] + np.float32(0.1)}).prove()
    with pytest.raises(TraceError, match=r"tensor 'sinks\.0' is missing"):
        replaced(trace, {"sinks.0": None}).validate()
    with pytest.raises(TraceError, match="is not part of a trace"):
        replaced(trace, sinks=False).validate()


def test_another_norm_is_found(traced: dict[str, tuple[Any, Trace]]) -> None:
    _, trace = pair(traced, "qwen3")
    norm = trace.meta.qk_norm
    assert norm is not None
    with pytest.raises(ProofError, match="'q_norm' of layer 0"):
        replaced(trace, qk_norm=replace(norm, kind="layer")).prove()
    with pytest.raises(TraceError, match="'qk_norm' is not a known norm"):
        replaced(trace, qk_norm=replace(norm, span="word")).validate()
    with pytest.raises(TraceError, match=r"tensor 'g_q_norm\.1' is missing"):
        replaced(trace, {"g_q_norm.1": None}).validate()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("qwen3", "normalises its keys"),
        ("gemma2", "squeezes its scores"),
        ("gpt-oss", "has sinks in its softmax"),
        ("mistral", "hides keys of this prompt behind a window"),
    ],
)
def test_no_latent_goes_through_such_a_step(
    name: str, reason: str, traced: dict[str, tuple[Any, Trace]]
) -> None:
    _, trace = pair(traced, name)
    with pytest.raises(ExtractError, match=reason):
        require_fittable(trace, 0)


def test_the_attention_function_is_the_librarys_own_again() -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    model = tiny_model(FAMILIES["qwen3"].make)
    extract.trace(model, TOKENIZER, PROMPT, generate=0)
    assert "eager" not in ALL_ATTENTION_FUNCTIONS
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", quick_first(FAMILIES))
def test_the_inputs_of_every_layer_are_those_of_the_trace(
    name: str, traced: dict[str, tuple[Any, Trace]]
) -> None:
    from extract.models.capture import attention_inputs

    model, trace = pair(traced, name)
    ids = list(trace.meta.token_ids)
    (inputs,) = attention_inputs(model, [[ids, ids]])
    assert len(inputs) == trace.meta.n_layers
    for layer, (first, second) in enumerate(inputs):
        own = trace.get("x", layer)
        np.testing.assert_allclose(first, own, atol=1e-5 * max(1.0, np.abs(own).max()))
        np.testing.assert_allclose(second, first, atol=1e-5)
