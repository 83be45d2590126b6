"""Self-check of an extraction: recompute every stage of attention and compare it with the model's.

Each stage is recomputed from the stage before it, with numpy in float64.  A trace whose errors are
too large is not written; `extract.trace.proof.prove` repeats the check with what a trace holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import attend, causal_mask, merge_heads, project
from extract.attention.head_norm import HeadNorm
from extract.errors import ExtractError

__all__ = [
    "TOLERANCE",
    "LayerArrays",
    "largest_errors",
    "relative_error",
    "require_small_errors",
    "stage_errors",
]

TOLERANCE = 1e-4
"""Largest error of a stage, max|a - b| / max|b|, with which a trace is written and read."""

Array = npt.NDArray[np.floating]
LayerArrays = Mapping[str, npt.NDArray[np.float32]]
"""Arrays of one layer by their names in `extract.trace`, without the layer number."""


def relative_error(actual: Array, expected: Array) -> float:
    """Return max|actual - expected| / max|expected|."""
    scale = float(np.abs(expected).max())
    error = float(np.abs(np.asarray(actual, dtype=np.float64) - expected).max())
    return error / scale if scale else error


def stage_errors(
    layer: LayerArrays,
    weights: LayerArrays,
    score_scale: float,
    norm_eps: float = 0.0,
    *,
    qk_norm: HeadNorm | None = None,
    window: int = 0,
    cap: float = 0.0,
) -> dict[str, float]:
    """Recompute a layer stage by stage and return the error of each.

    A stage is left out if an array that it needs is not given, such as a weight.

    Parameters
    ----------
    layer : mapping
        ``x, q, k, v, pattern, z, out`` and, where the model has them, ``q_norm, k_norm, q_rot,
        k_rot, q_latent, kv_latent, k_rope``.  ``q_rot`` and ``k_rot`` come from
        `extract.attention.Rotation` and are checked through the scores.  ``scores`` [n_heads,
        query_pos, key_pos]: the model's own scores before the softmax, where they are shown.
        ``alibi_slopes`` [n_heads] for an "alibi" model, ``sinks`` [n_heads] for one with sinks.
    weights : mapping
        The layer's weights and biases.
    score_scale : float
    norm_eps : float
        Epsilon of the RMS norms on the latents of an MLA layer.
    qk_norm : HeadNorm, optional
        Norm of queries and keys after their projection, with ``g_q_norm`` and ``g_k_norm`` among
        the weights.
    window : int
        Number of keys that a query attends to at most; 0 for all.
    cap : float
        The scaled scores are squeezed between -cap and cap; 0 if they are not.

    Returns
    -------
    dict
        Error of each stage by name, max|a - b| / max|b|, in the order of computation.
    """
    exact = {name: array.astype(np.float64) for name, array in layer.items()}
    errors = _projection_errors(exact, weights, norm_eps)
    if qk_norm is not None:
        errors |= _norm_errors(exact, weights, qk_norm)
    q_used, k_used = (
        next((exact[name] for name in names if name in exact), None)
        for names in (("q_rot", "q_norm", "q"), ("k_rot", "k_norm", "k"))
    )
    pattern, v = exact.get("pattern"), exact.get("v")
    if q_used is not None and k_used is not None:
        bias: Array = np.zeros(())
        if "alibi_slopes" in exact:
            position = np.arange(len(q_used))
            distance = position[None, :] - position[:, None]
            bias = exact["alibi_slopes"][:, None, None] * distance
        # The values do not matter here: z has a stage of its own.
        scores, own_pattern, _ = attend(
            q_used,
            k_used,
            k_used,
            score_scale,
            bias,
            window=window,
            cap=cap,
            sinks=exact.get("sinks"),
        )
        if "scores" in exact:
            allowed = causal_mask(len(q_used), len(k_used), window)
            errors["scores"] = relative_error(scores[:, allowed], exact["scores"][:, allowed])
        if pattern is not None:
            errors["pattern"] = relative_error(own_pattern, pattern)
    if pattern is not None and v is not None and "z" in exact:
        v_per_head = np.repeat(v, len(pattern) // v.shape[1], axis=1)
        z = (pattern @ v_per_head.swapaxes(0, 1)).swapaxes(0, 1)
        errors["z"] = relative_error(z, exact["z"])
    if {"z", "out"} <= exact.keys() and "W_O" in weights:
        out = merge_heads(exact["z"], weights["W_O"], weights.get("b_O"))
        errors["out"] = relative_error(out, exact["out"])
    return errors


def _projection_errors(
    exact: Mapping[str, Array], weights: LayerArrays, norm_eps: float
) -> dict[str, float]:
    """Recompute queries, keys and values from the layer's input; return their errors."""
    x = exact.get("x")
    if x is None:
        return {}
    stages: dict[str, Array] = {}
    if "W_DQ" in weights:
        queries = _rms_norm(x @ weights["W_DQ"], weights["g_Q"], norm_eps)
        stages["q_latent"] = queries
        stages["q"] = project(exact.get("q_latent", queries), weights["W_UQ"])
    elif "W_Q" in weights:
        stages["q"] = project(x, weights["W_Q"], weights.get("b_Q"))
    if "W_DKV" in weights:
        stages["kv_latent"] = _rms_norm(x @ weights["W_DKV"], weights["g_KV"], norm_eps)
        content = project(exact["kv_latent"], weights["W_UK"])
        shared = np.repeat((x @ weights["W_KR"])[:, None], content.shape[1], axis=1)
        stages["k"] = np.concatenate([content, shared], axis=-1)
        stages["v"] = project(exact["kv_latent"], weights["W_UV"])
    else:
        for name in ("k", "v"):
            if f"W_{name.upper()}" in weights:
                bias = weights.get(f"b_{name.upper()}")
                stages[name] = project(x, weights[f"W_{name.upper()}"], bias)
    return {
        name: relative_error(stage, exact[name]) for name, stage in stages.items() if name in exact
    }


def _norm_errors(
    exact: Mapping[str, Array], weights: LayerArrays, norm: HeadNorm
) -> dict[str, float]:
    """Normalise queries and keys again; return the errors."""
    return {
        f"{name}_norm": relative_error(
            norm.apply(exact[name], weights[f"g_{name}_norm"], weights.get(f"b_{name}_norm")),
            exact[f"{name}_norm"],
        )
        for name in ("q", "k")
        if {name, f"{name}_norm"} <= exact.keys() and f"g_{name}_norm" in weights
    }


def _rms_norm(latent: Array, gain: Array, eps: float) -> Array:
    """Return a latent after its RMS norm, [pos, r]."""
    norm: Array = np.sqrt((latent**2).mean(axis=-1, keepdims=True) + eps)
    return latent / norm * gain


def largest_errors(errors: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest error of every stage over all layers."""
    errors = list(errors)
    stages = dict.fromkeys(stage for layer in errors for stage in layer)
    # np.max, because max() passes over what is not a number.
    return {
        stage: float(np.max([layer[stage] for layer in errors if stage in layer]))
        for stage in stages
    }


def require_small_errors(errors: Mapping[str, float], model: str) -> None:
    """Raise an error if any stage's error is above `TOLERANCE`.

    Raises
    ------
    ExtractError
        Names the first such stage.
    """
    for stage, error in errors.items():
        if not error <= TOLERANCE:
            raise ExtractError(
                f"{model} cannot be traced truthfully: '{stage}', recomputed from the stage before "
                f"it, differs from the model's own by {error:.1e} (limit {TOLERANCE:.0e}), so its "
                "attention does something that this project does not know"
            )
