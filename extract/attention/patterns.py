"""Measure what an attention head does from its pattern, and find the head that does it most.

Patterns are arrays [..., query_pos, key_pos]: rows are queries, columns are keys, every row sums to
1 over the positions up to its own.  Position 0 is the first token: a beginning-of-sequence token if
the model has one, else the first word.  Most heads put attention there that they need nowhere else
(an attention sink), so only the sink measure counts it and the other measures leave it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import total_variation
from extract.support.ranges import Share

__all__ = [
    "CRITERIA",
    "PatternDistance",
    "StrongestHead",
    "first_token_weight",
    "moved_attention",
    "previous_token_weight",
    "strongest_head",
]

Floats = npt.NDArray[np.float64]


def previous_token_weight(patterns: npt.NDArray[Any]) -> Floats:
    """Return the mean weight that queries give to the token right before them.

    The query right after the first token is not counted, because its previous token is the
    attention sink, unless there is no later query.

    Parameters
    ----------
    patterns : array
        [..., query_pos, key_pos], at least two positions.

    Returns
    -------
    array
        [...], between 0 and 1.
    """
    weights = np.diagonal(patterns, offset=-1, axis1=-2, axis2=-1).astype(np.float64)
    counted = weights[..., 1:] if weights.shape[-1] > 1 else weights
    return np.asarray(counted.mean(axis=-1))


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


CRITERIA = {"previous": previous_token_weight, "sink": first_token_weight}
"""Measures of heads by name; each takes patterns [..., query_pos, key_pos] and returns [...]."""


@dataclass(frozen=True)
class StrongestHead:
    """The head with the largest value of a measure.

    Parameters
    ----------
    layer, head : int
        Counted from 0.
    value : float
        The head's value of the measure.
    """

    layer: int
    head: int
    value: float


def strongest_head(patterns: npt.NDArray[Any], criterion: str) -> StrongestHead:
    """Return the head with the largest value of a measure; of equal heads, the first.

    Parameters
    ----------
    patterns : array
        [n_layers, n_heads, query_pos, key_pos].
    criterion : str
        A name in `CRITERIA`.
    """
    values = CRITERIA[criterion](patterns)
    layer, head = np.unravel_index(np.argmax(values), values.shape)
    return StrongestHead(int(layer), int(head), float(values[layer, head]))


def moved_attention(own: npt.ArrayLike, other: npt.ArrayLike, n_prompt: int) -> Floats:
    """Return for each head and row how much of the attention goes to other keys.

    Every place that says how much attention moves uses this function, and its one rule about the
    beginning: the row of the first token (the beginning token, if there is one) has a single key
    and cannot differ, so it is not counted; as a key, the first token counts like any other.

    Parameters
    ----------
    own, other : (n_heads, query, key)
        Patterns, of whose rows those of the prompt count.
    n_prompt : int
        Tokens of the prompt, the beginning token included.

    Returns
    -------
    (n_heads, n_prompt - 1)
        The total variation distances of the rows, from 0 (equal) to 1.
    """
    first, second = (np.asarray(one, np.float64)[:, :n_prompt] for one in (own, other))
    return np.asarray(total_variation(first, second)[:, 1:])


@dataclass(frozen=True)
class PatternDistance:
    """How much attention two patterns of a layer give to other keys; see `moved_attention`.

    Attributes
    ----------
    mean, worst : float
        Mean and largest value of all heads and all rows of the prompt but the first.
    """

    mean: Share
    worst: Share

    @classmethod
    def between(
        cls, pattern: npt.ArrayLike, other: npt.ArrayLike, n_prompt: int
    ) -> PatternDistance:
        """Return the distance between two patterns, each (n_heads, query, key)."""
        return cls.of_rows(moved_attention(pattern, other, n_prompt))

    @classmethod
    def of_rows(cls, rows: npt.NDArray[Any]) -> PatternDistance:
        """Return the mean and the largest of all rows that `moved_attention` returned."""
        return cls(float(rows.mean()), float(rows.max())) if rows.size else cls(0.0, 0.0)
