"""Refuse models whose attention does something that a trace cannot show truthfully.

These checks name the unsupported feature before anything is run.  A feature that is missing here
is still caught by the self-check that every extraction makes (`extract.attention.self_check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from extract.errors import UnsupportedModelError

__all__ = ["QK_NORMS", "has_hidden_steps", "refuse_unsupported"]

QK_NORMS = (
    ("q_norm", "k_norm"),
    ("q_layernorm", "k_layernorm"),
    ("query_layernorm", "key_layernorm"),
)
"""Names of the norms of queries and of keys in an attention module."""

_OTHER_LAYERS = ("linear_attention", "mamba", "recurrent", "conv", "compressed_sparse_attention")


def refuse_unsupported(model: Any) -> None:
    """Refuse a model that cannot be traced truthfully.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model as loaded, not wrapped by TransformerLens.

    Raises
    ------
    UnsupportedModelError
        One line that names every unsupported feature.
    """
    unsupported = list(dict.fromkeys((*_from_config(model.config), *_from_modules(model))))
    if unsupported:
        raise UnsupportedModelError(f"it has {', '.join(unsupported)}")


def has_hidden_steps(model: Any) -> bool:
    """Return whether a model's attention has steps that TransformerLens does not show.

    These are a norm of queries and keys, a sliding window, a cap of the scores, sinks in the
    softmax, and a latent, which the library names otherwise than the model.
    """
    config = model.config.get_text_config()
    if any(
        getattr(config, name, None)
        for name in ("sliding_window", "attn_logit_softcapping", "attn_logits_soft_cap")
    ):
        return True
    return any(
        getattr(module, name, None) is not None
        for _, module in _attention_modules(model)
        for name in (*chain(*QK_NORMS), "sinks", "kv_a_layernorm")
    )


def _attention_modules(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attention modules of a model with their paths."""
    for path, module in model.named_modules():
        if type(module).__name__.lower().endswith("attention"):
            yield path, module


def _from_config(config: Any) -> Iterator[str]:
    """Yield the unsupported features that the configuration declares."""

    def setting(*names: str) -> Any:
        """Return the first of these settings that is set."""
        return next((value for name in names if (value := getattr(config, name, None))), None)

    if setting("is_encoder_decoder"):
        yield "an encoder (only decoders are traced)"
    layer_types = set(setting("layer_types") or ())
    if layer_types & set(_OTHER_LAYERS) or setting("layers_block_type", "ssm_cfg"):
        yield "layers without softmax attention"
    if setting("clip_qkv"):
        yield "clipped queries, keys and values"
    if setting("scale_attn_by_inverse_layer_idx"):
        yield "scores scaled by the layer's number"
    if setting("index_topk"):
        yield "sparse attention through an indexer"
    rotates = setting("no_rope_layers")  # one flag per layer: 1 where the layer does rotate
    if rotates and len({bool(flag) for flag in rotates}) > 1:
        yield "layers without rotation among rotated ones"


_SUBMODULES = {
    "one norm for queries and keys after their rotation": ("qk_norm",),
    "attention sinks in the softmax that are not read": ("sink", "attention_sinks"),
    "a gate on the output of attention": ("gate_proj", "g_proj", "attn_gate"),
    "a learned bias on the scores": ("relative_attention_bias",),
}


def _from_modules(model: Any) -> Iterator[str]:
    """Yield the unsupported features that the attention modules contain."""
    for path, module in _attention_modules(model):
        members = {
            name for name, _ in (*module.named_children(), *module.named_parameters(recurse=False))
        }
        for feature, names in _SUBMODULES.items():
            if members & set(names):
                yield feature
        if "cross" in path.rsplit(".", 1)[-1].lower():
            yield "cross-attention"
