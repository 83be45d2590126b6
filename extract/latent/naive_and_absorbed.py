"""Multi-head latent attention of one traced layer, in the naive and the absorbed form.

Pictures of latent attention show these numbers.  The latent is the model's own if the model was
trained with one; else that of the whole model's conversion (`extract.conversion`), in which a
shared key beside the latent carries position; else the one fitted to the layer (`extract.latent`).
That replaces the content part only: if the model rotates queries and keys, the rotation is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from extract.attention.arithmetic import Array, as_float64, for_each_head, project
from extract.attention.mla import (
    AbsorbedMLA,
    Decoupled,
    LatentLayer,
    NaiveMLA,
    mla_absorbed,
    mla_naive,
)
from extract.trace import Trace
from extract.trace.contents.latents import fitted_latent

__all__ = [
    "BothForms",
    "Comparison",
    "both_forms",
    "compare",
]


@dataclass(frozen=True, eq=False)
class BothForms:
    """One layer computed from its latents, in the naive and in the absorbed form.

    Attributes
    ----------
    origin : str
        Where the latent is from: the model was "trained" with it, the whole model was "converted",
        or it was "fitted" to this layer alone.
    kv_latent : (position, r)
    k_rope : (position, d_rope)
        The rotated key that all heads share, cached beside the latent; d_rope is 0 if the latent
        was fitted.
    q : (position, n_heads, d_qk)
    k : (position, n_kv_heads, d_qk)
        Queries and keys as used in the scores of the naive form: the content part first, then the
        rotated part.
    layer : LatentLayer
    naive : NaiveMLA
    absorbed : AbsorbedMLA
    """

    origin: Literal["trained", "converted", "fitted"]
    kv_latent: Array
    k_rope: Array
    q: Array
    k: Array
    layer: LatentLayer
    naive: NaiveMLA
    absorbed: AbsorbedMLA

    @property
    def rank(self) -> int:
        """Length of the latent."""
        return int(self.kv_latent.shape[1])

    @property
    def d_rope(self) -> int:
        """Width of the shared rotated key; 0 without one."""
        return int(self.k_rope.shape[1])

    @property
    def n_cached(self) -> int:
        """Number of values that this layer caches for each token."""
        return self.rank + self.d_rope

    @property
    def largest_output(self) -> float:
        """Largest absolute value in the naive form's output."""
        return float(np.abs(self.naive.out).max())

    @property
    def largest_difference(self) -> float:
        """Largest absolute difference between the outputs of the two forms."""
        return float(np.abs(self.naive.out - self.absorbed.out).max())


def both_forms(trace: Trace, layer: int) -> BothForms:
    """Compute a layer from its latents in both forms, in float64.

    Raises
    ------
    TraceError
        If the trace holds no latent of the layer; the message names the command that adds one.
    """
    origin: Literal["trained", "converted", "fitted"]
    q = as_float64(trace.get("q", layer))
    if trace.meta.attention == "mla":
        origin = "trained"
        W_UK, W_UV, W_O = (
            as_float64(trace.weights(name, layer)) for name in ("W_UK", "W_UV", "W_O")
        )
        b_O = trace.get("b_O", layer) if trace.has("b_O", layer) else None
        latent_layer = LatentLayer(W_UK, W_UV, W_O, trace.meta.score_scale, b_O)
        q = q[..., : W_UK.shape[2]]
        q_rope = as_float64(trace.queries(layer))[..., q.shape[2] :]
        kv_latent, k_rope = (as_float64(trace.get(name, layer)) for name in ("kv_latent", "k_rope"))
    elif f"mla.{layer}.c" in trace.tensors:
        origin = "converted"
        x, kv_latent, q_rope, k_rope, W_UK, W_UV, b_O = (
            as_float64(trace[f"mla.{layer}.{name}"])
            for name in ("x", "c", "q_rot", "k_rot", "W_UK", "W_UV", "b_O")
        )
        W_O, scale = trace.weights("W_O", layer), trace.meta.score_scale
        latent_layer = LatentLayer(W_UK, W_UV, W_O, scale, b_O)
        b_Q = trace.get("b_Q", layer) if trace.has("b_Q", layer) else None
        q = project(x, trace.weights("W_Q", layer), b_Q)
    else:
        origin = "fitted"
        fitted = fitted_latent(trace, layer)
        latent_layer, kv_latent = fitted.layer, as_float64(fitted.kv_latent)
        q_rope, k_rope = q[..., :0], np.zeros((len(q), 0))
    decoupled = Decoupled(q_rope, k_rope)
    naive = mla_naive(q, kv_latent, latent_layer, decoupled)
    k_rope_per_head = for_each_head(k_rope[:, None], naive.k.shape[1])
    return BothForms(
        origin=origin,
        kv_latent=kv_latent,
        k_rope=k_rope,
        q=np.concatenate([q, q_rope], axis=-1),
        k=np.concatenate([naive.k, k_rope_per_head], axis=-1),
        layer=latent_layer,
        naive=naive,
        absorbed=mla_absorbed(q, kv_latent, latent_layer, decoupled),
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Keys or values of one head, with those rebuilt from the latent.

    Attributes
    ----------
    true, rebuilt : (position, width)
    error : float
        Frobenius norm of their difference, relative to that of `true`.
    """

    true: Array
    rebuilt: Array
    error: float


def compare(true: ArrayLike, rebuilt: ArrayLike, *, about_mean: bool = False) -> Comparison:
    """Compare true keys or values with those rebuilt from a latent, both (position, width).

    With ``about_mean`` the mean row is subtracted from both.  The latent of a layer with biases
    replaces only the difference from the mean: a row that is added to every key does not change the
    pattern, and one that is added to every value is part of the output's bias (see
    `extract.latent`).
    """
    true_rows, rebuilt_rows = as_float64(true), as_float64(rebuilt)
    if about_mean:
        true_rows = true_rows - true_rows.mean(axis=0)
        rebuilt_rows = rebuilt_rows - rebuilt_rows.mean(axis=0)
    size = float(np.linalg.norm(true_rows))
    difference = float(np.linalg.norm(true_rows - rebuilt_rows))
    return Comparison(true_rows, rebuilt_rows, difference / size if size else 0.0)
