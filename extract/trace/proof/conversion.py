"""Compute a stored conversion again, and what its report says of it: part of a trace's proof.

Checked are the tensors ``mla.*`` and ``rung.*`` and every figure of the report that follows from
them: how much attention moves in the stored conversion, the errors of the rungs' keys and values,
and the rows about the model itself.  What was measured on texts that a trace does not hold, such as
perplexities, only the seal of the file protects.

Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import (
    Array,
    Rotation,
    as_float64,
    causal_mask,
    for_each_head,
    merge_heads,
    pool_heads,
    project,
    softmax,
)
from extract.attention.patterns import PatternDistance
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import TraceError
from extract.trace.contents.activations import Activations
from extract.trace.contents.conversion_names import (
    CONVERSION_PREFIXES,
    DUEL_WAYS,
    has_duel,
    rungs,
)
from extract.trace.contents.conversion_report import (
    RUNG_WAYS,
    WAYS,
    ConversionReport,
    Row,
    conversion_report,
    rung_error,
)

__all__ = ["conversion_errors", "report_errors"]


def conversion_errors(trace: Activations) -> dict[str, float]:
    """Compute every step of the conversion again from the one before it.

    Returns
    -------
    dict
        Error of each tensor by its name, max|a - b| / max|b|; empty if there is no conversion.

    Raises
    ------
    TraceError
        If a stored pattern is not one.
    """
    if not _is_converted(trace):
        return {}
    errors = _layer_errors(trace, trace.meta.featured.layer)
    for way, numbers in rungs(trace.tensors):
        prefix = f"rung.{way}.{numbers}"
        _require_pattern(trace, f"{prefix}.pattern")
        if f"{prefix}.q_used" in trace.tensors:
            q, k = (as_float64(trace[f"{prefix}.{name}"]) for name in ("q_used", "k_used"))
            pattern = _pattern(trace.meta.score_scale * q @ k.T)
            errors[f"{prefix}.pattern"] = relative_error(pattern, trace[f"{prefix}.pattern"])
    if has_duel(trace.tensors):
        errors |= _duel_errors(trace)
    for layer in range(trace.meta.n_layers):
        _require_pattern(trace, f"mla.{layer}.pattern")
    return errors


def report_errors(trace: Activations) -> dict[str, float]:
    """Compute again what the report on the conversion says of the tensors.

    Returns
    -------
    dict
        Largest absolute difference of each group of figures; empty if there is no conversion.

    Raises
    ------
    TraceError
        If the report is damaged, or is not about these tensors.
    """
    if not _is_converted(trace):
        return {}
    report = conversion_report(trace)
    _require_fitting(trace, report)
    differences = chain(_row_differences(trace, report), _rung_differences(trace, report))
    errors: dict[str, float] = {}
    for name, difference in differences:
        # np.maximum, because max() passes over what is not a number.
        errors[name] = float(np.maximum(errors.get(name, 0.0), np.abs(difference).max(initial=0.0)))
    return errors


def _is_converted(trace: Activations) -> bool:
    """Return whether a trace holds a conversion, after checking that it holds all parts of one."""
    tensors = any(name.startswith(CONVERSION_PREFIXES) for name in trace.tensors)
    if tensors is not (trace.meta.conversion is not None):
        raise _unfit("its tensors and its metadata contradict one another")
    return tensors


def _unfit(what: str) -> TraceError:
    return TraceError(f"the conversion is damaged: {what}; convert the model again")


def _pattern(scores: Array) -> Array:
    """Return the causal softmax of scaled scores, (..., query, key)."""
    return softmax(np.where(causal_mask(*scores.shape[-2:]), scores, -np.inf))


def _require_pattern(trace: Activations, name: str) -> None:
    pattern = as_float64(trace[name])
    off = float(np.abs(pattern.sum(axis=-1) - 1).max())
    if pattern.min() < 0 or np.triu(pattern, k=1).any() or not off <= TOLERANCE:
        raise _unfit(f"'{name}' is not a causal attention pattern")


def _layer_errors(trace: Activations, layer: int) -> dict[str, float]:
    """Return the error of each step of the converted layer."""
    meta = trace.meta

    def stored(name: str) -> Array:
        return as_float64(trace[f"mla.{layer}.{name}"])

    def bias(name: str) -> Array:
        tensor = trace.tensors.get(f"mla.{layer}.{name}")
        return np.zeros(()) if tensor is None else as_float64(tensor)

    rotation = Rotation.by_angles(np.outer(np.arange(len(meta.tokens)), stored("frequencies")))
    x, c = stored("x"), stored("c")
    b_Q = trace.get("b_Q", layer) if trace.has("b_Q", layer) else None
    q = project(x, trace.weights("W_Q", layer), b_Q)
    k, v = (for_each_head(project(c, stored(name)), meta.n_heads) for name in ("W_UK", "W_UV"))
    k_rot = stored("k_rot")
    again = {
        "c": x @ stored("W_DKV"),
        "k_rot": rotation.apply((x @ stored("W_KR") + bias("b_KR"))[:, None])[:, 0],
        "q_rot": rotation.apply(project(x, stored("W_QR")) + bias("b_QR")),
        "scores_rot": meta.score_scale * np.einsum("qhd,kd->hqk", stored("q_rot"), k_rot),
        "scores_latent": meta.score_scale * np.einsum("qhd,khd->hqk", q, k),
        "pattern": _pattern(stored("scores_rot") + stored("scores_latent")),
        "z": np.einsum("hqk,khd->qhd", stored("pattern"), v),
        "out": merge_heads(stored("z"), trace.weights("W_O", layer), stored("b_O")),
    }
    return {
        f"mla.{layer}.{name}": relative_error(value, stored(name))
        for name, value in again.items()
        if value.size
    }


def _duel_errors(trace: Activations) -> dict[str, float]:
    """Return the errors of the patterns of all heads in each way of the duel.

    Of the ways that are rungs too, the featured head's pattern is also compared with the rung's.
    """
    meta, errors = trace.meta, {}
    for way in DUEL_WAYS:
        name = f"duel.{way}.pattern"
        _require_pattern(trace, name)
        q, k = (as_float64(trace[f"duel.{way}.{part}"]) for part in ("q_used", "k_used"))
        k = for_each_head(k, meta.n_heads)
        pattern = _pattern(meta.score_scale * np.einsum("qhd,khd->hqk", q, k))
        errors[name] = relative_error(pattern, trace[name])
        rung = f"rung.{way}.{meta.one_set}.pattern"
        if rung in trace.tensors:
            own = relative_error(trace[rung], trace[name][meta.featured.head])
            errors[name] = max(errors[name], own)
    return errors


def _require_fitting(trace: Activations, report: ConversionReport) -> None:
    """Refuse a report that is not about this trace's model, prompt and tensors."""
    meta = trace.meta
    rows = _rows(report)
    ladder = [(row.way, row.numbers) for row in report.ladder]
    measured = {(way, numbers) for way, numbers in ladder if way in RUNG_WAYS}
    featured = meta.featured.layer
    best = [] if report.shared_set is None else [report.shared_set]
    finals = [report.final, *(shared.final for shared in best)]
    for fits, what in (
        (report.next_word == meta.top_tokens[meta.n_prompt - 1][0], "it is about another word"),
        (report.bos == meta.has_bos, "it is about another beginning"),
        (report.cached == meta.n_kv_heads * (meta.d_qk + meta.d_v), "it is about another model"),
        (
            (report.rank, report.rotated)
            == (
                trace[f"mla.{featured}.c"].shape[-1],
                trace[f"mla.{featured}.k_rot"].shape[-1],
            ),
            "its sizes are not those of its tensors",
        ),
        (
            [way for way, _ in ladder if way not in RUNG_WAYS] == [*WAYS[: -len(RUNG_WAYS)]],
            "the ladder does not begin with the model and the two ways into one shared set",
        ),
        (
            measured == set(rungs(trace.tensors)) and len(set(ladder)) == len(ladder),
            "the rungs are not those of its ladder",
        ),
        (all(row.way in WAYS for row in rows), "it names a way that is not known"),
        (all(len(row.moved_by_layer) == meta.n_layers for row in rows), "layers are missing"),
        (all(0 <= share <= 1 for row in rows for share in _shares(row)), "a share is not one"),
        (
            all(row.rotated + row.rank == row.numbers for row in rows if row.rank and row.rotated),
            "sizes do not add up",
        ),
        (
            len(report.windows) == 1 + (1 + (report.healed is not None)) * len(finals),
            "long windows are missing",
        ),
        (
            all(
                len(healing) == (meta.n_layers if report.healed else 0)
                for healing in (report.healing, *(shared.healing for shared in best))
            ),
            "the healing of a layer is missing",
        ),
        (
            all((shared.healed is None) is (report.healed is None) for shared in best),
            "its shared set was not trained as it was",
        ),
    ):
        if not fits:
            raise _unfit(what)


def _rows(report: ConversionReport) -> list[Row]:
    made = [report.stored, report.healed]
    if report.shared_set is not None:
        made += [report.shared_set.stored, report.shared_set.healed]
    return [*report.ladder, *filter(None, made)]


def _shares(row: Row) -> tuple[float, ...]:
    return (row.agreement, row.next_word_probability, *row.moved_by_layer)


def _row_differences(
    trace: Activations, report: ConversionReport
) -> Iterator[tuple[str, npt.ArrayLike]]:
    """Yield differences of the shares of attention that move, and of the rows about the model."""
    meta, n = trace.meta, trace.meta.n_prompt
    for row in _rows(report):
        yield "moved", row.moved - np.mean(row.moved_by_layer)

    def moved(layer: int, pattern: Array) -> float:
        """Return how much attention moves, mean of all heads and rows of the prompt but one."""
        return PatternDistance.between(trace.get("pattern", layer), pattern, n).mean

    if n > 1:
        again = [moved(layer, trace[f"mla.{layer}.pattern"]) for layer in range(meta.n_layers)]
        yield "moved", np.array(again) - report.final.moved_by_layer
        if has_duel(trace.tensors):
            featured = meta.featured.layer
            for way in DUEL_WAYS:
                share = moved(featured, trace[f"duel.{way}.pattern"])
                yield "moved", share - _row(report, way, meta.one_set).moved_by_layer[featured]
        # The inputs of the first layer are the model's own, so its rows can be computed too.
        keys, values = (pool_heads(h, 1) for h in (trace.keys(0), trace.get("v", 0)))
        shared = trace.attend(0, trace.queries(0), keys, values).pattern
        yield "moved", moved(0, shared) - _row(report, "mqa").moved_by_layer[0]
    own = _row(report, "model")
    probability = float(trace["top_probs"][n - 1, 0])
    yield "model", own.next_word_probability - probability
    yield "model", np.array([own.agreement - 1, own.kl, own.numbers - report.cached])
    yield "model", np.array(own.moved_by_layer)


def _row(report: ConversionReport, way: str, numbers: int | None = None) -> Row:
    """Return a row of the ladder: of a way, and of as many numbers where it has several."""
    rows = (row for row in report.ladder if row.way == way)
    return next(row for row in rows if numbers is None or row.numbers == numbers)


def _rung_differences(
    trace: Activations, report: ConversionReport
) -> Iterator[tuple[str, npt.ArrayLike]]:
    """Yield differences of the errors of keys and values."""
    for row in report.ladder:
        for name, reported in (("k", row.key_error), ("v", row.value_error)):
            if row.way not in RUNG_WAYS:
                continue
            error = rung_error(trace, name, trace[f"rung.{row.way}.{row.numbers}.{name}"])
            yield "errors", np.nan if reported is None else error - reported
