"""Captions: the narration of each beat, split into cues of one or two lines.

Cues end at the end of a sentence where possible, else at the end of a clause. The duration of a
beat is divided among its cues in proportion to their number of characters, so that all cues of a
beat have the same reading speed. Where a voice speaks, cues are shown when it says their words. A
question stays while it waits for an answer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from html import escape
from itertools import accumulate, pairwise

from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import DEFAULT_LANGUAGE, Language, current_language
from filmkit.core.line_breaks import break_units

__all__ = [
    "MAX_LINES",
    "Cue",
    "captions",
    "escape_vtt",
    "max_line_length",
    "shifted",
    "srt",
    "vtt",
]

MAX_LINES = 2
"""Maximum number of lines of a cue."""

LINE_LENGTH, EAST_ASIAN_LINE_LENGTH = 42, 18  # in characters

SENTENCE_ENDS, CLAUSE_ENDS = frozenset(".?!。？！"), frozenset(",;:—，；：、")

MIN_SECONDS = 1.0  # minimum duration of a cue, where its beat is long enough

# Costs of a way to split a narration; the way with the lowest total is chosen.
# Costs of ending a cue (half of it for a line) at the end of a sentence, at the end of a clause,
# between two phrases, and within a phrase.
SENTENCE, CLAUSE, BETWEEN, WITHIN = 0.0, 1.0, 3.0, 6.0
EACH_CUE = 2.5  # for every cue
TOO_SHORT = 50.0  # for a cue that is shorter than MIN_SECONDS
SENTENCE_INSIDE = 1.5  # for a sentence that ends inside a cue
UNEVEN = 2.0  # for two lines of unequal length; this much if one is empty and the other full


@dataclass(frozen=True)
class _Phrases:
    """Words by which the phrases of a language are known.

    Attributes
    ----------
    starters
        Words that start a phrase.
    leaders
        Words that belong to the phrase of the next word.
    enders
        Words that belong to the phrase of the word before.
    """

    starters: frozenset[str] = frozenset()
    leaders: frozenset[str] = frozenset()
    enders: frozenset[str] = frozenset()

    @classmethod
    def of(cls, verbs: str, links: str, articles: str, enders: str = "") -> _Phrases:
        """Make them from verbs, words that link phrases, articles and enders; lists with blanks."""
        starters = frozenset(links.split())
        return cls(
            starters | set(verbs.split()),
            starters | set(articles.split()),
            frozenset(enders.split()),
        )


# Without an entry here, captions of a language are broken at marks of punctuation all the same.
PHRASES = {
    DEFAULT_LANGUAGE: _Phrases.of(
        "are is it was",
        "against and at but by for from in into of on or so than that to until what when where "
        "which who with without",
        "a all an each every its no one only the these this",
    ),
    "fr": _Phrases.of(
        "est il elle on sont était",
        "à au aux avec car comme contre dans de des donc du en entre et jusqu’à mais ni où ou par "
        "pour puis quand que qui sans si sous sur vers",
        "ce ces cette chaque la le les leur leurs ne pas sa se ses son tous tout toute toutes un "
        "une",
    ),
    "de": _Phrases.of(
        "hat haben ist sind war waren werden wird",
        "aber als also am an ans auf aus bei beim bis damit dass denn durch für gegen im in ins "
        "mit nach neben ob oder ohne seit sodass sogar über um und unter vom von vor was weil wenn "
        "wer wie wo während zu zum zur zwischen",
        "alle aller das dem den der des die diese diesen dieser dieses ein eine einem einen einer "
        "eines ihr ihre ihrem ihren ihrer jede jedem jeden jeder jedes kein keine keinen nicht nur "
        "sein seine seinem seinen seiner seines so",
        "sich",
    ),
    "es": _Phrases.of(
        "era es están está son",
        "a al como con cuando cuánto de del desde donde e en entre frente ni o para pero por "
        "porque que quién según si sin sobre tras u y",
        "cada el este esta esto la las le les lo los no se su sus toda todas todo todos un una "
        "unos",
    ),
    "zh": _Phrases.of(
        "是 有 就 都 也 却 只 正是 就是 没有 可以 得到 变成 算出 生成 共享 保留 仍然",
        "在 从 把 被 由 用 让 向 对 和 与 或 而 但 所以 因为 如果 假如 不论 "
        "每 每个 每层 每行 到 给 比 按",
        "这 那 一 不 很 最 更 各 各有 另 新 旧 的 了 着 所有 全部",
        "的 了 着 过 们 里 中 上 下 吗 呢 吧 时 后 前 内 外 个 数",
    ),
}


@dataclass(frozen=True)
class Cue:
    """A caption: its start and end in seconds from the start of the film, and its lines."""

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines, joined into one."""
        return reduce(_joined, self.lines)


def _joined(line: str, other: str) -> str:
    """Join two lines; between Chinese or Japanese characters, and at their marks, is no blank."""
    ends = line[-1:], other[:1]
    wide = [letter for letter in ends if letter and unicodedata.east_asian_width(letter) in "WF"]
    marks = [letter for letter in ends if not letter.isalnum()]
    return f"{line}{other}" if len(wide) == 2 or (wide and marks) else f"{line} {other}"


def max_line_length() -> int:
    """Return the maximum length of a line in the language in use, in characters."""
    return EAST_ASIAN_LINE_LENGTH if current_language().is_east_asian else LINE_LENGTH


def captions(beats: Iterable[BeatRecord]) -> tuple[Cue, ...]:
    """Return the cues of the narration of beats, at the times of the records.

    The cues of a beat follow each other without a gap, and cues never overlap.
    """
    return tuple(cue for record in beats for cue in _cues_of(record))


def shifted(cues: Iterable[Cue], seconds: float) -> tuple[Cue, ...]:
    """Return the cues, shifted by a number of seconds."""
    return tuple(replace(cue, start=cue.start + seconds, end=cue.end + seconds) for cue in cues)


def srt(cues: Sequence[Cue]) -> str:
    """Return the content of a SubRip file (.srt)."""
    return "\n".join(
        f"{i}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for i, cue in enumerate(cues, 1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """Return the content of a WebVTT file (.vtt)."""
    blocks = (
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        + "".join(f"{escape_vtt(line)}\n" for line in cue.lines)
        for cue in cues
    )
    return "WEBVTT\n" + "".join(blocks)


def escape_vtt(line: str) -> str:
    """Escape the special characters of WebVTT in a line."""
    return escape(line, quote=False)


def _clock(seconds: float, point: str) -> str:
    """Format a time as HH:MM:SS and milliseconds, after a decimal point or comma."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, rest = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{rest:03}"


def _cues_of(record: BeatRecord) -> Iterator[Cue]:
    """Yield the cues of one beat."""
    words = tuple(_words(record.narration))
    if not words:
        return
    speech = record.speech
    length = record.end - record.start
    seconds = speech.ends - speech.begins if speech else length - record.pause
    texts = _split(words, seconds)
    letters = [len("".join(lines).rstrip()) for lines in texts]
    if speech:
        # With the space before each cue but the first.
        before = [0, *accumulate(len("".join(lines)) for lines in texts)]
        said = len(record.narration)
        times = [speech.time_at(min(n, said), said) for n in before]
        # The last one stays until it can be read, if the beat lasts so long.
        read = times[-2] + letters[-1] / current_language().letters_a_second
        times[-1] = max(times[-1], min(read, length))
    else:
        times = [seconds * n / sum(letters) for n in accumulate(letters, initial=0)]
    if record.pause:
        times[-1] = length
    for lines, (start, end) in zip(texts, pairwise(times), strict=True):
        yield Cue(record.start + start, record.start + end, tuple(line.rstrip() for line in lines))


def _words(text: str) -> Iterator[str]:
    """Yield the units between which a line can be broken, with the blanks behind them.

    A word that is longer than a line is cut into pieces.
    """
    longest = max_line_length()
    for word in break_units(text):
        while len(word.rstrip()) > longest:
            yield word[:longest]
            word = word[longest:]
        yield word


def _split(words: tuple[str, ...], seconds: float) -> list[tuple[str, ...]]:
    """Split the words of a beat into cues at the lowest cost; return the lines of each cue.

    Dynamic programming: the best way to split the first n words, for every n.
    """
    letters = len("".join(words))
    best: list[tuple[float, list[tuple[str, ...]]]] = [(0.0, [])]
    for end in range(1, len(words) + 1):
        ways = []
        for start in reversed(range(end)):
            folded = _folded(words[start:end], current_language())
            if folded is None:  # nor would more words fit
                break
            cost, lines = folded
            cost += best[start][0] + EACH_CUE + _cost_of_ending(words, end)
            if start or end < len(words):
                shown = len("".join(lines).rstrip())
                cost += TOO_SHORT * (seconds * shown < MIN_SECONDS * letters)
            ways.append((cost, [*best[start][1], lines]))
        best.append(min(reversed(ways), key=lambda way: way[0]))
    return best[-1][1]


@lru_cache(maxsize=4096)
def _folded(words: tuple[str, ...], language: Language) -> tuple[float, tuple[str, ...]] | None:
    """Return the lowest cost of a cue's lines, and the lines; None if the words do not fit."""
    longest = max_line_length()
    inner = SENTENCE_INSIDE * sum(word.rstrip()[-1:] in SENTENCE_ENDS for word in words[:-1])
    whole = "".join(words)
    if len(whole.rstrip()) <= longest:
        return inner, (whole,)
    ways = []
    for end in range(1, len(words)):
        lines = "".join(words[:end]), "".join(words[end:])
        lengths = [len(line.rstrip()) for line in lines]
        if max(lengths) <= longest:
            uneven = abs(lengths[0] - lengths[1]) / longest
            ways.append((inner + _cost_of_ending(words, end) / 2 + UNEVEN * uneven, lines))
    return min(ways) if ways else None


def _cost_of_ending(words: Sequence[str], end: int) -> float:
    """Return the cost of ending a cue after the first ``end`` words."""
    phrases = PHRASES.get(current_language().code, _Phrases())
    last = words[end - 1].rstrip()
    bare = last.rstrip("”“’»\"')）")
    if end == len(words) or bare[-1:] in SENTENCE_ENDS:
        return SENTENCE
    if bare[-1:] in CLAUSE_ENDS:
        return CLAUSE
    next_word = words[end].rstrip().lower()
    bare_next = next_word.rstrip("".join(SENTENCE_ENDS | CLAUSE_ENDS))
    if last.lower() in phrases.leaders or last[-1:].isdigit() or bare_next in phrases.enders:
        return WITHIN
    return BETWEEN if next_word in phrases.starters else (BETWEEN + WITHIN) / 2
