"""Tiny models with random weights, one of each supported and unsupported kind, and a tokenizer.

Import only after ``pytest.importorskip("torch")``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

PROMPT = "The American flag is red, white, and"
BOS, EOS = "<|begin|>", "<|end|>"
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}


def tiny_tokenizer() -> Any:
    """Return a byte-level tokenizer that knows the words of the default prompt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"{PROMPT} blue"] * 2, trainer)
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS)


TOKENIZER = tiny_tokenizer()
VOCABULARY = {
    "vocab_size": len(TOKENIZER),
    "bos_token_id": TOKENIZER.bos_token_id,
    "eos_token_id": TOKENIZER.eos_token_id,
}
GPT_SIZES = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64} | VOCABULARY
MLA_SIZES: dict[str, Any] = {
    "moe_intermediate_size": 16,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "kv_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 6,
}


def _gpt2(**changes: Any) -> Any:
    return hf.GPT2LMHeadModel(hf.GPT2Config(**GPT_SIZES | changes))


def _llama(**changes: Any) -> Any:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**SIZES | VOCABULARY | changes))


def _falcon(**changes: Any) -> Any:
    sizes = {"multi_query": True, "new_decoder_architecture": False} | changes
    return hf.FalconForCausalLM(hf.FalconConfig(**SIZES | VOCABULARY | sizes))


def _deepseek(**changes: Any) -> Any:
    sizes = SIZES | VOCABULARY | MLA_SIZES | changes
    return hf.DeepseekV3ForCausalLM(hf.DeepseekV3Config(**sizes))


def _neox() -> Any:
    # Heads of 16 channels, of which a quarter rotates.
    sizes = SIZES | VOCABULARY | {"hidden_size": 64, "rotary_pct": 0.25}
    return hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**sizes))


def _bigcode() -> Any:
    return hf.GPTBigCodeForCausalLM(hf.GPTBigCodeConfig(**GPT_SIZES | {"multi_query": True}))


def _opt() -> Any:
    sizes = SIZES | VOCABULARY | {"ffn_dim": 48, "word_embed_proj_dim": 32}
    return hf.OPTForCausalLM(hf.OPTConfig(**sizes, max_position_embeddings=64))


def _cohere() -> Any:
    return hf.CohereForCausalLM(hf.CohereConfig(**SIZES | VOCABULARY))


def _bloom() -> Any:
    return hf.BloomForCausalLM(hf.BloomConfig(hidden_size=32, n_layer=2, n_head=4, **VOCABULARY))


def _kind(attention: str, positions: str, *rotation: Any) -> tuple[Any, ...]:
    return (attention, positions, *(rotation or (0, "")))


KINDS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "gpt2": (_gpt2, _kind("mha", "learned")),
    "gpt-neox": (_neox, _kind("mha", "rotary", 4, "half")),
    "llama": (_llama, _kind("mha", "rotary", 8, "half")),
    "llama grouped": (
        lambda: _llama(num_key_value_heads=2, head_dim=16, attention_bias=True),
        _kind("gqa", "rotary", 16, "half"),
    ),
    "falcon": (_falcon, _kind("mqa", "rotary", 8, "half")),
    "gpt-bigcode": (_bigcode, _kind("mqa", "learned")),
    "deepseek-v3": (
        lambda: _deepseek(q_lora_rank=16),
        _kind("mla", "rotary", 4, "interleaved"),
    ),
    "deepseek-v3, plain queries": (
        lambda: _deepseek(q_lora_rank=None, rope_interleave=False),
        _kind("mla", "rotary", 4, "half"),
    ),
    "opt": (_opt, _kind("mha", "learned")),
    "cohere": (_cohere, _kind("mha", "rotary", 8, "interleaved")),
    "bloom": (_bloom, _kind("mha", "alibi")),
}
"""For each name: a function that makes the model, and its attention, positions, rotary_dim and
rotary_style."""


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "olmo": (
        lambda: hf.OlmoForCausalLM(hf.OlmoConfig(**SIZES | VOCABULARY, clip_qkv=1.0)),
        "clipped queries, keys and values",
    ),
    "smollm3": (
        lambda: hf.SmolLM3ForCausalLM(
            hf.SmolLM3Config(**SIZES | VOCABULARY | {"no_rope_layers": [1, 0]}, pad_token_id=0)
        ),
        "layers without rotation among rotated ones",
    ),
    "gpt2, scaled by layer": (
        lambda: _gpt2(scale_attn_by_inverse_layer_idx=True),
        "scores scaled by the layer's number",
    ),
    "t5": (
        lambda: hf.T5ForConditionalGeneration(
            hf.T5Config(vocab_size=300, d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=4)
        ),
        "an encoder (only decoders are traced)",
    ),
    "mamba": (
        lambda: hf.MambaForCausalLM(hf.MambaConfig(**SIZES | VOCABULARY, state_size=4)),
        "MambaForCausalLM cannot be traced",
    ),
    "deepseek-v3 with biases": (
        lambda: _deepseek(q_lora_rank=16, attention_bias=True),
        "MLA with biases",
    ),
}
"""For each name: a function that makes the model, and a part of the error message."""


def tiny_model(make: Callable[[], Any]) -> Any:
    """Return a model with reproducible random weights that are large enough for varied patterns."""
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
            else:
                # In a new model biases are 0 and norms are 1, so a missing one would not show.
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def tiny_gguf(
    path: Path,
    *,
    claims: int = 2,
    without: str = "",
    extra: str = "",
    prefix: str = "",
) -> Path:
    """Write a Llama with random weights and 2 layers as a ``.gguf`` file, and return its path.

    Parameters
    ----------
    path : Path
    claims : int
        Number of layers that its configuration tells of.
    without, extra : str
        Name of a weight to leave out, and of one to add.
    prefix : str
        Put before the names of all weights.
    """
    import gguf

    width, n_vocabulary, inner = 32, len(TOKENIZER), 48
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(claims)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(n_vocabulary)
    writer.add_tokenizer_model("gpt2")
    vocabulary = sorted(TOKENIZER.get_vocab().items(), key=lambda item: item[1])
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([1] * n_vocabulary)
    merges = json.loads(TOKENIZER.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(TOKENIZER.bos_token_id)
    writer.add_eos_token_id(TOKENIZER.eos_token_id)
    shapes = {"token_embd": (n_vocabulary, width), "output_norm": (width,)}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (width, width)),
                **dict.fromkeys(("ffn_gate", "ffn_up"), (inner, width)),
                "ffn_down": (width, inner),
                **dict.fromkeys(("attn_norm", "ffn_norm"), (width,)),
            }.items()
        }
    random = np.random.default_rng(0)
    names = {f"{prefix}{name}.weight": shape for name, shape in shapes.items()}
    for name, shape in {**names, **({extra: (4,)} if extra else {})}.items():
        if name != without:
            writer.add_tensor(name, random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
