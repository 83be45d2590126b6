"""Recompute a stored conversion from its own matrices: the proof of what the film shows of it.

Needs numpy only.
"""

from __future__ import annotations

import numpy as np

from extract.attention import (
    Array,
    as_float64,
    causal_mask,
    merge_heads,
    project,
    rotate,
    softmax,
)
from extract.conversion_names import rungs
from extract.errors import TraceError
from extract.self_check import relative_error
from extract.trace import Trace

__all__ = ["TOLERANCE", "check_conversion"]

TOLERANCE = 1e-3
"""Largest error of a stage, max|a - b| / max|b|: weights are stored with 11 bits."""


def check_conversion(trace: Trace) -> dict[str, float]:
    """Recompute every stage of the converted featured layer from the one before it.

    Parameters
    ----------
    trace : Trace
        With a conversion (`extract.conversion`).

    Returns
    -------
    dict
        Error of each stage by name, max|a - b| / max|b|; empty if the trace has no conversion.

    Raises
    ------
    TraceError
        If a stage is wrong by more than `TOLERANCE`, or a pattern is not one.
    """
    layer = trace.meta.featured.layer
    if f"mla.{layer}.W_DKV" not in trace.tensors:
        return {}
    errors = _stage_errors(trace, layer)
    for stage, error in errors.items():
        if not error <= TOLERANCE:
            raise TraceError(
                f"'mla.{layer}.{stage}' is off by {error:.1e} from what its matrices give (limit "
                f"{TOLERANCE:g}); convert the model again"
            )
    names = [f"mla.{number}.pattern" for number in range(trace.meta.n_layers)]
    names += [f"rung.{way}.{numbers}.pattern" for way, numbers in rungs(trace.tensors)]
    for name in names:
        pattern = as_float64(trace[name])
        off = float(np.abs(pattern.sum(axis=-1) - 1).max())
        if pattern.min() < 0 or np.triu(pattern, k=1).any() or not off <= TOLERANCE:
            raise TraceError(f"'{name}' is not a causal attention pattern; convert the model again")
    return errors


def _stage_errors(trace: Trace, layer: int) -> dict[str, float]:
    """Return the error of each stage of the converted layer."""
    meta = trace.meta
    group = meta.n_heads // meta.n_kv_heads

    def stored(name: str) -> Array:
        return as_float64(trace[f"mla.{layer}.{name}"])

    def bias(name: str) -> Array:
        tensor = trace.tensors.get(f"mla.{layer}.{name}")
        return np.zeros(()) if tensor is None else as_float64(tensor)

    angles = np.outer(np.arange(len(meta.tokens)), stored("frequencies"))

    def turn(heads: Array) -> Array:
        return rotate(heads, np.cos(angles), np.sin(angles), "half")

    x, c = stored("x"), stored("c")
    b_Q = trace.get("b_Q", layer) if trace.has("b_Q", layer) else None
    q = project(x, trace.weights("W_Q", layer), b_Q)
    k = np.repeat(project(c, stored("W_UK")), group, axis=1)
    v = np.repeat(project(c, stored("W_UV")), group, axis=1)
    k_rot = stored("k_rot")
    again = {
        "c": x @ stored("W_DKV"),
        "k_rot": turn((x @ stored("W_KR") + bias("b_KR"))[:, None])[:, 0],
        "q_rot": turn(project(x, stored("W_QR")) + bias("b_QR")),
        "scores_rot": meta.score_scale * np.einsum("qhd,kd->hqk", stored("q_rot"), k_rot),
        "scores_latent": meta.score_scale * np.einsum("qhd,khd->hqk", q, k),
        "pattern": softmax(
            np.where(
                causal_mask(len(x), len(x)),
                stored("scores_rot") + stored("scores_latent"),
                -np.inf,
            )
        ),
        "z": np.einsum("hqk,khd->qhd", stored("pattern"), v),
        "out": merge_heads(stored("z"), trace.weights("W_O", layer), stored("b_O")),
    }
    return {
        name: relative_error(value, stored(name)) for name, value in again.items() if value.size
    }
