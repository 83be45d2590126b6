"""Check what a trace holds: its metadata, and names, shapes, types and values of its tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import causal_mask
from extract.support.plain_text import shortened
from extract.trace.contents.activations import Activations
from extract.trace.contents.conversion_names import conversion_dtype
from extract.trace.contents.meta import TraceMeta, damaged
from extract.trace.contents.meta_validation import validate_meta
from extract.trace.contents.tensors import axis_sizes, optional_axes, required_axes

__all__ = ["validate"]

Array = npt.NDArray[Any]

ROW_SUM_TOLERANCE = 1e-4
"""Largest allowed deviation of a pattern row's sum from 1 (float32 softmax gives about 4e-7)."""

_SAME_CHANCE = 1e-3
"""Relative difference of two probabilities that counts as none: a model that generates sees the
tokens one by one, and the trace sees all of them at once."""


def validate(trace: Activations) -> None:
    """Check metadata, names, shapes, types and values.

    Raises
    ------
    TraceError
        If anything is wrong.  The message is one line without the file's name, which `load`
        and `save` add.
    """
    validate_meta(trace.meta)
    content = trace.meta, trace.tensors
    sizes = axis_sizes(*content)
    required = dict(required_axes(*content))
    for name in required:
        if name not in trace.tensors:
            raise damaged(f"tensor '{name}' is missing")
    allowed = required | dict(optional_axes(*content))
    for name, array in trace.tensors.items():
        if name not in allowed:
            raise damaged(f"tensor '{shortened(name)}' is not part of a trace")
        dtype = conversion_dtype(name) or np.dtype(np.int32 if name == "top_ids" else np.float32)
        if array.dtype != dtype:
            raise damaged(f"tensor '{name}' is {array.dtype} and should be {dtype}")
        shape = tuple(sizes[axis] for axis in allowed[name])
        if array.shape != shape:
            axes = ", ".join(allowed[name])
            raise damaged(
                f"tensor '{name}' has shape {list(array.shape)} and should have "
                f"{list(shape)} [{axes}]"
            )
        if not np.isfinite(array).all():
            raise damaged(f"tensor '{name}' holds values that are not finite")
    published = trace.meta.published
    precision = 0.0 if published is None else published.precision
    for layer in range(trace.meta.n_layers):
        name = trace.tensor_name("pattern", layer)
        _validate_pattern(name, trace[name], trace.window(layer), trace.meta.sinks, precision)
    if published is not None:
        return
    _validate_top_tokens(trace.meta, trace["top_ids"], trace["top_probs"])
    for key in trace.meta.latent or {}:
        if f"latent.{key}.W_DKV" not in trace.tensors:
            raise damaged(
                f"its metadata describes a latent of layer {shortened(key)} that it does not hold"
            )
    for layer in range(trace.meta.n_layers):
        if f"latent.{layer}.W_DKV" in trace.tensors and str(layer) not in (trace.meta.latent or {}):
            raise damaged(f"it holds a latent of layer {layer} that its metadata do not describe")


def _validate_pattern(
    name: str, pattern: Array, window: int, sinks: bool, precision: float
) -> None:
    """Check [n_heads, query_pos, key_pos]: masked, not negative, and every row sums to 1.

    With sinks a row may sum to less; what it should be is proved. A row of n entries may deviate by
    n times the `precision` of its values.
    """
    if pattern.min() < 0:
        raise damaged(f"tensor '{name}' holds negative values")
    if np.triu(pattern, k=1).any():
        raise damaged(f"tensor '{name}' lets a query see a later key (values above the diagonal)")
    n_tokens = pattern.shape[-1]
    if pattern[:, ~causal_mask(n_tokens, n_tokens, window)].any():
        raise damaged(f"tensor '{name}' lets a query see a key before its window of {window}")
    excess = pattern.astype(np.float64).sum(axis=-1) - 1
    errors = excess if sinks else np.abs(excess)
    limits = ROW_SUM_TOLERANCE + precision * np.arange(1, n_tokens + 1)
    if (errors > limits).any():
        raise damaged(f"rows of tensor '{name}' do not sum to 1 (off by {errors.max():.1e})")


def _validate_top_tokens(meta: TraceMeta, ids: Array, probs: Array) -> None:
    """Check ids and probabilities of the likeliest next tokens, both [pos, 5], likeliest first."""
    if ids.min() < 0:
        raise damaged("tensor 'top_ids' holds negative ids")
    if (
        probs.min() < 0
        or probs.sum(axis=-1).max() > 1 + ROW_SUM_TOLERANCE
        or (np.diff(probs, axis=-1) > 0).any()
    ):
        raise damaged("tensor 'top_probs' does not hold probabilities in falling order")
    texts: dict[int, str] = {}
    rows = ((meta.token_ids, meta.tokens), *zip(ids.tolist(), meta.top_tokens, strict=True))
    for numbers, words in rows:
        for number, word in zip(numbers, words, strict=True):
            if texts.setdefault(number, word) != word:
                raise damaged(
                    f"its token {number} is {shortened(repr(texts[number]))} in one place and "
                    f"{shortened(repr(word))} in another"
                )
    if any(len(set(row)) < len(row) for row in ids.tolist()):
        raise damaged("tensor 'top_ids' names a token twice in one row")
    for at in range(meta.n_prompt, len(meta.tokens)):
        chances = dict(zip(ids[at - 1].tolist(), probs[at - 1].tolist(), strict=True))
        # Two tokens may be as likely but for rounding.
        if not meta.continued and not (
            chances.get(meta.token_ids[at], -1.0) >= (1 - _SAME_CHANCE) * max(chances.values())
        ):
            raise damaged(
                f"its token {at} was generated, and is not the likeliest one after those before it"
            )
