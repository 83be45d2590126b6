"""Run a model once and record the activations of its attention.

Needs torch and TransformerLens; `extract.trace` imports this module when it is called.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

from extract.attention.self_check import (
    TOLERANCE,
    largest_errors,
    relative_error,
    require_small_errors,
)
from extract.errors import ExtractError, UnsupportedModelError
from extract.models.adapter import reader_of_bridge, run_with_cache
from extract.models.featured import choose_featured
from extract.models.loading import DEFAULT_GENERATED
from extract.models.module_hooks import attention_modules, layer_inputs, record
from extract.models.module_reader import reader_of_modules
from extract.models.reader import AttentionReader, Floats, as_numpy
from extract.models.token_sequence import ProgressCallback, TokenSequence, logits_of, token_text
from extract.models.unsupported import has_hidden_steps, refuse_unsupported
from extract.trace import ROTATION, SCHEMA, TOP_TOKENS, Featured, ModelSource, Trace, TraceMeta
from extract.trace.contents.activations import Activations
from extract.trace.proof.prove import layer_errors

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
    with _named(model):
        refuse_unsupported(model)
        other_dtypes = {str(parameter.dtype) for parameter in model.parameters()} - {
            "torch.float32"
        }
        if other_dtypes:
            raise ExtractError(
                f"the model holds {', '.join(sorted(other_dtypes))}; load it in torch.float32"
            )
        name = name or type(model).__name__
        unwrapped = _clone_sharing_weights(model)
        bridge = _wrap_if_known(_clone_sharing_weights(model))
        _check_range(
            "layer", layers, len(bridge.blocks if bridge else attention_modules(unwrapped))
        )
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
        logits, error, reader = _run_forward(unwrapped, bridge, sequence.ids)
        progress("running", 1, 1)

        texts = [token_text(tokenizer, token) for token in sequence.ids]
        top_probs, top_ids = torch.topk(torch.softmax(logits, dim=-1), TOP_TOKENS)
        meta = TraceMeta(
            schema=SCHEMA,
            model=name,
            source=source or ModelSource("memory", name),
            prompt=prompt,
            tokens=tuple(texts),
            token_ids=tuple(sequence.ids),
            n_prompt=sequence.n_prompt,
            has_bos=sequence.has_bos,
            featured=Featured(0, 0),  # chosen below
            featured_criterion="",
            continued=continuation is not None,
            random_weights=random_weights,
            versions={library: version(library) for library in _LIBRARIES}
            | {"python": platform.python_version()},
            top_tokens=tuple(
                tuple(token_text(tokenizer, int(token)) for token in row) for row in top_ids
            ),
            rows=drawn,
            **reader.attention,
        )
        tensors, errors = _checked_tensors(reader, meta, progress)
        errors = {"logits": error} | errors
    require_small_errors(errors, name)
    patterns = np.stack([tensors[f"pattern.{layer}"] for layer in range(meta.n_layers)])
    shown = slice(*drawn) if drawn else slice(meta.n_prompt)
    featured, criterion = choose_featured(
        patterns[:, :, shown, shown],
        texts[shown],
        sequence.has_bos and not drawn,
        layer=layers[0] if layers else None,
        head=head,
    )
    for layer in {featured.layer, *layers}:
        tensors |= _of_layer(reader.weights(layer, meta), layer)
    tensors |= {"top_ids": top_ids.numpy().astype(np.int32), "top_probs": top_probs.numpy()}
    meta = replace(meta, featured=featured, featured_criterion=criterion, self_check=errors)
    # Copy the arrays: one that is a view would keep the model's weights in memory.
    trace = Trace(meta, {key: np.array(array, order="C") for key, array in tensors.items()})
    trace.validate()
    return trace


def _checked_tensors(
    reader: AttentionReader, meta: TraceMeta, progress: ProgressCallback
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float]]:
    """Return the activations of all layers, and the largest error of every step of the self-check.

    It is the proof of a trace with the weights of all layers, and with the model's own scores.
    """
    shared = {} if reader.slopes is None else {"alibi_slopes": reader.slopes}
    tensors: dict[str, npt.NDArray[Any]] = {**shared}
    errors = []
    for layer in range(meta.n_layers):
        progress("checking", layer, meta.n_layers)
        arrays, scores = reader.activations(layer)
        named = _of_layer(arrays, layer)
        whole = Activations(meta, shared | named | _of_layer(reader.weights(layer, meta), layer))
        errors.append(layer_errors(whole, layer, scores))
        for name in ROTATION:
            # Most models rotate alike in all layers, and store it once.
            table = arrays.get(name)
            if table is not None and np.array_equal(tensors.setdefault(name, table), table):
                del named[Trace.tensor_name(name, layer)]
        tensors |= named
    progress("checking", meta.n_layers, meta.n_layers)
    return tensors, largest_errors(errors)


def _of_layer(arrays: Mapping[str, Floats], layer: int) -> dict[str, Floats]:
    """Return arrays by the names that they have in a trace."""
    return {Trace.tensor_name(name, layer): array for name, array in arrays.items()}


@contextmanager
def _named(model: Any) -> Iterator[None]:
    """Begin the reason why a model cannot be traced with the model's class."""
    try:
        yield
    except UnsupportedModelError as error:
        name = type(model).__name__
        raise UnsupportedModelError(f"{name} cannot be traced truthfully: {error}") from error


def _clone_sharing_weights(model: Any) -> Any:
    """Return a copy of a model that shares its weights and is in evaluation mode.

    The copy is needed because TransformerLens replaces a model's submodules: afterwards the model
    generates wrong tokens with its cache and returns no attention patterns.  Also, dropout must be
    off without changing the caller's model.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


def _wrap_if_known(model: Any) -> Any:
    """Wrap a model with TransformerLens, which replaces its submodules.

    Returns
    -------
    TransformerBridge, optional
        None if the library does not know the model's family.
    """
    # For model families whose attention the library does not recompute, only eager attention
    # returns the patterns.
    model.set_attn_implementation("eager")
    name = type(model).__name__
    with suppress(Exception):  # unknown model families fail in many ways
        return build_bridge_from_module(model, name, hf_config=model.config, model_name=name)
    return None


def _run_forward(
    unwrapped: Any, bridge: Any, ids: Sequence[int]
) -> tuple[torch.Tensor, float, AttentionReader]:
    """Run a model and record its attention.

    It is read as TransformerLens shows it where that is all of it, else from its own modules.

    Returns
    -------
    logits : tensor
        [pos, vocabulary], of the model as it is.
    error : float
        How much they differ from the logits of the model that was read.
    reader : AttentionReader
    """
    logits = logits_of(unwrapped, ids)

    def error_of(other: torch.Tensor, how: str) -> float:
        error = relative_error(other.numpy(), logits.numpy())
        if not error <= TOLERANCE:
            raise ExtractError(
                f"{type(unwrapped).__name__} cannot be traced truthfully: {how}, its logits are "
                f"not its own (error {error:.1e}, limit {TOLERANCE:.0e})"
            )
        return error

    # A single position does not show how positions enter the scores.
    several = [*ids, *ids] if len(ids) == 1 else None
    if bridge is not None and not has_hidden_steps(unwrapped):
        with suppress(UnsupportedModelError):
            wrapped_logits, cache = run_with_cache(bridge, ids)
            error = error_of(wrapped_logits, "wrapped by TransformerLens")
            longer = run_with_cache(bridge, several)[1] if several else cache
            return logits, error, reader_of_bridge(bridge, cache, longer)
    eager = _clone_sharing_weights(unwrapped)
    eager_logits, records = record(eager, ids)
    error = error_of(eager_logits, "with eager attention")
    more = record(eager, several)[1] if several else records
    return logits, error, reader_of_modules(records, more)


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
        with _named(model):
            found = layer_inputs(unwrapped, tokens)
        yield [as_numpy(inputs) for inputs in found]
