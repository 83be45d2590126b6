"""Convert what attention modules compute to the trace's names and axes.

Counterpart of `extract.models.adapter` for models of which TransformerLens does not show every
step; see `extract.models.module_hooks`.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from extract.attention.arithmetic import capped, causal_mask
from extract.attention.head_norm import NORM_KINDS, HeadNorm
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import UnsupportedModelError
from extract.models.module_hooks import AttentionCall, ModuleRecord
from extract.models.reader import (
    AttentionReader,
    Floats,
    LayerReading,
    as_numpy,
    dot_products,
    linear,
    weights_of_projections,
    window_of,
)
from extract.models.unsupported import QK_NORMS
from extract.trace.contents.meta import TraceMeta

__all__ = ["reader_of_modules"]

_OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj")


def reader_of_modules(
    records: Sequence[ModuleRecord], several: Sequence[ModuleRecord]
) -> AttentionReader:
    """Return a reader of recorded attention modules.

    Parameters
    ----------
    records : sequence of ModuleRecord
        One for each layer.
    several : sequence of ModuleRecord
        The same if they are of two tokens or more, else of a run with more tokens.

    Raises
    ------
    UnsupportedModelError
        If there is a step that this project does not know.
    """

    def weights(layer: int, meta: TraceMeta) -> dict[str, Floats]:
        module = records[layer].module
        if meta.attention == "mla":
            return _mla_weights(module, meta)
        return weights_of_projections(_projections(module, meta), meta)

    readings = partial(_reading, records), partial(_reading, several)
    return AttentionReader.of(len(records), *readings, weights)


def _reading(records: Sequence[ModuleRecord], layer: int) -> LayerReading:
    """Return what the modules of a layer show."""
    entry = records[layer]
    call = entry.calls[0]
    norm, arrays = _before_rotation(layer, entry)
    arrays |= {"x": _of(entry.x), "pattern": as_numpy(call.pattern), "z": as_numpy(call.z)}
    arrays["out"] = _of(entry.out)
    given = call.options.get("s_aux")
    sinks = getattr(entry.module, "sinks", None) if given is None else given
    if sinks is not None:
        arrays["sinks"] = as_numpy(sinks)
    scale, cap = _scale(entry), float(call.options.get("softcap") or 0)
    products = dot_products(as_numpy(call.q).swapaxes(0, 1), as_numpy(call.k).swapaxes(0, 1))
    window = _window(layer, call)
    allowed = causal_mask(len(arrays["x"]), len(arrays["x"]), window)
    return LayerReading(
        arrays=arrays,
        scores=(capped(products * scale, cap) * allowed).astype(np.float32),
        products=products,
        tables=entry.positions,
        scale=scale,
        window=window,
        cap=cap,
        norm=norm,
        norm_eps=_eps(entry.module.kv_a_layernorm) if _is_mla(entry) else 0.0,
    )


def _of(tensor: Any) -> Floats:
    """Return a recorded tensor that is always there."""
    if tensor is None:
        raise UnsupportedModelError("a projection is never called")
    return as_numpy(tensor)


def _is_mla(entry: ModuleRecord) -> bool:
    return "kv_a_layernorm" in entry.outputs


def _projections(module: Any, meta: TraceMeta) -> dict[str, tuple[Floats, Floats | None]]:
    """Return weight [in, out] and bias [out] of queries, keys, values and the output."""
    of_output = next((part for part in _OUTPUTS if hasattr(module, part)), None)
    apart = all(hasattr(module, f"{letter}_proj") for letter in "qkv")
    if of_output is None or not (apart or hasattr(module, "qkv_proj")):
        raise UnsupportedModelError(
            "its attention has no projections that are known (q_proj, k_proj and v_proj, or "
            f"qkv_proj; {', '.join(_OUTPUTS)})"
        )
    found = {"o": linear(getattr(module, of_output))}
    if apart:
        return found | {letter: linear(getattr(module, f"{letter}_proj")) for letter in "qkv"}
    weight, bias = linear(module.qkv_proj)
    stops = np.cumsum([meta.n_heads * meta.d_qk, meta.n_kv_heads * meta.d_qk])
    parts = np.split(weight, stops, axis=1)
    biases = [None] * 3 if bias is None else np.split(bias, stops)
    return found | dict(zip("qkv", zip(parts, biases, strict=True), strict=True))


def _mla_weights(module: Any, meta: TraceMeta) -> dict[str, Floats]:
    """Return the weights of an MLA layer by their names in the trace."""
    names = ("q_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")
    parts = {name: getattr(module, name, None) for name in names}
    found = {name: linear(part) for name, part in parts.items() if part is not None}
    biased = [name for name, (_, bias) in found.items() if bias is not None]
    if biased:
        raise UnsupportedModelError(f"it has MLA with biases ({', '.join(biased)})")
    down, up = found["kv_a_proj_with_mqa"][0], found["kv_b_proj"][0]
    rank, d_content = len(up), meta.d_qk - meta.rotary_dim
    up = up.reshape(rank, meta.n_heads, d_content + meta.d_v)
    weights = {
        "W_DKV": down[:, :rank],
        "W_KR": down[:, rank:],
        "g_KV": as_numpy(module.kv_a_layernorm.weight),
        "W_UK": up[..., :d_content],
        "W_UV": up[..., d_content:],
    }
    plain = {"o": found["o_proj"]}
    if "q_proj" in found:
        plain["q"] = found["q_proj"]
    else:
        W_UQ = found["q_b_proj"][0]
        weights |= {
            "W_DQ": found["q_a_proj"][0],
            "g_Q": as_numpy(module.q_a_layernorm.weight),
            "W_UQ": W_UQ.reshape(len(W_UQ), meta.n_heads, meta.d_qk),
        }
    return weights | weights_of_projections(plain, meta)


def _projected(layer: int, entry: ModuleRecord) -> dict[str, Floats]:
    """Return queries, keys and values before any norm and rotation; in MLA the latents too."""
    call = entry.calls[0]
    (n_heads, n_positions, d_qk), (n_kv_heads, _, d_v) = call.q.shape, call.v.shape
    outputs = entry.outputs
    arrays = {"v": as_numpy(call.v).swapaxes(0, 1)}
    if _is_mla(entry):
        latent = _of(outputs["kv_a_layernorm"]).reshape(n_positions, -1)
        rank = latent.shape[-1]
        shared = _of(outputs.get("kv_a_proj_with_mqa"))[:, rank:]
        d_content = d_qk - shared.shape[-1]
        expanded = _of(outputs.get("kv_b_proj")).reshape(n_positions, n_heads, d_content + d_v)
        of_heads = np.repeat(shared[:, None], n_heads, axis=1)
        projection = "q_b_proj" if "q_b_proj" in outputs else "q_proj"
        arrays |= {
            "q": _of(outputs.get(projection)).reshape(n_positions, n_heads, d_qk),
            "k": np.concatenate([expanded[..., :d_content], of_heads], axis=-1),
            "kv_latent": latent,
        }
        if "q_a_layernorm" in outputs:
            arrays["q_latent"] = _of(outputs["q_a_layernorm"])
        return arrays
    if "qkv_proj" in outputs:
        stops = np.cumsum([n_heads * d_qk, n_kv_heads * d_qk])
        queries, keys, _ = np.split(as_numpy(outputs["qkv_proj"]), stops, axis=-1)
    elif {"q_proj", "k_proj"} <= outputs.keys():
        queries, keys = as_numpy(outputs["q_proj"]), as_numpy(outputs["k_proj"])
    else:
        raise UnsupportedModelError(
            f"layer {layer} does not show its queries and keys before their rotation (q_proj and "
            "k_proj, or qkv_proj)"
        )
    arrays["q"] = queries.reshape(n_positions, n_heads, d_qk)
    arrays["k"] = keys.reshape(n_positions, n_kv_heads, d_qk)
    return arrays


# Norms


def _before_rotation(layer: int, entry: ModuleRecord) -> tuple[HeadNorm | None, dict[str, Floats]]:
    """Return the norm of queries and keys, None if the layer has none, and `_projected`.

    With a norm, also queries and keys after it, and its gains and biases.
    """
    arrays = _projected(layer, entry)
    names = next((pair for pair in QK_NORMS if set(pair) <= entry.outputs.keys()), None)
    if names is None:
        return None, arrays
    norms = []
    for letter, part in zip("qk", names, strict=True):
        norm, output, gain, bias = _fitted_norm(entry, part, arrays[letter])
        norms.append(norm)
        arrays |= {f"{letter}_norm": output, f"g_{letter}_norm": gain}
        if bias is not None:
            arrays[f"b_{letter}_norm"] = bias
    # With one head a head is all of the token, so what the queries show counts.
    if norms[0] != norms[1] and arrays["k"].shape[1] > 1:
        raise UnsupportedModelError("it normalises queries and keys differently")
    return norms[0], arrays


def _eps(module: Any) -> float:
    """Return the epsilon of a norm."""
    for name in ("variance_epsilon", "eps"):
        if isinstance(value := getattr(module, name, None), float):
            return value
    raise UnsupportedModelError("the epsilon of a norm is not known")


def _fitted_norm(
    entry: ModuleRecord, part: str, heads: Floats
) -> tuple[HeadNorm, Floats, Floats, Floats | None]:
    """Return a norm, its output [pos, head, d_qk], its gain and its bias [head, d_qk].

    Its kind, and whether its gain is what it holds or one more, is found by comparison with what
    the module gave.
    """
    n_heads, d_qk = heads.shape[1:]
    taken, given = as_numpy(entry.inputs[part]), as_numpy(entry.outputs[part])
    span = "head" if taken.shape[-1] == d_qk else "token"
    output = next(
        (
            turned(given).reshape(heads.shape)
            for turned in (np.asarray, lambda array: array.swapaxes(0, 1))
            if taken.ndim > 1 and np.array_equal(turned(taken).reshape(heads.shape), heads)
        ),
        None,
    )
    if output is None or taken.size != heads.size:
        raise UnsupportedModelError(
            "it does not normalise queries and keys between their projection and their rotation"
        )
    module = getattr(entry.module, part)
    held = as_numpy(module.weight)
    bias = None if getattr(module, "bias", None) is None else as_numpy(module.bias)
    # A gain of one head is that of all heads.
    shape = (n_heads, d_qk)
    held, *rest = (
        np.broadcast_to(array.reshape(-1, d_qk), shape)
        for array in (held, bias)
        if array is not None
    )
    shift = rest[0] if rest else None
    candidates = [
        (HeadNorm(kind, span, _eps(module)), gain)
        for kind in NORM_KINDS
        for gain in (held, held + 1)
    ]

    def error(candidate: tuple[HeadNorm, Floats]) -> float:
        return relative_error(candidate[0].apply(heads, candidate[1], shift), output)

    norm, gain = min(candidates, key=error)
    if not error((norm, gain)) <= TOLERANCE:
        raise UnsupportedModelError(
            "it normalises queries and keys in a way that this project does not know"
        )
    return norm, output, np.array(gain), None if shift is None else np.array(shift)


# Scale and mask


def _scale(entry: ModuleRecord) -> float:
    """Return the factor that a layer multiplies its dot products by."""
    call = entry.calls[0]
    for scale in (call.options.get("scaling"), getattr(entry.module, "scaling", None)):
        if scale is not None:
            return float(scale)
    return float(call.q.shape[-1] ** -0.5)


def _window(layer: int, call: AttentionCall) -> int:
    """Return how many keys a query sees at most, or 0 if it sees all before it."""
    if call.allowed is None:
        return 0
    window = window_of(call.allowed.cpu().numpy())
    if window is None:
        raise UnsupportedModelError(
            f"layer {layer} hides keys that are neither later ones nor those before a sliding "
            "window"
        )
    return window
