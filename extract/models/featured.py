"""Choose the featured layer and head: the ones that the pictures show in detail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from extract.trace import Featured
from extract.trace.contents.byte_tokens import without_byte_tokens

__all__ = ["CRITERION", "choose_featured", "structure_scores"]

CRITERION = (
    "the head with the largest product of two numbers over the prompt: the mean weight that "
    "queries give to earlier words, the first one excepted, and the largest single weight on such "
    "a word that is not right before its query; punctuation and the beginning-of-sequence token "
    "are not words"
)
"""How a head is chosen; stored in every trace."""

_TIE = 1e-6
"""Weight of the fallback score that breaks ties, too small to change any other order."""


def structure_scores(
    pattern: npt.NDArray[np.float32], tokens: Sequence[str], has_bos: bool
) -> npt.NDArray[np.float64]:
    """Return the score of each head by `CRITERION`.

    Most heads attend to the first token, to the query itself or to the token right before it.
    Such a pattern says little about the prompt, so these heads get low scores.  Heads with a strong
    weight on a word further back get the highest.

    Parameters
    ----------
    pattern : array
        [..., query_pos, key_pos], prompt rows only, the beginning-of-sequence token included.
    tokens : sequence of str
        The text of each token, [query_pos].
    has_bos : bool
        Whether position 0 is a beginning-of-sequence token.

    Returns
    -------
    array
        Scores [...]; 0 for a prompt that is too short to have an earlier word to attend to.
    """
    first = int(has_bos)  # position of the prompt's first word, which does not count
    is_word = np.array([any(map(str.isalnum, without_byte_tokens(token))) for token in tokens])
    is_word[: first + 1] = False
    key, query = np.arange(len(tokens))[None, :], np.arange(len(tokens))[:, None]
    earlier, further = is_word & (key < query), is_word & (key < query - 1)
    rows = pattern.astype(np.float64)[..., first + 2 :, :]
    if not rows.shape[-2]:
        return np.zeros(pattern.shape[:-2])
    mean_weight: npt.NDArray[np.float64] = (rows * earlier[first + 2 :]).sum(axis=-1).mean(axis=-1)
    largest_weight: npt.NDArray[np.float64] = (rows * further[first + 2 :]).max(axis=(-1, -2))
    return mean_weight * largest_weight


def choose_featured(
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
        The user's choice; chosen by `CRITERION` if not given.

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
    scores = structure_scores(patterns, tokens, has_bos)
    # In a short prompt no word counts and all scores are 0; then the weight on any earlier token
    # except the first decides.
    off_sink = np.tril(patterns, k=-1)[..., 1:].sum(axis=(-1, -2), dtype=np.float64)
    scores = scores + _TIE * off_sink / patterns.shape[-1]
    allowed = np.zeros_like(scores, dtype=bool)
    allowed[slice(None) if layer is None else layer, slice(None) if head is None else head] = True
    best = np.unravel_index(np.argmax(np.where(allowed, scores, -1.0)), scores.shape)
    criterion = f"{given} given by the user; {CRITERION}" if given else CRITERION
    return Featured(int(best[0]), int(best[1])), criterion
