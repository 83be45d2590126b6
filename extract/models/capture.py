"""Run a model once and record the activations of its attention.

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

from extract.attention import self_check
from extract.attention.arithmetic import attend
from extract.errors import ExtractError, UnsupportedModelError
from extract.models.adapter import (
    HOOKS,
    REQUIRED_HOOKS,
    AttentionConfig,
    Floats,
    TransformerLensAdapter,
    as_numpy,
    attention_kind,
    layer_weights,
    window_of,
)
from extract.models.featured import choose_featured
from extract.models.loading import DEFAULT_GENERATED
from extract.models.module_hooks import attention_modules, layer_inputs, record
from extract.models.module_reader import ModuleReader
from extract.models.token_sequence import ProgressCallback, TokenSequence, logits_of, token_text
from extract.models.unsupported import has_hidden_steps, refuse_unsupported
from extract.trace import ROTATION, SCHEMA, TOP_TOKENS, ModelSource, Trace, TraceMeta

__all__ = ["ProgressCallback", "attention_inputs", "trace_model"]

_LIBRARIES = ("torch", "transformers", "transformer-lens", "numpy")


def _ignore_progress(task: str, done: int, total: int) -> None:
    """Progress callback that does nothing."""


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
    rows: tuple[int, int] | None = None,
    name: str | None = None,
    source: ModelSource | None = None,
    random_weights: bool = False,
    progress: ProgressCallback | None = None,
) -> Trace:
    """Trace one prompt with a decoder in memory; see :func:`extract.trace`."""
    progress = progress or _ignore_progress
    refuse_unsupported(model)
    other_dtypes = {str(parameter.dtype) for parameter in model.parameters()} - {"torch.float32"}
    if other_dtypes:
        raise ExtractError(
            f"the model holds {', '.join(sorted(other_dtypes))}; load it in torch.float32"
        )
    name = name or type(model).__name__
    unwrapped = _clone_sharing_weights(model)
    bridge = _wrap_if_known(_clone_sharing_weights(model))
    _check_range("layer", layers, len(bridge.blocks if bridge else attention_modules(unwrapped)))
    n_heads = bridge.cfg.n_heads if bridge else model.config.num_attention_heads
    _check_range("head", () if head is None else (head,), n_heads)
    if bos is None:
        # The library's own default for a family that it does not know is to prepend the token.
        bos = bool(bridge.cfg.default_prepend_bos) if bridge else True
    sequence = TokenSequence.from_prompt(unwrapped, tokenizer, prompt, continuation, bos)
    drawn = _drawn_positions(rows, sequence)
    if continuation is None:
        sequence.generate(unwrapped, tokenizer, generate, progress)
    progress("running", 0, 1)
    forward = _run_forward(unwrapped, bridge, sequence.ids)
    progress("running", 1, 1)

    tensors, errors = _checked_tensors(forward, progress)
    self_check.require_small_errors(errors, name)

    config, n_prompt = forward.config, sequence.n_prompt
    texts = [token_text(tokenizer, token) for token in sequence.ids]
    patterns = np.stack([tensors[f"pattern.{layer}"] for layer in range(config.n_layers)])
    shown = slice(*drawn) if drawn else slice(n_prompt)
    featured, criterion = choose_featured(
        patterns[:, :, shown, shown],
        texts[shown],
        sequence.has_bos and not drawn,
        layer=layers[0] if layers else None,
        head=head,
    )
    for layer in {featured.layer, *layers}:
        tensors |= {
            Trace.tensor_name(weight, layer): array
            for weight, array in forward.weights(layer).items()
        }
    top_probs, top_ids = torch.topk(torch.softmax(forward.logits, dim=-1), TOP_TOKENS)
    tensors |= {"top_ids": top_ids.numpy().astype(np.int32), "top_probs": top_probs.numpy()}

    meta = TraceMeta(
        schema=SCHEMA,
        model=name,
        source=source or ModelSource("memory", name),
        attention=config.attention,
        positions=config.positions,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        d_model=config.d_model,
        d_qk=config.d_qk,
        d_v=config.d_v,
        rotary_dim=config.rotary_dim,
        rotary_style=config.rotary_style,
        score_scale=config.score_scale,
        prompt=prompt,
        tokens=tuple(texts),
        token_ids=tuple(sequence.ids),
        n_prompt=n_prompt,
        has_bos=sequence.has_bos,
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
        norm_eps=config.norm_eps,
        qk_norm=config.qk_norm,
        windows=config.windows,
        score_cap=config.score_cap,
        sinks=config.sinks,
        rows=drawn,
    )
    # Copy the arrays: one that is a view would keep the model's weights in memory.
    trace = Trace(meta, {key: np.array(array, order="C") for key, array in tensors.items()})
    trace.validate()
    return trace


def _checked_tensors(
    forward: _ForwardPass | _ModulePass, progress: ProgressCallback
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float]]:
    """Return the tensors of all layers, and the largest error of every stage of the self-check."""
    config = forward.config
    tensors: dict[str, npt.NDArray[Any]] = {}
    errors: list[dict[str, float]] = [{"logits": forward.error}]
    for layer in range(config.n_layers):
        progress("checking", layer, config.n_layers)
        arrays = forward.activations(layer)
        errors.append(
            self_check.stage_errors(
                arrays,
                # The gains of a norm of queries and keys are stored with every layer.
                {**forward.weights(layer), **arrays},
                config.score_scale,
                config.norm_eps,
                qk_norm=config.qk_norm,
                window=config.windows[layer] if config.windows else 0,
                cap=config.score_cap,
            )
        )
        for name in sorted(arrays.keys() - {"scores", "alibi_slopes"}):
            of_layer = Trace.tensor_name(name, layer)
            # Most models rotate alike in all layers, and store it once.
            shared = name in ROTATION and np.array_equal(
                tensors.setdefault(name, arrays[name]), arrays[name]
            )
            if not shared:
                tensors[of_layer] = arrays[name]
    if forward.slopes is not None:
        tensors["alibi_slopes"] = forward.slopes
    progress("checking", config.n_layers, config.n_layers)
    return tensors, self_check.largest_errors(errors)


def _clone_sharing_weights(model: Any) -> Any:
    """Return a copy of a model that shares its weights and is in evaluation mode.

    The copy is needed because TransformerLens replaces a model's submodules: afterwards the model
    generates wrong tokens with its cache and returns no attention patterns.  Also, dropout must be
    off without changing the caller's model.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


def _wrap_if_known(model: Any) -> Any:
    """Wrap a model with TransformerLens, or return None if the library does not know its family."""
    try:
        return _wrap(model)
    except UnsupportedModelError:
        return None


def _wrap(model: Any) -> Any:
    """Wrap a model with TransformerLens, which replaces its submodules.

    ``boot_transformers`` is not used: it would load tokenizer or weights from the hub again.
    """
    # For model families whose attention the library does not recompute, only eager attention
    # returns the patterns.
    model.set_attn_implementation("eager")
    try:
        return build_bridge_from_module(
            model, type(model).__name__, hf_config=model.config, model_name=type(model).__name__
        )
    except Exception as error:  # unknown model families fail in many ways
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be traced: TransformerLens cannot wrap it ({reason})"
        ) from error


@dataclass(frozen=True)
class _ForwardPass:
    """Result of one forward pass, with all that is needed to read it by the trace's names.

    Attributes
    ----------
    logits : [pos, vocabulary]
        From the model without TransformerLens.
    error : float
        Relative error of the wrapped model's logits.
    config : AttentionConfig
    bridge : transformer_lens TransformerBridge
        The wrapped model.
    cache : mapping
        Its activations by hook name.
    adapter : TransformerLensAdapter
    """

    logits: torch.Tensor
    error: float
    config: AttentionConfig
    bridge: Any
    cache: Mapping[str, torch.Tensor]
    adapter: TransformerLensAdapter

    @property
    def slopes(self) -> Floats | None:
        """Slopes of the position biases of an "alibi" model, [n_heads]."""
        return self.adapter.slopes

    def activations(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations; see `TransformerLensAdapter.activations`."""
        return self.adapter.activations(self.cache, layer)

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in the trace."""
        return layer_weights(self.bridge, layer, self.config)


@dataclass(frozen=True)
class _ModulePass:
    """Result of one forward pass, read from the model's own modules; see `_ForwardPass`.

    Attributes
    ----------
    logits : [pos, vocabulary]
    error : float
        Relative error of the logits with eager attention, which alone shows patterns.
    reader : ModuleReader
    """

    logits: torch.Tensor
    error: float
    reader: ModuleReader
    slopes: Floats | None = None

    @property
    def config(self) -> AttentionConfig:
        """The model's attention."""
        return self.reader.config

    def activations(self, layer: int) -> dict[str, Floats]:
        """Return a layer's activations; see `ModuleReader.activations`."""
        return self.reader.activations(layer)

    def weights(self, layer: int) -> dict[str, Floats]:
        """Return a layer's weights and biases by their names in the trace."""
        return self.reader.weights(layer)


def _run_forward(unwrapped: Any, bridge: Any, ids: Sequence[int]) -> _ForwardPass | _ModulePass:
    """Run a model and store the activations that a trace needs.

    TransformerLens shows them for most families.  The others, and those whose attention has steps
    that the library does not show, are read from their own modules.
    """
    if bridge is None or has_hidden_steps(unwrapped):
        return _run_modules(unwrapped, ids)
    try:
        return _run_wrapped(unwrapped, bridge, ids)
    except UnsupportedModelError:
        return _run_modules(unwrapped, ids)


def _run_modules(unwrapped: Any, ids: Sequence[int]) -> _ModulePass:
    """Run a model and record its own attention modules."""
    name = type(unwrapped).__name__
    logits = logits_of(unwrapped, ids)
    eager = _clone_sharing_weights(unwrapped)
    eager_logits, records = record(eager, ids)
    error = self_check.relative_error(eager_logits.numpy(), logits.numpy())
    if not error <= self_check.TOLERANCE:
        raise ExtractError(
            f"{name} cannot be traced truthfully: with eager attention its logits differ by "
            f"{error:.1e} (limit {self_check.TOLERANCE:.0e})"
        )
    several = records if len(ids) > 1 else record(eager, [*ids, *ids])[1]
    return _ModulePass(logits, error, ModuleReader.from_records(name, records, several))


def _run_wrapped(unwrapped: Any, bridge: Any, ids: Sequence[int]) -> _ForwardPass:
    """Run a model once unwrapped and once wrapped, and store the activations that a trace needs."""
    logits = logits_of(unwrapped, ids)
    name, n_layers = type(unwrapped).__name__, len(bridge.blocks)
    wrapped_logits, cache = _run_with_cache(bridge, ids)
    error = self_check.relative_error(wrapped_logits, logits.numpy())
    if not error <= self_check.TOLERANCE:
        raise ExtractError(
            f"{name} cannot be traced truthfully: wrapped by TransformerLens, its logits are not "
            f"its own (error {error:.1e}, limit {self_check.TOLERANCE:.0e})"
        )
    for layer in range(n_layers):
        for hook in REQUIRED_HOOKS:
            if f"blocks.{layer}.attn.{hook}" not in cache:
                raise UnsupportedModelError(
                    f"{name} cannot be traced: TransformerLens does not show '{hook}' of layer "
                    f"{layer}, so it is not an attention layer that the library knows"
                )
    scales = {_score_scale(bridge, cache, layer) for layer in range(n_layers)}
    if len(scales) > 1:
        raise UnsupportedModelError(f"{name} cannot be traced: its layers scale scores differently")
    (scale,) = scales
    embedding_type = bridge.cfg.positional_embedding_type
    # Position 0 alone has rotation angle 0 and distance 0, so it does not show how positions enter
    # the scores: run at least two tokens to find out.
    cache_of_several = cache if len(ids) > 1 else _run_with_cache(bridge, [*ids, *ids])[1]
    adapter = TransformerLensAdapter.from_cache(
        cache_of_several, int(bridge.cfg.n_heads), scale, embedding_type == "alibi"
    )
    rotation, n_heads = adapter.rotation, adapter.n_heads
    if rotation:
        positions = "rotary"
    elif embedding_type == "rotary":
        raise UnsupportedModelError(
            f"{name} cannot be traced: TransformerLens does not show how it rotates queries and "
            "keys"
        )
    elif adapter.slopes is not None:
        positions = "alibi"
    else:
        positions = "learned" if hasattr(bridge, "pos_embed") else "none"
    first = adapter.activations(cache, 0)
    n_kv_heads = first["k"].shape[1]
    windows = tuple(
        window_of(adapter.activations(cache, layer)["pattern"]) for layer in range(n_layers)
    )
    config = AttentionConfig(
        attention=attention_kind(n_heads, n_kv_heads, "kv_latent" in first),
        positions=positions,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_model=first["x"].shape[-1],
        d_qk=first["q"].shape[-1],
        d_v=first["v"].shape[-1],
        rotary_dim=rotation.pairs.size if rotation else 0,
        rotary_style=rotation.style if rotation else "",
        score_scale=scale,
        norm_eps=_norm_eps(bridge),
        windows=windows if any(windows) else (),
    )
    return _ForwardPass(logits, error, config, bridge, cache, adapter)


def _run_with_cache(bridge: Any, ids: Sequence[int]) -> tuple[Floats, Mapping[str, torch.Tensor]]:
    """Return a wrapped model's logits, [pos, vocabulary], and the activations for a trace."""
    layers = range(len(bridge.blocks))
    hooks = {f"blocks.{layer}.attn.{hook}" for layer in layers for hook in HOOKS}
    with torch.inference_mode():
        tokens = torch.tensor([list(ids)], device=bridge.cfg.device)
        try:
            logits, cache = bridge.run_with_cache(tokens, names_filter=hooks.__contains__)
        except (AttributeError, TypeError) as error:  # a family that the library does not fit
            raise UnsupportedModelError(
                f"{type(bridge.original_model).__name__} cannot be traced: TransformerLens cannot "
                f"run it ({next(iter(str(error).splitlines()), type(error).__name__)})"
            ) from error
    return as_numpy(logits[0]), cache


def _score_scale(bridge: Any, cache: Mapping[str, torch.Tensor], layer: int) -> float:
    """Return the factor that a layer multiplies its dot products by."""
    module = bridge.blocks[layer].attn.original_component
    for name in ("scaling", "softmax_scale"):
        if isinstance(scale := getattr(module, name, None), float):
            return scale

    def hook(name: str) -> Floats:
        return as_numpy(cache[f"blocks.{layer}.attn.{name}"][0])

    queries, keys, pattern = hook("hook_q"), hook("hook_k"), hook("hook_pattern")
    usual = float(queries.shape[-1] ** -0.5)
    if f"blocks.{layer}.attn.hook_cos" in cache or queries.shape != keys.shape:
        return usual
    # GPT-Neo does not scale its scores, and does not say so.
    window = window_of(pattern)
    errors = {
        scale: self_check.relative_error(
            attend(queries, keys, keys, scale, window=window).pattern, pattern
        )
        for scale in (usual, 1.0)
    }
    return min(errors, key=lambda scale: errors[scale])


def _norm_eps(bridge: Any) -> float:
    """Return the epsilon of the norms on the latents of an MLA layer; 0 for other layers."""
    norm = bridge.blocks[0].attn.submodules.get("kv_a_layernorm")
    return float(norm.original_component.variance_epsilon) if norm else 0.0


def _drawn_positions(rows: tuple[int, int] | None, sequence: TokenSequence) -> tuple[int, ...]:
    """Return the positions of the first token that is drawn and after the last one, or nothing."""
    if rows is None:
        return ()
    count = sequence.n_prompt - sequence.has_bos
    if not 0 <= rows[0] < rows[1] <= count:
        raise ExtractError(
            f"there are no rows {rows[0]}:{rows[1]}; the prompt has {count} tokens, counted from 0"
        )
    return tuple(row + sequence.has_bos for row in rows)


def _check_range(what: str, values: Sequence[int], count: int) -> None:
    """Raise an error for the number of a layer or head that does not exist."""
    for value in values:
        if not 0 <= value < count:
            raise ExtractError(f"there is no {what} {value}; this model has 0 to {count - 1}")


# Inputs of every layer


def attention_inputs(
    model: Any, batches: Iterable[Sequence[Sequence[int]]]
) -> Iterator[list[Floats]]:
    """Yield the inputs of every layer's attention.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Is not changed.
    batches : iterable
        Each batch is a list of token id lists of equal length.

    Yields
    ------
    list of array
        For each layer [batch, pos, d_model]; ``x.L`` of a trace.
    """
    unwrapped = _clone_sharing_weights(model)
    for batch in batches:
        tokens = torch.tensor(batch, device=model.device)
        yield [as_numpy(inputs) for inputs in layer_inputs(unwrapped, tokens)]
