"""Run a model once and record what its attention computes.

The only module that sees TransformerLens and its axes: `_border` renames, transposes and asserts
them, and nothing after it needs to know.  Needs torch; `extract.trace` imports it when called.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
from transformers.pytorch_utils import Conv1D

from extract import proof
from extract.errors import ExtractError, UnsupportedModelError
from extract.featured import choose
from extract.models import DEFAULT_GENERATED
from extract.refusals import refuse
from extract.trace import SCHEMA, TOP_TOKENS, Source, Trace, TraceMeta

__all__ = ["Report", "attention_inputs", "trace_model"]

Report = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many steps of it are finished."""

Floats = npt.NDArray[np.float32]

_LIBRARIES = ("torch", "transformers", "transformer-lens", "numpy")


def _silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def trace_model(
    model: Any,
    tokenizer: Any,
    prompt: str,
    *,
    generate: int = DEFAULT_GENERATED,
    continuation: str | None = None,
    bos: bool | None = None,
    layers: Sequence[int] = (),
    head: int | None = None,
    name: str | None = None,
    source: Source | None = None,
    random_weights: bool = False,
    report: Report = _silent,
) -> Trace:
    """Trace one prompt on a decoder that is in memory, in float32.

    The model is not changed: TransformerLens wraps a second set of modules around the same weights.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    prompt : str
    generate : int
        How many tokens the model adds, the likeliest one each time.  An end-of-text token stops it
        and is not stored.
    continuation : str, optional
        These words follow the prompt instead of generated ones.
    bos : bool, optional
        Whether a beginning-of-sequence token comes first; TransformerLens's default for the model's
        family if not given.
    layers : sequence of int
        Layers whose weights are stored; the first one is featured.  Chosen from the patterns if
        empty.
    head : int, optional
        The featured head; chosen from the patterns if not given.
    name : str, optional
        The model's name as shown on screen.
    source : Source, optional
    random_weights : bool
        Say on screen that the model is made up.
    report : callable
        Told about the progress.

    Returns
    -------
    Trace
        Proved: every stage recomputed from the stage before it agrees with the model's own.

    Raises
    ------
    UnsupportedModelError
        When the model's attention does something that a trace cannot show truthfully.
    ExtractError
        When an argument does not fit the model, or the proof fails.
    """
    refuse(model)
    other = {str(parameter.dtype) for parameter in model.parameters()} - {"torch.float32"}
    if other:
        raise ExtractError(f"the model holds {', '.join(sorted(other))}; load it in torch.float32")
    name = name or type(model).__name__
    plain = _twin(model)
    bridge = _bridge(_twin(model))
    bos = bool(bridge.cfg.default_prepend_bos) if bos is None else bos
    words = _Words.of(plain, tokenizer, prompt, continuation, bos)
    if continuation is None:
        words.generate(plain, tokenizer, generate, report)
    report("forward pass", 0, 1)
    run = _run(plain, bridge, words.ids)
    report("forward pass", 1, 1)

    shape = run.shape
    _check_range("layer", layers, shape.n_layers)
    _check_range("head", () if head is None else (head,), shape.n_heads)
    tensors: dict[str, npt.NDArray[Any]] = {}
    errors: list[dict[str, float]] = [{"logits": run.error}]
    for layer in range(shape.n_layers):
        report("self-check", layer, shape.n_layers)
        arrays = run.layer(layer)
        errors.append(proof.prove(arrays, run.weights(layer), shape.score_scale, shape.norm_eps))
        stored = {
            key: array for key, array in arrays.items() if key not in ("scores", "alibi_slopes")
        }
        tensors |= {Trace.key(key, layer): array for key, array in stored.items()}
        if "alibi_slopes" in arrays:
            tensors["alibi_slopes"] = arrays["alibi_slopes"]
    report("self-check", shape.n_layers, shape.n_layers)
    worst = proof.largest(errors)
    proof.require(worst, name)

    texts = [_text(tokenizer, token) for token in words.ids]
    patterns = np.stack([tensors[Trace.key("pattern", layer)] for layer in range(shape.n_layers)])
    n_prompt = words.n_prompt
    featured, criterion = choose(
        patterns[:, :, :n_prompt, :n_prompt],
        texts[:n_prompt],
        words.has_bos,
        layers[0] if layers else None,
        head,
    )
    for layer in {featured.layer, *layers}:
        tensors |= {Trace.key(key, layer): array for key, array in run.weights(layer).items()}
    top_probs, top_ids = torch.topk(torch.softmax(run.logits, dim=-1), TOP_TOKENS)
    tensors |= {"top_ids": top_ids.numpy().astype(np.int32), "top_probs": top_probs.numpy()}

    meta = TraceMeta(
        schema=SCHEMA,
        model=name,
        source=source or Source("memory", name),
        attention=shape.attention,
        positions=shape.positions,
        n_layers=shape.n_layers,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        d_model=shape.d_model,
        d_qk=shape.d_qk,
        d_v=shape.d_v,
        rotary_dim=shape.rotary_dim,
        rotary_style=shape.rotary_style,
        score_scale=shape.score_scale,
        prompt=prompt,
        tokens=tuple(texts),
        token_ids=tuple(words.ids),
        n_prompt=n_prompt,
        has_bos=words.has_bos,
        featured=featured,
        featured_criterion=criterion,
        continued=continuation is not None,
        random_weights=random_weights,
        versions={library: version(library) for library in _LIBRARIES}
        | {"python": platform.python_version()},
        self_check=worst,
        top_tokens=tuple(tuple(_text(tokenizer, int(token)) for token in row) for row in top_ids),
    )
    # Copies: a tensor that is a view would keep the model's weights in memory.
    trace = Trace(meta, {key: np.array(array, order="C") for key, array in tensors.items()})
    trace.validate()
    return trace


# Words


def _text(tokenizer: Any, token: int) -> str:
    """Return a token's text, its leading space included."""
    text: str = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    # SentencePiece marks the space in the piece and drops it when a piece is decoded alone.
    piece = tokenizer.convert_ids_to_tokens(token)
    if isinstance(piece, str) and piece.startswith("\u2581") and not text.startswith(" "):
        return f" {text}"
    return text


@dataclass
class _Words:
    """The tokens of one trace: the prompt, and what follows it."""

    ids: list[int]
    n_prompt: int
    has_bos: bool
    limit: int

    @classmethod
    def of(
        cls, model: Any, tokenizer: Any, prompt: str, continuation: str | None, bos: bool
    ) -> _Words:
        """Split the prompt, and the continuation if there is one, into tokens."""
        ids = _split(tokenizer, prompt)
        if not ids:
            raise ExtractError("the prompt is empty; give at least one word with --prompt")
        whole = _split(tokenizer, prompt + (continuation or ""))
        if whole[: len(ids)] != ids:
            raise ExtractError(
                "the continuation joins the prompt's last word; begin it with a space or a comma"
            )
        start = [_bos_token(tokenizer)] if bos else []
        limit = getattr(model.config, "max_position_embeddings", None) or 2**31
        words = cls(start + whole, len(start) + len(ids), bos, limit)
        words.check_length()
        return words

    def generate(self, model: Any, tokenizer: Any, count: int, report: Report) -> None:
        """Let the model add its likeliest token, ``count`` times or until it ends the text."""
        ends = _end_tokens(model, tokenizer)
        for step in range(count):
            report("generating", step, count)
            token = int(_logits(model, self.ids)[-1].argmax())
            if token in ends:
                break
            self.ids.append(token)
            self.check_length()
        report("generating", count, count)

    def check_length(self) -> None:
        """Refuse more tokens than the model knows positions for."""
        if len(self.ids) > self.limit:
            raise ExtractError(
                f"{len(self.ids)} tokens are more than the model's {self.limit} positions; "
                "shorten the prompt"
            )


def _split(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def _bos_token(tokenizer: Any) -> int:
    """Return the beginning-of-sequence token, or as TransformerLens does the end-of-text one."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ExtractError("this tokenizer has no beginning-of-sequence token; add --bos no")


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end a text."""
    ends: set[int] = set()
    for owner in (getattr(model, "generation_config", None), model.config, tokenizer):
        found = getattr(owner, "eos_token_id", None)
        ends.update(found if isinstance(found, list | tuple) else [] if found is None else [found])
    return ends


# Running


def _twin(model: Any) -> Any:
    """Return a second set of modules, ready to run, around the same weights.

    TransformerLens replaces a model's submodules, after which its cached generation is wrong and it
    returns no attentions; and dropout must be off without touching the caller's model.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


def _bridge(model: Any) -> Any:
    """Wrap a model with TransformerLens, which replaces its submodules.

    Built from the module: ``boot_transformers`` would load tokenizer or weights from the hub again.
    """
    # Only eager attention returns the patterns of families that the library does not recompute.
    model.set_attn_implementation("eager")
    try:
        return build_bridge_from_module(
            model, type(model).__name__, hf_config=model.config, model_name=type(model).__name__
        )
    except Exception as error:  # families that the library does not know fail in many ways
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be traced: TransformerLens cannot wrap it ({reason})"
        ) from error


def _logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return a plain model's logits, [pos, vocabulary]."""
    with torch.inference_mode():
        # Without the cache: every pass computes all positions, so no state can go stale.
        tokens = torch.tensor([list(ids)], device=model.device)
        logits: torch.Tensor = model(input_ids=tokens, use_cache=False).logits[0]
    return logits.float().cpu()


@dataclass(frozen=True)
class _Shape:
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
class _Run:
    """One forward pass: the library's activations behind one border, in the trace's names.

    ``logits`` is [pos, vocabulary], from a model that TransformerLens has not wrapped; ``error`` is
    how far the wrapped model's are from them.
    """

    logits: torch.Tensor
    error: float
    shape: _Shape
    bridge: Any
    cache: Mapping[str, torch.Tensor]
    border: _Border

    def layer(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations, see `_Border.arrays`."""
        return self.border.arrays(self.cache, layer)

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in the trace."""
        return _weights(self.bridge, layer, self.shape)


# The output is read at W_O: some families add the residual before the library's "hook_out".
_NEEDED = ("hook_in", "hook_q", "hook_k", "hook_v", "hook_pattern", "hook_z", "o.hook_out")
_HOOKS = (
    *_NEEDED,
    "hook_cos",
    "hook_sin",
    "hook_attn_scores",
    # MLA
    "hook_kv_latent",
    "q_proj.hook_out",
    "q_b_proj.hook_out",
    "kv_a_proj_with_mqa.hook_out",
)


def _run(plain: Any, bridge: Any, ids: Sequence[int]) -> _Run:
    """Run a model once as it is and once wrapped, keeping only what a trace needs."""
    logits = _logits(plain, ids)
    n_layers = len(bridge.blocks)
    wanted = {f"blocks.{layer}.attn.{hook}" for layer in range(n_layers) for hook in _HOOKS}
    with torch.inference_mode():
        tokens = torch.tensor([list(ids)], device=plain.device)
        theirs, cache = bridge.run_with_cache(tokens, names_filter=wanted.__contains__)
    name = type(plain).__name__
    error = proof.relative_error(_array(theirs[0]), logits.numpy())
    if not error <= proof.TOLERANCE:
        raise ExtractError(
            f"{name} cannot be traced truthfully: wrapped by TransformerLens, its logits are not "
            f"its own (error {error:.1e}, limit {proof.TOLERANCE:.0e})"
        )
    for layer in range(n_layers):
        for hook in _NEEDED:
            if f"blocks.{layer}.attn.{hook}" not in cache:
                raise UnsupportedModelError(
                    f"{name} cannot be traced: TransformerLens does not show '{hook}' of layer "
                    f"{layer}, so it is not an attention layer that the library knows"
                )
    scales = {_score_scale(bridge, cache, layer) for layer in range(n_layers)}
    if len(scales) > 1:
        raise UnsupportedModelError(f"{name} cannot be traced: its layers scale scores differently")
    (scale,) = scales
    family = bridge.cfg.positional_embedding_type
    border = _Border.of(cache, int(bridge.cfg.n_heads), scale, family == "alibi")
    rotation, n_heads = border.rotation, border.n_heads
    if rotation:
        positions = "rotary"
    elif family == "rotary":
        raise UnsupportedModelError(
            f"{name} cannot be traced: TransformerLens does not show how it turns queries and keys"
        )
    elif border.alibi:
        positions = "alibi"
    else:
        positions = "learned" if hasattr(bridge, "pos_embed") else "none"
    first = border.arrays(cache, 0)
    n_kv_heads = first["k"].shape[1]
    shape = _Shape(
        attention=_attention_kind(n_heads, n_kv_heads, "kv_latent" in first),
        positions=positions,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_model=first["x"].shape[-1],
        d_qk=first["q"].shape[-1],
        d_v=first["v"].shape[-1],
        rotary_dim=rotation.dim if rotation else 0,
        rotary_style=rotation.style if rotation else "",
        score_scale=scale,
        norm_eps=_norm_eps(bridge),
    )
    return _Run(logits, error, shape, bridge, cache, border)


def _attention_kind(n_heads: int, n_kv_heads: int, latent: bool) -> str:
    """Return "mha", "gqa", "mqa" or "mla"."""
    if latent:
        return "mla"
    if n_kv_heads == n_heads:
        return "mha"
    return "mqa" if n_kv_heads == 1 else "gqa"


def _score_scale(bridge: Any, cache: Mapping[str, torch.Tensor], layer: int) -> float:
    """Return what a layer multiplies its dot products by."""
    module = bridge.blocks[layer].attn.original_component
    for name in ("scaling", "softmax_scale"):
        if isinstance(scale := getattr(module, name, None), float):
            return scale
    return float(cache[f"blocks.{layer}.attn.hook_q"].shape[-1] ** -0.5)


def _norm_eps(bridge: Any) -> float:
    """Return the epsilon of the norms on the latents of an MLA layer, 0 for any other."""
    norm = bridge.blocks[0].attn.submodules.get("kv_a_layernorm")
    return float(norm.original_component.variance_epsilon) if norm else 0.0


def _check_range(what: str, values: Sequence[int], count: int) -> None:
    for value in values:
        if not 0 <= value < count:
            raise ExtractError(f"there is no {what} {value}; this model has 0 to {count - 1}")


# The border


@dataclass(frozen=True)
class _Rotation:
    """How a rotary model turns queries and keys.

    ``cos`` and ``sin`` are [pos, rotary_dim / 2], one angle for each pair of channels.
    """

    style: str
    cos: Floats
    sin: Floats

    @property
    def dim(self) -> int:
        """How many channels of a head rotate."""
        return 2 * int(self.cos.shape[-1])

    def turn(self, heads: Floats, mla: bool) -> Floats:
        """Rotate [pos, head, d_qk]: its first channels, or in MLA its last ones."""
        start = heads.shape[-1] - self.dim if mla else 0
        turned: Floats = proof.rotate(heads, self.cos, self.sin, self.style, start)
        return turned


def _rotations(cos: Floats, sin: Floats) -> Iterator[_Rotation]:
    """Yield the conventions in use, for the library's tables [pos, rotary_dim].

    A table holds every angle twice: one run of all angles after the other, or side by side.
    """
    half = cos.shape[-1] // 2
    yield _Rotation("half", cos[:, :half], sin[:, :half])
    yield _Rotation("interleaved", cos[:, :half], sin[:, :half])
    yield _Rotation("interleaved", cos[:, ::2], sin[:, ::2])


def _products(arrays: Mapping[str, Floats]) -> npt.NDArray[np.float64]:
    """Return the dot products of queries and keys as used, 0 above the diagonal: [head, q, k]."""
    queries = arrays.get("q_rot", arrays["q"]).astype(np.float64)
    keys = arrays.get("k_rot", arrays["k"])
    keys = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)
    return np.tril(np.einsum("qhd,khd->hqk", queries, keys))


def _array(tensor: torch.Tensor) -> Floats:
    """Return a tensor's values as float32 in numpy."""
    values: Floats = tensor.detach().float().cpu().numpy()
    return values


@dataclass(frozen=True)
class _Border:
    """Where the library's axes end: what is needed to read one layer of its activations.

    ``alibi`` says that scores hold a linear bias on positions.
    """

    n_heads: int
    score_scale: float
    alibi: bool
    rotation: _Rotation | None = None

    @classmethod
    def of(
        cls, cache: Mapping[str, torch.Tensor], n_heads: int, score_scale: float, alibi: bool
    ) -> _Border:
        """Find, if the model rotates, the convention that gives its own scores in layer 0."""
        if "blocks.0.attn.hook_cos" not in cache:
            return cls(n_heads, score_scale, alibi)
        cos, sin = (_array(cache[f"blocks.0.attn.hook_{name}"][0]) for name in ("cos", "sin"))

        def error(border: _Border) -> float:
            arrays = border.arrays(cache, 0)
            return proof.relative_error(_products(arrays) * score_scale, arrays["scores"])

        candidates = (
            cls(n_heads, score_scale, alibi, rotation) for rotation in _rotations(cos, sin)
        )
        return min(candidates, key=error)

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
            return _array(cache[f"blocks.{layer}.attn.{name}"][0])

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
        if not self.alibi:
            return {"scores": scores}
        # What the dot products leave of a row is its bias.  Families anchor it at different
        # positions, which adds a constant to a row and changes nothing in its softmax.
        bias = scores - _products(arrays) * self.score_scale
        n_positions = scores.shape[-1]
        position = np.arange(n_positions)
        slopes = (bias[:, -1, -1] - bias[:, -1, 0]) / max(n_positions - 1, 1)
        anchored = scores - bias[:, :, :1] - slopes[:, None, None] * position[None, :, None]
        return {
            "scores": np.tril(anchored).astype(np.float32),
            "alibi_slopes": slopes.astype(np.float32),
        }


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
    weight = _array(module.weight)
    if not isinstance(module, Conv1D):
        weight = weight.T
    bias = getattr(module, "bias", None)
    return weight, None if bias is None else _array(bias)


def _weights(bridge: Any, layer: int, shape: _Shape) -> dict[str, Floats]:
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


def _mla_weights(parts: Mapping[str, Any], shape: _Shape) -> dict[str, Floats]:
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
        "g_KV": _array(parts["kv_a_layernorm"].original_component.weight),
        "W_UK": up[..., :d_content],
        "W_UV": up[..., d_content:],
        "W_O": weights["o"][0].reshape(heads, shape.d_v, shape.d_model),
    }
    if "q_proj" in weights:
        return found | {"W_Q": weights["q_proj"][0].reshape(shape.d_model, heads, shape.d_qk)}
    found["W_DQ"] = weights["q_a_proj"][0]
    found["g_Q"] = _array(parts["q_a_layernorm"].original_component.weight)
    found["W_UQ"] = weights["q_b_proj"][0].reshape(-1, heads, shape.d_qk)
    return found


# The inputs alone


def attention_inputs(
    model: Any, layer: int, batches: Iterable[Sequence[Sequence[int]]]
) -> Iterator[Floats]:
    """Yield what one layer's attention receives, without running the layers above it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Not changed.
    layer : int
    batches : iterable
        Each one some lists of token ids, all of one length.

    Yields
    ------
    array
        [batch, pos, d_model], the same as ``x.L`` of a trace.
    """
    bridge = _bridge(_twin(model))
    hook = f"blocks.{layer}.attn.hook_in"
    for batch in batches:
        with torch.inference_mode():
            tokens = torch.tensor(batch, device=model.device)
            _, cache = bridge.run_with_cache(
                tokens, names_filter=hook.__eq__, stop_at_layer=layer + 1
            )
        yield _array(cache[hook])
