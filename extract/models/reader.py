"""What both readers of a model's attention share: its settings, rotation, window and weights.

`extract.models.adapter` reads what TransformerLens shows, `extract.models.module_reader` what the
model's own modules do.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from transformers.pytorch_utils import Conv1D

from extract.attention.arithmetic import Rotation, as_float64, causal_mask, for_each_head
from extract.attention.head_norm import HeadNorm
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import UnsupportedModelError

__all__ = [
    "AttentionConfig",
    "AttentionReader",
    "Floats",
    "as_numpy",
    "dot_products",
    "find_rotation",
    "linear",
    "rotated",
    "weights_of_projections",
    "window_of",
]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AttentionConfig:
    """A model's attention: fields of `TraceMeta`."""

    attention: str
    positions: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_qk: int
    d_v: int
    rotary_dim: int
    rotary_style: str
    score_scale: float
    norm_eps: float = 0.0
    qk_norm: HeadNorm | None = None
    windows: tuple[int, ...] = ()
    score_cap: float = 0.0
    sinks: bool = False


class AttentionReader(Protocol):
    """Reader of one forward pass, by the trace's names and axes."""

    @property
    def config(self) -> AttentionConfig:
        """The model's attention."""

    @property
    def slopes(self) -> Floats | None:
        """Slopes of the position biases of an "alibi" model, [n_heads]."""

    def activations(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations by their names in `extract.trace`, without its number.

        Gains of norms, sinks and tables of rotation are among them, and ``scores`` [n_heads,
        query_pos, key_pos], the model's own before the softmax, where they are known.
        """

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in `extract.trace`."""


def as_numpy(tensor: torch.Tensor) -> Floats:
    """Return a tensor's values as float32 in numpy."""
    values: Floats = tensor.detach().float().cpu().numpy()
    return values


def window_of(seen: npt.NDArray[np.bool_]) -> int | None:
    """Return how many keys a query sees at most, or 0 if it sees all before it.

    Parameters
    ----------
    seen : [query_pos, key_pos]

    Returns
    -------
    int, optional
        None if it sees others than those of a sliding window.
    """
    n_tokens = len(seen)
    for window in (0, int(seen[-1].sum())):
        if np.array_equal(seen, causal_mask(n_tokens, n_tokens, window)):
            return window
    return None


# Rotation


def rotated(rotation: Rotation, arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return rotated queries and keys of a layer, and the tables of the rotation.

    Parameters
    ----------
    rotation : Rotation
        Of as many positions as there are tokens, or more.
    arrays : mapping
        The layer's ``q`` and ``k``, and ``q_norm`` and ``k_norm`` where it has them.
    """
    here = rotation.at(slice(len(arrays["q"])))
    made = {"rope_cos": here.cos, "rope_sin": here.sin}
    for name in ("q", "k"):
        heads = arrays.get(f"{name}_norm", arrays[name])
        made[f"{name}_rot"] = here.apply(heads).astype(np.float32)
    if "kv_latent" in arrays:
        made["k_rope"] = made["k_rot"][:, 0, here.start :]
    return made


def dot_products(queries: npt.ArrayLike, keys: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return q k^T of queries and keys [pos, head, d_qk], 0 above the diagonal.

    Returns
    -------
    [n_heads, query_pos, key_pos]
    """
    queries = as_float64(queries)
    keys = for_each_head(keys, queries.shape[1])
    return np.tril(np.einsum("qhd,khd->hqk", queries, keys))


def find_rotation(
    layer: str,
    tables: Any,
    queries: Floats,
    keys: Floats,
    products: npt.NDArray[np.float64],
    *,
    at_end: bool = False,
) -> Rotation | None:
    """Return how a layer rotates; found by comparison with the model's own dot products.

    Parameters
    ----------
    layer : str
        Its name in the error.
    tables : tensor or pair of tensors, optional
        What the model rotates by.
    queries, keys : [pos, head, d_qk]
        Before their rotation.
    products : [n_heads, query_pos, key_pos]
        Of the rotated ones, 0 above the diagonal.
    at_end : bool
        Whether the last channels rotate, as in MLA, not the first ones.

    Returns
    -------
    Rotation, optional
        None if nothing rotates.

    Raises
    ------
    UnsupportedModelError
        If no meaning of the tables gives these products.
    """
    if relative_error(dot_products(queries, keys), products) <= TOLERANCE:
        return None
    width = queries.shape[-1]
    candidates = [
        replace(rotation, start=width - rotation.pairs.size if at_end else 0).at(
            slice(len(queries))
        )
        for rotation in _meanings(tables)
        if rotation.pairs.size <= width and len(rotation.cos) >= len(queries)
    ]

    def error(rotation: Rotation) -> float:
        return relative_error(dot_products(rotation.apply(queries), rotation.apply(keys)), products)

    best = min(candidates, key=error, default=None)
    if best is None or not error(best) <= TOLERANCE:
        raise UnsupportedModelError(f"{layer} does not show how it rotates queries and keys")
    return best


def _meanings(tables: Any) -> Iterator[Rotation]:
    """Yield the possible meanings of what a model rotates by.

    A table has one angle for each pair of channels, or every angle twice: all angles and then all
    again, or each next to its copy.  Some families give sines before cosines.
    """
    if tables is None:
        return
    if not isinstance(tables, tuple):
        cos, sin = _flat(tables.real), _flat(tables.imag)
        yield Rotation(cos, sin, "interleaved")
        return
    first, second = map(_flat, tables)
    for cos, sin in ((first, second), (second, first)):
        half = cos.shape[-1] // 2
        for every in (slice(half), slice(None, None, 2), slice(None)):
            yield Rotation(cos[:, every], sin[:, every], "half")
            yield Rotation(cos[:, every], sin[:, every], "interleaved")


def _flat(table: torch.Tensor) -> Floats:
    """Return a table as [pos, angle]."""
    return as_numpy(table).reshape(-1, table.shape[-1])


# Weights


def linear(module: Any) -> tuple[Floats, Floats | None]:
    """Return a projection's weight [in, out] and bias [out]."""
    weight, bias = as_numpy(module.weight), getattr(module, "bias", None)
    if not isinstance(module, Conv1D):
        weight = weight.T
    return weight, None if bias is None else as_numpy(bias)


def weights_of_projections(
    projections: Mapping[str, tuple[Floats, Floats | None]], config: AttentionConfig
) -> dict[str, Floats]:
    """Return weights and biases by their names in the trace, as views where possible.

    Parameters
    ----------
    projections : mapping
        Weight [in, out] and bias [out] of the projections "q", "k", "v" and "o", or some of them.
    config : AttentionConfig
    """
    outputs = {
        "q": (config.n_heads, config.d_qk),
        "k": (config.n_kv_heads, config.d_qk),
        "v": (config.n_kv_heads, config.d_v),
        "o": (config.d_model,),
    }
    weights = {}
    for name, (weight, bias) in projections.items():
        inputs = (config.n_heads, config.d_v) if name == "o" else (config.d_model,)
        weights[f"W_{name.upper()}"] = weight.reshape(*inputs, *outputs[name])
        if bias is not None:
            weights[f"b_{name.upper()}"] = bias.reshape(outputs[name])
    return weights
