"""The proof: every stage of attention recomputed from the stage before it, against the model's own.

numpy only, in float64.  An extraction that does not prove itself is not written.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from extract.attention import attend, causal_mask
from extract.errors import ExtractError

__all__ = ["TOLERANCE", "Layer", "largest", "prove", "relative_error", "require"]

TOLERANCE = 1e-4
"""The largest error, max|a - b| / max|b|, with which a trace is written."""

Array = npt.NDArray[np.floating]
Layer = Mapping[str, npt.NDArray[np.float32]]
"""One layer's arrays, by the names of `extract.trace` without the layer's number."""


def relative_error(found: Array, expected: Array) -> float:
    """Return max|found - expected| / max|expected|."""
    scale = float(np.abs(expected).max())
    error = float(np.abs(np.asarray(found, dtype=np.float64) - expected).max())
    return error / scale if scale else error


def prove(
    layer: Layer, weights: Layer, score_scale: float, norm_eps: float = 0.0
) -> dict[str, float]:
    """Recompute a layer stage by stage and return the error of each.

    Parameters
    ----------
    layer : mapping
        ``x, q, k, v, pattern, z, out`` and, where the model has them, ``q_rot, k_rot, kv_latent,
        k_rope``; the rotated ones come from `extract.attention.rotate` and are proved by the
        scores.  ``scores`` [n_heads, query_pos, key_pos], the model's own before the softmax, where
        it shows them.
        ``alibi_slopes`` [n_heads] where positions are linear biases.
    weights : mapping
        As in `extract.trace`.
    score_scale : float
    norm_eps : float
        Of the norms on the latents of an MLA layer.

    Returns
    -------
    dict
        Stage to error, max|a - b| / max|b|.
    """
    exact = {name: array.astype(np.float64) for name, array in layer.items()}
    errors = _projections(exact, weights, norm_eps)

    used_q, used_k = exact.get("q_rot", exact["q"]), exact.get("k_rot", exact["k"])
    bias: Array = np.zeros(())
    if "alibi_slopes" in exact:
        position = np.arange(len(used_q))
        distance = position[None, :] - position[:, None]
        bias = exact["alibi_slopes"][:, None, None] * distance
    scores, pattern, _ = attend(used_q, used_k, exact["v"], score_scale, bias)
    if "scores" in exact:
        seen = causal_mask(len(used_q), len(used_k))
        errors["scores"] = relative_error(scores[:, seen], exact["scores"][:, seen])
    errors["pattern"] = relative_error(pattern, exact["pattern"])
    v_of_head = np.repeat(exact["v"], used_q.shape[1] // used_k.shape[1], axis=1)
    z = np.einsum("hqk,khd->qhd", exact["pattern"], v_of_head)
    errors["z"] = relative_error(z, exact["z"])
    out = np.einsum("phd,hdm->pm", exact["z"], weights["W_O"]) + weights.get("b_O", 0)
    errors["out"] = relative_error(out, exact["out"])
    return errors


def _projections(exact: Mapping[str, Array], weights: Layer, norm_eps: float) -> dict[str, float]:
    """Recompute queries, keys and values from the layer's input."""
    x = exact["x"]
    errors = {}
    if "W_DQ" in weights:
        queries = _rms_norm(x @ weights["W_DQ"], weights["g_Q"], norm_eps)
        errors["q"] = relative_error(np.einsum("pr,rhd->phd", queries, weights["W_UQ"]), exact["q"])
    else:
        errors["q"] = relative_error(_project(x, weights, "Q"), exact["q"])
    if "W_DKV" not in weights:
        errors["k"] = relative_error(_project(x, weights, "K"), exact["k"])
        errors["v"] = relative_error(_project(x, weights, "V"), exact["v"])
        return errors
    latent = _rms_norm(x @ weights["W_DKV"], weights["g_KV"], norm_eps)
    errors["kv_latent"] = relative_error(latent, exact["kv_latent"])
    content = np.einsum("pr,rhd->phd", exact["kv_latent"], weights["W_UK"])
    shared = np.repeat((x @ weights["W_KR"])[:, None], content.shape[1], axis=1)
    errors["k"] = relative_error(np.concatenate([content, shared], axis=-1), exact["k"])
    values = np.einsum("pr,rhd->phd", exact["kv_latent"], weights["W_UV"])
    errors["v"] = relative_error(values, exact["v"])
    return errors


def _project(x: Array, weights: Layer, which: str) -> Array:
    """Return x W + b, [pos, head, d], for "Q", "K" or "V"."""
    projected: Array = np.einsum("pm,mhd->phd", x, weights[f"W_{which}"])
    return projected + weights.get(f"b_{which}", 0)


def _rms_norm(latent: Array, gain: Array, eps: float) -> Array:
    """Return the normalised latent, [pos, r]."""
    norm: Array = np.sqrt((latent**2).mean(axis=-1, keepdims=True) + eps)
    return latent / norm * gain


def largest(errors: list[dict[str, float]]) -> dict[str, float]:
    """Return the largest error of every stage over all layers."""
    stages = dict.fromkeys(stage for layer in errors for stage in layer)
    return {stage: max(layer[stage] for layer in errors if stage in layer) for stage in stages}


def require(errors: Mapping[str, float], model: str) -> None:
    """Refuse a trace that does not prove itself.

    Raises
    ------
    ExtractError
        Naming the first stage whose error is above `TOLERANCE`.
    """
    for stage, error in errors.items():
        if not error <= TOLERANCE:
            raise ExtractError(
                f"{model} cannot be traced truthfully: '{stage}', recomputed from the stage before "
                f"it, differs from the model's own by {error:.1e} (limit {TOLERANCE:.0e}), so its "
                "attention does something that this project does not know"
            )
