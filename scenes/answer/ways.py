"""The four ways to remember, on a traced layer: what is kept, and how much attention moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from extract.architectures import MOE, Scheme
from extract.conversion_report import at_equal_size
from extract.duel import duel
from extract.sharing import groups_for
from filmkit.core.facts import fact
from filmkit.core.language import N_, _
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_percent
from filmkit.core.view import LayerView
from filmkit.mobjects.shared_view import SharedView

__all__ = ["NAMES", "Way", "better_tests", "ways"]

Array = npt.NDArray[np.float64]
Panel = tuple[Array, TensorSource]

NAMES: dict[Scheme, str] = {
    "mha": N_("every head its own"),
    "gqa": N_("shared by groups"),
    "mqa": N_("one set for all"),
    "mla": N_("one latent"),
}
"""What each way is called; translated where it is shown."""


def whole_percent(share: float) -> str:
    """Return a share in whole per cent."""
    return format_percent(share, 0)


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
        What is said about it below its bar.
    """

    scheme: Scheme
    groups: tuple[tuple[int, ...], ...]
    view: SharedView | None
    patterns: tuple[Panel, ...] | None
    moved: float | None
    cost: str

    @property
    def figure(self) -> str:
        """The share that moves, such as "56%"; empty where nothing changes or is known."""
        if self.patterns is None or self.moved is None:
            return ""
        name = _(NAMES[self.scheme])
        return fact("way moves", self.moved, whole_percent, beside=name, way=self.scheme)


def ways(layer: LayerView) -> tuple[Way, ...]:
    """Return the four ways on a layer, from keys and values for every head to the latent.

    Patterns are those of the layer when it alone is changed. If the model was converted as a
    whole, what one set and the latent cost is measured over all its layers, at equal size.
    """
    meta = layer.trace.meta
    contest, both = at_equal_size(layer.trace), duel(layer.trace, layer.layer)
    grouped = 1 < meta.n_kv_heads < meta.n_heads
    between = meta.n_kv_heads if grouped else groups_for(meta.n_heads)
    everyone = (tuple(range(meta.n_heads)),)
    latent = both.latent.distance.mean if contest is None else contest.latent.moved
    return (
        _shared(layer, "mha", meta.n_heads, None),
        _shared(layer, "gqa", between, None),
        _shared(layer, "mqa", 1, contest.mean.moved if contest is not None else None),
        Way(
            "mla",
            everyone,
            None,
            _patterns(layer, both.latent.pattern),
            latent,
            _words(latent),
        ),
    )


def _shared(layer: LayerView, scheme: Scheme, sets: int, measured: float | None) -> Way:
    """Return a way with sets of keys and values that groups of heads share.

    ``measured`` is the share of attention that moves when all layers are changed, if it is known.
    """
    meta = layer.trace.meta
    size = meta.n_heads // sets
    groups = tuple(tuple(range(first, first + size)) for first in range(0, meta.n_heads, size))
    if sets > meta.n_kv_heads:
        return Way(scheme, groups, None, None, None, _("this model never had them"))
    view = SharedView.of(layer, sets)
    if not view.shared.pooled:
        return Way(scheme, groups, view, None, 0.0, _("this model’s own"))
    moved = measured
    if meta.conversion is None:
        moved = view.shared.pattern_distance.mean
    patterns = tuple(view.pattern(head) for head in range(meta.n_heads))
    return Way(scheme, groups, view, patterns, moved, _words(moved))


def _patterns(layer: LayerView, values: Array) -> tuple[Panel, ...]:
    """Return what is drawn of the patterns (head, query, key) of all heads from the latent."""
    span = slice(layer.first, layer.stop)
    return tuple(
        (pattern[span, span], layer.computed("rotated_latent_pattern", head=head))
        for head, pattern in enumerate(values)
    )


def _words(moved: float | None) -> str:
    return _("not measured") if moved is None else _("of attention lands on other words")


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
