"""Tiny models with random weights of families whose attention has steps that few models have.

Import only after ``pytest.importorskip("torch")``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import transformers as hf

from extract.attention.head_norm import HeadNorm
from tests.support.extract_models import GPT_SIZES, MLA_SIZES, SIZES, VOCABULARY

__all__ = ["FAMILIES", "UNTRACED", "Family"]

PLAIN = SIZES | VOCABULARY | {"num_key_value_heads": 4}
GROUPED = PLAIN | {"num_key_value_heads": 2}
ALTERNATING = {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}
RMS = HeadNorm("rms", "head", 1e-6)
MLA = {
    name: MLA_SIZES[name]
    for name in ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
}


@dataclass(frozen=True)
class Family:
    """A tiny model and what a trace says of its attention.

    Attributes
    ----------
    make : callable
        Returns the model.
    attention, positions : str
    rotary_dim : int
    rotary_style : str
    qk_norm : HeadNorm, optional
    windows : tuple of int
    score_cap : float
    sinks : bool
    """

    make: Callable[[], Any]
    attention: str
    positions: str
    rotary_dim: int = 0
    rotary_style: str = ""
    qk_norm: HeadNorm | None = None
    windows: tuple[int, ...] = ()
    score_cap: float = 0.0
    sinks: bool = False


def _deepseek_v2(**changes: Any) -> Any:
    sizes = SIZES | VOCABULARY | MLA_SIZES | {"first_k_dense_replace": 1, "topk_method": "greedy"}
    return hf.DeepseekV2ForCausalLM(hf.DeepseekV2Config(**sizes | changes))


def _deepseek_v2_yarn() -> Any:
    """Return a DeepSeek-V2 whose rotation was stretched to longer texts, as the published one's."""
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 40.0,
        "original_max_position_embeddings": 64,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 0.707,
        "mscale_all_dim": 0.707,
    }
    return _deepseek_v2(q_lora_rank=None, rope_parameters=yarn, max_position_embeddings=2560)


def _gpt_neo() -> Any:
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 4}
    local = {"attention_types": [[["global", "local"], 1]]}
    return hf.GPTNeoForCausalLM(hf.GPTNeoConfig(**VOCABULARY, **sizes, **local))


def _neox_whole_heads() -> Any:
    config = hf.GPTNeoXConfig(**SIZES | VOCABULARY, rotary_pct=1.0, use_parallel_residual=False)
    return hf.GPTNeoXForCausalLM(config)


FAMILIES: dict[str, Family] = {
    "deepseek-v2": Family(lambda: _deepseek_v2(q_lora_rank=16), "mla", "rotary", 4, "interleaved"),
    "deepseek-v2-lite": Family(_deepseek_v2_yarn, "mla", "rotary", 4, "interleaved"),
    "minicpm3": Family(
        lambda: hf.MiniCPM3ForCausalLM(hf.MiniCPM3Config(**PLAIN, **MLA, q_lora_rank=16)),
        *("mla", "rotary", 4, "half"),
    ),
    "glm4-moe-lite": Family(
        lambda: hf.Glm4MoeLiteForCausalLM(
            hf.Glm4MoeLiteConfig(**PLAIN | MLA_SIZES, q_lora_rank=16)
        ),
        *("mla", "rotary", 4, "interleaved"),
    ),
    "qwen3": Family(
        lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**GROUPED, head_dim=16)),
        *("gqa", "rotary", 16, "half", RMS),
    ),
    "qwen3-moe": Family(
        lambda: hf.Qwen3MoeForCausalLM(
            hf.Qwen3MoeConfig(
                **GROUPED,
                head_dim=8,
                moe_intermediate_size=16,
                num_experts=4,
                num_experts_per_tok=2,
            )
        ),
        *("gqa", "rotary", 8, "half", RMS),
    ),
    "olmo2": Family(
        lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**GROUPED)),
        *("gqa", "rotary", 8, "half", HeadNorm("rms", "token", 1e-5)),
    ),
    "olmo3": Family(
        lambda: hf.Olmo3ForCausalLM(hf.Olmo3Config(**PLAIN, **ALTERNATING)),
        *("mha", "rotary", 8, "half", HeadNorm("rms", "token", 1e-5), (5, 0)),
    ),
    "olmoe": Family(
        lambda: hf.OlmoeForCausalLM(hf.OlmoeConfig(**PLAIN, num_experts=4, num_experts_per_tok=2)),
        *("mha", "rotary", 8, "half", HeadNorm("rms", "token", 1e-5)),
    ),
    "gemma3": Family(
        lambda: hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**GROUPED, **ALTERNATING, head_dim=8)),
        *("gqa", "rotary", 8, "half", RMS, (5, 0)),
    ),
    "gemma3, one key head": Family(
        lambda: hf.Gemma3ForCausalLM(
            hf.Gemma3TextConfig(**PLAIN | {"num_key_value_heads": 1}, head_dim=8)
        ),
        *("mqa", "rotary", 8, "half", RMS),
    ),
    "apertus": Family(
        lambda: hf.ApertusForCausalLM(hf.ApertusConfig(**GROUPED)),
        *("gqa", "rotary", 8, "half", HeadNorm("rms", "head", 1e-5)),
    ),
    "cohere, normalised": Family(
        lambda: hf.CohereForCausalLM(hf.CohereConfig(**PLAIN, use_qk_norm=True)),
        *("mha", "rotary", 8, "interleaved", HeadNorm("layer", "head", 1e-5)),
    ),
    "phi, normalised": Family(
        lambda: hf.PhiForCausalLM(
            hf.PhiConfig(**PLAIN, partial_rotary_factor=0.5, qk_layernorm=True)
        ),
        *("mha", "rotary", 4, "half", HeadNorm("layer", "head", 1e-5)),
    ),
    "gemma2": Family(
        lambda: hf.Gemma2ForCausalLM(
            hf.Gemma2Config(**GROUPED, head_dim=8, sliding_window=4, attn_logit_softcapping=0.5)
        ),
        *("gqa", "rotary", 8, "half", None, (4, 0), 0.5),
    ),
    "gemma2, long window": Family(
        lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**GROUPED, head_dim=8)),
        *("gqa", "rotary", 8, "half", None, (), 50.0),
    ),
    "mistral": Family(
        lambda: hf.MistralForCausalLM(hf.MistralConfig(**GROUPED, sliding_window=4)),
        *("gqa", "rotary", 8, "half", None, (4, 4)),
    ),
    "mistral, long window": Family(
        lambda: hf.MistralForCausalLM(hf.MistralConfig(**GROUPED)), "gqa", "rotary", 8, "half"
    ),
    "mixtral": Family(
        lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**GROUPED, num_local_experts=4)),
        *("gqa", "rotary", 8, "half"),
    ),
    "phi3": Family(
        lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**GROUPED, sliding_window=6, pad_token_id=0)),
        *("gqa", "rotary", 8, "half", None, (6, 6)),
    ),
    "starcoder2": Family(
        lambda: hf.Starcoder2ForCausalLM(hf.Starcoder2Config(**GROUPED, sliding_window=5)),
        *("gqa", "rotary", 8, "half", None, (5, 5)),
    ),
    "gpt-oss": Family(
        lambda: hf.GptOssForCausalLM(
            hf.GptOssConfig(
                **GROUPED,
                **ALTERNATING,
                head_dim=8,
                num_local_experts=2,
                num_experts_per_tok=1,
            )
        ),
        *("gqa", "rotary", 8, "half", None, (5, 0), 0.0, True),
    ),
    "gpt-neo": Family(_gpt_neo, "mha", "learned", windows=(0, 4)),
    "gpt-j": Family(
        lambda: hf.GPTJForCausalLM(hf.GPTJConfig(**GPT_SIZES, rotary_dim=4)),
        *("mha", "rotary", 4, "interleaved"),
    ),
    "gpt-neox, whole heads": Family(_neox_whole_heads, "mha", "rotary", 8, "half"),
    "qwen2": Family(
        lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**GROUPED)), "gqa", "rotary", 8, "half"
    ),
    "glm4": Family(
        lambda: hf.Glm4ForCausalLM(hf.Glm4Config(**GROUPED, head_dim=8, pad_token_id=0)),
        *("gqa", "rotary", 4, "interleaved"),
    ),
    "granite": Family(
        lambda: hf.GraniteForCausalLM(hf.GraniteConfig(**GROUPED)), "gqa", "rotary", 8, "half"
    ),
    "stablelm": Family(
        lambda: hf.StableLmForCausalLM(hf.StableLmConfig(**PLAIN)), "mha", "rotary", 2, "half"
    ),
    "helium": Family(
        lambda: hf.HeliumForCausalLM(hf.HeliumConfig(**GROUPED, head_dim=8)),
        *("gqa", "rotary", 8, "interleaved"),
    ),
    "nemotron": Family(
        lambda: hf.NemotronForCausalLM(hf.NemotronConfig(**PLAIN)), "mha", "rotary", 4, "half"
    ),
    "mpt": Family(
        lambda: hf.MptForCausalLM(
            hf.MptConfig(d_model=32, n_layers=2, n_heads=4, vocab_size=VOCABULARY["vocab_size"])
        ),
        *("mha", "alibi"),
    ),
}
"""Models that are traced, by name."""


UNTRACED: dict[str, tuple[Callable[[], Any], str]] = {
    "llama4": (
        lambda: hf.Llama4ForCausalLM(
            hf.Llama4TextConfig(
                **GROUPED,
                head_dim=8,
                pad_token_id=0,
                num_local_experts=2,
                intermediate_size_mlp=48,
            )
        ),
        "one norm for queries and keys after their rotation",
    ),
    "hunyuan": (
        lambda: hf.HunYuanDenseV1ForCausalLM(hf.HunYuanDenseV1Config(**GROUPED, head_dim=8)),
        "does not normalise queries and keys between their projection and their rotation",
    ),
    "exaone4": (
        lambda: hf.Exaone4ForCausalLM(hf.Exaone4Config(**GROUPED, **ALTERNATING)),
        "layers without rotation among rotated ones",
    ),
    "mimo-v2": (
        lambda: hf.MiMoV2FlashForCausalLM(
            hf.MiMoV2FlashConfig(**GROUPED, head_dim=8, v_head_dim=6)
        ),
        "only some layers have sinks",
    ),
    "codegen": (
        lambda: hf.CodeGenForCausalLM(hf.CodeGenConfig(**GPT_SIZES, rotary_dim=4, n_ctx=64)),
        "does not show how it rotates queries and keys",
    ),
    "persimmon": (
        lambda: hf.PersimmonForCausalLM(hf.PersimmonConfig(**PLAIN)),
        "does not show its queries and keys before their rotation",
    ),
}
"""For each name: a function that makes the model, and a part of the error message."""
