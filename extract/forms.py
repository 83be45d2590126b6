"""A layer with a latent, in both forms: what a picture of multi-head latent attention shows.

The latent is the model's own where the model was trained with one, else the one fitted to the layer
(`extract.latent`).  A fitted latent stands for the content part only: where the model rotates, the
rotation is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from extract.attention import Array, as_float64
from extract.latent import Moved, content_pattern, fitted_latent
from extract.mla import AbsorbedMLA, Decoupled, LatentLayer, NaiveMLA, mla_absorbed, mla_naive
from extract.trace import Trace

__all__ = ["BothForms", "Comparison", "Moves", "both_forms", "compare", "pattern_moves"]


@dataclass(frozen=True, eq=False)
class BothForms:
    """One layer computed from its latents, once expanded and once absorbed.

    Attributes
    ----------
    own : bool
        Whether the model was trained with this latent.
    kv_latent : (position, r)
    k_rope : (position, d_rope)
        The rotated key that all heads share, cached beside the latent; no columns where the latent
        was fitted.
    q : (position, n_heads, d_qk)
    k : (position, n_kv_heads, d_qk)
        As they meet in the scores of the naive form: the part that comes from the latent first,
        then the rotated part.
    layer : LatentLayer
    naive : NaiveMLA
    absorbed : AbsorbedMLA
    """

    own: bool
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
        """Width of the shared rotated key, 0 without one."""
        return int(self.k_rope.shape[1])

    @property
    def n_cached(self) -> int:
        """Numbers cached for each token of this layer."""
        return self.rank + self.d_rope

    @property
    def n_expanded(self) -> int:
        """Numbers that keys and values take for each token."""
        return int(self.k[0].size + self.naive.v[0].size)

    @property
    def largest_output(self) -> float:
        """The largest magnitude of the naive form's output."""
        return float(np.abs(self.naive.out).max())

    @property
    def largest_difference(self) -> float:
        """The largest magnitude by which the outputs of the two forms differ."""
        return float(np.abs(self.naive.out - self.absorbed.out).max())


def both_forms(trace: Trace, layer: int) -> BothForms:
    """Compute a layer from its latents in both forms, in float64.

    Raises
    ------
    TraceError
        If the trace holds no latent of the layer; the message says which command adds it.
    """
    if trace.meta.attention == "mla":
        return _own(trace, layer)
    q = as_float64(trace.get("q", layer))
    fitted = fitted_latent(trace, layer)
    naive = mla_naive(q, fitted.kv_latent, fitted.layer)
    return BothForms(
        own=False,
        kv_latent=as_float64(fitted.kv_latent),
        k_rope=np.zeros((len(q), 0)),
        q=q,
        k=naive.k,
        layer=fitted.layer,
        naive=naive,
        absorbed=mla_absorbed(q, fitted.kv_latent, fitted.layer),
    )


def _own(trace: Trace, layer: int) -> BothForms:
    """Compute a layer that was trained with a latent."""
    W_UK, W_UV, W_O = (as_float64(trace.weights(name, layer)) for name in ("W_UK", "W_UV", "W_O"))
    b_O = trace.get("b_O", layer) if trace.has("b_O", layer) else None
    latent_layer = LatentLayer(W_UK, W_UV, W_O, trace.meta.score_scale, b_O)
    d_content = W_UK.shape[2]
    q = as_float64(trace.get("q", layer))[..., :d_content]
    q_rope = as_float64(trace.queries(layer))[..., d_content:]
    kv_latent, k_rope = (as_float64(trace.get(n, layer)) for n in ("kv_latent", "k_rope"))
    decoupled = Decoupled(q_rope, k_rope)
    naive = mla_naive(q, kv_latent, latent_layer, decoupled)
    of_head = np.repeat(k_rope[:, None], naive.k.shape[1], axis=1)
    return BothForms(
        own=True,
        kv_latent=kv_latent,
        k_rope=k_rope,
        q=np.concatenate([q, q_rope], axis=-1),
        k=np.concatenate([naive.k, of_head], axis=-1),
        layer=latent_layer,
        naive=naive,
        absorbed=mla_absorbed(q, kv_latent, latent_layer, decoupled),
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Keys or values of one head beside what the latent gives.

    Attributes
    ----------
    true, rebuilt : (position, width)
    error : float
        The norm of their difference relative to that of the true ones (Frobenius norms).
    """

    true: Array
    rebuilt: Array
    error: float


def compare(true: ArrayLike, rebuilt: ArrayLike, *, about_mean: bool = False) -> Comparison:
    """Compare rows, (position, width), with what a latent gives for them.

    With ``about_mean`` both are taken about their mean row.  A latent of a layer with biases stands
    for what is left then: a row that is added to every key moves no pattern, and one that is added
    to every value is part of the output's bias (see `extract.latent`).
    """
    a, b = as_float64(true), as_float64(rebuilt)
    if about_mean:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    whole = float(np.linalg.norm(a))
    lost = float(np.linalg.norm(a - b))
    return Comparison(a, b, lost / whole if whole else 0.0)


@dataclass(frozen=True)
class Moves:
    """How far patterns move on the prompt's rows; see `extract.latent.Moved`.

    Attributes
    ----------
    rotation : Moved
        The model's own patterns against those without rotation; nothing where it does not rotate.
    latent : Moved
        Patterns without rotation, from the true keys against from the latent.
    """

    rotation: Moved
    latent: Moved


def pattern_moves(trace: Trace, layer: int, forms: BothForms, head: int | None = None) -> Moves:
    """Measure both moves, of one head or over all of them."""
    n_prompt = trace.meta.n_prompt
    heads = slice(None) if head is None else slice(head, head + 1)
    content = content_pattern(trace, layer, trace.get("k", layer))
    own, without, from_latent = (
        as_float64(pattern)[heads, :n_prompt]
        for pattern in (trace.get("pattern", layer), content, forms.naive.pattern)
    )
    return Moves(Moved.between(own, without), Moved.between(without, from_latent))
