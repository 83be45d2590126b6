"""Models whose attention does something that a trace cannot show truthfully, refused by name.

What is not listed here and is computed differently all the same is caught by the proof that every
extraction makes (`extract.proof`); these checks only give it a name before anything is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extract.errors import UnsupportedModelError

__all__ = ["refuse"]

_SLIDING_LAYERS = ("sliding_attention", "chunked_attention", "local", "local_attention")
_OTHER_LAYERS = ("linear_attention", "mamba", "recurrent", "conv", "compressed_sparse_attention")


def refuse(model: Any) -> None:
    """Refuse a model that cannot be traced truthfully.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Not wrapped by TransformerLens.

    Raises
    ------
    UnsupportedModelError
        One line that names everything that is unsupported.
    """
    found = list(dict.fromkeys((*_from_config(model.config), *_from_modules(model))))
    if found:
        name = type(model).__name__
        raise UnsupportedModelError(
            f"{name} cannot be traced truthfully: it has {', '.join(found)}"
        )


def _from_config(config: Any) -> Iterator[str]:
    """Name what the configuration says."""

    def of(*names: str) -> Any:
        return next((value for name in names if (value := getattr(config, name, None))), None)

    if of("is_encoder_decoder"):
        yield "an encoder (only decoders are traced)"
    kinds = set(of("layer_types") or ())
    # Families that keep a window in the configuration without using it say so in a switch.
    if kinds & set(_SLIDING_LAYERS) or (
        not kinds and of("sliding_window") and getattr(config, "use_sliding_window", True)
    ):
        yield "sliding-window attention"
    if kinds & set(_OTHER_LAYERS) or of("layers_block_type", "ssm_cfg"):
        yield "layers without softmax attention"
    if "local" in (of("attention_layers") or ()):
        yield "local (sliding-window) attention"
    if of("attn_logit_softcapping", "attn_logits_soft_cap"):
        yield "soft-capped scores"
    if of("clip_qkv"):
        yield "clipped queries, keys and values"
    if of("scale_attn_by_inverse_layer_idx"):
        yield "scores scaled by the layer's number"
    if of("index_topk"):
        yield "sparse attention through an indexer"
    rotates = of("no_rope_layers")
    if rotates and len({bool(value) for value in rotates}) > 1:
        yield "layers without rotation among rotated ones"


_MODULES = {
    "normalised queries and keys": (
        "q_norm",
        "k_norm",
        "q_layernorm",
        "k_layernorm",
        "query_layernorm",
        "key_layernorm",
        "qk_norm",
    ),
    "attention sinks in the softmax": ("sinks", "sink", "attention_sinks"),
    "a gate on the output of attention": ("gate_proj", "g_proj", "attn_gate"),
    "a learned bias on the scores": ("relative_attention_bias",),
}


def _from_modules(model: Any) -> Iterator[str]:
    """Name what the attention modules hold."""
    for path, module in model.named_modules():
        if not type(module).__name__.lower().endswith("attention"):
            continue
        held = {
            name for name, _ in (*module.named_children(), *module.named_parameters(recurse=False))
        }
        for name, members in _MODULES.items():
            if held & set(members):
                yield name
        if "cross" in path.rsplit(".", 1)[-1].lower():
            yield "cross-attention"
