"""Match texts with the pauses of a recording: which pause is between which two texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from filmkit.core.line_breaks import CLOSING, sentences, split_at
from filmkit.voice.sounds import Samples, pauses, samples_in, spoken_span

__all__ = ["SHORT_PAUSE", "between", "known_places"]

SHORT_PAUSE = 0.12  # seconds; a shorter silence is inside a word
LIKES_LONG = 4.0  # how much longer silences are preferred, for each second
NEXT_CLAUSE = re.compile(rf"(?<=[,;:—]){CLOSING}\s+|(?<=[，；：、])[”’）」』]*")


def between(
    gaps: Sequence[tuple[float, float]], lengths: Sequence[int], first: float, last: float
) -> list[int]:
    """Choose the pauses between texts: near where the texts' lengths put them, and long ones.

    Dynamic programming: the best choice for the first n ends of texts whose last one is a given
    pause.

    Parameters
    ----------
    gaps
        Start and end of each pause in seconds; at least as many as there are ends of texts.
    lengths
        Number of characters of each text.
    first, last
        When the first word begins, and when the last one ends.

    Returns
    -------
    list of int
        The numbers of the pauses after all texts but the last.
    """
    if len(lengths) < 2:
        return []
    silent = np.array([end - start for start, end in gaps])
    # Time in which somebody speaks, until each pause.
    spoken = np.array([start for start, _ in gaps]) - first - np.cumsum([0.0, *silent[:-1]])
    letters = np.cumsum(lengths)
    reached = spoken / (last - first - silent.sum())
    off = len(lengths) * (reached[None, :] - letters[:-1, None] / letters[-1])
    cost = off**2 - LIKES_LONG * silent
    best, before = np.full(cost.shape, np.inf), np.zeros(cost.shape, int)
    best[0] = cost[0]
    for n in range(1, len(best)):
        for i in range(n, len(gaps)):
            before[n, i] = np.argmin(best[n - 1, :i])
            best[n, i] = best[n - 1, before[n, i]] + cost[n, i]
    chosen = [int(np.argmin(best[-1]))]
    for n in range(len(best) - 1, 0, -1):
        chosen.append(int(before[n, chosen[-1]]))
    return chosen[::-1]


def known_places(samples: Samples, text: str) -> dict[int, float]:
    """Find when the sentences of a text end and begin in its recording, and their clauses.

    Returns
    -------
    dict
        Seconds by the number of characters before. Where there are fewer pauses than ends of
        sentences, or of clauses in a sentence, these are left out.
    """
    places = _matched(samples, text, sentences(text))
    first, last = spoken_span(samples)
    for start, end in sentences(text):
        begins = places.get(start) if start else first
        ends = places.get(end) if end < len(text) else last
        if begins is None or ends is None:
            continue
        part = samples[samples_in(begins) : samples_in(ends)]
        clauses = _matched(part, text[start:end], split_at(text[start:end], NEXT_CLAUSE))
        places |= {start + before: begins + seconds for before, seconds in clauses.items()}
    return places


def _matched(samples: Samples, text: str, parts: list[tuple[int, int]]) -> dict[int, float]:
    """Find when parts of a text end and begin; nothing if there are too few pauses."""
    gaps = pauses(samples, SHORT_PAUSE)
    if not 0 < len(parts) - 1 <= len(gaps):
        return {}
    places = {}
    chosen = between(gaps, [end - start for start, end in parts], *spoken_span(samples))
    for (_, end), (start, _), number in zip(parts, parts[1:], chosen, strict=False):
        places[end], places[start] = gaps[number]
    return places
