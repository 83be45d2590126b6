"""Run a model over a calibration text and sum the inputs of its layers.

That depends on no prompt, so the sums of all layers are made in one go and kept
(`extract.support.kept`).  Torch is loaded only when a model is run.

The text is split into short passages, each with a beginning-of-sequence token if the trace's prompt
has one.  Short passages matter: in many models most queries attend to the first token, so its key
has a large effect on the pattern.  In passages of 512 tokens that key is only one in 512, so a fit
represents it badly: in SmolLM2-135M, layer 15, a latent of rank 96 then changes the content-only
pattern of the default prompt by 0.40 on average (total variation), but by 0.07 if fitted to
passages of 32 tokens, at nearly the same error of K and V.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from extract.attention.low_rank import Moments
from extract.attention.self_check import relative_error
from extract.errors import ExtractError
from extract.latent.fit import Calibration
from extract.limits import MAX_TEXT
from extract.models.loading import LoadedModel
from extract.support.assets import asset
from extract.support.files import atomic_write, read_text
from extract.support.kept import kept_folder
from extract.trace import Trace
from extract.trace.contents.latents import CalibrationText

__all__ = [
    "CALIBRATION_TEXT",
    "FITTED_FRACTION",
    "PASSAGE_TOKENS",
    "calibrate",
    "read_calibration",
]

CALIBRATION_TEXT = asset("calibration.txt")
"""Some 4,800 words of varied English, written for this project."""

FITTED_FRACTION = 0.8
"""Fraction of the text that the latent is fitted to; the rest, at the end, is held out."""

PASSAGE_TOKENS = 32
"""Number of text tokens in a passage, about the length of a prompt."""

_PASSAGES_PER_BATCH = 32

# Largest relative error between the layer's input for the prompt and the trace's, for the model to
# count as the one that made the trace.
_SAME_MODEL_TOLERANCE = 1e-3


def read_calibration(text: Path) -> str:
    """Return the calibration text of a file.

    Raises
    ------
    ExtractError
        If it cannot be read, is not text in UTF-8, or is empty.
    """
    try:
        content = read_text(text, MAX_TEXT)
    except (OSError, ValueError) as error:
        raise ExtractError(
            f"{text}: the calibration text cannot be read ({error}); give another"
        ) from error
    if not content.strip():
        raise ExtractError(f"{text}: the calibration text is empty; give another")
    return content


def calibrate(
    trace: Trace,
    loaded: LoadedModel,
    layer: int,
    text: Path = CALIBRATION_TEXT,
    progress: Callable[[str, int, int], None] = lambda task, done, total: None,
) -> Calibration:
    """Run a model over a text and sum the inputs of its attention, unless that is done already.

    Parameters
    ----------
    trace : Trace
        Made with this model; says whether a passage begins with a beginning-of-sequence token.
    loaded : LoadedModel
    layer : int
        The layer whose sums are returned; those of all layers are kept.
    text : Path
        Plain text in UTF-8.  Its fitted part must have at least d_model tokens.
    progress : callable
        Progress callback (task, done, total).

    Raises
    ------
    ExtractError
        If the text cannot be read or is too short, or if the model is not that of the trace.
    """
    from extract.models.capture import attention_inputs

    model = loaded.model
    content = read_calibration(text)
    ids = loaded.tokenizer(content, add_special_tokens=False)["input_ids"]
    n_fitted = int(FITTED_FRACTION * len(ids))
    if n_fitted < trace.meta.d_model:
        raise ExtractError(
            f"{text}: {len(ids)} tokens are too few to fit a layer that is "
            f"{trace.meta.d_model} wide; give a text of at least "
            f"{math.ceil(trace.meta.d_model / FITTED_FRACTION)} tokens"
        )
    (prompt_inputs,) = attention_inputs(model, [[list(trace.meta.token_ids)]])
    if relative_error(prompt_inputs[layer][0], trace.get("x", layer)) > _SAME_MODEL_TOLERANCE:
        raise ExtractError(
            f"this is not the model of the trace ({trace.meta.model}): layer {layer} has "
            "different inputs for the prompt; name the model that made the trace with --model"
        )
    prefix = list(trace.meta.token_ids[: trace.meta.has_bos])
    n_positions = getattr(model.config, "max_position_embeddings", None) or math.inf
    n_passage = int(min(PASSAGE_TOKENS, n_positions - len(prefix)))
    parts = [_batches(prefix, part, n_passage) for part in (ids[:n_fitted], ids[n_fitted:])]
    key = [loaded.digest, parts]
    with kept_folder("calibration", key, progress) as folder:
        fitted, held_out = _kept(folder, layer) or _summed(model, parts, folder, layer, progress)
    description = CalibrationText(
        name=text.name,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        n_fitted=fitted.count,
        n_held_out=held_out.count,
        n_passage=n_passage,
    )
    return Calibration(description, fitted, held_out)


def _kept(folder: Path, layer: int) -> tuple[Moments, Moments] | None:
    """Return the sums of a layer over both parts of the text; None if they are not kept."""
    try:
        with np.load(folder / f"{layer}.npz") as saved:
            counts, totals, triangles = (saved[name] for name in ("count", "total", "triangle"))
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    made = []
    for count, total, triangle in zip(counts, totals, triangles, strict=True):
        gram = np.zeros((len(total), len(total)))
        gram[np.triu_indices(len(total))] = triangle
        made.append(Moments(int(count), total, gram + np.triu(gram, 1).T))
    return made[0], made[1]


def _keep(parts: Sequence[Moments], file: Path) -> None:
    """Write the sums of a layer; of symmetrical matrices one half."""
    upper = np.triu_indices(len(parts[0].total))
    with atomic_write(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            count=np.array([part.count for part in parts]),
            total=np.stack([part.total for part in parts]),
            triangle=np.stack([part.gram[upper] for part in parts]),
        )


def _summed(
    model: Any,
    parts: Sequence[list[list[list[int]]]],
    folder: Path,
    layer: int,
    progress: Callable[[str, int, int], None],
) -> tuple[Moments, Moments]:
    """Sum the inputs of all layers over both parts of a text, keep them, and return a layer's."""
    from extract.models.capture import attention_inputs

    total, done = sum(map(len, parts)), 0
    sums: list[list[Moments]] = []
    for part in parts:
        so_far: list[Moments] = []
        for of_layers in attention_inputs(model, part):
            progress("calibrating", done, total)
            done += 1
            new = [Moments.of(inputs.reshape(-1, inputs.shape[-1])) for inputs in of_layers]
            so_far = [a + b for a, b in zip(so_far, new, strict=True)] if so_far else new
        sums.append(so_far)
    for number, of_parts in enumerate(zip(*sums, strict=True)):
        _keep(of_parts, folder / f"{number}.npz")
    progress("calibrating", total, total)
    return sums[0][layer], sums[1][layer]


def _batches(prefix: list[int], ids: Sequence[int], n_passage: int) -> list[list[list[int]]]:
    """Split tokens into passages with a prefix, and group passages of equal length into batches."""
    passages = [prefix + list(ids[i : i + n_passage]) for i in range(0, len(ids), n_passage)]
    n_whole = len(ids) // n_passage
    batches = [
        passages[i : min(i + _PASSAGES_PER_BATCH, n_whole)]
        for i in range(0, n_whole, _PASSAGES_PER_BATCH)
    ]
    return batches + [passages[n_whole:]] * (n_whole < len(passages))
