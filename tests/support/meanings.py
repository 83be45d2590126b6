"""What the names above panels mean: of which tensors or quantities each may stand.

So panels that are exchanged, or names, are found although all numbers are true.
"""

from __future__ import annotations

from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource

__all__ = ["MEANINGS", "misnamed"]

KEYS = {"k", "k_norm", "k_rot", "latent_keys", "shared_keys"}
VALUES = {"v", "latent_values", "shared_values"}

MEANINGS = {
    "input": {"x", "mla.x"},
    "queries": {"q", "q_norm", "q_rot", "rotated_on"},
    "keys": KEYS,
    "values": VALUES,
    "dot products": {"dot_products"},
    "scores": {"scores", "latent_scores", "sum_of_scores"},
    "scores of the latent": {"scores_of_latents"},
    "pattern": {
        "pattern",
        "shared_pattern",
        "latent_pattern",
    },
    "share": {"pattern"},
    "SmolLM2": {"pattern"},
    "made": {"pattern"},
    "GPT-2 small": {"pattern"},
    "head output": {"z"},
    "learned": {"W_V"},
    "latent": {"kv_latent", "latents", "mla.c"},
    "latents": {"kv_latent", "latents", "mla.c"},
    "rotated keys": {"k_rope", "mla.k_rot"},
    "rotated query": {"q_rot", "q", "converted_queries"},
    "query": {"q", "q_rot", "converted_queries"},
    "new query": {"latent_queries"},
    "weights": {"W_UK", "latent.W_UK", "mla.W_UK"},
    "attention": {"latent_pattern"},
    "mix of latents": {"mixed_latents"},
    "rebuilt keys": {"latent_keys"},
    "true keys": KEYS - {"latent_keys"} | {"own_keys"},
    "moved attention": {"shared_difference"},
    "mean of the sets": {"pattern", "side_pattern", "side_difference"},
    "best shared set": {"pattern", "side_pattern", "side_difference"},
    "one latent": {"pattern", "side_pattern", "side_difference"},
    "with keys": {"latent_output"},
    "without keys": {"latent_output"},
    "difference": {"difference_of_forms", "lost_keys"},
}
"""The tensors, without their layer, and the quantities of each name."""


def misnamed(cells: Heatmap) -> str:
    """Return what is wrong with the name of a heatmap, "" if it means what is shown."""
    if not cells.label:
        return ""
    meant = MEANINGS.get(cells.label)
    if meant is None:
        return f"the name {cells.label!r} is new: say in tests/support/meanings.py what it means"
    shown = _kind(cells.source)
    return "" if shown in meant else f"{shown} stands under the name {cells.label!r}"


def _kind(source: TensorSource) -> str:
    """Return a tensor's name without its layer, or a quantity."""
    if source.tensor is None:
        return source.quantity
    return ".".join(part for part in source.tensor.split(".") if not part.isdigit())
