"""A latent for a layer that was trained without one, measured and stored in its trace.

`extract.attention.low_rank` computes the fit, on inputs that the layer receives while the model
reads a calibration text.  Errors are measured on the fitted part of the text, on a part that was
held out, and on the prompt of the trace, and compared with those of the plain singular value
decomposition of the weights.  They are measured at several ranks, the ladder, and one rank is
stored.

Biases.  A constant added to every key does not change the softmax, and one added to every value is
added to every z unchanged.  So for a layer with biases the inputs are centred on their mean, which
never loses more at the same rank; the key bias is dropped, and the value bias and the mean error of
the values move to the output: ``latent.L.b_O`` is the layer's whole output bias with a latent.

Rotary models.  The latent is fitted to keys before rotation, because rotated ones cannot be
absorbed (see `extract.attention.mla`).  A pattern from the latent is then a content-only pattern:
one without rotation.  Dropping the rotation alone already changes the pattern, so three distances
between patterns are reported: that due to dropping the rotation, that due to the latent among
content-only patterns, and that due to both together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from extract.attention.arithmetic import Array, as_float64, merge_heads, project
from extract.attention.low_rank import (
    Basis,
    Errors,
    Factors,
    KeyValueWeights,
    Moments,
    activation_basis,
    balance_of,
    weight_basis,
)
from extract.attention.mla import LatentLayer
from extract.attention.patterns import PatternDistance
from extract.errors import ExtractError
from extract.trace import Trace, TraceError
from extract.trace.contents.json_records import from_json

__all__ = [
    "ERROR_TARGET",
    "Calibration",
    "CalibrationText",
    "FitErrors",
    "FittedLatent",
    "LatentReport",
    "RankReport",
    "add_latent",
    "content_pattern",
    "fitted_latent",
    "ladder_ranks",
    "latent_error",
    "latent_report",
    "require_fittable",
]

ERROR_TARGET = 0.25
"""Limit of the balanced error on held-out text; by default the smallest rank of the ladder within
this limit is stored."""

LADDER_FRACTIONS = (1 / 24, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 3 / 4, 1)
"""The ranks that are measured, as fractions of the full rank, at which a latent loses nothing."""


@dataclass(frozen=True)
class CalibrationText:
    """Description of the calibration text.

    Attributes
    ----------
    name : str
        The file name without its path.
    sha256 : str
        Checksum of the file.
    n_fitted, n_held_out : int
        Number of inputs in each part, including beginning-of-sequence tokens.
    n_passage : int
        Number of text tokens that the model reads at a time.
    """

    name: str
    sha256: str
    n_fitted: int
    n_held_out: int
    n_passage: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """Inputs of a layer while the model reads a text, summed over each part of the text.

    Attributes
    ----------
    text : CalibrationText
    fitted, held_out : Moments
        Of the part that the latent is fitted to, and of the part that is held out.
    """

    text: CalibrationText
    fitted: Moments
    held_out: Moments


@dataclass(frozen=True)
class FitErrors:
    """Errors of one latent: on the text it was fitted to, on held-out text, and on the prompt."""

    calibration: Errors
    held_out: Errors
    prompt: Errors


@dataclass(frozen=True)
class RankReport:
    """Errors and pattern distances at one rank of the ladder.

    Attributes
    ----------
    rank : int
    fit : FitErrors
        Errors of the fit to activations.
    weight_svd : FitErrors
        Errors of the singular value decomposition of the weights, equally balanced, at this rank.
    latent_moves_content : PatternDistance
        Between the content-only patterns from the latent and from the true keys.
    both_move : PatternDistance
        Between the content-only patterns from the latent and the model's own patterns.
    """

    rank: int
    fit: FitErrors
    weight_svd: FitErrors
    latent_moves_content: PatternDistance
    both_move: PatternDistance


@dataclass(frozen=True)
class LatentReport:
    """Report on one layer's latent, as stored in the trace's metadata.

    Attributes
    ----------
    rank : int
        Rank of the stored latent: numbers cached for each token.
    full_rank : int
        Rank at which a latent loses nothing.
    n_cached : int
        Numbers that the layer caches for each token without a latent.
    error_target : float or None
        The held-out error that the rank was chosen for; None if the rank was given.
    error_balanced, error_k, error_v : float
        Errors on the prompt; see `extract.attention.low_rank.Errors`.
    rotation_moves : PatternDistance
        Between the content-only patterns and the model's own; about 0 if the model does not rotate.
    calibration : CalibrationText
    ladder : tuple of RankReport
        Reports on all measured ranks in ascending order; `rank` is one of them.
    """

    rank: int
    full_rank: int
    n_cached: int
    error_target: float | None
    error_balanced: float
    error_k: float
    error_v: float
    rotation_moves: PatternDistance
    calibration: CalibrationText
    ladder: tuple[RankReport, ...]

    @property
    def chosen(self) -> RankReport:
        """The report on the rank that is stored."""
        return next(entry for entry in self.ladder if entry.rank == self.rank)


@dataclass(frozen=True, eq=False)
class FittedLatent:
    """A layer's latent as stored in a trace, ready for `extract.attention.mla`.

    Attributes
    ----------
    W_DKV : (d_model, r)
    kv_latent : (position, r)
        The latents of the trace's tokens.  `extract.attention.mla` computes both forms from them
        and the trace's ``q.L``.
    layer : LatentLayer
    """

    W_DKV: Array
    kv_latent: Array
    layer: LatentLayer


def ladder_ranks(full_rank: int) -> tuple[int, ...]:
    """Return the ranks to measure, in ascending order up to the full rank."""
    return tuple(sorted({max(1, round(fraction * full_rank)) for fraction in LADDER_FRACTIONS}))


# --- Fit a latent and store it --------------------------------------------------------------------


def require_fittable(trace: Trace, layer: int, rank: int | None = None) -> None:
    """Check that a latent of this rank can be fitted to a layer.

    Raises
    ------
    ExtractError
        If the model was trained with a latent, if its attention has a step that a latent cannot
        go through, or if there is no such layer or rank.
    TraceError
        If the trace does not hold the layer's weights.
    """
    meta = trace.meta
    if meta.attention == "mla":
        raise ExtractError(
            f"{meta.model} has latents of its own (multi-head latent attention): "
            "there is none to fit, and none is needed"
        )
    if reason := _obstacle(trace):
        raise ExtractError(f"no latent can be fitted to {meta.model}: {reason}")
    if not 0 <= layer < meta.n_layers:
        raise ExtractError(f"there is no layer {layer}; this model has 0 to {meta.n_layers - 1}")
    full_rank = _weights(trace, layer).full_rank
    if rank is not None and not 1 <= rank <= full_rank:
        raise ExtractError(
            f"a latent of layer {layer} can have a rank of 1 to {full_rank}, not {rank}"
        )


def _obstacle(trace: Trace) -> str:
    """Return why the attention of a trace cannot be computed from a latent; nothing if it can."""
    meta = trace.meta
    if meta.qk_norm is not None:
        return "it normalises its keys, and a latent goes through no norm"
    if meta.score_cap:
        return "it squeezes its scores, which the forms of a latent do not know"
    if meta.sinks:
        return "it has sinks in its softmax, which the forms of a latent do not know"
    if meta.windows:
        return "it hides keys of this prompt behind a window; trace a shorter prompt"
    return ""


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
        Made with this model and this layer.
    rank : int, optional
        By default the smallest of the ladder whose held-out error is at most `ERROR_TARGET`.

    Raises
    ------
    ExtractError, TraceError
        See `require_fittable`.

    Examples
    --------
    The trace and the model of the example of :func:`extract.trace`:

    >>> from extract.calibration import calibrate
    >>> from extract.latent import add_latent, fitted_latent
    >>> calibration = calibrate(trace, loaded, layer=13)
    >>> trace = add_latent(trace, 13, calibration, rank=64)
    >>> fitted_latent(trace, 13).W_DKV.shape  # from the width of the model to the latent's
    (576, 64)
    """
    require_fittable(trace, layer, rank)
    weights = _weights(trace, layer)
    biased = any(trace.has(name, layer) for name in ("b_K", "b_V", "b_O"))
    centre = calibration.fitted.mean if biased else np.zeros(trace.meta.d_model)
    prompt = Moments.of([trace.get("x", layer)[: trace.meta.n_prompt]])
    grams = _Grams(
        *(part.about(centre) for part in (calibration.fitted, calibration.held_out, prompt))
    )
    balance = balance_of(weights, grams.calibration)
    basis = activation_basis(weights, grams.calibration, balance)
    plain = weight_basis(weights, balance)
    ranks = {*ladder_ranks(weights.full_rank), *(() if rank is None else (rank,))}
    ladder = tuple(
        _report_rank(trace, layer, candidate, grams, basis, plain) for candidate in sorted(ranks)
    )
    chosen = next(
        entry
        for entry in ladder
        if entry.rank == rank or (rank is None and entry.fit.held_out.balanced <= ERROR_TARGET)
    )  # always found: the full rank, which is last, has an error of 0
    factors = basis.factors(chosen.rank)
    tensors = {"W_DKV": factors.W_DKV, "W_UK": factors.W_UK, "W_UV": factors.W_UV}
    if biased:
        tensors["b_O"] = _output_bias(trace, layer, weights, factors, centre)
    content = content_pattern(trace, layer, trace.get(trace.unrotated("k"), layer))
    report = LatentReport(
        rank=chosen.rank,
        full_rank=weights.full_rank,
        n_cached=weights.joint.shape[1],
        error_target=ERROR_TARGET if rank is None else None,
        error_balanced=chosen.fit.prompt.balanced,
        error_k=chosen.fit.prompt.k,
        error_v=chosen.fit.prompt.v,
        rotation_moves=_distance_on_prompt(trace, content, trace.get("pattern", layer)),
        calibration=calibration.text,
        ladder=ladder,
    )
    stored = {f"latent.{layer}.{name}": array.astype(np.float32) for name, array in tensors.items()}
    reports = {**(trace.meta.latent or {}), str(layer): asdict(report)}
    return Trace(replace(trace.meta, latent=reports), {**trace.tensors, **stored})


class _Grams(NamedTuple):
    """``X^T X`` of the three sets of inputs, each (d_model, d_model) and with the same centre."""

    calibration: Array
    held_out: Array
    prompt: Array


def _report_rank(
    trace: Trace, layer: int, rank: int, grams: _Grams, basis: Basis, plain: Basis
) -> RankReport:
    """Measure errors and pattern distances at one rank."""
    factors = basis.factors(rank)
    keys = project(trace.get("x", layer) @ factors.W_DKV, factors.W_UK)
    content = content_pattern(trace, layer, keys)
    return RankReport(
        rank=rank,
        fit=FitErrors(*(basis.errors(rank, gram) for gram in grams)),
        weight_svd=FitErrors(*(plain.errors(rank, gram) for gram in grams)),
        latent_moves_content=_distance_on_prompt(
            trace, content, content_pattern(trace, layer, trace.get(trace.unrotated("k"), layer))
        ),
        both_move=_distance_on_prompt(trace, content, trace.get("pattern", layer)),
    )


def _output_bias(
    trace: Trace, layer: int, weights: KeyValueWeights, factors: Factors, centre: Array
) -> Array:
    """Return the layer's output bias with a latent, (d_model,).

    It includes the value bias and the latent's error for the mean input.
    """
    weight_error = weights.W_V - project(factors.W_DKV, factors.W_UV)
    constant = project(centre[None], weight_error)[0]  # (n_kv_heads, d_v)
    if trace.has("b_V", layer):
        constant = constant + trace.get("b_V", layer)
    per_head = np.repeat(constant, trace.meta.n_heads // trace.meta.n_kv_heads, axis=0)
    b_O = trace.get("b_O", layer) if trace.has("b_O", layer) else None
    bias: Array = merge_heads(per_head[None], trace.get("W_O", layer), b_O)[0]
    return bias


def _distance_on_prompt(trace: Trace, pattern: Array, other: Array) -> PatternDistance:
    """Return the distance between two patterns of all positions on the prompt's rows."""
    n_prompt = trace.meta.n_prompt
    return PatternDistance.between(pattern[:, :n_prompt], other[:, :n_prompt])


# --- Read a stored latent -------------------------------------------------------------------------


def content_pattern(trace: Trace, layer: int, keys: ArrayLike) -> Array:
    """Return the content-only pattern of a layer: the pattern without any rotation.

    Parameters
    ----------
    trace : Trace
    layer : int
    keys : (position, n_kv_heads, d_qk)
        Before rotation: the trace's ``k.L``, or keys expanded from a latent.

    Returns
    -------
    (n_heads, query, key)
        Equal to the model's pattern if the model does not rotate and the keys are its own.
    """
    queries, values = trace.get(trace.unrotated("q"), layer), trace.get("v", layer)
    return trace.attend(layer, queries, keys, values).pattern


def fitted_latent(trace: Trace, layer: int) -> FittedLatent:
    """Return the latent that is stored for a layer.

    Raises
    ------
    TraceError
        If there is none; the message names the command that adds one.
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
            score_bias=trace.position_bias(layer),
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
        report: LatentReport = from_json(
            LatentReport, (trace.meta.latent or {})[str(layer)], least=0
        )
    except (KeyError, TypeError) as error:
        raise TraceError(
            f"the report on the latent of layer {layer} is damaged ({error}); fit it again"
        ) from error
    if rank not in {report.rank} & {entry.rank for entry in report.ladder}:
        raise TraceError(
            f"the report on the latent of layer {layer} is not about rank {rank}; fit it again"
        )
    return report


def latent_error(trace: Trace, layer: int) -> float:
    """Measure a stored latent on the prompt again, and return the difference from its report.

    Returns
    -------
    float
        The largest difference of an error or of a pattern distance.  Errors of the values are not
        compared in a layer with biases, where they are measured from the mean of the calibration
        text, which a trace does not hold.

    Raises
    ------
    TraceError
        If there is no latent, or its report is damaged.
    """
    report = latent_report(trace, layer)
    latents = fitted_latent(trace, layer)
    n_prompt = trace.meta.n_prompt
    keys = project(latents.kv_latent, latents.layer.W_UK)
    true_keys, own = trace.get("k", layer), trace.get("pattern", layer)
    content = content_pattern(trace, layer, keys)
    true_content = content_pattern(trace, layer, true_keys)
    chosen = report.chosen
    differences = []
    for pattern, other, told in (
        (true_content, own, report.rotation_moves),
        (content, true_content, chosen.latent_moves_content),
        (content, own, chosen.both_move),
    ):
        measured = _distance_on_prompt(trace, pattern, other)
        differences += [measured.mean - told.mean, measured.worst - told.worst]
    if latents.layer.b_O is None:
        values = project(latents.kv_latent, latents.layer.W_UV)
        for fitted, true, error in (
            (keys, true_keys, report.error_k),
            (values, trace.get("v", layer), report.error_v),
        ):
            lost, whole = (np.linalg.norm(part[:n_prompt]) for part in (fitted - true, true))
            differences.append(float(lost / whole) - error)
    return float(np.abs(differences).max())


def _require_stored(trace: Trace, layer: int) -> None:
    if f"latent.{layer}.W_DKV" not in trace.tensors:
        if reason := _obstacle(trace):
            raise TraceError(
                f"the trace of {trace.meta.model} holds no latent, and none can be fitted: {reason}"
            )
        raise TraceError(
            f"the trace of {trace.meta.model} holds no latent of layer {layer}; add one with: "
            f"python -m extract latent FILE --layer {layer}"
        )
