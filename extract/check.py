"""A GPT-2 small trace against published figures: does this project see what others have seen?

The figures are values printed or plotted in public notebooks by the author of the film that this
project follows, who used TransformerLens and kept the beginning-of-sequence token.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from extract.errors import ExtractError
from extract.trace import Trace

__all__ = ["FIGURES", "CheckReport", "Comparison", "check", "has_figures"]

FIGURES = Path(__file__).resolve().parent.parent / "assets" / "reference" / "gpt2_small.json"

LAYER_0_LIMIT = 1e-4
"""Printed to four decimals."""

LAYER_10_LIMIT = 0.01
"""Read off a picture with 256 levels."""

_SMALL = {"attention": "mha", "positions": "learned", "n_layers": 12, "n_heads": 12, "d_model": 768}


@dataclass(frozen=True)
class Comparison:
    """One set of figures against a trace.

    Parameters
    ----------
    what : str
        What is compared.
    difference : float
        The largest absolute difference, or how many words differ.
    limit : float
        The largest difference that the figures' precision allows.
    compared : int
        How many figures.
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
    """The outcome of all comparisons."""

    figures: str
    comparisons: tuple[Comparison, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything agrees."""
        return all(comparison.agrees for comparison in self.comparisons)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as a trace's metadata store it."""
        comparisons = [asdict(one) | {"agrees": one.agrees} for one in self.comparisons]
        return {"figures": self.figures, "agrees": self.agrees, "comparisons": comparisons}


@cache
def _figures() -> Any:
    """Return the published figures."""
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def has_figures(trace: Trace) -> bool:
    """Say whether a trace is one that the figures are about: GPT-2 small and their prompt."""
    meta, tokens = trace.meta, _figures()["tokens"]
    return (
        all(getattr(meta, name) == value for name, value in _SMALL.items())
        and meta.source.name.rsplit("/", 1)[-1] == "gpt2"
        and list(meta.tokens[: meta.n_prompt]) == tokens
    )


def check(trace: Trace) -> CheckReport:
    """Compare a trace with the published figures.

    Raises
    ------
    ExtractError
        When the figures are about another model or another prompt.
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
) -> Comparison:
    """Compare patterns, head by head and row by row up to the diagonal.

    Rows after the prompt count as long as the same words follow: a row sees only what is before it.
    """
    follows = [have == want for have, want in zip(trace.meta.tokens, tokens, strict=False)]
    n_rows = follows.index(False) if False in follows else len(follows)
    pattern = trace.get("pattern", layer).astype(np.float64)
    differences = [
        np.abs(pattern[head, query, : query + 1] - row)
        for head, rows in enumerate(heads)
        for query, row in enumerate(rows[:n_rows])
    ]
    every = np.concatenate(differences)
    return Comparison(what, float(every.max()), limit, len(every))


def _next_tokens(trace: Trace, predicted: list[str]) -> Comparison:
    """Compare the likeliest next token after every token of the prompt."""
    found = [row[0] for row in trace.meta.top_tokens[: len(predicted)]]
    wrong = sum(have != want for have, want in zip(found, predicted, strict=True))
    return Comparison("next tokens that differ", float(wrong), 0.0, len(predicted))
