"""Synthetic traces with a latent fitted to their featured layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from extract.attention.low_rank import Moments
from extract.latent.fit import Calibration, add_latent
from extract.trace import Trace
from extract.trace.contents.latents import CalibrationText
from tests.support.traces import make_trace

__all__ = ["with_latent"]


def with_latent(rank: int | None = None, **options: Any) -> Trace:
    """Return a synthetic trace with a fitted latent; options as for ``make_trace``."""
    trace = make_trace(**options)
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(trace.meta.d_model, trace.meta.d_model))
    count = 2 * trace.meta.d_model
    x = rng.normal(size=(2 * count, trace.meta.d_model)) @ mix / trace.meta.d_model**0.5 + 0.3
    text = CalibrationText("made-up.txt", "0" * 64, count, count, 32)
    calibration = Calibration(text, Moments.of(x[:count]), Moments.of(x[count:]))
    return add_latent(trace, trace.meta.featured.layer, calibration, rank)
