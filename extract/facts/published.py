"""GPT-2 small's attention patterns as others published them: a trace without a model.

The values are in ``assets/reference/gpt2_small.json``, which says where they are from.
``python -m extract published`` makes the trace that comes with the project from them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from extract.attention.patterns import strongest_head
from extract.errors import TraceError
from extract.facts.architectures import architecture
from extract.support.assets import asset, traces_folder
from extract.trace import SCHEMA, Featured, ModelSource, Published, Trace, TraceMeta

__all__ = [
    "EXTRACTED_GPT2",
    "FIGURES",
    "PUBLISHED",
    "figures",
    "gpt2_trace",
    "has_figures",
    "has_published_twin",
    "is_gpt2_small",
    "published_trace",
]

FIGURES = asset("reference/gpt2_small.json")
"""Published measurements of GPT-2 small."""

PUBLISHED = asset("traces/gpt2-published.safetensors")
"""The trace that is made from them."""

EXTRACTED_GPT2 = traces_folder() / "gpt2.safetensors"
"""Where an extraction of GPT-2 goes; it exists only if the user has extracted it."""

_STEPS = 200
"""The published integers are this many times the probability, rounded."""

_BY = (
    "RUB-EP1/Data-Analysis-Block-Course-2025 at f2ca0d43, lecture 4A, with transformers' eager "
    "attention"
)


@cache
def figures() -> Any:
    """Return the published figures as parsed JSON."""
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def published_trace() -> Trace:
    """Make the trace of GPT-2 small's published patterns from the figures."""
    known, arch = figures(), architecture("GPT-2 small")
    patterns = known["all_patterns"]
    n_tokens = len(patterns["tokens"])
    values = np.zeros((arch.n_layers, arch.n_heads, n_tokens, n_tokens), dtype=np.float32)
    for layer, heads in enumerate(patterns["layers"]):
        for head, rows in enumerate(heads):
            for query, row in enumerate(rows):
                values[layer, head, query, : query + 1] = np.array(row) / _STEPS
    most = strongest_head(values, "previous")
    meta = TraceMeta(
        schema=SCHEMA,
        model=arch.name,
        source=ModelSource("published", "gpt2"),
        attention=arch.scheme,
        positions="learned",
        n_layers=arch.n_layers,
        n_heads=arch.n_heads,
        n_kv_heads=arch.n_kv_heads,
        d_model=arch.d_model,
        d_qk=arch.d_head,
        d_v=arch.d_head,
        score_scale=arch.d_head**-0.5,
        prompt=known["prompt"],
        tokens=tuple(patterns["tokens"]),
        token_ids=tuple(patterns["token_ids"]),
        n_prompt=n_tokens,
        has_bos=True,
        featured=Featured(most.layer, most.head),
        featured_criterion="gives the token right before the most weight",
        published=Published(_BY, patterns["precision"]),
    )
    tensors = {Trace.tensor_name("pattern", layer): values[layer] for layer in range(arch.n_layers)}
    return Trace(meta, tensors)


def is_gpt2_small(meta: TraceMeta) -> bool:
    """Return whether a trace is of GPT-2 small, extracted or published."""
    arch = architecture("GPT-2 small")
    shape = meta.attention, meta.positions, meta.n_layers, meta.n_heads, meta.d_model
    return (
        shape == (arch.scheme, "learned", arch.n_layers, arch.n_heads, arch.d_model)
        and meta.source.name.rsplit("/", 1)[-1] == "gpt2"
    )


def has_figures(trace: Trace) -> bool:
    """Return whether a trace was extracted from GPT-2 small on the prompt of the figures."""
    meta = trace.meta
    return (
        meta.published is None
        and is_gpt2_small(meta)
        and list(meta.tokens[: meta.n_prompt]) == figures()["tokens"]
    )


def has_published_twin(trace: Trace) -> bool:
    """Return whether GPT-2's published patterns on the prompt of a trace of another model exist."""
    meta = trace.meta
    return meta.prompt == figures()["prompt"] and not is_gpt2_small(meta)


def gpt2_trace() -> Trace:
    """Return GPT-2 small on the published prompt: the user's own trace, else the published one.

    Raises
    ------
    TraceError
        If the published trace is damaged.
    """
    with suppress(TraceError):
        own = Trace.load(EXTRACTED_GPT2)
        if has_figures(own):
            return own
    return Trace.load(PUBLISHED)
