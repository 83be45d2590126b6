"""What a conversion of a model into MLA measured, as a trace's metadata hold it.

Neither this module nor what it reads needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import numpy.typing as npt

from extract.errors import TraceError
from extract.support.ranges import Amount, Checksum, Count, Perplexity, Range, Share, Size
from extract.trace.contents.activations import Activations
from extract.trace.contents.conversion_names import DUEL_WAYS
from extract.trace.contents.json_records import from_json

__all__ = [
    "CONTINUATION",
    "CONVERSION_TOKENS",
    "QUICK_TOKENS",
    "RUNG_WAYS",
    "STORED_WAYS",
    "WAYS",
    "WINDOW",
    "Contest",
    "ConversionReport",
    "LayerHealing",
    "PromptResult",
    "Row",
    "TextResult",
    "WindowRow",
    "at_equal_size",
    "conversion_report",
    "rung_error",
]

WINDOW = 1024
"""Tokens of a window that a conversion is fitted to, the beginning token included."""

CONVERSION_TOKENS = 20 * WINDOW
"""Tokens that a conversion is fitted to by default."""

QUICK_TOKENS = 4 * WINDOW
"""Tokens that a quick conversion is fitted to."""

CONTINUATION = 8
"""Tokens that a converted model says after the prompt, always the likeliest one."""

WAYS = ("model", "mqa", "mqa_fitted", "latent_then_rotate", "mla")
"""The ways that a row can be about: the model itself, MQA by the mean, MQA with a fitted key and
value, a latent whose keys are rotated (a), and MLA with a rotated shared key (b)."""


FORMER_FIELDS = ("exactness", "without_bos", "merged")
"""Of the reports in files of former versions; nothing shows them."""

STORED_WAYS = ("mla", "mqa_fitted")
"""The ways that are fitted to long windows and, if that is asked for, healed: the conversion that a
trace holds, and the best shared set to compare it with."""

RUNG_WAYS = WAYS[3:]
"""The ways whose keys, values and pattern a trace holds at every size of the ladder."""


_INEXACT = 0.01
"""Largest error of the absorbed form, which is the naive one but for rounding."""

_LONGEST_HEALING = 1e6
"""Minutes: about two years."""


@dataclass(frozen=True)
class TextResult:
    """How a converted model reads a text.

    Attributes
    ----------
    perplexity : float
    agreement : float
        Share of the positions where its likeliest next token is the model's.
    kl : float
        Mean Kullback-Leibler divergence from the model's prediction to its own, in nats.
    """

    perplexity: Perplexity
    agreement: Share
    kl: Amount


@dataclass(frozen=True)
class PromptResult:
    """What a converted model does with the prompt.

    Attributes
    ----------
    next_word_probability : float
        Of the model's own likeliest next token.
    continuation : str
        Its next `CONTINUATION` tokens.
    moved : float
        Share of the attention that goes to other keys than in the model: total variation, mean of
        all layers, heads and rows of the prompt but the first.
    moved_by_layer : tuple of float
        The same for each layer.
    """

    next_word_probability: Share
    continuation: str
    moved: Share
    moved_by_layer: tuple[Share, ...]


@dataclass(frozen=True)
class Row:
    """One row of the ladder.

    Attributes
    ----------
    way : str
        One of `WAYS`.
    numbers : int
        Cached for each token and layer.
    rotated, rank : int or None
        Width of the rotated shared key and of the latent, where the way has them.
    bos : bool
        Whether text and prompt begin with the beginning token.
    fitted_window : int
        Length of the windows that it was fitted to.
    perplexity, agreement, kl : float
        On the held-out text; see `TextResult`.
    second_text : TextResult or None
        On the second text; not measured without the beginning token.
    next_word_probability, continuation, moved, moved_by_layer
        See `PromptResult`.
    key_error, value_error : float or None
        Relative errors of the featured head's keys and values on the prompt, the layers before it
        converted too; for the rungs that are stored.
    """

    way: str
    numbers: Size
    rotated: Count | None
    rank: Size | None
    bos: bool
    fitted_window: Size
    perplexity: Perplexity
    agreement: Share
    kl: Amount
    second_text: TextResult | None
    next_word_probability: Share
    continuation: str
    moved: Share
    moved_by_layer: tuple[Share, ...]
    key_error: Amount | None = None
    value_error: Amount | None = None


@dataclass(frozen=True)
class WindowRow:
    """Results on held-out text at the full length of a window.

    Attributes
    ----------
    way : str
        "model", "mla" or "mqa_fitted".
    healed : bool
    result : TextResult
        Of the positions from `ConversionReport.window_first` on.
    """

    way: str
    healed: bool
    result: TextResult


@dataclass(frozen=True)
class LayerHealing:
    """How the healing of one layer went.

    Attributes
    ----------
    before, after : float
        Squared error of the outputs on text that was not trained on, relative to their size.
    steps : int
    stopped_early : bool
    """

    before: Amount
    after: Amount
    steps: Count
    stopped_early: bool


@dataclass(frozen=True)
class SharedSet:
    """The best shared set of keys and values, made and trained as the conversion that is stored.

    Attributes
    ----------
    stored : Row
        Fitted to the same windows.
    healed : Row or None
        Trained as long; None if the conversion is not healed.
    healing : tuple of LayerHealing
        For each layer; empty without.
    """

    stored: Row
    healed: Row | None
    healing: tuple[LayerHealing, ...]

    @property
    def final(self) -> Row:
        """The row after all that was done."""
        return self.healed or self.stored


@dataclass(frozen=True)
class ConversionReport:
    """Report on the conversion of a whole model into MLA.

    Attributes
    ----------
    rotated, rank : int
        Width of the shared rotated key and of the latent, of the conversion that is stored.
    cached : int
        Numbers that a layer of the model itself caches for each token.
    tokens : int
        Tokens that it was fitted to.
    window : int
        Length of the windows of that fit; the ladder's is in its rows.
    bos : bool
        Whether windows, tests and prompt begin with the beginning token.
    texts : str
        SHA-256 of the texts.
    next_word : str
        The model's own next word after the prompt.
    absorbed : float
        Largest relative error of the absorbed form against the naive one, over all layers.
    ladder : tuple of Row
        All in one setting, nothing trained: fitted to short passages of the project's own text,
        with the beginning token if the prompt has it.
    stored : Row
        The stored conversion, before any healing.
    healed : Row or None
        After it.
    windows : tuple of WindowRow
        Held-out text at full length.
    window_first : int
        Positions before it are left out there.
    heal_minutes : float
        Time that was given to the healing; 0 without.
    healing : tuple of LayerHealing
        For each layer; empty without.
    shared_set : SharedSet or None
        What the same model does with the best shared set instead; None in traces that were made
        before it was measured.
    """

    rotated: Count
    rank: Size
    cached: Size
    tokens: Size
    window: Size
    bos: bool
    texts: Checksum
    next_word: str
    absorbed: Annotated[float, Range(0, _INEXACT)]
    ladder: tuple[Row, ...]
    stored: Row
    healed: Row | None
    windows: tuple[WindowRow, ...]
    window_first: Count
    heal_minutes: Annotated[float, Range(0, _LONGEST_HEALING)]
    healing: tuple[LayerHealing, ...]
    shared_set: SharedSet | None = None

    @property
    def final(self) -> Row:
        """The row of the stored conversion after all that was done."""
        return self.healed or self.stored


@lru_cache(maxsize=1)  # a trace does not change
def conversion_report(trace: Activations) -> ConversionReport:
    """Return what the conversion of a trace's model measured.

    Raises
    ------
    TraceError
        If the trace has none (the message names the command that adds it), or it is damaged.
    """
    if trace.meta.conversion is None:
        without = f"{trace.meta.model} has no conversion into MLA in its trace"
        if reason := _obstacle(trace):
            raise TraceError(f"{without}, and can have none: {reason}")
        raise TraceError(f"{without}; add one with: python -m extract convert --out FILE")
    document = {
        name: value for name, value in trace.meta.conversion.items() if name not in FORMER_FIELDS
    }
    try:
        report: ConversionReport = from_json(ConversionReport, document, optional=("shared_set",))
    except (KeyError, TypeError) as error:
        raise TraceError(
            f"the report on the conversion is damaged ({error}); convert the model again"
        ) from error
    return report


def rung_error(trace: Activations, name: str, made: npt.ArrayLike) -> float:
    """Return the relative error of keys ("k") or values ("v") in place of the featured head's.

    `made` are those of all positions, (position, width); those of the prompt are compared.
    """
    meta, n = trace.meta, trace.meta.n_prompt
    own = trace.get(name, meta.featured.layer)[:n, trace.kv_head(meta.featured.head)]
    own = own.astype(np.float64)
    return float(np.linalg.norm(np.asarray(made)[:n] - own) / np.linalg.norm(own))


def _obstacle(trace: Activations) -> str:
    """Return why the model of a trace cannot be converted; nothing if the trace shows no reason."""
    meta = trace.meta
    if meta.attention == "mla":
        return "it has latents of its own"
    if not meta.rotary_dim == meta.d_qk == meta.d_v or meta.rotary_style != "half":
        return "it does not rotate its queries and keys as Llama does"
    for steps, reason in (
        (meta.qk_norm, "it normalises its queries and keys"),
        (meta.score_cap, "it squeezes its scores"),
        (meta.sinks, "it has sinks in its softmax"),
        (meta.windows, "it looks only a window back"),
    ):
        if steps:
            return reason
    return ""


@dataclass(frozen=True)
class Contest:
    """The rows of a conversion's ladder that cache as much as one shared set does.

    They are in one setting: all is fitted to the same passages, and nothing is trained.

    Attributes
    ----------
    model, mean, best, latent
        The model itself; one set that is the mean of its own; the best one that can be fitted; and
        MLA, a latent with a rotated key beside it.
    """

    model: Row
    mean: Row
    best: Row
    latent: Row

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of them, the model first."""
        return self.model, self.mean, self.best, self.latent


def at_equal_size(trace: Activations) -> Contest | None:
    """Return the contest that a trace's conversion measured; None if it has none."""
    if trace.meta.conversion is None:
        return None
    size = trace.meta.one_set
    ladder = conversion_report(trace).ladder
    rows = {row.way: row for row in ladder if row.way == "model" or row.numbers == size}
    ways = ("model", *DUEL_WAYS)
    return Contest(*(rows[way] for way in ways)) if rows.keys() >= set(ways) else None
