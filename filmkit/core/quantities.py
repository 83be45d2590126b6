"""What computed panels show: how each is called, and how it is computed again from a trace.

Pictures compute what they draw in ways that suit them. Each panel's source names a quantity and
what it was computed from (:class:`~filmkit.core.norm.TensorSource`); the function of that quantity
computes the same from the trace in another way, as plainly as it can be written. So a panel can be
checked: :class:`PanelCheck` compares it with its source. A new quantity is a function with the
decorator :func:`quantity`::

    @quantity(N_("mean of all patterns"), axes=("query_pos", "key_pos"))
    def mean_pattern(trace, layer):
        return trace.get("pattern", layer).mean(axis=0)

    Heatmap(values, source=view.computed("mean_pattern"))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import AttentionResult
from extract.trace import Trace, TraceError
from filmkit.core.errors import SceneCodeError, place_of_code, require_call
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.model_places import HEAD, KV_HEAD, LAYER, ModelPlace
from filmkit.core.norm import TensorSource

__all__ = [
    "KINDS",
    "PLAIN_NAMES",
    "POSITIONS",
    "QUANTITIES",
    "NamedNumbers",
    "PanelCheck",
    "Quantity",
    "axes_of",
    "cells_of",
    "described",
    "draws_before",
    "has_keys",
    "in_words",
    "place_of",
    "quantity",
]

Array = npt.NDArray[np.float64]
Compute = Callable[..., npt.NDArray[Any]]
Rows = tuple[int, int]

POSITIONS = ("pos", "query_pos", "key_pos")
"""Axes that count the positions of a prompt."""

KINDS = {"n_heads": HEAD, "n_kv_heads": KV_HEAD, "n_layers": LAYER}
"""Axes that count heads or layers, and what these are."""

PLAIN_NAMES = {
    **dict.fromkeys(("position", "token"), "pos"),
    "query": "query_pos",
    "key": "key_pos",
    "head": "n_heads",
    "kv_head": "n_kv_heads",
    "layer": "n_layers",
}
"""Other names for the axes of a quantity, and those that traces have for them."""

EACH_PAIR = ("query_pos", "key_pos")  # axes of what each query has with each key
SHARED = N_("with shared keys and values")
TOLERANCE = 1e-5  # of a panel's largest number, by which its numbers may differ


@dataclass(frozen=True)
class NamedNumbers:
    """What numbers are called, and their axes.

    Attributes
    ----------
    name, how
        What they are, such as "scaled scores", and how they came about, such as "with shared keys",
        in English; where their layer and head are said, they stand between both.
    axes
        Names of their axes, as :meth:`extract.trace.Trace.axes` has them; or plainly "token",
        "query", "key", "head", "kv_head" and "layer", which become those names.
    """

    name: str
    how: str
    axes: tuple[str, ...]

    def __post_init__(self) -> None:
        named = tuple(PLAIN_NAMES.get(axis, axis) for axis in self.axes)
        object.__setattr__(self, "axes", named)

    def words(self, *, transposed: bool = False) -> tuple[str, str]:
        """Return name and how in the language in use, for :func:`in_words`."""
        name = _(self.name)
        if transposed:
            name = _("transposed {name}", name=name)
        return name, _(self.how) if self.how else ""


@dataclass(frozen=True)
class Quantity(NamedNumbers):
    """Something that is computed from a trace.

    Attributes
    ----------
    compute
        Called with the trace and what it is computed from; returns it for all positions.
    """

    compute: Compute

    def takes(self, name: str) -> bool:
        """Return whether its function has an argument of a name, or takes any."""
        arguments = signature(self.compute).parameters
        return name in arguments or any(a.kind is a.VAR_KEYWORD for a in arguments.values())

    def require(self, **given: Any) -> None:
        """Raise a SceneCodeError unless its function takes these arguments beside the trace."""
        require_call(self.compute, f"the quantity {self.compute.__name__}", None, **given)

    def of(self, trace: Trace, **given: Any) -> npt.NDArray[Any]:
        """Compute it from a trace.

        Raises
        ------
        SceneCodeError
            If its function takes other arguments, or returns no array of rows and columns, or one
            with other axes.
        """
        self.require(**given)
        found = self.compute(trace, **given)
        if np.ndim(found) < 2:
            raise SceneCodeError(
                f"the quantity {self.compute.__name__} returns an array of shape "
                f"{np.shape(found)}; let it return rows and columns",
                place_of_code(self.compute),
            )
        if self.axes and np.ndim(found) != len(self.axes):
            raise SceneCodeError(
                f"the quantity {self.compute.__name__} returns an array of shape "
                f"{np.shape(found)}, and names the axes {', '.join(self.axes)}; name one for each",
                place_of_code(self.compute),
            )
        return found


def in_words(name: str, how: str = "", where: str = "") -> str:
    """Return in a few words what numbers are, how they came about, and where in a model."""
    place = _(" of {where}", where=where) if where else ""
    if not place:
        return _("{name} {how}", name=name, how=how) if how else name
    if how:
        return _("{name}{place} {how}", name=name, place=place, how=how)
    return _("{name}{place}", name=name, place=place)


QUANTITIES: dict[str, Quantity] = {}
"""All quantities, by the names of their functions."""


def quantity(name: str, how: str = "", *, axes: tuple[str, ...]) -> Callable[[Compute], Compute]:
    """Add a function to the quantities that panels can show; a decorator.

    ``name``, ``how`` and ``axes`` are those of a :class:`Quantity`.

    Raises
    ------
    SceneCodeError
        If the project has a quantity of that name.
    """

    def add(compute: Compute) -> Compute:
        known = QUANTITIES.get(compute.__name__)
        owner = known.compute.__module__ if known else ""
        if owner.startswith(("filmkit.", "scenes.")) and owner != compute.__module__:
            raise SceneCodeError(
                f"there is a quantity {compute.__name__} already; give the function another name",
                place_of_code(compute),
            )
        QUANTITIES[compute.__name__] = Quantity(name, how, axes, compute)
        return compute

    return add


# Sources


def axes_of(trace: Trace, source: TensorSource) -> tuple[str, ...]:
    """Return the names of the axes of a tensor or quantity; none where they are not known."""
    if source.tensor is not None:
        return trace.axes(source.tensor) if source.tensor in trace.tensors else ()
    return QUANTITIES[source.quantity].axes if source.quantity in QUANTITIES else ()


def place_of(trace: Trace, source: TensorSource) -> ModelPlace:
    """Return the layers and heads that a source's numbers come from."""
    said = ModelPlace.given(dict(source.given))
    if source.tensor is not None:
        layers = tuple(int(part) for part in source.tensor.split(".") if part.isdigit())[:1]
        said = ModelPlace(layers)
    for axis, place in zip(axes_of(trace, source), source.index, strict=False):
        numbers = (place,) if isinstance(place, int) else tuple(range(*place))
        if (kind := KINDS.get(axis)) == LAYER:
            said = replace(said, layers=numbers)
        elif kind is not None:
            said = replace(said, heads=numbers, kind=kind)
    return said


def has_keys(trace: Trace, source: TensorSource) -> bool:
    """Return whether a source has a cell for each key that is looked at, or may have.

    Of a quantity without names for its axes that is not known.
    """
    axes = axes_of(trace, source)
    return not axes or "key_pos" in axes


def draws_before(trace: Trace, source: TensorSource, position: int) -> bool:
    """Return whether rows or columns of a source are of positions before one.

    A quantity without such axes says so itself, by being computed with ``first_token=True``.
    """
    if dict(source.given).get("first_token", False):
        return True
    axes = zip(axes_of(trace, source), source.index, strict=False)
    return any(
        axis in ("pos", "key_pos", "before") and isinstance(place, tuple) and place[0] < position
        for axis, place in axes
    )


def described(source: TensorSource) -> str:
    """Return in words what was computed, or what is another model's; "" for the film's tensors."""
    given, model = dict(source.given), source.model
    if source.is_scale:
        name = given["name"]
        return _("colour scale of {name}", name=name) if name else _("colour scale")
    if source.tensor is not None:
        return _("{tensor} of {model}", tensor=source.tensor, model=model) if model else ""
    if not source.quantity:
        return source.expression
    name, how = QUANTITIES[source.quantity].words(transposed=source.transposed)
    words = in_words(name, how, ModelPlace.given(given).words())
    return _("{what}, {model}", what=words, model=model) if model else words


def cells_of(trace: Trace, source: TensorSource) -> Array:
    """Compute the cells that a source names again, (rows, columns).

    Parameters
    ----------
    trace
        That of the source's model.
    source
        A tensor or a quantity, not a colour scale.

    Raises
    ------
    SceneCodeError
        If a quantity is no array of rows and columns, or has fewer cells than the source names.
    """
    if source.tensor is not None:
        whole = trace[source.tensor]
    else:
        quantity = QUANTITIES[source.quantity]
        whole = quantity.of(trace, **dict(source.given))
        for count, place in zip(whole.shape, source.index, strict=False):
            if isinstance(place, tuple) and place[1] > count:
                # A slice beyond the end of an array is shorter, without an error.
                raise SceneCodeError(
                    f"the quantity {source.quantity} returns an array of shape {whole.shape}, and "
                    f"the cells {place[0]} to {place[1] - 1} of an axis are shown; return it for "
                    f"all positions, those that are not drawn too",
                    place_of_code(quantity.compute),
                )
    index = tuple(slice(*axis) if isinstance(axis, tuple) else axis for axis in source.index)
    cells = np.atleast_2d(np.asarray(whole, dtype=np.float64)[index])
    return cells.T if source.transposed else cells


class PanelCheck:
    """Compares heatmaps with what their sources say; each quantity is computed once.

    Parameters
    ----------
    *traces
        The film's own, and those of other models whose numbers are shown.
    """

    def __init__(self, *traces: Trace) -> None:
        self.traces = traces
        self._cells: dict[TensorSource, Array] = {}

    def trace_of(self, source: TensorSource) -> Trace | None:
        """Return the trace that a source's numbers are from, or None if it is not known here."""
        if not source.model:
            return self.traces[0]
        named = (trace for trace in self.traces[1:] if trace.meta.model == source.model)
        return next(named, None)

    def untrue(self, cells: Heatmap) -> str:
        """Return what is wrong with the numbers of a heatmap, "" if they are what its source says.

        Of numbers that are only described in words, or not at all, nothing can be said.
        """
        source, trace = cells.source, self.trace_of(cells.source)
        if trace is None or (source.tensor is None and not source.quantity):
            return ""
        name = source.tensor or described(source)
        if source.is_scale:
            expected = cells.norm.values_at(np.linspace(0, 1, cells.shape[1]))[None]
        else:
            try:
                if source not in self._cells:
                    self._cells[source] = cells_of(trace, source)
            except (TraceError, LookupError, TypeError, ValueError):
                return f"the trace does not hold what the panel names: {name}"
            expected = self._cells[source]
        if expected.shape != cells.shape:
            return f"{name} is {expected.shape}, its panel {cells.shape}"
        if np.abs(expected - cells.values).max() > TOLERANCE * np.abs(expected).max():
            return f"the panel of {name} shows other numbers"
        return ""


# What is computed of one head


@quantity(N_("dot products of queries and keys"), axes=EACH_PAIR)
def dot_products(trace: Trace, layer: int, head: int) -> Array:
    """Return the dot products of the queries and keys of a head, (query, key)."""
    q = _float(trace.get(trace.used("q"), layer))[:, head]
    return q @ _own(trace, layer, trace.kv_head(head), trace.used("k")).T


@quantity(N_("scaled scores"), axes=EACH_PAIR)
def scores(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores of a head before the causal mask, (query, key)."""
    meta = trace.meta
    found = meta.score_scale * dot_products(trace, layer, head) + trace.position_bias(layer)[head]
    return meta.score_cap * np.tanh(found / meta.score_cap) if meta.score_cap else found


# A layer from its latent


@dataclass(frozen=True)
class _Latent:
    """The latents of a layer and what is made of them, at all positions."""

    trace: Trace
    layer: int

    @property
    def trained(self) -> bool:
        """Whether the model was trained with it."""
        return self.trace.meta.attention == "mla"

    @property
    def converted(self) -> bool:
        """Whether it is that of the whole model's conversion."""
        return not self.trained and f"mla.{self.layer}.c" in self.trace.tensors

    def _converted(self, name: str) -> Array:
        return _float(self.trace[f"mla.{self.layer}.{name}"])

    def _weight(self, name: str) -> Array:
        if self.trained:
            return _float(self.trace.weights(name, self.layer))
        if self.converted:
            return self._converted(name)
        return _float(self.trace[f"latent.{self.layer}.{name}"])

    @property
    def bias(self) -> npt.ArrayLike:
        """Bias of the output, (d_model,), or 0."""
        if self.converted:
            return self._converted("b_O")
        name = f"b_O.{self.layer}" if self.trained else f"latent.{self.layer}.b_O"
        return self.trace.tensors.get(name, 0.0)

    @cached_property
    def latents(self) -> Array:
        """(position, r)."""
        if self.trained:
            return _float(self.trace.get("kv_latent", self.layer))
        x = self._converted("x") if self.converted else _float(self.trace.get("x", self.layer))
        return x @ self._weight("W_DKV")

    @cached_property
    def rope(self) -> Array:
        """The shared rotated keys, (position, d_rope); without columns for a fitted latent."""
        if self.trained:
            return _float(self.trace.get("k_rope", self.layer))
        return self._converted("k_rot") if self.converted else self.latents[:, :0]

    def keys(self, kv_head: int) -> Array:
        """(position, d_qk), the shared rotated key behind."""
        return np.hstack([self.latents @ self._weight("W_UK")[:, kv_head], self.rope])

    def values(self, kv_head: int) -> Array:
        """(position, d_v)."""
        return self.latents @ self._weight("W_UV")[:, kv_head]

    def queries(self, head: int) -> tuple[Array, Array]:
        """The content part and the rotated part, (position, d_qk) and (position, d_rope)."""
        trace, layer = self.trace, self.layer
        if self.converted:
            bias = trace.tensors.get(f"b_Q.{layer}")
            content = self._converted("x") @ _float(trace.weights("W_Q", layer))[:, head]
            content = content if bias is None else content + bias[head]
            return content, self._converted("q_rot")[:, head]
        names = "q", trace.used("q")
        q, rotated = (_float(trace.get(name, layer))[:, head] for name in names)
        width = q.shape[1] - self.rope.shape[1]
        return q[:, :width], rotated[:, width:]

    def asked(self, head: int) -> Array:
        """The queries of a head in the space of the latents, (position, r)."""
        return self.queries(head)[0] @ self._weight("W_UK")[:, self.trace.kv_head(head)].T

    def parts(self, head: int) -> tuple[Array, Array]:
        """The scaled scores of the latents and of the rotated part, (query, key) each."""
        scale, bias = self.trace.meta.score_scale, self.trace.position_bias(self.layer)[head]
        of_latents = scale * self.asked(head) @ self.latents.T + bias
        return of_latents, scale * self.queries(head)[1] @ self.rope.T

    def pattern(self, head: int) -> Array:
        """(query, key)."""
        of_latents, rotated = self.parts(head)
        return _attention(of_latents + rotated)

    def mix(self, head: int) -> Array:
        """Pattern times values, (position, d_v)."""
        return self.pattern(head) @ self.values(self.trace.kv_head(head))


@quantity(N_("x times the fitted W_DKV"), axes=("pos", "r"))
def latents(trace: Trace, layer: int) -> Array:
    """Return the latents of a layer, (position, r)."""
    return _Latent(trace, layer).latents


@quantity(N_("keys"), N_("from the latent"), axes=("pos", "d_qk"))
def latent_keys(trace: Trace, layer: int, kv_head: int, about: Rows | None = None) -> Array:
    """Return keys from the latent, less the mean of some rows, (position, d_qk)."""
    return _less_mean(_Latent(trace, layer).keys(kv_head), about)


@quantity(N_("values"), N_("from the latent"), axes=("pos", "d_v"))
def latent_values(trace: Trace, layer: int, kv_head: int, about: Rows | None = None) -> Array:
    """Return values from the latent, less the mean of some rows, (position, d_v)."""
    return _less_mean(_Latent(trace, layer).values(kv_head), about)


@quantity(N_("scaled scores"), N_("with keys from the latent"), axes=EACH_PAIR)
def latent_scores(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores with keys from the latent, (query, key)."""
    return sum(_Latent(trace, layer).parts(head), start=np.zeros(()))


@quantity(N_("attention pattern"), N_("with keys from the latent"), axes=EACH_PAIR)
def latent_pattern(trace: Trace, layer: int, head: int) -> Array:
    """Return the pattern with keys from the latent, (query, key)."""
    return _Latent(trace, layer).pattern(head)


@quantity(N_("queries"), N_("of the converted layer"), axes=("pos", "d_qk"))
def converted_queries(trace: Trace, layer: int, head: int) -> Array:
    """Return the queries of a converted layer, the rotated part behind, (position, d_qk)."""
    return np.hstack(_Latent(trace, layer).queries(head))


@quantity(N_("queries times W_UK, transposed"), axes=("pos", "r"))
def latent_queries(trace: Trace, layer: int, head: int) -> Array:
    """Return the queries in the space of the latents, (position, r)."""
    return _Latent(trace, layer).asked(head)


@quantity(N_("pattern times the latent"), axes=("pos", "r"))
def mixed_latents(trace: Trace, layer: int, head: int) -> Array:
    """Return the pattern times the latents, (position, r)."""
    latent = _Latent(trace, layer)
    return latent.pattern(head) @ latent.latents


@quantity(N_("scaled scores"), N_("of the latent part"), axes=EACH_PAIR)
def scores_of_latents(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores of the part that is not rotated, (query, key)."""
    return _Latent(trace, layer).parts(head)[0]


@quantity(N_("scaled scores"), N_("of the rotated part"), axes=EACH_PAIR)
def scores_of_rotated(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores of the rotated part, (query, key)."""
    return _Latent(trace, layer).parts(head)[1]


@quantity(N_("output"), N_("of the layer from its latent"), axes=("pos", "d_model"))
def latent_output(trace: Trace, layer: int) -> Array:
    """Return the output of a layer from its latents, (position, d_model)."""
    latent, W_O = _Latent(trace, layer), _float(trace.weights("W_O", layer))
    mixed = [latent.mix(head) @ W_O[head] for head in range(trace.meta.n_heads)]
    return np.sum(mixed, axis=0) + latent.bias


# What a latent loses


@quantity(N_("true keys about their mean row"), axes=("pos", "d_qk"))
def own_keys(trace: Trace, layer: int, kv_head: int, about: Rows) -> Array:
    """Return a layer's own keys before rotation, less the mean of some rows."""
    return _less_mean(_own(trace, layer, kv_head, trace.unrotated("k")), about)


@quantity(N_("rebuilt keys less the true ones"), axes=("pos", "d_qk"))
def lost_keys(trace: Trace, layer: int, kv_head: int, about: Rows | None = None) -> Array:
    """Return keys from the latent less the layer's own, each less the mean of some rows."""
    own = _own(trace, layer, kv_head, trace.unrotated("k"))
    return _less_mean(_Latent(trace, layer).keys(kv_head) - own, about)


# What is computed with less to cache, beside the model's own


@quantity(N_("attention pattern"), N_("with less to cache"), axes=EACH_PAIR)
def side_pattern(trace: Trace, layer: int, head: int, side: str) -> Array:
    """Return a head's pattern in a way of the duel, "mean", "best" or "latent", (query, key).

    It is that of the whole model's conversion, or else that of this layer alone.
    """
    stored = f"duel.{SIDES[side]}.pattern"
    if stored in trace.tensors and layer == trace.meta.featured.layer:
        return _float(trace[stored])[head]
    if side == "mean":
        return shared_pattern(trace, layer, head, 1)
    if side == "latent":
        return latent_pattern(trace, layer, head)
    key = _float(trace.get("x", layer)) @ _float(trace[f"shared.{layer}.W_DK"])
    W_UK = _float(trace[f"shared.{layer}.W_UK"])[:, trace.kv_head(head)]
    query = _float(trace.get(trace.used("q"), layer))[:, head]
    scaled = trace.meta.score_scale * query @ (key @ W_UK).T
    return _attention(scaled + trace.position_bias(layer)[head])


SIDES = {"mean": "mqa", "best": "mqa_fitted", "latent": "mla"}
"""The ways of the duel, and their names in a trace."""


@quantity(N_("difference from the model’s own pattern"), N_("with less to cache"), axes=EACH_PAIR)
def side_difference(trace: Trace, layer: int, head: int, side: str) -> Array:
    """Return how far a head's pattern in a way of the duel is from the model's, (query, key)."""
    own = _float(trace.get("pattern", layer))[head]
    return np.abs(side_pattern(trace, layer, head, side) - own)


# Keys and values that heads share


@quantity(N_("mean keys"), axes=("pos", "d_qk"))
def shared_keys(trace: Trace, layer: int, heads: tuple[int, int]) -> Array:
    """Return the mean of the keys that some heads read, the first and the last of which are given.

    They are those used in the scores, (position, d_qk).
    """
    return _pooled(trace, layer, trace.used("k"), heads)


@quantity(N_("mean values"), axes=("pos", "d_v"))
def shared_values(trace: Trace, layer: int, heads: tuple[int, int]) -> Array:
    """Return the mean of the values that some heads read, (position, d_v)."""
    return _pooled(trace, layer, "v", heads)


@quantity(N_("attention pattern"), SHARED, axes=EACH_PAIR)
def shared_pattern(trace: Trace, layer: int, head: int, sets: int) -> Array:
    """Return the pattern with that many sets of keys and values, (query, key)."""
    return _shared(trace, layer, sets).pattern[head]


@quantity(N_("difference from the model’s own pattern"), SHARED, axes=EACH_PAIR)
def shared_difference(trace: Trace, layer: int, head: int, sets: int) -> Array:
    """Return how far that pattern is from the model's own, (query, key)."""
    own = _float(trace.get("pattern", layer))[head]
    return np.abs(shared_pattern(trace, layer, head, sets) - own)


def _pooled(trace: Trace, layer: int, tensor: str, heads: tuple[int, int]) -> Array:
    """Return the mean of the keys or values that some heads read, (position, channel)."""
    first, last = map(trace.kv_head, heads)
    return _float(trace.get(tensor, layer))[:, first : last + 1].mean(axis=1)


def _shared(trace: Trace, layer: int, sets: int) -> AttentionResult:
    """Compute a layer with that many sets of keys and values, each the mean of as many."""
    size = trace.meta.n_heads // sets
    spans = [(first, first + size - 1) for first in range(0, trace.meta.n_heads, size)]
    keys, values = (
        np.stack([_pooled(trace, layer, tensor, span) for span in spans], axis=1)
        for tensor in (trace.used("k"), "v")
    )
    return trace.attend(layer, trace.queries(layer), keys, values)


# What a cache stores, as a block


@quantity(N_("keys"), N_("in each layer’s own scale"), axes=("pos", "unit", "channel"))
def cached_keys(trace: Trace, **place: object) -> Array:
    """Return the keys of all layers, (position, unit, channel), as they are used in the scores.

    A unit is a key/value head of a layer, in the order of layers and, in each layer, of heads.
    They are divided by the end of their layer's scale.
    """
    return _cached(trace, trace.used("k"), trace.unrotated("k"))


@quantity(N_("values"), N_("in each layer’s own scale"), axes=("pos", "unit", "channel"))
def cached_values(trace: Trace, **place: object) -> Array:
    """Return the values of all layers; see :func:`cached_keys`."""
    return _cached(trace, "v", "v")


@lru_cache(maxsize=2)  # scenes show many parts of both blocks
def _cached(trace: Trace, tensor: str, scale: str) -> Array:
    start, layers = int(trace.meta.has_bos), range(trace.meta.n_layers)
    ends = (np.percentile(np.abs(trace.get(scale, n)[start:]), 99) or 1.0 for n in layers)
    units = (_float(trace.get(tensor, n)) / end for n, end in zip(layers, ends, strict=True))
    return np.concatenate([*units], axis=1)


# Small parts of the above


def _float(values: npt.ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _own(trace: Trace, layer: int, kv_head: int, tensor: str) -> Array:
    return _float(trace.get(tensor, layer))[:, kv_head]


def _less_mean(values: Array, rows: Rows | None) -> Array:
    return values if rows is None else values - values[slice(*rows)].mean(axis=0)


def _attention(scaled: Array) -> Array:
    """Return the softmax of scaled scores (query, key) under the causal mask."""
    masked = np.where(np.tri(*scaled.shape) > 0, scaled, -np.inf)
    weights = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
