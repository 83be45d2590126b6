"""Run a model once and record what its attention computes.

Needs torch and TransformerLens; `extract.trace` imports this module when it is called.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

from extract import proof
from extract.adapter import (
    HOOKS,
    NEEDED,
    Floats,
    Shape,
    TransformerLensAdapter,
    as_numpy,
    weights_of,
)
from extract.errors import ExtractError, UnsupportedModelError
from extract.featured import choose
from extract.models import DEFAULT_GENERATED
from extract.token_sequence import Report, TokenSequence, logits_of, token_text
from extract.trace import SCHEMA, TOP_TOKENS, ModelSource, Trace, TraceMeta
from extract.unsupported import refuse

__all__ = ["Report", "attention_inputs", "trace_model"]

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
    source: ModelSource | None = None,
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
    _check_range("layer", layers, len(bridge.blocks))
    _check_range("head", () if head is None else (head,), bridge.cfg.n_heads)
    bos = bool(bridge.cfg.default_prepend_bos) if bos is None else bos
    words = TokenSequence.of(plain, tokenizer, prompt, continuation, bos)
    if continuation is None:
        words.generate(plain, tokenizer, generate, report)
    report("forward pass", 0, 1)
    run = _run(plain, bridge, words.ids)
    report("forward pass", 1, 1)

    tensors, errors = _proved(run, report)
    proof.require(errors, name)

    shape, n_prompt = run.shape, words.n_prompt
    texts = [token_text(tokenizer, token) for token in words.ids]
    patterns = np.stack([tensors[f"pattern.{layer}"] for layer in range(shape.n_layers)])
    featured, criterion = choose(
        patterns[:, :, :n_prompt, :n_prompt],
        texts[:n_prompt],
        words.has_bos,
        layer=layers[0] if layers else None,
        head=head,
    )
    for layer in {featured.layer, *layers}:
        tensors |= {Trace.key(key, layer): array for key, array in run.weights(layer).items()}
    top_probs, top_ids = torch.topk(torch.softmax(run.logits, dim=-1), TOP_TOKENS)
    tensors |= {"top_ids": top_ids.numpy().astype(np.int32), "top_probs": top_probs.numpy()}

    meta = TraceMeta(
        schema=SCHEMA,
        model=name,
        source=source or ModelSource("memory", name),
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
        self_check=errors,
        top_tokens=tuple(
            tuple(token_text(tokenizer, int(token)) for token in row) for row in top_ids
        ),
    )
    # Copies: a tensor that is a view would keep the model's weights in memory.
    trace = Trace(meta, {key: np.array(array, order="C") for key, array in tensors.items()})
    trace.validate()
    return trace


def _proved(run: _Run, report: Report) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float]]:
    """Return the tensors of all layers, and the largest error of every stage of the proof."""
    shape = run.shape
    tensors: dict[str, npt.NDArray[Any]] = {}
    errors: list[dict[str, float]] = [{"logits": run.error}]
    for layer in range(shape.n_layers):
        report("self-check", layer, shape.n_layers)
        arrays = run.layer(layer)
        errors.append(proof.prove(arrays, run.weights(layer), shape.score_scale, shape.norm_eps))
        stored = arrays.keys() - {"scores", "alibi_slopes"}
        tensors |= {Trace.key(name, layer): arrays[name] for name in sorted(stored)}
    if run.adapter.slopes is not None:
        tensors["alibi_slopes"] = run.adapter.slopes
    report("self-check", shape.n_layers, shape.n_layers)
    return tensors, proof.largest(errors)


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


@dataclass(frozen=True)
class _Run:
    """One forward pass: the library's activations behind one adapter, in the trace's names.

    ``logits`` is [pos, vocabulary], from a model that TransformerLens has not wrapped; ``error`` is
    how far the wrapped model's are from them.
    """

    logits: torch.Tensor
    error: float
    shape: Shape
    bridge: Any
    cache: Mapping[str, torch.Tensor]
    adapter: TransformerLensAdapter

    def layer(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations, see `TransformerLensAdapter.arrays`."""
        return self.adapter.arrays(self.cache, layer)

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in the trace."""
        return weights_of(self.bridge, layer, self.shape)


def _run(plain: Any, bridge: Any, ids: Sequence[int]) -> _Run:
    """Run a model once as it is and once wrapped, keeping only what a trace needs."""
    logits = logits_of(plain, ids)
    name, n_layers = type(plain).__name__, len(bridge.blocks)
    theirs, cache = _cached(bridge, ids)
    error = proof.relative_error(theirs, logits.numpy())
    if not error <= proof.TOLERANCE:
        raise ExtractError(
            f"{name} cannot be traced truthfully: wrapped by TransformerLens, its logits are not "
            f"its own (error {error:.1e}, limit {proof.TOLERANCE:.0e})"
        )
    for layer in range(n_layers):
        for hook in NEEDED:
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
    # One position turns by no angle and is at no distance: it does not tell how positions enter.
    several = cache if len(ids) > 1 else _cached(bridge, [*ids, *ids])[1]
    adapter = TransformerLensAdapter.of(several, int(bridge.cfg.n_heads), scale, family == "alibi")
    rotation, n_heads = adapter.rotation, adapter.n_heads
    if rotation:
        positions = "rotary"
    elif family == "rotary":
        raise UnsupportedModelError(
            f"{name} cannot be traced: TransformerLens does not show how it turns queries and keys"
        )
    elif adapter.slopes is not None:
        positions = "alibi"
    else:
        positions = "learned" if hasattr(bridge, "pos_embed") else "none"
    first = adapter.arrays(cache, 0)
    n_kv_heads = first["k"].shape[1]
    shape = Shape(
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
    return _Run(logits, error, shape, bridge, cache, adapter)


def _cached(bridge: Any, ids: Sequence[int]) -> tuple[Floats, Mapping[str, torch.Tensor]]:
    """Return a wrapped model's logits, [pos, vocabulary], and the activations a trace needs."""
    layers = range(len(bridge.blocks))
    wanted = {f"blocks.{layer}.attn.{hook}" for layer in layers for hook in HOOKS}
    with torch.inference_mode():
        tokens = torch.tensor([list(ids)], device=bridge.cfg.device)
        logits, cache = bridge.run_with_cache(tokens, names_filter=wanted.__contains__)
    return as_numpy(logits[0]), cache


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
    """Refuse the number of a layer or head that does not exist."""
    for value in values:
        if not 0 <= value < count:
            raise ExtractError(f"there is no {what} {value}; this model has 0 to {count - 1}")


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
        yield as_numpy(cache[hook])
