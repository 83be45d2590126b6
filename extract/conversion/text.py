"""The texts that a conversion is fitted to, healed on and tested on, cut into windows of tokens.

``assets/calibration/SOURCES.md`` says where they come from and their licences.  Of every long text
the last window is held out for the test of long context, and the one before it stops the healing in
time.  The project's own calibration text is split as in `extract.latent.calibration`: its end is
held out, in passages about as long as those that other measurements use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.errors import ExtractError
from extract.latent.calibration import CALIBRATION_TEXT, FITTED_FRACTION
from extract.support.assets import asset
from extract.trace.contents.conversion_report import CONVERSION_TOKENS, WINDOW

__all__ = ["PASSAGE", "PROSE", "SECOND_TEXT", "ConversionText", "read_texts"]

PASSAGE = 128
"""Tokens of a passage of the short tests."""

PROSE = tuple(
    asset(f"calibration/{name}.txt")
    for name in (
        "sherlock_holmes",
        "american_adventures",
        "introduction_to_mathematics",
        "rust_book",
    )
)
"""Long texts by others, public domain or under a permissive licence."""

SECOND_TEXT = asset("calibration/second_text.txt")
"""A text of this project that nothing is fitted to."""


@dataclass(frozen=True, eq=False)
class ConversionText:
    """Windows of tokens, each beginning with the beginning token if the prompt does.

    Attributes
    ----------
    fitted : (window, position)
        For the fits.
    validation : (window, position)
        For the healing to stop in time.
    long : (window, position)
        Held out, for the test at the full length of a window.
    held_out : (passage, position)
        The end of the project's calibration text.
    second : (passage, position)
        The second text.
    passages : (passage, position)
        The fitted part of the calibration text in passages.
    sha256 : str
        Checksum of all texts.
    """

    fitted: Tensor
    validation: Tensor
    long: Tensor
    held_out: Tensor
    second: Tensor
    passages: Tensor
    sha256: str


def read_texts(
    tokenizer: Any,
    start: Sequence[int],
    tokens: int = CONVERSION_TOKENS,
    max_length: int | None = None,
) -> ConversionText:
    """Tokenize the texts and cut them.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    start : sequence of int
        The beginning token, or nothing: put in front of every window.
    tokens : int
        To fit to; rounded to whole windows.
    max_length : int, optional
        Positions that the model supports; windows are not longer.

    Raises
    ------
    ExtractError
        If a text is missing or the texts have fewer tokens.
    """
    window, passage = (min(n, max_length or n) for n in (WINDOW, PASSAGE))
    files = [CALIBRATION_TEXT, *PROSE, SECOND_TEXT]
    own, *prose, second = (_tokens(tokenizer, file) for file in files)
    n_own = int(FITTED_FRACTION * len(own))
    cut = [_cut(ids, window, start) for ids in prose]
    if min(map(len, cut)) < 3:
        raise ExtractError(
            f"the calibration texts have too few tokens for windows of {window} with this tokenizer"
        )
    sources = [_cut(own[:n_own], window, start), *(windows[:-2] for windows in cut)]
    # A few windows of each text, whatever their number.
    mixed = [w for w in chain.from_iterable(zip_longest(*sources)) if w is not None]
    wanted = max(1, round(tokens / window))
    if wanted > len(mixed):
        raise ExtractError(
            f"the calibration texts have {len(mixed) * window:,} tokens to fit to; give at most "
            "that with --tokens"
        )
    return ConversionText(
        fitted=torch.tensor(mixed[:wanted]),
        validation=torch.tensor([windows[-2] for windows in cut]),
        long=torch.tensor([windows[-1] for windows in cut]),
        held_out=torch.tensor(_cut(own[n_own:], passage, start)),
        second=torch.tensor(_cut(second, passage, start)),
        passages=torch.tensor(_cut(own[:n_own], passage, start)),
        sha256=hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
    )


def _tokens(tokenizer: Any, file: Path) -> list[int]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExtractError(
            f"{file}: the calibration text cannot be read ({error}); install the project again"
        ) from error
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _cut(ids: Sequence[int], length: int, start: Sequence[int]) -> list[list[int]]:
    """Cut tokens into whole windows, each with `start` in front; what is left over is dropped."""
    step = length - len(start)
    return [[*start, *ids[i : i + step]] for i in range(0, len(ids) - step + 1, step)]
