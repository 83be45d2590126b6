"""The four ways to remember, on a traced layer: what is kept, and how much attention moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from extract.architectures import MOE, Scheme
from extract.attention import as_float64, total_variation
from extract.conversion_report import ConversionReport, conversion_report
from extract.sharing import groups_for
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_share
from filmkit.core.view import LayerView, rotary_pairs
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.shared_view import SharedView

__all__ = ["NAMES", "Way", "better_tests", "ways"]

Array = npt.NDArray[np.float64]
Panel = tuple[Array, TensorSource]

NAMES: dict[Scheme, str] = {
    "mha": "every head its own",
    "gqa": "shared by groups",
    "mqa": "one set for all",
    "mla": "one latent",
}


@dataclass(frozen=True)
class Way:
    """One way to remember, on the layer of the trace.

    Attributes
    ----------
    scheme
        "mha", "gqa", "mqa" or "mla".
    groups
        Heads of each set of keys and values that is kept; one group for a latent.
    view
        The layer with these sets; None for a latent, and where the model never had so many.
    patterns
        The pattern of each head, if it is another one than the model's own.
    moved
        Share of the attention that moves against the model's own; None if that is not known.
    cost
        The same in words.
    """

    scheme: Scheme
    groups: tuple[tuple[int, ...], ...]
    view: SharedView | None
    patterns: tuple[Panel, ...] | None
    moved: float | None
    cost: str


def ways(layer: LayerView, latent: LatentView) -> tuple[Way, ...]:
    """Return the four ways on a layer, from keys and values for every head to the latent."""
    meta = layer.trace.meta
    report = conversion_report(layer.trace) if meta.conversion is not None else None
    grouped = 1 < meta.n_kv_heads < meta.n_heads
    between = meta.n_kv_heads if grouped else groups_for(meta.n_heads)
    sets: tuple[tuple[Scheme, int], ...] = (("mha", meta.n_heads), ("gqa", between), ("mqa", 1))
    shared = [_shared(layer, scheme, count, report) for scheme, count in sets]
    return (*shared, _latent(latent, report))


def _shared(layer: LayerView, scheme: Scheme, sets: int, report: ConversionReport | None) -> Way:
    meta = layer.trace.meta
    size = meta.n_heads // sets
    groups = tuple(tuple(range(first, first + size)) for first in range(0, meta.n_heads, size))
    if sets > meta.n_kv_heads:
        return Way(scheme, groups, None, None, None, "this model never had them")
    view = SharedView.of(layer, sets)
    if not view.shared.pooled:
        return Way(scheme, groups, view, None, 0.0, "this model’s own")
    moved: float | None = view.shared.pattern_distance.mean
    if report is not None:
        moved = _row(report, scheme)
    patterns = tuple(
        (
            view.shared.pattern[head, view.span, view.span],
            layer.computed(f"pattern of head {head} with shared keys and values", "key_pos"),
        )
        for head in range(meta.n_heads)
    )
    return Way(scheme, groups, view, patterns, moved, _words(moved))


def _latent(latent: LatentView, report: ConversionReport | None) -> Way:
    """Return the latent of the layer, with its keys rotated after they are computed."""
    layer, meta = latent.layer, latent.layer.trace.meta
    trace, number = layer.trace, layer.layer
    keys = _rotated(layer, latent.forms.k)
    whole = trace.attend(number, trace.queries(number), keys, latent.forms.naive.v).pattern
    own = as_float64(trace.get("pattern", number))
    rows = slice(1, meta.n_prompt)
    moved = float(total_variation(own[:, rows], whole[:, rows]).mean())
    if report is not None:
        moved = report.stored.moved
    source = layer.computed("pattern with keys from the latent, rotated after", "key_pos")
    span = slice(layer.first, layer.stop)
    patterns = tuple((whole[head, span, span], source) for head in range(meta.n_heads))
    return Way("mla", (tuple(range(meta.n_heads)),), None, patterns, moved, _words(moved))


def _rotated(layer: LayerView, keys: Array) -> Array:
    """Rotate keys (position, head, channel) as the model does its own.

    The rotation of each pair of channels is read off the model's keys before and after it.
    """
    trace, number = layer.trace, layer.layer
    if not trace.rotates:
        return keys
    first, second = rotary_pairs(trace).T
    before, after = (
        as_float64(values)[..., first] + 1j * as_float64(values)[..., second]
        for values in (trace.get(trace.unrotated("k"), number), trace.keys(number))
    )
    turn = (after * before.conj()).sum(axis=1) / (np.abs(before) ** 2).sum(axis=1)
    turned = (keys[..., first] + 1j * keys[..., second]) * turn[:, None]
    rotated = keys.copy()
    rotated[..., first], rotated[..., second] = turned.real, turned.imag
    return rotated


def _row(report: ConversionReport, scheme: Scheme) -> float | None:
    """Return how much attention moves in the whole model, or None if it was not measured."""
    moved = [row.moved for row in report.ladder if row.way == scheme]
    return moved[0] if moved else None


def _words(moved: float | None) -> str:
    return "not measured" if moved is None else f"{format_share(moved)} of attention moves"


def better_tests() -> tuple[int, int]:
    """Return in how many published tests a latent did better than all heads, and of how many."""
    tests = ("bbh", "mmlu", "c_eval", "cmmlu")
    by_name = {(c.size, c.attention): c for c in MOE.columns}
    pairs = [
        (getattr(by_name[size, "MLA"], test), getattr(by_name[size, "MHA"], test))
        for size in ("small", "large")
        for test in tests
    ]
    return sum(latent > full for latent, full in pairs), len(pairs)
