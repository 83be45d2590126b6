"""Narration of a beat: its text, its marks, and how long it takes to speak.

Narration is written as it is spoken. Names in braces are facts, which are filled in; square
brackets mark the words at which something happens::

    The query of [{row}] meets the key of [red].

Here the marks are "row" and "red". In another language a mark keeps its name, and its words stand
behind a bar: "la clé de [red|rouge]". Brackets and braces are never shown.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

from filmkit.core.language import current_language

__all__ = ["Narration", "NarrationError", "one_line"]

MARK = re.compile(r"\[([^\[\]]*)\]")
BRACKET = re.compile(r"[\[\]]")


class NarrationError(ValueError):
    """A narration that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Narration:
    """Text that is spoken during a beat, with its marks.

    Attributes
    ----------
    text
        The words, on one line, with facts filled in and without brackets.
    marks
        For each mark, the number of characters that are said before it.
    words
        For each mark, its words.

    Examples
    --------
    ::

        said = Narration.of("The query of [{row}] meets the key of [red].", {"row": "white"})
        said.text           # "The query of white meets the key of red."
        said.marks["red"]   # 34
    """

    text: str
    marks: Mapping[str, int]
    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, written: str, facts: Mapping[str, str]) -> Narration:
        """Read a narration as it is written in a scene.

        Parameters
        ----------
        written
            The docstring of a beat, or one of its variants.
        facts
            Text for the names in braces.

        Raises
        ------
        NarrationError
            If a fact is missing, two marks have the same name, a mark has no words, or brackets
            or braces do not match.
        """
        plain = one_line(written).replace("'", "’")
        text, marks, marked, end = "", {}, {}, 0
        for match in MARK.finditer(plain):
            text += _filled(plain[end : match.start()], facts)
            before, bar, after = match[1].partition("|")
            name, words = before.replace("{", "").replace("}", ""), after if bar else before
            if not name.strip():
                raise NarrationError("a mark has no words: []; put words between its brackets")
            if name in marks:
                raise NarrationError(f"two marks are called [{name}]; mark other words")
            marks[name] = len(text)
            marked[name] = _filled(words, facts)
            text += marked[name]
            end = match.end()
        return cls(text + _filled(plain[end:], facts), marks, marked)

    def seconds(self, per_word: float) -> float:
        """Return how long it takes to say.

        Parameters
        ----------
        per_word
            Seconds for a word; more where words are so long that captions could not be read.
        """
        language = current_language()
        return max(
            per_word * language.word_count(self.text), len(self.text) / language.letters_a_second
        )

    def mark_seconds(self, name: str, per_word: float) -> float:
        """Return when the marked words begin, in seconds from the start of the narration.

        Raises
        ------
        NarrationError
            If there is no such mark.
        """
        if name not in self.marks:
            known = ", ".join(f"[{mark}]" for mark in self.marks)
            raise NarrationError(
                f"the narration has no mark [{name}]; "
                + (f"there are {known}" if known else f"put the words in brackets: [{name}]")
            )
        return self.seconds(per_word) * self.marks[name] / max(1, len(self.text))


def one_line(written: str) -> str:
    """Return a docstring on one line, as it is said, and as catalogues name it."""
    return inspect.cleandoc(written).replace("\n", " ")


def _filled(written: str, facts: Mapping[str, str]) -> str:
    """Fill facts into a text without marks."""
    if alone := BRACKET.search(written):
        raise NarrationError(
            f"the bracket {alone[0]} stands alone; a mark is [words], with no mark inside it"
        )
    try:
        for _, name, *_ in Formatter().parse(written):
            if name is not None and name not in facts:
                raise NarrationError(
                    f"there is no fact {{{name}}}; there are {', '.join(sorted(map(str, facts)))}"
                )
        return written.format(**facts)
    except NarrationError:
        raise
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise NarrationError(f"{error}; to show a brace, write it twice: {{{{ }}}}") from error
