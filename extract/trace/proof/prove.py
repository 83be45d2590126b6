"""Proof of a trace: every stage that its file holds, computed again from the stage before it.

The check that an extraction makes before it writes a trace (`extract.attention.self_check`),
repeated with what the file holds:

* in every layer, the norm of queries and keys where the model has one, their rotation, the pattern,
  and z;
* in the layers with weights, queries, keys, values and the output too;
* of the latents that were fitted to a layer, their errors and pattern distances on the prompt;
* of a conversion of the whole model, every stage and its report (`extract.trace.proof.conversion`).

A stage whose arrays are not in the file is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from extract.attention.self_check import TOLERANCE, largest_errors, relative_error, stage_errors
from extract.errors import TraceError
from extract.trace.contents.activations import Activations
from extract.trace.proof.conversion import conversion_errors, report_errors
from extract.trace.proof.latents import latent_error

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


def prove(trace: Activations) -> dict[str, float]:
    """Compute every stage of a trace again.

    Returns
    -------
    dict
        The largest error of every stage over all layers, max|a - b| / max|b|, and of a conversion
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
        converted, told = conversion_errors(trace), report_errors(trace)
    largest = _in_order(largest_errors(layers))
    checked = [
        (f"'{stage}' of layer {layer}, computed again from the stage before it,", error)
        for layer, errors in enumerate(layers)
        for stage, error in errors.items()
    ]
    for group, errors, what in (
        ("conversion", converted, "computed again from its matrices,"),
        ("report", told, "in the report on the conversion, computed again,"),
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


def layer_errors(trace: Activations, layer: int) -> dict[str, float]:
    """Compute the stages of one layer again; return the error of each in the order of computation.

    The names are those of `extract.attention.self_check.stage_errors`, and "q_rot", "k_rot",
    "k_rope" and "latent".
    """
    activations = _held(trace, layer, _ACTIVATIONS)
    weights = _held(trace, layer, (*_WEIGHTS, *_GAINS_AND_BIASES))
    if "alibi_slopes" in trace.tensors:
        activations["alibi_slopes"] = trace["alibi_slopes"]
    errors = stage_errors(
        activations,
        weights,
        trace.meta.score_scale,
        trace.meta.norm_eps,
        qk_norm=trace.meta.qk_norm,
        window=trace.window(layer),
        cap=trace.meta.score_cap,
    )
    errors |= _rotation_errors(trace, layer)
    if f"latent.{layer}.W_DKV" in trace.tensors and str(layer) in (trace.meta.latent or {}):
        errors["latent"] = latent_error(trace, layer)
    return _in_order(errors)


def _in_order(errors: Mapping[str, float]) -> dict[str, float]:
    return {stage: errors[stage] for stage in _STAGES if stage in errors}


def _held(trace: Activations, layer: int, names: Sequence[str]) -> dict[str, Floats]:
    """Return those of a layer's arrays that the trace holds."""
    return {name: trace.get(name, layer) for name in names if trace.has(name, layer)}


def _rotation_errors(trace: Activations, layer: int) -> dict[str, float]:
    """Return the errors of rotated queries and keys, and of the shared rotated key of MLA."""
    if not trace.has("q_rot", layer):
        return {}
    rotation = trace.rotation(layer)
    errors = {
        f"{name}_rot": relative_error(
            rotation.apply(trace.get(trace.unrotated(name), layer)),
            trace.get(f"{name}_rot", layer),
        )
        for name in ("q", "k")
    }
    if trace.has("k_rope", layer):
        of_heads = trace.get("k_rot", layer)[..., rotation.start :]
        shared = np.broadcast_to(trace.get("k_rope", layer)[:, None], of_heads.shape)
        errors["k_rope"] = relative_error(shared, of_heads)
    return errors
