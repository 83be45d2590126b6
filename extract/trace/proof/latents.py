"""Measure a stored latent again: part of a trace's proof."""

from __future__ import annotations

import numpy as np

from extract.attention.arithmetic import project
from extract.attention.patterns import PatternDistance
from extract.trace.contents.activations import Activations
from extract.trace.contents.latents import (
    content_pattern,
    fitted_latent,
    latent_report,
)

__all__ = ["latent_error"]


def latent_error(trace: Activations, layer: int) -> float:
    """Measure a stored latent on the prompt again, and return the difference from its report.

    Returns
    -------
    float
        The largest difference of an error or of a pattern distance.  Errors of the values are not
        compared in a layer with biases, where they are measured from the mean of the calibration
        text, which a trace does not hold.

    Raises
    ------
    TraceError
        If there is no latent, or its report is damaged.
    """
    report = latent_report(trace, layer)
    latents = fitted_latent(trace, layer)
    n_prompt = trace.meta.n_prompt
    keys = project(latents.kv_latent, latents.layer.W_UK)
    true_keys, own = trace.get("k", layer), trace.get("pattern", layer)
    content = content_pattern(trace, layer, keys)
    true_content = content_pattern(trace, layer, true_keys)
    chosen = report.chosen
    differences = []
    for pattern, other, reported in (
        (true_content, own, report.rotation_moves),
        (content, true_content, chosen.latent_moves_content),
        (content, own, chosen.both_move),
    ):
        measured = PatternDistance.between(pattern, other, n_prompt)
        differences += [measured.mean - reported.mean, measured.worst - reported.worst]
    if latents.layer.b_O is None:
        values = project(latents.kv_latent, latents.layer.W_UV)
        for fitted, true, error in (
            (keys, true_keys, report.error_k),
            (values, trace.get("v", layer), report.error_v),
        ):
            lost, whole = (np.linalg.norm(part[:n_prompt]) for part in (fitted - true, true))
            differences.append(float(lost / whole) - error)
    return float(np.abs(differences).max())
