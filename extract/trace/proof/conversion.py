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
from extract.trace.contents.byte_tokens import whole_text
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
    LayerHealing,
    Row,
    conversion_report,
    rung_error,
)
from extract.trace.contents.meta import TraceMeta

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
    """Refuse a report that does not fit this trace's model, prompt and tensors, or itself."""
    # One after the other: each relies on those before it.
    for fits, what in chain(_compared_with_trace(trace, report), _compared_with_itself(report)):
        if not fits:
            raise _unfit(what)


def _compared_with_trace(
    trace: Activations, report: ConversionReport
) -> Iterator[tuple[bool, str]]:
    """Yield whether parts of a report fit the trace, each with what is wrong if they do not."""
    meta, rows = trace.meta, _rows(report)
    ladder = [(row.way, row.numbers) for row in report.ladder]
    measured = {(way, numbers) for way, numbers in ladder if way in RUNG_WAYS}
    c, k_rot = (trace[f"mla.{meta.featured.layer}.{name}"] for name in ("c", "k_rot"))
    yield report.next_word == meta.top_tokens[meta.n_prompt - 1][0], "it is about another word"
    yield {meta.has_bos, report.bos} == {row.bos for row in rows}, "it is about another beginning"
    yield report.cached == meta.n_kv_heads * meta.one_set, "it is about another model"
    yield (
        (report.rank, report.rotated) == (c.shape[-1], k_rot.shape[-1]),
        "its sizes are not those of its tensors",
    )
    yield (
        [way for way, _ in ladder if way not in RUNG_WAYS] == [*WAYS[: -len(RUNG_WAYS)]],
        "the ladder does not begin with the model and the two ways into one shared set",
    )
    yield (
        measured == set(rungs(trace.tensors)) and len(set(ladder)) == len(ladder),
        "the rungs are not those of its ladder",
    )
    contest = DUEL_WAYS if has_duel(trace.tensors) else DUEL_WAYS[:2]
    yield (
        {(way, meta.one_set) for way in contest} <= set(ladder),
        "its ladder has no rows as large as one shared set",
    )
    yield all(row.numbers <= report.cached for row in report.ladder), "a row has too many numbers"
    for row in report.ladder:
        used = trace.tensors.get(f"rung.{row.way}.{row.numbers}.q_used")
        yield used is None or used.shape[-1] == meta.d_qk + (row.rotated or 0), "a width is wrong"
    yield all(len(row.moved_by_layer) == meta.n_layers for row in rows), "layers are missing"
    yield (
        all(len(layers) == (meta.n_layers if report.healed else 0) for layers in _healing(report)),
        "the healing of a layer is missing",
    )
    yield _goes_on(meta, _row(report, "model").continuation), "the model says another text"


def _goes_on(meta: TraceMeta, said: str) -> bool:
    """Return whether a text begins as the model goes on, as far as its trace knows."""
    first, generated = meta.top_tokens[meta.n_prompt - 1][0], meta.tokens[meta.n_prompt :]
    known = whole_text([first] if meta.continued or not generated else generated)
    # Decoders leave out blanks at the beginning, and write a sign for incomplete characters.
    texts = ["".join(text.replace("\ufffd", "").split()) for text in (known, said)]
    length = min(map(len, texts))
    return texts[0][:length] == texts[1][:length] and bool(said)


def _compared_with_itself(report: ConversionReport) -> Iterator[tuple[bool, str]]:
    """Yield whether parts of a report fit one another, each with what is wrong if they do not."""
    rows = _rows(report)
    is_healed = report.healed is not None
    versions = (False, True)[: 1 + is_healed]
    kept = {"mla": (report.stored, report.healed)}
    if report.shared_set is not None:
        kept["mqa_fitted"] = (report.shared_set.stored, report.shared_set.healed)
    windows = [("model", False), *((way, healed) for way in kept for healed in versions)]
    yield [(row.way, row.healed) for row in report.windows] == windows, "long windows are missing"
    yield (
        all((healed is not None) is is_healed for _, healed in kept.values())
        and is_healed is (report.heal_minutes > 0),
        "what is stored was not trained as long as it says",
    )
    yield (
        all(
            (row.way, row.rotated, row.rank) == (way, stored.rotated, stored.rank)
            for way, (stored, healed) in kept.items()
            for row in filter(None, (stored, healed))
        )
        and (report.stored.rotated, report.stored.rank) == (report.rotated, report.rank),
        "what is stored is of another way or size",
    )
    yield all(map(_adds_up, rows)), "sizes do not add up"
    yield (
        all(layer.after <= layer.before for layers in _healing(report) for layer in layers),
        "the healing made a layer worse",
    )
    yield len({row.second_text is None for row in rows}) == 1, "a second text is missing"
    yield (
        report.tokens % report.window == 0
        and report.window_first < report.window
        and len({row.fitted_window for row in report.ladder}) == 1
        and {row.fitted_window for row in rows[len(report.ladder) :]} == {report.window},
        "its windows are not as long as it says",
    )


def _adds_up(row: Row) -> bool:
    """Return whether a row's numbers are those of a rotated key and a latent, if it has them."""
    parts = row.rotated, row.rank
    if row.way in WAYS[:2]:
        return parts == (None, None)
    return None not in parts and sum(filter(None, parts)) == row.numbers


def _healing(report: ConversionReport) -> tuple[tuple[LayerHealing, ...], ...]:
    """Return how each layer was healed, of the conversion and of the best shared set."""
    shared = () if report.shared_set is None else (report.shared_set.healing,)
    return (report.healing, *shared)


def _rows(report: ConversionReport) -> list[Row]:
    made = [report.stored, report.healed]
    if report.shared_set is not None:
        made += [report.shared_set.stored, report.shared_set.healed]
    return [*report.ladder, *filter(None, made)]


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
    yield "model", own.numbers - report.cached
    yield "model", np.array([own.agreement - 1, own.kl])
    for text in filter(None, (own.second_text, report.windows[0].result)):
        yield "model", np.array([text.agreement - 1, text.kl])
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
