"""Proof of a trace: every step that its file holds, computed again from the step before it.

An extraction makes the same check with the weights of all layers and the model's own scores; what
is read is checked as far as the file holds it:

* in every layer, the norm of queries and keys where the model has one, their rotation, the pattern,
  and z;
* in the layers with weights, queries, keys, values and the output too;
* of the latents that were fitted to a layer, their errors and pattern distances on the prompt;
* of a conversion of the whole model, every step and its report (`extract.trace.proof.conversion`).

A step whose arrays are not in the file is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import (
    Array,
    as_float64,
    causal_mask,
    for_each_head,
    merge_heads,
    project,
)
from extract.attention.head_norm import HeadNorm
from extract.attention.self_check import TOLERANCE, largest_errors, relative_error
from extract.errors import TraceError
from extract.trace.contents.activations import Activations
from extract.trace.proof.conversion import conversion_errors, report_errors
from extract.trace.proof.latents import latent_error

__all__ = ["ProofError", "layer_errors", "prove"]

_STEPS = (
    *("q_latent", "q", "kv_latent", "k", "v", "q_norm", "k_norm", "q_rot", "k_rot", "k_rope"),
    *("scores", "pattern", "z", "out", "latent"),
)
"""All steps, in the order of computation."""


class ProofError(TraceError):
    """A trace does not hold what attention computes.

    Parameters
    ----------
    message : str
        One line that names the first step, its layer and its error.
    errors : mapping of str to float
        The largest error of every step over all layers.
    """

    def __init__(self, message: str, errors: Mapping[str, float]) -> None:
        super().__init__(message)
        self.errors = errors


def prove(trace: Activations) -> dict[str, float]:
    """Compute every step of a trace again.

    Returns
    -------
    dict
        The largest error of every step over all layers, max|a - b| / max|b|, and of a conversion
        and its report.

    Raises
    ------
    ProofError
        If an error is above `extract.attention.self_check.TOLERANCE`.
    TraceError
        If the report on a latent or on a conversion is damaged.
    """
    # What is damaged may overflow; the error that comes of it is no number, and refused as well.
    with np.errstate(all="ignore"):
        layers = [layer_errors(trace, layer) for layer in range(trace.meta.n_layers)]
        converted, reported = conversion_errors(trace), report_errors(trace)
    largest = _in_order(largest_errors(layers))
    checked = [
        (f"'{step}' of layer {layer}, computed again from the step before it,", error)
        for layer, errors in enumerate(layers)
        for step, error in errors.items()
    ]
    for group, errors, what in (
        ("conversion", converted, "computed again from its matrices,"),
        ("report", reported, "in the report on the conversion, computed again,"),
    ):
        if errors:
            largest[group] = float(np.max(list(errors.values())))
        checked += [(f"'{name}', {what}", error) for name, error in errors.items()]
    for what, error in checked:
        if not error <= TOLERANCE:
            raise ProofError(
                f"{what} differs by {error:.1e} (limit {TOLERANCE:.0e}), so its numbers are not "
                "the model's; extract it again",
                largest,
            )
    return largest


def layer_errors(
    trace: Activations, layer: int, scores: npt.NDArray[Any] | None = None
) -> dict[str, float]:
    """Compute the steps of one layer again; return the error of each in the order of computation.

    A step is left out if an array that it needs is not there, such as a weight.

    Parameters
    ----------
    trace : Activations
    layer : int
    scores : [n_heads, query_pos, key_pos], optional
        The model's own scores before the softmax, where they are known.

    Returns
    -------
    dict
        Error of each step by the name of what it computes, max|a - b| / max|b|; "latent" is that
        of a fitted one.
    """
    held = {}
    for key, tensor in trace.tensors.items():
        name, _, number = key.partition(".")
        if number == str(layer):
            held[name] = as_float64(tensor)
    again = _projections(held, trace.meta.norm_eps) | _norms(held, trace.meta.qk_norm)
    if "q_rot" in held:
        rotation = trace.rotation(layer)
        again |= {f"{name}_rot": rotation.apply(held[trace.unrotated(name)]) for name in ("q", "k")}
        if "k_rope" in held:
            # All heads share it.
            held["k_rope"] = np.broadcast_to(
                held["k_rope"][:, None], (*held["k_rot"].shape[:2], trace.meta.rotary_dim)
            )
            again["k_rope"] = held["k_rot"][..., rotation.start :]
    q, k = (held.get(trace.used(name)) for name in ("q", "k"))
    if q is not None and k is not None:
        # The values do not matter here: z has a step of its own.
        attention = trace.attend(layer, q, k, k)
        again["pattern"] = attention.pattern
        if scores is not None:
            seen = causal_mask(len(q), len(k), trace.window(layer))
            again["scores"], held["scores"] = attention.scores[:, seen], as_float64(scores)[:, seen]
    if {"pattern", "v", "z"} <= held.keys():
        v = for_each_head(held["v"], trace.meta.n_heads)
        again["z"] = np.einsum("hqk,khd->qhd", held["pattern"], v, optimize=True)
    if {"z", "out", "W_O"} <= held.keys():
        again["out"] = merge_heads(held["z"], held["W_O"], held.get("b_O"))
    errors = {
        step: relative_error(made, held[step]) for step, made in again.items() if step in held
    }
    if f"latent.{layer}.W_DKV" in trace.tensors and str(layer) in (trace.meta.latent or {}):
        errors["latent"] = latent_error(trace, layer)
    return _in_order(errors)


def _projections(held: Mapping[str, Array], norm_eps: float) -> dict[str, Array]:
    """Return queries, keys and values of a layer, and its latents, from its input and weights."""
    x = held.get("x")
    if x is None:
        return {}
    again = {
        name: project(x, held[f"W_{name.upper()}"], held.get(f"b_{name.upper()}"))
        for name in ("q", "k", "v")
        if f"W_{name.upper()}" in held
    }
    rms = HeadNorm("rms", "head", norm_eps)
    if "W_DQ" in held:
        again["q_latent"] = rms.apply(x @ held["W_DQ"], held["g_Q"])
        again["q"] = project(held.get("q_latent", again["q_latent"]), held["W_UQ"])
    if "W_DKV" in held:
        again["kv_latent"] = rms.apply(x @ held["W_DKV"], held["g_KV"])
        content = project(held["kv_latent"], held["W_UK"])
        shared = for_each_head((x @ held["W_KR"])[:, None], content.shape[1])
        again["k"] = np.concatenate([content, shared], axis=-1)
        again["v"] = project(held["kv_latent"], held["W_UV"])
    return again


def _norms(held: Mapping[str, Array], norm: HeadNorm | None) -> dict[str, Array]:
    """Return queries and keys after the norm that some models have before their rotation."""
    if norm is None:
        return {}
    return {
        f"{name}_norm": norm.apply(held[name], held[f"g_{name}_norm"], held.get(f"b_{name}_norm"))
        for name in ("q", "k")
        if {name, f"g_{name}_norm"} <= held.keys()
    }


def _in_order(errors: Mapping[str, float]) -> dict[str, float]:
    return {step: errors[step] for step in _STEPS if step in errors}
