"""Convert what attention modules compute to the trace's names and axes.

Counterpart of `extract.models.adapter` for models of which TransformerLens does not show every
step; see `extract.models.module_hooks`.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import Rotation, capped, causal_mask
from extract.attention.head_norm import NORM_KINDS, HeadNorm
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import UnsupportedModelError
from extract.models.adapter import (
    AttentionConfig,
    Floats,
    as_numpy,
    attention_kind,
    rotated,
    rotation_tables,
)
from extract.models.module_hooks import AttentionCall, ModuleRecord

__all__ = ["ModuleReader"]

_OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj")
_NORMS = (
    ("q_norm", "k_norm"),
    ("q_layernorm", "k_layernorm"),
    ("query_layernorm", "key_layernorm"),
)


@dataclass(frozen=True)
class ModuleReader:
    """Reader of recorded attention modules.

    Attributes
    ----------
    name : str
        The model's class, for error messages.
    records : sequence of ModuleRecord
        One for each layer.
    config : AttentionConfig
    rotations : sequence of Rotation or None
        One for each layer; None where nothing is rotated.
    """

    name: str
    records: Sequence[ModuleRecord]
    config: AttentionConfig
    rotations: Sequence[Rotation | None]

    @classmethod
    def from_records(
        cls, name: str, records: Sequence[ModuleRecord], several: Sequence[ModuleRecord]
    ) -> ModuleReader:
        """Return a reader, after finding out which steps the model's attention has.

        Parameters
        ----------
        name : str
        records : sequence of ModuleRecord
        several : sequence of ModuleRecord
            The same if they are of two tokens or more, else of a run with more tokens: position 0
            alone does not show how positions enter the scores.

        Raises
        ------
        UnsupportedModelError
            If there is a step that this project does not know.
        """
        rotations = [_rotation(name, layer, entry) for layer, entry in enumerate(several)]
        styles = {rotation.style if rotation else "" for rotation in rotations}
        dims = {rotation.pairs.size if rotation else 0 for rotation in rotations}
        if len(styles) > 1 or len(dims) > 1:
            raise UnsupportedModelError(
                f"{name} cannot be traced truthfully: it has layers without rotation among rotated "
                "ones"
            )
        first = records[0].calls[0]
        scales = {_scale(entry) for entry in records}
        caps = {float(entry.calls[0].options.get("softcap") or 0) for entry in records}
        norms = {_norm(name, layer, entry) for layer, entry in enumerate(several)}
        if max(len(scales), len(caps), len(norms)) > 1:
            raise UnsupportedModelError(
                f"{name} cannot be traced: its layers scale, cap or normalise differently"
            )
        sinks = {_sinks(entry) is not None for entry in records}
        if len(sinks) > 1:
            raise UnsupportedModelError(f"{name} cannot be traced: only some layers have sinks")
        windows = tuple(_window(name, layer, entry.calls[0]) for layer, entry in enumerate(records))
        (n_heads, _, d_qk), (n_kv_heads, _, d_v) = first.q.shape, first.v.shape
        (style,), (dim,) = styles, dims
        config = AttentionConfig(
            attention=attention_kind(n_heads, n_kv_heads, _is_mla(records[0])),
            positions="rotary" if style else "none",
            n_layers=len(records),
            n_heads=n_heads,
            n_kv_heads=n_kv_heads,
            d_model=_of(records[0].x).shape[-1],
            d_qk=d_qk,
            d_v=d_v,
            rotary_dim=dim,
            rotary_style=style,
            score_scale=scales.pop(),
            norm_eps=_eps(records[0].module.kv_a_layernorm) if _is_mla(records[0]) else 0.0,
            qk_norm=norms.pop(),
            windows=windows if any(windows) else (),
            score_cap=caps.pop(),
            sinks=sinks.pop(),
        )
        return cls(name, records, config, rotations)

    def activations(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations by their names in the trace, gains of norms among them.

        Also ``scores`` [n_heads, query_pos, key_pos] before the softmax, 0 for hidden keys.
        """
        entry, config = self.records[layer], self.config
        call = entry.calls[0]
        arrays = {"x": _of(entry.x), "pattern": as_numpy(call.pattern), "z": as_numpy(call.z)}
        arrays["out"] = _of(entry.outputs.get(_output_name(self.name, entry)))
        arrays |= _projected(self.name, layer, entry)
        if config.sinks:
            arrays["sinks"] = _of(_sinks(entry))
        if config.qk_norm is not None:
            arrays |= _normalised(self.name, layer, entry, arrays)
        rotation, mla = self.rotations[layer], config.attention == "mla"
        if rotation is not None:
            for letter in ("q", "k"):
                unrotated = arrays.get(f"{letter}_norm", arrays[letter])
                arrays[f"{letter}_rot"] = rotated(rotation, unrotated)
            arrays |= rotation_tables(rotation, len(arrays["x"]))
            if mla:
                arrays["k_rope"] = arrays["k_rot"][:, 0, rotation.start :]
        keys = np.repeat(as_numpy(call.k), config.n_heads // config.n_kv_heads, axis=0)
        scores = config.score_scale * (as_numpy(call.q).astype(np.float64) @ keys.swapaxes(1, 2))
        n_tokens, window = len(arrays["x"]), config.windows[layer] if config.windows else 0
        allowed = causal_mask(n_tokens, n_tokens, window)
        arrays["scores"] = (capped(scores, config.score_cap) * allowed).astype(np.float32)
        return arrays

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in the trace."""
        entry, config = self.records[layer], self.config
        module = entry.module
        output, b_O = _linear(getattr(module, _output_name(self.name, entry)))
        weights = {"W_O": output.reshape(config.n_heads, config.d_v, config.d_model)}
        if b_O is not None:
            weights["b_O"] = b_O
        if config.attention == "mla":
            return weights | self._mla_weights(module)
        heads = {"q": config.n_heads, "k": config.n_kv_heads, "v": config.n_kv_heads}
        width = {"q": config.d_qk, "k": config.d_qk, "v": config.d_v}
        for letter, (weight, bias) in _projections(self.name, module, heads, width).items():
            shape = heads[letter], width[letter]
            weights[f"W_{letter.upper()}"] = weight.reshape(config.d_model, *shape)
            if bias is not None:
                weights[f"b_{letter.upper()}"] = bias.reshape(shape)
        return weights

    def _mla_weights(self, module: Any) -> dict[str, Floats]:
        """Return the projections of an MLA layer."""
        config = self.config
        names = ("q_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")
        linear = {
            name: _linear(part)
            for name in names
            if (part := getattr(module, name, None)) is not None
        }
        biased = [name for name, (_, bias) in linear.items() if bias is not None]
        if biased:
            raise UnsupportedModelError(f"MLA with biases cannot be traced ({', '.join(biased)})")
        d_content = config.d_qk - config.rotary_dim
        down = linear["kv_a_proj_with_mqa"][0]
        rank = down.shape[-1] - config.rotary_dim
        up = linear["kv_b_proj"][0].reshape(rank, config.n_heads, d_content + config.d_v)
        weights = {
            "W_DKV": down[:, :rank],
            "W_KR": down[:, rank:],
            "g_KV": as_numpy(module.kv_a_layernorm.weight),
            "W_UK": up[..., :d_content],
            "W_UV": up[..., d_content:],
        }
        if "q_proj" in linear:
            shape = (config.d_model, config.n_heads, config.d_qk)
            return weights | {"W_Q": linear["q_proj"][0].reshape(shape)}
        return weights | {
            "W_DQ": linear["q_a_proj"][0],
            "g_Q": as_numpy(module.q_a_layernorm.weight),
            "W_UQ": linear["q_b_proj"][0].reshape(-1, config.n_heads, config.d_qk),
        }


def _of(tensor: Any) -> Floats:
    """Return a recorded tensor that is always there."""
    if tensor is None:
        raise UnsupportedModelError("the model cannot be traced: a projection is never called")
    return as_numpy(tensor)


def _is_mla(entry: ModuleRecord) -> bool:
    return "kv_a_layernorm" in entry.outputs


def _output_name(name: str, entry: ModuleRecord) -> str:
    """Return the name of the output projection of a module."""
    found = next((part for part in _OUTPUTS if hasattr(entry.module, part)), None)
    if found is None:
        raise UnsupportedModelError(
            f"{name} cannot be traced: its attention has no output projection that is known "
            f"({', '.join(_OUTPUTS)})"
        )
    return found


def _linear(module: Any) -> tuple[Floats, Floats | None]:
    """Return a projection's weight [in, out] and bias [out]."""
    bias = getattr(module, "bias", None)
    return as_numpy(module.weight).T, None if bias is None else as_numpy(bias)


def _projections(
    name: str, module: Any, heads: Mapping[str, int], width: Mapping[str, int]
) -> dict[str, tuple[Floats, Floats | None]]:
    """Return weight [d_model, out] and bias [out] of queries, keys and values."""
    if all(hasattr(module, f"{letter}_proj") for letter in "qkv"):
        return {letter: _linear(getattr(module, f"{letter}_proj")) for letter in "qkv"}
    if not hasattr(module, "qkv_proj"):
        raise UnsupportedModelError(
            f"{name} cannot be traced: its attention has no projections that are known (q_proj, "
            "k_proj and v_proj, or qkv_proj)"
        )
    weight, bias = _linear(module.qkv_proj)
    stops = np.cumsum([heads[letter] * width[letter] for letter in "qk"])
    parts = np.split(weight, stops, axis=1)
    biases = [None] * 3 if bias is None else np.split(bias, stops)
    return dict(zip("qkv", zip(parts, biases, strict=True), strict=True))


def _projected(name: str, layer: int, entry: ModuleRecord) -> dict[str, Floats]:
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
            f"{name} cannot be traced: layer {layer} does not show its queries and keys before "
            "their rotation (q_proj and k_proj, or qkv_proj)"
        )
    arrays["q"] = queries.reshape(n_positions, n_heads, d_qk)
    arrays["k"] = keys.reshape(n_positions, n_kv_heads, d_qk)
    return arrays


# Norms


def _norm_names(entry: ModuleRecord) -> tuple[str, str] | None:
    """Return the names of the norms of queries and keys that a module calls."""
    return next((pair for pair in _NORMS if set(pair) <= entry.outputs.keys()), None)


def _eps(module: Any) -> float:
    """Return the epsilon of a norm."""
    for name in ("variance_epsilon", "eps"):
        if isinstance(value := getattr(module, name, None), float):
            return value
    raise UnsupportedModelError("the model cannot be traced: the epsilon of a norm is not known")


def _norm(name: str, layer: int, entry: ModuleRecord) -> HeadNorm | None:
    """Return the norm of queries and keys, or None if the layer has none."""
    names = _norm_names(entry)
    if names is None:
        return None
    arrays = _projected(name, layer, entry)
    found = [
        _fitted_norm(name, entry, part, arrays[letter])[0]
        for letter, part in zip(("q", "k"), names, strict=True)
    ]
    # With one head a head is all of the token, so what the queries show counts.
    if found[0] != found[1] and arrays["k"].shape[1] > 1:
        raise UnsupportedModelError(
            f"{name} cannot be traced: it normalises queries and keys differently"
        )
    return found[0]


def _normalised(
    name: str, layer: int, entry: ModuleRecord, arrays: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Return queries and keys after their norm, and its gains and biases."""
    names = _norm_names(entry)
    if names is None:
        raise UnsupportedModelError(
            f"{name} cannot be traced: layer {layer} does not normalise queries and keys, and "
            "others do"
        )
    normalised: dict[str, Floats] = {}
    for letter, part in zip(("q", "k"), names, strict=True):
        _, output, gain, bias = _fitted_norm(name, entry, part, arrays[letter])
        normalised |= {f"{letter}_norm": output, f"g_{letter}_norm": gain}
        if bias is not None:
            normalised[f"b_{letter}_norm"] = bias
    return normalised


def _fitted_norm(
    name: str, entry: ModuleRecord, part: str, heads: Floats
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
            f"{name} cannot be traced truthfully: it does not normalise queries and keys between "
            "their projection and their rotation"
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
            f"{name} cannot be traced truthfully: it normalises queries and keys in a way that "
            "this project does not know"
        )
    return norm, output, np.array(gain), None if shift is None else np.array(shift)


# Rotation, scale and mask


def _rotation(name: str, layer: int, entry: ModuleRecord) -> Rotation | None:
    """Return how a layer rotates; found by comparison with the model's own dot products."""
    call = entry.calls[0]
    arrays = _projected(name, layer, entry)
    if _norm_names(entry) is not None:
        arrays |= _normalised(name, layer, entry, arrays)
    queries, keys = (arrays.get(f"{letter}_norm", arrays[letter]) for letter in ("q", "k"))
    own = _products(as_numpy(call.q).swapaxes(0, 1), as_numpy(call.k).swapaxes(0, 1))
    if relative_error(_products(queries, keys), own) <= TOLERANCE:
        return None

    def error(rotation: Rotation) -> float:
        return relative_error(_products(rotated(rotation, queries), rotated(rotation, keys)), own)

    width = queries.shape[-1]
    candidates = [
        replace(rotation, start=width - rotation.pairs.size if _is_mla(entry) else 0)
        for rotation in _candidates(entry.positions)
        if rotation.pairs.size <= width and len(rotation.cos) >= len(queries)
    ]
    best = min(candidates, key=error, default=None)
    if best is None or not error(best) <= TOLERANCE:
        raise UnsupportedModelError(
            f"{name} cannot be traced: layer {layer} does not show how it rotates queries and keys"
        )
    return best


def _products(queries: Floats, keys: Floats) -> npt.NDArray[np.float64]:
    """Return q k^T of all positions, [n_heads, query_pos, key_pos]."""
    keys = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)
    products: npt.NDArray[np.float64] = np.einsum(
        "qhd,khd->hqk", queries.astype(np.float64), keys.astype(np.float64)
    )
    return products


def _candidates(positions: Any) -> Iterator[Rotation]:
    """Yield the possible meanings of what a model rotates by.

    A table has one angle for each pair of channels, or every angle twice: all angles and then all
    again, or each next to its copy.  Some families give sines before cosines.
    """
    if positions is None:
        return
    if not isinstance(positions, tuple):
        table = as_numpy(positions.real), as_numpy(positions.imag)
        cos, sin = (part.reshape(-1, part.shape[-1]) for part in table)
        yield Rotation(cos, sin, "interleaved")
        return
    first, second = (as_numpy(part).reshape(-1, part.shape[-1]) for part in positions)
    for cos, sin in ((first, second), (second, first)):
        half = cos.shape[-1] // 2
        for every in (slice(half), slice(None, None, 2), slice(None)):
            yield Rotation(cos[:, every], sin[:, every], "half")
            yield Rotation(cos[:, every], sin[:, every], "interleaved")


def _scale(entry: ModuleRecord) -> float:
    """Return the factor that a layer multiplies its dot products by."""
    call = entry.calls[0]
    for scale in (call.options.get("scaling"), getattr(entry.module, "scaling", None)):
        if scale is not None:
            return float(scale)
    return float(call.q.shape[-1] ** -0.5)


def _sinks(entry: ModuleRecord) -> Any:
    """Return the sinks that a layer counts in its softmax, [n_heads], or None."""
    given = entry.calls[0].options.get("s_aux")
    return getattr(entry.module, "sinks", None) if given is None else given


def _window(name: str, layer: int, call: AttentionCall) -> int:
    """Return how many keys a query sees at most, or 0 if it sees all before it."""
    if call.allowed is None:
        return 0
    allowed = call.allowed.cpu().numpy()
    n_tokens = len(allowed)
    window = int(allowed[-1].sum())
    for size in (0, window):
        if np.array_equal(allowed, causal_mask(n_tokens, n_tokens, size)):
            return size
    raise UnsupportedModelError(
        f"{name} cannot be traced truthfully: layer {layer} hides keys that are neither later ones "
        "nor those before a sliding window"
    )
