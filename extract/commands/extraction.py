"""Make a trace of a prompt with all that a trace may hold, for every program that makes some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.errors import ExtractError, UnsupportedModelError
from extract.facts.published import has_figures
from extract.facts.published_check import check
from extract.latent.calibration import calibrate
from extract.latent.fit import add_latent, require_fittable
from extract.models.loading import LoadedModel
from extract.trace import Trace

__all__ = ["traced", "traced_with_latent", "with_conversion", "with_latent", "with_latent_if_any"]

_Progress = Callable[[str, int, int], None]
"""Progress callback (task, done, total)."""

_Note = Callable[[str], None]
"""Takes a line that says what a trace does not hold, and why."""


def traced(loaded: LoadedModel, prompt: str, progress: _Progress, **options: Any) -> Trace:
    """Trace one prompt with a model; for the options see :func:`extract.trace`."""
    from extract.models.capture import trace_model

    options.setdefault("name", loaded.name)
    return trace_model(
        *(loaded.model, loaded.tokenizer, prompt),
        source=loaded.source,
        random_weights=loaded.random_weights,
        progress=progress,
        **options,
    )


def traced_with_latent(
    loaded: LoadedModel,
    prompt: str,
    calibration: Path | None,
    progress: _Progress,
    note: _Note,
    **options: Any,
) -> Trace:
    """Trace one prompt, and compare it with published figures where there are some.

    A latent is fitted if there is a text to fit it to.
    """
    trace = traced(loaded, prompt, progress, **options)
    return with_latent_if_any(trace, loaded, calibration, progress, note)


def with_latent_if_any(
    trace: Trace,
    loaded: LoadedModel,
    calibration: Path | None,
    progress: _Progress,
    note: _Note,
) -> Trace:
    """Return a trace as it was traced with what :func:`traced_with_latent` adds."""
    if calibration is not None:
        try:
            trace = with_latent(trace, loaded, trace.meta.featured.layer, calibration, progress)
        except ExtractError as error:
            note(f"no latent is stored: {error}")
    if has_figures(trace):
        trace = replace(trace, meta=replace(trace.meta, check=check(trace).as_json()))
    return trace


def with_latent(
    trace: Trace,
    loaded: LoadedModel,
    layer: int,
    calibration: Path,
    progress: _Progress,
    rank: int | None = None,
) -> Trace:
    """Return the trace with a latent fitted to a layer of its model."""
    require_fittable(trace, layer, rank)
    calibrated = calibrate(trace, loaded, layer, calibration, progress)
    return add_latent(trace, layer, calibrated, rank, progress)


def with_conversion(
    trace: Trace,
    loaded: LoadedModel,
    progress: _Progress,
    note: _Note,
    first: Callable[[], None] = lambda: None,
) -> Trace:
    """Return the trace with a conversion of its model, as it was converted last, if it can be.

    `first` is called if nothing is kept of that, so that it will take minutes.
    """
    from extract.conversion.convert import convert

    try:
        if loaded.random_weights:
            raise UnsupportedModelError("the weights are random numbers, and would say nothing")
        return convert(trace, loaded, progress=progress, first=first)
    except UnsupportedModelError as error:
        note(f"no conversion is stored: {error}")
        return trace
