"""Test the reference attention against torch and Hugging Face, and its forms against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.attention.arithmetic import (
    Array,
    Rotation,
    attend,
    causal_mask,
    merge_heads,
    pool_heads,
    project,
    softmax,
    total_variation,
)
from extract.attention.mla import (
    Decoupled,
    LatentLayer,
    absorb_into_output,
    absorb_into_query,
    mla_absorbed,
    mla_naive,
)
from tests.support.plain_attention import (
    AttentionWeights,
    LayerShape,
    decode_with_cache,
    multi_head,
    pool_kv_heads,
    rotary_angles,
)

EXACT = {"rtol": 1e-10, "atol": 1e-10}
# Hugging Face computes cosines and sines in float32 for every model dtype.
ROTARY = {"rtol": 1e-5, "atol": 1e-6}


@dataclass(frozen=True)
class Layer:
    """A random attention layer and an input for it."""

    x: Array
    weights: AttentionWeights
    scale: float
    rotation: Rotation | None


def random_layer(
    shape: LayerShape, n_tokens: int, *, biases: bool, rotated: bool, seed: int = 0
) -> Layer:
    rng = np.random.default_rng(seed)
    d_model, n_heads, n_kv_heads, d_qk, d_v = shape
    weights = AttentionWeights(
        W_Q=rng.normal(size=(d_model, n_heads, d_qk)),
        W_K=rng.normal(size=(d_model, n_kv_heads, d_qk)),
        W_V=rng.normal(size=(d_model, n_kv_heads, d_v)),
        W_O=rng.normal(size=(n_heads, d_v, d_model)),
    )
    if biases:
        weights = replace(
            weights,
            b_Q=rng.normal(size=(n_heads, d_qk)),
            b_K=rng.normal(size=(n_kv_heads, d_qk)),
            b_V=rng.normal(size=(n_kv_heads, d_v)),
            b_O=rng.normal(size=d_model),
        )
    rotary_dim = d_qk - d_qk % 2
    rotation = None
    if rotated and rotary_dim:
        rotation = Rotation.by_angles(rotary_angles(np.arange(n_tokens), rotary_dim, base=100.0))
    return Layer(rng.normal(size=(n_tokens, d_model)), weights, d_qk**-0.5, rotation)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Strategy for layers of all small shapes, including one token and one head."""
    n_kv_heads, group_size = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = LayerShape(
        d_model=draw(st.integers(1, 6)),
        n_heads=n_kv_heads * group_size,
        n_kv_heads=n_kv_heads,
        d_qk=draw(st.integers(1, 5)),
        d_v=draw(st.integers(1, 5)),
    )
    return random_layer(
        shape,
        n_tokens=draw(st.integers(1, 6)),
        biases=draw(st.booleans()),
        rotated=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


# --- One head -------------------------------------------------------------------------------------


def test_softmax_is_known_by_hand() -> None:
    np.testing.assert_allclose(softmax([0.0, np.log(3.0), -np.inf]), [0.25, 0.75, 0.0], **EXACT)


def test_softmax_of_huge_scores_does_not_overflow() -> None:
    np.testing.assert_allclose(softmax([1e4, 1e4]), [0.5, 0.5], **EXACT)


def test_queries_are_the_last_of_the_keys() -> None:
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]


def test_more_queries_than_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="3 queries cannot be the last of 2 positions"):
        causal_mask(3, 2)


def test_attention_is_known_by_hand() -> None:
    """Two tokens: the first has only its own key; the second scores its own key higher by log 3."""
    q = np.array([[[1.0]], [[np.log(3.0)]]])
    k = np.array([[[0.0]], [[1.0]]])
    v = np.array([[[10.0]], [[20.0]]])
    scores, pattern, z = attend(q, k, v, scale=1.0)
    np.testing.assert_allclose(scores, [[[0.0, 1.0], [0.0, np.log(3.0)]]], **EXACT)
    np.testing.assert_allclose(pattern, [[[1.0, 0.0], [0.25, 0.75]]], **EXACT)
    np.testing.assert_allclose(z[:, 0, 0], [10.0, 17.5], **EXACT)


def test_a_score_bias_is_added_after_scaling() -> None:
    q, k, v = np.ones((2, 1, 1)), np.ones((2, 1, 1)), np.ones((2, 1, 1))
    slopes = np.array([[[0.0, 0.0], [-np.log(3.0), 0.0]]])
    attended = attend(q, k, v, scale=0.5, score_bias=slopes)
    np.testing.assert_allclose(attended.pattern[0, 1], [0.25, 0.75], **EXACT)
    np.testing.assert_allclose(attended.scores[0, 1], [0.5 - np.log(3.0), 0.5], **EXACT)


def test_a_window_hides_keys_before_it() -> None:
    assert causal_mask(3, 5, window=2).astype(int).tolist() == [
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]
    ones = np.ones((4, 1, 2))
    pattern = attend(ones, ones, ones, 1.0, window=2).pattern[0]
    half = 0.5
    expected = [[1, 0, 0, 0], [half, half, 0, 0], [0, half, half, 0], [0, 0, half, half]]
    np.testing.assert_allclose(pattern, expected, **EXACT)


def test_a_cap_squeezes_the_scores_before_the_mask() -> None:
    queries = np.array([[[1.0]], [[100.0]]])
    result = attend(queries, np.ones((2, 1, 1)), np.ones((2, 1, 1)), 2.0, cap=5.0)
    np.testing.assert_allclose(result.scores[0], 5 * np.tanh([[0.4, 0.4], [40, 40]]), **EXACT)
    np.testing.assert_allclose(result.pattern[0], [[1, 0], [0.5, 0.5]], **EXACT)


def test_a_sink_takes_its_share_of_every_row() -> None:
    ones = np.ones((2, 2, 1))
    result = attend(ones, ones, ones, 1.0, sinks=[1.0, 1 + np.log(2)])
    np.testing.assert_allclose(result.pattern[0], [[1 / 2, 0], [1 / 3, 1 / 3]], **EXACT)
    np.testing.assert_allclose(result.pattern[1], [[1 / 3, 0], [1 / 4, 1 / 4]], **EXACT)
    np.testing.assert_allclose(result.z[:, 1, 0], [1 / 3, 1 / 2], **EXACT)


def test_heads_that_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match="3 query heads cannot share"):
        attend(np.ones((2, 3, 4)), np.ones((2, 2, 4)), np.ones((2, 2, 4)), scale=1.0)


@pytest.mark.parametrize(("n_heads", "n_kv_heads"), [(4, 4), (6, 2), (5, 1)])
def test_attention_is_torchs(n_heads: int, n_kv_heads: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    q = rng.normal(size=(7, n_heads, 8))
    k, v = rng.normal(size=(7, n_kv_heads, 8)), rng.normal(size=(7, n_kv_heads, 8))
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(a).transpose(0, 1)[None] for a in (q, k, v)),
        is_causal=True,
        scale=0.3,
        enable_gqa=True,
    )
    z = attend(q, k, v, scale=0.3).z
    np.testing.assert_allclose(z, expected[0].transpose(0, 1).numpy(), **EXACT)


def test_total_variation_is_known_by_hand() -> None:
    distance = total_variation([[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.25, 0.75]])
    np.testing.assert_allclose(distance, [1.0, 0.25], **EXACT)


# --- Rotation -------------------------------------------------------------------------------------


def test_a_quarter_turn_is_known_by_hand() -> None:
    x = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    angles = np.array([[np.pi / 2, 0.0]])
    half = Rotation.by_angles(angles, "half").apply(x)
    interleaved = Rotation.by_angles(angles, "interleaved").apply(x)
    np.testing.assert_allclose(half, [[[-3.0, 2.0, 1.0, 4.0, 5.0]]], **EXACT)
    np.testing.assert_allclose(interleaved, [[[-2.0, 1.0, 3.0, 4.0, 5.0]]], **EXACT)


@pytest.mark.parametrize("style", ["half", "interleaved"])
def test_rotated_scores_depend_on_the_distance_only(style: Any) -> None:
    rng = np.random.default_rng(2)
    q, k = rng.normal(size=(1, 2, 6)), rng.normal(size=(1, 2, 6))

    def score(query_position: int, key_position: int) -> Array:
        rotate_q = Rotation.by_angles(rotary_angles([query_position], 4), style)
        rotate_k = Rotation.by_angles(rotary_angles([key_position], 4), style)
        scores: Array = (rotate_q.apply(q) * rotate_k.apply(k)).sum(axis=-1)
        return scores

    np.testing.assert_allclose(score(9, 4), score(105, 100), **EXACT)
    assert np.abs(score(9, 4) - score(9, 5)).min() > 1e-3


@pytest.mark.parametrize("style", ["half", "interleaved"])
def test_a_step_further_is_the_rotation_of_the_next_position(style: Any) -> None:
    x = np.random.default_rng(3).normal(size=(6, 2, 8))
    rotation = Rotation.by_angles(rotary_angles(np.arange(6), 4), style)
    rotated = rotation.apply(x)
    for position in range(6):
        moved = rotation.further(x[position], position)
        np.testing.assert_allclose(moved, rotated[position], **EXACT)
    halfway = rotation.further(rotation.further(x, 0.5), 0.5)
    np.testing.assert_allclose(halfway, rotation.further(x, 1), **EXACT)


def test_angles_that_do_not_fit_are_refused() -> None:
    rotation = Rotation.by_angles(rotary_angles([0, 1], 4))
    with pytest.raises(ValueError, match="do not fit"):
        rotation.apply(np.ones((3, 1, 4)))
    with pytest.raises(ValueError, match="do not fit"):
        rotation.apply(np.ones((2, 1, 3)))


# --- Real layers ----------------------------------------------------------------------------------


def linear(module: Any, n_heads: int) -> tuple[Array, Array | None]:
    """Return weight (d_model, head, width) and bias (head, width) of a torch Linear."""
    weight = module.weight.detach().numpy().T
    weight = weight.reshape(weight.shape[0], n_heads, -1)
    bias = None if module.bias is None else module.bias.detach().numpy().reshape(n_heads, -1)
    return weight, bias


def test_multi_head_attention_is_gpt2s() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=12, n_head=3, attn_implementation="sdpa")
    module = GPT2Attention(config, layer_idx=0).double().eval()
    torch.nn.init.normal_(module.c_attn.bias)
    torch.nn.init.normal_(module.c_attn.weight)
    torch.nn.init.normal_(module.c_proj.bias)
    x = torch.randn(6, 12, dtype=torch.float64)
    with torch.no_grad():
        expected = module(x[None])[0][0].numpy()

    W_QKV = module.c_attn.weight.detach().numpy().reshape(12, 3, 3, 4)
    b_QKV = module.c_attn.bias.detach().numpy().reshape(3, 3, 4)
    weights = AttentionWeights(
        *(W_QKV[:, i] for i in range(3)),
        module.c_proj.weight.detach().numpy().reshape(3, 4, 12),
        *b_QKV,
        module.c_proj.bias.detach().numpy(),
    )
    np.testing.assert_allclose(multi_head(x.numpy(), weights, 4**-0.5).out, expected, **EXACT)


def test_grouped_rotary_attention_is_llamas() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=24,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        attention_bias=True,
        attn_implementation="sdpa",
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )
    module = LlamaAttention(config, layer_idx=0).double().eval()
    x = torch.randn(9, 24, dtype=torch.float64)
    with torch.no_grad():
        positions = LlamaRotaryEmbedding(config)(x[None], torch.arange(9)[None])
        expected = module(x[None], positions, None)[0][0].numpy()

    W_Q, b_Q = linear(module.q_proj, 6)
    W_K, b_K = linear(module.k_proj, 2)
    W_V, b_V = linear(module.v_proj, 2)
    W_O = module.o_proj.weight.detach().numpy().T.reshape(6, 8, 24)
    b_O = module.o_proj.bias.detach().numpy()
    weights = AttentionWeights(W_Q, W_K, W_V, W_O, b_Q, b_K, b_V, b_O)
    rotation = Rotation.by_angles(rotary_angles(np.arange(9), 8, base=500.0))
    actual = multi_head(x.numpy(), weights, 8**-0.5, rotation)
    np.testing.assert_allclose(actual.out, expected, **ROTARY)


def test_both_forms_of_mla_are_deepseeks() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

    torch.manual_seed(0)
    n_heads, d_content, d_rope, d_v, rank = 4, 6, 4, 5, 7
    config = transformers.DeepseekV3Config(
        hidden_size=24,
        num_attention_heads=n_heads,
        num_key_value_heads=n_heads,
        q_lora_rank=10,
        kv_lora_rank=rank,
        qk_nope_head_dim=d_content,
        qk_rope_head_dim=d_rope,
        v_head_dim=d_v,
        attn_implementation="sdpa",
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )
    module = deepseek.DeepseekV3Attention(config, layer_idx=0).double().eval()
    x = torch.randn(9, 24, dtype=torch.float64)
    with torch.no_grad():
        positions = deepseek.DeepseekV3RotaryEmbedding(config)(x[None], torch.arange(9)[None])
        expected = module(x[None], positions, None)[0][0].numpy()
        q = (
            module.q_b_proj(module.q_a_layernorm(module.q_a_proj(x)))
            .numpy()
            .reshape(9, n_heads, -1)
        )
        kv = module.kv_a_proj_with_mqa(x)
        kv_latent = module.kv_a_layernorm(kv[:, :rank]).numpy()
        k_rope = kv[:, None, rank:].numpy()  # (position, 1, d_rope)
        up = module.kv_b_proj.weight.numpy().T.reshape(rank, n_heads, d_content + d_v)
        W_O = module.o_proj.weight.numpy().T.reshape(n_heads, d_v, 24)

    rotation = Rotation.by_angles(rotary_angles(np.arange(9), d_rope, base=500.0), "interleaved")
    decoupled = Decoupled(rotation.apply(q[..., d_content:]), rotation.apply(k_rope)[:, 0])
    layer = LatentLayer(
        up[..., :d_content], up[..., d_content:], W_O, scale=(d_content + d_rope) ** -0.5
    )
    naive = mla_naive(q[..., :d_content], kv_latent, layer, decoupled)
    absorbed = mla_absorbed(q[..., :d_content], kv_latent, layer, decoupled)
    np.testing.assert_allclose(naive.out, expected, **ROTARY)
    np.testing.assert_allclose(absorbed.out, expected, **ROTARY)
    np.testing.assert_allclose(absorbed.out, naive.out, **EXACT)


# --- Fewer key and value heads --------------------------------------------------------------------


def test_pooling_averages_neighbours() -> None:
    heads = np.arange(8.0).reshape(4, 2)  # four heads: (0, 1), (2, 3), (4, 5), (6, 7)
    np.testing.assert_array_equal(pool_heads(heads, 2), [[1.0, 2.0], [5.0, 6.0]])


def test_uneven_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="4 heads cannot be pooled into 3"):
        pool_heads(np.ones((4, 2)), 3)


def test_as_many_groups_as_heads_change_nothing() -> None:
    layer = random_layer(LayerShape(8, 4, 4, 3, 3), 5, biases=True, rotated=False)
    pooled = pool_kv_heads(layer.weights, 4)
    before = multi_head(layer.x, layer.weights, layer.scale)
    np.testing.assert_array_equal(multi_head(layer.x, pooled, layer.scale).out, before.out)


@given(layers(), st.data())
def test_pooled_weights_make_the_pooled_keys_and_values(layer: Layer, data: st.DataObject) -> None:
    n_kv_heads = layer.weights.shape.n_kv_heads
    n_groups = data.draw(st.sampled_from([g for g in (1, 2, 3) if n_kv_heads % g == 0]))
    full = multi_head(layer.x, layer.weights, layer.scale, layer.rotation)
    grouped = multi_head(
        layer.x, pool_kv_heads(layer.weights, n_groups), layer.scale, layer.rotation
    )
    np.testing.assert_allclose(grouped.k, pool_heads(full.k, n_groups), **EXACT)
    np.testing.assert_allclose(grouped.v, pool_heads(full.v, n_groups), **EXACT)


def test_pooling_changes_the_patterns() -> None:
    layer = random_layer(LayerShape(8, 4, 4, 3, 3), 5, biases=True, rotated=True)
    full = multi_head(layer.x, layer.weights, layer.scale, layer.rotation)
    shared = multi_head(layer.x, pool_kv_heads(layer.weights, 1), layer.scale, layer.rotation)
    assert total_variation(shared.pattern, full.pattern).max() > 0.1


# --- Decoding with a cache ------------------------------------------------------------------------


@given(layers(), st.data())
def test_cached_decoding_equals_the_full_pass(layer: Layer, data: st.DataObject) -> None:
    n_tokens = len(layer.x)
    n_prompt = data.draw(st.integers(1, n_tokens))
    full = multi_head(layer.x, layer.weights, layer.scale, layer.rotation)
    steps = decode_with_cache(
        layer.x, layer.weights, layer.scale, n_prompt=n_prompt, rotation=layer.rotation
    )
    assert len(steps) == n_tokens - n_prompt + 1
    for name, whole in {"q": full.q, "k": full.k, "v": full.v, "z": full.z}.items():
        rows = np.concatenate([getattr(step, name) for step in steps])
        np.testing.assert_allclose(rows, whole, **EXACT)
    np.testing.assert_allclose(np.concatenate([step.out for step in steps]), full.out, **EXACT)
    start = 0
    for step in steps:
        stop = start + len(step.q)
        np.testing.assert_allclose(step.scores, full.scores[:, start:stop, :stop], **EXACT)
        np.testing.assert_allclose(step.pattern, full.pattern[:, start:stop, :stop], **EXACT)
        np.testing.assert_allclose(step.k_reused, full.k[:start], **EXACT)
        np.testing.assert_allclose(step.v_reused, full.v[:start], **EXACT)
        start = stop


# --- Multi-head latent attention ------------------------------------------------------------------


@st.composite
def latent_layers(draw: st.DrawFn) -> tuple[Layer, Array, LatentLayer, Decoupled | None]:
    """Strategy for layers with a latent, with or without a decoupled part."""
    layer = draw(layers())
    shape, n_tokens = layer.weights.shape, len(layer.x)
    rank, d_rope = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    latent_layer = LatentLayer(
        W_UK=rng.normal(size=(rank, shape.n_kv_heads, shape.d_qk)),
        W_UV=rng.normal(size=(rank, shape.n_kv_heads, shape.d_v)),
        W_O=layer.weights.W_O,
        scale=layer.scale,
        b_O=layer.weights.b_O,
    )
    decoupled = Decoupled(
        rng.normal(size=(n_tokens, shape.n_heads, d_rope)), rng.normal(size=(n_tokens, d_rope))
    )
    kv_latent = rng.normal(size=(n_tokens, rank))
    return layer, kv_latent, latent_layer, draw(st.sampled_from([None, decoupled]))


@given(latent_layers())
@settings(max_examples=200)
def test_naive_equals_absorbed(case: tuple[Layer, Array, LatentLayer, Decoupled | None]) -> None:
    layer, kv_latent, latent_layer, decoupled = case
    q = project(layer.x, layer.weights.W_Q, layer.weights.b_Q)
    naive = mla_naive(q, kv_latent, latent_layer, decoupled)
    absorbed = mla_absorbed(q, kv_latent, latent_layer, decoupled)
    np.testing.assert_allclose(absorbed.scores, naive.scores, **EXACT)
    np.testing.assert_allclose(absorbed.pattern, naive.pattern, **EXACT)
    np.testing.assert_allclose(absorbed.out, naive.out, **EXACT)


@given(latent_layers())
def test_the_query_weights_absorb_the_key_expansion(
    case: tuple[Layer, Array, LatentLayer, Decoupled | None],
) -> None:
    """One absorbed weight and one absorbed bias give the latent queries directly from the input."""
    layer, kv_latent, latent_layer, decoupled = case
    weights = layer.weights
    W_QK = absorb_into_query(weights.W_Q, latent_layer.W_UK)
    b_QK = None if weights.b_Q is None else absorb_into_query(weights.b_Q, latent_layer.W_UK)
    q = project(layer.x, weights.W_Q, weights.b_Q)
    q_latent = mla_absorbed(q, kv_latent, latent_layer, decoupled).q_latent
    np.testing.assert_allclose(project(layer.x, W_QK, b_QK), q_latent, **EXACT)


def test_the_output_weights_absorb_the_value_expansion() -> None:
    rng = np.random.default_rng(3)
    W_UV, W_O = rng.normal(size=(5, 2, 3)), rng.normal(size=(4, 3, 7))
    z_latent = rng.normal(size=(6, 4, 5))
    expanded = np.stack([z_latent[:, h] @ W_UV[:, h // 2] for h in range(4)], axis=1)
    folded = merge_heads(z_latent, absorb_into_output(W_UV, W_O))
    np.testing.assert_allclose(folded, merge_heads(expanded, W_O), **EXACT)


def test_the_absorbed_form_reads_the_latent_only() -> None:
    """In the absorbed form all heads share the keys and values: it is multi-query attention."""
    rng = np.random.default_rng(4)
    layer = LatentLayer(
        rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 3, 2)), rng.normal(size=(3, 2, 8)), 0.5
    )
    q, kv_latent = rng.normal(size=(6, 3, 4)), rng.normal(size=(6, 5))
    absorbed = mla_absorbed(q, kv_latent, layer)
    one_head = kv_latent[:, None, :]
    attended = attend(absorbed.q_latent, one_head, one_head, 0.5)
    np.testing.assert_allclose(absorbed.z_latent, attended.z, **EXACT)


def test_key_bias_is_ignored_and_value_bias_moves_to_the_output() -> None:
    layer = random_layer(LayerShape(8, 4, 2, 3, 5), 6, biases=True, rotated=False)
    weights = layer.weights
    assert weights.b_V is not None
    b_V_per_head = np.repeat(weights.b_V, 2, axis=0)
    without_biases = replace(
        weights,
        b_K=None,
        b_V=None,
        b_O=merge_heads(b_V_per_head[None], weights.W_O, weights.b_O)[0],
    )
    before, after = (multi_head(layer.x, w, layer.scale) for w in (weights, without_biases))
    np.testing.assert_allclose(after.pattern, before.pattern, **EXACT)
    np.testing.assert_allclose(after.out, before.out, **EXACT)
