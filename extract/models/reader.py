"""How a model's attention is read, wherever it is shown: its steps, rotation, window and weights.

`extract.models.adapter` reads layers that TransformerLens shows, `extract.models.module_reader`
those of the model's own modules.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.pytorch_utils import Conv1D

from extract.attention.arithmetic import Rotation, as_float64, causal_mask, for_each_head
from extract.attention.head_norm import HeadNorm
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import UnsupportedModelError
from extract.trace.contents.meta import TraceMeta, attention_kind

__all__ = [
    "AttentionReader",
    "Floats",
    "LayerReading",
    "as_numpy",
    "dot_products",
    "linear",
    "weights_of_projections",
    "window_of",
]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LayerReading:
    """What a forward pass shows of one layer.

    Attributes
    ----------
    arrays : dict of str to array
        Activations before any rotation, gains of norms and sinks, by their names in
        `extract.trace` without the layer's number.
    scores : [n_heads, query_pos, key_pos], optional
        The layer's own before the softmax, 0 for hidden keys.
    products : [n_heads, query_pos, key_pos], optional
        Of queries and keys as used in the scores, 0 above the diagonal; None if nothing rotates.
    bias : [n_heads, query_pos, key_pos], optional
        What the layer adds to its scores for their positions.
    tables : tensor or pair of tensors, optional
        What queries and keys are rotated by.
    scale : float
        Factor of the dot products.
    window : int
        How many keys a query sees at most; 0 if it sees all before it.
    cap : float
        See ``score_cap`` of `TraceMeta`.
    norm : HeadNorm, optional
        Of queries and keys.
    norm_eps : float
        Of the norms on the latents of MLA.
    """

    arrays: dict[str, Floats]
    scores: Floats | None
    products: npt.NDArray[np.float64] | None
    tables: Any
    scale: float
    window: int
    bias: npt.NDArray[np.float64] | None = None
    cap: float = 0.0
    norm: HeadNorm | None = None
    norm_eps: float = 0.0


@dataclass(frozen=True)
class AttentionReader:
    """Reader of one forward pass, by the trace's names and axes.

    Attributes
    ----------
    read : callable
        Returns the `LayerReading` of a layer.
    weights : callable
        Returns a layer's weights and biases by their names in `extract.trace`, without its number,
        for the metadata of the trace.
    attention : mapping
        The model's attention: fields of `TraceMeta`.
    rotations : sequence of Rotation or None
        One for each layer; None where nothing is rotated.
    slopes : [n_heads], optional
        Of the position biases of an "alibi" model.
    """

    read: Callable[[int], LayerReading]
    weights: Callable[[int, TraceMeta], dict[str, Floats]]
    attention: Mapping[str, Any]
    rotations: list[Rotation | None]
    slopes: Floats | None

    @classmethod
    def of(
        cls,
        n_layers: int,
        read: Callable[[int], LayerReading],
        read_several: Callable[[int], LayerReading],
        weights: Callable[[int, TraceMeta], dict[str, Floats]],
        unrotated: str = "none",
    ) -> AttentionReader:
        """Return a reader, after finding out which steps the model's attention has.

        Parameters
        ----------
        n_layers : int
        read, weights : callable
            See the attributes.
        read_several : callable
            The same as `read` if that is of two tokens or more, else of a run with more tokens:
            position 0 alone does not show how positions enter the scores.
        unrotated : str
            ``positions`` of `TraceMeta` where they enter by neither rotation nor bias.

        Raises
        ------
        UnsupportedModelError
            If there is a step that this project does not know.
        """
        rotations, windows, steps, sinks = [], [], set(), set()
        for layer in range(n_layers):
            several = read_several(layer)
            rotations.append(_rotation(layer, several))
            steps.add((several.scale, several.cap, several.norm))
            sinks.add("sinks" in several.arrays)
            windows.append(read(layer).window)
        turned = {(each.style, each.pairs.size) if each else ("", 0) for each in rotations}
        if len(turned) > 1:
            raise UnsupportedModelError("it has layers without rotation among rotated ones")
        if len(steps) > 1:
            raise UnsupportedModelError("its layers scale, cap or normalise differently")
        if len(sinks) > 1:
            raise UnsupportedModelError("only some layers have sinks")
        ((style, dim),), ((scale, cap, norm),), (has_sinks,) = turned, steps, sinks
        first, bias, slopes = read(0), read_several(0).bias, None
        if bias is not None:
            steepness = (bias[:, -1, -1] - bias[:, -1, 0]) / (bias.shape[-1] - 1)
            slopes = steepness.astype(np.float32)
        (_, n_heads, d_qk), (_, n_kv_heads, d_v) = first.arrays["q"].shape, first.arrays["v"].shape
        is_mla = "kv_latent" in first.arrays
        attention = {
            "attention": "mla" if is_mla else attention_kind(n_heads, n_kv_heads),
            "positions": "rotary" if style else unrotated if slopes is None else "alibi",
            "n_layers": n_layers,
            "n_heads": n_heads,
            "n_kv_heads": n_kv_heads,
            "d_model": first.arrays["x"].shape[-1],
            "d_qk": d_qk,
            "d_v": d_v,
            "rotary_dim": dim,
            "rotary_style": style,
            "score_scale": scale,
            "norm_eps": first.norm_eps,
            "qk_norm": norm,
            "windows": tuple(windows) if any(windows) else (),
            "score_cap": cap,
            "sinks": has_sinks,
        }
        return cls(read, weights, attention, rotations, slopes)

    def activations(self, layer: int) -> tuple[dict[str, Floats], Floats | None]:
        """Return a layer's activations by their names in `extract.trace`, and its scores.

        Gains of norms, sinks and tables of rotation are among them.  The scores are the model's
        own before the softmax, [n_heads, query_pos, key_pos], where they are known.
        """
        reading, rotation = self.read(layer), self.rotations[layer]
        turned = _rotated(rotation, reading.arrays) if rotation else {}
        return reading.arrays | turned, reading.scores


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


def _rotated(rotation: Rotation, arrays: Mapping[str, Floats]) -> dict[str, Floats]:
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


def _rotation(layer: int, reading: LayerReading) -> Rotation | None:
    """Return how a layer rotates; found by comparison with the model's own dot products.

    It is None if nothing rotates.

    Raises
    ------
    UnsupportedModelError
        If no meaning of the tables gives these products.
    """
    arrays, products = reading.arrays, reading.products
    queries, keys = (arrays.get(f"{letter}_norm", arrays[letter]) for letter in ("q", "k"))
    if products is None or relative_error(dot_products(queries, keys), products) <= TOLERANCE:
        return None
    width = queries.shape[-1]
    candidates = [
        # In MLA the last channels rotate, not the first ones.
        replace(rotation, start=width - rotation.pairs.size if "kv_latent" in arrays else 0).at(
            slice(len(queries))
        )
        for rotation in _meanings(reading.tables)
        if rotation.pairs.size <= width and len(rotation.cos) >= len(queries)
    ]

    def error(rotation: Rotation) -> float:
        return relative_error(dot_products(rotation.apply(queries), rotation.apply(keys)), products)

    best = min(candidates, key=error, default=None)
    if best is None or not error(best) <= TOLERANCE:
        raise UnsupportedModelError(f"layer {layer} does not show how it rotates queries and keys")
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
    projections: Mapping[str, tuple[Floats, Floats | None]], meta: TraceMeta
) -> dict[str, Floats]:
    """Return weights and biases by their names in the trace, as views where possible.

    Parameters
    ----------
    projections : mapping
        Weight [in, out] and bias [out] of the projections "q", "k", "v" and "o", or some of them.
    meta : TraceMeta
    """
    outputs = {
        "q": (meta.n_heads, meta.d_qk),
        "k": (meta.n_kv_heads, meta.d_qk),
        "v": (meta.n_kv_heads, meta.d_v),
        "o": (meta.d_model,),
    }
    weights = {}
    for name, (weight, bias) in projections.items():
        inputs = (meta.n_heads, meta.d_v) if name == "o" else (meta.d_model,)
        weights[f"W_{name.upper()}"] = weight.reshape(*inputs, *outputs[name])
        if bias is not None:
            weights[f"b_{name.upper()}"] = bias.reshape(outputs[name])
    return weights
