"""Which layer and head the pictures are about, when nobody says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from extract.fragments import without_fragments
from extract.trace import Featured

__all__ = ["CRITERION", "choose", "structure"]

CRITERION = (
    "the head with the largest product of two numbers over the prompt: the mean weight that "
    "queries give to earlier words, the first one excepted, and the largest single weight on such "
    "a word that is not right before its query; punctuation and the beginning-of-sequence token "
    "are not words"
)
"""How a head is chosen, as stored in every trace."""

_TIE = 1e-6
"""Weight of the second opinion, too small to overrule the first."""


def structure(
    pattern: npt.NDArray[np.float32], tokens: Sequence[str], has_bos: bool
) -> npt.NDArray[np.float64]:
    """Score heads by `CRITERION`.

    Most heads park their attention on the first token, on the query itself or on the token right
    before it.  Such a picture says little about the prompt, so these places earn nothing; a row
    that meets one word further back, strongly, earns most.

    Parameters
    ----------
    pattern : array
        [..., query_pos, key_pos], prompt rows only, the beginning-of-sequence token included.
    tokens : sequence of str
        Their text, [query_pos].
    has_bos : bool
        Whether position 0 is a beginning-of-sequence token.

    Returns
    -------
    array
        [...], 0 for a prompt too short to have a word before a word that is not the first.
    """
    first = int(has_bos)
    word = np.array([any(map(str.isalnum, without_fragments(token))) for token in tokens])
    word[: first + 1] = False
    key, query = np.arange(len(tokens))[None, :], np.arange(len(tokens))[:, None]
    earlier = word[None, :] & (key < query)
    further = earlier & (key < query - 1)
    rows = pattern.astype(np.float64)[..., first + 2 :, :]
    if not rows.shape[-2]:
        return np.zeros(pattern.shape[:-2])
    mass: npt.NDArray[np.float64] = (rows * earlier[first + 2 :]).sum(axis=-1).mean(axis=-1)
    peak: npt.NDArray[np.float64] = (rows * further[first + 2 :]).max(axis=(-1, -2))
    return mass * peak


def choose(
    patterns: npt.NDArray[np.float32],
    tokens: Sequence[str],
    has_bos: bool,
    layer: int | None = None,
    head: int | None = None,
) -> tuple[Featured, str]:
    """Choose the featured layer and head.

    Parameters
    ----------
    patterns : array
        [n_layers, n_heads, query_pos, key_pos], prompt rows only.
    tokens : sequence of str
        [query_pos].
    has_bos : bool
    layer, head : int, optional
        What the user has decided already.

    Returns
    -------
    featured : Featured
    criterion : str
        How it was chosen, in one sentence.
    """
    given = " and ".join(
        name for name, value in (("layer", layer), ("head", head)) if value is not None
    )
    if layer is not None and head is not None:
        return Featured(layer, head), f"{given} given by the user"
    scores = structure(patterns, tokens, has_bos)
    # Short prompts leave no word to score: then the weight on any earlier token but the first.
    off_sink = np.tril(patterns, k=-1)[..., 1:].sum(axis=(-1, -2), dtype=np.float64)
    scores = scores + _TIE * off_sink / patterns.shape[-1]
    allowed = np.zeros_like(scores, dtype=bool)
    allowed[slice(None) if layer is None else layer, slice(None) if head is None else head] = True
    best = np.unravel_index(np.argmax(np.where(allowed, scores, -1.0)), scores.shape)
    criterion = f"{given} given by the user; {CRITERION}" if given else CRITERION
    return Featured(int(best[0]), int(best[1])), criterion
