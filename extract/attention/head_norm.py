"""Norm of queries and keys between their projection and their rotation, as some models have it.

Qwen3 and Gemma 3 normalise each head by itself, OLMo 2 all heads of a token together.  The keys of
a cache are normalised ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from extract.attention.arithmetic import Array, as_float64

__all__ = ["NORM_KINDS", "NORM_SPANS", "HeadNorm"]

NORM_KINDS = ("rms", "layer")
NORM_SPANS = ("head", "token")


@dataclass(frozen=True)
class HeadNorm:
    """How a model normalises queries and keys.

    Attributes
    ----------
    kind : str
        "rms" divides by the root of the mean square; "layer" subtracts the mean before that.
    span : str
        "head" if every head is normalised by itself, "token" if all heads of a token are together.
    eps : float
        Is added to the mean square.
    """

    kind: str
    span: str
    eps: float

    def apply(self, heads: ArrayLike, gain: ArrayLike, bias: ArrayLike | None = None) -> Array:
        """Return queries or keys after the norm, in float64.

        Parameters
        ----------
        heads : (position, head, d_qk)
        gain : (head, d_qk)
            Multiplies what is normalised.
        bias : (head, d_qk), optional
            Is added at the end.

        Returns
        -------
        (position, head, d_qk)
        """
        values = as_float64(heads)
        axes = (-1,) if self.span == "head" else (-2, -1)
        if self.kind == "layer":
            values = values - values.mean(axis=axes, keepdims=True)
        size = np.sqrt((values**2).mean(axis=axes, keepdims=True) + self.eps)
        normalised: Array = values / size * as_float64(gain)
        return normalised if bias is None else normalised + as_float64(bias)
