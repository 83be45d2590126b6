"""Multi-head latent attention in its two equivalent forms, naive and absorbed.

Only a short vector per token is cached: the latent ``c``, and, in DeepSeek's models, one small
rotated key that all heads share.  The naive form expands the latent into every head's keys and
values and then attends as usual.  The absorbed form never expands it: since ::

    q k^T = q (c W_UK)^T = (q W_UK^T) c^T        and        (A c W_UV) W_O = (A c) (W_UV W_O)

the query can be mapped into the latent space and the values' expansion folded into W_O.
(DeepSeek-V2 technical report, arXiv 2405.04434, section 2.1 and appendix C; here with row vectors.)
In the absorbed form the layer is multi-query attention: all heads share one key head and one value
head, and both are the latent.

Biases.  The query's bias is added after the query projection, so it goes through W_UK with the rest
of the query.  A key bias adds the same amount to every score of a row, which the softmax ignores:
drop it.  A value bias is added to every z unchanged, because a row of the pattern sums to 1: move
it to the output's bias, as ``b_O + sum over heads of b_V W_O``.

Rotary positions.  With rotated keys the score of positions t and j is ``q R(t - j) (c W_UK)^T``: a
matrix that depends on the distance stands between the query and W_UK, so no fixed product of the
two exists and the content part (what comes from the latent) cannot be absorbed.  DeepSeek therefore
rotates only a separate, decoupled part of the queries and one shared key (`Decoupled`), and not the
content part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.attention.arithmetic import (
    Array,
    as_float64,
    attend,
    for_each_head,
    merge_heads,
    project,
)

__all__ = [
    "AbsorbedMLA",
    "Decoupled",
    "LatentLayer",
    "NaiveMLA",
    "absorb_into_output",
    "absorb_into_query",
    "mla_absorbed",
    "mla_naive",
]


class Decoupled(NamedTuple):
    """Decoupled parts of queries and keys, which carry the position; both already rotated.

    Attributes
    ----------
    q_rope : (position, n_heads, d_rope)
    k_rope : (position, d_rope)
        One key for all heads, cached beside the latent.
    """

    q_rope: NDArray[Any]
    k_rope: NDArray[Any]


@dataclass(frozen=True, eq=False)
class LatentLayer:
    """Weights and settings that a layer needs to compute its output from queries and latents.

    Attributes
    ----------
    W_UK : (r, n_kv_heads, d_qk)
        Expands a latent into keys.
    W_UV : (r, n_kv_heads, d_v)
        Expands a latent into values.
    W_O : (n_heads, d_v, d_model)
    scale : float
        Multiplies the dot products; DeepSeek uses ``1 / sqrt(d_qk + d_rope)``.
    b_O : (d_model,), optional
    score_bias : broadcasts to (n_heads, query, key)
        Added to the scaled scores; models with ALiBi positions have one.
    """

    W_UK: NDArray[Any]
    W_UV: NDArray[Any]
    W_O: NDArray[Any]
    scale: float
    b_O: NDArray[Any] | None = None
    score_bias: ArrayLike = 0.0


@dataclass(frozen=True, eq=False)
class NaiveMLA:
    """Activations of the naive form.

    Attributes
    ----------
    k : (position, n_kv_heads, d_qk)
    v : (position, n_kv_heads, d_v)
        Expanded from the latent, before any rotation.
    scores, pattern : (n_heads, query, key)
    z : (position, n_heads, d_v)
    out : (position, d_model)
    """

    k: Array
    v: Array
    scores: Array
    pattern: Array
    z: Array
    out: Array


@dataclass(frozen=True, eq=False)
class AbsorbedMLA:
    """Activations of the absorbed form.

    Attributes
    ----------
    q_latent : (position, n_heads, r)
        Queries mapped into the latent space.
    scores, pattern : (n_heads, query, key)
    z_latent : (position, n_heads, r)
        Sum of the latents, weighted by the pattern.
    out : (position, d_model)
    """

    q_latent: Array
    scores: Array
    pattern: Array
    z_latent: Array
    out: Array


def absorb_into_query(query_side: ArrayLike, W_UK: ArrayLike) -> Array:
    """Multiply queries or query weights from the right by each head's ``W_UK^T``.

    Parameters
    ----------
    query_side : (..., n_heads, d_qk)
        W_Q (d_model, ...) gives the absorbed weight ``W_Q W_UK^T``, b_Q gives its bias, and
        queries (position, ...) give the queries in the latent space.
    W_UK : (r, n_kv_heads, d_qk)

    Returns
    -------
    (..., n_heads, r)
    """
    query_side = as_float64(query_side)
    W_UK = for_each_head(W_UK, query_side.shape[-2])
    absorbed: Array = np.einsum("...hd,rhd->...hr", query_side, W_UK, optimize=True)
    return absorbed


def absorb_into_output(W_UV: ArrayLike, W_O: ArrayLike) -> Array:
    """Return the absorbed output weight, ``W_UV W_O`` for each head.

    Parameters
    ----------
    W_UV : (r, n_kv_heads, d_v)
    W_O : (n_heads, d_v, d_model)

    Returns
    -------
    (n_heads, r, d_model)
    """
    W_O = as_float64(W_O)
    W_UV = for_each_head(W_UV, W_O.shape[0])
    folded: Array = np.einsum("rhd,hdm->hrm", W_UV, W_O, optimize=True)
    return folded


def mla_naive(
    q: ArrayLike, kv_latent: ArrayLike, layer: LatentLayer, decoupled: Decoupled | None = None
) -> NaiveMLA:
    """Expand the latents into keys and values, then attend.

    Parameters
    ----------
    q : (position, n_heads, d_qk)
        Content part of the queries, bias included, not rotated.
    kv_latent : (position, r)
    layer : LatentLayer
    decoupled : Decoupled, optional
    """
    q = as_float64(q)
    k = project(kv_latent, layer.W_UK)
    v = project(kv_latent, layer.W_UV)
    q_used, k_used = _with_decoupled(q, k, decoupled)
    scores, pattern, z = attend(q_used, k_used, v, layer.scale, layer.score_bias)
    return NaiveMLA(k, v, scores, pattern, z, merge_heads(z, layer.W_O, layer.b_O))


def mla_absorbed(
    q: ArrayLike, kv_latent: ArrayLike, layer: LatentLayer, decoupled: Decoupled | None = None
) -> AbsorbedMLA:
    """Attend to the latents themselves; parameters as for `mla_naive`."""
    q_latent = absorb_into_query(q, layer.W_UK)
    latent_head = as_float64(kv_latent)[:, None, :]  # (position, 1, r): one head for all
    q_used, k_used = _with_decoupled(q_latent, latent_head, decoupled)
    scores, pattern, z_latent = attend(q_used, k_used, latent_head, layer.scale, layer.score_bias)
    out = merge_heads(z_latent, absorb_into_output(layer.W_UV, layer.W_O), layer.b_O)
    return AbsorbedMLA(q_latent, scores, pattern, z_latent, out)


def _with_decoupled(q: Array, k: Array, decoupled: Decoupled | None) -> tuple[Array, Array]:
    """Append the decoupled parts to queries and keys; all key heads get the same shared key."""
    if decoupled is None:
        return q, k
    k_rope = as_float64(decoupled.k_rope)[:, None, :]
    k_rope_per_head = for_each_head(k_rope, k.shape[1])  # (position, n_kv_heads, d_rope)
    return (
        np.concatenate([q, as_float64(decoupled.q_rope)], axis=-1),
        np.concatenate([k, k_rope_per_head], axis=-1),
    )
