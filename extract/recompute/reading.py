"""Measure how much of the attention is held by a few of the keys.

Rows are arrays [..., head, key]: the attention that heads give to each key, from one query.  Each
function returns such rows with the weights of the keys that are read, and 0 for all others.  Their
mean over the heads is the attention that is read of each key, and the sum of that the share that
these keys hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from extract.trace import Trace

__all__ = ["best", "first_and_last", "last", "rows_of_query"]

Floats = npt.NDArray[np.float64]


def rows_of_query(trace: Trace, query: int) -> Floats:
    """Return what all heads of all layers give to each key, from one query.

    Parameters
    ----------
    trace : Trace
    query : int
        Its position, counted from the beginning of the trace.

    Returns
    -------
    (n_layers * n_heads, query + 1)
        The heads of the first layer come first.
    """
    layers = range(trace.meta.n_layers)
    rows = [trace.get("pattern", layer)[:, query, : query + 1] for layer in layers]
    return np.concatenate(rows).astype(np.float64)


def last(rows: npt.NDArray[Any], n: int) -> Floats:
    """Return the weights of the last keys: a window.

    Parameters
    ----------
    rows : (..., key)
    n : int
        How many keys are read, 1 or more; all if there are no more.
    """
    n_keys = rows.shape[-1]
    return np.where(np.arange(n_keys) >= n_keys - n, rows, 0.0)


def first_and_last(rows: npt.NDArray[Any], n: int) -> Floats:
    """Return the weights of the first key, where attention rests, and of the last ``n - 1`` keys.

    StreamingLLM (arXiv 2309.17453) lets models read like that without being trained for it; the
    example of mit-han-lab/streaming-llm keeps the first 4 keys and the last 2,000.

    Parameters
    ----------
    rows : (..., key)
    n : int
        How many keys are read, 1 or more; all if there are no more.
    """
    kept = last(rows, n - 1)
    kept[..., 0] = rows[..., 0]
    return kept


def best(rows: npt.NDArray[Any], n: int) -> Floats:
    """Return the weights of the keys that each row gives most to; of equal ones, the first.

    Nothing that chooses keys before it has their weights can hold more.

    Parameters
    ----------
    rows : (..., key)
    n : int
        How many keys each row reads, 1 or more; all if there are no more.
    """
    chosen = np.argsort(-rows, axis=-1, kind="stable")[..., :n]
    kept = np.zeros(rows.shape)
    np.put_along_axis(kept, chosen, np.take_along_axis(rows, chosen, axis=-1), axis=-1)
    return kept
