"""A latent for a layer that was trained without one, measured and stored in its trace.

The fit is that of `extract.low_rank`, on inputs that the layer receives while the model reads a
calibration text.  Its errors are measured on the text that was fitted, on a part of it that was
held out, and on the prompt of the trace, beside those of the plain singular value decomposition of
the weights.

Biases.  A constant added to every key leaves the softmax alone, and one added to every value comes
out of every mix unchanged.  So for a layer with biases the inputs are taken about their mean, which
never loses more at the same rank; the key bias is dropped, and the value bias and the mean of what
the values lose go to the output: ``latent.L.b_O`` is the layer's whole output bias with a latent.

Rotary models.  The latent is fitted to keys before rotation, because rotated ones cannot be
absorbed (see `extract.mla`).  A pattern from the latent is then a content-only pattern.  Dropping
the rotation moves a pattern by itself, whatever the latent does, so three moves are reported: by
dropping the rotation, by the latent among content-only patterns, and by both together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from extract.attention import Array, as_float64, attend, merge_heads, project, total_variation
from extract.errors import ExtractError
from extract.low_rank import (
    Basis,
    Errors,
    Factors,
    KeyValueWeights,
    Moments,
    activation_basis,
    balance_of,
    weight_basis,
)
from extract.mla import LatentLayer
from extract.trace import Trace, TraceError

__all__ = [
    "ERROR_TARGET",
    "Calibration",
    "CalibrationText",
    "FittedLatent",
    "LatentReport",
    "Measured",
    "Moved",
    "Rung",
    "add_latent",
    "content_pattern",
    "fitted_latent",
    "ladder_ranks",
    "latent_report",
    "require_fit",
]

ERROR_TARGET = 0.25
"""The rank chosen by default is the smallest of the ladder whose balanced error on held-out text is
at most this."""

LADDER = (1 / 24, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 3 / 4, 1)
"""The ranks that are measured, as shares of the rank that loses nothing."""


@dataclass(frozen=True)
class CalibrationText:
    """Which text was read.

    Attributes
    ----------
    name : str
        The file's bare name.
    sha256 : str
        Of its contents.
    n_fitted, n_held_out : int
        Inputs in each part, beginning-of-sequence tokens included.
    n_passage : int
        Tokens read at a time.
    """

    name: str
    sha256: str
    n_fitted: int
    n_held_out: int
    n_passage: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a layer received while the model read a text."""

    text: CalibrationText
    fitted: Moments
    held_out: Moments


@dataclass(frozen=True)
class Measured:
    """Errors of one fit: on the text it was fitted to, on held-out text, and on the prompt."""

    calibration: Errors
    held_out: Errors
    prompt: Errors


@dataclass(frozen=True)
class Moved:
    """How far attention patterns moved: the share of the weight that went to other keys.

    Total variation of each row, over all heads and the rows of the prompt.  The first row has a
    single key and cannot move, so it does not count.

    Attributes
    ----------
    mean, worst : float
        From 0, nothing moved, to 1.
    """

    mean: float
    worst: float

    @classmethod
    def between(cls, patterns: ArrayLike, others: ArrayLike) -> Moved:
        """Compare patterns, (n_heads, query, key)."""
        rows = total_variation(patterns, others)[:, 1:]
        return cls(float(rows.mean()), float(rows.max())) if rows.size else cls(0.0, 0.0)


@dataclass(frozen=True)
class Rung:
    """One rank of the ladder.

    Attributes
    ----------
    rank : int
    fit : Measured
        Of the fit to activations.
    weight_svd : Measured
        Of the singular value decomposition of the weights, equally balanced, at the same rank.
    latent_moves_content : Moved
        Content-only patterns, from the latent against from the true keys.
    both_move : Moved
        Content-only patterns from the latent against the model's own patterns.
    """

    rank: int
    fit: Measured
    weight_svd: Measured
    latent_moves_content: Moved
    both_move: Moved


@dataclass(frozen=True)
class LatentReport:
    """What the trace's metadata say about one layer's latent.

    Attributes
    ----------
    rank : int
        Numbers cached for each token.
    full_rank : int
        The rank that loses nothing.
    n_cached : int
        Numbers that the layer caches for each token without a latent.
    error_target : float or None
        The held-out error that the rank was chosen by; None if the rank was given.
    error_balanced, error_k, error_v : float
        On the prompt; see `extract.low_rank.Errors`.
    rotation_moves : Moved
        Content-only patterns against the model's own; nothing where the model does not rotate.
    calibration : CalibrationText
    ladder : tuple of Rung
        By rank; `rank` is one of them.
    """

    rank: int
    full_rank: int
    n_cached: int
    error_target: float | None
    error_balanced: float
    error_k: float
    error_v: float
    rotation_moves: Moved
    calibration: CalibrationText
    ladder: tuple[Rung, ...]

    @property
    def chosen(self) -> Rung:
        """The rung of the latent that is stored."""
        return next(rung for rung in self.ladder if rung.rank == self.rank)


@dataclass(frozen=True, eq=False)
class FittedLatent:
    """A layer's latent as stored in a trace, ready for `extract.mla`.

    Attributes
    ----------
    W_DKV : (d_model, r)
    kv_latent : (position, r)
        The latents of the trace's tokens; with the trace's ``q.L`` what the forms of MLA take.
    layer : LatentLayer
    """

    W_DKV: Array
    kv_latent: Array
    layer: LatentLayer


def ladder_ranks(full_rank: int) -> tuple[int, ...]:
    """Return the ranks to measure, rising, up to the one that loses nothing."""
    return tuple(sorted({max(1, round(share * full_rank)) for share in LADDER}))


# --- Into the trace -------------------------------------------------------------------------------


def require_fit(trace: Trace, layer: int, rank: int | None = None) -> None:
    """Check that a latent of that rank can be fitted to a layer.

    Raises
    ------
    ExtractError
        If the model has latents of its own, no such layer, or no latent of that rank.
    TraceError
        If the trace does not hold the layer's weights.
    """
    meta = trace.meta
    if meta.attention == "mla":
        raise ExtractError(
            f"{meta.model} has latents of its own (multi-head latent attention): "
            "there is none to fit, and none is needed"
        )
    if not 0 <= layer < meta.n_layers:
        raise ExtractError(f"there is no layer {layer}; this model has 0 to {meta.n_layers - 1}")
    full_rank = _weights(trace, layer).full_rank
    if rank is not None and not 1 <= rank <= full_rank:
        raise ExtractError(
            f"a latent of layer {layer} can have a rank of 1 to {full_rank}, not {rank}"
        )


def _weights(trace: Trace, layer: int) -> KeyValueWeights:
    W_K, W_V = (as_float64(trace.weights(name, layer)) for name in ("W_K", "W_V"))
    return KeyValueWeights(W_K, W_V)


def add_latent(
    trace: Trace, layer: int, calibration: Calibration, rank: int | None = None
) -> Trace:
    """Fit a latent to a layer and return the trace with it.

    Parameters
    ----------
    trace : Trace
        Must hold the layer's weights.
    layer : int
    calibration : Calibration
        Of this model and this layer.
    rank : int, optional
        By default the smallest of the ladder whose held-out error is at most `ERROR_TARGET`.

    Raises
    ------
    ExtractError, TraceError
        See `require_fit`.
    """
    require_fit(trace, layer, rank)
    weights = _weights(trace, layer)
    biased = any(trace.has(name, layer) for name in ("b_K", "b_V", "b_O"))
    centre = calibration.fitted.mean if biased else np.zeros(trace.meta.d_model)
    prompt = Moments.of([trace.get("x", layer)[: trace.meta.n_prompt]])
    inputs = _Inputs(
        *(part.about(centre) for part in (calibration.fitted, calibration.held_out, prompt))
    )
    balance = balance_of(weights, inputs.calibration)
    basis = activation_basis(weights, inputs.calibration, balance)
    plain = weight_basis(weights, balance)
    ranks = {*ladder_ranks(weights.full_rank), *(() if rank is None else (rank,))}
    ladder = tuple(_rung(trace, layer, step, inputs, basis, plain) for step in sorted(ranks))
    chosen = next(
        rung
        for rung in ladder
        if rung.rank == rank or (rank is None and rung.fit.held_out.balanced <= ERROR_TARGET)
    )  # one always does: the last rank loses nothing
    factors = basis.factors(chosen.rank)
    tensors = {"W_DKV": factors.W_DKV, "W_UK": factors.W_UK, "W_UV": factors.W_UV}
    if biased:
        tensors["b_O"] = _output_bias(trace, layer, weights, factors, centre)
    content = content_pattern(trace, layer, trace.get("k", layer))
    report = LatentReport(
        rank=chosen.rank,
        full_rank=weights.full_rank,
        n_cached=weights.joint.shape[1],
        error_target=ERROR_TARGET if rank is None else None,
        error_balanced=chosen.fit.prompt.balanced,
        error_k=chosen.fit.prompt.k,
        error_v=chosen.fit.prompt.v,
        rotation_moves=_moved_on_prompt(trace, content, trace.get("pattern", layer)),
        calibration=calibration.text,
        ladder=ladder,
    )
    stored = {f"latent.{layer}.{name}": array.astype(np.float32) for name, array in tensors.items()}
    reports = {**(trace.meta.latent or {}), str(layer): asdict(report)}
    return Trace(replace(trace.meta, latent=reports), {**trace.tensors, **stored})


class _Inputs(NamedTuple):
    """``X^T X`` of the three sets of inputs, each (d_model, d_model), about one centre."""

    calibration: Array
    held_out: Array
    prompt: Array


def _rung(trace: Trace, layer: int, rank: int, inputs: _Inputs, basis: Basis, plain: Basis) -> Rung:
    """Measure one rank."""
    factors = basis.factors(rank)
    keys = project(trace.get("x", layer) @ factors.W_DKV, factors.W_UK)
    content = content_pattern(trace, layer, keys)
    return Rung(
        rank=rank,
        fit=Measured(*(basis.errors(rank, gram) for gram in inputs)),
        weight_svd=Measured(*(plain.errors(rank, gram) for gram in inputs)),
        latent_moves_content=_moved_on_prompt(
            trace, content, content_pattern(trace, layer, trace.get("k", layer))
        ),
        both_move=_moved_on_prompt(trace, content, trace.get("pattern", layer)),
    )


def _output_bias(
    trace: Trace, layer: int, weights: KeyValueWeights, factors: Factors, centre: Array
) -> Array:
    """Return the layer's output bias with a latent, (d_model,).

    It takes over the value bias, and what the latent loses of the mean value.
    """
    lost_weights = weights.W_V - project(factors.W_DKV, factors.W_UV)
    constant = project(centre[None], lost_weights)[0]  # (n_kv_heads, d_v)
    if trace.has("b_V", layer):
        constant = constant + trace.get("b_V", layer)
    of_head = np.repeat(constant, trace.meta.n_heads // trace.meta.n_kv_heads, axis=0)
    b_O = trace.get("b_O", layer) if trace.has("b_O", layer) else None
    bias: Array = merge_heads(of_head[None], trace.get("W_O", layer), b_O)[0]
    return bias


def _moved_on_prompt(trace: Trace, pattern: Array, other: Array) -> Moved:
    """Compare two patterns of the whole trace on the prompt's rows."""
    n_prompt = trace.meta.n_prompt
    return Moved.between(pattern[:, :n_prompt], other[:, :n_prompt])


# --- Out of the trace -----------------------------------------------------------------------------


def content_pattern(trace: Trace, layer: int, keys: ArrayLike) -> Array:
    """Return the pattern of a layer without any rotation, the content-only pattern.

    Parameters
    ----------
    trace : Trace
    layer : int
    keys : (position, n_kv_heads, d_qk)
        Before rotation: the trace's ``k.L``, or keys expanded from a latent.

    Returns
    -------
    (n_heads, query, key)
        Where the model does not rotate and the keys are its own, the model's pattern.
    """
    bias = _position_bias(trace, layer)
    return attend(
        trace.get("q", layer), keys, trace.get("v", layer), trace.meta.score_scale, bias
    ).pattern


def _position_bias(trace: Trace, layer: int) -> Array:
    """What the layer adds to its scaled scores, (n_heads, query, key): 0 but for "alibi"."""
    dot_products = trace.scores(layer, scaled=False)
    bias: Array = trace.scores(layer) - trace.meta.score_scale * dot_products
    return bias


def fitted_latent(trace: Trace, layer: int) -> FittedLatent:
    """Return the latent that is stored for a layer.

    Raises
    ------
    TraceError
        If there is none; the message says which command adds it.
    """
    _require_stored(trace, layer)
    W_DKV, W_UK, W_UV = (
        as_float64(trace[f"latent.{layer}.{name}"]) for name in ("W_DKV", "W_UK", "W_UV")
    )
    b_O = trace.tensors.get(f"latent.{layer}.b_O")
    return FittedLatent(
        W_DKV=W_DKV,
        kv_latent=trace.get("x", layer) @ W_DKV,
        layer=LatentLayer(
            W_UK=W_UK,
            W_UV=W_UV,
            W_O=trace.weights("W_O", layer),
            scale=trace.meta.score_scale,
            b_O=b_O,
            score_bias=_position_bias(trace, layer),
        ),
    )


def latent_report(trace: Trace, layer: int) -> LatentReport:
    """Return what was measured when a layer's latent was fitted.

    Raises
    ------
    TraceError
        If the layer has none, or the report is damaged.
    """
    _require_stored(trace, layer)
    rank = trace[f"latent.{layer}.W_DKV"].shape[1]
    try:
        report: LatentReport = _from_json(LatentReport, (trace.meta.latent or {})[str(layer)])
    except (KeyError, TypeError) as error:
        raise TraceError(
            f"the report on the latent of layer {layer} is damaged ({error}); fit it again"
        ) from error
    if rank not in {report.rank} & {rung.rank for rung in report.ladder}:
        raise TraceError(
            f"the report on the latent of layer {layer} is not about rank {rank}; fit it again"
        )
    return report


def _require_stored(trace: Trace, layer: int) -> None:
    if f"latent.{layer}.W_DKV" not in trace.tensors:
        raise TraceError(
            f"the trace of {trace.meta.model} holds no latent of layer {layer}; add it with: "
            f"python -m extract latent FILE --layer {layer}"
        )


def _from_json(kind: Any, value: Any) -> Any:
    """Rebuild a dataclass, with dataclasses and tuples of them inside, from ``asdict``'s result."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: _from_json(hints[f.name], value[f.name]) for f in fields(kind)})
    if get_origin(kind) is tuple:
        return tuple(_from_json(get_args(kind)[0], item) for item in value)
    return value
