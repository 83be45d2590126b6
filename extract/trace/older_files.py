"""Complete a trace whose file was written before traces held all that they are proved with.

Files of schema 1 lack the angles by which queries and keys rotate, and the epsilon of the norms on
MLA's latents.  Both are found by least squares from what they do to the numbers in the file; what
is written today holds them as the model has them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import as_float64, rotated_pairs
from extract.trace.contents.activations import Activations
from extract.trace.contents.meta import LARGEST_EPS, TraceMeta

__all__ = ["completed"]


def completed(trace: Activations) -> tuple[TraceMeta, dict[str, npt.NDArray[Any]]]:
    """Return what a trace of schema 1 holds, with the rotations and the epsilon of its norms."""
    meta, tensors = trace.meta, dict(trace.tensors)
    for layer in range(meta.n_layers if trace.rotates else 0):
        cos, sin = _rotation(trace, layer)
        tensors |= {f"rope_cos.{layer}": cos, f"rope_sin.{layer}": sin}
    if meta.attention == "mla":
        meta = replace(meta, norm_eps=_norm_eps(trace))
    return meta, tensors


def _rotation(trace: Activations, layer: int) -> npt.NDArray[np.float32]:
    """Return cosines and sines, (2, position, n_pairs) of float32, that fit all heads best."""
    meta = trace.meta
    pairs = rotated_pairs(meta.rotary_dim // 2, meta.rotary_style, meta.rotary_start)

    def planes(*names: str) -> npt.NDArray[np.complex128]:
        """Return pairs of channels of all heads as complex numbers, (position, head, n_pairs)."""
        heads = as_float64(np.concatenate([trace.get(name, layer) for name in names], axis=1))
        return np.asarray(heads[..., pairs[:, 0]] + 1j * heads[..., pairs[:, 1]])

    before, after = planes(trace.unrotated("q"), trace.unrotated("k")), planes("q_rot", "k_rot")
    lengths = (np.abs(before) ** 2).sum(axis=1)
    # A rotation, and the factor that some models add to it, is one complex factor.
    factors = (before.conj() * after).sum(axis=1) / np.where(lengths, lengths, 1.0)
    return np.stack([factors.real, factors.imag]).astype(np.float32)


def _norm_eps(trace: Activations) -> float:
    """Return the epsilon of an MLA model's norms.

    It is found where it matters most, at the position with the smallest latent.
    """
    layer = trace.layers_with_weights()[0]
    latent = as_float64(trace.get("x", layer)) @ trace.weights("W_DKV", layer)
    squares = (latent**2).mean(axis=-1)
    at = squares.argmin()
    scaled = latent[at] * trace.weights("g_KV", layer)
    factor = float(scaled @ trace.get("kv_latent", layer)[at] / (scaled @ scaled))
    eps = float(factor**-2 - squares[at]) if factor else 0.0
    return min(max(eps, 0.0), LARGEST_EPS)
