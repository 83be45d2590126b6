"""One layer with less to cache: one shared set of keys and values, or one latent for all heads.

Both sides keep the model's rotation, and everything else of the layer as it is: keys that come from
a latent are rotated after they have been expanded, so they cannot be absorbed (see
`extract.conversion.convert` for a form that can).  Nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.attention.arithmetic import Array, as_float64
from extract.attention.patterns import PatternDistance
from extract.latent.naive_and_absorbed import both_forms
from extract.recompute.sharing import share_heads
from extract.trace import Trace

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
        From the model's own patterns, over all heads and rows of the prompt but the first.
    """

    numbers: int
    pattern: Array
    distance: PatternDistance


@dataclass(frozen=True, eq=False)
class Duel:
    """Both ways, and the model's own patterns.

    Attributes
    ----------
    own : (n_heads, query, key)
    shared, latent : Side
    """

    own: Array
    shared: Side
    latent: Side


def duel(trace: Trace, layer: int) -> Duel:
    """Compute a layer with one shared set of keys and values, and with its fitted latent.

    Raises
    ------
    TraceError
        If the trace holds no latent of the layer; the message names the command that adds one.
    """
    meta, mla = trace.meta, both_forms(trace, layer)
    own = as_float64(trace.get("pattern", layer))
    keys = mla.k
    if trace.has("b_K", layer):
        # The latent is fitted to what differs from key to key; rotated, a mean matters.
        lost = as_float64(trace.get(trace.unrotated("k"), layer)) - keys
        keys = keys + lost[int(meta.has_bos) : meta.n_prompt].mean(axis=0)
    if trace.rotates:
        keys = trace.rotation(layer).apply(keys)
    attention = trace.attend(layer, trace.queries(layer), keys, mla.naive.v)

    def side(numbers: int, pattern: Array) -> Side:
        ends = (p[:, : meta.n_prompt] for p in (own, pattern))
        return Side(numbers, pattern, PatternDistance.between(*ends))

    width = meta.d_qk + meta.d_v
    return Duel(
        own=own,
        shared=side(width, share_heads(trace, layer, 1).pattern),
        latent=side(mla.n_cached, attention.pattern),
    )
