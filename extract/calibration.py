"""Read a text with a model and add up what one layer receives.

Torch is loaded only when a model is run.

The text is read in short passages, each beginning the way the trace's prompt does.  That matters:
in many models most queries look at the first token, so its key decides where the attention goes.
In passages of 512 tokens that key is one in 512 and a fit gives it away; in SmolLM2-135M, layer 15,
a latent of rank 96 then moves the content-only pattern of the default prompt by 0.40 on average,
and by 0.07 after passages of 32 tokens, at nearly the same error of K and V.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.latent import Calibration, CalibrationText
from extract.low_rank import Moments
from extract.proof import relative_error
from extract.trace import Trace

__all__ = ["CALIBRATION_TEXT", "FITTED_SHARE", "PASSAGE", "calibrate"]

CALIBRATION_TEXT = Path(__file__).resolve().parent.parent / "assets" / "calibration.txt"
"""Some 4,800 words of varied English, written for this project."""

FITTED_SHARE = 0.8
"""The fit sees this share of the text; the last fifth is held out."""

PASSAGE = 32
"""How many tokens are read at a time, about the length of a prompt."""

_BATCH = 32
_SAME_MODEL = 1e-3


def calibrate(
    trace: Trace,
    model: Any,
    tokenizer: Any,
    layer: int,
    text: Path = CALIBRATION_TEXT,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Calibration:
    """Run a model over a text and add up the inputs of one attention layer.

    Parameters
    ----------
    trace : Trace
        Of this model; says how a passage begins.
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    layer : int
    text : Path
        A plain text in UTF-8, at least long enough that its fitted share has as many tokens as the
        layer is wide.
    report : callable
        Told what is being done, and how many of how many steps of it are finished.

    Raises
    ------
    ExtractError
        If the text cannot be read or is too short, or if it is not the model of the trace.
    """
    from extract.capture import attention_inputs

    try:
        content = text.read_bytes()
        ids = tokenizer(content.decode("utf-8"), add_special_tokens=False)["input_ids"]
    except (OSError, UnicodeDecodeError) as error:
        raise ExtractError(
            f"{text}: the calibration text cannot be read ({error}); give another"
        ) from error
    n_fitted = int(FITTED_SHARE * len(ids))
    if n_fitted < trace.meta.d_model:
        raise ExtractError(
            f"{text}: {len(ids)} tokens are too few to fit a layer that is "
            f"{trace.meta.d_model} wide; give a text of at least "
            f"{math.ceil(trace.meta.d_model / FITTED_SHARE)} tokens"
        )
    (own,) = attention_inputs(model, layer, [[list(trace.meta.token_ids)]])
    if relative_error(own[0], trace.get("x", layer)) > _SAME_MODEL:
        raise ExtractError(
            f"this is not the model of the trace ({trace.meta.model}): layer {layer} receives "
            "something else for the prompt; name the one that made the trace with --model"
        )
    start = list(trace.meta.token_ids[: trace.meta.has_bos])
    n_positions = getattr(model.config, "max_position_embeddings", None) or math.inf
    n_passage = int(min(PASSAGE, n_positions - len(start)))
    parts = [_batches(start, part, n_passage) for part in (ids[:n_fitted], ids[n_fitted:])]
    total = sum(len(part) for part in parts)
    fitted, held_out = (
        Moments.of(_reported(attention_inputs(model, layer, part), done, total, report))
        for part, done in zip(parts, (0, len(parts[0])), strict=True)
    )
    report("reading the calibration text", total, total)
    described = CalibrationText(
        name=text.name,
        sha256=hashlib.sha256(content).hexdigest(),
        n_fitted=fitted.count,
        n_held_out=held_out.count,
        n_passage=n_passage,
    )
    return Calibration(described, fitted, held_out)


def _batches(start: list[int], ids: Sequence[int], n_passage: int) -> list[list[list[int]]]:
    """Cut tokens into passages that begin with `start`, and put passages of one length together."""
    passages = [start + list(ids[i : i + n_passage]) for i in range(0, len(ids), n_passage)]
    n_whole = len(ids) // n_passage
    batches = [passages[i : min(i + _BATCH, n_whole)] for i in range(0, n_whole, _BATCH)]
    return batches + [passages[n_whole:]] * (n_whole < len(passages))


def _reported(
    inputs: Iterable[Any], done: int, total: int, report: Callable[[str, int, int], None]
) -> Iterator[Any]:
    """Yield the inputs of each batch, (passage, position, d_model), as (input, d_model)."""
    for step, batch in enumerate(inputs):
        report("reading the calibration text", done + step, total)
        yield batch.reshape(-1, batch.shape[-1])
