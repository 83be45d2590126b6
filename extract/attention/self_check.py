"""Self-check of an extraction: recompute every step of attention and compare it with the model's.

Each step is recomputed from the step before it, with numpy in float64
(`extract.trace.proof.prove`).  A trace whose errors are too large is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from extract.errors import ExtractError

__all__ = [
    "TOLERANCE",
    "largest_errors",
    "relative_error",
    "require_small_errors",
]

TOLERANCE = 1e-4
"""Largest error of a step, max|a - b| / max|b|, with which a trace is written and read."""

Array = npt.NDArray[np.floating]


def relative_error(actual: Array, expected: Array) -> float:
    """Return max|actual - expected| / max|expected|."""
    scale = float(np.abs(expected).max())
    error = float(np.abs(np.asarray(actual, dtype=np.float64) - expected).max())
    return error / scale if scale else error


def largest_errors(errors: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest error of every step over all layers."""
    errors = list(errors)
    steps = dict.fromkeys(step for layer in errors for step in layer)
    # np.max, because max() passes over what is not a number.
    return {
        step: float(np.max([layer[step] for layer in errors if step in layer])) for step in steps
    }


def require_small_errors(errors: Mapping[str, float], model: str) -> None:
    """Raise an error if any step's error is above `TOLERANCE`.

    Raises
    ------
    ExtractError
        Names the first such step.
    """
    for step, error in errors.items():
        if not error <= TOLERANCE:
            raise ExtractError(
                f"{model} cannot be traced truthfully: '{step}', recomputed from the step before "
                f"it, differs from the model's own by {error:.1e} (limit {TOLERANCE:.0e}), so its "
                "attention does something that this project does not know"
            )
