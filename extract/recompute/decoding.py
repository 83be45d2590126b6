"""Decode the tokens after the prompt again from a trace, with a cache of keys and values.

Every step takes the queries, keys and values of one new token and reads all older keys and values
from the cache.  Its rows are compared with the model's own, from one pass over all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.attention.self_check import TOLERANCE, relative_error
from extract.trace import Trace, TraceMeta

__all__ = ["Decoding", "decode", "multiply_adds"]


@dataclass(frozen=True, eq=False)
class Decoding:
    """What all decoding steps of one layer cost, and what they lose.

    Attributes
    ----------
    cached, naive : (1 + number of steps,)
        Total multiply-adds after the prompt and after each step, with a cache and without one.
        The prompt is computed once with or without it; without it all rows up to here are computed
        again in each step, because the layers above need every row.
    error : float
        The largest difference between the rows computed with the cache and those of the trace,
        max|a - b| / max|b|, over patterns and z.
    """

    cached: NDArray[np.int64]
    naive: NDArray[np.int64]
    error: float

    @property
    def agrees(self) -> bool:
        """Whether the rows are the same up to the trace's rounding errors."""
        return self.error <= TOLERANCE


def multiply_adds(meta: TraceMeta, n_tokens: int) -> int:
    """Return the multiply-adds of one layer for the first tokens, without biases and softmax.

    Scores and mix count only the keys that the causal mask allows.
    """
    widths = meta.d_qk + meta.d_v
    projections = n_tokens * meta.d_model * (meta.n_heads + meta.n_kv_heads) * widths
    n_pairs = n_tokens * (n_tokens + 1) // 2  # of a query and a key up to the diagonal
    return projections + n_pairs * meta.n_heads * widths


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
    q, k, v = trace.queries(layer), trace.keys(layer), trace.get("v", layer)
    stop = len(meta.tokens[: None if max_tokens is None else meta.n_prompt + max_tokens])
    errors = [0.0]
    for position in range(meta.n_prompt, stop):
        n_keys = position + 1
        row = trace.attend(layer, q[position:n_keys], k[:n_keys], v[:n_keys])
        pattern = trace.get("pattern", layer)[:, position, :n_keys]
        errors += [
            relative_error(row.pattern[:, 0], pattern),
            relative_error(row.z[0], trace.get("z", layer)[position]),
        ]
    # With a cache every row is computed once, whatever the steps.
    rows = [multiply_adds(meta, n_tokens) for n_tokens in range(meta.n_prompt, stop + 1)]
    return Decoding(np.array(rows), np.cumsum(rows), max(errors))
