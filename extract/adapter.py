"""Convert TransformerLens activations to the trace's names and axes.

`TransformerLensAdapter.arrays` renames, transposes and asserts activations, `weights_of` weights;
nothing else sees the library's axes.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.pytorch_utils import Conv1D

from extract import proof
from extract.attention import RotaryStyle, rotate
from extract.errors import UnsupportedModelError

__all__ = [
    "HOOKS",
    "NEEDED",
    "Floats",
    "RotationTables",
    "Shape",
    "TransformerLensAdapter",
    "as_numpy",
    "weights_of",
]

Floats = npt.NDArray[np.float32]

# The output is read at W_O: some families add the residual before the library's "hook_out".
NEEDED = ("hook_in", "hook_q", "hook_k", "hook_v", "hook_pattern", "hook_z", "o.hook_out")
HOOKS = (
    *NEEDED,
    "hook_cos",
    "hook_sin",
    "hook_attn_scores",
    # MLA
    "hook_kv_latent",
    "q_proj.hook_out",
    "q_b_proj.hook_out",
    "kv_a_proj_with_mqa.hook_out",
)


@dataclass(frozen=True)
class Shape:
    """What `TraceMeta` says about a model's attention, and what the proof needs besides."""

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
    norm_eps: float


@dataclass(frozen=True)
class RotationTables:
    """How a rotary model turns queries and keys.

    ``cos`` and ``sin`` are [pos, rotary_dim / 2], one angle for each pair of channels, for as many
    positions as there are or more.
    """

    style: RotaryStyle
    cos: Floats
    sin: Floats

    @property
    def dim(self) -> int:
        """How many channels of a head rotate."""
        return 2 * int(self.cos.shape[-1])

    def turn(self, heads: Floats, mla: bool) -> Floats:
        """Rotate [pos, head, d_qk]: its first channels, or in MLA its last ones."""
        start = heads.shape[-1] - self.dim if mla else 0
        cos, sin = self.cos[: len(heads)], self.sin[: len(heads)]
        return rotate(heads, cos, sin, self.style, start).astype(np.float32)


def _rotations(cos: Floats, sin: Floats) -> Iterator[RotationTables]:
    """Yield the conventions in use, for the library's tables [pos, rotary_dim].

    A table holds every angle twice: one run of all angles after the other, or side by side.
    """
    half = cos.shape[-1] // 2
    yield RotationTables("half", cos[:, :half], sin[:, :half])
    yield RotationTables("interleaved", cos[:, :half], sin[:, :half])
    yield RotationTables("interleaved", cos[:, ::2], sin[:, ::2])


def _products(arrays: Mapping[str, Floats]) -> npt.NDArray[np.float64]:
    """Return the dot products of queries and keys as used, 0 above the diagonal: [head, q, k]."""
    queries = arrays.get("q_rot", arrays["q"]).astype(np.float64)
    keys = arrays.get("k_rot", arrays["k"])
    keys = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)
    return np.tril(np.einsum("qhd,khd->hqk", queries, keys))


def as_numpy(tensor: torch.Tensor) -> Floats:
    """Return a tensor's values as float32 in numpy."""
    values: Floats = tensor.detach().float().cpu().numpy()
    return values


@dataclass(frozen=True)
class TransformerLensAdapter:
    """Where the library's axes end: what is needed to read one layer of its activations.

    ``slopes`` are [n_heads], where positions are linear biases on the scores.
    """

    n_heads: int
    score_scale: float
    rotation: RotationTables | None = None
    slopes: Floats | None = None

    @classmethod
    def of(
        cls, cache: Mapping[str, torch.Tensor], n_heads: int, score_scale: float, alibi: bool
    ) -> TransformerLensAdapter:
        """Find how positions enter the model's own scores, from layer 0 at two positions or more.

        Raises
        ------
        UnsupportedModelError
            When they enter the scores and the library does not show them.
        """
        plain = cls(n_heads, score_scale)
        rotates = "blocks.0.attn.hook_cos" in cache
        if not (rotates or alibi):
            return plain
        scores = plain.arrays(cache, 0).get("scores")
        if scores is None:
            raise UnsupportedModelError(
                "the model cannot be traced: TransformerLens does not show its scores"
            )
        if alibi:
            bias = scores - _products(plain.arrays(cache, 0)) * score_scale
            slopes = (bias[:, -1, -1] - bias[:, -1, 0]) / (bias.shape[-1] - 1)
            return replace(plain, slopes=slopes.astype(np.float32))
        cos, sin = (as_numpy(cache[f"blocks.0.attn.hook_{name}"][0]) for name in ("cos", "sin"))

        def error(adapter: TransformerLensAdapter) -> float:
            return proof.relative_error(_products(adapter.arrays(cache, 0)) * score_scale, scores)

        return min((replace(plain, rotation=one) for one in _rotations(cos, sin)), key=error)

    def arrays(self, cache: Mapping[str, torch.Tensor], layer: int) -> dict[str, Floats]:
        """Rename, transpose and assert one layer's activations.

        Returns
        -------
        dict
            ``x, q, k, v, pattern, z, out`` as in `extract.trace`, and where the model has them
            ``q_rot, k_rot, kv_latent, k_rope``.  Besides: ``scores`` [n_heads, query_pos, key_pos],
            0 above the diagonal, where the library shows them before the softmax; ``alibi_slopes``
            [n_heads] where positions are linear biases.
        """

        def hook(name: str) -> Floats:
            return as_numpy(cache[f"blocks.{layer}.attn.{name}"][0])

        mla = f"blocks.{layer}.attn.hook_kv_latent" in cache
        arrays = {"x": hook("hook_in"), "out": hook("o.hook_out"), "pattern": hook("hook_pattern")}
        n_positions = len(arrays["x"])
        if mla:
            # Here the library puts heads before positions, and groups z by a wrong head size.
            arrays["v"] = hook("hook_v").transpose(1, 0, 2)
            query = "q_b_proj" if f"blocks.{layer}.attn.q_b_proj.hook_out" in cache else "q_proj"
            arrays["q"] = hook(f"{query}.hook_out").reshape(n_positions, self.n_heads, -1)
            arrays["kv_latent"] = hook("hook_kv_latent")
            shared = hook("kv_a_proj_with_mqa.hook_out")[:, arrays["kv_latent"].shape[-1] :]
            content = hook("hook_k").transpose(1, 0, 2)[..., : -shared.shape[-1]]
            shared = np.repeat(shared[:, None], self.n_heads, axis=1)
            arrays["k"] = np.concatenate([content, shared], axis=-1)
        else:
            arrays |= {name: hook(f"hook_{name}") for name in ("q", "k", "v")}
        arrays["z"] = hook("hook_z").reshape(n_positions, self.n_heads, -1)
        _assert_axes(arrays, layer, self.n_heads)
        if self.rotation:
            arrays["q_rot"] = self.rotation.turn(arrays["q"], mla)
            arrays["k_rot"] = self.rotation.turn(arrays["k"], mla)
            if mla:
                arrays["k_rope"] = arrays["k_rot"][:, 0, -self.rotation.dim :]
        if f"blocks.{layer}.attn.hook_attn_scores" in cache:
            arrays |= self._scores(hook("hook_attn_scores"), arrays)
        return arrays

    def _scores(self, scores: Floats, arrays: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the model's own scores, and the slopes of a linear bias on positions.

        Where the library does not recompute attention itself it repeats the pattern under this
        name, and there are no scores to return.
        """
        if np.array_equal(scores, arrays["pattern"]):
            return {}
        # Above the diagonal the library keeps the lowest float32 there is.
        scores = np.tril(scores)
        if self.slopes is None:
            return {"scores": scores}
        # Families anchor the bias at different positions.  That adds a constant to a row, which
        # its softmax does not see; here the query's own position has none.
        own = np.diagonal(scores - _products(arrays) * self.score_scale, axis1=-2, axis2=-1)
        anchored = np.tril(scores - own[..., None]).astype(np.float32)
        return {"scores": anchored, "alibi_slopes": self.slopes}


def _assert_axes(arrays: Mapping[str, Floats], layer: int, n_heads: int) -> None:
    """Refuse activations whose axes are not those of a trace."""
    n_positions = len(arrays["x"])
    expected = {
        "q": (n_positions, n_heads, None),
        "k": (n_positions, None, arrays["q"].shape[-1]),
        "v": (n_positions, arrays["k"].shape[1], None),
        "pattern": (n_heads, n_positions, n_positions),
        "z": (n_positions, n_heads, arrays["v"].shape[-1]),
        "out": arrays["x"].shape,
    }
    for name, axes in expected.items():
        shape = arrays[name].shape
        if len(shape) != len(axes) or any(
            want not in (None, have) for want, have in zip(axes, shape, strict=True)
        ):
            raise UnsupportedModelError(
                f"the model cannot be traced: '{name}' of layer {layer} has shape {list(shape)}"
            )
    if np.triu(arrays["pattern"], k=1).any():
        raise UnsupportedModelError(
            f"the model cannot be traced: in layer {layer} queries see later keys (not causal)"
        )


def _linear(component: Any) -> tuple[Floats, Floats | None]:
    """Return a projection's weight [in, out] and bias [out]."""
    module = component.original_component
    weight = as_numpy(module.weight)
    if not isinstance(module, Conv1D):
        weight = weight.T
    bias = getattr(module, "bias", None)
    return weight, None if bias is None else as_numpy(bias)


def weights_of(bridge: Any, layer: int, shape: Shape) -> dict[str, Floats]:
    """Return a layer's weights and biases by their names in the trace, as views where possible."""
    parts = bridge.blocks[layer].attn.submodules
    if shape.attention == "mla":
        return _mla_weights(parts, shape)
    found: dict[str, Floats] = {}
    for name, heads, width in (
        ("q", shape.n_heads, shape.d_qk),
        ("k", shape.n_kv_heads, shape.d_qk),
        ("v", shape.n_kv_heads, shape.d_v),
    ):
        weight, bias = _linear(parts[name])
        found[f"W_{name.upper()}"] = weight.reshape(shape.d_model, heads, width)
        if bias is not None:
            found[f"b_{name.upper()}"] = bias.reshape(heads, width)
    weight, bias = _linear(parts["o"])
    found["W_O"] = weight.reshape(shape.n_heads, shape.d_v, shape.d_model)
    if bias is not None:
        found["b_O"] = bias
    return found


def _mla_weights(parts: Mapping[str, Any], shape: Shape) -> dict[str, Floats]:
    """Return the projections of an MLA layer by their names in the trace."""
    projections = [name for name in parts if not name.endswith("layernorm")]
    weights = {name: _linear(parts[name]) for name in projections}
    biased = [name for name, (_, bias) in weights.items() if bias is not None]
    if biased:
        raise UnsupportedModelError(f"MLA with biases cannot be traced ({', '.join(biased)})")
    heads, d_content = shape.n_heads, shape.d_qk - shape.rotary_dim
    down = weights["kv_a_proj_with_mqa"][0]  # [d_model, r + rotary_dim]
    rank = down.shape[-1] - shape.rotary_dim
    up = weights["kv_b_proj"][0].reshape(rank, heads, d_content + shape.d_v)
    found = {
        "W_DKV": down[:, :rank],
        "W_KR": down[:, rank:],
        "g_KV": as_numpy(parts["kv_a_layernorm"].original_component.weight),
        "W_UK": up[..., :d_content],
        "W_UV": up[..., d_content:],
        "W_O": weights["o"][0].reshape(heads, shape.d_v, shape.d_model),
    }
    if "q_proj" in weights:
        return found | {"W_Q": weights["q_proj"][0].reshape(shape.d_model, heads, shape.d_qk)}
    found["W_DQ"] = weights["q_a_proj"][0]
    found["g_Q"] = as_numpy(parts["q_a_layernorm"].original_component.weight)
    found["W_UQ"] = weights["q_b_proj"][0].reshape(-1, heads, shape.d_qk)
    return found
