"""Extraction from tiny models of every kind; test_families.py compares it with the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import extract
from extract.errors import ExtractError, UnsupportedModelError
from extract.trace import Featured, ModelSource, Trace
from extract.trace.contents.byte_tokens import BYTE_TOKENS
from tests.support.needed import skip_without

torch = pytest.importorskip("torch")
skip_without("transformer_lens")

from tests.support.extract_models import (  # noqa: E402
    KINDS,
    PROMPT,
    REFUSED,
    SIZES,
    TOKENIZER,
    VOCABULARY,
    tiny_model,
)

Models = dict[str, Any]


@pytest.fixture(scope="module")
def models() -> Models:
    return {name: tiny_model(make) for name, (make, _) in KINDS.items()}


@pytest.fixture(scope="module")
def traces(models: Models) -> dict[str, Trace]:
    return {
        name: extract.trace(model, TOKENIZER, PROMPT, random_weights=True)
        for name, model in models.items()
    }


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def gpt2(models: Models) -> Any:
    return models["gpt2"]


def run_unwrapped(model: Any, trace: Trace, **options: Any) -> Any:
    """Run the model without TransformerLens on a trace's tokens."""
    with torch.inference_mode():
        return model(torch.tensor([trace.meta.token_ids]), use_cache=False, **options)


# Every kind of model


def test_the_self_check_passes_at_every_stage(kind: str, traces: dict[str, Trace]) -> None:
    errors = traces[kind].meta.self_check
    assert traces[kind].meta.random_weights
    assert {"logits", "q", "k", "v", "pattern", "z", "out"} <= set(errors)
    # For OPT the library's hook of the scores holds the pattern, so there are no scores to compare.
    assert ("scores" in errors) == (kind != "opt")
    assert ("kv_latent" in errors) == kind.startswith("deepseek")
    assert max(errors.values()) < 1e-5


def test_next_tokens_are_the_unwrapped_models(
    kind: str, models: Models, traces: dict[str, Trace]
) -> None:
    trace = traces[kind]
    probabilities = torch.softmax(run_unwrapped(models[kind], trace).logits[0], dim=-1).numpy()
    stored = np.take_along_axis(probabilities, trace["top_ids"].astype(int), axis=-1)
    np.testing.assert_allclose(trace["top_probs"], stored, rtol=1e-4)
    np.testing.assert_allclose(stored, -np.sort(-probabilities, axis=-1)[:, :5], rtol=1e-4)
    # Byte tokens are spelled out; test_parts_of_characters_are_spelled_out tests that.
    assert [[BYTE_TOKENS.sub("\ufffd", word) for word in row] for row in trace.meta.top_tokens] == [
        [TOKENIZER.decode([token]) for token in row] for row in trace["top_ids"]
    ]


def test_generated_tokens_are_the_models_own_greedy_ones(
    kind: str, models: Models, traces: dict[str, Trace]
) -> None:
    meta = traces[kind].meta
    prompt = torch.tensor([meta.token_ids[: meta.n_prompt]])
    ids = models[kind].generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False
    )
    assert list(meta.token_ids) == ids[0].tolist()


def test_an_mla_trace_holds_what_the_model_would_cache(traces: dict[str, Trace]) -> None:
    trace = traces["deepseek-v3"]
    meta, layer = trace.meta, trace.meta.featured.layer
    latent, k_rot, rope = trace.get("kv_latent", layer), trace.get("k_rot", layer), meta.rotary_dim
    assert latent.shape == (len(meta.tokens), 12)
    # The rotated part is the same in every head; the rest comes from the latent.
    shared = np.repeat(trace.get("k_rope", layer)[:, None], meta.n_heads, axis=1)
    np.testing.assert_array_equal(k_rot[..., -rope:], shared)
    content = np.einsum("pr,rhd->phd", latent, trace.weights("W_UK", layer))
    np.testing.assert_allclose(k_rot[..., :-rope], content, atol=1e-5)
    values = np.einsum("pr,rhd->phd", latent, trace.weights("W_UV", layer))
    np.testing.assert_allclose(trace.get("v", layer), values, atol=1e-5)


def test_an_mla_model_may_have_a_query_latent(traces: dict[str, Trace]) -> None:
    names = {name: {key.split(".")[0] for key in traces[name].tensors} for name in traces}
    assert {"W_DQ", "g_Q", "W_UQ", "q_latent"} <= names["deepseek-v3"]
    assert "W_Q" not in names["deepseek-v3"]
    assert "W_Q" in names["deepseek-v3, plain queries"]


def test_rotation_changes_only_the_channels_that_rotate(traces: dict[str, Trace]) -> None:
    for name in ("gpt-neox", "deepseek-v3"):
        trace = traces[name]
        dim = trace.meta.rotary_dim
        q, q_rot = trace["q.0"], trace["q_rot.0"]
        unrotated = slice(dim, None) if name == "gpt-neox" else slice(None, -dim)
        rotated = slice(None, dim) if name == "gpt-neox" else slice(-dim, None)
        np.testing.assert_array_equal(q[..., unrotated], q_rot[..., unrotated])
        np.testing.assert_allclose(q[0], q_rot[0], atol=1e-6)
        assert np.abs(q[1:, :, rotated] - q_rot[1:, :, rotated]).max() > 0.1


# The caller's model


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_callers_model_is_not_changed(name: str) -> None:
    model = tiny_model(KINDS[name][0]).train()
    modules = [type(module) for module in model.modules()]
    implementation = model.config._attn_implementation
    before = {key: value.clone() for key, value in model.state_dict().items()}
    extract.trace(model, TOKENIZER, PROMPT)
    assert [type(module) for module in model.modules()] == modules
    assert model.training
    assert model.config._attn_implementation == implementation
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_dropout_is_off_while_tracing() -> None:
    model = tiny_model(KINDS["gpt2"][0]).train()
    first, second = (extract.trace(model, TOKENIZER, PROMPT) for _ in range(2))
    np.testing.assert_array_equal(first["out.1"], second["out.1"])


def test_a_trace_does_not_keep_the_model_in_memory(gpt2: Any) -> None:
    trace = extract.trace(gpt2, TOKENIZER, PROMPT)
    assert all(array.base is None or array.base.base is None for array in trace.tensors.values())
    assert sum(array.nbytes for array in trace.tensors.values()) < 2e6
    pointers = {parameter.data_ptr() for parameter in gpt2.parameters()}
    assert not pointers & {array.ctypes.data for array in trace.tensors.values()}


def test_other_precisions_are_refused() -> None:
    model = tiny_model(KINDS["gpt2"][0]).to(torch.bfloat16)
    with pytest.raises(ExtractError, match=r"holds torch\.bfloat16; load it in torch\.float32"):
        extract.trace(model, TOKENIZER, PROMPT)


# Tokens


def test_the_default_first_token_is_the_librarys(models: Models, tmp_path: Path) -> None:
    """TransformerLens prepends the token for GPT-2 and Llama, and not for GPT-NeoX."""
    from transformer_lens.model_bridge import TransformerBridge

    for name in ("gpt2", "llama", "gpt-neox"):
        models[name].save_pretrained(tmp_path / name)
        TOKENIZER.save_pretrained(tmp_path / name)
        bridge = TransformerBridge.boot_transformers(str(tmp_path / name))
        trace = extract.trace(models[name], TOKENIZER, PROMPT, generate=0)
        assert list(trace.meta.token_ids) == bridge.to_tokens(PROMPT)[0].tolist()
        assert trace.meta.has_bos == (name != "gpt-neox")


@pytest.mark.parametrize("bos", [True, False])
def test_the_first_token_is_a_choice_that_is_stored(gpt2: Any, bos: bool) -> None:
    trace = extract.trace(gpt2, TOKENIZER, PROMPT, bos=bos, generate=0)
    words = TOKENIZER(PROMPT)["input_ids"]
    assert trace.meta.has_bos is bos
    assert trace.meta.token_ids == tuple([TOKENIZER.bos_token_id] * bos + words)
    assert trace.meta.n_prompt == len(words) + bos
    assert "".join(trace.meta.tokens[bos:]) == PROMPT


def test_parts_of_characters_are_spelled_out(gpt2: Any) -> None:
    prompt = "é 🎉猫"
    trace = extract.trace(gpt2, TOKENIZER, prompt, bos=False, generate=0)
    assert "".join(trace.meta.tokens).count("<0x") == len(prompt.encode()) - 1, "each is a byte"
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(map("".join, trace.meta.top_tokens))
    data = b"".join(
        bytes.fromhex(token[3:-1]) if token.startswith("<0x") else token.encode()
        for token in trace.meta.tokens
    )
    assert data.decode() == prompt


def test_without_a_beginning_token_the_end_token_is_used(gpt2: Any) -> None:
    tokenizer = _WithSpecialTokens(bos_token_id=None)
    trace = extract.trace(gpt2, tokenizer, PROMPT, bos=True)
    assert trace.meta.token_ids[0] == TOKENIZER.eos_token_id
    with pytest.raises(ExtractError, match="no beginning-of-sequence token; add --bos no"):
        extract.trace(
            gpt2, _WithSpecialTokens(bos_token_id=None, eos_token_id=None), PROMPT, bos=True
        )


class _WithSpecialTokens:
    """The tiny tokenizer with other special tokens."""

    def __init__(self, **special: int | None) -> None:
        self.__dict__.update(special)

    def __getattr__(self, name: str) -> Any:
        return getattr(TOKENIZER, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return TOKENIZER(*args, **kwargs)


def test_an_end_of_text_token_stops_generation_and_is_not_stored(
    models: Models, traces: dict[str, Trace]
) -> None:
    meta = traces["llama"].meta
    generated = meta.token_ids[meta.n_prompt :]
    last = max(generated.index(token) for token in generated)
    assert (len(generated), last > 0) == (4, True)
    stopped = extract.trace(
        models["llama"], _WithSpecialTokens(eos_token_id=generated[last]), PROMPT
    )
    assert stopped.meta.token_ids[meta.n_prompt :] == generated[:last]


def test_given_words_follow_the_prompt_and_are_marked(gpt2: Any) -> None:
    trace = extract.trace(gpt2, TOKENIZER, PROMPT, continuation=" blue")
    assert trace.meta.continued
    assert "".join(trace.meta.tokens[trace.meta.has_bos :]) == f"{PROMPT} blue"
    assert "".join(trace.meta.tokens[trace.meta.n_prompt :]) == " blue"
    assert not extract.trace(gpt2, TOKENIZER, PROMPT).meta.continued


def test_given_words_that_join_the_last_word_are_refused(gpt2: Any) -> None:
    with pytest.raises(ExtractError, match="joins the prompt's last word"):
        extract.trace(gpt2, TOKENIZER, "The America", continuation="n flag")


def test_an_empty_prompt_is_refused(gpt2: Any) -> None:
    with pytest.raises(ExtractError, match="the prompt is empty"):
        extract.trace(gpt2, TOKENIZER, "")


@pytest.mark.parametrize(
    ("words", "generate", "message"),
    [
        (64, 0, "65 tokens are more than the model's 64 positions"),
        (63, 1, "there is room for 0 tokens after the 64 of the prompt, not for 1"),
    ],
)
def test_more_tokens_than_positions_are_refused(
    gpt2: Any, words: int, generate: int, message: str
) -> None:
    with pytest.raises(ExtractError, match=message):
        extract.trace(gpt2, TOKENIZER, "," * words, generate=generate)


def test_any_text_comes_back_from_its_tokens(gpt2: Any) -> None:
    prompt = " a\n\tb  c"
    trace = extract.trace(gpt2, TOKENIZER, prompt, generate=0, bos=False)
    assert "".join(trace.meta.tokens) == prompt


def test_one_word_shows_the_slopes_of_alibi(models: Models) -> None:
    trace = extract.trace(models["bloom"], TOKENIZER, ",", generate=0, bos=False)
    assert trace["pattern.0"].shape == (4, 1, 1)
    np.testing.assert_allclose(trace["alibi_slopes"], [0.25, 0.0625, 2**-6, 2**-8], rtol=1e-4)


def test_a_sentencepiece_keeps_its_space(gpt2: Any) -> None:
    class Pieces(_WithSpecialTokens):
        def convert_ids_to_tokens(self, token: int) -> str:
            return TOKENIZER.convert_ids_to_tokens(token).replace("Ġ", "\u2581")

        def decode(self, *args: Any, **kwargs: Any) -> str:
            return TOKENIZER.decode(*args, **kwargs).lstrip(" ")

    trace = extract.trace(gpt2, Pieces(), PROMPT, generate=0)
    assert "".join(trace.meta.tokens[1:]) == PROMPT


# Layers, heads, origin


def test_layers_and_head_that_are_asked_for(gpt2: Any) -> None:
    trace = extract.trace(gpt2, TOKENIZER, PROMPT, layers=(1, 0), head=3)
    assert trace.meta.featured == Featured(1, 3)
    assert trace.layers_with_weights() == (0, 1)
    assert trace.meta.featured_criterion == "layer and head given by the user"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (2,)}, "there is no layer 2; this model has 0 to 1"),
        ({"layers": (0, -1)}, "there is no layer -1"),
        ({"head": 4}, "there is no head 4; this model has 0 to 3"),
    ],
)
def test_layers_and_heads_that_do_not_exist(
    gpt2: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExtractError, match=message):
        extract.trace(gpt2, TOKENIZER, PROMPT, **options)


def test_name_and_source_of_a_model_in_memory(gpt2: Any) -> None:
    assert extract.trace(gpt2, TOKENIZER, PROMPT).meta.source == ModelSource(
        "memory", "GPT2LMHeadModel"
    )
    named = extract.trace(gpt2, TOKENIZER, PROMPT, name="mine")
    assert (named.meta.model, named.meta.source.name) == ("mine", "mine")


def test_progress_is_reported_from_start_to_end(gpt2: Any) -> None:
    calls: list[tuple[str, int, int]] = []
    extract.trace(gpt2, TOKENIZER, PROMPT, progress=lambda *call: calls.append(call))
    finished = [task for task, done, total in calls if done == total]
    assert finished == ["generating", "running", "checking"]
    assert all(0 <= done <= total for _, done, total in calls)


# Refusals


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_models_are_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedModelError) as refused:
        extract.trace(tiny_model(make), TOKENIZER, PROMPT)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_window_that_is_switched_off_is_no_window() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    window = {"sliding_window": 4, "use_sliding_window": False, "num_key_value_heads": 2}
    config = Qwen2Config(**SIZES | VOCABULARY | window)
    trace = extract.trace(tiny_model(lambda: Qwen2ForCausalLM(config)), TOKENIZER, PROMPT)
    assert trace.meta.positions == "rotary"


def test_a_projection_that_does_more_than_its_weights_is_refused() -> None:
    class Scaled(torch.nn.Linear):
        def forward(self, x: Any) -> Any:
            return 1.01 * super().forward(x)

    model = tiny_model(KINDS["llama"][0])
    model.model.layers[1].self_attn.k_proj.__class__ = Scaled
    with pytest.raises(ExtractError, match=r"truthfully: 'k', recomputed .* by 9\.9e-03 \(limit"):
        extract.trace(model, TOKENIZER, PROMPT)


def test_attention_that_the_library_does_not_know_is_refused() -> None:
    """The library recomputes the attention of known families, so its activations would differ."""
    from transformers.models.llama.modeling_llama import LlamaAttention

    class Scaled(LlamaAttention):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out, weights = super().forward(*args, **kwargs)
            return 1.1 * out, weights

    model = tiny_model(KINDS["llama"][0])
    model.model.layers[1].self_attn.__class__ = Scaled
    with pytest.raises(ExtractError, match="its logits are not its own"):
        extract.trace(model, TOKENIZER, PROMPT)
