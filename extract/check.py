"""Compare a GPT-2 small trace with published figures.

The figures are values printed or plotted in public notebooks by the author of the film that this
project follows, who used TransformerLens with a beginning-of-sequence token.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from extract.assets import asset
from extract.errors import ExtractError
from extract.trace import Trace

__all__ = ["FIGURES", "CheckReport", "FigureComparison", "check", "has_figures"]

FIGURES = asset("reference/gpt2_small.json")

LAYER_0_LIMIT = 1e-4
"""Largest allowed difference in layer 0; the figures are printed to four decimals."""

LAYER_10_LIMIT = 0.01
"""Largest allowed difference in layer 10; the figures are read off an image with 256 levels."""

_GPT2_SMALL = {
    "attention": "mha",
    "positions": "learned",
    "n_layers": 12,
    "n_heads": 12,
    "d_model": 768,
}


@dataclass(frozen=True)
class FigureComparison:
    """Comparison of a trace with one set of figures.

    Parameters
    ----------
    what : str
        Description of what is compared.
    difference : float
        The largest absolute difference, or the number of words that differ.
    limit : float
        The largest difference that the figures' precision allows.
    compared : int
        Number of figures compared.
    """

    what: str
    difference: float
    limit: float
    compared: int

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the limit."""
        return self.difference <= self.limit


@dataclass(frozen=True)
class CheckReport:
    """Result of all comparisons.

    Attributes
    ----------
    figures : str
        Description of the figures and their origin.
    comparisons : tuple of FigureComparison
    """

    figures: str
    comparisons: tuple[FigureComparison, ...]

    @property
    def agrees(self) -> bool:
        """Whether all comparisons agree."""
        return all(comparison.agrees for comparison in self.comparisons)

    def as_json(self) -> dict[str, Any]:
        """Return the result as stored in a trace's metadata."""
        comparisons = [
            asdict(comparison) | {"agrees": comparison.agrees} for comparison in self.comparisons
        ]
        return {"figures": self.figures, "agrees": self.agrees, "comparisons": comparisons}


@cache
def _figures() -> Any:
    """Return the published figures as parsed JSON."""
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def has_figures(trace: Trace) -> bool:
    """Return whether a trace is of the figures' model, GPT-2 small, and of their prompt."""
    meta, tokens = trace.meta, _figures()["tokens"]
    return (
        all(getattr(meta, name) == value for name, value in _GPT2_SMALL.items())
        and meta.source.name.rsplit("/", 1)[-1] == "gpt2"
        and list(meta.tokens[: meta.n_prompt]) == tokens
    )


def check(trace: Trace) -> CheckReport:
    """Compare a trace with the published figures.

    Raises
    ------
    ExtractError
        If the trace is of another model or another prompt.
    """
    figures = _figures()
    if not has_figures(trace):
        raise ExtractError(
            f"the published figures are of gpt2 on the prompt '{figures['prompt']}' with its "
            f"beginning-of-sequence token; this trace is {trace.meta.model} on "
            f"'{trace.meta.prompt}'; make one of these with: python -m extract"
        )
    return CheckReport(
        figures["about"],
        (
            _patterns(
                "attention pattern of layer 0, head 0",
                trace,
                0,
                [figures["layer0_head0_pattern"]["rows"]],
                figures["tokens"],
                LAYER_0_LIMIT,
            ),
            _patterns(
                "attention patterns of layer 10, all heads",
                trace,
                10,
                figures["layer10_patterns"]["heads"],
                figures["layer10_patterns"]["tokens"],
                LAYER_10_LIMIT,
            ),
            _next_tokens(trace, figures["next_token_argmax"]["predicted"]),
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


def _next_tokens(trace: Trace, predicted: list[str]) -> FigureComparison:
    """Compare the likeliest next token after every token of the prompt."""
    likeliest = [row[0] for row in trace.meta.top_tokens[: len(predicted)]]
    wrong = sum(have != want for have, want in zip(likeliest, predicted, strict=True))
    return FigureComparison("next tokens that differ", float(wrong), 0.0, len(predicted))
