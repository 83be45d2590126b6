"""What an attention head does, measured in its pattern, and the heads that do it most.

Patterns are arrays [..., query_pos, key_pos]: rows are queries, columns are keys, every row adds up
to 1 over the positions up to its own.  Position 0 is the first token, whichever it is: a
beginning-of-sequence token if the model has one, else the first word.  Most heads park there what
they have no use for, so that it counts for the sink alone and is left out of everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CRITERIA",
    "Find",
    "first_token_weight",
    "last_row_spread",
    "previous_token_weight",
    "strongest",
]

Floats = npt.NDArray[np.float64]


def previous_token_weight(patterns: npt.NDArray[Any]) -> Floats:
    """Return the mean weight that queries give to the token right before them.

    The query right after the first token does not count, because its weight there is that of a
    sink; if it is the only query there is, it does.

    Parameters
    ----------
    patterns : array
        [..., query_pos, key_pos], at least two positions.

    Returns
    -------
    array
        [...], between 0 and 1.
    """
    before = np.diagonal(patterns, offset=-1, axis1=-2, axis2=-1).astype(np.float64)
    counted = before[..., 1:] if before.shape[-1] > 1 else before
    return np.asarray(counted.mean(axis=-1))


def last_row_spread(patterns: npt.NDArray[Any]) -> Floats:
    """Return the entropy of the last row in nats, without the first token's term.

    The row is not made to add up to 1 again: what goes to the first token is then simply missing,
    and a head that rests there does not count as one that looks everywhere.

    Parameters
    ----------
    patterns : array
        [..., query_pos, key_pos].

    Returns
    -------
    array
        [...], 0 for a row that gives all its weight to one token.
    """
    row = patterns[..., -1, 1:].astype(np.float64)
    terms = np.where(row > 0, -row * np.log(np.where(row > 0, row, 1.0)), 0.0)
    return np.asarray(terms.sum(axis=-1))


def first_token_weight(patterns: npt.NDArray[Any]) -> Floats:
    """Return the mean weight that later queries give to the first token.

    Parameters
    ----------
    patterns : array
        [..., query_pos, key_pos], at least two positions.

    Returns
    -------
    array
        [...], between 0 and 1.
    """
    return np.asarray(patterns[..., 1:, 0].astype(np.float64).mean(axis=-1))


CRITERIA = {
    "previous": previous_token_weight,
    "spread": last_row_spread,
    "sink": first_token_weight,
}
"""The measures by which heads are found, by name."""


@dataclass(frozen=True)
class Find:
    """A head that was found.

    Parameters
    ----------
    layer, head : int
        Counted from 0.
    value : float
        What its measure is.
    """

    layer: int
    head: int
    value: float


def strongest(patterns: npt.NDArray[Any], criterion: str) -> Find:
    """Return the head of all layers with the largest measure, the first of them if several have it.

    Parameters
    ----------
    patterns : array
        [n_layers, n_heads, query_pos, key_pos].
    criterion : str
        A name in `CRITERIA`.
    """
    values = CRITERIA[criterion](patterns)
    layer, head = np.unravel_index(np.argmax(values), values.shape)
    return Find(int(layer), int(head), float(values[layer, head]))
