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

The best shared set.  To be compared with the latent, the one key that all heads can share with the
least loss is fitted in the same way, for layers that do not rotate: as wide as a key of the model,
with a map of its own for each head's queries.  (Where keys are rotated, `extract.conversion` fits
one to the whole model.)  Patterns depend on no values, so no shared value is stored.

Rotary models.  The latent is fitted to keys before rotation, because rotated ones cannot be
absorbed (see `extract.attention.mla`).  A pattern from the latent is then a content-only pattern:
one without rotation.  Dropping the rotation alone already changes the pattern, so three distances
between patterns are reported: that due to dropping the rotation, that due to the latent among
content-only patterns, and that due to both together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from extract.attention.arithmetic import (
    Array,
    as_float64,
    for_each_head,
    merge_heads,
    project,
)
from extract.attention.low_rank import (
    Factors,
    KeyValueWeights,
    Moments,
    activation_basis,
    balance_of,
    weight_basis,
)
from extract.attention.patterns import PatternDistance
from extract.errors import ExtractError
from extract.trace import Trace
from extract.trace.contents.latents import (
    CalibrationText,
    FitErrors,
    LatentReport,
    RankReport,
    content_pattern,
    latent_obstacle,
)

__all__ = ["Calibration", "add_latent", "ladder_ranks", "require_fittable"]

LADDER_FRACTIONS = (1 / 24, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 3 / 4, 1)
"""The ranks that are measured, as fractions of the full rank, at which a latent loses nothing."""


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


def ladder_ranks(full_rank: int) -> tuple[int, ...]:
    """Return the ranks to measure, in ascending order up to the full rank."""
    return tuple(sorted({max(1, round(fraction * full_rank)) for fraction in LADDER_FRACTIONS}))


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
    if reason := latent_obstacle(trace):
        raise ExtractError(f"no latent can be fitted to {meta.model}: {reason}")
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
    trace: Trace,
    layer: int,
    calibration: Calibration,
    rank: int | None = None,
    progress: Callable[[str, int, int], None] = lambda task, done, total: None,
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
        By default as many numbers as one set of keys and values of the model, or as many as lose
        nothing, if these are fewer.
    progress : callable
        Progress callback (task, done, total).

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
    prompt = Moments.of(trace.get("x", layer)[: trace.meta.n_prompt])
    # In the order of `FitErrors`.
    grams = [part.about(centre) for part in (calibration.fitted, calibration.held_out, prompt)]
    rank = rank or min(trace.meta.one_set, weights.full_rank)
    ranks = sorted({*ladder_ranks(weights.full_rank), rank})
    steps = len(ranks) + 2

    def step(done: int) -> None:
        progress("fitting a latent", done, steps)

    step(0)
    balance = balance_of(weights, grams[0])
    basis = activation_basis(weights, grams[0], balance)
    step(1)
    plain = weight_basis(weights, balance)
    own = trace.get("pattern", layer)
    true_content = content_pattern(trace, layer, trace.get(trace.unrotated("k"), layer))

    def measured(candidate: int, done: int) -> RankReport:
        step(done)
        factors = basis.factors(candidate)
        keys = project(trace.get("x", layer) @ factors.W_DKV, factors.W_UK)
        content = content_pattern(trace, layer, keys)
        return RankReport(
            rank=candidate,
            fit=FitErrors(*(basis.errors(candidate, gram) for gram in grams)),
            weight_svd=FitErrors(*(plain.errors(candidate, gram) for gram in grams)),
            latent_moves_content=PatternDistance.between(
                content, true_content, trace.meta.n_prompt
            ),
            both_move=PatternDistance.between(content, own, trace.meta.n_prompt),
        )

    ladder = tuple(measured(candidate, done) for done, candidate in enumerate(ranks, 2))
    step(steps)
    chosen = next(entry for entry in ladder if entry.rank == rank)
    factors = basis.factors(chosen.rank)
    tensors = {"W_DKV": factors.W_DKV, "W_UK": factors.W_UK, "W_UV": factors.W_UV}
    if biased:
        tensors["b_O"] = _output_bias(trace, layer, weights, factors, centre)
    report = LatentReport(
        rank=chosen.rank,
        full_rank=weights.full_rank,
        n_cached=weights.joint.shape[1],
        error_balanced=chosen.fit.prompt.balanced,
        error_k=chosen.fit.prompt.k,
        error_v=chosen.fit.prompt.v,
        rotation_moves=PatternDistance.between(true_content, own, trace.meta.n_prompt),
        calibration=calibration.text,
        ladder=ladder,
    )
    stored = {f"latent.{layer}.{name}": array for name, array in tensors.items()}
    if not trace.rotates:
        best = shared_key(weights, grams[0])
        stored |= {f"shared.{layer}.W_DK": best.W_DKV, f"shared.{layer}.W_UK": best.W_UK}
    stored = {name: array.astype(np.float32) for name, array in stored.items()}
    reports = {**(trace.meta.latent or {}), str(layer): asdict(report)}
    return Trace(replace(trace.meta, latent=reports), {**trace.tensors, **stored})


def shared_key(weights: KeyValueWeights, gram: Array) -> Factors:
    """Return the best single key for all heads, as wide as one of theirs: a latent of keys alone.

    Parameters
    ----------
    weights : KeyValueWeights
    gram : (d_model, d_model)
        ``X^T X`` of the inputs that it is fitted to.
    """
    keys = KeyValueWeights(weights.W_K, weights.W_V[..., :0])
    basis = activation_basis(keys, gram, np.ones(keys.joint.shape[1]))
    return basis.factors(weights.W_K.shape[2])


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
    per_head = for_each_head(constant, trace.meta.n_heads)
    b_O = trace.get("b_O", layer) if trace.has("b_O", layer) else None
    bias: Array = merge_heads(per_head[None], trace.get("W_O", layer), b_O)[0]
    return bias
