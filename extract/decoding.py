"""The words after the prompt, decoded again from a trace with a cache of keys and values.

Every step takes one new row of queries, keys and values, and reads all older keys and values from
what was kept.  Its rows are compared with the model's own, which come from a pass over all words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.attention import Array, LayerShape, MultiplyAdds, attend, multiply_adds
from extract.proof import TOLERANCE, relative_error
from extract.trace import Trace

__all__ = ["CachedRow", "Decoding", "decode"]


@dataclass(frozen=True, eq=False)
class CachedRow:
    """What one step computes.

    Attributes
    ----------
    position : int
        Of the new token, counted from 0.
    scores, pattern : (n_heads, position + 1)
        Over the keys kept so far and the new one.
    z : (n_heads, d_v)
    work : MultiplyAdds
        Multiply-adds of the layer in this step.
    work_without_cache : MultiplyAdds
        Multiply-adds if all rows up to here are computed again, as without a cache they must be:
        the layers above need every row.
    """

    position: int
    scores: Array
    pattern: Array
    z: Array
    work: MultiplyAdds
    work_without_cache: MultiplyAdds


@dataclass(frozen=True, eq=False)
class Decoding:
    """All steps of one layer.

    Attributes
    ----------
    prompt_work : MultiplyAdds
        Multiply-adds of the layer for the prompt, which either way is computed once, whole.
    steps : tuple of CachedRow
    error : float
        The largest difference between the rows computed with the cache and those of the trace,
        max|a - b| / max|b|, over patterns and z.
    """

    prompt_work: MultiplyAdds
    steps: tuple[CachedRow, ...]
    error: float

    @property
    def agrees(self) -> bool:
        """Whether the rows are the same up to the rounding of the trace."""
        return self.error <= TOLERANCE

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Multiply-adds so far, with the cache and without: after the prompt, then each step."""
        first = self.prompt_work.total
        return (
            np.cumsum([first, *(step.work.total for step in self.steps)]),
            np.cumsum([first, *(step.work_without_cache.total for step in self.steps)]),
        )


def decode(trace: Trace, layer: int, *, most: int | None = None) -> Decoding:
    """Decode the words after the prompt in one layer, all heads.

    Parameters
    ----------
    trace : Trace
        With keys and values of its own; a layer that keeps a latent instead does other work.
    layer : int
    most : int, optional
        How many words; all of them by default.

    Raises
    ------
    ValueError
        If the trace is of a model with multi-head latent attention.
    """
    meta = trace.meta
    if meta.attention == "mla":
        raise ValueError(f"{meta.model} keeps a latent, not keys and values")
    shape = LayerShape(meta.d_model, meta.n_heads, meta.n_kv_heads, meta.d_qk, meta.d_v)
    q, k, v = trace.queries(layer), trace.keys(layer), trace.get("v", layer)
    stop = len(meta.tokens) if most is None else min(len(meta.tokens), meta.n_prompt + most)
    slopes = np.asarray(trace["alibi_slopes"]) if meta.positions == "alibi" else np.zeros(1)
    steps = []
    errors = [0.0]
    for position in range(meta.n_prompt, stop):
        seen = position + 1
        bias = slopes[:, None, None] * (np.arange(seen) - position)  # (head, 1, key)
        row = attend(q[position:seen], k[:seen], v[:seen], meta.score_scale, bias)
        steps.append(
            CachedRow(
                position=position,
                scores=row.scores[:, 0],
                pattern=row.pattern[:, 0],
                z=row.z[0],
                work=multiply_adds(shape, 1, position),
                work_without_cache=multiply_adds(shape, seen),
            )
        )
        pattern = trace.get("pattern", layer)[:, position, :seen]
        errors += [
            relative_error(row.pattern[:, 0], pattern),
            relative_error(row.z[0], trace.get("z", layer)[position]),
        ]
    return Decoding(multiply_adds(shape, meta.n_prompt), tuple(steps), max(errors))
