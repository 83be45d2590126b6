"""Proof of a trace: every stage that its file holds, computed again from the stage before it.

The check that an extraction makes before it writes a trace (`extract.self_check`), repeated with
what the file holds:

* in every layer, the norm of queries and keys where the model has one, their rotation, the pattern,
  and z;
* in the layers with weights, queries, keys, values and the output too;
* of the latents that were fitted to a layer, their errors and pattern distances on the prompt.

A stage whose arrays are not in the file is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from extract.attention import as_float64
from extract.errors import TraceError
from extract.self_check import (
    TOLERANCE,
    LayerArrays,
    largest_errors,
    relative_error,
    stage_errors,
)

if TYPE_CHECKING:
    from extract.trace import Trace

__all__ = ["ProofError", "layer_errors", "prove"]

Floats = npt.NDArray[np.float32]

_ACTIVATIONS = (
    *("x", "q", "k", "v", "q_norm", "k_norm", "q_rot", "k_rot"),
    *("q_latent", "kv_latent", "sinks", "pattern", "z", "out"),
)
_WEIGHTS = ("W_Q", "W_K", "W_V", "W_O", "W_DQ", "W_UQ", "W_DKV", "W_KR", "W_UK", "W_UV")
_GAINS_AND_BIASES = (
    *("g_Q", "g_KV", "b_Q", "b_K", "b_V", "b_O"),
    *("g_q_norm", "g_k_norm", "b_q_norm", "b_k_norm"),
)

_STAGES = (
    *("q_latent", "q", "kv_latent", "k", "v", "q_norm", "k_norm", "q_rot", "k_rot", "k_rope"),
    *("pattern", "z", "out", "latent"),
)
"""All stages, in the order of computation."""

_LARGEST_EPS = 1e-3
"""Upper limit for the epsilon of an RMS norm; models have 1e-5 or less."""


class ProofError(TraceError):
    """A trace does not hold what attention computes.

    Parameters
    ----------
    message : str
        One line that names the first stage, its layer and its error.
    errors : mapping of str to float
        The largest error of every stage over all layers.
    """

    def __init__(self, message: str, errors: Mapping[str, float]) -> None:
        super().__init__(message)
        self.errors = errors


def prove(trace: Trace) -> dict[str, float]:
    """Compute every stage of a trace again.

    Returns
    -------
    dict
        The largest error of every stage over all layers, max|a - b| / max|b|.

    Raises
    ------
    ProofError
        If an error is above `extract.self_check.TOLERANCE`.
    TraceError
        If the report on a latent is damaged.
    """
    # What is damaged may overflow; the error that comes of it is no number, and refused as well.
    with np.errstate(all="ignore"):
        layers = [layer_errors(trace, layer) for layer in range(trace.meta.n_layers)]
    largest = _in_order(largest_errors(layers))
    for layer, errors in enumerate(layers):
        for stage, error in errors.items():
            if not error <= TOLERANCE:
                raise ProofError(
                    f"'{stage}' of layer {layer}, computed again from the stage before it, differs "
                    f"by {error:.1e} (limit {TOLERANCE:.0e}), so its numbers are not the model's; "
                    "extract it again",
                    largest,
                )
    return largest


def layer_errors(trace: Trace, layer: int) -> dict[str, float]:
    """Compute the stages of one layer again; return the error of each in the order of computation.

    The names are those of `extract.self_check.stage_errors`, and "q_rot", "k_rot", "k_rope" and
    "latent".
    """
    activations = _held(trace, layer, _ACTIVATIONS)
    weights = _held(trace, layer, (*_WEIGHTS, *_GAINS_AND_BIASES))
    if "alibi_slopes" in trace.tensors:
        activations["alibi_slopes"] = trace["alibi_slopes"]
    eps = _norm_eps(activations, weights) if "W_DKV" in weights else 0.0
    errors = stage_errors(
        activations,
        weights,
        trace.meta.score_scale,
        eps,
        qk_norm=trace.meta.qk_norm,
        window=trace.window(layer),
        cap=trace.meta.score_cap,
    )
    errors |= _rotation_errors(trace, layer)
    if f"latent.{layer}.W_DKV" in trace.tensors and str(layer) in (trace.meta.latent or {}):
        from extract.latent import latent_error

        errors["latent"] = latent_error(trace, layer)
    return _in_order(errors)


def _in_order(errors: Mapping[str, float]) -> dict[str, float]:
    return {stage: errors[stage] for stage in _STAGES if stage in errors}


def _held(trace: Trace, layer: int, names: Sequence[str]) -> dict[str, Floats]:
    """Return those of a layer's arrays that the trace holds."""
    return {name: trace.get(name, layer) for name in names if trace.has(name, layer)}


def _norm_eps(activations: LayerArrays, weights: LayerArrays) -> float:
    """Return the epsilon of the norms of an MLA layer, which a trace does not hold.

    It is found where it matters most, at the position with the smallest latent.
    """
    latent = as_float64(activations["x"]) @ weights["W_DKV"]
    squares = (latent**2).mean(axis=-1)
    at = squares.argmin()
    scaled = latent[at] * weights["g_KV"]
    factor = float(scaled @ activations["kv_latent"][at] / (scaled @ scaled))
    eps = float(factor**-2 - squares[at]) if factor else 0.0
    return min(max(eps, 0.0), _LARGEST_EPS)


def _rotation_errors(trace: Trace, layer: int) -> dict[str, float]:
    """Return the errors of rotated queries and keys, and of the shared rotated key of MLA.

    A trace does not hold the angles.  At one position all query and key heads rotate by the same
    ones, so those that fit all heads best are taken.
    """
    meta = trace.meta
    unrotated = ("q", "k") if meta.qk_norm is None else ("q_norm", "k_norm")
    rotated_names = ("q_rot", "k_rot")
    if not all(trace.has(name, layer) for name in (*unrotated, *rotated_names)):
        return {}
    before, after = (
        as_float64(np.concatenate([trace.get(name, layer) for name in names], axis=1))
        for names in (unrotated, rotated_names)
    )
    n_pairs = meta.rotary_dim // 2
    half = meta.rotary_style == "half"
    first = np.arange(n_pairs) if half else 2 * np.arange(n_pairs)
    if meta.attention == "mla":
        first += meta.d_qk - meta.rotary_dim
    second = first + (n_pairs if half else 1)
    # Pairs of channels as complex numbers: a rotation, and the factor that some models add to it,
    # is one complex factor.
    pairs, turned = (heads[..., first] + 1j * heads[..., second] for heads in (before, after))
    lengths = (np.abs(pairs) ** 2).sum(axis=1)
    factors = (pairs.conj() * turned).sum(axis=1) / np.where(lengths, lengths, 1.0)
    rotated = before.copy()
    rotated[..., first] = (pairs * factors[:, None]).real
    rotated[..., second] = (pairs * factors[:, None]).imag
    used = after[:, meta.n_heads :]
    errors = {
        "q_rot": relative_error(rotated[:, : meta.n_heads], after[:, : meta.n_heads]),
        "k_rot": relative_error(rotated[:, meta.n_heads :], used),
    }
    if trace.has("k_rope", layer):
        of_heads = used[..., -meta.rotary_dim :]
        shared = np.broadcast_to(trace.get("k_rope", layer)[:, None], of_heads.shape)
        errors["k_rope"] = relative_error(shared, of_heads)
    return errors
