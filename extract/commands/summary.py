"""Say in a few lines what a trace holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.trace import Published, Trace

__all__ = ["check_verdict", "finite", "listed_errors", "trace_facts"]


def trace_facts(trace: Trace, proof: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return a readable summary of a trace as (name, value) pairs."""
    meta = trace.meta
    heads = f"{meta.n_heads} query heads, {meta.n_kv_heads} key/value heads"
    rotation = (
        f", {meta.rotary_dim} channels rotated ({meta.rotary_style})" if trace.rotates else ""
    )
    following = meta.tokens[meta.n_prompt :]
    source = " ".join(
        part for part in (meta.source.kind, meta.source.name, meta.source.revision) if part
    )
    facts = [
        ("model", meta.model + (", random weights" if meta.random_weights else "")),
        ("source", source),
        ("sha256", meta.source.sha256),
        ("attention", f"{meta.attention}: {meta.n_layers} layers, {heads}"),
        ("sizes", f"d_model {meta.d_model}, d_qk {meta.d_qk}, d_v {meta.d_v}"),
        ("positions", meta.positions + rotation),
        *_step_facts(trace),
        ("prompt", json.dumps(meta.prompt, ensure_ascii=False)),
        ("tokens", _quoted(meta.tokens[: meta.n_prompt])),
        ("given" if meta.continued else "generated", _quoted(following)),
        ("bos", "yes" if meta.has_bos else "no"),
        ("featured", f"layer {meta.featured.layer}, head {meta.featured.head}"),
        ("chosen", meta.featured_criterion),
        ("read", _read(trace)),
        ("weights of", "layers " + ", ".join(map(str, trace.layers_with_weights()))),
        ("latents", ", ".join((meta.latent or {}).keys())),
        ("self-check", listed_errors(meta.self_check)),
        ("proof", listed_errors(proof)),
        ("seal", "whole" if meta.schema > 1 else "none: written by an older version; see 'seal'"),
        ("published", _published(meta.published)),
        ("check", "" if meta.check is None else check_verdict(meta.check["agrees"])),
        ("versions", ", ".join(f"{name} {number}" for name, number in meta.versions.items())),
    ]
    return [(name, value) for name, value in facts if value]


def _read(trace: Trace) -> str:
    """Return what a few keys hold of the attention of the prompt's last row, in all heads."""
    rows = rows_of_query(trace, trace.meta.n_prompt - 1)
    n = min(3, rows.shape[1])
    shares = (float(way(rows, n).mean(axis=0).sum()) for way in (last, first_and_last, best))
    window, sink, most = (f"{share:.0%}" for share in shares)
    return f"with {n} keys: the last {window}, the first and the last {sink}, the best {most}"


def _step_facts(trace: Trace) -> list[tuple[str, str]]:
    """Return the steps that few models have, and the rows that were chosen."""
    meta, norm = trace.meta, trace.meta.qk_norm
    kinds = {"rms": "root mean square", "layer": "mean and variance"}
    spans = {"head": "each head by itself", "token": "all heads of a token together"}
    return [
        (
            "normalised",
            f"queries and keys before their rotation, by {kinds[norm.kind]}, {spans[norm.span]}"
            if norm
            else "",
        ),
        (
            "windows",
            ", ".join(
                f"layer {layer}: {window} keys"
                for layer, window in enumerate(meta.windows)
                if window
            ),
        ),
        (
            "capped",
            f"scores between -{meta.score_cap:g} and {meta.score_cap:g}" * bool(meta.score_cap),
        ),
        ("rows", _quoted(meta.tokens[slice(*meta.rows)]) if meta.rows else ""),
    ]


def _published(published: Published | None) -> str:
    """Return who published the patterns of a trace, and how precise they are."""
    if published is None:
        return ""
    return f"to {published.precision:g}, not extracted here: {published.by}"


def _quoted(tokens: tuple[str, ...]) -> str:
    return " ".join(json.dumps(token, ensure_ascii=False) for token in tokens)


def listed_errors(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{step} {error:.0e}" for step, error in errors.items())


def check_verdict(agrees: bool) -> str:
    """Return one line that says whether a trace agrees with the published figures."""
    if agrees:
        return "it agrees with the published figures of this model and prompt"
    return "it DIFFERS from the published figures; see: python -m extract check"


def finite(errors: Mapping[str, float]) -> dict[str, float | None]:
    """Return errors for JSON, which has no number for what is not finite."""
    return {step: error if math.isfinite(error) else None for step, error in errors.items()}
