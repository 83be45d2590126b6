"""One layer with less to cache: one shared set of keys and values, or one latent for all heads.

All sides are in one setting, in which nothing is trained.  If the whole model was converted, that
is every layer converted in each way, and what is fitted is fitted to the same text (see
`extract.conversion`).  A layer that does not rotate its keys is computed alone, everything else of
the model as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.attention.arithmetic import Array, as_float64
from extract.attention.mla import absorb_into_query
from extract.attention.patterns import PatternDistance
from extract.errors import TraceError
from extract.latent.naive_and_absorbed import both_forms
from extract.recompute.sharing import share_heads
from extract.trace import Trace
from extract.trace.contents.conversion_names import DUEL_WAYS, has_duel

__all__ = ["Duel", "Side", "duel"]


@dataclass(frozen=True, eq=False)
class Side:
    """One way to cache less.

    Attributes
    ----------
    numbers : int
        Cached for each token of the layer.
    pattern : (n_heads, query, key)
    distance : PatternDistance
        From the model's own patterns.
    """

    numbers: int
    pattern: Array
    distance: PatternDistance


@dataclass(frozen=True, eq=False)
class Duel:
    """Three ways, and the model's own patterns.

    Attributes
    ----------
    own : (n_heads, query, key)
    mean, best : Side
        One shared set: the mean of the model's own, and the best that was found.
    latent : Side
        One latent, with the rotated key beside it in a model that rotates.
    """

    own: Array
    mean: Side
    best: Side
    latent: Side


def duel(trace: Trace, layer: int) -> Duel:
    """Return a layer with one shared set of keys and values, and with a latent.

    Raises
    ------
    TraceError
        If the trace lacks a side; the message names the command that adds it.
    """
    meta, own = trace.meta, as_float64(trace.get("pattern", layer))
    one_set = latent_numbers = meta.one_set
    if meta.conversion is not None and layer == meta.featured.layer:
        if not has_duel(trace.tensors):
            raise TraceError(
                f"the conversion of {meta.model} was made before it was compared with the best "
                "shared set; make it again with: python -m extract convert --out FILE"
            )
        mean, best, latent = (trace[f"duel.{way}.pattern"] for way in DUEL_WAYS)
    elif trace.rotates:
        raise TraceError(
            f"the trace of {meta.model} holds no conversion of layer {layer}, in which keys that "
            "rotate could be compared with one shared set"
        )
    else:
        mla = both_forms(trace, layer)
        latent, latent_numbers = mla.naive.pattern, mla.n_cached
        mean, best = share_heads(trace, layer, 1).pattern, _with_best_key(trace, layer)

    def side(numbers: int, pattern: Array) -> Side:
        distance = PatternDistance.between(own, pattern, meta.n_prompt)
        return Side(numbers, as_float64(pattern), distance)

    return Duel(own, side(one_set, mean), side(one_set, best), side(latent_numbers, latent))


def _with_best_key(trace: Trace, layer: int) -> Array:
    """Return the patterns of a layer whose heads all read the best shared key."""
    name = f"shared.{layer}.W_DK"
    if name not in trace.tensors:
        raise TraceError(
            f"the latent of {trace.meta.model} was fitted before it was compared with the best "
            f"shared set; fit it again with: python -m extract latent FILE --layer {layer}"
        )
    key = (as_float64(trace.get("x", layer)) @ as_float64(trace[name]))[:, None]
    queries = absorb_into_query(trace.queries(layer), trace[f"shared.{layer}.W_UK"])
    # Patterns do not depend on the values.
    return trace.attend(layer, queries, key, key).pattern
