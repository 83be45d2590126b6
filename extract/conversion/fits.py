"""Turn the attention of a rotary model into multi-head latent attention: maths on plain tensors.

Row vectors; C is d_model, H the number of query heads, G that of key and value heads, D their
width; query head h uses key head g(h) = h // (H / G).  Channels i and i + D/2 turn together, by
theta_i for each position; as complex numbers the part of a score that comes from frequency i is
``Re(q conj(k) e^(i theta distance)) scale``.

Two ways, neither of which trains anything:

(a) **Latent, then rotate** (as Palu does, arXiv 2407.21118).  One latent for keys and values,
    ``c = x W_DKV``; the keys that are rebuilt from it are rotated.  It loses little, but W_UK
    cannot be absorbed into the query (see `extract.attention.mla`).

(b) **MLA** as DeepSeek has it: a small rotated key shared by all heads, and a latent for un-rotated
    keys and values.  It generalises RoRoPE of TransMLA (arXiv 2502.07864).  For each frequency,
    keys are scaled by the size s of the queries that read them, and turned into G components by the
    eigenvectors of their covariance::

        E[z_a conj z_b] = U Lambda U^H,   z_g = s_g k_g,   s_g = sqrt(sum over h in g of E|q_h|^2)
        kappa_c = sum over g of conj(u_gc) s_g k_g,        q_hc = q_h conj(u_g(h)c) / s_g(h)

    Both are complex factors for a whole frequency, so they commute with the rotation, and the sum
    over c of ``q_hc conj(kappa_c)`` is ``q_h conj(k_g)`` exactly.  Every component is ranked by
    what the scores would lose if it were not rotated, ``lambda E|e^(i theta distance) - 1|^2``; the
    best ones are kept, rotated and shared by all heads.  What is left of the keys is not rotated,
    and makes one joint latent with the values.

The joint fit is that of `extract.attention.low_rank`: with S^T S the centred covariance of the
layer's inputs and ``S W D = U Sigma V^T``, ``W_DKV = W D V_r`` and ``[W_UK W_UV] = V_r^T D^-1``.  D
divides keys by the size of all keys, rotated part included, and values by theirs, so a loss of
either counts as a share of the whole.  Centring is free: a constant un-rotated key drops out of the
softmax, and the mean value goes to the output's bias.

Fits run in float64; `AttentionLayer.to` and `MLALayer.to` give the type that a model runs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from extract.errors import ExtractError

__all__ = [
    "LATENT",
    "MQA",
    "AttentionLayer",
    "Components",
    "JointFit",
    "Layer",
    "LayerFit",
    "LayerStatistics",
    "MLALayer",
    "Projected",
    "absorbed",
    "attend",
    "components",
    "mix",
    "mqa_mean",
    "pattern",
    "rotate",
    "scores",
]

LATENT, MQA = "latent", "mqa"
"""Names of the joint fits for `LayerFit.latent` and `LayerFit.mqa`."""

_NOTHING_LEFT = 1e-9
"""Relative energy of the un-rotated keys below which they are rounding errors."""


class Projected(NamedTuple):
    """Queries, keys and values as used in the scores.

    Attributes
    ----------
    q : (batch, n_heads, position, width)
    k : (batch, key heads, position, width)
        The number of key heads divides `n_heads`.
    v : (batch, key heads, position, value width)
    """

    q: Tensor
    k: Tensor
    v: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """What a model needs of an attention layer, of either kind."""

    W_Q: Tensor
    W_O: Tensor
    b_Q: Tensor
    b_O: Tensor
    frequencies: Tensor
    scale: float

    def with_weights(self, weights: Mapping[str, Tensor]) -> Self:
        """Return the layer with other tensors in place of those with these names."""
        changes: dict[str, Any] = dict(weights)
        return replace(self, **changes)

    def to(self, dtype: torch.dtype) -> Self:
        """Return the layer with tensors of another type."""
        tensors = {name: part for name, part in vars(self).items() if isinstance(part, Tensor)}
        return self.with_weights({name: tensor.to(dtype) for name, tensor in tensors.items()})

    def project(self, x: Tensor, first: int = 0) -> Projected:
        """Return queries and keys as used in the scores, and values, from position `first` on."""
        raise NotImplementedError

    def output(self, z: Tensor) -> Tensor:
        """Return the output (batch, position, d_model) of z (batch, n_heads, position, d_v)."""
        return _merge(z, self.W_O, self.b_O)


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionLayer(Layer):
    """The weights of a rotary attention layer; biases are zeros where a model has none.

    Attributes
    ----------
    W_Q : (d_model, n_heads, d_qk)
    W_K : (d_model, n_kv_heads, d_qk)
    W_V : (d_model, n_kv_heads, d_v)
    W_O : (n_heads, d_v, d_model)
    b_Q, b_K, b_V, b_O
        Biases, of the shapes above without the input's axis.
    frequencies : (d_qk / 2,)
        Radians for each position; channels i and i + d_qk / 2 turn together.
    scale : float
        Multiplies the dot products.
    """

    W_K: Tensor
    W_V: Tensor
    b_K: Tensor
    b_V: Tensor

    @property
    def cached(self) -> int:
        """Numbers that the layer caches for each token."""
        return int(self.W_K[0].numel() + self.W_V[0].numel())

    def project(self, x: Tensor, first: int = 0) -> Projected:
        """Return rotated queries and keys, and values, of inputs (batch, position, d_model).

        The positions of the inputs are counted from `first`.
        """
        q = rotate(_heads(x, self.W_Q, self.b_Q), self.frequencies, first)
        k = rotate(_heads(x, self.W_K, self.b_K), self.frequencies, first)
        return Projected(q, k, _heads(x, self.W_V, self.b_V))


@dataclass(frozen=True, eq=False, kw_only=True)
class MLALayer(Layer):
    """The weights of a layer of multi-head latent attention, made from an `AttentionLayer`.

    It caches the latent ``c = x W_DKV`` and the rotated shared key of ``x W_KR``, and scores are
    ``(q_rotated . k_rotated + q . (c W_UK)) scale``.  (DeepSeek divides by sqrt(d_qk + d_R)
    instead: for its scale multiply W_Q and W_QR by sqrt((d_qk + d_R) / d_qk).)

    Attributes
    ----------
    W_Q, b_Q, W_O
        The original layer's.
    W_QR : (d_model, n_heads, d_R)
        To the queries of the shared key; its channels i and i + d_R / 2 turn together.
    b_QR : (n_heads, d_R)
    W_KR : (d_model, d_R)
        To the shared key.
    b_KR : (d_R,)
    W_DKV : (d_model, r)
    W_UK : (r, n_kv_heads, d_qk)
    W_UV : (r, n_kv_heads, d_v)
    b_O : (d_model,)
        The original layer's bias and what the mean of the values adds.
    frequencies : (d_R / 2,)
        Radians for each position; a frequency of the model may be there up to n_kv_heads times.
    scale : float
    """

    W_QR: Tensor
    b_QR: Tensor
    W_KR: Tensor
    b_KR: Tensor
    W_DKV: Tensor
    W_UK: Tensor
    W_UV: Tensor

    @property
    def cached(self) -> int:
        """Numbers that the layer caches for each token."""
        return self.rotated + self.rank

    @property
    def rotated(self) -> int:
        """Width of the shared rotated key, d_R."""
        return self.W_KR.shape[1]

    @property
    def rank(self) -> int:
        """Width of the latent, r."""
        return self.W_DKV.shape[1]

    def queries(self, x: Tensor, positions: Tensor | int = 0) -> Tensor:
        """Return the queries, (batch, n_heads, position, d_R + d_qk), rotated ones first.

        `positions` are those of the inputs, (position,), or the first of them.
        """
        rotated = self.rotated_query(x, positions)
        return torch.cat([rotated, _heads(x, self.W_Q, self.b_Q)], dim=-1)

    def rotated_query(self, x: Tensor, positions: Tensor | int = 0) -> Tensor:
        """Return the rotated queries of the shared key, (batch, n_heads, position, d_R)."""
        return rotate(_heads(x, self.W_QR, self.b_QR), self.frequencies, positions)

    def rotated_key(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the rotated shared key, (batch, 1, position, d_R)."""
        return rotate((x @ self.W_KR + self.b_KR)[:, None], self.frequencies, first)

    def keys_and_values(self, x: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """Return every head's keys, the shared one first, and values, rebuilt from the latent."""
        latent = x @ self.W_DKV
        k = _heads(latent, self.W_UK)
        shared = self.rotated_key(x, first).expand(-1, k.shape[1], -1, -1)
        return torch.cat([shared, k], dim=-1), _heads(latent, self.W_UV)

    def project(self, x: Tensor, first: int = 0) -> Projected:
        """Return the naive form: every head's keys and values, rebuilt from the latent.

        The input of the first position is at position `first`.
        """
        return Projected(self.queries(x, first), *self.keys_and_values(x, first))


def rotate(heads: Tensor, frequencies: Tensor, positions: Tensor | int = 0) -> Tensor:
    """Turn channels i and i + n of heads (..., position, 2 n) by ``position * frequencies[i]``.

    Parameters
    ----------
    heads : (..., position, 2 n)
    frequencies : (n,)
    positions : (position,) or int
        All of them, or the first one.
    """
    if isinstance(positions, int):
        positions = torch.arange(positions, positions + heads.shape[-2])
    angles = positions.to(frequencies.dtype)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    a, b = heads.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _heads(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Project x (batch, position, in) with (in, head, width) to (batch, head, position, width)."""
    flat = x @ weight.flatten(1)
    if bias is not None:
        flat = flat + bias.flatten()
    return flat.reshape(*flat.shape[:-1], *weight.shape[1:]).transpose(1, 2)


def _merge(z: Tensor, W_O: Tensor, b_O: Tensor) -> Tensor:
    """Sum the contributions of all heads: (batch, head, position, width) to (..., d_model)."""
    return z.transpose(1, 2).flatten(2) @ W_O.flatten(0, 1) + b_O


def scores(projected: Projected, scale: float) -> Tensor:
    """Return the scaled scores, (batch, n_heads, query, key), finite everywhere."""
    q, k, _ = projected
    # The queries of all heads that share a key stand below each other, so that it needs no copies.
    grouped = (q * scale).reshape(len(q), k.shape[1], -1, q.shape[-1])
    return (grouped @ k.transpose(-1, -2)).reshape(*q.shape[:-1], k.shape[2])


def mix(weights: Tensor, v: Tensor) -> Tensor:
    """Return z, (batch, n_heads, query, d_v), of a pattern (batch, n_heads, query, key)."""
    grouped = weights.reshape(len(weights), v.shape[1], -1, v.shape[2])
    return (grouped @ v).reshape(*weights.shape[:-1], v.shape[-1])


def pattern(projected: Projected, scale: float) -> Tensor:
    """Return the attention pattern, (batch, n_heads, query, key); 0 for later keys."""
    raw = scores(projected, scale)
    later = torch.ones(raw.shape[-2:], dtype=torch.bool).triu(1)
    return raw.masked_fill(later, -torch.inf).softmax(dim=-1)


def attend(projected: Projected, scale: float) -> Tensor:
    """Return z, (batch, n_heads, position, value width): the values, weighted by the pattern.

    Queries are those of all keys, or of the last one only.
    """
    q, k, v = projected
    causal = q.shape[2] > 1
    k, v, width = _for_each_query_head(k, q), _for_each_query_head(v, q), v.shape[-1]
    # Torch's fast kernel needs keys and values of one width.
    if width < k.shape[-1]:
        v = torch.nn.functional.pad(v, (0, k.shape[-1] - width))
    z = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
    return z[..., :width]


def _for_each_query_head(heads: Tensor, q: Tensor) -> Tensor:
    return heads.repeat_interleave(q.shape[1] // heads.shape[1], dim=1)


def absorbed(layer: MLALayer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute an MLA layer in the absorbed form, which never rebuilds keys or values.

    All heads share one key (rotated part and latent) and one value (the latent).

    Returns
    -------
    pattern : (batch, n_heads, query, key)
    out : (batch, position, d_model)
    """
    n_heads = len(layer.W_O)
    group = n_heads // layer.W_UK.shape[1]
    W_UK = layer.W_UK.repeat_interleave(group, dim=1)
    W_UV = layer.W_UV.repeat_interleave(group, dim=1)
    absorbed_query = torch.einsum("chd,rhd->chr", layer.W_Q, W_UK)
    absorbed_bias = torch.einsum("hd,rhd->hr", layer.b_Q, W_UK)
    absorbed_output = torch.einsum("rhd,hdc->hrc", W_UV, layer.W_O)
    latent = (x @ layer.W_DKV)[:, None]
    q = torch.cat([layer.rotated_query(x), _heads(x, absorbed_query, absorbed_bias)], dim=-1)
    k = torch.cat([layer.rotated_key(x), latent], dim=-1)
    weights = pattern(Projected(q, k, latent), layer.scale)
    return weights, _merge(weights @ latent, absorbed_output, layer.b_O)


# --- What a fit needs to know of a layer's inputs -------------------------------------------------


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What the fits need to know of the inputs of one layer, all float64.

    Attributes
    ----------
    gram : (d_model, d_model)
        E[x^T x], tokens weighted by 0.5 + 0.5 times the attention that they receive.
    mean : (d_model,)
        E[x], weighted alike.
    query_energy : (n_heads, d_qk / 2)
        E|q|^2 of every frequency, before or after rotation.
    distances : (n,)
        Probability of each distance between a query and a key: half weighted by attention, half
        uniform over the pairs of a query and an earlier key.
    """

    gram: Tensor
    mean: Tensor
    query_energy: Tensor
    distances: Tensor

    @cached_property
    def root(self) -> Tensor:
        """S with S^T S the centred covariance, (d_model, d_model)."""
        # From eigenvalues it exists for a singular covariance too, unlike Cholesky's.
        covariance = self.gram - torch.outer(self.mean, self.mean)
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        root: Tensor = eigenvalues.clamp(min=0).sqrt()[:, None] * vectors.T
        return root


# --- Rotated components of the keys ---------------------------------------------------------------


class Components(NamedTuple):
    """The components of the keys at every frequency, all of them.

    Attributes
    ----------
    s : (n_kv_heads, d_qk / 2)
        Root mean square of the queries that read each key head.
    U : (d_qk / 2, n_kv_heads, n_kv_heads), complex
        Eigenvectors in columns, the largest eigenvalue last.
    loss : (d_qk / 2, n_kv_heads)
        What the scores lose, in squares, if a component is not rotated.
    size : (d_qk / 2, n_kv_heads)
        The eigenvalues: what they lose if it is dropped altogether.
    """

    s: Tensor
    U: Tensor
    loss: Tensor
    size: Tensor

    def best(self, rotated: int) -> tuple[Tensor, Tensor]:
        """Return frequency and component, each (rotated / 2,), of those that most need rotation."""
        order = self.loss.flatten().argsort(descending=True, stable=True)[: rotated // 2]
        order = order.sort().values
        n = self.loss.shape[1]
        return order // n, order % n


def _complex(channels: Tensor) -> Tensor:
    """Return (..., D) real channels as (..., D / 2) complex numbers."""
    return torch.complex(*channels.chunk(2, dim=-1))


def _real(numbers: Tensor) -> Tensor:
    return torch.cat([numbers.real, numbers.imag], dim=-1)


def components(layer: AttentionLayer, statistics: LayerStatistics) -> Components:
    """Return the components of a layer's keys.

    Parameters
    ----------
    layer : AttentionLayer
        In float64.
    statistics : LayerStatistics
    """
    n_kv_heads = layer.W_K.shape[1]
    energy = statistics.query_energy.reshape(n_kv_heads, -1, len(layer.frequencies)).sum(dim=1)
    s = energy.clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    # A bias is the weight of an input that is always 1.
    weight = torch.cat([_complex(layer.W_K), _complex(layer.b_K)[None]])
    mean = statistics.mean[:, None]
    gram = torch.cat(
        [torch.cat([statistics.gram, mean], 1), torch.cat([mean.T, torch.ones(1, 1).to(mean)], 1)]
    ).to(weight.dtype)
    z = (weight * s).permute(2, 0, 1)  # (frequency, d_model + 1, n_kv_heads)
    covariance = z.transpose(1, 2) @ (gram @ z.conj())
    eigenvalues, U = torch.linalg.eigh(covariance)
    distance = torch.arange(len(statistics.distances)).to(layer.frequencies)
    angles = distance[:, None] * layer.frequencies
    turned = (2 - 2 * angles.cos()) * statistics.distances[:, None]  # |e^(i angle) - 1|^2
    size = eigenvalues.clamp(min=0)
    return Components(s, U, size * turned.sum(dim=0)[:, None], size)


def _choose(
    layer: AttentionLayer, parts: Components, frequency: Tensor, component: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Give the shared key the named components, and take them away from the keys.

    Returns
    -------
    rotated : dict of str to tensor
        Weights of an `MLALayer` for the shared key and its queries.
    W_KN : (d_model, n_kv_heads, d_qk)
        What is left of the keys.
    """
    n_heads, n_kv_heads = layer.W_Q.shape[1], layer.W_K.shape[1]
    u = parts.U[frequency, :, component].T  # (n_kv_heads, d_R / 2)
    s = parts.s[:, frequency]
    to_key = u.conj() * s
    to_query = (u.conj() / s).repeat_interleave(n_heads // n_kv_heads, dim=0)
    W_K, b_K = _complex(layer.W_K), _complex(layer.b_K)
    kappa = (W_K[:, :, frequency] * to_key).sum(dim=1)
    left = W_K.clone()
    left.index_add_(2, frequency, -kappa[:, None] * (u / s))
    rotated = {
        "W_QR": _real(_complex(layer.W_Q)[:, :, frequency] * to_query),
        "b_QR": _real(_complex(layer.b_Q)[:, frequency] * to_query),
        "W_KR": _real(kappa),
        "b_KR": _real((b_K[:, frequency] * to_key).sum(dim=0)),
        "frequencies": layer.frequencies[frequency],
    }
    return rotated, _real(left)


# --- The joint latent -----------------------------------------------------------------------------


class JointFit(NamedTuple):
    """Directions of keys and values together, the most important first.

    Attributes
    ----------
    balance : (columns,)
        The diagonal of D; the columns of all key heads, then those of all value heads.
    directions : (columns, n)
        V of the singular value decomposition of S W D.
    """

    balance: Tensor
    directions: Tensor

    @classmethod
    def of(cls, layer: AttentionLayer, W_K: Tensor, root: Tensor, rank: int) -> JointFit:
        """Fit some keys of a layer and its values, for inputs of covariance root^T root.

        Parameters
        ----------
        layer : AttentionLayer
        W_K : (d_model, n_kv_heads, d_qk)
            What is left of its keys.  They count as a share of the keys with their rotated part.
        root : (d_model, d_model)
        rank : int
            How many directions are kept.

        Raises
        ------
        ExtractError
            If there are not as many.
        """
        seen = root @ torch.cat([W_K.flatten(1), layer.W_V.flatten(1)], dim=1)
        wholes = (root @ weight.flatten(1) for weight in (layer.W_K, layer.W_V))
        balance = torch.cat(
            [seen.new_full((part.shape[1],), 1 / float(part.norm())) for part in wholes]
        )
        directions = torch.linalg.svd(seen * balance, full_matrices=False).Vh.T
        if rank > directions.shape[1]:
            raise ExtractError(
                f"a latent of this model can have a rank of 1 to {directions.shape[1]}, not {rank}"
            )
        return cls(balance, directions[:, :rank])

    def factors(self, W_K: Tensor, W_V: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return W_DKV (d_model, r), W_UK (r, head, d_qk) and W_UV (r, head, d_v) of a rank."""
        V = self.directions[:, :rank]
        up = V.T / self.balance
        keys, values = up.tensor_split([W_K[0].numel()], dim=1)
        return (
            (torch.cat([W_K.flatten(1), W_V.flatten(1)], dim=1) * self.balance) @ V,
            keys.reshape(rank, *W_K.shape[1:]),
            values.reshape(rank, *W_V.shape[1:]),
        )


def _assemble(
    layer: AttentionLayer,
    mean: Tensor,
    rotated: Mapping[str, Tensor],
    factors: tuple[Tensor, Tensor, Tensor],
) -> MLALayer:
    W_DKV, W_UK, W_UV = factors
    lost = layer.W_V - torch.einsum("cr,rgd->cgd", W_DKV, W_UV)
    constant = torch.einsum("c,cgd->gd", mean, lost) + layer.b_V
    per_head = constant.repeat_interleave(len(layer.W_O) // len(constant), dim=0)
    return MLALayer(
        W_Q=layer.W_Q,
        b_Q=layer.b_Q,
        W_DKV=W_DKV,
        W_UK=W_UK,
        W_UV=W_UV,
        W_O=layer.W_O,
        b_O=layer.b_O + torch.einsum("hd,hdc->c", per_head, layer.W_O),
        scale=layer.scale,
        **rotated,
    )


# --- The ways -------------------------------------------------------------------------------------


def mqa_mean(layer: AttentionLayer) -> AttentionLayer:
    """Return multi-query attention: the mean of the key heads, and of the value heads."""
    names = ("W_K", "W_V", "b_K", "b_V")
    return layer.with_weights(
        {name: getattr(layer, name).mean(dim=-2, keepdim=True) for name in names}
    )


class LayerFit(NamedTuple):
    """What was fitted to a layer; a few products make the layer of any way and size from it.

    Layers are made in the type of the fit, which the original layer must have too.

    Attributes
    ----------
    parts : Components
    mean : (d_model,)
        The mean input of the layer.
    joint : mapping of str to JointFit
        By `LATENT`, `MQA` or, for `mla`, the width of the rotated key.
    """

    parts: Components
    mean: Tensor
    joint: Mapping[str, JointFit]

    @classmethod
    def of(
        cls, layer: AttentionLayer, statistics: LayerStatistics, ranks: Mapping[str, int]
    ) -> LayerFit:
        """Fit a layer.

        Parameters
        ----------
        layer : AttentionLayer
            In float64.
        statistics : LayerStatistics
        ranks : mapping of str to int
            The largest rank that is needed, by the names of `joint`.  A rotated key has an even
            width of 0 to n_kv_heads * d_qk.

        Raises
        ------
        ExtractError
            If a rank does not fit the layer.
        """
        parts, root = components(layer, statistics), statistics.root
        joint = {}
        for kind, rank in ranks.items():
            keys = layer.W_K
            if kind == MQA:
                keys = torch.zeros_like(keys)
            elif kind != LATENT:
                _, rest = _choose(layer, parts, *parts.best(int(kind)))
                left, whole = (root @ weight.flatten(1) for weight in (rest, layer.W_K))
                # The map to keys is fitted to zeros; what rounding left of it would count as a key.
                keys = rest * bool(left.norm() > _NOTHING_LEFT * whole.norm())
            joint[kind] = JointFit.of(layer, keys, root, rank)
        return cls(parts, statistics.mean, joint)

    def mqa(self, layer: AttentionLayer) -> MLALayer:
        """Return multi-query attention whose one key and one value are fitted.

        The key has the strongest component of every frequency, and the value is the best latent of
        its width for all value heads.  Each head reads both through maps of its own, as it does in
        `mla`, so this is an MLA layer without un-rotated keys.
        """
        frequency = torch.arange(len(layer.frequencies))
        rotated, _ = _choose(layer, self.parts, frequency, self.parts.size.argmax(dim=1))
        down, up, values = self.joint[MQA].factors(
            torch.zeros_like(layer.W_K), layer.W_V, layer.W_V.shape[2]
        )
        # The map to keys is fitted to zeros; what rounding left of it would count as a key.
        return _assemble(layer, self.mean, rotated, (down, torch.zeros_like(up), values))

    def latent(self, layer: AttentionLayer, rank: int) -> AttentionLayer:
        """Return way (a): keys and values from a latent, the keys then rotated.

        As the weights of keys and values, W_DKV W_UK and W_DKV W_UV; the mean of the inputs is kept
        in the biases.
        """
        W_DKV, W_UK, W_UV = self.joint[LATENT].factors(layer.W_K, layer.W_V, rank)
        W_K, W_V = (torch.einsum("cr,rgd->cgd", W_DKV, up) for up in (W_UK, W_UV))
        b_K, b_V = (
            bias + torch.einsum("c,cgd->gd", self.mean, true - own)
            for bias, true, own in ((layer.b_K, layer.W_K, W_K), (layer.b_V, layer.W_V, W_V))
        )
        return replace(layer, W_K=W_K, W_V=W_V, b_K=b_K, b_V=b_V)

    def mla(self, layer: AttentionLayer, rotated: int, rank: int) -> MLALayer:
        """Return way (b): a shared rotated key of this width, and a latent of this rank."""
        chosen, left = _choose(layer, self.parts, *self.parts.best(rotated))
        factors = self.joint[str(rotated)].factors(left, layer.W_V, rank)
        return _assemble(layer, self.mean, chosen, factors)

    def rebuilt(self, made: MLALayer, original: AttentionLayer, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values that an MLA layer works with, in the original's channels.

        The kept components are turned back, ``k_g = sum over c of u_gc kappa_c / s_g``, and what
        comes from the latent is added.  The constants that the softmax and the output's bias take
        care of are put back, so the mean input has its own key and value, and with nothing dropped
        these are the original ones.

        Parameters
        ----------
        made : MLALayer
            As `mla` makes it, not healed.
        original : AttentionLayer
        x : (position, d_model)

        Returns
        -------
        k : (position, n_kv_heads, d_qk)
            Before rotation.
        v : (position, n_kv_heads, d_v)
        """
        frequency, component = self.parts.best(made.rotated)
        lift = self.parts.U[frequency, :, component].T / self.parts.s[:, frequency]
        inputs = torch.cat([x, self.mean[None]])
        kappa = _complex(inputs @ made.W_KR + made.b_KR)
        kept = torch.zeros((len(inputs), *lift.shape[:1], len(original.frequencies))).to(kappa)
        kept.index_add_(2, frequency, kappa[:, None] * lift)
        latent = inputs @ made.W_DKV
        keys = _real(kept) + torch.einsum("pr,rgd->pgd", latent, made.W_UK)
        values = torch.einsum("pr,rgd->pgd", latent, made.W_UV)
        own = (
            torch.einsum("c,cgd->gd", self.mean, weight) + bias
            for weight, bias in ((original.W_K, original.b_K), (original.W_V, original.b_V))
        )
        k, v = (
            found[:-1] + (mean - found[-1]) for found, mean in zip((keys, values), own, strict=True)
        )
        return k, v
