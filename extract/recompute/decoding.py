"""Decode the tokens after the prompt again from a trace, with a cache of keys and values.

Every step takes the queries, keys and values of one new token and reads all older keys and values
from the cache.  Its rows are compared with the model's own, from one pass over all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.attention.arithmetic import Array, LayerShape, MultiplyAdds, multiply_adds
from extract.attention.self_check import TOLERANCE, relative_error
from extract.trace import Trace

__all__ = ["DecodedRow", "Decoding", "decode"]


@dataclass(frozen=True, eq=False)
class DecodedRow:
    """Scores, pattern and z of one new token, computed with the cache.

    Attributes
    ----------
    position : int
        Position of the new token, counted from 0.
    scores, pattern : (n_heads, position + 1)
        Over the cached keys and the new one.
    z : (n_heads, d_v)
    work : MultiplyAdds
        Multiply-adds of the layer in this step.
    work_without_cache : MultiplyAdds
        Multiply-adds without a cache: all rows up to here are computed again, because the layers
        above need every row.
    """

    position: int
    scores: Array
    pattern: Array
    z: Array
    work: MultiplyAdds
    work_without_cache: MultiplyAdds


@dataclass(frozen=True, eq=False)
class Decoding:
    """All decoding steps of one layer.

    Attributes
    ----------
    prompt_work : MultiplyAdds
        Multiply-adds of the layer for the prompt, which is computed once with or without a cache.
    steps : tuple of DecodedRow
    error : float
        The largest difference between the rows computed with the cache and those of the trace,
        max|a - b| / max|b|, over patterns and z.
    """

    prompt_work: MultiplyAdds
    steps: tuple[DecodedRow, ...]
    error: float

    @property
    def agrees(self) -> bool:
        """Whether the rows are the same up to the trace's rounding errors."""
        return self.error <= TOLERANCE

    def cumulative_multiply_adds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the total multiply-adds after the prompt and after each step.

        Returns
        -------
        with_cache, without_cache : (1 + number of steps,)
        """
        first = self.prompt_work.total
        return (
            np.cumsum([first, *(step.work.total for step in self.steps)]),
            np.cumsum([first, *(step.work_without_cache.total for step in self.steps)]),
        )


def decode(trace: Trace, layer: int, *, max_tokens: int | None = None) -> Decoding:
    """Decode the tokens after the prompt in one layer, all heads.

    Parameters
    ----------
    trace : Trace
        Of a model that caches keys and values, not a latent.
    layer : int
    max_tokens : int, optional
        Largest number of tokens to decode; all of them by default.

    Raises
    ------
    ValueError
        If the trace is of a model with multi-head latent attention.
    """
    meta = trace.meta
    if meta.attention == "mla":
        raise ValueError(f"{meta.model} caches a latent, not keys and values")
    shape = LayerShape(meta.d_model, meta.n_heads, meta.n_kv_heads, meta.d_qk, meta.d_v)
    q, k, v = trace.queries(layer), trace.keys(layer), trace.get("v", layer)
    stop = (
        len(meta.tokens)
        if max_tokens is None
        else min(len(meta.tokens), meta.n_prompt + max_tokens)
    )
    steps = []
    errors = [0.0]
    for position in range(meta.n_prompt, stop):
        n_keys = position + 1
        row = trace.attend(layer, q[position:n_keys], k[:n_keys], v[:n_keys])
        steps.append(
            DecodedRow(
                position=position,
                scores=row.scores[:, 0],
                pattern=row.pattern[:, 0],
                z=row.z[0],
                work=multiply_adds(shape, 1, position),
                work_without_cache=multiply_adds(shape, n_keys),
            )
        )
        pattern = trace.get("pattern", layer)[:, position, :n_keys]
        errors += [
            relative_error(row.pattern[:, 0], pattern),
            relative_error(row.z[0], trace.get("z", layer)[position]),
        ]
    return Decoding(multiply_adds(shape, meta.n_prompt), tuple(steps), max(errors))
