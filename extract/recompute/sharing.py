"""Recompute a traced layer with fewer key and value heads than it was trained with.

Grouped-query and multi-query attention let several query heads read one key and value head.  For a
model that was trained with more of them, each group's heads are replaced by their mean, as in the
GQA paper (Ainslie et al. 2023, arXiv 2305.13245, section 2.1), and the patterns are computed again.
That paper then trains further; nothing is trained here, so the patterns change.

In a model with rotary positions, pooling means: average the keys before rotation (that is, the key
weights), then rotate.  A rotation is linear and the same for every head, so this equals the mean of
the rotated keys, which is what is computed.  In a model that normalises its keys, normalised ones
are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.attention.arithmetic import Array, pool_heads
from extract.attention.patterns import PatternDistance, moved_attention
from extract.trace import Trace

__all__ = ["MAX_GROUPS", "SharedLayer", "groups_for", "share_heads"]

MAX_GROUPS = 4
"""Largest number of groups that `groups_for` returns."""


def groups_for(n_heads: int) -> int:
    """Return the largest number of equal groups, up to `MAX_GROUPS`, with more than one head each.

    Examples
    --------
    >>> [groups_for(n) for n in (4, 7, 9, 12, 14)]
    [2, 1, 3, 4, 2]
    """
    maximum = min(MAX_GROUPS, max(1, n_heads // 2))
    return next(n for n in range(maximum, 0, -1) if n_heads % n == 0)


@dataclass(frozen=True, eq=False)
class SharedLayer:
    """A layer whose query heads share keys and values in `n_groups` groups.

    Attributes
    ----------
    n_groups : int
    n_kv_heads : int
        Number of key and value heads of the model itself.
    k : (position, n_groups, d_qk)
        Keys as used in the scores, after any rotation.
    v : (position, n_groups, d_v)
    pattern : (n_heads, query, key)
    row_distances : (n_heads, n_prompt - 1)
        How much of the attention goes to other keys than in the model; see
        `extract.attention.patterns.moved_attention`.
    """

    n_groups: int
    n_kv_heads: int
    k: Array
    v: Array
    pattern: Array
    row_distances: Array

    @property
    def pooled(self) -> bool:
        """Whether the grouping differs from the one that the model was trained with."""
        return self.n_groups != self.n_kv_heads

    @property
    def pattern_distance(self) -> PatternDistance:
        """Distance between these patterns and the model's own, over all heads and rows."""
        return PatternDistance.of_rows(self.row_distances)

    def heads(self, group: int) -> range:
        """Return the query heads of a group."""
        size = len(self.pattern) // self.n_groups
        return range(size * group, size * (group + 1))


def share_heads(trace: Trace, layer: int, n_groups: int) -> SharedLayer:
    """Recompute a layer whose query heads share keys and values in `n_groups` groups.

    With as many groups as the model has key and value heads, the result is the model's own layer.

    Raises
    ------
    ValueError
        If the model's key and value heads cannot be split into `n_groups` equal groups.
    """
    meta = trace.meta
    k, v = (pool_heads(heads, n_groups) for heads in (trace.keys(layer), trace.get("v", layer)))
    pattern = trace.attend(layer, trace.queries(layer), k, v).pattern
    return SharedLayer(
        n_groups=n_groups,
        n_kv_heads=meta.n_kv_heads,
        k=k,
        v=v,
        pattern=pattern,
        row_distances=moved_attention(trace.get("pattern", layer), pattern, meta.n_prompt),
    )
