"""Convert TransformerLens activations to the trace's names and axes.

`TransformerLensAdapter.activations` converts activations and `layer_weights` weights; no other code
handles the library's axes.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.pytorch_utils import Conv1D

from extract.attention import self_check
from extract.attention.arithmetic import Rotation, causal_mask
from extract.attention.head_norm import HeadNorm
from extract.errors import UnsupportedModelError

__all__ = [
    "HOOKS",
    "REQUIRED_HOOKS",
    "AttentionConfig",
    "Floats",
    "TransformerLensAdapter",
    "as_numpy",
    "attention_kind",
    "layer_weights",
    "rotated",
    "rotation_tables",
    "window_of",
]

Floats = npt.NDArray[np.float32]

# The output is read at W_O ("o.hook_out"): in some model families the library's own "hook_out"
# already includes the residual.
REQUIRED_HOOKS = ("hook_in", "hook_q", "hook_k", "hook_v", "hook_pattern", "hook_z", "o.hook_out")
HOOKS = (
    *REQUIRED_HOOKS,
    "hook_cos",
    "hook_sin",
    "hook_attn_scores",
    # MLA
    "hook_kv_latent",
    "q_proj.hook_out",
    "q_b_proj.hook_out",
    "kv_a_proj_with_mqa.hook_out",
    "q_a_layernorm.hook_out",
)


@dataclass(frozen=True)
class AttentionConfig:
    """A model's attention: fields of `TraceMeta`, and `norm_eps` for the self-check."""

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
    qk_norm: HeadNorm | None = None
    windows: tuple[int, ...] = ()
    score_cap: float = 0.0
    sinks: bool = False


def rotation_tables(rotation: Rotation, n_positions: int) -> dict[str, Floats]:
    """Return ``rope_cos`` and ``rope_sin`` of the trace, [pos, rotary_dim / 2]."""
    return {"rope_cos": rotation.cos[:n_positions], "rope_sin": rotation.sin[:n_positions]}


def rotated(rotation: Rotation, heads: Floats) -> Floats:
    """Rotate queries or keys, [pos, head, d_qk], by a rotation of these positions or more."""
    return rotation.at(slice(len(heads))).apply(heads).astype(np.float32)


def _rotations(cos: Floats, sin: Floats, start: int) -> Iterator[Rotation]:
    """Yield the possible meanings of the library's tables, each [pos, rotary_dim].

    A table contains every angle twice: all angles followed by all angles again, or each angle next
    to its copy.  `start` is the first channel that rotates.
    """
    half = cos.shape[-1] // 2
    yield Rotation(cos[:, :half], sin[:, :half], "half", start)
    yield Rotation(cos[:, :half], sin[:, :half], "interleaved", start)
    yield Rotation(cos[:, ::2], sin[:, ::2], "interleaved", start)


def _dot_products(arrays: Mapping[str, Floats]) -> npt.NDArray[np.float64]:
    """Return q k^T after any rotation, 0 above the diagonal: [n_heads, query_pos, key_pos]."""
    queries = arrays.get("q_rot", arrays["q"]).astype(np.float64)
    keys = arrays.get("k_rot", arrays["k"])
    keys = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)
    return np.tril(np.einsum("qhd,khd->hqk", queries, keys))


def attention_kind(n_heads: int, n_kv_heads: int, latent: bool) -> str:
    """Return "mha", "gqa", "mqa" or "mla"."""
    if latent:
        return "mla"
    if n_kv_heads == n_heads:
        return "mha"
    return "mqa" if n_kv_heads == 1 else "gqa"


def window_of(pattern: Floats) -> int:
    """Return how many keys a query sees at most in a pattern, or 0 if it sees all before it.

    Parameters
    ----------
    pattern : [n_heads, query_pos, key_pos]
        The keys that no head gives any weight are those hidden, if they have the form of a sliding
        window.
    """
    seen = np.asarray((pattern > 0).any(axis=0))
    n_tokens, window = len(seen), int(seen[-1].sum())
    if window < n_tokens and np.array_equal(seen, causal_mask(n_tokens, n_tokens, window)):
        return window
    return 0


def as_numpy(tensor: torch.Tensor) -> Floats:
    """Return a tensor's values as float32 in numpy."""
    values: Floats = tensor.detach().float().cpu().numpy()
    return values


@dataclass(frozen=True)
class TransformerLensAdapter:
    """Reader of TransformerLens activations that returns them with the trace's names and axes.

    Attributes
    ----------
    n_heads : int
    score_scale : float
    rotation : Rotation, optional
        Only for a rotary model; of as many positions as there are tokens, or more.
    slopes : [n_heads], optional
        Only for an "alibi" model.
    """

    n_heads: int
    score_scale: float
    rotation: Rotation | None = None
    slopes: Floats | None = None

    @classmethod
    def from_cache(
        cls, cache: Mapping[str, torch.Tensor], n_heads: int, score_scale: float, alibi: bool
    ) -> TransformerLensAdapter:
        """Return an adapter that rotates or biases as the model does.

        The rotation style or the slopes are found by comparison with the model's own scores.

        Parameters
        ----------
        cache : mapping
            TransformerLens activations of at least two positions; only layer 0 is read.
        n_heads : int
        score_scale : float
        alibi : bool
            Whether the model adds linear position biases to its scores.

        Raises
        ------
        UnsupportedModelError
            If the scores depend on positions and the library does not show them.
        """
        plain = cls(n_heads, score_scale)
        rotates = "blocks.0.attn.hook_cos" in cache
        if not (rotates or alibi):
            return plain
        arrays = plain.activations(cache, 0)
        scores = arrays.get("scores")
        if scores is None:
            raise UnsupportedModelError(
                "the model cannot be traced: TransformerLens does not show its scores"
            )
        if alibi:
            bias = scores - _dot_products(arrays) * score_scale
            slopes = (bias[:, -1, -1] - bias[:, -1, 0]) / (bias.shape[-1] - 1)
            return replace(plain, slopes=slopes.astype(np.float32))
        cos, sin = (as_numpy(cache[f"blocks.0.attn.hook_{name}"][0]) for name in ("cos", "sin"))

        def error(adapter: TransformerLensAdapter) -> float:
            return self_check.relative_error(
                _dot_products(adapter.activations(cache, 0)) * score_scale, scores
            )

        # In MLA the last channels rotate, elsewhere the first ones.
        start = arrays["q"].shape[-1] - cos.shape[-1] if "kv_latent" in arrays else 0
        candidates = (replace(plain, rotation=r) for r in _rotations(cos, sin, start))
        return min(candidates, key=error)

    def activations(self, cache: Mapping[str, torch.Tensor], layer: int) -> dict[str, Floats]:
        """Return one layer's activations with the trace's names and axes.

        Returns
        -------
        dict
            ``x, q, k, v, pattern, z, out`` as in `extract.trace`, and where the model has them
            ``q_rot, k_rot, rope_cos, rope_sin, q_latent, kv_latent, k_rope``.  Also ``scores``
            [n_heads, query_pos, key_pos] before the softmax, 0 above the diagonal, where the
            library shows them; and ``alibi_slopes`` [n_heads] for an "alibi" model.

        Raises
        ------
        UnsupportedModelError
            If an array has unexpected axes or the pattern is not causal.
        """

        def hook(name: str) -> Floats:
            return as_numpy(cache[f"blocks.{layer}.attn.{name}"][0])

        mla = f"blocks.{layer}.attn.hook_kv_latent" in cache
        arrays = {"x": hook("hook_in"), "out": hook("o.hook_out"), "pattern": hook("hook_pattern")}
        n_positions = len(arrays["x"])
        if mla:
            # For MLA the library puts heads before positions, and splits z by a wrong head size.
            arrays["v"] = hook("hook_v").transpose(1, 0, 2)
            query_hook = (
                "q_b_proj" if f"blocks.{layer}.attn.q_b_proj.hook_out" in cache else "q_proj"
            )
            arrays["q"] = hook(f"{query_hook}.hook_out").reshape(n_positions, self.n_heads, -1)
            arrays["kv_latent"] = hook("hook_kv_latent")
            if f"blocks.{layer}.attn.q_a_layernorm.hook_out" in cache:
                arrays["q_latent"] = hook("q_a_layernorm.hook_out")
            shared = hook("kv_a_proj_with_mqa.hook_out")[:, arrays["kv_latent"].shape[-1] :]
            content = hook("hook_k").transpose(1, 0, 2)[..., : -shared.shape[-1]]
            shared = np.repeat(shared[:, None], self.n_heads, axis=1)
            arrays["k"] = np.concatenate([content, shared], axis=-1)
        else:
            arrays |= {name: hook(f"hook_{name}") for name in ("q", "k", "v")}
        arrays["z"] = hook("hook_z").reshape(n_positions, self.n_heads, -1)
        _assert_axes(arrays, layer, self.n_heads)
        if self.rotation:
            arrays["q_rot"] = rotated(self.rotation, arrays["q"])
            arrays["k_rot"] = rotated(self.rotation, arrays["k"])
            arrays |= rotation_tables(self.rotation, n_positions)
            if mla:
                arrays["k_rope"] = arrays["k_rot"][:, 0, self.rotation.start :]
        if f"blocks.{layer}.attn.hook_attn_scores" in cache:
            arrays |= self._scores(hook("hook_attn_scores"), arrays)
        return arrays

    def _scores(self, scores: Floats, arrays: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the model's own scores, and the slopes of an "alibi" model.

        Where the library does not recompute attention itself, this hook holds the pattern again.
        Then there are no scores and the result is empty.
        """
        if np.array_equal(scores, arrays["pattern"]):
            return {}
        # Above the diagonal the library stores the lowest float32 number.
        scores = np.tril(scores)
        if self.slopes is None:
            return {"scores": scores}
        # Model families measure the distance of the bias from different positions.  That adds a
        # constant to a row, which its softmax ignores.  Here the bias at the query itself is 0.
        own_bias = np.diagonal(
            scores - _dot_products(arrays) * self.score_scale, axis1=-2, axis2=-1
        )
        shifted = np.tril(scores - own_bias[..., None]).astype(np.float32)
        return {"scores": shifted, "alibi_slopes": self.slopes}


def _assert_axes(arrays: Mapping[str, Floats], layer: int, n_heads: int) -> None:
    """Raise an error if the activations do not have the axes of a trace or are not causal."""
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


def layer_weights(bridge: Any, layer: int, config: AttentionConfig) -> dict[str, Floats]:
    """Return a layer's weights and biases by their names in the trace, as views where possible.

    Parameters
    ----------
    bridge : transformer_lens TransformerBridge
    layer : int
    config : AttentionConfig
    """
    parts = bridge.blocks[layer].attn.submodules
    if config.attention == "mla":
        return _mla_weights(parts, config)
    weights: dict[str, Floats] = {}
    for name, heads, width in (
        ("q", config.n_heads, config.d_qk),
        ("k", config.n_kv_heads, config.d_qk),
        ("v", config.n_kv_heads, config.d_v),
    ):
        weight, bias = _linear(parts[name])
        weights[f"W_{name.upper()}"] = weight.reshape(config.d_model, heads, width)
        if bias is not None:
            weights[f"b_{name.upper()}"] = bias.reshape(heads, width)
    weight, bias = _linear(parts["o"])
    weights["W_O"] = weight.reshape(config.n_heads, config.d_v, config.d_model)
    if bias is not None:
        weights["b_O"] = bias
    return weights


def _mla_weights(parts: Mapping[str, Any], config: AttentionConfig) -> dict[str, Floats]:
    """Return the projections of an MLA layer by their names in the trace."""
    projections = {name: _linear(parts[name]) for name in parts if not name.endswith("layernorm")}
    biased = [name for name, (_, bias) in projections.items() if bias is not None]
    if biased:
        raise UnsupportedModelError(f"MLA with biases cannot be traced ({', '.join(biased)})")
    n_heads, d_content = config.n_heads, config.d_qk - config.rotary_dim
    down = projections["kv_a_proj_with_mqa"][0]  # [d_model, r + rotary_dim]
    rank = down.shape[-1] - config.rotary_dim
    up = projections["kv_b_proj"][0].reshape(rank, n_heads, d_content + config.d_v)
    weights = {
        "W_DKV": down[:, :rank],
        "W_KR": down[:, rank:],
        "g_KV": as_numpy(parts["kv_a_layernorm"].original_component.weight),
        "W_UK": up[..., :d_content],
        "W_UV": up[..., d_content:],
        "W_O": projections["o"][0].reshape(n_heads, config.d_v, config.d_model),
    }
    if "q_proj" in projections:
        return weights | {
            "W_Q": projections["q_proj"][0].reshape(config.d_model, n_heads, config.d_qk)
        }
    weights["W_DQ"] = projections["q_a_proj"][0]
    weights["g_Q"] = as_numpy(parts["q_a_layernorm"].original_component.weight)
    weights["W_UQ"] = projections["q_b_proj"][0].reshape(-1, n_heads, config.d_qk)
    return weights
