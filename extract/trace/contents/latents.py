"""A latent that was fitted to a layer, and the report on it, as a trace holds them."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from extract.attention.arithmetic import Array, as_float64
from extract.attention.low_rank import Errors
from extract.attention.mla import LatentLayer
from extract.attention.patterns import PatternDistance
from extract.errors import TraceError
from extract.support.ranges import Amount, Checksum, Size
from extract.trace.contents.activations import Activations
from extract.trace.contents.json_records import from_json

__all__ = [
    "CalibrationText",
    "FitErrors",
    "FittedLatent",
    "LatentReport",
    "RankReport",
    "content_pattern",
    "fitted_latent",
    "latent_obstacle",
    "latent_report",
]


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
    sha256: Checksum
    n_fitted: Size
    n_held_out: Size
    n_passage: Size


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

    rank: Size
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
    error_balanced, error_k, error_v : float
        Errors on the prompt; see `extract.attention.low_rank.Errors`.
    rotation_moves : PatternDistance
        Between the content-only patterns and the model's own; about 0 if the model does not rotate.
    calibration : CalibrationText
    ladder : tuple of RankReport
        Reports on all measured ranks in ascending order; `rank` is one of them.
    """

    rank: Size
    full_rank: Size
    n_cached: Size
    error_balanced: Amount
    error_k: Amount
    error_v: Amount
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


def content_pattern(trace: Activations, layer: int, keys: ArrayLike) -> Array:
    """Return the content-only pattern of a layer: the pattern without any rotation.

    Parameters
    ----------
    trace : Activations
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


def fitted_latent(trace: Activations, layer: int) -> FittedLatent:
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


def latent_report(trace: Activations, layer: int) -> LatentReport:
    """Return what was measured when a layer's latent was fitted.

    Raises
    ------
    TraceError
        If the layer has none, or the report is damaged.
    """
    _require_stored(trace, layer)
    meta, rank = trace.meta, trace[f"latent.{layer}.W_DKV"].shape[1]
    try:
        document = dict((meta.latent or {})[str(layer)])
        document.pop("error_target", None)  # in files of former versions; nothing shows it
        report: LatentReport = from_json(LatentReport, document)
    except (KeyError, TypeError) as error:
        raise TraceError(
            f"the report on the latent of layer {layer} is damaged ({error}); fit it again"
        ) from error
    if rank not in {report.rank} & {entry.rank for entry in report.ladder}:
        raise TraceError(
            f"the report on the latent of layer {layer} is not about rank {rank}; fit it again"
        )
    n_cached, chosen = meta.n_kv_heads * meta.one_set, report.chosen
    ranks = [entry.rank for entry in report.ladder]
    distances = [report.rotation_moves]
    for entry in report.ladder:
        distances += [entry.latent_moves_content, entry.both_move]
    for fits, what in (
        (
            (report.n_cached, report.full_rank) == (n_cached, min(n_cached, meta.d_model)),
            "it is about another model",
        ),
        (
            ranks == sorted({*ranks}) and ranks[-1] <= report.full_rank,
            "its ranks do not ascend to the full rank",
        ),
        (
            chosen.fit.prompt == Errors(report.error_balanced, report.error_k, report.error_v),
            "its errors are not those of its ladder",
        ),
        (all(one.mean <= one.worst for one in distances), "a mean is above the largest"),
    ):
        if not fits:
            raise TraceError(
                f"the report on the latent of layer {layer} is damaged: {what}; fit it again"
            )
    return report


def _require_stored(trace: Activations, layer: int) -> None:
    if f"latent.{layer}.W_DKV" not in trace.tensors:
        if reason := latent_obstacle(trace):
            raise TraceError(
                f"the trace of {trace.meta.model} holds no latent, and none can be fitted: {reason}"
            )
        raise TraceError(
            f"the trace of {trace.meta.model} holds no latent of layer {layer}; add one with: "
            f"python -m extract latent FILE --layer {layer}"
        )


def latent_obstacle(trace: Activations) -> str:
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
