"""Compare a GPT-2 small trace with published figures.

The figures are values printed or plotted in public notebooks by the author of the film that this
project follows, who used TransformerLens with a beginning-of-sequence token, and the patterns of
all heads that others published (`extract.facts.published`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from extract.errors import ExtractError
from extract.facts.published import figures, has_figures, published_trace
from extract.trace import Trace
from extract.trace.contents.check_report import CheckReport, FigureComparison

__all__ = ["check"]

LAYER_0_LIMIT = 1e-4
"""Largest allowed difference in layer 0; the figures are printed to four decimals."""

LAYER_10_LIMIT = 0.01
"""Largest allowed difference in layer 10; the figures are read off an image with 256 levels."""

COMPUTATION_LIMIT = 1e-4
"""What two computations of one model may differ by, on top of the rounding of a figure."""


def check(trace: Trace) -> CheckReport:
    """Compare a trace with the published figures.

    Raises
    ------
    ExtractError
        If the trace is of another model or another prompt.
    """
    known = figures()
    if trace.meta.published is not None:
        raise ExtractError(
            f"these are the published patterns themselves; extract the model to compare it with "
            f"them: {trace.command}"
        )
    if not has_figures(trace):
        raise ExtractError(
            f"the published figures are of gpt2 on the prompt '{known['prompt']}' with its "
            f"beginning-of-sequence token; this trace is {trace.meta.model} on "
            f"'{trace.meta.prompt}'; make one of these with: python -m extract"
        )
    return CheckReport(
        known["about"],
        (
            _patterns(
                "attention pattern of layer 0, head 0",
                trace,
                0,
                [known["layer0_head0_pattern"]["rows"]],
                known["tokens"],
                LAYER_0_LIMIT,
            ),
            _patterns(
                "attention patterns of layer 10, all heads",
                trace,
                10,
                known["layer10_patterns"]["heads"],
                known["layer10_patterns"]["tokens"],
                LAYER_10_LIMIT,
            ),
            _next_tokens(trace, known["next_token_argmax"]["predicted"]),
            _all_patterns(trace),
            _probabilities(trace, known["next_token_probabilities"]["with_beginning_token"]),
        ),
    )


def _patterns(
    what: str,
    trace: Trace,
    layer: int,
    heads: list[list[list[float]]],
    tokens: list[str],
    limit: float,
) -> FigureComparison:
    """Compare patterns, head by head and row by row up to the diagonal.

    Rows after the prompt are compared as long as the tokens are the same: a row depends only on the
    tokens up to its own.
    """
    same = [have == want for have, want in zip(trace.meta.tokens, tokens, strict=False)]
    n_rows = same.index(False) if False in same else len(same)
    pattern = trace.get("pattern", layer).astype(np.float64)
    differences = [
        np.abs(pattern[head, query, : query + 1] - row)
        for head, rows in enumerate(heads)
        for query, row in enumerate(rows[:n_rows])
    ]
    compared = np.concatenate(differences)
    return FigureComparison(what, float(compared.max()), limit, len(compared))


def _all_patterns(trace: Trace) -> FigureComparison:
    """Compare the patterns of all heads with the published ones, and count those that agree."""
    published = published_trace()
    meta = published.meta
    if meta.published is None:
        raise ValueError("the published trace does not say how precise it is")
    limit = meta.published.precision + COMPUTATION_LIMIT
    prompt = slice(meta.n_prompt)
    largest = [
        np.abs(trace.get("pattern", layer)[:, prompt, prompt] - published.get("pattern", layer))
        .max(axis=(1, 2))
        .astype(float)
        for layer in range(meta.n_layers)
    ]
    heads = np.concatenate(largest)
    figures_of_a_head = meta.n_prompt * (meta.n_prompt + 1) // 2
    return FigureComparison(
        f"attention patterns of all {len(heads)} heads",
        float(heads.max()),
        limit,
        len(heads) * figures_of_a_head,
        parts_agreeing=int((heads <= limit).sum()),
        parts=len(heads),
    )


def _probabilities(trace: Trace, known: Any) -> FigureComparison:
    """Compare the probabilities of the likeliest tokens after the prompt.

    A word that is not among those of the trace is at most as likely as the last of them.
    """
    last = trace.meta.n_prompt - 1
    words = trace.meta.top_tokens[last]
    probabilities = dict(zip(words, map(float, trace["top_probs"][last]), strict=True))
    least = min(probabilities.values())
    differences = [
        abs(probabilities[word] - value) if word in probabilities else max(0.0, value - least)
        for word, value in known["top"]
    ]
    limit = known["precision"] + COMPUTATION_LIMIT
    what = "probabilities of the next token after the prompt"
    return FigureComparison(what, max(differences), limit, len(differences))


def _next_tokens(trace: Trace, predicted: list[str]) -> FigureComparison:
    """Compare the likeliest next token after every token of the prompt."""
    likeliest = [row[0] for row in trace.meta.top_tokens[: len(predicted)]]
    wrong = sum(have != want for have, want in zip(likeliest, predicted, strict=True))
    return FigureComparison("next tokens that differ", float(wrong), 0.0, len(predicted))
