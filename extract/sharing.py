"""A traced layer with fewer key and value heads than it was trained with.

Grouped-query and multi-query attention let several query heads read one key and value head.  For a
model that was trained with more of them, each group's heads are replaced by their mean, as in the
GQA paper (Ainslie et al. 2023, arXiv 2305.13245, section 2.1), and all that follows is computed
again.  That paper then trains on; nothing is trained here, so the patterns move.

In a model with rotary positions it is the keys before rotation that are pooled (the weights that
make them, in other words), and the pooled keys are rotated.  A rotation is linear and the same for
every head, so the result is the mean of the rotated keys, and that is how it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from extract.attention import Array, as_float64, attend, pool_heads, total_variation
from extract.latent import Moved
from extract.trace import Trace

__all__ = ["MAX_GROUPS", "SharedLayer", "groups_for", "share_heads"]

MAX_GROUPS = 4
"""Into how many groups heads are put at most, where the model does not say."""


def groups_for(n_heads: int) -> int:
    """Return the largest number of equal groups, up to `MOST_GROUPS`, with more than one head each.

    Examples
    --------
    >>> [groups_for(n) for n in (4, 7, 9, 12, 14)]
    [2, 1, 3, 4, 2]
    """
    most = min(MAX_GROUPS, max(1, n_heads // 2))
    return next(n for n in range(most, 0, -1) if n_heads % n == 0)


@dataclass(frozen=True, eq=False)
class SharedLayer:
    """A layer whose query heads share keys and values in `n_groups` groups.

    Attributes
    ----------
    n_groups : int
    n_own : int
        Key and value heads that the model has.
    k : (position, n_groups, d_qk)
        As used in the scores, rotated if the model rotates.
    v : (position, n_groups, d_v)
    scores, pattern : (n_heads, query, key)
        See `extract.attention.Attended`.
    z : (position, n_heads, d_v)
    row_moves : (n_heads, query)
        How far each row of the prompt's patterns is from the model's own: total variation.  The
        first row has a single key and cannot move, so it is left out.
    """

    n_groups: int
    n_own: int
    k: Array
    v: Array
    scores: Array
    pattern: Array
    z: Array
    row_moves: Array

    @property
    def pooled(self) -> bool:
        """Whether this is not what the model was trained with."""
        return self.n_groups != self.n_own

    @property
    def moved(self) -> Moved:
        """How far the patterns moved, over all heads and rows."""
        if not self.row_moves.size:
            return Moved(0.0, 0.0)
        return Moved(float(self.row_moves.mean()), float(self.row_moves.max()))

    def group(self, head: int) -> int:
        """Return the group of a query head."""
        return head * self.n_groups // len(self.pattern)

    def heads(self, group: int) -> tuple[int, ...]:
        """Return the query heads of a group."""
        return tuple(h for h in range(len(self.pattern)) if self.group(h) == group)


def share_heads(trace: Trace, layer: int, n_groups: int) -> SharedLayer:
    """Let the query heads of a layer share keys and values in `n_groups` groups.

    With as many groups as the model has key and value heads, this is the model's own layer.

    Raises
    ------
    ValueError
        If the model's key and value heads cannot be pooled into so many equal groups.
    """
    meta = trace.meta
    k, v = (pool_heads(heads, n_groups) for heads in (trace.keys(layer), trace.get("v", layer)))
    # What the layer adds to its scaled scores: nothing, but where positions are linear biases.
    own_scores = trace.scores(layer)
    bias = own_scores - meta.score_scale * trace.scores(layer, scaled=False)
    made = attend(trace.queries(layer), k, v, meta.score_scale, bias)
    own = as_float64(trace.get("pattern", layer))[:, : meta.n_prompt]
    moves = total_variation(own, made.pattern[:, : meta.n_prompt])[:, 1:]
    return SharedLayer(
        n_groups=n_groups,
        n_own=meta.n_kv_heads,
        k=k,
        v=v,
        scores=made.scores,
        pattern=made.pattern,
        z=made.z,
        row_moves=np.asarray(moves),
    )
