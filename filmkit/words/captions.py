"""Captions: the narration of each beat, cut into pieces that can be read in passing.

A cue is one or two lines. Cues end at the end of a sentence where they can, else of a clause, and
the beat's time is shared out among them by their letters, so that all of a beat reads at one
speed: that of its whole narration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape

from filmkit.core.records import BeatRecord

__all__ = ["LINE", "LINES", "READING_SPEED", "Cue", "captions", "escaped", "shifted", "srt", "vtt"]

LINE = 42
"""Characters of a line, at most."""

LINES = 2
"""Lines of a cue, at most."""

READING_SPEED = 17
"""Characters a second that can be read beside a picture."""

MIN_SECONDS = 1.0  # seconds that a cue stays, where its beat is long enough

# What it costs to end a cue or a line somewhere, and to have one more cue.
SENTENCE, CLAUSE, BETWEEN, WITHIN = 0.0, 1.0, 3.0, 6.0
ONE_MORE = 2.5
HURRIED = 50.0
IN_A_CUE = 1.5  # a sentence that ends within a line
UNEVEN = 2.0  # a line that is empty beside a full one

# Words that start a phrase, and words that the next one belongs to.
VERBS = frozenset({"are", "is", "it", "was"})
STARTERS = VERBS | {
    *("and", "at", "but", "by", "for", "from", "in", "into", "of", "on", "or", "so", "than"),
    *("against", "that", "to", "until", "what", "when", "where", "which", "who", "with", "without"),
}
LEADERS = (STARTERS - VERBS) | {
    *("a", "all", "an", "each", "every", "its", "no", "one", "only", "the", "these", "this"),
}


@dataclass(frozen=True)
class Cue:
    """What is read at one time: seconds from the start of the film, and one or two lines."""

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(self.lines)


def captions(beats: Iterable[BeatRecord]) -> tuple[Cue, ...]:
    """The cues of some beats' narration, at the times of their records.

    Cues follow each other without a gap, and never overlap.
    """
    return tuple(cue for record in beats for cue in _cues_of(record))


def shifted(cues: Iterable[Cue], seconds: float) -> tuple[Cue, ...]:
    """The same cues, later."""
    return tuple(replace(cue, start=cue.start + seconds, end=cue.end + seconds) for cue in cues)


def srt(cues: Sequence[Cue]) -> str:
    """Cues as a SubRip file."""
    return "\n".join(
        f"{i}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for i, cue in enumerate(cues, 1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """Cues as a WebVTT file."""
    blocks = (
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        + "".join(f"{escaped(line)}\n" for line in cue.lines)
        for cue in cues
    )
    return "WEBVTT\n" + "".join(blocks)


def escaped(line: str) -> str:
    """A line as WebVTT writes it."""
    return escape(line, quote=False)


def _clock(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, rest = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{rest:03}"


def _cues_of(record: BeatRecord) -> Iterator[Cue]:
    words = tuple(_words(record.narration))
    seconds = record.end - record.start
    texts = _cut(words, seconds)
    letters = sum(len(" ".join(lines)) for lines in texts)
    start = record.start
    for lines in texts:
        end = start + seconds * len(" ".join(lines)) / letters
        yield Cue(start, end, lines)
        start = end


def _words(text: str) -> Iterator[str]:
    """What no line is broken within; a number keeps its sign of unit."""
    for word in re.findall(r"\S+(?: [%×]\S*)*", text):
        for start in range(0, len(word), LINE):
            yield word[start : start + LINE]


def _cut(words: tuple[str, ...], seconds: float) -> list[tuple[str, ...]]:
    """Share words out among cues at the least cost."""
    letters = len(" ".join(words))
    best: list[tuple[float, list[tuple[str, ...]]]] = [(0.0, [])]
    for end in range(1, len(words) + 1):
        ways = []
        for start in range(end):
            folded = _folded(words[start:end])
            if folded is None:
                continue
            cost, lines = folded
            cost += best[start][0] + ONE_MORE + _price_of_ending(words, end)
            if start or end < len(words):
                cost += HURRIED * (seconds * len(" ".join(lines)) < MIN_SECONDS * letters)
            ways.append((cost, [*best[start][1], lines]))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


@lru_cache(maxsize=4096)
def _folded(words: tuple[str, ...]) -> tuple[float, tuple[str, ...]] | None:
    """Words of one cue as lines, at the least cost; None if they do not fit."""
    inner = IN_A_CUE * sum(word[-1] in ".?!" for word in words[:-1])
    whole = " ".join(words)
    if len(whole) <= LINE:
        return inner, (whole,)
    ways = []
    for cut in range(1, len(words)):
        lines = " ".join(words[:cut]), " ".join(words[cut:])
        if max(map(len, lines)) <= LINE:
            uneven = abs(len(lines[0]) - len(lines[1])) / LINE
            ways.append((inner + _price_of_ending(words, cut) / 2 + UNEVEN * uneven, lines))
    return min(ways) if ways else None


def _price_of_ending(words: Sequence[str], end: int) -> float:
    """What it costs to break off after so many words."""
    last = words[end - 1]
    bare = last.rstrip("”’\"')")
    if end == len(words) or bare[-1:] in (".", "?", "!"):
        return SENTENCE
    if bare[-1:] in (",", ";", ":", "—"):
        return CLAUSE
    if last.lower() in LEADERS or last[-1].isdigit():
        return WITHIN
    return BETWEEN if words[end].lower() in STARTERS else (BETWEEN + WITHIN) / 2
